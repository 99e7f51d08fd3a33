import { createHash } from 'node:crypto';
import type { Entry } from '../audit/entry.ts';
import { RecordedRefusal, type Recorder } from '../audit/record.ts';
import { Refusal } from '../errors.ts';
import type { IndexKeys } from '../signing/data-keys.ts';
import { verifyAnswer } from '../verification/answer-verdict.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import {
  isCertificateIdentifier,
  type ParsedCertificateIdentifier,
  parseCertificateIdentifier,
} from '../verification/identifiers.ts';
import type { TrustBundle } from '../verification/trust-bundle.ts';
import { type Verdict, verifyCertificate } from '../verification/verdict.ts';
import {
  reason,
  type VerdictNumber,
  verdictMeanings,
  verdictOf,
  worstVerdict,
} from '../verification/verdict-reasons.ts';
import { presentSdJwt, sealHeader } from './read-certificates.ts';
import { type FaceValues, givenFaceValues, leastFaceValues, matchesFace } from './verify-online-face.ts';
import { type FileDeps, type FiledCertificate, findOnFile, isSealOnFile, joinFile } from './verify-online-file.ts';
import type { GuessLimit } from './verify-online-guesses.ts';
import { type FiledVerdict, fileVerdict, identifierVerdict, type ToldReason } from './verify-online-words.ts';

export interface VerifyDeps extends FileDeps {
  readonly keys: FileDeps['keys'] & Pick<IndexKeys, 'holderKey'>;
  /** What is believed now: `TrustBundles.live`. */
  readonly trust: () => Promise<TrustBundle>;
  readonly record: Recorder;
  readonly guesses: GuessLimit;
}

/** What somebody wants verified: exactly one of `sdJwt`, `answer`, `certificateIdentifier`, with what belongs to it. */
export interface VerifyInput {
  readonly sdJwt?: string | undefined;
  readonly answer?: string | undefined;
  readonly sdJwts?: readonly string[] | undefined;
  readonly certificateIdentifier?: string | undefined;
  readonly faceValues?: FaceValues | undefined;
  /** RFC 3339: was it good then? */
  readonly at?: string | undefined;
  readonly requestId: string;
  readonly receivedAt: Date;
}

/** The verdict as told. `certificates` are the genuine ones; values appear only if the asker's SD-JWT disclosed them. */
export interface Verification {
  readonly verdict: VerdictNumber;
  readonly meaning: { readonly zh: string; readonly en: string };
  readonly reasons: ToldReason[];
  readonly certificates: {
    readonly certificateIdentifier: string;
    readonly certificateTypeCode: string;
    readonly issuingAuthorityCode: string;
    readonly disclosed?: Record<string, unknown>;
  }[];
  readonly at: string;
  readonly recordId: string;
}

/** What was found out, before it is recorded and told. */
interface Finding {
  readonly verdict: VerdictNumber;
  readonly reasons: readonly ToldReason[];
  readonly certificates: Verification['certificates'];
  /** Certificates on file that the question touched, told or not. */
  readonly touched: readonly FiledCertificate[];
}

type Mode = 'nothing' | 'sd_jwt' | 'answer' | 'face_values';

/** When the question is about: `past` is undefined for now. */
interface Times {
  readonly at: number;
  readonly now: number;
  readonly past: Date | undefined;
}

/** A little time for clocks that differ. */
const clockSkewMs = 60_000;

/**
 * Verifies for anyone: a sealed certificate, an answer with its certificates, or values read off a certificate. Says
 * one of the verdicts 0 to 7 with every reason, and records the question before the answer leaves (invariant 1).
 * Throws `contract_violation` for contradicting input, `rate_limited` when values are tried out, `record_unavailable`.
 */
export async function verifyOnline(deps: VerifyDeps, input: VerifyInput): Promise<Verification> {
  try {
    const mode = modeOf(input);
    const times = timesOf(input);
    const finding = await find(deps, mode, input, times);
    const { verdict, certificates } = finding;
    const told = {
      verdict,
      meaning: verdictMeanings[verdict],
      reasons: [...finding.reasons],
      certificates,
      at: new Date(times.past ?? input.receivedAt).toISOString(),
    };
    const receipt = await deps.record(entryOf(deps, { mode, input, finding, told }));
    return { ...told, recordId: receipt.recordId };
  } catch (error) {
    throw await recordedRefusal(deps, input, error);
  }
}

/** Records a refusal with the certificate it is about, which the server would not know. Others are passed on as they are. */
async function recordedRefusal({ record }: VerifyDeps, input: VerifyInput, error: unknown): Promise<unknown> {
  if (!(error instanceof Refusal) || error.code.endsWith('_unavailable') || error.code === 'shutting_down')
    return error;
  const about = error.detail['certificateIdentifier'] ?? input.certificateIdentifier;
  const receipt = await record({
    kind: 'access',
    action: 'verify',
    outcome: error.code === 'stored_data_tampered' ? 'failed' : 'refused',
    code: error.code,
    ...(typeof about === 'string' && isCertificateIdentifier(about) ? { certificates: [about] } : {}),
    requestId: input.requestId,
    at: input.receivedAt,
  });
  return new RecordedRefusal(error.code, receipt, error.detail);
}

/** The members of a question of which exactly one says what is to be verified; an empty text is as good as none. */
const exhibits = { sdJwt: 'sd_jwt', answer: 'answer', certificateIdentifier: 'face_values' } as const;

function modeOf(input: VerifyInput): Mode {
  const violation = (pointer: string, rule: string): Refusal => new Refusal('contract_violation', { pointer, rule });
  const [first, second] = (Object.keys(exhibits) as (keyof typeof exhibits)[]).filter((name) => isText(input[name]));
  if (second !== undefined) throw violation(`/${second}`, 'one_of_sdJwt_answer_certificateIdentifier');
  if (input.sdJwts !== undefined && first !== 'answer') throw violation('/sdJwts', 'only_with_answer');
  if (input.faceValues === undefined) return first === undefined ? 'nothing' : exhibits[first];
  if (first === 'sdJwt' || first === 'answer') throw violation('/faceValues', 'only_with_certificateIdentifier');
  return 'face_values';
}

const isText = (value: string | undefined): boolean => value !== undefined && value !== '';

function timesOf({ at, receivedAt }: VerifyInput): Times {
  const now = Math.floor(receivedAt.getTime() / 1_000);
  if (at === undefined) return { at: now, now, past: undefined };
  const past = new Date(at);
  const time = past.getTime();
  if (Number.isNaN(time)) throw new Refusal('contract_violation', { pointer: '/at', rule: 'date-time' });
  if (time > receivedAt.getTime() + clockSkewMs) {
    throw new Refusal('contract_violation', { pointer: '/at', rule: 'not_in_the_future' });
  }
  return { at: Math.floor(time / 1_000), now, past };
}

async function find(deps: VerifyDeps, mode: Mode, input: VerifyInput, times: Times): Promise<Finding> {
  switch (mode) {
    case 'nothing': {
      const reasons = [reason('nothing_given')];
      return { verdict: verdictOf(['nothing_given']), reasons, certificates: [], touched: [] };
    }
    case 'sd_jwt':
      return findSdJwt(deps, input.sdJwt ?? '', times);
    case 'answer':
      return findAnswer(deps, input, times);
    case 'face_values':
      return findFaceValues(deps, input, times);
  }
}

/** The files are asked afterwards, and only about genuine certificates (Token Status List, 8.3). */
const asIfValid = () => 'valid' as const;

async function findSdJwt(deps: VerifyDeps, sdJwt: string, times: Times): Promise<Finding> {
  const verdict = verifyCertificate({ ...times, sdJwt, trust: await deps.trust(), statusOf: asIfValid });
  const { filed, verdict: joined } = await judgeOnFile(deps, { sdJwt, verdict, past: times.past });
  return findingOf(joined, filed, { disclose: true });
}

async function findAnswer(deps: VerifyDeps, { answer = '', sdJwts = [] }: VerifyInput, times: Times): Promise<Finding> {
  const judged = verifyAnswer({ ...times, answer, sdJwts, trust: await deps.trust(), statusOf: asIfValid });
  const findings: Finding[] = [];
  for (const [index, verdict] of judged.certificates.entries()) {
    const sdJwt = sdJwts[index] ?? '';
    const { filed, verdict: joined } = await judgeOnFile(deps, { sdJwt, verdict, past: times.past });
    findings.push(findingOf(joined, filed, { disclose: true }));
  }
  const own = verdictOf(judged.reasons.map(({ code }) => code));
  return {
    verdict: worstVerdict([own, ...findings.map((each) => each.verdict)]),
    reasons: [...judged.reasons, ...findings.flatMap((each) => each.reasons)],
    certificates: findings.flatMap((each) => each.certificates),
    touched: findings.flatMap((each) => each.touched),
  };
}

/** A verdict over an SD-JWT joined with the files; one that is not the sealed certificate on file is wrong. */
async function judgeOnFile(
  deps: VerifyDeps,
  { sdJwt, verdict, past }: { readonly sdJwt: string; readonly verdict: Verdict; readonly past: Date | undefined },
): Promise<{ verdict: FiledVerdict; filed: FiledCertificate | undefined }> {
  const identifier = parseCertificateIdentifier(verdict.certificate?.identifier ?? '');
  const filed = identifier.ok ? await findOnFile(deps, identifier.value) : undefined;
  if (filed !== undefined && !isSealOnFile(filed, sdJwt)) {
    return { verdict: fileVerdict('certificate_differs_from_file'), filed };
  }
  return { verdict: await joinFile(deps, verdict, { filed, past }), filed };
}

/**
 * Values read off a certificate. The order matters: what depends on the input alone is said before the files are asked,
 * and everything about the certificate itself only once all values are right.
 */
async function findFaceValues(deps: VerifyDeps, input: VerifyInput, times: Times): Promise<Finding> {
  const { certificateIdentifier = '', faceValues = {} } = input;
  if (certificateIdentifier === '') return findingOf(fileVerdict('face_values_missing'), undefined);
  const identifier = parseCertificateIdentifier(certificateIdentifier);
  if (!identifier.ok) return findingOf(identifierVerdict(identifier.reason), undefined);
  if (typeof (faceValues['holderNumber'] ?? '') !== 'string') {
    throw new Refusal('number_for_identifier', { pointer: '/faceValues/holderNumber' });
  }
  if (givenFaceValues(faceValues).length < leastFaceValues) {
    return findingOf(fileVerdict('face_values_missing'), undefined);
  }
  return compareWithFile(deps, { identifier: identifier.value, faceValues, times });
}

async function compareWithFile(deps: VerifyDeps, { identifier, faceValues, times }: CompareInput): Promise<Finding> {
  deps.guesses.admit(identifier.series);
  const filed = await findOnFile(deps, identifier);
  if (filed === undefined) return findingOf(fileVerdict('certificate_not_on_file'), undefined);
  // judged before and whatever the values: the time it takes is the same for right and wrong ones
  const sdJwt = presentSdJwt(await sealHeader(deps.db, filed.sealed.headerSha256), filed.sealed);
  const verdict = verifyCertificate({ ...times, sdJwt, trust: await deps.trust(), statusOf: asIfValid });
  const joined = await joinFile(deps, verdict, { filed, past: times.past });
  // again: others may have guessed wrong while this one waited, and from here on nobody comes in between
  deps.guesses.admit(identifier.series);
  if (!matchesFace(filed.contents.metadata, faceValues)) {
    deps.guesses.wrong(identifier.series);
    return findingOf(fileVerdict('face_values_differ'), filed);
  }
  return findingOf(joined, filed);
}

interface CompareInput {
  readonly identifier: ParsedCertificateIdentifier;
  readonly faceValues: FaceValues;
  readonly times: Times;
}

function findingOf(
  { verdict, reasons, certificate }: FiledVerdict,
  filed: FiledCertificate | undefined,
  { disclose = false } = {},
): Finding {
  const told =
    certificate === undefined
      ? []
      : [
          {
            certificateIdentifier: certificate.identifier,
            certificateTypeCode: certificate.typeCode,
            issuingAuthorityCode: certificate.issuer,
            ...(disclose ? { disclosed: certificate.disclosed } : {}),
          },
        ];
  return { verdict, reasons, certificates: told, touched: filed === undefined ? [] : [filed] };
}

/** The record: what was asked and answered, and about whom. Values and texts of strangers are not in it. */
function entryOf({ keys }: VerifyDeps, { mode, input, finding, told }: EntryInput): Entry {
  const holders = finding.touched.flatMap(({ contents }) => contents.metadata.holders);
  const subjects = new Map(
    holders.map(({ type, number }) => {
      const key = keys.holderKey(type, number);
      return [key.toString('hex'), key];
    }),
  );
  return {
    kind: 'access',
    action: 'verify',
    outcome: 'answered',
    subjects: [...subjects.values()],
    scope: { mode, ...(input.at === undefined ? {} : { at: told.at }) },
    certificates: finding.touched.map(({ row }) => row.identifier),
    answerDigest: createHash('sha256').update(canonicalJson(told)).digest('base64url'),
    requestId: input.requestId,
    at: input.receivedAt,
    detail: { verdict: finding.verdict, reasons: finding.reasons.map(({ code }) => code) },
  };
}

interface EntryInput {
  readonly mode: Mode;
  readonly input: VerifyInput;
  readonly finding: Finding;
  readonly told: Omit<Verification, 'recordId'>;
}
