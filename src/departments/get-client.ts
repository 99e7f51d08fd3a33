import { Refusal } from '../errors.ts';
import type { Client } from './client.ts';
import { findClient } from './client-store.ts';
import type { ReadRegistryDeps } from './row.ts';

/**
 * One client with keys and state, as the database holds it now.
 * @throws Refusal `client_unknown`
 */
export async function getClient(deps: ReadRegistryDeps, { clientId }: { readonly clientId: string }): Promise<Client> {
  const client = await findClient(deps.db.kysely, deps, clientId);
  if (client === undefined) throw new Refusal('client_unknown');
  return client;
}
