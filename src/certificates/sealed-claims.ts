import type { CertificateTypeDefinition } from '../catalogue/certificate-type.ts';
import type { CertificateIdentifier, CertificateTypeCode, DepartmentCode } from '../ids.ts';
import { issOfDepartment, type SealedCertificatePayload, vctOfType } from '../verification/sealed-certificate.ts';
import type { BoundColumns, CertificateMetadata } from './certificate-row.ts';

/** The clear part of a sealed certificate without the time of sealing. */
export type ExpectedPayload = Omit<SealedCertificatePayload, 'iat'>;

const seconds = (at: Date): number => at.getTime() / 1000;

/** What the clear part of this certificate version must say. Dates were turned into instants of the city when it was pushed. */
export function expectedPayload(row: BoundColumns, statusListUri: (listId: number) => string): ExpectedPayload {
  return {
    vct: vctOfType(row.certificate_type_code, row.type_version),
    iss: issOfDepartment(row.issuing_authority_code),
    nbf: seconds(row.effective_from),
    ...(row.expires_at === null ? {} : { exp: seconds(row.expires_at) }),
    certificateIdentifier: row.identifier as CertificateIdentifier,
    certificateVersion: String(row.version).padStart(3, '0'),
    certificateTypeCode: row.certificate_type_code as CertificateTypeCode,
    issuingAuthorityCode: row.issuing_authority_code as DepartmentCode,
    status: { status_list: { idx: row.status_index, uri: statusListUri(row.status_list) } },
  };
}

/** The claims to disclose, one disclosure each: standard fields first, then those fields of the type that have a value. */
export function disclosedClaims(
  metadata: CertificateMetadata,
  type: CertificateTypeDefinition,
): readonly (readonly [name: string, value: unknown])[] {
  return [
    ['certificateNumber', metadata.certificateNumber],
    ['certificateIssuedDate', metadata.certificateIssuedDate],
    ['certificateHolders', metadata.holders.map(({ type: kind, number, name }) => ({ type: kind, number, name }))],
    ...type.fields
      .filter(({ name }) => Object.hasOwn(metadata.fields, name))
      .map(({ name }) => [name, metadata.fields[name]] as const),
  ];
}

/** How many decoy digests hide which optional fields are absent: with them every certificate of a type has as many digests. */
export const decoyCount = (metadata: CertificateMetadata, type: CertificateTypeDefinition): number =>
  type.fields.filter(({ name }) => !Object.hasOwn(metadata.fields, name)).length;
