import type { Transaction } from 'kysely';
import type { RecordIn } from '../audit/record.ts';
import type { Database } from '../db/database.ts';
import type { Tables } from '../db/tables.ts';
import { transaction } from '../db/transaction.ts';
import type { FeedbackStoreDeps } from './feedback-row.ts';
import { forgetFeedback } from './feedback-store.ts';
import { type ForgottenRows, type SettledRows, settledBefore } from './forgetting.ts';
import type { PaperDemandStoreDeps } from './paper-demand-row.ts';
import { forgetPaperDemands } from './paper-demand-store.ts';

export type ForgetDeps = FeedbackStoreDeps &
  PaperDemandStoreDeps & {
    readonly db: Pick<Database, 'kysely'>;
    readonly recordIn: RecordIn;
    /** How long it is kept after it was settled; undefined: for good. */
    readonly months: number | undefined;
  };

/** How many were forgotten. */
export interface Forgotten {
  readonly feedback: number;
  readonly paperDemands: number;
}

type Forget = (trx: Transaction<Tables>, deps: ForgetDeps, rows: SettledRows) => Promise<ForgottenRows>;

const rowsAtOnce = 100;

/**
 * Forgets reports of faults and demands for paper whose time is over, in batches of one transaction each, with one record that says how
 * many: nobody makes them vanish unnoticed. Several processes may do so at once: each passes over what another holds. What a batch did
 * stays, whatever becomes of the next; `goesOn` is asked before each.
 */
export async function forgetSettled(deps: ForgetDeps, at: Date, goesOn = (): boolean => true): Promise<Forgotten> {
  const forgetAll = async (table: 'feedback' | 'paper_demands', forget: Forget): Promise<number> => {
    if (deps.months === undefined) return 0;
    const before = settledBefore(at, deps.months);
    let [total, after]: [number, string | undefined] = [0, undefined];
    while (goesOn()) {
      const rows = { settledBefore: before, after, limit: rowsAtOnce, at };
      const { forgotten, last } = await transaction(deps.db, async (trx) => {
        const done = await forget(trx, deps, rows);
        if (done.forgotten > 0) await recordBatch(trx, deps, { table, forgotten: done.forgotten, before, at });
        return done;
      });
      total += forgotten;
      if (last === undefined) break;
      after = last;
    }
    return total;
  };
  return {
    feedback: await forgetAll('feedback', forgetFeedback),
    paperDemands: await forgetAll('paper_demands', forgetPaperDemands),
  };
}

/** Numbers only: by the records of the acts themselves an auditor finds whom they were about, as long as those are kept. */
const recordBatch = (
  trx: Transaction<Tables>,
  { recordIn, months }: ForgetDeps,
  {
    table,
    forgotten,
    before,
    at,
  }: { readonly table: string; readonly forgotten: number; readonly before: Date; readonly at: Date },
): Promise<void> =>
  recordIn(trx, {
    kind: 'registry',
    action: 'forgetSettled',
    outcome: 'done',
    requestId: `forget-${at.toISOString()}`,
    at,
    detail: { table, forgotten, settledBefore: before.toISOString(), months },
  });

export interface Forgetting {
  /** Forgets what is due, behind what was begun before. Never rejects: what failed is logged, and tried again an hour later. */
  forget(): Promise<void>;
  /** Ends after the batch under way. */
  stop(): Promise<void>;
}

/** Forgets every hour what is due by then, beginning an hour from now. */
export function forgetHourly({
  now,
  log,
  ...deps
}: ForgetDeps & {
  readonly now: () => Date;
  readonly log: {
    info(facts: object, message: string): void;
    error(facts: object, message: string): void;
  };
}): Forgetting {
  let [isStopped, underWay] = [false, Promise.resolve()];
  const once = async (): Promise<void> => {
    try {
      const { feedback, paperDemands } = await forgetSettled(deps, now(), () => !isStopped);
      if (feedback > 0) log.info({ count: feedback }, 'settled reports of faults are forgotten');
      if (paperDemands > 0) log.info({ count: paperDemands }, 'settled demands for paper are forgotten');
    } catch (error) {
      log.error({ err: error }, 'settled reports of faults and demands for paper could not be forgotten');
    }
  };
  const forget = (): Promise<void> => {
    underWay = underWay.then(once);
    return underWay;
  };
  const timer = setInterval(() => void forget(), 3_600_000).unref();
  return {
    forget,
    stop: () => {
      isStopped = true;
      clearInterval(timer);
      return underWay;
    },
  };
}
