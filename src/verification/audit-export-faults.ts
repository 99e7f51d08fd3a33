import type { LineFault } from './audit-export-lines.ts';
import { checkpointFaultWords } from './checkpoint-fault-words.ts';
import type { JudgeFault } from './log-policy.ts';

/** Everything that can be wrong with an export. */
export type ExportFault =
  | LineFault
  | JudgeFault
  | 'file_empty'
  | 'line_not_utf8'
  | 'line_too_long'
  | 'line_unfinished'
  | 'trailer_missing'
  | 'data_after_end'
  | 'header_differs'
  | 'quorum_not_met'
  | 'range_impossible'
  | 'leaf_missing'
  | 'leaf_repeated'
  | 'leaf_order'
  | 'leaf_outside'
  | 'leaves_missing_at_end'
  | 'kind_differs'
  | 'commitment_differs'
  | 'not_included'
  | 'range_root_differs'
  | 'erasure_wrong'
  | 'erasure_not_approved'
  | 'counts_differ'
  | 'file_hash_differs';

/** Something wrong, and where. `line` counts from 1; `index` is the leaf of the log. */
export type ExportFinding = {
  readonly line: number;
  readonly index?: number;
  readonly code: ExportFault;
  readonly en: string;
  readonly zh: string;
};

/** Takes what is wrong: the leaf it is about, and what is added in parentheses. */
export type ReportExportFault = (code: ExportFault, index?: number, detail?: string) => void;

type Words = { readonly en: string; readonly zh: string };

/** What each fault means, for a person who is no developer. */
export const exportFaultWords: { readonly [code in ExportFault]: Words } = {
  file_empty: { en: 'The file is empty.', zh: '文件为空。' },
  line_not_utf8: { en: 'The line is not text in UTF-8.', zh: '该行不是 UTF-8 文本。' },
  line_too_long: { en: 'The line is longer than any line of an export.', zh: '该行超过导出文件允许的长度。' },
  line_unfinished: { en: 'The file breaks off inside this line.', zh: '文件在该行中断。' },
  line_not_json: { en: 'The line is not JSON.', zh: '该行不是 JSON。' },
  line_spelling: {
    en: 'The line is not spelled as an export is: something was repeated, added, or written differently.',
    zh: '该行的写法与导出格式不符：有重复、添加或改写。',
  },
  line_characters: { en: 'The line has characters that no text may have.', zh: '该行含有不允许的字符。' },
  header_shape: {
    en: 'The first line is not the header of a certhub-audit-export/1.',
    zh: '首行不是 certhub-audit-export/1 的文件头。',
  },
  leaf_shape: { en: 'The line is not a leaf as this format knows it.', zh: '该行不是本格式的叶。' },
  trailer_shape: { en: 'The last line is not the end of an export.', zh: '末行不是导出文件的结尾。' },
  trailer_missing: {
    en: 'The end of the file is missing: lines may have been cut off.',
    zh: '文件缺少结尾，可能被截断。',
  },
  data_after_end: { en: 'There is something behind the end of the export.', zh: '导出结尾之后还有内容。' },
  header_differs: {
    en: 'Origin or size in the first line differ from those of the checkpoint.',
    zh: '首行的来源或规模与检查点不一致。',
  },
  ...checkpointFaultWords({ en: 'The checkpoint of the log in the first line', zh: '首行中的日志检查点' }),
  range_impossible: {
    en: 'The range in the first line does not fit the size of the log or its proof.',
    zh: '首行的区间与日志规模或其证明不符。',
  },
  leaf_missing: { en: 'A leaf is missing before this one.', zh: '在此之前缺少叶。' },
  leaf_repeated: { en: 'The leaf is there twice.', zh: '该叶重复出现。' },
  leaf_order: { en: 'The leaf stands in the wrong place.', zh: '该叶的位置不正确。' },
  leaf_outside: { en: 'The leaf is outside of the range or of the log.', zh: '该叶超出区间或日志范围。' },
  leaves_missing_at_end: { en: 'The last leaves of the range are missing.', zh: '区间末尾缺少叶。' },
  kind_differs: {
    en: 'The kind of the record differs from the kind in its log entry.',
    zh: '记录类别与日志中该叶的类别不一致。',
  },
  commitment_differs: {
    en: 'What is shown of the record is not what was recorded: a field, a salt or the record id was changed.',
    zh: '所示内容与当时的记录不符：字段、盐值或记录编号被改动。',
  },
  not_included: {
    en: 'The leaf is not in the log under this checkpoint at this place.',
    zh: '该叶不在此检查点之下日志的这一位置。',
  },
  range_root_differs: {
    en: 'These leaves are not those of the log: at least one was replaced. Compare with the log itself to find which.',
    zh: '这些叶并非日志中的叶：至少有一片被替换。可与日志本身比对以确定是哪一片。',
  },
  erasure_wrong: {
    en: 'The record that is said to have carried out the erasure is no such record, or is about something else.',
    zh: '所称的清除依据不是执行清除的记录，或与该叶无关。',
  },
  erasure_not_approved: {
    en: 'What the file shows of the approvals contradicts the erasure: they are about something else, not of two officers through two clients, later than it, or a rejection.',
    zh: '文件所示的批准与该清除矛盾：批准的是其他事项，并非由两名人员通过两个接入系统作出，晚于清除，或为否决。',
  },
  counts_differ: { en: 'The end counts other leaves than the file has.', zh: '结尾的计数与文件内容不符。' },
  file_hash_differs: {
    en: 'The file was changed after it was written: its own hash does not fit.',
    zh: '文件写成后被改动：其自身的散列值不符。',
  },
};

/** A finding with its words; `detail` is added in parentheses. */
export function finding(line: number, code: ExportFault, index?: number, detail?: string): ExportFinding {
  const { en, zh } = exportFaultWords[code];
  const more = detail === undefined ? '' : ` (${detail})`;
  return { line, ...(index !== undefined && { index }), code, en: `${en}${more}`, zh: `${zh}${more}` };
}
