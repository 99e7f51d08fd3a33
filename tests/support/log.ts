import { createHash, randomBytes } from 'node:crypto';
import pg from 'pg';
import type { Test } from 'tap';
import type { Say } from '../../src/audit/log/publish.ts';
import { queueMac, queueTime } from '../../src/audit/log/queue-mac.ts';
import { type Sequencer, type SequencerDeps, startSequencer } from '../../src/audit/log/sequencer.ts';
import { connect, type Database } from '../../src/db/database.ts';
import { newId, type RecordId } from '../../src/ids.ts';
import { loadKeys } from '../../src/signing/key-store.ts';
import type { TestDatabase } from './database.ts';

export const logOrigin = 'hub.test/log';
export const logKeysOfTests = loadKeys('keys-example', { mode: 'demo' });

export interface Said {
  readonly level: string;
  readonly code?: string;
  readonly message: string;
}

/** Collects what is said. */
export function listener(): { readonly say: Say; readonly said: Said[] } {
  const said: Said[] = [];
  const note =
    (level: string) =>
    (facts: object, message: string): void => {
      said.push({ ...facts, level, message });
    };
  return { say: { info: note('info'), warn: note('warn'), error: note('error') }, said };
}

export type RunningSequencer = Sequencer & { readonly said: readonly Said[]; readonly db: Database };

type Options = Partial<Omit<SequencerDeps, 'db' | 'say'>> & { readonly url?: string };

/** A sequencer as a hub runs it, quicker, on its own connections; gone at teardown. */
export function sequencerOn(
  t: Pick<Test, 'teardown'>,
  database: TestDatabase,
  options: Options = {},
): RunningSequencer {
  const { url = database.sequencerUrl, ...rest } = options;
  const db = connect({ url, max: 2, statementTimeoutMs: 5_000, applicationName: 'sequencer', prepared: false });
  const { say, said } = listener();
  const sequencer = startSequencer({
    db,
    keys: logKeysOfTests,
    origin: logOrigin,
    now: () => new Date(),
    checkpointMs: 20,
    pollMs: 10,
    standbyMs: 50,
    leaseMs: 1_000,
    say,
    ...rest,
  });
  t.teardown(async () => {
    await sequencer.stop();
    await db.close();
  });
  return { ...sequencer, said, db };
}

/** Resolves like the promise, or fails loudly instead of hanging. */
export async function soon<T>(promise: Promise<T>, what: string, ms = 20_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not in time: ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export interface Queued {
  readonly recordId: string;
  readonly kind: number;
  readonly commitment: Buffer;
}

export const someRecords = (count: number): Queued[] =>
  Array.from({ length: count }, () => ({
    recordId: newId<RecordId>(),
    kind: 1 + Math.floor(Math.random() * 8),
    commitment: randomBytes(32),
  }));

/** The MAC of such a row as the hub makes it. */
export const macOf = ({ recordId, kind, commitment }: Queued, recordedAt: Date, lane = 7): Buffer =>
  queueMac(logKeysOfTests, { recordId, lane, at: queueTime(recordedAt.toISOString()), kind, commitment });

/** SQL that queues rows as the hub does. */
export function queueSql(rows: readonly Queued[], recordedAt = new Date()): string {
  const hex = (bytes: Buffer): string => `'\\x${bytes.toString('hex')}'`;
  const values = rows.map(
    (row) =>
      `('${row.recordId}', 7, '${recordedAt.toISOString()}', ${row.kind}, ${hex(row.commitment)}, ${hex(macOf(row, recordedAt))})`,
  );
  return `insert into log_queue (record_id, lane, recorded_at, kind, commitment, mac) values ${values.join(', ')}`;
}

/** Puts rows into the queue as the service does, without the records themselves. */
export async function enqueue(db: Database, rows: readonly Queued[], recordedAt = new Date()): Promise<void> {
  await db.query(
    {
      name: 'enqueue',
      text: `insert into log_queue (record_id, lane, recorded_at, kind, commitment, mac)
        select id, 7, $4, kind, commitment, mac
        from unnest($1::uuid[], $2::smallint[], $3::bytea[], $5::bytea[]) as q(id, kind, commitment, mac)`,
    },
    [
      rows.map(({ recordId }) => recordId),
      rows.map(({ kind }) => kind),
      rows.map((row) => row.commitment),
      recordedAt,
      rows.map((row) => macOf(row, recordedAt)),
    ],
  );
}

/** The service's connections. */
export function serviceOf(t: Pick<Test, 'teardown'>, { serviceUrl }: TestDatabase, max = 4): Database {
  const db = connect({ url: serviceUrl, max, statementTimeoutMs: 10_000, applicationName: 'service' });
  t.teardown(() => db.close());
  return db;
}

const sha256 = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
const zero = Buffer.from([0]);
const one = Buffer.from([1]);

/** RFC 6962, 2.1, by its recursive definition and without any code of ours. */
export function naiveRoot(leaves: readonly Buffer[], begin = 0, end = leaves.length): Buffer {
  if (end === begin) return sha256();
  if (end - begin === 1) return leaves[begin] ?? Buffer.alloc(0);
  let k = 1;
  while (k * 2 < end - begin) k *= 2;
  return sha256(one, naiveRoot(leaves, begin, begin + k), naiveRoot(leaves, begin + k, end));
}

export interface ProvedLog {
  readonly size: number;
  readonly published: number;
  readonly recordIds: readonly string[];
}

interface Stored {
  readonly leaves: readonly { readonly leaf_index: string; readonly record_id: string; readonly entry: Buffer }[];
  readonly tiles: readonly { readonly level: number; readonly tile_index: string; readonly hashes: Buffer }[];
  readonly checkpoints: readonly { readonly size: string; readonly root: Buffer; readonly note: string }[];
  readonly state: { readonly size: string; readonly root: Buffer; readonly published_size: string } | undefined;
  readonly waiting: ReadonlySet<string>;
}

/** All of the log at one moment. */
async function readStored({ superuserUrl }: TestDatabase): Promise<Stored> {
  const client = new pg.Client({ connectionString: superuserUrl });
  await client.connect();
  try {
    const rows = async <T>(statement: string): Promise<T[]> => (await client.query(statement)).rows as T[];
    await client.query('begin isolation level repeatable read');
    const [state] = await rows<NonNullable<Stored['state']>>('select * from log_state');
    const waiting = await rows<{ record_id: string }>('select record_id from log_queue');
    return {
      leaves: await rows('select leaf_index, record_id, entry from log_leaf order by leaf_index'),
      tiles: await rows('select * from log_tile order by level, tile_index'),
      checkpoints: await rows('select * from log_checkpoint order by size'),
      state,
      waiting: new Set(waiting.map((row) => row.record_id)),
    };
  } finally {
    await client.end();
  }
}

function faultsOfLeaves({ leaves }: Stored): string[] {
  const faults = leaves
    .filter((leaf, i) => Number(leaf.leaf_index) !== i)
    .map((leaf) => `a gap before ${leaf.leaf_index}`);
  if (new Set(leaves.map(({ record_id: id }) => id)).size !== leaves.length)
    faults.push('a record is twice in the log');
  return faults;
}

function faultsOfTiles({ tiles }: Stored, leafHashes: readonly Buffer[]): string[] {
  const faults: string[] = [];
  let wanted = 0;
  for (let level = 0, row = leafHashes; row.length > 0; level++) {
    const above: Buffer[] = [];
    for (let at = 0; at < row.length; at += 256) {
      const part = row.slice(at, at + 256);
      const tile = tiles[wanted++];
      const isHere = tile?.level === level && Number(tile.tile_index) === at / 256;
      if (!isHere || !tile.hashes.equals(Buffer.concat(part))) faults.push(`tile ${level}/${at / 256} is another`);
      if (part.length === 256) above.push(naiveRoot(part));
    }
    row = above;
  }
  return wanted === tiles.length ? faults : [...faults, `${tiles.length} tiles for ${wanted}`];
}

function faultsOfRoots({ leaves, checkpoints, state }: Stored, leafHashes: readonly Buffer[]): string[] {
  const faults = Number(state?.size) === leaves.length ? [] : [`${leaves.length} leaves, state says ${state?.size}`];
  if (state?.root.equals(naiveRoot(leafHashes)) !== true) faults.push('another root than the leaves have');
  for (const { size, root, note } of checkpoints) {
    const at = Number(size);
    if (at > leaves.length || !root.equals(naiveRoot(leafHashes, 0, at)))
      faults.push(`checkpoint ${at} is of another log`);
    if (!note.startsWith(`${logOrigin}\n${at}\n${root.toString('base64')}\n\n`))
      faults.push(`note ${at} says something else`);
  }
  return faults;
}

function faultsOfRecords({ leaves, waiting }: Stored, expected: readonly Queued[]): string[] {
  const entries = new Map(leaves.map(({ record_id: id, entry }) => [id, entry]));
  return expected
    .filter(({ recordId, kind, commitment }) => {
      const entry = entries.get(recordId);
      const isLeaf = entry?.equals(Buffer.concat([Buffer.from([1, kind]), commitment])) === true;
      return isLeaf ? waiting.has(recordId) : entry !== undefined || !waiting.has(recordId);
    })
    .map(({ recordId }) => `record ${recordId} is lost, changed, or both a leaf and waiting`);
}

/**
 * Proves what is stored: leaves numbered from 0 without a gap, each record once, every tile, the state's root and the root of every
 * checkpoint as computed here from the leaves alone; of `expected`, each is in the log with its own entry or still waits.
 */
export async function proveLog(t: Test, database: TestDatabase, expected: readonly Queued[] = []): Promise<ProvedLog> {
  const stored = await readStored(database);
  const leafHashes = stored.leaves.map(({ entry }) => sha256(zero, entry));
  const faults = [
    ...faultsOfLeaves(stored),
    ...faultsOfTiles(stored, leafHashes),
    ...faultsOfRoots(stored, leafHashes),
    ...faultsOfRecords(stored, expected),
  ];
  t.strictSame(faults.slice(0, 10), [], 'gap-free, each record once, tiles and roots recomputed');
  return {
    size: stored.leaves.length,
    published: Number(stored.state?.published_size),
    recordIds: stored.leaves.map(({ record_id: id }) => id),
  };
}
