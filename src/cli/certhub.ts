#!/usr/bin/env node
import type { CommandIo } from './keys.ts';

interface Command {
  readonly help: string;
  readonly run: (argv: readonly string[], io: CommandIo) => Promise<number>;
}

/** Loaded when asked for, so that `verify` runs where no database driver is needed. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  demo: () => import('./demo.ts'),
  start: () => import('./start.ts'),
  sequencer: () => import('./sequencer.ts'),
  migrate: () => import('./migrate.ts'),
  keys: () => import('./keys.ts'),
  department: () => import('./department.ts'),
  client: () => import('./client.ts'),
  catalogue: () => import('./catalogue.ts'),
  fsck: () => import('./fsck.ts'),
  verify: () => import('./verify.ts'),
  audit: () => import('./audit.ts'),
  trust: () => import('./trust.ts'),
  witness: () => import('./witness.ts'),
};

async function main(argv: readonly string[]): Promise<number> {
  const io: CommandIo = { stdout: process.stdout, stderr: process.stderr, env: process.env };
  const [name, ...rest] = argv;
  const load = name === undefined ? undefined : commands[name];
  if (load === undefined || name === undefined) {
    const asked = name === undefined || name === 'help' || name === '--help' || name === '-h';
    const loaded = await Promise.all(Object.values(commands).map((each) => each()));
    const lines = loaded.map(({ help }) => `  ${help.split('\n', 1)[0]?.replace(/^certhub /, '') ?? ''}`);
    (asked ? io.stdout : io.stderr).write(
      `${asked ? '' : `certhub: unknown command ${name}\n`}certhub <command> [options]\n\n${lines.join('\n')}\n\ncerthub <command> --help says more.\n`,
    );
    return asked ? 0 : 2;
  }
  try {
    return await (await load()).run(rest, io);
  } catch (error) {
    // Start-up and usage errors are written for people and hold no data.
    io.stderr.write(`certhub ${name}: ${error instanceof Error ? error.message : 'failed'}\n`);
    return 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
