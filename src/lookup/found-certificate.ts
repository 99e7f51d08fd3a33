import type { CertificateContents, CertificateMetadata, RevocationReason } from '../certificates/certificate-row.ts';
import type { CertificateStatus, SealedRow } from '../certificates/read-certificates.ts';
import type { Level } from '../grants/grant.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import { sdHash } from '../verification/sd-jwt.ts';
import type { PermittedType } from './permitted-types.ts';
import { normalForm } from './question.ts';

/** One certificate of an answer: never more than its grant allows. */
export interface FoundCertificate {
  readonly certificateIdentifier: string;
  readonly certificateTypeCode: string;
  readonly certificateTypeName: { readonly zh: string; readonly en: string };
  readonly issuingAuthorityCode: string;
  readonly status: CertificateStatus;
  readonly revocationReason?: RevocationReason;
  readonly supersededBy?: string;
  readonly level: Level;
  readonly grantId: string;
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly compared?: Readonly<Record<string, boolean>>;
  /** The issuing department's own signature over exactly the disclosed fields (invariant 3). */
  readonly sdJwt: string;
}

/** The line of the signed answer that stands for one certificate. */
export interface Evidence {
  readonly certificateIdentifier: string;
  readonly status: CertificateStatus;
  readonly level: Level;
  readonly sd_hash: string;
  readonly compare?: Readonly<Record<string, boolean>>;
}

export interface OpenedCertificate {
  readonly row: SealedRow;
  readonly contents: CertificateContents;
  readonly status: CertificateStatus;
}

/**
 * Cuts an opened certificate down to its permission (invariant 2). Fields leave only from a certificate in force: of a revoked,
 * suspended, expired or superseded one the caller learns the status, which is what it needs, and nothing else.
 */
export function cutDown(
  opened: OpenedCertificate,
  { type, query, permission }: PermittedType,
  level: Level,
  present: (fieldNames: readonly string[]) => string,
): FoundCertificate {
  const { row, contents, status } = opened;
  const inForce = status === 'valid';
  const names = level === 'fields' ? sealedNames(opened, permission.fields) : [];
  return {
    certificateIdentifier: row.identifier,
    certificateTypeCode: row.certificate_type_code,
    certificateTypeName: type.name,
    issuingAuthorityCode: row.issuing_authority_code,
    status,
    ...(row.revocation_reason !== null && { revocationReason: row.revocation_reason as RevocationReason }),
    level,
    grantId: permission.grant.grantId,
    ...(level === 'fields' && inForce && { fields: pick(contents.metadata, names) }),
    ...(level === 'compare' &&
      inForce &&
      query.compare !== undefined && { compared: compare(contents.metadata, query.compare) }),
    sdJwt: present(names),
  };
}

/** The fields of these that can be read of a certificate: those that its issuer sealed, and none of one that is not in force. */
const sealedNames = ({ contents, status }: OpenedCertificate, names: readonly string[]): readonly string[] =>
  status === 'valid' ? names.filter((name) => hasField(contents, name)) : [];

/** The values of these fields as far as they can be read. */
export const readFields = (opened: OpenedCertificate, names: readonly string[]): Readonly<Record<string, unknown>> =>
  pick(opened.contents.metadata, sealedNames(opened, names));

export function evidenceOf(found: FoundCertificate): Evidence {
  return {
    certificateIdentifier: found.certificateIdentifier,
    status: found.status,
    level: found.level,
    sd_hash: sdHash(found.sdJwt),
    ...(found.compared !== undefined && { compare: found.compared }),
  };
}

const hasField = (contents: CertificateContents, name: string): boolean =>
  contents.sealed !== undefined && Object.hasOwn(contents.sealed.disclosures, name);

/** The value of a grantable field: a standard one, or one of the type. */
function fieldValue(metadata: CertificateMetadata, name: string): unknown {
  if (name === 'certificateNumber') return metadata.certificateNumber;
  if (name === 'certificateIssuedDate') return metadata.certificateIssuedDate;
  if (name === 'certificateHolders') return metadata.holders;
  return Object.hasOwn(metadata.fields, name) ? metadata.fields[name] : undefined;
}

const pick = (metadata: CertificateMetadata, names: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(names.map((name) => [name, fieldValue(metadata, name)]));

/** Equality of canonical JSON; text is compared in Unicode normal form C and without blanks around it, so that the keyboard does not decide. */
function compare(metadata: CertificateMetadata, expected: Readonly<Record<string, unknown>>): Record<string, boolean> {
  return Object.fromEntries(
    Object.entries(expected).map(([name, value]) => {
      const actual = fieldValue(metadata, name);
      return [name, actual !== undefined && canonicalJson(normalForm(actual)) === canonicalJson(normalForm(value))];
    }),
  );
}
