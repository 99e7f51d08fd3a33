import { csvLine } from './csv.ts';
import type { JudgedLeaf } from './export-leaves.ts';
import type { FoundRecord } from './found-record.ts';

/** An export for reading: one line per leaf, the file that proves itself is the other format. */

type Cell = (found: FoundRecord) => string | undefined;

const bodyText =
  (name: string): Cell =>
  ({ body }) => {
    const value = body?.[name];
    return typeof value === 'string' ? value : undefined;
  };

const columns: readonly (readonly [heading: string, cell: Cell])[] = [
  ['时间 (UTC) / time', ({ recordedAt }) => recordedAt.toISOString()],
  ['类别 / kind', ({ kind }) => kind],
  ['操作 / action', ({ action }) => action],
  ['结果 / outcome', ({ outcome }) => outcome],
  ['拒绝代码 / code', ({ code }) => code],
  ['接入系统 / client', ({ clientId }) => clientId],
  ['部门 / department', ({ departmentCode }) => departmentCode],
  ['经办人编号 / officer', ({ officer }) => officer?.id],
  ['经办人姓名 / officer name', ({ officer }) => officer?.name],
  ['办事事项 / matter', ({ purpose, matterCode }) => purpose?.matterCode ?? matterCode],
  ['办件编号 / case', ({ purpose }) => purpose?.caseNumber],
  ['用证依据 / legal basis', ({ purpose }) => purpose?.legalBasis],
  ['说明 / note', ({ purpose }) => purpose?.note],
  ['理由 / reason', ({ reason }) => reason],
  ['级别 / level', ({ level }) => level],
  ['证照类型 / certificate types', ({ certificateTypes }) => certificateTypes?.join(' ')],
  ['证照标识 / certificates', ({ certificates }) => certificates?.join(' ')],
  [
    '字段 / fields',
    ({ fields }) => fields?.map((each) => `${each.certificateTypeCode}: ${each.fields.join(' ')}`).join('; '),
  ],
  ['持证主体 (化名) / holders (pseudonyms)', ({ holderKeys }) => holderKeys?.join(' ')],
  ['答复摘要 / answer digest', bodyText('answerDigest')],
  ['请求编号 / request', bodyText('requestId')],
  ['承诺值 / commitment', ({ commitment }) => commitment.toString('base64url')],
];

/** The heading, in Chinese and English. */
export const csvHeading = csvLine([
  '日志序号 / log index',
  '记录编号 / record',
  '状态 / state',
  ...columns.map(([heading]) => heading),
]);

/** The line of one leaf; of one that is not opened hardly more than that it exists. */
export function csvOfLeaf(judged: JudgedLeaf): string {
  const { leaf_index: index, record_id: recordId } = judged.leaf;
  if (judged.state === 'redacted') return line(String(index), '', '不予公开 / redacted');
  if (judged.state === 'erased') {
    const by =
      judged.erasure === null
        ? '正文缺失且无清除依据 / missing without an erasure'
        : `已清除 / erased: ${judged.erasure}`;
    return line(String(index), recordId, by);
  }
  const { found } = judged;
  const state = found.state === 'tampered' ? '检索列被改动 / columns tampered with' : '完整 / whole';
  return csvLine([String(index), recordId, state, ...columns.map(([, cell]) => cell(found) ?? '')]);
}

const line = (...cells: readonly string[]): string => csvLine([...cells, ...columns.map(() => '')]);

/** The last line: how many there are. A file without it was cut short. */
export const csvEnd = (lines: number): string => line('结束 / end', '', `共${lines}条 / ${lines} lines`);
