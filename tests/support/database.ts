import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type EmbeddedOptions, type EmbeddedServer, startEmbedded } from '../../src/db/embedded.ts';
import { processBeginning } from '../../src/db/embedded-users.ts';
import { migrate, readMigrations } from '../../src/db/migrate.ts';
import { type Kind, sharedCluster } from './cluster.ts';

/** The part of a tap test used here. */
interface Test {
  teardown(clean: () => Promise<void>): void;
}

export interface TestDatabase {
  readonly name: string;
  readonly ownerUrl: string;
  readonly serviceUrl: string;
  readonly sequencerUrl: string;
  readonly superuserUrl: string;
}

/** Points a URL of the cluster at another database. */
export function inDatabase(url: string, name: string): string {
  const there = new URL(url);
  there.pathname = `/${name}`;
  return there.href;
}

/** Runs statements one by one over a connection of their own. */
export async function runSql(url: string, ...statements: string[]): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    let last: pg.QueryResult | undefined;
    for (const statement of statements) last = await client.query(statement);
    if (last === undefined) throw new Error('no statement');
    return last;
  } finally {
    await client.end();
  }
}

/** The template with the real schema: made once per content of `migrations/`, by whichever process is first. Answers its name. */
export async function ensureTemplate(server: Pick<EmbeddedServer, 'superuserUrl' | 'urls'>): Promise<string> {
  const migrations = await readMigrations();
  const content = migrations.map(({ sha256 }) => sha256).join(' ');
  const name = `template_${createHash('sha256').update(content).digest('hex').slice(0, 16)}`;
  const client = new pg.Client({ connectionString: server.superuserUrl });
  await client.connect();
  try {
    const ready = async () =>
      (await client.query(`select 1 from pg_database where datname = $1 and datistemplate`, [name])).rowCount === 1;
    if (await ready()) return name;
    await client.query(`select pg_advisory_lock(hashtext('certhub test template'))`);
    if (await ready()) return name;
    await client.query(`drop database if exists ${name} with (force)`);
    await client.query(`create database ${name} owner certhub_owner`);
    await migrate({ url: inDatabase(server.urls.owner, name), migrations });
    await client.query(`alter database ${name} is_template true`);
    return name;
  } finally {
    await client.end();
  }
}

const ownPrefix = 'certhub-own-';

/** Removes private clusters whose test process is gone; a server that still runs in one notices within a minute and ends. */
export async function removeLeftoverClusters(): Promise<void> {
  for (const name of (await readdir(tmpdir())).filter((each) => each.startsWith(ownPrefix))) {
    const [pid, beginning] = name.slice(ownPrefix.length).split('-');
    const gone = (await processBeginning(Number(pid))) !== beginning;
    if (gone) await rm(join(tmpdir(), name), { recursive: true, force: true });
  }
}

/** Drops databases whose test process is gone, and templates nobody has made anew for a week. */
export async function dropLeftovers(superuserUrl: string): Promise<void> {
  const { rows } = await runSql(superuserUrl, `select datname from pg_database where datname like 'test\\_%'`);
  for (const { datname } of rows as { datname: string }[]) {
    const [, pid, beginning] = datname.split('_');
    if ((await processBeginning(Number(pid))) !== beginning)
      await runSql(superuserUrl, `drop database if exists ${datname} with (force)`);
  }
  const old = await runSql(
    superuserUrl,
    `select datname from pg_database where datname like 'template\\_%'
       and (pg_stat_file('base/' || oid || '/PG_VERSION')).modification < now() - interval '7 days'`,
  );
  for (const { datname } of old.rows as { datname: string }[]) {
    await runSql(superuserUrl, `alter database ${datname} is_template false`, `drop database ${datname}`);
  }
}

const joined = new Map<Kind, Promise<{ server: EmbeddedServer; template: string }>>();
let inUse = 0;

/** This process's stake in the shared cluster, given up with its last database. */
function joinCluster(kind: Kind) {
  let found = joined.get(kind);
  if (found === undefined) {
    found = sharedCluster(kind).then(async (server) => ({ server, template: await ensureTemplate(server) }));
    joined.set(kind, found);
  }
  return found;
}

async function leaveAll(): Promise<void> {
  const all = [...joined.values()];
  joined.clear();
  for (const found of all) await (await found).server.stop();
}

/**
 * A database of its own for a test, cloned from the migrated template, dropped at teardown. `fsync: true`: on the cluster that really
 * syncs, for tests of durability settings (to crash a server, use `ownCluster`). `empty: true`: without any schema.
 */
export async function testDatabase(
  t: Test,
  { fsync = false, empty = false }: { fsync?: boolean; empty?: boolean } = {},
): Promise<TestDatabase> {
  inUse += 1;
  t.teardown(async () => {
    inUse -= 1;
    if (inUse === 0) await leaveAll();
  });
  const { server, template } = await joinCluster(fsync ? 'durable' : 'fast');
  const name = `test_${process.pid}_${await processBeginning(process.pid)}_${randomBytes(4).toString('hex')}`;
  await createFrom(server.superuserUrl, name, empty ? 'template0' : template);
  t.teardown(() => runSql(server.superuserUrl, `drop database if exists ${name} with (force)`).then(() => undefined));
  return {
    name,
    ownerUrl: inDatabase(server.urls.owner, name),
    serviceUrl: inDatabase(server.urls.service, name),
    sequencerUrl: inDatabase(server.urls.sequencer, name),
    superuserUrl: inDatabase(server.superuserUrl, name),
  };
}

async function createFrom(superuserUrl: string, name: string, template: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await runSql(superuserUrl, `create database ${name} template ${template} owner certhub_owner`);
      return;
    } catch (error) {
      // Somebody is connected to the template: autovacuum, or its maker on the way out.
      if ((error as { code?: string }).code !== '55006' || attempt === 20) throw error;
      await sleep(50 * attempt);
    }
  }
}

export interface OwnCluster {
  readonly dataDir: string;
  /** The running server; `restart` replaces it. */
  readonly server: () => EmbeddedServer;
  /** Starts again after `server().kill('SIGKILL')` or `stop()`; addresses stay the same. */
  restart(): Promise<EmbeddedServer>;
}

/** A private cluster, fsync on, with nothing in it but roles and an empty database `certhub`. For tests that crash the server. */
export async function ownCluster(t: Test, options: Omit<EmbeddedOptions, 'dataDir'> = {}): Promise<OwnCluster> {
  const dataDir = await mkdtemp(join(tmpdir(), `${ownPrefix}${process.pid}-${await processBeginning(process.pid)}-`));
  let server = await startEmbedded({ ...options, dataDir });
  t.teardown(async () => {
    await server.stop();
    await rm(dataDir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  });
  return {
    dataDir,
    server: () => server,
    restart: async () => {
      await server.stop();
      server = await startEmbedded({ ...options, dataDir });
      return server;
    },
  };
}
