import { createHash, randomUUID, verify, webcrypto, X509Certificate } from 'node:crypto';
import { inflateSync } from 'node:zlib';
import { SDJwtInstance, type SdJwtPayload } from '@sd-jwt/core';
import { createLocalJWKSet, decodeProtectedHeader, importX509, type JSONWebKeySet, jwtVerify } from 'jose';
import createClient from 'openapi-fetch';
import * as oidc from 'openid-client';
import t, { type Test } from 'tap';
import { type DemoPush, demoTypes } from '../../src/cli/demo/certificates.ts';
import { demoClientKey } from '../../src/cli/demo/registry.ts';
import type { paths } from '../../src/http/contract.gen.ts';
import { get, noOpenssl, openssl, opensslAccepts, put, workFolder } from '../signing/openssl.ts';
import { pushOf, putGrant } from '../support/demo-samples.ts';
import { certificateIn, publicSecurity, purpose, reviewer } from './samples.ts';
import { startWorld } from './world.ts';

const world = await startWorld(t);
const { hub } = world;
const { issuer } = hub.core.config;
const keysExample = new URL('../../keys-example/', import.meta.url);

/** The hub's public name is not its address here; a reverse proxy would do the same. */
const throughProxy: oidc.CustomFetch = (url, { body, ...options }) =>
  fetch(url.replace(issuer, hub.url), { ...options, body: body ?? null });

/** An outsider's OAuth client that knows the issuer's name and its own key, and nothing else of the hub. */
async function discover(clientId: string, keyOf = clientId): Promise<oidc.Configuration> {
  const jwk = demoClientKey(keyOf);
  const key = await webcrypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
  const proof = oidc.PrivateKeyJwt(
    { key, kid: jwk['kid'] ?? '' },
    {
      [oidc.modifyAssertion]: (header, payload) => {
        header['typ'] = 'client-authentication+jwt';
        payload['aud'] = issuer;
      },
    },
  );
  return oidc.discovery(new URL(issuer), clientId, undefined, proof, {
    algorithm: 'oauth2',
    [oidc.customFetch]: throughProxy,
    execute: [oidc.allowInsecureRequests],
  });
}

const jwks = (await hub.anyone.get('/.well-known/jwks.json')).body as JSONWebKeySet;
const hubKeys = createLocalJWKSet(jwks);
interface BundleBody {
  readonly roots: readonly string[];
}
const bundle = (await hub.anyone.get('/v1/trust-bundle')).body as BundleBody;

await t.test('invariant 9: openid-client discovers the hub, gets a token and calls the API with it', async (t) => {
  const config = await discover('school-enrolment');
  t.match(config.serverMetadata(), {
    issuer,
    token_endpoint: `${issuer}/oauth/token`,
    token_endpoint_auth_methods_supported: ['private_key_jwt'],
  });
  const token = await oidc.clientCredentialsGrant(config);
  t.match(token, { token_type: 'bearer', expires_in: Number, scope: 'consumer' });
  const answer = await oidc.fetchProtectedResource(
    config,
    token.access_token,
    new URL(`${issuer}/v1/certificate-types?limit=2`),
    'GET',
  );
  t.equal(answer.status, 200);
  t.match(await answer.json(), { items: [{}, {}] });

  const { payload, protectedHeader } = await jwtVerify(token.access_token, hubKeys, {
    issuer,
    audience: issuer,
    typ: 'at+jwt',
    algorithms: ['ES256'],
  });
  t.match(payload, { sub: 'school-enrolment', client_id: 'school-enrolment', jti: String }, 'RFC 9068, by jose');
  t.equal(protectedHeader.alg, 'ES256');

  const challenges = async (promise: Promise<unknown>): Promise<unknown> => {
    const error: unknown = await promise.catch((thrown: unknown) => thrown);
    t.ok(error instanceof oidc.WWWAuthenticateChallengeError);
    return error instanceof oidc.WWWAuthenticateChallengeError ? [error.status, error.cause] : undefined;
  };
  const spoilt = `${token.access_token}x`;
  const refused = oidc.fetchProtectedResource(config, spoilt, new URL(`${issuer}/v1/grants`), 'GET');
  const expected = (error: string) => [401, [{ scheme: 'bearer', parameters: { realm: 'certhub', error } }]];
  t.match(await challenges(refused), expected('invalid_token'), 'it understands a refused token');
  const other = await discover('school-enrolment', 'tax-issuer');
  t.match(await challenges(oidc.clientCredentialsGrant(other)), expected('invalid_client'), 'and a refused key');
});

/** A typed client, generated from the contract, with a token by openid-client. */
async function generated(clientId: string) {
  const { access_token } = await oidc.clientCredentialsGrant(await discover(clientId));
  return createClient<paths>({ baseUrl: hub.url, headers: { authorization: `Bearer ${access_token}` } });
}
const fresh = () => ({ 'Idempotency-Key': randomUUID() });

/** Push, an early seal that is refused, queue, review, seal: what an issuer's own software does. */
async function issueWith(t: Test, police: Awaited<ReturnType<typeof generated>>, card: DemoPush): Promise<string> {
  const pushed = await police.POST('/v1/certificates', {
    params: { header: fresh() },
    body: { ...card.body, holders: [...card.body.holders], fields: { ...card.body.fields } },
  });
  t.equal(pushed.response.status, 201);
  const { certificateIdentifier = '', state } = pushed.data ?? {};
  t.equal(state, 'pending_review');

  const params = { path: { certificateIdentifier }, header: fresh() };
  const early = await police.POST('/v1/certificates/{certificateIdentifier}/seals', { params, body: {} });
  t.match(early.error, { code: 'review_required', status: 409 }, 'a refusal is typed too');
  const queue = await police.GET('/v1/certificates', { params: { query: { state: 'pending_review' } } });
  t.match(queue.data?.items, [{ certificateIdentifier, state: 'pending_review' }]);
  const reviewed = await police.POST('/v1/certificates/{certificateIdentifier}/reviews', {
    params: { path: { certificateIdentifier }, header: fresh() },
    body: { decision: 'approve', officer: reviewer },
  });
  t.equal(reviewed.data?.state, 'approved');
  const sealed = await police.POST('/v1/certificates/{certificateIdentifier}/seals', {
    params: { path: { certificateIdentifier }, header: fresh() },
    body: {},
  });
  t.match(sealed.data, { state: 'valid', sdJwt: String });
  return certificateIdentifier;
}

/** The school applies, the owner of the type decides: what both their softwares do. */
async function grantWith(t: Test, school: Awaited<ReturnType<typeof generated>>): Promise<string | undefined> {
  const applied = await school.POST('/v1/grant-applications', {
    params: { header: fresh() },
    body: {
      certificateTypeCode: demoTypes.residentIdCard,
      wanted: {
        level: 'fields',
        fields: ['name', 'birthDate'],
        matters: ['school-enrolment'],
        legalBases: ['own_application'],
        dailyQuota: 10,
      },
      legalGround: 'Article 12',
      safeguards: 'read by two officials',
      officer: reviewer,
    },
  });
  const { applicationId = '', state } = applied.data ?? {};
  t.equal(state, 'awaiting_owner');
  const desk = await generated('psb-grants');
  const decided = await desk.POST('/v1/grant-applications/{applicationId}/decisions', {
    params: { path: { applicationId }, header: fresh() },
    body: { decision: 'approve', reason: 'test', decisionReference: 'decision 1', officer: reviewer },
  });
  t.equal(decided.data?.state, 'granted');
  const grantId = decided.data?.grantId ?? '';
  const granted = await school.GET('/v1/grants/{grantId}', { params: { path: { grantId } } });
  t.match(granted.data, { state: 'in_force', applicationId });
  return granted.data?.grantId;
}

await t.test('invariant 9: a client generated from the contract goes the whole way', async (t) => {
  const card = pushOf(demoTypes.residentIdCard, 1);
  const [holder] = card.body.holders;
  if (holder === undefined) throw new Error('no holder');
  const police = await generated('psb-issuer');
  const certificateIdentifier = await issueWith(t, police, card);

  const school = await generated('school-enrolment');
  const grantId = await grantWith(t, school);
  const answer = await school.POST('/v1/lookups', {
    body: {
      purpose: { ...purpose, legalBasis: 'own_application' },
      level: 'fields',
      holder: { type: holder.type, number: holder.number },
    },
  });
  const found = answer.data?.certificates[0];
  t.match(found, {
    certificateIdentifier,
    status: 'valid',
    grantId,
    fields: { name: holder.name, birthDate: card.body.fields['birthDate'] },
  });

  const anyone = createClient<paths>({ baseUrl: hub.url });
  const whole = await anyone.POST('/v1/verifications', {
    body: { answer: answer.data?.answer ?? '', sdJwts: [found?.sdJwt ?? ''] },
  });
  t.match(whole.data, { verdict: 0, certificates: [{ certificateIdentifier, disclosed: { name: holder.name } }] });
  const changed = await police.POST('/v1/certificates/{certificateIdentifier}/status-changes', {
    params: { path: { certificateIdentifier }, header: fresh() },
    body: { action: 'revoke', reason: 'test', revocationReason: 'issued_in_error' },
  });
  t.equal(changed.data?.state, 'revoked');
  const later = await anyone.POST('/v1/verifications', { body: { sdJwt: found?.sdJwt ?? '' } });
  t.equal(later.data?.verdict, 3, 'no longer valid');
});

/** Everything `lookUp` gives a consumer about one sealed certificate. */
async function lookedUp() {
  const push = pushOf(demoTypes.residentIdCard);
  const certificateIdentifier = await certificateIn(world, 'valid', push);
  await putGrant(world.client);
  const reply = await world
    .client('school-enrolment')
    .post('/v1/lookups', { purpose, level: 'fields', certificateIdentifier });
  const body = reply.body as { answer: string; recordId: string; certificates: { sdJwt: string }[] };
  return { push, certificateIdentifier, body, sdJwt: body.certificates[0]?.sdJwt ?? '' };
}
const pemOf = (base64: string): string => new X509Certificate(Buffer.from(base64, 'base64')).toString();

await t.test('invariant 9: jose accepts the answer, and its x509 leads to the root of the bundle', async (t) => {
  const { body, certificateIdentifier, sdJwt } = await lookedUp();
  const { payload } = await jwtVerify(body.answer, hubKeys, {
    issuer,
    audience: 'school-enrolment',
    typ: 'certhub-answer+jwt',
    algorithms: ['ES256'],
    requiredClaims: ['iat', 'jti', 'purpose', 'commitment'],
  });
  t.equal(payload.jti, body.recordId);
  const sd_hash = createHash('sha256').update(sdJwt).digest('base64url');
  t.strictSame(payload['certificates'], [{ certificateIdentifier, status: 'valid', level: 'fields', sd_hash }]);
  const [header = '', , signature = ''] = body.answer.split('.');
  const forged = Buffer.from(JSON.stringify({ ...payload, aud: 'housing-allocation' })).toString('base64url');
  await t.rejects(jwtVerify(`${header}.${forged}.${signature}`, hubKeys), 'and no other one');
});

class Instance extends SDJwtInstance<SdJwtPayload> {
  protected override readonly type = 'dc+sd-jwt';
}

await t.test('invariants 3 and 9: @sd-jwt/core and jose accept the SD-JWT of an answer', async (t) => {
  const { sdJwt, push, certificateIdentifier } = await lookedUp();
  const [jwt = ''] = sdJwt.split('~');
  const { x5c = [], alg } = decodeProtectedHeader(jwt);
  t.equal(alg, 'ES256');
  const leaf = new X509Certificate(Buffer.from(x5c[0] ?? '', 'base64'));
  t.match(leaf.subject, new RegExp(publicSecurity), 'the leaf names the department');
  const { payload } = await jwtVerify(jwt, await importX509(leaf.toString(), 'ES256'), { typ: 'dc+sd-jwt' });
  t.match(payload, {
    vct: `urn:certhub:certificate-type:${demoTypes.residentIdCard}:1`,
    iss: `urn:certhub:department:${publicSecurity}`,
    certificateIdentifier,
  });

  const library = new Instance({
    verifier: (data, signature) =>
      verify(
        'sha256',
        Buffer.from(data),
        { key: leaf.publicKey, dsaEncoding: 'ieee-p1363' },
        Buffer.from(signature, 'base64url'),
      ),
    hasher: (data, algorithm) =>
      createHash(algorithm.replace('-', ''))
        .update(typeof data === 'string' ? data : Buffer.from(data))
        .digest(),
    hashAlg: 'sha-256',
  });
  const read = await library.verify(sdJwt);
  const { name, birthDate } = push.body.fields;
  t.match(read.payload, { name, birthDate, certificateNumber: push.body.certificateNumber });
  t.notOk(Object.hasOwn(read.payload, 'address'), 'what was not granted is not there');
  const foreign = Buffer.from(JSON.stringify(['c2FsdHNhbHRzYWx0c2FsdA', 'address', '别处'])).toString('base64url');
  await t.rejects(library.verify(`${sdJwt}${foreign}~`), 'nothing can be added');
});

/** The two bits of an entry, read by the text of the draft: zlib, least significant bits first. */
const statusIn = (list: { bits: number; lst: string }, index: number): number => {
  const bytes = inflateSync(Buffer.from(list.lst, 'base64url'));
  const perByte = 8 / list.bits;
  return ((bytes[Math.floor(index / perByte)] ?? 0) >> ((index % perByte) * list.bits)) & ((1 << list.bits) - 1);
};

await t.test('invariant 9: jose accepts the status list, and a few lines of our own read it', async (t) => {
  const wanted = { valid: 0, suspended: 2, revoked: 1 } as const;
  const entries: [string, number, { idx: number; uri: string }][] = [];
  for (const [state, value] of Object.entries(wanted)) {
    const identifier = await certificateIn(world, state as keyof typeof wanted);
    const { body } = await world.client('psb-issuer').get(`/v1/certificates/${identifier}`);
    entries.push([state, value, (body as { statusReference: { idx: number; uri: string } }).statusReference]);
  }
  const [first] = entries;
  const uri = first?.[2].uri ?? '';
  const statusKey = createLocalJWKSet({ keys: jwks.keys.filter(({ kid }) => kid === hub.core.keys.status.kid) });
  const read = async () => {
    const response = await fetch(uri.replace(issuer, hub.url));
    t.equal(response.headers.get('content-type'), 'application/statuslist+jwt');
    const token = await response.text();
    const { x5c = [] } = decodeProtectedHeader(token);
    const { payload } = await jwtVerify(token, await importX509(pemOf(x5c[0] ?? ''), 'ES256'), {
      typ: 'statuslist+jwt',
      subject: uri,
    });
    await t.resolves(jwtVerify(token, statusKey), 'the published key verifies it too');
    return payload['status_list'] as { bits: number; lst: string };
  };
  const begun = Date.now();
  const seen = async () => {
    const list = await read();
    t.equal(list.bits, 2);
    return entries.map(([state, , { idx }]) => [state, statusIn(list, idx)]);
  };
  const expected = entries.map(([state, value]) => [state, value]);
  let now = await seen();
  while (JSON.stringify(now) !== JSON.stringify(expected) && Date.now() - begun < 5_000) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    now = await seen();
  }
  t.strictSame(now, expected, 'the list is right within 5 s');
});

await t.test('invariant 9: openssl accepts the x509 chains that the hub emits', { skip: noOpenssl }, async (t) => {
  const folder = workFolder();
  put(folder, 'root.pem', bundle.roots.map(pemOf).join(''));
  const { sdJwt } = await lookedUp();
  const list = (await hub.anyone.get('/status-lists/1')).body as string;
  for (const [what, token] of [
    ['a sealed certificate', sdJwt.split('~')[0] ?? ''],
    ['a status list', list],
  ] as const) {
    const [leaf = '', ...intermediates] = decodeProtectedHeader(token).x5c ?? [];
    put(folder, 'leaf.pem', pemOf(leaf));
    put(folder, 'intermediates.pem', intermediates.map(pemOf).join(''));
    const strictly = ['verify', '-x509_strict', '-check_ss_sig', '-CAfile', 'root.pem', '-no-CApath', '-no-CAstore'];
    t.ok(
      opensslAccepts(folder, ...strictly, '-untrusted', 'intermediates.pem', 'leaf.pem'),
      `${what}: the whole chain`,
    );
    t.notOk(opensslAccepts(folder, ...strictly, 'leaf.pem'), `${what}: not without the intermediate`);
    t.notOk(
      [leaf, ...intermediates].some((x509) => bundle.roots.includes(x509)),
      `${what}: the root is not in the message`,
    );
  }
});

await t.test('invariant 9: openssl opens the PKCS#12 of a department', { skip: noOpenssl }, async (t) => {
  const folder = workFolder();
  const { sdJwt } = await lookedUp();
  const [leaf = ''] = decodeProtectedHeader(sdJwt.split('~')[0] ?? '').x5c ?? [];
  const path = new URL(`seals/${publicSecurity}.p12`, keysExample).pathname;
  const password = `file:${new URL(`seals/${publicSecurity}.password`, keysExample).pathname}`;
  openssl(folder, 'pkcs12', '-in', path, '-passin', password, '-nodes', '-clcerts', '-out', 'seal.pem');
  openssl(folder, 'x509', '-in', 'seal.pem', '-outform', 'DER', '-out', 'leaf.der');
  t.equal(get(folder, 'leaf.der').toString('base64'), leaf, 'it is the x509 that stands in the certificates');
  put(folder, 'data', 'text');
  openssl(folder, 'dgst', '-sha256', '-sign', 'seal.pem', '-out', 'signature', 'data');
  put(folder, 'public.pem', openssl(folder, 'x509', '-in', 'seal.pem', '-noout', '-pubkey'));
  t.ok(
    opensslAccepts(folder, 'dgst', '-sha256', '-verify', 'public.pem', '-signature', 'signature', 'data'),
    'and its key signs',
  );
  t.notOk(opensslAccepts(folder, 'pkcs12', '-in', path, '-passin', 'pass:wrong', '-noout'), 'with its password only');
});
