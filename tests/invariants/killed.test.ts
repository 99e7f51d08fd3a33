import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { type ApiClient, apiClient, type Reply } from '../../src/cli/api-client.ts';
import { demoTypes } from '../../src/cli/demo/certificates.ts';
import { personOf } from '../../src/cli/demo/people.ts';
import { demoClientKey, exampleFolder, registerDemo } from '../../src/cli/demo/registry.ts';
import { connectPools } from '../../src/db/pools.ts';
import { openLog } from '../../src/http/log.ts';
import { assembleCore } from '../../src/hub-core.ts';
import { ownCluster, runSql, type TestDatabase } from '../support/database.ts';
import { exampleKeys, type startHub, testConfig } from '../support/start-hub.ts';
import {
  byNumber,
  certificateUpTo,
  codeOf,
  databaseOf,
  grant,
  note,
  noted,
  permitOf,
  personal,
  proveTold,
  question,
  unavailable,
  until,
} from '../support/workload.ts';

// Processes that die without a word while they are used: what they acknowledged is there, and nothing was told that is not on record.

type Test = Parameters<typeof startHub>[0];

const issuer = 'http://hub.test';
const people = Array.from({ length: 12 }, (_, i) => personOf(300 + i));
const permits = [{ certificateTypeCode: demoTypes.residencePermit }];
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

interface HubProcess {
  readonly url: string;
  readonly client: (clientId: string) => ApiClient;
  /** Starts the process, again after it was killed; resolves when it is ready. */
  start(): Promise<void>;
  /** SIGKILL: nothing is finished, nothing is said. */
  kill(): Promise<void>;
}

/** The hub as it is run in production, `src/main.ts` in a process of its own, over a database that is registered already. */
async function hubProcess(t: Test, { serviceUrl }: TestDatabase): Promise<HubProcess> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  let child: ChildProcess | undefined;
  let complaint = '';
  const kill = async (): Promise<void> => {
    const dying = child;
    if (dying === undefined) return;
    const gone = new Promise((resolve) => dying.once('exit', resolve));
    if (dying.exitCode === null && dying.signalCode === null) dying.kill('SIGKILL');
    else return;
    await gone;
  };
  t.teardown(kill);
  const known = new Map<string, ApiClient>();
  return {
    url,
    client: (clientId) => {
      const client = known.get(clientId) ?? apiClient({ url, issuer, clientId, key: demoClientKey(clientId) });
      known.set(clientId, client);
      return client;
    },
    kill,
    start: async () => {
      child = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts'], {
        env: {
          PATH: process.env['PATH'],
          DATABASE_URL: serviceUrl,
          CERTHUB_MODE: 'demo',
          CERTHUB_KEYS_DIR: exampleFolder,
          CERTHUB_ISSUER: issuer,
          CERTHUB_PORT: String(port),
          CERTHUB_RATE_LIMIT_PER_MINUTE: '1000000',
          CERTHUB_LOG_LEVEL: 'error',
        },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        complaint = (complaint + text).slice(-2_000);
      });
      await until(`the hub is ready: ${complaint}`, async () => {
        const reply = await fetch(`${url}/health/ready`).catch(() => undefined);
        if (reply === undefined && child?.exitCode !== null) throw new Error(`the hub ended: ${complaint}`);
        return reply?.status === 200;
      });
    },
  };
}

/** The registry that a hub process finds. */
async function register({ serviceUrl }: TestDatabase): Promise<void> {
  const pools = connectPools({ url: serviceUrl, max: 3, statementTimeoutMs: 10_000, applicationName: 'registering' });
  const log = openLog({ level: 'silent' });
  const core = await assembleCore({ config: testConfig(), ...pools, keys: exampleKeys, log, now: () => new Date() });
  await registerDemo(core);
  await core.close();
  await pools.close();
}

const isLinux = process.platform === 'linux';

await t.test('invariant 1: processes killed under load', async (t) => {
  const cluster = await ownCluster(t, { keepUp: true });
  const database = await databaseOf(cluster.server());
  await register(database);
  const hub = await hubProcess(t, database);
  await hub.start();
  const [psb, school, hall] = [hub.client('psb-issuer'), hub.client('school-enrolment'), hub.client('approval-hall')];
  await grant(hub.client);
  for (const [i, person] of people.entries()) await certificateUpTo(psb, permitOf(person, `JZ-${i}`), 'sealed');
  await hall.token();
  const ask = (client: ApiClient, turn: number): Promise<Reply> =>
    client.post('/v1/lookups', question(byNumber(people[turn % people.length] ?? personOf(300)), { types: permits }));
  await until('the grant is known', async () => (await ask(school, 0)).status === 200);

  await t.test(
    'PostgreSQL killed four times: no answer without its record, and nothing but 503 meanwhile',
    async (t) => {
      const told = noted();
      let stop = false;
      let turn = 0;
      const worker = async (): Promise<void> => {
        while (!stop) {
          turn += 1;
          const reply = await ask(turn % 4 === 0 ? hall : school, turn);
          note(told, reply);
          // A caller that was told to come again does not do so at once.
          if (reply.status === 503) await sleep(20);
        }
      };
      const workers = Promise.all(Array.from({ length: 8 }, worker));
      for (let kill = 0; kill < 4; kill++) {
        const [answered, refused] = [told.answered, told.unavailable.length];
        await until('it answers', async () => told.answered > answered + 40);
        await killCluster(cluster.server().pid);
        await until('the outage shows', async () => told.unavailable.length > refused);
      }
      const answered = told.answered;
      await until('it answers again', async () => told.answered > answered + 40);
      stop = true;
      await workers;
      t.comment(`${told.answered} answers, ${told.refusals.size} refusals, ${told.unavailable.length} × 503`);
      t.strictSame(told.others, [], 'an answer, a refusal by rule, or 503');
      t.strictSame(
        [...new Set(told.unavailable.map(({ code }) => code))].filter((code) => !unavailable.test(code)),
        [],
      );
      t.notMatch(JSON.stringify(told.unavailable), personal(people), 'an outage tells nothing about anybody');
      await proveTold(t, told, database);
    },
  );

  await t.test('the hub killed twice: what it acknowledged is there, and a retry gets the same answer', async (t) => {
    const told = noted();
    const pushed = new Map<string, { readonly body: object; readonly first: unknown }>();
    let stop = false;
    let turn = 0;
    const pusher = async (): Promise<void> => {
      while (!stop) {
        turn += 1;
        const key = `killed-hub-${turn}`;
        const body = permitOf(personOf(20_000 + turn), `KH-${turn}`);
        // As an issuer would: again under the same key until it is told.
        for (;;) {
          const reply = await psb.post('/v1/certificates', body, key).catch(() => undefined);
          if (reply?.status === 201) {
            pushed.set(key, { body, first: reply.body });
            break;
          }
          if (reply !== undefined && reply.status !== 503) told.others.push(`${reply.status} ${codeOf(reply)}`);
          await sleep(50);
        }
      }
    };
    const asker = async (): Promise<void> => {
      for (let n = 0; !stop; n++) {
        const reply = await ask(n % 4 === 0 ? hall : school, n).catch(() => undefined);
        if (reply === undefined) await sleep(50);
        else note(told, reply);
      }
    };
    const workers = Promise.all([pusher(), pusher(), pusher(), asker(), asker(), asker()]);
    for (let kill = 0; kill < 2; kill++) {
      const [before, answered] = [pushed.size, told.answered];
      await until('it works', async () => pushed.size > before + 10 && told.answered > answered + 10);
      await hub.kill();
      await hub.start();
    }
    const before = pushed.size;
    await until('it works again', async () => pushed.size > before + 10);
    stop = true;
    await workers;
    t.comment(`${pushed.size} pushes acknowledged, ${told.answered} answers, ${told.refusals.size} refusals`);
    t.strictSame(told.others, []);
    let differing = 0;
    for (const [key, { body, first }] of pushed) {
      const again = await psb.post('/v1/certificates', body, key);
      if (JSON.stringify(again.body) !== JSON.stringify(first)) differing += 1;
    }
    t.equal(differing, 0, 'every retry gets the answer of the first time');
    const numbers = await runSql(
      database.superuserUrl,
      `select count(*)::int as n from certificates where state = 'pending_review'`,
    );
    t.strictSame(numbers.rows, [{ n: pushed.size }], 'each push had one effect, acknowledged or not');
    await proveTold(t, told, database);
  });
});

/** SIGKILL to the postmaster and all that it started, as when a machine runs out of memory. */
async function killCluster(postmaster: number): Promise<void> {
  const children = isLinux
    ? await readFile(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8').catch(() => '')
    : '';
  for (const pid of [
    postmaster,
    ...children
      .split(' ')
      .filter((each) => each.trim() !== '')
      .map(Number),
  ]) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}
