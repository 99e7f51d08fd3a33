import { validate as isUuid } from 'uuid';
import { Refusal } from '../errors.ts';
import type { Caller } from '../ids.ts';
import { isOwnersGrantor, type OwnerOf } from './change-standing.ts';
import type { CurrentGrants } from './current-grants.ts';
import type { Grant } from './grant.ts';

interface ReadDeps {
  readonly current: CurrentGrants;
  readonly owners: () => Promise<OwnerOf>;
}

/** Whose grants a caller may read: administrators and auditors all, consumers their own, grantors those for types of their department. */
const mayRead = (caller: Caller, grant: Grant, ownerOf: OwnerOf): boolean =>
  caller.roles.includes('admin') ||
  caller.roles.includes('auditor') ||
  grant.clientId === caller.clientId ||
  isOwnersGrantor(caller, grant, ownerOf);

/**
 * Grants in order of their ids, which is the order of their making. `after` is the last id of the page before. Refuses
 * `contract_violation` for a cursor that is none.
 */
export async function listGrants(
  { current, owners }: ReadDeps,
  input: { readonly caller: Caller; readonly clientId?: string; readonly after?: string; readonly limit?: number },
): Promise<{ readonly items: readonly Grant[]; readonly next?: string }> {
  const { after: cursor, clientId } = input;
  if (cursor !== undefined && !isUuid(cursor)) throw new Refusal('contract_violation', { pointer: '/after' });
  const after = cursor?.toLowerCase();
  const [{ all }, ownerOf] = await Promise.all([current.read(), owners()]);
  const limit = input.limit ?? 50;
  const matching = all.filter(
    (grant) =>
      mayRead(input.caller, grant, ownerOf) &&
      (clientId === undefined || grant.clientId === clientId) &&
      (after === undefined || grant.grantId > after),
  );
  const items = matching.slice(0, limit);
  const last = matching.length > limit ? items.at(-1) : undefined;
  return { items, ...(last !== undefined && { next: last.grantId }) };
}

/** One grant. Refuses `grant_unknown`, also for one the caller may not read. */
export async function readGrant(
  { current, owners }: ReadDeps,
  input: { readonly caller: Caller; readonly grantId: string },
): Promise<Grant> {
  const [{ all }, ownerOf] = await Promise.all([current.read(), owners()]);
  const grant = all.find(({ grantId }) => grantId === input.grantId);
  if (grant === undefined || !mayRead(input.caller, grant, ownerOf)) throw new Refusal('grant_unknown');
  return grant;
}
