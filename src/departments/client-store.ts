import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { Tables } from '../db/tables.ts';
import { Refusal } from '../errors.ts';
import type { ClientId, DepartmentCode, Role } from '../ids.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import type { Client } from './client.ts';
import { type ClientKey, type PublicClientKey, readPublicJwk, type UnverifiedJwk } from './client-key.ts';
import type { Bilingual } from './department.ts';
import {
  type Handle,
  isGenuine,
  type Page,
  type PageOf,
  parseBody,
  type ReadDeps,
  type RowMacs,
  readAll,
  rowBytes,
  withMac,
  withNext,
} from './row.ts';

type ClientRow = Tables['clients'];
type ClientKeyRow = Tables['client_keys'];

const clientBytes = (row: Omit<ClientRow, 'mac'>): Buffer =>
  rowBytes([row.client_id, row.department_code, row.body, row.disabled_at, row.created_at]);
const clientKeyBytes = (row: Omit<ClientKeyRow, 'mac'>): Buffer =>
  rowBytes([row.client_id, row.kid, row.jwk, row.thumbprint, row.created_at, row.revoked_at]);

function readKey(deps: ReadDeps, row: ClientKeyRow): ClientKey | undefined {
  const identity = { id: `${row.client_id}/${row.kid}`, bytes: clientKeyBytes(row), mac: row.mac };
  if (!isGenuine(deps, 'client_keys', identity)) return undefined;
  const key = readPublicJwk(parseBody(row.jwk) as UnverifiedJwk);
  return { ...key, createdAt: row.created_at, revokedAt: row.revoked_at };
}

function readClient(deps: ReadDeps, row: ClientRow, keyRows: readonly ClientKeyRow[]): Client | undefined {
  const identity = { id: row.client_id, bytes: clientBytes(row), mac: row.mac };
  if (!isGenuine(deps, 'clients', identity)) return undefined;
  const body = parseBody(row.body) as { name: Bilingual; roles: Role[] };
  return {
    id: row.client_id as ClientId,
    department: row.department_code as DepartmentCode,
    name: body.name,
    roles: body.roles,
    disabledAt: row.disabled_at,
    createdAt: row.created_at,
    keys: readAll(keyRows, (key) => readKey(deps, key)),
  };
}

/** All clients with their keys. */
export async function allClients(handle: Handle, deps: ReadDeps): Promise<Client[]> {
  const rows = await handle.selectFrom('clients').selectAll().execute();
  const keyRows = await handle.selectFrom('client_keys').selectAll().orderBy('created_at').orderBy('kid').execute();
  return readClients(deps, rows, keyRows);
}

/** Clients with their keys, in order of their names. */
export async function pageClients(handle: Handle, deps: ReadDeps, page: PageOf): Promise<Page<Client>> {
  const query = handle
    .selectFrom('clients')
    .selectAll()
    .orderBy('client_id')
    .limit(page.limit + 1);
  const rows = await (page.after === undefined ? query : query.where('client_id', '>', page.after)).execute();
  const shown = rows.slice(0, page.limit);
  const keyRows = await handle
    .selectFrom('client_keys')
    .selectAll()
    .where('client_id', '=', sql<string>`any(${shown.map((row) => row.client_id)})`)
    .orderBy('created_at')
    .orderBy('kid')
    .execute();
  return withNext(readClients(deps, shown, keyRows), rows.length > page.limit ? shown.at(-1)?.client_id : undefined);
}

function readClients(deps: ReadDeps, rows: readonly ClientRow[], keyRows: readonly ClientKeyRow[]): Client[] {
  const keysOf = new Map<string, ClientKeyRow[]>();
  for (const row of keyRows) {
    const keys = keysOf.get(row.client_id);
    if (keys === undefined) keysOf.set(row.client_id, [row]);
    else keys.push(row);
  }
  return readAll(rows, (row) => readClient(deps, row, keysOf.get(row.client_id) ?? []));
}

/**
 * One client with its keys, or undefined when it is not registered or its row is not the hub's.
 * `forUpdate` keeps other changes of the same client out until the transaction ends.
 */
export async function findClient(
  handle: Handle,
  deps: ReadDeps,
  clientId: string,
  { forUpdate = false } = {},
): Promise<Client | undefined> {
  let query = handle.selectFrom('clients').selectAll().where('client_id', '=', clientId);
  if (forUpdate) query = query.forUpdate();
  const row = await query.executeTakeFirst();
  // asked also for a client that does not exist, so that both take the same time
  const keyRows = await handle
    .selectFrom('client_keys')
    .selectAll()
    .where('client_id', '=', clientId)
    .orderBy('created_at')
    .orderBy('kid')
    .execute();
  return row === undefined ? undefined : readClient(deps, row, keyRows);
}

const clientRow = (client: Omit<Client, 'keys'>): Omit<ClientRow, 'mac'> => ({
  client_id: client.id,
  department_code: client.department,
  body: Buffer.from(canonicalJson({ name: { ...client.name }, roles: [...client.roles] })),
  disabled_at: client.disabledAt,
  created_at: client.createdAt,
});

/** Adds a client without keys. @throws Refusal `client_exists` */
export async function insertClient(handle: Handle, keys: RowMacs, client: Omit<Client, 'keys'>): Promise<void> {
  const inserted = await handle
    .insertInto('clients')
    .values(withMac(keys, 'clients', clientRow(client), clientBytes))
    .onConflict((conflict) => conflict.doNothing())
    .returning('client_id')
    .executeTakeFirst();
  if (inserted === undefined) throw new Refusal('client_exists');
}

/** Writes a client's `disabledAt`. The client must have been read `forUpdate` in the same transaction. */
export async function updateClientState(handle: Handle, keys: RowMacs, client: Omit<Client, 'keys'>): Promise<void> {
  const { disabled_at, mac } = withMac(keys, 'clients', clientRow(client), clientBytes);
  await handle.updateTable('clients').set({ disabled_at, mac }).where('client_id', '=', client.id).execute();
}

const clientKeyRow = (clientId: string, key: ClientKey): Omit<ClientKeyRow, 'mac'> => ({
  client_id: clientId,
  kid: key.kid,
  jwk: Buffer.from(canonicalJson({ ...key.jwk })),
  thumbprint: key.thumbprint,
  created_at: key.createdAt,
  revoked_at: key.revokedAt,
});

/**
 * Adds a key to a client.
 * @throws Refusal `client_key_exists`: the client has a key of this name, or the key itself is or was somebody's
 */
export async function insertClientKey(
  handle: Handle,
  keys: RowMacs,
  clientId: string,
  added: PublicClientKey & { readonly createdAt: Date },
): Promise<void> {
  const row = clientKeyRow(clientId, { ...added, revokedAt: null });
  const inserted = await handle
    .insertInto('client_keys')
    .values(withMac(keys, 'client_keys', row, clientKeyBytes))
    .onConflict((conflict) => conflict.doNothing())
    .returning('kid')
    .executeTakeFirst();
  if (inserted === undefined) throw new Refusal('client_key_exists');
}

/** Writes a key's `revokedAt`. Its client must have been read `forUpdate` in the same transaction. */
export async function updateClientKey(handle: Handle, keys: RowMacs, clientId: string, key: ClientKey): Promise<void> {
  const { revoked_at, mac } = withMac(keys, 'client_keys', clientKeyRow(clientId, key), clientKeyBytes);
  await handle
    .updateTable('client_keys')
    .set({ revoked_at, mac })
    .where('client_id', '=', clientId)
    .where('kid', '=', key.kid)
    .execute();
}

/** Removed per use, and only when no clock of the cluster can still accept the assertion. */
const sweepBatch = 4;
const sweepMarginMs = 5 * 60_000;

/**
 * Takes an assertion's `jti`: true for the first use, false for every other one, also when two arrive at once (primary key).
 * Expired ones are removed in passing, a few at a time.
 */
export async function takeAssertion(
  handle: Handle,
  use: { readonly clientId: string; readonly jti: string; readonly expiresAt: Date; readonly at: Date },
): Promise<boolean> {
  const before = new Date(use.at.getTime() - sweepMarginMs);
  const taken = await handle
    .with('expired', (db) =>
      db
        .selectFrom('client_assertions')
        .select(['client_id', 'jti_hash'])
        .where('expires_at', '<', before)
        .orderBy('expires_at')
        .limit(sweepBatch)
        .forUpdate()
        .skipLocked(),
    )
    .with('swept', (db) =>
      db
        .deleteFrom('client_assertions')
        .using('expired')
        .whereRef('client_assertions.client_id', '=', 'expired.client_id')
        .whereRef('client_assertions.jti_hash', '=', 'expired.jti_hash'),
    )
    .insertInto('client_assertions')
    .values({
      client_id: use.clientId,
      jti_hash: createHash('sha256').update(use.jti).digest(),
      expires_at: use.expiresAt,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('client_id')
    .executeTakeFirst();
  return taken !== undefined;
}
