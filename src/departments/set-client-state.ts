import type { WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import { clientBody } from './client.ts';
import { findClient, updateClientState } from './client-store.ts';
import { departmentsTopic } from './registry.ts';
import { type ChangeDeps, type ChangeRequest, changeRegistry } from './registry-change.ts';

export interface ClientStateChange extends ChangeRequest {
  readonly clientId: string;
  readonly state: 'active' | 'disabled';
  readonly reason: string;
}

/**
 * Disables or enables a client; a disabled one is refused on every process within 1 s, whatever tokens it holds (invariant 2).
 * Answers 200 with the client. Setting the state it already has is recorded and changes nothing.
 * @throws Refusal `client_unknown`
 */
export async function setClientState(deps: ChangeDeps, input: ClientStateChange): Promise<WriteAnswer> {
  const { clientId, state, reason } = input;
  return changeRegistry(deps, input, {
    action: 'setClientState',
    topic: departmentsTopic,
    content: { clientId, state, reason },
    detail: { clientId, state, reason },
    apply: async (trx) => {
      const client = await findClient(trx, deps, clientId, { forUpdate: true });
      if (client === undefined) throw new Refusal('client_unknown');
      const disabledAt = state === 'active' ? null : (client.disabledAt ?? input.call.at);
      await updateClientState(trx, deps.keys, { ...client, disabledAt });
      return { status: 200, body: clientBody({ ...client, disabledAt }) };
    },
  });
}
