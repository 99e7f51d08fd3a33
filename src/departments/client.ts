import { Refusal } from '../errors.ts';
import type { ClientId, DepartmentCode, Role } from '../ids.ts';
import { type ClientKey, type ClientKeyBody, clientKeyBody } from './client-key.ts';
import type { Bilingual } from './department.ts';

/** What a client may do. */
export const roles = ['issuer', 'consumer', 'auditor', 'admin', 'portal', 'grantor'] as const satisfies readonly Role[];

/** True for the name of a role. */
export const isRole = (name: unknown): name is Role =>
  typeof name === 'string' && (roles as readonly string[]).includes(name);

/** A registered system of a department. */
export interface Client {
  readonly id: ClientId;
  readonly department: DepartmentCode;
  readonly name: Bilingual;
  readonly roles: readonly Role[];
  /** Null while the client may call. */
  readonly disabledAt: Date | null;
  readonly createdAt: Date;
  readonly keys: readonly ClientKey[];
}

/** A client as the contract words it. */
export interface ClientBody {
  clientId: string;
  departmentCode: string;
  name: { zh: string; en: string };
  roles: Role[];
  state: 'active' | 'disabled';
  keys: ClientKeyBody[];
  createdAt: string;
}

/** The body of an answer about a client. */
export const clientBody = (client: Client): ClientBody => ({
  clientId: client.id,
  departmentCode: client.department,
  name: { zh: client.name.zh, en: client.name.en },
  roles: [...client.roles],
  state: client.disabledAt === null ? 'active' : 'disabled',
  keys: client.keys.map(clientKeyBody),
  createdAt: client.createdAt.toISOString(),
});

const clientIdShape = /^[a-z0-9][a-z0-9-]{1,62}[a-z0-9]$/;
/** Names that stand for the hub itself in records, such as the command line. */
const reservedPrefix = 'certhub-';

/** The name under which the operator's command line appears in records; no client can have it. */
export const operatorClientId = 'certhub-operator' as ClientId;

/** True for a text that could be a client's name; nothing else is ever repeated in a record. */
export const looksLikeClientId = (text: unknown): text is ClientId =>
  typeof text === 'string' && clientIdShape.test(text);

/**
 * A name for a new client.
 * @throws Refusal `contract_violation` for another shape or a reserved name
 */
export function checkClientId(text: string): ClientId {
  if (!looksLikeClientId(text)) throw new Refusal('contract_violation', { pointer: '/clientId', rule: 'pattern' });
  if (text.startsWith(reservedPrefix)) {
    throw new Refusal('contract_violation', { pointer: '/clientId', rule: 'reserved' });
  }
  return text;
}
