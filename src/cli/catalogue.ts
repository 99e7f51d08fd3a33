import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { seedStarterTypes } from '../catalogue/seed-starter-types.ts';
import { exampleDepartments, type StarterDepartments, starterTypes } from '../catalogue/starter-types.ts';
import { readTypes } from '../catalogue/store.ts';
import { typeBody } from '../catalogue/type-body.ts';
import { findDepartment } from '../departments/store.ts';
import { Refusal } from '../errors.ts';
import { isJsonObject, parseJsonStrictly } from '../verification/encoding.ts';
import { CommandFailed } from './command-failed.ts';
import type { CommandIo } from './command-io.ts';
import { jsonLine, type OpenHub, type OperatorRegistry, withRegistry } from './operator.ts';
import { exitCodes, runCommand } from './run-command.ts';
import { UsageError } from './usage-error.ts';

/** One line for the list of commands, then the usage. */
export const help = `certhub catalogue: load and list certificate types

  certhub catalogue load-starter [--departments FILE]
      registers the nine starter types (resident ID card, residence permit, household register, business licence, social-insurance
      payment record, employment registration, tax payment record, real-estate title, marriage certificate); types that are there
      already stay.
      FILE is JSON with the USCCs of the owning departments, which must be registered:
      {"publicSecurity": "USCC", "marketRegulation": …, "humanResources", "taxation", "naturalResources", "civilAffairs"}, all six;
      without it those of the demo city
  certhub catalogue list
      one line of JSON per version of every type

  Works on the database itself, with the settings of the hub. Changes are recorded as made by the operator.

  ${exitCodes}
`;

/** Runs `certhub catalogue …`. Exit code 0: done; 1: refused, with the reason; 2: wrong usage. */
export const run = (argv: readonly string[], io: CommandIo, open?: OpenHub): Promise<number> =>
  runCommand({ name: 'certhub catalogue', help, io }, () => command(argv, io, open));

async function command(argv: readonly string[], io: CommandIo, open: OpenHub | undefined): Promise<string> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    strict: true,
    options: {
      departments: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const [name, ...surplus] = positionals;
  if (values.help || name === 'help') return help;
  if (surplus.length > 0) throw new UsageError(`unexpected "${surplus[0] ?? ''}"`);
  switch (name) {
    case 'load-starter': {
      const owners = values.departments === undefined ? exampleDepartments : readOwners(values.departments);
      return withRegistry(io, open, (registry) => loadStarter(registry, owners));
    }
    case 'list':
      return withRegistry(io, open, list);
    default:
      throw new UsageError(name === undefined ? 'say what to do' : `unknown command "${name}"`);
  }
}

async function loadStarter({ deps, change }: OperatorRegistry, owners: StarterDepartments): Promise<string> {
  for (const code of new Set(Object.values({ ...owners }))) {
    if ((await findDepartment(deps.db.kysely, deps, code)) === undefined) {
      throw new Refusal('department_unknown', { departmentCode: code });
    }
  }
  const { at } = change().call;
  const { added, unchanged } = await seedStarterTypes(deps, { types: starterTypes(owners), at });
  return `${added} certificate types added, ${unchanged} unchanged\n`;
}

async function list({ deps }: OperatorRegistry): Promise<string> {
  const types = await readTypes(deps.db.kysely, deps);
  return types.map(({ type }) => jsonLine(typeBody(type))).join('');
}

function readOwners(file: string): StarterDepartments {
  const parsed = parseJsonStrictly(readFileSync(file, 'utf8'));
  if (!parsed.ok || !isJsonObject(parsed.value)) throw new CommandFailed(`${file} is not a JSON object`);
  const given = parsed.value;
  const owner = (role: keyof StarterDepartments): string => {
    const code = given[role];
    if (typeof code !== 'string') throw new CommandFailed(`${file} lacks "${role}"`);
    return code;
  };
  return {
    publicSecurity: owner('publicSecurity'),
    marketRegulation: owner('marketRegulation'),
    humanResources: owner('humanResources'),
    taxation: owner('taxation'),
    naturalResources: owner('naturalResources'),
    civilAffairs: owner('civilAffairs'),
  };
}
