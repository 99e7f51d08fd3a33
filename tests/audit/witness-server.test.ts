import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { request as ask } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { FolderInUse, lockFolder } from '../../src/audit/log/folder-lock.ts';
import { run } from '../../src/cli/witness.ts';
import { buildWitnessServer, type WitnessServerParts } from '../../src/http/witness-server.ts';
import { writeNoteKey } from '../../src/signing/note-key-file.ts';
import { openNote } from '../../src/verification/signed-note.ts';
import { bodyOf, smallLog, verifierOf } from './witness-log.ts';

const origin = 'hub.example.gov/log';
const hashOf = (name: string): string => createHash('sha256').update(name).digest('hex');
const cli = join(import.meta.dirname, '../../src/cli/certhub.ts');

interface Running {
  readonly url: string;
  readonly child: ChildProcess;
  readonly said: () => string;
  readonly kill: (signal: NodeJS.Signals) => Promise<number | null>;
}

function certhub(t: Test, args: readonly string[]) {
  const child = spawn(process.execPath, ['--import', 'tsx', cli, 'witness', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let said = '';
  child.stderr.on('data', (chunk) => (said += String(chunk)));
  child.stdout.on('data', (chunk) => (said += String(chunk)));
  return { child, said: () => said };
}

async function start(t: Test, args: readonly string[]): Promise<Running> {
  const { child, said } = certhub(t, ['start', '--port', '0', ...args]);
  while (!/answers at (\S+)/.test(said())) {
    if (child.exitCode !== null) throw new Error(said());
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const kill = async (signal: NodeJS.Signals): Promise<number | null> => {
    const exit = once(child, 'exit');
    child.kill(signal);
    await exit;
    return child.exitCode;
  };
  return { url: /answers at (\S+)/.exec(said())?.[1] ?? '', child, said, kill };
}

/** Keys, policy and folder of a witness, and the log it watches. */
function files(t: Test) {
  const folder = t.testdir();
  const keyFile = join(folder, 'witness.key');
  const vkey = writeNoteKey(keyFile, 'example.gov/witness', 4);
  const log = smallLog(origin);
  const policy = join(folder, 'policy');
  writeFileSync(policy, `# logs we watch\nlog ${log.key.vkey}\n`);
  const memory = join(folder, 'memory');
  return { folder, keyFile, vkey, log, memory, args: ['--key', keyFile, '--policy', policy, '--dir', memory] };
}

const post = (url: string, body: string): Promise<Response> => fetch(`${url}/add-checkpoint`, { method: 'POST', body });

await t.test('the command: statuses and media types of tlog-witness, over HTTP', async (t) => {
  const { log, args, vkey } = files(t);
  const { url, kill, said } = await start(t, args);
  t.match(said(), /remembers no log/, 'a new memory is told of');
  t.match(said(), vkey);
  const address = `${url}/${hashOf(origin)}/checkpoint`;
  t.equal((await fetch(address)).status, 404, 'nothing seen yet');
  const answer = await post(url, log.body(0, 3));
  t.equal(answer.status, 200);
  const lines = await answer.text();
  t.ok(lines.startsWith('— example.gov/witness ') && lines.endsWith('\n'));
  t.ok(openNote(log.note(3) + lines, [verifierOf(vkey)]).ok);
  const shown = await fetch(address);
  t.equal(shown.headers.get('content-type'), 'text/plain; charset=utf-8');
  t.equal(await shown.text(), log.note(3) + lines);
  t.equal((await fetch(address.toUpperCase().replace('HTTP', 'http').replace('CHECKPOINT', 'checkpoint'))).status, 404);
  const conflict = await post(url, log.body(0, 5));
  t.equal(conflict.status, 409);
  t.equal(conflict.headers.get('content-type'), 'text/x.tlog.size');
  t.equal(await conflict.text(), '3\n');
  const fork = smallLog(origin, { history: 'b', key: log.key });
  t.equal((await post(url, fork.body(3, 5))).status, 422);
  t.equal((await post(url, smallLog(origin).body(3, 5))).status, 403);
  t.equal((await post(url, smallLog('elsewhere').body(0, 5))).status, 404);
  t.equal((await post(url, bodyOf(5, [], log.note(3)))).status, 400);
  t.equal((await post(url, 'x'.repeat(70_000))).status, 413);
  t.equal((await fetch(`${url}/add-checkpoint`)).status, 404);
  t.equal((await fetch(`${url}/health/live`)).status, 200);
  t.equal(await kill('SIGTERM'), 0, 'an orderly end');
  t.notMatch(said(), /PRIVATE/);
});

await t.test('kill -9: whatever was answered with 200 is remembered, and a restart takes over', async (t) => {
  const { log, args, memory, vkey } = files(t);
  const file = join(memory, `${hashOf(origin)}.state`);
  let confirmed = 0;
  for (let round = 0; round < 3; round++) {
    const { url, kill, said } = await start(t, args);
    const until = Date.now() + 200 + 150 * round;
    const grow = (async () => {
      for (;;) {
        const state = await fetch(`${url}/${hashOf(origin)}/checkpoint`).then((answer) => answer.text());
        const from = Number(/^\d+$/m.exec(state)?.[0] ?? 0);
        if (from >= 290) return;
        const answer = await post(url, log.body(from, from + 1));
        if (answer.status === 200) confirmed = from + 1;
        if (Date.now() > until) return;
      }
    })();
    await grow.catch(() => undefined);
    // Another one is under way when it dies.
    const last = post(url, log.body(confirmed, confirmed + 1)).catch(() => undefined);
    await kill('SIGKILL');
    await last;
    const size = Number(readFileSync(file, 'utf8').split('\n')[3]);
    t.ok(size === confirmed || size === confirmed + 1, `${size} on disk, ${confirmed} confirmed`);
    t.ok(openNote(readFileSync(file, 'utf8').split('\n').slice(2).join('\n'), [verifierOf(vkey)]).ok);
    t.notMatch(said(), /nothing is cosigned/);
  }
  t.ok(confirmed > 3, `${confirmed} steps`);
  const { url } = await start(t, args);
  t.equal((await post(url, log.body(0, 299))).status, 409);
  t.equal(readdirSync(memory).filter((name) => name.startsWith('lock-')).length, 1, 'locks of the dead are gone');
});

await t.test('kill -9 before the rename and right after it', async (t) => {
  const { folder, log, args, memory, keyFile } = files(t);
  const body = join(folder, 'body');
  const child = join(import.meta.dirname, 'witness-child.ts');
  const die = async (from: number, to: number, when: string): Promise<void> => {
    writeFileSync(body, log.body(from, to));
    const dying = spawn(process.execPath, ['--import', 'tsx', child, memory, keyFile, log.key.vkey, body, when], {
      stdio: 'inherit',
    });
    const [, signal] = (await once(dying, 'exit')) as [number | null, string | null];
    t.equal(signal, 'SIGKILL');
  };
  await die(0, 2, 'before');
  t.ok(
    readdirSync(memory).some((name) => name.endsWith('.tmp')),
    'it died over a prepared state',
  );
  await die(0, 3, 'after');
  const { url, kill } = await start(t, args);
  t.equal(await (await post(url, log.body(0, 4))).text(), '3\n', 'the first never was, the second is');
  t.notOk(readdirSync(memory).some((name) => name.endsWith('.tmp')));
  t.equal((await post(url, log.body(3, 5))).status, 200);
  await kill('SIGKILL');
  await die(5, 6, 'before');
  const again = await start(t, args);
  t.equal(await (await post(again.url, log.body(0, 7))).text(), '5\n');
});

await t.test('one process per folder: the second is refused, whatever is left of the dead is not', async (t) => {
  const { args, memory } = files(t);
  await start(t, args);
  const second = certhub(t, ['start', '--port', '0', ...args]);
  const [code] = (await once(second.child, 'exit')) as [number];
  t.equal(code, 1);
  t.match(second.said(), /is in use by process \d+/);

  const folder = join(memory, '..', 'other');
  const lock = await lockFolder(folder);
  await t.rejects(lockFolder(folder), FolderInUse);
  t.equal(await lock.held(), true);
  await lock.release();
  // A pid that was handed out again: the process lives, but began at another time.
  const stale = join(folder, 'lock-1-aaaa');
  const mine = await lockFolder(folder);
  const own = JSON.parse(readFileSync(join(folder, readdirSync(folder)[0] ?? ''), 'utf8')) as Record<string, unknown>;
  await mine.release();
  writeFileSync(stale, JSON.stringify({ ...own, beginning: '1' }));
  await (await lockFolder(folder)).release();
  t.same(readdirSync(folder), []);
  // Many at once: never two.
  const many = await Promise.allSettled(Array.from({ length: 10 }, () => lockFolder(folder)));
  const won = many.filter((each) => each.status === 'fulfilled');
  t.ok(won.length <= 1, `${won.length} of 10`);
  for (const each of won) await each.value.release();
  // Of another container: only whether its file is touched can tell.
  writeFileSync(stale, JSON.stringify({ ...own, place: 'elsewhere' }));
  const beating = setInterval(() => utimesSync(stale, new Date(), new Date()), 500);
  await t.rejects(lockFolder(folder, 1_500), FolderInUse, 'alive');
  clearInterval(beating);
  const taken = await lockFolder(folder, 1_500);
  t.equal(readdirSync(folder).length, 1, 'silent: taken over');
  await taken.release();
});

await t.test('wrong use and wrong files are told, with the exit code', async (t) => {
  const { args, folder, memory } = files(t);
  const [, keyFile = '', , policy = ''] = args;
  const fails = async (given: readonly string[], code: number, words: RegExp): Promise<void> => {
    let said = '';
    const write = (text: string): void => void (said += text);
    t.equal(await run(given, { stdout: { write }, stderr: { write }, env: {} }), code);
    t.match(said, words);
  };
  const broken = join(folder, 'broken');
  writeFileSync(broken, '# nothing\nlog nonsense\n');
  const logKey = join(folder, 'log.key');
  writeNoteKey(logKey, origin, 1);
  await fails([], 0, /new-key/);
  await fails(['go'], 2, /unknown command/);
  await fails(['start', '--key', keyFile, '--policy', policy], 2, /--dir is missing/);
  await fails(['start', ...args, '--port', '70000'], 2, /--port/);
  await fails(['start', ...args, '--former-key', 'x'], 2, /--former-key/);
  await fails(['new-key', '--name', 'a b', '--out', join(folder, 'x')], 2, /--name/);
  await fails(['new-key', '--name', 'a', '--out', keyFile], 1, /never overwritten/);
  await fails(['start', '--key', keyFile, '--policy', broken, '--dir', memory], 1, /broken, line 2: malformed_key/);
  await fails(['start', '--key', logKey, '--policy', policy, '--dir', memory], 1, /type 4 is needed/);
  await fails(['start', '--key', keyFile, '--policy', join(folder, 'no'), '--dir', memory], 1, /no such file/);
});

const stub = (parts: Partial<WitnessServerParts> = {}) =>
  buildWitnessServer({
    log: pino({ level: 'silent' }),
    addCheckpoint: async () => ({ status: 200, mediaType: 'text/plain; charset=utf-8', text: 'x\n' }),
    lastCheckpoint: () => undefined,
    ...parts,
  });

await t.test(
  'the server: any media type, rate limit, faults without words, slow senders, an orderly end',
  async (t) => {
    const limited = await stub({ perMinute: 5 });
    for (const type of ['text/plain', 'application/json', 'application/octet-stream', '']) {
      const headers = type === '' ? {} : { 'content-type': type };
      const answer = await limited.app.inject({ method: 'POST', url: '/add-checkpoint', payload: '{', headers });
      t.equal(answer.statusCode, 200, type);
    }
    await limited.app.inject({ method: 'POST', url: '/add-checkpoint' });
    t.equal((await limited.app.inject({ method: 'POST', url: '/add-checkpoint' })).statusCode, 429);
    t.equal((await limited.app.inject('/health/live')).statusCode, 200, 'health is not counted');
    await limited.drain(1_000);

    const failing = await stub({ addCheckpoint: () => Promise.reject(new Error('secret')) });
    const failed = await failing.app.inject({ method: 'POST', url: '/add-checkpoint', payload: 'x' });
    t.equal(failed.statusCode, 500);
    t.notMatch(failed.body, /secret/);
    await failing.drain(1_000);

    let answer: () => void = () => undefined;
    const slow = await stub({
      requestTimeoutMilliseconds: 300,
      addCheckpoint: async () => {
        await new Promise<void>((resolve) => (answer = resolve));
        return { status: 200, mediaType: 'text/plain; charset=utf-8', text: 'late\n' };
      },
    });
    const url = new URL(await slow.app.listen({ host: '127.0.0.1', port: 0 }));
    const socket = connect(Number(url.port), '127.0.0.1');
    socket.write('POST /add-checkpoint HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nold');
    socket.on('error', () => undefined).resume();
    await once(socket, 'close');
    t.pass('a body that does not come is given up');
    const pending = new Promise<number | undefined>((resolve) => {
      ask(new URL('/add-checkpoint', url), { method: 'POST' }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).end('x');
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    const drained = slow.drain(5_000);
    answer();
    t.equal(await pending, 200, 'what is under way is finished');
    t.same(await drained, { cut: false });
  },
);
