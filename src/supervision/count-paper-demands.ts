import { isCalendarDay, nextDay } from '../certificates/city-day.ts';
import type { Database } from '../db/database.ts';
import { Refusal } from '../errors.ts';
import type { Call } from '../ids.ts';
import type { AnyPaperDemand } from './forgetting.ts';
import { isDeviation, isOverdue, seesEveryDemand, wasContested } from './paper-demand.ts';
import type { PaperDemandStoreDeps } from './paper-demand-row.ts';
import { everyPaperDemand } from './paper-demand-store.ts';

export interface CountPaperDemandsDeps extends PaperDemandStoreDeps {
  readonly db: Pick<Database, 'kysely'>;
  /** The first instant of a day of the city. */
  readonly startOfDay: (day: string) => Date;
  /** Calendar day of the city, yyyy-mm-dd. */
  readonly day: (at: Date) => string;
}

/** Half-open, days of the city, yyyy-mm-dd. */
export interface DayRange {
  readonly from: string;
  readonly until: string;
}

type Tally = Readonly<Record<string, number>>;

/** The demands of one department in a range. */
export interface DepartmentCounts {
  readonly departmentCode: string;
  readonly total: number;
  readonly contested: number;
  readonly withdrawn: number;
  readonly maintained: number;
  readonly overdue: number;
  readonly byReason: Tally;
  readonly byState: Tally;
  /** What the hub judged, for who sees every department: an office could record one demand and read off the judgement. */
  readonly deviations?: number;
  readonly byJudgement?: Tally;
}

const maxDays = 366;

/**
 * Counts the caller's view of the demands by department; of this month so far where no range is given. For who sees all of them, what was
 * reported and then recorded counts once, as reported. Every row is opened: what was written past the hub does not count, and what was
 * forgotten counts as before.
 * Refuses `range_invalid` and `range_too_long` (context.maxDays).
 */
export async function countPaperDemands(
  deps: CountPaperDemandsDeps,
  asked: Partial<DayRange>,
  { caller, at }: Pick<Call, 'caller' | 'at'>,
): Promise<DayRange & { readonly items: readonly DepartmentCounts[] }> {
  const today = deps.day(at);
  const range = { from: asked.from ?? `${today.slice(0, 'yyyy-mm'.length)}-01`, until: asked.until ?? nextDay(today) };
  const recorded = instantsOf(deps, range);
  const seesAll = seesEveryDemand(caller);
  const byDepartment = new Map<string, Counting>();
  const tally = (demand: AnyPaperDemand): void => {
    const counting = byDepartment.get(demand.departmentCode) ?? newCounting();
    byDepartment.set(demand.departmentCode, counting);
    count(counting, demand, at);
  };
  const reports = new Set<string>();
  const repeats: AnyPaperDemand[] = [];
  const filter = { recorded, ...(!seesAll && { departmentCode: caller.department }) };
  for await (const demand of everyPaperDemand(deps.db.kysely, deps, filter)) {
    if (demand.reportedBy === 'portal') reports.add(demand.paperDemandId);
    // An office could otherwise read off its total whether a person had complained of it.
    if (seesAll && demand.sameAs !== undefined) repeats.push(demand);
    else tally(demand);
  }
  for (const demand of repeats) if (!reports.has(demand.sameAs ?? '')) tally(demand);
  const items = [...byDepartment]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([departmentCode, counting]) => countsOf(departmentCode, counting, seesAll));
  return { ...range, items };
}

function instantsOf({ startOfDay }: CountPaperDemandsDeps, { from, until }: DayRange): { from: Date; until: Date } {
  if (!isCalendarDay(from) || !isCalendarDay(until) || from >= until) throw new Refusal('range_invalid');
  if (Date.parse(until) - Date.parse(from) > maxDays * 86_400_000) throw new Refusal('range_too_long', { maxDays });
  return { from: startOfDay(from), until: startOfDay(until) };
}

type Names = Map<string, number>;
interface Counting {
  readonly all: Names;
  readonly reason: Names;
  readonly state: Names;
  readonly judgement: Names;
}
const newCounting = (): Counting => ({ all: new Map(), reason: new Map(), state: new Map(), judgement: new Map() });
const add = (names: Names, name: string): void => void names.set(name, (names.get(name) ?? 0) + 1);

function count({ all, reason, state, judgement }: Counting, demand: AnyPaperDemand, at: Date): void {
  add(all, 'total');
  if (wasContested(demand)) add(all, 'contested');
  if (isOverdue(demand, at)) add(all, 'overdue');
  if (isDeviation(demand.judged)) add(all, 'deviations');
  add(reason, demand.reason ?? 'unstated');
  add(state, demand.state);
  add(judgement, demand.judged.judgement);
}

const countsOf = (
  departmentCode: string,
  { all, reason, state, judgement }: Counting,
  seesAll: boolean,
): DepartmentCounts => ({
  departmentCode,
  total: all.get('total') ?? 0,
  contested: all.get('contested') ?? 0,
  withdrawn: state.get('withdrawn') ?? 0,
  maintained: state.get('maintained') ?? 0,
  overdue: all.get('overdue') ?? 0,
  byReason: Object.fromEntries(reason),
  byState: Object.fromEntries(state),
  ...(seesAll && { deviations: all.get('deviations') ?? 0, byJudgement: Object.fromEntries(judgement) }),
});
