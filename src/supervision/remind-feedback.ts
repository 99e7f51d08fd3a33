import type { Database } from '../db/database.ts';
import type { FeedbackStoreDeps } from './feedback-row.ts';
import { everyFeedback } from './feedback-store.ts';

export interface RemindFeedbackDeps extends FeedbackStoreDeps {
  readonly db: Pick<Database, 'kysely'>;
  /** English name of a department: its code would be censored in the log like every USCC. */
  readonly departmentName: (code: string) => Promise<string | undefined>;
  readonly log: { warn(facts: object, message: string): void };
}

/** Logs, for each department, how many reported faults wait too long for its answer. Numbers only. */
export async function remindOfFeedback(deps: RemindFeedbackDeps, at: Date): Promise<void> {
  const counts = new Map<string, number>();
  for await (const { ownerDepartmentCode } of everyFeedback(deps.db.kysely, deps, { overdueAt: at })) {
    counts.set(ownerDepartmentCode, (counts.get(ownerDepartmentCode) ?? 0) + 1);
  }
  for (const [code, count] of [...counts].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const department = (await deps.departmentName(code)) ?? 'unknown';
    deps.log.warn({ department, count }, 'answers to reported faults of certificates are overdue');
  }
}
