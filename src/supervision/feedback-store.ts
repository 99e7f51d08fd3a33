import { type Kysely, sql, type Transaction } from 'kysely';
import type { Tables } from '../db/tables.ts';
import type { FaultKind, Feedback, FeedbackState } from './feedback.ts';
import { type FeedbackStoreDeps, fromFeedbackRow, toFeedbackRow } from './feedback-row.ts';
import { type AnyFeedback, type ForgottenRows, forgottenFeedback, type SettledRows } from './forgetting.ts';

/** Table feedback; its rows are made and opened in feedback-row.ts. */

type Handle = Kysely<Tables> | Transaction<Tables>;

/** Enters a report; false when its receipt number is taken. `faultKey`: what it is about, keyed. */
export async function insertFeedback(
  trx: Transaction<Tables>,
  deps: FeedbackStoreDeps,
  feedback: Feedback,
  faultKey: Buffer,
): Promise<boolean> {
  const inserted = await trx
    .insertInto('feedback')
    .values(toFeedbackRow(deps, feedback, faultKey))
    .onConflict((conflict) => conflict.column('receipt_number').doNothing())
    .returning('feedback_id')
    .executeTakeFirst();
  return inserted !== undefined;
}

/** A report whose row is held until the transaction ends, with what its row was found by. */
export interface LockedFeedback {
  readonly feedback: AnyFeedback;
  readonly faultKey: Buffer | null;
}

/** Reads one report for a change and holds its row until the transaction ends. */
export async function lockFeedback(
  trx: Transaction<Tables>,
  deps: FeedbackStoreDeps,
  feedbackId: string,
): Promise<LockedFeedback | undefined> {
  const row = await trx
    .selectFrom('feedback')
    .selectAll()
    .where('feedback_id', '=', feedbackId)
    .forUpdate()
    .executeTakeFirst();
  const feedback = row === undefined ? undefined : fromFeedbackRow(deps, row);
  return row === undefined || feedback === undefined ? undefined : { feedback, faultKey: row.fault_key };
}

/** Writes what became of a report whose row is locked. */
export async function updateFeedback(
  trx: Transaction<Tables>,
  deps: FeedbackStoreDeps,
  { feedback, faultKey }: LockedFeedback,
): Promise<void> {
  const { feedback_id, ...columns } = toFeedbackRow(deps, feedback, faultKey);
  await trx.updateTable('feedback').set(columns).where('feedback_id', '=', feedback_id).execute();
}

/** One report as it stands. */
export async function findFeedback(
  handle: Handle,
  deps: FeedbackStoreDeps,
  feedbackId: string,
): Promise<AnyFeedback | undefined> {
  const row = await handle.selectFrom('feedback').selectAll().where('feedback_id', '=', feedbackId).executeTakeFirst();
  return row === undefined ? undefined : fromFeedbackRow(deps, row);
}

/** Until the end of the transaction nobody else reports this: two equal reports at once cannot both find none. */
export async function holdFault(trx: Transaction<Tables>, clientId: string, faultKey: Buffer): Promise<void> {
  const name = `${clientId} ${faultKey.toString('hex')}`;
  await sql`select pg_advisory_xact_lock(hashtextextended(${name}, 8))`.execute(trx);
}

/** The client's open report of a fault; `faultKeys`: the fault under every key generation on file. */
export async function openFeedbackOn(
  trx: Transaction<Tables>,
  deps: FeedbackStoreDeps,
  { clientId, faultKeys }: { readonly clientId: string; readonly faultKeys: readonly Buffer[] },
): Promise<AnyFeedback | undefined> {
  const rows = await trx
    .selectFrom('feedback')
    .selectAll()
    .where('client_id', '=', clientId)
    .where('fault_key', 'in', [...faultKeys])
    .where('state', '=', 'open')
    .execute();
  return rows.flatMap((row) => fromFeedbackRow(deps, row) ?? [])[0];
}

/** Which reports to list. */
export interface FeedbackFilter {
  /** Those of a client or for a department to answer, either of them enough; undefined: all. */
  readonly of: { readonly clientId?: string; readonly ownerDepartmentCode?: string } | undefined;
  readonly state?: FeedbackState;
  readonly kind?: FaultKind;
  readonly receiptNumber?: string;
  /** Open ones whose answer is due after `from` and until `to`. */
  readonly due?: { readonly from?: Date; readonly to: Date };
  readonly after?: string;
  readonly limit: number;
}

/** Reports newest first. The cursor comes from the rows: one that was tampered with is left out and does not end the list. */
export async function listFeedbackRows(
  handle: Handle,
  deps: FeedbackStoreDeps,
  { of, state, kind, receiptNumber, due, after, limit }: FeedbackFilter,
): Promise<{ readonly items: readonly AnyFeedback[]; readonly next?: string }> {
  let query = handle
    .selectFrom('feedback')
    .selectAll()
    .orderBy('feedback_id', 'desc')
    .limit(limit + 1);
  if (of !== undefined) {
    query = query.where((where) =>
      where.or([
        ...(of.clientId === undefined ? [] : [where('client_id', '=', of.clientId)]),
        ...(of.ownerDepartmentCode === undefined ? [] : [where('owner_department_code', '=', of.ownerDepartmentCode)]),
      ]),
    );
  }
  if (state !== undefined) query = query.where('state', '=', state);
  if (kind !== undefined) query = query.where('kind', '=', kind);
  if (receiptNumber !== undefined) query = query.where('receipt_number', '=', receiptNumber);
  if (due !== undefined) query = query.where('state', '=', 'open').where('due_at', '<=', due.to);
  if (due?.from !== undefined) query = query.where('due_at', '>', due.from);
  if (after !== undefined) query = query.where('feedback_id', '<', after);
  const rows = await query.execute();
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  return {
    items: rows.slice(0, limit).flatMap((row) => fromFeedbackRow(deps, row) ?? []),
    ...(last !== undefined && { next: last.feedback_id }),
  };
}

/** Which reports to go through one by one. */
export interface FeedbackSpan {
  /** Half-open range of the time of the report. */
  readonly from?: Date;
  readonly until?: Date;
  /** Only those that are open and late at that moment. */
  readonly overdueAt?: Date;
}

const batch = 500;

/** Every report of a span in batches, oldest first: however many there are, others are served in between. */
export async function* everyFeedback(
  handle: Handle,
  deps: FeedbackStoreDeps,
  { from, until, overdueAt }: FeedbackSpan = {},
): AsyncGenerator<AnyFeedback> {
  let after: string | undefined;
  for (;;) {
    let query = handle.selectFrom('feedback').selectAll().orderBy('feedback_id').limit(batch);
    if (from !== undefined) query = query.where('created_at', '>=', from);
    if (until !== undefined) query = query.where('created_at', '<', until);
    if (overdueAt !== undefined) query = query.where('state', '=', 'open').where('due_at', '<=', overdueAt);
    if (after !== undefined) query = query.where('feedback_id', '>', after);
    const rows = await query.execute();
    for (const row of rows) {
      const feedback = fromFeedbackRow(deps, row);
      if (feedback !== undefined) yield feedback;
    }
    after = rows.length === batch ? rows.at(-1)?.feedback_id : undefined;
    if (after === undefined) return;
  }
}

/** Reads every row, so that those the hub did not write are reported. For the self-check: of how many steps each report is. */
export async function checkFeedback(
  trx: Transaction<Tables>,
  deps: FeedbackStoreDeps,
): Promise<ReadonlyMap<string, number>> {
  const steps = new Map<string, number>();
  for await (const { feedbackId, history } of everyFeedback(trx, deps)) steps.set(feedbackId, history.length);
  return steps;
}

/**
 * Forgets a batch of settled reports whose rows nobody else holds. A report stays as long as one that objects to its answer; one that was
 * written past the hub is left as it is, and reported.
 */
export async function forgetFeedback(
  trx: Transaction<Tables>,
  deps: FeedbackStoreDeps,
  { settledBefore, after, limit, at }: SettledRows,
): Promise<ForgottenRows> {
  let query = trx
    .selectFrom('feedback')
    .selectAll()
    .where('settled_at', '<', settledBefore)
    .where('forgotten_at', 'is', null)
    .where((where) =>
      where.not(
        where.exists(
          where
            .selectFrom('feedback as later')
            .select('later.feedback_id')
            .whereRef('later.follows', '=', 'feedback.feedback_id')
            .where('later.forgotten_at', 'is', null),
        ),
      ),
    )
    .orderBy('feedback_id')
    .limit(limit)
    .forUpdate()
    .skipLocked();
  if (after !== undefined) query = query.where('feedback_id', '>', after);
  const rows = await query.execute();
  let forgotten = 0;
  for (const row of rows) {
    const feedback = fromFeedbackRow(deps, row);
    if (feedback === undefined || 'forgottenAt' in feedback) continue;
    await updateFeedback(trx, deps, { feedback: forgottenFeedback(feedback, at), faultKey: null });
    forgotten += 1;
  }
  return { forgotten, last: rows.length === limit ? rows.at(-1)?.feedback_id : undefined };
}
