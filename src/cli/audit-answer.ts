import { type AnswerPayload, verifyAnswer } from '../verification/answer-verdict.ts';
import { isJsonObject, parseJsonStrictly } from '../verification/encoding.ts';
import type { TrustBundle } from '../verification/trust-bundle.ts';
import type { Fault } from './audit-report.ts';

/** An answer that a client kept: what it stands in, and whether the hub signed it. */

/** Nothing of it is checked yet; `recordId` stands beside it in a lookup's JSON. */
export type KeptAnswer = { readonly jws: string; readonly recordId?: string };

/** The answer in a lookup's JSON, or a text that looks like a JWS; the text is trimmed. */
export function answerIn(text: string): KeptAnswer | undefined {
  if (/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/.test(text)) return { jws: text };
  if (!text.startsWith('{')) return undefined;
  const parsed = parseJsonStrictly(text);
  const { answer, recordId } = parsed.ok && isJsonObject(parsed.value) ? parsed.value : {};
  if (typeof answer !== 'string') return undefined;
  return { jws: answer, ...(typeof recordId === 'string' && { recordId }) };
}

/** Checks the hub's signature alone: the certificates beside an answer are another question. `now` in epoch milliseconds. */
export function judgeAnswer(
  jws: string,
  trust: TrustBundle,
  now: number,
):
  | { readonly ok: true; readonly answer: AnswerPayload }
  | { readonly ok: false; readonly fault: Omit<Fault, 'where'> } {
  const seconds = Math.floor(now / 1000);
  const { answer, reasons } = verifyAnswer({ answer: jws, trust, at: seconds, now: seconds });
  const wrong = reasons.map(({ code }) => code).filter((code) => code !== 'sd_jwt_not_supplied');
  if (answer !== undefined && wrong.length === 0) return { ok: true, answer };
  return { ok: false, fault: answerFalse(wrong.join(', ')) };
}

/** The fault of an answer that the hub did not sign; `why` in a few words. */
export const answerFalse = (why: string): Omit<Fault, 'where'> => ({
  code: 'answer_false',
  en: `The hub did not sign this answer as it stands here (${why}).`,
  zh: `该答复并非平台所签原文（${why}）。`,
});
