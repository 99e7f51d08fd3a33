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
  mustBeUsable(ticket, at);
  const pointer = misfitOf(ticket, question);
  if (pointer !== undefined) throw new Refusal('ticket_mismatch', { pointer });
}

/** Refuses a ticket that is good for nothing more: `ticket_expired` (also when revoked), `ticket_used_up`. */
export function mustBeUsable(ticket: StoredTicket, at: Date): void {
  const code = spentCode(ticket, at);
  if (code !== undefined) throw new Refusal(code, { pointer: '/ticket' });
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

/** A ticket for the questions of one call, which together take one use of it. */
export interface OpenTicket {
  /** As it stood when it was quoted. */
  readonly ticket: StoredTicket;
  /** Takes the use, whoever of them comes first; refuses every one of them as `takeUse` does. */
  readonly take: () => Promise<void>;
  /**
   * Refuses `ticket_expired` when it was revoked or ended since, and `ticket_unknown` when it is gone; nothing when no use was taken.
   * What `take` counted stays counted.
   */
  readonly mustStillStand: (at: Date) => Promise<void>;
}

/** Opens the ticket that a client quotes; refuses as `quotedTicket`. */
export async function openTicket(deps: UseTicketDeps, quoted: QuotedTicket): Promise<OpenTicket> {
  const ticket = await quotedTicket(deps, quoted);
  let taken: Promise<void> | undefined;
  return {
    ticket,
    take: () => {
      taken ??= takeUse(deps, ticket, quoted);
      return taken;
    },
    mustStillStand: async (at) => {
      if (taken === undefined) return;
      const { revokedAt, expiresAt } = await quotedTicket(deps, quoted);
      if (hasEnded({ revokedAt, expiresAt }, at)) throw new Refusal('ticket_expired', { pointer: '/ticket' });
    },
  };
}

const hasEnded = ({ revokedAt, expiresAt }: Pick<StoredTicket, 'revokedAt' | 'expiresAt'>, at: Date): boolean =>
  revokedAt !== null || expiresAt <= at;

function spentCode({ revokedAt, expiresAt, used, uses }: StoredTicket, at: Date) {
  if (hasEnded({ revokedAt, expiresAt }, at)) return 'ticket_expired';
  return used >= uses ? 'ticket_used_up' : undefined;
}
