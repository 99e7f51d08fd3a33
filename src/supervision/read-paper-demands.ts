import type { Recorder } from '../audit/record.ts';
import type { Database } from '../db/database.ts';
import { Refusal } from '../errors.ts';
import type { Call } from '../ids.ts';
import type { Holder } from '../verification/identifiers.ts';
import type { AnyPaperDemand } from './forgetting.ts';
import {
  maySeePaperDemand,
  type PaperDemand,
  type PaperDemandState,
  partiesPlayedBy,
  seesEveryDemand,
} from './paper-demand.ts';
import { checkedHolder, type GivenHolder } from './paper-demand-parties.ts';
import { paperDemandEntry } from './paper-demand-record.ts';
import type { PaperDemandStoreDeps } from './paper-demand-row.ts';
import { findPaperDemand, listPaperDemandRows, type PaperDemandsFound } from './paper-demand-store.ts';

export interface ReadPaperDemandsDeps extends PaperDemandStoreDeps {
  readonly db: Pick<Database, 'kysely'>;
  readonly record: Recorder;
}

export interface PaperDemandQuestion {
  readonly state?: PaperDemandState;
  readonly due?: 'soon' | 'overdue';
  readonly matterCode?: string;
  /** A demand's id: those made before it. */
  readonly after?: string;
  readonly limit?: number;
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const soonMs = 3 * 86_400_000;
const defaultLimit = 50;

function checkCursor(after: string | undefined): void {
  if (after !== undefined && !uuid.test(after)) throw new Refusal('contract_violation', { pointer: '/after' });
}

/** The caller's view of the demands, newest first. Refuses `contract_violation` for a cursor that is none. */
export async function listPaperDemands(
  deps: ReadPaperDemandsDeps,
  { due, after, limit = defaultLimit, ...rest }: PaperDemandQuestion,
  { caller, at }: Pick<Call, 'caller' | 'at'>,
): Promise<PaperDemandsFound> {
  checkCursor(after);
  const soon = { from: at, to: new Date(at.getTime() + soonMs) };
  return listPaperDemandRows(deps.db.kysely, deps, {
    ...rest,
    limit,
    ...(!seesEveryDemand(caller) && { departmentCode: caller.department }),
    ...(due !== undefined && { due: due === 'overdue' ? { to: at } : soon }),
    ...(after !== undefined && { after }),
  });
}

/** One demand with everything that was said; recorded first. Refuses `paper_demand_unknown`, also for one the caller may not see. */
export async function readPaperDemand(
  deps: ReadPaperDemandsDeps,
  paperDemandId: string,
  call: Call,
): Promise<AnyPaperDemand> {
  const found = await findPaperDemand(deps.db.kysely, deps, paperDemandId);
  if (found === undefined || !maySeePaperDemand(call.caller, found)) throw new Refusal('paper_demand_unknown');
  await deps.record(paperDemandEntry(deps.keys, found, { action: 'getPaperDemand', outcome: 'answered', call }));
  return found;
}

export interface PersonQuestion {
  readonly holder: GivenHolder;
  /** How the portal knows who asks; recorded. */
  readonly statement: { readonly authenticatedBy: string; readonly sessionReference: string };
  readonly after?: string;
  readonly limit?: number;
}

export interface PersonDemands extends Omit<PaperDemandsFound, 'items'> {
  readonly items: readonly PaperDemand[];
  readonly holder: Holder;
  readonly recordId: string;
}

/**
 * The demands of which a holder is a party, newest first, for the holder's own eyes; recorded first. A demand that was put under
 * somebody else past the hub is not shown and is reported; of one that was forgotten nobody is a party. Refuses what is wrong with the holder, `contract_violation` for a cursor.
 */
export async function searchPaperDemands(
  deps: ReadPaperDemandsDeps,
  { holder: given, statement, after, limit = defaultLimit }: PersonQuestion,
  { caller, requestId, at }: Call,
): Promise<PersonDemands> {
  const holder = checkedHolder(given, '/holder');
  checkCursor(after);
  const { items: found, next } = await listPaperDemandRows(deps.db.kysely, deps, {
    holder,
    limit,
    ...(after !== undefined && { after }),
  });
  const items = found.flatMap((demand) => {
    if (!('forgottenAt' in demand) && partiesPlayedBy(demand, holder).length > 0) return [demand];
    deps.tampered('paper_demand_holders', demand.paperDemandId);
    return [];
  });
  const { recordId } = await deps.record({
    kind: 'registry',
    action: 'searchPaperDemands',
    outcome: 'answered',
    caller: { clientId: caller.clientId, department: caller.department, keyId: caller.keyId },
    subjects: [deps.keys.holderKey(holder.type, holder.number)],
    requestId,
    at,
    detail: { statement, paperDemandIds: items.map(({ paperDemandId }) => paperDemandId) },
  });
  return { items, holder, recordId, ...(next !== undefined && { next }) };
}
