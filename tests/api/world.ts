import { readFileSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import pg from 'pg';
import type { Test } from 'tap';
import { parse } from 'yaml';
import type { ApiClient } from '../../src/cli/api-client.ts';
import { type Contract, type Operation, operationsOf } from '../../src/http/contract.ts';
import type { Role } from '../../src/ids.ts';
import { type StartOptions, startHub, type TestHub } from '../support/start-hub.ts';

export const contract = parse(readFileSync(new URL('../../openapi/certhub.yaml', import.meta.url), 'utf8')) as Contract;
export const operations: readonly Operation[] = operationsOf(contract);

/** One operation of the contract by its id. */
export function operationOf(operationId: string): Operation {
  const found = operations.find((operation) => operation.operationId === operationId);
  if (found === undefined) throw new Error(`the contract has no ${operationId}`);
  return found;
}

export interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string | Uint8Array;
  /** Sends the body without its length. */
  readonly chunked?: boolean;
}
export interface Got {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Unchecked. */
  readonly json: unknown;
}

/** One exchange over a socket, with any header and any bytes. Nothing is added but the length. */
export const send = (url: string, { method, path, headers = {}, body, chunked = false }: Sent): Promise<Got> =>
  new Promise((resolve, reject) => {
    let answered = false;
    const outgoing = request(`${url}${path}`, {
      method,
      headers: {
        ...headers,
        ...(body !== undefined && !chunked && { 'content-length': String(Buffer.byteLength(body)) }),
      },
    });
    outgoing.on('response', (incoming) => {
      answered = true;
      const parts: Buffer[] = [];
      incoming.on('data', (part: Buffer) => parts.push(part));
      incoming.on('error', reject);
      incoming.on('end', () => {
        const text = Buffer.concat(parts).toString('utf8');
        const isJson = /[/+]json\b/.test(incoming.headers['content-type'] ?? '');
        const json: unknown = isJson ? JSON.parse(text) : undefined;
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text, json });
      });
    });
    // The hub may refuse and close while the rest of a large body is still on its way.
    outgoing.on('error', (error) => {
      if (!answered) reject(error);
    });
    outgoing.end(body);
  });

/** The demo client that has this role and no other. */
export const clientOfRole: Readonly<Record<Role, string>> = {
  issuer: 'psb-issuer',
  consumer: 'school-enrolment',
  auditor: 'audit-office',
  admin: 'hub-admin',
  portal: 'citizen-portal',
  grantor: 'psb-grants',
};

/** What the database holds: a digest of every table but the records and their log, and how many records there are. */
export interface Snapshot {
  readonly tables: Readonly<Record<string, string>>;
  readonly records: number;
  readonly lastRecord: Readonly<Record<string, unknown>> | undefined;
}

export interface World {
  readonly hub: TestHub;
  /** One client per name, so that each fetches its token once. */
  readonly client: (clientId: string) => ApiClient;
  readonly sql: (text: string, values?: unknown[]) => Promise<readonly Record<string, unknown>[]>;
  readonly snapshot: () => Promise<Snapshot>;
}

/** A hub on a database of its own, with what these tests look at it through. */
export async function startWorld(t: Test, settings: StartOptions = {}): Promise<World> {
  const hub = await startHub(t, settings);
  const db = new pg.Client({ connectionString: hub.database.superuserUrl });
  await db.connect();
  // Dropping the database ends this connection if teardown comes first.
  db.on('error', () => undefined);
  t.teardown(() => db.end().catch(() => undefined));
  const sql = async (text: string, values: unknown[] = []): Promise<readonly Record<string, unknown>[]> =>
    (await db.query(text, values)).rows as Record<string, unknown>[];
  const names = await sql(
    `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
     and relname not like 'records%' and relname not like 'log\\_%' order by 1`,
  );
  const digests = names
    .map(
      ({ name }) =>
        `select '${String(name)}' as name, count(*) || ' rows ' ||
           md5(coalesce(string_agg(md5(x::text), '' order by md5(x::text)), '')) as digest from "${String(name)}" x`,
    )
    .join(' union all ');
  const clients = new Map<string, ApiClient>();
  return {
    hub,
    client: (clientId) => {
      const known = clients.get(clientId) ?? hub.client(clientId);
      clients.set(clientId, known);
      return known;
    },
    sql,
    snapshot: async () => {
      const rows = await sql(digests);
      const [count] = await sql('select count(*)::int as records from records');
      const [lastRecord] = await sql(
        `select action, outcome, code, client_id from records order by recorded_at desc, record_id desc limit 1`,
      );
      return {
        tables: Object.fromEntries(rows.map(({ name, digest }) => [String(name), String(digest)])),
        records: Number(count?.['records']),
        lastRecord,
      };
    },
  };
}

/** Names of the tables that differ. */
export const changedTables = (before: Snapshot, after: Snapshot): string[] =>
  Object.keys(after.tables).filter((name) => before.tables[name] !== after.tables[name]);

/** A second reading of the contract, that shares no code with the hub's own. */
const ajv = new Ajv2020({ strict: false, allErrors: false });
addFormats.default(ajv);
ajv.addSchema({ $id: 'contract', components: contract.components });
const absolute = (schema: unknown): object =>
  JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', '"contract#/components/')) as object;
const compiled = new WeakMap<object, ValidateFunction>();

/** Why a value is not as a schema of the contract says; undefined when it is. */
export function faultOf(schema: object, value: unknown): string | undefined {
  let check = compiled.get(schema);
  if (check === undefined) {
    check = ajv.compile(absolute(schema));
    compiled.set(schema, check);
  }
  return check(value) ? undefined : ajv.errorsText(check.errors);
}

const problemSchema = contract.components?.['schemas']?.['Problem'] as object;

export interface Problem {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly next: string;
  readonly zh: { readonly title: string; readonly detail: string; readonly next: string };
  readonly context?: Readonly<Record<string, unknown>>;
}

/** What is wrong with the form of a refusal: RFC 9457, every member filled, words in both languages. */
export function faultOfProblem({ status, headers, json }: Got, mediaType = 'application/problem+json'): string[] {
  const faults: string[] = [];
  if (headers['content-type']?.startsWith(mediaType) !== true) faults.push('media type');
  if (headers['cache-control'] !== 'no-store') faults.push('cache-control');
  const fault = faultOf(problemSchema, json);
  if (fault !== undefined) return [...faults, fault];
  const problem = json as Problem;
  if (problem.status !== status) faults.push('status');
  for (const text of [problem.detail, problem.next]) if (!/[a-z]/.test(text)) faults.push('English words');
  for (const text of Object.values(problem.zh)) if (!/\p{Script=Han}/u.test(text)) faults.push('Chinese words');
  return faults;
}
