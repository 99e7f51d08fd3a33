import { canonicalJson } from '../../src/verification/canonical-json.ts';
import { exampleKeys } from './start-hub.ts';

type Row = Readonly<Record<string, unknown>>;

const bytesOf = (columns: readonly unknown[]): Buffer =>
  Buffer.from(
    canonicalJson(
      columns.map((column) => {
        if (column instanceof Date) return column.getTime();
        if (Buffer.isBuffer(column)) return column.toString('hex');
        return Array.isArray(column) ? column.map((each: Buffer) => each.toString('hex')) : column;
      }),
    ),
  );

const covered: Readonly<Record<string, readonly [kind: string, (row: Row) => Buffer]>> = {
  clients: [
    'clients',
    (row) => bytesOf(['client_id', 'department_code', 'body', 'disabled_at', 'created_at'].map((name) => row[name])),
  ],
  client_keys: [
    'client_keys',
    (row) => bytesOf(['client_id', 'kid', 'jwk', 'thumbprint', 'created_at', 'revoked_at'].map((name) => row[name])),
  ],
  seal_x509: [
    'seal_x509',
    (row) =>
      bytesOf(
        ['sha256', 'department_code', 'chain', 'valid_from', 'valid_until', 'revoked_at'].map((name) => row[name]),
      ),
  ],
  grants: [
    'grant',
    (row) =>
      bytesOf([
        row['grant_id'],
        row['client_id'],
        row['certificate_type_code'],
        String(row['body']),
        row['created_at'],
        row['suspended_at'] ?? null,
        row['revoked_at'],
      ]),
  ],
};

/** The MAC that a row of the registry had in an older state: a superuser who copied the row then has it. */
export function withdrawnMac(table: string, row: Row): Buffer {
  const [kind, bytes] = covered[table] ?? [];
  if (kind === undefined || bytes === undefined) throw new Error(`${table} has no MAC`);
  return exampleKeys.rowMac(kind, bytes(row));
}
