import type { Database } from '../../db/database.ts';
import type { EncryptionKeys } from '../../signing/data-keys.ts';
import { isQueuedByHub } from '../log/queue-mac.ts';
import type { RecordKeys } from '../open-record.ts';
import { type Found, namesOf } from './fsck-findings.ts';
import { faultsOf } from './fsck-records.ts';
import {
  findNearIds,
  type PageKey,
  readQueueRows,
  readRefusedRows,
  readStrayRecords,
  readTwiceLogged,
} from './fsck-store.ts';

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

/**
 * Rows of the queue that say something else than their record, are of none, or were not written by this hub; a page in order of ids.
 * A row with a good MAC and without a record is what is left of a record that was deleted.
 */
export async function checkQueue(
  { db, keys }: { readonly db: Database; readonly keys: Pick<EncryptionKeys, 'verifyRowMac'> },
  page: { readonly after: string; readonly limit: number },
): Promise<CheckedPage<string>> {
  const rows = await readQueueRows(db, page);
  const unmatched = rows.filter((row) => !row.found && row.leaf_index === null);
  const near = new Set(
    (
      await findNearIds(
        db,
        unmatched.map(({ recordId }) => recordId),
      )
    ).map((row) => row.record_id),
  );
  const found = rows.flatMap((row): Found[] => {
    const place = { record: row.recordId, table: 'log_queue' };
    const time: Found[] = row.time_wrong ? [{ code: 'time_wrong', place: { ...place, columns: ['recorded_at'] } }] : [];
    if (row.leaf_index !== null) return [...time, { code: 'queue_again', place: { ...place, leaf: row.leaf_index } }];
    const columns = namesOf({
      'lane or recorded_at': !row.found && near.has(row.recordId),
      kind: row.found && row.kind_same !== true,
      commitment: row.found && row.commitment_same !== true,
    });
    if (columns.length > 0) return [...time, { code: 'queue_differs', place: { ...place, columns } }];
    if (!isQueuedByHub(keys, row)) return [...time, { code: 'queue_row_forged', place }];
    return row.found ? time : [...time, { code: 'queue_stray', place }];
  });
  return { found, rows: rows.length, after: rows.length < page.limit ? undefined : rows.at(-1)?.recordId };
}

/** What sequencers put aside because this hub had not queued it; `after` is the number of the last row. */
export async function checkRefused(
  db: Database,
  page: { readonly after: string | null; readonly limit: number },
): Promise<CheckedPage<string>> {
  const rows = await readRefusedRows(db, { after: Number(page.after ?? 0), limit: page.limit });
  const found = rows.map(({ refused_id: row, record_id: record }): Found => {
    return { code: 'queue_row_forged', place: { record, table: 'log_queue_refused', row: String(row) } };
  });
  const last = rows.at(-1);
  return { found, rows: rows.length, after: last && rows.length === page.limit ? String(last.refused_id) : undefined };
}
