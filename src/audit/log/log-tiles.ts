import type { Database } from '../../db/database.ts';
import { Refusal } from '../../errors.ts';
import { encodeBundle, fullWidth, type TileId, tileWidth } from '../../verification/tiles.ts';
import { lastUsed } from './last-used.ts';
import { readLeaves, readPublished, readTile, type TileSource } from './log-store.ts';

/** The tiles and entry bundles of the log as anybody may have them. */
export interface LogTiles {
  /**
   * The bytes of a tile or bundle; undefined for what does not lie within the published checkpoint.
   * @throws (rejects) Refusal `stored_data_tampered` when less is stored than was published
   */
  readonly serve: (id: TileId) => Promise<Buffer | undefined>;
  /** What is stored of a hash tile: for proofs, which see by themselves whether it fits. */
  readonly read: TileSource;
}

type Level = TileId['level'];

/** Bytes of one hash, and of one entry of 34 bytes behind its length. */
const itemLength = (level: Level): number => (level === 'entries' ? 36 : 32);
/** Full tiles and bundles kept in memory: 8 to 9 KiB each. */
const keptTiles = 2_000;

/**
 * Serves tiles and bundles out of the database. A partial one is a prefix of the stored one, so every width is cut from it. Full ones
 * that are published never change again and are kept, those used last.
 */
export function openLogTiles(db: Database): LogTiles {
  const kept = lastUsed<Buffer>(keptTiles);
  // The published size only grows: what a known one covers needs no new look.
  let known = 0;
  const publishedWidth = async ({ level, index, width }: TileId): Promise<number> => {
    if (width > tileWidth(level, index, known)) known = Math.max(known, (await readPublished(db))?.size ?? 0);
    return tileWidth(level, index, known);
  };
  const load = async (level: Level, index: number, width: number): Promise<Buffer | undefined> => {
    const key = `${level}/${index}`;
    const final = kept.get(key);
    if (final !== undefined) return final;
    const bytes = await readStored(db, { level, index, width });
    const isFinal = tileWidth(level, index, known) === fullWidth && bytes?.length === fullWidth * itemLength(level);
    if (bytes !== undefined && isFinal) kept.set(key, bytes);
    return bytes;
  };
  return {
    serve: async (id) => {
      const { level, index, width } = id;
      const published = await publishedWidth(id);
      if (width > published) return undefined;
      const bytes = await load(level, index, published === fullWidth ? fullWidth : width);
      const length = width * itemLength(level);
      if (bytes === undefined || bytes.length < length) throw new Refusal('stored_data_tampered');
      return bytes.subarray(0, length);
    },
    read: (level, index) => load(level, index, fullWidth),
  };
}

async function readStored(db: Database, { level, index, width }: TileId): Promise<Buffer | undefined> {
  if (level !== 'entries') return readTile(db, level, index);
  const leaves = await readLeaves(db, index * fullWidth, index * fullWidth + width);
  return encodeBundle(leaves.map(({ entry }) => entry));
}
