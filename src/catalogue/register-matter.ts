import type { Transaction } from 'kysely';
import type { RecordIn } from '../audit/record.ts';
import { bump, hold } from '../db/fresh.ts';
import type { Tables } from '../db/tables.ts';
import type { Write, WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import type { Call, Caller } from '../ids.ts';
import { isRetired } from './certificate-type.ts';
import { type ReadDeps, readStanding, type Standing, sha256Of } from './change-type.ts';
import { checkMatterDefinition, type MatterBasis } from './check-matter-definition.ts';
import { findCircular } from './circular.ts';
import { typesNamedIn } from './material-name.ts';
import type { Matter, MatterDefinition } from './matter.ts';
import { insertNextMatter } from './matter-store.ts';
import { mattersTopic } from './matters.ts';

/** What adding a matter needs. */
export interface AddMatterDeps extends ReadDeps {
  readonly recordIn: RecordIn;
}

export interface RegisterMatterDeps extends AddMatterDeps {
  readonly write: Write;
  /** On what a matter is judged at that moment. */
  readonly basis: (at: Date) => Promise<MatterBasis>;
}

/**
 * Registers a matter, or the next version of one whose code exists. Clients of the department that handles it may, and administrators;
 * a matter goes to another department by an administrator alone.
 * @throws Refusal `wrong_department`, `matter_exists` when the newest version says the same already, `matter_circular`, and what
 * `checkMatterDefinition` throws.
 */
export function registerMatter(
  deps: RegisterMatterDeps,
  input: { readonly call: Call; readonly idempotencyKey: string; readonly definition: MatterDefinition },
  present: (matter: Matter) => WriteAnswer,
): Promise<WriteAnswer> {
  const { call, idempotencyKey, definition } = input;
  return deps.write(
    { caller: call.caller, operation: 'registerMatter', idempotencyKey, content: definition },
    {
      prepare: async () => {
        if (!mayHandle(call.caller, definition)) {
          throw new Refusal('wrong_department', { pointer: '/departmentCode' });
        }
        const basis = await deps.basis(call.at);
        checkMatterDefinition(definition, basis);
        return basis;
      },
      apply: async (trx, basis) => {
        const matter = await addMatterVersion(trx, deps, { definition, basis, at: call.at, call });
        if (matter === undefined) throw new Refusal('matter_exists', { pointer: '/matterCode' });
        return present(matter);
      },
    },
  );
}

/** Whether the caller answers for the matter. */
export const mayHandle = ({ roles, department }: Caller, { departmentCode }: MatterDefinition): boolean =>
  roles.includes('admin') || department === departmentCode;

/**
 * Holds types and matters until the transaction ends, and reads them: what is decided on them is what this change comes to. Types are
 * held without being changed: a publication waits.
 */
export async function holdMatters(trx: Transaction<Tables>, deps: ReadDeps): Promise<Standing> {
  await hold(trx, 'catalogue');
  await bump(trx, mattersTopic);
  return readStanding(trx, deps);
}

/**
 * Adds a checked definition as the next version, tells every process, and records it. Undefined when nothing is new. One at a time:
 * of two matters that demand each other's certificate, the second one is refused however close together they come. It is checked again
 * on the types that the transaction sees: one of them may have changed since.
 * @throws Refusal `wrong_department` when the caller may not change the matter as it is, `matter_circular`, and what
 * `checkMatterDefinition` throws.
 */
export async function addMatterVersion(
  trx: Transaction<Tables>,
  deps: AddMatterDeps,
  input: {
    readonly definition: MatterDefinition;
    readonly basis: MatterBasis;
    readonly at: Date;
    readonly call?: Call;
  },
): Promise<Matter | undefined> {
  const { definition, basis, at, call } = input;
  const { matterCode, departmentCode } = definition;
  const { types, matters } = await holdMatters(trx, deps);
  const newest = matters.find((matter) => matter.matterCode === matterCode);
  if (newest !== undefined && call !== undefined && !mayHandle(call.caller, newest)) {
    throw new Refusal('wrong_department', { pointer: '/matterCode' });
  }
  const typesNamed = typesNamedIn([...types.values()]);
  checkMatterDefinition(definition, { ...basis, findType: (code) => types.get(code), typesNamed });
  const matter = await insertNextMatter(trx, deps.keys, { definition, at });
  if (matter === undefined) return undefined;
  const circular = findCircular(
    matters.filter((each) => !isRetired(each)),
    definition,
  );
  if (circular !== undefined) {
    const { matterCode: stuck, requirement, certificateTypeCodes, matterCodes } = circular;
    const isOwn = stuck === matterCode;
    throw new Refusal('matter_circular', {
      pointer: isOwn ? `/requirements/${requirement}` : '/produces',
      ...(!isOwn && { matterCode: stuck }),
      certificateTypeCodes,
      matterCodes,
    });
  }
  await deps.recordIn(trx, {
    kind: 'registry',
    action: 'registerMatter',
    outcome: 'done',
    ...(call === undefined ? {} : { caller: call.caller }),
    requestId: call?.requestId ?? 'certhub',
    at,
    detail: { matterCode, version: matter.version, departmentCode, definitionSha256: sha256Of(definition) },
  });
  return matter;
}
