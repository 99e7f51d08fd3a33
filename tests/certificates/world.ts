import { hash, randomUUID } from 'node:crypto';
import { startRecorder } from '../../src/audit/record.ts';
import { ensurePartitions, insertRecords, type NewRecord } from '../../src/audit/store.ts';
import { watchCatalogue } from '../../src/catalogue/catalogue.ts';
import type { CertificateTypeDefinition } from '../../src/catalogue/certificate-type.ts';
import { seedStarterTypes } from '../../src/catalogue/seed-starter-types.ts';
import { exampleDepartments, starterTypes } from '../../src/catalogue/starter-types.ts';
import type { PushedCertificate } from '../../src/certificates/certificate.ts';
import type { CertificateBody } from '../../src/certificates/certificate-body.ts';
import type { CertificateDeps } from '../../src/certificates/certificate-deps.ts';
import { pushCertificate } from '../../src/certificates/push-certificate.ts';
import { reviewCertificate } from '../../src/certificates/review-certificate.ts';
import { type Sealing, sealCertificate } from '../../src/certificates/seal-certificate.ts';
import type { SealTrust } from '../../src/certificates/seal-check.ts';
import { connect } from '../../src/db/database.ts';
import { startFreshness } from '../../src/db/fresh.ts';
import { writer } from '../../src/db/write.ts';
import type { Call, ClientId, DepartmentCode, Role } from '../../src/ids.ts';
import { exampleKeysDirectory } from '../../src/signing/example-keys.ts';
import { loadKeys } from '../../src/signing/key-store.ts';
import { canonicalJson } from '../../src/verification/canonical-json.ts';
import { citizenCheckCharacter } from '../../src/verification/identifiers.ts';
import { runSql, testDatabase } from '../support/database.ts';

/** The demo keys: their seals are those of the six issuing departments. */
export const keys = loadKeys(exampleKeysDirectory, { mode: 'demo' });
export const departments = exampleDepartments;
const types = starterTypes(departments);
export const typeNamed = (zh: string): CertificateTypeDefinition => {
  const found = types.find(({ name }) => name.zh === zh);
  if (found === undefined) throw new Error(`no type ${zh}`);
  return found;
};

/** All departments' seals registered, all roots pinned. */
export const fullTrust: SealTrust = {
  roots: keys.roots.map((der) => ({ der, validFrom: new Date(0), validUntil: null })),
  seals: new Map(
    keys.sealSigners.map(({ department, x509 }) => [
      sha256(x509),
      { department, validFrom: new Date(0), validUntil: null, revokedAt: null },
    ]),
  ),
};

function sha256(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex');
}

/** A citizen ID number of the region that does not exist. */
export const citizen = (sequence: number): string => {
  const body = `99000019${String(50 + (sequence % 50)).padStart(2, '0')}0101${String(sequence % 1_000).padStart(3, '0')}`;
  return `${body}${citizenCheckCharacter(body)}`;
};

export const officerA = { id: 'a.clerk', name: '经办甲' };
export const officerB = { id: 'b.reviewer', name: '审核乙' };

interface Test {
  teardown(clean: () => Promise<void>): void;
}

export type World = Awaited<ReturnType<typeof createWorld>>;

/** A hub without HTTP over a database of its own, with the starter types registered. */
export async function createWorld(t: Test, { now = () => new Date() }: { now?: () => Date } = {}) {
  const database = await testDatabase(t);
  const db = connect({
    url: database.serviceUrl,
    max: 12,
    statementTimeoutMs: 20_000,
    connectionTimeoutMs: 20_000,
    applicationName: 'certificates-test',
  });
  await ensurePartitions(db);
  const recorder = startRecorder({
    insertAll: (rows: readonly NewRecord[]) => insertRecords(db, rows),
    keys,
    now,
    maxBatch: 100,
  });
  const freshness = startFreshness(db, { intervalMs: 250, maxAgeMs: 900, now: () => performance.now() });
  const tampered: string[] = [];
  const told = (kind: string, id: string): void => void tampered.push(`${kind}:${id}`);
  const { record, recordIn } = recorder;
  await seedStarterTypes({ keys, recordIn, db }, { types, at: new Date('2020-01-01T00:00:00Z') });
  let trust = fullTrust;
  const deps: CertificateDeps = {
    db,
    write: writer({
      db,
      box: {
        seal: (plain, boundTo) => keys.box.seal(boundTo, plain),
        open: (sealed, boundTo) => keys.box.open(boundTo, sealed),
      },
      fingerprint: (value) => keys.rowMac('idempotency', Buffer.from(canonicalJson(value))),
    }),
    record,
    recordIn,
    keys,
    catalogue: watchCatalogue(freshness, { keys, tampered: told }),
    trust: { read: async () => trust },
    issuer: 'https://hub.example.test',
    cityTimeZone: 'Asia/Shanghai',
    tampered: told,
  };
  t.teardown(async () => {
    await freshness.stop();
    await recorder.drain();
    await db.close();
  });
  return {
    deps,
    db,
    tampered,
    setTrust: (next: SealTrust) => {
      trust = next;
    },
    sql: (...statements: string[]) => runSql(database.superuserUrl, ...statements),
  };
}

/** A call by a client of a department. */
export const callBy = (department: string, at = new Date(), roles: Role[] = ['issuer']): Call => ({
  caller: {
    clientId: `client-${department.slice(-4).toLowerCase()}` as ClientId,
    department: department as DepartmentCode,
    roles,
    keyId: 'k1',
  },
  requestId: randomUUID(),
  at,
});

/** A change by a client of a department under a fresh key. */
export const change = (department: string, at = new Date()) => ({
  call: callBy(department, at),
  idempotencyKey: randomUUID(),
});

const idCard = typeNamed('居民身份证');

/** A sound push of a resident ID card. */
export const idCardPush = (number: string, changes: Partial<PushedCertificate> = {}): PushedCertificate => ({
  certificateTypeCode: idCard.certificateTypeCode,
  certificateNumber: number,
  certificateIssuedDate: '2024-05-20',
  certificateEffectiveDate: '2024-05-20',
  certificateExpiringDate: '2044-05-20',
  holders: [{ type: '111', number, name: '张测试' }],
  fields: {
    name: '张测试',
    sex: '女',
    ethnicity: '汉',
    birthDate: '1990-01-01',
    address: '示范市虚构路1号',
    idNumber: number,
    issuingAuthority: '示范市公安局',
  },
  officer: officerA,
  ...changes,
});

/** A sound push of a marriage certificate. */
export const marriagePush = (
  first: string,
  second: string,
  changes: Partial<PushedCertificate> = {},
): PushedCertificate => ({
  certificateTypeCode: typeNamed('结婚证').certificateTypeCode,
  certificateNumber: 'J990000-2024-000001',
  certificateIssuedDate: '2024-02-14',
  certificateEffectiveDate: '2024-02-14',
  holders: [
    { type: '111', number: first, name: '李测试' },
    { type: '111', number: second, name: '王测试' },
  ],
  fields: {
    registeredDate: '2024-02-14',
    registrationOffice: '示范市民政局',
    husbandName: '李测试',
    wifeName: '王测试',
  },
  officer: officerA,
  ...changes,
});

/** Pushes and answers the certificate. */
export async function push(
  { deps }: Pick<World, 'deps'>,
  pushed: PushedCertificate,
  department = departments.publicSecurity,
): Promise<CertificateBody> {
  const answer = await pushCertificate(deps, { ...change(department), pushed });
  return answer.body as CertificateBody;
}

/** Approves and seals. */
export async function approveAndSeal(
  { deps }: Pick<World, 'deps'>,
  certificateIdentifier: string,
  department = departments.publicSecurity,
  sealing: Sealing = {},
): Promise<CertificateBody> {
  const review = { decision: 'approve', officer: officerB } as const;
  await reviewCertificate(deps, { ...change(department), certificateIdentifier, review });
  const answer = await sealCertificate(deps, { ...change(department), certificateIdentifier, sealing });
  return answer.body as CertificateBody;
}

/** Pushes, approves and seals. */
export async function issue(
  world: Pick<World, 'deps'>,
  pushed: PushedCertificate,
  department = departments.publicSecurity,
): Promise<CertificateBody> {
  const { certificateIdentifier } = await push(world, pushed, department);
  return approveAndSeal(world, certificateIdentifier, department);
}

/** The code of the refusal that a promise ends with, or what came instead. */
export const refusalOf = async (promise: Promise<unknown>): Promise<{ code: unknown; detail?: unknown }> => {
  try {
    await promise;
    return { code: 'not refused' };
  } catch (error) {
    const { code = String(error), detail } = error as { code?: unknown; detail?: unknown };
    return { code, detail };
  }
};
