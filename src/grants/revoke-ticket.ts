import type { RecordIn } from '../audit/record.ts';
import type { Write, WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import type { Call } from '../ids.ts';
import { revokeTicketRow } from './ticket-store.ts';

export interface RevokeTicketDeps {
  readonly write: Write;
  readonly recordIn: RecordIn;
}

/**
 * Ends a ticket of the caller's own. It is good for nothing more from the commit on, on every process: each use asks the row itself.
 * Revoking it again changes nothing and is recorded all the same. Refuses `ticket_unknown`, also for a ticket of another client.
 */
export async function revokeTicket(
  { write, recordIn }: RevokeTicketDeps,
  { ticketId, reason }: { readonly ticketId: string; readonly reason: string },
  { caller, requestId, at, idempotencyKey }: Call & { readonly idempotencyKey: string },
): Promise<WriteAnswer> {
  const content = { ticketId, reason };
  return write(
    { caller, operation: 'revokeTicket', idempotencyKey, content },
    {
      apply: async (trx) => {
        const changed = await revokeTicketRow(trx, { ticketId, clientId: caller.clientId, at });
        if (changed === undefined) throw new Refusal('ticket_unknown');
        await recordIn(trx, {
          kind: 'registry',
          action: 'revokeTicket',
          outcome: 'done',
          caller: { clientId: caller.clientId, department: caller.department, keyId: caller.keyId },
          requestId,
          at,
          detail: { ...content, ...(!changed && { unchanged: true }) },
        });
        return { status: 200, body: { ticketId, state: 'revoked' } };
      },
    },
  );
}
