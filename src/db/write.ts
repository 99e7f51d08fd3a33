import type { Transaction } from 'kysely';
import type { Caller } from '../ids.ts';
import type { Database } from './database.ts';
import { type Box, findReplay, idempotently } from './idempotent.ts';
import type { Tables } from './tables.ts';

/** What a write needs to know of the request: who, under which key, with which content. */
export interface WriteRequest {
  readonly caller: Caller;
  readonly operation: string;
  readonly idempotencyKey: string;
  /** Path parameters and body: together with the operation they decide whether a retry is the same request. */
  readonly content: unknown;
}

export interface WriteAnswer {
  readonly status: number;
  readonly body: unknown;
  /** True when this answer was given before: no change was made or recorded for it now. */
  readonly replayed?: boolean;
}

/**
 * A write in at most three steps. `prepare` runs before BEGIN (signing, reading, anything slow) and is skipped on a replay;
 * `apply` is the transaction: SQL and pure code only, it may run again after a lost connection.
 */
export interface WriteSteps<P> {
  readonly prepare?: () => Promise<P>;
  readonly apply: (trx: Transaction<Tables>, prepared: P) => Promise<WriteAnswer>;
}

export type Write = <P = undefined>(request: WriteRequest, steps: WriteSteps<P>) => Promise<WriteAnswer>;

export interface WriteDeps {
  readonly db: Database;
  /** Encrypts stored answers: they may hold a person's data. */
  readonly box: Box;
  /** Keyed MAC over a canonical form of operation and content: it is stored, and a plain hash of an ID number could be guessed back. */
  readonly fingerprint: (value: unknown) => Uint8Array;
  /** Whether a stored fingerprint is of this value: keys are rotated, and a retry after that is still the same request. */
  readonly isFingerprint?: (value: unknown, stored: Uint8Array) => boolean;
}

/** Makes the one way to write: effect, record and stored answer in one transaction, once per Idempotency-Key (invariant 8). */
export function writer({ db, box, fingerprint, isFingerprint }: WriteDeps): Write {
  return async (request, steps) => {
    const value = { operation: request.operation, content: request.content };
    const identity = {
      clientId: request.caller.clientId,
      key: request.idempotencyKey,
      operation: request.operation,
      fingerprint: fingerprint(value),
      ...(isFingerprint !== undefined && { isFingerprint: (stored: Uint8Array) => isFingerprint(value, stored) }),
    };
    const replay = await findReplay(db, { ...identity, box });
    if (replay !== undefined) return replay;
    // Steps without `prepare` are typed P = undefined.
    let prepared: Parameters<typeof steps.apply>[1];
    try {
      prepared = (await steps.prepare?.()) as Parameters<typeof steps.apply>[1];
    } catch (error) {
      // The first sending may have been committed meanwhile: what it changed must not turn this one into a refusal.
      const done = await findReplay(db, { ...identity, box });
      if (done !== undefined) return done;
      throw error;
    }
    return idempotently(db, { ...identity, box }, (trx) => steps.apply(trx, prepared));
  };
}
