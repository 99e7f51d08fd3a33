import type { FreshView } from '../db/fresh.ts';
import { Refusal } from '../errors.ts';
import type { Caller, Role } from '../ids.ts';
import type { Client } from './client.ts';
import { findClient } from './client-store.ts';
import type { Registry } from './registry.ts';
import type { ReadRegistryDeps } from './row.ts';
import { findDepartment } from './store.ts';

/** What a verified access token says. */
export interface VerifiedToken {
  readonly clientId: string;
  /** The client key that signed the assertion: the token dies with it. */
  readonly keyId: string;
  /** Roles the token is limited to; all of the client's when absent. */
  readonly roles?: readonly Role[];
}

export interface AuthenticateDeps extends ReadRegistryDeps {
  /**
   * Verifies the token in an `Authorization` header: scheme, shape, signature, type, issuer, audience, times.
   * Throws Refusal `token_missing`, `token_invalid`, `token_expired`.
   */
  readonly verifyAuthorization: (authorization: string | undefined) => Promise<VerifiedToken>;
  readonly registry: FreshView<Registry>;
}

/** From the `Authorization` header to who calls. */
export type Authenticate = (authorization: string | undefined) => Promise<Caller>;

/**
 * Makes the function that tells who calls: a good token is not enough, its client, key and department must be in force now
 * (invariant 2). Throws Refusal `token_missing`, `token_invalid`, `token_expired`, `client_disabled`, and `database_unavailable`
 * when the registry is older than promised: nobody is let in on what may be revoked by now.
 */
export function authenticator(deps: AuthenticateDeps): Authenticate {
  return async (authorization) => {
    const token = await deps.verifyAuthorization(authorization);
    const view = await deps.registry.read();
    const known = view.clients.get(token.clientId);
    const isInView = known?.keys.some(({ kid }) => kid === token.keyId) === true;
    const client = isInView ? known : await findClient(deps.db.kysely, deps, token.clientId);
    // The token is the hub's own, so what it names was registered: perhaps after the view was last read, a moment ago.
    const isDepartmentKnown =
      client !== undefined &&
      (view.departments.has(client.department) ||
        (await findDepartment(deps.db.kysely, deps, client.department)) !== undefined);
    if (!isDepartmentKnown) throw new Refusal('client_disabled');
    return callerOf(client, token);
  };
}

/** The caller, if client and key are in force. No clock is asked: what is revoked is revoked, whatever the time here. */
function callerOf(client: Client, token: VerifiedToken): Caller {
  if (client.disabledAt !== null) throw new Refusal('client_disabled');
  const key = client.keys.find(({ kid }) => kid === token.keyId);
  if (key === undefined || key.revokedAt !== null) throw new Refusal('token_invalid', { reason: 'key_revoked' });
  const { roles } = token;
  return {
    clientId: client.id,
    department: client.department,
    roles: roles === undefined ? client.roles : client.roles.filter((role) => roles.includes(role)),
    keyId: key.kid,
  };
}
