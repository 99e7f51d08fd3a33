import type { WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import type { Call } from '../ids.ts';
import { isRetired } from './certificate-type.ts';
import { becomesCircular } from './circular.ts';
import { type Matter, matterDefinitionOf } from './matter.ts';
import { insertNextMatter } from './matter-store.ts';
import { holdMatters, mayHandle, type RegisterMatterDeps } from './register-matter.ts';

/**
 * Retires a matter: it is not checked and demands nothing any more. A version of its own with the same definition. Clients of the
 * department that handles it may, and administrators.
 * @throws Refusal `matter_unknown`, `wrong_department`, `matter_retired` when it is already, `matter_circular` when it is the only way to
 * a certificate that another matter both requires and issues.
 */
export function retireMatter(
  deps: Omit<RegisterMatterDeps, 'basis'>,
  input: { readonly call: Call; readonly idempotencyKey: string; readonly matterCode: string; readonly reason: string },
  present: (matter: Matter) => WriteAnswer,
): Promise<WriteAnswer> {
  const { call, idempotencyKey, matterCode, reason } = input;
  const { caller, at } = call;
  const pointer = '/matterCode';
  return deps.write(
    { caller, operation: 'retireMatter', idempotencyKey, content: { matterCode, reason } },
    {
      apply: async (trx) => {
        const { matters } = await holdMatters(trx, deps);
        const newest = matters.find((matter) => matter.matterCode === matterCode);
        if (newest === undefined) throw new Refusal('matter_unknown', { pointer });
        if (!mayHandle(caller, newest)) throw new Refusal('wrong_department', { pointer });
        if (isRetired(newest)) throw new Refusal('matter_retired', { pointer });
        const live = matters.filter((matter) => !isRetired(matter));
        const circular = becomesCircular(
          live,
          live.filter((matter) => matter !== newest),
        );
        if (circular !== undefined) {
          const { matterCode: stuck, certificateTypeCodes, matterCodes } = circular;
          throw new Refusal('matter_circular', { pointer, matterCode: stuck, certificateTypeCodes, matterCodes });
        }
        const definition = matterDefinitionOf(newest);
        const matter = await insertNextMatter(trx, deps.keys, { definition, note: { state: 'retired', reason }, at });
        if (matter === undefined) throw new Refusal('matter_retired', { pointer });
        await deps.recordIn(trx, {
          kind: 'registry',
          action: 'retireMatter',
          outcome: 'done',
          caller,
          requestId: call.requestId,
          at,
          detail: { matterCode, version: matter.version, departmentCode: matter.departmentCode, reason },
        });
        return present(matter);
      },
    },
  );
}
