import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type RecordKeyKind, recordKeyKinds } from './data-keys.ts';
import { writePrivate } from './key-writing.ts';
import type { ManifestRecordKey } from './manifest.ts';

/** How many months get keys at once, after the first. */
const monthsAhead = 36;
const kinds = Object.keys(recordKeyKinds) as RecordKeyKind[];

/** 'YYYY-MM' so many months after another one. */
export function monthAfter(month: string, months: number): string {
  const [year = 0, ordinal = 0] = month.split('-').map(Number);
  return new Date(Date.UTC(year, ordinal - 1 + months)).toISOString().slice(0, 7);
}

/**
 * Makes the keys of the months that have none yet: after the last month on file 36 more, in a directory without any the month under
 * way and 36 more. Answers all entries. Only this makes such keys, on one machine: hubs that share copies of a directory would invent
 * different ones.
 */
export function writeRecordKeys(
  directory: string,
  before: readonly ManifestRecordKey[],
  now: Date,
): ManifestRecordKey[] {
  const current = now.toISOString().slice(0, 7);
  const last = before
    .map(({ month }) => month)
    .toSorted()
    .at(-1);
  // A directory left alone for years goes on from now: what was written meanwhile is under derived keys.
  const first = last === undefined || last < monthAfter(current, -1) ? current : monthAfter(last, 1);
  const count = first === current ? monthsAhead + 1 : monthsAhead;
  const added = Array.from({ length: count }, (_, at) => monthAfter(first, at)).flatMap((month) =>
    kinds.map((kind): ManifestRecordKey => {
      const file = `records/${month}-${kind.replace('_', '-')}.hex`;
      writePrivate(directory, file, `${randomBytes(32).toString('hex')}\n`);
      return { month, kind, file, state: 'active' };
    }),
  );
  return [...before, ...added];
}

/** Overwrites a key file with random bytes, flushes it and removes it; nothing when it is gone already. */
export function overwriteRecordKey(directory: string, file: string): void {
  const path = join(directory, file);
  if (!existsSync(path)) return;
  const descriptor = openSync(path, 'r+');
  try {
    writeSync(descriptor, randomBytes(statSync(path).size), 0, null, 0);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  rmSync(path);
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** How many months from this one on, itself included, have keys without a gap. */
export function recordKeyMonthsLeft(
  recordKeys: readonly Pick<ManifestRecordKey, 'month' | 'kind'>[],
  at: Date,
): number {
  const current = at.toISOString().slice(0, 7);
  const onFile = new Set(recordKeys.map(({ month, kind }) => `${month} ${kind}`));
  let left = 0;
  while (kinds.every((kind) => onFile.has(`${monthAfter(current, left)} ${kind}`))) left += 1;
  return left;
}
