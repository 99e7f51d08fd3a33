import { checkLog } from '../verification/log-check.ts';
import type { JudgedCheckpoint, LogPolicy } from '../verification/log-policy.ts';
import type { LogReport, OlderCheckpoint } from '../verification/log-report.ts';
import { isAddress, logSource } from './audit-log-source.ts';
import { wordsOf } from './audit-log-words.ts';
import { label, type Report, type Words } from './audit-report.ts';
import { checkpointFacts, notEverything, signedBy, withoutWitnesses } from './audit-verify-parts.ts';
import { UsageError } from './usage-error.ts';

export type LogCircumstances = {
  readonly policy: LogPolicy;
  readonly older: readonly OlderCheckpoint[];
  /** Takes a line now and then. */
  readonly progress: (line: string) => void;
};

/** Checks the log in a folder or at an address, from its first leaf to its checkpoint. @throws UsageError */
export async function checkWholeLog(
  place: string,
  { policy, older, progress: say }: LogCircumstances,
): Promise<Report> {
  let shown = 0;
  const progress = (done: number, size: number): void => {
    const percent = Math.floor((done / size) * 100);
    if (percent >= shown + 5 || done === size) {
      say(`${done} of ${size} leaves, ${percent} %`);
      shown = percent;
    }
  };
  const found = await checkLog({ ...logSource(place), progress }, policy, older);
  if (found.findings.some(({ code }) => code === 'checkpoint_missing')) {
    const at = `${place.replace(/\/+$/, '')}/checkpoint`;
    const hint = isAddress(place) ? 'does the address end in /log?' : 'is it the folder of a log?';
    throw new UsageError(`no checkpoint at ${at}: ${hint} 该处没有检查点。`);
  }
  const faults = found.findings.map(({ file, index, code, signer, aside }) => {
    const where = { file, ...(index !== undefined && { [code === 'tile_differs' ? 'place' : 'index']: index }) };
    return { where, code, ...wordsOf(code, signer), ...(aside === true && { aside }) };
  });
  const { judged } = found;
  return {
    title: label('The whole log', '完整日志'),
    facts: [
      [label('read from', '读取自'), place],
      ...(judged === undefined ? [] : checkpointFacts(policy, judged)),
      [label('leaves read', '已读叶'), `${found.leaves} (${found.files} files 文件)`],
    ],
    proved: judged === undefined ? [] : logProved(policy, judged, found),
    notProved: [
      label(
        'What the records say: a log holds commitments only. An export shows records.',
        '记录内容：日志仅含承诺值，内容见导出。',
      ),
      ...withoutWitnesses(policy),
      notEverything,
    ],
    undecided: [],
    faults,
    moreFaults: found.moreFindings,
  };
}

const logProved = (policy: LogPolicy, judged: JudgedCheckpoint, { leaves, consistentWith }: LogReport): Words[] => [
  signedBy(policy, judged),
  label(
    `All ${leaves} entries and every tile of hashes are those the checkpoint was signed over.`,
    `全部 ${leaves} 片叶及散列文件均与所签检查点一致。`,
  ),
  ...consistentWith.map(({ file, size }) =>
    label(
      `The log begins with the ${size} leaves of checkpoint ${file}: nothing of them was changed.`,
      `日志以检查点 ${file} 的 ${size} 片叶开头，未被改动。`,
    ),
  ),
];
