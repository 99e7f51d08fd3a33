/** A command was called in a way that its help does not describe, or with a file that cannot be read: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** True also for what `parseArgs` throws about wrong options. */
export const isUsageError = (error: unknown): error is Error =>
  error instanceof UsageError ||
  (error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'));
