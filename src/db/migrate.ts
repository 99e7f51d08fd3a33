import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { clientOptions, type Database } from './database.ts';
import { faultCode, isRetryable, isUnavailable, withoutData } from './fault.ts';

/** One file `NNNN_name.sql`. */
export interface Migration {
  readonly id: number;
  readonly name: string;
  readonly sql: string;
  /** Hex SHA-256 of the file's bytes. */
  readonly sha256: string;
}

/** Why a database cannot be migrated or served by this code. The message is for the operator and holds no data. */
export class MigrationRefused extends Error {
  override readonly name = 'MigrationRefused';
}

/** PostgreSQL refused a migration's SQL; the cause is its error without data. */
export class MigrationFailed extends Error {
  override readonly name = 'MigrationFailed';
  constructor(migration: Migration, error: unknown) {
    const cause = withoutData(error);
    const reason = complaintAboutSql(migration, error) ?? (cause instanceof Error ? cause.message : 'unknown');
    super(`migration ${migration.id} (${migration.name}) failed: ${reason}`, { cause });
  }
}

/** Class 42 is about the text of the file (syntax, unknown names), which is no secret; errors of other classes may quote rows. */
function complaintAboutSql({ sql }: Migration, error: unknown): string | undefined {
  if (!(error instanceof Error) || faultCode(error)?.startsWith('42') !== true) return undefined;
  const { position } = error as { position?: string };
  const line = position === undefined ? '' : ` in line ${sql.slice(0, Number(position)).split('\n').length}`;
  return `${error.message}${line}`;
}

/** The repository's migrations; beside `src` as beside `dist`. */
export const migrationsFolder: string = fileURLToPath(new URL('../../migrations/', import.meta.url));

/** Reads the folder in order. Throws MigrationRefused when a number is missing or used twice. */
export async function readMigrations(folder: string = migrationsFolder): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  const migrations: Migration[] = [];
  for (const file of names) {
    const [, id, name] = /^(\d{4})_([a-z0-9_]+)\.sql$/.exec(file) ?? [];
    if (id === undefined || name === undefined) throw new MigrationRefused(`${file} is not named NNNN_name.sql`);
    const bytes = await readFile(`${folder}/${file}`);
    migrations.push({
      id: Number(id),
      name,
      sql: bytes.toString('utf8'),
      sha256: createHash('sha256').update(bytes).digest('hex'),
    });
  }
  for (const [index, { id }] of migrations.entries()) {
    if (id !== index + 1) throw new MigrationRefused(`migration ${index + 1} is missing or there twice in ${folder}`);
  }
  return migrations;
}

type Applied = Pick<Migration, 'id' | 'name' | 'sha256'>;

/** How the database's schema stands to this code. */
export type SchemaState =
  | { readonly state: 'current' | 'empty'; readonly pending: number }
  | { readonly state: 'behind'; readonly pending: number }
  | { readonly state: 'newer' | 'changed'; readonly pending: 0; readonly reason: string };

function compare(migrations: readonly Migration[], applied: readonly Applied[]): SchemaState {
  const byId = new Map(migrations.map((migration) => [migration.id, migration]));
  for (const { id, name, sha256 } of applied) {
    const ours = byId.get(id);
    if (ours === undefined) {
      return {
        state: 'newer',
        pending: 0,
        reason: `the database is newer than this program: it has migration ${id} (${name}), the program knows ${migrations.length}`,
      };
    }
    if (ours.sha256 !== sha256) {
      return {
        state: 'changed',
        pending: 0,
        reason: `migration ${id} (${ours.name}) is not the one that was applied: applied migrations never change, add a new one`,
      };
    }
  }
  const last = applied.length;
  if (applied.some(({ id }) => id > last))
    return { state: 'changed', pending: 0, reason: 'schema_migrations has gaps' };
  const pending = migrations.length - last;
  if (pending === 0) return { state: 'current', pending };
  return { state: last === 0 ? 'empty' : 'behind', pending };
}

/** For readiness: whether the database has exactly the schema this code was written for. Needs only SELECT on schema_migrations. */
export async function schemaState(db: Pick<Database, 'query'>, migrations: readonly Migration[]): Promise<SchemaState> {
  const statement = { name: 'schema_state', text: 'select id, name, sha256 from schema_migrations order by id' };
  const applied = await db.query<Applied>(statement, []).catch((error: unknown) => {
    if (faultCode(error) === '42P01') return [];
    throw error;
  });
  return compare(migrations, applied);
}

/** Any constant will do; within one database this one means: migrating. */
const lockKey = 7_305_116_820_211_122;
const tries = 8;

const createLedger = `create table if not exists schema_migrations (
  id int primary key,
  name text collate "C" not null,
  sha256 text collate "C" not null,
  applied_at timestamptz not null default now()
)`;

/** The group roles that migrations grant rights to; login roles are members of them. */
export const groups = ['certhub_service', 'certhub_sequencer'] as const;

/** SQL that makes a role unless it exists: roles belong to the cluster, and another database of it may make them just now. */
export const createRoleOnce = (name: string, attributes: 'login' | 'nologin'): string =>
  `do $$ begin create role ${name} ${attributes}; exception when duplicate_object or unique_violation then null; end $$`;

async function ensureGroups(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ rolname: string }>('select rolname from pg_roles where rolname = any($1)', [
    groups,
  ]);
  for (const group of groups.filter((name) => !rows.some(({ rolname }) => rolname === name))) {
    try {
      await client.query(createRoleOnce(group, 'nologin'));
    } catch (error) {
      if (faultCode(error) !== '42501') throw error;
      throw new MigrationRefused(
        `role ${group} is missing and this login may not create it; as an administrator run: CREATE ROLE ${group} NOLOGIN`,
      );
    }
  }
}

async function inLockedTransaction<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  await client.query('begin');
  try {
    // 20 processes may wait here while one works.
    await client.query(
      'set local statement_timeout = 0; set local lock_timeout = 0; set local idle_in_transaction_session_timeout = 0',
    );
    await client.query('select pg_advisory_xact_lock($1)', [lockKey]);
    const result = await work();
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}

export interface MigrateOptions {
  /** Of the owner role. */
  readonly url: string;
  readonly migrations: readonly Migration[];
  readonly log?: (line: string) => void;
}

/**
 * Brings the database to this code's schema, each migration in a transaction of its own, forward only. Safe when many processes do
 * it at once: each waits for the lock, looks again, and does what is left. Answers how many migrations this call applied.
 *
 * Throws MigrationRefused for a database newer than the code or an applied migration that was changed, and the database's
 * error, without data, naming the migration that failed; what was applied before it stays.
 */
export async function migrate({ url, migrations, log = () => undefined }: MigrateOptions): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const client = new pg.Client(
      clientOptions({ url, statementTimeoutMs: 0, applicationName: 'certhub migrate', connectionTimeoutMs: 10_000 }),
    );
    client.on('error', () => undefined); // the statement under way reports the same
    try {
      await client.connect();
      return await migrateOver(client, migrations, log);
    } catch (error) {
      const again = isRetryable(error) || isUnavailable(error);
      if (!again || attempt === tries) throw withoutData(error);
      await sleep(50 * 2 ** attempt * (0.5 + Math.random() / 2));
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

async function migrateOver(
  client: pg.Client,
  migrations: readonly Migration[],
  log: (line: string) => void,
): Promise<number> {
  const applied = async (): Promise<Applied[]> =>
    (await client.query<Applied>('select id, name, sha256 from schema_migrations order by id')).rows;
  const check = (state: SchemaState): SchemaState => {
    if (state.state === 'newer' || state.state === 'changed') throw new MigrationRefused(state.reason);
    return state;
  };
  // The usual case by far needs no lock and no right but to read.
  const found = await applied().catch((error: unknown) => {
    if (faultCode(error) === '42P01') return undefined;
    throw error;
  });
  if (found !== undefined && check(compare(migrations, found)).state === 'current') return 0;

  await inLockedTransaction(client, async () => {
    await ensureGroups(client);
    await client.query(createLedger);
    await client.query(`grant select on schema_migrations to ${groups.join(', ')}`);
  });
  let count = 0;
  for (const migration of migrations) {
    const done = await inLockedTransaction(client, async () => {
      const before = await applied();
      check(compare(migrations, before));
      if (before.length >= migration.id) return false;
      // From here on a live hub's locks are not waited for without end; the whole attempt is repeated instead.
      await client.query(`set local lock_timeout = '5s'`);
      try {
        await client.query(migration.sql);
      } catch (error) {
        if (isRetryable(error) || isUnavailable(error)) throw error;
        throw new MigrationFailed(migration, error);
      }
      await client.query('insert into schema_migrations (id, name, sha256) values ($1, $2, $3)', [
        migration.id,
        migration.name,
        migration.sha256,
      ]);
      return true;
    });
    if (done) {
      count += 1;
      log(`applied migration ${migration.id} (${migration.name})`);
    }
  }
  return count;
}
