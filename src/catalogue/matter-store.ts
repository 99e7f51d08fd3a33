import type { Transaction } from 'kysely';
import type { Tables } from '../db/tables.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import type { Matter, MatterDefinition, MatterNote } from './matter.ts';
import { macInput, noteBytes, type RowMacs, type Tampered } from './store.ts';

type Row = Tables['matters'];

const kind = 'matter';

const matterOfRow = (row: Row): Matter => ({
  // What the hub's MAC covers is what the hub wrote.
  ...(JSON.parse(row.definition.toString('utf8')) as MatterDefinition),
  version: row.version,
  createdAt: row.created_at,
  ...(row.note !== null && { note: JSON.parse(row.note.toString('utf8')) as MatterNote }),
});

/**
 * Reads the newest version of every matter, in order of their codes. Rows with a wrong MAC are reported and left out, so that an
 * older version counts where the newest is not the hub's.
 */
export async function readMatters(
  db: Pick<Transaction<Tables>, 'selectFrom'>,
  { keys, tampered }: { readonly keys: Pick<RowMacs, 'verifyRowMac'>; readonly tampered: Tampered },
): Promise<readonly Matter[]> {
  const rows = await db.selectFrom('matters').selectAll().orderBy('code').orderBy('version').execute();
  const newest = new Map<string, Matter>();
  for (const row of rows) {
    if (!keys.verifyRowMac(kind, macInput(row), row.mac)) {
      tampered(kind, `${row.code}:${row.version}`);
      continue;
    }
    newest.set(row.code, matterOfRow(row));
  }
  return [...newest.values()];
}

/**
 * Adds a version to a matter, the first one if the code is new. Undefined when the newest version already says the same: definition and
 * whether it is retired. The caller holds the topic `matters` (`bump`), so that nobody adds another one meanwhile.
 */
export async function insertNextMatter(
  trx: Transaction<Tables>,
  keys: RowMacs,
  input: { readonly definition: MatterDefinition; readonly note?: MatterNote; readonly at: Date },
): Promise<Matter | undefined> {
  const { definition, note, at } = input;
  const bytes = Buffer.from(canonicalJson(definition));
  const newest = await trx
    .selectFrom('matters')
    .selectAll()
    .where('code', '=', definition.matterCode)
    .orderBy('version', 'desc')
    .limit(1)
    .executeTakeFirst();
  const said = newest !== undefined && keys.verifyRowMac(kind, macInput(newest), newest.mac) ? newest : undefined;
  if (said?.definition.equals(bytes) === true && matterOfRow(said).note?.state === note?.state) return undefined;
  const row = {
    code: definition.matterCode,
    version: (newest?.version ?? 0) + 1,
    definition: bytes,
    note: noteBytes(note),
    created_at: at,
  };
  const mac = keys.rowMac(kind, macInput(row));
  await trx
    .insertInto('matters')
    .values({ ...row, mac })
    .execute();
  return matterOfRow({ ...row, mac });
}
