import { monthStart } from '../erasure/erasure.ts';
import { addFinding, dropFinding, type Found } from './fsck-findings.ts';
import type { FsckDeps, FsckOptions } from './fsck-options.ts';
import { readLogAtStart } from './fsck-start.ts';
import { type FsckState, newState } from './fsck-state.ts';
import { type FsckStep, stepsOf } from './fsck-steps.ts';
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
    const next = steps[at + 1]?.name ?? 'done';
    while (state.step === step.name && options.signal?.aborted !== true) {
      await takePage(state, step, next);
      state.figures.elapsedMs = Math.round(performance.now() - began);
      options.progress?.(state);
    }
  }
  return state;
}

async function takePage(state: FsckState, step: FsckStep, next: string): Promise<void> {
  const { found, rows, after } = await step.page(state.after);
  for (const each of found) take(state, each);
  if (after === undefined) state.figures.rows = { ...state.figures.rows, [step.name]: state.rows + rows };
  state.rows = after === undefined ? 0 : state.rows + rows;
  state.after = after ?? null;
  if (after === undefined) state.step = next;
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
