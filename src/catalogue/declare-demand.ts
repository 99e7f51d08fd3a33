import type { RecordIn } from '../audit/record.ts';
import { bump } from '../db/fresh.ts';
import type { Write, WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import { type Call, newId, type Officer } from '../ids.ts';
import { isCertificateTypeCode, isUscc } from '../verification/identifiers.ts';
import type { CatalogueView } from './catalogue.ts';
import { isSameDemand, judgeDemand } from './demand.ts';
import { type DeclaredDemand, type DemandStoreDeps, demandsTopic, insertDemand, readDemands } from './demand-store.ts';
import { indexTypes, itemKey, type WantedCertificate } from './match-demand.ts';
import { type ShownDemand, showDemand } from './shown-demand.ts';

export interface WriteDemandDeps extends DemandStoreDeps {
  readonly write: Write;
  readonly recordIn: RecordIn;
  readonly catalogue: CatalogueView;
  readonly isDepartment: (departmentCode: string) => Promise<boolean>;
  /** When an answer that is awaited from that moment is late. */
  readonly dueAfter: (at: Date) => Date;
  /** The city's day of a moment. */
  readonly day: (at: Date) => string;
}

/** What a department declares for itself. */
export interface DeclaredNeed extends WantedCertificate {
  readonly matters: readonly string[];
  readonly legalGround: string;
  readonly expectedPerDay?: number;
  readonly officer: Officer;
}

/**
 * Puts a demand of the caller's department on the list. Whether the catalogue has it is no condition: what is missing is a supply gap.
 * Refuses `invalid_certificate_type_code`, `invalid_uscc`, `department_unknown`, `demand_invalid` (an item named twice) and
 * `demand_exists` while the department has an open demand for the same from the same issuer and for the same matters.
 */
export async function declareDemand(
  deps: WriteDemandDeps,
  { officer, ...need }: DeclaredNeed,
  call: Call & { readonly idempotencyKey: string },
  present: (shown: ShownDemand) => WriteAnswer,
): Promise<WriteAnswer> {
  const { caller, idempotencyKey, requestId, at } = call;
  const content = { ...need, officer };
  return deps.write(
    { caller, operation: 'declareDemand', idempotencyKey, content },
    {
      prepare: async () => {
        await check(deps, need);
        return indexTypes((await deps.catalogue.read()).types);
      },
      apply: async (trx, index) => {
        const { clientId, department: departmentCode, keyId } = caller;
        const { issuerDepartmentCode } = need;
        const demand: DeclaredDemand = {
          ...need,
          demandId: newId(),
          origin: 'declared',
          departmentCode,
          clientId,
          createdAt: at,
          dueAt: deps.dueAfter(at),
          history: [
            {
              step: 'declared',
              at,
              departmentCode,
              clientId,
              ...(issuerDepartmentCode !== undefined && { issuerDepartmentCode }),
            },
          ],
        };
        // Held first: of two at once the second finds what the first declared.
        await bump(trx, demandsTopic);
        const said = (await readDemands(trx, deps)).find((each) => isSameDemand(each, demand));
        if (said !== undefined) throw new Refusal('demand_exists', { demandId: said.demandId });
        await insertDemand(trx, deps, demand);
        await deps.recordIn(trx, {
          kind: 'registry',
          action: 'declareDemand',
          outcome: 'done',
          caller: { clientId, department: departmentCode, keyId },
          officer,
          requestId,
          at,
          detail: { demandId: demand.demandId, ...need },
        });
        return present(showDemand(judgeDemand(demand, index), index, { at, today: deps.day(at) }));
      },
    },
  );
}

async function check(
  { isDepartment }: Pick<WriteDemandDeps, 'isDepartment'>,
  { certificateTypeCode, issuerDepartmentCode, fields }: Omit<DeclaredNeed, 'officer'>,
): Promise<void> {
  if (certificateTypeCode !== undefined && !isCertificateTypeCode(certificateTypeCode)) {
    throw new Refusal('invalid_certificate_type_code', { pointer: '/certificateTypeCode' });
  }
  if (issuerDepartmentCode !== undefined) await mustBeDepartment({ isDepartment }, issuerDepartmentCode);
  const seen = new Set<string>();
  for (const [index, item] of fields.entries()) {
    const key = item.fieldName ?? itemKey(item.name);
    if (seen.has(key)) throw new Refusal('demand_invalid', { pointer: `/fields/${index}`, rule: 'item_repeated' });
    seen.add(key);
  }
}

/** Refuses `invalid_uscc` and `department_unknown` for the department named in a request as the one that should issue. */
export async function mustBeDepartment(
  { isDepartment }: Pick<WriteDemandDeps, 'isDepartment'>,
  departmentCode: string,
): Promise<void> {
  const pointer = '/issuerDepartmentCode';
  if (!isUscc(departmentCode)) throw new Refusal('invalid_uscc', { pointer });
  if (!(await isDepartment(departmentCode))) throw new Refusal('department_unknown', { pointer });
}
