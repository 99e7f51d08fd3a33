import type { Database } from '../db/database.ts';
import { transaction } from '../db/transaction.ts';
import type { MatterBasis } from './check-matter-definition.ts';
import type { MatterDefinition } from './matter.ts';
import { type AddMatterDeps, addMatterVersion, holdMatters } from './register-matter.ts';
import type { Seeded } from './seed-starter-types.ts';

/**
 * Registers the given matters, all or none; a code that is there already stays as it is, so that this can be run again. For the
 * operator's command line and the demo: no client calls, so there is no idempotency key. Departments and certificate types come first.
 * @throws Refusal as `registerMatter` does.
 */
export function seedStarterMatters(
  deps: AddMatterDeps & { readonly db: Pick<Database, 'kysely'> },
  input: { readonly matters: readonly MatterDefinition[]; readonly basis: MatterBasis; readonly at: Date },
): Promise<Seeded> {
  const { matters, basis, at } = input;
  return transaction(deps.db, async (trx) => {
    const known = new Set((await holdMatters(trx, deps)).matters.map(({ matterCode }) => matterCode));
    const added = matters.filter(({ matterCode }) => !known.has(matterCode));
    for (const definition of added) await addMatterVersion(trx, deps, { definition, basis, at });
    return { added: added.length, unchanged: matters.length - added.length };
  });
}
