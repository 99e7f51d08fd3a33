import type { Transaction } from 'kysely';
import type { Tables } from '../db/tables.ts';
import type { WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import { type Call, newId } from '../ids.ts';
import type { CertificateTypeDefinition } from './certificate-type.ts';
import { breaksOf, holdCatalogue, type Standing, sha256Of } from './change-type.ts';
import { closeDraft, closeForged, findDraft, insertDraft, openDrafts } from './draft-store.ts';
import { type ChangeTypeDeps, checkTypeDefinition } from './register-certificate-type.ts';
import type { TypeBreaks } from './type-breaks.ts';
import { changesBetween, type TypeChange } from './type-changes.ts';
import { maySeeDraft, overstep, type TypeDraft } from './type-draft.ts';

/** A draft with what publishing it would change and break as things stand. */
export interface JudgedDraft {
  readonly draft: TypeDraft;
  readonly changes: readonly TypeChange[];
  readonly breaks: TypeBreaks;
}

export type PresentDraft = (judged: JudgedDraft) => WriteAnswer['body'];

/** Judges a draft against the catalogue as the transaction sees it. */
export async function judgeDraft(
  trx: Transaction<Tables>,
  deps: Pick<ChangeTypeDeps, 'grantsNaming' | 'today'>,
  { standing, draft, at }: { readonly standing: Standing; readonly draft: TypeDraft; readonly at: Date },
): Promise<JudgedDraft> {
  const { definition } = draft;
  const newest = standing.types.get(definition.certificateTypeCode);
  return {
    draft,
    changes: newest === undefined ? [] : changesBetween(newest, definition),
    breaks: await breaksOf(trx, deps, { standing, next: { definition }, at }),
  };
}

/**
 * Saves what shall be the next version of a type, in place of the draft that the type has. Issuers and grantors for types of their own
 * department, administrators for all.
 * @throws Refusal `wrong_department`, and what `registerCertificateType` throws for the definition.
 */
export function draftCertificateType(
  deps: ChangeTypeDeps,
  input: { readonly call: Call; readonly idempotencyKey: string; readonly definition: CertificateTypeDefinition },
  present: PresentDraft,
): Promise<WriteAnswer> {
  const { call, idempotencyKey, definition } = input;
  const { caller, at } = call;
  const { certificateTypeCode: code } = definition;
  return deps.write(
    { caller, operation: 'draftCertificateType', idempotencyKey, content: definition },
    {
      prepare: async () => {
        refuseOverstep(caller, definition, undefined);
        await checkTypeDefinition(deps, definition);
      },
      apply: async (trx) => {
        const standing = await holdCatalogue(trx, deps);
        const newest = standing.types.get(code);
        refuseOverstep(caller, definition, newest);
        const draft: TypeDraft = {
          draftId: newId(),
          state: 'open',
          definition,
          basedOnVersion: newest?.version ?? 0,
          savedAt: at,
          savedBy: { clientId: caller.clientId, departmentCode: caller.department },
        };
        const earlier = (await openDrafts(trx, deps)).find((each) => each.definition.certificateTypeCode === code);
        if (earlier === undefined) await closeForged(trx, code);
        else await closeDraft(trx, deps, { ...earlier, state: 'replaced' });
        await insertDraft(trx, deps, draft);
        await deps.recordIn(trx, {
          kind: 'registry',
          action: 'draftCertificateType',
          outcome: 'done',
          caller,
          requestId: call.requestId,
          at,
          detail: {
            certificateTypeCode: code,
            draftId: draft.draftId,
            basedOnVersion: draft.basedOnVersion,
            definitionSha256: sha256Of(definition),
            ...(earlier !== undefined && { replaces: earlier.draftId }),
          },
        });
        return { status: 201, body: present(await judgeDraft(trx, deps, { standing, draft, at })) };
      },
    },
  );
}

/** Refuses `wrong_department` where the caller oversteps its department. */
export function refuseOverstep(...asked: Parameters<typeof overstep>): void {
  const pointer = overstep(...asked);
  if (pointer !== undefined) throw new Refusal('wrong_department', { pointer });
}

/** The draft that a caller wants to end, while the catalogue is held. Refuses `draft_unknown`, `draft_outdated` when it is not open. */
export async function heldDraft(
  trx: Transaction<Tables>,
  deps: ChangeTypeDeps,
  { draftId, call, standing }: { readonly draftId: string; readonly call: Call; readonly standing: Standing },
): Promise<TypeDraft> {
  const draft = await findDraft(trx, deps, draftId);
  const newest = draft && standing.types.get(draft.definition.certificateTypeCode);
  if (draft === undefined || !maySeeDraft(call.caller, draft, newest)) throw new Refusal('draft_unknown');
  if (draft.state !== 'open') throw new Refusal('draft_outdated', { state: draft.state });
  return draft;
}
