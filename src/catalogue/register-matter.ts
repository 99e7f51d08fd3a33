import { createHash } from 'node:crypto';
import type { Transaction } from 'kysely';
import type { RecordIn } from '../audit/record.ts';
import { bump } from '../db/fresh.ts';
import type { Tables } from '../db/tables.ts';
import type { Write, WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import type { Call, Caller } from '../ids.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import { checkMatterDefinition, type MatterBasis } from './check-matter-definition.ts';
import { findCircular } from './circular.ts';
import type { Matter, MatterDefinition } from './matter.ts';
import { insertNextMatter, readMatters } from './matter-store.ts';
import { mattersTopic } from './matters.ts';
import type { RowMacs, Tampered } from './store.ts';

/** What adding a matter needs. */
export interface AddMatterDeps {
  readonly keys: RowMacs;
  readonly recordIn: RecordIn;
  readonly tampered: Tampered;
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
        checkMatterDefinition(definition, await deps.basis(call.at));
      },
      apply: async (trx) => {
        const matter = await addMatterVersion(trx, deps, { definition, at: call.at, call });
        if (matter === undefined) throw new Refusal('matter_exists', { pointer: '/matterCode' });
        return present(matter);
      },
    },
  );
}

const mayHandle = ({ roles, department }: Caller, { departmentCode }: MatterDefinition): boolean =>
  roles.includes('admin') || department === departmentCode;

/**
 * Adds a checked definition as the next version, tells every process, and records it. Undefined when nothing is new. One at a time:
 * of two matters that demand each other's certificate, the second one is refused however close together they come.
 * @throws Refusal `wrong_department` when the caller may not change the matter as it is, `matter_circular`.
 */
export async function addMatterVersion(
  trx: Transaction<Tables>,
  { keys, recordIn, tampered }: AddMatterDeps,
  input: { readonly definition: MatterDefinition; readonly at: Date; readonly call?: Call },
): Promise<Matter | undefined> {
  const { definition, at, call } = input;
  const { matterCode, departmentCode } = definition;
  // First: it holds the topic until the transaction ends, so that what is read next is what this matter comes to.
  await bump(trx, mattersTopic);
  const registered = await readMatters(trx, { keys, tampered });
  const newest = registered.find((matter) => matter.matterCode === matterCode);
  if (newest !== undefined && call !== undefined && !mayHandle(call.caller, newest)) {
    throw new Refusal('wrong_department', { pointer: '/matterCode' });
  }
  const matter = await insertNextMatter(trx, keys, { definition, at });
  if (matter === undefined) return undefined;
  const circular = findCircular(registered, definition);
  if (circular !== undefined) {
    const { matterCode: stuck, requirement, certificateTypeCodes } = circular;
    const isOwn = stuck === matterCode;
    throw new Refusal('matter_circular', {
      pointer: isOwn ? `/requirements/${requirement}` : '/produces',
      ...(!isOwn && { matterCode: stuck }),
      certificateTypeCodes,
    });
  }
  await recordIn(trx, {
    kind: 'registry',
    action: 'registerMatter',
    outcome: 'done',
    ...(call === undefined ? {} : { caller: call.caller }),
    requestId: call?.requestId ?? 'certhub',
    at,
    detail: {
      matterCode,
      version: matter.version,
      departmentCode,
      definitionSha256: createHash('sha256').update(canonicalJson(definition)).digest('base64url'),
    },
  });
  return matter;
}
