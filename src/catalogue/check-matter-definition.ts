import { Refusal, type RefusalDetail } from '../errors.ts';
import { isCertificateTypeCode, isUscc } from '../verification/identifiers.ts';
import { grantableFields, isAllowedIssuer, isRetired, type NotedType } from './certificate-type.ts';
import { judgeConditions } from './judge-conditions.ts';
import type { FindNamed } from './material-name.ts';
import { type MatterDefinition, type MatterMaterial, type MatterRequirement, partyOf } from './matter.ts';

/** On what a matter is judged. */
export interface MatterBasis {
  /** The newest version of a certificate type. */
  readonly findType: (certificateTypeCode: string) => NotedType | undefined;
  /** The types for which no paper may be demanded any more, by the name of a material. */
  readonly typesNamed: FindNamed<NotedType>;
  readonly isDepartment: (departmentCode: string) => boolean;
  /** Who may issue then what a matter produces. */
  readonly at: Date;
  /** The day of the city, yyyy-mm-dd: from it on every requirement has to be possible. */
  readonly today: string;
}

/**
 * Checks that a matter can be met as it stands: what it names exists, codes are unambiguous, every condition fits its field and the
 * others, every certificate can be held by the party that has to have it and be issued by the departments it is wanted from, paper is
 * asked for nothing that the catalogue has a type of, and what is issued at the end is for the department to issue.
 * @throws Refusal `invalid_uscc`, `invalid_certificate_type_code`, `department_unknown`, `matter_invalid` with pointer and rule.
 */
export function checkMatterDefinition(definition: MatterDefinition, basis: MatterBasis): void {
  for (const fault of matterFaults(definition, basis)) throw fault;
}

/** Everything for which `checkMatterDefinition` would refuse a matter; of one material the first fault alone. */
export function* matterFaults(definition: MatterDefinition, basis: MatterBasis): Generator<Refusal, void> {
  const { departmentCode, parties, requirements, produces = [] } = definition;
  if (!isUscc(departmentCode)) yield new Refusal('invalid_uscc', { pointer: '/departmentCode' });
  else if (!basis.isDepartment(departmentCode)) yield new Refusal('department_unknown', { pointer: '/departmentCode' });
  yield* repeated(parties, '/parties');
  yield* distinctionFaults(parties);
  yield* repeated(requirements, '/requirements');
  for (const [index, requirement] of requirements.entries()) {
    yield* requirementFaults(requirement, `/requirements/${index}`, definition, basis);
  }
  for (const [index, code] of produces.entries()) {
    const type = typeAt(code, `/produces/${index}`, basis);
    if (type instanceof Refusal) yield type;
    else if (!mayProduce(type, departmentCode, basis.at)) yield invalid(`/produces/${index}`, 'not_an_issuer');
  }
}

/** Whether it is for a department to say that a type comes out of its matter. */
const mayProduce = (type: NotedType, departmentCode: string, at: Date): boolean =>
  type.ownerDepartmentCode === departmentCode || isAllowedIssuer(type, departmentCode, at);

function* repeated(list: readonly { readonly code: string }[], pointer: string): Generator<Refusal, void> {
  const seen = new Set<string>();
  for (const [index, { code }] of list.entries()) {
    if (seen.has(code)) yield invalid(`${pointer}/${index}/code`, 'code_repeated');
    seen.add(code);
  }
}

function* distinctionFaults(parties: MatterDefinition['parties']): Generator<Refusal, void> {
  for (const [index, { code, kind, distinctFrom = [] }] of parties.entries()) {
    for (const [which, named] of distinctFrom.entries()) {
      const pointer = `/parties/${index}/distinctFrom/${which}`;
      const other = parties.find((party) => party.code === named);
      if (other === undefined) yield invalid(pointer, 'party_unknown');
      else if (named === code) yield invalid(pointer, 'party_itself');
      else if (other.kind !== kind) yield invalid(pointer, 'party_kind');
    }
  }
}

function* requirementFaults(
  { name, alternatives, paper }: MatterRequirement,
  pointer: string,
  definition: MatterDefinition,
  basis: MatterBasis,
): Generator<Refusal, void> {
  if ((alternatives === undefined) === (paper === undefined)) yield invalid(pointer, 'alternatives_or_paper');
  const [named] = paper === undefined ? [] : basis.typesNamed(name);
  if (named !== undefined) {
    const { certificateTypeCode } = named;
    yield invalid(`${pointer}/paper`, 'certificate_exists', { certificateTypeCode });
  }
  for (const [which, list] of (alternatives ?? []).entries()) {
    for (const [index, material] of list.entries()) {
      const fault = materialFault(material, `${pointer}/alternatives/${which}/${index}`, definition, basis);
      if (fault !== undefined) yield fault;
    }
  }
}

function materialFault(
  material: MatterMaterial,
  pointer: string,
  definition: MatterDefinition,
  basis: MatterBasis,
): Refusal | undefined {
  const { certificateTypeCode, fields: wanted = [], conditions = [] } = material;
  const type = typeAt(certificateTypeCode, `${pointer}/certificateTypeCode`, basis);
  if (type instanceof Refusal) return type;
  const party = partyOf(definition, material);
  if (party === undefined) return invalid(`${pointer}/of`, 'party_unknown');
  if (type.holderKind !== 'mixed' && type.holderKind !== party.kind) return invalid(pointer, 'holder_kind');
  const issuer = issuerFault(material, type, pointer, basis);
  if (issuer !== undefined) return issuer;
  const fields = grantableFields(type);
  const unknown = wanted.findIndex((name) => fields.every((field) => field.name !== name));
  if (unknown >= 0) return invalid(`${pointer}/fields/${unknown}`, 'field_unknown');
  const fault = judgeConditions(conditions, { fields, parties: definition.parties, today: basis.today });
  return fault === undefined ? undefined : invalid(`${pointer}/conditions/${fault.index}${fault.pointer}`, fault.rule);
}

/** Who may issue a type only for a time counts always: what it issued then stays in force. */
function issuerFault(
  { issuedBy = [] }: MatterMaterial,
  type: NotedType,
  at: string,
  basis: MatterBasis,
): Refusal | undefined {
  for (const [index, code] of issuedBy.entries()) {
    const pointer = `${at}/issuedBy/${index}`;
    if (!isUscc(code)) return new Refusal('invalid_uscc', { pointer });
    if (!basis.isDepartment(code)) return new Refusal('department_unknown', { pointer });
    if (type.allowedIssuers.every(({ departmentCode }) => departmentCode !== code)) {
      return invalid(pointer, 'issuer_not_allowed');
    }
  }
  return undefined;
}

function typeAt(code: string, pointer: string, { findType }: MatterBasis): NotedType | Refusal {
  if (!isCertificateTypeCode(code)) return new Refusal('invalid_certificate_type_code', { pointer });
  const type = findType(code);
  if (type === undefined) return invalid(pointer, 'type_unknown');
  return isRetired(type) ? invalid(pointer, 'type_retired') : type;
}

const invalid = (pointer: string, rule: string, more: RefusalDetail = {}): Refusal =>
  new Refusal('matter_invalid', { pointer, rule, ...more });
