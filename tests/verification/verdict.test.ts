import { hash } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { verifyAnswer } from '../../src/verification/answer-verdict.ts';
import { filterSdJwt } from '../../src/verification/sd-jwt.ts';
import { entitledIssuer, parseTrustBundle, type TrustBundleDocument } from '../../src/verification/trust-bundle.ts';
import { type CertificateQuestion, type Verdict, verifyCertificate } from '../../src/verification/verdict.ts';
import { type VerdictNumber, verdictMeanings, verdictOf } from '../../src/verification/verdict-reasons.ts';
import {
  clearClaims,
  day,
  department,
  fields,
  identifier,
  issue,
  issueAnswer,
  makeRealm,
  makeX509,
  now,
  otherDepartment,
  sealHeader,
  sealProfile,
  statusToken,
  trustDocument,
  trustOf,
  typeCode,
  x5cHeader,
} from './local-issuer.ts';

const realm = await makeRealm();
const foreign = await makeRealm('Foreign');
const document = trustDocument(realm);
const trust = trustOf(document);
const issued = issue(realm);
const ask = (change: Partial<CertificateQuestion> = {}): Verdict =>
  verifyCertificate({ sdJwt: issued.sdJwt, trust, at: now, ...change });
const codes = (verdict: { readonly reasons: readonly { readonly code: string }[] }): string[] =>
  verdict.reasons.map(({ code }) => code);
const withLists = (...tokens: string[]) => trustOf({ ...document, statusLists: tokens });
const at = (offsetDays: number): string => new Date((now + offsetDays * day) * 1000).toISOString();

await t.test('invariant 3: a sealed certificate cut down to any fields is correct and valid', (t) => {
  const verdict = ask();
  t.equal(verdict.verdict, 0);
  t.strictSame(verdict.reasons, []);
  t.match(verdict.certificate, {
    identifier,
    version: 1,
    typeCode,
    issuer: department,
    issuerName: { zh: '测试市公安局' },
    status: 'valid',
    sealedAt: now - 100 * day,
    sealedBy: hash('sha256', realm.seal.der, 'hex'),
    disclosed: fields,
    withheld: 1,
  });
  t.equal(verdict.statusAsOf, now - 60);
  const one = ask({ sdJwt: filterSdJwt(issued.jwt, [issued.disclosures.get('certificateNumber') ?? '']) });
  t.equal(one.verdict, 0);
  t.strictSame(one.certificate?.disclosed, { certificateNumber: 'T-0001' });
  t.end();
});

await t.test('dates and status decide between 0, 1, 2 and 3', (t) => {
  const cases: readonly (readonly [
    what: string,
    question: Partial<CertificateQuestion>,
    verdict: VerdictNumber,
    codes: string[],
    status: string,
  ])[] = [
    [
      'before it is in force',
      { at: now - 95 * day },
      1,
      ['not_yet_valid', 'status_history_unavailable'],
      'not_yet_valid',
    ],
    [
      'before it was sealed',
      { at: now - 101 * day },
      1,
      ['not_sealed_yet', 'not_yet_valid', 'status_history_unavailable'],
      'not_yet_valid',
    ],
    [
      'the last second',
      { at: now + 100 * day - 1, trust: withLists(statusToken(realm, {}, { exp: now + 200 * day })) },
      0,
      [],
      'valid',
    ],
    [
      'from exp on',
      { at: now + 100 * day, trust: withLists(statusToken(realm, {}, { exp: now + 200 * day })) },
      3,
      ['expired'],
      'expired',
    ],
    ['suspended', { trust: withLists(statusToken(realm, { 4321: 2 })) }, 2, ['suspended'], 'suspended'],
    ['invalid', { trust: withLists(statusToken(realm, { 4321: 1 })) }, 3, ['status_invalid'], 'invalid'],
    ['its neighbours are invalid', { trust: withLists(statusToken(realm, { 4320: 1, 4322: 1 })) }, 0, [], 'valid'],
    ['undefined value', { trust: withLists(statusToken(realm, { 4321: 3 })) }, 4, ['status_value_unknown'], 'unknown'],
    ['valid now, asked about the past', { at: now - 50 * day }, 0, ['status_history_unavailable'], 'valid'],
    [
      'invalid now, asked about the past',
      { at: now - 50 * day, trust: withLists(statusToken(realm, { 4321: 1 })) },
      3,
      ['status_invalid', 'status_change_time_unknown'],
      'invalid',
    ],
    ['revoked by history', { statusOf: () => 'revoked' }, 3, ['revoked'], 'revoked'],
    ['superseded by history', { statusOf: () => 'superseded' }, 3, ['superseded'], 'superseded'],
    ['suspended by history', { statusOf: () => 'suspended' }, 2, ['suspended'], 'suspended'],
    [
      'valid then by history, invalid now',
      { at: now - 50 * day, statusOf: () => 'valid', trust: withLists(statusToken(realm, { 4321: 1 })) },
      0,
      [],
      'valid',
    ],
    ['history does not know it', { statusOf: () => undefined }, 0, [], 'valid'],
    ['revoked and expired', { at: now + 101 * day, statusOf: () => 'revoked' }, 3, ['expired', 'revoked'], 'revoked'],
    [
      'suspended and expired',
      { at: now + 101 * day, statusOf: () => 'suspended' },
      3,
      ['expired', 'suspended'],
      'expired',
    ],
  ];
  for (const [what, question, verdict, reasons, status] of cases) {
    const given = ask(question);
    t.equal(given.verdict, verdict, what);
    t.strictSame(codes(given), reasons, what);
    t.equal(given.certificate?.status, status, what);
  }
  const { exp: _exp, nbf: _nbf, ...endless } = clearClaims();
  const verdict = ask({ sdJwt: issue(realm, { clear: endless }).sdJwt });
  t.equal(verdict.verdict, 0);
  t.notOk(Object.hasOwn(verdict.certificate ?? {}, 'validUntil'));
  t.end();
});

await t.test('without a status list that can be trusted the verdict is 4', (t) => {
  const foreignHeader = x5cHeader('statuslist+jwt', foreign.status, foreign.intermediate);
  const foreignToken = statusToken({ ...realm, status: foreign.status }, {}, {}, foreignHeader);
  const sealAsStatus = statusToken(
    { ...realm, status: realm.seal },
    {},
    {},
    x5cHeader('statuslist+jwt', realm.seal, realm.intermediate),
  );
  const cases: readonly (readonly [what: string, question: Partial<CertificateQuestion>, code: string])[] = [
    ['no list', { trust: withLists() }, 'status_list_missing'],
    [
      'another list',
      { trust: withLists(statusToken(realm, {}, { sub: 'https://hub.example.gov/status-lists/2' })) },
      'status_list_missing',
    ],
    ['stale', { trust: withLists(statusToken(realm, {}, { exp: now })) }, 'status_list_expired'],
    ['stale at now', { at: now - day, now: now + 2 * day }, 'status_list_expired'],
    ['from the future', { now: now - day }, 'status_list_from_future'],
    ['another root', { trust: withLists(foreignToken) }, 'status_list_untrusted'],
    [
      'another pinned root',
      {
        trust: trustOf({
          ...document,
          roots: [...document.roots, foreign.root.der.toString('base64')],
          statusLists: [foreignToken],
        }),
      },
      'status_list_other_root',
    ],
    ['signed by a seal', { trust: withLists(sealAsStatus) }, 'status_list_untrusted'],
    [
      'unknown kid',
      { trust: withLists(statusToken(realm, {}, {}, { alg: 'ES256', typ: 'statuslist+jwt', kid: 'x' })) },
      'status_list_untrusted',
    ],
    ['malformed', { trust: withLists(statusToken(realm, {}, { status_list: {} })) }, 'status_list_malformed'],
    [
      'x5c malformed',
      { trust: withLists(statusToken(realm, {}, {}, { alg: 'ES256', typ: 'statuslist+jwt', x5c: [1] })) },
      'status_list_untrusted',
    ],
    ['no iat', { trust: withLists(statusToken(realm, {}, { iat: undefined })) }, 'status_list_untrusted'],
  ];
  for (const [what, question, code] of cases) {
    const given = ask(question);
    t.equal(given.verdict, 4, what);
    t.strictSame(codes(given), [code], what);
    t.equal(given.certificate?.status, 'unknown', what);
  }
  const byAnswerKey = statusToken(
    { ...realm, status: realm.answer },
    {},
    {},
    { alg: 'ES256', typ: 'statuslist+jwt', kid: 'answer-1' },
  );
  t.equal(ask({ trust: withLists(byAnswerKey) }).verdict, 4, 'an answer key does not sign status lists');
  const byKid = withLists(
    statusToken(realm, { 4321: 1 }, {}, { alg: 'ES256', typ: 'statuslist+jwt', kid: 'status-1' }),
  );
  t.equal(ask({ trust: byKid }).verdict, 3, 'a hub key for status is as good as x5c');
  const outside = clearClaims();
  outside['status'] = { status_list: { idx: 2 ** 17, uri: 'https://hub.example.gov/status-lists/1' } };
  t.match(ask({ sdJwt: issue(realm, { clear: outside }).sdJwt }), {
    verdict: 7,
    reasons: [{ code: 'status_index_out_of_range' }],
  });
  t.end();
});

await t.test('what is forged or not entitled is 7, and says nothing of what it claims', async (t) => {
  const rogue = await makeX509({
    subject: `CN=rogue, 2.5.4.97=${department}`,
    issuer: realm.intermediate,
    extensions: sealProfile(),
  });
  const other = await makeX509({
    subject: `CN=other, 2.5.4.97=${otherDepartment}`,
    issuer: realm.intermediate,
    extensions: sealProfile(),
  });
  const registered = (party: typeof rogue, dates: object = {}): TrustBundleDocument => ({
    ...document,
    issuers: document.issuers.map((issuer) => ({
      ...issuer,
      sealX509: [
        {
          sha256: hash('sha256', party.der, 'hex'),
          x509: party.der.toString('base64'),
          from: at(-1000),
          until: null,
          revokedAt: null,
          ...dates,
        },
      ],
    })),
  });
  const allowed = (allowedIssuers: TrustBundleDocument['types'][number]['allowedIssuers']): TrustBundleDocument => ({
    ...document,
    types: document.types.map((type) => ({ ...type, allowedIssuers })),
  });
  const claims = (change: object): Partial<CertificateQuestion> => ({
    sdJwt: issue(realm, { clear: { ...clearClaims(), ...change } }).sdJwt,
  });
  const header = sealHeader(realm);
  const next = identifier.replace('.001.U', '.002.S');
  const cases: readonly (readonly [what: string, question: Partial<CertificateQuestion>, code: string])[] = [
    ['another root', { sdJwt: issue(foreign).sdJwt }, 'x509_root_unknown'],
    [
      'a seal that is not registered',
      { sdJwt: issue(realm, { header: x5cHeader('dc+sd-jwt', rogue, realm.intermediate), key: rogue.key }).sdJwt },
      'seal_not_registered',
    ],
    ['a header with another seal', { sdJwt: issue(realm, { key: rogue.key }).sdJwt }, 'jws_signature'],
    ['no x5c', { sdJwt: issue(realm, { header: { alg: 'ES256', typ: 'dc+sd-jwt' } }).sdJwt }, 'jws_key_unknown'],
    [
      'the root in x5c',
      {
        sdJwt: issue(realm, {
          header: { ...header, x5c: [...(header['x5c'] as string[]), realm.root.der.toString('base64')] },
        }).sdJwt,
      },
      'x509_root_in_chain',
    ],
    [
      'a wrong thumbprint',
      { sdJwt: issue(realm, { header: { ...header, 'x5t#S256': 'AAAA' } }).sdJwt },
      'x5t_mismatch',
    ],
    [
      'a status key as seal',
      {
        sdJwt: issue(realm, { header: x5cHeader('dc+sd-jwt', realm.status, realm.intermediate), key: realm.status.key })
          .sdJwt,
      },
      'x509_extended_key_usage',
    ],
    [
      "another department's seal",
      {
        trust: trustOf(registered(other)),
        sdJwt: issue(realm, { header: x5cHeader('dc+sd-jwt', other, realm.intermediate), key: other.key }).sdJwt,
      },
      'x509_subject_mismatch',
    ],
    ['a seal registered later', { trust: trustOf(registered(realm.seal, { from: at(-99) })) }, 'seal_not_in_force'],
    [
      'a seal registered until before',
      { trust: trustOf(registered(realm.seal, { until: at(-100) })) },
      'seal_not_in_force',
    ],
    ['a seal revoked before', { trust: trustOf(registered(realm.seal, { revokedAt: at(-100) })) }, 'seal_revoked'],
    [
      'a department that may not issue the type',
      { trust: trustOf(allowed([{ department: otherDepartment, from: at(-1000), until: null }])) },
      'issuer_not_allowed',
    ],
    [
      'a department that may no longer',
      { trust: trustOf(allowed([{ department, from: at(-1000), until: at(-101) }])) },
      'issuer_not_allowed',
    ],
    ['an unknown type', { trust: trustOf({ ...document, types: [] }) }, 'type_unknown'],
    ['an unknown department', { trust: trustOf({ ...document, issuers: [] }) }, 'issuer_unknown'],
    ['sealed before the x509 was valid', claims({ iat: now - 1001 * day }), 'x509_not_yet_valid'],
    ['the identifier of another version', claims({ certificateIdentifier: next }), 'payload_inconsistent'],
    ['another issuing authority', claims({ issuingAuthorityCode: otherDepartment }), 'payload_inconsistent'],
    ['another iss', claims({ iss: `urn:certhub:department:${otherDepartment}` }), 'payload_inconsistent'],
    ['another vct', claims({ vct: 'urn:certhub:certificate-type:11999900100000016A002:1' }), 'payload_inconsistent'],
    ['nbf after exp', claims({ nbf: now + 101 * day }), 'payload_inconsistent'],
    [
      'a wrong check character',
      claims({ certificateIdentifier: identifier.replace('.U', '.V') }),
      'payload_member_invalid',
    ],
    ['iat a text', claims({ iat: '1' }), 'payload_member_invalid'],
    [
      'status elsewhere',
      claims({ status: { status_list: { idx: 1, uri: 'file:///etc/passwd' } } }),
      'payload_member_invalid',
    ],
    ['no status', claims({ status: undefined }), 'payload_member_missing'],
    ['an unknown claim', claims({ extra: 1 }), 'payload_member_unknown'],
    ['a field that differs', { expectedFields: { certificateNumber: 'T-0002' } }, 'field_differs'],
    ['a field nobody can compare', { expectedFields: { certificateNumber: Number.NaN } }, 'field_differs'],
  ];
  for (const [what, question, code] of cases) {
    const given = ask(question);
    t.equal(given.verdict, 7, `${what}: ${codes(given).join()}`);
    t.ok(codes(given).includes(code), `${what}: ${codes(given).join()}`);
    t.equal(given.certificate, undefined, what);
  }
  t.equal(ask({ trust: trustOf(registered(realm.seal, { revokedAt: at(-99) })) }).verdict, 0, 'revoked after sealing');
  const everything = ask({ trust: trustOf({ ...document, types: [], issuers: [] }) });
  t.strictSame(codes(everything), ['issuer_unknown', 'type_unknown'], 'every reason is listed');
});

await t.test('expected fields are compared, missing ones are 4, nothing given is 6', (t) => {
  t.equal(
    ask({ expectedFields: { certificateHolders: [{ name: '测试一', number: '990000190001010016', type: '111' }] } })
      .verdict,
    0,
  );
  const given = ask({ expectedFields: { certificateNumber: 'T-0001', birthDate: 'x' } });
  t.equal(given.verdict, 4);
  t.match(given.reasons, [{ code: 'field_not_disclosed', en: /birthDate/, zh: /birthDate/ }]);
  t.match(ask({ sdJwt: '' }), { verdict: 6, reasons: [{ code: 'nothing_given' }] });
  t.equal(Object.keys(verdictMeanings).length, 8);
  t.equal(verdictOf([]), 0);
  t.end();
});

await t.test('an answer of the hub is verified with the SD-JWTs that came with it', (t) => {
  const cut = filterSdJwt(issued.jwt, [issued.disclosures.get('certificateNumber') ?? '']);
  const check = (answer: string, sdJwts: readonly string[] = [cut], change: object = {}) =>
    verifyAnswer({ answer, sdJwts, trust, at: now, ...change });
  const good = check(issueAnswer(realm, [cut]));
  t.equal(good.verdict, 0);
  t.match(good.answer, { aud: 'school-enrolment', iat: now - 10 });
  t.equal(good.certificates[0]?.certificate?.identifier, identifier);
  t.match(check(issueAnswer(realm, [cut]), []), { verdict: 0, reasons: [{ code: 'sd_jwt_not_supplied' }] });
  const entry = { certificateIdentifier: identifier, status: 'valid', level: 'compare', compare: { name: true } };
  t.equal(check(issueAnswer(realm, [], { certificates: [entry] }), []).verdict, 0);
  const next = identifier.replace('.001.U', '.002.S');
  const hashOf = hash('sha256', cut, 'base64url');
  const seven: readonly (readonly [what: string, verdict: ReturnType<typeof check>, code: string])[] = [
    ['more disclosures than answered', check(issueAnswer(realm, [cut]), [issued.sdJwt]), 'sd_jwt_not_in_answer'],
    [
      'another identifier',
      check(issueAnswer(realm, [], { certificates: [{ ...entry, certificateIdentifier: next, sd_hash: hashOf }] })),
      'answer_certificate_differs',
    ],
    ['another key', check(issueAnswer({ ...realm, answer: realm.status }, [cut])), 'jws_signature'],
    [
      'a status key',
      check(issueAnswer({ ...realm, answer: realm.status }, [cut], {}, { kid: 'status-1' })),
      'jws_key_unknown',
    ],
    ['another type', check(issueAnswer(realm, [cut], {}, { typ: 'JWT' })), 'jws_type'],
    ['before the key', check(issueAnswer(realm, [cut], { iat: now - 1001 * day })), 'answer_key_not_in_force'],
    ['another hub', check(issueAnswer(realm, [cut], { iss: 'https://other.example' })), 'answer_issuer'],
    ['the future', check(issueAnswer(realm, [cut], { iat: now + 61 })), 'answer_from_future'],
    ['no commitment', check(issueAnswer(realm, [cut], { commitment: 'AAAA' })), 'answer_malformed'],
    ['certificates not a list', check(issueAnswer(realm, [cut], { certificates: {} })), 'answer_malformed'],
    [
      'a certificate without status',
      check(issueAnswer(realm, [cut], { certificates: [{ ...entry, status: 1 }] })),
      'answer_malformed',
    ],
    [
      'compare not yes or no',
      check(issueAnswer(realm, [cut], { certificates: [{ ...entry, compare: { name: 'x' } }] })),
      'answer_malformed',
    ],
    ['nonsense', check('x', []), 'jws_shape'],
  ];
  for (const [what, verdict, code] of seven) {
    t.equal(verdict.verdict, 7, what);
    t.ok(codes(verdict).includes(code), `${what}: ${codes(verdict).join()}`);
  }
  t.equal(check('', []).verdict, 6);
  t.equal(check(issueAnswer(realm, [cut]), [cut], { statusOf: () => 'revoked' }).verdict, 3);
  const forgedToo = check(issueAnswer(realm, [issue(foreign).sdJwt]), [issue(foreign).sdJwt]);
  t.equal(forgedToo.verdict, 7);
  t.end();
});

await t.test('a trust bundle is read strictly', (t) => {
  t.ok(parseTrustBundle(JSON.stringify(document)).ok);
  t.match(parseTrustBundle('{"format":1,"format":2}'), { ok: false, pointer: '' });
  const [issuer] = document.issuers;
  const [type] = document.types;
  const [key] = document.hubKeys;
  const seal = issuer?.sealX509[0];
  const cases: readonly (readonly [change: object, pointer: string])[] = [
    [{ format: 'x' }, '/format'],
    [{ extra: 1 }, '/extra'],
    [{ issuer: '' }, '/issuer'],
    [{ createdAt: '2026-11-22' }, '/createdAt'],
    [{ createdAt: '2026-13-22T00:00:00Z' }, '/createdAt'],
    [{ roots: ['AAAA'] }, '/roots/0'],
    [{ roots: 'x' }, '/roots'],
    [{ issuers: [issuer, issuer] }, '/issuers'],
    [{ issuers: [{ ...issuer, department: 'x' }] }, '/issuers/0/department'],
    [{ issuers: [{ ...issuer, name: { zh: 'x' } }] }, '/issuers/0/name/en'],
    [{ issuers: [{ ...issuer, sealX509: [{ ...seal, sha256: '00' }] }] }, '/issuers/0/sealX509/0/sha256'],
    [{ types: [{ ...type, code: 'x' }] }, '/types/0/code'],
    [{ types: [{ ...type, version: '1' }] }, '/types/0/version'],
    [{ hubKeys: [{ ...key, use: 'x' }] }, '/hubKeys/0/use'],
    [{ hubKeys: [{ ...key, jwk: { ...key?.jwk, d: 'AA' } }] }, '/hubKeys/0/jwk'],
    [{ hubKeys: [{ ...key, jwk: { kty: 'EC', crv: 'P-384', x: 'x', y: 'y' } }] }, '/hubKeys/0/jwk'],
    [{ hubKeys: [null] }, '/hubKeys/0'],
    [{ statusLists: [1] }, '/statusLists/0'],
  ];
  for (const [change, pointer] of cases)
    t.match(parseTrustBundle(JSON.stringify({ ...document, ...change })), { ok: false, pointer });
  fc.assert(
    fc.property(fc.jsonValue(), (value) => !parseTrustBundle(JSON.stringify(value)).ok),
    { seed: 20261122 },
  );
  const twoVersions = trustOf({
    ...document,
    types: [...document.types, ...document.types.map((each) => ({ ...each, version: 2, allowedIssuers: [] }))],
  });
  const claim = { leafSha256: hash('sha256', realm.seal.der, 'hex'), department, typeCode, at: now };
  t.match(entitledIssuer(twoVersions, claim), { ok: true, typeName: { en: 'Household register' } });
  t.end();
});

await t.test('any text gives a verdict, never a throw', (t) => {
  const answer = issueAnswer(realm, [issued.sdJwt]);
  const pieces = fc.array(
    fc.oneof(fc.constantFrom(issued.sdJwt, issued.jwt, answer, '~', '.', ''), fc.string({ unit: 'binary' })),
    { maxLength: 5 },
  );
  fc.assert(
    fc.property(pieces, fc.integer(), (parts, when) => {
      const text = parts.join('');
      const one = verifyCertificate({ sdJwt: text, trust, at: when });
      const two = verifyAnswer({ answer: text, sdJwts: parts.slice(0, 2), trust, at: when });
      return one.reasons.length + (one.verdict === 0 ? 1 : 0) > 0 && two.verdict >= 0;
    }),
    { seed: 20261122, numRuns: 200 },
  );
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom(...Object.keys(clearClaims()), '_sd', '_sd_alg'), fc.jsonValue()),
      (change) => {
        const spoilt = issue(realm, { change: (payload) => Object.assign(payload, change) });
        return verifyCertificate({ sdJwt: spoilt.sdJwt, trust, at: now }).verdict >= 0;
      },
    ),
    { seed: 20261122, numRuns: 200 },
  );
  fc.assert(
    fc.property(fc.nat(), fc.nat(7), (place, bit) => {
      const [head = '', body = '', signature = ''] = issued.jwt.split('.');
      const bytes = Buffer.from(body, 'base64url');
      const index = place % bytes.length;
      bytes[index] = (bytes[index] ?? 0) ^ (1 << bit);
      const sdJwt = filterSdJwt(`${head}.${bytes.toString('base64url')}.${signature}`, [
        ...issued.disclosures.values(),
      ]);
      return verifyCertificate({ sdJwt, trust, at: now }).verdict === 7;
    }),
    { seed: 20261122, numRuns: 200 },
  );
  t.pass();
  t.end();
});
