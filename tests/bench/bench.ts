import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type ApiClient, apiClient } from '../../src/cli/api-client.ts';
import { type DemoPush, demoPushes, demoTypes } from '../../src/cli/demo/certificates.ts';
import { loadCity } from '../../src/cli/demo/load.ts';
import { demoClientKey } from '../../src/cli/demo/registry.ts';
import { startEmbedded } from '../../src/db/embedded.ts';
import { migrate, readMigrations } from '../../src/db/migrate.ts';
import { runSql } from '../support/database.ts';
import { putGrant } from '../support/demo-samples.ts';
import { exampleKeys } from '../support/start-hub.ts';
import { benchAudit } from './audit.ts';
import { httpRequest, type LoadResult, load } from './load.ts';
import { benchLog } from './log.ts';
import { benchMatters } from './matters.ts';
import { hasPgbench, pgbench } from './pgbench.ts';

/**
 * `npm run bench -- [--seconds N] [--rounds N] [--records N] [--only lookups,log,audit,matters]`: lookups per second with and without recording,
 * interleaved in one run, and what PostgreSQL alone does with the same statements (`lookups`); what the transparency log costs and how
 * far it is behind (`log`); how fast records are checked and searched (`audit`, among `--records` of them); a matter check beside one lookup (`matters`). Server, database and client
 * share this machine: read the ratios.
 */
const { values: asked } = parseArgs({
  options: {
    seconds: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '3' },
    records: { type: 'string', default: '1000000' },
    only: { type: 'string', default: 'lookups,log,audit,matters' },
  },
});
const [seconds, rounds] = [Number(asked.seconds), Number(asked.rounds)];
const parts = new Set(asked.only.split(','));
const connections = 32;
const certificates = 1_000;
const issuer = 'http://hub.test';
const say = (text: string): void => void process.stdout.write(`${text}\n`);

const folder = mkdtempSync(join(tmpdir(), 'certhub-bench-'));
const server = await startEmbedded({ dataDir: folder });
try {
  await migrate({ url: server.urls.owner, migrations: await readMigrations() });
  say(
    `machine: ${cpus().length} cores, node ${process.versions.node}, PostgreSQL ${server.version}, load ${loadavg()[0]?.toFixed(2)}`,
  );
  say(`fsync here: ${fsyncMicroseconds(folder).toFixed(0)} µs; synchronous_commit=on, fsync=on`);
  const recording = await hub('recording');
  const silent = await hub('silent');
  try {
    const sequence = (wanted: 'on' | 'off'): Promise<void> =>
      new Promise((resolve) => {
        recording.child.stdout?.once('data', () => resolve());
        recording.child.stdin?.write(`sequence ${wanted}\n`);
      });
    if (parts.has('lookups') || parts.has('log')) await compare(recording.port, silent.port, sequence);
    if (parts.has('matters')) await benchMatters({ clientOf: rememberedClients(recording.port), rounds, say });
    if (parts.has('audit')) {
      const url = `http://127.0.0.1:${recording.port}`;
      const auditor = apiClient({ url, issuer, clientId: 'audit-office', key: demoClientKey('audit-office') });
      await benchAudit({ server, auditor, url, sequence, records: Number(asked.records), say });
    }
  } finally {
    recording.child.kill('SIGTERM');
    silent.child.kill('SIGTERM');
  }
} finally {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function compare(
  recordingPort: number,
  silentPort: number,
  sequence: (wanted: 'on' | 'off') => Promise<void>,
): Promise<void> {
  const clientOf = rememberedClients(recordingPort);
  const begun = performance.now();
  await loadCity(clientOf, certificates);
  const perSecond = certificates / ((performance.now() - begun) / 1_000);
  say(`${certificates} certificates pushed, reviewed and sealed over HTTP: ${perSecond.toFixed(0)}/s (8 at a time)`);
  await putGrant(clientOf, { dailyQuota: 100_000_000 });
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  const pushes = demoPushes(certificates).filter(({ body }) => body.certificateTypeCode === demoTypes.residentIdCard);
  const token = await clientOf('school-enrolment').token();
  const requests = pushes.map((push, i) => lookupRequest(push, i, token));

  const measure = async (port: number): Promise<LoadResult> => {
    const result = await load(port, requests, { connections, seconds });
    if (result.failed > 0) throw new Error(`${result.failed} lookups were not answered`);
    return result;
  };
  await measure(recordingPort);
  await measure(silentPort);
  if (parts.has('log'))
    await benchLog({ server, sequence, measure: () => measure(recordingPort), rounds, seconds, say });
  if (!parts.has('lookups')) return;
  const results: Results = { recording: [], silent: [], pgbench: [] };
  let answered = 0;
  let records = 0;
  for (let round = 0; round < rounds; round += 1) {
    const before = await countRecords();
    const recorded = await measure(recordingPort);
    records += (await countRecords()) - before;
    answered += recorded.answered;
    results.recording.push(recorded);
    results.silent.push(await measure(silentPort));
    if (hasPgbench()) results.pgbench.push(benchDatabase(pushes));
    say(`round ${round + 1}: ${line(results, round)}`);
  }
  say(`${answered} lookups answered, ${records} records written for them`);
  const median = (values: readonly number[]): number =>
    values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
  const on = median(results.recording.map((each) => each.perSecond));
  const off = median(results.silent.map((each) => each.perSecond));
  say(
    `\nmedian lookups/s   recorded ${on.toFixed(0)}   without recording ${off.toFixed(0)}   ratio ${(on / off).toFixed(2)}`,
  );
  if (results.pgbench.length > 0) {
    const raw = median(results.pgbench);
    say(`median pgbench transactions/s of the same read and insert ${raw.toFixed(0)}   ratio ${(on / raw).toFixed(2)}`);
  }
}

/** Clients of a hub that ask for a token once. */
function rememberedClients(port: number): (clientId: string) => ApiClient {
  const clients = new Map<string, ApiClient>();
  return (clientId) => {
    const url = `http://127.0.0.1:${port}`;
    const client = clients.get(clientId) ?? apiClient({ url, issuer, clientId, key: demoClientKey(clientId) });
    clients.set(clientId, client);
    return client;
  };
}

interface Results {
  readonly recording: LoadResult[];
  readonly silent: LoadResult[];
  readonly pgbench: number[];
}

function line({ recording, silent, pgbench: raw }: Results, round: number): string {
  const [on, off, tps] = [recording[round], silent[round], raw[round]];
  const latency = `p50 ${on?.p50.toFixed(1)} ms, p99 ${on?.p99.toFixed(1)} ms`;
  return `recorded ${on?.perSecond.toFixed(0)}/s (${latency}), without ${off?.perSecond.toFixed(0)}/s, pgbench ${tps?.toFixed(0) ?? 'not installed'}`;
}

function lookupRequest(push: DemoPush, i: number, token: string): Buffer {
  const [holder] = push.body.holders;
  const body = {
    purpose: {
      matterCode: 'school-enrolment',
      caseNumber: `CASE-${i}`,
      officer: { id: 'officer-1', name: '经办人' },
      legalBasis: 'own_application',
    },
    level: 'fields',
    holder: { type: holder?.type, number: holder?.number },
    types: [{ certificateTypeCode: demoTypes.residentIdCard, fields: ['name', 'birthDate'] }],
  };
  return httpRequest('/v1/lookups', body, { authorization: `Bearer ${token}` });
}

function benchDatabase(pushes: readonly DemoPush[]): number {
  const holderKeys = pushes
    .slice(0, 64)
    .map(({ body }) => exampleKeys.holderKey('111', body.holders[0]?.number ?? '').toString('hex'));
  return pgbench({
    url: server.urls.service,
    folder: join(folder, 'pgbench'),
    holderKeys,
    typeCode: demoTypes.residentIdCard,
    clients: connections,
    seconds,
    bodyBytes: 900,
  });
}

async function countRecords(): Promise<number> {
  const { rows } = await runSql(server.urls.service, 'select count(*)::int as n from records');
  return (rows[0] as { n: number }).n;
}

async function hub(mode: 'recording' | 'silent'): Promise<{ child: ChildProcess; port: number }> {
  const { service, sequencer } = server.urls;
  const child = spawn(process.execPath, ['--import', 'tsx', 'tests/bench/server.ts', service, mode, sequencer], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const port = await new Promise<number>((resolve, reject) => {
    child.stdout?.once('data', (chunk: Buffer) => resolve(Number(chunk.toString())));
    child.once('exit', (code) => reject(new Error(`the hub ended with ${code}`)));
  });
  return { child, port };
}

/** Median time of a write and fsync of 8 KiB in the data folder. */
function fsyncMicroseconds(where: string): number {
  const file = openSync(join(where, 'fsync-probe'), 'w');
  const times = Array.from({ length: 200 }, (_, i) => {
    const begun = performance.now();
    writeSync(file, Buffer.alloc(8_192, i), 0, 8_192, 0);
    fsyncSync(file);
    return (performance.now() - begun) * 1_000;
  });
  closeSync(file);
  return times.toSorted((a, b) => a - b)[100] ?? Number.NaN;
}
