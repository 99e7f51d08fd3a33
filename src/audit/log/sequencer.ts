import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Database } from '../../db/database.ts';
import type { EncryptionKeys } from '../../signing/data-keys.ts';
import { type GrowingTree, rootOfTree } from './growing-tree.ts';
import { LogContradiction, type LogFaultCode, type LogFaultFacts, Replaced } from './log-fault.ts';
import { type Publisher, type Say, startPublisher, type Witnessing, type WitnessState } from './publish.ts';
import { type Sequenced, type Step, sequenceBatch } from './sequence.ts';
import { beginLog, type Glance, giveLeaseBack, glance, publishSize, renewLease, takeLease } from './sequence-store.ts';
import { type Head, logKeys, type SignDeps, signCheckpoint } from './sign-checkpoint.ts';
import { takeOver } from './take-over.ts';

export interface SequencerDeps extends SignDeps {
  readonly keys: SignDeps['keys'] & Pick<EncryptionKeys, 'verifyRowMac'>;
  /** Under the sequencer's role; two connections are enough. */
  readonly db: Database;
  /** A checkpoint is signed at most so often, when the log has grown. */
  readonly checkpointMs: number;
  /** Absent: every checkpoint is published as it is. */
  readonly witnessing?: Witnessing | undefined;
  readonly say: Say;
  /** Rows of one batch at most; default 2048, so that a hub in the same process never waits long. */
  readonly batchRows?: number;
  /** Pause between two looks at the queue; default 100 ms. */
  readonly pollMs?: number;
  /** Pause between two looks of one who waits to take over; default 500 ms. */
  readonly standbyMs?: number;
  /** A holder that is silent for so long is replaced; default 3 s. */
  readonly leaseMs?: number;
  /** Told of each step; for tests. */
  readonly at?: ((step: Step) => void) | undefined;
}

export interface Halt {
  readonly code: LogFaultCode;
  readonly facts: LogFaultFacts;
}

export interface SequencerStatus {
  readonly state: 'starting' | 'standby' | 'sequencing' | 'halted' | 'stopped';
  readonly epoch: number | undefined;
  readonly size: number | undefined;
  readonly publishedSize: number | undefined;
  readonly newestCheckpoint: { readonly size: number; readonly signedAt: Date } | undefined;
  /** Age of the oldest record that waits for its place, in milliseconds; 0 when none waits. */
  readonly oldestWaitingMs: number;
  readonly halted: Halt | undefined;
  readonly witnesses: Readonly<Record<string, WitnessState>>;
}

export interface Sequencer {
  /** Finishes the batch under way and gives the lease back. The database stays open: who opened it closes it. */
  stop(): Promise<void>;
  status(): SequencerStatus;
  /** Resolves when everything queued before the call is in a published checkpoint; rejects when that will not happen. */
  settled(): Promise<void>;
  /** Resolves when the sequencer has stopped, or with the reason for which it halted. */
  readonly ended: Promise<Halt | undefined>;
}

/** Office held: all of it is forgotten after any failure, and read again from the database. */
interface Office {
  readonly epoch: number;
  tree: GrowingTree;
  newest: Head;
  /** Absent without witnesses. */
  readonly publisher: Publisher | undefined;
  renewedAt: number;
  /** Where to go on looking again at what predecessors put aside; undefined when all of it was looked at. */
  asideAfter: number | undefined;
  signedAt: number;
}

const lateMs = 10_000;
const repeatMs = 60_000;

/**
 * Numbers the records, extends the tree, signs and publishes it. Several may run: one holds the lease, the others wait. Safety is not the
 * lease but compare-and-swap on the stored state, and that nothing contradictory is ever signed (invariant 7).
 */
export function startSequencer(deps: SequencerDeps): Sequencer {
  const { db, origin, checkpointMs, witnessing, say } = deps;
  const { batchRows = 2_048, pollMs = 100, standbyMs = 500, leaseMs = 3_000, at } = deps;
  const lease = { holder: `${hostname()}:${process.pid}:${randomBytes(6).toString('hex')}`, leaseMs };
  const batch = { db, keys: deps.keys, batchRows, at };
  const keysOfLog = logKeys(deps.keys, origin);

  let office: Office | undefined;
  /** The epoch that was taken last, with or without an office that came of it. */
  let taking: number | undefined;
  /** The largest checkpoint this process has stored or read: a database that lacks it was rolled back. */
  let remembered: Head | undefined;
  let last: Glance | undefined;
  let state: SequencerStatus['state'] = 'starting';
  let halted: Halt | undefined;
  let stopping = false;
  let turns = 0;
  let warnedAt = Number.NEGATIVE_INFINITY;
  let wake = (): void => undefined;
  let waiters: { readonly since: number; readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];
  let alarm: NodeJS.Timeout | undefined;

  const halt = ({ code, facts }: LogContradiction): void => {
    if (halted !== undefined) return;
    halted = { code, facts };
    state = 'halted';
    const cry = (): void =>
      say.error({ code, ...facts }, `the transparency log is HALTED (${code}): records wait and nothing is signed`);
    cry();
    alarm = setInterval(cry, repeatMs).unref();
    wake();
  };

  const dropOffice = async (): Promise<void> => {
    const left = office;
    office = undefined;
    await left?.publisher?.stop();
  };

  const takeOffice = async (seen: Glance): Promise<boolean> => {
    const mine = seen.lapsed || seen.holder === lease.holder;
    const taken = mine ? await takeLease(db, lease, seen.epoch) : undefined;
    if (taken === undefined) return false;
    taking = taken.epoch;
    const { tree, newest } = await takeOver(deps, taken, remembered);
    const { epoch } = taken;
    remembered = newest;
    const publisher =
      witnessing === undefined
        ? undefined
        : startPublisher({ ...deps, logKeys: keysOfLog, witnessing, halt }, { epoch, newest });
    office = {
      epoch,
      tree,
      newest,
      publisher,
      renewedAt: performance.now(),
      asideAfter: 0,
      signedAt: Number.NEGATIVE_INFINITY,
    };
    say.info(
      { code: 'log_sequencing', epoch, size: tree.size },
      state === 'standby' ? 'taking over the transparency log' : 'sequencing the transparency log',
    );
    return true;
  };

  /** Once each time it begins to wait. */
  const sayStandby = ({ holder }: Glance): void => {
    if (state === 'standby') return;
    say.info({ code: 'log_standby', holder }, 'another process writes the transparency log: standing by');
  };

  const sign = async (held: Office): Promise<void> => {
    const due = held.newest.size < held.tree.size && performance.now() - held.signedAt >= checkpointMs;
    if (!due || held.publisher?.cleared() === false || halted !== undefined) return;
    // From what is committed, not from what is remembered: the two have to be the same.
    const committed = await glance(db);
    if (committed?.epoch !== held.epoch) throw new Replaced();
    agree(committed, held.tree);
    held.newest = await signCheckpoint(deps, held, committed);
    held.signedAt = performance.now();
    remembered = held.newest;
    held.publisher?.offer(held.newest);
  };

  /** The state as it is, made first if need be. */
  const look = async (): Promise<Glance> => {
    const seen = await glance(db);
    if (seen === undefined) await beginLog(db, origin);
    last = seen ?? (await glance(db));
    if (last === undefined) throw new Replaced();
    if (last.origin !== origin) {
      throw new LogContradiction('log_origin_differs', { stored: last.origin, configured: origin });
    }
    return last;
  };

  /** One look and what follows from it. Answers how long to pause. */
  const turn = async (): Promise<number> => {
    const seen = await look();
    if (office === undefined) {
      const taken = await takeOffice(seen);
      if (!taken) sayStandby(seen);
      state = taken ? 'sequencing' : 'standby';
      return taken ? 0 : standbyMs;
    }
    const held = office;
    if (seen.epoch !== held.epoch) throw new Replaced();
    agree(seen, held.tree);
    warnOfLateness(seen);
    const full = seen.waiting_ms !== null && (await sequence(held));
    if (held.asideAfter !== undefined) held.asideAfter = await lookAgain(held, held.asideAfter);
    await renew(held);
    await sign(held);
    if (held.publisher === undefined && seen.published_size < held.newest.size) {
      await publishSize(db, held.epoch, held.newest.size);
      at?.('published');
    }
    return full ? 0 : pollMs;
  };

  /** True when a whole batch was waiting, and so more may be. */
  const sequence = async (held: Office): Promise<boolean> => {
    const { claimed, refused, repeated } = grow(held, await sequenceBatch(batch, { ...lease, ...held }));
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

  const grow = (held: Office, done: Sequenced): Sequenced => {
    if (done.tree.size > held.tree.size) held.renewedAt = performance.now();
    held.tree = done.tree;
    return done;
  };

  /** One page of what was put aside; answers where the next one begins. */
  const lookAgain = async (held: Office, after: number): Promise<number | undefined> => {
    const { tree } = held;
    const { asideAfter } = grow(held, await sequenceBatch(batch, { ...lease, ...held }, after));
    const count = held.tree.size - tree.size;
    if (count > 0)
      say.warn({ code: 'queue_row_readmitted', count }, 'rows that were put aside are of this hub after all');
    return asideAfter;
  };

  /** A batch renews the lease; without one it is done here. */
  const renew = async (held: Office): Promise<void> => {
    if (performance.now() - held.renewedAt < Math.min(1_000, leaseMs / 3)) return;
    const asked = performance.now();
    if (!(await renewLease(db, lease, held.epoch))) throw new Replaced();
    held.renewedAt = asked;
  };

  const warnOfLateness = ({ waiting_ms: waitingMs }: Glance): void => {
    if ((waitingMs ?? 0) < lateMs || performance.now() - warnedAt < repeatMs) return;
    warnedAt = performance.now();
    say.warn({ code: 'log_late', waitingMs }, 'records wait long for their place in the transparency log');
  };

  /** A look that began after somebody began to wait, and found nothing left to do. */
  const settle = (): void => {
    if (last?.waiting_ms !== null || last.published_size !== last.size) return;
    const done = waiters.filter(({ since }) => since < turns);
    waiters = waiters.filter(({ since }) => since >= turns);
    for (const { resolve } of done) resolve();
  };

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  const run = async (): Promise<Halt | undefined> => {
    while (!stopping && halted === undefined) {
      turns += 1;
      let ms: number;
      try {
        ms = await turn();
        settle();
      } catch (error) {
        ms = await startOver(error);
      }
      if (!stopping && halted === undefined) await pause(ms);
    }
    const held = office;
    await dropOffice();
    // After a halt the state stays as it was found.
    if (held !== undefined && halted === undefined) await giveLeaseBack(db, held.epoch).catch(() => undefined);
    if (halted === undefined) state = 'stopped';
    for (const { reject } of waiters.splice(0)) reject(new Error('the log does not go on'));
    return halted;
  };

  /** After any failure nothing in memory counts: whether the last statement had its effect is known to the database alone. */
  const startOver = async (error: unknown): Promise<number> => {
    await dropOffice();
    if (error instanceof LogContradiction && (await isStillOurs())) {
      halt(error);
      return 0;
    }
    if (halted === undefined) state = 'standby';
    if (error instanceof Replaced || error instanceof LogContradiction) {
      say.warn({ code: 'log_replaced' }, 'another sequencer has taken the log over');
    } else say.warn({ err: error }, 'the sequencer starts over from the stored state');
    return pollMs * 2;
  };

  /** What one reads while another works contradicts itself without being wrong. Found again after the next takeover if it is. */
  const isStillOurs = async (): Promise<boolean> => {
    if (taking === undefined) return true;
    return (await glance(db).catch(() => undefined))?.epoch === taking;
  };

  const ended = run();
  return {
    stop: async () => {
      stopping = true;
      wake();
      await ended;
      clearInterval(alarm);
    },
    status: () => ({
      state,
      epoch: office?.epoch,
      size: office?.tree.size ?? last?.size,
      publishedSize: last?.published_size,
      newestCheckpoint:
        office === undefined ? undefined : { size: office.newest.size, signedAt: office.newest.signedAt },
      oldestWaitingMs: last?.waiting_ms ?? 0,
      halted,
      witnesses: office?.publisher?.witnesses() ?? {},
    }),
    settled: () =>
      new Promise((resolve, reject) => {
        if (stopping || halted !== undefined) return reject(new Error('the log does not go on'));
        waiters.push({ since: turns, resolve, reject });
        return undefined;
      }),
    ended,
  };
}

/** The stored state under our epoch is what we remember; else somebody changed it past every sequencer. */
function agree(stored: { readonly size: number; readonly root: Buffer }, tree: GrowingTree): void {
  if (stored.size !== tree.size || !stored.root.equals(rootOfTree(tree))) {
    throw new LogContradiction('state_contradicts_memory', { size: stored.size, remembered: tree.size });
  }
}
