import { createHash, randomUUID, X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { SDJwtInstance } from '@sd-jwt/core';
import fc from 'fast-check';
import { compactVerify, decodeProtectedHeader, importX509 } from 'jose';
import t from 'tap';
import { exampleDepartments } from '../../src/catalogue/starter-types.ts';
import { apiClient, type Reply } from '../../src/cli/api-client.ts';
import { demoTypes } from '../../src/cli/demo/certificates.ts';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import { personOf } from '../../src/cli/demo/people.ts';
import { checkStore, proveStore } from '../support/check-records.ts';
import { runSql } from '../support/database.ts';
import { exampleKeys, startHub } from '../support/start-hub.ts';
import {
  byNumber,
  certificateUpTo,
  claimsOf,
  clientsOf,
  codeOf,
  grant,
  type LookupAnswer,
  marriageOf,
  newClientKey,
  newRoot,
  newSealChain,
  type Problem,
  permitFields,
  permitOf,
  question,
  revised,
} from '../support/workload.ts';

const [ann, bob, eve, tom] = [personOf(21), personOf(22), personOf(23), personOf(24)];
const marriageFields = ['registeredDate', 'husbandName', 'wifeName', 'certificateNumber'];
const psb = 'psb-issuer';
const permits = [{ certificateTypeCode: demoTypes.residencePermit }];
const marriages = [{ certificateTypeCode: demoTypes.marriage }];

type Test = Parameters<typeof startHub>[0];

/** A hub with certificates of several kinds, and a superuser who can change whatever lies in its database. */
async function start(t: Test) {
  const hub = await startHub(t);
  const clients = clientsOf(hub);
  const school = clients('school-enrolment');
  await grant(clients);
  await grant(clients, { certificateTypeCode: demoTypes.marriage, fields: marriageFields });
  const superuser = (...sql: string[]) => runSql(hub.database.superuserUrl, ...sql);
  return { hub, clients, school, superuser };
}

const found = (reply: Reply): LookupAnswer['certificates'] => (reply.body as Partial<LookupAnswer>).certificates ?? [];
const sdJwtOf = async (reply: Promise<Reply>): Promise<string> =>
  (await expectAnswer<{ sdJwt: string }>(reply, 200)).sdJwt;

/** Whether a certificate was answered with, in whatever way it was asked for. */
function answersWith(reply: Reply, identifier: string): boolean {
  if (reply.status !== 200) return false;
  const { verdict, sdJwt, events } = reply.body as { verdict?: number; sdJwt?: string; events?: unknown[] };
  // Verdicts up to 3 say that a certificate is genuine.
  return (
    found(reply).some(({ certificateIdentifier }) => certificateIdentifier === identifier) ||
    (verdict !== undefined && verdict <= 3) ||
    sdJwt !== undefined ||
    events !== undefined
  );
}

await t.test('invariant 4: a certificate row changed by a superuser is never answered with', async (t) => {
  const { hub, clients, school, superuser } = await start(t);
  const issuer = clients(psb);
  const sealed = await certificateUpTo(issuer, permitOf(ann, 'JZ-ann'), 'sealed');
  const other = await certificateUpTo(issuer, permitOf(bob, 'JZ-bob'), 'sealed');
  const revoked = await certificateUpTo(issuer, permitOf(eve, 'JZ-eve'), 'sealed');
  const revoke = { action: 'revoke', revocationReason: 'issued_in_error', reason: '信息有误' };
  await expectAnswer(issuer.post(`/v1/certificates/${revoked}/status-changes`, revoke), 200);
  const couple = await certificateUpTo(clients('civil-affairs-issuer'), marriageOf(ann, bob, 'J-1'), 'sealed');
  const sdJwts = new Map<string, string>();
  for (const identifier of [sealed, other, revoked]) {
    sdJwts.set(identifier, await sdJwtOf(issuer.get(`/v1/certificates/${identifier}`)));
  }
  sdJwts.set(couple, await sdJwtOf(clients('civil-affairs-issuer').get(`/v1/certificates/${couple}`)));

  /** Every way to get at a certificate. */
  const askAll = async (identifier: string, person: typeof ann): Promise<Reply[]> => {
    const isCouple = identifier === couple;
    const types = isCouple ? marriages : permits;
    const mine = isCouple ? clients('civil-affairs-issuer') : issuer;
    const faceValues = { certificateNumber: isCouple ? 'J-1' : 'JZ-ann', holderName: person.name };
    return [
      await school.post('/v1/lookups', question(byNumber(person), { types })),
      await school.post('/v1/lookups', question({ certificateIdentifier: identifier }, { types })),
      await mine.get(`/v1/certificates/${identifier}`),
      await hub.anyone.post('/v1/verifications', { sdJwt: sdJwts.get(identifier) }),
      await hub.anyone.post('/v1/verifications', { certificateIdentifier: identifier, faceValues }),
    ];
  };
  for (const reply of await askAll(sealed, ann)) t.ok(answersWith(reply, sealed), 'answered before anybody changed it');
  for (const reply of await askAll(couple, bob)) t.ok(answersWith(reply, couple));

  await superuser(
    'create table kept_rows as table certificates',
    'create table kept_versions as table certificate_versions',
  );
  const restore = () =>
    superuser(
      'delete from certificates',
      'insert into certificates select * from kept_rows',
      'delete from certificate_versions',
      'insert into certificate_versions select * from kept_versions',
    );
  const keyOf = (person: typeof ann): string => `'\\x${exampleKeys.holderKey('111', person.idNumber).toString('hex')}'`;

  const suspects: Reply[] = [];
  /** Makes a change, asks in every way, undoes it. At least one way must notice, none may answer with what was changed. */
  const tamper = async (
    t: Test,
    name: string,
    sql: string | readonly string[],
    { identifier = sealed, person = ann }: { readonly identifier?: string; readonly person?: typeof ann } = {},
  ): Promise<void> => {
    await superuser(...[sql].flat());
    const replies = await askAll(identifier, person);
    await restore();
    const answered = replies.flatMap((reply, way) => (answersWith(reply, identifier) ? [way] : []));
    t.strictSame(answered, [], `${name}: not answered with`);
    const noticed = replies.filter((reply) => codeOf(reply) === 'stored_data_tampered');
    t.ok(noticed.length > 0, `${name}: noticed in ${noticed.length} ways`);
    suspects.push(...noticed);
    for (const reply of replies) {
      const isRefused = reply.status !== 200;
      if (isRefused) t.notMatch(JSON.stringify(reply.body), new RegExp(`${person.idNumber}|${person.name}`), name);
    }
  };
  const one = (column: string, value: string): string =>
    `update certificates set ${column} = ${value} where identifier = '${sealed}'`;

  await t.test('every column', async (t) => {
    const changes: Readonly<Record<string, readonly string[]>> = {
      holder_key: [keyOf(bob), keyOf(tom), `'\\x00'`],
      version_id: [`'${randomUUID()}'`],
      series: [`'${other.split('.').slice(5, 8).join('.')}x'`, `series || '0'`],
      version: ['2'],
      identifier: [`'${revoked}'`, `replace(identifier, '.001.', '.002.')`],
      certificate_type_code: [`'${demoTypes.residentIdCard}'`],
      type_version: ['2'],
      issuing_authority_code: [`'${exampleDepartments.taxation}'`],
      is_first_holder: ['false'],
      state: [`'suspended'`, `'revoked'`, `'superseded'`, `'approved'`, `'pending_review'`],
      revocation_reason: [`'cancelled'`],
      effective_from: [`effective_from - interval '1 year'`, `effective_from + interval '1 millisecond'`, `'infinity'`],
      expires_at: ['null', `expires_at + interval '10 years'`, `'2025-04-01'`],
      status_list: ['status_list + 1'],
      status_index: ['status_index + 1'],
      revision: ['revision + 1', 'revision - 1'],
      box: [`'\\x'`, `'\\x00'`, `substring(box from 1 for 40)`, `box || '\\x00'`, `substring(box from 2)`],
      pushed_at: [`pushed_at - interval '1 day'`],
      sealed_at: [`sealed_at - interval '1 day'`, 'null'],
    };
    // When the row was last written is told to nobody.
    const untold = ['updated_at'];
    const { rows } = await superuser(
      `select column_name as name from information_schema.columns where table_name = 'certificates' order by 1`,
    );
    const columns = (rows as { name: string }[]).map(({ name }) => name);
    t.strictSame([...Object.keys(changes), ...untold].toSorted(), columns, 'no column is forgotten');
    for (const [column, values] of Object.entries(changes)) {
      for (const value of values) await tamper(t, `${column} = ${value}`, one(column, value));
    }
  });

  await t.test('every part of the box', async (t) => {
    const { rows } = await superuser(`select length(box) as length from certificates where identifier = '${sealed}'`);
    const length = (rows[0] as { length: number }).length;
    // Layout, key id, nonce, first and last byte of the ciphertext, tag, and some places between.
    const between = Array.from({ length: 8 }, (_, i) => 14 + Math.floor(((length - 31) * (i + 1)) / 9));
    for (const place of [0, 1, 2, 13, 14, ...between, length - 17, length - 16, length - 1]) {
      await tamper(t, `byte ${place}`, one('box', `set_byte(box, ${place}, get_byte(box, ${place}) # 1)`));
    }
  });

  await t.test('whole boxes and rows moved', async (t) => {
    const boxOf = (identifier: string, more = ''): string =>
      `(select box from kept_rows where identifier = '${identifier}' ${more} limit 1)`;
    await tamper(t, "another certificate's box", one('box', boxOf(other)));
    await tamper(t, 'the box of a certificate of two', one('box', boxOf(couple)));
    // Both boxes are genuine, each in the other's place.
    await tamper(
      t,
      'the boxes of two spouses exchanged',
      `update certificates as row set box = (select box from kept_rows as other
         where other.identifier = row.identifier and other.holder_key <> row.holder_key) where identifier = '${couple}'`,
      { identifier: couple, person: bob },
    );
    const all = `where identifier = '${sealed}'`;
    await tamper(
      t,
      'moved to another holder, directory included',
      [
        one('holder_key', keyOf(tom)),
        `update certificate_versions set holder_keys = array[${keyOf(tom)}::bytea]
         where version_id = (select version_id from kept_rows ${all})`,
      ],
      { person: tom },
    );
    await tamper(
      t,
      'holders exchanged',
      [
        `update certificates set holder_key = '\\xff' ${all}`,
        `update certificates set holder_key = ${keyOf(ann)} where identifier = '${other}'`,
        one('holder_key', keyOf(bob)),
      ],
      { person: bob },
    );
    await tamper(t, 'the directory names another version', [
      `update certificate_versions set version_id = (select version_id from kept_rows where identifier = '${other}'),
         holder_keys = array[${keyOf(bob)}::bytea] where version_id = (select version_id from kept_rows ${all})`,
      `delete from certificates ${all}`,
    ]);
    await tamper(t, 'all rows gone', `delete from certificates where identifier = '${couple}'`, { identifier: couple });
    await superuser(`delete from certificates where identifier = '${couple}' and holder_key = ${keyOf(bob)}`);
    const alone = await clients('civil-affairs-issuer').get(`/v1/certificates/${couple}`);
    await restore();
    t.equal(codeOf(alone), 'stored_data_tampered', 'one of two rows gone');
  });

  await t.test('what was taken back stays taken back', async (t) => {
    const where = `where identifier = '${revoked}'`;
    const alive = { identifier: revoked, person: eve };
    await tamper(
      t,
      'revoked → valid',
      `update certificates set state = 'valid', revocation_reason = null ${where}`,
      alive,
    );
    await tamper(t, 'in error → cancelled', `update certificates set revocation_reason = 'cancelled' ${where}`, alive);
  });

  await t.test('every refusal is on record as failed, and in the log without data', async (t) => {
    const { records } = await proveStore(hub.db, exampleKeys);
    const byRequest = new Map(records.map((record) => [record.requestId, record]));
    const kinds = new Set<string>();
    let unrecorded = 0;
    for (const { body } of suspects) {
      const { requestId } = body as Problem;
      const record = byRequest.get(requestId);
      if (record?.result !== 'failed' || record.code !== 'stored_data_tampered') unrecorded += 1;
      kinds.add(`${record?.action} ${record?.result}`);
      if (!hub.logLines.some((line) => line.includes(requestId) && line.includes('stored_data_tampered')))
        unrecorded += 1;
    }
    t.ok(suspects.length > 100, `${suspects.length} refusals`);
    t.equal(unrecorded, 0);
    t.strictSame([...kinds].toSorted(), ['getCertificate failed', 'lookUp failed', 'verify failed']);
    t.notMatch(
      hub.logLines.join(''),
      new RegExp([ann, bob, eve].flatMap(({ idNumber, name }) => [idNumber, name]).join('|')),
    );
  });
  for (const reply of await askAll(sealed, ann)) t.ok(answersWith(reply, sealed), 'and answered again once restored');
  t.strictSame(await checkStore(hub.db, exampleKeys), []);
});

await t.test('invariant 4: steps, stored answers and records that a superuser changed are refused', async (t) => {
  const { clients, superuser } = await start(t);
  const issuer = clients(psb);
  const push = permitOf(ann, 'JZ-ann');
  const identifier = await certificateUpTo(issuer, push, 'sealed');
  const history = () => issuer.get(`/v1/certificates/${identifier}/history`);
  t.equal((await history()).status, 200);
  await superuser('create table kept_events as table certificate_events');
  for (const change of [
    `state = 'revoked'`,
    `action = 'suspended'`,
    `at = at - interval '1 day'`,
    `client_id = 'tax-issuer'`,
    `department_code = '${exampleDepartments.taxation}'`,
    `revocation_reason = 'cancelled'`,
    `version = 2`,
    `event_id = '${randomUUID()}'`,
    `body = set_byte(body, 20, get_byte(body, 20) # 1)`,
    `body = (select body from kept_events where action = 'pushed')`,
  ]) {
    await superuser(`update certificate_events set ${change} where action = 'approved'`);
    t.equal(codeOf(await history()), 'stored_data_tampered', change);
    await superuser('delete from certificate_events', 'insert into certificate_events select * from kept_events');
  }
  t.equal((await history()).status, 200);

  await t.test('the answer kept for a retry', async (t) => {
    const first = await issuer.post('/v1/certificates', permitOf(bob, 'JZ-bob'), 'kept-answer');
    await issuer.post('/v1/certificates', permitOf(eve, 'JZ-eve'), 'other-answer');
    await superuser('create table kept_answers as table idempotency_keys');
    const [mine, others] = ['kept-answer', 'other-answer'].map((key) => createHash('sha256').update(key).digest('hex'));
    for (const change of [
      'response = set_byte(response, 30, get_byte(response, 30) # 1)',
      `response = (select response from kept_answers where key_hash = '\\x${others}')`,
      'status = 200',
      'status = null',
      'response = null',
    ]) {
      await superuser(`update idempotency_keys set ${change} where key_hash = '\\x${mine}'`);
      const reply = await issuer.post('/v1/certificates', permitOf(bob, 'JZ-bob'), 'kept-answer');
      t.equal(codeOf(reply), 'stored_data_tampered', change);
      await superuser('delete from idempotency_keys', 'insert into idempotency_keys select * from kept_answers');
    }
    const again = await issuer.post('/v1/certificates', permitOf(bob, 'JZ-bob'), 'kept-answer');
    t.strictSame(again.body, first.body);
  });

  await t.test('records', async (t) => {
    const auditor = clients('audit-office');
    const search = () => auditor.post('/v1/audit/searches', { reason: '抽查', ...byNumber(ann) });
    /** States other than whole: the page shows what was tampered with as such, and whatever else it holds. */
    const tampered = async (): Promise<string[]> => {
      const { items } = (await search()).body as { items: { state: string }[] };
      return items.map(({ state }) => state).filter((state) => state !== 'whole');
    };
    t.strictSame(await tampered(), []);
    await superuser('create table kept_records as table records');
    for (const change of [
      'body = set_byte(body, 40, get_byte(body, 40) # 1)',
      'commitment = set_byte(commitment, 0, get_byte(commitment, 0) # 1)',
      `record_id = '${randomUUID()}'`,
      `recorded_at = recorded_at - interval '1 minute'`,
      'kind = 1',
      `action = 'lookUp'`,
      `outcome = 'refused'`,
      `code = 'wrong_state'`,
      `client_id = 'tax-issuer'`,
      `department_code = '${exampleDepartments.taxation}'`,
      `matter_code = 'another-matter'`,
    ]) {
      await superuser(`update records set ${change} where action = 'sealCertificate'`);
      t.strictSame(await tampered(), ['tampered'], change);
      await superuser('delete from records', 'insert into records select * from kept_records');
    }
    const swap = (column: string): string =>
      `${column} = (select ${column} from kept_records where action = 'reviewCertificate')`;
    await superuser(`update records set ${swap('body')}, ${swap('commitment')} where action = 'sealCertificate'`);
    t.strictSame(await tampered(), ['tampered'], "another record's body and commitment");
    await superuser('delete from records', 'insert into records select * from kept_records');
    t.equal((await search()).status, 200);
  });
});

await t.test('invariant 4: registry rows that a superuser wrote give nobody anything', async (t) => {
  const { hub, clients, superuser } = await start(t);
  const issuer = clients(psb);
  const { school } = { school: clients('school-enrolment') };
  const identifier = await certificateUpTo(issuer, permitOf(ann, 'JZ-ann'), 'sealed');
  const admin = clients('hub-admin');
  const tables = ['clients', 'client_keys', 'grants', 'certificate_types', 'trust_roots', 'seal_x509', 'departments'];
  for (const table of tables) await superuser(`create table kept_${table} as table ${table}`);
  const topics = 'update registry_versions set version = version + 1';

  /** Waits until the hub has read its registry anew: whatever it was told by then has come into effect. */
  const reread = async (): Promise<void> => {
    await superuser(topics);
    hub.core.freshness.outdate();
    await sleep(300);
    hub.core.freshness.outdate();
  };
  const tamper = async (name: string, sql: string, check: (t: Test) => Promise<void>): Promise<void> => {
    await t.test(name, async (t) => {
      const lines = hub.logLines.length;
      await superuser(sql);
      await reread();
      await check(t);
      t.ok(
        hub.logLines.slice(lines).some((line) => line.includes('past the hub')),
        'and it was reported',
      );
      // Parents first, children last; all in their original state.
      await superuser(
        'begin; set local session_replication_role = replica;' +
          tables.map((table) => `delete from ${table}; insert into ${table} select * from kept_${table};`).join('') +
          'commit',
      );
      await reread();
    });
  };
  const lookUp = (types: object[] = permits, overrides = {}) =>
    school.post('/v1/lookups', question(byNumber(ann), { types, ...overrides }));
  const body = (change: string): string => `convert_to(${change}, 'UTF8')`;
  const text = `convert_from(body, 'UTF8')`;
  t.equal((await lookUp()).status, 200);

  const narrow = await grant(clients, { clientId: 'approval-hall', fields: ['sex'] });
  await superuser('delete from kept_grants', 'insert into kept_grants select * from grants');
  const hall = clients('approval-hall');
  const wide = () =>
    hall.post(
      '/v1/lookups',
      question(byNumber(ann), { types: [{ certificateTypeCode: demoTypes.residencePermit, fields: ['name'] }] }),
    );

  await tamper(
    'a grant widened',
    `update grants set body = ${body(`replace(${text}, '["sex"]', '["name","sex"]')`)} where grant_id = '${narrow}'`,
    async (t) => void t.equal(codeOf(await wide()), 'grant_required'),
  );
  await tamper(
    'a grant handed to another client',
    `insert into grants select gen_random_uuid(), 'approval-hall', certificate_type_code, body, created_at, revoked_at, mac
       from grants where client_id = 'school-enrolment'`,
    async (t) => void t.equal(codeOf(await wide()), 'grant_required'),
  );
  await tamper(
    'a grant for another type',
    `update grants set certificate_type_code = '${demoTypes.residencePermit}' where client_id = 'school-enrolment'`,
    async (t) => void t.equal(codeOf(await lookUp(marriages)), 'grant_required'),
  );
  const gone = await grant(clients, { clientId: 'housing-allocation' });
  await expectAnswer(admin.post(`/v1/grants/${gone}/revocations`, { reason: '授权撤回' }), 200);
  await superuser('delete from kept_grants', 'insert into kept_grants select * from grants');
  await tamper(
    'a revoked grant revived',
    `update grants set revoked_at = null where grant_id = '${gone}'`,
    async (t) => {
      const reply = await clients('housing-allocation').post(
        '/v1/lookups',
        question(byNumber(ann), { types: permits }),
      );
      t.equal(reply.status, 403);
    },
  );
  await tamper(
    'a grant prolonged or its quota raised',
    `update grants set body = ${body(`replace(${text}, '2029-', '2039-')`)}`,
    async (t) => void t.equal(codeOf(await lookUp()), 'grant_required'),
  );

  const searching = () => school.post('/v1/audit/searches', { reason: '窥探', ...byNumber(ann) });
  await tamper(
    "a client's roles",
    `update clients set body = ${body(`replace(${text}, '["consumer"]', '["consumer","auditor","admin"]')`)} where client_id = 'school-enrolment'`,
    async (t) => void t.match((await searching()).status, /^40[13]$/),
  );
  await tamper(
    "a client's department",
    `update clients set department_code = '${exampleDepartments.publicSecurity}' where client_id = 'tax-issuer'`,
    async (t) => {
      await t.rejects(hub.client('tax-issuer').get(`/v1/certificates/${identifier}`), /invalid_client/);
    },
  );
  const { jwk, key } = newClientKey('planted');
  const stranger = (clientId: string) => apiClient({ url: hub.url, issuer: 'http://hub.test', clientId, key });
  await tamper(
    'a key added to a client',
    `insert into client_keys select client_id, 'planted', ${body(`'${JSON.stringify(jwk)}'`)}, '\\x01', created_at, null, mac
       from client_keys where client_id = 'hub-admin'`,
    async (t) => {
      await t.rejects(stranger('hub-admin').token(), /invalid_client/);
      t.equal((await admin.get('/v1/clients')).status, 200, 'its own key is still good');
    },
  );
  await tamper(
    "a client's key exchanged",
    `update client_keys set jwk = ${body(`'${JSON.stringify(jwk)}'`)} where client_id = 'audit-office'`,
    async (t) => void (await t.rejects(stranger('audit-office').token(), /invalid_client/)),
  );
  await tamper(
    'a client invented',
    `insert into clients select 'invented', department_code, body, null, created_at, mac from clients where client_id = 'hub-admin';
     insert into client_keys select 'invented', 'planted', ${body(`'${JSON.stringify(jwk)}'`)}, '\\x01', created_at, null, mac
       from client_keys where client_id = 'hub-admin'`,
    async (t) => void (await t.rejects(stranger('invented').token(), /invalid_client/)),
  );
  await expectAnswer(admin.post('/v1/clients/tax-issuer/states', { state: 'disabled', reason: '停用' }), 200);
  await superuser('delete from kept_clients', 'insert into kept_clients select * from clients');
  await tamper(
    'a disabled client revived',
    `update clients set disabled_at = null where client_id = 'tax-issuer'`,
    async (t) => {
      await t.rejects(hub.client('tax-issuer').token(), /invalid_client/);
    },
  );

  // Taxation seals residence permits under its own, genuine seal: it may not issue the type, whatever the row says.
  const market = clients('market-issuer');
  const definition = `convert_from(definition, 'UTF8')`;
  await tamper(
    'a type opened to another issuer',
    `update certificate_types set definition = ${body(
      `replace(${definition}, '"allowedIssuers":[', '"allowedIssuers":[{"departmentCode":"${exampleDepartments.marketRegulation}"},')`,
    )}`,
    async (t) => {
      const reply = await market.post('/v1/certificates', permitOf(bob, 'JZ-false'));
      t.match(codeOf(reply), /^(type_not_allowed|certificate_type_unknown)$/);
    },
  );

  const root = await newRoot('planted root');
  const sha256 = (der: Buffer): string => createHash('sha256').update(der).digest('hex');
  const bundle = async () =>
    (await (await fetch(`${hub.url}/v1/trust-bundle`)).json()) as {
      roots: string[];
      issuers: { department: string; sealX509: { x509: string; revokedAt: string | null }[] }[];
    };
  const [leaf = ''] = await newSealChain(exampleDepartments.publicSecurity);
  const leafDer = Buffer.from(leaf, 'base64');
  const { publicSecurity, civilAffairs } = exampleDepartments;
  await tamper(
    'a trust root planted, a seal planted, a seal taken for its own by another department',
    `insert into trust_roots select '\\x${sha256(root)}', '\\x${root.toString('hex')}', valid_from, valid_until, mac
       from trust_roots limit 1;
     insert into seal_x509 select '\\x${sha256(leafDer)}', department_code, array['\\x${leafDer.toString('hex')}'::bytea] || chain[2:],
       valid_from, valid_until, revoked_at, mac from seal_x509 where department_code = '${publicSecurity}';
     update seal_x509 set department_code = '${civilAffairs}' where sha256 <> '\\x${sha256(leafDer)}' and department_code = '${publicSecurity}'`,
    async (t) => {
      const { roots, issuers } = await bundle();
      t.notOk(roots.includes(root.toString('base64')));
      t.notOk(issuers.some(({ sealX509 }) => sealX509.some(({ x509 }) => x509 === leaf)));
      const taker = issuers.find(({ department }) => department === civilAffairs);
      t.equal(taker?.sealX509.length, 1, 'its own one only');
      const approved = await certificateUpTo(issuer, permitOf(tom, 'JZ-tom'), 'approved');
      const sealing = await issuer.post(`/v1/certificates/${approved}/seals`, {});
      t.equal(codeOf(sealing), 'seal_key_missing', 'nor does it count for who held it');
    },
  );
  t.equal((await lookUp()).status, 200, 'all is as before');
  t.strictSame(
    (await checkStore(hub.db, exampleKeys)).filter((fault) => fault.includes('MAC')),
    [],
  );
});

await t.test(
  'invariant 3: any cut of a certificate bears its department’s own signature, checked by others’ software',
  async (t) => {
    const { hub, clients, school } = await start(t);
    await certificateUpTo(clients(psb), permitOf(tom, 'JZ-tom'), 'sealed');
    const push = permitOf(tom, 'JZ-tom');
    const values: Readonly<Record<string, unknown>> = {
      ...push.fields,
      certificateNumber: push.certificateNumber,
      certificateIssuedDate: push.certificateIssuedDate,
      certificateHolders: push.holders,
    };
    const seals = await expectAnswer<{ items: { sha256: string }[] }>(
      clients('hub-admin').get(`/v1/departments/${exampleDepartments.publicSecurity}/seal-x509`),
      200,
    );
    const [root] = exampleKeys.roots;
    if (root === undefined) throw new Error('no root');
    const hash = (data: string | ArrayBuffer): Uint8Array =>
      createHash('sha256')
        .update(typeof data === 'string' ? data : Buffer.from(data))
        .digest();

    await fc.assert(
      fc.asyncProperty(fc.subarray([...permitFields], { minLength: 1 }), async (fields) => {
        const types = [{ certificateTypeCode: demoTypes.residencePermit, fields }];
        const reply = await school.post('/v1/lookups', question(byNumber(tom), { types }));
        const answer = await expectAnswer<LookupAnswer>(Promise.resolve(reply), 200);
        const [one] = answer.certificates;
        if (one === undefined) throw new Error('nothing found');
        const [jwt = ''] = one.sdJwt.split('~');

        // jose: the signature and the x509 it names
        const { x5c = [] } = decodeProtectedHeader(jwt);
        const [leaf, authority] = x5c.map((der) => new X509Certificate(Buffer.from(der, 'base64')));
        if (leaf === undefined || authority === undefined) throw new Error('no chain');
        const key = await importX509(leaf.toString(), 'ES256');
        const { protectedHeader } = await compactVerify(jwt, key, { algorithms: ['ES256'] });
        t.equal(protectedHeader.typ, 'dc+sd-jwt');
        // OpenSSL: the path to the pinned root, the leaf registered for the issuing department
        t.ok(leaf.verify(authority.publicKey) && authority.verify(new X509Certificate(root).publicKey));
        t.match(leaf.subject, exampleDepartments.publicSecurity);
        t.ok(seals.items.some(({ sha256 }) => sha256 === createHash('sha256').update(leaf.raw).digest('hex')));

        // @sd-jwt/core: the disclosures are the issuer's, and they are the fields asked for
        const verifier = async (data: string, signature: string): Promise<boolean> => {
          await compactVerify(`${data}.${signature}`, key);
          return true;
        };
        const sdJwt = new SDJwtInstance({ hasher: async (data) => hash(data), verifier });
        const { payload } = await sdJwt.verify(one.sdJwt);
        const disclosed = Object.fromEntries(Object.entries(payload).filter(([name]) => Object.hasOwn(values, name)));
        const wanted = Object.fromEntries(fields.map((name) => [name, values[name]]));
        t.strictSame(disclosed, wanted, 'as pushed, and no more');
        t.strictSame(one.fields, wanted);

        // The hub's own answer says exactly this presentation.
        const { certificates } = claimsOf(answer.answer) as { certificates: { sd_hash: string }[] };
        t.equal(certificates[0]?.sd_hash, Buffer.from(hash(one.sdJwt)).toString('base64url'));

        // One disclosure more, or another value in one, and it is nobody's certificate.
        const disclosure = (value: unknown): string =>
          Buffer.from(JSON.stringify(['c2FsdHNhbHRzYWx0c2FsdA', 'name', value])).toString('base64url');
        await t.rejects(sdJwt.verify(`${one.sdJwt}${disclosure('别人')}~`));
      }),
      { seed: 20_261_122, numRuns: 25 },
    );
    t.notMatch(hub.logLines.join(''), tom.idNumber);
  },
);

await t.test('invariant 4: a version that a superuser made look sealed is not named as the newer one', async (t) => {
  const { clients, school, superuser } = await start(t);
  const second = await revised(clients, 77, 'sealed');
  const third = await expectAnswer<{ certificateIdentifier: string }>(
    clients(psb).post(`/v1/certificates/${second}/versions`, permitOf(personOf(100_154), 'ZZ-77-3')),
    201,
  );
  const [first = ''] = (await superuser('select identifier from certificates order by version limit 1')).rows.map(
    (row: { identifier: string }) => row.identifier,
  );
  const ask = () => school.post('/v1/lookups', question({ certificateIdentifier: first }));
  t.equal(found(await ask())[0]?.supersededBy, second);
  await superuser(`update certificates set state = 'valid' where identifier = '${third.certificateIdentifier}'`);
  const reply = await ask();
  t.not(found(reply)[0]?.supersededBy, third.certificateIdentifier);
});
