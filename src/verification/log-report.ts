import type { JudgedCheckpoint, JudgeFault } from './log-policy.ts';

/** Everything that can be wrong with a log. */
export type LogFault =
  | JudgeFault
  | 'checkpoint_missing'
  | 'quorum_not_met'
  | 'file_missing'
  | 'file_length'
  | 'bundle_malformed'
  | 'entry_malformed'
  | 'leaf_differs'
  | 'tile_differs'
  | 'root_differs'
  | 'entries_differ_from_root'
  | 'tiles_differ_from_root'
  | 'older_is_larger'
  | 'older_differs'
  | 'older_is_of_another_log'
  | 'gave_up';

/** Something wrong, and in which file; `index` is the leaf of the log, or the place in the tile. */
export type LogFinding = {
  readonly file: string;
  readonly index?: number;
  readonly code: LogFault;
  /** Under whose name a false signature stands. */
  readonly signer?: string;
  /** It is about an older checkpoint that says nothing of this log, as it is damaged or another's: what was found of the log stands. */
  readonly aside?: true;
};

/** An older checkpoint that somebody kept. */
export type OlderCheckpoint = { readonly file: string; readonly note: string };

export type LogReport = {
  readonly findings: readonly LogFinding[];
  /** Findings beyond the first hundred. */
  readonly moreFindings: number;
  /** Absent unless the checkpoint was signed by a log of the policy. */
  readonly judged?: JudgedCheckpoint;
  /** Leaves whose entry, hash and tiles were read. */
  readonly leaves: number;
  readonly files: number;
  /** Older checkpoints that were signed by the log and are a prefix of it. */
  readonly consistentWith: readonly { readonly file: string; readonly size: number }[];
};

export type LogSource = {
  /** The bytes of a file under the log's prefix; undefined when there is none. */
  readonly read: (path: string) => Promise<Buffer | undefined>;
  /** Told after every bundle how many leaves are done. */
  readonly progress?: (done: number, size: number) => void;
};
