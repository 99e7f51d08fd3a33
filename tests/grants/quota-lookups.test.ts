import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { ApiClient, Reply } from '../../src/cli/api-client.ts';
import { type DemoPush, demoPushes, demoTypes } from '../../src/cli/demo/certificates.ts';
import { issue } from '../../src/cli/demo/load.ts';
import { idNumberOf } from '../../src/cli/demo/people.ts';
import { composeCertificateIdentifier, parseCertificateIdentifier } from '../../src/verification/identifiers.ts';
import { runSql } from '../support/database.ts';
import { putGrant } from '../support/demo-samples.ts';
import { startHub, type TestHub } from '../support/start-hub.ts';

const purposeOf = (id: string) => ({
  matterCode: 'school-enrolment',
  caseNumber: 'CASE-1',
  officer: { id, name: '经办人乙' },
  legalBasis: 'own_application',
});

const allow = async (hub: TestHub, limits: Record<string, number>, type: string = demoTypes.residentIdCard) =>
  (await putGrant(hub.client, { certificateTypeCode: type, fields: ['certificateNumber'], ...limits })).grantId;

const codeOf = ({ status, body }: Reply): string =>
  status === 200
    ? 'answered'
    : `${(body as { code: string }).code} ${(body as { context?: { limit?: string } }).context?.limit ?? ''}`;

const person = (sequence: number): string => idNumberOf('1990-01-01', sequence);
const about = (client: ApiClient, officer: string, number: string): Promise<Reply> =>
  client.post('/v1/lookups', {
    purpose: purposeOf(officer),
    level: 'fields',
    holder: { type: '111', number },
    types: [{ certificateTypeCode: demoTypes.residentIdCard }],
  });
const ofCertificate = (client: ApiClient, officer: string, certificateIdentifier: string): Promise<Reply> =>
  client.post('/v1/lookups', { purpose: purposeOf(officer), level: 'fields', certificateIdentifier });

const pushes = demoPushes(24);
const pushOf = (typeCode: string, nth = 0): DemoPush => {
  const found = pushes.filter(({ body }) => body.certificateTypeCode === typeCode)[nth];
  if (found === undefined) throw new Error(`no push of ${typeCode}`);
  return found;
};
const put = (hub: TestHub, push: DemoPush, key: string): Promise<string> =>
  issue(hub.client(push.clientId), push, `quota-test-${key}`);
/** An identifier of the same type and issuer that no certificate bears. */
const absentOf = (identifier: string, digit: string): string => {
  const parsed = parseCertificateIdentifier(identifier);
  if (!parsed.ok) throw new Error('no identifier');
  const { typeCode, issuerCode, serial } = parsed.value;
  return composeCertificateIdentifier({ typeCode, issuerCode, serial: digit.repeat(serial.length), version: 1 });
};
const numberOf = ({ body }: DemoPush, nth = 0): string => body.holders[nth]?.number ?? '';

await t.test('two hubs, more callers than the limit: exactly so many holders are answered', async (t) => {
  const one = await startHub(t);
  const other = await startHub(t, { database: one.database, register: false });
  const grantId = await allow(one, { dailyHolders: 7, officerDailyHolders: 4 });
  t.match((await one.client('hub-admin').get(`/v1/grants/${grantId}`)).body, {
    dailyHolders: 7,
    officerDailyHolders: 4,
  });
  // A new grant may take a second to be seen by the other process.
  const read = other.client('hub-admin');
  while ((await read.get(`/v1/grants/${grantId}`)).status !== 200) await sleep(20);
  const clients = [one, other].map((hub) => hub.client('school-enrolment'));
  await Promise.all(clients.map((client) => client.token()));
  const replies = await Promise.all(
    Array.from({ length: 120 }, async (_, i) => {
      const client = clients[i % 2];
      if (client === undefined) throw new Error('two clients');
      const [officer, holder] = [`officer-${(i >> 2) % 2}`, person(i >> 2)];
      const reply = await about(client, officer, holder);
      return { officer, holder, reply };
    }),
  );
  const answered = replies.filter(({ reply }) => reply.status === 200);
  t.equal(new Set(answered.map(({ holder }) => holder)).size, 7, 'of 30 persons exactly 7');
  for (const officer of ['officer-0', 'officer-1']) {
    const own = answered.filter((each) => each.officer === officer).map(({ holder }) => holder);
    t.ok(new Set(own).size <= 4, `${officer}: no more than 4`);
  }
  const refusals = new Set(replies.map(({ reply }) => codeOf(reply)));
  for (const refusal of refusals) {
    t.match(refusal, /^(answered|quota_exceeded (dailyHolders|officerDailyHolders))$/);
  }
  const { rows } = await runSql(
    one.database.superuserUrl,
    `select outcome, count(*)::int as count, count(distinct holder_key)::int as holders
     from records where action = 'lookUp' group by 1 order by 1`,
  );
  t.match(rows, [
    { outcome: 'answered', count: answered.length, holders: 7 },
    { outcome: 'refused', count: 120 - answered.length },
  ]);
});

await t.test(
  'one officer enumerates; the refusal and its record say which limit, and nobody else is stopped',
  async (t) => {
    const hub = await startHub(t);
    await allow(hub, { dailyHolders: 6, officerDailyHolders: 3, officerDailyQuota: 5 });
    const school = hub.client('school-enrolment');
    const tried: string[] = [];
    for (let i = 0; i < 8; i += 1) tried.push(codeOf(await about(school, 'nosy', person(i))));
    const three = Array.from({ length: 3 }, () => 'answered');
    const five = Array.from({ length: 5 }, () => 'quota_exceeded officerDailyHolders');
    t.strictSame(tried, [...three, ...five]);
    const reply = await about(school, 'nosy', person(8));
    t.equal(reply.status, 429);
    const { context } = reply.body as { context: Record<string, unknown> };
    t.match(context, { certificateTypeCode: demoTypes.residentIdCard, limit: 'officerDailyHolders' });
    t.notOk(JSON.stringify(reply.body).includes(person(8)), 'invariant 5: nobody is named');
    const wait = Number(context['retryAfterSeconds']);
    t.ok(wait > 0 && wait <= 86_400);
    t.equal(reply.headers.get('retry-after'), String(wait));
    const search = await hub.client('audit-office').post('/v1/audit/searches', {
      reason: 'enumeration',
      officerId: 'nosy',
      code: 'quota_exceeded',
    });
    const items = (search.body as { items: { body: { detail: unknown } }[] }).items;
    t.equal(items.length, 6, 'every attempt is on record');
    t.match(items[0]?.body.detail, {
      quotaExceeded: { certificateTypeCode: demoTypes.residentIdCard, limit: 'officerDailyHolders' },
    });

    t.equal(codeOf(await about(school, 'nosy', person(0))), 'answered', 'the same holder again');
    t.equal(codeOf(await about(school, 'nosy', person(1))), 'answered');
    t.equal(codeOf(await about(school, 'nosy', person(2))), 'quota_exceeded officerDailyQuota');
    for (const i of [10, 11, 12])
      t.equal(codeOf(await about(school, 'other', person(i))), 'answered', 'another officer');
    t.equal(codeOf(await about(school, 'third', person(13))), 'quota_exceeded dailyHolders');
    for (const table of ['grant_officer_usage', 'grant_holder_usage']) {
      await runSql(hub.database.superuserUrl, `update ${table} set day = day - 1`);
    }
    t.equal(
      codeOf(await about(school, 'nosy', person(20))),
      'answered',
      'what was taken yesterday does not count today',
    );
  },
);

await t.test('a certificate asked for by its identifier counts its holders before anything leaves', async (t) => {
  const hub = await startHub(t);
  const school = hub.client('school-enrolment');
  const [marriage, card, second] = [
    pushOf(demoTypes.marriage),
    pushOf(demoTypes.residentIdCard),
    pushOf(demoTypes.residentIdCard, 1),
  ];
  const couple = await put(hub, marriage, 'couple');
  const [cardIdentifier, secondIdentifier] = [await put(hub, card, 'card'), await put(hub, second, 'second')];
  t.equal(marriage.body.holders.length, 2);

  await t.test('a couple needs two', async (t) => {
    const narrow = await allow(hub, { dailyHolders: 1 }, demoTypes.marriage);
    t.equal(codeOf(await ofCertificate(school, 'a', couple)), 'quota_exceeded dailyHolders');
    t.equal(codeOf(await ofCertificate(school, 'a', couple)), 'quota_exceeded dailyHolders');
    await hub.client('hub-admin').post(`/v1/grants/${narrow}/revocations`, { reason: 'too narrow' });
    await allow(hub, { dailyHolders: 2 }, demoTypes.marriage);
    t.equal(codeOf(await ofCertificate(school, 'a', couple)), 'answered');
    const { rows } = await runSql(
      hub.database.superuserUrl,
      `select count(*)::int as count from grant_holder_usage where officer_key = ''`,
    );
    t.strictSame(rows, [{ count: 2 }]);
  });

  await t.test('by number and by identifier is the same holder; what does not exist counts as well', async (t) => {
    await allow(hub, { officerDailyHolders: 2 });
    t.equal(codeOf(await about(school, 'a', numberOf(card))), 'answered');
    t.equal(codeOf(await ofCertificate(school, 'a', cardIdentifier)), 'answered');
    t.equal(codeOf(await ofCertificate(school, 'a', cardIdentifier)), 'answered', 'not counted twice');
    const [guess, another] = [absentOf(cardIdentifier, '9'), absentOf(cardIdentifier, '8')];
    t.equal(codeOf(await ofCertificate(school, 'a', guess)), 'answered');
    t.equal(codeOf(await ofCertificate(school, 'a', guess)), 'answered', 'the same guess again');
    const over = 'quota_exceeded officerDailyHolders';
    t.equal(codeOf(await about(school, 'a', person(1))), over);
    t.equal(codeOf(await ofCertificate(school, 'a', another)), over, 'what does not exist');
    t.equal(codeOf(await ofCertificate(school, 'a', secondIdentifier)), over, 'is refused like what exists');
    t.equal(codeOf(await ofCertificate(school, 'b', secondIdentifier)), 'answered');
    t.equal(codeOf(await about(school, 'b', person(1))), 'answered');
  });
});

await t.test('an officer who is spelt in another way is the same officer', async (t) => {
  const hub = await startHub(t);
  await allow(hub, { officerDailyQuota: 4 });
  const school = hub.client('school-enrolment');
  const spelt = ['officer-27', 'ｏｆｆｉｃｅｒ-27', 'officer-２７', 'officer\u200b-27'];
  for (const id of spelt) t.equal(codeOf(await about(school, id, person(1))), 'answered', id);
  for (const id of spelt) t.equal(codeOf(await about(school, id, person(1))), 'quota_exceeded officerDailyQuota', id);
  t.equal(codeOf(await about(school, 'Officer-27', person(1))), 'answered', 'case tells accounts apart');
  for (const id of [' officer-27', 'officer-27 ', 'officer-27\u3000', 'officer-27\n', '\u00a0officer-27']) {
    const { status, body } = await about(school, id, person(1));
    t.match([status, body], [400, { code: 'contract_violation', context: { pointer: '/purpose/officer/id' } }], id);
  }
});

await t.test('invariant 5: neither officers nor holders stand in the counters in clear; old days go', async (t) => {
  const hub = await startHub(t);
  await allow(hub, { dailyHolders: 50, officerDailyHolders: 20, officerDailyQuota: 30 });
  const school = hub.client('school-enrolment');
  for (const i of [1, 2, 3]) t.equal(codeOf(await about(school, 'officer-in-clear', person(i))), 'answered');
  const sql = (text: string) => runSql(hub.database.superuserUrl, text);
  const secrets = ['officer-in-clear', '经办人乙', ...[1, 2, 3].map(person)];
  for (const table of ['grant_officer_usage', 'grant_holder_usage']) {
    const { rows } = await sql(`select row_to_json(u)::text as text from ${table} u`);
    t.ok(rows.length >= 2, `${table} was written`);
    const all = rows.map(({ text }: { text: string }) => text).join('\n');
    for (const secret of secrets) {
      t.notOk(all.includes(secret) || all.includes(Buffer.from(secret).toString('hex')), `${table}: no ${secret}`);
    }
  }
  const { rows } = await sql(
    `select (select officer_key from records where action = 'lookUp' limit 1) = any(array(select officer_key from grant_officer_usage)) as same`,
  );
  t.strictSame(rows, [{ same: true }], 'the pseudonym that records bear');
  t.notOk(hub.logLines.some((line) => secrets.some((secret) => line.includes(secret))));

  await sql(`update grant_officer_usage set day = day - 10`);
  await sql(`update grant_holder_usage set day = day - 10`);
  await startHub(t, { database: hub.database, register: false });
  t.match(
    (await sql('select count(*)::int as count from grant_holder_usage')).rows,
    [{ count: 0 }],
    'upkeep forgets them',
  );
  t.match((await sql('select count(*)::int as count from grant_officer_usage')).rows, [{ count: 0 }]);
});
