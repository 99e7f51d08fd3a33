import { createHash } from 'node:crypto';
import type { RecordIn } from '../audit/record.ts';
import type { Write, WriteAnswer } from '../db/write.ts';
import type { Client } from '../departments/client.ts';
import { takeAssertion } from '../departments/client-store.ts';
import { Refusal } from '../errors.ts';
import { type Call, newId } from '../ids.ts';
import { checkHolder, type Holder, isCertificateTypeCode } from '../verification/identifiers.ts';
import type { GrantableType } from './create-grant.ts';
import type { Level } from './grant.ts';
import { type HolderStatement, judgeStatement, readStatement } from './holder-statement.ts';
import type { Ticket, TicketPurpose, TicketScope, TicketType } from './ticket.ts';
import { insertTicket, newTicketSecret, type TicketBox, ticketHash } from './ticket-store.ts';

export interface IssueTicketDeps {
  readonly write: Write;
  readonly recordIn: RecordIn;
  readonly keys: { readonly box: TicketBox; holderKey(type: string, number: string): Buffer };
  readonly findType: (certificateTypeCode: string) => Promise<GrantableType | undefined>;
  /** A registered client of a genuine department as the database has it now: what was revoked a moment ago counts at once. */
  readonly findClient: (clientId: string) => Promise<Client | undefined>;
  /** The hub's issuer, the only audience of statements. */
  readonly issuer: string;
}

/** What a client asks a ticket for; shape checked by the contract, nothing else. */
export interface TicketWish {
  readonly purpose: TicketPurpose & { readonly note?: string };
  readonly level: Level;
  readonly holder: { readonly type: string; readonly number: string };
  readonly types: readonly TicketType[];
  readonly uses?: number;
  readonly expiresAt?: Date;
  readonly statement?: string;
}

const usualMs = 3_600_000;
const longestMs = 7 * 86_400_000;

/** What is decided before the transaction begins; made once, so that a second try of the transaction writes the same. */
interface Prepared {
  readonly ticket: Ticket;
  readonly secret: string;
  readonly statement?: HolderStatement;
}

/**
 * Issues a ticket. Refuses what a lookup would be refused for the same purpose, holder and types (`invalid_id_number` and its like,
 * `certificate_type_unknown`, `field_unknown`), `ticket_invalid` (its end; a statement missing or out of place), `statement_invalid`
 * (context.rule) and `statement_replayed`. A retry under the same Idempotency-Key is told the same secret: the stored answer is encrypted.
 */
export async function issueTicket(
  deps: IssueTicketDeps,
  wish: TicketWish,
  call: Call & { readonly idempotencyKey: string },
): Promise<WriteAnswer> {
  const { caller, idempotencyKey, at } = call;
  const { expiresAt, ...rest } = wish;
  const content = { ...rest, ...(expiresAt !== undefined && { expiresAt: expiresAt.toISOString() }) };
  return deps.write(
    { caller, operation: 'issueTicket', idempotencyKey, content: JSON.parse(JSON.stringify(content)) },
    {
      prepare: () => prepare(deps, wish, call),
      apply: async (trx, { ticket, secret, statement }) => {
        if (statement !== undefined && !(await takeAssertion(trx, useOf(statement, at)))) {
          throw new Refusal('statement_replayed', { pointer: '/statement' });
        }
        await insertTicket(trx, deps.keys.box, ticket, ticketHash(secret));
        await recordIssued(deps, trx, { ticket, statement, note: wish.purpose.note, call });
        const { ticketId, uses } = ticket;
        return {
          status: 201,
          body: { ticketId, ticket: secret, uses, expiresAt: ticket.expiresAt.toISOString() },
        };
      },
    },
  );
}

/**
 * Statements share the table of client assertions; the name of a statement is hashed apart from theirs, so that a portal may count both
 * with one counter.
 */
const useOf = ({ portal, jti, refusedFrom }: HolderStatement, at: Date) => ({
  clientId: portal,
  jti: `certhub/holder-statement/1/${createHash('sha256').update(jti).digest('base64url')}`,
  expiresAt: refusedFrom,
  at,
});

async function prepare(deps: IssueTicketDeps, wish: TicketWish, { caller, at }: Call): Promise<Prepared> {
  const { level, uses = 1 } = wish;
  const { matterCode, caseNumber, officer, legalBasis } = wish.purpose;
  const holder = checkedHolder(wish.holder);
  const types = await checkedTypes(deps, wish.types);
  const { id, name } = officer;
  const scope: TicketScope = {
    purpose: { matterCode, caseNumber, officer: { id, name }, legalBasis },
    level,
    holder,
    types,
  };
  mustEndInTime(wish, at);
  const statement = await statementFor(deps, scope, { text: wish.statement, clientId: caller.clientId, at });
  const latest = statement?.delegation?.expiresAt;
  if (latest !== undefined && wish.expiresAt !== undefined && wish.expiresAt > latest) {
    throw new Refusal('ticket_invalid', { pointer: '/expiresAt', rule: 'beyond_delegation' });
  }
  const expiresAt = wish.expiresAt ?? new Date(Math.min(at.getTime() + usualMs, latest?.getTime() ?? Infinity));
  return {
    ticket: { ...scope, ticketId: newId(), clientId: caller.clientId, uses, expiresAt },
    secret: newTicketSecret(),
    ...(statement !== undefined && { statement }),
  };
}

function mustEndInTime({ expiresAt }: TicketWish, at: Date): void {
  if (expiresAt === undefined) return;
  const ahead = expiresAt.getTime() - at.getTime();
  if (ahead <= 0) throw new Refusal('ticket_invalid', { pointer: '/expiresAt', rule: 'past' });
  if (ahead > longestMs) throw new Refusal('ticket_invalid', { pointer: '/expiresAt', rule: 'longer_than_7_days' });
}

function checkedHolder(given: TicketWish['holder']): Holder {
  const checked = checkHolder(given);
  if (checked.ok) return checked.holder;
  throw new Refusal(checked.code, {
    pointer: checked.code === 'invalid_holder_type' ? '/holder/type' : '/holder/number',
  });
}

async function checkedTypes(
  { findType }: Pick<IssueTicketDeps, 'findType'>,
  types: readonly TicketType[],
): Promise<TicketScope['types']> {
  const checked: TicketType[] = [];
  for (const [i, { certificateTypeCode, fields }] of types.entries()) {
    const pointer = `/types/${i}`;
    if (checked.some((other) => other.certificateTypeCode === certificateTypeCode)) {
      throw new Refusal('contract_violation', { pointer, rule: 'type_twice' });
    }
    if (!isCertificateTypeCode(certificateTypeCode)) {
      throw new Refusal('invalid_certificate_type_code', { pointer: `${pointer}/certificateTypeCode` });
    }
    const type = await findType(certificateTypeCode);
    if (type === undefined) {
      throw new Refusal('certificate_type_unknown', { pointer: `${pointer}/certificateTypeCode` });
    }
    const unknown = fields.findIndex((field) => !type.fieldNames.includes(field));
    if (unknown >= 0) throw new Refusal('field_unknown', { pointer: `${pointer}/fields/${unknown}` });
    checked.push({ certificateTypeCode, fields: [...fields] });
  }
  const [first, ...others] = checked;
  if (first === undefined) throw new Refusal('contract_violation', { pointer: '/types', rule: 'minItems' });
  return [first, ...others];
}

/** The holder's word where the legal basis rests on it, and nowhere else: a duty by law is not made to look like consent. */
async function statementFor(
  { findClient, issuer }: Pick<IssueTicketDeps, 'findClient' | 'issuer'>,
  { purpose, holder, types }: TicketScope,
  { text, clientId, at }: { readonly text: string | undefined; readonly clientId: string; readonly at: Date },
): Promise<HolderStatement | undefined> {
  const { legalBasis, matterCode, caseNumber } = purpose;
  if (legalBasis === 'statutory_duty') {
    if (text === undefined) return undefined;
    throw new Refusal('ticket_invalid', { pointer: '/statement', rule: 'out_of_place' });
  }
  if (text === undefined) throw new Refusal('ticket_invalid', { pointer: '/statement', rule: 'missing' });
  const read = readStatement(text);
  if (!read.ok) throw new Refusal('statement_invalid', { pointer: '/statement', rule: read.fault });
  const { claimedPortal } = read.value;
  const judged = judgeStatement(read.value, claimedPortal === undefined ? undefined : await findClient(claimedPortal), {
    issuer,
    clientId,
    matterCode,
    caseNumber,
    holder,
    types: types.map(({ certificateTypeCode }) => certificateTypeCode),
    delegated: legalBasis === 'delegated',
    at,
  });
  if (!judged.ok) throw new Refusal('statement_invalid', { pointer: '/statement', rule: judged.fault });
  return judged.statement;
}

interface Issued {
  readonly ticket: Ticket;
  readonly statement: HolderStatement | undefined;
  readonly note: string | undefined;
  readonly call: Call;
}

/**
 * Of kind `registry`: nobody learned anything of the holder yet, and each lookup under the ticket makes a record of its own, so the
 * holder's report stays one of who looked, and a ticket for a lookup under secrecy betrays nothing. Auditors find it by holder, case and
 * officer all the same. Who acts for the holder is in it as a pseudonym.
 */
async function recordIssued(
  { recordIn, keys }: Pick<IssueTicketDeps, 'recordIn' | 'keys'>,
  trx: Parameters<RecordIn>[0],
  { ticket, statement, note, call: { caller, requestId, at } }: Issued,
): Promise<void> {
  const { ticketId, purpose, level, holder, types, uses, expiresAt } = ticket;
  const { officer, ...why } = purpose;
  await recordIn(trx, {
    kind: 'registry',
    action: 'issueTicket',
    outcome: 'done',
    caller: { clientId: caller.clientId, department: caller.department, keyId: caller.keyId },
    officer,
    purpose: { ...why, ...(note !== undefined && { note }) },
    subjects: [keys.holderKey(holder.type, holder.number)],
    scope: { level, by: 'holder', types: types.map((type) => ({ ...type })) },
    requestId,
    at,
    detail: {
      ticketId,
      uses,
      expiresAt: expiresAt.toISOString(),
      ...(statement !== undefined && { statement: told(keys, statement) }),
    },
  });
}

const told = (
  keys: Pick<IssueTicketDeps['keys'], 'holderKey'>,
  { portal, keyId, jti, delegation }: HolderStatement,
) => ({
  portal,
  keyId,
  jti,
  ...(delegation !== undefined && {
    delegate: keys.holderKey(delegation.delegate.type, delegation.delegate.number).toString('hex'),
    scope: delegation.scope,
    delegationExpiresAt: delegation.expiresAt.toISOString(),
  }),
});
