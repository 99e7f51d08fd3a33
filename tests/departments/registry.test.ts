import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import t from 'tap';
import { addClientKey } from '../../src/departments/add-client-key.ts';
import { authenticator } from '../../src/departments/authenticate.ts';
import { getClient } from '../../src/departments/get-client.ts';
import { listClients } from '../../src/departments/list-clients.ts';
import { listDepartments } from '../../src/departments/list-departments.ts';
import { listSealX509 } from '../../src/departments/list-seal-x509.ts';
import { registerClient } from '../../src/departments/register-client.ts';
import { registerDepartment } from '../../src/departments/register-department.ts';
import { registerSealX509 } from '../../src/departments/register-seal-x509.ts';
import { registerTrustRoot } from '../../src/departments/register-trust-root.ts';
import { revokeClientKey } from '../../src/departments/revoke-client-key.ts';
import { revokeSealX509 } from '../../src/departments/revoke-seal-x509.ts';
import { setClientState } from '../../src/departments/set-client-state.ts';
import { isSealInForce } from '../../src/departments/trust.ts';
import { keySigner, type Signer } from '../../src/signing/signer.ts';
import { issueX509, type X509Profile } from '../../src/signing/x509-issue.ts';
import { usccCheckCharacter } from '../../src/verification/identifiers.ts';
import { runSql, testDatabase } from '../support/database.ts';
import {
  addClient,
  ask,
  assertion,
  authorizationOf,
  change,
  department,
  eventually,
  goodClaims,
  newKey,
  recordsOf,
  startProcess,
} from './fixture.ts';

const database = await testDatabase(t);
const hub = await startProcess(t, database);
const name = { zh: '示范市教育局', en: 'Education bureau' };
const departmentCode = (serial: number): string => {
  const body = `11999900${String(serial).padStart(9, '0')}`;
  return `${body}${usccCheckCharacter(body) ?? ''}`;
};
const education = departmentCode(200);

await t.test('departments: registered once, listed in pages', async (t) => {
  const { status, body } = await registerDepartment(hub, { ...change(), departmentCode: education, name });
  t.equal(status, 201);
  t.match(body, { departmentCode: education, name });
  await t.rejects(registerDepartment(hub, { ...change(), departmentCode: education, name }), {
    code: 'department_exists',
  });
  await t.rejects(registerDepartment(hub, { ...change(), departmentCode: '119999000000002001', name }), {
    code: 'invalid_uscc',
  });
  for (const serial of [201, 202, 203])
    await registerDepartment(hub, { ...change(), departmentCode: departmentCode(serial), name });
  const first = await listDepartments(hub, { limit: 2 });
  t.equal(first.items.length, 2);
  const second = await listDepartments(hub, { limit: 2, after: first.next });
  t.equal(second.next, undefined, 'the last page says so, although it is full');
  t.same(
    [...first.items, ...second.items].map(({ code }) => code),
    [200, 201, 202, 203].map(departmentCode),
  );
});

await t.test('invariant 8: a retried change has one effect, one record and the same answer', async (t) => {
  const registration = {
    departmentCode: education,
    clientId: 'retried',
    name,
    roles: ['consumer'],
    keys: [newKey('k1').jwk],
  } as const;
  const request = { ...change(), ...registration };
  const [first, second] = await Promise.all([registerClient(hub, request), registerClient(hub, request)]);
  t.same(first.body, second.body);
  t.same(
    (await registerClient(hub, { ...request, call: { ...request.call, requestId: randomUUID(), at: new Date() } }))
      .body,
    first.body,
  );
  t.equal((await recordsOf(hub.db, 'registerClient')).length, 1);
  await t.rejects(registerClient(hub, { ...request, roles: ['admin'] }), { code: 'idempotency_conflict' });
  await t.rejects(registerClient(hub, { ...request, ...change() }), { code: 'client_exists' });
});

await t.test('invariant 10: a change whose record cannot be written leaves nothing', async (t) => {
  const broken = { ...hub, recordIn: async () => Promise.reject(new Error('disk full')) };
  const registration = { departmentCode: education, clientId: 'half-done', name, roles: ['consumer'] as const };
  await t.rejects(registerClient(broken, { ...change(), ...registration, keys: [newKey('k1').jwk] }), {
    message: 'disk full',
  });
  await t.rejects(getClient(hub, { clientId: 'half-done' }), { code: 'client_unknown' });
  const bad = [newKey('k1').jwk, newKey('k1').jwk];
  await t.rejects(registerClient(hub, { ...change(), ...registration, keys: bad }), { code: 'client_key_exists' });
  await t.rejects(
    getClient(hub, { clientId: 'half-done' }),
    { code: 'client_unknown' },
    'the second key took the first with it',
  );
});

await t.test('clients: what is refused', async (t) => {
  const good = {
    departmentCode: education,
    clientId: 'housing',
    name,
    roles: ['consumer'] as const,
    keys: [newKey('k1').jwk],
  };
  const refused = (more: object): Promise<unknown> => registerClient(hub, { ...change(), ...good, ...more });
  await t.rejects(refused({ departmentCode: departmentCode(999) }), { code: 'department_unknown' });
  await t.rejects(refused({ departmentCode: '119999000000002001' }), { code: 'invalid_uscc' });
  await t.rejects(refused({ clientId: 'certhub-operator' }), { code: 'contract_violation' });
  await t.rejects(refused({ roles: [] }), { code: 'contract_violation' });
  await t.rejects(refused({ roles: ['root'] }), { code: 'contract_violation' });
  await t.rejects(refused({ keys: [] }), { code: 'client_key_invalid' });
  await t.rejects(refused({ keys: [{ ...newKey('k1').jwk, d: 'AAAA' }] }), {
    code: 'client_key_invalid',
    detail: { reason: 'private_key' },
  });
  await t.rejects(registerClient({ ...hub, isExampleKey: () => true }, { ...change(), ...good }), {
    code: 'client_key_invalid',
    detail: { reason: 'example_key' },
  });
});

await t.test('keys: rotation, and no key for two clients or twice in time', async (t) => {
  const [old, next] = [newKey('k1'), newKey('k2')];
  await addClient(hub, 'rotating', [old]);
  await addClient(hub, 'neighbour', [newKey('k1')]);
  const { status, body } = await addClientKey(hub, { ...change(), clientId: 'rotating', jwk: next.jwk });
  t.equal(status, 201);
  t.match(body, {
    keys: [
      { kid: 'k1', revokedAt: null },
      { kid: 'k2', jwk: next.jwk, revokedAt: null },
    ],
  });
  t.same(
    (await getClient(hub, { clientId: 'rotating' })).keys.map(({ kid }) => kid),
    ['k1', 'k2'],
  );
  const request = { ...change(), clientId: 'rotating', kid: 'k1', reason: 'rotated' };
  const revoked = await revokeClientKey(hub, request);
  t.match(revoked.body, {
    keys: [
      { kid: 'k1', revokedAt: request.call.at.toISOString() },
      { kid: 'k2', revokedAt: null },
    ],
  });
  const again = await revokeClientKey(hub, { ...request, ...change(new Date(Date.now() + 5_000)) });
  t.same(again.body, revoked.body, 'the first revocation counts');
  const { kid: _, ...unnamed } = old.jwk;
  for (const clientId of ['rotating', 'neighbour']) {
    await t.rejects(addClientKey(hub, { ...change(), clientId, jwk: { ...unnamed, kid: 'k9' } }), {
      code: 'client_key_exists',
    });
  }
  await t.rejects(addClientKey(hub, { ...change(), clientId: 'neighbour', jwk: { ...next.jwk, kid: 'mine' } }), {
    code: 'client_key_exists',
  });
  await t.rejects(addClientKey(hub, { ...change(), clientId: 'rotating', jwk: newKey('k2').jwk }), {
    code: 'client_key_exists',
  });
  await t.rejects(addClientKey(hub, { ...change(), clientId: 'nobody', jwk: newKey('k2').jwk }), {
    code: 'client_unknown',
  });
  await t.rejects(revokeClientKey(hub, { ...request, ...change(), kid: 'k7' }), { code: 'client_key_unknown' });
  await t.rejects(setClientState(hub, { ...change(), clientId: 'nobody', state: 'disabled', reason: 'x' }), {
    code: 'client_unknown',
  });
});

await t.test('two administrators at once: nothing is lost', async (t) => {
  const added = Array.from({ length: 8 }, (_, i) => newKey(`k${i}`));
  await addClient(hub, 'busy', [newKey('first')]);
  await Promise.all([
    ...added.map(({ jwk }) => addClientKey(hub, { ...change(), clientId: 'busy', jwk })),
    setClientState(hub, { ...change(), clientId: 'busy', state: 'disabled', reason: 'x' }),
    revokeClientKey(hub, { ...change(), clientId: 'busy', kid: 'first', reason: 'x' }),
  ]);
  const client = await getClient(hub, { clientId: 'busy' });
  t.equal(client.keys.length, 9);
  t.ok(client.disabledAt);
  t.ok(client.keys.find(({ kid }) => kid === 'first')?.revokedAt);
});

await t.test('clients in pages: a tampered row ends no list', async (t) => {
  const names: string[] = [];
  let next: string | undefined;
  do {
    const page = await listClients(hub, { limit: 2, after: next });
    names.push(...page.items.map(({ id }) => id));
    next = page.next;
  } while (next !== undefined);
  t.same(names, ['busy', 'neighbour', 'retried', 'rotating']);
  await runSql(
    database.superuserUrl,
    `update clients set mac = decode('00', 'hex') where client_id in ('busy', 'neighbour')`,
  );
  const page = await listClients(hub, { limit: 2 });
  t.same(page.items, []);
  t.same(
    (await listClients(hub, { limit: 2, after: page.next })).items.map(({ id }) => id),
    ['retried', 'rotating'],
  );
});

await t.test('invariant 4: what a database superuser writes into the registry gives nobody access', async (t) => {
  const sql = (...statements: string[]) =>
    runSql(database.superuserUrl, ...statements, `update registry_versions set version = version + 1`);
  const [victim, thief] = [newKey('k1'), newKey('k1')];
  await addClient(hub, 'victim', [victim]);
  const authorization = await authorizationOf(hub, 'victim', victim);
  const jwkHex = (jwk: object): string => Buffer.from(JSON.stringify(jwk)).toString('hex');
  const row = (column: string) => `(select ${column} from client_keys where client_id = 'victim' and kid = 'k1')`;
  const refused = async (label: string, key = thief, clientId = 'victim'): Promise<void> => {
    const fresh = await startProcess(t, database);
    await t.rejects(ask(fresh, await assertion(key, goodClaims(clientId))), { code: 'invalid_client' }, label);
  };
  await t.test('an inserted key', async () => {
    const jwk = `decode('${jwkHex({ ...thief.jwk, kid: 'k2' })}', 'hex')`;
    await sql(
      `insert into client_keys values ('victim', 'k2', ${jwk}, decode('00', 'hex'), now(), null, ${row('mac')})`,
    );
    await refused('inserted key', { ...thief, jwk: { ...thief.jwk, kid: 'k2' } });
  });
  await t.test('a replaced key', async () => {
    await sql(`create table saved as select * from client_keys; update client_keys set jwk = decode('${jwkHex(thief.jwk)}', 'hex')
      where client_id = 'victim' and kid = 'k1'`);
    await refused('replaced key');
    const fresh = await startProcess(t, database);
    await t.rejects(authenticator(fresh)(authorization), { code: 'token_invalid' }, 'and the key itself is gone too');
    t.ok(fresh.reports.includes('client_keys victim/k1'), 'reported');
    await sql(
      `update client_keys c set jwk = s.jwk from saved s where s.client_id = c.client_id and s.kid = c.kid; drop table saved`,
    );
  });
  await t.test('a key moved to another client', async () => {
    await sql(`update client_keys set client_id = 'retried', kid = 'k3' where client_id = 'victim' and kid = 'k1'`);
    await refused('moved key', { ...victim, jwk: { ...victim.jwk, kid: 'k3' } }, 'retried');
    await sql(`update client_keys set client_id = 'victim', kid = 'k1' where client_id = 'retried' and kid = 'k3'`);
  });
  const fresh = await startProcess(t, database);
  t.same((await authenticator(fresh)(authorization)).roles, ['consumer'], 'put back as it was, all works');
  await t.test('other roles', async (t) => {
    const admin = Buffer.from(JSON.stringify({ name, roles: ['admin'] })).toString('hex');
    await sql(
      `create table saved as select * from clients; update clients set body = decode('${admin}', 'hex') where client_id = 'victim'`,
    );
    const other = await startProcess(t, database);
    await t.rejects(authenticator(other)(authorization), { code: 'client_disabled' });
    t.ok(other.reports.includes('clients victim'));
    await refused('changed roles', victim);
    await sql(`update clients c set body = s.body from saved s where s.client_id = c.client_id; drop table saved`);
  });
  await t.test('a disabled client enabled, a revoked key restored', async (t) => {
    await setClientState(hub, { ...change(), clientId: 'victim', state: 'disabled', reason: 'x' });
    await sql(`update clients set disabled_at = null where client_id = 'victim'`);
    await refused('enabled by SQL', victim);
    await addClient(hub, 'late', [thief]);
    await revokeClientKey(hub, { ...change(), clientId: 'late', kid: 'k1', reason: 'x' });
    await sql(`update client_keys set revoked_at = null where client_id = 'late'`);
    await refused('restored by SQL', thief, 'late');
    t.pass();
  });
  await t.test('an inserted client, and a department changed', async (t) => {
    const mallory = newKey('k1');
    await sql(
      `insert into clients select 'mallory', department_code, body, null, created_at, mac from clients where client_id = 'retried'`,
      `insert into client_keys values ('mallory', 'k1', decode('${jwkHex(mallory.jwk)}', 'hex'), decode('01', 'hex'), now(), null, ${row('mac')})`,
    );
    await refused('inserted client', mallory, 'mallory');
    const mine = newKey('k1');
    await addClient(hub, 'orphan', [mine]);
    const before = await authorizationOf(hub, 'orphan', mine);
    await sql(`update departments set created_at = now() where code = '${department}'`);
    await refused('client of a tampered department', mine, 'orphan');
    await t.rejects(authenticator(await startProcess(t, database))(before), { code: 'client_disabled' });
  });
});

// Seal certificates

const year = 365 * 86_400_000;
const validity = { notBefore: new Date(Date.now() - 2 * year), notAfter: new Date(Date.now() + 2 * year) };
const signerOf = (privateKey: KeyObject): Signer => keySigner({ privateKey, suite: 'ES256', kid: 'x' });
const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });

async function makeRoot(commonName: string) {
  const { privateKey, publicKey } = pair();
  const signer = signerOf(privateKey);
  const subject = { organization: '示范市', commonName };
  const profile = { kind: 'authority', pathLength: 1 } as const;
  const x509 = await issueX509({ issuer: { selfSigner: signer }, subject, publicKey, profile, validity });
  return { signer, x509 };
}
const root = await makeRoot('示范市根 CA');
const otherRoot = await makeRoot('别处根 CA');

async function makeSeal(
  code: string | undefined,
  { issuer = root, profile = { kind: 'seal' } as X509Profile, dates = validity } = {},
): Promise<string> {
  const { publicKey } = pair();
  const subject = {
    organization: '示范市教育局',
    commonName: '电子签章',
    ...(code !== undefined && { organizationIdentifier: code }),
  };
  return (await issueX509({ issuer, subject, publicKey, profile, validity: dates })).toString('base64');
}
const seal = (chain: string[], more: object = {}) =>
  registerSealX509(hub, { ...change(), departmentCode: education, chain, ...more });
const reasons = async (answer: Promise<unknown>): Promise<unknown> =>
  answer.then(
    () => 'accepted',
    (error: { code: string; detail: { reasons?: unknown } }) => error.detail.reasons ?? error.code,
  );

await t.test('roots are self-signed authorities, pinned once', async (t) => {
  const register = (x509: string) => registerTrustRoot(hub, { ...change(), x509 });
  const { status, body } = await register(root.x509.toString('base64'));
  t.equal(status, 201);
  t.match(body, { subject: 'O=示范市, CN=示范市根 CA', validUntil: null });
  await t.rejects(register(root.x509.toString('base64')), { code: 'trust_root_exists' });
  await t.rejects(register(await makeSeal(education)), {
    code: 'trust_root_invalid',
    detail: { reason: 'not_self_signed' },
  });
  await t.rejects(register('AAAA'), { code: 'trust_root_invalid', detail: { reason: 'malformed' } });
  const changed = Buffer.from(root.x509);
  const last = changed.length - 1;
  changed[last] = (changed[last] ?? 0) ^ 1;
  await t.rejects(register(changed.toString('base64')), {
    code: 'trust_root_invalid',
    detail: { reason: 'signature' },
  });
});

await t.test('seal certificates: only the department’s own, under a pinned root, in its time', async (t) => {
  const good = await makeSeal(education);
  const { status, body } = await seal([good]);
  t.equal(status, 201);
  t.match(body, { departmentCode: education, validUntil: null, revokedAt: null });
  t.equal(await reasons(seal([good])), 'seal_x509_exists');
  const housing = departmentCode(201);
  t.equal(await reasons(seal([await makeSeal(housing)], { departmentCode: housing })), 'accepted');
  t.same(await reasons(seal([await makeSeal(housing)])), ['other_department']);
  t.same(await reasons(seal([await makeSeal(undefined)])), ['other_department']);
  t.same(await reasons(seal([await makeSeal(education, { issuer: otherRoot })])), ['x509_root_unknown']);
  t.match(await reasons(seal([await makeSeal(education), root.x509.toString('base64')])), ['x509_root_in_chain']);
  t.match(await reasons(seal([root.x509.toString('base64')])), ['x509_leaf_self_signed']);
  t.match(await reasons(seal(['AAAA'])), ['x509_malformed']);
  t.match(await reasons(seal([await makeSeal(education, { profile: { kind: 'authority', pathLength: 0 } })])), [
    'x509_leaf_is_authority',
  ]);
  const past = { notBefore: new Date(Date.now() - year), notAfter: new Date(Date.now() - 86_400_000) };
  const old = await makeSeal(education, { dates: past });
  t.match(await reasons(seal([old])), ['x509_expired']);
  const validUntil = new Date(past.notAfter.getTime() - 86_400_000);
  t.equal(await reasons(seal([old], { validFrom: past.notBefore, validUntil })), 'accepted', 'a seal of earlier years');
  const another = await makeSeal(education);
  t.same(await reasons(seal([another], { validUntil: new Date(Date.now() + 3 * year) })), ['validity']);
  t.same(await reasons(seal([another], { validUntil: new Date(0) })), ['validity']);
  t.match(await reasons(seal([another], { validFrom: new Date(Date.now() + 3 * year) })), ['x509_expired']);
  t.equal(await reasons(seal([another], { departmentCode: departmentCode(998) })), 'department_unknown');
  t.equal((await listSealX509(hub, { departmentCode: education })).length, 2);
  await t.rejects(listSealX509(hub, { departmentCode: departmentCode(998) }), { code: 'department_unknown' });
});

await t.test(
  'invariant 2: a withdrawn seal certificate stops counting on every process within 1 s, earlier seals stay',
  async (t) => {
    const other = await startProcess(t, database);
    const { body } = await seal([await makeSeal(education)]);
    const { sha256 } = body as { sha256: string };
    await eventually(async () => (await other.trust.read()).seals.has(sha256));
    const registered = new Date();
    const request = { ...change(new Date(Date.now() + 1)), departmentCode: education, sha256, reason: 'key lost' };
    const revoked = await revokeSealX509(hub, request);
    const seen = await eventually(async () => (await other.trust.read()).seals.get(sha256)?.revokedAt !== null);
    t.ok(seen < 1_000);
    const found = (await other.trust.read()).seals.get(sha256);
    t.ok(found !== undefined && isSealInForce(found, registered) && !isSealInForce(found, request.call.at));
    t.same(
      (await revokeSealX509(hub, { ...request, ...change(new Date(Date.now() + 60_000)) })).body,
      revoked.body,
      'the first withdrawal counts',
    );
    await t.rejects(revokeSealX509(hub, { ...request, ...change(), departmentCode: departmentCode(201) }), {
      code: 'seal_x509_unknown',
    });
    await t.rejects(revokeSealX509(hub, { ...request, ...change(), sha256: '0'.repeat(64) }), {
      code: 'seal_x509_unknown',
    });
  },
);

await t.test('invariant 4: roots and seal certificates written past the hub count for nothing', async (t) => {
  const bump = `update registry_versions set version = version + 1`;
  await runSql(
    database.superuserUrl,
    `insert into trust_roots select sha256('x'), decode('${otherRoot.x509.toString('hex')}', 'hex'), now() - interval '1 year', null, mac from trust_roots`,
    `update seal_x509 set revoked_at = null where revoked_at is not null`,
    `update seal_x509 set department_code = '${education}' where department_code = '${departmentCode(201)}'`,
    bump,
  );
  const fresh = await startProcess(t, database);
  const trust = await fresh.trust.read();
  t.equal(trust.roots.length, 1);
  t.equal(trust.seals.size, 2, 'the two untouched ones');
  const reported = new Set(fresh.reports.filter((report) => /^(trust_roots|seal_x509) /.test(report)));
  t.equal(reported.size, 3, 'all three reported');
  t.same(await reasons(seal([await makeSeal(education, { issuer: otherRoot })])), ['x509_root_unknown']);
});

await t.test('every change of the registry stands in the records under the one who made it', async (t) => {
  for (const action of [
    'registerDepartment',
    'registerClient',
    'setClientState',
    'addClientKey',
    'revokeClientKey',
    'registerTrustRoot',
    'registerSealX509',
    'revokeSealX509',
  ]) {
    const records = await recordsOf(hub.db, action);
    t.ok(records.length > 0, action);
    t.ok(records.every(({ outcome, client_id }) => outcome === 'done' && client_id === 'hub-admin'));
  }
});
