import type { Transaction } from 'kysely';
import type { Database } from '../../db/database.ts';
import type { Tables } from '../../db/tables.ts';
import type { EncryptionKeys } from '../../signing/data-keys.ts';
import { canonicalJson } from '../../verification/canonical-json.ts';
import { type FoundRow, micros, newest, newestOfRare, type Position, timeOf } from '../search/search-store.ts';
import { recordColumns } from '../store.ts';

/** Records of one holder for the holder's own eyes, and the table record_releases. Nothing read here is proved yet. */

const columns = recordColumns.join(', ');

/**
 * Everything that could show at $3, and no row more than must be looked at: what was never under secrecy, what has come out of it,
 * and what some release row, whose MAC SQL cannot check, wants to let out. What stays hidden costs a look at its row here and is
 * neither fetched nor opened.
 */
const mayShow = `kind = any ($2::smallint[]) and recorded_at >= $4::timestamptz and recorded_at < $5::timestamptz
  and recorded_at <= $6::timestamptz and (recorded_at, record_id) < ($6::timestamptz, $7::uuid)
  and (release_at is null or release_at <= $3::timestamptz or exists (
    select from record_releases r where r.record_id = records.record_id and r.release_at <= $3::timestamptz))`;

const candidates = {
  name: 'records_of_holder',
  // One ordered walk of the index per key generation; the few records that concern the holder beside others come by their own index.
  text: `select * from (
      select asked.* from unnest($1::bytea[]) as own(key) cross join lateral (
        select ${columns}, ${micros} from records where holder_key = own.key and ${mayShow} order by ${newest} limit $8) as asked
      union all
      (select ${columns}, ${micros} from records where other_holder_keys && $1::bytea[]
        and coalesce(holder_key <> all ($1::bytea[]), true) and ${mayShow} order by ${newestOfRare} limit $8)
    ) as found order by ${newest} limit $8`,
};

export interface CandidateQuery {
  /** Under every key generation on file. */
  readonly holderKeys: readonly Buffer[];
  readonly kinds: readonly number[];
  /** The moment at which a record must have come out of secrecy. */
  readonly at: Date;
  /** Half-open range of recorded_at. */
  readonly from?: Date | undefined;
  readonly until?: Date | undefined;
  readonly before?: Position | undefined;
  readonly limit: number;
}

/** Candidates newest first, by time and id. */
export async function selectCandidates(db: Pick<Database, 'query'>, query: CandidateQuery): Promise<FoundRow[]> {
  const { holderKeys, kinds, at, from, until, before, limit } = query;
  return db.query<FoundRow>(candidates, [
    [...holderKeys],
    [...kinds],
    at,
    from ?? '-infinity',
    until ?? 'infinity',
    before === undefined ? 'infinity' : timeOf(before.micros),
    before?.recordId ?? 'ffffffff-ffff-ffff-ffff-ffffffffffff',
    limit,
  ]);
}

/** A change of the time from which a lookup under secrecy shows in its holder's report. */
export interface Release {
  readonly changedAt: Date;
  readonly releaseAt: Date;
}

export type ReleaseKeys = Pick<EncryptionKeys, 'rowMac' | 'verifyRowMac'>;
type ReleaseRow = Tables['record_releases'];

const covered = (row: Omit<ReleaseRow, 'mac'>): Buffer =>
  Buffer.from(canonicalJson([row.record_id, row.changed_at.getTime(), row.release_at.getTime()]));

/** PostgreSQL's infinity, which a row written past the hub may hold, is no Date. */
const isSound = (keys: ReleaseKeys, row: ReleaseRow): boolean =>
  row.changed_at instanceof Date &&
  row.release_at instanceof Date &&
  keys.verifyRowMac('record_release', covered(row), row.mac);

export interface LoadedReleases {
  /** By record, newest first. */
  readonly releases: ReadonlyMap<string, readonly Release[]>;
  /** Records with a row that was written past the hub. Such rows release and hide nothing. */
  readonly tampered: readonly string[];
}

/** The releases of these records. */
export async function readReleases(
  db: Database,
  keys: ReleaseKeys,
  recordIds: readonly string[],
): Promise<LoadedReleases> {
  if (recordIds.length === 0) return { releases: new Map(), tampered: [] };
  const statement = {
    name: 'record_releases',
    text: `select record_id, changed_at, release_at, mac from record_releases where record_id = any ($1::uuid[])
      order by record_id, changed_at desc`,
  };
  const rows = await db.query<ReleaseRow>(statement, [[...recordIds]]);
  const releases = new Map<string, Release[]>();
  const tampered = new Set<string>();
  for (const row of rows) {
    if (isSound(keys, row)) {
      const known = releases.get(row.record_id) ?? [];
      releases.set(row.record_id, [...known, { changedAt: row.changed_at, releaseAt: row.release_at }]);
    } else tampered.add(row.record_id);
  }
  return { releases, tampered: [...tampered] };
}

/**
 * Puts a release on file behind every one that is there, also behind one of the same millisecond or of a clock that runs ahead.
 * Answers it as stored.
 */
export async function insertRelease(
  trx: Transaction<Tables>,
  keys: ReleaseKeys,
  { recordId, at, releaseAt }: { readonly recordId: string; readonly at: Date; readonly releaseAt: Date },
): Promise<Release> {
  const rows = await trx
    .selectFrom('record_releases')
    .select(['record_id', 'changed_at', 'release_at', 'mac'])
    .where('record_id', '=', recordId)
    .execute();
  // A row written past the hub must not push the next one out of the calendar.
  const newestSound = Math.max(0, ...rows.filter((row) => isSound(keys, row)).map((row) => row.changed_at.getTime()));
  for (let time = Math.max(at.getTime(), newestSound + 1); ; time += 1) {
    const row = { record_id: recordId, changed_at: new Date(time), release_at: releaseAt };
    const inserted = await trx
      .insertInto('record_releases')
      .values({ ...row, mac: keys.rowMac('record_release', covered(row)) })
      .onConflict((conflict) => conflict.columns(['record_id', 'changed_at']).doNothing())
      .returning('record_id')
      .executeTakeFirst();
    if (inserted !== undefined) return { changedAt: row.changed_at, releaseAt };
  }
}
