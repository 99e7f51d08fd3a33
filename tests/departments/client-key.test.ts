import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { calculateJwkThumbprint } from 'jose';
import t from 'tap';
import { checkClientId } from '../../src/departments/client.ts';
import { assertionLimits, judgeClaims } from '../../src/departments/client-assertion.ts';
import { readNewKey, readPublicJwk } from '../../src/departments/client-key.ts';
import { Refusal } from '../../src/errors.ts';
import type { ClientId } from '../../src/ids.ts';
import { spkiSha256 } from '../../src/signing/example-keys.ts';

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed = generateKeyPairSync('ed25519');
const ecJwk = ec.publicKey.export({ format: 'jwk' });
const edJwk = ed.publicKey.export({ format: 'jwk' });

/** What a function throws, in short. */
function reasonOf(read: () => unknown): unknown {
  try {
    read();
    return 'accepted';
  } catch (error) {
    return error instanceof Refusal ? (error.detail['reason'] ?? error.detail['rule']) : error;
  }
}

await t.test('public keys: P-256 and Ed25519, named by RFC 7638 unless they have a name', async (t) => {
  for (const [jwk, suite] of [
    [ecJwk, 'ES256'],
    [edJwk, 'EdDSA'],
  ] as const) {
    const key = readPublicJwk({ ...jwk });
    t.equal(key.suite, suite);
    t.equal(key.jwk.alg, suite);
    t.equal(key.kid, await calculateJwkThumbprint(jwk));
    t.equal(readPublicJwk({ ...jwk, kid: 'k-1', use: 'sig', alg: suite }).kid, 'k-1');
    t.same(readPublicJwk({ ...jwk, kid: 'other' }).thumbprint, key.thumbprint, 'the name does not change the key');
  }
});

await t.test('keys that are refused, and why', (t) => {
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'jwk' });
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' });
  const offCurve = Buffer.alloc(32, 7).toString('base64url');
  const cases: [string, string, object][] = [
    ['private EC key', 'private_key', ec.privateKey.export({ format: 'jwk' })],
    ['private Ed25519 key', 'private_key', ed.privateKey.export({ format: 'jwk' })],
    ['symmetric key', 'private_key', { kty: 'oct', k: 'c2VjcmV0' }],
    ['P-384', 'kind', p384],
    ['RSA', 'unknown_member', rsa],
    ['an encryption key', 'use', { ...ecJwk, use: 'enc' }],
    ['another algorithm', 'algorithm', { ...ecJwk, alg: 'EdDSA' }],
    ['a MAC', 'algorithm', { ...ecJwk, alg: 'HS256' }],
    ['not on the curve', 'point', { ...ecJwk, x: offCurve, y: offCurve }],
    ['short coordinate', 'shape', { ...ecJwk, x: 'AAAA' }],
    ['padded coordinate', 'shape', { ...ecJwk, x: `${ecJwk.x ?? ''}=` }],
    ['no y', 'shape', { kty: 'EC', crv: 'P-256', x: ecJwk.x }],
    ['Ed25519 with y', 'shape', { ...edJwk, y: edJwk.x }],
    ['an x5u', 'unknown_member', { ...ecJwk, x5u: 'https://elsewhere.example.test' }],
    ['a name of dots', 'kid', { ...ecJwk, kid: '..' }],
    ['a name with a slash', 'kid', { ...ecJwk, kid: 'a/b' }],
    ['a number as name', 'kid', { ...ecJwk, kid: 7 }],
    ['nothing', 'kind', {}],
  ];
  for (const [name, reason, jwk] of cases)
    t.equal(
      reasonOf(() => readPublicJwk(jwk)),
      reason,
      name,
    );
  t.end();
});

await t.test('demo keys are refused outside demo mode', (t) => {
  const isExampleKey = (fingerprint: string): boolean => fingerprint === spkiSha256(ec.publicKey);
  t.equal(
    reasonOf(() => readNewKey({ isExampleKey }, { ...ecJwk })),
    'example_key',
  );
  t.equal(
    reasonOf(() => readNewKey({ isExampleKey }, { ...edJwk })),
    'accepted',
  );
  t.end();
});

await t.test('names of clients', (t) => {
  t.equal(checkClientId('school-enrolment'), 'school-enrolment');
  for (const name of ['ab', '-abc', 'abc-', 'Abc', 'a_b', 'a'.repeat(65), '', 'abc\n']) {
    t.equal(
      reasonOf(() => checkClientId(name)),
      'pattern',
      JSON.stringify(name),
    );
  }
  t.equal(
    reasonOf(() => checkClientId('certhub-operator')),
    'reserved',
    'nobody can act under the operator’s name',
  );
  t.end();
});

await t.test(
  'property: whatever an accepted assertion says, it is short-lived, for us, from itself, and its use outlives it',
  (t) => {
    const at = 1_800_000_000;
    const clientId = 'school-enrolment' as ClientId;
    const issuer = 'https://hub.example.test';
    const near = fc.integer({ min: at - 200, max: at + 200 });
    const claims = fc.record(
      {
        iss: fc.constantFrom<string>(clientId, clientId, clientId, 'housing'),
        sub: fc.constantFrom<string>(clientId, clientId, clientId, 'housing'),
        aud: fc.oneof(
          { weight: 4, arbitrary: fc.constant<unknown>(issuer) },
          fc.constantFrom<unknown>([issuer], `${issuer}/oauth/token`, null),
        ),
        exp: fc.oneof({ weight: 4, arbitrary: near }, fc.double(), fc.constant(null)),
        nbf: near,
        iat: near,
        jti: fc.oneof(fc.string({ maxLength: 140 }), fc.constant(1)),
      },
      { requiredKeys: ['iss', 'sub', 'aud', 'exp', 'jti'] },
    );
    let accepted = 0;
    fc.assert(
      fc.property(claims, (payload) => {
        const verdict = judgeClaims(payload as never, { clientId, clientIdParameter: undefined, issuer, at });
        if (!verdict.ok) return;
        accepted++;
        const exp = Number(payload.exp);
        t.ok(payload.iss === clientId && payload.sub === clientId && payload.aud === issuer);
        t.ok(exp > at - assertionLimits.skew && exp <= at + assertionLimits.lifetime + assertionLimits.skew);
        t.ok(verdict.use.expiresAt >= exp && verdict.use.jti.length > 0 && verdict.use.jti.length <= 128);
      }),
      { seed: 20261122, numRuns: 5_000 },
    );
    t.ok(accepted > 10, 'the property was not empty');
    t.end();
  },
);
