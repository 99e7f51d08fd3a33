import type { Handlers } from '../http/handlers.ts';
import type { CertificateTypeDefinition } from './certificate-type.ts';
import { draftCertificateType, type JudgedDraft } from './draft-certificate-type.ts';
import { discardCertificateTypeDraft, publishCertificateType } from './publish-certificate-type.ts';
import {
  listCertificateTypeDrafts,
  type ReadDraftsDeps,
  readCertificateTypeDraft,
} from './read-certificate-type-drafts.ts';
import type { ChangeTypeDeps } from './register-certificate-type.ts';
import type { CertificateTypeBody } from './type-body.ts';

type DraftBody = Awaited<ReturnType<Handlers['getCertificateTypeDraft']>>['body'];

/** The body of an answer about a draft: a definition came through the contract, and goes out as it came. */
const draftBody = ({ draft, changes, breaks }: JudgedDraft): DraftBody => ({
  draftId: draft.draftId,
  state: draft.state,
  definition: structuredClone(draft.definition) as unknown as DraftBody['definition'],
  basedOnVersion: draft.basedOnVersion,
  changes: changes.map((change) => ({ ...change })),
  breaks: {
    matters: breaks.matters.map((each) => ({ ...each })),
    grants: breaks.grants.map(({ fields, ...each }) => ({ ...each, fields: [...fields] })),
  },
  savedAt: draft.savedAt.toISOString(),
  savedBy: { ...draft.savedBy },
});

/** Handlers of drafts of certificate types. */
export function draftHandlers(
  deps: ChangeTypeDeps & ReadDraftsDeps,
): Pick<
  Handlers,
  | 'draftCertificateType'
  | 'listCertificateTypeDrafts'
  | 'getCertificateTypeDraft'
  | 'discardCertificateTypeDraft'
  | 'publishCertificateType'
> {
  return {
    draftCertificateType: async ({ caller, requestId, receivedAt, body, headers }) => {
      const answer = await draftCertificateType(
        deps,
        {
          call: { caller, requestId, at: receivedAt },
          idempotencyKey: headers['idempotency-key'],
          // The codes in it are checked by `checkDefinition` before anything is done with them.
          definition: body as unknown as CertificateTypeDefinition,
        },
        draftBody,
      );
      return { status: 201, body: answer.body as DraftBody };
    },
    listCertificateTypeDrafts: async ({ caller, receivedAt, query }) => {
      const { items, next } = await listCertificateTypeDrafts(deps, { ...query, caller, at: receivedAt });
      return { status: 200, body: { items: items.map(draftBody), ...(next !== undefined && { next }) } };
    },
    getCertificateTypeDraft: async ({ caller, receivedAt, params }) => ({
      status: 200,
      body: draftBody(await readCertificateTypeDraft(deps, { caller, at: receivedAt, draftId: params.draftId })),
    }),
    discardCertificateTypeDraft: async ({ caller, requestId, receivedAt, params, body, headers }) => {
      const answer = await discardCertificateTypeDraft(
        deps,
        {
          call: { caller, requestId, at: receivedAt },
          idempotencyKey: headers['idempotency-key'],
          draftId: params.draftId,
          reason: body.reason,
        },
        draftBody,
      );
      return { status: 200, body: answer.body as DraftBody };
    },
    publishCertificateType: async ({ caller, requestId, receivedAt, params, body, headers }) => {
      const answer = await publishCertificateType(deps, {
        call: { caller, requestId, at: receivedAt },
        idempotencyKey: headers['idempotency-key'],
        draftId: params.draftId,
        ...body,
      });
      return { status: 201, body: answer.body as CertificateTypeBody };
    },
  };
}
