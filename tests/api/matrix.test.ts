import { randomUUID } from 'node:crypto';
import t, { type Test } from 'tap';
import type { Operation } from '../../src/http/contract.ts';
import type { Role } from '../../src/ids.ts';
import { certificateIn, type OperationId, pathOf, publicSecurity, type Sample, samples, textOf } from './samples.ts';
import {
  changedTables,
  clientOfRole,
  faultOf,
  faultOfProblem,
  type Got,
  operations,
  send,
  startWorld,
} from './world.ts';

const roles = Object.keys(clientOfRole) as Role[];
const world = await startWorld(t, { env: { CERTHUB_RATE_LIMIT_PER_MINUTE: '10000' } });
const { hub } = world;
// Tokens first: fetching one leaves a row.
for (const role of roles) await world.client(clientOfRole[role]).token();

type Who = Role | 'none' | 'garbage';
const authorization = async (who: Who): Promise<Record<string, string>> => {
  if (who === 'none') return {};
  return {
    authorization: `Bearer ${who === 'garbage' ? 'e30.e30.AAAA' : await world.client(clientOfRole[who]).token()}`,
  };
};

const call = async (operation: Operation, sample: Sample, headers: Record<string, string>): Promise<Got> =>
  send(hub.url, {
    method: operation.method,
    path: pathOf(operation.operationId, sample),
    headers: {
      ...headers,
      ...(operation.parameters.some(({ in: place }) => place === 'header') && { 'idempotency-key': randomUUID() }),
      ...(operation.body !== undefined && { 'content-type': operation.body.mediaType }),
    },
    ...(sample.body !== undefined && { body: textOf(operation.operationId, sample.body) }),
  });
const codeOf = ({ json }: Got): string => (json as { code?: string } | undefined)?.code ?? 'as asked';

/** The answer's status, and whether its body is what the contract declares for it. */
function judgeAnswer(operation: Operation, { status, headers, json, text }: Got): unknown[] {
  const [declared] = [...operation.answers.keys()];
  const content = operation.answers.get(status) ?? new Map<string, object>();
  const type = headers['content-type']?.split(';')[0] ?? '';
  const schema = content.get(type);
  const fault = schema === undefined ? 'not declared' : faultOf(schema, json ?? text);
  return [status === declared, fault ?? 'as declared'];
}

const outsiders = ['none', 'garbage'] as const;
const refusalOf = (who: Who): readonly [status: number, code: string] => {
  if (who === 'none') return [401, 'token_missing'];
  return who === 'garbage' ? [401, 'token_invalid'] : [403, 'role_required'];
};

/** Whoever the contract does not name: refused, nothing written, and a record where the contract asks for one. */
async function refusesOthers(t: Test, operation: Operation): Promise<void> {
  const { operationId, recorded } = operation;
  const sample = await samples[operationId as OperationId](world);
  let before = await world.snapshot();
  for (const who of [...outsiders, ...roles.filter((role) => !operation.roles.includes(role))]) {
    const got = await call(operation, sample, await authorization(who));
    const [status, code] = refusalOf(who);
    const after = await world.snapshot();
    const client_id = who === 'none' || who === 'garbage' ? null : clientOfRole[who];
    t.strictSame(
      {
        told: [got.status, codeOf(got), ...faultOfProblem(got)],
        changed: changedTables(before, after),
        records: after.records - before.records,
        record: recorded ? after.lastRecord : undefined,
      },
      {
        told: [status, code],
        changed: [],
        records: recorded ? 1 : 0,
        record: recorded ? { action: operationId, outcome: 'refused', code, client_id } : undefined,
      },
      `${operationId}: ${who} is refused`,
    );
    before = after;
  }
}

await t.test('invariant 2: every operation answers each role exactly as the contract says', async (t) => {
  for (const operation of operations) {
    if (operation.bearer) await refusesOthers(t, operation);
    const allowed: readonly Who[] = operation.bearer ? (operation.roles as Role[]) : ['none'];
    for (const who of allowed) {
      const sample = await samples[operation.operationId as OperationId](world);
      const got = await call(operation, sample, await authorization(who));
      const what = `${operation.operationId}: ${who} is answered ${codeOf(got)}`;
      t.strictSame(judgeAnswer(operation, got), [true, 'as declared'], what);
    }
  }
});

await t.test(
  'invariant 2: no request is asked for a token it does not need, and a bad one does not harm',
  async (t) => {
    for (const operation of operations.filter(({ bearer }) => !bearer)) {
      const sample = await samples[operation.operationId as OperationId](world);
      const got = await call(operation, sample, await authorization('garbage'));
      t.equal(got.status, 200, operation.operationId);
    }
  },
);

await t.test(
  'invariant 2: an issuer reaches no certificate of another department, and learns nothing of it',
  async (t) => {
    const stranger = { authorization: `Bearer ${await world.client('market-issuer').token()}` };
    const missing = '1.2.156.3005.2.11999900100000016A001.11999900100000016A.00000000000000000001.001.U';
    const about = operations.filter(({ path }) => path.startsWith('/v1/certificates/{'));
    t.equal(about.length, 7);
    for (const operation of about) {
      const operationId = operation.operationId as OperationId;
      const sample = await samples[operationId](world);
      const before = await world.snapshot();
      const told: unknown[] = [];
      for (const certificateIdentifier of [sample.params?.['certificateIdentifier'] ?? '', missing]) {
        const got = await call(operation, { ...sample, params: { certificateIdentifier } }, stranger);
        t.match([got.status, codeOf(got)], [403, 'wrong_department'], operationId);
        const { requestId: _own, ...rest } = got.json as Record<string, unknown>;
        told.push([rest, Object.keys(got.headers).sort()]);
      }
      t.strictSame(told[0], told[1], `${operationId}: the same answer for one that exists and one that does not`);
      const after = await world.snapshot();
      t.strictSame(changedTables(before, after), []);
      t.match(
        [after.records - before.records, after.lastRecord],
        [2, { code: 'wrong_department', client_id: 'market-issuer' }],
      );
    }
    const queue = await world.client('market-issuer').get('/v1/certificates');
    t.strictSame((queue.body as { items: unknown[] }).items, [], 'the queue shows the own department only');
    const own = await world.client('psb-issuer').get('/v1/certificates?limit=200');
    const { items } = own.body as { items: { certificateIdentifier: string }[] };
    t.ok(items.length > 0);
    t.ok(items.every(({ certificateIdentifier }) => certificateIdentifier.includes(publicSecurity)));
  },
);

await t.test('invariant 2: a consumer sees its own grants and no other', async (t) => {
  const { params = {} } = await samples.getGrant(world);
  const other = world.client('housing-allocation');
  const foreign = await other.get(`/v1/grants/${params['grantId'] ?? ''}`);
  const missing = await other.get('/v1/grants/0199a000-0000-7000-8000-000000000000');
  const unmarked = ({ body }: typeof foreign) => ({ ...(body as object), requestId: '' });
  t.match([foreign.status, missing.status], [404, 404]);
  t.strictSame(unmarked(foreign), unmarked(missing), 'a foreign grant and none are the same answer');
  for (const query of ['', '?clientId=school-enrolment']) {
    const { body } = await other.get(`/v1/grants${query}`);
    t.strictSame((body as { items: unknown[] }).items, [], `its list ${query} is empty`);
  }
  const certificate = await certificateIn(world, 'valid');
  for (const who of ['school-enrolment', 'hub-admin']) {
    const { status } = await world.client(who).get(`/v1/certificates/${certificate}`);
    t.equal(status, 403, `${who} reads no certificate`);
  }
});
