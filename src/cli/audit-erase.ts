import { parseArgs } from 'node:util';
import { executeErasure } from '../audit/erasure/execute-erasure.ts';
import { startRecorder } from '../audit/record.ts';
import { monthOf } from '../audit/record-body.ts';
import { ensurePartitions, insertRecords } from '../audit/store.ts';
import { readConfig } from '../config.ts';
import { connect, type Database } from '../db/database.ts';
import { startEmbedded } from '../db/embedded.ts';
import { migrate, readMigrations } from '../db/migrate.ts';
import { loadKeys } from '../signing/key-store.ts';
import type { CommandIo } from './command-io.ts';
import { NotReady } from './not-ready.ts';
import { checkDatabase } from './open.ts';
import { exitCodes, required, runCommand } from './run-command.ts';

export const help = `certhub audit erase: carry out an erasure of records that two officers approved

  certhub audit erase --id ERASURE
      checks the proposal, its approvals and their place in the published log, records the execution, then erases the bodies. Run it
      again after an interruption: it goes on where it stopped. Rows, ids, times, kinds, commitments and leaves stay (about 100 bytes a
      record; partitions are never dropped), so that what is missing stays provably accounted for.

  Needs the owner of the tables: CERTHUB_MIGRATION_DATABASE_URL, or without DATABASE_URL the embedded database in CERTHUB_DATA_DIR;
  and the hub's keys (CERTHUB_KEYS_DIR). Backups still hold the bodies: certhub keys destroy-month makes those unreadable.

  ${exitCodes}
`;

/** Runs `certhub audit erase`. Exit code 0: erased; 1: refused, with the reason; 2: wrong usage. */
export const run = (argv: readonly string[], io: CommandIo): Promise<number> =>
  runCommand({ name: 'certhub audit erase', help, io }, async () => {
    const { values } = parseArgs({
      args: [...argv],
      options: { id: { type: 'string' }, help: { type: 'boolean', short: 'h', default: false } },
    });
    if (values.help) return help;
    return erase(required(values.id, 'id').toLowerCase(), io);
  });

async function erase(erasureId: string, io: CommandIo): Promise<string> {
  const config = readConfig(io.env, { nodeVersion: process.versions.node });
  const keys = loadKeys(config.keysDir, { mode: config.mode });
  const say = (line: string): void => void io.stderr.write(`${line}\n`);
  const owner = await openOwner(config, say);
  try {
    const { db } = owner;
    await ensurePartitions(db);
    const recorder = startRecorder({
      insertAll: (rows) => insertRecords(db, rows),
      keys,
      now: () => new Date(),
      maxBatch: 1,
    });
    const done = await executeErasure(
      {
        db,
        keys,
        hubKeys: keys.hubKeys,
        logOrigin: config.logOrigin,
        recordIn: recorder.recordIn,
        retention: config.retentionMonths,
        now: () => new Date(),
        progress: (erased, bodies) => say(`${erased} of ${bodies} bodies`),
      },
      erasureId,
    );
    const { target } = done;
    if ('month' in target) await tidy(db, target.month, say);
    const what = 'month' in target ? `${target.month} (${target.kinds.join(', ')})` : `record ${target.recordId}`;
    return [
      `${done.resumed ? 'finished' : 'executed'} erasure ${erasureId}: ${what}`,
      `${done.erased} bodies erased now, ${done.bodies} in all; evidence: record ${done.recordId}`,
      'month' in target
        ? `backups still hold them: certhub keys destroy-month --month ${target.month} --erasure ${erasureId}`
        : `backups of ${monthOf(new Date())} and before may still hold it; its month key stays, for the other records of its month`,
      '',
    ].join('\n');
  } finally {
    await owner.close();
  }
}

/** Lets go of the space of a month's old row versions, which still hold the encrypted bodies. What fails here is no failed erasure. */
async function tidy(db: Database, month: string, say: (line: string) => void): Promise<void> {
  const partition = `records_${month.replace('-', '')}`;
  try {
    await db.query({ name: `vacuum_${partition}`, text: `vacuum ${partition}` }, []);
  } catch {
    say(`warning: VACUUM of ${partition} failed; run it by hand: old versions of its rows still hold encrypted bodies`);
  }
}

interface OpenedOwner {
  readonly db: Database;
  readonly close: () => Promise<void>;
}

async function openOwner(config: ReturnType<typeof readConfig>, say: (line: string) => void): Promise<OpenedOwner> {
  if (config.databaseUrl !== undefined && config.migrationDatabaseUrl === undefined) {
    throw new NotReady('set CERTHUB_MIGRATION_DATABASE_URL: the account of DATABASE_URL cannot change records');
  }
  const migrations = await readMigrations();
  const embedded =
    config.databaseUrl === undefined ? await startEmbedded({ dataDir: config.dataDir, log: say }) : undefined;
  const stop = async (): Promise<void> => {
    await embedded?.stop();
  };
  try {
    const url = config.migrationDatabaseUrl ?? embedded?.urls.owner ?? '';
    if (embedded !== undefined) await migrate({ url, migrations, log: say });
    // Counting and tidying a month may take minutes; nobody waits for an answer.
    const db = connect({ url, max: 3, statementTimeoutMs: 3_600_000, applicationName: 'certhub audit erase' });
    const close = async (): Promise<void> => {
      await db.close();
      await stop();
    };
    try {
      await checkDatabase(db, migrations, say);
      return { db, close };
    } catch (error) {
      await db.close();
      throw error;
    }
  } catch (error) {
    await stop();
    throw error;
  }
}
