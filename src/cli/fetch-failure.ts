/** Why `fetch` got no answer: the cause says it, the error itself only that it failed. */
export function fetchFailure(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return cause instanceof Error && cause.message !== '' ? cause.message : 'no answer';
}
