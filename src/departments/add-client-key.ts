import type { WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import { clientBody } from './client.ts';
import { type IsExampleKey, readNewKey, type UnverifiedJwk } from './client-key.ts';
import { findClient, insertClientKey } from './client-store.ts';
import { departmentsTopic } from './registry.ts';
import { type ChangeDeps, type ChangeRequest, changeRegistry } from './registry-change.ts';

export interface ClientKeyAddition extends ChangeRequest {
  readonly clientId: string;
  /** Public key as JWK. */
  readonly jwk: UnverifiedJwk;
}

/**
 * Adds a public key to a client, for a change of keys without a gap. Answers 201 with the client.
 * @throws Refusal `client_unknown`, `client_key_invalid`, `client_key_exists` (the key is or was registered for any client)
 */
export async function addClientKey(
  deps: ChangeDeps & { readonly isExampleKey: IsExampleKey },
  input: ClientKeyAddition,
): Promise<WriteAnswer> {
  const { clientId } = input;
  const createdAt = input.call.at;
  const key = readNewKey(deps, input.jwk);
  const content = { clientId, jwk: { ...key.jwk } };
  return changeRegistry(deps, input, {
    action: 'addClientKey',
    topic: departmentsTopic,
    content,
    detail: content,
    apply: async (trx) => {
      const client = await findClient(trx, deps, clientId, { forUpdate: true });
      if (client === undefined) throw new Refusal('client_unknown');
      await insertClientKey(trx, deps.keys, clientId, { ...key, createdAt });
      return {
        status: 201,
        body: clientBody({ ...client, keys: [...client.keys, { ...key, createdAt, revokedAt: null }] }),
      };
    },
  });
}
