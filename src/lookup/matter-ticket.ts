import { Refusal } from '../errors.ts';
import type { Wanted } from '../grants/grant.ts';
import { misfitOf } from '../grants/ticket.ts';
import { mustBeUsable, type OpenTicket, openTicket, type UseTicketDeps } from '../grants/use-ticket.ts';
import type { Call } from '../ids.ts';
import type { Holder } from '../verification/identifiers.ts';
import type { Parties } from './matter-parties.ts';
import type { Purpose } from './question.ts';

interface QuotedInCheck {
  readonly secret: string;
  readonly purpose: Purpose;
  readonly parties: Parties;
  readonly call: Call;
  /** Told the name of the caller's own ticket before anything about it is refused. */
  readonly found: (ticketId: string) => void;
}

/**
 * The ticket that a matter check quotes. Refuses `ticket_unknown`, `ticket_expired`, `ticket_used_up`, and `ticket_mismatch` with a
 * pointer when it was issued for another matter, case, officer or legal basis, or for a holder who is no party of this one.
 */
export async function ticketOfCheck(
  deps: UseTicketDeps,
  { secret, purpose, parties, call: { caller, at }, found }: QuotedInCheck,
): Promise<OpenTicket> {
  const opened = await openTicket(deps, { secret, clientId: caller.clientId, at, found });
  const { ticket } = opened;
  mustBeUsable(ticket, at);
  const { level, holder } = ticket;
  const pointer = misfitOf(ticket, { purpose, level, holder });
  // The members of the purpose stand in the check itself.
  if (pointer !== undefined) throw new Refusal('ticket_mismatch', { pointer: pointer.replace('/purpose', '') });
  if (![...parties.values()].some(({ type, number }) => type === holder.type && number === holder.number)) {
    throw new Refusal('ticket_mismatch', { pointer: '/parties' });
  }
  return opened;
}

/** Whether a lookup stands under the ticket of its check; what goes beyond it in any part does not. */
export const standsUnder = (
  { ticket }: OpenTicket,
  { purpose, holder, wanted }: { readonly purpose: Purpose; readonly holder: Holder; readonly wanted: Wanted },
): boolean => {
  const { level, certificateTypeCode, fields } = wanted;
  const types = [{ certificateTypeCode, ...(fields !== undefined && { fields }) }];
  return misfitOf(ticket, { purpose, level, holder, types }) === undefined;
};
