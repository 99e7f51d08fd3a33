import type pg from 'pg';

/** Columns of a table as PostgreSQL knows them. */
export type TableShape = readonly { readonly column: string; readonly type: string; readonly nullable: boolean }[];

export async function tableShape(query: (sql: string) => Promise<pg.QueryResult>, table: string): Promise<TableShape> {
  const { rows } = await query(`select column_name as column, udt_name as type, is_nullable = 'YES' as nullable
    from information_schema.columns where table_name = '${table}' order by ordinal_position`);
  return rows as { column: string; type: string; nullable: boolean }[];
}

/** A change of one value: which values it can be made to, and the SQL expression of the new one. */
export interface ValueChange {
  readonly name: string;
  readonly fits: (value: unknown) => boolean;
  readonly sql: (column: string, value: unknown) => string;
}

/** Positions of a value: first, last, and some between that differ from column to column but not from run to run. */
const positions = ['first', 'last', 'some', 'other'] as const;
type Position = (typeof positions)[number];

let seed = 20_261_122;
function pseudoRandom(below: number): number {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
  return (seed >>> 8) % below;
}

function place(position: Position, length: number): number {
  if (position === 'first') return 0;
  return position === 'last' ? length - 1 : pseudoRandom(length);
}

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
/** Another character of the same kind in its place. */
function otherText(text: string, position: Position): string {
  const characters = Array.from(text);
  const at = place(position, characters.length);
  const old = characters[at] ?? '';
  characters[at] = old === 'x' ? 'y' : 'x';
  return characters.join('');
}

function otherHex(text: string, position: Position): string {
  const digits = Array.from(text);
  const places = digits.flatMap((digit, at) => (digit === '-' ? [] : [at]));
  const at = places[place(position, places.length)] ?? 0;
  digits[at] = ((Number.parseInt(digits[at] ?? '0', 16) + 1) % 16).toString(16);
  return digits.join('');
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isBytes = (value: unknown): value is Buffer => Buffer.isBuffer(value) && value.length > 0;
const isPresent = (value: unknown): boolean => value !== null;
const isList = (value: unknown): value is unknown[] => Array.isArray(value) && value.length > 0;
const bytea = (bytes: Buffer): string => `'\\x${bytes.toString('hex')}'::bytea`;

function otherBytes(bytes: Buffer, position: Position): Buffer {
  const changed = Buffer.from(bytes);
  const at = place(position, changed.length);
  changed[at] = (changed[at] ?? 0) ^ (1 << pseudoRandom(8));
  return changed;
}

const perType: Readonly<Record<string, readonly ValueChange[]>> = {
  bytea: positions.map((position) => ({
    name: `${position} byte`,
    fits: isBytes,
    sql: (_, value) => bytea(otherBytes(value as Buffer, position)),
  })),
  text: positions.map((position) => ({
    name: `${position} character`,
    fits: isText,
    sql: (_, value) => literal(otherText(value as string, position)),
  })),
  uuid: positions.map((position) => ({
    name: `${position} digit`,
    fits: isText,
    sql: (_, value) => literal(otherHex(value as string, position)),
  })),
  int2: [1, 64, 4096].map(bit),
  int4: [1, 512, 131_072, 16_777_216].map(bit),
  int8: [1, 512, 131_072, 16_777_216].map(bit),
  // Eight bytes of microseconds: the lowest, and those above it.
  timestamptz: ['1 microsecond', '1024 microseconds', '1.048576 seconds', '18 minutes', '12 days'].map((step) => ({
    name: `+ ${step}`,
    fits: isPresent,
    sql: (column) => `${column} + interval '${step}'`,
  })),
  _text: positions.map((position) => ({
    name: `${position} character of the first`,
    fits: isList,
    sql: (_, value) =>
      `array[${(value as string[]).map((each, at) => literal(at === 0 ? otherText(each, position) : each)).join()}]`,
  })),
  _bytea: positions.map((position) => ({
    name: `${position} byte of the last`,
    fits: isList,
    sql: (_, value) =>
      `array[${(value as Buffer[]).map((each, at, all) => bytea(at === all.length - 1 ? otherBytes(each, position) : each)).join()}]`,
  })),
};

function bit(value: number): ValueChange {
  return { name: `bit ${Math.log2(value)}`, fits: isPresent, sql: (column) => `${column} # ${value}` };
}

const somethings: Readonly<Record<string, string>> = {
  bytea: `'\\x01'::bytea`,
  text: `'x'`,
  timestamptz: 'now()',
  _text: `'{x}'::text[]`,
  _bytea: `array['\\x01'::bytea]`,
};

/** Changes that a value of this type can suffer: a byte at several positions, emptied, filled. */
export function changesOf(type: string, nullable: boolean): readonly ValueChange[] {
  const filled = somethings[type];
  return [
    ...(perType[type] ?? []),
    ...(nullable ? [{ name: 'emptied', fits: isPresent, sql: () => 'null' }] : []),
    ...(nullable && filled !== undefined
      ? [{ name: 'filled', fits: (value: unknown) => value === null, sql: () => filled }]
      : []),
  ];
}
