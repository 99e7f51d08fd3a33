import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { addClientKey } from '../departments/add-client-key.ts';
import { clientBody, isRole } from '../departments/client.ts';
import { readPublicJwk } from '../departments/client-key.ts';
import { listClients } from '../departments/list-clients.ts';
import { registerClient } from '../departments/register-client.ts';
import { revokeClientKey } from '../departments/revoke-client-key.ts';
import { setClientState } from '../departments/set-client-state.ts';
import type { Role } from '../ids.ts';
import { fetchToken, readJwk } from './access-token.ts';
import type { CommandIo } from './command-io.ts';
import { everything, jsonLine, type OpenHub, withRegistry } from './operator.ts';
import { exitCodes, required, runCommand } from './run-command.ts';
import { UsageError } from './usage-error.ts';

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

  ${exitCodes}
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
const text = (values: Values, name: keyof typeof optionTypes): string => required(values[name], name);

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
        return items.map((client) => jsonLine(clientBody(client))).join('');
      });
    default:
      return changeCommand(verb, values, io, open);
  }
}

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
        jsonLine((await registerClient(deps, { ...change(), ...registration })).body),
      );
    }
    case 'disable':
    case 'enable': {
      const state = verb === 'disable' ? 'disabled' : 'active';
      const input = { clientId: text(values, 'id'), reason: text(values, 'reason'), state } as const;
      return withRegistry(io, open, async ({ deps, change }) =>
        jsonLine((await setClientState(deps, { ...change(), ...input })).body),
      );
    }
    case 'add-key': {
      const input = { clientId: text(values, 'id'), jwk: readJwk(text(values, 'jwk')) };
      return withRegistry(io, open, async ({ deps, change }) =>
        jsonLine((await addClientKey(deps, { ...change(), ...input })).body),
      );
    }
    case 'revoke-key': {
      const input = { clientId: text(values, 'id'), kid: text(values, 'kid'), reason: text(values, 'reason') };
      return withRegistry(io, open, async ({ deps, change }) =>
        jsonLine((await revokeClientKey(deps, { ...change(), ...input })).body),
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

function newKey(file: string, alg: string | boolean): string {
  if (alg !== 'ES256' && alg !== 'EdDSA') throw new UsageError('--alg is ES256 or EdDSA');
  const pair = alg === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
  const { jwk } = readPublicJwk({ ...pair.publicKey.export({ format: 'jwk' }) });
  const secret = { ...pair.privateKey.export({ format: 'jwk' }), kid: jwk.kid, use: jwk.use, alg };
  // `wx`: a key that is in use somewhere must never be overwritten
  writeFileSync(file, `${JSON.stringify(secret, null, 2)}\n`, { flag: 'wx', mode: 0o600 });
  return jsonLine(jwk);
}
