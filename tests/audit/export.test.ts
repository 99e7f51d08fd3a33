import { createHash } from 'node:crypto';
import { request } from 'node:http';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { Entry } from '../../src/audit/entry.ts';
import { logKeys } from '../../src/audit/log/sign-checkpoint.ts';
import { csvLine } from '../../src/audit/search/csv.ts';
import { startExportCheck } from '../../src/verification/audit-export-check.ts';
import { policyOfKeys } from '../../src/verification/log-policy.ts';
import { runSql } from '../support/database.ts';
import { erasureEntries } from '../support/erasure-records.ts';
import { type RunningSequencer, sequencerOn, soon } from '../support/log.ts';
import { recorderAt } from '../support/old-month.ts';
import { exampleKeys as keys, startHub, type TestHub } from '../support/start-hub.ts';

interface Leaf {
  readonly index: number;
  readonly recordId?: string;
  readonly state: string;
  readonly erasure?: string | null;
  readonly fields?: Readonly<Record<string, { canonical: string }>>;
}

interface Started {
  readonly hub: TestHub;
  readonly sequencer: RunningSequencer;
  /** Records entries and waits until they are published; answers their ids. */
  readonly put: (entries: readonly Partial<Entry>[]) => Promise<string[]>;
  readonly exported: (body: object) => Promise<{ text: string; type: string }>;
  readonly check: (text: string) => ReturnType<ReturnType<typeof startExportCheck>['end']>;
}

async function start(t: Test): Promise<Started> {
  const hub = await startHub(t);
  const { logOrigin: origin } = hub.core.config;
  const sequencer = sequencerOn(t, hub.database, { origin, keys: hub.core.keys });
  const { record } = recorderAt(hub.db, keys, () => new Date());
  const put = async (entries: readonly Partial<Entry>[]): Promise<string[]> => {
    const whole = entries.map((entry) => ({ ...ordinary, ...entry }));
    const receipts = await Promise.all(whole.map((entry) => record(entry)));
    await soon(sequencer.settled(), 'published');
    return receipts.map(({ recordId }) => recordId);
  };
  const exported = async (body: object) => {
    const reply = await fetch(`${hub.url}/v1/audit/exports`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await auditor.token()}`, 'content-type': 'application/json' },
      body: JSON.stringify({ reason: '移送法院', ...body }),
    });
    // Not `text()`, which would drop the mark at the beginning.
    const text = Buffer.from(await reply.arrayBuffer()).toString('utf8');
    return { text, type: reply.headers.get('content-type') ?? '' };
  };
  const auditor = hub.client('audit-office');
  const policy = policyOfKeys(logKeys(hub.core.keys, origin));
  const check = (text: string) => {
    const checking = startExportCheck(policy);
    checking.feed(Buffer.from(text));
    return checking.end();
  };
  return { hub, sequencer, put, exported, check };
}

const ordinary: Entry = {
  kind: 'access',
  action: 'lookUp',
  outcome: 'answered',
  caller: { clientId: 'school-enrolment', department: '11999900100000016A', keyId: 'k1' },
  officer: { id: 'officer-7', name: '经办人甲' },
  purpose: { matterCode: 'school-enrolment', caseNumber: 'CASE-1', legalBasis: 'statutory_duty' },
  scope: { level: 'fields' },
  requestId: 'request-1',
  at: new Date(),
};

const linesOf = (text: string): Leaf[] =>
  text
    .split('\n')
    .slice(1, -2)
    .map((line) => JSON.parse(line) as Leaf);
const headerOf = (text: string) => JSON.parse(text.slice(0, text.indexOf('\n'))) as Record<string, unknown>;

await t.test('an export of records proves itself, and its extent was recorded before its first byte', async (t) => {
  const { hub, put, exported, check } = await start(t);
  await put(Array.from({ length: 300 }, (_, i) => ({ requestId: `other-${i}` })));
  const mine = await put(
    Array.from({ length: 250 }, (_, i) => ({
      requestId: `mine-${i}`,
      purpose: { matterCode: 'housing', caseNumber: `案-${i % 5}`, legalBasis: 'statutory_duty' },
    })),
  );
  const { text, type } = await exported({ kind: 'records', format: 'ndjson', filter: { matterCode: 'housing' } });
  t.match(type, 'application/x-ndjson');
  const report = check(text);
  t.strictSame(report.findings, []);
  t.match(report, { leaves: 250, opened: 250, redacted: 0, erased: 0 });
  const leaves = linesOf(text);
  t.strictSame(new Set(leaves.map(({ recordId }) => recordId)), new Set(mine));
  t.ok(
    leaves.every(({ fields }) => fields?.['purpose']?.canonical.includes('housing')),
    'all fields are readable',
  );
  const header = headerOf(text);
  t.match(header['question'], { reason: '移送法院', filters: { matterCode: 'housing' }, records: 250, waiting: 0 });
  const { items } = (
    await hub.client('audit-office').post('/v1/audit/searches', { reason: 'x', action: 'exportRecords' })
  ).body as { items: unknown[] };
  const digest = createHash('sha256');
  for (const { recordId } of leaves) digest.update(`${recordId}\n`);
  t.match(items, [
    {
      recordId: header['recordId'],
      reason: '移送法院',
      body: {
        scope: {
          kind: 'records',
          filters: { matterCode: 'housing' },
          records: 250,
          checkpointSize: header['size'],
          firstIndex: leaves[0]?.index,
          lastIndex: leaves.at(-1)?.index,
          recordIdsSha256: digest.digest('hex'),
        },
      },
    },
  ]);
  t.notOk(
    leaves.some(({ recordId }) => recordId === header['recordId']),
    'an export is not part of itself',
  );
  const none = await exported({ kind: 'records', format: 'ndjson', filter: { matterCode: 'nothing' } });
  t.match(check(none.text), { leaves: 0, findings: [] });
});

await t.test('a range leaves nothing out: opened, redacted, or erased with the record that says so', async (t) => {
  const { hub, put, exported, check, sequencer } = await start(t);
  const ids = await put(Array.from({ length: 12 }, (_, i) => ({ outcome: i % 2 ? 'refused' : 'answered' })));
  const [one = '', two = '', three = '', four = '', five = '', six = ''] = ids;
  const leafOf = async (recordId: string): Promise<number> => {
    const text = `select leaf_index::int as at from log_leaf where record_id = '${recordId}'`;
    return (((await runSql(hub.database.superuserUrl, text)).rows[0] as { at: number } | undefined) ?? { at: -1 }).at;
  };
  const [proposal, ...acts] = erasureEntries(one, { recordId: one }, await leafOf(one));
  await put([proposal]);
  const erasure = (await put(acts)).at(-1);
  await put([erasureEntries(six, { recordId: six }, await leafOf(six))[3]]);
  await runSql(
    hub.database.superuserUrl,
    `update records set body = null where record_id in ('${one}', '${two}', '${six}')`,
    `update records set body = set_byte(body, 40, get_byte(body, 40) # 1) where record_id = '${three}'`,
    `update records set outcome = 'refused' where record_id = '${five}'`,
  );
  const end = sequencer.status().publishedSize ?? 0;
  const { text } = await exported({ kind: 'range', format: 'ndjson', begin: 0, end });
  const by = new Map(linesOf(text).map((leaf) => [leaf.recordId, leaf]));
  t.match(by.get(one), { state: 'erased', erasure }, 'by right');
  t.match(by.get(two), { state: 'erased', erasure: null }, 'by nobody');
  t.match(by.get(six), { state: 'erased', erasure: null }, 'by an execution that nobody approved');
  t.match(by.get(three), { state: 'erased', erasure: null }, 'a body that is not the recorded one is none');
  t.match(by.get(four), { state: 'opened' });
  t.match(by.get(five), { state: 'opened' }, 'what the record says is proved, whatever its columns say');
  const report = check(text);
  t.match(report, { leaves: end, erased: 4, redacted: 0, opened: end - 4 });
  t.strictSame(report.findings, []);
  t.strictSame(
    report.erasuresNotShown.map((each) => each.erasure),
    [null, null, null, erasure],
    'bodies missing by no right are told by the verifier',
  );
  for (const id of [two, three, five, six])
    t.ok(
      hub.logLines.some((line) => line.includes(id)),
      'said aloud',
    );

  await t.test('with a filter the others are redacted, and a record whose column lies is shown', async (t) => {
    const some = await exported({ kind: 'range', format: 'ndjson', begin: 1, end, filter: { outcome: 'refused' } });
    const leaves = linesOf(some.text);
    t.equal(leaves.length, end - 1, 'every leaf is there');
    t.strictSame(
      leaves.map(({ index }) => index),
      Array.from({ length: end - 1 }, (_, at) => at + 1),
    );
    const opened = leaves.filter(({ state }) => state === 'opened');
    t.ok(opened.length >= 5);
    for (const { fields, recordId } of opened) {
      if (recordId !== five) t.match(fields?.['outcome']?.canonical, /"refused"/);
    }
    t.ok(
      opened.some(({ recordId }) => recordId === five),
      'a record whose column lies is shown, not hidden',
    );
    t.ok(leaves.some(({ state }) => state === 'redacted'));
  });
  const begin = await exported({ kind: 'range', format: 'ndjson', begin: end - 1, end });
  t.strictSame(check(begin.text).findings, []);
});

await t.test('what cannot be exported is refused with a way forward', async (t) => {
  const { hub, put, exported, sequencer } = await start(t);
  const code = async (body: object): Promise<unknown> =>
    (JSON.parse((await exported(body)).text) as { code: unknown }).code;
  await put([{}]);
  const size = sequencer.status().publishedSize ?? 0;
  const range = { kind: 'range', format: 'ndjson' };
  t.equal(await code({ ...range, begin: 0, end: size + 1_000 }), 'range_not_covered');
  t.equal(await code({ ...range, begin: 1, end: 1 }), 'range_invalid');
  t.equal(await code({ ...range, begin: 2, end: 1 }), 'range_invalid');
  t.equal(await code({ ...range, begin: 0, end: 1_000_001 }), 'range_too_long');
  t.equal(await code({ ...range, begin: 0, end: Number.MAX_SAFE_INTEGER }), 'range_too_long');
  t.equal(await code({ ...range, begin: 0 }), 'question_invalid');
  t.equal(await code({ ...range, begin: -1, end: 1 }), 'contract_violation');
  t.equal(await code({ ...range, begin: 0.5, end: 1 }), 'contract_violation');
  t.equal(await code({ kind: 'records', format: 'ndjson', begin: 0, end: 1 }), 'question_invalid');
  t.equal(await code({ kind: 'records', format: 'pdf' }), 'contract_violation');
  const bad = { holder: { type: '111', number: '990000190001010017' } };
  const refused = JSON.parse((await exported({ kind: 'records', format: 'csv', filter: bad })).text) as unknown;
  t.match(refused, { code: 'invalid_id_number', context: { pointer: '/filter/holder/number' } });
  const { rows } = await runSql(
    hub.database.serviceUrl,
    `select count(*)::int as n from records where action = 'exportRecords' and outcome = 'refused'`,
  );
  t.strictSame(rows, [{ n: 11 }], 'refusals are recorded too');

  const empty = await startHub(t);
  const reply = await empty
    .client('audit-office')
    .post('/v1/audit/exports', { reason: 'x', kind: 'records', format: 'ndjson' });
  t.match(reply, { status: 409, body: { code: 'log_empty', next: /sequencer/ } });
});

await t.test('an export that breaks off never looks whole', async (t) => {
  const { hub, put } = await start(t);
  await put(Array.from({ length: 900 }, () => ({ detail: { reason: 'x'.repeat(2_000) } })));
  await runSql(hub.database.superuserUrl, 'delete from log_leaf where leaf_index = 650');
  const token = await hub.client('audit-office').token();
  for (const format of ['ndjson', 'csv']) {
    const { text, whole } = await new Promise<{ text: string; whole: boolean }>((resolve, reject) => {
      const outgoing = request(`${hub.url}/v1/audit/exports`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      });
      outgoing.on('error', reject);
      outgoing.on('response', (incoming) => {
        t.equal(incoming.statusCode, 200, 'it had begun');
        let text = '';
        incoming.on('data', (part: Buffer) => {
          text += part.toString('utf8');
        });
        incoming.on('error', () => undefined);
        incoming.on('close', () => resolve({ text, whole: incoming.complete }));
      });
      outgoing.end(JSON.stringify({ reason: 'x', kind: 'range', format, begin: 0, end: 900 }));
    });
    t.equal(whole, false, `${format}: the connection is cut`);
    t.ok(text.length > 10_000, 'after hundreds of leaves');
    t.notMatch(text, /"end":true|结束/, 'there is no last line');
  }
  t.match(hub.logLines.join('\n'), /stored_data_tampered.*answer broke off/, 'and the log says so');
});

await t.test('CSV is for reading: nothing in it is a formula, and every cell comes back', async (t) => {
  const { hub, put, exported } = await start(t);
  const ids = await put([
    {
      officer: { id: '=1+1', name: '=HYPERLINK("http://x.test","按此")' },
      purpose: { matterCode: '-m', caseNumber: '@SUM(A1)\r\n,"x"', legalBasis: '\t=1', note: '＝cmd' },
    },
    { outcome: 'refused', code: 'grant_required' },
  ]);
  const { text, type } = await exported({ kind: 'records', format: 'csv', filter: { action: 'lookUp' } });
  t.match(type, 'text/csv');
  t.ok(text.startsWith('\ufeff'), 'spreadsheets need the mark');
  const [heading = [], ...rows] = parseCsv(text.slice(1));
  t.ok(
    heading.every((cell) => /\p{Script=Han}.* \/ [a-z]/u.test(cell)),
    'in both languages',
  );
  t.ok(
    rows.every((row) => row.length === heading.length),
    'RFC 4180: every line has as many cells',
  );
  const cell = (row: number, name: string): string | undefined =>
    rows[row]?.[heading.findIndex((each) => each.includes(name))];
  t.equal(cell(0, '/ officer name'), '\'=HYPERLINK("http://x.test","按此")');
  t.equal(cell(0, '/ officer'), "'=1+1");
  t.equal(cell(0, '/ matter'), "'-m");
  t.equal(cell(0, '/ case'), '\'@SUM(A1)\r\n,"x"');
  t.equal(cell(0, '/ legal basis'), "'\t=1");
  t.equal(cell(0, '/ note'), "'＝cmd");
  t.equal(cell(1, '/ code'), 'grant_required');
  for (const recordId of ids) {
    const row = rows.findIndex((each) => each.includes(recordId));
    const stored = `select commitment from records where record_id = '${recordId}'`;
    const [found] = (await runSql(hub.database.serviceUrl, stored)).rows as { commitment: Buffer }[];
    const said = cell(row, '/ commitment')?.replace(/^'/, '');
    t.equal(said, found?.commitment.toString('base64url'), 'as receipts and the offline check spell it');
  }
  t.match(rows.at(-1), ['结束 / end', '', /2 lines/]);
  const range = await exported({ kind: 'range', format: 'csv', begin: 0, end: 3, filter: { clientId: 'nobody' } });
  t.match(range.text, /"0","","不予公开 \/ redacted"/);

  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme', maxLength: 20 }), { minLength: 1, maxLength: 5 }), (cells) => {
      const [row = []] = parseCsv(csvLine(cells));
      t.strictSame(
        row.map((each, at) => (each === `'${cells[at]}` ? each.slice(1) : each)),
        cells,
      );
      t.notOk(row.some((each) => /^[=+\-@\t\r＝＋－＠]/.test(each)));
    }),
    { numRuns: 200, seed: 3 },
  );
});

/** RFC 4180, written down a second time. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  const pattern = /"((?:[^"]|"")*)"(,|\r\n)/gy;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    row.push((match[1] ?? '').replaceAll('""', '"'));
    if (match[2] === ',') continue;
    rows.push(row);
    row = [];
  }
  return rows;
}
