import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { logEntry } from '../../src/verification/commitment.ts';
import { runSql, testDatabase } from '../support/database.ts';
import { enqueue, logKeysOfTests, macOf, proveLog, sequencerOn, serviceOf, someRecords, soon } from '../support/log.ts';

const rate = (count: number, ms: number): number => Math.round((count * 1_000) / ms);

await t.test('what is queued becomes a leaf, a tree and a published checkpoint', async (t) => {
  const database = await testDatabase(t);
  const service = serviceOf(t, database);
  const sequencer = sequencerOn(t, database);
  await soon(sequencer.settled(), 'the empty log');
  t.equal(sequencer.status().state, 'sequencing');
  const empty = await runSql(database.serviceUrl, 'select note from log_checkpoint where size = 0');
  t.match(
    (empty.rows[0] as { note: string }).note,
    /^hub\.test\/log\n0\n47DEQpj8HBSa\+\/TImW\+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— /,
  );

  const queued = [];
  for (const count of [1, 1, 2, 3, 249, 1, 255, 300, 3_000]) {
    const rows = someRecords(count);
    queued.push(...rows);
    await enqueue(service, rows);
    await soon(sequencer.settled(), `${count} more`);
    const proved = await proveLog(t, database, queued);
    t.equal(proved.size, queued.length);
    t.equal(proved.published, queued.length, 'published without a witness policy');
  }
  const [first] = queued;
  if (first === undefined) return;
  const { rows } = await runSql(database.superuserUrl, 'select entry from log_leaf where leaf_index = 0');
  t.strictSame(rows, [{ entry: logEntry(first.kind, first.commitment) }], 'the entry that proofs are made of');
  t.strictSame(sequencer.status().halted, undefined);
  t.equal(sequencer.status().oldestWaitingMs, 0);
});

await t.test('a batch is numbered by record id, and a row that commits late comes later', async (t) => {
  const database = await testDatabase(t);
  const service = serviceOf(t, database);
  const rows = someRecords(40);
  const late = rows.slice(0, 5);
  await enqueue(service, rows.slice(5).toReversed());
  let release = (): void => undefined;
  const holding = service.kysely.transaction().execute(async (trx) => {
    for (const each of late) {
      const { recordId, kind, commitment } = each;
      const at = new Date();
      const row = { record_id: recordId, lane: 1, recorded_at: at, kind, commitment, mac: macOf(each, at, 1) };
      await trx.insertInto('log_queue').values(row).execute();
    }
    await new Promise<void>((resolve) => {
      release = resolve;
    });
  });
  const sequencer = sequencerOn(t, database);
  await soon(sequencer.settled(), 'the early ones');
  t.equal((await proveLog(t, database)).size, 35);
  release();
  await holding;
  await soon(sequencer.settled(), 'the late ones');
  const { recordIds } = await proveLog(t, database, rows);
  t.strictSame(
    recordIds,
    [...rows.slice(5), ...late].map(({ recordId }) => recordId),
  );
});

await t.test('a record that is queued again is not numbered again, and that is said', async (t) => {
  const database = await testDatabase(t);
  const service = serviceOf(t, database);
  const rows = someRecords(3);
  await enqueue(service, rows);
  const sequencer = sequencerOn(t, database);
  await soon(sequencer.settled(), 'the first time');
  const [again, ...others] = rows;
  if (again === undefined) return;
  await enqueue(service, [{ ...again, commitment: Buffer.alloc(32) }, ...someRecords(2)]);
  await soon(sequencer.settled(), 'the second time');
  t.equal((await proveLog(t, database, rows)).size, 5);
  t.equal(others.length, 2);
  t.ok(sequencer.said.some(({ code }) => code === 'record_queued_twice'));
  await t.rejects(enqueue(service, [{ recordId: again.recordId, kind: 0, commitment: Buffer.alloc(32) }]), {
    code: '23514',
  });
  await t.rejects(enqueue(service, [{ recordId: again.recordId, kind: 1, commitment: Buffer.alloc(31) }]), {
    code: '23514',
  });
});

await t.test(
  'what the service cannot queue: a time that no calendar has, which no export of its leaf would survive',
  async (t) => {
    const database = await testDatabase(t);
    const service = serviceOf(t, database);
    for (const time of ['infinity', '-infinity', '290000-01-01', '0044-03-15 BC']) {
      await t.rejects(
        service.query({ name: `queue ${time}`, text: `insert into log_queue values ($1, 7, '${time}', 1, $2, '')` }, [
          randomUUID(),
          randomBytes(32),
        ]),
        { code: '23514' },
        time,
      );
    }
  },
);

await t.test('20,000 records while they are being written', async (t) => {
  const database = await testDatabase(t);
  const service = serviceOf(t, database, 8);
  const rows = someRecords(20_000);
  const sequencer = sequencerOn(t, database, { checkpointMs: 200, pollMs: 100, batchRows: 2_048 });
  const begun = performance.now();
  let next = 0;
  const writer = async (): Promise<void> => {
    while (next < rows.length) {
      const part = rows.slice(next, (next += 25));
      await enqueue(service, part);
    }
  };
  await Promise.all(Array.from({ length: 8 }, writer));
  const written = performance.now() - begun;
  await soon(sequencer.settled(), 'all of them', 60_000);
  const all = performance.now() - begun;
  const proved = await proveLog(t, database, rows);
  t.equal(proved.size, rows.length);
  t.equal(proved.published, rows.length);
  t.comment(`written at ${rate(rows.length, written)}/s, in a published checkpoint at ${rate(rows.length, all)}/s`);

  const more = someRecords(20_000);
  await sequencer.stop();
  for (let at = 0; at < more.length; at += 2_000) await enqueue(service, more.slice(at, at + 2_000));
  const alone = sequencerOn(t, database, { checkpointMs: 200, pollMs: 100, batchRows: 2_048 });
  const restarted = performance.now();
  await soon(alone.settled(), 'the backlog', 60_000);
  t.comment(`a backlog at ${rate(more.length, performance.now() - restarted)}/s`);
  t.equal((await proveLog(t, database, [...rows, ...more])).size, rows.length + more.length);
});

await t.test('two sequencers at once: one works, and takes turns when the other ends', async (t) => {
  const database = await testDatabase(t);
  const service = serviceOf(t, database);
  const rows = someRecords(4_000);
  const pair = [sequencerOn(t, database, { batchRows: 64 }), sequencerOn(t, database, { batchRows: 64 })] as const;
  for (let at = 0; at < rows.length; at += 100) {
    await enqueue(service, rows.slice(at, at + 100));
    if (at === 2_000) {
      const working = pair.find((each) => each.status().state === 'sequencing');
      t.equal(pair.filter((each) => each.status().state === 'sequencing').length, 1, 'one at a time');
      const begun = performance.now();
      await working?.stop();
      const other = pair.find((each) => each !== working);
      while (other?.status().state !== 'sequencing' && performance.now() - begun < 5_000) await sleep(5);
      t.ok(performance.now() - begun < 900, 'a lease given back is not waited for');
    }
  }
  const left = pair.find((each) => each.status().state === 'sequencing');
  await soon(left?.settled() ?? Promise.reject(new Error('nobody works')), 'all');
  t.equal((await proveLog(t, database, rows)).size, rows.length);
  const [first] = pair.filter((each) => each !== left);
  t.match(first?.said, [{ level: 'info', code: 'log_sequencing', epoch: 1, message: /^sequencing/ }]);
  t.match(
    left?.said,
    [
      { level: 'info', code: 'log_standby', holder: String, message: /standing by/ },
      { level: 'info', code: 'log_sequencing', epoch: 2, message: /^taking over/ },
    ],
    'who waits says so once, whatever time it takes',
  );
});

await t.test('two that both believe to hold the log: compare-and-swap lets one through', async (t) => {
  const database = await testDatabase(t);
  const service = serviceOf(t, database);
  const rows = someRecords(1_000);
  // A lease that is over before it begins: each takes the log from the other all the time.
  const options = { batchRows: 50, leaseMs: 0, standbyMs: 1, pollMs: 1, checkpointMs: 1 };
  const all = [1, 2, 3].map(() => sequencerOn(t, database, options));
  for (let at = 0; at < rows.length; at += 100) await enqueue(service, rows.slice(at, at + 100));
  const until = performance.now() + 30_000;
  const waiting = async (): Promise<number> => {
    const { rows: found } = await runSql(database.superuserUrl, 'select count(*)::int as n from log_queue');
    return (found[0] as { n: number }).n;
  };
  while ((await waiting()) > 0 && performance.now() < until) await sleep(50);
  for (const each of all) await each.stop();
  const { size } = await proveLog(t, database, rows);
  t.equal(size, rows.length);
  const replaced = all.flatMap(({ said }) => said).filter(({ code }) => code === 'log_replaced').length;
  t.comment(`${replaced} times replaced`);
  t.ok(replaced > 0);
  t.strictSame(
    all.map((each) => each.status().halted),
    [undefined, undefined, undefined],
  );
});

await t.test('a row of the hub that somebody changed is no row of the hub', async (t) => {
  const database = await testDatabase(t);
  const rows = someRecords(6);
  await enqueue(serviceOf(t, database), rows);
  const changes = [
    'record_id = gen_random_uuid()',
    'lane = lane + 1',
    `recorded_at = recorded_at + interval '1 millisecond'`,
    'kind = kind + 1',
    'commitment = sha256(commitment)',
  ];
  for (const [at, change] of changes.entries()) {
    await runSql(database.superuserUrl, `update log_queue set ${change} where record_id = '${rows[at]?.recordId}'`);
  }
  await soon(sequencerOn(t, database).settled(), 'the one that is whole');
  t.strictSame((await proveLog(t, database, rows.slice(5))).size, 1);
  const aside = await runSql(database.superuserUrl, 'select count(*)::int as n from log_queue_refused');
  t.strictSame(aside.rows, [{ n: changes.length }]);
});

await t.test(
  'rows that the hub did not queue are put aside: never numbered, and nobody waits behind them',
  async (t) => {
    const database = await testDatabase(t);
    const service = serviceOf(t, database);
    await service.query(
      {
        name: 'forge',
        // Half of them with ids of a version that nobody has defined: PostgreSQL takes any 128 bits.
        text: `insert into log_queue select ('00000000-0000-' || case when n < 5 then '7000-8000' else 'f000-0000' end || '-00000000000' || n)::uuid,
        7, now(), 1, sha256('x'), sha256('y') from generate_series(0, 9) n`,
      },
      [],
    );
    const rows = someRecords(12);
    await enqueue(service, rows);
    const sequencer = sequencerOn(t, database, { batchRows: 5 });
    await soon(sequencer.settled(), 'the genuine ones');
    t.equal((await proveLog(t, database, rows)).size, 12);
    t.match(
      sequencer.said.find(({ code }) => code === 'queue_row_forged'),
      { level: 'error', count: 5 },
    );
    const aside = async () => (await runSql(database.superuserUrl, 'select * from log_queue_refused')).rows.length;
    t.equal(await aside(), 10, 'kept as evidence');
    await sequencer.stop();

    const more = someRecords(7);
    await enqueue(service, more);
    const without = sequencerOn(t, database, { keys: { ...logKeysOfTests, verifyRowMac: () => false } });
    await soon(without.settled(), 'one that lacks a key of the hub');
    t.equal(await aside(), 17);
    await without.stop();
    const knowing = sequencerOn(t, database, { batchRows: 5 });
    for (let i = 0; i < 500 && (await aside()) > 10; i++) await sleep(20);
    await soon(knowing.settled(), 'the next one has the key');
    t.equal((await proveLog(t, database, [...rows, ...more])).size, 19, 'nothing is lost for good');
    t.equal(await aside(), 10);
  },
);
