import { type FileHandle, open } from 'node:fs/promises';
import { decodeUtf8 } from '../verification/encoding.ts';
import { type LogPolicy, parseLogPolicy, policyOfKeys } from '../verification/log-policy.ts';
import { parseVerifierKey, type VerifierKey } from '../verification/signed-note.ts';

/** Reading what `certhub audit verify` and `reconcile` are given. */

/** Wrong usage, or a file that cannot be read: exit code 2. */
export class UsageError extends Error {}

/** True for what `parseArgs` throws about wrong options. */
export const isUsageError = (error: unknown): error is Error =>
  error instanceof UsageError ||
  (error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'));

const faults: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EISDIR: 'it is a directory',
  EACCES: 'permission denied',
};

/** Opens a file to read; `-` is standard input. */
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

/** The text of a file of limited size, as it is. */
export async function readText(file: string, what: string, maxBytes = 8 * 2 ** 20): Promise<string> {
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

/** Whom to believe: a policy file, or keys of logs without witnesses (each a vkey or a file of them, one a line). */
export async function readPolicy(file: string | undefined, keys: readonly string[]): Promise<LogPolicy> {
  if (file !== undefined && keys.length > 0) throw new UsageError('--policy and --log-key exclude each other');
  if (file !== undefined) {
    const parsed = parseLogPolicy((await readText(file, 'the policy')).replace(/^\ufeff/, ''));
    if (!parsed.ok) throw new UsageError(`${file} is not a log policy: ${parsed.reason} in line ${parsed.line}`);
    if (parsed.value.logs.length === 0) throw new UsageError(`${file} names no log`);
    return parsed.value;
  }
  if (keys.length === 0) {
    throw new UsageError(
      '--policy or --log-key is missing: without a key that you got on another way nothing is proved',
    );
  }
  const found: VerifierKey[] = [];
  for (const key of keys) {
    const texts = /^[^+\s]+\+[0-9a-f]{8}\+/.test(key) ? [key] : (await readText(key, 'the log key')).split('\n');
    for (const text of texts.map((each) => each.trim()).filter((each) => each !== '')) {
      const parsed = parseVerifierKey(text);
      if (!parsed.ok) throw new UsageError(`a log key is ${parsed.reason}`);
      if (parsed.value.type !== 1) throw new UsageError('--log-key takes the key of a log, not of a witness');
      found.push(parsed.value);
    }
  }
  return policyOfKeys(found);
}
