import type { Database } from '../../db/database.ts';
import type { Write, WriteAnswer } from '../../db/write.ts';
import { Refusal } from '../../errors.ts';
import { type Call, newId, type Officer, type RecordId } from '../../ids.ts';
import { recordKinds } from '../entry.ts';
import { readLeafOf } from '../log/log-store.ts';
import type { RecordIn } from '../record.ts';
import {
  type ErasableKind,
  type Erasure,
  type ErasureCase,
  erasableKinds,
  keptLonger,
  type Retention,
} from './erasure.ts';
import { type ErasureKeys, insertErasure, isMonthSealed } from './erasure-store.ts';

/** What an officer wants erased, and why. */
export interface ErasureProposal {
  readonly target:
    | { readonly recordId: string }
    /** Without kinds: all that may ever be erased. */
    | { readonly month: string; readonly kinds?: readonly ErasableKind[] };
  readonly legalBasis: string;
  readonly reason: string;
  readonly officer: Officer;
}

export interface ErasureDeps {
  readonly db: Database;
  readonly write: Write;
  readonly recordIn: RecordIn;
  readonly keys: ErasureKeys;
  readonly retention: Retention;
}

/**
 * Proposes to erase the body of a record, or the bodies of a month. A month goes only when it is sealed and its retention is over; a
 * single record at any time, on its legal basis. Refuses `erasure_target_invalid` (context.rule: unknown_record, evidence,
 * already_erased), `retention_not_over`, `month_not_sealed`. What is erased, if anything, is decided by two others and done by the owner.
 */
export async function proposeErasure(
  { db, write, recordIn, keys, retention }: ErasureDeps,
  { target, legalBasis, reason, officer }: ErasureProposal,
  call: Call & { readonly idempotencyKey: string },
  present: (made: ErasureCase) => WriteAnswer,
): Promise<WriteAnswer> {
  const { caller, idempotencyKey, requestId, at } = call;
  const whole =
    'recordId' in target
      ? { recordId: target.recordId.toLowerCase() }
      : { month: target.month, kinds: [...new Set(target.kinds ?? erasableKinds)].toSorted() };
  const request = {
    caller,
    operation: 'proposeErasure',
    idempotencyKey,
    content: { target, legalBasis, reason, officer },
  };
  return write(request, {
    prepare: async () => {
      await checkTarget({ db, retention }, whole, at);
      return undefined;
    },
    apply: async (trx) => {
      const erasure: Erasure = {
        erasureId: newId(),
        target: whole,
        legalBasis,
        reason,
        officer,
        clientId: caller.clientId,
        recordId: newId<RecordId>(),
        createdAt: at,
      };
      await insertErasure(trx, keys, erasure);
      await recordIn(trx, {
        recordId: erasure.recordId as RecordId,
        kind: 'erasure',
        action: 'proposeErasure',
        outcome: 'done',
        caller: { clientId: caller.clientId, department: caller.department, keyId: caller.keyId },
        officer,
        requestId,
        at,
        detail: { erasureId: erasure.erasureId, step: 'proposed', target: whole, legalBasis, reason },
      });
      return present({ erasure, decisions: [] });
    },
  });
}

const erasableNumbers = new Set<number>(erasableKinds.map((kind) => recordKinds[kind]));

/** Asked when it is proposed and again when it is executed. */
export async function checkTarget(
  { db, retention }: Pick<ErasureDeps, 'db' | 'retention'>,
  target: Erasure['target'],
  now: Date,
): Promise<void> {
  if ('month' in target) {
    const kept = keptLonger(retention, target, now);
    if (kept !== undefined) {
      throw new Refusal('retention_not_over', {
        kind: kept.kind,
        ...(kept.until === undefined ? { keptForGood: true } : { until: kept.until.toISOString() }),
      });
    }
    if (!(await isMonthSealed(db.kysely, target.month))) {
      throw new Refusal('month_not_sealed', { month: target.month });
    }
    return;
  }
  // Only what is in the log can be missed from it: before, an erasure would leave no trace of what there was.
  const leaf = await readLeafOf(db, target.recordId);
  const row =
    leaf === undefined
      ? undefined
      : await db.kysely
          .selectFrom('records')
          .select(['kind', 'body'])
          .where('lane', '=', leaf.lane)
          .where('recorded_at', '=', leaf.recorded_at)
          .where('record_id', '=', target.recordId)
          .executeTakeFirst();
  const refuse = (rule: string): never => {
    throw new Refusal('erasure_target_invalid', { rule, pointer: '/target/recordId' });
  };
  if (row === undefined) return refuse('unknown_record');
  if (!erasableNumbers.has(row.kind)) return refuse('evidence');
  if (row.body === null) return refuse('already_erased');
}
