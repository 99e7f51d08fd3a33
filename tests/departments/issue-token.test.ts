import { createHmac, randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import t from 'tap';
import { addClientKey } from '../../src/departments/add-client-key.ts';
import { authenticator } from '../../src/departments/authenticate.ts';
import { clientAssertionKind, clientAssertionType } from '../../src/departments/client-assertion.ts';
import { issueToken } from '../../src/departments/issue-token.ts';
import { revokeClientKey } from '../../src/departments/revoke-client-key.ts';
import { setClientState } from '../../src/departments/set-client-state.ts';
import { Refusal } from '../../src/errors.ts';
import { testDatabase } from '../support/database.ts';
import {
  addClient,
  ask,
  assertion,
  authorizationOf,
  change,
  department,
  eventually,
  goodClaims,
  issuer,
  newKey,
  recordsOf,
  startProcess,
} from './fixture.ts';

const database = await testDatabase(t);
const hub = await startProcess(t, database);
const other = await startProcess(t, database);
const key = newKey('k1');
const edKey = newKey('ed', 'EdDSA');
const strangerKey = newKey('k1');
await addClient(hub, 'school-enrolment', [key]);
await addClient(hub, 'housing', [strangerKey, edKey]);

/** The reason of a refusal; the audit record has stood before. */
async function reasonOf(answer: Promise<unknown>): Promise<unknown> {
  try {
    await answer;
    return 'accepted';
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (!('receipt' in error)) return 'unrecorded';
    return error.code === 'invalid_client' ? error.detail['reason'] : error.code;
  }
}
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

await t.test('a good assertion gets a token, and the token tells who calls', async (t) => {
  const { accessToken, expiresIn, roles } = await ask(hub, await assertion(key, goodClaims('school-enrolment')), {
    clientId: 'school-enrolment',
  });
  t.equal(expiresIn, 300);
  t.same(roles, ['consumer']);
  const caller = await authenticator(hub)(`Bearer ${accessToken}`);
  t.same(caller, { clientId: 'school-enrolment', department, roles: ['consumer'], keyId: 'k1' });
  t.same(
    await authenticator({
      ...hub,
      verifyAuthorization: async () => ({ clientId: 'school-enrolment', keyId: 'k1', roles: ['admin'] }),
    })(''),
    {
      ...caller,
      roles: [],
    },
    'a token narrowed to other roles gives none that the client lacks',
  );
});

await t.test('EdDSA, and an assertion without kid of a client with one active key', async (t) => {
  t.ok(await ask(hub, await assertion(edKey, goodClaims('housing'))));
  const noKid = async (clientId: string, signer: typeof key): Promise<string> =>
    new SignJWT(goodClaims(clientId))
      .setProtectedHeader({ alg: 'ES256', typ: clientAssertionType })
      .sign(signer.privateKey);
  t.ok(await ask(hub, await noKid('school-enrolment', key)));
  t.equal(
    await reasonOf(ask(hub, await noKid('housing', strangerKey))),
    'key_unknown',
    'two keys: which one is not guessed',
  );
});

await t.test('invariant 9: an assertion made by jose is accepted', async (t) => {
  for (const [signer, alg, clientId] of [
    [key, 'ES256', 'school-enrolment'],
    [edKey, 'EdDSA', 'housing'],
  ] as const) {
    const text = await new SignJWT()
      .setProtectedHeader({ alg, typ: clientAssertionType, kid: signer.jwk.kid })
      .setIssuer(clientId)
      .setSubject(clientId)
      .setAudience(issuer)
      .setJti(randomUUID())
      .setIssuedAt()
      .setNotBefore('0s')
      .setExpirationTime('60s')
      .sign(signer.privateKey);
    t.ok(await ask(hub, text), alg);
  }
});

await t.test('RFC 7523 and RFC 10070: every broken assertion is invalid_client with its reason', async (t) => {
  const id = 'school-enrolment';
  const now = Math.floor(Date.now() / 1000);
  const good = goodClaims(id);
  const without = (name: string): Record<string, unknown> =>
    Object.fromEntries(Object.entries(goodClaims(id)).filter(([member]) => member !== name));
  const cases: [string, string, Record<string, unknown>][] = [
    ['wrong aud', 'audience', { ...good, aud: 'https://elsewhere.example.test' }],
    ['aud as array', 'audience', { ...good, aud: [issuer] }],
    ['aud as array with extras', 'audience', { ...good, aud: [issuer, 'https://elsewhere.example.test'] }],
    ['aud is the token URL', 'audience', { ...good, aud: `${issuer}/oauth/token` }],
    ['aud with a slash', 'audience', { ...good, aud: `${issuer}/` }],
    ['no aud', 'audience', without('aud')],
    ['no exp', 'expiry_missing', without('exp')],
    ['exp as text', 'expiry_missing', { ...good, exp: String(now + 30) }],
    ['exp too far', 'expiry_too_far', { ...good, exp: now + 90 }],
    ['exp in milliseconds', 'expiry_missing', { ...good, exp: Date.now() }],
    ['expired', 'expired', { ...good, iat: now - 90, exp: now - 30 }],
    ['nbf in the future', 'not_yet_valid', { ...good, nbf: now + 30 }],
    ['nbf as text', 'not_yet_valid', { ...good, nbf: '0' }],
    ['iat in the future', 'issued_at', { ...good, iat: now + 30 }],
    ['iat long ago', 'issued_at', { ...good, iat: now - 3600 }],
    ['no jti', 'jti', without('jti')],
    ['empty jti', 'jti', { ...good, jti: '' }],
    ['jti as number', 'jti', { ...good, jti: 7 }],
    ['jti too long', 'jti', { ...good, jti: 'x'.repeat(129) }],
    ['other issuer', 'issuer', { ...good, iss: 'housing' }],
    ['no issuer', 'issuer', without('iss')],
    ['other subject', 'key_unknown', { ...good, sub: 'housing' }],
    ['unknown client', 'key_unknown', { ...good, iss: 'nobody', sub: 'nobody' }],
    ['a subject that is no name', 'key_unknown', { ...good, sub: "x' or 1=1" }],
    ['a subject with NUL-like escapes', 'key_unknown', { ...good, sub: '__proto__' }],
  ];
  for (const [name, reason, payload] of cases) {
    t.equal(await reasonOf(ask(hub, await assertion(key, payload))), reason, name);
  }
  t.equal(await reasonOf(ask(hub, await assertion(key, goodClaims(id)), { clientId: 'housing' })), 'client_id');
  t.equal(await reasonOf(ask(hub, await assertion(key, good, { typ: 'JWT' }))), 'type');
  t.equal(await reasonOf(ask(hub, await assertion(key, good, { typ: 'at+jwt' }))), 'type');
  t.equal(await reasonOf(ask(hub, await assertion(key, good, { kid: 'k2' }))), 'key_unknown', 'unknown kid');
  t.equal(await reasonOf(ask(hub, await assertion(key, good, { kid: '__proto__' }))), 'key_unknown');
  t.equal(await reasonOf(ask(hub, await assertion(strangerKey, good))), 'key_unknown', "another client's key");
  t.equal(await reasonOf(ask(hub, await assertion(newKey('k1'), good))), 'key_unknown', 'nobody’s key, same answer');
  // exactly the same claims, jti included, still work: nothing before was taken for a use
  t.ok(await ask(hub, await assertion(key, good)));
});

await t.test('RFC 8725: forged and malformed assertions', async (t) => {
  const good = goodClaims('school-enrolment');
  const text = await assertion(key, good);
  const [header = '', payload = '', signature = ''] = text.split('.');
  const withHeader = (members: object): string =>
    `${encode({ alg: 'ES256', typ: clientAssertionType, kid: 'k1', ...members })}.${payload}`;
  const pem = key.publicKey.export({ type: 'spki', format: 'pem' });
  const hs256 = (secret: string | Buffer): string => {
    const input = withHeader({ alg: 'HS256' });
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
  };
  const flipped = Buffer.from(signature, 'base64url');
  flipped[10] = (flipped[10] ?? 0) ^ 1;
  const cases: [string, string, string][] = [
    ['alg none', 'algorithm', `${withHeader({ alg: 'none' })}.`],
    ['alg None', 'algorithm', `${withHeader({ alg: 'None' })}.`],
    ['alg none with a signature', 'algorithm', `${withHeader({ alg: 'none' })}.${signature}`],
    ['HS256 with the public PEM', 'algorithm', hs256(pem)],
    ['HS256 with the JWK', 'algorithm', hs256(JSON.stringify(key.jwk))],
    ['HS256 with an empty secret', 'algorithm', hs256('')],
    ['alg of another kind of key', 'key_unknown', `${withHeader({ alg: 'EdDSA' })}.${signature}`],
    ['alg as array', 'algorithm', `${withHeader({ alg: ['ES256'] })}.${signature}`],
    ['own key in the header', 'key_unknown', `${withHeader({ jwk: strangerKey.jwk })}.${signature}`],
    ['jku', 'key_unknown', `${withHeader({ jku: 'https://elsewhere.example.test/jwks' })}.${signature}`],
    ['crit', 'malformed', `${withHeader({ crit: ['exp'] })}.${signature}`],
    ['kid as number', 'key_unknown', `${withHeader({ kid: 1 })}.${signature}`],
    ['kid null', 'key_unknown', `${withHeader({ kid: null })}.${signature}`],
    ['signature changed', 'key_unknown', `${header}.${payload}.${flipped.toString('base64url')}`],
    ['signature empty', 'key_unknown', `${header}.${payload}.`],
    ['r = s = 0', 'key_unknown', `${header}.${payload}.${Buffer.alloc(64).toString('base64url')}`],
    ['payload changed', 'key_unknown', `${header}.${encode({ ...good, jti: 'other' })}.${signature}`],
    ['payload is an array', 'malformed', `${header}.${encode([good])}.${signature}`],
    ['payload is null', 'malformed', `${header}.${encode(null)}.${signature}`],
    [
      'a claim twice',
      'malformed',
      `${header}.${Buffer.from('{"sub":"a","sub":"b"}').toString('base64url')}.${signature}`,
    ],
    ['padding', 'malformed', `${header}.${payload}.${signature}=`],
    ['white space', 'malformed', `${header}.${payload}.${signature}\n`],
    ['two parts', 'malformed', `${header}.${payload}`],
    ['nothing', 'malformed', ''],
  ];
  for (const [name, reason, forged] of cases) t.equal(await reasonOf(ask(hub, forged)), reason, name);
  const form = {
    grantType: 'client_credentials',
    clientAssertionType: clientAssertionKind,
    clientAssertion: text,
    requestId: 'r',
    at: new Date(),
  };
  t.equal(await reasonOf(issueToken(hub, { ...form, grantType: 'password' })), 'unsupported_grant_type');
  t.equal(await reasonOf(issueToken(hub, { ...form, clientAssertionType: 'urn:other' })), 'assertion_kind');
  t.ok(await issueToken(hub, form), 'the original still works: none of the forgeries used it up');
});

await t.test('an assertion works once, also when 20 come at the same time to two processes', async (t) => {
  const text = await assertion(key, goodClaims('school-enrolment'));
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) => reasonOf(ask(i % 2 === 0 ? hub : other, text))),
  );
  t.equal(answers.filter((answer) => answer === 'accepted').length, 1);
  t.equal(answers.filter((answer) => answer === 'assertion_replayed').length, 19);
  t.equal(await reasonOf(ask(hub, text)), 'assertion_replayed', 'and later');
  const claims = { ...goodClaims('school-enrolment'), jti: 'shared' };
  t.ok(await ask(hub, await assertion(key, claims)));
  t.ok(await ask(hub, await assertion(strangerKey, { ...goodClaims('housing'), jti: 'shared' })), 'jti is per client');
});

await t.test('expired uses are removed in passing, live ones never', async (t) => {
  const count = async (): Promise<number> =>
    (await hub.db.kysely.selectFrom('client_assertions').select('client_id').execute()).length;
  const before = await count();
  const later = new Date(Date.now() + 8 * 60_000);
  const claims = { ...goodClaims('school-enrolment', later), jti: 'late' };
  t.ok(await ask(hub, await assertion(key, claims), { at: later }));
  t.equal(await count(), before + 1 - 4, 'one added, four removed');
  t.equal(await reasonOf(ask(hub, await assertion(key, claims), { at: later })), 'assertion_replayed');
});

await t.test('invariant 1: every answer of the token endpoint stands in the records first', async (t) => {
  await addClient(hub, 'recorded', [newKey('x')]);
  const mine = newKey('k1');
  await addClientKey(hub, { ...change(), clientId: 'recorded', jwk: mine.jwk });
  const of = async (): Promise<unknown[]> =>
    (await recordsOf(hub.db, 'issueToken')).filter(({ client_id }) => client_id === 'recorded');
  t.ok(await ask(hub, await assertion(mine, goodClaims('recorded'))));
  t.equal(await reasonOf(ask(hub, await assertion(mine, { ...goodClaims('recorded'), aud: 'x' }))), 'audience');
  t.equal(await reasonOf(ask(hub, await assertion(newKey('k1'), goodClaims('recorded')))), 'key_unknown');
  const proven = { client_id: 'recorded', department_code: department };
  t.same(
    await of(),
    [
      { outcome: 'answered', code: null, ...proven },
      { outcome: 'refused', code: 'invalid_client', ...proven },
    ],
    'what nobody proved does not stand under the client’s name',
  );
  const broken = { ...hub, record: async () => Promise.reject(new Refusal('record_unavailable')) };
  await t.rejects(ask(broken, await assertion(mine, goodClaims('recorded'))), { code: 'record_unavailable' });
  await t.rejects(ask(broken, await assertion(mine, { ...goodClaims('recorded'), aud: 'x' })), {
    code: 'record_unavailable',
  });
});

await t.test(
  'invariant 2: a disabled client or a revoked key gets no token, at once and on every process',
  async (t) => {
    const [first, second] = [newKey('k1'), newKey('k2')];
    await addClient(hub, 'leaver', [first, second]);
    await revokeClientKey(hub, { ...change(), clientId: 'leaver', kid: 'k1', reason: 'lost' });
    t.equal(await reasonOf(ask(other, await assertion(first, goodClaims('leaver')))), 'key_revoked');
    t.ok(await ask(other, await assertion(second, goodClaims('leaver'))), 'the other key works');
    await setClientState(hub, { ...change(), clientId: 'leaver', state: 'disabled', reason: 'contract ended' });
    t.equal(await reasonOf(ask(other, await assertion(second, goodClaims('leaver')))), 'client_disabled');
    await setClientState(hub, { ...change(), clientId: 'leaver', state: 'active', reason: 'contract renewed' });
    t.ok(await ask(other, await assertion(second, goodClaims('leaver'))));
  },
);

await t.test(
  'invariant 2: tokens of a disabled client or a revoked key are refused within 1 s on every process',
  async (t) => {
    const [first, second] = [newKey('k1'), newKey('k2')];
    await addClient(hub, 'revoked', [first, second]);
    const here = authenticator(hub);
    const there = authenticator(other);
    const byFirst = await authorizationOf(hub, 'revoked', first);
    t.equal((await there(byFirst)).clientId, 'revoked', 'a client may call in the moment it was registered');
    t.equal((await here(byFirst)).keyId, 'k1');
    await there(byFirst);
    const inView = async (hubProcess: typeof hub): Promise<boolean> =>
      (await hubProcess.registry.read()).clients.get('revoked')?.keys.length === 2;
    await eventually(async () => (await inView(hub)) && (await inView(other)));
    const refusedAfter = async (authorization: string): Promise<number> => {
      const isRefused = (authenticate: typeof here): Promise<boolean> =>
        authenticate(authorization).then(
          () => false,
          () => true,
        );
      return Math.max(...(await Promise.all([eventually(() => isRefused(here)), eventually(() => isRefused(there))])));
    };
    await revokeClientKey(hub, { ...change(), clientId: 'revoked', kid: 'k1', reason: 'lost' });
    t.ok((await refusedAfter(byFirst)) < 1_000, 'key revoked');
    await t.rejects(here(byFirst), { code: 'token_invalid', detail: { reason: 'key_revoked' } });
    const bySecond = await authorizationOf(hub, 'revoked', second);
    await here(bySecond);
    await there(bySecond);
    await setClientState(hub, { ...change(), clientId: 'revoked', state: 'disabled', reason: 'contract ended' });
    t.ok((await refusedAfter(bySecond)) < 1_000, 'client disabled');
    await t.rejects(there(bySecond), { code: 'client_disabled' });
  },
);

await t.test('tokens: missing, foreign, expired', async (t) => {
  const authenticate = authenticator(hub);
  await t.rejects(authenticate(undefined), { code: 'token_missing' });
  await t.rejects(authenticate('Basic YTpi'), { code: 'token_missing' });
  await t.rejects(authenticate('Bearer x.y.z'), { code: 'token_invalid' });
  const text = await assertion(key, goodClaims('school-enrolment'));
  await t.rejects(authenticate(`Bearer ${text}`), { code: 'token_invalid' }, 'an assertion is no token');
  const authorization = await authorizationOf(hub, 'school-enrolment', key);
  const fresh = await startProcess(t, database);
  fresh.clock.now = () => new Date(Date.now() + 301_000);
  await t.rejects(authenticator(fresh)(authorization), { code: 'token_expired' });
});
