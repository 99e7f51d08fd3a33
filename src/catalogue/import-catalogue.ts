import { createHash } from 'node:crypto';
import type { Transaction } from 'kysely';
import { bump, hold } from '../db/fresh.ts';
import type { Tables } from '../db/tables.ts';
import type { Write, WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import type { Call } from '../ids.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import { type CatalogueFile, type FileMatter, type FileType, noteOf } from './catalogue-file.ts';
import { type CertificateType, checkDefinition, isRetired } from './certificate-type.ts';
import { type ChangeCatalogueDeps, holdCatalogue, type Standing } from './change-type.ts';
import type { MatterBasis } from './check-matter-definition.ts';
import { judgeFile, saysAlready } from './judge-catalogue-file.ts';
import { insertNextMatter } from './matter-store.ts';
import { mattersTopic } from './matters.ts';
import { insertNextVersion } from './store.ts';

export type Outcome = 'added' | 'changed' | 'unchanged' | 'retired';

/** What an import did, or would do, to everything in the file, in its order. */
export interface Imported {
  readonly dryRun: boolean;
  readonly types: readonly {
    readonly certificateTypeCode: string;
    readonly outcome: Outcome;
    readonly version: number;
  }[];
  readonly matters: readonly { readonly matterCode: string; readonly outcome: Outcome; readonly version: number }[];
}

export interface ImportDeps extends ChangeCatalogueDeps {
  /** Which departments there are, and what day it is. */
  readonly basis: (at: Date) => Promise<Pick<MatterBasis, 'isDepartment' | 'today' | 'at'>>;
}

/**
 * Brings a catalogue file in, all of it or nothing, judged as the whole that it leads to: every type by itself, every matter against the
 * types as they will be, those that are not in the file too, and what grants name.
 * @throws Refusal with a pointer into the file: `catalogue_invalid` (a code twice), `department_unknown`, what `checkDefinition` and
 * `checkMatterDefinition` throw, `matter_circular`; `change_breaks` for what is not in the file.
 */
export function importCatalogue(
  deps: ImportDeps & { readonly write: Write },
  input: {
    readonly call: Call;
    readonly idempotencyKey: string;
    readonly file: CatalogueFile;
    readonly dryRun: boolean;
  },
): Promise<WriteAnswer> {
  const { call, idempotencyKey, file, dryRun } = input;
  return deps.write(
    { caller: call.caller, operation: 'importCatalogue', idempotencyKey, content: { file, dryRun } },
    {
      prepare: async () => {
        const basis = await deps.basis(call.at);
        checkFile(file, basis);
        return basis;
      },
      apply: async (trx, basis) => ({
        status: 200,
        body: await bringIn(trx, deps, { file, dryRun, basis, at: call.at, call }),
      }),
    },
  );
}

/** What can be said of a file without the catalogue that it goes into. Refuses as `importCatalogue` does. */
export function checkFile({ types, matters }: CatalogueFile, basis: Pick<MatterBasis, 'isDepartment'>): void {
  distinct(
    types.map(({ definition }) => definition.certificateTypeCode),
    (i) => `/types/${i}/definition/certificateTypeCode`,
  );
  distinct(
    matters.map(({ definition }) => definition.matterCode),
    (i) => `/matters/${i}/definition/matterCode`,
  );
  for (const [i, { definition }] of types.entries()) {
    const at = `/types/${i}/definition`;
    try {
      checkDefinition(definition);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      throw new Refusal(error.code, { ...error.detail, pointer: `${at}${String(error.detail['pointer'])}` });
    }
    const unknown = (code: string): boolean => !basis.isDepartment(code);
    if (unknown(definition.ownerDepartmentCode)) {
      throw new Refusal('department_unknown', { pointer: `${at}/ownerDepartmentCode` });
    }
    const issuer = definition.allowedIssuers.findIndex(({ departmentCode }) => unknown(departmentCode));
    if (issuer >= 0)
      throw new Refusal('department_unknown', { pointer: `${at}/allowedIssuers/${issuer}/departmentCode` });
  }
}

function distinct(codes: readonly string[], pointerOf: (i: number) => string): void {
  const again = codes.findIndex((code, i) => codes.indexOf(code) < i);
  if (again >= 0) throw new Refusal('catalogue_invalid', { pointer: pointerOf(again), rule: 'code_repeated' });
}

/** Brings a checked file in and records it. The catalogue is held before anything is judged. */
export async function bringIn(
  trx: Transaction<Tables>,
  deps: ImportDeps,
  input: {
    readonly file: CatalogueFile;
    readonly dryRun: boolean;
    readonly basis: Pick<MatterBasis, 'isDepartment' | 'today' | 'at'>;
    readonly at: Date;
    readonly call?: Call;
  },
): Promise<Imported> {
  const { file, dryRun, basis, at, call } = input;
  const standing = await holdCatalogue(trx, deps);
  await bump(trx, mattersTopic);
  await hold(trx, 'grants');
  await judgeFile({ file, standing, basis, grantsOf: (code) => deps.grantsNaming(trx, code, at) });
  const imported = dryRun ? foretell(file, standing) : await write(trx, deps, { file, standing, at });
  const isChange = [...imported.types, ...imported.matters].some(({ outcome }) => outcome !== 'unchanged');
  await deps.recordIn(trx, {
    kind: 'registry',
    action: 'importCatalogue',
    outcome: 'done',
    ...(call === undefined ? {} : { caller: call.caller }),
    requestId: call?.requestId ?? 'certhub',
    at,
    detail: {
      ...imported,
      fileSha256: createHash('sha256')
        .update(canonicalJson(JSON.parse(JSON.stringify(file))))
        .digest('base64url'),
      ...((dryRun || !isChange) && { unchanged: true }),
    },
  });
  return imported;
}

/** What an entry becomes, given the newest version there and the one that was added for it. */
function outcomeOf<T extends { readonly version: number; readonly note?: { readonly state?: 'retired' } }>(
  { state }: FileType | FileMatter,
  before: T | undefined,
  isAdded: boolean,
): Outcome {
  if (!isAdded) return 'unchanged';
  if (before === undefined) return 'added';
  return state === 'retired' && !isRetired(before) ? 'retired' : 'changed';
}

const told = (code: string, outcome: Outcome, version: number) => ({ certificateTypeCode: code, outcome, version });
const toldMatter = (matterCode: string, outcome: Outcome, version: number) => ({ matterCode, outcome, version });

async function write(
  trx: Transaction<Tables>,
  { keys }: ImportDeps,
  { file, standing, at }: { readonly file: CatalogueFile; readonly standing: Standing; readonly at: Date },
): Promise<Imported> {
  const types: Imported['types'][number][] = [];
  for (const entry of file.types) {
    const { definition } = entry;
    const { certificateTypeCode: code } = definition;
    const before = standing.types.get(code);
    const added = await insertNextVersion(trx, keys, { definition, note: noteOf(entry), at });
    types.push(told(code, outcomeOf(entry, before, added !== undefined), (added ?? before)?.version ?? 1));
  }
  const matters: Imported['matters'][number][] = [];
  for (const entry of file.matters) {
    const { definition } = entry;
    const before = standing.matters.find(({ matterCode }) => matterCode === definition.matterCode);
    const { migrationNote: _none, ...note } = noteOf(entry);
    const added = await insertNextMatter(trx, keys, { definition, note, at });
    const outcome = outcomeOf(entry, before, added !== undefined);
    matters.push(toldMatter(definition.matterCode, outcome, (added ?? before)?.version ?? 1));
  }
  return { dryRun: false, types, matters };
}

/** What `write` would answer. */
function foretell(file: CatalogueFile, { types, matters }: Standing): Imported {
  const next = (before: { readonly version: number } | undefined, isNew: boolean): number =>
    (before?.version ?? 0) + (isNew ? 1 : 0);
  return {
    dryRun: true,
    types: file.types.map((entry) => {
      const before: CertificateType | undefined = types.get(entry.definition.certificateTypeCode);
      const isNew = !saysAlready(entry, before);
      return told(entry.definition.certificateTypeCode, outcomeOf(entry, before, isNew), next(before, isNew));
    }),
    matters: file.matters.map((entry) => {
      const before = matters.find(({ matterCode }) => matterCode === entry.definition.matterCode);
      const isNew = !saysAlready(entry, before);
      return toldMatter(entry.definition.matterCode, outcomeOf(entry, before, isNew), next(before, isNew));
    }),
  };
}
