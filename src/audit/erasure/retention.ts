import type { Database } from '../../db/database.ts';
import { recordKinds } from '../entry.ts';
import { monthOf } from '../record-body.ts';
import { daysOf, type ErasableKind, erasableFrom, erasableKinds, monthEnd, type Retention } from './erasure.ts';
import { firstRecordedAt, sealedMonths } from './erasure-store.ts';

/** What is kept of one month and kind, and what comes next. */
export interface MonthOfKind {
  readonly month: string;
  readonly kind: string;
  readonly records: number;
  /** Records whose body is there. */
  readonly bodies: number;
  /** When the bodies may go; undefined when they stay for good. */
  readonly due: Date | undefined;
  readonly sealed: boolean;
  readonly next: 'under_way' | 'wait_for_seal' | 'kept_for_good' | 'kept_until_due' | 'propose_erasure' | 'erased';
}

/** Months and kinds of records, oldest first. Counts day by day, so that no statement runs long; memory is one month. */
export async function* surveyRetention({
  db,
  retention,
  now,
}: {
  readonly db: Pick<Database, 'kysely'>;
  readonly retention: Retention;
  readonly now: Date;
}): AsyncGenerator<MonthOfKind> {
  const first = await firstRecordedAt(db.kysely);
  if (first === undefined) return;
  const sealed = await sealedMonths(db.kysely);
  const current = monthOf(now);
  for (let month = monthOf(first); month <= current; month = monthOf(monthEnd(month))) {
    const counts = await countKinds(db, month);
    for (const [kind, number] of Object.entries(recordKinds)) {
      const count = counts.get(number);
      if (count === undefined) continue;
      const due = isErasable(kind) ? erasableFrom(retention, month, kind) : undefined;
      const facts = { month, kind, ...count, due, sealed: sealed.has(month) };
      yield { ...facts, next: nextOf(facts, { now, current }) };
    }
  }
}

const isErasable = (kind: string): kind is ErasableKind => (erasableKinds as readonly string[]).includes(kind);

function nextOf(
  { month, bodies, due, sealed }: Omit<MonthOfKind, 'next'>,
  { now, current }: { readonly now: Date; readonly current: string },
): MonthOfKind['next'] {
  if (bodies === 0) return 'erased';
  if (month === current) return 'under_way';
  if (!sealed) return 'wait_for_seal';
  if (due === undefined) return 'kept_for_good';
  return due > now ? 'kept_until_due' : 'propose_erasure';
}

async function countKinds(
  db: Pick<Database, 'kysely'>,
  month: string,
): Promise<Map<number, { records: number; bodies: number }>> {
  const counts = new Map<number, { records: number; bodies: number }>();
  for (const { from, until } of daysOf(month)) {
    const rows = await db.kysely
      .selectFrom('records')
      .select((eb) => ['kind', eb.fn.countAll<number>().as('records'), eb.fn.count<number>('body').as('bodies')])
      .where('recorded_at', '>=', from)
      .where('recorded_at', '<', until)
      .groupBy('kind')
      .execute();
    for (const { kind, records, bodies } of rows) {
      const sum = counts.get(kind) ?? { records: 0, bodies: 0 };
      counts.set(kind, { records: sum.records + records, bodies: sum.bodies + bodies });
    }
  }
  return counts;
}
