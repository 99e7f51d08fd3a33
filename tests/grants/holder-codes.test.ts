import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import t from 'tap';
import { type ApiClient, apiClient, type Reply } from '../../src/cli/api-client.ts';
import { demoTypes } from '../../src/cli/demo/certificates.ts';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import { personOf } from '../../src/cli/demo/people.ts';
import {
  allowsTicket,
  groupedCode,
  type HolderCodeScope,
  newHolderCode,
  plainCode,
} from '../../src/grants/holder-code.ts';
import type { Holder } from '../../src/verification/identifiers.ts';
import { logsAreClean, refusing } from '../api/refuses.ts';
import { certificateIn, education, newDepartmentCode, registerClient } from '../api/samples.ts';
import { type Problem, startWorld } from '../api/world.ts';
import { pushOf, putGrant } from '../support/demo-samples.ts';
import { holderStatement } from '../support/holder-statement.ts';
import { startHub } from '../support/start-hub.ts';

await t.test('a code is 128 bits, and read as people read and type', async (t) => {
  const codes = Array.from({ length: 2_000 }, newHolderCode);
  t.equal(new Set(codes).size, codes.length);
  t.ok(codes.every((code) => /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(code)));
  t.match(groupedCode(newHolderCode()), /^[^-]{5}-[^-]{5}-[^-]{5}-[^-]{5}-[^-]{6}$/);
  const settings = { seed: 20261122, numRuns: 2_000 };
  const typing = fc.array(
    fc.record({ lower: fc.boolean(), confused: fc.nat({ max: 2 }), gap: fc.constantFrom('', '-', ' ', ' - ') }),
    { minLength: 26, maxLength: 26 },
  );
  fc.assert(
    fc.property(fc.nat({ max: 1_999 }), typing, (which, keys) => {
      const code = codes[which] ?? '';
      const typed = keys.map(({ lower, confused, gap }, i) => {
        const right = code.charAt(i);
        const looks = right === '0' ? '0Oo' : right === '1' ? '1Il' : right.repeat(3);
        const key = looks.charAt(confused);
        return `${lower ? key.toLowerCase() : key}${gap}`;
      });
      return plainCode(typed.join('')) === code;
    }),
    settings,
  );
  for (const wrong of ['', 'U'.repeat(26), '0'.repeat(25), '0'.repeat(27), `${'0'.repeat(25)}é`]) {
    t.equal(plainCode(wrong), undefined, wrong);
  }
});

await t.test('a ticket is never wider than the code of its holder: 20,000 pairs', (t) => {
  const some = <T>(values: readonly T[]) => fc.constantFrom(...values);
  const letters = ['a', 'b', 'c'];
  const list = fc.subarray(letters, { minLength: 1 });
  const scope = fc.record({
    holder: fc.record({ type: some(['111', '001']), number: some(['1', '2']) }),
    matterCode: some(['m1', 'm2']),
    departmentCode: some(['d1', 'd2']),
  });
  let allowed = 0;
  fc.assert(
    fc.property(
      scope,
      fc.option(list, { nil: undefined }),
      fc.option(list, { nil: undefined }),
      scope,
      fc.array(fc.record({ certificateTypeCode: some(letters), fields: list }), { minLength: 1, maxLength: 3 }),
      (code, certificateTypeCodes, fields, asked, types) => {
        const given: HolderCodeScope = {
          ...code,
          holder: code.holder as Holder,
          ...(certificateTypeCodes !== undefined && { certificateTypeCodes }),
          ...(fields !== undefined && { fields }),
        };
        const purpose = { matterCode: asked.matterCode } as Parameters<typeof allowsTicket>[1]['purpose'];
        const told = allowsTicket(
          given,
          { purpose, holder: asked.holder as Holder, types: types as never },
          asked.departmentCode,
        );
        const within = (allowing: readonly string[] | undefined, wanted: readonly string[]): boolean =>
          allowing === undefined || wanted.filter((each) => !allowing.includes(each)).length === 0;
        const wanted =
          JSON.stringify([code.holder.type, code.holder.number, code.matterCode, code.departmentCode]) ===
            JSON.stringify([asked.holder.type, asked.holder.number, asked.matterCode, asked.departmentCode]) &&
          types.every(
            (type) => within(certificateTypeCodes, [type.certificateTypeCode]) && within(fields, type.fields),
          );
        allowed += told ? 1 : 0;
        return told === wanted;
      },
    ),
    { seed: 20261122, numRuns: 20_000 },
  );
  t.ok(allowed > 300, `${allowed} allowed`);
  t.end();
});

const world = await startWorld(t);
const { hub, sql, client } = world;
/** A second process of the same hub. */
const other = await startHub(t, { database: hub.database, register: false });
const school = client('school-enrolment');
const schoolOnOther = other.client('school-enrolment');
const portal = client('citizen-portal');
const admin = client('hub-admin');
const card = pushOf(demoTypes.residentIdCard);
const holder = { type: '111', number: card.body.holders[0]?.number ?? '' };
await certificateIn(world, 'valid', card);
await putGrant(client, { fields: ['name', 'sex'], ticketRequired: true });
await Promise.all([school, schoolOnOther, portal, client('housing-allocation')].map((each) => each.token()));
await sleep(1_000);

const purpose = {
  matterCode: 'school-enrolment',
  caseNumber: 'RX-2026-0007',
  officer: { id: 'officer-27', name: '陈受理' },
  legalBasis: 'own_application',
};
interface Issued {
  readonly codeId: string;
  readonly code: string;
  readonly expiresAt: string;
}
const consent = (overrides: Record<string, unknown> = {}): Record<string, unknown> => ({
  statement: { authenticatedBy: '人脸识别登录', sessionReference: 'portal-1' },
  holder,
  matterCode: purpose.matterCode,
  departmentCode: education,
  certificateTypeCodes: [demoTypes.residentIdCard],
  fields: ['name'],
  ...overrides,
});
const codeFor = (overrides: Record<string, unknown> = {}, by: ApiClient = portal): Promise<Issued> =>
  expectAnswer<Issued>(by.post('/v1/holder-codes', consent(overrides)), 201);
const wish = (holderCode: string | undefined, overrides: Record<string, unknown> = {}): Record<string, unknown> => ({
  purpose,
  level: 'fields',
  holder,
  types: [{ certificateTypeCode: demoTypes.residentIdCard, fields: ['name'] }],
  ...(holderCode !== undefined && { holderCode }),
  ...overrides,
});
const ticketOn = (holderCode: string | undefined, overrides: Record<string, unknown> = {}, by: ApiClient = school) =>
  by.post('/v1/tickets', wish(holderCode, overrides));
const codeOf = ({ status, body }: Reply): string => (status < 300 ? 'done' : (body as Problem).code);
const readingOf = async (action: string): Promise<string> => {
  const [row] = await sql(
    'select record_id from records where action = $1 order by recorded_at desc, record_id desc limit 1',
    [action],
  );
  const path = `/v1/audit/records/${String(row?.['record_id'])}/readings`;
  return JSON.stringify((await client('audit-office').post(path, { reason: 'test' })).body);
};

await t.test('from the portal to the counter: a code, a ticket, an answer', async (t) => {
  const before = Date.now();
  const key = randomUUID();
  const body = consent();
  const issued = await expectAnswer<Issued>(portal.post('/v1/holder-codes', body, key), 201);
  const life = Date.parse(issued.expiresAt) - before;
  t.ok(life >= 900_000 && life < 910_000, 'a quarter of an hour');
  t.strictSame((await portal.post('/v1/holder-codes', body, key)).body, issued, 'invariant 8: a retry gets the same');
  t.match(await readingOf('issueHolderCode'), issued.codeId);
  t.match(await readingOf('issueHolderCode'), '"sessionReference":"portal-1"', 'and how the portal knew the holder');
  t.notMatch(await readingOf('issueHolderCode'), issued.code);

  const typed = issued.code.toLowerCase().replaceAll('0', 'o').replaceAll('1', 'l').replaceAll('-', ' ');
  const ticketKey = randomUUID();
  const first = await school.post('/v1/tickets', wish(typed), ticketKey);
  t.equal(first.status, 201);
  t.strictSame(
    (await school.post('/v1/tickets', wish(typed), ticketKey)).body,
    first.body,
    'a retry is the same ticket',
  );
  const { ticket } = first.body as { ticket: string };
  const reading = await readingOf('issueTicket');
  t.match(reading, issued.codeId, 'the record says on whose word');
  t.match(reading, 'citizen-portal');
  t.notMatch(reading, issued.code);
  const answered = await school.post('/v1/lookups', { purpose, level: 'fields', holder, ticket });
  t.equal(answered.status, 200);
  t.equal(codeOf(await ticketOn(issued.code)), 'holder_code_invalid', 'it counts once');
});

await t.test('bad requests for codes', async (t) => {
  const refuses = await refusing(world);
  const operationId = 'issueHolderCode' as const;
  const wrong = (what: string, overrides: Record<string, unknown>, expected: [number, string, string?]) =>
    refuses(t, what, { operationId, body: consent(overrides) }, expected);
  const miscounted = `${holder.number.slice(0, 17)}${holder.number.endsWith('1') ? '2' : '1'}`;
  await wrong('a check digit', { holder: { ...holder, number: miscounted } }, [
    422,
    'invalid_id_number',
    '/holder/number',
  ]);
  await wrong('no such kind', { holder: { ...holder, type: '777' } }, [422, 'invalid_holder_type', '/holder/type']);
  await wrong('a check character', { departmentCode: '11999900100000016B' }, [422, 'invalid_uscc', '/departmentCode']);
  await wrong('no such department', { departmentCode: newDepartmentCode() }, [
    404,
    'department_unknown',
    '/departmentCode',
  ]);
  await wrong('no such type', { certificateTypeCodes: ['11999900100000016A998'] }, [
    404,
    'certificate_type_unknown',
    '/certificateTypeCodes/0',
  ]);
  await wrong('no such field', { fields: ['name', 'canary'] }, [422, 'field_unknown', '/fields/1']);
  const anyType = { certificateTypeCodes: undefined };
  await wrong('a field of no type', { ...anyType, fields: ['name', 'canary'] }, [422, 'field_unknown', '/fields/1']);
  for (const minutes of [0, 61, 1.5, '5']) await wrong('minutes', { minutes }, [400, 'contract_violation', '/minutes']);
  await wrong('no field', { fields: [] }, [400, 'contract_violation', '/fields']);
  await refuses(t, 'by a consumer', { operationId, as: 'school-enrolment', body: consent() }, [403, 'role_required']);
  await codeFor({ ...anyType, fields: ['name', 'companyName'], matterCode: 'not-registered' });
});

await t.test('one refusal for everything, and a code that was refused still works', async (t) => {
  const { code } = await codeFor();
  const somebodyElse = { type: '111', number: personOf(1).idNumber };
  const fresh = await codeFor({ minutes: 1 });
  const revoked = await codeFor();
  await expectAnswer(portal.post(`/v1/holder-codes/${revoked.codeId}/revocations`, { reason: 'test' }), 200);
  const used = await codeFor();
  t.equal(codeOf(await ticketOn(used.code)), 'done');
  const two = [
    { certificateTypeCode: demoTypes.residentIdCard, fields: ['name'] },
    { certificateTypeCode: demoTypes.residencePermit, fields: ['name'] },
  ];
  const wide = [{ certificateTypeCode: demoTypes.residentIdCard, fields: ['name', 'sex'] }];
  const cases: readonly (readonly [what: string, body: Record<string, unknown>, as?: string])[] = [
    ['unknown', wish('00000-00000-00000-00000-000000')],
    ['no code at all', wish('canary')],
    ['its name', wish(fresh.codeId)],
    ['used', wish(used.code)],
    ['revoked', wish(revoked.code)],
    ['another department', wish(code), 'housing-allocation'],
    ['another holder', wish(code, { holder: somebodyElse })],
    ['another matter', wish(code, { purpose: { ...purpose, matterCode: 'exit-entry' } })],
    ['a type more', wish(code, { types: two })],
    ['a field more', wish(code, { types: wide })],
  ];
  const refuses = await refusing(world);
  const told: unknown[] = [];
  for (const [what, body, as] of cases) {
    const problem = await refuses(t, what, { operationId: 'issueTicket', body, ...(as !== undefined && { as }) }, [
      422,
      'holder_code_invalid',
      '/holderCode',
    ]);
    told.push({ ...problem, requestId: '', instance: '' });
  }
  const [one, ...others] = told.map((each) => JSON.stringify({ ...(each as object), recordId: '' }));
  t.ok(
    others.every((each) => each === one),
    'word for word the same',
  );
  t.equal(codeOf(await ticketOn(code)), 'done', 'none of it used the code up');
  t.equal(codeOf(await ticketOn(fresh.code)), 'done', 'good until its end');
});

await t.test('exactly one of statement and code, for the holder’s own application alone', async (t) => {
  const { code } = await codeFor();
  const refuses = await refusing(world);
  const statement = holderStatement({
    matterCode: purpose.matterCode,
    caseNumber: purpose.caseNumber,
    holder,
    types: [demoTypes.residentIdCard],
  });
  const cases: readonly (readonly [string, Record<string, unknown>, string, string])[] = [
    ['both', wish(code, { statement }), '/holderCode', 'one_of_both'],
    ['neither', wish(undefined), '/statement', 'missing'],
    ['a duty', wish(code, { purpose: { ...purpose, legalBasis: 'statutory_duty' } }), '/holderCode', 'out_of_place'],
    ['delegation', wish(code, { purpose: { ...purpose, legalBasis: 'delegated' } }), '/holderCode', 'out_of_place'],
    [
      'delegation, with both',
      wish(code, { purpose: { ...purpose, legalBasis: 'delegated' }, statement }),
      '/holderCode',
      'out_of_place',
    ],
  ];
  for (const [what, body, pointer, rule] of cases) {
    const problem = await refuses(t, what, { operationId: 'issueTicket', body }, [422, 'ticket_invalid', pointer]);
    t.equal(problem.context?.['rule'], rule, what);
  }
  await refuses(t, 'no text', { operationId: 'issueTicket', body: wish(undefined, { holderCode: 7 }) }, [
    400,
    'number_for_identifier',
    '/holderCode',
  ]);
  t.equal(codeOf(await ticketOn(code)), 'done');
  t.equal(codeOf(await ticketOn(undefined, { statement })), 'done');
});

await t.test('a code without types or fields leaves them to the office', async (t) => {
  const { code } = await codeFor({ certificateTypeCodes: undefined, fields: undefined });
  const types = [
    { certificateTypeCode: demoTypes.residentIdCard, fields: ['name', 'sex'] },
    { certificateTypeCode: demoTypes.residencePermit, fields: ['name'] },
  ];
  t.equal(codeOf(await ticketOn(code, { types })), 'done');
});

await t.test('two at once on two processes: exactly one wins; used or revoked, never both', async (t) => {
  const ticketCount = async (): Promise<number> =>
    Number((await sql('select count(*)::int as n from tickets'))[0]?.['n']);
  for (let round = 0; round < 15; round += 1) {
    const { code } = await codeFor();
    const before = await ticketCount();
    const replies = await Promise.all(
      [school, schoolOnOther, school, schoolOnOther].map((by) => ticketOn(code, {}, by)),
    );
    t.strictSame(
      replies.map(codeOf).toSorted(),
      ['done', 'holder_code_invalid', 'holder_code_invalid', 'holder_code_invalid'],
      `round ${round}`,
    );
    t.equal((await ticketCount()) - before, 1);
  }
  const seen = new Set<string>();
  for (let round = 0; round < 15; round += 1) {
    const { code, codeId } = await codeFor();
    const [made, ended] = await Promise.all([
      ticketOn(code, {}, schoolOnOther),
      portal.post(`/v1/holder-codes/${codeId}/revocations`, { reason: 'test' }),
    ]);
    const { state } = ended.body as { state: string };
    t.equal(state, made.status === 201 ? 'used' : 'revoked', `round ${round}`);
    seen.add(state);
  }
  t.comment([...seen].join(', '));
});

await t.test('revocation: by the portal that issued it, and what was used stays used', async (t) => {
  const { codeId } = await codeFor();
  const { clientId, secret } = await registerClient(world, ['portal']);
  const second = apiClient({ url: hub.url, issuer: hub.core.config.issuer, clientId, key: secret });
  const revoke = (by: ApiClient, id = codeId) => by.post(`/v1/holder-codes/${id}/revocations`, { reason: 'test' });
  t.equal(codeOf(await revoke(second)), 'holder_code_unknown');
  t.equal(codeOf(await revoke(portal, randomUUID())), 'holder_code_unknown');
  t.match((await revoke(portal)).body, { codeId, state: 'revoked' });
  const records = (await world.snapshot()).records;
  t.match((await revoke(portal, codeId.toUpperCase())).body, { codeId, state: 'revoked' }, 'again changes nothing');
  t.equal((await world.snapshot()).records, records + 1, 'and is recorded');
  const used = await codeFor();
  await expectAnswer(ticketOn(used.code), 201);
  t.match((await revoke(portal, used.codeId)).body, { state: 'used' });
});

await t.test('a portal that is disabled vouches for nobody, and nobody for itself', async (t) => {
  const { clientId, secret } = await registerClient(world, ['portal', 'consumer'], education);
  const both = apiClient({ url: hub.url, issuer: hub.core.config.issuer, clientId, key: secret });
  const [own, first, second] = [await codeFor({}, both), await codeFor({}, both), await codeFor({}, both)];
  t.equal(codeOf(await ticketOn(own.code, {}, both)), 'holder_code_invalid', 'nobody vouches for itself');
  t.equal(codeOf(await ticketOn(first.code)), 'done');
  const state = (name: string) =>
    expectAnswer(admin.post(`/v1/clients/${clientId}/states`, { state: name, reason: 'test' }), 200);
  await state('disabled');
  t.equal(codeOf(await ticketOn(second.code, {}, schoolOnOther)), 'holder_code_invalid', 'at once on every process');
  await state('active');
  t.equal(codeOf(await ticketOn(second.code)), 'done');
});

await t.test('invariant 4: a row that was changed past the hub is refused', async (t) => {
  const [victim, donor] = [await codeFor(), await codeFor({ fields: ['name', 'sex'] })];
  await sql('create table kept_code as select * from holder_codes where code_id = $1', [victim.codeId]);
  const changes = [
    `expires_at = expires_at + interval '1 day'`,
    `expires_at = 'infinity'`,
    `client_id = 'tax-issuer'`,
    `box = (select box from holder_codes where code_id = '${donor.codeId}')`,
    'box = set_byte(box, 20, (get_byte(box, 20) + 1) % 256)',
    `box = ''`,
  ];
  for (const change of changes) {
    await sql(`update holder_codes set ${change} where code_id = $1`, [victim.codeId]);
    t.equal(codeOf(await ticketOn(victim.code)), 'stored_data_tampered', change);
    await sql('delete from holder_codes where code_id = $1', [victim.codeId]);
    await sql('insert into holder_codes select * from kept_code');
  }
  t.equal(codeOf(await ticketOn(victim.code)), 'done', 'as the hub wrote it');
});

await t.test('invariant 5: neither code nor holder stands anywhere in clear', async (t) => {
  const issued = await codeFor();
  const plain = issued.code.replaceAll('-', '');
  await ticketOn(issued.code);
  await ticketOn(issued.code);
  const names = await sql(
    `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')`,
  );
  for (const { name } of names) {
    for (const canary of [issued.code, plain, plain.slice(0, 20), holder.number]) {
      const [found] = await sql(
        `select count(*)::int as n from "${String(name)}" x
          where strpos(x::text, $1) > 0 or strpos(x::text, encode(convert_to($1, 'utf8'), 'hex')) > 0`,
        [canary],
      );
      t.equal(found?.['n'], 0, `${String(name)}: ${canary.slice(0, 6)}`);
    }
  }
  const lines = [...hub.logLines, ...other.logLines].join('\n');
  for (const canary of [issued.code, plain, holder.number]) t.notOk(lines.includes(canary), 'nor in the log');
  logsAreClean(t, world);
});

await t.test('who guesses is stopped, and nobody else', async (t) => {
  const { code } = await codeFor();
  const { clientId, secret } = await registerClient(world, ['consumer'], education);
  const guesser = apiClient({ url: hub.url, issuer: hub.core.config.issuer, clientId, key: secret });
  let tries = 0;
  let last = '';
  while (tries < 110 && last !== 'rate_limited') {
    last = codeOf(await ticketOn(groupedCode(newHolderCode()), {}, guesser));
    tries += 1;
  }
  t.equal(tries, 101, 'after a hundred wrong ones');
  const reply = await ticketOn(code, {}, guesser);
  t.match([reply.status, codeOf(reply)], [429, 'rate_limited'], 'also with a right one');
  t.ok(Number(reply.headers.get('retry-after')) > 0);
  t.equal(codeOf(await ticketOn(code)), 'done', 'another client of the same department goes on');
});

// Last, because its records are of a minute to come.
await t.test('a code ends', async (t) => {
  const { code, codeId } = await codeFor({ minutes: 1 });
  let ahead = 0;
  const later = await startHub(t, {
    database: hub.database,
    register: false,
    now: () => new Date(Date.now() + ahead),
  });
  const by = later.client('school-enrolment');
  await by.token();
  ahead = 61_000;
  t.equal(codeOf(await ticketOn(code, {}, by)), 'holder_code_invalid');
  t.match((await sql('select used_at from holder_codes where code_id = $1', [codeId]))[0], { used_at: null });
  t.equal(codeOf(await ticketOn(code)), 'done', 'a moment before its end it is good');
});
