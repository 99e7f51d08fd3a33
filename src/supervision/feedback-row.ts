import type { Tables } from '../db/tables.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import type { FaultKind, Feedback, FeedbackState, FeedbackStep } from './feedback.ts';
import { type AnyFeedback, type ForgottenFeedback, feedbackSettledAt } from './forgetting.ts';

/**
 * Rows of table feedback. Whom a report is about and everything that somebody wrote stands in its box, which binds every other column: a
 * row that was written past the hub does not open, and is not used. So nobody empties one by SQL and calls it forgotten.
 */

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
      row.fault_key?.toString('hex') ?? null,
      row.follows,
      row.due_at.getTime(),
      row.created_at.getTime(),
      row.settled_at?.getTime() ?? null,
      row.forgotten_at?.getTime() ?? null,
    ]),
  );

/** The row of a report. `faultKey`: what it is about, keyed; a forgotten one has none, and no link to the report that it followed. */
export function toFeedbackRow(
  { keys }: Pick<FeedbackStoreDeps, 'keys'>,
  feedback: AnyFeedback,
  faultKey: Buffer | null,
): Row {
  const { feedbackId, receiptNumber, clientId, ownerDepartmentCode, kind, state, dueAt, createdAt, ...rest } = feedback;
  const { follows, forgottenAt, ...said } = { follows: undefined, forgottenAt: undefined, ...rest };
  const row = {
    feedback_id: feedbackId,
    receipt_number: receiptNumber,
    client_id: clientId,
    owner_department_code: ownerDepartmentCode,
    kind,
    state,
    fault_key: faultKey,
    follows: follows ?? null,
    due_at: dueAt,
    created_at: createdAt,
    settled_at: feedbackSettledAt(feedback) ?? null,
    forgotten_at: forgottenAt ?? null,
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
  | 'follows'
  | 'history'
> & { readonly history: readonly ToldStep[] };

/** The report of a row, or undefined, and reported, when the row was not written by the hub. */
export function fromFeedbackRow({ keys, tampered }: FeedbackStoreDeps, row: Row): AnyFeedback | undefined {
  let said: Said;
  try {
    // PostgreSQL's infinity, which a row written past the hub may hold, is no Date: that throws too.
    said = JSON.parse(keys.box.open(bound(row), row.box).toString('utf8')) as Said;
  } catch {
    tampered('feedback', row.feedback_id);
    return undefined;
  }
  const history = said.history.map(({ at, dueAt, ...step }) => ({
    ...step,
    at: new Date(at),
    ...(dueAt !== undefined && { dueAt: new Date(dueAt) }),
  }));
  const columns = {
    feedbackId: row.feedback_id,
    receiptNumber: row.receipt_number,
    clientId: row.client_id,
    ownerDepartmentCode: row.owner_department_code,
    kind: row.kind as FaultKind,
    state: row.state as FeedbackState,
    dueAt: row.due_at,
    createdAt: row.created_at,
  };
  if (row.forgotten_at !== null) {
    return { ...columns, history, forgottenAt: row.forgotten_at } satisfies ForgottenFeedback;
  }
  return { ...said, ...columns, history, ...(row.follows !== null && { follows: row.follows }) };
}
