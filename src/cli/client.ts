import { createPrivateKey, generateKeyPairSync, type JsonWebKey, randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { addClientKey } from '../departments/add-client-key.ts';
import { clientBody, isRole } from '../departments/client.ts';
import { assertionLimits, clientAssertionKind, clientAssertionType } from '../departments/client-assertion.ts';
import { readPublicJwk, type UnverifiedJwk } from '../departments/client-key.ts';
import { listClients } from '../departments/list-clients.ts';
import { registerClient } from '../departments/register-client.ts';
import { revokeClientKey } from '../departments/revoke-client-key.ts';
import { setClientState } from '../departments/set-client-state.ts';
import type { Role } from '../ids.ts';
import { signCompactJws } from '../signing/sd-jwt-issue.ts';
import { keySigner } from '../signing/signer.ts';
import { isJsonObject, type JsonObject, parseJsonStrictly } from '../verification/encoding.ts';
import type { CommandIo } from './keys.ts';
import { CommandFailed, type OpenHub, required, runCommand, UsageError, withRegistry } from './operator.ts';

/** One line for the list of commands, then the usage. */
export const help = `certhub client: register client systems and their keys, disable them, get an access token

  certhub client new-key --out FILE [--alg ES256|EdDSA]
      makes a key pair: the private JWK goes into FILE (mode 0600, never overwritten), the public one to standard output
  certhub client add --id ID --department USCC --roles ROLE,ROLE --jwk FILE [--name-zh NAME] [--name-en NAME]
      registers a system; roles: issuer, consumer, auditor, admin, portal; FILE is a public JWK
  certhub client list
      one line of JSON per client
  certhub client disable|enable --id ID --reason TEXT
      refused within one second on every process, whatever tokens it holds
  certhub client add-key --id ID --jwk FILE
  certhub client revoke-key --id ID --kid KID --reason TEXT
  certhub client token --id ID --key FILE --url URL
      asks a running hub for an access token with the private JWK in FILE and prints it, for example for curl:
      curl -H "Authorization: Bearer $(certhub client token --id ID --key FILE --url URL)" URL/v1/clients

  All but new-key and token work on the database itself, with the settings of the hub, and are recorded as made by the operator.
`;

/** Runs `certhub client …`. Exit code 0: done; 1: refused, with the reason; 2: wrong usage. */
export const run = (argv: readonly string[], io: CommandIo, open?: OpenHub): Promise<number> =>
  runCommand({ name: 'certhub client', help, io }, () => command(argv, io, open));

const optionTypes = {
  id: { type: 'string' },
  department: { type: 'string' },
  roles: { type: 'string' },
  jwk: { type: 'string' },
  'name-zh': { type: 'string' },
  'name-en': { type: 'string' },
  out: { type: 'string' },
  alg: { type: 'string' },
  reason: { type: 'string' },
  kid: { type: 'string' },
  key: { type: 'string' },
  url: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

type Values = { readonly [Name in keyof typeof optionTypes]?: string | boolean | undefined };

/** An option that must be given. */
function text(values: Values, name: keyof typeof optionTypes): string {
  const value = values[name];
  return required(typeof value === 'string' ? value : undefined, name);
}

async function command(argv: readonly string[], io: CommandIo, open: OpenHub | undefined): Promise<string> {
  const { values, positionals } = parseArgs({ args: [...argv], allowPositionals: true, options: optionTypes });
  const [verb, ...rest] = positionals;
  if (values.help || verb === 'help') return help;
  if (rest.length > 0) throw new UsageError(`unexpected "${rest[0] ?? ''}"`);
  switch (verb) {
    case 'new-key':
      return newKey(text(values, 'out'), values.alg ?? 'ES256');
    case 'token':
      return `${await fetchToken(text(values, 'id'), text(values, 'key'), text(values, 'url'))}\n`;
    case 'list':
      return withRegistry(io, open, async ({ deps }) => {
        const { items } = await listClients(deps, { limit: everything });
        return items.map((client) => line(clientBody(client))).join('');
      });
    default:
      return changeCommand(verb, values, io, open);
  }
}

const everything = 100_000;
const line = (body: unknown): string => `${JSON.stringify(body)}\n`;

async function changeCommand(
  verb: string | undefined,
  values: Values,
  io: CommandIo,
  open: OpenHub | undefined,
): Promise<string> {
  switch (verb) {
    case 'add': {
      const clientId = text(values, 'id');
      const registration = {
        clientId,
        departmentCode: text(values, 'department'),
        name: {
          zh: values['name-zh'] === undefined ? clientId : text(values, 'name-zh'),
          en: values['name-en'] === undefined ? clientId : text(values, 'name-en'),
        },
        roles: readRoles(text(values, 'roles')),
        keys: [readJwk(text(values, 'jwk'))],
      };
      return withRegistry(io, open, async ({ deps, change }) =>
        line((await registerClient(deps, { ...change(), ...registration })).body),
      );
    }
    case 'disable':
    case 'enable': {
      const state = verb === 'disable' ? 'disabled' : 'active';
      const input = { clientId: text(values, 'id'), reason: text(values, 'reason'), state } as const;
      return withRegistry(io, open, async ({ deps, change }) =>
        line((await setClientState(deps, { ...change(), ...input })).body),
      );
    }
    case 'add-key': {
      const input = { clientId: text(values, 'id'), jwk: readJwk(text(values, 'jwk')) };
      return withRegistry(io, open, async ({ deps, change }) =>
        line((await addClientKey(deps, { ...change(), ...input })).body),
      );
    }
    case 'revoke-key': {
      const input = { clientId: text(values, 'id'), kid: text(values, 'kid'), reason: text(values, 'reason') };
      return withRegistry(io, open, async ({ deps, change }) =>
        line((await revokeClientKey(deps, { ...change(), ...input })).body),
      );
    }
    default:
      throw new UsageError(verb === undefined ? 'say what to do' : `unknown command "${verb}"`);
  }
}

function readRoles(list: string): Role[] {
  const names = list.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !isRole(name));
  if (unknown !== undefined) throw new UsageError(`"${unknown}" is not a role`);
  return names.filter(isRole);
}

/** A JWK in a file. The use case judges it; a private one is refused there. */
function readJwk(file: string): UnverifiedJwk & JsonObject {
  const parsed = parseJsonStrictly(readFileSync(file, 'utf8'));
  if (!parsed.ok || !isJsonObject(parsed.value)) throw new UsageError(`${file} is not a JWK`);
  return parsed.value;
}

function newKey(file: string, alg: string | boolean): string {
  if (alg !== 'ES256' && alg !== 'EdDSA') throw new UsageError('--alg is ES256 or EdDSA');
  const pair = alg === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
  const { jwk } = readPublicJwk({ ...pair.publicKey.export({ format: 'jwk' }) });
  const secret = { ...pair.privateKey.export({ format: 'jwk' }), kid: jwk.kid, use: jwk.use, alg };
  // `wx`: a key that is in use somewhere must never be overwritten
  writeFileSync(file, `${JSON.stringify(secret, null, 2)}\n`, { flag: 'wx', mode: 0o600 });
  return line(jwk);
}

/** Asks a hub for an access token, as any client does: assertion signed here, metadata and answer checked. */
export async function fetchToken(clientId: string, keyFile: string, url: string): Promise<string> {
  const base = url.replace(/\/+$/, '');
  const metadata = await fetchJson(`${base}/.well-known/oauth-authorization-server`, {});
  const issuer = metadata['issuer'];
  if (typeof issuer !== 'string') throw new CommandFailed(`${base} is not a certhub`);
  // RFC 8414, 3.3: else whoever answers here gets an assertion made out to another hub, and a token there (CVE-2025-27370).
  if (issuer !== base)
    throw new CommandFailed(`${base} calls itself ${JSON.stringify(issuer)}: give the hub's own address`);
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: clientId,
    client_assertion_type: clientAssertionKind,
    client_assertion: await makeAssertion(clientId, readJwk(keyFile), issuer),
  });
  const answer = await fetchJson(`${base}/oauth/token`, { method: 'POST', body: form });
  const token = answer['access_token'];
  if (typeof token !== 'string') throw new CommandFailed(`no token: ${JSON.stringify(answer)}`);
  return token;
}

async function makeAssertion(clientId: string, jwk: UnverifiedJwk & JsonObject, audience: string): Promise<string> {
  const { d, kty, crv, x, y, kid } = jwk;
  if (d === undefined) throw new UsageError('--key needs the private JWK');
  const publicKey = readPublicJwk({ kty, crv, x, ...(y !== undefined && { y }), ...(kid !== undefined && { kid }) });
  const privateKey = createPrivateKey({ key: jwk as JsonWebKey, format: 'jwk' });
  const signer = keySigner({ privateKey, suite: publicKey.suite, kid: publicKey.kid });
  const now = Math.floor(Date.now() / 1000);
  return signCompactJws({
    signer,
    typ: clientAssertionType,
    payload: {
      iss: clientId,
      sub: clientId,
      aud: audience,
      jti: randomUUID(),
      iat: now,
      exp: now + assertionLimits.lifetime,
    },
  });
}

async function fetchJson(address: string, init: RequestInit): Promise<JsonObject> {
  const response = await fetch(address, { ...init, redirect: 'error' }).catch((cause: unknown) => {
    throw new CommandFailed(`${address} cannot be reached`, { cause });
  });
  const parsed = parseJsonStrictly(await response.text());
  if (!parsed.ok || !isJsonObject(parsed.value)) throw new CommandFailed(`${address} did not answer JSON`);
  return parsed.value;
}
