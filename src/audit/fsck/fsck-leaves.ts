import type { Database } from '../../db/database.ts';
import { logEntry } from '../../verification/commitment.ts';
import { leafHash } from '../../verification/merkle.ts';
import { fullWidth } from '../../verification/tiles.ts';
import { kindName } from '../entry.ts';
import { columnsLeft } from '../erasure/erased-by.ts';
import type { RecordKeys } from '../open-record.ts';
import type { RecordBody } from '../record-body.ts';
import type { RecordChecker } from './check-record.ts';
import type { ErasureCover } from './fsck-erasures.ts';
import type { Found } from './fsck-findings.ts';
import { faultsOf } from './fsck-records.ts';
import { findNearIds, type LeafBeside, readLeavesBeside, readRecordsById, readTiles } from './fsck-store.ts';

export interface LeafCheck {
  readonly db: Database;
  readonly keys: RecordKeys;
  readonly checker: RecordChecker;
  /** Only records of this time are opened; leaves and tree are checked in whole. RFC 3339 or ±infinity. */
  readonly span: { readonly from: string; readonly until: string };
  readonly erasures: { current(): ErasureCover; reread(): Promise<ErasureCover> };
  /** When the check began. */
  readonly startedAt: Date;
  /** Told of every record whose body opened. */
  readonly see: (recordId: string, body: RecordBody) => void;
  readonly found: (what: Found) => void;
}

/** What a batch needs from the database, asked for while the batch before is worked on. */
export interface LeafBatch {
  readonly begin: number;
  readonly end: number;
  readonly rows: readonly LeafBeside[];
  /** Level 0. */
  readonly tiles: ReadonlyMap<number, Buffer>;
}

/** Reads leaves [begin, end) with their records and tiles. */
export async function readLeafBatch(
  { db, span }: Pick<LeafCheck, 'db' | 'span'>,
  { begin, end }: { readonly begin: number; readonly end: number },
): Promise<LeafBatch> {
  const [rows, tiles] = await Promise.all([
    readLeavesBeside(db, { begin, end, ...span }),
    readTiles(db, { level: 0, begin: Math.floor(begin / fullWidth), end: Math.ceil(end / fullWidth) }),
  ]);
  return { begin, end, rows, tiles: new Map(tiles.map(({ tile_index, hashes }) => [tile_index, hashes])) };
}

export interface BatchDone {
  /** Records whose body was opened and found right. */
  readonly opened: number;
  /** Bodies that are gone by right. */
  readonly erased: number;
  /** Records that were looked at. */
  readonly records: number;
}

/**
 * Checks a batch: indexes without a gap, leaves against tiles and records, bodies against commitments and columns. `append` is given
 * every leaf's hash. When leaf and tile differ, the record says which of them was changed, and the tree goes on with the other: one
 * changed byte is one finding.
 */
export async function checkLeafBatch(
  check: LeafCheck,
  { begin, end, rows, tiles }: LeafBatch,
  append: (hashed: Buffer) => void,
): Promise<BatchDone> {
  for (let index = Math.floor(begin / fullWidth); index * fullWidth < end; index++) {
    if (!tiles.has(index)) check.found({ code: 'tile_missing', place: { tile: `0/${index}` } });
  }
  const suspects: LeafBeside[] = [];
  const bodyless: LeafBeside[] = [];
  const missing: LeafBeside[] = [];
  let [opened, records] = [0, 0];
  const cover = check.erasures.current();
  let next = begin;
  const grow = (hashed: Buffer): void => {
    append(hashed);
    next += 1;
  };
  const fillGap = (until: number): void => {
    if (next === until) return;
    check.found({ code: 'leaf_missing', place: { leaf: next, leafEnd: until } });
    while (next < until) grow(hashIn(tiles, next) ?? Buffer.alloc(32));
  };

  const openBody = (row: LeafBeside & { commitment: Buffer; body: Buffer; copies: string }): void => {
    const body = check.checker.check(row);
    if (body === undefined) {
      suspects.push(row);
      return;
    }
    opened += 1;
    check.see(row.record_id, body);
    if (!cover.isEmpty) checkErased(check, cover, row, String(body['kind']));
  };

  for (const row of rows) {
    if (row.leaf_index < next) {
      check.found({ code: 'leaf_twice', place: { leaf: row.leaf_index, record: row.record_id } });
      continue;
    }
    fillGap(row.leaf_index);
    grow(judgeLeaf(row, hashIn(tiles, row.leaf_index), check.found));
    if (row.time_wrong) {
      const place = { leaf: row.leaf_index, record: row.record_id, columns: ['recorded_at'] };
      check.found({ code: 'time_wrong', place });
    }
    if (!row.wanted) continue;
    records += 1;
    if (row.commitment === null || row.copies === null) missing.push(row);
    else if (row.body === null) bodyless.push(row);
    else openBody(row as LeafBeside & { commitment: Buffer; body: Buffer; copies: string });
  }
  fillGap(end);

  opened += await lookClosely(check, suspects, bodyless);
  const erased = await judgeGone(check, bodyless, missing);
  return { opened, erased, records };
}

/** The hash of a leaf as its tile holds it. */
function hashIn(tiles: ReadonlyMap<number, Buffer>, index: number): Buffer | undefined {
  const tile = tiles.get(Math.floor(index / fullWidth));
  const at = (index % fullWidth) * 32;
  return tile === undefined || tile.length < at + 32 ? undefined : tile.subarray(at, at + 32);
}

/** Leaf, record and tile against one another; answers the hash that two of them agree on, or that of the leaf. */
function judgeLeaf(row: LeafBeside, inTile: Buffer | undefined, found: (what: Found) => void): Buffer {
  const hashed = leafHash(row.entry);
  const place = { leaf: row.leaf_index, record: row.record_id };
  const isOfRecord = row.commitment === null || isEntryOf(row);
  if (!isOfRecord) found({ code: 'leaf_differs', place });
  if (inTile === undefined || inTile.equals(hashed)) return hashed;
  if (!isOfRecord && hashOfRecord(row)?.equals(inTile) === true) return inTile;
  found({ code: 'tile_wrong', place: { leaf: row.leaf_index, ...tilePlace(row.leaf_index) } });
  return hashed;
}

const tilePlace = (leaf: number): { tile: string; hash: number } => ({
  tile: `0/${Math.floor(leaf / fullWidth)}`,
  hash: leaf % fullWidth,
});

/** The column `kind`: the second of the copies. */
function kindOf({ copies }: LeafBeside): number {
  const at = copies?.indexOf('\x02') ?? -1;
  return Number(copies?.slice(at + 1, copies.indexOf('\x02', at + 1)));
}

/** Whether the leaf holds version, kind and commitment of the row beside it. */
const isEntryOf = (row: LeafBeside): boolean =>
  row.entry.length === 34 &&
  row.entry[0] === 1 &&
  row.entry[1] === kindOf(row) &&
  row.commitment?.length === 32 &&
  row.entry.compare(row.commitment, 0, 32, 2) === 0;

function hashOfRecord(row: LeafBeside): Buffer | undefined {
  try {
    return row.commitment === null ? undefined : leafHash(logEntry(kindOf(row), row.commitment));
  } catch {
    return undefined;
  }
}

function checkErased(check: LeafCheck, cover: ErasureCover, row: LeafBeside, kind: string): void {
  const goneBy = cover.goneBy({ recordId: row.record_id, month: row.month, kind });
  if (goneBy !== undefined && goneBy < check.startedAt) {
    check.found({ code: 'body_not_erased', place: { leaf: row.leaf_index, record: row.record_id } });
  }
}

/** What the quick check did not find whole is opened by `openRecord`, which says what is wrong. Answers how many were right after all. */
async function lookClosely(check: LeafCheck, suspects: readonly LeafBeside[], bodyless: LeafBeside[]): Promise<number> {
  let whole = 0;
  const rows = new Map(
    (
      await readRecordsById(
        check.db,
        suspects.map(({ record_id }) => record_id),
      )
    ).map((row) => [row.record_id, row]),
  );
  for (const suspect of suspects) {
    const row = rows.get(suspect.record_id);
    const isGone = row?.body == null || check.keys.recordBox(suspect.month).isDestroyed(row.body);
    // Erased since it was read, or under a key that was destroyed.
    if (row === undefined || isGone) bodyless.push(suspect);
    else {
      checkErased(check, check.erasures.current(), suspect, kindName(suspect.entry[1] ?? 0) ?? '');
      const faults = faultsOf(check.keys, row, { leaf: suspect.leaf_index, record: row.record_id }, check.see);
      if (faults.length === 0) whole += 1;
      for (const fault of faults) check.found(fault);
    }
  }
  return whole;
}

/** Bodies and rows that are gone: by an executed erasure, or not. Answers how many by right. */
async function judgeGone(
  check: LeafCheck,
  bodyless: readonly LeafBeside[],
  missing: readonly LeafBeside[],
): Promise<number> {
  if (bodyless.length + missing.length === 0) return 0;
  let erased = 0;
  const gone = [...bodyless, ...missing];
  const isCovered = (cover: ErasureCover, row: LeafBeside): boolean =>
    cover.goneBy({
      recordId: row.record_id,
      month: row.month,
      kind: kindName(row.entry[1] ?? 0) ?? '',
    }) !== undefined;
  // Somebody may be erasing now: who is not covered yet is asked for again.
  const cover = gone.every((row) => isCovered(check.erasures.current(), row))
    ? check.erasures.current()
    : await check.erasures.reread();
  const covered = bodyless.filter((row) => isCovered(cover, row));
  for (const row of bodyless) {
    const place = { leaf: row.leaf_index, record: row.record_id };
    if (!isCovered(cover, row)) check.found({ code: 'body_missing', place });
  }
  for (const row of await readRecordsById(
    check.db,
    covered.map(({ record_id }) => record_id),
  )) {
    const columns = row.body === null ? columnsLeft(row) : [];
    if (row.body !== null) check.found({ code: 'body_not_erased', place: { record: row.record_id } });
    else if (columns.length > 0) check.found({ code: 'column_wrong', place: { record: row.record_id, columns } });
    else erased += 1;
  }
  const lost = missing.filter((row) => !isCovered(cover, row));
  erased += missing.length - lost.length;
  const elsewhere = new Set(
    (
      await findNearIds(
        check.db,
        lost.map(({ record_id }) => record_id),
      )
    ).map((row) => row.record_id),
  );
  for (const { leaf_index: leaf, record_id: record } of lost) {
    check.found({ code: elsewhere.has(record) ? 'record_moved' : 'record_missing', place: { leaf, record } });
  }
  return erased;
}
