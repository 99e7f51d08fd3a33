import type { MatterRequirement } from '../catalogue/matter.ts';
import {
  type Finding,
  isMet,
  judgeRequirement,
  type MaterialFinding,
  onPaper,
  type Reason,
  satisfiedBy,
} from './matter-finding.ts';

/** Looks up materials of one check: each holder, type and set of fields once. */
export interface Gather<Asked> {
  /** Why the caller's grants do not reach the material; undefined when they do. Nobody is asked about. */
  lacking(asked: Asked): Reason | undefined;
  /** Looks the material up, under the caller's own purpose and with a record of its own. */
  look(asked: Asked): Promise<MaterialFinding>;
  /** The same, and whether its issuer has one that is not sealed yet where none serves. */
  settle(asked: Asked): Promise<MaterialFinding>;
}

/**
 * Finds out about one requirement with as few questions as it takes. First its lists in turn, each only as long as it can still satisfy;
 * where one does, no other is asked. Where none does, the rest is looked up too: who is told that something is missing is told all of it.
 */
export async function findOut<Asked>(
  gather: Gather<Asked>,
  {
    requirement,
    lists,
    date,
  }: {
    readonly requirement: MatterRequirement;
    readonly lists: readonly (readonly Asked[])[];
    readonly date: string;
  },
): Promise<Finding> {
  if (requirement.paper !== undefined) return onPaper(requirement, date);
  for (const [i, list] of lists.entries()) {
    const found = await allMet(gather, list);
    if (found !== undefined) return satisfiedBy(requirement, i, found);
  }
  const settled = await Promise.all(
    lists.map((list) =>
      Promise.all(
        list.map(async (asked): Promise<MaterialFinding> => {
          const reason = gather.lacking(asked);
          return reason === undefined ? gather.settle(asked) : { reason };
        }),
      ),
    ),
  );
  return judgeRequirement(requirement, settled, date);
}

/** The findings of a list all of which is there; undefined as soon as something is not. */
async function allMet<Asked>(
  gather: Gather<Asked>,
  list: readonly Asked[],
): Promise<readonly MaterialFinding[] | undefined> {
  // What no grant reaches is not there, whatever the others say: none of them is asked about yet.
  if (list.some((asked) => gather.lacking(asked) !== undefined)) return undefined;
  const found: MaterialFinding[] = [];
  for (const asked of list) {
    const finding = await gather.look(asked);
    if (!isMet(finding)) return undefined;
    found.push(finding);
  }
  return found;
}
