import type { Database } from '../../db/database.ts';
import type { HubKey } from '../../signing/key-store.ts';
import { parseCheckpoint } from '../../verification/checkpoint.ts';
import { logEntry } from '../../verification/commitment.ts';
import { openNote } from '../../verification/signed-note.ts';
import type { RecordRow } from '../store.ts';
import { readLeafOf, readPublished, storedTiles } from './log-store.ts';
import { provenPath } from './prove.ts';
import { logKeys } from './sign-checkpoint.ts';

/** Why a record does not count as published: nobody outside could have noticed it yet. */
export type NotPublished =
  | 'no_checkpoint'
  | 'checkpoint_invalid'
  | 'no_leaf'
  | 'not_covered'
  | 'leaf_differs'
  | 'not_included';

export interface PublishedProofDeps {
  readonly db: Database;
  /** Log keys, active and retired. */
  readonly hubKeys: readonly HubKey[];
  readonly logOrigin: string;
}

/**
 * Whether the published checkpoint covers a record: signed by a log key, its root recomputed over the record's own commitment. Undefined
 * when it does. Trusts no table: a leaf or state row written by hand does not add up to the signed root.
 */
export async function whyNotPublished(
  { db, hubKeys, logOrigin }: PublishedProofDeps,
  row: Pick<RecordRow, 'record_id' | 'kind' | 'commitment'>,
): Promise<NotPublished | undefined> {
  const published = await readPublished(db);
  if (published === undefined) return 'no_checkpoint';
  const opened = openNote(published.note, logKeys({ hubKeys }, logOrigin));
  const checkpoint = opened.ok ? parseCheckpoint(opened.value.text) : undefined;
  if (checkpoint?.ok !== true || checkpoint.value.origin !== logOrigin) return 'checkpoint_invalid';
  const leaf = await readLeafOf(db, row.record_id);
  if (leaf === undefined) return 'no_leaf';
  if (leaf.leaf_index >= checkpoint.value.size) return 'not_covered';
  const entry = logEntry(row.kind, row.commitment);
  if (!leaf.entry.equals(entry)) return 'leaf_differs';
  const claim = { index: leaf.leaf_index, entry, checkpoint: checkpoint.value };
  const path = await provenPath(storedTiles(db), claim);
  return path === undefined ? 'not_included' : undefined;
}
