import type { Bilingual } from '../catalogue/certificate-type.ts';
import type { Matter } from '../catalogue/matter.ts';
import type { Holder } from '../verification/identifiers.ts';
import type { ForgottenPaperDemand } from './forgetting.ts';
import {
  isContestable,
  isOverdue,
  judgementFor,
  type PaperDemand,
  paperDemandNumber,
  partiesPlayedBy,
} from './paper-demand.ts';
import { judgementText, reasonText } from './paper-demand-words.ts';

/** What views are made with: names for codes as they are now, and the city's calendar. */
export interface ViewNames {
  readonly department: (code: string) => Bilingual | undefined;
  readonly matter: (code: string) => Matter | undefined;
  readonly day: (at: Date) => string;
}

/** What everybody is told who records, contests or answers a demand: the same whatever certificates there are. */
export const receiptOf = ({ paperDemandId, state, createdAt, dueAt }: PaperDemand, day: ViewNames['day']) => ({
  paperDemandId,
  number: paperDemandNumber(paperDemandId, day(createdAt)),
  state,
  recordedAt: createdAt.toISOString(),
  ...(dueAt !== undefined && { dueAt: dueAt.toISOString() }),
});

/** All that is told of a demand that was forgotten. */
export const forgottenOf = (demand: ForgottenPaperDemand, day: ViewNames['day']) => ({
  paperDemandId: demand.paperDemandId,
  number: paperDemandNumber(demand.paperDemandId, day(demand.createdAt)),
  state: demand.state,
  forgottenAt: demand.forgottenAt.toISOString(),
});

/** A demand without anything of a person; the judgement only for who sees every department. */
export function summaryOf(
  demand: PaperDemand,
  { day, at, withJudgement }: { readonly day: ViewNames['day']; readonly at: Date; readonly withJudgement: boolean },
) {
  const { departmentCode, matterCode, requirement, reason, reportedBy, judged } = demand;
  return {
    ...receiptOf(demand, day),
    departmentCode,
    matterCode,
    ...(requirement !== undefined && { requirement }),
    ...(reason !== undefined && { reason }),
    reportedBy,
    overdue: isOverdue(demand, at),
    ...(withJudgement && { judgement: judged.judgement }),
  };
}

/** A demand with what was said, for who has to answer it: without the numbers of its parties, and without officers. */
export function wholeOf(demand: PaperDemand, facts: Parameters<typeof summaryOf>[1]) {
  const { what, caseNumber, legalBasis, explanation, history } = demand;
  return {
    demand: summaryOf(demand, facts),
    ...(what !== undefined && { what }),
    ...(caseNumber !== undefined && { caseNumber }),
    ...(legalBasis !== undefined && { legalBasis }),
    ...(explanation !== undefined && { explanation }),
    history: history.map(({ step, at, departmentCode, clientId, party, text }) => ({
      step,
      at: at.toISOString(),
      departmentCode,
      clientId,
      ...(party !== undefined && { party }),
      ...(text !== undefined && { text }),
    })),
  };
}

/** A demand as a party reads it: its own words and the answers; nothing of what other parties hold or said. */
export function personViewOf(
  demand: PaperDemand,
  holder: Holder,
  { department, matter, day, at }: ViewNames & { readonly at: Date },
) {
  const { departmentCode, matterCode, requirement, what, reason, reportedBy, explanation, history } = demand;
  const known = matter(matterCode);
  const own = partiesPlayedBy(demand, holder);
  const judgement = judgementFor(demand, holder);
  return {
    ...receiptOf(demand, day),
    department: { departmentCode, ...named(department(departmentCode)) },
    matter: { matterCode, ...named(known?.name) },
    ...(requirement !== undefined && {
      requirement: {
        code: requirement,
        ...named(known?.requirements.find(({ code }) => code === requirement)?.name),
      },
    }),
    ...(what !== undefined && { what }),
    ...(reason !== undefined && { reason: { code: reason, text: reasonText(reason, reportedBy) } }),
    ...(explanation !== undefined && { explanation }),
    judgement: { code: judgement, text: judgementText[textOf(demand, judgement, own)] },
    contestable: isContestable(demand, at),
    objections: history.flatMap(({ at: then, party, text }) =>
      party !== undefined && text !== undefined && own.includes(party)
        ? [{ at: then.toISOString(), statement: text }]
        : [],
    ),
    answers: history.flatMap(({ step, at: then, text = '' }, i) =>
      step === 'withdrawn' || step === 'maintained'
        ? [{ at: then.toISOString(), outcome: step, reason: text, by: isHubs(demand, i) ? hub : office }]
        : [],
    ),
  };
}

/** Which sentence says a judgement. A known requirement is outside of a matter only when that is retired; else it rests on words. */
function textOf(
  { requirement, reportedBy, history }: PaperDemand,
  judgement: ReturnType<typeof judgementFor>,
  own: readonly string[],
): keyof typeof judgementText {
  if (judgement !== 'outside_matter') return judgement;
  if (requirement !== undefined) return 'outside_retired';
  const isOwn = reportedBy === 'portal' && own.includes(history[0]?.party ?? '');
  return isOwn ? 'outside_as_told' : 'outside_as_recorded';
}

const hub = 'hub' as const;
const office = 'office' as const;

/** Whether an answer followed the second objection. */
const isHubs = ({ history }: PaperDemand, i: number): boolean => history[i - 1]?.step === 'escalated';

const named = (name: Bilingual | undefined): { readonly name?: Bilingual } => (name === undefined ? {} : { name });
