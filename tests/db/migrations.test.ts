import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { run } from '../../src/cli/migrate.ts';
import { connect } from '../../src/db/database.ts';
import { type MigrateOptions, migrate, readMigrations, schemaState } from '../../src/db/migrate.ts';
import { inDatabase, ownCluster, runSql, testDatabase } from '../support/database.ts';

t.setTimeout(120_000);

const folderWith = (t: { testdir(files: Record<string, string>): string }, files: Record<string, string>) =>
  readMigrations(t.testdir(files));

const two = {
  '0001_people.sql': 'create table people (id int primary key); insert into people values (1);',
  '0002_more.sql': 'alter table people add column more text; grant select on people to certhub_service;',
};

await t.test('applied once each, in order; a second run does nothing', async (t) => {
  const { ownerUrl: url, serviceUrl } = await testDatabase(t, { empty: true });
  const migrations = await folderWith(t, two);
  const db = connect({ url: serviceUrl, max: 1, statementTimeoutMs: 2_000, applicationName: 'test' });
  t.teardown(() => db.close());
  t.strictSame(await schemaState(db, migrations), { state: 'empty', pending: 2 });
  const lines: string[] = [];
  t.equal(await migrate({ url, migrations: migrations.slice(0, 1), log: (line) => lines.push(line) }), 1);
  t.strictSame(await schemaState(db, migrations), { state: 'behind', pending: 1 });
  t.equal(await migrate({ url, migrations, log: (line) => lines.push(line) }), 1);
  t.equal(await migrate({ url, migrations }), 0);
  t.strictSame(lines, ['applied migration 1 (people)', 'applied migration 2 (more)']);
  t.strictSame(await schemaState(db, migrations), { state: 'current', pending: 0 }, 'the service can ask');
  const { rows } = await runSql(url, 'select id, name, length(sha256) as hash from schema_migrations order by id');
  t.strictSame(rows, [
    { id: 1, name: 'people', hash: 64 },
    { id: 2, name: 'more', hash: 64 },
  ]);
});

await t.test('20 processes at once, in two databases of one cluster', async (t) => {
  const cluster = await ownCluster(t, { settings: { fsync: 'off' } });
  const { superuserUrl, urls } = cluster.server();
  // Group roles missing and the owner able to make them, as where an administrator prepared nothing.
  await runSql(
    superuserUrl,
    'create database other owner certhub_owner',
    'drop owned by certhub_service, certhub_sequencer',
  );
  await runSql(inDatabase(superuserUrl, 'certhub'), 'drop owned by certhub_service, certhub_sequencer');
  await runSql(
    superuserUrl,
    'drop role certhub_service',
    'drop role certhub_sequencer',
    'alter role certhub_owner createrole',
  );
  const migrations = await folderWith(t, two);
  const options: MigrateOptions[] = ['certhub', 'other'].map((name) => ({
    url: inDatabase(urls.owner, name),
    migrations,
  }));
  const counts = await Promise.all(Array.from({ length: 20 }, (_, n) => migrate(options[n % 2] as MigrateOptions)));
  t.equal(
    counts.reduce((sum, count) => sum + count, 0),
    4,
    'each migration once per database',
  );
  for (const { url } of options) {
    t.strictSame((await runSql(url, 'select count(*)::int as n from people')).rows, [{ n: 1 }]);
  }
  t.equal(
    (await runSql(superuserUrl, `select from pg_roles where rolname in ('certhub_service', 'certhub_sequencer')`))
      .rowCount,
    2,
  );
});

await t.test('4 processes, 20 connections, on the real migrations', async (t) => {
  const { ownerUrl } = await testDatabase(t, { empty: true });
  const program = `import { migrate, readMigrations } from './src/db/migrate.ts';
    const options = { url: process.argv[1], migrations: await readMigrations() };
    const counts = await Promise.all(Array.from({ length: 5 }, () => migrate(options)));
    process.stdout.write(String(counts.reduce((sum, count) => sum + count, 0)));`;
  const one = () =>
    promisify(execFile)(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program, ownerUrl], {
      cwd: join(import.meta.dirname, '../..'),
    });
  const answers = await Promise.all(Array.from({ length: 4 }, one));
  const applied = answers.reduce((sum, { stdout }) => sum + Number(stdout), 0);
  t.equal(applied, (await readMigrations()).length);
});

await t.test('a newer database, a changed or missing migration are refused, and nothing is done', async (t) => {
  const { ownerUrl: url } = await testDatabase(t, { empty: true });
  const migrations = await folderWith(t, two);
  await migrate({ url, migrations });
  await t.rejects(migrate({ url, migrations: migrations.slice(0, 1) }), {
    name: 'MigrationRefused',
    message: /newer than this program: it has migration 2 \(more\), the program knows 1/,
  });
  const changed = migrations.map((each) => (each.id === 1 ? { ...each, sha256: '0'.repeat(64) } : each));
  await t.rejects(migrate({ url, migrations: changed }), {
    message: /migration 1 \(people\) is not the one that was applied/,
  });
  await runSql(url, 'delete from schema_migrations where id = 1');
  await t.rejects(migrate({ url, migrations }), { message: /gaps/ });
});

await t.test('a folder with a gap, a number twice or another name is refused', async (t) => {
  for (const files of [{ '0002_a.sql': '' }, { '0001_a.sql': '', '0001_b.sql': '' }, { 'one.sql': '' }]) {
    await t.test(Object.keys(files).join(), async (t) => {
      await t.rejects(folderWith(t, files), { name: 'MigrationRefused' });
    });
  }
});

await t.test('invariant 10: a migration that fails leaves nothing of itself, and is told without data', async (t) => {
  const { ownerUrl: url } = await testDatabase(t, { empty: true });
  const planted = '99000019491001000X';
  const migrations = await folderWith(t, {
    '0001_good.sql': 'create table good (word text primary key);',
    '0002_bad.sql': `create table half (n int); insert into good values ('${planted}'), ('${planted}');`,
  });
  const error: unknown = await migrate({ url, migrations }).catch((reason: unknown) => reason);
  t.match(error, { name: 'MigrationFailed', message: /migration 2 \(bad\) failed: .*23505/ });
  t.notMatch(JSON.stringify(error) + String((error as Error).stack) + String((error as Error).cause), planted);
  t.strictSame(
    (await runSql(url, `select to_regclass('half') as half, (select count(*)::int from schema_migrations) as n`)).rows,
    [{ half: null, n: 1 }],
  );
  const misspelt = await migrate({
    url,
    migrations: [...migrations.slice(0, 1), { id: 2, name: 'x', sql: 'select 1;\nselet 2;', sha256: '1' }],
  }).catch((reason: unknown) => reason);
  t.match(misspelt, { message: /syntax error at or near "selet" in line 2/ });
});

await t.test('a login that may not make the group roles says what an administrator has to do', async (t) => {
  const cluster = await ownCluster(t, { settings: { fsync: 'off' } });
  const { superuserUrl, urls } = cluster.server();
  await runSql(inDatabase(superuserUrl, 'certhub'), 'drop owned by certhub_sequencer');
  await runSql(superuserUrl, 'drop role certhub_sequencer');
  await t.rejects(migrate({ url: urls.owner, migrations: [...(await readMigrations())] }), {
    message: /CREATE ROLE certhub_sequencer NOLOGIN/,
  });
});

await t.test('certhub migrate', async (t) => {
  const { ownerUrl, serviceUrl } = await testDatabase(t, { empty: true });
  const command = async (argv: string[], env: Record<string, string>) => {
    let stdout = '';
    let stderr = '';
    const code = await run(argv, {
      stdout: { write: (text: string) => (stdout += text) },
      stderr: { write: (text: string) => (stderr += text) },
      env: { CERTHUB_ALLOW_OLD_NODE: 'on', ...env },
    });
    return { code, stdout, stderr };
  };
  const external = { DATABASE_URL: serviceUrl, CERTHUB_MIGRATION_DATABASE_URL: ownerUrl };
  t.match(await command(['--status'], external), { code: 3, stdout: /^empty: \d+ to apply\n$/ });
  t.match(await command([], external), { code: 0, stdout: /applied \d+ of \d+\n$/ });
  t.match(await command([], external), { code: 0, stdout: /the schema is current/ });
  t.match(await command(['--status'], external), { code: 0, stdout: 'current\n' });
  t.match(await command(['--nonsense'], external), { code: 2, stderr: /certhub migrate --status/ });
  t.match(await command(['--help'], external), { code: 0, stdout: /certhub migrate/ });
  t.match(await command([], { DATABASE_URL: serviceUrl }), { code: 1, stderr: /CERTHUB_MIGRATION_DATABASE_URL/ });
  const gone = { ...external, CERTHUB_MIGRATION_DATABASE_URL: 'postgresql://a:secret@127.0.0.1:1/x' };
  const failed = await command(['--status'], gone);
  t.match(failed, { code: 1, stderr: 'certhub migrate: the database cannot be reached\n' });
  const embedded = { CERTHUB_DATA_DIR: join(t.testdir(), 'data') };
  t.match(await command([], embedded), { code: 0, stdout: /applied/, stderr: /creating a PostgreSQL/ });
  t.match(await command(['--status'], embedded), { code: 0, stdout: 'current\n' });
});
