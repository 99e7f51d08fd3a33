import { type ConnectOptions, connect, type Database } from './database.ts';

/** The connections of one hub process, all under the service role. */
export interface Pools {
  /** For work. Changes that wait for one another's rows may hold all of them. */
  readonly db: Database;
  /** For records, and for looking what is in force: nothing that waits for anybody's row, so that a refusal is always told and recorded. */
  readonly reservedDb: Database;
  /** Waits for statements under way; no connection stays. */
  readonly close: () => Promise<void>;
}

/** Beside `max`: one for records, one to look whether anything changed, one to load what did. */
export const reservedConnections = 3;

/** Opens both pools; `max` counts the connections for work. They connect when first used. */
export function connectPools(options: ConnectOptions): Pools {
  const db = connect(options);
  const reservedDb = connect({ ...options, max: reservedConnections });
  return {
    db,
    reservedDb,
    close: async () => {
      await Promise.all([db.close(), reservedDb.close()]);
    },
  };
}
