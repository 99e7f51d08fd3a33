import { type Kysely, sql, type Transaction } from 'kysely';
import type { Tables } from '../db/tables.ts';
import { parseCertificateIdentifier } from '../verification/identifiers.ts';

/** The database itself or a transaction in it. */
export type Handle = Kysely<Tables>;

/** One row of `certificates`, all columns. */
export type FullRow = Tables['certificates'];

/** The directory entry of a certificate version with its rows, in the order of its holders. */
export interface VersionRows {
  readonly holderKeys: readonly Buffer[];
  readonly rows: readonly FullRow[];
}

/** Reads a version of a certificate. With `lock` its rows are kept from other changes until the transaction ends. */
export async function findVersion(
  db: Handle,
  series: string,
  version: number,
  { lock = false }: { readonly lock?: boolean } = {},
): Promise<VersionRows | undefined> {
  const entry = await db
    .selectFrom('certificate_versions')
    .select(['version_id', 'holder_keys'])
    .where('series', '=', series)
    .where('version', '=', version)
    .executeTakeFirst();
  if (entry === undefined) return undefined;
  const found = new Map<string, FullRow>();
  // One by one and in one order for everybody: each is a statement of one shard, and nobody waits in a circle.
  for (const holderKey of entry.holder_keys.toSorted((a, b) => Buffer.compare(a, b))) {
    const query = db
      .selectFrom('certificates')
      .selectAll()
      .where('holder_key', '=', holderKey)
      .where('version_id', '=', entry.version_id);
    const row = await (lock ? query.forUpdate() : query).executeTakeFirst();
    if (row !== undefined) found.set(holderKey.toString('hex'), row);
  }
  const rows = entry.holder_keys.flatMap((key) => found.get(key.toString('hex')) ?? []);
  return { holderKeys: entry.holder_keys, rows };
}

/** Holders (as pseudonyms) of each of these certificates, by identifier; what is no identifier of a certificate on file is left out. */
export async function holdersOf(db: Handle, identifiers: readonly string[]): Promise<Map<string, readonly Buffer[]>> {
  const wanted = identifiers.flatMap((identifier) => {
    const parsed = parseCertificateIdentifier(identifier);
    return parsed.ok ? [{ identifier, series: parsed.value.series, version: parsed.value.version }] : [];
  });
  if (wanted.length === 0) return new Map();
  const rows = await db
    .selectFrom('certificate_versions')
    .select(['series', 'version', 'holder_keys'])
    .where('series', 'in', [...new Set(wanted.map(({ series }) => series))])
    .execute();
  const found = new Map(rows.map((row) => [`${row.series} ${row.version}`, row.holder_keys]));
  return new Map(
    wanted.flatMap(({ identifier, series, version }) => {
      const keys = found.get(`${series} ${version}`);
      return keys === undefined ? [] : [[identifier, keys] as const];
    }),
  );
}

/** The highest version of a certificate, sealed or not. */
export async function latestVersion(db: Handle, series: string): Promise<number | undefined> {
  const row = await db
    .selectFrom('certificate_versions')
    .select('version')
    .where('series', '=', series)
    .orderBy('version', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.version;
}

/** All versions of a certificate, newest first. */
export async function versionsOf(db: Handle, series: string): Promise<number[]> {
  const rows = await db
    .selectFrom('certificate_versions')
    .select('version')
    .where('series', '=', series)
    .orderBy('version', 'desc')
    .execute();
  return rows.map(({ version }) => version);
}

/** Enters a new version with its rows. False when series and version exist already, also when just entered by somebody else. */
export async function insertVersion(trx: Transaction<Tables>, rows: readonly FullRow[]): Promise<boolean> {
  const [leading] = rows;
  if (leading === undefined) throw new RangeError('a certificate has a holder');
  const entered = await trx
    .insertInto('certificate_versions')
    .values({
      series: leading.series,
      version: leading.version,
      version_id: leading.version_id,
      holder_keys: rows.map(({ holder_key }) => holder_key),
      created_at: leading.pushed_at,
    })
    .onConflict((conflict) => conflict.columns(['series', 'version']).doNothing())
    .returning(sql<number>`1`.as('one'))
    .executeTakeFirst();
  if (entered === undefined) return false;
  for (const row of rows) await trx.insertInto('certificates').values(row).execute();
  return true;
}

/** Replaces the locked rows of a version; where the holders changed, rows and directory entry change with them. */
export async function replaceVersion(
  trx: Transaction<Tables>,
  before: readonly FullRow[],
  after: readonly FullRow[],
): Promise<void> {
  const [leading] = after;
  if (leading === undefined) throw new RangeError('a certificate has a holder');
  const keysOf = (rows: readonly FullRow[]): string => rows.map(({ holder_key }) => holder_key.toString('hex')).join();
  if (keysOf(before) === keysOf(after)) {
    for (const row of after) await updateRow(trx, row);
    return;
  }
  for (const { holder_key, version_id } of before) {
    await trx
      .deleteFrom('certificates')
      .where('holder_key', '=', holder_key)
      .where('version_id', '=', version_id)
      .execute();
  }
  for (const row of after) await trx.insertInto('certificates').values(row).execute();
  await trx
    .updateTable('certificate_versions')
    .set({ holder_keys: after.map(({ holder_key }) => holder_key) })
    .where('series', '=', leading.series)
    .where('version', '=', leading.version)
    .execute();
}

async function updateRow(trx: Transaction<Tables>, row: FullRow): Promise<void> {
  const { holder_key, version_id, ...columns } = row;
  const { numUpdatedRows } = await trx
    .updateTable('certificates')
    .set(columns)
    .where('holder_key', '=', holder_key)
    .where('version_id', '=', version_id)
    // Compare and swap: the rows are locked, so this can only fail when the lock was forgotten.
    .where('revision', '=', row.revision - 1)
    .executeTakeFirst();
  if (numUpdatedRows !== 1n) throw new Error('a certificate row changed under its lock');
}

/** Keeps a seal's protected header, once per seal key. */
export async function insertSealHeader(trx: Transaction<Tables>, sha256: string, header: string): Promise<void> {
  await trx
    .insertInto('seal_headers')
    .values({ sha256: Buffer.from(sha256, 'hex'), header })
    .onConflict((conflict) => conflict.column('sha256').doNothing())
    .execute();
}

/** Unsealed certificates of a department in the order in which they were pushed, after a version id. */
export function readQueue(
  db: Handle,
  wanted: {
    readonly department: string;
    readonly states: readonly string[];
    readonly after: string | undefined;
    readonly limit: number;
  },
): Promise<FullRow[]> {
  let query = db
    .selectFrom('certificates')
    .selectAll()
    .where('issuing_authority_code', '=', wanted.department)
    .where('is_first_holder', '=', true)
    .where('state', 'in', wanted.states)
    .orderBy('version_id')
    .limit(wanted.limit);
  if (wanted.after !== undefined) query = query.where('version_id', '>', wanted.after);
  return query.execute();
}
