import type { Transaction } from 'kysely';
import { itemKey } from '../catalogue/match-demand.ts';
import type { Tables } from '../db/tables.ts';
import { Refusal } from '../errors.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import type { Holder } from '../verification/identifiers.ts';
import type { PaperDemand } from './paper-demand.ts';
import type { PaperDemandStoreDeps } from './paper-demand-row.ts';
import { everyPaperDemand, holdParties } from './paper-demand-store.ts';

/** For so many days of the city a report of the same is the same demand, and not another one. */
export const sameForDays = 30;

const textKey = (text = ''): string => itemKey({ zh: text, en: text });

/** Whether the same office asked for the same thing in the same matter. What it withdrew it may ask for anew. */
const asksTheSame = (one: PaperDemand, other: PaperDemand): boolean =>
  other.state !== 'withdrawn' &&
  one.departmentCode === other.departmentCode &&
  one.matterCode === other.matterCode &&
  one.requirement === other.requirement &&
  (one.requirement !== undefined || textKey(one.what) === textKey(other.what));

/** Nobody whom both name is somebody else: a proof of one child is not the proof of another. Who was left out may be anybody. */
const concernsTheSame = ({ parties }: PaperDemand, { parties: others }: PaperDemand): boolean =>
  Object.entries(parties).every(([code, { type, number }]) => {
    const other = Object.hasOwn(others, code) ? others[code] : undefined;
    return other === undefined || (other.type === type && other.number === number);
  });

/** Whether two demands are one. */
export const isSameDemand = (one: PaperDemand, other: PaperDemand): boolean =>
  asksTheSame(one, other) && concernsTheSame(one, other);

/** Whether an office put the same on file twice. */
export const isSameRecord = (one: PaperDemand, other: PaperDemand): boolean =>
  one.reportedBy === 'office' &&
  other.reportedBy === 'office' &&
  one.caseNumber === other.caseNumber &&
  asksTheSame(one, other) &&
  canonicalJson(one.parties) === canonicalJson(other.parties);

/**
 * A new demand as it is to be kept, in the transaction that keeps it; others of its parties wait until that ends. A portal is refused what
 * the person is a party of already, however it came there: that one can be contested. An office is refused its own record alone; what a
 * portal has reported since `since` it does not learn of, and its record names that one for the counts. Refuses `paper_demand_exists`.
 */
export async function notRepeated(
  trx: Transaction<Tables>,
  deps: PaperDemandStoreDeps,
  demand: PaperDemand,
  since: Date,
): Promise<PaperDemand> {
  await holdParties(trx, deps, demand);
  const [{ party } = {}] = demand.history;
  const reporter = party === undefined ? undefined : demand.parties[party];
  if (reporter === undefined) return recordedOnce(trx, deps, demand, since);
  for await (const other of demandsOf(trx, deps, demand, reporter)) {
    if (other.createdAt >= since && isSameDemand(demand, other)) throw exists(other);
  }
  return demand;
}

async function recordedOnce(
  trx: Transaction<Tables>,
  deps: PaperDemandStoreDeps,
  demand: PaperDemand,
  since: Date,
): Promise<PaperDemand> {
  let sameAs: string | undefined;
  for (const holder of Object.values(demand.parties)) {
    for await (const other of demandsOf(trx, deps, demand, holder)) {
      if (isSameRecord(demand, other)) throw exists(other);
      const isReported = other.reportedBy === 'portal' && other.createdAt >= since && isSameDemand(demand, other);
      if (isReported) sameAs = other.paperDemandId;
    }
  }
  return { ...demand, ...(sameAs !== undefined && { sameAs }) };
}

const exists = ({ paperDemandId }: PaperDemand): Refusal => new Refusal('paper_demand_exists', { paperDemandId });

/** What the office demanded of somebody, newest first. Nobody is a party of a forgotten one any more. */
async function* demandsOf(
  trx: Transaction<Tables>,
  deps: PaperDemandStoreDeps,
  { departmentCode }: PaperDemand,
  holder: Holder,
): AsyncGenerator<PaperDemand> {
  for await (const each of everyPaperDemand(trx, deps, { departmentCode, holder })) {
    if (!('forgottenAt' in each)) yield each;
  }
}
