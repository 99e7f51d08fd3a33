import t from 'tap';
import { type Operation, resolve, type Schema } from '../../src/http/contract.ts';
import { type Bad, logsAreClean, refusing } from './refuses.ts';
import { type OperationId, pathOf, publicSecurity, reviewer, type Sample, samples } from './samples.ts';
import { clientOfRole, contract, operations, startWorld } from './world.ts';

// What is wrong in form, on every write of issuers and administrators. The rules of each operation have files of their own.

const world = await startWorld(t);
// A first token is a change of its own; none may fall into an exchange that must change nothing.
for (const clientId of Object.values(clientOfRole)) await world.client(clientId).token();

const takesKey = ({ parameters }: Operation): boolean => parameters.some(({ name }) => name === 'Idempotency-Key');
const writes = operations.filter(takesKey);
const prepared = new Map<string, Sample>();
for (const { operationId } of writes) prepared.set(operationId, await samples[operationId as OperationId](world));
const refuses = await refusing(world);

const identifier = '1.2.156.3005.2.11999900100000016A001.11999900100000016A.00000000000000000001.001.U';
const wholeScope = {
  level: 'fields',
  fields: ['name'],
  matters: ['school-enrolment'],
  legalBases: ['own_application'],
  dailyQuota: 1_000,
  dailyHolders: 500,
  officerDailyQuota: 100,
  officerDailyHolders: 50,
  ticketRequired: true,
  secrecyDays: 30,
  validUntil: '2027-01-01T00:00:00Z',
};
/** Every member an operation knows, with a canary wherever text is free. */
const filled: Readonly<Partial<Record<string, Record<string, unknown>>>> = {
  certificate: {
    certificateIdentifier: identifier,
    certificateIssuingAuthorityCode: publicSecurity,
    certificateNumber: 'canary-number',
    certificateName: '金丝雀证',
    certificateAreaCode: '990000',
    relatedCertificateIdentifier: identifier,
    holders: [{ type: '111', number: '990000199003070013', name: '金丝雀' }],
    officer: { id: 'canary-clerk', name: '金丝雀官' },
  },
  sealCertificate: { officer: reviewer, sdJwt: 'canary'.repeat(20) },
  reviewCertificate: { decision: 'return', officer: { id: 'canary-clerk', name: '金丝雀官' }, reason: '金丝雀缘由' },
  changeCertificateStatus: {
    action: 'revoke',
    reason: '金丝雀缘由',
    revocationReason: 'cancelled',
    officer: { id: 'canary-clerk', name: '金丝雀官' },
  },
  applyForGrant: {
    wanted: wholeScope,
    legalGround: '金丝雀法',
    safeguards: '金丝雀措施',
    renews: '0199a000-0000-7000-8000-000000000000',
    officer: { id: 'canary-clerk', name: '金丝雀官' },
  },
  decideGrantApplication: {
    allowed: wholeScope,
    reason: '金丝雀缘由',
    decisionReference: '金丝雀文号',
    officer: { id: 'canary-clerk', name: '金丝雀官' },
  },
  declareDemand: {
    name: { zh: '金丝雀证', en: 'Canary certificate' },
    certificateTypeCode: `${publicSecurity}998`,
    fields: [{ name: { zh: '金丝雀项', en: 'Canary item' }, fieldName: 'canary' }],
    issuerDepartmentCode: publicSecurity,
    legalGround: '金丝雀法',
    expectedPerDay: 10,
    officer: { id: 'canary-clerk', name: '金丝雀官' },
  },
  answerSupplyGap: { reason: '金丝雀缘由', officer: { id: 'canary-clerk', name: '金丝雀官' } },
  changeRelease: { reason: '金丝雀缘由', legalGround: '金丝雀法', officer: { id: 'canary-clerk', name: '金丝雀官' } },
  getAccessReport: {
    statement: { authenticatedBy: '金丝雀方式', sessionReference: 'canary-session' },
    onBehalfOf: {
      by: { type: '111', number: '990000199003070013' },
      basis: 'guardian',
      reference: '金丝雀文书',
    },
  },
};
const pushing = ['pushCertificate', 'correctCertificate', 'reviseCertificate'];
const soundBody = (operationId: string): Record<string, unknown> => ({
  ...prepared.get(operationId)?.body,
  ...(pushing.includes(operationId) ? filled['certificate'] : filled[operationId]),
});

interface Leaf {
  readonly path: readonly string[];
  readonly schema: Schema;
}
/** Every place of a body that the contract describes, down to values; what the certificate type describes is left out. */
function* placesOf(node: unknown, value: unknown, path: readonly string[] = []): Generator<Leaf> {
  const schema = resolve(contract, node);
  if (path.length > 0) yield { path, schema };
  if (Array.isArray(value))
    for (const [index, item] of value.entries()) yield* placesOf(schema['items'], item, [...path, String(index)]);
  else if (typeof value === 'object' && value !== null) {
    const properties = (schema['properties'] ?? {}) as Record<string, unknown>;
    for (const [name, inner] of Object.entries(value)) {
      if (properties[name] !== undefined) yield* placesOf(properties[name], inner, [...path, name]);
    }
  }
}

/** The body with one place replaced; `undefined` takes it out. */
function withAt(body: unknown, [step = '', ...rest]: readonly string[], value: unknown): unknown {
  const copy: unknown = Array.isArray(body) ? [...(body as unknown[])] : { ...(body as object) };
  const inside = copy as Record<string, unknown>;
  inside[step] = rest.length === 0 ? value : withAt(inside[step], rest, value);
  return copy;
}

/** Members that are read as numbers by careless clients. */
const identifiers = /^(number|certificateNumber|caseNumber|certificateAreaCode|\w*Identifier|\w*Code)$/;

/** An ID number as a careless client sends it: already rounded to somebody else's. */
const roundedNumber = Number('990000199003070013');

await t.test('there are as many writes as the contract had when this was written', async (t) => {
  t.equal(writes.length, 45, 'a new one is tested here without being named, but look at what is special about it');
});

await t.test('bytes that are not one JSON object with one meaning', async (t) => {
  for (const { operationId: id } of writes) {
    const operationId = id as OperationId;
    const body = { reason: 'canary', ...soundBody(operationId) };
    const text = JSON.stringify(body);
    const opened = `${text.slice(0, -1)},`;
    const cases: [what: string, text: string | Uint8Array, code: string, pointer?: string][] = [
      ['nothing', '', 'malformed_json'],
      ['half an object', text.slice(0, -1), 'malformed_json'],
      ['two objects', `${text}${text}`, 'malformed_json'],
      ['a byte order mark', `\ufeff${text}`, 'malformed_json'],
      ['a name given twice', `${opened}"canary":1,"canary":2}`, 'duplicate_key'],
      ['a name given twice, once escaped', `${opened}"canary":1,"c\\u0061nary":2}`, 'duplicate_key'],
      ['__proto__', `${opened}"__proto__":{"canary":1}}`, 'duplicate_key'],
      ['NUL', `${opened}"note":"canary\0"}`, 'forbidden_character'],
      ['an escaped NUL', `${opened}"note":"canary\\u0000"}`, 'forbidden_character'],
      ['an escaped NUL in a name', `${opened}"canary\\u0000":1}`, 'forbidden_character'],
      ['half a character', `${opened}"note":"canary\\ud83d"}`, 'forbidden_character'],
      ['bytes that are not UTF-8', Buffer.from(`${opened}"note":"canary\xff"}`, 'latin1'), 'forbidden_character'],
      ['33 levels', `${opened}"note":${'['.repeat(33)}${']'.repeat(33)}}`, 'malformed_json'],
      ['20,000 levels', `${opened}"note":${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}}`, 'malformed_json'],
      ['an array', `[${text}]`, 'contract_violation', ''],
      ['a string', JSON.stringify(text), 'contract_violation', ''],
      ['null', 'null', 'contract_violation', ''],
      ['an unknown member', `${opened}"canary":"金丝雀"}`, 'contract_violation', ''],
      ['constructor', `${opened}"constructor":{"canary":1}}`, 'contract_violation', ''],
    ];
    const { params } = prepared.get(operationId) ?? {};
    for (const [what, raw, code, pointer] of cases) {
      const bad: Bad = { operationId, ...(params && { params }), body, text: raw };
      await refuses(t, what, bad, pointer === undefined ? [400, code] : [400, code, pointer]);
    }
  }
});

type Spoilt = readonly [what: string, path: readonly string[], value: unknown, code: string];

/** What can be wrong with one value; `undefined` stands for a member that is missing. */
function* spoiltAt({ path, schema }: Leaf): Generator<Spoilt> {
  const violation = 'contract_violation';
  yield ['null', path, null, violation];
  for (const name of (schema['required'] ?? []) as string[])
    yield [`no ${name}`, [...path, name], undefined, name === 'purpose' ? 'purpose_missing' : violation];
  if (schema['type'] !== 'string') {
    yield ['text', path, '金丝雀', violation];
  } else {
    const isIdentifier = identifiers.test(path.at(-1) ?? '') || schema['x-identifier'] === true;
    yield ['a number', path, roundedNumber, isIdentifier ? 'number_for_identifier' : violation];
    // Larger than anything the contract allows, and below the limit of the whole body.
    yield ['too much', path, 'canary'.repeat(20_000), violation];
    yield ['nothing', path, '', violation];
  }
  if (schema['type'] === 'array') {
    yield ['too many', path, Array.from({ length: Number(schema['maxItems']) + 1 }, () => 'canary'), violation];
    if (schema['minItems'] !== undefined) yield ['none', path, [], violation];
  }
}

await t.test('members that are missing, of another type, or too large', async (t) => {
  for (const { operationId: id, body: described } of writes) {
    const operationId = id as OperationId;
    const { params } = prepared.get(operationId) ?? {};
    const sound = soundBody(operationId);
    const root: Leaf = { path: [], schema: resolve(contract, described?.schema) };
    const required = [...spoiltAt(root)].filter(([, path]) => path.length === 1);
    const inside = [...placesOf(described?.schema, sound)].flatMap((leaf) => [...spoiltAt(leaf)]);
    for (const [what, path, value, code] of [...required, ...inside]) {
      // What is missing is told at the object that lacks it.
      const at = value === undefined ? path.slice(0, -1) : path;
      const pointer = at.map((step) => `/${step}`).join('');
      const body = withAt(sound, path, value) as Record<string, unknown>;
      await refuses(t, `${what} at ${pointer}`, { operationId, ...(params && { params }), body }, [400, code, pointer]);
    }
  }
});

await t.test('headers, addresses and sizes', async (t) => {
  for (const { operationId: id, method, parameters, path } of writes) {
    const operationId = id as OperationId;
    const { params } = prepared.get(operationId) ?? {};
    const base = { operationId, ...(params && { params }), body: soundBody(operationId) };
    const key = (...values: string[]) => ({ headers: { 'idempotency-key': values } });
    await refuses(t, 'no key', { ...base, headers: { 'idempotency-key': undefined } }, [
      400,
      'idempotency_key_missing',
    ]);
    for (const [what, value] of [
      ['a short key', 'canary1'],
      ['a long key', 'canary-'.repeat(20)],
      ['a key with a space', 'canary canary'],
    ] as const) {
      await refuses(t, what, { ...base, ...key(value) }, [400, 'contract_violation', '/idempotency-key']);
    }
    await refuses(t, 'two keys', { ...base, ...key('canary-1', 'canary-2') }, [
      400,
      'contract_violation',
      '/idempotency-key',
    ]);

    for (const type of [
      undefined,
      'text/plain',
      'text/json',
      'application/x-www-form-urlencoded',
      'application/json; charset=gbk',
    ]) {
      const bad = { ...base, headers: { 'content-type': type } };
      await refuses(t, `content type ${type}`, bad, [415, 'unsupported_media_type']);
    }
    for (const encoding of ['gzip', 'br', 'identity, gzip']) {
      const bad = { ...base, headers: { 'content-encoding': encoding } };
      await refuses(t, `content encoding ${encoding}`, bad, [415, 'unsupported_content_encoding']);
    }
    const large = JSON.stringify({ ...base.body, canary: 'canary'.repeat(50_000) });
    await refuses(t, 'a body over the limit', { ...base, text: large }, [413, 'body_too_large']);
    await refuses(t, 'and without its length', { ...base, text: large, chunked: true }, [413, 'body_too_large']);

    await refuses(t, 'an unknown parameter', { ...base, query: 'canary=990000199003070013' }, [
      400,
      'contract_violation',
      '',
    ]);
    for (const { name } of parameters.filter((each) => each.in === 'path')) {
      for (const value of ['CANARY canary', '990000199003070013\u0000', '金丝雀'.repeat(20)]) {
        const bad = { ...base, params: { ...params, [name]: value } };
        await refuses(t, `${name} of another shape`, bad, [400, 'contract_violation', `/${name}`]);
      }
      const long = { ...base, params: { ...params, [name]: 'canary'.repeat(100) } };
      const told = await refuses(t, `${name} far too long`, { ...long, path: pathOf(operationId, long) }, [
        404,
        'not_found',
      ]);
      t.equal(told.context, undefined);
    }
    const there = pathOf(operationId, base);
    await refuses(t, 'an address below', { ...base, path: `${there}/canary/canary/canary` }, [404, 'not_found']);
    await refuses(t, 'a slash at the end', { ...base, path: `${there}/` }, [404, 'not_found']);
    const allowed = operations.filter((each) => each.path === path).map((each) => each.method);
    for (const wrong of ['DELETE', 'PATCH', 'PUT', 'GET'].filter(
      (each) => !allowed.includes(each) && each !== method,
    )) {
      const told = await refuses(t, wrong, { ...base, method: wrong }, [405, 'method_not_allowed']);
      t.same([...((told.context?.['allowed'] ?? []) as string[])].sort(), [...allowed].sort());
    }
  }
  logsAreClean(t, world);
});
