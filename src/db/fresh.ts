import { sql, type Transaction } from 'kysely';
import { Refusal } from '../errors.ts';
import type { Database } from './database.ts';
import { asSeenOutside } from './fault.ts';
import type { Tables } from './tables.ts';
import { transaction } from './transaction.ts';

/** A small part of the database kept in memory and never older than promised. */
export interface FreshView<T> {
  /**
   * The view, confirmed by a look at the database that began less than `maxAgeMs` ago, or after the question: at once when there was
   * one, else after a new look. Throws Refusal('database_unavailable') when that fails: nothing is decided on what may be revoked by now.
   * Take what you need and let go: the value is a snapshot and must not be changed.
   */
  read(): Promise<T>;
}

export interface Freshness {
  /**
   * A view of a topic. `load` runs in a read-only snapshot of its own and must read all of the topic; it runs again when the topic's
   * version has changed. Whoever changes what it reads calls `bump` in the same transaction.
   */
  watch<T>(topic: string, load: (snapshot: Transaction<Tables>) => Promise<T>): FreshView<T>;
  /** After a change made here: the next reader looks anew, so that a process always sees its own changes. */
  outdate(): void;
  /** No look begins after this; those under way are waited for. */
  stop(): Promise<void>;
}

export interface FreshnessOptions {
  readonly intervalMs: number;
  /** Above the interval, so that readers normally never wait; below the promise (1 s, invariant 2). */
  readonly maxAgeMs: number;
  /** Milliseconds of a clock that never jumps: `performance.now`. */
  readonly now: () => number;
}

/** What a poll found: the version of each topic, true of a moment after `begun`. */
interface Sighting {
  readonly begun: number;
  readonly versions: ReadonlyMap<string, number>;
}

interface Watched {
  outdate(): void;
  absorb(sighting: Sighting): Promise<void>;
}

/** Raises a topic's version in the transaction that changes it: every process reloads its view within one interval. */
export async function bump(trx: Transaction<Tables>, topic: string): Promise<void> {
  await trx
    .insertInto('registry_versions')
    .values({ topic, version: 1 })
    .onConflict((conflict) =>
      conflict.column('topic').doUpdateSet({ version: sql<number>`registry_versions.version + 1` }),
    )
    .execute();
}

/**
 * Keeps everybody else from changing a topic until the transaction ends, without a change of one's own: what is decided on what the
 * topic holds stays right. Who holds several takes them in this order: catalogue, matters, grants.
 */
export async function hold(trx: Transaction<Tables>, topic: string): Promise<void> {
  await trx.selectFrom('registry_versions').select('version').where('topic', '=', topic).forUpdate().execute();
}

/** A call that several callers may wait for; the next call begins when the last has ended. */
function shared<T>(run: () => Promise<T>): { (): Promise<T>; readonly underWay: Promise<T> | undefined } {
  let underWay: Promise<T> | undefined;
  const call = () => {
    underWay ??= run().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
  return Object.defineProperty(call, 'underWay', { get: () => underWay }) as typeof call & {
    underWay: Promise<T> | undefined;
  };
}

/**
 * Keeps views of small tables fresh by one cheap poll for all of them (no LISTEN: it ties up a connection and serialises commits).
 *
 * A view is as old as the **beginning** of the look that last confirmed it: whatever was committed before that beginning, it shows.
 */
export function startFreshness(
  db: Pick<Database, 'kysely' | 'query'>,
  { intervalMs, maxAgeMs, now }: FreshnessOptions,
): Freshness {
  const watched = new Set<Watched>();
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;

  const statement = { name: 'registry_versions', text: 'select topic, version from registry_versions' };
  const poll = shared(async (): Promise<Sighting> => {
    const begun = now();
    const rows = await db.query<{ topic: string; version: number }>(statement, []);
    const sighting = { begun, versions: new Map(rows.map(({ topic, version }) => [topic, version])) };
    // Changed views load in the background: a slow one must not age the others. Readers that need it wait for it themselves.
    for (const view of watched) view.absorb(sighting).catch(() => undefined);
    return sighting;
  });

  const tick = (): void => {
    if (stopped) return;
    const begun = now();
    const next = () => {
      if (!stopped) timer = setTimeout(tick, Math.max(0, intervalMs - (now() - begun))).unref();
    };
    // A poll that failed confirms nothing: views age, and readers learn the reason when they look for themselves.
    poll().then(next, next);
  };

  const watch = <T>(topic: string, load: (snapshot: Transaction<Tables>) => Promise<T>): FreshView<T> => {
    let value: Promise<T> | undefined;
    let version: number | undefined;
    let confirmedAt = Number.NEGATIVE_INFINITY;
    // A look that began before our own change must not confirm the view it left behind.
    let notBefore = Number.NEGATIVE_INFINITY;

    const isFresh = (): boolean => now() - confirmedAt < maxAgeMs;
    const confirm = (begun: number): void => {
      if (begun >= notBefore) confirmedAt = Math.max(confirmedAt, begun);
    };
    const reload = shared(async (): Promise<void> => {
      const begun = now();
      // Version and content from one snapshot: a change between the two reads cannot hide.
      const [seen, loaded] = await transaction(
        db,
        async (snapshot) => {
          const row = await snapshot
            .selectFrom('registry_versions')
            .select('version')
            .where('topic', '=', topic)
            .executeTakeFirst();
          return [row?.version ?? 0, await load(snapshot)] as const;
        },
        { isolation: 'repeatable read', readOnly: true },
      );
      version = seen;
      value = Promise.resolve(loaded);
      confirm(begun);
    });
    const absorb = async ({ begun, versions }: Sighting): Promise<void> => {
      if (value !== undefined && versions.get(topic) === version) return confirm(begun);
      if (value !== undefined && !versions.has(topic) && version === 0) return confirm(begun);
      await reload();
    };
    const outdate = (): void => {
      confirmedAt = Number.NEGATIVE_INFINITY;
      notBefore = now();
    };
    const view: Watched = { absorb, outdate };
    watched.add(view);

    const look = async (): Promise<T> => {
      if (stopped) throw new Refusal('shutting_down');
      // A look that began after the question is good enough for it, however long it took.
      const asked = now();
      const isGood = (): boolean => value !== undefined && (isFresh() || confirmedAt >= asked);
      try {
        // A poll under way, and then a load under way, may have begun too long ago; the third one is ours.
        for (let round = 0; round < 3 && !isGood(); round++) {
          if (value === undefined) await reload();
          else await absorb(await poll());
        }
      } catch (error) {
        throw asSeenOutside(error);
      }
      if (value === undefined || !isGood()) throw new Refusal('database_unavailable');
      return value;
    };

    return { read: () => (value !== undefined && isFresh() ? value : look()) };
  };

  tick();
  return {
    watch,
    outdate: () => {
      for (const view of watched) view.outdate();
    },
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await poll.underWay?.catch(() => undefined);
    },
  };
}
