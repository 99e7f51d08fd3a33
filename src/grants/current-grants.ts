import type { Freshness, FreshView } from '../db/fresh.ts';
import type { Grant } from './grant.ts';
import { loadGrants, type RowMacs } from './store.ts';

export interface GrantsSnapshot {
  readonly byClient: ReadonlyMap<string, readonly Grant[]>;
  /** In order of their ids. */
  readonly all: readonly Grant[];
}

/** All grants in memory, never older than a second. */
export type CurrentGrants = FreshView<GrantsSnapshot>;

export interface CurrentGrantsDeps {
  readonly freshness: Freshness;
  readonly keys: RowMacs;
  /** Told of every row that was written past the hub; such a row permits nothing. */
  readonly tampered: (table: string, id: string) => void;
}

export function watchGrants({ freshness, keys, tampered }: CurrentGrantsDeps): CurrentGrants {
  return freshness.watch('grants', async (snapshot) => {
    const loaded = await loadGrants(snapshot, keys);
    for (const id of loaded.tampered) tampered('grants', id);
    const byClient = new Map<string, Grant[]>();
    for (const grant of loaded.grants) {
      const known = byClient.get(grant.clientId);
      if (known === undefined) byClient.set(grant.clientId, [grant]);
      else known.push(grant);
    }
    return { byClient, all: loaded.grants };
  });
}

/** The grants of one client, whatever their state. */
export const grantsOf = async (current: CurrentGrants, clientId: string): Promise<readonly Grant[]> =>
  (await current.read()).byClient.get(clientId) ?? [];
