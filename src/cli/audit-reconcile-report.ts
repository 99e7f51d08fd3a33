import type { Compared } from './audit-reconcile-compare.ts';
import { label, type Report } from './audit-report.ts';
import type { StoredAnswers } from './audit-stored-answers.ts';

const maxListed = 1000;

/** What was compared and found, for people and for programs. */
export function reconcileReport(
  { id, url }: { readonly id: string; readonly url: string },
  stored: StoredAnswers,
  { faults, waiting, compared, proven, listed, erased }: Compared,
): Report {
  const repeated = stored.duplicates.slice(0, 20).map(({ file, line, recordId }) => `${recordId} (${file}:${line})`);
  const undecided =
    waiting.length === 0
      ? []
      : [
          label(
            `Younger than a minute, ask again soon: ${waiting.slice(0, 20).join(', ')}`,
            `产生不足一分钟，请稍后再核：${waiting.length} 条`,
          ),
        ];
  return {
    title: label('Own answers compared with the log', '自存答复与日志核对'),
    facts: [
      [label('client', '接入系统'), `${id} @ ${url}`],
      [label('answers kept', '自存答复'), `${stored.answers.size}, ${compared} in the time asked for 在所查时段`],
      [label('answered lookups of the hub', '平台所列已答复用证'), String(listed)],
      [
        label('kept more than once', '重复保存'),
        repeated.length === 0 ? '0' : `${stored.duplicates.length}: ${repeated.join(', ')}`,
      ],
      ...(erased > 0 ? [[label('records whose body is erased', '内容已清除的记录'), String(erased)] as const] : []),
    ],
    proved: [
      label(
        `${proven} answers: signed by the hub, and their records are in the log under a checkpoint that fits your policy.`,
        `${proven} 份答复：由平台签署，其记录位于符合您策略的检查点之下的日志中。`,
      ),
      ...(waiting.length > 0 ? [] : [label('Both sides have the same answered lookups.', '双方的已答复用证一致。')]),
    ],
    notProved: [
      label(
        "That the hub listed all records of this client: the list is the hub's word. Only the log as a whole can be counted.",
        '平台列出了该接入系统的全部记录：该清单为平台自述。',
      ),
    ],
    undecided,
    faults: faults.slice(0, maxListed),
    moreFaults: Math.max(0, faults.length - maxListed),
  };
}
