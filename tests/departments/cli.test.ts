import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import {
  allowInsecureRequests,
  clientCredentialsGrant,
  discovery,
  modifyAssertion,
  PrivateKeyJwt,
} from 'openid-client';
import t from 'tap';
import { run as runClient } from '../../src/cli/client.ts';
import { run as runDepartment } from '../../src/cli/department.ts';
import type { OpenHub } from '../../src/cli/operator.ts';
import { authenticator } from '../../src/departments/authenticate.ts';
import { clientAssertionType } from '../../src/departments/client-assertion.ts';
import { departmentsHandlers } from '../../src/departments/routes.ts';
import { Refusal } from '../../src/errors.ts';
import { keySigner } from '../../src/signing/signer.ts';
import { issueX509 } from '../../src/signing/x509-issue.ts';
import { testDatabase } from '../support/database.ts';
import { addClient, department, newKey, recordsOf, startProcess } from './fixture.ts';

const database = await testDatabase(t);
const hub = await startProcess(t, database);
const folder = t.testdir({});
const file = (name: string): string => join(folder, name);

/** Opens the test's hub instead of one from the environment. */
const open: OpenHub = async () => ({
  core: {
    db: hub.db,
    keys: hub.keys as never,
    write: hub.write,
    recorder: { recordIn: hub.recordIn } as never,
    tampered: hub.tampered,
    now: () => new Date(),
  },
  config: { mode: 'demo' },
  close: async () => undefined,
});

/** Runs a command and collects what it prints. */
async function certhub(run: typeof runClient, ...argv: string[]) {
  const printed = { out: '', err: '' };
  const io = {
    stdout: { write: (text: string) => void (printed.out += text) },
    stderr: { write: (text: string) => void (printed.err += text) },
    env: {},
  };
  const code = await run(argv, io, open);
  return { code, ...printed };
}

/** The token endpoint over a socket, without the rest of the HTTP server. */
async function listen(): Promise<string> {
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const handlers = departmentsHandlers({ ...hub, issuer: url, hubJwks: () => [] });
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const body = Object.fromEntries(new URLSearchParams(text));
    const call = { body, requestId: 'r', receivedAt: new Date() } as never;
    const send = (status: number, value: unknown): void =>
      void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    try {
      const { status, body: value } =
        request.url === '/oauth/token'
          ? await handlers.issueToken(call)
          : await handlers.getAuthorizationServerMetadata(call);
      send(status, value);
    } catch (error) {
      send(401, {
        error: 'invalid_client',
        error_description: error instanceof Refusal ? error.detail['reason'] : 'fault',
      });
    }
  };
  return url;
}

await t.test('from an empty database to the first administrator’s token', async (t) => {
  const code = department;
  const added = await certhub(
    runDepartment,
    'add',
    '--code',
    code,
    '--name-zh',
    '示范市政务局',
    '--name-en',
    'City office',
  );
  t.equal(added.code, 0, added.err);
  t.match(JSON.parse(added.out), { departmentCode: code });
  const made = await certhub(runClient, 'new-key', '--out', file('admin.jwk'));
  t.equal(made.code, 0, made.err);
  t.equal(statSync(file('admin.jwk')).mode & 0o777, 0o600);
  t.notOk('d' in JSON.parse(made.out), 'only the public half is printed');
  t.ok('d' in JSON.parse(readFileSync(file('admin.jwk'), 'utf8')));
  t.equal((await certhub(runClient, 'new-key', '--out', file('admin.jwk'))).code, 1, 'never overwritten');
  writeFileSync(file('admin.pub'), made.out);
  const add = ['add', '--id', 'hub-admin', '--department', code, '--roles', 'admin,auditor', '--jwk'];
  const secret = await certhub(runClient, ...add, file('admin.jwk'));
  t.match(secret, { code: 1, err: /client_key_invalid.*private_key/ }, 'a private key is not registered');
  const client = await certhub(runClient, ...add, file('admin.pub'));
  t.equal(client.code, 0, client.err);
  t.match(JSON.parse(client.out), { clientId: 'hub-admin', roles: ['auditor', 'admin'], state: 'active' });
  t.match(await certhub(runClient, ...add, file('admin.pub')), { code: 1, err: /client_exists/ });

  const url = await listen();
  const token = await certhub(runClient, 'token', '--id', 'hub-admin', '--key', file('admin.jwk'), '--url', `${url}/`);
  t.equal(token.code, 0, token.err);
  t.match(await authenticator(hub)(`Bearer ${token.out.trim()}`), {
    clientId: 'hub-admin',
    roles: ['auditor', 'admin'],
  });
  t.match(await certhub(runClient, 'token', '--id', 'nobody', '--key', file('admin.jwk'), '--url', url), {
    code: 1,
    out: '',
    err: /key_unknown/,
  });
  t.match(await certhub(runClient, 'token', '--id', 'hub-admin', '--key', file('admin.pub'), '--url', url), {
    code: 2,
    err: /private/,
  });
  t.match(
    await certhub(runClient, 'token', '--id', 'hub-admin', '--key', file('admin.jwk'), '--url', 'http://127.0.0.1:1'),
    { code: 1, err: /cannot be reached/ },
  );

  const records = await recordsOf(hub.db, 'registerClient');
  t.match(records, [{ client_id: 'certhub-operator', department_code: 'operator', outcome: 'done' }]);
});

await t.test('disable, enable, rotate, list', async (t) => {
  const url = await listen();
  const token = () => certhub(runClient, 'token', '--id', 'hub-admin', '--key', file('admin.jwk'), '--url', url);
  t.match(await certhub(runClient, 'disable', '--id', 'hub-admin', '--reason', 'test'), { code: 0, out: /"disabled"/ });
  t.match(await token(), { code: 1, err: /client_disabled/ });
  t.match(await certhub(runClient, 'enable', '--id', 'hub-admin', '--reason', 'test'), { code: 0, out: /"active"/ });
  t.match(await token(), { code: 0 });
  const made = await certhub(runClient, 'new-key', '--out', file('next.jwk'), '--alg', 'EdDSA');
  writeFileSync(file('next.pub'), made.out);
  t.match(await certhub(runClient, 'add-key', '--id', 'hub-admin', '--jwk', file('next.pub')), { code: 0 });
  t.match(await certhub(runClient, 'token', '--id', 'hub-admin', '--key', file('next.jwk'), '--url', url), { code: 0 });
  const { kid } = JSON.parse(readFileSync(file('admin.jwk'), 'utf8')) as { kid: string };
  t.match(await certhub(runClient, 'revoke-key', '--id', 'hub-admin', '--kid', kid, '--reason', 'rotated'), {
    code: 0,
  });
  t.match(await token(), { code: 1, err: /key_revoked/ });
  t.match(await certhub(runClient, 'list'), { code: 0, out: /"clientId":"hub-admin"/ });
  t.match(await certhub(runDepartment, 'list'), { code: 0, out: /City office/ });
});

await t.test('roots and seal certificates from PEM and DER', async (t) => {
  const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const [rootKeys, sealKeys] = [pair(), pair()];
  const signer = keySigner({ privateKey: rootKeys.privateKey, suite: 'ES256', kid: 'root' });
  const validity = { notBefore: new Date(Date.now() - 1e9), notAfter: new Date(Date.now() + 1e9) };
  const rootX509 = await issueX509({
    issuer: { selfSigner: signer },
    subject: { organization: '示范市', commonName: '根' },
    publicKey: rootKeys.publicKey,
    profile: { kind: 'authority', pathLength: 0 },
    validity,
  });
  const sealX509 = await issueX509({
    issuer: { signer, x509: rootX509 },
    subject: { organization: '示范市政务局', commonName: '签章', organizationIdentifier: department },
    publicKey: sealKeys.publicKey,
    profile: { kind: 'seal' },
    validity,
  });
  const pem = (der: Buffer): string =>
    `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
  writeFileSync(file('root.der'), rootX509);
  writeFileSync(file('seal.pem'), `a comment\n${pem(sealX509)}`);
  const addSeal = ['add-seal', '--code', department, '--chain', file('seal.pem')];
  t.match(await certhub(runDepartment, ...addSeal), { code: 1, err: /x509_root_unknown/ });
  t.match(await certhub(runDepartment, 'add-root', '--x509', file('root.der')), { code: 0 });
  const added = await certhub(
    runDepartment,
    ...addSeal,
    '--from',
    new Date(validity.notBefore.getTime() + 1_000).toISOString(),
  );
  t.equal(added.code, 0, added.err);
  const { sha256 } = JSON.parse(added.out) as { sha256: string };
  t.match(await certhub(runDepartment, 'revoke-seal', '--code', department, '--sha256', sha256, '--reason', 'x'), {
    code: 0,
  });
  t.match(await certhub(runDepartment, 'seals', '--code', department), { code: 0, out: /"revokedAt":"2/ });
});

await t.test('wrong usage says how', async (t) => {
  for (const run of [runClient, runDepartment]) {
    t.match(await certhub(run), { code: 2, err: /say what to do/ });
    t.match(await certhub(run, 'fly'), { code: 2, err: /unknown command "fly"/ });
    t.match(await certhub(run, 'list', 'all'), { code: 2, err: /unexpected "all"/ });
    t.match(await certhub(run, '--bogus'), { code: 2 });
    t.match(await certhub(run, '--help'), { code: 0, out: /certhub/ });
  }
  t.match(await certhub(runClient, 'add', '--id', 'x'), { code: 2, err: /--roles is missing|--department is missing/ });
  t.match(await certhub(runClient, 'new-key', '--out', file('x'), '--alg', 'RS256'), { code: 2 });
  t.notOk(existsSync(file('x')));
  t.match(await certhub(runClient, 'add-key', '--id', 'x', '--jwk', file('absent')), { code: 1, err: /ENOENT/ });
});

await t.test('invariant 9: openid-client gets a token from the metadata alone', async (t) => {
  const key = newKey('k1');
  await addClient(hub, 'openid-client', [key]);
  const url = await listen();
  const cryptoKey = await crypto.subtle.importKey(
    'jwk',
    key.privateKey.export({ format: 'jwk' }),
    { name: 'ECDSA', namedCurve: 'P-256' },
    false,
    ['sign'],
  );
  const authentication = PrivateKeyJwt(
    { key: cryptoKey, kid: 'k1' },
    {
      [modifyAssertion]: (header) => {
        header['typ'] = clientAssertionType;
      },
    },
  );
  const server = await discovery(new URL(url), 'openid-client', undefined, authentication, {
    algorithm: 'oauth2',
    execute: [allowInsecureRequests],
  });
  const { access_token: token } = await clientCredentialsGrant(server);
  t.match(await authenticator(hub)(`Bearer ${token}`), { clientId: 'openid-client' });
});
