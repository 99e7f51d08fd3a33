import { openRecord, type RecordKeys } from '../open-record.ts';
import type { RecordBody } from '../record-body.ts';
import { epochText } from './check-record.ts';
import type { Found, Place } from './fsck-findings.ts';
import type { WholeRow } from './fsck-store.ts';

/** What is wrong with one record by itself, found by the check that everybody else uses too. `see` is told of a whole one. */
export function faultsOf(
  keys: RecordKeys,
  row: WholeRow,
  place: Place,
  see?: (recordId: string, body: RecordBody) => void,
): Found[] {
  const opened = openRecord(keys, row);
  if (opened.state === 'erased') return [];
  // PostgreSQL keeps microseconds, a Date does not: a record has none.
  const rounded = [
    ...(row.recorded_epoch === epochText(row.recorded_at) ? [] : ['recorded_at']),
    ...(row.release_at === null || row.release_epoch === epochText(row.release_at) ? [] : ['release_at']),
  ];
  if (opened.state === 'whole') {
    see?.(row.record_id, opened.opened.body);
    return rounded.length === 0 ? [] : [{ code: 'column_wrong', place: { ...place, columns: rounded } }];
  }
  const { fault } = opened;
  if (fault.code !== 'column_wrong') return [{ code: fault.code, place }];
  return [{ code: 'column_wrong', place: { ...place, columns: [...new Set([...fault.columns, ...rounded])] } }];
}
