import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../../db/database.ts';
import { faultCode } from '../../db/fault.ts';
import { Refusal } from '../../errors.ts';
import { type RecordRow, recordColumns } from '../store.ts';
import { plainAxes, type RecordFilter } from './record-filter.ts';

/** Reading the records. Nothing here is proved: `open-record.ts` does that, row by row. */

/** A place in the order of a search: microseconds since 1970, then id. */
export interface Position {
  readonly micros: number;
  readonly recordId: string;
}

export interface FoundRow extends RecordRow {
  /** `recorded_at` in microseconds: a Date keeps milliseconds, and a page must not skip what lies between. */
  readonly micros: number;
}

export interface RecordPageAsked {
  readonly filter: RecordFilter;
  /** Only records that stand behind this place, newest first. */
  readonly before?: Position;
  readonly limit: number;
}

const columns = sql.raw(recordColumns.join(', '));
const micros = sql.raw('(extract(epoch from recorded_at) * 1000000)::bigint as micros');

/**
 * Records newest first. Not a named statement on purpose: each combination of axes is planned with its own values, since the best way
 * for a rare value (its index) and for a common one (the time index, backwards, until the page is full) are worlds apart.
 * @throws Refusal `search_too_broad` when the statement took longer than the server allows
 */
export async function selectRecords(db: Database, asked: RecordPageAsked): Promise<FoundRow[]> {
  return ask<FoundRow>(db, asked, sql`${columns}, ${micros}`);
}

/** Where a record is: the key of its row, and its place in the order of a search. */
export type RecordPlace = Pick<FoundRow, 'lane' | 'record_id' | 'recorded_at' | 'micros'>;

/** The same order, without what the records say: for who wants to know which they are. */
export async function selectPlaces(db: Database, asked: RecordPageAsked): Promise<RecordPlace[]> {
  return ask<RecordPlace>(db, asked, sql`lane, record_id, recorded_at, ${micros}`);
}

async function ask<T>(
  db: Database,
  { filter, before, limit }: RecordPageAsked,
  list: RawBuilder<unknown>,
): Promise<T[]> {
  const common = [...conditionsOf(filter), ...(before === undefined ? [] : behind(before))];
  const newest = sql`order by recorded_at desc, record_id desc limit ${limit}`;
  const from = (own: readonly RawBuilder<unknown>[]): RawBuilder<unknown> => {
    const all = [...own, ...common];
    const where = all.length === 0 ? sql`` : sql`where ${sql.join(all, sql` and `)}`;
    return sql`select ${list} from records ${where} ${newest}`;
  };
  const { holderKeys } = filter;
  // Two arms, each with an index that fits: an OR over both would read everything about a holder before it sorts.
  const query =
    holderKeys === undefined
      ? from([])
      : sql`select * from ((${from([oneOf('holder_key', holderKeys)])}) union all (${from([
          sql`other_holder_keys && ${[...holderKeys]}::bytea[]`,
          sql`coalesce(holder_key <> all (${[...holderKeys]}::bytea[]), true)`,
        ])})) as found ${newest}`;
  try {
    return (await sql<T>`${query}`.execute(db.kysely)).rows;
  } catch (error) {
    throw faultCode(error) === '57014' ? new Refusal('search_too_broad', {}, { cause: error }) : error;
  }
}

function conditionsOf(filter: RecordFilter): RawBuilder<unknown>[] {
  const { officerKeys, caseKeys, certificate, certificateTypeCode, kinds, from, until } = filter;
  const conditions = plainAxes.flatMap(([name, column]) =>
    filter[name] === undefined ? [] : [sql`${sql.ref(column)} = ${filter[name]}`],
  );
  if (officerKeys !== undefined) conditions.push(oneOf('officer_key', officerKeys));
  if (caseKeys !== undefined) conditions.push(oneOf('case_key', caseKeys));
  if (certificate !== undefined) conditions.push(sql`certificates @> ${[certificate]}::text[]`);
  if (certificateTypeCode !== undefined) conditions.push(sql`certificate_types @> ${[certificateTypeCode]}::text[]`);
  if (kinds !== undefined) conditions.push(sql`kind = any (${[...kinds]}::smallint[])`);
  if (from !== undefined) conditions.push(sql`recorded_at >= ${from}`);
  if (until !== undefined) conditions.push(sql`recorded_at < ${until}`);
  return conditions;
}

/** One key by equality: the order of its index is then the order of the page. */
const oneOf = (column: string, keys: readonly Buffer[]): RawBuilder<unknown> =>
  keys.length === 1 ? sql`${sql.ref(column)} = ${keys[0]}` : sql`${sql.ref(column)} = any (${[...keys]}::bytea[])`;

/** The first condition alone lets the planner leave out partitions. */
function behind({ micros: at, recordId }: Position): RawBuilder<unknown>[] {
  const time = sql`${timeOf(at)}::timestamptz`;
  return [sql`recorded_at <= ${time}`, sql`(recorded_at, record_id) < (${time}, ${recordId}::uuid)`];
}

/** Microseconds since 1970 as PostgreSQL reads them without loss. */
function timeOf(at: number): string {
  const millis = Math.floor(at / 1000);
  return new Date(millis).toISOString().replace('Z', `${String(at - millis * 1000).padStart(3, '0')}Z`);
}

/** The rows of records by their places; a place without a row is left out. Order is not promised. */
export async function selectByPlace(
  db: Database,
  places: readonly Pick<RecordRow, 'lane' | 'record_id' | 'recorded_at'>[],
): Promise<RecordRow[]> {
  const statement = {
    name: 'records_by_place',
    text: `select ${recordColumns.map((name) => `r.${name}`).join(', ')}
      from unnest($1::int[], $2::timestamptz[], $3::uuid[]) as p(lane, recorded_at, record_id)
      join records r on r.lane = p.lane and r.recorded_at = p.recorded_at and r.record_id = p.record_id`,
  };
  return db.query<RecordRow>(statement, [
    places.map(({ lane }) => lane),
    places.map(({ recorded_at }) => recorded_at),
    places.map(({ record_id }) => record_id),
  ]);
}

/** A record by its id alone: the log or its queue says where it is; if neither does, the time in the id says near which. */
export async function selectById(db: Database, recordId: string): Promise<RecordRow | undefined> {
  const statement = {
    name: 'records_place_of',
    text: `select lane, recorded_at, record_id from log_leaf where record_id = $1
      union all select lane, recorded_at, record_id from log_queue where record_id = $1 limit 1`,
  };
  const [place] = await db.query<RecordPlace>(statement, [recordId]);
  const [row] = place === undefined ? [] : await selectByPlace(db, [place]);
  return row ?? (await selectNear(db, recordId));
}

const nearMs = 300_000;

async function selectNear(db: Database, recordId: string): Promise<RecordRow | undefined> {
  // The first 48 bits of a UUIDv7 (RFC 9562) are the milliseconds at which it was made.
  const made = Number.parseInt(recordId.replaceAll('-', '').slice(0, 12), 16);
  if (made > Date.UTC(9000, 0)) return undefined;
  const statement = {
    name: 'records_near',
    text: `select ${recordColumns.join(', ')} from records where recorded_at >= $1 and recorded_at < $2 and record_id = $3 limit 1`,
  };
  const [row] = await db.query<RecordRow>(statement, [new Date(made - nearMs), new Date(made + nearMs), recordId]);
  return row;
}
