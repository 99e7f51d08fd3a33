import { createHmac, createPrivateKey, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import t from 'tap';
import { type ApiClient, apiClient, clientAssertion } from '../../src/cli/api-client.ts';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import { demoClientKey } from '../../src/cli/demo/registry.ts';
import { exampleKeys } from '../support/start-hub.ts';
import { type Bad, type Expected, exchange, logsAreClean, refusing } from './refuses.ts';
import { newClientKey, registerClient } from './samples.ts';
import { startWorld } from './world.ts';

const world = await startWorld(t, { env: { CERTHUB_TOKEN_TTL_SECONDS: '60' } });
const { hub } = world;
const { issuer } = hub.core.config;
const admin = world.client('hub-admin');
const clientId = 'school-enrolment';
const key = demoClientKey(clientId);

type Claims = Record<string, unknown>;
const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const seconds = (): number => Math.floor(Date.now() / 1000);

/** The form of a token request with this assertion. */
const form = (assertion: string, changes: Record<string, string> = {}): Bad => ({
  operationId: 'issueToken',
  body: {
    grant_type: 'client_credentials',
    client_id: clientId,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion,
    ...changes,
  },
});
const assertion = (claims: Claims = {}, header: Claims = {}, signer?: KeyObject): string =>
  clientAssertion({ issuer, clientId, key }, { claims, header, ...(signer !== undefined && { signer }) });

await t.test('assertions that get no token', async (t) => {
  const used = assertion();
  t.equal((await exchange(world, form(used))).status, 200);
  const lasting = { jti: randomUUID() };
  t.equal((await exchange(world, form(assertion(lasting)))).status, 200);
  const [head = '', payload = '', signature = ''] = assertion().split('.');
  const hmac = `${part({ alg: 'HS256', typ: 'client-authentication+jwt', kid: key['kid'] })}.${payload}`;
  const other = demoClientKey('tax-issuer');
  const otherKey = createPrivateKey({ key: other, format: 'jwk' } as never);
  const { privateKey: stranger } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x = '' } = key;
  const publicBytes = Buffer.from(x, 'base64url');
  const invalid: Expected = [401, 'invalid_client'];
  const cases: readonly (readonly [what: string, bad: Bad, expected?: Expected])[] = [
    ['replayed', form(used)],
    ['with a name that was used', form(assertion(lasting))],
    ['expired', form(assertion({ iat: seconds() - 120, exp: seconds() - 61 }))],
    ['for too long', form(assertion({ exp: seconds() + 600 }))],
    ['without an end', form(assertion({ exp: undefined }))],
    ['from the future', form(assertion({ iat: seconds() + 40, nbf: seconds() + 40 }))],
    ['with an end that is text', form(assertion({ exp: String(seconds() + 30) }))],
    ['without a name', form(assertion({ jti: undefined }))],
    ['for the token endpoint', form(assertion({ aud: `${issuer}/oauth/token` }))],
    ['for another hub', form(assertion({ aud: 'https://canary.test' }))],
    ['for the hub in a list', form(assertion({ aud: [issuer] }))],
    ['for the hub and another', form(assertion({ aud: [issuer, 'https://canary.test'] }))],
    ['for nobody', form(assertion({ aud: undefined }))],
    ['alg none', form(`${part({ alg: 'none', typ: 'client-authentication+jwt' })}.${payload}.`)],
    [
      'alg none with a signature',
      form(`${part({ alg: 'none', typ: 'client-authentication+jwt' })}.${payload}.${signature}`),
    ],
    [
      'an HMAC with the public key',
      form(`${hmac}.${createHmac('sha256', publicBytes).update(hmac).digest('base64url')}`),
    ],
    ['of type JWT', form(assertion({}, { typ: 'JWT' }))],
    ['without a type', form(assertion({}, { typ: undefined }))],
    ['with the key of another client', form(assertion({}, { kid: other['kid'] }, otherKey))],
    ['with the key of another client under its own name', form(assertion({}, {}, otherKey))],
    ['with a key nobody registered', form(assertion({}, {}, stranger))],
    ['with a key in its header', form(assertion({}, { jwk: newClientKey().jwk, kid: undefined }, stranger))],
    ['with a critical extension', form(assertion({}, { crit: ['canary'], canary: 1 }))],
    ['issued by another client', form(assertion({ iss: 'tax-issuer' }))],
    ['about another client', form(assertion({ sub: 'tax-issuer' }))],
    [
      'of a client that does not exist',
      form(assertion({ iss: 'canary-client', sub: 'canary-client' }), { client_id: 'canary-client' }),
    ],
    ['under the name of another client', form(assertion(), { client_id: 'tax-issuer' })],
    [
      'with a changed payload',
      form(
        `${head}.${part({ sub: clientId, iss: clientId, aud: issuer, exp: seconds() + 30, jti: 'canary' })}.${signature}`,
      ),
    ],
    ['with a signature of zeros', form(`${head}.${payload}.${Buffer.alloc(64).toString('base64url')}`)],
    ['cut off', form(`${head}.${payload}`)],
    ['no JWT at all', form('canary')],
    ['empty', form('')],
    ['an access token', form(await world.client(clientId).token())],
    [
      'of another kind',
      form(assertion(), { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer' }),
    ],
    ['for another grant', form(assertion(), { grant_type: 'authorization_code' }), [400, 'unsupported_grant_type']],
    [
      'for a password',
      form(assertion(), { grant_type: 'password', username: 'canary', password: 'canary' }),
      [400, 'unsupported_grant_type'],
    ],
  ];
  const refuses = await refusing(world);
  for (const [what, bad, expected = invalid] of cases) {
    const problem = await refuses(t, what, bad, expected);
    t.match(problem, { error: expected[1], error_description: String }, `${what}: with the members of RFC 6749`);
  }
});

await t.test('token requests that are ill-formed', async (t) => {
  // Nobody claims to be anybody in these: the contract asks for no record.
  const refuses = await refusing(world);
  const raw = (text: string, headers: Bad['headers'] = {}): Bad => ({ operationId: 'issueToken', text, headers });
  const sound = new URLSearchParams(form(assertion()).body as Record<string, string>).toString();
  await refuses(t, 'a parameter twice', raw(`${sound}&grant_type=client_credentials`), [400, 'invalid_request']);
  await refuses(t, 'nothing', raw(''), [400, 'contract_violation', '']);
  await refuses(t, 'no assertion', raw('grant_type=client_credentials'), [400, 'contract_violation', '']);
  await refuses(t, 'NUL', raw(`${sound}&canary=%00`), [400, 'forbidden_character']);
  await refuses(
    t,
    'an assertion that is too long',
    raw(`${sound.replace('client_assertion=', 'client_assertion=canary')}${'A'.repeat(9_000)}`),
    [400, 'contract_violation', '/client_assertion'],
  );
  await refuses(t, 'JSON', raw(JSON.stringify(form(assertion()).body), { 'content-type': 'application/json' }), [
    415,
    'unsupported_media_type',
  ]);
  await refuses(t, 'in the address', { operationId: 'issueToken', text: '', query: sound }, [
    400,
    'contract_violation',
    '',
  ]);
  await refuses(t, 'compressed', raw(sound, { 'content-encoding': 'gzip' }), [415, 'unsupported_content_encoding']);
  await refuses(t, 'over the limit', raw(`${sound}&canary=${'canary'.repeat(50_000)}`), [413, 'body_too_large']);
  await refuses(t, 'with GET', { operationId: 'issueToken', method: 'GET' }, [405, 'method_not_allowed']);
});

// Order n of P-256: the hub makes and accepts the one of two signatures with the low s.
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const s = (signature: Buffer): bigint => BigInt(`0x${signature.subarray(32).toString('hex')}`);
const { kid, privatePem } = exampleKeys.tokenSecretPem();
const hubKey = createPrivateKey(privatePem);
const low = (signature: Buffer): Buffer => {
  if (s(signature) > order / 2n) signature.write((order - s(signature)).toString(16).padStart(64, '0'), 32, 'hex');
  return signature;
};

/** An access token as the hub itself would sign it, with anything in it. */
function forge(claims: Claims = {}, header: Claims = {}, signer: KeyObject = hubKey): string {
  const iat = seconds();
  const sound = {
    iss: issuer,
    sub: clientId,
    aud: issuer,
    client_id: clientId,
    client_key: key['kid'],
    jti: randomUUID(),
    iat,
    exp: iat + 60,
  };
  const signed = `${part({ alg: 'ES256', typ: 'at+jwt', kid, ...header })}.${part({ ...sound, ...claims })}`;
  const signature = sign('sha256', Buffer.from(signed), { key: signer, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${low(signature).toString('base64url')}`;
}

await t.test('access tokens that open nothing, on a recorded operation and on another', async (t) => {
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  const sound = forge();
  const [head = '', payload = '', signature = ''] = sound.split('.');
  const mirrored = Buffer.from(signature, 'base64url');
  mirrored.write((order - s(mirrored)).toString(16).padStart(64, '0'), 32, 'hex');
  const { privateKey: stranger } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const statusToken = exampleKeys.hubKeys.find(({ use }) => use === 'status');
  const none = part({ alg: 'none', typ: 'at+jwt', kid });
  const invalid: Expected = [401, 'token_invalid'];
  const missing: Expected = [401, 'token_missing'];
  const cases: readonly (readonly [what: string, headers: Bad['headers'], expected: Expected])[] = [
    ['no token', { authorization: undefined }, missing],
    ['another scheme', { authorization: `Basic ${Buffer.from('canary:canary').toString('base64')}` }, missing],
    ['a token without a scheme', { authorization: sound }, missing],
    ['an empty token', { authorization: 'Bearer ' }, invalid],
    ['two tokens', { authorization: `Bearer ${sound}, Bearer ${sound}` }, invalid],
    ['expired', bearer(forge({ iat: seconds() - 70, exp: seconds() - 10 })), [401, 'token_expired']],
    ['good for too long', bearer(forge({ exp: seconds() + 3_600 })), invalid],
    ['issued tomorrow', bearer(forge({ iat: seconds() + 86_400, exp: seconds() + 86_430 })), invalid],
    ['for another audience', bearer(forge({ aud: 'https://canary.test' })), invalid],
    ['for two audiences', bearer(forge({ aud: [issuer, 'https://canary.test'] })), invalid],
    ['of another issuer', bearer(forge({ iss: 'https://canary.test' })), invalid],
    ['of two minds about the client', bearer(forge({ sub: 'hub-admin' })), invalid],
    ['without a client key', bearer(forge({ client_key: undefined })), invalid],
    ['with a client key of another client', bearer(forge({ client_key: 'hub-admin-1' })), invalid],
    [
      'of a client that does not exist',
      bearer(forge({ sub: 'canary-client', client_id: 'canary-client' })),
      [401, 'client_disabled'],
    ],
    ['alg none', bearer(`${none}.${payload}.`), invalid],
    ['alg none with a signature', bearer(`${none}.${payload}.${signature}`), invalid],
    ['alg HS256', bearer(forge({}, { alg: 'HS256' })), invalid],
    ['of another type', bearer(forge({}, { typ: 'JWT' })), invalid],
    ['with another header member', bearer(forge({}, { jku: 'https://canary.test' })), invalid],
    ['under an unknown key', bearer(forge({}, { kid: 'canary' })), invalid],
    ['under the status key', bearer(forge({}, { kid: statusToken?.kid })), invalid],
    ['signed by nobody we know', bearer(forge({}, {}, stranger)), invalid],
    [
      'with roles of its own',
      bearer(
        `${head}.${part({ ...(JSON.parse(Buffer.from(payload, 'base64url').toString()) as object), sub: 'hub-admin', client_id: 'hub-admin' })}.${signature}`,
      ),
      invalid,
    ],
    ['with the mirrored signature', bearer(`${head}.${payload}.${mirrored.toString('base64url')}`), invalid],
    ['with padding', bearer(`${sound}=`), invalid],
    ['cut off', bearer(`${head}.${payload}`), invalid],
    ['an assertion', bearer(assertion()), invalid],
    ['a kilobyte of anything', bearer('canary'.repeat(200)), invalid],
  ];
  const refuses = await refusing(world);
  const body = { reason: 'canary' };
  for (const [what, headers, expected] of cases) {
    await refuses(t, what, { operationId: 'searchRecords', as: null, body, headers }, expected);
    await refuses(t, what, { operationId: 'registerDepartment', as: null, body, headers }, expected);
  }
  await refuses(
    t,
    'a header twice',
    { operationId: 'lookUp', as: null, body, headers: { authorization: [`Bearer ${sound}`, `Bearer ${sound}`] } },
    [400, 'contract_violation', '/authorization'],
  );
  const good = await exchange(world, { operationId: 'listGrants', as: null, headers: bearer(sound) });
  t.equal(good.status, 200, 'the one that all these differ from is good');
});

await t.test('invariant 2: a disabled client and a revoked key are refused at once', async (t) => {
  const { clientId, secret } = await registerClient(world, ['issuer']);
  const spare = newClientKey();
  await expectAnswer(admin.post(`/v1/clients/${clientId}/keys`, { jwk: spare.jwk }), 201);
  const holding = async (secret: Record<string, string>): Promise<ApiClient> => {
    const client = apiClient({ url: hub.url, issuer, clientId, key: secret });
    await client.token();
    return client;
  };
  const first = await holding(secret);
  const second = await holding(spare.secret);
  const asking = async (client: ApiClient) =>
    ({
      operationId: 'listCertificates',
      as: null,
      headers: { authorization: `Bearer ${await client.token()}` },
    }) as const;
  const again = (secret: Record<string, string>): Bad =>
    form(clientAssertion({ issuer, clientId, key: secret }), { client_id: clientId });
  for (const client of [first, second]) t.equal((await client.get('/v1/certificates')).status, 200);

  await expectAnswer(
    admin.post(`/v1/clients/${clientId}/keys/${secret['kid'] ?? ''}/revocations`, { reason: 'lost' }),
    200,
  );
  let refuses = await refusing(world);
  await refuses(t, 'a token behind a revoked key', await asking(first), [401, 'token_invalid']);
  await refuses(t, 'a new one with it', again(secret), [401, 'invalid_client']);
  t.equal((await second.get('/v1/certificates')).status, 200, 'the other key still opens');

  await expectAnswer(admin.post(`/v1/clients/${clientId}/states`, { state: 'disabled', reason: 'test' }), 200);
  refuses = await refusing(world);
  await refuses(t, 'a token of a disabled client', await asking(second), [401, 'client_disabled']);
  await refuses(t, 'a new one for it', again(spare.secret), [401, 'invalid_client']);
  await expectAnswer(admin.post(`/v1/clients/${clientId}/states`, { state: 'active', reason: 'test' }), 200);
  t.equal((await second.get('/v1/certificates')).status, 200, 'and comes back when enabled');
  refuses = await refusing(world);
  await refuses(t, 'the revoked key does not', await asking(first), [401, 'token_invalid']);
  logsAreClean(t, world);
});
