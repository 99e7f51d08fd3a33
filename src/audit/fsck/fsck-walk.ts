import type { Database } from '../../db/database.ts';
import type { RecordKeys } from '../open-record.ts';
import { type RecordChecker, recordChecker } from './check-record.ts';
import { type ErasureCover, readErasureCover } from './fsck-erasures.ts';
import { evidenceCheck } from './fsck-evidence.ts';
import type { Found } from './fsck-findings.ts';
import { checkLeafBatch, type LeafBatch, type LeafCheck, readLeafBatch } from './fsck-leaves.ts';
import { compareAt, compareTile, type LogCheck, type PendingCheckpoints, readPending } from './fsck-log.ts';
import { noteRegistry } from './fsck-registry.ts';
import type { FsckState } from './fsck-state.ts';
import { nextLeaf } from './fsck-store.ts';
import { type TreeWalk, walkTree } from './fsck-tree.ts';

export interface WalkDeps {
  readonly db: Database;
  readonly keys: RecordKeys;
  readonly log: LogCheck;
  /** Leaves of one batch, a multiple of 256. */
  readonly batch: number;
  readonly found: (what: Found) => void;
}

/** The walk over all leaves. */
export interface LeafWalk {
  /** Checks the next batch; false when there is none left. */
  readonly next: () => Promise<boolean>;
  /** After the last batch: the tiles at the right edge. */
  readonly edges: () => Promise<void>;
}

interface Ahead {
  readonly leaves: LeafBatch;
  readonly pending: PendingCheckpoints;
}

/** Goes on where the state stands and keeps it up to date. Two batches are read ahead, so that database and check work side by side. */
export function walkLeaves({ db, keys, log, batch, found }: WalkDeps, state: FsckState): LeafWalk {
  const filled: { level: number; index: number; hashes: Buffer }[] = [];
  const tree: TreeWalk = walkTree(state.tree, (tile) => {
    if (tile.level > 0) filled.push(tile);
  });
  const checker: RecordChecker = recordChecker(keys);
  const evidence = evidenceCheck(db);
  let cover: ErasureCover | undefined;
  const reread = async (): Promise<ErasureCover> => (cover = await readErasureCover(db, keys));
  const check: LeafCheck = {
    db,
    keys,
    checker,
    span: state.span,
    erasures: { current: () => cover ?? { goneBy: () => undefined, isEmpty: true }, reread },
    startedAt: new Date(state.startedAt),
    see: (recordId, body) => {
      noteRegistry(state.registry, recordId, body);
      evidence.note(recordId, body);
    },
    found,
  };
  const readAhead: Promise<Ahead>[] = [];
  let asked = state.position;
  const ask = (): void => {
    while (readAhead.length < batchesAhead && asked < state.leaves) {
      const begin = asked;
      const end = Math.min(begin + batch, state.leaves);
      const both = Promise.all([readLeafBatch(check, { begin, end }), readPending(db, begin, end)]);
      const ahead = both.then(([leaves, pending]) => ({ leaves, pending }));
      // Whoever awaits it meets the error; until then it is nobody's.
      ahead.catch(() => undefined);
      readAhead.push(ahead);
      asked = end;
    }
  };

  /** Neither leaves nor tiles: whatever is missing there is not counted one by one. */
  const leap = async (begin: number): Promise<void> => {
    const next = Math.min((await nextLeaf(db, begin)) ?? state.leaves, state.leaves);
    found({ code: 'leaf_missing', place: { leaf: begin, leafEnd: next } });
    state.treeIsWhole = false;
    state.position = next;
    readAhead.length = 0;
    asked = next;
  };

  return {
    next: async () => {
      if (cover === undefined) {
        await reread();
        if (state.position === 0) {
          const { trail, treeIsWhole } = state;
          compareAt(log, tree, { size: 0, pending: await readPending(db, -1, 0), trail, treeIsWhole });
        }
      }
      ask();
      const ahead = await readAhead.shift();
      if (ahead === undefined) return false;
      ask();
      const { leaves, pending } = ahead;
      const wanted = leaves.end - leaves.begin;
      if (leaves.rows.length === 0 && leaves.tiles.size === 0) {
        await leap(leaves.begin);
        return state.position < state.leaves;
      }
      if (leaves.rows.length < wanted && leaves.tiles.size * 256 < wanted) state.treeIsWhole = false;
      const done = await checkLeafBatch(check, leaves, (hashed) => {
        if (state.treeIsWhole) tree.append(hashed);
        const size = state.position + 1;
        state.position = size;
        if (size === pendingSize(pending) || size === log.state?.size) {
          compareAt(log, tree, { size, pending, trail: state.trail, treeIsWhole: state.treeIsWhole });
        }
      });
      for (const tile of filled.splice(0)) await compareTile(log, tile);
      for (const each of await evidence.flush()) found(each);
      state.figures.leaves += leaves.rows.length;
      state.figures.records += done.records;
      state.figures.opened += done.opened;
      state.figures.erased += done.erased;
      state.tree = tree.save();
      return state.position < state.leaves;
    },
    edges: async () => {
      for (let level = 1; level < tree.levels() && state.treeIsWhole; level++) {
        const hashes = tree.edge(level);
        const index = Math.floor(tree.size() / 256 ** (level + 1));
        if (hashes.length > 0) await compareTile(log, { level, index, hashes });
      }
    },
  };
}

const batchesAhead = 2;

/** The size of the checkpoint that comes next. */
const pendingSize = ({ rows, at }: PendingCheckpoints): number | undefined => rows[at]?.size;
