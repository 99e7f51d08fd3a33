import type { TrustBundle } from '../verification/trust-bundle.ts';
import { judgeAnswer, type KeptAnswer } from './audit-answer.ts';
import { type Fault, label, type Words } from './audit-report.ts';

/** Whether the hub signed the answer whose record a proof is about. */

type Checked = { readonly proved: Words[]; readonly notProved: Words[]; readonly faults: Fault[] };

const unchecked = label(
  'That the hub signed the answer: its signature was not checked, and everything in it but the commitment may be forged. Give --trust BUNDLE.',
  '答复由平台签署：未核验其签名，除承诺值外的内容均可能系伪造。请给出 --trust。',
);
const certificatesUnchecked = label(
  'That the certificates which came with the answer are genuine: see certhub verify.',
  '随答复提供的证照为真：请用 certhub verify 核验。',
);

/** Checks the signature of `answer` (from `file`), with `trust` where there is one; `now` in epoch milliseconds. */
export function checkAnswer(
  file: string,
  { jws, recordId }: KeptAnswer,
  trust: TrustBundle | undefined,
  now: number,
): Checked {
  if (trust === undefined) return { proved: [], notProved: [unchecked], faults: [] };
  const judged = judgeAnswer(jws, trust, now);
  const notProved = [certificatesUnchecked];
  const where = { file };
  if (!judged.ok) return { proved: [], notProved, faults: [{ where, ...judged.fault }] };
  const { answer } = judged;
  if (recordId !== undefined && recordId !== answer.jti) {
    const en = 'The record id beside the answer is not the one that the hub signed.';
    return {
      proved: [],
      notProved,
      faults: [{ where, code: 'answer_of_another_record', en, zh: '答复旁的记录编号与平台所签不符。' }],
    };
  }
  const made = Number.isNaN(new Date(answer.iat * 1000).getTime()) ? '' : new Date(answer.iat * 1000).toISOString();
  const signed = label(
    `The hub ${answer.iss} signed the answer as it stands: to ${answer.aud}, ${made}, for record ${answer.jti} with this commitment.`,
    `答复由平台签署，一字不差：发给 ${answer.aud}，记录 ${answer.jti} 及该承诺值均在签名之内。`,
  );
  return { proved: [signed], notProved, faults: [] };
}
