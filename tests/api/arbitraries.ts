import fc from 'fast-check';
import { resolve, type Schema } from '../../src/http/contract.ts';
import { contract } from './world.ts';

type Any = fc.Arbitrary<unknown>;

/** Texts that break careless software. None of them may come back in a problem. */
export const hostile: readonly string[] = [
  "'; DROP TABLE certificates; --",
  "' OR '1'='1' UNION SELECT body FROM records --",
  '$' + '{7*7}{{constructor.constructor("return process")()}}<%= 7*7 %>',
  '<script>alert(1)</script><img src=x onerror=alert(1)>',
  '../../../../etc/passwd',
  'line one\r\nset-cookie: a=1\r\n\r\n{"level":"fatal"}',
  '\u0007\u001b[31mred\u001b[0m\u007f\u0085',
  '\u202e\u2066right to left\u2069\u202c',
  '𠮷𝒳👩‍👩‍👧‍👦 four bytes each',
  'é\u0301\u0323 ﷺ ﬀ Ǆ ẞ combining and folding',
  '%00%0a%s%n%x{0}',
  '__proto__ constructor toString hasOwnProperty',
  '9'.repeat(400),
  '金丝雀'.repeat(60),
];

/** Identifiers and numbers at the edge of what a reader takes. */
const odd: Readonly<Record<string, readonly unknown[]>> = {
  date: [
    '0000-01-01',
    '0001-01-01',
    '1582-10-10',
    '1900-02-28',
    '2000-02-29',
    '2024-02-29',
    '9999-12-31',
    '2026-11-22',
  ],
  time: [
    '0000-01-01T00:00:00Z',
    '1970-01-01T00:00:00Z',
    '2024-02-29T23:59:59.999999999Z',
    '2026-11-22T08:00:00Z',
    '9999-12-31T23:59:59Z',
  ],
};

/** Values that exist, or could, by the name of the member or parameter: without them nothing deeper than the schema is reached. */
export type Pools = Readonly<Record<string, readonly unknown[]>>;

const text = (min: number, max: number): fc.Arbitrary<string> =>
  fc
    .oneof(
      { weight: 2, arbitrary: fc.constantFrom(...hostile) },
      {
        weight: 3,
        arbitrary: fc.string({ unit: 'grapheme', minLength: Math.min(min, 40), maxLength: Math.min(max, 40) }),
      },
      { weight: 1, arbitrary: fc.nat(Math.min(max, longest)).map((length) => '长'.repeat(Math.max(length, min))) },
    )
    .map((value) => fit(value, min, max));

/** Longer texts than this are the bad-input tests' business. */
const longest = 3_000;

/** Cut to length by characters, as JSON Schema counts them, and never without a half of one. */
const fit = (value: string, min: number, max: number): string => {
  const characters = Array.from(value.replaceAll('\0', '')).slice(0, max);
  return characters.length < min || !/\S/.test(characters.join(''))
    ? 'x'.repeat(Math.max(min, Math.min(max, 1)))
    : characters.join('');
};

const matching = (pattern: string, min: number, max: number): fc.Arbitrary<string> =>
  fc
    .stringMatching(new RegExp(pattern), { size: 'small' })
    .filter((value) => value.length >= min && value.length <= max && !value.includes('\0'));

/** Anything without blanks at its ends. */
const trimmed = '^\\S(?:[\\s\\S]*\\S)?$';

function ofString(schema: Schema): Any {
  const {
    minLength = 0,
    maxLength = 200,
    pattern,
    format,
  } = schema as Record<string, never> & {
    minLength?: number;
    maxLength?: number;
    pattern?: string;
    format?: string;
  };
  if (format === 'date') return fc.constantFrom(...(odd['date'] ?? []));
  if (format === 'date-time') return fc.constantFrom(...(odd['time'] ?? []));
  if (format === 'uuid') return fc.uuid();
  if (pattern === undefined || pattern === '\\S') return text(minLength, maxLength);
  if (pattern === trimmed) return text(minLength, maxLength).map((value) => value.trim());
  if (pattern.startsWith('^1\\.2'))
    return fc.constant('1.2.156.3005.2.11999900100000016A001.11999900100000016A.CANARY.001.0');
  return matching(pattern, minLength, maxLength);
}

/** Any JSON, for what the contract leaves open. */
export const anyJson: Any = fc
  .jsonValue({ maxDepth: 3, stringUnit: 'grapheme' })
  .map(
    (value) => JSON.parse(JSON.stringify(value).replaceAll('__proto__', 'proto').replaceAll('\\u0000', '')) as unknown,
  );

function ofObject(pools: Pools, schema: Schema): Any {
  const properties = (schema['properties'] ?? {}) as Record<string, unknown>;
  const requiredKeys = (schema['required'] ?? []) as string[];
  const model = Object.fromEntries(
    Object.entries(properties).map(([name, node]) => [name, valueOf(pools, node, name)]),
  );
  if (Object.keys(model).length > 0) return fc.record(model, { requiredKeys });
  const least = Number(schema['minProperties'] ?? 0);
  const values = schema['additionalProperties'];
  const value = typeof values === 'object' ? valueOf(pools, values) : anyJson;
  return fc
    .dictionary(fc.stringMatching(/^[a-z][A-Za-z]{0,12}$/), value, { minKeys: least, maxKeys: 4 })
    .map((value) => ({ ...value }));
}

/** Values that are as a schema of the contract says; members that have a pool mostly come from it. */
export function valueOf(pools: Pools, node: unknown, name = ''): Any {
  const schema = resolve(contract, node);
  const pool = pools[name];
  const drawn = ofSchema(pools, schema, name);
  if (pool === undefined || pool.length === 0) return drawn;
  return fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...pool) }, { weight: 1, arbitrary: drawn });
}

function ofArray(pools: Pools, schema: Schema, name: string): Any {
  const minLength = Number(schema['minItems'] ?? 0);
  const bounds = { minLength, maxLength: Math.max(minLength, Math.min(Number(schema['maxItems'] ?? 3), 3)) };
  const item = valueOf(pools, schema['items'], name);
  return schema['uniqueItems'] === true
    ? fc.uniqueArray(item, { ...bounds, selector: (value) => JSON.stringify(value) })
    : fc.array(item, bounds);
}

function ofSchema(pools: Pools, schema: Schema, name: string): Any {
  if ('const' in schema) return fc.constant(schema['const']);
  if (Array.isArray(schema['enum'])) return fc.constantFrom(...(schema['enum'] as unknown[]));
  if (Array.isArray(schema['type']))
    return fc.oneof(...(schema['type'] as string[]).map((type) => ofSchema(pools, { ...schema, type }, name)));
  const { minimum = 0, maximum = 1_000 } = schema as { minimum?: number; maximum?: number };
  switch (schema['type']) {
    case 'string':
      return ofString(schema);
    case 'integer':
      return fc.oneof(fc.integer({ min: minimum, max: maximum }), fc.constantFrom(minimum, maximum));
    case 'number':
      return fc.double({ noNaN: true, noDefaultInfinity: true });
    case 'boolean':
      return fc.boolean();
    case 'array':
      return ofArray(pools, schema, name);
    case 'object':
      return ofObject(pools, schema);
    default:
      throw new Error(`no arbitrary for ${JSON.stringify(schema)}`);
  }
}

/** A sound object with some of its members made anew. */
export const variationsOf = (sound: Readonly<Record<string, unknown>>, generated: Any): Any =>
  fc.tuple(generated, fc.infiniteStream(fc.nat(3))).map(([value, dice]) => {
    const made = Object.entries(value as Record<string, unknown>).filter(() => dice.next().value === 0);
    return { ...sound, ...Object.fromEntries(made) };
  });

/** What is done to a body after it was made; `step` picks the place. */
export interface Mutation {
  readonly kind: (typeof kinds)[number];
  readonly step: number;
  readonly with: unknown;
}
const kinds = ['none', 'replace', 'drop', 'add', 'rename', 'wrap', 'raw'] as const;
/** JSON texts that readers disagree about. */
const raws = [
  '1e400',
  '-0',
  '1.0',
  '12345678901234567890',
  '"\\ud83d"',
  '"\\u0000"',
  '{"a":1,"a":2}',
  '{"__proto__":1}',
  'NaN',
  '[1,]',
  "'x'",
  '1e-400',
];

/** About half of the bodies stay as the contract wants them. */
export const mutations: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.oneof(
    { weight: 6, arbitrary: fc.constant('none' as const) },
    { weight: 6, arbitrary: fc.constantFrom(...kinds) },
  ),
  step: fc.nat(1_000),
  with: fc.oneof(
    anyJson,
    fc.constantFrom(...hostile),
    fc.constantFrom(null, true, 0, -1, 1.5, Number('990000199003070013'), [], {}, ''),
  ),
});

const rawMark = 'raw-text-goes-here';

/** The text of a body after a mutation. */
export function mutated(body: unknown, mutation: Mutation): string {
  const copy = JSON.parse(JSON.stringify(body)) as unknown;
  const places: [holder: Record<string, unknown>, key: string][] = [];
  const walk = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    for (const key of Object.keys(node)) {
      places.push([node as Record<string, unknown>, key]);
      walk((node as Record<string, unknown>)[key]);
    }
  };
  walk(copy);
  const place = places[mutation.step % Math.max(places.length, 1)];
  if (mutation.kind === 'wrap') return JSON.stringify([copy]);
  if (mutation.kind === 'none' || place === undefined) return JSON.stringify(copy);
  const [holder, key] = place;
  const value = holder[key];
  if (mutation.kind === 'replace') holder[key] = mutation.with;
  if (mutation.kind === 'raw') holder[key] = rawMark;
  if (mutation.kind === 'add') holder['canary'] = mutation.with;
  if (mutation.kind === 'drop' || mutation.kind === 'rename') {
    if (Array.isArray(holder)) holder.splice(Number(key), 1);
    else delete holder[key];
  }
  if (mutation.kind === 'rename') holder[`${key}X`] = value;
  return JSON.stringify(copy).replace(`"${rawMark}"`, raws[mutation.step % raws.length] ?? '');
}
