import type { JsonWebKey } from 'node:crypto';
import type { components } from '../http/contract.gen.ts';
import type { Handlers } from '../http/handlers.ts';
import type { Call, Caller } from '../ids.ts';
import { addClientKey } from './add-client-key.ts';
import { type ClientBody, clientBody } from './client.ts';
import type { IsExampleKey } from './client-key.ts';
import { type DepartmentBody, departmentBody } from './department.ts';
import { getClient } from './get-client.ts';
import { type IssueTokenDeps, issueToken } from './issue-token.ts';
import { listClients } from './list-clients.ts';
import { listDepartments } from './list-departments.ts';
import { listSealX509 } from './list-seal-x509.ts';
import { registerClient } from './register-client.ts';
import { registerDepartment } from './register-department.ts';
import { registerSealX509 } from './register-seal-x509.ts';
import { registerTrustRoot } from './register-trust-root.ts';
import type { ChangeDeps } from './registry-change.ts';
import { revokeClientKey } from './revoke-client-key.ts';
import { revokeSealX509 } from './revoke-seal-x509.ts';
import { setClientState } from './set-client-state.ts';
import { type SealX509Body, sealX509Body, type TrustRootBody } from './trust.ts';

export interface DepartmentsDeps extends ChangeDeps, IssueTokenDeps {
  readonly isExampleKey: IsExampleKey;
  /** Public keys of the hub, retired ones included, with `kid`, `use` and `alg`. */
  readonly hubJwks: () => readonly JsonWebKey[];
}

type Operation =
  | 'getAuthorizationServerMetadata'
  | 'getHubKeys'
  | 'issueToken'
  | 'listDepartments'
  | 'registerDepartment'
  | 'listSealX509'
  | 'registerSealX509'
  | 'revokeSealX509'
  | 'registerTrustRoot'
  | 'listClients'
  | 'registerClient'
  | 'getClient'
  | 'setClientState'
  | 'addClientKey'
  | 'revokeClientKey';

const defaultLimit = 50;

interface ChangingRequest {
  readonly caller: Caller;
  readonly requestId: string;
  readonly receivedAt: Date;
  readonly headers: { readonly 'idempotency-key': string };
}

const changeOf = (request: ChangingRequest): { call: Call; idempotencyKey: string } => ({
  call: { caller: request.caller, requestId: request.requestId, at: request.receivedAt },
  idempotencyKey: request.headers['idempotency-key'],
});

type WriteAnswer = Awaited<ReturnType<typeof registerDepartment>>;

/** A write's answer is stored and replayed as JSON: its shape is what the use case gave the first time. */
const created = <B>({ body }: WriteAnswer): { status: 201; body: B } => ({ status: 201, body: body as B });
const changed = <B>({ body }: WriteAnswer): { status: 200; body: B } => ({ status: 200, body: body as B });

type HubJwk = components['schemas']['HubJwk'];
const hubJwkMembers = ['crv', 'x', 'y', 'n', 'e'] as const;

/** The public members and nothing else, whatever was handed in. */
function hubJwk(jwk: JsonWebKey): HubJwk {
  const { kty, kid, alg } = jwk as { kty: HubJwk['kty']; kid: string; alg: string };
  const shown: HubJwk = { kty, kid, use: 'sig', alg };
  for (const name of hubJwkMembers) {
    const value = jwk[name];
    if (value !== undefined) shown[name] = value;
  }
  return shown;
}

/** Contract ↔ domain for tokens, departments, clients and seal certificates. */
export function departmentsHandlers(deps: DepartmentsDeps): Pick<Handlers, Operation> {
  const { issuer } = deps;
  return {
    getAuthorizationServerMetadata: async () => ({
      status: 200,
      body: {
        issuer,
        token_endpoint: `${issuer}/oauth/token`,
        jwks_uri: `${issuer}/.well-known/jwks.json`,
        grant_types_supported: ['client_credentials'],
        token_endpoint_auth_methods_supported: ['private_key_jwt'],
        token_endpoint_auth_signing_alg_values_supported: ['ES256', 'EdDSA'],
        response_types_supported: [],
      },
    }),
    getHubKeys: async () => ({ status: 200, body: { keys: deps.hubJwks().map(hubJwk) } }),
    issueToken: async ({ body, requestId, receivedAt }) => {
      const token = await issueToken(deps, {
        grantType: body.grant_type,
        clientAssertionType: body.client_assertion_type,
        clientAssertion: body.client_assertion,
        clientId: body.client_id,
        requestId,
        at: receivedAt,
      });
      return {
        status: 200,
        headers: { 'cache-control': 'no-store' },
        body: {
          access_token: token.accessToken,
          token_type: 'Bearer',
          expires_in: token.expiresIn,
          scope: token.roles.join(' '),
        },
      };
    },

    listDepartments: async ({ query }) => {
      const { items, next } = await listDepartments(deps, { after: query.after, limit: query.limit ?? defaultLimit });
      return { status: 200, body: { items: items.map(departmentBody), ...(next !== undefined && { next }) } };
    },
    registerDepartment: async (request) =>
      created<DepartmentBody>(await registerDepartment(deps, { ...request.body, ...changeOf(request) })),

    listSealX509: async ({ params }) => {
      const items = await listSealX509(deps, params);
      return { status: 200, body: { items: items.map(sealX509Body) } };
    },
    registerSealX509: async (request) => {
      const { chain, validFrom, validUntil } = request.body;
      const answer = await registerSealX509(deps, {
        ...changeOf(request),
        ...request.params,
        chain,
        validFrom: validFrom === undefined ? undefined : new Date(validFrom),
        validUntil: validUntil === undefined ? undefined : new Date(validUntil),
      });
      return created<SealX509Body>(answer);
    },
    revokeSealX509: async (request) =>
      changed<SealX509Body>(await revokeSealX509(deps, { ...request.body, ...request.params, ...changeOf(request) })),
    registerTrustRoot: async (request) =>
      created<TrustRootBody>(await registerTrustRoot(deps, { ...request.body, ...changeOf(request) })),

    listClients: async ({ query }) => {
      const { items, next } = await listClients(deps, { after: query.after, limit: query.limit ?? defaultLimit });
      return { status: 200, body: { items: items.map(clientBody), ...(next !== undefined && { next }) } };
    },
    registerClient: async (request) =>
      created<ClientBody>(await registerClient(deps, { ...request.body, ...changeOf(request) })),
    getClient: async ({ params }) => ({ status: 200, body: clientBody(await getClient(deps, params)) }),
    setClientState: async (request) =>
      changed<ClientBody>(await setClientState(deps, { ...request.body, ...request.params, ...changeOf(request) })),
    addClientKey: async (request) =>
      created<ClientBody>(await addClientKey(deps, { ...request.body, ...request.params, ...changeOf(request) })),
    revokeClientKey: async (request) =>
      changed<ClientBody>(await revokeClientKey(deps, { ...request.body, ...request.params, ...changeOf(request) })),
  };
}
