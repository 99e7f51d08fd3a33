import type { Database } from '../db/database.ts';
import { Refusal } from '../errors.ts';
import type { Caller } from '../ids.ts';
import { type FinalOutcome, isOpen, isOverdue } from './feedback.ts';
import type { FeedbackStoreDeps } from './feedback-row.ts';
import { everyFeedback } from './feedback-store.ts';
import type { AnyFeedback } from './forgetting.ts';

export interface CountFeedbackDeps extends FeedbackStoreDeps {
  readonly db: Pick<Database, 'kysely'>;
  /** Calendar day of the city, yyyy-mm-dd. */
  readonly day: (at: Date) => string;
  /** The first instant of a day. */
  readonly startOfDay: (day: string) => Date;
  readonly addDays: (day: string, days: number) => string;
  readonly isDay: (text: string) => boolean;
}

/** What became of the reports that one department had to answer. */
export interface FeedbackCounts {
  readonly ownerDepartmentCode: string;
  readonly open: number;
  /** Of those open: past the deadline. */
  readonly overdue: number;
  readonly answered: Readonly<Record<FinalOutcome, number>>;
  /** Passed on to another department, which counts them as its own. */
  readonly forwarded: number;
  /** Answered or passed on within the deadline, and after it. */
  readonly inTime: number;
  readonly late: number;
}

const maxDays = 366;
const dayMs = 86_400_000;

/**
 * Counts, per department, what became of the reports that were made on days of the city (half-open; the last 92 days when not said).
 * Issuers see their own department. Every report is opened for it, so one that was written past the hub does not count; one that was
 * forgotten counts as before.
 * @throws Refusal `range_invalid`, `range_too_long`
 */
export async function countFeedback(
  deps: CountFeedbackDeps,
  range: { readonly from?: string; readonly until?: string },
  { caller, at }: { readonly caller: Caller; readonly at: Date },
): Promise<{ readonly from: string; readonly until: string; readonly items: readonly FeedbackCounts[] }> {
  const until = range.until ?? deps.addDays(deps.day(at), 1);
  const from = range.from ?? (deps.isDay(until) ? deps.addDays(until, -92) : '');
  if (!deps.isDay(from) || !deps.isDay(until) || from >= until || from < '2000') throw new Refusal('range_invalid');
  if (Date.parse(until) - Date.parse(from) > maxDays * dayMs) throw new Refusal('range_too_long', { maxDays });
  const span = { from: deps.startOfDay(from), until: deps.startOfDay(until) };
  const tally: Tally = new Map();
  for await (const feedback of everyFeedback(deps.db.kysely, deps, span)) countIn(tally, feedback, at);
  const { roles, department } = caller;
  const seesAll = roles.includes('admin') || roles.includes('auditor');
  const items = [...tally.values()].filter(({ ownerDepartmentCode: code }) => seesAll || code === department);
  return { from, until, items: items.toSorted((a, b) => (a.ownerDepartmentCode < b.ownerDepartmentCode ? -1 : 1)) };
}

type Tally = Map<string, FeedbackCounts>;

/** Adds a report to what each department that had it is counted. Pure but for the tally. */
export function countIn(tally: Tally, feedback: AnyFeedback, at: Date): void {
  for (const { step, departmentCode, outcome, at: done, dueAt } of feedback.history) {
    if (step === 'reported') continue;
    const counts = countsOf(tally, departmentCode);
    const isLate = dueAt !== undefined && done >= dueAt;
    tally.set(departmentCode, {
      ...counts,
      ...(outcome !== undefined && {
        answered: { ...counts.answered, [outcome]: counts.answered[outcome] + 1 },
      }),
      ...(step === 'forwarded' && { forwarded: counts.forwarded + 1 }),
      inTime: counts.inTime + Number(!isLate),
      late: counts.late + Number(isLate),
    });
  }
  if (!isOpen(feedback)) return;
  const counts = countsOf(tally, feedback.ownerDepartmentCode);
  tally.set(feedback.ownerDepartmentCode, {
    ...counts,
    open: counts.open + 1,
    overdue: counts.overdue + Number(isOverdue(feedback, at)),
  });
}

const countsOf = (tally: Tally, ownerDepartmentCode: string): FeedbackCounts =>
  tally.get(ownerDepartmentCode) ?? {
    ownerDepartmentCode,
    open: 0,
    overdue: 0,
    answered: { corrected: 0, issued: 0, revoked: 0, refused: 0 },
    forwarded: 0,
    inTime: 0,
    late: 0,
  };
