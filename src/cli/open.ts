import type { Logger } from 'pino';
import type { Sequencer } from '../audit/log/sequencer.ts';
import { type Config, readConfig } from '../config.ts';
import type { Database } from '../db/database.ts';
import { startEmbedded } from '../db/embedded.ts';
import { migrate, readMigrations, schemaState } from '../db/migrate.ts';
import { connectPools, type Pools } from '../db/pools.ts';
import { checkSettings } from '../db/settings.ts';
import { openLog } from '../http/log.ts';
import { assembleCore, type Core } from '../hub-core.ts';
import { loadKeys } from '../signing/key-store.ts';
import { NotReady } from './not-ready.ts';
import { openSequencer } from './open-sequencer.ts';

export interface OpenedDatabase extends Pools {
  /** Where the sequencer's role may write the log; undefined when nobody said. */
  readonly sequencerUrl: string | undefined;
}

/**
 * Opens the database as the service role. Embedded: starts or joins the private server and migrates it. Otherwise the schema must be
 * current; `certhub migrate` is a step of its own, under another role. For who `serves`, an embedded server that dies is started again.
 */
export async function openDatabase(
  config: Config,
  say: (line: string) => void,
  serves: boolean,
): Promise<OpenedDatabase> {
  const migrations = await readMigrations();
  const embedded =
    config.databaseUrl === undefined
      ? await startEmbedded({ dataDir: config.dataDir, log: say, keepUp: serves })
      : undefined;
  const stop = async (): Promise<void> => {
    await embedded?.stop();
  };
  try {
    if (embedded !== undefined) await migrate({ url: embedded.urls.owner, migrations, log: say });
    const pools = connectPools({
      url: config.databaseUrl ?? embedded?.urls.service ?? '',
      max: config.databaseConnections,
      statementTimeoutMs: 10_000,
      applicationName: 'certhub',
      prepared: config.preparedStatements,
    });
    const close = async (): Promise<void> => {
      await pools.close();
      await stop();
    };
    try {
      await checkDatabase(pools.db, migrations, say);
      const sequencerUrl = embedded === undefined ? config.sequencerDatabaseUrl : embedded.urls.sequencer;
      return { ...pools, sequencerUrl, close };
    } catch (error) {
      await pools.close();
      throw error;
    }
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Whether schema and settings are such that a hub or a sequencer may write there. Throws NotReady. */
export async function checkDatabase(
  db: Database,
  migrations: Awaited<ReturnType<typeof readMigrations>>,
  say: (line: string) => void,
): Promise<void> {
  const schema = await schemaState(db, migrations);
  if (schema.state === 'newer' || schema.state === 'changed') throw new NotReady(schema.reason);
  if (schema.state !== 'current') {
    throw new NotReady(`the database lacks ${schema.pending} migrations: run \`certhub migrate\` as its owner`);
  }
  const report = await checkSettings(db);
  if (report.failures.length > 0)
    throw new NotReady(`the database would lose records:\n- ${report.failures.join('\n- ')}`);
  for (const warning of report.warnings) say(`warning: ${warning}`);
}

export interface OpenedHub {
  readonly config: Config;
  readonly core: Core;
  readonly log: Logger;
  /** Present in a hub that serves, unless CERTHUB_SEQUENCER leaves the log to others. */
  readonly sequencer: Sequencer | undefined;
  readonly close: () => Promise<void>;
}

/** Everything a command or the server needs, from the environment. Throws ConfigError, KeyFileError, NotReady and MigrationRefused. */
export async function openHub(
  env: Readonly<Record<string, string | undefined>>,
  say: (line: string) => void,
  { serves = false }: { readonly serves?: boolean } = {},
): Promise<OpenedHub> {
  const config = readConfig(env, { nodeVersion: process.versions.node });
  for (const warning of config.warnings) say(`warning: ${warning}`);
  const keys = loadKeys(config.keysDir, { mode: config.mode });
  const log = openLog({ level: config.logLevel });
  const database = await openDatabase(config, say, serves);
  const { db, reservedDb } = database;
  const core = await assembleCore({ config, db, reservedDb, keys, log, now: () => new Date() });
  if (serves) {
    await core.beginServing().catch(async (error: unknown) => {
      await core.close();
      await database.close();
      throw error;
    });
  }
  let opened: ReturnType<typeof openSequencer> | undefined;
  const close = async (): Promise<void> => {
    await core.close();
    await opened?.close();
    await database.close();
  };
  if (serves && config.sequencer && database.sequencerUrl !== undefined) {
    try {
      opened = openSequencer({ config, keys, log }, database.sequencerUrl);
    } catch (error) {
      await close();
      throw error;
    }
  }
  return { config, core, log, sequencer: opened?.sequencer, close };
}
