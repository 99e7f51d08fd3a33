import type { Database } from '../../db/database.ts';
import { faultCode } from '../../db/fault.ts';
import { Refusal } from '../../errors.ts';

export interface ClientCertificatesQuery {
  readonly clientId: string;
  /** Half-open range of the time of recording. */
  readonly from: Date;
  readonly until: Date;
  /** An identifier: those behind it. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/**
 * Identifiers of the certificates that lookups of one client were answered with, each once, in their order. Read from the columns of
 * the records, which prove nothing: `open-record.ts` does that for what is made of it.
 * @throws Refusal `search_too_broad` when the statement took longer than the server allows
 */
export async function selectCertificatesOf(
  db: Pick<Database, 'queryByValues'>,
  { clientId, from, until, after, limit }: ClientCertificatesQuery,
): Promise<readonly string[]> {
  // The column holds the series of each beside it.
  const text = `select distinct identifier from records, unnest(certificates) as identifier
    where client_id = $1 and recorded_at >= $2::timestamptz and recorded_at < $3::timestamptz and action = 'lookUp'
      and outcome = 'answered' and identifier like '1.2.156.3005.2.%' and identifier > $4
    order by 1 limit $5`;
  try {
    const rows = await db.queryByValues<{ identifier: string }>(text, [clientId, from, until, after ?? '', limit]);
    return rows.map(({ identifier }) => identifier);
  } catch (error) {
    throw faultCode(error) === '57014' ? new Refusal('search_too_broad', {}, { cause: error }) : error;
  }
}
