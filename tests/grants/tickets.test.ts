import { createHmac, createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { insertRecords } from '../../src/audit/store.ts';
import { type ApiClient, apiClient, type Reply } from '../../src/cli/api-client.ts';
import { demoTypes } from '../../src/cli/demo/certificates.ts';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import { demoClientKey } from '../../src/cli/demo/registry.ts';
import { Refusal } from '../../src/errors.ts';
import { openTicket, takeUses } from '../../src/grants/use-ticket.ts';
import { type Bad, type Expected, refusing } from '../api/refuses.ts';
import { certificateIn, newType, registerClient } from '../api/samples.ts';
import { type Problem, startWorld } from '../api/world.ts';
import { pushOf, putGrant } from '../support/demo-samples.ts';
import { faultyInsert } from '../support/faulty.ts';
import { holderStatement, type StatementSigner } from '../support/holder-statement.ts';
import { startHub } from '../support/start-hub.ts';

const world = await startWorld(t);
const { hub, sql, client } = world;
/** A second process of the same hub. */
const other = await startHub(t, { database: hub.database, register: false });
const school = client('school-enrolment');
const schoolOnOther = other.client('school-enrolment');
const admin = client('hub-admin');

const card = pushOf(demoTypes.residentIdCard);
const [given = { type: '', number: '', name: '' }] = card.body.holders;
const holder = { type: given.type, number: given.number };
const somebodyElse = pushOf(demoTypes.residentIdCard, 1).body.holders[0] ?? holder;
const purpose = {
  matterCode: 'school-enrolment',
  caseNumber: 'RX-2026-0007',
  officer: { id: 'officer-27', name: '陈受理' },
  legalBasis: 'own_application',
};
const types = [{ certificateTypeCode: demoTypes.residentIdCard, fields: ['name', 'certificateNumber'] }];
const said = {
  matterCode: purpose.matterCode,
  caseNumber: purpose.caseNumber,
  holder,
  types: [demoTypes.residentIdCard],
};
const statement = (claims: Record<string, unknown> = {}, signer: StatementSigner = {}): string =>
  holderStatement({ ...said, ...claims }, signer);

const identifier = await certificateIn(world, 'valid', card);
const { grantId } = await putGrant(client, {
  fields: ['name', 'sex', 'birthDate', 'certificateNumber'],
  legalBases: ['own_application', 'delegated', 'statutory_duty'],
  matters: ['school-enrolment', 'other-matter'],
  ticketRequired: true,
});
// The tokens that are taken later are no part of what is measured, and the other process sees the grant by then.
await Promise.all([school, schoolOnOther, client('housing-allocation')].map((each) => each.token()));
await sleep(1_000);

interface Issued {
  readonly ticketId: string;
  readonly ticket: string;
  readonly uses: number;
  readonly expiresAt: string;
}
const wish = (overrides: Record<string, unknown> = {}): Record<string, unknown> => ({
  purpose,
  level: 'fields',
  holder,
  types,
  statement: statement(),
  ...overrides,
});
const issue = (overrides: Record<string, unknown> = {}, by: ApiClient = school): Promise<Issued> =>
  expectAnswer<Issued>(by.post('/v1/tickets', wish(overrides)), 201);
const question = (ticket: string | undefined, overrides: Record<string, unknown> = {}): Record<string, unknown> => ({
  purpose,
  level: 'fields',
  holder,
  ...(ticket !== undefined && { ticket }),
  ...overrides,
});
const ask = (ticket: string | undefined, overrides: Record<string, unknown> = {}, by: ApiClient = school) =>
  by.post('/v1/lookups', question(ticket, overrides));
const codeOf = ({ status, body }: Reply): string => (status === 200 ? 'answered' : (body as Problem).code);
const usedOf = async ({ ticketId }: Issued): Promise<unknown> =>
  (await sql('select used from tickets where ticket_id = $1', [ticketId]))[0]?.['used'];
/** A record as an auditor reads it. */
const readingOf = async (recordId: unknown): Promise<unknown> =>
  (await client('audit-office').post(`/v1/audit/records/${String(recordId)}/readings`, { reason: 'test' })).body;
const duty = { ...purpose, legalBasis: 'statutory_duty' };
/** Under a duty by law, so without a statement. */
const dutyTicket = (overrides: Record<string, unknown> = {}): Promise<Issued> =>
  issue({ purpose: duty, statement: undefined, ...overrides });

await t.test('a ticket from the holder’s word to its last use', async (t) => {
  const before = Date.now();
  const body = wish();
  const key = randomUUID();
  const issued = await expectAnswer<Issued>(school.post('/v1/tickets', body, key), 201);
  t.match(issued.ticket, /^certhub_ticket_[A-Za-z0-9_-]{22}$/);
  t.equal(issued.uses, 1);
  const life = Date.parse(issued.expiresAt) - before;
  t.ok(life >= 3_600_000 && life < 3_660_000, 'an hour');
  t.strictSame((await school.post('/v1/tickets', body, key)).body, issued, 'invariant 8: a retry gets the same ticket');

  const refused = await ask(undefined);
  t.match(refused.body, {
    status: 403,
    code: 'ticket_required',
    context: { pointer: '/ticket', ticketFor: [{ certificateTypeCode: demoTypes.residentIdCard, level: 'fields' }] },
  });
  t.notOk('apply' in ((refused.body as Problem).context ?? {}), 'a grant is there: none needs to be applied for');

  const answered = await expectAnswer<{ recordId: string; certificates: readonly Record<string, unknown>[] }>(
    ask(issued.ticket),
    200,
  );
  t.match(answered.certificates, [{ certificateIdentifier: identifier, grantId }]);
  t.strictSame(
    Object.keys(answered.certificates[0]?.['fields'] as object).toSorted(),
    ['certificateNumber', 'name'],
    'a question without types gets those of the ticket, not all of the grant',
  );
  t.equal(codeOf(await ask(issued.ticket)), 'ticket_used_up');
  t.equal(codeOf(await ask(issued.ticket, {}, schoolOnOther)), 'ticket_used_up', 'on every process');

  t.match(
    JSON.stringify(await readingOf(answered.recordId)),
    new RegExp(issued.ticketId),
    'the record names the ticket',
  );
  t.notMatch(JSON.stringify(await readingOf(answered.recordId)), new RegExp(issued.ticket), 'never the secret');
  const [made] = await sql(
    `select record_id, kind, outcome, holder_key is not null as known from records where action = 'issueTicket'`,
  );
  t.match(made, { kind: 3, outcome: 'done', known: true });
  t.match(
    JSON.stringify(await readingOf(made?.['record_id'])),
    new RegExp(`${issued.ticketId}.*citizen-portal|citizen-portal.*${issued.ticketId}`),
  );

  const report = await client('citizen-portal').post('/v1/access-reports', {
    holder,
    statement: { authenticatedBy: 'face and ID card', sessionReference: 'session-1' },
    limit: 50,
  });
  type Item = { readonly action?: string; readonly recordId: string; readonly sentence: { readonly zh: string } };
  const { items } = report.body as { items: readonly Item[] };
  t.notOk(
    items.some(({ action }) => action === 'issueTicket'),
    'the holder’s report tells who looked',
  );
  const shown = items.find(({ recordId }) => recordId === answered.recordId);
  t.match(shown?.sentence.zh, '为办理事项“义务教育入学”', 'and for which matter, by its registered name');
});

await t.test('level compare: the ticket’s fields may be compared, nothing is shown', async (t) => {
  const { ticket } = await dutyTicket({ level: 'compare', uses: 5 });
  const named = (rest: object) => ({
    purpose: duty,
    level: 'compare',
    types: [{ certificateTypeCode: demoTypes.residentIdCard, ...rest }],
  });
  const { certificates } = await expectAnswer<{ certificates: readonly Record<string, unknown>[] }>(
    ask(ticket, named({ compare: { name: given.name } })),
    200,
  );
  t.match(certificates, [{ compared: { name: true } }]);
  t.match((await ask(ticket, named({ compare: { sex: '女' } }))).body, {
    code: 'ticket_mismatch',
    context: { pointer: '/types/0/compare' },
  });
  t.equal((await ask(ticket, { purpose: duty, level: 'compare' })).status, 200);
  t.match((await ask(ticket, { purpose: duty })).body, { code: 'ticket_mismatch', context: { pointer: '/level' } });
});

await t.test('a ticket is refused for everything that it was not issued for, and none of it uses it up', async (t) => {
  const issued = await issue();
  const { ticket } = issued;
  const refuses = await refusing(world);
  const wide = [...types, { certificateTypeCode: demoTypes.residencePermit, fields: ['name'] }];
  const asking = (overrides: Record<string, unknown>, quoted = ticket): Bad => ({
    operationId: 'lookUp',
    body: question(quoted, overrides),
  });
  const mismatch = (pointer: string): Expected => [403, 'ticket_mismatch', pointer];
  const unknown: Expected = [403, 'ticket_unknown', '/ticket'];
  const cases: readonly (readonly [what: string, bad: Bad, expected: Expected])[] = [
    ['nobody’s', asking({}, 'certhub_ticket_AAAAAAAAAAAAAAAAAAAAAA'), unknown],
    ['one character more', asking({}, `${ticket}A`), unknown],
    ['its name', asking({}, issued.ticketId), unknown],
    ['another client’s', { ...asking({}), as: 'housing-allocation' }, unknown],
    [
      'another matter',
      asking({ purpose: { ...purpose, matterCode: 'other-matter' } }),
      mismatch('/purpose/matterCode'),
    ],
    ['another case', asking({ purpose: { ...purpose, caseNumber: 'RX-2026-0008' } }), mismatch('/purpose/caseNumber')],
    [
      'another officer',
      asking({ purpose: { ...purpose, officer: { ...purpose.officer, id: 'officer-28' } } }),
      mismatch('/purpose/officer/id'),
    ],
    [
      'another name of the officer',
      asking({ purpose: { ...purpose, officer: { ...purpose.officer, name: '某人' } } }),
      mismatch('/purpose/officer/name'),
    ],
    ['another legal basis', asking({ purpose: duty }), mismatch('/purpose/legalBasis')],
    ['another holder', asking({ holder: { type: '111', number: somebodyElse.number } }), mismatch('/holder/number')],
    [
      'a certificate instead',
      asking({ holder: undefined, certificateIdentifier: identifier }),
      mismatch('/certificateIdentifier'),
    ],
    [
      'another type',
      asking({ types: [{ certificateTypeCode: demoTypes.residencePermit }] }),
      mismatch('/types/0/certificateTypeCode'),
    ],
    ['a type more', asking({ types: wide }), mismatch('/types/1/certificateTypeCode')],
    [
      'a field more',
      asking({ types: [{ certificateTypeCode: demoTypes.residentIdCard, fields: ['name', 'sex'] }] }),
      mismatch('/types/0/fields/1'),
    ],
    ['no ticket', { operationId: 'lookUp', body: question(undefined) }, [403, 'ticket_required', '/ticket']],
  ];
  for (const [what, bad, expected] of cases) await refuses(t, what, bad, expected);
  t.equal(await usedOf(issued), 0);
  t.equal(
    codeOf(await ask(ticket, { purpose: { ...purpose, note: 'urgent' } })),
    'answered',
    'a note is the question’s own',
  );
  t.equal(await usedOf(issued), 1);
});

await t.test(
  'a ticket permits nothing by itself, and what is refused for want of a grant or of quota uses none up',
  async (t) => {
    const noGrant = await dutyTicket({ types: [{ certificateTypeCode: demoTypes.residencePermit, fields: ['name'] }] });
    t.equal(codeOf(await ask(noGrant.ticket, { purpose: duty })), 'grant_required');
    const wider = await dutyTicket({
      types: [{ certificateTypeCode: demoTypes.residentIdCard, fields: ['name', 'address'] }],
    });
    t.equal(
      codeOf(await ask(wider.ticket, { purpose: duty })),
      'grant_required',
      'all that the ticket is for, or nothing',
    );
    const small = { clientId: 'housing-allocation', legalBases: ['statutory_duty'], dailyQuota: 1, fields: ['name'] };
    await putGrant(client, small);
    const housing = client('housing-allocation');
    const body = {
      purpose: duty,
      statement: undefined,
      types: [{ certificateTypeCode: demoTypes.residentIdCard, fields: ['name'] }],
    };
    const [first, second] = [await issue(body, housing), await issue(body, housing)];
    t.equal(
      codeOf(await ask(first.ticket, { purpose: duty }, housing)),
      'answered',
      'also under a grant that takes questions without',
    );
    t.equal(codeOf(await ask(second.ticket, { purpose: duty }, housing)), 'quota_exceeded');
    const used: unknown[] = [];
    for (const each of [noGrant, wider, first, second]) used.push(await usedOf(each));
    t.strictSame(used, [0, 0, 1, 0]);
  },
);

await t.test('a ticket ends', async (t) => {
  const short = await dutyTicket({ uses: 9, expiresAt: new Date(Date.now() + 1_500).toISOString() });
  t.equal(codeOf(await ask(short.ticket, { purpose: duty })), 'answered');
  await sleep(1_600);
  t.equal(codeOf(await ask(short.ticket, { purpose: duty })), 'ticket_expired');

  const revoked = await dutyTicket({ uses: 9 });
  const refuses = await refusing(world);
  const path = `/v1/tickets/${revoked.ticketId}/revocations`;
  const params = { ticketId: revoked.ticketId };
  await refuses(
    t,
    'another client’s',
    { operationId: 'revokeTicket', params, body: { reason: 'test' }, as: 'housing-allocation' },
    [403, 'ticket_unknown'],
  );
  await refuses(
    t,
    'nobody’s',
    { operationId: 'revokeTicket', params: { ticketId: randomUUID() }, body: { reason: 'test' } },
    [403, 'ticket_unknown'],
  );
  t.equal(codeOf(await ask(revoked.ticket, { purpose: duty }, schoolOnOther)), 'answered');
  const told = await school.post(path, { reason: 'withdrawn' });
  t.strictSame([told.status, told.body], [200, { ticketId: revoked.ticketId, state: 'revoked' }]);
  t.equal(
    codeOf(await ask(revoked.ticket, { purpose: duty }, schoolOnOther)),
    'ticket_expired',
    'invariant 2: at once, on every process',
  );
  const again = await school.post(path, { reason: 'withdrawn' });
  t.strictSame([again.status, again.body], [200, told.body], 'again changes nothing');
});

await t.test(
  'invariant 2: revoked on one process while another is asked, no use is taken after the revocation',
  async (t) => {
    for (let round = 0; round < 5; round += 1) {
      const issued = await dutyTicket({ uses: 100 });
      let revokedAt = Number.POSITIVE_INFINITY;
      const late: string[] = [];
      const asker = async (): Promise<void> => {
        for (let refused = false; !refused; ) {
          const asked = performance.now();
          const code = codeOf(await ask(issued.ticket, { purpose: duty }, schoolOnOther));
          refused = code !== 'answered';
          if (!refused && asked > revokedAt) late.push(code);
        }
      };
      const askers = Promise.all([asker(), asker(), asker()]);
      await sleep(20);
      await expectAnswer(school.post(`/v1/tickets/${issued.ticketId}/revocations`, { reason: 'test' }), 200);
      revokedAt = performance.now();
      await askers;
      t.strictSame(late, []);
    }
  },
);

await t.test('invariant 2: revoked or changed after it was read, a ticket gives no use', async (t) => {
  const deps = { db: hub.db, keys: hub.core.keys };
  const takeAfter = async (change: (issued: Issued) => Promise<unknown>): Promise<unknown> => {
    const issued = await dutyTicket();
    const quoted = { secret: issued.ticket, clientId: 'school-enrolment', pointer: '/ticket' };
    const opened = await openTicket(deps, quoted);
    await change(issued);
    const code = await takeUses(deps, [opened], new Date()).then(
      () => 'taken',
      (error: unknown) => (error instanceof Refusal ? error.code : error),
    );
    return [code, await usedOf(issued)];
  };
  t.strictSame(await takeAfter(() => Promise.resolve()), ['taken', 1]);
  t.strictSame(
    await takeAfter(({ ticketId }) => school.post(`/v1/tickets/${ticketId}/revocations`, { reason: 'test' })),
    ['ticket_expired', 0],
  );
  t.strictSame(await takeAfter(({ ticket }) => ask(ticket, { purpose: duty }, schoolOnOther)), ['ticket_used_up', 1]);
  const raised = ({ ticketId }: Issued) =>
    sql('update tickets set uses = 9, used = 1 where ticket_id = $1', [ticketId]);
  t.strictSame(
    await takeAfter(raised),
    ['stored_data_tampered', 1],
    'the uses that were read count, not those of the row',
  );
});

await t.test(
  'invariant 2: of many uses at the same moment on two processes no more than the ticket is good for',
  async (t) => {
    const rounds = async (uses: number, askers: number, n: number): Promise<void> => {
      for (let round = 0; round < n; round += 1) {
        const issued = await dutyTicket({ uses });
        const codes = await Promise.all(
          Array.from({ length: askers }, async (_, i) =>
            codeOf(await ask(issued.ticket, { purpose: duty }, i % 2 === 0 ? school : schoolOnOther)),
          ),
        );
        const answered = codes.filter((code) => code === 'answered').length;
        const usedUp = codes.filter((code) => code === 'ticket_used_up').length;
        t.strictSame([answered, usedUp, await usedOf(issued)], [uses, askers - uses, uses], `round ${round}`);
      }
    };
    await rounds(1, 2, 40);
    await rounds(1, 8, 10);
    await rounds(3, 10, 5);
  },
);

await t.test('what is asked for must be sound', async (t) => {
  const refuses = await refusing(world);
  const issuing = (overrides: Record<string, unknown>): Bad => ({ operationId: 'issueTicket', body: wish(overrides) });
  const inMs = (ms: number): string => new Date(Date.now() + ms).toISOString();
  const [type] = types;
  const foreign = newType();
  const cases: readonly (readonly [what: string, overrides: Record<string, unknown>, expected: Expected])[] = [
    [
      'a number that cannot be',
      { holder: { type: '111', number: '990000199901011235' } },
      [422, 'invalid_id_number', '/holder/number'],
    ],
    [
      'no such kind of holder',
      { holder: { type: '777', number: holder.number } },
      [422, 'invalid_holder_type', '/holder/type'],
    ],
    ['a type twice', { types: [type, type] }, [400, 'contract_violation', '/types/1']],
    [
      'a code that cannot be',
      { types: [{ ...type, certificateTypeCode: '119999001000000161001' }] },
      [422, 'invalid_certificate_type_code', '/types/0/certificateTypeCode'],
    ],
    [
      'an unknown type',
      { types: [type, { certificateTypeCode: foreign['certificateTypeCode'], fields: ['note'] }] },
      [404, 'certificate_type_unknown', '/types/1/certificateTypeCode'],
    ],
    [
      'an unknown field',
      { types: [{ ...type, fields: ['name', 'note'] }] },
      [422, 'field_unknown', '/types/0/fields/1'],
    ],
    ['ended before it begins', { expiresAt: inMs(-1_000) }, [422, 'ticket_invalid', '/expiresAt']],
    ['too long', { expiresAt: inMs(7 * 86_400_000 + 60_000) }, [422, 'ticket_invalid', '/expiresAt']],
    ['no statement', { statement: undefined }, [422, 'ticket_invalid', '/statement']],
    [
      'no statement on delegation',
      { purpose: { ...purpose, legalBasis: 'delegated' }, statement: undefined },
      [422, 'ticket_invalid', '/statement'],
    ],
    ['a statement for a duty by law', { purpose: duty }, [422, 'ticket_invalid', '/statement']],
    ['no use', { uses: 0 }, [400, 'contract_violation', '/uses']],
  ];
  for (const [what, overrides, expected] of cases) await refuses(t, what, issuing(overrides), expected);
  t.equal((await dutyTicket({ uses: 100, expiresAt: inMs(7 * 86_400_000 - 5_000) })).uses, 100, 'the most there is');
});

const seconds = (): number => Math.floor(Date.now() / 1000);
const delegated = { ...purpose, legalBasis: 'delegated' };
const delegate = { type: '111', number: somebodyElse.number };
const delegation = {
  delegate,
  scope: '代办入学报名',
  delegationExpiresAt: new Date(Date.now() + 600_000).toISOString(),
};

await t.test('statements that are not believed', async (t) => {
  const refuses = await refusing(world);
  const key = demoClientKey('citizen-portal');
  const { privateKey: stranger } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const [head = '', payload = '', signature = ''] = statement().split('.');
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const header = { typ: 'certhub-holder-statement+jwt', kid: key['kid'] };
  const hmacWith = (secret: Buffer | string): string => {
    const signed = `${part({ ...header, alg: 'HS256' })}.${payload}`;
    return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
  };
  const { d: _d, ...publicJwk } = key;
  const publicKey = createPublicKey({ key: publicJwk, format: 'jwk' });
  const told = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Record<string, unknown>;
  const cases: readonly (readonly [what: string, text: string, rule: string])[] = [
    ['no JWS', 'canary', 'malformed'],
    ['signed with another key', statement({}, { signer: stranger }), 'signature'],
    ['without a signature', `${head}.${payload}.`, 'signature'],
    ['alg none', `${part({ ...header, alg: 'none' })}.${payload}.`, 'algorithm'],
    ['HS256 with the public key as PEM', hmacWith(publicKey.export({ type: 'spki', format: 'pem' })), 'algorithm'],
    ['HS256 with the public key as bytes', hmacWith(Buffer.from(key['x'] ?? '', 'base64url')), 'algorithm'],
    ['a claim changed', `${head}.${part({ ...told, caseNumber: purpose.caseNumber })}x.${signature}`, 'malformed'],
    ['another claim', `${head}.${part({ ...told, extra: 1 })}.${signature}`, 'signature'],
    ['an assertion', statement({}, { header: { typ: 'client-authentication+jwt' } }), 'type'],
    ['its own key', statement({}, { header: { jwk: publicJwk } }), 'signature'],
    ['a critical header', statement({}, { header: { crit: ['exp'] } }), 'malformed'],
    ['an unknown kid', statement({}, { header: { kid: 'canary' } }), 'signature'],
    ['without kid', statement({}, { header: { kid: undefined } }), 'signature'],
    ['another suite', statement({}, { header: { alg: 'EdDSA' } }), 'signature'],
    [
      'by the client itself',
      statement({ iss: 'school-enrolment' }, { key: demoClientKey('school-enrolment') }),
      'signature',
    ],
    ['by an issuer', statement({ iss: 'psb-issuer' }, { key: demoClientKey('psb-issuer') }), 'signature'],
    ['in the portal’s name by another', statement({}, { key: demoClientKey('psb-issuer') }), 'signature'],
    ['by nobody known', statement({ iss: 'canary-portal' }), 'signature'],
    ['iss no text', statement({ iss: ['citizen-portal'] }), 'signature'],
    ['for another hub', statement({ aud: 'https://canary.test' }), 'audience'],
    ['for a list of hubs', statement({ aud: ['http://hub.test'] }), 'audience'],
    ['for another client', statement({ azp: 'housing-allocation' }), 'authorized_party'],
    ['without times', statement({ exp: undefined }), 'times_missing'],
    ['times as text', statement({ iat: String(seconds()) }), 'times_missing'],
    ['for too long', statement({ exp: seconds() + 602 }), 'lifetime'],
    ['ended before it began', statement({ exp: seconds() - 1 }), 'lifetime'],
    ['expired', statement({ iat: seconds() - 300, exp: seconds() - 61 }), 'expired'],
    ['from the future', statement({ iat: seconds() + 90 }), 'not_yet_valid'],
    ['not yet valid', statement({ nbf: seconds() + 90 }), 'not_yet_valid'],
    ['without a name', statement({ jti: undefined }), 'jti'],
    ['with a long name', statement({ jti: 'x'.repeat(129) }), 'jti'],
    ['for another matter', statement({ matterCode: 'other-matter' }), 'matter'],
    ['for another case', statement({ caseNumber: 'RX-2026-0008' }), 'case'],
    ['of another holder', statement({ holder: delegate }), 'holder'],
    ['of nobody', statement({ holder: 'me' }), 'holder'],
    ['for another type', statement({ types: [demoTypes.residencePermit] }), 'types'],
    ['types as text', statement({ types: demoTypes.residentIdCard }), 'types'],
    ['of a delegate, for an application of one’s own', statement(delegation), 'delegate'],
  ];
  for (const [what, text, rule] of cases) {
    const problem = await refuses(t, what, { operationId: 'issueTicket', body: wish({ statement: text }) }, [
      422,
      'statement_invalid',
      '/statement',
    ]);
    t.equal(problem.context?.['rule'], rule, what);
  }
  const onDelegation: readonly (readonly [what: string, claims: Record<string, unknown>, rule: string])[] = [
    ['nobody acts', { delegate: undefined }, 'delegate'],
    ['the holder acts for the holder', { delegate: holder }, 'delegate'],
    ['a number that cannot be', { delegate: { type: '111', number: '990000199901011235' } }, 'delegate'],
    ['for nothing', { scope: ' ' }, 'scope'],
    ['it has ended', { delegationExpiresAt: new Date(Date.now() - 1_000).toISOString() }, 'delegation_expired'],
    ['until when is no time', { delegationExpiresAt: 'tomorrow' }, 'delegation_expired'],
  ];
  for (const [what, claims, rule] of onDelegation) {
    const body = wish({ purpose: delegated, statement: statement({ ...delegation, ...claims }) });
    const problem = await refuses(t, what, { operationId: 'issueTicket', body }, [
      422,
      'statement_invalid',
      '/statement',
    ]);
    t.equal(problem.context?.['rule'], rule, what);
  }
  const beyond = wish({
    purpose: delegated,
    expiresAt: new Date(Date.now() + 900_000).toISOString(),
    statement: statement(delegation),
  });
  await refuses(t, 'longer than the delegation', { operationId: 'issueTicket', body: beyond }, [
    422,
    'ticket_invalid',
    '/expiresAt',
  ]);
});

await t.test(
  'statements that are believed: wider ones, clocks a minute apart, on delegation until it ends',
  async (t) => {
    const wide = await issue({ statement: statement({ types: [demoTypes.marriage, demoTypes.residentIdCard] }) });
    t.equal(codeOf(await ask(wide.ticket)), 'answered');
    await issue({ statement: statement({ iat: seconds() + 30, exp: seconds() + 630 }) });
    await issue({ statement: statement({ iat: seconds() - 300, exp: seconds() - 30 }) });
    await issue({ statement: statement({ holder: { type: '111', number: holder.number.toLowerCase() } }) });
    const acted = await issue({ purpose: delegated, statement: statement(delegation) });
    t.equal(acted.expiresAt, delegation.delegationExpiresAt);
    t.equal(codeOf(await ask(acted.ticket, { purpose: delegated })), 'answered');
  },
);

await t.test('invariant 2: nobody acts on delegation without a ticket, whatever the grant says', async (t) => {
  const open = { fields: ['name'], legalBases: ['own_application', 'delegated'], matters: ['delegated-matter'] };
  await putGrant(client, open);
  await sleep(1_000);
  const inline = { ...purpose, matterCode: 'delegated-matter' };
  t.equal(codeOf(await ask(undefined, { purpose: inline })), 'answered', 'the grant itself demands none');
  for (const types of [undefined, [{ certificateTypeCode: demoTypes.residentIdCard, fields: ['name'] }]]) {
    const reply = await ask(undefined, { purpose: { ...inline, legalBasis: 'delegated' }, ...(types && { types }) });
    t.match(reply.body, {
      code: 'ticket_required',
      context: { ticketFor: [{ certificateTypeCode: demoTypes.residentIdCard }] },
    });
  }
});

await t.test('a portal that is disabled, and a key that is revoked, sign nothing more', async (t) => {
  const { clientId, secret } = await registerClient(world, ['portal']);
  const by = (): string => statement({ iss: clientId }, { key: secret });
  const issuing = () => school.post('/v1/tickets', wish({ statement: by() }));
  t.equal((await issuing()).status, 201);
  const state = (name: string) =>
    expectAnswer(admin.post(`/v1/clients/${clientId}/states`, { state: name, reason: 'test' }), 200);
  await state('disabled');
  t.match((await issuing()).body, { code: 'statement_invalid', context: { rule: 'signature' } });
  t.equal((await schoolOnOther.post('/v1/tickets', wish({ statement: by() }))).status, 422, 'at once on every process');
  await state('active');
  t.equal((await issuing()).status, 201);
  await expectAnswer(
    admin.post(`/v1/clients/${clientId}/keys/${secret['kid'] ?? ''}/revocations`, { reason: 'test' }),
    200,
  );
  t.match((await issuing()).body, { code: 'statement_invalid', context: { rule: 'signature' } });
  const both = await registerClient(world, ['portal', 'consumer']);
  const itself = apiClient({ url: hub.url, issuer: 'http://hub.test', clientId: both.clientId, key: both.secret });
  const own = statement({ iss: both.clientId, azp: both.clientId }, { key: both.secret });
  t.match(
    (await itself.post('/v1/tickets', wish({ statement: own }))).body,
    { code: 'statement_invalid' },
    'nobody vouches for itself',
  );
});

await t.test('each statement counts once, also when it is sent twice at the same moment', async (t) => {
  const used = statement();
  await issue({ statement: used });
  const refuses = await refusing(world);
  await refuses(t, 'again', { operationId: 'issueTicket', body: wish({ statement: used }) }, [
    409,
    'statement_replayed',
    '/statement',
  ]);
  const named = statement({ jti: 'the same name' });
  await issue({ statement: named });
  t.equal(
    codeOf(await school.post('/v1/tickets', wish({ statement: statement({ jti: 'the same name' }) }))),
    'statement_replayed',
  );
  for (let round = 0; round < 15; round += 1) {
    const body = wish({ statement: statement() });
    const replies = await Promise.all(
      [school, schoolOnOther, school, schoolOnOther].map((by) => by.post('/v1/tickets', body)),
    );
    t.strictSame(replies.map((reply) => (reply.status === 201 ? 'issued' : codeOf(reply))).toSorted(), [
      'issued',
      'statement_replayed',
      'statement_replayed',
      'statement_replayed',
    ]);
  }
  const refusedFirst = statement();
  t.equal((await school.post('/v1/tickets', wish({ statement: refusedFirst, holder: delegate }))).status, 422);
  t.equal(
    (await school.post('/v1/tickets', wish({ statement: refusedFirst }))).status,
    201,
    'a refusal does not use it up',
  );
});

await t.test('invariant 4: a row that was changed past the hub is refused', async (t) => {
  const [victim, donor] = [await dutyTicket(), await dutyTicket({ uses: 50 })];
  const changes: readonly (readonly [what: string, change: string])[] = [
    ['more uses', 'uses = 100'],
    ['a later end', `expires_at = expires_at + interval '1 day'`],
    ['no end', `expires_at = 'infinity'`],
    ['a box of another', `box = (select box from tickets where ticket_id = '${donor.ticketId}')`],
    ['a byte of the box', 'box = set_byte(box, 20, (get_byte(box, 20) + 1) % 256)'],
    ['an empty box', `box = ''`],
  ];
  for (const [what, change] of changes) {
    const kept = (await sql('select * from tickets where ticket_id = $1', [victim.ticketId]))[0] ?? {};
    await sql(`update tickets set ${change} where ticket_id = $1`, [victim.ticketId]);
    const reply = await ask(victim.ticket, { purpose: duty });
    t.equal(codeOf(reply), 'stored_data_tampered', what);
    const [record] = await sql(
      'select record_id, outcome, code from records order by recorded_at desc, record_id desc limit 1',
    );
    t.match(record, { outcome: 'failed', code: 'stored_data_tampered' });
    t.match(
      JSON.stringify(await readingOf(record?.['record_id'])),
      new RegExp(victim.ticketId),
      'and the record names it',
    );
    await sql('update tickets set uses = $2, expires_at = $3, box = $4 where ticket_id = $1', [
      victim.ticketId,
      kept['uses'],
      kept['expires_at'],
      kept['box'],
    ]);
  }
  await sql(`update tickets set client_id = 'housing-allocation' where ticket_id = $1`, [victim.ticketId]);
  t.equal(
    codeOf(await ask(victim.ticket, { purpose: duty }, client('housing-allocation'))),
    'stored_data_tampered',
    'given to another client',
  );
  t.equal(codeOf(await ask(victim.ticket, { purpose: duty })), 'ticket_unknown');
  await sql(`update tickets set client_id = 'school-enrolment' where ticket_id = $1`, [victim.ticketId]);
  t.equal(codeOf(await ask(victim.ticket, { purpose: duty })), 'answered', 'as the hub wrote it');
  // A hash of the attacker's own choosing needs a box that binds it.
  await sql(`update tickets set ticket_hash = sha256('certhub_ticket_forged') where ticket_id = $1`, [donor.ticketId]);
  t.equal(codeOf(await ask('certhub_ticket_forged', { purpose: duty })), 'stored_data_tampered');
});

await t.test('invariant 5: neither the secret nor the holder stands anywhere in clear', async (t) => {
  const issued = await issue({ purpose: delegated, statement: statement(delegation) });
  await ask(issued.ticket, { purpose: delegated });
  await ask(issued.ticket, { purpose: delegated });
  const canaries = [
    issued.ticket,
    issued.ticket.slice(-22),
    holder.number,
    delegate.number,
    purpose.caseNumber,
    '陈受理',
    delegation.scope,
  ];
  const names = await sql(
    `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')`,
  );
  for (const { name } of names) {
    for (const canary of canaries) {
      const [found] = await sql(
        `select count(*)::int as n from "${String(name)}" x
          where strpos(x::text, $1) > 0 or strpos(x::text, encode(convert_to($1, 'utf8'), 'hex')) > 0`,
        [canary],
      );
      t.equal(found?.['n'], 0, `${String(name)}: ${canary.slice(0, 6)}`);
    }
  }
  const lines = [...hub.logLines, ...other.logLines].join('\n');
  for (const canary of canaries) t.notOk(lines.includes(canary), 'nor in the log');
});

await t.test('a question without a ticket costs no statement about tickets', async (t) => {
  const asked: string[] = [];
  const { db } = hub.core as { db: { query: typeof hub.core.db.query } };
  const { query } = db;
  db.query = (statement, values) => {
    asked.push(statement.name);
    return query(statement, values);
  };
  t.teardown(() => {
    db.query = query;
  });
  await ask(undefined);
  t.notOk(asked.some((name) => name.includes('ticket')));
  const { ticket } = await dutyTicket();
  asked.length = 0;
  await ask(ticket, { purpose: duty });
  t.strictSame(
    asked.filter((name) => name.includes('ticket')),
    ['ticket_by_hash', 'ticket_take_uses'],
    'with one: found, and used',
  );
});

await t.test('invariant 1: without a record no answer; the use it took stays taken', async (t) => {
  let faulty: ReturnType<typeof faultyInsert> | undefined;
  const third = await startHub(t, {
    database: hub.database,
    register: false,
    insertAll: (db) => {
      faulty = faultyInsert((rows) => insertRecords(db, rows));
      return faulty.insertAll;
    },
  });
  const by = third.client('school-enrolment');
  await by.token();
  const issued = await dutyTicket();
  faulty?.set('lost');
  t.equal(codeOf(await ask(issued.ticket, { purpose: duty }, by)), 'record_unavailable');
  faulty?.set('none');
  t.equal(await usedOf(issued), 1);
  t.equal(codeOf(await ask(issued.ticket, { purpose: duty }, by)), 'ticket_used_up');
});
