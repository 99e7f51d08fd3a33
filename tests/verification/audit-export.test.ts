import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { recordKinds } from '../../src/audit/entry.ts';
import { erasedLeaf, exportKinds, openedLeaf } from '../../src/verification/audit-export.ts';
import { type ExportReport, startExportCheck } from '../../src/verification/audit-export-check.ts';
import { judgeErasures, noErasures, noteAct, noteErased } from '../../src/verification/audit-export-erasures.ts';
import { readLeaf } from '../../src/verification/audit-export-lines.ts';
import { scanOpened } from '../../src/verification/audit-export-scan.ts';
import { commitField, commitmentOfFields, type RecordField, recordFields } from '../../src/verification/commitment.ts';
import { type LogPolicy, parseLogPolicy } from '../../src/verification/log-policy.ts';
import {
  exportOf,
  type LocalLog,
  localLog,
  localRecord,
  noteOf,
  policyText,
  recordIdOf,
  type Show,
} from './local-log.ts';

const seed = 20261122;

function policyOf(text: string): LogPolicy {
  const parsed = parseLogPolicy(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.value;
}

/** What the record of a step of an erasure says; each approval is another officer's through another client. */
function stepOf(at: number, target: object, step: string, approvals: readonly number[] = [], more: object = {}) {
  const action = step === 'executed' ? 'executeErasure' : 'approveErasure';
  const detail = { erasureId: recordIdOf(500), step, target, approvals: approvals.map(recordIdOf), ...more };
  return { action, officer: { id: `officer-${at}` }, client: { clientId: `client-${at}` }, detail };
}

/** Records of an ordinary day, of which number 20 is the act that erased number 12. */
const records = Array.from({ length: 37 }, (_, at) =>
  at === 20 || at === 15 || at === 16
    ? localRecord(at, 5, stepOf(at, { recordId: recordIdOf(12) }, at === 20 ? 'executed' : 'approved', [15, 16]))
    : localRecord(at, at % 5 === 4 ? 2 : 1),
);
const log = localLog(records, { witnesses: 3 });
const policy = policyOf(policyText(log, 2));

function check(file: string | Buffer, by: LogPolicy = policy, pieces = 1): ExportReport {
  const bytes = Buffer.from(file);
  const checking = startExportCheck(by);
  const step = Math.max(1, Math.ceil(bytes.length / pieces));
  for (let at = 0; at < bytes.length; at += step) checking.feed(bytes.subarray(at, at + step));
  return checking.end();
}
const codes = (report: ExportReport): string[] => report.findings.map(({ code }) => code);

/** A trailer that fits the lines before it: what somebody who falsifies a file would write. */
function resealed(lines: readonly string[]): string {
  const body = lines.map((line) => `${line}\n`).join('');
  const states = lines.slice(1).map((line) => (JSON.parse(line) as { state: string }).state);
  const count = (state: string): number => states.filter((each) => each === state).length;
  const counts = {
    leaves: states.length,
    opened: count('opened'),
    redacted: count('redacted'),
    erased: count('erased'),
  };
  const sha256 = createHash('sha256').update(body).digest('hex');
  return `${body}${JSON.stringify({ end: true, ...counts, sha256 })}\n`;
}
const linesOf = (file: string): string[] => file.split('\n').slice(0, -2);

const mixed = (index: number): Show => {
  if (index === 12) return { erased: recordIdOf(20) };
  if (index % 7 === 3) return 'redacted';
  return index % 4 === 1 ? { only: ['recordedAt', 'kind', 'action', 'subjects'] } : 'opened';
};
const range = await exportOf(log, { kind: 'range', begin: 9, end: 24 }, mixed);
const single = await exportOf(log, { kind: 'records', of: [3, 12, 17, 20, 36] }, mixed);

await t.test('kinds are numbered as the hub numbers them', async (t) => {
  t.same(Object.fromEntries(Object.entries(recordKinds).map(([name, kind]) => [kind, name])), exportKinds);
});

await t.test('a true export is accepted, in whatever pieces it arrives', async (t) => {
  for (const pieces of [1, 2, 7, 1000]) {
    const report = check(range, policy, pieces);
    t.same(report.findings, []);
    t.match(report, { leaves: 15, opened: 12, redacted: 2, erased: 1, erasuresShown: 1, erasuresNotShown: [] });
    t.match(report.judged, {
      checkpoint: { size: 37, origin: log.origin },
      cosignedBy: ['w0', 'w1', 'w2'],
      quorum: true,
    });
  }
  t.match(check(single), { findings: [], leaves: 5, opened: 2, redacted: 2, erased: 1, erasuresShown: 0 });
  for (const [begin, end] of [
    [0, 37],
    [0, 1],
    [36, 37],
    [31, 33],
    [16, 32],
  ] as const) {
    const file = await exportOf(log, { kind: 'range', begin, end }, () => 'opened');
    t.same(check(file).findings, [], `${begin}–${end}`);
  }
  t.same(check(await exportOf(log, { kind: 'records', of: [] })).findings, [], 'nothing found is an answer too');
  t.same(
    check(await exportOf(log, { kind: 'range', begin: 2, end: 9 }, mixed, 30)).findings,
    [],
    'an older checkpoint',
  );
});

await t.test('any change of a single byte is refused', async (t) => {
  for (const file of [Buffer.from(range), Buffer.from(single)]) {
    let accepted = 0;
    // every byte of the end, which no hash covers, and samples of the rest
    for (let at = 0; at < file.length; at += at < file.length - 200 ? 13 : 1) {
      const changed = Buffer.from(file);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      if (check(changed).findings.length === 0) accepted++;
    }
    t.equal(accepted, 0);
  }
  fc.assert(
    fc.property(
      fc.nat(range.length),
      fc.integer({ min: 1, max: 255 }),
      fc.constantFrom('change', 'insert', 'remove'),
      (place, by, how) => {
        const file = Buffer.from(range);
        const at = place % file.length;
        const rest = file.subarray(how === 'insert' ? at : at + 1);
        const middle = how === 'remove' ? [] : [Buffer.from([how === 'insert' ? by : (file[at] ?? 0) ^ by])];
        const changed = Buffer.concat([file.subarray(0, at), ...middle, rest]);
        return changed.equals(file) || check(changed).findings.length > 0;
      },
    ),
    { seed, numRuns: 500 },
  );
});

await t.test('lines removed, repeated, swapped or cut off are refused, and the place is named', async (t) => {
  const lines = linesOf(range);
  const without = [...lines.slice(0, 5), ...lines.slice(6)];
  t.match(check(resealed(without)).findings, [{ line: 6, index: 14, code: 'leaf_missing', en: /\(13\)/ }]);
  const twice = [...lines.slice(0, 6), ...lines.slice(5)];
  t.match(check(resealed(twice)).findings, [{ line: 7, index: 13, code: 'leaf_repeated' }]);
  const swapped = [...lines.slice(0, 5), lines[6] ?? '', lines[5] ?? '', ...lines.slice(7)];
  t.match(codes(check(resealed(swapped))), ['leaf_missing', 'leaf_order']);
  t.match(check(resealed(lines.slice(0, -2))).findings, [{ code: 'leaves_missing_at_end', en: /\(22–23\)/ }]);
  t.same(codes(check(range.slice(0, range.lastIndexOf('{"end"')))), ['trailer_missing']);
  t.same(codes(check(range.slice(0, -1))), ['line_unfinished', 'trailer_missing']);
  t.same(codes(check(range.slice(0, 2000))).at(-1), 'trailer_missing');
  for (const more of ['\n', ' ', '{}\n', range, `${lines[1]}\n`]) {
    t.same(codes(check(range + more)), ['data_after_end'], JSON.stringify(more.slice(0, 9)));
  }
  t.same(codes(check('')), ['file_empty']);
  t.same(codes(check(`${lines[1]}\n${range}`)), ['header_shape']);

  const leaves = linesOf(single);
  t.match(check(resealed([...leaves.slice(0, 3), ...leaves.slice(2)])).findings, [{ line: 4, code: 'leaf_repeated' }]);
  const turned = [leaves[0] ?? '', ...leaves.slice(1).reverse()];
  t.equal(codes(check(resealed(turned)))[0], 'leaf_order');
  t.same(codes(check(single.replace('"opened":2', '"opened":3'))), ['counts_differ']);

  fc.assert(
    fc.property(
      fc.constantFrom(range, single),
      fc.nat(),
      fc.nat(),
      fc.constantFrom('drop', 'repeat', 'swap'),
      (file, one, other, how) => {
        const all = linesOf(file);
        const [from, to] = [1 + (one % (all.length - 1)), 1 + (other % (all.length - 1))];
        const [first = '', second = ''] = [all[from], all[to]];
        const changed = [...all];
        if (how === 'drop') changed.splice(from, 1);
        if (how === 'repeat') changed.splice(to, 0, first);
        if (how === 'swap') [changed[from], changed[to]] = [second, first];
        const isSame = changed.join() === all.join();
        // of single records one may be left out, resealed or not: what is missing there nobody can see
        return isSame || (how === 'drop' && file === single) || check(resealed(changed)).findings.length > 0;
      },
    ),
    { seed, numRuns: 300 },
  );
});

/** A line as a forger sees it. */
interface Loose {
  [name: string]: unknown;
  readonly fields: { readonly officer: { salt: string; canonical: string } };
  readonly hidden: { officer: string };
  readonly path: string[];
  readonly right: string[];
}

/** The file with one member of a line replaced, and a trailer that fits. */
function forged(file: string, line: number, change: (leaf: Loose) => unknown): string {
  const lines = linesOf(file);
  const parsed = JSON.parse(lines[line - 1] ?? '') as Loose;
  const changed = change(parsed) ?? parsed;
  lines[line - 1] = typeof changed === 'string' ? changed : JSON.stringify(changed);
  return resealed(lines);
}
const other = Buffer.alloc(32, 7);

await t.test('what was falsified with care, hash and counts included, is refused at its line', async (t) => {
  const opened = 2; // leaf 9: two fields of it hidden
  const cases: readonly [what: string, file: string, finding: object][] = [
    [
      'a field',
      forged(single, 5, (l) => void (l.fields.officer.canonical = '{"id":"officer-1"}')),
      { line: 5, index: 20, code: 'commitment_differs' },
    ],
    [
      'a salt',
      forged(single, 5, (l) => void (l.fields.officer.salt = other.toString('base64url'))),
      { code: 'commitment_differs' },
    ],
    [
      'a hidden commitment',
      forged(range, opened, (l) => void (l.hidden.officer = other.toString('base64url'))),
      { index: 9, code: 'commitment_differs' },
    ],
    ['the record id', forged(single, 5, (l) => void (l['recordId'] = recordIdOf(4))), { code: 'commitment_differs' }],
    ['the index', forged(single, 5, (l) => void (l['index'] = 21)), { index: 21, code: 'not_included' }],
    ['an index too great', forged(single, 6, (l) => void (l['index'] = 37)), { index: 37, code: 'leaf_outside' }],
    ['the kind', forged(single, 5, (l) => void (l['kind'] = 1)), { code: 'kind_differs' }],
    [
      'the path',
      forged(single, 5, (l) => void (l.path[1] = other.toString('base64'))),
      { index: 20, code: 'not_included' },
    ],
    ['a path cut', forged(single, 5, (l) => void l.path.pop()), { code: 'not_included' }],
    [
      'a redacted entry',
      forged(single, 2, (l) => void (l['entry'] = records[4]?.entry.toString('base64'))),
      { code: 'not_included' },
    ],
    [
      'a redacted entry of a range',
      forged(range, 3, (l) => void (l['entry'] = records[4]?.entry.toString('base64'))),
      { code: 'range_root_differs' },
    ],
    ['the range', forged(range, 1, (l) => void (l['begin'] = 8)), { code: 'range_impossible' }],
    [
      'the right edge',
      forged(range, 1, (l) => void (l.right[0] = other.toString('base64'))),
      { code: 'range_root_differs' },
    ],
    ['the left edge', forged(range, 1, (l) => void (l['left'] = [])), { code: 'range_impossible' }],
    ['the size', forged(range, 1, (l) => void (l['size'] = 38)), { line: 1, code: 'header_differs' }],
    ['the origin', forged(range, 1, (l) => void (l['origin'] = 'other.example/log')), { code: 'header_differs' }],
    [
      'another act of erasure',
      forged(single, 3, (l) => void (l['erasure'] = recordIdOf(36))),
      { line: 3, index: 12, code: 'erasure_wrong' },
    ],
    [
      'a leaf shown as erased',
      forged(range, 3, (l) => ({
        index: 10,
        recordId: recordIdOf(10),
        entry: l['entry'],
        state: 'erased',
        erasure: null,
      })),
      {},
    ],
  ];
  for (const [what, file, finding] of cases) {
    const { findings, erasuresNotShown } = check(file);
    if (what === 'a leaf shown as erased')
      t.same([findings, erasuresNotShown], [[], [{ index: 10, erasure: null }]], what);
    else
      t.ok(
        findings.some((each) =>
          Object.entries(finding).every(([k, v]) => Object.entries(each).some(([n, w]) => n === k && w === v)),
        ),
        `${what}: ${JSON.stringify(findings.map(({ line, index, code }) => [line, index, code]))}`,
      );
  }
});

await t.test('an erased leaf bears the id of another record: the place in the act tells', async (t) => {
  const shownBy = async (at: number, leafIndex: number | undefined, erased: number): Promise<unknown> => {
    const target = { recordId: recordIdOf(99) };
    const rows = Array.from({ length: 6 }, (_, each) => localRecord(each));
    for (const each of [0, 3]) rows[each] = localRecord(each, 5, stepOf(each, target, 'approved'));
    const more = leafIndex === undefined ? {} : { leafIndex };
    rows[at] = localRecord(at, 5, stepOf(at, target, 'executed', [0, 3], more));
    // The id of an erased leaf is not proved by anything: whoever writes the file may give it any.
    rows[erased] = { ...localRecord(erased), recordId: recordIdOf(99) };
    const small = localLog(rows);
    const file = await exportOf(small, { kind: 'range', begin: 0, end: 6 }, (index) =>
      index === erased ? { erased: recordIdOf(at) } : 'opened',
    );
    const { findings, erasuresShown } = check(file, policyOf(policyText(small)));
    return [findings.map(({ index, code }) => `${index} ${code}`).join(), erasuresShown];
  };
  t.same(await shownBy(4, 2, 2), ['', 1]);
  t.same(await shownBy(4, 1, 2), ['2 erasure_wrong', 0], 'the record of leaf 1 was erased');
  t.same(await shownBy(2, undefined, 4), ['4 erasure_wrong', 0], 'erased before it was recorded');
});

await t.test('an erased leaf is covered only by an act that says so', async (t) => {
  const june = Date.UTC(2024, 5, 10).toString(16).padStart(12, '0');
  const idIn = (at: number): string => `${june.slice(0, 8)}-${june.slice(8)}-7000-8000-${String(at).padStart(12, '0')}`;
  const month = { month: '2024-06', kinds: ['access'] };
  const decision = (at: number, step = 'approved', by = at, target: object = month) =>
    localRecord(at, 5, stepOf(by, target, step));
  let decisions = [decision(7), decision(8)];
  const shownBy = async (values: object, kind = 5, only?: readonly RecordField[]): Promise<unknown> => {
    const erased = [0, 1].map((at) => ({ ...localRecord(at), recordId: idIn(at) }));
    const act = localRecord(3, kind, values);
    const small = localLog([...erased, ...decisions, act]);
    const end = small.records.length;
    const file = await exportOf(small, { kind: 'range', begin: 0, end }, (index) => {
      if (index < 2) return { erased: recordIdOf(3) };
      return only === undefined || index < end - 1 ? 'opened' : { only };
    });
    const { findings, erasuresShown, erasuresNotShown } = check(file, policyOf(policyText(small)));
    return [findings.map(({ line, code }) => `${line} ${code}`).join(), erasuresShown, erasuresNotShown.length];
  };
  const act = (target: object, step = 'executed') => {
    const { detail } = stepOf(3, target, step, [7, 8]);
    return { action: 'executeErasure', detail };
  };
  t.same(await shownBy(act(month)), ['', 2, 0]);
  t.same(await shownBy(act(month), 5, ['recordedAt', 'kind']), ['', 0, 1], 'its content is hidden');
  t.same(await shownBy(act({ ...month, month: '2024-07' })), ['2 erasure_wrong', 0, 0], 'another month');
  t.same(await shownBy(act({ ...month, kinds: ['registry'] })), ['2 erasure_wrong', 0, 0], 'other kinds');
  t.same(await shownBy(act({ recordId: idIn(0) })), ['2 erasure_wrong', 0, 0], 'one record, not two');
  t.same(await shownBy(act(month, 'approved')), ['2 erasure_wrong', 0, 0]);
  t.same(await shownBy({ ...act(month), action: 'approveErasure' }), ['2 erasure_wrong', 0, 0]);
  t.same(await shownBy(act(month), 4), ['2 erasure_wrong', 0, 0], 'no act at all');
  const second = (by: object) => localRecord(8, 5, { ...stepOf(8, month, 'approved'), ...by });
  const notApproved = ['2 erasure_not_approved', 0, 0];
  const judged: readonly (readonly [string, typeof decisions, unknown])[] = [
    ['one approval is not in the file', [decision(7)], ['', 0, 1]],
    ['both are of one officer', [decision(7), second({ officer: { id: 'officer-7' } })], notApproved],
    ['both are of one client', [decision(7), second({ client: { clientId: 'client-7' } })], notApproved],
    ['of another target', [decision(7), decision(8, 'approved', 8, {})], notApproved],
    ['rejected', [decision(7), decision(8), decision(9, 'rejected')], notApproved],
  ];
  for (const [what, made, expected] of judged) {
    decisions = made;
    t.same(await shownBy(act(month)), expected, what);
  }
});

await t.test('an act covers no kind that it cannot name', async (t) => {
  const april = Date.UTC(2024, 3, 10).toString(16).padStart(12, '0');
  const id = `${april.slice(0, 8)}-${april.slice(8)}-7000-8000-000000000000`;
  const target = { month: '2024-04', kinds: ['access', 'novelty'] };
  const shownBy = async (kind: number): Promise<unknown> => {
    const decisions = [1, 2].map((at) => localRecord(at, 5, stepOf(at, target, 'approved')));
    const act = localRecord(3, 5, stepOf(3, target, 'executed', [1, 2]));
    const small = localLog([{ ...localRecord(0, kind), recordId: id }, ...decisions, act]);
    const file = await exportOf(small, { kind: 'range', begin: 0, end: 4 }, (index) =>
      index === 0 ? { erased: recordIdOf(3) } : 'opened',
    );
    const report = check(file, policyOf(policyText(small)));
    return [codes(report), report.erasuresShown];
  };
  t.same(await shownBy(1), [[], 1]);
  t.same(await shownBy(2), [['erasure_wrong'], 0]);
  t.same(await shownBy(99), [['erasure_wrong'], 0], 'a kind without a name');
});

await t.test('more acts than can be kept in mind: no erasure counts as shown, and no text fills the memory', (t) => {
  const target = { recordId: recordIdOf(0) };
  const leafOf = (at: number, values: object) => {
    const { canonical, ...record } = localRecord(at, 5, values);
    return openedLeaf({ index: at, ...record, canonical }, () => true);
  };
  const erasures = noErasures();
  noteErased(erasures, erasedLeaf({ index: 0, ...localRecord(0), erasure: recordIdOf(3) }), 1, 2);
  for (const at of [1, 2]) noteAct(erasures, leafOf(at, stepOf(at, target, 'approved')));
  noteAct(erasures, leafOf(3, stepOf(3, target, 'executed', [1, 2])));
  t.match(judgeErasures(erasures), { shown: 1, notShown: [], wrong: [] });
  const other = leafOf(4, stepOf(4, {}, 'approved'));
  for (let at = 4; at < 100_001; at++) noteAct(erasures, { ...other, recordId: recordIdOf(at) });
  t.match(judgeErasures(erasures), { shown: 1, notShown: [], wrong: [] });
  noteAct(erasures, leafOf(100_001, stepOf(100_001, target, 'rejected')));
  t.match(judgeErasures(erasures), { shown: 0, notShown: [{ index: 0 }], wrong: [] }, 'the rejection is one too many');

  const long = 'x'.repeat(1_000_000);
  const filled = noErasures();
  const step = stepOf(
    5,
    { month: long, kinds: [long] },
    'approved',
    Array.from({ length: 1_000 }, (_, at) => at),
  );
  const detail = { ...step.detail, erasureId: long, approvals: [...step.detail.approvals, long] };
  noteAct(filled, leafOf(5, { ...step, officer: { id: long }, client: { clientId: long }, detail }));
  const kept = JSON.stringify([...filled.steps.values()], (_, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  );
  t.ok(kept.length < 2_000, `${kept.length} characters of ${long.length}`);
  t.end();
});

await t.test('one content has one spelling', async (t) => {
  const respelled: readonly [string, (line: string) => string, string][] = [
    ['white space', (line) => line.replace('"state":', '"state": '), 'line_spelling'],
    ['a name twice', (line) => line.replace('"state":"opened"', '"state":"opened","state":"opened"'), 'line_spelling'],
    ['a number', (line) => line.replace('"index":20', '"index":2e1'), 'line_spelling'],
    ['an escape', (line) => line.replace('"state"', '"st\\u0061te"'), 'line_spelling'],
    ['a lone surrogate', (line) => line.replace('officer-20', 'officer-\\ud800'), 'line_characters'],
    ['a member more', (line) => line.replace('"state":"opened"', '"state":"opened","note":1'), 'leaf_shape'],
    ['a member less', (line) => line.replace('"kind":5,', ''), 'leaf_shape'],
    ['another order', (line) => line.replace('"index":20,', '').replace('"state"', '"index":20,"state"'), 'leaf_shape'],
    [
      'a field twice',
      (line) => line.replace('"hidden":{', `"hidden":{"detail":"${other.toString('base64url')}"`),
      'leaf_shape',
    ],
    ['an unknown field', (line) => line.replace('"requestId":', '"requestID":'), 'leaf_shape'],
    ['__proto__', (line) => line.replace('"hidden":{}', '"hidden":{"__proto__":{}}'), 'leaf_shape'],
    ['no path', (line) => line.replace(/,"path".*]/, ''), 'leaf_shape'],
    [
      'upper case id',
      (line) => line.replace(recordIdOf(20), recordIdOf(20).replace('a', 'A').replace('0000-7', '0000-F')),
      'leaf_shape',
    ],
    ['stray bits of base64', (line) => line.replace(/"salt":"([^"]{42})./, '"salt":"$1B'), 'leaf_shape'],
    ['not an object', () => '[]', 'leaf_shape'],
    ['nothing', () => '', 'line_not_json'],
    ['deep', () => '['.repeat(100_000), 'line_not_json'],
  ];
  for (const [what, change, code] of respelled) {
    const lines = linesOf(single);
    const index = lines.findIndex((line) => line.startsWith('{"index":20,'));
    lines[index] = change(lines[index] ?? '');
    const body = `${lines.join('\n')}\n`;
    const trailer = {
      end: true,
      leaves: 5,
      opened: 3,
      redacted: 1,
      erased: 1,
      sha256: createHash('sha256').update(body).digest('hex'),
    };
    t.ok(codes(check(`${body}${JSON.stringify(trailer)}\n`)).includes(code), `${what}: ${code}`);
  }
  t.same(codes(check(`\ufeff${single}`)), ['line_not_json'], 'a byte order mark');
  t.ok(codes(check(Buffer.concat([Buffer.from(single), Buffer.from([0xff, 0x0a])]))).includes('data_after_end'));
  t.ok(codes(check(Buffer.from(single.replace('例行检查', 'x'), 'latin1'))).length > 0);
});

await t.test('the quick reader never accepts what the thorough one refuses, and they agree', async (t) => {
  const lines = [...linesOf(range), ...linesOf(single)].filter((line) => line.includes('"state":"opened"'));
  let agreed = 0;
  const agrees = (bytes: Buffer): boolean => {
    const quick = isUtf8(bytes) ? scanOpened(bytes) : undefined;
    if (quick === undefined) return true;
    agreed++;
    const read = readLeaf(bytes.toString('utf8'), quick.path !== undefined);
    if (!read.ok || read.value.state !== 'opened') return false;
    const { index, recordId, kind, entry, fields, hidden, path } = read.value;
    const id = Buffer.from(recordId.replaceAll('-', ''), 'hex');
    const commitments = recordFields.map((name) => {
      const shown = fields[name];
      if (shown === undefined) return Buffer.from(hidden[name] ?? '', 'base64url');
      return commitField(id, name, Buffer.from(shown.salt, 'base64url'), shown.canonical);
    });
    return isDeepStrictEqual(quick, {
      hidden: Object.keys(hidden).length,
      index,
      recordId,
      kind,
      entry: Buffer.from(entry, 'base64'),
      commitment: commitmentOfFields(id, commitments),
      saidKind: fields.kind?.canonical,
      path: path?.map((each) => Buffer.from(each, 'base64')),
    });
  };
  for (const line of lines) t.ok(agrees(Buffer.from(line)));
  t.equal(agreed, lines.length, 'every ordinary line is read quickly');
  const [sample = ''] = lines;
  const idAt = sample.indexOf('"recordId":"') + 12;
  for (let at = idAt; at < idAt + 36; at++) {
    // g is no digit, in whichever half of a byte
    for (const other of ['g', 'F', '-', '"']) {
      const changed = Buffer.from(sample.slice(0, at) + other + sample.slice(at + 1));
      if (sample[at] !== other && scanOpened(changed) !== undefined) t.fail(`${other} at ${at - idAt}`);
    }
  }
  agreed = 0;
  const bytes = fc.oneof(
    fc.constantFrom(...Buffer.from('"\\{}[],:0123456789eE.-+/_=Aau ')),
    fc.integer({ min: 0, max: 255 }),
  );
  fc.assert(
    fc.property(fc.constantFrom(...lines), fc.nat(), bytes, fc.constantFrom(0, 1, 2), (line, place, byte, removed) => {
      const file = Buffer.from(line);
      const at = place % (file.length + 1);
      const some = removed === 0 || byte % 3 > 0 ? [byte] : [];
      return agrees(Buffer.concat([file.subarray(0, at), Buffer.from(some), file.subarray(at + removed)]));
    }),
    { seed, numRuns: 20_000 },
  );
  t.ok(agreed > 1000, `${agreed} changed lines were still of the right form`);
  for (const odd of ['\n', '\u001f', '"', '\\', '\\"', '\u2028', '😀', 'é', 'x'.repeat(70_000), '']) {
    const special = localRecord(40, 1, { detail: odd, officer: { id: odd, name: 'x' } });
    const text = await exportOf(localLog([special]), { kind: 'range', begin: 0, end: 1 });
    const line = Buffer.from(linesOf(text)[1] ?? '');
    t.ok(agrees(line), `odd text of ${odd.length}`);
    t.equal(scanOpened(line) === undefined, line.length > 65_536);
  }
});

await t.test('a checkpoint is believed by the policy alone', async (t) => {
  const stranger = localLog(records, { witnesses: 3 });
  t.same(codes(check(await exportOf(stranger, { kind: 'range', begin: 9, end: 24 }))), ['unknown_log']);
  const replaced = (note: string): string => forged(single, 1, (header) => void (header['checkpoint'] = note));
  t.same(codes(check(replaced(noteOf(log, 37, 1)))), ['quorum_not_met']);
  t.same(codes(check(replaced(noteOf(log, 37, 2)))), []);
  t.equal(codes(check(replaced(noteOf(log, 36))))[0], 'header_differs');
  t.equal(codes(check(replaced('nonsense')))[0], 'malformed_note');
  t.equal(check(replaced('nonsense')).judged, undefined);
  const alone = policyOf(policyText({ ...log, witnesses: [] } as LocalLog));
  t.same(codes(check(single, alone)), [], 'who trusts no witness needs none');
});

await t.test('hostile input never makes it crash, nor say that all is well', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => check(Buffer.from(bytes)).findings.length > 0),
    { seed, numRuns: 500 },
  );
  const header = linesOf(single)[0] ?? '';
  fc.assert(
    fc.property(fc.array(fc.jsonValue(), { maxLength: 4 }), (values) => {
      const lines = [header, ...values.map((value) => JSON.stringify(value))];
      return check(`${lines.join('\n')}\n`).findings.length > 0;
    }),
    { seed, numRuns: 300 },
  );
  const leaf = JSON.parse(linesOf(single)[1] ?? '') as object;
  const opened = JSON.parse(linesOf(single)[3] ?? '') as object;
  fc.assert(
    fc.property(fc.constantFrom(leaf, opened), fc.nat(), fc.jsonValue(), (from, which, value) => {
      const names = Object.keys(from);
      const name = names[which % names.length] ?? '';
      const line = JSON.stringify({ ...from, [name]: value });
      return line === JSON.stringify(from) || check(resealed([header, line])).findings.length > 0;
    }),
    { seed, numRuns: 300 },
  );
  const endless = startExportCheck(policy);
  for (let at = 0; at < 200; at++) endless.feed(Buffer.alloc(65_536, 0x20));
  t.same(codes(endless.end()), ['line_too_long']);
  const long = `${header}\n${' '.repeat(2 ** 23)}\n${'['.repeat(2 ** 23 + 9)}`;
  for (const pieces of [1, 2, 3, 1000]) {
    const { findings } = check(long, policy, pieces);
    t.match(findings, [{ line: 2, code: 'line_too_long' }], `in ${pieces} pieces`);
    t.equal(findings.length, 1);
  }
  const many = check(`${header}\n${'{}\n'.repeat(1000)}`);
  t.match([many.findings.length, many.moreFindings], [100, 901]);
});

await t.test('the writer refuses a record of another schema', async (t) => {
  const [record] = records;
  if (record === undefined) return;
  t.throws(() => openedLeaf({ index: 0, ...record, canonical: [] }, () => true), RangeError);
});
