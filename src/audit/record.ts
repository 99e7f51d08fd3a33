import { randomBytes } from 'node:crypto';
import type { Transaction } from 'kysely';
import { type Coalescer, coalesce } from '../db/batch.ts';
import type { Database } from '../db/database.ts';
import { isDataFault } from '../db/fault.ts';
import type { Tables } from '../db/tables.ts';
import { Refusal, type RefusalCode, type RefusalDetail } from '../errors.ts';
import { idBytes, newId, type RecordId } from '../ids.ts';
import type { EncryptionKeys, IndexKeys } from '../signing/data-keys.ts';
import { commitRecord } from '../verification/commitment.ts';
import type { Entry } from './entry.ts';
import { queueMac, queueTime } from './log/queue-mac.ts';
import { encodeBody, recordValues } from './record-body.ts';
import { columnsOf } from './record-columns.ts';
import { insertRecordIn, type NewRecord, probeRecording } from './store.ts';

declare const made: unique symbol;

/** Proof that a record is committed. Made in this file alone, and only after the commit. */
export interface Receipt {
  readonly recordId: RecordId;
  /** 32 bytes, over every field of the record. */
  readonly commitment: Uint8Array;
  readonly recordedAt: Date;
  readonly [made]: true;
}

/** Resolves once the entry is committed; rejects with `record_unavailable` (503) if it could not be. */
export type Recorder = (entry: Entry) => Promise<Receipt>;

/** Records a change in the transaction that makes it: both are committed or neither. */
export type RecordIn = (trx: Transaction<Tables>, entry: Entry) => Promise<void>;

/** A refusal that its record precedes: it cannot be built, so not thrown, without the receipt. */
export class RecordedRefusal extends Refusal {
  override readonly name = 'RecordedRefusal';
  readonly recorded = true;
  readonly receipt: Receipt;
  constructor(code: RefusalCode, receipt: Receipt, detail: RefusalDetail = {}) {
    super(code, detail);
    this.receipt = receipt;
  }
}

export interface RecorderDeps {
  /** Inserts all rows in one statement; resolves after the commit. A fault test wraps it. */
  readonly insertAll: (rows: readonly NewRecord[]) => Promise<void>;
  readonly keys: Pick<EncryptionKeys, 'recordBox' | 'rowMac'> & Pick<IndexKeys, 'searchKey'>;
  readonly now: () => Date;
  /** Rows of one flush at most. */
  readonly maxBatch: number;
  /** A caller waits so long for its record, then is told 503; default 2 s. The row may be written all the same. */
  readonly deadlineMs?: number;
  /** Full batches that may wait behind the one under way; default 20. */
  readonly waitingBatches?: number;
  /** Told of every flush that failed, without data. */
  readonly failed?: (error: unknown) => void;
}

export interface AuditRecorder {
  readonly record: Recorder;
  readonly recordIn: RecordIn;
  /** Waits until everything handed in is committed or rejected. */
  drain(): Promise<void>;
  /** Resolves when a record could be written now: inserts one and rolls it back. */
  probe(db: Database): Promise<void>;
}

/**
 * Concurrent entries share one insert: the next flush starts when the last one returned, so an idle hub adds no delay and a
 * busy one pays for one commit per batch. Fails closed: an entry whose insert failed rejects, nobody is answered.
 * A row that PostgreSQL itself refuses is isolated by halving the batch and fails alone.
 */
export function startRecorder({
  insertAll,
  keys,
  now,
  maxBatch,
  deadlineMs = 2_000,
  waitingBatches = 20,
  failed,
}: RecorderDeps): AuditRecorder {
  // The writer's lane is its shard key: all rows of a batch go to one shard.
  const lane = randomBytes(4).readUInt32BE() >>> 1;

  const flush = async (rows: readonly NewRecord[]): Promise<undefined[]> => {
    try {
      await insertAll(rows);
    } catch (error) {
      failed?.(error);
      throw error;
    }
    return rows.map(() => undefined);
  };
  const enqueue: Coalescer<NewRecord, undefined> = coalesce(flush, { maxBatch, isPoison: isDataFault });

  const record: Recorder = async (entry) => {
    // While the database hangs, what piles up is bounded: nobody else begins to wait.
    if (enqueue.pending > waitingBatches * maxBatch) throw new Refusal('record_unavailable');
    const row = toRow(entry, { keys, lane, recordedAt: now() });
    try {
      await within(deadlineMs, enqueue(row));
    } catch (cause) {
      throw new Refusal('record_unavailable', {}, { cause });
    }
    // Only now: before the commit there is nothing to receipt.
    return { recordId: row.record_id, commitment: row.commitment, recordedAt: row.recorded_at } as unknown as Receipt;
  };

  return {
    record,
    recordIn: (trx, entry) => insertRecordIn(trx, toRow(entry, { keys, lane, recordedAt: now() })),
    drain: () => enqueue.drain(),
    probe: (db) => probeRecording(db, toRow(probeEntry(now()), { keys, lane, recordedAt: now() })),
  };
}

/** Rejects when the promise has not settled in time; what it settles to later is dropped. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer from the database in time')), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

const probeEntry = (at: Date): Entry => ({
  kind: 'access',
  action: 'getReadiness',
  outcome: 'answered',
  requestId: 'probe',
  at,
});

interface RowContext {
  readonly keys: RecorderDeps['keys'];
  readonly lane: number;
  readonly recordedAt: Date;
}

/** Builds the stored row: commitment over the canonical fields, body encrypted for its month, search columns as copies. */
function toRow(entry: Entry, { keys, lane, recordedAt }: RowContext): NewRecord & { record_id: RecordId } {
  const recordId = entry.recordId ?? newId<RecordId>();
  const salt = randomBytes(32);
  const at = recordedAt.toISOString();
  const month = at.slice(0, 'YYYY-MM'.length);
  const values = recordValues(entry, at);
  const { commitment, canonical } = commitRecord(idBytes(recordId), salt, values);
  const columns = columnsOf(values, keys.searchKey);
  return {
    lane,
    record_id: recordId,
    ...columns,
    commitment,
    queue_mac: queueMac(keys, { recordId, lane, at: queueTime(at), kind: columns.kind, commitment }),
    // The commitment is bound as additional data: a body cannot be moved to another record.
    body: keys.recordBox(month, entry.kind).seal(commitment, encodeBody(salt, canonical)),
  };
}
