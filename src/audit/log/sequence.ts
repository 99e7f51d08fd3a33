import type { Database } from '../../db/database.ts';
import { isDataFault } from '../../db/fault.ts';
import { leafHash } from '../../verification/merkle.ts';
import { type GrowingTree, grow, lastTiles, rootOfTree, treeOf } from './growing-tree.ts';
import { LogContradiction, Replaced } from './log-fault.ts';
import { readTile } from './log-store.ts';
import { advanceState, claimLeaves, type Lease, lockState, writeTiles } from './sequence-store.ts';

/** The places between two steps of a sequencer; a test is told of each and may end the process there. */
export type Step =
  | 'locked'
  | 'claimed'
  | 'tiles_written'
  | 'state_advanced'
  | 'committed'
  | 'signed'
  | 'stored'
  | 'cosigned'
  | 'cosignatures_stored'
  | 'published';

/** What a sequencer in office knows: its epoch, and the tree as committed. */
export interface Office extends Lease {
  readonly epoch: number;
  readonly tree: GrowingTree;
}

export interface SequenceDeps {
  readonly db: Database;
  /** Rows of one batch at most. */
  readonly batchRows: number;
  readonly at?: ((step: Step) => void) | undefined;
}

export interface Sequenced {
  readonly tree: GrowingTree;
  /** Rows taken from the queue. */
  readonly claimed: number;
  /** Of these, how many were of records that are in the log already. */
  readonly repeated: number;
}

const entryLength = 34;

/**
 * Takes a batch of records into the log: queue, leaves, tiles and state change in one transaction, guarded by compare-and-swap on
 * (size, epoch). Throws Replaced, LogContradiction, or a database error; after any of these nothing that the caller remembers of
 * the tree may be used again: whether the commit happened is known only to the database.
 */
export async function sequenceBatch({ db, batchRows, at }: SequenceDeps, office: Office): Promise<Sequenced> {
  const { epoch, tree } = office;
  try {
    const done = await db.kysely.transaction().execute(async (trx): Promise<Sequenced> => {
      const state = await lockState(trx);
      if (state?.epoch !== epoch) throw new Replaced();
      if (state.size !== tree.size || !state.root.equals(rootOfTree(tree))) {
        throw new LogContradiction('state_contradicts_memory', { size: state.size, remembered: tree.size });
      }
      at?.('locked');
      const { claimed, numbered, entries } = await claimLeaves(trx, tree.size, batchRows);
      at?.('claimed');
      const repeated = claimed - numbered;
      if (numbered === 0) return { tree, claimed, repeated };
      const growth = grow(tree, leavesOf(entries, numbered));
      const written = await writeTiles(trx, growth.tiles);
      if (written !== growth.tiles.length) throw new LogContradiction('tiles_contradict', { size: tree.size });
      at?.('tiles_written');
      const to = { size: growth.tree.size, root: rootOfTree(growth.tree) };
      if (!(await advanceState(trx, { ...office, from: tree, to }))) throw new Replaced();
      at?.('state_advanced');
      return { tree: growth.tree, claimed, repeated };
    });
    at?.('committed');
    return done;
  } catch (error) {
    // Only a leaf that is there already, or an entry of wrong length, can be refused by the tables' own rules.
    if (isDataFault(error)) throw new LogContradiction('leaves_contradict', { size: tree.size });
    throw error;
  }
}

function leavesOf(entries: Buffer, count: number): Buffer[] {
  if (entries.length !== count * entryLength) throw new RangeError('entries of another length than the log has');
  return Array.from({ length: count }, (_, i) => leafHash(entries.subarray(i * entryLength, (i + 1) * entryLength)));
}

/**
 * The tree from its stored tiles, whose root must be the state's.
 * Throws LogContradiction root_differs_from_tiles.
 */
export async function loadTree(
  db: Database,
  { size, root }: { readonly size: number; readonly root: Buffer },
): Promise<GrowingTree> {
  const tiles: Buffer[] = [];
  for (const { level, index, width } of lastTiles(size)) {
    const stored = (await readTile(db, level, index)) ?? Buffer.alloc(0);
    // Tiles and state change together: none can be narrower or wider than the state says.
    if (stored.length !== width * 32)
      throw new LogContradiction('root_differs_from_tiles', { size, tile: `${level}/${index}` });
    tiles.push(stored);
  }
  const tree = treeOf(size, tiles);
  if (!rootOfTree(tree).equals(root)) throw new LogContradiction('root_differs_from_tiles', { size });
  return tree;
}
