import { createHash, timingSafeEqual } from 'node:crypto';
import { sql, type Transaction } from 'kysely';
import { Refusal } from '../errors.ts';
import type { Database } from './database.ts';
import { faultCode } from './fault.ts';
import type { Tables } from './tables.ts';
import { transaction } from './transaction.ts';

/** Encrypts what is stored; `open` throws when the bytes or what they are bound to were changed. */
export interface Box {
  readonly seal: (plain: Uint8Array, boundTo: Uint8Array) => Uint8Array;
  readonly open: (sealed: Uint8Array, boundTo: Uint8Array) => Uint8Array;
}

export interface IdempotentRequest {
  readonly clientId: string;
  /** The Idempotency-Key header. */
  readonly key: string;
  readonly operation: string;
  /** 32 bytes that differ when the request differs. Keyed when the request holds a person's data: it is stored. */
  readonly fingerprint: Uint8Array;
  /** Whether a stored fingerprint is of this request, also one made under an earlier key. Equality of bytes when absent. */
  readonly isFingerprint?: (stored: Uint8Array) => boolean;
  readonly box: Box;
}

/** An answer as it goes out: `body` is what JSON keeps of it, the same for the first time and every replay. */
export interface StoredAnswer {
  readonly status: number;
  readonly body: unknown;
  readonly replayed: boolean;
}

interface Row {
  readonly operation: string;
  readonly fingerprint: Buffer;
  readonly status: number | null;
  readonly response: Buffer | null;
}

const hashOf = (key: string): Buffer => createHash('sha256').update(key).digest();

/** The stored answer belongs to this client, key, operation and status, and to no other row. */
const bindingOf = ({ clientId, key, operation }: IdempotentRequest, status: number): Uint8Array =>
  Buffer.from(JSON.stringify(['idempotency_keys', clientId, hashOf(key).toString('hex'), operation, status]));

function replayOf(request: IdempotentRequest, row: Row): StoredAnswer {
  const same =
    request.isFingerprint?.(row.fingerprint) ??
    (row.fingerprint.length === request.fingerprint.length && timingSafeEqual(row.fingerprint, request.fingerprint));
  if (!same || row.operation !== request.operation) throw new Refusal('idempotency_conflict');
  // Only inside its own transaction does a row stand without an answer.
  if (row.status === null || row.response === null) throw new Refusal('stored_data_tampered');
  let plain: Uint8Array;
  try {
    plain = request.box.open(row.response, bindingOf(request, row.status));
  } catch (error) {
    throw new Refusal('stored_data_tampered', {}, { cause: error });
  }
  return { status: row.status, body: JSON.parse(Buffer.from(plain).toString('utf8')) as unknown, replayed: true };
}

const stored = (
  handle: Pick<Database, 'kysely'>['kysely'],
  { clientId, key }: IdempotentRequest,
): Promise<Row | undefined> =>
  handle
    .selectFrom('idempotency_keys')
    .select(['operation', 'fingerprint', 'status', 'response'])
    .where('client_id', '=', clientId)
    .where('key_hash', '=', hashOf(key))
    .executeTakeFirst();

/**
 * The answer given before under this key, if any: asked before expensive preparation. Throws Refusal('idempotency_conflict') when the
 * key was used for another request. undefined promises nothing: `idempotently` decides.
 */
export async function findReplay(
  db: Pick<Database, 'kysely'>,
  request: IdempotentRequest,
): Promise<StoredAnswer | undefined> {
  const row = await stored(db.kysely, request);
  return row === undefined ? undefined : replayOf(request, row);
}

/**
 * Runs `work` once per client and key (invariant 8): key, effect and answer are one transaction. A concurrent duplicate waits at the
 * primary key and then gets the first one's answer; so does a retry whose first answer got lost on the way, or in an uncertain COMMIT.
 * What `work` throws rolls all back, the key with it: a later, corrected retry may use it.
 *
 * Throws Refusal: `idempotency_conflict` for another request under the same key, `idempotency_in_flight` when the first is
 * still running after the lock timeout, `stored_data_tampered`, and what `transaction` throws.
 */
export function idempotently(
  db: Pick<Database, 'kysely'>,
  request: IdempotentRequest,
  work: (trx: Transaction<Tables>) => Promise<{ status: number; body: unknown }>,
): Promise<StoredAnswer> {
  const row = { client_id: request.clientId, key_hash: hashOf(request.key) };
  return transaction(db, async (trx) => {
    const claimed = await trx
      .insertInto('idempotency_keys')
      .values({
        ...row,
        operation: request.operation,
        fingerprint: Buffer.from(request.fingerprint),
        status: null,
        response: null,
      })
      .onConflict((conflict) => conflict.columns(['client_id', 'key_hash']).doNothing())
      .returning(sql<number>`1`.as('one'))
      .executeTakeFirst()
      .catch((error: unknown) => {
        if (faultCode(error) === '55P03' || faultCode(error) === '57014')
          throw new Refusal('idempotency_in_flight', {}, { cause: error });
        throw error;
      });
    if (claimed === undefined) {
      const earlier = await stored(trx, request);
      // Purged between the two statements: rare enough to ask the caller to come again.
      if (earlier === undefined) throw new Refusal('idempotency_in_flight');
      return replayOf(request, earlier);
    }
    const { status, body } = await work(trx);
    const text = JSON.stringify(body ?? null);
    const response = Buffer.from(request.box.seal(Buffer.from(text), bindingOf(request, status)));
    await trx
      .updateTable('idempotency_keys')
      .set({ status, response })
      .where('client_id', '=', row.client_id)
      .where('key_hash', '=', row.key_hash)
      .execute();
    return { status, body: JSON.parse(text) as unknown, replayed: false };
  });
}

/** For how many days a retry gets the first answer; the contract says so. */
export const idempotencyDays = 7;

/** Rows of one delete: small enough never to hold up a write. */
const purgeRows = 2_000;

/** Forgets keys first used before that time, in small deletes. Answers how many. */
export async function purgeIdempotencyKeys(db: Pick<Database, 'query'>, before: Date): Promise<number> {
  const statement = {
    name: 'idempotency_purge',
    text: `delete from idempotency_keys where ctid = any(array(
      select ctid from idempotency_keys where created_at < $1 limit ${purgeRows})) returning 1`,
  };
  for (let purged = 0; ; ) {
    const rows = await db.query(statement, [before]);
    purged += rows.length;
    if (rows.length < purgeRows) return purged;
  }
}
