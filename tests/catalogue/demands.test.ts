import { randomUUID } from 'node:crypto';
import t from 'tap';
import { readDemands } from '../../src/catalogue/demand-store.ts';
import type { ApiClient, Reply } from '../../src/cli/api-client.ts';
import { demoTypes } from '../../src/cli/demo/certificates.ts';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import { transaction } from '../../src/db/transaction.ts';
import { logsAreClean, refusing } from '../api/refuses.ts';
import {
  approval,
  demandIn,
  education,
  newDepartmentCode,
  newMatter,
  newNeed,
  newType,
  newWish,
  publicSecurity,
  reviewer,
} from '../api/samples.ts';
import { clientOfRole, type Problem, startWorld } from '../api/world.ts';
import { putGrant } from '../support/demo-samples.ts';
import { registerOffice } from '../support/inspection-office.ts';

const world = await startWorld(t);
const { hub } = world;
const [school, housing, desk, admin, auditor, issuer] = (
  ['school-enrolment', 'housing-allocation', 'psb-grants', 'hub-admin', 'audit-office', 'psb-issuer'] as const
).map(world.client) as [ApiClient, ApiClient, ApiClient, ApiClient, ApiClient, ApiClient];
const secondSchool = await registerOffice(hub, {
  clientId: 'second-school',
  departmentCode: education,
  roles: ['consumer'],
});
const taxation = '11999900100000040T';
const taxDesk = world.client('tax-grants');
for (const clientId of [...Object.values(clientOfRole), 'housing-allocation', 'hrss-grants', 'market-issuer']) {
  await world.client(clientId).token();
}
for (const client of [secondSchool, taxDesk]) await client.token();

interface Demand {
  readonly demandId: string;
  readonly state: string;
  readonly certificateTypeCode?: string;
  readonly fields: readonly { readonly fieldName?: string; readonly matchedField?: string }[];
  readonly candidates: readonly { readonly certificateTypeCode: string }[];
  readonly issuerDepartmentCode?: string;
  readonly permission?: {
    readonly state: string;
    readonly grantIds: readonly string[];
    readonly applicationId?: string;
  };
  readonly apply?: { readonly wanted: { readonly fields: readonly string[] } };
  readonly history: readonly { readonly step: string; readonly clientId: string }[];
}
interface Gap {
  readonly gapId: string;
  readonly state: string;
  readonly missing: string;
  readonly issuerDepartmentCode?: string;
  readonly wantedBy: readonly { readonly demandId: string; readonly departmentCode: string }[];
}
const day = 86_400_000;
const soon = new Date(Date.now() + 20 * day).toISOString().slice(0, 10);
const demands = '/v1/demands';
const declare = (need: Record<string, unknown> = newNeed(), client = school) =>
  expectAnswer<Demand>(client.post(demands, need), 201);
const read = (demandId: string, client = school) => expectAnswer<Demand>(client.get(`${demands}/${demandId}`), 200);
const listed = async (query = '', client = school): Promise<readonly Demand[]> =>
  (await expectAnswer<{ items: Demand[] }>(client.get(`${demands}?limit=200&${query}`), 200)).items;
const gaps = async (client: ApiClient, query = ''): Promise<readonly Gap[]> =>
  (await expectAnswer<{ items: Gap[] }>(client.get(`/v1/supply-gaps?limit=200&${query}`), 200)).items;
const gapOf = async (demandId: string, client: ApiClient): Promise<Gap | undefined> =>
  (await gaps(client)).find(({ wantedBy }) => wantedBy.some((each) => each.demandId === demandId));
const answer = (demandId: string, said: object, client = desk): Promise<Reply> =>
  client.post(`${demands}/${demandId}/answers`, { reason: 'test', officer: reviewer, ...said });
const assign = (demandId: string, issuerDepartmentCode = publicSecurity): Promise<Reply> =>
  admin.post(`${demands}/${demandId}/assignments`, { issuerDepartmentCode, reason: 'test' });
const withdraw = (demandId: string, client = school): Promise<Reply> =>
  client.post(`${demands}/${demandId}/withdrawals`, { reason: 'test' });
const codeOf = ({ body }: Reply): string => (body as Problem).code;
/** A need that names nobody who should issue it. */
const ownerless = (overrides: Record<string, unknown> = {}): Record<string, unknown> => {
  const { issuerDepartmentCode: _none, ...need } = newNeed(overrides);
  return need;
};
const item = (zh: string, fieldName?: string) => ({
  name: { zh, en: 'Item' },
  ...(fieldName !== undefined && { fieldName }),
});

await t.test('a registered matter is a demand by itself, from matching to the grant', async (t) => {
  const matter = newMatter();
  const matterCode = String(matter['matterCode']);
  const demandId = `matter:${matterCode}:${demoTypes.residentIdCard}`;
  const mine = async (client = school) =>
    (await listed('origin=matter', client)).find((each) => each.demandId === demandId);
  t.equal(await mine(), undefined);
  await expectAnswer(school.post('/v1/matters', matter), 201);
  const demand = await mine();
  t.match(demand, {
    origin: 'matter',
    state: 'matched',
    matchedBy: 'code',
    departmentCode: education,
    certificateTypeCode: demoTypes.residentIdCard,
    ownerDepartmentCode: publicSecurity,
    matters: [matterCode],
    history: [],
    permission: { state: 'not_applied', grantIds: [], fieldsLacking: ['name', 'birthDate'] },
  });
  t.strictSame(
    demand?.fields.map(({ matchedField }) => matchedField),
    ['name', 'birthDate'],
  );

  const body = { ...demand?.apply, safeguards: 'read by two', officer: { id: 'officer-9', name: '经办人乙' } };
  const wish = { ...body, wanted: { ...demand?.apply?.wanted, dailyQuota: 50 } };
  const applied = await expectAnswer<{ applicationId: string }>(school.post('/v1/grant-applications', wish), 201);
  const { applicationId } = applied;
  t.match(applied, { demandId, state: 'awaiting_owner' }, 'what it offers can be applied for as it stands');
  t.match(await mine(), { permission: { state: 'applied', applicationId } });
  t.equal((await mine())?.apply, undefined, 'nothing more to apply for');
  t.match(await mine(secondSchool), { permission: { state: 'not_applied' } }, 'another client may not use it');
  t.equal((await mine(desk))?.permission, undefined, 'and others are not told');
  t.match(await expectAnswer(desk.get(`/v1/grant-applications/${applicationId}`), 200), { demandId });
  const { grantId } = await expectAnswer<{ grantId: string }>(
    desk.post(`/v1/grant-applications/${applicationId}/decisions`, approval),
    200,
  );
  const granted = (await mine())?.permission;
  t.match(granted, { state: 'granted', grantIds: [grantId], fieldsLacking: [] });
  t.notOk(granted?.applicationId);
  await expectAnswer(admin.post(`/v1/grants/${grantId}/revocations`, { reason: 'test' }), 200);
  t.match(
    await mine(),
    { permission: { state: 'not_applied' }, apply: { wanted: { fields: ['name', 'birthDate'] } } },
    'live',
  );
  await putGrant(world.client, { fields: ['name'], matters: [matterCode] });
  t.match(await mine(), {
    permission: { state: 'partly_granted', fieldsLacking: ['birthDate'] },
    apply: { wanted: { fields: ['name', 'birthDate'] } },
  });
  const validUntil = new Date(Date.now() + 10 * day).toISOString();
  await putGrant(world.client, { fields: ['name', 'birthDate'], matters: [matterCode], validUntil });
  t.match(await mine(), { permission: { state: 'expiring', validUntil } });
  const own = await registerOffice(hub, { clientId: 'psb-hall', departmentCode: publicSecurity, roles: ['consumer'] });
  const ours = await declare(newNeed({ certificateTypeCode: demoTypes.residentIdCard, fields: [item('姓名')] }), own);
  t.match(await read(ours.demandId, own), { permission: { state: 'own_type', fieldsLacking: ['name'] } });
});

await t.test(
  'nobody has it, two departments want it, its issuer promises and publishes it: the gap is gone by itself',
  async (t) => {
    const type = newType();
    const name = { zh: `渔船登记${String(type['certificateTypeCode']).slice(-3)}证`, en: 'Fishing vessel' };
    const need = newNeed({ name, fields: [item('备注'), item('分数')], expectedPerDay: 40 });
    const first = await declare(need);
    t.match(first, {
      state: 'type_missing',
      origin: 'declared',
      clientId: 'school-enrolment',
      issuerDepartmentCode: publicSecurity,
      overdue: false,
      history: [{ step: 'declared', clientId: 'school-enrolment', issuerDepartmentCode: publicSecurity }],
    });
    const other = {
      ...need,
      name: { ...name, zh: ` ${name.zh.replace('证', '证书')}` },
      matters: ['affordable-housing'],
    };
    const second = await declare(other, housing);
    const gap = await gapOf(first.demandId, desk);
    t.match(gap, { missing: 'type', state: 'open', issuerDepartmentCode: publicSecurity });
    t.strictSame(
      gap?.wantedBy.map((each) => each.demandId),
      [first.demandId, second.demandId],
      'one gap of two',
    );
    t.match(gap?.wantedBy, [
      { departmentCode: education, matters: ['school-enrolment'], expectedPerDay: 40, legalGround: 'Article 12' },
      { matters: ['affordable-housing'] },
    ]);
    t.match(await gapOf(first.demandId, issuer), { gapId: gap?.gapId }, 'its issuers see it too');
    t.equal(await gapOf(first.demandId, world.client('market-issuer')), undefined, 'others do not');

    const promised = await expectAnswer<Demand>(answer(first.demandId, { answer: 'will_supply', by: soon }), 200);
    t.match(promised, { answer: { answer: 'will_supply', by: soon, reason: 'test' } });
    t.match(await gapOf(first.demandId, desk), { state: 'open', gapId: gap?.gapId }, 'the other still waits');
    await expectAnswer(answer(second.demandId, { answer: 'will_supply', by: soon }), 200);
    t.match(await gapOf(first.demandId, auditor), { state: 'will_supply', by: soon });
    t.strictSame(
      (await read(first.demandId)).history.map(({ step }) => step),
      ['declared', 'answered'],
    );

    const [note, score] = type['fields'] as unknown[];
    await expectAnswer(admin.post('/v1/certificate-types', { ...type, name, fields: [note] }), 201);
    t.match(await read(first.demandId), {
      state: 'fields_missing',
      matchedBy: 'name',
      fields: [{ matchedField: 'note' }, {}],
      permission: { fieldsLacking: ['note'] },
    });
    t.match(await gapOf(first.demandId, desk), {
      missing: 'field',
      field: { name: { zh: '分数' } },
      state: 'will_supply',
    });
    await expectAnswer(admin.post('/v1/certificate-types', { ...type, name, fields: [note, score] }), 201);
    for (const [{ demandId }, client] of [
      [first, school],
      [second, housing],
    ] as const) {
      t.match(await read(demandId, client), {
        state: 'matched',
        certificateTypeCode: type['certificateTypeCode'],
        permission: { state: 'not_applied', fieldsLacking: ['note', 'score'] },
        apply: { legalGround: 'Article 12', wanted: { legalBases: ['statutory_duty'], dailyQuota: 40 } },
      });
      t.equal(await gapOf(demandId, admin), undefined, 'the gap is gone');
    }
    const refusal = await answer(first.demandId, { answer: 'refused' });
    t.match([codeOf(refusal), (refusal.body as Problem).context], ['demand_closed', { state: 'matched' }]);
  },
);

await t.test('a field that its type does not have is a gap of the owner', async (t) => {
  const need = ownerless({
    certificateTypeCode: demoTypes.residentIdCard,
    fields: [item('姓名'), item('血型', 'bloodType')],
  });
  const { demandId } = await declare(need);
  t.match(await read(demandId), {
    state: 'fields_missing',
    issuerDepartmentCode: publicSecurity,
    permission: { fieldsLacking: ['name'] },
  });
  t.match(await gapOf(demandId, desk), {
    missing: 'field',
    field: { fieldName: 'bloodType' },
    certificateTypeCode: demoTypes.residentIdCard,
    state: 'open',
  });
  await expectAnswer(answer(demandId, { answer: 'not_ours' }), 200);
  t.equal(await gapOf(demandId, desk), undefined, 'not theirs any more');
  t.match(await gapOf(demandId, admin), { state: 'unassigned' });
});

await t.test('what a matter asks for cannot get lost, and is kept nowhere', async (t) => {
  const type = newType();
  const { certificateTypeCode } = type;
  await expectAnswer(admin.post('/v1/certificate-types', type), 201);
  const [requirement] = newMatter()['requirements'] as Record<string, unknown>[];
  const matter = newMatter({
    requirements: [{ ...requirement, alternatives: [[{ certificateTypeCode, fields: ['score'] }]] }],
  });
  await expectAnswer(school.post('/v1/matters', matter), 201);
  const [note] = type['fields'] as unknown[];
  const without = admin.post('/v1/certificate-types', { ...type, fields: [note] });
  t.equal(codeOf(await without), 'change_breaks');
  const demandId = `matter:${String(matter['matterCode'])}:${String(certificateTypeCode)}`;
  t.equal(await gapOf(demandId, desk), undefined);
  t.equal(codeOf(await answer(demandId, { answer: 'refused' })), 'demand_unknown');
  const inList = (await listed('origin=matter')).find((each) => each.demandId === demandId);
  t.match(inList, { demandId });
  for (const id of [demandId, encodeURIComponent(demandId)]) {
    t.strictSame(await read(id), inList, 'one is read as the list shows it');
    t.match(await read(id, desk), { demandId, departmentCode: education }, 'by whom it concerns');
    t.match(await read(id, auditor), { demandId });
    for (const who of [housing, taxDesk]) t.equal(codeOf(await who.get(`${demands}/${id}`)), 'demand_unknown');
  }
  t.equal(codeOf(await school.get(`${demands}/${demandId.toLowerCase()}`)), 'demand_unknown');
  await expectAnswer(school.post(`/v1/matters/${String(matter['matterCode'])}/retirements`, { reason: 'test' }), 200);
  t.equal(codeOf(await school.get(`${demands}/${demandId}`)), 'demand_unknown', 'nobody asks for it any more');
});

await t.test('a promise is for two years at most, and is moved for all to see', async (t) => {
  const { demandId } = await declare();
  const inDays = (days: number) => new Date(Date.now() + days * day).toISOString().slice(0, 10);
  const will = (by: string) => answer(demandId, { answer: 'will_supply', by });
  for (const by of ['9998-12-31', inDays(735)]) {
    const { status, body } = await will(by);
    t.match([status, body], [422, { code: 'demand_invalid', context: { pointer: '/by', rule: 'beyond_two_years' } }]);
  }
  const first = await expectAnswer<Demand & { answer: object }>(will(inDays(728)), 200);
  t.notOk((first.answer as { replaces?: object }).replaces);
  t.match(await gapOf(demandId, desk), { state: 'will_supply', by: inDays(728) });
  t.match(await expectAnswer(will(soon), 200), { answer: { by: soon, replaces: { by: inDays(728) } } }, 'earlier');
  t.match(await gapOf(demandId, desk), { by: soon, wantedBy: [{ answer: { by: soon } }] });
  t.match(await expectAnswer(will(inDays(30)), 200), { answer: { by: inDays(30), replaces: { by: soon } } }, 'later');
  t.match(await read(demandId), { answer: { by: inDays(30), replaces: { by: soon } } }, 'seen by who waits for it');
  t.match(await gapOf(demandId, auditor), { wantedBy: [{ answer: { replaces: { by: soon } } }] });
  t.strictSame(
    (await read(demandId)).history.map((step) => (step as { by?: string }).by),
    [undefined, inDays(728), soon, inDays(30)],
  );
  for (const said of [{ answer: 'will_supply', by: inDays(30) }, { answer: 'refused' }, { answer: 'not_ours' }]) {
    t.equal(codeOf(await answer(demandId, said)), 'demand_closed', 'a promise is not taken back');
  }
  const [{ records } = {}] = await world.sql(
    `select count(*)::int as records from records where action = 'answerSupplyGap' and outcome = 'done'
      and recorded_at > now() - interval '1 hour'`,
  );
  t.ok(Number(records) >= 3, 'each answer is a record');
});

await t.test('the same is demanded once', async (t) => {
  const need = newNeed({ matters: ['school-enrolment', 'exit-entry'] });
  const name = need['name'] as { zh: string; en: string };
  const { demandId } = await declare(need);
  const again = [
    need,
    { ...need, fields: [item('另一项')] },
    { ...need, name: { zh: ` ${name.zh.replace('证', '证书')}`, en: 'Other' } },
    { ...need, matters: ['exit-entry', 'school-enrolment'] },
  ];
  for (const body of again) {
    for (const client of [school, secondSchool]) {
      t.match(await client.post(demands, body), {
        status: 409,
        body: { code: 'demand_exists', context: { demandId } },
      });
    }
  }
  t.equal((await gapOf(demandId, desk))?.wantedBy.length, 1);
  const other = [
    { ...need, matters: ['exit-entry'] },
    { ...need, issuerDepartmentCode: taxation },
    { ...need, name: { ...name, zh: name.zh.replace('证', '证明') } },
    { ...need, certificateTypeCode: `${publicSecurity}987` },
  ];
  for (const body of other) await declare(body);
  await declare(need, housing);
  await expectAnswer(assign(demandId, taxation), 200);
  t.equal(codeOf(await school.post(demands, need)), 'demand_exists', 'whoever it was assigned to');
  await expectAnswer(withdraw(demandId), 200);
  await declare(need);
  const [{ records } = {}] = await world.sql(
    `select count(*)::int as records from records where action = 'declareDemand' and code = 'demand_exists'`,
  );
  t.equal(records, 9, 'refusals are on record');
});

await t.test('nobody is known to issue it: the hub says who should, and says so again', async (t) => {
  const { demandId } = await declare(ownerless());
  for (const client of [desk, issuer, taxDesk]) {
    t.equal(await gapOf(demandId, client), undefined, client.clientId);
    t.equal((await client.get(`${demands}/${demandId}`)).status, 404, 'nor the demand');
  }
  for (const client of [admin, auditor]) {
    const gap = await gapOf(demandId, client);
    t.match(gap, { state: 'unassigned' }, client.clientId);
    t.equal(gap?.issuerDepartmentCode, undefined);
  }
  t.ok((await gaps(admin, 'state=unassigned')).every(({ state }) => state === 'unassigned'));
  t.match(await expectAnswer(assign(demandId), 200), { issuerDepartmentCode: publicSecurity });
  t.match(await gapOf(demandId, desk), { state: 'open' });
  t.equal((await desk.get(`${demands}/${demandId}`)).status, 200);
  await expectAnswer(answer(demandId, { answer: 'refused' }), 200);
  t.match(await gapOf(demandId, desk), { state: 'refused' });
  await expectAnswer(assign(demandId, taxation), 200);
  t.equal(codeOf(await answer(demandId, { answer: 'refused' })), 'demand_unknown', 'no longer theirs to answer');
  await expectAnswer(answer(demandId, { answer: 'not_ours' }, taxDesk), 200);
  t.match(await gapOf(demandId, admin), { state: 'unassigned' });
  const { history } = await read(demandId);
  t.strictSame(
    history.map(({ step, clientId }) => [step, clientId]),
    [
      ['declared', 'school-enrolment'],
      ['assigned', 'hub-admin'],
      ['answered', 'psb-grants'],
      ['assigned', 'hub-admin'],
      ['answered', 'tax-grants'],
    ],
  );
  t.notMatch(JSON.stringify(await read(demandId)), /officer|经办人|郑复核/, 'no official is named outside the records');
});

await t.test('types with parts of the name are offered and not taken', async (t) => {
  const need = ownerless({ name: { zh: '居住登记证', en: 'Residence permit' }, fields: [item('姓名')] });
  const demand = await declare(need);
  t.match(demand, { state: 'type_missing', candidates: [{ certificateTypeCode: demoTypes.residencePermit }] });
  t.match(await gapOf(demand.demandId, admin), { candidates: [{ certificateTypeCode: demoTypes.residencePermit }] });
  t.equal((await read(demand.demandId)).permission, undefined, 'and nothing is to be applied for');
  const wish = newWish(
    { fields: ['name'] },
    { certificateTypeCode: demoTypes.residencePermit, demandId: demand.demandId },
  );
  t.equal(codeOf(await school.post('/v1/grant-applications', wish)), 'demand_unknown');
  const meant = await declare({ ...need, certificateTypeCode: demoTypes.residencePermit });
  t.match(meant, { state: 'matched', matchedBy: 'code', candidates: [] });
});

await t.test('invariant 2: demands and gaps are seen by whom they concern', async (t) => {
  const demandId = await demandIn(
    world,
    newNeed({ certificateTypeCode: demoTypes.residentIdCard, fields: [item('姓名')], issuerDepartmentCode: taxation }),
  );
  const seen = ['school-enrolment', 'psb-grants', 'psb-issuer', 'hub-admin', 'audit-office'].map(world.client);
  for (const client of [...seen, secondSchool, taxDesk]) {
    t.equal((await client.get(`${demands}/${demandId}`)).status, 200, client.clientId);
    t.ok((await listed('', client)).some((each) => each.demandId === demandId));
  }
  const none = await housing.get(`${demands}/0199a000-0000-7000-8000-000000000000`);
  for (const who of ['housing-allocation', 'hrss-grants', 'market-issuer']) {
    const other = await world.client(who).get(`${demands}/${demandId}`);
    t.strictSame({ ...(other.body as object), requestId: '' }, { ...(none.body as object), requestId: '' }, who);
    t.notOk((await listed('', world.client(who))).some((each) => each.demandId === demandId));
  }
  t.equal((await school.get('/v1/supply-gaps')).status, 403);
  t.equal((await world.client('citizen-portal').get(demands)).status, 403);
});

await t.test('lists: page by page over stable ids, and by what is asked for', async (t) => {
  const all = await listed('', auditor);
  t.ok(all.length > 12);
  const paged: Demand[] = [];
  for (let after = ''; ; ) {
    const page = await expectAnswer<{ items: Demand[]; next?: string }>(
      auditor.get(`${demands}?limit=5${after === '' ? '' : `&after=${encodeURIComponent(after)}`}`),
      200,
    );
    t.ok(page.items.length <= 5);
    paged.push(...page.items);
    if (page.next === undefined) break;
    after = page.next;
  }
  t.strictSame(
    paged.map((each) => each.demandId),
    all.map((each) => each.demandId),
  );
  const gapped = await gaps(auditor);
  const page = await expectAnswer<{ items: Gap[]; next: string }>(auditor.get('/v1/supply-gaps?limit=1'), 200);
  const rest = await gaps(auditor, `after=${page.next}`);
  t.strictSame([...page.items, ...rest], gapped);
  for (const path of [demands, '/v1/supply-gaps', '/v1/certificate-types', '/v1/retained-proofs']) {
    const { status, body } = await auditor.get(`${path}?after=zzz`);
    t.match([status, body], [400, { code: 'contract_violation', context: { pointer: '/after' } }], path);
  }
  t.equal((await auditor.get('/v1/matters?after=-')).status, 400);
  const filters: readonly (readonly [
    string,
    (demand: Demand & { origin?: string; departmentCode?: string }) => boolean,
  ])[] = [
    ['state=type_missing', ({ state }) => state === 'type_missing'],
    ['state=matched', ({ state }) => state === 'matched'],
    ['origin=matter', ({ origin }) => origin === 'matter'],
    [`departmentCode=${education}`, ({ departmentCode }) => departmentCode === education],
    [
      `certificateTypeCode=${demoTypes.residentIdCard}`,
      (each) => each.certificateTypeCode === demoTypes.residentIdCard,
    ],
  ];
  for (const [query, isOne] of filters) {
    const found = await listed(query, auditor);
    t.ok(found.length > 0, query);
    t.strictSame(found, all.filter(isOne), query);
  }
  const { demandId } = await declare();
  await expectAnswer(withdraw(demandId, secondSchool), 200);
  t.notOk(
    (await listed()).some((each) => each.demandId === demandId),
    'a withdrawn one is left out',
  );
  t.match((await listed('state=withdrawn')).map((each) => each.demandId).slice(-1), [demandId]);
  t.equal(await gapOf(demandId, admin), undefined, 'and no gap');
  t.match(await read(demandId), {
    state: 'withdrawn',
    history: [{}, { step: 'withdrawn', clientId: 'second-school', reason: 'test' }],
  });
});

await t.test('invariant 9: bad declarations, assignments and answers change nothing', async (t) => {
  const waiting = { demandId: await demandIn(world) };
  const gone = { demandId: await demandIn(world) };
  await expectAnswer(withdraw(gone.demandId), 200);
  const done = {
    demandId: await demandIn(world, newNeed({ certificateTypeCode: demoTypes.residentIdCard, fields: [item('姓名')] })),
  };
  const missing = { demandId: '0199a000-0000-7000-8000-000000000000' };
  const ofMatter = { demandId: `matter:school-enrolment:${demoTypes.residentIdCard}` };
  const refuses = await refusing(world);
  const wrongUscc = '11999900100000016B';
  const canaryNeed = (more: object) => ({ body: newNeed({ name: { zh: '金丝雀证', en: 'canary' }, ...more }) });
  const declaring: readonly (readonly [string, object, [number, string, string?]])[] = [
    [
      'a wrong check digit',
      canaryNeed({ certificateTypeCode: `${wrongUscc}001` }),
      [422, 'invalid_certificate_type_code', '/certificateTypeCode'],
    ],
    [
      'an issuer that is none',
      canaryNeed({ issuerDepartmentCode: wrongUscc }),
      [422, 'invalid_uscc', '/issuerDepartmentCode'],
    ],
    [
      'an issuer nobody registered',
      canaryNeed({ issuerDepartmentCode: newDepartmentCode() }),
      [404, 'department_unknown', '/issuerDepartmentCode'],
    ],
    ['an item twice', canaryNeed({ fields: [item('金丝雀'), item(' 金丝雀')] }), [422, 'demand_invalid', '/fields/1']],
    [
      'a field twice',
      canaryNeed({ fields: [item('甲', 'canary'), item('乙', 'canary')] }),
      [422, 'demand_invalid', '/fields/1'],
    ],
    ['no item', canaryNeed({ fields: [] }), [400, 'contract_violation', '/fields']],
    ['no matter', canaryNeed({ matters: [] }), [400, 'contract_violation', '/matters']],
    ['by an issuer', { ...canaryNeed({}), as: 'psb-issuer' }, [403, 'role_required']],
  ];
  for (const [what, bad, expected] of declaring)
    await refuses(t, what, { operationId: 'declareDemand', ...bad }, expected);

  const said = { answer: 'will_supply', by: soon, reason: '金丝雀缘由', officer: reviewer };
  const { by: _by, ...undated } = said;
  const answering: readonly (readonly [string, object, [number, string, string?]])[] = [
    ['of none', { params: missing }, [404, 'demand_unknown']],
    ['of a matter', { params: ofMatter }, [404, 'demand_unknown']],
    ['by another department', { params: waiting, as: 'hrss-grants' }, [404, 'demand_unknown']],
    ['of what is withdrawn', { params: gone }, [409, 'demand_closed']],
    ['of what is matched', { params: done }, [409, 'demand_closed']],
    ['a promise without a day', { params: waiting, body: undated }, [422, 'demand_invalid', '/by']],
    ['a promise of the past', { params: waiting, body: { ...said, by: '2026-01-01' } }, [422, 'demand_invalid', '/by']],
    [
      'a day without a promise',
      { params: waiting, body: { ...said, answer: 'refused' } },
      [422, 'demand_invalid', '/by'],
    ],
    ['by the hub', { params: waiting, as: 'hub-admin' }, [403, 'role_required']],
  ];
  for (const [what, bad, expected] of answering) {
    await refuses(t, what, { operationId: 'answerSupplyGap', body: said, ...bad }, expected);
  }
  const assigning = {
    operationId: 'assignDemand',
    body: { issuerDepartmentCode: publicSecurity, reason: 'test' },
  } as const;
  await refuses(t, 'of none', { ...assigning, params: missing }, [404, 'demand_unknown']);
  await refuses(t, 'of what is matched', { ...assigning, params: done }, [409, 'demand_closed']);
  await refuses(t, 'of what is withdrawn', { ...assigning, params: gone }, [409, 'demand_closed']);
  const nobody = {
    ...assigning,
    params: waiting,
    body: { issuerDepartmentCode: newDepartmentCode(), reason: 'test' },
  };
  await refuses(t, 'to nobody', nobody, [404, 'department_unknown', '/issuerDepartmentCode']);
  const taking = { operationId: 'withdrawDemand', body: { reason: 'test' } } as const;
  await refuses(t, "somebody else's", { ...taking, params: waiting, as: 'housing-allocation' }, [
    404,
    'demand_unknown',
  ]);
  await refuses(t, 'twice', { ...taking, params: gone }, [409, 'demand_closed']);

  const foreign = await declare(
    newNeed({ certificateTypeCode: demoTypes.residentIdCard, fields: [item('姓名')] }),
    housing,
  );
  const applying = await refusing(world);
  const from = async (what: string, demandId: string, type: string = demoTypes.residentIdCard) =>
    applying(
      t,
      what,
      { operationId: 'applyForGrant', body: newWish({ fields: ['name'] }, { demandId, certificateTypeCode: type }) },
      [404, 'demand_unknown', '/demandId'],
    );
  await from('from no demand', missing.demandId);
  await from('from a demand of another department', foreign.demandId);
  await from('from a demand for another type', done.demandId, demoTypes.residencePermit);
  await from('from a demand for nothing that exists', waiting.demandId);
  await from('from a matter that asks for no such type', `matter:school-enrolment:${demoTypes.businessLicence}`);
  const wish = newWish({ fields: ['name'] }, { demandId: done.demandId.toUpperCase() });
  t.match(await expectAnswer(school.post('/v1/grant-applications', wish), 201), { demandId: done.demandId });
});

await t.test('races: one declaration, one withdrawal, one answer of several', async (t) => {
  for (let round = 0; round < 6; round += 1) {
    const need = newNeed();
    const declared = await Promise.all(
      [school, secondSchool, school, secondSchool].map((each) => each.post(demands, need)),
    );
    const told = declared.map(({ status, body }) => `${status} ${(body as { code?: string }).code ?? ''}`).toSorted();
    t.strictSame(told, ['201 ', ...Array<string>(3).fill('409 demand_exists')], 'one declares');
    const demandId =
      declared.map(({ body }) => (body as Partial<Demand>).demandId).find((id) => id !== undefined) ?? '';
    const replies = await Promise.all([
      answer(demandId, { answer: 'will_supply', by: soon }),
      answer(demandId, { answer: 'refused' }),
      answer(demandId, { answer: 'will_supply', by: soon }),
      answer(demandId, { answer: 'refused' }),
    ]);
    const lost = replies.filter(({ status }) => status !== 200);
    t.equal(lost.length, 3, 'one answers');
    t.ok(lost.every((reply) => codeOf(reply) === 'demand_closed'));
    const taken = await Promise.all(
      [school, secondSchool, school, secondSchool].map((client) => withdraw(demandId, client)),
    );
    t.equal(taken.filter(({ status }) => status === 200).length, 1, 'one withdraws');
    t.ok(taken.filter(({ status }) => status !== 200).every((reply) => codeOf(reply) === 'demand_closed'));
    t.strictSame(
      (await read(demandId)).history.map(({ step }) => step),
      ['declared', 'answered', 'withdrawn'],
    );
  }
  const [{ records } = {}] = await world.sql(
    `select count(*)::int as records from records where action in ('answerSupplyGap', 'withdrawDemand') and outcome = 'done'`,
  );
  const steps = await world.sql('select count(*)::int as n from demands');
  t.ok(Number(records) >= 12 && Number(steps[0]?.['n']) >= 6);
});

await t.test('invariant 8: a retry declares nothing twice', async (t) => {
  const [key, need] = [randomUUID(), newNeed()];
  const first = await expectAnswer<Demand>(school.post(demands, need, key), 201);
  t.strictSame(await expectAnswer(school.post(demands, need, key), 201), first);
  t.equal(codeOf(await school.post(demands, newNeed(), key)), 'idempotency_conflict');
  t.equal((await listed()).filter(({ demandId }) => demandId === first.demandId).length, 1);
});

await t.test('nobody declares or answers by SQL, and nothing that officials wrote is in clear', async (t) => {
  const { demandId } = await declare();
  const other = await declare();
  await world.sql('create table kept as select * from demands where demand_id = $1', [demandId]);
  const changes = [
    `created_at = created_at - interval '1 day'`,
    `body = (select body from demands where demand_id = '${other.demandId}')`,
    `mac = (select mac from demands where demand_id = '${other.demandId}')`,
  ];
  const outdate = () => world.sql(`update registry_versions set version = version + 1 where topic = 'demands'`);
  for (const change of changes) {
    const lines = hub.logLines.length;
    await world.sql(`update demands set ${change} where demand_id = $1`, [demandId]);
    await outdate();
    hub.core.freshness.outdate();
    t.equal((await school.get(`${demands}/${demandId}`)).status, 404, change);
    t.equal(codeOf(await answer(demandId, { answer: 'refused' })), 'demand_unknown');
    t.ok(
      hub.logLines.slice(lines).some((line) => line.includes('past the hub') && line.includes(demandId)),
      'and it is reported',
    );
    const found: string[] = [];
    await transaction(hub.db, (trx) =>
      readDemands(trx, { keys: hub.core.keys, tampered: (_table, id) => void found.push(id) }),
    );
    t.strictSame(found, [demandId], 'the self-check finds it');
    await world.sql('delete from demands where demand_id = $1', [demandId]);
    await world.sql('insert into demands select * from kept');
  }
  await outdate();
  hub.core.freshness.outdate();
  t.equal((await read(demandId)).state, 'type_missing');
  const [row] = await world.sql(`select string_agg(encode(body, 'escape'), ' ') as text from demands`);
  t.notMatch(String(row?.['text']), /Article|Example|示例|school/, 'what officials wrote is not in clear');
});

await t.test('nobody answered in time: overdue', async (t) => {
  const { demandId } = await declare();
  const dueAt = Date.parse(String((await expectAnswer(school.get(`${demands}/${demandId}`), 200))['dueAt']));
  t.ok(dueAt - Date.now() > 10 * day && dueAt - Date.now() <= 11 * day, 'ten days of the city after today');
});

logsAreClean(t, world);
