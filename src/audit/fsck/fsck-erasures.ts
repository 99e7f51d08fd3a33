import { sql } from 'kysely';
import type { Database } from '../../db/database.ts';
import { type BodyPlace, readErasedBodies } from '../erasure/erased-by.ts';
import { type ErasureKeys, listErasureCases } from '../erasure/erasure-store.ts';
import type { RecordKeys } from '../open-record.ts';
import type { Found } from './fsck-findings.ts';
import type { CheckedPage } from './fsck-strays.ts';

/** Which bodies may be gone: told by the records of erasures, which are leaves, not by the tables that point to them. */
export interface ErasureCover {
  /** When the body of this record must be gone at the latest; undefined: nobody may have erased it. */
  readonly goneBy: (place: BodyPlace) => Date | undefined;
  readonly isEmpty: boolean;
}

/** From the erasures that their records prove. A single record goes with the record that says so; millions of bodies take their time. */
export async function readErasureCover(db: Pick<Database, 'kysely'>, keys: RecordKeys): Promise<ErasureCover> {
  // Records of erasures that do not open are findings of their own where their leaves are checked.
  const { executionOf, isEmpty } = await readErasedBodies(db, keys);
  return {
    isEmpty,
    goneBy: (place) => {
      const by = executionOf(place);
      return by && ('month' in by.target ? new Date(by.at.getTime() + monthTakesMs) : by.at);
    },
  };
}

const monthTakesMs = 3_600_000;

/** Rows about erasures that the hub did not write, or that belong to none; a page, newest first. */
export async function checkErasureRows(
  db: Pick<Database, 'kysely'>,
  keys: ErasureKeys,
  after: string | undefined,
): Promise<CheckedPage<string>> {
  const found: Found[] = [];
  const page = await listErasureCases(db.kysely, keys, { after, limit: 500 }, (table, row) => {
    found.push({ code: 'erasure_wrong', place: { table, row } });
  });
  if (after === undefined) {
    for (const table of ['erasure_approvals', 'erasure_executions'] as const) {
      const { rows } = await sql<{ erasure_id: string }>`select x.erasure_id from ${sql.table(table)} x
        where not exists (select from erasures e where e.erasure_id = x.erasure_id) limit 100`.execute(db.kysely);
      for (const { erasure_id: row } of rows) found.push({ code: 'erasure_wrong', place: { table, row } });
    }
    found.push(...(await unsaid(db)), ...(await finerTimes(db)));
  }
  return { found, rows: page.items.length, after: page.next };
}

/** MACs are over milliseconds: finer time was put there by somebody else. */
async function finerTimes(db: Pick<Database, 'kysely'>): Promise<Found[]> {
  const { rows } = await sql<{ name: string; id: string }>`
    select * from (select 'erasures' as name, erasure_id as id, created_at as at from erasures
      union all select 'erasure_approvals', erasure_id, approved_at from erasure_approvals
      union all select 'erasure_executions', erasure_id, executed_at from erasure_executions) as t
    where not isfinite(at) or date_trunc('milliseconds', at) <> at limit 100`.execute(db.kysely);
  return rows.map(({ name, id }) => ({ code: 'erasure_wrong', place: { table: name, row: id } }));
}

/** Each step has its record; a row that no record stands behind was put there. */
async function unsaid(db: Pick<Database, 'kysely'>): Promise<Found[]> {
  const { rows } = await sql<{ name: string; id: string }>`
    select 'erasure_executions' as name, x.erasure_id as id from erasure_executions x
      where not exists (select from log_leaf l where l.record_id = x.record_id)
        and not exists (select from log_queue q where q.record_id = x.record_id)
    union all select 'erasure_approvals', x.erasure_id from erasure_approvals x
      where not exists (select from log_leaf l where l.record_id = x.record_id)
        and not exists (select from log_queue q where q.record_id = x.record_id)
    limit 100`.execute(db.kysely);
  return rows.map(({ name, id }) => ({ code: 'erasure_wrong', place: { table: name, row: id } }));
}
