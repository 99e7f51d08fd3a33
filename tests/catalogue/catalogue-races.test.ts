import t from 'tap';
import type { ApiClient } from '../../src/cli/api-client.ts';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import { approval, catalogueFile, newMatter, newType, newWish } from '../api/samples.ts';
import { startWorld } from '../api/world.ts';
import { startHub } from '../support/start-hub.ts';

t.setTimeout(240_000);
const world = await startWorld(t);
const other = await startHub(t, { database: world.hub.database, register: false });
const [admin, issuer, grantor, school] = ['hub-admin', 'psb-issuer', 'psb-grants', 'school-enrolment'].map(
  world.client,
) as [ApiClient, ApiClient, ApiClient, ApiClient];
const [admin2, grantor2, school2] = ['hub-admin', 'psb-grants', 'school-enrolment'].map((name) =>
  other.client(name),
) as [ApiClient, ApiClient, ApiClient];
for (const client of [admin, issuer, grantor, school, admin2, grantor2, school2]) await client.token();

const drafts = '/v1/certificate-type-drafts';
const bilingual = { zh: '测试', en: 'Test' };
type Reply = Awaited<ReturnType<ApiClient['post']>>;
const told = ({ status, body }: Reply): string => `${status} ${(body as { code?: string }).code ?? ''}`.trim();
const draft = async (definition: object): Promise<string> =>
  (await expectAnswer<{ draftId: string }>(issuer.post(drafts, definition), 201)).draftId;
const publish = (client: ApiClient, draftId: string, body = {}) =>
  client.post(`${drafts}/${draftId}/publications`, body);
/** Published, and the second hub knows it. */
async function registered(count: number): Promise<Record<string, unknown>[]> {
  const types = Array.from({ length: count }, () => newType());
  for (const type of types) await expectAnswer(admin.post('/v1/certificate-types', type), 201);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  return types;
}
const without = (type: Record<string, unknown>, name: string) => ({
  ...type,
  fields: (type['fields'] as { name: string }[]).filter((field) => field.name !== name),
});
const codeOf = (type: Record<string, unknown>) => String(type['certificateTypeCode']);
const asking = (type: Record<string, unknown>) =>
  newMatter({
    requirements: [
      {
        code: 'proof',
        name: bilingual,
        legalGround: bilingual,
        alternatives: [[{ certificateTypeCode: codeOf(type), fields: ['score'] }]],
      },
    ],
  });
const rounds = 12;

await t.test('two publications of one draft, and of a draft and its successor: exactly one wins', async (t) => {
  for (const type of await registered(rounds)) {
    const id = await draft({ ...type, reviewRequired: false });
    const replies = await Promise.all([publish(grantor, id), publish(grantor2, id)]);
    t.strictSame(replies.map(told).toSorted(), ['201', '409 draft_outdated']);
    const [row] = await world.sql('select max(version) as version from certificate_types where code = $1', [
      codeOf(type),
    ]);
    t.equal(row?.['version'], 2);
    const next = await draft(type);
    const [published, saved] = await Promise.all([
      publish(grantor2, next),
      issuer.post(drafts, { ...type, name: { zh: '再改', en: 'Changed again' } }),
    ]);
    const { state } = await expectAnswer<{ state: string }>(admin.get(`${drafts}/${next}`), 200);
    t.equal(saved.status, 201);
    t.strictSame(
      [told(published), state],
      published.status === 201 ? ['201', 'published'] : ['409 draft_outdated', 'replaced'],
    );
    const open = await expectAnswer<{ items: { draftId: string }[] }>(admin.get(`${drafts}?limit=200`), 200);
    t.equal(open.items.filter(({ draftId }) => draftId === (saved.body as { draftId: string }).draftId).length, 1);
  }
});

await t.test('two drafts of one type at once: one is left', async (t) => {
  const type = newType();
  const replies = await Promise.all(
    [issuer, grantor2, admin2, grantor].map((client, i) =>
      client.post(drafts, { ...type, name: { zh: `第${i}稿`, en: `draft ${i}` } }),
    ),
  );
  t.strictSame(replies.map(told), ['201', '201', '201', '201']);
  const [left] = await world.sql(
    `select count(*)::int as open from certificate_type_drafts where code = $1 and state = 'open'`,
    [codeOf(type)],
  );
  t.equal(left?.['open'], 1);
});

await t.test('a version that drops a field and a matter that asks for it: never both', async (t) => {
  const seen = new Set<string>();
  for (const [i, type] of (await registered(rounds * 2)).entries()) {
    const id = await draft(without(type, 'score'));
    const matter = asking(type);
    // Each of the two hubs publishes in turn, and now one and now the other is called first.
    const calls = [
      () => publish(i % 2 === 0 ? grantor : grantor2, id),
      () => (i % 2 === 0 ? school2 : school).post('/v1/matters', matter),
    ];
    const replies = await Promise.all((i % 4 < 2 ? calls : calls.toReversed()).map((call) => call()));
    const [published, asked] = (i % 4 < 2 ? replies : replies.toReversed()).map(told);
    seen.add(`${published} | ${asked}`);
  }
  const allowed = new Set(['201 | 422 matter_invalid', '409 change_breaks | 201']);
  t.strictSame(
    [...seen].filter((each) => !allowed.has(each)),
    [],
    [...seen].join('; '),
  );
});

await t.test('a retirement and a matter that asks for the type: never both', async (t) => {
  const seen = new Set<string>();
  for (const type of await registered(rounds)) {
    const replies = await Promise.all([
      grantor2.post(`/v1/certificate-types/${codeOf(type)}/retirements`, { reason: 'test' }),
      school.post('/v1/matters', asking(type)),
    ]);
    seen.add(replies.map(told).join(' | '));
  }
  const allowed = new Set(['200 | 422 matter_invalid', '409 change_breaks | 201']);
  t.strictSame(
    [...seen].filter((each) => !allowed.has(each)),
    [],
    [...seen].join('; '),
  );
});

await t.test('a version that drops a field and a grant that names it: never both without a note', async (t) => {
  const seen = new Set<string>();
  for (const [i, type] of (await registered(rounds * 2)).entries()) {
    const id = await draft(without(type, 'score'));
    const wish = newWish({ fields: ['score'] }, { certificateTypeCode: codeOf(type) });
    const applying = school.post('/v1/grant-applications', wish);
    const { applicationId } = await expectAnswer<{ applicationId: string }>(applying, 201);
    const path = `/v1/grant-applications/${applicationId}/decisions`;
    const calls = [() => publish(grantor2, id), () => (i % 2 === 0 ? grantor : grantor2).post(path, approval)];
    const replies = await Promise.all((i % 4 < 2 ? calls : calls.toReversed()).map((call) => call()));
    const [published, granted] = (i % 4 < 2 ? replies : replies.toReversed()).map(told);
    seen.add(`${published} | ${granted}`);
  }
  const allowed = new Set(['201 | 422 field_unknown', '409 change_breaks | 200']);
  t.strictSame(
    [...seen].filter((each) => !allowed.has(each)),
    [],
    [...seen].join('; '),
  );
});

await t.test('an import and a matter, two imports: one consistent outcome', async (t) => {
  const seen = new Set<string>();
  for (const type of await registered(rounds)) {
    const replies = await Promise.all([
      admin2.post('/v1/catalogue/imports', catalogueFile({ types: [without(type, 'score')] })),
      school.post('/v1/matters', asking(type)),
    ]);
    seen.add(replies.map(told).join(' | '));
  }
  const allowed = new Set(['200 | 422 matter_invalid', '409 change_breaks | 201']);
  t.strictSame(
    [...seen].filter((each) => !allowed.has(each)),
    [],
    [...seen].join('; '),
  );
  const type = newType();
  const file = catalogueFile({ types: [type], matters: [asking(type)] });
  const answers = await Promise.all([admin, admin2].map((client) => client.post('/v1/catalogue/imports', file)));
  const outcomes = answers.map(({ body }) => (body as { types: { outcome: string }[] }).types[0]?.outcome ?? '');
  t.strictSame(new Set(outcomes), new Set(['added', 'unchanged']));
});
