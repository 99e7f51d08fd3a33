import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import type { CommandIo } from '../../src/cli/command-io.ts';
import { readTime } from '../../src/cli/read-time.ts';
import { UsageError } from '../../src/cli/usage-error.ts';

interface Command {
  readonly help: string;
  readonly run: (argv: readonly string[], io: CommandIo) => Promise<number>;
}

const folder = join(import.meta.dirname, '../../src/cli');
const files = readdirSync(folder)
  .filter((file) => file.endsWith('.ts'))
  .filter((file) => /^export const help = /m.test(readFileSync(join(folder, file), 'utf8')));

await t.test('every command has a help with its exit codes, and tells wrong usage by exit code 2', async (t) => {
  t.ok(files.length > 15, 'the commands are found');
  for (const file of files) {
    const { help, run } = (await import(join(folder, file))) as Command;
    const call = async (...argv: string[]) => {
      let [out, err] = ['', ''];
      const io = {
        stdout: { write: (text: string) => (out += text) },
        stderr: { write: (text: string) => (err += text) },
        env: {},
      };
      return { code: await run(argv, io), out, err };
    };
    if (file !== 'audit.ts') t.match(help, /Exit code/, file);
    t.strictSame(await call('--help'), { code: 0, out: help, err: '' }, file);
    const wrong = await call('--nonsense');
    t.match(wrong, { code: 2, out: '', err: /nonsense/ }, file);
    const name = /^certhub [a-z ]+/.exec(help)?.[0] ?? '';
    t.ok(wrong.err.startsWith(`${name}: `), `${file} says who speaks`);
  }
});

await t.test('what every object has is no command', async (t) => {
  const certhub = promisify(execFile)(process.execPath, ['--import', 'tsx', join(folder, 'certhub.ts'), 'constructor']);
  await t.rejects(certhub, { code: 2, stderr: /unknown command constructor/ });
});

await t.test('a time is one of RFC 3339, of a day that there is', (t) => {
  t.equal(readTime('--at', '2026-02-28T23:59:59.5+08:00'), Date.UTC(2026, 1, 28, 15, 59, 59, 500));
  for (const text of ['2026-02-30T00:00:00Z', '2026-13-01T00:00:00Z', '2026-11-22T08:00:00', '2026-11-22', '', 'now']) {
    t.throws(() => readTime('--at', text), UsageError, text);
  }
  t.end();
});
