import { exportKinds } from '../verification/audit-export.ts';
import { logEntry } from '../verification/commitment.ts';
import { decodeBase64url } from '../verification/encoding.ts';
import { parseCompactJws } from '../verification/jws.ts';
import { answerIn, type KeptAnswer } from './audit-answer.ts';
import type { Report } from './audit-report.ts';
import { readTrimmed } from './offline-inputs.ts';
import { UsageError } from './usage-error.ts';

/** Which log entry a proof is about, from what its holder has. */

/** The 34 bytes, and what to say of them. */
export type ProofEntry = {
  readonly entry: Buffer;
  readonly about: Report['facts'];
  readonly answer?: KeptAnswer;
};

/** From `--answer`, or from `--kind` and `--commitment`. */
export async function readEntry(options: {
  readonly answer: string | undefined;
  readonly kind: string | undefined;
  readonly commitment: string | undefined;
}): Promise<ProofEntry> {
  const { answer, kind, commitment } = options;
  if (answer !== undefined) {
    if (kind !== undefined || commitment !== undefined)
      throw new UsageError('--answer says kind and commitment itself');
    return entryOfAnswer(answer, await readTrimmed(answer, 'the answer'));
  }
  if (kind === undefined || commitment === undefined) {
    throw new UsageError('a proof needs its record: --answer FILE, or --kind and --commitment');
  }
  const number = kindNumber(kind);
  const bytes = decodeBase64url(commitment);
  if (bytes?.length !== 32) throw new UsageError('--commitment is 32 bytes as base64url (43 characters)');
  return { entry: logEntry(number, bytes), about: [[{ en: 'commitment', zh: '承诺值' }, commitment]] };
}

function kindNumber(text: string): number {
  const named = Object.entries(exportKinds).find(([, name]) => name === text)?.[0];
  const number = Number(named ?? (/^[1-9]\d{0,2}$/.test(text) ? text : Number.NaN));
  if (!(number >= 1 && number <= 255)) {
    throw new UsageError(`--kind is one of ${Object.values(exportKinds).join(', ')}, or a number to 255`);
  }
  return number;
}

function entryOfAnswer(file: string, text: string): ProofEntry {
  const answer = answerIn(text);
  const parsed = answer === undefined ? undefined : parseCompactJws(answer.jws);
  const { jti, commitment } = parsed?.ok === true ? parsed.value.payload : {};
  const bytes = typeof commitment === 'string' ? decodeBase64url(commitment) : undefined;
  if (answer === undefined || bytes?.length !== 32 || typeof commitment !== 'string') {
    throw new UsageError(`${file} is neither an answer of a hub nor the JSON of a lookup`);
  }
  const about: Report['facts'] = [
    [{ en: 'record', zh: '记录' }, typeof jti === 'string' ? jti : '–'],
    [{ en: 'commitment', zh: '承诺值' }, commitment],
  ];
  // an answer is always about an access
  return { entry: logEntry(1, bytes), about, answer };
}
