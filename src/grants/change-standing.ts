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
interface StandingInput {
  readonly grantId: string;
  readonly reason: string;
}
type StandingCall = Call & { readonly idempotencyKey: string };

/** Whether a caller answers for a grant: grantors of the department that owns its type. */
export const isOwnersGrantor = (caller: Caller, grant: Grant, ownerOf: OwnerOf): boolean =>
  caller.roles.includes('grantor') && caller.department === ownerOf(grant.certificateTypeCode);

/** A revocation is final: there is nothing left to pause. */
function mustStand(grant: Grant): void {
  if (grant.revokedAt !== undefined) throw new Refusal('grant_revoked');
}

/** The grant as it stands then, by operation; undefined when nothing changes. */
const changes = {
  revokeGrant: (grant, at) => (grant.revokedAt === undefined ? { ...grant, revokedAt: at } : undefined),
  suspendGrant: (grant, at) => {
    mustStand(grant);
    return grant.suspendedAt === undefined ? { ...grant, suspendedAt: at } : undefined;
  },
  resumeGrant: ({ suspendedAt, ...grant }) => {
    mustStand(grant);
    return suspendedAt === undefined ? undefined : grant;
  },
} as const satisfies Readonly<Record<string, (grant: Grant, at: Date) => Grant | undefined>>;

/** What can be done to a grant that is on file: revoked for good, suspended until it is resumed. */
export type StandingOperation = keyof typeof changes;

/**
 * Revokes, suspends or resumes: by administrators and the grantors of the owner department. What changes nothing (a second revocation,
 * resuming what is not suspended) is recorded all the same. Refuses `grant_unknown`, also for a grant that others answer for, and
 * `grant_revoked` where a revoked one should be suspended or resumed.
 */
export async function changeStanding(
  { write, recordIn, keys, owners }: StandingDeps,
  operation: StandingOperation,
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
        const changed = changes[operation](grant, at);
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
