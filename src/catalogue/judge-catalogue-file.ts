import { Refusal } from '../errors.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import { type CatalogueFile, type FileMatter, type FileType, noteOf } from './catalogue-file.ts';
import { type CertificateType, definitionOf, isRetired, type NotedType } from './certificate-type.ts';
import type { Standing } from './change-type.ts';
import { type MatterBasis, matterFaults } from './check-matter-definition.ts';
import { becomesCircular } from './circular.ts';
import { typesNamedIn } from './material-name.ts';
import { type Matter, type MatterDefinition, matterDefinitionOf } from './matter.ts';
import { grantBreaks, matterBreaks, type NamingGrant } from './type-breaks.ts';

/** Whether the newest version says what the entry says: definition, and whether it is retired. */
export function saysAlready(entry: FileType | FileMatter, before: CertificateType | Matter | undefined): boolean {
  if (before === undefined || isRetired(before) !== (entry.state === 'retired')) return false;
  const said = 'matterCode' in before ? matterDefinitionOf(before) : definitionOf(before);
  return canonicalJson(plain(said)) === canonicalJson(plain(entry.definition));
}

const plain = (value: object) => JSON.parse(JSON.stringify(value)) as Parameters<typeof canonicalJson>[0];

interface Judged {
  readonly file: CatalogueFile;
  readonly standing: Standing;
  readonly basis: Pick<MatterBasis, 'isDepartment' | 'today' | 'at'>;
  readonly grantsOf: (certificateTypeCode: string) => Promise<readonly NamingGrant[]>;
}

/**
 * Judges the whole that a file leads to. What the file brings has to be sound; what is there and not in it, or says the same in it, must
 * not become unsound by it. No matter asks on paper for what the catalogue had a type of before.
 * @throws Refusal what `checkMatterDefinition` throws, `matter_circular`, `change_breaks`
 */
export async function judgeFile({ file, standing, basis, grantsOf }: Judged): Promise<void> {
  const types = new Map<string, NotedType>(standing.types);
  for (const entry of file.types) {
    types.set(entry.definition.certificateTypeCode, { ...entry.definition, note: noteOf(entry) });
  }
  const after = (code: string): NotedType | undefined => types.get(code);
  // A type may have come later than a matter that asks for it on paper: who exported both can import them.
  const typesNamed = typesNamedIn([...standing.types.keys()].flatMap((code) => after(code) ?? []));
  const before = new Map(standing.matters.map((matter) => [matter.matterCode, matter]));
  const brought = new Map(
    file.matters.flatMap((entry, i) => {
      const code = entry.definition.matterCode;
      return saysAlready(entry, before.get(code)) ? [] : [[code, { entry, pointer: `/matters/${i}/definition` }]];
    }),
  );
  for (const { entry, pointer } of brought.values()) {
    for (const { code, detail } of matterFaults(entry.definition, { ...basis, findType: after, typesNamed })) {
      // What is retired demands nothing, but it has a department.
      if (entry.state === 'retired' && detail['pointer'] !== '/departmentCode') continue;
      throw new Refusal(code, { ...detail, pointer: `${pointer}${String(detail['pointer'])}` });
    }
  }
  const live = standing.matters.filter((matter) => !isRetired(matter));
  const staying = live.filter(({ matterCode }) => !brought.has(matterCode));
  const { today, at } = basis;
  const matters = matterBreaks(staying, { before: (code) => standing.types.get(code), after, today, at });
  if (matters.length > 0) throw new Refusal('change_breaks', { matters });
  const coming = [...brought.values()].flatMap(({ entry }) => (entry.state === 'retired' ? [] : entry.definition));
  refuseCircular(live, [...coming, ...staying], (code) => brought.get(code)?.pointer);
  await refuseBrokenGrants(file, standing, grantsOf);
}

function refuseCircular(
  before: readonly MatterDefinition[],
  after: readonly MatterDefinition[],
  pointerOf: (matterCode: string) => string | undefined,
): void {
  const circular = becomesCircular(before, after);
  if (circular === undefined) return;
  const { matterCode, requirement, certificateTypeCodes, matterCodes } = circular;
  const pointer = pointerOf(matterCode);
  throw new Refusal('matter_circular', {
    ...(pointer !== undefined && { pointer: `${pointer}/requirements/${requirement}` }),
    matterCode,
    certificateTypeCodes,
    matterCodes,
  });
}

async function refuseBrokenGrants(
  file: CatalogueFile,
  { types }: Standing,
  grantsOf: Judged['grantsOf'],
): Promise<void> {
  const broken: object[] = [];
  for (const { definition, migrationNote } of file.types) {
    const { certificateTypeCode } = definition;
    const from = types.get(certificateTypeCode);
    if (from === undefined || migrationNote !== undefined) continue;
    const grants = grantBreaks(from, definition, await grantsOf(certificateTypeCode));
    broken.push(...grants.map((grant) => ({ certificateTypeCode, ...grant })));
  }
  if (broken.length > 0) throw new Refusal('change_breaks', { grants: broken });
}
