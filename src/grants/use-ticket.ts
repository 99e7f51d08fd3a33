import type { Database } from '../db/database.ts';
import { Refusal } from '../errors.ts';
import { findTicket, type StoredTicket, type TicketBox, type TicketQuery, takeTicketUses } from './ticket-store.ts';

export interface UseTicketDeps {
  readonly db: Pick<Database, 'query'>;
  readonly keys: { readonly box: TicketBox };
}

/** A secret as a client quotes it. */
export interface QuotedTicket extends TicketQuery {
  /** Where it stands in the request, for what is refused about it. */
  readonly pointer: string;
}

/** A ticket that a client quotes. */
export interface OpenTicket {
  /** As it stood when it was opened. */
  readonly ticket: StoredTicket;
  readonly quoted: QuotedTicket;
}

/**
 * The ticket that a client quotes, good or not. Refuses `ticket_unknown` (also for a ticket of another client: who found one learns
 * nothing) and `stored_data_tampered`. Takes no use.
 */
export async function openTicket({ db, keys }: UseTicketDeps, quoted: QuotedTicket): Promise<OpenTicket> {
  const ticket = await findTicket(db, keys.box, quoted);
  if (ticket === undefined) throw new Refusal('ticket_unknown', { pointer: quoted.pointer });
  return { ticket, quoted };
}

/** Refuses a ticket that is good for nothing more: `ticket_expired` (also when revoked), `ticket_used_up`. */
export function mustBeUsable({ ticket, quoted: { pointer } }: OpenTicket, at: Date): void {
  const code = spentCode(ticket, at);
  if (code !== undefined) throw new Refusal(code, { pointer });
}

/**
 * Takes one use of each, or none of any. Refuses `ticket_used_up`, `ticket_expired` or `ticket_unknown` to who comes too late, if only by
 * the moment since the ticket was read. Uses that are taken stay taken, also when the answer never leaves because its record cannot be
 * written: to give them back would take a write that can fail as well, and a ticket that works once too seldom harms nobody.
 * @param opened each ticket at most once
 */
export async function takeUses(deps: UseTicketDeps, opened: readonly OpenTicket[], at: Date): Promise<void> {
  const [first] = opened;
  if (first === undefined) return;
  const tickets = opened.map(({ ticket }) => ticket);
  if (await takeTicketUses(deps.db, tickets, at)) return;
  for (const { quoted } of opened) mustBeUsable(await openTicket(deps, quoted), at);
  throw new Refusal('ticket_used_up', { pointer: first.quoted.pointer });
}

function spentCode({ revokedAt, expiresAt, used, uses }: StoredTicket, at: Date) {
  if (revokedAt !== null || expiresAt <= at) return 'ticket_expired';
  return used >= uses ? 'ticket_used_up' : undefined;
}
