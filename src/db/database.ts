import { Kysely, PostgresDialect, type PostgresPoolClient } from 'kysely';
import pg from 'pg';
import { asSeenOutside, faultCode } from './fault.ts';
import type { Tables } from './tables.ts';

/** A hot statement: run by name, so that PostgreSQL parses and plans it once per connection. One name, one text. */
export interface Statement {
  /** At most 63 bytes. */
  readonly name: string;
  readonly text: string;
}

export interface PoolMetrics {
  readonly total: number;
  readonly idle: number;
  /** Callers waiting for a connection. */
  readonly waiting: number;
  readonly max: number;
}

/** A pool of connections under one role. Errors it throws carry no row values; failures to reach the database are refusals. */
export interface Database {
  /** For everything that is not hot. Change several rows through `transaction`, never through this. */
  readonly kysely: Kysely<Tables>;
  /** Runs a named statement by itself. Throws Refusal('database_unavailable') or a DatabaseFault. */
  query<T extends object>(statement: Statement, values: readonly unknown[]): Promise<T[]>;
  /** The same for a statement whose best plan hangs on its values: planned with them each time, and kept by no connection. */
  queryByValues<T extends object>(text: string, values: readonly unknown[]): Promise<T[]>;
  metrics(): PoolMetrics;
  /** Waits for statements under way; no connection stays. */
  close(): Promise<void>;
}

export interface ConnectOptions {
  readonly url: string;
  /** Connections at most. */
  readonly max: number;
  /** After this the server cancels a statement. */
  readonly statementTimeoutMs: number;
  readonly applicationName: string;
  /** false behind a pooler that cannot keep prepared statements. Default true. */
  readonly prepared?: boolean;
  /** How long to wait for a connection, from the pool or anew. Default 3000. */
  readonly connectionTimeoutMs?: number;
}

/** Beyond the server's own timeout: by then the server or the way to it is dead, and the connection is given up. */
const silenceMs = 2_000;

function safeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError('int8 beyond 2^53: select it as text');
  return value;
}

type Parser = (text: string) => unknown;

const textListOid = 1009;
const parseTextList = (pg.types.getTypeParser as (oid: number) => Parser)(textListOid);

/** A list whose members need no quotes is cut at its commas: most are, and pg's own parser goes letter by letter. */
const textList: Parser = (text) =>
  /^\{[^{"\\]+\}$/.test(text) && !text.includes('NULL') ? text.slice(1, -1).split(',') : parseTextList(text);

/** Types whose default parser loses something: int8 (a string), date and timestamp (read in the process's own time zone); or is slow. */
const parsers = new Map<number, Parser>([
  [textListOid, textList],
  [pg.types.builtins.INT8, safeInteger],
  [
    1016,
    (text) =>
      text
        .slice(1, -1)
        .split(',')
        .filter((part) => part !== '')
        .map((part) => (part === 'NULL' ? null : safeInteger(part))),
  ],
  [pg.types.builtins.DATE, String],
  [
    1182,
    (text) =>
      text
        .slice(1, -1)
        .split(',')
        .filter((part) => part !== ''),
  ],
  [pg.types.builtins.TIMESTAMP, String],
]);

const types = {
  getTypeParser: (oid: number, format?: 'text' | 'binary'): Parser =>
    (format !== 'binary' ? parsers.get(oid) : undefined) ?? (pg.types.getTypeParser(oid, format) as Parser),
};

/** The client options certhub uses everywhere. */
export const clientOptions = ({
  url,
  statementTimeoutMs,
  applicationName,
  connectionTimeoutMs = 3_000,
}: Omit<ConnectOptions, 'max' | 'prepared'>): pg.ClientConfig => ({
  connectionString: url,
  application_name: applicationName,
  connectionTimeoutMillis: connectionTimeoutMs,
  statement_timeout: statementTimeoutMs,
  // 0 means no limit to both sides.
  ...(statementTimeoutMs === 0 ? {} : { query_timeout: statementTimeoutMs + silenceMs }),
  keepAlive: true,
  keepAliveInitialDelayMillis: 10_000,
  types: types as unknown as pg.CustomTypesConfig,
});

/**
 * Opens a pool. It connects when first used and again by itself after the database was away; a lost connection never ends the
 * process. int8 arrives as number (an error beyond 2^53), timestamptz as Date, date and timestamp as text.
 */
export function connect(options: ConnectOptions): Database {
  const pool = new pg.Pool({ ...clientOptions(options), max: options.max, idleTimeoutMillis: 30_000 });
  // A connection that breaks while idle is dropped by the pool; the next caller gets a new one.
  pool.on('error', () => undefined);
  // One that breaks while held between two statements says so by an event, which without a listener would end the process.
  pool.on('connect', (client) => client.on('error', () => undefined));
  const prepared = options.prepared ?? true;

  const run = async <T extends object>(
    { name, text }: Partial<Statement> & Pick<Statement, 'text'>,
    values: readonly unknown[],
  ): Promise<T[]> => {
    const config = prepared && name !== undefined ? { name, text } : { text };
    const client = await pool.connect();
    let broken: Error | undefined;
    try {
      const { rows } = await client.query<T>({ ...config, values: [...values] });
      return rows;
    } catch (error) {
      // Also drops a connection whose plan a migration has made invalid.
      broken = error as Error;
      throw error;
    } finally {
      client.release(broken !== undefined && isUsable(broken) ? undefined : broken);
    }
  };

  return {
    kysely: new Kysely<Tables>({ dialect: new PostgresDialect({ pool: guarded(pool) }) }),
    query: async <T extends object>(statement: Statement, values: readonly unknown[]) => {
      try {
        return await run<T>(statement, values).catch((error: unknown) => {
          // "cached plan must not change result type": refused before it ran, so once more on a fresh connection.
          if (prepared && faultCode(error) === '0A000') return run<T>(statement, values);
          throw error;
        });
      } catch (error) {
        throw asSeenOutside(error);
      }
    },
    queryByValues: async <T extends object>(text: string, values: readonly unknown[]) => {
      try {
        return await run<T>({ text }, values);
      } catch (error) {
        throw asSeenOutside(error);
      }
    },
    metrics: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount, max: options.max }),
    close: () => pool.end(),
  };
}

/** Whether the connection is fine and only the statement failed. */
const isUsable = (error: unknown): boolean => {
  const code = faultCode(error);
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) && !/^(08|57P|0A|25006|5[38])/.test(code);
};

/**
 * The pool as Kysely sees it: errors leave without data, and a connection on which something other than a statement failed is
 * thrown away when it is given back. (Kysely itself gives it back as if it were whole, with an unanswered query on it.)
 */
function guarded(pool: pg.Pool) {
  const shells = new WeakMap<pg.PoolClient, PostgresPoolClient & { broken: Error | undefined }>();
  const shellFor = (client: pg.PoolClient) => {
    const known = shells.get(client);
    if (known !== undefined) return known;
    const shell = {
      broken: undefined as Error | undefined,
      query: async (sql: unknown, parameters?: readonly unknown[]) => {
        try {
          return await client.query(sql as string, parameters as unknown[]);
        } catch (error) {
          if (!isUsable(error)) shell.broken = error as Error;
          throw asSeenOutside(error);
        }
      },
      release: () => client.release(shell.broken),
    };
    const typed = shell as unknown as PostgresPoolClient & { broken: Error | undefined };
    shells.set(client, typed);
    return typed;
  };
  return {
    connect: async () => {
      try {
        return shellFor(await pool.connect());
      } catch (error) {
        throw asSeenOutside(error);
      }
    },
    end: () => pool.end(),
  };
}
