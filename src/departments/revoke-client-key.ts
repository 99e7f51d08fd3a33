import type { WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import { clientBody } from './client.ts';
import { findClient, updateClientKey } from './client-store.ts';
import { departmentsTopic } from './registry.ts';
import { type ChangeDeps, type ChangeRequest, changeRegistry } from './registry-change.ts';

export interface ClientKeyRevocation extends ChangeRequest {
  readonly clientId: string;
  readonly kid: string;
  readonly reason: string;
}

/**
 * Revokes a key of a client for good: it is refused on every process within 1 s, also behind tokens obtained with it
 * (invariant 2). Answers 200 with the client. A key revoked before keeps its first `revokedAt`.
 * @throws Refusal `client_unknown`, `client_key_unknown`
 */
export async function revokeClientKey(deps: ChangeDeps, input: ClientKeyRevocation): Promise<WriteAnswer> {
  const { clientId, kid, reason } = input;
  return changeRegistry(deps, input, {
    action: 'revokeClientKey',
    topic: departmentsTopic,
    content: { clientId, kid, reason },
    detail: { clientId, kid, reason },
    apply: async (trx) => {
      const client = await findClient(trx, deps, clientId, { forUpdate: true });
      if (client === undefined) throw new Refusal('client_unknown');
      const key = client.keys.find((candidate) => candidate.kid === kid);
      if (key === undefined) throw new Refusal('client_key_unknown');
      const revoked = { ...key, revokedAt: key.revokedAt ?? input.call.at };
      await updateClientKey(trx, deps.keys, clientId, revoked);
      const keys = client.keys.map((candidate) => (candidate === key ? revoked : candidate));
      return { status: 200, body: clientBody({ ...client, keys }) };
    },
  });
}
