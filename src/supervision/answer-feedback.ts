import type { RecordIn } from '../audit/record.ts';
import type { CatalogueView } from '../catalogue/catalogue.ts';
import type { Database } from '../db/database.ts';
import type { Write, WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import type { Call, Caller, Officer } from '../ids.ts';
import { answered, type Feedback, type FeedbackVerdict, issuersOf, judgeVerdict } from './feedback.ts';
import type { FeedbackKeys, FeedbackStoreDeps } from './feedback-row.ts';
import { findFeedback, lockFeedback, updateFeedback } from './feedback-store.ts';
import { mustBeMended } from './mended.ts';
import type { FaultKeys } from './report-fault.ts';

export interface AnswerFeedbackDeps extends FeedbackStoreDeps {
  readonly write: Write;
  readonly recordIn: RecordIn;
  readonly db: Pick<Database, 'kysely'>;
  readonly keys: FeedbackKeys & Pick<FaultKeys, 'holderKey'>;
  readonly catalogue: CatalogueView;
  /** When an answer that becomes due for a new owner at that moment is late. */
  readonly dueAfter: (at: Date) => Date;
}

export interface FeedbackAnswer extends FeedbackVerdict {
  readonly feedbackId: string;
  readonly officer: Officer;
}

/**
 * Answers a report as the department that has to, or passes it on to another issuer. The first final answer counts: of two at once
 * one waits for the other's row and then finds the report closed. What it claims is checked against the certificates in the same
 * transaction. Refuses `feedback_unknown`, `feedback_closed` (context.state), `feedback_invalid`, `feedback_not_mended`
 * (context.expected).
 */
export async function answerFeedback(
  deps: AnswerFeedbackDeps,
  { feedbackId, officer, ...verdict }: FeedbackAnswer,
  call: Call & { readonly idempotencyKey: string },
  present: (feedback: Feedback) => WriteAnswer,
): Promise<WriteAnswer> {
  const { caller, idempotencyKey, at } = call;
  const content = { feedbackId, officer, ...verdict };
  return deps.write(
    { caller, operation: 'answerFeedback', idempotencyKey, content },
    {
      prepare: async () => {
        const found = await findFeedback(deps.db.kysely, deps, feedbackId);
        if (found === undefined || !owns(caller, found)) throw new Refusal('feedback_unknown');
        if ('forgottenAt' in found) return [];
        const type = (await deps.catalogue.read()).newest(found.certificateTypeCode)?.type;
        return type === undefined ? [] : issuersOf(type, at);
      },
      apply: async (trx, issuers) => {
        const locked = await lockFeedback(trx, deps, feedbackId);
        if (locked === undefined || !owns(caller, locked.feedback)) throw new Refusal('feedback_unknown');
        const { feedback, faultKey } = locked;
        if ('forgottenAt' in feedback) throw new Refusal('feedback_closed', { state: feedback.state });
        const refusal = judgeVerdict(feedback, verdict, issuers);
        if (refusal !== undefined) throw refusal;
        await mustBeMended(trx, deps.keys.box, feedback, { verdict, at });
        const by = { at, departmentCode: caller.department, clientId: caller.clientId, nextDueAt: deps.dueAfter(at) };
        const after = answered(feedback, verdict, by);
        await updateFeedback(trx, deps, { feedback: after, faultKey });
        const { holder, certificateIdentifier: reported, receiptNumber, certificateTypeCode } = feedback;
        const { certificateIdentifier: named, departmentCode, outcome, reason } = verdict;
        const certificates = [reported, named].filter((each) => each !== undefined);
        await deps.recordIn(trx, {
          kind: 'registry',
          action: 'answerFeedback',
          outcome: 'done',
          caller: { clientId: caller.clientId, department: caller.department, keyId: caller.keyId },
          officer,
          ...(holder !== undefined && { subjects: [deps.keys.holderKey(holder.type, holder.number)] }),
          ...(certificates.length > 0 && { certificates }),
          requestId: call.requestId,
          at,
          detail: {
            feedbackId,
            steps: after.history.length,
            receiptNumber,
            certificateTypeCode,
            outcome,
            reason,
            ...(departmentCode !== undefined && { forwardedTo: departmentCode }),
          },
        });
        return present(after);
      },
    },
  );
}

const owns = ({ roles, department }: Caller, { ownerDepartmentCode }: Pick<Feedback, 'ownerDepartmentCode'>): boolean =>
  roles.includes('issuer') && department === ownerDepartmentCode;
