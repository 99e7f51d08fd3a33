import type { Database } from '../db/database.ts';
import type { PaperDemandStoreDeps } from './paper-demand-row.ts';
import { everyPaperDemand } from './paper-demand-store.ts';

export interface RemindPaperDemandsDeps extends PaperDemandStoreDeps {
  readonly db: Pick<Database, 'kysely'>;
  /** English name of a department: its code would be censored in the log like every USCC. */
  readonly departmentName: (code: string) => Promise<string | undefined>;
  readonly log: { warn(facts: object, message: string): void };
}

/** Logs, for each office, how many demands for paper wait too long for its answer and for the hub's. Numbers only. */
export async function remindOfPaperDemands(deps: RemindPaperDemandsDeps, at: Date): Promise<void> {
  const counts = new Map<string, { office: number; hub: number }>();
  for await (const { departmentCode, state } of everyPaperDemand(deps.db.kysely, deps, { due: { to: at } })) {
    const { office, hub } = counts.get(departmentCode) ?? { office: 0, hub: 0 };
    const isHub = state === 'escalated';
    counts.set(departmentCode, isHub ? { office, hub: hub + 1 } : { office: office + 1, hub });
  }
  for (const [department, { office, hub }] of [...counts].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const name = await deps.departmentName(department);
    deps.log.warn(
      { department: name ?? 'unknown', count: office + hub, awaitingOffice: office, awaitingHub: hub },
      'answers on contested demands for paper are overdue',
    );
  }
}
