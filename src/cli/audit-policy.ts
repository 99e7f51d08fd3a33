import { type LogPolicy, type PolicyFault, parseLogPolicy, policyOfKeys } from '../verification/log-policy.ts';
import { parseVerifierKey, type VerifierKey, type VerifierKeyFault } from '../verification/signed-note.ts';
import { readText, withoutMark } from './offline-inputs.ts';
import { UsageError } from './usage-error.ts';

/** Whom to believe: a policy file, or keys of logs without witnesses (each a vkey or a file of them, one a line). */
export async function readPolicy(file: string | undefined, keys: readonly string[]): Promise<LogPolicy> {
  if (file !== undefined && keys.length > 0) throw new UsageError('--policy and --log-key exclude each other');
  if (file !== undefined) {
    const parsed = parseLogPolicy(withoutMark(await readText(file, 'the policy')));
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
  const whole = isText ? key : withoutMark(await readText(key, 'the log key'));
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
