import { Refusal } from '../errors.ts';
import type { Handlers } from '../http/handlers.ts';
import type { CatalogueView } from './catalogue.ts';
import type { CertificateTypeDefinition } from './certificate-type.ts';
import { registerCertificateType } from './register-certificate-type.ts';
import { type CertificateTypeBody, typeBody } from './type-body.ts';

const defaultLimit = 50;

/** What the catalogue's routes need. */
export type CatalogueRouteDeps = Parameters<typeof registerCertificateType>[0] & {
  readonly catalogue: CatalogueView;
};

/** Handlers of the catalogue. */
export function catalogueHandlers(
  deps: CatalogueRouteDeps,
): Pick<Handlers, 'listCertificateTypes' | 'getCertificateType' | 'registerCertificateType'> {
  return {
    listCertificateTypes: async ({ query }) => {
      const { after, limit = defaultLimit } = query;
      const { types } = await deps.catalogue.read();
      const rest = after === undefined ? types : types.filter(({ certificateTypeCode }) => certificateTypeCode > after);
      const page = rest.slice(0, limit);
      const last = rest.length > limit ? page.at(-1) : undefined;
      const next = last === undefined ? {} : { next: last.certificateTypeCode };
      return { status: 200, body: { items: page.map(typeBody), ...next } };
    },
    getCertificateType: async ({ params }) => {
      const found = (await deps.catalogue.read()).newest(params.certificateTypeCode);
      if (found === undefined) throw new Refusal('certificate_type_unknown', { pointer: '/certificateTypeCode' });
      return { status: 200, body: typeBody(found.type) };
    },
    registerCertificateType: async (request) => {
      const { caller, requestId, receivedAt, body, headers } = request;
      const answer = await registerCertificateType(deps, {
        call: { caller, requestId, at: receivedAt },
        idempotencyKey: headers['idempotency-key'],
        // The codes in it are checked by `checkDefinition` before anything is done with them.
        definition: body as unknown as CertificateTypeDefinition,
      });
      return { status: 201, body: answer.body as CertificateTypeBody };
    },
  };
}
