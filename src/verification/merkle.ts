import { hash } from 'node:crypto';

/**
 * The Merkle tree of RFC 6962, section 2.1, over SHA-256 (C2SP tlog-tiles): hashing, growing at the right edge, proofs and
 * their verification. Hashes are 32 bytes; sizes and indices are safe integers. What verifies takes anything and answers
 * false or undefined; what generates is given numbers of ours and throws RangeError for others.
 */

/** A perfect subtree: `level` 0 is a leaf; it covers the leaves `index · 2^level` to before `(index + 1) · 2^level`. */
export type NodeId = { readonly level: number; readonly index: number };

/** Fetches the hashes of nodes, in the order asked for. It rejects when it does not have one. */
export type ReadNodes = (ids: readonly NodeId[]) => Promise<Buffer[]>;

/** The perfect subtrees that a tree of `size` leaves consists of, largest first: all that growing it needs. */
export interface RightEdge {
  size: number;
  hashes: Buffer[];
}

const hashLength = 32;

/** The root of the tree without leaves: SHA-256 of nothing. */
export const emptyRoot: Buffer = Buffer.from(hash('sha256', '', 'hex'), 'hex');

// One-shot hashes of a scratch buffer with text results are the fastest there is on Node 20 (measured). Nothing here
// yields while a scratch buffer is in use.
const leafScratch = Buffer.alloc(35);
const nodeScratch = Buffer.alloc(1 + 2 * hashLength);
nodeScratch[0] = 1;
const leafPrefix = Buffer.from([0]);

/** SHA-256(0x00 ‖ entry): the hash of a leaf. */
export function leafHash(entry: Uint8Array): Buffer {
  if (entry.length === leafScratch.length - 1) {
    leafScratch.set(entry, 1);
    return Buffer.from(hash('sha256', leafScratch, 'hex'), 'hex');
  }
  return Buffer.from(hash('sha256', Buffer.concat([leafPrefix, entry]), 'hex'), 'hex');
}

/**
 * SHA-256(0x01 ‖ left ‖ right): the hash of an inner node.
 * @throws RangeError unless both are 32 bytes
 */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  if (left.length !== hashLength || right.length !== hashLength) throw new RangeError('a hash is 32 bytes');
  nodeScratch.set(left, 1);
  nodeScratch.set(right, 1 + hashLength);
  return Buffer.from(hash('sha256', nodeScratch, 'hex'), 'hex');
}

/** The edge of a tree without leaves. */
export const emptyEdge = (): RightEdge => ({ size: 0, hashes: [] });

/** Adds one leaf to the edge (changes it): amortised one node hash. */
export function appendLeaf(edge: RightEdge, leaf: Buffer): void {
  appendSubtree(edge, 0, leaf);
}

/** Adds a perfect subtree (changes the edge), whose size is a multiple of the subtree's width. */
export function appendSubtree(edge: RightEdge, level: number, subtree: Buffer): void {
  const width = 2 ** level;
  let merged = subtree;
  for (let count = edge.size / width; count % 2 === 1; count = (count - 1) / 2) {
    const left = edge.hashes.pop();
    if (left === undefined) throw new RangeError('the edge has fewer hashes than its size says');
    merged = nodeHash(left, merged);
  }
  edge.hashes.push(merged);
  edge.size += width;
}

/** The root of the tree that the edge belongs to. */
export const rootOfEdge = (edge: RightEdge): Buffer => fold(edge.hashes);

/** The perfect subtrees covering [begin, end), from left to right: at most 2 · 53. With begin 0, those of a tree's right edge. */
export function subtreesOf(begin: number, end: number): NodeId[] {
  if (!isSize(begin) || !isSize(end) || begin > end) throw new RangeError('not a range of leaves');
  const ids: NodeId[] = [];
  for (let at = begin; at < end; ) {
    let level = 0;
    // As high as its start is aligned and its end stays inside.
    while (at % 2 ** (level + 1) === 0 && at + 2 ** (level + 1) <= end) level++;
    ids.push({ level, index: at / 2 ** level });
    at += 2 ** level;
  }
  return ids;
}

/** The root of the tree of `size` leaves, from stored nodes. */
export async function rootOfSize(size: number, read: ReadNodes): Promise<Buffer> {
  return fold(await read(subtreesOf(0, size)));
}

/**
 * The inclusion proof of leaf `index` in the tree of `size` leaves (RFC 6962, 2.1.1): the leaf's sibling first.
 * @throws RangeError when the tree has no such leaf
 */
export async function inclusionProof(
  { index, size }: { index: number; size: number },
  read: ReadNodes,
): Promise<Buffer[]> {
  if (!isSize(index) || !isSize(size) || index >= size) throw new RangeError('the tree has no such leaf');
  const ranges: Range[] = [];
  let [begin, end] = [0, size];
  while (end - begin > 1) {
    const middle = begin + split(end - begin);
    if (index < middle) {
      ranges.push([middle, end]);
      end = middle;
    } else {
      ranges.push([begin, middle]);
      begin = middle;
    }
  }
  return readRanges(ranges.reverse(), read);
}

/**
 * The proof that the tree of `to` leaves begins with the tree of `from` leaves (RFC 6962, 2.1.2). Empty for equal sizes and
 * for `from` 0, where nothing needs proving.
 * @throws RangeError when `from` is greater than `to`
 */
export async function consistencyProof({ from, to }: { from: number; to: number }, read: ReadNodes): Promise<Buffer[]> {
  if (!isSize(from) || !isSize(to) || from > to) throw new RangeError('a tree does not shrink');
  if (from === 0) return [];
  const ranges: Range[] = [];
  let [begin, end, whole] = [0, to, true];
  while (from !== end) {
    const middle = begin + split(end - begin);
    if (from <= middle) {
      ranges.push([middle, end]);
      end = middle;
    } else {
      ranges.push([begin, middle]);
      begin = middle;
      whole = false;
    }
  }
  if (!whole) ranges.push([begin, end]);
  return readRanges(ranges.reverse(), read);
}

/** An inclusion proof as it came from anybody. */
export interface InclusionClaim {
  readonly index: number;
  readonly size: number;
  readonly leafHash: Uint8Array;
  readonly path: readonly Uint8Array[];
  readonly root: Uint8Array;
}

/** True when the leaf stands at `index` of the tree of `size` leaves with this root (RFC 9162, 2.1.3.2). */
export function verifyInclusion({ index, size, leafHash: leaf, path, root }: InclusionClaim): boolean {
  if (!isSize(index) || !isSize(size) || index >= size || !areHashes([leaf, root, ...path])) return false;
  const sides = sidesOf(index, size - 1);
  if (path.length !== sides.length) return false;
  return equal(
    path.reduce((result, hashed, at) => join(sides[at], hashed, result), leaf),
    root,
  );
}

/** A consistency proof as it came from anybody. */
export interface ConsistencyClaim {
  readonly from: number;
  readonly fromRoot: Uint8Array;
  readonly to: number;
  readonly toRoot: Uint8Array;
  readonly path: readonly Uint8Array[];
}

/**
 * True when the tree of `to` leaves begins with the tree of `from` leaves (RFC 9162, 2.1.4.2). A proof from 0 proves nothing
 * and is refused: who has seen nothing yet has nothing to compare.
 */
export function verifyConsistency({ from, fromRoot, to, toRoot, path }: ConsistencyClaim): boolean {
  if (!isSize(from) || !isSize(to) || !areHashes([fromRoot, toRoot, ...path])) return false;
  if (from === 0 || from > to) return false;
  if (from === to) return path.length === 0 && equal(fromRoot, toRoot);
  if (path.length === 0) return false;
  // The walk begins at the old tree's last perfect subtree: the whole old tree, or else the first hash of the path.
  const [start, ...rest] = isPowerOfTwo(from) ? [fromRoot, ...path] : path;
  return start !== undefined && equalRoots(rest, sidesOfLastSubtree(from, to), start, [fromRoot, toRoot]);
}

/** Subtrees that join on the left belong to both trees, those on the right to the new one alone. */
function equalRoots(
  path: readonly Uint8Array[],
  sides: readonly Side[],
  start: Uint8Array,
  [fromRoot, toRoot]: readonly [Uint8Array, Uint8Array],
): boolean {
  if (path.length !== sides.length) return false;
  const older = path.reduce((result, hashed, at) => (sides[at] === 'left' ? nodeHash(hashed, result) : result), start);
  const newer = path.reduce((result, hashed, at) => join(sides[at], hashed, result), start);
  return equal(older, fromRoot) && equal(newer, toRoot);
}

function sidesOfLastSubtree(from: number, to: number): Side[] {
  let [first, last] = [from - 1, to - 1];
  while (first % 2 === 1) [first, last] = [half(first), half(last)];
  return sidesOf(first, last);
}

type Side = 'left' | 'right';

/** On which side each hash of a path joins, from the node `first` of a row whose last is `last` up to the root: at most 53. */
function sidesOf(from: number, to: number): Side[] {
  const sides: Side[] = [];
  for (let [first, last] = [from, to]; last !== 0; [first, last] = [half(first), half(last)]) {
    const side = first % 2 === 1 || first === last ? 'left' : 'right';
    sides.push(side);
    // A node at the end of an odd row is promoted: no hash joins on those levels.
    while (side === 'left' && first % 2 === 0 && first !== 0) [first, last] = [half(first), half(last)];
  }
  return sides;
}

const join = (side: Side | undefined, hashed: Uint8Array, result: Uint8Array): Buffer =>
  side === 'left' ? nodeHash(hashed, result) : nodeHash(result, hashed);

/** True for a tree size or leaf index that this code calculates with: 0 to 2^53 - 1. */
export const isSize = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

type Range = readonly [begin: number, end: number];

/** The largest power of two smaller than `count`, which is above 1. */
function split(count: number): number {
  let width = 1;
  while (width * 2 < count) width *= 2;
  return width;
}

const half = (value: number): number => Math.floor(value / 2);

function isPowerOfTwo(value: number): boolean {
  let left = value;
  while (left % 2 === 0) left /= 2;
  return left === 1;
}

/** Hashes of ranges that the splitting of a tree gave: the first of each is the largest, so they fold from the right. */
async function readRanges(ranges: readonly Range[], read: ReadNodes): Promise<Buffer[]> {
  const wanted = ranges.map(([begin, end]) => subtreesOf(begin, end));
  const hashes = await read(wanted.flat());
  let at = 0;
  return wanted.map(({ length }) => fold(hashes.slice(at, (at += length))));
}

function fold(hashes: readonly Buffer[]): Buffer {
  const last = hashes.at(-1);
  if (last === undefined) return emptyRoot;
  return hashes.slice(0, -1).reduceRight((folded, left) => nodeHash(left, folded), last);
}

/** True when each is 32 bytes. */
export const areHashes = (hashes: readonly Uint8Array[]): boolean =>
  hashes.every(({ length }) => length === hashLength);

const equal = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0;
