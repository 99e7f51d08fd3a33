import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { exampleDepartments } from '../../src/catalogue/starter-types.ts';
import type { ApiClient, Reply } from '../../src/cli/api-client.ts';
import { demoTypes, type PushBody } from '../../src/cli/demo/certificates.ts';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import { idNumberOf, type Person } from '../../src/cli/demo/people.ts';
import { usccCheckCharacter } from '../../src/verification/identifiers.ts';
import { newType } from '../api/samples.ts';
import { checkStore } from '../support/check-records.ts';
import { ownCluster, runSql } from '../support/database.ts';
import { exampleKeys, startHub } from '../support/start-hub.ts';
import {
  byNumber,
  claimsOf,
  clientsOf,
  codeOf,
  databaseOf,
  grant,
  type LookupAnswer,
  marriageOf,
  permitFields,
  permitOf,
  question,
  until,
  wishBody,
} from '../support/workload.ts';

// Canaries: people, companies, cases and officers that are nowhere else in the repository, sent through every operation. Afterwards
// no trace of them may be found in the database, its files, its log, the hub's log, or in any answer that is not entitled to them.

const born = '1931-07-15';
const canary = (n: number, name: string): Person => ({
  name: `金丝雀${name}`,
  sex: n % 2 === 1 ? '男' : '女',
  birthDate: born,
  idNumber: idNumberOf(born, 100 + n),
  address: `示范市金丝雀路${n}号`,
});
const [one, two, three] = [canary(1, '甲'), canary(2, '乙'), canary(3, '丙')];
const usccBody = '91999900MACANARY7';
const company = `${usccBody}${usccCheckCharacter(usccBody) ?? ''}`;
const officer = { id: 'canary-officer-9', name: '金丝雀经办' } as const;
const other = { id: 'canary-officer-8', name: '金丝雀复核' } as const;
const caseNumber = 'CANARYCASE-2026-77';
const certificateNumber = 'CANARYNUMBER-1';

/** What would give each of them away, whole or in part. */
const traces = [
  '金丝雀',
  `990000${born.replaceAll('-', '')}`,
  born,
  'MACANARY7',
  'canary-officer',
  'CANARYCASE',
  'CANARYNUMBER',
] as const;

/** A trace in all the forms in which it could lie about. */
function formsOf(trace: string): readonly (readonly [form: string, bytes: Buffer])[] {
  const utf8 = Buffer.from(trace);
  const hex = utf8.toString('hex');
  const escaped = Array.from(trace, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
  const inBase64 = [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), utf8]).toString('base64');
    // Only what the trace alone decides, wherever in a longer text it stands.
    return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + utf8.length) * 8) / 6));
  });
  const texts: [string, string][] = [
    ['hex', hex],
    ['HEX', hex.toUpperCase()],
    ['escaped', escaped],
    ['percent-encoded', encodeURIComponent(trace)],
    ...inBase64.map((text, at): [string, string] => [`base64, offset ${at}`, text]),
    ...inBase64.map((text, at): [string, string] => [
      `base64url, offset ${at}`,
      text.replaceAll('+', '-').replaceAll('/', '_'),
    ]),
  ];
  const utf16 = Buffer.from(trace, 'utf16le');
  const forms: [string, Buffer][] = [
    ['utf-8', utf8],
    ['utf-16le', utf16],
    ['utf-16be', Buffer.from(utf16).swap16()],
    ...texts.map(([form, text]): [string, Buffer] => [form, Buffer.from(text)]),
  ];
  const seen = new Set<string>();
  return forms.filter(([, bytes]) => !seen.has(bytes.toString('hex')) && seen.add(bytes.toString('hex')));
}

const patterns = traces.flatMap((trace) =>
  formsOf(trace).map(([form, bytes]) => ({ name: `${trace} (${form})`, bytes })),
);

/** Which traces are found in the bytes. */
const tracesIn = (bytes: Buffer): string[] =>
  patterns.flatMap(({ name, bytes: wanted }) => (bytes.includes(wanted) ? [name] : []));

/** Every file below a folder. */
async function filesBelow(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) found.push(...(await filesBelow(path)));
    else if (entry.isFile()) found.push(path);
  }
  return found;
}

/** All the bytes of a value as the database driver gives it. */
function bytesOf(value: unknown): Buffer {
  if (Buffer.isBuffer(value)) return value;
  if (Array.isArray(value)) return Buffer.concat(value.map(bytesOf));
  return Buffer.from(value instanceof Date ? value.toISOString() : JSON.stringify(value ?? ''));
}

/** A careless administrator's logging: every statement, every parameter, every error with its row. */
const careless = {
  log_statement: 'all',
  log_min_duration_statement: '0',
  log_min_messages: 'debug1',
  log_min_error_statement: 'debug1',
  log_error_verbosity: 'verbose',
  log_parameter_max_length: '-1',
  log_parameter_max_length_on_error: '-1',
  log_lock_waits: 'on',
  autovacuum: 'off',
};

interface Exchange {
  readonly what: string;
  readonly reply: Reply;
  /** Whether the answer may hold what was asked about; refusals never may. */
  readonly entitled: boolean;
}

/** Clients whose every exchange is kept. */
function listening(clients: (clientId: string) => ApiClient) {
  const exchanges: Exchange[] = [];
  const over = (clientId: string, entitled = true) => {
    const client = clients(clientId);
    const kept = async (what: string, reply: Promise<Reply>): Promise<Reply> => {
      exchanges.push({ what: `${clientId}: ${what}`, reply: await reply, entitled });
      return reply;
    };
    return {
      get: (path: string) => kept(`GET ${path}`, client.get(path)),
      post: (path: string, body: unknown, key?: string) => kept(`POST ${path}`, client.post(path, body, key)),
      put: (path: string, body: unknown, key?: string) => kept(`PUT ${path}`, client.put(path, body, key)),
    };
  };
  return { exchanges, over };
}

await t.test('the scan finds what there is to find', async (t) => {
  for (const { name, bytes } of patterns) {
    const hidden = Buffer.concat([Buffer.from('some text before '), bytes, Buffer.from(' and after')]);
    t.ok(tracesIn(hidden).includes(name), name);
  }
  const nested = Buffer.from(
    Buffer.from(JSON.stringify({ a: 1, name: one.name, number: one.idNumber })).toString('base64url'),
  );
  t.ok(
    tracesIn(nested).some((found) => found.startsWith('金丝雀')),
    'within a token',
  );
  t.ok(tracesIn(nested).some((found) => found.startsWith('990000')));
  t.strictSame(tracesIn(Buffer.from('canaries sing in 1931')), []);
});

await t.test('invariant 5: nothing personal is readable in database, files, logs, headers or refusals', async (t) => {
  const cluster = await ownCluster(t, { settings: careless });
  const database = await databaseOf(cluster.server());
  const hub = await startHub(t, { database });
  const superuser = (...sql: string[]) => runSql(database.superuserUrl, ...sql);
  const clients = clientsOf(hub);
  const { exchanges, over } = listening((clientId) => (clientId === 'anyone' ? hub.anyone : clients(clientId)));
  const [psb, couples, market] = [over('psb-issuer'), over('civil-affairs-issuer'), over('market-issuer')];
  const school = over('school-enrolment');
  const purpose = { ...question({}).purpose, caseNumber, officer, note: '金丝雀备注' };
  const ask = (about: object, more: object = {}) => question(about, { purpose, ...more });
  const permit = (person: Person, number = certificateNumber): PushBody => ({ ...permitOf(person, number), officer });

  await t.test('every operation, with them', async (t) => {
    await grant(clients);
    await grant(clients, { certificateTypeCode: demoTypes.businessLicence, fields: ['companyName'] });
    await grant(clients, { clientId: 'housing-allocation', level: 'compare', fields: permitFields.slice(3) });

    // A whole life: returned, corrected, approved, sealed, revised, suspended, resumed, revoked.
    const pushed = await expectAnswer<{ certificateIdentifier: string }>(
      psb.post('/v1/certificates', permit(two), `canary-${one.idNumber}`),
      201,
    );
    t.equal((await psb.post('/v1/certificates', permit(two), `canary-${one.idNumber}`)).status, 201, 'a replay');
    const path = `/v1/certificates/${pushed.certificateIdentifier}`;
    const reason = '金丝雀理由';
    const steps: [string, Promise<Reply>][] = [];
    const step = async (what: string, reply: Promise<Reply>): Promise<void> => {
      steps.push([what, reply]);
      t.match((await reply).status, /^20[01]$/, what);
    };
    await step('return', psb.post(`${path}/reviews`, { decision: 'return', officer: other, reason }));
    await step('correct', psb.put(path, permit(one)));
    await step('approve', psb.post(`${path}/reviews`, { decision: 'approve', officer: other }));
    await step('seal', psb.post(`${path}/seals`, { officer }));
    await step('suspend', psb.post(`${path}/status-changes`, { action: 'suspend', reason, officer }));
    await step('resume', psb.post(`${path}/status-changes`, { action: 'resume', reason, officer }));
    const revision = psb.post(`${path}/versions`, permit(one, `${certificateNumber}-2`));
    await step('revise', revision);
    const next = `/v1/certificates/${((await revision).body as { certificateIdentifier: string }).certificateIdentifier}`;
    await step('approve the next', psb.post(`${next}/reviews`, { decision: 'approve', officer: other }));
    await step('seal the next', psb.post(`${next}/seals`, { officer }));
    await step('see it', psb.get(next));
    await step('its history', psb.get(`${next}/history`));
    await step('two holders', couples.post('/v1/certificates', { ...marriageOf(one, two, 'CANARYNUMBER-J'), officer }));
    const licence = {
      certificateTypeCode: demoTypes.businessLicence,
      certificateNumber: 'CANARYNUMBER-L',
      certificateIssuedDate: '2020-01-02',
      certificateEffectiveDate: '2020-01-02',
      certificateExpiringDate: '2040-01-01',
      holders: [{ type: '001', number: company, name: '金丝雀有限公司' }],
      fields: {
        companyName: '金丝雀有限公司',
        unifiedSocialCreditCode: company,
        entityType: '有限责任公司',
        legalRepresentative: three.name,
        registeredCapital: '1.00',
        establishedDate: '2020-01-02',
        domicile: three.address,
        businessScope: '金丝雀饲养',
        registrationAuthority: '示范市市场监督管理局',
      },
      officer,
    };
    const company1 = await expectAnswer<{ certificateIdentifier: string }>(
      market.post('/v1/certificates', licence),
      201,
    );
    const licencePath = `/v1/certificates/${company1.certificateIdentifier}`;
    await step('approve the licence', market.post(`${licencePath}/reviews`, { decision: 'approve', officer: other }));
    await step('seal the licence', market.post(`${licencePath}/seals`, {}));

    await until('grants are known', async () => (await school.post('/v1/lookups', ask(byNumber(one)))).status === 200);
    const found = await expectAnswer<LookupAnswer>(school.post('/v1/lookups', ask(byNumber(one))), 200);
    t.match(JSON.stringify(found.certificates), one.address, 'an answer that is entitled to it');
    await step('by identifier', school.post('/v1/lookups', ask({ certificateIdentifier: next.split('/').at(-1) })));
    await step('by company', school.post('/v1/lookups', ask({ holder: { type: '001', number: company } })));
    await step('nobody', school.post('/v1/lookups', ask(byNumber(three))));
    // Yes and no, and nothing else.
    const compare = { name: one.name, currentAddress: `${three.address}东`, birthDate: born };
    const types = [{ certificateTypeCode: demoTypes.residencePermit, compare }];
    const compared = over('housing-allocation').post('/v1/lookups', ask(byNumber(one), { level: 'compare', types }));
    await step('compare', compared);
    const body = (await compared).body as LookupAnswer;
    const { purpose: own, ...claims } = claimsOf(body.answer);
    t.strictSame(own, purpose, 'the signed answer repeats to its caller what the caller said');
    t.strictSame(
      tracesIn(Buffer.from(JSON.stringify({ ...body, answer: claims }))),
      [],
      'and nothing about the holder',
    );

    const need = {
      name: { zh: '金丝雀证', en: 'canary-officer' },
      fields: [{ name: { zh: '金丝雀项', en: 'canary-officer' } }],
      matters: ['school-enrolment'],
      issuerDepartmentCode: exampleDepartments.publicSecurity,
      legalGround: `金丝雀法 ${one.idNumber}`,
      officer,
    };
    const declaring = school.post('/v1/demands', need);
    await step('declare', declaring);
    const demand = `/v1/demands/${((await declaring).body as { demandId: string }).demandId}`;
    const by = new Date(Date.now() + 365 * 86_400_000).toISOString().slice(0, 10);
    await step('answer', over('psb-grants').post(`${demand}/answers`, { answer: 'will_supply', by, reason, officer }));
    const assignment = { issuerDepartmentCode: exampleDepartments.taxation, reason };
    await step('assign', over('hub-admin').post(`${demand}/assignments`, assignment));
    await step('gaps', over('hub-admin').get('/v1/supply-gaps'));
    await step('demands', school.get('/v1/demands'));
    await step('withdraw', school.post(`${demand}/withdrawals`, { reason }));

    const anyone = over('anyone', false);
    const identifier = next.split('/').at(-1) ?? '';
    const right = { certificateNumber: `${certificateNumber}-2`, holderName: one.name, holderNumber: one.idNumber };
    for (const faceValues of [
      right,
      { ...right, holderName: two.name },
      { name: one.name, currentAddress: one.address },
    ]) {
      await step(
        'verify the face',
        anyone.post('/v1/verifications', { certificateIdentifier: identifier, faceValues }),
      );
    }
    const [presented] = found.certificates;
    const { answer } = found;
    await step(
      'verify',
      over('anyone').post('/v1/verifications', { answer, sdJwts: found.certificates.map(({ sdJwt }) => sdJwt) }),
    );
    await step('verify a forged one', anyone.post('/v1/verifications', { sdJwt: `${presented?.sdJwt.slice(0, -9)}~` }));
    await step(
      'verify a number',
      anyone.post('/v1/verifications', { certificateIdentifier: one.idNumber, faceValues: right }),
    );

    // A ticket on a one-time code, a matter checked under it, and an application prepared for the province.
    const admin = over('hub-admin');
    const holder = byNumber(one).holder;
    const consent = {
      holder,
      statement: { authenticatedBy: `${one.name}的脸`, sessionReference: one.idNumber },
      matterCode: purpose.matterCode,
      departmentCode: '11999900100000075D',
    };
    const secrets: string[] = [];
    const codes: string[] = [];
    for (const what of ['a code', 'another code']) {
      const issuing = over('citizen-portal').post('/v1/holder-codes', consent);
      await step(what, issuing);
      const { code, codeId } = (await issuing).body as { code: string; codeId: string };
      secrets.push(code, code.replaceAll('-', ''));
      codes.push(codeId);
    }
    const wanted = { certificateTypeCode: demoTypes.residencePermit, fields: permitFields.slice(0, 2) };
    const ticketing = school.post('/v1/tickets', {
      purpose,
      level: 'fields',
      holder,
      types: [wanted],
      holderCode: secrets[0],
    });
    await step('a ticket on the code', ticketing);
    const { ticket } = (await ticketing).body as { ticket: string };
    secrets.push(ticket);
    await step(
      'revoke the other code',
      over('citizen-portal').post(`/v1/holder-codes/${codes[1] ?? ''}/revocations`, { reason }),
    );
    const parties = { guardian: holder, child: byNumber(two).holder };
    const { matterCode, ...why } = purpose;
    const words = (text: string) => ({ zh: text, en: text });
    await step(
      'a matter',
      admin.post('/v1/matters', {
        matterCode,
        name: words('School enrolment'),
        departmentCode: '11999900100000075D',
        parties: ['guardian', 'child'].map((code) => ({ code, name: words(code), kind: 'person' })),
        requirements: [
          { code: 'home', name: words('Home'), legalGround: words('Article 12'), alternatives: [[wanted]] },
        ],
      }),
    );
    const checking = school.post(`/v1/matters/${matterCode}/checks`, {
      ...why,
      tickets: { guardian: ticket },
      parties,
    });
    await step('a check under the ticket', checking);
    const provincial: Record<string, unknown> = { ...newType(), decidedBy: 'province' };
    await step('a type of the province', admin.post('/v1/certificate-types', provincial));
    const { certificateTypeCode } = provincial;
    const wish = wishBody({ fields: ['note'] }, { certificateTypeCode, safeguards: reason, officer });
    const applying = school.post('/v1/grant-applications', wish);
    await step('apply for it', applying);
    const application = `/v1/grant-applications/${((await applying).body as { applicationId: string }).applicationId}`;
    const verdict = { decision: 'approve', reason, decisionReference: '示公授〔2026〕4号', officer: other };
    await step('approve it', over('psb-grants').post(`${application}/decisions`, verdict));
    await step('its form', school.get(`${application}/province-form`));
    await step('enter the decision', admin.post(`${application}/province-decisions`, verdict));

    const asking = {
      matterCode: 'school-enrolment',
      requirement: 'home',
      caseNumber,
      officer,
      legalBasis: 'own_application',
      parties,
      reason: 'other',
      explanation: `金丝雀说明，${one.idNumber}`,
    };
    const demanded = school.post('/v1/paper-demands', asking);
    await step('ask for paper', demanded);
    await step(
      'and for what nobody asks for',
      school.post('/v1/paper-demands', { ...asking, requirement: undefined, what: `${two.name}的证明` }),
    );
    await step(
      'in a matter that is a number',
      school.post('/v1/paper-demands', { ...asking, matterCode: one.idNumber }),
    );
    const portal = over('citizen-portal');
    const { officer: _clerk, ...seen } = asking;
    const told = { departmentCode: '11999900100000075D', holder: parties.guardian, statement: `${one.name}不同意` };
    const another = { requirement: undefined, what: `${one.name}的证明` };
    await step('report it', portal.post('/v1/paper-demands', { ...seen, ...another, ...told }));
    const paper = `/v1/paper-demands/${((await demanded).body as { paperDemandId: string }).paperDemandId}`;
    await step('contest', portal.post(`${paper}/contests`, { holder: parties.guardian, statement: told.statement }));
    await step('read it', school.get(paper));
    await step('answer', school.post(`${paper}/answers`, { outcome: 'withdrawn', reason, officer }));
    await step(
      'which paper',
      portal.post('/v1/paper-demands/searches', {
        holder: parties.guardian,
        statement: { authenticatedBy: `${one.name}的脸`, sessionReference: one.idNumber },
      }),
    );
    for (const path of ['/v1/paper-demands', '/v1/paper-demand-counts']) {
      for (const who of ['school-enrolment', 'audit-office'])
        await step(path, over(who, path.endsWith('demands')).get(path));
    }

    const auditor = over('audit-office');
    await step('audit by holder', auditor.post('/v1/audit/searches', { reason, ...byNumber(one) }));
    await step('audit by case', auditor.post('/v1/audit/searches', { reason, caseNumber }));
    for (const [clientId, path] of [
      ['psb-issuer', '/v1/certificates'],
      ['hub-admin', '/v1/grants'],
      ['hub-admin', '/v1/clients'],
      ['hub-admin', '/v1/certificate-types'],
      ['anyone', '/v1/trust-bundle'],
      ['anyone', '/status-lists/1'],
      ['anyone', '/.well-known/jwks.json'],
      ['anyone', '/health/ready'],
    ] as const) {
      await step(path, over(clientId, false).get(path));
    }
    const fault = {
      kind: 'wrong',
      certificateTypeCode: demoTypes.residencePermit,
      certificateIdentifier: identifier,
      holder: { type: '111', number: one.idNumber },
      fields: ['name'],
      explanation: '金丝雀的姓名有误',
      matterCode: 'school-enrolment',
      caseNumber,
      publicReference: 'CANARYCASE-P',
      officer,
    };
    const reported = school.post('/v1/feedback', fault);
    await step('report a fault', reported);
    const report = `/v1/feedback/${((await reported).body as { feedbackId: string }).feedbackId}`;
    await step('read the report', psb.get(report));
    await step('its outline', over('audit-office', false).get(report));
    await step('list reports', over('psb-issuer', false).get('/v1/feedback'));
    await step(
      'report it as missing',
      over('citizen-portal').post('/v1/feedback', {
        kind: 'missing',
        certificateTypeCode: demoTypes.residencePermit,
        holder: { type: '111', number: one.idNumber },
        explanation: '金丝雀的证照缺失',
      }),
    );
    const revoke = { action: 'revoke', revocationReason: 'issued_in_error', reason, officer };
    await step('revoke', psb.post(`${next}/status-changes`, revoke));
    await step('answer the report', psb.post(`${report}/answers`, { outcome: 'revoked', reason, officer: other }));
    await step('read the answer', school.get(report));
    await step('its outline then', over('hub-admin', false).get(report));
    await step('who used it', over('psb-issuer', false).post(`${next}/past-users`, {}));
    const from = new Date(Date.now() - 86_400_000).toISOString();
    await step('what changed', over('school-enrolment', false).post('/v1/receipts/changes', { from }));
    t.ok(steps.length > 40);
    for (const table of ['tickets', 'holder_codes', 'grant_applications', 'records', 'idempotency_keys']) {
      const { rows } = await superuser(`select * from ${table}`);
      const values = (rows as Record<string, unknown>[]).flatMap((row) => Object.values(row).map(bytesOf));
      t.notOk(
        values.some((value) => secrets.some((secret) => value.includes(secret))),
        `${table} holds no secret`,
      );
    }
    t.notOk(secrets.some((secret) => hub.logLines.join('').includes(secret)));
  });

  await t.test('everything that can be wrong, with them', async (t) => {
    const refused: Reply[] = [];
    const wrong = async (reply: Promise<Reply>): Promise<void> => void refused.push(await reply);
    const [ungranted, token] = [over('approval-hall'), await clients('school-enrolment').token()];
    await wrong(ungranted.post('/v1/lookups', ask(byNumber(one))));
    // A matter is the caller's own word, which the refusal repeats to it alone: it is not kept as such.
    for (const matterCode of [one.idNumber, `matter-${one.idNumber}.7`]) {
      await wrong(
        clients('school-enrolment').post('/v1/lookups', ask(byNumber(one), { purpose: { ...purpose, matterCode } })),
      );
    }
    await wrong(school.post('/v1/lookups', ask({ holder: { type: '111', number: `${one.idNumber.slice(0, 17)}A` } })));
    await wrong(
      school.post('/v1/lookups', ask({ holder: { type: '111', number: Number(one.idNumber.slice(0, 15)) } })),
    );
    await wrong(school.post('/v1/lookups', ask({ holder: { type: '111', number: ` ${one.idNumber}` } })));
    await wrong(school.post('/v1/lookups', ask({ certificateIdentifier: one.idNumber })));
    await wrong(school.post('/v1/lookups', { ...ask(byNumber(one)), 金丝雀: one.name }));
    await wrong(school.post('/v1/lookups', { ...ask(byNumber(one)), [one.idNumber]: one.idNumber }));
    await wrong(school.post('/v1/lookups', ask(byNumber(one), { level: one.name })));
    await wrong(school.post('/v1/lookups', ask(byNumber(one), { types: [{ certificateTypeCode: one.idNumber }] })));
    await wrong(
      school.post(
        '/v1/lookups',
        ask(byNumber(one), { types: [{ certificateTypeCode: demoTypes.residencePermit, fields: ['canaryOfficer'] }] }),
      ),
    );
    const text = JSON.stringify(ask(byNumber(one)));
    for (const body of [
      text.slice(0, -2),
      `${text}${text}`,
      text.replace('"level"', '"level":"fields","level"'),
      `[${text}]`,
      `"${one.name}"`,
      text.replace('金丝雀备注', '金丝雀\\u0000'),
    ]) {
      await wrong(school.post('/v1/lookups', body));
    }
    for (const change of [
      { holders: [{ type: '111', number: `${two.idNumber.slice(0, 17)}A`, name: two.name }] },
      {
        holders: [
          { type: '111', number: two.idNumber, name: two.name },
          { type: '111', number: two.idNumber, name: two.name },
        ],
      },
      { fields: { ...permit(two).fields, sex: two.name } },
      { fields: { ...permit(two).fields, 金丝雀字段: two.idNumber } },
      { fields: { ...permit(two).fields, name: [two.name] } },
      { certificateIssuedDate: born, certificateEffectiveDate: '1931-02-30' },
      { certificateIdentifier: two.idNumber },
      { certificateTypeCode: two.idNumber },
      { officer: { id: officer.id, name: officer.name, 金丝雀: 1 } },
    ]) {
      await wrong(psb.post('/v1/certificates', { ...permit(two), ...change }));
    }
    await wrong(psb.get(`/v1/certificates/${one.idNumber}`));
    await wrong(psb.get(`/v1/certificates?after=${one.idNumber}`));
    await wrong(psb.get(`/v1/feedback?receiptNumber=${one.idNumber}`));
    await wrong(psb.get(`/v1/feedback/${one.idNumber}`));
    const fault = { kind: 'missing', certificateTypeCode: demoTypes.residencePermit, explanation: '金丝雀', officer };
    for (const change of [
      { holder: { type: '111', number: `${two.idNumber.slice(0, 17)}A` } },
      { holder: { type: '111', number: two.idNumber }, issuerDepartmentCode: company },
      { holder: { type: '111', number: two.idNumber }, fields: ['canaryOfficer'] },
      { holder: { type: '001', number: company }, caseNumber },
      { holder: { type: '111', number: two.idNumber }, certificateIdentifier: two.idNumber },
    ]) {
      await wrong(school.post('/v1/feedback', { ...fault, ...change }));
    }
    await wrong(psb.get(`/v1/people/${one.idNumber}?name=${encodeURIComponent(one.name)}`));
    await wrong(psb.post('/v1/certificates', permit(three), `canary-${one.idNumber}`));
    await wrong(
      over('audit-office').post('/v1/audit/searches', {
        reason: '金丝雀',
        holder: { type: '111', number: '金丝雀丙' },
      }),
    );
    await wrong(over('audit-office').post('/v1/audit/searches', { reason: '金丝雀', after: one.idNumber }));
    const raw = async (what: string, init: RequestInit, path = '/v1/lookups'): Promise<void> => {
      const response = await fetch(`${hub.url}${path}`, { method: 'POST', ...init });
      const reply = { status: response.status, headers: response.headers, body: await response.text() };
      exchanges.push({ what, reply, entitled: false });
      refused.push(reply);
    };
    const authorization = `Bearer ${token}`;
    const json = { authorization, 'content-type': 'application/json' };
    await raw('other media type', { headers: { authorization, 'content-type': 'text/plain' }, body: text });
    await raw('too large', { headers: json, body: text.replace('金丝雀备注', '金丝雀'.repeat(400_000)) });
    await raw('no token', { headers: { 'content-type': 'application/json' }, body: text });
    await raw('a name for a token', { headers: { ...json, authorization: `Bearer ${one.idNumber}` }, body: text });
    await raw('a number for a request id', { headers: { ...json, 'x-request-id': one.idNumber }, body: text.slice(1) });
    const assertion = Buffer.from(JSON.stringify({ iss: one.idNumber, sub: one.name })).toString('base64url');
    for (const client_id of [one.idNumber, 'canary-officer-9']) {
      const form = new URLSearchParams({
        grant_type: 'client_credentials',
        client_id,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: `${assertion}.${assertion}.${assertion}`,
      });
      await raw('a token for nobody', { body: form }, '/oauth/token');
    }

    // PostgreSQL's own complaints quote the row.
    const push = () => psb.post('/v1/certificates', permit(three, 'CANARYNUMBER-3'));
    for (const table of ['certificates', 'certificate_versions', 'certificate_events', 'records', 'idempotency_keys']) {
      await superuser(`alter table ${table} add constraint quoting check (false) not valid`);
      await wrong(push());
      if (table === 'records') await wrong(school.post('/v1/lookups', ask(byNumber(one))));
      await superuser(`alter table ${table} drop constraint quoting`);
    }
    await superuser(
      `create function quote_row() returns trigger language plpgsql as $$ begin raise exception 'quoting %', new; end $$`,
      'create trigger quoting before insert on certificates for each row execute function quote_row()',
    );
    await wrong(push());
    await superuser('drop trigger quoting on certificates', 'drop function quote_row()');
    t.strictSame(
      refused.filter(({ status }) => status < 400),
      [],
      'all of it was refused',
    );
    t.ok(refused.length >= 45, `${refused.length} refusals`);
    t.ok(
      refused.some((reply) => codeOf(reply) === 'internal_error'),
      'some for a fault of the database',
    );
  });

  await t.test('no refusal, header or address holds a trace, nor an answer that is not entitled to it', async (t) => {
    const found = exchanges.flatMap(({ what, reply, entitled }) => {
      const headers = tracesIn(Buffer.from(JSON.stringify([...reply.headers])));
      const body =
        entitled && reply.status < 300
          ? []
          : tracesIn(Buffer.from(typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body)));
      return [
        ...headers.map((trace) => `header of ${what}: ${trace}`),
        ...body.map((trace) => `${reply.status} ${what}: ${trace}`),
      ];
    });
    t.strictSame(found, []);
    t.ok(exchanges.length > 80, `${exchanges.length} exchanges`);
  });

  await t.test('no line of the hub’s log holds a trace', async (t) => {
    t.strictSame(tracesIn(Buffer.from(hub.logLines.join(''))), []);
    t.ok(hub.logLines.length > 80, `${hub.logLines.length} lines`);
    t.ok(hub.logLines.some((line) => line.includes('internal_error')));
  });

  await t.test('no column of any table holds a trace', async (t) => {
    const tables = await superuser(`select quote_ident(tablename) as name from pg_tables where schemaname = 'public'`);
    let values = 0;
    const found: string[] = [];
    for (const { name } of tables.rows as { name: string }[]) {
      const { rows } = await superuser(`select * from ${name}`);
      const cells = (rows as Record<string, unknown>[]).flatMap((row) => Object.entries(row));
      values += cells.length;
      found.push(
        ...cells.flatMap(([column, value]) => tracesIn(bytesOf(value)).map((trace) => `${name}.${column}: ${trace}`)),
      );
    }
    t.strictSame(found, []);
    t.ok(values > 1_500, `${values} values`);
    t.strictSame(await checkStore(hub.db, exampleKeys), []);
  });

  await t.test('no file of the server holds a trace, its log and its write-ahead log included', async (t) => {
    // Statistics keep samples of values; a checkpoint writes out what only memory holds.
    await superuser('analyze', 'checkpoint');
    const files = await filesBelow(cluster.dataDir);
    let bytes = 0;
    const found: string[] = [];
    for (const file of files) {
      if ((await stat(file)).size === 0) continue;
      const content = await readFile(file);
      bytes += content.length;
      found.push(...tracesIn(content).map((trace) => `${file.slice(cluster.dataDir.length)}: ${trace}`));
    }
    t.strictSame(found, []);
    t.ok(files.some((file) => file.includes('pg_wal')) && bytes > 20_000_000, `${files.length} files, ${bytes} bytes`);
    const log = await readFile(join(cluster.dataDir, 'postgres', 'server.log'), 'utf8');
    t.match(log, /Failing row contains/, 'the log quotes rows');
    t.match(log, /insert into "certificates"/, 'and statements');
  });
});
