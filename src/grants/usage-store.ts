import type { Database } from '../db/database.ts';

/** The limits of a grant that names more than its lookups per day. */
export interface Limits {
  readonly dailyQuota: number;
  readonly dailyHolders?: number;
  readonly officerDailyQuota?: number;
  readonly officerDailyHolders?: number;
}
export type QuotaLimit = keyof Limits;

/** One lookup that is to be taken from a grant. */
export interface Taking {
  readonly grantId: string;
  /** Calendar day of the city, yyyy-mm-dd. */
  readonly day: string;
  /** A grant's limits never change, so all takings of a grant bear the same. */
  readonly limits: Limits;
  /** Keyed pseudonym. Undefined: no limit by officer. */
  readonly officerKey: Buffer | undefined;
  /** Keyed pseudonyms. Empty: no limit by holder, or nobody. */
  readonly holderKeys: readonly Buffer[];
}

/** The rule stands in the function itself (migration 0003): it decides while it holds the lock of the grant's day. */
const takeStatement = { name: 'grant_usage_take', text: 'select take_usage($1::jsonb, $2) as exceeded' };

/** Takes lookups in this order; answers in the same order which limit each would exceed, undefined where it was taken. */
export async function takeUsage(
  db: Pick<Database, 'query'>,
  takings: readonly Taking[],
): Promise<(QuotaLimit | undefined)[]> {
  const perGrant = new Map<string, { head: Taking; lookups: object[] }>();
  for (const [i, taking] of takings.entries()) {
    const key = `${taking.grantId} ${taking.day}`;
    const group = perGrant.get(key) ?? { head: taking, lookups: [] };
    perGrant.set(key, group);
    group.lookups.push({
      place: i + 1,
      officer_key: taking.officerKey === undefined ? null : bytea(taking.officerKey),
      holder_keys: taking.holderKeys.map(bytea),
    });
  }
  const wanted = [...perGrant.values()].map(({ head: { grantId, day, limits }, lookups }) => ({
    day,
    grant_id: grantId,
    quota: limits.dailyQuota,
    holder_limit: limits.dailyHolders ?? null,
    officer_quota: limits.officerDailyQuota ?? null,
    officer_holder_limit: limits.officerDailyHolders ?? null,
    lookups,
  }));
  const [row] = await db.query<{ exceeded: (QuotaLimit | null)[] }>(takeStatement, [
    JSON.stringify(wanted),
    takings.length,
  ]);
  return (row?.exceeded ?? []).map((limit) => limit ?? undefined);
}

const bytea = (key: Buffer): string => `\\x${key.toString('hex')}`;

/** Days of the city for which it is kept who asked about whom: yesterday's clocks still count under yesterday. */
export const usageDays = 2;
const purgeRows = 2_000;

/**
 * Forgets who asked about whom before a day of the city (yyyy-mm-dd), in small deletes. The plain counters of grants without such
 * limits name nobody and stay.
 */
export async function purgeUsage(db: Pick<Database, 'query'>, before: string): Promise<void> {
  for (const table of ['grant_holder_usage', 'grant_officer_usage'] as const) {
    const statement = {
      name: `${table}_purge`,
      text: `delete from ${table} where ctid = any(array(select ctid from ${table} where day < $1 limit ${purgeRows})) returning 1`,
    };
    while ((await db.query(statement, [before])).length === purgeRows);
  }
}
