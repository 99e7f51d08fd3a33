import { type Findings, noFindings } from './fsck-findings.ts';
import { type CheckpointTrail, noTrail } from './fsck-log.ts';
import { noRegistryTrail, type RegistryTrail } from './fsck-registry.ts';
import { noTree, type SavedTree } from './fsck-tree.ts';

/** Where a check stands: plain JSON, small however large the log. Holds no key and no person's data. */
export interface FsckState {
  readonly format: 'certhub-fsck/1';
  /** RFC 3339. Records of this age and younger are not judged for being late. */
  readonly startedAt: string;
  readonly origin: string | null;
  /** Leaves to walk: what the log had when the check began. */
  readonly leaves: number;
  /** What the state of the log said then; root in hex. */
  readonly head: { readonly size: number; readonly root: string; readonly published: number } | null;
  /** Records of this time are opened; RFC 3339 or ±infinity. */
  readonly span: { readonly from: string; readonly until: string };
  readonly lateMs: number;
  /** The step under way, 'done' at the end. */
  step: string;
  /** Where the step goes on; null at its beginning. */
  after: string | null;
  /** Rows of the step so far. */
  rows: number;
  /** Leaves walked. */
  position: number;
  tree: SavedTree;
  /** False once leaves were missing whose hashes no tile holds: roots can no longer be judged. */
  treeIsWhole: boolean;
  trail: CheckpointTrail;
  registry: RegistryTrail;
  readonly figures: FsckFigures;
  readonly findings: Findings;
}

export interface FsckFigures {
  leaves: number;
  /** Records looked at. */
  records: number;
  /** Of these, opened and right. */
  opened: number;
  /** Of these, erased by right. */
  erased: number;
  /** Rows that each step looked at, once it is over. */
  rows: { readonly [step: string]: number };
  /** Wall time of all runs together, ms. */
  elapsedMs: number;
}

export const newState = (
  head: Pick<FsckState, 'startedAt' | 'origin' | 'leaves' | 'head' | 'span' | 'lateMs'>,
): FsckState => ({
  format: 'certhub-fsck/1',
  ...head,
  step: 'leaves',
  after: null,
  rows: 0,
  position: 0,
  tree: noTree,
  treeIsWhole: true,
  trail: noTrail(),
  registry: noRegistryTrail(),
  figures: { leaves: 0, records: 0, opened: 0, erased: 0, rows: {}, elapsedMs: 0 },
  findings: noFindings(),
});
