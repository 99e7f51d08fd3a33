import { createPublicKey, type KeyObject } from 'node:crypto';
import fc from 'fast-check';
import forge from 'node-forge';
import t from 'tap';
import { generateKey, validFor, x509Pem } from '../../src/signing/key-writing.ts';
import { Pkcs12Error, type Pkcs12Fault, readPkcs12 } from '../../src/signing/pkcs12.ts';
import { writePkcs12 } from '../../src/signing/pkcs12-write.ts';
import { keySigner } from '../../src/signing/signer.ts';
import { issueX509 } from '../../src/signing/x509-issue.ts';
import type { SignatureSuite } from '../../src/verification/suites.ts';
import { get, noOpenssl, openssl, opensslAccepts, put, workFolder } from './openssl.ts';

const from = new Date('2026-01-01T00:00:00Z');
const validity = validFor(from, 10);

/** A root, an intermediate and leaf keys under it. */
async function makeAuthority() {
  const root = keySigner({ privateKey: generateKey('ES256'), suite: 'ES256', kid: 'root' });
  const middle = keySigner({ privateKey: generateKey('ES256'), suite: 'ES256', kid: 'middle' });
  const rootX509 = await issueX509({
    issuer: { selfSigner: root },
    subject: { organization: '示范市', commonName: '根' },
    publicKey: root.publicKey,
    profile: { kind: 'authority', pathLength: 1 },
    validity,
  });
  const middleX509 = await issueX509({
    issuer: { signer: root, x509: rootX509 },
    subject: { organization: '示范市', commonName: '中' },
    publicKey: middle.publicKey,
    profile: { kind: 'authority', pathLength: 0 },
    validity,
  });
  const issue = async (suite: SignatureSuite): Promise<{ privateKey: KeyObject; leaf: Buffer }> => {
    const privateKey = generateKey(suite);
    const { publicKey } = keySigner({ privateKey, suite, kid: 'leaf' });
    const leaf = await issueX509({
      issuer: { signer: middle, x509: middleX509 },
      subject: { organization: '示范市公安局', commonName: '签章', organizationIdentifier: '11999900100000016A' },
      publicKey,
      profile: { kind: 'seal' },
      validity,
    });
    return { privateKey, leaf };
  };
  return { rootX509, middleX509, issue };
}

const spki = (key: KeyObject): Buffer => createPublicKey(key).export({ type: 'spki', format: 'der' });

/** The fault of a refused file; undefined when it was accepted. Anything else but a Pkcs12Error is thrown on. */
function faultOf(input: Parameters<typeof readPkcs12>[0]): Pkcs12Fault | undefined {
  try {
    readPkcs12(input);
    return undefined;
  } catch (error) {
    if (error instanceof Pkcs12Error) return error.code;
    throw error;
  }
}

void t.test('what is written is read, for every kind of key and password', async (t) => {
  const authority = await makeAuthority();
  for (const suite of ['ES256', 'EdDSA', 'RS256', 'SM2-SM3'] as const) {
    const { privateKey, leaf } = await authority.issue(suite);
    for (const password of ['secret', '口令-例', '']) {
      const chain = [leaf, authority.middleX509];
      const der = writePkcs12({ privateKey, chain, password, iterations: 100 });
      const read = readPkcs12({ der, password, at: from });
      t.same(read.leaf, leaf, suite);
      t.same(read.intermediates, [authority.middleX509]);
      t.same(spki(read.privateKey), spki(privateKey));
      t.equal(faultOf({ der, password: `${password}x` }), 'wrong_password');
    }
  }
});

void t.test('invariant 9: openssl accepts our PKCS#12', { skip: noOpenssl }, async (t) => {
  const authority = await makeAuthority();
  const folder = workFolder();
  for (const suite of ['ES256', 'RS256', 'EdDSA'] as const) {
    const { privateKey, leaf } = await authority.issue(suite);
    put(folder, 'ours.p12', writePkcs12({ privateKey, chain: [leaf, authority.middleX509], password: '口令' }));
    t.equal(
      opensslAccepts(folder, 'pkcs12', '-info', '-noout', '-in', 'ours.p12', '-passin', 'pass:口令'),
      true,
      suite,
    );
    t.equal(opensslAccepts(folder, 'pkcs12', '-info', '-noout', '-in', 'ours.p12', '-passin', 'pass:x'), false);
    const text = openssl(folder, 'pkcs12', '-nodes', '-in', 'ours.p12', '-passin', 'pass:口令');
    t.match(text, 'BEGIN PRIVATE KEY');
    t.equal(text.match(/BEGIN CERTIFICATE/g)?.length, 2);
  }
});

void t.test('PKCS#12 files of openssl are read', { skip: noOpenssl }, async (t) => {
  const authority = await makeAuthority();
  const folder = workFolder();
  put(folder, 'chain.pem', x509Pem([authority.rootX509, authority.middleX509]));
  for (const suite of ['ES256', 'RS256', 'EdDSA', 'SM2-SM3'] as const) {
    const { privateKey, leaf } = await authority.issue(suite);
    put(folder, 'key.pem', privateKey.export({ type: 'pkcs8', format: 'pem' }));
    put(folder, 'leaf.pem', x509Pem([leaf]));
    const base = [
      'pkcs12',
      '-export',
      '-inkey',
      'key.pem',
      '-in',
      'leaf.pem',
      '-certfile',
      'chain.pem',
      '-out',
      'o.p12',
    ];
    const forms = { default: [], sha512: ['-macalg', 'sha512'], clear: ['-keypbe', 'NONE', '-certpbe', 'NONE'] };
    const legacy = { '3des': ['-keypbe', 'PBE-SHA1-3DES', '-certpbe', 'PBE-SHA1-3DES', '-macalg', 'sha1'] };
    for (const [name, options] of Object.entries({ ...forms, ...legacy })) {
      for (const password of ['secret', '口令']) {
        openssl(folder, ...base, '-passout', `pass:${password}`, ...options);
        const read = readPkcs12({ der: get(folder, 'o.p12'), password, at: from });
        t.same(read.leaf, leaf, `${suite} ${name} ${password}`);
        t.same(read.intermediates, [authority.middleX509], 'the root is left out');
        t.same(spki(read.privateKey), spki(privateKey));
        t.equal(faultOf({ der: get(folder, 'o.p12'), password: 'other' }), 'wrong_password');
      }
    }
    openssl(folder, ...base, '-passout', 'pass:secret', '-nomac');
    t.equal(faultOf({ der: get(folder, 'o.p12'), password: 'secret' }), 'no_integrity');
  }
});

void t.test('files that do not fit together are refused', async (t) => {
  const authority = await makeAuthority();
  const { privateKey, leaf } = await authority.issue('ES256');
  const stranger = await authority.issue('ES256');
  const password = 'secret';
  const write = (key: KeyObject, chain: Buffer[]): Buffer =>
    writePkcs12({ privateKey: key, chain, password, iterations: 1 });
  const { rootX509, middleX509 } = authority;
  t.equal(faultOf({ der: write(stranger.privateKey, [leaf, middleX509]), password }), 'key_mismatch');
  t.equal(faultOf({ der: write(privateKey, [leaf, rootX509]), password }), 'chain_broken', 'a gap');
  t.equal(
    faultOf({ der: write(privateKey, [leaf, middleX509, stranger.leaf]), password }),
    'chain_broken',
    'a stranger',
  );
  t.equal(faultOf({ der: write(privateKey, [leaf, rootX509, middleX509]), password }), undefined, 'any order is read');
  t.equal(faultOf({ der: write(privateKey, [leaf]), password }), undefined, 'a leaf alone');
  t.equal(faultOf({ der: write(privateKey, Array<Buffer>(11).fill(leaf)), password }), 'chain_broken', 'too many');
  const der = write(privateKey, [leaf, middleX509]);
  t.equal(faultOf({ der, password, at: new Date('2025-12-31T23:59:59Z') }), 'outside_validity');
  t.equal(faultOf({ der, password, at: new Date('2036-01-01T00:00:01Z') }), 'outside_validity');
  t.equal(faultOf({ der, password, at: from }), undefined);
});

void t.test('damaged and hostile files are refused without work', async (t) => {
  const authority = await makeAuthority();
  const { privateKey, leaf } = await authority.issue('ES256');
  const password = 'secret';
  const der = writePkcs12({ privateKey, chain: [leaf], password, iterations: 1 });
  t.equal(faultOf({ der: Buffer.alloc(256 * 1024 + 1), password }), 'too_large');
  t.equal(faultOf({ der: Buffer.concat([der, Buffer.from([0])]), password }), 'malformed', 'a trailing byte');
  t.equal(faultOf({ der: Buffer.alloc(0), password }), 'malformed');
  const deep = Buffer.concat(Array.from({ length: 20_000 }, () => Buffer.from([0x30, 0x80])));
  t.equal(faultOf({ der: deep, password }), 'malformed', 'deep nesting');
  const { asn1 } = forge;
  const patient = asn1.fromDer(der.toString('latin1'));
  const [, , mac] = patient.value as forge.asn1.Asn1[];
  const rounds = (mac?.value as forge.asn1.Asn1[] | undefined)?.[2];
  if (rounds !== undefined) rounds.value = asn1.integerToDer(2_000_000_000).getBytes();
  const busy = Buffer.from(asn1.toDer(patient).getBytes(), 'latin1');
  t.equal(faultOf({ der: busy, password }), 'too_many_iterations');

  fc.assert(
    fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (at, difference) => {
      const changed = Buffer.from(der);
      changed[at] = (changed[at] ?? 0) ^ difference;
      return faultOf({ der: changed, password }) !== undefined;
    }),
    { seed: 20261122, numRuns: 300 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => faultOf({ der: bytes, password }) !== undefined),
    { seed: 20261122, numRuns: 300 },
  );
  t.notMatch(new Pkcs12Error('wrong_password').message, password);
});
