import type { Database } from '../../db/database.ts';
import type { Write, WriteAnswer } from '../../db/write.ts';
import { Refusal } from '../../errors.ts';
import { type Call, newId, type Officer, type RecordId } from '../../ids.ts';
import { openRecord, type RecordKeys } from '../open-record.ts';
import type { RecordIn } from '../record.ts';
import { selectById } from '../search/search-store.ts';
import { insertRelease, type Release, type ReleaseKeys } from './report-store.ts';

/**
 * From when a record shows in its holder's report: as it was set when it happened, unless it was changed, and then as the newest
 * change says. `releases` newest first, only those that the hub itself wrote. Null: at once.
 */
export const releaseOf = (own: Date | null, releases: readonly Release[]): Date | null =>
  own === null ? null : (releases[0]?.releaseAt ?? own);

/** Shown from the very moment of the release on. */
export const isReleased = (release: Date | null, at: Date): boolean => release === null || release <= at;

/** A lookup stays under secrecy for ten years after it at most, whoever wants it longer. */
const longestSecrecyMs = 3_650 * 86_400_000;

export interface ReleaseSecrecyDeps {
  readonly db: Database;
  readonly write: Write;
  readonly recordIn: RecordIn;
  readonly keys: RecordKeys & ReleaseKeys;
}

export interface ReleaseChange {
  readonly recordId: string;
  readonly releaseAt: Date;
  readonly reason: string;
  readonly legalGround: string;
  readonly officer: Officer;
}

/** The change as made, with the record of it. */
export interface ChangedRelease extends Release {
  readonly recordId: string;
  readonly releaseRecordId: string;
}

/**
 * Changes when the record of a lookup under secrecy shows, earlier or later; recorded in the same transaction. The record of the
 * change has no subject: in the holder's report it would tell what must not be told yet.
 * @throws Refusal `record_unknown`, `release_invalid` (`not_under_secrecy`, `before_the_lookup`, `longer_than_3650_days`),
 *   `stored_data_tampered`
 */
export async function releaseSecrecy(
  { db, write, recordIn, keys }: ReleaseSecrecyDeps,
  change: ReleaseChange,
  call: Call & { readonly idempotencyKey: string },
  present: (changed: ChangedRelease) => WriteAnswer,
): Promise<WriteAnswer> {
  const { recordId, releaseAt, reason, legalGround, officer } = change;
  const { clientId, department, keyId } = call.caller;
  const request = {
    caller: call.caller,
    operation: 'changeRelease',
    idempotencyKey: call.idempotencyKey,
    content: { ...change, releaseAt: releaseAt.toISOString() },
  };
  return write(request, {
    prepare: () => checkRelease({ db, keys }, { recordId, releaseAt }),
    apply: async (trx) => {
      const release = await insertRelease(trx, keys, { recordId, at: call.at, releaseAt });
      const releaseRecordId = newId<RecordId>();
      await recordIn(trx, {
        recordId: releaseRecordId,
        kind: 'release',
        action: 'changeRelease',
        outcome: 'done',
        caller: { clientId, department, keyId },
        officer,
        scope: { records: [recordId] },
        requestId: call.requestId,
        at: call.at,
        detail: {
          record: recordId,
          releaseAt: releaseAt.toISOString(),
          changedAt: release.changedAt.toISOString(),
          reason,
          legalGround,
        },
      });
      return present({ ...release, recordId, releaseRecordId });
    },
  });
}

async function checkRelease(
  { db, keys }: Pick<ReleaseSecrecyDeps, 'db' | 'keys'>,
  { recordId, releaseAt }: Pick<ReleaseChange, 'recordId' | 'releaseAt'>,
): Promise<void> {
  const row = await selectById(db, recordId);
  if (row === undefined) throw new Refusal('record_unknown');
  // Of an erased body the column is all that is left; it still keeps the row out of the report.
  if (openRecord(keys, row).state === 'tampered') throw new Refusal('stored_data_tampered', { recordId });
  const refuse = (rule: string, pointer: string): Refusal => new Refusal('release_invalid', { rule, pointer });
  if (row.release_at === null) throw refuse('not_under_secrecy', '/recordId');
  const after = releaseAt.getTime() - row.recorded_at.getTime();
  if (after < 0) throw refuse('before_the_lookup', '/releaseAt');
  if (after > longestSecrecyMs) throw refuse('longer_than_3650_days', '/releaseAt');
}
