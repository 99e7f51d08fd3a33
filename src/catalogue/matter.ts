import type { CertificateTypeCode, DepartmentCode } from '../ids.ts';
import type { Bilingual } from './certificate-type.ts';

/** A part that somebody plays in a matter, like `applicant` or `guardian`. */
export interface MatterParty {
  readonly code: string;
  readonly name: Bilingual;
  readonly kind: 'person' | 'organisation';
  /** Parties (codes, of the same kind) whose holder has to be somebody else; it holds both ways. */
  readonly distinctFrom?: readonly string[];
}

/** Whether the matter says that two parties are not the same holder, whichever of them names the other. */
export const areDistinct = (one: MatterParty, other: MatterParty): boolean =>
  one.distinctFrom?.includes(other.code) === true || other.distinctFrom?.includes(one.code) === true;

/** A value of a field that a condition compares with. */
export type ConditionValue = string | number | boolean;

/**
 * What one field of a certificate has to say on the day asked about. Exactly what the operator needs is there once the definition was
 * checked: a value or (for days and months) `monthsBefore`, a list for `one_of`, a party for `same_as_party`.
 */
export interface MatterCondition {
  readonly field: string;
  readonly is: 'equal' | 'one_of' | 'at_least' | 'at_most' | 'same_as_party';
  readonly value?: ConditionValue | readonly ConditionValue[];
  /** Instead of `value`: the day asked about less so many calendar months. */
  readonly monthsBefore?: number;
  /** The party whose number the field has to hold. */
  readonly party?: string;
}

/** A certificate in force on the day asked about. */
export interface MatterMaterial {
  readonly certificateTypeCode: CertificateTypeCode;
  /** Whose it is; the first party when absent. */
  readonly of?: string;
  /** Only certificates of these departments; of any allowed issuer when absent. */
  readonly issuedBy?: readonly DepartmentCode[];
  /** Fields that the office has to read, beside those of the conditions. */
  readonly fields?: readonly string[];
  readonly conditions?: readonly MatterCondition[];
}

/** What only paper proves. */
export interface MatterPaper {
  readonly issuedBy: Bilingual;
  readonly howToObtain: Bilingual;
}

/** One thing that has to be proved: by certificates (any one list of `alternatives`, all of it) or on paper, never both. */
export interface MatterRequirement {
  readonly code: string;
  readonly name: Bilingual;
  /** The law that demands it. */
  readonly legalGround: Bilingual;
  readonly alternatives?: readonly (readonly MatterMaterial[])[];
  readonly paper?: MatterPaper;
  /** May follow within so many days (容缺受理). */
  readonly laterDays?: number;
  /** A declaration in these words may stand in its place (告知承诺). */
  readonly declaration?: Bilingual;
}

/** What people come for, and what it takes (办事事项). */
export interface MatterDefinition {
  readonly matterCode: string;
  readonly name: Bilingual;
  /** The department that handles it. */
  readonly departmentCode: DepartmentCode;
  /** Who may apply, in words. */
  readonly conditions?: Bilingual;
  /** The applicant first; at least one. */
  readonly parties: readonly MatterParty[];
  readonly requirements: readonly MatterRequirement[];
  /** Certificate types that are issued at its end. */
  readonly produces?: readonly CertificateTypeCode[];
}

/** What a version says beside its definition. Everybody reads it: it names no person. */
export interface MatterNote {
  /** Absent: published. */
  readonly state?: 'retired';
  readonly reason?: string;
}

/** One version of a matter. A retired one (`isRetired`) is not checked and demands nothing. */
export interface Matter extends MatterDefinition {
  readonly version: number;
  readonly createdAt: Date;
  readonly note?: MatterNote;
}

/** What was registered, without what the hub added. */
export function matterDefinitionOf(matter: Matter): MatterDefinition {
  const { version: _version, createdAt: _at, note: _note, ...definition } = matter;
  return definition;
}

/**
 * The first two parties that have to be distinct and are the same holder, in their order. `holders`: the holder behind each party that
 * is known, by its code, the number in normal form.
 */
export function equalParties(
  { parties }: Pick<MatterDefinition, 'parties'>,
  holders: ReadonlyMap<string, { readonly type: string; readonly number: string }>,
): readonly [MatterParty, MatterParty] | undefined {
  for (const [index, other] of parties.entries()) {
    const holder = holders.get(other.code);
    if (holder === undefined) continue;
    const one = parties.slice(0, index).find((party) => {
      const same = holders.get(party.code);
      return areDistinct(party, other) && same?.type === holder.type && same.number === holder.number;
    });
    if (one !== undefined) return [one, other];
  }
  return undefined;
}

/** The party whose certificate a material is. Undefined only for a definition that was not checked. */
export const partyOf = (matter: MatterDefinition, { of }: MatterMaterial): MatterParty | undefined =>
  of === undefined ? matter.parties[0] : matter.parties.find(({ code }) => code === of);

/** The fields of a material that have to be read: those it names and those of its conditions, each once, in their order. */
export const fieldsOf = ({ fields = [], conditions = [] }: MatterMaterial): readonly string[] => [
  ...new Set([...fields, ...conditions.map(({ field }) => field)]),
];

/** Every certificate type that some alternative of the matter asks for, each once. */
export const typesRequired = (matter: MatterDefinition): readonly CertificateTypeCode[] => [
  ...new Set(
    matter.requirements.flatMap(({ alternatives = [] }) =>
      alternatives.flat().map(({ certificateTypeCode }) => certificateTypeCode),
    ),
  ),
];

/** Every certificate type that the matter requires or produces. */
export const typesNamed = (matter: MatterDefinition): readonly CertificateTypeCode[] => [
  ...typesRequired(matter),
  ...(matter.produces ?? []),
];
