import type { RecordIn } from '../audit/record.ts';
import { isRetired } from '../catalogue/certificate-type.ts';
import type { Matter, MatterRequirement } from '../catalogue/matter.ts';
import type { MattersView } from '../catalogue/matters.ts';
import { addDays } from '../certificates/city-day.ts';
import type { Write, WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import { type Call, newId } from '../ids.ts';
import type { Holder } from '../verification/identifiers.ts';
import type { PaperDemand } from './paper-demand.ts';
import { officeOf, type PaperDemandInput, partyOfPerson, requirementOf, type TypeNames } from './paper-demand-input.ts';
import { type CouldSupply, judgePaperDemand } from './paper-demand-judge.ts';
import { checkedParties, missingParty } from './paper-demand-parties.ts';
import { paperDemandEntry } from './paper-demand-record.ts';
import { notRepeated, sameForDays } from './paper-demand-repeated.ts';
import type { PaperDemandStoreDeps } from './paper-demand-row.ts';
import { insertPaperDemand } from './paper-demand-store.ts';

export interface RecordPaperDemandDeps extends PaperDemandStoreDeps, TypeNames {
  readonly write: Write;
  readonly recordIn: RecordIn;
  readonly matters: MattersView;
  readonly isDepartment: (code: string) => Promise<boolean>;
  /** Enabled systems of a department that may look up certificates. */
  readonly consumersOf: (departmentCode: string) => Promise<readonly string[]>;
  readonly couldSupply: CouldSupply;
  /** Calendar day of the city, yyyy-mm-dd, and its first instant. */
  readonly day: (at: Date) => string;
  readonly startOfDay: (day: string) => Date;
  /** When an answer that somebody begins to wait for at that moment is late. */
  readonly dueAfter: (at: Date) => Date;
}

/**
 * Puts on file that an office asked for paper: by the office itself, or reported by a portal, and then the office has to answer. Judged
 * before the transaction; who records it learns nothing of that, and is answered and refused the same whatever certificates there are.
 * @throws Refusal `contract_violation` (a part that an office or a portal has to send, or must not), `wrong_department`, `department_unknown`,
 * @throws Refusal `contract_violation` (a part that an office or a portal has to send, or must not), `wrong_department`, `department_unknown`,
 * `requirement_unknown`, `paper_demand_exists` (context.paperDemandId), `party_missing`, `parties_equal` and what is wrong with a holder
 */
export async function recordPaperDemand(
  deps: RecordPaperDemandDeps,
  input: PaperDemandInput,
  call: Call & { readonly idempotencyKey: string },
  present: (demand: PaperDemand) => WriteAnswer,
): Promise<WriteAnswer> {
  const { caller, idempotencyKey } = call;
  const content = JSON.parse(JSON.stringify(input)) as unknown;
  return deps.write(
    { caller, operation: 'recordPaperDemand', idempotencyKey, content },
    {
      prepare: () => prepare(deps, input, call),
      apply: async (trx, prepared) => {
        const since = deps.startOfDay(addDays(deps.day(call.at), -sameForDays));
        const demand = await notRepeated(trx, deps, prepared, since);
        await insertPaperDemand(trx, deps, demand);
        const { officer } = input;
        const { requirement, what, reason, explanation, reportedBy, judged, history } = demand;
        const [{ text: statement } = {}] = history;
        await deps.recordIn(
          trx,
          paperDemandEntry(deps.keys, demand, {
            action: 'recordPaperDemand',
            outcome: 'done',
            call,
            ...(officer !== undefined && { officer }),
            detail: {
              reportedBy,
              judgement: judged.judgement,
              ...(requirement !== undefined && { requirement }),
              ...(what !== undefined && { what }),
              ...(reason !== undefined && { reason }),
              ...(explanation !== undefined && { explanation }),
              ...(statement !== undefined && { statement }),
            },
          }),
        );
        return present(demand);
      },
    },
  );
}

async function prepare(
  deps: RecordPaperDemandDeps,
  input: PaperDemandInput,
  { caller, at }: Call,
): Promise<PaperDemand> {
  const departmentCode = officeOf(input, { caller });
  if (departmentCode !== caller.department && !(await deps.isDepartment(departmentCode))) {
    throw new Refusal('department_unknown', { pointer: '/departmentCode' });
  }
  const matter = (await deps.matters.read()).newest(input.matterCode);
  const { requirement, mayBeRequired } = await requirementOf(deps, matter, input);
  const parties = checkedParties({ matter, given: input.parties });
  const party = input.statement === undefined ? undefined : partyOfPerson(parties, input);
  if (party === undefined) mustNameAll(matter, requirement, parties);
  const clientIds = party === undefined ? [caller.clientId] : await deps.consumersOf(departmentCode);
  const { legalBasis } = input;
  const basis = legalBasis !== undefined && { legalBasis };
  const asked = { matter, requirement, mayBeRequired, parties, departmentCode, clientIds, at, ...basis };
  const { parties: _given, departmentCode: _office, holder: _person, statement, officer, ...said } = input;
  const by = { at, departmentCode: caller.department, clientId: caller.clientId };
  const demand = {
    ...said,
    ...(requirement !== undefined && { requirement: requirement.code }),
    paperDemandId: newId(),
    departmentCode,
    clientId: caller.clientId,
    parties,
    judged: await judgePaperDemand(deps.couldSupply, asked),
    createdAt: at,
  };
  if (party === undefined) {
    const step = { ...by, step: 'recorded', ...(officer !== undefined && { officer }) } as const;
    return { ...demand, reportedBy: 'office', state: step.step, history: [step] };
  }
  const step = { ...by, step: 'reported', party, ...(statement !== undefined && { text: statement }) } as const;
  return { ...demand, reportedBy: 'portal', state: step.step, dueAt: deps.dueAfter(at), history: [step] };
}

/** An office knows whom its case is about: leaving somebody out would be a way around a judgement that depends on it. */
function mustNameAll(
  matter: Matter | undefined,
  requirement: MatterRequirement | undefined,
  parties: Readonly<Record<string, Holder>>,
): void {
  if (matter === undefined || requirement === undefined || isRetired(matter)) return;
  const left = missingParty(matter, requirement, parties);
  if (left !== undefined) throw new Refusal('party_missing', { pointer: `/parties/${left}`, rule: 'missing' });
}
