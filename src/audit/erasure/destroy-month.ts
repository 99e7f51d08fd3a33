import type { Database } from '../../db/database.ts';
import { Refusal } from '../../errors.ts';
import { recordKinds } from '../entry.ts';
import type { RecordKeys } from '../open-record.ts';
import { readErasedBodies } from './erased-by.ts';
import { type ErasableKind, monthEnd, monthStart } from './erasure.ts';
import { type ErasureKeys, readErasure } from './erasure-store.ts';
import { type KeyEventDeps, recordDestruction } from './key-events.ts';

export interface DestroyMonthDeps extends KeyEventDeps {
  readonly db: Database;
  readonly keys: ErasureKeys & RecordKeys;
  /** Destroys the key files; called once everything allows it and is on record. */
  readonly destroy: (month: string, kinds: readonly ErasableKind[]) => Promise<unknown>;
}

/**
 * Destroys the record keys of a month whose bodies were erased, so that no backup of the database can be read any more. Order: the
 * erasure is executed, its record says so and no body of its kinds is left → the destruction is recorded → the keys go. Answers the kinds.
 * Refuses `erasure_unknown`, `erasure_not_approved` (not executed, or not to its end), `erasure_target_invalid` (of another month).
 */
export async function destroyMonth(
  deps: DestroyMonthDeps,
  { month, erasureId }: { readonly month: string; readonly erasureId: string },
): Promise<readonly ErasableKind[]> {
  const { db, keys } = deps;
  const found = await readErasure(db.kysely, keys, erasureId);
  if (found === undefined) throw new Refusal('erasure_unknown');
  const { target } = found.erasure;
  if (!('month' in target) || target.month !== month) {
    throw new Refusal('erasure_target_invalid', { rule: 'other_month' });
  }
  if (found.execution === undefined) throw new Refusal('erasure_not_approved', { rule: 'not_executed' });
  const { coverOf } = await readErasedBodies(db, keys);
  for (const kind of target.kinds) {
    const row = { record_id: '', recorded_at: monthStart(month), kind: recordKinds[kind] };
    if (coverOf(row) === undefined) throw new Refusal('stored_data_tampered', { erasureId });
  }
  const left = await db.kysely
    .selectFrom('records')
    .select('record_id')
    .where('recorded_at', '>=', monthStart(month))
    .where('recorded_at', '<', monthEnd(month))
    .where(
      'kind',
      'in',
      target.kinds.map((kind) => recordKinds[kind]),
    )
    .where('body', 'is not', null)
    .limit(1)
    .executeTakeFirst();
  if (left !== undefined) throw new Refusal('erasure_not_approved', { rule: 'not_finished' });
  for (const kind of target.kinds) await recordDestruction(deps, { month, kind, erasureId });
  await deps.destroy(month, target.kinds);
  return target.kinds;
}
