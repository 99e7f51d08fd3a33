import { Refusal } from '../errors.ts';
import type { Wanted } from '../grants/grant.ts';
import { misfitOf } from '../grants/ticket.ts';
import { mustBeUsable, type OpenTicket, openTicket, type UseTicketDeps } from '../grants/use-ticket.ts';
import type { Call } from '../ids.ts';
import type { Holder } from '../verification/identifiers.ts';
import type { Parties } from './matter-parties.ts';
import type { Purpose } from './question.ts';

interface QuotedInCheck {
  /** The secret of the ticket for each party that has one. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly purpose: Purpose;
  readonly parties: Parties;
  readonly call: Call;
  /** Told the names of the caller's own tickets before anything about any of them is refused. */
  readonly found: (party: string, ticketId: string) => void;
}

/**
 * The tickets that a matter check quotes, in the order of the matter's parties; what is wrong with the first is refused first. Refuses
 * `party_missing` when the matter does not know a party; each with the pointer of its ticket `ticket_unknown`, `ticket_expired`,
 * `ticket_used_up`, and `ticket_mismatch` for the ticket of another holder; and `ticket_mismatch` with the pointer of the purpose's
 * member, and the party, for one that was issued for another matter, case, officer or legal basis.
 */
export async function ticketsOfCheck(
  deps: UseTicketDeps,
  { secrets, purpose, parties, call, found }: QuotedInCheck,
): Promise<readonly OpenTicket[]> {
  const bySecret = new Map(Object.entries(secrets));
  // The name is the caller's own text and could be a person's, so it is not repeated.
  if ([...bySecret.keys()].some((party) => !parties.has(party))) {
    throw new Refusal('party_missing', { pointer: '/tickets/*', rule: 'unknown' });
  }
  const quoted = [...parties].flatMap(([party, holder]) => {
    const secret = bySecret.get(party);
    return secret === undefined ? [] : [{ party, holder, secret, pointer: `/tickets/${party}` }];
  });
  const settled = await Promise.allSettled(
    quoted.map(({ party, secret, pointer }) =>
      openTicket(deps, {
        secret,
        clientId: call.caller.clientId,
        pointer,
        found: (ticketId) => {
          found(party, ticketId);
        },
      }),
    ),
  );
  return quoted.map(({ party, holder }, i) => {
    const opening = settled[i];
    if (opening?.status !== 'fulfilled') throw opening?.reason;
    mustBeFor(opening.value, { party, holder, purpose, at: call.at });
    return opening.value;
  });
}

interface Party {
  readonly party: string;
  readonly holder: Holder;
  readonly purpose: Purpose;
  readonly at: Date;
}

function mustBeFor(opened: OpenTicket, { party, holder, purpose, at }: Party): void {
  mustBeUsable(opened, at);
  const { ticket, quoted } = opened;
  const misfit = misfitOf(ticket, { purpose, level: ticket.level, holder });
  if (misfit === undefined) return;
  // The members of the purpose stand in the check itself, and say nothing of whose ticket disagrees.
  const [, ofPurpose] = /^\/purpose(\/.+)$/.exec(misfit) ?? [];
  throw new Refusal(
    'ticket_mismatch',
    ofPurpose === undefined ? { pointer: quoted.pointer } : { pointer: ofPurpose, party },
  );
}

/**
 * The ticket of a check under which a lookup stands: the first that is for all of it, so that of one person's two tickets the same one
 * serves, whichever of that person's parties asks. What goes beyond every one of them in any part stands under none.
 */
export const ticketUnder = (
  tickets: readonly OpenTicket[],
  { purpose, holder, wanted }: { readonly purpose: Purpose; readonly holder: Holder; readonly wanted: Wanted },
): OpenTicket | undefined => {
  const { level, certificateTypeCode, fields } = wanted;
  const types = [{ certificateTypeCode, ...(fields !== undefined && { fields }) }];
  return tickets.find(({ ticket }) => misfitOf(ticket, { purpose, level, holder, types }) === undefined);
};
