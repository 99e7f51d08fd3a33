import type { RecordIn } from '../audit/record.ts';
import type { Write, WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import { type Call, newId } from '../ids.ts';
import { checkHolder, isCertificateTypeCode, isUscc } from '../verification/identifiers.ts';
import type { GrantableType } from './grant.ts';
import { groupedCode, type HolderCodeScope, newHolderCode } from './holder-code.ts';
import { type HolderCode, insertHolderCode } from './holder-code-store.ts';
import type { TicketBox } from './ticket-store.ts';

export interface IssueHolderCodeDeps {
  readonly write: Write;
  readonly recordIn: RecordIn;
  readonly keys: { readonly box: TicketBox; holderKey(type: string, number: string): Buffer };
  readonly findType: (certificateTypeCode: string) => Promise<GrantableType | undefined>;
  readonly isDepartment: (code: string) => Promise<boolean>;
  /** Whether any certificate type has a field of this name. */
  readonly isField: (name: string) => Promise<boolean>;
}

/** What a portal asks a code for; shape checked by the contract, nothing else. */
export interface HolderCodeWish extends Omit<HolderCodeScope, 'holder'> {
  readonly holder: { readonly type: string; readonly number: string };
  readonly minutes?: number;
  /** How the portal knows who asks; in the record alone. */
  readonly statement: { readonly authenticatedBy: string; readonly sessionReference: string };
}

const usualMinutes = 15;

/**
 * Issues a one-time code for a holder whom the portal authenticated: who hears it and is of the department may issue one ticket for the
 * holder's own application. Refuses `invalid_id_number` and its like, `invalid_uscc`, `department_unknown`,
 * `invalid_certificate_type_code`, `certificate_type_unknown`, and `field_unknown` for a field that none of the named types has, or, without
 * any, none at all. Any matter code is taken, as in a purpose. A retry
 * under the same Idempotency-Key is told the same code: the stored answer is encrypted.
 */
export async function issueHolderCode(
  deps: IssueHolderCodeDeps,
  wish: HolderCodeWish,
  call: Call & { readonly idempotencyKey: string },
): Promise<WriteAnswer> {
  const { caller, idempotencyKey, requestId, at } = call;
  return deps.write(
    { caller, operation: 'issueHolderCode', idempotencyKey, content: wish },
    {
      prepare: async () => {
        const expiresAt = new Date(at.getTime() + (wish.minutes ?? usualMinutes) * 60_000);
        const scope = await checkedScope(deps, wish);
        const issued: HolderCode = { ...scope, codeId: newId(), portal: caller.clientId, expiresAt };
        return { issued, code: newHolderCode() };
      },
      apply: async (trx, { issued, code }) => {
        await insertHolderCode(trx, deps.keys.box, issued, code);
        const { codeId, holder, matterCode, departmentCode, certificateTypeCodes, fields } = issued;
        const expiresAt = issued.expiresAt.toISOString();
        // Of kind `registry`, as tickets are: nobody learned anything of the holder yet.
        await deps.recordIn(trx, {
          kind: 'registry',
          action: 'issueHolderCode',
          outcome: 'done',
          caller: { clientId: caller.clientId, department: caller.department, keyId: caller.keyId },
          subjects: [deps.keys.holderKey(holder.type, holder.number)],
          requestId,
          at,
          detail: {
            codeId,
            statement: wish.statement,
            matterCode,
            departmentCode,
            ...(certificateTypeCodes !== undefined && { certificateTypeCodes }),
            ...(fields !== undefined && { fields }),
            expiresAt,
          },
        });
        return { status: 201, body: { codeId, code: groupedCode(code), expiresAt } };
      },
    },
  );
}

async function checkedScope(
  deps: Pick<IssueHolderCodeDeps, 'findType' | 'isDepartment' | 'isField'>,
  { holder, matterCode, departmentCode, certificateTypeCodes, fields }: HolderCodeWish,
): Promise<HolderCodeScope> {
  const checked = checkHolder(holder);
  if (!checked.ok) {
    throw new Refusal(checked.code, {
      pointer: checked.code === 'invalid_holder_type' ? '/holder/type' : '/holder/number',
    });
  }
  if (!isUscc(departmentCode)) throw new Refusal('invalid_uscc', { pointer: '/departmentCode' });
  if (!(await deps.isDepartment(departmentCode)))
    throw new Refusal('department_unknown', { pointer: '/departmentCode' });
  await mustBeKnown(deps, certificateTypeCodes, fields);
  return {
    holder: checked.holder,
    matterCode,
    departmentCode,
    ...(certificateTypeCodes !== undefined && { certificateTypeCodes }),
    ...(fields !== undefined && { fields }),
  };
}

/** Fields are held against the named types; without any, against all: a code for a field that no type has can never be used. */
async function mustBeKnown(
  { findType, isField }: Pick<IssueHolderCodeDeps, 'findType' | 'isField'>,
  codes: HolderCodeScope['certificateTypeCodes'],
  fields: HolderCodeScope['fields'] = [],
): Promise<void> {
  const known: string[] = [];
  for (const [i, code] of (codes ?? []).entries()) {
    const pointer = `/certificateTypeCodes/${i}`;
    if (!isCertificateTypeCode(code)) throw new Refusal('invalid_certificate_type_code', { pointer });
    const type = await findType(code);
    if (type === undefined) throw new Refusal('certificate_type_unknown', { pointer });
    known.push(...type.fieldNames);
  }
  for (const [i, field] of fields.entries()) {
    const isKnown = codes === undefined ? await isField(field) : known.includes(field);
    if (!isKnown) throw new Refusal('field_unknown', { pointer: `/fields/${i}` });
  }
}
