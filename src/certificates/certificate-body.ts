import type { CertificateType } from '../catalogue/certificate-type.ts';
import type { RevocationReason } from './certificate-row.ts';
import type { CertificateVersion } from './certificate-version.ts';
import { presentSdJwt } from './read-certificates.ts';
import { disclosedClaims, expectedPayload } from './sealed-claims.ts';
import { statusListUri } from './status-list.ts';

/** A certificate as the contract words it, for the department that issued it. */
export interface CertificateBody {
  certificateIdentifier: string;
  version: number;
  state: CertificateVersion['state'];
  revocationReason?: RevocationReason;
  certificateTypeCode: string;
  typeVersion: number;
  certificateIssuingAuthorityCode: string;
  metadata: MetadataBody;
  statusReference: { idx: number; uri: string };
  pushedAt: string;
  sealedAt?: string;
  returnReason?: string;
  sealing?: { payload: Record<string, unknown>; disclosures: Record<string, unknown> };
  sdJwt?: string;
}

interface MetadataBody {
  certificateNumber: string;
  certificateName?: string;
  certificateIssuedDate: string;
  certificateEffectiveDate: string;
  certificateExpiringDate?: string;
  certificateAreaCode?: string;
  relatedCertificateIdentifier?: string;
  holders: { type: string; number: string; name: string }[];
  fields: Record<string, unknown>;
  officer?: { id: string; name: string };
}

/**
 * The body of an answer to the issuing department. What its own seal must say is shown once the certificate is approved and not
 * sealed yet; the sealed certificate itself where its header is at hand.
 */
export function certificateBody(
  { rows, state, contents }: CertificateVersion,
  {
    issuer,
    type,
    sealHeader,
  }: { readonly issuer: string; readonly type?: CertificateType; readonly sealHeader?: string },
): CertificateBody {
  const [row] = rows;
  const { metadata, returnReason, sealed } = contents;
  const uriOf = (listId: number): string => statusListUri(issuer, listId);
  const { officer, ...rest } = metadata;
  return {
    certificateIdentifier: row.identifier,
    version: row.version,
    state,
    ...(row.revocation_reason === null ? {} : { revocationReason: row.revocation_reason as RevocationReason }),
    certificateTypeCode: row.certificate_type_code,
    typeVersion: row.type_version,
    certificateIssuingAuthorityCode: row.issuing_authority_code,
    metadata: {
      ...rest,
      holders: metadata.holders.map((holder) => ({ ...holder })),
      fields: { ...metadata.fields },
      ...(officer === undefined ? {} : { officer: { ...officer } }),
    },
    statusReference: { idx: row.status_index, uri: uriOf(row.status_list) },
    pushedAt: row.pushed_at.toISOString(),
    ...(row.sealed_at === null ? {} : { sealedAt: row.sealed_at.toISOString() }),
    ...(returnReason === undefined ? {} : { returnReason }),
    ...(state === 'approved' && type !== undefined
      ? {
          sealing: {
            payload: { ...expectedPayload(row, uriOf) },
            disclosures: Object.fromEntries(disclosedClaims(metadata, type)),
          },
        }
      : {}),
    ...(sealed === undefined || sealHeader === undefined ? {} : { sdJwt: presentSdJwt(sealHeader, sealed) }),
  };
}
