import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { foundRecords } from '../../src/audit/search/found-record.ts';
import type { RecordFilter } from '../../src/audit/search/record-filter.ts';
import { type Position, selectRecords } from '../../src/audit/search/search-store.ts';
import type { ApiClient } from '../../src/cli/api-client.ts';
import { connect, type Database } from '../../src/db/database.ts';
import type { EmbeddedServer } from '../../src/db/embedded.ts';
import { runSql } from '../support/database.ts';
import { exampleKeys } from '../support/start-hub.ts';
import { entry, otherRecorder } from './log.ts';

export interface AuditBench {
  readonly server: EmbeddedServer;
  readonly auditor: ApiClient;
  readonly url: string;
  readonly sequence: (wanted: 'on' | 'off') => Promise<void>;
  /** Rows among which is searched. */
  readonly records: number;
  readonly say: (text: string) => void;
}

const checkedRecords = 100_000;

/** How fast a hub checks its own records, an outsider an export of them, and an auditor finds some among many. */
export async function benchAudit(bench: AuditBench): Promise<void> {
  const { server, sequence, say } = bench;
  const folder = mkdtempSync(join(tmpdir(), 'certhub-bench-audit-'));
  try {
    const recorder = otherRecorder(server.urls.service);
    await sequence('on');
    await Promise.all(Array.from({ length: checkedRecords }, (_, i) => recorder.record(entry(i))));
    await recorder.close();
    const size = await quiet(server);
    await benchExport(bench, folder, size);
    await sequence('off');
    const env = {
      CERTHUB_MODE: 'demo',
      CERTHUB_KEYS_DIR: 'keys-example',
      CERTHUB_ISSUER: 'http://hub.test',
      DATABASE_URL: server.urls.service,
    };
    const self = await timed(['fsck', '--json'], { ...process.env, ...env });
    say(`fsck: ${rate(size, self)}, exit code ${self.code}`);
    await benchSearch(bench, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The size of the log once everything is in a published checkpoint. */
async function quiet(server: EmbeddedServer): Promise<number> {
  for (;;) {
    const { rows } = await runSql(
      server.urls.owner,
      'select size::int, published_size::int as published, (select count(*)::int from log_queue) as waiting from log_state',
    );
    const [state] = rows as { size: number; published: number; waiting: number }[];
    if (state !== undefined && state.waiting === 0 && state.published === state.size) return state.size;
    await sleep(200);
  }
}

async function benchExport({ url, auditor, say }: AuditBench, folder: string, size: number): Promise<void> {
  const file = join(folder, 'export.ndjson');
  const begun = performance.now();
  const answer = await fetch(`${url}/v1/audit/exports`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await auditor.token()}`, 'content-type': 'application/json' },
    body: JSON.stringify({ reason: 'bench', kind: 'range', format: 'ndjson', begin: 0, end: size }),
  });
  if (!answer.ok || answer.body === null) throw new Error(`export: ${answer.status} ${await answer.text()}`);
  await pipeline(Readable.fromWeb(answer.body as Parameters<typeof Readable.fromWeb>[0]), createWriteStream(file));
  const seconds = (performance.now() - begun) / 1_000;
  say(`export of a range of ${size} opened records over HTTP: ${(size / seconds).toFixed(0)} records/s`);
  const key = (await (await fetch(`${url}/log/key`)).text()).trim();
  const verified = await timed(['audit', 'verify', file, '--log-key', key], process.env);
  say(`audit verify of that file: ${rate(size, verified)}, exit code ${verified.code}`);
}

interface Timed {
  readonly seconds: number;
  /** Of a processor, all threads together; what other processes on the machine take makes it no longer. */
  readonly cpuSeconds: number;
  readonly megabytes: number;
  readonly code: number | null;
}

const rate = (records: number, { seconds, cpuSeconds, megabytes }: Timed): string =>
  `${(records / seconds).toFixed(0)} records/s with start-up, ${(records / cpuSeconds).toFixed(0)} per CPU second (${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} of CPU, ${megabytes.toFixed(0)} MB at most)`;

/** Runs a command in a process of its own: its seconds, and the most memory it had. */
async function timed(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<Timed> {
  const begun = performance.now();
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', 'src/cli/certhub.ts', ...argv], {
    env,
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  let [kilobytes, ticks] = [0, 0];
  const timer = setInterval(() => {
    try {
      const [, most = '0'] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? [];
      kilobytes = Math.max(kilobytes, Number(most));
      // proc(5): utime and stime, in hundredths of a second; the name before them may hold anything but ends with the last bracket.
      const [, user, system] =
        /.*\) \S(?: \S+){10} (\d+) (\d+)/.exec(readFileSync(`/proc/${child.pid}/stat`, 'utf8')) ?? [];
      ticks = Math.max(ticks, Number(user) + Number(system));
    } catch {
      // It has ended, or this system has no /proc.
    }
  }, 100);
  const code = await new Promise<number | null>((resolve) => child.once('exit', resolve));
  clearInterval(timer);
  return {
    seconds: (performance.now() - begun) / 1_000,
    cpuSeconds: ticks / 100,
    megabytes: kilobytes / 1_024,
    code,
  };
}

const searches = 200;
/** The first one warms both sides. */
const rounds = 4;

/**
 * The statement of a page: in the hub until its rows are objects, in psql until its rows are received, by the same socket and role.
 * Then what the hub does beyond that statement for every page: to open and prove its records, each with a body.
 */
async function benchSearch({ server, records, say }: AuditBench, folder: string): Promise<void> {
  const db = connect({ url: server.urls.service, max: 1, statementTimeoutMs: 60_000, applicationName: 'bench search' });
  try {
    const pages = await benchOpening(db);
    await fill(server, records, say);
    const filters = Array.from({ length: searches }, (_, i) => filterOf(i));
    const script = join(folder, 'search.sql');
    const statements = await Promise.all(filters.map((filter) => statementOf(filter)));
    writeFileSync(script, `\\timing on\n\\o /dev/null\n${statements.map((text) => `${text};\n`).join('')}`);
    const [hub, psql]: [number[], number[]] = [[], []];
    for (let round = 0; round < rounds; round += 1) {
      const [ours, theirs] = [await searchTimes(db, filters), psqlTimes(script, server.urls.service)];
      if (round > 0) hub.push(...ours);
      if (round > 0) psql.push(...theirs);
    }
    const ratio = percentile(hub, 0.95) / percentile(psql, 0.95);
    say(
      `search among ${records} records, statement of a page of 50: p95 ${percentile(hub, 0.95).toFixed(2)} ms, the same SQL in psql ${percentile(psql, 0.95).toFixed(2)} ms, ratio ${ratio.toFixed(2)} (p50 ${percentile(hub, 0.5).toFixed(2)} and ${percentile(psql, 0.5).toFixed(2)} ms)`,
    );
    say(
      `a whole page of 50 records with bodies, opened and proved: p95 ${percentile(pages.whole, 0.95).toFixed(2)} ms, of which its statement ${percentile(pages.statement, 0.95).toFixed(2)} ms (p50 ${percentile(pages.whole, 0.5).toFixed(2)} and ${percentile(pages.statement, 0.5).toFixed(2)} ms)`,
    );
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ENOENT') throw error;
    say('search: psql is not installed');
  } finally {
    await db.close();
  }
}

async function searchTimes(db: Database, filters: readonly RecordFilter[]): Promise<number[]> {
  const times: number[] = [];
  for (const filter of filters) {
    const begun = performance.now();
    await selectRecords(db, { filter, limit: 51 });
    times.push(performance.now() - begun);
  }
  return times;
}

const psqlTimes = (script: string, url: string): number[] =>
  [...execFileSync('psql', ['-X', '-q', '-f', script, url], { encoding: 'utf8' }).matchAll(/^Time: ([\d.]+) ms/gm)].map(
    ([, ms]) => Number(ms),
  );

/** Pages of the records that the bench wrote through a recorder: those have bodies. */
async function benchOpening(db: Database): Promise<{ readonly whole: number[]; readonly statement: number[] }> {
  const [whole, statement]: [number[], number[]] = [[], []];
  const deps = { db, keys: exampleKeys, tampered: (_: string, id: string) => fail(`record ${id} is not whole`) };
  let before: Position | undefined;
  for (let page = 0; page < searches; page += 1) {
    const begun = performance.now();
    const filter = { clientId: 'school-enrolment' };
    const rows = await selectRecords(db, { filter, limit: 51, ...(before !== undefined && { before }) });
    statement.push(performance.now() - begun);
    await foundRecords(deps, rows.slice(0, 50));
    whole.push(performance.now() - begun);
    const last = rows[49];
    if (last === undefined) break;
    before = { micros: last.micros, recordId: last.record_id };
  }
  return { whole, statement };
}

const fail = (reason: string): never => {
  throw new Error(reason);
};

const percentile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? Number.NaN;

/** Rows of common shape over the last thirty days; without bodies, which a search opens only for the rows of its page. */
async function fill(server: EmbeddedServer, records: number, say: (text: string) => void): Promise<void> {
  const begun = performance.now();
  const chunk = 250_000;
  for (let done = 0; done < records; done += chunk) {
    await runSql(
      server.urls.owner,
      `insert into records (lane, record_id, recorded_at, kind, action, outcome, code, client_id, department_code, matter_code, case_key,
         officer_key, holder_key, commitment, level, certificates, certificate_types)
       select i % 4, gen_random_uuid(), now() - (i % 2592000) * interval '1 second' - interval '1 minute', 1, 'lookUp',
         case when i % 11 = 0 then 'refused' else 'answered' end, case when i % 11 = 0 then 'grant_required' end,
         'client-' || i % 40, '1199990010000' || lpad((i % 20)::text, 5, '0'), 'matter-' || i % 25,
         decode('01' || md5('case' || i), 'hex'), decode('01' || md5('officer' || i % 800), 'hex'),
         decode('01' || md5('holder' || (i * 7919::bigint) % 500000), 'hex'), decode(md5('a' || i) || md5('b' || i), 'hex'),
         case when i % 3 = 0 then 'compare' else 'fields' end, array['1.2.156.3005.2.x.' || i % 1000000], array['type-' || i % 60]
       from generate_series(${done + 1}::bigint, ${Math.min(done + chunk, records)}::bigint) as i`,
    );
  }
  await runSql(server.urls.owner, 'analyze records');
  say(`filled in ${records} rows in ${((performance.now() - begun) / 1_000).toFixed(0)} s`);
}

const keyOf = (name: string): readonly Buffer[] => [
  Buffer.from(`01${createHash('md5').update(name).digest('hex')}`, 'hex'),
];

/** The axes in turn, as auditors ask: mostly about somebody, sometimes about a system or an office over some days. */
function filterOf(i: number): RecordFilter {
  const day = new Date(Date.now() - (1 + (i % 20)) * 86_400_000);
  const ways: readonly RecordFilter[] = [
    { holderKeys: keyOf(`holder${i * 31}`) },
    { caseKeys: keyOf(`case${i * 977 + 1}`) },
    { officerKeys: keyOf(`officer${i}`), until: day },
    { clientId: `client-${i % 40}`, outcome: 'refused' },
    { certificate: `1.2.156.3005.2.x.${i * 503}` },
    { certificateTypeCode: `type-${i % 60}`, until: day },
    { departmentCode: `1199990010000${String(i % 20).padStart(5, '0')}`, matterCode: `matter-${i % 25}`, until: day },
    { level: 'compare', kinds: [1], from: day },
  ];
  return ways[i % ways.length] ?? {};
}

/** The statement that the hub would send, with its values written into it. */
async function statementOf(filter: RecordFilter): Promise<string> {
  let text = '';
  const db: Pick<Database, 'queryByValues'> = {
    queryByValues: async (sql, values) => {
      text = sql.replaceAll(/\$(\d+)/g, (_, at: string) => literal(values[Number(at) - 1]));
      return [];
    },
  };
  await selectRecords(db, { filter, limit: 51 });
  return text;
}

function literal(value: unknown): string {
  if (Buffer.isBuffer(value)) return `'\\x${value.toString('hex')}'::bytea`;
  if (value instanceof Date) return `'${value.toISOString()}'::timestamptz`;
  if (Array.isArray(value)) return `array[${value.map(literal).join(', ')}]`;
  return typeof value === 'number' ? String(value) : `'${String(value).replaceAll("'", "''")}'`;
}
