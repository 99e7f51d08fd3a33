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

type ValueDatabase = Pick<Database, 'queryByValues'>;

const columns = recordColumns.join(', ');
/** The time of a record without loss, for cursors. */
export const micros = '(extract(epoch from recorded_at) * 1000000)::bigint as micros';

/**
 * Records newest first. Without a name on purpose: each combination of axes is planned with its own values, since the best way for a
 * rare value (its index) and for a common one (the time index, backwards, until the page is full) are worlds apart.
 * @throws Refusal `search_too_broad` when the statement took longer than the server allows
 */
export async function selectRecords(db: ValueDatabase, asked: RecordPageAsked): Promise<FoundRow[]> {
  return ask<FoundRow>(db, asked, `${columns}, ${micros}`);
}

/** Where a record is: the key of its row, and its place in the order of a search. */
export type RecordPlace = Pick<FoundRow, 'lane' | 'record_id' | 'recorded_at' | 'micros'>;

/** The same order, without what the records say: for who wants to know which they are. */
export async function selectPlaces(db: ValueDatabase, asked: RecordPageAsked): Promise<RecordPlace[]> {
  return ask<RecordPlace>(db, asked, `lane, record_id, recorded_at, ${micros}`);
}

async function ask<T extends object>(db: ValueDatabase, asked: RecordPageAsked, list: string): Promise<T[]> {
  const values: unknown[] = [];
  const text = textOf(asked, list, (value) => `$${values.push(value)}`);
  try {
    return await db.queryByValues<T>(text, values);
  } catch (error) {
    throw faultCode(error) === '57014' ? new Refusal('search_too_broad', {}, { cause: error }) : error;
  }
}

/** Takes a value for the statement and gives what stands for it in the text. */
type Parameter = (value: unknown) => string;

function textOf({ filter, before, limit }: RecordPageAsked, list: string, parameter: Parameter): string {
  const common = [...conditionsOf(filter, parameter), ...(before === undefined ? [] : behind(before, parameter))];
  const most = parameter(limit);
  const arm = (own: readonly string[], order: string): string => {
    const all = [...own, ...common];
    const where = all.length === 0 ? '' : `where ${all.join(' and ')}`;
    return `select ${list} from records ${where} order by ${order} limit ${most}`;
  };
  const order = filter.certificate === undefined ? newest : newestOfRare;
  const { holderKeys } = filter;
  if (holderKeys === undefined) return arm([], order);
  const keys = `${parameter(holderKeys)}::bytea[]`;
  const others = [`other_holder_keys && ${keys}`, `coalesce(holder_key <> all (${keys}), true)`];
  // Two arms, each with an index that fits: an OR over both would read everything about a holder before it sorts.
  return `select * from ((${arm([oneOf('holder_key', holderKeys, parameter)], order)}) union all (${arm(others, newestOfRare)})) as found
    order by ${newest} limit ${most}`;
}

/** Newest first. */
export const newest = 'recorded_at desc, record_id desc';

/**
 * The same order, written so that no index has it: what is asked by a list of names that hardly repeat (a certificate, a further holder)
 * is found through the index of that list and sorted. Of such names PostgreSQL has no statistics; it takes one row of two hundred to
 * fit, and would walk back in time through all records there are in the hope of a full page.
 */
export const newestOfRare = "recorded_at + interval '0' desc, record_id desc";

function conditionsOf(filter: RecordFilter, parameter: Parameter): string[] {
  const { officerKeys, caseKeys, certificate, certificateTypeCode, kinds, from, until } = filter;
  const conditions = plainAxes.flatMap(([name, column]) =>
    filter[name] === undefined ? [] : [`${column} = ${parameter(filter[name])}`],
  );
  if (officerKeys !== undefined) conditions.push(oneOf('officer_key', officerKeys, parameter));
  if (caseKeys !== undefined) conditions.push(oneOf('case_key', caseKeys, parameter));
  if (certificate !== undefined) conditions.push(`certificates @> ${parameter([certificate])}::text[]`);
  if (certificateTypeCode !== undefined) {
    conditions.push(`certificate_types @> ${parameter([certificateTypeCode])}::text[]`);
  }
  if (kinds !== undefined) conditions.push(`kind = any (${parameter(kinds)}::smallint[])`);
  if (from !== undefined) conditions.push(`recorded_at >= ${parameter(from)}::timestamptz`);
  if (until !== undefined) conditions.push(`recorded_at < ${parameter(until)}::timestamptz`);
  return conditions;
}

/** One key by equality: the order of its index is then the order of the page. */
const oneOf = (column: string, keys: readonly Buffer[], parameter: Parameter): string =>
  keys.length === 1 ? `${column} = ${parameter(keys[0])}` : `${column} = any (${parameter(keys)}::bytea[])`;

/** The first condition alone lets the planner leave out partitions. */
function behind({ micros: at, recordId }: Position, parameter: Parameter): string[] {
  const time = `${parameter(timeOf(at))}::timestamptz`;
  return [`recorded_at <= ${time}`, `(recorded_at, record_id) < (${time}, ${parameter(recordId)}::uuid)`];
}

/** Microseconds since 1970 as PostgreSQL reads them without loss. */
export function timeOf(at: number): string {
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
    text: `select ${columns} from records where recorded_at >= $1 and recorded_at < $2 and record_id = $3 limit 1`,
  };
  const [row] = await db.query<RecordRow>(statement, [new Date(made - nearMs), new Date(made + nearMs), recordId]);
  return row;
}
