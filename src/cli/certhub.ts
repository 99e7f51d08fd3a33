#!/usr/bin/env node
import type { CommandIo } from './command-io.ts';

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

/** Lists the commands: asked for on standard output, else with what was wrong. */
async function list(name: string | undefined, io: CommandIo): Promise<number> {
  const asked = name === undefined || name === 'help' || name === '--help' || name === '-h';
  const loaded = await Promise.all(Object.values(commands).map((each) => each()));
  const lines = loaded.map(({ help }) => `  ${help.split('\n', 1)[0]?.replace(/^certhub /, '') ?? ''}`);
  (asked ? io.stdout : io.stderr).write(
    `${asked ? '' : `certhub: unknown command ${name}\n`}certhub <command> [options]\n\n${lines.join('\n')}\n\ncerthub <command> --help says more.\n`,
  );
  return asked ? 0 : 2;
}

async function main(argv: readonly string[]): Promise<number> {
  const io: CommandIo = { stdout: process.stdout, stderr: process.stderr, env: process.env };
  const [name, ...rest] = argv;
  const load = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load === undefined || name === undefined) return list(name, io);
  try {
    return await (await load()).run(rest, io);
  } catch (error) {
    // Commands tell what an operator can put right; whatever else comes is written for people and holds no data.
    io.stderr.write(`certhub ${name}: ${error instanceof Error ? error.message : 'failed'}\n`);
    return 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
