import type { Handlers } from '../http/handlers.ts';
import { type GrantApplication, type GrantScope, isOverdue } from './application.ts';
import { type ApplyDeps, applyForGrant } from './apply-for-grant.ts';
import { type DecideDeps, decideApplication } from './decide-application.ts';
import { listApplications, type ReadApplicationsDeps, readApplication } from './read-applications.ts';
import { type WithdrawDeps, withdrawApplication } from './withdraw-application.ts';

export type ApplicationRoutesDeps = ApplyDeps & DecideDeps & WithdrawDeps & ReadApplicationsDeps;

interface ScopeBody extends Omit<GrantScope, 'validUntil'> {
  readonly validUntil?: string;
}
const scopeFrom = ({ validUntil, ...scope }: ScopeBody): GrantScope => ({
  ...scope,
  ...(validUntil !== undefined && { validUntil: new Date(validUntil) }),
});
const scopeBody = ({ validUntil, fields, matters, legalBases, ...rest }: GrantScope) => ({
  ...rest,
  fields: [...fields],
  matters: [...matters],
  legalBases: [...legalBases],
  ...(validUntil !== undefined && { validUntil: validUntil.toISOString() }),
});

function toContract(application: GrantApplication, at: Date) {
  const { wanted, allowed, createdAt, dueAt, history, ...rest } = application;
  return {
    ...rest,
    wanted: scopeBody(wanted),
    ...(allowed !== undefined && { allowed: scopeBody(allowed) }),
    createdAt: createdAt.toISOString(),
    dueAt: dueAt.toISOString(),
    overdue: isOverdue(application, at),
    history: history.map((step) => ({ ...step, at: step.at.toISOString() })),
  };
}
type Body = ReturnType<typeof toContract>;

/** As it stands in the database: a UUID may be written in capitals. */
const idOf = ({ applicationId }: { readonly applicationId: string }) => ({
  applicationId: applicationId.toLowerCase(),
});

/** A declared demand has a UUID; a matter's has the matter's code in it, which is told apart by case. */
const demandIdOf = (demandId: string): string => (demandId.startsWith('matter:') ? demandId : demandId.toLowerCase());

type ApplicationOperation =
  | 'listGrantApplications'
  | 'applyForGrant'
  | 'getGrantApplication'
  | 'decideGrantApplication'
  | 'withdrawGrantApplication';

/** Contract ↔ domain for applications. */
export function applicationHandlers(deps: ApplicationRoutesDeps): Pick<Handlers, ApplicationOperation> {
  return {
    listGrantApplications: async ({ query, caller, receivedAt }) => {
      const { items, next } = await listApplications(deps, query, { caller, at: receivedAt });
      const body = items.map((application) => toContract(application, receivedAt));
      return { status: 200, body: { items: body, ...(next !== undefined && { next }) } };
    },
    getGrantApplication: async ({ params, caller, receivedAt }) => {
      const application = await readApplication(deps, { ...idOf(params), caller });
      return { status: 200, body: toContract(application, receivedAt) };
    },
    applyForGrant: async ({ body, headers, caller, requestId, receivedAt }) => {
      const call = { caller, requestId, at: receivedAt, idempotencyKey: headers['idempotency-key'] };
      const { wanted, renews, demandId, ...rest } = body;
      const wish = {
        ...rest,
        wanted: scopeFrom(wanted),
        ...(renews !== undefined && { renews: renews.toLowerCase() }),
        ...(demandId !== undefined && { demandId: demandIdOf(demandId) }),
      };
      const answer = await applyForGrant(deps, wish, call, (made) => ({
        status: 201,
        body: toContract(made, receivedAt),
      }));
      return { status: 201, body: answer.body as Body };
    },
    decideGrantApplication: async ({ params, body, headers, caller, requestId, receivedAt }) => {
      const call = { caller, requestId, at: receivedAt, idempotencyKey: headers['idempotency-key'] };
      const { allowed, ...rest } = body;
      const verdict = { ...rest, ...idOf(params), ...(allowed !== undefined && { allowed: scopeFrom(allowed) }) };
      const answer = await decideApplication(deps, verdict, call, (decided) => ({
        status: 200,
        body: toContract(decided, receivedAt),
      }));
      return { status: 200, body: answer.body as Body };
    },
    withdrawGrantApplication: async ({ params, body, headers, caller, requestId, receivedAt }) => {
      const call = { caller, requestId, at: receivedAt, idempotencyKey: headers['idempotency-key'] };
      const answer = await withdrawApplication(deps, { ...idOf(params), reason: body.reason }, call, (withdrawn) => ({
        status: 200,
        body: toContract(withdrawn, receivedAt),
      }));
      return { status: 200, body: answer.body as Body };
    },
  };
}
