import { parseArgs } from 'node:util';
import { logEntry } from '../verification/commitment.ts';
import { decodeBase64url, isJsonObject, type JsonObject, parseJsonBytesStrictly } from '../verification/encoding.ts';
import type { LogPolicy } from '../verification/log-policy.ts';
import { verifyProof } from '../verification/tlog-proof.ts';
import { readTrust } from './audit-answer-check.ts';
import { isUsageError, readPolicy, readText, UsageError } from './audit-inputs.ts';
import { ask } from './audit-log-source.ts';
import { wordsOf } from './audit-log-words.ts';
import { asJson, asText, exitCodeOf, type Fault, printable, type Report, type Words } from './audit-report.ts';
import { readAnswers, type StoredAnswer, type StoredAnswers } from './audit-stored-answers.ts';
import { fetchToken } from './client.ts';
import type { CommandIo } from './keys.ts';

/** The usage. */
export const help = `certhub audit reconcile: compare a client's own stored answers with the log of the hub

  certhub audit reconcile --answers PLACE… --url HUB --id CLIENT --key FILE [--trust BUNDLE]
                          (--policy FILE | --log-key KEY) [--from TIME] [--until TIME] [--json]
      --answers  the answers this client kept: a file or folder of lookup JSON files, or of answers (JWS), one a file or one a
                 line; may be repeated
      --url      the hub
      --id       the client; its records are asked for
      --key      its private JWK
      --trust    the trust bundle written by certhub trust export; else trust-bundle.json in the working directory
      --policy   keys of the log and its witnesses (C2SP tlog-policy); or the log's alone:
      --log-key  as text or in a file
      --from     only what was answered at or after this time (RFC 3339)
      --until    … and before this time

  Lists what one side lacks: answers whose record is not in the log or is another, and records of answered lookups for which no answer
  is at hand, which may mean that somebody else used this client's key.

  Exit code: 0 both sides agree · 14 some records are too young to be told · 17 they differ · 2 wrong usage or no connection
`;

/** A record is in a published checkpoint within seconds; after this time its absence is no delay. */
const patienceMs = 60_000;
const maxBundleBytes = 128 * 2 ** 20;
const parallel = 4;
const maxListed = 1000;

/** Runs `certhub audit reconcile …`; `clock` in epoch milliseconds. */
export async function run(argv: readonly string[], io: CommandIo, clock: () => number = Date.now): Promise<number> {
  try {
    const options = readOptions(argv);
    if (options === undefined) {
      io.stdout.write(help);
      return 0;
    }
    const policy = await readPolicy(options.policy, options.logKeys);
    const trust = readTrust(await readText(options.trust, 'the trust bundle', maxBundleBytes), options.trust);
    const stored = await readAnswers(options.answers, { trust, clientId: options.id, now: clock() });
    const report = await reconcile(options, { policy, stored, clock, io });
    io.stdout.write(options.json ? asJson(report) : asText(report));
    return exitCodeOf(report);
  } catch (error) {
    if (!isUsageError(error)) throw error;
    io.stderr.write(`certhub audit reconcile: ${printable(error.message)}\nSee certhub audit reconcile --help.\n`);
    return 2;
  }
}

type Options = NonNullable<ReturnType<typeof readOptions>>;

function readOptions(argv: readonly string[]) {
  const { values } = parseArgs({
    args: [...argv],
    strict: true,
    options: {
      answers: { type: 'string', multiple: true, default: [] },
      url: { type: 'string' },
      id: { type: 'string' },
      key: { type: 'string' },
      trust: { type: 'string', default: 'trust-bundle.json' },
      policy: { type: 'string' },
      'log-key': { type: 'string', multiple: true, default: [] },
      from: { type: 'string' },
      until: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  const { answers, url, id, key, trust, policy, json } = values;
  if (answers.length === 0) throw new UsageError('--answers is missing');
  if (url === undefined || id === undefined || key === undefined)
    throw new UsageError('--url, --id and --key are needed');
  const from = readTime('--from', values.from);
  const until = readTime('--until', values.until);
  return {
    answers,
    url: url.replace(/\/+$/, ''),
    id,
    key,
    trust,
    policy,
    json,
    from,
    until,
    logKeys: values['log-key'],
  };
}

const timeShape = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/;

function readTime(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const time = timeShape.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) throw new UsageError(`${name} must be a time such as 2026-11-22T08:00:00Z`);
  return time;
}

type Circumstances = {
  readonly policy: LogPolicy;
  readonly stored: StoredAnswers;
  readonly clock: () => number;
  readonly io: CommandIo;
};

/** Both sides, and what was found; changed as they are read. */
type Comparison = Circumstances & {
  readonly faults: Fault[];
  readonly waiting: string[];
  proven: number;
  /** Answered lookups the hub lists. */
  listed: number;
  erased: number;
};

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

async function reconcile(options: Options, circumstances: Circumstances): Promise<Report> {
  const { stored, io } = circumstances;
  const comparison: Comparison = {
    ...circumstances,
    faults: [...stored.faults],
    waiting: [],
    proven: 0,
    listed: 0,
    erased: 0,
  };
  const within = [...stored.answers.values()].filter(({ iat }) => isWithin(options, iat));
  io.stderr.write(`certhub audit reconcile: ${within.length} answers to prove\n`);
  const queue = within.values();
  const work = async (): Promise<void> => {
    // one iterator for all: each answer is taken once
    for (const answer of queue) await proveAnswer(options, comparison, answer);
  };
  await Promise.all(Array.from({ length: parallel }, work));
  await compareRecords(options, comparison);
  return reportOf(options, comparison, within.length);
}

/** `iat` is cut to seconds, so the first second of the range counts whole. */
const isWithin = ({ from, until }: Options, iat: number): boolean =>
  (from === undefined || iat >= Math.floor(from / 1000)) && (until === undefined || iat * 1000 < until);

async function proveAnswer({ url }: Options, to: Comparison, answer: StoredAnswer): Promise<void> {
  const { file, line, recordId, commitment, iat } = answer;
  const where = { file, line, recordId };
  const { status, body } = await ask(`${url}/log/proof/${recordId}`, {});
  if (status === 404) {
    const isWaiting = codeOf(body) === 'not_in_log_yet';
    if (!isWaiting) lacks(to, 'unknown_to_hub', where);
    else if (to.clock() - iat * 1000 < patienceMs) to.waiting.push(recordId);
    else lacks(to, 'missing_in_log', where);
    return;
  }
  if (status !== 200) throw new UsageError(`${url} answered status ${status} for the proof of ${recordId}`);
  const entry = logEntry(1, decodeBase64url(commitment) ?? Buffer.alloc(32));
  const verified = verifyProof({ proof: body.toString('utf8'), entry, policy: to.policy });
  if (verified.ok) to.proven++;
  else if (verified.reason === 'not_included') lacks(to, 'log_differs', where);
  else to.faults.push({ where, code: verified.reason, ...wordsOf(verified.reason, verified.signer) });
}

function codeOf(body: Buffer): string | undefined {
  const parsed = parseJsonBytesStrictly(body);
  const code = parsed.ok && isJsonObject(parsed.value) ? parsed.value['code'] : undefined;
  return typeof code === 'string' ? code : undefined;
}

async function compareRecords(options: Options, to: Comparison): Promise<void> {
  const { from, until } = options;
  const range = {
    ...(from !== undefined && { from: new Date(from).toISOString() }),
    ...(until !== undefined && { until: new Date(until).toISOString() }),
  };
  const search = searcher(options);
  const seen = new Set<string>();
  let after: string | undefined;
  do {
    const { items, next } = await search({ ...range, limit: 1000, ...(after !== undefined && { after }) });
    if (!Array.isArray(items) || (next !== undefined && typeof next !== 'string')) {
      throw new UsageError(`${options.url} did not answer as a hub does`);
    }
    for (const item of items) if (isJsonObject(item)) compareRecord(to, item);
    after = next === undefined ? undefined : unseen(seen, next, options.url);
  } while (after !== undefined);
}

/** Notes a page's cursor; pages that come again would be read for ever. */
function unseen(seen: Set<string>, next: string, url: string): string {
  if (seen.has(next)) throw new UsageError(`${url} gives the same page of records again`);
  seen.add(next);
  return next;
}

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
    const time = Date.parse(recordedAt);
    if (to.clock() - time < patienceMs) to.waiting.push(recordId);
    else lacks(to, 'no_answer_at_hand', { recordId, recordedAt });
  }
}

/** Asks the hub under the client's own name; a token that has run out is replaced once. */
function searcher({ url, id, key }: Options): (body: JsonObject) => Promise<JsonObject> {
  let token: string | undefined;
  const renew = async (): Promise<string> =>
    fetchToken(id, key, url).catch((error: unknown) => {
      throw new UsageError(error instanceof Error ? error.message : 'no token');
    });
  return async (body) => {
    for (let attempt = 1; ; attempt++) {
      token ??= await renew();
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      const init = { method: 'POST', headers, body: JSON.stringify(body) };
      const answer = await ask(`${url}/v1/receipts/searches`, init);
      const parsed = parseJsonBytesStrictly(answer.body);
      if (answer.status === 200 && parsed.ok && isJsonObject(parsed.value)) return parsed.value;
      if (answer.status !== 401 || attempt > 1) {
        throw new UsageError(`${url} refused the list of records: ${codeOf(answer.body) ?? answer.status}`);
      }
      token = undefined;
    }
  };
}

function reportOf({ id, url }: Options, comparison: Comparison, compared: number): Report {
  const { stored, faults, waiting, proven, listed, erased } = comparison;
  const label = (en: string, zh: string): Words => ({ en, zh });
  const repeated = stored.duplicates.slice(0, 20).map(({ file, line, recordId }) => `${recordId} (${file}:${line})`);
  const undecided =
    waiting.length === 0
      ? []
      : [
          label(
            `Younger than a minute, ask again soon: ${waiting.slice(0, 20).join(', ')}`,
            `产生不足一分钟，请稍后再核：${waiting.length} 条`,
          ),
        ];
  return {
    title: label('Own answers compared with the log', '自存答复与日志核对'),
    facts: [
      [label('client', '接入系统'), `${id} @ ${url}`],
      [label('answers kept', '自存答复'), `${stored.answers.size}, ${compared} in the time asked for 在所查时段`],
      [label('answered lookups of the hub', '平台所列已答复用证'), String(listed)],
      [
        label('kept more than once', '重复保存'),
        repeated.length === 0 ? '0' : `${stored.duplicates.length}: ${repeated.join(', ')}`,
      ],
      ...(erased > 0 ? [[label('records whose body is erased', '内容已清除的记录'), String(erased)] as const] : []),
    ],
    proved: [
      label(
        `${proven} answers: signed by the hub, and their records are in the log under a checkpoint that fits your policy.`,
        `${proven} 份答复：由平台签署，其记录位于符合您策略的检查点之下的日志中。`,
      ),
      ...(waiting.length > 0 ? [] : [label('Both sides have the same answered lookups.', '双方的已答复用证一致。')]),
    ],
    notProved: [
      label(
        "That the hub listed all records of this client: the list is the hub's word. Only the log as a whole can be counted.",
        '平台列出了该接入系统的全部记录：该清单为平台自述。',
      ),
    ],
    undecided,
    faults: faults.slice(0, maxListed),
    moreFaults: Math.max(0, faults.length - maxListed),
  };
}
