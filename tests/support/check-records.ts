import type { Transaction } from 'kysely';
import { recordKinds } from '../../src/audit/entry.ts';
import { decodeBody, matterToSearch, type RecordBody, readBody } from '../../src/audit/record-body.ts';
import { readDemands } from '../../src/catalogue/demand-store.ts';
import { readMatters } from '../../src/catalogue/matter-store.ts';
import { readTypes } from '../../src/catalogue/store.ts';
import { type CertificateContents, openRow } from '../../src/certificates/certificate-row.ts';
import { readEvents } from '../../src/certificates/events.ts';
import { headerSha256, presentSdJwt } from '../../src/certificates/read-certificates.ts';
import type { Database } from '../../src/db/database.ts';
import type { Tables } from '../../src/db/tables.ts';
import { allClients } from '../../src/departments/client-store.ts';
import { allDepartments } from '../../src/departments/store.ts';
import { listRootRows, listSealRows } from '../../src/departments/trust-store.ts';
import { type ApplicationStoreDeps, listApplicationRows } from '../../src/grants/application-store.ts';
import type { Grant } from '../../src/grants/grant.ts';
import { loadGrants } from '../../src/grants/store.ts';
import { idBytes } from '../../src/ids.ts';
import type { Keys } from '../../src/signing/key-store.ts';
import { listFeedbackRows } from '../../src/supervision/feedback-store.ts';
import { checkPaperDemands, listPaperDemandRows } from '../../src/supervision/paper-demand-store.ts';
import { unverifiedLeafKey } from '../../src/verification/certificate-status.ts';
import { commitRecord } from '../../src/verification/commitment.ts';
import { composeCertificateIdentifier } from '../../src/verification/identifiers.ts';
import { verifySdJwt } from '../../src/verification/sd-jwt.ts';

type Row<T extends keyof Tables> = Tables[T];
type Certificate = Row<'certificates'>;
type Trx = Transaction<Tables>;

/** A record of the database, opened. */
export interface OpenedRecord {
  readonly recordId: string;
  readonly recordedAt: Date;
  /** 32 bytes, base64url. */
  readonly commitment: string;
  readonly kind: string;
  readonly action: string;
  readonly result: string;
  readonly code: string | undefined;
  readonly requestId: string;
  readonly body: RecordBody;
}

/** Everything in the database, proved anew. `faults` is empty for a state that the hub alone could have made, by whole changes. */
export interface StoreReport {
  readonly faults: readonly string[];
  readonly records: readonly OpenedRecord[];
}

/**
 * Proves the whole state of a database in one snapshot, with nothing remembered: rows open with what they are bound to, the directory
 * agrees, each step of a certificate left its event and its record, published statuses are those of the states, registry rows bear
 * the hub's MACs, every record opens, recomputes to its commitment and says what its search columns say, no write is half stored.
 */
export async function proveStore(db: Pick<Database, 'kysely'>, keys: Keys): Promise<StoreReport> {
  return db.kysely
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (trx) => {
      const { records, faults } = await proveRecords(trx, keys);
      return {
        records,
        faults: [
          ...faults,
          ...(await proveCertificates(trx, keys, records)),
          ...(await proveRegistry(trx, keys, records)),
          ...(await proveAnswers(trx, keys)),
        ],
      };
    });
}

/** The faults of `proveStore`. */
export const checkStore = async (db: Pick<Database, 'kysely'>, keys: Keys): Promise<readonly string[]> =>
  (await proveStore(db, keys)).faults;

async function proveRecords(trx: Trx, keys: Keys): Promise<StoreReport> {
  const faults: string[] = [];
  const records: OpenedRecord[] = [];
  for (const row of await trx.selectFrom('records').selectAll().orderBy('recorded_at').orderBy('record_id').execute()) {
    try {
      const opened = openRecord(row, keys);
      records.push(opened);
      faults.push(...columnFaults(row, opened.body, keys).map((name) => `record ${row.record_id}: column ${name}`));
    } catch (error) {
      faults.push(`record ${row.record_id}: ${error instanceof Error ? error.message : 'does not open'}`);
    }
  }
  return { records, faults };
}

function openRecord(row: Row<'records'>, keys: Keys): OpenedRecord {
  const box = keys.recordBox(row.recorded_at.toISOString().slice(0, 7));
  if (row.body === null) throw new Error('the body is erased');
  const { salt, fields } = decodeBody(box.open(row.commitment, row.body));
  const body = readBody(fields);
  const again = commitRecord(idBytes(row.record_id), salt, body);
  if (!again.commitment.equals(row.commitment)) throw new Error('the commitment is another one');
  const outcome = body['outcome'] as { result: string; code?: string };
  return {
    recordId: row.record_id,
    recordedAt: row.recorded_at,
    commitment: row.commitment.toString('base64url'),
    kind: String(body['kind']),
    action: String(body['action']),
    result: outcome.result,
    code: outcome.code,
    requestId: String(body['requestId']),
    body,
  };
}

/** Search columns whose value is not that of the record's body. */
function columnFaults(row: Row<'records'>, body: RecordBody, keys: Keys): string[] {
  const said = (part: string, name: string): string =>
    asText((body[part] as Readonly<Record<string, unknown>> | null)?.[name]);
  const keyed = (axis: 'case' | 'officer', value: string): string =>
    value === '' ? '' : keys.searchKey(axis, value).toString('hex');
  const [subject, ...others] = (body['subjects'] ?? []) as string[];
  const expected: Partial<Record<keyof Row<'records'>, string>> = {
    recorded_at: asText(body['recordedAt']),
    kind: asText(recordKinds[body['kind'] as keyof typeof recordKinds]),
    action: asText(body['action']),
    outcome: said('outcome', 'result'),
    code: said('outcome', 'code'),
    client_id: said('client', 'clientId'),
    department_code: said('client', 'department'),
    matter_code: matterToSearch(said('purpose', 'matterCode')) ?? '',
    case_key: keyed('case', said('purpose', 'caseNumber')),
    officer_key: keyed('officer', said('officer', 'id')),
    holder_key: asText(subject),
    other_holder_keys: others.join(),
  };
  return Object.entries(expected).flatMap(([name, text]) =>
    asText(row[name as keyof Row<'records'>]) === text ? [] : [name],
  );
}

/** A value of a column as text to compare; what is absent is empty. */
function asText(value: unknown): string {
  if (Buffer.isBuffer(value)) return value.toString('hex');
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(asText).join();
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

interface Version {
  readonly entry: Row<'certificate_versions'> | undefined;
  readonly rows: Certificate[];
}

async function proveCertificates(trx: Trx, keys: Keys, records: readonly OpenedRecord[]): Promise<string[]> {
  const faults: string[] = [];
  const versions = await readVersions(trx);
  const headers = new Map<string, string>();
  for (const { sha256, header } of await trx.selectFrom('seal_headers').selectAll().execute()) {
    headers.set(sha256.toString('hex'), header);
    faults.push(...broken([headerSha256(header) === sha256.toString('hex'), 'a seal header has another hash']));
  }
  const eventsOf = new Map<string, Events>();
  for (const { series } of await trx.selectFrom('certificate_events').select('series').distinct().execute()) {
    eventsOf.set(series, await readEvents(trx, keys.box, series));
  }
  const entries = await trx.selectFrom('status_entries').selectAll().execute();
  const published = new Map(entries.map((entry) => [`${entry.list_id}/${entry.idx}`, entry.value]));
  const steps = countBy(
    records.filter(({ kind }) => kind === 'certificate'),
    ({ body }) => `${(body['certificates'] as string[])[0]} ${(body['detail'] as { step: string }).step}`,
  );
  for (const [versionId, version] of versions) {
    const proved = proveVersion(version, keys, headers);
    faults.push(...proved.faults.map((fault) => `${versionId}: ${fault}`));
    if (proved.whole === undefined) continue;
    const { first, contents } = proved.whole;
    const { identifier, state } = first;
    const events = (eventsOf.get(first.series) ?? []).filter((event) => event.version === first.version);
    const place = `${first.status_list}/${first.status_index}`;
    faults.push(
      ...broken(
        [published.get(place) === statusOf(state), `${identifier}: published status`],
        [published.delete(place), `${identifier}: no status index of its own`],
        [(contents.sealed === undefined) === (first.sealed_at === null), `${identifier}: sealed_at`],
      ),
      ...proveLife(first, events).map((fault) => `${identifier}: ${fault}`),
      ...proveSteps(identifier, events, steps),
    );
  }
  faults.push(...[...published.keys()].map((place) => `status index ${place} belongs to no certificate`));
  faults.push(...[...steps.keys()].map((step) => `${step}: a record without its event`));
  const known = new Set(
    [...versions.values()].flatMap(({ entry }) => (entry ? [`${entry.series} ${entry.version}`] : [])),
  );
  for (const [series, events] of eventsOf) {
    faults.push(
      ...broken(...events.map(({ version }): Claim => [known.has(`${series} ${version}`), `${series}: a stray event`])),
    );
  }
  return [...faults, ...proveSuccession([...versions.values()])];
}

type Events = Awaited<ReturnType<typeof readEvents>>;

async function readVersions(trx: Trx): Promise<Map<string, Version>> {
  const versions = new Map<string, Version>();
  const entries = await trx
    .selectFrom('certificate_versions')
    .selectAll()
    .orderBy('series')
    .orderBy('version')
    .execute();
  for (const entry of entries) versions.set(entry.version_id, { entry, rows: [] });
  for (const row of await trx.selectFrom('certificates').selectAll().execute()) {
    const { entry, rows } = versions.get(row.version_id) ?? { entry: undefined, rows: [] };
    versions.set(row.version_id, { entry, rows: [...rows, row] });
  }
  return versions;
}

/** As many records as events of every step; what was found is taken out of `steps`. */
function proveSteps(identifier: string, events: Events, steps: Map<string, number>): string[] {
  return [...countBy(events, ({ action }) => `${identifier} ${action}`)].flatMap(([step, times]) => {
    const recorded = steps.get(step) ?? 0;
    steps.delete(step);
    return broken([recorded === times, `${step}: ${times} events, ${recorded} records`]);
  });
}

const statusOf = (state: string): number =>
  ({ suspended: 2, revoked: 1, superseded: 1 })[state as 'suspended' | 'revoked' | 'superseded'] ?? 0;

/** A claim and whether it holds. */
type Claim = readonly [holds: boolean, fault: string];
const broken = (...claims: readonly Claim[]): string[] => claims.flatMap(([holds, fault]) => (holds ? [] : [fault]));

interface ProvedVersion {
  readonly faults: readonly string[];
  readonly whole?: { readonly first: Certificate; readonly contents: CertificateContents };
}

function proveVersion({ entry, rows }: Version, keys: Keys, headers: ReadonlyMap<string, string>): ProvedVersion {
  if (entry === undefined) return { faults: ['rows without a directory entry'] };
  const named = entry.holder_keys.flatMap((key) => rows.find(({ holder_key }) => holder_key.equals(key)) ?? []);
  const [first, ...others] = named;
  if (first === undefined || named.length !== rows.length || rows.length !== entry.holder_keys.length) {
    return { faults: [`the directory names ${entry.holder_keys.length} rows, there are ${rows.length}`] };
  }
  const boxes = named.map((row) => openBox(keys, row));
  const [contents] = boxes;
  if (contents === undefined || boxes.includes(undefined)) return { faults: ['a row does not open'] };
  const [typeCode = '', issuerCode = '', serial = ''] = first.series.split('.');
  const identifier = composeCertificateIdentifier({ typeCode, issuerCode, serial, version: first.version });
  const holders = contents.metadata.holders.map(({ type, number }) => keys.holderKey(type, number).toString('hex'));
  const faults = broken(
    [boxes.every((box) => JSON.stringify(box) === JSON.stringify(contents)), 'boxes differ'],
    [others.every((row) => sharedOf(row) === sharedOf(first)), 'rows differ'],
    [named.every((row) => row.is_first_holder === (row === first)), 'is_first_holder'],
    [holders.join() === entry.holder_keys.map((key) => key.toString('hex')).join(), 'other holders'],
    [first.identifier === identifier, 'identifier'],
    [entry.series === first.series && entry.version === first.version, 'the directory names another version'],
  );
  return { faults: [...faults, ...proveSeal(first, contents, headers)], whole: { first, contents } };
}

function openBox(keys: Keys, row: Certificate): CertificateContents | undefined {
  try {
    return openRow(keys.box, row);
  } catch {
    return undefined;
  }
}

/** The columns that are the same for every holder. */
function sharedOf(row: Certificate): string {
  const { holder_key: _key, is_first_holder: _first, box: _box, ...columns } = row;
  return JSON.stringify(columns);
}

const sealedStates = new Set(['valid', 'suspended', 'revoked', 'superseded']);

function proveSeal(row: Certificate, { sealed }: CertificateContents, headers: ReadonlyMap<string, string>): string[] {
  if (sealedStates.has(row.state) !== (sealed !== undefined)) return [`${row.state}, but the seal says otherwise`];
  if (sealed === undefined) return [];
  const header = headers.get(sealed.headerSha256);
  if (header === undefined) return ['its seal has no header'];
  const verified = verifySdJwt(presentSdJwt(header, sealed), { resolveKey: unverifiedLeafKey });
  if (!verified.ok) return [`seal: ${verified.reasons.join()}`];
  return verified.value.clear['certificateIdentifier'] === row.identifier ? [] : ['seal of another certificate'];
}

/** What may follow what, written down a second time: not the code under test. */
const lives: Readonly<Record<string, readonly string[]>> = {
  pushed: ['pending_review', 'approved'],
  corrected: ['pending_review', 'approved'],
  approved: ['approved'],
  returned: ['returned'],
  sealed: ['valid'],
  suspended: ['suspended'],
  resumed: ['valid'],
  revoked: ['revoked'],
  superseded: ['superseded'],
};
const mayFollow: Readonly<Record<string, readonly string[]>> = {
  '': ['pushed'],
  pending_review: ['corrected', 'approved', 'returned'],
  returned: ['corrected'],
  approved: ['sealed', 'corrected'],
  valid: ['suspended', 'revoked', 'superseded'],
  suspended: ['resumed', 'revoked', 'superseded'],
};

/** One event per revision, each one allowed after the one before, and the last one is the state of the row. */
function proveLife(row: Certificate, events: readonly { readonly action: string; readonly state: string }[]): string[] {
  const faults: string[] = [];
  if (events.length !== row.revision) faults.push(`revision ${row.revision} after ${events.length} events`);
  let state = '';
  for (const event of events) {
    if (mayFollow[state]?.includes(event.action) !== true) faults.push(`${event.action} after ${state}`);
    if (lives[event.action]?.includes(event.state) !== true) faults.push(`${event.action} led to ${event.state}`);
    state = event.state;
  }
  if (state !== row.state) faults.push(`is ${row.state}, its last event says ${state}`);
  return faults;
}

/** Of every series at most one version is in force, and every sealed one below the newest sealed one is out of force. */
function proveSuccession(versions: readonly Version[]): string[] {
  const series = new Map<string, Certificate[]>();
  for (const { rows } of versions) {
    const [row] = rows;
    if (row !== undefined) series.set(row.series, [...(series.get(row.series) ?? []), row]);
  }
  return [...series].flatMap(([name, rows]) => {
    const sealed = rows.filter(({ state }) => sealedStates.has(state)).toSorted((a, b) => b.version - a.version);
    const outdated = sealed.slice(1).filter(({ state }) => state !== 'superseded' && state !== 'revoked');
    const numbers = rows.map(({ version }) => version).toSorted((a, b) => a - b);
    return [
      ...outdated.map(({ version }) => `${name}: version ${version} is still in force`),
      ...(sealed[0]?.state === 'superseded' ? [`${name}: superseded by nothing`] : []),
      ...(new Set(numbers).size === numbers.length ? [] : [`${name}: a version twice`]),
    ];
  });
}

async function proveRegistry(trx: Trx, keys: Keys, records: readonly OpenedRecord[]): Promise<string[]> {
  const faults: string[] = [];
  const deps = { keys, tampered: (table: string, id: string) => void faults.push(`${table} ${id}: MAC`) };
  const departments = await allDepartments(trx, deps);
  const clients = await allClients(trx, deps);
  const roots = await listRootRows(trx, deps);
  const seals = await listSealRows(trx, deps);
  const types = await readTypes(trx, deps);
  const matters = await readMatters(trx, deps);
  const demandSteps = countBy(
    (await readDemands(trx, deps)).flatMap(({ history }) => history),
    ({ step }) => step,
  );
  await checkPaperDemands(trx, deps);
  const paper = await listPaperDemandRows(trx, deps, { limit: 1_000_000 });
  const paperSteps = paper.items.flatMap(({ history }) => history.slice(1)).map(({ step }) => step);
  const isAnswer = (step: string): boolean => step === 'withdrawn' || step === 'maintained';
  const { grants, tampered } = await loadGrants(trx, keys);
  faults.push(...tampered.map((id) => `grants ${id}: MAC`));
  for (const client of clients) if (client.keys.length === 0) faults.push(`client ${client.id} has no key`);

  const applications = await proveApplications(trx, deps, grants);
  faults.push(...applications.faults);
  const { items: reports } = await listFeedbackRows(trx, deps, { of: undefined, limit: 1_000_000 });

  const done = countBy(
    records.filter(({ kind, result, body }) => kind === 'registry' && result === 'done' && !isUnchanged(body)),
    ({ action }) => versionBy[action] ?? action,
  );
  const keyCount = clients.reduce((sum, client) => sum + client.keys.length, 0);
  const registered = records
    .filter(({ action, result }) => action === 'registerClient' && result === 'done')
    .reduce((sum, { body }) => sum + (body['detail'] as { keys: unknown[] }).keys.length, 0);
  const expected: Record<string, number> = {
    registerDepartment: departments.length,
    registerClient: clients.length,
    addClientKey: keyCount - registered,
    registerTrustRoot: roots.length,
    registerSealX509: seals.length,
    'a version of a type': types.length,
    'a version of a matter': matters.reduce((sum, { version }) => sum + version, 0),
    ...applications.expected,
    declareDemand: demandSteps.get('declared') ?? 0,
    assignDemand: demandSteps.get('assigned') ?? 0,
    answerSupplyGap: demandSteps.get('answered') ?? 0,
    withdrawDemand: demandSteps.get('withdrawn') ?? 0,
    reportFault: reports.length,
    answerFeedback: reports.reduce((sum, { history }) => sum + history.length - 1, 0),
    recordPaperDemand: paper.items.length,
    contestPaperDemand: paperSteps.filter((step) => !isAnswer(step)).length,
    answerPaperDemand: paperSteps.filter(isAnswer).length,
    revokeGrant: grants.filter(({ revokedAt }) => revokedAt !== undefined).length,
  };
  for (const [action, rows] of Object.entries(expected)) {
    if ((done.get(action) ?? 0) !== rows) faults.push(`${action}: ${rows} rows, ${done.get(action) ?? 0} records`);
  }
  return faults;
}

/** Operations of which each makes one version. */
const versionBy: Readonly<Record<string, string>> = {
  registerCertificateType: 'a version of a type',
  publishCertificateType: 'a version of a type',
  retireCertificateType: 'a version of a type',
  registerMatter: 'a version of a matter',
  retireMatter: 'a version of a matter',
};

/** Each granted application has its one grant, and each grant its application; and how many records its steps have to have. */
async function proveApplications(trx: Trx, deps: ApplicationStoreDeps, grants: readonly Grant[]) {
  const { items } = await listApplicationRows(trx, deps, { of: undefined, limit: 1_000_000 });
  const steps = countBy(
    items.flatMap(({ history }) => history),
    ({ step }) => step,
  );
  const count = (...names: readonly (typeof items)[number]['history'][number]['step'][]): number =>
    names.reduce((sum, name) => sum + (steps.get(name) ?? 0), 0);
  const faults = items.flatMap(({ applicationId, grantId, state }) => {
    const made = grants.filter((grant) => grant.applicationId === applicationId).map((grant) => grant.grantId);
    const isSound = state === 'granted' ? made.length === 1 && made[0] === grantId : made.length === 0;
    return isSound ? [] : [`application ${applicationId}: ${state}, ${made.length} grants`];
  });
  const led = new Map(items.map(({ applicationId, grantId }) => [applicationId, grantId]));
  const strays = grants.filter(({ grantId, applicationId }) => led.get(applicationId) !== grantId);
  return {
    faults: [...faults, ...strays.map(({ grantId }) => `grant ${grantId}: no application led to it`)],
    expected: {
      applyForGrant: items.length,
      decideGrantApplication: count('approved', 'refused'),
      enterProvinceDecision: count('approved_by_province', 'refused_by_province'),
      withdrawGrantApplication: count('withdrawn'),
    },
  };
}

/** A revocation, suspension or resumption of what was so already: recorded, but nothing came of it. */
const isUnchanged = (body: Readonly<Record<string, unknown>>): boolean =>
  (body['detail'] as { unchanged?: boolean } | null | undefined)?.unchanged === true;

/** No write is half stored: every key has its answer, and the answer opens for this client, key, operation and status alone. */
async function proveAnswers(trx: Trx, keys: Keys): Promise<string[]> {
  const rows = await trx.selectFrom('idempotency_keys').selectAll().execute();
  return rows.flatMap(({ client_id, key_hash, operation, status, response }) => {
    const name = `idempotency key of ${client_id} for ${operation}`;
    if (status === null || response === null) return [`${name} stands without an answer`];
    const bound = JSON.stringify(['idempotency_keys', client_id, key_hash.toString('hex'), operation, status]);
    try {
      keys.box.open(Buffer.from(bound), response);
      return [];
    } catch {
      return [`${name}: its answer does not open`];
    }
  });
}

function countBy<T>(items: readonly T[], name: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(name(item), (counts.get(name(item)) ?? 0) + 1);
  return counts;
}

/** How many rows each table holds, records by kind; two states between which nothing happened are equal. */
export async function countRows(db: Pick<Database, 'kysely'>): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  for (const table of countedTables) {
    const { n } = await db.kysely
      .selectFrom(table)
      .select(({ fn }) => fn.countAll<number>().as('n'))
      .executeTakeFirstOrThrow();
    counts[table] = n;
  }
  const kinds = await db.kysely
    .selectFrom('records')
    .select(['kind', ({ fn }) => fn.countAll<number>().as('n')])
    .where('outcome', '=', 'done')
    .groupBy('kind')
    .execute();
  for (const { kind, n } of kinds) counts[`records of kind ${kind}`] = n;
  return counts;
}

const countedTables = [
  'departments',
  'clients',
  'client_keys',
  'trust_roots',
  'seal_x509',
  'certificate_types',
  'certificate_type_drafts',
  'grants',
  'tickets',
  'holder_codes',
  'grant_applications',
  'demands',
  'feedback',
  'paper_demands',
  'paper_demand_holders',
  'status_entries',
  'certificate_versions',
  'certificates',
  'certificate_events',
  'idempotency_keys',
] as const;
