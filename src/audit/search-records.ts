import type { Database } from '../db/database.ts';
import { Refusal } from '../errors.ts';
import type { Call } from '../ids.ts';
import type { EncryptionKeys, IndexKeys } from '../signing/data-keys.ts';
import { checkHolder } from '../verification/identifiers.ts';
import { type Entry, type Outcome, type RecordKind, recordKinds } from './entry.ts';
import { openRecord } from './open-record.ts';
import type { Receipt, Recorder } from './record.ts';
import type { RecordBody } from './record-body.ts';
import { type RecordFilter, type RecordRow, selectRecords } from './store.ts';

export interface RecordQuery {
  /** Why the auditor searches; recorded. */
  readonly reason: string;
  readonly holder?: { readonly type: string; readonly number: string };
  readonly clientId?: string;
  readonly caseNumber?: string;
  readonly matterCode?: string;
  readonly from?: Date;
  readonly until?: Date;
  readonly after?: string;
  readonly limit?: number;
}

export interface FoundRecord {
  readonly recordId: string;
  readonly recordedAt: Date;
  readonly kind: RecordKind;
  readonly action: string;
  readonly outcome: Outcome;
  readonly code?: string;
  readonly clientId?: string;
  readonly departmentCode?: string;
  readonly matterCode?: string;
  readonly commitment: Buffer;
  readonly body: RecordBody;
}

export interface RecordPage {
  readonly items: readonly FoundRecord[];
  readonly next?: string;
  readonly receipt: Receipt;
}

export interface SearchDeps {
  readonly db: Database;
  readonly keys: Pick<EncryptionKeys, 'recordBox'> & Pick<IndexKeys, 'everyHolderKey' | 'searchKeys'>;
  readonly record: Recorder;
}

/** Searches the records, newest first. The search is recorded, with its reason, before anything of it leaves (invariant 1). */
export async function searchRecords(
  { db, keys, record }: SearchDeps,
  query: RecordQuery,
  call: Call,
): Promise<RecordPage> {
  const limit = query.limit ?? 50;
  const { filter, subjects } = filterOf(keys, query, limit + 1);
  const rows = await selectRecords(db, filter);
  const page = rows.slice(0, limit);
  const items = page.map((row) => open(keys, row));
  const entry: Entry = {
    kind: 'audit_read',
    action: 'searchRecords',
    outcome: 'answered',
    caller: { clientId: call.caller.clientId, department: call.caller.department, keyId: call.caller.keyId },
    ...(subjects.length > 0 && { subjects }),
    scope: {
      clientId: query.clientId ?? null,
      matterCode: query.matterCode ?? null,
      byHolder: query.holder !== undefined,
      byCase: query.caseNumber !== undefined,
      from: query.from?.toISOString() ?? null,
      until: query.until?.toISOString() ?? null,
      records: page.map((row) => row.record_id),
    },
    requestId: call.requestId,
    at: call.at,
    detail: { reason: query.reason },
  };
  const receipt = await record(entry);
  const last = rows.length > limit ? page.at(-1) : undefined;
  return { items, receipt, ...(last !== undefined && { next: `${last.recorded_at.getTime()}_${last.record_id}` }) };
}

function filterOf(
  keys: SearchDeps['keys'],
  query: RecordQuery,
  limit: number,
): { filter: RecordFilter; subjects: readonly Buffer[] } {
  let subjects: readonly Buffer[] = [];
  if (query.holder !== undefined) {
    const checked = checkHolder(query.holder);
    if (!checked.ok) throw new Refusal(checked.code, { pointer: '/holder/number' });
    subjects = keys.everyHolderKey(checked.holder.type, checked.holder.number);
  }
  const filter: RecordFilter = {
    limit,
    ...(query.holder !== undefined && { holderKeys: subjects }),
    ...(query.clientId !== undefined && { clientId: query.clientId }),
    ...(query.caseNumber !== undefined && { caseKeys: keys.searchKeys('case', query.caseNumber) }),
    ...(query.matterCode !== undefined && { matterCode: query.matterCode }),
    ...(query.from !== undefined && { from: query.from }),
    ...(query.until !== undefined && { until: query.until }),
    ...(query.after !== undefined && { before: cursor(query.after) }),
  };
  return { filter, subjects: subjects.slice(0, 1) };
}

function cursor(text: string): { recordedAt: Date; recordId: string } {
  const match = /^(\d{1,15})_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.exec(text);
  const [, time, recordId] = match ?? [];
  if (time === undefined || recordId === undefined) throw new Refusal('contract_violation', { pointer: '/after' });
  return { recordedAt: new Date(Number(time)), recordId };
}

const kindNames = new Map<number, RecordKind>(
  Object.entries(recordKinds).map(([name, number]) => [number, name as RecordKind]),
);

/** Throws `stored_data_tampered` when id, body, commitment and copies do not belong together. */
function open(keys: SearchDeps['keys'], row: RecordRow): FoundRecord {
  const kind = kindNames.get(row.kind);
  const record = openRecord(keys, row);
  if (kind === undefined || record.state !== 'whole') {
    throw new Refusal('stored_data_tampered', { recordId: row.record_id });
  }
  return {
    recordId: row.record_id,
    recordedAt: row.recorded_at,
    kind,
    action: row.action,
    outcome: row.outcome as Outcome,
    ...(row.code !== null && { code: row.code }),
    ...(row.client_id !== null && { clientId: row.client_id }),
    ...(row.department_code !== null && { departmentCode: row.department_code }),
    ...(row.matter_code !== null && { matterCode: row.matter_code }),
    commitment: row.commitment,
    body: record.opened.body,
  };
}
