import { randomInt as systemRandomInt } from 'node:crypto';
import { sql, type Transaction } from 'kysely';
import type { Tables } from '../db/tables.ts';
import { statusListEntries } from '../verification/status-list.ts';

/** So many misses in a row say that the list is about half full or more. */
const collisionsToClose = 4;

/** Where the status of a certificate version is published. */
export interface StatusIndex {
  readonly list: number;
  readonly index: number;
}

/**
 * Takes an unused index of the open status list at random: neighbours in a list must not tell who was issued together (Token Status
 * List, unpredictable indices). A list in which four picks in a row were taken is closed and the next one opened.
 * Safe when many processes allocate at once: the primary key decides.
 */
export async function allocateStatusIndex(
  trx: Transaction<Tables>,
  { at, randomInt = systemRandomInt }: { readonly at: Date; readonly randomInt?: (max: number) => number },
): Promise<StatusIndex> {
  for (;;) {
    const list = (await openList(trx)) ?? (await openNextList(trx, at));
    for (let pick = 0; pick < collisionsToClose; pick++) {
      const index = randomInt(statusListEntries);
      const taken = await trx
        .insertInto('status_entries')
        .values({ list_id: list, idx: index, value: 0, changed_at: at })
        .onConflict((conflict) => conflict.columns(['list_id', 'idx']).doNothing())
        .returning(sql<number>`1`.as('one'))
        .executeTakeFirst();
      if (taken !== undefined) return { list, index };
    }
    await trx.updateTable('status_lists').set({ open: false }).where('list_id', '=', list).execute();
  }
}

const openList = async (trx: Transaction<Tables>): Promise<number | undefined> => {
  const row = await trx
    .selectFrom('status_lists')
    .select('list_id')
    .where('open', '=', true)
    .orderBy('list_id', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.list_id;
};

/** Opens the list after the last one. A concurrent transaction that opens the same one is waited for, and its list used. */
async function openNextList(trx: Transaction<Tables>, at: Date): Promise<number> {
  const { last } = await trx
    .selectFrom('status_lists')
    .select(({ fn }) => fn.max('list_id').as('last'))
    .executeTakeFirstOrThrow();
  const list = (last ?? 0) + 1;
  await trx
    .insertInto('status_lists')
    .values({ list_id: list, open: true, created_at: at })
    .onConflict((conflict) => conflict.column('list_id').doNothing())
    .execute();
  return list;
}

/** Sets the published status of an index: 0 valid, 1 invalid, 2 suspended. */
export async function setStatus(
  trx: Transaction<Tables>,
  { list, index }: StatusIndex,
  value: 0 | 1 | 2,
  at: Date,
): Promise<void> {
  await trx
    .insertInto('status_entries')
    .values({ list_id: list, idx: index, value, changed_at: at })
    .onConflict((conflict) => conflict.columns(['list_id', 'idx']).doUpdateSet({ value, changed_at: at }))
    .execute();
}
