import type { Call } from '../../ids.ts';
import type { Entry } from '../entry.ts';

/** What an auditor did with the records: why, and of what extent. */
export interface AuditRead {
  readonly reason: string;
  /** Everything that was asked, and what was found, as JSON. */
  readonly scope: unknown;
  /** Pseudonym of the holder whom the question was about. */
  readonly subject?: Buffer;
  /** Keeps the read out of the subject's own report until then: it would tell that there is a record which must not show yet. */
  readonly secrecy?: { readonly releaseAt: string; readonly legalGround: string };
}

/** The entry of a read of the records: to be recorded before anything of it leaves (invariant 1). */
export const auditRead = (action: string, call: Call, { reason, scope, subject, secrecy }: AuditRead): Entry => ({
  kind: 'audit_read',
  action,
  outcome: 'answered',
  caller: { clientId: call.caller.clientId, department: call.caller.department, keyId: call.caller.keyId },
  ...(subject !== undefined && { subjects: [subject] }),
  scope,
  requestId: call.requestId,
  at: call.at,
  detail: { reason, ...(secrecy !== undefined && { secrecy }) },
});
