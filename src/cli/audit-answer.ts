import { type AnswerPayload, verifyAnswer } from '../verification/answer-verdict.ts';
import { isJsonObject, type JsonObject, parseJsonStrictly } from '../verification/encoding.ts';
import type { TrustBundle } from '../verification/trust-bundle.ts';
import type { Fault } from './audit-report.ts';

/** An answer that a client kept: what it stands in, and whether the hub signed it. */

/** Nothing of it is checked yet; `recordId` stands beside it in a lookup's JSON. */
export type KeptAnswer = { readonly jws: string; readonly recordId?: string };

/** The answer in a lookup's JSON, or a text that looks like a JWS; the text is trimmed. */
export function answerIn(text: string): KeptAnswer | undefined {
  if (/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/.test(text)) return { jws: text };
  return answerOf(objectIn(text));
}

/** All answers in such a text, or in the JSON of a matter check, whose evidence may be none; undefined when it is neither. */
export function answersIn(text: string): readonly KeptAnswer[] | undefined {
  const { evidence } = objectIn(text);
  if (!Array.isArray(evidence)) {
    const one = answerIn(text);
    return one && [one];
  }
  const all = evidence.map((each) => answerOf(isJsonObject(each) ? each : {}));
  const whole = all.filter((each) => each !== undefined);
  return whole.length === all.length ? whole : undefined;
}

function objectIn(text: string): JsonObject {
  const parsed = text.startsWith('{') ? parseJsonStrictly(text) : undefined;
  return parsed?.ok === true && isJsonObject(parsed.value) ? parsed.value : {};
}

function answerOf({ answer, recordId }: JsonObject): KeptAnswer | undefined {
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
