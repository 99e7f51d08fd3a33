import { canonicalJson } from '../verification/canonical-json.ts';
import { type CertificateTypeDefinition, grantableFields } from './certificate-type.ts';
import { type MatterBasis, matterFaults } from './check-matter-definition.ts';
import { type MatterDefinition, typesNamed } from './matter.ts';

/** A grant that still counts or will: in force, suspended or yet to begin. */
export interface NamingGrant {
  readonly grantId: string;
  readonly clientId: string;
  readonly fields: readonly string[];
}

/** A requirement that would not be sound any more: where in which matter, and which rule it would break. */
export interface MatterBreak {
  readonly matterCode: string;
  readonly pointer: string;
  readonly rule: string;
}

/** What a change takes from whom. */
export interface TypeBreaks {
  readonly matters: readonly MatterBreak[];
  /** `fields`: those that disappear, or do not mean any more what they meant when the grant was decided. */
  readonly grants: readonly NamingGrant[];
}

type FindType = MatterBasis['findType'];

/**
 * Faults that matters would have with the types as they will be and do not have with the types as they are. A matter that was unsound
 * already stands in nobody's way for that; nor does one that says it produces what its department may not issue, or will not.
 */
export function matterBreaks(
  matters: readonly MatterDefinition[],
  {
    before,
    after,
    ...when
  }: { readonly before: FindType; readonly after: FindType } & Pick<MatterBasis, 'today' | 'at'>,
): readonly MatterBreak[] {
  const touched = matters.filter((matter) => typesNamed(matter).some((code) => before(code) !== after(code)));
  return touched.flatMap((matter) => {
    // Which departments there are is the same before and after; and a type may be published that a matter still asks for on paper.
    const same = { ...when, isDepartment: () => true, typesNamed: () => [] };
    const faultsWith = (findType: FindType): MatterBreak[] =>
      [...matterFaults(matter, { findType, ...same })].map(({ code, detail }) => ({
        matterCode: matter.matterCode,
        pointer: String(detail['pointer']),
        rule: typeof detail['rule'] === 'string' ? detail['rule'] : code,
      }));
    const had = faultsWith(before);
    const known = new Set(had.map(({ pointer, rule }) => `${pointer} ${rule}`));
    const notItsOwn = new Set(had.filter(isNotItsOwn).map(({ pointer }) => pointer));
    return faultsWith(after).filter(
      (fault) => !known.has(`${fault.pointer} ${fault.rule}`) && !notItsOwn.has(fault.pointer) && !isNotItsOwn(fault),
    );
  });
}

const isNotItsOwn = ({ rule }: MatterBreak): boolean => rule === 'not_an_issuer';

/**
 * Grants that would permit something else than was decided: a field they name disappears, has another schema, appears anew under the
 * name, or is said of other holders.
 */
export function grantBreaks(
  from: CertificateTypeDefinition,
  to: CertificateTypeDefinition,
  grants: readonly NamingGrant[],
): readonly NamingGrant[] {
  const [old, next] = [schemasOf(from), schemasOf(to)];
  const isOther = from.holderKind !== to.holderKind;
  return grants.flatMap(({ grantId, clientId, fields }) => {
    const broken = fields.filter((name) => old.get(name) !== next.get(name) || (isOther && old.has(name)));
    return broken.length === 0 ? [] : [{ grantId, clientId, fields: broken }];
  });
}

const schemasOf = (type: CertificateTypeDefinition): ReadonlyMap<string, string> =>
  new Map(grantableFields(type).map(({ name, schema }) => [name, canonicalJson(schema)]));
