import { randomUUID } from 'node:crypto';
import t, { type Test } from 'tap';
import type { ApiClient } from '../../src/cli/api-client.ts';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import type { Operation } from '../../src/http/contract.ts';
import type { Role } from '../../src/ids.ts';
import { putGrant } from '../support/demo-samples.ts';
import { registerOffice } from '../support/inspection-office.ts';
import { type Cell, permissionTable } from './permission-table.ts';
import {
  certificateIn,
  draftIn,
  education,
  feedbackBy,
  newErasure,
  newFault,
  newWish,
  type OperationId,
  pathOf,
  publicSecurity,
  refusal,
  type Sample,
  samples,
  secretLookup,
  textOf,
} from './samples.ts';
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
const table = permissionTable();
const cellOf = (operationId: string, role: Role): Cell => {
  const cell = table.find((row) => row.operationId === operationId)?.cells.get(role);
  if (cell === undefined) throw new Error(`the table has no cell for ${operationId} and ${role}`);
  return cell;
};

const housing = '119999001000000838';
/** Clients of the same role as those of `clientOfRole`, in another department. */
const strangers: Readonly<Record<Role, ApiClient>> = {
  issuer: world.client('market-issuer'),
  consumer: world.client('housing-allocation'),
  grantor: world.client('hrss-grants'),
  auditor: await registerOffice(hub, { clientId: 'other-auditor', departmentCode: housing }),
  admin: await registerOffice(hub, { clientId: 'other-admin', departmentCode: housing, roles: ['admin'] }),
  portal: await registerOffice(hub, { clientId: 'other-portal', departmentCode: housing, roles: ['portal'] }),
};
/** And in the same department. */
const neighbours: Partial<Record<Role, ApiClient>> = {
  consumer: await registerOffice(hub, { clientId: 'second-school', departmentCode: education, roles: ['consumer'] }),
  issuer: await registerOffice(hub, { clientId: 'second-issuer', roles: ['issuer'] }),
  portal: await registerOffice(hub, {
    clientId: 'second-portal',
    departmentCode: '11999900100000112K',
    roles: ['portal'],
  }),
};
/** Who shares the department of the client that applies. */
const applicantsAdmin = await registerOffice(hub, {
  clientId: 'education-admin',
  departmentCode: education,
  roles: ['admin'],
});
// Tokens first: fetching one leaves a row.
for (const role of roles) await world.client(clientOfRole[role]).token();
for (const client of [...Object.values(strangers), ...Object.values(neighbours), applicantsAdmin]) await client.token();

const grantCount = async (): Promise<number> =>
  Number((await world.sql('select count(*)::int as n from grants'))[0]?.['n']);

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
  for (const who of [...outsiders, ...roles.filter((role) => cellOf(operationId, role).reach === 'none')]) {
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

await t.test('invariant 2: every operation answers each role exactly as the table says', async (t) => {
  const named = table.map(({ operationId }) => operationId);
  t.strictSame(
    named,
    operations.map(({ operationId }) => operationId),
    'the table has a row for every operation',
  );
  const makers = new Set<string>();
  for (const operation of operations) {
    if (operation.bearer) await refusesOthers(t, operation);
    const { operationId } = operation;
    const isOpen = roles.every((role) => cellOf(operationId, role).reach === 'everybody');
    t.equal(isOpen, !operation.bearer, `${operationId}: a token is asked for where the table does not say everybody`);
    const allowed: readonly Who[] = isOpen
      ? ['none']
      : roles.filter((role) => cellOf(operationId, role).reach !== 'none');
    for (const who of allowed) {
      const sample = await samples[operation.operationId as OperationId](world, who as Role);
      const before = await grantCount();
      const got = await call(operation, sample, await authorization(who));
      const what = `${operation.operationId}: ${who} is answered ${codeOf(got)}`;
      t.strictSame(judgeAnswer(operation, got), [true, 'as declared'], what);
      if ((await grantCount()) !== before) makers.add(operationId);
    }
  }
  t.strictSame(
    [...makers],
    ['decideGrantApplication', 'enterProvinceDecision'],
    'a grant comes of a decision on an application, and of nothing else',
  );
});

await t.test('invariant 2: nobody types a grant in, and each has the application that led to it', async (t) => {
  const { wanted, certificateTypeCode } = newWish() as { wanted: object; certificateTypeCode: string };
  const [validFrom, validUntil] = ['2026-01-01T00:00:00Z', '2030-01-01T00:00:00Z'];
  const times = { validFrom, validUntil, decisionReference: 'decision 1' };
  const body = JSON.stringify({ clientId: 'school-enrolment', certificateTypeCode, ...wanted, ...times });
  for (const role of roles) {
    const before = await world.snapshot();
    const headers = { ...(await authorization(role)), 'content-type': 'application/json' };
    const got = await send(hub.url, {
      method: 'POST',
      path: '/v1/grants',
      headers: { ...headers, 'idempotency-key': randomUUID() },
      body,
    });
    t.match([got.status, codeOf(got), got.headers.allow], [405, 'method_not_allowed', /^GET/], role);
    t.strictSame(changedTables(before, await world.snapshot()), [], role);
  }
  const strays = `select g.grant_id from grants g left join grant_applications a
    on a.application_id = (convert_from(g.body, 'UTF8')::jsonb ->> 'applicationId')::uuid and a.state = 'granted'
    where a.application_id is null`;
  t.ok((await grantCount()) > 0);
  t.strictSame(await world.sql(strays), []);
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
    t.equal(about.length, 8);
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

/** A sound request of `role` about what is its own, where the usual sample is not enough to be somebody's. */
const ownSamples: Partial<Record<OperationId, (role: Role) => Promise<Sample>>> = {
  listCertificates: async () => {
    await certificateIn(world, 'approved');
    return { query: 'state=approved&limit=200' };
  },
  pushCertificate: async () => {
    const { body } = await samples.pushCertificate(world);
    return { body: { ...body, certificateIssuingAuthorityCode: publicSecurity } };
  },
  listCertificateTypeDrafts: async () => {
    await draftIn(world);
    return { query: 'limit=200' };
  },
  listGrants: () => Promise.resolve({ query: 'limit=200' }),
  listGrantApplications: async () => {
    await samples.getGrantApplication(world);
    return { query: 'limit=200' };
  },
  applyForGrant: async () => ({ body: newWish({}, { renews: (await putGrant(world.client)).grantId }) }),
  approveErasure: async (role) => {
    const proposed = await world.client(clientOfRole[role]).post('/v1/audit/erasures', await newErasure(world));
    return {
      params: { erasureId: (proposed.body as { erasureId: string }).erasureId },
      body: { officer: { id: `officer-${randomUUID()}`, name: '审计员' }, decision: 'approve', reason: 'test' },
    };
  },
  listFeedback: async (role) => {
    await feedbackBy(world, role);
    return { query: 'limit=200' };
  },
  countFeedback: async () => {
    await feedbackBy(world);
    return {};
  },
  reportFault: async (role) => {
    if (role === 'consumer') return { body: newFault({ recordId: await secretLookup(world) }) };
    const follows = await feedbackBy(world, role);
    await expectAnswer(world.client('psb-issuer').post(`/v1/feedback/${follows}/answers`, refusal), 200);
    return { body: newFault({ follows }, role) };
  },
  listChangedCertificates: async () => {
    const certificateIdentifier = await certificateIn(world, 'valid');
    await secretLookup(world);
    const path = `/v1/certificates/${certificateIdentifier}/status-changes`;
    await expectAnswer(world.client('psb-issuer').post(path, { action: 'suspend', reason: 'test' }), 200);
    return samples.listChangedCertificates(world);
  },
  recordPaperDemand: async (role) => {
    const { body } = await samples.recordPaperDemand(world, role);
    return { body: { ...body, departmentCode: education } };
  },
  listPaperDemands: async () => {
    await samples.getPaperDemand(world);
    return { query: 'limit=200' };
  },
  countPaperDemands: async () => {
    await samples.getPaperDemand(world);
    return samples.countPaperDemands(world);
  },
  checkMatter: async () => {
    const sample = await samples.checkMatter(world);
    await putGrant(world.client, { matters: [sample.params?.['matterCode']] });
    await certificateIn(world, 'valid');
    return sample;
  },
};
const ownSample = (operationId: string, role: Role): Promise<Sample> =>
  (ownSamples[operationId as OperationId] ?? ((who) => samples[operationId as OperationId](world, who)))(role);

/** What an answer shows: the items of a list, the certificates of the evidence, or whose it is what was written. */
function shownIn({ json }: Got): string[] {
  const {
    items,
    evidence = [],
    demandId,
    departmentCode = '',
  } = (json ?? {}) as {
    items?: unknown[];
    demandId?: string;
    departmentCode?: string;
    evidence?: { certificates: { certificateIdentifier: string }[] }[];
  };
  const certificates = evidence.flatMap((answer) => answer.certificates.map((each) => each.certificateIdentifier));
  const owner = demandId === undefined ? [] : [departmentCode];
  return [...(items ?? []).map((item) => JSON.stringify(item)), ...certificates, ...owner];
}

const as = async (client: ApiClient): Promise<Record<string, string>> => ({
  authorization: `Bearer ${await client.token()}`,
});

/** Each of these clients is refused what is not for it: nothing is written, and a record made where the contract asks for one. */
async function refusesEach(
  t: Test,
  operation: Operation,
  { sample, clients, code }: { sample: Sample; clients: readonly ApiClient[]; code: string },
): Promise<void> {
  for (const client of clients) {
    const before = await world.snapshot();
    const got = await call(operation, sample, await as(client));
    const after = await world.snapshot();
    t.strictSame(
      {
        told: [codeOf(got), ...faultOfProblem(got)],
        changed: changedTables(before, after),
        records: after.records - before.records,
      },
      { told: [code], changed: [], records: operation.recorded ? 1 : 0 },
      `${operation.operationId}: ${client.clientId} is refused what is not its own`,
    );
  }
}

function secondOf(role: Role): ApiClient {
  const second = neighbours[role];
  if (second === undefined) throw new Error(`no second ${role} in one department`);
  return second;
}

/** What the first of these was shown, none of the others was. */
function showsNothing(t: Test, operationId: string, [mine = [], ...theirs]: readonly string[][]): void {
  t.ok(mine.length > 0, `${operationId}: there is something to show`);
  const foreign = theirs.flat().filter((each) => mine.includes(each));
  t.strictSame(foreign, [], `${operationId}: nothing of it is shown to others`);
}

async function keepsApart(t: Test, operation: Operation, role: Role): Promise<void> {
  const { operationId } = operation;
  const cell = cellOf(operationId, role);
  const stranger = strangers[role];
  const own = world.client(clientOfRole[role]);
  const answers = async (client: ApiClient, sample: Sample): Promise<Got> => {
    const got = await call(operation, sample, await as(client));
    const what = `${operationId}: ${client.clientId} is answered ${codeOf(got)}`;
    t.strictSame(judgeAnswer(operation, got), [true, 'as declared'], what);
    return got;
  };
  if (cell.reach === 'none' || cell.reach === 'everybody') return;
  if (cell.reach === 'all') {
    const about = await ownSample(operationId, role);
    const shown = shownIn(await answers(stranger, about));
    if (operation.method === 'GET')
      t.strictSame(shown, shownIn(await answers(own, about)), `${operationId}: the same list`);
    return;
  }
  const { reach, otherwise } = cell;
  const sample = await ownSample(operationId, role);
  if (reach === 'other clients' || reach === 'other departments') {
    const clients = reach === 'other clients' ? [own] : [applicantsAdmin];
    await refusesEach(t, operation, { sample, clients, code: otherwise ?? '' });
    await answers(stranger, sample);
    return;
  }
  const others = reach === 'own client' ? [stranger, secondOf(role)] : [stranger];
  if (otherwise !== undefined) {
    await refusesEach(t, operation, { sample, clients: others, code: otherwise });
    await answers(own, sample);
    return;
  }
  const shown: string[][] = [];
  for (const client of [own, ...others]) shown.push(shownIn(await answers(client, sample)));
  showsNothing(t, operationId, shown);
}

await t.test('invariant 2: what a department issues is its own, whichever of its clients asks', async (t) => {
  const second = await as(secondOf('issuer'));
  for (const operation of operations) {
    const { operationId } = operation;
    if (cellOf(operationId, 'issuer').reach !== 'own department') continue;
    const got = await call(operation, await ownSample(operationId, 'issuer'), second);
    t.strictSame(judgeAnswer(operation, got), [true, 'as declared'], `${operationId}: ${codeOf(got)}`);
  }
});

await t.test('invariant 2: own and other department, for every operation and role as the table says', async (t) => {
  for (const operation of operations) {
    for (const role of roles) await keepsApart(t, operation, role);
  }
});
