import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { type Entry, type RecordKind, recordKinds } from '../../src/audit/entry.ts';
import type { Receipt } from '../../src/audit/record.ts';
import { selectCandidates } from '../../src/audit/report/report-store.ts';
import {
  fitsFilter,
  prepareQuestion,
  type RecordFilter,
  type RecordQuestion,
  shownKey,
} from '../../src/audit/search/record-filter.ts';
import { type SearchDeps, searchRecords } from '../../src/audit/search/search-records.ts';
import { selectRecords } from '../../src/audit/search/search-store.ts';
import type { RecordRow } from '../../src/audit/store.ts';
import { exampleDepartments } from '../../src/catalogue/starter-types.ts';
import { connect, type Database } from '../../src/db/database.ts';
import type { Call, ClientId, DepartmentCode } from '../../src/ids.ts';
import { composeCertificateIdentifier } from '../../src/verification/identifiers.ts';
import { runSql, testDatabase } from '../support/database.ts';
import { sequencerOn, soon } from '../support/log.ts';
import { recorderAt } from '../support/old-month.ts';
import { exampleKeys as keys, startHub } from '../support/start-hub.ts';

const { publicSecurity: department, taxation: otherDepartment } = exampleDepartments;
const typeCodes = [`${department}001`, `${department}002`] as const;
const people = ['990000190001010016', '990000190001010024', '990000190001010032'].map((number) => ({
  type: '111',
  number,
}));
const certificateOf = (serial: string, version: number): string =>
  composeCertificateIdentifier({ typeCode: typeCodes[0], issuerCode: department, serial, version });
const certificates = ['S1', 'S2'].flatMap((serial) => [1, 2].map((version) => certificateOf(serial, version)));

/** What was recorded, as the test itself knows it. */
interface Known {
  readonly recordId: string;
  readonly at: number;
  readonly entry: Entry;
  readonly holders: readonly (typeof people)[number][];
}

const call: Call = {
  caller: {
    clientId: 'audit-office' as ClientId,
    department: department as DepartmentCode,
    roles: ['auditor'],
    keyId: 'k1',
  },
  requestId: 'request',
  at: new Date(),
};

const oneOf = <T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
const kinds = Object.keys(recordKinds) as RecordKind[];

const drafts = fc.record({
  minute: fc.nat(40),
  kind: oneOf(...kinds),
  action: oneOf('lookUp', 'verify', 'pushCertificate'),
  outcome: oneOf('answered' as const, 'refused' as const, 'failed' as const, 'done' as const),
  code: oneOf(undefined, 'grant_required' as const, 'quota_exceeded' as const),
  clientId: oneOf(undefined, 'client-a', 'client-b'),
  department: oneOf(department, otherDepartment),
  officer: oneOf(undefined, 'officer-1', 'officer-2'),
  matter: oneOf('matter-1', 'matter-2'),
  caseNumber: oneOf(undefined, '办件-1', "CASE'; drop table records; --"),
  holders: fc.subarray(people),
  level: oneOf(undefined, 'compare', 'fields'),
  asked: fc.subarray([...typeCodes]),
  certificates: fc.subarray(certificates),
});

function entryOf(draft: typeof drafts extends fc.Arbitrary<infer T> ? T : never): Entry {
  const { clientId, officer, caseNumber, level, asked, code, holders } = draft;
  return {
    kind: draft.kind,
    action: draft.action,
    outcome: draft.outcome,
    ...(code !== undefined && { code }),
    ...(clientId !== undefined && { caller: { clientId, department: draft.department } }),
    ...(officer !== undefined && { officer: { id: officer, name: '经办人' } }),
    ...(caseNumber !== undefined && {
      purpose: { matterCode: draft.matter, caseNumber, legalBasis: 'statutory_duty' },
    }),
    ...(holders.length > 0 && { subjects: holders.map(({ type, number }) => keys.holderKey(type, number)) }),
    scope: { ...(level && { level }), types: asked.map((certificateTypeCode) => ({ certificateTypeCode })) },
    certificates: draft.certificates,
    requestId: 'request',
    at: new Date(),
  };
}

const base = Date.now() - 10 * 60_000;
const wholeQuestions = fc.record({
  holder: oneOf(...people),
  clientId: oneOf('client-a', 'client-b', 'nobody'),
  departmentCode: oneOf(department, otherDepartment),
  officerId: oneOf('officer-1', 'officer-2', 'officer-3'),
  matterCode: oneOf('matter-1', 'matter-2'),
  caseNumber: oneOf('办件-1', "CASE'; drop table records; --", '%', '_'),
  certificateIdentifier: oneOf(...certificates, certificateOf('S3', 1)),
  certificateTypeCode: oneOf(...typeCodes, `${department}003`),
  level: oneOf('compare', 'fields'),
  outcome: oneOf('answered' as const, 'refused' as const, 'failed' as const, 'done' as const),
  code: oneOf('grant_required', 'quota_exceeded', 'grant_revoked'),
  kinds: fc.subarray(kinds, { minLength: 1 }),
  action: oneOf('lookUp', 'verify', 'pushCertificate'),
  from: fc.nat(30).map((minute) => new Date(base + minute * 1_000)),
  until: fc.integer({ min: 31, max: 60 }).map((minute) => new Date(base + minute * 1_000)),
  anyVersion: fc.boolean(),
});

const axes = [
  'holder',
  'clientId',
  'departmentCode',
  'officerId',
  'matterCode',
  'caseNumber',
  'certificateIdentifier',
  'certificateTypeCode',
  'level',
  'outcome',
  'code',
  'kinds',
  'action',
  'from',
  'until',
] as const satisfies (keyof RecordQuestion)[];

/** Up to four axes: more at once would find nothing. */
const questions: fc.Arbitrary<RecordQuestion> = fc
  .tuple(wholeQuestions, fc.subarray([...axes], { maxLength: 4 }))
  .map(([whole, chosen]) => ({
    ...Object.fromEntries(chosen.map((axis) => [axis, whole[axis]])),
    ...(chosen.includes('certificateIdentifier') && { anyVersion: whole.anyVersion }),
  }));

/** The rule a second time, over what was recorded and not over columns. */
function fits({ entry, at, holders }: Known, asked: RecordQuestion): boolean {
  const { purpose, officer, caller } = entry;
  const scope = entry.scope as { level?: string; types: { certificateTypeCode: string }[] };
  const touched = entry.certificates ?? [];
  const series = (identifier: string): string => identifier.split('.').slice(0, -2).join('.');
  const wanted = asked.certificateIdentifier;
  const types = new Set([
    ...scope.types.map((each) => each.certificateTypeCode),
    ...(touched.length ? [typeCodes[0]] : []),
  ]);
  const equal: readonly (readonly [unknown, unknown])[] = [
    [asked.clientId, caller?.clientId],
    [asked.departmentCode, caller?.department],
    [asked.officerId, officer?.id],
    [asked.matterCode, purpose?.matterCode],
    [asked.caseNumber, purpose?.caseNumber],
    [asked.level, scope.level],
    [asked.outcome, entry.outcome],
    [asked.code, entry.code],
    [asked.action, entry.action],
  ];
  const claims: readonly (readonly [unknown, () => boolean])[] = [
    [asked.holder, () => holders.some(({ number }) => number === asked.holder?.number)],
    [
      wanted,
      () => touched.some((each) => each === wanted || (asked.anyVersion && series(each) === series(wanted ?? ''))),
    ],
    [asked.certificateTypeCode, () => types.has(asked.certificateTypeCode ?? '')],
    [asked.kinds, () => asked.kinds?.includes(entry.kind) === true],
    [asked.from, () => at >= Number(asked.from)],
    [asked.until, () => at < Number(asked.until)],
  ];
  return (
    equal.every(([want, is]) => want === undefined || want === is) &&
    claims.every(([want, holds]) => want === undefined || holds())
  );
}

const noRecord = (): Promise<Receipt> => Promise.resolve({ recordId: randomUUID() } as unknown as Receipt);

async function filled(t: Test, count: number): Promise<{ db: Database; known: Known[]; superuserUrl: string }> {
  const { serviceUrl, superuserUrl } = await testDatabase(t);
  const db = connect({ url: serviceUrl, max: 4, statementTimeoutMs: 5_000, applicationName: 'test' });
  t.teardown(() => db.close());
  let now = new Date();
  const { record } = recorderAt(db, keys, () => now);
  const known: Known[] = [];
  await Promise.all(
    fc.sample(drafts, { numRuns: count, seed: 5 }).map(async (draft) => {
      const entry = entryOf(draft);
      // Many share a millisecond: the id decides, on the page and on its edge.
      now = new Date(base + draft.minute * 1_000);
      const { recordId, recordedAt } = await record(entry);
      known.push({ recordId, at: recordedAt.getTime(), entry, holders: draft.holders });
    }),
  );
  known.sort((a, b) => b.at - a.at || (a.recordId < b.recordId ? 1 : -1));
  return { db, known, superuserUrl };
}

async function searchAll(deps: SearchDeps, question: RecordQuestion, limit: number): Promise<string[]> {
  const found: string[] = [];
  for (let after: string | undefined; ; ) {
    const query = { reason: 'test', ...question, limit, ...(after && { after }) };
    const { items, next } = await searchRecords(deps, query, call);
    found.push(...items.map(({ recordId }) => recordId));
    if (next === undefined) return found;
    after = next;
  }
}

await t.test('every combination of axes finds what an oracle finds, in order, over any page size', async (t) => {
  const { db, known } = await filled(t, 400);
  const tampered: string[] = [];
  const deps: SearchDeps = { db, keys, record: noRecord, tampered: (_table, id) => void tampered.push(id) };
  const rows = new Map(
    (await db.kysely.selectFrom('records').selectAll().execute()).map((row) => [row.record_id, row as RecordRow]),
  );
  let found = 0;
  await fc.assert(
    fc.asyncProperty(questions, fc.integer({ min: 1, max: 200 }), async (question, limit) => {
      const expected = known.filter((each) => fits(each, question)).map(({ recordId }) => recordId);
      // Pages of one record over hundreds would only repeat themselves.
      const all = await searchAll(deps, question, Math.max(limit, Math.ceil(expected.length / 6)));
      t.strictSame(all, expected, JSON.stringify(question));
      const { filter } = prepareQuestion(keys, question);
      const judged = known.filter(({ recordId }) => fitsFilter(filter, rows.get(recordId) ?? ({} as RecordRow)));
      t.strictSame(
        judged.map(({ recordId }) => recordId),
        expected,
        'the rule for who reads leaf by leaf is the same',
      );
      found += expected.length;
    }),
    { numRuns: 150, seed: 7 },
  );
  t.ok(found > 1_000, `${found} records found in all: the questions are not empty ones`);
  for (const axis of axes) {
    const [whole] = fc.sample(wholeQuestions, { numRuns: 1, seed: 12 });
    const alone = { [axis]: whole?.[axis] } as RecordQuestion;
    const expected = known.filter((each) => fits(each, alone)).map(({ recordId }) => recordId);
    t.strictSame(await searchAll(deps, alone, 200), expected, `${axis} alone: ${expected.length}`);
  }
  t.strictSame(tampered, []);
});

await t.test('pseudonyms find the same as what they stand for', async (t) => {
  const { db, known } = await filled(t, 80);
  const deps: SearchDeps = { db, keys, record: noRecord, tampered: () => undefined };
  const [person] = people;
  if (person === undefined) return;
  const holderKey = keys.holderKey(person.type, person.number);
  const pairs: [RecordQuestion, RecordQuestion][] = [
    [{ holder: person }, { holderKey: shownKey(holderKey) }],
    [{ holder: person }, { holderKey: holderKey.toString('hex') }],
    [{ officerId: 'officer-1' }, { officerKey: shownKey(keys.searchKey('officer', 'officer-1')) }],
    [{ caseNumber: '办件-1' }, { caseKey: shownKey(keys.searchKey('case', '办件-1')) }],
  ];
  for (const [plain, pseudonym] of pairs) {
    const expected = known.filter((each) => fits(each, plain)).map(({ recordId }) => recordId);
    t.ok(expected.length > 0);
    t.strictSame(await searchAll(deps, pseudonym, 200), expected);
  }
});

await t.test('what a superuser changed stands in the page as such, and what the body says with it', async (t) => {
  const { db, known, superuserUrl } = await filled(t, 20);
  const tampered: string[] = [];
  const deps: SearchDeps = {
    db,
    keys,
    record: noRecord,
    tampered: (table, id) => void tampered.push(`${table} ${id}`),
  };
  const [one, two, three, four, five, six] = known.map(({ recordId }) => recordId);
  await runSql(
    superuserUrl,
    `update records set body = set_byte(body, 40, get_byte(body, 40) # 1) where record_id = '${one}'`,
    `update records set matter_code = 'forged', level = 'x', outcome = 'made up', kind = 77 where record_id = '${two}'`,
    `update records set body = null where record_id = '${three}'`,
    `update records set commitment = '\\x00', certificates = array[null, 'x'], release_at = 'infinity', holder_key = '\\x' where record_id = '${four}'`,
    `update records set recorded_at = recorded_at + interval '300 microseconds' where record_id = '${five}'`,
    `update records set certificate_types = array[array['a', 'b'], array['c', 'd']], other_holder_keys = array[null::bytea] where record_id = '${six}'`,
  );
  const { items } = await searchRecords(deps, { reason: 'test', limit: 200 }, call);
  t.equal(items.length, 20, 'the page does not fail');
  const state = (id: string | undefined) => items.find(({ recordId }) => recordId === id);
  t.match(state(one), { state: 'tampered', fault: { code: 'body_unreadable' } });
  t.match(state(two), {
    state: 'tampered',
    fault: { code: 'column_wrong', columns: ['kind', 'outcome', 'matter_code', 'level'] },
    kind: 'unknown',
    outcome: 'unknown',
    matterCode: 'forged',
    body: { kind: known[1]?.entry.kind },
  });
  t.match(state(three), { state: 'erased', erasedBy: undefined });
  t.match(state(four), { state: 'tampered', fault: { code: 'body_unreadable' } });
  t.match(state(six), { state: 'tampered', fault: { code: 'column_wrong' } });
  t.equal(items.filter((item) => item.state === 'whole').length, 15);
  for (const id of [one, two, three, four, six]) t.ok(tampered.includes(`records ${id}`), 'said aloud');
  const paged = await searchAll(deps, {}, 1);
  t.equal(new Set(paged).size, 20, 'microseconds neither hide nor repeat a record');
});

await t.test(
  'over the API: searches are recorded before they are answered, with every filter and no number',
  async (t) => {
    const hub = await startHub(t);
    const auditor = hub.client('audit-office');
    const [person] = people;
    const filters = {
      holder: person,
      clientId: 'school-enrolment',
      departmentCode: department,
      officerId: 'officer-9',
      matterCode: 'school-enrolment',
      caseNumber: 'CASE-990000',
      certificateIdentifier: certificates[0],
      anyVersion: true,
      certificateTypeCode: typeCodes[0],
      level: 'fields',
      outcome: 'refused',
      code: 'grant_required',
      kinds: ['access', 'erasure'],
      action: 'lookUp',
      from: '2026-01-01T00:00:00Z',
      until: '2099-01-01T00:00:00Z',
    };
    const searched = await auditor.post('/v1/audit/searches', { reason: '群众举报', ...filters });
    t.match(searched, { status: 200, body: { items: [] } });
    const { body } = await auditor.post('/v1/audit/searches', { reason: '复查', kinds: ['audit_read'], limit: 1 });
    const [item] = (body as { items: Record<string, unknown>[] }).items;
    const holderKey = keys.holderKey('111', person?.number ?? '');
    t.match(item, {
      recordId: (searched.body as { recordId: string }).recordId,
      action: 'searchRecords',
      reason: '群众举报',
      state: 'whole',
      holderKeys: [shownKey(holderKey)],
      body: {
        client: { clientId: 'audit-office' },
        scope: {
          filters: {
            holderKey: shownKey(holderKey),
            officerKey: shownKey(keys.searchKey('officer', 'officer-9')),
            caseKey: shownKey(keys.searchKey('case', 'CASE-990000')),
            clientId: 'school-enrolment',
            departmentCode: department,
            matterCode: 'school-enrolment',
            certificateIdentifier: certificates[0],
            anyVersion: true,
            certificateTypeCode: typeCodes[0],
            level: 'fields',
            outcome: 'refused',
            code: 'grant_required',
            kinds: ['access', 'erasure'],
            action: 'lookUp',
            from: '2026-01-01T00:00:00.000Z',
            until: '2099-01-01T00:00:00.000Z',
          },
          records: [],
        },
      },
    });
    t.notMatch(JSON.stringify(item), /990000190|CASE-990000|officer-9/, 'pseudonyms only');
  },
);

await t.test('what is asked by rare names in a list is never looked for by walking back in time', async (t) => {
  const { serviceUrl } = await testDatabase(t);
  // On empty tables every way costs the same: with these off, walking back is what PostgreSQL takes wherever it can.
  const db = connect({
    url: `${serviceUrl}&options=${encodeURIComponent('-c enable_seqscan=off -c enable_bitmapscan=off')}`,
    max: 1,
    statementTimeoutMs: 10_000,
    applicationName: 'plans',
  });
  t.teardown(() => db.close());
  const explained: Pick<Database, 'queryByValues'> = {
    queryByValues: (text, values) => db.queryByValues(`explain ${text}`, values),
  };
  const planOf = async (filter: RecordFilter): Promise<string> =>
    JSON.stringify(await selectRecords(explained, { filter, limit: 51 }));
  const walk = /Scan Backward using records_\d+_recorded_at_record_id_idx/;
  t.match(await planOf({}), walk, 'everything: the time index, until the page is full');
  t.match(await planOf({ certificateTypeCode: typeCodes[0] }), walk, 'a type is no rare name');
  t.notMatch(await planOf({ certificate: certificates[0] ?? '' }), walk, 'a certificate');
  t.notMatch(
    await planOf({ holderKeys: [keys.holderKey('111', people[0]?.number ?? '')] }),
    walk,
    'either arm of a holder',
  );
  const reported: Pick<Database, 'query'> = {
    query: (statement, values) => db.query({ name: 'explained', text: `explain ${statement.text}` }, values),
  };
  const own = { holderKeys: [keys.holderKey('111', people[0]?.number ?? '')], kinds: [1], at: new Date(), limit: 51 };
  // Its first arm goes by the holder's own index; on empty tables that is no better than any other, so only the second is looked at.
  const plan = (await selectCandidates(reported, own)).map((line) => JSON.stringify(line));
  const places = plan.flatMap((line, i) =>
    line.includes('other_holder_keys &&') ? [plan.slice(i - 2, i).join()] : [],
  );
  t.ok(places.length > 0, "a person's own report has such an arm");
  t.notMatch(places.join(), walk, 'and it does not walk back either');
});

await t.test('hostile searches are refused with their codes, and a cursor serves its own search alone', async (t) => {
  const hub = await startHub(t);
  const auditor = hub.client('audit-office');
  const search = (body: object) => auditor.post('/v1/audit/searches', { reason: 'test', ...body });
  const refused: [object | string, string][] = [
    [{ reason: ' ' }, 'contract_violation'],
    [{ holder: { type: '111', number: '990000190001010017' } }, 'invalid_id_number'],
    [{ holder: people[0], holderKey: 'A'.repeat(23) }, 'question_invalid'],
    [{ holderKey: `${'A'.repeat(22)}B` }, 'question_invalid'],
    [{ holderKey: 'A'.repeat(22) }, 'contract_violation'],
    [{ departmentCode: '11999900100000016B' }, 'invalid_uscc'],
    [{ certificateIdentifier: certificates[0]?.replace(/.$/, '#') }, 'contract_violation'],
    [{ certificateIdentifier: certificates[0]?.replace(/1\.[0-9A-Z]$/, '3.0') }, 'invalid_certificate_identifier'],
    [{ certificateTypeCode: '11999900100000016B001' }, 'invalid_certificate_type_code'],
    [{ anyVersion: true }, 'contract_violation'],
    [{ kinds: [] }, 'contract_violation'],
    [{ kinds: ['access', 'access'] }, 'contract_violation'],
    [{ level: 'everything' }, 'contract_violation'],
    [{ code: 'no_such_code' }, 'contract_violation'],
    [{ action: "x' or 1=1" }, 'contract_violation'],
    [{ caseNumber: 'x'.repeat(10_000) }, 'contract_violation'],
    [{ officerId: 'x'.repeat(10_000) }, 'contract_violation'],
    [{ reason: 'x'.repeat(10_000) }, 'contract_violation'],
    [{ from: '2026-02-30T00:00:00Z' }, 'contract_violation'],
    [{ from: '2026-01-02T00:00:00Z', until: '2026-01-02T00:00:00Z' }, 'range_invalid'],
    [{ from: '2026-01-02T00:00:00Z', until: '2026-01-01T00:00:00Z' }, 'range_invalid'],
    [{ limit: 0 }, 'contract_violation'],
    [{ limit: 201 }, 'contract_violation'],
    [{ after: 'x' }, 'contract_violation'],
    [{ after: Buffer.alloc(30).toString('base64url') }, 'contract_violation'],
    [{ after: Buffer.alloc(30, 255).toString('base64url') }, 'contract_violation'],
    ['{"reason":"a\\u0000b"}', 'forbidden_character'],
    ['{"reason":"a","caseNumber":"\\u0000"}', 'forbidden_character'],
  ];
  for (const [body, code] of refused) {
    const reply = typeof body === 'string' ? await auditor.post('/v1/audit/searches', body) : await search(body);
    t.equal((reply.body as { code?: string }).code, code, JSON.stringify(body).slice(0, 80));
  }
  for (const odd of ['%', '_', '\\', "'", '{}', '{"a"}', '$1', '❤️'.repeat(20), ' ']) {
    t.equal((await search({ caseNumber: odd })).status, 200, odd);
  }
  for (const [from, until] of [
    ['0000-01-01T00:00:00Z', '9999-12-31T23:59:59Z'],
    ['0001-01-01T00:00:00.123456789Z', '0001-01-01T00:00:01Z'],
  ]) {
    t.equal((await search({ from, until })).status, 200, 'any time that a calendar has');
  }
  const page = (await search({ limit: 1 })).body as { next: string };
  t.equal((await search({ limit: 2, after: page.next })).status, 200);
  for (const other of [{ kinds: ['access'] }, { clientId: 'school-enrolment' }, { until: '2099-01-01T00:00:00Z' }]) {
    const reply = await search({ ...other, after: page.next });
    t.match(reply, { status: 400, body: { code: 'contract_violation', context: { pointer: '/after' } } });
  }
  t.equal((await hub.client('school-enrolment').post('/v1/audit/searches', { reason: 'x' })).status, 403);
});

await t.test('one record is read in full, with its place in the log', async (t) => {
  const hub = await startHub(t);
  const auditor = hub.client('audit-office');
  const { recordId } = (await auditor.post('/v1/audit/searches', { reason: 'first' })).body as { recordId: string };
  const read = (id: string) => auditor.post(`/v1/audit/records/${id}/readings`, { reason: '核对' });
  t.match(await read(recordId), {
    status: 200,
    body: { record: { recordId, reason: 'first', state: 'whole', body: {} }, log: { state: 'waiting' } },
  });
  const { origin, keys: own } = { origin: hub.core.config.logOrigin, keys: hub.core.keys };
  await soon(sequencerOn(t, hub.database, { origin, keys: own }).settled(), 'published');
  const reading = await read(recordId.toUpperCase());
  t.match(reading, {
    status: 200,
    body: {
      record: { recordId, commitment: /^[\w-]{43}$/, action: 'searchRecords', clientId: 'audit-office' },
      log: { state: 'in_log', leafIndex: Number, covered: true, agrees: true, proof: `/log/proof/${recordId}` },
    },
  });
  const [last] = (
    (await auditor.post('/v1/audit/searches', { reason: 'x', action: 'readRecord', limit: 1 })).body as {
      items: unknown[];
    }
  ).items;
  t.match(last, {
    recordId: (reading.body as { recordId: string }).recordId,
    reason: '核对',
    body: { scope: { recordId } },
  });
  t.match(await read(randomUUID()), { status: 404, body: { code: 'record_unknown' } });
  t.match(await read('ffffffff-ffff-7fff-bfff-ffffffffffff'), { status: 404 });
  t.match(await read('x'), { status: 400, body: { code: 'contract_violation' } });

  await t.test('also when log and queue say nothing, or something else', async (t) => {
    const lines = hub.logLines.length;
    await runSql(
      hub.database.superuserUrl,
      `update log_leaf set entry = set_byte(entry, 33, get_byte(entry, 33) # 1) where record_id = '${recordId}'`,
    );
    t.match(await read(recordId), { status: 200, body: { record: { state: 'whole' }, log: { agrees: false } } });
    t.match(hub.logLines.slice(lines).join('\n'), new RegExp(`log_leaf.*${recordId}`));
    await runSql(hub.database.superuserUrl, `delete from log_leaf where record_id = '${recordId}'`);
    t.match(await read(recordId), { status: 200, body: { record: { state: 'whole' }, log: { state: 'waiting' } } });
  });
});
