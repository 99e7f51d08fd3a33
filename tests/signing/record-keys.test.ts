import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { recordKinds } from '../../src/audit/entry.ts';
import { erasableKinds } from '../../src/audit/erasure/erasure.ts';
import { recordKeyKinds } from '../../src/signing/data-keys.ts';
import { initKeys } from '../../src/signing/init-keys.ts';
import { KeyFileError } from '../../src/signing/key-file-error.ts';
import { loadKeys, loadManifest } from '../../src/signing/key-store.ts';
import { recordKeyMonthsLeft } from '../../src/signing/record-keys.ts';
import { destroyRecordKeys, rotateKeys } from '../../src/signing/rotate-keys.ts';

const from = new Date('2026-11-22T00:00:00Z');
const [aad, body] = [Buffer.from('commitment'), Buffer.from('body')];

async function freshKeys(): Promise<string> {
  const directory = join(mkdtempSync(join(tmpdir(), 'certhub-record-keys-')), 'keys');
  await initKeys({ directory, city: '示范市', departments: [], from, now: from });
  return directory;
}
const load = (directory: string) => loadKeys(directory, { mode: 'production' });
const tampered = { code: 'stored_data_tampered' };

void t.test('kinds with keys of their own are the erasable ones, by the numbers of the log', async (t) => {
  t.strictSame(Object.keys(recordKeyKinds), [...erasableKinds]);
  for (const [kind, number] of Object.entries(recordKeyKinds)) t.equal(recordKinds[kind as 'access'], number);
});

void t.test('new keys cover this month and 36 more, one per kind', async (t) => {
  const directory = await freshKeys();
  const keys = load(directory);
  t.equal(keys.recordKeys.length, 37 * 4);
  t.match(keys.recordKeys[0], { month: '2026-11', state: 'active' });
  t.match(keys.recordKeys.at(-1), { month: '2029-11' });
  t.equal(recordKeyMonthsLeft(keys.recordKeys, from), 37);
  t.equal(recordKeyMonthsLeft(keys.recordKeys, new Date('2029-10-31T23:59:59Z')), 2);
  t.equal(recordKeyMonthsLeft(keys.recordKeys, new Date('2029-12-01T00:00:00Z')), 0);
  t.equal(recordKeyMonthsLeft([], from), 0);
  const secrets = loadManifest(directory).recordKeys?.map(({ file }) => readFileSync(join(directory, file), 'utf8'));
  t.equal(new Set(secrets).size, 37 * 4, 'each its own');

  const box = keys.recordBox('2026-11', 'access').seal(aad, body);
  t.strictSame([box[0], box[1]], [2, 1], 'the head names the kind');
  t.strictSame(keys.recordBox('2026-11').open(aad, box), body, 'who opens need not know the kind');
  t.equal(keys.recordBox('2026-11').isDestroyed(box), false);
  t.throws(() => keys.recordBox('2026-12').open(aad, box), tampered, 'bound to its month');
  const relabelled = Buffer.from(box);
  relabelled[1] = 2;
  t.throws(() => keys.recordBox('2026-11').open(aad, relabelled), tampered, 'and kind');
  relabelled[1] = 9;
  t.throws(() => keys.recordBox('2026-11').open(aad, relabelled), tampered);
  t.equal(keys.recordBox('2026-11', 'erasure').seal(aad, body)[0], 1, 'evidence is under a key that stays');
  t.equal(keys.recordBox('2026-10', 'access').seal(aad, body)[0], 1, 'a month without a key has a derived one');
});

void t.test('rotation adds 36 months, and bodies from before month keys still open', async (t) => {
  const directory = await freshKeys();
  const path = join(directory, 'manifest.json');
  const { recordKeys: _none, ...old } = loadManifest(directory);
  writeFileSync(path, JSON.stringify(old));
  rmSync(join(directory, 'records'), { recursive: true });
  const before = load(directory);
  t.strictSame(before.recordKeys, [], 'a manifest without them is as valid as ever');
  const early = before.recordBox('2026-11', 'access').seal(aad, body);
  const change = await rotateKeys({ directory, use: 'records', now: from });
  t.match(change, { added: 'record keys of 2026-11 to 2029-11', retired: undefined });
  const after = load(directory);
  t.strictSame(after.recordBox('2026-11').open(aad, early), body);
  t.equal(after.recordBox('2026-11', 'access').seal(aad, body)[0], 2);
  const late = after.recordBox('2026-11', 'access').seal(aad, body);
  t.throws(() => before.recordBox('2026-11').open(aad, late), tampered, 'a process without the file invents nothing');
  t.match(await rotateKeys({ directory, use: 'records', now: from }), { added: 'record keys of 2029-12 to 2032-11' });
  t.equal(load(directory).recordKeys.length, (37 + 36) * 4);
  t.strictSame(load(directory).recordBox('2026-11').open(aad, late), body);
  const years = await rotateKeys({ directory, use: 'records', now: new Date('2040-05-01T00:00:00Z') });
  t.match(years, { added: 'record keys of 2040-05 to 2043-05' }, 'months that had none stay as they are');
});

void t.test('a destroyed key is gone, and what it sealed is told from tampering', async (t) => {
  const directory = await freshKeys();
  const before = load(directory);
  const box = before.recordBox('2026-11', 'access').seal(aad, body);
  const other = before.recordBox('2026-11', 'certificate').seal(aad, body);
  const input = { directory, month: '2026-11', kinds: ['access', 'audit_read'] };
  await t.rejects(destroyRecordKeys({ ...input, now: from }), /2026-11 is not over/);
  await t.rejects(destroyRecordKeys({ ...input, month: '2027-01', now: from }), /2027-01 is not over/);
  const later = new Date('2027-01-01T00:00:00Z');
  await t.rejects(destroyRecordKeys({ ...input, month: '2025-01', now: later }), /has no record key of 2025-01/);
  const files = ['records/2026-11-access.hex', 'records/2026-11-audit-read.hex'].map((file) => join(directory, file));
  const change = await destroyRecordKeys({ ...input, now: later });
  t.match(change.retired, 'records/2026-11-access.hex');
  for (const file of files) t.equal(existsSync(file), false);
  const after = load(directory);
  t.match(
    after.recordKeys.filter(({ month, state }) => month === '2026-11' && state === 'destroyed').map(({ kind }) => kind),
    ['access', 'audit_read'],
  );
  const ofMonth = after.recordBox('2026-11');
  t.equal(ofMonth.isDestroyed(box), true);
  t.throws(() => ofMonth.open(aad, box), tampered);
  t.equal(ofMonth.isDestroyed(other), false);
  t.strictSame(ofMonth.open(aad, other), body, 'the other kinds stay readable');
  t.equal(ofMonth.isDestroyed(after.recordBox('2026-11', 'erasure').seal(aad, body)), false);
  t.throws(() => after.recordBox('2026-11', 'access').seal(aad, body), /has been destroyed/);
  t.throws(() => after.recordBox('2026-10').isDestroyed(box) || after.recordBox('2026-10').open(aad, box), tampered);

  writeFileSync(files[0] ?? '', 'left by a crash', { mode: 0o600 });
  await destroyRecordKeys({ ...input, now: later });
  t.equal(existsSync(files[0] ?? ''), false, 'a second call finishes what a crash left');
});

void t.test('record key files are checked like every other', async (t) => {
  const directory = await freshKeys();
  const fault = (): string => {
    try {
      load(directory);
      return '';
    } catch (error) {
      return error instanceof KeyFileError ? error.message : String(error);
    }
  };
  const file = join(directory, 'records/2026-12-access.hex');
  chmodSync(file, 0o640);
  t.match(fault(), /2026-12-access.hex: can be read or written by other accounts/);
  chmodSync(file, 0o600);
  const content = readFileSync(file);
  writeFileSync(file, 'ff');
  t.match(fault(), /2026-12-access.hex: is damaged/);
  rmSync(file);
  t.match(fault(), /2026-12-access.hex: is missing/, 'a hub whose copy of the folder is old does not start');
  writeFileSync(file, content, { mode: 0o600 });
  const path = join(directory, 'manifest.json');
  const text = readFileSync(path, 'utf8');
  type Entry = Record<string, unknown>;
  const cases: [RegExp, (keys: Entry[]) => void][] = [
    [/recordKeys\[0\].kind is unknown/, ([first]) => Object.assign(first ?? {}, { kind: 'erasure' })],
    [/recordKeys\[0\].month is malformed/, ([first]) => Object.assign(first ?? {}, { month: '2026-13' })],
    [/recordKeys\[0\].state is neither/, ([first]) => Object.assign(first ?? {}, { state: 'retired' })],
    [/recordKeys\[0\].file is malformed/, ([first]) => Object.assign(first ?? {}, { file: '../x' })],
    [/two keys for one kind/, (keys) => keys.push({ ...keys[0], file: 'records/other.hex' })],
    [/a file is used twice/, ([first, second]) => Object.assign(second ?? {}, { file: first?.['file'] })],
  ];
  for (const [reason, change] of cases) {
    const manifest = JSON.parse(text) as { recordKeys: Entry[] };
    change(manifest.recordKeys);
    writeFileSync(path, JSON.stringify(manifest));
    t.match(fault(), reason);
  }
});
