import type { Database } from '../../db/database.ts';

/** How far the published log is behind the records, for every process of a hub, whether or not it sequences. */
export interface LogLag {
  /** Age in seconds of the oldest record that no published checkpoint covers; 0 when there is none. As of the last look. */
  readonly unpublishedSeconds: () => number;
  readonly stop: () => Promise<void>;
}

/** Looks now and then every `intervalMs` (5 s); a look that fails leaves the last answer, which then grows older with time. */
export async function watchLogLag({
  db,
  intervalMs = 5_000,
}: {
  readonly db: Database;
  readonly intervalMs?: number;
}): Promise<LogLag> {
  let seen = 0;
  let seenAt = performance.now();
  let looking: Promise<void> = Promise.resolve();
  const look = async (): Promise<void> => {
    seen = await readUnpublishedSeconds(db);
    seenAt = performance.now();
  };
  await look();
  const timer = setInterval(() => {
    looking = look().catch(() => undefined);
  }, intervalMs).unref();
  return {
    unpublishedSeconds: () => (seen === 0 ? 0 : seen + (performance.now() - seenAt) / 1_000),
    stop: async () => {
      clearInterval(timer);
      await looking;
    },
  };
}

/** Leaves and queue are nearly in the order of time: the first of each stands for its oldest. */
async function readUnpublishedSeconds(db: Database): Promise<number> {
  const statement = {
    name: 'log_unpublished',
    text: `select greatest(0, extract(epoch from clock_timestamp() - least(
        (select recorded_at from log_queue order by record_id limit 1),
        (select recorded_at from log_leaf where leaf_index = (select published_size from log_state where id = 1)))))::float8
      as seconds`,
  };
  const [row] = await db.query<{ seconds: number | null }>(statement, []);
  return row?.seconds ?? 0;
}
