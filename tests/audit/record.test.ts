import t from 'tap';
import type { Entry } from '../../src/audit/entry.ts';
import { type Receipt, startRecorder } from '../../src/audit/record.ts';
import { decodeBody, readBody } from '../../src/audit/record-body.ts';
import { insertRecords, type NewRecord } from '../../src/audit/store.ts';
import { connect } from '../../src/db/database.ts';
import { idBytes } from '../../src/ids.ts';
import { loadKeys } from '../../src/signing/key-store.ts';
import { commitmentOfFields, commitRecord } from '../../src/verification/commitment.ts';
import { runSql, testDatabase } from '../support/database.ts';

const keys = loadKeys('keys-example', { mode: 'demo' });
const now = (): Date => new Date();
const entry = (overrides: Partial<Entry> = {}): Entry => ({
  kind: 'access',
  action: 'lookUp',
  outcome: 'answered',
  caller: { clientId: 'school-enrolment', department: '11999900100000016A', keyId: 'k1' },
  officer: { id: 'officer-7', name: '经办人甲' },
  purpose: { matterCode: 'school-enrolment', caseNumber: 'CASE-2026-1', legalBasis: 'statutory_duty' },
  subjects: [keys.holderKey('111', '990000190001010016'), keys.holderKey('111', '990000190001010024')],
  scope: { level: 'fields' },
  certificates: [],
  requestId: 'request-1',
  at: new Date(),
  ...overrides,
});

await t.test('invariant 1: concurrent entries share inserts, none resolves before its commit', async (t) => {
  const { serviceUrl, superuserUrl } = await testDatabase(t);
  const db = connect({ url: serviceUrl, max: 4, statementTimeoutMs: 5_000, applicationName: 'test' });
  t.teardown(() => db.close());
  let flushes = 0;
  let early = 0;
  const committed = new Set<string>();
  const insertAll = async (rows: readonly NewRecord[]): Promise<void> => {
    flushes += 1;
    await insertRecords(db, rows);
    for (const row of rows) committed.add(row.record_id);
  };
  const { record } = startRecorder({ insertAll, keys, now, maxBatch: 300 });
  const receipts = await Promise.all(
    Array.from({ length: 500 }, async (_, i) => {
      const receipt = await record(entry({ requestId: `request-${i}` }));
      if (!committed.has(receipt.recordId)) early += 1;
      return receipt;
    }),
  );
  t.equal(early, 0, 'committed before it resolved');
  t.ok(flushes <= 4, `500 entries went in with ${flushes} inserts`);
  const { rows } = await runSql(superuserUrl, 'select count(*)::int as n from records');
  t.match(rows, [{ n: 500 }]);
  t.equal(new Set(receipts.map(({ recordId }) => recordId)).size, 500);
});

await t.test('a stored record opens to what was recorded, and its commitment covers every field', async (t) => {
  const { serviceUrl, superuserUrl } = await testDatabase(t);
  const db = connect({ url: serviceUrl, max: 2, statementTimeoutMs: 5_000, applicationName: 'test' });
  t.teardown(() => db.close());
  const { record } = startRecorder({ insertAll: (rows) => insertRecords(db, rows), keys, now, maxBatch: 10 });
  const receipt = await record(entry({ detail: { reason: '核对' } }));
  const { rows } = await runSql(superuserUrl, 'select * from records');
  const row = rows[0] as NewRecord;
  t.strictSame(row.commitment, receipt.commitment);
  t.equal(row.other_holder_keys?.length, 1, 'the second holder is found as well');
  const { salt, fields } = decodeBody(
    keys.recordBox(row.recorded_at.toISOString().slice(0, 7)).open(row.commitment, row.body ?? Buffer.alloc(0)),
  );
  t.match(readBody(fields), {
    kind: 'access',
    outcome: { result: 'answered' },
    officer: { id: 'officer-7', name: '经办人甲' },
    purpose: { caseNumber: 'CASE-2026-1' },
    detail: { reason: '核对' },
  });
  const again = commitRecord(idBytes(row.record_id), salt, readBody(fields));
  t.strictSame(again.commitment, row.commitment, 'recomputed from the stored bytes');
  const swapped = again.fieldCommitments.map((each, i) => (i === 12 ? Buffer.alloc(32) : each));
  t.notSame(commitmentOfFields(idBytes(row.record_id), swapped), row.commitment, 'no field is left out');
  t.notMatch(JSON.stringify(rows), /经办人|CASE-2026|officer-7|990000/, 'invariant 5: nothing personal in clear');
});

await t.test('invariant 1: a failing insert rejects everybody in it and nobody gets a receipt', async (t) => {
  let broken = true;
  const kept: string[] = [];
  const insertAll = async (rows: readonly NewRecord[]): Promise<void> => {
    if (broken) throw Object.assign(new Error('no space left on device'), { code: '53100' });
    kept.push(...rows.map(({ record_id }) => record_id));
  };
  const { record } = startRecorder({ insertAll, keys, now, maxBatch: 10 });
  const outcomes = await Promise.allSettled(Array.from({ length: 25 }, () => record(entry())));
  t.ok(outcomes.every(({ status }) => status === 'rejected'));
  t.match(outcomes[0], { reason: { code: 'record_unavailable' } });
  broken = false;
  const receipt = await record(entry());
  t.strictSame(kept, [receipt.recordId], 'it recovers by itself');
});

await t.test('a poison row fails alone', async (t) => {
  const kept: string[] = [];
  const insertAll = async (rows: readonly NewRecord[]): Promise<void> => {
    if (rows.some(({ code }) => code === 'internal_error')) throw Object.assign(new Error('bad'), { code: '22021' });
    kept.push(...rows.map(({ record_id }) => record_id));
  };
  const { record } = startRecorder({ insertAll, keys, now, maxBatch: 100 });
  const outcomes = await Promise.allSettled(
    Array.from({ length: 40 }, (_, i) => record(entry(i === 17 ? { code: 'internal_error' } : {}))),
  );
  const receipts = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  t.equal(receipts.length, 39);
  t.strictSame(kept.toSorted(), receipts.map(({ recordId }: Receipt) => recordId as string).toSorted());
});

await t.test(
  'invariant 1: a database that hangs costs each caller its deadline, not more, and the queue is bounded',
  async (t) => {
    let letGo: () => void = () => undefined;
    const hanging = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const recorder = startRecorder({ insertAll: () => hanging, keys, now, maxBatch: 2, deadlineMs: 50 });
    const { record } = recorder;
    const outcomes = await Promise.allSettled(Array.from({ length: 100 }, () => record(entry())));
    t.ok(outcomes.every((outcome) => outcome.status === 'rejected'));
    t.match(outcomes[0], { reason: { code: 'record_unavailable' } });
    letGo();
    await recorder.drain();
    t.equal((await record(entry())).commitment.length, 32, 'and it goes on when the database does');
  },
);
