import { deflateSync, inflateSync } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import {
  decodeStatusList,
  encodeStatusList,
  newStatusBytes,
  packStatuses,
  readStatus,
  readStatusListClaims,
  setStatus,
  statusListEntries,
} from '../../src/verification/status-list.ts';

const values = {
  1: [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1],
  2: [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3],
} as const;

await t.test('the vectors of the Token Status List draft', (t) => {
  for (const [bits, hex, lst] of [
    [1, 'b9a3', 'eNrbuRgAAhcBXQ'],
    [2, 'c944f9', 'eNo76fITAAPfAgc'],
  ] as const) {
    const bytes = packStatuses(values[bits], bits);
    t.equal(Buffer.from(bytes).toString('hex'), hex);
    t.strictSame(inflateSync(Buffer.from(encodeStatusList(bytes), 'base64url')), Buffer.from(bytes));
    const list = decodeStatusList({ bits, lst });
    t.ok(list !== undefined);
    if (list !== undefined)
      t.strictSame(
        values[bits].map((_, index) => readStatus(list, index)),
        [...values[bits]],
      );
  }
  t.equal(encodeStatusList(Buffer.from('c944f9', 'hex')), 'eNo76fITAAPfAgc');
  t.end();
});

await t.test('entries are set and read one by one', (t) => {
  const bytes = newStatusBytes();
  t.equal(bytes.length * 4, statusListEntries);
  const expected = new Map<number, number>();
  fc.assert(
    fc.property(fc.nat(statusListEntries - 1), fc.nat(3), (index, value) => {
      setStatus(bytes, index, value);
      expected.set(index, value);
    }),
    { seed: 20261122, numRuns: 500 },
  );
  const list = decodeStatusList({ bits: 2, lst: encodeStatusList(bytes) });
  if (list === undefined) throw new Error('unreadable');
  for (const [index, value] of expected) t.equal(readStatus(list, index), value);
  for (const index of [-1, 0.5, statusListEntries, NaN]) {
    t.equal(readStatus(list, index), undefined);
    t.throws(() => setStatus(bytes, index, 1), RangeError);
  }
  for (const value of [-1, 4, 0.5]) t.throws(() => setStatus(bytes, 0, value), RangeError);
  t.end();
});

await t.test('malformed lists and bombs are refused', (t) => {
  const lst = encodeStatusList(Buffer.alloc(8));
  t.ok(decodeStatusList({ bits: 2, lst }));
  const bomb = deflateSync(Buffer.alloc(2 ** 20 + 1)).toString('base64url');
  for (const claim of [
    null,
    [],
    {},
    { bits: 3, lst },
    { bits: '2', lst },
    { bits: 2, lst: 1 },
    { bits: 2, lst: `${lst}=` },
    { bits: 2, lst: 'AAAA' },
    { bits: 2, lst: bomb },
  ]) {
    t.equal(decodeStatusList(claim), undefined);
  }
  fc.assert(
    fc.property(
      fc.uint8Array(),
      (bytes) => decodeStatusList({ bits: 2, lst: Buffer.from(bytes).toString('base64url') }) === undefined,
    ),
    { seed: 20261122 },
  );
  t.end();
});

await t.test('claims are judged', (t) => {
  const now = 1_000_000;
  const claims = {
    sub: 'u',
    iat: now - 10,
    exp: now + 10,
    ttl: 300,
    status_list: { bits: 2, lst: encodeStatusList(Buffer.alloc(4)) },
  };
  const judge = (change: object) => readStatusListClaims({ ...claims, ...change }, { uri: 'u', now });
  t.match(judge({}), { ok: true, value: { issuedAt: now - 10, expiresAt: now + 10, ttlSeconds: 300 } });
  const { exp: _exp, ttl: _ttl, ...bare } = claims;
  t.match(readStatusListClaims(bare, { uri: 'u', now }), { ok: true });
  t.strictSame(judge({ sub: 'v' }), { ok: false, reasons: ['status_list_subject'] });
  t.strictSame(judge({ iat: now + 61 }), { ok: false, reasons: ['status_list_from_future'] });
  t.strictSame(judge({ exp: now }), { ok: false, reasons: ['status_list_expired'] });
  t.strictSame(judge({ sub: 'v', exp: now }), { ok: false, reasons: ['status_list_subject', 'status_list_expired'] });
  for (const change of [{ iat: 'x' }, { exp: 'x' }, { ttl: 0 }, { ttl: 'x' }, { sub: 1 }, { status_list: 1 }]) {
    t.strictSame(judge(change), { ok: false, reasons: ['status_list_malformed'] });
  }
  t.end();
});
