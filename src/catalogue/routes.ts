import { Refusal } from '../errors.ts';
import type { Handlers } from '../http/handlers.ts';
import type { CertificateTypeDefinition } from './certificate-type.ts';
import {
  listCertificateTypes,
  listCertificateTypeVersions,
  type ReadTypesDeps,
  type TypeVersion,
} from './read-certificate-types.ts';
import { type ChangeTypeDeps, registerCertificateType } from './register-certificate-type.ts';
import { retireCertificateType } from './retire-certificate-type.ts';
import { type CertificateTypeBody, typeBody } from './type-body.ts';

type VersionBody = Awaited<ReturnType<Handlers['listCertificateTypeVersions']>>['body']['items'][number];

/** What the catalogue's routes need. */
export type CatalogueRouteDeps = ChangeTypeDeps & ReadTypesDeps;

const versionBody = ({ type: { version, createdAt, note }, changes }: TypeVersion): VersionBody => ({
  version,
  state: note?.state ?? 'published',
  createdAt: createdAt.toISOString(),
  ...(note?.migrationNote !== undefined && { migrationNote: { ...note.migrationNote } }),
  ...(note?.reason !== undefined && { reason: note.reason }),
  changes: changes.map((change) => ({ ...change })),
});

/** Handlers of certificate types. */
export function catalogueHandlers(
  deps: CatalogueRouteDeps,
): Pick<
  Handlers,
  | 'listCertificateTypes'
  | 'getCertificateType'
  | 'registerCertificateType'
  | 'retireCertificateType'
  | 'listCertificateTypeVersions'
> {
  return {
    listCertificateTypes: async ({ query }) => {
      const { items, next } = await listCertificateTypes(deps, query);
      const { all } = await deps.matters.read();
      return {
        status: 200,
        body: { items: items.map((type) => typeBody(type, all)), ...(next !== undefined && { next }) },
      };
    },
    getCertificateType: async ({ params }) => {
      const found = (await deps.catalogue.read()).newest(params.certificateTypeCode);
      if (found === undefined) throw new Refusal('certificate_type_unknown', { pointer: '/certificateTypeCode' });
      return { status: 200, body: typeBody(found.type, (await deps.matters.read()).all) };
    },
    listCertificateTypeVersions: async ({ params, query }) => {
      const { items, next } = await listCertificateTypeVersions(deps, { ...query, ...params });
      return { status: 200, body: { items: items.map(versionBody), ...(next !== undefined && { next }) } };
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
    retireCertificateType: async ({ caller, requestId, receivedAt, params, body, headers }) => {
      const answer = await retireCertificateType(deps, {
        call: { caller, requestId, at: receivedAt },
        idempotencyKey: headers['idempotency-key'],
        certificateTypeCode: params.certificateTypeCode,
        reason: body.reason,
      });
      return { status: 200, body: answer.body as CertificateTypeBody };
    },
  };
}
