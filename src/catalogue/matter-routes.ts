import type { Handlers } from '../http/handlers.ts';
import type { CatalogueView } from './catalogue.ts';
import type { CertificateType } from './certificate-type.ts';
import type { Matter, MatterDefinition } from './matter.ts';
import type { MattersView } from './matters.ts';
import { listMatters, listRetainedProofs, paperCandidates, readMatter } from './read-matters.ts';
import { type RegisterMatterDeps, registerMatter } from './register-matter.ts';
import { retireMatter } from './retire-matter.ts';

type MatterBody = Awaited<ReturnType<Handlers['getMatter']>>['body'];

/** What the routes of matters need. */
export type MatterRouteDeps = RegisterMatterDeps & { readonly matters: MattersView; readonly catalogue: CatalogueView };

/** The body of an answer about a matter: a definition came through the contract, and goes out as it came. */
const matterBody = ({ createdAt, note, ...matter }: Matter): MatterBody => ({
  ...(structuredClone(matter) as unknown as Omit<MatterBody, 'createdAt' | 'state'>),
  state: note?.state ?? 'published',
  ...(note?.reason !== undefined && { reason: note.reason }),
  createdAt: createdAt.toISOString(),
});

/** With the types that came after it and are there instead of paper. */
const readBody = (matter: Matter, types: readonly CertificateType[]): MatterBody => {
  const candidates = paperCandidates(matter, types);
  return { ...matterBody(matter), ...(candidates.length > 0 && { candidates }) };
};

/** Handlers of matters. */
export function matterHandlers(
  deps: MatterRouteDeps,
): Pick<Handlers, 'listMatters' | 'registerMatter' | 'getMatter' | 'retireMatter' | 'listRetainedProofs'> {
  return {
    listMatters: async ({ query }) => {
      const { items, next } = await listMatters(deps, query);
      const { types } = await deps.catalogue.read();
      const body = items.map((matter) => readBody(matter, types));
      return { status: 200, body: { items: body, ...(next !== undefined && { next }) } };
    },
    getMatter: async ({ params }) => {
      const matter = await readMatter(deps, params.matterCode);
      return { status: 200, body: readBody(matter, (await deps.catalogue.read()).types) };
    },
    registerMatter: async ({ caller, requestId, receivedAt, body, headers }) => {
      const answer = await registerMatter(
        deps,
        {
          call: { caller, requestId, at: receivedAt },
          idempotencyKey: headers['idempotency-key'],
          // The codes in it are checked by `checkMatterDefinition` before anything is done with them.
          definition: body as unknown as MatterDefinition,
        },
        (matter) => ({ status: 201, body: matterBody(matter) }),
      );
      return { status: 201, body: answer.body as MatterBody };
    },
    retireMatter: async ({ caller, requestId, receivedAt, params, body, headers }) => {
      const answer = await retireMatter(
        deps,
        {
          call: { caller, requestId, at: receivedAt },
          idempotencyKey: headers['idempotency-key'],
          matterCode: params.matterCode,
          reason: body.reason,
        },
        (matter) => ({ status: 200, body: matterBody(matter) }),
      );
      return { status: 200, body: answer.body as MatterBody };
    },
    listRetainedProofs: async ({ query }) => {
      const { items, next } = await listRetainedProofs(deps, query);
      const body = items.map(({ candidates, ...proof }) => ({
        ...proof,
        ...(candidates !== undefined && { candidates: [...candidates] }),
      }));
      return { status: 200, body: { items: body, ...(next !== undefined && { next }) } };
    },
  };
}
