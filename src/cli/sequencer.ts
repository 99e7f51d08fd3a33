import type { Config } from '../config.ts';
import { readConfig } from '../config.ts';
import { connect } from '../db/database.ts';
import { startEmbedded } from '../db/embedded.ts';
import { migrate, readMigrations } from '../db/migrate.ts';
import { openLog } from '../http/log.ts';
import { loadKeys } from '../signing/key-store.ts';
import type { CommandIo } from './keys.ts';
import { NotReady } from './not-ready.ts';
import { checkDatabase } from './open.ts';
import { openSequencer } from './open-sequencer.ts';

export const help = `certhub sequencer: write the transparency log, in a process of its own

  certhub sequencer
      runs until SIGTERM or SIGINT. Several may run, also beside hubs that do the same: one works, the others wait to take over.
      Exit code 1 when the log was HALTED because something contradicts it (the database was restored from an older copy, say);
      the last line says what. It does not go on by itself: starting it again checks everything again.

  Needs CERTHUB_SEQUENCER_DATABASE_URL, or without DATABASE_URL the embedded database of CERTHUB_DATA_DIR, and the hub's keys.
`;

/** `certhub sequencer`. Resolves with the exit code. */
export async function run(argv: readonly string[], io: CommandIo): Promise<number> {
  if (argv.length > 0) {
    const asked = argv[0] === '--help' || argv[0] === '-h';
    (asked ? io.stdout : io.stderr).write(help);
    return asked ? 0 : 2;
  }
  const say = (line: string): void => void io.stderr.write(`${line}\n`);
  const config = readConfig(io.env, { nodeVersion: process.versions.node });
  for (const warning of config.warnings) say(`warning: ${warning}`);
  const keys = loadKeys(config.keysDir, { mode: config.mode });
  const log = openLog({ level: config.logLevel });
  const database = await openDatabase(config, say);
  try {
    const { sequencer, close } = openSequencer({ config, keys, log }, database.url);
    const told = new Promise<undefined>((resolve) => {
      process.once('SIGTERM', () => resolve(undefined));
      process.once('SIGINT', () => resolve(undefined));
    });
    const halted = await Promise.race([sequencer.ended, told]);
    await close();
    if (halted === undefined) return 0;
    say(`certhub sequencer: the transparency log is HALTED: ${halted.code} ${JSON.stringify(halted.facts)}`);
    return 1;
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
