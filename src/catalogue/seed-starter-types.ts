import type { Database } from '../db/database.ts';
import { transaction } from '../db/transaction.ts';
import { type CertificateTypeDefinition, checkDefinition } from './certificate-type.ts';
import { addTypeVersion, type RegisterDeps } from './register-certificate-type.ts';

/** How many types got a new version, and how many said the same already. */
export interface Seeded {
  readonly added: number;
  readonly unchanged: number;
}

/**
 * Registers the given types, all or none; those whose newest version says the same stay as they are, so that it can be run again.
 * For the operator's command line and the demo: no client calls, so there is no idempotency key. Their departments must be
 * registered before anybody can issue.
 * @throws Refusal as `checkDefinition` does.
 */
export async function seedStarterTypes(
  deps: RegisterDeps & { readonly db: Pick<Database, 'kysely'> },
  { types, at }: { readonly types: readonly CertificateTypeDefinition[]; readonly at: Date },
): Promise<Seeded> {
  for (const type of types) checkDefinition(type);
  return transaction(deps.db, async (trx) => {
    let added = 0;
    for (const definition of types) {
      if ((await addTypeVersion(trx, deps, { definition, at })) !== undefined) added++;
    }
    return { added, unchanged: types.length - added };
  });
}
