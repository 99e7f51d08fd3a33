import { Refusal } from '../errors.ts';
import type { Officer } from '../ids.ts';
import { canonicalJson } from '../verification/canonical-json.ts';

export type CertificateState =
  | 'pending_review'
  | 'returned'
  | 'approved'
  | 'valid'
  | 'suspended'
  | 'revoked'
  | 'superseded';

export type RevocationReason = 'cancelled' | 'issued_in_error';

/** The columns of a certificate row that are bound to its box: whoever changes one without the hub's keys breaks the box. */
export interface BoundColumns {
  readonly holder_key: Buffer;
  readonly version_id: string;
  readonly series: string;
  readonly version: number;
  readonly identifier: string;
  readonly certificate_type_code: string;
  readonly type_version: number;
  readonly issuing_authority_code: string;
  readonly is_first_holder: boolean;
  readonly state: string;
  readonly revocation_reason: string | null;
  readonly effective_from: Date;
  readonly expires_at: Date | null;
  readonly status_list: number;
  readonly status_index: number;
  readonly revision: number;
  readonly pushed_at: Date;
  readonly sealed_at: Date | null;
}

export interface NamedHolder {
  readonly type: string;
  readonly number: string;
  readonly name: string;
}

/** Metadata per GB/T 36903 as the issuer pushed it, identifiers normalised. */
export interface CertificateMetadata {
  readonly certificateNumber: string;
  readonly certificateName?: string;
  readonly certificateIssuedDate: string;
  readonly certificateEffectiveDate: string;
  readonly certificateExpiringDate?: string;
  readonly certificateAreaCode?: string;
  readonly relatedCertificateIdentifier?: string;
  readonly holders: readonly NamedHolder[];
  readonly fields: Readonly<Record<string, unknown>>;
  /** Officer who pushed it. */
  readonly officer?: Officer;
}

/** A sealed certificate in parts: the header lies once per seal key in seal_headers. */
export interface SealedParts {
  /** SHA-256 (hex) of the encoded protected header. */
  readonly headerSha256: string;
  /** base64url, as signed. */
  readonly payload: string;
  readonly signature: string;
  /** Field name → disclosure string (base64url). */
  readonly disclosures: Readonly<Record<string, string>>;
}

/** Everything personal of one certificate version; lives only inside the box. */
export interface CertificateContents {
  readonly metadata: CertificateMetadata;
  readonly returnReason?: string;
  /** Ids of the officers who pushed or corrected this version, as compared by `officerKey`: none of them may review it. */
  readonly editors?: readonly string[];
  readonly sealed?: SealedParts;
}

interface Box {
  seal(aad: Uint8Array, plaintext: Uint8Array): Buffer;
  open(aad: Uint8Array, box: Uint8Array): Buffer;
}

/** Additional authenticated data of a row: its bound columns in a fixed order, canonically encoded. */
const boundTo = (row: BoundColumns): Buffer =>
  Buffer.from(
    canonicalJson([
      'certhub/certificate/1',
      row.holder_key.toString('hex'),
      row.version_id,
      row.series,
      row.version,
      row.identifier,
      row.certificate_type_code,
      row.type_version,
      row.issuing_authority_code,
      row.is_first_holder,
      row.state,
      row.revocation_reason,
      row.effective_from.getTime(),
      row.expires_at === null ? null : row.expires_at.getTime(),
      row.status_list,
      row.status_index,
      row.revision,
      row.pushed_at.getTime(),
      row.sealed_at?.getTime() ?? null,
    ]),
  );

/** Seals the contents for exactly this row. A change of any bound column needs a new box (and a higher revision). */
export function sealRow(box: Box, row: BoundColumns, contents: CertificateContents): Buffer {
  return box.seal(boundTo(row), Buffer.from(JSON.stringify(contents)));
}

/**
 * Opens a row read from the database (invariant 4).
 * Throws `stored_data_tampered` if any bound column or the box is not what the hub wrote together.
 */
export function openRow(box: Box, row: BoundColumns & { readonly box: Buffer }): CertificateContents {
  try {
    return JSON.parse(box.open(boundTo(row), row.box).toString('utf8')) as CertificateContents;
  } catch (cause) {
    throw new Refusal('stored_data_tampered', { certificateIdentifier: row.identifier }, { cause });
  }
}
