import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { beginTerm, type SequencingDeps, type Term } from './begin-term.ts';
import { LogContradiction, type LogFaultCode, type LogFaultFacts, Replaced } from './log-fault.ts';
import type { WitnessState } from './publish.ts';
import { beginLog, type Glance, giveLeaseBack, glance, takeLease } from './sequence-store.ts';
import type { Head } from './sign-checkpoint.ts';

export interface SequencerDeps extends SequencingDeps {
  /** Rows of one batch at most; default 2048, so that a hub in the same process never waits long. */
  readonly batchRows?: number;
  /** Pause between two looks at the queue; default 100 ms. */
  readonly pollMs?: number;
  /** Pause between two looks of one who waits to take over; default 500 ms. */
  readonly standbyMs?: number;
  /** A holder that is silent for so long is replaced; default 3 s. */
  readonly leaseMs?: number;
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

const lateMs = 10_000;
const repeatMs = 60_000;

/**
 * Numbers the records, extends the tree, signs and publishes it. Several may run: one holds the lease, the others wait. Safety is not the
 * lease but compare-and-swap on the stored state, and that nothing contradictory is ever signed (invariant 7).
 */
export function startSequencer(deps: SequencerDeps): Sequencer {
  const { db, origin, say } = deps;
  const { batchRows = 2_048, pollMs = 100, standbyMs = 500, leaseMs = 3_000 } = deps;
  const lease = { holder: `${hostname()}:${process.pid}:${randomBytes(6).toString('hex')}`, leaseMs };

  let term: Term | undefined;
  /** The epoch that was taken last, with or without a term that came of it. */
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

  const endTerm = async (): Promise<Term | undefined> => {
    const left = term;
    term = undefined;
    remembered = left?.status().newest ?? remembered;
    await left?.end();
    return left;
  };

  const takeOffice = async (seen: Glance): Promise<boolean> => {
    const mine = seen.lapsed || seen.holder === lease.holder;
    const taken = mine ? await takeLease(db, lease, seen.epoch) : undefined;
    if (taken === undefined) return false;
    taking = taken.epoch;
    term = await beginTerm(
      { ...deps, lease, batchRows, halt, isHalted: () => halted !== undefined },
      taken,
      remembered,
    );
    say.info(
      { code: 'log_sequencing', epoch: taken.epoch, size: taken.size },
      state === 'standby' ? 'taking over the transparency log' : 'sequencing the transparency log',
    );
    return true;
  };

  /** Once each time it begins to wait. */
  const sayStandby = ({ holder }: Glance): void => {
    if (state === 'standby') return;
    say.info({ code: 'log_standby', holder }, 'another process writes the transparency log: standing by');
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
    if (term === undefined) {
      const taken = await takeOffice(seen);
      if (!taken) sayStandby(seen);
      state = taken ? 'sequencing' : 'standby';
      return taken ? 0 : standbyMs;
    }
    warnOfLateness(seen);
    return (await term.work(seen)) ? 0 : pollMs;
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
    const left = await endTerm();
    // After a halt the state stays as it was found.
    if (left !== undefined && halted === undefined) {
      await giveLeaseBack(db, left.status().epoch).catch(() => undefined);
    }
    if (halted === undefined) state = 'stopped';
    for (const { reject } of waiters.splice(0)) reject(new Error('the log does not go on'));
    return halted;
  };

  /** After any failure nothing in memory counts: whether the last statement had its effect is known to the database alone. */
  const startOver = async (error: unknown): Promise<number> => {
    await endTerm();
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
    status: () => {
      const served = term?.status();
      return {
        state,
        epoch: served?.epoch,
        size: served?.size ?? last?.size,
        publishedSize: last?.published_size,
        newestCheckpoint: served && { size: served.newest.size, signedAt: served.newest.signedAt },
        oldestWaitingMs: last?.waiting_ms ?? 0,
        halted,
        witnesses: served?.witnesses ?? {},
      };
    },
    settled: () =>
      new Promise((resolve, reject) => {
        if (stopping || halted !== undefined) return reject(new Error('the log does not go on'));
        waiters.push({ since: turns, resolve, reject });
        return undefined;
      }),
    ended,
  };
}
