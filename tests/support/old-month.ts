import { v7 } from 'uuid';
import type { Entry } from '../../src/audit/entry.ts';
import { type AuditRecorder, startRecorder } from '../../src/audit/record.ts';
import { insertRecords } from '../../src/audit/store.ts';
import { connect, type Database } from '../../src/db/database.ts';
import type { RecordId } from '../../src/ids.ts';
import type { Keys } from '../../src/signing/key-store.ts';
import { runSql, type TestDatabase } from './database.ts';

/** Makes the partition of a month that is long over. */
export async function openMonth(database: TestDatabase, month: string): Promise<void> {
  const end = new Date(`${month}-01T00:00:00Z`);
  end.setUTCMonth(end.getUTCMonth() + 1);
  await runSql(
    database.ownerUrl,
    `create table if not exists records_${month.replace('-', '')} partition of records
      for values from ('${month}-01 00:00:00+00') to ('${end.toISOString()}')`,
  );
}

/** A recorder whose clock stands at a time. */
export const recorderAt = (db: Database, keys: Keys, at: () => Date): AuditRecorder =>
  startRecorder({ insertAll: (rows) => insertRecords(db, rows), keys, now: at, maxBatch: 300 });

/** Records a month long over, spread over its days, of these kinds in turn; ids as that time would have made them. */
export async function fillMonth(
  database: TestDatabase,
  keys: Keys,
  { month, count, kinds = ['access'] }: { month: string; count: number; kinds?: readonly Entry['kind'][] },
): Promise<RecordId[]> {
  await openMonth(database, month);
  const db = connect({ url: database.serviceUrl, max: 2, statementTimeoutMs: 20_000, applicationName: 'old month' });
  const start = Date.parse(`${month}-01T00:00:00Z`);
  let at = new Date(start);
  const { record } = recorderAt(db, keys, () => at);
  const one = async (which: number): Promise<RecordId> => {
    at = new Date(start + Math.floor((which * 27 * 86_400_000) / count) + 1_000);
    const recordId = v7({ msecs: at.getTime() }) as RecordId;
    await record({
      recordId,
      kind: kinds[which % kinds.length] ?? 'access',
      action: 'lookUp',
      outcome: 'answered',
      caller: { clientId: 'school-enrolment', department: '11999900100000075D', keyId: 'k1' },
      officer: { id: `officer-${which % 7}`, name: '经办人甲' },
      purpose: { matterCode: 'school-enrolment', caseNumber: `CASE-${which}`, legalBasis: 'own_application' },
      subjects: [keys.holderKey('111', '990000190001010016')],
      scope: { level: 'fields' },
      requestId: `old-${which}`,
      at,
    });
    return recordId;
  };
  try {
    const made: RecordId[] = [];
    // In portions: a recorder refuses when too much waits.
    while (made.length < count) {
      const begin = made.length;
      const portion = Array.from({ length: Math.min(1_000, count - begin) }, (_, more) => one(begin + more));
      made.push(...(await Promise.all(portion)));
    }
    return made;
  } finally {
    await db.close();
  }
}
