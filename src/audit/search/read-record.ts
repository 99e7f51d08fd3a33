import { Refusal } from '../../errors.ts';
import type { Call } from '../../ids.ts';
import { logEntry } from '../../verification/commitment.ts';
import { readLeafOf, readPublished } from '../log/log-store.ts';
import type { Receipt } from '../record.ts';
import { isReleased, releaseOf } from '../report/release-secrecy.ts';
import { readReleases } from '../report/report-store.ts';
import { auditRead } from './audit-read.ts';
import { type FoundRecord, foundRecords } from './found-record.ts';
import type { SearchDeps } from './search-records.ts';
import { selectById } from './search-store.ts';

/** Where a record stands in the log. */
export type LogPlace =
  /** Recorded, not numbered yet; that takes a second or two. */
  | { readonly state: 'waiting' }
  | {
      readonly state: 'in_log';
      readonly leafIndex: number;
      /** Whether the published checkpoint covers it: from then on it can be proved to anybody. */
      readonly covered: boolean;
      /** Size of the published checkpoint; 0 before the first. */
      readonly publishedSize: number;
      /** False: the row says something else than the leaf, which nobody can change. */
      readonly agrees: boolean;
    };

export interface RecordReading {
  readonly record: FoundRecord;
  readonly log: LogPlace;
  readonly receipt: Receipt;
}

/**
 * One record in full, with its place in the log. Recorded with its reason before it leaves (invariant 1); a record without a row
 * but with a leaf counts as unknown here, and the self-check names it.
 * @throws Refusal `record_unknown`
 */
export async function readRecord(
  deps: SearchDeps,
  { recordId, reason }: { readonly recordId: string; readonly reason: string },
  call: Call,
): Promise<RecordReading> {
  const { db, record, tampered } = deps;
  const id = recordId.toLowerCase();
  const row = await selectById(db, id);
  if (row === undefined) throw new Refusal('record_unknown');
  const [leaf, published] = [await readLeafOf(db, id), await readPublished(db)];
  const publishedSize = published?.size ?? 0;
  const log: LogPlace =
    leaf === undefined
      ? { state: 'waiting' }
      : {
          state: 'in_log',
          leafIndex: leaf.leaf_index,
          covered: leaf.leaf_index < publishedSize,
          publishedSize,
          agrees: isEntryOf(leaf.entry, row),
        };
  const [found] = await foundRecords(deps, [row]);
  if (found === undefined) throw new Refusal('record_unknown');
  if (log.state === 'in_log' && !log.agrees) tampered('log_leaf', id);
  const subject = row.holder_key ?? undefined;
  const secrecy = await secrecyOf(deps, found, call.at);
  const receipt = await record(
    auditRead('readRecord', call, {
      reason,
      ...(subject && { subject }),
      ...(secrecy && { secrecy }),
      scope: { recordId: id },
    }),
  );
  return { record: found, log, receipt };
}

/** While a record is kept from its holder's report, so is that somebody read it: the reading would give it away. */
async function secrecyOf({ db, keys, tampered }: SearchDeps, { recordId, releaseAt, body }: FoundRecord, at: Date) {
  if (releaseAt === undefined) return undefined;
  const { releases, tampered: unsound } = await readReleases(db, keys, [recordId]);
  if (unsound.length > 0) tampered('record_releases', recordId);
  const release = releaseOf(releaseAt, releases.get(recordId) ?? []);
  if (release === null || isReleased(release, at)) return undefined;
  const detail = body?.['detail'] as { readonly secrecy?: { readonly legalGround?: unknown } } | null | undefined;
  const legalGround = detail?.secrecy?.legalGround;
  return { releaseAt: release.toISOString(), legalGround: typeof legalGround === 'string' ? legalGround : '' };
}

function isEntryOf(entry: Buffer, row: { readonly kind: number; readonly commitment: Buffer }): boolean {
  // What a superuser wrote may not even have the form of an entry.
  if (row.commitment.length !== 32 || row.kind < 1 || row.kind > 255) return false;
  return logEntry(row.kind, row.commitment).equals(entry);
}
