import type { Database } from '../../db/database.ts';
import { recordKinds } from '../entry.ts';
import type { RecordRow } from '../store.ts';
import { unusualRules } from './unusual.ts';

/**
 * Counting over the columns of records: no body is opened. Every statement reads one span of a few days and returns a bounded number
 * of rows, so that an overview of months costs neither memory nor a statement that never ends.
 */

/** Half-open span of the time of recording. */
export interface Span {
  readonly from: Date;
  readonly until: Date;
}

export const dimensions = ['kind', 'department', 'client', 'matter', 'outcome', 'code', 'type'] as const;
export type Dimension = (typeof dimensions)[number];

export interface Count {
  readonly dimension: Dimension;
  readonly value: string;
  readonly n: number;
}

/** Of each dimension at most so many values a day; only matter codes, which callers write, can be more. */
const valuesPerDay = 1_000;

/** How many records per value of each dimension; `kind` over all records, the others over accesses. Greatest first. */
export async function countDay(db: Database, { from, until }: Span): Promise<Count[]> {
  const statement = {
    name: 'overview_day',
    text: `with day as (
        select kind, department_code, client_id, matter_code, outcome, code, certificate_types from records
        where recorded_at >= $1 and recorded_at < $2),
      counted as (
        select case
            when grouping(department_code) = 0 then 'department' when grouping(client_id) = 0 then 'client'
            when grouping(matter_code) = 0 then 'matter' when grouping(outcome) = 0 then 'outcome' else 'code' end as dimension,
          coalesce(department_code, client_id, matter_code, outcome, code) as value, count(*) as n
        from day where kind = ${recordKinds.access}
        group by grouping sets ((department_code), (client_id), (matter_code), (outcome), (code))
        union all select 'kind', kind::text, count(*) from day group by kind
        union all select 'type', type, count(*) from day, unnest(certificate_types) as type
          where kind = ${recordKinds.access} group by type),
      ranked as (
        select dimension, value, n, row_number() over (partition by dimension order by n desc, value) as place
        from counted where value is not null)
      select dimension, value, n from ranked where place <= ${valuesPerDay} order by dimension, place`,
  };
  return db.query<Count>(statement, [from, until]);
}

type Grouping = 'client_id' | 'officer_key' | 'holder_key' | 'case_key' | 'department_code';
type Counted<Groups extends Grouping> = { readonly [Group in Groups]: NonNullable<RecordRow[Group]> } & {
  readonly n: number;
};

/** The accesses of a span ($1, $2) on which none of these columns is empty. */
const accessesWith = (...columns: readonly Grouping[]): string =>
  `from records where kind = ${recordKinds.access} and recorded_at >= $1 and recorded_at < $2
    ${columns.map((column) => `and ${column} is not null`).join(' ')}`;

interface DistinctCount<Groups extends Grouping> {
  /** Of the statement. */
  readonly name: string;
  readonly groups: readonly Groups[];
  readonly counted: Grouping;
  /** Groups with fewer are left out. */
  readonly atLeast: number;
  readonly limit: number;
}

/** A count of distinct values per group, greatest first. */
function distinctPer<Groups extends Grouping>({ name, groups, counted, atLeast, limit }: DistinctCount<Groups>) {
  const by = groups.join(', ');
  const statement = {
    name,
    text: `select ${by}, count(distinct ${counted}) as n ${accessesWith(...groups, counted)}
      group by ${by} having count(distinct ${counted}) >= ${atLeast} order by n desc, ${by} limit ${limit}`,
  };
  return (db: Database, { from, until }: Span): Promise<Counted<Groups>[]> =>
    db.query<Counted<Groups>>(statement, [from, until]);
}

/** Distinct holders asked about, per client; one day. */
export const holdersPerClient = distinctPer({
  name: 'overview_clients',
  groups: ['client_id'],
  counted: 'holder_key',
  atLeast: 1,
  limit: 2_000,
});

/** Officers who asked about more distinct holders on a day than anybody's `fewHolders`. */
export const busyOfficers = distinctPer({
  name: 'overview_officers',
  groups: ['officer_key'],
  counted: 'holder_key',
  atLeast: unusualRules.fewHolders + 1,
  limit: 50,
});

/** Holders about whom many departments asked. */
export const soughtHolders = distinctPer({
  name: 'overview_sought',
  groups: ['holder_key'],
  counted: 'department_code',
  atLeast: unusualRules.departmentsOfHolder,
  limit: 50,
});

/** Case numbers of a department under which many holders were asked about. */
export const sharedCases = distinctPer({
  name: 'overview_cases',
  groups: ['case_key', 'department_code'],
  counted: 'holder_key',
  atLeast: unusualRules.holdersOfCase,
  limit: 50,
});

/** Distinct holders of one officer on each day of a span on which there were any, by the city's calendar. */
export async function holdersPerDayOf(
  db: Database,
  officerKey: Buffer,
  { from, until }: Span,
  timeZone: string,
): Promise<number[]> {
  const statement = {
    name: 'overview_officer_days',
    text: `select count(distinct holder_key) as n ${accessesWith('holder_key')} and officer_key = $3
      group by (recorded_at at time zone $4)::date`,
  };
  return (await db.query<{ n: number }>(statement, [from, until, officerKey, timeZone])).map(({ n }) => n);
}

export interface OffHours {
  readonly client_id: string;
  readonly officer_key: Buffer | null;
  /** The day on whose evening the night began, or the day of the weekend. */
  readonly night: string;
  readonly first: Date;
  readonly last: Date;
  readonly n: number;
}

/** Accesses outside working hours per client, officer and night, greatest first. A night ends when work begins. */
export async function offHours(db: Database, { from, until }: Span, timeZone: string): Promise<OffHours[]> {
  const { workFrom, workUntil, offHoursAccesses } = unusualRules;
  const statement = {
    name: 'overview_off_hours',
    text: `select client_id, officer_key, to_char(night, 'YYYY-MM-DD') as night,
        min(recorded_at) as first, max(recorded_at) as last, count(*) as n
      from (
        select client_id, officer_key, recorded_at, clock, (clock - interval '${workFrom} hours')::date as night
        from (select client_id, officer_key, recorded_at, recorded_at at time zone $3 as clock
          ${accessesWith('client_id')}) as accesses
      ) as nights
      where extract(isodow from night) > 5 or extract(hour from clock) < ${workFrom} or extract(hour from clock) >= ${workUntil}
      group by client_id, officer_key, night having count(*) > ${offHoursAccesses} order by n desc limit 50`,
  };
  return db.query<OffHours>(statement, [from, until, timeZone]);
}
