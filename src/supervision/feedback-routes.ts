import type { Handlers } from '../http/handlers.ts';
import { type AnswerFeedbackDeps, answerFeedback } from './answer-feedback.ts';
import { type CountFeedbackDeps, countFeedback } from './count-feedback.ts';
import { type Feedback, type FeedbackStep, isOverdue } from './feedback.ts';
import type { ForgottenFeedback } from './forgetting.ts';
import { listFeedback, type ReadFeedbackDeps, readFeedback } from './read-feedback.ts';
import { type ReportFaultDeps, reportFault } from './report-fault.ts';

export type FeedbackRoutesDeps = ReportFaultDeps & AnswerFeedbackDeps & ReadFeedbackDeps & CountFeedbackDeps;

/** What names nobody. */
function outline(feedback: Feedback, at: Date) {
  const { feedbackId, receiptNumber, kind, state, clientId, departmentCode, ownerDepartmentCode } = feedback;
  const { certificateTypeCode, certificateIdentifier, follows, createdAt, dueAt } = feedback;
  return {
    feedbackId,
    receiptNumber,
    kind,
    state,
    clientId,
    departmentCode,
    ownerDepartmentCode,
    certificateTypeCode,
    ...(certificateIdentifier !== undefined && { certificateIdentifier }),
    ...(follows !== undefined && { follows }),
    createdAt: createdAt.toISOString(),
    dueAt: dueAt.toISOString(),
    overdue: isOverdue(feedback, at),
  };
}
type Outline = ReturnType<typeof outline>;

/** All that is told of a report that was forgotten. */
const forgotten = ({ feedbackId, receiptNumber, state, forgottenAt }: ForgottenFeedback) => ({
  feedbackId,
  receiptNumber,
  state,
  forgottenAt: forgottenAt.toISOString(),
});

/** Reasons are free text: they may name people. */
const stepBody = ({ at, dueAt, reason, ...step }: FeedbackStep, isFull: boolean) => ({
  ...step,
  at: at.toISOString(),
  ...(dueAt !== undefined && { dueAt: dueAt.toISOString() }),
  ...(isFull && reason !== undefined && { reason }),
});

function whole(feedback: Feedback, at: Date, isFull: boolean) {
  const { fields, matterCode, holder, explanation, caseNumber, recordId, publicReference, officer } = feedback;
  return {
    ...outline(feedback, at),
    ...(fields !== undefined && { fields: [...fields] }),
    ...(isFull && {
      explanation,
      ...(matterCode !== undefined && { matterCode }),
      ...(holder !== undefined && { holder }),
      ...(caseNumber !== undefined && { caseNumber }),
      ...(recordId !== undefined && { recordId }),
      ...(publicReference !== undefined && { publicReference }),
      ...(officer !== undefined && { officer }),
    }),
    history: feedback.history.map((step) => stepBody(step, isFull)),
  };
}

/** As it stands in the database: a UUID may be written in capitals. */
const idOf = ({ feedbackId }: { readonly feedbackId: string }) => ({ feedbackId: feedbackId.toLowerCase() });

type FeedbackOperation = 'listFeedback' | 'reportFault' | 'getFeedback' | 'answerFeedback' | 'countFeedback';

/** Contract ↔ domain for reported faults. */
export function feedbackHandlers(deps: FeedbackRoutesDeps): Pick<Handlers, FeedbackOperation> {
  return {
    listFeedback: async ({ query, caller, receivedAt }) => {
      const { items, next } = await listFeedback(deps, query, { caller, at: receivedAt });
      const body = items.map((feedback) =>
        'forgottenAt' in feedback ? forgotten(feedback) : outline(feedback, receivedAt),
      );
      return { status: 200, body: { items: body, ...(next !== undefined && { next }) } };
    },
    getFeedback: async ({ params, caller, requestId, receivedAt }) => {
      const call = { caller, requestId, at: receivedAt };
      const { feedback, sight } = await readFeedback(deps, idOf(params), call);
      if ('forgottenAt' in feedback) return { status: 200, body: forgotten(feedback) };
      return { status: 200, body: whole(feedback, receivedAt, sight === 'full') };
    },
    reportFault: async ({ body, headers, caller, requestId, receivedAt }) => {
      const call = { caller, requestId, at: receivedAt, idempotencyKey: headers['idempotency-key'] };
      const { recordId, follows, ...rest } = body;
      const report = {
        ...rest,
        ...(recordId !== undefined && { recordId: recordId.toLowerCase() }),
        ...(follows !== undefined && { follows: follows.toLowerCase() }),
      };
      const answer = await reportFault(deps, report, call, (made) => ({
        status: 201,
        body: outline(made, receivedAt),
      }));
      return { status: 201, body: answer.body as Outline };
    },
    answerFeedback: async ({ params, body, headers, caller, requestId, receivedAt }) => {
      const call = { caller, requestId, at: receivedAt, idempotencyKey: headers['idempotency-key'] };
      const answer = await answerFeedback(deps, { ...body, ...idOf(params) }, call, (after) => ({
        status: 200,
        body: outline(after, receivedAt),
      }));
      return { status: 200, body: answer.body as Outline };
    },
    countFeedback: async ({ query, caller, receivedAt }) => {
      const { items, ...range } = await countFeedback(deps, query, { caller, at: receivedAt });
      return {
        status: 200,
        body: { ...range, items: items.map((each) => ({ ...each, answered: { ...each.answered } })) },
      };
    },
  };
}
