import type { Database } from '../../db/database.ts';
import { Refusal } from '../../errors.ts';
import { recordKinds } from '../entry.ts';
import { readLeafOf } from '../log/log-store.ts';
import { openRecord, type RecordKeys } from '../open-record.ts';
import { monthOf } from '../record-body.ts';
import { isReleased, releaseOf } from '../report/release-secrecy.ts';
import { type ReleaseKeys, readReleases } from '../report/report-store.ts';
import { selectByPlace } from '../search/search-store.ts';
import type { RecordRow } from '../store.ts';
import {
  daysOf,
  type ErasableKind,
  type ErasureTarget,
  erasableKinds,
  keptLonger,
  kindNumbers,
  type MonthTarget,
  type Retention,
} from './erasure.ts';
import { isMonthSealed } from './erasure-store.ts';

export interface CheckTargetDeps {
  readonly db: Database;
  readonly keys: RecordKeys & ReleaseKeys;
  readonly retention: Retention;
}

/** Kinds whose single records may go before their time: what people ask to have deleted. The others are what the hub itself did. */
const goAtAnyTime: readonly ErasableKind[] = ['access', 'audit_read'];
const batchRows = 2_000;

/**
 * Whether a target may be erased now; asked when it is proposed and again when it is executed.
 * @throws Refusal `erasure_target_invalid`, `retention_not_over`, `month_not_sealed`, `stored_data_tampered`
 */
export function checkTarget(deps: CheckTargetDeps, target: ErasureTarget, now: Date): Promise<void> {
  return 'month' in target ? checkMonth(deps, target, now) : checkRecord(deps, target.recordId, now);
}

async function checkMonth({ db, keys, retention }: CheckTargetDeps, target: MonthTarget, now: Date): Promise<void> {
  requireOver(retention, target, now);
  if (!(await isMonthSealed(db.kysely, target.month))) throw new Refusal('month_not_sealed', { month: target.month });
  let [secret, last] = [0, now];
  for await (const rows of readSecretRows(db, target)) {
    for (const release of await releasesOf({ db, keys }, rows)) {
      if (release === null || isReleased(release, now)) continue;
      secret += 1;
      if (release > last) last = release;
    }
  }
  if (secret > 0) refuseSecret(last, secret);
}

function requireOver(retention: Retention, target: MonthTarget, now: Date): void {
  const kept = keptLonger(retention, target, now);
  if (kept === undefined) return;
  throw new Refusal('retention_not_over', {
    kind: kept.kind,
    ...(kept.until === undefined ? { keptForGood: true } : { until: kept.until.toISOString() }),
  });
}

function refuseSecret(until: Date, records: number): never {
  throw new Refusal('retention_not_over', { rule: 'under_secrecy', records, until: until.toISOString() });
}

async function checkRecord({ db, keys, retention }: CheckTargetDeps, recordId: string, now: Date): Promise<void> {
  // Only what is in the log can be missed from it: before, an erasure would leave no trace of what there was.
  const leaf = await readLeafOf(db, recordId);
  const [row] = leaf === undefined ? [] : await selectByPlace(db, [leaf]);
  const refuse = (rule: string): never => {
    throw new Refusal('erasure_target_invalid', { rule, pointer: '/target/recordId' });
  };
  if (row === undefined) return refuse('unknown_record');
  const kind = erasableKinds.find((name) => recordKinds[name] === row.kind);
  if (kind === undefined) return refuse('evidence');
  if (row.body === null) return refuse('already_erased');
  // A changed column could hide that it is under secrecy, and what was tampered with is evidence of that.
  if (openRecord(keys, row).state === 'tampered') throw new Refusal('stored_data_tampered', { recordId });
  if (!goAtAnyTime.includes(kind)) requireOver(retention, { month: monthOf(row.recorded_at), kinds: [kind] }, now);
  const [release = null] = await releasesOf({ db, keys }, [row]);
  if (!isReleased(release, now)) refuseSecret(release ?? now, 1);
}

/** From when each of these records shows to its holder. */
async function releasesOf(
  { db, keys }: Pick<CheckTargetDeps, 'db' | 'keys'>,
  rows: readonly Pick<RecordRow, 'record_id' | 'release_at'>[],
): Promise<(Date | null)[]> {
  const ids = rows.map(({ record_id }) => record_id);
  const { releases } = await readReleases(db, keys, ids);
  return rows.map(({ record_id, release_at }) => releaseOf(release_at, releases.get(record_id) ?? []));
}

type SecretRow = Pick<RecordRow, 'record_id' | 'release_at'>;

/** The bodies of a month that were ever under secrecy, in bounded portions; day by day, so that no statement runs long. */
async function* readSecretRows(db: Database, target: MonthTarget): AsyncGenerator<readonly SecretRow[]> {
  for (const { from, until } of daysOf(target.month)) {
    let after = '00000000-0000-0000-0000-000000000000';
    for (;;) {
      const rows = await db.kysely
        .selectFrom('records')
        .select(['record_id', 'release_at'])
        .where('recorded_at', '>=', from)
        .where('recorded_at', '<', until)
        .where('kind', 'in', kindNumbers(target))
        .where('release_at', 'is not', null)
        .where('body', 'is not', null)
        .where('record_id', '>', after)
        .orderBy('record_id')
        .limit(batchRows)
        .execute();
      if (rows.length > 0) yield rows;
      if (rows.length < batchRows) break;
      after = rows.at(-1)?.record_id ?? after;
    }
  }
}
