import { verifyAnswer } from '../verification/answer-verdict.ts';
import { parseTrustBundle, type TrustBundle } from '../verification/trust-bundle.ts';
import { UsageError } from './audit-inputs.ts';
import type { ProofEntry } from './audit-proof-entry.ts';
import type { Fault, Words } from './audit-report.ts';
import { label } from './audit-verify-parts.ts';

/** Whether the hub signed the answer whose record a proof is about. */

/** Reads a trust bundle's text. @throws UsageError */
export function readTrust(text: string, file: string): TrustBundle {
  const read = parseTrustBundle(text.replace(/^\ufeff/, '').trim());
  if (read.ok) return read.value;
  throw new UsageError(`${file} is not a trust bundle; make one with certhub trust export`);
}

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
  { jws, recordId }: NonNullable<ProofEntry['answer']>,
  trust: TrustBundle | undefined,
  now: number,
): Checked {
  if (trust === undefined) return { proved: [], notProved: [unchecked], faults: [] };
  const seconds = Math.floor(now / 1000);
  const { answer, reasons } = verifyAnswer({ answer: jws, trust, at: seconds, now: seconds });
  // certificates are another question
  const wrong = reasons.map(({ code }) => code).filter((code) => code !== 'sd_jwt_not_supplied');
  const notProved = [certificatesUnchecked];
  const where = { file };
  if (answer === undefined || wrong.length > 0) {
    const why = ` (${wrong.join(', ')})`;
    const en = `The hub did not sign this answer as it stands here${why}.`;
    const fault = { where, code: 'answer_false', en, zh: `该答复并非平台所签原文${why}。` };
    return { proved: [], notProved, faults: [fault] };
  }
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
