import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { initKeys } from '../signing/init-keys.ts';
import { loadManifest } from '../signing/key-store.ts';
import { makeExampleKeys } from '../signing/make-example-keys.ts';
import { addSeal, type KeyChange, retireIndexKey, rotatableUses, rotateKeys } from '../signing/rotate-keys.ts';
import { isUscc } from '../verification/identifiers.ts';
import type { CommandIo } from './command-io.ts';
import { exitCodes, runCommand } from './run-command.ts';
import { UsageError } from './usage-error.ts';

/** One line for the list of commands, then the usage. */
export const help = `certhub keys: make, list and rotate the keys of the hub and of its departments

  certhub keys init --dir DIR [--city NAME] [--departments USCC=NAME,USCC=NAME…]
      makes a keys directory with a local authority of that city (without --city: the demo's) and a deposited seal for each
      department; refuses a directory that exists
  certhub keys list --dir DIR
      lists the keys, active and retired
  certhub keys rotate --dir DIR --use answer|token|status|log|index|encryption|records
      adds a new active key and retires the old one, which still verifies, opens and finds: never delete it. Copy DIR to all
      machines, restart them together, back secrets/ and records/ up again. records: adds the keys of the next 36 months' records
  certhub keys destroy-month --dir DIR --month YYYY-MM --erasure ID
      destroys the record keys of a month whose bodies were erased, so that backups of the database cannot be read any more. Needs
      the database (DATABASE_URL or the embedded one). Copies and backups of DIR have to be destroyed by hand
  certhub keys retire --dir DIR --index N
      retires an old index generation: what only it indexes is no longer found. Nothing re-indexes stored rows yet
  certhub keys add-seal --dir DIR --department USCC (--name NAME | --p12 FILE --password-file FILE)
      issues a seal from the local authority, or takes the department's own PKCS#12 file. It counts once it is registered:
      openssl pkcs12 -in DIR/seals/USCC.p12 -passin file:DIR/seals/USCC.password -nokeys -out seal.pem
      certhub department add-seal --code USCC --chain seal.pem
  certhub keys example --dir DIR
      makes a set of public demo keys beside departments.json and clients.json

  DIR may also come from CERTHUB_KEYS_DIR. A running hub takes changes at its next start.

  ${exitCodes}
`;

/** Runs `certhub keys …`. Exit code 0: done; 1: refused, with the reason; 2: wrong usage. */
export const run = (argv: readonly string[], io: CommandIo): Promise<number> =>
  runCommand({ name: 'certhub keys', help, io }, () => command(argv, io));

const options = {
  dir: { type: 'string' },
  city: { type: 'string', default: '示范市' },
  departments: { type: 'string', default: '' },
  department: { type: 'string' },
  name: { type: 'string' },
  p12: { type: 'string' },
  'password-file': { type: 'string' },
  use: { type: 'string' },
  index: { type: 'string' },
  month: { type: 'string' },
  erasure: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

const parse = (argv: readonly string[]) =>
  parseArgs({ args: [...argv], allowPositionals: true, strict: true, options });

type Input = ReturnType<typeof parse>['values'] & {
  readonly directory: string;
  readonly now: Date;
  readonly io: CommandIo;
};

async function command(argv: readonly string[], io: CommandIo): Promise<string> {
  const { values, positionals } = parse(argv);
  const [name, ...surplus] = positionals;
  if (values.help || name === undefined || name === 'help') return help;
  const chosen = commands.get(name);
  if (chosen === undefined) throw new UsageError(`unknown command: ${name}`);
  if (surplus.length > 0) throw new UsageError(`unexpected: ${surplus.join(' ')}`);
  const directory = values.dir ?? io.env['CERTHUB_KEYS_DIR'] ?? '';
  if (directory === '') throw new UsageError('--dir is missing');
  return chosen({ ...values, directory, now: new Date(), io });
}

const commands = new Map<string, (input: Input) => Promise<string>>([
  ['init', init],
  ['list', async ({ directory }) => listKeys(directory)],
  ['rotate', rotate],
  ['retire', retire],
  ['destroy-month', destroy],
  ['add-seal', add],
  ['example', example],
]);

async function init({ directory, city, departments: list, now }: Input): Promise<string> {
  const departments = parseDepartments(list);
  await initKeys({ directory, city, departments, from: now, now });
  return (
    `made keys for ${departments.length} department(s) in ${directory}\n` +
    'Move authority/root.key.pem to a safe place offline: the hub never reads it.\n' +
    'Keep a copy of secrets/ and records/ apart from the database backups: without it stored data cannot be read.\n'
  );
}

async function rotate({ directory, use: wanted, now }: Input): Promise<string> {
  const use = rotatableUses.find((candidate) => candidate === wanted);
  if (use === undefined) throw new UsageError(`--use must be one of ${rotatableUses.join(', ')}`);
  return describe(await rotateKeys({ directory, use, now }));
}

async function retire({ directory, index }: Input): Promise<string> {
  const number = Number(index);
  if (!Number.isInteger(number)) throw new UsageError('--index must be the number of a generation');
  return describe(await retireIndexKey({ directory, number }));
}

/** Loaded when asked for: making keys needs no database driver. */
async function destroy({ directory, month = '', erasure = '', now, io }: Input): Promise<string> {
  if (!/^\d{4}-(0[1-9]|1[0-2])$/.test(month)) throw new UsageError('--month must be YYYY-MM');
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(erasure))
    throw new UsageError('--erasure must be the id of the executed erasure');
  const { destroyMonthKeys } = await import('./keys-destroy.ts');
  return destroyMonthKeys({ directory, month, erasureId: erasure.toLowerCase(), now, io });
}

async function add(input: Input): Promise<string> {
  const { directory, department = '', now } = input;
  if (!isUscc(department)) throw new UsageError('--department must be a USCC with a correct check character');
  return describe(await addSeal({ directory, department, now, source: sealSource(input) }));
}

async function example({ directory, city, now }: Input): Promise<string> {
  // long before today, so that the demo runs on a machine whose clock is behind
  await makeExampleKeys({ directory, city, from: new Date('2024-01-01T00:00:00Z'), now });
  return `made public demo keys in ${directory}\n`;
}

function sealSource(values: { name?: string; p12?: string; 'password-file'?: string }) {
  const { name, p12, 'password-file': passwordFile } = values;
  if (name !== undefined && p12 === undefined && passwordFile === undefined) return { departmentName: name };
  if (name === undefined && p12 !== undefined && passwordFile !== undefined) {
    return { pkcs12: readFileSync(p12), password: readFileSync(passwordFile, 'utf8').replace(/\r?\n$/, '') };
  }
  throw new UsageError('give either --name, or --p12 and --password-file');
}

function parseDepartments(list: string): { code: string; name: string }[] {
  const departments = list
    .split(',')
    .filter((item) => item.trim() !== '')
    .map((item) => {
      const at = item.indexOf('=');
      const code = item.slice(0, at).trim();
      const name = item.slice(at + 1).trim();
      if (at < 0 || name === '') throw new UsageError(`--departments: "${item}" is not USCC=NAME`);
      if (!isUscc(code)) throw new UsageError(`--departments: "${code}" is no USCC or has a wrong check character`);
      return { code, name };
    });
  if (new Set(departments.map(({ code }) => code)).size !== departments.length) {
    throw new UsageError('--departments: a USCC is given twice');
  }
  return departments;
}

function listKeys(directory: string): string {
  const { keys, indexKeys, encryptionKeys, recordKeys = [], seals, roots } = loadManifest(directory);
  const rows = [
    ...keys.map(({ use, kid, suite, state, from, until }) => [use, kid, suite, state, `${from} – ${until ?? ''}`]),
    ...indexKeys.map(({ number, state }) => ['index', `generation ${number}`, 'HMAC-SHA-256', state, '']),
    ...encryptionKeys.map(({ number, state }) => ['encryption', `key ${number}`, 'AES-256-GCM', state, '']),
    ...recordKeys.map(({ month, kind, state }) => ['records', `${month} ${kind}`, 'AES-256-GCM', state, '']),
    ...seals.map(({ department, suite, state, file }) => ['seal', department, suite, state, file]),
    ...roots.map((file) => ['root', '', '', 'active', file]),
  ];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string => row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  ');
  return rows.map((row) => `${line(row).trimEnd()}\n`).join('');
}

const describe = ({ added, retired }: KeyChange): string =>
  [added === undefined ? '' : `added ${added}\n`, retired === undefined ? '' : `retired ${retired}\n`].join('');
