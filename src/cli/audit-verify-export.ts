import { type ExportReport, startExportCheck } from '../verification/audit-export-check.ts';
import type { OlderCheckpoint } from '../verification/log-check.ts';
import type { LogPolicy } from '../verification/log-policy.ts';
import { openInput, unreadable } from './audit-inputs.ts';
import type { Fault, Report, Words } from './audit-report.ts';
import {
  checkpointFacts,
  compareOlder,
  label,
  notEverything,
  signedBy,
  withoutWitnesses,
} from './audit-verify-parts.ts';

/** Checks an export while it is read. `note` is its checkpoint, where there is one. */
export async function checkExport(
  file: string,
  { policy, older }: { readonly policy: LogPolicy; readonly older: readonly OlderCheckpoint[] },
): Promise<{ report: Report; note?: string }> {
  const checking = startExportCheck(policy);
  const handle = await openInput(file, 'the export');
  try {
    const buffer = Buffer.allocUnsafe(1 << 18);
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) break;
      checking.feed(buffer.subarray(0, bytesRead));
    }
  } catch (error) {
    throw unreadable(file, 'the export', error);
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
    facts: exportFacts(file, found),
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
  { header, judged, leaves, opened, redacted, erased }: ExportReport,
): Report['facts'] {
  const counts = `${leaves}: ${opened} opened 展示, ${redacted} redacted 遮蔽, ${erased} erased 已删除`;
  const range =
    header?.kind === 'range' ? [[label('range', '区间'), `${header.begin} – ${(header.end ?? 0) - 1}`] as const] : [];
  return [
    [label('file', '文件'), file],
    ...(judged === undefined ? [] : checkpointFacts(judged)),
    ...range,
    [label('leaves', '条目'), counts],
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
        `区间完整：日志第 ${header.begin} 至 ${(header.end ?? 0) - 1} 条全部在文件中，各一次且依序。`,
      ),
    );
  } else proved.push(label('Each of them is in the log at the place given.', '每条均位于日志所示位置。'));
  return proved;
}

function exportNotProved({ header, redacted, erased }: ExportReport): Words[] {
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
  if (redacted > 0) words.push(label('What the redacted leaves say.', '遮蔽条目的内容。'));
  if (erased > 0) {
    words.push(
      label('What the erased leaves said, and the record ids given for them.', '已删除条目的内容及其所示记录编号。'),
    );
  }
  return words;
}

function erasuresUndecided({ erased, erasuresShown, erasuresNotShown }: ExportReport): Words[] {
  if (erased === erasuresShown) return [];
  const some = erasuresNotShown
    .slice(0, 10)
    .map(({ index, erasure }) => `${index}${erasure === null ? '' : ` (${erasure})`}`);
  const list = `${some.join(', ')}${erased - erasuresShown > some.length ? ' …' : ''}`;
  return [
    label(
      `Erasure not shown: by what right leaves were erased (${erased - erasuresShown}): ${list}. Ask for the records in parentheses; a leaf without one was erased without evidence.`,
      `未示删除依据：${erased - erasuresShown} 个条目。请索取括号中的记录；无记录者为无据删除。`,
    ),
  ];
}
