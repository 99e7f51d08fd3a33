import { parseArgs } from 'node:util';
import { ConfigError, readConfig } from '../config.ts';
import { connect } from '../db/database.ts';
import { startEmbedded } from '../db/embedded.ts';
import { isUnavailable } from '../db/fault.ts';
import { MigrationFailed, MigrationRefused, migrate, readMigrations, schemaState } from '../db/migrate.ts';

interface CommandIo {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** One line for the list of commands, then the usage. */
export const help = `certhub migrate: bring the database to this version's schema

  certhub migrate
      applies what is missing; safe to run from many places at once, and beside a running hub
  certhub migrate --status
      says how the schema stands and changes nothing; exit code 3 when it is not current

  The database is CERTHUB_MIGRATION_DATABASE_URL (its owner), or without DATABASE_URL the embedded one in CERTHUB_DATA_DIR.
`;

/** Runs `certhub migrate`. Exit code 0: done; 1: refused or failed, with the reason; 2: wrong usage; 3: `--status` found it not current. */
export async function run(argv: readonly string[], io: CommandIo): Promise<number> {
  let options: { status: boolean; help: boolean };
  try {
    options = parseArgs({
      args: [...argv],
      options: { status: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
    }).values;
  } catch (error) {
    io.stderr.write(`${error instanceof Error ? error.message : 'wrong usage'}\n\n${help}`);
    return 2;
  }
  if (options.help) {
    io.stdout.write(help);
    return 0;
  }
  try {
    return await withOwner(io, (url) => (options.status ? report(url, io) : apply(url, io)));
  } catch (error) {
    const known = [ConfigError, MigrationRefused, MigrationFailed].some((kind) => error instanceof kind);
    if (!known && !isUnavailable(error)) throw error;
    const reason = known && error instanceof Error ? error.message : 'the database cannot be reached';
    io.stderr.write(`certhub migrate: ${reason}\n`);
    return 1;
  }
}

async function withOwner(io: CommandIo, work: (url: string) => Promise<number>): Promise<number> {
  const config = readConfig(io.env, { nodeVersion: process.versions.node });
  if (config.migrationDatabaseUrl !== undefined) return work(config.migrationDatabaseUrl);
  if (config.databaseUrl !== undefined) {
    throw new MigrationRefused(
      'set CERTHUB_MIGRATION_DATABASE_URL: the account of DATABASE_URL must not own the tables',
    );
  }
  const server = await startEmbedded({
    dataDir: config.dataDir,
    log: (line) => {
      io.stderr.write(`${line}\n`);
    },
  });
  try {
    return await work(server.urls.owner);
  } finally {
    await server.stop();
  }
}

async function apply(url: string, io: CommandIo): Promise<number> {
  const migrations = await readMigrations();
  const log = (line: string) => {
    io.stdout.write(`${line}\n`);
  };
  const count = await migrate({ url, migrations, log });
  io.stdout.write(
    count === 0 ? `the schema is current (${migrations.length})\n` : `applied ${count} of ${migrations.length}\n`,
  );
  return 0;
}

async function report(url: string, io: CommandIo): Promise<number> {
  const db = connect({ url, max: 1, statementTimeoutMs: 10_000, applicationName: 'certhub migrate' });
  try {
    const found = await schemaState(db, await readMigrations());
    const detail = 'reason' in found ? `: ${found.reason}` : found.pending > 0 ? `: ${found.pending} to apply` : '';
    io.stdout.write(`${found.state}${detail}\n`);
    return found.state === 'current' ? 0 : 3;
  } finally {
    await db.close();
  }
}
