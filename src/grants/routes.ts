import type { Handlers } from '../http/handlers.ts';
import { changeStanding, type StandingDeps, type StandingOperation } from './change-standing.ts';
import type { CurrentGrants } from './current-grants.ts';
import { type Grant, grantState } from './grant.ts';
import { listGrants, readGrant } from './read-grants.ts';

export interface GrantRoutesDeps extends StandingDeps {
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
  ...optional(grant),
  decisionReference: grant.decisionReference,
  decidedByDepartmentCode: grant.decidedByDepartmentCode,
  applicationId: grant.applicationId,
  state: grantState(grant, at),
  createdAt: grant.createdAt.toISOString(),
  ...(grant.suspendedAt !== undefined && { suspendedAt: grant.suspendedAt.toISOString() }),
  ...(grant.revokedAt !== undefined && { revokedAt: grant.revokedAt.toISOString() }),
});

/** What only some grants have, as it stands. */
function optional({
  secrecyDays,
  dailyHolders,
  officerDailyQuota,
  officerDailyHolders,
  ticketRequired,
  renews,
}: Grant) {
  return {
    ...(secrecyDays !== undefined && { secrecyDays }),
    ...(dailyHolders !== undefined && { dailyHolders }),
    ...(officerDailyQuota !== undefined && { officerDailyQuota }),
    ...(officerDailyHolders !== undefined && { officerDailyHolders }),
    ...(ticketRequired !== undefined && { ticketRequired }),
    ...(renews !== undefined && { renews }),
  };
}

type Body = ReturnType<typeof toContract>;

type StandingRequest = Pick<
  Parameters<Handlers['suspendGrant']>[0],
  'params' | 'body' | 'headers' | 'caller' | 'requestId' | 'receivedAt'
>;
type GrantOperation = 'listGrants' | 'getGrant' | 'revokeGrant' | 'suspendGrant' | 'resumeGrant';

/** Contract ↔ domain for grants. */
export function grantHandlers(deps: GrantRoutesDeps): Pick<Handlers, GrantOperation> {
  /** The three that change whether a grant stands differ in nothing but what they change. */
  const standing =
    (operation: StandingOperation) =>
    async ({ params, body, headers, caller, requestId, receivedAt }: StandingRequest) => {
      const answer = await changeStanding(deps, operation, {
        input: { grantId: params.grantId, reason: body.reason },
        call: { caller, requestId, at: receivedAt, idempotencyKey: headers['idempotency-key'] },
        present: (grant) => ({ status: 200, body: toContract(grant, receivedAt) }),
      });
      return { status: 200 as const, body: answer.body as Body };
    };
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
    revokeGrant: standing('revokeGrant'),
    suspendGrant: standing('suspendGrant'),
    resumeGrant: standing('resumeGrant'),
  };
}
