import { type FileHandle, open } from 'node:fs/promises';
import { decodeUtf8 } from '../verification/encoding.ts';
import { type LogPolicy, type PolicyFault, parseLogPolicy, policyOfKeys } from '../verification/log-policy.ts';
import { parseVerifierKey, type VerifierKey, type VerifierKeyFault } from '../verification/signed-note.ts';

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
    if (!parsed.ok) {
      const { reason, line } = parsed;
      throw new UsageError(`${file} is not a log policy${line === 0 ? '' : `, line ${line}`}: ${policyWords[reason]}`);
    }
    if (parsed.value.logs.length === 0) throw new UsageError(`${file} names no log`);
    return parsed.value;
  }
  if (keys.length === 0) {
    throw new UsageError(
      '--policy or --log-key is missing: without a key that you got on another way nothing is proved',
    );
  }
  const found: VerifierKey[] = [];
  for (const key of keys) found.push(...(await readKeys(key)));
  return policyOfKeys(found);
}

/** The keys in a text that is one, or in the file of that name. */
async function readKeys(key: string): Promise<VerifierKey[]> {
  const isText = /^[^+\s]+\+[0-9a-f]{8}\+/.test(key);
  const whole = isText ? key : (await readText(key, 'the log key')).replace(/^\ufeff/, '');
  const texts = whole
    .split('\n')
    .map((each) => each.trim())
    .filter((each) => each !== '');
  if (texts.length === 0) throw new UsageError(`the log key file ${key} is empty`);
  return texts.map((text) => {
    const parsed = parseVerifierKey(text);
    if (!parsed.ok) throw new UsageError(`the log key${isText ? '' : ` in ${key}`} ${keyWords[parsed.reason]}`);
    if (parsed.value.type !== 1) throw new UsageError('--log-key takes the key of a log, not of a witness');
    return parsed.value;
  });
}

const keyWords: { readonly [code in VerifierKeyFault]: string } = {
  key_id_wrong: 'was not copied whole: its eight hex digits do not fit its name and key. 日志公钥抄录有误。',
  malformed_key:
    'was not copied whole: a key is a name, + and eight hex digits, + and 44 characters of base64. 日志公钥抄录有误。',
  key_type_unknown: 'is of a type that is not known here (Ed25519 alone is). 不支持该类型的公钥。',
};

/** What is wrong with a policy, in words. */
const policyWords: { readonly [code in PolicyFault]: string } = {
  policy_too_long: 'it is too long. 策略文件过长。',
  forbidden_character:
    'it has a character that must not be there, such as the carriage return of Windows. 含有不允许的字符。',
  unknown_keyword: 'a line begins with log, witness, group, quorum or #. 行首关键字不明。',
  malformed_line: 'the line has too few words or too many. 该行词数不符。',
  malformed_key: `the key ${keyWords.malformed_key.replace('日志公钥', '公钥')}`,
  key_id_wrong: `the key ${keyWords.key_id_wrong.replace('日志公钥', '公钥')}`,
  key_type_wrong: 'the key is not of the type that this line needs: a log has one, a witness another. 公钥类型不符。',
  duplicate_key: 'the key is there twice. 公钥重复。',
  duplicate_name: 'the name is there twice. 名称重复。',
  unknown_name: 'it names what no line above defines. 引用了上文未定义的名称。',
  member_twice: 'a member is counted twice. 成员重复计数。',
  threshold_out_of_range: 'the number of a group is any, all or 1 to its members. 组的数目超出范围。',
  quorum_missing: 'its line quorum is missing. 缺少 quorum 行。',
  quorum_twice: 'it has two lines quorum. quorum 行重复。',
};
