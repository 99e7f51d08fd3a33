import type { Database } from '../../db/database.ts';
import type { Write, WriteAnswer } from '../../db/write.ts';
import { type Call, newId, type Officer, type RecordId } from '../../ids.ts';
import type { RecordKeys } from '../open-record.ts';
import type { RecordIn } from '../record.ts';
import { checkTarget } from './check-target.ts';
import { type ErasableKind, type Erasure, type ErasureCase, erasableKinds, type Retention } from './erasure.ts';
import { type ErasureKeys, insertErasure } from './erasure-store.ts';

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
  readonly keys: ErasureKeys & RecordKeys;
  readonly retention: Retention;
  /** When a client was registered, by a row that is the hub's; undefined: it is not. */
  readonly registeredAt: (clientId: string) => Promise<Date | undefined>;
}

/**
 * Proposes to erase the body of a record, or the bodies of a month. A month goes only when it is sealed and its retention is over, a
 * single record of a certificate or the registry after its retention, of any other question at any time, on its legal basis; nothing goes
 * whose holder could not have learnt of it yet. Refuses `erasure_target_invalid` (context.rule: unknown_record, evidence,
 * already_erased), `retention_not_over` (context.rule under_secrecy where a release lies ahead), `month_not_sealed`,
 * `stored_data_tampered`. What is erased, if anything, is decided by two others and done by the owner.
 */
export async function proposeErasure(
  { db, write, recordIn, keys, retention }: Omit<ErasureDeps, 'registeredAt'>,
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
      await checkTarget({ db, keys, retention }, whole, at);
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
