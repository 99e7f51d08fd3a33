import { parseArgs } from 'node:util';
import { departmentBody } from '../departments/department.ts';
import { listDepartments } from '../departments/list-departments.ts';
import { listSealX509 } from '../departments/list-seal-x509.ts';
import { registerDepartment } from '../departments/register-department.ts';
import { registerSealX509 } from '../departments/register-seal-x509.ts';
import { registerTrustRoot } from '../departments/register-trust-root.ts';
import { revokeSealX509 } from '../departments/revoke-seal-x509.ts';
import { sealX509Body } from '../departments/trust.ts';
import type { CommandIo } from './command-io.ts';
import { everything, jsonLine, type OpenHub, readX509File, withRegistry } from './operator.ts';
import { readTime } from './read-time.ts';
import { exitCodes, required, runCommand } from './run-command.ts';
import { UsageError } from './usage-error.ts';

/** One line for the list of commands, then the usage. */
export const help = `certhub department: register departments, their seal certificates (X.509) and the roots above them

  certhub department add --code USCC --name-zh NAME --name-en NAME
  certhub department list
      one line of JSON per department
  certhub department add-root --x509 FILE
      pins a root under which departments may hold seal certificates; PEM or DER
  certhub department add-seal --code USCC --chain FILE [--from TIME] [--until TIME]
      registers a seal certificate; FILE is PEM, leaf first, then intermediates, without the root; times are RFC 3339
  certhub department seals --code USCC
      one line of JSON per seal certificate, withdrawn ones included
  certhub department revoke-seal --code USCC --sha256 HEX --reason TEXT
      what is sealed under it from now on does not count; earlier seals stay valid

  Works on the database itself, with the settings of the hub. Changes are recorded as made by the operator.

  ${exitCodes}
`;

/** Runs `certhub department …`. Exit code 0: done; 1: refused, with the reason; 2: wrong usage. */
export const run = (argv: readonly string[], io: CommandIo, open?: OpenHub): Promise<number> =>
  runCommand({ name: 'certhub department', help, io }, () => command(argv, io, open));

const options = {
  code: { type: 'string' },
  'name-zh': { type: 'string' },
  'name-en': { type: 'string' },
  x509: { type: 'string' },
  chain: { type: 'string' },
  from: { type: 'string' },
  until: { type: 'string' },
  sha256: { type: 'string' },
  reason: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

async function command(argv: readonly string[], io: CommandIo, open: OpenHub | undefined): Promise<string> {
  const { values, positionals } = parseArgs({ args: [...argv], allowPositionals: true, options });
  const [verb, ...rest] = positionals;
  if (values.help || verb === 'help') return help;
  if (rest.length > 0) throw new UsageError(`unexpected "${rest[0] ?? ''}"`);
  switch (verb) {
    case 'add': {
      const departmentCode = required(values.code, 'code');
      const name = { zh: required(values['name-zh'], 'name-zh'), en: required(values['name-en'], 'name-en') };
      return withRegistry(io, open, async ({ deps, change }) => {
        const { body } = await registerDepartment(deps, { ...change(), departmentCode, name });
        return jsonLine(body);
      });
    }
    case 'list':
      return withRegistry(io, open, async ({ deps }) => {
        const { items } = await listDepartments(deps, { limit: everything });
        return items.map((department) => jsonLine(departmentBody(department))).join('');
      });
    case 'add-root': {
      const x509s = readX509File(required(values.x509, 'x509'));
      return withRegistry(io, open, async ({ deps, change }) => {
        const lines: string[] = [];
        for (const x509 of x509s) lines.push(jsonLine((await registerTrustRoot(deps, { ...change(), x509 })).body));
        return lines.join('');
      });
    }
    default:
      return sealCommand(verb, values, io, open);
  }
}

type Values = { readonly [Name in keyof typeof options]?: string | boolean | undefined };

async function sealCommand(
  verb: string | undefined,
  values: Values,
  io: CommandIo,
  open: OpenHub | undefined,
): Promise<string> {
  const text = (name: keyof typeof options): string => required(values[name], name);
  const time = (name: 'from' | 'until'): Date | undefined =>
    values[name] === undefined ? undefined : new Date(readTime(`--${name}`, text(name)));
  switch (verb) {
    case 'add-seal': {
      const registration = {
        departmentCode: text('code'),
        chain: readX509File(text('chain')),
        validFrom: time('from'),
        validUntil: time('until'),
      };
      return withRegistry(io, open, async ({ deps, change }) =>
        jsonLine((await registerSealX509(deps, { ...change(), ...registration })).body),
      );
    }
    case 'seals': {
      const departmentCode = text('code');
      return withRegistry(io, open, async ({ deps }) => {
        const seals = await listSealX509(deps, { departmentCode });
        return seals.map((seal) => jsonLine(sealX509Body(seal))).join('');
      });
    }
    case 'revoke-seal': {
      const revocation = { departmentCode: text('code'), sha256: text('sha256'), reason: text('reason') };
      return withRegistry(io, open, async ({ deps, change }) =>
        jsonLine((await revokeSealX509(deps, { ...change(), ...revocation })).body),
      );
    }
    default:
      throw new UsageError(verb === undefined ? 'say what to do' : `unknown command "${verb}"`);
  }
}
