import { appendSubtree, areHashes, isSize, type ReadNodes, type RightEdge, rootOfEdge, subtreesOf } from './merkle.ts';

/**
 * A contiguous range of a log's leaves, proved to be whole: who has every leaf of it and the perfect subtrees on both sides can compute
 * the root, and with one leaf left out, added, changed or moved it is another root.
 */

/**
 * What someone who has all leaves from `begin` to before `end` needs to compute the root of the tree of `size` leaves: the
 * perfect subtrees before and behind the range, each from left to right.
 * @throws RangeError unless begin ≤ end ≤ size
 */
export async function rangeProof(
  { begin, end, size }: { begin: number; end: number; size: number },
  read: ReadNodes,
): Promise<{ left: Buffer[]; right: Buffer[] }> {
  const before = subtreesOf(0, begin);
  if (begin > end) throw new RangeError('not a range of leaves');
  const hashes = await read([...before, ...subtreesOf(end, size)]);
  return { left: hashes.slice(0, before.length), right: hashes.slice(before.length) };
}

/** A contiguous range of leaves being checked, leaf by leaf, in memory of the logarithm of the tree's size. */
export interface RangeCheck {
  /** Where the next leaf goes is `edge.size`. */
  readonly edge: RightEdge;
  readonly end: number;
  readonly size: number;
}

/** Begins to check a range [begin, end) of a tree of `size` leaves; undefined when numbers or `left` cannot belong together. */
export function startRange(claim: {
  readonly begin: number;
  readonly end: number;
  readonly size: number;
  readonly left: readonly Uint8Array[];
}): RangeCheck | undefined {
  const { begin, end, size, left } = claim;
  if (!isSize(begin) || !isSize(end) || !isSize(size) || begin > end || end > size) return undefined;
  if (left.length !== subtreesOf(0, begin).length || !areHashes(left)) return undefined;
  return { edge: { size: begin, hashes: left.map((each) => Buffer.from(each)) }, end, size };
}

/** Adds the next leaf's hash (changes the check); false when the range is full already or the hash is none. */
export function feedRange(range: RangeCheck, leaf: Buffer): boolean {
  if (range.edge.size >= range.end || !areHashes([leaf])) return false;
  appendSubtree(range.edge, 0, leaf);
  return true;
}

/**
 * The root of the whole tree when every leaf of the range was fed: equal to a checkpoint's root exactly when these are its
 * leaves from `begin` to before `end`, each once and in order. Undefined when leaves are missing or `right` does not fit. Use once.
 */
export function finishRange(range: RangeCheck, right: readonly Uint8Array[]): Buffer | undefined {
  const { edge, end, size } = range;
  if (edge.size !== end || !areHashes(right)) return undefined;
  const behind = subtreesOf(end, size);
  if (behind.length !== right.length) return undefined;
  behind.forEach(({ level }, at) => {
    const subtree = right[at];
    if (subtree !== undefined) appendSubtree(edge, level, Buffer.from(subtree));
  });
  return rootOfEdge(edge);
}
