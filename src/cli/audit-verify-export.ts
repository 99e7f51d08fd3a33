import { type ExportReport, startExportCheck } from '../verification/audit-export-check.ts';
import type { LogPolicy } from '../verification/log-policy.ts';
import type { OlderCheckpoint } from '../verification/log-report.ts';
import { insteadOfExport } from './audit-file-kind.ts';
import { type Fault, label, type Report, type Words } from './audit-report.ts';
import { checkpointFacts, compareOlder, notEverything, signedBy, withoutWitnesses } from './audit-verify-parts.ts';
import { openInput, unreadable } from './offline-inputs.ts';
import { UsageError } from './usage-error.ts';

/** Checks an export while it is read. `note` is its checkpoint, where there is one. */
export async function checkExport(
  file: string,
  { policy, older }: { readonly policy: LogPolicy; readonly older: readonly OlderCheckpoint[] },
): Promise<{ report: Report; note?: string }> {
  const checking = startExportCheck(policy);
  const handle = await openInput(file, 'the export');
  try {
    const buffer = Buffer.allocUnsafe(1 << 18);
    for (let isFirst = true; ; isFirst = false) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
      const other = isFirst ? insteadOfExport(buffer.toString('utf8', 0, bytesRead)) : undefined;
      if (other !== undefined) throw new UsageError(`${file} ${other}`);
      if (bytesRead === 0) break;
      checking.feed(buffer.subarray(0, bytesRead));
    }
  } catch (error) {
    throw error instanceof UsageError ? error : unreadable(file, 'the export', error);
  } finally {
    await handle.close();
  }
  const found = checking.end();
  const { header } = found;
  const compared = compareOlder(policy, older, found.judged?.checkpoint);
  const faults: Fault[] = found.findings.map(({ line, index, code, en, zh }) => ({
    where: { line, ...(index !== undefined && { index }) },
    code,
    en,
    zh,
  }));
  const report: Report = {
    title: label('Export of the audit log', '审计日志导出'),
    facts: exportFacts(file, policy, found),
    proved: [...exportProved(policy, found), ...compared.proved],
    notProved: [...exportNotProved(found), ...withoutWitnesses(policy), notEverything],
    undecided: [...erasuresUndecided(found), ...compared.undecided],
    faults: [...faults, ...compared.faults],
    moreFaults: found.moreFindings,
  };
  return { report, ...(header !== undefined && { note: header.checkpoint }) };
}

function exportFacts(
  file: string,
  policy: LogPolicy,
  { header, judged, leaves, opened, redacted, erased }: ExportReport,
): Report['facts'] {
  const counts = `${leaves}: ${opened} opened 展示, ${redacted} redacted 遮蔽, ${erased} erased 已清除`;
  const range =
    header?.kind === 'range'
      ? [[label('range', '区间（序号自 0 起）'), `${header.begin} – ${(header.end ?? 0) - 1}`] as const]
      : [];
  return [
    [label('file', '文件'), file],
    ...(judged === undefined ? [] : checkpointFacts(policy, judged)),
    ...range,
    [label('leaves', '叶'), counts],
    ...(header === undefined ? [] : [[label('question', '查询'), JSON.stringify(header.question)] as const]),
  ];
}

function exportProved(policy: LogPolicy, { header, judged, opened }: ExportReport): Words[] {
  if (header === undefined || judged === undefined) return [];
  const proved = [
    signedBy(policy, judged),
    label(
      `The ${opened} opened records say what was recorded at the time, unchanged to the letter.`,
      `所展示的 ${opened} 条记录与当时所记一字不差。`,
    ),
  ];
  if (header.kind === 'range') {
    proved.push(
      label(
        `The range is complete: every leaf from ${header.begin} to ${(header.end ?? 0) - 1} of the log is in the file, once and in order.`,
        `区间完整：日志中序号 ${header.begin} 至 ${(header.end ?? 0) - 1}（自 0 起）的叶全部在文件中，各一次且依序。`,
      ),
    );
  } else
    proved.push(label('Each of them is in the log at the place given.', '每条记录均位于日志中所示的序号（自 0 起）。'));
  return proved;
}

function exportNotProved({ header, redacted, erased, partlyHidden }: ExportReport): Words[] {
  const words = [
    label(
      'Who made the file, when, and what was asked for: the first line says so, the log does not. The record of the export itself does.',
      '文件由谁、何时制作及查询条件：仅首行自述，须以该次导出自身的记录为证。',
    ),
  ];
  if (header?.kind === 'records') {
    words.push(
      label(
        'That these are all records that fit the question: ask for a range, which can leave nothing out.',
        '这些即为符合查询的全部记录：如需完整性，请导出区间。',
      ),
    );
  }
  const { records, fields } = partlyHidden;
  if (fields > 0) {
    words.push(
      label(
        `What the hidden fields say: ${fields} fields of ${records} opened records are hidden, and only their commitments are in the file.`,
        `隐藏字段的内容：所展示记录中有 ${records} 条共 ${fields} 个字段被隐藏，文件中仅有其承诺值。`,
      ),
    );
  }
  if (redacted > 0) words.push(label('What the redacted leaves say.', '遮蔽的叶的内容。'));
  if (erased > 0) {
    words.push(
      label('What the erased leaves said, and the record ids given for them.', '已清除的叶的内容及其所示记录编号。'),
    );
  }
  return words;
}

function erasuresUndecided({ erased, erasuresShown, erasuresNotShown }: ExportReport): Words[] {
  if (erased === erasuresShown) return [];
  const count = erased - erasuresShown;
  const some = erasuresNotShown
    .slice(0, 10)
    .map(({ index, erasure }) => `${index}${erasure === null ? '' : ` (${erasure})`}`);
  const list = `${some.join(', ')}${count > some.length ? ' …' : ''}`;
  const words = [
    label(
      `Erasure not shown: by what right leaves were erased (${count}): ${list}. Ask for the records in parentheses; a leaf without one was erased without evidence.`,
      `未示清除依据：${count} 片叶。请索取括号中的记录；无记录者为无据清除。`,
    ),
  ];
  const resting = erasuresNotShown.flatMap(({ approvals }) => (approvals === undefined ? [] : [approvals]));
  if (resting.length > 0) {
    const ids = [...new Set(resting.flat())].slice(0, 10).join(', ');
    words.push(
      label(
        `The records of the approvals must be exported as well, with their officer, client and detail shown: ${ids === '' ? 'the erasure names none' : ids}.`,
        `批准的记录也须一并导出，并展示其经办人、接入系统和详情：${ids === '' ? '该清除未列出批准' : ids}。`,
      ),
    );
  }
  return words;
}
