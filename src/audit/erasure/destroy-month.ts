import type { Database } from '../../db/database.ts';
import { Refusal } from '../../errors.ts';
import type { HubKey } from '../../signing/key-store.ts';
import { recordKinds } from '../entry.ts';
import type { RecordKeys } from '../open-record.ts';
import { readErasedBodies } from './erased-by.ts';
import { type ErasableKind, kindNumbers, monthEnd, monthStart } from './erasure.ts';
import { type ErasureKeys, readErasure } from './erasure-store.ts';
import { destructionFault, isDestructionNoted, type KeyEventDeps, recordDestruction } from './key-events.ts';

export interface DestroyMonthDeps extends KeyEventDeps {
  readonly db: Database;
  readonly keys: ErasureKeys & RecordKeys;
  readonly hubKeys: readonly HubKey[];
  readonly logOrigin: string;
  /** Destroys the key files; called once everything allows it and is on record. */
  readonly destroy: (month: string, kinds: readonly ErasableKind[]) => Promise<unknown>;
}

/**
 * Destroys the record keys of a month whose bodies were erased, so that no backup of the database can be read any more. Order: the
 * erasure is executed, its record says so and no body of its kinds is left → the destruction is recorded → the keys go. Answers the kinds.
 * A destruction noted before must have its record, of the hub and published: the note alone is a row that anybody with the database can
 * make, and keys would go without a trace. Refuses `stored_data_tampered` and `erasure_not_published` for that, `erasure_unknown`,
 * `erasure_not_approved` (not executed, or not to its end), `erasure_target_invalid` (of another month).
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
    .where('kind', 'in', kindNumbers(target))
    .where('body', 'is not', null)
    .limit(1)
    .executeTakeFirst();
  if (left !== undefined) throw new Refusal('erasure_not_approved', { rule: 'not_finished' });
  // All of them first: nothing is put on record that is then refused.
  for (const kind of target.kinds) {
    if (await isDestructionNoted(deps, { month, kind })) await proveDestruction(deps, { month, kind });
  }
  for (const kind of target.kinds) {
    const isNew = await recordDestruction(deps, { month, kind, erasureId });
    if (!isNew) await proveDestruction(deps, { month, kind });
  }
  await deps.destroy(month, target.kinds);
  return target.kinds;
}

async function proveDestruction(deps: DestroyMonthDeps, key: { month: string; kind: string }): Promise<void> {
  const fault = await destructionFault(deps, key);
  if (fault === undefined) return;
  if (fault.code === 'no_record') {
    throw new Refusal('stored_data_tampered', { table: 'key_events', row: fault.kid, rule: 'no_record_of_it' });
  }
  throw new Refusal('erasure_not_published', { recordId: fault.recordId, reason: fault.reason });
}
