import type { RegistryNow } from '../audit/fsck/fsck-registry.ts';
import { readDemands } from '../catalogue/demand-store.ts';
import { checkDrafts } from '../catalogue/draft-store.ts';
import { readMatters } from '../catalogue/matter-store.ts';
import { readTypes } from '../catalogue/store.ts';
import type { Database } from '../db/database.ts';
import { transaction } from '../db/transaction.ts';
import { allClients } from '../departments/client-store.ts';
import { allDepartments } from '../departments/store.ts';
import { listRootRows, listSealRows } from '../departments/trust-store.ts';
import { checkApplications } from '../grants/application-store.ts';
import { loadGrants } from '../grants/store.ts';
import type { Keys } from '../signing/key-store.ts';
import { checkFeedback } from '../supervision/feedback-store.ts';
import { checkPaperDemands } from '../supervision/paper-demand-store.ts';

/** The registry for the self-check, read by the folders that own it, in one snapshot; rows in force alone, and those the hub did not write. */
export async function readRegistryNow(db: Database, keys: Keys): Promise<RegistryNow> {
  const tampered: { table: string; row: string }[] = [];
  const deps = { keys, tampered: (table: string, row: string) => void tampered.push({ table, row }) };
  return transaction(
    db,
    async (trx) => {
      await allDepartments(trx, deps);
      await listRootRows(trx, deps);
      const types = await readTypes(trx, deps);
      const matters = await readMatters(trx, deps);
      await readDemands(trx, deps);
      await checkDrafts(trx, deps);
      const clients = await allClients(trx, deps);
      const seals = await listSealRows(trx, deps);
      const { grants, tampered: wrongGrants } = await loadGrants(trx, keys);
      for (const row of wrongGrants) tampered.push({ table: 'grants', row });
      // In ascending order of versions: the newest one stays.
      const versions = new Map(types.map(({ type }) => [type.certificateTypeCode as string, type.version]));
      const reached = {
        certificate_types: versions,
        matters: new Map(matters.map(({ matterCode, version }) => [matterCode, version])),
        grants: new Map(grants.map(({ grantId }) => [grantId as string, 1])),
        grant_applications: await checkApplications(trx, deps),
        feedback: await checkFeedback(trx, deps),
        paper_demands: await checkPaperDemands(trx, deps),
      };
      return {
        tampered,
        reached,
        inForce: [
          ...clients.flatMap(({ id, disabledAt }) =>
            disabledAt === null ? [{ table: 'clients' as const, row: id }] : [],
          ),
          ...clients.flatMap(({ id, keys: own }) =>
            own.flatMap(({ kid, revokedAt }) =>
              revokedAt === null ? [{ table: 'client_keys' as const, row: `${id}/${kid}` }] : [],
            ),
          ),
          ...seals.flatMap(({ sha256, revokedAt }) =>
            revokedAt === null ? [{ table: 'seal_x509' as const, row: sha256 }] : [],
          ),
          ...grants.flatMap(({ grantId, revokedAt }) =>
            revokedAt === undefined ? [{ table: 'grants' as const, row: grantId }] : [],
          ),
          ...grants.flatMap(({ grantId, revokedAt, suspendedAt }) =>
            revokedAt === undefined && suspendedAt === undefined
              ? [{ table: 'grants' as const, row: grantId, what: 'suspension' as const }]
              : [],
          ),
        ],
      };
    },
    { isolation: 'repeatable read', readOnly: true },
  );
}
