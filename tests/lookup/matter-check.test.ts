import t, { type Test } from 'tap';
import type { ApiClient, Reply } from '../../src/cli/api-client.ts';
import { demoTypes, type PushBody } from '../../src/cli/demo/certificates.ts';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import { type Person, personOf } from '../../src/cli/demo/people.ts';
import { checkStore, proveStore } from '../support/check-records.ts';
import { runSql } from '../support/database.ts';
import { expiredGrant, putGrant } from '../support/demo-samples.ts';
import { faultyInsert } from '../support/faulty.ts';
import { exampleKeys, startHub, type TestHub } from '../support/start-hub.ts';
import { certificateUpTo, clerk, clientsOf, marriageOf, permitOf } from '../support/workload.ts';

const publicSecurity = demoTypes.residentIdCard.slice(0, 18);
const humanResources = demoTypes.socialInsurance.slice(0, 18);
const officer = { id: 'officer-9', name: '经办人乙' };
const words = (text: string) => ({ zh: `${text}（中）`, en: text });

interface Reason {
  code: string;
  text: { zh: string; en: string };
  party?: string;
  certificateTypeCode?: string;
  certificateIdentifier?: string;
  field?: string;
  apply?: Record<string, unknown>;
  ownerDepartmentCode?: string;
}
interface Finding {
  code: string;
  outcome: string;
  alternative?: number;
  reasons: Reason[];
  until?: string;
  declaration?: { zh: string; en: string };
  insteadAllowed?: { declaration?: { zh: string; en: string }; until?: string };
  recordIds: string[];
}
interface Check {
  recordId: string;
  version: number;
  date: string;
  complete: boolean;
  requirements: Finding[];
  evidence: {
    recordId: string;
    answer: string;
    certificates: { certificateIdentifier: string; certificateTypeCode: string; fields?: Record<string, unknown> }[];
  }[];
  notice?: {
    number: string;
    date: string;
    issuedBy: { departmentCode: string };
    competentDepartment?: { departmentCode: string };
    items: { requirement: string; what: { zh: string; en: string }; until?: string }[];
    openAtOffice: { requirement: string; why: { zh: string; en: string } }[];
    text: { zh: string; en: string };
  };
}
const problemOf = ({ body }: Reply) => body as { code: string; context?: Record<string, unknown> };

let made = 0;
const next = (): number => {
  made += 1;
  return made;
};
/** Somebody about whom nothing is on file yet. */
const somebody = (): Person => personOf(1_000 + next());
const holder = ({ idNumber }: Person) => ({ type: '111', number: idNumber });

const cardOf = (person: Person): PushBody => ({
  certificateTypeCode: demoTypes.residentIdCard,
  certificateNumber: `ID-${next()}`,
  certificateIssuedDate: '2020-03-10',
  certificateEffectiveDate: '2020-03-10',
  certificateExpiringDate: '2040-03-10',
  holders: [{ ...holder(person), name: person.name }],
  fields: {
    name: person.name,
    sex: person.sex,
    ethnicity: '汉族',
    birthDate: person.birthDate,
    address: person.address,
    idNumber: person.idNumber,
    issuingAuthority: '示范市公安局',
  },
  officer: clerk,
});

const requirement = (code: string, rest: Record<string, unknown>) => ({
  code,
  name: words(`requirement ${code}`),
  legalGround: words('Article 12'),
  ...rest,
});
const card = { certificateTypeCode: demoTypes.residentIdCard, fields: ['name'] };
const permit = { certificateTypeCode: demoTypes.residencePermit, fields: ['name'] };
const onPaper = {
  paper: { issuedBy: words('the kindergarten'), howToObtain: words('ask the office of the kindergarten') },
};

/** Registers a matter of an applicant and a child. */
async function matterOf(hub: TestHub, requirements: readonly unknown[]): Promise<string> {
  const matterCode = `matter-${next()}`;
  await expectAnswer(
    hub.client('hub-admin').post('/v1/matters', {
      matterCode,
      name: words(matterCode),
      departmentCode: '11999900100000075D',
      parties: [
        { code: 'applicant', name: words('Applicant'), kind: 'person' },
        { code: 'child', name: words('Child'), kind: 'person' },
      ],
      requirements,
    }),
    201,
  );
  return matterCode;
}

const allow = async (hub: TestHub, matterCode: string, overrides: Record<string, unknown> = {}): Promise<string> =>
  (await putGrant(hub.client, { fields: ['name'], matters: [matterCode], ...overrides })).grantId;
const allowPermits = (hub: TestHub, matterCode: string, fields: readonly string[] = ['name']): Promise<string> =>
  allow(hub, matterCode, { certificateTypeCode: demoTypes.residencePermit, fields });

interface Asking {
  readonly applicant?: Person;
  readonly child?: Person;
  readonly client?: ApiClient;
}
const post = (hub: TestHub, matterCode: string, { applicant, child, client }: Asking, rest: object = {}) =>
  (client ?? hub.client('school-enrolment')).post(`/v1/matters/${matterCode}/checks`, {
    caseNumber: 'CASE-1',
    officer,
    legalBasis: 'own_application',
    parties: { applicant: holder(applicant ?? somebody()), child: holder(child ?? somebody()) },
    ...rest,
  });
const check = (hub: TestHub, matterCode: string, asking: Asking, rest: object = {}): Promise<Check> =>
  expectAnswer<Check>(post(hub, matterCode, asking, rest), 200);
const codesOf = (finding: Finding | undefined): string[] => finding?.reasons.map(({ code }) => code) ?? [];

/** Records of lookups and checks since the last call, as an auditor finds them. */
function recordsOf(
  hub: TestHub,
): () => Promise<{ record_id: string; action: string; outcome: string; code: string }[]> {
  let seen = new Set<string>();
  return async () => {
    const { rows } = await runSql(
      hub.database.superuserUrl,
      `select record_id, action, outcome, code from records where action in ('lookUp', 'checkMatter') order by recorded_at, record_id`,
    );
    const all = rows as { record_id: string; action: string; outcome: string; code: string }[];
    const fresh = all.filter(({ record_id }) => !seen.has(record_id));
    seen = new Set(all.map(({ record_id }) => record_id));
    return fresh;
  };
}

const hub = await startHub(t);
const clients = clientsOf(hub);
const psb = clients('psb-issuer');
const put = (body: PushBody): Promise<string> => certificateUpTo(psb, body, 'sealed');
const fresh = recordsOf(hub);

await t.test('a list satisfies alone; what comes after it is not asked about', async (t) => {
  const matterCode = await matterOf(hub, [requirement('identity', { alternatives: [[card], [permit]] })]);
  await Promise.all([allow(hub, matterCode), allowPermits(hub, matterCode)]);
  const [one, other] = [somebody(), somebody()];
  const identifier = await put(cardOf(one));
  const permitIdentifier = await put(permitOf(other, `JZ-${next()}`));
  await put(permitOf(one, `JZ-${next()}`));
  await fresh();

  const first = await check(hub, matterCode, { applicant: one });
  t.match(first, { complete: true, version: 1, requirements: [{ outcome: 'satisfied', alternative: 0 }] });
  t.match(first.requirements[0]?.reasons, [
    { code: 'in_force', party: 'applicant', certificateIdentifier: identifier },
  ]);
  t.notOk(first.notice);
  t.equal(first.evidence.length, 1, 'the residence permit is nobody’s business now');
  t.strictSame(first.evidence[0]?.certificates[0]?.fields, { name: one.name });
  t.strictSame(first.requirements[0]?.recordIds, [first.evidence[0]?.recordId]);
  const records = await fresh();
  t.strictSame(
    records.map(({ action, outcome }) => [action, outcome]),
    [
      ['lookUp', 'answered'],
      ['checkMatter', 'answered'],
    ],
    'invariant 1: one record for each lookup and one for the check',
  );
  t.strictSame(
    records.map(({ record_id }) => record_id),
    [first.evidence[0]?.recordId, first.recordId],
  );

  const second = await check(hub, matterCode, { applicant: other });
  t.match(second.requirements[0], {
    outcome: 'satisfied',
    alternative: 1,
    reasons: [{ code: 'in_force', certificateIdentifier: permitIdentifier }],
  });
  t.strictSame(second.requirements[0]?.recordIds.length, 1, 'it rests on the list that satisfied it');
});

await t.test('of a list everything is needed, and everything missing is named at once', async (t) => {
  const matterCode = await matterOf(hub, [
    requirement('both', { alternatives: [[permit, card, { ...card, of: 'child' }]] }),
    requirement('again', { alternatives: [[card]] }),
  ]);
  await Promise.all([allow(hub, matterCode), allowPermits(hub, matterCode)]);
  const applicant = somebody();
  await put(cardOf(applicant));
  await fresh();
  const answer = await check(hub, matterCode, { applicant });
  t.equal(answer.complete, false);
  t.match(answer.requirements, [{ outcome: 'to_supply' }, { outcome: 'satisfied' }]);
  t.strictSame(codesOf(answer.requirements[0]), ['not_found', 'in_force', 'not_found']);
  t.equal(answer.evidence.length, 3, 'asked once, though two requirements need the card');
  t.strictSame((await fresh()).length, 4);
  const [item] = answer.notice?.items ?? [];
  t.equal(answer.notice?.items.length, 1);
  t.match(item?.what.zh, /申请人|Applicant（中）/);
  t.match(item?.what.zh, /居住证/);
  t.match(item?.what.zh, /Child（中）的《居民身份证》/);
  t.notMatch(item?.what.zh, /Applicant（中）的《居民身份证》/, 'what the hub has is not asked for');
});

await t.test('wrong issuer, condition, party', async (t) => {
  const certificateTypeCode = `${publicSecurity}87${next() % 10}`;
  await expectAnswer(
    clients('hub-admin').post('/v1/certificate-types', {
      certificateTypeCode,
      name: { zh: '培训证', en: 'Training certificate' },
      ownerDepartmentCode: publicSecurity,
      allowedIssuers: [{ departmentCode: publicSecurity }, { departmentCode: humanResources }],
      holderKind: 'person',
      holderCount: { min: 1, max: 1 },
      fields: [
        {
          name: 'hours',
          label: { zh: '学时', en: 'Hours' },
          schema: { type: 'integer', minimum: 0 },
          class: 'public',
          required: true,
        },
      ],
      validity: { kind: 'either' },
      reviewRequired: true,
    }),
    201,
  );
  const training = (person: Person, hours: number): PushBody => ({
    ...cardOf(person),
    certificateTypeCode,
    fields: { hours },
  });
  const material = {
    certificateTypeCode,
    issuedBy: [publicSecurity],
    conditions: [{ field: 'hours', is: 'at_least', value: 40 }],
  };
  const matterCode = await matterOf(hub, [requirement('training', { alternatives: [[material]] })]);
  await allow(hub, matterCode, { certificateTypeCode, fields: ['hours'] });

  const elsewhere = somebody();
  await certificateUpTo(clients('hrss-issuer'), training(elsewhere, 100), 'sealed');
  const other = await check(hub, matterCode, { applicant: elsewhere });
  t.strictSame(codesOf(other.requirements[0]), ['other_issuer']);
  t.match(other.requirements[0]?.reasons[0]?.text.zh, /须由示范市公安局签发/);

  const short = somebody();
  await put(training(short, 39));
  const unmet = await check(hub, matterCode, { applicant: short });
  t.match(unmet.requirements[0], {
    outcome: 'to_supply',
    reasons: [{ code: 'condition_not_met', field: 'hours', certificateTypeCode }],
  });
  const [reason] = unmet.requirements[0]?.reasons ?? [];
  t.match(reason?.text.zh, /“学时”不符合要求，应不小于40/);
  t.notMatch(JSON.stringify([reason?.text, unmet.notice]), /\b39\b/, 'the value itself is in no text');

  const enough = somebody();
  await put(training(enough, 40));
  t.match((await check(hub, matterCode, { applicant: enough })).requirements[0], { outcome: 'satisfied' });

  const couple = await matterOf(hub, [
    requirement('spouses', {
      alternatives: [
        [
          {
            certificateTypeCode: demoTypes.marriage,
            conditions: [{ field: 'certificateHolders', is: 'same_as_party', party: 'child' }],
          },
        ],
      ],
    }),
  ]);
  await allow(hub, couple, { certificateTypeCode: demoTypes.marriage, fields: ['certificateHolders'] });
  const [one, two] = [somebody(), somebody()];
  await certificateUpTo(clients('civil-affairs-issuer'), marriageOf(one, two, `J-${next()}`), 'sealed');
  t.match((await check(hub, couple, { applicant: one, child: two })).requirements[0], { outcome: 'satisfied' });
  const apart = await check(hub, couple, { applicant: one });
  t.match(apart.requirements[0]?.reasons, [{ code: 'condition_not_met', field: 'certificateHolders' }]);
  t.notMatch(JSON.stringify(apart.notice), new RegExp(`${one.idNumber}|${two.idNumber}|${one.name}|${two.name}`));
});

await t.test('not in force: by the calendar on that day, by a decision on every day', async (t) => {
  const bare = { certificateTypeCode: demoTypes.residencePermit };
  const matterCode = await matterOf(hub, [
    requirement('read', { alternatives: [[permit]] }),
    requirement('held', { alternatives: [[bare]] }),
  ]);
  await allowPermits(hub, matterCode);
  const applicant = somebody();
  const identifier = await put(permitOf(applicant, `JZ-${next()}`));
  const outcomes = async (date?: string): Promise<(string | undefined)[]> => {
    const { requirements } = await check(hub, matterCode, { applicant }, date === undefined ? {} : { date });
    return requirements.map((each) => codesOf(each)[0]);
  };
  t.strictSame(await outcomes(), ['in_force', 'in_force']);
  t.strictSame(await outcomes('2029-03-09'), ['in_force', 'in_force'], 'its last day');
  t.strictSame(await outcomes('2029-03-10'), ['not_in_force', 'not_in_force']);
  t.strictSame(await outcomes('2025-03-09'), ['not_in_force', 'not_in_force']);
  const status = `/v1/certificates/${identifier}/status-changes`;
  await expectAnswer(psb.post(status, { action: 'suspend', reason: 'test' }), 200);
  t.strictSame(await outcomes(), ['not_in_force', 'not_in_force'], 'suspended');
  t.strictSame(await outcomes('2026-01-01'), ['not_in_force', 'not_in_force'], 'suspended, also for a day before');
  await expectAnswer(psb.post(status, { action: 'resume', reason: 'test' }), 200);
  t.strictSame(await outcomes(), ['in_force', 'in_force']);
  const answer = await check(hub, matterCode, { applicant });
  const fields = answer.evidence.map(({ certificates }) => Object.keys(certificates[0]?.fields ?? {}));
  t.strictSame(new Set(fields.map(String)), new Set(['', 'name']), 'who need not read anything reads nothing');
});

await t.test('a permission is missing: what to apply for is what then works', async (t) => {
  const matterCode = await matterOf(hub, [
    requirement('identity', { alternatives: [[{ ...card, fields: ['name', 'birthDate'] }]] }),
    requirement('held', { alternatives: [[{ certificateTypeCode: demoTypes.residencePermit, of: 'child' }]] }),
  ]);
  const [applicant, child] = [somebody(), somebody()];
  await put(cardOf(applicant));
  await put(permitOf(child, `JZ-${next()}`));
  await allow(hub, matterCode, { fields: ['name'] });
  await fresh();
  const before = await check(hub, matterCode, { applicant, child });
  t.strictSame(
    before.requirements.map(({ outcome }) => outcome),
    ['permission_needed', 'permission_needed'],
    'fields never exceed the grant: a narrower one is none',
  );
  t.strictSame([before.complete, before.evidence, before.notice], [false, [], undefined]);
  t.strictSame(
    (await fresh()).map(({ action, outcome }) => [action, outcome]),
    [['checkMatter', 'answered']],
    'nobody was asked about',
  );
  const nobody = await check(hub, matterCode, {});
  t.strictSame(nobody.requirements, before.requirements, 'the same for somebody who has nothing');
  for (const { reasons } of before.requirements) {
    const [{ apply = {}, ownerDepartmentCode } = {}] = reasons;
    t.equal(ownerDepartmentCode, publicSecurity, 'who decides stands beside it');
    const { certificateTypeCode, wanted } = apply as { certificateTypeCode: string; wanted: object };
    t.match(wanted, { matters: [matterCode], legalBases: ['own_application'] });
    const rest = { legalGround: 'Article 12', safeguards: 'read by one', officer };
    const body = { ...apply, wanted: { ...wanted, dailyQuota: 9 }, ...rest };
    t.equal((await clients('school-enrolment').post('/v1/grant-applications', body)).status, 201, 'as it stands');
    await allow(hub, matterCode, { certificateTypeCode, ...wanted });
  }
  const after = await check(hub, matterCode, { applicant, child });
  t.strictSame([after.complete, after.requirements.map(({ outcome }) => outcome)], [true, ['satisfied', 'satisfied']]);
  const { status, body } = await post(hub, matterCode, { applicant, child, client: clients('housing-allocation') });
  t.equal(status, 200);
  t.match((body as Check).requirements, [{ outcome: 'permission_needed' }, { outcome: 'permission_needed' }]);
});

await t.test('pending at the issuer, for those alone who may see it once it is sealed', async (t) => {
  const matterCode = await matterOf(hub, [requirement('permit', { alternatives: [[permit]], laterDays: 9 })]);
  const applicant = somebody();
  const identifier = await certificateUpTo(psb, permitOf(applicant, `JZ-${next()}`), 'pushed');
  t.match(await check(hub, matterCode, { applicant }), { requirements: [{ outcome: 'permission_needed' }] });
  await allowPermits(hub, matterCode);
  const answer = await check(hub, matterCode, { applicant });
  t.match(answer, { complete: false, requirements: [{ outcome: 'pending' }] });
  t.strictSame(codesOf(answer.requirements[0]), ['not_yet_sealed']);
  t.notOk(answer.notice, 'the person has nothing to bring');
  t.notMatch(JSON.stringify(answer), identifier, 'its identifier is not told yet');
  t.match(
    (await check(hub, matterCode, { applicant }, { date: '2029-03-10' })).requirements,
    [{ outcome: 'later', reasons: [{ code: 'not_found' }] }],
    'what will not be in force on that day is no prospect',
  );
  await expectAnswer(
    psb.post(`/v1/certificates/${identifier}/reviews`, {
      decision: 'return',
      reason: 'a photograph is missing',
      officer: { id: 'reviewer-11', name: '郑复核' },
    }),
    200,
  );
  t.match((await check(hub, matterCode, { applicant })).requirements, [{ outcome: 'pending' }]);
});

await t.test('what the matter allows, and the notice that names everything', async (t) => {
  const matterCode = await matterOf(hub, [
    requirement('identity', { alternatives: [[card], [permit]] }),
    requirement('later', { alternatives: [[{ ...card, of: 'child' }]], laterDays: 10 }),
    requirement('declared', { alternatives: [[permit]], declaration: words('I live in the city') }),
    requirement('paper', onPaper),
    requirement('paper-later', { ...onPaper, laterDays: 30 }),
  ]);
  await Promise.all([allow(hub, matterCode), allowPermits(hub, matterCode)]);
  const [applicant, child] = [somebody(), somebody()];
  const answer = await check(hub, matterCode, { applicant, child }, { date: '2026-11-25' });
  t.equal(answer.complete, false);
  t.match(answer.requirements, [
    { code: 'identity', outcome: 'to_supply', until: undefined },
    { code: 'later', outcome: 'later', until: '2026-12-05' },
    { code: 'declared', outcome: 'declaration', declaration: { en: 'I live in the city' } },
    { code: 'paper', outcome: 'to_supply', reasons: [{ code: 'paper_only' }], recordIds: [] },
    { code: 'paper-later', outcome: 'later', until: '2026-12-25' },
  ]);
  const { notice } = answer;
  t.match(notice?.number, answer.recordId, 'its number names the record');
  t.strictSame(
    notice?.items.map(({ requirement: code, until }) => [code, until]),
    [
      ['identity', undefined],
      ['later', '2026-12-05'],
      ['declared', undefined],
      ['paper', undefined],
      ['paper-later', '2026-12-25'],
    ],
  );
  const { zh, en } = notice?.text ?? { zh: '', en: '' };
  for (const part of [
    '补正材料通知书',
    String(notice?.number),
    `${matterCode}（中）`,
    'CASE-1',
    '居民身份证',
    '居住证',
    '任选其一',
    'I live in the city（中）',
    'the kindergarten（中）',
    'ask the office of the kindergarten（中）',
    '2026年12月5日',
    '2026年12月25日',
    '补正期限',
    '出具部门：示范市教育局',
    'Article 12（中）',
    '日期：',
  ]) {
    t.ok(zh.includes(part), `Chinese: ${part}`);
  }
  for (const part of [
    String(notice?.number),
    'CASE-1',
    'Resident ID card',
    'Residence permit',
    'one of the following',
    'I live in the city',
    'issued by the kindergarten',
    '2026-12-05',
    '2026-12-25',
    'Issued by: ',
    'Date: ',
  ]) {
    t.ok(en.includes(part), `English: ${part}`);
  }
  const said = JSON.stringify([notice, answer.requirements]);
  for (const { name, idNumber, birthDate, address } of [applicant, child]) {
    for (const value of [name, idNumber, birthDate, address]) {
      t.notOk(said.includes(value), 'invariant 5: nothing personal');
    }
  }

  const lenient = await matterOf(hub, [requirement('later', { ...onPaper, laterDays: 1 })]);
  const accepted = await check(hub, lenient, {});
  t.equal(accepted.complete, true, 'what may follow does not keep anybody from beginning');
  t.equal(accepted.notice?.items.length, 1);
});

await t.test('a notice promises nothing that the office has yet to find out', async (t) => {
  const matterCode = await matterOf(hub, [
    requirement('paper', onPaper),
    requirement('granted', { alternatives: [[card]] }),
    requirement('pending', { alternatives: [[permit]], declaration: words('I live here'), laterDays: 3 }),
    requirement('unseen', { alternatives: [[{ certificateTypeCode: demoTypes.marriage }]], laterDays: 10 }),
  ]);
  await Promise.all([allow(hub, matterCode), allowPermits(hub, matterCode)]);
  const applicant = somebody();
  await put(cardOf(applicant));
  await certificateUpTo(psb, permitOf(applicant, `JZ-${next()}`), 'pushed');
  const { notice, requirements } = await check(hub, matterCode, { applicant }, { date: '2026-11-25' });
  t.strictSame(
    requirements.map(({ outcome }) => outcome),
    ['to_supply', 'satisfied', 'pending', 'permission_needed'],
  );
  t.match(requirements[2], { insteadAllowed: { declaration: { en: 'I live here' }, until: '2026-11-28' } });
  t.strictSame(requirements[3]?.insteadAllowed, { until: '2026-12-05' });
  t.strictSame([requirements[3]?.until, requirements[0]?.insteadAllowed], [undefined, undefined]);
  t.strictSame(
    [notice?.items, notice?.openAtOffice].map((list) => list?.map(({ requirement: code }) => code)),
    [['paper'], ['pending', 'unseen']],
  );
  const { zh = '', en = '' } = notice?.text ?? {};
  t.notMatch(zh, /全部内容一次性告知|上述材料，补齐后即予受理/);
  t.match(
    zh,
    /\n二、由本机关核验、目前无须您提交的材料\n1\.requirement pending（中）：.*《.*居住证》：发证部门.*\n2\..*《.*》：本机关尚无/u,
  );
  t.match(
    en,
    /\n2\. Verified by this office.*\n2\.1 requirement pending: "Residence permit".*\n2\.2 requirement unseen: /u,
  );
});

await t.test('a notice is issued by whoever checks, and names whose matter it is', async (t) => {
  const matterCode = await matterOf(hub, [requirement('paper', onPaper)]);
  const own = (await check(hub, matterCode, {})).notice;
  t.match(own, { issuedBy: { departmentCode: '11999900100000075D', name: { zh: '示范市教育局' } } });
  t.equal(own?.competentDepartment, undefined);
  const client = clients('housing-allocation');
  const { recordId, notice } = await check(hub, matterCode, { client });
  t.match(notice, {
    issuedBy: { departmentCode: '119999001000000838' },
    competentDepartment: { departmentCode: '11999900100000075D', name: { zh: '示范市教育局' } },
  });
  const { issuedBy } = notice as unknown as { issuedBy: { name: { zh: string; en: string } } };
  const { zh = '', en = '' } = notice?.text ?? {};
  t.ok(zh.includes(`\n出具部门：${issuedBy.name.zh}\n事项主管部门：示范市教育局\n`), zh);
  t.ok(en.includes(`\nIssued by: ${issuedBy.name.en}\nCompetent for the matter: `), en);
  t.not(issuedBy.name.zh, '示范市教育局');
  const { records } = await proveStore(hub.db, exampleKeys);
  t.match(records.find((record) => record.recordId === recordId)?.body, {
    client: { department: '119999001000000838' },
    scope: { matterDepartmentCode: '11999900100000075D' },
  });
});

await t.test('quota: used up is said, and is no fault of the check', async (t) => {
  const matterCode = await matterOf(hub, [
    requirement('identity', { alternatives: [[card]] }),
    requirement('child', { alternatives: [[{ ...card, of: 'child' }]] }),
    requirement('permit', { alternatives: [[permit]] }),
  ]);
  await allow(hub, matterCode, { dailyQuota: 1 });
  await allowPermits(hub, matterCode);
  const [applicant, child] = [somebody(), somebody()];
  await Promise.all([put(cardOf(applicant)), put(cardOf(child)), put(permitOf(applicant, `JZ-${next()}`))]);
  await fresh();
  const answer = await check(hub, matterCode, { applicant, child });
  const outcomes = answer.requirements.map(({ outcome }) => outcome);
  t.strictSame(outcomes.toSorted(), ['permission_needed', 'satisfied', 'satisfied'], 'one of the two cards');
  const limited = answer.requirements.find(({ outcome }) => outcome === 'permission_needed');
  t.strictSame(codesOf(limited), ['quota_used_up']);
  t.equal(answer.complete, false);
  const records = await fresh();
  t.strictSame(records.map(({ action, code }) => `${action} ${code ?? ''}`.trim()).toSorted(), [
    'checkMatter',
    'lookUp',
    'lookUp',
    'lookUp quota_exceeded',
  ]);
});

await t.test('refuses what does not fit the matter, and records it', async (t) => {
  const matterCode = await matterOf(hub, [requirement('identity', { alternatives: [[card]] })]);
  const [applicant, child] = [holder(somebody()), holder(somebody())];
  const company = { type: '001', number: '11999900100000075D' };
  const wrong = {
    ...applicant,
    number: `${applicant.number.slice(0, 17)}${applicant.number.endsWith('0') ? '1' : '0'}`,
  };
  const cases: [unknown, string, string, object?][] = [
    [{ applicant }, 'party_missing', '/parties/child'],
    [{ applicant, child, neighbour: child }, 'party_missing', '/parties/*'],
    [{ applicant, toString: child }, 'party_missing', '/parties/child'],
    [{ applicant: company, child }, 'party_missing', '/parties/applicant/type'],
    [{ applicant: wrong, child }, 'invalid_id_number', '/parties/applicant/number'],
    [{ applicant, child: { ...child, type: '777' } }, 'invalid_holder_type', '/parties/child/type'],
    [{ applicant, child }, 'contract_violation', '/date', { date: '0999-01-01' }],
    [{ applicant, child }, 'contract_violation', '/date', { date: '9999-12-31' }],
  ];
  for (const [parties, code, pointer, rest] of cases) {
    await fresh();
    const reply = await post(hub, matterCode, {}, { parties, ...rest });
    t.match(problemOf(reply), { code, context: { pointer } }, `${code} ${pointer}`);
    t.equal(reply.status, code === 'contract_violation' ? 400 : 422);
    t.match(await fresh(), [{ action: 'checkMatter', outcome: 'refused', code }], 'one record');
    t.notMatch(JSON.stringify(reply.body), applicant.number);
    t.notMatch(JSON.stringify(reply.body), 'neighbour', 'the name of a party that nobody knows could be a person’s');
    const { rule, parties: known } = problemOf(reply).context ?? {};
    t.strictSame(known, rule === 'missing' || rule === 'unknown' ? ['applicant', 'child'] : undefined);
  }
  await fresh();
  const reply = await post(hub, 'no-such-matter', {});
  t.match([reply.status, problemOf(reply).code], [404, 'matter_unknown']);
  t.match(await fresh(), [{ action: 'checkMatter', outcome: 'refused', code: 'matter_unknown' }]);
});

await t.test('nobody enrols as their own child, and nothing is looked up to find out', async (t) => {
  const school = 'school-enrolment';
  const adult = somebody();
  await Promise.all([allow(hub, school, { fields: ['name', 'idNumber', 'birthDate'] }), put(cardOf(adult))]);
  await fresh();
  const { idNumber } = adult;
  const guardian = holder(adult);
  const reply = await post(hub, school, {}, { parties: { guardian, child: guardian } });
  t.match(
    [reply.status, problemOf(reply)],
    [422, { code: 'parties_equal', context: { pointer: '/parties/child', distinctFrom: 'guardian' } }],
  );
  t.notMatch(JSON.stringify(reply.body), idNumber);
  t.match(await fresh(), [{ action: 'checkMatter', outcome: 'refused', code: 'parties_equal' }], 'no lookup');
  const small = { ...guardian, number: idNumber.toLowerCase() };
  t.equal(problemOf(await post(hub, school, {}, { parties: { guardian, child: small } })).code, 'parties_equal');
  const { status } = await post(hub, school, {}, { parties: { guardian, child: holder(somebody()) } });
  t.equal(status, 200, 'a matter without the rule, or two people, are checked');
  const matterCode = await matterOf(hub, [requirement('paper', onPaper)]);
  t.equal((await post(hub, matterCode, { applicant: adult, child: adult })).status, 200);
});

await t.test('an adult is not of school age', async (t) => {
  const [guardian, adult] = [somebody(), somebody()];
  await put(cardOf(adult));
  const parties = { guardian: holder(guardian), child: holder(adult) };
  const { body } = await post(hub, 'school-enrolment', {}, { parties });
  const age = (body as Check).requirements.find(({ code }) => code === 'age');
  t.match(age?.outcome, /permission_needed|to_supply/);
  t.match(age?.reasons, [{}, { code: 'condition_not_met', field: 'birthDate' }]);
});

await t.test('a row that was written past the hub fails the whole check', async (t) => {
  const matterCode = await matterOf(hub, [
    requirement('identity', { alternatives: [[card]] }),
    requirement('permit', { alternatives: [[permit]] }),
  ]);
  await Promise.all([allow(hub, matterCode), allowPermits(hub, matterCode)]);
  const applicant = somebody();
  await put(cardOf(applicant));
  const identifier = await put(permitOf(applicant, `JZ-${next()}`));
  await runSql(
    hub.database.superuserUrl,
    `update certificates set state = 'pending_review' where identifier = '${identifier}'`,
  );
  await fresh();
  const reply = await post(hub, matterCode, { applicant });
  t.match(
    [reply.status, problemOf(reply).code],
    [500, 'stored_data_tampered'],
    'also where only the state of it is read',
  );
  t.match((await fresh()).at(-1), { action: 'checkMatter', outcome: 'failed', code: 'stored_data_tampered' });
  await runSql(hub.database.superuserUrl, `update certificates set state = 'valid' where identifier = '${identifier}'`);
});

await t.test('the record of a check says what was told, and nothing of a person', async (t) => {
  const matterCode = await matterOf(hub, [
    requirement('identity', { alternatives: [[card], [permit]] }),
    requirement('paper', onPaper),
  ]);
  await allow(hub, matterCode);
  const [applicant, child] = [somebody(), somebody()];
  await put(cardOf(applicant));
  const answer = await check(hub, matterCode, { applicant, child }, { note: 'urgent' });
  const { records } = await proveStore(hub.db, exampleKeys);
  const record = records.find(({ recordId }) => recordId === answer.recordId);
  t.match(record?.body, {
    kind: 'access',
    action: 'checkMatter',
    purpose: { matterCode, caseNumber: 'CASE-1', legalBasis: 'own_application', note: 'urgent' },
    scope: {
      matterCode,
      version: 1,
      date: answer.date,
      requirements: [
        { code: 'identity', outcome: 'satisfied', alternative: 0, reasons: [{ code: 'in_force' }] },
        { code: 'paper', outcome: 'to_supply', reasons: [{ code: 'paper_only' }] },
      ],
      lookups: answer.evidence.map(({ recordId }) => recordId),
    },
  });
  const subjects = [applicant, child].map(({ idNumber }) => exampleKeys.holderKey('111', idNumber).toString('hex'));
  t.strictSame((record?.body as { subjects?: unknown } | undefined)?.subjects, subjects);
  for (const { name, idNumber } of [applicant, child]) {
    t.notMatch(JSON.stringify(record?.body), new RegExp(`${name}|${idNumber}`), 'invariant 5');
    t.notMatch(hub.logLines.join(''), idNumber);
  }
});

/** A hub in which something happens between the first lookup of a check and its end. */
async function interrupted(t: Test, happen: (hub: TestHub, grantId: string) => Promise<unknown>) {
  let meanwhile: (() => Promise<unknown>) | undefined;
  let faults: ReturnType<typeof faultyInsert> | undefined;
  const own = await startHub(t, {
    insertAll: (db) => {
      faults = faultyInsert(async (rows) => {
        const { insertRecords } = await import('../../src/audit/store.ts');
        await insertRecords(db, rows);
      });
      return faults.insertAll;
    },
  });
  faults?.set(async (rows, insert) => {
    await insert(rows);
    const due = meanwhile;
    meanwhile = undefined;
    await due?.();
  });
  const matterCode = await matterOf(own, [
    requirement('identity', { alternatives: [[card]] }),
    requirement('child', { alternatives: [[{ ...card, of: 'child' }]] }),
  ]);
  const grantId = await allow(own, matterCode);
  await expiredGrant(own.client, { fields: ['name', 'sex'], matters: [matterCode] });
  const applicant = somebody();
  await certificateUpTo(own.client('psb-issuer'), cardOf(applicant), 'sealed');
  const client = own.client('school-enrolment');
  await client.token();
  t.match(await check(own, matterCode, { applicant, client }), { requirements: [{ outcome: 'satisfied' }, {}] });
  const admin = own.client('hub-admin');
  await admin.token();
  meanwhile = () => happen({ ...own, client: () => admin }, grantId);
  const since = recordsOf(own);
  await since();
  const reply = await post(own, matterCode, { applicant, client });
  return { own, reply, records: await since(), applicant };
}

await t.test('a grant that is revoked or suspended in the middle of a check answers nothing', async (t) => {
  for (const [path, code] of [
    ['revocations', 'grant_revoked'],
    ['suspensions', 'grant_suspended'],
  ] as const) {
    const { own, reply, records, applicant } = await interrupted(t, (hub, grantId) =>
      expectAnswer(hub.client('hub-admin').post(`/v1/grants/${grantId}/${path}`, { reason: 'test' }), 200),
    );
    t.match([reply.status, problemOf(reply).code], [403, code]);
    t.match(problemOf(reply).context, { apply: [{ certificateTypeCode: demoTypes.residentIdCard }] });
    t.notMatch(JSON.stringify(reply.body), applicant.name, 'nothing leaves');
    t.match(records.at(-1), { action: 'checkMatter', outcome: 'refused', code });
    t.ok(
      records.some(({ action, outcome }) => action === 'lookUp' && outcome === 'answered'),
      'it was answered to the check, and goes no further',
    );
    t.strictSame(await checkStore(own.db, exampleKeys), []);
  }
});

await t.test('without a record there is no answer', async (t) => {
  let fail = false;
  const own = await startHub(t, {
    insertAll: (db) => async (rows) => {
      const { insertRecords } = await import('../../src/audit/store.ts');
      if (fail && rows.length === 1) throw Object.assign(new Error('connection lost'), { code: '08006' });
      await insertRecords(db, rows);
    },
  });
  const matterCode = await matterOf(own, [requirement('identity', { alternatives: [[card]] })]);
  await allow(own, matterCode);
  const client = own.client('school-enrolment');
  await client.token();
  t.match(await check(own, matterCode, { client }), { complete: false });
  fail = true;
  const reply = await post(own, matterCode, { client });
  t.match([reply.status, problemOf(reply).code], [503, 'record_unavailable'], 'invariant 1');
});

await t.test('everything on file is as the hub wrote it', async (t) => {
  t.strictSame(await checkStore(hub.db, exampleKeys), []);
});
