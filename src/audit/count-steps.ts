import { sql, type Transaction } from 'kysely';
import type { Tables } from '../db/tables.ts';
import { recordKinds } from './entry.ts';

/**
 * How many records of its steps each of these certificates has: one a step. `someErased`: an erasure was executed, which takes the
 * columns counted by, so that fewer prove nothing.
 */
export async function countSteps(
  trx: Transaction<Tables>,
  identifiers: readonly string[],
): Promise<{ readonly counts: ReadonlyMap<string, number>; readonly someErased: boolean }> {
  const { rows } = await sql<{ identifier: string; records: number }>`
    select i as identifier, count(*) as records from records r cross join unnest(r.certificates) as i
    where r.certificates && ${identifiers}::text[] and r.kind = ${recordKinds.certificate} and r.outcome = 'done' and i = any(${identifiers}::text[])
    group by 1`.execute(trx);
  const erased = await trx.selectFrom('erasure_executions').select('erasure_id').limit(1).executeTakeFirst();
  return { counts: new Map(rows.map((row) => [row.identifier, row.records])), someErased: erased !== undefined };
}
