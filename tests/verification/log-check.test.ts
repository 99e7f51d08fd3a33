import t from 'tap';
import { newNoteKey, signNote } from '../../src/signing/note-sign.ts';
import { formatCheckpoint } from '../../src/verification/checkpoint.ts';
import { checkLog } from '../../src/verification/log-check.ts';
import { type LogPolicy, parseLogPolicy } from '../../src/verification/log-policy.ts';
import type { LogReport, OlderCheckpoint } from '../../src/verification/log-report.ts';
import { decodeBundle, encodeBundle } from '../../src/verification/tiles.ts';
import { localLog, localRecord, noteOf, policyText, rootOf, tilesOf } from './local-log.ts';

function policyOf(text: string): LogPolicy {
  const parsed = parseLogPolicy(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.value;
}

// Two full tiles of level 1's hashes would take 131,072 leaves: one partial level 1 tile is enough of a tree for every branch but one.
const log = localLog(
  Array.from({ length: 700 }, (_, at) => localRecord(at)),
  { witnesses: 1 },
);
const policy = policyOf(policyText(log));
const files = tilesOf(log);
files.set('checkpoint', Buffer.from(noteOf(log)));

async function check(
  changed: Map<string, Buffer | undefined> = new Map(),
  older: OlderCheckpoint[] = [],
): Promise<LogReport> {
  const all = new Map<string, Buffer | undefined>([...files, ...changed]);
  return checkLog({ read: async (path) => all.get(path) }, policy, older);
}
const found = ({ findings }: LogReport): string[] =>
  findings.map(({ file, index, code }) => `${code} ${file}${index === undefined ? '' : ` ${index}`}`);

function flipped(path: string, at: number): Map<string, Buffer> {
  const bytes = Buffer.from(files.get(path) ?? '');
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return new Map([[path, bytes]]);
}

await t.test('a true log is accepted with every older checkpoint of it', async (t) => {
  const older = [1, 255, 256, 257, 512, 699, 700].map((size) => ({ file: `c${size}`, note: noteOf(log, size, 0) }));
  const report = await check(new Map(), older.toReversed());
  t.same(found(report), []);
  t.match(report, { leaves: 700, judged: { checkpoint: { size: 700 }, quorum: true } });
  t.same(
    report.consistentWith.map(({ size }) => size),
    [1, 255, 256, 257, 512, 699, 700],
  );
  // a narrow tile that was let go once the full one existed
  const small = localLog(log.records.slice(0, 300));
  const wide = new Map([...files].filter(([path]) => !path.includes('.p/')));
  wide.set('checkpoint', Buffer.from(noteOf(small)));
  wide.set('tile/1/000.p/1', tilesOf(small).get('tile/1/000.p/1') ?? Buffer.alloc(0));
  t.same(found(await checkLog({ read: async (path) => wide.get(path) }, policyOf(policyText(small)), [])), []);
  const empty = localLog([]);
  const nothing = await checkLog({ read: async () => Buffer.from(noteOf(empty)) }, policyOf(policyText(empty)), []);
  t.same([found(nothing), nothing.leaves], [[], 0]);
});

await t.test('every change is found, and the file and leaf are named', async (t) => {
  t.same(found(await check(flipped('tile/entries/001', 36 * 5 + 20))), [
    'leaf_differs tile/0/001 261',
    'entries_differ_from_root checkpoint',
  ]);
  t.same(found(await check(flipped('tile/0/000', 32 * 7))), [
    'leaf_differs tile/0/000 7',
    'tiles_differ_from_root checkpoint',
  ]);
  t.same(found(await check(flipped('tile/1/000.p/2', 40))), ['tile_differs tile/1/000.p/2 1']);
  t.same(found(await check(new Map([['tile/0/001', undefined]]))), ['file_missing tile/0/001']);
  t.same(found(await check(new Map([['tile/entries/001', undefined]]))), ['file_missing tile/entries/001']);
  t.same(found(await check(new Map([['tile/1/000.p/2', undefined]]))), ['file_missing tile/1/000.p/2']);
  const gone = await check(
    new Map([
      ['tile/entries/001', undefined],
      ['tile/0/001', undefined],
    ]),
    [{ file: 'c', note: noteOf(log, 600) }],
  );
  t.same([found(gone), gone.consistentWith], [['file_missing tile/entries/001', 'file_missing tile/0/001'], []]);
  t.same(found(await check(flipped('tile/entries/002.p/188', 0)))[0], 'bundle_malformed tile/entries/002.p/188');
  t.same(found(await check(flipped('tile/entries/002.p/188', 2)))[0], 'entry_malformed tile/entries/002.p/188 512');
  const last = decodeBundle(files.get('tile/entries/002.p/188') ?? Buffer.alloc(0)) ?? [];
  const [one = Buffer.alloc(0)] = last;
  for (const entries of [[...last, one], last.slice(1), [...last, Buffer.alloc(9_999)]]) {
    t.same(found(await check(new Map([['tile/entries/002.p/188', encodeBundle(entries)]]))), [
      'bundle_malformed tile/entries/002.p/188',
    ]);
  }
  t.same(found(await check(new Map([['tile/0/000', Buffer.alloc(31)]]))), ['file_length tile/0/000']);
  t.same(found(await check(new Map([['checkpoint', undefined]]))), ['checkpoint_missing checkpoint']);
  t.equal(found(await check(flipped('checkpoint', 3)))[0], 'signature_invalid checkpoint');
  t.equal(
    found(await check(new Map([['checkpoint', Buffer.from(noteOf(log, 700, 0))]])))[0],
    'quorum_not_met checkpoint',
  );
  // both files changed alike: only the signed root tells
  const other = tilesOf(localLog(log.records.map((record, at) => (at === 300 ? localRecord(9999) : record))));
  t.same(found(await check(new Map(other))), ['root_differs checkpoint']);
});

await t.test('a checkpoint that is no UTF-8 is none, whatever a loose reader makes of it', async (t) => {
  const small = localLog(log.records.slice(0, 3));
  const text = `${formatCheckpoint({ origin: log.origin, size: 3, root: rootOf(small) })}\ufffd\n`;
  const key = newNoteKey(log.origin, 1).key;
  const trusting = policyOf(policyText({ ...small, key }));
  const bytes = Buffer.from(signNote(key, text));
  const checkNote = async (checkpoint: Buffer) => {
    const all = new Map([...tilesOf(small), ['checkpoint', checkpoint] as const]);
    return found(await checkLog({ read: async (path) => all.get(path) }, trusting, []));
  };
  t.same(await checkNote(bytes), [], 'the character itself may stand there');
  const mark = bytes.indexOf(Buffer.from('\ufffd'));
  const loose = Buffer.concat([bytes.subarray(0, mark), Buffer.from([0xff]), bytes.subarray(mark + 3)]);
  t.same(await checkNote(loose), ['malformed_note checkpoint']);
});

await t.test('any byte of any file', async (t) => {
  for (const [path, bytes] of files) {
    for (let at = 1; at < bytes.length; at += Math.ceil(bytes.length / 9)) {
      t.ok((await check(flipped(path, at))).findings.length > 0, `${path} ${at}`);
    }
  }
});

await t.test('older checkpoints tell a rewritten or cut history', async (t) => {
  const forked = { ...log, records: log.records.map((record, at) => (at === 100 ? localRecord(9999) : record)) };
  const older = [
    { file: 'same', note: noteOf(log, 90) },
    { file: 'fork', note: noteOf(forked, 500) },
    { file: 'before the fork', note: noteOf(forked, 100) },
    { file: 'stranger', note: noteOf(localLog(log.records), 50) },
    {
      file: 'larger',
      note: signNote(log.key, formatCheckpoint({ origin: log.origin, size: 701, root: Buffer.alloc(32) })),
    },
    { file: 'nonsense', note: 'nonsense' },
  ];
  const report = await check(new Map(), older);
  t.same(found(report).sort(), [
    'malformed_note nonsense',
    'older_differs fork',
    'older_is_larger larger',
    'unknown_log stranger',
  ]);
  t.same(report.consistentWith, [
    { file: 'same', size: 90 },
    { file: 'before the fork', size: 100 },
  ]);
  // entries changed, tiles not: the past is judged by what fits the signed root
  const tampered = await check(flipped('tile/entries/000', 36 * 5 + 20), [{ file: 'same', note: noteOf(log, 90) }]);
  t.same(tampered.consistentWith, [{ file: 'same', size: 90 }]);
});

await t.test('a claimed size of 2^53 - 1 is not walked', async (t) => {
  const text = formatCheckpoint({ origin: log.origin, size: Number.MAX_SAFE_INTEGER, root: Buffer.alloc(32) });
  const report = await checkLog(
    { read: async (path) => (path === 'checkpoint' ? Buffer.from(signNote(log.key, text)) : undefined) },
    policy,
    [],
  );
  t.equal(found(report).at(-1)?.split(' ')[0], 'gave_up');
  t.ok(report.files < 100, 'after a few missing files');
});
