import type { Transaction } from 'kysely';
import type { Tables } from '../db/tables.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import type { ReadDeps } from './change-type.ts';
import type { TypeDraft } from './type-draft.ts';

/** Table certificate_type_drafts. Every row bears the hub's MAC over its columns: nobody drafts or publishes by SQL. */

type Row = Tables['certificate_type_drafts'];
type Handle = Pick<Transaction<Tables>, 'selectFrom'>;

const kind = 'certificate_type_draft';

const covered = (row: Omit<Row, 'mac'>): Buffer =>
  Buffer.from(canonicalJson([row.draft_id, row.code, row.state, row.body.toString('base64'), row.saved_at.getTime()]));

function toRow({ keys }: Pick<ReadDeps, 'keys'>, draft: TypeDraft): Row {
  const { draftId, state, savedAt, ...said } = draft;
  const row = {
    draft_id: draftId,
    code: said.definition.certificateTypeCode,
    state,
    body: Buffer.from(canonicalJson(JSON.parse(JSON.stringify(said)))),
    saved_at: savedAt,
  };
  return { ...row, mac: keys.rowMac(kind, covered(row)) };
}

/** The draft of a row, or undefined, and reported, when the hub did not write the row. */
function fromRow({ keys, tampered }: ReadDeps, row: Row): TypeDraft | undefined {
  if (!keys.verifyRowMac(kind, covered(row), row.mac)) {
    tampered('certificate_type_drafts', row.draft_id);
    return undefined;
  }
  const said = JSON.parse(row.body.toString('utf8')) as Omit<TypeDraft, 'draftId' | 'state' | 'savedAt'>;
  return { ...said, draftId: row.draft_id, state: row.state as TypeDraft['state'], savedAt: row.saved_at };
}

/** Puts a draft on file. The open one of the same type was closed before. */
export async function insertDraft(
  trx: Transaction<Tables>,
  deps: Pick<ReadDeps, 'keys'>,
  draft: TypeDraft,
): Promise<void> {
  await trx.insertInto('certificate_type_drafts').values(toRow(deps, draft)).execute();
}

/** Writes what became of a draft; nothing else of it ever changes. */
export async function closeDraft(
  trx: Transaction<Tables>,
  deps: Pick<ReadDeps, 'keys'>,
  draft: TypeDraft,
): Promise<void> {
  const { state, mac } = toRow(deps, draft);
  await trx.updateTable('certificate_type_drafts').set({ state, mac }).where('draft_id', '=', draft.draftId).execute();
}

/** One draft, whatever became of it. */
export async function findDraft(handle: Handle, deps: ReadDeps, draftId: string): Promise<TypeDraft | undefined> {
  const row = await handle
    .selectFrom('certificate_type_drafts')
    .selectAll()
    .where('draft_id', '=', draftId)
    .executeTakeFirst();
  return row === undefined ? undefined : fromRow(deps, row);
}

/** Drafts that can be published, oldest first. */
export async function openDrafts(handle: Handle, deps: ReadDeps): Promise<readonly TypeDraft[]> {
  const rows = await handle
    .selectFrom('certificate_type_drafts')
    .selectAll()
    .where('state', '=', 'open')
    .orderBy('draft_id')
    .execute();
  return rows.flatMap((row) => fromRow(deps, row) ?? []);
}

/** Which rows of the table the hub did not write; each is reported. For the self-check. */
export async function checkDrafts(handle: Handle, deps: ReadDeps): Promise<void> {
  for (const row of await handle.selectFrom('certificate_type_drafts').selectAll().execute()) fromRow(deps, row);
}

/** Takes a draft that the hub did not write out of the way of a new one. */
export async function closeForged(trx: Transaction<Tables>, code: string): Promise<void> {
  await trx
    .updateTable('certificate_type_drafts')
    .set({ state: 'replaced' })
    .where('code', '=', code)
    .where('state', '=', 'open')
    .execute();
}
