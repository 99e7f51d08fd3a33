import { typesUnder } from '../grants/ticket.ts';
import { mustBeGood, type OpenTicket, openTicket, type UseTicketDeps } from '../grants/use-ticket.ts';
import type { Call } from '../ids.ts';
import type { Question } from './question.ts';

interface Quoting {
  readonly question: Question;
  /** The secret of its ticket, or the ticket opened for several questions; undefined: none. */
  readonly quoted: OpenTicket | string | undefined;
  readonly call: Call;
  /** Told the name of the ticket, if it is the caller's, before anything about it is refused. */
  readonly found: (ticketId: string) => void;
}

/**
 * The question with nothing left open that its ticket decides, and what takes a use of it; without a ticket the question as it is, at no
 * cost. Refuses what the ticket is not good for, or not any more.
 */
export async function underTicket(
  deps: UseTicketDeps,
  { question, quoted, call, found }: Quoting,
): Promise<{ readonly asked: Question; readonly takeTicket: () => Promise<void> }> {
  if (quoted === undefined) return { asked: question, takeTicket: () => Promise.resolve() };
  const { ticket, take } =
    typeof quoted === 'string'
      ? await openTicket(deps, { secret: quoted, clientId: call.caller.clientId, at: call.at, found })
      : quoted;
  found(ticket.ticketId);
  const { purpose, level, about, types } = question;
  const limited = {
    purpose,
    level,
    ...(about.by === 'holder' && { holder: about.holder }),
    ...(types !== undefined && { types }),
  };
  mustBeGood(ticket, limited, call.at);
  return { asked: { ...question, hasTicket: true, types: typesUnder(ticket, limited) }, takeTicket: take };
}
