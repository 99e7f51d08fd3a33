import type { Database } from '../../db/database.ts';
import { Refusal } from '../../errors.ts';
import type { Call } from '../../ids.ts';
import { parseCertificateIdentifier } from '../../verification/identifiers.ts';
import type { Outcome } from '../entry.ts';
import { openRecord, type RecordKeys } from '../open-record.ts';
import type { Receipt, Recorder } from '../record.ts';
import { type FoundRow, type Position, selectRecords } from './search-store.ts';

export interface OwnReceiptQuery {
  /** Only records of this certificate version: which of the client's cases used it. */
  readonly certificateIdentifier?: string;
  /** Half-open range of the time of recording. */
  readonly from?: Date;
  readonly until?: Date;
  readonly after?: string;
  readonly limit?: number;
}

/** What a client may know of a record it caused: enough to find it in the log, nothing of its content. */
export interface OwnReceipt {
  readonly recordId: string;
  readonly recordedAt: Date;
  readonly action: string;
  readonly outcome: Outcome;
  readonly code?: string;
  /** 32 bytes, as in the answer. */
  readonly commitment: Buffer;
  /** Of a tampered record nothing but the id and the commitment should be believed, and neither without the log. */
  readonly state: 'whole' | 'erased' | 'tampered';
}

export interface OwnReceiptPage {
  readonly items: readonly OwnReceipt[];
  readonly next?: string;
  readonly receipt: Receipt;
}

export interface OwnReceiptDeps {
  readonly db: Database;
  readonly keys: RecordKeys;
  readonly record: Recorder;
}

/**
 * The records that the calling client caused, newest first: what it compares with the answers it kept. A record that does not hold
 * together is shown as tampered rather than refused, since a reconciliation is there to bring such things to light.
 * @throws Refusal `invalid_certificate_identifier`, `contract_violation` for a cursor that is none
 */
export async function ownReceipts(
  { db, keys, record }: OwnReceiptDeps,
  { certificateIdentifier, from, until, after, limit = 100 }: OwnReceiptQuery,
  { caller, requestId, at }: Call,
): Promise<OwnReceiptPage> {
  const filter = {
    clientId: caller.clientId,
    ...certificateFilter(certificateIdentifier),
    ...(from !== undefined && { from }),
    ...(until !== undefined && { until }),
  };
  const before = after === undefined ? {} : { before: readCursor(after) };
  const rows = await selectRecords(db, { filter, ...before, limit: limit + 1 });
  const page = rows.slice(0, limit);
  const items = page.map((row) => receiptOf(keys, row));
  const last = page.at(-1);
  const receipt = await record({
    kind: 'audit_read',
    action: 'searchOwnReceipts',
    outcome: 'answered',
    caller: { clientId: caller.clientId, department: caller.department, keyId: caller.keyId },
    scope: { ...scopeOf(caller.clientId, { from, until }, page), certificateIdentifier: certificateIdentifier ?? null },
    requestId,
    at,
  });
  const next = rows.length > limit && last !== undefined ? `${last.micros}_${last.record_id}` : undefined;
  return { items, receipt, ...(next !== undefined && { next }) };
}

function certificateFilter(certificateIdentifier: string | undefined): { readonly certificate?: string } {
  if (certificateIdentifier === undefined) return {};
  const parsed = parseCertificateIdentifier(certificateIdentifier);
  if (parsed.ok) return { certificate: certificateIdentifier };
  throw new Refusal('invalid_certificate_identifier', { pointer: '/certificateIdentifier', rule: parsed.reason });
}

const scopeOf = (
  clientId: string,
  { from, until }: { from: Date | undefined; until: Date | undefined },
  page: readonly FoundRow[],
) => ({
  clientId,
  from: from?.toISOString() ?? null,
  until: until?.toISOString() ?? null,
  records: page.length,
  newest: page[0]?.record_id ?? null,
  oldest: page.at(-1)?.record_id ?? null,
});

const receiptOf = (keys: RecordKeys, row: FoundRow): OwnReceipt => ({
  recordId: row.record_id,
  recordedAt: row.recorded_at,
  action: row.action,
  outcome: row.outcome as Outcome,
  ...(row.code !== null && { code: row.code }),
  commitment: row.commitment,
  state: openRecord(keys, row).state,
});

function readCursor(text: string): Position {
  const match = /^(\d{1,16})_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.exec(text);
  const [, time, recordId] = match ?? [];
  const micros = Number(time);
  // a time that no date can have would fail in SQL
  if (recordId === undefined || micros > 8.64e15) throw new Refusal('contract_violation', { pointer: '/after' });
  return { micros, recordId };
}
