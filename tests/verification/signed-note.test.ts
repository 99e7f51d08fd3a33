import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { cosignatureBytes, cosignatureMessage } from '../../src/verification/cosignature.ts';
import {
  formatVerifierKey,
  keyIdOf,
  openNote,
  parseNote,
  parseSignatureLine,
  parseVerifierKey,
  signatureLine,
  type VerifierKey,
} from '../../src/verification/signed-note.ts';

type Vectors = {
  readonly notes: readonly {
    readonly what: string;
    readonly vkey: string;
    readonly text: string;
    readonly line: string;
    readonly privateKey?: string;
  }[];
  readonly cosignature: Readonly<Record<'seed' | 'vkey' | 'keyId' | 'name' | 'text' | 'payload', string>> & {
    readonly time: number;
  };
};
const { notes, cosignature } = JSON.parse(
  readFileSync(new URL('../vectors/valid/signed-notes.json', import.meta.url), 'utf8'),
) as Vectors;

const pkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const privateKeyOf = (seed: Buffer): KeyObject =>
  createPrivateKey({ key: Buffer.concat([pkcs8, seed]), format: 'der', type: 'pkcs8' });
const rawOf = (key: KeyObject): Buffer => key.export({ format: 'der', type: 'spki' }).subarray(-32);

function keyOf(text: string): VerifierKey {
  const parsed = parseVerifierKey(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.value;
}

/** A key of this test's own. */
function madeKey(name: string, type: 1 | 4 = 1) {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const key = keyOf(formatVerifierKey({ name, type, publicKey: rawOf(publicKey) }));
  const line = (text: string, time = 0): string => {
    const signature = sign(null, type === 1 ? Buffer.from(text) : cosignatureMessage(time, text), privateKey);
    return `${signatureLine({ name, keyId: key.keyId, signature: type === 1 ? signature : cosignatureBytes(time, signature) })}\n`;
  };
  return { key, line };
}

await t.test('published notes verify, and their keys are written as they were read', (t) => {
  for (const { what, vkey, text, line } of notes) {
    const key = keyOf(vkey);
    const opened = openNote(`${text}\n${line}\n`, [key]);
    t.ok(opened.ok && opened.value.text === text && opened.value.verified[0]?.key === key, what);
    t.equal(formatVerifierKey({ name: key.name, type: key.type, publicKey: rawOf(key.publicKey) }), vkey);
    t.strictSame(
      openNote(`${text}!\n\n${line}\n`, [key]),
      { ok: false, reason: 'signature_invalid' },
      'a changed text',
    );
  }
  t.end();
});

await t.test('Go reads our signatures: its published key gives its published bytes', (t) => {
  const go = notes.find(({ privateKey }) => privateKey !== undefined);
  const [, , , , encoded = ''] = /^(PRIVATE\+KEY)\+([^+]+)\+([^+]+)\+(.+)$/.exec(go?.privateKey ?? '') ?? [];
  const privateKey = privateKeyOf(Buffer.from(encoded, 'base64').subarray(1));
  const { name, keyId } = keyOf(go?.vkey ?? '');
  const signature = sign(null, Buffer.from(go?.text ?? ''), privateKey);
  t.equal(signatureLine({ name, keyId, signature }), go?.line);
  t.equal(rawOf(createPublicKey(privateKey)).toString('hex'), rawOf(keyOf(go?.vkey ?? '').publicKey).toString('hex'));
  t.end();
});

await t.test('cosignature/v1: the Sigsum vector byte for byte', (t) => {
  const { seed, vkey, keyId, time, name, text, payload } = cosignature;
  const privateKey = privateKeyOf(Buffer.from(seed, 'hex'));
  const publicKey = rawOf(createPublicKey(privateKey));
  t.equal(publicKey.toString('hex'), '66e0b858e462a609e66fe71370c816d8846ff103d5499a22a7fec37fdbc424a7');
  t.equal(formatVerifierKey({ name, type: 4, publicKey }), vkey);
  t.equal(keyIdOf({ name, type: 4, publicKey }).toString('hex'), keyId);
  const signature = cosignatureBytes(time, sign(null, cosignatureMessage(time, text), privateKey));
  const line = signatureLine({ name, keyId: Buffer.from(keyId, 'hex'), signature });
  t.equal(line, `— ${name} ${payload}`);
  const key = keyOf(vkey);
  const note = `${text}\n${line}\n`;
  t.match(openNote(note, [key]), { ok: true, value: { verified: [{ time: 1234 }] } });
  const later = signatureLine({ name, keyId: key.keyId, signature: cosignatureBytes(1235, signature.subarray(8)) });
  t.strictSame(
    openNote(`${text}\n${later}\n`, [key]),
    { ok: false, reason: 'signature_invalid' },
    'the time is signed',
  );
  const extended = `${text}extension\n`;
  t.strictSame(openNote(`${extended}\n${line}\n`, [key]), { ok: false, reason: 'signature_invalid' });
  t.strictSame(openNote(note, [{ ...key, name: 'another' }]), { ok: false, reason: 'no_known_signature' });
  const log = madeKey('log');
  t.match(
    openNote(`${text}\n${log.line(text)}`, [log.key]),
    { value: { verified: [{ time: undefined }] } },
    'no cosignature',
  );
  const huge = signatureLine({ name, keyId: key.keyId, signature: Buffer.alloc(72, 0xff) });
  t.strictSame(openNote(`${text}\n${huge}\n`, [key]), { ok: false, reason: 'signature_invalid' }, 'a time above 2^63');
  t.end();
});

await t.test(
  'which signatures count: unknown ones are passed over, a wrong one of a known key refuses the note',
  (t) => {
    const [one, two, witness] = [madeKey('log.example/one'), madeKey('log.example/two'), madeKey('witness.example', 4)];
    const text = 'some\n\ntext\n';
    const note = `${text}\n${one.line(text)}${two.line(text)}${witness.line(text, 5)}`;
    t.match(openNote(note, [one.key]), { ok: true, value: { text } }, 'the separator is the last blank line');
    const all = openNote(note, [one.key, two.key, witness.key]);
    t.strictSame(all.ok && all.value.verified.map(({ time }) => time), [undefined, undefined, 5]);
    t.strictSame(openNote(note, []), { ok: false, reason: 'no_known_signature' });
    t.strictSame(
      openNote(note, [madeKey('log.example/one').key]),
      { ok: false, reason: 'no_known_signature' },
      'same name, other key',
    );
    const forged = `${text}\n${one.line(text)}${two.line('other\n')}`;
    t.ok(openNote(forged, [one.key]).ok);
    t.strictSame(openNote(forged, [one.key, two.key]), { ok: false, reason: 'signature_invalid' });
    const twice = openNote(`${text}\n${one.line(text)}${one.line(text)}`, [one.key]);
    t.equal(twice.ok && twice.value.verified.length, 1, 'a key counts once');
    const asLog = { ...witness.key, type: 1 } as const;
    t.strictSame(
      openNote(note, [asLog]),
      { ok: false, reason: 'signature_invalid' },
      'a cosignature is no log signature',
    );
    t.end();
  },
);

await t.test('the form of notes and keys: nothing loose is read, nothing makes it throw', (t) => {
  const { key, line } = madeKey('log.example');
  const text = 'text\n';
  const signed = line(text);
  const malformed = [
    '',
    '\n',
    '\n\n',
    text,
    `${text}\n`,
    `${text}${signed}`,
    `\n${signed}`,
    `${text}\n${signed.slice(0, -1)}`,
    `${text}\n${signed}\n`,
    `${text}\n${signed}more\n`,
    `${text}\n${signed.replace('—', '-')}`,
    `${text}\n${signed.replace('— ', '—  ')}`,
    `${text}\n${signed.replace('\n', ' \n')}`,
    `${text}\n${signed.replace('\n', '\r\n')}`,
    `te\txt\n\n${signed}`,
    `te\0xt\n\n${signed}`,
    `te\ud800xt\n\n${signed}`,
    `${text}\n— log.example AAAA\n`,
    `${text}\n— log.example AAAAAAA\n`,
    `${text}\n— log+example AAAAAAAA\n`,
    `${text}\n—  AAAAAAAA\n`,
    `${text}\n— log\u2003example AAAAAAAA\n`,
  ];
  for (const note of malformed)
    t.strictSame(openNote(note, [key]), { ok: false, reason: 'malformed_note' }, JSON.stringify(note));
  t.match(parseNote(`${text}\n${signed.repeat(100)}`), { ok: true });
  t.strictSame(parseNote(`${text}\n${signed.repeat(101)}`), { ok: false, reason: 'too_many_signatures' });
  t.strictSame(parseNote(`${'x'.repeat(1_000_001)}\n\n${signed}`), { ok: false, reason: 'note_too_long' });
  t.equal(parseSignatureLine(signed), undefined, 'a line without its end');
  t.equal(parseSignatureLine(signed.trimEnd())?.name, 'log.example');

  const vkey = key.text;
  const [name = '', id = '', ...rest] = vkey.split('+');
  const encoded = rest.join('+');
  const badKeys: readonly (readonly [string, string])[] = [
    ['', 'malformed_key'],
    ['a', 'malformed_key'],
    [`+${id}+${encoded}`, 'malformed_key'],
    [` ${vkey}`, 'malformed_key'],
    [`${vkey} `, 'malformed_key'],
    [`${vkey}\n`, 'malformed_key'],
    [`${name}+${id}+${encoded}A`, 'malformed_key'],
    [`other+${id}+${encoded}`, 'key_id_wrong'],
    [`${name}+00000000+${encoded}`, 'key_id_wrong'],
    [`${name}+${id}+${Buffer.alloc(33, 2).toString('base64')}`, 'key_type_unknown'],
    [`${name}+${id}+${Buffer.alloc(32, 1).toString('base64')}`, 'malformed_key'],
    [`${name}+${id}+${Buffer.alloc(34, 1).toString('base64')}`, 'malformed_key'],
    [`${'n'.repeat(1000)}+${id}+${encoded}`, 'malformed_key'],
  ];
  for (const [bad, reason] of badKeys) t.strictSame(parseVerifierKey(bad), { ok: false, reason }, bad.slice(0, 60));

  const note = `${text}\n${signed}`;
  fc.assert(
    fc.property(fc.nat(note.length - 1), fc.string({ unit: 'binary', minLength: 1, maxLength: 2 }), (at, put) => {
      const changed = note.slice(0, at) + put + note.slice(at + 1);
      const opened = openNote(changed, [key]);
      return changed === note || !opened.ok;
    }),
    { seed: 20261122, numRuns: 500 },
  );
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom(...Array.from('— a+\nA=')), maxLength: 60 }),
      (one, two) => {
        parseNote(one);
        parseNote(`${one}\n\n${two}`);
        parseVerifierKey(one);
        parseVerifierKey(two);
        parseSignatureLine(two);
        return true;
      },
    ),
    { seed: 20261122, numRuns: 500 },
  );
  t.end();
});
