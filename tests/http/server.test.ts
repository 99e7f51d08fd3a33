import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { parse } from 'yaml';
import { Refusal, type RefusalCode } from '../../src/errors.ts';
import type { Contract } from '../../src/http/contract.ts';
import { healthHandlers } from '../../src/http/health.ts';
import type { Role } from '../../src/ids.ts';
import { AlreadyRecorded, miniContract, question, raw, startMini } from './mini.ts';

const payload = JSON.stringify(question);
const jsonType = { 'content-type': 'application/json' };

await t.test('a contract that leaves a question of permission open does not start', async (t) => {
  const broken: [string, (operation: Record<string, unknown>) => void, RegExp][] = [
    ['no security', (ask) => delete ask['security'], /ask has no security/],
    ['unknown scheme', (ask) => (ask['security'] = [{ nobody: [] }]), /ask has a security requirement/],
    ['scheme of another kind', (ask) => (ask['security'] = [{ basic: [] }]), /ask has a security requirement/],
    ['alternatives', (ask) => (ask['security'] = [{ accessToken: [] }, {}]), /ask has a security requirement/],
    ['optional', (ask) => (ask['security'] = [{}]), /ask has a security requirement/],
    ['no roles', (ask) => delete ask['x-roles'], /ask has no x-roles/],
    ['public with roles', (ask) => (ask['security'] = []), /ask has x-roles but no caller/],
    ['no handler', (ask) => (ask['operationId'] = 'other'), /handler ask has no operation|other has no handler/],
    ['two media types', (ask) => (ask['requestBody'] = { content: { 'text/plain': {} } }), /ask must take exactly one/],
  ];
  for (const [name, breakIt, message] of broken) {
    const contract = miniContract();
    breakIt(contract.paths['/v1/questions']?.['post'] as Record<string, unknown>);
    await t.rejects(startMini({ contract }), { message }, name);
  }
});

await t.test(
  'who calls is asked before the body is read, and what they may do before its headers are judged',
  async (t) => {
    const hub = await startMini();
    t.teardown(() => hub.app.close());
    const head =
      'POST /v1/questions HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: 500000\r\n';
    const nobody = await raw(hub.port, `${head}\r\n{`);
    t.match(nobody, /^HTTP\/1\.1 401 [\s\S]*www-authenticate: Bearer realm="certhub"\r\n[\s\S]*token_missing/i);
    const wrongRole = await raw(hub.port, `${head}authorization: ${hub.bearer('issuer').authorization}\r\n\r\n{`);
    t.match(wrongRole, /^HTTP\/1\.1 403 [\s\S]*role_required[\s\S]*"required":\["consumer"\]/);
    t.match(await raw(hub.port, `${head.replace('json', 'xml')}content-encoding: br\r\n\r\n{`), /^HTTP\/1\.1 401 /);
    t.strictSame(hub.seen, []);
  },
);

await t.test('default deny: every role not listed is refused on every operation', async (t) => {
  const hub = await startMini();
  t.teardown(() => hub.app.close());
  const roles: Role[] = ['issuer', 'consumer', 'auditor', 'admin', 'portal'];
  const operations = [
    { method: 'POST' as const, url: '/v1/questions', may: ['consumer'] },
    { method: 'GET' as const, url: '/v1/things', may: ['issuer', 'auditor'] },
    { method: 'POST' as const, url: '/v1/things', may: ['issuer'] },
    { method: 'GET' as const, url: '/v1/things/1', may: ['issuer'] },
  ];
  for (const { method, url, may } of operations) {
    for (const role of roles) {
      const headers = hub.bearer(role);
      const { statusCode } = await hub.app.inject({ method, url, headers });
      t.equal(statusCode === 403, !may.includes(role), `${method} ${url} as ${role}`);
    }
    t.equal((await hub.app.inject({ method, url })).statusCode, 401, `${method} ${url} as nobody`);
  }
});

await t.test('invariant 1: refusals on a recorded operation are recorded before they are told', async (t) => {
  let broken = false;
  let fail: () => Promise<unknown> = async () => ({ status: 200, body: { answer: 'x' } });
  const order: string[] = [];
  const hub = await startMini({
    handlers: { ask: () => fail() },
    refused: async () => {
      if (broken) throw new Error('recorder down');
      await pause(20);
      order.push('recorded');
    },
  });
  t.teardown(() => hub.app.close());
  const ask = async (body: string, headers: object = hub.bearer(), type = 'application/json') => {
    hub.events.length = 0;
    const url = '/v1/questions';
    const answer = await hub.app.inject({
      method: 'POST',
      url,
      payload: body,
      headers: { ...headers, 'content-type': type, 'x-request-id': 'case-1' },
    });
    order.push('told');
    return { status: answer.statusCode, headers: answer.headers, ...answer.json<{ code: string }>() };
  };
  const event = (code: RefusalCode, outcome = 'refused') => [
    { operationId: 'ask', code, outcome, requestId: 'case-1', receivedAt: hub.clock.now },
  ];

  t.match(await ask(payload, {}), { status: 401 });
  t.match(hub.events, event('token_missing'));
  t.equal(hub.events[0]?.caller, undefined);
  t.strictSame(order.splice(0), ['recorded', 'told']);
  t.match(await ask(payload, hub.bearer('admin')), { status: 403 });
  t.match(hub.events, event('role_required'));
  t.match(hub.events[0]?.caller, { clientId: 'admin-1' });
  t.match(await ask('{'), { status: 400 });
  t.match(hub.events, event('malformed_json'));
  t.match(hub.events[0]?.caller, { clientId: 'consumer-1' });
  t.match(await ask(payload, hub.bearer(), 'text/plain'), { status: 415 });
  t.match(hub.events, event('unsupported_media_type'));
  t.match(await ask(`"${'x'.repeat(1_100_000)}"`), { status: 413 });
  t.match(hub.events, event('body_too_large'));
  fail = async () => Promise.reject(new Refusal('grant_required', { apply: 'here' }));
  t.match(await ask(payload), { status: 403, code: 'grant_required', context: { apply: 'here' } });
  t.match(hub.events, event('grant_required'));
  fail = async () => Promise.reject(new AlreadyRecorded('grant_required'));
  t.match(await ask(payload), { status: 403, code: 'grant_required' });
  t.strictSame(hub.events, [], 'a refusal whose record precedes it is not recorded twice');
  fail = async () => Promise.reject(new TypeError('990000199003074477'));
  t.match(await ask(payload), { status: 500, code: 'internal_error' });
  t.match(hub.events, event('internal_error', 'failed'));
  fail = async () => ({ status: 200, body: { answer: 'x', extra: 'never granted' } });
  t.match(await ask(payload), { status: 500, code: 'internal_error' }, 'an undeclared field does not leave');
  t.match(hub.events, event('internal_error', 'failed'));
  fail = async () => ({ status: 418, body: {} });
  t.match(await ask(payload), { status: 500, code: 'internal_error' }, 'nor an undeclared status');

  broken = true;
  const unrecorded = await ask(payload, {});
  t.match(unrecorded, { status: 503, code: 'record_unavailable', headers: { 'retry-after': '2' } });
  fail = async () => Promise.reject(new Refusal('grant_required', { apply: 'here' }));
  const silent = await ask(payload);
  t.match(silent, { status: 503, code: 'record_unavailable' });
  t.notOk('context' in silent, 'without a record nothing is disclosed');
  fail = async () => Promise.reject(new Refusal('database_unavailable'));
  t.match(await ask(payload), { status: 503, code: 'record_unavailable' });
  const elsewhere = await hub.app.inject({ method: 'GET', url: '/v1/things' });
  t.equal(elsewhere.statusCode, 401, 'operations that are not recorded do not depend on the recorder');
});

await t.test('a crash is a bare 500; its log has code and place, and neither message nor values', async (t) => {
  const secret = '990000199003074477';
  const fault = Object.assign(new Error(`Key (id_no)=(${secret}) already exists.`), {
    code: '23505',
    detail: `Key (id_no)=(${secret})`,
    where: secret,
    parameters: [secret],
  });
  const hub = await startMini({ handlers: { ask: async () => Promise.reject(fault) } });
  t.teardown(() => hub.app.close());
  const headers = { ...hub.bearer(), ...jsonType };
  const answer = await hub.app.inject({ method: 'POST', url: '/v1/questions', headers, payload });
  t.equal(answer.statusCode, 500);
  t.match(answer.headers['content-type'], /^application\/problem\+json/);
  t.notMatch(answer.body, /990000|id_no|Error/);
  const logged = hub.lines.join('');
  t.match(logged, /"name":"Error","code":"23505"/);
  t.match(logged, /server\.test/, 'the stack frames say where');
  t.notMatch(logged, /990000|id_no|already exists|Bearer|school/);
});

await t.test(
  'log lines: route pattern and never the address, allow-listed fields, own request id or the caller’s',
  async (t) => {
    const hub = await startMini();
    t.teardown(() => hub.app.close());
    const get = async (url: string, headers: Record<string, string> = {}) => {
      hub.lines.length = 0;
      const answer = await hub.app.inject({ method: 'GET', url, headers: { ...hub.bearer('issuer'), ...headers } });
      const lines = hub.lines.map((line) => JSON.parse(line) as Record<string, unknown>);
      return { id: answer.headers['x-request-id'], lines, text: hub.lines.join(''), body: answer.body };
    };
    const known = await get('/v1/things/990000199003074', { 'x-request-id': 'abc-DEF-1' });
    t.equal(known.id, 'abc-DEF-1');
    t.match(known.lines, [{ route: '/v1/things/:thingId', status: 200, clientId: 'issuer-1', requestId: 'abc-DEF-1' }]);
    const fields = ['clientId', 'level', 'method', 'ms', 'operationId', 'requestId', 'route', 'status', 'time', 'msg'];
    t.strictSame(new Set(Object.keys(known.lines[0] ?? {})), new Set(fields));
    t.notMatch((await get('/v1/things/990000199003074477?name=x')).text, /9900001990|name=x/);
    t.notMatch((await get('/nowhere/990000199003074477')).text, /9900001990/);
    const odd = ['990000199003074477', 'x'.repeat(65), 'a b', 'a\u00e9', '', 'case-13800138000', '91999900000000001X'];
    for (const given of odd) {
      const { id, text } = await get('/v1/things/1', { 'x-request-id': given });
      t.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/, `${JSON.stringify(given)} is replaced`);
      if (given !== '') t.notOk(text.includes(given));
    }
  },
);

await t.test('unknown paths, other methods and addresses that are none', async (t) => {
  const hub = await startMini();
  t.teardown(() => hub.app.close());
  const send = async (method: string, path: string) => {
    const text = await raw(hub.port, `${method} ${path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n`);
    return {
      status: Number(text.slice(9, 12)),
      allow: /\r\nallow: ([^\r]*)/i.exec(text)?.[1],
      code: /"code":"([a-z_]+)"/.exec(text)?.[1],
      problem: text.includes('application/problem+json'),
    };
  };
  t.match(await send('GET', '/nowhere'), { status: 404, code: 'not_found', problem: true });
  t.match(await send('GET', '/v1/things/'), { status: 404, code: 'not_found' });
  t.match(await send('GET', '/V1/things'), { status: 404, code: 'not_found' });
  t.match(await send('GET', '/v1//things'), { status: 404, code: 'not_found' });
  const refused = { status: 405, code: 'method_not_allowed', problem: true };
  t.match(await send('PUT', '/v1/things'), { ...refused, allow: 'GET, POST' });
  t.match(await send('DELETE', '/v1/things/7'), { ...refused, allow: 'GET' });
  t.match(await send('OPTIONS', '/v1/things'), { ...refused, allow: 'GET, POST' });
  t.match(await send('PROPFIND', '/v1/questions'), { ...refused, allow: 'POST' });
  t.match(await send('HEAD', '/v1/things'), { status: 405, allow: 'GET, POST' });
  t.match(await send('TRACE', '/v1/things'), { status: 405 });
  t.match(await send('GET', '/v1/things/%ZZ'), { status: 400, code: 'malformed_request', problem: true });
  t.match(await send('GET', `/v1/things/${'1'.repeat(300)}`), { status: 404, code: 'not_found', problem: true });
  t.match(await send('GET', '/v1/things/..%2f..%2fetc'), { status: 401 });
});

await t.test('security headers; what is personal is never stored', async (t) => {
  const hub = await startMini();
  t.teardown(() => hub.app.close());
  const headers = { ...hub.bearer(), ...jsonType };
  const personal = await hub.app.inject({ method: 'POST', url: '/v1/questions', headers, payload });
  const common = {
    'x-content-type-options': 'nosniff',
    'content-security-policy': /frame-ancestors 'none'/,
    'referrer-policy': 'no-referrer',
    'strict-transport-security': /max-age=\d{8}/,
  };
  t.match(personal.headers, { ...common, 'cache-control': 'no-store', 'content-type': /^application\/json/ });
  const open = await hub.app.inject('/public/list');
  t.match(open.headers, { ...common, 'cache-control': 'public, max-age=5', 'content-type': /statuslist\+jwt/ });
  t.equal(open.body, 'a.b.c');
  const problem = await hub.app.inject({ method: 'POST', url: '/oauth/token' });
  t.match(problem.headers, { ...common, 'cache-control': 'no-store' });
  t.match((await hub.app.inject('/nowhere')).headers, { ...common, 'cache-control': 'no-store' });
  const greedy = await startMini({
    handlers: { ask: async () => ({ status: 200, body: { answer: 'x' }, headers: { 'cache-control': 'public' } }) },
    issuer: 'http://localhost:8080',
  });
  t.teardown(() => greedy.app.close());
  const answer = await greedy.app.inject({
    method: 'POST',
    url: '/v1/questions',
    headers: { ...greedy.bearer(), ...jsonType },
    payload,
  });
  t.equal(answer.headers['cache-control'], 'no-store', 'a handler cannot make a personal answer cacheable');
  t.notOk('strict-transport-security' in answer.headers, 'HSTS only when the issuer is https');
});

await t.test(
  'rate limits per address, with Retry-After; X-Forwarded-For counts from trusted proxies only',
  async (t) => {
    const limit = { max: 2, windowMilliseconds: 60_000 };
    const hub = await startMini({ options: { publicRateLimit: limit, tokenRateLimit: limit } });
    t.teardown(() => hub.app.close());
    const get = async (ip: string) =>
      (await hub.app.inject({ url: '/public/list', headers: { 'x-forwarded-for': ip } })).statusCode;
    t.strictSame([await get('10.0.0.1'), await get('10.0.0.2'), await get('10.0.0.3')], [200, 200, 429]);
    const refused = await hub.app.inject('/public/list');
    t.match(refused.json(), { code: 'rate_limited', status: 429, context: { retryAfterSeconds: Number } });
    t.match(refused.headers['retry-after'], /^[1-9][0-9]?$/);
    t.equal((await hub.app.inject('/health/live')).statusCode, 200, 'other operations go on');
    const post = () => hub.app.inject({ method: 'POST', url: '/oauth/token', payload: 'x' });
    await post();
    await post();
    const token = await post();
    t.match(token.json(), { code: 'rate_limited', error: 'temporarily_unavailable' });
    const behind = await startMini({ options: { publicRateLimit: limit, trustProxy: ['127.0.0.1'] } });
    t.teardown(() => behind.app.close());
    const via = async (ip: string) =>
      (await behind.app.inject({ url: '/public/list', headers: { 'x-forwarded-for': ip } })).statusCode;
    t.strictSame(
      [await via('10.0.0.1'), await via('10.0.0.1'), await via('10.0.0.1'), await via('10.0.0.2')],
      [200, 200, 429, 200],
    );
  },
);

await t.test('drain: what runs finishes, what comes is refused, what idles is closed, and it ends', async (t) => {
  let release: () => void = () => undefined;
  const held = new Promise<void>((resume) => {
    release = resume;
  });
  const hub = await startMini({
    handlers: {
      ask: async () => {
        await held;
        return { status: 200, body: { answer: 'late but whole' } };
      },
    },
  });
  const headers = { ...hub.bearer(), ...jsonType };
  const idle = raw(hub.port, 'GET /health/live HTTP/1.1\r\nhost: h\r\n\r\n', 5_000);
  await pause(100);
  const running = fetch(`${hub.url}/v1/questions`, { method: 'POST', headers, body: payload });
  await pause(100);
  const drained = hub.drain(5_000);
  const began = Date.now();
  t.match(await idle, /^HTTP\/1\.1 200 /);
  t.ok(Date.now() - began < 1_000, 'the idle connection is closed at once');
  const refused = await raw(hub.port, 'GET /v1/things HTTP/1.1\r\nhost: h\r\n\r\n');
  t.match(refused, /^HTTP\/1\.1 503 [\s\S]*connection: close[\s\S]*shutting_down/i);
  t.match(await raw(hub.port, 'GET /health/live HTTP/1.1\r\nhost: h\r\n\r\n'), /^HTTP\/1\.1 200 /, 'still alive');
  release();
  const answer = await running;
  t.equal(answer.status, 200);
  t.equal(answer.headers.get('connection'), 'close');
  t.strictSame(await answer.json(), { answer: 'late but whole' });
  t.strictSame(await drained, { cut: false });
  await t.rejects(fetch(`${hub.url}/health/live`), 'nobody listens any more');
});

await t.test('drain: the deadline is hard, and a caller who hung up is still waited for', async (t) => {
  const stuck = await startMini({ handlers: { ask: () => new Promise(() => undefined) } });
  const call = fetch(`${stuck.url}/v1/questions`, {
    method: 'POST',
    headers: { ...stuck.bearer(), ...jsonType },
    body: payload,
  }).catch(() => 'cut');
  await pause(100);
  const began = Date.now();
  t.strictSame(await stuck.drain(300), { cut: true });
  t.ok(Date.now() - began < 2_000);
  t.equal(await call, 'cut');

  let finished = false;
  const hung = await startMini({
    handlers: {
      ask: async () => {
        await pause(400);
        finished = true;
        return { status: 200, body: { answer: 'x' } };
      },
    },
  });
  const gone = new AbortController();
  const aborted = fetch(`${hung.url}/v1/questions`, {
    method: 'POST',
    headers: { ...hung.bearer(), ...jsonType },
    body: payload,
    signal: gone.signal,
  }).catch(() => 'aborted');
  await pause(100);
  gone.abort();
  t.equal(await aborted, 'aborted');
  t.strictSame(await hung.drain(5_000), { cut: false });
  t.equal(finished, true);
});

await t.test('readiness: names the failing part, is never late, forgets a good result after a second', async (t) => {
  const clock = { now: new Date('2026-11-22T08:00:00Z') };
  let asked = 0;
  let database = async (): Promise<unknown> => 1;
  const checks = {
    database: () => {
      asked += 1;
      return database();
    },
    keys: async () => 1,
    recorder: async () => 1,
  };
  const { getReadiness, getLiveness } = healthHandlers({ checks, now: () => clock.now, timeoutMilliseconds: 50 });
  const ready = () => getReadiness({} as Parameters<typeof getReadiness>[0]);
  t.match(await getLiveness({} as Parameters<typeof getLiveness>[0]), { status: 200 });
  const parts = { database: 'ok', keys: 'ok', recorder: 'ok' };
  t.strictSame(await ready(), { status: 200, body: { status: 'ok', parts } });
  await Promise.all([ready(), ready()]);
  t.equal(asked, 1, 'a good result holds');
  clock.now = new Date(clock.now.getTime() + 1_001);
  database = async () => Promise.reject(new Error('password of the database'));
  const failing = { status: 503, body: { status: 'failing', parts: { ...parts, database: 'failing' } } };
  t.strictSame(await ready(), failing);
  database = () => new Promise(() => undefined);
  t.strictSame(await ready(), failing, 'a check that hangs has failed');
  asked = 0;
  database = async () => 1;
  await Promise.all([ready(), ready(), ready()]);
  t.equal(asked, 1, 'concurrent questions share one round');
});

await t.test('the contract, the docs and the pages of the problems', async (t) => {
  const contract = parse(readFileSync(new URL('../../openapi/certhub.yaml', import.meta.url), 'utf8')) as Contract;
  const hub = await startMini();
  t.teardown(() => hub.app.close());
  t.ok(contract);
  t.strictSame((await hub.app.inject('/openapi.json')).json(), JSON.parse(JSON.stringify(miniContract())));
  const page = await hub.app.inject('/docs');
  t.equal(page.statusCode, 200);
  t.match(page.headers['content-security-policy'], /default-src 'none'; script-src 'self';/);
  t.notMatch(page.body, /https?:\/\//, 'no outside host');
  const assets = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '');
  t.ok(assets.length > 4);
  for (const asset of assets) t.equal((await hub.app.inject(asset)).statusCode, 200, asset);
  const start = await hub.app.inject('/docs/static/swagger-initializer.js');
  t.notMatch(start.body.replaceAll(/^ *\/\/.*$/gm, ''), /https?:\/\/|validator\.swagger/);
  t.strictSame((await hub.app.inject('/docs/json')).json(), JSON.parse(JSON.stringify(miniContract())));
  const problem = await hub.app.inject('/problems/grant_required');
  t.match(problem.headers['content-type'], /^text\/html/);
  t.match(problem.body, /lang="zh-CN"[\s\S]*用证授权[\s\S]*What to do:/);
  for (const code of ['nothing', '__proto__', 'toString', '<script>']) {
    const none = await hub.app.inject(`/problems/${encodeURIComponent(code)}`);
    t.match(none.json(), { status: 404, code: 'not_found' });
  }
  const bare = await startMini({ options: { docs: false } });
  t.teardown(() => bare.app.close());
  t.equal((await bare.app.inject('/docs')).statusCode, 404);
});

await t.test('a slow sender is cut off', async (t) => {
  const hub = await startMini({ options: { requestTimeoutMilliseconds: 300 } });
  t.teardown(() => hub.app.close());
  const answer = await raw(hub.port, 'POST /v1/questions HTTP/1.1\r\nhost: h\r\n', 5_000);
  t.match(answer, /^HTTP\/1\.1 408 [\s\S]*request_timeout/);
});
