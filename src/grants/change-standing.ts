import type { RecordIn } from '../audit/record.ts';
import { bump } from '../db/fresh.ts';
import type { Write, WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import type { Call, Caller } from '../ids.ts';
import type { Grant } from './grant.ts';
import { lockGrant, type RowMacs, updateStanding } from './store.ts';

/** The department that owns a certificate type now; undefined for no type. */
export type OwnerOf = (certificateTypeCode: string) => string | undefined;

export interface StandingDeps {
  readonly write: Write;
  readonly recordIn: RecordIn;
  readonly keys: RowMacs;
  /** Read before the transaction begins, asked in it. */
  readonly owners: () => Promise<OwnerOf>;
}

/** A grant to suspend, resume or revoke, and why. */
export interface StandingInput {
  readonly grantId: string;
  readonly reason: string;
}
export type StandingCall = Call & { readonly idempotencyKey: string };

/** Whether a caller answers for a grant: grantors of the department that owns its type. */
export const isOwnersGrantor = (caller: Caller, grant: Grant, ownerOf: OwnerOf): boolean =>
  caller.roles.includes('grantor') && caller.department === ownerOf(grant.certificateTypeCode);

export interface StandingChange {
  readonly operation: 'revokeGrant' | 'suspendGrant' | 'resumeGrant';
  /** The grant as it stands then; undefined when nothing changes. May throw a Refusal. */
  readonly change: (grant: Grant, at: Date) => Grant | undefined;
}

/**
 * Revokes, suspends or resumes: by administrators and the grantors of the owner department. What changes nothing is recorded all the
 * same. Refuses `grant_unknown`, also for a grant that others answer for.
 */
export async function changeStanding(
  { write, recordIn, keys, owners }: StandingDeps,
  { operation, change }: StandingChange,
  { input, call, present }: { input: StandingInput; call: StandingCall; present: (grant: Grant) => WriteAnswer },
): Promise<WriteAnswer> {
  const { caller, idempotencyKey, requestId, at } = call;
  return write(
    { caller, operation, idempotencyKey, content: input },
    {
      prepare: owners,
      apply: async (trx, ownerOf) => {
        const grant = await lockGrant(trx, keys, input.grantId);
        if (grant === undefined || !(caller.roles.includes('admin') || isOwnersGrantor(caller, grant, ownerOf))) {
          throw new Refusal('grant_unknown');
        }
        const changed = change(grant, at);
        if (changed !== undefined) {
          await updateStanding(trx, keys, changed);
          await bump(trx, 'grants');
        }
        await recordIn(trx, {
          kind: 'registry',
          action: operation,
          outcome: 'done',
          caller: { clientId: caller.clientId, department: caller.department, keyId: caller.keyId },
          requestId,
          at,
          detail: {
            grantId: grant.grantId,
            clientId: grant.clientId,
            reason: input.reason,
            ...(changed === undefined && { unchanged: true }),
          },
        });
        return present(changed ?? grant);
      },
    },
  );
}
