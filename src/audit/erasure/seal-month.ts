import type { Database } from '../../db/database.ts';
import { transaction } from '../../db/transaction.ts';
import { idBytes, newId, type RecordId } from '../../ids.ts';
import { appendLeaf, emptyEdge, leafHash, rootOfEdge } from '../../verification/merkle.ts';
import type { RecordIn } from '../record.ts';
import { monthOf } from '../record-body.ts';
import { daysOf, monthEnd, monthStart } from './erasure.ts';
import { firstRecordedAt, sealedMonths } from './erasure-store.ts';

/** How long after a month's end nobody writes a record of it any more. */
const graceMs = 3_600_000;
const batchRows = 5_000;
const dayMs = 86_400_000;

/** Which records a month has. */
export interface MonthTree {
  readonly records: number;
  /** 32 bytes: RFC 6962 tree whose entries are record id (16 bytes) ‖ commitment (32 bytes), ascending by record id. */
  readonly root: Buffer;
}

/** `leaves_differ`: the log and the table disagree about how many records the month has: the self-check says which. */
export type SealOutcome = 'sealed' | 'sealed_by_another' | 'leaves_differ' | 'queued';

export interface SealDeps {
  readonly db: Database;
  readonly recordIn: RecordIn;
  readonly now: () => Date;
}

/**
 * Seals every month that has been over for an hour, from the first with a record on, oldest first: a record of kind month_seal (action
 * `sealMonth`, detail `{month, records, root: base64url, erased}`) and its copy in record_months, in one transaction, once however many
 * processes try. A month with records still in the queue waits. `erased` is how many had no body any more. Answers what became of each
 * month that was due.
 *
 * For the self-check: `monthTree` over the same month gives the sealed `records` and `root` for ever, erasures included.
 */
export async function sealMonths(deps: SealDeps): Promise<ReadonlyMap<string, SealOutcome>> {
  const outcomes = new Map<string, SealOutcome>();
  for (const month of await dueMonths(deps)) outcomes.set(month, await sealMonth(deps, month));
  return outcomes;
}

/** Months that could be sealed by the clock and are not. */
async function dueMonths({ db, now }: SealDeps): Promise<string[]> {
  // By the slower of two clocks: a process whose clock runs ahead must not seal a month that others still write.
  const [server] = await db.query<{ now: Date }>(
    { name: 'database_clock', text: 'select clock_timestamp() as now' },
    [],
  );
  const latest = monthOf(new Date(Math.min(now().getTime(), server?.now.getTime() ?? 0) - graceMs));
  const first = await firstRecordedAt(db.kysely);
  if (first === undefined) return [];
  const sealed = await sealedMonths(db.kysely);
  const due: string[] = [];
  for (let month = monthOf(first); month < latest; month = monthOf(monthEnd(month))) {
    if (!sealed.has(month)) due.push(month);
  }
  return due;
}

async function sealMonth({ db, recordIn, now }: SealDeps, month: string): Promise<SealOutcome> {
  if (await isQueued(db, month)) return 'queued';
  const counted = await countMonth(db, month);
  // The tree is built before the transaction: nothing is added to a month that is over.
  let tree = await monthTree(db, month);
  if (tree.records !== counted.records) tree = await monthTree(db, month, { everywhere: true });
  if (tree.records !== counted.records) return 'leaves_differ';
  const recordId = newId<RecordId>();
  const sealed = await transaction(db, async (trx) => {
    const at = now();
    // Two processes meet at the primary key: the second waits, then finds it done.
    const won = await trx
      .insertInto('record_months')
      .values({ month, seal_record_id: recordId, records: tree.records, root: tree.root, sealed_at: at })
      .onConflict((conflict) => conflict.column('month').doNothing())
      .returning('month')
      .executeTakeFirst();
    if (won === undefined) return false;
    await recordIn(trx, {
      recordId,
      kind: 'month_seal',
      action: 'sealMonth',
      outcome: 'done',
      requestId: `seal-${month}`,
      at,
      detail: {
        month,
        records: tree.records,
        root: tree.root.toString('base64url'),
        erased: counted.records - counted.bodies,
      },
    });
    return true;
  });
  return sealed ? 'sealed' : 'sealed_by_another';
}

async function isQueued(db: Database, month: string): Promise<boolean> {
  const row = await db.kysely
    .selectFrom('log_queue')
    .select('record_id')
    .where('recorded_at', '>=', monthStart(month))
    .where('recorded_at', '<', monthEnd(month))
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** Counted day by day: each statement ends well within its timeout, however many records a month has. */
async function countMonth(db: Database, month: string): Promise<{ records: number; bodies: number }> {
  const total = { records: 0, bodies: 0 };
  for (const { from, until } of daysOf(month)) {
    const row = await db.kysely
      .selectFrom('records')
      .select((eb) => [eb.fn.countAll<number>().as('records'), eb.fn.count<number>('body').as('bodies')])
      .where('recorded_at', '>=', from)
      .where('recorded_at', '<', until)
      .executeTakeFirstOrThrow();
    total.records += row.records;
    total.bodies += row.bodies;
  }
  return total;
}

/**
 * The tree over a month's records, read from the leaves of the log in the order of record ids: keyset batches along their unique index,
 * and O(log n) memory. Ids are UUIDv7 and made when the record is, so those of a month lie together; `everywhere` looks for strays as
 * well, at the price of reading the whole log.
 */
export async function monthTree(
  db: Pick<Database, 'query'>,
  month: string,
  { everywhere = false }: { readonly everywhere?: boolean } = {},
): Promise<MonthTree> {
  const [start, end] = [monthStart(month), monthEnd(month)];
  const edge = emptyEdge();
  let after = everywhere ? lowest : idAt(start.getTime() - dayMs);
  const below = everywhere ? highest : idAt(end.getTime() + dayMs);
  for (;;) {
    const rows = await db.query<{ record_id: string; entry: Buffer; recorded_at: Date }>(treeBatch, [after, below]);
    for (const { record_id, entry, recorded_at } of rows) {
      if (recorded_at < start || recorded_at >= end) continue;
      // Entry: version, kind, 32 bytes of commitment.
      appendLeaf(edge, leafHash(Buffer.concat([idBytes(record_id), entry.subarray(2)])));
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < batchRows) break;
    after = last.record_id;
  }
  return { records: edge.size, root: rootOfEdge(edge) };
}

const treeBatch = {
  name: 'month_tree',
  text: `select record_id, entry, recorded_at from log_leaf where record_id > $1::uuid and record_id <= $2::uuid
    order by record_id limit ${batchRows}`,
};

const lowest = '00000000-0000-0000-0000-000000000000';
const highest = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** The lowest UUID that one made at this millisecond can have (RFC 9562, 5.7). */
function idAt(milliseconds: number): string {
  const hex = Math.max(milliseconds, 0).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}
