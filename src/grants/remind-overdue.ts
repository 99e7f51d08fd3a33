import type { Database } from '../db/database.ts';
import { type ApplicationStoreDeps, overdueApplications } from './application-store.ts';

export interface RemindDeps extends ApplicationStoreDeps {
  readonly db: Pick<Database, 'kysely'>;
  /** English name of a department: its code would be censored in the log like every USCC. */
  readonly departmentName: (code: string) => Promise<string | undefined>;
  readonly log: { warn(facts: object, message: string): void };
}

/** Logs, for each owner department, how many applications for its types wait too long for it, for the hub and for the province. Numbers only. */
export async function remindOfOverdue(deps: RemindDeps, at: Date): Promise<void> {
  const counts = new Map<string, { owner: number; hub: number; province: number }>();
  for (const { ownerDepartmentCode, state } of await overdueApplications(deps.db.kysely, deps, at)) {
    const count = counts.get(ownerDepartmentCode) ?? { owner: 0, hub: 0, province: 0 };
    if (state === 'awaiting_owner') count.owner += 1;
    else if (state === 'prepared') count.province += 1;
    else count.hub += 1;
    counts.set(ownerDepartmentCode, count);
  }
  for (const [department, { owner, hub, province }] of [...counts].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const name = await deps.departmentName(department);
    deps.log.warn(
      {
        department: name ?? 'unknown',
        count: owner + hub + province,
        awaitingOwner: owner,
        awaitingHub: hub,
        awaitingProvince: province,
      },
      'decisions on applications for grants are overdue',
    );
  }
}

export interface OverdueReminder {
  /** Once, now. Never rejects: what failed is logged. */
  remind(): Promise<void>;
  stop(): void;
}

/** Reminds every hour of everything that is late, beginning an hour from now. One reminder that fails keeps back no other. */
export function remindHourly({
  reminders,
  log,
  now,
}: {
  readonly reminders: readonly ((at: Date) => Promise<void>)[];
  readonly log: { error(facts: object, message: string): void };
  readonly now: () => Date;
}): OverdueReminder {
  const remind = async (): Promise<void> => {
    for (const each of reminders) {
      await each(now()).catch((error: unknown) => log.error({ err: error }, 'what is overdue could not be counted'));
    }
  };
  const timer = setInterval(() => void remind(), 3_600_000).unref();
  return { remind, stop: () => clearInterval(timer) };
}
