import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../../db/database.ts';
import { judgeCheckpoint, type LogPolicy, type PolicyWitness, quorumMet } from '../../verification/log-policy.ts';
import { consistencyProof } from '../../verification/merkle.ts';
import type { VerifierKey } from '../../verification/signed-note.ts';
import { type AskWitnessDeps, askWitness, lastSeenBy, type NoAnswer, type Witness } from './ask-witness.ts';
import { publishSize, readCosignatures, readCosignedSizes, storeCosignatures } from './checkpoint-store.ts';
import { LogContradiction } from './log-fault.ts';
import { readNewestCheckpoint } from './log-store.ts';
import type { Step } from './sequence.ts';
import { type Head, rootAt, tileNodes } from './sign-checkpoint.ts';

/** What the log says of itself; a message and facts without data of a person. */
export interface Say {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/** Whom the log asks to witness it, and what happens when they do not answer. */
export interface Witnessing {
  readonly policy: LogPolicy;
  /** `hold`: publish nothing without the quorum. `publish`: publish all the same, loudly. */
  readonly down: 'hold' | 'publish';
  readonly fetch?: typeof fetch;
  /** Longest wait for one witness; default 5 s. */
  readonly timeoutMs?: number;
  /** Between two tries while too few have answered; default 2 s. */
  readonly retryMs?: number;
}

export interface PublishDeps {
  readonly db: Database;
  readonly origin: string;
  readonly logKeys: readonly VerifierKey[];
  readonly witnessing: Witnessing;
  readonly say: Say;
  readonly now: () => Date;
  readonly at?: ((step: Step) => void) | undefined;
  /** Told once of a contradiction: no more signing. */
  readonly halt: (fault: LogContradiction) => void;
}

/** How a witness answered last. */
export type WitnessState = 'unasked' | 'cosigned' | NoAnswer['kind'];

/** One term of office: before its first signature the witnesses are asked what they have seen, then every checkpoint is put to them. */
export interface Publisher {
  /** Whether checkpoints may be signed: no witness that could have seen more is left to ask. */
  readonly cleared: () => boolean;
  /** The newest stored checkpoint; an older one that still waits is passed over. */
  readonly offer: (head: Head) => void;
  readonly witnesses: () => Readonly<Record<string, WitnessState>>;
  readonly stop: () => Promise<void>;
}

/** Runs beside the sequencing and never holds it up. */
export function startPublisher(
  deps: PublishDeps,
  office: { readonly epoch: number; readonly newest: Head },
): Publisher {
  const { policy, retryMs = 2_000 } = deps.witnessing;
  const stopping = new AbortController();
  const round: Round = {
    epoch: office.epoch,
    lastSizes: new Map(),
    states: new Map(policy.witnesses.map(({ name }) => [name, 'unasked'])),
    over: stopping.signal,
    warnedAt: Number.NEGATIVE_INFINITY,
    lacks: false,
  };
  let cleared = false;
  let offered = office.newest;
  let published = -1;
  let wake = (): void => undefined;

  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
      sleep(retryMs, undefined, { signal: stopping.signal, ref: false }).then(resolve, resolve);
    });
  const go = async (): Promise<void> => {
    if (!cleared) {
      cleared = await clearedToSign(deps, round, offered);
      return cleared ? undefined : pause();
    }
    const head = offered;
    if (published < head.size && (await publish(deps, round, head))) published = head.size;
    // What is not published yet is tried again; a newer one does not wait.
    return offered.size === head.size ? pause() : undefined;
  };
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        await go();
      } catch (error) {
        if (stopping.signal.aborted) return;
        if (error instanceof LogContradiction) return deps.halt(error);
        deps.say.warn({ err: error }, 'a checkpoint could not be published yet');
        await pause();
      }
    }
  };
  const running = run();
  return {
    cleared: () => cleared,
    offer: (head) => {
      if (head.size <= offered.size) return;
      offered = head;
      wake();
    },
    witnesses: () => Object.fromEntries(round.states),
    stop: async () => {
      stopping.abort();
      wake();
      await running;
    },
  };
}

const repeatMs = 60_000;

interface Round {
  readonly epoch: number;
  /** The size that each witness, by name, cosigned last. */
  readonly lastSizes: Map<string, number>;
  readonly states: Map<string, WitnessState>;
  /** Aborted when the term ends. */
  readonly over: AbortSignal;
  warnedAt: number;
  /** Somebody was told that the quorum is missing, and not yet that it is there again. */
  lacks: boolean;
}

/** Undefined for one without an address: it cosigns by other ways. */
const askable = ({ name, key, url }: PolicyWitness): Witness | undefined =>
  url === undefined ? undefined : { name, key, url };

/** How a witness is reached: nobody waits for it once the term is over. */
function client({ fetch: given = fetch, timeoutMs = 5_000 }: Witnessing, { over }: Round): AskWitnessDeps {
  const asking: typeof fetch = (url, init) =>
    given(url, { ...init, signal: AbortSignal.any([over, ...(init?.signal == null ? [] : [init.signal])]) });
  return { fetch: asking, timeoutMs };
}

/**
 * Asks every witness what it has cosigned last. True when it is safe to sign: those who did not answer could not make up a quorum, so
 * nothing can have been published that nobody told us of. Throws LogContradiction when one has seen more, or something else.
 */
async function clearedToSign(deps: PublishDeps, round: Round, newest: Head): Promise<boolean> {
  const { db, origin, logKeys, witnessing, say } = deps;
  const { policy } = witnessing;
  const silent: string[] = [];
  await Promise.all(
    policy.witnesses.map(async (each) => {
      const witness = askable(each);
      if (witness === undefined) return void silent.push(each.name);
      const seen = await lastSeenBy(client(witnessing, round), { witness, origin, logKeys, note: newest.note });
      if (seen.kind === 'inconsistent') throw new LogContradiction('witness_inconsistent', { witness: each.name });
      if (seen.kind === 'seen') {
        await compare(db, each.name, seen);
        round.lastSizes.set(each.name, seen.size);
      } else if (seen.kind !== 'never' && seen.kind !== 'unknown_log') {
        round.states.set(each.name, seen.kind);
        silent.push(each.name);
      } else if ((await readCosignedSizes(db)).has(each.key.name)) {
        say.warn({ code: 'witness_forgot', witness: each.name }, 'a witness that cosigned this log no longer knows it');
      }
    }),
  );
  const enough = policy.quorum === undefined || !quorumMet(policy, silent);
  if (enough) return true;
  const facts = { code: 'witnesses_silent', silent };
  if (witnessing.down === 'publish') {
    say.error(
      facts,
      'signing although witnesses did not say what they have seen: a rolled-back database would fork the log',
    );
    return true;
  }
  say.warn(facts, 'not signing yet: too few witnesses have said what they have seen');
  return false;
}

async function compare(
  db: Database,
  witness: string,
  seen: { readonly size: number; readonly root?: Buffer },
): Promise<void> {
  // Read after the witness answered: whatever it has cosigned was stored before.
  const newest = await readNewestCheckpoint(db);
  if (newest === undefined || seen.size > newest.size) {
    throw new LogContradiction('database_behind_witness', { witness, seen: seen.size, newest: newest?.size ?? -1 });
  }
  if (seen.root !== undefined && !seen.root.equals(await rootAt(db, seen.size))) {
    throw new LogContradiction('witness_inconsistent', { witness, seen: seen.size });
  }
}

/** Puts a stored checkpoint to all witnesses at once, stores their cosignatures, and publishes it if it may be. True when it is published. */
async function publish(deps: PublishDeps, round: Round, head: Head): Promise<boolean> {
  const { db, witnessing, say, now, at } = deps;
  if ((await cosignedSoFar(deps, head)).quorum) {
    await publishSize(db, round.epoch, head.size);
    at?.('published');
  }
  const answers = await Promise.all(witnessing.policy.witnesses.map((each) => cosigned(deps, round, each, head)));
  const lines = answers.flat();
  at?.('cosigned');
  if (lines.length > 0) {
    await storeCosignatures(db, head.size, lines, now());
    at?.('cosignatures_stored');
  }
  const { quorum, missing } = await cosignedSoFar(deps, head);
  if (quorum) sayMet(say, round, head);
  else sayMissing(say, round, head, missing);
  if (!quorum && witnessing.down === 'hold') return false;
  await publishSize(db, round.epoch, head.size);
  at?.('published');
  return true;
}

/** Once, after it was missing. */
function sayMet(say: Say, round: Round, { size }: Head): void {
  if (!round.lacks) return;
  round.lacks = false;
  round.warnedAt = Number.NEGATIVE_INFINITY;
  say.info({ code: 'quorum_met', size }, 'checkpoints have their quorum of witnesses again');
}

function sayMissing(say: Say, round: Round, { size }: Head, missing: readonly string[]): void {
  round.lacks = true;
  if (performance.now() - round.warnedAt <= repeatMs) return;
  round.warnedAt = performance.now();
  const states = Object.fromEntries(missing.map((name) => [name, round.states.get(name)]));
  say.warn(
    { code: 'quorum_missing', size, missing, states },
    `a checkpoint lacks its quorum of witnesses; missing: ${missing.join(', ')}`,
  );
}

/** Whether the stored cosignatures make up the quorum, and who is missing. They are verified again: only what others will believe counts. */
async function cosignedSoFar(
  { db, logKeys, witnessing }: PublishDeps,
  head: Head,
): Promise<{ readonly quorum: boolean; readonly missing: readonly string[] }> {
  const { policy } = witnessing;
  if (policy.quorum === undefined) return { quorum: true, missing: [] };
  const lines = await readCosignatures(db, head.size);
  const note = head.note + lines.map((line) => `${line}\n`).join('');
  const judged = judgeCheckpoint({ ...policy, logs: logKeys.map((key) => ({ key })) }, note);
  const by = judged.ok ? judged.value.cosignedBy : [];
  const missing = policy.witnesses.map(({ name }) => name).filter((name) => !by.includes(name));
  return { quorum: judged.ok && judged.value.quorum, missing };
}

/** The cosignature of one witness, or none; what it is asked first may be answered with the size it knows. */
async function cosigned(deps: PublishDeps, round: Round, each: PolicyWitness, head: Head) {
  const witness = askable(each);
  if (witness === undefined) return [];
  let old = round.lastSizes.get(each.name) ?? 0;
  for (let attempt = 0; attempt < 2; attempt++) {
    const path = await consistencyProof({ from: old, to: head.size }, tileNodes(deps.db, head.size));
    const outcome = await askWitness(client(deps.witnessing, round), { witness, old, path, note: head.note });
    if (outcome.kind === 'size') {
      if (outcome.size > head.size) {
        await compare(deps.db, each.name, outcome);
        // A newer checkpoint of ours, by way of another sequencer.
        return [];
      }
      old = outcome.size;
      continue;
    }
    if (outcome.kind === 'inconsistent') throw new LogContradiction('witness_inconsistent', { witness: each.name });
    round.states.set(each.name, outcome.kind);
    if (outcome.kind !== 'cosigned') return [];
    round.lastSizes.set(each.name, head.size);
    return outcome.lines.map((line) => ({ name: each.key.name, keyId: each.key.keyId, line: line.trimEnd() }));
  }
  return [];
}
