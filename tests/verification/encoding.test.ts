import fc from 'fast-check';
import t from 'tap';
import { canonicalJson } from '../../src/verification/canonical-json.ts';
import {
  decodeBase64,
  decodeBase64url,
  decodeHex,
  decodeUtf8,
  encodeBase64,
  encodeBase64url,
  encodeBase64urlText,
  encodeHex,
  parseJsonBytesStrictly,
  parseJsonStrictly,
} from '../../src/verification/encoding.ts';

await t.test('base64url has one spelling', (t) => {
  t.strictSame(decodeBase64url('_-8'), Buffer.from([0xff, 0xef]));
  t.strictSame(decodeBase64url(''), Buffer.alloc(0));
  for (const text of ['_-8=', '_-8 ', '/+8', '_-9', 'A', 'AAAAA', 'AA\n', 'ÄÄ', '~~~~'])
    t.equal(decodeBase64url(text), undefined, text);
  t.strictSame(decodeBase64('/+8='), Buffer.from([0xff, 0xef]));
  for (const text of ['/+8', '_-8=', '/+9=', '/+8=\n']) t.equal(decodeBase64(text), undefined, text);
  t.strictSame(decodeHex('00ff'), Buffer.from([0, 255]));
  for (const text of ['0', '0G', 'FF', '00 ']) t.equal(decodeHex(text), undefined, text);
  t.equal(decodeUtf8(Buffer.from([0xc0, 0x80])), undefined);
  t.equal(encodeBase64urlText('é'), 'w6k');
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      t.strictSame(decodeBase64url(encodeBase64url(bytes)), Buffer.from(bytes));
      t.strictSame(decodeBase64(encodeBase64(bytes)), Buffer.from(bytes));
      t.strictSame(decodeHex(encodeHex(bytes)), Buffer.from(bytes));
    }),
    { seed: 20261122, numRuns: 50 },
  );
  t.end();
});

await t.test('JSON with two readings is refused', (t) => {
  const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
  const refused: readonly (readonly [text: string, reason: string])[] = [
    ['', 'malformed_json'],
    ['{"a":1,}', 'malformed_json'],
    ['\ufeff{}', 'malformed_json'],
    ["{'a':1}", 'malformed_json'],
    ['{"a":"\n"}', 'malformed_json'],
    ['{"a":[1,{"b":-1e400}]}', 'malformed_json'],
    [`${'9'.repeat(310)}`, 'malformed_json'],
    ['{"a":1,"a":2}', 'duplicate_key'],
    ['{"a":1,"\\u0061":2}', 'duplicate_key'],
    ['{"x":[{"a" : 1, "b":{"a":1}, "a"\t:2}]}', 'duplicate_key'],
    ['{"a":{"b":[1,{}]},"c":"a","a":2}', 'duplicate_key'],
    ['{"":1,"":2}', 'duplicate_key'],
    ['{"a\\"":1,"a\\"":2}', 'duplicate_key'],
    ['{"a\\\\":1,"a\\\\":2}', 'duplicate_key'],
    ['{"__proto__":{}}', 'duplicate_key'],
    ['{"x":{"\\u005f_proto__":{}}}', 'duplicate_key'],
    ['{"a":"\0"}', 'forbidden_character'],
    ['{"a":"\\u0000"}', 'forbidden_character'],
    ['{"\\u0000":1}', 'forbidden_character'],
    ['["\\ud800"]', 'forbidden_character'],
    ['["\\udc00\\ud800"]', 'forbidden_character'],
    ['["\ud800"]', 'forbidden_character'],
    [nested(33), 'too_deep'],
    [`${'{"a":'.repeat(33)}1${'}'.repeat(33)}`, 'too_deep'],
  ];
  for (const [text, reason] of refused)
    t.strictSame(parseJsonStrictly(text), { ok: false, reason }, JSON.stringify(text));
  const read: readonly string[] = [
    '{"a":"a","b":["a","a",{"a":1},{"a":2}],"c":{"a":{"a":1}}}',
    '{"a":"\\"a\\":1,","b":"\\\\"}',
    '{"a\\\\":1,"a":2}',
    '"\\ud83d\\ude00 😀 \\\\u0000"',
    '{"constructor":1,"toString":2}',
    nested(32),
    ' 1e308 ',
    '12345678901234567890',
  ];
  for (const text of read)
    t.strictSame(parseJsonStrictly(text), { ok: true, value: JSON.parse(text) as unknown }, text);
  t.strictSame(parseJsonBytesStrictly(Buffer.from([0x22, 0xff, 0x22])), { ok: false, reason: 'forbidden_character' });
  t.strictSame(parseJsonBytesStrictly(Buffer.from('[1]')), { ok: true, value: [1] });
  t.end();
});

await t.test('what JSON.stringify writes is read, what repeats a name is not', (t) => {
  const value = fc
    .jsonValue({ maxDepth: 6, stringUnit: 'grapheme' })
    .filter((each) => !/__proto__|\\u0000|\\ud[89a-f]/.test(JSON.stringify(each)));
  fc.assert(
    fc.property(value, (each) => {
      t.strictSame(parseJsonStrictly(JSON.stringify(each)), {
        ok: true,
        value: JSON.parse(JSON.stringify(each)) as unknown,
      });
    }),
    { seed: 20261122, numRuns: 300 },
  );
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme', minLength: 1 }), { minLength: 1, maxLength: 40 }), (names) => {
      const members = [...names, names[0]].map((name) => `${JSON.stringify(name)}:1`);
      return !parseJsonStrictly(`{${members.join(',')}}`).ok;
    }),
    { seed: 20261122, numRuns: 200 },
  );
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => typeof parseJsonStrictly(text).ok === 'boolean'),
    { seed: 20261122 },
  );
  t.end();
});

await t.test('a wide object costs linear time', (t) => {
  const wide = `{${Array.from({ length: 50_000 }, (_, index) => `"k${index}":0`).join(',')}}`;
  const started = performance.now();
  t.ok(parseJsonStrictly(wide).ok);
  t.ok(performance.now() - started < 2_000);
  t.end();
});

await t.test('canonical JSON follows RFC 8785', (t) => {
  // RFC 8785, section 3.2.2 and appendix B, and the sorting example of 3.2.3
  const sample = {
    numbers: [Number('333333333.33333329'), 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
    string: '\u20ac$\u000f\nA\'B"\\\\"/',
    literals: [null, true, false],
  };
  t.equal(
    canonicalJson(sample),
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  );
  const names = { '€': 1, '\r': 2, '\ufb33': 3, '1': 4, '😀': 5, '\u0080': 6, ö: 7 };
  t.equal(canonicalJson(names), '{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}');
  t.equal(canonicalJson([-0, Number('9007199254740993'), 5e-324]), '[0,9007199254740992,5e-324]');
  t.equal(canonicalJson(Object.create(null)), '{}');
  const cyclic: unknown[] = [];
  cyclic.push(cyclic);
  const bad: readonly unknown[] = [
    undefined,
    { a: undefined },
    [undefined],
    Object.assign([], { length: 1 }),
    NaN,
    Infinity,
    '\ud800',
    { '\udc00': 1 },
    1n,
    new Date(0),
    new Map(),
    () => 1,
    cyclic,
  ];
  for (const value of bad) t.throws(() => canonicalJson(value), TypeError);
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = canonicalJson(value);
      return canonicalJson(JSON.parse(text)) === text;
    }),
    { seed: 20261122, numRuns: 200 },
  );
  t.end();
});
