import type { ExportHeader } from './audit-export.ts';
import type { ExportFault, ReportExportFault } from './audit-export-faults.ts';
import type { Checkpoint } from './checkpoint.ts';
import { decodeBase64 } from './encoding.ts';
import { leafHash, verifyInclusion } from './merkle.ts';
import { feedRange, finishRange, type RangeCheck, startRange } from './merkle-range.ts';

/**
 * Where the leaves of an export stand: each in the log at the place its line says, and those of a range all there, once and in order.
 * What does not fit is reported; the line that it is reported for is the caller's to know.
 */
export type LeafPlaces = {
  readonly report: ReportExportFault;
  readonly isRange: boolean;
  /** Leaves that may be in the file: from `begin` to before `end`. */
  readonly begin: number;
  readonly end: number;
  readonly right: readonly Buffer[];
  /** Absent when the header has none that can be read: then only order and bounds are checked. */
  readonly checkpoint: Checkpoint | undefined;
  /** Of a range; undefined once it cannot lead to the root any more, for a reason that was reported. */
  range: RangeCheck | undefined;
  /** Index of the leaf before. */
  previous: number;
};

/** Begins with the header and its checkpoint. */
export function startPlaces(
  header: ExportHeader,
  checkpoint: Checkpoint | undefined,
  report: ReportExportFault,
): LeafPlaces {
  const { begin = 0, end = header.size, left = [], right = [] } = header;
  const isRange = header.kind === 'range';
  let range: RangeCheck | undefined;
  if (isRange && checkpoint !== undefined) {
    range = startRange({ begin, end, size: checkpoint.size, left: hashesOf(left) });
    if (range === undefined || begin === end) report('range_impossible');
  }
  return { report, isRange, begin, end, right: hashesOf(right), checkpoint, range, previous: begin - 1 };
}

/** The form was checked when the line was read. */
const hashesOf = (texts: readonly string[]): Buffer[] => texts.map((text) => decodeBase64(text) ?? Buffer.alloc(0));

/** A leaf whose line cannot be read: whatever it was, the range is no longer whole. */
export function placeUnknown(places: LeafPlaces): void {
  places.range = undefined;
}

/** Checks the place of a leaf: against the leaf before it, and against the log by its own path or as the next of the range. */
export function placeLeaf(
  places: LeafPlaces,
  {
    index,
    entry,
    path,
  }: { readonly index: number; readonly entry: Buffer; readonly path: readonly Buffer[] | undefined },
): void {
  checkOrder(places, index);
  const { checkpoint, range, report } = places;
  const hashed = leafHash(entry);
  if (path === undefined) {
    // a full range was told by its bounds
    if (range !== undefined && !feedRange(range, hashed)) places.range = undefined;
  } else if (checkpoint !== undefined) {
    const { size, root } = checkpoint;
    if (!verifyInclusion({ index, size, leafHash: hashed, path, root })) report('not_included', index);
  }
}

/** In a range every leaf follows the one before; among records each is behind it. */
function checkOrder(places: LeafPlaces, index: number): void {
  const { begin, end, previous, report } = places;
  if (index < begin || index >= end) report('leaf_outside', index);
  else {
    const fault = orderFault(places, index);
    places.previous = Math.max(previous, index);
    if (fault === undefined) return;
    report(fault, index, fault === 'leaf_missing' ? indices(previous + 1, index) : undefined);
  }
  places.range = undefined;
}

function orderFault({ isRange, previous }: LeafPlaces, index: number): ExportFault | undefined {
  if (index === previous) return 'leaf_repeated';
  if (index < previous) return 'leaf_order';
  return isRange && index !== previous + 1 ? 'leaf_missing' : undefined;
}

const indices = (from: number, to: number): string => (to - from === 1 ? `${from}` : `${from}–${to - 1}`);

/** Every leaf of the range was there once and in order, and together with the proof they are the tree under the checkpoint. */
export function finishPlaces({ isRange, previous, end, checkpoint, range, right, report }: LeafPlaces): void {
  if (!isRange || checkpoint === undefined) return;
  if (previous + 1 < end) {
    report('leaves_missing_at_end', undefined, indices(previous + 1, end));
    return;
  }
  if (range === undefined) return;
  const root = finishRange(range, right);
  if (root === undefined) report('range_impossible');
  else if (!root.equals(checkpoint.root)) report('range_root_differs');
}
