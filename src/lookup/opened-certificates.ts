import { openRow } from '../certificates/certificate-row.ts';
import { readByHolder, type SealedRow, statusAt } from '../certificates/read-certificates.ts';
import type { Database } from '../db/database.ts';
import type { EncryptionKeys, IndexKeys } from '../signing/data-keys.ts';
import type { Holder } from '../verification/identifiers.ts';
import type { OpenedCertificate } from './found-certificate.ts';

/** Reading certificates of a holder and opening them. */
export interface OpenDeps {
  readonly db: Pick<Database, 'query'>;
  readonly keys: Pick<EncryptionKeys, 'box'> & Pick<IndexKeys, 'holderKeys'>;
}

/**
 * The holder's sealed certificates of these types, of each series the newest version; in force first. Refuses `stored_data_tampered`.
 * Nothing is asked for permission here: what leaves is cut down by who answers.
 */
export async function openByHolder(
  { db, keys }: OpenDeps,
  { holder, typeCodes, at }: { readonly holder: Holder; readonly typeCodes: readonly string[]; readonly at: Date },
): Promise<readonly OpenedCertificate[]> {
  const rows = await readByHolder(db, keys.holderKeys(holder.type, holder.number), typeCodes);
  // Opened before any is chosen by what it says: a version or state that somebody else wrote must not hide another row.
  return newestOfSeries(openRows(keys.box, rows, at)).toSorted(inForceThenNewest);
}

/** Opens rows as they were read. Refuses `stored_data_tampered`. */
export const openRows = (
  box: EncryptionKeys['box'],
  rows: readonly SealedRow[],
  at: Date,
): readonly OpenedCertificate[] => rows.map((row) => ({ row, contents: openRow(box, row), status: statusAt(row, at) }));

/** What a reader wants stands first: certificates in force, the newest before the older ones. */
const inForceThenNewest = (a: OpenedCertificate, b: OpenedCertificate): number =>
  Number(b.status === 'valid') - Number(a.status === 'valid') ||
  b.row.effective_from.getTime() - a.row.effective_from.getTime() ||
  (a.row.identifier < b.row.identifier ? -1 : 1);

function newestOfSeries(opened: readonly OpenedCertificate[]): OpenedCertificate[] {
  const newest = new Map<string, OpenedCertificate>();
  for (const each of opened) {
    const known = newest.get(each.row.series);
    if (known === undefined || known.row.version < each.row.version) newest.set(each.row.series, each);
  }
  return [...newest.values()].filter(({ status }) => status !== 'superseded');
}
