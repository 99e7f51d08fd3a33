import t from 'tap';
import type { Reply } from '../../src/cli/api-client.ts';
import { checkStore, countRows } from '../support/check-records.ts';
import { testDatabase } from '../support/database.ts';
import { type Fault, type Plan, postgresProxy } from '../support/faulty.ts';
import { exampleKeys, startHub } from '../support/start-hub.ts';
import { added, clientsOf, codeOf, send, type WriteKind, writeKinds } from '../support/workload.ts';

// A write is one transaction: whichever of its statements fails, and however its COMMIT ends, all of it is there or nothing,
// and the retry under the same Idempotency-Key ends with exactly one effect.

let n = 0;

async function start(t: Parameters<typeof startHub>[0]) {
  const proxy = await postgresProxy(t, await testDatabase(t));
  const hub = await startHub(t, { database: proxy.database });
  const clients = clientsOf(hub);
  return {
    proxy,
    clients,
    logLines: hub.logLines,
    rows: () => countRows(hub.db),
    faults: () => checkStore(hub.db, exampleKeys),
    prepare: async (kind: WriteKind) => {
      n += 1;
      const request = await kind.prepare(clients, n);
      return { try: (key: string) => send(clients(kind.clientId), request, key), key: `half-done-${n}` };
    },
  };
}

await t.test(
  'invariant 10: a write that fails at any of its statements has no effect, and its retry one',
  async (t) => {
    const { proxy, prepare, rows, faults } = await start(t);
    for (const kind of writeKinds) {
      await t.test(kind.name, async (t) => {
        const write = await prepare(kind);
        const before = await rows();
        let failed = 0;
        let reply: Reply;
        for (;;) {
          proxy.plan({ fault: 'error', at: failed + 1 });
          reply = await write.try(write.key);
          if (proxy.struck === 0) break;
          failed += 1;
          const place = `statement ${failed}: ${proxy.statements.at(-1)?.slice(0, 60)}`;
          t.equal(`${reply.status} ${codeOf(reply)}`, '500 internal_error', place);
          proxy.plan(undefined);
          t.strictSame(added(before, await rows()), {}, `nothing is left of it, ${place}`);
          t.strictSame(await faults(), []);
        }
        proxy.plan(undefined);
        t.ok(failed >= 4 && failed === proxy.statements.length, `each of ${failed} statements failed once`);
        t.match(proxy.statements.at(-1), /^commit/i, 'the last one was COMMIT');
        t.equal(reply.status, kind.status, 'the retry that nothing befell');
        t.strictSame(added(before, await rows()), kind.rows, 'one effect');
        t.strictSame((await write.try(write.key)).body, reply.body, 'the same answer');
        t.strictSame(added(before, await rows()), kind.rows, 'still one effect');
        t.strictSame(await faults(), []);
      });
    }
  },
);

await t.test('invariants 8 and 10: a COMMIT that got lost, or whose acknowledgement did, has one effect', async (t) => {
  const { proxy, prepare, rows, faults } = await start(t);
  const once: [Fault, Plan['at']][] = [
    ['lost', 'commit'],
    ['kept', 'commit'],
    ['kept', 3],
  ];
  for (const kind of writeKinds) {
    await t.test(kind.name, async (t) => {
      for (const [fault, at] of once) {
        const write = await prepare(kind);
        const before = await rows();
        proxy.plan({ fault, at });
        const reply = await write.try(write.key);
        t.equal(proxy.struck, 1, `${fault} at ${at}`);
        proxy.plan(undefined);
        t.equal(reply.status, kind.status, 'the hub finds out by itself');
        t.strictSame(added(before, await rows()), kind.rows, 'one effect');
        t.strictSame((await write.try(write.key)).body, reply.body, 'a retry gets the same answer');
        t.strictSame(added(before, await rows()), kind.rows, 'still one effect');
      }
      t.strictSame(await faults(), []);
    });
  }
});

await t.test(
  'invariants 8 and 10: when the hub cannot find out what became of a COMMIT it says so, and the retry tells',
  async (t) => {
    const { proxy, prepare, rows, faults } = await start(t);
    const names = [
      'decideGrantApplication that grants',
      'pushCertificate of two holders',
      'sealCertificate that supersedes',
    ];
    for (const kind of writeKinds.filter(({ name }) => names.includes(name))) {
      for (const fault of ['lost', 'kept'] as const) {
        await t.test(`${kind.name}, every COMMIT ${fault}`, async (t) => {
          const write = await prepare(kind);
          const before = await rows();
          proxy.plan({ fault, at: 'commit', times: 1_000 });
          const reply = await write.try(write.key);
          const struck = proxy.struck;
          proxy.plan(undefined);
          t.ok(struck > 1, `${struck} tries`);
          t.equal(`${reply.status} ${codeOf(reply)}`, '503 database_unavailable');
          // What was committed stays, though nobody could be told.
          t.strictSame(added(before, await rows()), fault === 'kept' ? kind.rows : {}, 'all or nothing');
          t.strictSame(await faults(), []);
          const retried = await write.try(write.key);
          t.equal(retried.status, kind.status);
          t.strictSame(added(before, await rows()), kind.rows, 'one effect');
          t.strictSame(await faults(), []);
        });
      }
    }
  },
);
