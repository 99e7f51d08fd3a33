import { monthEnd } from '../audit/erasure/erasure.ts';
import { monthOf } from '../audit/record-body.ts';
import { type Feedback, type FeedbackStep, isOpen } from './feedback.ts';
import { isWaiting, type PaperDemand, type PaperDemandStep } from './paper-demand.ts';

/**
 * What is over is forgotten after a while: personal information is kept no longer than it is needed. What the counts are made of stays,
 * and says nothing of a person, an officer, a certificate or a case.
 */

/** What stays of a report. */
export interface ForgottenFeedback
  extends Pick<
    Feedback,
    'feedbackId' | 'receiptNumber' | 'clientId' | 'ownerDepartmentCode' | 'kind' | 'state' | 'createdAt' | 'dueAt'
  > {
  readonly forgottenAt: Date;
  readonly history: readonly Pick<FeedbackStep, 'step' | 'at' | 'departmentCode' | 'outcome' | 'dueAt'>[];
}

/** What stays of a demand for paper. */
export interface ForgottenPaperDemand
  extends Pick<
    PaperDemand,
    | 'paperDemandId'
    | 'departmentCode'
    | 'clientId'
    | 'reportedBy'
    | 'sameAs'
    | 'reason'
    | 'state'
    | 'createdAt'
    | 'dueAt'
  > {
  readonly forgottenAt: Date;
  readonly judged: Pick<PaperDemand['judged'], 'judgement'>;
  readonly history: readonly Pick<PaperDemandStep, 'step' | 'at'>[];
}

export type AnyFeedback = Feedback | ForgottenFeedback;
export type AnyPaperDemand = PaperDemand | ForgottenPaperDemand;

interface Steps {
  readonly history: readonly { readonly at: Date }[];
}

/** Since when nobody has to answer a report any more; undefined while somebody has to. */
export const feedbackSettledAt = ({ state, history }: Pick<Feedback, 'state'> & Steps): Date | undefined =>
  isOpen({ state }) ? undefined : history.at(-1)?.at;

/**
 * Since when nobody waits for an answer any more; undefined while somebody does. A demand that nobody contested waits for nothing; one
 * that is contested again begins anew with the next answer.
 */
export const demandSettledAt = ({ state, history }: Pick<PaperDemand, 'state'> & Steps): Date | undefined =>
  isWaiting(state) ? undefined : history.at(-1)?.at;

/** What was settled before this is forgotten: kept are so many whole months after the one (UTC) in which it was settled, as of records. */
export const settledBefore = (now: Date, months: number): Date => monthEnd(monthOf(now), -1 - months);

/** A settled report without whom and what it is about. */
export function forgottenFeedback(feedback: Feedback, forgottenAt: Date): ForgottenFeedback {
  const { feedbackId, receiptNumber, clientId, ownerDepartmentCode, kind, state, createdAt, dueAt, history } = feedback;
  return {
    feedbackId,
    receiptNumber,
    clientId,
    ownerDepartmentCode,
    kind,
    state,
    createdAt,
    dueAt,
    forgottenAt,
    history: history.map(({ step, at, departmentCode, outcome, dueAt: due }) => ({
      step,
      at,
      departmentCode,
      ...(outcome !== undefined && { outcome }),
      ...(due !== undefined && { dueAt: due }),
    })),
  };
}

/** A settled demand without whom it concerns and what was said. Whose certificates the judgement rests on goes too. */
export function forgottenPaperDemand(demand: PaperDemand, forgottenAt: Date): ForgottenPaperDemand {
  const {
    paperDemandId,
    departmentCode,
    clientId,
    reportedBy,
    sameAs,
    reason,
    state,
    createdAt,
    dueAt,
    judged,
    history,
  } = demand;
  return {
    paperDemandId,
    departmentCode,
    clientId,
    reportedBy,
    ...(sameAs !== undefined && { sameAs }),
    ...(reason !== undefined && { reason }),
    state,
    createdAt,
    ...(dueAt !== undefined && { dueAt }),
    forgottenAt,
    judged: { judgement: judged.judgement },
    history: history.map(({ step, at }) => ({ step, at })),
  };
}

/** Rows to go through in one transaction. */
export interface SettledRows {
  readonly settledBefore: Date;
  /** The last row of the batch before. */
  readonly after: string | undefined;
  readonly limit: number;
  readonly at: Date;
}

/** What one transaction did; `last` is undefined when there is no more to go through. */
export interface ForgottenRows {
  readonly forgotten: number;
  readonly last: string | undefined;
}
