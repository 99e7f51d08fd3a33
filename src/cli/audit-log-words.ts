import { checkpointFaultWords } from '../verification/checkpoint-fault-words.ts';
import type { LogFault } from '../verification/log-report.ts';
import type { ProofVerdictFault } from '../verification/tlog-proof.ts';
import type { Words } from './audit-report.ts';

/** What can be wrong with a log or a proof, for a person who is no developer. */
const faultWords: { readonly [code in LogFault | ProofVerdictFault]: Words } = {
  ...checkpointFaultWords({ en: 'The checkpoint of the log', zh: '日志检查点' }),
  checkpoint_missing: { en: 'There is no checkpoint.', zh: '没有检查点。' },
  file_missing: { en: 'This file of the log is missing.', zh: '日志缺少该文件。' },
  file_length: { en: 'This file has an impossible length.', zh: '该文件长度不可能。' },
  bundle_malformed: { en: 'These entries are malformed or too few.', zh: '该文件中的叶格式错误或数量不足。' },
  entry_malformed: { en: 'This is no entry as certhub writes them.', zh: '该叶不是本系统写出的格式。' },
  leaf_differs: {
    en: 'Entry and hash of this leaf do not belong together: one of them was changed.',
    zh: '该叶与其散列值不符：其中之一被改动。',
  },
  tile_differs: { en: 'This hash is not the one of the leaves below it.', zh: '该散列值与其下的叶不符。' },
  root_differs: {
    en: 'The files do not add up to the signed root: leaves were changed, added or removed.',
    zh: '文件内容与签名的根值不符：叶被改动、增加或移除。',
  },
  entries_differ_from_root: {
    en: 'The hash tiles fit the signed root, the entries do not: the entries were changed.',
    zh: '散列文件与签名的根值相符，而叶不符：叶被改动。',
  },
  tiles_differ_from_root: {
    en: 'The entries fit the signed root, the hash tiles do not: the tiles were changed.',
    zh: '叶与签名的根值相符，而散列文件不符：散列文件被改动。',
  },
  older_is_larger: {
    en: 'This older checkpoint has more leaves than the log: the log was cut back, or an old copy is shown.',
    zh: '该旧检查点的叶多于日志：日志被截短，或所示为旧副本。',
  },
  older_differs: {
    en: 'The log signed this checkpoint, and its present content is another: history was rewritten.',
    zh: '日志曾签署该检查点，而现有内容与之不同：历史被改写。',
  },
  older_is_of_another_log: { en: 'This checkpoint is one of another log.', zh: '该检查点属于另一日志。' },
  gave_up: {
    en: 'Too much is missing: from here on nothing was read any more.',
    zh: '缺失过多：自此之后未再读取。',
  },
  malformed_proof: { en: 'This is not a tlog-proof.', zh: '这不是 tlog-proof 证明文件。' },
  proof_too_long: { en: 'This is longer than any proof.', zh: '该文件超过任何证明的长度。' },
  not_included: {
    en: 'The record is not in the log at this place: it was changed, or it is another record.',
    zh: '该记录不在日志的这一位置：记录被改动，或并非同一记录。',
  },
};

/** The words of a fault. `signer`: whose signature is false. */
export function wordsOf(code: LogFault | ProofVerdictFault, signer?: string): Words {
  const { en, zh } = faultWords[code];
  const more = signer === undefined ? '' : ` (${signer})`;
  return { en: en + more, zh: zh + more };
}
