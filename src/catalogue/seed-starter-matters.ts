import type { Database } from '../db/database.ts';
import { transaction } from '../db/transaction.ts';
import { checkMatterDefinition, type MatterBasis } from './check-matter-definition.ts';
import type { MatterDefinition } from './matter.ts';
import { type AddMatterDeps, addMatterVersion } from './register-matter.ts';
import type { Seeded } from './seed-starter-types.ts';

/**
 * Registers the given matters, all or none; those whose newest version says the same stay as they are, so that it can be run again.
 * For the demo: no client calls, so there is no idempotency key. Departments and certificate types come first.
 * @throws Refusal as `registerMatter` does.
 */
export async function seedStarterMatters(
  deps: AddMatterDeps & { readonly db: Pick<Database, 'kysely'> },
  input: { readonly matters: readonly MatterDefinition[]; readonly basis: MatterBasis; readonly at: Date },
): Promise<Seeded> {
  const { matters, basis, at } = input;
  for (const matter of matters) checkMatterDefinition(matter, basis);
  return transaction(deps.db, async (trx) => {
    let added = 0;
    for (const definition of matters) {
      if ((await addMatterVersion(trx, deps, { definition, at })) !== undefined) added++;
    }
    return { added, unchanged: matters.length - added };
  });
}
