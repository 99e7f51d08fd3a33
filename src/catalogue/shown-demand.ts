import { type DemandStep, formerPromise, isLate, type JudgedDemand, standingAnswer } from './demand.ts';
import type { applicationOf, DemandPermission } from './demand-need.ts';
import { type Candidate, candidatesFor, type TypeIndex } from './match-demand.ts';

/** A demand as its reader sees it. */
export interface ShownDemand {
  readonly judged: JudgedDemand;
  readonly candidates: readonly Candidate[];
  readonly isOverdue: boolean;
  /** The one that stands. */
  readonly answer: DemandStep | undefined;
  /** The promise that it took the place of. */
  readonly replaces: DemandStep | undefined;
  /** What the caller may ask of it; only for consumers of the department that needs it. */
  readonly permission?: DemandPermission;
  /** What to apply for. */
  readonly apply?: ReturnType<typeof applicationOf>;
}

/** What is the same for everybody who sees it. */
export const showDemand = (
  judged: JudgedDemand,
  index: TypeIndex,
  { at, today }: { readonly at: Date; readonly today: string },
): ShownDemand => ({
  judged,
  candidates: candidatesFor(judged.demand, judged.match, index),
  isOverdue: isLate(judged, at, today),
  answer: standingAnswer(judged.demand, today),
  replaces: formerPromise(judged.demand),
});
