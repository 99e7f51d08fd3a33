import type { Database } from '../../db/database.ts';
import type { RecordKeys } from '../open-record.ts';
import type { Found } from './fsck-findings.ts';
import { faultsOf } from './fsck-records.ts';
import { findNearIds, type PageKey, readStrayRecords, readTwiceLogged, readWrongQueueRows } from './fsck-store.ts';

/** A page of a check: what was found, how far it looked, where to go on. */
export interface CheckedPage<Key> {
  readonly found: readonly Found[];
  readonly rows: number;
  readonly after: Key | undefined;
}

/**
 * Records that no leaf leads to, a page in order of time: never logged, waiting too long, moved, there twice. Those that wait are
 * opened here, since no leaf will. `late` is the time before which a record must have its leaf.
 */
export async function checkStrays(
  { db, keys }: { readonly db: Database; readonly keys: RecordKeys },
  page: { readonly after: PageKey; readonly until: string; readonly limit: number; readonly late: Date },
): Promise<CheckedPage<PageKey>> {
  const { rows, joined, after, strays } = await readStrayRecords(db, page);
  const found: Found[] = [];
  for (const row of strays) {
    const record = row.record_id;
    const place = row.leaf_index === null ? { record } : { record, leaf: row.leaf_index };
    if (row.leaf_index !== null) found.push({ code: row.twin ? 'record_twice' : 'record_moved', place });
    else if (!row.queued) found.push({ code: 'record_unlogged', place });
    else if (row.recorded_at < page.late) found.push({ code: 'record_late', place });
    found.push(...faultsOf(keys, row, place));
    if (row.body === null && row.leaf_index === null) found.push({ code: 'body_missing', place });
  }
  if (joined > rows) {
    const twice = await readTwiceLogged(db, { from: page.after, until: page.until, limit: page.limit });
    for (const { record_id: record, leaf_index: leaf } of twice)
      found.push({ code: 'leaf_twice', place: { leaf, record } });
  }
  return { found, rows, after };
}

/** Rows of the queue that say something else than their record, or are of none; a page in order of ids. */
export async function checkQueue(
  db: Database,
  page: { readonly after: string; readonly limit: number },
): Promise<CheckedPage<string>> {
  const { rows, after, wrong } = await readWrongQueueRows(db, page);
  const unmatched = wrong.filter((row) => !row.found && row.leaf_index === null);
  const near = new Set(
    (
      await findNearIds(
        db,
        unmatched.map(({ record_id }) => record_id),
      )
    ).map((row) => row.record_id),
  );
  const found = wrong.map((row): Found => {
    const place = { record: row.record_id, table: 'log_queue' };
    if (row.leaf_index !== null) return { code: 'queue_again', place: { ...place, leaf: row.leaf_index } };
    if (!row.found && !near.has(row.record_id)) return { code: 'queue_stray', place };
    const columns = row.found
      ? [...(row.kind_same === true ? [] : ['kind']), ...(row.commitment_same === true ? [] : ['commitment'])]
      : ['lane or recorded_at'];
    return { code: 'queue_differs', place: { ...place, columns } };
  });
  return { found, rows, after };
}
