import { createHash } from 'node:crypto';
import type { Kysely, Transaction } from 'kysely';
import type { Database } from '../db/database.ts';
import type { Tables } from '../db/tables.ts';
import { Refusal } from '../errors.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import type { HolderCodeScope } from './holder-code.ts';
import { pageOf, type RowPage, type TicketBox } from './ticket-store.ts';

type CodeRow = Tables['holder_codes'];

export interface HolderCode extends HolderCodeScope {
  readonly codeId: string;
  /** The portal that authenticated the holder. */
  readonly portal: string;
  readonly expiresAt: Date;
}

/** A code as it stands in the table. */
export interface StoredHolderCode extends HolderCode {
  readonly usedAt: Date | null;
  readonly revokedAt: Date | null;
}

/** By what a code in plain form is found again. Nobody guesses 128 bits back from it, so it takes no key. */
const hashOf = (code: string): Buffer => createHash('sha256').update(`certhub/holder-code/1/${code}`).digest();

/** What the box of a row binds: every column that never changes. */
const boundTo = (row: Pick<CodeRow, 'code_id' | 'code_hash' | 'client_id' | 'expires_at'>): Buffer =>
  Buffer.from(
    canonicalJson([
      'certhub/holder-code/1',
      row.code_id,
      row.code_hash.toString('hex'),
      row.client_id,
      row.expires_at.getTime(),
    ]),
  );

export async function insertHolderCode(
  trx: Transaction<Tables>,
  box: TicketBox,
  { codeId, portal, expiresAt, ...scope }: HolderCode,
  code: string,
): Promise<void> {
  const row = { code_id: codeId, code_hash: hashOf(code), client_id: portal, expires_at: expiresAt };
  const sealed = box.seal(boundTo(row), Buffer.from(JSON.stringify(scope satisfies HolderCodeScope)));
  await trx
    .insertInto('holder_codes')
    .values({ ...row, used_at: null, revoked_at: null, box: sealed })
    .execute();
}

const byHash = {
  name: 'holder_code_by_hash',
  text: 'select code_id, code_hash, client_id, expires_at, used_at, revoked_at, box from holder_codes where code_hash = $1',
};

/** The code in plain form as it stands; undefined when there is none. Throws `stored_data_tampered` for a row that the hub did not write so. */
export async function findHolderCode(
  db: Pick<Database, 'query'>,
  box: TicketBox,
  code: string,
): Promise<StoredHolderCode | undefined> {
  const [row] = await db.query<CodeRow>(byHash, [hashOf(code)]);
  return row === undefined ? undefined : opened(box, row);
}

function opened(box: TicketBox, row: CodeRow): StoredHolderCode {
  const { code_id: codeId, client_id: portal, expires_at: expiresAt } = row;
  try {
    // PostgreSQL's infinity is no Date, and fails here.
    const scope = JSON.parse(box.open(boundTo(row), row.box).toString('utf8')) as HolderCodeScope;
    return { ...scope, codeId, portal, expiresAt, usedAt: row.used_at, revokedAt: row.revoked_at };
  } catch (cause) {
    throw new Refusal('stored_data_tampered', { codeId }, { cause });
  }
}

/** Uses a code up, within the transaction that issues its ticket; false when somebody was faster, or it ended or was revoked meanwhile. */
export async function takeHolderCode(
  trx: Transaction<Tables>,
  { codeId, expiresAt }: Pick<HolderCode, 'codeId' | 'expiresAt'>,
  at: Date,
): Promise<boolean> {
  // The end comes from the opened box: raising the column after the row was read gains nothing.
  if (expiresAt <= at) return false;
  const taken = await trx
    .updateTable('holder_codes')
    .set({ used_at: at })
    .where('code_id', '=', codeId)
    .where('used_at', 'is', null)
    .where('revoked_at', 'is', null)
    .returning('code_id')
    .executeTakeFirst();
  return taken !== undefined;
}

/**
 * Revokes a portal's own code; answers what it was before, undefined when the portal has no such code. One that was used stays used. Its
 * box is not opened: a row that somebody tampered with is best revoked.
 */
export async function revokeHolderCodeRow(
  trx: Transaction<Tables>,
  { codeId, portal, at }: { readonly codeId: string; readonly portal: string; readonly at: Date },
): Promise<'open' | 'used' | 'revoked' | undefined> {
  const row = await trx
    .selectFrom('holder_codes')
    .select(['used_at', 'revoked_at'])
    .where('code_id', '=', codeId)
    .where('client_id', '=', portal)
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) return undefined;
  if (row.used_at !== null) return 'used';
  if (row.revoked_at !== null) return 'revoked';
  await trx.updateTable('holder_codes').set({ revoked_at: at }).where('code_id', '=', codeId).execute();
  return 'open';
}

/** Looks at so many codes behind an id, for the self-check. */
export async function checkHolderCodePage(
  db: Kysely<Tables>,
  box: TicketBox,
  { after, limit }: { readonly after: string; readonly limit: number },
): Promise<RowPage> {
  const rows = await db
    .selectFrom('holder_codes')
    .selectAll()
    .where('code_id', '>', after)
    .orderBy('code_id')
    .limit(limit)
    .execute();
  return pageOf(
    rows,
    ({ code_id }) => code_id,
    (row) => opened(box, row),
  );
}
