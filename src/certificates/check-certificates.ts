import { sql, type Transaction } from 'kysely';
import { countSteps } from '../audit/count-steps.ts';
import type { Found } from '../audit/fsck/fsck-findings.ts';
import type { FurtherCheck } from '../audit/fsck/fsck-options.ts';
import type { Database } from '../db/database.ts';
import type { Tables } from '../db/tables.ts';
import { transaction } from '../db/transaction.ts';
import type { Box } from '../signing/data-keys.ts';
import { type CertificateState, openRow } from './certificate-row.ts';

type Trx = Transaction<Tables>;
type Version = Pick<Tables['certificate_versions'], 'series' | 'version' | 'version_id' | 'holder_keys'>;
type Certificate = Tables['certificates'];

const pageVersions = 500;

/**
 * The certificates' part of the self-check: an older row put back is genuine by itself, but its published status, its events or its
 * records have gone on without it. A page of the directory in order of series and version, each in one snapshot.
 */
export function certificateCheck({
  db,
  box,
}: {
  readonly db: Pick<Database, 'kysely'>;
  readonly box: Box;
}): FurtherCheck {
  return {
    name: 'certificates',
    page: (after) =>
      transaction(
        db,
        async (trx) => {
          const versions = await readVersions(trx, after);
          const last = versions.length < pageVersions ? undefined : versions.at(-1);
          return {
            found: await judgeVersions(trx, box, versions),
            rows: versions.length,
            after: last === undefined ? undefined : JSON.stringify([last.series, last.version]),
          };
        },
        { isolation: 'repeatable read', readOnly: true },
      ),
  };
}

async function readVersions(trx: Trx, after: string | null): Promise<Version[]> {
  const [series, version] = after === null ? ['', 0] : (JSON.parse(after) as [string, number]);
  return trx
    .selectFrom('certificate_versions')
    .select(['series', 'version', 'version_id', 'holder_keys'])
    .where(sql<boolean>`(series, version) > (${series}, ${version})`)
    .orderBy('series')
    .orderBy('version')
    .limit(pageVersions)
    .execute();
}

/** Published values of the token status list: valid, invalid, suspended. */
const statusOf: Readonly<Record<CertificateState, number>> = {
  pending_review: 0,
  returned: 0,
  approved: 0,
  valid: 0,
  revoked: 1,
  superseded: 1,
  suspended: 2,
};

async function judgeVersions(trx: Trx, box: Box, versions: readonly Version[]): Promise<Found[]> {
  if (versions.length === 0) return [];
  const rowsOf = new Map<string, Certificate[]>();
  const ids = versions.map(({ version_id }) => version_id);
  const holderKeys = versions.flatMap(({ holder_keys }) => holder_keys);
  const rows = await trx
    .selectFrom('certificates')
    .selectAll()
    // By shard key; a row that was moved to another holder is missing here, and that is said.
    .where('holder_key', '=', sql<Buffer>`any(${holderKeys}::bytea[])`)
    .where('version_id', '=', sql<string>`any(${ids}::uuid[])`)
    .execute();
  for (const row of rows) rowsOf.set(row.version_id, [...(rowsOf.get(row.version_id) ?? []), row]);
  const lives = await readLives(trx, versions);
  const published = await readStatus(trx, rows);
  const recorded = await countSteps(trx, [...new Set(rows.map(({ identifier }) => identifier))]);
  return versions.flatMap((version): Found[] => {
    const own = rowsOf.get(version.version_id) ?? [];
    const name = `${version.series}/${version.version}`;
    const place = { table: 'certificates', row: name };
    const [first] = own.filter(({ is_first_holder }) => is_first_holder);
    if (first === undefined || !isDirectory(version, own)) return [{ code: 'directory_wrong', place }];
    if (!own.every((row) => opens(box, row))) return [{ code: 'certificate_wrong', place }];
    const told = {
      status: published.get(`${first.status_list}/${first.status_index}`),
      life: lives.get(name),
      records: recorded.counts.get(first.identifier) ?? 0,
      someErased: recorded.someErased,
    };
    return judgeState(own, first, told).map((each) => ({ ...each, place }));
  });
}

interface Told {
  readonly status: number | undefined;
  readonly life: Life | undefined;
  readonly records: number;
  readonly someErased: boolean;
}

/** What is published, told and recorded of a certificate, against the state of its rows. */
function judgeState(own: readonly Certificate[], first: Certificate, told: Told): Omit<Found, 'place'>[] {
  const { status, life, records, someErased } = told;
  const { revision, state } = first;
  const value = statusOf[state as CertificateState];
  const found: Omit<Found, 'place'>[] = [];
  if (status === undefined) found.push({ code: 'status_missing' });
  else if (status !== value)
    found.push({ code: 'status_wrong', detail: `Published is ${status}, ${state} is ${value}.` });
  if (life?.steps !== revision || life.state !== state || own.some((row) => row.revision !== revision)) {
    found.push({ code: 'events_missing', detail: `Revision ${revision}, ${life?.steps ?? 0} events.` });
  }
  // Where records were erased there are fewer of them left to count.
  if (records > revision || (records < revision && !someErased)) {
    found.push({ code: 'steps_unrecorded', detail: `Revision ${revision}, ${records} records.` });
  }
  return found;
}

function isDirectory({ series, version, holder_keys }: Version, rows: readonly Certificate[]): boolean {
  return (
    rows.length === holder_keys.length &&
    rows.every((row) => row.series === series && row.version === version) &&
    holder_keys.every((key) => rows.some((row) => row.holder_key.equals(key)))
  );
}

function opens(box: Box, row: Certificate): boolean {
  try {
    openRow(box, row);
    return true;
  } catch {
    return false;
  }
}

interface Life {
  readonly steps: number;
  /** After the last step. */
  readonly state: string;
}

async function readLives(trx: Trx, versions: readonly Version[]): Promise<Map<string, Life>> {
  const series = [...new Set(versions.map((each) => each.series))];
  const { rows } = await sql<Life & { series: string; version: number }>`
    select series, version, count(*) as steps, (array_agg(state order by event_id desc))[1] as state
    from certificate_events where series = any(${series}::text[]) group by series, version`.execute(trx);
  return new Map(rows.map((row) => [`${row.series}/${row.version}`, row]));
}

async function readStatus(trx: Trx, rows: readonly Certificate[]): Promise<Map<string, number>> {
  const lists = rows.map(({ status_list }) => status_list);
  const indexes = rows.map(({ status_index }) => status_index);
  const found = await sql<{ list_id: number; idx: number; value: number }>`
    select e.list_id, e.idx, e.value from status_entries e
    join unnest(${lists}::int[], ${indexes}::int[]) as w(list_id, idx) on w.list_id = e.list_id and w.idx = e.idx`.execute(
    trx,
  );
  return new Map(found.rows.map(({ list_id, idx, value }) => [`${list_id}/${idx}`, value]));
}

/** The other way round: rows and status indexes that belong to no certificate of the directory; a status list a page. */
export function statusCheck(db: Pick<Database, 'kysely'>): FurtherCheck {
  return {
    name: 'statuses',
    page: async (after) => {
      const found: Found[] = after === null ? await strayRows(db) : [];
      const list = await db.kysely
        .selectFrom('status_lists')
        .select('list_id')
        .where('list_id', '>', after === null ? -1 : Number(after))
        .orderBy('list_id')
        .limit(1)
        .executeTakeFirst();
      if (list === undefined) return { found, rows: 0, after: undefined };
      const { rows } = await sql<{ idx: number }>`select e.idx from status_entries e where e.list_id = ${list.list_id}
        and not exists (select from certificates c where c.status_list = e.list_id and c.status_index = e.idx) limit 100`.execute(
        db.kysely,
      );
      for (const { idx } of rows) {
        found.push({ code: 'status_stray', place: { table: 'status_entries', row: `${list.list_id}/${idx}` } });
      }
      return { found, rows: 1, after: String(list.list_id) };
    },
  };
}

async function strayRows(db: Pick<Database, 'kysely'>): Promise<Found[]> {
  const { rows } = await sql<{ table: string; row: string }>`
    select 'certificates' as table, c.series || '/' || c.version as row from certificates c where not exists (
      select from certificate_versions v where v.series = c.series and v.version = c.version and v.version_id = c.version_id)
    union all select 'status_entries', e.list_id || '/' || e.idx from status_entries e
      where not exists (select from status_lists l where l.list_id = e.list_id)
    union all select 'certificate_events', e.series || '/' || e.version from certificate_events e
      where not exists (select from certificate_versions v where v.series = e.series and v.version = e.version)
    limit 100`.execute(db.kysely);
  return rows.map((place) => ({ code: place.table === 'status_entries' ? 'status_stray' : 'directory_wrong', place }));
}
