import type { Bilingual } from '../catalogue/certificate-type.ts';
import type { Matter } from '../catalogue/matter.ts';
import { Refusal } from '../errors.ts';
import type { LegalBasis } from '../grants/grant.ts';
import type { Call, Caller, Officer } from '../ids.ts';
import type { Holder } from '../verification/identifiers.ts';
import { type PaperDemandReason, partiesPlayedBy } from './paper-demand.ts';
import type { ToJudge } from './paper-demand-judge.ts';
import { checkedHolder, type GivenHolder } from './paper-demand-parties.ts';
import { typeNamesOf, whatIsMeant } from './paper-demand-what.ts';

/** A demand as it arrived: shape checked by the contract, nothing else. */
export interface PaperDemandInput {
  readonly matterCode: string;
  readonly requirement?: string;
  readonly what?: string;
  readonly caseNumber?: string;
  readonly officer?: Officer;
  readonly legalBasis?: LegalBasis;
  readonly parties: Readonly<Record<string, GivenHolder>>;
  /** Required of an office; a person may not have been told. */
  readonly reason?: PaperDemandReason;
  readonly explanation?: string;
  /** The office: of a report any, of an office's own record itself. */
  readonly departmentCode?: string;
  /** Whom the portal authenticated, of a report. */
  readonly holder?: GivenHolder;
  /** What the person says. With it, it is a report of a portal; without, an office's own record. */
  readonly statement?: string;
}

export interface TypeNames {
  /** What the newest version of a certificate type is called. */
  readonly typeName: (certificateTypeCode: string) => Promise<Bilingual | undefined>;
}

const missing = (name: string, rule = 'missing'): Refusal =>
  new Refusal('contract_violation', { pointer: `/${name}`, rule });

/** Whose demand it is, with everything there that makes it one of an office or of a portal, and nothing of the other. */
export const officeOf = (input: PaperDemandInput, { caller }: Pick<Call, 'caller'>): string =>
  input.statement === undefined ? officeOfRecord(input, caller) : officeOfReport(input, caller);

function officeOfReport({ departmentCode, holder }: PaperDemandInput, { roles }: Pick<Caller, 'roles'>): string {
  if (!roles.includes('portal')) throw missing('statement', 'portals_only');
  if (departmentCode === undefined) throw missing('departmentCode');
  if (holder === undefined) throw missing('holder');
  return departmentCode;
}

function officeOfRecord(input: PaperDemandInput, { roles, department }: Caller): string {
  const { departmentCode, holder, caseNumber, officer, reason, explanation } = input;
  if (!roles.includes('consumer')) throw missing('statement');
  if (departmentCode !== undefined && departmentCode !== department) {
    throw new Refusal('wrong_department', { pointer: '/departmentCode' });
  }
  if (holder !== undefined) throw missing('holder', 'portals_only');
  if (caseNumber === undefined) throw missing('caseNumber');
  if (officer === undefined) throw missing('officer');
  if (reason === undefined) throw missing('reason');
  if (reason === 'other' && explanation === undefined) throw missing('explanation');
  return department;
}

/** The requirement that is meant, or whether one may be; of a matter that the hub does not know, none. */
export async function requirementOf(
  { typeName }: TypeNames,
  matter: Matter | undefined,
  { requirement: code, what }: PaperDemandInput,
): Promise<Pick<ToJudge, 'requirement' | 'mayBeRequired'>> {
  if ((code === undefined) === (what === undefined))
    throw missing('what', code === undefined ? 'missing' : 'requirement');
  if (matter === undefined) return { requirement: undefined, mayBeRequired: false };
  if (what !== undefined) {
    const meant = whatIsMeant(what, matter, await typeNamesOf(typeName, matter));
    if (meant.by === 'name') return { requirement: meant.requirement, mayBeRequired: true };
    return { requirement: undefined, mayBeRequired: meant.by === 'likeness' };
  }
  const requirement = matter.requirements.find((each) => each.code === code);
  if (requirement === undefined) throw new Refusal('requirement_unknown', { pointer: '/requirement' });
  return { requirement, mayBeRequired: true };
}

/** The party that the authenticated person plays. */
export function partyOfPerson(parties: Readonly<Record<string, Holder>>, { holder }: PaperDemandInput): string {
  if (holder === undefined) throw missing('holder');
  const [party] = partiesPlayedBy({ parties }, checkedHolder(holder, '/holder'));
  if (party === undefined) throw new Refusal('party_missing', { pointer: '/holder', rule: 'not_a_party' });
  return party;
}
