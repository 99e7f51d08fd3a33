import type { WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import { changeStanding, type StandingCall, type StandingDeps, type StandingInput } from './change-standing.ts';
import type { Grant } from './grant.ts';

/** A revocation is final: there is nothing left to pause. */
function mustStand(grant: Grant): void {
  if (grant.revokedAt !== undefined) throw new Refusal('grant_revoked');
}

/** Pauses a grant until it is resumed; suspending it again changes nothing. Refuses `grant_unknown` and `grant_revoked`. */
export const suspendGrant = (
  deps: StandingDeps,
  input: StandingInput,
  call: StandingCall,
  present: (grant: Grant) => WriteAnswer,
): Promise<WriteAnswer> =>
  changeStanding(
    deps,
    {
      operation: 'suspendGrant',
      change: (grant, at) => {
        mustStand(grant);
        return grant.suspendedAt === undefined ? { ...grant, suspendedAt: at } : undefined;
      },
    },
    { input, call, present },
  );

/** Takes a suspension back; resuming what is not suspended changes nothing. Refuses `grant_unknown` and `grant_revoked`. */
export const resumeGrant = (
  deps: StandingDeps,
  input: StandingInput,
  call: StandingCall,
  present: (grant: Grant) => WriteAnswer,
): Promise<WriteAnswer> =>
  changeStanding(
    deps,
    {
      operation: 'resumeGrant',
      change: ({ suspendedAt, ...grant }) => {
        mustStand(grant);
        return suspendedAt === undefined ? undefined : grant;
      },
    },
    { input, call, present },
  );
