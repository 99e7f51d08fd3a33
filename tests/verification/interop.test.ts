import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  verify,
  X509Certificate,
} from 'node:crypto';
import { SDJwtInstance, type SdJwtPayload } from '@sd-jwt/core';
import { CompactSign, compactVerify, importX509, jwtVerify } from 'jose';
import t from 'tap';
import { answerTyp } from '../../src/verification/answer-verdict.ts';
import { verifyCompactJws } from '../../src/verification/jws.ts';
import { filterSdJwt, sdHash, verifySdJwt } from '../../src/verification/sd-jwt.ts';
import type { SignatureSuite } from '../../src/verification/suites.ts';
import { verifyCertificate } from '../../src/verification/verdict.ts';
import {
  clearClaims,
  fields,
  issue,
  issueAnswer,
  makeRealm,
  now,
  sealHeader,
  statusToken,
  trustDocument,
  trustOf,
} from './local-issuer.ts';

const realm = await makeRealm();

class Instance extends SDJwtInstance<SdJwtPayload> {
  protected override readonly type = 'dc+sd-jwt';
}
/** @sd-jwt/core with node:crypto behind it, as an outsider would set it up. */
const library = (privateKey: KeyObject): Instance => {
  const publicKey = createPublicKey(privateKey);
  const options = { dsaEncoding: 'ieee-p1363' } as const;
  return new Instance({
    signer: (data) => sign('sha256', Buffer.from(data), { key: privateKey, ...options }).toString('base64url'),
    verifier: (data, signature) =>
      verify('sha256', Buffer.from(data), { key: publicKey, ...options }, Buffer.from(signature, 'base64url')),
    signAlg: 'ES256',
    hasher: (data, algorithm) =>
      createHash(algorithm.replace('-', ''))
        .update(typeof data === 'string' ? data : Buffer.from(data))
        .digest(),
    hashAlg: 'sha-256',
    saltGenerator: (length) => randomBytes(length).toString('hex'),
  });
};

await t.test('invariant 9: what @sd-jwt/core issues, we accept and read the same', async (t) => {
  const sd = library(realm.seal.key);
  const claims = { ...clearClaims(), ...fields } as SdJwtPayload;
  const frame = { _sd: Object.keys(fields), _sd_decoy: 2 };
  const text = await sd.issue(claims, frame as never, { header: sealHeader(realm) });
  const ours = verifySdJwt(text, { resolveKey: () => createPublicKey(realm.seal.key) });
  t.ok(ours.ok);
  if (ours.ok) {
    t.strictSame(ours.value.disclosed, fields);
    t.strictSame(ours.value.clear, clearClaims());
    t.equal(ours.value.withheld, 2);
  }
  t.equal(verifyCertificate({ sdJwt: text, trust: trustOf(trustDocument(realm)), at: now }).verdict, 0);
  const cut = await sd.present(text, { certificateNumber: true });
  t.match(verifyCertificate({ sdJwt: cut, trust: trustOf(trustDocument(realm)), at: now }), {
    verdict: 0,
    certificate: { disclosed: { certificateNumber: 'T-0001' }, withheld: 5 },
  });
  const nested = await sd.issue(
    { iat: 1, address: { city: 'C', street: 'S' }, list: ['a', 'b', 'c'] } as SdJwtPayload,
    { _sd: ['address'], address: { _sd: ['street'] }, list: { _sd: [0, 2] } } as never,
  );
  const read = verifySdJwt(nested, { resolveKey: () => createPublicKey(realm.seal.key) });
  t.match(read, {
    ok: true,
    value: { disclosed: { address: { city: 'C', street: 'S' } }, clear: { list: ['a', 'b', 'c'] } },
  });
});

await t.test('invariants 3 and 9: what our encoders make, @sd-jwt/core and jose accept, whole and cut', async (t) => {
  const issued = issue(realm);
  const sd = library(realm.seal.key);
  const whole = await sd.verify(issued.sdJwt, { currentDate: now });
  const { _sd: _ignored, ...payload } = whole.payload as Record<string, unknown>;
  t.match(payload, { ...clearClaims(), ...fields });
  const cut = filterSdJwt(issued.jwt, [issued.disclosures.get('householdAddress') ?? '']);
  const part = await sd.verify(cut, { currentDate: now });
  t.match(part.payload, { householdAddress: '测试路 1 号' });
  t.notOk(Object.hasOwn(part.payload, 'certificateNumber'));
  await t.rejects(sd.verify(`${cut}${issue(realm).disclosures.get('certificateNumber') ?? ''}~`, { currentDate: now }));

  const key = await importX509(new X509Certificate(realm.seal.der).toString(), 'ES256');
  const verified = await jwtVerify(issued.jwt, key, {
    typ: 'dc+sd-jwt',
    currentDate: new Date(now * 1000),
    algorithms: ['ES256'],
  });
  t.equal(verified.payload['certificateVersion'], '001');
  t.equal(sdHash(cut), createHash('sha256').update(cut).digest('base64url'));
});

await t.test('invariant 9: status lists and answers are JWTs that jose accepts', async (t) => {
  const statusKey = await importX509(new X509Certificate(realm.status.der).toString(), 'ES256');
  const list = await jwtVerify(statusToken(realm), statusKey, {
    typ: 'statuslist+jwt',
    currentDate: new Date(now * 1000),
  });
  t.match(list.payload, { status_list: { bits: 2 } });
  const answer = await jwtVerify(issueAnswer(realm, []), createPublicKey(realm.answer.key), {
    typ: answerTyp,
    audience: 'school-enrolment',
    currentDate: new Date(now * 1000),
  });
  t.ok(answer.payload.jti);
});

await t.test('invariant 9: JWS of jose are accepted in every suite it knows, spoilt ones by neither', async (t) => {
  const pairs: readonly (readonly [SignatureSuite, { privateKey: KeyObject; publicKey: KeyObject }])[] = [
    ['ES256', generateKeyPairSync('ec', { namedCurve: 'prime256v1' })],
    ['EdDSA', generateKeyPairSync('ed25519')],
    ['RS256', generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['PS256', generateKeyPairSync('rsa', { modulusLength: 2048 })],
  ];
  for (const [suite, { privateKey, publicKey }] of pairs) {
    const payload = { iss: 'x', text: '电子证照' };
    const text = await new CompactSign(Buffer.from(JSON.stringify(payload)))
      .setProtectedHeader({ alg: suite, typ: 'x' })
      .sign(privateKey);
    const check = (token: string) => verifyCompactJws(token, { typ: 'x', suites: [suite], key: () => publicKey });
    t.match(check(text), { ok: true, payload }, suite);
    const [header = '', body = '', signature = ''] = text.split('.');
    const bytes = Buffer.from(signature, 'base64url');
    bytes[5] = (bytes[5] ?? 0) ^ 1;
    const spoilt = `${header}.${body}.${bytes.toString('base64url')}`;
    t.strictSame(check(spoilt), { ok: false, reasons: ['jws_signature'] });
    await t.rejects(compactVerify(spoilt, publicKey));
  }
});
