import { createHash } from 'node:crypto';
import type { Entry } from '../audit/entry.ts';
import { type Receipt, RecordedRefusal, type Recorder } from '../audit/record.ts';
import { newestVersion, presentSdJwt, readByIdentifier, sealHeader } from '../certificates/read-certificates.ts';
import type { Database } from '../db/database.ts';
import { Refusal } from '../errors.ts';
import type { Ticket } from '../grants/ticket.ts';
import type { Call } from '../ids.ts';
import type { EncryptionKeys, IndexKeys } from '../signing/data-keys.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import { askedOf, exceededOf } from './asked.ts';
import {
  cutDown,
  type Evidence,
  evidenceOf,
  type FoundCertificate,
  type OpenedCertificate,
} from './found-certificate.ts';
import { openByHolder, openRows } from './opened-certificates.ts';
import {
  type CoveredType,
  coveredTypes,
  type PermissionDeps,
  type PermittedType,
  takeQuota,
} from './permitted-types.ts';
import { checkQuestion, checkRelease, type Question, type Secrecy, type UncheckedQuestion } from './question.ts';
import { underTicket } from './under-ticket.ts';

export interface LookupDeps extends PermissionDeps {
  readonly db: Database;
  readonly keys: Pick<EncryptionKeys, 'box'> &
    Pick<IndexKeys, 'holderKey' | 'holderKeys' | 'everyHolderKey' | 'searchKeys'>;
  readonly record: Recorder;
  /** Signs the claims of an answer as `certhub-answer+jwt`. */
  readonly signAnswer: (claims: Record<string, unknown>) => Promise<string>;
  /** `iss` of answers: the public URL of this hub. */
  readonly issuer: string;
  /** True when nobody has witnessed the log for so long that nothing more may be disclosed. */
  readonly isUnwitnessed: () => boolean;
}

export interface Answer {
  /** Signed by the hub: who got what, why and when. */
  readonly answer: string;
  readonly receipt: Receipt;
  readonly certificates: readonly FoundCertificate[];
}

/** What was decided, before it is recorded. */
type Decision =
  | {
      readonly ok: true;
      readonly found: readonly FoundCertificate[];
      readonly evidence: readonly Evidence[];
      readonly trace: Trace;
    }
  | { readonly ok: false; readonly refusal: Refusal; readonly trace: Trace };

/** What the record says beside the outcome; filled as far as the question got. */
interface Trace {
  question?: Question;
  types?: readonly PermittedType[];
  /** The ticket that was quoted, if it is the caller's. */
  ticketId?: string;
  subjects?: readonly Buffer[];
  /** Every grant used allows the secrecy that was asked for. */
  secrecyGranted?: true;
  /** Certificates of which only the status left. */
  notInForce?: readonly string[];
}

/**
 * The question an approval system asks. Order is the promise: decide, record, and only then refuse or answer. `opened` is the ticket
 * under which it stands when several questions share one: who opened it takes the use before any of the answers leaves. Otherwise the
 * question quotes its own, if any.
 * Throws `RecordedRefusal` for every refusal, `record_unavailable` or `database_unavailable` when nothing could be recorded or read.
 */
export async function lookUp(
  deps: LookupDeps,
  unchecked: UncheckedQuestion,
  call: Call,
  opened?: Ticket,
): Promise<Answer> {
  const decision = await decide(deps, { unchecked, call, opened });
  const receipt = await deps.record(entryOf(unchecked, decision, call));
  // Only now: a refusal thrown before its commit is one that no auditor will ever find.
  if (!decision.ok) throw new RecordedRefusal(decision.refusal.code, receipt, decision.refusal.detail);
  const answer = await deps.signAnswer({
    iss: deps.issuer,
    aud: call.caller.clientId,
    jti: receipt.recordId,
    iat: Math.floor(receipt.recordedAt.getTime() / 1000),
    purpose: unchecked.purpose,
    certificates: decision.evidence,
    commitment: Buffer.from(receipt.commitment).toString('base64url'),
  });
  return { answer, receipt, certificates: decision.found };
}

interface Asking {
  readonly unchecked: UncheckedQuestion;
  readonly call: Call;
  readonly opened: Ticket | undefined;
}

async function decide(deps: LookupDeps, { unchecked, call, opened: ticket }: Asking): Promise<Decision> {
  const trace: Trace = {};
  try {
    const question = checkQuestion(unchecked);
    trace.question = question;
    if (question.about.by === 'holder') {
      const { type, number } = question.about.holder;
      trace.subjects = [deps.keys.holderKey(type, number)];
    }
    checkRelease(question.purpose, call.at);
    if (deps.isUnwitnessed()) throw new Refusal('log_unwitnessed');
    const { asked, takeTicket } = await underTicket(deps, {
      question,
      quoted: ticket ?? unchecked.ticket,
      call,
      // Noted first, so that the record of a refusal says it.
      found: (ticketId) => {
        trace.ticketId = ticketId;
      },
    });
    const covered = await coveredTypes(deps, asked, call.caller.clientId, call.at);
    if (question.purpose.secrecy !== undefined) trace.secrecyGranted = true;
    // Side by side: what was read leaves only if the quota was there, and its record is written. The quota speaks first.
    const reading = read(deps, question, covered, call.at);
    reading.catch(() => undefined);
    const types = await takeQuota(deps, covered, askedOf(deps.keys, question, reading), call.at);
    trace.types = types;
    const opened = await reading;
    trace.subjects = subjectsOf(deps, trace.subjects ?? [], opened);
    trace.notInForce = opened.filter(({ status }) => status !== 'valid').map(({ row }) => row.identifier);
    const found = await Promise.all(opened.map((each) => present(deps, each, question, types)));
    // Last, so that a question refused for anything else uses up nothing; and before the record, so before anything leaves.
    await takeTicket();
    return { ok: true, found, evidence: found.map(evidenceOf), trace };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    // Nothing can be recorded without the database either: fail closed at once.
    if (error.code === 'database_unavailable') throw error;
    return { ok: false, refusal: error, trace };
  }
}

/** Reads and opens what the question is about; of a series only the newest sealed version answers a question by holder. */
const read = async (
  { db, keys }: LookupDeps,
  { about }: Question,
  covered: readonly CoveredType[],
  at: Date,
): Promise<readonly OpenedCertificate[]> =>
  about.by === 'holder'
    ? openByHolder(
        { db, keys },
        { holder: about.holder, typeCodes: covered.map(({ query }) => query.certificateTypeCode), at },
      )
    : openRows(
        keys.box,
        (await readByIdentifier(db, about.certificate.series, about.certificate.version)).slice(0, 1),
        at,
      );

async function present(
  { db, keys }: LookupDeps,
  opened: OpenedCertificate,
  question: Question,
  types: readonly PermittedType[],
): Promise<FoundCertificate> {
  const { row, contents } = opened;
  const permitted = types.find(({ query }) => query.certificateTypeCode === row.certificate_type_code);
  const { sealed } = contents;
  // A row of a type nobody asked for, or without a seal, must never get this far.
  if (permitted === undefined || sealed === undefined) {
    throw new Refusal('stored_data_tampered', { certificateIdentifier: row.identifier });
  }
  const header = await sealHeader(db, sealed.headerSha256);
  const found = cutDown(opened, permitted, question.level, (names) => presentSdJwt(header, sealed, names));
  if (opened.status !== 'superseded') return found;
  const supersededBy = await newestVersion(db, keys.box, row.series);
  return supersededBy === undefined ? found : { ...found, supersededBy };
}

/** Everyone the answer is about: a certificate of two spouses concerns both, whoever was asked for. */
function subjectsOf(
  { keys }: LookupDeps,
  asked: readonly Buffer[],
  opened: readonly OpenedCertificate[],
): readonly Buffer[] {
  const subjects = new Map(asked.map((key) => [key.toString('hex'), key]));
  for (const { contents } of opened) {
    for (const { type, number } of contents.metadata.holders) {
      const key = keys.holderKey(type, number);
      subjects.set(key.toString('hex'), key);
    }
  }
  return [...subjects.values()];
}

function entryOf(unchecked: UncheckedQuestion, decision: Decision, call: Call): Entry {
  const { caller, requestId, at } = call;
  const { officer, secrecy, ...purpose } = unchecked.purpose;
  const { trace } = decision;
  const detail = { ...detailOf(secrecy, trace), ...(!decision.ok && exceededOf(decision.refusal)) };
  return {
    kind: 'access',
    action: 'lookUp',
    ...outcomeOf(decision),
    caller: { clientId: caller.clientId, department: caller.department, keyId: caller.keyId },
    officer,
    purpose,
    ...(trace.subjects !== undefined && { subjects: trace.subjects }),
    scope: { level: unchecked.level, by: trace.question?.about.by ?? null, types: scopeOf(unchecked, trace) },
    requestId,
    at,
    ...(Object.keys(detail).length > 0 && { detail }),
  };
}

/**
 * `secrecy.releaseAt` keeps the record out of its holder's own report until then. Only where the grants allow it: whoever asks for
 * secrecy it does not have is refused, and that refusal shows at once, or anybody could hide that they tried.
 */
function detailOf(
  secrecy: Secrecy | undefined,
  { secrecyGranted, ticketId, notInForce = [] }: Trace,
): Record<string, unknown> {
  const told = secrecy && { ...secrecy, releaseAt: new Date(secrecy.releaseAt).toISOString() };
  return {
    ...(told !== undefined && (secrecyGranted === true ? { secrecy: told } : { secrecyRefused: told })),
    ...(ticketId !== undefined && { ticketId }),
    ...(notInForce.length > 0 && { notInForce }),
  };
}

/** What was allowed of each type, or, if the question did not get that far, which types were named. */
const scopeOf = (unchecked: UncheckedQuestion, { types }: Trace) =>
  types?.map(({ query, permission }) => ({
    certificateTypeCode: query.certificateTypeCode,
    fields: query.compare === undefined ? permission.fields : Object.keys(query.compare),
    grantId: permission.grant.grantId,
  })) ??
  unchecked.types?.map(({ certificateTypeCode }) => ({ certificateTypeCode })) ??
  null;

function outcomeOf(decision: Decision): Pick<Entry, 'outcome' | 'code' | 'certificates' | 'answerDigest'> {
  if (!decision.ok) {
    const { code } = decision.refusal;
    return { outcome: code === 'stored_data_tampered' ? 'failed' : 'refused', code };
  }
  const { evidence } = decision;
  return {
    outcome: 'answered',
    certificates: evidence.map(({ certificateIdentifier }) => certificateIdentifier),
    answerDigest: createHash('sha256').update(canonicalJson(evidence)).digest('base64url'),
  };
}
