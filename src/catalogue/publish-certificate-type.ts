import type { Transaction } from 'kysely';
import type { Tables } from '../db/tables.ts';
import type { WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import type { Call } from '../ids.ts';
import { type Bilingual, type CertificateTypeDefinition, checkDefinition } from './certificate-type.ts';
import { changeType, holdCatalogue } from './change-type.ts';
import { heldDraft, judgeDraft, type PresentDraft, refuseOverstep } from './draft-certificate-type.ts';
import { closeDraft } from './draft-store.ts';
import type { ChangeTypeDeps } from './register-certificate-type.ts';
import { readTypes } from './store.ts';
import { typeBody } from './type-body.ts';
import { loosenedAt } from './type-loosening.ts';

interface EndingDraft {
  readonly call: Call;
  readonly idempotencyKey: string;
  readonly draftId: string;
}

/**
 * Makes a draft the next version of its type. Grantors of the owner department may, and administrators.
 * @throws Refusal `draft_unknown`, `draft_outdated` when it was replaced or the type has got another version since, `wrong_department`
 * when it would hand the type over, `hub_must_publish` when a grantor would take a decision from the hub or the province, `change_breaks`,
 * `draft_unchanged` when it says nothing new, and what `checkDefinition` throws.
 */
export function publishCertificateType(
  deps: ChangeTypeDeps,
  input: EndingDraft & { readonly migrationNote?: Bilingual; readonly reason?: string },
): Promise<WriteAnswer> {
  const { call, idempotencyKey, draftId, migrationNote, reason } = input;
  const { caller, at } = call;
  const note = { ...(migrationNote !== undefined && { migrationNote }), ...(reason !== undefined && { reason }) };
  return deps.write(
    { caller, operation: 'publishCertificateType', idempotencyKey, content: { draftId, ...note } },
    {
      apply: async (trx) => {
        const standing = await holdCatalogue(trx, deps);
        const draft = await heldDraft(trx, deps, { draftId, call, standing });
        const { definition, basedOnVersion } = draft;
        // What a definition may say can have become less since it was saved.
        checkDefinition(definition);
        const newest = standing.types.get(definition.certificateTypeCode);
        refuseOverstep(caller, definition, newest);
        if (!caller.roles.includes('admin')) await refuseLoosening(trx, deps, definition);
        if ((newest?.version ?? 0) !== basedOnVersion) {
          throw new Refusal('draft_outdated', { basedOnVersion, currentVersion: newest?.version ?? 0 });
        }
        const action = 'publishCertificateType';
        const detail = { draftId, ...note };
        const next = { definition, note };
        const type = await changeType(trx, deps, { standing, next, at, action, call, detail });
        if (type === undefined) throw new Refusal('draft_unchanged');
        await closeDraft(trx, deps, { ...draft, state: 'published' });
        return { status: 201, body: typeBody(type, standing.matters) };
      },
    },
  );
}

/** The second decision over a sensitive field is the hub's, so the owner alone cannot do away with it. */
async function refuseLoosening(
  trx: Transaction<Tables>,
  deps: ChangeTypeDeps,
  definition: CertificateTypeDefinition,
): Promise<void> {
  const versions = (await readTypes(trx, deps)).map(({ type }) => type);
  const earlier = versions.filter((type) => type.certificateTypeCode === definition.certificateTypeCode);
  const pointer = loosenedAt(earlier, definition);
  if (pointer !== undefined) throw new Refusal('hub_must_publish', { pointer });
}

/** Gives up an open draft. Whoever may see it may, auditors aside. Refuses `draft_unknown`, `draft_outdated` when it is not open. */
export function discardCertificateTypeDraft(
  deps: ChangeTypeDeps,
  input: EndingDraft & { readonly reason: string },
  present: PresentDraft,
): Promise<WriteAnswer> {
  const { call, idempotencyKey, draftId, reason } = input;
  const { caller, at } = call;
  return deps.write(
    { caller, operation: 'discardCertificateTypeDraft', idempotencyKey, content: { draftId, reason } },
    {
      apply: async (trx) => {
        const standing = await holdCatalogue(trx, deps);
        const open = await heldDraft(trx, deps, { draftId, call, standing });
        const draft = { ...open, state: 'discarded' as const };
        await closeDraft(trx, deps, draft);
        const { certificateTypeCode } = draft.definition;
        await deps.recordIn(trx, {
          kind: 'registry',
          action: 'discardCertificateTypeDraft',
          outcome: 'done',
          caller,
          requestId: call.requestId,
          at,
          detail: { certificateTypeCode, draftId, reason },
        });
        return { status: 200, body: present(await judgeDraft(trx, deps, { standing, draft, at })) };
      },
    },
  );
}
