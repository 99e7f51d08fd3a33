import type { MatterDefinition, MatterRequirement } from './matter.ts';

/** A requirement that could be met before a change and cannot be met after it. */
export interface Circular {
  readonly matterCode: string;
  /** Where it stands among the matter's requirements. */
  readonly requirement: number;
  /** The certificate types it asks for that cannot be obtained, in order. */
  readonly certificateTypeCodes: readonly string[];
  /** The matters that wait for each other: this one and those that issue what it waits for, in order; at most twenty. */
  readonly matterCodes: readonly string[];
}

const mostNamed = 20;

/**
 * The certificate types that nobody can ever obtain: they are only issued at the end of matters, and each of these matters demands
 * one of them first (循环证明). A type that no matter issues is obtained elsewhere. What may be declared or brought on paper holds
 * nobody up; what may follow later still has to be obtained.
 */
export function unobtainable(matters: readonly MatterDefinition[]): ReadonlySet<string> {
  const missing = new Set<string>(matters.flatMap(({ produces = [] }) => produces));
  let open = matters.filter(({ produces = [] }) => produces.length > 0);
  // Each round finds what can be had with what was had before, until a round finds nothing: the least fixed point.
  for (;;) {
    const finished = open.filter(({ requirements }) => requirements.every((each) => canBeMet(each, missing)));
    if (finished.length === 0) return missing;
    for (const { produces = [] } of finished) for (const code of produces) missing.delete(code);
    const done = new Set(finished);
    open = open.filter((matter) => !done.has(matter));
  }
}

const canBeMet = (
  { alternatives = [], paper, declaration }: MatterRequirement,
  missing: ReadonlySet<string>,
): boolean =>
  paper !== undefined ||
  declaration !== undefined ||
  alternatives.some((list) => list.every(({ certificateTypeCode }) => !missing.has(certificateTypeCode)));

/**
 * What going from some matters to others makes impossible: the first requirement of `after`, in its order, that could be met with what
 * was obtainable before and cannot be met afterwards. Undefined when there is none.
 */
export function becomesCircular(
  before: readonly MatterDefinition[],
  after: readonly MatterDefinition[],
): Circular | undefined {
  const [had, misses] = [unobtainable(before), unobtainable(after)];
  for (const { matterCode, requirements } of after) {
    const requirement = requirements.findIndex((each) => canBeMet(each, had) && !canBeMet(each, misses));
    const found = requirements[requirement];
    if (found !== undefined) {
      const certificateTypeCodes = missingOf(found, misses);
      const others = waitedFor(after, certificateTypeCodes, misses);
      const matterCodes = [matterCode, ...[...others].filter((code) => code !== matterCode)];
      return { matterCode, requirement, certificateTypeCodes, matterCodes: matterCodes.slice(0, mostNamed).toSorted() };
    }
  }
  return undefined;
}

const missingOf = ({ alternatives = [] }: MatterRequirement, missing: ReadonlySet<string>): readonly string[] =>
  [...new Set<string>(alternatives.flat().map(({ certificateTypeCode }) => certificateTypeCode))]
    .filter((code) => missing.has(code))
    .toSorted();

/** The matters that issue the certificates, then those that issue what these wait for, and so on: the nearest first. */
function waitedFor(
  matters: readonly MatterDefinition[],
  certificateTypeCodes: readonly string[],
  missing: ReadonlySet<string>,
): ReadonlySet<string> {
  const found = new Set<string>();
  const asked = new Set(certificateTypeCodes);
  // A set is walked in the order in which it grows.
  for (const code of asked) {
    for (const { matterCode, requirements, produces = [] } of matters) {
      if (!produces.some((each) => each === code)) continue;
      found.add(matterCode);
      const stuck = requirements.filter((each) => !canBeMet(each, missing));
      for (const next of stuck.flatMap((each) => missingOf(each, missing))) asked.add(next);
    }
  }
  return found;
}

/** What putting `definition` in place of the newest version of its matter makes impossible, its own requirements first. */
export const findCircular = (
  registered: readonly MatterDefinition[],
  definition: MatterDefinition,
): Circular | undefined =>
  becomesCircular(registered, [
    definition,
    ...registered.filter(({ matterCode }) => matterCode !== definition.matterCode),
  ]);
