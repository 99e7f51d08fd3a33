import {
  type AuthorityLevel,
  type CertificateType,
  type FieldDefinition,
  isRetired,
  standardFields,
  type TypeCategory,
} from './certificate-type.ts';
import { type Matter, typesRequired } from './matter.ts';

/** A certificate type as the contract words it. */
export interface CertificateTypeBody {
  certificateTypeCode: string;
  version: number;
  name: { zh: string; en: string };
  ownerDepartmentCode: string;
  allowedIssuers: { departmentCode: string; from?: string; until?: string }[];
  holderKind: 'person' | 'organisation' | 'mixed';
  holderCount: { min: number; max: number };
  fields: FieldBody[];
  standardFields: FieldBody[];
  validity: { kind: 'permanent' | 'limited' | 'either'; maxMonths?: number };
  reviewRequired: boolean;
  category?: TypeCategory;
  definingAuthorityLevel?: AuthorityLevel;
  issuingAuthorityLevel?: AuthorityLevel;
  standard?: string;
  decidedBy?: 'city' | 'province';
  state: 'published' | 'retired';
  migrationNote?: { zh: string; en: string };
  matters: { matterCode: string; name: { zh: string; en: string }; relation: 'requires' | 'produces' }[];
  createdAt: string;
}

interface FieldBody {
  name: string;
  label: { zh: string; en: string };
  schema: Record<string, unknown>;
  class: 'public' | 'internal' | 'sensitive';
  required: boolean;
}

const fieldBody = ({ name, label, schema, class: fieldClass, required }: FieldDefinition): FieldBody => ({
  name,
  label: { ...label },
  schema: { ...schema },
  class: fieldClass,
  required,
});

/** Members of GB/T 36902 that a definition may leave out. */
const described = ({
  category,
  definingAuthorityLevel,
  issuingAuthorityLevel,
  standard,
  decidedBy,
}: CertificateType): Partial<CertificateTypeBody> => ({
  ...(category !== undefined && { category }),
  ...(definingAuthorityLevel !== undefined && { definingAuthorityLevel }),
  ...(issuingAuthorityLevel !== undefined && { issuingAuthorityLevel }),
  ...(standard !== undefined && { standard }),
  ...(decidedBy !== undefined && { decidedBy }),
});

/** Matters in force that require or produce the type; one that does both stands twice. */
const relatedTo = (code: string, matters: readonly Matter[]): CertificateTypeBody['matters'] =>
  matters
    .filter((matter) => !isRetired(matter))
    .flatMap((matter) => {
      const related = (relation: 'requires' | 'produces', codes: readonly string[]) =>
        codes.includes(code) ? [{ matterCode: matter.matterCode, name: { ...matter.name }, relation }] : [];
      return [...related('requires', typesRequired(matter)), ...related('produces', matter.produces ?? [])];
    });

/** The body of an answer about a certificate type, with the matters it stands in. */
export const typeBody = (type: CertificateType, matters: readonly Matter[]): CertificateTypeBody => ({
  certificateTypeCode: type.certificateTypeCode,
  version: type.version,
  name: { ...type.name },
  ownerDepartmentCode: type.ownerDepartmentCode,
  allowedIssuers: type.allowedIssuers.map((issuer) => ({ ...issuer })),
  holderKind: type.holderKind,
  holderCount: { ...type.holderCount },
  fields: type.fields.map(fieldBody),
  standardFields: standardFields.map(fieldBody),
  validity: { ...type.validity },
  reviewRequired: type.reviewRequired,
  ...described(type),
  state: isRetired(type) ? 'retired' : 'published',
  ...(type.note?.migrationNote !== undefined && { migrationNote: { ...type.note.migrationNote } }),
  matters: relatedTo(type.certificateTypeCode, matters),
  createdAt: type.createdAt.toISOString(),
});
