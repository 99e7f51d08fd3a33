import type { Client } from './client.ts';
import { pageClients } from './client-store.ts';
import type { Page, PageOf, ReadRegistryDeps } from './row.ts';

/** The registered clients with keys and states in order of their names, as the database holds them now. */
export async function listClients(deps: ReadRegistryDeps, page: PageOf): Promise<Page<Client>> {
  return pageClients(deps.db.kysely, deps, page);
}
