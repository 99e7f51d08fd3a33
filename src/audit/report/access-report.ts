import type { Database } from '../../db/database.ts';
import { Refusal } from '../../errors.ts';
import type { Call } from '../../ids.ts';
import type { IndexKeys } from '../../signing/data-keys.ts';
import { checkHolder, type Holder } from '../../verification/identifiers.ts';
import { type Entry, recordKinds } from '../entry.ts';
import { type ErasedBodies, readErasedBodies } from '../erasure/erased-by.ts';
import { openRecord, type RecordKeys } from '../open-record.ts';
import type { Receipt, Recorder } from '../record.ts';
import type { RecordBody } from '../record-body.ts';
import type { FoundRow, Position } from '../search/search-store.ts';
import { type AccessItem, accessItem, certificatesOf, type ReportNames, subjectsOf } from './access-item.ts';
import { type Bilingual, readableErased, readableTampered } from './readable-access.ts';
import { isReleased, releaseOf } from './release-secrecy.ts';
import { type CandidateQuery, type ReleaseKeys, readReleases, selectCandidates } from './report-store.ts';

/** A holder as it was given. */
interface GivenHolder {
  readonly type: string;
  readonly number: string;
}

export interface AccessReportQuery {
  readonly holder: GivenHolder;
  /** How the portal knows who asks; recorded. */
  readonly statement: { readonly authenticatedBy: string; readonly sessionReference: string };
  /** Who acts for the holder, when it is not the holder. */
  readonly onBehalfOf?: { readonly by: GivenHolder; readonly basis: string; readonly reference?: string };
  /** Half-open range of the time of recording. */
  readonly from?: Date;
  readonly until?: Date;
  readonly after?: string;
  readonly limit?: number;
}

interface Shown {
  readonly recordId: string;
  readonly recordedAt: Date;
  readonly sentence: Bilingual;
}
/** One record in its holder's report. */
export type ReportItem =
  | (Shown & AccessItem & { readonly state: 'shown' })
  | (Shown & { readonly state: 'erased'; readonly erasedAt: Date })
  | (Shown & { readonly state: 'cannot_be_shown' });

export interface AccessReport {
  readonly items: readonly ReportItem[];
  readonly next?: string;
  readonly receipt: Receipt;
}

export interface AccessReportDeps {
  readonly db: Database;
  readonly keys: RecordKeys & ReleaseKeys & Pick<IndexKeys, 'holderKey' | 'everyHolderKey'>;
  readonly record: Recorder;
  readonly names: () => Promise<ReportNames>;
  /** Holders (as pseudonyms) of each of these certificates; one that is missing is nobody's. */
  readonly holdersOf: (certificateIdentifiers: readonly string[]) => Promise<ReadonlyMap<string, readonly Buffer[]>>;
  /** Calendar day of the city, yyyy-mm-dd. */
  readonly day: (at: Date) => string;
  /** Monotonic clock in milliseconds. */
  readonly clock: () => number;
  readonly pause: (ms: number) => Promise<void>;
  /** Told of every row that somebody else than the hub wrote. */
  readonly tampered: (table: string, id: string) => void;
}

/**
 * Everything about one holder for the holder's own eyes, newest first; recorded before it leaves (invariant 1). A record under
 * secrecy is not there before its release: not as an item, not in the cursor, not in the time a page takes.
 * @throws Refusal `invalid_id_number`, `invalid_uscc`, `invalid_holder_type`, `range_invalid`, `contract_violation`,
 *   `record_unavailable`
 */
export async function accessReport(
  deps: AccessReportDeps,
  query: AccessReportQuery,
  call: Call,
): Promise<AccessReport> {
  const begun = deps.clock();
  const asked = checked(query);
  const { holder } = asked;
  const holderKeys = deps.keys.everyHolderKey(holder.type, holder.number);
  const limit = query.limit ?? 50;
  const { from, until } = query;
  const before = query.after === undefined ? undefined : readCursor(query.after);
  const rows = await releasedRows(deps, { holderKeys, kinds, at: call.at, from, until, before, limit });
  const page = rows.slice(0, limit);
  const items = await itemsOf(deps, page, holderKeys);
  const receipt = await deps.record(entryOf(deps, asked, page, call));
  await deps.pause(untilBeat(deps.clock() - begun));
  const last = rows.length > limit ? page.at(-1)?.row : undefined;
  return { items, receipt, ...(last !== undefined && { next: `${last.micros}_${last.record_id}` }) };
}

const beatMs = 100;

/**
 * How long a page waits that took so many milliseconds: it leaves on the beat. Passing over rows that are still secret takes
 * microseconds each, and whoever measures pages must not be able to count them.
 */
export const untilBeat = (elapsedMs: number): number => beatMs - (elapsedMs % beatMs);

/** What a holder sees. Registry changes concern no holder; erasures and releases are told by the records that they are about. */
const kinds = [recordKinds.access, recordKinds.certificate, recordKinds.audit_read];

interface CheckedQuery extends Pick<AccessReportQuery, 'statement' | 'from' | 'until'> {
  readonly holder: Holder;
  readonly onBehalfOf?: { readonly by: Holder; readonly basis: string; readonly reference?: string };
}

function checked({ statement, holder: given, onBehalfOf, from, until }: AccessReportQuery): CheckedQuery {
  const holder = checkedHolder(given, '/holder');
  if (from !== undefined && until !== undefined && from >= until) throw new Refusal('range_invalid');
  const asked = { statement, holder, ...(from !== undefined && { from }), ...(until !== undefined && { until }) };
  if (onBehalfOf === undefined) return asked;
  const by = checkedHolder(onBehalfOf.by, '/onBehalfOf/by');
  if (by.type === holder.type && by.number === holder.number) {
    throw new Refusal('question_invalid', { pointer: '/onBehalfOf/by', rule: 'same_as_holder' });
  }
  return { ...asked, onBehalfOf: { ...onBehalfOf, by } };
}

/** Who acts for the holder is in the record as a pseudonym only, and no subject of it: the report is about the holder. */
const entryOf = (
  { keys }: AccessReportDeps,
  { statement, holder, onBehalfOf, from, until }: CheckedQuery,
  page: readonly ReleasedRow[],
  { caller, requestId, at }: Call,
): Entry => ({
  kind: 'audit_read',
  action: 'getAccessReport',
  outcome: 'answered',
  caller: { clientId: caller.clientId, department: caller.department, keyId: caller.keyId },
  subjects: [keys.holderKey(holder.type, holder.number)],
  scope: {
    from: from?.toISOString() ?? null,
    until: until?.toISOString() ?? null,
    records: page.map(({ row }) => row.record_id),
  },
  requestId,
  at,
  detail: {
    statement,
    ...(onBehalfOf !== undefined && {
      onBehalfOf: {
        ...onBehalfOf,
        by: keys.holderKey(onBehalfOf.by.type, onBehalfOf.by.number).toString('hex'),
      },
    }),
  },
});

function checkedHolder(given: GivenHolder, pointer: string): Holder {
  const judged = checkHolder(given);
  if (judged.ok) return judged.holder;
  throw new Refusal(judged.code, {
    pointer: `${pointer}/${judged.code === 'invalid_holder_type' ? 'type' : 'number'}`,
  });
}

interface ReleasedRow {
  readonly row: FoundRow;
  /** Null when it was never under secrecy. */
  readonly release: Date | null;
}

/** Rows fetched beyond the page: that some fall away, whose release was moved, costs no second round. */
const spare = 16;

/** The rows of a page and one more, if there is one. What a release holds back is never opened. */
async function releasedRows(deps: AccessReportDeps, query: CandidateQuery): Promise<readonly ReleasedRow[]> {
  const found: ReleasedRow[] = [];
  const limit = query.limit + 1 + spare;
  let { before } = query;
  for (;;) {
    const rows = await selectCandidates(deps.db, { ...query, before, limit });
    const secret = rows.filter(({ release_at }) => release_at !== null).map(({ record_id }) => record_id);
    const { releases, tampered } = await readReleases(deps.db, deps.keys, secret);
    for (const recordId of tampered) deps.tampered('record_releases', recordId);
    for (const row of rows) {
      const release = releaseOf(row.release_at, releases.get(row.record_id) ?? []);
      if (isReleased(release, query.at)) found.push({ row, release });
    }
    const last = rows.at(-1);
    if (found.length > query.limit || rows.length < limit || last === undefined) return found.slice(0, query.limit + 1);
    before = { micros: last.micros, recordId: last.record_id };
  }
}

async function itemsOf(
  deps: AccessReportDeps,
  page: readonly ReleasedRow[],
  holderKeys: readonly Buffer[],
): Promise<ReportItem[]> {
  const opened = page.map(({ row, release }) => ({ row, release, record: openRecord(deps.keys, row) }));
  const bodies = opened.flatMap(({ record }) => (record.state === 'whole' ? [record.opened.body] : []));
  const own = new Set(holderKeys.map((key) => key.toString('hex')));
  const isReader = (subject: string): boolean => own.has(subject);
  const [holders, names, erased] = await Promise.all([
    deps.holdersOf(sharedCertificates(bodies)),
    deps.names(),
    opened.some(({ record }) => record.state === 'erased') ? erasedBodies(deps) : undefined,
  ]);
  const holds = (identifier: string): boolean =>
    holders.get(identifier)?.some((key) => isReader(key.toString('hex'))) === true;
  const reader = { isReader, holds, names, day: deps.day };
  return opened.map(({ row, release, record }): ReportItem => {
    const shown = { recordId: row.record_id, recordedAt: row.recorded_at };
    const day = deps.day(row.recorded_at);
    if (record.state === 'whole') {
      return { ...shown, state: 'shown', ...accessItem(record.opened.body, release, reader) };
    }
    // What no executed erasure covers was not erased but taken away.
    const erasure = record.state === 'erased' ? erased?.coverOf(row) : undefined;
    if (erasure !== undefined) {
      const sentence = readableErased(day, deps.day(erasure.at));
      return { ...shown, state: 'erased', erasedAt: erasure.at, sentence };
    }
    deps.tampered('records', row.record_id);
    return { ...shown, state: 'cannot_be_shown', sentence: readableTampered(day) };
  });
}

async function erasedBodies({ db, keys, tampered }: AccessReportDeps): Promise<ErasedBodies> {
  const erased = await readErasedBodies(db, keys);
  for (const recordId of erased.tampered) tampered('records', recordId);
  return erased;
}

/** Certificates of records that concern several people: of these must be known whose they are. */
const sharedCertificates = (bodies: readonly RecordBody[]): string[] => [
  ...new Set(bodies.filter((body) => subjectsOf(body).length > 1).flatMap(certificatesOf)),
];

/** Microseconds up to the year 2286, and a record id. */
function readCursor(text: string): Position {
  const match = /^(\d{1,15}|[1-8]\d{15})_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.exec(text);
  const [, micros, recordId] = match ?? [];
  if (micros === undefined || recordId === undefined) throw new Refusal('contract_violation', { pointer: '/after' });
  return { micros: Number(micros), recordId };
}
