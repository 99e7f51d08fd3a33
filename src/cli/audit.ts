import type { CommandIo } from './command-io.ts';

/** One line for the list of commands, then the usage. */
export const help = `certhub audit: check the audit log from outside, reconcile with it, erase by law

  certhub audit verify …      check an export, a proof or a whole log offline, without server and database
  certhub audit reconcile …   compare a client's own stored answers with the log
  certhub audit erase …       carry out erasures that two approved
  certhub audit retention …   what is kept how long, and what is due

  certhub audit <command> --help says more.
`;

interface Command {
  readonly run: (argv: readonly string[], io: CommandIo) => Promise<number>;
}

/** Loaded when asked for: `verify` runs where no database driver is. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  verify: () => import('./audit-verify.ts'),
  reconcile: () => import('./audit-reconcile.ts'),
  erase: () => import('./audit-erase.ts'),
  retention: () => import('./audit-retention.ts'),
};

/** Runs `certhub audit …`. Exit code of the command named; 2 for none. */
export async function run(argv: readonly string[], io: CommandIo): Promise<number> {
  const [name, ...rest] = argv;
  const load = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load === undefined) {
    const asked = name === 'help' || name === '--help' || name === '-h';
    if (!asked) io.stderr.write(name === undefined ? '' : `certhub audit: unknown command ${JSON.stringify(name)}\n`);
    (asked ? io.stdout : io.stderr).write(help);
    return asked ? 0 : 2;
  }
  return (await load()).run(rest, io);
}
