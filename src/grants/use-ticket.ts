import type { Database } from '../db/database.ts';
import { Refusal } from '../errors.ts';
import { misfitOf, type QuestionUnderTicket, type Ticket } from './ticket.ts';
import { findTicket, type StoredTicket, type TicketBox, type TicketQuery, takeTicketUse } from './ticket-store.ts';

export interface UseTicketDeps {
  readonly db: Pick<Database, 'query'>;
  readonly keys: { readonly box: TicketBox };
}

/** A secret as a client quotes it, and when. */
export interface QuotedTicket extends TicketQuery {
  readonly at: Date;
}

/**
 * The ticket that a client quotes, good or not. Refuses `ticket_unknown` (also for a ticket of another client: who found one learns
 * nothing) and `stored_data_tampered`. Takes no use.
 */
export async function quotedTicket({ db, keys }: UseTicketDeps, quoted: QuotedTicket): Promise<StoredTicket> {
  const ticket = await findTicket(db, keys.box, quoted);
  if (ticket === undefined) throw new Refusal('ticket_unknown', { pointer: '/ticket' });
  return ticket;
}

/**
 * Refuses a question that the ticket is not good for: `ticket_expired` (also when revoked), `ticket_used_up`, or `ticket_mismatch` with a
 * pointer to what it was not issued for.
 */
export function mustBeGood(ticket: StoredTicket, question: QuestionUnderTicket, at: Date): void {
  const code = spentCode(ticket, at);
  if (code !== undefined) throw new Refusal(code, { pointer: '/ticket' });
  const pointer = misfitOf(ticket, question);
  if (pointer !== undefined) throw new Refusal('ticket_mismatch', { pointer });
}

/**
 * Takes one use. Refuses `ticket_used_up` or `ticket_expired` to who comes too late, if only by the moment since the ticket was read.
 * A use that is taken stays taken, also when the answer never leaves because its record cannot be written: to give it back would take a
 * write that can fail as well, and a ticket that works once too seldom harms nobody.
 */
export async function takeUse({ db, keys }: UseTicketDeps, ticket: Ticket, quoted: QuotedTicket): Promise<void> {
  if (await takeTicketUse(db, ticket, quoted.at)) return;
  const now = await findTicket(db, keys.box, quoted);
  throw new Refusal((now && spentCode(now, quoted.at)) ?? 'ticket_used_up', { pointer: '/ticket' });
}

function spentCode({ revokedAt, expiresAt, used, uses }: StoredTicket, at: Date) {
  if (revokedAt !== null || expiresAt <= at) return 'ticket_expired';
  return used >= uses ? 'ticket_used_up' : undefined;
}
