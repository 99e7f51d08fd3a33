import { createHash } from 'node:crypto';
import t, { type Test } from 'tap';
import { monthTree, sealMonths } from '../../src/audit/erasure/seal-month.ts';
import { openRecord } from '../../src/audit/open-record.ts';
import type { Receipt } from '../../src/audit/record.ts';
import type { RecordRow } from '../../src/audit/store.ts';
import { connect, type Database } from '../../src/db/database.ts';
import { idBytes } from '../../src/ids.ts';
import { loadKeys } from '../../src/signing/key-store.ts';
import { runSql, type TestDatabase, testDatabase } from '../support/database.ts';
import { sequencerOn, soon } from '../support/log.ts';
import { fillMonth, openMonth, recorderAt } from '../support/old-month.ts';

const keys = loadKeys('keys-example', { mode: 'demo' });

function serviceOf(t: Test, database: TestDatabase): Database {
  const db = connect({ url: database.serviceUrl, max: 6, statementTimeoutMs: 10_000, applicationName: 'test' });
  t.teardown(() => db.close());
  return db;
}
const depsOf = (db: Database, now = () => new Date()) => ({ db, now, recordIn: recorderAt(db, keys, now).recordIn });

/** RFC 6962, written down a second time. */
function root(leaves: readonly Buffer[]): Buffer {
  const sha256 = (...parts: readonly Uint8Array[]): Buffer =>
    createHash('sha256').update(Buffer.concat(parts)).digest();
  if (leaves.length === 0) return sha256();
  const [only] = leaves;
  if (leaves.length === 1 && only !== undefined) return sha256(Buffer.from([0]), only);
  let middle = 1;
  while (middle * 2 < leaves.length) middle *= 2;
  return sha256(Buffer.from([1]), root(leaves.slice(0, middle)), root(leaves.slice(middle)));
}

const recordsOf = async (database: TestDatabase, where: string): Promise<RecordRow[]> =>
  (await runSql(database.superuserUrl, `select * from records where ${where} order by record_id`)).rows as RecordRow[];

await t.test('a month that is over is sealed once, by whichever of several processes', async (t) => {
  const database = await testDatabase(t);
  const db = serviceOf(t, database);
  await fillMonth(database, keys, { month: '2014-03', count: 700 });
  await openMonth(database, '2014-04');
  await openMonth(database, '2014-05');
  const may = new Date('2014-05-01T00:30:00Z');
  t.strictSame([...(await sealMonths(depsOf(db, () => may)))], [['2014-03', 'queued']], 'April needs its hour');

  const sequencer = sequencerOn(t, database);
  await soon(sequencer.settled(), 'the old records');
  const others = [serviceOf(t, database), serviceOf(t, database)];
  const outcomes = await Promise.all([db, ...others].map((each) => sealMonths(depsOf(each, () => may))));
  const told = outcomes.map((each) => each.get('2014-03'));
  t.equal(told.filter((each) => each === 'sealed').length, 1, `exactly one: ${told.join()}`);
  const seals = await recordsOf(database, 'kind = 6');
  t.equal(seals.length, 1);
  const rows = await recordsOf(database, `recorded_at < '2014-04-01'`);
  const expected = root(rows.map((row) => Buffer.concat([idBytes(row.record_id), row.commitment])));
  const opened = seals[0] === undefined ? undefined : openRecord(keys, seals[0]);
  t.match(opened, {
    state: 'whole',
    opened: {
      body: {
        kind: 'month_seal',
        action: 'sealMonth',
        detail: { month: '2014-03', records: 700, root: expected.toString('base64url'), erased: 0 },
      },
    },
  });
  const copies = await runSql(database.superuserUrl, 'select * from record_months');
  t.match(copies.rows, [{ month: '2014-03', seal_record_id: seals[0]?.record_id, records: '700', root: expected }]);
  t.strictSame(await monthTree(db, '2014-03'), { records: 700, root: expected });

  await soon(sequencer.settled(), 'the seal');
  await openMonth(database, '2014-06');
  const june = new Date('2014-06-01T01:00:01Z');
  t.strictSame(
    [...(await sealMonths(depsOf(db, () => new Date('2014-05-01T01:00:01Z'))))],
    [['2014-04', 'sealed']],
    'a month without any record is sealed too',
  );
  await soon(sequencer.settled(), 'the seal of April');
  t.strictSame([...(await sealMonths(depsOf(db, () => june)))], [['2014-05', 'sealed']], 'with the two seals in it');
  t.match((await runSql(database.superuserUrl, `select records from record_months where month = '2014-05'`)).rows, [
    { records: '2' },
  ]);
});

await t.test('records whose ids were made at another time than they say are counted all the same', async (t) => {
  const database = await testDatabase(t);
  const db = serviceOf(t, database);
  await openMonth(database, '2014-03');
  const { record } = recorderAt(db, keys, () => new Date('2014-03-09T00:00:00Z'));
  const entry = { kind: 'access', action: 'lookUp', outcome: 'answered', requestId: 'r', at: new Date() } as const;
  const receipts: Receipt[] = await Promise.all(Array.from({ length: 20 }, () => record(entry)));
  const sequencer = sequencerOn(t, database);
  await soon(sequencer.settled(), 'the records');
  await openMonth(database, '2014-04');
  t.equal((await sealMonths(depsOf(db, () => new Date('2014-04-02T00:00:00Z')))).get('2014-03'), 'sealed');
  const sealed = await runSql(database.superuserUrl, `select records from record_months where month = '2014-03'`);
  t.match(sealed.rows, [{ records: '20' }]);

  await runSql(database.superuserUrl, 'delete from record_months');
  await runSql(database.superuserUrl, `delete from records where record_id = '${receipts[3]?.recordId}'`);
  t.equal(
    (await sealMonths(depsOf(db, () => new Date('2014-04-02T00:00:00Z')))).get('2014-03'),
    'leaves_differ',
    'a record removed before the seal is not sealed away',
  );
});

await t.test('invariant 10: a seal whose record fails is no seal', async (t) => {
  const database = await testDatabase(t);
  const db = serviceOf(t, database);
  await fillMonth(database, keys, { month: '2014-03', count: 5 });
  const sequencer = sequencerOn(t, database);
  await soon(sequencer.settled(), 'the old records');
  const now = (): Date => new Date('2014-04-02T00:00:00Z');
  const broken = { ...depsOf(db, now), recordIn: () => Promise.reject(new Error('no space left')) };
  await t.rejects(sealMonths(broken), /no space left/);
  t.strictSame((await runSql(database.superuserUrl, 'select month from record_months')).rows, []);
  await openMonth(database, '2014-04');
  t.equal((await sealMonths(depsOf(db, now))).get('2014-03'), 'sealed');
});
