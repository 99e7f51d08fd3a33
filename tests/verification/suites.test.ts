import {
  constants,
  createHash,
  createPrivateKey,
  createPublicKey,
  createSign,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import {
  derToRaw,
  isSignatureSuite,
  rawToDer,
  type SignatureSuite,
  signatureSuites,
  sm2PublicKey,
  sm2SelfTest,
  sm2Z,
  suitesOfKey,
  verifySignature,
  verifySm2Der,
} from '../../src/verification/suites.ts';

const p256 = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const ed25519 = generateKeyPairSync('ed25519');
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const sm2Pem = generateKeyPairSync('ec', {
  namedCurve: 'SM2',
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});
const sm2 = { privateKey: createPrivateKey(sm2Pem.privateKey), publicKey: createPublicKey(sm2Pem.publicKey) };
const data = Buffer.from('电子证照');

function signSm2(key: KeyObject, publicKey: KeyObject, message: Buffer): Buffer {
  const der = createSign('sm3')
    .update(sm2Z(publicKey) ?? '')
    .update(message)
    .sign(key);
  const raw = derToRaw(der);
  if (raw === undefined) throw new Error('not DER');
  return raw;
}
const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
const signed: Readonly<Record<SignatureSuite, { key: KeyObject; signature: Buffer }>> = {
  ES256: { key: p256.publicKey, signature: sign('sha256', data, { key: p256.privateKey, dsaEncoding: 'ieee-p1363' }) },
  EdDSA: { key: ed25519.publicKey, signature: sign(null, data, ed25519.privateKey) },
  RS256: { key: rsa.publicKey, signature: sign('sha256', data, rsa.privateKey) },
  PS256: { key: rsa.publicKey, signature: sign('sha256', data, { key: rsa.privateKey, ...pss }) },
  'SM2-SM3': { key: sm2.publicKey, signature: signSm2(sm2.privateKey, sm2.publicKey, data) },
};

await t.test('each suite accepts its own signature and nothing else', (t) => {
  for (const suite of signatureSuites) {
    const { key, signature } = signed[suite];
    t.ok(verifySignature(suite, key, data, signature), suite);
    for (const other of signatureSuites) {
      if (other !== suite) t.notOk(verifySignature(other, key, data, signature), `${suite} as ${other}`);
    }
    t.notOk(verifySignature(suite, key, Buffer.from('其他'), signature));
    fc.assert(
      fc.property(fc.nat(signature.length * 8 - 1), (bit) => {
        const changed = Buffer.from(signature);
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        return !verifySignature(suite, key, data, changed);
      }),
      { seed: 20261122, numRuns: 40 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => !verifySignature(suite, key, data, bytes)),
      { seed: 20261122, numRuns: 40 },
    );
    t.notOk(verifySignature(suite, key, data, Buffer.concat([signature, Buffer.from([0])])), 'a trailing byte');
  }
  t.ok(isSignatureSuite('ES256'));
  for (const name of ['none', 'HS256', 'ES384', '', 1, undefined]) t.notOk(isSignatureSuite(name));
  t.end();
});

await t.test('keys of the wrong kind, curve or size fit no suite', (t) => {
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const smallExponent = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 });
  const p384 = generateKeyPairSync('ec', { namedCurve: 'secp384r1' });
  const k256 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
  const x25519 = generateKeyPairSync('x25519');
  for (const { publicKey } of [weak, smallExponent, p384, k256, x25519]) t.strictSame(suitesOfKey(publicKey), []);
  t.strictSame(suitesOfKey(p256.privateKey), [], 'a private key');
  t.notOk(verifySignature('RS256', weak.publicKey, data, sign('sha256', data, weak.privateKey)));
  const k256Signature = sign('sha256', data, { key: k256.privateKey, dsaEncoding: 'ieee-p1363' });
  t.notOk(verifySignature('ES256', k256.publicKey, data, k256Signature));
  const shortSalt = sign('sha256', data, {
    key: rsa.privateKey,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: 0,
  });
  t.notOk(verifySignature('PS256', rsa.publicKey, data, shortSalt));
  t.end();
});

await t.test('SM2: the known answers of GB/T 32918.5 and the traps of node', (t) => {
  t.ok(sm2SelfTest());
  const d = Buffer.from(
    '308187020100301306072a8648ce3d020106082a811ccf5501822d046d306b02010104203945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8' +
      'a1440342000409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13',
    'hex',
  );
  const key = createPrivateKey({ key: d, format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(key);
  t.equal(sm2Z(publicKey)?.toString('hex'), 'b2e14c5c79c6df5b85f4fe7ed8db7a262b9da7e07ccb0ea9f4747b8ccda8a4f3');
  const message = Buffer.from('message digest');
  t.ok(verifySignature('SM2-SM3', publicKey, message, signSm2(key, publicKey, message)));
  const withoutZ = derToRaw(createSign('sm3').update(message).sign(key));
  t.notOk(verifySignature('SM2-SM3', publicKey, message, withoutZ ?? Buffer.alloc(64)), 'a signature without Z');
  const generated = generateKeyPairSync('ec', { namedCurve: 'SM2' });
  t.strictSame(suitesOfKey(generated.publicKey), [], 'a generated key would be verified as ECDSA');
  t.equal(sm2Z(p256.publicKey), undefined);
  t.notOk(verifySm2Der(p256.publicKey, data, Buffer.alloc(70)));
  t.throws(() => sm2PublicKey(Buffer.alloc(64)), 'a point off the curve');
  t.equal(createHash('sm3').update('abc').digest('hex').slice(0, 8), '66c7f0f4');
  t.end();
});

await t.test('raw and DER signatures are one to one', (t) => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 64, maxLength: 64 }),
      (raw) => derToRaw(rawToDer(raw) ?? raw)?.equals(raw) === true,
    ),
    { seed: 20261122 },
  );
  t.ok(derToRaw(rawToDer(Buffer.alloc(64)) ?? Buffer.alloc(0))?.equals(Buffer.alloc(64)));
  t.equal(rawToDer(Buffer.alloc(63)), undefined);
  const der = rawToDer(Buffer.alloc(64, 1)) ?? Buffer.alloc(0);
  for (const bad of [
    Buffer.alloc(0),
    der.subarray(1),
    Buffer.concat([der, Buffer.from([0])]),
    Buffer.from('3006020200010201', 'hex'),
    Buffer.from('300702020001020101', 'hex'),
  ]) {
    t.equal(derToRaw(bad), undefined);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      const raw = derToRaw(bytes);
      return raw === undefined || rawToDer(raw)?.equals(bytes) === true;
    }),
    { seed: 20261122 },
  );
  t.end();
});
