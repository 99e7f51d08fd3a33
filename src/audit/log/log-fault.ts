/**
 * Why the log stands still. Whatever of these is found, going on could sign a second history: nothing is overwritten, nobody
 * sequences or signs until a person has looked.
 */
export type LogFaultCode =
  /** The database holds a log of another name than the one configured. */
  | 'log_origin_differs'
  /** The stored tiles do not have the root that the state says, or some are missing. */
  | 'root_differs_from_tiles'
  /** A stored tile is not the beginning of what it should grow into. */
  | 'tiles_contradict'
  /** A leaf stands where the next one belongs. */
  | 'leaves_contradict'
  /** The state changed under the epoch that is ours. */
  | 'state_contradicts_memory'
  /** A checkpoint is signed that is larger than the log: the state was rolled back. */
  | 'checkpoint_ahead_of_state'
  /** A stored checkpoint has another root than the log had at that size. */
  | 'checkpoint_root_differs'
  /** A stored checkpoint does not bear a signature of this log's keys over what its columns say. */
  | 'checkpoint_not_ours'
  /** This process has stored a checkpoint that the database no longer has. */
  | 'database_rolled_back'
  /** A witness has cosigned a checkpoint that the database does not have: an older copy was restored. */
  | 'database_behind_witness'
  /** What a witness has cosigned is not the beginning of this log. */
  | 'witness_inconsistent';

/** What a halt says beside its code: sizes and names, no data of a person. */
export type LogFaultFacts = Readonly<Record<string, string | number>>;

/** A contradiction in the stored log: halt. */
export class LogContradiction extends Error {
  override readonly name = 'LogContradiction';
  readonly code: LogFaultCode;
  readonly facts: LogFaultFacts;
  constructor(code: LogFaultCode, facts: LogFaultFacts = {}) {
    super(`the transparency log contradicts itself: ${code}`);
    this.code = code;
    this.facts = facts;
  }
}

/** Another sequencer has taken the log over: wait for one's turn. */
export class Replaced extends Error {
  override readonly name = 'Replaced';
}
