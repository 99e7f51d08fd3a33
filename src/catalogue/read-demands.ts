import { Refusal } from '../errors.ts';
import type { Caller } from '../ids.ts';
import type { CatalogueView } from './catalogue.ts';
import {
  type Demand,
  type DemandState,
  isOwnDemand,
  type JudgedDemand,
  judgeDemand,
  maySeeDemand,
  maySeeGap,
} from './demand.ts';
import { applicationOf, needOf, type PermissionsOf } from './demand-need.ts';
import type { DemandsView } from './demand-store.ts';
import { type Candidate, candidatesFor, indexTypes, type TypeIndex } from './match-demand.ts';
import { matterDemands } from './matter-demands.ts';
import type { MattersView } from './matters.ts';
import { type ShownDemand, showDemand } from './shown-demand.ts';
import { type GapState, gapsOf, type SupplyGap } from './supply-gap.ts';

interface DemandsDeps {
  readonly demands: DemandsView;
  readonly matters: MattersView;
  readonly catalogue: CatalogueView;
}
export interface ReadDemandsDeps extends DemandsDeps {
  readonly permissionsOf: PermissionsOf;
  /** The city's day of a moment. */
  readonly day: (at: Date) => string;
}

/** A page of a list: what follows `after`, and the cursor of the page after it. */
interface Page<T> {
  readonly items: readonly T[];
  readonly next?: string;
}
interface Reader {
  readonly caller: Caller;
  readonly at: Date;
}

const defaultLimit = 50;

function pageOf<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
  { after, limit = defaultLimit }: { readonly after?: string; readonly limit?: number },
): Page<T> {
  const rest = items
    .filter((item) => after === undefined || keyOf(item) > after)
    .toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  const page = rest.slice(0, limit);
  const last = rest.length > limit ? page.at(-1) : undefined;
  return { items: page, ...(last !== undefined && { next: keyOf(last) }) };
}

interface Judged {
  readonly all: readonly JudgedDemand[];
  readonly index: TypeIndex;
}

/** Every demand, declared or a matter's, matched to the catalogue of this moment. */
async function judgeAll({ demands, matters, catalogue }: DemandsDeps): Promise<Judged> {
  const [declared, { all: registered }, { types }] = await Promise.all([
    demands.read(),
    matters.read(),
    catalogue.read(),
  ]);
  const index = indexTypes(types);
  const all: readonly Demand[] = [...declared, ...matterDemands(registered, index)];
  return { all: all.map((demand) => judgeDemand(demand, index)), index };
}

/** Makes what a caller sees of demands; its permissions are read once. */
async function shower({ permissionsOf, day }: ReadDemandsDeps, { caller, at }: Reader, index: TypeIndex) {
  const permissionFor = caller.roles.includes('consumer') ? await permissionsOf(caller.clientId, at) : undefined;
  const today = day(at);
  return (judged: JudgedDemand): ShownDemand => {
    const { demand } = judged;
    const need = isOwnDemand(caller, demand) ? needOf(judged) : undefined;
    const permission = need === undefined ? undefined : permissionFor?.(need);
    const isApplicable = permission !== undefined && permission.fieldsLacking.length > 0;
    return {
      ...showDemand(judged, index, { at, today }),
      ...(permission !== undefined && { permission }),
      ...(need !== undefined &&
        isApplicable &&
        permission.applicationId === undefined && { apply: applicationOf(demand, need) }),
    };
  };
}

export interface DemandQuestion {
  readonly departmentCode?: string;
  readonly certificateTypeCode?: string;
  readonly state?: DemandState;
  readonly origin?: Demand['origin'];
  /** A demand id: those that come after it. */
  readonly after?: string;
  readonly limit?: number;
}

/** The caller's view of all demands, in order of their ids; withdrawn ones only where they are asked for. */
export async function listDemands(
  deps: ReadDemandsDeps,
  question: DemandQuestion,
  reader: Reader,
): Promise<Page<ShownDemand>> {
  const { all, index } = await judgeAll(deps);
  const found = all.filter((judged) => isAskedFor(judged, question) && maySeeDemand(reader.caller, judged, reader.at));
  const { items, ...rest } = pageOf(found, ({ demand }) => demand.demandId, question);
  return { items: items.map(await shower(deps, reader, index)), ...rest };
}

const isAskedFor = (
  { demand, match, state }: JudgedDemand,
  { departmentCode, certificateTypeCode, state: wanted, origin }: DemandQuestion,
): boolean =>
  (departmentCode === undefined || demand.departmentCode === departmentCode) &&
  (certificateTypeCode === undefined ||
    (demand.certificateTypeCode ?? match.type?.certificateTypeCode) === certificateTypeCode) &&
  (wanted === undefined ? state !== 'withdrawn' : state === wanted) &&
  (origin === undefined || demand.origin === origin);

/** One demand, declared or a matter's. Refuses `demand_unknown`, also for one the caller may not see. */
export async function readDemand(deps: ReadDemandsDeps, demandId: string, reader: Reader): Promise<ShownDemand> {
  const { all, index } = await judgeAll(deps);
  const judged = all.find(({ demand }) => demand.demandId === demandId);
  if (judged === undefined || !maySeeDemand(reader.caller, judged, reader.at)) throw new Refusal('demand_unknown');
  return (await shower(deps, reader, index))(judged);
}

/** Whether it is an open demand of that department for that type: what an application may say it came from. */
export async function isDemandFor(
  deps: DemandsDeps,
  { demandId, department, certificateTypeCode }: { demandId: string; department: string; certificateTypeCode: string },
): Promise<boolean> {
  const found = (await judgeAll(deps)).all.find(({ demand }) => demand.demandId === demandId);
  return (
    found !== undefined &&
    found.state !== 'withdrawn' &&
    found.demand.departmentCode === department &&
    found.match.type?.certificateTypeCode === certificateTypeCode
  );
}

/** A gap with types that may be meant. */
export interface ShownGap {
  readonly gap: SupplyGap;
  readonly candidates: readonly Candidate[];
}

/** What departments need and the catalogue has not, as far as it is for the caller to see. */
export async function listSupplyGaps(
  deps: ReadDemandsDeps,
  question: { readonly state?: GapState; readonly after?: string; readonly limit?: number },
  { caller, at }: Reader,
): Promise<Page<ShownGap>> {
  const { all, index } = await judgeAll(deps);
  const gaps = gapsOf(all, { at, today: deps.day(at) }).filter(
    ({ state, responsible }) =>
      (question.state === undefined || state === question.state) && maySeeGap(caller, responsible),
  );
  const { items, ...rest } = pageOf(gaps, ({ gapId }) => gapId, question);
  return { items: items.map((gap) => ({ gap, candidates: candidatesOf(gap, index) })), ...rest };
}

function candidatesOf({ missing, wantedBy }: SupplyGap, index: TypeIndex): readonly Candidate[] {
  const [first] = wantedBy;
  if (missing === 'field' || first === undefined) return [];
  return candidatesFor(first.judged.demand, first.judged.match, index);
}
