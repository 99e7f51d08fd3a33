import { execFileSync } from 'node:child_process';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as jose from 'jose';
import t from 'tap';
import { run } from '../../src/cli/keys.ts';
import {
  exampleKeysDirectory,
  isExampleKey,
  readExampleClientKey,
  readExampleClients,
  readExampleDepartments,
  spkiSha256,
} from '../../src/signing/example-keys.ts';
import { initKeys } from '../../src/signing/init-keys.ts';
import { KeyFileError } from '../../src/signing/key-file-error.ts';
import { loadKeys, loadManifest } from '../../src/signing/key-store.ts';
import { addSeal, retireIndexKey, rotatableUses, rotateKeys } from '../../src/signing/rotate-keys.ts';
import { signCompactJws } from '../../src/signing/sd-jwt-issue.ts';
import { isUscc } from '../../src/verification/identifiers.ts';
import { validateX509Path } from '../../src/verification/x509-path.ts';

const psb = '11999900100000016A';
const from = new Date('2026-11-22T00:00:00Z');
const later = new Date('2027-03-01T00:00:00Z');

/** A path in a fresh folder where keys can be made. */
const freshPath = (): string => join(mkdtempSync(join(tmpdir(), 'certhub-keys-')), 'keys');

async function freshKeys(): Promise<string> {
  const directory = freshPath();
  await initKeys({ directory, city: '示范市', departments: [{ code: psb, name: '示范市公安局' }], from, now: from });
  return directory;
}

/** The message of the KeyFileError that loading ends with; '' when it succeeds. */
function faultOf(directory: string, mode: 'demo' | 'production' = 'production'): string {
  try {
    loadKeys(directory, { mode });
    return '';
  } catch (error) {
    if (error instanceof KeyFileError) return error.message;
    throw error;
  }
}

/** Runs the command and returns its exit code and texts. */
async function command(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const texts = { out: '', err: '' };
  const io = {
    stdout: { write: (text: string) => (texts.out += text) },
    stderr: { write: (text: string) => (texts.err += text) },
    env: {},
  };
  return { code: await run(argv, io), ...texts };
}

void t.test('a new keys directory is private and loads in production', async (t) => {
  const directory = await freshKeys();
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const mode = statSync(join(entry.parentPath, entry.name)).mode & 0o777;
    t.equal(mode, entry.isDirectory() ? 0o700 : 0o600, entry.name);
  }
  t.equal(statSync(directory).mode & 0o777, 0o700);
  const keys = loadKeys(directory, { mode: 'production' });
  t.ok(Object.isFrozen(keys));
  t.equal(keys.answer.suite, 'ES256');
  t.equal(keys.log.suite, 'EdDSA');
  t.equal(keys.token.x5c, undefined);
  const seal = keys.sealSigner(psb);
  t.equal(seal?.department, psb);
  t.equal(seal?.notAfter.toISOString(), '2038-11-22T00:00:00.000Z');
  t.equal(keys.sealSigner('119999001000000245'), undefined);
  const at = from.getTime() / 1000;
  for (const [use, signer] of Object.entries({ seal, answer: keys.answer, status: keys.status })) {
    const chain = (signer?.x5c ?? []).map((der) => Buffer.from(der, 'base64'));
    t.match(validateX509Path({ chain, roots: keys.roots, at, use: use as 'seal' }), { ok: true }, use);
  }
});

void t.test('public keys are published as JWKs, without private parts', async (t) => {
  const keys = loadKeys(await freshKeys(), { mode: 'production' });
  const jwks = keys.publicJwks();
  t.equal(jwks.keys.length, 4);
  t.match(keys.publicJwks('log').keys, [{ kty: 'OKP', use: 'sig', alg: 'EdDSA' }]);
  t.notMatch(JSON.stringify(jwks), '"d"');
  t.notMatch(JSON.stringify(keys), 'PRIVATE');
  const token = await signCompactJws({ signer: keys.token, typ: 'at+jwt', payload: { sub: 'client' } });
  const { payload } = await jose.jwtVerify(
    token,
    jose.createLocalJWKSet(keys.publicJwks('token') as jose.JSONWebKeySet),
  );
  t.equal(payload.sub, 'client');
  const { kid, privatePem, publicPem } = keys.tokenSecretPem();
  t.equal(kid, keys.token.kid);
  t.equal(spkiSha256(createPublicKey(createPrivateKey(privatePem))), spkiSha256(createPublicKey(publicPem)));
});

void t.test('rotation: old answers verify, old ciphertexts open, old indices are found', async (t) => {
  const directory = await freshKeys();
  const before = loadKeys(directory, { mode: 'production' });
  const answers = new Map<string, string>();
  for (const use of ['answer', 'token', 'status'] as const) {
    answers.set(use, await signCompactJws({ signer: before[use], typ: 'test+jwt', payload: { use } }));
  }
  const box = before.box.seal(Buffer.from('row'), Buffer.from('value'));
  const record = before.recordBox('2026-11').seal(Buffer.from('row'), Buffer.from('value'));
  const mac = before.rowMac('grant', Buffer.from('row'));
  const holderKey = before.holderKey('111', '990000199001010015');
  for (const use of rotatableUses) {
    const change = await rotateKeys({ directory, use, now: later });
    t.type(change.added, 'string', use);
    t.equal(
      change.retired === undefined,
      use === 'index' || use === 'records',
      `${use}: both generations serve until the re-key is done`,
    );
  }
  const after = loadKeys(directory, { mode: 'production' });
  const jwks = jose.createLocalJWKSet(after.publicJwks() as jose.JSONWebKeySet);
  for (const [use, answer] of answers) {
    const { payload } = await jose.jwtVerify(answer, jwks);
    t.equal(payload['use'], use);
  }
  for (const use of ['answer', 'token', 'status', 'log'] as const) {
    t.not(after[use].kid, before[use].kid, use);
    const old = after.hubKeys.find(({ kid }) => kid === before[use].kid);
    t.match(old, { state: 'retired', from: from.toISOString(), until: later.toISOString() });
    t.match(
      after.hubKeys.find(({ kid }) => kid === after[use].kid),
      { from: later.toISOString(), until: null },
    );
  }
  t.same(after.box.open(Buffer.from('row'), box), Buffer.from('value'));
  t.same(after.recordBox('2026-11').open(Buffer.from('row'), record), Buffer.from('value'));
  t.equal(after.verifyRowMac('grant', Buffer.from('row'), mac), true);
  t.same(after.holderKeys('111', '990000199001010015')[1], holderKey);
  t.throws(() => before.box.open(Buffer.from('row'), after.box.seal(Buffer.from('row'), Buffer.from('new'))), {
    code: 'stored_data_tampered',
  });

  await t.rejects(retireIndexKey({ directory, number: 2 }), /is the newest/);
  await t.rejects(retireIndexKey({ directory, number: 9 }), /has no index generation 9/);
  await retireIndexKey({ directory, number: 1 });
  const rekeyed = loadKeys(directory, { mode: 'production' });
  t.equal(rekeyed.holderKeys('111', '990000199001010015').length, 1);
  t.same(rekeyed.everyHolderKey('111', '990000199001010015')[1], holderKey);
});

void t.test('a seal is renewed by the local authority or by a PKCS#12 file', async (t) => {
  const directory = await freshKeys();
  const other = await freshKeys();
  const old = loadKeys(directory, { mode: 'production' }).sealSigner(psb);
  await addSeal({ directory, department: psb, now: later, source: { departmentName: '示范市公安局' } });
  const renewed = loadKeys(directory, { mode: 'production' }).sealSigner(psb);
  t.not(renewed?.kid, old?.kid);
  t.equal(renewed?.notBefore.toISOString(), later.toISOString());
  const pkcs12 = readFileSync(join(directory, `seals/${psb}.p12`));
  const password = readFileSync(join(directory, `seals/${psb}.password`), 'utf8').trim();
  const source = { pkcs12, password };
  await addSeal({ directory, department: psb, now: later, source });
  t.equal(loadKeys(directory, { mode: 'production' }).sealSigner(psb)?.kid, old?.kid);
  await t.rejects(addSeal({ directory, department: '119999001000000245', now: later, source }), /not the seal of/);
  await t.rejects(
    addSeal({ directory, department: psb, now: new Date('2099-01-01'), source }),
    /not valid at this time/,
  );
  await t.rejects(
    addSeal({ directory, department: psb, now: later, source: { pkcs12, password: 'x' } }),
    /wrong password/,
  );
  await addSeal({ directory: other, department: psb, now: later, source });
  t.match(faultOf(other), /x509_root_unknown|x509_signature/, 'a seal from an authority that is not trusted here');
});

void t.test('files that others can read are refused by name', async (t) => {
  const directory = await freshKeys();
  const manifest = loadManifest(directory);
  const privateFiles = [
    ...manifest.keys.map(({ file }) => file),
    ...manifest.indexKeys.map(({ file }) => file),
    ...manifest.encryptionKeys.map(({ file }) => file),
    ...manifest.seals.flatMap(({ file, passwordFile }) => [file, passwordFile]),
  ];
  t.equal(privateFiles.length, 8);
  for (const file of privateFiles) {
    for (const mode of [0o640, 0o604, 0o620]) {
      chmodSync(join(directory, file), mode);
      t.equal(faultOf(directory), `${join(directory, file)}: can be read or written by other accounts; run: chmod 600`);
      t.not(faultOf(directory, 'demo'), '', 'in a demo too');
    }
    chmodSync(join(directory, file), 0o600);
  }
  chmodSync(directory, 0o755);
  t.match(faultOf(directory), /chmod 700/);
  chmodSync(directory, 0o700);
  t.equal(faultOf(directory), '');
});

void t.test('missing and damaged files are refused by name', async (t) => {
  const pristine = await freshKeys();
  const manifest = loadManifest(pristine);
  const files = [
    'manifest.json',
    ...manifest.roots,
    ...manifest.keys.flatMap(({ file, x509File }) => (x509File === null ? [file] : [file, x509File])),
    ...[...manifest.indexKeys, ...manifest.encryptionKeys].map(({ file }) => file),
    ...manifest.seals.flatMap(({ file, passwordFile }) => [file, passwordFile]),
  ];
  for (const file of files) {
    const content = readFileSync(join(pristine, file));
    rmSync(join(pristine, file));
    t.equal(faultOf(pristine), `${join(pristine, file)}: is missing`);
    writeFileSync(join(pristine, file), '', { mode: 0o600 });
    t.equal(faultOf(pristine), `${join(pristine, file)}: is empty`);
    writeFileSync(join(pristine, file), 'not a key');
    // a wrong password shows at the file it opens
    const named = file.replace(/\.password$/, '.p12');
    t.match(faultOf(pristine), join(pristine, named));
    writeFileSync(join(pristine, file), content);
  }
  t.equal(faultOf(pristine), '');
  const keyOf = (use: string): string => manifest.keys.find((key) => key.use === use)?.file ?? '';
  const answer = readFileSync(join(pristine, keyOf('answer')));
  writeFileSync(join(pristine, keyOf('answer')), readFileSync(join(pristine, keyOf('status'))));
  t.match(faultOf(pristine), /does not begin with the x509 of its key/);
  writeFileSync(join(pristine, keyOf('answer')), answer);
  writeFileSync(join(pristine, keyOf('token')), answer);
  t.match(faultOf(pristine), /are the same key/);
  writeFileSync(join(pristine, keyOf('token')), readFileSync(join(pristine, keyOf('log'))));
  t.match(faultOf(pristine), /cannot sign with ES256/);
});

void t.test('a manifest that contradicts itself is refused', async (t) => {
  const directory = await freshKeys();
  const path = join(directory, 'manifest.json');
  const text = readFileSync(path, 'utf8');
  type Json = { [name: string]: unknown };
  const entry = (manifest: Json, list: string, at = 0): Json => (manifest[list] as Json[])[at] ?? {};
  const cases: [RegExp, (manifest: Json) => void][] = [
    [/unknown member "extra"/, (m) => Object.assign(m, { extra: 1 })],
    [/lacks "seals"/, (m) => Reflect.deleteProperty(m, 'seals')],
    [/format is not/, (m) => Object.assign(m, { format: 'certhub-keys/2' })],
    [/exactly one active key with use "token"/, (m) => Object.assign(entry(m, 'keys'), { state: 'retired' })],
    [/keys\[0\].file is malformed/, (m) => Object.assign(entry(m, 'keys'), { file: '../outside.pem' })],
    [/keys\[0\].file is malformed/, (m) => Object.assign(entry(m, 'keys'), { file: '/outside.pem' })],
    [/suite/, (m) => Object.assign(entry(m, 'keys'), { suite: 'none' })],
    [/SM2-SM3 cannot be used for/, (m) => Object.assign(entry(m, 'keys'), { suite: 'SM2-SM3' })],
    [/needs an x509File/, (m) => Object.assign(entry(m, 'keys', 1), { x509File: null })],
    [/no active key in indexKeys/, (m) => Object.assign(entry(m, 'indexKeys'), { state: 'retired' })],
    [/is no USCC/, (m) => Object.assign(entry(m, 'seals'), { department: '11999900100000016B' })],
    [/two active seals/, (m) => (m['seals'] as Json[]).push(entry(m, 'seals'))],
    [/not the seal of/, (m) => Object.assign(entry(m, 'seals'), { department: '119999001000000245' })],
  ];
  for (const [reason, change] of cases) {
    const manifest = JSON.parse(text) as Json;
    change(manifest);
    writeFileSync(path, JSON.stringify(manifest));
    t.match(faultOf(directory), reason);
  }
  writeFileSync(path, text);
  t.equal(faultOf(directory), '');
});

void t.test('example keys serve a demo and are refused in production, wherever they lie', async (t) => {
  const keys = loadKeys(exampleKeysDirectory, { mode: 'demo' });
  t.match(faultOf(exampleKeysDirectory), /is a published demo key and is refused outside demo mode/);
  for (const department of readExampleDepartments()) {
    t.equal(isUscc(department.code), true, department.code);
    t.equal(keys.sealSigner(department.code) !== undefined, department.roles.includes('issuer'), department.name.en);
  }
  for (const seal of keys.sealSigners) t.ok(seal.notAfter.getTime() >= Date.parse('2036-01-01'), 'valid for ten years');

  // git does not keep modes
  const copy = freshPath();
  cpSync(exampleKeysDirectory, copy, { recursive: true });
  chmodSync(copy, 0o755);
  for (const entry of readdirSync(copy, { recursive: true, withFileTypes: true })) {
    chmodSync(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o755 : 0o644);
  }
  t.equal(faultOf(copy, 'demo'), '');
  t.match(faultOf(copy), /published demo key/);

  const manifest = loadManifest(exampleKeysDirectory);
  const own = await freshKeys();
  const ownManifest = loadManifest(own);
  const swaps: [string, string][] = [
    ...manifest.keys.map(({ file }, at): [string, string] => [file, ownManifest.keys[at]?.file ?? '']),
    ['secrets/index-1.hex', 'secrets/index-1.hex'],
    ['secrets/encryption-1.hex', 'secrets/encryption-1.hex'],
    ['roots/root.x509.pem', 'roots/root.x509.pem'],
  ];
  for (const [theirs, ours] of swaps) {
    const content = readFileSync(join(own, ours));
    writeFileSync(join(own, ours), readFileSync(join(exampleKeysDirectory, theirs)));
    t.match(faultOf(own), /published demo key/, theirs);
    writeFileSync(join(own, ours), content);
  }
  for (const file of ['p12', 'password']) {
    writeFileSync(join(own, `seals/${psb}.${file}`), readFileSync(join(exampleKeysDirectory, `seals/${psb}.${file}`)));
  }
  writeFileSync(
    join(own, 'roots/root.x509.pem'),
    [own, exampleKeysDirectory].map((folder) => readFileSync(join(folder, 'roots/root.x509.pem'))).join(''),
  );
  t.match(faultOf(own), /published demo key/, 'seal');
});

void t.test('every demo client has a key, and its fingerprint is listed', async (t) => {
  const codes = new Set(readExampleDepartments().map(({ code }) => code));
  const clients = readExampleClients();
  t.equal(clients.length, 18);
  for (const { clientId, department, roles } of clients) {
    const jwk = readExampleClientKey(clientId);
    t.equal(jwk.kid, `${clientId}-1`);
    t.equal(isExampleKey(spkiSha256(createPublicKey({ key: jwk, format: 'jwk' }))), true, clientId);
    t.ok(codes.has(department));
    t.equal(roles.length, 1);
  }
  t.throws(() => readExampleClientKey('nobody'), RangeError);
  t.equal(isExampleKey('00'.repeat(32)), false);
});

void t.test('certhub keys', async (t) => {
  const directory = freshPath();
  const init = await command('init', '--dir', directory, '--departments', `${psb}=示范市公安局`);
  t.match(init, { code: 0, err: '' });
  t.match(init.out, 'made keys for 1 department(s)');
  const again = await command('init', '--dir', directory);
  t.match(again, { code: 1, out: '' });
  t.match(again.err, /exists already; keys are never overwritten/);
  t.equal(loadKeys(directory, { mode: 'production' }).sealSigner(psb)?.department, psb);

  t.match(
    (await command('rotate', '--dir', directory, '--use', 'answer')).out,
    /^added answer-\S+\nretired answer-\S+\n$/,
  );
  t.match((await command('rotate', '--dir', directory, '--use', 'index')).out, 'added secrets/index-2.hex');
  t.match((await command('retire', '--dir', directory, '--index', '1')).out, 'retired secrets/index-1.hex');
  t.match(
    (await command('add-seal', '--dir', directory, '--department', '119999001000000245', '--name', '某局')).code,
    0,
  );
  const { out } = await command('list', '--dir', directory);
  t.match(out, /answer\s+answer-\S+\s+ES256\s+retired/);
  t.match(out, /seal\s+119999001000000245\s+ES256\s+active/);
  t.notMatch(out, 'PRIVATE');
  t.equal(existsSync(join(directory, 'manifest.json.new')), false);

  writeFileSync(join(directory, 'manifest.json.new'), '');
  t.match((await command('rotate', '--dir', directory, '--use', 'log')).err, /another change is under way/);

  for (const argv of [
    ['init'],
    ['rotate', '--dir', directory],
    ['rotate', '--dir', directory, '--use', 'nothing'],
    ['retire', '--dir', directory, '--index', 'x'],
    ['add-seal', '--dir', directory, '--department', psb],
    ['add-seal', '--dir', directory, '--department', '11999900100000016B', '--name', 'x'],
    ['init', '--dir', `${directory}2`, '--departments', '11999900100000016B=x'],
    ['init', '--dir', `${directory}2`, '--departments', psb],
    ['unknown', '--dir', directory],
    ['list', '--dir', directory, '--nothing'],
    ['list', 'surplus', '--dir', directory],
  ]) {
    t.equal((await command(...argv)).code, 2, argv.join(' '));
  }
  t.equal((await command('list', '--dir', `${directory}2`)).code, 1);
  t.match(await command(), { code: 0, out: /certhub keys init/ });

  const example = mkdtempSync(join(tmpdir(), 'certhub-example-'));
  for (const file of ['departments.json', 'clients.json'])
    cpSync(join(exampleKeysDirectory, file), join(example, file));
  t.match(await command('example', '--dir', example), { code: 0, err: '' });
  t.equal(loadKeys(example, { mode: 'demo' }).sealSigners.length, 6);
  t.match((await command('example', '--dir', example)).err, /has keys already/);
});

void t.test(
  'the list of demo fingerprints is found from the built package, and its absence stops production',
  async (t) => {
    const root = mkdtempSync(join(tmpdir(), 'certhub-dist-'));
    const typescript = await import('typescript');
    for (const [folder, file] of [
      ['signing', 'example-keys'],
      ['signing', 'key-file-error'],
      ['verification', 'encoding'],
    ] as const) {
      const source = readFileSync(new URL(`../../src/${folder}/${file}.ts`, import.meta.url), 'utf8');
      const { outputText } = typescript.default.transpileModule(source, {
        compilerOptions: { target: 99, module: 99, rewriteRelativeImportExtensions: true },
      });
      typescript.default.sys.createDirectory(join(root, 'dist'));
      typescript.default.sys.createDirectory(join(root, 'dist', folder));
      writeFileSync(join(root, 'dist', folder, `${file}.js`), outputText);
    }
    writeFileSync(join(root, 'package.json'), '{"type":"module"}');
    const script = `import(${JSON.stringify(pathToFileURL(join(root, 'dist/signing/example-keys.js')).href)})
    .then(({ isExampleKey }) => console.log(isExampleKey(process.argv[1])), console.error)
    .catch((error) => console.log(error.message))`;
    const ask = (fingerprint: string): string =>
      execFileSync(process.execPath, ['-e', script, fingerprint], { encoding: 'utf8', env: {} }).trim();
    const known = spkiSha256(createPublicKey({ key: readExampleClientKey('hub-admin'), format: 'jwk' }));
    t.match(ask(known), /list of demo key fingerprints is missing/);
    cpSync(exampleKeysDirectory, join(root, 'keys-example'), { recursive: true });
    t.equal(ask(known), 'true');
    t.equal(ask('00'.repeat(32)), 'false');
  },
);
