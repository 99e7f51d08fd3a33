import type { RecordIn } from '../audit/record.ts';
import { isRetired } from '../catalogue/certificate-type.ts';
import type { Matter, MatterRequirement } from '../catalogue/matter.ts';
import type { MattersView } from '../catalogue/matters.ts';
import type { Write, WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import type { LegalBasis } from '../grants/grant.ts';
import { type Call, newId, type Officer } from '../ids.ts';
import type { Holder } from '../verification/identifiers.ts';
import { type PaperDemand, type PaperDemandReason, partiesPlayedBy } from './paper-demand.ts';
import { type CouldSupply, judgePaperDemand } from './paper-demand-judge.ts';
import { checkedHolder, checkedParties, type GivenHolder, missingParty } from './paper-demand-parties.ts';
import { paperDemandEntry } from './paper-demand-record.ts';
import { insertPaperDemand, type PaperDemandStoreDeps } from './paper-demand-store.ts';

export interface RecordPaperDemandDeps extends PaperDemandStoreDeps {
  readonly write: Write;
  readonly recordIn: RecordIn;
  readonly matters: MattersView;
  readonly isDepartment: (code: string) => Promise<boolean>;
  /** Enabled systems of a department that may look up certificates. */
  readonly consumersOf: (departmentCode: string) => Promise<readonly string[]>;
  readonly couldSupply: CouldSupply;
  /** When an answer that somebody begins to wait for at that moment is late. */
  readonly dueAfter: (at: Date) => Date;
}

/** A demand as it arrived: shape checked by the contract, nothing else. */
export interface PaperDemandInput {
  readonly matterCode: string;
  readonly requirement?: string;
  readonly what?: string;
  readonly caseNumber?: string;
  readonly officer?: Officer;
  readonly legalBasis?: LegalBasis;
  readonly parties: Readonly<Record<string, GivenHolder>>;
  readonly reason: PaperDemandReason;
  readonly explanation?: string;
  /** The office: of a report any, of an office's own record itself. */
  readonly departmentCode?: string;
  /** Whom the portal authenticated, of a report. */
  readonly holder?: GivenHolder;
  /** What the person says. With it, it is a report of a portal; without, an office's own record. */
  readonly statement?: string;
}

/**
 * Puts on file that an office asked for paper: by the office itself, or reported by a portal, and then the office has to answer. Judged
 * before the transaction; who records it learns nothing of that, and is answered and refused the same whatever certificates there are.
 * @throws Refusal `contract_violation` (a part that an office or a portal has to send, or must not), `wrong_department`, `department_unknown`,
 * `requirement_unknown`, `party_missing`, `parties_equal` and what is wrong with a holder
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
      apply: async (trx, demand) => {
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
              reason,
              judgement: judged.judgement,
              ...(requirement !== undefined && { requirement }),
              ...(what !== undefined && { what }),
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
  const requirement = requirementOf(matter, input);
  const parties = checkedParties({ matter, given: input.parties });
  const party = input.statement === undefined ? undefined : partyOfPerson(parties, input);
  if (party === undefined) mustNameAll(matter, requirement, parties);
  const clientIds = party === undefined ? [caller.clientId] : await deps.consumersOf(departmentCode);
  const { legalBasis } = input;
  const basis = legalBasis !== undefined && { legalBasis };
  const asked = { matter, requirement, parties, departmentCode, clientIds, at, ...basis };
  const { parties: _given, departmentCode: _office, holder: _person, statement, officer, ...said } = input;
  const by = { at, departmentCode: caller.department, clientId: caller.clientId };
  const demand = {
    ...said,
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

const missing = (name: string, rule = 'missing'): Refusal =>
  new Refusal('contract_violation', { pointer: `/${name}`, rule });

/** Whose demand it is, with everything there that makes it one of an office or of a portal, and nothing of the other. */
function officeOf(input: PaperDemandInput, { caller }: Pick<Call, 'caller'>): string {
  const { statement, departmentCode, holder, caseNumber, officer, reason, explanation } = input;
  if (statement !== undefined) {
    if (!caller.roles.includes('portal')) throw missing('statement', 'portals_only');
    if (departmentCode === undefined) throw missing('departmentCode');
    if (holder === undefined) throw missing('holder');
    return departmentCode;
  }
  if (!caller.roles.includes('consumer')) throw missing('statement');
  if (departmentCode !== undefined && departmentCode !== caller.department) {
    throw new Refusal('wrong_department', { pointer: '/departmentCode' });
  }
  if (holder !== undefined) throw missing('holder', 'portals_only');
  if (caseNumber === undefined) throw missing('caseNumber');
  if (officer === undefined) throw missing('officer');
  if (reason === 'other' && explanation === undefined) throw missing('explanation');
  return caller.department;
}

/** The requirement that is meant; of a matter that the hub does not know, none. */
function requirementOf(
  matter: Matter | undefined,
  { requirement: code, what }: PaperDemandInput,
): MatterRequirement | undefined {
  if ((code === undefined) === (what === undefined))
    throw missing('what', code === undefined ? 'missing' : 'requirement');
  if (code === undefined || matter === undefined) return undefined;
  const requirement = matter.requirements.find((each) => each.code === code);
  if (requirement === undefined) throw new Refusal('requirement_unknown', { pointer: '/requirement' });
  return requirement;
}

/** The party that the authenticated person plays. */
function partyOfPerson(parties: Readonly<Record<string, Holder>>, { holder }: PaperDemandInput): string {
  if (holder === undefined) throw missing('holder');
  const [party] = partiesPlayedBy({ parties }, checkedHolder(holder, '/holder'));
  if (party === undefined) throw new Refusal('party_missing', { pointer: '/holder', rule: 'not_a_party' });
  return party;
}
