import type { WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import type { Call } from '../ids.ts';
import { isCertificateTypeCode } from '../verification/identifiers.ts';
import { definitionOf, isRetired } from './certificate-type.ts';
import { changeType, holdCatalogue } from './change-type.ts';
import type { ChangeTypeDeps } from './register-certificate-type.ts';
import { typeBody } from './type-body.ts';

/**
 * Retires a type: nothing new is issued, granted or applied for under it, what was sealed stays. A version of its own with the same
 * definition. Grantors of the owner department may, and administrators.
 * @throws Refusal `invalid_certificate_type_code`, `certificate_type_unknown`, `wrong_department`, `certificate_type_retired` when it is
 * already, `change_breaks` while a matter requires or produces it.
 */
export function retireCertificateType(
  deps: Omit<ChangeTypeDeps, 'isDepartment'>,
  input: {
    readonly call: Call;
    readonly idempotencyKey: string;
    readonly certificateTypeCode: string;
    readonly reason: string;
  },
): Promise<WriteAnswer> {
  const { call, idempotencyKey, certificateTypeCode: code, reason } = input;
  const { caller, at } = call;
  const pointer = '/certificateTypeCode';
  return deps.write(
    { caller, operation: 'retireCertificateType', idempotencyKey, content: { code, reason } },
    {
      apply: async (trx) => {
        if (!isCertificateTypeCode(code)) throw new Refusal('invalid_certificate_type_code', { pointer });
        const standing = await holdCatalogue(trx, deps);
        const type = standing.types.get(code);
        if (type === undefined) throw new Refusal('certificate_type_unknown', { pointer });
        if (!caller.roles.includes('admin') && caller.department !== type.ownerDepartmentCode) {
          throw new Refusal('wrong_department', { pointer });
        }
        if (isRetired(type)) throw new Refusal('certificate_type_retired', { pointer });
        const next = { definition: definitionOf(type), note: { state: 'retired' as const, reason } };
        const action = 'retireCertificateType';
        const retired = await changeType(trx, deps, { standing, next, at, action, call, detail: { reason } });
        if (retired === undefined) throw new Refusal('certificate_type_retired', { pointer });
        return { status: 200, body: typeBody(retired, standing.matters) };
      },
    },
  );
}
