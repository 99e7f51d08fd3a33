import { type CertificateType, type FieldDefinition, standardFields } from './certificate-type.ts';

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
  decidedBy?: 'city' | 'province';
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

/** The body of an answer about a certificate type. */
export const typeBody = (type: CertificateType): CertificateTypeBody => ({
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
  ...(type.decidedBy !== undefined && { decidedBy: type.decidedBy }),
  createdAt: type.createdAt.toISOString(),
});
