import type { Database } from '../../db/database.ts';
import { type ReleaseKeys, readReleases } from '../report/report-store.ts';
import type { Found } from './fsck-findings.ts';
import type { CheckedPage } from './fsck-strays.ts';

/** Rows that change release dates and were not written by the hub as they stand; a page in order of record ids. */
export async function checkReleases(db: Database, keys: ReleaseKeys, after: string): Promise<CheckedPage<string>> {
  const limit = 1_000;
  const statement = {
    name: 'fsck_releases',
    // The MAC is over milliseconds: finer time was put there by somebody else.
    text: `select record_id, bool_or(not isfinite(changed_at) or not isfinite(release_at)
        or date_trunc('milliseconds', changed_at) <> changed_at or date_trunc('milliseconds', release_at) <> release_at) as finer
      from record_releases where record_id > $1::uuid group by 1 order by 1 limit ${limit}`,
  };
  const rows = await db.query<{ record_id: string; finer: boolean }>(statement, [after]);
  const { tampered } = await readReleases(
    db,
    keys,
    rows.map(({ record_id }) => record_id),
  );
  const wrong = new Set([...tampered, ...rows.filter(({ finer }) => finer).map(({ record_id }) => record_id)]);
  const found = [...wrong].map(
    (record): Found => ({ code: 'release_wrong', place: { table: 'record_releases', record } }),
  );
  return { found, rows: rows.length, after: rows.length < limit ? undefined : rows.at(-1)?.record_id };
}
