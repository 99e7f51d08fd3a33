import { setTimeout as sleep } from 'node:timers/promises';
import type { Transaction } from 'kysely';
import { Refusal } from '../errors.ts';
import type { Database } from './database.ts';
import { faultCode, isRetryable } from './fault.ts';
import type { Tables } from './tables.ts';

const tries = 5;
/** No further try begins after this: the caller has an answer to give. */
const patienceMs = 8_000;

export interface TransactionOptions {
  /** Default: PostgreSQL's read committed. */
  readonly isolation?: 'repeatable read' | 'serializable';
  readonly readOnly?: boolean;
}

/**
 * Runs `work` in one transaction: all of it or nothing (invariant 10). Between BEGIN and COMMIT only SQL and pure code; `work`
 * gets the transaction and nothing that reaches the pool, whose last connection it may be holding.
 *
 * Runs `work` again, up to 5 times in all, after a serialisation failure, a deadlock or a lost connection, also when it was lost
 * while committing, where nobody can know whether the commit happened. So **work must be idempotent by key**: rows it inserts have
 * keys made before (ids, idempotency keys), and finding them there already counts as done.
 *
 * What `work` throws rolls back and is passed on. Throws Refusal('database_unavailable') when the tries are used up.
 */
export async function transaction<T>(
  db: Pick<Database, 'kysely'>,
  work: (trx: Transaction<Tables>) => Promise<T>,
  { isolation, readOnly }: TransactionOptions = {},
): Promise<T> {
  const begun = performance.now();
  for (let attempt = 1; ; attempt++) {
    try {
      let builder = db.kysely.transaction();
      if (isolation !== undefined) builder = builder.setIsolationLevel(isolation);
      if (readOnly === true) builder = builder.setAccessMode('read only');
      return await builder.execute(work);
    } catch (error) {
      if (!isRetryable(error)) throw error;
      if (attempt === tries || performance.now() - begun > patienceMs) {
        throw error instanceof Refusal ? error : new Refusal('database_unavailable', {}, { cause: error });
      }
      // Competitors part within milliseconds; a database that restarts is back after about half a second.
      const step = faultCode(error)?.startsWith('40') === true ? 8 : 60;
      await sleep(step * 2 ** attempt * (0.5 + Math.random() / 2));
    }
  }
}
