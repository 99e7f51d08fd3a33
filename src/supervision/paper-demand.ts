import { Refusal } from '../errors.ts';
import type { LegalBasis } from '../grants/grant.ts';
import type { Caller, Officer } from '../ids.ts';
import type { Holder } from '../verification/identifiers.ts';

export type PaperDemandReason =
  | 'hub_unavailable'
  | 'certificate_missing'
  | 'certificate_wrong'
  | 'certificate_unreadable'
  | 'person_prefers_paper'
  | 'other';

export type PaperDemandState = 'recorded' | 'reported' | 'contested' | 'escalated' | 'withdrawn' | 'maintained';

/** What the hub judged when a demand was recorded; never told to the office. */
export type Judgement =
  | 'outside_matter'
  | 'retained_proof'
  | 'could_supply'
  | 'could_supply_with_grant'
  | 'could_not_supply'
  | 'not_judged';

/** A judgement with the parties (codes) whose certificates it rests on: to anybody else it must not be told. */
export interface Judged {
  readonly judgement: Judgement;
  readonly of: readonly string[];
}

/** Something that happened to a demand; named as the state it led to. */
export interface PaperDemandStep {
  readonly step: PaperDemandState;
  readonly at: Date;
  readonly departmentCode: string;
  readonly clientId: string;
  /** The party who contested it. */
  readonly party?: string;
  /** What the person stated, or the reason of an answer. */
  readonly text?: string;
  readonly officer?: Officer;
}

/** An office asked for paper, and what became of it. */
export interface PaperDemand {
  readonly paperDemandId: string;
  /** The office. */
  readonly departmentCode: string;
  /** Who recorded it. */
  readonly clientId: string;
  readonly reportedBy: 'office' | 'portal';
  readonly matterCode: string;
  readonly requirement?: string;
  readonly what?: string;
  readonly caseNumber?: string;
  readonly legalBasis?: LegalBasis;
  /** By the codes of the matter's parties. */
  readonly parties: Readonly<Record<string, Holder>>;
  /** The office's own, or as a portal reports it, which may not know. */
  readonly reason?: PaperDemandReason;
  readonly explanation?: string;
  readonly judged: Judged;
  readonly state: PaperDemandState;
  /** The report of a portal that an office's record repeats; never told to the office. */
  readonly sameAs?: string;
  readonly createdAt: Date;
  /** When the answer that somebody waits for, or waited for last, is late. */
  readonly dueAt?: Date;
  /** Oldest first. */
  readonly history: readonly PaperDemandStep[];
}

/** Whether paper was asked for that should not have been. */
export const isDeviation = ({ judgement }: Pick<Judged, 'judgement'>): boolean =>
  judgement === 'outside_matter' || judgement === 'could_supply' || judgement === 'could_supply_with_grant';

/** States in which somebody waits for an answer. */
export const waitingStates = ['reported', 'contested', 'escalated'] as const satisfies readonly PaperDemandState[];
/** Whether somebody waits for an answer. */
export const isWaiting = (state: PaperDemandState): boolean => waitingStates.some((each) => each === state);

/** Whether the answer is late. */
export const isOverdue = ({ state, dueAt }: Pick<PaperDemand, 'state' | 'dueAt'>, at: Date): boolean =>
  isWaiting(state) && dueAt !== undefined && at >= dueAt;

interface Steps {
  readonly history: readonly Pick<PaperDemandStep, 'step'>[];
}

/** How often a person objected, the report included. */
const objections = ({ history }: Steps): number => history.filter(({ step }) => isWaiting(step)).length;

/** Whether it was ever reported or contested. */
export const wasContested = (demand: Steps): boolean => objections(demand) > 0;

/** Whether it is the office's turn to answer an objection. */
const awaitsOffice = ({ state }: Pick<PaperDemand, 'state'>): boolean => state === 'reported' || state === 'contested';

/** Whether a party may contest it now: at first, and once more when the office maintains it or lets its deadline pass. */
export const isContestable = (demand: PaperDemand, at: Date): boolean =>
  demand.state === 'recorded' ||
  (demand.state === 'maintained' && objections(demand) === 1) ||
  (awaitsOffice(demand) && isOverdue(demand, at));

/** The demand after an objection. Refuses `paper_demand_closed` (context.state; context.dueAt, until when the office has time). */
export function contested(
  demand: PaperDemand,
  objection: Omit<PaperDemandStep, 'step' | 'officer'> & { readonly party: string },
  dueAt: Date,
): PaperDemand {
  if (!isContestable(demand, objection.at)) {
    const until = awaitsOffice(demand) && demand.dueAt !== undefined && { dueAt: demand.dueAt.toISOString() };
    throw new Refusal('paper_demand_closed', { state: demand.state, ...until });
  }
  const state = demand.state === 'recorded' ? 'contested' : 'escalated';
  return { ...demand, state, dueAt, history: [...demand.history, { ...objection, step: state }] };
}

/** The demand after an answer. Who may give it says `judgeAnswerer`. */
export const answered = (
  demand: PaperDemand,
  step: PaperDemandStep & { readonly step: 'withdrawn' | 'maintained' },
): PaperDemand => ({ ...demand, state: step.step, history: [...demand.history, step] });

/** Who sees a demand in the office's view: consumers of the office, administrators and auditors. */
export const maySeePaperDemand = (
  { roles, department }: Caller,
  { departmentCode }: Pick<PaperDemand, 'departmentCode'>,
): boolean => seesEveryDemand({ roles }) || (roles.includes('consumer') && department === departmentCode);

/** Whether a caller sees the demands of every department, and with them what the hub judged. */
export const seesEveryDemand = ({ roles }: Pick<Caller, 'roles'>): boolean =>
  roles.includes('admin') || roles.includes('auditor');

/** Context of a refusal: in which state it is closed, and since when it is forgotten. */
export const closedBy = ({ state, forgottenAt }: { readonly state: PaperDemandState; readonly forgottenAt: Date }) => ({
  state,
  forgottenAt: forgottenAt.toISOString(),
});

/** Why a caller may not answer the demand now; undefined when it may. The hub does not decide over its own department's demands. */
export function judgeAnswerer(demand: PaperDemand, caller: Caller): Refusal | undefined {
  const { state, departmentCode } = demand;
  const isOffice = caller.roles.includes('consumer') && caller.department === departmentCode;
  const isAdmin = caller.roles.includes('admin');
  if (!isOffice && !isAdmin) return new Refusal('paper_demand_unknown');
  if (state === 'escalated' && isAdmin) {
    return caller.department === departmentCode
      ? new Refusal('decider_must_differ', { rule: 'same_department' })
      : undefined;
  }
  return isOffice && awaitsOffice(demand) ? undefined : new Refusal('paper_demand_closed', { state });
}

/** The parties (codes) that a holder plays. */
export const partiesPlayedBy = ({ parties }: Pick<PaperDemand, 'parties'>, { type, number }: Holder): string[] =>
  Object.entries(parties).flatMap(([code, party]) => (party.type === type && party.number === number ? [code] : []));

/** What a party is told: a judgement that rests on somebody else's certificates would tell which of them there are. */
export function judgementFor(demand: PaperDemand, holder: Holder): Judgement | 'concerns_others' {
  const own = partiesPlayedBy(demand, holder);
  const { judgement, of } = demand.judged;
  return of.every((code) => own.includes(code)) ? judgement : 'concerns_others';
}

/** The number by which people name a demand; `day` is the city's day on which it was recorded, yyyy-mm-dd. */
export const paperDemandNumber = (paperDemandId: string, day: string): string =>
  `ZZ-${day.replaceAll('-', '')}-${paperDemandId.slice(-12).toUpperCase()}`;
