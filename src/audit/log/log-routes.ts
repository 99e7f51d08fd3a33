import type { Handlers } from '../../http/handlers.ts';
import { openPublishedLog, type PublishedLogDeps } from './published-log.ts';

// C2SP tlog-tiles: tiles never change, a checkpoint is good for seconds.
const forever = { 'cache-control': 'public, max-age=31536000, immutable' };
const forSeconds = (seconds: number) => ({ 'cache-control': `public, max-age=${seconds}` });

/** Contract ↔ log: what anybody may read of it. */
export function logHandlers(
  deps: PublishedLogDeps,
): Pick<Handlers, 'getLogCheckpoint' | 'getLogTile' | 'getLogKey' | 'getLogProof'> {
  const log = openPublishedLog(deps);
  return {
    getLogCheckpoint: async () => ({ status: 200, body: await log.checkpoint(), headers: forSeconds(1) }),
    getLogTile: async ({ params }) => ({ status: 200, body: await log.tile(params.tilePath), headers: forever }),
    getLogKey: async () => ({ status: 200, body: log.keys, headers: forSeconds(300) }),
    getLogProof: async ({ params }) => ({
      status: 200,
      body: await log.proof(params.recordId),
      headers: forSeconds(60),
    }),
  };
}
