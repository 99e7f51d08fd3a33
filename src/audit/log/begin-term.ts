import type { Database } from '../../db/database.ts';
import type { EncryptionKeys } from '../../signing/data-keys.ts';
import { publishSize } from './checkpoint-store.ts';
import { type LogContradiction, Replaced } from './log-fault.ts';
import { type Publisher, type Say, startPublisher, type Witnessing, type WitnessState } from './publish.ts';
import { requireRemembered, type Sequenced, sequenceBatch } from './sequence.ts';
import { type Glance, glance, type Lease, renewLease, type TakenLog } from './sequence-store.ts';
import { type Head, logKeys, type SignDeps, signCheckpoint } from './sign-checkpoint.ts';
import { takeOver } from './take-over.ts';

/** What it takes to sequence, sign and publish. */
export interface SequencingDeps extends SignDeps {
  readonly keys: SignDeps['keys'] & Pick<EncryptionKeys, 'verifyRowMac'>;
  /** Under the sequencer's role; two connections are enough. */
  readonly db: Database;
  /** A checkpoint is signed at most so often, when the log has grown. */
  readonly checkpointMs: number;
  /** Absent: every checkpoint is published as it is. */
  readonly witnessing?: Witnessing | undefined;
  readonly say: Say;
}

export interface TermDeps extends SequencingDeps {
  readonly lease: Lease;
  /** Rows of one batch at most. */
  readonly batchRows: number;
  /** Told of a contradiction that a witness showed: from then on `isHalted`. */
  readonly halt: (fault: LogContradiction) => void;
  readonly isHalted: () => boolean;
}

/** One sequencer's time in office, under one epoch. After any failure it is ended, and nothing that it remembers counts any more. */
export interface Term {
  /**
   * One round: takes in what waits, then renews, signs and publishes what is due. True when more may be waiting. Rejects with Replaced,
   * LogContradiction, or a database error.
   */
  readonly work: (seen: Glance) => Promise<boolean>;
  readonly status: () => TermStatus;
  readonly end: () => Promise<void>;
}

export interface TermStatus {
  readonly epoch: number;
  readonly size: number;
  /** The newest checkpoint, published or not. */
  readonly newest: Head;
  readonly witnesses: Readonly<Record<string, WitnessState>>;
}

/**
 * Begins a term with a log that was just taken: proves the stored state, also against `remembered`, the largest checkpoint that this
 * process has seen, and looks once more at what predecessors put aside. Throws what `takeOver` throws.
 */
export async function beginTerm(deps: TermDeps, taken: TakenLog, remembered: Head | undefined): Promise<Term> {
  const { db, origin, checkpointMs, witnessing, say, lease, batchRows, halt, isHalted, at } = deps;
  const { epoch } = taken;
  const batch = { db, keys: deps.keys, batchRows, at };
  let { tree, newest } = await takeOver(deps, taken, remembered);
  const publisher: Publisher | undefined =
    witnessing && startPublisher({ ...deps, logKeys: logKeys(deps.keys, origin), witnessing, halt }, { epoch, newest });
  let renewedAt = performance.now();
  let signedAt = Number.NEGATIVE_INFINITY;
  /** Where to go on looking at what predecessors put aside; undefined when all of it was looked at. */
  let asideAfter: number | undefined = 0;

  const take = async (after?: number): Promise<Sequenced> => {
    const done = await sequenceBatch(batch, { ...lease, epoch, tree }, after);
    // A batch with leaves renewed the lease.
    if (done.tree.size > tree.size) renewedAt = performance.now();
    tree = done.tree;
    return done;
  };

  /** True when a whole batch was waiting, and so more may be. */
  const takeQueue = async (): Promise<boolean> => {
    const { claimed, refused, repeated } = await take();
    if (refused.length > 0) {
      const facts = { code: 'queue_row_forged', count: refused.length, records: refused.slice(0, 10) };
      say.error(
        facts,
        'rows of the queue were not written by this hub: put aside into log_queue_refused, never numbered',
      );
    }
    if (repeated > 0) {
      say.error({ code: 'record_queued_twice', count: repeated }, 'records were queued that are in the log already');
    }
    return claimed === batchRows;
  };

  /** One page of what was put aside. */
  const takeAside = async (after: number): Promise<void> => {
    const { size } = tree;
    ({ asideAfter } = await take(after));
    const count = tree.size - size;
    if (count > 0) {
      say.warn({ code: 'queue_row_readmitted', count }, 'rows that were put aside are of this hub after all');
    }
  };

  const renew = async (): Promise<void> => {
    if (performance.now() - renewedAt < Math.min(1_000, lease.leaseMs / 3)) return;
    const asked = performance.now();
    if (!(await renewLease(db, lease, epoch))) throw new Replaced();
    renewedAt = asked;
  };

  const sign = async (): Promise<void> => {
    const due = newest.size < tree.size && performance.now() - signedAt >= checkpointMs;
    if (!due || publisher?.cleared() === false || isHalted()) return;
    // From what is committed, not from what is remembered: the two have to be the same.
    const committed = await glance(db);
    if (committed?.epoch !== epoch) throw new Replaced();
    requireRemembered(committed, tree);
    newest = await signCheckpoint(deps, { epoch, newest }, committed);
    signedAt = performance.now();
    publisher?.offer(newest);
  };

  return {
    work: async (seen) => {
      if (seen.epoch !== epoch) throw new Replaced();
      requireRemembered(seen, tree);
      const full = seen.waiting_ms !== null && (await takeQueue());
      if (asideAfter !== undefined) await takeAside(asideAfter);
      await renew();
      await sign();
      if (publisher === undefined && seen.published_size < newest.size) {
        await publishSize(db, epoch, newest.size);
        at?.('published');
      }
      return full;
    },
    status: () => ({ epoch, size: tree.size, newest, witnesses: publisher?.witnesses() ?? {} }),
    end: async () => publisher?.stop(),
  };
}
