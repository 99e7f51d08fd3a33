import type { Freshness, FreshView } from '../db/fresh.ts';
import type { Client } from './client.ts';
import { allClients } from './client-store.ts';
import type { Department } from './department.ts';
import type { ReadDeps } from './row.ts';
import { allDepartments } from './store.ts';
import type { SealX509, TrustRoot } from './trust.ts';
import { listRootRows, listSealRows } from './trust-store.ts';

/** Who may call us: a snapshot, only rows that the hub itself wrote. */
export interface Registry {
  readonly departments: ReadonlyMap<string, Department>;
  readonly clients: ReadonlyMap<string, Client>;
}

/** Whose seals count: a snapshot, only rows that the hub itself wrote. */
export interface Trust {
  readonly roots: readonly TrustRoot[];
  /** By the SHA-256 of the leaf, lower-case hex. */
  readonly seals: ReadonlyMap<string, SealX509>;
}

/** Topics of `registry_versions` that this folder bumps. */
export const departmentsTopic = 'departments';
export const trustTopic = 'trust';

/**
 * The registry in memory, never older than the freshness promises (invariant 2). Rows whose MAC is wrong are left out and
 * reported at every load: a row inserted or changed by SQL alone gives nobody access.
 */
export function watchRegistry(deps: ReadDeps & { readonly freshness: Pick<Freshness, 'watch'> }): FreshView<Registry> {
  return deps.freshness.watch(departmentsTopic, async (snapshot) => {
    const departments = await allDepartments(snapshot, deps);
    const clients = await allClients(snapshot, deps);
    return {
      departments: new Map(departments.map((department) => [department.code, department])),
      clients: new Map(clients.map((client) => [client.id, client])),
    };
  });
}

/** Roots and seal certificates in memory, as fresh and as strict as `watchRegistry`. */
export function watchTrust(deps: ReadDeps & { readonly freshness: Pick<Freshness, 'watch'> }): FreshView<Trust> {
  return deps.freshness.watch(trustTopic, async (snapshot) => {
    const roots = await listRootRows(snapshot, deps);
    const seals = await listSealRows(snapshot, deps);
    return { roots, seals: new Map(seals.map((seal) => [seal.sha256, seal])) };
  });
}
