import type { Database } from '../../db/database.ts';
import { type Calendar, type Day, dayAt } from './city-calendar.ts';
import {
  busyOfficers,
  holdersPerClient,
  holdersPerDayOf,
  offHours,
  type Span,
  sharedCases,
  soughtHolders,
} from './overview-store.ts';
import { shownKey } from './record-filter.ts';
import { type Finding, type FindingRule, unusualRules, usualHolders, wordsOf } from './unusual.ts';

interface UnusualDeps {
  readonly db: Database;
  readonly calendar: Calendar;
  /** Throws when the overview takes too long; asked between statements. */
  readonly inTime: () => void;
}

/** Findings listed of each rule at most, and officers whose habit is looked up. */
const listedPerRule = 50;
const officersAsked = 200;
const dayMs = 86_400_000;
const hourMs = 3_600_000;

/** Looks for what `unusual.ts` calls unusual; of each rule those that go furthest beyond the usual. */
export async function findUnusual(
  deps: UnusualDeps,
  days: readonly Day[],
): Promise<{ readonly findings: Finding[]; readonly more: number }> {
  const byRule = [
    await unusualClients(deps, days),
    await unusualOfficers(deps, days),
    await unusualNights(deps, days),
    await soughtByMany(deps, days),
    await casesOfMany(deps, days),
  ].map((found) => found.toSorted((a, b) => b.count / b.usual - a.count / a.usual));
  const more = byRule.reduce((sum, found) => sum + Math.max(0, found.length - listedPerRule), 0);
  return { findings: byRule.flatMap((found) => found.slice(0, listedPerRule)), more };
}

/** What each span holds, one after the other. */
async function* rowsOf<S extends Span, Row>(
  inTime: () => void,
  spans: readonly S[],
  ask: (span: S) => Promise<readonly Row[]>,
): AsyncGenerator<{ readonly at: number; readonly span: S; readonly row: Row }> {
  for (const [at, span] of spans.entries()) {
    inTime();
    for (const row of await ask(span)) yield { at, span, row };
  }
}

/** Each client's distinct holders of a day against its own days before. */
async function unusualClients({ db, calendar, inTime }: UnusualDeps, days: readonly Day[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  const habits = new Map<string, number[]>();
  const all = [...daysBefore(calendar, days), ...days];
  for await (const { at, span: day, row } of rowsOf(inTime, all, (each) => holdersPerClient(db, each))) {
    const { client_id: clientId, n } = row;
    const counts = habits.get(clientId) ?? [];
    const usual = usualHolders(counts.slice(Math.max(0, at - unusualRules.habitDays), at));
    if (at >= unusualRules.habitDays && n > usual) {
      findings.push(
        finding('many_holders_by_client', { count: n, usual, when: day.day }, { clientId, ...spanOf(day) }),
      );
    }
    // By day, so that a day without anything leaves a hole and not a shift.
    counts[at] = n;
    habits.set(clientId, counts);
  }
  return findings;
}

/** The busiest officers' distinct holders of a day against their own days before. */
async function unusualOfficers({ db, calendar, inTime }: UnusualDeps, days: readonly Day[]): Promise<Finding[]> {
  const busy: { readonly day: Day; readonly officerKey: Buffer; readonly n: number }[] = [];
  for await (const { span: day, row } of rowsOf(inTime, days, (each) => busyOfficers(db, each))) {
    busy.push({ day, officerKey: row.officer_key, n: row.n });
  }
  const findings: Finding[] = [];
  for (const { day, officerKey, n } of busy.toSorted((a, b) => b.n - a.n).slice(0, officersAsked)) {
    inTime();
    const [first] = daysBefore(calendar, [day]);
    const before = { from: first?.from ?? day.from, until: day.from };
    const usual = usualHolders(await holdersPerDayOf(db, officerKey, before, calendar.timeZone));
    if (n <= usual) continue;
    const search = { officerKey: shownKey(officerKey), ...spanOf(day) };
    findings.push(finding('many_holders_by_officer', { count: n, usual, when: day.day }, search));
  }
  return findings;
}

async function unusualNights({ db, calendar, inTime }: UnusualDeps, days: readonly Day[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  // A window ends when a night does: a night in two halves could stay below what either counts.
  const windows = windowsOf(days, unusualRules.workFrom * hourMs);
  for await (const { row } of rowsOf(inTime, windows, (each) => offHours(db, each, calendar.timeZone))) {
    const search = {
      clientId: row.client_id,
      ...(row.officer_key !== null && { officerKey: shownKey(row.officer_key) }),
      from: row.first,
      until: new Date(row.last.getTime() + 1),
    };
    const facts = { count: row.n, usual: unusualRules.offHoursAccesses, when: row.night };
    findings.push(finding('off_hours', facts, search));
  }
  return findings;
}

async function soughtByMany({ db, inTime }: UnusualDeps, days: readonly Day[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  for await (const { span, row } of rowsOf(inTime, windowsOf(days), (each) => soughtHolders(db, each))) {
    const facts = { count: row.n, usual: unusualRules.departmentsOfHolder - 1, when: span.day };
    const search = { holderKey: shownKey(row.holder_key), ...spanOf(span) };
    findings.push(finding('holder_asked_by_many_departments', facts, search));
  }
  return findings;
}

async function casesOfMany({ db, inTime }: UnusualDeps, days: readonly Day[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  for await (const { span, row } of rowsOf(inTime, windowsOf(days), (each) => sharedCases(db, each))) {
    const facts = { count: row.n, usual: unusualRules.holdersOfCase - 1, when: span.day };
    const search = { caseKey: shownKey(row.case_key), departmentCode: row.department_code, ...spanOf(span) };
    findings.push(finding('case_number_across_holders', facts, search));
  }
  return findings;
}

const finding = (
  rule: FindingRule,
  facts: { readonly count: number; readonly usual: number; readonly when: string },
  search: Omit<Finding['search'], 'kinds'>,
): Finding => ({
  rule,
  count: facts.count,
  usual: facts.usual,
  words: wordsOf[rule](facts),
  search: { ...search, kinds: ['access'] },
});

const spanOf = ({ from, until }: Span): Span => ({ from, until });

/** As many days before the first one as a habit looks back. */
function daysBefore(calendar: Calendar, [first]: readonly Day[]): Day[] {
  const start = first === undefined ? 0 : Date.parse(first.day);
  return Array.from({ length: unusualRules.habitDays }, (_, at) =>
    dayAt(calendar, start - (unusualRules.habitDays - at) * dayMs),
  );
}

/** The range in windows of some days, the last one shorter; all edges but the outer ones moved by `shiftMs`. */
function windowsOf(days: readonly Day[], shiftMs = 0): Day[] {
  const { windowDays } = unusualRules;
  const windows: Day[] = [];
  for (let at = 0; at < days.length; at += windowDays) {
    const [first, last] = [days[at], days[Math.min(at + windowDays, days.length) - 1]];
    if (first === undefined || last === undefined) break;
    const from = at === 0 ? first.from : new Date(first.from.getTime() + shiftMs);
    const isLast = at + windowDays >= days.length;
    windows.push({ day: first.day, from, until: isLast ? last.until : new Date(last.until.getTime() + shiftMs) });
  }
  return windows;
}
