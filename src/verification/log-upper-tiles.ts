import { fileOf, hashesOfTile, type LogFiles, readTileFile } from './log-files.ts';
import { fullWidth, tileRoot } from './tiles.ts';

/**
 * The tiles above level 0 of a log being checked: a tile that is full adds its root to the level above, where what is stored and what
 * follows from below are compared. One tile a level is in memory.
 */
export type UpperTiles = {
  /** The tile being filled, by level; none at 0. */
  readonly rows: (Row | undefined)[];
};

type Row = {
  /** Tiles filled before it. */
  readonly index: number;
  /** Computed from the level below. */
  readonly hashes: Buffer[];
  /** Which of them stand on something that was reported already: once is enough. */
  readonly doubtful: boolean[];
};

/** Above a log of which nothing was read yet. */
export const noUpperTiles = (): UpperTiles => ({ rows: [] });

/** Adds the next tile of level 0; `isDoubtful` when something of it was reported. A narrow one has nothing above it. */
export async function addTile(
  { rows }: UpperTiles,
  files: LogFiles,
  hashes: readonly Buffer[],
  isDoubtful: boolean,
): Promise<void> {
  let full = { hashes, isDoubtful };
  for (let level = 1; full.hashes.length === fullWidth; level++) {
    const row = rows[level] ?? { index: 0, hashes: [], doubtful: [] };
    rows[level] = row;
    row.hashes.push(tileRoot(Buffer.concat(full.hashes)));
    row.doubtful.push(full.isDoubtful);
    if (row.hashes.length < fullWidth) return;
    await compareTile(files, level, row);
    full = { hashes: row.hashes, isDoubtful: row.doubtful.includes(true) };
    rows[level] = { index: row.index + 1, hashes: [], doubtful: [] };
  }
}

/** Compares the tiles that did not become full: the last of each level. */
export async function finishUpperTiles({ rows }: UpperTiles, files: LogFiles): Promise<void> {
  for (const [level, row] of rows.entries()) {
    if (row !== undefined && row.hashes.length > 0) await compareTile(files, level, row);
  }
}

async function compareTile(files: LogFiles, level: number, { index, hashes, doubtful }: Row): Promise<void> {
  const place = { level, index };
  const stored = hashesOfTile(files, place, await readTileFile(files, place));
  if (stored === undefined) return;
  for (const [at, computed] of hashes.entries()) {
    const isSame = stored[at]?.equals(computed) === true;
    if (!isSame && doubtful[at] !== true) files.report({ file: fileOf(files, place), index: at, code: 'tile_differs' });
  }
}
