import { createHash } from 'node:crypto';
import { Refusal } from '../../errors.ts';
import { type Call, idBytes } from '../../ids.ts';
import type { IndexKeys } from '../../signing/data-keys.ts';
import { canonicalJson } from '../../verification/canonical-json.ts';
import type { RecordKeys } from '../open-record.ts';
import type { Receipt, Recorder } from '../record.ts';
import type { ReleaseKeys } from '../report/report-store.ts';
import { auditRead } from './audit-read.ts';
import { type FoundDeps, type FoundRecord, foundRecords } from './found-record.ts';
import { type PreparedQuestion, prepareQuestion, type RecordQuestion } from './record-filter.ts';
import { type FoundRow, type Position, selectRecords } from './search-store.ts';

export interface RecordQuery extends RecordQuestion {
  /** Why the auditor searches; recorded. */
  readonly reason: string;
  readonly after?: string;
  readonly limit?: number;
}

export interface RecordPage {
  readonly items: readonly FoundRecord[];
  readonly next?: string;
  readonly receipt: Receipt;
}

export interface SearchDeps extends FoundDeps {
  readonly keys: RecordKeys & ReleaseKeys & Pick<IndexKeys, 'everyHolderKey'>;
  readonly record: Recorder;
}

const defaultLimit = 50;

/**
 * Searches the records, newest first. The search is recorded, with its reason and every filter, before anything of it leaves (invariant 1).
 * A record that was tampered with or erased stands in the page as such.
 * @throws Refusal as `prepareQuestion`, `contract_violation` for a cursor that does not belong to this search, `search_too_broad`
 */
export async function searchRecords(deps: SearchDeps, query: RecordQuery, call: Call): Promise<RecordPage> {
  const { db, keys, record } = deps;
  const { reason, after, limit = defaultLimit, ...question } = query;
  const prepared = prepareQuestion(keys, question);
  const before = after === undefined ? undefined : readCursor(after, prepared);
  const { filter } = prepared;
  const rows = await selectRecords(db, { filter, ...(before !== undefined && { before }), limit: limit + 1 });
  const page = rows.slice(0, limit);
  const items = await foundRecords(deps, page);
  const receipt = await record(
    auditRead('searchRecords', call, {
      reason,
      ...(prepared.subject !== undefined && { subject: prepared.subject }),
      scope: {
        filters: prepared.asked,
        after: before?.recordId ?? null,
        limit,
        records: items.map(({ recordId }) => recordId),
      },
    }),
  );
  const last = rows.length > limit ? page.at(-1) : undefined;
  return { items, receipt, ...(last !== undefined && { next: writeCursor(last, prepared) }) };
}

/** 8 bytes of time in microseconds, 16 of the record id, 6 that say which search it belongs to. */
const cursorBytes = 30;

function writeCursor({ micros, record_id }: FoundRow, { asked }: PreparedQuestion): string {
  const time = Buffer.alloc(8);
  time.writeBigInt64BE(BigInt(micros));
  return Buffer.concat([time, idBytes(record_id), fingerprintOf(asked)]).toString('base64url');
}

function readCursor(text: string, { asked }: PreparedQuestion): Position {
  const bytes = Buffer.from(text, 'base64url');
  const isOurs =
    bytes.length === cursorBytes &&
    bytes.toString('base64url') === text &&
    bytes.subarray(24).equals(fingerprintOf(asked));
  const micros = isOurs ? Number(bytes.readBigInt64BE()) : Number.NaN;
  // Beyond these years there are no records, and no time that PostgreSQL and Date both can write.
  if (!(micros >= 0 && micros < Date.UTC(9999, 0) * 1000)) {
    throw new Refusal('contract_violation', { pointer: '/after' });
  }
  return { micros, recordId: uuidOf(bytes.subarray(8, 24)) };
}

/** A cursor of another search would leave out records without a word. */
const fingerprintOf = (asked: PreparedQuestion['asked']): Buffer =>
  createHash('sha256').update(canonicalJson(asked)).digest().subarray(0, 6);

const uuidOf = (bytes: Buffer): string =>
  bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
