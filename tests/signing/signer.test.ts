import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import * as jose from 'jose';
import t from 'tap';
import { generateKey, lifetimeYears, validFor, x509Pem } from '../../src/signing/key-writing.ts';
import { encodedHeader, issueSdJwt, signCompactJws } from '../../src/signing/sd-jwt-issue.ts';
import { type KeySigner, keySigner } from '../../src/signing/signer.ts';
import { signStatusList } from '../../src/signing/status-list-sign.ts';
import { issueX509, type X509Profile } from '../../src/signing/x509-issue.ts';
import type { JsonObject } from '../../src/verification/encoding.ts';
import { verifyCompactJws } from '../../src/verification/jws.ts';
import { filterSdJwt, verifySdJwt } from '../../src/verification/sd-jwt.ts';
import { newStatusBytes, readStatus, readStatusListClaims, setStatus } from '../../src/verification/status-list.ts';
import {
  derToRaw,
  rawToDer,
  type SignatureSuite,
  signatureSuites,
  verifySignature,
} from '../../src/verification/suites.ts';
import { extendedKeyUsages, validateX509Path } from '../../src/verification/x509-path.ts';
import { get, noOpenssl, openssl, opensslAccepts, put, workFolder } from './openssl.ts';

const from = new Date('2026-01-01T00:00:00Z');
const joseSuites = ['ES256', 'EdDSA', 'RS256', 'PS256'] as const;

/** A chain root → intermediate → leaf with the given suites, and signers for all of it. */
async function makeChain(suite: SignatureSuite, profile: X509Profile, authoritySuite: SignatureSuite = 'ES256') {
  const root = keySigner({ privateKey: generateKey(authoritySuite), suite: authoritySuite, kid: 'root' });
  const middle = keySigner({ privateKey: generateKey(authoritySuite), suite: authoritySuite, kid: 'middle' });
  const privateKey = generateKey(suite);
  const rootX509 = await issueX509({
    issuer: { selfSigner: root },
    subject: { organization: '示范市', commonName: '示范市电子证照根CA' },
    publicKey: root.publicKey,
    profile: { kind: 'authority', pathLength: 1 },
    validity: validFor(from, lifetimeYears.root),
  });
  const middleX509 = await issueX509({
    issuer: { signer: root, x509: rootX509 },
    subject: { organization: '示范市', commonName: '示范市电子证照签发CA' },
    publicKey: middle.publicKey,
    profile: { kind: 'authority', pathLength: 0 },
    validity: validFor(from, lifetimeYears.intermediate),
  });
  const leaf = await issueX509({
    issuer: { signer: middle, x509: middleX509 },
    subject: {
      organization: '示范市公安局',
      commonName: '示范市公安局电子签章',
      organizationIdentifier: '11999900100000016A',
    },
    publicKey: keySigner({ privateKey, suite, kid: 'probe' }).publicKey,
    profile,
    validity: validFor(from, lifetimeYears.leaf),
  });
  const x5c = [leaf, middleX509].map((der) => der.toString('base64'));
  return { rootX509, middleX509, leaf, signer: keySigner({ privateKey, suite, kid: 'leaf', x5c }) };
}

const signerOf = (suite: SignatureSuite): KeySigner =>
  keySigner({ privateKey: generateKey(suite), suite, kid: `${suite}-1` });

void t.test('every suite signs what verification accepts, and nothing else', async (t) => {
  for (const suite of signatureSuites) {
    await t.test(suite, async (t) => {
      const signer = signerOf(suite);
      const data = randomBytes(200);
      const signature = signer.sign(data);
      t.equal(verifySignature(suite, signer.publicKey, data, signature), true);
      const changed = Buffer.from(data);
      changed[17] = (changed[17] ?? 0) ^ 1;
      t.equal(verifySignature(suite, signer.publicKey, changed, signature), false, 'changed data');
      t.equal(verifySignature(suite, signerOf(suite).publicKey, data, signature), false, 'another key');
      if (suite === 'ES256' || suite === 'SM2-SM3') t.equal(signature.length, 64, 'raw r‖s');
    });
  }
});

void t.test('a key is refused for a suite that is not its own', async (t) => {
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
  const p384 = generateKeyPairSync('ec', { namedCurve: 'secp384r1' }).privateKey;
  const cases: [KeyObject, SignatureSuite][] = [
    [generateKey('ES256'), 'EdDSA'],
    [generateKey('ES256'), 'SM2-SM3'],
    [generateKey('SM2-SM3'), 'ES256'],
    [generateKey('EdDSA'), 'RS256'],
    [weak, 'RS256'],
    [p384, 'ES256'],
  ];
  for (const [privateKey, suite] of cases) {
    t.throws(() => keySigner({ privateKey, suite, kid: 'k' }), { message: `key k cannot sign with ${suite}` });
  }
  t.throws(
    () => keySigner({ privateKey: createPublicKey(generateKey('ES256')), suite: 'ES256', kid: 'k' }),
    RangeError,
  );
});

void t.test('invariant 9: compact JWS are accepted by jose', async (t) => {
  for (const suite of joseSuites) {
    const signer = signerOf(suite);
    const jws = await signCompactJws({ signer, typ: 'certhub-answer+jwt', payload: { iss: 'hub', aud: 'client' } });
    const { payload, protectedHeader } = await jose.jwtVerify(jws, signer.publicKey, {
      typ: 'certhub-answer+jwt',
      audience: 'client',
      algorithms: [suite],
    });
    t.match(payload, { iss: 'hub', aud: 'client' });
    t.strictSame(protectedHeader, { alg: suite, typ: 'certhub-answer+jwt', kid: `${suite}-1` });
    const own = verifyCompactJws(jws, { typ: 'certhub-answer+jwt', suites: [suite], key: () => signer.publicKey });
    t.equal(own.ok, true, suite);
  }
});

void t.test('the header is encoded once per signer and type', async (t) => {
  const { signer } = await makeChain('ES256', { kind: 'seal' });
  t.equal(encodedHeader(signer, 'a+jwt', true), encodedHeader(signer, 'a+jwt', true));
  t.not(encodedHeader(signer, 'a+jwt', true), encodedHeader(signer, 'a+jwt', false));
  t.not(encodedHeader(signer, 'a+jwt', true), encodedHeader(signer, 'b+jwt', true));
  t.throws(() => encodedHeader(signerOf('ES256'), 'a+jwt', true), /has no x509 chain/);
});

const clear = {
  vct: 'urn:certhub:certificate-type:11999900100000016A001:1',
  iss: 'urn:certhub:department:11999900100000016A',
  iat: 1_767_225_600,
  exp: 1_998_000_000,
  status: { status_list: { idx: 7, uri: 'https://hub.example/status/1' } },
};
const fields = [
  ['certificateNumber', 'B-2026-0001'],
  ['certificateHolders', [{ type: '111', number: '990000199001010015', name: '示例甲' }]],
  ['address', '示范市一号路'],
] as const;

void t.test('invariants 3 and 9: an SD-JWT survives the cut and is accepted by @sd-jwt/core and jose', async (t) => {
  const { SDJwtInstance } = await import('@sd-jwt/core');
  for (const suite of joseSuites) {
    const { signer } = await makeChain(suite, { kind: 'seal' });
    const issued = await issueSdJwt({ signer, payload: clear, fields, decoys: 2 });
    const jwt = `${issued.header}.${issued.payload}.${issued.signature}`;
    const disclosure = issued.disclosures.get('address') ?? '';
    const presented = filterSdJwt(jwt, [disclosure]);

    const library = new SDJwtInstance({
      verifier: (data: string, signature: string) =>
        verifySignature(suite, signer.publicKey, Buffer.from(data), Buffer.from(signature, 'base64url')),
      hasher: async (data: string | ArrayBuffer) =>
        new Uint8Array(await crypto.subtle.digest('SHA-256', typeof data === 'string' ? Buffer.from(data) : data)),
      hashAlg: 'sha-256',
    });
    const { payload } = await library.verify(presented);
    t.strictSame(payload, { ...clear, address: '示范市一号路' }, `${suite}: @sd-jwt/core`);
    const { protectedHeader } = await jose.compactVerify(jwt, signer.publicKey);
    t.match(protectedHeader, { alg: suite, typ: 'dc+sd-jwt', x5c: signer.x5c });
    const own = verifySdJwt(presented, { resolveKey: () => signer.publicKey });
    t.match(own, { ok: true, value: { disclosed: { address: '示范市一号路' }, withheld: 4 } });
  }
});

void t.test('SM2 seals issue SD-JWTs that our verifier accepts', async (t) => {
  const { signer } = await makeChain('SM2-SM3', { kind: 'seal' }, 'SM2-SM3');
  const { header, payload, signature, disclosures } = await issueSdJwt({ signer, payload: clear, fields, decoys: 0 });
  const text = filterSdJwt(`${header}.${payload}.${signature}`, [...disclosures.values()]);
  t.match(verifySdJwt(text, { resolveKey: () => signer.publicKey }), { ok: true, value: { withheld: 0 } });
});

void t.test('digests tell neither order nor number of fields', async (t) => {
  const { signer } = await makeChain('ES256', { kind: 'seal' });
  const salts: Uint8Array[] = [];
  const draw = (size: number): Uint8Array => {
    const bytes = randomBytes(size);
    salts.push(bytes);
    return bytes;
  };
  const issued = await issueSdJwt({ signer, payload: clear, fields, decoys: 5, randomBytes: draw });
  const payload = JSON.parse(Buffer.from(issued.payload, 'base64url').toString()) as { _sd: string[]; _sd_alg: string };
  t.equal(payload._sd.length, 8);
  t.equal(payload._sd_alg, 'sha-256');
  t.strictSame(payload._sd, payload._sd.toSorted());
  t.equal(salts.filter(({ length }) => length === 16).length, 3, 'a 128-bit salt per field');
  t.equal(new Set(payload._sd.map(({ length }) => length)).size, 1, 'decoys look like digests');
  for (const [name, text] of issued.disclosures) {
    const parsed = JSON.parse(Buffer.from(text, 'base64url').toString()) as unknown[];
    t.equal(parsed.length, 3);
    t.equal(parsed[1], name);
  }
});

void t.test('fields that must stay clear, repeat, or carry digest names are refused', async (t) => {
  const { signer } = await makeChain('ES256', { kind: 'seal' });
  const issue = (payload: Record<string, unknown>, given: [string, unknown][], decoys = 0) =>
    issueSdJwt({ signer, payload, fields: given, decoys });
  for (const name of ['iss', 'exp', 'nbf', 'vct', 'status', 'cnf', '_sd', '...']) {
    await t.rejects(issue({}, [[name, 1]]), /never selectively disclosable/, name);
  }
  await t.rejects(issue({ a: 1 }, [['a', 1]]), /given twice/);
  await t.rejects(
    issue({}, [
      ['a', 1],
      ['a', 2],
    ]),
    /given twice/,
  );
  await t.rejects(issue({}, [['a', undefined]]), /no value/);
  await t.rejects(issue({}, [['a', [{ b: { _sd: [] } }]]]), /_sd or/);
  await t.rejects(issue({ _sd: [] }, []), /ours to write/);
  await t.rejects(issue({}, [], -1), /whole number/);
  const bare = await issue({ vct: 'x' }, []);
  t.equal(Buffer.from(bare.payload, 'base64url').toString(), '{"vct":"x"}', 'no _sd without digests');
});

void t.test('status lists are accepted by jose and read back', async (t) => {
  const { signer, leaf, middleX509, rootX509 } = await makeChain('ES256', {
    kind: 'hub',
    extendedKeyUsage: extendedKeyUsages.status,
  });
  const bytes = newStatusBytes();
  setStatus(bytes, 4711, 2);
  const uri = 'https://hub.example/status/1';
  const token = await signStatusList({ signer, uri, iat: 1_767_225_600, exp: 1_767_312_000, ttl: 300, bytes });
  const { payload, protectedHeader } = await jose.jwtVerify(token, signer.publicKey, {
    typ: 'statuslist+jwt',
    subject: uri,
    currentDate: new Date(1_767_225_700_000),
  });
  t.equal(protectedHeader.x5c?.length, 2);
  const claims = readStatusListClaims(JSON.parse(JSON.stringify(payload)) as JsonObject, { uri, now: 1_767_225_700 });
  t.equal(claims.ok && readStatus(claims.value.list, 4711), 2);
  t.equal(claims.ok && readStatus(claims.value.list, 4712), 0);
  const at = 1_767_225_600;
  const path = { chain: [leaf, middleX509], roots: [rootX509], at };
  t.match(validateX509Path({ ...path, use: 'status' }), { ok: true });
  t.match(validateX509Path({ ...path, use: 'seal' }), { ok: false }, 'a hub key never passes for a seal');
});

void t.test('invariant 9: openssl accepts our x509', { skip: noOpenssl }, async (t) => {
  for (const authority of ['ES256', 'EdDSA', 'RS256'] as const) {
    const { rootX509, middleX509, leaf } = await makeChain('ES256', { kind: 'seal' }, authority);
    const folder = workFolder();
    put(folder, 'root.pem', x509Pem([rootX509]));
    put(folder, 'middle.pem', x509Pem([middleX509]));
    put(folder, 'leaf.pem', x509Pem([leaf]));
    const verify = ['verify', '-x509_strict', '-check_ss_sig', '-CAfile', 'root.pem'];
    t.match(openssl(folder, ...verify, '-untrusted', 'middle.pem', 'leaf.pem'), 'leaf.pem: OK', authority);
    t.equal(opensslAccepts(folder, ...verify, 'leaf.pem'), false, 'not without the intermediate');
    t.match(
      validateX509Path({
        chain: [leaf, middleX509],
        roots: [rootX509],
        at: from.getTime() / 1000,
        use: 'seal',
      }),
      { ok: true },
    );
    const text = openssl(folder, 'x509', '-in', 'leaf.pem', '-noout', '-text', '-nameopt', 'utf8,sep_comma_plus');
    t.match(text, 'organizationIdentifier=11999900100000016A');
    t.match(text, 'O=示范市公安局');
    t.match(text, /X509v3 Basic Constraints: critical\s+CA:FALSE/);
    t.match(text, /X509v3 Key Usage: critical\s+Digital Signature, Non Repudiation\n/);
  }
});

void t.test('an authority must sign with the key of its x509', async (t) => {
  const { rootX509 } = await makeChain('ES256', { kind: 'seal' });
  const other = signerOf('ES256');
  await t.rejects(
    issueX509({
      issuer: { signer: other, x509: rootX509 },
      subject: { organization: 'a', commonName: 'b' },
      publicKey: other.publicKey,
      profile: { kind: 'seal' },
      validity: validFor(from, 1),
    }),
    /not the key of the issuing x509/,
  );
});

void t.test('invariant 9: openssl accepts SM2 signatures and x509', { skip: noOpenssl }, async (t) => {
  const folder = workFolder();
  const id = 'distid:1234567812345678';
  const signer = signerOf('SM2-SM3');
  const data = randomBytes(99);
  put(folder, 'data', data);
  put(folder, 'signature', rawToDer(signer.sign(data)) ?? '');
  put(folder, 'public.pem', signer.publicKey.export({ type: 'spki', format: 'pem' }));
  const check = ['pkeyutl', '-verify', '-rawin', '-digest', 'sm3', '-pubin', '-inkey', 'public.pem', '-in', 'data'];
  t.equal(opensslAccepts(folder, ...check, '-sigfile', 'signature', '-pkeyopt', id), true);
  t.equal(opensslAccepts(folder, ...check, '-sigfile', 'signature'), false, 'the user ID is part of it');

  openssl(folder, 'ecparam', '-name', 'SM2', '-genkey', '-noout', '-out', 'theirs.pem');
  const sign = ['pkeyutl', '-sign', '-rawin', '-digest', 'sm3', '-inkey', 'theirs.pem', '-in', 'data'];
  openssl(folder, ...sign, '-out', 'theirs.signature', '-pkeyopt', id);
  const theirs = keySigner({ privateKey: createPrivateKey(get(folder, 'theirs.pem')), suite: 'SM2-SM3', kid: 'o' });
  const raw = derToRaw(get(folder, 'theirs.signature')) ?? Buffer.alloc(0);
  t.equal(verifySignature('SM2-SM3', theirs.publicKey, data, raw), true, 'and we accept its signature');

  const { rootX509, middleX509, leaf } = await makeChain('SM2-SM3', { kind: 'seal' }, 'SM2-SM3');
  put(folder, 'root.pem', x509Pem([rootX509]));
  put(folder, 'middle.pem', x509Pem([middleX509]));
  put(folder, 'leaf.pem', x509Pem([leaf]));
  // openssl gives the user ID only to the x509 named last, so the chain is checked link by link
  const verify = ['verify', '-vfyopt', id, '-partial_chain', '-trusted'];
  t.match(openssl(folder, ...verify, 'middle.pem', 'leaf.pem'), 'leaf.pem: OK');
  t.match(openssl(folder, ...verify, 'root.pem', 'middle.pem'), 'middle.pem: OK');
});
