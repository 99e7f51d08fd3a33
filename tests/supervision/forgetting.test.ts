import { randomUUID } from 'node:crypto';
import t, { type Test } from 'tap';
import type { Entry } from '../../src/audit/entry.ts';
import type { ApiClient, Reply } from '../../src/cli/api-client.ts';
import { demoTypes } from '../../src/cli/demo/certificates.ts';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import { readRegistryNow } from '../../src/cli/fsck-registry.ts';
import { connectPools } from '../../src/db/pools.ts';
import { transaction } from '../../src/db/transaction.ts';
import { newId } from '../../src/ids.ts';
import type { Feedback, FeedbackStep } from '../../src/supervision/feedback.ts';
import { findFeedback, insertFeedback } from '../../src/supervision/feedback-store.ts';
import { type ForgetDeps, forgetSettled } from '../../src/supervision/forget-settled.ts';
import type { PaperDemand, PaperDemandState } from '../../src/supervision/paper-demand.ts';
import { findPaperDemand, insertPaperDemand } from '../../src/supervision/paper-demand-store.ts';
import { logsAreClean } from '../api/refuses.ts';
import {
  cardHolder,
  certificateIn,
  education,
  feedbackBy,
  newFault,
  newPaperDemand,
  paperAnswer,
  paperContest,
  paperDemandIn,
  portalStatement,
  publicSecurity,
  purpose,
  refusal,
} from '../api/samples.ts';
import { clientOfRole, contract, faultOf, type Problem, startWorld } from '../api/world.ts';
import { pushOf, putGrant } from '../support/demo-samples.ts';
import { startHub } from '../support/start-hub.ts';

const day = 86_400_000;
const stranger = String(pushOf(demoTypes.residentIdCard, 1).body.holders[0]?.number);
const world = await startWorld(t);
const { hub } = world;
const { core } = hub;
const school = world.client('school-enrolment');
const psb = world.client('psb-issuer');
const portal = world.client('citizen-portal');
const admin = world.client('hub-admin');
const auditor = world.client('audit-office');
for (const clientId of [...Object.values(clientOfRole), 'housing-allocation', 'market-issuer']) {
  await world.client(clientId).token();
}
await putGrant(world.client);

const months = 12;
const deps: ForgetDeps = { ...core, recordIn: core.recorder.recordIn, months };
/** Long after everything that these tests do is settled. */
const muchLater = new Date(Date.now() + 500 * day);
const never = { feedback: 0, paperDemands: 0 };
const codeOf = ({ body }: Reply): string => (body as Problem).code;
const at = (text: string): Date => new Date(text);

let drawn = 0;
/** A report as the hub itself would have written it, then. */
async function pastReport(
  { settled, made = settled ?? '2015-01-02T03:04:05Z' }: { readonly settled?: string; readonly made?: string },
  more: Partial<Feedback> = {},
): Promise<string> {
  drawn += 1;
  const by = { departmentCode: publicSecurity, clientId: 'psb-issuer' };
  const answer: FeedbackStep = {
    ...by,
    step: 'answered',
    at: at(settled ?? made),
    outcome: 'refused',
    dueAt: at(made),
  };
  const feedback: Feedback = {
    feedbackId: newId(),
    receiptNumber: `20150102-${String(drawn).padStart(7, '0')}-0`,
    clientId: 'school-enrolment',
    departmentCode: education,
    ownerDepartmentCode: publicSecurity,
    kind: 'wrong',
    state: settled === undefined ? 'open' : 'refused',
    createdAt: at(made),
    dueAt: at(made),
    certificateTypeCode: demoTypes.residentIdCard,
    holder: { type: '111', number: cardHolder.number },
    explanation: 'test',
    history: [
      { step: 'reported', at: at(made), departmentCode: education, clientId: 'school-enrolment' },
      ...(settled === undefined ? [] : [answer]),
    ],
    ...more,
  };
  await transaction(hub.db, (trx) => insertFeedback(trx, core, feedback, Buffer.from(`fault ${drawn}`)));
  return feedback.feedbackId;
}

/** A demand for paper that took these steps then. */
async function pastDemand(...steps: readonly (readonly [PaperDemandState, string])[]): Promise<string> {
  const [[, made] = ['', '']] = steps;
  const by = { departmentCode: education, clientId: 'school-enrolment' };
  const demand: PaperDemand = {
    ...by,
    paperDemandId: newId(),
    reportedBy: 'office',
    matterCode: 'school-enrolment',
    parties: { guardian: { type: '111', number: cardHolder.number } },
    reason: 'other',
    judged: { judgement: 'not_judged', of: [] },
    state: steps.at(-1)?.[0] ?? 'recorded',
    createdAt: at(made),
    dueAt: at(made),
    history: steps.map(([step, then]) => ({ ...by, step, at: at(then) })),
  };
  await transaction(hub.db, (trx) => insertPaperDemand(trx, core, demand));
  return demand.paperDemandId;
}

const isForgotten = async (id: string): Promise<boolean> => {
  const found = (await findFeedback(hub.db.kysely, core, id)) ?? (await findPaperDemand(hub.db.kysely, core, id));
  if (found === undefined) throw new Error('there is no such row');
  return 'forgottenAt' in found;
};
const forgottenOf = async (ids: readonly string[]): Promise<number> =>
  (await Promise.all(ids.map(isForgotten))).filter(Boolean).length;
/** What the self-check finds. */
const tampered = async () => (await readRegistryNow(hub.db, core.keys)).tampered;
/** What the records say was forgotten. */
async function recorded(since: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const rows = await world.sql(
    `select record_id from records where action = 'forgetSettled' and record_id > $1 order by record_id`,
    [since],
  );
  const bodies = rows.map(async ({ record_id: id }) => {
    const { body } = await auditor.post(`/v1/audit/records/${String(id)}/readings`, { reason: 'test' });
    return (body as { record: { body: Readonly<Record<string, unknown>> } }).record.body;
  });
  return Promise.all(bodies);
}

await t.test('forgotten once its time is over, and not a moment before; for good without one', async (t) => {
  const first = [
    await pastReport({ settled: '2020-03-31T23:59:59.999Z', made: '2017-01-01T00:00:00Z' }),
    await pastDemand(['recorded', '2020-03-31T23:59:59.999Z']),
  ];
  const second = [
    await pastReport({ settled: '2020-04-01T00:00:00Z', made: '2017-01-01T00:00:00Z' }),
    await pastDemand(
      ['recorded', '2017-01-01T00:00:00Z'],
      ['contested', '2017-01-02T00:00:00Z'],
      ['withdrawn', '2020-04-01T00:00:00Z'],
    ),
  ];
  t.strictSame(await forgetSettled({ ...deps, months: undefined }, muchLater), never);
  t.strictSame(await forgetSettled(deps, at('2021-03-31T23:59:59.999Z')), never);
  t.equal(await forgottenOf([...first, ...second]), 0);
  t.strictSame(await forgetSettled(deps, at('2021-04-01T00:00:00Z')), { feedback: 1, paperDemands: 1 });
  t.strictSame([await forgottenOf(first), await forgottenOf(second)], [2, 0]);
  t.strictSame(await forgetSettled(deps, at('2021-04-30T23:59:59.999Z')), never, 'once');
  t.strictSame(await forgetSettled(deps, at('2021-05-01T00:00:00Z')), { feedback: 1, paperDemands: 1 });
  t.equal(await forgottenOf(second), 2);
});

await t.test(
  'what somebody has to answer is never forgotten; contested again, it counts from its last answer',
  async (t) => {
    const open = [
      await pastReport({}),
      await pastDemand(['reported', '2015-01-01T00:00:00Z']),
      await pastDemand(['recorded', '2015-01-01T00:00:00Z'], ['contested', '2015-02-01T00:00:00Z']),
      await pastDemand(
        ['recorded', '2015-01-01T00:00:00Z'],
        ['contested', '2015-02-01T00:00:00Z'],
        ['maintained', '2015-03-01T00:00:00Z'],
        ['escalated', '2015-04-01T00:00:00Z'],
      ),
    ];
    const again = await pastDemand(
      ['recorded', '2015-01-01T00:00:00Z'],
      ['contested', '2015-02-01T00:00:00Z'],
      ['maintained', '2015-03-01T00:00:00Z'],
      ['escalated', '2019-04-01T00:00:00Z'],
      ['maintained', '2020-06-30T23:00:00Z'],
    );
    const objected = await pastReport({ settled: '2015-05-05T00:00:00Z' });
    const objection = await pastReport({ made: '2015-05-06T00:00:00Z' }, { follows: objected });
    t.strictSame(await forgetSettled(deps, at('2021-06-30T23:59:59.999Z')), never);
    t.strictSame(await forgetSettled(deps, at('2021-07-01T00:00:00Z')), { feedback: 0, paperDemands: 1 });
    t.ok(await isForgotten(again));
    t.strictSame(await forgetSettled(deps, muchLater), never);
    t.equal(await forgottenOf([...open, objected, objection]), 0, 'nor an answer that somebody objects to');

    const verdict = { ...refusal, reason: 'no' };
    await expectAnswer(psb.post(`/v1/feedback/${objection}/answers`, verdict), 200);
    t.strictSame(await forgetSettled(deps, new Date()), never, 'both count from the answer to the objection');
    t.strictSame(await forgetSettled(deps, muchLater), { feedback: 1, paperDemands: 0 });
    t.strictSame([await isForgotten(objection), await isForgotten(objected)], [true, false]);
    t.strictSame(await forgetSettled(deps, muchLater), { feedback: 1, paperDemands: 0 }, 'an hour later');
    t.ok(await isForgotten(objected));
  },
);

const dayFromNow = (days: number): string => new Date(Date.now() + days * day).toISOString().slice(0, 10);
const range = `from=${dayFromNow(-300)}&until=${dayFromNow(60)}`;
/** Everything that is counted, for everybody who may count, these days and those of the reports of long ago. */
const counts = async (): Promise<unknown> => {
  const all = [];
  for (const span of [range, 'from=2015-01-01&until=2016-01-01', 'from=2017-01-01&until=2018-01-01']) {
    for (const client of [auditor, admin, psb]) {
      all.push((await expectAnswer<{ items: object[] }>(client.get(`/v1/feedback-counts?${span}`), 200)).items);
    }
    for (const client of [auditor, admin, school]) {
      all.push((await expectAnswer<{ items: object[] }>(client.get(`/v1/paper-demand-counts?${span}`), 200)).items);
    }
  }
  return all;
};

await t.test('counts and past users are what they were', async (t) => {
  const identifier = await certificateIn(world, 'valid');
  await expectAnswer(
    school.post('/v1/lookups', {
      purpose,
      level: 'fields',
      certificateIdentifier: identifier,
      types: [{ certificateTypeCode: demoTypes.residentIdCard, fields: ['name'] }],
    }),
    200,
  );
  const reported = await feedbackBy(world, undefined, newFault({ certificateIdentifier: identifier }));
  await expectAnswer(
    psb.post(`/v1/certificates/${identifier}/status-changes`, {
      action: 'revoke',
      revocationReason: 'issued_in_error',
      reason: 'test',
    }),
    200,
  );
  await expectAnswer(psb.post(`/v1/feedback/${reported}/answers`, { ...refusal, outcome: 'revoked' }), 200);
  for (let i = 0; i < 3; i += 1) {
    await expectAnswer(psb.post(`/v1/feedback/${await feedbackBy(world)}/answers`, refusal), 200);
  }
  await feedbackBy(world);
  await pastReport({ settled: '2017-03-01T00:00:00Z', made: '2017-01-05T00:00:00Z' });
  for (const state of ['recorded', 'contested', 'maintained', 'escalated'] as const) await paperDemandIn(world, state);
  await paperDemandIn(world, 'maintained', newPaperDemand({ reason: 'person_prefers_paper' }));
  await paperDemandIn(world, 'recorded', newPaperDemand({ requirement: 'vaccination' }));
  const users = async () =>
    (await expectAnswer<{ items: object[] }>(psb.post(`/v1/certificates/${identifier}/past-users`, {}), 200)).items;
  const before = [await counts(), await users()];
  t.match(JSON.stringify(before), /"revoked":1.*"byJudgement":\{"/, 'there is something to count');
  t.strictSame(await forgetSettled(deps, muchLater), { feedback: 5, paperDemands: 4 });
  t.strictSame([await counts(), await users()], before);
  t.equal((await users()).length, 1);
});

const shapes = contract.components?.['schemas'] as Readonly<Record<string, object>>;
const listOf = async (client: ApiClient, path: string) =>
  (await expectAnswer<{ items: Record<string, unknown>[] }>(client.get(path), 200)).items;

await t.test(
  'asked by number, by id or in a list: its state and since when it is forgotten, and nothing else',
  async (t) => {
    const made = await expectAnswer<{ feedbackId: string; receiptNumber: string }>(
      school.post('/v1/feedback', newFault({ holder: cardHolder })),
      201,
    );
    const { feedbackId, receiptNumber } = made;
    await expectAnswer(psb.post(`/v1/feedback/${feedbackId}/answers`, refusal), 200);
    const paperDemandId = await paperDemandIn(world, 'maintained');
    const { number } = (await listOf(school, '/v1/paper-demands?limit=1'))[0] ?? {};
    await forgetSettled(deps, muchLater);

    const forgottenAt = muchLater.toISOString();
    const report = { feedbackId, receiptNumber, state: 'refused', forgottenAt };
    t.equal(faultOf(shapes['ForgottenFeedback'] ?? {}, report), undefined, 'as the contract says');
    for (const client of [school, psb, admin, auditor]) {
      t.strictSame((await client.get(`/v1/feedback/${feedbackId}`)).body, report, client.clientId);
      t.strictSame(await listOf(client, `/v1/feedback?receiptNumber=${receiptNumber}`), [report], 'by its number');
      const listed = await listOf(client, '/v1/feedback?state=refused&kind=wrong&limit=200');
      t.strictSame(
        listed.find((each) => each['feedbackId'] === feedbackId),
        report,
      );
    }
    const [gone, none] = [
      await world.client('market-issuer').get(`/v1/feedback/${feedbackId}`),
      await world.client('market-issuer').get(`/v1/feedback/${randomUUID()}`),
    ];
    t.strictSame(
      { ...(gone.body as object), requestId: '' },
      { ...(none.body as object), requestId: '' },
      'to others none',
    );
    t.strictSame(await listOf(world.client('housing-allocation'), `/v1/feedback?receiptNumber=${receiptNumber}`), []);
    const closed = await psb.post(`/v1/feedback/${feedbackId}/answers`, refusal);
    t.match([codeOf(closed), closed.body], ['feedback_closed', { context: { state: 'refused' } }]);
    const objection = await school.post('/v1/feedback', newFault({ follows: feedbackId }));
    t.match([codeOf(objection), objection.body], ['feedback_invalid', { context: { rule: 'forgotten' } }]);

    const demand = { paperDemandId, number, state: 'maintained', forgottenAt };
    t.equal(faultOf(shapes['ForgottenPaperDemand'] ?? {}, demand), undefined, 'as the contract says');
    const path = `/v1/paper-demands/${paperDemandId}`;
    for (const client of [school, admin, auditor]) {
      t.strictSame((await client.get(path)).body, demand, client.clientId);
      const listed = await listOf(client, '/v1/paper-demands?state=maintained&limit=200');
      t.strictSame(
        listed.find((each) => each['paperDemandId'] === paperDemandId),
        demand,
      );
    }
    const other = world.client('housing-allocation');
    t.equal(codeOf(await other.get(path)), 'paper_demand_unknown');
    const body = { holder: cardHolder, statement: portalStatement, limit: 200 };
    const own = await expectAnswer<{ items: { paperDemandId: string }[] }>(
      portal.post('/v1/paper-demands/searches', body),
      200,
    );
    t.notOk(
      own.items.some((each) => each.paperDemandId === paperDemandId),
      'it is nobody’s any more',
    );
    for (const who of [paperContest, { ...paperContest, holder: { type: '111', number: stranger } }]) {
      const late = await portal.post(`${path}/contests`, who);
      t.match([codeOf(late), late.body], ['paper_demand_closed', { context: { state: 'maintained', forgottenAt } }]);
    }
    t.match((await school.post(`${path}/answers`, paperAnswer)).body, { code: 'paper_demand_closed' });
    t.equal(codeOf(await other.post(`${path}/answers`, paperAnswer)), 'paper_demand_unknown');
  },
);

await t.test('invariant 5: nobody is left in the row, in its box or beside it', async (t) => {
  const words =
    /990000|officer|经办|复核|misspelt|wrote|CASE-|card|guardian|nothing|have it|out of date|11999900100000016A001/;
  const certificateIdentifier = await certificateIn(world, 'valid');
  const feedbackId = await feedbackBy(
    world,
    undefined,
    newFault({ certificateIdentifier, holder: cardHolder, matterCode: 'card', caseNumber: 'CASE-1' }),
  );
  await expectAnswer(psb.post(`/v1/feedback/${feedbackId}/answers`, refusal), 200);
  const followed = await feedbackBy(world, undefined, newFault({ certificateIdentifier, follows: feedbackId }));
  await expectAnswer(psb.post(`/v1/feedback/${followed}/answers`, refusal), 200);
  const paperDemandId = await paperDemandIn(world, 'maintained', newPaperDemand());
  const boxes = async (): Promise<string[]> => {
    const opened: string[] = [];
    const box = {
      seal: () => Buffer.alloc(0),
      open: (bound: Uint8Array, sealed: Uint8Array) => {
        const plain = core.keys.box.open(bound, sealed);
        opened.push(plain.toString('utf8'));
        return plain;
      },
    };
    const spying = { keys: { ...core.keys, box }, tampered: core.tampered };
    for (const id of [feedbackId, followed]) await findFeedback(hub.db.kysely, spying, id);
    await findPaperDemand(hub.db.kysely, spying, paperDemandId);
    return opened;
  };
  const rowsOf = (): Promise<readonly Record<string, unknown>[]> =>
    world.sql(
      `select row_to_json(f) as row from feedback f where feedback_id = any($1::uuid[]) union all
       select row_to_json(p) from paper_demands p where paper_demand_id = $2 union all
       select row_to_json(h) from paper_demand_holders h where paper_demand_id = $2`,
      [[feedbackId, followed], paperDemandId],
    );
  const [before, rowsBefore] = [await boxes(), await rowsOf()];
  t.equal(before.filter((each) => words.test(each)).length, 3, 'all three said something');
  t.equal(rowsBefore.length, 4, 'and the demand was found under its party');
  await forgetSettled(deps, muchLater);
  await forgetSettled(deps, muchLater);
  const after = await boxes();
  t.equal(after.length, 3);
  for (const plain of after) t.notMatch(plain, words);
  const rows = (await rowsOf()).map(({ row }) => row as Record<string, unknown>);
  t.equal(rows.length, 3, 'nobody finds it under a person');
  for (const row of rows) {
    const { fault_key: key = null, follows = null, matter_code: matter = null } = row;
    t.strictSame([key, follows, matter], [null, null, null], 'no key that stands for somebody');
    t.notOk(
      rowsBefore.some((old) => (old['row'] as Record<string, unknown>)['box'] === row['box']),
      'the old box is gone',
    );
  }
});

await t.test('each batch is on record, with numbers only', async (t) => {
  const before = newId();
  const open = await pastReport({ settled: '2018-01-05T00:00:00Z' });
  await pastDemand(['recorded', '2018-01-05T00:00:00Z']);
  await forgetSettled(deps, muchLater);
  await forgetSettled(deps, muchLater);
  const said = await recorded(before);
  t.equal(said.length, 2, 'one for each table, and none for nothing');
  const done = { kind: 'registry', action: 'forgetSettled', outcome: { result: 'done' }, client: null, subjects: null };
  t.match(said, [
    { ...done, detail: { table: 'feedback', forgotten: 1, months } },
    { ...done, detail: { table: 'paper_demands', forgotten: 1, months } },
  ]);
  t.notMatch(JSON.stringify(said), new RegExp(`${open}|990000|${cardHolder.number}`));
});

const several = async (count: number): Promise<string[]> => {
  const ids: string[] = [];
  for (let i = 0; i < count; i += 1) {
    ids.push(
      await pastReport({ settled: '2016-01-05T00:00:00Z' }),
      await pastDemand(['recorded', '2016-01-05T00:00:00Z']),
    );
  }
  return ids;
};
const sum = (said: Awaited<ReturnType<typeof recorded>>): number =>
  said.reduce((total, each) => {
    const { forgotten } = each['detail'] as { readonly forgotten: number };
    return total + forgotten;
  }, 0);

await t.test('several processes at once: each row once, and all of them on record', async (t) => {
  const before = newId();
  const ids = await several(230);
  const counted = await counts();
  const others = [1, 2].map((n) =>
    connectPools({ url: hub.database.serviceUrl, max: 3, statementTimeoutMs: 5_000, applicationName: `process ${n}` }),
  );
  const done = await Promise.all(
    [hub.db, ...others.map(({ db }) => db)].map((db) => forgetSettled({ ...deps, db }, muchLater)),
  );
  await Promise.all(others.map(({ close }) => close()));
  const total = done.reduce((n, { feedback, paperDemands }) => n + feedback + paperDemands, 0);
  const rest = await forgetSettled(deps, muchLater);
  t.equal(total + rest.feedback + rest.paperDemands, ids.length);
  t.equal(await forgottenOf(ids), ids.length);
  t.equal(sum(await recorded(before)), ids.length);
  t.strictSame(await counts(), counted);
  t.strictSame(await tampered(), []);
});

await t.test(
  'a crash in the middle: what is recorded is forgotten, the rest is whole, and goes the next time',
  async (t) => {
    const before = newId();
    const ids = await several(130);
    let batches = 0;
    const failing = async (trx: Parameters<ForgetDeps['recordIn']>[0], entry: Entry): Promise<void> => {
      batches += 1;
      if (batches === 2) throw new Error('crashed');
      await deps.recordIn(trx, entry);
    };
    await t.rejects(forgetSettled({ ...deps, recordIn: failing }, muchLater), { message: 'crashed' });
    t.equal(await forgottenOf(ids), 100, 'of the batch under way nothing');
    t.equal(sum(await recorded(before)), 100);
    t.strictSame(await tampered(), []);
    t.strictSame(await forgetSettled(deps, muchLater, () => false), never, 'a hub that stops begins no batch');
    t.strictSame(await forgetSettled(deps, muchLater), { feedback: 30, paperDemands: 130 });
    t.equal(sum(await recorded(before)), ids.length);
  },
);

await t.test('contested while it is forgotten: one of them, wholly', async (t) => {
  const ids: string[] = [];
  for (let i = 0; i < 24; i += 1) ids.push(await pastDemand(['recorded', '2016-01-05T00:00:00Z']));
  const contests = ids.map((id) => portal.post(`/v1/paper-demands/${id}/contests`, paperContest));
  const [, ...replies] = await Promise.all([forgetSettled(deps, muchLater), ...contests]);
  for (const [i, reply] of replies.entries()) {
    const gone = await isForgotten(ids[i] ?? '');
    t.equal(reply.status === 200 ? 'contested' : codeOf(reply), gone ? 'paper_demand_closed' : 'contested');
  }
  t.strictSame(await tampered(), []);
});

/** Changes a row past the hub, has everybody look at it, and puts it back. */
async function past(t: Test, table: 'feedback' | 'paper_demands', id: string, change: string): Promise<void> {
  const key = table === 'feedback' ? 'feedback_id' : 'paper_demand_id';
  await world.sql(`create table kept as select * from ${table} where ${key} = $1`, [id]);
  await world.sql(`update ${table} set ${change} where ${key} = $1`, [id]);
  t.strictSame(await tampered(), [{ table, row: id }], `${table}: ${change}`);
  const path = table === 'feedback' ? '/v1/feedback' : '/v1/paper-demands';
  t.equal((await auditor.get(`${path}/${id}`)).status, 404);
  t.strictSame(await forgetSettled(deps, at('2017-03-01T00:00:00Z')), never, 'nor is it made good by forgetting');
  await world.sql(`delete from ${table} where ${key} = $1`, [id]);
  await world.sql(`insert into ${table} select * from kept`);
  await world.sql('drop table kept');
  t.strictSame(await tampered(), []);
}

await t.test('invariant 4: emptied by SQL is not forgotten, and the self-check says so', async (t) => {
  const old = { settled: '2016-02-02T00:00:00Z' };
  const [report, other] = [await pastReport(old), await pastReport(old)];
  const [demand, another] = [
    await pastDemand(['recorded', '2016-02-02T00:00:00Z']),
    await pastDemand(['recorded', '2016-02-02T00:00:00Z']),
  ];
  await forgetSettled(deps, muchLater);
  t.equal(await forgottenOf([report, other, demand, another]), 4);
  t.strictSame(await tampered(), [], 'what the hub forgot is sound');
  const emptied = `forgotten_at = now(), box = ''`;
  const whole = await feedbackBy(world);
  await expectAnswer(psb.post(`/v1/feedback/${whole}/answers`, refusal), 200);
  const open = await pastReport({});
  const asked = await paperDemandIn(world, 'contested');
  const rowOf = (table: string, id: string) => `(select box from ${table} where ${table}_id = '${id}')`;
  const forgottenBox = rowOf('feedback', other);
  const demandBox = `(select box from paper_demands where paper_demand_id = '${another}')`;
  for (const change of [
    emptied,
    `forgotten_at = now()`,
    `${emptied}, fault_key = null`,
    `forgotten_at = now(), fault_key = null, follows = null, box = ${forgottenBox}`,
    `settled_at = null`,
    `settled_at = 'infinity'`,
    `follows = '${other}'`,
    `fault_key = null`,
  ]) {
    await past(t, 'feedback', whole, change);
  }
  for (const change of [`settled_at = '2016-01-01'`, `state = 'refused', settled_at = '2016-01-01'`, emptied]) {
    await past(t, 'feedback', open, change);
  }
  for (const change of [
    'forgotten_at = null',
    `forgotten_at = forgotten_at + interval '1 day'`,
    `fault_key = '\\x00'`,
    `box = ${forgottenBox}`,
    `state = 'corrected'`,
    `owner_department_code = '119999001000000245'`,
  ]) {
    await past(t, 'feedback', report, change);
  }
  for (const change of [
    emptied,
    'forgotten_at = now()',
    `forgotten_at = now(), matter_code = null, box = ${demandBox}`,
  ]) {
    await past(t, 'paper_demands', asked, change);
  }
  for (const change of [
    'forgotten_at = null',
    `forgotten_at = 'infinity'`,
    `matter_code = 'school-enrolment'`,
    `box = ${demandBox}`,
    `department_code = '119999001000000838'`,
  ]) {
    await past(t, 'paper_demands', demand, change);
  }
  await world.sql(
    `insert into paper_demand_holders select holder_key, $1 from paper_demand_holders where paper_demand_id = $2`,
    [demand, asked],
  );
  t.strictSame(await tampered(), [{ table: 'paper_demand_holders', row: demand }], 'put under somebody again');
  const search = { holder: cardHolder, statement: portalStatement, limit: 200 };
  const found = await expectAnswer<{ items: { paperDemandId: string }[] }>(
    portal.post('/v1/paper-demands/searches', search),
    200,
  );
  t.notOk(found.items.some(({ paperDemandId }) => paperDemandId === demand));
  await world.sql('delete from paper_demand_holders where paper_demand_id = $1', [demand]);
});

await t.test('the database lets the hub forget, and delete nothing else', async (t) => {
  for (const table of ['feedback', 'paper_demands']) {
    await t.rejects(
      hub.db.query({ name: `delete_${table}`, text: `delete from ${table}` }, []),
      /database error 42501/,
    );
  }
});

await t.test('a hub forgets when it begins to serve, as its setting says', async (t) => {
  const id = await pastReport({ settled: '2016-02-02T00:00:00Z' });
  const settings = { database: hub.database, register: false };
  const serve = async (env: Record<string, string>): Promise<readonly string[]> => {
    const other = await startHub(t, { ...settings, env });
    await other.core.beginServing();
    // Waits for what is under way.
    await other.core.close();
    return other.logLines.filter((line) => line.includes('are forgotten'));
  };
  t.strictSame(await serve({ CERTHUB_RETENTION_MONTHS: 'access=1' }), [], 'kept for good where it is not named');
  t.strictSame(await serve({ CERTHUB_RETENTION_MONTHS: 'supervision=9999' }), []);
  t.notOk(await isForgotten(id));
  const [line, ...more] = await serve({});
  t.match(
    [JSON.parse(line ?? '{}'), more],
    [{ level: 'info', count: 1, msg: 'settled reports of faults are forgotten' }, []],
  );
  t.ok(await isForgotten(id), 'ten years by default');
});

await t.test('logs and refusals say nothing of anybody', async (t) => {
  logsAreClean(t, world);
});
