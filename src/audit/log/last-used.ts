/** A memory of bounded size. */
export interface LastUsed<T> {
  readonly get: (key: string) => T | undefined;
  readonly set: (key: string, value: T) => void;
}

/** Keeps `limit` values at most: the one that was not asked for longest goes first. */
export function lastUsed<T>(limit: number): LastUsed<T> {
  // A Map keeps the order in which its keys were set.
  const kept = new Map<string, T>();
  const set = (key: string, value: T): void => {
    kept.delete(key);
    kept.set(key, value);
    const [oldest] = kept.keys();
    if (kept.size > limit && oldest !== undefined) kept.delete(oldest);
  };
  return {
    get: (key) => {
      const value = kept.get(key);
      if (value !== undefined) set(key, value);
      return value;
    },
    set,
  };
}
