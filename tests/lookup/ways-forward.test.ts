import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { Reply } from '../../src/cli/api-client.ts';
import { demoTypes } from '../../src/cli/demo/certificates.ts';
import { expectAnswer, issue } from '../../src/cli/demo/load.ts';
import { newType } from '../api/samples.ts';
import { pushOf, putGrant } from '../support/demo-samples.ts';
import { startHub } from '../support/start-hub.ts';

const hub = await startHub(t);
const [admin, school, grantor] = [hub.client('hub-admin'), hub.client('school-enrolment'), hub.client('psb-grants')];
const card = pushOf(demoTypes.residentIdCard);
await issue(hub.client(card.clientId), card, 'ways-card');
const holder = { type: '111', number: card.body.holders[0]?.number };
const officer = { id: 'officer-9', name: '经办人乙' };
const purpose = { matterCode: 'school-enrolment', caseNumber: 'CASE-1', officer, legalBasis: 'own_application' };
const ask = (types?: unknown, rest: object = {}) =>
  school.post('/v1/lookups', { purpose, level: 'fields', holder, ...(types !== undefined && { types }), ...rest });
interface Problem {
  readonly code: string;
  readonly context: Readonly<Record<string, unknown>> & {
    readonly apply?: readonly { readonly certificateTypeCode: string; readonly wanted: Record<string, unknown> }[];
  };
}
const problemOf = ({ body }: Reply): Problem => body as Problem;
const registered = async (): Promise<string> => {
  const type = newType();
  await expectAnswer(admin.post('/v1/certificate-types', type), 201);
  return String(type['certificateTypeCode']);
};
const retire = (code: string) =>
  expectAnswer(grantor.post(`/v1/certificate-types/${code}/retirements`, { reason: 'test' }), 200);
const seen = () => sleep(1_000);

/** Applies with what a refusal names and what only the applicant knows. */
async function mustApply(t: Test, { context: { apply = [] } }: Problem): Promise<void> {
  for (const [i, { wanted, ...body }] of apply.entries()) {
    const reply = await school.post('/v1/grant-applications', {
      ...body,
      wanted: { ...wanted, dailyQuota: 5 },
      legalGround: 'Article 12',
      safeguards: 'read by one',
      officer,
    });
    t.equal(reply.status, 201, `${i}: it can be applied for as it stands: ${JSON.stringify(reply.body)}`);
  }
}

await t.test('what is named to apply for shows what was asked for, and nothing sensitive on its own', async (t) => {
  const types = [{ certificateTypeCode: demoTypes.residentIdCard }];
  const refused = problemOf(await ask(types));
  t.match(refused, { code: 'grant_required', context: { apply: [{ wanted: { level: 'fields' } }] } });
  const { fields } = await expectAnswer<{ fields: { name: string; class: string }[] }>(
    school.get(`/v1/certificate-types/${demoTypes.residentIdCard}`),
    200,
  );
  t.strictSame(refused.context.apply?.[0]?.wanted['fields'], [
    'certificateNumber',
    'certificateIssuedDate',
    ...fields.filter((field) => field.class !== 'sensitive').map(({ name }) => name),
  ]);
  await mustApply(t, refused);
  const status = problemOf(await ask(types, { level: 'compare' }));
  t.strictSame(status.context.apply?.[0]?.wanted['fields'], ['certificateIssuedDate'], 'for the status alone no more');
  await mustApply(t, status);
});

await t.test('where no type is named there is nothing to apply for, and the words say what to do', async (t) => {
  const { status, body } = await school.post('/v1/lookups', { purpose, level: 'fields', holder });
  t.match(
    [status, body],
    [403, { code: 'grant_required', context: { pointer: '/types' }, next: /name those you need/ }],
  );
  t.notOk('apply' in problemOf({ status, body } as Reply).context);
});

await t.test('of a retired type nothing is applied for; a grant on it still answers', async (t) => {
  const [gone, held] = [await registered(), await registered()];
  await putGrant(hub.client, { certificateTypeCode: held, fields: ['note'] });
  await retire(gone);
  await retire(held);
  await seen();
  t.equal((await ask([{ certificateTypeCode: held, fields: ['note'] }])).status, 200);
  const alone = await ask([{ certificateTypeCode: held }, { certificateTypeCode: gone, fields: ['note'] }]);
  t.match(
    [alone.status, problemOf(alone)],
    [409, { code: 'certificate_type_retired', context: { pointer: '/types/1/certificateTypeCode', retired: [gone] } }],
  );
  t.notOk('apply' in problemOf(alone).context);
  const both = problemOf(
    await ask([{ certificateTypeCode: gone }, { certificateTypeCode: demoTypes.marriage, fields: ['registeredDate'] }]),
  );
  t.match(both, { code: 'grant_required', context: { retired: [gone] } });
  t.strictSame(
    both.context.apply?.map(({ certificateTypeCode }) => certificateTypeCode),
    [demoTypes.marriage],
  );
  await mustApply(t, both);
});

await t.test('a field that a version took away is named, with what that version says to do', async (t) => {
  const type = newType();
  const certificateTypeCode = String(type['certificateTypeCode']);
  await expectAnswer(admin.post('/v1/certificate-types', type), 201);
  await putGrant(hub.client, { certificateTypeCode, fields: ['note', 'score'] });
  const [note] = type['fields'] as unknown[];
  const drafting = hub.client('psb-issuer').post('/v1/certificate-type-drafts', { ...type, fields: [note] });
  const { draftId } = await expectAnswer<{ draftId: string }>(drafting, 201);
  const migrationNote = { zh: '改用备注', en: 'Use the note' };
  const publishing = grantor.post(`/v1/certificate-type-drafts/${draftId}/publications`, { migrationNote });
  await expectAnswer(publishing, 201);
  await seen();
  t.match(problemOf(await ask([{ certificateTypeCode, compare: { score: 1 } }], { level: 'compare' })), {
    code: 'field_unknown',
    context: { pointer: '/types/0/compare/score', field: 'score', migrationNote },
  });
  t.match(problemOf(await ask([{ certificateTypeCode, fields: ['note', 'score'] }])), {
    code: 'field_unknown',
    context: { pointer: '/types/0/fields/1', field: 'score', migrationNote },
  });
  const stray = problemOf(
    await ask([{ certificateTypeCode, compare: { '990000199807041015': 1 } }], { level: 'compare' }),
  );
  t.match(stray, { code: 'field_unknown', context: { pointer: '/types/0/compare' } });
  t.notMatch(JSON.stringify(stray), /990000199807041015|migrationNote/, 'what looks like a number is not repeated');
});

await t.test('a value that the field can never have is refused, whoever is asked about', async (t) => {
  await putGrant(hub.client, {
    level: 'compare',
    fields: ['name', 'birthDate', 'certificateNumber', 'certificateIssuedDate', 'certificateHolders'],
  });
  await putGrant(hub.client, {
    certificateTypeCode: demoTypes.socialInsurance,
    level: 'compare',
    fields: ['pensionMonths'],
  });
  await seen();
  const compare = (values: object, certificateTypeCode: string = demoTypes.residentIdCard, rest: object = {}) =>
    ask([{ certificateTypeCode, compare: values }], { level: 'compare', ...rest });
  const nobody = { type: '111', number: '990000190001010016' };
  for (const [field, values] of Object.entries({
    birthDate: ['19921004', '1992-13-04', 5, null, { a: 1 }, ['1992-10-04'], true],
    name: [5, null, ['x'], {}],
    certificateNumber: [7, null],
    certificateIssuedDate: ['2020/03/10', 20_200_310],
    certificateHolders: ['somebody', {}, [{ type: 111 }]],
  })) {
    for (const value of values) {
      const told = [holder, nobody].map((who) => compare({ [field]: value }, undefined, { holder: who }));
      const [known, unknown] = (await Promise.all(told)).map((reply) => ({ ...problemOf(reply), requestId: '' }));
      t.match(known, { code: 'field_invalid', context: {} }, `${field} ${JSON.stringify(value)}`);
      t.match(known?.context['pointer'], new RegExp(`^/types/0/compare/${field}(/|$)`));
      t.strictSame(known, unknown, 'it says nothing about anybody');
    }
  }
  const inMonths = (value: unknown) => compare({ pensionMonths: value }, demoTypes.socialInsurance);
  t.match(problemOf(await inMonths('22')), {
    code: 'field_invalid',
    context: { pointer: '/types/0/compare/pensionMonths', rule: 'type' },
  });
  t.equal((await inMonths(22)).status, 200);
  t.equal((await inMonths(-22)).status, 200, 'limits change from version to version: they are no matter of form');
  const { name, birthDate } = card.body.fields as Record<string, unknown>;
  const right = await compare({ name: ` ${String(name)} `, birthDate, certificateHolders: card.body.holders });
  t.match(right.body, {
    certificates: [{ compared: { name: true, birthDate: true, certificateHolders: true } }],
  });
  t.match((await compare({ birthDate: '1900-01-01', name: '' })).body, {
    certificates: [{ compared: { name: false, birthDate: false } }],
  });
});
