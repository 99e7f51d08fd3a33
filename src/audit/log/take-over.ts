import { readCheckpoint } from './checkpoint-store.ts';
import type { GrowingTree } from './growing-tree.ts';
import { LogContradiction } from './log-fault.ts';
import { readNewestCheckpoint } from './log-store.ts';
import { loadTree } from './sequence.ts';
import type { TakenLog } from './sequence-store.ts';
import { checkHead, type Head, rootAt, type SignDeps, signEmpty } from './sign-checkpoint.ts';

export interface TakenOver {
  readonly tree: GrowingTree;
  /** The newest checkpoint; that of the empty tree when there was none. */
  readonly newest: Head;
}

/**
 * Everything that a sequencer remembers comes from here: the stored state, proved against its tiles, against the newest checkpoint and
 * against `remembered`, what this process saw signed before it had to start over. Throws LogContradiction, Replaced, or a database error.
 */
export async function takeOver(deps: SignDeps, taken: TakenLog, remembered: Head | undefined): Promise<TakenOver> {
  const { db } = deps;
  const tree = await loadTree(db, taken);
  const shown = await readNewestCheckpoint(db);
  const stored = shown === undefined ? undefined : await readCheckpoint(db, shown.size);
  if (stored !== undefined) await checkHead(deps, stored, taken);
  if (remembered !== undefined) {
    const [newest, size] = [stored?.size ?? -1, remembered.size];
    // Also one that was rolled back and has grown again since.
    const isHere = newest >= size && (await rootAt(db, size)).equals(remembered.root);
    if (!isHere) throw new LogContradiction('database_rolled_back', { newest, remembered: size });
  }
  return { tree, newest: stored ?? (await signEmpty(deps, taken.epoch)) };
}
