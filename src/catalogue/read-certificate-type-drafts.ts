import { validate as isUuid } from 'uuid';
import type { Database } from '../db/database.ts';
import { transaction } from '../db/transaction.ts';
import { Refusal } from '../errors.ts';
import type { Caller } from '../ids.ts';
import { type ChangeCatalogueDeps, readStanding } from './change-type.ts';
import { type JudgedDraft, judgeDraft } from './draft-certificate-type.ts';
import { findDraft, openDrafts } from './draft-store.ts';
import { type Page, type PageOf, pageBy } from './page.ts';
import { maySeeDraft } from './type-draft.ts';

export type ReadDraftsDeps = Omit<ChangeCatalogueDeps, 'recordIn'> & { readonly db: Pick<Database, 'kysely'> };

interface Asking {
  readonly caller: Caller;
  readonly at: Date;
}

/** Changes and breaks are told of one moment. */
const oneMoment = { isolation: 'repeatable read', readOnly: true } as const;

/** Open drafts that the caller may see, oldest first. Refuses `contract_violation` for a cursor that is none. */
export async function listCertificateTypeDrafts(
  deps: ReadDraftsDeps,
  { caller, at, after, limit }: Asking & PageOf,
): Promise<Page<JudgedDraft>> {
  if (after !== undefined && !isUuid(after)) throw new Refusal('contract_violation', { pointer: '/after' });
  const page = { ...(after !== undefined && { after: after.toLowerCase() }), ...(limit !== undefined && { limit }) };
  return transaction(
    deps.db,
    async (trx) => {
      const standing = await readStanding(trx, deps);
      const seen = (await openDrafts(trx, deps)).filter((draft) =>
        maySeeDraft(caller, draft, standing.types.get(draft.definition.certificateTypeCode)),
      );
      const { items, next } = pageBy(seen, ({ draftId }) => draftId, page);
      const judged: JudgedDraft[] = [];
      for (const draft of items) judged.push(await judgeDraft(trx, deps, { standing, draft, at }));
      return { items: judged, ...(next !== undefined && { next }) };
    },
    oneMoment,
  );
}

/** One draft, whatever became of it. Refuses `draft_unknown`, also for one the caller may not see. */
export const readCertificateTypeDraft = (
  deps: ReadDraftsDeps,
  { caller, at, draftId }: Asking & { readonly draftId: string },
): Promise<JudgedDraft> =>
  transaction(
    deps.db,
    async (trx) => {
      const draft = await findDraft(trx, deps, draftId);
      const standing = await readStanding(trx, deps);
      const newest = draft && standing.types.get(draft.definition.certificateTypeCode);
      if (draft === undefined || !maySeeDraft(caller, draft, newest)) throw new Refusal('draft_unknown');
      return judgeDraft(trx, deps, { standing, draft, at });
    },
    oneMoment,
  );
