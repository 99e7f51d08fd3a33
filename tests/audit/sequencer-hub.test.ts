import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { demoTypes } from '../../src/cli/demo/certificates.ts';
import { personOf } from '../../src/cli/demo/people.ts';
import { exampleFolder } from '../../src/cli/demo/registry.ts';
import { runSql, testDatabase } from '../support/database.ts';
import { enqueue, proveLog, sequencerOn, serviceOf, someRecords, soon } from '../support/log.ts';
import { startHub } from '../support/start-hub.ts';
import { testWitnesses } from '../support/witnesses.ts';
import { byNumber, codeOf, question } from '../support/workload.ts';

const ask = () => question(byNumber(personOf(300)), { types: [{ certificateTypeCode: demoTypes.residencePermit }] });

async function until(what: string, done: () => Promise<boolean>, ms = 20_000): Promise<void> {
  const end = performance.now() + ms;
  while (!(await done())) {
    if (performance.now() > end) throw new Error(`not in time: ${what}`);
    await sleep(20);
  }
}

await t.test('a hub that sequences: every record it leaves is in the log', async (t) => {
  const hub = await startHub(t, { sequence: true, env: { CERTHUB_CHECKPOINT_MS: '100' } });
  const school = hub.client('school-enrolment');
  for (let i = 0; i < 5; i++) await school.post('/v1/lookups', ask());
  await soon(hub.sequencer?.settled() ?? Promise.reject(new Error('none')), 'all records');
  const { size, published } = await proveLog(t, hub.database);
  const { rows } = await runSql(
    hub.database.superuserUrl,
    `select count(*)::int as records, (select count(*)::int from records r join log_leaf l using (record_id)
      where l.entry = '\\x01'::bytea || set_byte('\\x00'::bytea, 0, r.kind) || r.commitment) as leaves from records`,
  );
  t.strictSame(rows, [{ records: size, leaves: size }]);
  t.equal(published, size);
  const ready = await hub.anyone.get('/health/ready');
  t.match(ready, { status: 200, body: { status: 'ok', log: 'ok' } });
});

await t.test('CERTHUB_WITNESS_STOP_HOURS: no quorum for longer, and lookups stop on every process', async (t) => {
  const database = await testDatabase(t);
  const service = serviceOf(t, database);
  const witnesses = testWitnesses(1, 1);
  const sequencer = sequencerOn(t, database, {
    witnessing: { policy: witnesses.policy, fetch: witnesses.fetch, down: 'hold', retryMs: 50 },
  });
  await soon(sequencer.settled(), 'the empty log');
  witnesses.down.add('w1');
  await enqueue(service, someRecords(3), new Date(Date.now() - 2 * 3_600_000));
  await until('they are leaves', async () => sequencer.status().newestCheckpoint?.size === 3);

  const env = (hours: string) => ({ CERTHUB_WITNESS_STOP_HOURS: hours });
  const strict = await startHub(t, { database, env: env('1') });
  const other = await startHub(t, { database, env: env('1'), register: false });
  const patient = await startHub(t, { database, env: env('3'), register: false });
  const careless = await startHub(t, { database, env: env('0'), register: false });
  for (const hub of [strict, other]) {
    const refused = await hub.client('school-enrolment').post('/v1/lookups', ask());
    t.equal(`${refused.status} ${codeOf(refused)}`, '503 log_unwitnessed');
  }
  for (const hub of [patient, careless]) {
    const reply = await hub.client('school-enrolment').post('/v1/lookups', ask());
    t.not(codeOf(reply), 'log_unwitnessed');
  }
  const { rows } = await runSql(
    database.superuserUrl,
    `select outcome, holder_key is not null as whole, matter_code is not null as why from records where code = 'log_unwitnessed'`,
  );
  t.strictSame(
    rows,
    [1, 2].map(() => ({ outcome: 'refused', whole: true, why: true })),
    'on record, with its purpose',
  );
  t.match(await strict.anyone.get('/health/ready'), { status: 200, body: { status: 'ok', log: 'behind' } });

  witnesses.down.clear();
  await soon(sequencer.settled(), 'witnessed');
  await until('lookups are answered again', async () => {
    const reply = await strict.client('school-enrolment').post('/v1/lookups', ask());
    return codeOf(reply) !== 'log_unwitnessed';
  });
});

const cli = join(import.meta.dirname, '../../src/cli/certhub.ts');

function certhub(t: Test, args: readonly string[], env: Record<string, string>) {
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', cli, ...args], {
    env: { PATH: process.env['PATH'], CERTHUB_MODE: 'demo', CERTHUB_KEYS_DIR: exampleFolder, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (said += String(chunk)));
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
  return { child, said: () => said, ended };
}

await t.test('certhub sequencer', async (t) => {
  const database = await testDatabase(t, { fsync: true });
  const service = serviceOf(t, database);
  const env = {
    CERTHUB_SEQUENCER_DATABASE_URL: database.sequencerUrl,
    CERTHUB_ISSUER: 'http://hub.test',
    CERTHUB_CHECKPOINT_MS: '100',
  };
  const published = async (): Promise<number> => {
    const { rows } = await runSql(database.serviceUrl, 'select published_size::int as n from log_state');
    return (rows[0] as { n: number } | undefined)?.n ?? 0;
  };

  await t.test('works until it is told to stop, and gives the log back', async (t) => {
    const { child, ended, said } = certhub(t, ['sequencer'], env);
    const rows = someRecords(30);
    await enqueue(service, rows);
    await until('published', async () => (await published()) === 30).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${said()}`);
    });
    child.kill('SIGTERM');
    t.strictSame(await soon(ended, 'it ends'), [0, null]);
    const { rows: state } = await runSql(
      database.serviceUrl,
      'select holder, lease_until < now() as over from log_state',
    );
    t.strictSame(state, [{ holder: '', over: true }]);
    await proveLog(t, database, rows);
  });

  await t.test('ends with 1 when the log contradicts itself', async (t) => {
    const halted = certhub(t, ['sequencer'], { ...env, CERTHUB_LOG_ORIGIN: 'other.test/log' });
    t.strictSame(await soon(halted.ended, 'it ends'), [1, null]);
    t.match(halted.said(), /HALTED.*log_origin_differs/s);
  });

  await t.test('says what is missing', async (t) => {
    const folder = t.testdir();
    const policy = join(folder, 'policy');
    const cases: readonly (readonly [Record<string, string>, RegExp, string])[] = [
      [{ CERTHUB_WITNESS_POLICY: join(folder, 'none') }, /CERTHUB_WITNESS_POLICY names a file/, ''],
      [{ CERTHUB_WITNESS_POLICY: policy }, /CERTHUB_WITNESS_POLICY, line 2: unknown_name/, '# mine\nquorum nobody\n'],
      [
        { CERTHUB_WITNESS_POLICY: policy },
        /the quorum needs 1 witnesses, and 0 have an address/,
        testWitnesses(1, 1, () => '').policyText,
      ],
    ];
    for (const [more, expected, text] of cases) {
      writeFileSync(policy, text);
      const failed = certhub(t, ['sequencer'], { ...env, ...more });
      t.strictSame(await soon(failed.ended, 'it ends'), [1, null]);
      t.match(failed.said(), expected);
    }
    const asked = certhub(t, ['sequencer', '--help'], env);
    t.strictSame(await soon(asked.ended, 'it ends'), [0, null]);
  });
});
