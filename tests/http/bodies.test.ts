import fc from 'fast-check';
import t from 'tap';
import { miniContract, question, raw, startMini } from './mini.ts';

const hub = await startMini();
t.teardown(() => hub.app.close());
const auth = hub.bearer();

/** Posts to the recorded operation and returns status, problem code and context. */
async function ask(body: string | Buffer, headers: Record<string, string> = {}) {
  const answer = await hub.app.inject({
    method: 'POST',
    url: '/v1/questions',
    headers: { ...auth, 'content-type': 'application/json', ...headers },
    payload: body,
  });
  const { code, context } = answer.json<{ code?: string; context?: Record<string, unknown> }>();
  return { status: answer.statusCode, code, context, text: answer.body, headers: answer.headers };
}

const withNumber = (number: string): string => JSON.stringify(question).replace(`"${question.holder.number}"`, number);

await t.test('a body that follows the contract reaches the handler unchanged', async (t) => {
  hub.seen.length = 0;
  t.match(await ask(JSON.stringify(question)), { status: 200 });
  t.strictSame(hub.seen, [{ operationId: 'ask', body: question }]);
});

await t.test('bodies with more than one meaning are refused by name, and no handler sees them', async (t) => {
  hub.seen.length = 0;
  const text = JSON.stringify(question);
  const corpus: [string, string | Buffer, string][] = [
    ['empty', '', 'malformed_json'],
    ['not JSON', '{', 'malformed_json'],
    ['trailing comma', `${text.slice(0, -1)},}`, 'malformed_json'],
    ['two values', `${text}{}`, 'malformed_json'],
    ['byte order mark', `\ufeff${text}`, 'malformed_json'],
    ['nested 1000 deep', '['.repeat(1000) + ']'.repeat(1000), 'malformed_json'],
    ['duplicate key', text.replace('{"type"', '{"type":"111","type"'), 'duplicate_key'],
    ['duplicate key, escaped', text.replace('{"type"', '{"\\u0074ype":"111","type"'), 'duplicate_key'],
    ['__proto__', text.replace('{"type"', '{"__proto__":{},"type"'), 'duplicate_key'],
    ['NUL', text.replace('school', 'sch\\u0000ool'), 'forbidden_character'],
    ['raw NUL', text.replace('school', 'sch\0ool'), 'forbidden_character'],
    ['lone surrogate', text.replace('school', '\\ud83d'), 'forbidden_character'],
    ['not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 'forbidden_character'],
    ['number for an ID', withNumber('990000199003074477'), 'number_for_identifier'],
    ['exponent for an ID', withNumber('9.9e17'), 'number_for_identifier'],
    ['number for a code', text.replace('{"purpose"', '{"certificateTypeCode":1,"purpose"'), 'number_for_identifier'],
    ['array for an ID', withNumber('["990000199003074477"]'), 'contract_violation'],
    ['null for an ID', withNumber('null'), 'contract_violation'],
    ['unknown property', text.replace('{"purpose"', '{"extra":1,"purpose"'), 'contract_violation'],
    ['constructor', text.replace('{"purpose"', '{"constructor":{},"purpose"'), 'contract_violation'],
    ['primitive', '"990000199003074477"', 'contract_violation'],
    ['null', 'null', 'contract_violation'],
    ['array', `[${text}]`, 'contract_violation'],
    ['no purpose', JSON.stringify({ holder: question.holder }), 'purpose_missing'],
    ['no holder', JSON.stringify({ purpose: 'p' }), 'contract_violation'],
  ];
  for (const [name, body, code] of corpus) t.match(await ask(body), { status: 400, code }, name);
  t.strictSame(hub.seen, []);
});

await t.test('marks of writing direction are refused, as they stand and escaped', async (t) => {
  hub.seen.length = 0;
  const text = JSON.stringify(question);
  const marks = [0x61c, 0x200e, 0x200f, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069];
  const refused = { status: 400, code: 'forbidden_character', context: { rule: 'direction_mark' } };
  for (const mark of marks) {
    const hex = mark.toString(16).padStart(4, '0');
    for (const spelling of [String.fromCharCode(mark), `\\u${hex}`, `\\u${hex.toUpperCase()}`]) {
      t.match(await ask(text.replace('school', `sch${spelling}ool`)), refused, hex);
    }
  }
  t.match(await ask(text.replace('"purpose"', '"\\u202epurpose"')), refused, 'in a name');
  const form = await hub.app.inject({
    method: 'POST',
    url: '/oauth/token',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: 'grant_type=a%E2%80%AE',
  });
  t.match(form.json(), { code: 'forbidden_character' }, 'in a form');
  t.strictSame(hub.seen, []);
  // Names are written with joiners (U+200C, U+200D), and an escaped backslash begins no escape.
  for (const sound of ['\u200c', '\u200d', '\u2065', '\u206a', '\\\\u202e', '中文']) {
    t.match(await ask(text.replace('school', sound)), { status: 200 }, sound);
  }
});

await t.test('invariant 5: a problem names place and rule, never a value or a name the caller chose', async (t) => {
  const secrets = ['990000199003074477', '990000199003074400', 'zhangsan', 'Ouyang'];
  const bodies: [string, Record<string, unknown>][] = [
    [withNumber('990000199003074477'), { in: 'body', pointer: '/holder/number', rule: 'type', type: 'string' }],
    [JSON.stringify({ ...question, zhangsan: 'Ouyang' }), { pointer: '', rule: 'additionalProperties' }],
    [JSON.stringify({ ...question, fields: { zhangsan: 7 } }), { pointer: '/fields/*', rule: 'type' }],
    [
      JSON.stringify({ ...question, purpose: 'Ouyang'.repeat(40) }),
      { pointer: '/purpose', rule: 'maxLength', limit: 100 },
    ],
    [
      JSON.stringify({ ...question, holder: { type: 'zhangsan', number: '1' } }),
      { pointer: '/holder/type', rule: 'pattern' },
    ],
  ];
  for (const [body, context] of bodies) {
    const answer = await ask(body);
    t.match(answer, { status: 400, context });
    for (const secret of secrets) t.notOk(answer.text.includes(secret), `${secret} is not told`);
  }
  const unknown = await ask(JSON.stringify({ ...question, x: 1 }));
  t.strictSame(unknown.context?.['allowed'], ['purpose', 'holder', 'certificateTypeCode', 'fields']);
});

await t.test('content types: exactly application/json with an optional charset=utf-8', async (t) => {
  hub.seen.length = 0;
  const body = JSON.stringify(question);
  for (const type of ['application/json', 'application/json;charset=utf-8', 'Application/JSON; charset="UTF-8"']) {
    t.match(await ask(body, { 'content-type': type }), { status: 200 }, type);
  }
  hub.seen.length = 0;
  const refused = [
    '',
    'text/plain',
    'text/json',
    'application/json\t; charset=utf-8',
    'application/json\tx',
    'application/json ; charset=utf-8',
    'application/json;',
    'application/json; charset=gbk',
    'application/json; charset=utf-8; charset=utf-7',
    'application/json; version=1',
    'application/json, text/plain',
    'application/jsonp',
    'application/vnd.api+json',
    'application/problem+json',
    'xapplication/json',
    'application / json',
    'application/json/x',
    'json',
    'garbage',
    ';',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    '*/*',
  ];
  for (const type of refused) {
    t.match(await ask(body, { 'content-type': type }), { status: 415, code: 'unsupported_media_type' }, type);
  }
  t.strictSame(hub.seen, []);
});

await t.test('content encodings: nothing is ever decompressed', async (t) => {
  hub.seen.length = 0;
  for (const encoding of ['br', 'gzip', 'deflate', 'zstd', 'identity, gzip', 'GZIP', 'x']) {
    const answer = await ask(JSON.stringify(question), { 'content-encoding': encoding });
    t.match(answer, { status: 415, code: 'unsupported_content_encoding' }, encoding);
  }
  t.strictSame(hub.seen, []);
  t.match(await ask(JSON.stringify(question), { 'content-encoding': 'identity' }), { status: 200 });
});

await t.test('a body beyond the limit is 413, whether its length is declared or not', async (t) => {
  const small = await startMini({ options: { bodyLimit: 1000 } });
  t.teardown(() => small.app.close());
  const headers = { ...small.bearer(), 'content-type': 'application/json' };
  const big = JSON.stringify({ ...question, purpose: 'x'.repeat(2000) });
  const declared = await fetch(`${small.url}/v1/questions`, { method: 'POST', headers, body: big });
  t.equal(declared.status, 413);
  t.match(await declared.json(), { code: 'body_too_large' });
  const chunked = await raw(
    small.port,
    `POST /v1/questions HTTP/1.1\r\nhost: h\r\nauthorization: ${headers.authorization}\r\n` +
      `content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${big.length.toString(16)}\r\n${big}\r\n0\r\n\r\n`,
  );
  t.match(chunked, /^HTTP\/1.1 413 [\s\S]*body_too_large/);
  t.strictSame(small.seen, []);
});

await t.test(
  'forms only where the contract has them; a parameter twice is refused, an unknown one ignored',
  async (t) => {
    const post = async (payload: string, type = 'application/x-www-form-urlencoded') => {
      const answer = await hub.app.inject({
        method: 'POST',
        url: '/oauth/token',
        headers: { 'content-type': type },
        payload,
      });
      return { ...answer.json<object>(), status: answer.statusCode, type: answer.headers['content-type'] };
    };
    hub.seen.length = 0;
    t.match(await post('grant_type=client_credentials&resource=x'), { status: 200 });
    t.strictSame({ ...(hub.seen[0]?.body as object) }, { grant_type: 'client_credentials' });
    t.match(await post('grant_type=a&grant_type=b'), {
      status: 400,
      type: /^application\/json/,
      code: 'invalid_request',
      error: 'invalid_request',
      error_description: /./,
    });
    t.match(await post('client_id=x'), { status: 400, code: 'contract_violation', error: 'invalid_request' });
    t.match(await post('grant_type=a%00'), { status: 400, code: 'forbidden_character', error: 'invalid_request' });
    t.match(await post('{"grant_type":"a"}', 'application/json'), { status: 415, error: 'invalid_request' });
    t.match(await post('grant_type=%ZZ&__proto__=1&constructor=2'), { status: 200 });
  },
);

await t.test('parameters: integers are read, everything else stays a string and is judged', async (t) => {
  const get = async (url: string) => {
    const answer = await hub.app.inject({ method: 'GET', url, headers: hub.bearer('issuer') });
    return { status: answer.statusCode, ...answer.json<{ code?: string; query?: unknown; params?: unknown }>() };
  };
  t.match(await get('/v1/things?limit=20'), { status: 200, query: { limit: 20 } });
  t.match(await get('/v1/things/7'), { status: 200, params: { thingId: 7 } });
  for (const url of [
    '/v1/things?limit=0x10',
    '/v1/things?limit=1e1',
    '/v1/things?limit=01',
    '/v1/things?limit=%201',
    '/v1/things?limit=201',
    '/v1/things?limit=',
    '/v1/things?limit=1&limit=2',
    '/v1/things?limit=9999999999999999999',
    '/v1/things?unknown=1',
    '/v1/things?__proto__=1',
    '/v1/things/seven',
    '/v1/things/-1',
  ]) {
    t.match(await get(url), { status: 400, code: 'contract_violation' }, url);
  }
});

await t.test('a write without Idempotency-Key has its own code; a header given twice is refused', async (t) => {
  const headers = { ...hub.bearer('issuer'), 'content-type': 'application/json' };
  const send = async (more: Record<string, string>) => {
    const answer = await hub.app.inject({
      method: 'POST',
      url: '/v1/things',
      headers: { ...headers, ...more },
      payload: '{}',
    });
    return { status: answer.statusCode, ...answer.json<object>() };
  };
  t.match(await send({}), { status: 400, code: 'idempotency_key_missing' });
  t.match(await send({ 'idempotency-key': 'short' }), { status: 400, code: 'contract_violation' });
  t.match(await send({ 'Idempotency-Key': 'long-enough' }), { status: 201 });
  const twice = await raw(
    hub.port,
    `POST /v1/things HTTP/1.1\r\nhost: h\r\nauthorization: ${headers.authorization}\r\ncontent-type: application/json\r\n` +
      'idempotency-key: aaaaaaaa\r\nidempotency-key: bbbbbbbb\r\ncontent-length: 2\r\n\r\n{}',
  );
  t.match(twice, /^HTTP\/1.1 400 [\s\S]*contract_violation[\s\S]*"rule":"single"/);
});

await t.test(
  'smuggling: requests that two readers could frame differently are refused and the connection ends',
  async (t) => {
    hub.seen.length = 0;
    const head = `POST /v1/questions HTTP/1.1\r\nhost: h\r\nauthorization: ${auth.authorization}\r\ncontent-type: application/json\r\n`;
    const second = 'GET /health/live HTTP/1.1\r\nhost: h\r\n\r\n';
    const corpus: [string, string][] = [
      ['length and chunked', `${head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${second}`],
      ['two lengths', `${head}content-length: 2\r\ncontent-length: 3\r\n\r\n{}${second}`],
      ['length with sign', `${head}content-length: +2\r\n\r\n{}${second}`],
      ['length in hexadecimal', `${head}content-length: 0x2\r\n\r\n{}${second}`],
      ['chunked twice over', `${head}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n${second}`],
      ['unknown coding', `${head}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n${second}`],
      ['space before colon', `${head}content-length : 2\r\n\r\n{}${second}`],
      ['folded header', `${head}x-a: b\r\n c\r\ncontent-length : 2\r\n\r\n{}`],
      ['bare LF', `${head.replaceAll('\r\n', '\n')}\n`],
      ['NUL in header', `${head}x-a: a\0b\r\n\r\n`],
      ['bad chunk size', `${head}transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`],
      ['no host', `POST /v1/questions HTTP/1.1\r\n\r\n`],
      ['not HTTP', '\x16\x03\x01\x02\x00\x01\x00'],
      ['unknown method', 'BREW /v1/questions HTTP/1.1\r\nhost: h\r\n\r\n'],
    ];
    for (const [name, bytes] of corpus) {
      const answer = await raw(hub.port, bytes);
      t.match(answer, /^HTTP\/1\.1 400 /, name);
      t.equal(answer.match(/HTTP\/1\.1/g)?.length, 1, `${name}: one answer only`);
    }
    const huge = await raw(hub.port, `${head}x-a: ${'a'.repeat(20_000)}\r\n\r\n`);
    t.match(huge, /^HTTP\/1\.1 431 [\s\S]*application\/problem\+json[\s\S]*header_too_large/);
    t.strictSame(hub.seen, []);
  },
);

await t.test('a request refused before its body was read does not leave the rest to the next one', async (t) => {
  const body = JSON.stringify(question);
  const answer = await raw(
    hub.port,
    `POST /v1/questions HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: ${body.length + 40}\r\n\r\n${body}`,
  );
  t.match(answer, /^HTTP\/1\.1 401 [\s\S]*connection: close/i);
});

await t.test(
  'property: junk never gives a 5xx, and never reaches the handler unless it follows the contract',
  async (t) => {
    const contract = miniContract();
    t.ok(contract);
    const junk = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.json(),
      fc.json().map((text) => text.replace('{', '{"purpose":"x","holder":')),
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      fc.object().map((value) => JSON.stringify({ ...question, ...value })),
      fc.jsonValue().map((value) => JSON.stringify({ ...question, holder: value })),
    );
    const types = fc.oneof({ weight: 4, arbitrary: fc.constant('application/json') }, fc.string({ maxLength: 30 }));
    await fc.assert(
      fc.asyncProperty(junk, types, async (payload, type) => {
        hub.seen.length = 0;
        const answer = await ask(payload, { 'content-type': type.replace(/[^\x20-\x7e]/g, '') });
        if (answer.status === 200) {
          const [{ body } = { body: {} }] = hub.seen;
          return typeof (body as typeof question).holder.number === 'string';
        }
        return answer.status >= 400 && answer.status < 500 && answer.code !== undefined && hub.seen.length === 0;
      }),
      { seed: 20261122, numRuns: 400 },
    );
  },
);
