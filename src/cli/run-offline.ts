import type { CommandIo } from './command-io.ts';
import { printable } from './printable.ts';
import { isUsageError } from './usage-error.ts';

/**
 * Runs a command for people without a server, who have neither its database nor its packages: nothing loaded from here may need
 * them. Prints the result and resolves with its exit code; where `readOptions` gives none, prints the help. Exit code 2: wrong
 * usage, or something that cannot be read.
 */
export async function runOffline<Options>(
  { name, help, io }: { readonly name: string; readonly help: string; readonly io: CommandIo },
  readOptions: () => Options | undefined,
  check: (options: Options) => Promise<{ readonly text: string; readonly exitCode: number }>,
): Promise<number> {
  try {
    const options = readOptions();
    if (options === undefined) {
      io.stdout.write(help);
      return 0;
    }
    const { text, exitCode } = await check(options);
    io.stdout.write(text);
    return exitCode;
  } catch (error) {
    if (!isUsageError(error)) throw error;
    io.stderr.write(`${name}: ${printable(error.message)}\nSee ${name} --help.\n`);
    return 2;
  }
}
