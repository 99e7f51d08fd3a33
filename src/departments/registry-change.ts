import type { Transaction } from 'kysely';
import type { RecordIn } from '../audit/record.ts';
import { bump } from '../db/fresh.ts';
import type { Tables } from '../db/tables.ts';
import type { Write, WriteAnswer } from '../db/write.ts';
import type { Call } from '../ids.ts';
import type { RowMacs, Tampered } from './row.ts';

/** What every change of the registry needs. */
export interface ChangeDeps {
  readonly write: Write;
  readonly recordIn: RecordIn;
  readonly keys: RowMacs;
  readonly tampered: Tampered;
}

/** Who changes, and under which Idempotency-Key. */
export interface ChangeRequest {
  readonly call: Call;
  readonly idempotencyKey: string;
}

/** One change of the registry: what it is called, what it is about, and what it does. */
export interface Change {
  /** operationId of the contract. */
  readonly action: string;
  readonly topic: string;
  /** Path parameters and body. */
  readonly content: unknown;
  /** What the record says; JSON. No secrets: public keys are public. */
  readonly detail: unknown;
  readonly apply: (trx: Transaction<Tables>) => Promise<WriteAnswer>;
}

/**
 * Makes a change of the registry: effect, record, new version of the topic and stored answer are one transaction,
 * once per Idempotency-Key (invariants 8 and 10). What `apply` throws undoes all of it.
 */
export function changeRegistry(
  deps: ChangeDeps,
  { call, idempotencyKey }: ChangeRequest,
  change: Change,
): Promise<WriteAnswer> {
  const { caller, requestId, at } = call;
  const request = { caller, operation: change.action, idempotencyKey, content: change.content };
  return deps.write(request, {
    apply: async (trx) => {
      const answer = await change.apply(trx);
      await deps.recordIn(trx, {
        kind: 'registry',
        action: change.action,
        outcome: 'done',
        caller: { clientId: caller.clientId, department: caller.department, keyId: caller.keyId },
        requestId,
        at,
        detail: change.detail,
      });
      await bump(trx, change.topic);
      return answer;
    },
  });
}
