import type { Database } from '../../db/database.ts';
import { monthOf } from '../record-body.ts';
import type { RecordRow } from '../store.ts';
import { type ErasureTarget, erasureState } from './erasure.ts';
import { type ErasureKeys, listErasureCases } from './erasure-store.ts';

/** What is known of the end of a record's body. */
export interface BodyErasure {
  /** Absent while the erasure is on its way. */
  readonly erasedAt?: Date;
}

const pageSize = 200;

/** By which approved erasure each of these records lost its body; a record that is missing here lost it against the rules. */
export async function erasureDates(
  {
    db,
    keys,
    tampered,
  }: {
    readonly db: Database;
    readonly keys: ErasureKeys;
    readonly tampered: (table: string, id: string) => void;
  },
  rows: readonly Pick<RecordRow, 'record_id' | 'recorded_at' | 'kind'>[],
  kindName: (kind: number) => string | undefined,
): Promise<ReadonlyMap<string, BodyErasure>> {
  const found = new Map<string, BodyErasure>();
  let after: string | undefined;
  do {
    if (rows.length === 0) return found;
    const page = await listErasureCases(db.kysely, keys, { after, limit: pageSize }, tampered);
    for (const each of page.items) {
      const state = erasureState(each);
      if (state !== 'approved' && state !== 'executed') continue;
      const meant = rows.filter((row) => isMeant(each.erasure.target, row, kindName(row.kind)));
      const erasure = each.execution === undefined ? {} : { erasedAt: each.execution.at };
      for (const { record_id } of meant) found.set(record_id, erasure);
    }
    after = page.next;
  } while (after !== undefined && found.size < rows.length);
  return found;
}

const isMeant = (
  target: ErasureTarget,
  row: Pick<RecordRow, 'record_id' | 'recorded_at'>,
  kind: string | undefined,
): boolean =>
  'recordId' in target
    ? target.recordId === row.record_id
    : target.month === monthOf(row.recorded_at) && (target.kinds as readonly (string | undefined)[]).includes(kind);
