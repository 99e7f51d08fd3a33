import type { Officer } from '../../ids.ts';
import type { RecordKind } from '../entry.ts';

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

/** What one officer decided about a proposal. */
export interface ErasureDecision {
  readonly decision: 'approve' | 'reject';
  readonly reason: string;
  readonly officer: Officer;
  readonly clientId: string;
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

/** Approvals it takes, each of another officer through another client. */
const approvalsNeeded = 2;

/** One rejection outweighs any approvals, also one that arrived at the same moment. */
export function erasureState({ decisions, execution }: Omit<ErasureCase, 'erasure'>): ErasureState {
  if (execution !== undefined) return 'executed';
  if (decisions.some(({ decision }) => decision === 'reject')) return 'rejected';
  const approvals = decisions.filter(({ decision }) => decision === 'approve');
  const clients = new Set(approvals.map(({ clientId }) => clientId));
  const officers = new Set(approvals.map(({ officer }) => sameOfficerKey(officer)));
  return Math.min(clients.size, officers.size) >= approvalsNeeded ? 'approved' : 'proposed';
}

/** Accounts that differ in case, width or spaces only are one person's. */
const sameOfficerKey = ({ id }: Officer): string => id.normalize('NFKC').trim().toLowerCase();

/** Why somebody may not decide: they proposed it, decided already, or approve through a client that has approved. */
export type SamePerson = 'proposer' | 'same_officer' | 'same_client';

/** Four eyes are not enough: who decides is neither the proposer nor anybody who decided, nor, to approve, behind the same client. */
export function judgeDecider(
  { erasure, decisions }: ErasureCase,
  by: { readonly officer: Officer; readonly clientId: string; readonly decision: 'approve' | 'reject' },
): SamePerson | undefined {
  const officer = sameOfficerKey(by.officer);
  if (sameOfficerKey(erasure.officer) === officer) return 'proposer';
  if (decisions.some((each) => sameOfficerKey(each.officer) === officer)) return 'same_officer';
  const approvedBySame = decisions.some(({ decision, clientId }) => decision === 'approve' && clientId === by.clientId);
  return by.decision === 'approve' && approvedBySame ? 'same_client' : undefined;
}

/** First moment of a month ('YYYY-MM'), UTC. */
export const monthStart = (month: string): Date => new Date(`${month}-01T00:00:00.000Z`);

/** First moment after a month, and so many months later still. */
export function monthEnd(month: string, later = 0): Date {
  const end = monthStart(month);
  end.setUTCMonth(end.getUTCMonth() + 1 + later);
  return end;
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
