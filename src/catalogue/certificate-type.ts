import { Refusal } from '../errors.ts';
import type { CertificateTypeCode, DepartmentCode } from '../ids.ts';
import type { JsonObject } from '../verification/encoding.ts';
import { isCertificateTypeCode, isUscc } from '../verification/identifiers.ts';
import { judgeFieldSchema } from './field-schema.ts';

/** Chinese and English wording. */
export interface Bilingual {
  readonly zh: string;
  readonly en: string;
}

/** How freely a field may be granted: `public` to anyone with a purpose, `sensitive` only with particular reason. */
export type FieldClass = 'public' | 'internal' | 'sensitive';

/** One claim of a certificate; the smallest thing that can be granted. */
export interface FieldDefinition {
  readonly name: string;
  readonly label: Bilingual;
  /** JSON Schema (2020-12) in the subset of `field-schema.ts`. */
  readonly schema: JsonObject;
  readonly class: FieldClass;
  readonly required: boolean;
}

/** A department that may issue the type in [from, until); RFC 3339 UTC times, open where absent. */
export interface AllowedIssuer {
  readonly departmentCode: DepartmentCode;
  readonly from?: string;
  readonly until?: string;
}

/** Whether an expiring date must be absent, present, or may be either; `maxMonths` bounds a limited validity. */
export interface ValidityRule {
  readonly kind: 'permanent' | 'limited' | 'either';
  readonly maxMonths?: number;
}

/** Kind of document (GB/T 36902): 证照执照, 证明文件, 批文批复, 鉴定报告, 办事结果. */
export type TypeCategory = 'licence' | 'proof' | 'approval' | 'appraisal' | 'result';
export type AuthorityLevel = 'national' | 'provincial' | 'municipal' | 'county' | 'township' | 'other';

/** A certificate type as registered (GB/T 36902). */
export interface CertificateTypeDefinition {
  readonly certificateTypeCode: CertificateTypeCode;
  readonly name: Bilingual;
  /** The department that decides on grants. */
  readonly ownerDepartmentCode: DepartmentCode;
  readonly allowedIssuers: readonly AllowedIssuer[];
  readonly holderKind: 'person' | 'organisation' | 'mixed';
  readonly holderCount: { readonly min: number; readonly max: number };
  readonly fields: readonly FieldDefinition[];
  readonly validity: ValidityRule;
  readonly reviewRequired: boolean;
  readonly category?: TypeCategory;
  readonly definingAuthorityLevel?: AuthorityLevel;
  readonly issuingAuthorityLevel?: AuthorityLevel;
  /** Number of the standard that it follows, like a ZWFW C number. */
  readonly standard?: string;
  /** Who decides on grants; the city when absent. */
  readonly decidedBy?: 'city' | 'province';
}

/** What a version says beside its definition. Everybody reads it: it names no person. */
export interface TypeNote {
  /** Absent: published. */
  readonly state?: 'retired';
  readonly reason?: string;
  /** What clients have to do whose grants name a field that this version changed. */
  readonly migrationNote?: Bilingual;
}

/** A definition with what is said beside it. */
export interface NotedType extends CertificateTypeDefinition {
  readonly note?: TypeNote;
}

/** One version of a type; certificates keep the version under which they were pushed. */
export interface CertificateType extends NotedType {
  readonly version: number;
  readonly createdAt: Date;
}

/** Whether nothing new is issued, granted or applied for. What was sealed stays valid. */
export const isRetired = ({ note }: { readonly note?: { readonly state?: 'retired' } }): boolean =>
  note?.state === 'retired';

/** What was registered, without what the hub added. */
export function definitionOf(type: CertificateType): CertificateTypeDefinition {
  const { version: _version, createdAt: _at, note: _note, ...definition } = type;
  return definition;
}

/** Fields that every certificate has, beside those of its type; granted like the others. */
export const standardFields: readonly FieldDefinition[] = [
  {
    name: 'certificateNumber',
    label: { zh: '证照编号', en: 'Certificate number' },
    schema: { type: 'string', minLength: 1, maxLength: 100 },
    class: 'internal',
    required: true,
  },
  {
    name: 'certificateIssuedDate',
    label: { zh: '证照颁发日期', en: 'Date of issue' },
    schema: { type: 'string', format: 'date' },
    class: 'public',
    required: true,
  },
  {
    name: 'certificateHolders',
    label: { zh: '持证主体', en: 'Holders' },
    schema: {
      type: 'array',
      minItems: 1,
      maxItems: 20,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['type', 'number', 'name'],
        properties: {
          type: { type: 'string', maxLength: 3 },
          number: { type: 'string', maxLength: 40 },
          name: { type: 'string', maxLength: 200 },
        },
      },
    },
    class: 'sensitive',
    required: true,
  },
];

/** Names with a meaning in the sealed certificate's clear part, in JWT, or in JavaScript itself. */
const reservedNames: ReadonlySet<string> = new Set([
  ...standardFields.map(({ name }) => name),
  ...Object.getOwnPropertyNames(Object.prototype),
  'certificateIdentifier',
  'certificateVersion',
  'certificateTypeCode',
  'issuingAuthorityCode',
  'iss',
  'iat',
  'nbf',
  'exp',
  'sub',
  'aud',
  'jti',
  'cnf',
  'vct',
  'status',
]);
const fieldName = /^[a-z][A-Za-z0-9]{0,63}$/;

/** All fields of a type that can be granted, the standard ones first. */
export const grantableFields = (type: CertificateTypeDefinition): readonly FieldDefinition[] => [
  ...standardFields,
  ...type.fields,
];

/**
 * Checks what the contract cannot: check digits, sensible counts and periods, unambiguous field names, bounded schemas.
 * @throws Refusal `invalid_certificate_type_code`, `invalid_uscc`, `certificate_type_invalid` with pointer and rule.
 */
export function checkDefinition(definition: CertificateTypeDefinition): void {
  const { certificateTypeCode, ownerDepartmentCode, allowedIssuers, holderCount, validity, fields } = definition;
  if (!isCertificateTypeCode(certificateTypeCode)) {
    throw new Refusal('invalid_certificate_type_code', { pointer: '/certificateTypeCode' });
  }
  if (!isUscc(ownerDepartmentCode)) throw new Refusal('invalid_uscc', { pointer: '/ownerDepartmentCode' });
  for (const [index, issuer] of allowedIssuers.entries()) checkIssuer(issuer, `/allowedIssuers/${index}`);
  if (holderCount.min > holderCount.max) throw invalid('/holderCount', 'min_above_max');
  if (validity.kind === 'permanent' && validity.maxMonths !== undefined) {
    throw invalid('/validity/maxMonths', 'permanent_has_no_limit');
  }
  const names = new Set<string>();
  for (const [index, field] of fields.entries()) {
    const pointer = `/fields/${index}`;
    if (!fieldName.test(field.name) || reservedNames.has(field.name)) throw invalid(`${pointer}/name`, 'name_reserved');
    if (names.has(field.name)) throw invalid(`${pointer}/name`, 'name_repeated');
    names.add(field.name);
    const fault = judgeFieldSchema(field.schema);
    if (fault !== undefined) throw invalid(`${pointer}/schema${fault.pointer}`, fault.rule);
  }
}

function checkIssuer({ departmentCode, from, until }: AllowedIssuer, pointer: string): void {
  if (!isUscc(departmentCode)) throw new Refusal('invalid_uscc', { pointer: `${pointer}/departmentCode` });
  if (from !== undefined && until !== undefined && Date.parse(from) >= Date.parse(until)) {
    throw invalid(pointer, 'empty_period');
  }
}

const invalid = (pointer: string, rule: string): Refusal => new Refusal('certificate_type_invalid', { pointer, rule });

/** Whether the department may issue certificates of this type at that moment. */
export const isAllowedIssuer = (type: CertificateTypeDefinition, department: string, at: Date): boolean =>
  type.allowedIssuers.some(
    (issuer) =>
      issuer.departmentCode === department &&
      (issuer.from === undefined || Date.parse(issuer.from) <= at.getTime()) &&
      (issuer.until === undefined || at.getTime() < Date.parse(issuer.until)),
  );
