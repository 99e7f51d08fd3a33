import { mkdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { Writable } from 'node:stream';
import { parseArgs } from 'node:util';
import { readConfig } from '../config.ts';
import { assembleHub } from '../hub.ts';
import { loadKeys } from '../signing/key-store.ts';
import { type ApiClient, apiClient } from './api-client.ts';
import type { CommandIo } from './command-io.ts';
import { tellAuditStory } from './demo/audit-story.ts';
import { loadCity } from './demo/load.ts';
import { tellMatterStory } from './demo/matter-story.ts';
import { demoClientKey, exampleFolder, registerDemo } from './demo/registry.ts';
import { type Told, tellStory } from './demo/story.ts';
import { tellSupervisionStory } from './demo/supervision-story.ts';
import { type Teller, teller } from './demo/teller.ts';
import { type DemoWitness, startDemoWitness } from './demo/witness.ts';
import { type OpenedHub, openHub } from './open.ts';
import { runCommand } from './run-command.ts';
import { toldToStop } from './told-to-stop.ts';
import { UsageError } from './usage-error.ts';

export const help = `certhub demo: see the whole hub at work on synthetic data

  certhub demo [--exit] [--certificates N]
      starts the embedded PostgreSQL and a hub with the published demo keys, issues N certificates (500), tells the story of one
      certificate step by step, then stays up and prints commands to paste. With --exit it ends after the story.

  Never for real data: the keys are public. Exit code: 0 every step went as told · 1 one did not · 2 wrong usage
`;

/** Runs `certhub demo`. Exit code 0: every step went as told; 1: one did not, with the reason; 2: wrong usage. */
export const run = (argv: readonly string[], io: CommandIo): Promise<number> =>
  runCommand({ name: 'certhub demo', help, io }, async () => {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        exit: { type: 'boolean', default: false },
        certificates: { type: 'string', default: '500' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.help) return help;
    const count = Number(values.certificates);
    if (!Number.isInteger(count) || count < 50 || count > 100_000) {
      throw new UsageError('--certificates must be a whole number from 50 to 100000');
    }
    await show(count, values.exit, io);
    return '';
  });

async function show(count: number, exit: boolean, io: CommandIo): Promise<void> {
  const begun = performance.now();
  const since = (): string => `${((performance.now() - begun) / 1000).toFixed(1)} s`;
  const output = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      io.stdout.write(chunk.toString('utf8'));
      done();
    },
  });
  const tell = teller(output, { color: process.stdout.isTTY === true });
  tell.line('certhub demo: synthetic people, published keys, real database, real signatures, real HTTP');
  const env = { CERTHUB_LOG_LEVEL: 'warn', ...io.env, CERTHUB_MODE: 'demo', CERTHUB_KEYS_DIR: exampleFolder };
  const witness = await witnessOf(env);
  try {
    const witnessed = { CERTHUB_WITNESS_POLICY: witness?.policyFile, ...env };
    const opened = await openHub(witnessed, (line) => tell.line(`   ${line}`), { serves: true });
    try {
      await demo(opened, { tell, since, count, exit });
    } finally {
      await opened.close();
    }
  } finally {
    await witness?.close();
  }
}

/** The audit office's witness, unless the settings name others or leave the log to another process. */
async function witnessOf(env: Readonly<Record<string, string | undefined>>): Promise<DemoWitness | undefined> {
  const { witnessPolicy, sequencer, dataDir, keysDir, logOrigin } = readConfig(env, {
    nodeVersion: process.versions.node,
  });
  if (witnessPolicy !== undefined || !sequencer) return undefined;
  return startDemoWitness({
    folder: join(dataDir, 'demo-witness'),
    keys: loadKeys(keysDir, { mode: 'demo' }),
    logOrigin,
  });
}

interface DemoRun {
  readonly tell: Teller;
  readonly since: () => string;
  readonly count: number;
  readonly exit: boolean;
}

async function demo({ core, config }: OpenedHub, { tell, since, count, exit }: DemoRun): Promise<void> {
  await registerDemo(core);
  // The demo itself calls more often than a stranger may.
  const generous = { max: 1_000_000, windowMilliseconds: 60_000 };
  const hub = await assembleHub(core, { tokenRateLimit: generous, publicRateLimit: generous });
  try {
    await hub.app.listen({ host: config.host, port: config.port });
    tell.line(`   the hub answers at ${config.issuer} (${since()})`);
    const url = `http://${config.host}:${config.port}`;
    const clients = new Map<string, ApiClient>();
    const clientOf = (clientId: string): ApiClient => {
      const known = clients.get(clientId);
      if (known !== undefined) return known;
      const client = apiClient({ url, issuer: config.issuer, clientId, key: demoClientKey(clientId) });
      clients.set(clientId, client);
      return client;
    };
    await loadCity(clientOf, count);
    tell.line(`   ${count} certificates of the demo city are pushed, reviewed and sealed (${since()})`);

    const folder = join(config.dataDir, 'demo');
    mkdirSync(folder, { recursive: true });
    const story = {
      clientOf,
      anyone: apiClient({ url, issuer: config.issuer, clientId: 'anyone' }),
      tell,
      folder,
      now: core.now,
      runId: core.now().toISOString().replace(/\D/g, '').slice(2, 14),
    };
    const told = await tellStory(story);
    const asked = await tellMatterStory({ ...story, issuer: config.issuer });
    const { idNumber, recordId, revoked } = told;
    await tellSupervisionStory({ ...story, revoked });
    if (config.sequencer) await tellAuditStory({ ...story, idNumber, recordId, url, policyFile: config.witnessPolicy });
    tell.line(`\nEvery step went as told (${since()}).`);
    if (exit) return;
    const token = await clientOf('school-enrolment').token();
    await farewell({ tell, url, folder, told, asked, token, policyFile: config.witnessPolicy ?? 'POLICY' });
    await toldToStop();
    tell.line('stopping');
  } finally {
    await hub.drain(config.shutdownSeconds * 1_000);
  }
}

interface Farewell {
  readonly tell: Teller;
  readonly url: string;
  readonly folder: string;
  readonly told: Told;
  /** A check of a matter that is complete. */
  readonly asked: object;
  readonly token: string;
  readonly policyFile: string;
}

/** What to try next; every command can be pasted as it stands. */
async function farewell({ tell, url, folder, told, asked, token, policyFile }: Farewell): Promise<void> {
  const lookup = JSON.stringify({
    purpose: told.purpose,
    level: 'fields',
    holder: { type: '111', number: told.idNumber },
  });
  const files = relative(process.cwd(), folder);
  const policy = relative(process.cwd(), policyFile);
  tell.line(`
The hub stays up; stop it with Ctrl-C.
  Documentation  ${url}/docs
  Contract       ${url}/openapi.json
  Health         ${url}/health/ready

Look somebody up (this token of the school-enrolment system works for ten minutes):
  export TOKEN=${token}
  curl -s ${url}/v1/lookups -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' -d '${lookup}'

What does a child still need to be enrolled (the same token)?
  curl -s ${url}/v1/matters/school-enrolment/checks -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' -d '${JSON.stringify(asked)}'

A new token for any demo client, e.g. the auditor:
  npm run -s certhub -- client token --id audit-office --key keys-example/clients/audit-office.jwk.json --url ${url}

Verify an answer without the hub:
  npm run -s certhub -- verify ${files}/answer.json --trust ${files}/trust.json

Prove its record, and the whole log, without the hub's word:
  npm run -s certhub -- audit verify ${files}/record.tlog-proof --answer ${files}/answer.json --policy ${policy}
  npm run -s certhub -- audit verify --log ${url}/log --policy ${policy}
`);
}
