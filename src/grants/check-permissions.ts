import type { Found } from '../audit/fsck/fsck-findings.ts';
import type { FurtherCheck } from '../audit/fsck/fsck-options.ts';
import type { Database } from '../db/database.ts';
import { checkHolderCodePage } from './holder-code-store.ts';
import { checkTicketPage, type RowPage, type TicketBox } from './ticket-store.ts';

const pageRows = 1_000;
const lowestId = '00000000-0000-0000-0000-000000000000';

/** The self-check's part of tickets and one-time codes: every row opens, and says what the hub wrote together. */
export function permissionChecks({
  db,
  keys,
}: {
  readonly db: Pick<Database, 'kysely'>;
  readonly keys: { readonly box: TicketBox };
}): FurtherCheck[] {
  const { kysely } = db;
  return [
    check('tickets', (after) => checkTicketPage(kysely, keys.box, { after, limit: pageRows })),
    check('holder_codes', (after) => checkHolderCodePage(kysely, keys.box, { after, limit: pageRows })),
  ];
}

const check = (table: string, page: (after: string) => Promise<RowPage>): FurtherCheck => ({
  name: table,
  page: async (after) => {
    const { rows, wrong, last } = await page(after ?? lowestId);
    return {
      found: wrong.map((row): Found => ({ code: 'registry_wrong', place: { table, row } })),
      rows,
      after: rows < pageRows ? undefined : last,
    };
  },
});
