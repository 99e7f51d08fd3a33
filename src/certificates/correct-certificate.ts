import type { WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import { officerKey } from '../ids.ts';
import { nextState, type PushedCertificate } from './certificate.ts';
import { certificateBody } from './certificate-body.ts';
import type { CertificateDeps, ChangeRequest } from './certificate-deps.ts';
import { changeVersion, noteStep, ownIdentifier, readVersion } from './certificate-version.ts';
import { checkPushed } from './push-certificate.ts';

/**
 * Replaces the metadata of a certificate that is not sealed yet and puts it back into the review. Type and identifier stay; the
 * type's newest version applies from now on.
 * @throws Refusal as `checkPushed` does; `certificate_unknown`, `identifier_mismatch`, `wrong_state`
 */
export function correctCertificate(
  deps: CertificateDeps,
  input: ChangeRequest & { readonly certificateIdentifier: string; readonly pushed: PushedCertificate },
): Promise<WriteAnswer> {
  const { call, idempotencyKey, certificateIdentifier, pushed } = input;
  const request = {
    caller: call.caller,
    operation: 'correctCertificate',
    idempotencyKey,
    content: { certificateIdentifier, pushed },
  };
  return deps.write(request, {
    prepare: async () => {
      const identifier = ownIdentifier(certificateIdentifier, call.caller);
      const named = pushed.certificateIdentifier ?? certificateIdentifier;
      if (named !== certificateIdentifier) {
        throw new Refusal('identifier_mismatch', { pointer: '/certificateIdentifier', rule: 'path' });
      }
      if (pushed.certificateTypeCode !== identifier.typeCode) {
        throw new Refusal('identifier_mismatch', { pointer: '/certificateTypeCode', rule: 'type' });
      }
      return { identifier, checked: await checkPushed(deps, input) };
    },
    apply: async (trx, { identifier, checked: { entry, metadata } }) => {
      const current = await readVersion(trx, deps.keys.box, identifier, { lock: true });
      const state = nextState(current.state, 'correct', entry.type);
      const { officer } = metadata;
      const editors = new Set([
        ...(current.contents.editors ?? []),
        ...(officer === undefined ? [] : [officerKey(officer)]),
      ]);
      const after = await changeVersion(trx, { keys: deps.keys, timeZone: deps.cityTimeZone }, current, {
        state,
        typeVersion: entry.type.version,
        contents: { metadata, editors: [...editors] },
        at: call.at,
      });
      await noteStep(trx, deps, {
        call,
        after,
        step: { operation: 'correctCertificate', action: 'corrected', officer },
      });
      return { status: 200, body: certificateBody(after, { issuer: deps.issuer, type: entry.type }) };
    },
  });
}
