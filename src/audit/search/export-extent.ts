import { createHash } from 'node:crypto';
import type { Database } from '../../db/database.ts';
import { Refusal } from '../../errors.ts';
import { type LeafRow, readLeaves } from '../log/log-store.ts';
import type { RecordFilter } from './record-filter.ts';
import { type Position, selectPlaces } from './search-store.ts';

/** Which leaves an export has, fixed before its first byte. */
export interface Extent {
  /** What the record of the export says about them. */
  readonly told: Readonly<Record<string, unknown>>;
  /** The leaves in batches, ascending. */
  readonly leaves: () => AsyncGenerator<readonly LeafRow[]>;
}

/** Most records of a search, and most leaves of a range, in one file. */
export const maxRecords = 100_000;
export const maxLeaves = 1_000_000;

const batch = 100;
const placesPerPage = 5_000;

/**
 * The records that fit a filter and stand under the published checkpoint, by leaf index. Those that are not there yet are counted.
 * @throws Refusal `export_too_large`, `search_too_broad`
 */
export async function recordsExtent(db: Database, filter: RecordFilter, size: number): Promise<Extent> {
  const found: { readonly index: number; readonly recordId: string }[] = [];
  let waiting = 0;
  let before: Position | undefined;
  for (;;) {
    const page = await selectPlaces(db, { filter, ...(before && { before }), limit: placesPerPage });
    const leaves = await indexesOf(
      db,
      page.map(({ record_id }) => record_id),
    );
    const covered = leaves.filter(({ leaf_index }) => leaf_index < size);
    found.push(...covered.map(({ leaf_index, record_id }) => ({ index: leaf_index, recordId: record_id })));
    waiting += page.length - covered.length;
    if (found.length > maxRecords) throw new Refusal('export_too_large', { maxRecords });
    const last = page.at(-1);
    if (last === undefined || page.length < placesPerPage) break;
    before = { micros: last.micros, recordId: last.record_id };
  }
  found.sort((a, b) => a.index - b.index);
  const digest = createHash('sha256');
  for (const { recordId } of found) digest.update(`${recordId}\n`);
  return {
    told: {
      records: found.length,
      waiting,
      firstIndex: found[0]?.index ?? null,
      lastIndex: found.at(-1)?.index ?? null,
      recordIdsSha256: digest.digest('hex'),
    },
    leaves: async function* () {
      for (let at = 0; at < found.length; at += batch) {
        yield whole(
          await leavesAt(
            db,
            found.slice(at, at + batch).map(({ index }) => index),
          ),
          Math.min(batch, found.length - at),
        );
      }
    },
  };
}

/**
 * Every leaf from `begin` to before `end`.
 * @throws Refusal `range_invalid`, `range_too_long`, `range_not_covered`
 */
export function rangeExtent(
  db: Database,
  { begin, end }: { readonly begin: number; readonly end: number },
  size: number,
): Extent {
  if (begin >= end) throw new Refusal('range_invalid');
  if (end - begin > maxLeaves) throw new Refusal('range_too_long', { maxLeaves });
  if (end > size) throw new Refusal('range_not_covered', { publishedSize: size });
  return {
    told: { begin, end },
    leaves: async function* () {
      for (let at = begin; at < end; at += batch) {
        const until = Math.min(at + batch, end);
        yield whole(await readLeaves(db, at, until), until - at);
      }
    },
  };
}

/** A leaf that is missing from the table cannot be left out of the file either: then there is no file. */
function whole(leaves: readonly LeafRow[], expected: number): readonly LeafRow[] {
  if (leaves.length !== expected) throw new Refusal('stored_data_tampered', { table: 'log_leaf' });
  return leaves;
}

async function indexesOf(
  db: Database,
  recordIds: readonly string[],
): Promise<Pick<LeafRow, 'leaf_index' | 'record_id'>[]> {
  const statement = {
    name: 'log_indexes_of',
    text: 'select leaf_index, record_id from log_leaf where record_id = any ($1::uuid[])',
  };
  return recordIds.length === 0 ? [] : db.query(statement, [recordIds]);
}

async function leavesAt(db: Database, indexes: readonly number[]): Promise<LeafRow[]> {
  const statement = {
    name: 'log_leaves_at',
    text: `select leaf_index, record_id, lane, recorded_at, entry from log_leaf
      where leaf_index = any ($1::bigint[]) order by leaf_index`,
  };
  return db.query<LeafRow>(statement, [indexes]);
}
