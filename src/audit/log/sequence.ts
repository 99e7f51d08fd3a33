import type { Database } from '../../db/database.ts';
import { isDataFault } from '../../db/fault.ts';
import type { EncryptionKeys } from '../../signing/data-keys.ts';
import { leafHash } from '../../verification/merkle.ts';
import { type GrowingTree, grow, lastTiles, rootOfTree, treeOf } from './growing-tree.ts';
import { LogContradiction, Replaced } from './log-fault.ts';
import { readTile } from './log-store.ts';
import { isQueuedByHub } from './queue-mac.ts';
import {
  advanceState,
  type Lease,
  lockState,
  numberLeaves,
  putAside,
  type QueuedRow,
  readAside,
  takeAside,
  takeQueued,
  writeTiles,
} from './sequence-store.ts';

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
  readonly keys: Pick<EncryptionKeys, 'verifyRowMac'>;
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
  /** Ids of rows that the hub did not queue: put aside, never numbered. Their text comes from who forged them. */
  readonly refused: readonly string[];
  /** Behind the last row that was looked at again; undefined at the end, and for the queue itself. */
  readonly asideAfter: number | undefined;
}

const entryLength = 34;

/**
 * Takes a batch of records into the log: queue, leaves, tiles and state change in one transaction, guarded by compare-and-swap on
 * (size, epoch). Throws Replaced, LogContradiction, or a database error; after any of these nothing that the caller remembers of
 * the tree may be used again: whether the commit happened is known only to the database. With `asideAfter` it looks again at what was put
 * aside behind that id, instead of at the queue.
 */
export async function sequenceBatch(
  { db, keys, batchRows, at }: SequenceDeps,
  office: Office,
  asideAfter?: number,
): Promise<Sequenced> {
  const { epoch, tree } = office;
  try {
    const done = await db.kysely.transaction().execute(async (trx): Promise<Sequenced> => {
      const state = await lockState(trx);
      if (state?.epoch !== epoch) throw new Replaced();
      requireRemembered(state, tree);
      at?.('locked');
      const claim = await claimRows(trx, keys, batchRows, asideAfter);
      const { numbered, entries } = await numberLeaves(trx, tree.size, claim.good);
      at?.('claimed');
      const { claimed, refused } = claim;
      const told = { claimed, refused, repeated: claim.good.length - numbered, asideAfter: claim.asideAfter };
      if (numbered === 0) return { ...told, tree };
      const growth = grow(tree, leavesOf(entries, numbered));
      const written = await writeTiles(trx, growth.tiles);
      if (written !== growth.tiles.length) throw new LogContradiction('tiles_contradict', { size: tree.size });
      at?.('tiles_written');
      const to = { size: growth.tree.size, root: rootOfTree(growth.tree) };
      if (!(await advanceState(trx, { ...office, from: tree, to }))) throw new Replaced();
      at?.('state_advanced');
      return { ...told, tree: growth.tree };
    });
    at?.('committed');
    return done;
  } catch (error) {
    // Only a leaf that is there already, or an entry of wrong length, can be refused by the tables' own rules.
    if (isDataFault(error)) throw new LogContradiction('leaves_contradict', { size: tree.size });
    throw error;
  }
}

/** The stored state under our epoch is what we remember; else somebody changed it past every sequencer. Throws LogContradiction. */
export function requireRemembered(stored: { readonly size: number; readonly root: Buffer }, tree: GrowingTree): void {
  if (stored.size !== tree.size || !stored.root.equals(rootOfTree(tree))) {
    throw new LogContradiction('state_contradicts_memory', { size: stored.size, remembered: tree.size });
  }
}

interface Claim extends Pick<Sequenced, 'claimed' | 'refused' | 'asideAfter'> {
  readonly good: readonly QueuedRow[];
}

type Trx = Parameters<typeof takeQueued>[0];

const claimRows = (trx: Trx, keys: SequenceDeps['keys'], limit: number, asideAfter?: number): Promise<Claim> =>
  asideAfter === undefined ? claimQueued(trx, keys, limit) : claimAside(trx, keys, asideAfter, limit);

async function claimQueued(trx: Trx, keys: SequenceDeps['keys'], limit: number): Promise<Claim> {
  const rows = await takeQueued(trx, limit);
  const good: QueuedRow[] = [];
  const forged: QueuedRow[] = [];
  for (const row of rows) (isQueuedByHub(keys, row) ? good : forged).push(row);
  if (forged.length > 0) await putAside(trx, forged);
  return { claimed: rows.length, refused: forged.map(({ recordId }) => recordId), asideAfter: undefined, good };
}

/** A sequencer that lacked a new key of the hub put its rows aside too: with the key they are as good as ever. */
async function claimAside(trx: Trx, keys: SequenceDeps['keys'], after: number, limit: number): Promise<Claim> {
  const rows = await readAside(trx, after, limit);
  const good = rows.filter((row) => isQueuedByHub(keys, row));
  if (good.length > 0)
    await takeAside(
      trx,
      good.map(({ refusedId }) => refusedId),
    );
  return {
    claimed: rows.length,
    refused: [],
    asideAfter: rows.length === limit ? rows.at(-1)?.refusedId : undefined,
    good,
  };
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
