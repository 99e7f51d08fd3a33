import { monthEnd, monthStart } from '../erasure/erasure.ts';
import { logKeys } from '../log/sign-checkpoint.ts';
import { checkErasureRows } from './fsck-erasures.ts';
import type { Found } from './fsck-findings.ts';
import { checkHead } from './fsck-head.ts';
import type { LogCheck } from './fsck-log.ts';
import { checkMonth } from './fsck-months.ts';
import type { FsckDeps, FsckOptions } from './fsck-options.ts';
import { judgeRegistry, noteRecent } from './fsck-registry.ts';
import { checkReleases } from './fsck-releases.ts';
import type { FsckState } from './fsck-state.ts';
import type { PageKey } from './fsck-store.ts';
import { type CheckedPage, checkQueue, checkRefused, checkStrays } from './fsck-strays.ts';
import { walkLeaves } from './fsck-walk.ts';

/** One kind of check. `after` is what its last page ended with, null for the first. */
export interface FsckStep {
  readonly name: string;
  readonly page: (after: string | null) => Promise<CheckedPage<string>>;
}

const clockMs = 60_000;
const lowestId = '00000000-0000-0000-0000-000000000000';
const pageRows = 10_000;

/** All steps in order. Each goes on from `state`, however it came to be there. */
export function stepsOf(deps: FsckDeps, options: FsckOptions, state: FsckState): FsckStep[] {
  const { db, keys, now } = deps;
  const { policy, batch = 2_560 } = options;
  const found: Found[] = [];
  const collected = (rows: number, after: string | undefined): CheckedPage<string> => ({
    found: found.splice(0),
    rows,
    after,
  });
  const startedAt = new Date(state.startedAt);
  const log: LogCheck = {
    db,
    rules: {
      origin: state.origin ?? undefined,
      logKeys: state.origin === null ? [] : logKeys(keys, state.origin),
      policy,
      now: startedAt,
      clockMs,
    },
    state: state.head === null ? undefined : { size: state.head.size, root: Buffer.from(state.head.root, 'hex') },
    found: (what) => void found.push(what),
  };
  const walk = walkLeaves({ db, keys, log, batch, found: log.found }, state);
  const { from, until } = state.span;
  const isWhole = from === '-infinity' && until === 'infinity';

  return [
    {
      name: 'leaves',
      page: async () => {
        const before = state.position;
        const isMore = await walk.next();
        if (!isMore) await walk.edges();
        return collected(state.position - before, isMore ? String(state.position) : undefined);
      },
    },
    {
      name: 'head',
      page: async () => {
        for (const each of await checkHead(db, options, state)) log.found(each);
        return collected(1, undefined);
      },
    },
    {
      name: 'records',
      page: async (after) => {
        const key = after === null ? ([from, lowestId] as const) : (JSON.parse(after) as PageKey);
        const late = new Date(now().getTime() - state.lateMs);
        const page = await checkStrays({ db, keys }, { after: key, until, limit: pageRows, late });
        return { ...page, after: page.after === undefined ? undefined : JSON.stringify(page.after) };
      },
    },
    { name: 'queue', page: (after) => checkQueue({ db, keys }, { after: after ?? lowestId, limit: pageRows }) },
    { name: 'refused', page: (after) => checkRefused(db, { after, limit: pageRows }) },
    {
      name: 'months',
      page: (after) =>
        checkMonth({ db, keys }, after ?? lowestId, (month) => {
          const inSpan =
            (from === '-infinity' || monthStart(month).toISOString() >= from) &&
            (until === 'infinity' || monthEnd(month).toISOString() <= until);
          return /^\d{4}-\d{2}$/.test(month) && inSpan;
        }),
    },
    { name: 'erasures', page: (after) => checkErasureRows(db, keys, after ?? undefined) },
    { name: 'releases', page: (after) => checkReleases(db, keys, after ?? lowestId) },
    ...(deps.further ?? []),
    {
      name: 'registry',
      page: async () => {
        const before = await noteRecent(db, keys, state.registry, startedAt);
        const registry = await deps.registry?.();
        if (registry === undefined) return { found: [], rows: 0, after: undefined };
        const after = await noteRecent(db, keys, state.registry, startedAt);
        const judged = judgeRegistry(registry, { before, after, isWhole });
        return { found: judged, rows: registry.inForce.length, after: undefined };
      },
    },
  ];
}
