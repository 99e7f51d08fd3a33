import { type Kysely, sql, type Transaction } from 'kysely';
import type { Tables } from '../../db/tables.ts';
import { Refusal } from '../../errors.ts';
import type { EncryptionKeys, IndexKeys } from '../../signing/data-keys.ts';
import { canonicalJson } from '../../verification/canonical-json.ts';
import type { Erasure, ErasureCase, ErasureDecision, ErasureExecution } from './erasure.ts';

/**
 * Tables erasures, erasure_approvals and erasure_executions. Every row bears the hub's MAC over its columns and hides who and why in a
 * box: nobody proposes, approves or executes by SQL. They are a register to work with; the evidence is the record of each step.
 */

type Handle = Kysely<Tables> | Transaction<Tables>;
export type ErasureKeys = Pick<EncryptionKeys, 'box' | 'rowMac' | 'verifyRowMac'> & Pick<IndexKeys, 'searchKey'>;

type Column = string | number | Date | Buffer;
const covered = (columns: readonly Column[]): Buffer =>
  Buffer.from(
    canonicalJson(
      columns.map((column) =>
        column instanceof Date ? column.getTime() : Buffer.isBuffer(column) ? column.toString('hex') : column,
      ),
    ),
  );

const bound = (table: string, ...ids: readonly string[]): Buffer => Buffer.from([table, ...ids].join(' '));
const sealJson = (keys: ErasureKeys, aad: Buffer, value: unknown): Buffer =>
  keys.box.seal(aad, Buffer.from(canonicalJson(value)));
const openJson = <T>(keys: ErasureKeys, aad: Buffer, box: Buffer): T =>
  JSON.parse(keys.box.open(aad, box).toString('utf8')) as T;

type ErasureRow = Tables['erasures'];
type DecisionRow = Tables['erasure_approvals'];
type ExecutionRow = Tables['erasure_executions'];

const erasureBytes = (row: Omit<ErasureRow, 'mac'>): Buffer => covered([row.erasure_id, row.body, row.created_at]);
const decisionBytes = (row: Omit<DecisionRow, 'mac'>): Buffer =>
  covered([row.erasure_id, row.officer_key, row.client_id, row.decision, row.body, row.record_id, row.approved_at]);
const executionBytes = (row: Omit<ExecutionRow, 'mac'>): Buffer =>
  covered([row.erasure_id, row.record_id, row.bodies, row.executed_at]);

/** Puts a proposal on file. */
export async function insertErasure(trx: Transaction<Tables>, keys: ErasureKeys, erasure: Erasure): Promise<void> {
  const { erasureId, createdAt, ...said } = erasure;
  const row = {
    erasure_id: erasureId,
    body: sealJson(keys, bound('erasures', erasureId), said),
    created_at: createdAt,
  };
  await trx
    .insertInto('erasures')
    .values({ ...row, mac: keys.rowMac('erasure', erasureBytes(row)) })
    .execute();
}

/** Puts a decision on file. */
export async function insertDecision(
  trx: Transaction<Tables>,
  keys: ErasureKeys,
  { erasureId, ...made }: ErasureDecision & { readonly erasureId: string },
): Promise<void> {
  const row = {
    erasure_id: erasureId,
    officer_key: keys.searchKey('officer', made.officer.id),
    client_id: made.clientId,
    decision: made.decision,
    body: sealJson(keys, bound('erasure_approvals', erasureId, made.recordId), {
      officer: made.officer,
      reason: made.reason,
      ...(made.standing !== undefined && { standing: made.standing }),
    }),
    record_id: made.recordId,
    approved_at: made.at,
  };
  await trx
    .insertInto('erasure_approvals')
    .values({ ...row, mac: keys.rowMac('erasure_approval', decisionBytes(row)) })
    .execute();
}

/** Puts an execution on file, as the owner of the table; false when there is one already. */
export async function insertExecution(
  trx: Transaction<Tables>,
  keys: ErasureKeys,
  { erasureId, recordId, bodies, at }: ErasureExecution & { readonly erasureId: string },
): Promise<boolean> {
  const row = { erasure_id: erasureId, record_id: recordId, bodies, executed_at: at };
  const inserted = await trx
    .insertInto('erasure_executions')
    .values({ ...row, mac: keys.rowMac('erasure_execution', executionBytes(row)) })
    .onConflict((conflict) => conflict.column('erasure_id').doNothing())
    .returning('erasure_id')
    .executeTakeFirst();
  return inserted !== undefined;
}

/** Until the end of the transaction nobody else decides about this erasure or executes it. */
export async function holdErasure(trx: Transaction<Tables>, erasureId: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${erasureId}, 6))`.execute(trx);
}

/**
 * A proposal with everything that happened to it, or undefined.
 * @throws Refusal `stored_data_tampered` when one of its rows was not written by the hub: then nothing about it is believed
 */
export async function readErasure(
  handle: Handle,
  keys: ErasureKeys,
  erasureId: string,
): Promise<ErasureCase | undefined> {
  const row = await handle
    .selectFrom('erasures')
    .select(['erasure_id', 'body', 'created_at', 'mac'])
    .where('erasure_id', '=', erasureId)
    .executeTakeFirst();
  return row === undefined ? undefined : completeCase(handle, keys, row);
}

async function completeCase(handle: Handle, keys: ErasureKeys, row: ErasureRow): Promise<ErasureCase> {
  const decided = await handle
    .selectFrom('erasure_approvals')
    .select(['erasure_id', 'officer_key', 'client_id', 'decision', 'body', 'record_id', 'approved_at', 'mac'])
    .where('erasure_id', '=', row.erasure_id)
    .orderBy('approved_at')
    .orderBy('record_id')
    .execute();
  const executed = await handle
    .selectFrom('erasure_executions')
    .select(['erasure_id', 'record_id', 'bodies', 'executed_at', 'mac'])
    .where('erasure_id', '=', row.erasure_id)
    .executeTakeFirst();
  const authentic =
    keys.verifyRowMac('erasure', erasureBytes(row), row.mac) &&
    decided.every((each) => keys.verifyRowMac('erasure_approval', decisionBytes(each), each.mac)) &&
    (executed === undefined || keys.verifyRowMac('erasure_execution', executionBytes(executed), executed.mac));
  if (!authentic) throw new Refusal('stored_data_tampered', { erasureId: row.erasure_id });
  const erasureId = row.erasure_id;
  const said = openJson<Omit<Erasure, 'erasureId' | 'createdAt'>>(keys, bound('erasures', erasureId), row.body);
  return {
    erasure: { ...said, erasureId, createdAt: row.created_at },
    decisions: decided.map((each) => ({
      ...openJson<Pick<ErasureDecision, 'officer' | 'reason' | 'standing'>>(
        keys,
        bound('erasure_approvals', erasureId, each.record_id),
        each.body,
      ),
      decision: each.decision === 'approve' ? 'approve' : 'reject',
      clientId: each.client_id,
      recordId: each.record_id,
      at: each.approved_at,
    })),
    ...(executed !== undefined && {
      execution: { recordId: executed.record_id, bodies: executed.bodies, at: executed.executed_at },
    }),
  };
}

/** Proposals newest first. One that was tampered with is told to `tampered` and left out. */
export async function listErasureCases(
  handle: Handle,
  keys: ErasureKeys,
  page: { readonly after?: string | undefined; readonly limit: number },
  tampered: (table: string, id: string) => void,
): Promise<{ readonly items: readonly ErasureCase[]; readonly next?: string }> {
  let query = handle
    .selectFrom('erasures')
    .select(['erasure_id', 'body', 'created_at', 'mac'])
    .orderBy('erasure_id', 'desc')
    .limit(page.limit + 1);
  if (page.after !== undefined) query = query.where('erasure_id', '<', page.after);
  const rows = await query.execute();
  const items: ErasureCase[] = [];
  for (const row of rows.slice(0, page.limit)) {
    try {
      items.push(await completeCase(handle, keys, row));
    } catch (error) {
      if (!(error instanceof Refusal) || error.code !== 'stored_data_tampered') throw error;
      tampered('erasures', row.erasure_id);
    }
  }
  const last = rows.length > page.limit ? rows[page.limit - 1] : undefined;
  return { items, ...(last !== undefined && { next: last.erasure_id }) };
}

/** When the first record was made; undefined when there is none. */
export async function firstRecordedAt(handle: Handle): Promise<Date | undefined> {
  const row = await handle
    .selectFrom('records')
    .select('recorded_at')
    .orderBy('recorded_at')
    .orderBy('record_id')
    .limit(1)
    .executeTakeFirst();
  return row?.recorded_at;
}

/** The months that are sealed. */
export async function sealedMonths(handle: Handle): Promise<ReadonlySet<string>> {
  const rows = await handle.selectFrom('record_months').select('month').execute();
  return new Set(rows.map(({ month }) => month));
}

/** Whether a month is sealed. */
export async function isMonthSealed(handle: Handle, month: string): Promise<boolean> {
  const row = await handle.selectFrom('record_months').select('month').where('month', '=', month).executeTakeFirst();
  return row !== undefined;
}
