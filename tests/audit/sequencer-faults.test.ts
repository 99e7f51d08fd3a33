import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { Step } from '../../src/audit/log/sequence.ts';
import { testDatabase } from '../support/database.ts';
import { type Fault, postgresProxy } from '../support/faulty.ts';
import { enqueue, proveLog, type Queued, sequencerOn, serviceOf, someRecords, soon } from '../support/log.ts';
import type { ChildOrders } from '../support/sequencer-child.ts';
import { servedWitness, testWitnesses } from '../support/witnesses.ts';

// Whatever dies or lies between a sequencer and its database: no gap, no record lost or twice, one tree.

const program = join(import.meta.dirname, '../support/sequencer-child.ts');

function child(t: Test, orders: ChildOrders): ChildProcess {
  const started = spawn(process.execPath, ['--import', 'tsx', program, JSON.stringify(orders)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  t.teardown(async () => {
    if (started.exitCode !== null || started.signalCode !== null) return;
    started.kill('SIGKILL');
    await once(started, 'exit');
  });
  return started;
}

const steps: readonly Step[] = [
  'locked',
  'claimed',
  'tiles_written',
  'state_advanced',
  'committed',
  'signed',
  'stored',
  'cosigned',
  'cosignatures_stored',
  'published',
];

await t.test('kill -9 between each pair of steps', async (t) => {
  const database = await testDatabase(t);
  const service = serviceOf(t, database);
  const witness = await servedWitness(t);
  const { policy, policyText } = witness;
  const queued: Queued[] = [];
  for (const [i, at] of steps.entries()) {
    const dying = child(t, { url: database.sequencerUrl, at, nth: 2, policyText, leaseMs: 1_000, batchRows: 150 });
    const gone = once(dying, 'exit');
    // Until it comes there the second time.
    const feeding = (async () => {
      while (dying.exitCode === null && dying.signalCode === null) {
        const rows = someRecords(1 + (i % 3) * 150);
        queued.push(...rows);
        await enqueue(service, rows);
        await sleep(60);
      }
    })();
    const [, signal] = (await soon(gone, `it dies at ${at}`, 30_000)) as [number | null, string | null];
    await feeding;
    t.equal(signal, 'SIGKILL', `${at}: dead, not halted`);
    await proveLog(t, database, queued);
  }
  const witnessing = { policy, down: 'hold', retryMs: 20 } as const;
  const last = sequencerOn(t, database, { leaseMs: 3_000, witnessing });
  await soon(last.settled(), 'what all of them left');
  const { size, published } = await proveLog(t, database, queued);
  t.equal(size, queued.length);
  t.equal(published, queued.length);
  t.equal(witness.seen.get('w1')?.size, queued.length);
});

await t.test('a holder killed with kill -9 is replaced within 5 s', async (t) => {
  const database = await testDatabase(t);
  const service = serviceOf(t, database);
  const rows = someRecords(500);
  const holder = child(t, { url: database.sequencerUrl });
  await enqueue(service, rows.slice(0, 100));
  const waiting = async (): Promise<number> => {
    const [row] = await service.query<{ n: number }>(
      { name: 'n', text: 'select count(*)::int as n from log_queue' },
      [],
    );
    return row?.n ?? 0;
  };
  while ((await waiting()) > 0) await sleep(20);
  const standby = sequencerOn(t, database, { leaseMs: 3_000, standbyMs: 500, pollMs: 100 });
  await sleep(700);
  t.equal(standby.status().state, 'standby');
  const killed = performance.now();
  holder.kill('SIGKILL');
  await enqueue(service, rows.slice(100));
  while ((await waiting()) > 0 && performance.now() - killed < 10_000) await sleep(20);
  const took = performance.now() - killed;
  t.comment(`taken over after ${Math.round(took)} ms`);
  t.ok(took < 5_000, 'within 5 s');
  t.ok(took > 1_000, 'and not before the lease was over');
  await soon(standby.settled(), 'all');
  t.equal((await proveLog(t, database, rows)).size, rows.length);
});

await t.test('a holder that stands still in the middle of a batch holds nobody up', async (t) => {
  const database = await testDatabase(t);
  const service = serviceOf(t, database);
  const rows = someRecords(10);
  const proxy = await postgresProxy(t, database, 'sequencerUrl');
  let stalled = false;
  const still = sequencerOn(t, proxy.database, {
    at: (step) => {
      if (step !== 'claimed' || stalled) return;
      stalled = true;
      proxy.stall();
    },
  });
  await enqueue(service, rows);
  while (!stalled) await sleep(10);
  const other = sequencerOn(t, database);
  await soon(other.settled(), 'the other one goes on', 8_000);
  t.equal((await proveLog(t, database, rows)).size, 10);
  proxy.heal();
  await sleep(500);
  t.equal(still.status().halted, undefined);
  t.equal((await proveLog(t, database, rows)).size, 10);
});

const writes: Readonly<Record<string, RegExp>> = {
  'the state of a new log': /insert into log_state/,
  'taking the lease': /set epoch = epoch \+ 1/,
  'locking the state': /from log_state where id = 1 for update/,
  'claiming leaves': /delete from log_queue/,
  'writing tiles': /insert into log_tile/,
  'advancing the state': /update log_state set size/,
  'the commit': /^commit/i,
  'storing a checkpoint': /insert into log_checkpoint/,
  'storing cosignatures': /insert into log_cosignature/,
  publishing: /set published_size/,
  'renewing the lease': /update log_state set lease_until = clock/,
};

await t.test('each write fails, fails unseen, or succeeds unseen', async (t) => {
  for (const [name, at] of Object.entries(writes)) {
    await t.test(name, async (t) => {
      for (const fault of ['error', 'lost', 'kept'] satisfies Fault[]) {
        const database = await testDatabase(t);
        const service = serviceOf(t, database);
        const proxy = await postgresProxy(t, database, 'sequencerUrl');
        const { policy, fetch } = testWitnesses(1, 1);
        // A log begins once: what was kept is there.
        const times = fault === 'kept' && name === 'the state of a new log' ? 1 : 2;
        proxy.plan({ fault, at, times });
        const sequencer = sequencerOn(t, proxy.database, {
          batchRows: 300,
          leaseMs: 600,
          witnessing: { policy, down: 'hold', fetch, retryMs: 20 },
        });
        const queued: Queued[] = [];
        for (let round = 0; round < 20 && (round < 4 || proxy.struck < times); round++) {
          const rows = someRecords(round % 2 === 0 ? 400 : 1);
          queued.push(...rows);
          await enqueue(service, rows);
          // Without work the lease is renewed by itself.
          await sleep(name === 'renewing the lease' ? 400 : 60);
        }
        await soon(sequencer.settled(), `after ${fault}`);
        t.equal(proxy.struck, times, `${fault}: it happened`);
        t.equal(sequencer.status().halted, undefined, `${fault}: no false alarm`);
        const { size, published } = await proveLog(t, database, queued);
        t.equal(size, queued.length);
        t.equal(published, queued.length);
        await sequencer.stop();
      }
    });
  }
});
