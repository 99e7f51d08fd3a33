import { type Officer, officerKey, type Role } from '../../ids.ts';
import { type RecordKind, recordKinds } from '../entry.ts';

/** Kinds of records whose bodies may be erased. The others are the evidence of erasures, months, keys and releases and stay for good. */
export const erasableKinds = [
  'access',
  'certificate',
  'registry',
  'audit_read',
] as const satisfies readonly RecordKind[];
export type ErasableKind = (typeof erasableKinds)[number];

/** What is to be erased: the body of one record, or all bodies of a month ('YYYY-MM', UTC) of these kinds. */
export type ErasureTarget =
  | { readonly recordId: string }
  | { readonly month: string; readonly kinds: readonly ErasableKind[] };
export type MonthTarget = Extract<ErasureTarget, { month: string }>;

/** The kinds of a target as their records have them. */
export const kindNumbers = ({ kinds }: MonthTarget): number[] => kinds.map((kind) => recordKinds[kind]);

/** A proposal as it was made. */
export interface Erasure {
  readonly erasureId: string;
  readonly target: ErasureTarget;
  /** The law and article that demand or allow it. */
  readonly legalBasis: string;
  readonly reason: string;
  readonly officer: Officer;
  readonly clientId: string;
  /** The record of the proposal. */
  readonly recordId: string;
  readonly createdAt: Date;
}

/** What the registry said of a client when it decided. */
export interface ClientStanding {
  readonly department: string;
  readonly roles: readonly Role[];
  /** RFC 3339; null: the registry did not know it. */
  readonly registeredAt: string | null;
}

/** What one officer decided about a proposal. */
export interface ErasureDecision {
  readonly decision: 'approve' | 'reject';
  readonly reason: string;
  readonly officer: Officer;
  readonly clientId: string;
  /** Absent where it is not on file: then the approval counts for nothing. */
  readonly standing?: ClientStanding | undefined;
  /** The record of the decision. */
  readonly recordId: string;
  readonly at: Date;
}

export interface ErasureExecution {
  /** The record that says it was executed. */
  readonly recordId: string;
  /** Bodies there were to erase. */
  readonly bodies: number;
  readonly at: Date;
}

/** A proposal and everything that happened to it. */
export interface ErasureCase {
  readonly erasure: Erasure;
  /** Oldest first. */
  readonly decisions: readonly ErasureDecision[];
  readonly execution?: ErasureExecution;
}

/** `executed`: its bodies are gone, or on their way out. */
export type ErasureState = 'proposed' | 'approved' | 'rejected' | 'executed';

/** Approvals it takes, each of another officer through another client of another department. */
const approvalsNeeded = 2;

/** What the rules look at. */
export type JudgedErasure = Pick<Erasure, 'officer' | 'clientId' | 'createdAt'>;
export type JudgedDecision = Pick<ErasureDecision, 'decision' | 'officer' | 'clientId' | 'standing'>;

/** One rejection outweighs any approvals, also one that arrived at the same moment. Approvals against the rules count for nothing. */
export function erasureState({
  erasure,
  decisions,
  execution,
}: {
  readonly erasure: JudgedErasure;
  readonly decisions: readonly JudgedDecision[];
  readonly execution?: ErasureExecution;
}): ErasureState {
  if (execution !== undefined) return 'executed';
  if (decisions.some(({ decision }) => decision === 'reject')) return 'rejected';
  const counted: JudgedDecision[] = [];
  for (const each of decisions) {
    if (judgeDecider({ erasure, decisions: counted }, each) === undefined) counted.push(each);
  }
  return counted.length >= approvalsNeeded ? 'approved' : 'proposed';
}

/** Why somebody may not decide; names are part of the contract (context.rule). */
export type DeciderRule = 'same_officer' | 'same_client' | 'same_department' | 'too_new' | 'no_auditor';

/**
 * Whether somebody may decide. No officer decides twice, or about their own proposal. Who runs one client can name any officer, and who
 * registers clients can make one: so to approve takes a client that is not the proposer's, was registered before the proposal was made,
 * and shares neither client nor department with the other approval; one of the two is an auditor's.
 */
export function judgeDecider(
  { erasure, decisions }: { readonly erasure: JudgedErasure; readonly decisions: readonly JudgedDecision[] },
  by: JudgedDecision,
): DeciderRule | undefined {
  const officer = officerKey(by.officer);
  if ([erasure, ...decisions].some((each) => officerKey(each.officer) === officer)) return 'same_officer';
  if (by.decision === 'reject') return undefined;
  const others = decisions.filter(({ decision }) => decision === 'approve');
  if ([erasure, ...others].some(({ clientId }) => clientId === by.clientId)) return 'same_client';
  const { standing } = by;
  // An unknown time compares as NaN: never before.
  if (!(Date.parse(standing?.registeredAt ?? '') < erasure.createdAt.getTime())) return 'too_new';
  if (others.some((each) => each.standing?.department === standing?.department)) return 'same_department';
  const isLast = others.length + 1 >= approvalsNeeded;
  return isLast && ![...others, by].some((each) => each.standing?.roles.includes('auditor')) ? 'no_auditor' : undefined;
}

/** First moment of a month ('YYYY-MM'), UTC. */
export const monthStart = (month: string): Date => new Date(`${month}-01T00:00:00.000Z`);

/** First moment after a month, and so many months later still. */
export function monthEnd(month: string, later = 0): Date {
  const end = monthStart(month);
  end.setUTCMonth(end.getUTCMonth() + 1 + later);
  return end;
}

const dayMs = 86_400_000;

/** The days of a month, each from one midnight (UTC) to before the next: who walks a month by them asks nothing that runs long. */
export function* daysOf(month: string): Generator<{ readonly from: Date; readonly until: Date }> {
  const end = monthEnd(month).getTime();
  for (let day = monthStart(month).getTime(); day < end; day += dayMs) {
    yield { from: new Date(day), until: new Date(day + dayMs) };
  }
}

/** For how many months bodies are kept, by kind; a kind that is not named is kept for good. */
export type Retention = Readonly<Partial<Record<ErasableKind, number>>>;

/** When the bodies of a month and kind may go, or undefined when never. */
export function erasableFrom(retention: Retention, month: string, kind: ErasableKind): Date | undefined {
  const months = retention[kind];
  return months === undefined ? undefined : monthEnd(month, months);
}

/** The first kind of a month whose time is not over, with the day it will be; undefined when all may go. */
export function keptLonger(
  retention: Retention,
  { month, kinds }: { readonly month: string; readonly kinds: readonly ErasableKind[] },
  now: Date,
): { readonly kind: ErasableKind; readonly until: Date | undefined } | undefined {
  for (const kind of kinds) {
    const until = erasableFrom(retention, month, kind);
    if (until === undefined || until > now) return { kind, until };
  }
  return undefined;
}
