import type { Recorder } from '../audit/record.ts';
import type { Database } from '../db/database.ts';
import { Refusal } from '../errors.ts';
import type { Call, Caller } from '../ids.ts';
import { type FaultKind, type Feedback, type FeedbackState, isReceiptNumber, sightOf } from './feedback.ts';
import type { FeedbackKeys, FeedbackStoreDeps } from './feedback-row.ts';
import { type FeedbackFilter, findFeedback, listFeedbackRows } from './feedback-store.ts';
import type { AnyFeedback } from './forgetting.ts';
import type { FaultKeys } from './report-fault.ts';

export interface ReadFeedbackDeps extends FeedbackStoreDeps {
  readonly db: Pick<Database, 'kysely'>;
  readonly record: Recorder;
  readonly keys: FeedbackKeys & Pick<FaultKeys, 'holderKey'>;
}

export interface FeedbackQuestion {
  readonly state?: FeedbackState;
  readonly kind?: FaultKind;
  readonly due?: 'soon' | 'overdue';
  readonly receiptNumber?: string;
  /** A feedback id: those made before it. */
  readonly after?: string;
  readonly limit?: number;
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const soonMs = 3 * 86_400_000;

/** The caller's view of the reports, newest first. Refuses `contract_violation` for a cursor or a receipt number that is none. */
export async function listFeedback(
  deps: Omit<ReadFeedbackDeps, 'record'>,
  { due, after, limit = 50, ...filters }: FeedbackQuestion,
  { caller, at }: { readonly caller: Caller; readonly at: Date },
): Promise<{ readonly items: readonly AnyFeedback[]; readonly next?: string }> {
  const { receiptNumber } = filters;
  if (after !== undefined && !uuid.test(after)) throw new Refusal('contract_violation', { pointer: '/after' });
  if (receiptNumber !== undefined && !isReceiptNumber(receiptNumber)) {
    throw new Refusal('contract_violation', { pointer: '/receiptNumber', rule: 'check_character' });
  }
  return listFeedbackRows(deps.db.kysely, deps, {
    ...filters,
    of: shownTo(caller),
    limit,
    ...(due !== undefined && { due: dueRange(due, at) }),
    ...(after !== undefined && { after }),
  });
}

const dueRange = (due: 'soon' | 'overdue', at: Date) =>
  due === 'overdue' ? { to: at } : { from: at, to: new Date(at.getTime() + soonMs) };

/** As `sightOf` says. */
const shownTo = ({ roles, clientId, department }: Caller): FeedbackFilter['of'] =>
  roles.includes('admin') || roles.includes('auditor')
    ? undefined
    : { clientId, ...(roles.includes('issuer') && { ownerDepartmentCode: department }) };

/**
 * One report, recorded before it is returned (invariant 1); `sight` says how much of it the caller may be told. While the lookup in
 * which the fault was seen is kept from its holder's report, so is that somebody read of it. Nobody is left in one that was forgotten.
 * @throws Refusal `feedback_unknown`, also for one the caller may not see, `record_unavailable`
 */
export async function readFeedback(
  deps: ReadFeedbackDeps,
  { feedbackId }: { readonly feedbackId: string },
  { caller, requestId, at }: Call,
): Promise<{ readonly feedback: AnyFeedback; readonly sight: 'full' | 'outline' }> {
  const feedback = await findFeedback(deps.db.kysely, deps, feedbackId);
  const sight = feedback && sightOf(caller, feedback);
  if (feedback === undefined || sight === undefined) throw new Refusal('feedback_unknown');
  const { receiptNumber, state } = feedback;
  const about: Partial<Feedback> = 'forgottenAt' in feedback ? {} : feedback;
  const { holder, certificateIdentifier, certificateTypeCode, secrecy } = about;
  const isFull = sight === 'full';
  const isSecret = secrecy !== undefined && Date.parse(secrecy.releaseAt) > at.getTime();
  await deps.record({
    kind: isFull ? 'access' : 'audit_read',
    action: 'getFeedback',
    outcome: 'answered',
    caller: { clientId: caller.clientId, department: caller.department, keyId: caller.keyId },
    ...(isFull && holder !== undefined && { subjects: [deps.keys.holderKey(holder.type, holder.number)] }),
    ...(certificateIdentifier !== undefined && { certificates: [certificateIdentifier] }),
    requestId,
    at,
    detail: {
      feedbackId,
      receiptNumber,
      ...(certificateTypeCode === undefined ? { state, forgotten: true } : { certificateTypeCode }),
      ...(isSecret && { secrecy }),
    },
  });
  return { feedback, sight };
}
