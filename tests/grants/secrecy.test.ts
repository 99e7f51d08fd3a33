import fc from 'fast-check';
import { decodeJwt } from 'jose';
import t from 'tap';
import type { Reply } from '../../src/cli/api-client.ts';
import { type DemoPush, demoTypes } from '../../src/cli/demo/certificates.ts';
import { issue } from '../../src/cli/demo/load.ts';
import { applicationFor, type Grant, permit, type Wanted } from '../../src/grants/grant.ts';
import type { GrantId } from '../../src/ids.ts';
import { runSql } from '../support/database.ts';
import { pushOf, putGrant } from '../support/demo-samples.ts';
import { startHub, type TestHub } from '../support/start-hub.ts';

const dayMs = 86_400_000;
const at = new Date('2026-06-01T00:00:00.000Z');
const typeCode = '11999900100000016A001';

const grantWith = (id: string, { days, revoked = false }: { days: number | undefined; revoked?: boolean }): Grant => ({
  grantId: id as GrantId,
  clientId: 'client',
  certificateTypeCode: typeCode,
  level: 'fields',
  fields: ['a'],
  matters: ['m'],
  legalBases: ['statutory_duty'],
  validFrom: new Date('2026-01-01T00:00:00Z'),
  validUntil: new Date('2027-01-01T00:00:00Z'),
  dailyQuota: 1,
  decisionReference: 'd',
  decidedByDepartmentCode: '11999900100000016A',
  applicationId: 'application',
  createdAt: at,
  ...(days !== undefined && { secrecyDays: days }),
  ...(revoked && { revokedAt: at }),
});
const wanted = (secretMs: number | undefined): Wanted => ({
  certificateTypeCode: typeCode,
  level: 'fields',
  matterCode: 'm',
  legalBasis: 'statutory_duty',
  at,
  ...(secretMs !== undefined && { secretUntil: new Date(at.getTime() + secretMs) }),
});

await t.test('invariant 2: secrecy is granted to the millisecond, by a grant that allows it alone', async (t) => {
  const codeOf = (grants: readonly Grant[], secretMs?: number): string => {
    const permitted = permit(grants, wanted(secretMs));
    return permitted.ok ? permitted.candidates.map(({ grant }) => grant.grantId).join(' ') : permitted.code;
  };
  const none = grantWith('none', { days: undefined });
  const ten = grantWith('ten', { days: 10 });
  t.equal(codeOf([none, ten]), 'none ten', 'without secrecy both will do');
  t.equal(codeOf([none, ten], 10 * dayMs), 'ten');
  t.equal(codeOf([none, ten], 10 * dayMs + 1), 'secrecy_not_granted');
  t.equal(codeOf([none, ten], 1), 'ten');
  t.equal(codeOf([none, ten], 0), 'secrecy_not_granted', 'it ends in the future');
  t.equal(codeOf([none], dayMs), 'secrecy_not_granted');
  t.equal(codeOf([], dayMs), 'grant_required');
  t.equal(codeOf([grantWith('r', { days: 10, revoked: true })], dayMs), 'grant_revoked');
  const type = { fieldNames: ['a', 'b', 'c'], sensitiveFieldNames: ['b'] };
  t.strictSame(applicationFor(wanted(undefined), type).wanted.fields, ['a', 'c'], 'what is sensitive is not proposed');
  t.strictSame(
    [1, dayMs, dayMs + 1, 3_650 * dayMs, undefined].map((ms) => applicationFor(wanted(ms), type).wanted.secrecyDays),
    [1, 1, 2, 3_650, undefined],
    'what to apply for',
  );
  const anyDays = fc.option(fc.integer({ min: 1, max: 3_650 }), { nil: undefined });
  fc.assert(
    fc.property(
      fc.array(anyDays, { maxLength: 5 }),
      fc.integer({ min: -10, max: 4_000 }),
      fc.constantFrom(-1, 0, 1),
      (all, days, offset) => {
        const grants = all.map((each, i) => grantWith(`g${i}`, { days: each }));
        const ahead = days * dayMs + offset;
        const permitted = permit(grants, wanted(ahead));
        const naive = all.flatMap((each, i) => (ahead > 0 && ahead <= (each ?? 0) * dayMs ? [`g${i}`] : []));
        const got = permitted.ok ? permitted.candidates.map(({ grant }) => grant.grantId as string) : [];
        return got.join() === naive.join();
      },
    ),
    { seed: 20_261_122, numRuns: 2_000 },
  );
});

const card = pushOf(demoTypes.residentIdCard);
const marriage = pushOf(demoTypes.marriage);
const officer = { id: 'officer-9', name: '经办人乙' };
const purpose = { matterCode: 'school-enrolment', caseNumber: 'CASE-1', officer, legalBasis: 'own_application' };
const inDays = (days: number): string => new Date(Date.now() + days * dayMs).toISOString();
const secrecy = (releaseAt: string) => ({ secrecy: { releaseAt, legalGround: '监察法第二十八条' } });
const problemOf = ({ body }: Reply) => body as { code: string; context: Record<string, unknown> };

const allow = (hub: TestHub, overrides: Record<string, unknown> = {}) =>
  putGrant(hub.client, { fields: ['name', 'certificateNumber'], ...overrides });
interface Item {
  readonly recordId: string;
  readonly about?: string;
  readonly outcome?: string;
  readonly sentence: { readonly zh: string; readonly en: string };
}
const reportOf = async (hub: TestHub, push: DemoPush, holder = 0): Promise<readonly Item[]> => {
  const { type, number } = push.body.holders[holder] ?? {};
  const { status, body } = await hub.client('citizen-portal').post('/v1/access-reports', {
    holder: { type, number },
    statement: { authenticatedBy: 'face and ID card', sessionReference: 's-1' },
  });
  if (status !== 200) throw new Error(JSON.stringify(body));
  return (body as { items: Item[] }).items;
};

await t.test(
  'a lookup under secrecy: granted, recorded, answered, and in the report from its release on',
  async (t) => {
    const hub = await startHub(t);
    const school = hub.client('school-enrolment');
    await issue(hub.client(card.clientId), card, 'secrecy-card');
    await issue(hub.client(marriage.clientId), marriage, 'secrecy-marriage');
    const [holder] = card.body.holders;
    const ask = (rest: object, more: object = {}) =>
      school.post('/v1/lookups', {
        purpose: { ...purpose, ...rest },
        level: 'fields',
        holder: { type: holder?.type, number: holder?.number },
        types: [{ certificateTypeCode: demoTypes.residentIdCard }],
        ...more,
      });

    const plain = await allow(hub);
    t.notOk('secrecyDays' in plain);
    const refused = await ask(secrecy(inDays(5)));
    t.match(
      [refused.status, problemOf(refused)],
      [
        403,
        {
          code: 'secrecy_not_granted',
          context: {
            pointer: '/purpose/secrecy/releaseAt',
            apply: [
              {
                certificateTypeCode: demoTypes.residentIdCard,
                wanted: { secrecyDays: 5, matters: ['school-enrolment'] },
              },
            ],
          },
        },
      ],
    );
    const [shown] = await reportOf(hub, card);
    t.match(shown, { about: 'lookup', outcome: 'refused' }, 'a refused question is not hidden');
    t.notMatch(JSON.stringify(shown), /监察法/);

    t.match(await allow(hub, { secrecyDays: 10 }), { secrecyDays: 10 });
    t.equal(problemOf(await ask(secrecy(inDays(11)))).code, 'secrecy_not_granted');
    for (const releaseAt of [
      inDays(-1),
      new Date(Date.now() - 1).toISOString(),
      '2020-01-01T00:00:00Z',
      inDays(3_651),
    ]) {
      const reply = await ask(secrecy(releaseAt), { types: [{ certificateTypeCode: demoTypes.marriage }] });
      t.match(
        problemOf(reply),
        { code: 'release_invalid', context: { pointer: '/purpose/secrecy/releaseAt', apply: undefined } },
        'no grant can help',
      );
      t.match((await reportOf(hub, card))[0], { about: 'lookup', outcome: 'refused' }, 'nor is it hidden');
    }
    for (const bad of [
      {},
      { releaseAt: inDays(1) },
      { releaseAt: inDays(1), legalGround: ' ' },
      { releaseAt: 'soon', legalGround: 'x' },
    ]) {
      t.equal(problemOf(await ask({ secrecy: bad })).code, 'contract_violation');
    }
    await allow(hub, { certificateTypeCode: demoTypes.marriage, fields: ['certificateNumber'] });
    const both = {
      types: [{ certificateTypeCode: demoTypes.residentIdCard }, { certificateTypeCode: demoTypes.marriage }],
    };
    t.equal((await ask({}, both)).status, 200);
    const several = await ask(secrecy(inDays(5)), both);
    t.match(
      problemOf(several),
      { code: 'secrecy_not_granted', context: { apply: [{ certificateTypeCode: demoTypes.marriage }] } },
      'every grant used has to allow it',
    );
    t.equal(
      problemOf(await ask(secrecy(inDays(5)), { types: undefined })).code,
      'secrecy_not_granted',
      'also when no type is named: none is quietly left out',
    );

    const before = await reportOf(hub, card);
    const releaseAt = new Date(Date.now() + 2_500).toISOString();
    const answered = await ask(secrecy(releaseAt));
    t.equal(answered.status, 200);
    const { recordId, answer } = answered.body as { recordId: string; answer: string };
    t.match(decodeJwt(answer)['purpose'], secrecy(releaseAt), 'the signed answer says so');
    const { rows } = await runSql(
      hub.database.superuserUrl,
      `select release_at, outcome, records::text as whole from records where record_id = '${recordId}'`,
    );
    t.match(rows, [{ outcome: 'answered', release_at: new Date(releaseAt) }]);
    t.notMatch(JSON.stringify(rows), /监察法|CASE-1/, 'invariant 5: nothing of it in clear');
    const queued = await runSql(
      hub.database.superuserUrl,
      `select record_id from log_queue where record_id = '${recordId}'
     union all select record_id from log_leaf where record_id = '${recordId}'`,
    );
    t.equal(queued.rows.length, 1, 'it is in the log at once');
    const during = await reportOf(hub, card);
    t.strictSame(
      during.filter(({ about }) => about !== 'report'),
      before.filter(({ about }) => about !== 'report'),
      'not in the report yet',
    );
    while (Date.now() < Date.parse(releaseAt)) await new Promise((done) => setTimeout(done, 50));
    const found = (await reportOf(hub, card)).find((item) => item.recordId === recordId);
    t.match(found, {
      about: 'lookup',
      purpose: { caseNumber: 'CASE-1' },
      secrecy: { releasedAt: releaseAt, legalGround: '监察法第二十八条' },
      department: { name: { zh: '示范市教育局' } },
      seen: [{ name: { zh: '居民身份证' }, fields: [{ title: { zh: '姓名' } }, {}] }],
      proof: `http://hub.test/log/proof/${recordId}`,
    });
    t.notMatch(JSON.stringify(await reportOf(hub, card)), /officer-9|经办人|郑复核/, 'no officer');
  },
);

await t.test('two holders: each sees the shared certificate, neither the affairs of the other', async (t) => {
  const hub = await startHub(t);
  const identifier = await issue(hub.client(marriage.clientId), marriage, 'two-marriage');
  await allow(hub, { certificateTypeCode: demoTypes.marriage, fields: ['certificateNumber'] });
  const [first] = marriage.body.holders;
  const { status, body } = await hub.client('school-enrolment').post('/v1/lookups', {
    purpose,
    level: 'fields',
    holder: { type: first?.type, number: first?.number },
  });
  t.equal(status, 200);
  const { recordId } = body as { recordId: string };
  const own = (await reportOf(hub, marriage, 0)).find((item) => item.recordId === recordId);
  const other = (await reportOf(hub, marriage, 1)).find((item) => item.recordId === recordId);
  t.match(own, { purpose: { caseNumber: 'CASE-1' }, seen: [{ certificateIdentifier: identifier }] });
  t.match(other, { seen: [{ certificateIdentifier: identifier, name: { zh: '结婚证' } }] });
  t.notMatch(JSON.stringify(other), /CASE-1|enrolment|own_application/);
  t.match(other?.sentence.zh, /在办理该证照其他持证主体的事项时/);
  const life = (await reportOf(hub, marriage, 1)).filter(({ about }) => about === 'certificate');
  t.match(life.at(0)?.sentence.en, /^Your "Marriage certificate" was issued by Shifan Municipal Civil Affairs Bureau/i);

  const auditor = hub.client('audit-office');
  await auditor.post('/v1/audit/searches', {
    reason: '金丝雀检查',
    holder: { type: first?.type, number: first?.number },
  });
  const [searched] = (await reportOf(hub, marriage, 0)).filter(({ about }) => about === 'audit');
  t.match(searched?.sentence.en, /^Shifan Municipal Audit Bureau \(Audit system\) searched records concerning you/);
  t.notMatch(JSON.stringify(searched), /金丝雀/);
});

await t.test('releases over HTTP: auditors alone, once per key, found by an audit search', async (t) => {
  const hub = await startHub(t);
  await issue(hub.client(card.clientId), card, 'release-card');
  await allow(hub, { secrecyDays: 30 });
  const [holder] = card.body.holders;
  const { body } = await hub.client('school-enrolment').post('/v1/lookups', {
    purpose: { ...purpose, ...secrecy(inDays(20)) },
    level: 'fields',
    holder: { type: holder?.type, number: holder?.number },
  });
  const { recordId } = body as { recordId: string };
  t.notOk((await reportOf(hub, card)).some((item) => item.recordId === recordId));
  const change = { releaseAt: new Date().toISOString(), reason: '侦查终结', legalGround: '监察法', officer };
  const path = `/v1/audit/records/${recordId}/releases`;
  for (const who of ['school-enrolment', 'psb-issuer', 'hub-admin', 'citizen-portal']) {
    t.equal((await hub.client(who).post(path, change)).status, 403, who);
  }
  const auditor = hub.client('audit-office');
  const changed = await auditor.post(path, change, 'release-key-1');
  t.match([changed.status, changed.body], [201, { recordId, releaseAt: change.releaseAt }]);
  t.strictSame((await auditor.post(path, change, 'release-key-1')).body, changed.body, 'invariant 8');
  t.ok(
    (await reportOf(hub, card)).some((item) => item.recordId === recordId),
    'released at once',
  );
  const { releaseRecordId } = changed.body as { releaseRecordId: string };
  const { rows } = await runSql(
    hub.database.superuserUrl,
    `select record_id, kind, action, holder_key from records where action = 'changeRelease' and outcome = 'done'`,
  );
  t.strictSame(rows, [{ record_id: releaseRecordId, kind: 8, action: 'changeRelease', holder_key: null }]);
  t.notOk(
    (await reportOf(hub, card)).some((item) => item.recordId === releaseRecordId),
    'of nobody',
  );
  const search = await auditor.post('/v1/audit/searches', { reason: 'check', clientId: 'audit-office' });
  t.match(JSON.stringify(search.body), recordId);
});
