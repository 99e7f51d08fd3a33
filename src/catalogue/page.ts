/** Which page of a list: entries after a key, at most so many. */
export interface PageOf {
  readonly after?: string;
  readonly limit?: number;
}
export interface Page<T> {
  readonly items: readonly T[];
  /** `after` of the next page; absent on the last one. */
  readonly next?: string;
}

const defaultLimit = 50;

/** A page by key; keys are distinct, and what is added meanwhile shifts nothing. */
export function pageBy<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
  { after, limit = defaultLimit }: PageOf,
): Page<T> {
  const rest = items
    .map((item) => ({ key: keyOf(item), item }))
    .filter(({ key }) => after === undefined || key > after)
    .toSorted((a, b) => (a.key < b.key ? -1 : 1));
  const page = rest.slice(0, limit);
  const last = rest.length > limit ? page.at(-1) : undefined;
  return { items: page.map(({ item }) => item), ...(last !== undefined && { next: last.key }) };
}
