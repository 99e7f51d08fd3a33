import { createPrivateKey } from 'node:crypto';
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { generateKey } from '../../src/signing/key-writing.ts';
import { loadNoteKey, writeNoteKey } from '../../src/signing/note-key-file.ts';
import {
  cosign,
  formatNoteKey,
  type NoteKey,
  newNoteKey,
  readNoteKey,
  signNote,
  vkeyOf,
} from '../../src/signing/note-sign.ts';
import { keySigner } from '../../src/signing/signer.ts';
import { openNote, parseVerifierKey, type VerifierKey } from '../../src/verification/signed-note.ts';

const seeded = { seed: 20261122, numRuns: 100 };

function read(text: string): NoteKey {
  const key = readNoteKey(text);
  if (!key.ok) throw new Error(key.reason);
  return key.value;
}

function verifier(text: string): VerifierKey {
  const key = parseVerifierKey(text);
  if (!key.ok) throw new Error(key.reason);
  return key.value;
}

// A published test key of golang.org/x/mod/sumdb/note; its signature is deterministic (RFC 8032).
const go = {
  privateKey: 'PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz',
  vkey: 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW',
  text: "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n",
  signature: 'x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=',
};

// Sigsum's test data for cosignature/v1: the key's seed is 0x11 and 31 zero bytes.
const sigsum = {
  seed: `11${'00'.repeat(31)}`,
  name: 'example.org/witness',
  vkey: 'example.org/witness+cacf2e50+BGbguFjkYqYJ5m/nE3DIFtiEb/ED1UmaIqf+w3/bxCSn',
  text: 'example.org/log\n10\nHA5HAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n',
  payload: 'ys8uUAAAAAAAAATSftMzceM8zssdZ9jin9SjwIxzx9iADMf63VqirX2hafol9RsqNqbofIz0LVRqHXI2kpEBSki5RTXFtxz1vo9+Cg==',
};

const ed25519 = (seed: string) =>
  createPrivateKey({
    key: Buffer.from(`302e020100300506032b657004220420${seed}`, 'hex'),
    type: 'pkcs8',
    format: 'der',
  });

await t.test("Go's key text is read and written back, and signs Go's signature byte for byte", async (t) => {
  const key = read(go.privateKey);
  t.equal(key.vkey, go.vkey);
  t.equal(key.type, 1);
  t.equal(vkeyOf(key, 1), go.vkey);
  t.equal(signNote(key, go.text), `${go.text}\n— PeterNeumann ${go.signature}\n`);
  const seed = '810a1402d5146c8d84f2443330f54080ebf98ee17d9c74f6252fc5d5c7283173';
  t.equal(formatNoteKey({ name: 'PeterNeumann', type: 1, privateKey: ed25519(seed) }), go.privateKey);
});

await t.test("Sigsum's cosignature, byte for byte", async (t) => {
  const signer = keySigner({ privateKey: ed25519(sigsum.seed), suite: 'EdDSA', kid: 'witness' });
  const by = { signer, name: sigsum.name };
  t.equal(vkeyOf(by, 4), sigsum.vkey);
  t.equal(cosign(by, sigsum.text, 1234), `— ${sigsum.name} ${sigsum.payload}\n`);
  const text = formatNoteKey({ name: sigsum.name, type: 4, privateKey: ed25519(sigsum.seed) });
  t.equal(read(text).vkey, sigsum.vkey, 'the same key from its text');
});

await t.test('what is signed is opened by the verifier, and by no other kind of key', async (t) => {
  const log = newNoteKey('example.gov/log', 1).key;
  const witness = newNoteKey('example.gov/witness', 4).key;
  const text = 'example.gov/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n';
  const note = signNote(log, text) + cosign(witness, text, 1_700_000_000);
  t.match(openNote(note, [verifier(witness.vkey)]), { ok: true, value: { verified: [{ time: 1_700_000_000 }] } });
  t.ok(openNote(note, [verifier(log.vkey)]).ok);
  t.notOk(openNote(note, [verifier(vkeyOf(witness, 1))]).ok, 'a cosignature is no note signature');
  t.notOk(openNote(note, [verifier(vkeyOf(log, 4))]).ok, 'a note signature is no cosignature');
  t.notSame(log.keyId, newNoteKey('example.gov/log', 1).key.keyId, 'every key is new');
});

await t.test('every text that a note can have is signed and verifies; the rest is not signed', async (t) => {
  const log = newNoteKey('example.gov/log', 1).key;
  const keys = [verifier(log.vkey)];
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme', minLength: 1 }), { minLength: 1 }), (lines) => {
      const text = `${lines.join('\n')}\n`;
      if (/[^\P{Cc}\n]/u.test(text)) {
        try {
          signNote(log, text);
        } catch {
          return;
        }
        throw new Error('signed');
      } else {
        const opened = openNote(signNote(log, text), keys);
        if (!opened.ok || opened.value.text !== text) throw new Error('not opened');
      }
    }),
    seeded,
  );
  for (const text of ['', '\n', 'no end of line', 'a\r\n', 'a\0\n', 'a\tb\n', '\ud800\n', 'a\u007f\n']) {
    t.throws(() => signNote(log, text), RangeError, JSON.stringify(text));
    t.throws(() => cosign(log, text, 1), RangeError, JSON.stringify(text));
  }
  for (const time of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
    t.throws(() => cosign(log, 'a\n', time), RangeError, `time ${time}`);
  }
});

await t.test('a key that is not Ed25519, a name that no note can have, and faulty hardware do not sign', async (t) => {
  const signer = keySigner({ privateKey: generateKey('ES256'), suite: 'ES256', kid: 'x' });
  t.throws(() => signNote({ signer, name: 'example.gov/log' }, 'a\n'), RangeError);
  t.throws(() => formatNoteKey({ name: 'a', type: 1, privateKey: generateKey('ES256') }), RangeError);
  const { key } = newNoteKey('example.gov/log', 1);
  for (const name of ['', 'a b', 'a+b', 'a\nb', 'a\u3000b']) {
    t.throws(() => signNote({ ...key, name }, 'a\n'), RangeError, JSON.stringify(name));
    t.throws(() => newNoteKey(name, 4), RangeError, JSON.stringify(name));
  }
  const faulty = { ...key.signer, sign: () => Buffer.alloc(64, 1) };
  t.throws(() => signNote({ signer: faulty, name: key.name }, 'a\n'), /does not verify/);
  t.throws(() => cosign({ signer: faulty, name: key.name }, 'a\n', 1), /does not verify/);
});

await t.test('key texts: one spelling, and the id must fit', async (t) => {
  const { text } = newNoteKey('example.gov/witness', 4);
  t.ok(readNoteKey(`  ${text}\n`).ok, 'white space around it is ignored');
  const faults: readonly (readonly [string, string])[] = [
    ['', 'malformed_key'],
    [go.vkey, 'malformed_key'],
    [go.privateKey.replace('PRIVATE', 'private'), 'malformed_key'],
    [go.privateKey.slice(0, -1), 'malformed_key'],
    [`${go.privateKey}A`, 'malformed_key'],
    [go.privateKey.replace('c74f20a3', 'C74F20A3'), 'malformed_key'],
    [go.privateKey.replace('c74f20a3', 'c74f20a4'), 'wrong_key_id'],
    [go.privateKey.replace('PeterNeumann', 'PeterNeumanm'), 'wrong_key_id'],
    [go.privateKey.replace('PeterNeumann', 'Peter Neumann'), 'malformed_name'],
    [go.privateKey.replace('PeterNeumann', ''), 'malformed_name'],
    [go.privateKey.replace('+AYEK', '+AoEK'), 'unknown_key_type'],
    // The same seed as a cosigner's key has another id.
    [go.privateKey.replace('+AYEK', '+BIEK'), 'wrong_key_id'],
  ];
  for (const [given, reason] of faults) t.match(readNoteKey(given), { ok: false, reason }, given);
  fc.assert(
    fc.property(fc.string(), (given) => !readNoteKey(`PRIVATE+KEY+${given}`).ok),
    seeded,
  );
});

await t.test('key files: private, never overwritten, one use, no key in messages', async (t) => {
  const file = join(t.testdir(), 'witness.key');
  const vkey = writeNoteKey(file, 'example.gov/witness', 4);
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.equal(loadNoteKey(file, 4).vkey, vkey);
  const content = readFileSync(file, 'utf8');
  t.throws(() => writeNoteKey(file, 'example.gov/witness', 4), /never overwritten/);
  t.equal(readFileSync(file, 'utf8'), content);
  t.throws(() => loadNoteKey(file, 1), /type 4; type 1 is needed/);
  chmodSync(file, 0o640);
  t.throws(() => loadNoteKey(file, 4), /chmod 600/);
  chmodSync(file, 0o600);
  writeFileSync(file, content.replace('PRIVATE', 'private'));
  t.throws(() => loadNoteKey(file, 4), /malformed_key/);
  t.throws(() => loadNoteKey(file, 4), new RegExp(`^(?!.*${content.slice(-20, -1).replace(/\W/g, '.')})`));
  writeFileSync(file, 'x'.repeat(2_000));
  t.throws(() => loadNoteKey(file, 4), /too large/);
  t.throws(() => loadNoteKey(`${file}.absent`, 4), /is missing/);
});
