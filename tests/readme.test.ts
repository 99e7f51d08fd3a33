import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import t from 'tap';
import { settings } from '../src/config.ts';

t.setTimeout(600_000);

const root = resolve(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const readmes = ['README.md', 'README.zh-CN.md'] as const;

interface Block {
  readonly language: string;
  readonly text: string;
}
const blocksOf = (text: string): Block[] =>
  [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language = '', block = '']) => ({
    language,
    text: block,
  }));
const proseOf = (text: string): string => text.replaceAll(/^ *```[\s\S]*?^ *```$/gm, '');
const headingsOf = (text: string): string[] => [...proseOf(text).matchAll(/^#+ .*$/gm)].map(([line]) => line);
const slugOf = (heading: string): string =>
  heading
    .replace(/^#+ /, '')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
const tableAfter = (text: string, row: RegExp): string[][] =>
  [...text.matchAll(/^\|(.*)\|$/gm)]
    .map(([, cells = '']) => cells.split('|').map((cell) => cell.trim()))
    .filter(([first = '']) => row.test(first));

await t.test('both READMEs say the same in the same order', async (t) => {
  const [en, zh] = readmes.map(read);
  const shape = (text = ''): number[] => headingsOf(text).map((line) => line.indexOf(' '));
  t.strictSame(shape(zh), shape(en), 'as many headings, of the same levels');
  t.strictSame(
    blocksOf(zh ?? '')
      .filter(({ language }) => language === 'sh')
      .map(({ text }) => text.replaceAll(/ +#.*$/gm, '')),
    blocksOf(en ?? '')
      .filter(({ language }) => language === 'sh')
      .map(({ text }) => text.replaceAll(/ +#.*$/gm, '')),
    'the same commands',
  );
  const rows = (text = ''): number => text.match(/^\|/gm)?.length ?? 0;
  t.equal(rows(zh), rows(en), 'as many rows in tables');
});

await t.test('the settings tables are those of config.ts', async (t) => {
  for (const file of readmes) {
    const rows = tableAfter(read(file), /^`(CERTHUB_|DATABASE_URL)/);
    t.strictSame(
      // The words for a default that is computed are each language's own.
      rows.map(([name, , value]) => [name, value?.startsWith('`') && value.endsWith('`') ? value : '']),
      settings.map((row) => [
        row.secret ? `\`${row.name}\`, \`${row.name}_FILE\`` : `\`${row.name}\``,
        row.default === '' ? '' : `\`${row.default}\``,
      ]),
      file,
    );
  }
  t.strictSame(
    tableAfter(read('README.md'), /^`(CERTHUB_|DATABASE_URL)/).map(([, type, , meaning]) => [type, meaning]),
    settings.map(({ type, meaning }) => [type, meaning]),
    'word for word in English',
  );
});

await t.test('every link leads somewhere', async (t) => {
  const signs = headlinedFolders().map((folder) => `src/${folder}/README.md`);
  for (const file of [
    ...readmes,
    'CONTRIBUTING.md',
    'SECURITY.md',
    'CHANGELOG.md',
    ...signs.filter((each) => existsSync(join(root, each))),
  ]) {
    for (const [, target = ''] of proseOf(read(file)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (target.startsWith('https:')) continue;
      const [path = '', anchor] = target.split('#');
      const found = path === '' ? file : join(dirname(file), path);
      if (!existsSync(join(root, found))) t.fail(`${file}: ${target}`);
      else if (anchor !== undefined) t.ok(headingsOf(read(found)).map(slugOf).includes(anchor), `${file}: ${target}`);
    }
  }
});

/** The folders that the map names. */
function headlinedFolders(): string[] {
  return [...read('README.md').matchAll(/^\| \[(\w+)\]\(src\//gm)].map(([, folder = '']) => folder);
}

await t.test('the map shows every folder of src', async (t) => {
  const folders = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((each) => each.isDirectory());
  t.strictSame(new Set(headlinedFolders()), new Set(folders.map(({ name }) => name)));
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Our own settings and tap's hooks would make the commands others than a reader's. */
const readersEnv = (more: Record<string, string>): NodeJS.ProcessEnv => {
  const foreign = /^(CERTHUB_|DATABASE_URL|PG|NODE_OPTIONS$|TAP|_TAP|NODE_V8_COVERAGE$)/;
  return { ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name))), ...more };
};

/** What each block of commands must print, in order. */
const expected: readonly RegExp[][] = [
  [/"companyName": ?"示范市许记园林景观有限公司"/, /"answer": ?"eyJ/, /"status": ?"valid"/],
  [/correct and valid/],
  [/the signature is that of .*119999001000000245/, /leaf\.pem: OK/],
  [],
  [/^approved\nvalid$/m],
  [/^示范市示范路2号\ngrant_required$/m],
  [/^0$/m],
  [/^revoked\nrevoked$/m],
  [/^[0-9a-f-]{36}\n[1-9]\d*$/m],
  [/^identity satisfied\nguardianship satisfied\nage satisfied\nresidence satisfied\nvaccination declaration\ntrue$/m],
  [/fields: \[ 'name', 'relationshipToHead', 'headIdNumber' \]/, /^awaiting_hub\ngranted$/m],
  [/^户主\nticket_used_up$/m],
  [/^holder_code_invalid$/m],
  [/^suspended\n.*your grant is suspended\.\nin_force$/m],
  [/^1$/m, /^出入境证件相片,出入境证件相片采集点$/m],
  [
    /^school-enrolment \/requirements\/3\/alternatives\/1\/0\/fields\/0 field_unknown$/m,
    /^change_breaks\n2\n2 .*"path":"\/standard"/m,
    /^居民身份证、居住证、/m,
  ],
  [/^居住证 matched partly_granted$/m, /^type_missing\n预防接种证 unassigned\n11999900100000112K$/m],
  [/^withdrawn$/m, /"deviations":2,"byJudgement":\{"could_supply":2\}/],
  [/^\d{8}-\d{7}-[0-9A-Z]$/m, /^refused\n经核对登记住址无误\n\d+$/m],
  [/organizationIdentifier=11999900100000016A/],
  [/^valid$/m, /correct and valid/, /示范市示范路3号/],
  [/approval-hall {2}food-business-licence {2}answered/, /^陈受理$/m],
  [/is leaf \d+ of the log/, /\(0\): Correct/],
  [/every leaf from 0 to 99|leaves 0|100 leaves|\(0\): Correct/],
  [/nothing of them was changed/, /\(0\): Correct/],
  [/\((0|14)\)/],
  [/food-business-licence/],
];

await t.test('the commands do what the README says', async (t) => {
  const [commands, ...blocks] = blocksOf(read('README.md')).filter(({ language }) => language === 'sh');
  t.strictSame(
    commands?.text.split('\n').map((line) => line.replace(/ +#.*$/, '')),
    ['npm ci && npm run demo', 'npm ci && npm test', ''],
    'two commands come first; .ci/run runs them in a clean clone',
  );
  t.equal(blocks.length, expected.length, 'this test knows every block');

  const port = await freePort();
  const dataDir = await mkdtemp(join(tmpdir(), 'certhub-readme-'));
  // The database server may still be leaving when the demo is gone.
  t.teardown(() => rm(dataDir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
  // In a group of its own: npm does not hand signals on to what it runs in every version.
  const demo = spawn('npm', ['run', 'demo'], {
    cwd: root,
    env: readersEnv({ CERTHUB_PORT: String(port), CERTHUB_DATA_DIR: dataDir }),
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let told = '';
  const ended = once(demo, 'exit');
  t.teardown(async () => {
    if (demo.exitCode === null && demo.signalCode === null && demo.pid !== undefined)
      process.kill(-demo.pid, 'SIGTERM');
    await ended;
  });
  const up = new Promise<boolean>((done) => {
    const listen = (chunk: Buffer): void => {
      told += chunk.toString('utf8');
      if (told.includes('The hub stays up')) done(true);
    };
    demo.stdout.on('data', listen);
    demo.stderr.on('data', listen);
    demo.once('exit', () => done(false));
  });
  if (!(await up)) {
    t.fail('the demo did not stay up', { told: told.slice(-3_000) });
    return;
  }

  const mark = '::: block';
  const script = blocks
    .map(({ text }) => `echo '${mark}'\n${text}`)
    .join('\n')
    .replaceAll('127.0.0.1:8470', `127.0.0.1:${port}`);
  const reader = spawn('bash', ['-e', '-c', script], {
    cwd: root,
    env: readersEnv({ TMPDIR: dataDir }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let shown = '';
  let complaints = '';
  reader.stdout.on('data', (chunk: Buffer) => (shown += chunk.toString('utf8')));
  reader.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString('utf8')));
  const [code] = (await once(reader, 'close')) as [number | null];
  t.equal(code, 0, 'bash -e is content', { complaints });
  const outputs = shown.split(`${mark}\n`).slice(1);
  for (const [i, patterns] of expected.entries()) {
    for (const pattern of patterns) t.match(outputs[i] ?? '', pattern, `block ${i + 1}`, { complaints });
  }
});
