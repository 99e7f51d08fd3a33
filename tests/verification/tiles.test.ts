import fc from 'fast-check';
import t from 'tap';
import { appendLeaf, emptyEdge, leafHash, nodeHash, rootOfEdge, rootOfSize } from '../../src/verification/merkle.ts';
import {
  decodeBundle,
  encodeBundle,
  nodeReader,
  parseTilePath,
  TileFault,
  type TileId,
  tilePath,
  tileRoot,
  tileWidth,
} from '../../src/verification/tiles.ts';

/** A tree of `size` leaves as tiles, written by the rule: level L holds the roots of 256^L leaves each. */
function tilesOf(size: number): Map<string, Buffer> {
  const tiles = new Map<string, Buffer>();
  let row = Array.from({ length: size }, (_, at) => leafHash(Buffer.from(`leaf ${at}`)));
  for (let level = 0; row.length > 0; level++) {
    const above: Buffer[] = [];
    for (let at = 0; at < row.length; at += 256) {
      const tile = Buffer.concat(row.slice(at, at + 256));
      tiles.set(`${level}/${at / 256}`, tile);
      if (tile.length === 8192) above.push(tileRoot(tile));
    }
    row = above;
  }
  return tiles;
}

const readerOf = (tiles: ReadonlyMap<string, Buffer>, size: number) =>
  nodeReader((level, index) => Promise.resolve(tiles.get(`${level}/${index}`)), size);

await t.test('tile paths: one spelling each, as C2SP tlog-tiles writes them', (t) => {
  const named: readonly (readonly [TileId, string])[] = [
    [{ level: 0, index: 1_234_067, width: 256 }, 'tile/0/x001/x234/067'],
    [{ level: 0, index: 0, width: 256 }, 'tile/0/000'],
    [{ level: 1, index: 999, width: 256 }, 'tile/1/999'],
    [{ level: 2, index: 1000, width: 1 }, 'tile/2/x001/000.p/1'],
    [{ level: 'entries', index: 455_667, width: 255 }, 'tile/entries/x455/667.p/255'],
    [{ level: 63, index: Number.MAX_SAFE_INTEGER, width: 256 }, 'tile/63/x009/x007/x199/x254/x740/991'],
  ];
  for (const [id, text] of named) {
    t.equal(tilePath(id), text);
    t.strictSame(parseTilePath(text), id);
  }
  const bad = [
    '',
    'tile',
    '0/000',
    'tile/0/0',
    'tile/0/0000',
    'tile/0/x000/000',
    'tile/0/x000/x001/000',
    'tile/0/001/000',
    'tile/0/x001',
    'tile/00/000',
    'tile/64/000',
    'tile/-1/000',
    'tile/0/000.p/0',
    'tile/0/000.p/256',
    'tile/0/000.p/01',
    'tile/0/000.p/',
    'tile/0/000.p',
    'tile/0/000/',
    '/tile/0/000',
    'tile/0/../0',
    'tile/0/٠٠٠',
    'tile/entry/000',
    'tile/0/000.P/1',
    'tile/0/000\n',
    'tile/0/x009/x007/x199/x254/x740/992',
    `tile/0/${'x001/'.repeat(1000)}000`,
  ];
  for (const text of bad) t.equal(parseTilePath(text), undefined, text.slice(0, 40));
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...Array.from('tile/x0123.p/')) })), (text) => {
      const id = parseTilePath(text);
      return id === undefined || tilePath(id) === text;
    }),
    { seed: 20261122, numRuns: 500 },
  );
  t.end();
});

await t.test('widths', (t) => {
  const widths = (size: number, level: number | 'entries', ...indices: number[]) =>
    indices.map((index) => tileWidth(level, index, size));
  t.strictSame(widths(70_000, 0, 0, 272, 273, 274), [256, 256, 112, 0], 'the example of the reference, 70,000 leaves');
  t.strictSame(widths(70_000, 1, 0, 1, 2), [256, 17, 0]);
  t.strictSame(widths(70_000, 2, 0, 1), [1, 0]);
  t.strictSame(widths(70_000, 'entries', 272, 273, 274), [256, 112, 0]);
  t.strictSame([...widths(256, 0, 0, 1), ...widths(256, 1, 0)], [256, 0, 1]);
  t.strictSame(widths(Number.MAX_SAFE_INTEGER, 6, 0, 1), [31, 0], 'the widest tree that is calculated with');
  t.end();
});

await t.test('nodes out of tiles: roots of every size, from tiles that are wider than the tree', async (t) => {
  const tiles = tilesOf(70_000);
  const edge = emptyEdge();
  const sizes = new Set([1, 2, 3, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 65_793, 69_999, 70_000]);
  for (let at = 0; at < 70_000; at++) {
    appendLeaf(edge, leafHash(Buffer.from(`leaf ${at}`)));
    if (!sizes.has(edge.size)) continue;
    const root = await rootOfSize(edge.size, readerOf(tiles, edge.size));
    t.ok(root.equals(rootOfEdge(edge)), `size ${edge.size}`);
  }
  const read = readerOf(tiles, 70_000);
  const [node] = await read([{ level: 12, index: 3 }]);
  const [left, right] = await read([
    { level: 11, index: 6 },
    { level: 11, index: 7 },
  ]);
  t.ok(left !== undefined && right !== undefined && node?.equals(nodeHash(left, right)));
  await t.rejects(readerOf(tiles, 300)([{ level: 0, index: 300 }]), RangeError, 'beyond the tree, though stored');
  const holed = new Map(tiles);
  holed.delete('1/1');
  await t.rejects(rootOfSize(70_000, readerOf(holed, 70_000)), new TileFault(1, 1, 'missing'));
  holed.set('1/1', Buffer.alloc(0));
  await t.rejects(rootOfSize(69_000, readerOf(holed, 69_000)), new TileFault(1, 1, 'too_short'));
  t.throws(() => tileRoot(Buffer.alloc(96)), RangeError);
  t.throws(() => tileRoot(Buffer.alloc(0)), RangeError);
  let asked = 0;
  const counting = nodeReader((level, index) => {
    asked++;
    return Promise.resolve(tiles.get(`${level}/${index}`));
  }, 70_000);
  await rootOfSize(70_000, counting);
  t.equal(asked, 3, 'each tile is read once');
});

await t.test('entry bundles', (t) => {
  const entries = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 256 });
  fc.assert(
    fc.property(entries, fc.nat(1e5), (list, cut) => {
      const bundle = encodeBundle(list);
      const read = decodeBundle(bundle);
      const same = read?.length === list.length && read.every((each, at) => each.equals(list[at] ?? Buffer.alloc(0)));
      const shorter = decodeBundle(bundle.subarray(0, cut % (bundle.length + 1)));
      return same && (shorter === undefined || shorter.length <= list.length);
    }),
    { seed: 20261122, numRuns: 100 },
  );
  t.equal(encodeBundle([Buffer.from('ab'), Buffer.alloc(0)]).toString('hex'), '0002' + '6162' + '0000');
  t.equal(decodeBundle(Buffer.from('0003ab', 'hex')), undefined);
  t.equal(decodeBundle(Buffer.from('00', 'hex')), undefined);
  t.equal(decodeBundle(Buffer.alloc(2 * 257)), undefined, '257 empty entries');
  t.throws(() => encodeBundle(Array.from({ length: 257 }, () => Buffer.alloc(1))), RangeError);
  t.throws(() => encodeBundle([Buffer.alloc(65_536)]), RangeError);
  t.end();
});
