import type { Database } from '../../db/database.ts';
import { Refusal } from '../../errors.ts';
import { type Checkpoint, parseCheckpoint } from '../../verification/checkpoint.ts';
import { inclusionProof, leafHash, verifyInclusion } from '../../verification/merkle.ts';
import { parseNote } from '../../verification/signed-note.ts';
import { nodeReader, TileFault } from '../../verification/tiles.ts';
import { isQueued, type LeafRow, readLeafOf, readPublished, readTile, type StoredCheckpoint } from './log-store.ts';

/** Whether, and how, a record is in the published log. */
export type RecordProof =
  | {
      readonly state: 'proven';
      readonly leaf: LeafRow;
      /** Inclusion path, 32 bytes each, the leaf's sibling first. */
      readonly path: readonly Buffer[];
      /** The published checkpoint that the path leads to. */
      readonly checkpoint: StoredCheckpoint;
    }
  /** Recorded, but the published checkpoint does not cover it yet. */
  | { readonly state: 'waiting' }
  | { readonly state: 'unknown' };

/**
 * Proves one record against the published checkpoint. The proof is verified before it leaves.
 * @param tileOf where hash tiles come from; the database when absent
 * @throws (rejects) Refusal `stored_data_tampered` when leaf, tiles and checkpoint do not add up
 */
export async function proveRecord(
  db: Database,
  recordId: string,
  tileOf: (level: number, index: number) => Promise<Buffer | undefined> = (level, index) => readTile(db, level, index),
): Promise<RecordProof> {
  const leaf = await readLeafOf(db, recordId);
  // Anybody may ask, so an id that nobody knows costs two looks by key and no search: what is neither leaf nor queued is no record here.
  if (leaf === undefined) return { state: (await isQueued(db, recordId)) ? 'waiting' : 'unknown' };
  const published = await readPublished(db);
  if (published === undefined || leaf.leaf_index >= published.size) return { state: 'waiting' };
  const path = await provenPath(leaf, published, tileOf);
  if (path === undefined) throw new Refusal('stored_data_tampered');
  return { state: 'proven', leaf, path, checkpoint: published };
}

/** The path from the leaf to the root that was signed, not to the copy of it in a column; undefined when there is none. */
async function provenPath(
  { leaf_index: index, entry }: LeafRow,
  { note }: StoredCheckpoint,
  tileOf: (level: number, index: number) => Promise<Buffer | undefined>,
): Promise<readonly Buffer[] | undefined> {
  const signed = checkpointOf(note);
  if (signed === undefined || index >= signed.size) return undefined;
  const { size, root } = signed;
  try {
    const path = await inclusionProof({ index, size }, nodeReader(tileOf, size));
    return verifyInclusion({ index, size, leafHash: leafHash(entry), path, root }) ? path : undefined;
  } catch (error) {
    // The database's own failures are passed on.
    if (error instanceof TileFault) return undefined;
    throw error;
  }
}

function checkpointOf(note: string): Checkpoint | undefined {
  const parsed = parseNote(note);
  const checkpoint = parsed.ok ? parseCheckpoint(parsed.value.text) : undefined;
  return checkpoint?.ok === true ? checkpoint.value : undefined;
}
