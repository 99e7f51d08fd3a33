import { parseArgs } from 'node:util';
import { type AnswerPayload, answerTyp, verifyAnswer } from '../verification/answer-verdict.ts';
import { isJsonObject, parseJsonStrictly } from '../verification/encoding.ts';
import { parseCompactJws } from '../verification/jws.ts';
import type { TrustBundle } from '../verification/trust-bundle.ts';
import { type JudgedCertificate, type Verdict, verifyCertificate } from '../verification/verdict.ts';
import { type Reason, type VerdictNumber, verdictMeanings } from '../verification/verdict-reasons.ts';
import type { CommandIo } from './command-io.ts';
import { readTrimmed, readTrust } from './offline-inputs.ts';
import { printableJson, printableLines } from './printable.ts';
import { readTime } from './read-time.ts';
import { runOffline } from './run-offline.ts';
import { UsageError } from './usage-error.ts';

/** One line for the list of commands, then the usage. */
export const help = `certhub verify: check a certificate or an answer offline, without server and database

  certhub verify FILE [--trust BUNDLE] [--at TIME] [--json] [--sd-jwt FILE]…
      FILE      a sealed certificate (SD-JWT), an answer of the hub (JWS), or the JSON a lookup returned; - for
                standard input
      --trust   the trust bundle written by certhub trust export; else trust-bundle.json in the working directory
      --at      was it good then? RFC 3339, e.g. 2026-11-22T08:00:00Z
      --json    print the verdict as JSON
      --sd-jwt  a certificate that came with the answer; may be repeated

  Exit code: 0 correct and valid · 11 not in force yet · 12 suspended · 13 no longer valid · 14 not enough
  information · 16 nothing given · 17 wrong or incomplete · 2 wrong usage or a file that cannot be read
`;

/** A little time for clocks that differ; no bundle knows the future. */
const clockSkewMs = 60_000;

/** What is to be verified, as found in FILE. */
type Exhibit =
  | { readonly kind: 'certificate'; readonly sdJwt: string }
  | { readonly kind: 'answer'; readonly answer: string; readonly sdJwts: readonly string[] };

/** A verdict over everything in FILE. */
type Outcome = {
  readonly verdict: VerdictNumber;
  readonly reasons: readonly Reason[];
  readonly answer?: AnswerPayload;
  readonly certificates: readonly Verdict[];
};

/**
 * Runs `certhub verify …`. Exit code: 0 for verdict 0, 10 + verdict for others, 2 for wrong usage and unreadable files.
 * `clock` in epoch milliseconds.
 */
export const run = (argv: readonly string[], io: CommandIo, clock: () => number = Date.now): Promise<number> =>
  runOffline(
    { name: 'certhub verify', help, io },
    () => readOptions(argv),
    async (options) => {
      const now = clock();
      const at = options.at === undefined ? now : readPastTime(options.at, now);
      const trust = await readTrust(options.trust);
      const sdJwts: string[] = [];
      for (const file of options.sdJwts) sdJwts.push(await readTrimmed(file, 'the certificate'));
      const exhibit = readExhibit(await readTrimmed(options.file, 'FILE'), sdJwts);
      const outcome = judge(exhibit, { trust, at: Math.floor(at / 1_000), now: Math.floor(now / 1_000) });
      return {
        text: options.json ? asJson(outcome, trust, at) : asText(outcome, trust, at),
        exitCode: outcome.verdict === 0 ? 0 : 10 + outcome.verdict,
      };
    },
  );

function readOptions(argv: readonly string[]) {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    strict: true,
    options: {
      trust: { type: 'string', default: 'trust-bundle.json' },
      at: { type: 'string' },
      json: { type: 'boolean', default: false },
      'sd-jwt': { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  const [file, ...surplus] = positionals;
  if (file === undefined) throw new UsageError('FILE is missing');
  if (surplus.length > 0) throw new UsageError(`unexpected: ${surplus.join(' ')}`);
  const { trust, at, json } = values;
  return { file, trust, at, json, sdJwts: values['sd-jwt'] };
}

function readPastTime(text: string, now: number): number {
  const time = readTime('--at', text);
  if (time > now + clockSkewMs) throw new UsageError('--at is in the future, which nobody can vouch for');
  return time;
}

/** A JSON document is what a lookup returned; a text with `~` an SD-JWT; everything else is judged as an answer. */
function readExhibit(text: string, sdJwts: readonly string[]): Exhibit {
  if (text.startsWith('{')) return readLookup(text, sdJwts);
  const typ = text.includes('~') ? undefined : typOf(text);
  if (text === '' || text.includes('~') || (typ !== undefined && typ !== answerTyp && sdJwts.length === 0)) {
    if (sdJwts.length > 0) throw new UsageError('--sd-jwt goes with an answer, and FILE is a certificate');
    return { kind: 'certificate', sdJwt: text };
  }
  return { kind: 'answer', answer: text, sdJwts };
}

function typOf(text: string): unknown {
  const jws = parseCompactJws(text);
  return jws.ok ? jws.value.header['typ'] : undefined;
}

function readLookup(text: string, more: readonly string[]): Exhibit {
  const parsed = parseJsonStrictly(text);
  if (!parsed.ok || !isJsonObject(parsed.value)) throw new UsageError('FILE is not well-formed JSON');
  const { answer, certificates, sdJwt } = parsed.value;
  if (typeof answer === 'string' && (certificates === undefined || Array.isArray(certificates))) {
    const own = (certificates ?? []).map((each) => (isJsonObject(each) ? each['sdJwt'] : undefined));
    const sdJwts = own.filter((each) => typeof each === 'string');
    // one that cannot be read must not be passed over in silence
    if (sdJwts.length < own.length) throw new UsageError('a certificate of FILE has no sdJwt');
    return { kind: 'answer', answer, sdJwts: [...sdJwts, ...more] };
  }
  if (typeof sdJwt === 'string' && more.length === 0) return { kind: 'certificate', sdJwt };
  throw new UsageError('FILE is JSON, but neither what a lookup returns nor an object with sdJwt');
}

type Circumstances = { readonly trust: TrustBundle; readonly at: number; readonly now: number };

function judge(exhibit: Exhibit, circumstances: Circumstances): Outcome {
  if (exhibit.kind === 'answer') return verifyAnswer({ ...circumstances, ...exhibit });
  const verdict = verifyCertificate({ ...circumstances, sdJwt: exhibit.sdJwt });
  return { verdict: verdict.verdict, reasons: [], certificates: [verdict] };
}

function asJson(outcome: Outcome, trust: TrustBundle, at: number): string {
  const document = {
    verdict: outcome.verdict,
    meaning: verdictMeanings[outcome.verdict],
    at: new Date(at).toISOString(),
    trust: { issuer: trust.issuer, createdAt: isoTime(trust.createdAt) },
    reasons: outcome.reasons,
    ...(outcome.answer === undefined ? {} : { answer: outcome.answer }),
    certificates: outcome.certificates,
  };
  return printableJson(document);
}

function asText(outcome: Outcome, trust: TrustBundle, at: number): string {
  const meaning = verdictMeanings[outcome.verdict];
  const lines = [`Verdict ${outcome.verdict}: ${meaning.en}`, `结论 ${outcome.verdict}：${meaning.zh}`, ''];
  if (outcome.answer !== undefined) lines.push(...answerLines(outcome.answer));
  lines.push(...outcome.reasons.map(reasonLine));
  for (const { verdict, certificate, reasons } of outcome.certificates) {
    const name = certificate === undefined ? 'not recognised' : certificate.identifier;
    lines.push(`Certificate 证照 ${name} (${verdict})`);
    if (certificate !== undefined) lines.push(...certificateLines(certificate));
    lines.push(...reasons.map(reasonLine));
  }
  const asked = `at 查验时间 ${new Date(at).toISOString()}`;
  lines.push('', `${asked}, by the trust bundle of 信任包 ${trust.issuer} ${isoTime(trust.createdAt)}`);
  return printableLines(lines);
}

const answerLines = (answer: AnswerPayload): string[] => [
  `Answer 答复 ${answer.jti} of ${answer.iss} to ${answer.aud}, ${isoTime(answer.iat)}`,
  ...answer.certificates.map(
    ({ certificateIdentifier, status, level, compare }) =>
      `  ${certificateIdentifier}: ${status}, ${level}${compare === undefined ? '' : ` ${JSON.stringify(compare)}`}`,
  ),
];

const certificateLines = (certificate: JudgedCertificate): string[] => [
  `  type 类型        ${certificate.typeName.zh} / ${certificate.typeName.en} (${certificate.typeCode})`,
  `  issuer 发证机关  ${certificate.issuerName.zh} / ${certificate.issuerName.en} (${certificate.issuer})`,
  `  sealed 签章      ${isoTime(certificate.sealedAt)}`,
  `  in force 有效期  ${isoTime(certificate.validFrom)} – ${isoTime(certificate.validUntil)}`,
  `  status 状态      ${certificate.status}`,
  ...Object.entries(certificate.disclosed).map(([name, value]) => `  ${name}: ${JSON.stringify(value)}`),
];

const reasonLine = ({ code, zh, en }: Reason): string => `  - ${en} ${zh} [${code}]`;

/** Times of a signed text may be any number. */
function isoTime(seconds: number | undefined): string {
  if (seconds === undefined) return '…';
  const time = new Date(seconds * 1_000);
  return Number.isNaN(time.getTime()) ? String(seconds) : time.toISOString().replace('.000Z', 'Z');
}
