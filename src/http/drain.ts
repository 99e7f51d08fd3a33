import type { FastifyInstance, FastifyReply } from 'fastify';

/** Counts what is in progress, so that the last one can be waited for. */
export interface Traffic {
  readonly draining: () => boolean;
  /** An answer is owed on this connection until it is sent or the peer is gone. */
  readonly owe: (reply: FastifyReply) => void;
  /** Runs a handler; it counts until it settles, also when its caller has hung up. */
  readonly run: <T>(work: () => Promise<T>) => Promise<T>;
  readonly startDraining: () => void;
  readonly quiet: () => Promise<void>;
}

/** The counters of one server. */
export function countTraffic(): Traffic {
  let draining = false;
  let pending = 0;
  let waiting: (() => void)[] = [];
  const settle = (): void => {
    pending -= 1;
    if (pending > 0) return;
    for (const resume of waiting) resume();
    waiting = [];
  };
  return {
    draining: () => draining,
    owe: (reply) => {
      pending += 1;
      reply.raw.once('close', settle);
    },
    run: async (work) => {
      pending += 1;
      try {
        return await work();
      } finally {
        settle();
      }
    },
    startDraining: () => {
      draining = true;
    },
    quiet: () => (pending === 0 ? Promise.resolve() : new Promise((resume) => waiting.push(resume))),
  };
}

/**
 * Stops a server without breaking a promise: from now on every new request, readiness included, gets 503
 * `shutting_down`; idle connections close; what is in progress finishes; then the server closes.
 * @param deadlineMilliseconds after it the remaining connections are cut
 * @returns whether connections had to be cut
 */
export async function drain(
  { app, traffic }: { readonly app: FastifyInstance; readonly traffic: Traffic },
  deadlineMilliseconds: number,
): Promise<{ readonly cut: boolean }> {
  traffic.startDraining();
  app.server.closeIdleConnections();
  let cut = false;
  let stopWaiting: () => void = () => undefined;
  const deadline = new Promise<void>((resume) => {
    stopWaiting = resume;
  });
  const timer = setTimeout(() => {
    cut = true;
    app.server.closeAllConnections();
    stopWaiting();
  }, deadlineMilliseconds);
  await Promise.race([traffic.quiet(), deadline]);
  await app.close();
  clearTimeout(timer);
  return { cut };
}
