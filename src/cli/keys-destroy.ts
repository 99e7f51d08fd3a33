import { destroyMonth } from '../audit/erasure/destroy-month.ts';
import { startRecorder } from '../audit/record.ts';
import { ensurePartitions, insertRecords } from '../audit/store.ts';
import { readConfig } from '../config.ts';
import { KeyFileError } from '../signing/key-file-error.ts';
import { loadKeys } from '../signing/key-store.ts';
import { destroyRecordKeys } from '../signing/rotate-keys.ts';
import type { CommandIo } from './command-io.ts';
import { openDatabase } from './open.ts';

/**
 * Destroys the record keys of a month after its erasure, in this directory; tells what is left to do by hand. Throws KeyFileError,
 * Refusal and what opening the database throws.
 */
export async function destroyMonthKeys(input: {
  readonly directory: string;
  readonly month: string;
  readonly erasureId: string;
  readonly now: Date;
  readonly io: Pick<CommandIo, 'stderr' | 'env'>;
}): Promise<string> {
  const { directory, month, erasureId, now, io } = input;
  const config = readConfig(io.env, { nodeVersion: process.versions.node });
  const keys = loadKeys(directory, { mode: config.mode });
  // Asked first, so that nothing is put on record that cannot be done.
  if (month >= now.toISOString().slice(0, 7)) {
    throw new KeyFileError(directory, `${month} is not over: its records are still being written`);
  }
  if (!keys.recordKeys.some((key) => key.month === month)) {
    throw new KeyFileError(
      directory,
      `has no record key of ${month}: its records are under keys that cannot be destroyed alone`,
    );
  }
  const { db, close } = await openDatabase(config, (line) => void io.stderr.write(`${line}\n`), false);
  try {
    await ensurePartitions(db);
    const clock = (): Date => new Date();
    const recorder = startRecorder({ insertAll: (rows) => insertRecords(db, rows), keys, now: clock, maxBatch: 1 });
    const kinds = await destroyMonth(
      {
        db,
        keys,
        hubKeys: keys.hubKeys,
        logOrigin: config.logOrigin,
        recordIn: recorder.recordIn,
        now: clock,
        destroy: (wanted, kindsOfMonth) => destroyRecordKeys({ directory, month: wanted, kinds: kindsOfMonth, now }),
      },
      { month, erasureId },
    );
    return [
      `destroyed the record keys of ${month} (${kinds.join(', ')}) in ${directory}; the destruction is on record`,
      'Backups of the database that hold these records can be read as long as one copy of the keys exists. By hand, now:',
      '  - copy the directory to every machine that runs the hub, and restart them together',
      `  - destroy every other copy of records/${month}-*.hex: in backups of the keys directory, images of disks, the safe`,
      '  - a file system that keeps old blocks (snapshots, SSD spares) keeps them until they are trimmed or the disk is destroyed',
      '',
    ].join('\n');
  } finally {
    await close();
  }
}
