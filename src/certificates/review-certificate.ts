import type { WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import { type Officer, officerKey } from '../ids.ts';
import { nextState } from './certificate.ts';
import { certificateBody } from './certificate-body.ts';
import { type CertificateDeps, type ChangeRequest, typeOf } from './certificate-deps.ts';
import { changeVersion, noteStep, ownIdentifier, readVersion } from './certificate-version.ts';

/** A reviewing officer's decision. */
export interface Review {
  readonly decision: 'approve' | 'return';
  readonly officer: Officer;
  /** Required to return a certificate. */
  readonly reason?: string;
}

/**
 * Approves or returns a pushed certificate. No officer reviews what they pushed or corrected themselves.
 * @throws Refusal `certificate_unknown`, `wrong_department`, `wrong_state`, `reason_missing`, `reviewer_must_differ`
 */
export function reviewCertificate(
  deps: CertificateDeps,
  input: ChangeRequest & { readonly certificateIdentifier: string; readonly review: Review },
): Promise<WriteAnswer> {
  const { call, idempotencyKey, certificateIdentifier, review } = input;
  const { decision, officer, reason } = review;
  const request = {
    caller: call.caller,
    operation: 'reviewCertificate',
    idempotencyKey,
    content: { certificateIdentifier, review },
  };
  return deps.write(request, {
    prepare: async () => {
      const identifier = ownIdentifier(certificateIdentifier, call.caller);
      if (decision === 'return' && reason === undefined) throw new Refusal('reason_missing', { pointer: '/reason' });
      const { rows } = await readVersion(deps.db.kysely, deps.keys.box, identifier);
      return { identifier, type: (await typeOf(deps.catalogue, rows[0])).type };
    },
    apply: async (trx, { identifier, type }) => {
      const current = await readVersion(trx, deps.keys.box, identifier, { lock: true });
      const state = nextState(current.state, decision, type);
      const { returnReason: _earlier, ...contents } = current.contents;
      if (contents.editors?.includes(officerKey(officer)) === true) {
        throw new Refusal('reviewer_must_differ', { pointer: '/officer/id' });
      }
      const after = await changeVersion(trx, { keys: deps.keys, timeZone: deps.cityTimeZone }, current, {
        state,
        contents: decision === 'return' && reason !== undefined ? { ...contents, returnReason: reason } : contents,
        at: call.at,
      });
      const action = decision === 'approve' ? 'approved' : 'returned';
      await noteStep(trx, deps, { call, after, step: { operation: 'reviewCertificate', action, officer, reason } });
      return { status: 200, body: certificateBody(after, { issuer: deps.issuer, type }) };
    },
  });
}
