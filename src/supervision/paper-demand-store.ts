import type { Kysely, Transaction } from 'kysely';
import { matterToSearch } from '../audit/record-body.ts';
import type { Tables } from '../db/tables.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import type { Holder } from '../verification/identifiers.ts';
import { type PaperDemand, type PaperDemandState, type PaperDemandStep, waitingStates } from './paper-demand.ts';

/**
 * Tables paper_demands and paper_demand_holders. Whom a demand concerns and what was said stands in its box alone, which binds every
 * column: a row that was written past the hub is not used and is reported.
 */

type Handle = Kysely<Tables> | Transaction<Tables>;
type Row = Tables['paper_demands'];

/** What protects rows, and under which keys their parties are found. */
export interface PaperDemandKeys {
  readonly box: {
    seal(boundTo: Uint8Array, plain: Uint8Array): Buffer;
    open(boundTo: Uint8Array, sealed: Uint8Array): Buffer;
  };
  holderKey(type: string, number: string): Buffer;
  everyHolderKey(type: string, number: string): readonly Buffer[];
}
export interface PaperDemandStoreDeps {
  readonly keys: PaperDemandKeys;
  /** Told of every row that was written past the hub. */
  readonly tampered: (table: string, id: string) => void;
}

/** PostgreSQL's infinity, which a row written past the hub may hold, is no Date. */
const instant = (time: Date | null): number | string | null => (time instanceof Date ? time.getTime() : time);

const boundTo = (row: Omit<Row, 'box'>): Buffer =>
  Buffer.from(
    canonicalJson([
      'certhub/paper-demand/1',
      row.paper_demand_id,
      row.department_code,
      row.client_id,
      row.matter_code,
      row.state,
      instant(row.due_at),
      instant(row.created_at),
    ]),
  );

/** As JSON keeps it: times as text. */
type Body = Omit<
  PaperDemand,
  'paperDemandId' | 'departmentCode' | 'clientId' | 'state' | 'dueAt' | 'createdAt' | 'history'
> & { readonly history: readonly (Omit<PaperDemandStep, 'at'> & { readonly at: string })[] };

function toRow({ keys }: PaperDemandStoreDeps, demand: PaperDemand): Row {
  const { paperDemandId, departmentCode, clientId, state, dueAt, createdAt, ...said } = demand;
  const row = {
    paper_demand_id: paperDemandId,
    department_code: departmentCode,
    client_id: clientId,
    matter_code: matterToSearch(demand.matterCode),
    state,
    due_at: dueAt ?? null,
    created_at: createdAt,
  };
  return { ...row, box: keys.box.seal(boundTo(row), Buffer.from(JSON.stringify(said))) };
}

/** The demand of a row, or undefined, and reported, when the row was not written by the hub. */
function fromRow({ keys, tampered }: PaperDemandStoreDeps, row: Row): PaperDemand | undefined {
  let opened: Buffer;
  try {
    opened = keys.box.open(boundTo(row), row.box);
  } catch {
    tampered('paper_demands', row.paper_demand_id);
    return undefined;
  }
  const { history, ...said } = JSON.parse(opened.toString('utf8')) as Body;
  return {
    ...said,
    history: history.map((step) => ({ ...step, at: new Date(step.at) })),
    paperDemandId: row.paper_demand_id,
    departmentCode: row.department_code,
    clientId: row.client_id,
    state: row.state as PaperDemandState,
    ...(row.due_at !== null && { dueAt: row.due_at }),
    createdAt: row.created_at,
  };
}

const columns = [
  'paper_demand_id',
  'department_code',
  'client_id',
  'matter_code',
  'state',
  'due_at',
  'created_at',
  'box',
] as const;

const distinct = (keys: readonly Buffer[]): readonly Buffer[] => [
  ...new Map(keys.map((key) => [key.toString('hex'), key])).values(),
];

/** The pseudonyms of the parties, each once, in their order. */
export const partyKeys = (
  { holderKey }: Pick<PaperDemandKeys, 'holderKey'>,
  { parties }: Pick<PaperDemand, 'parties'>,
): readonly Buffer[] => distinct(Object.values(parties).map(({ type, number }) => holderKey(type, number)));

/** Puts a demand on file, and under each of its parties. */
export async function insertPaperDemand(
  trx: Transaction<Tables>,
  deps: PaperDemandStoreDeps,
  demand: PaperDemand,
): Promise<void> {
  await trx.insertInto('paper_demands').values(toRow(deps, demand)).execute();
  for (const key of partyKeys(deps.keys, demand)) {
    await trx
      .insertInto('paper_demand_holders')
      .values({ holder_key: key, paper_demand_id: demand.paperDemandId })
      .execute();
  }
}

/** Writes what became of a demand whose row is locked. */
export async function updatePaperDemand(
  trx: Transaction<Tables>,
  deps: PaperDemandStoreDeps,
  demand: PaperDemand,
): Promise<void> {
  const { state, due_at, box } = toRow(deps, demand);
  await trx
    .updateTable('paper_demands')
    .set({ state, due_at, box })
    .where('paper_demand_id', '=', demand.paperDemandId)
    .execute();
}

/** One demand as it stands; with `lock` its row is held until the transaction ends. */
export async function findPaperDemand(
  handle: Handle,
  deps: PaperDemandStoreDeps,
  paperDemandId: string,
  { lock = false }: { readonly lock?: boolean } = {},
): Promise<PaperDemand | undefined> {
  const query = handle
    .selectFrom('paper_demands')
    .select([...columns])
    .where('paper_demand_id', '=', paperDemandId);
  const row = await (lock ? query.forUpdate() : query).executeTakeFirst();
  return row === undefined ? undefined : fromRow(deps, row);
}

/** Which demands to list. */
export interface PaperDemandFilter {
  /** Undefined: of every department. */
  readonly departmentCode?: string;
  readonly state?: PaperDemandState;
  readonly matterCode?: string;
  /** Those that wait for an answer which is due after `from` and until `to`. */
  readonly due?: { readonly from?: Date; readonly to: Date };
  /** Recorded at or after `from` and before `until`. */
  readonly recorded?: { readonly from: Date; readonly until: Date };
  readonly holder?: Holder;
  /** A demand's id: those made before it. */
  readonly after?: string;
  readonly limit: number;
}

export interface PaperDemandsFound {
  readonly items: readonly PaperDemand[];
  readonly next?: string;
}

/** Demands newest first. The cursor comes from the rows: one that was tampered with is left out and does not end the list. */
export async function listPaperDemandRows(
  handle: Handle,
  deps: PaperDemandStoreDeps,
  filter: PaperDemandFilter,
): Promise<PaperDemandsFound> {
  const { departmentCode, state, matterCode, due, recorded, holder, after, limit } = filter;
  let query = handle
    .selectFrom('paper_demands')
    .select([...columns])
    .orderBy('paper_demand_id', 'desc')
    .limit(limit + 1);
  if (departmentCode !== undefined) query = query.where('department_code', '=', departmentCode);
  if (state !== undefined) query = query.where('state', '=', state);
  if (matterCode !== undefined) query = query.where('matter_code', '=', matterCode);
  if (due !== undefined) query = query.where('state', 'in', [...waitingStates]).where('due_at', '<=', due.to);
  if (due?.from !== undefined) query = query.where('due_at', '>', due.from);
  if (recorded !== undefined) {
    query = query.where('created_at', '>=', recorded.from).where('created_at', '<', recorded.until);
  }
  if (holder !== undefined) {
    const holderKeys = deps.keys.everyHolderKey(holder.type, holder.number);
    query = query.where('paper_demand_id', 'in', (links) =>
      links
        .selectFrom('paper_demand_holders')
        .select('paper_demand_id')
        .where('holder_key', 'in', [...holderKeys]),
    );
  }
  if (after !== undefined) query = query.where('paper_demand_id', '<', after);
  const rows = await query.execute();
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  return {
    items: rows.slice(0, limit).flatMap((row) => fromRow(deps, row) ?? []),
    ...(last !== undefined && { next: last.paper_demand_id }),
  };
}

const checkedAtOnce = 500;

/** Which rows of both tables the hub did not write, and which demands are hidden from a party; each is reported. For the self-check: of how many steps each demand is. */
export async function checkPaperDemands(
  trx: Transaction<Tables>,
  deps: PaperDemandStoreDeps,
): Promise<ReadonlyMap<string, number>> {
  const steps = new Map<string, number>();
  for (let after: string | undefined; ; ) {
    const { items, next } = await listPaperDemandRows(trx, deps, {
      limit: checkedAtOnce,
      ...(after !== undefined && { after }),
    });
    const ids = items.map(({ paperDemandId }) => paperDemandId);
    const links = ids.length === 0 ? [] : await linksOf(trx, ids);
    for (const { paperDemandId, parties, history } of items) {
      steps.set(paperDemandId, history.length);
      const own = links.filter((link) => link.paper_demand_id === paperDemandId).map((link) => link.holder_key);
      const keys = Object.values(parties).map(({ type, number }) => deps.keys.everyHolderKey(type, number));
      const isHidden = !keys.every((every) => every.some((key) => own.some((link) => link.equals(key))));
      const isForged = !own.every((link) => keys.flat().some((key) => key.equals(link)));
      if (isHidden || isForged) deps.tampered('paper_demand_holders', paperDemandId);
    }
    if (next === undefined) return steps;
    after = next;
  }
}

const linksOf = (trx: Transaction<Tables>, ids: readonly string[]) =>
  trx
    .selectFrom('paper_demand_holders')
    .select(['holder_key', 'paper_demand_id'])
    .where('paper_demand_id', 'in', [...ids])
    .execute();
