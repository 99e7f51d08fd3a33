import { Refusal } from '../errors.ts';
import type { Call } from '../ids.ts';
import type { CertificateDeps } from './certificate-deps.ts';
import type { CertificateState, RevocationReason } from './certificate-row.ts';
import { checkedIdentifier, ownIdentifier } from './certificate-version.ts';
import { type EventAction, readEvents } from './events.ts';
import { findVersion } from './store.ts';

/** The steps of a certificate as the contract words them. */
export interface CertificateHistoryBody {
  certificateIdentifier: string;
  events: EventBody[];
}

interface EventBody {
  at: string;
  version: number;
  action: EventAction;
  state: CertificateState;
  revocationReason?: RevocationReason;
  clientId: string;
  departmentCode: string;
  officer?: { id: string; name: string };
  reason?: string;
}

/**
 * Every step of every version of a certificate, for the department that issued it and for auditors; recorded before it is returned.
 * @throws Refusal `invalid_certificate_identifier`, `wrong_department`, `certificate_unknown`, `stored_data_tampered`,
 * `record_unavailable`
 */
export async function certificateHistory(
  deps: Pick<CertificateDeps, 'db' | 'keys' | 'record'>,
  { call, certificateIdentifier }: { readonly call: Call; readonly certificateIdentifier: string },
): Promise<CertificateHistoryBody> {
  const { caller } = call;
  const isAuditor = caller.roles.includes('auditor');
  const identifier = isAuditor
    ? checkedIdentifier(certificateIdentifier, '/certificateIdentifier')
    : ownIdentifier(certificateIdentifier, caller);
  const found = await findVersion(deps.db.kysely, identifier.series, identifier.version);
  if (found === undefined) throw new Refusal('certificate_unknown');
  const events = await readEvents(deps.db.kysely, deps.keys.box, identifier.series);
  await deps.record({
    kind: isAuditor ? 'audit_read' : 'access',
    action: 'getCertificateHistory',
    outcome: 'answered',
    caller: { clientId: caller.clientId, department: caller.department, keyId: caller.keyId },
    subjects: found.holderKeys,
    certificates: [identifier.identifier],
    requestId: call.requestId,
    at: call.at,
    detail: { events: events.length },
  });
  return {
    certificateIdentifier: identifier.identifier,
    events: events.map((event) => ({
      at: event.at.toISOString(),
      version: event.version,
      action: event.action,
      state: event.state,
      ...(event.revocationReason === null ? {} : { revocationReason: event.revocationReason }),
      clientId: event.clientId,
      departmentCode: event.departmentCode,
      ...(event.officer === undefined ? {} : { officer: { ...event.officer } }),
      ...(event.reason === undefined ? {} : { reason: event.reason }),
    })),
  };
}
