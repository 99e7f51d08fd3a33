import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { insertRecords } from '../../src/audit/store.ts';
import type { ApiClient, Reply } from '../../src/cli/api-client.ts';
import { demoTypes } from '../../src/cli/demo/certificates.ts';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import { personOf } from '../../src/cli/demo/people.ts';
import { certificateIn, education } from '../api/samples.ts';
import { type Problem, startWorld } from '../api/world.ts';
import { checkStore } from '../support/check-records.ts';
import { pushOf, putGrant } from '../support/demo-samples.ts';
import { faultyInsert } from '../support/faulty.ts';
import { holderStatement } from '../support/holder-statement.ts';
import { exampleKeys, startHub } from '../support/start-hub.ts';

let meanwhile: (() => Promise<unknown>) | undefined;
const world = await startWorld(t);
const { hub, sql, client } = world;
/** A second process of the same hub, in which something can happen as soon as the first lookup of a check is on record. */
const other = await startHub(t, {
  database: hub.database,
  register: false,
  insertAll: (db) => {
    const faults = faultyInsert((rows) => insertRecords(db, rows));
    faults.set(async (rows, insert) => {
      await insert(rows);
      const due = meanwhile;
      meanwhile = undefined;
      await due?.();
    });
    return faults.insertAll;
  },
});
const school = client('school-enrolment');
const schoolOnOther = other.client('school-enrolment');
const admin = client('hub-admin');
const [card, childsCard] = [pushOf(demoTypes.residentIdCard), pushOf(demoTypes.residentIdCard, 1)];
const holderOf = ({ body }: typeof card) => ({ type: '111', number: body.holders[0]?.number ?? '' });
const [parent, child] = [holderOf(card), holderOf(childsCard)];
await certificateIn(world, 'valid', card);
await certificateIn(world, 'valid', childsCard);

const words = (text: string) => ({ zh: text, en: text });
const matterCode = 'ticketed-matter';
const party = (code: string) => ({ code, name: words(code), kind: 'person' });
const needing = (code: string, material: object) => ({
  code,
  name: words(code),
  legalGround: words('Article 12'),
  alternatives: [[{ certificateTypeCode: demoTypes.residentIdCard, ...material }]],
});
const matter = {
  matterCode,
  name: words('Ticketed'),
  departmentCode: education,
  parties: [party('applicant'), party('child')],
  requirements: [
    needing('name', { fields: ['name'] }),
    needing('born', { fields: ['birthDate'] }),
    needing('held', {}),
    needing('childs', { fields: ['name'], of: 'child' }),
  ],
};
await expectAnswer(admin.post('/v1/matters', matter), 201);
const grantOf = (overrides: Record<string, unknown>) => putGrant(client, { matters: [matterCode], ...overrides });
const { grantId } = await grantOf({ fields: ['name', 'birthDate', 'sex'], ticketRequired: true });
await Promise.all([school, schoolOnOther, client('housing-allocation')].map((each) => each.token()));
await sleep(1_000);

const why = {
  caseNumber: 'CASE-77',
  officer: { id: 'officer-9', name: '经办人乙' },
  legalBasis: 'own_application',
};
interface Issued {
  readonly ticketId: string;
  readonly ticket: string;
}
const issue = (overrides: Record<string, unknown> = {}): Promise<Issued> => {
  const types = [{ certificateTypeCode: demoTypes.residentIdCard, fields: ['name', 'birthDate'] }];
  const body: Record<string, unknown> = {
    purpose: { matterCode, ...why },
    level: 'fields',
    holder: parent,
    types,
    ...overrides,
  };
  const { holder } = body;
  const statement = holderStatement({
    matterCode,
    caseNumber: (body['purpose'] as { caseNumber: string }).caseNumber,
    holder,
    types: [demoTypes.residentIdCard],
    ...((body['purpose'] as { matterCode: string }).matterCode === matterCode ? {} : { matterCode: 'other-matter' }),
  });
  return expectAnswer<Issued>(school.post('/v1/tickets', { ...body, statement }), 201);
};
/** Secrets by party; a single one is the applicant's. */
type Quoted = string | Readonly<Record<string, string>> | undefined;
const post = (quoted: Quoted, rest: object = {}, by: ApiClient = school) =>
  by.post(`/v1/matters/${matterCode}/checks`, {
    ...why,
    parties: { applicant: parent, child },
    ...(quoted !== undefined && { tickets: typeof quoted === 'string' ? { applicant: quoted } : quoted }),
    ...rest,
  });
interface Reason {
  readonly code: string;
  readonly party?: string;
  readonly text: { readonly zh: string; readonly en: string };
  readonly apply?: object;
  readonly ticketFor?: object;
}
interface Check {
  readonly recordId: string;
  readonly complete: boolean;
  readonly requirements: readonly { readonly code: string; readonly outcome: string; readonly reasons: Reason[] }[];
  readonly evidence: readonly { readonly recordId: string; readonly certificates: readonly { grantId: string }[] }[];
}
const check = (quoted: Quoted, rest: object = {}): Promise<Check> => expectAnswer<Check>(post(quoted, rest), 200);
const outcomes = ({ requirements }: Check): string[] =>
  requirements.map(({ outcome, reasons }) => (outcome === 'satisfied' ? outcome : (reasons[0]?.code ?? outcome)));
const codeOf = ({ status, body }: Reply): string => (status === 200 ? 'answered' : (body as Problem).code);
const usedOf = async ({ ticketId }: Issued): Promise<unknown> =>
  (await sql('select used from tickets where ticket_id = $1', [ticketId]))[0]?.['used'];
const recordsSince = async (count: number) =>
  sql(
    `select action, outcome, code from records where action in ('lookUp', 'checkMatter') order by recorded_at, record_id offset $1`,
    [count],
  );
const recordCount = async (): Promise<number> => (await recordsSince(0)).length;
/** The last record of a check in full, as an auditor reads it. */
const lastCheck = async (): Promise<string> => {
  const [row] = await sql(
    "select record_id from records where action = 'checkMatter' order by recorded_at desc, record_id desc limit 1",
  );
  return readingOf(String(row?.['record_id']));
};
const readingOf = async (recordId: string): Promise<string> =>
  JSON.stringify(
    (await client('audit-office').post(`/v1/audit/records/${recordId}/readings`, { reason: 'test' })).body,
  );

await t.test('without a ticket the check says that one is needed, and what for', async (t) => {
  const before = await recordCount();
  const answer = await check(undefined);
  t.strictSame(outcomes(answer), ['ticket_needed', 'ticket_needed', 'ticket_needed', 'ticket_needed']);
  t.equal(answer.complete, false);
  t.ok(answer.requirements.every(({ outcome }) => outcome === 'permission_needed'));
  const [reason] = answer.requirements[0]?.reasons ?? [];
  t.match(reason, {
    party: 'applicant',
    ticketFor: { certificateTypeCode: demoTypes.residentIdCard, level: 'fields', fields: ['name'] },
  });
  t.notOk(reason?.apply, 'a grant is there: none needs to be applied for');
  t.match(reason?.text, { zh: /用证码/, en: /under a ticket.*`tickets`/ });
  t.match(await recordsSince(before), [{ action: 'checkMatter', outcome: 'answered' }], 'nobody was asked about');
  t.equal((await recordCount()) - before, 1);
});

await t.test('under a ticket: its holder and what it is for, for one use', async (t) => {
  const issued = await issue();
  const before = await recordCount();
  const answer = await check(issued.ticket);
  t.strictSame(outcomes(answer), ['satisfied', 'satisfied', 'satisfied', 'ticket_needed'], 'not the child');
  t.equal(await usedOf(issued), 1, 'three lookups, one use');
  t.equal(answer.evidence.length, 3);
  t.ok(answer.evidence.every(({ certificates }) => certificates.every((each) => each.grantId === grantId)));
  t.equal((await recordCount()) - before, 4, 'invariant 1: a record of each lookup and of the check');
  for (const recordId of [answer.recordId, ...answer.evidence.map((each) => each.recordId)]) {
    const reading = await readingOf(recordId);
    t.match(reading, issued.ticketId, 'each names the ticket');
    t.notMatch(reading, issued.ticket, 'and not its secret');
  }
  t.equal(codeOf(await post(issued.ticket)), 'ticket_used_up');
  t.equal(codeOf(await post(issued.ticket, {}, schoolOnOther)), 'ticket_used_up', 'on every process');

  const childs = await issue({ holder: child });
  t.strictSame(
    outcomes(await check({ child: childs.ticket })),
    ['ticket_needed', 'ticket_needed', 'ticket_needed', 'satisfied'],
    'the ticket of another party is for that party',
  );
  const twice = await issue({ uses: 2 });
  await check(twice.ticket);
  await check(twice.ticket);
  t.equal(codeOf(await post(twice.ticket)), 'ticket_used_up', 'as often as it is good for');
});

await t.test('what the ticket does not cover is not looked up under it', async (t) => {
  const types = (fields: readonly string[], certificateTypeCode: string = demoTypes.residentIdCard) => [
    { certificateTypeCode, fields },
  ];
  const narrow = await issue({ types: types(['name']) });
  t.strictSame(outcomes(await check(narrow.ticket)), ['satisfied', 'ticket_needed', 'satisfied', 'ticket_needed']);
  const compare = await issue({ level: 'compare' });
  t.strictSame(
    outcomes(await check(compare.ticket)),
    ['ticket_needed', 'ticket_needed', 'satisfied', 'ticket_needed'],
    'level compare shows no field',
  );
  const statement = holderStatement({
    matterCode,
    caseNumber: why.caseNumber,
    holder: parent,
    types: [demoTypes.residencePermit],
  });
  const elsewhere = await expectAnswer<Issued>(
    school.post('/v1/tickets', {
      purpose: { matterCode, ...why },
      level: 'fields',
      holder: parent,
      types: types(['name'], demoTypes.residencePermit),
      statement,
    }),
    201,
  );
  const nothing = await check(elsewhere.ticket);
  t.strictSame(outcomes(nothing), ['ticket_needed', 'ticket_needed', 'ticket_needed', 'ticket_needed']);
  t.equal(await usedOf(elsewhere), 0, 'nothing was looked up, so no use was taken');
});

await t.test('a ticket that is not good for the check refuses it, and none of it uses it up', async (t) => {
  const issued = await issue();
  const cases: readonly (readonly [what: string, reply: () => Promise<Reply>, code: string, pointer: string])[] = [
    ['nobody’s', () => post('certhub_ticket_AAAAAAAAAAAAAAAAAAAAAA'), 'ticket_unknown', '/tickets/applicant'],
    [
      'another client’s',
      () => post(issued.ticket, {}, client('housing-allocation')),
      'ticket_unknown',
      '/tickets/applicant',
    ],
    ['another case', () => post(issued.ticket, { caseNumber: 'CASE-78' }), 'ticket_mismatch', '/caseNumber'],
    [
      'another officer',
      () => post(issued.ticket, { officer: { ...why.officer, id: 'officer-8' } }),
      'ticket_mismatch',
      '/officer/id',
    ],
    [
      'another legal basis',
      () => post(issued.ticket, { legalBasis: 'statutory_duty' }),
      'ticket_mismatch',
      '/legalBasis',
    ],
    [
      'a holder who is no party',
      () => post(issued.ticket, { parties: { applicant: { type: '111', number: personOf(9).idNumber }, child } }),
      'ticket_mismatch',
      '/tickets/applicant',
    ],
  ];
  for (const [what, send, code, pointer] of cases) {
    const before = await recordCount();
    const reply = await send();
    t.match([reply.status, reply.body], [403, { code, context: { pointer } }], what);
    t.match(await recordsSince(before), [{ action: 'checkMatter', outcome: 'refused', code }], 'one record');
    t.notMatch(JSON.stringify(reply.body), parent.number);
  }
  const otherMatter = await issue({ purpose: { matterCode: 'other-matter', ...why } });
  t.match((await post(otherMatter.ticket)).body, { code: 'ticket_mismatch', context: { pointer: '/matterCode' } });
  const late = await issue({ expiresAt: new Date(Date.now() + 700).toISOString() });
  await sleep(800);
  t.equal(codeOf(await post(late.ticket)), 'ticket_expired');
  const revoked = await issue();
  await expectAnswer(school.post(`/v1/tickets/${revoked.ticketId}/revocations`, { reason: 'test' }), 200);
  t.equal(codeOf(await post(revoked.ticket)), 'ticket_expired');
  t.equal(await usedOf(issued), 0);
});

await t.test('two checks at once on a ticket of one use: exactly one wins', async (t) => {
  for (let round = 0; round < 12; round += 1) {
    const issued = await issue();
    const replies = await Promise.all(
      [school, schoolOnOther, school, schoolOnOther].map((by) => post(issued.ticket, {}, by)),
    );
    t.strictSame(
      replies.map(codeOf).toSorted(),
      ['answered', 'ticket_used_up', 'ticket_used_up', 'ticket_used_up'],
      `round ${round}`,
    );
    t.equal(await usedOf(issued), 1);
    const [won] = replies.filter(({ status }) => status === 200);
    t.equal((won?.body as Check | undefined)?.evidence.length, 3, 'and whole');
  }
  const issued = await issue();
  const lookup = (by: ApiClient) =>
    by.post('/v1/lookups', {
      purpose: { matterCode, ...why },
      level: 'fields',
      holder: parent,
      ticket: issued.ticket,
    });
  const mixed = await Promise.all([post(issued.ticket), lookup(schoolOnOther), post(issued.ticket), lookup(school)]);
  t.equal(mixed.filter(({ status }) => status === 200).length, 1, 'nor one of each');
});

await t.test('a used-up quota takes no use', async (t) => {
  const own = { ...why, legalBasis: 'statutory_duty' };
  await grantOf({ fields: ['name'], legalBases: ['statutory_duty'], ticketRequired: true, dailyQuota: 1 });
  const duty = () =>
    expectAnswer<Issued>(
      school.post('/v1/tickets', {
        purpose: { matterCode, ...own },
        level: 'fields',
        holder: parent,
        types: [{ certificateTypeCode: demoTypes.residentIdCard, fields: ['name'] }],
      }),
      201,
    );
  await check((await duty()).ticket, own);
  const second = await duty();
  const answer = await check(second.ticket, own);
  t.ok(answer.requirements.some(({ reasons }) => reasons.some(({ code }) => code === 'quota_used_up')));
  t.equal(answer.evidence.length, 0);
  t.equal(await usedOf(second), 0);
});

await t.test('a ticket that is revoked in the middle of a check answers nothing', async (t) => {
  const issued = await issue();
  const before = await recordCount();
  meanwhile = () => expectAnswer(school.post(`/v1/tickets/${issued.ticketId}/revocations`, { reason: 'test' }), 200);
  const reply = await post(issued.ticket, {}, schoolOnOther);
  t.match([reply.status, codeOf(reply)], [403, 'ticket_expired']);
  t.notMatch(JSON.stringify(reply.body), card.body.holders[0]?.name ?? '');
  const records = await recordsSince(before);
  t.ok(
    records.some(({ action, outcome }) => action === 'lookUp' && outcome === 'answered'),
    'it was answered to the check, and goes no further',
  );
  t.match(records.at(-1), { action: 'checkMatter', outcome: 'refused', code: 'ticket_expired' });
});

await t.test('a ticket for each of two parties in one check', async (t) => {
  const [parents, childs] = [await issue(), await issue({ holder: child })];
  const answer = await check({ child: childs.ticket, applicant: parents.ticket });
  t.strictSame(outcomes(answer), ['satisfied', 'satisfied', 'satisfied', 'satisfied']);
  t.equal(answer.complete, true);
  t.strictSame([await usedOf(parents), await usedOf(childs)], [1, 1], 'four lookups, one use of each');
  const readings = await Promise.all(answer.evidence.map(({ recordId }) => readingOf(recordId)));
  t.equal(readings.filter((reading) => reading.includes(`"ticketId":"${parents.ticketId}"`)).length, 3);
  t.equal(readings.filter((reading) => reading.includes(`"ticketId":"${childs.ticketId}"`)).length, 1);
  const reading = await readingOf(answer.recordId);
  const named = `"ticketIds":{"applicant":"${parents.ticketId}","child":"${childs.ticketId}"}`;
  t.ok(reading.includes(named), 'the record says which ticket was quoted for which party, in order of the parties');
  for (const text of [reading, ...readings]) {
    for (const { ticket } of [parents, childs]) t.notOk(text.includes(ticket), 'and no secret');
  }
});

await t.test('a ticket that nothing is looked up under keeps its use', async (t) => {
  const parents = await issue();
  const other = demoTypes.residencePermit;
  const { caseNumber } = why;
  const statement = holderStatement({ matterCode, caseNumber, holder: child, types: [other] });
  const body = { purpose: { matterCode, ...why }, level: 'fields', holder: child, statement };
  const types = [{ certificateTypeCode: other, fields: ['name'] }];
  const childs = await expectAnswer<Issued>(school.post('/v1/tickets', { ...body, types }), 201);
  const answer = await check({ applicant: parents.ticket, child: childs.ticket });
  t.strictSame(outcomes(answer), ['satisfied', 'satisfied', 'satisfied', 'ticket_needed']);
  t.match(answer.requirements[3]?.reasons[0], { party: 'child', ticketFor: { fields: ['name'] } });
  t.strictSame([await usedOf(parents), await usedOf(childs)], [1, 0]);
  t.match(await readingOf(answer.recordId), childs.ticketId, 'it was quoted, and the record says so');
});

await t.test('whose ticket is not good is said, and none is used up', async (t) => {
  const [parents, childs] = [await issue(), await issue({ holder: child })];
  const quoting = (secret: string) => ({ applicant: parents.ticket, child: secret });
  const spent = await issue({ holder: child });
  await check({ child: spent.ticket });
  const revoked = await issue({ holder: child });
  await expectAnswer(school.post(`/v1/tickets/${revoked.ticketId}/revocations`, { reason: 'test' }), 200);
  const elsewhere = await issue({ holder: child, purpose: { matterCode, ...why, caseNumber: 'CASE-78' } });
  const ofOfficer = await issue({
    holder: child,
    purpose: { matterCode, ...why, officer: { ...why.officer, name: '经办人丙' } },
  });
  const refusals: readonly (readonly [what: string, quoted: Quoted, code: string, context: object])[] = [
    ['nobody’s', quoting('certhub_ticket_AAAAAAAAAAAAAAAAAAAAAA'), 'ticket_unknown', { pointer: '/tickets/child' }],
    ['used up', quoting(spent.ticket), 'ticket_used_up', { pointer: '/tickets/child' }],
    ['revoked', quoting(revoked.ticket), 'ticket_expired', { pointer: '/tickets/child' }],
    ['the other party’s', quoting(parents.ticket), 'ticket_mismatch', { pointer: '/tickets/child' }],
    [
      'each for the other',
      { applicant: childs.ticket, child: parents.ticket },
      'ticket_mismatch',
      { pointer: '/tickets/applicant' },
    ],
    ['another case', quoting(elsewhere.ticket), 'ticket_mismatch', { pointer: '/caseNumber', party: 'child' }],
    ['another officer', quoting(ofOfficer.ticket), 'ticket_mismatch', { pointer: '/officer/name', party: 'child' }],
    [
      'the first of two is told',
      { applicant: 'certhub_ticket_AAAAAAAAAAAAAAAAAAAAAA', child: spent.ticket },
      'ticket_unknown',
      { pointer: '/tickets/applicant' },
    ],
    [
      'a party that the matter does not know',
      { applicant: parents.ticket, zhangSan: childs.ticket },
      'party_missing',
      { pointer: '/tickets/*', rule: 'unknown' },
    ],
  ];
  for (const [what, quoted, code, context] of refusals) {
    const before = await recordCount();
    const reply = await post(quoted);
    const { context: told, status } = reply.body as Problem & { readonly context: object };
    t.strictSame([codeOf(reply), status, told], [code, code === 'party_missing' ? 422 : 403, context], what);
    t.match(await recordsSince(before), [{ action: 'checkMatter', outcome: 'refused', code }], 'one record');
    t.notMatch(JSON.stringify(reply.body), /zhangSan|990000/, 'nothing of a person');
  }
  await post({ applicant: parents.ticket, child: spent.ticket });
  const reading = await lastCheck();
  t.ok(
    reading.includes(`"ticketIds":{"applicant":"${parents.ticketId}","child":"${spent.ticketId}"}`),
    'the record of a refusal names every ticket of the caller that was quoted',
  );
  t.strictSame([await usedOf(parents), await usedOf(childs)], [0, 0]);

  const shapes: readonly (readonly [what: string, rest: object, pointer: string])[] = [
    ['the member of before', { ticket: parents.ticket }, ''],
    ['none', { tickets: {} }, '/tickets'],
    ['eleven', { tickets: Object.fromEntries('abcdefghijk'.split('').map((c) => [c, parents.ticket])) }, '/tickets'],
    ['a secret with a blank', { tickets: { child: `${childs.ticket} ` } }, '/tickets'],
    ['a list', { tickets: [parents.ticket] }, '/tickets'],
  ];
  for (const [what, rest, pointer] of shapes) {
    const { status, body } = await post(undefined, rest);
    const told = body as Problem & { readonly context: { readonly pointer: string } };
    t.strictSame([status, told.code], [400, 'contract_violation'], what);
    t.ok(told.context.pointer.startsWith(pointer), `${what}: ${told.context.pointer}`);
    t.notOk(JSON.stringify(body).includes(parents.ticket), 'no secret');
  }
});

await t.test('one person who is two parties: one ticket under both, or the first that covers', async (t) => {
  const parties = { applicant: parent, child: parent };
  const both = await issue();
  const answer = await check({ applicant: both.ticket, child: both.ticket }, { parties });
  t.equal(answer.complete, true);
  t.equal(await usedOf(both), 1, 'one use, though it is quoted twice');
  t.ok((await readingOf(answer.recordId)).includes(`{"applicant":"${both.ticketId}","child":"${both.ticketId}"}`));

  const one = await issue();
  t.equal((await check({ child: one.ticket }, { parties })).complete, true, 'whichever party it is quoted for');
  t.equal(await usedOf(one), 1);

  const only = (field: string) =>
    issue({ types: [{ certificateTypeCode: demoTypes.residentIdCard, fields: [field] }] });
  const [ofName, ofBirth] = [await only('name'), await only('birthDate')];
  t.equal((await check({ applicant: ofBirth.ticket, child: ofName.ticket }, { parties })).complete, true);
  t.strictSame([await usedOf(ofName), await usedOf(ofBirth)], [1, 1], 'each for what it covers');

  const [first, second] = [await issue(), await issue()];
  t.equal((await check({ child: second.ticket, applicant: first.ticket }, { parties })).complete, true);
  t.strictSame([await usedOf(first), await usedOf(second)], [1, 0], 'in the order of the matter’s parties');
});

await t.test('one of two tickets revoked or used up in the middle: no answer, and no use of the other', async (t) => {
  const revoke = ({ ticketId }: Issued) =>
    expectAnswer(school.post(`/v1/tickets/${ticketId}/revocations`, { reason: 'test' }), 200);
  const use = ({ ticket }: Issued) =>
    expectAnswer(
      school.post('/v1/lookups', { purpose: { matterCode, ...why }, level: 'fields', holder: child, ticket }),
      200,
    );
  for (const [end, code, used] of [
    [revoke, 'ticket_expired', 0],
    [use, 'ticket_used_up', 1],
  ] as const) {
    const [parents, childs] = [await issue(), await issue({ holder: child })];
    const before = await recordCount();
    meanwhile = () => end(childs);
    const reply = await post({ applicant: parents.ticket, child: childs.ticket }, {}, schoolOnOther);
    t.match([reply.status, reply.body], [403, { code, context: { pointer: '/tickets/child' } }]);
    t.notMatch(JSON.stringify(reply.body), card.body.holders[0]?.name ?? '');
    const checks = (await recordsSince(before)).filter(({ action }) => action === 'checkMatter');
    t.match(checks, [{ outcome: 'refused', code }], 'the record says why');
    t.ok(
      (await lastCheck()).includes(`"ticketIds":{"applicant":"${parents.ticketId}","child":"${childs.ticketId}"}`),
      'and which tickets were quoted',
    );
    t.strictSame(
      [await usedOf(parents), await usedOf(childs)],
      [0, used],
      'a refused check takes no use of any ticket',
    );
  }
});

await t.test(
  'checks at once on two tickets: no ticket is used beyond its uses, and who is refused takes none',
  async (t) => {
    const uses = (tickets: readonly Issued[]) => Promise.all(tickets.map(usedOf));
    for (let round = 0; round < 12; round += 1) {
      const [parents, childs] = [await issue(), await issue({ holder: child })];
      const orders = [
        { applicant: parents.ticket, child: childs.ticket },
        { child: childs.ticket, applicant: parents.ticket },
      ];
      const replies = await Promise.all(
        [school, schoolOnOther, school, schoolOnOther].map((by, i) => post(orders[i % 2], {}, by)),
      );
      t.strictSame(
        replies.map(codeOf).toSorted(),
        ['answered', 'ticket_used_up', 'ticket_used_up', 'ticket_used_up'],
        `round ${round}: exactly one`,
      );
      t.strictSame(await uses([parents, childs]), [1, 1]);
    }
    for (let round = 0; round < 8; round += 1) {
      // Each shares a ticket with both of the others; the parent's second ticket is good for two.
      const tickets = [
        await issue(),
        await issue({ uses: 2 }),
        await issue({ holder: child }),
        await issue({ holder: child }),
      ];
      const [parents, again, childs, childsToo] = tickets.map(({ ticket }) => ticket) as [
        string,
        string,
        string,
        string,
      ];
      const quoted = [
        { applicant: parents, child: childs },
        { applicant: again, child: childs },
        { applicant: parents, child: childsToo },
        { applicant: again, child: childsToo },
      ];
      const replies = await Promise.all(quoted.map((each, i) => post(each, {}, i % 2 === 0 ? school : schoolOnOther)));
      const won = quoted.filter((_, i) => replies[i]?.status === 200);
      t.equal(won.length, 2, `round ${round}: ${String(replies.map(codeOf))}`);
      const taken = tickets.map(({ ticket }) => won.filter((each) => Object.values(each).includes(ticket)).length);
      t.strictSame(
        await uses(tickets),
        taken,
        'a use of each ticket for each check that was answered under it, no more',
      );
    }
  },
);

await t.test(
  'on delegation each ticket has its own holder and delegate, and the basis is that of the check',
  async (t) => {
    await grantOf({ fields: ['name', 'birthDate'], legalBases: ['delegated'], ticketRequired: true });
    const delegated = { ...why, legalBasis: 'delegated' };
    const types = [{ certificateTypeCode: demoTypes.residentIdCard, fields: ['name', 'birthDate'] }];
    const issueFor = (holder: typeof parent, delegate: typeof parent) => {
      const until = new Date(Date.now() + 600_000).toISOString();
      const statement = holderStatement({
        matterCode,
        caseNumber: why.caseNumber,
        holder,
        types: [demoTypes.residentIdCard],
        delegate,
        scope: '入学申请',
        delegationExpiresAt: until,
      });
      const purpose = { matterCode, ...delegated };
      return expectAnswer<Issued>(
        school.post('/v1/tickets', { purpose, level: 'fields', holder, types, statement }),
        201,
      );
    };
    const agent = { type: '111', number: personOf(9).idNumber };
    const [parents, childs] = [await issueFor(parent, agent), await issueFor(child, parent)];
    const own = await issue();
    const mixed = await post({ applicant: own.ticket, child: childs.ticket }, delegated);
    t.match(mixed.body, { code: 'ticket_mismatch', context: { pointer: '/legalBasis', party: 'applicant' } });
    const answer = await check({ applicant: parents.ticket, child: childs.ticket }, delegated);
    t.equal(answer.complete, true);
    t.strictSame([await usedOf(parents), await usedOf(childs), await usedOf(own)], [1, 1, 0]);
  },
);

await t.test('other parties need a grant that takes questions without a ticket', async (t) => {
  await grantOf({ fields: ['name'] });
  const issued = await issue();
  const answer = await check(issued.ticket);
  t.strictSame(outcomes(answer), ['satisfied', 'satisfied', 'satisfied', 'satisfied']);
  t.equal(answer.complete, true);
  t.equal(await usedOf(issued), 1);
  const readings = await Promise.all(answer.evidence.map(({ recordId }) => readingOf(recordId)));
  t.equal(readings.filter((reading) => reading.includes(issued.ticketId)).length, 3, 'the child’s is not under it');
});

await t.test('on delegation a check without a ticket looks nothing up, whatever the grants say', async (t) => {
  await grantOf({ fields: ['name', 'birthDate'], legalBases: ['delegated'] });
  const answer = await check(undefined, { legalBasis: 'delegated' });
  t.strictSame(outcomes(answer), ['ticket_needed', 'ticket_needed', 'ticket_needed', 'ticket_needed']);
  t.strictSame(answer.evidence, []);
});

await t.test('everything on file is as the hub wrote it', async (t) => {
  t.strictSame(await checkStore(hub.db, exampleKeys), []);
});
