import type { Handlers } from '../http/handlers.ts';
import { type CheckMatterDeps, checkMatter, type MatterCheck } from './check-matter.ts';
import type { Finding, Reason } from './matter-finding.ts';
import { reasonWords } from './matter-words.ts';

type Body = Awaited<ReturnType<Handlers['checkMatter']>>['body'];

/** Contract ↔ domain for matter checks. */
export const matterCheckHandlers = (deps: CheckMatterDeps): Pick<Handlers, 'checkMatter'> => ({
  checkMatter: async ({ params, body, caller, requestId, receivedAt }) => {
    const call = { caller, requestId, at: receivedAt };
    return { status: 200, body: checkBody(await checkMatter(deps, { ...body, ...params }, call)) };
  },
});

function checkBody(check: MatterCheck): Body {
  const { receipt, matter, date, complete, findings, evidence, notice } = check;
  return {
    recordId: receipt.recordId,
    matterCode: matter.matterCode,
    version: matter.version,
    date,
    complete,
    requirements: findings.map((finding) => findingBody(finding, check)),
    evidence: evidence.map((each) => ({
      recordId: each.receipt.recordId,
      answer: each.answer,
      certificates: [...each.certificates],
    })),
    ...(notice !== undefined && {
      notice: { ...notice, items: [...notice.items], openAtOffice: [...notice.openAtOffice] },
    }),
  };
}

function findingBody(finding: Finding, check: MatterCheck): Body['requirements'][number] {
  const { requirement, outcome, alternative, reasons, recordIds, until, declaration, insteadAllowed } = finding;
  const { paper } = requirement;
  return {
    code: requirement.code,
    name: requirement.name,
    outcome,
    ...(alternative !== undefined && { alternative }),
    reasons: reasons.map((reason) => ({
      ...reasonBody(reason),
      text: reasonWords(reason, { ...check, ...(paper !== undefined && { paper }) }),
    })),
    ...(until !== undefined && { until }),
    ...(declaration !== undefined && { declaration }),
    ...(insteadAllowed !== undefined && { insteadAllowed }),
    recordIds: [...recordIds],
  };
}

const applyBody = ({
  certificateTypeCode,
  wanted: { fields, matters, legalBases, ...wanted },
}: NonNullable<Reason['apply']>) => ({
  certificateTypeCode,
  wanted: { ...wanted, fields: [...fields], matters: [...matters], legalBases: [...legalBases] },
});

const reasonBody = ({
  code,
  party,
  certificateTypeCode,
  certificateIdentifier,
  condition,
  apply,
  ownerDepartmentCode,
  ticketFor,
}: Reason) => ({
  code,
  ...(party !== undefined && { party }),
  ...(certificateTypeCode !== undefined && { certificateTypeCode }),
  ...(certificateIdentifier !== undefined && { certificateIdentifier }),
  ...(condition !== undefined && { field: condition.field }),
  ...(apply !== undefined && { apply: applyBody(apply) }),
  ...(ownerDepartmentCode !== undefined && { ownerDepartmentCode }),
  ...(ticketFor !== undefined && { ticketFor: { ...ticketFor } }),
});
