import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { exportCatalogue } from '../catalogue/catalogue-file.ts';
import { type Imported, importCatalogue } from '../catalogue/import-catalogue.ts';
import { readMatters } from '../catalogue/matter-store.ts';
import { seedStarterMatters } from '../catalogue/seed-starter-matters.ts';
import { seedStarterTypes } from '../catalogue/seed-starter-types.ts';
import { exampleMatterDepartments, type MatterDepartments } from '../catalogue/starter-materials.ts';
import { starterMatters } from '../catalogue/starter-matters.ts';
import { type StarterDepartments, starterTypes } from '../catalogue/starter-types.ts';
import { readTypes } from '../catalogue/store.ts';
import { typeBody } from '../catalogue/type-body.ts';
import { findDepartment } from '../departments/store.ts';
import { Refusal } from '../errors.ts';
import type { Core } from '../hub-core.ts';
import { isJsonObject, parseJsonStrictly } from '../verification/encoding.ts';
import { readCatalogueFile } from './catalogue-file.ts';
import { CommandFailed } from './command-failed.ts';
import type { CommandIo } from './command-io.ts';
import { openHub } from './open.ts';
import { jsonLine, operatorChange } from './operator.ts';
import { exitCodes, runCommand } from './run-command.ts';
import { UsageError } from './usage-error.ts';

/** One line for the list of commands, then the usage. */
export const help = `certhub catalogue: load, list, export and import certificate types and matters

  certhub catalogue load-starter [--departments FILE]
      registers the nine starter types (resident ID card, residence permit, household register, business licence, social-insurance
      payment record, employment registration, tax payment record, real-estate title, marriage certificate) and the four starter
      matters (school enrolment, affordable housing, household registration, exit-entry); a code that is there already stays as it is.
      FILE is JSON with the USCCs of the owning departments, which must be registered:
      {"publicSecurity": "USCC", "marketRegulation": …, "humanResources", "taxation", "naturalResources", "civilAffairs"}, all six, and
      for the matters "education" and "housing" too; without FILE those of the demo city
  certhub catalogue list
      one line of JSON per version of every type
  certhub catalogue export [--out FILE]
      the newest version of every type and matter as one JSON file, to FILE (overwritten) or to standard output; a hub takes it as it is:
      a copy to keep, to carry to another hub, or to edit many entries at once
  certhub catalogue import FILE [--dry-run]
      brings such a file in, all of it or nothing: what is not in it stays, what says the same stays, what differs gets its next version,
      what it calls retired is retired. Refused with a pointer into the file where a matter would ask for what its certificates do not
      have; and where clients would lose what was granted to them, unless the type's entry has a "migrationNote": {"zh": …, "en": …} that
      tells them what to do. --dry-run says what would happen and changes nothing

  Works on the database itself, with the settings of the hub. Changes are recorded as made by the operator.

  ${exitCodes}
`;

type Hub = Pick<
  Core,
  'db' | 'keys' | 'write' | 'recorder' | 'tampered' | 'now' | 'matterBasis' | 'grantsNaming' | 'today'
>;
/** How the command gets at the hub's keys and database. Tests hand in their own. */
export type OpenCatalogue = (
  env: CommandIo['env'],
  say: (line: string) => void,
) => Promise<{ readonly core: Hub; readonly close: () => Promise<void> }>;

/** Runs `certhub catalogue …`. Exit code 0: done; 1: refused, with the reason; 2: wrong usage. */
export const run = (argv: readonly string[], io: CommandIo, open: OpenCatalogue = openHub): Promise<number> =>
  runCommand({ name: 'certhub catalogue', help, io }, () => command(argv, io, open));

async function command(argv: readonly string[], io: CommandIo, open: OpenCatalogue): Promise<string> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    strict: true,
    options: {
      departments: { type: 'string' },
      out: { type: 'string' },
      'dry-run': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const [name, ...rest] = positionals;
  if (values.help || name === 'help') return help;
  const work = workOf(name, rest, values);
  const { core, close } = await open(io.env, (line) => void io.stderr.write(`${line}\n`));
  try {
    return await work(core);
  } finally {
    await close();
  }
}

/** What to do with the hub. Throws UsageError before anything is opened. */
function workOf(
  name: string | undefined,
  rest: readonly string[],
  values: { readonly departments?: string; readonly out?: string; readonly 'dry-run': boolean },
): (hub: Hub) => Promise<string> {
  const [file, ...surplus] = name === 'import' ? rest : [undefined, ...rest];
  if (surplus.length > 0) throw new UsageError(`unexpected "${surplus[0] ?? ''}"`);
  switch (name) {
    case 'load-starter': {
      const owners = values.departments === undefined ? exampleMatterDepartments : readOwners(values.departments);
      return (hub) => loadStarter(hub, owners);
    }
    case 'list':
      return list;
    case 'export':
      return (hub) => exportTo(hub, values.out);
    case 'import': {
      if (file === undefined) throw new UsageError('say which file to import');
      const read = readCatalogueFile(file);
      return async (hub) => {
        const { recorder, matterBasis, now } = hub;
        const deps = { ...hub, recordIn: recorder.recordIn, basis: matterBasis };
        const answer = await importCatalogue(deps, { ...operatorChange(now)(), file: read, dryRun: values['dry-run'] });
        return summary(answer.body as Imported);
      };
    }
    default:
      throw new UsageError(name === undefined ? 'say what to do' : `unknown command "${name}"`);
  }
}

type Owners = StarterDepartments & Partial<MatterDepartments>;

async function loadStarter(hub: Hub, owners: Owners): Promise<string> {
  const { recorder, now, matterBasis, db } = hub;
  for (const code of new Set(Object.values({ ...owners }))) {
    if ((await findDepartment(db.kysely, hub, code)) === undefined) {
      throw new Refusal('department_unknown', { departmentCode: code });
    }
  }
  const deps = { ...hub, recordIn: recorder.recordIn };
  const at = now();
  const types = await seedStarterTypes(deps, { types: starterTypes(owners), at });
  const told = `${types.added} certificate types added, ${types.unchanged} unchanged\n`;
  const { education, housing } = owners;
  if (education === undefined || housing === undefined) {
    return `${told}no matters: the file names no departments "education" and "housing"\n`;
  }
  const definitions = starterMatters({ ...owners, education, housing });
  const matters = await seedStarterMatters(deps, { matters: definitions, basis: await matterBasis(at), at });
  return `${told}${matters.added} matters added, ${matters.unchanged} unchanged\n`;
}

async function list(hub: Hub): Promise<string> {
  const { kysely } = hub.db;
  const [types, matters] = [await readTypes(kysely, hub), await readMatters(kysely, hub)];
  return types.map(({ type }) => jsonLine(typeBody(type, matters))).join('');
}

async function exportTo(hub: Hub, out: string | undefined): Promise<string> {
  const file = await exportCatalogue(hub, { at: hub.now() });
  const text = `${JSON.stringify(file, null, 2)}\n`;
  if (out === undefined) return text;
  writeFileSync(out, text);
  return `${file.types.length} certificate types and ${file.matters.length} matters in ${out}\n`;
}

/** A line per entry that is not as it was, then how many of each. */
function summary({ dryRun, types, matters }: Imported): string {
  const all = [
    ...types.map(({ certificateTypeCode, ...told }) => ({ name: `certificate type ${certificateTypeCode}`, ...told })),
    ...matters.map(({ matterCode, ...told }) => ({ name: `matter ${matterCode}`, ...told })),
  ];
  const lines = all
    .filter(({ outcome }) => outcome !== 'unchanged')
    .map(({ outcome, name, version }) => `${outcome} ${name}, version ${version}\n`);
  const counts = (['added', 'changed', 'retired', 'unchanged'] as const).map(
    (outcome) => `${all.filter((entry) => entry.outcome === outcome).length} ${outcome}`,
  );
  return `${lines.join('')}${dryRun ? 'nothing was changed; an import would be: ' : ''}${counts.join(', ')}\n`;
}

function readOwners(file: string): Owners {
  const parsed = parseJsonStrictly(readFileSync(file, 'utf8'));
  if (!parsed.ok || !isJsonObject(parsed.value)) throw new CommandFailed(`${file} is not a JSON object`);
  const given = parsed.value;
  const owner = (role: keyof MatterDepartments): string => {
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
    ...(given['education'] !== undefined && { education: owner('education') }),
    ...(given['housing'] !== undefined && { housing: owner('housing') }),
  };
}
