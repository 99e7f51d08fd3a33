import { nodeHash, type ReadNodes } from '../../verification/merkle.ts';
import { TileFault } from '../../verification/tiles.ts';
import { lastUsed } from './last-used.ts';
import type { TileSource } from './log-store.ts';

const hashLength = 32;
/** Tiles kept, each with its inner nodes: 16 KiB. */
const keptTiles = 64;

/**
 * Reads nodes for many proofs out of one tree of `size` leaves: the nodes inside a tile are hashed once for all proofs that pass
 * through it, which for neighbouring leaves is nearly all of the work.
 * @throws (rejects) TileFault when a tile is not there or too short
 */
export function proofNodes(readTile: TileSource): ReadNodes {
  const kept = lastUsed<readonly (readonly Buffer[])[]>(keptTiles);
  const rowsOf = async (level: number, index: number): Promise<readonly (readonly Buffer[])[]> => {
    const key = `${level}/${index}`;
    const known = kept.get(key);
    if (known !== undefined) return known;
    const rows = expand(await readTile(level, index), level, index);
    kept.set(key, rows);
    return rows;
  };
  return async (ids) => {
    const nodes: Buffer[] = [];
    for (const { level, index } of ids) {
      const [tileLevel, inside] = [Math.floor(level / 8), level % 8];
      const perTile = 2 ** (8 - inside);
      const tileIndex = Math.floor(index / perTile);
      const node = (await rowsOf(tileLevel, tileIndex))[inside]?.[index % perTile];
      if (node === undefined) throw new TileFault(tileLevel, tileIndex, 'too_short');
      nodes.push(node);
    }
    return nodes;
  };
}

/** The hashes of a tile, and above them every node of a perfect subtree inside it. */
function expand(tile: Buffer | undefined, level: number, index: number): Buffer[][] {
  if (tile === undefined) throw new TileFault(level, index, 'missing');
  let row: Buffer[] = [];
  for (let at = 0; at + hashLength <= tile.length; at += hashLength) row.push(tile.subarray(at, at + hashLength));
  const rows = [row];
  while (row.length > 1) {
    const above: Buffer[] = [];
    for (let at = 0; at + 1 < row.length; at += 2) {
      const [left, right] = [row[at], row[at + 1]];
      if (left !== undefined && right !== undefined) above.push(nodeHash(left, right));
    }
    rows.push(above);
    row = above;
  }
  return rows;
}
