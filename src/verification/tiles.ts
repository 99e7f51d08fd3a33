import { isSize, nodeHash, type ReadNodes } from './merkle.ts';

/**
 * Tiles and entry bundles (C2SP tlog-tiles v0.1.0). A tile holds up to 256 hashes of one level: level 0 the leaves' hashes,
 * level L roots of perfect subtrees of 256^L leaves. A narrower tile is a prefix of a wider one. A bundle holds up to 256 entries.
 */

/** How many hashes or entries a full tile or bundle has. */
export const fullWidth = 256;
const hashLength = 32;

/** A tile or, with level `entries`, an entry bundle; `width` 1 to 256, below 256 for a partial one. */
export interface TileId {
  readonly level: number | 'entries';
  readonly index: number;
  readonly width: number;
}

/** The path under the log's prefix: `tile/0/x001/x234/067`, `tile/entries/000.p/17`. */
export function tilePath({ level, index, width }: TileId): string {
  const digits = String(index);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/\d{3}/g) ?? [];
  const last = groups.length - 1;
  const name = groups.map((group, at) => (at === last ? group : `x${group}`)).join('/');
  return `tile/${level}/${name}${width === fullWidth ? '' : `.p/${width}`}`;
}

/** Reads a tile path; undefined unless it is the one spelling of it: level 0 to 63 or `entries`, width 1 to 255 where given. */
export function parseTilePath(text: string): TileId | undefined {
  // Six groups hold every safe integer; the bound keeps the expression's work small.
  const [, levelText, name = '', widthText] = (text.length > 80 ? null : pathShape.exec(text)) ?? [];
  if (levelText === undefined) return undefined;
  const level = levelText === 'entries' ? levelText : Number(levelText);
  const index = Number(name.replace(/[x/]/g, ''));
  const width = widthText === undefined ? fullWidth : Number(widthText);
  const isInRange = isSize(index) && width >= 1 && (level === 'entries' || level <= 63);
  // Written again it must be the same text: leading zeros, or a width of 256 that says nothing, are other spellings.
  const id: TileId = { level, index, width };
  return isInRange && tilePath(id) === text ? id : undefined;
}
const pathShape = /^tile\/(entries|\d{1,2})\/((?:x\d{3}\/){0,5}\d{3})(?:\.p\/(\d{1,3}))?$/;

/** How many hashes of the tile exist in a tree of `size` leaves: 0 to 256. For `entries`, how many entries. */
export function tileWidth(level: number | 'entries', index: number, size: number): number {
  const hashes = level === 'entries' ? size : Math.floor(size / 256 ** level);
  return Math.max(0, Math.min(fullWidth, hashes - index * fullWidth));
}

/**
 * The root of the perfect subtree under a run of hashes, whose number is a power of two: of a full tile, its hash in the level above.
 * @throws RangeError for another length
 */
export function tileRoot(hashes: Buffer): Buffer {
  const count = hashes.length / hashLength;
  if (!Number.isInteger(Math.log2(count))) throw new RangeError('not a perfect subtree');
  let row: Buffer[] = [];
  for (let at = 0; at < hashes.length; at += hashLength) row.push(hashes.subarray(at, at + hashLength));
  while (row.length > 1) {
    const above: Buffer[] = [];
    for (let at = 0; at + 1 < row.length; at += 2) {
      const [left, right] = [row[at], row[at + 1]];
      if (left !== undefined && right !== undefined) above.push(nodeHash(left, right));
    }
    row = above;
  }
  return Buffer.from(row[0] ?? hashes);
}

/** A tile that a tree of its size must have is not there, or has fewer hashes than it must. */
export class TileFault extends Error {
  readonly level: number;
  readonly index: number;
  readonly fault: 'missing' | 'too_short';

  constructor(level: number, index: number, fault: 'missing' | 'too_short') {
    super(`tile ${level}/${index} is ${fault === 'missing' ? 'missing' : 'too short'}`);
    this.level = level;
    this.index = index;
    this.fault = fault;
  }
}

/**
 * Reads nodes of a tree of `size` leaves out of its tiles, each tile once per call, hashing inside them. `readTile` gives what is
 * stored of a tile, which may be wider than `size` needs; nodes outside the tree are refused.
 * @throws (rejects) TileFault, RangeError for a node outside the tree
 */
export function nodeReader(
  readTile: (level: number, index: number) => Promise<Buffer | undefined>,
  size: number,
): ReadNodes {
  return async (ids) => {
    const tiles = new Map<string, Promise<Buffer | undefined>>();
    return Promise.all(
      ids.map(async ({ level, index }) => {
        if ((index + 1) * 2 ** level > size) throw new RangeError('the tree has no such node');
        const [tileLevel, inside] = [Math.floor(level / 8), level % 8];
        const nodes = 2 ** (8 - inside);
        const tileIndex = Math.floor(index / nodes);
        const key = `${tileLevel}/${tileIndex}`;
        const asked = tiles.get(key) ?? readTile(tileLevel, tileIndex);
        tiles.set(key, asked);
        const tile = await asked;
        if (tile === undefined) throw new TileFault(tileLevel, tileIndex, 'missing');
        const begin = (index % nodes) * 2 ** inside * hashLength;
        const end = begin + 2 ** inside * hashLength;
        if (tile.length < end) throw new TileFault(tileLevel, tileIndex, 'too_short');
        return tileRoot(tile.subarray(begin, end));
      }),
    );
  };
}

/**
 * An entry bundle: each entry behind its length as uint16, big-endian.
 * @throws RangeError for more than 256 entries or an entry above 65,535 bytes
 */
export function encodeBundle(entries: readonly Uint8Array[]): Buffer {
  if (entries.length > fullWidth) throw new RangeError('a bundle has at most 256 entries');
  const bundle = Buffer.allocUnsafe(entries.reduce((total, { length }) => total + 2 + length, 0));
  let at = 0;
  for (const entry of entries) {
    at = bundle.writeUInt16BE(entry.length, at);
    bundle.set(entry, at);
    at += entry.length;
  }
  return bundle;
}

/** The entries of a bundle, or undefined when it is cut off, goes on behind its last entry, or has more than 256. */
export function decodeBundle(bytes: Uint8Array): Buffer[] | undefined {
  const bundle = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: Buffer[] = [];
  for (let at = 0; at < bundle.length; ) {
    if (entries.length === fullWidth || at + 2 > bundle.length) return undefined;
    const end = at + 2 + bundle.readUInt16BE(at);
    if (end > bundle.length) return undefined;
    entries.push(bundle.subarray(at + 2, end));
    at = end;
  }
  return entries;
}
