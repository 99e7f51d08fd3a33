import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { cruise, type ICruiseOptions, type IFlattenedRuleSet } from 'dependency-cruiser';
import t from 'tap';
import floors from './security-floors.json' with { type: 'json' };

const root = resolve(import.meta.dirname, '..');
/** Tracked files, and new ones that nobody ignores. */
const files = execFileSync(
  'git',
  ['-c', 'safe.directory=*', 'ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate'],
  { cwd: root, encoding: 'utf8' },
)
  .split('\0')
  // Deleted and not yet committed is gone all the same.
  .filter((file) => file !== '' && existsSync(join(root, file)))
  .sort();
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const sources = files.filter((file) => /^src\/.*\.tsx?$/.test(file));
const isText = (file: string): boolean => !read(file).includes('\0');

const unique = (names: readonly string[]): string[] => [...new Set(names)].sort();

await t.test('the top level is what the design says', async (t) => {
  const top = unique(files.map((file) => file.split('/')[0] ?? ''));
  t.strictSame(
    top.filter((name) => !name.startsWith('.')),
    [
      'CHANGELOG.md',
      'CONTRIBUTING.md',
      'Dockerfile',
      'LICENSE',
      'README.md',
      'README.zh-CN.md',
      'SECURITY.md',
      'compose.yaml',
      'keys-example',
      'migrations',
      'openapi',
      'package-lock.json',
      'package.json',
      'src',
      'tests',
      'tsconfig.json',
    ],
  );
  const inSource = unique(sources.filter((file) => file.split('/').length === 2).map((file) => file.slice(4)));
  t.strictSame(
    inSource,
    ['config.ts', 'errors.ts', 'hub-core.ts', 'hub-facts.ts', 'hub-handlers.ts', 'hub.ts', 'ids.ts', 'main.ts'],
    'the rest of src/ are capabilities',
  );
});

await t.test('every folder of src has a door sign of at most 25 lines', async (t) => {
  for (const folder of unique(sources.map((file) => file.split('/').slice(0, 2).join('/'))).filter(
    (each) => !each.endsWith('.ts'),
  )) {
    const sign = `${folder}/README.md`;
    if (!t.ok(files.includes(sign), sign)) continue;
    const lines = read(sign).trimEnd().split('\n');
    t.ok(lines.length <= 25, `${sign} has ${lines.length} lines`);
    t.match(read(sign), /\bnever\b/i, `${sign} says what the folder must never do`);
  }
});

interface Rules {
  readonly forbidden: NonNullable<IFlattenedRuleSet['forbidden']>;
  readonly options: ICruiseOptions;
}
const rules = createRequire(import.meta.url)('../.dependency-cruiser.cjs') as Rules;

/** Modules looked at and breaches found, by the tool's own function. */
async function cruised(baseDir: string): Promise<{ seen: string[]; breaches: string[] }> {
  const { output } = await cruise(['src'], {
    ...rules.options,
    baseDir,
    validate: true,
    ruleSet: { forbidden: rules.forbidden },
  });
  if (typeof output === 'string') throw new Error(output);
  return {
    seen: output.modules.map(({ source }) => source).filter((source) => source.startsWith('src/')),
    breaches: output.summary.violations.map(({ from, rule, to }) => `${rule.name}: ${from} → ${to}`),
  };
}

await t.test('no folder reaches where it may not, and every module was looked at', async (t) => {
  const { seen, breaches } = await cruised(root);
  t.strictSame(unique(seen), sources);
  t.strictSame(breaches, []);
});

await t.test('a planted breach of each rule is found', async (t) => {
  const planted: Record<string, string> = {
    'src/errors.ts': 'export type Code = 1;',
    'src/ids.ts': "import type { Code } from './errors.ts'; export type A = Code;", // shared-reaches-out
    'src/config.ts': 'export const config = 1;',
    'src/hub.ts': "import { config } from './config.ts'; export const hub = config;",
    'src/main.ts': "import { hub } from './hub.ts'; export const main = hub;",
    'src/cli/demo.ts': "import { hub } from '../hub.ts'; export const demo = hub;",
    'src/verification/a.ts': "import '../signing/a.ts'; import '../hub.ts';", // reaches out, hub-is-the-top
    'src/signing/a.ts': "import '../verification/b.ts'; import '../errors.ts'; import '../config.ts';", // config
    'src/verification/b.ts': "import type { Pool } from 'pg'; export type P = Pool;", // pg-in-db
    'src/db/a.ts': "import { Pool } from 'pg'; export const p = Pool; import '../cli/demo.ts';", // reaches out, top
    'src/grants/a.ts': "export const a = import('../lookup/a.ts');", // dynamic
    'src/lookup/a.ts': "import type { f } from 'fastify'; import './gone.ts'; export type F = f;", // fastify, unresolvable
    'src/lookup/routes.ts': "import { h } from '../http/handlers.ts'; import '../grants/a.ts'; export const g = h;", // both
    'src/grants/routes.ts': "import type { H } from '../http/handlers.ts'; import './a.ts'; export type G = H;",
    'src/http/handlers.ts': 'export const h = 1; export type H = 1;',
    'src/http/server.ts': "import { fastify } from 'fastify'; export const s = fastify;",
    'src/audit/a.ts': "import 'node-forge'; import './b.ts';", // forge-in-signing
    'src/audit/b.ts': "import './a.ts';", // no-cycles
    'src/gossip/a.ts': "import '../errors.ts';", // unlisted-folder
    'src/console/a.ts': "import '../http/handlers.ts';", // console-is-a-client
    'src/federation/a.ts': "import 'fast-check'; import '../../tests/a.ts';", // no-development-packages, source-needs-no-tests
    'tests/a.ts': 'export {};',
  };
  const dir = t.testdir({});
  for (const [file, content] of Object.entries(planted)) {
    mkdirSync(dirname(join(dir, file)), { recursive: true });
    writeFileSync(join(dir, file), content);
  }
  for (const file of ['package.json', 'tsconfig.json', 'node_modules']) symlinkSync(join(root, file), join(dir, file));
  const { breaches } = await cruised(dir);
  const found = unique(breaches.map((each) => each.split(' → ')[0] ?? ''));
  t.strictSame(found, [
    'config-is-handed-in: src/signing/a.ts',
    'console-is-a-client: src/console/a.ts',
    'db-reaches-out: src/db/a.ts',
    'fastify-in-http: src/lookup/a.ts',
    'forge-in-signing: src/audit/a.ts',
    'grants-reaches-out: src/grants/a.ts',
    'hub-is-the-top: src/verification/a.ts',
    'no-cycles: src/audit/a.ts',
    'no-development-packages: src/federation/a.ts',
    'nobody-imports-the-top: src/db/a.ts',
    'not-resolvable: src/lookup/a.ts',
    'pg-in-db: src/verification/b.ts',
    'routes-take-types-only: src/lookup/routes.ts',
    'routes-translate-only: src/lookup/routes.ts',
    'shared-reaches-out: src/ids.ts',
    'signing-reaches-out: src/signing/a.ts',
    'source-needs-no-tests: src/federation/a.ts',
    'unlisted-folder: src/gossip/a.ts',
    'verification-reaches-out: src/verification/a.ts',
  ]);
  const caught = new Set(found.map((each) => each.split(':')[0]));
  const others = rules.forbidden.map(({ name }) => name ?? '').filter((name) => !name.endsWith('-reaches-out'));
  t.strictSame(
    others.filter((name) => !caught.has(name)),
    [],
    'no rule is without its breach',
  );
});

await t.test('a receipt is cast in one file', async (t) => {
  t.strictSame(
    sources.filter((file) => /\bas Receipt\b/.test(read(file))),
    ['src/audit/record.ts'],
  );
});

await t.test('each table is touched in the folder of its owner alone', async (t) => {
  const tables = read('src/db/tables.ts');
  const owners = new Map<string, string>();
  const listed = /Owners[^:]*:([\s\S]*?)\.\s*\n \*\//.exec(tables)?.[1]?.replaceAll('\n * ', ' ') ?? '';
  for (const entry of listed.split('·')) {
    const [owner = '', names = ''] = entry.split('/:');
    for (const name of names.split(',')) owners.set(name.trim(), owner.trim());
  }
  const declared = [...tables.slice(tables.indexOf('interface Tables')).matchAll(/^ {2}(\w+): \{/gm)].map(
    ([, name = '']) => name,
  );
  t.strictSame(unique([...owners.keys()]), unique(declared), 'src/db/tables.ts names the owner of every table');
  const touched = (source: string): string[] => {
    const text = source.replaceAll(/^\s*(\/\/|\/?\*).*$/gm, '');
    const kysely = /(?:selectFrom|insertInto|updateTable|deleteFrom|mergeInto|[jJ]oin)\(\s*\[?\s*['"`](\w+)/g;
    const sql = /\b(?:from|join|into|update|copy|truncate|table)\s+(?:only\s+)?(?:public\.)?"?(\w+)"?/gi;
    return [...text.matchAll(kysely), ...text.matchAll(sql)]
      .map(([, name = '']) => name)
      .filter((name) => owners.has(name));
  };
  const strays = sources
    .filter((file) => !file.startsWith('src/cli/'))
    .flatMap((file) => unique(touched(read(file))).map((table) => [file, table] as const))
    .filter(([file, table]) => !file.startsWith(`src/${owners.get(table)}/`));
  t.strictSame(strays, []);
});

interface LockedPackage {
  readonly version?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}
const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, LockedPackage> };

await t.test('the lock file holds the optional packages of every platform', async (t) => {
  // npm leaves out what a registry did not serve when the lock file was made; `npm ci` then refuses the whole of it.
  const names = new Set(Object.keys(lock.packages).map((path) => path.replace(/^.*node_modules\//, '')));
  const wanted = Object.values(lock.packages).flatMap(({ optionalDependencies = {} }) =>
    Object.keys(optionalDependencies),
  );
  t.strictSame(unique(wanted.filter((name) => !names.has(name))), []);
});

await t.test('no package is older than its security floor', async (t) => {
  const parts = (version: string): number[] => version.split('.').map((part) => Number.parseInt(part, 10));
  const older = (version: string, minimum: string): boolean => {
    const [a, b] = [parts(version), parts(minimum)];
    const at = a.findIndex((part, i) => part !== b[i]);
    return at >= 0 && (a[at] ?? 0) < (b[at] ?? 0);
  };
  t.ok(
    older('1.9.10', '1.10.0') && !older('1.10.0', '1.9.10') && !older('1.0.0', '1.0.0'),
    'versions compare as numbers',
  );
  for (const [name, { minimum, because }] of Object.entries(floors)) {
    const copies = Object.entries(lock.packages).filter(([path]) => path.endsWith(`node_modules/${name}`));
    t.not(copies.length, 0, `${name} is installed`);
    for (const [path, { version = '0' }] of copies) t.notOk(older(version, minimum), `${path} ${version}: ${because}`);
  }
});

await t.test('nothing in the repository belongs to one workplace or was left for later', async (t) => {
  const forbidden: [string, RegExp][] = [
    ['absolute path', /(?<![\w.~$}-])\/(home|root|Users|work|farm|mnt|tmp)\/[\w.-]/],
    ['registry host', /\bregistry\.(npmjs|yarnpkg|npmmirror)\b/],
    ['path outside the repository', /\.\.\/shared\b/],
    ['left for later', new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME'].join('|')})\\b`)],
  ];
  for (const file of files.filter(isText)) {
    const text = read(file);
    for (const [what, pattern] of forbidden) {
      const line = text.split('\n').findIndex((each) => pattern.test(each));
      if (line >= 0) t.fail(`${file}:${line + 1}: ${what}`);
    }
  }
  t.pass(`${files.length} files`);
});

/** GB 11643, section 4: a plausible date and the check character of ISO 7064 MOD 11-2. */
function isIdNumber(text: string): boolean {
  const [, year = '', month = '', day = ''] = /^\d{6}(\d{4})(\d{2})(\d{2})/.exec(text) ?? [];
  const date = new Date(`${year}-${month}-${day}T00:00:00Z`);
  if (Number.isNaN(date.getTime()) || !date.toISOString().startsWith(`${year}-${month}-${day}`)) return false;
  if (Number(year) < 1850 || Number(year) > 2100) return false;
  const sum = text
    .slice(0, 17)
    .split('')
    .reduce((total, digit, i) => total + Number(digit) * (2 ** (17 - i) % 11), 0);
  return '10X98765432'[sum % 11] === text[17]?.toUpperCase();
}

await t.test('no ID number in the repository could be a person', async (t) => {
  // The examples that GB 11643-1999 itself prints.
  const specimens = ['11010519491231002X', '440524188001010014'];
  for (const specimen of specimens) t.ok(isIdNumber(specimen), `${specimen} is found when it is there`);
  t.notOk(isIdNumber('110105194912310021') || isIdNumber('110105194913310021'));
  for (const file of files.filter(isText)) {
    for (const [number] of read(file).matchAll(/(?<![0-9A-Za-z])\d{17}[\dXx](?![0-9A-Za-z])/g)) {
      const harmless = number.startsWith('990000') || (file.startsWith('tests/') && specimens.includes(number));
      if (isIdNumber(number) && !harmless) t.fail(`${file} holds ${number.slice(0, 6)}…`);
    }
  }
});

await t.test('files stay readable in one sitting, or say why not', async (t) => {
  for (const file of sources.filter((each) => !each.endsWith('.gen.ts'))) {
    const lines = read(file).split('\n').length;
    if (lines > 400 && !/oxlint-disable max-lines -- \w/.test(read(file))) t.fail(`${file} has ${lines} lines`);
  }
});
