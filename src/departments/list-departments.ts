import type { Department } from './department.ts';
import type { Page, PageOf, ReadRegistryDeps } from './row.ts';
import { pageDepartments } from './store.ts';

/** The registered departments in order of their codes, as the database holds them now. */
export async function listDepartments(deps: ReadRegistryDeps, page: PageOf): Promise<Page<Department>> {
  return pageDepartments(deps.db.kysely, deps, page);
}
