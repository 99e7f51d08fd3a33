import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { Entry } from '../../src/audit/entry.ts';
import { insertErasure, insertExecution } from '../../src/audit/erasure/erasure-store.ts';
import { type AuditRecorder, startRecorder } from '../../src/audit/record.ts';
import {
  type AccessReport,
  type AccessReportDeps,
  type AccessReportQuery,
  accessReport,
  untilBeat,
} from '../../src/audit/report/access-report.ts';
import { type ReleaseChange, releaseSecrecy } from '../../src/audit/report/release-secrecy.ts';
import { readRecord } from '../../src/audit/search/read-record.ts';
import { ensurePartitions, insertRecords } from '../../src/audit/store.ts';
import { connect } from '../../src/db/database.ts';
import { transaction } from '../../src/db/transaction.ts';
import { writer } from '../../src/db/write.ts';
import { type ClientId, type DepartmentCode, newId, type RecordId } from '../../src/ids.ts';
import { loadKeys } from '../../src/signing/key-store.ts';
import { canonicalJson } from '../../src/verification/canonical-json.ts';
import { citizenCheckCharacter } from '../../src/verification/identifiers.ts';
import { runSql, testDatabase } from '../support/database.ts';
import { erasureEntries } from '../support/erasure-records.ts';

const keys = loadKeys('keys-example', { mode: 'demo' });
const dayMs = 86_400_000;
/** Now, to the second: partitions exist for this month and the next ones. */
const start = new Date(Math.floor(Date.now() / 1000) * 1000);
const after = (ms: number): Date => new Date(start.getTime() + ms);

const number = (sequence: number): string => {
  const body = `990000199${sequence}0101001`;
  return `${body}${citizenCheckCharacter(body)}`;
};
const people = [1, 2, 3].map((sequence) => ({ type: '111', number: number(sequence) }));
const keyOf = (person: number): Buffer => keys.holderKey('111', people[person]?.number ?? '');

const statement = { authenticatedBy: '人脸与身份证，三级', sessionReference: 'session-1' };
const portal = {
  clientId: 'citizen-portal' as ClientId,
  department: '11999900100000112K' as DepartmentCode,
  roles: ['portal'] as const,
  keyId: 'k1',
};
const auditor = { ...portal, clientId: 'audit-office' as ClientId, roles: ['auditor'] as const };
const callAt = (at: Date, caller: typeof portal | typeof auditor = portal) => ({ caller, requestId: randomUUID(), at });

/** Audit on a database of its own, with a clock that the test sets. */
async function createAudit(t: Test) {
  const database = await testDatabase(t);
  const db = connect({ url: database.serviceUrl, max: 4, statementTimeoutMs: 10_000, applicationName: 'test' });
  t.teardown(() => db.close());
  await ensurePartitions(db);
  let clock = start;
  const recorder: AuditRecorder = startRecorder({
    insertAll: (rows) => insertRecords(db, rows),
    keys,
    now: () => clock,
    maxBatch: 100,
  });
  const tampered: string[] = [];
  const deps: AccessReportDeps = {
    db,
    keys,
    record: recorder.record,
    names: async () => ({
      department: () => ({ zh: '示范市教育局', en: 'Education Bureau' }),
      system: () => undefined,
      type: () => undefined,
      field: () => undefined,
      matter: () => ({ zh: '义务教育入学', en: 'Enrolment in compulsory education' }),
    }),
    holdersOf: async () => new Map(),
    day: (at) => at.toISOString().slice(0, 10),
    clock: () => performance.now(),
    pause: async () => undefined,
    tampered: (table, id) => void tampered.push(`${table}:${id}`),
  };
  const write = writer({
    db,
    box: {
      seal: (plain, boundTo) => keys.box.seal(boundTo, plain),
      open: (sealed, boundTo) => keys.box.open(boundTo, sealed),
    },
    fingerprint: (value) => keys.rowMac('idempotency', Buffer.from(canonicalJson(value))),
  });
  return {
    deps,
    tampered,
    database,
    sql: (text: string) => runSql(database.superuserUrl, text),
    /** Records at a time of the test's choice. */
    put: async (at: Date, entry: Partial<Entry> = {}): Promise<RecordId> => {
      clock = at;
      const { recordId } = await recorder.record({ ...lookupEntry, requestId: randomUUID(), at, ...entry });
      return recordId;
    },
    report: (person: number, at: Date, query: Partial<AccessReportQuery> = {}): Promise<AccessReport> => {
      // Later than that there is no partition yet.
      clock = new Date(Math.min(at.getTime(), after(40 * dayMs).getTime()));
      const holder = people[person] ?? { type: '', number: '' };
      return accessReport(deps, { holder, statement, ...query }, callAt(at));
    },
    release: (recordId: string, releaseAt: Date, at: Date, rest: Partial<ReleaseChange> & { key?: string } = {}) => {
      clock = at;
      const { key = randomUUID(), ...more } = rest;
      const change = {
        recordId,
        releaseAt,
        reason: '侦查延长',
        legalGround: '监察法',
        officer: { id: 'auditor-3', name: '审计员丙' },
        ...more,
      };
      return releaseSecrecy(
        { db, write, recordIn: recorder.recordIn, keys },
        change,
        { ...callAt(at, auditor), idempotencyKey: key },
        (changed) => ({ status: 201, body: changed }),
      );
    },
  };
}
type Audit = Awaited<ReturnType<typeof createAudit>>;

const lookupEntry = {
  kind: 'access',
  action: 'lookUp',
  outcome: 'answered',
  caller: { clientId: 'school-enrolment', department: '11999900100000075D', keyId: 'k1' },
  officer: { id: 'officer-7', name: '经办人甲' },
  purpose: { matterCode: 'school-enrolment', caseNumber: 'RX-7', legalBasis: 'statutory_duty' },
  subjects: [keyOf(0)],
  scope: { level: 'fields', by: 'holder', types: [] },
  certificates: [],
} as const;
const secret = (releaseAt: Date) => ({
  detail: { secrecy: { releaseAt: releaseAt.toISOString(), legalGround: '监察法' } },
});

const idsOf = ({ items }: Pick<AccessReport, 'items'>): string[] => items.map(({ recordId }) => recordId);
/** All pages of a report as of one moment. */
async function allPages(
  { report }: Audit,
  person: number,
  at: Date,
  query: Partial<AccessReportQuery>,
): Promise<{ ids: string[]; pages: number[] }> {
  const ids: string[] = [];
  const pages: number[] = [];
  let cursor: string | undefined;
  do {
    const page = await report(person, at, { ...query, ...(cursor !== undefined && { after: cursor }) });
    ids.push(...idsOf(page));
    pages.push(page.items.length);
    cursor = page.next;
  } while (cursor !== undefined);
  return { ids, pages };
}

/** What a naive reading of the rules knows of a record. */
interface Known {
  readonly recordId: string;
  readonly at: Date;
  readonly subjects: readonly number[];
  readonly shows: boolean;
  /** Undefined: never secret. */
  readonly own?: Date;
  readonly changes: { readonly at: Date; readonly releaseAt: Date }[];
}

const generated = fc.record({
  minute: fc.integer({ min: 0, max: 12 }),
  subjects: fc.constantFrom([0], [1], [0, 1], [1, 0], [0, 0], [2, 0, 1], []),
  what: fc.constantFrom<Partial<Entry>>(
    { kind: 'access', action: 'lookUp' },
    { kind: 'access', action: 'verify' },
    { kind: 'certificate', action: 'sealCertificate', outcome: 'done', detail: { step: 'sealed' } },
    { kind: 'audit_read', action: 'searchRecords' },
    { kind: 'registry', action: 'decideGrantApplication', outcome: 'done' },
    { kind: 'erasure', action: 'proposeErasure', outcome: 'done' },
  ),
  secretMinutes: fc.option(fc.integer({ min: 1, max: 60 }), { nil: undefined }),
  changes: fc.array(fc.record({ toMinute: fc.integer({ min: 12, max: 80 }), bogus: fc.boolean() }), { maxLength: 3 }),
});
const minute = 60_000;

await t.test('a holder sees what concerns it and no more, at every moment and on every page', async (t) => {
  const audit = await createAudit(t);
  const known: Known[] = [];
  for (const { minute: made, subjects, what, secretMinutes, changes } of fc.sample(generated, {
    seed: 20_261_122,
    numRuns: 160,
  })) {
    const at = after(made * minute);
    const isLookup = what.action === 'lookUp';
    const own = isLookup && secretMinutes !== undefined ? after((made + secretMinutes) * minute) : undefined;
    const recordId = await audit.put(at, {
      ...what,
      subjects: subjects.map(keyOf),
      ...(own !== undefined && secret(own)),
    });
    const record: Known = {
      recordId,
      at,
      subjects,
      shows: ['access', 'certificate', 'audit_read'].includes(what.kind ?? ''),
      ...(own !== undefined && { own }),
      changes: [],
    };
    known.push(record);
    for (const { toMinute, bogus } of own === undefined ? [] : changes) {
      const releaseAt = after(toMinute * minute);
      if (bogus) {
        const time = after((13 + known.length) * 1000).toISOString();
        await audit.sql(
          `insert into record_releases values ('${recordId}', '${time}', '${releaseAt.toISOString()}', '\\x0101')
           on conflict do nothing`,
        );
        continue;
      }
      const changedAt = after(13 * minute);
      await audit.release(recordId, releaseAt, changedAt);
      record.changes.push({ at: changedAt, releaseAt });
    }
  }
  const oracle = (person: number, at: Date, from?: Date, until?: Date): string[] =>
    known
      .filter(({ shows, subjects }) => shows && subjects.includes(person))
      .filter((each) => (from === undefined || each.at >= from) && (until === undefined || each.at < until))
      .filter(({ own, changes }) => own === undefined || (changes.at(-1)?.releaseAt ?? own) <= at)
      .toSorted((a, b) => b.at.getTime() - a.at.getTime() || (a.recordId < b.recordId ? 1 : -1))
      .map(({ recordId }) => recordId);
  // A report leaves a record of its own about the person; these are about nobody else and later than everything here.
  const range = { from: after(0), until: after(13 * minute) };
  let secretSeen = 0;
  let hidden = 0;
  const moments = fc.record({
    person: fc.nat(2),
    atMinute: fc.integer({ min: 13, max: 90 }),
    offset: fc.constantFrom(-1, 0, 1),
    limit: fc.constantFrom(1, 2, 3, 7, 50, 200),
    fromMinute: fc.integer({ min: 0, max: 12 }),
    minutes: fc.integer({ min: 1, max: 13 }),
  });
  await fc.assert(
    fc.asyncProperty(moments, async ({ person, atMinute, offset, limit, fromMinute, minutes }) => {
      const at = after(atMinute * minute + offset);
      const from = after(fromMinute * minute);
      const until = new Date(Math.min(after((fromMinute + minutes) * minute).getTime(), range.until.getTime()));
      const expected = oracle(person, at, from, until);
      const { ids, pages } = await allPages(audit, person, at, { from, until, limit });
      t.strictSame(ids, expected);
      // Nothing hidden shortens a page or adds one.
      t.strictSame(
        pages.slice(0, -1),
        Array.from({ length: pages.length - 1 }, () => limit),
      );
      t.equal(pages.length, Math.max(1, Math.ceil(expected.length / limit)));
      secretSeen += known.filter(({ own, recordId }) => own !== undefined && ids.includes(recordId)).length;
      hidden += oracle(person, after(dayMs), from, until).length - expected.length;
    }),
    { seed: 20_261_122, numRuns: 80 },
  );
  t.ok(secretSeen > 50, `${secretSeen} records shown after their release`);
  t.ok(hidden > 50, `${hidden} records not shown before it`);
  t.ok(audit.tampered.length > 0, 'rows written past the hub are reported');
  t.ok(audit.tampered.every((each) => each.startsWith('record_releases:')));
});

await t.test('invariant 1: the report is a record about its holder before it leaves', async (t) => {
  const audit = await createAudit(t);
  const first = await audit.put(start);
  const one = await audit.report(0, after(1000), {
    onBehalfOf: { by: people[2] ?? { type: '', number: '' }, basis: 'guardian' },
  });
  t.strictSame(idsOf(one), [first], 'it does not show itself');
  const two = await audit.report(0, after(2000));
  t.strictSame(idsOf(two), [one.receipt.recordId, first], 'the next one shows it');
  t.match(two.items[0], { about: 'report', sentence: { en: /^Your guardian read this report/ } });
  t.strictSame(idsOf(await audit.report(2, after(3000))), [], 'it does not concern who asked in the place of another');
  const broken = accessReport(
    { ...audit.deps, record: () => Promise.reject(Object.assign(new Error('no'), { code: 'record_unavailable' })) },
    { holder: people[0] ?? { type: '', number: '' }, statement },
    callAt(start),
  );
  await t.rejects(broken, { code: 'record_unavailable' });
  const { rows } = await audit.sql(`select * from records where action = 'getAccessReport'`);
  t.equal(rows.length, 3);
  t.notMatch(JSON.stringify(rows), /990000|人脸|session-1|guardian/, 'invariant 5: nothing personal in clear');
});

await t.test('identifiers are checked, cursors are read strictly', async (t) => {
  const audit = await createAudit(t);
  const report = (query: Partial<AccessReportQuery>) => audit.report(0, start, query);
  const wrong = { type: '111', number: '990000199101010011' };
  await t.rejects(report({ holder: wrong }), { code: 'invalid_id_number', detail: { pointer: '/holder/number' } });
  await t.rejects(report({ holder: { type: '001', number: '91999900100000016B' } }), { code: 'invalid_uscc' });
  await t.rejects(report({ holder: { type: '987', number: 'x' } }), {
    code: 'invalid_holder_type',
    detail: { pointer: '/holder/type' },
  });
  await t.rejects(report({ onBehalfOf: { by: wrong, basis: 'guardian' } }), {
    code: 'invalid_id_number',
    detail: { pointer: '/onBehalfOf/by/number' },
  });
  await t.rejects(report({ onBehalfOf: { by: people[0] ?? wrong, basis: 'guardian' } }), {
    code: 'question_invalid',
    detail: { rule: 'same_as_holder' },
  });
  await t.rejects(report({ from: after(1000), until: after(1000) }), { code: 'range_invalid' });
  for (const cursor of ['x', '1_2', `9999999999999999_${newId()}`, `1_${newId().toUpperCase()}`, `-1_${newId()}`]) {
    await t.rejects(report({ after: cursor }), { code: 'contract_violation', detail: { pointer: '/after' } }, cursor);
  }
  t.strictSame(idsOf(await report({ after: `0_${newId()}` })), []);
});

await t.test('secrecy ends at the very moment it was said to, and by recorded acts alone', async (t) => {
  const audit = await createAudit(t);
  const open = await audit.put(start);
  const hidden = await audit.put(after(1000), secret(after(dayMs)));
  const seen = async (ms: number): Promise<string[]> => idsOf(await audit.report(0, after(ms), { until: after(2000) }));
  const before = await audit.report(0, after(dayMs - 1), { limit: 1, until: after(2000) });
  t.strictSame([idsOf(before), before.next], [[open], undefined], 'no trace in items or cursor a millisecond before');
  t.strictSame(await seen(dayMs), [hidden, open]);
  const [item] = (await audit.report(0, after(dayMs), { until: after(2000) })).items;
  t.match(item, {
    secrecy: { releasedAt: after(dayMs), legalGround: '监察法' },
    purpose: { matterCode: 'school-enrolment' },
    sentence: {
      zh: /为办理事项“义务教育入学”/,
      en: /, for the matter "Enrolment in compulsory education" .* This was under secrecy until /,
    },
  });

  const later = await audit.release(hidden, after(3 * dayMs), after(5000), { key: 'the-same-key' });
  t.match(later, { status: 201, body: { recordId: hidden } });
  const again = await audit.release(hidden, after(3 * dayMs), after(5000), { key: 'the-same-key' });
  t.strictSame(JSON.parse(JSON.stringify(again.body)), JSON.parse(JSON.stringify(later.body)), 'invariant 8: once');
  t.strictSame([await seen(3 * dayMs - 1), await seen(3 * dayMs)], [[open], [hidden, open]]);
  await audit.release(hidden, after(2000), after(5000));
  t.strictSame(await seen(6000), [hidden, open], 'of two changes in one millisecond the second holds');
  await audit.release(hidden, after(9 * dayMs), after(4000));
  t.strictSame(await seen(6000), [open], 'also when a clock went back');

  const { rows } = await audit.sql('select changed_at from record_releases order by changed_at');
  t.equal(rows.length, 3);
  const records = await audit.sql(
    `select holder_key, other_holder_keys, outcome from records where kind = 8 and action = 'changeRelease'`,
  );
  t.strictSame(
    records.rows,
    Array.from({ length: 3 }, () => ({ holder_key: null, other_holder_keys: null, outcome: 'done' })),
    'each change is a record, of nobody',
  );
  t.notMatch(JSON.stringify((await audit.sql('select * from records where kind = 8')).rows), /审计员|监察法|侦查/);

  const tenYears = 3_650 * dayMs;
  const cases = [
    [newId(), after(0), 'record_unknown', undefined],
    [open, after(dayMs), 'release_invalid', 'not_under_secrecy'],
    [hidden, after(999), 'release_invalid', 'before_the_lookup'],
    [hidden, after(1001 + tenYears), 'release_invalid', 'longer_than_3650_days'],
  ] as const;
  for (const [recordId, releaseAt, code, rule] of cases) {
    await t.rejects(audit.release(recordId, releaseAt, after(7000)), { code, ...(rule && { detail: { rule } }) }, code);
  }
  await audit.release(hidden, after(1000 + tenYears), after(7000));
  t.strictSame(await seen(tenYears), [open]);
  t.strictSame(await seen(tenYears + 1000), [hidden, open], 'ten years after the lookup, and not longer');
});

await t.test('that an auditor read a record under secrecy shows no sooner than the record', async (t) => {
  const audit = await createAudit(t);
  const { deps } = audit;
  const read = (recordId: string, at: Date) =>
    readRecord({ ...deps }, { recordId, reason: '办案' }, callAt(at, auditor));
  const hidden = await audit.put(after(0), secret(after(10 * dayMs)));
  const open = await audit.put(after(1_000));
  const ofHidden = (await read(hidden, after(2_000))).receipt.recordId;
  const ofOpen = (await read(open, after(2_000))).receipt.recordId;
  t.strictSame(new Set(idsOf(await audit.report(0, after(dayMs)))), new Set([open, ofOpen]));
  await audit.release(hidden, after(5 * dayMs), after(2 * dayMs));
  const later = (await read(hidden, after(3 * dayMs))).receipt.recordId;
  const ids = async (at: Date) =>
    idsOf(await audit.report(0, at)).filter((id) => [hidden, ofHidden, later].includes(id as RecordId));
  t.strictSame(await ids(after(4 * dayMs)), []);
  t.strictSame(new Set(await ids(after(6 * dayMs))), new Set([hidden, later]), 'as its release was when it was read');
  t.strictSame(new Set(await ids(after(11 * dayMs))), new Set([hidden, ofHidden, later]));
  const [shown] = (await audit.report(0, after(11 * dayMs))).items.filter(({ recordId }) => recordId === later);
  t.match(shown, { state: 'shown', about: 'audit', secrecy: { legalGround: '监察法' } });
  const afterwards = (await read(hidden, after(12 * dayMs))).receipt.recordId;
  t.ok(idsOf(await audit.report(0, after(13 * dayMs))).includes(afterwards), 'what shows may be read in the open');
});

await t.test('pages leave on a beat, whatever they passed over', async (t) => {
  t.strictSame([0, 1, 99.5, 100, 130, 250].map(untilBeat), [100, 99, 0.5, 100, 70, 50]);
  const audit = await createAudit(t);
  await audit.put(start);
  const times = [0, 37];
  const waited: number[] = [];
  await accessReport(
    { ...audit.deps, clock: () => times.shift() ?? Number.NaN, pause: async (ms) => void waited.push(ms) },
    { holder: people[0] ?? { type: '', number: '' }, statement },
    callAt(after(1000)),
  );
  t.strictSame(waited, [63]);
});

await t.test('however many records a release holds back, the page behind them is full', async (t) => {
  const audit = await createAudit(t);
  const oldest = [await audit.put(start), await audit.put(after(1))];
  for (let i = 0; i < 60; i += 1) {
    const recordId = await audit.put(after(1000 + i), secret(after(2000)));
    await audit.release(recordId, after(dayMs), after(1500));
  }
  const query = { limit: 1, until: after(1200) };
  t.strictSame(await allPages(audit, 0, after(5000), query), { ids: oldest.toReversed(), pages: [1, 1] });
  t.equal((await allPages(audit, 0, after(dayMs), { ...query, limit: 200 })).ids.length, 62);
});

await t.test('what was written past the hub neither shows nor hides a record', async (t) => {
  const audit = await createAudit(t);
  const open = await audit.put(start);
  const hidden = await audit.put(after(1000), secret(after(dayMs)));
  const other = await audit.put(after(1500), secret(after(dayMs)));
  const seen = async (ms: number): Promise<string[]> => idsOf(await audit.report(0, after(ms), { until: after(2000) }));
  const bogus = async (recordId: string, changed: string, releaseAt: string, mac = `'\\x0101'`) =>
    audit.sql(`insert into record_releases values ('${recordId}', '${changed}', '${releaseAt}', ${mac})`);

  await bogus(hidden, after(9000).toISOString(), after(3000).toISOString());
  t.strictSame(await seen(4000), [open], 'a row that would let it out');
  t.strictSame(audit.tampered.splice(0), [`record_releases:${hidden}`]);
  await bogus(hidden, after(9001).toISOString(), '2999-01-01');
  await bogus(hidden, 'infinity', 'infinity');
  t.strictSame(await seen(dayMs), [other, hidden, open], 'one that would keep it in');

  await audit.release(other, after(4000), after(3000));
  const moved = `(select mac from record_releases where record_id = '${other}' limit 1)`;
  await bogus(hidden, after(3000).toISOString(), after(4000).toISOString(), moved);
  t.strictSame(await seen(5000), [other, open], 'the MAC of another record');
  await audit.sql(`update record_releases set release_at = '2999-01-01' where record_id = '${other}'`);
  t.strictSame(await seen(dayMs), [other, hidden, open], 'of a changed row only the own date is left');
  t.ok(audit.tampered.includes(`record_releases:${other}`));

  audit.tampered.length = 0;
  await audit.sql(`update records set release_at = null where record_id = '${hidden}'`);
  const [item] = (await audit.report(0, after(5000), { until: after(2000) })).items;
  t.strictSame(
    item,
    {
      recordId: hidden,
      recordedAt: after(1000),
      state: 'cannot_be_shown',
      sentence: {
        zh: `${after(0).toISOString().slice(0, 10)}有一条与您有关的记录无法显示：存储的内容未通过校验，情况已上报。`,
        en: `A record of ${after(0).toISOString().slice(0, 10)} concerning you cannot be shown: what is stored fails its check. This has been reported.`,
      },
    },
    'a column that says something else than the body tells nothing of the body',
  );
  t.strictSame(audit.tampered, [`records:${hidden}`]);
  await t.rejects(audit.release(hidden, after(dayMs), after(5000)), { code: 'stored_data_tampered' });
});

await t.test(
  'tampered and erased records say so; a body whose erasure its records do not prove was taken away',
  async (t) => {
    const audit = await createAudit(t);
    const changed = await audit.put(start);
    const gone = await audit.put(after(1000));
    const undone = await audit.put(after(1500));
    const erased = await audit.put(after(2000));
    const unapproved = await audit.put(after(2100));
    const byOne = await audit.put(after(2200));
    const rejected = await audit.put(after(2300));
    const misplaced = await audit.put(after(2400));
    const all: readonly string[] = [changed, gone, undone, erased, unapproved, byOne, rejected, misplaced];
    // The log of a sequencer, as far as an execution names it.
    for (const [index, recordId] of all.entries()) {
      await audit.sql(`insert into log_leaf (leaf_index, record_id, lane, recorded_at, entry)
      select ${index}, record_id, lane, recorded_at, '\\x0101'::bytea || commitment from records where record_id = '${recordId}'`);
    }
    const leafOf = (recordId: string): number => all.indexOf(recordId);
    await audit.sql(
      `update records set body = set_byte(body, 40, get_byte(body, 40) # 1) where record_id = '${changed}'`,
    );
    await audit.sql(`update records set body = null where record_id <> '${changed}' and kind = 1`);

    const erasureOf = (recordId: string) => erasureEntries(newId(), { recordId }, leafOf(recordId));
    const say = async (at: Date, ...entries: readonly Partial<Entry>[]): Promise<RecordId> => {
      for (const entry of entries.slice(0, -1)) await audit.put(new Date(at.getTime() - 10), entry);
      return audit.put(at, entries.at(-1));
    };
    await say(after(3000), ...erasureOf(erased));
    await say(after(3001), ...erasureOf(gone).slice(0, 3));
    const spoilt = await say(after(3002), ...erasureOf(undone));
    await say(after(3003), erasureOf(unapproved)[3]);
    const [asked, once, , done] = erasureOf(byOne);
    await say(after(3004), asked, once, once, done);
    const [proposed, first, second, executed] = erasureOf(rejected);
    const rejection = { ...second, detail: { ...(second.detail as object), step: 'rejected' } };
    await say(after(3005), proposed, first, rejection, second, executed);
    await say(after(3006), ...erasureEntries(newId(), { recordId: misplaced }, leafOf(erased)));
    await audit.sql(
      `update records set body = set_byte(body, 40, get_byte(body, 40) # 1) where record_id = '${spoilt}'`,
    );
    // The register says that it was executed, in rows of the hub. It is no evidence.
    const owner = connect({ url: audit.database.ownerUrl, max: 1, statementTimeoutMs: 5_000, applicationName: 'test' });
    t.teardown(() => owner.close());
    const by = (id: string) => ({ officer: { id, name: id }, clientId: id, recordId: newId<RecordId>() });
    const proposal = { erasureId: newId(), target: { recordId: gone }, legalBasis: '个人信息保护法第四十七条' };
    await transaction(owner, async (trx) => {
      await insertErasure(trx, keys, { ...proposal, reason: 'test', ...by('proposer'), createdAt: start });
      await insertExecution(trx, keys, { ...proposal, recordId: newId(), bodies: 1, at: after(3000) });
    });

    const { items } = await audit.report(0, after(4000));
    t.match(items, [
      { recordId: misplaced, state: 'cannot_be_shown' },
      { recordId: rejected, state: 'cannot_be_shown' },
      { recordId: byOne, state: 'cannot_be_shown' },
      { recordId: unapproved, state: 'cannot_be_shown' },
      { recordId: erased, state: 'erased', erasedAt: after(3000), sentence: { en: /lawfully erased on / } },
      { recordId: undone, state: 'cannot_be_shown' },
      { recordId: gone, state: 'cannot_be_shown' },
      { recordId: changed, state: 'cannot_be_shown' },
    ]);
    t.strictSame(
      audit.tampered.toSorted(),
      [...all.filter((recordId) => recordId !== erased), spoilt].map((recordId) => `records:${recordId}`).toSorted(),
    );
    t.notMatch(JSON.stringify(items), /RX-7|school/, 'nothing of them shows');
  },
);
