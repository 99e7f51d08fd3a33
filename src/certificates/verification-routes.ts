import type { Handlers } from '../http/handlers.ts';
import { type StatusLists, statusListMaxAgeSeconds } from './status-list.ts';
import type { TrustBundles } from './trust-bundle.ts';
import { type VerifyDeps, verifyOnline } from './verify-online.ts';

export interface VerificationRouteDeps extends VerifyDeps {
  readonly statusLists: Pick<StatusLists, 'get'>;
  readonly trustBundles: Pick<TrustBundles, 'document'>;
}

/** Any page in any browser may read these: they are public and the same for everyone. */
const forEveryone = {
  'access-control-allow-origin': '*',
  'cache-control': `public, max-age=${statusListMaxAgeSeconds}`,
} as const;

/** Handlers of what anyone may ask: status lists, the trust bundle, verifications. */
export function verificationHandlers(
  deps: VerificationRouteDeps,
): Pick<Handlers, 'getStatusList' | 'getTrustBundle' | 'verify'> {
  return {
    getStatusList: async ({ params }) => ({
      status: 200,
      body: await deps.statusLists.get(params.listId),
      contentType: 'application/statuslist+jwt',
      headers: forEveryone,
    }),
    getTrustBundle: async () => ({ status: 200, body: await deps.trustBundles.document(), headers: forEveryone }),
    verify: async ({ body, requestId, receivedAt }) => ({
      status: 200,
      body: await verifyOnline(deps, { ...body, requestId, receivedAt }),
      headers: { 'cache-control': 'no-store' },
    }),
  };
}
