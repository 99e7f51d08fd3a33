import { coalesce } from '../db/batch.ts';
import type { Database } from '../db/database.ts';
import type { Grant } from './grant.ts';
import { addUsage } from './store.ts';
import { type Limits, type QuotaLimit, type Taking, takeUsage } from './usage-store.ts';

export type { QuotaLimit } from './usage-store.ts';

/** Who asks about whom. Called only for grants that limit officers or holders. */
export interface Asked {
  /** Keyed pseudonym of the officer. */
  readonly officerKey: () => Buffer;
  /** Keyed pseudonyms of everybody the question is about, known before anything of the answer leaves. */
  readonly holderKeys: () => Promise<readonly Buffer[]>;
}

/** Takes one lookup from a grant's day. Answers the limit that stands against it, undefined when it was taken. */
export type Reserve = (
  grant: Pick<Grant, 'grantId'> & Limits,
  asked: Asked,
  at: Date,
) => Promise<QuotaLimit | undefined>;

interface Reservation {
  readonly grantId: string;
  readonly day: string;
  readonly dailyQuota: number;
}

export interface QuotaDeps {
  readonly db: Database;
  /** Calendar day of the city, yyyy-mm-dd. */
  readonly day: (at: Date) => string;
}

/** So many wait at most for one batch that holds the lock of a grant's day. */
const maxTakings = 200;

/**
 * Every limit of a grant, exact on any number of processes: lookups, and distinct holders, per day, of everybody and of each officer.
 * What is refused is charged to nobody, so that an officer in a loop does not use up the day of all others; the same holder counts
 * once. Grants with a daily number of lookups alone keep to their plain counter.
 */
export function quotas(deps: QuotaDeps): Reserve {
  const { db, day } = deps;
  const isWithin = quotaCounter(deps);
  const take = coalesce<Taking, QuotaLimit | undefined>((batch) => takeUsage(db, batch), { maxBatch: maxTakings });
  return async (grant, asked, at) => {
    const { grantId, dailyQuota, dailyHolders, officerDailyQuota, officerDailyHolders } = grant;
    const limitsOfficers = officerDailyQuota !== undefined || officerDailyHolders !== undefined;
    const limitsHolders = dailyHolders !== undefined || officerDailyHolders !== undefined;
    if (!limitsOfficers && !limitsHolders) return (await isWithin(grant, at)) ? undefined : 'dailyQuota';
    return take({
      grantId,
      day: day(at),
      limits: {
        dailyQuota,
        ...(dailyHolders !== undefined && { dailyHolders }),
        ...(officerDailyQuota !== undefined && { officerDailyQuota }),
        ...(officerDailyHolders !== undefined && { officerDailyHolders }),
      },
      officerKey: limitsOfficers ? asked.officerKey() : undefined,
      holderKeys: limitsHolders ? await asked.holderKeys() : [],
    });
  };
}

/**
 * The plain counter of lookups per day; answers false when the day is used up. Exact on any number of processes: concurrent
 * reservations of a process share one statement that adds their number to the grant's counter of the day, and who lies above the
 * quota afterwards is refused. Refused attempts stay counted; they are beyond the quota anyway.
 */
export function quotaCounter({
  db,
  day,
}: QuotaDeps): (grant: Pick<Grant, 'grantId' | 'dailyQuota'>, at: Date) => Promise<boolean> {
  const reserve = coalesce<Reservation, boolean>((batch) => countBatch(db, batch), { maxBatch: 500 });
  return (grant, at) => reserve({ grantId: grant.grantId, day: day(at), dailyQuota: grant.dailyQuota });
}

async function countBatch(db: Database, batch: readonly Reservation[]): Promise<boolean[]> {
  const counts = new Map<string, { grantId: string; day: string; taken: number }>();
  const places = batch.map(({ grantId, day }) => {
    const key = `${grantId} ${day}`;
    const count = counts.get(key) ?? { grantId, day, taken: 0 };
    counts.set(key, { ...count, taken: count.taken + 1 });
    return { key, place: count.taken + 1 };
  });
  const totals = await addUsage(db, [...counts.values()]);
  return batch.map((reservation, i) => {
    const { key, place } = places[i] ?? { key: '', place: 0 };
    const total = totals.get(key);
    if (total === undefined) return false;
    const before = total - (counts.get(key)?.taken ?? 0);
    return before + place <= reservation.dailyQuota;
  });
}
