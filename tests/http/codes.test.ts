import { readFileSync } from 'node:fs';
import t from 'tap';
import { parse } from 'yaml';
import { Refusal, type RefusalCode, refusalCodes } from '../../src/errors.ts';
import { type Contract, resolve } from '../../src/http/contract.ts';
import { problemOf, problems, refusalOf } from '../../src/http/problem.ts';

const contract = parse(readFileSync(new URL('../../openapi/certhub.yaml', import.meta.url), 'utf8')) as Contract;
const { enum: declared } = resolve(contract, { $ref: '#/components/schemas/ProblemCode' }) as unknown as {
  enum: string[];
};

await t.test('codes in errors.ts = codes in the contract = codes with words, each way', async (t) => {
  t.strictSame([...declared].sort(), [...refusalCodes].sort(), 'contract and union');
  t.strictSame(Object.keys(problems).sort(), [...refusalCodes].sort(), 'words and union');
  t.equal(new Set(refusalCodes).size, refusalCodes.length, 'no code twice');
});

await t.test('every code has a status of its kind and whole sentences in both languages', async (t) => {
  const titles = new Set<string>();
  for (const code of refusalCodes) {
    const { status, title, detail, next } = problems[code];
    t.ok(status >= 400 && status <= 503, `${code} has a status`);
    t.equal(
      status >= 500,
      /_unavailable$|^internal_error$|^shutting_down$|^log_unwitnessed$|tampered$/.test(code),
      `${code}: whose fault`,
    );
    for (const words of [title, detail, next]) {
      t.match(words.zh, /[\u4e00-\u9fff]/, `${code} in Chinese`);
      t.notMatch(words.zh, /[\u4e00-\u9fff][,;:!?]|[,;][\u4e00-\u9fff]/, `${code}: Chinese punctuation`);
      t.notMatch(words.en, /[^\x20-\x7e]/, `${code} in English`);
    }
    t.notMatch(title.en, /\.$/, `${code}: a title is no sentence`);
    for (const { en, zh } of [detail, next]) {
      t.match(en, /^[A-Z].*\.$/, `${code}: an English sentence`);
      t.match(zh, /\u3002$/, `${code}: a Chinese sentence`);
    }
    titles.add(title.en).add(title.zh);
  }
  t.equal(titles.size, refusalCodes.length * 2, 'no two codes with the same title');
});

await t.test('problems carry what HTTP and OAuth demand', async (t) => {
  const of = (code: RefusalCode, detail = {}, oauth = false) =>
    problemOf('https://hub.example', new Refusal(code, detail), 'r-1', oauth);
  for (const code of refusalCodes) {
    const plain = of(code);
    t.equal('www-authenticate' in plain.headers, plain.status === 401, `${code}: 401 has a challenge`);
    if (plain.status === 503) t.match(plain.headers['retry-after'], /^[1-9]/, `${code}: 503 says when`);
    t.match(plain.body, { type: `https://hub.example/problems/${code}`, code, status: plain.status, requestId: 'r-1' });
    t.notOk('context' in plain.body || 'error' in plain.body);
    const token = of(code, {}, true);
    t.match(token.headers['content-type'], /^application\/json/);
    t.match(token.body['error_description'], /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/, `${code}: characters of RFC 6749`);
  }
  t.match(of('rate_limited', { retryAfterSeconds: 7.2 }).headers, { 'retry-after': '8' });
  t.match(of('method_not_allowed', { allowed: ['GET', 'POST'] }).headers, { allow: 'GET, POST' });
  t.equal(of('token_missing').headers['www-authenticate'], 'Bearer realm="certhub"');
  t.equal(of('token_expired').headers['www-authenticate'], 'Bearer realm="certhub", error="invalid_token"');
  const oauthErrors = Object.fromEntries(refusalCodes.map((code) => [code, of(code, {}, true).body['error']]));
  t.match(oauthErrors, {
    invalid_client: 'invalid_client',
    client_disabled: 'invalid_client',
    invalid_request: 'invalid_request',
    unsupported_grant_type: 'unsupported_grant_type',
    contract_violation: 'invalid_request',
    rate_limited: 'temporarily_unavailable',
    database_unavailable: 'temporarily_unavailable',
    internal_error: 'server_error',
  });
});

await t.test('what has no name is a bare internal_error; what the framework refuses has one', async (t) => {
  const unnamed = [new Error('990000199003074477'), 'text', undefined, null, 7, { statusCode: 400 }, { code: '23505' }];
  for (const thrown of unnamed) t.match(refusalOf(thrown), { code: 'internal_error', detail: {} });
  t.equal(refusalOf({ code: 'FST_ERR_CTP_BODY_TOO_LARGE', statusCode: 413 }).code, 'body_too_large');
  t.equal(refusalOf({ code: 'FST_ERR_OTHER', statusCode: 400 }).code, 'malformed_request');
  t.equal(refusalOf({ code: 'FST_ERR_OTHER', statusCode: 500 }).code, 'internal_error');
  const refusal = new Refusal('grant_required');
  t.equal(refusalOf(refusal), refusal);
});
