/**
 * Makes a reader that loads at most once per `maxAgeMs`: a value counts as old from the moment its load began, so
 * that nobody sees a state older than that; concurrent readers share one load. A failed load is not remembered:
 * stale answers are worse than none where a revocation may be waiting. `clock` is monotonic, in milliseconds.
 */
export function remembering<T>(
  load: () => Promise<T>,
  options: { readonly maxAgeMs: number; readonly clock?: () => number },
): () => Promise<T> {
  const clock = options.clock ?? (() => performance.now());
  let latest: { readonly begun: number; readonly value: Promise<T> } | undefined;
  return () => {
    const now = clock();
    if (latest !== undefined && now - latest.begun < options.maxAgeMs) return latest.value;
    const mine = { begun: now, value: load() };
    latest = mine;
    mine.value.catch(() => {
      if (latest === mine) latest = undefined;
    });
    return mine.value;
  };
}
