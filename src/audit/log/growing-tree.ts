import { appendLeaf, emptyEdge, type RightEdge, rootOfEdge } from '../../verification/merkle.ts';
import { fullWidth, tileWidth } from '../../verification/tiles.ts';

/** The last tile of a level, as far as it is filled: below `fullWidth` hashes. */
interface LastTile {
  readonly index: number;
  readonly hashes: readonly Buffer[];
  /** The same hashes as perfect subtrees, so that none is computed twice. */
  readonly edge: RightEdge;
}

/** All of a tree that it takes to grow it: the last tile of every level, level 0 first. A value: growing makes a new one. */
export interface GrowingTree {
  readonly size: number;
  readonly levels: readonly LastTile[];
}

/** A tile to store; `hashes` holds 32 bytes for each of its `width`. */
export interface GrownTile {
  readonly level: number;
  readonly index: number;
  readonly width: number;
  readonly hashes: Buffer;
}

export interface Growth {
  readonly tree: GrowingTree;
  /** Every tile that is new or wider than before. */
  readonly tiles: readonly GrownTile[];
}

/** Which tiles of a tree of `size` leaves are the last of their level, and how wide: what `treeOf` needs, level 0 first. */
export function lastTiles(size: number): { readonly level: number; readonly index: number; readonly width: number }[] {
  const tiles = [];
  for (let level = 0, hashes = size; hashes > 0; level++, hashes = Math.floor(hashes / fullWidth)) {
    const index = Math.floor(hashes / fullWidth);
    tiles.push({ level, index, width: tileWidth(level, index, size) });
  }
  return tiles;
}

/** A tree of `size` leaves from the hashes of its last tiles, in the order of `lastTiles`, each as wide as said there. */
export function treeOf(size: number, tiles: readonly Buffer[]): GrowingTree {
  const levels = lastTiles(size).map(({ level, index }) => {
    const bytes = tiles[level] ?? Buffer.alloc(0);
    const hashes: Buffer[] = [];
    const edge = emptyEdge();
    for (let at = 0; at < bytes.length; at += 32) {
      const hash = bytes.subarray(at, at + 32);
      hashes.push(hash);
      appendLeaf(edge, hash);
    }
    return { index, hashes, edge };
  });
  return { size, levels };
}

/** The root: the right edge of the whole tree is that of its last tiles, the highest level's first. */
export const rootOfTree = ({ size, levels }: GrowingTree): Buffer =>
  rootOfEdge({ size, hashes: levels.toReversed().flatMap(({ edge }) => edge.hashes) });

/** The tree with these leaves added behind its last one, and what of it is to be stored. Pure. */
export function grow(tree: GrowingTree, leafHashes: readonly Buffer[]): Growth {
  const levels = tree.levels.map(({ index, hashes, edge }) => ({
    index,
    hashes: [...hashes],
    edge: { size: edge.size, hashes: [...edge.hashes] },
    touched: false,
  }));
  const tiles: GrownTile[] = [];
  const add = (level: number, hash: Buffer): void => {
    const last = levels[level] ?? { index: 0, hashes: [], edge: emptyEdge(), touched: false };
    levels[level] = last;
    last.hashes.push(hash);
    last.touched = true;
    appendLeaf(last.edge, hash);
    if (last.hashes.length < fullWidth) return;
    tiles.push(tileOf(level, last));
    levels[level] = { index: last.index + 1, hashes: [], edge: emptyEdge(), touched: false };
    // Full, so its edge is one perfect subtree: an entry of the level above.
    add(level + 1, rootOfEdge(last.edge));
  };
  for (const hash of leafHashes) add(0, hash);
  for (const [level, last] of levels.entries()) if (last.touched) tiles.push(tileOf(level, last));
  return { tree: { size: tree.size + leafHashes.length, levels }, tiles };
}

const tileOf = (level: number, { index, hashes }: LastTile): GrownTile => ({
  level,
  index,
  width: hashes.length,
  hashes: Buffer.concat(hashes),
});
