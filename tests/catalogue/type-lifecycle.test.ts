import { randomUUID } from 'node:crypto';
import t from 'tap';
import type { ApiClient } from '../../src/cli/api-client.ts';
import { demoTypes } from '../../src/cli/demo/certificates.ts';
import { expectAnswer, issue } from '../../src/cli/demo/load.ts';
import { logsAreClean, refusing } from '../api/refuses.ts';
import {
  approval,
  certificateIn,
  draftIn,
  education,
  newMatter,
  newType,
  newWish,
  publicSecurity,
  purpose,
} from '../api/samples.ts';
import { startWorld } from '../api/world.ts';
import { expiredGrant, pushOf, putGrant } from '../support/demo-samples.ts';

t.setTimeout(240_000);
const world = await startWorld(t);
const names = [
  'hub-admin',
  'psb-issuer',
  'psb-grants',
  'school-enrolment',
  'market-issuer',
  'audit-office',
  'hrss-grants',
];
for (const name of names) await world.client(name).token();
const [admin, issuer, grantor, school, stranger, auditor, otherGrantor] = names.map(world.client) as [
  ApiClient,
  ApiClient,
  ApiClient,
  ApiClient,
  ApiClient,
  ApiClient,
  ApiClient,
];
const civilAffairs = '11999900100000067J';
const note = { zh: '请改用新字段', en: 'Read the new field' };
const reason = 'replaced';
const allowedIssuers = [{ departmentCode: publicSecurity }, { departmentCode: education }];

interface Type {
  readonly version: number;
  readonly state: string;
  readonly migrationNote?: unknown;
  readonly matters: readonly unknown[];
  readonly [member: string]: unknown;
}
interface Draft {
  readonly draftId: string;
  readonly state: string;
  readonly basedOnVersion: number;
  readonly changes: readonly unknown[];
  readonly breaks: { readonly matters: readonly unknown[]; readonly grants: readonly unknown[] };
}
const drafts = '/v1/certificate-type-drafts';
const codeOf = (type: Record<string, unknown>): string => String(type['certificateTypeCode']);
const pathOf = (type: Record<string, unknown>): string => `/v1/certificate-types/${codeOf(type)}`;
const save = (client: ApiClient, definition: object) => expectAnswer<Draft>(client.post(drafts, definition), 201);
const publish = (client: ApiClient, draftId: string, body: object = {}, key: string = randomUUID()) =>
  client.post(`${drafts}/${draftId}/publications`, body, key);
const published = async (type: object, body: object = {}): Promise<Type> =>
  expectAnswer<Type>(publish(grantor, (await save(issuer, type)).draftId, body), 201);
const read = (type: Record<string, unknown>) => expectAnswer<Type>(school.get(pathOf(type)), 200);
const fieldsOf = (type: Record<string, unknown>) => type['fields'] as Record<string, unknown>[];
const requires = (type: Record<string, unknown>, material: object = {}) => [
  {
    code: 'proof',
    name: note,
    legalGround: note,
    alternatives: [[{ certificateTypeCode: codeOf(type), fields: ['note'], ...material }]],
  },
];
const outcome = async (reply: ReturnType<ApiClient['post']>) => {
  const { status, body } = await reply;
  return [status, (body as { code?: string }).code];
};

await t.test('a type is drafted, published, retired and brought back; every version tells what changed', async (t) => {
  const type = newType({ category: 'proof', definingAuthorityLevel: 'municipal', decidedBy: 'province' });
  const first = await save(issuer, type);
  t.match(first, { state: 'open', basedOnVersion: 0, changes: [], savedBy: { clientId: 'psb-issuer' } });
  t.equal((await school.get(pathOf(type))).status, 404, 'a draft is no type yet');
  const key = randomUUID();
  const one = await expectAnswer<Type>(publish(grantor, first.draftId, {}, key), 201);
  t.match(one, { version: 1, state: 'published', category: 'proof', decidedBy: 'province', matters: [] });
  t.strictSame(await expectAnswer(publish(grantor, first.draftId, {}, key), 201), one, 'invariant 8: replayed');
  t.strictSame(await read(type), one, 'seen at once');

  const changed = { ...type, name: { zh: '新测试证', en: 'New test certificate' }, standard: 'C 0199' };
  const second = await save(grantor, changed);
  t.match(second, {
    basedOnVersion: 1,
    changes: [
      { what: 'changed', path: '/name/zh', from: '测试证', to: '新测试证' },
      { what: 'changed', path: '/name/en' },
      { what: 'changed', path: '/standard', to: 'C 0199' },
    ],
    breaks: { matters: [], grants: [] },
  });
  t.match(await expectAnswer(publish(admin, second.draftId, { reason }), 201), { version: 2, standard: 'C 0199' });
  t.match(await expectAnswer(grantor.post(`${pathOf(type)}/retirements`, { reason }), 200), {
    version: 3,
    state: 'retired',
  });
  t.equal((await read(type)).state, 'retired');
  t.match(await published(changed), { version: 4, state: 'published' }, 'publishing the same brings it back');

  const versions = await expectAnswer<{ items: Type[] }>(school.get(`${pathOf(type)}/versions`), 200);
  t.match(versions.items, [
    { version: 4, state: 'published', changes: [{ what: 'restored', path: '' }] },
    { version: 3, state: 'retired', reason, changes: [{ what: 'retired', path: '' }] },
    { version: 2, state: 'published', reason },
    { version: 1, state: 'published', changes: [] },
  ]);
  t.equal(versions.items.length, 4);
  const page = await expectAnswer<{ items: Type[]; next: string }>(school.get(`${pathOf(type)}/versions?limit=3`), 200);
  t.strictSame(page.items, versions.items.slice(0, 3));
  const last = await expectAnswer(school.get(`${pathOf(type)}/versions?after=${page.next}`), 200);
  t.strictSame(last, { items: versions.items.slice(3) });
  const records = await world.sql(
    `select action from records where action like '%CertificateType' and outcome = 'done' and client_id is not null order by record_id`,
  );
  t.strictSame(
    records.slice(-7).map(({ action }) => String(action).replace('CertificateType', '')),
    ['draft', 'publish', 'draft', 'publish', 'retire', 'draft', 'publish'],
    'one record each, the replay none',
  );
});

await t.test('drafts: one per type, seen by their department; what was read is what is published', async (t) => {
  const type = newType();
  const first = await save(issuer, type);
  const second = await save(grantor, { ...type, reviewRequired: false });
  t.not(first.draftId, second.draftId);
  const listed = async (client: ApiClient) =>
    (await expectAnswer<{ items: Draft[] }>(client.get(`${drafts}?limit=200`), 200)).items.map(
      ({ draftId }) => draftId,
    );
  for (const client of [issuer, grantor, admin, auditor]) {
    const ids = await listed(client);
    t.ok(ids.includes(second.draftId) && !ids.includes(first.draftId), client.clientId);
    t.match(await expectAnswer(client.get(`${drafts}/${first.draftId}`), 200), { state: 'replaced' });
  }
  t.strictSame(await listed(stranger), []);
  const foreign = await stranger.get(`${drafts}/${second.draftId}`);
  const missing = await stranger.get(`${drafts}/0199a000-0000-7000-8000-000000000000`);
  const unmarked = ({ status, body }: typeof foreign) => [status, { ...(body as object), requestId: '' }];
  t.strictSame(unmarked(foreign), unmarked(missing), 'a foreign draft and none are the same answer');
  t.match(await publish(grantor, first.draftId), {
    status: 409,
    body: { code: 'draft_outdated', context: { state: 'replaced' } },
  });
  t.strictSame(await outcome(publish(otherGrantor, second.draftId)), [404, 'draft_unknown']);
  t.match(await expectAnswer(issuer.post(`${drafts}/${second.draftId}/discards`, { reason }), 200), {
    state: 'discarded',
  });
  t.strictSame(await outcome(publish(grantor, second.draftId)), [409, 'draft_outdated']);
  t.strictSame(await outcome(issuer.post(`${drafts}/${second.draftId}/discards`, { reason })), [409, 'draft_outdated']);

  const third = await save(issuer, type);
  await expectAnswer(admin.post('/v1/certificate-types', { ...type, holderCount: { min: 1, max: 2 } }), 201);
  t.match(await publish(grantor, third.draftId), {
    status: 409,
    body: { code: 'draft_outdated', context: { basedOnVersion: 0, currentVersion: 1 } },
  });
  t.equal((await read(type)).version, 1);
});

await t.test('departments keep to themselves; an administrator hands a type over', async (t) => {
  const refuses = await refusing(world);
  const operationId = 'draftCertificateType';
  const type = newType();
  const own = { operationId, as: 'market-issuer' } as const;
  await refuses(t, 'for another department', { ...own, body: type }, [403, 'wrong_department', '/ownerDepartmentCode']);
  const market = '119999001000000245';
  const taken = { ...newType(), ownerDepartmentCode: market };
  await expectAnswer(admin.post('/v1/certificate-types', { ...taken, ownerDepartmentCode: publicSecurity }), 201);
  const again = await refusing(world);
  await again(t, 'taking one', { ...own, body: taken }, [403, 'wrong_department', '/certificateTypeCode']);
  await again(t, 'giving one away', { operationId, as: 'psb-issuer', body: taken }, [
    403,
    'wrong_department',
    '/ownerDepartmentCode',
  ]);
  await again(t, 'a consumer drafts none', { operationId, as: 'school-enrolment', body: type }, [403, 'role_required']);
  const draft = await save(admin, taken);
  t.strictSame(
    await outcome(publish(grantor, draft.draftId)),
    [403, 'wrong_department'],
    'its grantor sees it and cannot',
  );
  t.strictSame(await outcome(publish(issuer, draft.draftId)), [403, 'role_required']);
  t.match(await expectAnswer(publish(admin, draft.draftId), 201), { ownerDepartmentCode: market });
  t.strictSame(await outcome(grantor.post(`${pathOf(taken)}/retirements`, { reason })), [403, 'wrong_department']);

  const bad = await refusing(world);
  const [field] = fieldsOf(type);
  for (const [what, body, expected] of [
    ['a reserved name', { fields: [{ ...field, name: 'iss' }] }, [422, 'certificate_type_invalid', '/fields/0/name']],
    ['a category that is none', { category: 'canary' }, [400, 'contract_violation', '/category']],
    [
      'a level that is none',
      { issuingAuthorityLevel: 'canary' },
      [400, 'contract_violation', '/issuingAuthorityLevel'],
    ],
    ['a blank standard', { standard: ' ' }, [400, 'contract_violation', '/standard']],
    ['decided nowhere', { decidedBy: 'canary' }, [400, 'contract_violation', '/decidedBy']],
    ['an issuer nobody registered', { allowedIssuers: [{ departmentCode: '11999900100000999B' }] }, undefined],
  ] as const) {
    const sent = { operationId, as: 'psb-issuer', body: newType(body) } as const;
    if (expected !== undefined) await bad(t, what, sent, expected);
    else t.match((await issuer.post(drafts, sent.body)).status, /404|422/, what);
  }
  const id = '0199a000-0000-7000-8000-000000000000';
  const gone = await refusing(world);
  for (const each of ['getCertificateTypeDraft', 'discardCertificateTypeDraft', 'publishCertificateType'] as const) {
    const body = each === 'getCertificateTypeDraft' ? {} : { body: each.startsWith('p') ? {} : { reason } };
    const as = each.startsWith('p') ? 'psb-grants' : 'psb-issuer';
    await gone(t, 'that there is not', { operationId: each, as, params: { draftId: id }, ...body }, [
      404,
      'draft_unknown',
    ]);
    const wrong = { operationId: each, as, params: { draftId: 'canary' }, ...body };
    await gone(t, 'of a name that is none', wrong, [400, 'contract_violation', '/draftId']);
  }
  const nothing = { operationId: 'retireCertificateType', as: 'psb-grants', body: { reason } } as const;
  await gone(t, 'a type that there is not', { ...nothing, params: { certificateTypeCode: `${publicSecurity}998` } }, [
    404,
    'certificate_type_unknown',
    '/certificateTypeCode',
  ]);
  await gone(t, 'a wrong check digit', { ...nothing, params: { certificateTypeCode: '11999900100000016B001' } }, [
    422,
    'invalid_certificate_type_code',
    '/certificateTypeCode',
  ]);
  const same = newType();
  await expectAnswer(admin.post('/v1/certificate-types', same), 201);
  const params = { draftId: await draftIn(world, same) };
  const still = await refusing(world);
  await still(t, 'nothing new', { operationId: 'publishCertificateType', as: 'psb-grants', params, body: {} }, [
    409,
    'draft_unchanged',
  ]);
  const versions = {
    operationId: 'listCertificateTypeVersions',
    as: 'psb-grants',
    params: { certificateTypeCode: codeOf(same) },
  } as const;
  await still(t, 'a cursor that is none', { ...versions, query: 'after=canary' }, [
    400,
    'contract_violation',
    '/after',
  ]);
  logsAreClean(t, world);
});

await t.test('a matter has to be changed before the type that it asks for', async (t) => {
  const type = newType({ allowedIssuers });
  await published(type);
  const [asking] = requires(type);
  const matter = newMatter({ requirements: [{ ...asking, declaration: note }], produces: [codeOf(type)] });
  const matterCode = String(matter['matterCode']);
  await expectAnswer(school.post('/v1/matters', matter), 201);
  t.match((await read(type)).matters, [
    { matterCode, relation: 'requires' },
    { matterCode, relation: 'produces' },
  ]);
  const [, score] = fieldsOf(type);
  const without = { ...type, fields: [score] };
  const draft = await save(issuer, without);
  const at = '/requirements/0/alternatives/0/0/fields/0';
  t.strictSame(draft.breaks, { matters: [{ matterCode, pointer: at, rule: 'field_unknown' }], grants: [] });
  for (const body of [{}, { migrationNote: note }]) {
    const { status, body: told } = await publish(grantor, draft.draftId, body);
    t.match([status, told], [409, { code: 'change_breaks', context: { matters: draft.breaks.matters } }]);
  }
  t.match(await admin.post('/v1/certificate-types', without), { status: 409, body: { code: 'change_breaks' } });
  const retiring = await grantor.post(`${pathOf(type)}/retirements`, { reason });
  t.match(retiring, { status: 409, body: { code: 'change_breaks' } });
  const { matters } = (retiring.body as { context: { matters: { pointer: string; rule: string }[] } }).context;
  t.strictSame(
    matters.map(({ pointer, rule }) => [pointer, rule]),
    [
      ['/requirements/0/alternatives/0/0/certificateTypeCode', 'type_retired'],
      ['/produces/0', 'type_retired'],
    ],
  );
  t.match(await expectAnswer(school.post(`/v1/matters/${matterCode}/retirements`, { reason }), 200), {
    version: 2,
    state: 'retired',
    reason,
  });
  t.strictSame((await read(type)).matters, [], 'a retired matter asks for nothing');
  await expectAnswer(publish(grantor, draft.draftId), 201);
  const back = await school.post('/v1/matters', matter);
  t.match(
    back,
    { status: 422, body: { code: 'matter_invalid', context: { pointer: at } } },
    'and does not come back so',
  );
  await expectAnswer(grantor.post(`${pathOf(type)}/retirements`, { reason }), 200);
  const [requirement] = requires(type, { fields: ['score'] });
  t.match(await school.post('/v1/matters', newMatter({ requirements: [requirement] })), {
    status: 422,
    body: { code: 'matter_invalid', context: { rule: 'type_retired' } },
  });
});

await t.test('what grants name changes only with a migration note, which is kept', async (t) => {
  const type = newType();
  await published(type);
  const certificateTypeCode = codeOf(type);
  const naming = (overrides: object) =>
    putGrant(world.client, { certificateTypeCode, fields: ['note', 'score'], ...overrides });
  const standing = await naming({});
  const upcoming = await naming({ renews: standing.grantId, validUntil: '2030-06-01T00:00:00Z' });
  t.equal(upcoming.state, 'upcoming');
  const suspended = await naming({});
  await expectAnswer(admin.post(`/v1/grants/${suspended.grantId}/suspensions`, { reason }), 200);
  const revoked = await naming({});
  await expectAnswer(admin.post(`/v1/grants/${revoked.grantId}/revocations`, { reason }), 200);
  await naming({ fields: ['score', 'certificateNumber'] });
  const over = await expiredGrant(world.client, { certificateTypeCode, fields: ['note', 'score'] });
  t.match(await expectAnswer(admin.get(`/v1/grants/${over.grantId}`), 200), { state: 'expired' });
  const [first, score] = fieldsOf(type);
  const longer = { ...type, fields: [{ ...first, schema: { type: 'string', maxLength: 200 } }, score] };
  const draft = await save(issuer, longer);
  const grants = [standing, upcoming, suspended]
    .map(({ grantId }) => ({ grantId, clientId: 'school-enrolment', fields: ['note'] }))
    .toSorted((a, b) => (a.grantId < b.grantId ? -1 : 1));
  t.strictSame(draft.breaks, { matters: [], grants });
  t.match(await publish(grantor, draft.draftId), { status: 409, body: { code: 'change_breaks', context: { grants } } });
  t.match(await admin.post('/v1/certificate-types', longer), { status: 409, body: { code: 'change_breaks' } });
  t.match(await expectAnswer(publish(grantor, draft.draftId, { migrationNote: note }), 201), {
    version: 2,
    migrationNote: note,
  });
  t.match(await read(type), { version: 2, migrationNote: note });
  const organisations = await save(issuer, { ...longer, holderKind: 'organisation' });
  t.equal(organisations.breaks.grants.length, 4, 'said of other holders, every field means something else');
  const label = { ...longer, fields: [{ ...fieldsOf(longer)[0], class: 'sensitive', required: false }, score] };
  t.match(await published(label), { version: 3 }, 'class and requirement take nothing from a grant');
  t.equal((await read(type)).migrationNote, undefined, 'a note belongs to its version');
  const { items } = await expectAnswer<{ items: Type[] }>(school.get(`${pathOf(type)}/versions`), 200);
  t.match(items[1], {
    version: 2,
    migrationNote: note,
    changes: [{ what: 'field_changed', path: '/fields/note/schema' }],
  });
});

await t.test('what the hub decides with the owner, the owner alone cannot take from it', async (t) => {
  const type = newType();
  const [first, score] = fieldsOf(type);
  const as = (fieldClass: string, more: object = {}) => ({
    ...type,
    fields: [{ ...first, class: fieldClass, required: false }, score],
    ...more,
  });
  await published(as('sensitive'));
  const must = (pointer: string) => ({ status: 403, body: { code: 'hub_must_publish', context: { pointer } } });
  const open = await save(issuer, as('internal'));
  t.match(await publish(grantor, open.draftId), must('/fields/0/class'));
  t.match(await read(type), { version: 1 }, 'nothing happened');
  t.match(await published({ ...type, fields: [score] }), { version: 2 }, 'without the field');
  const again = await save(issuer, as('public'));
  t.match(await publish(grantor, again.draftId), must('/fields/0/class'), 'not by a detour either');
  t.match(await expectAnswer(publish(admin, again.draftId), 201), { version: 3 });
  t.match(await published(as('internal')), { version: 4 }, 'from then on it is the owner’s');
  t.match(await published(as('internal', { decidedBy: 'province' })), { version: 5 });
  const home = await save(issuer, as('internal'));
  t.match(await publish(grantor, home.draftId), must('/decidedBy'));
  t.match(await expectAnswer(publish(admin, home.draftId), 201), { version: 6 });
});

await t.test('under a retired type nothing new begins, and what was sealed stays', async (t) => {
  const type = newType();
  const certificateTypeCode = codeOf(type);
  await published(type);
  const [holder] = pushOf(demoTypes.residentIdCard).body.holders;
  if (holder === undefined) throw new Error('a push without a holder');
  const push = {
    ...pushOf(demoTypes.residentIdCard),
    body: {
      ...pushOf(demoTypes.residentIdCard).body,
      certificateTypeCode,
      fields: { note: 'anything' },
    },
  };
  const sealed = await certificateIn(world, 'valid', push);
  const pending = await certificateIn(world, 'approved', push);
  await putGrant(world.client, { certificateTypeCode, fields: ['note'] });
  const wish = () => newWish({ fields: ['note'] }, { certificateTypeCode });
  const { applicationId } = await expectAnswer<{ applicationId: string }>(
    school.post('/v1/grant-applications', wish()),
    201,
  );
  await expectAnswer(grantor.post(`${pathOf(type)}/retirements`, { reason }), 200);
  const retired = [409, 'certificate_type_retired'];
  const [path, waiting] = [`/v1/certificates/${sealed}`, `/v1/certificates/${pending}`];
  t.strictSame(await outcome(grantor.post(`${pathOf(type)}/retirements`, { reason })), retired);
  t.strictSame(await outcome(issuer.post('/v1/certificates', push.body)), retired);
  t.strictSame(await outcome(issuer.post(`${path}/versions`, push.body)), retired);
  t.strictSame(await outcome(issuer.post(`${waiting}/seals`, {})), retired, 'nor what waits for its seal');
  t.strictSame(await outcome(school.post('/v1/grant-applications', wish())), retired);
  const decisions = `/v1/grant-applications/${applicationId}/decisions`;
  t.strictSame(await outcome(grantor.post(decisions, approval)), retired);
  t.match(await expectAnswer(grantor.post(decisions, { ...approval, decision: 'refuse' }), 200), { state: 'refused' });

  const lookUp = () =>
    expectAnswer<{ certificates: { certificateIdentifier: string; sdJwt?: string }[] }>(
      school.post('/v1/lookups', {
        purpose,
        level: 'fields',
        holder: { type: holder.type, number: holder.number },
        types: [{ certificateTypeCode, fields: ['note'] }],
      }),
      200,
    );
  const { certificates } = await lookUp();
  t.strictSame(
    certificates.map(({ certificateIdentifier }) => certificateIdentifier),
    [sealed],
    'looked up',
  );
  const verdict = await expectAnswer(
    world.hub.anyone.post('/v1/verifications', { sdJwt: certificates[0]?.sdJwt }),
    200,
  );
  t.match(verdict, { verdict: 0 }, 'verified');
  await expectAnswer(issuer.post(`${path}/status-changes`, { action: 'suspend', reason }), 200);
  await expectAnswer(issuer.post(`${path}/status-changes`, { action: 'resume', reason }), 200);
  await published(type);
  await expectAnswer(issuer.post(`${waiting}/seals`, {}), 200);
  t.ok(await issue(issuer, push, randomUUID()), 'and all goes on when it comes back');
  t.equal((await lookUp()).certificates.length, 3);
});

await t.test('a retired matter is not checked, demands no paper and holds nobody up', async (t) => {
  const [one, other] = [newType({ allowedIssuers }), newType({ allowedIssuers })];
  for (const type of [one, other]) await published(type);
  const matter = newMatter();
  const matterCode = String(matter['matterCode']);
  await expectAnswer(school.post('/v1/matters', matter), 201);
  const proofs = async () =>
    JSON.stringify(await expectAnswer(school.get(`/v1/retained-proofs?departmentCode=${education}&limit=200`), 200));
  t.ok((await proofs()).includes(matterCode));
  const { matterCode: _, ...why } = purpose;
  const [holder] = pushOf(demoTypes.residentIdCard).body.holders;
  const asked = {
    ...why,
    parties: {
      applicant: { type: holder?.type, number: holder?.number },
      employer: { type: '001', number: civilAffairs },
    },
  };
  await expectAnswer(school.post(`/v1/matters/${matterCode}/checks`, asked), 200);
  const retire = (client: ApiClient, code = matterCode) => client.post(`/v1/matters/${code}/retirements`, { reason });
  t.strictSame(await outcome(retire(world.client('housing-allocation'))), [403, 'wrong_department']);
  t.strictSame(await outcome(retire(school, 'nobody-knows')), [404, 'matter_unknown']);
  await expectAnswer(retire(school), 200);
  t.strictSame(await outcome(retire(admin)), [409, 'matter_retired']);
  t.strictSame(await outcome(school.post(`/v1/matters/${matterCode}/checks`, asked)), [409, 'matter_retired']);
  t.notOk((await proofs()).includes(matterCode));
  const listed = async (state: string) =>
    (
      await expectAnswer<{ items: { matterCode: string }[] }>(school.get(`/v1/matters?state=${state}&limit=200`), 200)
    ).items.map((each) => each.matterCode);
  t.ok((await listed('retired')).includes(matterCode) && !(await listed('published')).includes(matterCode));
  t.match(await expectAnswer(school.get(`/v1/matters/${matterCode}`), 200), { state: 'retired', reason, version: 2 });
  t.match(await expectAnswer(school.post('/v1/matters', matter), 201), { state: 'published', version: 3 });

  const first = newMatter({ requirements: requires(one), produces: [codeOf(other)] });
  await expectAnswer(school.post('/v1/matters', first), 201);
  const circle = newMatter({ requirements: requires(other), produces: [codeOf(one)] });
  t.strictSame(await outcome(school.post('/v1/matters', circle)), [422, 'matter_circular']);
  await expectAnswer(retire(school, String(first['matterCode'])), 200);
  await expectAnswer(school.post('/v1/matters', circle), 201);
  t.strictSame(
    await outcome(school.post('/v1/matters', first)),
    [422, 'matter_circular'],
    'nor does it come back into one',
  );

  const third = newType({ allowedIssuers });
  await published(third);
  const issueIt = newMatter({ produces: [codeOf(third)] });
  const renew = newMatter({ requirements: requires(third), produces: [codeOf(third)] });
  for (const each of [issueIt, renew]) await expectAnswer(school.post('/v1/matters', each), 201);
  const only = await retire(school, String(issueIt['matterCode']));
  t.match(only, { status: 422, body: { code: 'matter_circular', context: { matterCode: renew['matterCode'] } } });
});

await t.test('search: by name, department, matter and state, page by page', async (t) => {
  const find = async (query: string) =>
    (await expectAnswer<{ items: Type[] }>(school.get(`/v1/certificate-types?limit=200&${query}`), 200)).items.map(
      ({ certificateTypeCode }) => certificateTypeCode,
    );
  const all = await find('');
  const inOrder = (codes: unknown[]) => codes.map(String).toSorted((a, b) => (a < b ? -1 : 1));
  t.strictSame(all, inOrder(all), 'in order of their codes');
  t.strictSame(await find(`typeName=${encodeURIComponent('户口')}`), [demoTypes.householdRegister]);
  t.strictSame(await find('typeName=HOUSEHOLD'), [demoTypes.householdRegister]);
  t.strictSame(await find('typeName=nothing-like-it'), []);
  const ofCivil = await find(`departmentCode=${civilAffairs}`);
  t.strictSame(ofCivil, [demoTypes.marriage]);
  const lent = newType({ allowedIssuers: [{ departmentCode: civilAffairs }] });
  await published(lent);
  t.strictSame(
    await find(`departmentCode=${civilAffairs}`),
    [demoTypes.marriage, codeOf(lent)].toSorted(),
    'or may issue',
  );
  t.ok((await find('matterCode=school-enrolment')).includes(demoTypes.householdRegister));
  t.notOk((await find('matterCode=school-enrolment')).includes(demoTypes.businessLicence));
  t.strictSame(await find('matterCode=nobody-knows'), []);
  const retired = await find('state=retired');
  t.ok(retired.length > 0);
  t.strictSame(inOrder((await find('state=published')).concat(retired)), await find(''));
  t.strictSame(await find(`state=retired&departmentCode=${civilAffairs}`), [], 'all of it has to hold');
  const pages: unknown[] = [];
  for (let after = ''; ; ) {
    const { items, next } = await expectAnswer<{ items: Type[]; next?: string }>(
      school.get(`/v1/certificate-types?limit=2&departmentCode=${publicSecurity}${after}`),
      200,
    );
    pages.push(...items.map(({ certificateTypeCode }) => certificateTypeCode));
    if (next === undefined) break;
    after = `&after=${next}`;
  }
  t.strictSame(pages, await find(`departmentCode=${publicSecurity}`));
  const card = await expectAnswer<Type>(school.get(`/v1/certificate-types/${demoTypes.residentIdCard}`), 200);
  t.match(card, { category: 'licence', definingAuthorityLevel: 'municipal', issuingAuthorityLevel: 'municipal' });
});

await t.test('a draft or note that was written past the hub is not used, and is reported', async (t) => {
  const type = newType();
  const draftId = await draftIn(world, type);
  await world.sql(
    `update certificate_type_drafts set body = convert_to(replace(convert_from(body, 'UTF8'), 'Test certificate', 'Best certificate'), 'UTF8')
     where draft_id = $1`,
    [draftId],
  );
  t.strictSame(await outcome(publish(grantor, draftId)), [404, 'draft_unknown']);
  t.ok(world.hub.logLines.some((line) => line.includes(draftId)));
  t.match(await published(type), { version: 1 }, 'and it stands in nobody’s way');
  await world.sql(`update certificate_types set note = convert_to('{"state":"retired"}', 'UTF8') where code = $1`, [
    codeOf(type),
  ]);
  await world.sql(`update registry_versions set version = version + 1 where topic = 'catalogue'`);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  t.equal((await school.get(pathOf(type))).status, 404, 'nobody retires a type by SQL');
});
