import type { CertificateIdentifier, CertificateTypeCode, DepartmentCode } from '../ids.ts';
import { isJsonObject, type JsonObject, type JsonValue } from './encoding.ts';
import { isCertificateTypeCode, isUscc, parseCertificateIdentifier } from './identifiers.ts';

/** The clear part of a sealed certificate (SD-JWT VC). Times are epoch seconds; `exp` is exclusive. */
export type SealedCertificatePayload = {
  /** `urn:certhub:certificate-type:<type code>:<type version>` */
  readonly vct: string;
  /** `urn:certhub:department:<USCC>` */
  readonly iss: string;
  /** When it was sealed. */
  readonly iat: number;
  /** Start of the effective day in the city's time zone. */
  readonly nbf?: number;
  /** End of the expiring day (the next midnight). */
  readonly exp?: number;
  readonly certificateIdentifier: CertificateIdentifier;
  /** Three digits, the same as in the identifier. */
  readonly certificateVersion: string;
  readonly certificateTypeCode: CertificateTypeCode;
  readonly issuingAuthorityCode: DepartmentCode;
  readonly status: { readonly status_list: { readonly idx: number; readonly uri: string } };
};

/** The `vct` of a type's version. */
export const vctOfType = (typeCode: string, typeVersion: number): string =>
  `urn:certhub:certificate-type:${typeCode}:${typeVersion}`;

/** The `iss` of a department. */
export const issOfDepartment = (department: string): string => `urn:certhub:department:${department}`;

/** Why a payload is not that of a sealed certificate. */
export type SealedPayloadFault =
  | 'payload_member_missing'
  | 'payload_member_unknown'
  | 'payload_member_invalid'
  | 'payload_inconsistent';

const isTime = (value: JsonValue | undefined): boolean =>
  typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
const isText = (value: JsonValue | undefined): value is string => typeof value === 'string';

/** Every clear member and what it must look like; `nbf` and `exp` may be absent. */
const members: Readonly<Record<keyof SealedCertificatePayload, (value: JsonValue | undefined) => boolean>> = {
  vct: (value) => isText(value) && /^urn:certhub:certificate-type:[0-9A-Z]{21}:[1-9][0-9]{0,5}$/.test(value),
  iss: (value) => isText(value) && /^urn:certhub:department:[0-9A-Z]{18}$/.test(value),
  iat: isTime,
  nbf: isTime,
  exp: isTime,
  certificateIdentifier: (value) => isText(value) && parseCertificateIdentifier(value).ok,
  certificateVersion: (value) => isText(value) && /^[0-9]{3}$/.test(value),
  certificateTypeCode: (value) => isText(value) && isCertificateTypeCode(value),
  issuingAuthorityCode: (value) => isText(value) && isUscc(value),
  status: isStatusReference,
};
const optional = new Set(['nbf', 'exp']);

function isStatusReference(value: JsonValue | undefined): boolean {
  if (!isJsonObject(value) || Object.keys(value).length !== 1 || !isJsonObject(value['status_list'])) return false;
  const { idx, uri, ...rest } = value['status_list'];
  if (Object.keys(rest).length > 0 || !isText(uri) || uri.length > 500 || !/^https?:\/\/[^\s#]+$/.test(uri))
    return false;
  return typeof idx === 'number' && Number.isSafeInteger(idx) && idx >= 0;
}

/**
 * Reads the clear part of a verified SD-JWT as a sealed certificate's: every member present and well formed,
 * none unknown, and identifier, type, issuer, version and `vct` saying the same thing.
 */
export function readSealedPayload(
  clear: JsonObject,
): { ok: true; value: SealedCertificatePayload } | { ok: false; reasons: SealedPayloadFault[] } {
  const faults = new Set<SealedPayloadFault>();
  for (const name of Object.keys(clear)) if (!Object.hasOwn(members, name)) faults.add('payload_member_unknown');
  for (const [name, isSound] of Object.entries(members)) {
    if (!Object.hasOwn(clear, name)) {
      if (!optional.has(name)) faults.add('payload_member_missing');
    } else if (!isSound(clear[name])) faults.add('payload_member_invalid');
  }
  if (faults.size > 0) return { ok: false, reasons: [...faults] };
  const payload = clear as unknown as SealedCertificatePayload;
  return isConsistent(payload) ? { ok: true, value: payload } : { ok: false, reasons: ['payload_inconsistent'] };
}

function isConsistent(payload: SealedCertificatePayload): boolean {
  const read = parseCertificateIdentifier(payload.certificateIdentifier);
  if (!read.ok) return false;
  const { typeCode, issuerCode, issuerKind, versionText } = read.value;
  return (
    typeCode === payload.certificateTypeCode &&
    // a region code in an old identifier names no department
    (issuerKind === 'region' || issuerCode === payload.issuingAuthorityCode) &&
    versionText === payload.certificateVersion &&
    payload.vct.startsWith(`urn:certhub:certificate-type:${typeCode}:`) &&
    payload.iss === issOfDepartment(payload.issuingAuthorityCode) &&
    (payload.nbf === undefined || payload.exp === undefined || payload.nbf < payload.exp)
  );
}
