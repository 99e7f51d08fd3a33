import type { Handlers } from './handlers.ts';

/** What the hub cannot work without; each resolves when it works and rejects when it does not. */
export interface HealthChecks {
  readonly database: () => Promise<unknown>;
  readonly keys: () => Promise<unknown>;
  readonly recorder: () => Promise<unknown>;
}

export interface HealthDeps {
  readonly checks: HealthChecks;
  /** How the published log keeps up with the records. Shown, and no reason to send no traffic. */
  readonly log?: () => 'ok' | 'behind';
  readonly now: () => Date;
  /** Longest wait for one check; at most 2000 ms, which is also the default. */
  readonly timeoutMilliseconds?: number;
}

type Part = keyof HealthChecks;
type State = 'ok' | 'failing';

const okForMilliseconds = 1_000;

/**
 * Handlers of `getLiveness` and `getReadiness`. Readiness names the part that fails and never why; a good result holds
 * for a second, a bad one is asked again; concurrent questions share one round of checks. While the server drains it
 * answers 503 in place of the handler.
 */
export function healthHandlers({
  checks,
  log,
  now,
  timeoutMilliseconds = 2_000,
}: HealthDeps): Pick<Handlers, 'getLiveness' | 'getReadiness'> {
  const limit = Math.min(timeoutMilliseconds, 2_000);
  let goodUntil = 0;
  let running: Promise<Record<Part, State>> | undefined;

  const ask = async (): Promise<Record<Part, State>> => {
    const [database, keys, recorder] = await Promise.all([
      stateOf(checks.database, limit),
      stateOf(checks.keys, limit),
      stateOf(checks.recorder, limit),
    ]);
    return { database, keys, recorder };
  };

  const withLog = () => (log === undefined ? {} : { log: log() });
  return {
    getLiveness: async () => ({ status: 200, body: { status: 'ok' } }),
    getReadiness: async () => {
      if (now().getTime() < goodUntil) {
        return {
          status: 200,
          body: { status: 'ok', parts: { database: 'ok', keys: 'ok', recorder: 'ok' }, ...withLog() },
        };
      }
      running ??= ask().finally(() => {
        running = undefined;
      });
      const parts = await running;
      if (Object.values(parts).includes('failing'))
        return { status: 503, body: { status: 'failing', parts, ...withLog() } };
      goodUntil = now().getTime() + okForMilliseconds;
      return { status: 200, body: { status: 'ok', parts, ...withLog() } };
    },
  };
}

async function stateOf(check: () => Promise<unknown>, milliseconds: number): Promise<State> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<State>((resolve) => {
    timer = setTimeout(() => resolve('failing'), milliseconds);
  });
  const asked = (async (): Promise<State> => {
    try {
      await check();
      return 'ok';
    } catch {
      return 'failing';
    }
  })();
  const state = await Promise.race([asked, late]);
  clearTimeout(timer);
  return state;
}
