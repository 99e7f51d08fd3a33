import type { WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import type { PushedCertificate } from './certificate.ts';
import type { CertificateDeps, ChangeRequest } from './certificate-deps.ts';
import { ownIdentifier, readVersion } from './certificate-version.ts';
import { checkNextVersion, checkPushed, enterPushed } from './push-certificate.ts';
import { latestVersion } from './store.ts';

const lastVersion = 999;

/**
 * Enters the next version of a sealed certificate; it goes the whole way from push to seal, and only its seal supersedes the version
 * before. Only the latest version can be revised.
 * @throws Refusal as `pushCertificate` does; `certificate_unknown`, `version_outdated` from an older version, `wrong_state` from an
 * unsealed or revoked one, `identifier_mismatch` when the body names another certificate
 */
export function reviseCertificate(
  deps: CertificateDeps,
  input: ChangeRequest & { readonly certificateIdentifier: string; readonly pushed: PushedCertificate },
): Promise<WriteAnswer> {
  const { call, idempotencyKey, certificateIdentifier, pushed } = input;
  const request = {
    caller: call.caller,
    operation: 'reviseCertificate',
    idempotencyKey,
    content: { certificateIdentifier, pushed },
  };
  return deps.write(request, {
    prepare: async () => {
      const from = ownIdentifier(certificateIdentifier, call.caller);
      const checked = await checkPushed(deps, input);
      const pointer = '/certificateIdentifier';
      const isNext =
        checked.identifier === undefined ||
        (checked.identifier.series === from.series && checked.identifier.version === from.version + 1);
      if (!isNext) throw new Refusal('identifier_mismatch', { pointer, rule: 'next_version' });
      if (pushed.certificateTypeCode !== from.typeCode) {
        throw new Refusal('identifier_mismatch', { pointer: '/certificateTypeCode', rule: 'type' });
      }
      if (from.version === lastVersion) throw new Refusal('wrong_state', { currentVersion: from.version });
      return { checked, from };
    },
    apply: async (trx, { checked, from: { series, version } }) => {
      // Locked first: what is read after it cannot be entered by somebody else any more.
      await readVersion(trx, deps.keys.box, { series, version }, { lock: true });
      const latest = await latestVersion(trx, series);
      if (latest !== version) throw new Refusal('version_outdated', { currentVersion: latest });
      await checkNextVersion(trx, deps, { series, version: version + 1 });
      return enterPushed(trx, deps, { call, checked, series, version: version + 1, operation: 'reviseCertificate' });
    },
  });
}
