import { createHash } from 'node:crypto';
import type { Transaction } from 'kysely';
import type { RecordIn } from '../audit/record.ts';
import { bump } from '../db/fresh.ts';
import type { Tables } from '../db/tables.ts';
import type { Write, WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import type { Call } from '../ids.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import { type CertificateType, type CertificateTypeDefinition, checkDefinition } from './certificate-type.ts';
import { insertNextVersion, type RowMacs } from './store.ts';
import { typeBody } from './type-body.ts';

/** What adding a type to the catalogue needs. */
export interface RegisterDeps {
  readonly keys: Pick<RowMacs, 'rowMac'>;
  readonly recordIn: RecordIn;
}

/**
 * Registers a certificate type, or the next version of one whose code exists: certificates keep the version they were pushed under.
 * @throws Refusal `certificate_type_invalid`, `invalid_uscc`, `invalid_certificate_type_code`, `department_unknown`,
 * `certificate_type_exists` when the newest version says the same already.
 */
export function registerCertificateType(
  deps: RegisterDeps & { readonly write: Write; readonly isDepartment: (code: string) => Promise<boolean> },
  input: { readonly call: Call; readonly idempotencyKey: string; readonly definition: CertificateTypeDefinition },
): Promise<WriteAnswer> {
  const { call, idempotencyKey, definition } = input;
  return deps.write(
    { caller: call.caller, operation: 'registerCertificateType', idempotencyKey, content: definition },
    {
      prepare: async () => {
        checkDefinition(definition);
        await checkDepartments(deps.isDepartment, definition);
      },
      apply: async (trx) => {
        const type = await addTypeVersion(trx, deps, { definition, at: call.at, call });
        if (type === undefined) throw new Refusal('certificate_type_exists', { pointer: '/certificateTypeCode' });
        return { status: 201, body: typeBody(type) };
      },
    },
  );
}

async function checkDepartments(
  isDepartment: (code: string) => Promise<boolean>,
  { ownerDepartmentCode, allowedIssuers }: CertificateTypeDefinition,
): Promise<void> {
  if (!(await isDepartment(ownerDepartmentCode))) {
    throw new Refusal('department_unknown', { pointer: '/ownerDepartmentCode' });
  }
  for (const [index, { departmentCode }] of allowedIssuers.entries()) {
    if (!(await isDepartment(departmentCode))) {
      throw new Refusal('department_unknown', { pointer: `/allowedIssuers/${index}/departmentCode` });
    }
  }
}

/** Adds a checked definition as the next version, tells every process, and records it. Undefined when nothing is new. */
export async function addTypeVersion(
  trx: Transaction<Tables>,
  { keys, recordIn }: RegisterDeps,
  input: { readonly definition: CertificateTypeDefinition; readonly at: Date; readonly call?: Call },
): Promise<CertificateType | undefined> {
  const { definition, at, call } = input;
  const type = await insertNextVersion(trx, keys, { definition, at });
  if (type === undefined) return undefined;
  await bump(trx, 'catalogue');
  await recordIn(trx, {
    kind: 'registry',
    action: 'registerCertificateType',
    outcome: 'done',
    ...(call === undefined ? {} : { caller: call.caller }),
    requestId: call?.requestId ?? 'certhub',
    at,
    detail: {
      certificateTypeCode: type.certificateTypeCode,
      version: type.version,
      definitionSha256: createHash('sha256').update(canonicalJson(definition)).digest('base64url'),
    },
  });
  return type;
}
