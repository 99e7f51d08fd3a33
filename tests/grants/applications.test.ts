import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { ApiClient, Reply } from '../../src/cli/api-client.ts';
import { apiClient } from '../../src/cli/api-client.ts';
import { demoTypes } from '../../src/cli/demo/certificates.ts';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import { readRegistryNow } from '../../src/cli/fsck-registry.ts';
import { transaction } from '../../src/db/transaction.ts';
import { lockApplication, updateApplication } from '../../src/grants/application-store.ts';
import { remindOfOverdue } from '../../src/grants/remind-overdue.ts';
import { logsAreClean, refusing } from '../api/refuses.ts';
import {
  applicationIn,
  approval,
  certificateIn,
  newDepartmentCode,
  newType,
  newWish,
  publicSecurity,
  registerClient,
  samples,
} from '../api/samples.ts';
import { clientOfRole, type Problem, startWorld } from '../api/world.ts';
import { pushOf } from '../support/demo-samples.ts';

const day = 86_400_000;
const world = await startWorld(t);
const { hub } = world;
const school = world.client('school-enrolment');
const desk = world.client('psb-grants');
const admin = world.client('hub-admin');
for (const clientId of [...Object.values(clientOfRole), 'hrss-grants', 'housing-allocation']) {
  await world.client(clientId).token();
}
interface Application {
  readonly applicationId: string;
  readonly state: string;
  readonly hubDecides: string;
  readonly overdue: boolean;
  readonly ownerCanDecide: boolean;
  readonly dueAt: string;
  readonly grantId?: string;
  readonly allowed?: { readonly fields: readonly string[] };
  readonly history: readonly { readonly step: string; readonly clientId: string }[];
}
const applications = '/v1/grant-applications';
const apply = (wish: Record<string, unknown> = newWish(), client = school) =>
  expectAnswer<Application>(client.post(applications, wish), 201);
const decide = (client: ApiClient, id: string, verdict: object = {}): Promise<Reply> =>
  client.post(`${applications}/${id}/decisions`, { ...approval, ...verdict });
const decided = (client: ApiClient, id: string, verdict: object = {}) =>
  expectAnswer<Application>(decide(client, id, verdict), 200);
const grantWith = async (id: string | undefined) => expectAnswer(admin.get(`/v1/grants/${id ?? 'none'}`), 200);
const codeOf = ({ body }: Reply): string => (body as Problem).code;
/** A client of its own key, registered for this test alone. */
async function newClient(roles: readonly string[], departmentCode?: string): Promise<ApiClient> {
  const { clientId, secret } = await registerClient(world, roles, departmentCode);
  return apiClient({ url: hub.url, issuer: hub.core.config.issuer, clientId, key: secret });
}

await t.test('an application says whether its owner has anybody who can decide', async (t) => {
  const owner = newDepartmentCode();
  await expectAnswer(
    admin.post('/v1/departments', { departmentCode: owner, name: { zh: '示范市测试局', en: 'Test Bureau' } }),
    201,
  );
  const type = { ...newType(), ownerDepartmentCode: owner };
  const { certificateTypeCode } = await expectAnswer<{ certificateTypeCode: string }>(
    admin.post('/v1/certificate-types', type),
    201,
  );
  const waiting = await apply(newWish({ fields: ['note'] }, { certificateTypeCode }));
  t.match(waiting, { state: 'awaiting_owner', ownerDepartmentCode: owner, ownerCanDecide: false });
  const canDecide = async () =>
    (await expectAnswer<Application>(admin.get(`${applications}/${waiting.applicationId}`), 200)).ownerCanDecide;
  const { clientId } = await registerClient(world, ['grantor'], owner);
  t.equal(await canDecide(), true, 'once it has a grantor');
  await expectAnswer(admin.post(`/v1/clients/${clientId}/states`, { state: 'disabled', reason: 'test' }), 200);
  t.equal(await canDecide(), false, 'one that is disabled decides nothing');
  await expectAnswer(school.post(`${applications}/${waiting.applicationId}/withdrawals`, { reason: 'test' }), 200);
});

await t.test('a refusal says what to apply for; two decisions later the same question is answered', async (t) => {
  const push = pushOf(demoTypes.residentIdCard);
  await certificateIn(world, 'valid', push);
  const [holder] = push.body.holders;
  const ask = (fields: readonly string[]) =>
    school.post('/v1/lookups', {
      purpose: {
        matterCode: 'exit-entry',
        caseNumber: 'CASE-7',
        officer: { id: 'officer-9', name: '经办人乙' },
        legalBasis: 'statutory_duty',
      },
      level: 'fields',
      holder: { type: holder?.type, number: holder?.number },
      types: [{ certificateTypeCode: demoTypes.residentIdCard, fields }],
    });
  const fields = ['name', 'birthDate', 'address'];
  const refusal = await ask(fields);
  t.equal(codeOf(refusal), 'grant_required');
  const hint = (refusal.body as Problem).context?.['apply'] as Record<string, unknown>[];
  const [{ certificateTypeCode, wanted } = {}] = hint;
  const wish = newWish(wanted as Record<string, unknown>, { certificateTypeCode });
  const applied = await apply(wish);
  t.match(applied, {
    state: 'awaiting_owner',
    hubDecides: 'also',
    clientId: 'school-enrolment',
    departmentCode: '11999900100000075D',
    ownerDepartmentCode: publicSecurity,
    overdue: false,
    history: [{ step: 'applied', clientId: 'school-enrolment' }],
  });
  t.equal((await ask(fields)).status, 403, 'an application is no grant');
  const owners = await decided(desk, applied.applicationId, { decisionReference: 'owner 1' });
  t.match(owners, { state: 'awaiting_hub', allowed: { fields } });
  t.equal(owners.grantId, undefined);
  t.equal((await ask(fields)).status, 403, 'nor is one decision of two');
  const { fields: _all, ...rest } = wish['wanted'] as Record<string, unknown>;
  const last = await decided(admin, applied.applicationId, {
    allowed: { ...rest, fields: ['name', 'birthDate'] },
    decisionReference: 'hub 1',
  });
  t.match(last, { state: 'granted', allowed: { fields: ['name', 'birthDate'] } });
  t.strictSame(
    last.history.map(({ step, clientId }) => [step, clientId]),
    [
      ['applied', 'school-enrolment'],
      ['approved', 'psb-grants'],
      ['approved', 'hub-admin'],
    ],
  );
  const answered = await ask(['name', 'birthDate']);
  t.equal(answered.status, 200, 'the question within what was allowed is answered');
  const { certificates } = answered.body as { certificates: { fields: object }[] };
  t.strictSame(Object.keys(certificates[0]?.fields ?? {}).sort(), ['birthDate', 'name']);
  t.equal(codeOf(await ask(fields)), 'grant_required', 'partial approval: the rest still is not');
  const grant = await grantWith(last.grantId);
  t.match(grant, {
    clientId: 'school-enrolment',
    fields: ['name', 'birthDate'],
    applicationId: applied.applicationId,
    decidedByDepartmentCode: publicSecurity,
    decisionReference: 'owner 1',
    state: 'in_force',
  });
  const validFor = Date.parse(String(grant['validUntil'])) - Date.parse(String(grant['validFrom']));
  t.ok(validFor >= 365 * day && validFor <= 366 * day, 'a year, as nothing else was said');
  const shown = JSON.stringify([
    applied,
    owners,
    last,
    await expectAnswer(school.get(`${applications}/${applied.applicationId}`), 200),
  ]);
  t.notMatch(shown, /officer|经办人/, 'no official is named outside the records');
});

await t.test(
  'one decision is enough without what is sensitive, and the hub alone decides for the owner itself',
  async (t) => {
    const { applicationId } = await apply();
    t.match(await decided(desk, applicationId), { state: 'granted', hubDecides: 'never' });

    const own = await newClient(['consumer']);
    const wish = await apply(newWish({ fields: ['name', 'idNumber'] }), own);
    t.match(wish, { state: 'awaiting_hub', hubDecides: 'alone' });
    const refusal = await decide(desk, wish.applicationId);
    t.match([refusal.status, codeOf(refusal)], [403, 'decider_must_differ'], 'not the department itself');
    const { grantId } = await decided(admin, wish.applicationId, { decisionReference: 'hub 2' });
    t.match(await grantWith(grantId), { decidedByDepartmentCode: '11999900100000112K', decisionReference: 'hub 2' });

    const secret = await apply(newWish({ secrecyDays: 30 }));
    t.match(
      await decided(desk, secret.applicationId),
      { state: 'awaiting_hub', hubDecides: 'also' },
      'secrecy takes two',
    );
    t.match(await decided(admin, secret.applicationId, { decision: 'refuse' }), { state: 'refused' });
    t.equal((await decided(desk, (await apply()).applicationId, { decision: 'refuse' })).grantId, undefined);
  },
);

await t.test('invariant 2: an application is seen by whom it concerns', async (t) => {
  const { applicationId } = await apply();
  const path = `${applications}/${applicationId}`;
  const seeing = { 'school-enrolment': 200, 'psb-grants': 200, 'hub-admin': 200, 'audit-office': 200 };
  for (const [who, status] of Object.entries(seeing)) t.equal((await world.client(who).get(path)).status, status, who);
  const none = await world.client('hrss-grants').get(`${applications}/0199a000-0000-7000-8000-000000000000`);
  for (const who of ['hrss-grants', 'housing-allocation']) {
    const other = await world.client(who).get(path);
    t.strictSame({ ...(other.body as object), requestId: '' }, { ...(none.body as object), requestId: '' }, who);
    const { items } = await expectAnswer<{ items: unknown[] }>(world.client(who).get(applications), 200);
    t.strictSame(items, [], `${who} lists none`);
  }
  const page = await expectAnswer<{ items: Application[]; next?: string }>(desk.get(`${applications}?limit=2`), 200);
  t.equal(page.items[0]?.applicationId, applicationId, 'newest first');
  const following = await expectAnswer<{ items: Application[] }>(
    desk.get(`${applications}?limit=2&after=${page.next ?? ''}`),
    200,
  );
  t.ok((following.items[0]?.applicationId ?? '') < (page.items[1]?.applicationId ?? ''), 'page by page');
  const granted = await expectAnswer<{ items: Application[] }>(school.get(`${applications}?state=granted`), 200);
  t.ok(granted.items.length > 0 && granted.items.every(({ state }) => state === 'granted'));
  t.equal((await desk.get(`${applications}?after='--`)).status, 400);
});

await t.test('invariant 9: bad applications', async (t) => {
  const operationId = 'applyForGrant' as const;
  const { params } = await samples.getGrant(world);
  const refuses = await refusing(world);
  const wrong = async (what: string, body: Record<string, unknown>, expected: [number, string, string?]) =>
    refuses(t, what, { operationId, body }, expected);
  const year = (years: number) => new Date(Date.now() + years * 366 * day).toISOString();
  await wrong('no such type', newWish({}, { certificateTypeCode: `${publicSecurity}998` }), [
    404,
    'certificate_type_unknown',
    '/certificateTypeCode',
  ]);
  await wrong('a wrong check digit', newWish({}, { certificateTypeCode: '11999900100000016B001' }), [
    422,
    'invalid_certificate_type_code',
    '/certificateTypeCode',
  ]);
  await wrong('a field the type does not have', newWish({ fields: ['name', 'canary'] }), [
    422,
    'field_unknown',
    '/wanted/fields/1',
  ]);
  await wrong('no field', newWish({ fields: [] }), [400, 'contract_violation', '/wanted/fields']);
  await wrong('no matter', newWish({ matters: [] }), [400, 'contract_violation', '/wanted/matters']);
  await wrong('every matter', newWish({ matters: ['*'] }), [400, 'contract_violation', '/wanted/matters/0']);
  await wrong('over already', newWish({ validUntil: '2026-01-01T00:00:00Z' }), [
    422,
    'grant_invalid',
    '/wanted/validUntil',
  ]);
  await wrong('for too long', newWish({ validUntil: year(6) }), [422, 'grant_invalid', '/wanted/validUntil']);
  await wrong('to renew nothing', newWish({}, { renews: randomUUID() }), [404, 'grant_unknown', '/renews']);
  const foreign = {
    operationId,
    as: 'housing-allocation',
    body: newWish({}, { renews: params?.['grantId'] }),
  } as const;
  await refuses(t, "to renew somebody else's", foreign, [404, 'grant_unknown', '/renews']);
  const otherType = newWish(
    { fields: ['name'] },
    { certificateTypeCode: demoTypes.residencePermit, renews: params?.['grantId'] },
  );
  await wrong('to renew one of another type', otherType, [404, 'grant_unknown', '/renews']);
  const wish = newWish({ fields: ['name', 'birthDate'] });
  const { applicationId } = await apply(wish);
  const turned = { ...wish, wanted: { ...(wish['wanted'] as object), fields: ['birthDate', 'name'] } };
  const again = await (await refusing(world))(t, 'the same again', { operationId, body: turned }, [
    409,
    'application_exists',
  ]);
  t.equal(again.context?.['applicationId'], applicationId, 'and says which');
  await expectAnswer(school.post(`${applications}/${applicationId}/withdrawals`, { reason: 'test' }), 200);
  t.equal((await apply(turned)).state, 'awaiting_owner', 'withdrawn, it may be applied for again');
});

await t.test('invariants 2 and 9: bad decisions change nothing', async (t) => {
  const waiting = { applicationId: await applicationIn(world, 'awaiting_owner') };
  const forHub = { applicationId: await applicationIn(world, 'awaiting_hub') };
  const own = await newClient(['consumer']);
  const ours = await apply(newWish(), own);
  const checks = await refusing(world);
  const bad = { operationId: 'decideGrantApplication', body: approval } as const;
  const wrong = async (what: string, more: object, expected: [number, string, string?]) =>
    checks(t, what, { ...bad, ...more }, expected);
  const missing = { applicationId: '0199a000-0000-7000-8000-000000000000' };
  await wrong('of none', { params: missing }, [404, 'application_unknown']);
  await wrong('by another department', { params: waiting, as: 'hrss-grants' }, [404, 'application_unknown']);
  await wrong('by the hub before the owner', { params: waiting, as: 'hub-admin' }, [409, 'application_closed']);
  const twice = await wrong('by the owner again', { params: forHub }, [409, 'application_closed']);
  t.equal(twice.context?.['state'], 'awaiting_hub');
  await wrong('by the applicant’s department', { params: ours }, [403, 'decider_must_differ']);
  await wrong('by its client', { params: waiting, as: 'school-enrolment' }, [403, 'role_required']);
  const { wanted } = newWish() as { wanted: Record<string, unknown> };
  const allowing = (allowed: object) => ({ body: { ...approval, allowed: { ...wanted, dailyQuota: 1, ...allowed } } });
  const wider: [string, object, string][] = [
    ['another field', { fields: ['name', 'address'] }, '/allowed/fields/1'],
    ['another matter', { matters: ['exit-entry'] }, '/allowed/matters/0'],
    ['another basis', { legalBases: ['delegated'] }, '/allowed/legalBases/0'],
    ['more lookups', { dailyQuota: 1e8 }, '/allowed/dailyQuota'],
    ['secrecy', { secrecyDays: 1 }, '/allowed/secrecyDays'],
    ['more time', { validUntil: new Date(Date.now() + 400 * day).toISOString() }, '/allowed/validUntil'],
  ];
  for (const [what, allowed, pointer] of wider) {
    await wrong(`wider: ${what}`, { params: waiting, ...allowing(allowed) }, [422, 'decision_wider', pointer]);
  }
  await wrong('wider than the first decision', { params: forHub, as: 'hub-admin', ...allowing({ fields: ['name'] }) }, [
    422,
    'decision_wider',
    '/allowed/fields/0',
  ]);
  await wrong('over before it begins', { params: waiting, ...allowing({ validUntil: '2026-01-01T00:00:00Z' }) }, [
    422,
    'grant_invalid',
    '/allowed/validUntil',
  ]);
  const contradiction = { ...approval, decision: 'refuse', allowed: wanted };
  await wrong('refused in part', { params: waiting, body: contradiction }, [400, 'contract_violation', '/allowed']);
  const withdrawing = { operationId: 'withdrawGrantApplication', body: { reason: 'test' } } as const;
  const stranger = { ...withdrawing, as: 'housing-allocation', params: waiting };
  await checks(t, "somebody else's", stranger, [404, 'application_unknown']);
  await decided(desk, waiting.applicationId);
  const after = await refusing(world);
  const over = await after(t, 'what is granted', { ...withdrawing, params: waiting }, [409, 'application_closed']);
  t.equal(over.context?.['state'], 'granted');
  await after(t, 'what is granted', { ...bad, params: waiting }, [409, 'application_closed']);
});

await t.test('a client that holds both roles never makes both decisions', async (t) => {
  const both = await newClient(['grantor', 'admin']);
  const { applicationId } = await apply(newWish({ fields: ['address'] }));
  await decided(both, applicationId);
  const refusal = await decide(both, applicationId);
  t.match([codeOf(refusal), (refusal.body as Problem).context], ['decider_must_differ', { rule: 'same_client' }]);
  t.match(await decided(admin, applicationId), { state: 'granted' });
});

await t.test('what is gone since it was applied for is not granted', async (t) => {
  const type = newType();
  await expectAnswer(admin.post('/v1/certificate-types', type), 201);
  const { certificateTypeCode } = type;
  const lost = await apply(newWish({ fields: ['note', 'score'] }, { certificateTypeCode }));
  const [note] = type['fields'] as unknown[];
  await expectAnswer(admin.post('/v1/certificate-types', { ...type, fields: [note] }), 201);
  const applicant = await newClient(['consumer'], '119999001000000838');
  const orphan = await apply(newWish(), applicant);
  const orphans = await samples.setClientState(world);
  t.ok(orphans);
  const { items } = await expectAnswer<{ items: { clientId: string }[] }>(admin.get(`${applications}?limit=1`), 200);
  const path = `/v1/clients/${items[0]?.clientId ?? ''}/states`;
  await expectAnswer(admin.post(path, { state: 'disabled', reason: 'test' }), 200);
  const checks = await refusing(world);
  const operationId = 'decideGrantApplication' as const;
  const of = ({ applicationId }: Application) => ({ operationId, params: { applicationId } });
  await checks(t, 'a field the type has lost', { ...of(lost), body: approval }, [422, 'field_unknown']);
  await checks(t, 'a client disabled meanwhile', { ...of(orphan), body: approval }, [404, 'client_unknown']);
  const { wanted } = newWish({ fields: ['note'], dailyQuota: 1 }) as { wanted: object };
  t.match(await decided(desk, lost.applicationId, { allowed: wanted }), { state: 'granted' }, 'without it, it can be');
  t.match(await decided(desk, orphan.applicationId, { decision: 'refuse' }), { state: 'refused' });
});

await t.test('a renewal begins when the old grant ends, or at once when that is over', async (t) => {
  const until = new Date(Date.now() + 100 * day).toISOString();
  const first = await decided(desk, (await apply(newWish({ validUntil: until }))).applicationId);
  const renewal = await apply(newWish({}, { renews: first.grantId?.toUpperCase() }));
  const { grantId } = await decided(desk, renewal.applicationId);
  t.match(await grantWith(grantId), { renews: first.grantId, validFrom: until, state: 'upcoming' });
  await expectAnswer(admin.post(`/v1/grants/${first.grantId ?? ''}/revocations`, { reason: 'test' }), 200);
  const another = await decided(desk, (await apply(newWish({}, { renews: first.grantId }))).applicationId);
  t.match(await grantWith(another.grantId), { state: 'in_force' });
});

await t.test('races: one application of two equal ones, one decision of two, withdrawn or granted', async (t) => {
  const counts = async () =>
    (
      await world.sql(
        'select (select count(*) from grants)::int as grants, (select count(*) from grant_applications)::int as wishes',
      )
    )[0];
  for (let round = 0; round < 8; round += 1) {
    const before = await counts();
    const wish = newWish();
    const replies = await Promise.all([1, 2, 3, 4].map(async () => school.post(applications, wish, randomUUID())));
    const made = replies.filter(({ status }) => status === 201);
    t.equal(made.length, 1, 'one is received');
    const { applicationId = '' } = (made[0]?.body ?? {}) as Partial<Application>;
    for (const reply of replies.filter(({ status }) => status !== 201)) {
      t.match([codeOf(reply), (reply.body as Problem).context], ['application_exists', { applicationId }]);
    }
    const verdicts = await Promise.all([
      decide(desk, applicationId),
      decide(desk, applicationId, { decision: 'refuse' }),
      decide(desk, applicationId, { decisionReference: 'another' }),
      school.post(`${applications}/${applicationId}/withdrawals`, { reason: 'test' }),
    ]);
    const won = verdicts.filter(({ status }) => status === 200);
    t.equal(won.length, 1, 'one decides');
    t.strictSame(
      verdicts.filter(({ status }) => status !== 200).map(codeOf),
      Array.from({ length: 3 }, () => 'application_closed'),
    );
    const granted = (won[0]?.body as Partial<Application> | undefined)?.state === 'granted' ? 1 : 0;
    const after = await counts();
    t.match(after, { grants: Number(before?.['grants']) + granted, wishes: Number(before?.['wishes']) + 1 });
  }
});

/** Puts off, or back, when the pending decision is due; as the hub itself would write it. */
const dueIn = (applicationId: string, days: number): Promise<void> =>
  transaction(hub.db, async (trx) => {
    const deps = { keys: hub.core.keys, tampered: hub.core.tampered };
    const found = await lockApplication(trx, deps, applicationId);
    if (found === undefined) throw new Error('no such application');
    await updateApplication(trx, deps, { ...found, dueAt: new Date(Date.now() + days * day) });
  });

await t.test('deadlines: soon, overdue, counted in the log, and nothing decided by the lapse of time', async (t) => {
  const waiting = await apply();
  const forHub = { applicationId: await applicationIn(world, 'awaiting_hub') };
  // Ten days of the city after today, to their end.
  t.match(waiting.dueAt, /T16:00:00\.000Z$/, 'midnight in Shanghai');
  const left = Date.parse(waiting.dueAt) - Date.now();
  t.ok(left > 10 * day && left <= 11 * day, 'the day itself is not counted');
  const ids = async (due: string, client = desk) =>
    (await expectAnswer<{ items: Application[] }>(client.get(`${applications}?due=${due}&limit=200`), 200)).items.map(
      ({ applicationId }) => applicationId,
    );
  t.strictSame([await ids('soon'), await ids('overdue')], [[], []]);
  for (const each of [waiting, forHub]) await dueIn(each.applicationId, 2);
  t.strictSame(await ids('soon'), [forHub.applicationId, waiting.applicationId]);
  t.strictSame(await ids('overdue'), []);
  for (const each of [waiting, forHub]) await dueIn(each.applicationId, -1);
  t.strictSame(await ids('overdue'), [forHub.applicationId, waiting.applicationId]);
  t.strictSame(await ids('soon'), []);
  t.strictSame(await ids('overdue', world.client('hrss-grants')), []);
  t.strictSame(
    await ids('overdue', school),
    [forHub.applicationId, waiting.applicationId],
    'the applicant sees it too',
  );
  const shown = await expectAnswer<Application>(desk.get(`${applications}/${waiting.applicationId}`), 200);
  t.match(shown, { overdue: true, state: 'awaiting_owner' });
  const { core } = hub;
  const lines = hub.logLines.length;
  const departmentName = async (code: string) => (await core.registry.read()).departments.get(code)?.name.en;
  await remindOfOverdue({ ...core, departmentName }, core.now());
  const reminders = hub.logLines.slice(lines).map((line) => JSON.parse(line) as Record<string, unknown>);
  const mine = reminders.find(({ department }) => department === 'Shifan Municipal Public Security Bureau');
  t.match(mine, { level: 'warn', count: 2, awaitingOwner: 1, awaitingHub: 1 });
  t.notMatch(JSON.stringify(reminders), /school|officer|经办|Article/, 'numbers only');
  t.match(await decided(desk, waiting.applicationId), { state: 'granted', overdue: false }, 'late is still decided');
});

await t.test('nobody applies or approves by SQL', async (t) => {
  const { applicationId } = await apply();
  const path = `${applications}/${applicationId}`;
  await world.sql('create table kept as select * from grant_applications where application_id = $1', [applicationId]);
  const changes = [
    `state = 'awaiting_hub'`,
    `owner_department_code = '119999001000000320'`,
    `client_id = 'housing-allocation'`,
    `due_at = due_at + interval '1 day'`,
    `created_at = created_at - interval '1 day'`,
    `body = (select body from grant_applications where application_id <> '${applicationId}' limit 1)`,
  ];
  for (const change of changes) {
    const lines = hub.logLines.length;
    await world.sql(`update grant_applications set ${change} where application_id = $1`, [applicationId]);
    t.equal((await admin.get(path)).status, 404, change);
    t.equal(codeOf(await decide(admin, applicationId)), 'application_unknown');
    t.ok(
      hub.logLines.slice(lines).some((line) => line.includes('past the hub') && line.includes(applicationId)),
      'and it is reported',
    );
    const { items } = await expectAnswer<{ items: Application[] }>(admin.get(`${applications}?limit=200`), 200);
    t.notOk(items.some((each) => each.applicationId === applicationId));
    const { tampered, reached } = await readRegistryNow(hub.db, hub.core.keys);
    t.strictSame(tampered, [{ table: 'grant_applications', row: applicationId }], 'the self-check finds it');
    t.notOk(reached.grant_applications.has(applicationId));
    await world.sql('delete from grant_applications where application_id = $1', [applicationId]);
    await world.sql('insert into grant_applications select * from kept');
  }
  t.match(await decided(desk, applicationId), { state: 'granted' });
  const [row] = await world.sql(`select string_agg(encode(body, 'escape'), ' ') as text from grant_applications`);
  t.notMatch(String(row?.['text']), /Article|officials|name/, 'what officials wrote is not in clear');
});

await t.test('a grantor sees and revokes the grants of its department’s types, and no other', async (t) => {
  const { params } = await samples.getGrant(world);
  const path = `/v1/grants/${params?.['grantId'] ?? ''}`;
  const other = world.client('hrss-grants');
  t.equal((await desk.get(path)).status, 200);
  t.equal((await other.get(path)).status, 404);
  const listed = async (client: ApiClient) =>
    (await expectAnswer<{ items: { certificateTypeCode: string }[] }>(client.get('/v1/grants?limit=200'), 200)).items;
  const own = await listed(desk);
  t.ok(own.length > 0 && own.every(({ certificateTypeCode }) => certificateTypeCode.startsWith(publicSecurity)));
  t.strictSame(await listed(other), []);
  const checks = await refusing(world);
  for (const operationId of ['suspendGrant', 'resumeGrant', 'revokeGrant'] as const) {
    const foreign = { operationId, as: 'hrss-grants', params: { ...params }, body: { reason: 'test' } };
    await checks(t, 'of another department', foreign, [404, 'grant_unknown']);
  }
  const reason = { reason: 'test' };
  const first = await expectAnswer<{ suspendedAt?: string }>(desk.post(`${path}/suspensions`, reason), 200);
  t.match(first, { state: 'suspended' });
  await sleep(5);
  const second = await expectAnswer<{ suspendedAt?: string }>(admin.post(`${path}/suspensions`, reason), 200);
  t.equal(second.suspendedAt, first.suspendedAt, 'suspending again changes nothing');
  const resumed = await expectAnswer<{ suspendedAt?: string }>(desk.post(`${path}/resumptions`, reason), 200);
  t.match(resumed, { state: 'in_force', suspendedAt: undefined });
  t.match(
    await expectAnswer(desk.post(`${path}/resumptions`, reason), 200),
    { state: 'in_force' },
    'nor resuming again',
  );
  t.match(await expectAnswer(desk.post(`${path}/revocations`, reason), 200), { state: 'revoked' });
  const before = (await world.snapshot()).records;
  await expectAnswer(desk.post(`${path}/revocations`, reason), 200);
  t.equal((await world.snapshot()).records, before + 1, 'what changes nothing is recorded too');
  const after = await refusing(world);
  for (const operationId of ['suspendGrant', 'resumeGrant'] as const) {
    await after(t, 'a revoked one', { operationId, params: { ...params }, body: reason }, [403, 'grant_revoked']);
  }
});

await t.test('invariant 5: no log line repeats what was sent', (t) => {
  logsAreClean(t, world);
  t.end();
});
