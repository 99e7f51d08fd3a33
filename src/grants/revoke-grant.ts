import type { WriteAnswer } from '../db/write.ts';
import { changeStanding, type StandingCall, type StandingDeps, type StandingInput } from './change-standing.ts';
import type { Grant } from './grant.ts';

/** Revokes a grant for good; a second revocation changes nothing. Refuses `grant_unknown`. */
export const revokeGrant = (
  deps: StandingDeps,
  input: StandingInput,
  call: StandingCall,
  present: (grant: Grant) => WriteAnswer,
): Promise<WriteAnswer> =>
  changeStanding(
    deps,
    {
      operation: 'revokeGrant',
      change: (grant, at) => (grant.revokedAt === undefined ? { ...grant, revokedAt: at } : undefined),
    },
    { input, call, present },
  );
