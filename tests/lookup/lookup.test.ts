import { createHash } from 'node:crypto';
import { createLocalJWKSet, jwtVerify } from 'jose';
import t, { type Test } from 'tap';
import type { ApiClient, Reply } from '../../src/cli/api-client.ts';
import { type DemoPush, demoTypes } from '../../src/cli/demo/certificates.ts';
import { issue } from '../../src/cli/demo/load.ts';
import { runSql } from '../support/database.ts';
import { expiredGrant, pushOf, putGrant } from '../support/demo-samples.ts';
import { startHub, type TestHub } from '../support/start-hub.ts';

const officer = { id: 'officer-9', name: '经办人乙' };
const purpose = {
  matterCode: 'school-enrolment',
  caseNumber: 'CASE-1',
  officer,
  legalBasis: 'own_application',
};

interface Found {
  certificateIdentifier: string;
  certificateTypeCode: string;
  status: string;
  fields?: Record<string, unknown>;
  compared?: Record<string, boolean>;
  sdJwt: string;
  supersededBy?: string;
}
interface Answer {
  recordId: string;
  answer: string;
  certificates: Found[];
}
const answerOf = ({ body }: Reply): Answer => body as Answer;
const problemOf = ({ body }: Reply) => body as { code: string; context?: Record<string, unknown> };

const allow = async (hub: TestHub, overrides: Record<string, unknown> = {}): Promise<string> =>
  (await putGrant(hub.client, overrides)).grantId;

const put = (hub: TestHub, push: DemoPush, key: string): Promise<string> =>
  issue(hub.client(push.clientId), push, `lookup-test-${key}`);

const byHolder = (push: DemoPush, rest: Record<string, unknown> = {}, holder = 0) => ({
  purpose,
  level: 'fields',
  holder: { type: push.body.holders[holder]?.type, number: push.body.holders[holder]?.number },
  ...rest,
});

/** The newest record of an action, as an auditor sees it. */
const lastRecord = async (hub: TestHub) => {
  const { rows } = await runSql(
    hub.database.superuserUrl,
    `select record_id, action, outcome, code, client_id, matter_code, holder_key, other_holder_keys from records
     order by recorded_at desc, record_id desc limit 1`,
  );
  return rows[0] as Record<string, unknown>;
};

const refused = async (
  t: Test,
  hub: TestHub,
  client: ApiClient,
  body: unknown,
  [status, code]: readonly [number, string],
) => {
  const reply = await client.post('/v1/lookups', body);
  t.match([reply.status, problemOf(reply).code], [status, code], code);
  t.match(await lastRecord(hub), { action: 'lookUp', outcome: 'refused', code }, `${code} is recorded`);
  return problemOf(reply);
};

await t.test('answers by holder, by USCC and by identifier, each with its record', async (t) => {
  const hub = await startHub(t);
  const school = hub.client('school-enrolment');
  const card = pushOf(demoTypes.residentIdCard);
  const identifier = await put(hub, card, 'card');
  await allow(hub);

  const answer = answerOf(await school.post('/v1/lookups', byHolder(card)));
  const [found] = answer.certificates;
  t.equal(answer.certificates.length, 1);
  t.match(found, { certificateIdentifier: identifier, status: 'valid' });
  t.strictSame(
    found?.fields,
    {
      name: card.body.fields['name'],
      birthDate: card.body.fields['birthDate'],
      certificateNumber: card.body.certificateNumber,
    },
    'invariant 2: exactly the fields of the grant',
  );
  t.match(await lastRecord(hub), {
    record_id: answer.recordId,
    outcome: 'answered',
    client_id: 'school-enrolment',
    matter_code: 'school-enrolment',
  });

  const jwks = (await hub.anyone.get('/.well-known/jwks.json')).body as { keys: never[] };
  const { payload, protectedHeader } = await jwtVerify(answer.answer, createLocalJWKSet(jwks), {
    issuer: 'http://hub.test',
    audience: 'school-enrolment',
    typ: 'certhub-answer+jwt',
  });
  t.equal(protectedHeader.alg, 'ES256');
  t.equal(payload.jti, answer.recordId, 'the answer names its record');
  const hash = createHash('sha256')
    .update(found?.sdJwt ?? '')
    .digest('base64url');
  t.match(payload, { purpose, certificates: [{ certificateIdentifier: identifier, level: 'fields', sd_hash: hash }] });
  const { rows } = await runSql(
    hub.database.superuserUrl,
    `select commitment from records where record_id = '${answer.recordId}'`,
  );
  t.equal((rows[0] as { commitment: Buffer }).commitment.toString('base64url'), payload['commitment']);

  const narrow = answerOf(
    await school.post(
      '/v1/lookups',
      byHolder(card, { types: [{ certificateTypeCode: demoTypes.residentIdCard, fields: ['birthDate'] }] }),
    ),
  );
  t.strictSame(Object.keys(narrow.certificates[0]?.fields ?? {}), ['birthDate']);
  t.equal(narrow.certificates[0]?.sdJwt.split('~').length, 3, 'one disclosure');

  const byIdentifier = answerOf(
    await school.post('/v1/lookups', { purpose, level: 'fields', certificateIdentifier: identifier }),
  );
  t.equal(byIdentifier.certificates[0]?.certificateIdentifier, identifier);

  const licence = pushOf(demoTypes.businessLicence);
  await put(hub, licence, 'licence');
  await allow(hub, { certificateTypeCode: demoTypes.businessLicence, fields: ['companyName'] });
  const company = answerOf(await school.post('/v1/lookups', byHolder(licence)));
  t.strictSame(company.certificates[0]?.fields, { companyName: licence.body.fields['companyName'] });
});

await t.test('a certificate of two holders is found by each, and its record concerns both', async (t) => {
  const hub = await startHub(t);
  const marriage = pushOf(demoTypes.marriage);
  const identifier = await put(hub, marriage, 'marriage');
  await allow(hub, { certificateTypeCode: demoTypes.marriage, fields: ['registeredDate'] });
  for (const holder of [0, 1]) {
    const answer = answerOf(await hub.client('school-enrolment').post('/v1/lookups', byHolder(marriage, {}, holder)));
    t.equal(answer.certificates.length, 1);
    t.equal(answer.certificates[0]?.certificateIdentifier, identifier);
    const record = await lastRecord(hub);
    t.equal((record['other_holder_keys'] as unknown[]).length, 1);
  }
});

await t.test('compare answers yes or no and discloses nothing', async (t) => {
  const hub = await startHub(t);
  const card = pushOf(demoTypes.residentIdCard);
  await put(hub, card, 'card');
  await allow(hub, { level: 'compare' });
  const school = hub.client('school-enrolment');
  const compare = { name: card.body.fields['name'], birthDate: '1900-01-01' };
  const types = [{ certificateTypeCode: demoTypes.residentIdCard, compare }];
  const answer = answerOf(await school.post('/v1/lookups', byHolder(card, { level: 'compare', types })));
  t.strictSame(answer.certificates[0]?.compared, { name: true, birthDate: false });
  t.notOk(answer.certificates[0]?.fields);
  t.match(answer.certificates[0]?.sdJwt, /^[^~]+~$/, 'no disclosure');
  await refused(t, hub, school, byHolder(card), [403, 'grant_required']);
  await refused(
    t,
    hub,
    school,
    byHolder(card, { level: 'compare', types: [{ ...types[0], compare: { address: 'x' } }] }),
    [403, 'grant_required'],
  );
});

await t.test('what is not in force shows its status and no field', async (t) => {
  const hub = await startHub(t);
  const issuer = hub.client('psb-issuer');
  const school = hub.client('school-enrolment');
  const card = pushOf(demoTypes.residentIdCard);
  const identifier = await put(hub, card, 'card');
  await allow(hub);
  const change = (body: Record<string, unknown>) => issuer.post(`/v1/certificates/${identifier}/status-changes`, body);
  const found = async (): Promise<Found | undefined> =>
    answerOf(await school.post('/v1/lookups', byHolder(card))).certificates[0];

  t.equal((await change({ action: 'suspend', reason: 'lost' })).status, 200);
  t.match(await found(), { status: 'suspended', fields: undefined });
  t.equal((await change({ action: 'resume', reason: 'found' })).status, 200);
  t.match(await found(), { status: 'valid', fields: { certificateNumber: card.body.certificateNumber } });

  const revised = await issuer.post(`/v1/certificates/${identifier}/versions`, {
    ...card.body,
    fields: { ...card.body.fields, name: '新姓名' },
  });
  t.equal(revised.status, 201);
  const next = (revised.body as { certificateIdentifier: string }).certificateIdentifier;
  t.match(await found(), { certificateIdentifier: identifier, status: 'valid' }, 'until the new version is sealed');
  await issuer.post(`/v1/certificates/${next}/reviews`, { decision: 'approve', officer: { id: 'r', name: 'r' } });
  t.equal((await issuer.post(`/v1/certificates/${next}/seals`, {})).status, 200);
  t.match(await found(), { certificateIdentifier: next, status: 'valid', fields: { name: '新姓名' } });
  const old = answerOf(
    await school.post('/v1/lookups', { purpose, level: 'fields', certificateIdentifier: identifier }),
  );
  t.match(old.certificates, [{ status: 'superseded', supersededBy: next, fields: undefined }]);

  const revoke = { action: 'revoke', reason: 'error', revocationReason: 'issued_in_error' };
  t.equal((await issuer.post(`/v1/certificates/${next}/status-changes`, revoke)).status, 200);
  t.match(await found(), { status: 'revoked', revocationReason: 'issued_in_error', fields: undefined });
});

await t.test('nothing found is an answer with a record; unsealed certificates are never found', async (t) => {
  const hub = await startHub(t);
  await allow(hub);
  const school = hub.client('school-enrolment');
  const card = pushOf(demoTypes.residentIdCard);
  const pushed = await hub.client('psb-issuer').post('/v1/certificates', card.body);
  t.equal(pushed.status, 201);
  const identifier = (pushed.body as { certificateIdentifier: string }).certificateIdentifier;
  for (const body of [byHolder(card), { purpose, level: 'fields', certificateIdentifier: identifier }]) {
    const answer = answerOf(await school.post('/v1/lookups', body));
    t.strictSame(answer.certificates, []);
    t.match(await lastRecord(hub), { record_id: answer.recordId, outcome: 'answered' });
  }
});

await t.test(
  'every refusal has its code and its record, and is the same whether or not the person exists',
  async (t) => {
    const hub = await startHub(t);
    const school = hub.client('school-enrolment');
    const card = pushOf(demoTypes.residentIdCard);
    await put(hub, card, 'card');
    const nobody = { type: '111', number: '990000190001010016' };
    const named = { types: [{ certificateTypeCode: demoTypes.residentIdCard, fields: ['name'] }] };

    const known = await refused(t, hub, school, byHolder(card, named), [403, 'grant_required']);
    const unknown = await refused(t, hub, school, { ...byHolder(card, named), holder: nobody }, [
      403,
      'grant_required',
    ]);
    t.strictSame({ ...known, requestId: '' }, { ...unknown, requestId: '' }, 'not even the words differ');
    t.match(known.context, {
      apply: [
        {
          certificateTypeCode: demoTypes.residentIdCard,
          wanted: { level: 'fields', fields: ['name'], matters: ['school-enrolment'], legalBases: ['own_application'] },
        },
      ],
      owners: [
        { certificateTypeCode: demoTypes.residentIdCard, ownerDepartmentCode: demoTypes.residentIdCard.slice(0, 18) },
      ],
    });
    await refused(t, hub, school, byHolder(card), [403, 'grant_required']);

    await expiredGrant(hub.client);
    await refused(t, hub, school, byHolder(card, named), [403, 'grant_expired']);
    const grantId = await allow(hub, { dailyQuota: 3 });
    for (const [change, code] of [
      [{ purpose: { ...purpose, matterCode: 'other-matter' } }, 'grant_expired'],
      [{ purpose: { ...purpose, legalBasis: 'delegated' } }, 'grant_required'],
      [{ types: [{ certificateTypeCode: demoTypes.residentIdCard, fields: ['name', 'address'] }] }, 'grant_required'],
    ] as const) {
      const reply = await school.post('/v1/lookups', byHolder(card, { ...named, ...change }));
      t.equal(reply.status, 403, code);
    }
    await refused(t, hub, hub.client('housing-allocation'), byHolder(card, named), [403, 'grant_required']);
    await refused(t, hub, school, byHolder(card, { types: [{ certificateTypeCode: '11999900100000016A999' }] }), [
      404,
      'certificate_type_unknown',
    ]);
    await refused(t, hub, school, byHolder(card, { types: [{ ...named.types[0], fields: ['noSuchField'] }] }), [
      422,
      'field_unknown',
    ]);

    const holder = (type: string, number: unknown) => ({ ...byHolder(card), holder: { type, number } });
    await refused(t, hub, school, holder('111', '990000190001010017'), [422, 'invalid_id_number']);
    await refused(t, hub, school, holder('111', '990000190002300015'), [422, 'invalid_id_number']);
    await refused(t, hub, school, holder('001', '91999900MA0000015M'), [422, 'invalid_uscc']);
    await refused(t, hub, school, holder('777', '12345678'), [422, 'invalid_holder_type']);
    await refused(
      t,
      hub,
      school,
      JSON.stringify(holder('111', '990000190001010016')).replace('"990000190001010016"', '990000190001010016'),
      [400, 'number_for_identifier'],
    );
    await refused(t, hub, school, { ...byHolder(card), purpose: undefined }, [400, 'purpose_missing']);
    await refused(t, hub, school, { purpose, level: 'fields' }, [400, 'holder_or_identifier_required']);
    const identifier = '1.2.156.3005.2.11999900100000016A001.11999900100000016A.00000000000000000001.001.V';
    await refused(t, hub, school, { purpose, level: 'fields', certificateIdentifier: identifier }, [
      422,
      'invalid_certificate_identifier',
    ]);
    await refused(t, hub, school, { ...byHolder(card), surprise: 1 }, [400, 'contract_violation']);
    await refused(t, hub, hub.client('psb-issuer'), byHolder(card), [403, 'role_required']);
    const anonymous = await hub.anyone.post('/v1/lookups', byHolder(card));
    t.match([anonymous.status, problemOf(anonymous).code], [401, 'token_missing']);
    t.match(await lastRecord(hub), { action: 'lookUp', code: 'token_missing', client_id: null });

    for (let used = 0; used < 3; used += 1) {
      t.equal((await school.post('/v1/lookups', byHolder(card, named))).status, 200);
    }
    const over = await refused(t, hub, school, byHolder(card, named), [429, 'quota_exceeded']);
    const wait = Number(over.context?.['retryAfterSeconds']);
    t.ok(wait > 0 && wait <= 86_400, 'it says when the quota begins anew');
    await hub.client('hub-admin').post(`/v1/grants/${grantId}/revocations`, { reason: 'no longer needed' });
    await refused(t, hub, school, byHolder(card, named), [403, 'grant_revoked']);
  },
);

await t.test('an auditor finds what was asked about a person, and that search is found too', async (t) => {
  const hub = await startHub(t);
  const card = pushOf(demoTypes.residentIdCard);
  await put(hub, card, 'card');
  await allow(hub);
  const { recordId } = answerOf(await hub.client('school-enrolment').post('/v1/lookups', byHolder(card)));
  const auditor = hub.client('audit-office');
  const search = { reason: 'spot check', holder: byHolder(card).holder };
  const page = (await auditor.post('/v1/audit/searches', search)).body as {
    items: { recordId: string }[];
    recordId: string;
  };
  const seen = page.items.find((item) => item.recordId === recordId);
  t.match(seen, {
    kind: 'access',
    outcome: 'answered',
    body: {
      officer,
      purpose: { caseNumber: 'CASE-1' },
      scope: { types: [{ fields: ['name', 'birthDate', 'certificateNumber'] }] },
    },
  });
  t.notMatch(JSON.stringify(page), new RegExp(`${card.body.holders[0]?.number}|${card.body.holders[0]?.name}`));
  const again = (await auditor.post('/v1/audit/searches', { ...search, limit: 1 })).body as {
    items: { recordId: string; action: string }[];
    next?: string;
  };
  t.match(again.items, [{ recordId: page.recordId, action: 'searchRecords' }], 'newest first: the search before');
  const paged: string[] = [];
  for (let after: string | undefined; ; ) {
    const { body } = await auditor.post('/v1/audit/searches', { ...search, limit: 2, ...(after && { after }) });
    const { items, next } = body as typeof again;
    paged.push(...items.map((item) => item.recordId));
    if (next === undefined) break;
    after = next;
  }
  t.equal(new Set(paged).size, paged.length, 'pages do not overlap');
  t.ok(paged.includes(recordId));
  t.equal((await hub.client('school-enrolment').post('/v1/audit/searches', search)).status, 403);
});
