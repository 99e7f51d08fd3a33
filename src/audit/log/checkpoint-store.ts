import type { Database } from '../../db/database.ts';

/** Signed checkpoints and the lines of witnesses under them, as the sequencer writes and reads them. */

export interface CheckpointRow {
  readonly size: number;
  readonly root: Buffer;
  readonly note: string;
  readonly signedAt: Date;
}

/**
 * Stores a checkpoint if it is the state of the log right now and the epoch is ours; never over another one. The lock makes a takeover
 * wait: whoever takes over sees every checkpoint that its predecessor may show. One of size 0 holds for every log.
 */
export async function storeCheckpoint(
  db: Database,
  epoch: number,
  { size, root, note, signedAt }: CheckpointRow,
): Promise<void> {
  const statement = {
    name: 'log_store_checkpoint',
    text: `insert into log_checkpoint (size, root, note, signed_at)
      select $1::bigint, $2::bytea, $3::text, $4::timestamptz from log_state
      where id = 1 and epoch = $5 and ($1::bigint = 0 or (size = $1::bigint and root = $2::bytea)) for share
      on conflict do nothing`,
  };
  await db.query(statement, [size, root, note, signedAt, epoch]);
}

/** The log's own note of a checkpoint, without cosignatures. */
export async function readCheckpoint(db: Database, size: number): Promise<CheckpointRow | undefined> {
  const statement = {
    name: 'log_checkpoint_of',
    text: 'select size, root, note, signed_at as "signedAt" from log_checkpoint where size = $1',
  };
  const [row] = await db.query<CheckpointRow>(statement, [size]);
  return row;
}

/** A signature line of a witness, without its line end. */
export interface CosignatureRow {
  readonly name: string;
  readonly keyId: Buffer;
  readonly line: string;
}

/** Keeps the first cosignature of each witness. */
export async function storeCosignatures(
  db: Database,
  size: number,
  rows: readonly CosignatureRow[],
  receivedAt: Date,
): Promise<void> {
  const statement = {
    name: 'log_store_cosignatures',
    text: `insert into log_cosignature (size, name, key_id, line, received_at)
      select $1::bigint, name, key_id, line, $5::timestamptz from unnest($2::text[], $3::bytea[], $4::text[]) as c(name, key_id, line)
      on conflict do nothing`,
  };
  const column = <K extends keyof CosignatureRow>(key: K) => rows.map((row) => row[key]);
  await db.query(statement, [size, column('name'), column('keyId'), column('line'), receivedAt]);
}

/** The lines of witnesses under a checkpoint, without their line ends. */
export async function readCosignatures(db: Database, size: number): Promise<string[]> {
  const statement = {
    name: 'log_cosignatures_of',
    text: 'select line from log_cosignature where size = $1 order by name, key_id',
  };
  return (await db.query<{ line: string }>(statement, [size])).map(({ line }) => line);
}

/** The size that each witness cosigned last, by key name, as far as this database knows. */
export async function readCosignedSizes(db: Database): Promise<ReadonlyMap<string, number>> {
  const statement = {
    name: 'log_cosigned_sizes',
    text: 'select name, max(size) as size from log_cosignature group by name',
  };
  const rows = await db.query<{ name: string; size: number }>(statement, []);
  return new Map(rows.map(({ name, size }) => [name, size]));
}

/** Shows a stored checkpoint to everybody. It never goes back. */
export async function publishSize(db: Database, epoch: number, size: number): Promise<void> {
  const statement = {
    name: 'log_publish',
    text: `update log_state set published_size = $1 where id = 1 and epoch = $2 and published_size < $1
      and exists (select from log_checkpoint where size = $1)`,
  };
  await db.query(statement, [size, epoch]);
}
