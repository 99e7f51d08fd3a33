import { randomUUID } from 'node:crypto';
import t from 'tap';
import { exampleMatterDepartments } from '../../src/catalogue/starter-materials.ts';
import { starterMatters } from '../../src/catalogue/starter-matters.ts';
import { demoTypes, householdRegisterOf } from '../../src/cli/demo/certificates.ts';
import { expectAnswer, issue } from '../../src/cli/demo/load.ts';
import { personOf } from '../../src/cli/demo/people.ts';
import { registerDemo } from '../../src/cli/demo/registry.ts';
import { logsAreClean, refusing } from '../api/refuses.ts';
import { education, newMatter, newType, publicSecurity } from '../api/samples.ts';
import { startWorld } from '../api/world.ts';
import { startHub } from '../support/start-hub.ts';

t.setTimeout(240_000);
const world = await startWorld(t);
const [admin, school, housing] = ['hub-admin', 'school-enrolment', 'housing-allocation'].map(world.client) as [
  ReturnType<typeof world.client>,
  ReturnType<typeof world.client>,
  ReturnType<typeof world.client>,
];
for (const client of [admin, school, housing]) await client.token();
const housingDepartment = '119999001000000838';
const ground = { zh: '测试依据', en: 'Ground of the test' };
const name = { zh: '测试', en: 'Test' };

interface Matter {
  readonly matterCode: string;
  readonly version: number;
  readonly departmentCode: string;
}
interface Proof {
  readonly departmentCode: string;
  readonly matterCode: string;
  readonly requirement: string;
  readonly howToObtain: { readonly zh: string };
}
interface Page<T> {
  readonly items: readonly T[];
  readonly next?: string;
}
const register = (client: typeof admin, body: Record<string, unknown>) => client.post('/v1/matters', body);
const requires = (...certificateTypeCodes: unknown[]) => [
  {
    code: 'proof',
    name,
    legalGround: ground,
    alternatives: [certificateTypeCodes.map((certificateTypeCode) => ({ certificateTypeCode }))],
  },
];
const allowedIssuers = [{ departmentCode: education }, { departmentCode: housingDepartment }];
/** Two types that nobody uses yet, for both offices to issue. */
async function freshTypes(): Promise<[string, string]> {
  const codes: string[] = [];
  for (let i = 0; i < 2; i++) {
    const type = newType({ allowedIssuers });
    await expectAnswer(admin.post('/v1/certificate-types', type), 201);
    codes.push(String(type['certificateTypeCode']));
  }
  return codes as [string, string];
}
/** All pages of a list, and how many there were. */
async function pagesOf<T>(path: string, limit: number): Promise<{ readonly items: T[]; readonly pages: number }> {
  const items: T[] = [];
  let next: string | undefined;
  for (let pages = 1; ; pages++) {
    const after = next === undefined ? '' : `&after=${encodeURIComponent(next)}`;
    const page = await expectAnswer<Page<T>>(school.get(`${path}limit=${limit}${after}`), 200);
    if (page.items.length > limit) throw new Error('a page is longer than asked');
    items.push(...page.items);
    if (page.next === undefined) return { items, pages };
    next = page.next;
  }
}

await t.test('the demo city has its four matters, and registering the demo again changes nothing', async (t) => {
  const before = await pagesOf<Matter>('/v1/matters?', 50);
  t.strictSame(
    before.items.map(({ matterCode, version }) => `${matterCode} ${version}`),
    ['affordable-housing 1', 'exit-entry 1', 'household-registration 1', 'school-enrolment 1'],
  );
  await registerDemo(world.hub.core);
  t.strictSame(await pagesOf('/v1/matters?', 50), before);
  const [definition] = starterMatters(exampleMatterDepartments);
  const { version, createdAt, state, ...body } = await expectAnswer(school.get('/v1/matters/school-enrolment'), 200);
  t.strictSame([version, typeof createdAt, state], [1, 'string', 'published']);
  t.strictSame(body, JSON.parse(JSON.stringify(definition)), 'a definition is told as it was registered');
  const [child, head] = [personOf(9_001, [2017, 2019]), personOf(9_000)];
  const push = householdRegisterOf(child, { head, relationship: '子', number: '9001' });
  t.ok(await issue(world.client('psb-issuer'), push, randomUUID()), 'a page of a household register can be issued');
});

await t.test('a department registers its matter and its next version; both are seen at once', async (t) => {
  const body = newMatter();
  const path = `/v1/matters/${String(body['matterCode'])}`;
  const key = randomUUID();
  const first = await expectAnswer<Matter>(school.post('/v1/matters', body, key), 201);
  t.equal(first.version, 1);
  t.strictSame(await expectAnswer(school.post('/v1/matters', body, key), 201), first, 'invariant 8: replayed');
  t.strictSame(await expectAnswer(housing.get(path), 200), first);
  const changed = { ...body, conditions: { zh: '新条件', en: 'New condition' } };
  const second = await expectAnswer<Matter>(register(school, changed), 201);
  t.strictSame(second, { ...first, ...changed, version: 2, createdAt: (second as { createdAt?: string }).createdAt });
  t.strictSame(await expectAnswer(school.get(path), 200), second);
  t.equal((await expectAnswer<Matter>(register(school, body), 201)).version, 3, 'what it said before may come back');

  const moved = { ...body, departmentCode: housingDepartment };
  t.equal((await register(housing, moved)).status, 403, 'another department takes no matter');
  t.equal((await expectAnswer<Matter>(register(admin, moved), 201)).version, 4, 'an administrator hands it over');
  t.equal((await register(school, body)).status, 403, 'and its former department has nothing to say any more');
  const [record] = await world.sql(
    `select count(*)::int as records from records where action = 'registerMatter' and outcome = 'done'`,
  );
  t.equal(record?.['records'], 4 + 4, 'the four of the demo and these four');
});

await t.test('refusals', async (t) => {
  const refuses = await refusing(world);
  const operationId = 'registerMatter';
  const [requirement, paper] = newMatter()['requirements'] as Record<string, unknown>[];
  const material = (material: object) => ({
    body: newMatter({
      requirements: [
        { ...requirement, alternatives: [[{ certificateTypeCode: demoTypes.residentIdCard, ...material }]] },
      ],
    }),
  });
  const at = '/requirements/0/alternatives/0/0';
  const invalid = (pointer: string) => [422, 'matter_invalid', pointer] as const;
  await refuses(t, 'another department', { operationId, as: 'housing-allocation', body: newMatter() }, [
    403,
    'wrong_department',
    '/departmentCode',
  ]);
  await refuses(
    t,
    'a matter of another department',
    {
      operationId,
      as: 'housing-allocation',
      body: newMatter({ matterCode: 'school-enrolment', departmentCode: housingDepartment }),
    },
    [403, 'wrong_department', '/matterCode'],
  );
  await refuses(
    t,
    'a role that registers none',
    { operationId, as: 'psb-issuer', body: newMatter({ departmentCode: publicSecurity }) },
    [403, 'role_required'],
  );
  const same = newMatter();
  await expectAnswer(register(school, same), 201);
  const again = await refusing(world);
  await again(t, 'nothing new', { operationId, body: same }, [409, 'matter_exists', '/matterCode']);
  await again(
    t,
    'by an administrator, for a department that is none',
    { operationId, as: 'hub-admin', body: newMatter({ departmentCode: '119999009000000019' }) },
    [422, 'invalid_uscc', '/departmentCode'],
  );
  const cases: [what: string, body: { body: Record<string, unknown> }, expected: readonly [number, string, string]][] =
    [
      [
        'an unknown type',
        material({ certificateTypeCode: `${publicSecurity}999` }),
        invalid(`${at}/certificateTypeCode`),
      ],
      ['an unknown field', material({ fields: ['name', 'canaryField'] }), invalid(`${at}/fields/1`)],
      ['an unknown party', material({ of: 'canaryParty' }), invalid(`${at}/of`)],
      ['a person who holds a licence', material({ certificateTypeCode: demoTypes.businessLicence }), invalid(at)],
      ['an issuer who issues none', material({ issuedBy: [education] }), invalid(`${at}/issuedBy/0`)],
      [
        'a value that the field never has',
        material({ conditions: [{ field: 'sex', is: 'equal', value: '金丝雀' }] }),
        invalid(`${at}/conditions/0/value`),
      ],
      [
        'conditions that contradict each other',
        material({
          conditions: [
            { field: 'birthDate', is: 'at_least', value: '2020-01-01' },
            { field: 'birthDate', is: 'at_most', value: '2019-12-31' },
          ],
        }),
        invalid(`${at}/conditions/1`),
      ],
      [
        'alternatives and paper',
        { body: newMatter({ requirements: [{ ...requirement, paper: paper?.['paper'] }] }) },
        invalid('/requirements/0'),
      ],
      [
        'neither',
        { body: newMatter({ requirements: [{ code: 'x', name, legalGround: ground }] }) },
        invalid('/requirements/0'),
      ],
      [
        'two requirements of one code',
        { body: newMatter({ requirements: [paper, paper] }) },
        invalid('/requirements/1/code'),
      ],
      [
        'an object as a value',
        material({ conditions: [{ field: 'sex', is: 'equal', value: { canary: 1 } }] }),
        [400, 'contract_violation', `${at}/conditions/0/value`],
      ],
    ];
  for (const [what, bad, expected] of cases) await again(t, what, { operationId, ...bad }, expected);
  await again(t, 'unknown', { operationId: 'getMatter', params: { matterCode: 'canary' } }, [
    404,
    'matter_unknown',
    '/matterCode',
  ]);
  logsAreClean(t, world);
});

await t.test('no office asks on paper for what the catalogue has', async (t) => {
  const [, photo] = newMatter()['requirements'] as Record<string, unknown>[];
  const onPaper = (zh: string, en: string) => newMatter({ requirements: [{ ...photo, name: { zh, en } }] });
  for (const body of [onPaper('居民身份证复印件', 'x'), onPaper('某某', 'Copy of the resident ID card')]) {
    t.match(await register(school, body), {
      status: 422,
      body: {
        code: 'matter_invalid',
        context: {
          pointer: '/requirements/0/paper',
          rule: 'certificate_exists',
          certificateTypeCode: demoTypes.residentIdCard,
        },
      },
    });
  }
  const proofs = async (of: unknown) =>
    (await pagesOf<Proof & { candidates?: object }>('/v1/retained-proofs?', 200)).items.filter(
      ({ matterCode }) => matterCode === of,
    );
  const body = onPaper('船员服务簿原件', 'Seaman’s book');
  const { matterCode } = body;
  t.notOk((await expectAnswer<{ candidates?: object }>(register(school, body), 201)).candidates);
  t.match(await proofs(matterCode), [{ requirement: 'photo' }]);
  t.notOk((await proofs(matterCode))[0]?.candidates);
  const type = newType({ name: { zh: '船员服务簿', en: 'Service record of a seaman' } });
  const { certificateTypeCode, name: typeName, ownerDepartmentCode } = type;
  await expectAnswer(admin.post('/v1/certificate-types', type), 201);
  const candidate = { certificateTypeCode, name: typeName, ownerDepartmentCode };
  t.strictSame((await proofs(matterCode))[0]?.candidates, [candidate], 'the type came later, and is named');
  const listed = await expectAnswer<{ candidates?: object }>(school.get(`/v1/matters/${String(matterCode)}`), 200);
  t.strictSame(listed.candidates, [{ requirement: 'photo', ...candidate }]);
  const { status, body: told } = await register(school, { ...body, conditions: name });
  t.match([status, told], [422, { context: { rule: 'certificate_exists', certificateTypeCode } }], 'the next version');
  const instead = { ...photo, paper: undefined, alternatives: [[{ certificateTypeCode }]] };
  await expectAnswer(register(school, { ...body, requirements: [instead] }), 201);
  t.strictSame(await proofs(matterCode), []);
});

await t.test('a department says only of its own types that they come out of a matter', async (t) => {
  const type = newType();
  const code = String(type['certificateTypeCode']);
  await expectAnswer(admin.post('/v1/certificate-types', type), 201);
  const matter = newMatter({ produces: [code] });
  for (const client of [school, admin]) {
    const { status, body } = await register(client, matter);
    t.match([status, body], [422, { context: { pointer: '/produces/0', rule: 'not_an_issuer' } }]);
  }
  const issuers = (more: object) => ({ ...type, allowedIssuers: [{ departmentCode: education, ...more }] });
  await expectAnswer(admin.post('/v1/certificate-types', issuers({ until: '2026-01-01T00:00:00Z' })), 201);
  t.equal((await register(school, matter)).status, 422, 'not any more');
  await expectAnswer(admin.post('/v1/certificate-types', issuers({})), 201);
  await expectAnswer(register(school, matter), 201);
  await expectAnswer(admin.post('/v1/certificate-types', type), 201);
  const retiring = admin.post(`/v1/certificate-types/${code}/retirements`, { reason: 'test' });
  await expectAnswer(retiring, 200);
});

await t.test('circular proofs: the second of two matters that wait for each other is refused', async (t) => {
  const [one, other] = await freshTypes();
  const first = newMatter({ requirements: requires(one), produces: [other] });
  const second = newMatter({
    requirements: requires(other),
    produces: [one],
    departmentCode: housingDepartment,
  });
  await expectAnswer(register(school, first), 201);
  const { status, body } = await register(housing, second);
  t.equal(status, 422);
  t.match(body, {
    code: 'matter_circular',
    context: {
      pointer: '/requirements/0',
      certificateTypeCodes: [other],
      matterCodes: [first['matterCode'], second['matterCode']].map(String).toSorted(),
    },
    zh: { title: '循环证明' },
  });
  t.equal((await housing.get(`/v1/matters/${String(second['matterCode'])}`)).status, 404, 'nothing was changed');
  const [record] = await world.sql(
    `select count(*)::int as records from records where action = 'registerMatter' and code = 'matter_circular'`,
  );
  t.equal(record?.['records'], 1, 'the refusal is on record');
  const open = { ...second, requirements: [{ ...requires(other)[0], declaration: { zh: '承诺', en: 'I declare' } }] };
  await expectAnswer(register(housing, open), 201);
  const closed = await register(housing, second);
  t.match(closed.body, { code: 'matter_circular' }, 'the way out cannot be taken away again');
});

await t.test('two halves of a circle at the same moment, on two processes: exactly one is registered', async (t) => {
  const process2 = await startHub(t, { database: world.hub.database, register: false });
  const housing2 = process2.client('housing-allocation');
  await housing2.token();
  for (let round = 0; round < 8; round++) {
    const [one, other] = await freshTypes();
    // The second process sees the new types within a second.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const answers = await Promise.all([
      register(school, newMatter({ requirements: requires(one), produces: [other] })),
      register(
        housing2,
        newMatter({ requirements: requires(other), produces: [one], departmentCode: housingDepartment }),
      ),
    ]);
    const told = answers.map(({ status, body }) => `${status} ${(body as { code?: string }).code ?? ''}`).toSorted();
    t.strictSame(told, ['201 ', '422 matter_circular']);
  }
  const body = newMatter();
  const versions = await Promise.all(
    [1, 2, 3, 4].map((days) =>
      expectAnswer<Matter>(
        register(school, { ...body, conditions: { zh: `第${days}版`, en: `version ${days}` } }),
        201,
      ),
    ),
  );
  t.strictSame(
    versions.map(({ version }) => version).toSorted((a, b) => a - b),
    [1, 2, 3, 4],
    'each its own version',
  );
});

await t.test('lists: by department, by type, page by page', async (t) => {
  const all = await pagesOf<Matter>('/v1/matters?', 50);
  const codes = all.items.map(({ matterCode }) => matterCode);
  t.strictSame(
    codes,
    codes.toSorted((a, b) => (a < b ? -1 : 1)),
  );
  const paged = await pagesOf<Matter>('/v1/matters?', 3);
  t.strictSame(paged.items, all.items);
  t.equal(paged.pages, Math.ceil(codes.length / 3));
  const ofPolice = await pagesOf<Matter>(`/v1/matters?departmentCode=${publicSecurity}&`, 1);
  t.strictSame(
    ofPolice.items.map(({ matterCode }) => matterCode),
    ['exit-entry', 'household-registration'],
  );
  const ofType = async (type: string) =>
    (await pagesOf<Matter>(`/v1/matters?certificateTypeCode=${type}&`, 50)).items.map(({ matterCode }) => matterCode);
  t.strictSame(await ofType(demoTypes.marriage), ['household-registration'], 'requires it');
  t.ok((await ofType(demoTypes.householdRegister)).includes('household-registration'), 'issues it');
  t.strictSame(await ofType(demoTypes.businessLicence), []);
});

await t.test('retained proofs: all paper that may be demanded, and nothing else', async (t) => {
  const all = await pagesOf<Proof>('/v1/retained-proofs?', 50);
  const keys = all.items.map(({ matterCode, requirement }) => `${matterCode}/${requirement}`);
  const expected = starterMatters(exampleMatterDepartments).flatMap(({ matterCode, requirements }) =>
    requirements.flatMap(({ code, paper }) => (paper === undefined ? [] : [`${matterCode}/${code}`])),
  );
  t.strictSame(
    keys.filter((key) => !key.startsWith('test-')),
    expected.toSorted(),
  );
  t.strictSame((await pagesOf<Proof>('/v1/retained-proofs?', 1)).items, all.items);
  t.match(
    all.items.find(({ requirement }) => requirement === 'migration'),
    { departmentCode: publicSecurity, issuedBy: { zh: '迁出地公安机关' }, legalGround: { zh: /户口登记条例/ } },
  );
  const ofHousing = await pagesOf<Proof>(`/v1/retained-proofs?departmentCode=${housingDepartment}&`, 50);
  t.strictSame(new Set(ofHousing.items.map(({ departmentCode }) => departmentCode)), new Set([housingDepartment]));

  const body = newMatter();
  const shown = async () =>
    (await pagesOf<Proof>('/v1/retained-proofs?', 50)).items.some(
      ({ matterCode }) => matterCode === body['matterCode'],
    );
  await expectAnswer(register(school, body), 201);
  t.equal(await shown(), true);
  const [certificate] = body['requirements'] as unknown[];
  await expectAnswer(register(school, { ...body, requirements: [certificate] }), 201);
  t.equal(await shown(), false, 'the newest version demands no paper');
});

await t.test('a matter that was written or changed past the hub is not used, and is reported', async (t) => {
  const body = newMatter();
  const code = String(body['matterCode']);
  await expectAnswer(register(school, body), 201);
  const forged = (
    await world.sql(`select convert_from(definition, 'UTF8') as text from matters where code = $1`, [code])
  )[0];
  const text = String(forged?.['text']).replaceAll('"laterDays":5', '"laterDays":300');
  t.not(text, forged?.['text']);
  await world.sql(
    `insert into matters select code, 2, convert_to($2, 'UTF8'), created_at, mac from matters where code = $1 and version = 1`,
    [code, text],
  );
  await world.sql(
    `insert into matters select 'forged-matter', 1, definition, created_at, mac from matters where code = $1 and version = 1`,
    [code],
  );
  await world.sql(`update registry_versions set version = version + 1 where topic = 'matters'`);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  t.equal((await expectAnswer<Matter>(school.get(`/v1/matters/${code}`), 200)).version, 1);
  t.equal((await school.get('/v1/matters/forged-matter')).status, 404);
  t.ok(world.hub.logLines.some((line) => line.includes('forged-matter:1')));
  const next = await expectAnswer<Matter>(register(school, { ...body, conditions: name }), 201);
  t.equal(next.version, 3, 'and the hub goes on after it');
});
