import { createHash } from 'node:crypto';
import type { Call } from '../ids.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import { type CertificateBody, certificateBody } from './certificate-body.ts';
import { type CertificateDeps, typeOf } from './certificate-deps.ts';
import { ownIdentifier, readVersion } from './certificate-version.ts';
import { sealHeader } from './read-certificates.ts';

/**
 * A certificate as its own department sees it, recorded as an access before it is returned (invariant 1).
 * @throws Refusal `invalid_certificate_identifier`, `wrong_department`, `certificate_unknown`, `stored_data_tampered`,
 * `record_unavailable`
 */
export async function getCertificate(
  deps: Pick<CertificateDeps, 'db' | 'keys' | 'catalogue' | 'issuer' | 'record'>,
  { call, certificateIdentifier }: { readonly call: Call; readonly certificateIdentifier: string },
): Promise<CertificateBody> {
  const { db, keys, catalogue, issuer } = deps;
  const identifier = ownIdentifier(certificateIdentifier, call.caller);
  const found = await readVersion(db.kysely, keys.box, identifier);
  const [row] = found.rows;
  const { type } = await typeOf(catalogue, row);
  const { sealed } = found.contents;
  const header = sealed === undefined ? {} : { sealHeader: await sealHeader(db, sealed.headerSha256) };
  const body = certificateBody(found, { issuer, type, ...header });
  const { clientId, department, keyId } = call.caller;
  await deps.record({
    kind: 'access',
    action: 'getCertificate',
    outcome: 'answered',
    caller: { clientId, department, keyId },
    subjects: found.rows.map(({ holder_key }) => holder_key),
    certificates: [row.identifier],
    scope: { state: found.state },
    answerDigest: createHash('sha256').update(canonicalJson(body)).digest('base64url'),
    requestId: call.requestId,
    at: call.at,
  });
  return body;
}
