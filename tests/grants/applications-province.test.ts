import { randomUUID } from 'node:crypto';
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import t from 'tap';
import type { ApiClient, Reply } from '../../src/cli/api-client.ts';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import { transaction } from '../../src/db/transaction.ts';
import { lockApplication, updateApplication } from '../../src/grants/application-store.ts';
import { remindOfOverdue } from '../../src/grants/remind-overdue.ts';
import { logsAreClean, refusing } from '../api/refuses.ts';
import { applicationIn, approval, education, newType, newWish, publicSecurity } from '../api/samples.ts';
import { type Problem, startWorld } from '../api/world.ts';
import { registerOffice } from '../support/inspection-office.ts';

const day = 86_400_000;
const world = await startWorld(t);
const { hub } = world;
const [school, desk, admin] = ['school-enrolment', 'psb-grants', 'hub-admin'].map(world.client) as [
  ApiClient,
  ApiClient,
  ApiClient,
];
const educationAdmin = await registerOffice(hub, {
  clientId: 'education-admin',
  departmentCode: education,
  roles: ['admin'],
});
for (const clientId of [
  'school-enrolment',
  'psb-grants',
  'hub-admin',
  'audit-office',
  'housing-allocation',
  'hrss-grants',
]) {
  await world.client(clientId).token();
}
await educationAdmin.token();

interface Application {
  readonly ownerCanDecide: boolean;
  readonly applicationId: string;
  readonly state: string;
  readonly overdue: boolean;
  readonly dueAt: string;
  readonly grantId?: string;
  readonly allowed?: { readonly dailyQuota: number };
  readonly history: readonly { readonly step: string; readonly clientId: string; readonly departmentCode: string }[];
}
const applications = '/v1/grant-applications';
const type: Record<string, unknown> = {
  ...newType(),
  decidedBy: 'province',
  fields: [
    {
      name: 'note',
      label: { zh: '备注', en: 'Note' },
      schema: { type: 'string', maxLength: 9 },
      class: 'public',
      required: true,
    },
    {
      name: 'secret',
      label: { zh: '密', en: 'Secret' },
      schema: { type: 'string', maxLength: 9 },
      class: 'sensitive',
      required: false,
    },
  ],
};
await expectAnswer(admin.post('/v1/certificate-types', type), 201);
const { certificateTypeCode } = type;
const wishOf = (scope: Record<string, unknown> = {}) =>
  newWish({ fields: ['note'], ...scope }, { certificateTypeCode });
const apply = (scope: Record<string, unknown> = {}) =>
  expectAnswer<Application>(school.post(applications, wishOf(scope)), 201);
const decide = (by: ApiClient, id: string, verdict: object = {}): Promise<Reply> =>
  by.post(`${applications}/${id}/decisions`, { ...approval, ...verdict });
const prepared = async (scope: Record<string, unknown> = {}): Promise<string> => {
  const { applicationId } = await apply(scope);
  t.match(await expectAnswer(decide(desk, applicationId), 200), { state: 'prepared' });
  return applicationId;
};
const enter = (id: string, verdict: object = {}, by: ApiClient = admin): Promise<Reply> =>
  by.post(`${applications}/${id}/province-decisions`, {
    ...approval,
    decisionReference: 'province 7',
    reason: '省级平台已审批',
    ...verdict,
  });
const entered = (id: string, verdict: object = {}) => expectAnswer<Application>(enter(id, verdict), 200);
const read = (id: string, by: ApiClient = school) => expectAnswer<Application>(by.get(`${applications}/${id}`), 200);
const form = (id: string, by: ApiClient = school) => by.get(`${applications}/${id}/province-form`);
const codeOf = ({ status, body }: Reply): string => (status === 200 ? 'done' : (body as Problem).code);
const grantCount = async (): Promise<number> =>
  Number((await world.sql('select count(*)::int as n from grants'))[0]?.['n']);

await t.test('a type of the province: prepared here, decided there, and every step is kept', async (t) => {
  const shown = await expectAnswer(admin.get(`/v1/certificate-types/${String(certificateTypeCode)}`), 200);
  t.match(shown, { decidedBy: 'province' });
  const before = await grantCount();
  const { applicationId } = await apply({ fields: ['note', 'secret'], dailyQuota: 500 });
  t.match(await expectAnswer(decide(desk, applicationId), 200), { state: 'awaiting_hub', hubDecides: 'also' });
  const last = await expectAnswer<Application>(decide(admin, applicationId, { decisionReference: 'hub 1' }), 200);
  t.match(last, { state: 'prepared', overdue: false, grantId: undefined });
  t.equal(await grantCount(), before, 'no grant yet');
  t.match(codeOf(await decide(admin, applicationId)), 'application_closed', 'nobody here decides any more');

  const wanted = { ...(wishOf()['wanted'] as object), fields: ['note'], dailyQuota: 100 };
  const granted = await entered(applicationId, { allowed: wanted });
  t.match(granted, { state: 'granted', allowed: { fields: ['note'], dailyQuota: 100 } });
  t.strictSame(
    granted.history.map(({ step, clientId }) => [step, clientId]),
    [
      ['applied', 'school-enrolment'],
      ['approved', 'psb-grants'],
      ['approved', 'hub-admin'],
      ['approved_by_province', 'hub-admin'],
    ],
  );
  t.strictSame(await read(applicationId), granted);
  const grant = await expectAnswer(admin.get(`/v1/grants/${granted.grantId ?? ''}`), 200);
  t.match(grant, {
    state: 'in_force',
    fields: ['note'],
    dailyQuota: 100,
    applicationId,
    decisionReference: 'province 7',
  });
  t.equal(await grantCount(), before + 1);
  const [record] = await world.sql(
    `select record_id, outcome from records where action = 'enterProvinceDecision' order by recorded_at desc limit 1`,
  );
  t.match(record, { outcome: 'done' });
  const path = `/v1/audit/records/${String(record?.['record_id'])}/readings`;
  const reading = JSON.stringify((await world.client('audit-office').post(path, { reason: 'test' })).body);
  t.match(reading, /province 7/);
  t.match(reading, applicationId);

  const refused = await entered(await prepared(), { decision: 'refuse' });
  t.match(refused, { state: 'refused', grantId: undefined });
  t.equal(refused.history.at(-1)?.step, 'refused_by_province');
  const withdrawn = await prepared();
  await expectAnswer(school.post(`${applications}/${withdrawn}/withdrawals`, { reason: 'test' }), 200);
  t.equal(codeOf(await enter(withdrawn)), 'application_closed');
  t.equal(await grantCount(), before + 1);
});

await t.test('invariant 9: the form is a JWS that others verify with the published keys', async (t) => {
  const { applicationId } = await apply({ fields: ['note', 'secret'] });
  await expectAnswer(decide(desk, applicationId, { decisionReference: 'owner 1' }), 200);
  await expectAnswer(decide(admin, applicationId, { decisionReference: 'hub 1' }), 200);
  const { body } = await form(applicationId);
  const told = body as { applicationId: string; form: string };
  t.equal(told.applicationId, applicationId);
  const jwks = (await (await fetch(`${hub.url}/.well-known/jwks.json`)).json()) as JSONWebKeySet;
  const { payload, protectedHeader } = await jwtVerify(told.form, createLocalJWKSet(jwks), {
    typ: 'certhub-grant-application+jwt',
    issuer: hub.core.config.issuer,
    algorithms: ['ES256'],
  });
  t.ok(protectedHeader.kid);
  // Who may decide now is no part of what was applied for and approved.
  const { ownerCanDecide: _, ...application } = await read(applicationId);
  t.notOk('ownerCanDecide' in (payload['application'] as object));
  t.match(payload, {
    format: 'certhub-grant-application/1',
    iat: Number,
    application: JSON.parse(JSON.stringify(application)) as object,
    certificateType: { certificateTypeCode, name: { zh: '测试证' } },
    approvals: [
      { clientId: 'psb-grants', decisionReference: 'owner 1' },
      { clientId: 'hub-admin', decisionReference: 'hub 1' },
    ],
  });
  t.strictSame(
    (payload['departments'] as { departmentCode: string; name: { zh: string } }[]).map(({ departmentCode, name }) => [
      departmentCode,
      name.zh,
    ]),
    [
      [education, '示范市教育局'],
      [publicSecurity, '示范市公安局'],
      ['11999900100000112K', '示范市大数据发展管理局'],
    ],
  );
  t.notMatch(JSON.stringify(payload), /officer|经办|郑复核/, 'no official is named outside the records');
  const [head = '', claims = '', signature = ''] = told.form.split('.');
  const forged = Buffer.from(claims, 'base64url').toString('utf8').replace('"dailyQuota":', '"dailyQuota":9');
  await t.rejects(
    jwtVerify(`${head}.${Buffer.from(forged).toString('base64url')}.${signature}`, createLocalJWKSet(jwks)),
  );

  for (const by of [desk, admin]) t.equal((await form(applicationId, by)).status, 200);
  for (const who of ['housing-allocation', 'hrss-grants']) {
    t.equal(codeOf(await form(applicationId, world.client(who))), 'application_unknown', who);
  }
  t.equal(codeOf(await form(applicationId, world.client('audit-office'))), 'role_required');
  await entered(applicationId);
  const over = await form(applicationId);
  t.match([over.status, over.body], [409, { code: 'application_closed', context: { state: 'granted' } }]);
  t.equal(codeOf(await form(await applicationIn(world, 'awaiting_owner'))), 'application_closed');
});

await t.test('invariants 2 and 9: bad entries change nothing', async (t) => {
  const waiting = { applicationId: await applicationIn(world, 'awaiting_hub') };
  const ready = { applicationId: await prepared({ dailyQuota: 40 }) };
  const wanted = { ...(wishOf()['wanted'] as object), dailyQuota: 40 };
  const refuses = await refusing(world);
  const wrong = (what: string, more: object, expected: [number, string, string?]) =>
    refuses(t, what, { operationId: 'enterProvinceDecision', params: ready, body: approval, ...more }, expected);
  await wrong('of none', { params: { applicationId: randomUUID() } }, [404, 'application_unknown']);
  const early = await wrong('before the city has decided', { params: waiting }, [409, 'application_closed']);
  t.equal(early.context?.['state'], 'awaiting_hub');
  await wrong('by a grantor', { as: 'psb-grants' }, [403, 'role_required']);
  const wider: [string, object, string][] = [
    ['another field', { fields: ['note', 'secret'] }, '/allowed/fields/1'],
    ['more lookups', { dailyQuota: 41 }, '/allowed/dailyQuota'],
    ['another matter', { matters: ['exit-entry'] }, '/allowed/matters/0'],
    ['secrecy', { secrecyDays: 1 }, '/allowed/secrecyDays'],
  ];
  for (const [what, allowed, pointer] of wider) {
    const body = { ...approval, allowed: { ...wanted, ...allowed } };
    await wrong(`wider: ${what}`, { body }, [422, 'decision_wider', pointer]);
  }
  const contradiction = { ...approval, decision: 'refuse', allowed: wanted };
  await wrong('refused in part', { body: contradiction }, [400, 'contract_violation', '/allowed']);
  const own = await enter(ready.applicationId, {}, educationAdmin);
  t.match([own.status, own.body], [403, { code: 'decider_must_differ', context: { rule: 'same_department' } }]);
  t.match(await read(ready.applicationId), { state: 'prepared' });
});

await t.test('two entries at once: one counts', async (t) => {
  for (let round = 0; round < 8; round += 1) {
    const id = await prepared();
    const before = await grantCount();
    const replies = await Promise.all([
      enter(id),
      enter(id, { decision: 'refuse' }),
      enter(id, { decisionReference: 'province 8' }),
      school.post(`${applications}/${id}/withdrawals`, { reason: 'test' }),
    ]);
    t.strictSame(replies.map(codeOf).toSorted(), [
      'application_closed',
      'application_closed',
      'application_closed',
      'done',
    ]);
    const { state } = await read(id);
    t.equal((await grantCount()) - before, state === 'granted' ? 1 : 0);
  }
});

/** Puts back when the pending decision is due; as the hub itself would write it. */
const dueYesterday = (applicationId: string): Promise<void> =>
  transaction(hub.db, async (trx) => {
    const deps = { keys: hub.core.keys, tampered: hub.core.tampered };
    const found = await lockApplication(trx, deps, applicationId);
    if (found === undefined) throw new Error('no such application');
    await updateApplication(trx, deps, { ...found, dueAt: new Date(Date.now() - day) });
  });

await t.test('the deadline runs on while the province decides', async (t) => {
  const applicationId = await prepared();
  const { dueAt } = await read(applicationId);
  t.ok(Date.parse(dueAt) - Date.now() > 9 * day, 'a new one begins');
  const overdue = async () =>
    (await expectAnswer<{ items: Application[] }>(admin.get(`${applications}?due=overdue&limit=200`), 200)).items.map(
      (each) => each.applicationId,
    );
  t.strictSame(await overdue(), []);
  await dueYesterday(applicationId);
  t.strictSame(await overdue(), [applicationId]);
  t.match(await read(applicationId), { overdue: true, state: 'prepared' });
  const { core } = hub;
  const lines = hub.logLines.length;
  const departmentName = async (code: string) => (await core.registry.read()).departments.get(code)?.name.en;
  await remindOfOverdue({ ...core, departmentName }, core.now());
  t.match(JSON.parse(hub.logLines[lines] ?? '{}'), {
    level: 'warn',
    count: 1,
    awaitingOwner: 0,
    awaitingHub: 0,
    awaitingProvince: 1,
  });
  const listed = await expectAnswer<{ items: Application[] }>(school.get(`${applications}?state=prepared`), 200);
  t.ok(listed.items.some((each) => each.applicationId === applicationId));
  const again = await school.post(applications, { ...wishOf(), ...(await wishAgain(applicationId)) });
  t.equal(codeOf(again), 'application_exists', 'it is still open');
  t.match(await entered(applicationId), { state: 'granted', overdue: false });
});
async function wishAgain(applicationId: string): Promise<object> {
  const { wanted } = (await read(applicationId)) as unknown as { wanted: object };
  return { wanted };
}

await t.test('invariant 5: no log line repeats what was sent', (t) => {
  logsAreClean(t, world);
  t.end();
});
