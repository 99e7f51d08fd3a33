import { type FileHandle, open } from 'node:fs/promises';
import { decodeUtf8 } from '../verification/encoding.ts';
import { parseTrustBundle, type TrustBundle } from '../verification/trust-bundle.ts';
import { UsageError } from './usage-error.ts';

/** Reading what the offline commands are given. */

const maxFileBytes = 8 * 2 ** 20;
/** A trust bundle holds the status lists of all certificates. */
export const maxBundleBytes = 128 * 2 ** 20;

const faults: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EISDIR: 'it is a directory',
  EACCES: 'permission denied',
};

/** Opens a file to read; `-` is standard input. @throws UsageError */
export async function openInput(file: string, what: string): Promise<FileHandle> {
  return open(file === '-' ? '/dev/stdin' : file, 'r').catch((error: unknown) => {
    throw unreadable(file, what, error);
  });
}

/** The failure to read a file, in words. */
export function unreadable(file: string, what: string, error: unknown): UsageError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
  return new UsageError(`cannot read ${what} ${file}: ${faults[code] ?? code}`);
}

/** The text of a file of limited size, as it is: devices and pipes have no size to ask for. @throws UsageError */
export async function readText(file: string, what: string, maxBytes = maxFileBytes): Promise<string> {
  const handle = await openInput(file, what);
  try {
    const chunks: Buffer[] = [];
    let size = 0;
    for (;;) {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(65_536), 0, 65_536, null);
      if (bytesRead === 0) break;
      chunks.push(buffer.subarray(0, bytesRead));
      size += bytesRead;
      if (size > maxBytes) throw new UsageError(`${what} ${file} is larger than ${maxBytes / 2 ** 20} MiB`);
    }
    const text = decodeUtf8(Buffer.concat(chunks));
    if (text === undefined) throw new UsageError(`${what} ${file} is not text in UTF-8`);
    return text;
  } catch (error) {
    throw error instanceof UsageError ? error : unreadable(file, what, error);
  } finally {
    await handle.close();
  }
}

/** A text without the byte order mark that editors of some systems put in front of it. */
export const withoutMark = (text: string): string => text.replace(/^\ufeff/, '');

/** The text of a file without what editors add: a byte order mark in front, line ends behind. @throws UsageError */
export const readTrimmed = async (file: string, what: string, maxBytes?: number): Promise<string> =>
  withoutMark(await readText(file, what, maxBytes)).trim();

/** The trust bundle in a file. @throws UsageError */
export async function readTrust(file: string): Promise<TrustBundle> {
  const read = parseTrustBundle(await readTrimmed(file, 'the trust bundle', maxBundleBytes));
  if (read.ok) return read.value;
  const where = read.pointer === '' ? '' : `, see ${read.pointer}`;
  throw new UsageError(`${file} is not a trust bundle${where}; make one with certhub trust export`);
}
