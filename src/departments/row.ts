import type { Kysely, Transaction } from 'kysely';
import type { Database } from '../db/database.ts';
import type { Tables } from '../db/tables.ts';
import type { EncryptionKeys } from '../signing/data-keys.ts';
import { canonicalJson } from '../verification/canonical-json.ts';

/** A place to run statements: the pool or a transaction. */
export type Handle = Kysely<Tables> | Transaction<Tables>;

/** Makes and checks the MACs that only the hub's keys can make: no SQL alone registers anybody. */
export type RowMacs = Pick<EncryptionKeys, 'rowMac' | 'verifyRowMac'>;

/** Told of every row that is not as the hub wrote it. Such a row counts for nothing. */
export type Tampered = (kind: string, id: string) => void;

/** What reading registry rows needs. */
export interface ReadDeps {
  readonly keys: RowMacs;
  readonly tampered: Tampered;
}

/** What reading the registry from the database needs. */
export interface ReadRegistryDeps extends ReadDeps {
  readonly db: Pick<Database, 'kysely'>;
}

/** Which page of a list: entries after a key, at most so many. */
export interface PageOf {
  readonly after?: string | undefined;
  readonly limit: number;
}

/** A page of a list; `next` goes into `after` of the next question and is absent on the last page. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next?: string;
}

/** One value of a row as it enters the MAC. */
type Column = string | number | boolean | null | Date | Buffer | readonly Buffer[];

/** The bytes a row's MAC covers: all its columns but `mac`, in a fixed order; times in epoch milliseconds, bytes in hex. */
export function rowBytes(columns: readonly Column[]): Buffer {
  const plain = columns.map((column) => {
    if (column instanceof Date) return column.getTime();
    if (Buffer.isBuffer(column)) return column.toString('hex');
    return Array.isArray(column) ? column.map((bytes: Buffer) => bytes.toString('hex')) : column;
  });
  return Buffer.from(canonicalJson(plain), 'utf8');
}

/** The row with its MAC. */
export const withMac = <Row extends object>(
  keys: RowMacs,
  kind: string,
  row: Row,
  bytes: (row: Row) => Buffer,
): Row & { mac: Buffer } => ({ ...row, mac: keys.rowMac(kind, bytes(row)) });

/** True for a row the hub wrote; reports any other. */
export function isGenuine(
  { keys, tampered }: ReadDeps,
  kind: string,
  row: { readonly id: string; readonly bytes: Buffer; readonly mac: Buffer },
): boolean {
  if (keys.verifyRowMac(kind, row.bytes, row.mac)) return true;
  tampered(kind, row.id);
  return false;
}

/** What could be read of the rows. */
export const readAll = <Row, T>(rows: readonly Row[], read: (row: Row) => T | undefined): T[] =>
  rows.flatMap((row) => read(row) ?? []);

/** A column that holds canonical JSON. Read only after the row's MAC was checked. */
export const parseBody = (bytes: Buffer): unknown => JSON.parse(bytes.toString('utf8'));

/** The cursor comes from the rows, not from the items: a row left out because it is not the hub's must not end the list. */
export const withNext = <T>(items: readonly T[], next: string | undefined): Page<T> =>
  next === undefined ? { items } : { items, next };
