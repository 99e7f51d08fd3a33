import type { Database } from '../db/database.ts';
import type { EncryptionKeys, IndexKeys } from '../signing/data-keys.ts';
import type { Keys } from '../signing/key-store.ts';
import type { LogPolicy } from '../verification/log-policy.ts';
import { monthStart } from './erasure.ts';
import { addFinding, dropFinding, type Found } from './fsck-findings.ts';
import type { RegistryNow } from './fsck-registry.ts';
import { readLogAtStart } from './fsck-start.ts';
import { type FsckState, newState } from './fsck-state.ts';
import { stepsOf } from './fsck-steps.ts';
import type { CheckedPage } from './fsck-strays.ts';
import type { RecordKeys } from './open-record.ts';

/** A check of tables that other folders own: pages, each from where the last one ended. */
export interface FurtherCheck {
  readonly name: string;
  readonly page: (after: string | null) => Promise<CheckedPage<string>>;
}

export interface FsckDeps {
  /** Under the service's role: nothing is changed. */
  readonly db: Database;
  readonly keys: RecordKeys &
    Pick<EncryptionKeys, 'box' | 'rowMac' | 'verifyRowMac'> &
    Pick<IndexKeys, 'searchKey'> &
    Pick<Keys, 'hubKeys'>;
  readonly now: () => Date;
  readonly registry?: (() => Promise<RegistryNow>) | undefined;
  readonly further?: readonly FurtherCheck[] | undefined;
}

export interface FsckOptions {
  /** The log's name as the settings say it; undefined: as the database says. */
  readonly origin?: string | undefined;
  readonly policy?: LogPolicy | undefined;
  /** Longest wait for a leaf before it is a finding; default 60 s. */
  readonly lateMs?: number | undefined;
  /** Longest time without a quorum of witnesses before it is a finding; default 1 h. */
  readonly witnessMs?: number | undefined;
  /** Months ('YYYY-MM') whose records are opened: from the first to before the second. Leaves and tree are always checked in whole. */
  readonly from?: string | undefined;
  readonly until?: string | undefined;
  /** Leaves of one batch; a multiple of 256. Default 2,560. */
  readonly batch?: number | undefined;
  /** To go on from; it is changed while the check runs. */
  readonly state?: FsckState | undefined;
  /** Told after every batch; the state may be stored then. */
  readonly progress?: ((state: FsckState) => void) | undefined;
  /** Stops after the batch under way; the state is good to go on from. */
  readonly signal?: AbortSignal | undefined;
}

export const lateDefaultMs = 60_000;

/**
 * Checks everything that makes the audit log evidence, against everything else, on a live database. What is appended while it runs is
 * no finding: the size of the log is fixed at the start, every statement sees one state of the database, and what was begun less than
 * `lateMs` ago is given time. Memory does not grow with the log. Answers the state, whose `step` is 'done' unless it was stopped. Throws
 * what the database throws; the state of the last progress is good to go on from.
 */
export async function fsck(deps: FsckDeps, options: FsckOptions = {}): Promise<FsckState> {
  const state = options.state ?? (await begin(deps, options));
  const steps = stepsOf(deps, options, state);
  const began = performance.now() - state.figures.elapsedMs;
  for (const [at, step] of steps.entries()) {
    while (state.step === step.name) {
      if (options.signal?.aborted === true) return state;
      const { found, rows, after } = await step.page(state.after);
      for (const each of found) take(state, each);
      state.rows += rows;
      state.after = after ?? null;
      if (after === undefined) {
        state.step = steps[at + 1]?.name ?? 'done';
        state.rows = 0;
      }
      state.figures.elapsedMs = Math.round(performance.now() - began);
      options.progress?.(state);
    }
  }
  return state;
}

/** Adds a finding; a record that was found elsewhere is not missing as well. */
function take({ findings }: FsckState, what: Found): void {
  const { record } = what.place;
  if (what.code === 'record_moved' && record !== undefined) {
    for (const code of ['record_missing', 'record_moved'] as const) {
      dropFinding(findings, code, (place) => place.record === record);
    }
  }
  addFinding(findings, what);
}

async function begin(
  { db, now }: FsckDeps,
  { origin, lateMs = lateDefaultMs, from, until }: FsckOptions,
): Promise<FsckState> {
  const startedAt = now();
  const log = await readLogAtStart(db, { now: startedAt, origin });
  const state = newState({
    startedAt: startedAt.toISOString(),
    origin: log.origin ?? null,
    leaves: log.leaves,
    head: log.state === undefined ? null : { ...log.state, root: log.state.root.toString('hex') },
    span: {
      from: from === undefined ? '-infinity' : monthStart(from).toISOString(),
      until: until === undefined ? 'infinity' : monthStart(until).toISOString(),
    },
    lateMs,
  });
  for (const each of log.found) addFinding(state.findings, each);
  return state;
}
