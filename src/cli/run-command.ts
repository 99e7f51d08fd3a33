import { Refusal } from '../errors.ts';
import { problems } from '../http/problem.ts';
import type { CommandIo } from './command-io.ts';
import { isUsageError, UsageError } from './usage-error.ts';

/** What a command prints at its end; a text alone is exit code 0. */
export type Printed = string | { readonly text: string; readonly exitCode: number };

/** The last line of a command's help. */
export const exitCodes = 'Exit code: 0 done · 1 refused or failed, with the reason · 2 wrong usage';

/** Runs a command and prints its result. Exit code 0: done; 1: refused or failed, with the reason; 2: wrong usage. */
export async function runCommand(
  { name, help, io }: { readonly name: string; readonly help: string; readonly io: CommandIo },
  command: () => Promise<Printed>,
): Promise<number> {
  try {
    const printed = await command();
    const { text, exitCode } = typeof printed === 'string' ? { text: printed, exitCode: 0 } : printed;
    io.stdout.write(text);
    return exitCode;
  } catch (error) {
    if (isUsageError(error)) {
      io.stderr.write(`${name}: ${error.message}\n\n${help}`);
      return 2;
    }
    const reason = reasonOf(error);
    if (reason === undefined) throw error;
    io.stderr.write(`${name}: ${reason}\n`);
    return 1;
  }
}

/** By name: their classes would load a database driver and readers of key files for commands that need neither. */
const operatorErrors: ReadonlySet<string> = new Set([
  'CommandFailed',
  'ConfigError',
  'KeyFileError',
  'MigrationFailed',
  'MigrationRefused',
  'NotReady',
  'Pkcs12Error',
]);

/** What an operator can act on, or undefined for a fault of the hub itself. */
function reasonOf(error: unknown): string | undefined {
  if (error instanceof Refusal) {
    const detail = Object.keys(error.detail).length === 0 ? '' : ` ${JSON.stringify(error.detail)}`;
    const { detail: happened, next } = problems[error.code];
    return `refused: ${error.code}${detail}\n  ${happened.en} ${next.en}\n  ${happened.zh}${next.zh}`;
  }
  if (!(error instanceof Error)) return undefined;
  // files and connections name what they could not reach
  return operatorErrors.has(error.name) || 'syscall' in error ? error.message : undefined;
}

/** An option that must be given. @throws UsageError */
export function required(value: string | boolean | undefined, option: string): string {
  if (typeof value !== 'string' || value === '') throw new UsageError(`--${option} is missing`);
  return value;
}
