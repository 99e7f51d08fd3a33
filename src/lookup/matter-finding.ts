import type { Bilingual } from '../catalogue/certificate-type.ts';
import type { MatterCondition, MatterMaterial, MatterRequirement } from '../catalogue/matter.ts';
import { type ConditionsAsked, firstUnmet } from '../catalogue/matter-conditions.ts';
import { addDays } from '../certificates/city-day.ts';
import type { RefusalCode } from '../errors.ts';
import type { GrantToApplyFor } from '../grants/grant.ts';
import type { FoundCertificate } from './found-certificate.ts';

/** Why a material is there, or is not. */
export type ReasonCode =
  | 'in_force'
  | 'not_found'
  | 'not_in_force'
  | 'not_yet_sealed'
  | 'other_issuer'
  | 'condition_not_met'
  | 'permission_missing'
  | 'ticket_needed'
  | 'quota_used_up'
  | 'paper_only';

/** Reasons for which nobody has to bring anything: the office or the issuer has to see to it. */
export type OpenCode = Extract<ReasonCode, 'not_yet_sealed' | 'permission_missing' | 'ticket_needed' | 'quota_used_up'>;

/** A reason without its words. Never a value of a person. */
export interface Reason {
  readonly code: ReasonCode;
  readonly party?: string;
  readonly certificateTypeCode?: string;
  readonly certificateIdentifier?: string;
  /** Of `condition_not_met`. */
  readonly condition?: MatterCondition;
  /** Of `other_issuer`: whose certificate it has to be. */
  readonly issuedBy?: readonly string[];
  /** Of `permission_missing`: why the grants do not reach. */
  readonly refusal?: RefusalCode;
  /** Of `permission_missing`: the grant to apply for, as in a refusal of a lookup, and who decides on it. */
  readonly apply?: GrantToApplyFor;
  readonly ownerDepartmentCode?: string;
  /** Of `ticket_needed`: what a ticket for the party has to be for, as in a refusal of a lookup. */
  readonly ticketFor?: Readonly<Record<string, unknown>>;
}

/** Why the office has not seen a material yet. */
export interface OpenReason extends Reason {
  readonly code: OpenCode;
}

/** One material of a list, as far as it was looked at. */
export interface MaterialFinding {
  readonly reason: Reason;
  /** The answer on which it rests. */
  readonly recordId?: string;
}

export type Outcome = 'satisfied' | 'permission_needed' | 'pending' | 'later' | 'declaration' | 'to_supply';

/** What was found out about one requirement. */
export interface Finding {
  readonly requirement: MatterRequirement;
  readonly outcome: Outcome;
  /** The list that satisfied it. */
  readonly alternative?: number;
  /** Of the list that satisfied it; otherwise of all lists. */
  readonly reasons: readonly Reason[];
  readonly recordIds: readonly string[];
  /** Of each list: what the person would have to bring. Empty unless something is missing. */
  readonly missing: readonly (readonly Reason[])[];
  /** Of lists that nobody has to bring: what a permission or the issuer holds up. Empty unless the office has to see to it. */
  readonly atOffice: readonly OpenReason[];
  readonly until?: string;
  readonly declaration?: Bilingual;
  /** What the matter would allow instead of something that the office has to see to. */
  readonly insteadAllowed?: InsteadAllowed;
}

/** What a matter allows in place of a proof: a declaration in these words, or that it follows by that day (yyyy-mm-dd). */
export interface InsteadAllowed {
  readonly declaration?: Bilingual;
  readonly until?: string;
}

/** For which day certificates are judged. */
export interface DayAsked extends ConditionsAsked {
  /** The first instant of that day, in seconds since 1970. */
  readonly dayStart: number;
}

/** What is judged of a certificate. */
export type JudgedCertificate = Pick<
  FoundCertificate,
  'certificateIdentifier' | 'issuingAuthorityCode' | 'status' | 'fields' | 'sdJwt'
>;

/** From the best to the least that can be said of a certificate. */
const nearness: readonly ReasonCode[] = ['in_force', 'condition_not_met', 'not_in_force', 'other_issuer'];

/**
 * What the certificates of a holder say about a material: the one that serves, or else why the nearest one does not. `certificates` is
 * the answer of one lookup for exactly its type and fields.
 */
export function judgeMaterial(
  material: MatterMaterial,
  { party, certificates, asked }: { party: string; certificates: readonly JudgedCertificate[]; asked: DayAsked },
): Reason {
  const { certificateTypeCode } = material;
  const judged = certificates
    .map((certificate) => judgeCertificate(material, certificate, asked))
    .toSorted((a, b) => nearness.indexOf(a.code) - nearness.indexOf(b.code));
  return { ...(judged[0] ?? { code: 'not_found' }), party, certificateTypeCode };
}

function judgeCertificate(material: MatterMaterial, certificate: JudgedCertificate, asked: DayAsked): Reason {
  const { certificateIdentifier, issuingAuthorityCode, fields } = certificate;
  const { issuedBy, conditions = [] } = material;
  if (issuedBy?.every((code) => code !== issuingAuthorityCode) === true) {
    return { code: 'other_issuer', certificateIdentifier, issuedBy };
  }
  const needsFields = conditions.length > 0 || (material.fields ?? []).length > 0;
  if (!isInForceOn(certificate, asked.dayStart, needsFields)) return { code: 'not_in_force', certificateIdentifier };
  const condition = firstUnmet(conditions, fields ?? {}, asked);
  return condition === undefined
    ? { code: 'in_force', certificateIdentifier }
    : { code: 'condition_not_met', certificateIdentifier, condition };
}

/** Statuses that the calendar alone decides; what somebody decided (suspended, revoked) holds for every day. */
const byCalendar: ReadonlySet<string> = new Set(['valid', 'not_yet_valid', 'expired']);

/**
 * Whether a certificate is in force on a day. What has to be read can only be read of a certificate in force today: the fields of any
 * other never leave.
 */
function isInForceOn({ status, sdJwt }: JudgedCertificate, dayStart: number, needsFields: boolean): boolean {
  if (!byCalendar.has(status) || (needsFields && status !== 'valid')) return false;
  const { nbf, exp } = validityOf(sdJwt);
  return (nbf === undefined || nbf <= dayStart) && (exp === undefined || dayStart < exp);
}

/** From when until just before when a sealed certificate is valid, as its issuer signed it. It was opened by the hub a moment ago. */
function validityOf(sdJwt: string): { readonly nbf?: number; readonly exp?: number } {
  const [, payload = ''] = sdJwt.split('.', 2);
  return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as { nbf?: number; exp?: number };
}

/** A list can do no more than its worst material. */
type Standing = 'met' | 'pending' | 'permission' | 'missing';

const standings: Readonly<
  Record<OpenCode, 'pending' | 'permission'> & Record<Exclude<ReasonCode, OpenCode>, 'met' | 'missing'>
> = {
  in_force: 'met',
  not_yet_sealed: 'pending',
  permission_missing: 'permission',
  ticket_needed: 'permission',
  quota_used_up: 'permission',
  not_found: 'missing',
  not_in_force: 'missing',
  other_issuer: 'missing',
  condition_not_met: 'missing',
  paper_only: 'missing',
};

/** Whether the material is there. */
export const isMet = ({ reason }: MaterialFinding): boolean => reason.code === 'in_force';

/** Whether somebody would have to bring the material: neither the issuer nor a grant will. */
export const isMissing = ({ code }: Reason): boolean => standings[code] === 'missing';

const isOpen = (reason: Reason): reason is OpenReason =>
  standings[reason.code] === 'permission' || standings[reason.code] === 'pending';

function standingOf(list: readonly MaterialFinding[]): Standing {
  const all = new Set<Standing>(list.map(({ reason }) => standings[reason.code]));
  return (['missing', 'permission', 'pending'] as const).find((standing) => all.has(standing)) ?? 'met';
}

/** A requirement that one of its lists satisfies. */
export const satisfiedBy = (
  requirement: MatterRequirement,
  alternative: number,
  list: readonly MaterialFinding[],
): Finding => ({
  requirement,
  outcome: 'satisfied',
  alternative,
  reasons: list.map(({ reason }) => reason),
  recordIds: recordIdsOf(list),
  missing: [],
  atOffice: [],
});

/**
 * The finding of a requirement whose lists were all looked at. Best first: satisfied; a grant would let the hub look; its issuer has it
 * and has not sealed it; the matter allows a declaration, or that it follows later; somebody has to bring it.
 * @param day the day asked about, yyyy-mm-dd
 */
export function judgeRequirement(
  requirement: MatterRequirement,
  lists: readonly (readonly MaterialFinding[])[],
  day: string,
): Finding {
  const standing = lists.map(standingOf);
  const met = standing.indexOf('met');
  if (met >= 0) return satisfiedBy(requirement, met, lists[met] ?? []);
  const all = lists.flat();
  const found = { requirement, reasons: distinct(all.map(({ reason }) => reason)), recordIds: recordIdsOf(all) };
  const open = lists.filter((_, i) => standing[i] !== 'missing').flat();
  if (open.length > 0) {
    const atOffice = distinct(open.map(({ reason }) => reason).filter(isOpen));
    const outcome = standing.includes('permission') ? 'permission_needed' : 'pending';
    return { ...found, outcome, missing: [], atOffice, ...instead(requirement, day) };
  }
  const missing = lists.map((list) => distinct(list.map(({ reason }) => reason).filter(isMissing)));
  return { ...found, missing, atOffice: [], ...allowed(requirement, day) };
}

/** A requirement that only paper proves. */
export const onPaper = (requirement: MatterRequirement, day: string): Finding => {
  const reasons: readonly Reason[] = [{ code: 'paper_only' }];
  return { requirement, reasons, recordIds: [], missing: [reasons], atOffice: [], ...allowed(requirement, day) };
};

/** What the matter allows in place of something that is missing. */
function allowed(
  { declaration, laterDays }: MatterRequirement,
  day: string,
): Pick<Finding, 'outcome' | 'until' | 'declaration'> {
  if (declaration !== undefined) return { outcome: 'declaration', declaration };
  return laterDays === undefined ? { outcome: 'to_supply' } : { outcome: 'later', until: addDays(day, laterDays) };
}

/** The same for something that may still turn out to be there: both, whichever it allows. */
function instead({ declaration, laterDays }: MatterRequirement, day: string): Pick<Finding, 'insteadAllowed'> {
  if (declaration === undefined && laterDays === undefined) return {};
  return {
    insteadAllowed: {
      ...(declaration !== undefined && { declaration }),
      ...(laterDays !== undefined && { until: addDays(day, laterDays) }),
    },
  };
}

/** Whether the application can be accepted as it is: everything is there, may be declared or may follow. */
export const isComplete = (findings: readonly Finding[]): boolean =>
  findings.every(({ outcome }) => outcome === 'satisfied' || outcome === 'declaration' || outcome === 'later');

const recordIdsOf = (list: readonly MaterialFinding[]): readonly string[] => [
  ...new Set(list.flatMap(({ recordId }) => (recordId === undefined ? [] : [recordId]))),
];

/** Each reason once: lists of alternatives share materials. */
const distinct = <R extends Reason>(reasons: readonly R[]): readonly R[] => [
  ...new Map(reasons.map((reason) => [JSON.stringify(reason), reason])).values(),
];
