import { createHash } from 'node:crypto';
import type { Transaction } from 'kysely';
import type { Database } from '../db/database.ts';
import type { Tables } from '../db/tables.ts';
import type { Client } from '../departments/client.ts';
import { takeAssertion } from '../departments/client-store.ts';
import { Refusal } from '../errors.ts';
import type { Call } from '../ids.ts';
import { allowsTicket, plainCode } from './holder-code.ts';
import { findHolderCode, type StoredHolderCode, takeHolderCode } from './holder-code-store.ts';
import { type Delegation, type HolderStatement, judgeStatement, readStatement } from './holder-statement.ts';
import type { TicketScope } from './ticket.ts';
import type { TicketBox } from './ticket-store.ts';

export interface HoldersWordDeps {
  readonly db: Pick<Database, 'query'>;
  readonly keys: { readonly box: TicketBox; holderKey(type: string, number: string): Buffer };
  /** A registered client of a genuine department as the database has it now: what was revoked a moment ago counts at once. */
  readonly findClient: (clientId: string) => Promise<Client | undefined>;
  /** The hub's issuer, the only audience of statements. */
  readonly issuer: string;
  /** Counts wrong codes of a client; `admit` refuses `rate_limited` after too many. */
  readonly codeGuesses: { admit(clientId: string): void; wrong(clientId: string): void };
}

/** On whose word a ticket is issued. */
export type HoldersWord =
  | { readonly by: 'statement'; readonly statement: HolderStatement }
  | { readonly by: 'code'; readonly code: StoredHolderCode };

interface Given {
  readonly statement: string | undefined;
  readonly holderCode: string | undefined;
}

/**
 * The holder's word where the legal basis rests on it, and nowhere else: a duty by law is not made to look like consent. Exactly one of
 * statement and code on the holder's own application, a statement on delegation, since a code names no delegate. Refuses
 * `ticket_invalid`, `statement_invalid` (context.rule), `holder_code_invalid` and `rate_limited`. Uses nothing up.
 */
export async function holdersWord(
  deps: HoldersWordDeps,
  scope: TicketScope,
  given: Given,
  call: Call,
): Promise<HoldersWord | undefined> {
  const { legalBasis } = scope.purpose;
  const { statement, holderCode } = given;
  if (legalBasis === 'statutory_duty' && statement !== undefined) throw misplaced('/statement', 'out_of_place');
  if (legalBasis !== 'own_application' && holderCode !== undefined) throw misplaced('/holderCode', 'out_of_place');
  if (legalBasis === 'statutory_duty') return undefined;
  if (statement !== undefined && holderCode !== undefined) throw misplaced('/holderCode', 'one_of_both');
  if (holderCode !== undefined) return { by: 'code', code: await codeFor(deps, scope, holderCode, call) };
  if (statement === undefined) throw misplaced('/statement', 'missing');
  return { by: 'statement', statement: await statementFor(deps, scope, statement, call) };
}

const misplaced = (pointer: string, rule: string): Refusal => new Refusal('ticket_invalid', { pointer, rule });

/** Uses the word up, within the transaction that issues the ticket. Refuses `statement_replayed` or `holder_code_invalid`. */
export async function takeWord(trx: Transaction<Tables>, word: HoldersWord, at: Date): Promise<void> {
  if (word.by === 'code') {
    if (!(await takeHolderCode(trx, word.code, at))) throw codeInvalid();
  } else if (!(await takeAssertion(trx, useOf(word.statement, at)))) {
    throw new Refusal('statement_replayed', { pointer: '/statement' });
  }
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

/** One refusal for everything: who tries codes learns neither that one exists nor whose it is. */
const codeInvalid = (): Refusal => new Refusal('holder_code_invalid', { pointer: '/holderCode' });

async function codeFor(
  { db, keys, findClient, codeGuesses }: HoldersWordDeps,
  scope: TicketScope,
  typed: string,
  { caller, at }: Call,
): Promise<StoredHolderCode> {
  codeGuesses.admit(caller.clientId);
  const plain = plainCode(typed);
  const code = plain === undefined ? undefined : await findHolderCode(db, keys.box, plain);
  const portal = code === undefined ? undefined : await findClient(code.portal);
  const isGood =
    code !== undefined &&
    code.usedAt === null &&
    code.revokedAt === null &&
    code.expiresAt > at &&
    // Nobody vouches for itself, and a portal that is no more vouches for nobody.
    portal !== undefined &&
    portal.id !== caller.clientId &&
    portal.disabledAt === null &&
    portal.roles.includes('portal') &&
    allowsTicket(code, scope, caller.department);
  if (isGood) return code;
  codeGuesses.wrong(caller.clientId);
  throw codeInvalid();
}

async function statementFor(
  { findClient, issuer }: Pick<HoldersWordDeps, 'findClient' | 'issuer'>,
  { purpose, holder, types }: TicketScope,
  text: string,
  { caller, at }: Call,
): Promise<HolderStatement> {
  const { legalBasis, matterCode, caseNumber } = purpose;
  const read = readStatement(text);
  if (!read.ok) throw new Refusal('statement_invalid', { pointer: '/statement', rule: read.fault });
  const { claimedPortal } = read.value;
  const judged = judgeStatement(read.value, claimedPortal === undefined ? undefined : await findClient(claimedPortal), {
    issuer,
    clientId: caller.clientId,
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

/** The delegation that a word carries. */
export const delegationOf = (word: HoldersWord | undefined): Delegation | undefined =>
  word?.by === 'statement' ? word.statement.delegation : undefined;

/** A word for the record; who acts for the holder is in it as a pseudonym. */
export function toldOf(keys: Pick<HoldersWordDeps['keys'], 'holderKey'>, word: HoldersWord): Record<string, unknown> {
  if (word.by === 'code') return { holderCode: { codeId: word.code.codeId, portal: word.code.portal } };
  const { portal, keyId, jti, delegation } = word.statement;
  return {
    statement: {
      portal,
      keyId,
      jti,
      ...(delegation !== undefined && {
        delegate: keys.holderKey(delegation.delegate.type, delegation.delegate.number).toString('hex'),
        scope: delegation.scope,
        delegationExpiresAt: delegation.expiresAt.toISOString(),
      }),
    },
  };
}
