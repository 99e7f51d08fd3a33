import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { verifyCompactJws } from '../../src/verification/jws.ts';
import {
  disclosureDigest,
  encodeDisclosure,
  filterSdJwt,
  type SdJwtFault,
  sdHash,
  splitSdJwt,
  verifySdJwt,
} from '../../src/verification/sd-jwt.ts';
import { signJws } from './local-issuer.ts';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const header = { alg: 'ES256', typ: 'dc+sd-jwt' };
const salt = (): string => randomBytes(16).toString('base64url');
const raw = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const check = (text: string) => verifySdJwt(text, { resolveKey: () => publicKey });
const make = (payload: unknown, disclosures: readonly string[], changed: object = {}): string =>
  filterSdJwt(signJws({ ...header, ...changed }, payload, privateKey), disclosures);

const name = encodeDisclosure(salt(), 'name', '测试');
const city = encodeDisclosure(salt(), 'city', 'Test City');
const digests = (...texts: string[]): string[] => texts.map(disclosureDigest).sort();
const good = { iss: 'x', _sd_alg: 'sha-256', _sd: digests(name, city) };

await t.test('invariant 3: any subset of the disclosures verifies under the one signature', (t) => {
  const jwt = signJws(header, good, privateKey);
  for (const shown of [[], [name], [city], [name, city]]) {
    const verified = check(filterSdJwt(jwt, shown));
    t.ok(verified.ok);
    if (!verified.ok) continue;
    t.equal(Object.keys(verified.value.disclosed).length, shown.length);
    t.equal(verified.value.withheld, 2 - shown.length);
    t.strictSame(verified.value.clear, { iss: 'x' });
  }
  t.end();
});

await t.test('RFC 9901, 4.2.1 and 4.2.3: the digest is over the text of the disclosure', (t) => {
  // the example of RFC 9901, section 4.2.1 and 4.2.3
  const example = 'WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0';
  t.equal(disclosureDigest(example), 'X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0');
  t.equal(sdHash('a~'), disclosureDigest('a~'));
  t.strictSame(splitSdJwt('a.b.c~d~'), { jwt: 'a.b.c', disclosures: ['d'], keyBinding: '' });
  t.equal(splitSdJwt('a.b.c'), undefined);
  t.end();
});

await t.test('nested objects and array elements are resolved, undisclosed elements disappear', (t) => {
  const street = encodeDisclosure(salt(), 'street', 'S');
  const address = encodeDisclosure(salt(), 'address', { _sd: digests(street), country: 'CN' });
  const one = raw([salt(), 'one']);
  const payload = {
    _sd: digests(address),
    list: [{ '...': disclosureDigest(one) }, { '...': salt() }, 'clear'],
    inner: { _sd: digests(name), kept: true },
  };
  const verified = check(make(payload, [address, street, one, name]));
  t.ok(verified.ok);
  if (verified.ok) {
    t.strictSame(verified.value.clear, { list: ['one', 'clear'], inner: { kept: true, name: '测试' } });
    t.strictSame(verified.value.disclosed, { address: { country: 'CN', street: 'S' } });
    t.equal(verified.value.withheld, 1);
  }
  t.strictSame(
    check(make(payload, [street])),
    { ok: false, reasons: ['disclosure_unreferenced'] },
    'a child needs its parent',
  );
  t.end();
});

await t.test('the attack corpus is refused, each for its reason', (t) => {
  const extra = encodeDisclosure(salt(), 'role', 'admin');
  const overriding = encodeDisclosure(salt(), 'iss', 'evil');
  const never = encodeDisclosure(salt(), 'exp', 1);
  const collides = encodeDisclosure(salt(), 'clear', 1);
  const sd = encodeDisclosure(salt(), '_sd', ['x']);
  const dots = encodeDisclosure(salt(), '...', 'x');
  const proto = encodeDisclosure(salt(), '__proto__', { admin: true });
  const two = raw([salt(), 'value']);
  const twice = [encodeDisclosure(salt(), 'same', 1), encodeDisclosure(salt(), 'same', 2)];
  const jwt = signJws(header, good, privateKey);
  const tampered = raw([salt(), 'name', 'other']);
  const signature = jwt.split('.')[2] ?? '';
  const stripped = `${raw({ ...header, alg: 'none' })}.${raw(good)}.`;
  const deepLeaf = encodeDisclosure(salt(), 'x', 1);
  let chain = deepLeaf;
  const deep = [deepLeaf];
  for (let level = 0; level < 80; level++) {
    chain = encodeDisclosure(salt(), 'x', { _sd: [disclosureDigest(chain)] });
    deep.push(chain);
  }
  const corpus: readonly (readonly [what: string, text: string, reason: SdJwtFault])[] = [
    ['extra unreferenced disclosure', filterSdJwt(jwt, [name, extra]), 'disclosure_unreferenced'],
    ['tampered disclosure', filterSdJwt(jwt, [tampered]), 'disclosure_unreferenced'],
    ['overriding iss', make({ iss: 'x', _sd: digests(overriding) }, [overriding]), 'claim_never_disclosable'],
    ['hidden exp', make({ _sd: digests(never) }, [never]), 'claim_never_disclosable'],
    ['overriding a clear claim', make({ clear: 1, _sd: digests(collides) }, [collides]), 'claim_collision'],
    ['one name in two disclosures', make({ _sd: digests(...twice) }, twice), 'claim_collision'],
    ['same digest twice', make({ _sd: [...digests(name), ...digests(name)] }, [name]), 'digest_repeated'],
    ['same digest at two levels', make({ _sd: digests(name), in: { _sd: digests(name) } }, []), 'digest_repeated'],
    ['claim named _sd', make({ _sd: digests(sd) }, [sd]), 'claim_name_forbidden'],
    ['claim named ...', make({ _sd: digests(dots) }, [dots]), 'claim_name_forbidden'],
    ['claim named __proto__', make({ _sd: digests(proto) }, [proto]), 'claim_name_forbidden'],
    ['member named ...', make({ '...': 'x' }, []), 'claim_name_forbidden'],
    ['nested _sd_alg', make({ inner: { _sd_alg: 'sha-256' } }, []), 'claim_name_forbidden'],
    ['2-element disclosure from _sd', make({ _sd: digests(two) }, [two]), 'disclosure_kind'],
    [
      '3-element disclosure from an array',
      make({ list: [{ '...': disclosureDigest(name) }] }, [name]),
      'disclosure_kind',
    ],
    ['same disclosure sent twice', filterSdJwt(jwt, [name, name]), 'disclosure_repeated'],
    ['alg none', filterSdJwt(stripped, []), 'jws_algorithm'],
    ['alg none with the signature', filterSdJwt(stripped + signature, []), 'jws_algorithm'],
    ['alg RS256 over an ES256 signature', make(good, [], { alg: 'RS256' }), 'jws_signature'],
    ['alg HS256', make(good, [], { alg: 'HS256' }), 'jws_algorithm'],
    ['typ statuslist+jwt', make(good, [], { typ: 'statuslist+jwt' }), 'jws_type'],
    ['unknown crit', make(good, [], { crit: ['x'], x: 1 }), 'jws_critical_header'],
    ['empty crit', make(good, [], { crit: [] }), 'jws_critical_header'],
    ['b64 false', make(good, [], { b64: false }), 'jws_critical_header'],
    ['jwk in the header', make(good, [], { jwk: publicKey.export({ format: 'jwk' }) }), 'jws_key_in_header'],
    ['jku in the header', make(good, [], { jku: 'https://evil.example' }), 'jws_key_in_header'],
    ['x5u in the header', make(good, [], { x5u: 'https://evil.example' }), 'jws_key_in_header'],
    ['unknown _sd_alg', make({ ...good, _sd_alg: 'md5' }, []), 'sd_alg_unknown'],
    ['_sd not an array', make({ _sd: 'x' }, []), 'digest_malformed'],
    ['digest not a text', make({ _sd: [1] }, []), 'digest_malformed'],
    ['element with more than ...', make({ list: [{ '...': 'x', y: 1 }] }, []), 'digest_malformed'],
    ['disclosure not JSON', filterSdJwt(jwt, ['eA']), 'disclosure_malformed'],
    ['disclosure padded', filterSdJwt(jwt, [`${name}=`]), 'disclosure_malformed'],
    ['disclosure of 4 elements', filterSdJwt(jwt, [raw(['s', 'n', 1, 2])]), 'disclosure_malformed'],
    [
      'disclosure with a repeated key',
      filterSdJwt(jwt, [Buffer.from('["s","n",{"a":1,"a":2}]').toString('base64url')]),
      'disclosure_malformed',
    ],
    ['empty disclosure', filterSdJwt(jwt, ['']), 'disclosure_malformed'],
    ['key binding', `${filterSdJwt(jwt, [name])}a.b.c`, 'key_binding_unexpected'],
    ['no tilde', jwt, 'sd_jwt_shape'],
    ['too deep', make({ _sd: [disclosureDigest(chain)] }, deep), 'sd_jwt_too_deep'],
    [
      'repeated key in the payload',
      filterSdJwt(signJws(header, Buffer.from('{"a":1,"a":2}').toString('base64url'), privateKey), []),
      'jws_payload',
    ],
    [
      'repeated key in the header',
      filterSdJwt(`${Buffer.from('{"alg":"none","alg":"ES256"}').toString('base64url')}.e30.${signature}`, []),
      'jws_header',
    ],
    ['payload not an object', make([], []), 'jws_payload'],
    ['four parts', filterSdJwt(`${jwt}.x`, []), 'jws_shape'],
    ['padded signature', filterSdJwt(`${jwt}==`, []), 'jws_shape'],
  ];
  for (const [what, text, reason] of corpus) {
    const verified = check(text);
    t.notOk(verified.ok, what);
    if (!verified.ok) t.ok(verified.reasons.includes(reason), `${what}: ${verified.reasons.join(', ')}`);
  }
  t.equal(check(filterSdJwt(jwt, [name])).ok, true, 'the unspoilt one passes');
  t.end();
});

await t.test('every flipped bit of the signed part is noticed', (t) => {
  const jwt = signJws(header, good, privateKey);
  const [head = '', body = '', signature = ''] = jwt.split('.');
  fc.assert(
    fc.property(fc.nat(), fc.constantFrom(0, 2), (at, part) => {
      const bytes = Buffer.from(part === 0 ? body : signature, 'base64url');
      const index = at % bytes.length;
      bytes[index] = (bytes[index] ?? 0) ^ (1 << (at % 8));
      const changed = bytes.toString('base64url');
      const text = part === 0 ? `${head}.${changed}.${signature}` : `${head}.${body}.${changed}`;
      return !check(filterSdJwt(text, [name])).ok;
    }),
    { seed: 20261122, numRuns: 300 },
  );
  t.end();
});

await t.test('random text gives reasons, never a throw', (t) => {
  const jwt = signJws(header, good, privateKey);
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.array(fc.constantFrom(jwt, name, '~', '.', 'e30', ''))),
      (seed) => {
        const text = Array.isArray(seed) ? seed.join('') : seed;
        const verified = check(text);
        return verified.ok || verified.reasons.length > 0;
      },
    ),
    { seed: 20261122, numRuns: 1000 },
  );
  fc.assert(
    fc.property(fc.json({ maxDepth: 5 }), fc.array(fc.json()), (payload, texts) => {
      const disclosures = texts.map((each) => Buffer.from(each).toString('base64url'));
      const verified = check(
        filterSdJwt(signJws(header, Buffer.from(payload).toString('base64url'), privateKey), disclosures),
      );
      return verified.ok || verified.reasons.length > 0;
    }),
    { seed: 20261122, numRuns: 300 },
  );
  t.end();
});

await t.test('a JWS is verified only with the key, type and suite the verifier demands', (t) => {
  const other = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).publicKey;
  const text = signJws({ alg: 'ES256', typ: 'a', kid: 'k' }, { x: 1 }, privateKey);
  const demands = { typ: 'a', suites: ['ES256'] as const, key: () => createPublicKey(privateKey) };
  t.match(verifyCompactJws(text, demands), { ok: true, header: { kid: 'k' }, payload: { x: 1 } });
  t.strictSame(verifyCompactJws(text, { ...demands, typ: 'b' }), { ok: false, reasons: ['jws_type'] });
  t.strictSame(verifyCompactJws(text, { ...demands, suites: ['EdDSA'] }), { ok: false, reasons: ['jws_algorithm'] });
  t.strictSame(verifyCompactJws(text, { ...demands, key: () => undefined }), {
    ok: false,
    reasons: ['jws_key_unknown'],
  });
  t.strictSame(verifyCompactJws(text, { ...demands, typ: 'b', key: () => other }), {
    ok: false,
    reasons: ['jws_type', 'jws_signature'],
  });
  t.end();
});
