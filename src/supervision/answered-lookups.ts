import { memberOf, textOf, textsOf } from '../audit/body-values.ts';
import { recordKinds } from '../audit/entry.ts';
import { openRecord, type RecordKeys } from '../audit/open-record.ts';
import type { RecordBody } from '../audit/record-body.ts';
import { isReleased, releaseOf } from '../audit/report/release-secrecy.ts';
import { type ReleaseKeys, readReleases } from '../audit/report/report-store.ts';
import { type FoundRow, type Position, selectRecords } from '../audit/search/search-store.ts';
import type { Database } from '../db/database.ts';
import { Refusal } from '../errors.ts';

/** Lookups that were answered with one version of a certificate, from the records: each opened and proved before it counts. */

export interface AnsweredDeps {
  readonly db: Database;
  readonly keys: RecordKeys & ReleaseKeys;
  /** Told of every row that somebody else than the hub wrote. */
  readonly tampered: (table: string, id: string) => void;
}

export interface AnsweredQuery {
  readonly certificateIdentifier: string;
  /** Only those of this client. */
  readonly clientId?: string;
  /** Half-open range of the time of recording. */
  readonly from?: Date;
  readonly until?: Date;
  /** Lookups that are under secrecy at that moment are left out, and not counted either. Undefined: none is. */
  readonly releasedAt?: Date;
}

/** One answer by which somebody came to rely on the certificate. */
export interface AnsweredLookup {
  readonly clientId: string;
  readonly departmentCode: string;
  readonly matterCode: string;
  readonly at: Date;
}

export interface AnsweredLookups {
  /** Newest first. */
  readonly lookups: readonly AnsweredLookup[];
  /** Records that say it, but cannot be read: their bodies were erased, or somebody changed them. */
  readonly erased: number;
  readonly tampered: number;
}

const pageRows = 500;
const mostRecords = 20_000;

/**
 * Answers that told the certificate's content. Who was told only that it is not in force any more did not come to rely on it.
 * @throws Refusal `search_too_broad` when there are more than a call can open
 */
export async function answeredLookups(deps: AnsweredDeps, query: AnsweredQuery): Promise<AnsweredLookups> {
  const lookups: AnsweredLookup[] = [];
  const unreadable = { erased: 0, tampered: 0 };
  let read = 0;
  for await (const rows of pagesOf(deps, query)) {
    read += rows.length;
    if (read > mostRecords) throw new Refusal('search_too_broad');
    for (const row of await released(deps, rows, query.releasedAt)) {
      const record = openRecord(deps.keys, row);
      if (record.state === 'tampered') deps.tampered('records', row.record_id);
      if (record.state !== 'whole') unreadable[record.state] += 1;
      else lookups.push(...lookupOf(record.opened.body, row, query.certificateIdentifier));
    }
  }
  return { lookups, ...unreadable };
}

async function* pagesOf({ db }: AnsweredDeps, query: AnsweredQuery): AsyncGenerator<readonly FoundRow[]> {
  const { certificateIdentifier: certificate, clientId, from, until } = query;
  const filter = {
    certificate,
    action: 'lookUp',
    outcome: 'answered',
    kinds: [recordKinds.access],
    ...(clientId !== undefined && { clientId }),
    ...(from !== undefined && { from }),
    ...(until !== undefined && { until }),
  };
  let before: Position | undefined;
  do {
    const rows = await selectRecords(db, { filter, ...(before !== undefined && { before }), limit: pageRows });
    yield rows;
    const last = rows.length === pageRows ? rows.at(-1) : undefined;
    before = last && { micros: last.micros, recordId: last.record_id };
  } while (before !== undefined);
}

/** Without what is under secrecy at that moment, as in its holder's own report. */
async function released(
  { db, keys, tampered }: AnsweredDeps,
  rows: readonly FoundRow[],
  at: Date | undefined,
): Promise<readonly FoundRow[]> {
  const secret = rows.filter(({ release_at }) => release_at !== null).map(({ record_id }) => record_id);
  if (at === undefined || secret.length === 0) return rows;
  const { releases, tampered: unsound } = await readReleases(db, keys, secret);
  for (const recordId of unsound) tampered('record_releases', recordId);
  return rows.filter((row) => isReleased(releaseOf(row.release_at, releases.get(row.record_id) ?? []), at));
}

function lookupOf(body: RecordBody, { recorded_at: at }: FoundRow, certificateIdentifier: string): AnsweredLookup[] {
  if (textsOf(memberOf(body['detail'], 'notInForce')).includes(certificateIdentifier)) return [];
  return [
    {
      clientId: textOf(memberOf(body['client'], 'clientId')) ?? '',
      departmentCode: textOf(memberOf(body['client'], 'department')) ?? '',
      matterCode: textOf(memberOf(body['purpose'], 'matterCode')) ?? '',
      at,
    },
  ];
}
