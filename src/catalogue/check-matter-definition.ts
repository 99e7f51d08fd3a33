import { Refusal } from '../errors.ts';
import { isCertificateTypeCode, isUscc } from '../verification/identifiers.ts';
import { type CertificateType, grantableFields } from './certificate-type.ts';
import { judgeConditions } from './judge-conditions.ts';
import { type MatterDefinition, type MatterMaterial, type MatterRequirement, partyOf } from './matter.ts';

/** On what a matter is judged. */
export interface MatterBasis {
  /** The newest version of a certificate type. */
  readonly findType: (certificateTypeCode: string) => CertificateType | undefined;
  readonly isDepartment: (departmentCode: string) => boolean;
  /** The day of the city, yyyy-mm-dd: from it on every requirement has to be possible. */
  readonly today: string;
}

/**
 * Checks that a matter can be met as it stands: what it names exists, codes are unambiguous, every condition fits its field and the
 * others, every certificate can be held by the party that has to have it and be issued by the departments it is wanted from.
 * @throws Refusal `invalid_uscc`, `invalid_certificate_type_code`, `department_unknown`, `matter_invalid` with pointer and rule.
 */
export function checkMatterDefinition(definition: MatterDefinition, basis: MatterBasis): void {
  const { departmentCode, parties, requirements, produces = [] } = definition;
  if (!isUscc(departmentCode)) throw new Refusal('invalid_uscc', { pointer: '/departmentCode' });
  if (!basis.isDepartment(departmentCode)) throw new Refusal('department_unknown', { pointer: '/departmentCode' });
  checkDistinct(parties, '/parties');
  checkDistinct(requirements, '/requirements');
  for (const [index, requirement] of requirements.entries()) {
    checkRequirement(requirement, `/requirements/${index}`, definition, basis);
  }
  for (const [index, code] of produces.entries()) typeAt(code, `/produces/${index}`, basis);
}

function checkDistinct(list: readonly { readonly code: string }[], pointer: string): void {
  const seen = new Set<string>();
  for (const [index, { code }] of list.entries()) {
    if (seen.has(code)) throw invalid(`${pointer}/${index}/code`, 'code_repeated');
    seen.add(code);
  }
}

function checkRequirement(
  { alternatives, paper }: MatterRequirement,
  pointer: string,
  definition: MatterDefinition,
  basis: MatterBasis,
): void {
  if ((alternatives === undefined) === (paper === undefined)) throw invalid(pointer, 'alternatives_or_paper');
  for (const [which, list] of (alternatives ?? []).entries()) {
    for (const [index, material] of list.entries()) {
      checkMaterial(material, `${pointer}/alternatives/${which}/${index}`, definition, basis);
    }
  }
}

function checkMaterial(
  material: MatterMaterial,
  pointer: string,
  definition: MatterDefinition,
  basis: MatterBasis,
): void {
  const { certificateTypeCode, fields: wanted = [], conditions = [] } = material;
  const type = typeAt(certificateTypeCode, `${pointer}/certificateTypeCode`, basis);
  const party = partyOf(definition, material);
  if (party === undefined) throw invalid(`${pointer}/of`, 'party_unknown');
  if (type.holderKind !== 'mixed' && type.holderKind !== party.kind) throw invalid(pointer, 'holder_kind');
  checkIssuers(material, type, pointer, basis);
  const fields = grantableFields(type);
  for (const [index, name] of wanted.entries()) {
    if (fields.every((field) => field.name !== name)) throw invalid(`${pointer}/fields/${index}`, 'field_unknown');
  }
  const fault = judgeConditions(conditions, { fields, parties: definition.parties, today: basis.today });
  if (fault !== undefined) throw invalid(`${pointer}/conditions/${fault.index}${fault.pointer}`, fault.rule);
}

/** Who may issue a type only for a time counts always: what it issued then stays in force. */
function checkIssuers({ issuedBy = [] }: MatterMaterial, type: CertificateType, at: string, basis: MatterBasis): void {
  for (const [index, code] of issuedBy.entries()) {
    const pointer = `${at}/issuedBy/${index}`;
    if (!isUscc(code)) throw new Refusal('invalid_uscc', { pointer });
    if (!basis.isDepartment(code)) throw new Refusal('department_unknown', { pointer });
    if (type.allowedIssuers.every(({ departmentCode }) => departmentCode !== code)) {
      throw invalid(pointer, 'issuer_not_allowed');
    }
  }
}

function typeAt(code: string, pointer: string, { findType }: MatterBasis): CertificateType {
  if (!isCertificateTypeCode(code)) throw new Refusal('invalid_certificate_type_code', { pointer });
  const type = findType(code);
  if (type === undefined) throw invalid(pointer, 'type_unknown');
  return type;
}

const invalid = (pointer: string, rule: string): Refusal => new Refusal('matter_invalid', { pointer, rule });
