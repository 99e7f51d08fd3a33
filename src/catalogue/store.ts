import { sql, type Transaction } from 'kysely';
import type { Tables } from '../db/tables.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import type { CertificateType, CertificateTypeDefinition } from './certificate-type.ts';

/** Keyed hashes over registry rows: a row that somebody else than the hub wrote does not bear a right one. */
export interface RowMacs {
  rowMac(kind: string, canonical: Uint8Array): Buffer;
  verifyRowMac(kind: string, canonical: Uint8Array, mac: Uint8Array): boolean;
}

/** Told of every row that is not as the hub wrote it; such a row is ignored. */
export type Tampered = (kind: string, id: string) => void;

type Row = Tables['certificate_types'];

const kind = 'certificate_type';

const macInput = ({ code, version, definition, created_at }: Omit<Row, 'mac'>): Buffer =>
  Buffer.from(canonicalJson([code, version, definition.toString('base64'), created_at.getTime()]));

/** Reads every version of every type, oldest version first. Rows with a wrong MAC are reported and left out. */
export async function readTypes(
  db: Pick<Transaction<Tables>, 'selectFrom'>,
  { keys, tampered }: { readonly keys: RowMacs; readonly tampered: Tampered },
): Promise<readonly { readonly type: CertificateType; readonly mac: string }[]> {
  const rows = await db.selectFrom('certificate_types').selectAll().orderBy('code').orderBy('version').execute();
  const types: { type: CertificateType; mac: string }[] = [];
  for (const row of rows) {
    if (!keys.verifyRowMac(kind, macInput(row), row.mac)) {
      tampered(kind, `${row.code}:${row.version}`);
      continue;
    }
    // What the hub's MAC covers is what the hub wrote.
    const definition = JSON.parse(row.definition.toString('utf8')) as CertificateTypeDefinition;
    types.push({
      type: { ...definition, version: row.version, createdAt: row.created_at },
      mac: row.mac.toString('hex'),
    });
  }
  return types;
}

/**
 * Adds a version to a type, the first one if the code is new. Undefined when the newest version already says the same.
 * Concurrent additions get different versions.
 */
export async function insertNextVersion(
  trx: Transaction<Tables>,
  keys: Pick<RowMacs, 'rowMac'>,
  { definition, at }: { readonly definition: CertificateTypeDefinition; readonly at: Date },
): Promise<CertificateType | undefined> {
  const bytes = Buffer.from(canonicalJson(definition));
  const code = definition.certificateTypeCode;
  for (;;) {
    const newest = await trx
      .selectFrom('certificate_types')
      .select(['version', 'definition'])
      .where('code', '=', code)
      .orderBy('version', 'desc')
      .limit(1)
      .executeTakeFirst();
    if (newest?.definition.equals(bytes) === true) return undefined;
    const row = { code, version: (newest?.version ?? 0) + 1, definition: bytes, created_at: at };
    const inserted = await trx
      .insertInto('certificate_types')
      .values({ ...row, mac: keys.rowMac(kind, macInput(row)) })
      .onConflict((conflict) => conflict.columns(['code', 'version']).doNothing())
      .returning(sql<number>`1`.as('one'))
      .executeTakeFirst();
    // Nothing inserted: a concurrent registration took this version; its row is visible to the next round.
    if (inserted !== undefined) return { ...definition, version: row.version, createdAt: at };
  }
}
