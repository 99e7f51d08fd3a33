import type { Handlers } from '../../http/handlers.ts';
import { type OwnReceiptDeps, ownReceipts } from './own-receipts.ts';

/** Contract ↔ domain for clients that compare their answers with the log. */
export const receiptHandlers = (deps: OwnReceiptDeps): Pick<Handlers, 'searchOwnReceipts'> => ({
  searchOwnReceipts: async ({ body, caller, requestId, receivedAt }) => {
    const { from, until, ...query } = body;
    const page = await ownReceipts(
      deps,
      {
        ...query,
        ...(from !== undefined && { from: new Date(from) }),
        ...(until !== undefined && { until: new Date(until) }),
      },
      { caller, requestId, at: receivedAt },
    );
    const items = page.items.map((receipt) => ({
      ...receipt,
      recordedAt: receipt.recordedAt.toISOString(),
      commitment: receipt.commitment.toString('base64url'),
    }));
    return {
      status: 200,
      body: { items, recordId: page.receipt.recordId, ...(page.next !== undefined && { next: page.next }) },
    };
  },
});
