import 'reflect-metadata';
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  X509CrlGenerator,
  X509CrlReason,
} from '@peculiar/x509';
import fc from 'fast-check';
import { Certificate, CertificateChainValidationEngine } from 'pkijs';
import t from 'tap';
import { attempt, oidOf, parseDer, timeOf } from '../../src/verification/der.ts';
import {
  extendedKeyUsages,
  validateX509Path,
  type X509Fault,
  type X509PathInput,
} from '../../src/verification/x509-path.ts';
import { readX509, subjectOids } from '../../src/verification/x509-read.ts';
import { readCrl } from '../../src/verification/x509-revocation.ts';
import { authority, day, makeRealm, makeX509, now, type Party, sealProfile } from './local-issuer.ts';

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const withoutOpenssl = hasOpenssl ? false : 'the openssl command is not installed';

const realm = await makeRealm();
const { root, intermediate, seal } = realm;
const nameConstraints = Buffer.from('3011a00f300d820b6578616d706c652e636f6d', 'hex');
const extension = (oid: string, critical: boolean, der: Uint8Array): Extension =>
  new Extension(oid, critical, new Uint8Array(der));
const leafUnder = (issuer: Party, extensions: readonly Extension[] = sealProfile(), dates: object = {}) =>
  makeX509({ subject: 'CN=leaf', issuer, extensions, ...dates });
const authorityUnder = (issuer: Party, extensions: readonly Extension[] = authority(), change: object = {}) =>
  makeX509({ subject: 'CN=sub', issuer, extensions, ...change });

type Case = {
  readonly what: string;
  readonly chain: readonly Party[];
  readonly fault?: X509Fault;
  readonly roots?: readonly Party[];
  readonly at?: number;
  /** Ours is narrower than RFC 5280 here, so that the oracles may accept. */
  readonly narrower?: boolean;
  /** An oracle that is known to be wrong here, and why. */
  readonly exceptOracle?: readonly ['openssl' | 'pkijs' | 'both', string];
};

const impostor = await makeX509({ subject: root.x509.subject, extensions: authority() });
const expiredSub = await authorityUnder(root, authority(0), { notAfter: now - day });
const noAuthority = await authorityUnder(root, sealProfile());
const noCertSign = await authorityUnder(root, [
  new BasicConstraintsExtension(true, 0, true),
  new KeyUsagesExtension(KeyUsageFlags.cRLSign, true),
]);
const noKeyUsage = await authorityUnder(root, [new BasicConstraintsExtension(true, 0, true)]);
const constrained = await authorityUnder(root, [...authority(0), extension('2.5.29.30', true, nameConstraints)]);
const looselyConstrained = await authorityUnder(root, [
  ...authority(0),
  extension('2.5.29.30', false, nameConstraints),
]);
const first = await authorityUnder(root, authority(1), { subject: 'CN=first' });
const second = await authorityUnder(first, authority(0), { subject: 'CN=second' });
const third = await authorityUnder(second, authority(0), { subject: 'CN=third' });
const selfSigned = await makeX509({ subject: 'CN=self', extensions: sealProfile() });
const usage = (flags: number) => [new KeyUsagesExtension(flags, true)];

const cases: readonly Case[] = [
  { what: 'a good path', chain: [seal, intermediate] },
  { what: 'directly under the root', chain: [await leafUnder(root)] },
  {
    what: 'the root among others of the same name',
    chain: [seal, intermediate],
    roots: [impostor, root],
    exceptOracle: ['both', 'takes the first root of that name'],
  },
  { what: 'three authorities within the limit', chain: [await leafUnder(second), second, first] },
  {
    what: 'path length exceeded',
    chain: [await leafUnder(third), third, second, first],
    fault: 'x509_path_length',
    exceptOracle: ['pkijs', 'passes it'],
  },
  {
    what: 'before the leaf is valid',
    chain: [await leafUnder(intermediate, sealProfile(), { notBefore: now + 1 }), intermediate],
    fault: 'x509_not_yet_valid',
  },
  {
    what: 'after the leaf expired',
    chain: [await leafUnder(intermediate, sealProfile(), { notAfter: now - 1 }), intermediate],
    fault: 'x509_expired',
  },
  {
    what: 'its last second',
    chain: [await leafUnder(intermediate, sealProfile(), { notAfter: now }), intermediate],
    exceptOracle: ['openssl', 'notAfter is inclusive in RFC 5280, 4.1.2.5, exclusive there'],
  },
  { what: 'an expired authority', chain: [await leafUnder(expiredSub), expiredSub], fault: 'x509_expired' },
  { what: 'an expired root', chain: [seal, intermediate], at: now + 1001 * day, fault: 'x509_expired' },
  {
    what: 'an authority that is none',
    chain: [await leafUnder(noAuthority), noAuthority],
    fault: 'x509_not_authority',
  },
  {
    what: 'an authority without keyCertSign',
    chain: [await leafUnder(noCertSign), noCertSign],
    fault: 'x509_key_usage',
  },
  {
    what: 'an authority without key usage',
    chain: [await leafUnder(noKeyUsage), noKeyUsage],
    fault: 'x509_key_usage',
    narrower: true,
  },
  {
    what: 'name constraints',
    chain: [await leafUnder(constrained), constrained],
    fault: 'x509_name_constraints',
    narrower: true,
  },
  {
    what: 'name constraints, not critical',
    chain: [await leafUnder(looselyConstrained), looselyConstrained],
    fault: 'x509_name_constraints',
    narrower: true,
  },
  {
    what: 'an unknown critical extension',
    chain: [
      await leafUnder(intermediate, [...sealProfile(), extension('1.2.3.4', true, Buffer.from('0500', 'hex'))]),
      intermediate,
    ],
    fault: 'x509_critical_extension',
    exceptOracle: ['pkijs', 'passes it in the leaf'],
  },
  {
    what: 'an unknown extension',
    chain: [
      await leafUnder(intermediate, [...sealProfile(), extension('1.2.3.4', false, Buffer.from('0500', 'hex'))]),
      intermediate,
    ],
  },
  { what: 'an unknown root', chain: [seal, intermediate], roots: [selfSigned], fault: 'x509_root_unknown' },
  { what: 'no roots', chain: [seal, intermediate], roots: [], fault: 'x509_root_unknown' },
  { what: 'a root of the same name', chain: [seal, intermediate], roots: [impostor], fault: 'x509_signature' },
  { what: 'the authority left out', chain: [seal], fault: 'x509_root_unknown' },
  { what: 'an unrelated authority', chain: [seal, first], fault: 'x509_issuer_mismatch' },
  {
    what: 'a leaf signed by another key of that name',
    chain: [
      await makeX509({
        subject: 'CN=leaf',
        issuer: impostor,
        issuerName: intermediate.x509.subject,
        extensions: sealProfile(),
      }),
      intermediate,
    ],
    fault: 'x509_signature',
  },
  { what: 'the wrong order', chain: [intermediate, seal], fault: 'x509_issuer_mismatch', narrower: true },
  { what: 'the root in the chain', chain: [seal, intermediate, root], fault: 'x509_root_in_chain', narrower: true },
  { what: 'a self-signed leaf', chain: [selfSigned], fault: 'x509_leaf_self_signed' },
  {
    what: 'a pinned self-signed leaf',
    chain: [selfSigned],
    roots: [selfSigned],
    fault: 'x509_leaf_self_signed',
    narrower: true,
  },
  { what: 'an authority as leaf', chain: [intermediate], fault: 'x509_leaf_is_authority', narrower: true },
  {
    what: 'a leaf that may not sign',
    chain: [await leafUnder(intermediate, usage(KeyUsageFlags.keyEncipherment)), intermediate],
    fault: 'x509_key_usage',
    narrower: true,
  },
  {
    what: 'a leaf without key usage',
    chain: [await leafUnder(intermediate, [extension('1.2.3.4', false, Buffer.from('0500', 'hex'))]), intermediate],
    fault: 'x509_key_usage',
    narrower: true,
  },
  {
    what: 'nonRepudiation alone',
    chain: [await leafUnder(intermediate, usage(KeyUsageFlags.nonRepudiation)), intermediate],
  },
  {
    what: 'a TLS server as seal',
    chain: [
      await leafUnder(intermediate, [...sealProfile(), new ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1'])]),
      intermediate,
    ],
    fault: 'x509_extended_key_usage',
    narrower: true,
  },
  {
    what: 'document signing',
    chain: [
      await leafUnder(intermediate, [...sealProfile(), new ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.36'])]),
      intermediate,
    ],
  },
  {
    what: 'a hub key that is also for e-mail',
    chain: [
      await leafUnder(intermediate, [
        ...sealProfile(),
        new ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.4', extendedKeyUsages.answer]),
      ]),
      intermediate,
    ],
    fault: 'x509_extended_key_usage',
    narrower: true,
  },
];
const inputOf = (each: Case): X509PathInput => ({
  chain: each.chain.map(({ der }) => der),
  roots: (each.roots ?? [root]).map(({ der }) => der),
  at: each.at ?? now,
  use: 'seal',
});

await t.test('each rule of the path has a case that breaks it alone', (t) => {
  for (const each of cases) {
    const result = validateX509Path(inputOf(each));
    t.equal(result.ok, each.fault === undefined, `${each.what}: ${result.ok ? 'accepted' : result.reasons.join()}`);
    if (!result.ok && each.fault !== undefined)
      t.ok(result.reasons.includes(each.fault), `${each.what}: ${result.reasons.join()}`);
  }
  t.strictSame(validateX509Path({ chain: [], roots: [], at: now, use: 'seal' }), {
    ok: false,
    reasons: ['x509_chain_length'],
  });
  t.strictSame(
    validateX509Path({ chain: Array.from({ length: 5 }, () => seal.der), roots: [], at: now, use: 'seal' }),
    { ok: false, reasons: ['x509_chain_length'] },
  );
  t.strictSame(validateX509Path({ chain: [Buffer.alloc(20_000)], roots: [], at: now, use: 'seal' }), {
    ok: false,
    reasons: ['x509_malformed'],
  });
  t.end();
});

await t.test('a hub key is accepted for its own use only', (t) => {
  const check = (leaf: Party, use: X509PathInput['use']) =>
    validateX509Path({ chain: [leaf.der, intermediate.der], roots: [root.der], at: now, use });
  t.ok(check(realm.status, 'status').ok);
  t.ok(check(realm.answer, 'answer').ok);
  for (const [leaf, use] of [
    [realm.status, 'answer'],
    [realm.answer, 'status'],
    [realm.status, 'seal'],
    [seal, 'status'],
    [seal, 'answer'],
  ] as const) {
    t.strictSame(check(leaf, use), { ok: false, reasons: ['x509_extended_key_usage'] });
  }
  t.end();
});

await t.test('openssl verify agrees, except where our rules are narrower', { skip: withoutOpenssl }, (t) => {
  const directory = t.testdir();
  for (const [index, each] of cases.entries()) {
    const file = (name: string, parties: readonly Party[]): string => {
      const path = join(directory, `${index}-${name}.pem`);
      writeFileSync(path, parties.map(({ x509 }) => `${x509.toString('pem')}\n`).join(''));
      return path;
    };
    const [leaf, ...others] = each.chain;
    const roots = each.roots ?? [root];
    if (leaf === undefined || roots.length === 0) continue;
    const untrusted = others.length === 0 ? [] : ['-untrusted', file('chain', others)];
    const options = ['-attime', String(each.at ?? now), '-no-CAfile', '-no-CApath', '-CAfile', file('roots', roots)];
    const accepted = spawnSync('openssl', ['verify', ...options, ...untrusted, file('leaf', [leaf])]).status === 0;
    const ours = validateX509Path(inputOf(each)).ok;
    if (each.narrower === true) t.notOk(ours, each.what);
    else if (each.exceptOracle?.[0] !== 'openssl' && each.exceptOracle?.[0] !== 'both')
      t.equal(accepted, ours, each.what);
  }
  t.end();
});

await t.test('pkijs agrees, except where our rules are narrower', async (t) => {
  for (const each of cases) {
    if (each.narrower === true || (each.roots ?? [root]).length === 0) continue;
    const parse = ({ der }: Party): Certificate => Certificate.fromBER(Uint8Array.from(der).buffer);
    const engine = new CertificateChainValidationEngine({
      trustedCerts: (each.roots ?? [root]).map(parse),
      // pkijs wants the end certificate last
      certs: [...each.chain].reverse().map(parse),
      checkDate: new Date((each.at ?? now) * 1000),
    });
    const { result } = await engine.verify();
    const ours = validateX509Path(inputOf(each)).ok;
    if (each.exceptOracle?.[0] !== 'pkijs' && each.exceptOracle?.[0] !== 'both') t.equal(result, ours, each.what);
  }
});

async function crl(
  issuer: Party,
  entries: readonly { serial: string; at: number; reason?: X509CrlReason }[],
  dates: { from?: number; until?: number } = {},
) {
  const list = await X509CrlGenerator.create({
    issuer: issuer.x509.subject,
    thisUpdate: new Date((dates.from ?? now - day) * 1000),
    nextUpdate: new Date((dates.until ?? now + day) * 1000),
    entries: entries.map((entry) => ({
      serialNumber: entry.serial,
      revocationDate: new Date(entry.at * 1000),
      ...(entry.reason === undefined ? {} : { reason: entry.reason }),
    })),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    signingKey: issuer.pair.privateKey,
  });
  return Buffer.from(list.rawData);
}

await t.test('revocation lists: fresh, signed by the issuer, and complete, or refused', async (t) => {
  const serial = seal.x509.serialNumber;
  const ofRoot = await crl(root, []);
  const empty = await crl(intermediate, []);
  const check = (crls: readonly Uint8Array[], change: object = {}) => {
    const result = validateX509Path({
      chain: [seal.der, intermediate.der],
      roots: [root.der],
      at: now - 50 * day,
      crlNow: now,
      use: 'seal',
      crls,
      ...change,
    });
    return result.ok ? [] : result.reasons;
  };
  t.strictSame(check([ofRoot, empty]), []);
  t.strictSame(check([ofRoot]), ['crl_missing']);
  t.strictSame(check([ofRoot, await crl(intermediate, [{ serial, at: now - 60 * day }])]), ['x509_revoked']);
  t.strictSame(
    check([ofRoot, await crl(intermediate, [{ serial, at: now - 40 * day }])]),
    [],
    'revoked after the signature',
  );
  t.strictSame(
    check([ofRoot, await crl(intermediate, [{ serial, at: now - 40 * day, reason: X509CrlReason.keyCompromise }])]),
    ['x509_revoked'],
    'a stolen key can write any time',
  );
  t.strictSame(check([ofRoot, await crl(intermediate, [{ serial: '01', at: now - 60 * day }])]), []);
  t.strictSame(check([await crl(root, [{ serial: intermediate.x509.serialNumber, at: now - 60 * day }]), empty]), [
    'x509_revoked',
  ]);
  t.strictSame(check([ofRoot, await crl(intermediate, [], { until: now })]), ['crl_stale']);
  t.strictSame(check([ofRoot, await crl(intermediate, [], { from: now + 1 })]), ['crl_stale']);
  const forged = await crl({ ...impostor, x509: intermediate.x509 }, []);
  t.strictSame(check([ofRoot, forged]), ['crl_signature']);
  t.strictSame(check([ofRoot, empty, Buffer.from('x')]), ['crl_malformed']);
  t.equal(readCrl(seal.der), undefined);
  fc.assert(
    fc.property(fc.nat(empty.length - 1), fc.nat(255), (index, value) => {
      const changed = Buffer.from(empty);
      if (changed[index] === value) return true;
      changed[index] = value;
      return check([ofRoot, changed]).length > 0;
    }),
    { seed: 20261122, numRuns: 300 },
  );
});

await t.test(
  'SM2 certificates made by openssl verify, and every changed byte is noticed',
  { skip: withoutOpenssl },
  (t) => {
    const directory = t.testdir();
    const run = (...parts: string[]): void => void execFileSync('openssl', parts, { cwd: directory, stdio: 'pipe' });
    const distid = 'distid:1234567812345678';
    writeFileSync(
      join(directory, 'ext.cnf'),
      '[ca]\nbasicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\n[leaf]\nkeyUsage=critical,digitalSignature,nonRepudiation\n[req]\ndistinguished_name=dn\n[dn]\n',
    );
    for (const name of ['root', 'leaf']) run('ecparam', '-name', 'SM2', '-genkey', '-noout', '-out', `${name}.key`);
    run(
      'req',
      '-new',
      '-x509',
      '-config',
      'ext.cnf',
      '-extensions',
      'ca',
      '-key',
      'root.key',
      '-sm3',
      '-sigopt',
      distid,
      '-subj',
      '/CN=SM2 root',
      '-days',
      '30',
      '-outform',
      'DER',
      '-out',
      'root.der',
    );
    run('x509', '-inform', 'DER', '-in', 'root.der', '-out', 'root.pem');
    run(
      'req',
      '-new',
      '-config',
      'ext.cnf',
      '-key',
      'leaf.key',
      '-sm3',
      '-sigopt',
      distid,
      '-subj',
      '/CN=SM2 leaf',
      '-out',
      'leaf.csr',
    );
    run(
      'x509',
      '-req',
      '-in',
      'leaf.csr',
      '-CA',
      'root.pem',
      '-CAkey',
      'root.key',
      '-CAcreateserial',
      '-sm3',
      '-sigopt',
      distid,
      '-vfyopt',
      distid,
      '-extfile',
      'ext.cnf',
      '-extensions',
      'leaf',
      '-days',
      '20',
      '-outform',
      'DER',
      '-out',
      'leaf.der',
    );
    const read = (name: string): Buffer => execFileSync('cat', [join(directory, name)]);
    const at = Math.floor(Date.now() / 1000) + day;
    const check = (leaf: Buffer) => validateX509Path({ chain: [leaf], roots: [read('root.der')], at, use: 'seal' });
    const leaf = read('leaf.der');
    t.ok(check(leaf).ok);
    for (let index = 0; index < leaf.length; index += 7) {
      const changed = Buffer.from(leaf);
      changed[index] = (changed[index] ?? 0) ^ 0x01;
      t.notOk(check(changed).ok, `byte ${index}`);
    }
    t.end();
  },
);

await t.test('algorithms and keys outside the allow-list are refused', { skip: withoutOpenssl }, (t) => {
  const directory = t.testdir();
  const run = (...parts: string[]): Buffer => execFileSync('openssl', parts, { cwd: directory, stdio: 'pipe' });
  writeFileSync(
    join(directory, 'ext.cnf'),
    '[ca]\nbasicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\n[leaf]\nkeyUsage=critical,digitalSignature\n[req]\ndistinguished_name=dn\n[dn]\n',
  );
  const at = Math.floor(Date.now() / 1000) + day;
  const check = (name: string, key: readonly string[], digest: string, extra: readonly string[] = []) => {
    run('genpkey', ...key, '-out', 'root.key');
    run(
      'req',
      '-new',
      '-x509',
      '-config',
      'ext.cnf',
      '-extensions',
      'ca',
      '-key',
      'root.key',
      digest,
      ...extra,
      '-subj',
      `/CN=${name}`,
      '-days',
      '30',
      '-out',
      'root.pem',
    );
    run('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', 'leaf.key');
    run('req', '-new', '-config', 'ext.cnf', '-key', 'leaf.key', '-subj', '/CN=leaf', '-out', 'leaf.csr');
    const leaf = run(
      'x509',
      '-req',
      '-in',
      'leaf.csr',
      '-CA',
      'root.pem',
      '-CAkey',
      'root.key',
      '-CAcreateserial',
      digest,
      ...extra,
      '-extfile',
      'ext.cnf',
      '-extensions',
      'leaf',
      '-days',
      '20',
      '-outform',
      'DER',
    );
    const result = validateX509Path({
      chain: [leaf],
      roots: [run('x509', '-in', 'root.pem', '-outform', 'DER')],
      at,
      use: 'seal',
    });
    return result.ok ? [] : result.reasons;
  };
  const rsa = (bits: number) => ['-algorithm', 'RSA', '-pkeyopt', `rsa_keygen_bits:${bits}`];
  const ec = (curve: string) => ['-algorithm', 'EC', '-pkeyopt', `ec_paramgen_curve:${curve}`];
  t.strictSame(check('RSA', rsa(2048), '-sha256'), []);
  t.strictSame(check('RSA 512', rsa(2048), '-sha512'), []);
  t.strictSame(check('P-384', ec('P-384'), '-sha384'), []);
  t.strictSame(check('Ed25519', ['-algorithm', 'ED25519'], '-sha256'), []);
  t.strictSame(check('SHA-1', rsa(2048), '-sha1'), ['x509_algorithm']);
  t.strictSame(check('RSA 1024', rsa(1024), '-sha256'), ['x509_key']);
  t.strictSame(check('secp256k1', ec('secp256k1'), '-sha256'), ['x509_key']);
  t.strictSame(check('PSS', rsa(2048), '-sha256', ['-sigopt', 'rsa_padding_mode:pss']), ['x509_algorithm']);
  t.end();
});

await t.test('DER and X.509 are read strictly, and any bytes are survived', (t) => {
  const readDer = (bytes: Uint8Array, maxValues?: number) => attempt(() => parseDer(bytes, maxValues));
  const oid = (hex: string) => attempt(() => oidOf(parseDer(Buffer.from(hex, 'hex'))));
  for (const hex of [
    '',
    '30',
    '3080',
    '308000',
    '30810105',
    '3081020500',
    '308200020500',
    '3082000101',
    '0500ff',
    '1f0100',
    '0202007f',
    '010101',
    '01020000',
    '3006',
    '0200',
  ]) {
    t.equal(readDer(Buffer.from(hex, 'hex')), undefined, hex);
  }
  let deep = Buffer.from('0500', 'hex');
  for (let level = 0; level < 20; level++) deep = Buffer.concat([Buffer.from([0x30, deep.length]), deep]);
  t.equal(readDer(deep), undefined, 'too deep');
  t.equal(
    readDer(Buffer.concat([Buffer.from('308203e8', 'hex'), Buffer.alloc(1000, Buffer.from('0500', 'hex'))]), 100),
    undefined,
    'too many',
  );
  t.equal(oid('06156981de9dbe94d58ecaadff9d9e83ca9b95938f0601'), extendedKeyUsages.status);
  t.equal(oid('0603551d0f'), '2.5.29.15');
  for (const hex of ['0600', '06028001', '060155'.replace('55', '85')]) t.equal(oid(hex), undefined, hex);
  const time = (tag: number, text: string) =>
    attempt(() => timeOf(parseDer(Buffer.concat([Buffer.from([tag, text.length]), Buffer.from(text)]))));
  t.equal(time(0x17, '700101000000Z'), 0);
  t.equal(time(0x17, '491231235959Z'), 2524607999);
  t.equal(time(0x18, '20500101000000Z'), 2524608000);
  for (const text of ['260230000000Z', '2611220000Z', '261122000000+0800', '261122250000Z'])
    t.equal(time(0x17, text), undefined, text);
  const read = readX509(seal.der);
  t.equal(read?.subjectAttributes.get(subjectOids.commonName), 'Test 户籍专用章');
  t.equal(read?.subjectAttributes.get(subjectOids.organizationIdentifier), '11999900100000016A');
  t.equal(readX509(Buffer.concat([seal.der, Buffer.from([0])])), undefined);
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      (bytes) => readX509(bytes) === undefined && readCrl(bytes) === undefined,
    ),
    { seed: 20261122, numRuns: 500 },
  );
  fc.assert(
    fc.property(fc.nat(seal.der.length - 1), fc.nat(255), (index, value) => {
      const changed = Buffer.from(seal.der);
      if (changed[index] === value) return true;
      changed[index] = value;
      return !validateX509Path({ chain: [changed, intermediate.der], roots: [root.der], at: now, use: 'seal' }).ok;
    }),
    { seed: 20261122, numRuns: 1000 },
  );
  t.end();
});
