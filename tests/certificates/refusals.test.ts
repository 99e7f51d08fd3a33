import t from 'tap';
import { insertNextVersion } from '../../src/catalogue/store.ts';
import type { PushedCertificate } from '../../src/certificates/certificate.ts';
import type { CertificateBody } from '../../src/certificates/certificate-body.ts';
import { changeCertificateStatus } from '../../src/certificates/change-certificate-status.ts';
import { correctCertificate } from '../../src/certificates/correct-certificate.ts';
import { getCertificate } from '../../src/certificates/get-certificate.ts';
import { pushCertificate } from '../../src/certificates/push-certificate.ts';
import { reviewCertificate } from '../../src/certificates/review-certificate.ts';
import { reviseCertificate } from '../../src/certificates/revise-certificate.ts';
import { certificatesHandlers } from '../../src/certificates/routes.ts';
import { sealCertificate } from '../../src/certificates/seal-certificate.ts';
import { bump } from '../../src/db/fresh.ts';
import { transaction } from '../../src/db/transaction.ts';
import { composeCertificateIdentifier } from '../../src/verification/identifiers.ts';
import {
  approveAndSeal,
  callBy,
  change,
  citizen,
  createWorld,
  departments,
  fullTrust,
  idCardPush,
  issue,
  keys,
  marriagePush,
  officerA,
  officerB,
  push,
  refusalOf,
  typeNamed,
} from './world.ts';

const { publicSecurity, marketRegulation, civilAffairs } = departments;
t.setTimeout(240_000);
const world = await createWorld(t);
const { deps } = world;
const company = '91999900MA0000015N';

await t.test('bad pushes are refused, each with its own code, and nothing is stored', async (t) => {
  const number = citizen(20);
  const sound = idCardPush(number);
  const { fields } = sound;
  const holder = { type: '111', number, name: '张测试' };
  const identifier = (typeCode: string, issuerCode: string, version = 1): string =>
    composeCertificateIdentifier({ typeCode, issuerCode, serial: '00000000000000000001', version });
  const own = identifier(sound.certificateTypeCode, publicSecurity);
  const cases: [what: string, changes: Partial<PushedCertificate>, code: string, pointer: string][] = [
    [
      'wrong check digit of an ID number',
      { holders: [{ ...holder, number: `${number.slice(0, 17)}${number.endsWith('1') ? '2' : '1'}` }] },
      'invalid_id_number',
      '/holders/0/number',
    ],
    [
      'ID number with a day that does not exist',
      { holders: [{ ...holder, number: '990000190002300015' }] },
      'invalid_id_number',
      '/holders/0/number',
    ],
    ['unknown holder type', { holders: [{ ...holder, type: '222' }] }, 'invalid_holder_type', '/holders/0/type'],
    [
      'a company as holder of an ID card',
      { holders: [{ type: '001', number: company, name: '测试公司' }] },
      'holder_kind_mismatch',
      '/holders/0/type',
    ],
    [
      'wrong check digit of a USCC',
      { holders: [{ type: '001', number: `${company.slice(0, 17)}M`, name: '测试公司' }] },
      'invalid_uscc',
      '/holders/0/number',
    ],
    [
      'two holders where one belongs',
      { holders: [holder, { ...holder, number: citizen(21) }] },
      'holder_count_mismatch',
      '/holders',
    ],
    [
      'unknown type',
      { certificateTypeCode: `${publicSecurity}999` },
      'certificate_type_unknown',
      '/certificateTypeCode',
    ],
    [
      'type code with a wrong check digit',
      { certificateTypeCode: '11999900100000016B001' },
      'invalid_certificate_type_code',
      '/certificateTypeCode',
    ],
    [
      'type not allowed for this issuer',
      { certificateTypeCode: typeNamed('结婚证').certificateTypeCode },
      'type_not_allowed',
      '/certificateTypeCode',
    ],
    [
      'another department as issuer',
      { certificateIssuingAuthorityCode: marketRegulation },
      'wrong_department',
      '/certificateIssuingAuthorityCode',
    ],
    [
      'issuer with a wrong check digit',
      { certificateIssuingAuthorityCode: '11999900100000016B' },
      'invalid_uscc',
      '/certificateIssuingAuthorityCode',
    ],
    ['unknown field', { fields: { ...fields, shoeSize: 42 } }, 'field_unknown', '/fields/shoeSize'],
    ['unknown field named like a number', { fields: { ...fields, [`x${number}`]: 1 } }, 'field_unknown', '/fields'],
    [
      'missing field',
      { fields: Object.fromEntries(Object.entries(fields).filter(([name]) => name !== 'address')) },
      'field_missing',
      '/fields/address',
    ],
    [
      'a JSON number where text belongs',
      { fields: { ...fields, idNumber: Number('990000190001010016') } },
      'field_invalid',
      '/fields/idNumber',
    ],
    ['oversized field', { fields: { ...fields, address: '路'.repeat(201) } }, 'field_invalid', '/fields/address'],
    ['value outside the list', { fields: { ...fields, sex: 'x' } }, 'field_invalid', '/fields/sex'],
    [
      'expires before it takes effect',
      { certificateExpiringDate: '2024-05-19' },
      'dates_out_of_order',
      '/certificateExpiringDate',
    ],
    [
      'expires before it is issued',
      { certificateEffectiveDate: '2024-01-01', certificateExpiringDate: '2024-05-19' },
      'dates_out_of_order',
      '/certificateExpiringDate',
    ],
    ['issued tomorrow', { certificateIssuedDate: '2999-01-01' }, 'dates_out_of_order', '/certificateIssuedDate'],
    ['no such day', { certificateEffectiveDate: '2023-02-29' }, 'dates_out_of_order', '/certificateEffectiveDate'],
    [
      'longer than the type allows',
      { certificateExpiringDate: '2044-05-21' },
      'validity_mismatch',
      '/certificateExpiringDate',
    ],
    [
      'identifier with a wrong check character',
      { certificateIdentifier: `${own.slice(0, -1)}${own.endsWith('A') ? 'B' : 'A'}` },
      'invalid_certificate_identifier',
      '/certificateIdentifier',
    ],
    [
      'identifier of another issuer',
      { certificateIdentifier: identifier(sound.certificateTypeCode, civilAffairs) },
      'identifier_mismatch',
      '/certificateIdentifier',
    ],
    [
      'identifier of another type',
      { certificateIdentifier: identifier(`${publicSecurity}002`, publicSecurity) },
      'identifier_mismatch',
      '/certificateIdentifier',
    ],
    [
      'related certificate with a wrong identifier',
      { relatedCertificateIdentifier: `${own.slice(0, -1)}?` },
      'invalid_certificate_identifier',
      '/relatedCertificateIdentifier',
    ],
  ];
  for (const [what, changes, code, pointer] of cases) {
    const refusal = await refusalOf(push(world, { ...sound, ...changes }));
    t.match(refusal, { code, detail: { pointer } }, what);
    t.notMatch(JSON.stringify(refusal.detail), /990000|测试/, `${what}: the refusal repeats no value`);
  }
  const twice = marriagePush(citizen(22), citizen(22));
  t.match(await refusalOf(push(world, twice, civilAffairs)), { code: 'holder_duplicate' });
  const permanent = marriagePush(citizen(22), citizen(23), { certificateExpiringDate: '2030-01-01' });
  t.match(await refusalOf(push(world, permanent, civilAffairs)), { code: 'validity_mismatch' });
  const permit: PushedCertificate = {
    ...sound,
    certificateTypeCode: typeNamed('居住证').certificateTypeCode,
    fields: {
      name: '张测试',
      sex: '女',
      birthDate: '1990-01-01',
      registeredResidence: '示范市',
      currentAddress: '示范市',
      residenceReason: '连续就读',
    },
  };
  const { certificateExpiringDate: _none, ...open } = permit;
  t.match(await refusalOf(push(world, open)), { code: 'validity_mismatch' }, 'a limited type needs an end');
  const stored = await world.sql(
    `select (select count(*)::int from certificates) + (select count(*)::int from certificate_versions)
      + (select count(*)::int from certificate_events) + (select count(*)::int from status_entries)
      + (select count(*)::int from idempotency_keys) as rows`,
  );
  t.strictSame(stored.rows, [{ rows: 0 }], 'nothing of it is stored');
});

await t.test('spellings of one number are one holder', async (t) => {
  const number = '99000019000101018X';
  const pushed = await push(
    world,
    idCardPush(number, { holders: [{ type: '111', number: '99000019000101018x', name: '张测试' }] }),
  );
  t.equal(pushed.metadata.holders[0]?.number, number);
});

await t.test('seal: without review, by the wrong department, without or with an expired key', async (t) => {
  const { certificateIdentifier } = await push(world, idCardPush(citizen(30)));
  const seal = (department = publicSecurity, at = new Date(), other: Partial<typeof deps> = {}) =>
    refusalOf(
      sealCertificate({ ...deps, ...other }, { ...change(department, at), certificateIdentifier, sealing: {} }),
    );
  t.match(await seal(), { code: 'review_required' });
  t.match(await seal(civilAffairs), { code: 'wrong_department' });
  const approve = { decision: 'approve', officer: officerB } as const;
  await reviewCertificate(deps, { ...change(publicSecurity), certificateIdentifier, review: approve });
  t.match(
    await seal(publicSecurity, new Date('2099-01-01')),
    { code: 'seal_key_expired' },
    'the x509 certificate expired',
  );
  t.match(await seal(publicSecurity, new Date(), { keys: { ...keys, sealSigner: () => undefined } }), {
    code: 'seal_key_missing',
  });

  const leaf = [...fullTrust.seals].find(([, registered]) => registered.department === publicSecurity);
  if (leaf === undefined) throw new Error('no seal');
  const [sha256, registered] = leaf;
  const registration = (changes: Partial<typeof registered>) =>
    world.setTrust({ ...fullTrust, seals: new Map([[sha256, { ...registered, ...changes }]]) });
  world.setTrust({ ...fullTrust, seals: new Map() });
  t.match(await seal(), { code: 'seal_key_missing' }, 'not registered');
  registration({ revokedAt: new Date(Date.now() - 1_000) });
  t.match(await seal(), { code: 'seal_key_expired' }, 'withdrawn');
  registration({ validUntil: new Date(Date.now() - 1_000) });
  t.match(await seal(), { code: 'seal_key_expired' }, 'registration ended');
  registration({ department: civilAffairs });
  t.match(await seal(), { code: 'sealed_certificate_invalid' }, 'registered for another department');
  world.setTrust({ ...fullTrust, roots: [] });
  t.match(await seal(), { code: 'sealed_certificate_invalid', detail: { reasons: ['x509_root_unknown'] } });
  world.setTrust(fullTrust);
  t.match(await seal(), { code: 'not refused' });
  t.match(await seal(), { code: 'wrong_state' }, 'a second seal');
});

await t.test('review: by another officer, with a reason to return', async (t) => {
  const { certificateIdentifier } = await push(world, idCardPush(citizen(40)));
  const review = (
    decision: 'approve' | 'return',
    officer: typeof officerA,
    department = publicSecurity,
    reason?: string,
  ) =>
    refusalOf(
      reviewCertificate(deps, {
        ...change(department),
        certificateIdentifier,
        review: { decision, officer, ...(reason === undefined ? {} : { reason }) },
      }),
    );
  t.match(await review('approve', officerA), { code: 'reviewer_must_differ' });
  t.match(
    await review('approve', { id: ' A.Clerk ', name: '另一名' }),
    { code: 'reviewer_must_differ' },
    'another spelling',
  );
  t.match(await review('return', officerB), { code: 'reason_missing' });
  t.match(await review('approve', officerB, civilAffairs), { code: 'wrong_department' });
  t.match(await review('return', officerB, publicSecurity, '材料不全'), { code: 'not refused' });
  t.match(await review('approve', officerB), { code: 'wrong_state' }, 'returned certificates are corrected first');
  const pushed = idCardPush(citizen(40), { officer: officerB });
  await correctCertificate(deps, { ...change(publicSecurity), certificateIdentifier, pushed });
  t.match(await review('approve', officerB), { code: 'reviewer_must_differ' }, 'who corrected it');
  t.match(await review('approve', officerA), { code: 'reviewer_must_differ' }, 'who pushed it first');
  t.match(await review('approve', { id: 'c', name: '审核丙' }), { code: 'not refused' });
  const input = { ...change(publicSecurity), certificateIdentifier, pushed };
  t.match(await refusalOf(correctCertificate(deps, input)), { code: 'wrong_state' }, 'approved: too late to correct');
});

await t.test('other departments, unknown certificates, wrong names', async (t) => {
  const { certificateIdentifier } = await issue(world, idCardPush(citizen(50)));
  const revoke = { action: 'revoke', reason: '错误' } as const;
  const foreign = { ...change(civilAffairs), certificateIdentifier };
  const own = { ...change(publicSecurity), certificateIdentifier };
  const pushed = idCardPush(citizen(50));
  t.match(await refusalOf(getCertificate(deps, { call: callBy(civilAffairs), certificateIdentifier })), {
    code: 'wrong_department',
  });
  t.match(await refusalOf(changeCertificateStatus(deps, { ...foreign, change: revoke })), {
    code: 'revocation_reason_missing',
  });
  t.match(
    await refusalOf(
      changeCertificateStatus(deps, { ...foreign, change: { ...revoke, revocationReason: 'cancelled' } }),
    ),
    { code: 'wrong_department' },
  );
  t.match(await refusalOf(changeCertificateStatus(deps, { ...own, change: revoke })), {
    code: 'revocation_reason_missing',
  });
  t.match(await refusalOf(correctCertificate(deps, { ...foreign, pushed })), { code: 'wrong_department' });
  t.match(await refusalOf(reviseCertificate(deps, { ...foreign, pushed })), { code: 'wrong_department' });
  const unknown = composeCertificateIdentifier({
    typeCode: pushed.certificateTypeCode,
    issuerCode: publicSecurity,
    serial: 'NOSUCHCERTIFICATE',
    version: 1,
  });
  t.match(await refusalOf(getCertificate(deps, { call: callBy(publicSecurity), certificateIdentifier: unknown })), {
    code: 'certificate_unknown',
  });
  t.match(await refusalOf(reviseCertificate(deps, { ...own, certificateIdentifier: unknown, pushed })), {
    code: 'certificate_unknown',
  });
  const typo = `${certificateIdentifier.slice(0, -1)}${certificateIdentifier.endsWith('A') ? 'B' : 'A'}`;
  t.match(await refusalOf(getCertificate(deps, { call: callBy(publicSecurity), certificateIdentifier: typo })), {
    code: 'invalid_certificate_identifier',
    detail: { rule: 'check_character' },
  });
  const other = idCardPush(citizen(50), { certificateIdentifier });
  t.match(await refusalOf(reviseCertificate(deps, { ...own, pushed: other })), { code: 'identifier_mismatch' });
  const otherType = { ...pushed, certificateTypeCode: typeNamed('居住证').certificateTypeCode };
  t.match(await refusalOf(correctCertificate(deps, { ...own, pushed: otherType })), { code: 'identifier_mismatch' });
});

await t.test('identifiers of the issuer: pushed twice, pushed as next version, pushed too old', async (t) => {
  const pushed = idCardPush(citizen(60));
  const at = (version: number): string =>
    composeCertificateIdentifier({
      typeCode: pushed.certificateTypeCode,
      issuerCode: publicSecurity,
      serial: 'OWN0000000001',
      version,
    });
  const give = (version: number) => push(world, { ...pushed, certificateIdentifier: at(version) });
  t.equal((await give(2)).certificateIdentifier, at(2));
  t.match(await refusalOf(give(2)), { code: 'certificate_exists' });
  t.match(await refusalOf(give(1)), { code: 'version_outdated' });
  t.match(await refusalOf(give(3)), { code: 'wrong_state' }, 'the current version is not sealed yet');
  await approveAndSeal(world, at(2));
  t.match(await refusalOf(give(2)), { code: 'version_outdated' });
  t.equal((await give(3)).version, 3);
  await approveAndSeal(world, at(3));
  const old = await getCertificate(deps, { call: callBy(publicSecurity), certificateIdentifier: at(2) });
  t.equal(old.state, 'superseded');
  const revoke = { action: 'revoke', reason: '注销', revocationReason: 'cancelled' } as const;
  await changeCertificateStatus(deps, { ...change(publicSecurity), certificateIdentifier: at(3), change: revoke });
  t.match(await refusalOf(give(4)), { code: 'wrong_state' }, 'a revocation is final');
});

await t.test('refusals are recorded with the certificate and the officer', async (t) => {
  const handlers = certificatesHandlers(world.deps);
  const { certificateIdentifier } = await push(world, idCardPush(citizen(80)));
  const { caller, requestId, at } = callBy(civilAffairs);
  const request = { caller, requestId, receivedAt: at, remoteAddress: '::1', query: {}, body: undefined, headers: {} };
  const refused = await refusalOf(handlers.getCertificate({ ...request, params: { certificateIdentifier } }));
  t.match(refused, { code: 'wrong_department' });
  const { rows } = await world.sql(
    `select outcome, code, department_code from records where action = 'getCertificate' order by record_id desc limit 1`,
  );
  t.strictSame(rows, [{ outcome: 'refused', code: 'wrong_department', department_code: civilAffairs }]);
});

await t.test('social-insurance records need no review and can be sealed at once', async (t) => {
  const { humanResources } = departments;
  const pushed: PushedCertificate = {
    certificateTypeCode: typeNamed('社会保险参保缴费记录').certificateTypeCode,
    certificateNumber: 'SI-2026-1',
    certificateIssuedDate: '2026-01-05',
    certificateEffectiveDate: '2026-01-05',
    certificateExpiringDate: '2026-04-05',
    holders: [{ type: '111', number: citizen(90), name: '赵测试' }],
    fields: {
      name: '赵测试',
      insuredStatus: '参保缴费',
      periodFrom: '2020-01',
      periodTo: '2025-12',
      pensionMonths: 72,
      medicalMonths: 72,
      unemploymentMonths: 70,
      contributionBase: '8000.00',
    },
  };
  const answer = await pushCertificate(deps, { ...change(humanResources), pushed });
  const { certificateIdentifier, state, sealing } = answer.body as CertificateBody;
  t.equal(state, 'approved');
  t.ok(sealing, 'shown what to sign');
  const sealed = await sealCertificate(deps, { ...change(humanResources), certificateIdentifier, sealing: {} });
  t.match(sealed.body, { state: 'valid' });
});

await t.test('a department that may no longer issue cannot seal, but can still revoke', async (t) => {
  const { db } = deps;
  const sealed = await issue(world, idCardPush(citizen(70)));
  const { certificateIdentifier } = await push(world, idCardPush(citizen(71)));
  const review = { decision: 'approve', officer: officerB } as const;
  await reviewCertificate(deps, { ...change(publicSecurity), certificateIdentifier, review });
  const type = typeNamed('居民身份证');
  const definition = {
    ...type,
    allowedIssuers: type.allowedIssuers.map((issuer) => ({ ...issuer, until: '2021-01-01T00:00:00Z' })),
  };
  await transaction(db, async (trx) => {
    await insertNextVersion(trx, keys, { definition, at: new Date() });
    await bump(trx, 'catalogue');
  });
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const seal = { ...change(publicSecurity), certificateIdentifier, sealing: {} };
  t.match(await refusalOf(sealCertificate(deps, seal)), { code: 'type_not_allowed' });
  t.match(await refusalOf(push(world, idCardPush(citizen(72)))), { code: 'type_not_allowed' });
  const revoke = { action: 'revoke', reason: '错误', revocationReason: 'issued_in_error' } as const;
  const input = { ...change(publicSecurity), certificateIdentifier: sealed.certificateIdentifier, change: revoke };
  t.match((await changeCertificateStatus(deps, input)).body, { state: 'revoked' });
});
