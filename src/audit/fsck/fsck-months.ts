import type { Database } from '../../db/database.ts';
import { monthTree } from '../erasure/seal-month.ts';
import { openRecord, type RecordKeys } from '../open-record.ts';
import { type Found, namesOf } from './fsck-findings.ts';
import { readRecordsById } from './fsck-store.ts';
import type { CheckedPage } from './fsck-strays.ts';

interface MonthRow {
  readonly month: string | null;
  readonly seal_record_id: string;
  readonly records: number | null;
  readonly root: Buffer | null;
  readonly sealed_at: Date | null;
}

/** The row is written just before its record, by the same clock. */
const apartMs = 60_000;

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
  const seal = await readSeal(db, keys, record);
  if (seal === undefined) {
    const place = { record, ...(row.month !== null && { month: row.month }) };
    return [{ code: 'month_copy_wrong', place, detail: 'No record that opens says so.' }];
  }
  const { month, records, root, recordedAt } = seal;
  const place = { month, record };
  const columns = namesOf({
    month: row.month !== month,
    records: row.records !== records,
    root: row.root?.equals(root) !== true,
    sealed_at: row.sealed_at === null || Math.abs(row.sealed_at.getTime() - recordedAt.getTime()) > apartMs,
  });
  const found: Found[] = columns.length === 0 ? [] : [{ code: 'month_copy_wrong', place: { ...place, columns } }];
  if (!isWanted(month)) return found;
  let tree = await monthTree(db, month);
  if (tree.records !== records) tree = await monthTree(db, month, { everywhere: true });
  if (tree.records === records && tree.root.equals(root)) return found;
  return [
    ...found,
    { code: 'month_seal_wrong', place, detail: `It says ${records} records, the log has ${tree.records}.` },
  ];
}

interface Seal {
  readonly month: string;
  readonly records: number;
  readonly root: Buffer;
  readonly recordedAt: Date;
}

/** What the record of a seal says, or undefined when no record that opens is one. */
async function readSeal(db: Database, keys: RecordKeys, recordId: string): Promise<Seal | undefined> {
  const [row] = await readRecordsById(db, [recordId]);
  const opened = row === undefined ? undefined : openRecord(keys, row);
  if (row === undefined || opened?.state !== 'whole' || opened.opened.body['kind'] !== 'month_seal') return undefined;
  const said = (opened.opened.body['detail'] ?? {}) as Readonly<Record<string, unknown>>;
  const root = Buffer.from(String(said['root']), 'base64url');
  return { month: String(said['month']), records: Number(said['records']), root, recordedAt: row.recorded_at };
}
