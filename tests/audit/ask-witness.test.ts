import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { askWitness, lastSeenBy, type Witness } from '../../src/audit/log/ask-witness.ts';
import { cosign, newNoteKey, signNote } from '../../src/signing/note-sign.ts';
import { checkpointText, smallLog, verifierOf } from './witness-log.ts';

const origin = 'hub.example.gov/log';
const log = smallLog(origin);
const key = newNoteKey('example.gov/witness', 4).key;
const note = log.note(7);
const text = checkpointText(origin, 7, log.root(7));
const good = cosign(key, text, 1_800_000_000);
const deps = { timeoutMs: 500 };

type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** A witness that answers as it is told. */
async function stub(t: Test, answer: Answer): Promise<{ readonly witness: Witness; readonly asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => {
      asked.push(`${request.method} ${request.url}\n${body}`);
      response.on('error', () => undefined);
      answer(request, response, body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { witness: { name: 'w', url: `http://127.0.0.1:${port}/here/`, key: verifierOf(key.vkey) }, asked };
}

const says =
  (
    status: number,
    body: string | Uint8Array,
    type = 'text/plain; charset=utf-8',
    more: Record<string, string> = {},
  ): Answer =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': type, ...more }).end(body);
  };

const question = (witness: Witness) => ({ witness, old: 5, path: log.path(5, 7), note });

await t.test('what is sent is what tlog-witness says, and the cosignature comes back', async (t) => {
  const { witness, asked } = await stub(t, says(200, good));
  t.same(await askWitness(deps, question(witness)), { kind: 'cosigned', lines: [good], time: 1_800_000_000 });
  t.same(asked, [`POST /here/add-checkpoint\n${log.body(5, 7)}`]);
});

await t.test('an answer is believed only as far as it verifies', async (t) => {
  const stranger = newNoteKey('example.gov/witness', 4).key;
  const unknown = cosign(stranger, text, 1);
  const other = cosign(key, checkpointText(origin, 8, log.root(8)), 1);
  const asLog = signNote({ signer: key.signer, name: key.name }, text).split('\n\n')[1] ?? '';
  const size = 'text/x.tlog.size';
  const cases: readonly (readonly [string, Answer, object])[] = [
    ['with lines of keys it does not know', says(200, unknown + good + unknown), { kind: 'cosigned', lines: [good] }],
    ['of another key only', says(200, unknown), { kind: 'garbage', status: 200 }],
    ['of another checkpoint', says(200, other), { kind: 'garbage', status: 200 }],
    ['good and wrong', says(200, good + other), { kind: 'garbage', status: 200 }],
    ['a note signature by the same key', says(200, asLog), { kind: 'garbage', status: 200 }],
    ['without a newline', says(200, good.trimEnd()), { kind: 'garbage', status: 200 }],
    ['with text around it', says(200, `hello\n${good}`), { kind: 'garbage', status: 200 }],
    ['of a longer text', says(200, `more\n\n${cosign(key, `${text}\nmore\n`, 1)}`), { kind: 'garbage', status: 200 }],
    ['with an empty line', says(200, `\n${good}`), { kind: 'garbage', status: 200 }],
    ['empty', says(200, ''), { kind: 'garbage', status: 200 }],
    ['a page', says(200, '<html>captive portal</html>\n', 'text/html'), { kind: 'garbage', status: 200 }],
    ['invalid UTF-8', says(200, Buffer.of(0xff, 0xfe, 0x0a)), { kind: 'garbage', status: 200 }],
    ['a size', says(409, '12\n', size), { kind: 'size', size: 12 }],
    ['a size of nothing', says(409, '0\n', size), { kind: 'size', size: 0 }],
    ['a size as plain text', says(409, '12\n'), { kind: 'garbage', status: 409 }],
    ['a size without newline', says(409, '12', size), { kind: 'garbage', status: 409 }],
    ['a size above 2^53', says(409, '9007199254740993\n', size), { kind: 'garbage', status: 409 }],
    ['a size below zero', says(409, '-1\n', size), { kind: 'garbage', status: 409 }],
    ['a size in words', says(409, 'many\n', size), { kind: 'garbage', status: 409 }],
    ['unknown', says(404, ''), { kind: 'unknown_log' }],
    ['forbidden', says(403, ''), { kind: 'refused', status: 403 }],
    ['bad', says(400, ''), { kind: 'refused', status: 400 }],
    ['too many', says(429, ''), { kind: 'refused', status: 429 }],
    ['inconsistent', says(422, 'anything'), { kind: 'inconsistent' }],
    ['failing', says(503, ''), { kind: 'unreachable', reason: 'failing' }],
    ['accepted', says(202, good), { kind: 'garbage', status: 202 }],
    ['no content', says(204, ''), { kind: 'garbage', status: 204 }],
    ['a teapot', says(418, ''), { kind: 'garbage', status: 418 }],
    ['more than 64 KiB', says(200, good.repeat(1_000)), { kind: 'garbage', status: 200 }],
  ];
  for (const [name, answer, expected] of cases) {
    const { witness } = await stub(t, answer);
    t.match(await askWitness(deps, question(witness)), expected, name);
  }
});

await t.test('redirects are not followed', async (t) => {
  const { witness: target, asked } = await stub(t, says(200, good));
  for (const status of [301, 302, 303, 307, 308]) {
    const { witness } = await stub(t, says(status, good, 'text/plain', { location: `${target.url}add-checkpoint` }));
    t.match(await askWitness(deps, question(witness)), { kind: 'garbage', status });
  }
  t.same(asked, [], 'nobody went there');
});

await t.test('endless, slow, silent and absent witnesses take no longer than the deadline', async (t) => {
  const endless: Answer = (_request, response) => {
    response.writeHead(200);
    const flood = (): void => {
      while (!response.destroyed && response.write(good.repeat(100)));
      if (!response.destroyed) response.once('drain', flood);
    };
    flood();
  };
  const dripping: Answer = (_request, response) => {
    response.writeHead(200);
    const timer = setInterval(() => response.write('a'), 50);
    response.on('close', () => clearInterval(timer));
  };
  const cutOff: Answer = (request, response) => {
    response.writeHead(200, { 'content-length': '1000' });
    response.write(good, () => request.socket.destroy());
  };
  const noHttp: Answer = (request) => void request.socket.end('220 mail.example ESMTP\r\n');
  const cases: readonly (readonly [string, Answer, object])[] = [
    ['endless', endless, { kind: 'garbage' }],
    ['a byte now and then', dripping, { kind: 'unreachable', reason: 'timeout' }],
    ['nothing', () => undefined, { kind: 'unreachable', reason: 'timeout' }],
    ['cut off', cutOff, { kind: 'unreachable', reason: 'network' }],
    ['not HTTP', noHttp, { kind: 'unreachable', reason: 'network' }],
    ['hung up', (request) => void request.socket.destroy(), { kind: 'unreachable', reason: 'network' }],
  ];
  for (const [name, answer, expected] of cases) {
    const { witness } = await stub(t, answer);
    const began = Date.now();
    t.match(await askWitness(deps, question(witness)), expected, name);
    t.ok(Date.now() - began < 3_000, `${name}: in ${Date.now() - began} ms`);
    t.match(await lastSeenBy(deps, { witness, origin, logKeys: [log.verifier], note }), expected, `${name}, looked at`);
  }
  const verifier = verifierOf(key.vkey);
  for (const url of [
    'http://127.0.0.1:1',
    'http://nowhere.invalid',
    'not an address',
    'file:///etc/passwd',
    '',
    'http://a:b@c',
  ]) {
    const outcome = await askWitness(deps, question({ name: 'w', url, key: verifier }));
    t.equal(outcome.kind, 'unreachable', url);
  }
});

await t.test('no answer of any kind makes it throw', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 200, max: 599 }), fc.string(), fc.string(), async (status, body, type) => {
      const empty = [204, 205, 304].includes(status);
      const headers = { 'content-type': /^[ -~]*$/.test(type) ? type : 'text/plain' };
      const fake: typeof fetch = async () => new Response(empty ? null : body, { status, headers });
      const witness = { name: 'w', url: 'http://w', key: verifierOf(key.vkey) };
      const asked = await askWitness({ fetch: fake, timeoutMs: 1_000 }, question(witness));
      const seen = await lastSeenBy(
        { fetch: fake, timeoutMs: 1_000 },
        { witness, origin, logKeys: [log.verifier], note },
      );
      return asked.kind !== 'cosigned' && (seen.kind !== 'seen' || seen.root === undefined);
    }),
    { seed: 20261122, numRuns: 200 },
  );
});

await t.test('what a witness saw last: shown, asked for, or never', async (t) => {
  const address = `/here/${createHash('sha256').update(origin).digest('hex')}/checkpoint`;
  const size = 'text/x.tlog.size';
  const both =
    (shown: Answer, asked: Answer): Answer =>
    (request, response, body) =>
      (request.method === 'GET' ? shown : asked)(request, response, body);
  const none = says(404, '');
  const cosigned = note + good;
  const otherText = checkpointText('other', 7, log.root(7));
  const foreign = signNote(log.key, otherText) + cosign(key, otherText, 1);
  const byStranger = smallLog(origin, { history: 'b' });
  const stolen = byStranger.note(9) + cosign(key, checkpointText(origin, 9, byStranger.root(9)), 1);
  const seven = { kind: 'seen', size: 7, root: log.root(7), note: cosigned };
  const cases: readonly (readonly [string, Answer, object])[] = [
    ['shown', both(says(200, cosigned), says(409, '7\n', size)), seven],
    ['shown, and nothing else answers', both(says(200, cosigned), says(503, '')), seven],
    [
      'shown late: the size that is told counts',
      both(says(200, cosigned), says(409, '9\n', size)),
      { kind: 'seen', size: 9 },
    ],
    ['not shown: asked for', both(none, says(409, '9\n', size)), { kind: 'seen', size: 9 }],
    ['never', both(none, says(200, good)), { kind: 'never' }],
    ['shown and forgotten', both(says(200, cosigned), says(200, good)), seven],
    ['never, and says so', both(none, says(409, '0\n', size)), { kind: 'never' }],
    ['not its log', both(none, none), { kind: 'unknown_log' }],
    ['without the log', both(says(200, `${text}\n${good}`), none), { kind: 'unknown_log' }],
    ['without the witness', both(says(200, note), says(503, '')), { kind: 'unreachable' }],
    ['of another log', both(says(200, foreign), says(503, '')), { kind: 'unreachable' }],
    [
      'signed by a key that is not the log’s',
      both(says(200, stolen), says(409, '9\n', size)),
      { kind: 'seen', size: 9 },
    ],
  ];
  for (const [name, answer, expected] of cases) {
    const { witness, asked } = await stub(t, answer);
    const seen = await lastSeenBy(deps, { witness, origin, logKeys: [log.verifier], note });
    t.match(seen, expected, name);
    if (seen.kind === 'seen' && seen.size === 9) t.equal(seen.root, undefined, 'without a root');
    t.same(asked, [`GET ${address}\n`, `POST /here/add-checkpoint\n${log.body(0, 7)}`]);
  }
  const { witness, asked } = await stub(t, none);
  t.same(await lastSeenBy(deps, { witness, origin, logKeys: [log.verifier] }), { kind: 'never' });
  const { witness: liar } = await stub(t, says(200, stolen));
  t.match(await lastSeenBy(deps, { witness: liar, origin, logKeys: [log.verifier] }), { kind: 'garbage', status: 200 });
  t.equal(asked.length, 1, 'without a note only the monitoring address is asked');
});
