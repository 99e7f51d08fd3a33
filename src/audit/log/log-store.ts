import type { Database } from '../../db/database.ts';
import type { Tables } from '../../db/tables.ts';

/** Reading the log: what anybody may know of it, and the way from a record to its leaf. Writing is the sequencer's alone. */

export type LeafRow = Tables['log_leaf'];
export type LogState = Omit<Tables['log_state'], 'id'>;

/** A signed head of the log as it may be shown. */
export interface StoredCheckpoint {
  readonly size: number;
  /** 32 bytes. */
  readonly root: Buffer;
  /** The signed note; with the signature lines of witnesses behind the log's own. */
  readonly note: string;
  readonly signedAt: Date;
  /** How many signatures of witnesses the note bears. */
  readonly cosignatures: number;
}

/** State of the log, or undefined before the first sequencer ran. */
export async function readLogState(db: Database): Promise<LogState | undefined> {
  const statement = {
    name: 'log_state',
    text: 'select origin, size, root, epoch, holder, lease_until, published_size from log_state where id = 1',
  };
  const [row] = await db.query<LogState>(statement, []);
  return row;
}

/** The checkpoint that may be shown: the greatest one published. Undefined before the first. */
export async function readPublished(db: Database): Promise<StoredCheckpoint | undefined> {
  const statement = {
    name: 'log_published',
    text: `select ${checkpointColumns} from log_checkpoint c where c.size = (select published_size from log_state where id = 1)`,
  };
  return stored(await db.query<CheckpointRow>(statement, []));
}

/** The newest checkpoint signed, published or not. */
export async function readNewestCheckpoint(db: Database): Promise<StoredCheckpoint | undefined> {
  const statement = {
    name: 'log_newest_checkpoint',
    text: `select ${checkpointColumns} from log_checkpoint c order by c.size desc limit 1`,
  };
  return stored(await db.query<CheckpointRow>(statement, []));
}

const checkpointColumns = `c.size, c.root, c.note, c.signed_at,
  array(select s.line from log_cosignature s where s.size = c.size order by s.name, s.key_id) as lines`;

interface CheckpointRow {
  readonly size: number;
  readonly root: Buffer;
  readonly note: string;
  readonly signed_at: Date;
  readonly lines: readonly string[];
}

function stored([row]: readonly CheckpointRow[]): StoredCheckpoint | undefined {
  if (row === undefined) return undefined;
  const note = row.note + row.lines.map((line) => `${line}\n`).join('');
  return { size: row.size, root: row.root, note, signedAt: row.signed_at, cosignatures: row.lines.length };
}

/** The hashes of a tile as far as they are stored: 32 bytes each, at most 256. Undefined when there are none. */
export async function readTile(db: Database, level: number, index: number): Promise<Buffer | undefined> {
  const statement = {
    name: 'log_tile',
    text: 'select hashes from log_tile where level = $1 and tile_index = $2',
  };
  const [row] = await db.query<{ hashes: Buffer }>(statement, [level, index]);
  return row?.hashes;
}

/** Where hash tiles come from; undefined for one that is not there. */
export type TileSource = (level: number, index: number) => Promise<Buffer | undefined>;

/** The tiles as the database has them. */
export const storedTiles =
  (db: Database): TileSource =>
  (level, index) =>
    readTile(db, level, index);

/** Leaves from `begin` to before `end`, in order. */
export async function readLeaves(db: Database, begin: number, end: number): Promise<LeafRow[]> {
  const statement = {
    name: 'log_leaves',
    text: `select leaf_index, record_id, lane, recorded_at, entry from log_leaf
      where leaf_index >= $1 and leaf_index < $2 order by leaf_index`,
  };
  return db.query<LeafRow>(statement, [begin, end]);
}

/** The leaf of a record, or undefined while it waits in the queue (or is no record). */
export async function readLeafOf(db: Database, recordId: string): Promise<LeafRow | undefined> {
  const statement = {
    name: 'log_leaf_of',
    text: 'select leaf_index, record_id, lane, recorded_at, entry from log_leaf where record_id = $1',
  };
  const [row] = await db.query<LeafRow>(statement, [recordId]);
  return row;
}

/** Whether a record waits for its leaf. */
export async function isQueued(db: Database, recordId: string): Promise<boolean> {
  const statement = { name: 'log_queued', text: 'select 1 from log_queue where record_id = $1' };
  return (await db.query(statement, [recordId])).length > 0;
}
