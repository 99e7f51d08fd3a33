import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, readlink, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { processBeginning } from '../../db/embedded-users.ts';

/** A folder that another process works in. */
export class FolderInUse extends Error {
  override readonly name = 'FolderInUse';
}

/** One process's right to a folder. */
export interface FolderLock {
  /** True while nobody has taken the right away. */
  held(): Promise<boolean>;
  release(): Promise<void>;
}

const prefix = 'lock-';
const beatMilliseconds = 2_000;
const silenceMilliseconds = 7_000;

interface Owner {
  readonly pid: number;
  readonly beginning: string;
  /** Where that pid counts. */
  readonly place: string;
}

/**
 * Takes a folder for this process alone. Every process writes a lock file of its own name, with its pid, its beginning
 * and its place, and then looks for others: so of two that start together at least one sees the other, and both may
 * refuse, but never both go on. A lock of a process that is gone is removed; one of another machine, whose processes
 * cannot be seen from here, when its file has not been touched for some seconds.
 * @param silence milliseconds after which a lock of another machine that does not beat counts as left behind
 * @throws FolderInUse naming the process that holds the folder
 */
export async function lockFolder(folder: string, silence: number = silenceMilliseconds): Promise<FolderLock> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const beginning = await processBeginning(process.pid);
  if (beginning === undefined) throw new Error('this process cannot be told from others');
  const own = `${prefix}${process.pid}-${randomBytes(6).toString('hex')}`;
  const file = join(folder, own);
  const owner: Owner = { pid: process.pid, beginning, place: await placeOfPids() };
  await writeFile(file, `${JSON.stringify(owner)}\n`, { mode: 0o600, flag: 'wx' });
  // Beats from the start: two that begin together on two machines watch each other.
  const beat = setInterval(() => {
    const now = new Date();
    utimes(file, now, now).catch(() => undefined);
  }, beatMilliseconds);
  beat.unref();
  try {
    for (const name of await readdir(folder)) {
      if (!name.startsWith(prefix) || name === own) continue;
      const holder = await living(join(folder, name), owner.place, silence);
      if (holder !== undefined) throw new FolderInUse(`${folder} is in use by ${holder}`);
      await rm(join(folder, name), { force: true });
    }
  } catch (error) {
    clearInterval(beat);
    await rm(file, { force: true });
    throw error;
  }
  return {
    held: async () => (await stat(file).catch(() => undefined)) !== undefined,
    release: async () => {
      clearInterval(beat);
      await rm(file, { force: true });
    },
  };
}

/** Who holds the lock in this file, for people; undefined when nobody does any more. */
async function living(file: string, here: string, silence: number): Promise<string | undefined> {
  const owner = readOwner(await readFile(file, 'utf8').catch(() => undefined));
  if (owner !== undefined && owner.place === here) {
    const alive = (await processBeginning(owner.pid)) === owner.beginning;
    return alive ? `process ${owner.pid}` : undefined;
  }
  // Another machine's, or not written to its end yet: only its owner's beat can tell.
  const before = await touched(file);
  await sleep(silence);
  const after = await touched(file);
  return after === undefined || after === before ? undefined : 'a process of another machine or container';
}

/** Pids of two containers, or of two runs of a machine, say nothing about each other. */
async function placeOfPids(): Promise<string> {
  if (process.platform !== 'linux') return hostname();
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  return [hostname(), boot.trim(), await readlink('/proc/self/ns/pid').catch(() => '')].join(' ');
}

const touched = async (file: string): Promise<number | undefined> => (await stat(file).catch(() => undefined))?.mtimeMs;

function readOwner(text: string | undefined): Owner | undefined {
  try {
    const { pid, beginning, place } = JSON.parse(text ?? '') as Partial<Record<keyof Owner, unknown>>;
    const whole = Number.isSafeInteger(pid) && typeof beginning === 'string' && typeof place === 'string';
    return whole ? { pid: pid as number, beginning, place } : undefined;
  } catch {
    return undefined;
  }
}
