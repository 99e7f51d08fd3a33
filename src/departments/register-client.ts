import type { WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import type { Role } from '../ids.ts';
import { checkClientId, clientBody, isRole, roles } from './client.ts';
import { type IsExampleKey, readNewKey, type UnverifiedJwk } from './client-key.ts';
import { insertClient, insertClientKey } from './client-store.ts';
import { type Bilingual, checkDepartmentCode } from './department.ts';
import { departmentsTopic } from './registry.ts';
import { type ChangeDeps, type ChangeRequest, changeRegistry } from './registry-change.ts';
import { findDepartment } from './store.ts';

export interface ClientRegistration extends ChangeRequest {
  readonly clientId: string;
  readonly departmentCode: string;
  readonly name: Bilingual;
  readonly roles: readonly Role[];
  /** Public keys as JWK; at least one. */
  readonly keys: readonly UnverifiedJwk[];
}

/**
 * Registers a system of a department with its public keys. Answers 201 with the client.
 * @throws Refusal `contract_violation` (name), `invalid_uscc`, `department_unknown`, `client_exists`,
 * `client_key_invalid`, `client_key_exists` (the key is or was registered for any client)
 */
export async function registerClient(
  deps: ChangeDeps & { readonly isExampleKey: IsExampleKey },
  input: ClientRegistration,
): Promise<WriteAnswer> {
  const createdAt = input.call.at;
  const keys = input.keys.map((jwk) => readNewKey(deps, jwk));
  if (keys.length === 0) throw new Refusal('client_key_invalid', { reason: 'missing' });
  if (input.roles.length === 0 || !input.roles.every(isRole)) {
    throw new Refusal('contract_violation', { pointer: '/roles', rule: 'enum' });
  }
  const client = {
    id: checkClientId(input.clientId),
    department: checkDepartmentCode(input.departmentCode),
    name: { zh: input.name.zh, en: input.name.en },
    roles: roles.filter((role) => input.roles.includes(role)),
    disabledAt: null,
    createdAt,
  };
  const { id: clientId, department: departmentCode, name } = client;
  const content = { clientId, departmentCode, name, roles: client.roles, keys: keys.map(({ jwk }) => ({ ...jwk })) };
  return changeRegistry(deps, input, {
    action: 'registerClient',
    topic: departmentsTopic,
    content,
    detail: content,
    apply: async (trx) => {
      if ((await findDepartment(trx, deps, departmentCode)) === undefined) throw new Refusal('department_unknown');
      await insertClient(trx, deps.keys, client);
      for (const key of keys) await insertClientKey(trx, deps.keys, clientId, { ...key, createdAt });
      const registered = keys.map((key) => ({ ...key, createdAt, revokedAt: null }));
      return { status: 201, body: clientBody({ ...client, keys: registered }) };
    },
  });
}
