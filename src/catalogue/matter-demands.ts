import { grantableFields, isRetired } from './certificate-type.ts';
import type { Demand } from './demand.ts';
import type { TypeIndex } from './match-demand.ts';
import { fieldsOf, type Matter, type MatterRequirement, typesRequired } from './matter.ts';

const longestGround = 500;

/**
 * What the registered matters ask for: of each matter and certificate type one demand of the department that handles it, with every
 * field that some alternative reads; of a retired matter nothing. Derived from the newest versions, kept nowhere.
 */
export const matterDemands = (matters: readonly Matter[], index: TypeIndex): Demand[] =>
  matters
    .filter((matter) => !isRetired(matter))
    .flatMap((matter) => typesRequired(matter).map((code) => demandOf(matter, code, index)));

function demandOf(matter: Matter, certificateTypeCode: string, { byCode }: TypeIndex): Demand {
  const { matterCode, departmentCode, requirements } = matter;
  const asking = requirements.filter((requirement) => materialsOf(requirement, certificateTypeCode).length > 0);
  const names = new Set(asking.flatMap((each) => materialsOf(each, certificateTypeCode).flatMap(fieldsOf)));
  const type = byCode.get(certificateTypeCode);
  const labels = new Map((type === undefined ? [] : grantableFields(type)).map(({ name, label }) => [name, label]));
  const legalGround = [...new Set(asking.map((each) => each.legalGround.zh))].join('；');
  return {
    demandId: `matter:${matterCode}:${certificateTypeCode}`,
    origin: 'matter',
    departmentCode,
    name: type?.name ?? asking[0]?.name ?? matter.name,
    certificateTypeCode,
    fields: [...names].map((fieldName) => ({
      name: labels.get(fieldName) ?? { zh: fieldName, en: fieldName },
      fieldName,
    })),
    matters: [matterCode],
    // Longer ones could not be applied with; they stand in the matter.
    ...(legalGround.length <= longestGround && { legalGround }),
    history: [],
  };
}

const materialsOf = ({ alternatives = [] }: MatterRequirement, certificateTypeCode: string) =>
  alternatives.flat().filter((material) => material.certificateTypeCode === certificateTypeCode);
