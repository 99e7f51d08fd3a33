import { createServer } from 'node:http';
import { type AddressInfo, connect as dial } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { CertificateBody } from '../../src/certificates/certificate-body.ts';
import type { ApiClient } from '../../src/cli/api-client.ts';
import { run as clientCommand } from '../../src/cli/client.ts';
import { demoTypes } from '../../src/cli/demo/certificates.ts';
import { issue } from '../../src/cli/demo/load.ts';
import { writer } from '../../src/db/write.ts';
import type { Caller } from '../../src/ids.ts';
import { encryptionKeys } from '../../src/signing/data-keys.ts';
import { issueSdJwt } from '../../src/signing/sd-jwt-issue.ts';
import { checkHolder, composeCertificateIdentifier } from '../../src/verification/identifiers.ts';
import { filterSdJwt } from '../../src/verification/sd-jwt.ts';
import { runSql } from '../support/database.ts';
import { pushOf, putGrant } from '../support/demo-samples.ts';
import { exampleKeys, startHub, type TestHub } from '../support/start-hub.ts';

t.setTimeout(240_000);

const card = pushOf(demoTypes.residentIdCard);
const [holder = { type: '', number: '', name: '' }] = card.body.holders;
const purpose = {
  matterCode: 'school-enrolment',
  caseNumber: 'CASE-1',
  officer: { id: 'officer-9', name: '经办人乙' },
  legalBasis: 'own_application',
};

const hub = await startHub(t);
const admin = hub.client('hub-admin');
const issuer = hub.client('psb-issuer');
const school = hub.client('school-enrolment');

const allow = async (overrides: Record<string, unknown> = {}): Promise<string> =>
  (await putGrant(hub.client, { fields: ['name', 'birthDate'], ...overrides })).grantId;
const codeOf = ({ body }: { body: unknown }): unknown => (body as { code?: unknown }).code;
const scalar = async (of: TestHub, sql: string): Promise<number> =>
  Number(Object.values((await runSql(of.database.superuserUrl, sql)).rows[0] as object)[0]);

/** A lookup whose last bytes arrive when `finish` is called. Answers the status line. */
async function drip(t: Test, { clientId }: ApiClient): Promise<{ finish: () => Promise<string> }> {
  const body = Buffer.from(
    JSON.stringify({ purpose, level: 'fields', holder: { type: '111', number: holder.number } }),
  );
  const socket = dial(Number(new URL(hub.url).port), '127.0.0.1');
  t.teardown(() => socket.destroy());
  const parts: Buffer[] = [];
  socket.on('data', (part) => parts.push(part));
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const head = [
    'POST /v1/lookups HTTP/1.1',
    'host: hub.test',
    'connection: close',
    `authorization: Bearer ${await hub.client(clientId).token()}`,
    'content-type: application/json',
    `content-length: ${body.length}`,
  ];
  socket.write(`${head.join('\r\n')}\r\n\r\n`);
  socket.write(body.subarray(0, 5));
  await sleep(150);
  return {
    finish: async () => {
      socket.write(body.subarray(5));
      await closed;
      return Buffer.concat(parts).toString('utf8').split('\r\n', 1)[0] ?? '';
    },
  };
}

const identifier = await issue(issuer, card, 'review-card');

await t.test('invariant 1: a replayed push tells a person again, so it leaves a record of its own', async (t) => {
  const about = `select count(*) from records where action = 'pushCertificate' and client_id = 'psb-issuer'`;
  const before = await scalar(hub, about);
  const again = await issuer.post('/v1/certificates', card.body, 'review-card-push');
  t.equal(again.status, 201);
  t.match(JSON.stringify(again.body), holder.number);
  t.equal(await scalar(hub, about), before + 1);
  t.equal(await scalar(hub, `${about} and outcome = 'answered' and holder_key is not null`), 1);
});

await t.test('invariant 2: a body sent slowly does not outlive the revocation of its grant', async (t) => {
  const grantId = await allow();
  const slow = await drip(t, school);
  t.equal((await admin.post(`/v1/grants/${grantId}/revocations`, { reason: 'over' })).status, 200);
  await sleep(1_000);
  t.match(await slow.finish(), / 403 /);
});

await t.test('invariant 2: a body sent slowly does not outlive its client', async (t) => {
  await allow();
  const slow = await drip(t, school);
  const path = '/v1/clients/school-enrolment/states';
  t.equal((await admin.post(path, { state: 'disabled', reason: 'stolen' })).status, 200);
  await sleep(1_000);
  t.match(await slow.finish(), / 40[13] /);
  t.equal((await admin.post(path, { state: 'active', reason: 'found' })).status, 200);
  t.match(await (await drip(t, school)).finish(), / 200 /, 'slowness alone is no fault');
});

await t.test('invariant 5: an ID number given as matter code or as serial stands in no column', async (t) => {
  const asMatter = { ...purpose, matterCode: `m-${holder.number}` };
  const reply = await school.post('/v1/lookups', { purpose: asMatter, level: 'fields', holder });
  t.equal(codeOf(reply), 'contract_violation', 'a holder has no name here');
  const lookup = { purpose: asMatter, level: 'fields', holder: { type: holder.type, number: holder.number } };
  t.equal(codeOf(await school.post('/v1/lookups', lookup)), 'grant_required');
  t.equal(await scalar(hub, `select count(*) from records where matter_code like '%${holder.number}%'`), 0);
  const search = { reason: 'review', clientId: 'school-enrolment', limit: 200 };
  const found = await hub.client('audit-office').post('/v1/audit/searches', search);
  t.equal(found.status, 200, 'such a record is genuine');
  t.match(JSON.stringify(found.body), asMatter.matterCode, 'and tells the auditor what was said');

  const named = composeCertificateIdentifier({
    typeCode: demoTypes.residentIdCard,
    issuerCode: demoTypes.residentIdCard.slice(0, 18),
    serial: `A${holder.number}`,
    version: 1,
  });
  const pushed = await issuer.post('/v1/certificates', { ...card.body, certificateIdentifier: named });
  t.match(pushed, {
    status: 422,
    body: { code: 'invalid_certificate_identifier', context: { rule: 'personal_number' } },
  });
  t.equal(await scalar(hub, `select count(*) from certificates where identifier like '%${holder.number}%'`), 0);
});

await t.test('face values cannot be guessed faster by asking at once', async (t) => {
  const guesses = Array.from({ length: 40 }, (_, i) =>
    hub.anyone.post('/v1/verifications', {
      certificateIdentifier: identifier,
      faceValues: { holderName: holder.name, birthDate: `${1950 + i}-13-01` },
    }),
  );
  const judged = (await Promise.all(guesses)).filter(({ status }) => status === 200);
  t.ok(judged.length <= 10, `${judged.length} of 40 were told`);
});

await t.test('an issuer cannot hide a claim behind a decoy and have the hub confirm it later', async (t) => {
  const licence = pushOf(demoTypes.businessLicence);
  const market = hub.client(licence.clientId);
  const { registeredCapital: _absent, ...fields } = licence.body.fields;
  let certificate = (await market.post('/v1/certificates', { ...licence.body, fields })).body as CertificateBody;
  const path = `/v1/certificates/${certificate.certificateIdentifier}`;
  if (licence.reviewed) {
    const review = { decision: 'approve', officer: { id: 'reviewer-11', name: '郑复核' } };
    certificate = (await market.post(`${path}/reviews`, review)).body as CertificateBody;
  }
  const signer = exampleKeys.sealSigner(demoTypes.businessLicence.slice(0, 18));
  if (signer === undefined || certificate.sealing === undefined) throw new Error('nothing to seal with');
  const { header, payload, signature, disclosures } = await issueSdJwt({
    signer,
    payload: { ...certificate.sealing.payload, iat: Math.floor(Date.now() / 1000) },
    fields: [...Object.entries(certificate.sealing.disclosures), ['registeredCapital', 'never shown to the hub']],
    decoys: 0,
  });
  const jwt = `${header}.${payload}.${signature}`;
  const honest = [...disclosures].filter(([name]) => name !== 'registeredCapital').map(([, text]) => text);
  t.equal((await market.post(`${path}/seals`, { sdJwt: filterSdJwt(jwt, honest) })).status, 200);
  const verdictOf = async (shown: readonly string[]): Promise<unknown> =>
    (await hub.anyone.post('/v1/verifications', { sdJwt: filterSdJwt(jwt, shown) })).body;
  t.match(await verdictOf(honest.slice(0, 2)), { verdict: 0 });
  t.match(await verdictOf([disclosures.get('registeredCapital') ?? '']), {
    verdict: 7,
    reasons: [{ code: 'certificate_differs_from_file' }],
  });
});

await t.test('invariant 8: a retry after the encryption key was rotated gets the first answer', async (t) => {
  const first = { number: 1, secret: Buffer.alloc(32, 1), active: true };
  const rotated = [
    { ...first, active: false },
    { number: 2, secret: Buffer.alloc(32, 2), active: true },
  ];
  const writeUnder = (secrets: readonly { number: number; secret: Buffer; active: boolean }[]) => {
    const keys = encryptionKeys(secrets);
    const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
    return writer({
      db: hub.db,
      box: {
        seal: (plain, boundTo) => keys.box.seal(boundTo, plain),
        open: (sealed, boundTo) => keys.box.open(boundTo, sealed),
      },
      fingerprint: (value) => keys.rowMac('idempotency', bytes(value)),
      isFingerprint: (value, stored) => keys.verifyRowMac('idempotency', bytes(value), stored),
    });
  };
  const caller = { clientId: 'rotating' } as unknown as Caller;
  const request = { caller, operation: 'pushCertificate', idempotencyKey: 'rotation-1', content: { a: 1 } };
  let effects = 0;
  const steps = { apply: async () => ({ status: 201, body: { effect: ++effects } }) };
  await writeUnder([first])(request, steps);
  t.match(await writeUnder(rotated)(request, steps), { status: 201, body: { effect: 1 }, replayed: true });
  await t.rejects(writeUnder(rotated)({ ...request, content: { a: 2 } }, steps), { code: 'idempotency_conflict' });
});

await t.test('two encodings of one ideograph are one holder number', (t) => {
  const numbers = ['\u91d1字第1234号', '\uf90a字第1234号'].map((number) => checkHolder({ type: '114', number }));
  t.match(numbers[0], { ok: true });
  t.strictSame(numbers[0], numbers[1]);
  t.end();
});

await t.test(
  'the command line makes no assertion for another hub than the one it talks to (CVE-2025-27370)',
  async (t) => {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.end(JSON.stringify({ issuer: 'https://the-real-hub.test', access_token: 'x' }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => server.close());
    const said: string[] = [];
    const sink = { write: (text: string) => said.push(text) > 0 };
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const argv = ['token', '--id', 'hub-admin', '--key', 'keys-example/clients/hub-admin.jwk.json', '--url', url];
    t.equal(await clientCommand(argv, { stdout: sink, stderr: sink, env: {} }), 1);
    t.strictSame(asked, ['/.well-known/oauth-authorization-server'], 'the token endpoint is not called');
    t.match(said.join(''), 'the-real-hub.test');
  },
);

await t.test('a flood of calls without a token is cut off before it fills the disk with records', async (t) => {
  const flooded = await startHub(t, { env: { CERTHUB_RATE_LIMIT_PER_MINUTE: '40' } });
  const count = (): Promise<number> => scalar(flooded, 'select count(*) from records');
  const before = await count();
  const replies = await Promise.all(Array.from({ length: 90 }, () => flooded.anyone.post('/v1/lookups', {})));
  const limited = replies.filter(({ status }) => status === 429);
  t.equal(limited.length, 50, 'beyond the limit nobody is heard');
  t.ok(limited.every(({ headers }) => Number(headers.get('retry-after')) > 0));
  t.equal((await count()) - before, 40, 'what was heard is on record');
  t.equal(
    (await flooded.client('school-enrolment').get('/v1/certificate-types')).status,
    200,
    'who has a token is heard',
  );
});
