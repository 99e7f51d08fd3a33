import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import t from 'tap';
import { connect, type Database } from '../../src/db/database.ts';
import { bump, type Freshness, startFreshness } from '../../src/db/fresh.ts';
import { transaction } from '../../src/db/transaction.ts';
import { ownCluster, runSql, testDatabase } from '../support/database.ts';

t.setTimeout(60_000);

interface Test {
  teardown(clean: () => Promise<void>): void;
}

const schema = [
  'create table if not exists registry_versions (topic text primary key, version bigint not null)',
  'create table allowed (name text primary key)',
  'grant select on registry_versions, allowed to certhub_service',
];

function open(t: Test, url: string): Database {
  const db = connect({ url, max: 4, statementTimeoutMs: 2_000, applicationName: 'test', connectionTimeoutMs: 500 });
  t.teardown(() => db.close());
  return db;
}

function start(t: Test, db: Database, options: Partial<Parameters<typeof startFreshness>[1]> = {}): Freshness {
  const freshness = startFreshness(db, { intervalMs: 250, maxAgeMs: 900, now: () => performance.now(), ...options });
  t.teardown(() => freshness.stop());
  return freshness;
}

type Load = Parameters<Freshness['watch']>[1];
const names = async (handle: Parameters<Load>[0]): Promise<string[]> =>
  (await sql<{ name: string }>`select name from allowed order by name`.execute(handle)).rows.map(({ name }) => name);

const change = (db: Database, ...statements: string[]) =>
  transaction(db, async (trx) => {
    for (const statement of statements) await sql.raw(statement).execute(trx);
    await bump(trx, 'allowed');
  });

await t.test('invariant 2: a revocation holds within 1 s on every process, while they keep reading', async (t) => {
  const { ownerUrl, serviceUrl } = await testDatabase(t, { empty: true });
  await runSql(ownerUrl, ...schema);
  const owner = open(t, ownerUrl);
  await change(owner, `insert into allowed values ('a'), ('b')`);
  const views = [open(t, serviceUrl), open(t, serviceUrl)].map((db) => start(t, db).watch('allowed', names));
  for (const view of views) t.strictSame(await view.read(), ['a', 'b']);

  for (let round = 0; round < 3; round++) {
    await change(owner, `insert into allowed values ('c') on conflict do nothing`);
    await sleep(1_000);
    for (const view of views) t.strictSame(await view.read(), ['a', 'b', 'c']);
    await change(owner, `delete from allowed where name = 'c'`);
    const revoked = performance.now();
    let latest = 0;
    while (performance.now() - revoked < 1_200) {
      const seen = await Promise.all(views.map((view) => view.read()));
      if (seen.flat().includes('c')) latest = performance.now() - revoked;
      await sleep(5);
    }
    t.ok(latest < 1_000, `last seen ${Math.round(latest)} ms after its revocation`);
  }
});

await t.test('a fresh view is read without asking; a stale one is confirmed first', async (t) => {
  const { ownerUrl } = await testDatabase(t, { empty: true });
  await runSql(ownerUrl, ...schema);
  const inner = open(t, ownerUrl);
  let polls = 0;
  let loads = 0;
  const db: Pick<Database, 'kysely' | 'query'> = {
    kysely: inner.kysely,
    query: (statement, values) => {
      polls += 1;
      return inner.query(statement, values);
    },
  };
  let clock = 1_000;
  // An interval so long that only readers cause looks after the first.
  const freshness = startFreshness(db, { intervalMs: 3_600_000, maxAgeMs: 900, now: () => clock });
  t.teardown(() => freshness.stop());
  const view = freshness.watch('allowed', (snapshot) => {
    loads += 1;
    return names(snapshot);
  });
  t.strictSame(await view.read(), []);
  t.equal(loads, 1);
  const before = polls;
  t.equal(view.read(), view.read(), 'the very same promise: nothing is allocated, nothing is asked');
  clock += 899;
  await view.read();
  t.equal(polls, before);
  clock += 1;
  await Promise.all(Array.from({ length: 20 }, () => view.read()));
  t.equal(polls, before + 1, 'concurrent readers share one look');
  t.equal(loads, 1, 'an unchanged topic is not loaded again');
  await change(inner, `insert into allowed values ('a')`);
  clock += 900;
  t.strictSame(await Promise.all([view.read(), view.read()]), [['a'], ['a']]);
  t.equal(loads, 2);
});

await t.test('a look counts from its beginning, however late its answer comes', async (t) => {
  const { ownerUrl } = await testDatabase(t, { empty: true });
  await runSql(ownerUrl, ...schema);
  const inner = open(t, ownerUrl);
  let clock = 0;
  let polls = 0;
  let late = () => Promise.resolve();
  const db: Pick<Database, 'kysely' | 'query'> = {
    kysely: inner.kysely,
    query: async <T extends object>(...args: Parameters<Database['query']>) => {
      polls += 1;
      const rows = await inner.query<T>(...args);
      await late();
      return rows;
    },
  };
  const freshness = startFreshness(db, { intervalMs: 3_600_000, maxAgeMs: 900, now: () => clock });
  t.teardown(() => freshness.stop());
  const view = freshness.watch('allowed', names);
  await view.read();
  while (polls === 0) await sleep(5);
  await sleep(100);
  clock += 900;
  polls = 0;
  late = async () => {
    clock += 899;
  };
  t.strictSame(await view.read(), []);
  t.equal(polls, 1);
  clock += 1;
  await view.read();
  t.equal(polls, 2, 'what it confirmed is 900 ms old by now');

  // A look that began before the revocation, and answers after it, says nothing to whoever asks after it.
  let answer = () => undefined as void;
  const held = new Promise<void>((resolve) => {
    answer = resolve;
  });
  late = () => held;
  clock += 900;
  const before = view.read();
  await sleep(100);
  await change(inner, `insert into allowed values ('a')`);
  clock += 900;
  const after = view.read();
  late = () => Promise.resolve();
  answer();
  t.strictSame(await after, ['a']);
  await before;

  // Nor to the process that made the change, however fresh its view looks.
  const again = new Promise<void>((resolve) => {
    answer = resolve;
  });
  late = () => again;
  clock += 900;
  const looking = view.read();
  await sleep(100);
  await change(inner, `insert into allowed values ('b')`);
  clock += 1;
  freshness.outdate();
  const own = view.read();
  late = () => Promise.resolve();
  answer();
  t.strictSame(await own, ['a', 'b']);
  await looking;
});

await t.test('a process sees its own changes at once', async (t) => {
  const { ownerUrl } = await testDatabase(t, { empty: true });
  await runSql(ownerUrl, ...schema);
  const db = open(t, ownerUrl);
  const freshness = start(t, db);
  const view = freshness.watch('allowed', names);
  for (let round = 0; round < 20; round++) {
    await view.read();
    const reading = view.read();
    await change(db, `insert into allowed values ('${String(round).padStart(2, '0')}')`);
    freshness.outdate();
    t.equal((await view.read()).length, round + 1);
    await reading;
  }
});

await t.test('a failing load never leaves an old view looking fresh', async (t) => {
  const { ownerUrl } = await testDatabase(t, { empty: true });
  await runSql(ownerUrl, ...schema);
  const db = open(t, ownerUrl);
  let fails = false;
  const freshness = start(t, db, { intervalMs: 20, maxAgeMs: 200 });
  const view = freshness.watch('allowed', (snapshot) => {
    if (fails) throw new RangeError('a row that cannot be read');
    return names(snapshot);
  });
  const other = freshness.watch('other', async () => 'fine');
  await view.read();
  fails = true;
  await change(db, `insert into allowed values ('a')`);
  await sleep(300);
  await t.rejects(view.read(), RangeError);
  t.equal(await other.read(), 'fine', 'other views live on');
  fails = false;
  t.strictSame(await view.read(), ['a']);
});

await t.test('version and content come from one snapshot', async (t) => {
  const { ownerUrl } = await testDatabase(t, { empty: true });
  await runSql(ownerUrl, ...schema);
  const db = open(t, ownerUrl);
  let between: (() => Promise<unknown>) | undefined = () => change(db, `insert into allowed values ('a')`);
  const view = start(t, db, { intervalMs: 20 }).watch('allowed', async (snapshot) => {
    const first = await names(snapshot);
    await between?.();
    between = undefined;
    return [first, await names(snapshot)];
  });
  const [first, second] = await view.read();
  t.strictSame(first, second, 'a change in the middle of a load is not half seen');
  await sleep(200);
  t.strictSame(await view.read(), [['a'], ['a']], 'and not missed');
});

await t.test('without a database a view fails closed and comes back with it', async (t) => {
  const cluster = await ownCluster(t);
  const { urls } = cluster.server();
  await runSql(urls.owner, ...schema, `insert into allowed values ('a')`);
  const view = start(t, open(t, urls.service)).watch('allowed', names);
  t.strictSame(await view.read(), ['a']);
  cluster.server().kill('SIGKILL');
  await sleep(1_000);
  await t.rejects(view.read(), { code: 'database_unavailable' });
  await cluster.restart();
  t.strictSame(await view.read(), ['a']);
  const stopped = startFreshness(open(t, urls.service), {
    intervalMs: 250,
    maxAgeMs: 900,
    now: () => performance.now(),
  });
  const late = stopped.watch('allowed', names);
  await stopped.stop();
  await t.rejects(late.read(), { code: 'shutting_down' });
});
