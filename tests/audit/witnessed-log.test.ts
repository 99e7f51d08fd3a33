import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { askWitness } from '../../src/audit/log/ask-witness.ts';
import { cosignCheckpoint } from '../../src/audit/log/cosign-checkpoint.ts';
import { openWitnessStore } from '../../src/audit/log/witness-store.ts';
import { run as fsck } from '../../src/cli/fsck.ts';
import { witnessAnswer } from '../../src/cli/witness.ts';
import { buildWitnessServer } from '../../src/http/witness-server.ts';
import { type NoteKey, newNoteKey, signNote, vkeyOf } from '../../src/signing/note-sign.ts';
import { judgeCheckpoint, type LogPolicy, parseLogPolicy } from '../../src/verification/log-policy.ts';
import { runSql, type TestDatabase, testDatabase } from '../support/database.ts';
import {
  enqueue,
  logKeysOfTests,
  logOrigin,
  proveLog,
  sequencerOn,
  serviceOf,
  someRecords,
  soon,
} from '../support/log.ts';
import { checkpointText, verifierOf } from './witness-log.ts';

const logSigner = { signer: logKeysOfTests.log, name: logOrigin };
const logVkey = vkeyOf(logSigner, 1);

interface RunningWitness {
  readonly name: string;
  readonly key: NoteKey;
  readonly url: string;
  readonly stop: () => Promise<void>;
}

/** A whole witness: memory, judgement and HTTP. Started again with its key and port it is the same one. */
async function witness(t: Test, name: string, again?: RunningWitness): Promise<RunningWitness> {
  const key = again?.key ?? newNoteKey(`${name}.example.gov/witness`, 4).key;
  const folder = join(t.testdirName, name);
  const store = await openWitnessStore({ folder, keys: [verifierOf(key.vkey)] });
  const { app, drain } = await buildWitnessServer({
    log: pino({ level: 'silent' }),
    perMinute: 100_000,
    lastCheckpoint: (originHash) => store.last(originHash)?.note,
    addCheckpoint: async (body) => {
      const deps = { store, by: key, logs: [verifierOf(logVkey)], now: () => new Date() };
      return witnessAnswer(await cosignCheckpoint(deps, body));
    },
  });
  const url = await app.listen({ host: '127.0.0.1', port: again === undefined ? 0 : Number(new URL(again.url).port) });
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= drain(1_000).then(() => store.close());
    return stopping;
  };
  t.teardown(stop);
  return { name, key, url, stop };
}

const policyText = (witnesses: readonly RunningWitness[], quorum = 'both'): string =>
  [
    `log ${logVkey}`,
    ...witnesses.map(({ name, key, url }) => `witness ${name} ${key.vkey} ${url}`),
    `group both all ${witnesses.map(({ name }) => name).join(' ')}`,
    `quorum ${quorum}`,
    '',
  ].join('\n');

function policyOf(witnesses: readonly RunningWitness[]): LogPolicy {
  const parsed = parseLogPolicy(policyText(witnesses));
  if (!parsed.ok) throw new Error(`${parsed.reason} in line ${parsed.line}`);
  return parsed.value;
}

/** What `certhub fsck` prints of the witnesses, with a policy (its text) or without. */
async function witnessesInFsck(t: Test, database: TestDatabase, policy?: string): Promise<string | undefined> {
  const file = join(t.testdirName, 'policy');
  writeFileSync(file, policy ?? '');
  let out = '';
  const env = {
    CERTHUB_MODE: 'demo',
    CERTHUB_KEYS_DIR: 'keys-example',
    CERTHUB_ISSUER: 'http://hub.test',
    DATABASE_URL: database.serviceUrl,
  };
  const stdout = { write: (text: string) => void (out += text) };
  await fsck(policy === undefined ? [] : ['--policy', file], { stdout, stderr: { write: () => undefined }, env });
  return out.split('\n').find((line) => line.startsWith('witnesses: '));
}

/** The published checkpoint with its cosignatures, as an outsider gets it. */
async function published(database: TestDatabase): Promise<{ readonly size: number; readonly note: string }> {
  const { rows } = await runSql(
    database.superuserUrl,
    `select c.size::int, c.note || coalesce((select string_agg(line || E'\\n', '') from log_cosignature s where s.size = c.size), '') as note
     from log_state l join log_checkpoint c on c.size = l.published_size`,
  );
  return rows[0] as { size: number; note: string };
}

await t.test(
  'two of two: what is published carries both cosignatures; without one of them nothing new is',
  async (t) => {
    t.testdir();
    // Commands refuse a database that does not sync.
    const database = await testDatabase(t, { fsync: true });
    const service = serviceOf(t, database);
    const province = await witness(t, 'province');
    let court = await witness(t, 'court');
    const policy = policyOf([province, court]);
    const witnessing = { policy, down: 'hold', timeoutMs: 1_000, retryMs: 50 } as const;
    const sequencer = sequencerOn(t, database, { witnessing });
    for (const count of [1, 5, 300]) {
      await enqueue(service, someRecords(count));
      await soon(sequencer.settled(), `${count} records`);
      const { size, note } = await published(database);
      const judged = judgeCheckpoint(policy, note);
      t.match(judged, { ok: true, value: { cosignedBy: ['province', 'court'], quorum: true, checkpoint: { size } } });
    }
    t.equal((await published(database)).size, 306);

    await court.stop();
    await enqueue(service, someRecords(10));
    const waiting = sequencer.settled();
    while ((sequencer.status().size ?? 0) < 316) await new Promise((resolve) => setTimeout(resolve, 20));
    await new Promise((resolve) => setTimeout(resolve, 500));
    t.equal((await published(database)).size, 306, 'sequenced, not published');
    const said = () => sequencer.said.filter(({ code }) => code?.startsWith('quorum_'));
    const missing = { level: 'warn', code: 'quorum_missing', size: 316, missing: ['court'] };
    t.match(said(), [missing], 'said once, not with every attempt');
    const inFsck = (text?: string) => witnessesInFsck(t, database, text);
    const asked = policyText([province, court]);
    t.equal(await inFsck(asked), 'witnesses: quorum up to 306 of 316');
    court = await witness(t, 'court', court);
    await soon(waiting, 'the witness is back');
    t.match(said(), [missing, { level: 'info', code: 'quorum_met', size: 316 }], 'and so is its end');
    t.equal((await published(database)).size, 316);
    t.equal(await inFsck(asked), 'witnesses: quorum up to 316 of 316');
    const others = / of 316; \d+ cosignatures of witnesses that the policy does not name$/;
    t.match(await inFsck(policyText([province], 'province')), others);
    t.equal(await inFsck(policyText([province, court], 'none')), 'witnesses: the policy asks for no quorum');
    t.equal(await inFsck(), 'witnesses: cosignatures not checked: no policy');
    t.equal((await proveLog(t, database)).size, 316);
    t.equal(sequencer.status().halted, undefined);
  },
);

await t.test('invariant 7: a hub whose database lies behind its witnesses refuses to sign', async (t) => {
  t.testdir();
  const database = await testDatabase(t);
  const service = serviceOf(t, database);
  const both = [await witness(t, 'province'), await witness(t, 'court')];
  const witnessing = { policy: policyOf(both), down: 'hold', timeoutMs: 1_000, retryMs: 50 } as const;
  await enqueue(service, someRecords(7));
  const first = sequencerOn(t, database, { witnessing });
  await soon(first.settled(), 'the first records');
  await first.stop();

  // Restored from an old backup: another empty database, the same witnesses, other records.
  const restored = await testDatabase(t);
  await enqueue(serviceOf(t, restored), someRecords(9));
  const rolledBack = sequencerOn(t, restored, { witnessing });
  t.match(await soon(rolledBack.ended, 'it halts'), { code: 'database_behind_witness' });
  const { rows } = await runSql(restored.superuserUrl, 'select max(size)::int as size from log_checkpoint');
  t.same(rows, [{ size: 0 }], 'nothing but the empty log was signed');

  // Whoever holds the log's key and signs a fork gets no cosignature for it.
  const fork = signNote(logSigner, checkpointText(logOrigin, 9, Buffer.alloc(32, 7)));
  for (const { name, url, key } of both) {
    const asked = { witness: { name, url, key: verifierOf(key.vkey) }, path: [], note: fork };
    t.match(await askWitness({ timeoutMs: 1_000 }, { ...asked, old: 7 }), { kind: 'inconsistent' });
    t.match(await askWitness({ timeoutMs: 1_000 }, { ...asked, old: 0 }), { kind: 'size', size: 7 });
  }
  const again = sequencerOn(t, database, { witnessing });
  await enqueue(service, someRecords(3));
  await soon(again.settled(), 'the true history goes on');
  t.equal((await published(database)).size, 10);
});
