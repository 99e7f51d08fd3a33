import { sql } from 'kysely';
import type { Database } from '../../db/database.ts';
import { canonicalJson } from '../../verification/canonical-json.ts';
import { memberOf } from '../body-values.ts';
import { kindName, type RecordKind, recordKinds } from '../entry.ts';
import { openRecord, type RecordKeys } from '../open-record.ts';
import { monthOf, type RecordBody } from '../record-body.ts';
import { type RecordRow, recordColumns } from '../store.ts';
import {
  type ClientStanding,
  type ErasureTarget,
  erasureState,
  type JudgedDecision,
  type JudgedErasure,
} from './erasure.ts';

/** One step of an erasure as its record says it: the evidence. */
export interface ErasureStep {
  readonly recordId: string;
  readonly row: RecordRow;
  readonly erasureId: string;
  readonly step: 'proposed' | 'approved' | 'rejected' | 'executed';
  readonly target: ErasureTarget;
  readonly body: RecordBody;
}

/** A record of an erasure that does not open as the hub wrote it. */
export interface TamperedStep {
  readonly recordId: string;
  readonly tampered: true;
}

const batch = 500;

/** Every step of every erasure recorded at or after a time, oldest first, in bounded memory. */
export async function* readErasureSteps(
  db: Pick<Database, 'kysely'>,
  keys: RecordKeys,
  since: Date = new Date(0),
): AsyncGenerator<ErasureStep | TamperedStep> {
  let after = { at: since, id: '00000000-0000-0000-0000-000000000000' };
  for (;;) {
    const rows = await db.kysely
      .selectFrom('records')
      .select([...recordColumns])
      .where('kind', '=', recordKinds.erasure)
      .where(sql<boolean>`(recorded_at, record_id) > (${after.at}, ${after.id}::uuid)`)
      .orderBy('recorded_at')
      .orderBy('record_id')
      .limit(batch)
      .execute();
    for (const row of rows) {
      const opened = openRecord(keys, row);
      const step = opened.state === 'whole' ? stepOf(row, opened.opened.body) : undefined;
      yield step ?? { recordId: row.record_id, tampered: true };
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < batch) return;
    after = { at: last.recorded_at, id: last.record_id };
  }
}

function stepOf(row: RecordRow, body: RecordBody): ErasureStep | undefined {
  const detail = body['detail'] as Partial<Omit<ErasureStep, 'row' | 'body' | 'recordId'>> | null;
  const { erasureId, step, target } = detail ?? {};
  if (body['kind'] !== 'erasure' || erasureId === undefined || step === undefined || target === undefined)
    return undefined;
  return { recordId: row.record_id, row, erasureId, step, target, body };
}

/** Whether an erasure was approved, by the rules of approving and by what the records of its steps say; the register is not asked. */
export function isApprovedByRecords(steps: readonly ErasureStep[]): boolean {
  const proposal = steps.find(({ step }) => step === 'proposed');
  const proposer = proposal && actorOf(proposal);
  if (proposal === undefined || proposer === undefined) return false;
  const decisions = steps.flatMap((each): JudgedDecision[] => {
    if (each.step !== 'approved' && each.step !== 'rejected') return [];
    const actor = actorOf(each);
    const decision = each.step === 'approved' ? 'approve' : 'reject';
    return actor === undefined ? [] : [{ ...actor, decision }];
  });
  const erasure: JudgedErasure = { ...proposer, createdAt: proposal.row.recorded_at };
  return erasureState({ erasure, decisions }) === 'approved';
}

function actorOf({ body }: ErasureStep): Omit<JudgedDecision, 'decision'> | undefined {
  const officer = body['officer'] as JudgedDecision['officer'] | null;
  const client = body['client'] as { readonly clientId: string; readonly department: string } | null;
  if (officer === null || client === null) return undefined;
  const { approver } = body['detail'] as { readonly approver?: Omit<ClientStanding, 'department'> };
  const standing = approver && { ...approver, department: client.department };
  return { officer, clientId: client.clientId, standing };
}

/** The erasure that took a record's body. */
export interface ErasedBy {
  readonly erasureId: string;
  /** The record of its execution. */
  readonly recordId: string;
  /** When that was recorded: bodies go then, or soon after. */
  readonly at: Date;
}

/** A record by what is left of it when its body is gone. */
export interface BodyPlace {
  readonly recordId: string;
  /** 'YYYY-MM', UTC. */
  readonly month: string;
  /** Name of the kind; of one that nobody knows, anything else. */
  readonly kind: string;
}

/** Which bodies are gone by right; a missing one that nothing covers was taken away. */
export interface ErasedBodies {
  /** The executed erasure that covers a record. Never one of kinds 5 to 8, which are evidence. */
  readonly coverOf: (row: Pick<RecordRow, 'record_id' | 'recorded_at' | 'kind'>) => ErasedBy | undefined;
  /** The same, with what the erasure was of. */
  readonly executionOf: (place: BodyPlace) => (ErasedBy & { readonly target: ErasureTarget }) | undefined;
  readonly isEmpty: boolean;
  /** Records of erasures that do not open: findings of their own, and what they covered is covered by nothing. */
  readonly tampered: readonly string[];
}

/** Records of these kinds stay for good, whatever an erasure says. */
const evidence = new Set<string>(['erasure', 'month_seal', 'key_event', 'release'] satisfies RecordKind[]);

/**
 * What executed erasures cover, for everybody who meets a record without a body, or with one under a destroyed month key: search, report,
 * export, the self-check, and whoever destroys keys. An execution is believed when the records of its erasure approve the same target, by
 * the rules of approving; that of a single record, when it names the leaf that is the record's. The tables of erasures are only a
 * register and prove nothing. A body that is still there although covered is an execution that was interrupted (`certhub audit erase`
 * again finishes it), no tampering. Memory grows with the erasures on record, not with what they erased.
 */
export async function readErasedBodies(db: Pick<Database, 'kysely'>, keys: RecordKeys): Promise<ErasedBodies> {
  const cases = new Map<string, ErasureStep[]>();
  const tampered: string[] = [];
  for await (const step of readErasureSteps(db, keys)) {
    if ('tampered' in step) {
      tampered.push(step.recordId);
      continue;
    }
    const erasure = `${step.erasureId} ${canonicalJson(JSON.parse(JSON.stringify(step.target)))}`;
    cases.set(erasure, [...(cases.get(erasure) ?? []), step]);
  }
  const approved = [...cases.values()].filter(isApprovedByRecords).flat();
  const executed = await ofTheirLeaves(
    db,
    approved.filter(({ step }) => step === 'executed'),
  );
  const records = new Map<string, ErasureStep>();
  const months = new Map<string, ErasureStep>();
  for (const step of executed) {
    if ('recordId' in step.target) records.set(step.target.recordId, step);
    else for (const kind of step.target.kinds) months.set(`${step.target.month} ${kind}`, step);
  }
  const stepOn = ({ recordId, month, kind }: BodyPlace): ErasureStep | undefined =>
    evidence.has(kind) ? undefined : (records.get(recordId) ?? months.get(`${month} ${kind}`));
  return {
    tampered,
    isEmpty: executed.length === 0,
    executionOf: (place) => {
      const step = stepOn(place);
      return step && { ...erasedBy(step), target: step.target };
    },
    coverOf: ({ record_id: recordId, recorded_at, kind: number }) => {
      const kind = kindName(number);
      const step = kind && stepOn({ recordId, month: monthOf(recorded_at), kind });
      return step && erasedBy(step);
    },
  };
}

const erasedBy = ({ erasureId, recordId, row }: ErasureStep): ErasedBy => ({
  erasureId,
  recordId,
  at: row.recorded_at,
});

/** Without the executions for a single record that name another leaf than the one that is its leaf. */
async function ofTheirLeaves(
  db: Pick<Database, 'kysely'>,
  executed: readonly ErasureStep[],
): Promise<readonly ErasureStep[]> {
  const ids = executed.flatMap(({ target }) => ('recordId' in target ? [target.recordId] : []));
  if (ids.length === 0) return executed;
  const leaves = await db.kysely
    .selectFrom('log_leaf')
    .select(['record_id', 'leaf_index'])
    .where(sql<boolean>`record_id = any(${ids}::uuid[])`)
    .execute();
  const indexOf = new Map(leaves.map(({ record_id, leaf_index }) => [record_id, leaf_index]));
  return executed.filter(({ target, body }) => {
    if (!('recordId' in target)) return true;
    const index = indexOf.get(target.recordId);
    return index !== undefined && index === memberOf(body['detail'], 'leafIndex');
  });
}

/** What an erasure leaves of a row beside lane, id, time, kind and commitment: nothing. Pseudonyms are personal data too. */
export const erasedColumns = {
  body: null,
  action: '',
  outcome: '',
  code: null,
  client_id: null,
  department_code: null,
  matter_code: null,
  case_key: null,
  officer_key: null,
  holder_key: null,
  other_holder_keys: null,
  level: null,
  certificates: null,
  certificate_types: null,
  release_at: null,
} as const satisfies Partial<RecordRow>;

/** Names of the columns of a row without a body that an erasure would have emptied; none for a sound one. */
export const columnsLeft = (row: RecordRow): string[] =>
  Object.entries(erasedColumns).flatMap(([name, empty]) => (row[name as keyof RecordRow] === empty ? [] : [name]));
