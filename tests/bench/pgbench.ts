import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface PgbenchInput {
  readonly url: string;
  readonly folder: string;
  /** Holder keys to ask for, as hex. */
  readonly holderKeys: readonly string[];
  readonly typeCode: string;
  readonly clients: number;
  readonly seconds: number;
  /** Bytes of a record's body, as the hub writes them. */
  readonly bodyBytes: number;
}

/** Whether pgbench is installed. */
export const hasPgbench = (): boolean => spawnSync('pgbench', ['--version']).status === 0;

const read = (key: string, typeCode: string): string =>
  `select holder_key, version_id, series, version, identifier, certificate_type_code, type_version, issuing_authority_code,
  state, revocation_reason, effective_from, expires_at, status_list, status_index, revision, box from certificates
  where holder_key = '\\x${key}'::bytea and certificate_type_code = any(array['${typeCode}'])
  and state in ('valid', 'suspended', 'revoked', 'superseded');`;

const insert = (bodyBytes: number): string =>
  `insert into records (lane, record_id, recorded_at, kind, action, outcome, client_id, department_code, matter_code, case_key,
  officer_key, holder_key, commitment, body) values (:client_id, gen_random_uuid(), now(), 1, 'lookUp', 'answered',
  'school-enrolment', '11999900100000075D', 'school-enrolment', '\\x${'01'.repeat(17)}', '\\x${'02'.repeat(17)}',
  '\\x${'03'.repeat(17)}', '\\x${'04'.repeat(32)}', '\\x${'05'.repeat(bodyBytes)}');`;

/** The lookup's read and one record's insert in one transaction, prepared, without any hub: what PostgreSQL alone can do here. */
export function pgbench(input: PgbenchInput): number {
  mkdirSync(input.folder, { recursive: true });
  const files = input.holderKeys.map((key, i) => {
    const file = join(input.folder, `lookup-${i}.sql`);
    writeFileSync(
      file,
      `begin;\n${read(key, input.typeCode)}\n${insert(input.bodyBytes)}\ncommit;\n`.replaceAll('\n  ', ' '),
    );
    return ['-f', file];
  });
  const url = new URL(input.url);
  const result = spawnSync(
    'pgbench',
    ['-n', '-M', 'prepared', '-c', String(input.clients), '-j', '1', '-T', String(input.seconds), ...files.flat()],
    {
      encoding: 'utf8',
      env: {
        ...process.env,
        PGHOST: url.searchParams.get('host') ?? decodeURIComponent(url.hostname),
        PGPORT: url.port === '' ? '5432' : url.port,
        PGUSER: decodeURIComponent(url.username),
        PGPASSWORD: decodeURIComponent(url.password),
        PGDATABASE: url.pathname.slice(1),
      },
    },
  );
  const tps = /tps = ([\d.]+)/.exec(result.stdout)?.[1];
  if (tps === undefined) throw new Error(`pgbench failed: ${result.stderr.slice(-400)}`);
  return Number(tps);
}
