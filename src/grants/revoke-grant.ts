import type { RecordIn } from '../audit/record.ts';
import { bump } from '../db/fresh.ts';
import type { Write, WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import type { Call } from '../ids.ts';
import type { Grant } from './grant.ts';
import { lockGrant, type RowMacs, updateRevocation } from './store.ts';

export interface RevokeGrantDeps {
  readonly write: Write;
  readonly recordIn: RecordIn;
  readonly keys: RowMacs;
}

/** Revokes a grant for good; a second revocation changes nothing. Refuses `grant_unknown`. */
export async function revokeGrant(
  { write, recordIn, keys }: RevokeGrantDeps,
  input: { readonly grantId: string; readonly reason: string },
  call: Call & { readonly idempotencyKey: string },
  present: (grant: Grant) => WriteAnswer,
): Promise<WriteAnswer> {
  const request = {
    caller: call.caller,
    operation: 'revokeGrant',
    idempotencyKey: call.idempotencyKey,
    content: input,
  };
  return write(request, {
    apply: async (trx) => {
      const grant = await lockGrant(trx, keys, input.grantId);
      if (grant === undefined) throw new Refusal('grant_unknown');
      if (grant.revokedAt !== undefined) return present(grant);
      const revoked: Grant = { ...grant, revokedAt: call.at };
      await updateRevocation(trx, keys, revoked);
      await bump(trx, 'grants');
      await recordIn(trx, {
        kind: 'registry',
        action: 'revokeGrant',
        outcome: 'done',
        caller: { clientId: call.caller.clientId, department: call.caller.department, keyId: call.caller.keyId },
        requestId: call.requestId,
        at: call.at,
        detail: { grantId: grant.grantId, clientId: grant.clientId, reason: input.reason },
      });
      return present(revoked);
    },
  });
}
