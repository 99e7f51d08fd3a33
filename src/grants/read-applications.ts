import type { Database } from '../db/database.ts';
import { Refusal } from '../errors.ts';
import type { Caller } from '../ids.ts';
import { type ApplicationState, type GrantApplication, maySeeApplication } from './application.ts';
import {
  type ApplicationFilter,
  type ApplicationStoreDeps,
  findApplication,
  listApplicationRows,
} from './application-store.ts';

export interface ReadApplicationsDeps extends ApplicationStoreDeps {
  readonly db: Pick<Database, 'kysely'>;
}

export interface ApplicationQuestion {
  readonly state?: ApplicationState;
  readonly due?: 'soon' | 'overdue';
  /** An application id: those made before it. */
  readonly after?: string;
  readonly limit?: number;
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const soonMs = 3 * 86_400_000;

/** The caller's view of the applications, newest first. Refuses `contract_violation` for a cursor that is none. */
export async function listApplications(
  deps: ReadApplicationsDeps,
  { state, due, after, limit = 50 }: ApplicationQuestion,
  { caller, at }: { readonly caller: Caller; readonly at: Date },
): Promise<{ readonly items: readonly GrantApplication[]; readonly next?: string }> {
  if (after !== undefined && !uuid.test(after)) throw new Refusal('contract_violation', { pointer: '/after' });
  const filter: ApplicationFilter = {
    of: shownTo(caller),
    limit,
    ...(state !== undefined && { state }),
    ...(due !== undefined && { due: dueRange(due, at) }),
    ...(after !== undefined && { after }),
  };
  return listApplicationRows(deps.db.kysely, deps, filter);
}

const dueRange = (due: 'soon' | 'overdue', at: Date) =>
  due === 'overdue' ? { to: at } : { from: at, to: new Date(at.getTime() + soonMs) };

/** As `maySeeApplication` says. */
const shownTo = ({ roles, clientId, department }: Caller): ApplicationFilter['of'] =>
  roles.includes('admin') || roles.includes('auditor')
    ? undefined
    : { clientId, ...(roles.includes('grantor') && { ownerDepartmentCode: department }) };

/** One application. Refuses `application_unknown`, also for one the caller may not see. */
export async function readApplication(
  deps: ReadApplicationsDeps,
  { applicationId, caller }: { readonly applicationId: string; readonly caller: Caller },
): Promise<GrantApplication> {
  const found = await findApplication(deps.db.kysely, deps, applicationId);
  if (found === undefined || !maySeeApplication(caller, found)) throw new Refusal('application_unknown');
  return found;
}
