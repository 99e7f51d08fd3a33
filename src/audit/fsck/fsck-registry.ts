import type { Database } from '../../db/database.ts';
import { openRecord, type RecordKeys } from '../open-record.ts';
import type { RecordBody } from '../record-body.ts';
import type { RecordRow } from '../store.ts';
import type { Found } from './fsck-findings.ts';

/** What the registry says now, from who owns its tables. `tampered`: rows whose MAC is wrong. */
export interface RegistryNow {
  readonly inForce: readonly RegistryRow[];
  /** How far everything is that only goes forward: by its id, the newest version, or of how many steps its history is. */
  readonly reached: Readonly<Record<ForwardTable, ReadonlyMap<string, number>>>;
  readonly tampered: readonly { readonly table: string; readonly row: string }[];
}
export interface RegistryRow {
  readonly table: 'clients' | 'client_keys' | 'grants' | 'seal_x509';
  /** As `registryTrail` names it. */
  readonly row: string;
  /** A grant that is not suspended: its suspensions are a trail apart from its revocation. */
  readonly what?: 'suspension';
}
type ForwardTable = 'certificate_types' | 'matters' | 'grants' | 'grant_applications' | 'feedback' | 'paper_demands';

/** What the records say of the registry. Plain JSON; grows with what the registry holds, never with accesses. */
export interface RegistryTrail {
  /** By the last record about it: "table row" → [when recorded, record id, whether it is withdrawn]. */
  readonly withdrawn: { [row: string]: readonly [at: string, record: string, withdrawn: boolean] };
  /** By the record that went furthest: "table row" → [version or number of steps, record id]. */
  readonly reached: { [row: string]: readonly [step: number, record: string] };
}

export const noRegistryTrail = (): RegistryTrail => ({ withdrawn: {}, reached: {} });

/** Notes a record that withdraws something of the registry, takes that back, or brings something a step further. */
export function noteRegistry(trail: RegistryTrail, recordId: string, body: RecordBody): void {
  if (body['kind'] !== 'registry' || (body['outcome'] as { result?: unknown } | null)?.result !== 'done') return;
  const detail = (body['detail'] ?? {}) as Detail;
  const action = String(body['action']);
  noteWithdrawal(trail, recordId, withdrawals[action]?.(detail), String(body['recordedAt']));
  noteAdvances(trail, recordId, advances[action]?.(detail) ?? []);
}

function noteWithdrawal(
  { withdrawn }: RegistryTrail,
  recordId: string,
  withdrawal: Withdrawal | undefined,
  at: string,
): void {
  if (withdrawal === undefined) return;
  const known = withdrawn[withdrawal.row];
  // Leaves are not in the order of time.
  if (known === undefined || known[0] <= at) withdrawn[withdrawal.row] = [at, recordId, withdrawal.withdrawn];
}

function noteAdvances({ reached }: RegistryTrail, recordId: string, made: readonly Advance[]): void {
  for (const { table, row, step } of made) {
    const name = `${table} ${row}`;
    if ((reached[name]?.[0] ?? 0) < step) reached[name] = [step, recordId];
  }
}

type Detail = Readonly<Record<string, unknown>>;
interface Withdrawal {
  readonly row: string;
  readonly withdrawn: boolean;
}
const withdrawals: Readonly<Record<string, (detail: Detail) => Withdrawal>> = {
  setClientState: ({ clientId, state }) => ({ row: `clients ${String(clientId)}`, withdrawn: state !== 'active' }),
  revokeClientKey: ({ clientId, kid }) => ({
    row: `client_keys ${String(clientId)}/${String(kid)}`,
    withdrawn: true,
  }),
  revokeGrant: ({ grantId }) => ({ row: `grants ${String(grantId)}`, withdrawn: true }),
  suspendGrant: ({ grantId }) => ({ row: `grants ${String(grantId)} suspension`, withdrawn: true }),
  resumeGrant: ({ grantId }) => ({ row: `grants ${String(grantId)} suspension`, withdrawn: false }),
  revokeSealX509: ({ sha256 }) => ({ row: `seal_x509 ${String(sha256)}`, withdrawn: true }),
};

/** How far something has come. */
interface Advance {
  readonly table: ForwardTable;
  readonly row: string;
  readonly step: number;
}
type AdvancesOf = (detail: Detail) => readonly Advance[];
const typeVersion: AdvancesOf = ({ certificateTypeCode, version }) => [
  { table: 'certificate_types', row: String(certificateTypeCode), step: Number(version) },
];
const matterVersion: AdvancesOf = ({ matterCode, version }) => [
  { table: 'matters', row: String(matterCode), step: Number(version) },
];
const application: AdvancesOf = ({ applicationId, steps, grantId }) => [
  { table: 'grant_applications', row: String(applicationId), step: Number(steps) },
  ...(typeof grantId === 'string' ? [{ table: 'grants' as const, row: grantId, step: 1 }] : []),
];
const feedback: AdvancesOf = ({ feedbackId, steps }) => [
  { table: 'feedback', row: String(feedbackId), step: Number(steps) },
];
const paperDemand: AdvancesOf = ({ paperDemandId, steps }) => [
  { table: 'paper_demands', row: String(paperDemandId), step: Number(steps) },
];
const catalogueFile: AdvancesOf = ({ dryRun, types, matters }) =>
  dryRun === true
    ? []
    : [...(types as readonly Detail[]).flatMap(typeVersion), ...(matters as readonly Detail[]).flatMap(matterVersion)];
const advances: Readonly<Record<string, AdvancesOf>> = {
  registerCertificateType: typeVersion,
  publishCertificateType: typeVersion,
  retireCertificateType: typeVersion,
  registerMatter: matterVersion,
  retireMatter: matterVersion,
  importCatalogue: catalogueFile,
  applyForGrant: application,
  decideGrantApplication: application,
  enterProvinceDecision: application,
  withdrawGrantApplication: application,
  reportFault: feedback,
  answerFeedback: feedback,
  recordPaperDemand: paperDemand,
  contestPaperDemand: paperDemand,
  answerPaperDemand: paperDemand,
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
  const noted: RegistryTrail = { withdrawn: { ...trail.withdrawn }, reached: { ...trail.reached } };
  for (const row of await db.query<RecordRow>(statement, [new Date(startedAt.getTime() - 3_600_000)])) {
    const opened = openRecord(keys, row);
    if (opened.state === 'whole') noteRegistry(noted, row.record_id, opened.opened.body);
  }
  return noted;
}

/** The trail as it was before and after the rows were read. */
interface Trails {
  readonly before: RegistryTrail;
  readonly after: RegistryTrail;
  /** The trail saw every record; otherwise only what can never be taken back is judged. */
  readonly isWhole: boolean;
}

/** What the registry says against the records: rows that the hub did not write, and genuine ones of earlier that were put back. */
export const judgeRegistry = (now: RegistryNow, trails: Trails): Found[] => [
  ...now.tampered.map((place): Found => ({ code: 'registry_wrong', place })),
  ...inForceAgain(now, trails),
  ...behind(now, trails.before),
];

/** Rows that are in force although the last record about them withdrew them. What was withdrawn or taken back meanwhile is left to the next check. */
const inForceAgain = ({ inForce }: RegistryNow, { before, after, isWhole }: Trails): Found[] =>
  inForce.flatMap(({ table, row, what }): Found[] => {
    const name = what === undefined ? `${table} ${row}` : `${table} ${row} ${what}`;
    const [, record, withdrawn] = before.withdrawn[name] ?? [];
    const canBeTakenBack = table === 'clients' || what !== undefined;
    if (withdrawn !== true || record === undefined || (!isWhole && canBeTakenBack)) return [];
    if (after.withdrawn[name]?.[1] !== record) return [];
    return [{ code: 'registry_replayed', place: { table, row, record } }];
  });

/** Things that are not as far as a record says, or gone. What the hub did not write is told already. */
function behind({ reached, tampered }: RegistryNow, trail: RegistryTrail): Found[] {
  const wrong = new Set(tampered.map(({ row }) => row.replace(/:\d+$/, '')));
  return Object.entries(trail.reached).flatMap(([name, [step, record]]): Found[] => {
    const [table, row] = name.split(' ') as [ForwardTable, string];
    if ((reached[table].get(row) ?? 0) >= step || wrong.has(row)) return [];
    return [{ code: 'registry_behind', place: { table, row, record } }];
  });
}
