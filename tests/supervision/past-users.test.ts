import t from 'tap';
import type { ApiClient, Reply } from '../../src/cli/api-client.ts';
import { demoTypes } from '../../src/cli/demo/certificates.ts';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import { logsAreClean, refusing } from '../api/refuses.ts';
import { cardHolder, certificateIn, purpose, reviewer, samples, strayCard } from '../api/samples.ts';
import { clientOfRole, type Problem, startWorld } from '../api/world.ts';
import { pushOf, putGrant } from '../support/demo-samples.ts';

const day = 86_400_000;
const world = await startWorld(t);
const { hub } = world;
const school = world.client('school-enrolment');
const housing = world.client('housing-allocation');
const psb = world.client('psb-issuer');
const auditor = world.client('audit-office');
for (const client of [...Object.values(clientOfRole), 'housing-allocation', 'market-issuer']) {
  await world.client(client).token();
}
const matters = ['school-enrolment', 'school-transfer'];
await putGrant(world.client, { matters, secrecyDays: 30 });
await putGrant(world.client, { clientId: 'housing-allocation', matters: ['housing-allocation'] });

interface Page<T> {
  readonly items: readonly T[];
  readonly unreadable: { readonly erased: number; readonly tampered: number };
  readonly next?: string;
  readonly recordId: string;
}
interface PastUser {
  readonly department: { readonly departmentCode: string; readonly name?: { readonly en: string } };
  readonly system: { readonly clientId: string; readonly name?: { readonly en: string } };
  readonly matterCode: string;
  readonly uses: number;
  readonly firstAt: string;
  readonly lastAt: string;
}
interface Changed {
  readonly certificateIdentifier: string;
  readonly status: string;
  readonly changedAt: string;
  readonly hasNewerVersion: boolean;
  readonly uses: number;
  readonly lastUseAt: string;
}
const ask = (client: ApiClient, certificateIdentifier: string, more: object = {}): Promise<Reply> =>
  client.post('/v1/lookups', {
    purpose: { ...purpose, matterCode: client === housing ? 'housing-allocation' : 'school-enrolment', ...more },
    level: 'fields',
    certificateIdentifier,
    types: [{ certificateTypeCode: demoTypes.residentIdCard, fields: ['name'] }],
  });
const looked = (client: ApiClient, certificateIdentifier: string, more: object = {}) =>
  expectAnswer<{ recordId: string }>(ask(client, certificateIdentifier, more), 200);
const usersOf = (identifier: string, body: object = {}, client = psb) =>
  expectAnswer<Page<PastUser>>(client.post(`/v1/certificates/${identifier}/past-users`, body), 200);
const usesOf = ({ items }: Page<PastUser>) => items.map((each) => [each.system.clientId, each.matterCode, each.uses]);
const changes = (client: ApiClient, body: object = {}) =>
  expectAnswer<Page<Changed>>(
    client.post('/v1/receipts/changes', { from: new Date(Date.now() - day).toISOString(), limit: 200, ...body }),
    200,
  );
const change = (identifier: string, action: string, more: object = {}) =>
  expectAnswer(psb.post(`/v1/certificates/${identifier}/status-changes`, { action, reason: 'test', ...more }), 200);
const codeOf = ({ body }: Reply): string => (body as Problem).code;
async function supersede(identifier: string): Promise<string> {
  const pushed = psb.post(`/v1/certificates/${identifier}/versions`, pushOf(demoTypes.residentIdCard).body);
  const next = (await expectAnswer<{ certificateIdentifier: string }>(pushed, 201)).certificateIdentifier;
  const path = `/v1/certificates/${next}`;
  await expectAnswer(psb.post(`${path}/reviews`, { decision: 'approve', officer: reviewer }), 200);
  await expectAnswer(psb.post(`${path}/seals`, {}), 200);
  return next;
}

await t.test('who was answered with a certificate is told once it is withdrawn, and not before', async (t) => {
  const certificate = await certificateIn(world, 'valid');
  const first = await looked(school, certificate);
  await looked(school, certificate);
  await looked(school, certificate, { matterCode: 'school-transfer', caseNumber: 'CASE-2' });
  await looked(housing, certificate);
  const other = await certificateIn(world, 'valid');
  await looked(housing, other);
  const sound = await psb.post(`/v1/certificates/${certificate}/past-users`, {});
  t.match([sound.status, codeOf(sound)], [409, 'certificate_in_force'], 'nobody watches the use of a sound one');
  const pending = await certificateIn(world, 'approved');
  t.equal(codeOf(await psb.post(`/v1/certificates/${pending}/past-users`, {})), 'wrong_state');

  await change(certificate, 'suspend');
  await looked(school, certificate);
  const page = await usersOf(certificate);
  t.match(page, { certificateIdentifier: certificate, status: 'suspended', unreadable: { erased: 0, tampered: 0 } });
  t.strictSame(
    usesOf(page),
    [
      ['school-enrolment', 'school-enrolment', 2],
      ['school-enrolment', 'school-transfer', 1],
      ['housing-allocation', 'housing-allocation', 1],
    ],
    'who only heard that it is suspended did not rely on it',
  );
  const [one] = page.items;
  t.match(one, {
    department: { departmentCode: '11999900100000075D', name: { en: /\w/ } },
    system: { name: { en: 'School enrolment system' } },
  });
  t.ok((one?.firstAt ?? '') < (one?.lastAt ?? ''));
  t.notMatch(JSON.stringify(page), /CASE-|officer|经办/, 'neither cases nor officers');
  t.strictSame(await usersOf(certificate, {}, auditor).then(usesOf), usesOf(page), 'as an auditor sees it');

  await change(certificate, 'resume');
  t.equal(codeOf(await psb.post(`/v1/certificates/${certificate}/past-users`, {})), 'certificate_in_force');
  await change(certificate, 'revoke', { revocationReason: 'issued_in_error' });
  t.equal((await usersOf(certificate)).items.length, 3);
  const { items } = await expectAnswer<{ items: { recordId: string; action: string }[] }>(
    school.post('/v1/receipts/searches', { certificateIdentifier: certificate }),
    200,
  );
  t.equal(items.filter(({ action }) => action === 'lookUp').length, 4, 'each system finds its own cases');
  t.ok(items.some(({ recordId }) => recordId === first.recordId));
  const none = school.post('/v1/receipts/searches', { certificateIdentifier: other });
  t.strictSame((await expectAnswer<{ items: unknown[] }>(none, 200)).items, [], 'and nobody else’s');

  const until = items.at(-1) === undefined ? '' : (one?.lastAt ?? '');
  t.strictSame(
    usesOf(await usersOf(certificate, { until }))[0],
    ['school-enrolment', 'school-enrolment', 1],
    'half-open',
  );
  const pages: unknown[] = [];
  let after: string | undefined;
  do {
    const part = await usersOf(certificate, { limit: 1, ...(after !== undefined && { after }) });
    pages.push(...usesOf(part));
    after = part.next;
  } while (after !== undefined);
  t.strictSame(pages, usesOf(page), 'page by page');
  const [record] = await world.sql(`select action, certificates from records where record_id = $1`, [page.recordId]);
  t.match(record, { action: 'listPastUsers', certificates: [certificate] }, 'on record');
  const seen = await expectAnswer<{ items: { about: string; sentence: { en: string } }[] }>(
    world.client('citizen-portal').post('/v1/access-reports', {
      holder: cardHolder,
      statement: { authenticatedBy: 'face', sessionReference: 'session-9' },
    }),
    200,
  );
  const told = seen.items.find(({ about }) => about === 'past_users');
  t.match(told?.sentence.en, /asked who had used .*, which is withdrawn/, 'and its holder knows');
});

await t.test('invariant 2: other departments learn nothing, whether or not there is a certificate', async (t) => {
  const certificate = await certificateIn(world, 'revoked');
  const market = world.client('market-issuer');
  const path = (identifier: string) => `/v1/certificates/${identifier}/past-users`;
  const [there, none] = [await market.post(path(certificate), {}), await market.post(path(strayCard()), {})];
  const same = ({ status, body }: Reply) => ({ status, ...(body as object), requestId: '' });
  t.match([there.status, codeOf(there)], [403, 'wrong_department']);
  t.strictSame(same(there), same(none));
  t.equal(codeOf(await psb.post(path(strayCard()), {})), 'certificate_unknown');
});

await t.test('lookups under secrecy are left out until their release', async (t) => {
  const certificate = await certificateIn(world, 'valid');
  const secrecy = { releaseAt: new Date(Date.now() + 10 * day).toISOString(), legalGround: 'Article 1' };
  const { recordId } = await looked(school, certificate, { secrecy });
  await looked(housing, certificate);
  await change(certificate, 'revoke', { revocationReason: 'cancelled' });
  const hidden = await usersOf(certificate);
  t.strictSame(usesOf(hidden), [['housing-allocation', 'housing-allocation', 1]]);
  t.strictSame(hidden.unreadable, { erased: 0, tampered: 0 }, 'nor are they counted');
  t.strictSame(usesOf(await usersOf(certificate, {}, auditor)), usesOf(hidden));
  const own = await changes(school);
  t.ok(
    own.items.some(({ certificateIdentifier }) => certificateIdentifier === certificate),
    'its own client knows of them',
  );
  const { body } = await samples.changeRelease(world);
  const released = auditor.post(`/v1/audit/records/${recordId}/releases`, {
    ...body,
    releaseAt: new Date(Date.now() + 1).toISOString(),
  });
  await expectAnswer(released, 201);
  t.strictSame(
    usesOf(await usersOf(certificate))[0],
    ['school-enrolment', 'school-enrolment', 1],
    'from then on shown',
  );
});

await t.test('invariant 4: a record that was changed or erased is counted, and names nobody', async (t) => {
  const certificate = await certificateIn(world, 'valid');
  const [changed, erased, sound] = [
    await looked(school, certificate),
    await looked(school, certificate),
    await looked(housing, certificate),
  ];
  await change(certificate, 'suspend');
  await world.sql(`update records set client_id = 'housing-allocation' where record_id = $1`, [changed.recordId]);
  await world.sql(`update records set body = null where record_id = $1`, [erased.recordId]);
  const page = await usersOf(certificate);
  t.match(page.unreadable, { erased: 1, tampered: 1 });
  t.strictSame(usesOf(page), [['housing-allocation', 'housing-allocation', 1]]);
  const lines = hub.logLines.filter((line) => line.includes(changed.recordId));
  t.match(lines.join(), /"table":"records"/, 'and reported');
  const planted = await world.sql(`update records set certificates = $2 where record_id = $1 returning record_id`, [
    sound.recordId,
    [strayCard()],
  ]);
  t.equal(planted.length, 1);
  const own = await changes(housing);
  t.notOk(own.items.some(({ certificateIdentifier }) => certificateIdentifier === certificate));
  t.ok(own.unreadable.tampered > 0, 'a name that was planted in a record is no use');
});

await t.test('a client learns which certificates it relied on were withdrawn, from its own records', async (t) => {
  const [suspended, revoked, superseded, sound, foreign] = [
    await certificateIn(world, 'valid'),
    await certificateIn(world, 'valid'),
    await certificateIn(world, 'valid'),
    await certificateIn(world, 'valid'),
    await certificateIn(world, 'valid'),
  ];
  const used = [suspended, revoked, superseded, sound];
  for (const identifier of used) await looked(school, identifier);
  await looked(school, revoked);
  await looked(housing, foreign);
  const ofThese = async (client: ApiClient, body: object = {}) =>
    (await changes(client, body)).items.filter((item) => [...used, foreign].includes(item.certificateIdentifier));
  t.strictSame(await ofThese(school), [], 'nothing yet');
  const start = new Date();
  await change(suspended, 'suspend');
  await supersede(superseded);
  const between = new Date();
  await change(revoked, 'revoke', { revocationReason: 'issued_in_error' });
  await change(foreign, 'revoke', { revocationReason: 'cancelled' });
  await looked(school, revoked);
  const items = await ofThese(school);
  const of = (identifier: string) => items.find((item) => item.certificateIdentifier === identifier);
  t.equal(items.length, 3, 'nothing of another client’s, nothing that still holds');
  t.match(of(suspended), { status: 'suspended', hasNewerVersion: false, uses: 1 });
  t.match(of(superseded), { status: 'superseded', hasNewerVersion: true, uses: 1 });
  t.match(
    of(revoked),
    { status: 'revoked', hasNewerVersion: false, uses: 2 },
    'what only told that it is revoked is no use',
  );
  const at = Date.parse(of(revoked)?.changedAt ?? '');
  t.ok(at >= between.getTime() && at <= Date.now());
  t.ok(Date.parse(of(revoked)?.lastUseAt ?? '') <= start.getTime());
  t.strictSame(
    (await ofThese(school, { changedFrom: between.toISOString() })).map((item) => item.certificateIdentifier),
    [revoked],
    'only what is new',
  );
  t.strictSame(
    (await ofThese(housing)).map((item) => item.certificateIdentifier),
    [foreign],
  );
  await change(suspended, 'resume');
  t.equal((await ofThese(school)).length, 2, 'what holds again is not listed');

  const all = (await changes(school)).items;
  const pages: Changed[] = [];
  let after: string | undefined;
  do {
    const part = await changes(school, { limit: 1, ...(after !== undefined && { after }) });
    t.ok(part.items.length <= 1);
    pages.push(...part.items);
    after = part.next;
  } while (after !== undefined);
  t.strictSame(pages, all, 'page by page');
  t.strictSame((await changes(school, { until: new Date(Date.now() - day + 1_000).toISOString() })).items, []);
});

await t.test('a certificate whose row was changed is reported and keeps back no other', async (t) => {
  const [forged, honest] = [await certificateIn(world, 'valid'), await certificateIn(world, 'valid')];
  for (const identifier of [forged, honest]) await looked(school, identifier);
  for (const identifier of [forged, honest]) await change(identifier, 'suspend');
  await world.sql(`update certificates set state = 'valid' where identifier = $1`, [forged]);
  const page = await changes(school);
  t.ok(page.items.some(({ certificateIdentifier }) => certificateIdentifier === honest));
  t.notOk(page.items.some(({ certificateIdentifier }) => certificateIdentifier === forged));
  t.ok(page.unreadable.tampered > 0);
  t.ok(hub.logLines.some((line) => line.includes('"table":"certificates"')));
  const users = await psb.post(`/v1/certificates/${forged}/past-users`, {});
  t.equal(codeOf(users), 'stored_data_tampered');
  await world.sql(`update certificates set state = 'suspended' where identifier = $1`, [forged]);
});

await t.test('bad questions', async (t) => {
  const certificateIdentifier = await certificateIn(world, 'revoked');
  const refuses = await refusing(world);
  const wrong = `${certificateIdentifier.slice(0, -1)}${certificateIdentifier.endsWith('0') ? '1' : '0'}`;
  const users = (what: string, body: object, expected: [number, string, string?], identifier = certificateIdentifier) =>
    refuses(
      t,
      what,
      { operationId: 'listPastUsers', params: { certificateIdentifier: identifier }, body: { ...body } },
      expected,
    );
  const [now, before] = [new Date().toISOString(), new Date(Date.now() - day).toISOString()];
  await users('an empty range', { from: now, until: before }, [422, 'range_invalid']);
  await users('no cursor', { after: 'x' }, [400, 'contract_violation', '/after']);
  await users('too many', { limit: 201 }, [400, 'contract_violation', '/limit']);
  await users('a wrong check character', {}, [422, 'invalid_certificate_identifier', '/certificateIdentifier'], wrong);
  const changed = (what: string, body: object, expected: [number, string, string?]) =>
    refuses(t, what, { operationId: 'listChangedCertificates', body: { ...body } }, expected);
  await changed('since when?', {}, [400, 'contract_violation', '']);
  await changed('an empty range', { from: now, until: now }, [422, 'range_invalid']);
  const long = new Date(Date.now() - 93 * day).toISOString();
  await changed('too long', { from: long }, [422, 'range_too_long']);
  await changed('no cursor', { from: before, after: 'x' }, [400, 'contract_violation', '/after']);
  const receipts = { operationId: 'searchOwnReceipts' as const, body: { certificateIdentifier: wrong } };
  await refuses(t, 'of no certificate', receipts, [422, 'invalid_certificate_identifier', '/certificateIdentifier']);
  logsAreClean(t, world);
});
