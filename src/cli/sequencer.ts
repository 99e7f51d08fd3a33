import { parseArgs } from 'node:util';
import { type Config, readConfig } from '../config.ts';
import { connect } from '../db/database.ts';
import { startEmbedded } from '../db/embedded.ts';
import { migrate, readMigrations } from '../db/migrate.ts';
import { openLog } from '../http/log.ts';
import { loadKeys } from '../signing/key-store.ts';
import { CommandFailed } from './command-failed.ts';
import type { CommandIo } from './command-io.ts';
import { NotReady } from './not-ready.ts';
import { checkDatabase } from './open.ts';
import { openSequencer } from './open-sequencer.ts';
import { runCommand } from './run-command.ts';
import { toldToStop } from './told-to-stop.ts';

export const help = `certhub sequencer: write the transparency log, in a process of its own

  certhub sequencer
      runs until SIGTERM or SIGINT. Several may run, also beside hubs that do the same: one works, the others wait to take over.
      The log is HALTED when something contradicts it (the database was restored from an older copy, say); the last line says what.
      It does not go on by itself: starting it again checks everything again.

  Needs CERTHUB_SEQUENCER_DATABASE_URL, or without DATABASE_URL the embedded database of CERTHUB_DATA_DIR, and the hub's keys.

  Exit code: 0 stopped as told · 1 halted, or could not run, with the reason · 2 wrong usage
`;

/** Runs the sequencer until it is told to stop. Exit code 0: stopped; 1: halted or could not run, with the reason; 2: wrong usage. */
export const run = (argv: readonly string[], io: CommandIo): Promise<number> =>
  runCommand({ name: 'certhub sequencer', help, io }, async () => {
    const { values } = parseArgs({
      args: [...argv],
      options: { help: { type: 'boolean', short: 'h', default: false } },
    });
    return values.help ? help : sequence(io);
  });

async function sequence(io: CommandIo): Promise<string> {
  const say = (line: string): void => void io.stderr.write(`${line}\n`);
  const config = readConfig(io.env, { nodeVersion: process.versions.node });
  for (const warning of config.warnings) say(`warning: ${warning}`);
  const keys = loadKeys(config.keysDir, { mode: config.mode });
  const log = openLog({ level: config.logLevel });
  const database = await openDatabase(config, say);
  try {
    const { sequencer, close } = openSequencer({ config, keys, log }, database.url);
    const halted = await Promise.race([sequencer.ended, toldToStop().then(() => undefined)]);
    await close();
    if (halted === undefined) return '';
    throw new CommandFailed(`the transparency log is HALTED: ${halted.code} ${JSON.stringify(halted.facts)}`);
  } finally {
    await database.close();
  }
}

interface OpenedForSequencing {
  readonly url: string;
  readonly close: () => Promise<void>;
}

async function openDatabase(config: Config, say: (line: string) => void): Promise<OpenedForSequencing> {
  const migrations = await readMigrations();
  const given = config.sequencerDatabaseUrl;
  if (given === undefined && config.databaseUrl !== undefined) {
    throw new NotReady('set CERTHUB_SEQUENCER_DATABASE_URL: the account of DATABASE_URL cannot write the log');
  }
  const embedded =
    given === undefined ? await startEmbedded({ dataDir: config.dataDir, log: say, keepUp: true }) : undefined;
  const close = async (): Promise<void> => {
    await embedded?.stop();
  };
  try {
    if (embedded !== undefined) await migrate({ url: embedded.urls.owner, migrations, log: say });
    const url = given ?? embedded?.urls.sequencer ?? '';
    const db = connect({ url, max: 1, statementTimeoutMs: 10_000, applicationName: 'certhub sequencer' });
    try {
      await checkDatabase(db, migrations, say);
    } finally {
      await db.close();
    }
    return { url, close };
  } catch (error) {
    await close();
    throw error;
  }
}
