import type { CertificateTypeCode } from '../ids.ts';
import type { Bilingual } from './certificate-type.ts';
import type { MatterMaterial, MatterParty, MatterRequirement } from './matter.ts';
import { exampleDepartments, type StarterDepartments } from './starter-types.ts';

/** The departments that handle the starter matters and own the types they ask for, by USCC. */
export interface MatterDepartments extends StarterDepartments {
  readonly education: string;
  readonly housing: string;
}

/** The departments of `keys-example/departments.json`. */
export const exampleMatterDepartments: MatterDepartments = {
  ...exampleDepartments,
  education: '11999900100000075D',
  housing: '119999001000000838',
};

/** Words in both languages. */
export const words = (zh: string, en: string): Bilingual => ({ zh, en });
/** A party that is a person, and another one than the parties named last. */
export const person = (code: string, zh: string, en: string, distinctFrom?: readonly string[]): MatterParty => ({
  code,
  name: words(zh, en),
  kind: 'person',
  ...(distinctFrom !== undefined && { distinctFrom }),
});
/** A requirement. */
export const proof = (
  code: string,
  name: Bilingual,
  legalGround: Bilingual,
  rest: Pick<MatterRequirement, 'alternatives' | 'paper' | 'laterDays' | 'declaration'>,
): MatterRequirement => ({ code, name, legalGround, ...rest });

/** Why an identity has to be proved. */
export const identityGround = words(
  '《中华人民共和国居民身份证法》关于公民从事有关活动出示居民身份证证明身份的规定',
  'The Law on Resident Identity Cards, on proving identity with the resident ID card',
);
/** The requirement of an identity, by one certificate. */
export const identity = (material: MatterMaterial, name: Bilingual): MatterRequirement =>
  proof('identity', name, identityGround, { alternatives: [[material]] });

/** Makes materials of the starter types under the codes they have in this city. */
export function materials({
  publicSecurity,
  humanResources,
  taxation,
  naturalResources,
  civilAffairs,
}: MatterDepartments) {
  const of =
    (owner: string, number: string) =>
    (rest: Omit<MatterMaterial, 'certificateTypeCode'> = {}): MatterMaterial => ({
      // Checked by `checkMatterDefinition` like every other definition.
      certificateTypeCode: `${owner}${number}` as CertificateTypeCode,
      ...rest,
    });
  return {
    idCard: of(publicSecurity, '001'),
    residencePermit: of(publicSecurity, '002'),
    householdRegister: of(publicSecurity, '003'),
    socialInsurance: of(humanResources, '001'),
    employment: of(humanResources, '002'),
    taxPayment: of(taxation, '001'),
    realEstate: of(naturalResources, '001'),
    marriage: of(civilAffairs, '001'),
  };
}
/** What `materials` makes. */
export type Materials = ReturnType<typeof materials>;
