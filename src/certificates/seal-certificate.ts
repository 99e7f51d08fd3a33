import type { Transaction } from 'kysely';
import type { CertificateType } from '../catalogue/certificate-type.ts';
import { isAllowedIssuer, isRetired } from '../catalogue/certificate-type.ts';
import type { Tables } from '../db/tables.ts';
import type { WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import type { Call, Officer } from '../ids.ts';
import { issueSdJwt } from '../signing/sd-jwt-issue.ts';
import type { ParsedCertificateIdentifier } from '../verification/identifiers.ts';
import { filterSdJwt } from '../verification/sd-jwt.ts';
import { isSealed, nextState } from './certificate.ts';
import { certificateBody } from './certificate-body.ts';
import { type CertificateDeps, type ChangeRequest, typeOf } from './certificate-deps.ts';
import { type CertificateVersion, changeVersion, noteStep, ownIdentifier, readVersion } from './certificate-version.ts';
import { type SealDemands, type VerifiedSeal, verifySeal } from './seal-check.ts';
import { decoyCount, disclosedClaims, expectedPayload } from './sealed-claims.ts';
import { setStatus } from './status-index.ts';
import { statusListUri } from './status-list.ts';
import { insertSealHeader, latestVersion, versionsOf } from './store.ts';

/** What a department sends to seal: nothing, for the key it deposited, or its own sealed certificate. */
export interface Sealing {
  readonly officer?: Officer;
  readonly sdJwt?: string;
}

interface Prepared {
  readonly identifier: ParsedCertificateIdentifier;
  readonly type: CertificateType;
  readonly revision: number;
  readonly seal: VerifiedSeal;
}

/**
 * Seals an approved certificate: it is valid from now on, and the version before is superseded in the same transaction. Signing
 * and verifying happen before it; if the certificate changed in between, nothing is sealed.
 * @throws Refusal `certificate_unknown`, `wrong_department`, `review_required`, `wrong_state`, `version_outdated`, `type_not_allowed`,
 * `seal_key_missing`, `seal_key_expired`, `sealed_certificate_invalid`
 */
export function sealCertificate(
  deps: CertificateDeps,
  input: ChangeRequest & { readonly certificateIdentifier: string; readonly sealing: Sealing },
): Promise<WriteAnswer> {
  const { call, idempotencyKey, certificateIdentifier, sealing } = input;
  const request = {
    caller: call.caller,
    operation: 'sealCertificate',
    idempotencyKey,
    content: { certificateIdentifier, sealing },
  };
  return deps.write(request, {
    prepare: () => prepareSeal(deps, input),
    apply: async (trx, prepared) => {
      const { identifier, type, seal } = prepared;
      const current = await readVersion(trx, deps.keys.box, identifier, { lock: true });
      const state = nextState(current.state, 'seal', type);
      // What was signed is what was read before the transaction: nothing else may be sealed with it.
      if (current.rows[0].revision !== prepared.revision) throw new Refusal('wrong_state', { state: current.state });
      if ((await latestVersion(trx, identifier.series)) !== identifier.version) throw new Refusal('version_outdated');
      await insertSealHeader(trx, seal.parts.headerSha256, seal.header);
      const after = await changeVersion(trx, { keys: deps.keys, timeZone: deps.cityTimeZone }, current, {
        state,
        sealedAt: call.at,
        contents: { ...current.contents, sealed: seal.parts },
        at: call.at,
      });
      const previous = await supersedePrevious(trx, deps, { call, identifier, type });
      const detail = {
        sealX509: seal.sealX509,
        sealedBy: sealing.sdJwt === undefined ? 'hub' : 'issuer',
        ...(previous === undefined ? {} : { superseded: previous.rows[0].identifier }),
      };
      const { officer } = sealing;
      const operation = 'sealCertificate';
      await noteStep(trx, deps, { call, after, step: { operation, action: 'sealed', officer, detail } });
      if (previous !== undefined) {
        const supersededBy = { supersededBy: identifier.identifier };
        const step = { operation, action: 'superseded', officer, detail: supersededBy } as const;
        await noteStep(trx, deps, { call, after: previous, step });
      }
      return { status: 200, body: certificateBody(after, { issuer: deps.issuer, type, sealHeader: seal.header }) };
    },
  });
}

async function prepareSeal(
  deps: CertificateDeps,
  { call, certificateIdentifier, sealing }: Parameters<typeof sealCertificate>[1],
): Promise<Prepared> {
  const identifier = ownIdentifier(certificateIdentifier, call.caller);
  const current = await readVersion(deps.db.kysely, deps.keys.box, identifier);
  const [row] = current.rows;
  const { type } = await typeOf(deps.catalogue, row);
  nextState(current.state, 'seal', type);
  const { department } = call.caller;
  const { certificateTypeCode } = type;
  // Entitled by the version of the certificate, which is what a verifier looks at, and not excluded since.
  const catalogue = await deps.catalogue.read();
  const newest = catalogue.newest(certificateTypeCode);
  if (newest !== undefined && isRetired(newest.type)) throw new Refusal('certificate_type_retired');
  const allowed = catalogue.allowedIssuer(certificateTypeCode, department, call.at);
  if (!allowed || !isAllowedIssuer(type, department, call.at)) throw new Refusal('type_not_allowed');
  const { metadata } = current.contents;
  const demands: SealDemands = {
    expected: expectedPayload(row, (listId) => statusListUri(deps.issuer, listId)),
    claims: disclosedClaims(metadata, type),
    decoys: decoyCount(metadata, type),
    department,
    trust: await deps.trust.read(),
    pushedAt: row.pushed_at,
    at: call.at,
  };
  const sdJwt = sealing.sdJwt ?? (await sealWithDepositedKey(deps, demands));
  return { identifier, type, revision: row.revision, seal: verifySeal(sdJwt, demands) };
}

async function sealWithDepositedKey(
  { keys }: Pick<CertificateDeps, 'keys'>,
  { expected, claims, decoys, department, at }: SealDemands,
): Promise<string> {
  const signer = keys.sealSigner(department);
  if (signer === undefined || at < signer.notBefore) throw new Refusal('seal_key_missing');
  if (signer.notAfter <= at) throw new Refusal('seal_key_expired');
  const iat = Math.floor(at.getTime() / 1000);
  const issued = await issueSdJwt({ signer, payload: { ...expected, iat }, fields: claims, decoys });
  return filterSdJwt(`${issued.header}.${issued.payload}.${issued.signature}`, [...issued.disclosures.values()]);
}

/** The newest sealed version below is superseded, unless it was revoked. Answers what became of it. */
async function supersedePrevious(
  trx: Transaction<Tables>,
  deps: CertificateDeps,
  {
    call,
    identifier,
    type,
  }: { readonly call: Call; readonly identifier: ParsedCertificateIdentifier; readonly type: CertificateType },
): Promise<CertificateVersion | undefined> {
  for (const version of await versionsOf(trx, identifier.series)) {
    if (version >= identifier.version) continue;
    const previous: CertificateVersion = await readVersion(
      trx,
      deps.keys.box,
      { series: identifier.series, version },
      { lock: true },
    );
    if (!isSealed(previous.state)) continue;
    if (previous.state === 'revoked' || previous.state === 'superseded') return undefined;
    const [row] = previous.rows;
    const after = await changeVersion(trx, { keys: deps.keys, timeZone: deps.cityTimeZone }, previous, {
      state: nextState(previous.state, 'supersede', type),
      at: call.at,
    });
    await setStatus(trx, { list: row.status_list, index: row.status_index }, 1, call.at);
    return after;
  }
  return undefined;
}
