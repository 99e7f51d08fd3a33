import { generateKeyPairSync, type KeyObject, randomBytes, randomUUID } from 'node:crypto';
import { startRecorder } from '../../src/audit/record.ts';
import { ensurePartitions, insertRecords } from '../../src/audit/store.ts';
import { connect, type Database } from '../../src/db/database.ts';
import { startFreshness } from '../../src/db/fresh.ts';
import { writer } from '../../src/db/write.ts';
import { clientAssertionKind, clientAssertionType } from '../../src/departments/client-assertion.ts';
import { type PublicJwk, readPublicJwk } from '../../src/departments/client-key.ts';
import { issueToken } from '../../src/departments/issue-token.ts';
import { registerClient } from '../../src/departments/register-client.ts';
import { registerDepartment } from '../../src/departments/register-department.ts';
import { watchRegistry, watchTrust } from '../../src/departments/registry.ts';
import type { ChangeRequest } from '../../src/departments/registry-change.ts';
import { bearerToken, openTokens } from '../../src/http/tokens.ts';
import type { ClientId, DepartmentCode, Role } from '../../src/ids.ts';
import { encryptionKeys, indexKeys } from '../../src/signing/data-keys.ts';
import { signCompactJws } from '../../src/signing/sd-jwt-issue.ts';
import { keySigner } from '../../src/signing/signer.ts';
import { canonicalJson } from '../../src/verification/canonical-json.ts';
import type { TestDatabase } from '../support/database.ts';

export const issuer = 'https://hub.example.test';
export const department = '11999900100000016A' as DepartmentCode;

const secret = { number: 1, secret: randomBytes(32), active: true };
export const keys = { ...encryptionKeys([secret]), ...indexKeys([secret]) };

interface Test {
  teardown(clean: () => Promise<void> | void): void;
}

/** One process of a hub: its own pool, recorder and views over a shared database. `clock.now` may be moved. */
export async function startProcess(t: Test, { serviceUrl }: TestDatabase) {
  const db = connect({ url: serviceUrl, max: 12, statementTimeoutMs: 10_000, applicationName: 'test' });
  await ensurePartitions(db);
  const clock = { now: () => new Date() };
  const reports: string[] = [];
  const tampered = (kind: string, id: string): void => void reports.push(`${kind} ${id}`);
  const recorder = startRecorder({
    insertAll: (rows) => insertRecords(db, rows),
    keys,
    now: () => clock.now(),
    maxBatch: 100,
  });
  const freshness = startFreshness(db, { intervalMs: 250, maxAgeMs: 900, now: () => performance.now() });
  t.teardown(async () => {
    await freshness.stop();
    await recorder.drain();
    await db.close();
  });
  const write = writer({
    db,
    box: {
      seal: (plain, boundTo) => keys.box.seal(boundTo, plain),
      open: (sealed, boundTo) => keys.box.open(boundTo, sealed),
    },
    fingerprint: (value) => keys.rowMac('idempotency', Buffer.from(canonicalJson(value))),
  });
  const tokens = await openTestTokens(() => clock.now());
  return {
    db,
    clock,
    reports,
    keys,
    tampered,
    write,
    record: recorder.record,
    recordIn: recorder.recordIn,
    registry: watchRegistry({ freshness, keys, tampered }),
    trust: watchTrust({ freshness, keys, tampered }),
    isExampleKey: () => false,
    issuer,
    tokenSeconds: 300,
    signToken: tokens.sign,
    verifyAuthorization: (authorization: string | undefined) => verify(tokens, authorization),
  };
}
export type Process = Awaited<ReturnType<typeof startProcess>>;

const verify = async (tokens: Awaited<ReturnType<typeof openTestTokens>>, authorization: string | undefined) =>
  tokens.verify(bearerToken(authorization));

/** All processes of a hub share its token key. */
const tokenKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const openTestTokens = (now: () => Date) =>
  openTokens({
    privatePem: tokenKey.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    kid: 'token-1',
    publicPem: (kid) =>
      kid === 'token-1' ? tokenKey.publicKey.export({ type: 'spki', format: 'pem' }).toString() : undefined,
    issuer,
    audience: issuer,
    ttlSeconds: 300,
    now,
  });

/** An administrator's next change. */
export const change = (at = new Date()): ChangeRequest => ({
  call: {
    caller: { clientId: 'hub-admin' as ClientId, department, roles: ['admin'], keyId: 'k1' },
    requestId: randomUUID(),
    at,
  },
  idempotencyKey: randomUUID(),
});

export interface TestKey {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly jwk: PublicJwk;
}

/** A client's key pair. */
export function newKey(kid: string, alg: 'ES256' | 'EdDSA' = 'ES256'): TestKey {
  const pair = alg === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
  const { jwk } = readPublicJwk({ ...pair.publicKey.export({ format: 'jwk' }), kid });
  return { ...pair, jwk };
}

/** Registers the department once and a client of it. */
export async function addClient(
  hub: Process,
  clientId: string,
  testKeys: readonly TestKey[],
  roles: readonly Role[] = ['consumer'],
): Promise<void> {
  const name = { zh: '示范系统', en: 'Example system' };
  await registerDepartment(hub, { ...change(), departmentCode: department, name }).catch((error: Error) => {
    if (error.message !== 'department_exists') throw error;
  });
  await registerClient(hub, {
    ...change(),
    clientId,
    departmentCode: department,
    name,
    roles,
    keys: testKeys.map(({ jwk }) => jwk),
  });
}

/** Claims of a good assertion. */
export const goodClaims = (clientId: string, at = new Date()): Record<string, unknown> => {
  const now = Math.floor(at.getTime() / 1000);
  return { iss: clientId, sub: clientId, aud: issuer, jti: randomUUID(), iat: now, exp: now + 60 };
};

/** An assertion with any claims, `typ` and `kid`. */
export const assertion = (
  key: TestKey,
  payload: Record<string, unknown>,
  { typ = clientAssertionType, kid = key.jwk.kid } = {},
): Promise<string> =>
  signCompactJws({ signer: keySigner({ privateKey: key.privateKey, suite: key.jwk.alg, kid }), typ, payload });

/** Asks for a token as the route does. */
export const ask = (hub: Process, clientAssertion: string, more: { clientId?: string; at?: Date } = {}) =>
  issueToken(hub, {
    grantType: 'client_credentials',
    clientAssertionType: clientAssertionKind,
    clientAssertion,
    requestId: randomUUID(),
    at: new Date(),
    ...more,
  });

/** A token of a client, as an `Authorization` header. */
export async function authorizationOf(hub: Process, clientId: string, key: TestKey): Promise<string> {
  const { accessToken } = await ask(hub, await assertion(key, goodClaims(clientId)));
  return `Bearer ${accessToken}`;
}

/** How many records of an action there are, by outcome and code. */
export const recordsOf = (db: Database, action: string) =>
  db.kysely
    .selectFrom('records')
    .select(['outcome', 'code', 'client_id', 'department_code'])
    .where('action', '=', action)
    .orderBy('record_id')
    .execute();

/** Waits until something holds, for 5 s at most. Answers after how many milliseconds. */
export async function eventually(holds: () => Promise<boolean>): Promise<number> {
  const begun = performance.now();
  while (performance.now() - begun < 5_000) {
    if (await holds()) return performance.now() - begun;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('waited in vain');
}
