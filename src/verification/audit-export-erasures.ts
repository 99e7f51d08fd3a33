import type { ErasedLeaf, OpenedLeaf } from './audit-export.ts';
import { isJsonObject, type JsonObject, parseJsonStrictly } from './encoding.ts';

/** Acts of erasure in an export: which leaves refer to which act, and whether the file shows it and it is about them. */

/** Acts kept in mind; more than any retention plan has. */
const maxActs = 100_000;
const maxListed = 100;
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

/** What an act says that it erased. `leafIndex`: where that one record stands; the id alone is the hub's word once the body is gone. */
type Said = {
  readonly recordId?: string;
  readonly leafIndex?: number;
  readonly month?: string;
  readonly kinds?: readonly string[];
};
/** With its own place in the log; undefined when its record does not show what it did. */
type Act = (Said & { readonly index: number }) | undefined;

export type Erasures = {
  readonly claimed: Map<string, Claim>;
  readonly acts: Map<string, Act>;
  /** Records that leaves name as acts and that are none. */
  readonly others: Set<string>;
  /** Leaves without an act. */
  readonly bare: number[];
};

export const noErasures = (): Erasures => ({ claimed: new Map(), acts: new Map(), others: new Set(), bare: [] });

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
export function noteAct({ acts }: Erasures, leaf: OpenedLeaf): void {
  if (acts.size >= maxActs) return;
  const said = saidBy(leaf);
  acts.set(leaf.recordId, said && { ...said, index: leaf.index });
}

function saidBy({ fields }: OpenedLeaf): Said | undefined {
  const parsed = fields.detail === undefined ? undefined : parseJsonStrictly(fields.detail.canonical);
  if (parsed?.ok !== true || !isJsonObject(parsed.value) || fields.action === undefined) return undefined;
  const { step, target, leafIndex } = parsed.value;
  // a proposal or an approval erases nothing
  if (fields.action.canonical !== '"executeErasure"' || step !== 'executed' || !isJsonObject(target)) return {};
  return saidOf(target, leafIndex);
}

function saidOf({ recordId, month, kinds }: JsonObject, leafIndex: unknown): Said {
  if (typeof recordId === 'string') return { recordId, ...(typeof leafIndex === 'number' && { leafIndex }) };
  const named = Array.isArray(kinds) ? kinds.filter((each) => typeof each === 'string') : [];
  return typeof month === 'string' ? { month, kinds: named } : {};
}

/** What is to be said of the erased leaves when the whole file was read. */
export type ErasureReport = {
  /** Erased leaves whose act is shown and is about them. */
  readonly shown: number;
  /** Erased leaves for which the file does not show by what right; the first hundred. */
  readonly notShown: readonly { readonly index: number; readonly erasure: string | null }[];
  /** Acts that are no acts, or are about something else. */
  readonly wrong: readonly { readonly line: number; readonly index: number; readonly erasure: string }[];
};

/** Brings leaves and acts together. `kindNames` as numbered in log entries. */
export function judgeErasures(
  { claimed, acts, others, bare }: Erasures,
  kindNames: { readonly [kind: number]: string },
): ErasureReport {
  let shown = 0;
  const notShown: { index: number; erasure: string | null }[] = bare.map((index) => ({ index, erasure: null }));
  const wrong: { line: number; index: number; erasure: string }[] = [];
  for (const [erasure, claim] of claimed) {
    const { line, index, leaves } = claim;
    const act = acts.get(erasure);
    if (others.has(erasure) || (act !== undefined && !isAbout(act, claim, kindNames))) {
      wrong.push({ line, index, erasure });
    } else if (act !== undefined) {
      shown += leaves;
    } else if (notShown.length < maxListed) {
      notShown.push({ index, erasure });
    }
  }
  return { shown, notShown, wrong };
}

function isAbout(act: NonNullable<Act>, claim: Claim, kindNames: { readonly [kind: number]: string }): boolean {
  // what is erased stands in the log before anybody may propose it
  if (claim.last >= act.index) return false;
  if (act.recordId !== undefined) {
    const isThere = act.leafIndex === undefined || act.leafIndex === claim.index;
    return claim.leaves === 1 && act.recordId === claim.recordId && isThere;
  }
  if (act.month === undefined) return false;
  const begin = Date.parse(`${act.month}-01T00:00:00Z`);
  const end = new Date(begin);
  end.setUTCMonth(end.getUTCMonth() + 1);
  const allowed = new Set(act.kinds);
  const isAllowed = Object.entries(kindNames).every(
    ([kind, name]) => (claim.kinds & (1n << BigInt(kind))) === 0n || allowed.has(name),
  );
  return isAllowed && claim.from >= begin - slackMs && claim.until < end.getTime() + slackMs;
}
