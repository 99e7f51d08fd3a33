import { setTimeout as sleep } from 'node:timers/promises';
import { CompiledQuery, Kysely, PostgresDialect, PostgresDriver, sql } from 'kysely';
import pg from 'pg';
import t from 'tap';
import { connect, type Database } from '../../src/db/database.ts';
import { asSeenOutside, DatabaseFault, isUnavailable, withoutData } from '../../src/db/fault.ts';
import { checkSettings } from '../../src/db/settings.ts';
import type { Tables } from '../../src/db/tables.ts';
import { transaction } from '../../src/db/transaction.ts';
import { Refusal } from '../../src/errors.ts';
import { ownCluster, runSql, testDatabase } from '../support/database.ts';

t.setTimeout(120_000);

interface Test {
  teardown(clean: () => Promise<void>): void;
}

function open(t: Test, url: string, options: Partial<Parameters<typeof connect>[0]> = {}): Database {
  const db = connect({ url, max: 4, statementTimeoutMs: 5_000, applicationName: 'test', ...options });
  t.teardown(() => db.close());
  return db;
}

const planted = '99000019491001000X';

await t.test('values arrive as what they are', async (t) => {
  const { ownerUrl } = await testDatabase(t, { empty: true });
  for (const prepared of [true, false]) {
    const db = open(t, ownerUrl, { prepared });
    const statement = {
      name: 'values',
      text: `select $1::int8 as n, '{1,null,3}'::int8[] as ns, '2026-02-28'::date as day, '{2026-02-28}'::date[] as days,
        '2026-02-28T23:30:00Z'::timestamptz as at, '2026-02-28 23:30:00'::timestamp as local, '\\x00ff'::bytea as bytes`,
    };
    const expected = {
      n: Number.MAX_SAFE_INTEGER,
      ns: [1, null, 3],
      day: '2026-02-28',
      days: ['2026-02-28'],
      at: new Date('2026-02-28T23:30:00Z'),
      local: '2026-02-28 23:30:00',
      bytes: Buffer.from([0, 255]),
    };
    t.strictSame(await db.query(statement, [String(Number.MAX_SAFE_INTEGER)]), [expected]);
    await t.rejects(
      db.query(statement, ['9007199254740993']),
      RangeError,
      'a number that would be rounded is an error',
    );
    t.strictSame(await db.query(statement, ['-5']), [{ ...expected, n: -5 }], 'and the pool works on');
    const { rows } = await sql<{ n: number }>`select 41::int8 + 1 as n`.execute(db.kysely);
    t.strictSame(rows, [{ n: 42 }]);
    const names = await db.query<{ n: number }>(
      { name: 'names', text: `select count(*) as n from pg_prepared_statements where name = 'values'` },
      [],
    );
    t.equal((names[0]?.n ?? 0) > 0, prepared);
  }
});

await t.test('a prepared statement survives a migration of its table', async (t) => {
  const { ownerUrl } = await testDatabase(t, { empty: true });
  const db = open(t, ownerUrl, { max: 1 });
  await runSql(ownerUrl, 'create table grows (n int)', 'insert into grows values (1)');
  const statement = { name: 'grows', text: 'select * from grows' };
  t.strictSame(await db.query(statement, []), [{ n: 1 }]);
  await runSql(ownerUrl, 'alter table grows add column more int');
  t.strictSame(await db.query(statement, []), [{ n: 1, more: null }]);
});

await t.test('invariant 5: errors carry no values, from either way of asking', async (t) => {
  const { ownerUrl } = await testDatabase(t, { empty: true });
  const db = open(t, ownerUrl);
  await runSql(
    ownerUrl,
    'create table once (word text constraint only_once primary key)',
    `insert into once values ('${planted}')`,
  );
  const failing = [
    ['insert into once values ($1)', '23505'],
    ['select $1::text::uuid', '22P02'],
    ['select $1::text::date', '22007'],
    ['select * from nowhere where word = $1', '42P01'],
  ] as const;
  for (const [text, code] of failing) {
    const errors = [
      await db.query({ name: `fails ${code}`, text }, [planted]).then(
        () => undefined,
        (error: unknown) => error,
      ),
      await db.kysely.executeQuery(CompiledQuery.raw(text, [planted])).then(
        () => undefined,
        (error: unknown) => error,
      ),
      await transaction(db, (trx) => trx.executeQuery(CompiledQuery.raw(text, [planted]))).then(
        () => undefined,
        (error: unknown) => error,
      ),
    ];
    for (const error of errors) {
      t.type(error, DatabaseFault);
      t.match(error, { code });
      const told =
        JSON.stringify(error) + String(error) + ((error as Error).stack ?? '') + Object.values(error as object).join();
      t.notMatch(told, planted);
      t.notOk('cause' in (error as object));
    }
  }
  const conflict = await db
    .query({ name: 'once', text: 'insert into once values ($1)' }, [planted])
    .catch((error: unknown) => error);
  t.match(conflict, { table: 'once', constraint: 'only_once' });
});

await t.test('which errors mean that the database is not there', async (t) => {
  const coded = (code: string, more: object = {}) => Object.assign(new Error(planted), { code, ...more });
  for (const code of [
    'ECONNREFUSED',
    'ECONNRESET',
    'EPIPE',
    '08006',
    '57P01',
    '57P03',
    '53300',
    '53100',
    '25006',
    '57014',
    '55P03',
    '58030',
  ]) {
    t.equal(isUnavailable(coded(code)), true, code);
    t.match(asSeenOutside(coded(code)), new Refusal('database_unavailable'));
  }
  for (const code of ['23505', '22P02', '40001', '42501', '28P01', '3D000'])
    t.equal(isUnavailable(coded(code)), false, code);
  t.equal(isUnavailable(coded('ENOENT', { syscall: 'connect' })), true, 'no socket');
  t.equal(isUnavailable(coded('ENOENT', { syscall: 'open' })), false, 'some other file');
  t.equal(isUnavailable(new Error('Connection terminated unexpectedly')), true);
  t.equal(isUnavailable(new Error('timeout exceeded when trying to connect')), true);
  t.equal(isUnavailable(new Refusal('database_unavailable')), true);
  for (const other of [new Refusal('grant_required'), new TypeError('x'), undefined, 'text', null]) {
    t.equal(isUnavailable(other), false);
    t.equal(withoutData(other), other);
  }
});

await t.test('a lost server is a refusal, never the end of the process, and its return is noticed', async (t) => {
  const cluster = await ownCluster(t);
  const { urls, superuserUrl } = cluster.server();
  const db = open(t, urls.service);
  const ping = () => db.query<{ one: number }>({ name: 'ping', text: 'select 1 as one' }, []);
  const kill = `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'test'`;
  t.strictSame(await ping(), [{ one: 1 }]);
  t.match(db.metrics(), { total: 1, idle: 1, waiting: 0, max: 4 });

  await runSql(superuserUrl, kill); // while idle
  await sleep(50);
  t.strictSame(await ping(), [{ one: 1 }]);

  const inside = db.kysely.transaction().execute(async (trx) => {
    await sql`select 1`.execute(trx);
    await runSql(superuserUrl, kill); // while held between two statements
    await sleep(50);
    await sql`select 2`.execute(trx);
  });
  await t.rejects(inside, { code: 'database_unavailable' });
  const during = db.query({ name: 'sleep', text: 'select pg_sleep(5)' }, []);
  setTimeout(() => void runSql(superuserUrl, kill), 100);
  await t.rejects(during, { code: 'database_unavailable' });
  t.strictSame(await ping(), [{ one: 1 }]);

  cluster.server().kill('SIGKILL');
  await sleep(200);
  await t.rejects(ping(), { code: 'database_unavailable' });
  await t.rejects(sql`select 1`.execute(db.kysely), { code: 'database_unavailable' });
  await cluster.restart();
  t.strictSame(await ping(), [{ one: 1 }]);

  let runs = 0;
  const survived = await transaction(db, async (trx) => {
    runs += 1;
    await sql`select 1`.execute(trx);
    if (runs === 1) await runSql(superuserUrl, kill);
    return (await sql<{ n: number }>`select 7 as n`.execute(trx)).rows;
  });
  t.strictSame(survived, [{ n: 7 }]);
  t.equal(runs, 2, 'a transaction is repeated over a new connection');

  await cluster.server().stop();
  await t.rejects(
    transaction(db, (trx) => sql`select 1`.execute(trx)),
    { code: 'database_unavailable' },
  );
});

await t.test('nobody waits for ever', async (t) => {
  const { ownerUrl } = await testDatabase(t, { empty: true });
  const db = open(t, ownerUrl, { max: 1, statementTimeoutMs: 200, connectionTimeoutMs: 300 });
  await t.rejects(
    db.query({ name: 'slow', text: 'select pg_sleep(5)' }, []),
    { code: 'database_unavailable' },
    'statement timeout',
  );
  t.equal(db.metrics().total, 1, 'which leaves the connection usable');
  await db.kysely.transaction().execute(async (trx) => {
    await sql`select 1`.execute(trx);
    await t.rejects(
      db.query({ name: 'ping', text: 'select 1' }, []),
      { code: 'database_unavailable' },
      'no connection free',
    );
  });
  t.equal((await db.query({ name: 'ping', text: 'select 1 as one' }, [])).length, 1);
  await t.test('a server that falls silent is given up, and so is the connection to it', async (t) => {
    const backend = async () =>
      (await db.query<{ pid: number }>({ name: 'pid', text: 'select pg_backend_pid() as pid' }, []))[0]?.pid ?? 0;
    for (const ask of [backend, async () => void (await sql`select 1`.execute(db.kysely))]) {
      const pid = await backend();
      process.kill(pid, 'SIGSTOP');
      try {
        await t.rejects(ask(), { code: 'database_unavailable' });
      } finally {
        process.kill(pid, 'SIGCONT');
      }
      t.not(await backend(), pid, 'the next one gets another connection');
    }
  });
  const nowhere = open(t, 'postgresql://a:b@localhost/c?host=/nonexistent');
  await t.rejects(nowhere.query({ name: 'ping', text: 'select 1' }, []), { code: 'database_unavailable' });
});

await t.test('invariant 10: a transaction is repeated after conflicts and is all or nothing', async (t) => {
  const { ownerUrl } = await testDatabase(t, { empty: true });
  const db = open(t, ownerUrl, { max: 12 });
  await runSql(
    ownerUrl,
    'create table counter (id int primary key, n int)',
    'insert into counter values (1, 0), (2, 0)',
  );

  await t.test('serialisation failures', async (t) => {
    let runs = 0;
    const add = () =>
      transaction(
        db,
        async (trx) => {
          runs += 1;
          const { rows } = await sql<{ n: number }>`select n from counter where id = 1`.execute(trx);
          await sleep(5);
          await sql`update counter set n = ${(rows[0]?.n ?? 0) + 1} where id = 1`.execute(trx);
        },
        { isolation: 'serializable' },
      );
    await Promise.all([add(), add(), add()]);
    t.strictSame((await runSql(ownerUrl, 'select n from counter where id = 1')).rows, [{ n: 3 }]);
    t.ok(runs > 3, 'some were repeated');
  });

  await t.test('deadlocks', async (t) => {
    await runSql(ownerUrl, `update counter set n = 0`);
    let first = true;
    const both = (order: readonly number[]) =>
      transaction(db, async (trx) => {
        for (const id of order) {
          await sql`update counter set n = n + 1 where id = ${id}`.execute(trx);
          if (first) await sleep(100);
        }
        first = false;
      });
    await Promise.all([both([1, 2]), both([2, 1])]);
    t.strictSame((await runSql(ownerUrl, 'select n from counter order by id')).rows, [{ n: 2 }, { n: 2 }]);
  });

  await t.test('what work throws rolls back and is passed on, once', async (t) => {
    let runs = 0;
    const refused = transaction(db, async (trx) => {
      runs += 1;
      await sql`update counter set n = 100`.execute(trx);
      throw new Refusal('grant_required', { department: 'x' });
    });
    await t.rejects(refused, { code: 'grant_required', detail: { department: 'x' } });
    t.equal(runs, 1);
    t.strictSame((await runSql(ownerUrl, 'select max(n) as n from counter')).rows, [{ n: 2 }]);
  });

  await t.test('five tries, then unavailable', async (t) => {
    let runs = 0;
    const hopeless = transaction(db, async () => {
      runs += 1;
      throw Object.assign(new Error('x'), { code: '40001' });
    });
    await t.rejects(hopeless, { code: 'database_unavailable' });
    t.equal(runs, 5);
  });

  await t.test('a COMMIT whose answer is lost is repeated; keys make it one effect', async (t) => {
    await runSql(ownerUrl, 'create table effects (key int primary key)');
    const pool = new pg.Pool({ connectionString: ownerUrl, max: 2 });
    let losses = 0;
    class ForgetfulDriver extends PostgresDriver {
      override async commitTransaction(connection: Parameters<PostgresDriver['commitTransaction']>[0]): Promise<void> {
        await super.commitTransaction(connection);
        losses += 1;
        if (losses === 1) throw new Error('Connection terminated unexpectedly');
      }
    }
    class Dialect extends PostgresDialect {
      override createDriver(): PostgresDriver {
        return new ForgetfulDriver({ pool });
      }
    }
    const kysely = new Kysely<Tables>({ dialect: new Dialect({ pool }) });
    t.teardown(() => kysely.destroy());
    await transaction({ kysely }, (trx) => sql`insert into effects values (1) on conflict do nothing`.execute(trx));
    t.equal(losses, 2);
    t.strictSame((await runSql(ownerUrl, 'select key from effects')).rows, [{ key: 1 }]);
  });
});

await t.test('settings that would break a promise are found', async (t) => {
  const { ownerUrl, superuserUrl, name } = await testDatabase(t, { empty: true });
  await runSql(
    superuserUrl,
    `alter database ${name} set log_statement = 'all'`,
    `alter database ${name} set synchronous_commit = off`,
  );
  const report = await checkSettings(open(t, ownerUrl));
  t.match(report.failures.join('\n'), /fsync is off, must be on/);
  t.match(report.failures.join('\n'), /synchronous_commit is off/);
  t.match(report.warnings.join('\n'), /log_statement is all/);
});
