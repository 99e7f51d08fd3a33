import type { Handlers } from '../http/handlers.ts';
import { type ChangedCertificatesDeps, listChangedCertificates } from './list-changed-certificates.ts';
import { listPastUsers, type PastUsersDeps } from './list-past-users.ts';

export type PastUserRoutesDeps = PastUsersDeps & ChangedCertificatesDeps;

/** Contract ↔ domain for who used a certificate that is withdrawn by now. */
export const pastUserHandlers = (
  deps: PastUserRoutesDeps,
): Pick<Handlers, 'listPastUsers' | 'listChangedCertificates'> => ({
  listPastUsers: async ({ params, body, caller, requestId, receivedAt }) => {
    const { certificateIdentifier } = params;
    const { from, until, ...rest } = body;
    const query = {
      ...rest,
      certificateIdentifier,
      ...(from !== undefined && { from: new Date(from) }),
      ...(until !== undefined && { until: new Date(until) }),
    };
    const page = await listPastUsers(deps, query, { caller, requestId, at: receivedAt });
    const items = page.items.map(({ departmentCode, departmentName, clientId, systemName, ...use }) => ({
      department: { departmentCode, ...(departmentName !== undefined && { name: { ...departmentName } }) },
      system: { clientId, ...(systemName !== undefined && { name: { ...systemName } }) },
      matterCode: use.matterCode,
      uses: use.uses,
      firstAt: use.firstAt.toISOString(),
      lastAt: use.lastAt.toISOString(),
    }));
    const { status, erased, tampered, next, receipt } = page;
    const unreadable = { erased, tampered };
    const { recordId } = receipt;
    return {
      status: 200,
      body: { certificateIdentifier, status, items, unreadable, recordId, ...(next !== undefined && { next }) },
    };
  },
  listChangedCertificates: async ({ body, caller, requestId, receivedAt }) => {
    const { from, until, changedFrom, ...rest } = body;
    const query = {
      ...rest,
      from: new Date(from),
      ...(until !== undefined && { until: new Date(until) }),
      ...(changedFrom !== undefined && { changedFrom: new Date(changedFrom) }),
    };
    const page = await listChangedCertificates(deps, query, { caller, requestId, at: receivedAt });
    const items = page.items.map(({ changedAt, lastUseAt, ...item }) => ({
      ...item,
      changedAt: changedAt.toISOString(),
      lastUseAt: lastUseAt.toISOString(),
    }));
    const { erased, tampered, next, receipt } = page;
    const unreadable = { erased, tampered };
    return {
      status: 200,
      body: { items, unreadable, recordId: receipt.recordId, ...(next !== undefined && { next }) },
    };
  },
});
