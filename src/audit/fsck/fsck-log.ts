import type { Database } from '../../db/database.ts';
import { type CheckpointRules, judgeCheckpointRow } from './fsck-checkpoints.ts';
import type { Found } from './fsck-findings.ts';
import { type CheckpointRow, type CosignatureRow, readCheckpoints, readTiles } from './fsck-store.ts';
import type { TreeWalk } from './fsck-tree.ts';

/** Everything signed or stored about the tree, compared as it grows: checkpoints at their sizes, tiles when they are full. */
export interface LogCheck {
  readonly db: Database;
  readonly rules: CheckpointRules;
  /** What the state said when the check began; compared when the tree is as large. */
  readonly state: { readonly size: number; readonly root: Buffer } | undefined;
  readonly found: (what: Found) => void;
}

/** What is remembered from checkpoint to checkpoint. Plain JSON. */
export interface CheckpointTrail {
  checkpoints: number;
  /** Cosignatures of keys that no policy names. */
  unchecked: number;
  /** When the last one was signed, ms; they are signed in the order of their sizes. */
  signedAt: number;
  /** When the first one was signed, ms. */
  firstSignedAt: number | null;
  /** The greatest size with a quorum, and when it was signed. */
  witnessed: { readonly size: number; readonly signedAt: number } | null;
  newest: { readonly size: number; readonly signedAt: number } | null;
}

export const noTrail = (): CheckpointTrail => ({
  checkpoints: 0,
  unchecked: 0,
  signedAt: 0,
  firstSignedAt: null,
  witnessed: null,
  newest: null,
});

/** Checkpoints waiting for the tree to reach their size. */
export interface PendingCheckpoints {
  readonly rows: readonly CheckpointRow[];
  readonly cosignatures: ReadonlyMap<number, readonly CosignatureRow[]>;
  at: number;
}

/** Checkpoints of the sizes that a batch of leaves reaches. */
export async function readPending(db: Database, begin: number, end: number): Promise<PendingCheckpoints> {
  const { checkpoints, cosignatures } = await readCheckpoints(db, { begin, end });
  const bySize = new Map<number, CosignatureRow[]>();
  for (const row of cosignatures) bySize.set(row.size, [...(bySize.get(row.size) ?? []), row]);
  return { rows: checkpoints, cosignatures: bySize, at: 0 };
}

export interface ReachedSize {
  readonly size: number;
  readonly pending: PendingCheckpoints;
  readonly trail: CheckpointTrail;
  /** No leaf up to here is unknown: the tree has this size. */
  readonly treeIsWhole: boolean;
}

/** Called when the walk has reached a size: compares whatever is stored for exactly this size. */
export function compareAt(
  { rules, state, found }: LogCheck,
  tree: TreeWalk,
  { size, pending, trail, treeIsWhole }: ReachedSize,
): void {
  if (treeIsWhole && state?.size === size && !state.root.equals(tree.root())) {
    found({ code: 'root_wrong', place: { table: 'log_state', checkpoint: size } });
  }
  for (let row = pending.rows[pending.at]; row?.size === size; row = pending.rows[pending.at]) {
    pending.at += 1;
    const cosignatures = pending.cosignatures.get(size) ?? [];
    const judged = judgeCheckpointRow(rules, row, cosignatures);
    for (const each of judged.found) found(each);
    // A bad note has been told already.
    if (treeIsWhole && judged.found.length === 0) compareRoot(row, tree, found);
    if (row.signed_at.getTime() < trail.signedAt - rules.clockMs) {
      found({ code: 'checkpoint_order', place: { checkpoint: size, columns: ['signed_at'] } });
    }
    remember(trail, rules.now, row, judged);
  }
}

function compareRoot({ size, root }: CheckpointRow, tree: TreeWalk, found: LogCheck['found']): void {
  if (!root.equals(tree.root())) found({ code: 'checkpoint_root', place: { checkpoint: size } });
}

function remember(
  trail: CheckpointTrail,
  now: Date,
  { size, signed_at }: CheckpointRow,
  judged: { readonly quorum: boolean; readonly unchecked: number },
): void {
  const signedAt = signed_at.getTime();
  trail.firstSignedAt ??= signedAt;
  // A time in the future must not make all that follow look late.
  trail.signedAt = Math.max(trail.signedAt, Math.min(signedAt, now.getTime()));
  trail.checkpoints += 1;
  trail.unchecked += judged.unchecked;
  trail.newest = { size, signedAt };
  if (judged.quorum) trail.witnessed = { size, signedAt };
}

/** A tile above the leaves that is full, or the leaves' own where no leaf told of it before. */
export async function compareTile(
  { db, found }: Pick<LogCheck, 'db' | 'found'>,
  { level, index, hashes }: { readonly level: number; readonly index: number; readonly hashes: Buffer },
): Promise<void> {
  const [row] = await readTiles(db, { level, begin: index, end: index + 1 });
  const tile = `${level}/${index}`;
  if (row === undefined) {
    found({ code: 'tile_missing', place: { tile } });
    return;
  }
  const shared = Math.min(row.hashes.length, hashes.length);
  for (let at = 0; at < shared; at += 32) {
    if (row.hashes.compare(hashes, at, at + 32, at, at + 32) !== 0) {
      found({ code: 'tile_wrong', place: { tile, hash: at / 32 } });
    }
  }
}
