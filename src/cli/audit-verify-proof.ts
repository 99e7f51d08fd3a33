import type { LogPolicy } from '../verification/log-policy.ts';
import type { OlderCheckpoint } from '../verification/log-report.ts';
import { verifyProof } from '../verification/tlog-proof.ts';
import { checkAnswer } from './audit-answer-check.ts';
import { wordsOf } from './audit-log-words.ts';
import { readEntry } from './audit-proof-entry.ts';
import { label, type Report } from './audit-report.ts';
import { checkpointFacts, compareOlder, signedBy, withoutWitnesses } from './audit-verify-parts.ts';
import { readText, readTrust } from './offline-inputs.ts';

export type ProofCircumstances = {
  readonly policy: LogPolicy;
  readonly older: readonly OlderCheckpoint[];
  /** Epoch milliseconds. */
  readonly now: number;
};

/** What a proof is about, and the trust bundle to check the answer with. */
export type ProofSubject = Parameters<typeof readEntry>[0] & { readonly trust: string | undefined };

const nothingSigned = { proved: [], notProved: [], faults: [] };

/** Checks the proof in `file`. `note` is its checkpoint, where it is good. @throws UsageError */
export async function checkProof(
  file: string,
  subject: ProofSubject,
  { policy, older, now }: ProofCircumstances,
): Promise<{ report: Report; note?: string }> {
  const proof = await readText(file, 'the proof');
  const { entry, about, answer } = await readEntry(subject);
  const trust = subject.trust === undefined ? undefined : await readTrust(subject.trust);
  const signed = answer === undefined ? nothingSigned : checkAnswer(subject.answer ?? '', answer, trust, now);
  const verified = verifyProof({ proof, entry, policy });
  const title = label('Proof that a record is in the log', '记录存在于日志的证明');
  const facts: Report['facts'] = [[label('file', '文件'), file], ...about];
  const notProved = [
    ...signed.notProved,
    label(
      'What the record says: its commitment is proved, its content is not in a proof.',
      '记录内容：证明的是其承诺值。',
    ),
    ...withoutWitnesses(policy),
  ];
  if (!verified.ok) {
    const { reason: code, signer } = verified;
    const faults = [{ where: { file }, code, ...wordsOf(code, signer) }, ...signed.faults];
    return { report: { title, facts, proved: [], notProved, undecided: [], faults, moreFaults: 0 } };
  }
  const compared = compareOlder(policy, older, verified.value.checkpoint);
  const { index } = verified.value;
  const included = label(
    `A record with this commitment is leaf ${index} of the log.`,
    `具有该承诺值的记录是日志中的叶，序号 ${index}（自 0 起）。`,
  );
  const report: Report = {
    title,
    facts: [...facts, ...checkpointFacts(policy, verified.value), [label('leaf', '叶序号（自 0 起）'), String(index)]],
    proved: [signedBy(policy, verified.value), included, ...signed.proved, ...compared.proved],
    notProved,
    undecided: compared.undecided,
    faults: [...signed.faults, ...compared.faults],
    moreFaults: 0,
  };
  return { report, note: proof.slice(proof.indexOf('\n\n') + 2) };
}
