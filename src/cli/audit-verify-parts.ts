import type { Checkpoint } from '../verification/checkpoint.ts';
import { type JudgedCheckpoint, judgeCheckpoint, type LogPolicy, quorumNeeds } from '../verification/log-policy.ts';
import type { OlderCheckpoint } from '../verification/log-report.ts';
import { wordsOf } from './audit-log-words.ts';
import { type Fault, label, type Report, type Words } from './audit-report.ts';

/** What the checks of `certhub audit verify` share. */

/** What a checkpoint says, and who confirmed it. */
export function checkpointFacts(
  policy: LogPolicy,
  { checkpoint, cosignedBy, cosignedAt }: JudgedCheckpoint,
): Report['facts'] {
  const nobody = policy.witnesses.length === 0 ? 'not checked (no --policy) 未核验' : 'none 无';
  const witnesses = cosignedBy.map((name, at) => `${name} (${timeText(cosignedAt[at] ?? 0)})`);
  return [
    [label('log', '日志'), checkpoint.origin],
    [label('size of the log', '日志规模'), String(checkpoint.size)],
    [label('root', '根值'), checkpoint.root.toString('base64')],
    [label('cosigned by', '见证方'), witnesses.length === 0 ? nobody : witnesses.join(', ')],
  ];
}

/** Unix seconds as a time. A witness may write any number, also one that no calendar has. */
function timeText(seconds: number): string {
  const time = new Date(seconds * 1000);
  return Number.isNaN(time.getTime()) ? `time ${seconds}` : time.toISOString();
}

/** That the policy is met. */
export const signedBy = (policy: LogPolicy, { checkpoint }: JudgedCheckpoint): Words => {
  const needed = quorumNeeds(policy);
  return needed === 0
    ? label(`The log ${checkpoint.origin} signed this checkpoint.`, '日志签署了该检查点。')
    : label(
        `The log ${checkpoint.origin} signed this checkpoint, and at least ${needed} of its witnesses confirmed it.`,
        `日志签署了该检查点，且至少 ${needed} 个见证方予以确认。`,
      );
};

/** What nobody vouches for when no witness was asked. */
export const withoutWitnesses = (policy: LogPolicy): Words[] =>
  quorumNeeds(policy) > 0
    ? []
    : [
        label(
          'That others are shown the same log: no witness was asked for. Compare the root with somebody else, or use --policy.',
          '他人所见为同一日志：未要求见证方。请与他人核对根值，或使用 --policy。',
        ),
      ];

/** What no log can prove. */
export const notEverything: Words = label(
  'That everything was recorded that happened: a log proves what was recorded, not what was left out from the start.',
  '所有发生之事均已记录：日志证明的是已记录内容，而非从一开始就未记录的内容。',
);

export type Compared = Pick<Report, 'proved' | 'undecided' | 'faults'>;

/** Without tiles only a checkpoint of the same size can be compared. */
export function compareOlder(
  policy: LogPolicy,
  older: readonly OlderCheckpoint[],
  newer: Checkpoint | undefined,
): Compared {
  const proved: Words[] = [];
  const undecided: Words[] = [];
  const faults: Fault[] = [];
  for (const { file, note } of older) {
    const judged = judgeCheckpoint(policy, note);
    if (!judged.ok) {
      const { reason: code, signer } = judged;
      faults.push({ where: { file }, code, ...wordsOf(code, signer), aside: true });
      continue;
    }
    const { origin, size, root } = judged.value.checkpoint;
    if (newer === undefined) continue;
    if (origin !== newer.origin)
      faults.push({
        where: { file },
        code: 'older_is_of_another_log',
        ...wordsOf('older_is_of_another_log'),
        aside: true,
      });
    else if (size !== newer.size) {
      undecided.push(
        label(
          `Checkpoint ${file} (${size} leaves) is not comparable without tiles: give --log, a folder or address of the log.`,
          `检查点 ${file}（${size} 片叶）无日志文件无法比对：请以 --log 给出日志。`,
        ),
      );
    } else if (root.equals(newer.root))
      proved.push(label(`It is the tree of checkpoint ${file}.`, `与检查点 ${file} 为同一树。`));
    else faults.push({ where: { file }, code: 'older_differs', ...wordsOf('older_differs') });
  }
  return { proved, undecided, faults };
}
