import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import t from 'tap';
import { parse } from 'yaml';
import { Refusal, refusalCodes } from '../../src/errors.ts';
import { type Contract, type Operation, operationsOf, resolve } from '../../src/http/contract.ts';
import type { PublicOperation } from '../../src/http/handlers.ts';
import { problemOf } from '../../src/http/problem.ts';
import type { Role } from '../../src/ids.ts';
import { issuer, startMini } from './mini.ts';

const contract = parse(readFileSync(new URL('../../openapi/certhub.yaml', import.meta.url), 'utf8')) as Contract;
const operations = operationsOf(contract);
const roles: Role[] = ['issuer', 'consumer', 'auditor', 'admin', 'portal', 'grantor'];
// Compile-time list of the operations whose handlers get no caller: one that is missing here does not compile.
const publicOperations: Record<PublicOperation, true> = {
  getLiveness: true,
  getReadiness: true,
  getAuthorizationServerMetadata: true,
  getHubKeys: true,
  issueToken: true,
  getStatusList: true,
  verify: true,
  getTrustBundle: true,
  getLogCheckpoint: true,
  getLogTile: true,
  getLogKey: true,
  getLogProof: true,
};

const called: string[] = [];
const hub = await startMini({
  contract,
  onlyHandlers: Object.fromEntries(
    operations.map(({ operationId }) => [
      operationId,
      async () => {
        called.push(operationId);
        throw new Refusal('grant_required');
      },
    ]),
  ),
  options: { publicRateLimit: { max: 1e6, windowMilliseconds: 60_000 } },
});
t.teardown(() => hub.app.close());

const examples: Readonly<Record<string, string>> = {
  departmentCode: '11999900100000016A',
  certificateTypeCode: '11999900100000016A001',
  certificateIdentifier: '1.2.156.3005.2.11999900100000016A001.11999900100000016A.00000000000000000001.001.U',
  clientId: 'school-enrolment',
  kid: 'key-1',
  sha256: 'a'.repeat(64),
  grantId: '0199a000-0000-7000-8000-000000000000',
  applicationId: '0199a000-0000-7000-8000-000000000000',
  paperDemandId: '0199a000-0000-7000-8000-000000000000',
  codeId: '0199a000-0000-7000-8000-000000000000',
  draftId: '0199a000-0000-7000-8000-000000000000',
  feedbackId: '0199a000-0000-7000-8000-000000000000',
  ticketId: '0199a000-0000-7000-8000-000000000000',
  matterCode: 'school-enrolment',
  demandId: '0199a000-0000-7000-8000-000000000000',
  listId: '1',
  recordId: '0199a000-0000-7000-8000-000000000000',
  erasureId: '0199a000-0000-7000-8000-000000000000',
  tilePath: '0/x001/x234/067.p/17',
};

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: { code?: string };
}

async function call(operation: Operation, more: { role?: Role; body?: string } = {}): Promise<Answer> {
  const url = operation.path.replace(/\{([^}]+)\}/g, (_all, name: string) => {
    const example = examples[name];
    if (example === undefined) throw new Error(`no example for ${name}`);
    return example;
  });
  const answer = await hub.app.inject({
    method: operation.method as 'GET',
    url,
    headers: {
      'idempotency-key': 'a-fresh-random-value',
      ...(more.role === undefined ? {} : hub.bearer(more.role)),
      ...(operation.body === undefined ? {} : { 'content-type': operation.body.mediaType }),
    },
    ...(operation.body === undefined ? {} : { payload: more.body ?? '{}' }),
  });
  return {
    status: answer.statusCode,
    type: String(answer.headers['content-type']),
    body: answer.json<{ code?: string }>(),
  };
}
const allowed = (operation: Operation): Role => operation.roles[0] as Role;

const ajv = new Ajv2020({ allErrors: true, strict: false, validateFormats: false });
const isProblem = ajv.compile({
  ...(contract.components?.['schemas']?.['Problem'] as object),
  components: contract.components,
});

await t.test('every operation has its own security, and the public ones are known by name', async (t) => {
  const open = operations.filter(({ bearer }) => !bearer).map(({ operationId }) => operationId);
  t.strictSame(open.sort(), Object.keys(publicOperations).sort());
  for (const { operationId, roles: listed } of operations) {
    t.ok(
      listed.every((role) => roles.includes(role as Role)),
      `${operationId}: roles exist`,
    );
  }
});

await t.test(
  'invariant 2, default deny: 401 for nobody, 403 for every role not listed, on every operation',
  async (t) => {
    for (const operation of operations.filter(({ bearer }) => bearer)) {
      const { operationId } = operation;
      called.length = 0;
      const nobody = await call(operation);
      t.match(
        nobody,
        { status: 401, type: /^application\/problem\+json/, body: { code: 'token_missing' } },
        operationId,
      );
      for (const role of roles.filter((role) => !operation.roles.includes(role))) {
        t.match(
          await call(operation, { role }),
          { status: 403, body: { code: 'role_required' } },
          `${operationId} ${role}`,
        );
      }
      t.strictSame(called, [], operationId);
      for (const role of roles.filter((role) => operation.roles.includes(role))) {
        t.notMatch(await call(operation, { role }), { body: { code: 'role_required' } }, `${operationId} as ${role}`);
      }
    }
  },
);

await t.test(
  'every JSON body: unknown property, number for a string, duplicate key, NUL are 400 and unseen',
  async (t) => {
    for (const operation of operations) {
      if (operation.body?.mediaType !== 'application/json') continue;
      const role = operation.bearer ? { role: allowed(operation) } : {};
      const { properties = {} } = resolve(contract, operation.body.schema) as { properties?: Record<string, unknown> };
      const bodies: [string, string][] = [
        ['{"unknownProperty":1}', 'contract_violation|purpose_missing'],
        ['{"a":1,"a":1}', 'duplicate_key'],
        ['{"a":"\\u0000"}', 'forbidden_character'],
        ['{"__proto__":{}}', 'duplicate_key'],
        ['"text"', 'contract_violation'],
        ['[]', 'contract_violation'],
      ];
      for (const [name, schema] of Object.entries(properties)) {
        if (resolve(contract, schema)['type'] !== 'string') continue;
        bodies.push([JSON.stringify({ [name]: 1 }), 'number_for_identifier|contract_violation|purpose_missing']);
      }
      called.length = 0;
      for (const [body, codes] of bodies) {
        const answer = await call(operation, { ...role, body });
        const what = `${operation.operationId} ${body}`;
        t.match(
          answer,
          { status: 400, type: /^application\/problem\+json/, body: { code: new RegExp(`^(${codes})$`) } },
          what,
        );
        t.ok(isProblem(answer.body), `${what}: ${ajv.errorsText(isProblem.errors)}`);
      }
      t.strictSame(called, [], operation.operationId);
    }
  },
);

await t.test('every code, plain and on the token endpoint, is a Problem as the contract describes it', async (t) => {
  for (const code of refusalCodes) {
    for (const oauth of [false, true]) {
      const { body } = problemOf(issuer, new Refusal(code, { pointer: '/a' }), 'request-1', oauth);
      t.ok(isProblem(body), `${code}: ${ajv.errorsText(isProblem.errors)}`);
    }
  }
});

await t.test('ASVS 14.2.1: no path, query or header takes a number or a name of a person', async (t) => {
  for (const { operationId, parameters } of operations) {
    for (const { name } of parameters) {
      t.notMatch(name, /^(number|holder|uscc|idNumber|id|name|token|purpose|caseNumber)$/i, `${operationId} ${name}`);
    }
  }
});

await t.test('every request is bounded: closed objects, limited strings, limited arrays', async (t) => {
  // Where the certificate type, or the value compared, decides what is inside.
  const open = new Set(['/fields', '/compare', '/faceValues', '/schema']);
  const judge: Readonly<Record<string, (where: string, schema: Readonly<Record<string, unknown>>) => void>> = {
    object: (where, schema) => {
      const isOpen = open.has(where.slice(where.lastIndexOf('/')));
      const values = schema['additionalProperties'];
      if (typeof values === 'object') {
        // A list by name: so many, with names and values that are bounded themselves.
        t.type(schema['maxProperties'], 'number', `${where} has maxProperties`);
        walk(`${where}/?`, schema['propertyNames']);
        walk(`${where}/*`, values);
      } else if (!isOpen) t.equal(schema['additionalProperties'], false, `${where} is closed`);
      for (const [name, inner] of Object.entries(schema['properties'] ?? {})) walk(`${where}/${name}`, inner);
    },
    array: (where, schema) => {
      t.type(schema['maxItems'], 'number', `${where} has maxItems`);
      walk(`${where}/-`, schema['items']);
    },
    string: (where, schema) => {
      const limits = ['maxLength', 'enum', 'const', 'pattern', 'format'];
      t.ok(
        limits.some((limit) => limit in schema),
        `${where} is limited`,
      );
    },
    integer: (where, schema) => t.type(schema['maximum'], 'number', `${where} has a maximum`),
    // Eight bytes, whatever it says.
    number: () => undefined,
    boolean: () => undefined,
  };
  const walk = (where: string, node: unknown): void => {
    const schema = resolve(contract, node);
    // A value of several types is bounded in each.
    for (const type of [schema['type']].flat()) {
      const check = judge[String(type)];
      t.ok(check, `${where} has a type`);
      check?.(where, schema);
    }
  };
  for (const { operationId, body, parameters } of operations) {
    if (body !== undefined) walk(operationId, body.schema);
    for (const { name, schema } of parameters) walk(`${operationId}/${name}`, schema);
  }
});

await t.test('a refusal on every operation follows the contract, and recorded ones are recorded', async (t) => {
  for (const operation of operations.filter(({ body }) => body === undefined)) {
    hub.events.length = 0;
    const answer = await call(operation, operation.bearer ? { role: allowed(operation) } : {});
    t.match(answer, { status: 403, body: { code: 'grant_required' } }, operation.operationId);
    t.equal(hub.events.length, operation.recorded ? 1 : 0, `${operation.operationId} is recorded as the contract says`);
  }
});
