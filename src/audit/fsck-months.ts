import type { Database } from '../db/database.ts';
import type { Found } from './fsck-findings.ts';
import { readRecordsById } from './fsck-store.ts';
import type { CheckedPage } from './fsck-strays.ts';
import { openRecord, type RecordKeys } from './open-record.ts';
import { monthTree } from './seal-month.ts';

interface MonthRow {
  readonly month: string | null;
  readonly seal_record_id: string;
  readonly records: number | null;
  readonly root: Buffer | null;
  readonly sealed_at: Date | null;
}

/** The row is written just before its record, by the same clock. */
const secondsApart = 60_000;

/**
 * One sealed month: its seal opens and says what the leaves of the month are, and the row beside it says the same. Rows of seals whose
 * copy is gone are found too. `months` limits the costly part.
 */
export async function checkMonth(
  { db, keys }: { readonly db: Database; readonly keys: RecordKeys },
  after: string,
  isWanted: (month: string) => boolean,
): Promise<CheckedPage<string>> {
  const statement = {
    name: 'fsck_months',
    text: `select m.month, coalesce(m.seal_record_id, r.record_id) as seal_record_id, m.records, m.root, m.sealed_at
      from record_months m full join (select record_id from records where kind = 6) r on r.record_id = m.seal_record_id
      where coalesce(m.seal_record_id, r.record_id) > $1::uuid order by 2 limit 1`,
  };
  const [row] = await db.query<MonthRow>(statement, [after]);
  if (row === undefined) return { found: [], rows: 0, after: undefined };
  return { found: await judgeMonth(db, keys, row, isWanted), rows: 1, after: row.seal_record_id };
}

async function judgeMonth(
  db: Database,
  keys: RecordKeys,
  row: MonthRow,
  isWanted: (month: string) => boolean,
): Promise<Found[]> {
  const record = row.seal_record_id;
  const [sealRow] = await readRecordsById(db, [record]);
  const opened = sealRow === undefined ? undefined : openRecord(keys, sealRow);
  const body = opened?.state === 'whole' ? opened.opened.body : undefined;
  const said = body?.['kind'] === 'month_seal' ? (body['detail'] as Record<string, unknown> | null) : null;
  const month = typeof said?.['month'] === 'string' ? said['month'] : row.month;
  const place = { ...(month !== null && { month }), record };
  if (said == null) return [{ code: 'month_copy_wrong', place, detail: 'No record that opens says so.' }];
  const found: Found[] = [];
  const root = Buffer.from(String(said['root']), 'base64url');
  const columns = [
    ...(row.month === said['month'] ? [] : ['month']),
    ...(row.records === said['records'] ? [] : ['records']),
    ...(row.root?.equals(root) === true ? [] : ['root']),
    ...(isNear(row.sealed_at, sealRow?.recorded_at) ? [] : ['sealed_at']),
  ];
  if (columns.length > 0) found.push({ code: 'month_copy_wrong', place: { ...place, columns } });
  if (month === null || !isWanted(month)) return found;
  let tree = await monthTree(db, month);
  if (tree.records !== said['records']) tree = await monthTree(db, month, { everywhere: true });
  if (tree.records !== said['records'] || !tree.root.equals(root)) {
    const detail = `It says ${String(said['records'])} records, the log has ${tree.records}.`;
    found.push({ code: 'month_seal_wrong', place, detail });
  }
  return found;
}

const isNear = (one: Date | null | undefined, other: Date | null | undefined): boolean =>
  one != null && other != null && Math.abs(one.getTime() - other.getTime()) <= secondsApart;
