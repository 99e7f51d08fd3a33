import type { Database } from '../../db/database.ts';
import { type ErasedBodies, readErasedBodies } from '../erasure/erased-by.ts';
import type { LeafRow } from '../log/log-store.ts';
import { type OpenedBody, openRecord, type RecordKeys } from '../open-record.ts';
import type { RecordRow } from '../store.ts';
import { type FoundRecord, foundFrom } from './found-record.ts';
import { fitsFilter, type RecordFilter } from './record-filter.ts';
import { selectByPlace } from './search-store.ts';

/** A leaf as an export shows it. */
export type JudgedLeaf =
  | { readonly leaf: LeafRow; readonly state: 'opened'; readonly opened: OpenedBody; readonly found: FoundRecord }
  | { readonly leaf: LeafRow; readonly state: 'redacted' }
  /** The body is not there or not the recorded one. `erasure` is the record that allowed it; null when nothing did. */
  | { readonly leaf: LeafRow; readonly state: 'erased'; readonly erasure: string | null };

export interface JudgeDeps {
  readonly db: Database;
  readonly keys: RecordKeys;
  readonly tampered: (table: string, id: string) => void;
}

/**
 * Judges leaves batch by batch: opened when they fit the filter (all of them without one), else redacted. A record whose columns lie is
 * opened whatever the filter: what it says is proved, what it was filtered by is not. Without a body nothing can be judged by a filter.
 */
export function leafJudge(
  { db, keys, tampered }: JudgeDeps,
  filter: RecordFilter | undefined,
): (leaves: readonly LeafRow[]) => Promise<readonly JudgedLeaf[]> {
  let erasedBodies: ErasedBodies | undefined;
  const judgeMissing = async (leaf: LeafRow): Promise<JudgedLeaf> => {
    erasedBodies ??= await readErasedBodies(db, keys);
    const { record_id, recorded_at, entry } = leaf;
    const erasure = erasedBodies.coverOf({ record_id, recorded_at, kind: entry[1] ?? 0 })?.recordId ?? null;
    if (erasure === null) tampered('records', record_id);
    return { leaf, state: 'erased', erasure };
  };
  const judge = (leaf: LeafRow, row: RecordRow | undefined): JudgedLeaf | Promise<JudgedLeaf> => {
    const read = row === undefined ? undefined : openRecord(keys, row);
    if (row === undefined || read === undefined || read.state === 'erased') return judgeMissing(leaf);
    if (read.state === 'tampered') tampered('records', leaf.record_id);
    if (read.opened === undefined) return { leaf, state: 'erased', erasure: null };
    const hidden = read.state === 'whole' && filter !== undefined && !fitsFilter(filter, row);
    return hidden
      ? { leaf, state: 'redacted' }
      : { leaf, state: 'opened', opened: read.opened, found: foundFrom(row, read) };
  };
  return async (leaves) => {
    const rows = new Map((await selectByPlace(db, leaves)).map((row) => [row.record_id, row]));
    const judged: JudgedLeaf[] = [];
    for (const leaf of leaves) judged.push(await judge(leaf, rows.get(leaf.record_id)));
    return judged;
  };
}
