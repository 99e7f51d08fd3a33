import type { Database } from '../../db/database.ts';
import { openRecord, type RecordKeys } from '../open-record.ts';
import type { RecordBody } from '../record-body.ts';
import type { RecordRow } from '../store.ts';
import type { Found } from './fsck-findings.ts';

/** What the registry says now, from who owns its tables. `tampered`: rows whose MAC is wrong. */
export interface RegistryNow {
  readonly inForce: readonly RegistryRow[];
  readonly tampered: readonly { readonly table: string; readonly row: string }[];
}
export interface RegistryRow {
  readonly table: 'clients' | 'client_keys' | 'grants' | 'seal_x509';
  /** As `registryTrail` names it. */
  readonly row: string;
  /** A grant that is not suspended: its suspensions are a trail apart from its revocation. */
  readonly what?: 'suspension';
}

/** What was withdrawn, by the last record about it: "table row" → [when recorded, record id, whether it is withdrawn]. Plain JSON. */
export type RegistryTrail = { [row: string]: readonly [at: string, record: string, withdrawn: boolean] };

/** Notes a record that withdraws something of the registry, or takes that back. Memory grows with withdrawals alone. */
export function noteRegistry(trail: RegistryTrail, recordId: string, body: RecordBody): void {
  if (body['kind'] !== 'registry' || (body['outcome'] as { result?: unknown } | null)?.result !== 'done') return;
  const detail = (body['detail'] ?? {}) as Readonly<Record<string, unknown>>;
  const step = steps[String(body['action'])]?.(detail);
  if (step === undefined) return;
  const at = String(body['recordedAt']);
  const known = trail[step.row];
  // Leaves are not in the order of time.
  if (known === undefined || known[0] <= at) trail[step.row] = [at, recordId, step.withdrawn];
}

type Detail = Readonly<Record<string, unknown>>;
const steps: Readonly<Record<string, (detail: Detail) => { readonly row: string; readonly withdrawn: boolean }>> = {
  setClientState: ({ clientId, state }) => ({ row: `clients ${String(clientId)}`, withdrawn: state !== 'active' }),
  revokeClientKey: ({ clientId, kid }) => ({ row: `client_keys ${String(clientId)}/${String(kid)}`, withdrawn: true }),
  revokeGrant: ({ grantId }) => ({ row: `grants ${String(grantId)}`, withdrawn: true }),
  suspendGrant: ({ grantId }) => ({ row: `grants ${String(grantId)} suspension`, withdrawn: true }),
  resumeGrant: ({ grantId }) => ({ row: `grants ${String(grantId)} suspension`, withdrawn: false }),
  revokeSealX509: ({ sha256 }) => ({ row: `seal_x509 ${String(sha256)}`, withdrawn: true }),
};

/**
 * Registry records that the walk may not have seen: of the last hour before the check began, and whatever waits for its leaf. What
 * was changed while the check ran must not look like an old row put back.
 */
export async function noteRecent(
  db: Database,
  keys: RecordKeys,
  trail: RegistryTrail,
  startedAt: Date,
): Promise<RegistryTrail> {
  const statement = {
    name: 'fsck_recent_registry',
    text: `select r.* from records r where r.kind = 3 and (r.recorded_at >= $1
        or exists (select from log_queue q where q.record_id = r.record_id and q.kind = 3)) limit 10000`,
  };
  const noted: RegistryTrail = { ...trail };
  for (const row of await db.query<RecordRow>(statement, [new Date(startedAt.getTime() - 3_600_000)])) {
    const opened = openRecord(keys, row);
    if (opened.state === 'whole') noteRegistry(noted, row.record_id, opened.opened.body);
  }
  return noted;
}

/**
 * Rows that are in force although the last record about them withdrew them: an old row, with its genuine MAC, was put back.
 * `before` and `after` are the trail as it was before and after the rows were read: what was withdrawn or taken back between is left to
 * the next check. `isWhole`: the trail saw every record; otherwise only what can never be taken back is judged.
 */
export function judgeRegistry(
  { inForce, tampered }: RegistryNow,
  {
    before,
    after,
    isWhole,
  }: { readonly before: RegistryTrail; readonly after: RegistryTrail; readonly isWhole: boolean },
): Found[] {
  const replayed = inForce.flatMap(({ table, row, what }): Found[] => {
    const name = what === undefined ? `${table} ${row}` : `${table} ${row} ${what}`;
    const [, record, withdrawn] = before[name] ?? [];
    const canBeTakenBack = table === 'clients' || what !== undefined;
    if (withdrawn !== true || record === undefined || (!isWhole && canBeTakenBack)) return [];
    if (after[name]?.[1] !== record) return [];
    return [{ code: 'registry_replayed', place: { table, row, record } }];
  });
  return [...tampered.map((place): Found => ({ code: 'registry_wrong', place })), ...replayed];
}
