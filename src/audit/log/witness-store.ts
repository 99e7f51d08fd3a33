import { hash } from 'node:crypto';
import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseCheckpoint } from '../../verification/checkpoint.ts';
import { decodeUtf8 } from '../../verification/encoding.ts';
import { openNote, type VerifierKey } from '../../verification/signed-note.ts';
import { lockFolder } from './folder-lock.ts';

/** What a witness cosigned last for one log. */
export interface Witnessed {
  readonly origin: string;
  readonly size: number;
  /** 32 bytes. */
  readonly root: Buffer;
  /** Unix seconds of the cosignature. */
  readonly time: number;
  /** The checkpoint with the log's and the witness's signatures. */
  readonly note: string;
}

/** A witness's memory cannot be trusted or kept. The message names the file, never a key. */
export class WitnessStateError extends Error {
  override readonly name = 'WitnessStateError';
}

/** Makes a new note durable as what was seen last; resolves when it is. */
export type KeepNote = (note: string) => Promise<void>;

/** The memory of a witness: one file per log. */
export interface WitnessStore {
  /** True when the folder held nothing: this witness has never seen any log. */
  readonly fresh: boolean;
  /** Names of the logs it remembers. */
  readonly origins: () => readonly string[];
  /** What was kept last for the log with this SHA-256 (lower-case hex) of its name. */
  readonly last: (originHash: string) => Witnessed | undefined;
  /**
   * Runs work for one log, one after the other. `keep` refuses to go back: a smaller size, another root at the same
   * size, an earlier time.
   * @throws WitnessStateError when the memory was changed by others, or when it is unknown whether the last write holds
   */
  readonly exclusively: <T>(
    origin: string,
    work: (seen: Witnessed | undefined, keep: KeepNote) => Promise<T>,
  ) => Promise<T>;
  /** Waits for what is under way and gives the folder up. */
  readonly close: () => Promise<void>;
}

export interface WitnessStoreInput {
  readonly folder: string;
  /** Keys (type 4) of this witness, the present one and former ones: only what they signed is a memory. */
  readonly keys: readonly VerifierKey[];
  /** Replaces a file; tests hand in one that fails or dies. */
  readonly replace?: (from: string, to: string) => Promise<void>;
}

const stateHeader = 'certhub-witness-state/1';
const originsHeader = 'certhub-witness-origins/1';
const originsFile = 'origins';
const stateName = /^[0-9a-f]{64}\.state$/;

/**
 * Opens a witness's memory and checks all of it. The folder belongs to this process until `close`.
 * @throws FolderInUse when another process has the folder; WitnessStateError naming the file when a memory is damaged,
 * missing, or not signed by this witness: taking it for "nothing seen" would let a log show two histories
 */
export async function openWitnessStore(input: WitnessStoreInput): Promise<WitnessStore> {
  const { folder } = input;
  const lock = await lockFolder(folder);
  try {
    const names = await readdir(folder);
    for (const name of names) if (name.endsWith('.tmp')) await rm(join(folder, name), { force: true });
    const listed = names.includes(originsFile) ? await readOrigins(folder) : new Set<string>();
    const seen = new Map<string, Witnessed>();
    for (const name of names.filter((each) => stateName.test(each))) {
      const state = await readState(input, name);
      seen.set(state.origin, state);
    }
    for (const origin of listed) {
      if (!seen.has(origin))
        throw new WitnessStateError(`${join(folder, fileOf(origin))}: the memory of ${origin} is gone`);
    }
    return storeOver(input, lock, { seen, listed, fresh: listed.size === 0 && seen.size === 0 });
  } catch (error) {
    await lock.release();
    throw error;
  }
}

interface Memory {
  readonly seen: Map<string, Witnessed>;
  readonly listed: Set<string>;
  readonly fresh: boolean;
}

function storeOver(
  input: WitnessStoreInput,
  lock: Awaited<ReturnType<typeof lockFolder>>,
  { seen, listed, fresh }: Memory,
): WitnessStore {
  const { folder } = input;
  const queues = new Map<string, Promise<unknown>>();
  /** Logs whose last write may or may not hold: only a restart, which reads the files again, can tell. */
  const unsure = new Set<string>();
  let listing: Promise<unknown> = Promise.resolve();
  let closed = false;

  const prepare = async (name: string, text: string): Promise<void> => {
    await writeWhole(join(folder, `${name}.tmp`), text);
    if (!(await lock.held())) throw new WitnessStateError(`${folder} was taken over by another process`);
  };
  const commit = async (name: string): Promise<void> => {
    await (input.replace ?? rename)(join(folder, `${name}.tmp`), join(folder, name));
    await syncFolder(folder);
  };
  const list = (origin: string): Promise<void> => {
    const write = async (): Promise<void> => {
      if (listed.has(origin)) return;
      const all = [...listed, origin];
      await prepare(originsFile, envelope(originsHeader, all.map((each) => `${each}\n`).join('')));
      await commit(originsFile);
      listed.add(origin);
    };
    const done = listing.then(write, write);
    listing = done.catch(() => undefined);
    return done;
  };
  const keepFor = (origin: string): KeepNote => {
    return async (note) => {
      const before = seen.get(origin);
      const next = witnessedIn(input.keys, note);
      if (next === undefined || next.origin !== origin) throw new WitnessStateError('not a cosigned checkpoint');
      if (before !== undefined && goesBack(before, next)) throw new WitnessStateError(`${origin} would go back`);
      await prepare(fileOf(origin), envelope(stateHeader, note));
      unsure.add(origin);
      await commit(fileOf(origin));
      // Behind the state, so that a listed log without a state is always one whose state was taken away.
      await list(origin);
      seen.set(origin, next);
      unsure.delete(origin);
    };
  };

  return {
    fresh,
    origins: () => [...seen.keys()],
    last: (originHash) => [...seen.values()].find(({ origin }) => hash('sha256', origin, 'hex') === originHash),
    exclusively: (origin, work) => {
      if (closed) return Promise.reject(new WitnessStateError('the memory is closed'));
      const run = async (): ReturnType<typeof work> => {
        if (unsure.has(origin)) throw new WitnessStateError(`${fileOf(origin)}: it is unknown whether it was written`);
        const state = seen.get(origin);
        const onDisk = await readFile(join(folder, fileOf(origin)), 'utf8').catch(() => undefined);
        const expected = state === undefined ? undefined : envelope(stateHeader, state.note);
        if (onDisk !== expected)
          throw new WitnessStateError(`${join(folder, fileOf(origin))}: changed by somebody else`);
        return work(state, keepFor(origin));
      };
      const before = queues.get(origin) ?? Promise.resolve();
      const done = before.then(run, run);
      queues.set(
        origin,
        done.catch(() => undefined),
      );
      return done;
    },
    close: async () => {
      closed = true;
      await Promise.all(queues.values());
      await lock.release();
    },
  };
}

const goesBack = (before: Witnessed, next: Witnessed): boolean =>
  next.size < before.size || next.time < before.time || (next.size === before.size && !next.root.equals(before.root));

const fileOf = (origin: string): string => `${hash('sha256', origin, 'hex')}.state`;

/** A text under its own SHA-256, so that a file cut short or changed is noticed before anything in it is read. */
const envelope = (header: string, text: string): string => `${header}\nsha256 ${hash('sha256', text, 'hex')}\n${text}`;

async function readEnvelope(file: string, header: string): Promise<string> {
  const text = decodeUtf8(await readFile(file)) ?? '';
  const [first = '', second = ''] = text.split('\n', 2);
  const content = text.slice(first.length + second.length + 2);
  if (text !== envelope(header, content)) throw new WitnessStateError(`${file}: is damaged`);
  return content;
}

async function readOrigins(folder: string): Promise<Set<string>> {
  const content = await readEnvelope(join(folder, originsFile), originsHeader);
  return new Set(content.split('\n').filter((origin) => origin !== ''));
}

async function readState({ folder, keys }: WitnessStoreInput, name: string): Promise<Witnessed> {
  const file = join(folder, name);
  const state = witnessedIn(keys, await readEnvelope(file, stateHeader));
  if (state === undefined) throw new WitnessStateError(`${file}: is not signed by this witness's key`);
  if (fileOf(state.origin) !== name) throw new WitnessStateError(`${file}: holds the memory of another log`);
  return state;
}

function witnessedIn(keys: readonly VerifierKey[], note: string): Witnessed | undefined {
  const opened = openNote(note, keys);
  if (!opened.ok) return undefined;
  const checkpoint = parseCheckpoint(opened.value.text);
  const time = opened.value.verified.find((each) => each.time !== undefined)?.time;
  return checkpoint.ok && time !== undefined ? { ...checkpoint.value, time, note } : undefined;
}

/** A new file with its bytes on disk. */
async function writeWhole(file: string, text: string): Promise<void> {
  const handle = await open(file, 'w', 0o600);
  try {
    await handle.writeFile(text, 'utf8');
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A rename is durable only when its folder is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
