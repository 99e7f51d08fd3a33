import { matterToSearch } from '../audit/record-body.ts';
import type { Tables } from '../db/tables.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import { type AnyPaperDemand, demandSettledAt, type ForgottenPaperDemand } from './forgetting.ts';
import type { PaperDemand, PaperDemandState, PaperDemandStep } from './paper-demand.ts';

/**
 * Rows of table paper_demands. Whom a demand concerns and what was said stands in its box alone, which binds every column: a row that was
 * written past the hub is not used and is reported. So nobody empties one by SQL and calls it forgotten.
 */

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
      instant(row.settled_at),
      instant(row.forgotten_at),
    ]),
  );

/** As JSON keeps it: times as text. */
type Body = Omit<
  PaperDemand,
  'paperDemandId' | 'departmentCode' | 'clientId' | 'state' | 'dueAt' | 'createdAt' | 'history'
> & { readonly history: readonly (Omit<PaperDemandStep, 'at'> & { readonly at: string })[] };

/** The row of a demand. A forgotten one has no matter either. */
export function toPaperDemandRow({ keys }: Pick<PaperDemandStoreDeps, 'keys'>, demand: AnyPaperDemand): Row {
  const { paperDemandId, departmentCode, clientId, state, dueAt, createdAt, ...rest } = demand;
  const { forgottenAt, ...said } = { forgottenAt: undefined, ...rest };
  const row = {
    paper_demand_id: paperDemandId,
    department_code: departmentCode,
    client_id: clientId,
    matter_code: 'matterCode' in demand ? matterToSearch(demand.matterCode) : null,
    state,
    due_at: dueAt ?? null,
    created_at: createdAt,
    settled_at: demandSettledAt(demand) ?? null,
    forgotten_at: forgottenAt ?? null,
  };
  return { ...row, box: keys.box.seal(boundTo(row), Buffer.from(JSON.stringify(said))) };
}

/** The demand of a row, or undefined, and reported, when the row was not written by the hub. */
export function fromPaperDemandRow({ keys, tampered }: PaperDemandStoreDeps, row: Row): AnyPaperDemand | undefined {
  let opened: Buffer;
  try {
    opened = keys.box.open(boundTo(row), row.box);
  } catch {
    tampered('paper_demands', row.paper_demand_id);
    return undefined;
  }
  const { history, ...said } = JSON.parse(opened.toString('utf8')) as Body;
  const columns = {
    paperDemandId: row.paper_demand_id,
    departmentCode: row.department_code,
    clientId: row.client_id,
    state: row.state as PaperDemandState,
    ...(row.due_at !== null && { dueAt: row.due_at }),
    createdAt: row.created_at,
    history: history.map((step) => ({ ...step, at: new Date(step.at) })),
  };
  if (row.forgotten_at !== null) {
    const { reportedBy, sameAs, reason, judged } = said;
    return {
      ...columns,
      reportedBy,
      ...(sameAs !== undefined && { sameAs }),
      ...(reason !== undefined && { reason }),
      judged,
      forgottenAt: row.forgotten_at,
    } satisfies ForgottenPaperDemand;
  }
  return { ...said, ...columns };
}
