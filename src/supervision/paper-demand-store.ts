import { type Kysely, sql, type Transaction } from 'kysely';
import type { Tables } from '../db/tables.ts';
import type { Holder } from '../verification/identifiers.ts';
import { type AnyPaperDemand, type ForgottenRows, forgottenPaperDemand, type SettledRows } from './forgetting.ts';
import { type PaperDemand, type PaperDemandState, waitingStates } from './paper-demand.ts';
import {
  fromPaperDemandRow,
  type PaperDemandKeys,
  type PaperDemandStoreDeps,
  toPaperDemandRow,
} from './paper-demand-row.ts';

/** Tables paper_demands and paper_demand_holders; rows of the first are made and opened in paper-demand-row.ts. */

type Handle = Kysely<Tables> | Transaction<Tables>;

const columns = [
  'paper_demand_id',
  'department_code',
  'client_id',
  'matter_code',
  'state',
  'due_at',
  'created_at',
  'settled_at',
  'forgotten_at',
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

/** Until the transaction ends nobody else puts a demand on file that concerns one of these parties; in one order, so that none wait for each other. */
export async function holdParties(
  trx: Transaction<Tables>,
  { keys }: PaperDemandStoreDeps,
  demand: Pick<PaperDemand, 'parties'>,
): Promise<void> {
  for (const name of partyKeys(keys, demand)
    .map((key) => key.toString('hex'))
    .toSorted()) {
    await sql`select pg_advisory_xact_lock(hashtextextended(${name}, 9))`.execute(trx);
  }
}

/** Puts a demand on file, and under each of its parties. */
export async function insertPaperDemand(
  trx: Transaction<Tables>,
  deps: PaperDemandStoreDeps,
  demand: PaperDemand,
): Promise<void> {
  await trx.insertInto('paper_demands').values(toPaperDemandRow(deps, demand)).execute();
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
  demand: AnyPaperDemand,
): Promise<void> {
  const { matter_code, state, due_at, settled_at, forgotten_at, box } = toPaperDemandRow(deps, demand);
  await trx
    .updateTable('paper_demands')
    .set({ matter_code, state, due_at, settled_at, forgotten_at, box })
    .where('paper_demand_id', '=', demand.paperDemandId)
    .execute();
}

/** One demand as it stands; with `lock` its row is held until the transaction ends. */
export async function findPaperDemand(
  handle: Handle,
  deps: PaperDemandStoreDeps,
  paperDemandId: string,
  { lock = false }: { readonly lock?: boolean } = {},
): Promise<AnyPaperDemand | undefined> {
  const query = handle
    .selectFrom('paper_demands')
    .select([...columns])
    .where('paper_demand_id', '=', paperDemandId);
  const row = await (lock ? query.forUpdate() : query).executeTakeFirst();
  return row === undefined ? undefined : fromPaperDemandRow(deps, row);
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
  readonly items: readonly AnyPaperDemand[];
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
    items: rows.slice(0, limit).flatMap((row) => fromPaperDemandRow(deps, row) ?? []),
    ...(last !== undefined && { next: last.paper_demand_id }),
  };
}

const readAtOnce = 1_000;

/** Every demand of a filter, newest first, page by page: however many there are, others are served in between. */
export async function* everyPaperDemand(
  handle: Handle,
  deps: PaperDemandStoreDeps,
  filter: Omit<PaperDemandFilter, 'after' | 'limit'>,
): AsyncGenerator<AnyPaperDemand> {
  for (let after: string | undefined; ; ) {
    const page = { ...filter, limit: readAtOnce, ...(after !== undefined && { after }) };
    const { items, next } = await listPaperDemandRows(handle, deps, page);
    yield* items;
    if (next === undefined) return;
    after = next;
  }
}

/**
 * Forgets a batch of settled demands whose rows nobody else holds, and of whom they were. One that was written past the hub is left as it
 * is, and reported.
 */
export async function forgetPaperDemands(
  trx: Transaction<Tables>,
  deps: PaperDemandStoreDeps,
  { settledBefore, after, limit, at }: SettledRows,
): Promise<ForgottenRows> {
  let query = trx
    .selectFrom('paper_demands')
    .select([...columns])
    .where('settled_at', '<', settledBefore)
    .where('forgotten_at', 'is', null)
    .orderBy('paper_demand_id')
    .limit(limit)
    .forUpdate()
    .skipLocked();
  if (after !== undefined) query = query.where('paper_demand_id', '>', after);
  const rows = await query.execute();
  let forgotten = 0;
  for (const row of rows) {
    const demand = fromPaperDemandRow(deps, row);
    if (demand === undefined || 'forgottenAt' in demand) continue;
    await updatePaperDemand(trx, deps, forgottenPaperDemand(demand, at));
    await trx.deleteFrom('paper_demand_holders').where('paper_demand_id', '=', demand.paperDemandId).execute();
    forgotten += 1;
  }
  return { forgotten, last: rows.length === limit ? rows.at(-1)?.paper_demand_id : undefined };
}

const checkedAtOnce = 500;

/**
 * Which rows of both tables the hub did not write, and which demands are hidden from a party, or found under somebody who is none, as
 * nobody is of a forgotten one; each is reported. For the self-check: of how many steps each demand is.
 */
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
    for (const { paperDemandId, ...demand } of items) {
      steps.set(paperDemandId, demand.history.length);
      const parties = 'forgottenAt' in demand ? {} : demand.parties;
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
