import { X509Certificate } from 'node:crypto';
import { inflateSync } from 'node:zlib';
import { decodeProtectedHeader, jwtVerify } from 'jose';
import t from 'tap';
import { allocateStatusIndex, type StatusIndex, setStatus } from '../../src/certificates/status-index.ts';
import { type StatusLists, statusLists } from '../../src/certificates/status-list.ts';
import { remembering } from '../../src/certificates/status-list-cache.ts';
import { type VerificationRouteDeps, verificationHandlers } from '../../src/certificates/verification-routes.ts';
import { connect, type Database } from '../../src/db/database.ts';
import { transaction } from '../../src/db/transaction.ts';
import { Refusal } from '../../src/errors.ts';
import { loadKeys } from '../../src/signing/key-store.ts';
import { decodeStatusList, readStatus } from '../../src/verification/status-list.ts';
import { extendedKeyUsages, validateX509Path } from '../../src/verification/x509-path.ts';
import { testDatabase } from '../support/database.ts';

// Each test has a database of its own, on a machine that may be busy.
t.setTimeout(240_000);

const keys = loadKeys('keys-example', { mode: 'demo' });
const issuer = 'https://hub.example.gov';
const entries = 2 ** 17;

async function openDatabase(t: Parameters<typeof testDatabase>[0]): Promise<Database> {
  const { serviceUrl } = await testDatabase(t);
  const db = connect({ url: serviceUrl, max: 4, statementTimeoutMs: 5_000, applicationName: 'status list test' });
  t.teardown(() => db.close());
  return db;
}

const listsOf = (db: Pick<Database, 'kysely'>, clock?: () => number): StatusLists =>
  statusLists({ db, signer: keys.status, issuer, now: () => new Date(), ...(clock === undefined ? {} : { clock }) });
const allocate = (db: Database): Promise<StatusIndex> =>
  transaction(db, (trx) => allocateStatusIndex(trx, { at: new Date() }));
const change = (db: Database, where: StatusIndex, value: 0 | 1 | 2): Promise<void> =>
  transaction(db, (trx) => setStatus(trx, where, value, new Date()));
const refusalCode = async (promise: Promise<unknown>): Promise<string | undefined> => {
  const outcome = await promise.catch((error: unknown) => error);
  return outcome instanceof Refusal ? outcome.code : undefined;
};

interface Claims {
  readonly iat: number;
  readonly exp: number;
  readonly ttl: number;
  readonly status_list: { readonly bits: number; readonly lst: string };
}
const claimsOf = (token: string): Claims =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as Claims;

/** All values of a token, decoded here and not by the code under test. */
function valuesOf(token: string): number[] {
  const payload = claimsOf(token);
  if (payload.status_list.bits !== 2) throw new Error('not a list of 2 bits');
  const bytes = inflateSync(Buffer.from(payload.status_list.lst, 'base64url'));
  return Array.from({ length: bytes.length * 4 }, (_, index) => ((bytes[index >> 2] ?? 0) >> ((index % 4) * 2)) & 3);
}

await t.test('a status list is accepted by jose and says what the rows say', async (t) => {
  const db = await openDatabase(t);
  const given: StatusIndex[] = [];
  for (let count = 0; count < 12; count++) given.push(await allocate(db));
  const values = [0, 1, 2, 1, 0, 2, 0, 0, 1, 2, 0, 1] as const;
  for (const [at, where] of given.entries()) await change(db, where, values[at] ?? 0);
  const before = Math.floor(Date.now() / 1000);
  const token = await listsOf(db).get(1);
  const header = decodeProtectedHeader(token);
  const chain = (header.x5c ?? []).map((der) => Buffer.from(der, 'base64'));
  const leaf = new X509Certificate(chain[0] ?? Buffer.alloc(0));
  await jwtVerify(token, leaf.publicKey, {
    typ: 'statuslist+jwt',
    algorithms: ['ES256'],
    subject: `${issuer}/status-lists/1`,
    requiredClaims: ['iat', 'exp', 'ttl', 'status_list'],
  });
  const payload = claimsOf(token);
  t.ok(payload.iat >= before && payload.iat <= before + 5);
  t.equal(payload.exp - payload.iat, 86_400);
  t.equal(payload.ttl, 300);
  const decoded = valuesOf(token);
  t.equal(decoded.length, entries);
  t.strictSame(
    given.map(({ index }) => decoded[index]),
    [...values],
  );
  t.equal(decoded.filter((value) => value !== 0).length, values.filter((value) => value !== 0).length);

  const list = decodeStatusList(payload.status_list);
  t.equal(list === undefined ? -1 : readStatus(list, given[2]?.index ?? -1), 2);
  const path = validateX509Path({ chain, roots: keys.roots, at: before, use: 'status' });
  t.ok(path.ok, 'the chain leads to the same root as the seals, with the key usage of status lists');
  t.notOk(validateX509Path({ chain, roots: keys.roots, at: before, use: 'answer' }).ok, extendedKeyUsages.status);
});

await t.test('an index never given out and the index of a valid certificate look alike', async (t) => {
  const db = await openDatabase(t);
  const valid = await allocate(db);
  const token = await listsOf(db).get(valid.list);
  t.strictSame(new Set(valuesOf(token)), new Set([0]));
  const other = await allocate(db);
  const later = await listsOf(db).get(other.list);
  t.strictSame(valuesOf(later), valuesOf(token), 'a new certificate does not show');
});

await t.test('a change of status is published within 5 seconds, what caches may keep included', async (t) => {
  const db = await openDatabase(t);
  const where = await allocate(db);
  const lists = listsOf(db);
  const { getStatusList } = verificationHandlers({ statusLists: lists } as unknown as VerificationRouteDeps);
  const ask = () => getStatusList({ params: { listId: where.list } } as Parameters<typeof getStatusList>[0]);
  const valueNow = async () => valuesOf((await ask()).body as string)[where.index];
  for (const value of [2, 0, 1] as const) {
    await valueNow();
    await change(db, where, value);
    const changed = performance.now();
    let maxAge = Number.NaN;
    while ((await valueNow()) !== value) await new Promise((resolve) => setTimeout(resolve, 50));
    const seen = performance.now() - changed;
    const answer = await ask();
    maxAge = Number(/max-age=(\d+)/.exec(answer.headers?.['cache-control'] ?? '')?.[1]);
    t.ok(seen + maxAge * 1000 < 5_000, `value ${value} after ${Math.round(seen)} ms + ${maxAge} s`);
    t.equal(answer.headers?.['access-control-allow-origin'], '*');
    t.equal(answer.contentType, 'application/statuslist+jwt');
  }
});

await t.test('unknown lists are refused, and guessing costs one query in 2 seconds', async (t) => {
  const db = await openDatabase(t);
  await allocate(db);
  let queries = 0;
  const counted = {
    get kysely() {
      queries++;
      return db.kysely;
    },
  };
  const lists = listsOf(counted as Pick<Database, 'kysely'>, () => 0);
  const codes = new Set<string | undefined>();
  for (let id = 2; id < 200; id++) codes.add(await refusalCode(lists.get(id)));
  t.strictSame([...codes], ['status_list_unknown']);
  t.equal(queries, 2, 'one for all, one for the list that would be opened next');
  await transaction(db, (trx) =>
    trx.insertInto('status_lists').values({ list_id: 2, open: false, created_at: new Date() }).execute(),
  );
  t.type(await lists.get(2), 'string', 'a list just opened is there at once: no earlier "unknown" is remembered');
  const taken = await allocate(db);
  await change(db, taken, 1);
  const [one = '', two = ''] = await lists.forOffline();
  t.equal(valuesOf(one)[taken.index], 1);
  t.strictSame(new Set(valuesOf(two)), new Set([0]), 'each list has its own entries');
});

await t.test('lists for offline use are good for a week', async (t) => {
  const db = await openDatabase(t);
  const where = await allocate(db);
  await change(db, where, 1);
  const [token = ''] = await listsOf(db).forOffline();
  const payload = claimsOf(token);
  t.equal(payload.exp - payload.iat, 7 * 86_400);
  t.equal(valuesOf(token)[where.index], 1);
});

await t.test('concurrent readers share one load, and a failure is not remembered', async (t) => {
  let clock = 0;
  let loads = 0;
  const read = remembering(
    async () => {
      loads++;
      await Promise.resolve();
      if (loads === 2) throw new Refusal('database_unavailable');
      return loads;
    },
    { maxAgeMs: 2_000, clock: () => clock },
  );
  t.strictSame(await Promise.all([read(), read(), read()]), [1, 1, 1]);
  clock = 1_999;
  t.equal(await read(), 1);
  clock = 2_000;
  t.strictSame(await Promise.all([refusalCode(read()), refusalCode(read())]), [
    'database_unavailable',
    'database_unavailable',
  ]);
  t.equal(await read(), 3, 'asked again at once: nobody is told a stale state instead');
});
