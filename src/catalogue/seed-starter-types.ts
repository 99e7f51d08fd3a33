import type { Database } from '../db/database.ts';
import { bump } from '../db/fresh.ts';
import { transaction } from '../db/transaction.ts';
import { type CertificateTypeDefinition, checkDefinition } from './certificate-type.ts';
import { addType, type ChangeCatalogueDeps } from './change-type.ts';
import { knownTypeCodes } from './store.ts';

/** How many were added, and how many are there already. */
export interface Seeded {
  readonly added: number;
  readonly unchanged: number;
}

/**
 * Registers the given types, all or none; a code that is there already stays as it is, whatever its department made of it, so that this
 * can be run again. For the operator's command line and the demo: no client calls, so there is no idempotency key. Their departments
 * must be registered before anybody can issue.
 * @throws Refusal as `checkDefinition` does.
 */
export async function seedStarterTypes(
  deps: Pick<ChangeCatalogueDeps, 'keys' | 'recordIn'> & { readonly db: Pick<Database, 'kysely'> },
  { types, at }: { readonly types: readonly CertificateTypeDefinition[]; readonly at: Date },
): Promise<Seeded> {
  for (const type of types) checkDefinition(type);
  return transaction(deps.db, async (trx) => {
    await bump(trx, 'catalogue');
    const known = await knownTypeCodes(trx);
    const added = types.filter(({ certificateTypeCode }) => !known.has(certificateTypeCode));
    // What is new breaks nothing.
    for (const definition of added) {
      await addType(trx, deps, { next: { definition }, at, action: 'registerCertificateType' });
    }
    return { added: added.length, unchanged: types.length - added.length };
  });
}
