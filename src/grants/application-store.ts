import { type Kysely, sql, type Transaction } from 'kysely';
import type { Tables } from '../db/tables.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import type { ApplicationState, ApplicationStep, GrantApplication, GrantScope } from './application.ts';
import type { RowMacs } from './store.ts';

/**
 * Table grant_applications. Every row bears the hub's MAC over its columns: nobody approves by SQL. What officials wrote in their own
 * words stands in a box: it may speak of people.
 */

type Handle = Kysely<Tables> | Transaction<Tables>;
type Row = Tables['grant_applications'];

/** Makes and checks what protects a row: its MAC, and the box of its body. */
export interface ApplicationKeys extends RowMacs {
  readonly box: {
    seal(boundTo: Uint8Array, plain: Uint8Array): Buffer;
    open(boundTo: Uint8Array, sealed: Uint8Array): Buffer;
  };
}
export interface ApplicationStoreDeps {
  readonly keys: ApplicationKeys;
  /** Told of every row that was written past the hub; such a row is not used. */
  readonly tampered: (table: string, id: string) => void;
}

const kind = 'grant_application';
const bound = (id: string): Buffer => Buffer.from(`grant_applications ${id}`);

/** What the MAC of a row covers: every column but the MAC. */
const covered = (row: Omit<Row, 'mac'>): Buffer =>
  Buffer.from(
    canonicalJson([
      row.application_id,
      row.client_id,
      row.owner_department_code,
      row.state,
      row.due_at.getTime(),
      row.body.toString('hex'),
      row.created_at.getTime(),
    ]),
  );

function toRow({ keys }: ApplicationStoreDeps, application: GrantApplication): Row {
  const { applicationId, clientId, ownerDepartmentCode, state, dueAt, createdAt, ...said } = application;
  const row = {
    application_id: applicationId,
    client_id: clientId,
    owner_department_code: ownerDepartmentCode,
    state,
    due_at: dueAt,
    body: keys.box.seal(bound(applicationId), Buffer.from(canonicalJson(JSON.parse(JSON.stringify(said))))),
    created_at: createdAt,
  };
  return { ...row, mac: keys.rowMac(kind, covered(row)) };
}

/** As JSON keeps it: times as text. */
type ToldScope = Omit<GrantScope, 'validUntil'> & { readonly validUntil?: string };
type ToldStep = Omit<ApplicationStep, 'at'> & { readonly at: string };
type Body = Pick<
  GrantApplication,
  | 'departmentCode'
  | 'certificateTypeCode'
  | 'legalGround'
  | 'safeguards'
  | 'renews'
  | 'demandId'
  | 'hubDecides'
  | 'grantId'
> & { readonly wanted: ToldScope; readonly allowed?: ToldScope; readonly history: readonly ToldStep[] };

const scopeFrom = ({ validUntil, ...scope }: ToldScope): GrantScope => ({
  ...scope,
  ...(validUntil !== undefined && { validUntil: new Date(validUntil) }),
});

/** The application of a row, or undefined, and reported, when the row was not written by the hub. */
function fromRow({ keys, tampered }: ApplicationStoreDeps, row: Row): GrantApplication | undefined {
  if (!keys.verifyRowMac(kind, covered(row), row.mac)) {
    tampered('grant_applications', row.application_id);
    return undefined;
  }
  const opened = keys.box.open(bound(row.application_id), row.body).toString('utf8');
  const { wanted, allowed, history, ...said } = JSON.parse(opened) as Body;
  return {
    ...said,
    wanted: scopeFrom(wanted),
    ...(allowed !== undefined && { allowed: scopeFrom(allowed) }),
    history: history.map((step) => ({ ...step, at: new Date(step.at) })),
    applicationId: row.application_id,
    clientId: row.client_id,
    ownerDepartmentCode: row.owner_department_code,
    state: row.state as ApplicationState,
    dueAt: row.due_at,
    createdAt: row.created_at,
  };
}

const columns = [
  'application_id',
  'client_id',
  'owner_department_code',
  'state',
  'due_at',
  'body',
  'created_at',
  'mac',
] as const;
const open = ['awaiting_owner', 'awaiting_hub', 'prepared'] as const satisfies readonly ApplicationState[];

export async function insertApplication(
  trx: Transaction<Tables>,
  deps: ApplicationStoreDeps,
  application: GrantApplication,
): Promise<void> {
  await trx.insertInto('grant_applications').values(toRow(deps, application)).execute();
}

/** Writes what became of an application whose row is locked. */
export async function updateApplication(
  trx: Transaction<Tables>,
  deps: ApplicationStoreDeps,
  application: GrantApplication,
): Promise<void> {
  const { state, due_at, body, mac } = toRow(deps, application);
  await trx
    .updateTable('grant_applications')
    .set({ state, due_at, body, mac })
    .where('application_id', '=', application.applicationId)
    .execute();
}

/** One application as it stands. */
export async function findApplication(
  handle: Handle,
  deps: ApplicationStoreDeps,
  applicationId: string,
): Promise<GrantApplication | undefined> {
  const row = await handle
    .selectFrom('grant_applications')
    .select([...columns])
    .where('application_id', '=', applicationId)
    .executeTakeFirst();
  return row === undefined ? undefined : fromRow(deps, row);
}

/** Reads one application for a change and holds its row until the transaction ends. */
export async function lockApplication(
  trx: Transaction<Tables>,
  deps: ApplicationStoreDeps,
  applicationId: string,
): Promise<GrantApplication | undefined> {
  const row = await trx
    .selectFrom('grant_applications')
    .select([...columns])
    .where('application_id', '=', applicationId)
    .forUpdate()
    .executeTakeFirst();
  return row === undefined ? undefined : fromRow(deps, row);
}

/** Until the end of the transaction this client makes no other application: two equal ones at once cannot both find none. */
export async function holdClient(trx: Transaction<Tables>, clientId: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${clientId}, 7))`.execute(trx);
}

/** The client's applications that somebody still has to decide, oldest first. */
export async function openApplicationsOf(
  handle: Handle,
  deps: ApplicationStoreDeps,
  clientId: string,
): Promise<GrantApplication[]> {
  const rows = await handle
    .selectFrom('grant_applications')
    .select([...columns])
    .where('client_id', '=', clientId)
    .where('state', 'in', [...open])
    .orderBy('application_id')
    .execute();
  return rows.flatMap((row) => fromRow(deps, row) ?? []);
}

/** Open applications whose decision is late at that moment. */
export async function overdueApplications(
  handle: Handle,
  deps: ApplicationStoreDeps,
  at: Date,
): Promise<GrantApplication[]> {
  const rows = await handle
    .selectFrom('grant_applications')
    .select([...columns])
    .where('state', 'in', [...open])
    .where('due_at', '<=', at)
    .execute();
  return rows.flatMap((row) => fromRow(deps, row) ?? []);
}

const checkedAtOnce = 500;

/** Reads every application, so that those the hub did not write are reported. For the self-check: of how many steps each is. */
export async function checkApplications(
  trx: Transaction<Tables>,
  deps: ApplicationStoreDeps,
): Promise<ReadonlyMap<string, number>> {
  const steps = new Map<string, number>();
  for (let after: string | undefined; ; ) {
    const page = { of: undefined, limit: checkedAtOnce, ...(after !== undefined && { after }) };
    const { items, next } = await listApplicationRows(trx, deps, page);
    for (const { applicationId, history } of items) steps.set(applicationId, history.length);
    if (next === undefined) return steps;
    after = next;
  }
}

/** Which applications to list. */
export interface ApplicationFilter {
  /** Those of a client or for types of a department, either of them enough; undefined: all. */
  readonly of: { readonly clientId?: string; readonly ownerDepartmentCode?: string } | undefined;
  readonly state?: ApplicationState;
  /** Open ones whose decision is due after `from` and until `to`. */
  readonly due?: { readonly from?: Date; readonly to: Date };
  readonly after?: string;
  readonly limit: number;
}

/** Applications newest first. The cursor comes from the rows: one that was tampered with is left out and does not end the list. */
export async function listApplicationRows(
  handle: Handle,
  deps: ApplicationStoreDeps,
  { of, state, due, after, limit }: ApplicationFilter,
): Promise<{ readonly items: readonly GrantApplication[]; readonly next?: string }> {
  let query = handle
    .selectFrom('grant_applications')
    .select([...columns])
    .orderBy('application_id', 'desc')
    .limit(limit + 1);
  if (of !== undefined) {
    query = query.where((where) =>
      where.or([
        ...(of.clientId === undefined ? [] : [where('client_id', '=', of.clientId)]),
        ...(of.ownerDepartmentCode === undefined ? [] : [where('owner_department_code', '=', of.ownerDepartmentCode)]),
      ]),
    );
  }
  if (state !== undefined) query = query.where('state', '=', state);
  if (due !== undefined) query = query.where('state', 'in', [...open]).where('due_at', '<=', due.to);
  if (due?.from !== undefined) query = query.where('due_at', '>', due.from);
  if (after !== undefined) query = query.where('application_id', '<', after);
  const rows = await query.execute();
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  return {
    items: rows.slice(0, limit).flatMap((row) => fromRow(deps, row) ?? []),
    ...(last !== undefined && { next: last.application_id }),
  };
}
