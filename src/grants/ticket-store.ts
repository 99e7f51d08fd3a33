import { createHash, randomBytes } from 'node:crypto';
import type { Kysely, Transaction } from 'kysely';
import type { Database } from '../db/database.ts';
import type { Tables } from '../db/tables.ts';
import { Refusal } from '../errors.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import type { Ticket, TicketScope } from './ticket.ts';

type TicketRow = Tables['tickets'];

/** Authenticated encryption under the hub's keys; `open` throws `stored_data_tampered`. */
export interface TicketBox {
  seal(aad: Uint8Array, plaintext: Uint8Array): Buffer;
  open(aad: Uint8Array, box: Uint8Array): Buffer;
}

/** Tells a ticket at sight, for people and for programs that look for secrets where none should be. */
const ticketPrefix = 'certhub_ticket_';
const secretBytes = 16;

/** A new secret: 128 random bits. It is told to the client that asked for it, and kept nowhere. */
export const newTicketSecret = (): string => `${ticketPrefix}${randomBytes(secretBytes).toString('base64url')}`;

/** By what a secret is found again. Nobody guesses 128 bits back from it, so it takes no key. */
export const ticketHash = (secret: string): Buffer => createHash('sha256').update(secret).digest();

/** What the box of a row binds: every column that never changes. */
const boundTo = (row: Omit<TicketRow, 'used' | 'revoked_at' | 'box'>): Buffer =>
  Buffer.from(
    canonicalJson([
      'certhub/ticket/1',
      row.ticket_id,
      row.ticket_hash.toString('hex'),
      row.client_id,
      row.uses,
      row.expires_at.getTime(),
    ]),
  );

export async function insertTicket(
  trx: Transaction<Tables>,
  box: TicketBox,
  { ticketId, clientId, uses, expiresAt, ...scope }: Ticket,
  hash: Buffer,
): Promise<void> {
  const row = { ticket_id: ticketId, ticket_hash: hash, client_id: clientId, uses, expires_at: expiresAt };
  await trx
    .insertInto('tickets')
    .values({
      ...row,
      used: 0,
      revoked_at: null,
      box: box.seal(boundTo(row), Buffer.from(JSON.stringify(scope satisfies TicketScope))),
    })
    .execute();
}

/** A ticket as it stands in the table now. */
export interface StoredTicket extends Ticket {
  readonly used: number;
  readonly revokedAt: Date | null;
}

export interface TicketQuery {
  readonly secret: string;
  readonly clientId: string;
  /** Told the name of the client's own ticket before its box is opened: the record of a row that fails says which. */
  readonly found?: (ticketId: string) => void;
}

const byHash = {
  name: 'ticket_by_hash',
  text: `select ticket_id, ticket_hash, client_id, uses, used, expires_at, revoked_at, box from tickets where ticket_hash = $1`,
};

/**
 * The ticket of a secret, or undefined when there is none or when it is another client's. Throws `stored_data_tampered` when whom it is
 * for, how often, until when, or its box is not what the hub wrote together.
 */
export async function findTicket(
  db: Pick<Database, 'query'>,
  box: TicketBox,
  { secret, clientId, found }: TicketQuery,
): Promise<StoredTicket | undefined> {
  const [row] = await db.query<TicketRow>(byHash, [ticketHash(secret)]);
  if (row === undefined || row.client_id !== clientId) return undefined;
  found?.(row.ticket_id);
  // PostgreSQL's infinity, which a row written past the hub may hold, is no Date.
  if (!(row.expires_at instanceof Date)) throw new Refusal('stored_data_tampered', { ticketId: row.ticket_id });
  return { ...open(box, row), used: row.used, revokedAt: row.revoked_at };
}

function open(box: TicketBox, row: TicketRow): Ticket {
  const { ticket_id: ticketId, client_id: clientId, uses, expires_at: expiresAt } = row;
  try {
    const scope = JSON.parse(box.open(boundTo(row), row.box).toString('utf8')) as TicketScope;
    return { ...scope, ticketId, clientId, uses, expiresAt };
  } catch (cause) {
    throw new Refusal('stored_data_tampered', { ticketId }, { cause });
  }
}

// One statement decides and counts: however many ask at once, on however many processes, no more than `uses` get a row back. All of them
// or none: rows are locked in the order of their ids, so that callers never deadlock, and looked at again once they are locked.
// $2 and $3 come from the opened boxes, so raising the columns after the rows were read gains nothing.
const takeEach = {
  name: 'ticket_take_uses',
  text: `with asked as (
      select * from unnest($1::uuid[], $2::int[], $3::timestamptz[]) as a (ticket_id, uses, expires_at)
    ), good as (
      select t.ticket_id from tickets t join asked a on a.ticket_id = t.ticket_id
      where t.used < least(t.uses, a.uses) and least(t.expires_at, a.expires_at) > $4 and t.revoked_at is null
      order by t.ticket_id for update of t
    )
    update tickets t set used = t.used + 1 from good
    where t.ticket_id = good.ticket_id and (select count(*) from good) = (select count(*) from asked)
    returning t.ticket_id`,
};

/** Takes one use of each at that moment; false when one of them has none to take (used up, expired or revoked): then none is taken. */
export async function takeTicketUses(
  db: Pick<Database, 'query'>,
  tickets: readonly Ticket[],
  at: Date,
): Promise<boolean> {
  const rows = await db.query<{ ticket_id: string }>(takeEach, [
    tickets.map(({ ticketId }) => ticketId),
    tickets.map(({ uses }) => uses),
    tickets.map(({ expiresAt }) => expiresAt),
    at,
  ]);
  return rows.length === tickets.length;
}

/**
 * Marks a client's own ticket as revoked; answers whether it was not before, and undefined when the client has no such ticket. Its box is
 * not opened: a row that somebody tampered with is best revoked.
 */
export async function revokeTicketRow(
  trx: Transaction<Tables>,
  { ticketId, clientId, at }: { readonly ticketId: string; readonly clientId: string; readonly at: Date },
): Promise<boolean | undefined> {
  const row = await trx
    .selectFrom('tickets')
    .select('revoked_at')
    .where('ticket_id', '=', ticketId)
    .where('client_id', '=', clientId)
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) return undefined;
  if (row.revoked_at !== null) return false;
  await trx.updateTable('tickets').set({ revoked_at: at }).where('ticket_id', '=', ticketId).execute();
  return true;
}

/** A page of rows as the self-check looked at them, in order of their ids. */
export interface RowPage {
  readonly rows: number;
  /** Ids of those that the hub did not write as they stand. */
  readonly wrong: readonly string[];
  readonly last: string | undefined;
}

/** Looks at so many tickets behind an id, for the self-check. */
export async function checkTicketPage(
  db: Kysely<Tables>,
  box: TicketBox,
  { after, limit }: { readonly after: string; readonly limit: number },
): Promise<RowPage> {
  const rows = await db
    .selectFrom('tickets')
    .selectAll()
    .where('ticket_id', '>', after)
    .orderBy('ticket_id')
    .limit(limit)
    .execute();
  return pageOf(
    rows,
    ({ ticket_id }) => ticket_id,
    (row) => open(box, row),
  );
}

/** A page of rows, each opened; one whose `open` refuses was not written by the hub as it stands. */
export function pageOf<Row>(rows: readonly Row[], idOf: (row: Row) => string, open: (row: Row) => unknown): RowPage {
  const wrong = rows.filter((row) => {
    try {
      open(row);
      return false;
    } catch (error) {
      if (error instanceof Refusal && error.code === 'stored_data_tampered') return true;
      throw error;
    }
  });
  const last = rows.at(-1);
  return { rows: rows.length, wrong: wrong.map(idOf), last: last && idOf(last) };
}

/** For so many days after its end a ticket, or a holder's code, says when it was used up; its records stay longer. */
export const keptDays = 30;
const purgeRows = 2_000;

/** Forgets tickets and one-time codes that ended before that time, in small deletes: their boxes hold whom they were for. */
export async function forgetEnded(db: Pick<Database, 'query'>, before: Date): Promise<void> {
  for (const table of ['tickets', 'holder_codes'] as const) {
    const statement = {
      name: `${table}_purge`,
      text: `delete from ${table} where ctid = any(array(
        select ctid from ${table} where expires_at < $1 limit ${purgeRows})) returning 1`,
    };
    while ((await db.query(statement, [before])).length === purgeRows);
  }
}
