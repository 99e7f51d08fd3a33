import { hash } from 'node:crypto';
import { type ErasedLeaf, exportKinds, type OpenedLeaf } from './audit-export.ts';
import { isJsonObject, type JsonObject, parseJsonStrictly } from './encoding.ts';

/** Acts of erasure in an export: which leaves refer to which act, and whether the file shows it and it is about them. */

/** The number of kind `erasure`. */
export const erasureKind = 5;

/** Acts kept in mind; more than any retention plan has. */
const maxActs = 100_000;
const maxListed = 100;
/** Of one act; two are needed. */
const maxApprovals = 20;
/** Longer texts are kept as their hash: a file can say anything, and nothing of it may fill the memory. */
const maxText = 100;
/** Clocks of the id and of the record tick apart. */
const slackMs = 60_000;

type Claim = {
  readonly line: number;
  /** The first leaf and the last. */
  readonly index: number;
  last: number;
  readonly recordId: string;
  leaves: number;
  /** Kinds of the erased records, one bit each. */
  kinds: bigint;
  /** Times of the erased records, milliseconds since 1970, as their ids say. */
  from: number;
  until: number;
};

/** The one record that an act says it erased. `leafIndex`: where it stands; the id alone is the hub's word once the body is gone. */
type OneRecord = { readonly recordId: string; readonly leafIndex: number | undefined };
/** The records that it says it erased: of these kinds (one bit each), made in this time (milliseconds since 1970). */
type MonthOfKinds = { readonly kinds: bigint; readonly from: number; readonly until: number };
/** A step of an erasure as its record shows it; what it hides is undefined. */
type Step = {
  /** Its own place in the log. */
  readonly index: number;
  readonly step: 'executed' | 'approved' | 'rejected' | 'other' | undefined;
  readonly erasureId: string | undefined;
  /** The text of the target, spelled canonically, or its hash. */
  readonly target: string | undefined;
  readonly clientId: string | undefined;
  readonly officerId: string | undefined;
  /** Of an execution: the records of its approvals; none when it names them otherwise than an execution does. */
  readonly approvals: readonly string[];
  readonly erased: OneRecord | MonthOfKinds | undefined;
};

export type Erasures = {
  readonly claimed: Map<string, Claim>;
  readonly steps: Map<string, Step>;
  /** There were more steps than are kept in mind: one of them may have been a rejection. */
  hasForgotten: boolean;
  /** Records that leaves name as acts and that are none. */
  readonly others: Set<string>;
  /** Leaves without an act. */
  readonly bare: number[];
};

/** Nothing noted yet. */
export const noErasures = (): Erasures => ({
  claimed: new Map(),
  steps: new Map(),
  hasForgotten: false,
  others: new Set(),
  bare: [],
});

/** Takes note of an erased leaf of this kind, in this line. */
export function noteErased({ claimed, bare }: Erasures, leaf: ErasedLeaf, kind: number, line: number): void {
  const { erasure, index, recordId } = leaf;
  if (erasure === null) {
    if (bare.length < maxListed) bare.push(index);
    return;
  }
  const time = timeOf(recordId);
  const known = claimed.get(erasure);
  if (known !== undefined) {
    known.leaves++;
    known.last = Math.max(known.last, index);
    known.kinds |= 1n << BigInt(kind);
    known.from = Math.min(known.from, time);
    known.until = Math.max(known.until, time);
  } else if (claimed.size < maxActs) {
    const one = { leaves: 1, kinds: 1n << BigInt(kind), from: time, until: time };
    claimed.set(erasure, { line, index, last: index, recordId, ...one });
  }
}

/** The time in a UUIDv7 (RFC 9562, 5.7). */
const timeOf = (recordId: string): number => Number.parseInt(recordId.replace('-', '').slice(0, 12), 16);

/** Takes note of an opened record of kind erasure. */
export function noteAct(erasures: Erasures, leaf: OpenedLeaf): void {
  if (erasures.steps.size < maxActs) erasures.steps.set(leaf.recordId, stepOf(leaf));
  else erasures.hasForgotten = true;
}

/** Takes note of an opened record of another kind: it may be one that a leaf names as its act. */
export function noteOther({ claimed, others }: Erasures, recordId: string): void {
  if (claimed.size > 0 && claimed.has(recordId)) others.add(recordId);
}

/** The steps that the record of an action can be. */
const stepsOf: Readonly<Record<string, readonly string[]>> = {
  executeErasure: ['executed'],
  approveErasure: ['approved', 'rejected'],
};

function stepOf({ index, fields }: OpenedLeaf): Step {
  const shown = (name: 'action' | 'client' | 'officer' | 'detail'): unknown => {
    const parsed = parseJsonStrictly(fields[name]?.canonical ?? '');
    return parsed.ok ? parsed.value : undefined;
  };
  const { erasureId, step, target, leafIndex, approvals } = membersOf(shown('detail'));
  const action = shown('action');
  const isKnown = fields.detail !== undefined && action !== undefined;
  // the action and the step must say the same
  const isStep = Object.entries(stepsOf).some(
    ([each, names]) => each === action && names.some((name) => name === step),
  );
  return {
    index,
    step: isKnown ? ((isStep ? step : 'other') as Step['step']) : undefined,
    erasureId: textOf(erasureId),
    target: isJsonObject(target) ? brief(JSON.stringify(target)) : undefined,
    clientId: textOf(membersOf(shown('client'))['clientId']),
    officerId: textOf(membersOf(shown('officer'))['id']),
    approvals: approvalsOf(approvals),
    erased: erasedBy(membersOf(target), leafIndex),
  };
}

const membersOf = (value: unknown): JsonObject => (isJsonObject(value) ? value : {});
const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? brief(value) : undefined);
// no text of a record has a NUL, so none can be taken for a hash
const brief = (text: string): string => (text.length <= maxText ? text : `\0${hash('sha256', text)}`);

function approvalsOf(value: unknown): string[] {
  const ids = Array.isArray(value) && value.length <= maxApprovals ? value : [];
  return ids.map(textOf).filter((each) => each !== undefined);
}

function erasedBy({ recordId, month, kinds }: JsonObject, leafIndex: unknown): OneRecord | MonthOfKinds | undefined {
  if (typeof recordId === 'string') {
    return { recordId: brief(recordId), leafIndex: typeof leafIndex === 'number' ? leafIndex : undefined };
  }
  if (typeof month !== 'string' || !/^\d{4}-(?:0[1-9]|1[0-2])$/.test(month)) return undefined;
  const begin = new Date(`${month}-01T00:00:00Z`);
  const end = new Date(begin);
  end.setUTCMonth(end.getUTCMonth() + 1);
  return { kinds: bitsOf(kinds), from: begin.getTime(), until: end.getTime() };
}

function bitsOf(names: unknown): bigint {
  const given = new Set(Array.isArray(names) ? names : []);
  return Object.entries(exportKinds).reduce(
    (bits, [kind, name]) => (given.has(name) ? bits | (1n << BigInt(kind)) : bits),
    0n,
  );
}

/** An erasure that the file does not show: `approvals` are those it rests on, where the act itself is shown. */
export type ErasureNotShown = {
  readonly index: number;
  readonly erasure: string | null;
  readonly approvals?: readonly string[];
};

/** What is to be said of the erased leaves when the whole file was read. */
export type ErasureReport = {
  /** Erased leaves whose act is shown with its approvals, and is about them. */
  readonly shown: number;
  /** Erased leaves for which the file does not show by what right; the first hundred. */
  readonly notShown: readonly ErasureNotShown[];
  /** Acts that are no acts, are about something else, or were not approved. */
  readonly wrong: readonly {
    readonly line: number;
    readonly index: number;
    readonly erasure: string;
    readonly code: 'erasure_wrong' | 'erasure_not_approved';
  }[];
};

/** Brings leaves, acts and approvals together. */
export function judgeErasures({ claimed, steps, hasForgotten, others, bare }: Erasures): ErasureReport {
  let shown = 0;
  const notShown: ErasureNotShown[] = bare.map((index) => ({ index, erasure: null }));
  const wrong: ErasureReport['wrong'][number][] = [];
  const rejected = new Set([...steps.values()].filter(({ step }) => step === 'rejected').map((each) => each.erasureId));
  for (const [erasure, claim] of claimed) {
    const { line, index, leaves } = claim;
    const act = steps.get(erasure);
    const verdict = others.has(erasure) ? 'erasure_wrong' : verdictOn(act, claim, steps, rejected);
    if (verdict === 'erasure_wrong' || verdict === 'erasure_not_approved')
      wrong.push({ line, index, erasure, code: verdict });
    else if (verdict === 'shown' && !hasForgotten) shown += leaves;
    else if (notShown.length < maxListed) {
      notShown.push({ index, erasure, ...(act?.step !== undefined && { approvals: act.approvals }) });
    }
  }
  return { shown, notShown, wrong };
}

type Verdict = 'shown' | 'not_shown' | 'erasure_wrong' | 'erasure_not_approved';

/** Of an act that is not in the file, or hides what it did, nothing can be said. */
function verdictOn(
  act: Step | undefined,
  claim: Claim,
  steps: ReadonlyMap<string, Step>,
  rejected: ReadonlySet<string | undefined>,
): Verdict {
  if (act?.step === undefined) return 'not_shown';
  return isAbout(act, claim) ? approval(act, steps, rejected) : 'erasure_wrong';
}

/** Two officers through two clients approved this erasure of this target before it, and nobody rejected it. */
function approval(act: Step, steps: ReadonlyMap<string, Step>, rejected: ReadonlySet<string | undefined>): Verdict {
  const { erasureId, target, index } = act;
  if (erasureId !== undefined && rejected.has(erasureId)) return 'erasure_not_approved';
  const approvals = [...new Set(act.approvals)].map((id) => steps.get(id));
  const whole = approvals.filter((each) => each !== undefined).filter(isWhole);
  const isAnother = (each: Step): boolean =>
    each.step !== 'approved' || each.erasureId !== erasureId || each.target !== target || each.index >= index;
  if (whole.some(isAnother)) return 'erasure_not_approved';
  if (erasureId === undefined || approvals.length < 2 || whole.length < approvals.length) return 'not_shown';
  const officers = new Set(whole.map(({ officerId }) => officerId));
  const clients = new Set(whole.map(({ clientId }) => clientId));
  return officers.size >= 2 && clients.size >= 2 ? 'shown' : 'erasure_not_approved';
}

/** False when the record hides something that is asked for here. */
const isWhole = ({ step, clientId, officerId }: Step): boolean =>
  step !== undefined && (step !== 'approved' || (clientId !== undefined && officerId !== undefined));

function isAbout({ step, index, erased }: Step, claim: Claim): boolean {
  // a proposal or an approval erases nothing
  if (step !== 'executed' || erased === undefined) return false;
  // what is erased stands in the log before anybody may propose it
  if (claim.last >= index) return false;
  if ('recordId' in erased) {
    const isThere = erased.leafIndex === undefined || erased.leafIndex === claim.index;
    return claim.leaves === 1 && erased.recordId === claim.recordId && isThere;
  }
  const isAllowed = (claim.kinds & ~erased.kinds) === 0n;
  return isAllowed && claim.from >= erased.from - slackMs && claim.until < erased.until + slackMs;
}
