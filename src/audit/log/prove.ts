import type { Database } from '../../db/database.ts';
import { Refusal } from '../../errors.ts';
import { type Checkpoint, parseCheckpoint } from '../../verification/checkpoint.ts';
import { inclusionProof, leafHash, verifyInclusion } from '../../verification/merkle.ts';
import { parseNote } from '../../verification/signed-note.ts';
import { nodeReader, TileFault } from '../../verification/tiles.ts';
import {
  isQueued,
  type LeafRow,
  readLeafOf,
  readPublished,
  type StoredCheckpoint,
  storedTiles,
  type TileSource,
} from './log-store.ts';

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
 * @param tiles where hash tiles come from; the database when absent
 * @throws (rejects) Refusal `stored_data_tampered` when leaf, tiles and checkpoint do not add up
 */
export async function proveRecord(
  db: Database,
  recordId: string,
  tiles: TileSource = storedTiles(db),
): Promise<RecordProof> {
  const leaf = await readLeafOf(db, recordId);
  // Anybody may ask, so an id that nobody knows costs two looks by key and no search: what is neither leaf nor queued is no record here.
  if (leaf === undefined) return { state: (await isQueued(db, recordId)) ? 'waiting' : 'unknown' };
  const published = await readPublished(db);
  if (published === undefined || leaf.leaf_index >= published.size) return { state: 'waiting' };
  // The root that was signed, not the copy of it in a column.
  const checkpoint = checkpointOf(published.note);
  const claim = checkpoint && { index: leaf.leaf_index, entry: leaf.entry, checkpoint };
  const path = claim && (await provenPath(tiles, claim));
  if (path === undefined) throw new Refusal('stored_data_tampered');
  return { state: 'proven', leaf, path, checkpoint: published };
}

/** That an entry (34 bytes) is leaf `index` of the tree whose head the checkpoint is. */
export interface LeafClaim {
  readonly index: number;
  readonly entry: Buffer;
  readonly checkpoint: Checkpoint;
}

/** The inclusion path that proves the claim; undefined when the tiles have none. Rejects with the database's own failures. */
export async function provenPath(
  tiles: TileSource,
  { index, entry, checkpoint: { size, root } }: LeafClaim,
): Promise<readonly Buffer[] | undefined> {
  try {
    const path = await inclusionProof({ index, size }, nodeReader(tiles, size));
    return verifyInclusion({ index, size, leafHash: leafHash(entry), path, root }) ? path : undefined;
  } catch (error) {
    // An index outside the tree, and tiles that are missing or too short, say the same as tiles that are wrong.
    if (error instanceof RangeError || error instanceof TileFault) return undefined;
    throw error;
  }
}

function checkpointOf(note: string): Checkpoint | undefined {
  const parsed = parseNote(note);
  const checkpoint = parsed.ok ? parseCheckpoint(parsed.value.text) : undefined;
  return checkpoint?.ok === true ? checkpoint.value : undefined;
}
