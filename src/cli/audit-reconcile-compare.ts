import { logEntry } from '../verification/commitment.ts';
import { decodeBase64url, type JsonObject } from '../verification/encoding.ts';
import type { LogPolicy } from '../verification/log-policy.ts';
import { verifyProof } from '../verification/tlog-proof.ts';
import { wordsOf } from './audit-log-words.ts';
import type { AskedHub, TimeRange } from './audit-reconcile-hub.ts';
import type { Fault, Words } from './audit-report.ts';
import type { StoredAnswer, StoredAnswers } from './audit-stored-answers.ts';

/** What the client kept and what the hub has, laid side by side. */

/** A record is in a published checkpoint within seconds; after this time its absence is no delay. */
const patienceMs = 60_000;
const parallel = 4;

export type Compared = {
  /** Everything that one side lacks or says otherwise, damaged answers first. */
  readonly faults: readonly Fault[];
  /** Records too young to be told. */
  readonly waiting: readonly string[];
  /** Answers of the time asked for … */
  readonly compared: number;
  /** … and those of them whose record is proved to be in the log. */
  readonly proven: number;
  /** Answered lookups the hub lists. */
  readonly listed: number;
  /** Listed records whose body is erased. */
  readonly erased: number;
};

type Sides = {
  readonly stored: StoredAnswers;
  readonly hub: AskedHub;
  readonly policy: LogPolicy;
  /** Epoch milliseconds. */
  readonly clock: () => number;
};

/** Both sides, and what was found so far. */
type Comparison = Sides & { -readonly [Name in keyof Compared]: Compared[Name] } & {
  readonly faults: Fault[];
  readonly waiting: string[];
};

/** Compares the answers of a time with the hub's log, then with its list of records. `progress` takes a line now and then. */
export async function compareWithHub(
  sides: Sides & { readonly progress: (line: string) => void },
  range: TimeRange,
): Promise<Compared> {
  const within = [...sides.stored.answers.values()].filter(({ iat }) => isWithin(range, iat));
  sides.progress(`${within.length} answers to prove`);
  const comparison: Comparison = {
    ...sides,
    faults: [...sides.stored.faults],
    waiting: [],
    compared: within.length,
    proven: 0,
    listed: 0,
    erased: 0,
  };
  const queue = within.values();
  const work = async (): Promise<void> => {
    // one iterator for all: each answer is taken once
    for (const answer of queue) await proveAnswer(comparison, answer);
  };
  await Promise.all(Array.from({ length: parallel }, work));
  for await (const record of sides.hub.records(range)) compareRecord(comparison, record);
  const { faults, waiting, compared, proven, listed, erased } = comparison;
  return { faults, waiting, compared, proven, listed, erased };
}

/** `iat` is cut to seconds, so the first second of the range counts whole. */
const isWithin = ({ from, until }: TimeRange, iat: number): boolean =>
  (from === undefined || iat >= Math.floor(from / 1000)) && (until === undefined || iat * 1000 < until);

const texts = {
  unknown_to_hub: {
    en: 'The hub does not know this record, for which it signed an answer.',
    zh: '平台不认识该记录，却曾为其签署答复。',
  },
  missing_in_log: {
    en: 'The record is not in the log, long after it was made.',
    zh: '该记录早已产生，却不在日志中。',
  },
  log_differs: {
    en: 'The log has another content for this record than the answer.',
    zh: '日志中该记录的内容与答复不符。',
  },
  hub_differs: {
    en: 'The hub now gives another commitment for this record than in its answer.',
    zh: '平台现给出的承诺值与其答复不符。',
  },
  hub_tampered: {
    en: 'The hub itself finds that its stored record was changed.',
    zh: '平台自查发现其存储的记录被改动。',
  },
  no_answer_at_hand: {
    en: 'The hub answered a lookup under this client, and no answer to it is at hand: lost, or asked by somebody else.',
    zh: '平台以该接入系统名义答复过一次用证，而此处无该答复：遗失，或为他人所查。',
  },
} as const satisfies Readonly<Record<string, Words>>;

function lacks(to: Comparison, code: keyof typeof texts, where: Fault['where']): void {
  to.faults.push({ where, code, ...texts[code] });
}

async function proveAnswer(to: Comparison, answer: StoredAnswer): Promise<void> {
  const { file, line, recordId, commitment, iat } = answer;
  const where = { file, line, recordId };
  const found = await to.hub.proofOf(recordId);
  if (found === 'unknown') return lacks(to, 'unknown_to_hub', where);
  if (found === 'not_in_log_yet') {
    if (isYoung(to, iat * 1000)) to.waiting.push(recordId);
    else lacks(to, 'missing_in_log', where);
    return;
  }
  const entry = logEntry(1, decodeBase64url(commitment) ?? Buffer.alloc(32));
  const verified = verifyProof({ proof: found.proof, entry, policy: to.policy });
  if (verified.ok) to.proven++;
  else if (verified.reason === 'not_included') lacks(to, 'log_differs', where);
  else to.faults.push({ where, code: verified.reason, ...wordsOf(verified.reason, verified.signer) });
}

const isYoung = ({ clock }: Comparison, madeAt: number): boolean => clock() - madeAt < patienceMs;

function compareRecord(to: Comparison, { recordId, recordedAt, action, outcome, commitment, state }: JsonObject): void {
  if (typeof recordId !== 'string' || typeof recordedAt !== 'string') return;
  const answer = to.stored.answers.get(recordId);
  const isAnswered = action === 'lookUp' && outcome === 'answered';
  if (isAnswered) to.listed++;
  if (state === 'erased') to.erased++;
  // of every record of this client, also of refusals, for which no answer is kept
  if (state === 'tampered') lacks(to, 'hub_tampered', { recordId });
  if (answer !== undefined) {
    const { file, line } = answer;
    if (answer.commitment !== commitment) lacks(to, 'hub_differs', { file, line, recordId });
  } else if (isAnswered) {
    // the answer may be on its way
    if (isYoung(to, Date.parse(recordedAt))) to.waiting.push(recordId);
    else lacks(to, 'no_answer_at_hand', { recordId, recordedAt });
  }
}
