import type { Transaction } from 'kysely';
import type { Database } from '../db/database.ts';
import type { Tables } from '../db/tables.ts';
import type { GrantId } from '../ids.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import { type Grant, grantState } from './grant.ts';

type GrantRow = Tables['grants'];
/** Makes and checks the MAC of a registry row. */
export interface RowMacs {
  rowMac(kind: string, canonical: Uint8Array): Buffer;
  verifyRowMac(kind: string, canonical: Uint8Array, mac: Uint8Array): boolean;
}
type GrantBody = Omit<
  Grant,
  'grantId' | 'clientId' | 'certificateTypeCode' | 'createdAt' | 'suspendedAt' | 'revokedAt'
>;

/** What the MAC of a row covers: every column but the MAC. */
const covered = (row: Omit<GrantRow, 'mac'>): Buffer =>
  Buffer.from(
    canonicalJson([
      row.grant_id,
      row.client_id,
      row.certificate_type_code,
      row.body.toString('utf8'),
      row.created_at.getTime(),
      row.suspended_at?.getTime() ?? null,
      row.revoked_at?.getTime() ?? null,
    ]),
  );

function toRow(keys: RowMacs, grant: Grant): GrantRow {
  const { grantId, clientId, certificateTypeCode, createdAt, suspendedAt, revokedAt, ...body } = grant;
  const row = {
    grant_id: grantId,
    client_id: clientId,
    certificate_type_code: certificateTypeCode,
    body: Buffer.from(canonicalJson(JSON.parse(JSON.stringify(body)))),
    created_at: createdAt,
    suspended_at: suspendedAt ?? null,
    revoked_at: revokedAt ?? null,
  };
  return { ...row, mac: keys.rowMac('grant', covered(row)) };
}

/** The grant of a row, or undefined when the row was not written by the hub. */
function fromRow(keys: RowMacs, row: GrantRow): Grant | undefined {
  if (!keys.verifyRowMac('grant', covered(row), row.mac)) return undefined;
  const body = JSON.parse(row.body.toString('utf8')) as GrantBody & { validFrom: string; validUntil: string };
  return {
    ...body,
    validFrom: new Date(body.validFrom),
    validUntil: new Date(body.validUntil),
    grantId: row.grant_id as GrantId,
    clientId: row.client_id,
    certificateTypeCode: row.certificate_type_code,
    createdAt: row.created_at,
    ...(row.suspended_at !== null && { suspendedAt: row.suspended_at }),
    ...(row.revoked_at !== null && { revokedAt: row.revoked_at }),
  };
}

const columns = [
  'grant_id',
  'client_id',
  'certificate_type_code',
  'body',
  'created_at',
  'suspended_at',
  'revoked_at',
  'mac',
] as const;

export interface LoadedGrants {
  readonly grants: readonly Grant[];
  /** Ids of rows whose MAC is wrong: somebody wrote them past the hub. They are never used. */
  readonly tampered: readonly string[];
}

/** Every grant on file. */
export async function loadGrants(trx: Transaction<Tables>, keys: RowMacs): Promise<LoadedGrants> {
  const rows = await trx
    .selectFrom('grants')
    .select([...columns])
    .orderBy('grant_id')
    .execute();
  const read = rows.map((row) => ({ id: row.grant_id, grant: fromRow(keys, row) }));
  return {
    grants: read.flatMap(({ grant }) => grant ?? []),
    tampered: read.filter(({ grant }) => grant === undefined).map(({ id }) => id),
  };
}

/** Grants of one type that still count at that moment or will: neither revoked nor over. Of rows that the hub wrote. */
export async function standingGrantsOf(
  trx: Transaction<Tables>,
  keys: RowMacs,
  { certificateTypeCode, at }: { readonly certificateTypeCode: string; readonly at: Date },
): Promise<readonly Grant[]> {
  const rows = await trx
    .selectFrom('grants')
    .select([...columns])
    .where('certificate_type_code', '=', certificateTypeCode)
    .where('revoked_at', 'is', null)
    .orderBy('grant_id')
    .execute();
  return rows.flatMap((row) => fromRow(keys, row) ?? []).filter((grant) => grantState(grant, at) !== 'expired');
}

export async function insertGrant(trx: Transaction<Tables>, keys: RowMacs, grant: Grant): Promise<void> {
  await trx.insertInto('grants').values(toRow(keys, grant)).execute();
}

/** Reads one grant for a change and holds its row until the transaction ends. */
export async function lockGrant(trx: Transaction<Tables>, keys: RowMacs, grantId: string): Promise<Grant | undefined> {
  const row = await trx
    .selectFrom('grants')
    .select([...columns])
    .where('grant_id', '=', grantId)
    .forUpdate()
    .executeTakeFirst();
  return row === undefined ? undefined : fromRow(keys, row);
}

/** Writes whether a grant is suspended or revoked; nothing else of it ever changes. */
export async function updateStanding(trx: Transaction<Tables>, keys: RowMacs, grant: Grant): Promise<void> {
  const { suspended_at, revoked_at, mac } = toRow(keys, grant);
  await trx
    .updateTable('grants')
    .set({ suspended_at, revoked_at, mac })
    .where('grant_id', '=', grant.grantId)
    .execute();
}

/**
 * Adds to the counters of the day and returns the new totals by "grantId day". The commit of this statement is asynchronous on
 * purpose and loses nothing that matters: a lookup is answered only after its record is committed and flushed, and that flush
 * carries everything written before it, this counter included. Rows are taken in key order, so that batches never deadlock.
 */
const addStatement = {
  name: 'grant_usage_add',
  text: `with relaxed as materialized (select set_config('synchronous_commit', 'off', true) as setting),
    wanted as (
      select w.grant_id, w.day, w.used from unnest($1::uuid[], $2::date[], $3::bigint[]) as w(grant_id, day, used), relaxed
      where relaxed.setting = 'off' order by 1, 2)
    insert into grant_usage as u (grant_id, day, used) select grant_id, day, used from wanted
    on conflict (grant_id, day) do update set used = u.used + excluded.used
    returning grant_id, to_char(day, 'YYYY-MM-DD') as day, used`,
};

export async function addUsage(
  db: Database,
  counts: readonly { readonly grantId: string; readonly day: string; readonly taken: number }[],
): Promise<Map<string, number>> {
  const rows = await db.query<{ grant_id: string; day: string; used: number }>(addStatement, [
    counts.map(({ grantId }) => grantId),
    counts.map(({ day }) => day),
    counts.map(({ taken }) => taken),
  ]);
  return new Map(rows.map((row) => [`${row.grant_id} ${row.day}`, Number(row.used)]));
}
