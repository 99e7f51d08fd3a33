import type { WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import type { Officer } from '../ids.ts';
import { statusValues } from '../verification/status-list.ts';
import { nextState } from './certificate.ts';
import { certificateBody } from './certificate-body.ts';
import type { CertificateDeps, ChangeRequest } from './certificate-deps.ts';
import type { RevocationReason } from './certificate-row.ts';
import { changeVersion, noteStep, ownIdentifier, readVersion } from './certificate-version.ts';
import { setStatus } from './status-index.ts';

/** A decision on a sealed certificate. */
export interface StatusChange {
  readonly action: 'suspend' | 'resume' | 'revoke';
  readonly reason: string;
  /** Required to revoke, and only then. */
  readonly revocationReason?: RevocationReason;
  readonly officer?: Officer;
}

const outcomes = {
  suspend: { event: 'suspended', status: statusValues.suspended },
  resume: { event: 'resumed', status: statusValues.valid },
  revoke: { event: 'revoked', status: statusValues.invalid },
} as const;

/**
 * Suspends, resumes or revokes a sealed certificate; a revocation is final. A department that may no longer issue the type may
 * still take back what it issued.
 * @throws Refusal `certificate_unknown`, `wrong_department`, `wrong_state`, `revocation_reason_missing`, `contract_violation`
 */
export function changeCertificateStatus(
  deps: CertificateDeps,
  input: ChangeRequest & { readonly certificateIdentifier: string; readonly change: StatusChange },
): Promise<WriteAnswer> {
  const { call, idempotencyKey, certificateIdentifier, change } = input;
  const { action, reason, revocationReason, officer } = change;
  const request = {
    caller: call.caller,
    operation: 'changeCertificateStatus',
    idempotencyKey,
    content: { certificateIdentifier, change },
  };
  return deps.write(request, {
    prepare: async () => {
      const pointer = '/revocationReason';
      if (action === 'revoke' && revocationReason === undefined)
        throw new Refusal('revocation_reason_missing', { pointer });
      if (action !== 'revoke' && revocationReason !== undefined) throw new Refusal('contract_violation', { pointer });
      return ownIdentifier(certificateIdentifier, call.caller);
    },
    apply: async (trx, identifier) => {
      const current = await readVersion(trx, deps.keys.box, identifier, { lock: true });
      const [row] = current.rows;
      // The type says nothing about these moves.
      const state = nextState(current.state, action, { reviewRequired: true });
      const after = await changeVersion(trx, { keys: deps.keys, timeZone: deps.cityTimeZone }, current, {
        state,
        ...(revocationReason === undefined ? {} : { revocationReason }),
        at: call.at,
      });
      const { event, status } = outcomes[action];
      await setStatus(trx, { list: row.status_list, index: row.status_index }, status, call.at);
      const detail = revocationReason === undefined ? {} : { revocationReason };
      const step = { operation: 'changeCertificateStatus', action: event, officer, reason, detail };
      await noteStep(trx, deps, { call, after, step });
      return { status: 200, body: certificateBody(after, { issuer: deps.issuer }) };
    },
  });
}
