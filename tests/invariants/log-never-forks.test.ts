import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { publishSize, storeCheckpoint } from '../../src/audit/log/checkpoint-store.ts';
import { type LogFaultCode, Replaced } from '../../src/audit/log/log-fault.ts';
import { loadTree, sequenceBatch } from '../../src/audit/log/sequence.ts';
import { advanceState, glance, renewLease, takeLease } from '../../src/audit/log/sequence-store.ts';
import { inDatabase, runSql, type TestDatabase, testDatabase } from '../support/database.ts';
import {
  enqueue,
  logKeysOfTests,
  proveLog,
  queueSql,
  type RunningSequencer,
  sequencerOn,
  serviceOf,
  someRecords,
  soon,
} from '../support/log.ts';
import { testWitnesses } from '../support/witnesses.ts';

/** All that is stored of the log, the lease and the queue aside. */
async function stored({ superuserUrl }: TestDatabase): Promise<unknown> {
  const { rows } = await runSql(
    superuserUrl,
    `select (select json_agg(l order by leaf_index) from log_leaf l)::text as leaves,
      (select json_agg(t order by level, tile_index) from log_tile t)::text as tiles,
      (select json_agg(c order by size) from log_checkpoint c)::text as checkpoints,
      (select json_agg(c order by size, name) from log_cosignature c)::text as cosignatures,
      (select json_build_array(size, root, published_size) from log_state)::text as state`,
  );
  return rows[0];
}

let copies = 0;

/** A copy of the database as it is now, as restored from a backup. Nobody may be connected to it. */
async function copyOf(t: Test, database: TestDatabase): Promise<TestDatabase> {
  const name = `${database.name}_copy${++copies}`;
  const server = inDatabase(database.superuserUrl, 'postgres');
  await disconnect(database);
  await runSql(server, `create database ${name} template ${database.name} owner certhub_owner`);
  t.teardown(() => runSql(server, `drop database if exists ${name} with (force)`));
  const there = (url: string): string => inDatabase(url, name);
  return {
    name,
    ownerUrl: there(database.ownerUrl),
    serviceUrl: there(database.serviceUrl),
    sequencerUrl: there(database.sequencerUrl),
    superuserUrl: there(database.superuserUrl),
  };
}

const disconnect = ({ name, superuserUrl }: TestDatabase) =>
  runSql(
    inDatabase(superuserUrl, 'postgres'),
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`,
  );

async function halts(t: Test, sequencer: RunningSequencer, code: LogFaultCode): Promise<void> {
  const halted = await soon(sequencer.ended, `halt with ${code}`);
  t.equal(halted?.code, code);
  t.equal(sequencer.status().state, 'halted');
  t.ok(
    sequencer.said.some((line) => line.level === 'error' && line.code === code),
    'and says so loudly',
  );
}

/** A log of 300 leaves whose newest checkpoint is published. */
async function grown(t: Test, witnesses?: ReturnType<typeof testWitnesses>) {
  const database = await testDatabase(t);
  const service = serviceOf(t, database);
  const sequencer = sequencerOn(t, database, witnesses === undefined ? {} : { witnessing: witnessing(witnesses) });
  for (const count of [100, 200]) {
    await enqueue(service, someRecords(count));
    await soon(sequencer.settled(), 'grown');
  }
  await sequencer.stop();
  return { database, service };
}

const witnessing = ({ policy, fetch }: ReturnType<typeof testWitnesses>, down: 'hold' | 'publish' = 'hold') => ({
  policy,
  fetch,
  down,
  retryMs: 30,
});

await t.test('invariant 7: a database restored from an older copy, with a witness that has seen more', async (t) => {
  const witnesses = testWitnesses(1, 1);
  const { database, service } = await grown(t, witnesses);
  const old = await copyOf(t, database);
  const later = sequencerOn(t, database, { witnessing: witnessing(witnesses) });
  await enqueue(service, someRecords(50));
  await soon(later.settled(), 'the log goes on');
  await later.stop();
  t.equal(witnesses.seen.get('w1')?.size, 350);

  for (const endpoint of ['with', 'without']) {
    await t.test(`a witness ${endpoint} the endpoint to read from`, async (t) => {
      witnesses.mute.clear();
      if (endpoint === 'without') witnesses.mute.add('w1');
      const before = await stored(old);
      const refused = sequencerOn(t, old, { witnessing: witnessing(witnesses) });
      await halts(t, refused, 'database_behind_witness');
      t.strictSame(await stored(old), before, 'nothing is signed, nothing is changed');
      t.equal(witnesses.seen.get('w1')?.size, 350, 'nor does the witness see anything new');
    });
  }

  await t.test('records go on into the log while the witness does not answer, but nothing is signed', async (t) => {
    const copied = await copyOf(t, old);
    witnesses.down.add('w1');
    const holding = sequencerOn(t, copied, { witnessing: witnessing(witnesses) });
    await enqueue(serviceOf(t, copied), someRecords(80));
    while (holding.status().size !== 380) await sleep(10);
    await sleep(150);
    t.equal(holding.status().state, 'sequencing');
    t.equal(holding.status().newestCheckpoint?.size, 300, 'larger than what the witness saw, and not signed');
    t.ok(holding.said.some(({ code }) => code === 'witnesses_silent'));
    witnesses.down.clear();
    await halts(t, holding, 'database_behind_witness');
    const { rows } = await runSql(copied.superuserUrl, 'select max(size)::int as size from log_checkpoint');
    t.strictSame(rows, [{ size: 300 }]);
  });

  await t.test('an empty database under the same name', async (t) => {
    for (const endpoint of ['with', 'without']) {
      witnesses.mute.clear();
      if (endpoint === 'without') witnesses.mute.add('w1');
      const fresh = await testDatabase(t);
      await enqueue(serviceOf(t, fresh), someRecords(400));
      const refused = sequencerOn(t, fresh, { witnessing: witnessing(witnesses) });
      await halts(t, refused, 'database_behind_witness');
      const { rows } = await runSql(fresh.superuserUrl, 'select size::int from log_checkpoint');
      t.strictSame(rows, [{ size: 0 }], 'only the empty tree, which no log contradicts');
    }
  });
});

await t.test('invariant 7: the database is rolled back under a sequencer that works', async (t) => {
  const { database, service } = await grown(t);
  const old = await copyOf(t, database);
  const sequencer = sequencerOn(t, database);
  await enqueue(service, someRecords(20));
  await soon(sequencer.settled(), 'past the copy');
  const server = inDatabase(database.superuserUrl, 'postgres');
  // Its connections break, and where it connects again is the older copy: a fail-over that lost transactions.
  await runSql(server, `alter database ${database.name} allow_connections false`);
  await disconnect(database);
  await runSql(
    server,
    `alter database ${database.name} rename to ${database.name}_lost`,
    `alter database ${old.name} rename to ${database.name}`,
  );
  t.teardown(() => runSql(server, `drop database if exists ${database.name}_lost with (force)`));
  await halts(t, sequencer, 'database_rolled_back');
  await proveLog(t, database);
});

await t.test('invariant 7: a fork that was grown past what the witness saw', async (t) => {
  const witnesses = testWitnesses(1, 1);
  const { database, service } = await grown(t, witnesses);
  const old = await copyOf(t, database);
  const honest = sequencerOn(t, database, { witnessing: witnessing(witnesses) });
  await enqueue(service, someRecords(50));
  await soon(honest.settled(), 'the true history');
  await honest.stop();
  // The operator restores the copy and grows another history, signed without any witness.
  const fork = sequencerOn(t, old);
  await enqueue(serviceOf(t, old), someRecords(90));
  await soon(fork.settled(), 'the other history');
  await fork.stop();
  for (const endpoint of ['with', 'without']) {
    witnesses.mute.clear();
    if (endpoint === 'without') witnesses.mute.add('w1');
    const refused = sequencerOn(t, old, { witnessing: witnessing(witnesses) });
    await halts(t, refused, 'witness_inconsistent');
  }
  t.equal(witnesses.seen.get('w1')?.size, 350);
});

await t.test('invariant 7: compare-and-swap on size and epoch', async (t) => {
  const { database, service } = await grown(t);
  const [db] = [sequencerOn(t, database).db];
  const lease = { holder: 'two', leaseMs: 60_000 };
  const old = await until(async () => {
    const seen = await glance(db);
    return seen?.epoch === 2 ? seen : undefined;
  });
  const tree = await loadTree(db, old);
  const state = async () => (await stored(database)) as { readonly state: string };
  await runSql(
    database.superuserUrl,
    `update log_state set epoch = 3, holder = 'two', lease_until = now() + interval '1 hour'`,
  );
  await enqueue(service, someRecords(3));
  const before = await stored(database);
  const batch = { db, keys: logKeysOfTests, batchRows: 100 };
  await t.rejects(sequenceBatch(batch, { ...lease, epoch: 2, tree }), Replaced, 'an epoch that is over');
  const shorter = { ...tree, size: tree.size - 1 };
  await t.rejects(sequenceBatch(batch, { ...lease, epoch: 3, tree: shorter }), { code: 'state_contradicts_memory' });
  const to = { size: 301, root: Buffer.alloc(32) };
  const swaps = await db.kysely
    .transaction()
    .execute(async (trx) => [
      await advanceState(trx, { ...lease, epoch: 2, from: { size: 300 }, to }),
      await advanceState(trx, { ...lease, epoch: 3, from: { size: 299 }, to }),
    ]);
  t.strictSame(swaps, [false, false]);
  const signedAt = new Date();
  for (const [epoch, size] of [
    [2, 300],
    [3, 299],
    [3, 301],
  ] as const) {
    await storeCheckpoint(db, epoch, { size, root: old.root, note: 'x', signedAt });
  }
  await publishSize(db, 2, 300);
  t.equal(await renewLease(db, lease, 2), false);
  t.equal(await takeLease(db, { ...lease, holder: 'three' }, 3), undefined, 'the lease is not over');
  t.strictSame(await stored(database), before, 'nothing of it had an effect');
  const { tree: grownTree } = await sequenceBatch(batch, { ...lease, epoch: 3, tree });
  t.equal(grownTree.size, 303);
  t.not((await state()).state, (before as { readonly state: string }).state);
});

/** Asks until there is an answer. */
async function until<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (let i = 0; i < 500; i++) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await sleep(20);
  }
  throw new Error('not in time');
}

await t.test('invariant 7: contradictions in what is stored stop the log and are not overwritten', async (t) => {
  const { database } = await grown(t);
  const cases: readonly (readonly [string, string, LogFaultCode])[] = [
    ['the size is set back', `update log_state set size = 299`, 'root_differs_from_tiles'],
    [
      'size and tiles are set back to an earlier state',
      `update log_state set size = 100, root = (select root from log_checkpoint where size = 100);
       update log_tile set width = 100, hashes = substring(hashes for 3200) where level = 0 and tile_index = 0;
       delete from log_tile where level > 0 or tile_index > 0;
       delete from log_leaf where leaf_index >= 100`,
      'checkpoint_ahead_of_state',
    ],
    ['another root', `update log_state set root = sha256('x')`, 'root_differs_from_tiles'],
    [
      'a hash in the last tile',
      `update log_tile set hashes = overlay(hashes placing sha256('x') from 1) where level = 0 and tile_index = 1`,
      'root_differs_from_tiles',
    ],
    ['a tile is missing', `delete from log_tile where level = 1`, 'root_differs_from_tiles'],
    [
      'a checkpoint with another root',
      `update log_checkpoint set root = sha256('x') where size = 300`,
      'checkpoint_not_ours',
    ],
    [
      'a checkpoint with the note of another',
      `update log_checkpoint set note = (select note from log_checkpoint where size = 100) where size = 300`,
      'checkpoint_not_ours',
    ],
    [
      'a leaf that is there already',
      `insert into log_leaf select 300, gen_random_uuid(), 1, now(), entry from log_leaf where leaf_index = 0;
       ${queueSql(someRecords(1))}`,
      'leaves_contradict',
    ],
    [
      'a tile that is there already',
      `insert into log_tile values (0, 2, 256, decode(repeat('00', 8192), 'hex'));
       ${queueSql(someRecords(300))}`,
      'tiles_contradict',
    ],
    ['another name', `update log_state set origin = 'elsewhere.test/log'`, 'log_origin_differs'],
  ];
  for (const [name, change, code] of cases) {
    await t.test(name, async (t) => {
      const changed = await copyOf(t, database);
      await runSql(changed.superuserUrl, change);
      const before = await stored(changed);
      await halts(t, sequencerOn(t, changed), code);
      t.strictSame(await stored(changed), before);
    });
  }
  await t.test('our own signature over another tree of the same size', async (t) => {
    const other = await grown(t);
    await enqueue(other.service, someRecords(20));
    const further = sequencerOn(t, other.database);
    await soon(further.settled(), 'a larger tree');
    await further.stop();
    const changed = await copyOf(t, database);
    const { rows } = await runSql(
      other.database.superuserUrl,
      'select root, note from log_checkpoint where size = 300',
    );
    const { root, note } = rows[0] as { root: Buffer; note: string };
    await runSql(
      changed.superuserUrl,
      `update log_checkpoint set root = '\\x${root.toString('hex')}', note = '${note}' where size = 300`,
    );
    const before = await stored(changed);
    await halts(t, sequencerOn(t, changed), 'checkpoint_root_differs');
    t.strictSame(await stored(changed), before);
  });
  await t.test('changed under a sequencer that works', async (t) => {
    const changed = await copyOf(t, database);
    const sequencer = sequencerOn(t, changed);
    await soon(sequencer.settled(), 'at work');
    await runSql(changed.superuserUrl, `update log_state set root = sha256('x')`);
    await halts(t, sequencer, 'state_contradicts_memory');
  });
  await t.test('a checkpoint stored by somebody else for the size that is due', async (t) => {
    const changed = await copyOf(t, database);
    await runSql(
      changed.superuserUrl,
      `insert into log_checkpoint select 301, sha256('x'), note, now() from log_checkpoint where size = 300`,
    );
    const sequencer = sequencerOn(t, changed);
    await halts(t, sequencer, 'checkpoint_not_ours');
  });
});

await t.test('witnesses: hold publishes what the quorum cosigned, publish what it did not', async (t) => {
  const witnesses = testWitnesses(4, 3);
  const database = await testDatabase(t);
  const service = serviceOf(t, database);
  const sequencer = sequencerOn(t, database, { witnessing: witnessing(witnesses) });
  await enqueue(service, someRecords(10));
  await soon(sequencer.settled(), 'all four');
  const lines = async (): Promise<unknown> =>
    (
      await runSql(
        database.serviceUrl,
        'select size::int, count(*)::int as n from log_cosignature group by size order by size desc limit 1',
      )
    ).rows[0];
  t.strictSame(await lines(), { size: 10, n: 4 });

  witnesses.down.add('w2');
  await enqueue(service, someRecords(10));
  await soon(sequencer.settled(), 'three of four');
  t.equal((await proveLog(t, database)).published, 20);

  witnesses.down.add('w4');
  await enqueue(service, someRecords(10));
  while (sequencer.status().newestCheckpoint?.size !== 30) await sleep(10);
  await sleep(150);
  t.equal((await proveLog(t, database)).published, 20, 'two of four: signed, stored, not published');
  t.match(sequencer.status().witnesses, { w1: 'cosigned', w2: 'unreachable', w4: 'unreachable' });
  t.ok(sequencer.said.some(({ code }) => code === 'quorum_missing'));
  witnesses.down.delete('w2');
  await soon(sequencer.settled(), 'three again, without a new checkpoint');
  t.equal((await proveLog(t, database)).published, 30);
  await sequencer.stop();

  await t.test('before the first signature: so many must answer that the others are no quorum', async (t) => {
    witnesses.down.clear();
    for (const name of ['w1', 'w2', 'w3']) witnesses.down.add(name);
    const waiting = sequencerOn(t, database, { witnessing: witnessing(witnesses) });
    await enqueue(service, someRecords(5));
    while (waiting.status().size !== 35) await sleep(10);
    await sleep(100);
    t.equal(waiting.status().newestCheckpoint?.size, 30, 'three silent could have cosigned another history');
    witnesses.down.delete('w1');
    while (waiting.status().newestCheckpoint?.size !== 35) await sleep(10);
    t.equal((await proveLog(t, database)).published, 30, 'enough to sign, too few to publish');
    await waiting.stop();
  });

  await t.test('publish goes on alone, and says so', async (t) => {
    for (const name of ['w1', 'w2', 'w3', 'w4']) witnesses.down.add(name);
    const alone = sequencerOn(t, database, { witnessing: witnessing(witnesses, 'publish') });
    await enqueue(service, someRecords(5));
    await soon(alone.settled(), 'published');
    t.equal((await proveLog(t, database)).published, 40);
    t.ok(alone.said.some(({ level, code }) => level === 'error' && code === 'witnesses_silent'));
  });
});
