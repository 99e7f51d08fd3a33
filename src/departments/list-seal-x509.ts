import { Refusal } from '../errors.ts';
import { checkDepartmentCode } from './department.ts';
import type { ReadRegistryDeps } from './row.ts';
import { findDepartment } from './store.ts';
import type { SealX509 } from './trust.ts';
import { listSealRows } from './trust-store.ts';

/**
 * The seal certificates (X.509) of a department, withdrawn ones included, oldest first.
 * @throws Refusal `invalid_uscc`, `department_unknown`
 */
export async function listSealX509(
  deps: ReadRegistryDeps,
  { departmentCode }: { readonly departmentCode: string },
): Promise<readonly SealX509[]> {
  const code = checkDepartmentCode(departmentCode);
  const handle = deps.db.kysely;
  if ((await findDepartment(handle, deps, code)) === undefined) throw new Refusal('department_unknown');
  return listSealRows(handle, deps, code);
}
