import { sql, type Transaction } from 'kysely';
import type { Database } from '../../db/database.ts';
import type { Tables } from '../../db/tables.ts';
import { logEntry } from '../../verification/commitment.ts';
import { emptyRoot } from '../../verification/merkle.ts';
import type { GrownTile } from './growing-tree.ts';
import { type QueueSays, queueTimeColumn } from './queue-mac.ts';

/**
 * Writing the log, under the sequencer's role. Every statement that changes the tree names the epoch it believes in, so that one
 * sent by a sequencer that was replaced meanwhile changes nothing. Times of the lease are the database's.
 */

/** The state of the log and of its queue at one moment. */
export interface Glance {
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
  readonly epoch: number;
  readonly holder: string;
  readonly published_size: number;
  /** The holder's lease is over. */
  readonly lapsed: boolean;
  /** Age of the oldest record that waits for its place, in milliseconds; null when none waits. */
  readonly waiting_ms: number | null;
}

/** One row; undefined before the first sequencer ever. */
export async function glance(db: Database): Promise<Glance | undefined> {
  const statement = {
    name: 'log_glance',
    text: `select origin, size, root, epoch, holder, published_size, lease_until < clock_timestamp() as lapsed,
      (select greatest(0, extract(epoch from clock_timestamp() - recorded_at) * 1000)::float8
        from log_queue order by record_id limit 1) as waiting_ms
      from log_state where id = 1`,
  };
  const [row] = await db.query<Glance>(statement, []);
  return row;
}

/** Makes the state of a log without leaves, unless there is one. */
export async function beginLog(db: Database, origin: string): Promise<void> {
  const statement = {
    name: 'log_begin',
    text: `insert into log_state (id, origin, size, root, epoch, holder, lease_until, published_size)
      values (1, $1, 0, $2, 0, '', to_timestamp(0), 0) on conflict do nothing`,
  };
  await db.query(statement, [origin, emptyRoot]);
}

export interface Lease {
  readonly holder: string;
  readonly leaseMs: number;
}

/** The stored state under an epoch. */
export interface TakenLog {
  readonly epoch: number;
  readonly size: number;
  readonly root: Buffer;
}

/**
 * Takes the log over from `oldEpoch` when its lease is over, or is this holder's own after a failure whose outcome is unknown: the new
 * epoch also shuts out what is still under way from before. Answers the state as it is now ours, or undefined: somebody else was faster.
 */
export async function takeLease(
  db: Database,
  { holder, leaseMs }: Lease,
  oldEpoch: number,
): Promise<TakenLog | undefined> {
  const statement = {
    name: 'log_take_lease',
    text: `update log_state set epoch = epoch + 1, holder = $1, lease_until = clock_timestamp() + $2::int * interval '1 millisecond'
      where id = 1 and epoch = $3 and (lease_until < clock_timestamp() or holder = $1) returning epoch, size, root`,
  };
  const [row] = await db.query<TakenLog>(statement, [holder, leaseMs, oldEpoch]);
  return row;
}

/** False when the log is no longer ours. */
export async function renewLease(db: Database, { leaseMs }: Lease, epoch: number): Promise<boolean> {
  const statement = {
    name: 'log_renew_lease',
    text: `update log_state set lease_until = clock_timestamp() + $1::int * interval '1 millisecond'
      where id = 1 and epoch = $2 returning epoch`,
  };
  return (await db.query(statement, [leaseMs, epoch])).length === 1;
}

/** On a clean end: the next one need not wait for the lease to run out. */
export async function giveLeaseBack(db: Database, epoch: number): Promise<void> {
  const statement = {
    name: 'log_give_back',
    text: `update log_state set lease_until = to_timestamp(0), holder = '' where id = 1 and epoch = $1`,
  };
  await db.query(statement, [epoch]);
}

/** In silence for so long between two statements, the server ends the transaction and with it the lock on the state. */
const silenceMs = 2_000;

/** Locks the state until the end of the transaction: no one else numbers leaves or takes over meanwhile. */
export async function lockState(trx: Transaction<Tables>): Promise<TakenLog | undefined> {
  const { rows } = await sql<TakenLog>`
    select epoch, size, root, set_config('idle_in_transaction_session_timeout', ${String(silenceMs)}, true)
    from log_state where id = 1 for update`.execute(trx);
  return rows[0];
}

/** A row taken off the queue, or one that was refused before. */
export interface QueuedRow extends QueueSays {
  readonly mac: Buffer;
}

const queuedColumns = sql.raw(
  `q.record_id as "recordId", q.lane, ${queueTimeColumn('q.recorded_at')} as at, q.kind, q.commitment, q.mac`,
);

/** Takes up to `limit` rows off the queue, those with the smallest record ids, in no order. Nobody has checked them yet. */
export async function takeQueued(trx: Transaction<Tables>, limit: number): Promise<QueuedRow[]> {
  const { rows } = await sql<QueuedRow>`
    delete from log_queue q using (select record_id from log_queue order by record_id limit ${limit}) head
    where q.record_id = head.record_id returning ${queuedColumns}`.execute(trx);
  return rows;
}

/** Puts rows aside that the hub did not queue: out of the way of the others, and kept as evidence. */
export async function putAside(trx: Transaction<Tables>, rows: readonly QueuedRow[]): Promise<void> {
  await sql`
    insert into log_queue_refused (record_id, lane, recorded_at, kind, commitment, mac, refused_at)
    select *, clock_timestamp() from unnest(${rows.map(({ recordId }) => recordId)}::uuid[],
      ${rows.map(({ lane }) => lane)}::int[], ${rows.map(({ at }) => at)}::timestamptz[],
      ${rows.map(({ kind }) => kind)}::smallint[], ${rows.map(({ commitment }) => commitment)}::bytea[],
      ${rows.map(({ mac }) => mac)}::bytea[])`.execute(trx);
}

/** A row that was put aside. */
export type RefusedRow = QueuedRow & { readonly refusedId: number };

/** A page of the rows that were put aside, the oldest first. */
export async function readAside(trx: Transaction<Tables>, after: number, limit: number): Promise<RefusedRow[]> {
  const { rows } = await sql<RefusedRow>`select q.refused_id as "refusedId", ${queuedColumns} from log_queue_refused q
    where q.refused_id > ${after} order by q.refused_id limit ${limit}`.execute(trx);
  return rows;
}

/** Takes rows back that were put aside. */
export async function takeAside(trx: Transaction<Tables>, ids: readonly number[]): Promise<void> {
  await sql`delete from log_queue_refused where refused_id = any(${ids}::bigint[])`.execute(trx);
}

export interface Numbered {
  /** Leaves made: fewer than rows when a record was queued that is in the log already. */
  readonly numbered: number;
  /** The leaves' entries in order, 34 bytes each (`logEntry`). */
  readonly entries: Buffer;
}

/** Makes checked rows the leaves from `size` on, in the order of their record ids. What is written is what was checked. */
export async function numberLeaves(
  trx: Transaction<Tables>,
  size: number,
  queued: readonly QueuedRow[],
): Promise<Numbered> {
  const { rows } = await sql<{ numbered: number; entries: Buffer | null }>`
    with numbered as (
      insert into log_leaf (leaf_index, record_id, lane, recorded_at, entry)
      select ${size}::bigint + row_number() over (order by c.record_id) - 1, c.record_id, c.lane, c.recorded_at, c.entry
      from unnest(${queued.map(({ recordId }) => recordId)}::uuid[], ${queued.map(({ lane }) => lane)}::int[],
          ${queued.map(({ at }) => at)}::timestamptz[],
          ${queued.map(({ kind, commitment }) => logEntry(kind, commitment))}::bytea[]) as c(record_id, lane, recorded_at, entry)
      where not exists (select from log_leaf l where l.record_id = c.record_id)
      returning leaf_index, entry)
    select count(*) as numbered, string_agg(entry, ''::bytea order by leaf_index) as entries from numbered`.execute(
    trx,
  );
  const { numbered = 0, entries = null } = rows[0] ?? {};
  return { numbered, entries: entries ?? Buffer.alloc(0) };
}

/** Stores tiles; each only as the continuation of what is stored of it. Answers how many that was true of. */
export async function writeTiles(trx: Transaction<Tables>, tiles: readonly GrownTile[]): Promise<number> {
  const { rows } = await sql<{ written: number }>`
    with written as (
      insert into log_tile (level, tile_index, width, hashes)
      select * from unnest(${tiles.map(({ level }) => level)}::smallint[], ${tiles.map(({ index }) => index)}::bigint[],
        ${tiles.map(({ width }) => width)}::smallint[], ${tiles.map(({ hashes }) => hashes)}::bytea[])
      on conflict (level, tile_index) do update set width = excluded.width, hashes = excluded.hashes
      where log_tile.width < excluded.width and substring(excluded.hashes for 32 * log_tile.width) = log_tile.hashes
      returning 1)
    select count(*) as written from written`.execute(trx);
  return rows[0]?.written ?? 0;
}

export interface Advance extends Lease {
  readonly epoch: number;
  readonly from: { readonly size: number };
  readonly to: { readonly size: number; readonly root: Buffer };
}

/** Compare-and-swap of size and epoch (invariant 7), renewing the lease. False: the log is not ours or not where we think. */
export async function advanceState(trx: Transaction<Tables>, { epoch, from, to, leaseMs }: Advance): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update log_state set size = ${to.size}, root = ${to.root},
      lease_until = clock_timestamp() + ${leaseMs}::int * interval '1 millisecond'
    where id = 1 and epoch = ${epoch} and size = ${from.size}`.execute(trx);
  return numAffectedRows === 1n;
}
