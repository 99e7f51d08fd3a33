import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { sql } from 'kysely';
import t, { type Test } from 'tap';
import { v7 } from 'uuid';
import type { Entry } from '../../src/audit/entry.ts';
import { checkTarget } from '../../src/audit/erasure/check-target.ts';
import { columnsLeft, erasedColumns, readErasedBodies, readErasureSteps } from '../../src/audit/erasure/erased-by.ts';
import { type ClientStanding, erasureState, type JudgedDecision } from '../../src/audit/erasure/erasure.ts';
import { insertDecision, insertExecution } from '../../src/audit/erasure/erasure-store.ts';
import { type ExecuteErasureDeps, executeErasure } from '../../src/audit/erasure/execute-erasure.ts';
import { sealMonths } from '../../src/audit/erasure/seal-month.ts';
import { fsck } from '../../src/audit/fsck/fsck.ts';
import { openRecord } from '../../src/audit/open-record.ts';
import { monthOf } from '../../src/audit/record-body.ts';
import type { RecordRow } from '../../src/audit/store.ts';
import type { ApiClient } from '../../src/cli/api-client.ts';
import { run as eraseCommand } from '../../src/cli/audit-erase.ts';
import { run as retentionCommand } from '../../src/cli/audit-retention.ts';
import { connect, type Database } from '../../src/db/database.ts';
import { newId, type RecordId } from '../../src/ids.ts';
import { monthAfter } from '../../src/signing/record-keys.ts';
import { runSql, testDatabase } from '../support/database.ts';
import { registerOffice } from '../support/inspection-office.ts';
import { sequencerOn, soon } from '../support/log.ts';
import { fillMonth, recorderAt } from '../support/old-month.ts';
import { exampleKeys as keys, startHub, type TestHub } from '../support/start-hub.ts';

const retention = 'access=1 audit_read=1 certificate=240';
/** Over, with its retention of a month. */
const oldMonth = monthAfter(monthOf(new Date()), -3);
const legalBasis = '个人信息保护法 第四十七条';
const officer = (id: string) => ({ id, name: '审计员' });

interface World {
  readonly hub: TestHub;
  /** Clients beside the demo's. */
  readonly others: Map<string, ApiClient>;
  readonly owner: Database;
  readonly deps: ExecuteErasureDeps;
  readonly records: readonly string[];
  /** Runs a sequencer until everything queued is published. */
  readonly publish: () => Promise<void>;
  row(recordId: string): Promise<RecordRow>;
  propose(target: unknown, more?: Record<string, unknown>): Promise<{ status: number; body: Answer }>;
  decide(erasureId: string, by: Decider): Promise<{ status: number; body: Answer }>;
  /** Proposed, approved by two, published. */
  approved(target: unknown): Promise<string>;
}
interface Answer {
  readonly erasureId: string;
  readonly state?: string;
  readonly code?: string;
  readonly context?: Record<string, unknown>;
  readonly decisions?: readonly unknown[];
}
interface Decider {
  readonly id: string;
  readonly through: string;
  readonly decision?: 'approve' | 'reject';
  readonly key?: string;
}

async function world(
  t: Test,
  count: number,
  { kinds = ['access'], fsync = false }: { kinds?: readonly Entry['kind'][]; fsync?: boolean } = {},
): Promise<World> {
  const hub = await startHub(t, {
    // Commands refuse a database that does not sync.
    database: await testDatabase(t, { fsync }),
    env: { CERTHUB_RETENTION_MONTHS: retention },
  });
  const others = new Map([['inspection-office', await registerOffice(hub)]]);
  const records = await fillMonth(hub.database, keys, { month: oldMonth, count, kinds });
  const ownerOf = (): Database => {
    const db = connect({ url: hub.database.ownerUrl, max: 2, statementTimeoutMs: 60_000, applicationName: 'owner' });
    t.teardown(() => db.close());
    return db;
  };
  const owner = ownerOf();
  const publish = async (): Promise<void> => {
    const sequencer = sequencerOn(t, hub.database);
    await soon(sequencer.settled(), 'everything published');
    await sequencer.stop();
  };
  const propose: World['propose'] = async (target, more = {}) => {
    const body = { target, legalBasis, reason: '期限届满', officer: officer('officer-a'), ...more };
    const reply = await hub.client('audit-office').post('/v1/audit/erasures', body);
    return { status: reply.status, body: reply.body as Answer };
  };
  const decide: World['decide'] = async (erasureId, { id, through, decision = 'approve', key }) => {
    const body = { officer: officer(id), decision, reason: '核准' };
    const reply = await (others.get(through) ?? hub.client(through)).post(
      `/v1/audit/erasures/${erasureId}/approvals`,
      body,
      key,
    );
    return { status: reply.status, body: reply.body as Answer };
  };
  await publish();
  return {
    hub,
    others,
    owner,
    records,
    publish,
    propose,
    decide,
    deps: {
      db: owner,
      keys,
      hubKeys: keys.hubKeys,
      logOrigin: 'hub.test/log',
      recordIn: recorderAt(owner, keys, () => new Date()).recordIn,
      retention: hub.core.config.retentionMonths,
      now: () => new Date(),
    },
    row: async (recordId) =>
      (await runSql(hub.database.superuserUrl, `select * from records where record_id = '${recordId}'`))
        .rows[0] as RecordRow,
    approved: async (target) => {
      const { erasureId } = (await propose(target)).body;
      await decide(erasureId, { id: 'officer-b', through: 'inspection-office' });
      const { body } = await decide(erasureId, { id: 'officer-c', through: 'hub-admin' });
      if (body.state !== 'approved') throw new Error(`not approved: ${JSON.stringify(body)}`);
      await publish();
      return erasureId;
    },
  };
}

const seal = async ({ hub, publish }: World): Promise<void> => {
  await sealMonths({ db: hub.db, recordIn: hub.core.recorder.recordIn, now: () => new Date() });
  await publish();
};
const findings = async ({ hub }: World): Promise<unknown> =>
  (await fsck({ db: hub.db, keys, now: () => new Date() }, { origin: 'hub.test/log' })).findings.listed;
const steps = async ({ hub }: World): Promise<string[]> => {
  const found: string[] = [];
  for await (const step of readErasureSteps(hub.db, keys)) found.push('step' in step ? step.step : 'tampered');
  return found;
};

await t.test('it takes two others, through two clients, and every step is on record', async (t) => {
  const it = await world(t, 3);
  const [target = '', other = ''] = it.records;
  const proposed = await it.propose({ recordId: target });
  t.match(proposed, { status: 201, body: { state: 'proposed', decisions: [], target: { recordId: target } } });
  const { erasureId } = proposed.body;
  const refused = async (by: Decider, rule: string): Promise<void> => {
    const got = await it.decide(erasureId, by);
    t.match(got, { status: 409, body: { code: 'approver_must_differ', context: { rule } } }, rule);
  };
  await refused({ id: 'officer-a', through: 'hub-admin' }, 'same_officer');
  await refused({ id: 'Ｏfficer-A', through: 'hub-admin' }, 'same_officer');
  await refused({ id: 'officer\u2060-a', through: 'hub-admin' }, 'same_officer');
  await refused({ id: 'officer-b', through: 'audit-office' }, 'same_client');
  const key = randomUUID();
  const first = await it.decide(erasureId, { id: 'officer-b', through: 'inspection-office', key });
  t.match(first, { status: 200, body: { state: 'proposed' } }, 'one is not enough');
  const again = await it.decide(erasureId, { id: 'officer-b', through: 'inspection-office', key });
  t.strictSame(again.body, first.body, 'invariant 8: a replayed approval counts once');
  await refused({ id: 'officer-b', through: 'hub-admin' }, 'same_officer');
  await refused({ id: 'officer-c', through: 'inspection-office' }, 'same_client');
  await t.rejects(executeErasure(it.deps, erasureId), { code: 'erasure_not_approved' });
  const second = await it.decide(erasureId, { id: 'officer-c', through: 'hub-admin' });
  t.match(second, { status: 200, body: { state: 'approved' } });
  t.match(await it.decide(erasureId, { id: 'officer-d', through: 'hub-admin' }), { body: { code: 'erasure_closed' } });
  t.strictSame(await steps(it), ['proposed', 'approved', 'approved']);

  await t.rejects(executeErasure(it.deps, erasureId), { code: 'erasure_not_published' }, 'nobody could have seen it');
  await it.publish();
  const before = await it.row(target);
  await t.rejects(
    executeErasure({ ...it.deps, db: it.hub.db }, erasureId),
    { code: '42501' },
    'invariant 6: the service',
  );
  t.strictSame(await it.row(target), before);
  t.strictSame(await steps(it), ['proposed', 'approved', 'approved'], 'invariant 10: nor is it recorded');

  const done = await executeErasure(it.deps, erasureId);
  t.match(done, { bodies: 1, erased: 1, resumed: false });
  const after = await it.row(target);
  t.strictSame(columnsLeft(after), [], 'nothing but lane, id, time, kind and commitment is left');
  t.strictSame(
    [after.lane, after.record_id, after.recorded_at, after.kind, after.commitment],
    [before.lane, before.record_id, before.recorded_at, before.kind, before.commitment],
  );
  t.strictSame(openRecord(keys, after), { state: 'erased' });
  const covers = await readErasedBodies(it.hub.db, keys);
  const { recorded_at: at } = await it.row(done.recordId);
  t.strictSame(covers.coverOf(after), { erasureId, recordId: done.recordId, at }, 'no finding: the log says why');
  t.equal(covers.coverOf(await it.row(other)), undefined, 'any other missing body would be one');
  t.strictSame(covers.tampered, []);
  t.match(await executeErasure(it.deps, erasureId), { erased: 0, resumed: true, recordId: done.recordId });
  t.strictSame(await steps(it), ['proposed', 'approved', 'approved', 'executed']);

  const search = { reason: '核查', until: `${monthAfter(oldMonth, 1)}-01T00:00:00Z` };
  const found = await it.hub.client('audit-office').post('/v1/audit/searches', search);
  t.match(
    (found.body as { items: { recordId: string }[] }).items.toSorted((a, b) => (a.recordId < b.recordId ? -1 : 1)),
    [
      { recordId: target, state: 'erased', erasedBy: { erasureId, recordId: done.recordId } },
      { recordId: other, state: 'whole' },
      { state: 'whole' },
    ],
    'the auditor sees that it was erased, and by what right',
  );
  const listed = await it.hub.client('hub-admin').get('/v1/audit/erasures?limit=5');
  t.match(listed, { status: 200, body: { items: [{ erasureId, state: 'executed', execution: { bodies: 1 } }] } });
  t.match(await it.propose({ recordId: target }), { body: { context: { rule: 'already_erased' } } });
  await it.publish();
  t.strictSame(await findings(it), [], 'the self-check finds nothing');
  const { rows } = await runSql(it.hub.database.superuserUrl, 'select e.*, a.* from erasures e, erasure_approvals a');
  const stored = (rows as object[]).flatMap((row): unknown[] => Object.values(row));
  const text = stored.map((value) => (Buffer.isBuffer(value) ? value.toString('utf8') : String(value))).join(' ');
  t.match(text, 'hub-admin');
  t.notMatch(text, /officer-|审计员|个人信息/, 'invariant 5: who decided, and why, is in a box');
});

await t.test('a rejection ends it, whatever came before', async (t) => {
  const it = await world(t, 1);
  const { erasureId } = (await it.propose({ recordId: it.records[0] })).body;
  await it.decide(erasureId, { id: 'officer-b', through: 'inspection-office' });
  const rejected = await it.decide(erasureId, { id: 'officer-c', through: 'audit-office', decision: 'reject' });
  t.match(rejected, { status: 200, body: { state: 'rejected' } });
  t.match(await it.decide(erasureId, { id: 'officer-d', through: 'hub-admin' }), {
    status: 409,
    body: { code: 'erasure_closed', context: { state: 'rejected' } },
  });
  await it.publish();
  await t.rejects(executeErasure(it.deps, erasureId), { code: 'erasure_closed' });

  const url = it.hub.database.superuserUrl;
  await runSql(url, `delete from erasure_approvals where decision = 'reject'`);
  t.match(await it.decide(erasureId, { id: 'officer-d', through: 'hub-admin' }), { body: { state: 'approved' } });
  await it.publish();
  await t.rejects(
    executeErasure(it.deps, erasureId),
    { code: 'stored_data_tampered' },
    'a rejection whose row a superuser removed stands in the records',
  );
});

await t.test('what cannot be erased', async (t) => {
  const it = await world(t, 4, { kinds: ['access', 'certificate'] });
  const refused = async (target: unknown, code: string, context: Record<string, unknown>): Promise<void> => {
    const got = await it.propose(target);
    t.match(got.body, { code, context }, `${JSON.stringify(target)} ${code}`);
  };
  await refused({ month: oldMonth, kinds: ['access'] }, 'month_not_sealed', { month: oldMonth });
  await seal(it);
  await refused({ month: oldMonth, kinds: ['certificate', 'access'] }, 'retention_not_over', { kind: 'certificate' });
  await refused({ month: oldMonth, kinds: ['registry'] }, 'retention_not_over', { keptForGood: true });
  await refused({ month: oldMonth }, 'retention_not_over', { kind: 'certificate' });
  await refused({ month: monthOf(new Date()), kinds: ['access'] }, 'retention_not_over', { kind: 'access' });
  await refused({ month: monthAfter(oldMonth, -50), kinds: ['access'] }, 'month_not_sealed', {});
  await refused({ recordId: randomUUID() }, 'erasure_target_invalid', { rule: 'unknown_record' });
  const sealed = await runSql(it.hub.database.superuserUrl, 'select record_id from records where kind = 6');
  const evidence = (sealed.rows[0] as { record_id: string }).record_id;
  await refused({ recordId: evidence }, 'erasure_target_invalid', { rule: 'evidence' });
  t.match(await it.propose({ month: '2026-13' }), { status: 400 });
  t.match(await it.decide(randomUUID(), { id: 'officer-b', through: 'hub-admin' }), {
    status: 404,
    body: { code: 'erasure_unknown' },
  });
  t.strictSame(await steps(it), []);
});

await t.test('forged by SQL: nothing is believed that the hub did not write', async (t) => {
  const it = await world(t, 2);
  const url = it.hub.database.superuserUrl;
  const [target] = it.records;
  const restored = async (forge: string, undo: string, erasureId: string, code: string): Promise<void> => {
    await runSql(url, forge);
    await t.rejects(executeErasure(it.deps, erasureId), { code }, forge);
    await runSql(url, undo);
  };
  const { erasureId: lonely } = (await it.propose({ recordId: target })).body;
  await it.decide(lonely, { id: 'officer-b', through: 'inspection-office' });
  await it.publish();
  const copy = `insert into erasure_approvals select erasure_id, '\\x00'::bytea, 'hub-admin', decision, body, record_id,
    approved_at, mac from erasure_approvals where erasure_id = '${lonely}'`;
  await restored(copy, `delete from erasure_approvals where client_id = 'hub-admin'`, lonely, 'stored_data_tampered');
  const executed = `insert into erasure_executions select erasure_id, record_id, 1, now(), mac from erasure_approvals
    where erasure_id = '${lonely}'`;
  await restored(executed, 'delete from erasure_executions', lonely, 'stored_data_tampered');

  const id = await it.approved({ recordId: it.records[1] });
  const borrowed = `create table kept as select * from erasures;
    update erasures set body = (select body from kept where erasure_id = '${lonely}') where erasure_id = '${id}'`;
  const putBack = `update erasures e set body = kept.body from kept where kept.erasure_id = e.erasure_id; drop table kept`;
  await restored(borrowed, putBack, id, 'stored_data_tampered');
  const flip = `update records set body = set_byte(body, 40, get_byte(body, 40) # 1)
    where record_id in (select record_id from erasure_approvals where erasure_id = '${id}')`;
  await restored(flip, flip, id, 'stored_data_tampered');
  const shrink = 'update log_state set published_size = 0';
  const grow = 'update log_state set published_size = size';
  await restored(shrink, grow, id, 'erasure_not_published');
  const swap = `update log_leaf set leaf_index = -leaf_index - 1; update log_leaf set leaf_index = case when leaf_index = -1
    then (select count(*) from log_leaf) - 1 else -leaf_index - 2 end`;
  const swapBack = `update log_leaf set leaf_index = -leaf_index - 1; update log_leaf set leaf_index = case
    when leaf_index = -(select count(*) from log_leaf) then 0 else -leaf_index end`;
  await restored(swap, swapBack, id, 'erasure_not_published');
  t.match(await executeErasure(it.deps, id), { erased: 1 }, 'and all put back, it goes through');
});

await t.test('a month goes in batches; killed in the middle, it is finished by the next call', async (t) => {
  const it = await world(t, 4_500, { kinds: ['access', 'access', 'certificate'], fsync: true });
  await seal(it);
  const id = await it.approved({ month: oldMonth, kinds: ['access'] });
  const { database } = it.hub;
  const env = {
    PATH: process.env['PATH'] ?? '',
    CERTHUB_MODE: 'demo',
    CERTHUB_ISSUER: 'http://hub.test',
    CERTHUB_KEYS_DIR: 'keys-example',
    CERTHUB_RETENTION_MONTHS: retention,
    DATABASE_URL: database.serviceUrl,
    CERTHUB_MIGRATION_DATABASE_URL: database.ownerUrl,
  };
  const inMonth = `recorded_at < '${monthAfter(oldMonth, 1)}-01'`;
  const superuser = connect({
    url: database.superuserUrl,
    max: 1,
    statementTimeoutMs: 60_000,
    applicationName: 'test',
  });
  t.teardown(() => superuser.close());
  await superuser.kysely.transaction().execute(async (trx) => {
    // Somebody holds the last record of the month: the second batch has to wait, and the process is killed there.
    const last = `select 1 from records where ${inMonth} and kind = 1 order by recorded_at desc limit 1 for update`;
    await sql.raw(last).execute(trx);
    const command = ['--import', 'tsx', 'src/cli/certhub.ts', 'audit', 'erase', '--id', id];
    const child = spawn(process.execPath, command, { env });
    let heard = '';
    child.stderr.on('data', (chunk: Buffer) => {
      heard += chunk.toString();
      if (heard.includes('2000 of 3000 bodies')) child.kill('SIGKILL');
    });
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
    t.equal(signal, 'SIGKILL', `${code}: ${heard}`);
    const its = `select pg_terminate_backend(pid, 10000) from pg_stat_activity
      where datname = current_database() and application_name = 'certhub audit erase'`;
    await runSql(database.superuserUrl, its);
  });
  const count = async (where: string): Promise<number> =>
    (
      (await runSql(database.superuserUrl, `select count(*)::int as n from records where ${where}`)).rows[0] as {
        n: number;
      }
    ).n;
  t.equal(await count(`${inMonth} and kind = 1 and body is not null`), 1_000, 'the second batch is not gone');
  t.strictSame(await steps(it), ['proposed', 'approved', 'approved', 'executed'], 'the evidence is there first');

  const texts = { out: '', err: '' };
  const io = {
    stdout: { write: (text: string) => void (texts.out += text) },
    stderr: { write: (text: string) => void (texts.err += text) },
    env,
  };
  t.equal(await eraseCommand(['--id', id], io), 0, texts.err);
  t.match(texts.out, `finished erasure ${id}`);
  t.equal(await count(`${inMonth} and kind = 1 and body is not null`), 0);
  t.equal(await count(`${inMonth} and kind = 2 and body is not null`), 1_500, 'the other kind is untouched');
  t.equal(await count(`${inMonth} and kind = 1 and (action <> '' or holder_key is not null)`), 0);
  t.strictSame((await steps(it)).filter((step) => step === 'executed').length, 1);
  await it.publish();
  t.strictSame(await findings(it), [], 'the self-check finds nothing');
  const covers = await readErasedBodies(it.hub.db, keys);
  t.not(covers.coverOf({ record_id: 'any', recorded_at: new Date(`${oldMonth}-15`), kind: 1 }), undefined);
  t.equal(covers.coverOf({ record_id: 'any', recorded_at: new Date(`${oldMonth}-15`), kind: 2 }), undefined);
  t.equal(covers.coverOf({ record_id: 'any', recorded_at: new Date(), kind: 1 }), undefined);

  texts.out = '';
  t.equal(await retentionCommand(['--json'], io), 0, texts.err);
  const survey = JSON.parse(texts.out) as { month: string; kind: string; next: string }[];
  t.match(
    survey.filter(({ month }) => month === oldMonth),
    [
      { kind: 'access', records: 3_000, bodies: 0, sealed: true, next: 'erased' },
      { kind: 'certificate', records: 1_500, bodies: 1_500, next: 'kept_until_due' },
    ],
  );
  texts.out = '';
  t.equal(await retentionCommand([], io), 0);
  t.match(texts.out, /the month is under way/);
  t.equal(await eraseCommand(['--id', randomUUID()], io), 1);
  t.match(texts.err, 'erasure_unknown');
  t.equal(await eraseCommand([], io), 2);
});

await t.test(
  'nobody erases alone: clients made for it, of one department, or without an auditor do not count',
  async (t) => {
    const it = await world(t, 1);
    const { hub, others } = it;
    const office = async (clientId: string, more: Parameters<typeof registerOffice>[1] = {}): Promise<void> =>
      void others.set(clientId, await registerOffice(hub, { ...more, clientId }));
    await office('second-admin', { departmentCode: '119999001000000245', roles: ['admin'] });
    await office('inspection-two');
    const { erasureId } = (await it.propose({ recordId: it.records[0] })).body;
    await office('made-for-it', { departmentCode: '119999001000000320' });
    const refused = async (by: Decider, rule: string): Promise<void> => {
      const got = await it.decide(erasureId, by);
      t.match(got, { status: 409, body: { code: 'approver_must_differ', context: { rule } } }, rule);
    };
    await refused({ id: 'officer-b', through: 'made-for-it' }, 'too_new');
    t.match(await it.decide(erasureId, { id: 'officer-b', through: 'hub-admin' }), { status: 200 });
    await refused({ id: 'officer-c', through: 'second-admin' }, 'no_auditor');
    await refused({ id: 'officer-c', through: 'made-for-it' }, 'too_new');
    const done = await it.decide(erasureId, { id: 'officer-c', through: 'inspection-office' });
    t.match(done, { body: { state: 'approved' } });
    const other = (await it.propose({ recordId: it.records[0] })).body.erasureId;
    await it.decide(other, { id: 'officer-b', through: 'inspection-office' });
    t.match(await it.decide(other, { id: 'officer-c', through: 'inspection-two' }), {
      body: { context: { rule: 'same_department' } },
    });
    await it.publish();
    const executed = await executeErasure(it.deps, erasureId);
    const act = openRecord(keys, await it.row(executed.recordId));
    const detail = act.state === 'whole' ? act.opened.body['detail'] : undefined;
    const { rows } = await runSql(
      hub.database.superuserUrl,
      `select leaf_index::int as at from log_leaf where record_id = '${it.records[0]}'`,
    );
    t.match(detail, { leafIndex: (rows[0] as { at: number }).at }, 'the act names the leaf');
    await it.publish();
    t.strictSame(await findings(it), []);
  },
);

await t.test(
  'what its rows call approved is judged again by the records: at execution, by the self-check and by a search',
  async (t) => {
    const it = await world(t, 5);
    const [sound = '', ...others] = it.records;
    const { recordIn } = recorderAt(it.owner, keys, () => new Date());
    const inspection = '11999900100000016A';
    const approver = { roles: ['admin'], registeredAt: '2026-01-01T00:00:00.000Z' } as const;
    /** Approved twice: by the second row as it should be, while the record says this of the client behind it. */
    const onFile = async (recordId: string, said: { department: string; approver?: object }): Promise<string> => {
      const { erasureId } = (await it.propose({ recordId })).body;
      await it.decide(erasureId, { id: 'officer-b', through: 'inspection-office' });
      const standing = { ...approver, department: 'another' };
      const by = { officer: officer('officer-c'), clientId: 'hub-admin', standing, at: new Date() };
      const row = { ...by, decision: 'approve', reason: '核准', recordId: newId<RecordId>() } as const;
      const { department, ...told } = said;
      await it.owner.kysely.transaction().execute(async (trx) => {
        await insertDecision(trx, keys, { ...row, erasureId });
        await recordIn(trx, {
          ...step(erasureId, 'approved', recordId, told),
          recordId: row.recordId,
          caller: { clientId: by.clientId, department },
          officer: by.officer,
        });
      });
      await it.publish();
      return erasureId;
    };
    const step = (erasureId: string, name: string, recordId: string, more: object) => ({
      kind: 'erasure' as const,
      action: name === 'approved' ? 'approveErasure' : 'executeErasure',
      outcome: 'done' as const,
      requestId: 'by other hands',
      at: new Date(),
      detail: { erasureId, step: name, target: { recordId }, ...more },
    });
    const whole = { department: 'another', approver };
    const good = await onFile(sound, whole);
    t.match(await executeErasure(it.deps, good), { erased: 1 });
    await it.publish();
    t.strictSame(await findings(it), []);

    /** Executed by a hub that asks less; `shift`: so far behind its leaf is the one that the act names. */
    const executed = async (erasureId: string, target: string, shift = 0): Promise<unknown> => {
      const recordId = newId<RecordId>();
      await it.owner.kysely.transaction().execute(async (trx) => {
        const { rows } = await sql<{ leafIndex: number }>`
        select leaf_index::int + ${shift}::int as "leafIndex" from log_leaf where record_id = ${target}`.execute(trx);
        await insertExecution(trx, keys, { erasureId, recordId, bodies: 1, at: new Date() });
        await recordIn(trx, { ...step(erasureId, 'executed', target, rows[0] ?? {}), recordId });
        await trx.updateTable('records').set(erasedColumns).where('record_id', '=', target).execute();
      });
      await it.publish();
      return findings(it);
    };
    const byRight = others.pop() ?? '';
    const misplaced = others.pop() ?? '';
    t.strictSame(await executed(await onFile(byRight, whole), byRight), []);

    /** What an auditor's search says of it. */
    const shown = async (recordId: string): Promise<unknown> => {
      const search = { reason: '核查', until: `${monthAfter(oldMonth, 1)}-01T00:00:00Z` };
      const { body } = await it.hub.client('audit-office').post('/v1/audit/searches', search);
      return (body as { items: { recordId: string }[] }).items.find((each) => each.recordId === recordId);
    };
    t.match(await shown(byRight), { state: 'erased', erasedBy: {} });
    const missing: object[] = [];
    const isMissing = async (found: unknown, record: string, why: string): Promise<void> => {
      missing.push({ code: 'body_missing', place: { record } });
      t.match(found, missing, why);
      t.equal((found as unknown[]).length, missing.length, `${why}: nothing else`);
      t.match(
        await shown(record),
        { state: 'erased', erasedBy: undefined },
        `${why}: a search does not believe it either`,
      );
      const reported = it.hub.logLines.some((line) => line.includes(record));
      t.ok(reported, `${why}: and reports it`);
    };
    for (const [why, said] of Object.entries({
      'nothing is said of the client': { department: whole.department },
      'it is of the department of the other': { ...whole, department: inspection },
    })) {
      const target = others.shift() ?? '';
      const erasureId = await onFile(target, said);
      await t.rejects(executeErasure(it.deps, erasureId), { code: 'stored_data_tampered' }, why);
      t.not((await it.row(target)).body, null, 'its body is there still');
      await isMissing(await executed(erasureId, target), target, why);
    }
    await isMissing(
      await executed(await onFile(misplaced, whole), misplaced, 1),
      misplaced,
      'the act names another leaf',
    );
  },
);

await t.test('the rules once more, by what the records say', (t) => {
  const createdAt = new Date('2026-11-01T00:00:00Z');
  const erasure = { officer: officer('a'), clientId: 'proposer', createdAt };
  const approval = (id: string, more: Partial<ClientStanding> = {}): JudgedDecision => ({
    decision: 'approve',
    officer: officer(id),
    clientId: `client-${id}`,
    standing: { department: `department-${id}`, roles: ['auditor'], registeredAt: '2026-10-31T00:00:00.000Z', ...more },
  });
  const state = (...decisions: JudgedDecision[]) => erasureState({ erasure, decisions });
  t.equal(state(approval('b'), approval('c', { roles: ['admin'] })), 'approved');
  for (const [why, second] of [
    ['no standing on file', { ...approval('c'), standing: undefined }],
    ['an unknown client', approval('c', { registeredAt: null })],
    ['registered in the very moment', approval('c', { registeredAt: createdAt.toISOString() })],
    ['the same department', approval('c', { department: 'department-b' })],
    ['the proposing client', { ...approval('c'), clientId: 'proposer' }],
    ['the same client', { ...approval('c'), clientId: 'client-b' }],
    ['the proposer', { ...approval('c'), officer: officer('A') }],
    ['the same officer', { ...approval('c'), officer: officer(' B ') }],
  ] as const) {
    t.equal(state(approval('b'), second), 'proposed', why);
  }
  t.equal(state(approval('b', { roles: ['admin'] }), approval('c', { roles: ['admin'] })), 'proposed', 'no auditor');
  t.end();
});

await t.test('what is kept singly, and what its holder could not learn of yet', async (t) => {
  const it = await world(t, 3, { kinds: ['access', 'certificate', 'registry'] });
  const [, certificate, registry] = it.records;
  const refused = async (target: unknown, context: Record<string, unknown>): Promise<void> => {
    t.match((await it.propose(target)).body, { code: 'retention_not_over', context }, JSON.stringify(context));
  };
  await refused({ recordId: certificate }, { kind: 'certificate' });
  await refused({ recordId: registry }, { kind: 'registry', keptForGood: true });
  const at = new Date(`${oldMonth}-20T00:00:00Z`);
  const releaseAt = new Date(Date.now() + 86_400_000);
  const { record } = recorderAt(it.hub.db, keys, () => at);
  const recordId = v7({ msecs: at.getTime() }) as RecordId;
  const detail = { secrecy: { releaseAt: releaseAt.toISOString(), legalGround: '监察法' } };
  await record({ recordId, kind: 'access', action: 'lookUp', outcome: 'answered', requestId: 'secret', at, detail });
  await it.publish();
  await seal(it);
  const until = releaseAt.toISOString();
  const month = { month: oldMonth, kinds: ['access'] };
  await refused({ recordId }, { rule: 'under_secrecy', until });
  await refused(month, { rule: 'under_secrecy', records: 1, until });
  const { deps } = it;
  const { db } = it.hub;
  const later = new Date(releaseAt.getTime() + 1);
  await checkTarget({ ...deps, db }, { recordId }, later);
  await checkTarget({ ...deps, db }, { month: oldMonth, kinds: ['access'] }, later);
  await runSql(it.hub.database.superuserUrl, `update records set release_at = null where record_id = '${recordId}'`);
  t.match((await it.propose({ recordId })).body, { code: 'stored_data_tampered' }, 'hidden by SQL, it stays');
});

await t.test('two executions at once are one', async (t) => {
  const it = await world(t, 2_500);
  await seal(it);
  const id = await it.approved({ month: oldMonth, kinds: ['access'] });
  const done = await Promise.all([1, 2, 3].map(() => executeErasure(it.deps, id)));
  t.equal(new Set(done.map(({ recordId }) => recordId)).size, 1);
  t.equal(
    done.reduce((sum, { erased }) => sum + erased, 0),
    2_500,
  );
  t.strictSame(await steps(it), ['proposed', 'approved', 'approved', 'executed']);
});
