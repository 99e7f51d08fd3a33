import type { Handlers } from '../http/handlers.ts';
import { type SearchDeps, searchRecords } from './search-records.ts';

/** Contract ↔ domain for auditors. */
export const auditHandlers = (deps: SearchDeps): Pick<Handlers, 'searchRecords'> => ({
  searchRecords: async ({ body, caller, requestId, receivedAt }) => {
    const { from, until, ...query } = body;
    const page = await searchRecords(
      deps,
      {
        ...query,
        ...(from !== undefined && { from: new Date(from) }),
        ...(until !== undefined && { until: new Date(until) }),
      },
      { caller, requestId, at: receivedAt },
    );
    const items = page.items.map((record) => ({
      ...record,
      recordedAt: record.recordedAt.toISOString(),
      commitment: record.commitment.toString('base64url'),
      body: { ...record.body },
    }));
    return {
      status: 200,
      body: { items, recordId: page.receipt.recordId, ...(page.next !== undefined && { next: page.next }) },
    };
  },
});
