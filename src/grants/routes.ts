import type { Handlers } from '../http/handlers.ts';
import { type CreateGrantDeps, createGrant } from './create-grant.ts';
import type { CurrentGrants } from './current-grants.ts';
import { type Grant, grantState } from './grant.ts';
import { listGrants, readGrant } from './read-grants.ts';
import { revokeGrant } from './revoke-grant.ts';

export interface GrantRoutesDeps extends CreateGrantDeps {
  readonly current: CurrentGrants;
}

const toContract = (grant: Grant, at: Date) => ({
  grantId: grant.grantId,
  clientId: grant.clientId,
  certificateTypeCode: grant.certificateTypeCode,
  level: grant.level,
  fields: [...grant.fields],
  matters: [...grant.matters],
  legalBases: [...grant.legalBases],
  validFrom: grant.validFrom.toISOString(),
  validUntil: grant.validUntil.toISOString(),
  dailyQuota: grant.dailyQuota,
  ...(grant.secrecyDays !== undefined && { secrecyDays: grant.secrecyDays }),
  decisionReference: grant.decisionReference,
  decidedByDepartmentCode: grant.decidedByDepartmentCode,
  state: grantState(grant, at),
  createdAt: grant.createdAt.toISOString(),
  ...(grant.revokedAt !== undefined && { revokedAt: grant.revokedAt.toISOString() }),
});

type Body = ReturnType<typeof toContract>;

/** Contract ↔ domain for grants. */
export function grantHandlers(
  deps: GrantRoutesDeps,
): Pick<Handlers, 'listGrants' | 'createGrant' | 'getGrant' | 'revokeGrant'> {
  return {
    listGrants: async ({ query, caller, receivedAt }) => {
      const page = await listGrants(deps, { caller, ...query });
      const items = page.items.map((grant) => toContract(grant, receivedAt));
      return { status: 200, body: { items, ...(page.next !== undefined && { next: page.next }) } };
    },
    getGrant: async ({ params, caller, receivedAt }) => ({
      status: 200,
      body: toContract(await readGrant(deps, { caller, grantId: params.grantId }), receivedAt),
    }),
    createGrant: async ({ body, headers, caller, requestId, receivedAt }) => {
      const answer = await createGrant(
        deps,
        { ...body, validFrom: new Date(body.validFrom), validUntil: new Date(body.validUntil) },
        { caller, requestId, at: receivedAt, idempotencyKey: headers['idempotency-key'] },
        (grant) => ({ status: 201, body: toContract(grant, receivedAt) }),
      );
      return { status: 201, body: answer.body as Body };
    },
    revokeGrant: async ({ params, body, headers, caller, requestId, receivedAt }) => {
      const answer = await revokeGrant(
        deps,
        { grantId: params.grantId, reason: body.reason },
        { caller, requestId, at: receivedAt, idempotencyKey: headers['idempotency-key'] },
        (grant) => ({ status: 200, body: toContract(grant, receivedAt) }),
      );
      return { status: 200, body: answer.body as Body };
    },
  };
}
