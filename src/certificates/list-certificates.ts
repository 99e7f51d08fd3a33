import { validate as isUuid } from 'uuid';
import { Refusal } from '../errors.ts';
import type { CertificateDeps } from './certificate-deps.ts';
import { type CertificateState, openRow } from './certificate-row.ts';
import { readQueue } from './store.ts';

/** States in which a certificate waits for somebody. */
export type QueueState = 'pending_review' | 'returned' | 'approved';

/** A page of the queue as the contract words it: no personal data. */
export interface CertificateQueueBody {
  items: {
    certificateIdentifier: string;
    version: number;
    state: CertificateState;
    certificateTypeCode: string;
    pushedAt: string;
  }[];
  next?: string;
}

const queueStates: readonly QueueState[] = ['pending_review', 'returned', 'approved'];

/**
 * The unsealed certificates of a department, oldest first. Rows that the hub did not write are reported and left out.
 * @throws Refusal `contract_violation` for a cursor that no page gave out
 */
export async function listCertificates(
  { db, keys, tampered }: Pick<CertificateDeps, 'db' | 'keys' | 'tampered'>,
  wanted: {
    readonly department: string;
    readonly state?: QueueState | undefined;
    readonly after?: string | undefined;
    readonly limit: number;
  },
): Promise<CertificateQueueBody> {
  const { department, state, after, limit } = wanted;
  if (after !== undefined && !isUuid(after)) throw new Refusal('contract_violation', { pointer: '/after' });
  const states = state === undefined ? queueStates : [state];
  const rows = await readQueue(db.kysely, { department, states, after, limit: limit + 1 });
  const page = rows.slice(0, limit);
  const last = rows.length > limit ? page.at(-1) : undefined;
  const whole = page.filter((row) => {
    try {
      openRow(keys.box, row);
      return true;
    } catch {
      tampered('certificates', row.identifier);
      return false;
    }
  });
  return {
    items: whole.map((row) => ({
      certificateIdentifier: row.identifier,
      version: row.version,
      state: row.state as CertificateState,
      certificateTypeCode: row.certificate_type_code,
      pushedAt: row.pushed_at.toISOString(),
    })),
    ...(last === undefined ? {} : { next: last.version_id }),
  };
}
