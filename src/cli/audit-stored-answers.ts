import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { TrustBundle } from '../verification/trust-bundle.ts';
import { answerFalse, answersIn, judgeAnswer } from './audit-answer.ts';
import type { Fault } from './audit-report.ts';
import { readText, unreadable, withoutMark } from './offline-inputs.ts';

/** The answers that a client kept: read, and believed only after their signature was checked. */

export type StoredAnswer = {
  readonly file: string;
  readonly line: number;
  readonly recordId: string;
  /** base64url of 32 bytes. */
  readonly commitment: string;
  /** Epoch seconds. */
  readonly iat: number;
};

export type StoredAnswers = {
  readonly answers: Map<string, StoredAnswer>;
  readonly faults: Fault[];
  /** Answers that are kept more than once. */
  readonly duplicates: StoredAnswer[];
};

const maxAnswersBytes = 256 * 2 ** 20;

/** Reads files and folders (with what is below them) of answers: a JWS or the JSON of a lookup or a matter check each, or one a line. */
export async function readAnswers(
  places: readonly string[],
  by: { readonly trust: TrustBundle; readonly clientId: string; readonly now: number },
): Promise<StoredAnswers> {
  const stored: StoredAnswers = { answers: new Map(), faults: [], duplicates: [] };
  for (const place of places) {
    for (const file of await filesAt(place)) {
      const text = withoutMark(await readText(file, 'the answers', maxAnswersBytes));
      if (!takeAll(stored, by, { file, line: 1 }, text.trim())) takeLines(stored, by, file, text);
    }
  }
  return stored;
}

async function filesAt(place: string): Promise<string[]> {
  try {
    if (place === '-' || !(await stat(place)).isDirectory()) return [place];
    const entries = await readdir(place, { withFileTypes: true, recursive: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort();
  } catch (error) {
    throw unreadable(place, 'the answers', error);
  }
}

type Bound = Parameters<typeof readAnswers>[1];
type Place = Pick<StoredAnswer, 'file' | 'line'>;

function takeLines(stored: StoredAnswers, by: Bound, file: string, text: string): void {
  for (const [at, line] of text.split('\n').entries()) {
    const trimmed = line.trim();
    if (trimmed === '') continue;
    const where = { file, line: at + 1 };
    if (!takeAll(stored, by, where, trimmed)) {
      stored.faults.push({ where, code: 'answer_unreadable', ...words.answer_unreadable });
    }
  }
}

/** False when the text holds no answers. */
function takeAll(stored: StoredAnswers, by: Bound, where: Place, text: string): boolean {
  const kept = answersIn(text);
  for (const { jws } of kept ?? []) take(stored, by, { ...where, jws });
  return kept !== undefined;
}

const words = {
  answer_unreadable: { en: 'This is no answer of a hub.', zh: '这不是平台的答复。' },
  answer_of_another: { en: 'This answer was given to another client.', zh: '该答复系发给另一接入系统。' },
  answers_contradict: {
    en: 'Two answers with good signatures name the same record with different commitments: the hub contradicts itself.',
    zh: '两份签名有效的答复以不同承诺值指向同一记录：平台自相矛盾。',
  },
};

const recordIdShape = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

function take(
  stored: StoredAnswers,
  { trust, clientId, now }: Bound,
  { file, line, jws }: Place & { readonly jws: string },
): void {
  const where = { file, line };
  const judged = judgeAnswer(jws, trust, now);
  if (!judged.ok) {
    stored.faults.push({ where, ...judged.fault });
    return;
  }
  const { answer } = judged;
  if (!recordIdShape.test(answer.jti)) {
    stored.faults.push({ where, ...answerFalse('record_id_malformed') });
  } else if (answer.aud !== clientId) {
    stored.faults.push({ where, code: 'answer_of_another', ...words.answer_of_another });
  } else keep(stored, { ...where, recordId: answer.jti, commitment: answer.commitment, iat: answer.iat });
}

function keep({ answers, duplicates, faults }: StoredAnswers, answer: StoredAnswer): void {
  const { file, line, recordId, commitment } = answer;
  const known = answers.get(recordId);
  if (known === undefined) answers.set(recordId, answer);
  else if (known.commitment === commitment) duplicates.push(answer);
  else faults.push({ where: { file, line, recordId }, code: 'answers_contradict', ...words.answers_contradict });
}
