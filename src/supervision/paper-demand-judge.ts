import { isRetired } from '../catalogue/certificate-type.ts';
import type { Matter, MatterRequirement } from '../catalogue/matter.ts';
import type { LegalBasis } from '../grants/grant.ts';
import type { Holder } from '../verification/identifiers.ts';
import type { Judged, Judgement } from './paper-demand.ts';

/** Whether certificates would have proved a requirement; wired to the rules of the matter check. */
export type CouldSupply = (question: {
  readonly matter: Matter;
  readonly requirement: MatterRequirement;
  readonly parties: ReadonlyMap<string, Holder>;
  readonly clientIds: readonly string[];
  readonly legalBasis?: LegalBasis;
  readonly at: Date;
}) => Promise<{
  readonly supply: 'permitted' | 'grant_missing' | 'none' | 'unknown';
  readonly of: readonly string[];
}>;

const judgements: Readonly<Record<Awaited<ReturnType<CouldSupply>>['supply'], Judgement>> = {
  permitted: 'could_supply',
  grant_missing: 'could_supply_with_grant',
  none: 'could_not_supply',
  unknown: 'not_judged',
};

export interface ToJudge {
  /** Undefined when the hub does not know it. */
  readonly matter: Matter | undefined;
  /** Undefined when something was described that is none of the matter's requirements, or only may be one. */
  readonly requirement: MatterRequirement | undefined;
  readonly mayBeRequired: boolean;
  readonly parties: Readonly<Record<string, Holder>>;
  /** The office. */
  readonly departmentCode: string;
  /** Its systems that may look up certificates. */
  readonly clientIds: readonly string[];
  readonly legalBasis?: LegalBasis;
  readonly at: Date;
}

/** Judges a demand for paper as it is made. The answer is for the demand's box alone, never for who records it. */
export async function judgePaperDemand(
  couldSupply: CouldSupply,
  { matter, requirement, mayBeRequired, parties, departmentCode, ...rest }: ToJudge,
): Promise<Judged> {
  if (matter === undefined) return { judgement: 'not_judged', of: [] };
  // No grant would be for it to apply for, nor proof for it to ask for: the report names the wrong office, or the hub does not know why.
  const hasPart = departmentCode === matter.departmentCode || rest.clientIds.length > 0;
  if (!hasPart) return { judgement: 'not_judged', of: [] };
  if (isRetired(matter)) return { judgement: 'outside_matter', of: [] };
  if (requirement === undefined) return { judgement: mayBeRequired ? 'not_judged' : 'outside_matter', of: [] };
  if (requirement.paper !== undefined) return { judgement: 'retained_proof', of: [] };
  const { supply, of } = await couldSupply({ matter, requirement, parties: new Map(Object.entries(parties)), ...rest });
  return { judgement: judgements[supply], of };
}
