import { existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as jose from 'jose';
import t, { type Test } from 'tap';
import { approveErasure } from '../../src/audit/erasure/approve-erasure.ts';
import { readErasedBodies } from '../../src/audit/erasure/erased-by.ts';
import type { ErasureCase } from '../../src/audit/erasure/erasure.ts';
import { executeErasure } from '../../src/audit/erasure/execute-erasure.ts';
import { proposeErasure } from '../../src/audit/erasure/propose-erasure.ts';
import { sealMonths } from '../../src/audit/erasure/seal-month.ts';
import { auditUpkeep } from '../../src/audit/erasure/upkeep.ts';
import { openRecord } from '../../src/audit/open-record.ts';
import type { RecordBody } from '../../src/audit/record-body.ts';
import { monthOf } from '../../src/audit/record-body.ts';
import type { RecordRow } from '../../src/audit/store.ts';
import { run as keysCommand } from '../../src/cli/keys.ts';
import { connect } from '../../src/db/database.ts';
import { connectPools } from '../../src/db/pools.ts';
import type { WriteAnswer } from '../../src/db/write.ts';
import { openLog } from '../../src/http/log.ts';
import { assembleCore, type Core } from '../../src/hub-core.ts';
import type { Caller, ClientId, DepartmentCode } from '../../src/ids.ts';
import { initKeys } from '../../src/signing/init-keys.ts';
import { type Keys, loadKeys } from '../../src/signing/key-store.ts';
import { monthAfter } from '../../src/signing/record-keys.ts';
import { rotateKeys } from '../../src/signing/rotate-keys.ts';
import { runSql, type TestDatabase, testDatabase } from '../support/database.ts';
import { sequencerOn, soon } from '../support/log.ts';
import { fillMonth, recorderAt } from '../support/old-month.ts';
import { testConfig } from '../support/start-hub.ts';

const retention = { CERTHUB_RETENTION_MONTHS: 'access=1 audit_read=1 certificate=240' };
const oldMonth = monthAfter(monthOf(new Date()), -3);

/** Keys made before the old month, so that it has keys of its own. */
async function keysFrom(month: string): Promise<string> {
  const directory = join(mkdtempSync(join(tmpdir(), 'certhub-month-keys-')), 'keys');
  const now = new Date(`${month}-10T00:00:00Z`);
  await initKeys({ directory, city: '示范市', departments: [], from: now, now });
  return directory;
}

async function coreOf(t: Test, database: TestDatabase, keys: Keys): Promise<Core> {
  const pools = connectPools({
    url: database.serviceUrl,
    max: 4,
    statementTimeoutMs: 20_000,
    applicationName: 'test',
  });
  const log = openLog({ level: 'silent' });
  const core = await assembleCore({ config: testConfig(retention), ...pools, keys, log, now: () => new Date() });
  t.teardown(async () => {
    await core.close();
    await pools.close();
  });
  return core;
}

const callOf = (clientId: string, key: string, department = '11999900100000016A') => {
  const caller: Caller = {
    clientId: clientId as ClientId,
    department: department as DepartmentCode,
    roles: ['auditor'],
    keyId: 'k1',
  };
  return { caller, requestId: `request-${key}`, at: new Date(), idempotencyKey: `key-${key}` };
};
const present = (found: ErasureCase): WriteAnswer => ({ status: 200, body: { erasureId: found.erasure.erasureId } });

async function evidence(database: TestDatabase, keys: Keys, kind: number): Promise<RecordBody[]> {
  const { rows } = await runSql(database.superuserUrl, `select * from records where kind = ${kind} order by record_id`);
  return (rows as RecordRow[]).flatMap((row) => {
    const opened = openRecord(keys, row);
    return opened.state === 'whole' ? [opened.opened.body] : [];
  });
}

await t.test('a destroyed month cannot be read from a backup, and that is no tampering', async (t) => {
  const database = await testDatabase(t, { fsync: true });
  const directory = await keysFrom(monthAfter(oldMonth, -1));
  const keys = loadKeys(directory, { mode: 'demo' });
  const core = await coreOf(t, database, keys);
  await fillMonth(database, keys, { month: oldMonth, count: 40, kinds: ['access', 'certificate'] });
  const heads = await runSql(database.superuserUrl, 'select distinct kind, get_byte(body, 0) as layout from records');
  t.match(heads.rows, [{ layout: 2 }, { layout: 2 }], 'under the keys of their month');
  const { db, write } = core;
  const { recordIn } = core.recorder;
  const publish = async (): Promise<void> => {
    const sequencer = sequencerOn(t, database, { keys });
    await soon(sequencer.settled(), 'everything published');
    await sequencer.stop();
  };
  await publish();
  await sealMonths({ db, recordIn, now: () => new Date() });
  await publish();

  const registeredAt = async (): Promise<Date> => new Date('2026-01-01T00:00:00Z');
  const deps = { db, write, recordIn, keys, retention: core.config.retentionMonths, registeredAt };
  const officer = (id: string) => ({ id, name: '审计员' });
  const proposal = {
    target: { month: oldMonth, kinds: ['access'] },
    legalBasis: '保存期限届满',
    reason: '到期',
    officer: officer('officer-a'),
  } as const;
  const { body } = await proposeErasure(deps, proposal, callOf('audit-office', 'proposal'), present);
  const { erasureId } = body as { erasureId: string };
  for (const [id, client] of Object.entries({ 'officer-b': 'inspection-office', 'officer-c': 'hub-admin' })) {
    const verdict = { erasureId, officer: officer(id), decision: 'approve', reason: '核准' } as const;
    await approveErasure(deps, verdict, callOf(client, id, client), present);
  }
  await publish();

  const texts = { out: '', err: '' };
  const io = {
    stdout: { write: (text: string) => void (texts.out += text) },
    stderr: { write: (text: string) => void (texts.err += text) },
    env: { CERTHUB_MODE: 'demo', CERTHUB_ISSUER: 'http://hub.test', DATABASE_URL: database.serviceUrl, ...retention },
  };
  const destroy = (month: string, erasure = erasureId): Promise<number> => {
    texts.err = '';
    return keysCommand(['destroy-month', '--dir', directory, '--month', month, '--erasure', erasure], io);
  };
  const file = join(directory, `records/${oldMonth}-access.hex`);
  t.equal(await destroy(oldMonth), 1);
  t.match(texts.err, /erasure_not_approved.*not_executed/, 'no key goes before the bodies');
  t.equal(await destroy(monthOf(new Date())), 1);
  t.match(texts.err, /is not over/);
  t.equal(await destroy(monthAfter(oldMonth, 1)), 1);
  t.match(texts.err, /erasure_target_invalid.*other_month/);
  t.equal(await destroy('2001-01'), 1);
  t.match(texts.err, /has no record key of 2001-01/);
  t.equal(await destroy(oldMonth, '0198f2a0-0000-7000-8000-000000000000'), 1);
  t.match(texts.err, /erasure_unknown/);
  t.equal(await destroy('2026'), 2);
  t.ok(existsSync(file));
  t.strictSame(await evidence(database, keys, 7), [], 'refusals destroy nothing and record nothing');

  await runSql(database.superuserUrl, 'create table backup as select * from records');
  const owner = connect({ url: database.ownerUrl, max: 2, statementTimeoutMs: 60_000, applicationName: 'owner' });
  t.teardown(() => owner.close());
  await executeErasure(
    {
      ...deps,
      db: owner,
      hubKeys: keys.hubKeys,
      logOrigin: 'hub.test/log',
      recordIn: recorderAt(owner, keys, () => new Date()).recordIn,
      now: () => new Date(),
    },
    erasureId,
  );
  const forged = `insert into key_events values ('record-${oldMonth}-access', 'destroyed', now())`;
  await runSql(database.superuserUrl, forged);
  t.equal(await destroy(oldMonth), 1, 'a row that no record stands behind');
  t.match(texts.err, /stored_data_tampered.*key_events.*no_record_of_it/);
  t.ok(existsSync(file), 'no key goes without a trace');
  t.strictSame(await evidence(database, keys, 7), []);
  await runSql(database.superuserUrl, `delete from key_events where state = 'destroyed'`);
  t.equal(await destroy(oldMonth), 0, texts.err);
  t.match(texts.out, /destroy every other copy of records/);
  t.equal(existsSync(file), false);
  t.equal(readdirSync(join(directory, 'records')).filter((name) => name.startsWith(oldMonth)).length, 3);
  const [event, ...more] = await evidence(database, keys, 7);
  const kid = `record-${oldMonth}-access`;
  t.match(event, { kind: 'key_event', action: 'keyDestroyed', detail: { kid, month: oldMonth, erasureId } });
  t.strictSame(more, []);
  t.equal(await destroy(oldMonth), 1);
  t.match(texts.err, /erasure_not_published/, 'of another copy of the keys: once everybody can see that they go');
  await publish();
  t.equal(await destroy(oldMonth), 0, 'again: nothing more to do');
  t.equal((await evidence(database, keys, 7)).length, 1);

  await runSql(
    database.superuserUrl,
    `update records r set body = b.body, action = b.action, outcome = b.outcome, holder_key = b.holder_key
      from backup b where b.record_id = r.record_id and b.kind = 1 and r.body is null`,
  );
  const now = loadKeys(directory, { mode: 'demo' });
  const { rows } = await runSql(
    database.superuserUrl,
    `select * from records where recorded_at < '${monthAfter(oldMonth, 1)}-01'`,
  );
  const covers = await readErasedBodies(db, now);
  for (const row of rows as RecordRow[]) {
    const { state } = openRecord(now, row);
    if (row.kind === 1) {
      t.equal(state, 'erased', 'restored, and nobody can open it');
      t.match(covers.coverOf(row), { erasureId }, 'by right');
      t.throws(() => now.recordBox(oldMonth).open(row.commitment, row.body ?? Buffer.alloc(0)), {
        code: 'stored_data_tampered',
      });
    } else t.equal(state, 'whole', 'the other kinds are as they were');
  }
});

await t.test('every key of the hub leaves one record of its beginning and one of its end', async (t) => {
  const database = await testDatabase(t);
  const directory = await keysFrom(monthOf(new Date()));
  const keys = loadKeys(directory, { mode: 'demo' });
  const cores = [await coreOf(t, database, keys), await coreOf(t, database, keys)];
  await Promise.all(cores.map((core) => core.beginServing()));
  const events = await evidence(database, keys, 7);
  t.equal(events.length, 4, 'two processes at once leave one each');
  t.strictSame(events.map(({ detail }) => (detail as { use: string }).use).toSorted(), [
    'answer',
    'log',
    'status',
    'token',
  ]);
  for (const { action, detail } of events) {
    const { kid, thumbprint } = detail as { kid: string; thumbprint: string };
    const key = keys.hubKeys.find((each) => each.kid === kid);
    t.equal(action, 'keyIntroduced');
    t.equal(
      thumbprint,
      await jose.calculateJwkThumbprint(key?.jwk as jose.JWK),
      `RFC 7638 as jose computes it: ${kid}`,
    );
  }
  await cores[0]?.beginServing();
  t.equal((await evidence(database, keys, 7)).length, 4);

  const old = keys.answer.kid;
  await rotateKeys({ directory, use: 'answer', now: new Date() });
  const rotated = loadKeys(directory, { mode: 'demo' });
  await (await coreOf(t, database, rotated)).beginServing();
  const later = (await evidence(database, rotated, 7)).slice(4);
  t.strictSame(later.map(({ action, detail }) => `${String(action)} ${(detail as { kid: string }).kid}`).toSorted(), [
    `keyIntroduced ${rotated.answer.kid}`,
    `keyRetired ${old}`,
  ]);
});

await t.test('a hub says when few months have keys left', async (t) => {
  const database = await testDatabase(t);
  const directory = await keysFrom(monthOf(new Date()));
  const keys = loadKeys(directory, { mode: 'demo' });
  const { db, recorder } = await coreOf(t, database, keys);
  const warned = async (at: Date, isDemo = false): Promise<unknown[]> => {
    const said: unknown[] = [];
    const log = { info: () => undefined, error: () => undefined, warn: (facts: object) => void said.push(facts) };
    const upkeep = auditUpkeep({ db, keys, recordIn: recorder.recordIn, now: () => at, isDemo, log });
    await upkeep.begin();
    await upkeep.settled();
    return said;
  };
  const start = new Date(`${monthOf(new Date())}-10T00:00:00Z`);
  const after = (months: number): Date => new Date(`${monthAfter(monthOf(start), months)}-10T00:00:00Z`);
  t.strictSame(await warned(start), []);
  t.strictSame(await warned(after(34)), []);
  t.strictSame(await warned(after(35)), [{ months: 2 }]);
  t.strictSame(await warned(after(40)), [{ months: 0 }]);
  t.strictSame(await warned(after(40), true), [], 'demo keys are public anyway');
});
