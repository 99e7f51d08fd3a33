import type { Database } from '../../db/database.ts';
import type { Tables } from '../../db/tables.ts';
import { type QueueSays, queueTimeColumn } from '../log/queue-mac.ts';
import type { RecordRow } from '../store.ts';
import { type CompactRecord, compactColumns } from './check-record.ts';

/** What the self-check reads. Each statement sees one state of the database; none of them changes anything. */

type Bytes = Buffer | null;

/** A leaf beside the row that should be its record. `commitment` is null where there is no such row, or its month is not asked for. */
export interface LeafBeside extends Omit<CompactRecord, 'commitment' | 'body' | 'copies'> {
  readonly leaf_index: number;
  readonly entry: Buffer;
  /** Whether the record is to be looked at. */
  readonly wanted: boolean;
  /** The time of the leaf is none that a record can have. */
  readonly time_wrong: boolean;
  /** 'YYYY-MM' in UTC, by the leaf; empty for a time beyond every calendar. */
  readonly month: string;
  readonly commitment: Bytes;
  readonly body: Bytes;
  readonly copies: string | null;
}

/** Whether a time lies in [$a, $b); an end that was not asked for leaves nothing out, not even 'infinity'. */
const within = (column: string, from: string, until: string): string =>
  `(${column} >= ${from}::timestamptz and (${column} < ${until}::timestamptz or ${until}::timestamptz = 'infinity'))`;

/** A time that no record can have: none of a calendar, before there was a hub, or a day and more ahead of the database's clock. */
const impossible = (column: string): string => `(${column} < '2000-01-01Z' or ${column} > now() + interval '1 day')`;

/** Leaves [begin, end) in order, each beside its record when that was recorded in [from, until). */
export async function readLeavesBeside(
  db: Database,
  range: { readonly begin: number; readonly end: number; readonly from: string; readonly until: string },
): Promise<LeafBeside[]> {
  const statement = {
    name: 'fsck_leaves',
    text: `select l.leaf_index, l.record_id, l.entry, ${within('l.recorded_at', '$3', '$4')} as wanted,
        ${impossible('l.recorded_at')} as time_wrong,
        coalesce(to_char(l.recorded_at at time zone 'UTC', 'YYYY-MM'), '') as month, r.commitment, r.body, ${compactColumns}
      from log_leaf l left join records r on r.lane = l.lane and r.recorded_at = l.recorded_at and r.record_id = l.record_id
        and ${within('l.recorded_at', '$3', '$4')}
      where l.leaf_index >= $1 and l.leaf_index < $2 order by l.leaf_index`,
  };
  return db.query<LeafBeside>(statement, [range.begin, range.end, range.from, range.until]);
}

/** A record as it is, with the times that a Date would round. */
export type WholeRow = RecordRow & { readonly recorded_epoch: string; readonly release_epoch: string | null };

const wholeColumns = `r.*, extract(epoch from r.recorded_at)::text as recorded_epoch, extract(epoch from r.release_at)::text as release_epoch`;

/** The records of these ids as far as a leaf or the queue says where they stand. */
export async function readRecordsById(db: Database, ids: readonly string[]): Promise<WholeRow[]> {
  if (ids.length === 0) return [];
  const statement = {
    name: 'fsck_records',
    text: `with places as (
        select record_id, lane, recorded_at from log_leaf where record_id = any($1::uuid[])
        union select record_id, lane, recorded_at from log_queue where record_id = any($1::uuid[]))
      select ${wholeColumns} from places p join records r
        on r.lane = p.lane and r.recorded_at = p.recorded_at and r.record_id = p.record_id`,
  };
  return db.query<WholeRow>(statement, [ids]);
}

/** Where rows with these ids stand, looked for near the time that is part of each id. */
export async function findNearIds(
  db: Database,
  ids: readonly string[],
): Promise<{ record_id: string; lane: number; recorded_at: Date; kind: number; commitment: Buffer }[]> {
  if (ids.length === 0) return [];
  const statement = {
    name: 'fsck_near',
    text: `select r.record_id, r.lane, r.recorded_at, r.kind, r.commitment
      from unnest($1::uuid[], $2::timestamptz[]) as w(record_id, made_at)
      join records r on r.record_id = w.record_id
        and r.recorded_at > w.made_at - interval '10 minutes' and r.recorded_at < w.made_at + interval '10 minutes'`,
  };
  return db.query(statement, [ids, ids.map((id) => madeAt(id).toISOString())]);
}

/** The first 48 bits of a UUIDv7 are milliseconds (RFC 9562); those of other ids lead to a time where nothing is. */
const madeAt = (id: string): Date =>
  new Date(Math.min(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16), 4_102_444_800_000));

/** Tiles [begin, end) of a level. */
export async function readTiles(
  db: Database,
  { level, begin, end }: { readonly level: number; readonly begin: number; readonly end: number },
): Promise<Tables['log_tile'][]> {
  const statement = {
    name: 'fsck_tiles',
    text: 'select level, tile_index, width, hashes from log_tile where level = $1 and tile_index >= $2 and tile_index < $3',
  };
  return db.query(statement, [level, begin, end]);
}

export type CheckpointRow = Tables['log_checkpoint'];
export type CosignatureRow = Tables['log_cosignature'];

/** Checkpoints with begin < size ≤ end, the smallest first, with what witnesses said to them. */
export async function readCheckpoints(
  db: Database,
  { begin, end }: { readonly begin: number; readonly end: number },
): Promise<{ readonly checkpoints: readonly CheckpointRow[]; readonly cosignatures: readonly CosignatureRow[] }> {
  const bounds = [begin, end];
  const checkpoints = await db.query<CheckpointRow>(
    {
      name: 'fsck_checkpoints',
      text: 'select size, root, note, signed_at from log_checkpoint where size > $1 and size <= $2 order by size',
    },
    bounds,
  );
  const cosignatures = await db.query<CosignatureRow>(
    {
      name: 'fsck_cosignatures',
      text: 'select size, name, key_id, line, received_at from log_cosignature where size > $1 and size <= $2 order by size',
    },
    bounds,
  );
  return { checkpoints, cosignatures };
}

/** A row of `records` without its own leaf, and what there is instead. */
export interface StrayRecord extends WholeRow {
  readonly leaf_index: number | null;
  readonly queued: boolean;
  /** Whether another row stands where the leaf says. */
  readonly twin: boolean;
}

export interface StrayPage {
  readonly rows: number;
  /** Rows of the page times leaves they have; more than `rows` when one has two. */
  readonly joined: number;
  readonly after: PageKey | undefined;
  readonly strays: readonly StrayRecord[];
}
/** Time with microseconds, and id. */
export type PageKey = readonly [at: string, id: string];

/** A page of records in order of time, of which only those come back that are not where a leaf says. */
export async function readStrayRecords(
  db: Database,
  { after, until, limit }: { readonly after: PageKey; readonly until: string; readonly limit: number },
): Promise<StrayPage> {
  const statement = {
    name: 'fsck_strays',
    text: `with page as materialized (
        select lane, recorded_at, record_id from records
        where (recorded_at, record_id) > ($1::timestamptz, $2::uuid)
          and (recorded_at < $3::timestamptz or $3::timestamptz = 'infinity')
        order by recorded_at, record_id limit $4),
      joined as materialized (
        select p.lane, p.recorded_at, p.record_id, l.leaf_index, l.lane as leaf_lane, l.recorded_at as leaf_at
        from page p left join log_leaf l on l.record_id = p.record_id),
      ends as (
        select count(*) as rows, (select count(*) from joined) as joined,
          (select to_char(recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') from page
            order by recorded_at desc, record_id desc limit 1) as last_at,
          (select record_id from page order by recorded_at desc, record_id desc limit 1) as last_id from page)
      select e.rows as page_rows, e.joined, e.last_at, e.last_id, ${wholeColumns}, j.leaf_index,
        q.record_id is not null as queued,
        exists (select from records t where t.lane = j.leaf_lane and t.recorded_at = j.leaf_at and t.record_id = j.record_id) as twin
      from ends e
        left join joined j on j.leaf_index is null or j.leaf_lane <> j.lane or j.leaf_at <> j.recorded_at
        left join records r on r.lane = j.lane and r.recorded_at = j.recorded_at and r.record_id = j.record_id
        left join log_queue q on q.record_id = j.record_id`,
  };
  type Row = StrayRecord & { page_rows: number; joined: number; last_at: string | null; last_id: string | null };
  const found = await db.query<Row>(statement, [...after, until, limit]);
  const [first] = found;
  const isLast = first === undefined || first.page_rows < limit || first.last_at === null || first.last_id === null;
  return {
    rows: first?.page_rows ?? 0,
    joined: first?.joined ?? 0,
    after: isLast ? undefined : [first.last_at ?? '', first.last_id ?? ''],
    strays: found.filter((row) => row.record_id !== null),
  };
}

/** Records of the page's span that have more than one leaf. */
export async function readTwiceLogged(
  db: Database,
  ids: { readonly from: PageKey; readonly until: string; readonly limit: number },
): Promise<{ record_id: string; leaf_index: number }[]> {
  const statement = {
    name: 'fsck_twice',
    text: `with page as materialized (
        select record_id from records where (recorded_at, record_id) > ($1::timestamptz, $2::uuid)
          and (recorded_at < $3::timestamptz or $3::timestamptz = 'infinity')
        order by recorded_at, record_id limit $4)
      select l.record_id, max(l.leaf_index) as leaf_index from page p join log_leaf l using (record_id)
      group by 1 having count(*) > 1`,
  };
  return db.query(statement, [...ids.from, ids.until, ids.limit]);
}

/** A row of the queue beside its record. */
export interface QueueRow extends QueueSays {
  readonly mac: Buffer;
  readonly time_wrong: boolean;
  readonly found: boolean;
  readonly kind_same: boolean | null;
  readonly commitment_same: boolean | null;
  readonly leaf_index: number | null;
}

/** A page of the queue in order of ids. */
export async function readQueueRows(
  db: Database,
  { after, limit }: { readonly after: string; readonly limit: number },
): Promise<QueueRow[]> {
  const statement = {
    name: 'fsck_queue',
    text: `with page as materialized (select * from log_queue where record_id > $1::uuid order by record_id limit $2)
      select p.record_id as "recordId", p.lane, ${queueTimeColumn('p.recorded_at')} as at, p.kind, p.commitment, p.mac,
        ${impossible('p.recorded_at')} as time_wrong, r.record_id is not null as found, r.kind = p.kind as kind_same,
        r.commitment = p.commitment as commitment_same, l.leaf_index
      from page p
        left join records r on r.lane = p.lane and r.recorded_at = p.recorded_at and r.record_id = p.record_id
        left join log_leaf l on l.record_id = p.record_id
      order by p.record_id`,
  };
  return db.query<QueueRow>(statement, [after, limit]);
}

/** A page of the rows that a sequencer put aside, the oldest first. */
export async function readRefusedRows(
  db: Database,
  { after, limit }: { readonly after: number; readonly limit: number },
): Promise<{ readonly refused_id: number; readonly record_id: string }[]> {
  const statement = {
    name: 'fsck_refused',
    text: 'select refused_id, record_id from log_queue_refused where refused_id > $1 order by refused_id limit $2',
  };
  return db.query(statement, [after, limit]);
}

/** The first leaf index at or behind `begin`, or undefined. */
export async function nextLeaf(db: Database, begin: number): Promise<number | undefined> {
  const statement = {
    name: 'fsck_next_leaf',
    text: 'select leaf_index from log_leaf where leaf_index >= $1 order by leaf_index limit 1',
  };
  const [row] = await db.query<{ leaf_index: number }>(statement, [begin]);
  return row?.leaf_index;
}
