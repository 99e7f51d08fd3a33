import { type FileHandle, open } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { type AnswerPayload, answerTyp, verifyAnswer } from '../verification/answer-verdict.ts';
import { decodeUtf8, isJsonObject, parseJsonStrictly } from '../verification/encoding.ts';
import { parseCompactJws } from '../verification/jws.ts';
import { parseTrustBundle, type TrustBundle } from '../verification/trust-bundle.ts';
import { type JudgedCertificate, type Verdict, verifyCertificate } from '../verification/verdict.ts';
import { type Reason, type VerdictNumber, verdictMeanings } from '../verification/verdict-reasons.ts';
import type { CommandIo } from './keys.ts';

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

const maxFileBytes = 8 * 2 ** 20;
const maxBundleBytes = 128 * 2 ** 20;
/** A little time for clocks that differ; no bundle knows the future. */
const clockSkewMs = 60_000;

class UsageError extends Error {}

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
export async function run(argv: readonly string[], io: CommandIo, clock: () => number = Date.now): Promise<number> {
  try {
    const options = readOptions(argv);
    if (options === undefined) {
      io.stdout.write(help);
      return 0;
    }
    const now = clock();
    const at = options.at === undefined ? now : readTime(options.at, now);
    const bundleFile = options.trust ?? 'trust-bundle.json';
    const trust = readBundle(await readText(bundleFile, maxBundleBytes, 'the trust bundle'), bundleFile);
    const sdJwts: string[] = [];
    for (const file of options.sdJwts) sdJwts.push(await readText(file, maxFileBytes, 'the certificate'));
    const exhibit = readExhibit(await readText(options.file, maxFileBytes, 'FILE'), sdJwts);
    const outcome = judge(exhibit, { trust, at: Math.floor(at / 1_000), now: Math.floor(now / 1_000) });
    io.stdout.write(options.json ? asJson(outcome, trust, at) : asText(outcome, trust, at));
    return outcome.verdict === 0 ? 0 : 10 + outcome.verdict;
  } catch (error) {
    if (!(error instanceof UsageError) && !isParseArgsError(error)) throw error;
    io.stderr.write(`certhub verify: ${printable(error.message)}\nSee certhub verify --help.\n`);
    return 2;
  }
}

const isParseArgsError = (error: unknown): error is Error =>
  error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');

function readOptions(argv: readonly string[]) {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    strict: true,
    options: {
      trust: { type: 'string' },
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

const timePattern = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/;

function readTime(text: string, now: number): number {
  const time = timePattern.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) throw new UsageError('--at must be a time such as 2026-11-22T08:00:00Z');
  if (time > now + clockSkewMs) throw new UsageError('--at is in the future, which nobody can vouch for');
  return time;
}

/** The text of a file of limited size. Whatever is wrong with the file is a UsageError that names it. */
async function readText(file: string, maxBytes: number, what: string): Promise<string> {
  const bytes = await readBytes(file, maxBytes).catch((error: unknown) => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw new UsageError(`cannot read ${what} ${file}: ${fileFaults[code] ?? code}`);
  });
  if (bytes === undefined) throw new UsageError(`${what} ${file} is larger than ${maxBytes / 2 ** 20} MiB`);
  const text = decodeUtf8(bytes);
  if (text === undefined) throw new UsageError(`${what} ${file} is not text in UTF-8`);
  // editors of some systems put a byte order mark in front and a line end behind
  return text.replace(/^\ufeff/, '').trim();
}

const fileFaults: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EISDIR: 'it is a directory',
  EACCES: 'permission denied',
};

/** At most `maxBytes` of a file, or undefined when there are more: devices and pipes have no size to ask for. */
async function readBytes(file: string, maxBytes: number): Promise<Buffer | undefined> {
  const handle = await open(file === '-' ? '/dev/stdin' : file, 'r');
  try {
    return await readAtMost(handle, maxBytes);
  } finally {
    await handle.close();
  }
}

async function readAtMost(handle: FileHandle, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  while (size <= maxBytes) {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(65_536), 0, 65_536, null);
    if (bytesRead === 0) return Buffer.concat(chunks);
    chunks.push(buffer.subarray(0, bytesRead));
    size += bytesRead;
  }
  return undefined;
}

function readBundle(text: string, file: string): TrustBundle {
  const read = parseTrustBundle(text);
  if (read.ok) return read.value;
  const where = read.pointer === '' ? '' : `, see ${read.pointer}`;
  throw new UsageError(`${file} is not a trust bundle${where}; make one with certhub trust export`);
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
  return `${JSON.stringify(document, null, 2)}\n`;
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
  return lines.map((line) => `${printable(line)}\n`).join('');
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

/** Without characters that steer a terminal or turn the direction of writing: the text comes from strangers. */
const printable = (text: string): string =>
  text.replace(/[\p{Cc}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu, '\ufffd');
