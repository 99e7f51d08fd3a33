import { sql } from 'kysely';
import type { Database } from '../../db/database.ts';
import { kindName, recordKinds } from '../entry.ts';
import { openRecord, type RecordKeys } from '../open-record.ts';
import { monthOf, type RecordBody } from '../record-body.ts';
import { type RecordRow, recordColumns } from '../store.ts';
import type { ClientStanding, ErasureTarget, JudgedDecision, JudgedErasure } from './erasure.ts';

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

/** What the records of one erasure say of who proposed and who decided, or undefined when none of them is a proposal by somebody. */
export function judgedCase(
  steps: readonly ErasureStep[],
): { readonly erasure: JudgedErasure; readonly decisions: readonly JudgedDecision[] } | undefined {
  const proposal = steps.find(({ step }) => step === 'proposed');
  const proposer = proposal && actorOf(proposal);
  if (proposal === undefined || proposer === undefined) return undefined;
  const decisions = steps.flatMap((each): JudgedDecision[] => {
    if (each.step !== 'approved' && each.step !== 'rejected') return [];
    const actor = actorOf(each);
    const decision = each.step === 'approved' ? 'approve' : 'reject';
    return actor === undefined ? [] : [{ ...actor, decision }];
  });
  return { erasure: { ...proposer, createdAt: proposal.row.recorded_at }, decisions };
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

/** Which bodies are gone by right; a missing one that nothing covers was taken away. */
export interface ErasedBodies {
  /** The executed erasure that covers a record. Never one of kinds 5 to 8, which are evidence. */
  readonly coverOf: (row: Pick<RecordRow, 'record_id' | 'recorded_at' | 'kind'>) => ErasedBy | undefined;
  /** Records of erasures that do not open: findings of their own, and what they covered is covered by nothing. */
  readonly tampered: readonly string[];
}

/**
 * What the records of executed erasures cover, for everybody who meets a record without a body, or with one under a destroyed month key.
 * The tables of erasures are only a register and prove nothing. A body that is still there although covered is an execution that was
 * interrupted (`certhub audit erase` again finishes it), no tampering. The self-check asks for more: `readErasureCover`.
 */
export async function readErasedBodies(db: Pick<Database, 'kysely'>, keys: RecordKeys): Promise<ErasedBodies> {
  const records = new Map<string, ErasedBy>();
  const months = new Map<string, ErasedBy>();
  const tampered: string[] = [];
  for await (const step of readErasureSteps(db, keys)) {
    if ('tampered' in step) {
      tampered.push(step.recordId);
      continue;
    }
    if (step.step !== 'executed') continue;
    const by = { erasureId: step.erasureId, recordId: step.recordId, at: step.row.recorded_at };
    if ('recordId' in step.target) records.set(step.target.recordId, by);
    else for (const kind of step.target.kinds) months.set(`${step.target.month} ${kind}`, by);
  }
  return {
    tampered,
    coverOf: ({ record_id, recorded_at, kind }) => {
      const name = kindName(kind);
      if (name === undefined || kind > recordKinds.audit_read) return undefined;
      return records.get(record_id) ?? months.get(`${monthOf(recorded_at)} ${name}`);
    },
  };
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
