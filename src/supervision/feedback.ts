import { randomInt } from 'node:crypto';
import { type CertificateTypeDefinition, isAllowedIssuer } from '../catalogue/certificate-type.ts';
import { Refusal } from '../errors.ts';
import type { Caller, Officer } from '../ids.ts';
import {
  certificateCheckCharacter,
  type Holder,
  type ParsedCertificateIdentifier,
} from '../verification/identifiers.ts';

/** What is reported of a certificate: there is none where there should be one, it says what is not so, or it cannot be read. */
export type FaultKind = 'missing' | 'wrong' | 'unreadable';
/** How a report ends. */
export type FinalOutcome = 'corrected' | 'issued' | 'revoked' | 'refused';
export type FeedbackState = 'open' | FinalOutcome;

/** Something that happened to a report. Officers stand in the records alone. */
export interface FeedbackStep {
  readonly step: 'reported' | 'forwarded' | 'answered';
  readonly at: Date;
  readonly departmentCode: string;
  readonly clientId: string;
  /** Of an answer. */
  readonly outcome?: FinalOutcome;
  /** The certificate that mends it. */
  readonly certificateIdentifier?: string;
  readonly reason?: string;
  /** Whom it was forwarded to. */
  readonly to?: string;
  /** The deadline that stood when it was forwarded or answered. */
  readonly dueAt?: Date;
}

/** A reported fault, and what became of it. */
export interface Feedback {
  readonly feedbackId: string;
  /** For people: day, seven digits and a check character. */
  readonly receiptNumber: string;
  readonly clientId: string;
  /** The department that reports. */
  readonly departmentCode: string;
  /** The department that has to answer. */
  readonly ownerDepartmentCode: string;
  readonly kind: FaultKind;
  readonly state: FeedbackState;
  readonly createdAt: Date;
  /** Late from this moment on. */
  readonly dueAt: Date;
  readonly certificateTypeCode: string;
  readonly certificateIdentifier?: string;
  readonly holder?: Holder;
  /** Names of the fields that are said to be wrong. */
  readonly fields?: readonly string[];
  readonly explanation: string;
  readonly matterCode?: string;
  readonly caseNumber?: string;
  /** The lookup in which it was seen. */
  readonly recordId?: string;
  /** That lookup's own: until then nothing about it shows in its holder's report. */
  readonly secrecy?: { readonly releaseAt: string; readonly legalGround: string };
  /** Number under which a citizen complained. */
  readonly publicReference?: string;
  readonly officer?: Officer;
  /** An earlier report whose answer this one objects to. */
  readonly follows?: string;
  /** Oldest first. */
  readonly history: readonly FeedbackStep[];
}

/** Whether somebody still has to answer. */
export const isOpen = ({ state }: Pick<Feedback, 'state'>): boolean => state === 'open';

/** Whether the answer is late. */
export const isOverdue = (feedback: Pick<Feedback, 'state' | 'dueAt'>, at: Date): boolean =>
  isOpen(feedback) && at >= feedback.dueAt;

/**
 * How much of a report a caller sees. The client that made it and the issuers of the department that has to answer see everything,
 * administrators and auditors what is not personal; for anybody else there is none.
 */
export function sightOf(
  { roles, clientId, department }: Caller,
  feedback: Pick<Feedback, 'clientId' | 'ownerDepartmentCode'>,
): 'full' | 'outline' | undefined {
  if (clientId === feedback.clientId) return 'full';
  if (roles.includes('issuer') && department === feedback.ownerDepartmentCode) return 'full';
  return roles.includes('admin') || roles.includes('auditor') ? 'outline' : undefined;
}

/**
 * Who has to answer, by what the report itself and the catalogue say: no certificate is looked up, so that nothing is told of any. The
 * issuer that the identifier names, if the type ever listed it; for what is missing the issuer that was named, or the only one; else
 * the owner of the type.
 */
export function ownerOf(
  type: Pick<CertificateTypeDefinition, 'ownerDepartmentCode' | 'allowedIssuers'>,
  about: {
    readonly certificate?: ParsedCertificateIdentifier | undefined;
    readonly issuerDepartmentCode?: string | undefined;
  },
  at: Date,
): string {
  const { certificate, issuerDepartmentCode } = about;
  if (certificate !== undefined) {
    const listed = type.allowedIssuers.some(({ departmentCode }) => departmentCode === certificate.issuerCode);
    return listed ? certificate.issuerCode : type.ownerDepartmentCode;
  }
  if (issuerDepartmentCode !== undefined) return issuerDepartmentCode;
  const issuers = issuersOf(type, at);
  const [only] = issuers;
  return issuers.length === 1 && only !== undefined ? only : type.ownerDepartmentCode;
}

/** Departments that may issue the type at that moment, each once. */
export const issuersOf = (type: Pick<CertificateTypeDefinition, 'allowedIssuers'>, at: Date): readonly string[] => [
  ...new Set(
    type.allowedIssuers
      .map(({ departmentCode }) => departmentCode)
      .filter((code) => isAllowedIssuer(type as CertificateTypeDefinition, code, at)),
  ),
];

const numbers = 10_000_000;

/** Draws the number of a receipt. Not a secret: who may see a report is asked every time. */
export const drawNumber = (): number => randomInt(numbers);

/** A number for people: the day (yyyy-mm-dd) of the report, seven digits, and a check character over both (ISO 7064, MOD 37-36). */
export function receiptNumber(day: string, drawn: number): string {
  const body = [day.replaceAll('-', ''), String(drawn % numbers).padStart(7, '0')];
  return [...body, certificateCheckCharacter(body.join(''))].join('-');
}

/** Whether the check character of a receipt number is right. */
export function isReceiptNumber(text: string): boolean {
  const [, day = '', number = '', check] = /^(\d{8})-(\d{7})-([0-9A-Z])$/.exec(text) ?? [];
  return check !== undefined && certificateCheckCharacter(day + number) === check;
}

/** What the owner answers, or whom it passes the report to. */
export interface FeedbackVerdict {
  readonly outcome: FinalOutcome | 'forwarded';
  /** With `corrected` and `issued`: the certificate that mends it. */
  readonly certificateIdentifier?: string;
  /** With `forwarded`: another issuer of the type. */
  readonly departmentCode?: string;
  readonly reason: string;
}

/** Which answers a fault can have. */
const outcomesOf: Readonly<Record<FaultKind, readonly FeedbackVerdict['outcome'][]>> = {
  missing: ['issued', 'refused', 'forwarded'],
  wrong: ['corrected', 'revoked', 'refused'],
  unreadable: ['corrected', 'revoked', 'refused'],
};
const naming: readonly FeedbackVerdict['outcome'][] = ['corrected', 'issued'];

const invalid = (pointer: string, rule: string): Refusal => new Refusal('feedback_invalid', { pointer, rule });

/**
 * What is wrong with an answer, before any certificate is looked at; undefined when nothing is. A wrong certificate can only be mended
 * by who issued it, so only what is missing can be forwarded, and never to a department that had it before.
 */
export function judgeVerdict(
  { kind, state, ownerDepartmentCode, history }: Feedback,
  verdict: FeedbackVerdict,
  issuers: readonly string[],
): Refusal | undefined {
  const { outcome, certificateIdentifier, departmentCode } = verdict;
  if (state !== 'open') return new Refusal('feedback_closed', { state });
  if (!outcomesOf[kind].includes(outcome)) return invalid('/outcome', `not_for_${kind}`);
  if (naming.includes(outcome) !== (certificateIdentifier !== undefined)) {
    return invalid('/certificateIdentifier', certificateIdentifier === undefined ? 'required' : 'not_with_outcome');
  }
  if ((outcome === 'forwarded') !== (departmentCode !== undefined)) {
    return invalid('/departmentCode', departmentCode === undefined ? 'required' : 'not_with_outcome');
  }
  if (departmentCode === undefined) return undefined;
  if (!issuers.includes(departmentCode)) return invalid('/departmentCode', 'no_issuer_of_the_type');
  const had = [
    ownerDepartmentCode,
    ...history.filter(({ step }) => step === 'forwarded').map((each) => each.departmentCode),
  ];
  return had.includes(departmentCode) ? invalid('/departmentCode', 'had_it_before') : undefined;
}

/** Who answers, and when. */
export interface Answering {
  readonly at: Date;
  readonly departmentCode: string;
  readonly clientId: string;
  /** When an answer of the next owner would be late. */
  readonly nextDueAt: Date;
}

/** The report after a sound answer. Forwarded, it is open still, under the new owner's own deadline. */
export function answered(feedback: Feedback, verdict: FeedbackVerdict, by: Answering): Feedback {
  const { outcome, certificateIdentifier, departmentCode: to, reason } = verdict;
  const { at, departmentCode, clientId, nextDueAt } = by;
  const step = { at, departmentCode, clientId, reason, dueAt: feedback.dueAt };
  if (outcome === 'forwarded') {
    const ownerDepartmentCode = to ?? feedback.ownerDepartmentCode;
    const history = [...feedback.history, { ...step, step: 'forwarded' as const, to: ownerDepartmentCode }];
    return { ...feedback, ownerDepartmentCode, dueAt: nextDueAt, history };
  }
  const last: FeedbackStep = {
    ...step,
    step: 'answered',
    outcome,
    ...(certificateIdentifier !== undefined && { certificateIdentifier }),
  };
  return { ...feedback, state: outcome, history: [...feedback.history, last] };
}
