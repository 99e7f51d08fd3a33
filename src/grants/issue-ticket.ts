import type { RecordIn } from '../audit/record.ts';
import type { Write, WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import { type Call, newId } from '../ids.ts';
import { checkHolder, type Holder, isCertificateTypeCode } from '../verification/identifiers.ts';
import type { GrantableType, Level } from './grant.ts';
import { delegationOf, type HoldersWord, type HoldersWordDeps, holdersWord, takeWord, toldOf } from './holders-word.ts';
import type { Ticket, TicketPurpose, TicketScope, TicketType } from './ticket.ts';
import { insertTicket, newTicketSecret, ticketHash } from './ticket-store.ts';

export interface IssueTicketDeps extends HoldersWordDeps {
  readonly write: Write;
  readonly recordIn: RecordIn;
  readonly findType: (certificateTypeCode: string) => Promise<GrantableType | undefined>;
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
  /** The holder's one-time code as an official typed it. */
  readonly holderCode?: string;
}

const usualMs = 3_600_000;
const longestMs = 7 * 86_400_000;

/** What is decided before the transaction begins; made once, so that a second try of the transaction writes the same. */
interface Prepared {
  readonly ticket: Ticket;
  readonly secret: string;
  readonly word?: HoldersWord;
}

/**
 * Issues a ticket. Refuses what a lookup would be refused for the same purpose, holder and types (`invalid_id_number` and its like,
 * `certificate_type_unknown`, `field_unknown`), `ticket_invalid` (its end; a statement or code missing or out of place),
 * `statement_invalid` (context.rule), `statement_replayed` and `holder_code_invalid`. A retry under the same Idempotency-Key is told the same secret: the stored answer is encrypted.
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
      apply: async (trx, { ticket, secret, word }) => {
        if (word !== undefined) await takeWord(trx, word, at);
        await insertTicket(trx, deps.keys.box, ticket, ticketHash(secret));
        await recordIssued(deps, trx, { ticket, word, note: wish.purpose.note, call });
        const { ticketId, uses } = ticket;
        return {
          status: 201,
          body: { ticketId, ticket: secret, uses, expiresAt: ticket.expiresAt.toISOString() },
        };
      },
    },
  );
}

async function prepare(deps: IssueTicketDeps, wish: TicketWish, call: Call): Promise<Prepared> {
  const { caller, at } = call;
  const { level, uses = 1, statement, holderCode } = wish;
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
  const word = await holdersWord(deps, scope, { statement, holderCode }, call);
  const latest = delegationOf(word)?.expiresAt;
  if (latest !== undefined && wish.expiresAt !== undefined && wish.expiresAt > latest) {
    throw new Refusal('ticket_invalid', { pointer: '/expiresAt', rule: 'beyond_delegation' });
  }
  const expiresAt = wish.expiresAt ?? new Date(Math.min(at.getTime() + usualMs, latest?.getTime() ?? Infinity));
  return {
    ticket: { ...scope, ticketId: newId(), clientId: caller.clientId, uses, expiresAt },
    secret: newTicketSecret(),
    ...(word !== undefined && { word }),
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

interface Issued {
  readonly ticket: Ticket;
  readonly word: HoldersWord | undefined;
  readonly note: string | undefined;
  readonly call: Call;
}

/**
 * Of kind `registry`: nobody learned anything of the holder yet, and each lookup under the ticket makes a record of its own, so the
 * holder's report stays one of who looked, and a ticket for a lookup under secrecy betrays nothing. Auditors find it by holder, case and
 * officer all the same.
 */
async function recordIssued(
  { recordIn, keys }: Pick<IssueTicketDeps, 'recordIn' | 'keys'>,
  trx: Parameters<RecordIn>[0],
  { ticket, word, note, call: { caller, requestId, at } }: Issued,
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
      ...(word !== undefined && toldOf(keys, word)),
    },
  });
}
