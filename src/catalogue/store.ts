import { sql, type Transaction } from 'kysely';
import type { Tables } from '../db/tables.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import type { CertificateType, CertificateTypeDefinition, TypeNote } from './certificate-type.ts';

/** Keyed hashes over registry rows: a row that somebody else than the hub wrote does not bear a right one. */
export interface RowMacs {
  rowMac(kind: string, canonical: Uint8Array): Buffer;
  verifyRowMac(kind: string, canonical: Uint8Array, mac: Uint8Array): boolean;
}

/** Told of every row that is not as the hub wrote it; such a row is ignored. */
export type Tampered = (kind: string, id: string) => void;

type Row = Tables['certificate_types'];

const kind = 'certificate_type';

/** What the MAC of a version of a type or of a matter covers: as before notes were kept where there is none. */
export const macInput = ({
  code,
  version,
  definition,
  note,
  created_at,
}: Omit<Row | Tables['matters'], 'mac'>): Buffer =>
  Buffer.from(
    canonicalJson([
      code,
      version,
      definition.toString('base64'),
      created_at.getTime(),
      ...(note === null ? [] : [note.toString('base64')]),
    ]),
  );

/** A note as its column holds it; null for one that says nothing. */
export const noteBytes = (note: object | undefined): Buffer | null =>
  note === undefined || Object.keys(note).length === 0
    ? null
    : Buffer.from(canonicalJson(JSON.parse(JSON.stringify(note))));

const typeOfRow = (row: Row): CertificateType => ({
  // What the hub's MAC covers is what the hub wrote.
  ...(JSON.parse(row.definition.toString('utf8')) as CertificateTypeDefinition),
  version: row.version,
  createdAt: row.created_at,
  ...(row.note !== null && { note: JSON.parse(row.note.toString('utf8')) as TypeNote }),
});

interface ReadDeps {
  readonly keys: Pick<RowMacs, 'verifyRowMac'>;
  readonly tampered: Tampered;
}

/** Reads every version of every type, oldest version first. Rows with a wrong MAC are reported and left out. */
export async function readTypes(
  db: Pick<Transaction<Tables>, 'selectFrom'>,
  { keys, tampered }: ReadDeps,
): Promise<readonly { readonly type: CertificateType; readonly mac: string }[]> {
  const rows = await db.selectFrom('certificate_types').selectAll().orderBy('code').orderBy('version').execute();
  return rows.flatMap((row) => {
    if (keys.verifyRowMac(kind, macInput(row), row.mac))
      return [{ type: typeOfRow(row), mac: row.mac.toString('hex') }];
    tampered(kind, `${row.code}:${row.version}`);
    return [];
  });
}

/** The newest version of one type as the transaction sees it. Rows with a wrong MAC are reported and left out. */
export async function readNewestType(
  db: Pick<Transaction<Tables>, 'selectFrom'>,
  { keys, tampered }: ReadDeps,
  code: string,
): Promise<CertificateType | undefined> {
  const rows = await db
    .selectFrom('certificate_types')
    .selectAll()
    .where('code', '=', code)
    .orderBy('version', 'desc')
    .execute();
  for (const row of rows) {
    if (keys.verifyRowMac(kind, macInput(row), row.mac)) return typeOfRow(row);
    tampered(kind, `${row.code}:${row.version}`);
  }
  return undefined;
}

/** Codes that have a version, whoever wrote it. */
export async function knownTypeCodes(db: Pick<Transaction<Tables>, 'selectFrom'>): Promise<ReadonlySet<string>> {
  const rows = await db.selectFrom('certificate_types').select('code').distinct().execute();
  return new Set(rows.map(({ code }) => code));
}

/**
 * Adds a version to a type, the first one if the code is new. Undefined when the newest version already says the same: definition and
 * whether it is retired. Concurrent additions get different versions.
 */
export async function insertNextVersion(
  trx: Transaction<Tables>,
  keys: RowMacs,
  input: { readonly definition: CertificateTypeDefinition; readonly note?: TypeNote; readonly at: Date },
): Promise<CertificateType | undefined> {
  const { definition, note, at } = input;
  const bytes = Buffer.from(canonicalJson(definition));
  const code = definition.certificateTypeCode;
  for (;;) {
    const newest = await trx
      .selectFrom('certificate_types')
      .selectAll()
      .where('code', '=', code)
      .orderBy('version', 'desc')
      .limit(1)
      .executeTakeFirst();
    // One that the hub did not write says nothing.
    const said = newest !== undefined && keys.verifyRowMac(kind, macInput(newest), newest.mac) ? newest : undefined;
    const isSame = said?.definition.equals(bytes) === true && typeOfRow(said).note?.state === note?.state;
    if (isSame) return undefined;
    const row = {
      code,
      version: (newest?.version ?? 0) + 1,
      definition: bytes,
      note: noteBytes(note),
      created_at: at,
    };
    const mac = keys.rowMac(kind, macInput(row));
    const inserted = await trx
      .insertInto('certificate_types')
      .values({ ...row, mac })
      .onConflict((conflict) => conflict.columns(['code', 'version']).doNothing())
      .returning(sql<number>`1`.as('one'))
      .executeTakeFirst();
    // Nothing inserted: a concurrent registration took this version; its row is visible to the next round.
    if (inserted !== undefined) return typeOfRow({ ...row, mac });
  }
}
