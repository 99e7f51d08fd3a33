import type { Checkpoint } from './checkpoint.ts';
import { judgeCheckpoint, type LogPolicy } from './log-policy.ts';
import type { LogFinding, LogReport, OlderCheckpoint } from './log-report.ts';
import { type RightEdge, rootOfEdge } from './merkle.ts';

/** Older checkpoints that somebody kept, and whether the log being read still begins with what they say. */
export type OlderCheckpoints = {
  /** To be compared, smallest first. */
  readonly waiting: Kept[];
  readonly compared: (Kept & { readonly byEntries: boolean; readonly byTiles: boolean })[];
};

type Kept = { readonly file: string; readonly checkpoint: Checkpoint };

/** Which files of the log lead to its signed root. */
export type Basis = 'byEntries' | 'byTiles';

type ReportLogFault = (finding: LogFinding) => void;

/** Takes those that this log signed; the others are reported. Their cosignatures are theirs: what counts here is that the log signed them. */
export function keepOlder(
  older: readonly OlderCheckpoint[],
  policy: LogPolicy,
  { origin, size }: Checkpoint,
  report: ReportLogFault,
): OlderCheckpoints {
  const waiting: Kept[] = [];
  for (const { file, note } of older) {
    const judged = judgeCheckpoint(policy, note);
    if (!judged.ok) {
      const { reason: code, signer } = judged;
      report({ file, code, ...(signer !== undefined && { signer }), aside: true });
    } else if (judged.value.checkpoint.origin !== origin) {
      report({ file, code: 'older_is_of_another_log', aside: true });
    } else if (judged.value.checkpoint.size > size) report({ file, code: 'older_is_larger' });
    else waiting.push({ file, checkpoint: judged.value.checkpoint });
  }
  waiting.sort((one, other) => one.checkpoint.size - other.checkpoint.size);
  return { waiting, compared: [] };
}

/** Compares those of the present size, by entries and by tiles; `fromTiles` undefined where a tile was missing. */
export function compareOlder(
  { waiting, compared }: OlderCheckpoints,
  fromEntries: RightEdge,
  fromTiles: RightEdge | undefined,
): void {
  while (waiting[0]?.checkpoint.size === fromEntries.size) {
    const kept = waiting.shift();
    if (kept === undefined) return;
    const { root } = kept.checkpoint;
    const byTiles = fromTiles !== undefined && rootOfEdge(fromTiles).equals(root);
    compared.push({ ...kept, byEntries: rootOfEdge(fromEntries).equals(root), byTiles });
  }
}

/** Those that are the log's own past, which they are only where the files that fit its present root fit them too. The others are reported. */
export function judgeOlder(
  { compared }: OlderCheckpoints,
  basis: Basis | undefined,
  report: ReportLogFault,
): LogReport['consistentWith'] {
  if (basis === undefined) return [];
  const consistent: { file: string; size: number }[] = [];
  for (const each of compared) {
    const { file, checkpoint } = each;
    if (each[basis]) consistent.push({ file, size: checkpoint.size });
    else report({ file, code: 'older_differs' });
  }
  return consistent;
}
