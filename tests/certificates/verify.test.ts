import { hash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
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
    (await runSql(superuserUrl, `select * from records where action = 'verify' order by record_id`)).rows;
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
