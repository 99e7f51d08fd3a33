import { type Kysely, sql, type Transaction } from 'kysely';
import type { Tables } from '../db/tables.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import type { FaultKind, Feedback, FeedbackState, FeedbackStep } from './feedback.ts';

/**
 * Table feedback. Whom a report is about and everything that somebody wrote stands in its box, which binds every other column: a row
 * that was written past the hub does not open, and is not used.
 */

type Handle = Kysely<Tables> | Transaction<Tables>;
type Row = Tables['feedback'];

export interface FeedbackKeys {
  readonly box: {
    seal(boundTo: Uint8Array, plain: Uint8Array): Buffer;
    open(boundTo: Uint8Array, sealed: Uint8Array): Buffer;
  };
}
export interface FeedbackStoreDeps {
  readonly keys: FeedbackKeys;
  /** Told of every row that was written past the hub; such a row is not used. */
  readonly tampered: (table: string, id: string) => void;
}

const bound = (row: Omit<Row, 'box'>): Buffer =>
  Buffer.from(
    canonicalJson([
      'certhub/feedback/1',
      row.feedback_id,
      row.receipt_number,
      row.client_id,
      row.owner_department_code,
      row.kind,
      row.state,
      row.fault_key.toString('hex'),
      row.due_at.getTime(),
      row.created_at.getTime(),
    ]),
  );

function toRow({ keys }: Pick<FeedbackStoreDeps, 'keys'>, feedback: Feedback, faultKey: Buffer): Row {
  const { feedbackId, receiptNumber, clientId, ownerDepartmentCode, kind, state, dueAt, createdAt, ...said } = feedback;
  const row = {
    feedback_id: feedbackId,
    receipt_number: receiptNumber,
    client_id: clientId,
    owner_department_code: ownerDepartmentCode,
    kind,
    state,
    fault_key: faultKey,
    due_at: dueAt,
    created_at: createdAt,
  };
  return { ...row, box: keys.box.seal(bound(row), Buffer.from(JSON.stringify(said))) };
}

/** As JSON keeps it: times as text. */
type ToldStep = Omit<FeedbackStep, 'at' | 'dueAt'> & { readonly at: string; readonly dueAt?: string };
type Said = Omit<
  Feedback,
  | 'feedbackId'
  | 'receiptNumber'
  | 'clientId'
  | 'ownerDepartmentCode'
  | 'kind'
  | 'state'
  | 'dueAt'
  | 'createdAt'
  | 'history'
> & { readonly history: readonly ToldStep[] };

/** The report of a row, or undefined, and reported, when the row was not written by the hub. */
function fromRow({ keys, tampered }: FeedbackStoreDeps, row: Row): Feedback | undefined {
  let said: Said;
  try {
    // PostgreSQL's infinity, which a row written past the hub may hold, is no Date: that throws too.
    said = JSON.parse(keys.box.open(bound(row), row.box).toString('utf8')) as Said;
  } catch {
    tampered('feedback', row.feedback_id);
    return undefined;
  }
  return {
    ...said,
    history: said.history.map(({ at, dueAt, ...step }) => ({
      ...step,
      at: new Date(at),
      ...(dueAt !== undefined && { dueAt: new Date(dueAt) }),
    })),
    feedbackId: row.feedback_id,
    receiptNumber: row.receipt_number,
    clientId: row.client_id,
    ownerDepartmentCode: row.owner_department_code,
    kind: row.kind as FaultKind,
    state: row.state as FeedbackState,
    dueAt: row.due_at,
    createdAt: row.created_at,
  };
}

/** Enters a report; false when its receipt number is taken. `faultKey`: what it is about, keyed. */
export async function insertFeedback(
  trx: Transaction<Tables>,
  deps: FeedbackStoreDeps,
  feedback: Feedback,
  faultKey: Buffer,
): Promise<boolean> {
  const inserted = await trx
    .insertInto('feedback')
    .values(toRow(deps, feedback, faultKey))
    .onConflict((conflict) => conflict.column('receipt_number').doNothing())
    .returning('feedback_id')
    .executeTakeFirst();
  return inserted !== undefined;
}

/** A report whose row is held until the transaction ends, with what its row was found by. */
export interface LockedFeedback {
  readonly feedback: Feedback;
  readonly faultKey: Buffer;
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
  const feedback = row === undefined ? undefined : fromRow(deps, row);
  return row === undefined || feedback === undefined ? undefined : { feedback, faultKey: row.fault_key };
}

/** Writes what became of a report whose row is locked. */
export async function updateFeedback(
  trx: Transaction<Tables>,
  deps: FeedbackStoreDeps,
  { feedback, faultKey }: LockedFeedback,
): Promise<void> {
  const { owner_department_code, state, due_at, box } = toRow(deps, feedback, faultKey);
  await trx
    .updateTable('feedback')
    .set({ owner_department_code, state, due_at, box })
    .where('feedback_id', '=', feedback.feedbackId)
    .execute();
}

/** One report as it stands. */
export async function findFeedback(
  handle: Handle,
  deps: FeedbackStoreDeps,
  feedbackId: string,
): Promise<Feedback | undefined> {
  const row = await handle.selectFrom('feedback').selectAll().where('feedback_id', '=', feedbackId).executeTakeFirst();
  return row === undefined ? undefined : fromRow(deps, row);
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
): Promise<Feedback | undefined> {
  const rows = await trx
    .selectFrom('feedback')
    .selectAll()
    .where('client_id', '=', clientId)
    .where('fault_key', 'in', [...faultKeys])
    .where('state', '=', 'open')
    .execute();
  return rows.flatMap((row) => fromRow(deps, row) ?? [])[0];
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
): Promise<{ readonly items: readonly Feedback[]; readonly next?: string }> {
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
    items: rows.slice(0, limit).flatMap((row) => fromRow(deps, row) ?? []),
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
): AsyncGenerator<Feedback> {
  let after: string | undefined;
  for (;;) {
    let query = handle.selectFrom('feedback').selectAll().orderBy('feedback_id').limit(batch);
    if (from !== undefined) query = query.where('created_at', '>=', from);
    if (until !== undefined) query = query.where('created_at', '<', until);
    if (overdueAt !== undefined) query = query.where('state', '=', 'open').where('due_at', '<=', overdueAt);
    if (after !== undefined) query = query.where('feedback_id', '>', after);
    const rows = await query.execute();
    for (const row of rows) {
      const feedback = fromRow(deps, row);
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
