import { execFile, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { type Entry, recordKinds } from '../../src/audit/entry.ts';
import type { Receipt } from '../../src/audit/record.ts';
import { demoTypes } from '../../src/cli/demo/certificates.ts';
import { personOf } from '../../src/cli/demo/people.ts';
import { parseLogPolicy } from '../../src/verification/log-policy.ts';
import { logKeysOfTests, sequencerOn, soon } from '../support/log.ts';
import { startHub, type TestHub } from '../support/start-hub.ts';

t.setTimeout(300_000);

const entries = 100_000;
const source = resolve(import.meta.dirname, '../support/go-log-check');
const run = promisify(execFile);

/** Builds the checker; the reason instead where Go or its package cannot be had. */
async function buildChecker(folder: string): Promise<string | { readonly reason: string }> {
  const binary = join(folder, 'go-log-check');
  // With modules, and else as Debian's golang-golang-x-mod-dev provides the package.
  const ways = [{ GOFLAGS: '-mod=readonly' }, { GO111MODULE: 'off', GOPATH: '/usr/share/gocode' }];
  let reason = '';
  for (const way of ways) {
    try {
      await run('go', ['build', '-o', binary, '.'], { cwd: source, env: { ...process.env, ...way } });
      return binary;
    } catch (error) {
      reason ||=
        (error as { code?: unknown }).code === 'ENOENT' ? 'Go is not installed' : 'golang.org/x/mod is not here';
    }
  }
  return { reason };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** `certhub witness` as another administration would run it. */
async function startWitness(t: Test, folder: string, logKey: string): Promise<{ vkey: string; url: string }> {
  const command = ['node_modules/.bin/tsx', 'src/cli/certhub.ts', 'witness'];
  const key = join(folder, 'witness.key');
  const made = await run(process.execPath, [...command, 'new-key', '--name', 'audit.example/witness', '--out', key]);
  const vkey = made.stdout.trim();
  const policy = join(folder, 'witness-policy');
  writeFileSync(policy, `log ${logKey}\n`);
  const port = await freePort();
  const places = ['--key', key, '--policy', policy, '--dir', join(folder, 'witness'), '--port', String(port)];
  const child = spawn(process.execPath, [...command, 'start', ...places], { stdio: 'ignore' });
  t.teardown(() => {
    child.kill('SIGTERM');
  });
  const url = `http://127.0.0.1:${port}`;
  for (let attempt = 0; ; attempt++) {
    const answer = await fetch(`${url}/0`).catch(() => undefined);
    if (answer !== undefined) return { vkey, url };
    if (attempt > 200) throw new Error('the witness does not answer');
    await new Promise((later) => setTimeout(later, 100));
  }
}

const entry = (i: number): Entry => ({
  kind: i % 50 === 0 ? 'audit_read' : 'access',
  action: 'lookUp',
  outcome: i % 7 === 0 ? 'refused' : 'answered',
  caller: { clientId: 'school-enrolment', department: '11999900100000016A', keyId: 'k1' },
  purpose: { matterCode: 'school-enrolment', caseNumber: `CASE-${i}`, legalBasis: 'statutory_duty' },
  scope: { level: 'fields' },
  requestId: `request-${i}`,
  at: new Date(),
});

/** Lookups over HTTP beside everything else, until told to stop. Resolves with how many were answered. */
function askOn(hub: TestHub): { stop(): Promise<number> } {
  let going = true;
  const one = async (n: number): Promise<number> => {
    let answered = 0;
    while (going) {
      const reply = await hub.client('school-enrolment').post('/v1/lookups', {
        purpose: {
          matterCode: 'school-enrolment',
          caseNumber: `RX-${n}-${answered}`,
          legalBasis: 'own_application',
          officer: { id: 'officer-1', name: '经办人' },
        },
        level: 'fields',
        holder: { type: '111', number: personOf(n).idNumber },
        types: [{ certificateTypeCode: demoTypes.residencePermit, fields: ['name'] }],
      });
      if (reply.status !== 200 && reply.status !== 403) throw new Error(`a lookup was answered with ${reply.status}`);
      answered += 1;
    }
    return answered;
  };
  const all = [1, 2, 3, 4].map(one);
  return {
    stop: async () => {
      going = false;
      return (await Promise.all(all)).reduce((sum, each) => sum + each, 0);
    },
  };
}

const built = await buildChecker(t.testdir());
const checker = typeof built === 'string' ? built : '';
const skip = typeof built === 'string' ? false : built.reason;

await t.test(
  `a log of ${entries} entries, written under load, is checked by Go's sumdb/note and tlog`,
  { skip },
  async (t) => {
    const folder = t.testdir();
    const hub = await startHub(t);
    const origin = hub.core.config.logOrigin;
    const logKey = (await (await fetch(`${hub.url}/log/key`)).text()).trim();
    const witness = await startWitness(t, folder, logKey);
    const policy = parseLogPolicy(
      `log ${logKey}\nwitness audit ${witness.vkey} ${witness.url}\ngroup all all audit\nquorum all\n`,
    );
    if (!policy.ok) throw new Error(policy.reason);
    const sequencer = sequencerOn(t, hub.database, {
      keys: logKeysOfTests,
      origin,
      checkpointMs: 500,
      pollMs: 50,
      witnessing: { policy: policy.value, down: 'hold' },
    });

    const lookups = askOn(hub);
    const older: string[] = [];
    const kept: { readonly receipt: Receipt; readonly kind: number }[] = [];
    const checkpoints = join(folder, 'checkpoints');
    mkdirSync(checkpoints);
    for (let done = 0; done < entries; done += 1_000) {
      const receipts = await Promise.all(
        Array.from({ length: 1_000 }, async (_, i) => ({
          receipt: await hub.core.recorder.record(entry(done + i)),
          kind: recordKinds[entry(done + i).kind],
        })),
      );
      kept.push(...receipts.slice(0, 1));
      if (done % 20_000 !== 0) continue;
      const answer = await fetch(`${hub.url}/log/checkpoint`);
      if (answer.status !== 200) continue;
      const file = join(checkpoints, String(done));
      writeFileSync(file, await answer.text());
      older.push(file);
    }
    const answered = await lookups.stop();
    t.ok(answered > 0, `${answered} lookups were answered meanwhile`);
    await soon(sequencer.settled(), 'everything is in a published checkpoint', 60_000);
    t.ok(older.length >= 3, `${older.length} checkpoints were kept on the way`);

    const proofs: string[] = [];
    for (const { receipt, kind } of kept) {
      const file = join(folder, `${receipt.recordId}.tlog-proof`);
      const answer = await fetch(`${hub.url}/log/proof/${receipt.recordId}`);
      writeFileSync(file, await answer.text());
      proofs.push('-proof', `${file}:${kind}:${Buffer.from(receipt.commitment).toString('hex')}`);
    }
    const asked = ['-log', `${hub.url}/log`, '-vkey', logKey, '-witness', witness.vkey];
    const files = older.flatMap((file) => ['-checkpoint', file]);
    const { stdout } = await run(checker, [...asked, ...files, ...proofs]);
    t.match(stdout, /cosigned by audit\.example\/witness/);
    const [, checked = '0'] = /ok: (\d+) entries/.exec(stdout) ?? [];
    t.ok(Number(checked) >= entries + answered, stdout.trim());

    await t.test('and it refuses what is not so', async (t) => {
      const [first, second] = kept;
      if (first === undefined || second === undefined) throw new Error('nothing kept');
      const file = join(folder, `${first.receipt.recordId}.tlog-proof`);
      const wrong = Buffer.from(second.receipt.commitment).toString('hex');
      const refused = await run(checker, [...asked, '-proof', `${file}:${first.kind}:${wrong}`]).catch(
        (error: unknown) => error,
      );
      t.match((refused as { stdout: string }).stdout, /not ok: /);
    });
  },
);
