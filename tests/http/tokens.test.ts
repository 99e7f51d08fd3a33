import { createHmac, createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import fc from 'fast-check';
import { SignJWT } from 'jose';
import t from 'tap';
import { Refusal } from '../../src/errors.ts';
import { openTokens } from '../../src/http/tokens.ts';
import { audience, issuer, question, raw, startMini } from './mini.ts';

const clock = { now: new Date('2026-11-22T08:00:00Z') };
const start = Math.floor(clock.now.getTime() / 1000);
const hub = await startMini({ clock });
t.teardown(() => hub.app.close());
const { privatePem, publicPem } = hub.tokenSettings;
const hubKey = createPrivateKey(privatePem);
const hubPem = publicPem('token-1') ?? '';

const base64url = (value: string | Buffer): string => Buffer.from(value).toString('base64url');
const goodHeader = { alg: 'ES256', typ: 'at+jwt', kid: 'token-1' };
const goodClaims = {
  iss: issuer,
  sub: 'consumer-1',
  aud: audience,
  client_id: 'consumer-1',
  client_key: 'key-1',
  jti: '0199a000-0000-7000-8000-000000000000',
  iat: start,
  exp: start + 600,
};
type Claims = Record<string, unknown>;

const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const halfOf = (signature: Buffer, from: number): bigint =>
  BigInt(`0x${signature.subarray(from, from + 32).toString('hex')}`);
const bytes32 = (value: bigint): Buffer => Buffer.from(value.toString(16).padStart(64, '0'), 'hex');

/** A token over exact header and payload texts, signed by the hub's own key with a low s unless told otherwise. */
function signed(header: string, payload: string, key: KeyObject = hubKey, low = true): string {
  const input = `${base64url(header)}.${base64url(payload)}`;
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
  const s = halfOf(signature, 32);
  if (signature.length === 64 && s <= order / 2n !== low) bytes32(order - s).copy(signature, 32);
  return `${input}.${signature.toString('base64url')}`;
}
const withClaims = (claims: Claims): string =>
  signed(JSON.stringify(goodHeader), JSON.stringify({ ...goodClaims, ...claims }));
const withHeader = (header: Claims): string =>
  signed(JSON.stringify({ ...goodHeader, ...header }), JSON.stringify(goodClaims));
const without = (claim: string): string =>
  signed(
    JSON.stringify(goodHeader),
    JSON.stringify(Object.fromEntries(Object.entries(goodClaims).filter(([name]) => name !== claim))),
  );
const hmac = (secret: string | Buffer, alg = 'HS256'): string => {
  const input = `${base64url(JSON.stringify({ ...goodHeader, alg }))}.${base64url(JSON.stringify(goodClaims))}`;
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
};
const unsigned = (alg: unknown, end = ''): string =>
  `${base64url(JSON.stringify({ ...goodHeader, alg }))}.${base64url(JSON.stringify(goodClaims))}.${end}`;

async function ask(token: string, scheme = 'Bearer '): Promise<{ status: number; code: string | undefined }> {
  const answer = await hub.app.inject({
    method: 'POST',
    url: '/v1/questions',
    headers: { authorization: `${scheme}${token}`, 'content-type': 'application/json' },
    payload: JSON.stringify(question),
  });
  return { status: answer.statusCode, code: answer.json<{ code?: string }>().code };
}

await t.test(
  'a token of the hub says what RFC 9068 demands and is accepted; no token lives longer than 900 s',
  async (t) => {
    const token = hub.tokens.sign({ clientId: 'consumer-1', keyId: 'key-1' });
    const [header = '', payload = ''] = token.split('.').map((part) => Buffer.from(part, 'base64url').toString());
    t.strictSame(JSON.parse(header), goodHeader);
    t.match(JSON.parse(payload), { ...goodClaims, jti: /^[0-9a-f-]{36}$/ });
    t.match(await ask(token), { status: 200 });
    t.match(await ask(token, 'bearer '), { status: 200 }, 'the scheme is case-insensitive');
    t.match(await ask(withClaims({})), { status: 200 }, 'the corpus below starts from an accepted token');
    t.strictSame(await hub.tokens.verify(token), {
      clientId: 'consumer-1',
      keyId: 'key-1',
      tokenId: (JSON.parse(payload) as { jti: string }).jti,
      issuedAt: clock.now,
      expiresAt: new Date(clock.now.getTime() + 600_000),
    });
    for (const ttlSeconds of [0, -1, 901, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      await t.rejects(openTokens({ ...hub.tokenSettings, ttlSeconds }), `${ttlSeconds} seconds`);
    }
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
      type: 'pkcs8',
      format: 'pem',
    });
    await t.rejects(openTokens({ ...hub.tokenSettings, privatePem: other.toString() }), 'keys that do not fit');
    await t.rejects(openTokens({ ...hub.tokenSettings, kid: 'token-2' }), 'a key that is not among the accepted ones');
  },
);

await t.test('ASVS 9.1, 9.2: every token of the attack corpus is 401, recorded, and reaches no handler', async (t) => {
  const good = withClaims({});
  const [head = '', body = '', tail = ''] = good.split('.');
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const strangerJwk = stranger.publicKey.export({ format: 'jwk' });
  const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey;
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ed25519 = generateKeyPairSync('ed25519').privateKey;
  const hubJwk = JSON.stringify(hub.app === undefined ? {} : createPrivateKey(privatePem).export({ format: 'jwk' }));
  const publicDer = Buffer.from(hubPem.replaceAll(/-----.*-----|\s/g, ''), 'base64');
  const edInput = `${base64url(JSON.stringify({ ...goodHeader, alg: 'EdDSA' }))}.${base64url(JSON.stringify(goodClaims))}`;
  const goodText = JSON.stringify(goodClaims);
  const headerText = JSON.stringify(goodHeader);
  // 64 bytes with r, s chosen by the attacker
  const forged = (r: bigint, s: bigint): string =>
    `${head}.${body}.${Buffer.concat([bytes32(r), bytes32(s)]).toString('base64url')}`;
  const goodSignature = Buffer.from(tail, 'base64url');
  const lastChar = tail.slice(-1);
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const sloppyTail = `${tail.slice(0, -1)}${alphabet[(alphabet.indexOf(lastChar) ^ 1) % 64] ?? ''}`;

  const corpus: Record<string, string> = {
    'alg none': unsigned('none'),
    'alg None': unsigned('None'),
    'alg NONE': unsigned('NONE'),
    'alg nOnE with a signature': unsigned('nOnE', tail),
    'alg empty': unsigned(''),
    'alg null': unsigned(null),
    'alg absent': unsigned(undefined, tail),
    'alg array': unsigned(['ES256'], tail),
    'signature stripped': `${head}.${body}.`,
    'two parts': `${head}.${body}`,
    'four parts': `${good}.x`,
    'five parts, as a JWE': `${good}.x.y`,
    'HS256 with the public PEM': hmac(hubPem),
    'HS256 with the PEM, trimmed': hmac(hubPem.trim()),
    'HS256 with the PEM, leading space': hmac(` ${hubPem}`),
    'HS256 with the PEM, byte order mark': hmac(`\ufeff${hubPem}`),
    'HS256 with the PEM, comment before': hmac(`# key\n${hubPem}`),
    'HS256 with the PEM, zero-width space': hmac(`\u200b${hubPem}`),
    'HS256 with the PEM, CRLF': hmac(hubPem.replaceAll('\n', '\r\n')),
    'HS256 with the DER': hmac(publicDer),
    'HS256 with the JWK': hmac(hubJwk),
    'HS256 with the empty secret': hmac(''),
    'HS256 with the kid': hmac('token-1'),
    'HS512 by name': hmac(hubPem, 'HS512'),
    'HS256 signature under the name ES256': hmac(hubPem, 'ES256'),
    'RS256 with an own key': `${unsigned('RS256')}${sign('sha256', Buffer.from(unsigned('RS256').slice(0, -1)), rsa.privateKey).toString('base64url')}`,
    'ES512 with P-521': signed(JSON.stringify({ ...goodHeader, alg: 'ES512' }), goodText, p521),
    'ES256 by name with P-521': signed(headerText, goodText, p521),
    'EdDSA with an own key': `${edInput}.${sign(null, Buffer.from(edInput), ed25519).toString('base64url')}`,
    'signed by a stranger': signed(headerText, goodText, stranger.privateKey),
    'embedded jwk': signed(JSON.stringify({ ...goodHeader, jwk: strangerJwk }), goodText, stranger.privateKey),
    'embedded jwk, kid its own': signed(
      JSON.stringify({ alg: 'ES256', typ: 'at+jwt', jwk: strangerJwk }),
      goodText,
      stranger.privateKey,
    ),
    'jwk beside the right key': withHeader({ jwk: strangerJwk }),
    jku: withHeader({ jku: 'https://evil.example/keys' }),
    x5u: withHeader({ x5u: 'https://evil.example/x509' }),
    x5c: withHeader({ x5c: ['MIIB'] }),
    'unknown crit': withHeader({ crit: ['exotic'], exotic: 1 }),
    'crit of b64': withHeader({ crit: ['b64'], b64: false }),
    'crit empty': withHeader({ crit: [] }),
    'crit null': withHeader({ crit: null }),
    'zip, as a bomb': withHeader({ zip: 'DEF' }),
    'cty JWT': withHeader({ cty: 'JWT' }),
    'typ JWT': withHeader({ typ: 'JWT' }),
    'typ of an answer': withHeader({ typ: 'certhub-answer+jwt' }),
    'typ of a status list': withHeader({ typ: 'statuslist+jwt' }),
    'typ of an assertion': withHeader({ typ: 'client-authentication+jwt' }),
    'typ with NUL': withHeader({ typ: 'at+jwt\0' }),
    'no typ': signed(JSON.stringify({ alg: 'ES256', kid: 'token-1' }), goodText),
    'no kid': signed(JSON.stringify({ alg: 'ES256', typ: 'at+jwt' }), goodText),
    'kid unknown': withHeader({ kid: 'token-0' }),
    'kid with SQL': withHeader({ kid: "' OR 1=1 --" }),
    'kid with path': withHeader({ kid: '../../../../dev/null' }),
    'kid __proto__': withHeader({ kid: '__proto__' }),
    'kid constructor': withHeader({ kid: 'constructor' }),
    'kid number': withHeader({ kid: 1 }),
    'kid empty': withHeader({ kid: '' }),
    'header null': signed('null', goodText),
    'header array': signed(`[${headerText}]`, goodText),
    'header twice alg': signed('{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"token-1"}', goodText),
    'header with space': signed(headerText.replace(':', ': '), goodText),
    'payload null': signed(headerText, 'null'),
    'payload array': signed(headerText, `[${goodText}]`),
    'payload string': signed(headerText, JSON.stringify(goodText)),
    'payload not JSON': signed(headerText, goodText.slice(1)),
    'payload empty': signed(headerText, ''),
    'payload with byte order mark': signed(headerText, `\ufeff${goodText}`),
    'claim twice': signed(headerText, goodText.replace('{', '{"client_id":"admin-1",')),
    'claim twice, later wins': signed(headerText, goodText.replace('}', `,"exp":${start + 601}}`)),
    'exp string': withClaims({ exp: String(start + 600) }),
    'exp null': withClaims({ exp: null }),
    'exp NaN': signed(headerText, goodText.replace(String(start + 600), 'NaN')),
    'exp 1e999': signed(headerText, goodText.replace(String(start + 600), '1e999')),
    'exp with fraction': withClaims({ exp: start + 600.5 }),
    'exp negative': withClaims({ exp: -1 }),
    'exp array': withClaims({ exp: [start + 600] }),
    'exp missing': without('exp'),
    'exp past': withClaims({ iat: start - 700, exp: start - 100 }),
    'exp now': withClaims({ iat: start - 600, exp: start }),
    'lives too long': withClaims({ exp: start + 901 }),
    'iat missing': without('iat'),
    'iat string': withClaims({ iat: String(start) }),
    'iat future': withClaims({ iat: start + 60 }),
    'nbf future': withClaims({ nbf: start + 60 }),
    'iss missing': without('iss'),
    'iss another environment': withClaims({ iss: 'https://hub-test.example' }),
    'iss array': withClaims({ iss: [issuer, 'https://evil.example'] }),
    'iss with slash': withClaims({ iss: `${issuer}/` }),
    'aud missing': without('aud'),
    'aud another': withClaims({ aud: 'https://other.example' }),
    'aud array with extras': withClaims({ aud: [audience, 'https://evil.example'] }),
    'aud array of one': withClaims({ aud: [audience] }),
    'aud the token address': withClaims({ aud: `${issuer}/oauth/token` }),
    'aud the issuer': withClaims({ aud: issuer }),
    'sub missing': without('sub'),
    'sub differs from client': withClaims({ sub: 'admin-1' }),
    'client missing': without('client_id'),
    'client array': withClaims({ client_id: ['consumer-1'], sub: ['consumer-1'] }),
    'key missing': without('client_key'),
    'jti missing': without('jti'),
    'jti number': withClaims({ jti: 1 }),
    'high s': signed(headerText, goodText, hubKey, false),
    's plus order': forged(halfOf(goodSignature, 0), (halfOf(goodSignature, 32) + order) % 2n ** 256n),
    'r and s zero': forged(0n, 0n),
    'r and s one': forged(1n, 1n),
    'r and s order': forged(order, order),
    'r zero': forged(0n, halfOf(goodSignature, 32)),
    'signature in DER': `${head}.${body}.${sign('sha256', Buffer.from(`${head}.${body}`), hubKey).toString('base64url')}`,
    'signature of another token': `${head}.${base64url(JSON.stringify({ ...goodClaims, sub: 'admin-1', client_id: 'admin-1' }))}.${tail}`,
    'signature random': `${head}.${body}.${randomBytes(64).toString('base64url')}`,
    'spare bits of the signature': `${head}.${body}.${sloppyTail}`,
    'whitespace inside': `${head}. ${body}.${tail}`,
    'newline at the end': `${good}\\n`,
    padding: `${head}.${body}.${tail}==`,
    'plus and slash': `${head}.${body}.${tail.replaceAll('-', '+').replaceAll('_', '/')}+`,
    'two spaces': ` ${good}`,
    'nested in another token': signed(JSON.stringify({ ...goodHeader, cty: 'JWT' }), JSON.stringify(good)),
    'JWE header': `${base64url('{"alg":"dir","enc":"A256GCM","zip":"DEF"}')}..${randomBytes(12).toString('base64url')}.${randomBytes(64).toString('base64url')}.${randomBytes(16).toString('base64url')}`,
    'long token': withClaims({ note: 'x'.repeat(9_000) }),
    'JSON serialisation': JSON.stringify({ payload: body, protected: head, signature: tail }),
    empty: '',
    dots: '..',
    'not a token': 'password',
    undefined: 'undefined',
  };
  const jose = new SignJWT({ ...goodClaims }).setProtectedHeader({ alg: 'ES256', kid: 'token-1', typ: 'at+jwt' });
  corpus['other order of the header, from another library'] = await jose.sign(hubKey);
  t.ok(Object.keys(corpus).length >= 100);

  hub.seen.length = 0;
  for (const [name, token] of Object.entries(corpus)) {
    hub.events.length = 0;
    const answer = await ask(token);
    t.equal(answer.status, 401, name);
    t.match(answer.code, /^token_(invalid|expired)$/, name);
    t.match(hub.events, [{ operationId: 'ask', code: answer.code, outcome: 'refused' }], `${name} is recorded`);
  }
  for (const scheme of ['Basic ', 'DPoP ', 'Token ', '']) {
    t.match(await ask(good, scheme), { status: 401, code: 'token_missing' }, `scheme ${JSON.stringify(scheme)}`);
  }
  t.match(await ask(good, 'Bearer\t'), { status: 401 });
  t.strictSame(hub.seen, []);
  const huge = `GET /v1/things HTTP/1.1\r\nhost: h\r\nauthorization: Bearer ${'a'.repeat(1_000_000)}\r\n\r\n`;
  t.match(await raw(hub.port, huge), /^HTTP\/1\.1 431 /, 'a token of 1 MB is not even read');
  t.match(await ask(good), { status: 200 }, 'and the good one still passes');
});

await t.test(
  'a remembered token is asked again: never past its end, never past its key, never more than 60 s',
  async (t) => {
    const time = { now: new Date('2026-11-22T08:00:00Z') };
    const keys = new Map([['token-1', hubPem]]);
    let asked = 0;
    const tokens = await openTokens({
      ...hub.tokenSettings,
      ttlSeconds: 900,
      now: () => time.now,
      publicPem: (kid) => {
        asked += 1;
        return keys.get(kid);
      },
    });
    const later = (seconds: number): void => {
      time.now = new Date(time.now.getTime() + seconds * 1000);
    };
    const token = tokens.sign({ clientId: 'consumer-1', keyId: 'key-1' });
    await tokens.verify(token);
    later(59);
    await tokens.verify(token);
    t.ok(asked >= 4, 'whether the key is in force is asked every time');
    keys.clear();
    await t.rejects(tokens.verify(token), new Refusal('token_invalid'), 'a stale key after rotation');
    keys.set(
      'token-1',
      generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    );
    await t.rejects(tokens.verify(token), new Refusal('token_invalid'), 'a replaced key');
    keys.set('token-1', hubPem);
    await tokens.verify(token);
    later(840);
    await tokens.verify(token);
    later(1);
    await t.rejects(tokens.verify(token), new Refusal('token_expired'), 'remembered a second ago, and over');
  },
);

await t.test('property: any change to a token makes it worthless', async (t) => {
  const token = hub.tokens.sign({ clientId: 'consumer-1', keyId: 'key-1' });
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ ';
  await fc.assert(
    fc.asyncProperty(fc.nat(token.length - 1), fc.constantFrom(...alphabet.split('')), async (at, char) => {
      const changed = token.slice(0, at) + char + token.slice(at + 1);
      if (changed === token) return true;
      return (await ask(changed)).status === 401;
    }),
    { seed: 20261122, numRuns: 400 },
  );
  for (let count = 0; count < 64; count++) {
    const { clientId } = await hub.tokens.verify(hub.tokens.sign({ clientId: 'consumer-1', keyId: 'key-1' }));
    t.equal(clientId, 'consumer-1');
  }
});
