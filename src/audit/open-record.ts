import { idBytes } from '../ids.ts';
import type { EncryptionKeys, IndexKeys } from '../signing/data-keys.ts';
import { commitCanonical } from '../verification/commitment.ts';
import { decodeBody, monthOf, type RecordBody, readBody } from './record-body.ts';
import { falseColumns } from './record-columns.ts';
import type { RecordRow } from './store.ts';

/** What is wrong with a stored record, each found by its own check. */
export type RecordFault =
  /** Body and commitment do not belong together, or the body was not sealed with the hub's key. */
  | { readonly code: 'body_unreadable' }
  /** The body opens, but the commitment is not over it and this record id. */
  | { readonly code: 'commitment_wrong' }
  /** A copy to search by says something else than the body. */
  | { readonly code: 'column_wrong'; readonly columns: readonly string[] };

/** A record with its body: `canonical[i]` is the stored text of field i, which its commitment covers. */
export interface OpenedBody {
  readonly salt: Buffer;
  readonly canonical: readonly string[];
  /** 32 bytes per field. */
  readonly fieldCommitments: readonly Buffer[];
  readonly body: RecordBody;
}

export type OpenedRecord =
  | { readonly state: 'whole'; readonly opened: OpenedBody }
  /** The body is gone, or the key of its month is; whether by right, the log says. */
  | { readonly state: 'erased' }
  /** `opened` where the body is the recorded one and only the copies beside it lie. */
  | { readonly state: 'tampered'; readonly fault: RecordFault; readonly opened?: OpenedBody };

export type RecordKeys = Pick<EncryptionKeys, 'recordBox'> & Pick<IndexKeys, 'searchKeys'>;

/** Opens a stored record and proves it: body under the hub's key, commitment over exactly these bytes, columns that say what it says. */
export function openRecord(keys: RecordKeys, row: RecordRow): OpenedRecord {
  if (row.body === null) return { state: 'erased' };
  const box = keys.recordBox(monthOf(row.recorded_at));
  // As after a restore: the body is there again, the key is not. Nobody can read it, so nobody can tell it from another.
  if (box.isDestroyed(row.body)) return { state: 'erased' };
  let opened: { readonly salt: Buffer; readonly fields: readonly Buffer[] };
  try {
    opened = decodeBody(box.open(row.commitment, row.body));
  } catch {
    return { state: 'tampered', fault: { code: 'body_unreadable' } };
  }
  const canonical = opened.fields.map((field) => field.toString('utf8'));
  const { commitment, fieldCommitments } = commitCanonical(idBytes(row.record_id), opened.salt, canonical);
  if (!commitment.equals(row.commitment)) return { state: 'tampered', fault: { code: 'commitment_wrong' } };
  const body = readBody(opened.fields);
  const columns = falseColumns(row, body, keys);
  const proved = { salt: opened.salt, canonical, fieldCommitments, body };
  if (columns.length > 0) return { state: 'tampered', fault: { code: 'column_wrong', columns }, opened: proved };
  return { state: 'whole', opened: proved };
}
