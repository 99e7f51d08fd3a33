import type { Transaction } from 'kysely';
import type { Database } from '../db/database.ts';
import type { Tables } from '../db/tables.ts';

export type RecordRow = Tables['records'];

/** A record to be written, with the MAC of its place in the queue of the log (`queueMac`). */
export type NewRecord = RecordRow & { readonly queue_mac: Buffer };

/** Columns of `records`, in the order in which a batch is written. */
export const recordColumns = [
  'lane',
  'record_id',
  'recorded_at',
  'kind',
  'action',
  'outcome',
  'code',
  'client_id',
  'department_code',
  'matter_code',
  'case_key',
  'officer_key',
  'holder_key',
  'other_holder_keys',
  'commitment',
  'body',
  'level',
  'certificates',
  'certificate_types',
  'release_at',
] as const;

const rowType = `lane, record_id, recorded_at, kind, action, outcome, code, client_id, department_code, matter_code,
      case_key, officer_key, holder_key, others, commitment, body, level, certificates, types, release_at, queue_mac`;

/**
 * One statement for a batch of any size: arrays by column. Lists travel as text, since arrays of arrays cannot be unnested. The same
 * statement puts what it stored into the queue of the log: no record without its place there, nor the other way round.
 */
const insertBatch = {
  name: 'records_insert',
  text: `with given as materialized (
    select * from unnest($1::int[], $2::uuid[], $3::timestamptz[], $4::smallint[], $5::text[], $6::text[], $7::text[], $8::text[],
      $9::text[], $10::text[], $11::bytea[], $12::bytea[], $13::bytea[], $14::text[], $15::bytea[], $16::bytea[],
      $17::text[], $18::text[], $19::text[], $20::timestamptz[], $21::bytea[])
      as r(${rowType})),
  stored as (
    insert into records (${recordColumns.join(', ')})
    select lane, record_id, recorded_at, kind, action, outcome, code, client_id, department_code, matter_code,
      case_key, officer_key, holder_key,
      case when others is null then null
        else (select array_agg(decode(key, 'hex')) from unnest(string_to_array(others, ',')) as key) end,
      commitment, body, level, string_to_array(certificates, ','), string_to_array(types, ','), release_at
    from given
    on conflict do nothing
    returning record_id)
  insert into log_queue (record_id, lane, recorded_at, kind, commitment, mac)
    select record_id, lane, recorded_at, kind, commitment, queue_mac from given
    where record_id in (select record_id from stored)`,
};

const valuesOf = (rows: readonly NewRecord[]): readonly unknown[] => {
  const column = <K extends keyof NewRecord>(name: K) => rows.map((row) => row[name]);
  return [
    column('lane'),
    column('record_id'),
    column('recorded_at'),
    column('kind'),
    column('action'),
    column('outcome'),
    column('code'),
    column('client_id'),
    column('department_code'),
    column('matter_code'),
    column('case_key'),
    column('officer_key'),
    column('holder_key'),
    rows.map((row) => row.other_holder_keys?.map((key) => key.toString('hex')).join(',') ?? null),
    column('commitment'),
    column('body'),
    column('level'),
    rows.map((row) => row.certificates?.join(',') ?? null),
    rows.map((row) => row.certificate_types?.join(',') ?? null),
    column('release_at'),
    column('queue_mac'),
  ];
};

/**
 * Inserts a batch and resolves after its commit (an implicit transaction is committed before pg reports it done).
 * Ids are made before: a batch whose acknowledgement got lost can be sent again and is stored once.
 */
export const insertRecords = async (db: Database, rows: readonly NewRecord[]): Promise<void> => {
  await db.query(insertBatch, valuesOf(rows));
};

/** Inserts one record and its place in the queue in the transaction of the change that it records. */
export async function insertRecordIn(trx: Transaction<Tables>, { queue_mac: mac, ...row }: NewRecord): Promise<void> {
  const { record_id, lane, recorded_at, kind, commitment } = row;
  await trx.insertInto('records').values(row).execute();
  await trx.insertInto('log_queue').values({ record_id, lane, recorded_at, kind, commitment, mac }).execute();
}

/** Opens this month's partition and the next ones; the service role may do that through one function only. */
export async function ensurePartitions(db: Database): Promise<void> {
  await db.query({ name: 'records_partitions', text: 'select ensure_record_partitions(3)' }, []);
}

/** Whether the hub could write a record now: inserts one and rolls it back. Rejects if not. */
export async function probeRecording(db: Database, row: NewRecord): Promise<void> {
  const rolledBack = new Error('rolled back');
  try {
    await db.kysely.transaction().execute(async (trx) => {
      await insertRecordIn(trx, row);
      throw rolledBack;
    });
  } catch (error) {
    if (error !== rolledBack) throw error;
  }
}
