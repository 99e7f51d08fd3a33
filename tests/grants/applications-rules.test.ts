import fc from 'fast-check';
import t from 'tap';
import type { Refusal } from '../../src/errors.ts';
import {
  type ApplicableType,
  type ApplicationStep,
  approved,
  beginsAt,
  checkScope,
  ended,
  endOf,
  type GrantApplication,
  type GrantScope,
  grantOf,
  hubDecidesOn,
  isOverdue,
  isSameScope,
  judgeDecider,
  maySeeApplication,
  widerPart,
} from '../../src/grants/application.ts';
import { type Grant, permit } from '../../src/grants/grant.ts';
import type { Caller, ClientId, DepartmentCode, GrantId, Role } from '../../src/ids.ts';

const seed = 20_261_122;
const at = new Date('2026-11-22T08:00:00Z');
const day = 86_400_000;
const later = (days: number, from = at): Date => new Date(from.getTime() + days * day);

const type: ApplicableType = {
  ownerDepartmentCode: 'owner',
  fieldNames: ['a', 'b', 'c', 'secret'],
  sensitiveFieldNames: ['secret'],
};
const scope: GrantScope = {
  level: 'fields',
  fields: ['a', 'b'],
  matters: ['m1', 'm2'],
  legalBases: ['own_application'],
  dailyQuota: 100,
};
const period = { begins: at, at };
const some = <T>(...values: T[]): fc.Arbitrary<T[]> => fc.subarray(values, { minLength: 1 });
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined, freq: 2 });
/** Small numbers, so that equal and neighbouring ones are frequent. */
const few = fc.integer({ min: 1, max: 4 });
const anyScope: fc.Arbitrary<GrantScope> = fc
  .record({
    level: fc.constantFrom('compare' as const, 'fields' as const),
    fields: some('a', 'b', 'c', 'secret'),
    matters: some('m1', 'm2', 'm3'),
    legalBases: some('own_application' as const, 'statutory_duty' as const, 'delegated' as const),
    dailyQuota: few,
    dailyHolders: maybe(few),
    officerDailyQuota: maybe(few),
    officerDailyHolders: maybe(few),
    ticketRequired: maybe(fc.boolean()),
    secrecyDays: maybe(few),
    validUntil: maybe(fc.integer({ min: 364, max: 367 }).map((days) => later(days))),
  })
  // A scope has no members that are undefined.
  .map(
    (made) =>
      Object.fromEntries(Object.entries(made).filter(([, value]) => value !== undefined)) as unknown as GrantScope,
  );

const parts = [
  ...(['level', 'fields', 'matters', 'legalBases', 'dailyQuota', 'dailyHolders', 'officerDailyQuota'] as const),
  ...(['officerDailyHolders', 'ticketRequired', 'secrecyDays', 'validUntil'] as const),
];
/** Two scopes that differ in a part or two: of two made at random hardly ever one holds the other. */
const nearPairs = fc.tuple(anyScope, anyScope, fc.subarray(parts, { maxLength: 2 })).map(([one, other, changed]) => {
  const taken = Object.entries(other).filter(([name]) => changed.some((each) => each === name));
  const kept = Object.entries(one).filter(([name]) => !changed.some((each) => each === name));
  return [Object.fromEntries([...kept, ...taken]) as unknown as GrantScope, one] as const;
});

const application = (changes: Partial<GrantApplication> = {}): GrantApplication => ({
  applicationId: 'application',
  clientId: 'applicant',
  departmentCode: 'applying',
  ownerDepartmentCode: 'owner',
  certificateTypeCode: 'type',
  wanted: scope,
  legalGround: 'law',
  safeguards: 'locks',
  hubDecides: 'never',
  state: 'awaiting_owner',
  createdAt: at,
  dueAt: later(10),
  history: [{ step: 'applied', at, departmentCode: 'applying', clientId: 'applicant' }],
  ...changes,
});
const stepBy = (clientId: string, departmentCode: string): ApplicationStep => ({
  step: 'approved',
  at,
  clientId,
  departmentCode,
  reason: 'sound',
  decisionReference: `reference of ${departmentCode}`,
});
const caller = (clientId: string, department: string, ...roles: Role[]): Caller => ({
  clientId: clientId as ClientId,
  department: department as DepartmentCode,
  roles,
  keyId: 'key',
});
const told = (refusal: Refusal | undefined): unknown =>
  refusal === undefined ? 'decides' : [refusal.code, ...Object.values(refusal.detail)];

const every = (['compare', 'fields'] as const)
  .flatMap((level) => type.fieldNames.map((field) => ({ level, fields: [field] })))
  .flatMap((one) => ['m1', 'm2', 'm3'].map((matterCode) => ({ ...one, matterCode })))
  .flatMap((one) => ['own_application', 'statutory_duty', 'delegated'].map((legalBasis) => ({ ...one, legalBasis })))
  .flatMap((one) => [false, true].map((hasTicket) => ({ ...one, hasTicket })));
/** Every single question there is, by its name: a whole day of every client, with and without secrecy and a ticket. */
const questions = [0, 1, 2, 3, 4, 5].flatMap((secret) =>
  every.map((one) => ({
    name: JSON.stringify([one, secret]),
    wanted: { ...one, certificateTypeCode: 'type', at, ...(secret > 0 && { secretUntil: later(secret) }) },
  })),
);

/** Everything a scope allows, counted out: an oracle that knows no order of scopes. */
function allowedBy(granted: GrantScope, end: Date): Set<string> {
  const grant: Grant = {
    ...granted,
    grantId: 'g' as GrantId,
    clientId: 'c',
    certificateTypeCode: 'type',
    validFrom: at,
    validUntil: end,
    decisionReference: 'r',
    decidedByDepartmentCode: 'owner',
    applicationId: 'a',
    createdAt: at,
  };
  const once = { certificateTypeCode: 'type', level: 'compare' as const, ...firstOf(granted) };
  const days = [363, 364, 365, 366, 367].filter((days) => permit([grant], { ...once, at: later(days - 0.5) }).ok);
  const uses = (['dailyQuota', 'dailyHolders', 'officerDailyQuota', 'officerDailyHolders'] as const).flatMap((name) =>
    [1, 2, 3, 4, 5].filter((use) => use <= (granted[name] ?? Infinity)).map((use) => `${name} ${use}`),
  );
  const asked = questions.filter(({ wanted }) => permit([grant], wanted).ok).map(({ name }) => name);
  return new Set([...days.map((days) => `day ${days}`), ...uses, ...asked]);
}
const firstOf = ({ matters, legalBases }: GrantScope) => ({
  matterCode: matters[0] ?? '',
  legalBasis: legalBases[0] ?? '',
  hasTicket: true,
});

await t.test(
  'invariant 2: what is allowed is never wider than what stands, by an oracle that asks everything',
  async (t) => {
    const counts = { wider: 0, within: 0 };
    fc.assert(
      fc.property(nearPairs, ([allowed, standing]) => {
        const wide = allowedBy(standing, endOf(standing, period));
        const isWithin = [...allowedBy(allowed, endOf(allowed, period))].every((use) => wide.has(use));
        counts[isWithin ? 'within' : 'wider'] += 1;
        return (widerPart(allowed, standing, period) === undefined) === isWithin;
      }),
      { seed, numRuns: 600 },
    );
    t.ok(counts.wider > 150 && counts.within > 150, JSON.stringify(counts));
    t.equal(widerPart(scope, scope, period), undefined, 'the whole of it is not wider');
  },
);

await t.test('each part that goes too far is named', async (t) => {
  const full: GrantScope = { ...scope, dailyHolders: 10, officerDailyQuota: 10, officerDailyHolders: 5 };
  const standing: GrantScope = { ...full, ticketRequired: true, secrecyDays: 30, validUntil: later(200) };
  const { dailyHolders: _none, ...withoutHolders } = standing;
  const { validUntil: _end, ...withoutEnd } = standing;
  const cases: [GrantScope, string | undefined][] = [
    [standing, undefined],
    [{ ...standing, fields: ['b'], matters: ['m2'], dailyQuota: 1, secrecyDays: 1, validUntil: later(1) }, undefined],
    [{ ...standing, fields: ['a', 'c'] }, '/fields/1'],
    [{ ...standing, matters: ['m3'] }, '/matters/0'],
    [{ ...standing, legalBases: ['own_application', 'delegated'] }, '/legalBases/1'],
    [{ ...standing, dailyQuota: 101 }, '/dailyQuota'],
    [withoutHolders, '/dailyHolders'],
    [{ ...standing, officerDailyQuota: 11 }, '/officerDailyQuota'],
    [{ ...standing, officerDailyHolders: 6 }, '/officerDailyHolders'],
    [{ ...standing, ticketRequired: false }, '/ticketRequired'],
    [{ ...standing, secrecyDays: 31 }, '/secrecyDays'],
    [{ ...standing, validUntil: new Date(later(200).getTime() + 1) }, '/validUntil'],
    [withoutEnd, '/validUntil'],
  ];
  for (const [allowed, part] of cases) t.equal(widerPart(allowed, standing, period), part, part ?? 'not wider');
  t.equal(widerPart({ ...scope, level: 'fields' }, { ...scope, level: 'compare' }, period), '/level');
  t.equal(widerPart({ ...scope, ticketRequired: true }, scope, period), undefined, 'a ticket may be demanded on top');
  t.equal(widerPart({ ...scope, dailyHolders: 5 }, scope, period), undefined, 'and a limit added');
});

await t.test('when the hub decides', async (t) => {
  const own = { ...type, ownerDepartmentCode: 'applying' };
  t.equal(hubDecidesOn('applying', type, scope), 'never');
  t.equal(hubDecidesOn('applying', type, { ...scope, fields: ['a', 'secret'] }), 'also');
  t.equal(hubDecidesOn('applying', type, { ...scope, secrecyDays: 1 }), 'also');
  t.equal(hubDecidesOn('applying', own, scope), 'alone');
  t.equal(hubDecidesOn('applying', own, { ...scope, fields: ['secret'] }), 'alone');
  const decided = { step: stepBy('grants', 'owner'), nextDueAt: later(20) };
  t.match(approved(application(), scope, type, decided), { state: 'granted', allowed: scope, dueAt: later(10) });
  const nowSensitive = { ...type, sensitiveFieldNames: ['a'] };
  t.match(
    approved(application(), scope, nowSensitive, decided),
    { state: 'awaiting_hub', hubDecides: 'also', dueAt: later(20) },
    'a field that became sensitive meanwhile brings the hub in',
  );
  t.match(
    approved(application({ hubDecides: 'also' }), { ...scope, fields: ['a'] }, type, decided),
    { state: 'awaiting_hub' },
    'and it stays in when the owner leaves out what was sensitive',
  );
  t.match(approved(application({ state: 'awaiting_hub', hubDecides: 'alone' }), scope, type, decided), {
    state: 'granted',
  });
});

await t.test('invariant 2: who decides, over generated callers and states', async (t) => {
  const callers = fc.record({
    clientId: fc.constantFrom('applicant', 'grants', 'hub', 'other'),
    department: fc.constantFrom('applying', 'owner', 'hub', 'else'),
    roles: fc.subarray<Role>(['consumer', 'grantor', 'admin', 'auditor', 'issuer', 'portal']),
  });
  const states = fc.constantFrom(
    'awaiting_owner' as const,
    'awaiting_hub' as const,
    'granted' as const,
    'refused' as const,
  );
  const counts = { decides: 0, refused: 0 };
  fc.assert(
    fc.property(callers, states, fc.constantFrom('owner', 'applying'), fc.boolean(), (who, state, owner, again) => {
      const by = caller(who.clientId, who.department, ...who.roles);
      const steps = again ? [stepBy(who.clientId, 'owner')] : [];
      const judged = application({ state, ownerDepartmentCode: owner, history: steps });
      const isOwners = who.roles.includes('grantor') && who.department === owner;
      const expected =
        who.clientId !== 'applicant' &&
        who.department !== 'applying' &&
        !again &&
        ((state === 'awaiting_owner' && isOwners) || (state === 'awaiting_hub' && who.roles.includes('admin')));
      const isAllowed = judgeDecider(judged, by) === undefined && maySeeApplication(by, judged);
      counts[isAllowed ? 'decides' : 'refused'] += 1;
      return isAllowed === expected;
    }),
    { seed, numRuns: 5_000 },
  );
  t.ok(counts.decides > 100 && counts.refused > 1_000, JSON.stringify(counts));
  const admin = caller('hub', 'hub', 'admin');
  t.strictSame(told(judgeDecider(application(), admin)), ['application_closed', 'awaiting_owner'], 'wrong turn');
  const both = caller('both', 'owner', 'grantor', 'admin');
  const waiting = application({ state: 'awaiting_hub', history: [stepBy('both', 'owner')] });
  t.strictSame(told(judgeDecider(waiting, both)), ['decider_must_differ', 'same_client']);
  const own = caller('desk', 'applying', 'grantor', 'admin');
  t.strictSame(told(judgeDecider(application(), own)), ['decider_must_differ', 'same_department']);
  const over = ended(application(), 'refused', { ...stepBy('grants', 'owner'), step: 'refused' });
  t.strictSame(told(judgeDecider(over, admin)), ['application_closed', 'refused']);
});

await t.test('how long a grant lasts', async (t) => {
  const code = (scope: GrantScope, pointer: string | null = '/wanted', begins = at): unknown => {
    try {
      checkScope(scope, type, { begins, at }, pointer ?? undefined);
      return 'sound';
    } catch (error) {
      return [(error as Refusal).code, ...Object.values((error as Refusal).detail)];
    }
  };
  const until = (validUntil: Date): GrantScope => ({ ...scope, validUntil });
  const fiveYears = new Date('2031-11-22T08:00:00Z');
  t.equal(code(until(fiveYears)), 'sound');
  t.strictSame(code(until(new Date(fiveYears.getTime() + 1))), [
    'grant_invalid',
    '/wanted/validUntil',
    'longer_than_5_years',
  ]);
  t.strictSame(code(until(at)), ['grant_invalid', '/wanted/validUntil', 'empty_range']);
  t.strictSame(code({ ...scope, fields: ['a', 'gone'] }, '/allowed'), ['field_unknown', '/allowed/fields/1']);
  t.strictSame(code({ ...scope, fields: ['gone'] }, null), ['field_unknown'], 'what stands not in the request');
  t.strictSame(endOf(scope, period), new Date('2027-11-22T08:00:00Z'), 'one year by default');
  const old = { validUntil: later(100) } as Grant;
  t.strictSame(beginsAt(old, at), later(100), 'a renewal begins when the old one ends');
  t.strictSame(beginsAt({ ...old, revokedAt: at }, at), at, 'or at once when that is revoked');
  t.strictSame(beginsAt({ ...old, validUntil: at }, at), at, 'or over');
  t.strictSame(endOf(scope, { begins: fiveYears, at }), fiveYears, 'and never lasts past five years');
  t.strictSame(code(scope, '/wanted', fiveYears), ['grant_invalid', '/wanted/validUntil', 'empty_range']);
});

await t.test('the same wish, whatever the order of its lists', async (t) => {
  fc.assert(
    fc.property(anyScope, anyScope, (one, other) => {
      const isSame = isSameScope(one, other);
      const turned = { ...one, fields: one.fields.toReversed(), matters: one.matters.toReversed() };
      const plain = (each: GrantScope) =>
        JSON.stringify([
          each.level,
          [...each.fields, '|', ...each.matters, '|', ...each.legalBases],
          [each.dailyQuota, each.dailyHolders, each.officerDailyQuota, each.officerDailyHolders],
          [each.ticketRequired ?? false, each.secrecyDays, each.validUntil],
        ]);
      return isSameScope(one, turned) && isSame === (plain(one) === plain(other));
    }),
    { seed, numRuns: 3_000 },
  );
  t.ok(isSameScope({ ...scope, ticketRequired: false }, scope), 'no ticket needed, said or unsaid');
  for (const change of [
    { dailyQuota: 99 },
    { secrecyDays: 1 },
    { dailyHolders: 1 },
    { fields: ['a'] },
    { ticketRequired: true },
  ])
    t.notOk(isSameScope({ ...scope, ...change }, scope), JSON.stringify(change));
});

await t.test('deadlines, and the grant that comes of it', async (t) => {
  t.notOk(isOverdue(application(), new Date(later(10).getTime() - 1)));
  t.ok(isOverdue(application(), later(10)));
  t.notOk(isOverdue(application({ state: 'refused' }), later(11)), 'what is decided is never late');
  const decided = { step: stepBy('grants', 'owner'), nextDueAt: later(20) };
  const first = approved(application({ hubDecides: 'also' }), { ...scope, fields: ['a'] }, type, decided);
  const second = approved(first, { ...scope, fields: ['a'] }, type, { ...decided, step: stepBy('hub', 'hub') });
  const grant = grantOf(
    second,
    { ...scope, fields: ['a'] },
    {
      grantId: 'grant' as GrantId,
      validUntil: later(365),
      ...period,
    },
  );
  t.match(grant, {
    clientId: 'applicant',
    fields: ['a'],
    validFrom: at,
    validUntil: later(365),
    decidedByDepartmentCode: 'owner',
    decisionReference: 'reference of owner',
    applicationId: 'application',
  });
  t.throws(
    () => grantOf(application(), scope, { grantId: 'grant' as GrantId, validUntil: at, ...period }),
    /nobody approved/,
  );
});
