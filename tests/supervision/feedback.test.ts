import { randomUUID } from 'node:crypto';
import t from 'tap';
import type { ApiClient, Reply } from '../../src/cli/api-client.ts';
import { demoTypes } from '../../src/cli/demo/certificates.ts';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import { transaction } from '../../src/db/transaction.ts';
import { isReceiptNumber } from '../../src/supervision/feedback.ts';
import { checkFeedback, lockFeedback, updateFeedback } from '../../src/supervision/feedback-store.ts';
import { remindOfFeedback } from '../../src/supervision/remind-feedback.ts';
import { logsAreClean, refusing } from '../api/refuses.ts';
import {
  cardHolder,
  certificateIn,
  feedbackBy,
  newFault,
  newType,
  publicSecurity,
  purpose,
  refusal,
  reviewer,
  secretLookup,
  strayCard,
} from '../api/samples.ts';
import { clientOfRole, type Problem, startWorld } from '../api/world.ts';
import { pushOf, putGrant } from '../support/demo-samples.ts';
import { registerOffice } from '../support/inspection-office.ts';

const day = 86_400_000;
const world = await startWorld(t);
const { hub } = world;
const school = world.client('school-enrolment');
const housing = world.client('housing-allocation');
const portal = world.client('citizen-portal');
const psb = world.client('psb-issuer');
const couples = world.client('civil-affairs-issuer');
const admin = world.client('hub-admin');
const auditor = world.client('audit-office');
const civilAffairs = '11999900100000067J';
const secondPsb = await registerOffice(hub, { clientId: 'second-issuer', roles: ['issuer'] });
for (const client of [...Object.values(clientOfRole), 'housing-allocation', 'civil-affairs-issuer', 'market-issuer']) {
  await world.client(client).token();
}
await putGrant(world.client);

interface Shown {
  readonly feedbackId: string;
  readonly receiptNumber: string;
  readonly state: string;
  readonly ownerDepartmentCode: string;
  readonly overdue: boolean;
  readonly dueAt: string;
  readonly createdAt: string;
  readonly history: readonly Record<string, unknown>[];
}
const feedback = '/v1/feedback';
const report = (fault: Record<string, unknown> = newFault(), client = school) =>
  expectAnswer<Shown>(client.post(feedback, fault), 201);
const answer = (client: ApiClient, id: string, verdict: object = refusal): Promise<Reply> =>
  client.post(`${feedback}/${id}/answers`, { ...refusal, ...verdict });
const read = (client: ApiClient, id: string) => expectAnswer<Shown>(client.get(`${feedback}/${id}`), 200);
const idsOf = async (client: ApiClient, query = ''): Promise<string[]> => {
  const { items } = await expectAnswer<{ items: Shown[] }>(client.get(`${feedback}?limit=200${query}`), 200);
  return items.map(({ feedbackId }) => feedbackId);
};
const codeOf = ({ body }: Reply): string => (body as Problem).code;
const expected = ({ body }: Reply) => [(body as Problem).code, (body as Problem).context?.['expected']];
/** An answer without what differs from request to request. */
const told = ({ status, body }: Reply) => {
  const { requestId: _request, feedbackId: _id, receiptNumber: _number, ...rest } = body as Record<string, unknown>;
  const { createdAt: _at, certificateIdentifier: _named, ...same } = rest;
  return { status, ...same };
};

const push = pushOf(demoTypes.residentIdCard);
/** Pushes the next version of a card, and seals it or not. */
async function revise(identifier: string, sealed = true): Promise<string> {
  const pushed = psb.post(`/v1/certificates/${identifier}/versions`, push.body);
  const next = (await expectAnswer<{ certificateIdentifier: string }>(pushed, 201)).certificateIdentifier;
  if (sealed) await seal(next);
  return next;
}
async function seal(identifier: string, client = psb): Promise<void> {
  const path = `/v1/certificates/${identifier}`;
  await expectAnswer(client.post(`${path}/reviews`, { decision: 'approve', officer: reviewer }), 200);
  await expectAnswer(client.post(`${path}/seals`, {}), 200);
}
const revoke = (identifier: string) =>
  expectAnswer(
    psb.post(`/v1/certificates/${identifier}/status-changes`, {
      action: 'revoke',
      revocationReason: 'issued_in_error',
      reason: 'test',
    }),
    200,
  );
const lookUp = () =>
  expectAnswer<{ recordId: string }>(
    school.post('/v1/lookups', {
      purpose,
      level: 'fields',
      holder: cardHolder,
      types: [{ certificateTypeCode: demoTypes.residentIdCard }],
    }),
    200,
  );
interface ReportItem {
  readonly about: string;
  readonly sentence: { readonly en: string };
}
const accessReport = async (): Promise<readonly ReportItem[]> =>
  (
    await expectAnswer<{ items: ReportItem[] }>(
      portal.post('/v1/access-reports', {
        holder: cardHolder,
        statement: { authenticatedBy: 'face', sessionReference: 'session-9' },
        limit: 50,
      }),
      200,
    )
  ).items;

await t.test('what is wrong is reported, revised and answered; a claim that is not so is no answer', async (t) => {
  const certificateIdentifier = await certificateIn(world, 'valid');
  const { recordId } = await lookUp();
  const made = await report(
    newFault({
      certificateIdentifier,
      holder: cardHolder,
      matterCode: purpose.matterCode,
      caseNumber: purpose.caseNumber,
      recordId: recordId.toUpperCase(),
      publicReference: '12345-2026-0007',
    }),
  );
  t.match(made, { state: 'open', ownerDepartmentCode: publicSecurity, overdue: false, clientId: 'school-enrolment' });
  t.ok(isReceiptNumber(made.receiptNumber), made.receiptNumber);
  t.ok(Date.parse(made.dueAt) > Date.now() + day, 'there is time to answer');
  const { feedbackId } = made;
  const listed = await expectAnswer<{ items: object[] }>(
    psb.get(`${feedback}?receiptNumber=${made.receiptNumber}`),
    200,
  );
  t.strictSame(listed.items, [made], 'the owner finds it by its number');
  t.notMatch(JSON.stringify(listed), /misspelt|holder|CASE-1|officer/, 'without anything personal');

  const seen = await read(psb, feedbackId);
  t.match(seen, {
    explanation: 'the name is misspelt',
    holder: cardHolder,
    caseNumber: purpose.caseNumber,
    recordId,
    publicReference: '12345-2026-0007',
    officer: purpose.officer,
    fields: ['name'],
    history: [{ step: 'reported', clientId: 'school-enrolment' }],
  });
  t.strictSame(await read(school, feedbackId), seen, 'as the client that made it');
  for (const client of [auditor, admin]) {
    const outline = await read(client, feedbackId);
    t.match(outline, made);
    t.notMatch(
      JSON.stringify(outline),
      /misspelt|holder|CASE-1|officer|2026-0007/,
      `${client.clientId} sees no person`,
    );
  }
  const [shown] = (await accessReport()).filter(({ about }) => about === 'fault');
  t.match(shown?.sentence.en, /read a report that a certificate of yours is missing, wrong or unreadable/);
  t.notMatch(JSON.stringify(shown), /misspelt|officer|经办/);

  const later = 'a_later_version_in_force_sealed_after_the_report';
  const correct = (identifier: string) =>
    answer(psb, feedbackId, { outcome: 'corrected', certificateIdentifier: identifier });
  t.strictSame(expected(await correct(certificateIdentifier)), ['feedback_not_mended', later], 'nothing changed');
  t.strictSame(expected(await correct(await certificateIn(world, 'valid'))), ['feedback_not_mended', later], 'another');
  t.strictSame(expected(await correct(strayCard())), ['feedback_not_mended', later], 'one that is not there');
  t.strictSame(expected(await answer(psb, feedbackId, { outcome: 'revoked' })), [
    'feedback_not_mended',
    'the_reported_version_is_revoked',
  ]);
  const next = await revise(certificateIdentifier, false);
  t.strictSame(expected(await correct(next)), ['feedback_not_mended', later], 'pushed is not sealed');
  await seal(next);
  const done = await correct(next);
  t.match([done.status, done.body], [200, { state: 'corrected' }]);
  const end = await read(school, feedbackId);
  t.match(end.history[1], {
    step: 'answered',
    outcome: 'corrected',
    certificateIdentifier: next,
    reason: refusal.reason,
    departmentCode: publicSecurity,
  });
  t.notMatch(JSON.stringify(end), /reviewer-11/, 'who answered stands in the records alone');
  t.notMatch(JSON.stringify(await read(auditor, feedbackId)), /as the person wrote/, 'reasons may name people');
  t.strictSame(codeOf(await answer(psb, feedbackId)), 'feedback_closed', 'the first answer counts');

  const tooLate = await report(newFault({ certificateIdentifier }));
  const early = await answer(psb, tooLate.feedbackId, { outcome: 'corrected', certificateIdentifier: next });
  t.strictSame(expected(early), ['feedback_not_mended', later], 'a version sealed before the report does not mend it');
  await revoke(next);
  const gone = await report(newFault({ certificateIdentifier: next, kind: 'unreadable' }));
  t.match((await answer(psb, gone.feedbackId, { outcome: 'revoked' })).body, { state: 'revoked' });
});

await t.test('what is missing is issued, to this holder, by the department that answers', async (t) => {
  const missing = { kind: 'missing', certificateIdentifier: undefined, fields: undefined };
  const made = await report(newFault(missing, 'portal'), portal);
  t.equal(made.ownerDepartmentCode, publicSecurity, 'the only issuer of the type');
  const issued = (certificateIdentifier: string) =>
    answer(psb, made.feedbackId, { outcome: 'issued', certificateIdentifier });
  const wanted = 'a_valid_certificate_of_this_type_and_holder_sealed_by_your_department';
  const anothers = await certificateIn(world, 'valid', pushOf(demoTypes.residentIdCard, 1));
  const pending = await certificateIn(world, 'approved');
  for (const identifier of [anothers, pending, strayCard(), await certificateIn(world, 'suspended')]) {
    t.strictSame(expected(await issued(identifier)), ['feedback_not_mended', wanted]);
  }
  const foreign = await certificateIn(world, 'valid', pushOf(demoTypes.marriage));
  t.strictSame(expected(await issued(foreign)), ['feedback_not_mended', wanted], 'a certificate of another type');
  const sound = await issued(await certificateIn(world, 'valid'));
  t.match([sound.status, sound.body], [200, { state: 'issued' }]);
  t.match(await read(portal, made.feedbackId), { state: 'issued', holder: cardHolder });
});

await t.test('a refusal has a reason, and who objects reports again', async (t) => {
  const certificateIdentifier = strayCard();
  const first = await report(newFault({ certificateIdentifier }));
  const open = await school.post(feedback, newFault({ follows: first.feedbackId }));
  t.match([codeOf(open), open.body], ['feedback_invalid', { context: { pointer: '/follows', rule: 'still_open' } }]);
  t.equal((await answer(psb, first.feedbackId, { reason: ' ' })).status, 400, 'not without one');
  t.match((await answer(psb, first.feedbackId)).body, { state: 'refused' });
  const again = await report(newFault({ certificateIdentifier, follows: first.feedbackId.toUpperCase() }));
  t.match(again, { state: 'open', follows: first.feedbackId });
  const stolen = await housing.post(feedback, newFault({ follows: first.feedbackId }));
  const none = await housing.post(feedback, newFault({ follows: randomUUID() }));
  t.equal(codeOf(stolen), 'feedback_unknown');
  t.strictSame(told(stolen), told(none), 'another client’s is as none');
});

await t.test('what is missing is passed on once to each issuer, and a late forwarding counts as late', async (t) => {
  const type = { ...newType(), allowedIssuers: [{ departmentCode: publicSecurity }, { departmentCode: civilAffairs }] };
  const { certificateTypeCode } = await expectAnswer<{ certificateTypeCode: string }>(
    admin.post('/v1/certificate-types', type),
    201,
  );
  await putGrant(world.client, { certificateTypeCode, fields: ['note'] });
  const missing = { kind: 'missing', certificateTypeCode, certificateIdentifier: undefined, fields: undefined };
  const fault = newFault({ ...missing, holder: cardHolder });
  const made = await report(fault);
  t.equal(made.ownerDepartmentCode, publicSecurity, 'of several issuers none is guessed: the owner of the type');
  const named = await report({ ...fault, holder: pushHolder(1), issuerDepartmentCode: civilAffairs });
  t.equal(named.ownerDepartmentCode, civilAffairs, 'the issuer that was named');
  const ruleOf = ({ body }: Reply) => (body as Problem).context?.['rule'];
  const pass = (client: ApiClient, departmentCode?: string) =>
    answer(client, made.feedbackId, { outcome: 'forwarded', departmentCode });
  t.equal(ruleOf(await pass(psb)), 'required');
  t.equal(ruleOf(await pass(psb, '119999001000000245')), 'no_issuer_of_the_type');
  t.equal(ruleOf(await pass(psb, publicSecurity)), 'had_it_before', 'not to itself');
  const issuedThere = await expectAnswer<{ certificateIdentifier: string }>(
    couples.post('/v1/certificates', {
      ...push.body,
      certificateTypeCode,
      fields: { note: 'test' },
    }),
    201,
  );
  await seal(issuedThere.certificateIdentifier, couples);
  const theirs = { outcome: 'issued', certificateIdentifier: issuedThere.certificateIdentifier };
  t.equal(codeOf(await answer(psb, made.feedbackId, theirs)), 'feedback_not_mended', 'nobody answers with another’s');
  await makeLate(made.feedbackId);
  const before = await counts();
  const passed = await pass(psb, civilAffairs);
  t.match([passed.status, passed.body], [200, { state: 'open', ownerDepartmentCode: civilAffairs, overdue: false }]);
  t.equal(codeOf(await answer(psb, made.feedbackId)), 'feedback_unknown', 'it is the other department’s now');
  t.notOk((await idsOf(psb)).includes(made.feedbackId));
  t.ok((await idsOf(couples)).includes(made.feedbackId));
  t.equal(ruleOf(await pass(couples, publicSecurity)), 'had_it_before', 'not back again');
  t.match((await answer(couples, made.feedbackId, theirs)).body, { state: 'issued' });
  t.strictSame(
    (await read(school, made.feedbackId)).history.map(({ step, departmentCode, to }) => [step, departmentCode, to]),
    [
      ['reported', '11999900100000075D', undefined],
      ['forwarded', publicSecurity, civilAffairs],
      ['answered', civilAffairs, undefined],
    ],
  );
  const after = await counts();
  const grown = (code: string, what: 'forwarded' | 'late' | 'inTime' | 'overdue') =>
    (after.get(code)?.[what] ?? 0) - (before.get(code)?.[what] ?? 0);
  t.strictSame(
    [grown(publicSecurity, 'forwarded'), grown(publicSecurity, 'late'), grown(publicSecurity, 'overdue')],
    [1, 1, -1],
  );
  t.strictSame([grown(civilAffairs, 'inTime'), grown(civilAffairs, 'late')], [1, 0]);
  const wrong = await report();
  const moved = await answer(psb, wrong.feedbackId, { outcome: 'forwarded', departmentCode: civilAffairs });
  t.equal(ruleOf(moved), 'not_for_wrong', 'a certificate is mended by who issued it');
});

interface Counts {
  readonly ownerDepartmentCode: string;
  readonly open: number;
  readonly overdue: number;
  readonly answered: Readonly<Record<string, number>>;
  readonly forwarded: number;
  readonly inTime: number;
  readonly late: number;
}
async function counts(client = auditor, query = ''): Promise<Map<string, Counts>> {
  const { items } = await expectAnswer<{ items: Counts[] }>(client.get(`/v1/feedback-counts${query}`), 200);
  return new Map(items.map((item) => [item.ownerDepartmentCode, item]));
}
function pushHolder(which: number) {
  const [holder] = pushOf(demoTypes.residentIdCard, which).body.holders;
  return { type: holder?.type ?? '', number: holder?.number ?? '' };
}
/** Puts the deadline of a report into the past, as the hub itself would write it. */
async function makeLate(feedbackId: string): Promise<void> {
  await transaction(hub.db, async (trx) => {
    const locked = await lockFeedback(trx, hub.core, feedbackId);
    if (locked === undefined) throw new Error('no such report');
    const late = { ...locked.feedback, dueAt: new Date(Date.now() - 1) };
    await updateFeedback(trx, hub.core, { ...locked, feedback: late });
  });
}

await t.test('deadlines: soon, overdue, counted per department and in the log', async (t) => {
  const { feedbackId } = await report();
  const before = await counts();
  t.notOk((await idsOf(psb, '&due=overdue')).includes(feedbackId));
  await makeLate(feedbackId);
  t.ok((await idsOf(psb, '&due=overdue')).includes(feedbackId));
  t.notOk((await idsOf(psb, '&due=soon')).includes(feedbackId));
  t.match(await read(school, feedbackId), { overdue: true, state: 'open' });
  const after = await counts(psb);
  t.strictSame([...after.keys()], [publicSecurity], 'an issuer sees its own department');
  t.equal((after.get(publicSecurity)?.overdue ?? 0) - (before.get(publicSecurity)?.overdue ?? 0), 1);
  t.strictSame([...(await counts(auditor, '?from=2026-01-01&until=2026-01-02')).keys()], [], 'of that day alone');

  const lines = hub.logLines.length;
  const departmentName = async (code: string) => (await hub.core.registry.read()).departments.get(code)?.name.en;
  await remindOfFeedback({ ...hub.core, departmentName }, hub.core.now());
  const reminders = hub.logLines.slice(lines).map((line) => JSON.parse(line) as Record<string, unknown>);
  t.match(
    reminders.find(({ department }) => department === 'Shifan Municipal Public Security Bureau'),
    { msg: 'answers to reported faults of certificates are overdue', count: after.get(publicSecurity)?.overdue },
  );
  t.notMatch(JSON.stringify(reminders), /school|officer|misspelt/, 'numbers only');
  t.match((await answer(psb, feedbackId)).body, { state: 'refused', overdue: false }, 'late is still answered');
});

await t.test('invariant 2: a report tells nothing of any certificate', async (t) => {
  const there = await certificateIn(world, 'valid');
  const [about, stray] = [await housing.post(feedback, newFault({ certificateIdentifier: there })), strayCard()];
  const aboutNone = await housing.post(feedback, newFault({ certificateIdentifier: stray }));
  t.strictSame(told(about), told(aboutNone), 'received in the same way');

  const missing = (holder: object) =>
    newFault({ kind: 'missing', certificateIdentifier: undefined, fields: undefined, holder });
  const known = await housing.post(feedback, missing(cardHolder));
  const unknown = await housing.post(feedback, missing(pushHolder(2)));
  t.match([known.status, codeOf(known)], [403, 'grant_required'], 'nobody fishes for who has what without a grant');
  t.strictSame(told(known), told(unknown));
  const { matterCode } = purpose;
  const inMatter = await housing.post(feedback, { ...missing(cardHolder), matterCode });
  const { apply, owners } = (inMatter.body as Problem).context ?? {};
  const wanted = {
    level: 'compare',
    fields: ['certificateIssuedDate'],
    matters: [matterCode],
    legalBases: ['own_application'],
  };
  t.strictSame(apply, [{ certificateTypeCode: demoTypes.residentIdCard, wanted }], 'what to apply for');
  t.strictSame(owners, [{ certificateTypeCode: demoTypes.residentIdCard, ownerDepartmentCode: publicSecurity }]);
  t.notOk('apply' in ((known.body as Problem).context ?? {}), 'without a matter there is nothing to apply for yet');
  const { recordId } = await lookUp();
  const [foreign, none] = [
    await housing.post(feedback, newFault({ recordId })),
    await housing.post(feedback, newFault({ recordId: randomUUID() })),
  ];
  t.match([codeOf(foreign), told(foreign)], ['record_unknown', told(none)], 'another client’s lookup is as none');
});

await t.test('the same fault is reported once by a client, until it is answered', async (t) => {
  const certificateIdentifier = strayCard();
  const fault = newFault({ certificateIdentifier });
  const tries = await Promise.all(Array.from({ length: 6 }, () => school.post(feedback, fault)));
  const [made, ...others] = tries.toSorted((a, b) => a.status - b.status);
  t.equal(made?.status, 201);
  if (made === undefined) throw new Error('nobody was answered');
  const { receiptNumber, feedbackId } = made.body as Shown;
  t.ok(
    others.every((reply) => codeOf(reply) === 'feedback_exists'),
    'six at once: exactly one is received',
  );
  for (const { body } of others) t.match((body as Problem).context, { receiptNumber, feedbackId });
  t.equal(
    (await school.post(feedback, { ...fault, kind: 'unreadable' })).status,
    201,
    'another fault is another report',
  );
  t.equal((await housing.post(feedback, fault)).status, 201, 'and so is another client’s');
  await answer(psb, feedbackId);
  t.equal((await school.post(feedback, fault)).status, 201, 'once answered it may be said again');
});

await t.test('through a portal two people report the same certificate, and neither learns of the other', async (t) => {
  const certificateIdentifier = strayCard();
  const first = await report(newFault({ certificateIdentifier }, 'portal'), portal);
  const second = await report(newFault({ certificateIdentifier, holder: pushHolder(1) }, 'portal'), portal);
  t.not(second.receiptNumber, first.receiptNumber);
  const again = await portal.post(feedback, newFault({ certificateIdentifier, explanation: 'once more' }, 'portal'));
  t.match(again.body, { code: 'feedback_exists', context: { receiptNumber: first.receiptNumber } }, 'an own one');
  await report(newFault({ certificateIdentifier, holder: cardHolder }));
  const office = await school.post(feedback, newFault({ certificateIdentifier, holder: pushHolder(1) }));
  t.equal(codeOf(office), 'feedback_exists', 'an office reports a certificate once, whomever it names');
});

await t.test('two answers at once: exactly one counts', async (t) => {
  for (let round = 0; round < 5; round += 1) {
    const { feedbackId } = await report();
    const replies = await Promise.all(
      [psb, secondPsb, psb, secondPsb].map((client) => answer(client, feedbackId, { reason: `by ${randomUUID()}` })),
    );
    t.strictSame(replies.map((reply) => (reply.status === 200 ? 'answered' : codeOf(reply))).sort(), [
      'answered',
      'feedback_closed',
      'feedback_closed',
      'feedback_closed',
    ]);
    t.equal((await read(school, feedbackId)).history.length, 2);
  }
});

await t.test('invariant 8: a request sent twice has one effect and the same answer', async (t) => {
  const fault = newFault();
  const key = randomUUID();
  const [first, second] = [await school.post(feedback, fault, key), await school.post(feedback, fault, key)];
  t.strictSame(second.body, first.body);
  t.equal(codeOf(await school.post(feedback, newFault(), key)), 'idempotency_conflict');
  const { feedbackId } = first.body as Shown;
  const again = randomUUID();
  const path = `${feedback}/${feedbackId}/answers`;
  const [one, two] = [await psb.post(path, refusal, again), await psb.post(path, refusal, again)];
  t.match([one.status, two.status], [200, 200]);
  t.strictSame(two.body, one.body);
});

await t.test('invariant 2: another department, and another client of the reporter’s, find no report', async (t) => {
  const { feedbackId } = await report();
  const twin = await registerOffice(hub, {
    clientId: 'second-school',
    departmentCode: '11999900100000075D',
    roles: ['consumer'],
  });
  for (const client of [world.client('market-issuer'), twin, housing, portal]) {
    const [there, none] = [
      await client.get(`${feedback}/${feedbackId}`),
      await client.get(`${feedback}/${randomUUID()}`),
    ];
    t.match([there.status, codeOf(there)], [404, 'feedback_unknown'], client.clientId);
    t.strictSame(told(there), told(none));
    t.notOk((await idsOf(client)).includes(feedbackId));
  }
  const [foreign, none] = [
    await answer(world.client('market-issuer'), feedbackId),
    await answer(world.client('market-issuer'), randomUUID()),
  ];
  t.match([codeOf(foreign), told(foreign)], ['feedback_unknown', told(none)]);
});

await t.test('invariant 4: a row that was written past the hub is not used and reported', async (t) => {
  const changes: Record<string, string> = {
    owner_department_code: `'119999001000000245'`,
    state: `'refused'`,
    kind: `'missing'`,
    client_id: `'housing-allocation'`,
    due_at: `'infinity'`,
    created_at: `created_at - interval '1 day'`,
    receipt_number: `'20260101-0000000-0'`,
    fault_key: `'\\x00'`,
    follows: 'feedback_id',
    settled_at: 'created_at',
    forgotten_at: 'created_at',
    box: `set_byte(box, 40, get_byte(box, 40) # 1)`,
  };
  for (const [column, value] of Object.entries(changes)) {
    const { feedbackId } = await report();
    await world.sql(`create table kept as select * from feedback where feedback_id = $1`, [feedbackId]);
    await world.sql(`update feedback set ${column} = ${value} where feedback_id = $1`, [feedbackId]);
    const lines = hub.logLines.length;
    for (const client of [school, housing, psb, auditor]) {
      t.equal((await client.get(`${feedback}/${feedbackId}`)).status, 404, `${column}: ${client.clientId}`);
      t.notOk((await idsOf(client)).includes(feedbackId));
    }
    t.equal(codeOf(await answer(psb, feedbackId)), 'feedback_unknown');
    t.match(hub.logLines.slice(lines).join(), new RegExp(`"table":"feedback","row":"${feedbackId}"`), 'reported');
    const found: string[] = [];
    const deps = { keys: hub.core.keys, tampered: (table: string, row: string) => void found.push(`${table} ${row}`) };
    await transaction(hub.db, (trx) => checkFeedback(trx, deps));
    t.strictSame(found, [`feedback ${feedbackId}`], 'and found by the self-check');
    await world.sql(`delete from feedback where feedback_id = $1`, [feedbackId]);
    await world.sql(`insert into feedback select * from kept`);
    await world.sql('drop table kept');
    t.equal((await read(school, feedbackId)).state, 'open', 'as it was');
  }
  const { feedbackId } = await report();
  const forged = randomUUID();
  await world.sql(
    `insert into feedback select $2, '20260101-0000001-0', client_id, owner_department_code, kind, 'corrected', fault_key,
       follows, due_at, created_at, settled_at, forgotten_at, box from feedback where feedback_id = $1`,
    [feedbackId, forged],
  );
  t.equal((await school.get(`${feedback}/${forged}`)).status, 404, 'nor is one that was made up');
  await world.sql(`delete from feedback where feedback_id = $1`, [forged]);
});

await t.test('what was seen in a lookup under secrecy stays out of the holder’s report', async (t) => {
  const faults = async () => (await accessReport()).filter(({ about }) => about === 'fault').length;
  const before = await faults();
  const recordId = await secretLookup(world);
  const { feedbackId } = await report(newFault({ recordId, holder: cardHolder }));
  await read(psb, feedbackId);
  t.equal(await faults(), before, 'the reading of the report would give it away');
  const open = await report(newFault({ holder: cardHolder }));
  await read(psb, open.feedbackId);
  t.equal(await faults(), before + 1, 'as every other does');
});

await t.test('bad reports and answers', async (t) => {
  const feedbackId = await feedbackBy(world);
  const missing = { kind: 'missing', certificateIdentifier: undefined, fields: undefined, holder: cardHolder };
  const refuses = await refusing(world);
  const wrong = (what: string, overrides: Record<string, unknown>, expects: [number, string, string?], as?: string) =>
    refuses(
      t,
      what,
      {
        operationId: 'reportFault',
        body: newFault(overrides, as === 'citizen-portal' ? 'portal' : undefined),
        ...(as !== undefined && { as }),
      },
      expects,
    );
  const invalid = (pointer: string): [number, string, string] => [422, 'feedback_invalid', pointer];
  await wrong('no such type', { certificateTypeCode: `${publicSecurity}998` }, [
    404,
    'certificate_type_unknown',
    '/certificateTypeCode',
  ]);
  await wrong('a wrong check digit', { certificateTypeCode: '11999900100000016B001' }, [
    422,
    'invalid_certificate_type_code',
    '/certificateTypeCode',
  ]);
  await wrong('of nothing', { certificateIdentifier: undefined }, invalid('/certificateIdentifier'));
  await wrong('of another type', { certificateTypeCode: demoTypes.marriage, fields: undefined }, [
    422,
    'identifier_mismatch',
    '/certificateIdentifier',
  ]);
  const stray = strayCard();
  await wrong(
    'a wrong check character',
    { certificateIdentifier: `${stray.slice(0, -1)}${stray.endsWith('0') ? '1' : '0'}` },
    [422, 'invalid_certificate_identifier', '/certificateIdentifier'],
  );
  await wrong('a field the type does not have', { fields: ['name', 'canary'] }, [422, 'field_unknown', '/fields/1']);
  await wrong('without its officer', { officer: undefined }, invalid('/officer'));
  await wrong('without its holder', { holder: undefined }, invalid('/holder'), 'citizen-portal');
  await wrong('a wrong ID number', { holder: { type: '111', number: '990000199001010000' } }, [
    422,
    'invalid_id_number',
    '/holder/number',
  ]);
  await wrong('a company’s identity card', { holder: { type: '001', number: '11999900100000016A' } }, [
    422,
    'holder_kind_mismatch',
    '/holder/type',
  ]);
  await wrong(
    'an issuer of what is not missing',
    { issuerDepartmentCode: civilAffairs },
    invalid('/issuerDepartmentCode'),
  );
  await wrong('missing, of nobody', { ...missing, holder: undefined }, invalid('/holder'));
  await wrong(
    'missing, but identified',
    { ...missing, certificateIdentifier: stray },
    invalid('/certificateIdentifier'),
  );
  await wrong('missing, with wrong fields', { ...missing, fields: ['name'] }, invalid('/fields'));
  await wrong(
    'missing, at who does not issue it',
    { ...missing, issuerDepartmentCode: civilAffairs },
    invalid('/issuerDepartmentCode'),
  );
  await wrong('no explanation', { explanation: ' ' }, [400, 'contract_violation', '/explanation']);
  await wrong('a number for an ID number', { holder: { type: '111', number: 990000199001010000 } }, [
    400,
    'number_for_identifier',
    '/holder/number',
  ]);
  const badAnswer = (what: string, verdict: object, expects: [number, string, string?]) =>
    refuses(
      t,
      what,
      { operationId: 'answerFeedback', params: { feedbackId }, body: { ...refusal, ...verdict } },
      expects,
    );
  await badAnswer(
    'issued, though not missing',
    { outcome: 'issued', certificateIdentifier: stray },
    invalid('/outcome'),
  );
  await badAnswer('corrected by nothing', { outcome: 'corrected' }, invalid('/certificateIdentifier'));
  await badAnswer('refused with a certificate', { certificateIdentifier: stray }, invalid('/certificateIdentifier'));
  await badAnswer('refused to a department', { departmentCode: civilAffairs }, invalid('/departmentCode'));
  await badAnswer('no outcome', { outcome: 'open' }, [400, 'contract_violation', '/outcome']);
  const list = (query: string, pointer: string) =>
    refuses(t, query, { operationId: 'listFeedback', query, as: 'psb-issuer' }, [400, 'contract_violation', pointer]);
  await list('after=--', '/after');
  await list('receiptNumber=20261122-0000001-0', '/receiptNumber');
  const range = (query: string, code: string) =>
    refuses(t, query, { operationId: 'countFeedback', query, as: 'audit-office' }, [422, code]);
  await range('from=2026-02-01&until=2026-02-01', 'range_invalid');
  await range('from=2026-02-01&until=2027-02-03', 'range_too_long');
  logsAreClean(t, world);
});
