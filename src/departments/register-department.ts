import type { WriteAnswer } from '../db/write.ts';
import { type Bilingual, checkDepartmentCode, departmentBody } from './department.ts';
import { departmentsTopic } from './registry.ts';
import { type ChangeDeps, type ChangeRequest, changeRegistry } from './registry-change.ts';
import { insertDepartment } from './store.ts';

export interface DepartmentRegistration extends ChangeRequest {
  readonly departmentCode: string;
  readonly name: Bilingual;
}

/**
 * Registers an authority under its USCC. Answers 201 with the department.
 * @throws Refusal `invalid_uscc`, `department_exists`
 */
export async function registerDepartment(deps: ChangeDeps, input: DepartmentRegistration): Promise<WriteAnswer> {
  const name = { zh: input.name.zh, en: input.name.en };
  const department = { code: checkDepartmentCode(input.departmentCode), name, createdAt: input.call.at };
  const content = { departmentCode: department.code, name };
  return changeRegistry(deps, input, {
    action: 'registerDepartment',
    topic: departmentsTopic,
    content,
    detail: content,
    apply: async (trx) => {
      await insertDepartment(trx, deps.keys, department);
      return { status: 201, body: departmentBody(department) };
    },
  });
}
