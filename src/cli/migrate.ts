import { parseArgs } from 'node:util';
import { ConfigError, readConfig } from '../config.ts';
import { connect } from '../db/database.ts';
import { startEmbedded } from '../db/embedded.ts';
import { isUnavailable } from '../db/fault.ts';
import { MigrationFailed, MigrationRefused, migrate, readMigrations, schemaState } from '../db/migrate.ts';
import { CommandFailed } from './command-failed.ts';
import type { CommandIo } from './command-io.ts';
import { type Printed, runCommand } from './run-command.ts';

/** One line for the list of commands, then the usage. */
export const help = `certhub migrate: bring the database to this version's schema

  certhub migrate
      applies what is missing; safe to run from many places at once, and beside a running hub
  certhub migrate --status
      says how the schema stands and changes nothing; exit code 3 when it is not current

  The database is CERTHUB_MIGRATION_DATABASE_URL (its owner), or without DATABASE_URL the embedded one in CERTHUB_DATA_DIR.

  Exit code: 0 done, or current · 1 refused or failed, with the reason · 2 wrong usage · 3 not current
`;

/** Runs `certhub migrate`. Exit code 0: done; 1: refused or failed, with the reason; 2: wrong usage; 3: `--status` found it not current. */
export const run = (argv: readonly string[], io: CommandIo): Promise<number> =>
  runCommand({ name: 'certhub migrate', help, io }, async () => {
    const { values } = parseArgs({
      args: [...argv],
      options: { status: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
    });
    if (values.help) return help;
    return withOwner(io, (url) => (values.status ? report(url) : apply(url, io))).catch((error: unknown) => {
      const isTold = error instanceof ConfigError || error instanceof MigrationFailed;
      throw !isTold && isUnavailable(error) ? new CommandFailed('the database cannot be reached') : error;
    });
  });

async function withOwner(io: CommandIo, work: (url: string) => Promise<Printed>): Promise<Printed> {
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

async function apply(url: string, io: CommandIo): Promise<Printed> {
  const migrations = await readMigrations();
  const log = (line: string) => {
    io.stdout.write(`${line}\n`);
  };
  const count = await migrate({ url, migrations, log });
  return count === 0 ? `the schema is current (${migrations.length})\n` : `applied ${count} of ${migrations.length}\n`;
}

async function report(url: string): Promise<Printed> {
  const db = connect({ url, max: 1, statementTimeoutMs: 10_000, applicationName: 'certhub migrate' });
  try {
    const found = await schemaState(db, await readMigrations());
    const detail = 'reason' in found ? `: ${found.reason}` : found.pending > 0 ? `: ${found.pending} to apply` : '';
    return { text: `${found.state}${detail}\n`, exitCode: found.state === 'current' ? 0 : 3 };
  } finally {
    await db.close();
  }
}
