import type { Handlers } from '../http/handlers.ts';
import { type IssueTicketDeps, issueTicket } from './issue-ticket.ts';
import { revokeTicket } from './revoke-ticket.ts';

interface IssuedBody {
  ticketId: string;
  ticket: string;
  uses: number;
  expiresAt: string;
}
interface RevokedBody {
  ticketId: string;
  state: 'revoked';
}

/** Contract ↔ domain for tickets. */
export const ticketHandlers = (deps: IssueTicketDeps): Pick<Handlers, 'issueTicket' | 'revokeTicket'> => ({
  issueTicket: async ({ body, headers, caller, requestId, receivedAt }) => {
    const { expiresAt, ...wish } = body;
    const answer = await issueTicket(
      deps,
      { ...wish, ...(expiresAt !== undefined && { expiresAt: new Date(expiresAt) }) },
      { caller, requestId, at: receivedAt, idempotencyKey: headers['idempotency-key'] },
    );
    return { status: 201, body: answer.body as IssuedBody };
  },
  revokeTicket: async ({ params, body, headers, caller, requestId, receivedAt }) => {
    const answer = await revokeTicket(
      deps,
      { ticketId: params.ticketId, reason: body.reason },
      { caller, requestId, at: receivedAt, idempotencyKey: headers['idempotency-key'] },
    );
    return { status: 200, body: answer.body as RevokedBody };
  },
});
