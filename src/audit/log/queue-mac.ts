import { idBytes } from '../../ids.ts';
import type { EncryptionKeys } from '../../signing/data-keys.ts';

/** What a row of the queue says, and so the leaf that is made of it. */
export interface QueueSays {
  readonly recordId: string;
  readonly lane: number;
  /** UTC with six digits, as `queueTime` writes it. */
  readonly at: string;
  readonly kind: number;
  /** 32 bytes. */
  readonly commitment: Uint8Array;
}

/** A time, given as `toISOString` writes it, as the queue's MAC covers it; PostgreSQL keeps microseconds, a record has none. */
export const queueTime = (at: string): string => `${at.slice(0, -1)}000Z`;

/** SQL of `queueTime` for a column. */
export const queueTimeColumn = (column: string): string =>
  `coalesce(to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), ${column}::text)`;

/** All parts but the time have a fixed length, so that no two rows give the same bytes. */
function bytesOf({ recordId, lane, at, kind, commitment }: QueueSays): Buffer {
  const bytes = Buffer.allocUnsafe(headLength + at.length);
  bytes.set(idBytes(recordId), 0);
  bytes.writeInt32BE(lane, 16);
  bytes.writeInt16BE(kind, 20);
  bytes.set(commitment, 22);
  bytes.write(at, headLength, 'latin1');
  return bytes;
}

const headLength = 16 + 4 + 2 + 32;

/** MAC of a row of the queue: with it, only who holds the hub's keys gets a leaf, not everybody with the service's database account. */
export const queueMac = (keys: Pick<EncryptionKeys, 'rowMac'>, row: QueueSays): Buffer =>
  keys.rowMac('log_queue', bytesOf(row));

/** Whether this hub queued the row as it stands. */
export const isQueuedByHub = (
  keys: Pick<EncryptionKeys, 'verifyRowMac'>,
  row: QueueSays & { readonly mac: Uint8Array },
): boolean => row.commitment.length === 32 && keys.verifyRowMac('log_queue', bytesOf(row), row.mac);
