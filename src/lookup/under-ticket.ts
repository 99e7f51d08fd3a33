import { Refusal } from '../errors.ts';
import { misfitOf, type Ticket, typesUnder } from '../grants/ticket.ts';
import { mustBeUsable, openTicket, takeUses, type UseTicketDeps } from '../grants/use-ticket.ts';
import type { Call } from '../ids.ts';
import type { Question } from './question.ts';

interface Quoting {
  readonly question: Question;
  /** The secret of its ticket, or a ticket of which who opened it takes the use; undefined: none. */
  readonly quoted: Ticket | string | undefined;
  readonly call: Call;
  /** Told the name of the ticket, if it is the caller's, before anything about it is refused. */
  readonly found: (ticketId: string) => void;
}

/**
 * The question with nothing left open that its ticket decides, and what takes a use of it; without a ticket the question as it is, at no
 * cost. Refuses what the ticket is not good for (`ticket_mismatch` with a pointer), or not any more.
 */
export async function underTicket(
  deps: UseTicketDeps,
  { question, quoted, call, found }: Quoting,
): Promise<{ readonly asked: Question; readonly takeTicket: () => Promise<void> }> {
  if (quoted === undefined) return { asked: question, takeTicket: nothing };
  if (typeof quoted !== 'string') {
    found(quoted.ticketId);
    return { asked: limitedBy(quoted, question), takeTicket: nothing };
  }
  const { clientId } = call.caller;
  const opened = await openTicket(deps, { secret: quoted, clientId, found, pointer: '/ticket' });
  mustBeUsable(opened, call.at);
  return { asked: limitedBy(opened.ticket, question), takeTicket: () => takeUses(deps, [opened], call.at) };
}

const nothing = (): Promise<void> => Promise.resolve();

function limitedBy(ticket: Ticket, question: Question): Question {
  const { purpose, level, about, types } = question;
  const limited = {
    purpose,
    level,
    ...(about.by === 'holder' && { holder: about.holder }),
    ...(types !== undefined && { types }),
  };
  const pointer = misfitOf(ticket, limited);
  if (pointer !== undefined) throw new Refusal('ticket_mismatch', { pointer });
  return { ...question, hasTicket: true, types: typesUnder(ticket, limited) };
}
