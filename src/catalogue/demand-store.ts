import type { Transaction } from 'kysely';
import type { Freshness, FreshView } from '../db/fresh.ts';
import type { Tables } from '../db/tables.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import type { Demand, DemandStep } from './demand.ts';
import type { RowMacs, Tampered } from './store.ts';

/**
 * Table demands: what departments declared. Every row bears the hub's MAC over its columns: nobody declares, assigns or answers by SQL.
 * What officials wrote in their own words stands in a box: it may speak of people.
 */

type Row = Tables['demands'];

/** Makes and checks what protects a row: its MAC, and the box of its body. */
export interface DemandKeys extends RowMacs {
  readonly box: {
    seal(boundTo: Uint8Array, plain: Uint8Array): Buffer;
    open(boundTo: Uint8Array, sealed: Uint8Array): Buffer;
  };
}
export interface DemandStoreDeps {
  readonly keys: DemandKeys;
  readonly tampered: Tampered;
}

/** Topic of `registry_versions` that every change of a demand bumps. */
export const demandsTopic = 'demands';

/** What departments declared, in order of their ids; kept in memory and never older than the freshness promises. */
export type DemandsView = FreshView<readonly Demand[]>;

export const watchDemands = (freshness: Pick<Freshness, 'watch'>, deps: DemandStoreDeps): DemandsView =>
  freshness.watch(demandsTopic, (snapshot) => readDemands(snapshot, deps));

const kind = 'demand';
const bound = (id: string): Buffer => Buffer.from(`demands ${id}`);

const covered = ({ demand_id, body, created_at }: Omit<Row, 'mac'>): Buffer =>
  Buffer.from(canonicalJson([demand_id, body.toString('hex'), created_at.getTime()]));

/** A demand as departments declare it. */
export type DeclaredDemand = Demand & Required<Pick<Demand, 'clientId' | 'createdAt' | 'dueAt'>>;

function toRow({ keys }: DemandStoreDeps, demand: DeclaredDemand): Row {
  const { demandId, createdAt, ...said } = demand;
  const row = {
    demand_id: demandId,
    body: keys.box.seal(bound(demandId), Buffer.from(canonicalJson(JSON.parse(JSON.stringify(said))))),
    created_at: createdAt,
  };
  return { ...row, mac: keys.rowMac(kind, covered(row)) };
}

/** As JSON keeps it: times as text. */
type Body = Omit<DeclaredDemand, 'demandId' | 'createdAt' | 'dueAt' | 'history'> & {
  readonly dueAt: string;
  readonly history: readonly (Omit<DemandStep, 'at'> & { readonly at: string })[];
};

/** The demand of a row, or undefined, and reported, when the row was not written by the hub. */
function fromRow({ keys, tampered }: DemandStoreDeps, row: Row): DeclaredDemand | undefined {
  if (!keys.verifyRowMac(kind, covered(row), row.mac)) {
    tampered('demands', row.demand_id);
    return undefined;
  }
  const { dueAt, history, ...said } = JSON.parse(
    keys.box.open(bound(row.demand_id), row.body).toString('utf8'),
  ) as Body;
  return {
    ...said,
    demandId: row.demand_id,
    createdAt: row.created_at,
    dueAt: new Date(dueAt),
    history: history.map((step) => ({ ...step, at: new Date(step.at) })),
  };
}

/** Reads every declared demand. Rows with a wrong MAC are reported and left out. */
export async function readDemands(
  db: Pick<Transaction<Tables>, 'selectFrom'>,
  deps: DemandStoreDeps,
): Promise<readonly DeclaredDemand[]> {
  const rows = await db.selectFrom('demands').selectAll().orderBy('demand_id').execute();
  return rows.flatMap((row) => fromRow(deps, row) ?? []);
}

export async function insertDemand(
  trx: Transaction<Tables>,
  deps: DemandStoreDeps,
  demand: DeclaredDemand,
): Promise<void> {
  await trx.insertInto('demands').values(toRow(deps, demand)).execute();
}

/** Reads one demand for a change and holds its row until the transaction ends. */
export async function lockDemand(
  trx: Transaction<Tables>,
  deps: DemandStoreDeps,
  demandId: string,
): Promise<DeclaredDemand | undefined> {
  const row = await trx
    .selectFrom('demands')
    .selectAll()
    .where('demand_id', '=', demandId)
    .forUpdate()
    .executeTakeFirst();
  return row === undefined ? undefined : fromRow(deps, row);
}

/** Writes what became of a demand whose row is locked. */
export async function updateDemand(
  trx: Transaction<Tables>,
  deps: DemandStoreDeps,
  demand: DeclaredDemand,
): Promise<void> {
  const { body, mac } = toRow(deps, demand);
  await trx.updateTable('demands').set({ body, mac }).where('demand_id', '=', demand.demandId).execute();
}
