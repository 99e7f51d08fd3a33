import type { Kysely, Transaction } from 'kysely';
import type { Tables } from '../db/tables.ts';
import { Refusal } from '../errors.ts';
import { type Call, newId, type Officer } from '../ids.ts';
import type { Box } from '../signing/data-keys.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import type { CertificateState, RevocationReason } from './certificate-row.ts';

/** What happened to a certificate version. */
export type EventAction =
  | 'pushed'
  | 'corrected'
  | 'approved'
  | 'returned'
  | 'sealed'
  | 'suspended'
  | 'resumed'
  | 'revoked'
  | 'superseded';

/** One step of a certificate's life. */
export interface CertificateEvent {
  readonly version: number;
  readonly at: Date;
  readonly action: EventAction;
  /** The state after the step. */
  readonly state: CertificateState;
  readonly revocationReason: RevocationReason | null;
  readonly clientId: string;
  readonly departmentCode: string;
  readonly officer?: Officer;
  readonly reason?: string;
}

type Row = Tables['certificate_events'];

/** Officer and reason are encrypted and bound to everything the row says in clear. */
const boundTo = (row: Omit<Row, 'body'>): Buffer =>
  Buffer.from(
    canonicalJson([
      'certhub/certificate-event/1',
      row.series,
      row.event_id,
      row.version,
      row.at.getTime(),
      row.action,
      row.state,
      row.revocation_reason,
      row.client_id,
      row.department_code,
    ]),
  );

/** Adds a step in the transaction that takes it. */
export async function insertEvent(
  trx: Transaction<Tables>,
  box: Box,
  { call, series, event }: { readonly call: Call; readonly series: string; readonly event: NewEvent },
): Promise<void> {
  const { officer, reason } = event;
  const row = {
    series,
    event_id: newId(),
    version: event.version,
    at: call.at,
    action: event.action,
    state: event.state,
    revocation_reason: event.revocationReason,
    client_id: call.caller.clientId,
    department_code: call.caller.department,
  };
  const body = box.seal(boundTo(row), Buffer.from(JSON.stringify({ officer, reason })));
  await trx
    .insertInto('certificate_events')
    .values({ ...row, body })
    .execute();
}

/** A step before it is taken: who and when come from the call. */
export type NewEvent = Omit<CertificateEvent, 'at' | 'clientId' | 'departmentCode'>;

/**
 * All steps of all versions of a certificate, in the order in which they were taken.
 * @throws Refusal `stored_data_tampered` for a step that is not as the hub wrote it
 */
export async function readEvents(db: Kysely<Tables>, box: Box, series: string): Promise<CertificateEvent[]> {
  const rows = await db
    .selectFrom('certificate_events')
    .selectAll()
    .where('series', '=', series)
    .orderBy('event_id')
    .execute();
  return rows.map((row) => ({
    version: row.version,
    at: row.at,
    action: row.action as EventAction,
    state: row.state as CertificateState,
    revocationReason: row.revocation_reason as RevocationReason | null,
    clientId: row.client_id,
    departmentCode: row.department_code,
    ...openBody(box, row),
  }));
}

function openBody(box: Box, row: Row): Pick<CertificateEvent, 'officer' | 'reason'> {
  try {
    return JSON.parse(box.open(boundTo(row), row.body).toString('utf8')) as Pick<
      CertificateEvent,
      'officer' | 'reason'
    >;
  } catch (cause) {
    throw new Refusal('stored_data_tampered', {}, { cause });
  }
}
