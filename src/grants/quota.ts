import { coalesce } from '../db/batch.ts';
import type { Database } from '../db/database.ts';
import type { Grant } from './grant.ts';
import { addUsage } from './store.ts';

/** Takes one lookup from a grant's quota of the day; false when the day's quota is used up. */
export type Reserve = (grant: Pick<Grant, 'grantId' | 'dailyQuota'>, at: Date) => Promise<boolean>;

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

/**
 * Exact on any number of processes: concurrent reservations of a process share one statement that adds their number to the
 * grant's counter of the day, and who lies above the quota afterwards is refused. Refused attempts stay counted; they are
 * beyond the quota anyway.
 */
export function quotaCounter({ db, day }: QuotaDeps): Reserve {
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
