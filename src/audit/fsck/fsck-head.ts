import type { Database } from '../../db/database.ts';
import { readLogState } from '../log/log-store.ts';
import type { Found } from './fsck-findings.ts';
import type { FsckOptions } from './fsck-options.ts';
import type { FsckState } from './fsck-state.ts';

const hourMs = 3_600_000;

/** The head of the log: not behind what was walked, shown, and seen by witnesses. */
export async function checkHead(
  db: Database,
  { policy, witnessMs = hourMs }: Pick<FsckOptions, 'policy' | 'witnessMs'>,
  state: FsckState,
): Promise<Found[]> {
  const now = await readLogState(db);
  const shrunk = now !== undefined && state.head !== null && now.size < state.head.size;
  const hasQuorum = policy?.quorum !== undefined;
  return [
    ...(shrunk
      ? [
          {
            code: 'state_wrong',
            place: { table: 'log_state', columns: ['size'] },
            detail: `It had ${state.head?.size ?? 0} leaves when this check began and has ${now.size} now.`,
          } as const,
        ]
      : []),
    // Without a quorum to wait for every checkpoint is shown at once.
    ...judgePublished(state, hasQuorum ? state.trail.witnessed : state.trail.newest, witnessMs),
    ...(hasQuorum ? judgeWitnesses(state, witnessMs) : []),
  ];
}

const ageAt = ({ startedAt }: FsckState, signedAt: number): number => Date.parse(startedAt) - signedAt;

function judgePublished(state: FsckState, showable: FsckState['trail']['newest'], patienceMs: number): Found[] {
  if (state.head === null || showable === null || showable.size <= state.head.published) return [];
  if (ageAt(state, showable.signedAt) <= patienceMs) return [];
  const detail = `It is ${state.head.published}, and could be ${showable.size}.`;
  return [{ code: 'published_behind', place: { table: 'log_state', columns: ['published_size'] }, detail }];
}

function judgeWitnesses(state: FsckState, patienceMs: number): Found[] {
  const { newest, witnessed, firstSignedAt } = state.trail;
  if (newest === null || newest.size === 0 || witnessed?.size === newest.size) return [];
  if (ageAt(state, witnessed?.signedAt ?? firstSignedAt ?? newest.signedAt) <= patienceMs) return [];
  const detail = `The last one was for ${witnessed?.size ?? 0} of ${newest.size} leaves.`;
  return [{ code: 'witness_behind', place: { checkpoint: newest.size }, detail }];
}
