import { Refusal } from '../errors.ts';
import type { Caller, GrantId } from '../ids.ts';
import type { Grant, GrantableType, LegalBasis, Level } from './grant.ts';

/** What an application asks for, or a decision allows. */
export interface GrantScope {
  readonly level: Level;
  readonly fields: readonly string[];
  readonly matters: readonly string[];
  readonly legalBases: readonly LegalBasis[];
  readonly dailyQuota: number;
  readonly dailyHolders?: number;
  readonly officerDailyQuota?: number;
  readonly officerDailyHolders?: number;
  readonly ticketRequired?: boolean;
  readonly secrecyDays?: number;
  /** Absent: see `endOf`. */
  readonly validUntil?: Date;
}

/** `prepared`: everything is decided here, and the province's hub has to decide. */
export type ApplicationState = 'awaiting_owner' | 'awaiting_hub' | 'prepared' | 'granted' | 'refused' | 'withdrawn';
export type HubDecides = 'never' | 'also' | 'alone';

/** Something that happened to an application. Officers stand in the records alone. */
export interface ApplicationStep {
  readonly step: 'applied' | 'approved' | 'refused' | 'withdrawn' | 'approved_by_province' | 'refused_by_province';
  readonly at: Date;
  readonly departmentCode: string;
  readonly clientId: string;
  readonly reason?: string;
  readonly decisionReference?: string;
}

/** A client's wish for a grant, and what became of it. */
export interface GrantApplication {
  readonly applicationId: string;
  readonly clientId: string;
  /** The department that applies. */
  readonly departmentCode: string;
  readonly ownerDepartmentCode: string;
  readonly certificateTypeCode: string;
  readonly wanted: GrantScope;
  /** What has been allowed so far. */
  readonly allowed?: GrantScope;
  readonly legalGround: string;
  readonly safeguards: string;
  /** The grant that it continues. */
  readonly renews?: string;
  /** The demand that it came from. */
  readonly demandId?: string;
  readonly hubDecides: HubDecides;
  readonly state: ApplicationState;
  readonly createdAt: Date;
  /** The decision that is pending, or was the last one, is late from this moment on. */
  readonly dueAt: Date;
  readonly grantId?: string;
  /** Oldest first. */
  readonly history: readonly ApplicationStep[];
}

/** What an application needs to know of a certificate type. */
export interface ApplicableType extends GrantableType {
  readonly sensitiveFieldNames: readonly string[];
  /** Who decides on its grants in the end; the city when absent. */
  readonly decidedBy?: 'city' | 'province';
}

/** Whether somebody still has to decide. */
export const isOpen = ({ state }: Pick<GrantApplication, 'state'>): boolean =>
  state === 'awaiting_owner' || state === 'awaiting_hub' || state === 'prepared';

/** Whether the pending decision is late. */
export const isOverdue = (application: GrantApplication, at: Date): boolean =>
  isOpen(application) && at >= application.dueAt;

/**
 * Whether the hub has to decide: alone where the owner of the type would decide over its own wish, as well for sensitive fields and
 * for lookups that stay out of their holder's own report.
 */
export function hubDecidesOn(
  departmentCode: string,
  { ownerDepartmentCode, sensitiveFieldNames }: ApplicableType,
  { fields, secrecyDays }: GrantScope,
): HubDecides {
  if (departmentCode === ownerDepartmentCode) return 'alone';
  if (secrecyDays !== undefined || fields.some((field) => sensitiveFieldNames.includes(field))) return 'also';
  return 'never';
}

/** Who sees an application: its client, grantors of the owner department, administrators and auditors. */
export const maySeeApplication = (
  caller: Caller,
  { clientId, ownerDepartmentCode }: Pick<GrantApplication, 'clientId' | 'ownerDepartmentCode'>,
): boolean =>
  caller.roles.includes('admin') ||
  caller.roles.includes('auditor') ||
  caller.clientId === clientId ||
  (caller.roles.includes('grantor') && caller.department === ownerDepartmentCode);

/**
 * Why a caller who sees the application may not decide on it now; undefined when it may. Nobody decides for its own department, and
 * no client makes both decisions.
 */
export function judgeDecider(application: GrantApplication, caller: Caller): Refusal | undefined {
  const { state, ownerDepartmentCode, departmentCode, clientId, history } = application;
  // What is prepared waits for the province: nobody here decides on it.
  if (!isOpen(application) || state === 'prepared') return new Refusal('application_closed', { state });
  if (caller.department === departmentCode || caller.clientId === clientId) {
    return new Refusal('decider_must_differ', { rule: 'same_department' });
  }
  const isOwner = caller.roles.includes('grantor') && caller.department === ownerDepartmentCode;
  const isTurn = state === 'awaiting_owner' ? isOwner : caller.roles.includes('admin');
  if (!isTurn) return new Refusal('application_closed', { state });
  if (history.some((step) => step.step === 'approved' && step.clientId === caller.clientId)) {
    return new Refusal('decider_must_differ', { rule: 'same_client' });
  }
  return undefined;
}

/** Why an administrator may not enter the province's decision; undefined when it may. Nobody does for its own department. */
export function judgeEntry(
  { state, departmentCode, clientId }: GrantApplication,
  caller: Pick<Caller, 'department' | 'clientId'>,
): Refusal | undefined {
  if (state !== 'prepared') return new Refusal('application_closed', { state });
  return caller.department === departmentCode || caller.clientId === clientId
    ? new Refusal('decider_must_differ', { rule: 'same_department' })
    : undefined;
}

/** From when a grant would hold, and when that is decided. */
export interface Period {
  readonly begins: Date;
  readonly at: Date;
}

const yearsAfter = (at: Date, years: number): Date => {
  const later = new Date(at);
  later.setUTCFullYear(later.getUTCFullYear() + years);
  return later;
};
const longestYears = 5;
const usualYears = 1;

/** When a grant of this scope ends: as it says, otherwise one year after its begin and never more than five after the decision. */
export function endOf({ validUntil }: GrantScope, { begins, at }: Period): Date {
  if (validUntil !== undefined) return validUntil;
  const [usual, latest] = [yearsAfter(begins, usualYears), yearsAfter(at, longestYears)];
  return usual < latest ? usual : latest;
}

/**
 * Checks what the contract cannot: fields that the type has, an end after the begin and within five years. `pointer`: where the scope
 * stands in the request; undefined when it stands there not, and then the place is left out.
 * @throws Refusal `field_unknown`, `grant_invalid`
 */
export function checkScope(scope: GrantScope, type: ApplicableType, period: Period, pointer: string | undefined): void {
  const place = (part: string) => (pointer === undefined ? {} : { pointer: `${pointer}${part}` });
  const unknown = scope.fields.findIndex((field) => !type.fieldNames.includes(field));
  if (unknown >= 0) throw new Refusal('field_unknown', place(`/fields/${unknown}`));
  const end = endOf(scope, period);
  if (end <= period.begins) throw new Refusal('grant_invalid', { ...place('/validUntil'), rule: 'empty_range' });
  if (end > yearsAfter(period.at, longestYears)) {
    throw new Refusal('grant_invalid', { ...place('/validUntil'), rule: 'longer_than_5_years' });
  }
}

const rank: Record<Level, number> = { compare: 0, fields: 1 };
const limits = ['dailyQuota', 'dailyHolders', 'officerDailyQuota', 'officerDailyHolders'] as const;
const lists = ['fields', 'matters', 'legalBases'] as const;

/** The first part in which `allowed` goes beyond what stands, as a JSON pointer into it; undefined when it nowhere does. */
export function widerPart(allowed: GrantScope, standing: GrantScope, period: Period): string | undefined {
  if (rank[allowed.level] > rank[standing.level]) return '/level';
  for (const name of lists) {
    const known: readonly string[] = standing[name];
    const beyond = allowed[name].findIndex((each) => !known.includes(each));
    if (beyond >= 0) return `/${name}/${beyond}`;
  }
  const wider = limits.find((name) => (allowed[name] ?? Infinity) > (standing[name] ?? Infinity));
  if (wider !== undefined) return `/${wider}`;
  if (standing.ticketRequired === true && allowed.ticketRequired !== true) return '/ticketRequired';
  if ((allowed.secrecyDays ?? 0) > (standing.secrecyDays ?? 0)) return '/secrecyDays';
  return endOf(allowed, period) > endOf(standing, period) ? '/validUntil' : undefined;
}

const isSameSet = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((each) => other.includes(each));

/** Whether two scopes ask for the same; the order of their lists says nothing. */
export function isSameScope(one: GrantScope, other: GrantScope): boolean {
  return (
    one.level === other.level &&
    lists.every((name) => isSameSet(one[name], other[name])) &&
    limits.every((name) => one[name] === other[name]) &&
    (one.ticketRequired ?? false) === (other.ticketRequired ?? false) &&
    one.secrecyDays === other.secrecyDays &&
    one.validUntil?.getTime() === other.validUntil?.getTime()
  );
}

/** Who decided what, and when. */
export interface Decided {
  readonly step: ApplicationStep;
  /** When the next decision would be due. */
  readonly nextDueAt: Date;
}

/** The application after a refusal or its withdrawal: nothing more happens to it. */
export const ended = (
  application: GrantApplication,
  state: Extract<ApplicationState, 'refused' | 'withdrawn'>,
  step: ApplicationStep,
): GrantApplication => ({ ...application, state, history: [...application.history, step] });

/**
 * The application after an approval. Of the city the hub decides last; it does so also when the type has changed since and what is
 * allowed is sensitive by now. Where the province decides on the type, the city's last approval only prepares the application for it.
 * `granted` alone lets a grant be made.
 */
export function approved(
  application: GrantApplication,
  allowed: GrantScope,
  type: ApplicableType,
  { step, nextDueAt }: Decided,
): GrantApplication {
  const history = [...application.history, step];
  const next = { ...application, allowed, history };
  const { state, departmentCode, hubDecides } = application;
  if (state === 'prepared') return { ...next, state: 'granted' };
  const decidedHere: GrantApplication =
    type.decidedBy === 'province' ? { ...next, state: 'prepared', dueAt: nextDueAt } : { ...next, state: 'granted' };
  if (state === 'awaiting_hub') return decidedHere;
  const isHubToo = hubDecides !== 'never' || hubDecidesOn(departmentCode, type, allowed) !== 'never';
  return isHubToo ? { ...next, hubDecides: 'also', state: 'awaiting_hub', dueAt: nextDueAt } : decidedHere;
}

/** From when the grant of an application holds: when the one it renews ends, or at once. */
export const beginsAt = (renewed: Grant | undefined, at: Date): Date =>
  renewed !== undefined && renewed.revokedAt === undefined && at < renewed.validUntil ? renewed.validUntil : at;

/** The grant that a granted application leads to, under the reference of who decided: the province, the owner, or the hub alone. */
export function grantOf(
  { applicationId, clientId, certificateTypeCode, renews, history }: GrantApplication,
  { validUntil: _asked, ...allowed }: GrantScope,
  { grantId, validUntil, begins, at }: Period & { readonly grantId: GrantId; readonly validUntil: Date },
): Grant {
  const decision =
    history.find(({ step }) => step === 'approved_by_province') ?? history.find(({ step }) => step === 'approved');
  if (decision?.decisionReference === undefined) throw new Error('nobody approved the application');
  return {
    ...allowed,
    grantId,
    clientId,
    certificateTypeCode,
    validFrom: begins,
    validUntil,
    decisionReference: decision.decisionReference,
    decidedByDepartmentCode: decision.departmentCode,
    applicationId,
    ...(renews !== undefined && { renews }),
    createdAt: at,
  };
}
