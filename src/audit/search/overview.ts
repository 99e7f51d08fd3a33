import type { Database } from '../../db/database.ts';
import { Refusal } from '../../errors.ts';
import type { Call } from '../../ids.ts';
import { recordKinds } from '../entry.ts';
import type { Receipt, Recorder } from '../record.ts';
import { auditRead } from './audit-read.ts';
import { type Calendar, type Day, dayAt } from './city-calendar.ts';
import { findUnusual } from './find-unusual.ts';
import { type Count, countDay, type Dimension } from './overview-store.ts';
import type { Finding } from './unusual.ts';

export interface OverviewDeps {
  readonly db: Database;
  readonly record: Recorder;
  readonly calendar: Calendar;
  /** Milliseconds of a clock that only goes forward. */
  readonly elapsed: () => number;
}

export interface OverviewQuery {
  readonly reason: string;
  /** Days of the city's calendar, half-open. */
  readonly from: string;
  readonly until: string;
}

export interface DayCounts {
  readonly day: string;
  readonly records: number;
  readonly accesses: number;
  readonly refused: number;
  readonly failed: number;
}

/** The most frequent values, and how many more there were under others. */
export interface Ranking {
  readonly items: readonly { readonly value: string; readonly count: number }[];
  readonly others: number;
}

export interface Overview {
  readonly days: readonly DayCounts[];
  readonly rankings: Readonly<Record<Exclude<Dimension, 'kind'>, Ranking>>;
  readonly unusual: readonly Finding[];
  /** Findings beyond those listed. */
  readonly moreUnusual: number;
  readonly receipt: Receipt;
}

const maxDays = 92;
const rankedValues = 50;
/** An overview that takes longer is refused: the person waits, and so do others. */
const patienceMs = 60_000;
const dayMs = 86_400_000;

/**
 * What happened between two days, counted over the columns of the records, and what of it is unusual. No body is opened; holders,
 * officers and cases appear as pseudonyms that a search takes. Recorded with its reason before it leaves (invariant 1).
 * @throws Refusal `range_invalid`, `range_too_long`, `search_too_broad`
 */
export async function overviewRecords(deps: OverviewDeps, query: OverviewQuery, call: Call): Promise<Overview> {
  const { db, record, calendar, elapsed } = deps;
  const { from, until, reason } = query;
  const days = daysBetween(calendar, from, until);
  const deadline = elapsed() + patienceMs;
  const inTime = (): void => {
    if (elapsed() > deadline) throw new Refusal('search_too_broad');
  };
  const counts: DayCounts[] = [];
  const tally = new Map<Dimension, Map<string, number>>();
  for (const each of days) {
    inTime();
    const counted = await countDay(db, each);
    counts.push(countsOf(each.day, counted));
    for (const { dimension, value, n } of counted) add(tally, dimension, value, n);
  }
  const { findings, more } = await findUnusual({ db, calendar, inTime }, days);
  const receipt = await record(auditRead('createOverview', call, { reason, scope: { from, until } }));
  const ranking = (dimension: Dimension): Ranking => rank(tally.get(dimension) ?? new Map<string, number>());
  return {
    days: counts,
    rankings: {
      department: ranking('department'),
      client: ranking('client'),
      matter: ranking('matter'),
      outcome: ranking('outcome'),
      code: ranking('code'),
      type: ranking('type'),
    },
    unusual: findings,
    moreUnusual: more,
    receipt,
  };
}

/** The days of a half-open range, each with its instants. */
function daysBetween(calendar: Calendar, from: string, until: string): Day[] {
  const [first, end] = [Date.parse(from), Date.parse(until)];
  // The hub has no records from before it was thought of, nor calendars for years of five digits.
  if (Number.isNaN(first) || Number.isNaN(end) || first >= end || from < '2000') throw new Refusal('range_invalid');
  const length = (end - first) / dayMs;
  if (length > maxDays) throw new Refusal('range_too_long', { maxDays });
  return Array.from({ length }, (_, at) => dayAt(calendar, first + at * dayMs));
}

function countsOf(day: string, counted: readonly Count[]): DayCounts {
  const of = (dimension: Dimension, value?: string): number =>
    counted
      .filter((each) => each.dimension === dimension && (value === undefined || each.value === value))
      .reduce((sum, { n }) => sum + n, 0);
  return {
    day,
    records: of('kind'),
    accesses: of('kind', String(recordKinds.access)),
    refused: of('outcome', 'refused'),
    failed: of('outcome', 'failed'),
  };
}

function add(tally: Map<Dimension, Map<string, number>>, dimension: Dimension, value: string, n: number): void {
  const values = tally.get(dimension) ?? new Map<string, number>();
  tally.set(dimension, values.set(value, (values.get(value) ?? 0) + n));
}

function rank(values: ReadonlyMap<string, number>): Ranking {
  const sorted = [...values].toSorted(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  const items = sorted.slice(0, rankedValues).map(([value, count]) => ({ value, count }));
  return { items, others: sorted.slice(rankedValues).reduce((sum, [, count]) => sum + count, 0) };
}
