import type { Database } from '../../db/database.ts';
import { transaction } from '../../db/transaction.ts';
import { Refusal } from '../../errors.ts';
import { newId, type RecordId } from '../../ids.ts';
import type { EncryptionKeys, IndexKeys } from '../../signing/data-keys.ts';
import type { HubKey } from '../../signing/key-store.ts';
import { memberOf } from '../body-values.ts';
import { recordKinds } from '../entry.ts';
import { type LeafRow, readLeafOf } from '../log/log-store.ts';
import { whyNotPublished } from '../log/published-proof.ts';
import { openRecord } from '../open-record.ts';
import type { RecordIn } from '../record.ts';
import { selectByPlace } from '../search/search-store.ts';
import { checkTarget } from './check-target.ts';
import { type ErasureStep, erasedColumns, isApprovedByRecords, readErasureSteps } from './erased-by.ts';
import {
  type ErasureCase,
  type ErasureTarget,
  erasureState,
  kindNumbers,
  type MonthTarget,
  monthEnd,
  monthStart,
  type Retention,
} from './erasure.ts';
import { type ErasureKeys, holdErasure, insertExecution, readErasure } from './erasure-store.ts';

/** What executing needs. The database is reached as the owner of its tables: the service cannot change a record (invariant 6). */
export interface ExecuteErasureDeps {
  readonly db: Database;
  readonly keys: ErasureKeys & Pick<EncryptionKeys, 'recordBox'> & Pick<IndexKeys, 'searchKeys'>;
  readonly hubKeys: readonly HubKey[];
  readonly logOrigin: string;
  readonly recordIn: RecordIn;
  readonly retention: Retention;
  readonly now: () => Date;
  /** Told after every batch how many bodies have gone so far. */
  readonly progress?: (erased: number, bodies: number) => void | Promise<void>;
}

export interface ExecutedErasure {
  readonly erasureId: string;
  readonly target: ErasureTarget;
  /** The record that it was executed. */
  readonly recordId: string;
  /** Bodies there were when it was first executed. */
  readonly bodies: number;
  /** Bodies this call took. */
  readonly erased: number;
  /** True when an earlier call had begun it. */
  readonly resumed: boolean;
}

/** Rows of one transaction. */
const batchRows = 2_000;

/**
 * Executes an erasure that two approved. Order: the rows and the records of every step agree and are the hub's; each step is covered by
 * the published checkpoint, so that it can never be unsaid; the target may still go. Then one transaction records `executed` and, for a
 * single record, takes its body. The bodies of a month follow in bounded transactions: the evidence first, so that a body missing
 * without evidence never exists, not even after a crash; a second call goes on where the first stopped.
 *
 * Leaf, commitment, id, time and kind of every record stay; so does its row. Refuses `erasure_unknown`, `erasure_closed`,
 * `erasure_not_approved`, `erasure_not_published`, `stored_data_tampered`, and what proposing refuses of a target.
 */
export async function executeErasure(deps: ExecuteErasureDeps, erasureId: string): Promise<ExecutedErasure> {
  const { db, keys } = deps;
  const found = await readErasure(db.kysely, keys, erasureId);
  if (found === undefined) throw new Refusal('erasure_unknown');
  const { target } = found.erasure;
  const resumed = found.execution !== undefined;
  requireApproved(found);
  await proveSteps(deps, found);
  if (!resumed) await checkTarget(deps, target, deps.now());
  if ('month' in target && !resumed) await proveSeal(deps, target.month);
  const begun = await begin(deps, found);
  const erased = 'month' in target ? await eraseMonth(deps, target, begun.bodies) : begun.erased;
  return { erasureId, target, recordId: begun.recordId, bodies: begun.bodies, erased, resumed };
}

function requireApproved(found: ErasureCase): void {
  const state = erasureState(found);
  if (state === 'rejected') throw new Refusal('erasure_closed', { state });
  if (state === 'proposed') throw new Refusal('erasure_not_approved');
}

/**
 * The register against the evidence: for each row its record and for each record its row. A rejection whose row was removed, or an
 * approval that no officer made, shows here.
 */
async function proveSteps(deps: ExecuteErasureDeps, found: ErasureCase): Promise<void> {
  const { erasure } = found;
  const { erasureId } = erasure;
  const tampered = (recordId: string): never => {
    throw new Refusal('stored_data_tampered', { erasureId, recordId });
  };
  const steps = new Map<string, ErasureStep>();
  const expected: ErasureStep[] = [];
  // The proposal was recorded within its own transaction, by the same clock.
  const since = new Date(erasure.createdAt.getTime() - 86_400_000);
  for await (const step of readErasureSteps(deps.db, deps.keys, since)) {
    if ('tampered' in step) tampered(step.recordId);
    else if (step.erasureId === erasureId) steps.set(step.recordId, step);
  }
  for (const [recordId, name, officer] of expectedSteps(found)) {
    const step = steps.get(recordId);
    steps.delete(recordId);
    if (step === undefined || step.step !== name || !saysSo(step, erasure.target, officer)) return tampered(recordId);
    expected.push(step);
    const reason = name === 'executed' ? undefined : await whyNotPublished(deps, step.row);
    if (reason !== undefined) throw new Refusal('erasure_not_published', { recordId, reason });
  }
  const [unknown] = steps.keys();
  if (unknown !== undefined) tampered(unknown);
  // Judged once more by what the records say: the rows could have been made by other rules, or other hands.
  if (!isApprovedByRecords(expected)) tampered(erasure.recordId);
}

type ExpectedStep = readonly [recordId: string, step: ErasureStep['step'], officer: string | undefined];

/** The records that the rows of an erasure name. */
const expectedSteps = ({ erasure, decisions, execution }: ErasureCase): ExpectedStep[] => [
  [erasure.recordId, 'proposed', erasure.officer.id],
  ...decisions.map(
    ({ recordId, decision, officer }): ExpectedStep => [
      recordId,
      decision === 'approve' ? 'approved' : 'rejected',
      officer.id,
    ],
  ),
  ...(execution === undefined ? [] : [[execution.recordId, 'executed', undefined] as const]),
];

function saysSo(step: ErasureStep, target: ErasureTarget, officer: string | undefined): boolean {
  return (
    JSON.stringify(sorted(step.target)) === JSON.stringify(sorted(target)) &&
    memberOf(step.body['officer'], 'id') === officer
  );
}

const sorted = (target: ErasureTarget): unknown =>
  'recordId' in target ? [target.recordId] : [target.month, [...target.kinds].toSorted()];

/** The month's seal is a published record of the hub, not merely a row. */
async function proveSeal(deps: ExecuteErasureDeps, month: string): Promise<void> {
  const { db, keys } = deps;
  const seal = await db.kysely
    .selectFrom('record_months')
    .select('seal_record_id')
    .where('month', '=', month)
    .executeTakeFirst();
  const leaf = seal && (await readLeafOf(db, seal.seal_record_id));
  const [row] = leaf === undefined ? [] : await selectByPlace(db, [leaf]);
  const opened = row && openRecord(keys, row);
  const said = opened?.state === 'whole' ? memberOf(opened.opened.body['detail'], 'month') : undefined;
  if (row === undefined || row.kind !== recordKinds.month_seal || said !== month) {
    throw new Refusal('stored_data_tampered', { month });
  }
  const reason = await whyNotPublished(deps, row);
  if (reason !== undefined) throw new Refusal('erasure_not_published', { recordId: row.record_id, reason });
}

interface Begun {
  readonly recordId: string;
  readonly bodies: number;
  /** Bodies taken in the same transaction. */
  readonly erased: number;
}

/** Records the execution, once; whoever comes second finds it done. */
function begin(deps: ExecuteErasureDeps, { erasure }: ErasureCase): Promise<Begun> {
  const { db, keys, recordIn, now } = deps;
  const { erasureId, target, legalBasis } = erasure;
  return transaction(db, async (trx) => {
    await holdErasure(trx, erasureId);
    const current = await readErasure(trx, keys, erasureId);
    if (current === undefined) throw new Refusal('erasure_unknown');
    if (current.execution !== undefined) {
      const { recordId, bodies } = current.execution;
      return { recordId, bodies, erased: 0 };
    }
    requireApproved(current);
    const recordId = newId<RecordId>();
    const at = now();
    const bodies = 'month' in target ? await countBodies(trx, target) : 1;
    const leaf = 'month' in target ? undefined : await leafOf(trx, target.recordId);
    await insertExecution(trx, keys, { erasureId, recordId, bodies, at });
    await recordIn(trx, {
      recordId,
      kind: 'erasure',
      action: 'executeErasure',
      outcome: 'done',
      requestId: `erasure-${erasureId}`,
      at,
      detail: {
        erasureId,
        step: 'executed',
        target,
        // The id alone would be our word, once the body is gone: the leaf is where the log has it.
        ...(leaf !== undefined && { leafIndex: leaf.leaf_index }),
        legalBasis,
        bodies,
        approvals: current.decisions.map((each) => each.recordId),
      },
    });
    const erased = leaf === undefined ? 0 : await eraseOne(trx, leaf);
    return { recordId, bodies, erased };
  });
}

type Trx = Parameters<Parameters<typeof transaction>[1]>[0];

async function countBodies(trx: Trx, target: MonthTarget): Promise<number> {
  const row = await trx
    .selectFrom('records')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('recorded_at', '>=', monthStart(target.month))
    .where('recorded_at', '<', monthEnd(target.month))
    .where('kind', 'in', kindNumbers(target))
    .where('body', 'is not', null)
    .executeTakeFirstOrThrow();
  return row.n;
}

/** Columns of an emptied row, as SQL; the same for one record and for a month. */
const emptied = Object.entries(erasedColumns)
  .map(([name, value]) => `${name} = ${value === null ? 'null' : `'${value}'`}`)
  .join(', ');

type LeafPlace = Pick<LeafRow, 'leaf_index' | 'lane' | 'recorded_at' | 'record_id'>;

async function leafOf(trx: Trx, recordId: string): Promise<LeafPlace> {
  const leaf = await trx
    .selectFrom('log_leaf')
    .select(['leaf_index', 'lane', 'recorded_at', 'record_id'])
    .where('record_id', '=', recordId)
    .executeTakeFirst();
  if (leaf === undefined) throw new Refusal('stored_data_tampered', { recordId });
  return leaf;
}

async function eraseOne(trx: Trx, leaf: LeafPlace): Promise<number> {
  const result = await trx
    .updateTable('records')
    .set(erasedColumns)
    .where('lane', '=', leaf.lane)
    .where('recorded_at', '=', leaf.recorded_at)
    .where('record_id', '=', leaf.record_id)
    .where('kind', '<=', recordKinds.audit_read)
    .where('body', 'is not', null)
    .executeTakeFirst();
  // Another erasure took it since it was looked at: this one is undone, its record included.
  if (result.numUpdatedRows !== 1n) throw new Refusal('erasure_target_invalid', { rule: 'already_erased' });
  return 1;
}

const eraseBatch = {
  name: 'records_erase',
  text: `with batch as (
      select lane, recorded_at, record_id from records
      where recorded_at >= $1 and recorded_at < $2 and kind = any($3::smallint[]) and (recorded_at, record_id) > ($4, $5::uuid)
      order by recorded_at, record_id limit ${batchRows}),
    gone as (
      update records r set ${emptied} from batch b
      where r.lane = b.lane and r.recorded_at = b.recorded_at and r.record_id = b.record_id
        and r.recorded_at >= $1 and r.recorded_at < $2 and r.body is not null
      returning 1)
    select recorded_at, record_id, (select count(*) from gone)::int as erased from batch
    order by recorded_at desc, record_id desc limit 1`,
};

/** Walks the month in order of time; what is gone already is passed over, so that a second walk finishes a broken first. */
async function eraseMonth({ db, progress }: ExecuteErasureDeps, target: MonthTarget, bodies: number): Promise<number> {
  const [start, end, kinds] = [monthStart(target.month), monthEnd(target.month), kindNumbers(target)];
  let after: { readonly recorded_at: Date; readonly record_id: string } = {
    recorded_at: start,
    record_id: '00000000-0000-0000-0000-000000000000',
  };
  for (let erased = 0; ; ) {
    const values = [start, end, kinds, after.recorded_at, after.record_id];
    const [last] = await db.query<typeof after & { erased: number }>(eraseBatch, values);
    if (last === undefined) return erased;
    after = last;
    erased += last.erased;
    await progress?.(erased, bodies);
  }
}
