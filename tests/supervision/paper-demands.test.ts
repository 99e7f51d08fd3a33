import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { ApiClient, Reply } from '../../src/cli/api-client.ts';
import { demoTypes, householdRegisterOf, type PushBody, residentIdCardOf } from '../../src/cli/demo/certificates.ts';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import { type Person, personOf } from '../../src/cli/demo/people.ts';
import { transaction } from '../../src/db/transaction.ts';
import { grantsOf } from '../../src/grants/current-grants.ts';
import { couldSupply } from '../../src/lookup/could-supply.ts';
import { checkPaperDemands, findPaperDemand, updatePaperDemand } from '../../src/supervision/paper-demand-store.ts';
import type { Holder } from '../../src/verification/identifiers.ts';
import { type Bad, type Expected, logsAreClean, refusing } from '../api/refuses.ts';
import {
  education,
  newMatter,
  newPaperDemand,
  newPaperReport,
  paperAnswer,
  paperContest,
  paperDemandIn,
  publicSecurity,
  portalStatement as statement,
} from '../api/samples.ts';
import { clientOfRole, type Problem, startWorld } from '../api/world.ts';
import { putGrant } from '../support/demo-samples.ts';
import { registerOffice } from '../support/inspection-office.ts';
import { certificateUpTo, permitOf } from '../support/workload.ts';

const day = 86_400_000;
const world = await startWorld(t, { env: { CERTHUB_RATE_LIMIT_PER_MINUTE: '100000' } });
const { hub } = world;
const school = world.client('school-enrolment');
const portal = world.client('citizen-portal');
const admin = world.client('hub-admin');
const auditor = world.client('audit-office');
const psb = world.client('psb-issuer');
const secondSchool = await registerOffice(hub, {
  clientId: 'second-school',
  departmentCode: education,
  roles: ['consumer'],
});
const otherPortal = await registerOffice(hub, { clientId: 'other-portal', roles: ['portal'] });
for (const clientId of [...Object.values(clientOfRole), 'housing-allocation']) await world.client(clientId).token();
for (const client of [secondSchool, otherPortal]) await client.token();

const demands = '/v1/paper-demands';
interface Receipt {
  readonly paperDemandId: string;
  readonly number: string;
  readonly state: string;
  readonly recordedAt: string;
  readonly dueAt?: string;
}
interface Summary extends Receipt {
  readonly departmentCode: string;
  readonly matterCode: string;
  readonly overdue: boolean;
  readonly judgement?: string;
}
interface PersonDemand extends Receipt {
  readonly judgement: { readonly code: string; readonly text: { readonly zh: string; readonly en: string } };
  readonly contestable: boolean;
  readonly objections: readonly { readonly statement: string }[];
  readonly answers: readonly { readonly outcome: string; readonly by: string; readonly reason: string }[];
}

let made = 5_000;
const somebody = (born?: readonly [number, number]): Person => {
  made += 1;
  return personOf(made, born);
};
const holderOf = ({ idNumber }: Person): Holder => ({ type: '111', number: idNumber });
const put = (body: PushBody): Promise<string> => certificateUpTo(psb, body, 'sealed');
const cardOf = (person: Person) => residentIdCardOf(person, { number: randomUUID().slice(0, 8), issued: '2021-03-01' });
const change = (identifier: string, action: object) =>
  expectAnswer(psb.post(`/v1/certificates/${identifier}/status-changes`, { reason: 'test', ...action }), 200);

const record = (overrides: Record<string, unknown> = {}, client: ApiClient = school): Promise<Receipt> =>
  expectAnswer<Receipt>(client.post(demands, newPaperDemand(overrides)), 201);
const reportOf = (overrides: Record<string, unknown> = {}): Record<string, unknown> =>
  newPaperReport({ requirement: 'identity', what: undefined, ...overrides });
const report = (overrides: Record<string, unknown> = {}): Promise<Receipt> =>
  expectAnswer<Receipt>(portal.post(demands, reportOf(overrides)), 201);
const contest = (id: string, holder: Holder, client = portal): Promise<Reply> =>
  client.post(`${demands}/${id}/contests`, { holder, statement: 'you have it' });
const answer = (id: string, client = school, body: object = {}): Promise<Reply> =>
  client.post(`${demands}/${id}/answers`, { ...paperAnswer, ...body });
const search = async (holder: Holder, client = portal) =>
  (
    await expectAnswer<{ items: PersonDemand[] }>(
      client.post(`${demands}/searches`, { holder, statement, limit: 200 }),
      200,
    )
  ).items;
const codeOf = ({ body }: Reply): string => (body as Problem).code;
const list = async (client: ApiClient, query = 'limit=200') =>
  (await expectAnswer<{ items: Summary[] }>(client.get(`${demands}?${query}`), 200)).items;
const judgementOf = async ({ paperDemandId }: Receipt): Promise<string> => {
  const { demand } = await expectAnswer<{ demand: Summary }>(auditor.get(`${demands}/${paperDemandId}`), 200);
  return demand.judgement ?? 'none';
};
/** Without what differs between any two demands: ids, numbers, times. */
const shape = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (key, part: unknown) =>
      ['paperDemandId', 'number', 'recordedAt', 'requestId', 'at', 'caseNumber', 'next'].includes(key) ? '' : part,
    ),
  );

await t.test('judged on real certificates, as the starter matter of school enrolment asks', async (t) => {
  const guardian = somebody([1985, 1992]);
  const child = somebody([2018, 2019]);
  const identity = () => record({ parties: { guardian: holderOf(guardian) } });
  t.equal(await judgementOf(await identity()), 'could_not_supply', 'nothing is on file');
  const card = await put(cardOf(guardian).body);
  t.equal(await judgementOf(await identity()), 'could_supply_with_grant');
  await putGrant(world.client, { fields: ['name'] });
  t.equal(await judgementOf(await identity()), 'could_supply_with_grant', 'a grant of less than the matter needs');
  await putGrant(world.client, { fields: ['name', 'idNumber'], legalBases: ['statutory_duty'] });
  t.equal(await judgementOf(await identity()), 'could_supply_with_grant', 'a grant on another legal basis');
  t.equal(
    await judgementOf(await record({ parties: { guardian: holderOf(guardian) }, legalBasis: undefined })),
    'could_supply',
    'any basis where none was named',
  );
  await putGrant(world.client, { fields: ['name', 'idNumber'], ticketRequired: true });
  t.equal(await judgementOf(await identity()), 'could_supply', 'a ticket it could have issued');
  const { clientId: _school, ...other } = { clientId: '', parties: { guardian: holderOf(guardian) } };
  t.equal(await judgementOf(await record(other, secondSchool)), 'could_supply_with_grant', 'another system, no grant');
  const reporter = somebody([1985, 1992]);
  await put(cardOf(reporter).body);
  t.equal(
    await judgementOf(await report({ parties: { guardian: holderOf(reporter) }, holder: holderOf(reporter) })),
    'could_supply',
    'of a report any system of the office counts',
  );
  await change(card, { action: 'suspend' });
  t.equal(await judgementOf(await identity()), 'could_not_supply', 'suspended');
  await change(card, { action: 'resume' });

  const both = { guardian: holderOf(guardian), child: holderOf(child) };
  const register = (head: Person) => householdRegisterOf(child, { head, relationship: '子', number: `${made}` }).body;
  const guardianship = () => record({ requirement: 'guardianship', parties: both });
  const wrong = await put(register(somebody()));
  t.equal(await judgementOf(await guardianship()), 'could_not_supply', 'in the household of somebody else');
  await change(wrong, { action: 'revoke', revocationReason: 'issued_in_error' });
  await put(register(guardian));
  t.equal(await judgementOf(await guardianship()), 'could_supply_with_grant');
  t.equal(
    await judgementOf(
      await report({
        requirement: 'guardianship',
        parties: { guardian: holderOf(reporter) },
        holder: holderOf(reporter),
      }),
    ),
    'not_judged',
    'a report that leaves somebody out',
  );
  t.equal(await judgementOf(await record({ requirement: 'vaccination' })), 'retained_proof');
  t.equal(
    await judgementOf(await record({ requirement: undefined, what: 'proof that the child is the child' })),
    'outside_matter',
  );
  t.equal(await judgementOf(await record({ matterCode: 'gone-matter' })), 'not_judged');
  t.equal(
    await judgementOf(await report({ departmentCode: '11999900100000112K' })),
    'not_judged',
    'an office without a part in it',
  );
  await change(card, { action: 'revoke', revocationReason: 'cancelled' });
  t.equal(await judgementOf(await identity()), 'could_not_supply', 'revoked');
});

await t.test('a retired matter demands nothing', async (t) => {
  const matter = newMatter();
  const { matterCode } = matter;
  await expectAnswer(admin.post('/v1/matters', matter), 201);
  const applicant = holderOf(somebody());
  const asked = { matterCode, requirement: 'photo', parties: { applicant } };
  t.equal(await judgementOf(await record(asked)), 'retained_proof');
  await expectAnswer(admin.post(`/v1/matters/${String(matterCode)}/retirements`, { reason: 'merged' }), 200);
  t.equal(await judgementOf(await record(asked)), 'outside_matter');
  const unknown = await school.post(demands, newPaperDemand({ ...asked, requirement: 'no-such' }));
  t.equal(codeOf(unknown), 'requirement_unknown', 'what it asked for is still known');
});

await t.test('a requirement called by its name is that requirement', async (t) => {
  const guardian = holderOf(somebody());
  const named = (what: string, overrides: object = {}) =>
    newPaperDemand({ requirement: undefined, what, parties: { guardian }, ...overrides });
  const { paperDemandId } = await expectAnswer<Receipt>(school.post(demands, named('预防接种')), 201);
  t.match(await expectAnswer(auditor.get(`${demands}/${paperDemandId}`), 200), {
    demand: { requirement: 'vaccination', judgement: 'retained_proof' },
    what: '预防接种',
  });
  for (const [what, judgement] of [
    ['Identity of the guardian', 'could_not_supply'],
    ['身份证复印件', 'not_judged'],
    ['居民户口簿', 'not_judged'],
    ['无犯罪记录', 'outside_matter'],
  ] as const) {
    t.equal(await judgementOf(await expectAnswer<Receipt>(school.post(demands, named(what)), 201)), judgement, what);
  }
  const incomplete = await school.post(demands, named('义务教育年龄(六周岁至十六周岁)'));
  t.match([codeOf(incomplete), (incomplete.body as Problem).context], ['party_missing', { pointer: '/parties/child' }]);
});

/** Materials of two types, of two people, with conditions that some of them meet. */
const materials = fc
  .record({
    isCard: fc.boolean(),
    of: fc.constantFrom(undefined, 'applicant', 'child'),
    issuedBy: fc.constantFrom(undefined, undefined, [publicSecurity]),
    fields: fc.constantFrom(undefined, ['name']),
    months: fc.constantFrom(undefined, undefined, 12, 216, 480),
    same: fc.constantFrom(undefined, undefined, undefined, 'applicant', 'child'),
  })
  .map(({ isCard, of, issuedBy, fields, months, same }) => {
    const conditions = [
      ...(months === undefined ? [] : [{ field: 'birthDate', is: 'at_most', monthsBefore: months }]),
      ...(same === undefined ? [] : [{ field: 'certificateHolders', is: 'same_as_party', party: same }]),
    ];
    return {
      certificateTypeCode: isCard ? demoTypes.residentIdCard : demoTypes.residencePermit,
      ...(of !== undefined && { of }),
      ...(issuedBy !== undefined && { issuedBy }),
      ...(fields !== undefined && { fields }),
      ...(conditions.length > 0 && { conditions }),
    };
  });
const alternatives = fc.array(fc.array(materials, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 });

await t.test('could_supply holds exactly where a matter check with every grant says satisfied', async (t) => {
  const words = (text: string) => ({ zh: text, en: text });
  const samples = fc.sample(fc.array(alternatives, { minLength: 6, maxLength: 6 }), { seed: 20_261_123, numRuns: 8 });
  const codes = samples.map((_, i) => `generated-${i}`);
  for (const [i, lists] of samples.entries()) {
    const matter = {
      matterCode: codes[i],
      name: words('generated'),
      departmentCode: education,
      parties: ['applicant', 'child'].map((code) => ({ code, name: words(code), kind: 'person' })),
      requirements: lists.map((each, j) => ({
        code: `r${j}`,
        name: words(`r${j}`),
        legalGround: words('law'),
        alternatives: each,
      })),
    };
    await expectAnswer(admin.post('/v1/matters', matter), 201);
  }
  const fields = ['name', 'birthDate', 'certificateHolders'];
  for (const certificateTypeCode of [demoTypes.residentIdCard, demoTypes.residencePermit]) {
    await putGrant(world.client, { certificateTypeCode, fields, matters: codes });
  }
  // Everything that a certificate can be, old and young.
  const [adult, youth, none, suspended, revoked, revised, pushed, both, expired] = [
    somebody([1970, 1980]),
    somebody([2018, 2019]),
    ...Array.from({ length: 7 }, () => somebody([1985, 2012])),
  ] as unknown as readonly [Person, Person, Person, Person, Person, Person, Person, Person, Person];
  await put(cardOf(adult).body);
  await put(cardOf(youth).body);
  await put(permitOf(adult, `P-${made}`));
  await change(await put(cardOf(suspended).body), { action: 'suspend' });
  await change(await put(cardOf(revoked).body), { action: 'revoke', revocationReason: 'cancelled' });
  await put(permitOf(revoked, `P-${made}-2`));
  const first = await put(cardOf(revised).body);
  const next = await expectAnswer<{ certificateIdentifier: string }>(
    psb.post(`/v1/certificates/${first}/versions`, cardOf(revised).body),
    201,
  );
  const path = `/v1/certificates/${next.certificateIdentifier}`;
  const officer = { id: 'reviewer-11', name: '郑复核' };
  await expectAnswer(psb.post(`${path}/reviews`, { decision: 'approve', officer }), 200);
  await expectAnswer(psb.post(`${path}/seals`, {}), 200);
  await certificateUpTo(psb, cardOf(pushed).body, 'approved');
  await put(cardOf(both).body);
  await put(permitOf(both, `P-${made}-3`));
  await put({ ...permitOf(expired, `P-${made}-4`), certificateExpiringDate: '2026-01-01' });

  const people = [adult, youth, none, suspended, revoked, revised, pushed, both, expired];
  const couples = people.flatMap((one, i) => [
    [one, people[(i + 1) % people.length] ?? one] as const,
    [one, people[(i + 4) % people.length] ?? one] as const,
    [one, one] as const,
  ]);
  const { core } = hub;
  const matters = await core.matters.read();
  const deps = {
    db: hub.db,
    keys: core.keys,
    tampered: core.tampered,
    cityTimeZone: core.config.cityTimeZone,
    grantsOf: (clientId: string) => grantsOf(core.grants, clientId),
    findType: async (code: string) => {
      const found = (await core.catalogue.read()).newest(code)?.type;
      if (found === undefined) return undefined;
      const { name, ownerDepartmentCode } = found;
      return {
        name,
        ownerDepartmentCode,
        fieldNames: [...fields],
        sensitiveFieldNames: [],
        migrationOf: () => undefined,
        shapeFault: () => undefined,
      };
    },
  };
  const seen = new Map<string, number>();
  for (const matterCode of codes) {
    const matter = matters.newest(matterCode);
    if (matter === undefined) throw new Error(`no ${matterCode}`);
    for (const [applicant, child] of couples) {
      const parties = { applicant: holderOf(applicant), child: holderOf(child) };
      const asked = { caseNumber: 'CASE-1', officer, legalBasis: 'own_application', parties };
      const check = await expectAnswer<{ requirements: { outcome: string }[] }>(
        school.post(`/v1/matters/${matterCode}/checks`, asked),
        200,
      );
      const question = { matter, parties: new Map(Object.entries(parties)), at: new Date() };
      const judged = await Promise.all(
        matter.requirements.map((requirement, i) =>
          // Every other one by a system without any grant: that changes which, and nothing else.
          couldSupply(deps, {
            ...question,
            requirement,
            clientIds: [i % 2 === 0 ? 'school-enrolment' : 'second-school'],
            legalBasis: 'own_application',
          }),
        ),
      );
      const expected = check.requirements.map(({ outcome }, i) => {
        if (outcome !== 'satisfied') return 'none';
        return i % 2 === 0 ? 'permitted' : 'grant_missing';
      });
      const got = judged.map(({ supply }) => supply);
      if (JSON.stringify(got) !== JSON.stringify(expected)) t.strictSame(got, expected, `${matterCode} of ${made}`);
      for (const each of got) seen.set(each, (seen.get(each) ?? 0) + 1);
    }
  }
  const count = [...seen.values()].reduce((sum, n) => sum + n, 0);
  t.equal(count, 8 * 6 * couples.length, `${count} judgements`);
  t.ok(
    ['none', 'permitted', 'grant_missing'].every((supply) => (seen.get(supply) ?? 0) > 50),
    JSON.stringify([...seen]),
  );
});

/** Everything an office is told of a demand, and of its demands. */
async function toldToOffice(parties: Record<string, Holder>): Promise<unknown> {
  const body = newPaperDemand({ parties, caseNumber: 'CASE-SAME' });
  const reply = await school.post(demands, body);
  const { paperDemandId } = reply.body as Receipt;
  const [summary] = await list(school, 'limit=1');
  const counts = await expectAnswer<{ items: object[] }>(school.get('/v1/paper-demand-counts'), 200);
  const headers = [...reply.headers.keys()].filter((name) => name !== 'date');
  return shape([
    reply.status,
    headers,
    reply.body,
    summary,
    (await school.get(`${demands}/${paperDemandId}`)).body,
    counts.items.map((item) => Object.keys(item)),
  ]);
}

await t.test('non-disclosure: an office is told the same whatever certificates the person has', async (t) => {
  const [with_, without, broken] = [somebody(), somebody(), somebody()];
  await put(cardOf(with_).body);
  const identifier = await put(cardOf(broken).body);
  await world.sql(`update certificates set state = 'suspended' where identifier = $1`, [identifier]);
  const lines = hub.logLines.length;
  const told = await Promise.all([with_, without].map((person) => toldToOffice({ guardian: holderOf(person) })));
  const toldOfBroken = await toldToOffice({ guardian: holderOf(broken) });
  t.strictSame(told[0], told[1]);
  t.strictSame(toldOfBroken, told[1], 'a row that was tampered with is no sign either');
  t.notMatch(JSON.stringify(told), /judg|supply|deviation/i);
  t.ok(
    hub.logLines.slice(lines).some((line) => line.includes('past the hub') && line.includes('certificates')),
    'but it is reported',
  );
  const newest = await list(auditor, 'limit=3');
  t.strictSame(
    newest.map(({ judgement }) => judgement ?? '').toSorted((a, b) => (a < b ? -1 : 1)),
    ['could_not_supply', 'could_supply', 'not_judged'],
    'while the hub knows',
  );
});

await t.test(
  'a person sees its own demands, with a judgement only where it rests on its own certificates',
  async (t) => {
    const guardian = somebody([1985, 1992]);
    const child = somebody([2018, 2019]);
    await put(cardOf(guardian).body);
    await put(cardOf(child).body);
    const identity = await record({ parties: { guardian: holderOf(guardian) } });
    const age = await record({
      requirement: 'age',
      parties: { guardian: holderOf(guardian), child: holderOf(child) },
    });
    const seen = await search(holderOf(guardian));
    t.match(
      seen.map(({ paperDemandId, judgement }) => [paperDemandId, judgement.code]),
      [
        [age.paperDemandId, 'concerns_others'],
        [identity.paperDemandId, 'could_supply'],
      ],
      'newest first',
    );
    t.match(seen[1], {
      number: identity.number,
      contestable: true,
      department: { departmentCode: education, name: { en: /./ } },
      matter: { matterCode: 'school-enrolment', name: { zh: '义务教育入学' } },
      requirement: { code: 'identity', name: { zh: '监护人身份' } },
      reason: { code: 'certificate_missing', text: { zh: /平台上没有/ } },
      explanation: 'nothing was found',
      judgement: { text: { zh: /不应要求/, en: /should not/ } },
    });
    t.notMatch(JSON.stringify(seen), new RegExp(`officer|经办|${child.idNumber}|${guardian.idNumber}`));
    const [mine, ...more] = await search(holderOf(child), otherPortal);
    t.match([mine?.judgement.code, more.length], ['could_supply_with_grant', 0], 'the child’s own, on any portal');
    t.strictSame(await search(holderOf(somebody())), []);
    const [{ n } = {}] = await world.sql(
      `select count(*)::int as n from records where action = 'searchPaperDemands' and outcome = 'answered' and holder_key is not null`,
    );
    t.equal(n, 3, 'each search is on record, under the person');
    const [searched] = await world.sql(`select record_id from records where action = 'searchPaperDemands' limit 1`);
    const path = `/v1/audit/records/${String(searched?.['record_id'])}/readings`;
    const { body: reading } = await world.client('audit-office').post(path, { reason: 'test' });
    t.match(JSON.stringify(reading), statement.sessionReference, 'with how the portal knew the person');

    const page = await expectAnswer<{ items: PersonDemand[]; next?: string }>(
      portal.post(`${demands}/searches`, { holder: holderOf(guardian), statement, limit: 1 }),
      200,
    );
    const rest = await expectAnswer<{ items: PersonDemand[]; next?: string }>(
      portal.post(`${demands}/searches`, { holder: holderOf(guardian), statement, limit: 1, after: page.next }),
      200,
    );
    t.strictSame([...page.items, ...rest.items], seen);
    t.equal(rest.next, undefined);

    const foreign = await contest(identity.paperDemandId, holderOf(child));
    const missing = await contest(randomUUID(), holderOf(child));
    t.strictSame(
      { ...(foreign.body as object), requestId: '' },
      { ...(missing.body as object), requestId: '' },
      'to who is no party it does not exist',
    );
    t.equal(codeOf(foreign), 'paper_demand_unknown');
  },
);

await t.test('contested, answered, contested again, decided by the hub, and over', async (t) => {
  const guardian = somebody();
  const holder = holderOf(guardian);
  const { paperDemandId: id, ...recorded } = await record({ parties: { guardian: holder } });
  t.equal(recorded.dueAt, undefined);
  t.equal(codeOf(await answer(id)), 'paper_demand_closed', 'nobody waits for an answer');
  const first = await expectAnswer<Receipt>(contest(id, holder), 200);
  t.equal(first.state, 'contested');
  const left = Date.parse(first.dueAt ?? '') - Date.now();
  t.ok(left > 10 * day && left <= 11 * day, 'the day itself is not counted');
  const again = await contest(id, holder);
  t.match(
    [again.status, codeOf(again), (again.body as Problem).context],
    [409, 'paper_demand_closed', { state: 'contested', dueAt: first.dueAt }],
  );
  for (const [who, code] of [
    [world.client('housing-allocation'), 'paper_demand_unknown'],
    [admin, 'paper_demand_closed'],
  ] as const) {
    t.equal(codeOf(await answer(id, who)), code);
  }
  const read = await expectAnswer<{ history: object[] }>(secondSchool.get(`${demands}/${id}`), 200);
  t.match(read, {
    caseNumber: /^CASE/,
    history: [{ step: 'recorded' }, { step: 'contested', party: 'guardian', text: 'you have it' }],
  });
  t.notMatch(JSON.stringify(read), new RegExp(`officer-|经办|${guardian.idNumber}|judg`));
  t.match(await expectAnswer(answer(id, secondSchool), 200), { state: 'maintained' });
  t.match(await search(holder), [{ contestable: true, answers: [{ outcome: 'maintained', by: 'office' }] }]);
  t.match(await expectAnswer(contest(id, holder, otherPortal), 200), { state: 'escalated' });
  t.equal(codeOf(await answer(id)), 'paper_demand_closed', 'the office had its say');
  const hubs = await registerOffice(hub, {
    clientId: `education-admin-${made}`,
    departmentCode: education,
    roles: ['admin'],
  });
  t.equal(codeOf(await answer(id, hubs)), 'decider_must_differ');
  t.match(await expectAnswer(answer(id, admin, { reason: 'the law says so' }), 200), { state: 'maintained' });
  t.equal(codeOf(await contest(id, holder)), 'paper_demand_closed', 'final');
  t.match(await search(holder), [
    {
      state: 'maintained',
      contestable: false,
      objections: [{ statement: 'you have it' }, { statement: 'you have it' }],
      answers: [{ by: 'office' }, { by: 'hub', reason: 'the law says so' }],
    },
  ]);
  const reported = await report({ requirement: 'vaccination', parties: { guardian: holder }, holder });
  t.match(reported, { state: 'reported', dueAt: /T16:00:00\.000Z$/ });
  t.match(await expectAnswer(answer(reported.paperDemandId, school, { outcome: 'withdrawn' }), 200), {
    state: 'withdrawn',
  });
  t.equal(codeOf(await contest(reported.paperDemandId, holder)), 'paper_demand_closed', 'nothing is left to contest');
  const paper = await record({ requirement: 'vaccination', parties: { guardian: holder } });
  t.match(
    await expectAnswer(contest(paper.paperDemandId, holder), 200),
    { state: 'contested' },
    'a retained proof too',
  );
});

const twice = async (what: () => Promise<Reply>, other: () => Promise<Reply>): Promise<unknown[]> =>
  (await Promise.all([what(), other()]))
    .map((reply) => (reply.status === 200 ? '200' : codeOf(reply)))
    .toSorted((a, b) => (a < b ? -1 : 1));

await t.test('two at once: exactly one counts', async (t) => {
  for (let round = 0; round < 8; round += 1) {
    const holder = holderOf(somebody());
    const { paperDemandId: id } = await record({ parties: { guardian: holder } });
    t.strictSame(
      await twice(
        () => contest(id, holder),
        () => contest(id, holder, otherPortal),
      ),
      ['200', 'paper_demand_closed'],
    );
    const [one, two] = [{ outcome: 'withdrawn' }, { outcome: 'maintained' }];
    t.strictSame(
      await twice(
        () => answer(id, school, one),
        () => answer(id, secondSchool, two),
      ),
      ['200', 'paper_demand_closed'],
    );
    const [shown] = await search(holder);
    t.equal(shown?.answers.length, 1);
    t.equal(shown?.answers[0]?.outcome, shown?.state);
  }
});

await t.test('invariant 8: a retried request has one effect and one answer', async (t) => {
  const rows = async () =>
    (
      await world.sql(
        `select (select count(*) from paper_demands)::int as demands, (select count(*) from paper_demand_holders)::int as links,
        (select count(*) from records where action like '%PaperDemand' and outcome = 'done')::int as records`,
      )
    )[0];
  const person = somebody();
  await put(cardOf(person).body);
  const holder = holderOf(person);
  const body = newPaperDemand({ parties: { guardian: holder } });
  const before = (await rows()) as Record<string, number>;
  const key = randomUUID();
  const [first, second] = [await school.post(demands, body, key), await school.post(demands, body, key)];
  t.strictSame(second.body, first.body);
  t.strictSame(await rows(), {
    demands: (before['demands'] ?? 0) + 1,
    links: (before['links'] ?? 0) + 1,
    records: (before['records'] ?? 0) + 1,
  });
  t.equal(codeOf(await school.post(demands, { ...body, reason: 'hub_unavailable' }, key)), 'idempotency_conflict');
  const { paperDemandId: id } = first.body as Receipt;
  const steps = [
    [portal, `${demands}/${id}/contests`, { holder, statement: 'no' }],
    [school, `${demands}/${id}/answers`, paperAnswer],
  ] as const;
  for (const [client, path, sent] of steps) {
    const again = randomUUID();
    const replies = [await client.post(path, sent, again), await client.post(path, sent, again)];
    t.equal(replies[0]?.status, 200);
    t.strictSame(replies[1]?.body, replies[0]?.body, path);
  }
});

/** Puts off, or back, when an answer is due; as the hub itself would write it. */
const dueIn = (paperDemandId: string, days: number): Promise<void> =>
  transaction(hub.db, async (trx) => {
    const deps = { keys: hub.core.keys, tampered: hub.core.tampered };
    const found = await findPaperDemand(trx, deps, paperDemandId, { lock: true });
    if (found === undefined) throw new Error('no such demand');
    await updatePaperDemand(trx, deps, { ...found, dueAt: new Date(Date.now() + days * day) });
  });

await t.test('an office that does not answer blocks nobody: after the deadline the hub decides', async (t) => {
  const holder = holderOf(somebody());
  const parties = { guardian: holder };
  const ignored = [
    (await report({ parties, holder })).paperDemandId,
    (await record({ parties, requirement: 'vaccination' })).paperDemandId,
  ];
  await expectAnswer(contest(ignored[1] ?? '', holder), 200);
  for (const id of ignored) {
    t.match((await contest(id, holder)).body, { code: 'paper_demand_closed', context: { dueAt: /T16:00:00/ } });
    t.match(
      (await search(holder)).find(({ paperDemandId }) => paperDemandId === id),
      { contestable: false },
    );
    await dueIn(id, -1);
    t.match(
      (await search(holder)).find(({ paperDemandId }) => paperDemandId === id),
      { contestable: true },
    );
    const { state, dueAt = '' } = await expectAnswer<Receipt>(contest(id, holder), 200);
    t.equal(state, 'escalated');
    t.ok(Date.parse(dueAt) > Date.now(), 'with a deadline of its own');
    t.equal(codeOf(await answer(id)), 'paper_demand_closed', 'the office has lost its turn');
    await dueIn(id, -1);
    t.equal(codeOf(await contest(id, holder)), 'paper_demand_closed', 'the hub is late, and there is nobody above it');
    t.match(await expectAnswer(answer(id, admin), 200), { state: 'maintained' });
    t.equal(codeOf(await contest(id, holder)), 'paper_demand_closed', 'final');
  }
  t.match(await search(holder), [{ answers: [{ by: 'hub' }] }, { answers: [{ by: 'hub' }] }]);
});

interface Counts {
  readonly departmentCode: string;
  readonly total: number;
  readonly contested: number;
  readonly withdrawn: number;
  readonly maintained: number;
  readonly overdue: number;
  readonly byReason: Readonly<Record<string, number>>;
  readonly byState: Readonly<Record<string, number>>;
  readonly deviations?: number;
  readonly byJudgement?: Readonly<Record<string, number>>;
}
const dayFromNow = (days: number): string => new Date(Date.now() + days * day).toISOString().slice(0, 10);
/** Longer than any run of this test. */
const thisYear = `from=${dayFromNow(-300)}&until=${dayFromNow(60)}`;
const countsFor = async (client: ApiClient, range = thisYear) =>
  (await expectAnswer<{ items: Counts[] }>(client.get(`/v1/paper-demand-counts?${range}`), 200)).items;
const sum = (tally: Readonly<Record<string, number>> = {}): number =>
  Object.values(tally).reduce((total, n) => total + n, 0);

await t.test('deadlines: soon, overdue, counted in the log; nothing is decided by the lapse of time', async (t) => {
  const waiting = await paperDemandIn(world, 'contested');
  const another = await paperDemandIn(world, 'contested');
  const forHub = await paperDemandIn(world, 'escalated');
  const ids = async (due: string, client: ApiClient) =>
    (await list(client, `due=${due}&limit=200`)).map(({ paperDemandId }) => paperDemandId);
  t.strictSame([await ids('soon', admin), await ids('overdue', admin)], [[], []]);
  for (const id of [waiting, another, forHub]) await dueIn(id, 2);
  t.strictSame(await ids('soon', school), [forHub, another, waiting]);
  for (const id of [waiting, another, forHub]) await dueIn(id, -1);
  t.strictSame([await ids('soon', school), await ids('overdue', school)], [[], [forHub, another, waiting]]);
  t.strictSame(await ids('overdue', world.client('housing-allocation')), []);
  t.match((await list(school, 'due=overdue'))[0], { overdue: true });
  t.match(await countsFor(school), [{ overdue: 3 }]);
  const lines = hub.logLines.length;
  await hub.core.beginServing();
  const reminder = hub.logLines.slice(lines).find((line) => line.includes('contested demands for paper'));
  t.match(JSON.parse(reminder ?? '{}'), { level: 'warn', count: 3, awaitingOffice: 2, awaitingHub: 1 });
  t.match(reminder, /Education/);
  t.notMatch(reminder, /officer|经办|CASE|card/, 'numbers only');
  t.match(await expectAnswer(answer(waiting), 200), { state: 'maintained' }, 'late is still answered');
});

await t.test('counted per department; an office cannot read a judgement off its counts', async (t) => {
  const before = (await countsFor(auditor)).find(({ departmentCode }) => departmentCode === education);
  const own = (await countsFor(school))[0];
  const person = somebody();
  await put(cardOf(person).body);
  const parties = { guardian: holderOf(person) };
  await record({ parties, reason: 'person_prefers_paper' });
  await record({ requirement: undefined, what: 'a proof of nothing', reason: 'hub_unavailable' });
  const holder = holderOf(somebody());
  const told = { parties: { guardian: holder }, holder, explanation: undefined };
  await report({ ...told, reason: undefined });
  await report({ ...told, requirement: 'vaccination' });
  const shown = await search(holder);
  t.match(shown, [{ reason: { text: { zh: /^据反映，办理部门称/, en: /^According to the report, / } } }, {}]);
  t.notOk('reason' in (shown[1] ?? {}), 'what nobody said is not put into its mouth');
  const after = (await countsFor(auditor)).find(({ departmentCode }) => departmentCode === education);
  for (const [name, more] of Object.entries({
    total: 4,
    deviations: 2,
    unstated: 1,
    outside_matter: 1,
    could_supply: 1,
    hub_unavailable: 1,
    contested: 2,
  })) {
    const of = (counts: Counts | undefined): number =>
      Number({ ...counts, ...counts?.byJudgement, ...counts?.byReason }[name as 'total'] ?? 0);
    t.equal(of(after) - of(before), more, name);
  }
  for (const tally of [after?.byReason, after?.byState, after?.byJudgement]) t.equal(sum(tally), after?.total);
  t.strictSame(await countsFor(admin), await countsFor(auditor));

  const mine = await countsFor(school);
  t.equal(mine.length, 1, 'its own department alone');
  t.strictSame(Object.keys(mine[0] ?? {}), Object.keys(own ?? {}));
  t.notMatch(JSON.stringify(mine), /judg|supply|deviat/i);
  t.strictSame(await countsFor(world.client('housing-allocation')), []);
  const today = new Date(Date.now() + 8 * 3_600_000).toISOString().slice(0, 10);
  t.strictSame(await countsFor(admin, `from=${dayFromNow(-300)}&until=${today}`), [], 'until is not counted');
  const bad = async (range: string) => codeOf(await admin.get(`/v1/paper-demand-counts?${range}`));
  t.equal(await bad('from=2026-02-01&until=2026-02-01'), 'range_invalid');
  t.equal(await bad('from=0999-02-01&until=0999-02-02'), 'range_invalid', 'no calendar goes back so far');
  t.equal(await bad('from=2026-02-30&until=2026-03-01'), 'contract_violation');
  t.equal(await bad('from=2025-01-01&until=2026-01-03'), 'range_too_long');
  t.equal(await bad('from=2025-01-01'), 'range_too_long', 'until tomorrow');
  t.match(await countsFor(admin, ''), [{ departmentCode: education }], 'this month so far');
});

const repeated = ({ status, body }: Reply): unknown => {
  const { code, context } = body as Problem;
  return [status, code, context?.['paperDemandId']];
};

await t.test('a demand stands on file once: what is there already is contested, not reported anew', async (t) => {
  for (const isRecorded of [false, true]) {
    const holder = holderOf(somebody());
    const parties = { guardian: holder };
    const recorded = isRecorded ? await record({ parties }) : undefined;
    const replies = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        (i % 2 === 0 ? portal : otherPortal).post(demands, reportOf({ parties, holder })),
      ),
    );
    const won = replies.filter(({ status }) => status === 201);
    t.equal(won.length, isRecorded ? 0 : 1, 'ten at once');
    const paperDemandId = (recorded ?? (won[0]?.body as Receipt | undefined))?.paperDemandId;
    for (const reply of replies)
      if (reply !== won[0]) t.strictSame(repeated(reply), [409, 'paper_demand_exists', paperDemandId]);
    t.equal((await search(holder)).length, 1);
  }
  const [holder, child, sibling] = [holderOf(somebody()), holderOf(somebody()), holderOf(somebody())];
  const parties = { guardian: holder, child };
  const age = { requirement: 'age', parties, holder };
  const { paperDemandId: id } = await report(age);
  const again = (overrides: object = {}) => portal.post(demands, reportOf({ ...age, ...overrides }));
  const seen = [409, 'paper_demand_exists', id];
  t.strictSame(repeated(await again({ parties: { guardian: holder } })), seen, 'somebody left out');
  t.strictSame(
    repeated(await again({ requirement: undefined, what: 'Age of compulsory education (six to sixteen years)' })),
    seen,
    'by its name',
  );
  t.strictSame(repeated(await again({ holder: child })), seen, 'by another party');
  t.equal(
    (await again({ parties: { guardian: holder, child: sibling } })).status,
    201,
    'of another child it is another',
  );
  t.equal(
    (await again({ parties: { guardian: sibling }, holder: sibling })).status,
    201,
    'who is no party learns nothing',
  );
  for (const who of [school, admin]) {
    if (who === admin) await expectAnswer(contest(id, holder), 200);
    await expectAnswer(answer(id, who), 200);
    t.strictSame(repeated(await again()), seen, 'maintained, and at last by the hub');
  }
  const thing = { requirement: undefined, what: 'Letter of the school', parties, holder };
  const { paperDemandId: letter } = await report(thing);
  t.strictSame(repeated(await again({ ...thing, what: 'letter of the school.' })), [
    409,
    'paper_demand_exists',
    letter,
  ]);
  await expectAnswer(answer(letter, school, { outcome: 'withdrawn' }), 200);
  t.equal((await again(thing)).status, 201, 'withdrawn and demanded again');
});

await t.test('an office is refused its own record again, and learns nothing of a report', async (t) => {
  const totals = async () => {
    const of = (items: Counts[]) => items.find(({ departmentCode }) => departmentCode === education)?.total ?? 0;
    return [of(await countsFor(auditor)), of(await countsFor(school))] as const;
  };
  const holder = holderOf(somebody());
  const parties = { guardian: holder };
  const before = await totals();
  await report({ parties, holder });
  const body = newPaperDemand({ parties });
  const [one, other] = await Promise.all([school.post(demands, body), secondSchool.post(demands, body)]);
  const [won, lost] = one.status === 201 ? [one, other] : [other, one];
  const { paperDemandId } = won.body as Receipt;
  t.equal(won.status, 201);
  t.strictSame(repeated(lost), [409, 'paper_demand_exists', paperDemandId], 'two of its systems at once');
  const unreported = await record({ parties: { guardian: holderOf(somebody()) } });
  t.strictSame(Object.keys(won.body as object), Object.keys(unreported), 'told the same as where nobody reported');
  const after = await totals();
  t.equal(after[0] - before[0], 2, 'the report and its record are one demand');
  t.equal(after[1] - before[1], 3, 'to the office they are two: its total would tell who reported');
  t.equal((await school.post(demands, { ...body, caseNumber: 'CASE-OTHER' })).status, 201, 'another case');
  t.equal((await school.post(demands, { ...body, requirement: 'residence' })).status, 201, 'another proof');
});

const isReported = (from: number, table: string): boolean =>
  hub.logLines.slice(from).some((line) => line.includes('past the hub') && line.includes(table));
const selfCheck = async (): Promise<string[]> => {
  const found: string[] = [];
  const tampered = (_table: string, id: string) => void found.push(id);
  await transaction(hub.db, (trx) => checkPaperDemands(trx, { keys: hub.core.keys, tampered }));
  return found;
};

await t.test('invariant 4: what was written past the hub is not used, not counted, and reported', async (t) => {
  const holder = holderOf(somebody());
  const stranger = holderOf(somebody());
  const { paperDemandId: id } = await record({ parties: { guardian: holder } });
  const { paperDemandId: other } = await record({ parties: { guardian: stranger } });
  await expectAnswer(contest(id, holder), 200);
  t.strictSame(await selfCheck(), []);
  await world.sql('create table kept as select * from paper_demands where paper_demand_id = $1', [id]);
  const total = async () => (await countsFor(school))[0]?.total ?? 0;
  const before = await total();
  for (const forged of [
    `state = 'withdrawn'`,
    `department_code = '119999001000000838'`,
    `client_id = 'second-school'`,
    `matter_code = 'exit-entry'`,
    `due_at = due_at + interval '1 day'`,
    `due_at = null`,
    `due_at = 'infinity'`,
    `created_at = created_at - interval '1 day'`,
    `settled_at = created_at`,
    `forgotten_at = created_at`,
    `box = (select box from paper_demands where paper_demand_id = '${other}')`,
  ]) {
    const lines = hub.logLines.length;
    await world.sql(`update paper_demands set ${forged} where paper_demand_id = $1`, [id]);
    t.equal(codeOf(await admin.get(`${demands}/${id}`)), 'paper_demand_unknown', forged);
    t.equal(codeOf(await answer(id)), 'paper_demand_unknown');
    t.equal(codeOf(await contest(id, holder)), 'paper_demand_unknown');
    t.strictSame(await search(holder), []);
    t.equal(await total(), before - 1, 'nor counted');
    t.ok(isReported(lines, 'paper_demands'));
    t.strictSame(await selfCheck(), [id]);
    await world.sql('delete from paper_demands where paper_demand_id = $1', [id]);
    await world.sql('insert into paper_demands select * from kept');
  }
  await world.sql(
    `insert into paper_demand_holders select holder_key, $1 from paper_demand_holders where paper_demand_id = $2`,
    [id, other],
  );
  const lines = hub.logLines.length;
  t.strictSame(
    (await search(stranger)).map(({ paperDemandId }) => paperDemandId),
    [other],
    'put under somebody else it is not shown',
  );
  t.ok(isReported(lines, 'paper_demand_holders'));
  t.strictSame(await selfCheck(), [id]);
  await world.sql('delete from paper_demand_holders where paper_demand_id = $1', [id]);
  t.strictSame(await selfCheck(), [id], 'hidden from its person');
  t.match(await expectAnswer(answer(id), 200), { state: 'maintained' }, 'the office sees it all the same');
});

await t.test('invariant 5: nobody’s number, name or words in clear at rest', async (t) => {
  const rows = await world.sql(
    `select p::text as text, encode(box, 'escape') as box from paper_demands p union all
     select h::text, '' from paper_demand_holders h`,
  );
  t.ok(rows.length > 50);
  t.notMatch(JSON.stringify(rows), /990000|officer|经办|CASE-|you have it|nothing was found|card|guardian/);
  const canary = `guardian-${somebody().idNumber}`;
  const { paperDemandId } = await record({ matterCode: canary });
  const [row] = await world.sql('select matter_code from paper_demands where paper_demand_id = $1', [paperDemandId]);
  t.equal(row?.['matter_code'], null, 'a code that holds an ID number is not kept as such');
});

await t.test('bad demands are refused, on record, and nothing is kept of them', async (t) => {
  const refuses = await refusing(world);
  const wrong = (what: string, overrides: Record<string, unknown>, expected: Expected) =>
    refuses(t, what, { operationId: 'recordPaperDemand', body: newPaperDemand(overrides) }, expected);
  const guardian = paperContest.holder;
  const violation = (pointer: string): Expected => [400, 'contract_violation', pointer];
  await wrong('neither requirement nor text', { requirement: undefined }, violation('/what'));
  await wrong('both', { what: 'something else' }, violation('/what'));
  await wrong('no case', { caseNumber: undefined }, violation('/caseNumber'));
  await wrong('no officer', { officer: undefined }, violation('/officer'));
  await wrong(
    'another reason that is not told',
    { reason: 'other', explanation: undefined },
    violation('/explanation'),
  );
  await wrong('no reason', { reason: undefined }, violation('/reason'));
  await wrong('no such reason', { reason: 'habit' }, violation('/reason'));
  await wrong('for another department', { departmentCode: publicSecurity }, [
    403,
    'wrong_department',
    '/departmentCode',
  ]);
  await wrong('a person of an office', { holder: guardian }, violation('/holder'));
  await wrong('an office in a person’s words', { statement: 'they want it' }, violation('/statement'));
  await wrong('no such requirement', { requirement: 'no-such' }, [422, 'requirement_unknown', '/requirement']);
  await wrong('nobody', { parties: {} }, violation('/parties'));
  await wrong('who has no part in it', { parties: { guardian, canary: guardian } }, [
    422,
    'party_missing',
    '/parties/*',
  ]);
  await wrong('the one it depends on is left out', { requirement: 'age' }, [422, 'party_missing', '/parties/child']);
  await wrong('the one compared with is left out', { requirement: 'guardianship', parties: { child: guardian } }, [
    422,
    'party_missing',
    '/parties/guardian',
  ]);
  await wrong('a person as their own child', { parties: { guardian, child: guardian } }, [
    422,
    'parties_equal',
    '/parties/child',
  ]);
  await wrong('a company for a person', { parties: { guardian: { type: '001', number: '91999900MA00000A0R' } } }, [
    422,
    'invalid_uscc',
    '/parties/guardian/number',
  ]);
  await wrong('an office’s code for a person', { parties: { guardian: { type: '001', number: education } } }, [
    422,
    'party_missing',
    '/parties/guardian/type',
  ]);
  const badNumber = { type: '111', number: '99000019900101001X' };
  await wrong('a wrong check digit', { parties: { guardian: badNumber } }, [
    422,
    'invalid_id_number',
    '/parties/guardian/number',
  ]);
  await wrong('the same of a matter nobody knows', { matterCode: 'gone', parties: { canaryName: badNumber } }, [
    422,
    'invalid_id_number',
    '/parties/*/number',
  ]);
  const wrongReport = (what: string, overrides: Record<string, unknown>, expected: Expected) => {
    const bad: Bad = { operationId: 'recordPaperDemand', as: 'citizen-portal', body: reportOf(overrides) };
    return refuses(t, what, bad, expected);
  };
  await wrongReport('an office that is not there', { departmentCode: '11999900900000003B' }, [
    404,
    'department_unknown',
    '/departmentCode',
  ]);
  await wrongReport('no office', { departmentCode: undefined }, violation('/departmentCode'));
  await wrongReport('nobody authenticated', { holder: undefined }, violation('/holder'));
  await wrongReport('no words', { statement: undefined }, violation('/statement'));
  const other = holderOf(somebody());
  await wrongReport('somebody else’s demand', { holder: other }, [422, 'party_missing', '/holder']);
  const params = { paperDemandId: await paperDemandIn(world, 'recorded') };
  const fresh = await refusing(world);
  const unknown: Expected = [404, 'paper_demand_unknown'];
  await fresh(
    t,
    'by who is no party',
    { operationId: 'contestPaperDemand', params, body: { ...paperContest, holder: other } },
    unknown,
  );
  await fresh(
    t,
    'without words',
    { operationId: 'contestPaperDemand', params, body: { ...paperContest, statement: ' ' } },
    violation('/statement'),
  );
  await fresh(t, 'nobody waits', { operationId: 'answerPaperDemand', params, body: paperAnswer }, [
    409,
    'paper_demand_closed',
  ]);
  await fresh(
    t,
    'another office',
    { operationId: 'answerPaperDemand', as: 'housing-allocation', params, body: paperAnswer },
    unknown,
  );
  await fresh(t, 'another office', { operationId: 'getPaperDemand', as: 'housing-allocation', params }, unknown);
  await fresh(
    t,
    'no cursor',
    { operationId: 'searchPaperDemands', body: { holder: other, statement, after: '--' } },
    violation('/after'),
  );
  await fresh(t, 'no cursor', { operationId: 'listPaperDemands', query: 'after=--' }, violation('/after'));
  logsAreClean(t as Test, world);
});
