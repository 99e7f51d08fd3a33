import { Refusal } from '../errors.ts';
import type { Caller } from '../ids.ts';
import { isAllowedIssuer } from './certificate-type.ts';
import {
  type Match,
  type MatchState,
  matchDemand,
  nameKey,
  type TypeIndex,
  type WantedCertificate,
} from './match-demand.ts';

export type SupplyAnswer = 'will_supply' | 'not_ours' | 'refused';

/** Something that happened to a declared demand. Officers stand in the records alone. */
export interface DemandStep {
  readonly step: 'declared' | 'assigned' | 'answered' | 'withdrawn';
  readonly at: Date;
  readonly departmentCode: string;
  readonly clientId: string;
  /** Who should issue it: as declared, or as assigned. */
  readonly issuerDepartmentCode?: string;
  readonly answer?: SupplyAnswer;
  /** The last day on which it will be supplied. */
  readonly by?: string;
  readonly reason?: string;
}

/** What a department needs, for which matters. */
export interface Demand extends WantedCertificate {
  /** A UUID, or `matter:<matterCode>:<certificateTypeCode>` for what a registered matter asks for. */
  readonly demandId: string;
  readonly origin: 'matter' | 'declared';
  /** Who needs it. */
  readonly departmentCode: string;
  readonly matters: readonly string[];
  /** The law that lets the department ask. */
  readonly legalGround?: string;
  readonly expectedPerDay?: number;
  /** These four of declared ones alone. */
  readonly clientId?: string;
  readonly createdAt?: Date;
  /** From then on an answer, or who should give it, is late. */
  readonly dueAt?: Date;
  /** Oldest first; empty for a matter's. */
  readonly history: readonly DemandStep[];
}

export type DemandState = MatchState | 'withdrawn';

/** A demand with what the catalogue has of it now. */
export interface JudgedDemand {
  readonly demand: Demand;
  readonly match: Match;
  readonly state: DemandState;
  /** The department that should issue it; undefined when nobody is known to. */
  readonly responsible: string | undefined;
}

/** Matches a demand to the catalogue. */
export function judgeDemand(demand: Demand, index: TypeIndex): JudgedDemand {
  const match = matchDemand(demand, index);
  const owner = isDisowned(demand) ? undefined : match.type?.ownerDepartmentCode;
  return {
    demand,
    match,
    state: demand.history.some(({ step }) => step === 'withdrawn') ? 'withdrawn' : match.state,
    responsible: demand.issuerDepartmentCode ?? owner,
  };
}

/** Whether something of an open demand is not in the catalogue. */
export const isUnmet = ({ state }: JudgedDemand): boolean => state === 'fields_missing' || state === 'type_missing';

const lastTurn = ({ history }: Demand): DemandStep | undefined =>
  history.findLast(({ step }) => step === 'assigned' || step === 'answered');

const isDisowned = (demand: Demand): boolean => lastTurn(demand)?.answer === 'not_ours';

/** The answer that holds on that day of the city: a promise whose day is over holds no more. */
export function standingAnswer(demand: Demand, today: string): DemandStep | undefined {
  const last = lastTurn(demand);
  if (last?.answer === undefined || last.answer === 'not_ours') return undefined;
  return last.by !== undefined && last.by < today ? undefined : last;
}

/** Whether nobody has said in time what becomes of an open demand. */
export const isLate = (judged: JudgedDemand, at: Date, today: string): boolean =>
  isUnmet(judged) &&
  judged.demand.dueAt !== undefined &&
  at >= judged.demand.dueAt &&
  standingAnswer(judged.demand, today) === undefined;

/** Whether what is wanted is a matter of that department: it owns the type, may issue it, or should. */
const concerns = ({ demand, match: { type }, responsible }: JudgedDemand, department: string, at: Date): boolean =>
  responsible === department ||
  demand.issuerDepartmentCode === department ||
  (type !== undefined && (type.ownerDepartmentCode === department || isAllowedIssuer(type, department, at)));

/** Whether the caller is a consumer of the department that needs it. */
export const isOwnDemand = ({ roles, department }: Caller, { departmentCode }: Demand): boolean =>
  roles.includes('consumer') && department === departmentCode;

const seesAll = ({ roles }: Caller): boolean => roles.includes('admin') || roles.includes('auditor');
const supplies = ({ roles }: Caller): boolean => roles.includes('grantor') || roles.includes('issuer');

/** Whether an open demand of the department says the same already: the same thing from the same issuer for the same matters. */
export const isSameDemand = (
  { name, certificateTypeCode, issuerDepartmentCode, departmentCode, matters, history }: Demand,
  need: Pick<Demand, 'name' | 'certificateTypeCode' | 'issuerDepartmentCode' | 'departmentCode' | 'matters'>,
): boolean =>
  departmentCode === need.departmentCode &&
  certificateTypeCode === need.certificateTypeCode &&
  (certificateTypeCode !== undefined || nameKey(name) === nameKey(need.name)) &&
  // As it was declared or as it was assigned since: a gap is the assigned one's.
  [issuerDepartmentCode, history[0]?.issuerDepartmentCode].includes(need.issuerDepartmentCode) &&
  new Set([...matters, ...need.matters]).size === new Set(matters).size &&
  new Set(matters).size === new Set(need.matters).size &&
  history.every(({ step }) => step !== 'withdrawn');

/** Who sees a demand: the department that needs it, departments it concerns, administrators and auditors. */
export const maySeeDemand = (caller: Caller, judged: JudgedDemand, at: Date): boolean =>
  seesAll(caller) ||
  isOwnDemand(caller, judged.demand) ||
  (supplies(caller) && concerns(judged, caller.department, at));

/** Who sees what is missing: the department that should issue it, administrators and auditors. */
export const maySeeGap = (caller: Caller, responsible: string | undefined): boolean =>
  seesAll(caller) || (supplies(caller) && responsible === caller.department);

const closed = (state: string): Refusal => new Refusal('demand_closed', { state });

/** What is done to a demand, by whom and when. */
export type StepTaken = Pick<DemandStep, 'at' | 'departmentCode' | 'clientId'> & { readonly reason: string };

/** Takes a demand back. Refuses `demand_closed` for what is taken back already. */
export function withdrawn({ demand, state }: JudgedDemand, taken: StepTaken): Demand {
  if (state === 'withdrawn') throw closed(state);
  return { ...demand, history: [...demand.history, { ...taken, step: 'withdrawn' }] };
}

/** Says who should issue it; an answer given before stands no more. Refuses `demand_closed` for what is withdrawn or matched. */
export function assigned(
  judged: JudgedDemand,
  taken: StepTaken,
  { issuerDepartmentCode, dueAt }: { readonly issuerDepartmentCode: string; readonly dueAt: Date },
): Demand {
  if (!isUnmet(judged)) throw closed(judged.state);
  const { demand } = judged;
  const step: DemandStep = { ...taken, step: 'assigned', issuerDepartmentCode };
  return { ...demand, issuerDepartmentCode, dueAt, history: [...demand.history, step] };
}

/** What the department that should issue it says. */
export interface AnswerGiven {
  readonly answer: SupplyAnswer;
  readonly by?: string;
}

/**
 * The promise whose place the answer that stands took: of an earlier or a later day. Undefined when there was none since the demand was
 * declared, or assigned anew.
 */
export function formerPromise({ history }: Demand): DemandStep | undefined {
  const [last, former] = history.filter(({ step }) => step === 'assigned' || step === 'answered').toReversed();
  return last?.step === 'answered' && former?.answer === 'will_supply' ? former : undefined;
}

/**
 * The demand with its answer; `not_ours` leaves it to the hub to say who should. A promise may be made anew for another day, earlier or
 * later: everybody who sees the demand sees both. Refuses `demand_closed` for what is withdrawn, matched or answered otherwise (until a
 * promise's day is over, or the hub assigns it anew).
 */
export function answered(
  judged: JudgedDemand,
  taken: StepTaken,
  { answer, by, today, dueAt }: AnswerGiven & { readonly today: string; readonly dueAt: Date },
): Demand {
  const { demand } = judged;
  if (!isUnmet(judged)) throw closed(judged.state);
  const standing = standingAnswer(demand, today);
  const isMoved = standing?.answer === 'will_supply' && answer === 'will_supply' && standing.by !== by;
  if (standing !== undefined && !isMoved) throw closed('answered');
  const step: DemandStep = { ...taken, step: 'answered', answer, ...(by !== undefined && { by }) };
  const history = [...demand.history, step];
  if (answer !== 'not_ours') return { ...demand, history };
  const { issuerDepartmentCode: _not, ...rest } = demand;
  return { ...rest, dueAt, history };
}
