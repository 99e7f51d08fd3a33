import type { Handlers } from '../http/handlers.ts';
import { type LookupDeps, lookUp } from './lookup.ts';

/** Contract ↔ domain for lookups. */
export const lookupHandlers = (deps: LookupDeps): Pick<Handlers, 'lookUp'> => ({
  lookUp: async ({ body, caller, requestId, receivedAt }) => {
    const { answer, receipt, certificates } = await lookUp(deps, body, { caller, requestId, at: receivedAt });
    return { status: 200, body: { recordId: receipt.recordId, answer, certificates: [...certificates] } };
  },
});
