import type { Handlers } from '../http/handlers.ts';
import type { GrantScope } from './application.ts';
import { applicationBody } from './application-body.ts';
import { type ApplyDeps, applyForGrant } from './apply-for-grant.ts';
import { type DecideDeps, decideApplication } from './decide-application.ts';
import { enterProvinceDecision } from './enter-province-decision.ts';
import { listApplications, readApplication } from './read-applications.ts';
import { type ProvinceFormDeps, readProvinceForm } from './read-province-form.ts';
import { type WithdrawDeps, withdrawApplication } from './withdraw-application.ts';

export type ApplicationRoutesDeps = ApplyDeps &
  DecideDeps &
  WithdrawDeps &
  ProvinceFormDeps & {
    /** Departments with an enabled client that decides on applications. */
    readonly deciders: () => Promise<ReadonlySet<string>>;
  };

interface ScopeBody extends Omit<GrantScope, 'validUntil'> {
  readonly validUntil?: string;
}
const scopeFrom = ({ validUntil, ...scope }: ScopeBody): GrantScope => ({
  ...scope,
  ...(validUntil !== undefined && { validUntil: new Date(validUntil) }),
});
type Body = ReturnType<typeof applicationBody>;

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
  | 'getProvinceForm'
  | 'enterProvinceDecision'
  | 'withdrawGrantApplication';

/** Contract ↔ domain for applications. */
export function applicationHandlers(deps: ApplicationRoutesDeps): Pick<Handlers, ApplicationOperation> {
  return {
    listGrantApplications: async ({ query, caller, receivedAt }) => {
      const deciders = await deps.deciders();
      const { items, next } = await listApplications(deps, query, { caller, at: receivedAt });
      const body = items.map((application) => applicationBody(application, receivedAt, deciders));
      return { status: 200, body: { items: body, ...(next !== undefined && { next }) } };
    },
    getGrantApplication: async ({ params, caller, receivedAt }) => {
      const deciders = await deps.deciders();
      const application = await readApplication(deps, { ...idOf(params), caller });
      return { status: 200, body: applicationBody(application, receivedAt, deciders) };
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
      const deciders = await deps.deciders();
      const answer = await applyForGrant(deps, wish, call, (made) => ({
        status: 201,
        body: applicationBody(made, receivedAt, deciders),
      }));
      return { status: 201, body: answer.body as Body };
    },
    decideGrantApplication: deciding(deps, decideApplication),
    enterProvinceDecision: deciding(deps, enterProvinceDecision),
    getProvinceForm: async ({ params, caller, receivedAt }) => {
      const { applicationId } = idOf(params);
      const form = await readProvinceForm(deps, { applicationId, caller, at: receivedAt });
      return { status: 200, body: { applicationId, form } };
    },
    withdrawGrantApplication: async ({ params, body, headers, caller, requestId, receivedAt }) => {
      const call = { caller, requestId, at: receivedAt, idempotencyKey: headers['idempotency-key'] };
      const deciders = await deps.deciders();
      const answer = await withdrawApplication(deps, { ...idOf(params), reason: body.reason }, call, (withdrawn) => ({
        status: 200,
        body: applicationBody(withdrawn, receivedAt, deciders),
      }));
      return { status: 200, body: answer.body as Body };
    },
  };
}

type Deciding = Parameters<Handlers['decideGrantApplication']>[0];

/** Both decisions say the same. */
const deciding =
  (deps: ApplicationRoutesDeps, decide: typeof enterProvinceDecision) =>
  async ({ params, body, headers, caller, requestId, receivedAt }: Omit<Deciding, 'operation'>) => {
    const call = { caller, requestId, at: receivedAt, idempotencyKey: headers['idempotency-key'] };
    const { allowed, ...rest } = body;
    const verdict = { ...rest, ...idOf(params), ...(allowed !== undefined && { allowed: scopeFrom(allowed) }) };
    const deciders = await deps.deciders();
    const answer = await decide(deps, verdict, call, (decided) => ({
      status: 200,
      body: applicationBody(decided, receivedAt, deciders),
    }));
    return { status: 200 as const, body: answer.body as Body };
  };
