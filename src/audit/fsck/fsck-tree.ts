import { emptyRoot, nodeHash } from '../../verification/merkle.ts';

/**
 * The Merkle tree grown leaf by leaf, with every tile it passes: one node hash per leaf, memory of the logarithm of its size. Hashes
 * are 32 bytes.
 */
export interface TreeWalk {
  /** Leaves added so far. */
  readonly size: () => number;
  /** Adds the next leaf's hash. */
  readonly append: (leaf: Buffer) => void;
  /** The root of the tree as it is now. */
  readonly root: () => Buffer;
  /** The hashes of the rightmost tile of a level, as far as it is filled; empty when it is not begun. */
  readonly edge: (level: number) => Buffer;
  readonly levels: () => number;
  /** Plain JSON, to go on from. */
  readonly save: () => SavedTree;
}

export interface SavedTree {
  readonly size: number;
  /** Perfect subtrees by height, base64, null where the size has no bit. */
  readonly nodes: readonly (string | null)[];
  /** Hashes of the rightmost tile by level, base64. */
  readonly tiles: readonly string[];
}

export const noTree: SavedTree = { size: 0, nodes: [], tiles: [] };

const tileHeight = 8;
const hashLength = 32;
const fullTile = 256 * hashLength;

/** Goes on from a saved tree. `full` is told of every tile of level 1 and above that is filled, which level 0 leads to; `hashes` is a copy. */
export function walkTree(
  saved: SavedTree,
  full: (tile: { level: number; index: number; hashes: Buffer }) => void,
): TreeWalk {
  let { size } = saved;
  const nodes: (Buffer | undefined)[] = saved.nodes.map((node) =>
    node === null ? undefined : Buffer.from(node, 'base64'),
  );
  const tiles = saved.tiles.map((text) => tileOf(Buffer.from(text, 'base64')));

  const intoTile = (level: number, hashed: Buffer): void => {
    const tile = tiles[level] ?? tileOf(Buffer.alloc(0));
    tiles[level] = tile;
    tile.hashes.set(hashed, tile.used);
    tile.used += hashLength;
    if (tile.used < fullTile) return;
    tile.used = 0;
    // The leaf being added is not counted yet.
    full({ level, index: Math.floor(size / 256 ** (level + 1)), hashes: Buffer.from(tile.hashes) });
  };

  return {
    size: () => size,
    append: (leaf) => {
      intoTile(0, leaf);
      let merged = leaf;
      let height = 0;
      for (let left = nodes[0]; left !== undefined; left = nodes[height]) {
        merged = nodeHash(left, merged);
        nodes[height] = undefined;
        height++;
        if (height % tileHeight === 0) intoTile(height / tileHeight, merged);
      }
      nodes[height] = merged;
      size += 1;
    },
    root: () => {
      let root: Buffer | undefined;
      for (const node of nodes) {
        if (node !== undefined) root = root === undefined ? node : nodeHash(node, root);
      }
      return root ?? emptyRoot;
    },
    edge: (level) => {
      const tile = tiles[level];
      return tile === undefined ? Buffer.alloc(0) : tile.hashes.subarray(0, tile.used);
    },
    levels: () => tiles.length,
    save: () => ({
      size,
      nodes: Array.from(nodes, (node) => node?.toString('base64') ?? null),
      tiles: tiles.map(({ hashes, used }) => hashes.toString('base64', 0, used)),
    }),
  };
}

function tileOf(filled: Buffer): { readonly hashes: Buffer; used: number } {
  const hashes: Buffer = Buffer.alloc(fullTile);
  filled.copy(hashes);
  return { hashes, used: filled.length };
}
