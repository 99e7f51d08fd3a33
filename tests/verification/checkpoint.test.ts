import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import {
  decodeHash,
  decodeHashes,
  decodeSize,
  formatCheckpoint,
  parseCheckpoint,
} from '../../src/verification/checkpoint.ts';
import { appendLeaf, emptyEdge, leafHash, rootOfEdge } from '../../src/verification/merkle.ts';
import { openNote, parseVerifierKey, type VerifierKey } from '../../src/verification/signed-note.ts';

const read = (path: string): unknown =>
  JSON.parse(readFileSync(new URL(`../vectors/${path}`, import.meta.url), 'utf8'));
const { notes, log } = read('valid/signed-notes.json') as {
  readonly notes: readonly {
    readonly what: string;
    readonly vkey: string;
    readonly text: string;
    readonly line: string;
  }[];
  readonly log: {
    readonly vkey: string;
    readonly origin: string;
    readonly entries: readonly string[];
    readonly roots: readonly string[];
    readonly lines: Readonly<Record<string, string>>;
  };
};
const { signature_invalid: wrong } = read('invalid/note-signature.json') as {
  readonly signature_invalid: readonly {
    readonly what: string;
    readonly vkey: string;
    readonly origin: string;
    readonly goodOrigin: string;
    readonly size: number;
    readonly root: string;
    readonly line: string;
  }[];
};

function keyOf(text: string): VerifierKey {
  const parsed = parseVerifierKey(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.value;
}

await t.test('the checkpoint of the Go checksum database, whose key is not named like its origin', (t) => {
  const sum = notes.find(({ what }) => what === 'sum.golang.org');
  const opened = openNote(`${sum?.text}\n${sum?.line}\n`, [keyOf(sum?.vkey ?? '')]);
  const parsed = parseCheckpoint(opened.ok ? opened.value.text : '');
  t.match(parsed, { ok: true, value: { origin: 'go.sum database tree', size: 30_055_305 } });
  t.equal(parsed.ok && formatCheckpoint(parsed.value), sum?.text);
  t.end();
});

await t.test('the example of the specifications is signed by another log over another origin', (t) => {
  for (const { what, vkey, origin, goodOrigin, size, root, line } of wrong) {
    const noteOf = (name: string) =>
      `${formatCheckpoint({ origin: name, size, root: Buffer.from(root, 'base64') })}\n${line}\n`;
    t.strictSame(openNote(noteOf(origin), [keyOf(vkey)]), { ok: false, reason: 'signature_invalid' }, what);
    t.ok(openNote(noteOf(goodOrigin), [keyOf(vkey)]).ok);
  }
  t.end();
});

await t.test('a whole published log: every root from its entries, its signed heads', (t) => {
  const edge = emptyEdge();
  const key = keyOf(log.vkey);
  for (const [size, expected] of log.roots.entries()) {
    const root = rootOfEdge(edge);
    t.equal(root.toString('base64'), expected, `size ${size}`);
    const line = log.lines[String(size)];
    if (line !== undefined) {
      const opened = openNote(`${formatCheckpoint({ origin: log.origin, size, root })}\n${line}\n`, [key]);
      t.ok(opened.ok, `signature of size ${size}`);
    }
    appendLeaf(edge, leafHash(Buffer.from(log.entries[size] ?? '')));
  }
  t.end();
});

await t.test('the form of a checkpoint', (t) => {
  const root = 'HA5HAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=';
  const good = `example.org/log\n10\n${root}\n`;
  t.match(parseCheckpoint(good), { ok: true, value: { origin: 'example.org/log', size: 10 } });
  t.match(parseCheckpoint(`${good}extension\n`), { ok: true, value: { size: 10 } }, 'extension lines are passed over');
  t.match(parseCheckpoint(`o\n0\n${root}\n`), { ok: true, value: { size: 0 } });
  t.match(parseCheckpoint(`o\n${Number.MAX_SAFE_INTEGER}\n${root}\n`), { ok: true });
  for (const size of [Number.MAX_SAFE_INTEGER + 1, '18446744073709551615', '99999999999999999999']) {
    t.strictSame(parseCheckpoint(`o\n${size}\n${root}\n`), { ok: false, reason: 'size_too_large' }, String(size));
  }
  const malformed = [
    '',
    '\n',
    'o\n',
    'o\n1\n',
    `o\n1\n${root}`,
    `\n1\n${root}\n`,
    `o\n\n${root}\n`,
    `o\n01\n${root}\n`,
    `o\n-1\n${root}\n`,
    `o\n1.0\n${root}\n`,
    `o\n1e1\n${root}\n`,
    `o\n 1\n${root}\n`,
    `o\n+1\n${root}\n`,
    `o\n0x1\n${root}\n`,
    `o\n١\n${root}\n`,
    `o\n1\n${root} \n`,
    `o\n1\n${root.slice(0, -1)}\n`,
    `o\n1\nHA5HAAAA\n`,
    `o\n1\n${root.replace('=', 'A=')}\n`,
    `${good}\n`,
    `${good}a\n\n`,
    `o\n1\n${root.replace('A=', 'B=')}\n`,
    `o\n1${'0'.repeat(1000)}\n${root}\n`,
  ];
  for (const text of malformed) {
    t.strictSame(
      parseCheckpoint(text),
      { ok: false, reason: 'malformed_checkpoint' },
      JSON.stringify(text.slice(0, 80)),
    );
  }
  t.strictSame(
    [decodeSize('0'), decodeSize('12'), decodeSize('00'), decodeSize(''), decodeSize('9007199254740992')],
    [0, 12, undefined, undefined, undefined],
  );
  t.equal(decodeHash(root)?.length, 32);
  t.equal(decodeHashes([root, `${root} `]), undefined);
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(...Array.from('o01\n=A')), maxLength: 80 }),
      fc.string({ unit: 'binary' }),
      (one, two) => {
        for (const text of [one, two, `o\n${one}\n${root}\n`, `${two}\n1\n${root}\n`]) {
          const parsed = parseCheckpoint(text);
          if (parsed.ok && !text.startsWith(formatCheckpoint(parsed.value))) return false;
        }
        return true;
      },
    ),
    { seed: 20261122, numRuns: 500 },
  );
  t.end();
});
