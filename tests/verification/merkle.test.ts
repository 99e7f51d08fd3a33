import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import {
  appendLeaf,
  consistencyProof,
  emptyEdge,
  emptyRoot,
  inclusionProof,
  leafHash,
  nodeHash,
  type ReadNodes,
  rootOfEdge,
  rootOfSize,
  verifyConsistency,
  verifyInclusion,
} from '../../src/verification/merkle.ts';
import { feedRange, finishRange, rangeProof, startRange } from '../../src/verification/merkle-range.ts';

const vectors = JSON.parse(readFileSync(new URL('../vectors/valid/merkle-tree.json', import.meta.url), 'utf8')) as {
  readonly tree: {
    readonly leaves: readonly string[];
    readonly roots: readonly string[];
    readonly nodes: Readonly<Record<string, string>>;
    readonly partial: { readonly begin: number; readonly end: number; readonly root: string };
  };
  readonly single: {
    readonly leaves: readonly { readonly entry: string; readonly hash: string }[];
    readonly node: { readonly left: string; readonly right: string; readonly hash: string };
  };
  readonly inclusion: readonly { readonly index: number; readonly size: number; readonly path: readonly string[] }[];
  readonly consistency: readonly { readonly from: number; readonly to: number; readonly path: readonly string[] }[];
};

const sha256 = (...parts: readonly Uint8Array[]): Buffer =>
  parts.reduce((hashing, part) => hashing.update(part), createHash('sha256')).digest();
const [zero, one] = [Buffer.from([0]), Buffer.from([1])];

/** RFC 6962, section 2.1, as it is written there: the oracle. */
function book(leaves: readonly Buffer[]) {
  const split = (count: number): number => 2 ** Math.ceil(Math.log2(count) - 1);
  const root = (d: readonly Buffer[]): Buffer =>
    d.length === 0
      ? sha256()
      : d.length === 1
        ? (d[0] ?? zero)
        : sha256(one, root(d.slice(0, split(d.length))), root(d.slice(split(d.length))));
  const path = (m: number, d: readonly Buffer[]): Buffer[] => {
    if (d.length === 1) return [];
    const k = split(d.length);
    return m < k ? [...path(m, d.slice(0, k)), root(d.slice(k))] : [...path(m - k, d.slice(k)), root(d.slice(0, k))];
  };
  const proof = (m: number, d: readonly Buffer[], whole: boolean): Buffer[] => {
    if (m === d.length) return whole ? [] : [root(d)];
    const k = split(d.length);
    return m <= k
      ? [...proof(m, d.slice(0, k), whole), root(d.slice(k))]
      : [...proof(m - k, d.slice(k), false), root(d.slice(0, k))];
  };
  return {
    root: (size: number) => root(leaves.slice(0, size)),
    inclusion: (index: number, size: number) => path(index, leaves.slice(0, size)),
    consistency: (from: number, to: number) => proof(from, leaves.slice(0, to), true),
    read: (async (ids) =>
      ids.map(({ level, index }) => {
        const below = leaves.slice(index * 2 ** level, (index + 1) * 2 ** level);
        if (below.length !== 2 ** level) throw new Error('not a perfect subtree');
        return root(below);
      })) satisfies ReadNodes,
  };
}

const leavesOf = (count: number): Buffer[] =>
  Array.from({ length: count }, (_, at) => leafHash(Buffer.from(`leaf ${at}`)));
const flipped = (bytes: Buffer, bit: number): Buffer => {
  const copy = Buffer.from(bytes);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
};
const hex = (hashes: readonly Buffer[]): string[] => hashes.map((each) => each.toString('hex'));

await t.test('RFC 6962: leaves, nodes, roots and worked proofs of the vector tree', async (t) => {
  const { tree, single } = vectors;
  const leaves = tree.leaves.map((entry) => leafHash(Buffer.from(entry, 'hex')));
  const { read } = book(leaves);
  t.equal(emptyRoot.toString('hex'), tree.roots[0]);
  const edge = emptyEdge();
  for (const [size, root] of tree.roots.entries()) {
    t.equal(rootOfEdge(edge).toString('hex'), root, `root of size ${size} from the edge`);
    t.equal((await rootOfSize(size, read)).toString('hex'), root, `root of size ${size} from nodes`);
    appendLeaf(edge, leaves[size] ?? emptyRoot);
  }
  for (const [id, hashed] of Object.entries(tree.nodes)) {
    const [level = 0, index = 0] = id.split('/').map(Number);
    t.strictSame(hex(await read([{ level, index }])), [hashed], `node ${id}`);
  }
  const { begin, end, root } = tree.partial;
  t.equal(
    book(leaves.slice(begin, end))
      .root(end - begin)
      .toString('hex'),
    root,
  );
  for (const { entry, hash } of single.leaves) t.equal(leafHash(Buffer.from(entry)).toString('hex'), hash);
  // The vector's halves are not 32 bytes, which this code refuses: the formula alone.
  t.equal(sha256(one, Buffer.from(single.node.left), Buffer.from(single.node.right)).toString('hex'), single.node.hash);
  t.throws(() => nodeHash(Buffer.from(single.node.left), Buffer.from(single.node.right)), RangeError);
  t.equal(nodeHash(leaves[0] ?? zero, leaves[1] ?? zero).toString('hex'), tree.roots[2]);

  const rootOf = (size: number) => Buffer.from(tree.roots[size] ?? '', 'hex');
  for (const { index, size, path } of vectors.inclusion) {
    t.strictSame(hex(await inclusionProof({ index, size }, read)), path, `inclusion of ${index} in ${size}`);
    const bytes = path.map((each) => Buffer.from(each, 'hex'));
    t.ok(verifyInclusion({ index, size, leafHash: leaves[index] ?? zero, path: bytes, root: rootOf(size) }));
  }
  for (const { from, to, path } of vectors.consistency) {
    t.strictSame(hex(await consistencyProof({ from, to }, read)), path, `consistency of ${from} with ${to}`);
    const bytes = path.map((each) => Buffer.from(each, 'hex'));
    t.ok(verifyConsistency({ from, to, fromRoot: rootOf(from), toRoot: rootOf(to), path: bytes }));
  }
});

const small = leavesOf(71);
const ofSmall = book(small);
const smallRoots = Array.from({ length: 71 }, (_, size) => ofSmall.root(size));
const rootAt = (size: number): Buffer => smallRoots[size] ?? zero;
/** Paths that are one hash too long or too short. */
const otherLengths = (path: readonly Buffer[]): readonly (readonly Buffer[])[] => [
  [...path, emptyRoot],
  [emptyRoot, ...path],
  ...(path.length > 0 ? [path.slice(1), path.slice(0, -1)] : []),
];

await t.test(
  'every inclusion proof up to 70 leaves is that of the book, and verifies there and nowhere else',
  async (t) => {
    const faults: string[] = [];
    for (let size = 1; size <= 70; size++) {
      for (let index = 0; index < size; index++) {
        const path = await inclusionProof({ index, size }, ofSmall.read);
        const claim = { index, size, leafHash: small[index] ?? zero, path, root: rootAt(size) };
        const changed = [
          { ...claim, index: index + 1 },
          { ...claim, index: index - 1 },
          { ...claim, root: rootAt(size - 1) },
          { ...claim, leafHash: small[index + 1] ?? zero },
          ...otherLengths(path).map((other) => ({ ...claim, path: other })),
        ];
        const same = hex(path).join() === hex(ofSmall.inclusion(index, size)).join();
        if (!same || !verifyInclusion(claim) || changed.some(verifyInclusion)) faults.push(`${index} in ${size}`);
      }
    }
    t.strictSame(faults, []);
  },
);

await t.test(
  'every consistency proof up to 70 leaves is that of the book, and verifies there and nowhere else',
  async (t) => {
    const faults: string[] = [];
    for (let to = 1; to <= 70; to++) {
      for (let from = 1; from <= to; from++) {
        const path = await consistencyProof({ from, to }, ofSmall.read);
        const claim = { from, to, fromRoot: rootAt(from), toRoot: rootAt(to), path };
        // A greater `to` is not among them: where the shape of the proof is the same, only the signed root tells the sizes apart.
        const changed = [
          { ...claim, from: from - 1 },
          { ...claim, fromRoot: rootAt(from - 1) },
          { ...claim, toRoot: rootAt(to - 1) },
          ...otherLengths(path).map((other) => ({ ...claim, path: other })),
        ];
        const same = hex(path).join() === hex(ofSmall.consistency(from, to)).join();
        if (!same || !verifyConsistency(claim) || changed.some(verifyConsistency)) faults.push(`${from} to ${to}`);
      }
    }
    t.strictSame(faults, []);
  },
);

await t.test('trees of some hundreds of leaves: a flipped bit anywhere is refused', async (t) => {
  const leaves = leavesOf(600);
  const { read, root } = book(leaves);
  await fc.assert(
    fc.asyncProperty(
      fc
        .integer({ min: 1, max: 600 })
        .chain((size) => fc.tuple(fc.constant(size), fc.nat(size - 1), fc.nat(1e6), fc.nat(255))),
      async ([size, index, which, bit]) => {
        const path = await inclusionProof({ index, size }, read);
        const claim = { index, size, leafHash: leaves[index] ?? zero, path, root: root(size) };
        if (!verifyInclusion(claim)) return false;
        const at = which % (path.length + 2);
        const changed =
          at === path.length
            ? { ...claim, leafHash: flipped(claim.leafHash, bit) }
            : at === path.length + 1
              ? { ...claim, root: flipped(claim.root, bit) }
              : { ...claim, path: path.with(at, flipped(path[at] ?? zero, bit)) };
        const from = index + 1;
        const steps = await consistencyProof({ from, to: size }, read);
        const growth = { from, to: size, fromRoot: root(from), toRoot: claim.root, path: steps };
        if (!verifyConsistency(growth) || verifyInclusion(changed)) return false;
        if (steps.length === 0) return true;
        const step = which % steps.length;
        return (
          !verifyConsistency({ ...growth, path: steps.with(step, flipped(steps[step] ?? zero, bit)) }) &&
          !verifyConsistency({ ...growth, fromRoot: flipped(growth.fromRoot, bit) }) &&
          !verifyConsistency({ ...growth, toRoot: flipped(growth.toRoot, bit) })
        );
      },
    ),
    { seed: 20261122, numRuns: 120 },
  );
  t.pass();
});

await t.test('a range is proven whole: no leaf left out, doubled, exchanged or changed', async (t) => {
  const leaves = leavesOf(300);
  const { read, root } = book(leaves);
  const rootOfRange = (claim: Parameters<typeof startRange>[0], right: readonly Buffer[], fed: readonly Buffer[]) => {
    const range = startRange(claim);
    if (range === undefined || !fed.every((leaf) => feedRange(range, leaf))) return undefined;
    return finishRange(range, right)?.toString('hex');
  };
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(fc.nat(300), fc.nat(300), fc.nat(300), fc.nat(1e6)).map(([a, b, c, at]) => {
        const [begin = 0, end = 0, size = 0] = [a, b, c].sort((x, y) => x - y);
        return { begin, end, size, at };
      }),
      async ({ begin, end, size, at }) => {
        const { left, right } = await rangeProof({ begin, end, size }, read);
        const fed = leaves.slice(begin, end);
        const expected = root(size).toString('hex');
        const claim = { begin, end, size, left };
        if (rootOfRange(claim, right, fed) !== expected) return false;
        if (rootOfRange(claim, [...right, emptyRoot], fed) !== undefined) return false;
        if (fed.length === 0) return true;
        const chosen = at % fed.length;
        const less = fed.toSpliced(chosen, 1);
        const wrong = fed.with(chosen, leafHash(Buffer.from('other')));
        return (
          rootOfRange(claim, right, less) === undefined &&
          rootOfRange(claim, right, [...fed, ...fed.slice(0, 1)]) === undefined &&
          rootOfRange(claim, right, wrong) !== expected &&
          (fed.length < 2 || rootOfRange(claim, right, fed.toReversed()) !== expected) &&
          // One leaf less told as a shorter range: then the numbers do not fit the tree.
          (size === begin + 1 || rootOfRange({ ...claim, end: end - 1 }, right, less) !== expected)
        );
      },
    ),
    { seed: 20261122, numRuns: 150 },
  );
  t.equal(startRange({ begin: 3, end: 5, size: 8, left: [emptyRoot] }), undefined, 'two subtrees stand before leaf 3');
  t.equal(startRange({ begin: 1, end: 5, size: 8, left: [Buffer.alloc(31)] }), undefined);
  t.equal(startRange({ begin: 5, end: 3, size: 8, left: [] }), undefined);
  t.equal(startRange({ begin: 0, end: 3, size: 2 ** 53, left: [] }), undefined);
  await t.rejects(rangeProof({ begin: 5, end: 3, size: 8 }, read), RangeError);
});

await t.test('numbers and lengths that nobody honest sends', async (t) => {
  const [leaf] = leavesOf(1);
  const root = leaf ?? zero;
  for (const number of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 2 ** 64]) {
    t.notOk(verifyInclusion({ index: number, size: 1, leafHash: root, path: [], root }), `index ${number}`);
    t.notOk(verifyInclusion({ index: 0, size: number, leafHash: root, path: [], root }), `size ${number}`);
    t.notOk(verifyConsistency({ from: number, fromRoot: root, to: 1, toRoot: root, path: [] }));
    t.notOk(verifyConsistency({ from: 1, fromRoot: root, to: number, toRoot: root, path: [] }));
  }
  t.ok(verifyInclusion({ index: 0, size: 1, leafHash: root, path: [], root }), 'the tree of one leaf');
  t.notOk(
    verifyConsistency({ from: 0, fromRoot: emptyRoot, to: 1, toRoot: root, path: [] }),
    'from nothing nothing is proven',
  );
  t.notOk(verifyConsistency({ from: 0, fromRoot: emptyRoot, to: 0, toRoot: emptyRoot, path: [] }));
  t.ok(verifyConsistency({ from: 7, fromRoot: root, to: 7, toRoot: root, path: [] }));
  t.notOk(verifyConsistency({ from: 2, fromRoot: root, to: 1, toRoot: root, path: [] }), 'a log does not shrink');
  const empty = Buffer.alloc(0);
  t.notOk(verifyInclusion({ index: 0, size: 1, leafHash: empty, path: [], root: empty }), 'hashes without bytes');
  t.notOk(verifyConsistency({ from: 1, fromRoot: empty, to: 1, toRoot: empty, path: [] }));
  t.notOk(verifyInclusion({ index: 0, size: 2, leafHash: root, path: [Buffer.alloc(33)], root }));
  const many = Array.from({ length: 100_000 }, () => root);
  t.notOk(verifyInclusion({ index: 0, size: Number.MAX_SAFE_INTEGER, leafHash: root, path: many, root }));
  await t.rejects(inclusionProof({ index: 1, size: 1 }, book([]).read), RangeError);
  await t.rejects(consistencyProof({ from: 2, to: 1 }, book([]).read), RangeError);
});

await t.test('the largest sizes: an edge beyond 2^32 leaves grows right', (t) => {
  // A tree of 2^40 + 1 leaves is known by two hashes; adding leaves must agree with what the book does with their subtrees.
  const [big, ...leaves] = leavesOf(4);
  const edge = { size: 2 ** 40, hashes: [big ?? zero] };
  for (const leaf of leaves) appendLeaf(edge, leaf);
  t.equal(edge.size, 2 ** 40 + 3);
  t.equal(edge.hashes.length, 3);
  const [a = zero, b = zero, c = zero] = leaves;
  t.equal(rootOfEdge(edge).toString('hex'), nodeHash(big ?? zero, nodeHash(nodeHash(a, b), c)).toString('hex'));
  t.ok(
    verifyInclusion({
      index: 2 ** 40 + 2,
      size: 2 ** 40 + 3,
      leafHash: c,
      path: [nodeHash(a, b), big ?? zero],
      root: rootOfEdge(edge),
    }),
  );
  t.end();
});
