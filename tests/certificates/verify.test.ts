import { hash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { startRecorder } from '../../src/audit/record.ts';
import { ensurePartitions, insertRecords } from '../../src/audit/store.ts';
import { catalogued, catalogueOf } from '../../src/catalogue/catalogue.ts';
import type { CertificateType } from '../../src/catalogue/certificate-type.ts';
import type {
  CertificateMetadata,
  CertificateState,
  RevocationReason,
} from '../../src/certificates/certificate-row.ts';
import {
  type CertificateVersion,
  changeVersion,
  enterVersion,
  noteStep,
  readVersion,
} from '../../src/certificates/certificate-version.ts';
import type { EventAction } from '../../src/certificates/events.ts';
import { expectedPayload } from '../../src/certificates/sealed-claims.ts';
import { allocateStatusIndex, setStatus } from '../../src/certificates/status-index.ts';
import { statusListUri } from '../../src/certificates/status-list.ts';
import { insertSealHeader } from '../../src/certificates/store.ts';
import { composeTrustBundle, trustBundles } from '../../src/certificates/trust-bundle.ts';
import { verificationHandlers } from '../../src/certificates/verification-routes.ts';
import { type Verification, type VerifyInput, verifyOnline } from '../../src/certificates/verify-online.ts';
import { matchesFace } from '../../src/certificates/verify-online-face.ts';
import { limitGuesses } from '../../src/certificates/verify-online-guesses.ts';
import { demoTypes } from '../../src/cli/demo/certificates.ts';
import * as trustCommand from '../../src/cli/trust.ts';
import { run as runVerify } from '../../src/cli/verify.ts';
import { connect } from '../../src/db/database.ts';
import { transaction } from '../../src/db/transaction.ts';
import type { Registry, Trust } from '../../src/departments/registry.ts';
import { Refusal } from '../../src/errors.ts';
import type { Call, ClientId, DepartmentCode } from '../../src/ids.ts';
import { encryptionKeys, indexKeys } from '../../src/signing/data-keys.ts';
import { loadKeys } from '../../src/signing/key-store.ts';
import { composeCertificateIdentifier } from '../../src/verification/identifiers.ts';
import { filterSdJwt } from '../../src/verification/sd-jwt.ts';
import { parseTrustBundle, type TrustBundleDocument } from '../../src/verification/trust-bundle.ts';
import { runSql, testDatabase } from '../support/database.ts';
import { loadedModules } from '../support/loaded-modules.ts';
import { startHub } from '../support/start-hub.ts';
import {
  clearClaims,
  day,
  department,
  hubIssuer,
  type Issued,
  issue,
  issueAnswer,
  makeRealm,
  makeX509,
  now,
  otherDepartment,
  type Realm,
  sealProfile,
  statusToken,
  trustDocument,
  trustOf,
  typeCode,
  x5cHeader,
} from '../verification/local-issuer.ts';

// Each test has a database of its own, on a machine that may be busy.
t.setTimeout(240_000);

const realm = await makeRealm();
const stranger = await makeRealm('Stranger');
const timeZone = 'Asia/Shanghai';
const instant = (offsetDays: number): Date => new Date((now + offsetDays * day) * 1000);
const dayOf = (offsetDays: number): string => instant(offsetDays).toISOString().slice(0, 10);
const type: CertificateType = {
  certificateTypeCode: typeCode as CertificateType['certificateTypeCode'],
  name: { zh: '户口簿', en: 'Household register' },
  ownerDepartmentCode: department as DepartmentCode,
  allowedIssuers: [{ departmentCode: department as DepartmentCode }],
  holderKind: 'person',
  holderCount: { min: 1, max: 2 },
  fields: [],
  validity: { kind: 'either' },
  reviewRequired: true,
  version: 1,
  createdAt: instant(-900),
};
const holders = [
  { type: '111', number: '990000190001010016', name: '测试一' },
  { type: '111', number: '990000190001010024', name: '测试二' },
] as const;

/** A hub's database and files, with the small issuer of `tests/verification` as its department. */
async function openFiles(t: Parameters<typeof testDatabase>[0]) {
  const { serviceUrl, superuserUrl } = await testDatabase(t);
  const db = connect({ url: serviceUrl, max: 4, statementTimeoutMs: 5_000, applicationName: 'verify test' });
  t.teardown(() => db.close());
  await ensurePartitions(db);
  const secret = { number: 1, secret: randomBytes(32), active: true };
  const keys = { ...indexKeys([secret]), ...encryptionKeys([secret]) };
  const recorder = startRecorder({
    insertAll: (rows) => insertRecords(db, rows),
    keys,
    now: () => new Date(),
    maxBatch: 100,
  });
  let document: TrustBundleDocument = trustDocument(realm, []);
  const deps = {
    db,
    keys,
    record: recorder.record,
    trust: async () => trustOf(document),
    guesses: limitGuesses(),
  };
  let serial = 0;
  const stepDeps = { keys, timeZone, recordIn: async () => undefined };
  const call = (at: Date): Call => ({
    caller: { clientId: 'issuer' as ClientId, department: department as DepartmentCode, roles: [], keyId: 'k' },
    requestId: 'r',
    at,
  });

  /** Pushes and seals a version; `sealedAt` in days from now. */
  const deposit = async (wish: Wish = {}): Promise<Deposited> => {
    const { sealedAt = -100, version = 1 } = wish;
    serial += wish.series === undefined ? 1 : 0;
    const series = wish.series ?? `${typeCode}.${department}.${String(serial).padStart(20, '0')}`;
    const metadata: CertificateMetadata = {
      certificateNumber: `T-${serial}`,
      certificateIssuedDate: dayOf(sealedAt),
      certificateEffectiveDate: dayOf(wish.effective ?? sealedAt),
      ...(wish.expiring === undefined ? {} : { certificateExpiringDate: dayOf(wish.expiring) }),
      holders,
      fields: { householdAddress: '测试路 1 号', members: 3 },
    };
    return transaction(db, async (trx) => {
      const status = await allocateStatusIndex(trx, { at: instant(sealedAt) });
      const at = instant(sealedAt);
      const draft = { series, version, entry: catalogued(type), metadata, state: 'approved' as const, editors: [], at };
      const entered = await enterVersion(trx, stepDeps, draft, status);
      const [row] = entered.rows;
      const issued = issue(wish.realm ?? realm, {
        clear: { ...expectedPayload(row, (id) => statusListUri(hubIssuer, id)), iat: now + sealedAt * day },
        fields: {
          certificateNumber: metadata.certificateNumber,
          certificateIssuedDate: metadata.certificateIssuedDate,
          certificateHolders: holders,
          ...metadata.fields,
        },
      });
      const [header = '', payload = '', signature = ''] = issued.jwt.split('.');
      const headerSha256 = hash('sha256', header, 'hex');
      const sealed = { headerSha256, payload, signature, disclosures: Object.fromEntries(issued.disclosures) };
      await insertSealHeader(trx, headerSha256, header);
      const after = await changeVersion(trx, stepDeps, entered, {
        state: 'valid',
        contents: { ...entered.contents, sealed },
        sealedAt: at,
        at,
      });
      await noteStep(trx, stepDeps, {
        call: call(at),
        after,
        step: { operation: 'sealCertificate', action: 'sealed' },
      });
      return { ...issued, identifier: row.identifier, series, version, status };
    });
  };
  const step = async (certificate: Deposited, offsetDays: number, to: Step): Promise<void> => {
    const at = instant(offsetDays);
    await transaction(db, async (trx) => {
      const { series, version, status } = certificate;
      const current: CertificateVersion = await readVersion(trx, keys.box, { series, version }, { lock: true });
      const revocation = to.reason === undefined ? {} : { revocationReason: to.reason };
      const after = await changeVersion(trx, stepDeps, current, { state: to.state, ...revocation, at });
      await noteStep(trx, stepDeps, {
        call: call(at),
        after,
        step: { operation: 'changeCertificateStatus', action: to.action },
      });
      await setStatus(trx, status, to.state === 'valid' ? 0 : to.state === 'suspended' ? 2 : 1, at);
    });
  };
  const ask = (question: Partial<VerifyInput>): Promise<Verification> =>
    verifyOnline(deps, { requestId: 'request-1', receivedAt: instant(0), ...question });
  const records = async (): Promise<Record<string, unknown>[]> =>
    (await runSql(superuserUrl, `select * from records where action = 'verify' order by record_id`)).rows as Record<
      string,
      unknown
    >[];
  const believe = (next: TrustBundleDocument): void => {
    document = next;
  };
  return { deps, deposit, step, ask, records, believe, superuserUrl };
}
type Wish = {
  readonly sealedAt?: number;
  readonly effective?: number;
  readonly expiring?: number;
  readonly series?: string;
  readonly version?: number;
  readonly realm?: Realm;
};
type Deposited = Issued & {
  readonly identifier: string;
  readonly series: string;
  readonly version: number;
  readonly status: { readonly list: number; readonly index: number };
};
type Step = { readonly state: CertificateState; readonly action: EventAction; readonly reason?: RevocationReason };
const suspended: Step = { state: 'suspended', action: 'suspended' };
const resumed: Step = { state: 'valid', action: 'resumed' };
const revoked: Step = { state: 'revoked', action: 'revoked', reason: 'cancelled' };
const inError: Step = { state: 'revoked', action: 'revoked', reason: 'issued_in_error' };
const superseded: Step = { state: 'superseded', action: 'superseded' };

const codesOf = ({ reasons }: { readonly reasons: readonly { readonly code: string }[] }): string[] =>
  reasons.map(({ code }) => code);
const refusalOf = async (promise: Promise<unknown>): Promise<Refusal | undefined> => {
  const outcome = await promise.catch((error: unknown) => error);
  return outcome instanceof Refusal ? outcome : undefined;
};
const face = (certificate: Deposited, more: Record<string, unknown> = {}): Partial<VerifyInput> => ({
  certificateIdentifier: certificate.identifier,
  faceValues: { holderName: '测试一', holderNumber: '990000190001010016', ...more },
});

await t.test('online: every verdict for a sealed certificate and for values from its face', async (t) => {
  const files = await openFiles(t);
  const good = await files.deposit();
  const future = await files.deposit({ effective: 10 });
  const held = await files.deposit();
  await files.step(held, -1, suspended);
  const cancelled = await files.deposit();
  await files.step(cancelled, -1, revoked);
  const mistaken = await files.deposit();
  await files.step(mistaken, -1, inError);
  const over = await files.deposit({ sealedAt: -100, expiring: -2 });
  const old = await files.deposit();
  const newer = await files.deposit({ series: old.series, version: 2, sealedAt: -3 });
  await files.step(old, -3, superseded);

  const cases: [what: string, certificate: Deposited, verdict: number, codes: string[]][] = [
    ['valid', good, 0, []],
    ['not in force yet', future, 1, ['not_yet_valid']],
    ['suspended', held, 2, ['suspended']],
    ['revoked', cancelled, 3, ['revoked', 'revoked_cancelled']],
    ['revoked, issued in error', mistaken, 3, ['revoked', 'revoked_issued_in_error']],
    ['expired', over, 3, ['expired']],
    ['superseded', old, 3, ['superseded', 'superseded_by']],
    ['the newer version', newer, 0, []],
  ];
  for (const [what, certificate, verdict, codes] of cases) {
    const sealed = await files.ask({ sdJwt: certificate.sdJwt });
    t.match({ ...sealed, codes: codesOf(sealed) }, { verdict, codes }, `${what}, by the sealed certificate`);
    t.equal(sealed.certificates[0]?.certificateIdentifier, certificate.identifier);
    t.equal(sealed.certificates[0]?.disclosed?.['members'], 3);
    const byFace = await files.ask(face(certificate));
    t.match({ ...byFace, codes: codesOf(byFace) }, { verdict, codes }, `${what}, by its face`);
    t.notOk(JSON.stringify(byFace).includes('测试'), 'nothing personal is told to who has no certificate');
    for (const { zh, en } of byFace.reasons) t.ok(/\p{Script=Han}/u.test(zh) && /^[ -~]+$/.test(en));
  }
  const told = await files.ask({ sdJwt: old.sdJwt });
  t.ok(told.reasons.at(-1)?.en.includes(newer.identifier), 'the reason names the newer version');

  const unknown = composeCertificateIdentifier({ typeCode, issuerCode: department, serial: '99', version: 1 });
  const wrongCheck = `${good.identifier.slice(0, -1)}${good.identifier.endsWith('0') ? '1' : '0'}`;
  const others: [question: Partial<VerifyInput>, verdict: number, code: string][] = [
    [{}, 6, 'nothing_given'],
    [{ sdJwt: '' }, 6, 'nothing_given'],
    [{ at: instant(-1).toISOString() }, 6, 'nothing_given'],
    [{ certificateIdentifier: good.identifier }, 4, 'face_values_missing'],
    [{ certificateIdentifier: good.identifier, faceValues: { holderName: '测试一' } }, 4, 'face_values_missing'],
    [
      { certificateIdentifier: good.identifier, faceValues: { holderName: '测试一', members: ' ' } },
      4,
      'face_values_missing',
    ],
    [{ faceValues: { holderName: '测试一', members: 3 } }, 4, 'face_values_missing'],
    [{ ...face(good), certificateIdentifier: unknown }, 5, 'certificate_not_on_file'],
    [{ ...face(good), certificateIdentifier: wrongCheck }, 7, 'identifier_check_character'],
    [{ ...face(good), certificateIdentifier: 'nonsense' }, 7, 'identifier_malformed'],
    [face(good, { holderNumber: '990000190001010024' }), 7, 'face_values_differ'],
    [{ sdJwt: 'nonsense' }, 7, 'sd_jwt_shape'],
    [{ sdJwt: `${good.jwt.slice(0, -4)}AAAA~` }, 7, 'jws_signature'],
  ];
  for (const [question, verdict, code] of others) {
    const answer = await files.ask(question);
    t.match({ verdict: answer.verdict, codes: codesOf(answer) }, { verdict, codes: [code] });
    t.strictSame(answer.certificates, []);
  }
});

await t.test('online: a time in the past is judged by the state the certificate had then', async (t) => {
  const files = await openFiles(t);
  const certificate = await files.deposit();
  await files.step(certificate, -80, suspended);
  await files.step(certificate, -70, resumed);
  await files.step(certificate, -10, inError);
  const cases: [offsetDays: number, verdict: number, codes: string[]][] = [
    [-120, 1, ['not_sealed_yet', 'not_yet_valid', 'later_revoked_issued_in_error']],
    [-90, 0, ['later_revoked_issued_in_error']],
    [-80.001, 0, ['later_revoked_issued_in_error']],
    [-80, 2, ['suspended', 'later_revoked_issued_in_error']],
    [-75, 2, ['suspended', 'later_revoked_issued_in_error']],
    [-70, 0, ['later_revoked_issued_in_error']],
    [-11, 0, ['later_revoked_issued_in_error']],
    [-10, 3, ['revoked', 'revoked_issued_in_error']],
    [-1, 3, ['revoked', 'revoked_issued_in_error']],
  ];
  for (const [offset, verdict, codes] of cases) {
    const at = instant(offset).toISOString();
    for (const question of [{ sdJwt: certificate.sdJwt }, face(certificate)]) {
      const answer = await files.ask({ ...question, at });
      t.strictSame([answer.verdict, codesOf(answer), answer.at], [verdict, codes, at], `${offset} days`);
    }
  }
  const old = await files.deposit();
  await files.deposit({ series: old.series, version: 2, sealedAt: -20 });
  await files.step(old, -20, superseded);
  t.equal((await files.ask({ sdJwt: old.sdJwt, at: instant(-21).toISOString() })).verdict, 0);
  t.equal((await files.ask({ sdJwt: old.sdJwt, at: instant(-19).toISOString() })).verdict, 3);
  const refusal = await refusalOf(files.ask({ sdJwt: old.sdJwt, at: instant(1).toISOString() }));
  t.match(refusal, { code: 'contract_violation', detail: { pointer: '/at' } }, 'nobody vouches for the future');
});

await t.test('online: contradicting questions are refused', async (t) => {
  const files = await openFiles(t);
  const questions: [Partial<VerifyInput>, pointer: string][] = [
    [{ sdJwt: 'a~', answer: 'b' }, '/answer'],
    [{ sdJwt: 'a~', certificateIdentifier: 'b' }, '/certificateIdentifier'],
    [{ answer: 'a', certificateIdentifier: 'b' }, '/certificateIdentifier'],
    [{ sdJwt: 'a~', faceValues: {} }, '/faceValues'],
    [{ answer: 'a', faceValues: {} }, '/faceValues'],
    [{ sdJwts: [] }, '/sdJwts'],
    [{ sdJwt: 'a~', sdJwts: ['a~'] }, '/sdJwts'],
    [{ certificateIdentifier: 'a', sdJwts: ['a~'] }, '/sdJwts'],
    [{ sdJwt: 'a~', at: 'yesterday' }, '/at'],
  ];
  for (const [question, pointer] of questions) {
    t.match(await refusalOf(files.ask(question)), { code: 'contract_violation', detail: { pointer } });
  }
  const certificate = await files.deposit();
  const refusal = await refusalOf(files.ask(face(certificate, { holderNumber: 990_000_190_001_010 })));
  t.equal(refusal?.code, 'number_for_identifier');
});

await t.test('online: an answer of the hub with its certificates', async (t) => {
  const files = await openFiles(t);
  const one = await files.deposit();
  const two = await files.deposit();
  await files.step(two, -1, suspended);
  const cut = filterSdJwt(one.jwt, [one.disclosures.get('certificateNumber') ?? '']);
  const entry = (certificate: Deposited, presented: string) => ({
    certificateIdentifier: certificate.identifier,
    status: 'valid',
    level: 'fields',
    sd_hash: hash('sha256', presented, 'base64url'),
  });
  const answer = issueAnswer(realm, [], { certificates: [entry(one, cut), entry(two, two.sdJwt)] });
  const whole = await files.ask({ answer, sdJwts: [cut, two.sdJwt] });
  t.equal(whole.verdict, 2, 'the worst of its certificates');
  t.strictSame(codesOf(whole), ['suspended']);
  t.strictSame(whole.certificates[0]?.disclosed, { certificateNumber: 'T-1' });
  const part = await files.ask({ answer, sdJwts: [cut] });
  t.strictSame([part.verdict, codesOf(part)], [0, ['sd_jwt_not_supplied']]);
  const swapped = await files.ask({ answer, sdJwts: [one.sdJwt] });
  t.equal(swapped.verdict, 7, 'more fields than the hub answered with');
  const forged = issueAnswer(stranger, [], { certificates: [entry(one, cut)] });
  t.equal((await files.ask({ answer: forged, sdJwts: [cut] })).verdict, 7);
});

await t.test('online: genuine seals that the files do not know, or know otherwise', async (t) => {
  const files = await openFiles(t);
  const filed = await files.deposit();
  const identifier = composeCertificateIdentifier({ typeCode, issuerCode: department, serial: '77', version: 1 });
  const elsewhere = issue(realm, { clear: { ...clearClaims(), certificateIdentifier: identifier } });
  const unknown = await files.ask({ sdJwt: elsewhere.sdJwt });
  t.strictSame([unknown.verdict, codesOf(unknown), unknown.certificates], [5, ['certificate_not_on_file'], []]);
  // a stolen seal key signs the certificate once more, with other content or another status index
  const twin = issue(realm, { clear: { ...clearClaims(), certificateIdentifier: filed.identifier } });
  const other = await files.ask({ sdJwt: twin.sdJwt });
  t.strictSame([other.verdict, codesOf(other), other.certificates], [7, ['certificate_differs_from_file'], []]);
});

await t.test('invariant 4: what was changed in the database past the hub is refused, not answered', async (t) => {
  const files = await openFiles(t);
  const revokedOne = await files.deposit();
  await files.step(revokedOne, -10, revoked);
  const past = instant(-5).toISOString();
  await runSql(files.superuserUrl, `update certificates set state = 'valid'`);
  t.equal((await refusalOf(files.ask({ sdJwt: revokedOne.sdJwt })))?.code, 'stored_data_tampered');
  t.equal((await refusalOf(files.ask(face(revokedOne))))?.code, 'stored_data_tampered');
  await runSql(files.superuserUrl, `update certificates set state = 'revoked'`);
  t.equal((await files.ask({ sdJwt: revokedOne.sdJwt, at: past })).verdict, 3);
  await runSql(files.superuserUrl, `update certificate_events set at = at + interval '8 days' where state = 'revoked'`);
  t.equal((await refusalOf(files.ask({ sdJwt: revokedOne.sdJwt, at: past })))?.code, 'stored_data_tampered');
  await runSql(files.superuserUrl, `delete from certificate_events where state = 'revoked'`);
  t.equal((await refusalOf(files.ask({ sdJwt: revokedOne.sdJwt, at: past })))?.code, 'stored_data_tampered');
});

await t.test(
  'invariant 1: every verification is recorded, durable before its answer, without anybody’s data',
  async (t) => {
    const files = await openFiles(t);
    const certificate = await files.deposit();
    const answers = [
      await files.ask({ sdJwt: certificate.sdJwt }),
      await files.ask(face(certificate)),
      await files.ask(face(certificate, { members: 99 })),
      await files.ask({}),
    ];
    const rows = await files.records();
    t.strictSame(
      rows.map((row) => row['record_id']),
      answers.map((answer) => answer.recordId),
    );
    const subject = files.deps.keys.holderKey('111', holders[0].number);
    const second = files.deps.keys.holderKey('111', holders[1].number);
    for (const row of rows.slice(0, 3)) {
      t.same(row['holder_key'], subject, 'the holder can see that somebody asked, and the wrong guess too');
      t.same(row['other_holder_keys'], [second]);
    }
    t.equal(rows[3]?.['holder_key'], null);
    t.match(rows[0], { kind: 1, outcome: 'answered', client_id: null, code: null });
    t.notOk(JSON.stringify(rows).includes('测试'));

    t.equal((await refusalOf(files.ask({ sdJwt: 'a~', answer: 'b' })))?.code, 'contract_violation');
    await runSql(files.superuserUrl, `update certificates set state = 'suspended'`);
    await refusalOf(files.ask({ sdJwt: certificate.sdJwt }));
    t.match((await files.records()).slice(4), [
      { outcome: 'refused', code: 'contract_violation' },
      { outcome: 'failed', code: 'stored_data_tampered' },
    ]);

    const lost = { ...files.deps, record: () => Promise.reject(new Refusal('record_unavailable')) };
    const input = { sdJwt: certificate.sdJwt, requestId: 'r', receivedAt: instant(0) };
    t.equal((await refusalOf(verifyOnline(lost, input)))?.code, 'record_unavailable');
  },
);

await t.test('online: wrong values are told alike, whichever is wrong, and cannot be tried out', async (t) => {
  const files = await openFiles(t);
  const certificate = await files.deposit();
  const right = { holderName: '测试一', holderNumber: '990000190001010016', householdAddress: '测试路1号', members: 3 };
  t.equal((await files.ask({ ...face(certificate), faceValues: right })).verdict, 0, 'white space does not count');
  const wrong: Record<string, unknown>[] = [
    { ...right, holderName: '测试三' },
    { ...right, holderName: '测试二' },
    { ...right, members: 4 },
    { ...right, noSuchField: 'x' },
    { holderName: 'x', holderNumber: 'y', householdAddress: 'z', members: [] },
    { ...right, constructor: 'x' },
  ];
  const told = new Set<string>();
  for (const faceValues of wrong) {
    const { recordId: _, ...answer } = await files.ask({ ...face(certificate), faceValues });
    t.equal(answer.verdict, 7);
    told.add(JSON.stringify(answer));
  }
  t.equal(told.size, 1, 'one answer for all wrong values');
  for (let more = wrong.length; more < 10; more++) await files.ask(face(certificate, { members: more }));
  const locked = await refusalOf(files.ask({ ...face(certificate), faceValues: right }));
  t.match(locked, { code: 'rate_limited', detail: { retryAfterSeconds: Number } }, 'the eleventh try is not answered');
  t.equal((await files.ask({ sdJwt: certificate.sdJwt })).verdict, 0, 'who has the certificate is not locked out');
  const another = await files.deposit();
  t.equal((await files.ask(face(another))).verdict, 0);

  let clock = 0;
  const limit = limitGuesses(() => clock);
  for (let count = 0; count < 10; count++) limit.wrong('a');
  t.throws(() => limit.admit('a'), { code: 'rate_limited' });
  clock = 600_000;
  t.doesNotThrow(() => limit.admit('a'));
});

await t.test('property: face values match exactly when each is the certificate’s', (t) => {
  const metadata: CertificateMetadata = {
    certificateNumber: 'T-1',
    certificateIssuedDate: '2026-08-14',
    certificateEffectiveDate: '2026-08-14',
    holders,
    fields: { householdAddress: '测试路 1 号', members: 3, nested: { a: ['x', 1] } },
  };
  const truth: Record<string, unknown> = {
    ...metadata.fields,
    certificateNumber: 'T-1',
    certificateIssuedDate: '2026-08-14',
    certificateEffectiveDate: '2026-08-14',
    holderName: '测试二',
    holderNumber: '９９０000190001010024',
  };
  const names = fc.subarray(Object.keys(truth), { minLength: 1 });
  fc.assert(
    fc.property(names, fc.nat(), fc.jsonValue(), (chosen, pick, value) => {
      const values = Object.fromEntries(chosen.map((name) => [name, truth[name]]));
      if (!matchesFace(metadata, values)) return false;
      const changed = chosen[pick % chosen.length] ?? '';
      const given = value !== null && !(typeof value === 'string' && value.trim() === '');
      const same = matchesFace(metadata, { [changed]: value });
      return !given || same || !matchesFace(metadata, { ...values, [changed]: value });
    }),
    { seed: 20_261_122, numRuns: 300 },
  );
  t.notOk(matchesFace(metadata, {}));
  t.notOk(matchesFace(metadata, { holderName: '测试一', holderNumber: '990000190001010024' }), 'two holders mixed');
  t.end();
});

/** Runs `certhub verify` over texts in a folder of their own. */
function offline(t: { teardown(clean: () => void): void }, document: TrustBundleDocument = trustDocument(realm)) {
  const folder = mkdtempSync(join(tmpdir(), 'certhub-verify-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  let count = 0;
  const save = (content: string | Uint8Array): string => {
    const file = join(folder, `${++count}.txt`);
    writeFileSync(file, content);
    return file;
  };
  const bundle = save(JSON.stringify(document));
  const call = async (argv: readonly string[]) => {
    let out = '';
    let err = '';
    const io = {
      stdout: { write: (text: string) => void (out += text) },
      stderr: { write: (text: string) => void (err += text) },
      env: {},
    };
    const given = argv.includes('--trust') ? argv : [...argv, '--trust', bundle];
    const code = await runVerify(given, io, () => now * 1000);
    return { code, out, err };
  };
  const verify = (content: string | Uint8Array, ...argv: string[]) => call([save(content), ...argv]);
  return { folder, save, call, verify };
}

await t.test('offline: every verdict and its exit code, in both languages', async (t) => {
  const document = (values: Record<number, number> = {}) => trustDocument(realm, [statusToken(realm, values)]);
  const good = issue(realm);
  const dated = (nbf: number, exp: number) => issue(realm, { clear: { ...clearClaims(), nbf, exp } }).sdJwt;
  const cases: [what: string, content: string, values: Record<number, number>, verdict: number, code?: string][] = [
    ['valid', good.sdJwt, {}, 0],
    ['not in force yet', dated(now + day, now + 2 * day), {}, 1, 'not_yet_valid'],
    ['suspended', good.sdJwt, { 4321: 2 }, 2, 'suspended'],
    ['revoked', good.sdJwt, { 4321: 1 }, 3, 'status_invalid'],
    ['expired', dated(now - 2 * day, now - day), {}, 3, 'expired'],
    ['nothing', '', {}, 6, 'nothing_given'],
    ['a line end and a byte order mark', `\ufeff${good.sdJwt}\r\n`, {}, 0],
    ['tampered', `${good.jwt.slice(0, -4)}AAAA~`, {}, 7, 'jws_signature'],
    ['not a certificate', 'hello', {}, 7, 'jws_shape'],
    ['the seal without its ~', good.jwt, {}, 7, 'sd_jwt_shape'],
  ];
  for (const [what, content, values, verdict, code] of cases) {
    const { verify } = offline(t, document(values));
    const { code: exit, out, err } = await verify(content);
    t.equal(exit, verdict === 0 ? 0 : 10 + verdict, what);
    t.equal(err, '');
    t.match(out, new RegExp(`^Verdict ${verdict}: [a-z ]+\n结论 ${verdict}：\\p{Script=Han}`, 'u'));
    if (code !== undefined) t.match(out, new RegExp(`- [ -~]+ [^\n]*\\p{Script=Han}[^\n]* \\[${code}\\]`, 'u'));
    const asJson = JSON.parse((await verify(content, '--json')).out) as { verdict: number; meaning: object };
    t.equal(asJson.verdict, verdict);
    t.strictSame(Object.keys(asJson.meaning), ['zh', 'en']);
  }
  const withoutLists = offline(t, trustDocument(realm, []));
  const unknown = await withoutLists.verify(good.sdJwt);
  t.match(unknown, { code: 14, out: /status_list_missing/ }, 'genuine, but nobody knows whether it still counts');
  const { verify } = offline(t, document({ 4321: 2 }));
  const past = await verify(good.sdJwt, '--at', '2026-09-01T08:00:00+08:00');
  t.match(past, { code: 12, out: /status_change_time_unknown/ }, 'an offline list does not know the past');
  t.match(await verify(good.sdJwt, '--at', new Date((now - 200 * day) * 1000).toISOString()), {
    out: /not_sealed_yet/,
  });
});

await t.test('offline: answers, and the JSON that a lookup returned', async (t) => {
  const { verify, save } = offline(t);
  const issued = issue(realm);
  const answer = issueAnswer(realm, [issued.sdJwt]);
  t.match(await verify(answer), { code: 0, out: /sd_jwt_not_supplied/ });
  t.match(await verify(answer, '--sd-jwt', save(issued.sdJwt)), { code: 0, out: /householdAddress: "测试路 1 号"/ });
  const lookup = { recordId: 'r', answer, certificates: [{ sdJwt: issued.sdJwt, status: 'valid' }] };
  t.match(await verify(JSON.stringify(lookup)), { code: 0, out: /school-enrolment/ });
  t.match(await verify(JSON.stringify({ sdJwt: issued.sdJwt })), { code: 0 });
  const other = issue(realm);
  const swapped = { answer, certificates: [{ sdJwt: other.sdJwt }] };
  t.match(await verify(JSON.stringify(swapped)), { code: 17, out: /sd_jwt_not_in_answer/ });
  t.match(await verify(issueAnswer(stranger, [issued.sdJwt])), { code: 17, out: /jws_signature/ });
  t.match(await verify(JSON.stringify({ answer, certificates: [{}] })), { code: 2 }, 'never passed over in silence');
  for (const text of ['{}', '{"answer":1}', '{"a":1,"a":2}', '{', '{"sdJwt":"a~","certificates":1}']) {
    const { code, out } = await verify(text);
    t.ok(code === 2 || code === 17, `${text}: ${code} ${out}`);
  }
});

await t.test('forged certificates are never correct, online or offline', async (t) => {
  const files = await openFiles(t);
  const seal = (party: Awaited<ReturnType<typeof makeX509>>) => ({
    header: x5cHeader('dc+sd-jwt', party, realm.intermediate),
    key: party.key,
  });
  const otherSeal = await makeX509({
    subject: `CN=Other, 2.5.4.97=${otherDepartment}`,
    issuer: realm.intermediate,
    extensions: sealProfile(),
  });
  const expiredSeal = await makeX509({
    subject: `CN=Expired, 2.5.4.97=${department}`,
    issuer: realm.intermediate,
    extensions: sealProfile(),
    notAfter: now - 101 * day,
  });
  const document = trustDocument(realm);
  const [issuer] = document.issuers;
  const [type] = document.types;
  if (issuer === undefined || type === undefined) throw new Error('the document has one issuer and one type');
  const [registered] = issuer.sealX509;
  if (registered === undefined) throw new Error('the issuer has one seal');
  const rfc3339 = (offset: number): string => new Date((now + offset * day) * 1000).toISOString();
  const register = (party: Awaited<ReturnType<typeof makeX509>>) => ({
    ...registered,
    sha256: hash('sha256', party.der, 'hex'),
    x509: party.der.toString('base64'),
  });
  const name = { zh: '另一机关', en: 'Another department' };
  const both: TrustBundleDocument = {
    ...document,
    issuers: [issuer, { department: otherDepartment, name, sealX509: [register(otherSeal)] }],
  };
  const withSeals = (...sealX509: (typeof registered)[]): TrustBundleDocument => ({
    ...document,
    issuers: [{ ...issuer, sealX509 }],
  });
  const withAllowed = (from: string, until: string | null): TrustBundleDocument => ({
    ...document,
    types: [{ ...type, allowedIssuers: [{ department, from, until }] }],
  });
  const good = issue(realm);
  const [first = '', ...rest] = good.disclosures.values();
  const edited = Buffer.from(first, 'base64url').toString('utf8').replace('T-0001', 'T-0002');
  const cases: [what: string, sdJwt: string, document: TrustBundleDocument, code: string][] = [
    ["another department's seal", issue(realm, seal(otherSeal)).sdJwt, both, 'seal_not_registered'],
    [
      'a seal withdrawn before sealing',
      good.sdJwt,
      withSeals({ ...registered, revokedAt: rfc3339(-101) }),
      'seal_revoked',
    ],
    [
      'a seal registered after sealing',
      good.sdJwt,
      withSeals({ ...registered, from: rfc3339(-99) }),
      'seal_not_in_force',
    ],
    [
      'a type the department may not issue',
      good.sdJwt,
      { ...document, types: [{ ...type, allowedIssuers: [] }] },
      'issuer_not_allowed',
    ],
    ['a type allowed too late', good.sdJwt, withAllowed(rfc3339(-99), null), 'issuer_not_allowed'],
    ['a type allowed no longer', good.sdJwt, withAllowed(rfc3339(-500), rfc3339(-101)), 'issuer_not_allowed'],
    [
      'a seal certificate that had expired',
      issue(realm, seal(expiredSeal)).sdJwt,
      withSeals(register(expiredSeal)),
      'x509_expired',
    ],
    [
      'a tampered disclosure',
      filterSdJwt(good.jwt, [Buffer.from(edited).toString('base64url'), ...rest]),
      document,
      'disclosure_unreferenced',
    ],
    [
      'a disclosure of another certificate',
      `${good.sdJwt}${issue(realm).disclosures.get('certificateNumber')}~`,
      document,
      'disclosure_unreferenced',
    ],
    ["a stranger's seal", issue(stranger).sdJwt, document, 'x509_root_unknown'],
  ];
  const { save, call } = offline(t);
  for (const [what, sdJwt, trust, code] of cases) {
    files.believe({ ...trust, statusLists: [] });
    const online = await files.ask({ sdJwt });
    t.match({ ...online, codes: codesOf(online) }, { verdict: 7, certificates: [] }, `${what}, online`);
    t.ok(codesOf(online).includes(code), codesOf(online).join());
    const told = await call([save(sdJwt), '--trust', save(JSON.stringify(trust))]);
    t.match(told, { code: 17, out: new RegExp(`\\[${code}\\]`) }, `${what}, offline`);
    t.notOk(told.out.includes('测试路'), 'what is forged is not repeated');
  }
  files.believe({ ...document, statusLists: [] });

  const strangersList = trustDocument(realm, [
    statusToken(stranger, {}, {}, x5cHeader('statuslist+jwt', stranger.status, stranger.intermediate)),
  ]);
  t.match(await call([save(good.sdJwt), '--trust', save(JSON.stringify(strangersList))]), {
    code: 14,
    out: /status_list_untrusted/,
  });
  const staleList = trustDocument(realm, [statusToken(realm, {}, { iat: now - 8 * day, exp: now - day })]);
  t.match(await call([save(good.sdJwt), '--trust', save(JSON.stringify(staleList))]), {
    code: 14,
    out: /status_list_expired/,
  });

  const text = JSON.stringify(document);
  const at = text.indexOf(registered.x509) + 200;
  const flipped = `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`;
  t.equal((await call([save(good.sdJwt), '--trust', save(flipped)])).code, 2, 'a seal that is not its fingerprint');
  const listAt = text.indexOf('"statusLists":["') + 1_200;
  const otherList = `${text.slice(0, listAt)}${text[listAt] === 'A' ? 'B' : 'A'}${text.slice(listAt + 1)}`;
  t.equal((await call([save(good.sdJwt), '--trust', save(otherList)])).code, 14, 'a status list with another content');
  t.equal((await call([save(good.sdJwt), '--trust', save(text.slice(0, -1))])).code, 2);
});

await t.test('offline: wrong usage and unreadable files are said plainly', async (t) => {
  const { call, save, folder } = offline(t);
  const certificate = save(issue(realm).sdJwt);
  const big = save(Buffer.alloc(8 * 2 ** 20 + 1, 'a'));
  const cases: [argv: string[], message: RegExp][] = [
    [[], /FILE is missing/],
    [['a', 'b'], /unexpected: b/],
    [['--nonsense'], /nonsense/],
    [['--at'], /--at/],
    [[certificate, '--at', 'yesterday'], /--at must be a time/],
    [[certificate, '--at', '2099-01-01T00:00:00Z'], /future/],
    [[join(folder, 'none')], /no such file/],
    [[folder], /directory/],
    [['/dev/zero'], /larger than 8 MiB/],
    [[big], /larger than 8 MiB/],
    [[save(Buffer.from([0x7b, 0xff, 0xfe]))], /not text in UTF-8/],
    [[certificate, '--trust', join(folder, 'none')], /trust bundle .*no such file/],
    [[certificate, '--trust', certificate], /not a trust bundle/],
    [[certificate, '--sd-jwt', certificate], /goes with an answer/],
    [[save('{"recordId":1}'), '--trust', save('{}')], /not a trust bundle/],
    [['\u001b[2J'], /no such file/],
  ];
  for (const [argv, message] of cases) {
    const { code, out, err } = await call(argv);
    t.equal(code, 2, JSON.stringify(argv).slice(0, 80));
    t.match(err, message);
    t.notOk(/\n\s+at /.test(err) || err.includes('\u001b'), 'no stack trace, nothing that steers a terminal');
    t.equal(out, '');
  }
  t.match(await call(['--help']), { code: 0, out: /certhub verify FILE/ });
});

await t.test('property: whatever a file holds, certhub verify ends with a verdict or a usage error', async (t) => {
  const { verify } = offline(t);
  const issued = issue(realm);
  const answer = issueAnswer(realm, [issued.sdJwt]);
  const seeds = [issued.sdJwt, issued.jwt, answer, JSON.stringify({ answer, certificates: [{ sdJwt: issued.sdJwt }] })];
  const mutated = fc
    .tuple(fc.constantFrom(...seeds), fc.nat(), fc.nat(40), fc.string({ maxLength: 20, unit: 'binary' }))
    .map(([text, at, length, insert]) => {
      const from = at % text.length;
      return text.slice(0, from) + insert + text.slice(from + length);
    });
  const content = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.string({ unit: 'binary' }),
    fc.json(),
    fc.array(fc.base64String({ maxLength: 60 }), { maxLength: 6 }).map((parts) => parts.join('.')),
    fc.array(fc.base64String({ maxLength: 60 }), { maxLength: 6 }).map((parts) => parts.join('~')),
    mutated,
    mutated,
  );
  await fc.assert(
    fc.asyncProperty(content, fc.boolean(), async (bytes, json) => {
      const { code, out, err } = await verify(bytes, ...(json ? ['--json'] : []));
      const isVerdict = code === 0 || (code >= 11 && code <= 17);
      return (isVerdict && err === '' && out !== '') || (code === 2 && err !== '' && out === '');
    }),
    { seed: 20_261_122, numRuns: 400 },
  );
  // deep nesting, which some parsers do not survive
  for (const text of ['['.repeat(1e6), `{"a":${'['.repeat(1e6)}`, '~'.repeat(1e6), '.'.repeat(1e6)]) {
    t.match((await verify(text)).code, /^(2|17)$/);
  }
});

await t.test('certhub verify loads nothing but verification', (t) => {
  const { files, packages } = loadedModules(['cli/verify.ts'], { withDynamic: true });
  const own = ['offline-inputs', 'printable', 'read-time', 'run-offline', 'usage-error', 'verify'];
  t.strictSame(
    files.filter((file) => !file.startsWith('verification/')),
    own.map((name) => `cli/${name}.ts`),
  );
  const outside = packages.filter((each) => !each.startsWith('node:') && !each.startsWith('@peculiar/'));
  t.strictSame(
    outside.filter((each) => each !== 'reflect-metadata'),
    [],
  );
  t.ok(files.length > 8 && packages.length > 2, 'the walk has seen the modules');
  t.end();
});

/** A registry as the hub keeps it, around the small issuer. */
function sources(change: { readonly revokedAt?: Date; readonly types?: readonly CertificateType[] } = {}) {
  const code = department as DepartmentCode;
  const sha256 = hash('sha256', realm.seal.der, 'hex');
  const chain = [realm.seal.der, realm.intermediate.der];
  const validFrom = new Date((now - 1000 * day) * 1000 + 700);
  const registry: Registry = {
    departments: new Map([[code, { code, name: { zh: '测试市公安局', en: 'Test' }, createdAt: validFrom }]]),
    clients: new Map(),
  };
  const root = { sha256: hash('sha256', realm.root.der, 'hex'), der: realm.root.der, validFrom, validUntil: null };
  const ended = { ...root, sha256: 'ended', der: stranger.root.der, validUntil: instant(-1) };
  const trust: Trust = {
    roots: [root, ended],
    seals: new Map([
      [sha256, { sha256, department: code, chain, validFrom, validUntil: null, revokedAt: change.revokedAt ?? null }],
    ]),
  };
  const catalogue = catalogueOf((change.types ?? [type]).map(catalogued));
  return { registry, trust, catalogue };
}
const exampleKeys = loadKeys('keys-example', { mode: 'demo' });
const { hubKeys } = exampleKeys;
const rfcSecond = (at: number): string => new Date(at * 1000).toISOString();
const view = <T>(value: T) => ({ read: async () => value });

await t.test('the trust bundle says what registry, catalogue and keys say', async (t) => {
  const statusLists = [statusToken(realm)];
  const basis = { issuer: hubIssuer, hubKeys, now: () => instant(0) };
  const document = composeTrustBundle(basis, { ...sources(), statusLists });
  const read = parseTrustBundle(JSON.stringify(document));
  t.ok(read.ok, 'the verifier reads it');
  t.equal(document.roots.length, 1, 'a root whose pin has ended is not handed out');
  t.notOk(JSON.stringify(document).includes('"d":'), 'no private key');
  t.equal(
    document.issuers[0]?.sealX509[0]?.from,
    rfcSecond(now - 1000 * day),
    'from the whole second in which it began',
  );
  const sdJwt = issue(realm).sdJwt;
  const { verify } = offline(t, document);
  t.equal((await verify(sdJwt)).code, 0);
  const revokedSeal = composeTrustBundle(basis, { ...sources({ revokedAt: instant(-200) }), statusLists });
  t.equal((await offline(t, revokedSeal).verify(sdJwt)).code, 17);

  const other = otherDepartment as DepartmentCode;
  const second = { ...type, version: 2, createdAt: instant(-50), allowedIssuers: [{ departmentCode: other }] };
  const changed = composeTrustBundle(basis, { ...sources({ types: [type, second] }), statusLists });
  t.strictSame(
    changed.types.map(({ version, allowedIssuers }) => [version, allowedIssuers]),
    [
      [1, [{ department, from: '1970-01-01T00:00:00.000Z', until: rfcSecond(now - 50 * day) }]],
      [2, [{ department: other, from: '1970-01-01T00:00:00.000Z', until: null }]],
    ],
  );
  const dropped = offline(t, changed);
  t.equal((await dropped.verify(sdJwt)).code, 0, 'sealed while the department was listed');
  const late = issue(realm, { clear: { ...clearClaims(), iat: now - 49 * day } });
  t.match(await dropped.verify(late.sdJwt), { code: 17, out: /issuer_not_allowed/ });

  let clock = 0;
  let present = sources();
  const bundles = trustBundles({
    ...basis,
    registry: { read: async () => present.registry },
    trust: { read: async () => present.trust },
    catalogue: view(present.catalogue),
    statusLists: { forOffline: async () => statusLists },
    clock: () => clock,
  });
  const live = await bundles.live();
  t.equal(await bundles.live(), live, 'read once while nothing changes');
  t.strictSame(live.statusLists, []);
  const held = await bundles.document();
  present = sources({ revokedAt: instant(-200) });
  t.equal(
    (await bundles.live()).issuers.get(department)?.seals[0]?.revokedAt,
    now - 200 * day,
    'a withdrawal counts at once',
  );
  t.equal(await bundles.document(), held);
  clock = 2_000;
  t.not((await bundles.document()).issuers[0]?.sealX509[0]?.revokedAt, null);

  const { getTrustBundle } = verificationHandlers({ trustBundles: bundles } as never);
  const answer = await getTrustBundle({} as never);
  t.match(answer.headers, { 'access-control-allow-origin': '*', 'cache-control': 'public, max-age=2' });
});

await t.test('certhub trust export fetches a bundle, looks at it, and writes it whole or not at all', async (t) => {
  const { folder } = offline(t);
  let body = JSON.stringify(trustDocument(realm));
  let status = 200;
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/v1/trust-bundle' ? status : 404, { location: '/elsewhere' });
    response.end(body);
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const file = join(folder, 'bundle.json');
  const call = async (...argv: string[]) => {
    let out = '';
    let err = '';
    const io = {
      stdout: { write: (text: string) => void (out += text) },
      stderr: { write: (text: string) => void (err += text) },
      env: {},
    };
    const code = await trustCommand.run(argv, io);
    return { code, out, err };
  };
  const written = await call('export', '--out', file, '--url', url);
  t.match(written, { code: 0, out: new RegExp(`root SHA-256 ${hash('sha256', realm.root.der, 'hex')}`) });
  t.equal(readFileSync(file, 'utf8'), body);
  t.match(await call('export', '--out', '-', '--url', url), { code: 0, out: body });
  const good = body;
  body = '{}';
  t.match(await call('export', '--out', file, '--url', url), { code: 1, err: /not a trust bundle/ });
  body = good;
  status = 302;
  t.match(await call('export', '--out', file, '--url', url), { code: 1 }, 'not led elsewhere');
  status = 503;
  t.match(await call('export', '--out', file, '--url', url), { code: 1, err: /answered 503/ });
  t.equal(readFileSync(file, 'utf8'), good, 'the bundle in its place is untouched');
  t.match(await call('export', '--out', join(folder, 'none', 'x'), '--url', `${url}`), { code: 1 });
  t.match(await call('export', '--url', url), { code: 2, err: /--out is missing/ });
  t.match(await call('export', '--out', file, '--url', 'file:///etc/passwd'), { code: 2 });
  t.match(await call('nonsense'), { code: 2 });
  t.match(await call(), { code: 0, out: /certhub trust export/ });
});

await t.test(
  'over HTTP: sealed a moment ago, anyone verifies it online, and offline with the exported bundle',
  async (t) => {
    // a command refuses a database that could lose records
    const hub = await startHub(t, { database: await testDatabase(t, { fsync: true }) });
    const { anyone } = hub;
    t.match(await anyone.get('/status-lists/1'), { status: 404, body: { code: 'status_list_unknown' } });
    const issuer = hub.client('psb-issuer');
    const pushed = await issuer.post('/v1/certificates', {
      certificateTypeCode: demoTypes.residencePermit,
      certificateNumber: 'JZ-1',
      certificateIssuedDate: '2026-01-01',
      certificateEffectiveDate: '2026-01-01',
      certificateExpiringDate: '2030-12-31',
      holders: [holders[0]],
      fields: {
        name: '测试一',
        sex: '男',
        birthDate: '1900-01-01',
        registeredResidence: '示例镇8号',
        currentAddress: '示例路1号',
        residenceReason: '合法稳定就业',
      },
      officer: { id: 'clerk', name: '周录入' },
    });
    t.match(pushed, { status: 201, body: { state: 'pending_review' } });
    const { certificateIdentifier } = pushed.body as { certificateIdentifier: string };
    const path = `/v1/certificates/${certificateIdentifier}`;
    const ask = (question: object) => anyone.post('/v1/verifications', question);
    const faceValues = { holderName: '测试一', certificateNumber: 'JZ-1' };
    t.match(
      await ask({ certificateIdentifier, faceValues }),
      { body: { verdict: 5 } },
      'not sealed: not there for anyone',
    );
    await issuer.post(`${path}/reviews`, { decision: 'approve', officer: { id: 'reviewer', name: '郑复核' } });
    const sealed = await issuer.post(`${path}/seals`, {});
    t.match(sealed, { status: 200, body: { state: 'valid' } });
    const { sdJwt } = sealed.body as { sdJwt: string };
    t.match(await ask({ sdJwt }), { status: 200, body: { verdict: 0, certificates: [{ certificateIdentifier }] } });
    t.match(await ask({ certificateIdentifier, faceValues }), { status: 200, body: { verdict: 0 } });
    t.match(await ask({ sdJwt, answer: 'x' }), { status: 400, body: { code: 'contract_violation' } });
    t.match(await ask({}), { status: 200, body: { verdict: 6 } });
    const list = await anyone.get('/status-lists/1');
    t.match(list.headers.get('content-type'), /^application\/statuslist\+jwt/);
    t.equal(list.headers.get('access-control-allow-origin'), '*');
    const served = await anyone.get('/v1/trust-bundle');
    t.equal(served.status, 200);

    const { folder, save } = offline(t);
    const bundle = join(folder, 'exported.json');
    const certificate = save(sdJwt);
    let complaints = '';
    const quiet = {
      stdout: { write: () => undefined },
      stderr: { write: (text: string) => void (complaints += text) },
    };
    const env = {
      CERTHUB_MODE: 'demo',
      CERTHUB_ISSUER: 'http://hub.test',
      CERTHUB_KEYS_DIR: 'keys-example',
      DATABASE_URL: hub.database.serviceUrl,
    };
    const verifyWith = (file: string) => runVerify([certificate, '--trust', file], { ...quiet, env: {} });
    t.equal(await trustCommand.run(['export', '--out', bundle], { ...quiet, env }), 0, 'exported');
    t.notMatch(complaints, /certhub trust:/);
    t.equal(await verifyWith(bundle), 0, 'by the bundle made from the database');
    t.equal(await verifyWith(save(JSON.stringify(served.body))), 0, 'by the bundle the hub serves');
    await issuer.post(`${path}/status-changes`, { action: 'suspend', reason: '核查' });
    t.match(await ask({ sdJwt }), { body: { verdict: 2 } }, 'seen at once online');
    t.equal(await trustCommand.run(['export', '--out', bundle], { ...quiet, env }), 0);
    t.equal(await verifyWith(bundle), 12, 'and offline with a newer bundle');
  },
);
