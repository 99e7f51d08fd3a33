import type { Write, WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import type { Call } from '../ids.ts';
import { type CertificateTypeDefinition, checkDefinition } from './certificate-type.ts';
import { type ChangeCatalogueDeps, changeType, holdCatalogue } from './change-type.ts';
import { typeBody } from './type-body.ts';

export type IsDepartment = (code: string) => Promise<boolean>;

/** What a client's change of the catalogue needs. */
export interface ChangeTypeDeps extends ChangeCatalogueDeps {
  readonly write: Write;
  readonly isDepartment: IsDepartment;
}

/**
 * Registers a certificate type, or the next version of one whose code exists: certificates keep the version they were pushed under.
 * @throws Refusal `certificate_type_invalid`, `invalid_uscc`, `invalid_certificate_type_code`, `department_unknown`,
 * `certificate_type_exists` when the newest version says the same already, `change_breaks`: what needs a migration note goes by draft.
 */
export function registerCertificateType(
  deps: ChangeTypeDeps,
  input: { readonly call: Call; readonly idempotencyKey: string; readonly definition: CertificateTypeDefinition },
): Promise<WriteAnswer> {
  const { call, idempotencyKey, definition } = input;
  const { at } = call;
  return deps.write(
    { caller: call.caller, operation: 'registerCertificateType', idempotencyKey, content: definition },
    {
      prepare: () => checkTypeDefinition(deps, definition),
      apply: async (trx) => {
        const standing = await holdCatalogue(trx, deps);
        const next = { definition };
        const type = await changeType(trx, deps, { standing, next, at, action: 'registerCertificateType', call });
        if (type === undefined) throw new Refusal('certificate_type_exists', { pointer: '/certificateTypeCode' });
        return { status: 201, body: typeBody(type, standing.matters) };
      },
    },
  );
}

/**
 * Checks a definition by itself, and that its departments are registered.
 * @throws Refusal as `checkDefinition` does, and `department_unknown`.
 */
export async function checkTypeDefinition(
  { isDepartment }: { readonly isDepartment: IsDepartment },
  definition: CertificateTypeDefinition,
): Promise<void> {
  checkDefinition(definition);
  const { ownerDepartmentCode, allowedIssuers } = definition;
  if (!(await isDepartment(ownerDepartmentCode))) {
    throw new Refusal('department_unknown', { pointer: '/ownerDepartmentCode' });
  }
  for (const [index, { departmentCode }] of allowedIssuers.entries()) {
    if (!(await isDepartment(departmentCode))) {
      throw new Refusal('department_unknown', { pointer: `/allowedIssuers/${index}/departmentCode` });
    }
  }
}
