import fc from 'fast-check';
import t from 'tap';
import { type Grant, grantState, type LegalBasis, type Level, permit, type Wanted } from '../../src/grants/grant.ts';
import type { GrantId } from '../../src/ids.ts';

const seed = { seed: 20261122, numRuns: 2_000 };
const fieldNames = ['a', 'b', 'c', 'd'];
const types = ['11999900100000016A001', '11999900100000016A002'];
const matters = ['school', 'housing'];
const bases: LegalBasis[] = ['statutory_duty', 'own_application', 'delegated'];
const day = (n: number): Date => new Date(Date.UTC(2026, 0, 1 + n));

const anyGrant: fc.Arbitrary<Grant> = fc
  .record({
    id: fc.uuid(),
    type: fc.constantFrom(...types),
    level: fc.constantFrom<Level>('compare', 'fields'),
    fields: fc.subarray(fieldNames, { minLength: 1 }),
    matters: fc.subarray(matters, { minLength: 1 }),
    legalBases: fc.subarray(bases, { minLength: 1 }),
    from: fc.integer({ min: 0, max: 20 }),
    days: fc.integer({ min: 1, max: 20 }),
    revoked: fc.option(fc.integer({ min: 0, max: 40 }), { nil: undefined }),
  })
  .map(({ id, type, from, days, revoked, ...rest }) => ({
    ...rest,
    grantId: id as GrantId,
    clientId: 'client',
    certificateTypeCode: type,
    validFrom: day(from),
    validUntil: day(from + days),
    dailyQuota: 10,
    decisionReference: 'decision',
    decidedByDepartmentCode: '11999900100000016A',
    applicationId: 'application',
    createdAt: day(0),
    ...(revoked !== undefined && { revokedAt: day(revoked) }),
  }));

const anyWanted: fc.Arbitrary<Wanted> = fc
  .record({
    certificateTypeCode: fc.constantFrom(...types),
    level: fc.constantFrom<Level>('compare', 'fields'),
    fields: fc.option(fc.subarray(fieldNames, { minLength: 1 }), { nil: undefined }),
    matterCode: fc.constantFrom(...matters, 'other'),
    legalBasis: fc.constantFrom<string>(...bases),
    at: fc.integer({ min: 0, max: 45 }).map(day),
    hasTicket: fc.boolean(),
  })
  .map(({ fields, ...rest }) => ({ ...rest, ...(fields !== undefined && { fields }) }));

/** The rule said a second time, naively: does this one grant cover this question? */
const covers = (grant: Grant, wanted: Wanted): boolean =>
  grant.certificateTypeCode === wanted.certificateTypeCode &&
  (grant.level === 'fields' || wanted.level === 'compare') &&
  grant.matters.some((matter) => matter === wanted.matterCode) &&
  grant.legalBases.some((basis) => basis === wanted.legalBasis) &&
  grant.validFrom.getTime() <= wanted.at.getTime() &&
  wanted.at.getTime() < grant.validUntil.getTime() &&
  grant.revokedAt === undefined &&
  (wanted.legalBasis !== 'delegated' || wanted.hasTicket === true) &&
  (wanted.fields ?? []).every((field) => grant.fields.includes(field));

await t.test('invariant 2: what is permitted is covered by one grant in force, and only that', async (t) => {
  fc.assert(
    fc.property(fc.array(anyGrant, { maxLength: 6 }), anyWanted, (grants, wanted) => {
      const permitted = permit(grants, wanted);
      const covering = grants.filter((grant) => covers(grant, wanted));
      if (!permitted.ok) return covering.length === 0;
      return (
        permitted.candidates.length === covering.length &&
        permitted.candidates.every(
          ({ grant, fields }) => covering.includes(grant) && fields.every((field) => grant.fields.includes(field)),
        )
      );
    }),
    seed,
  );
  t.pass('20,000 fields, levels, matters, bases and times agree with the naive rule');
});

await t.test('invariant 2: narrowing a grant never widens an answer', async (t) => {
  const narrowed = (grant: Grant): Grant => ({ ...grant, fields: grant.fields.slice(1), validUntil: day(0) });
  fc.assert(
    fc.property(fc.array(anyGrant, { minLength: 1, maxLength: 4 }), anyWanted, (grants, wanted) => {
      const before = permit(grants, wanted);
      const [first, ...others] = grants;
      const after = permit(first === undefined ? [] : [narrowed(first), ...others], wanted);
      if (!after.ok) return true;
      return before.ok && after.candidates.every(({ grant }) => grants.includes(grant));
    }),
    seed,
  );
  t.pass();
});

await t.test('default deny, and the reason is told apart', async (t) => {
  const wanted: Wanted = {
    certificateTypeCode: types[0] ?? '',
    level: 'fields',
    matterCode: 'school',
    legalBasis: 'statutory_duty',
    at: day(10),
  };
  const grant: Grant = {
    grantId: '00000000-0000-7000-8000-000000000001' as GrantId,
    clientId: 'client',
    certificateTypeCode: wanted.certificateTypeCode,
    level: 'fields',
    fields: ['a'],
    matters: ['school'],
    legalBases: ['statutory_duty'],
    validFrom: day(5),
    validUntil: day(15),
    dailyQuota: 1,
    decisionReference: 'decision',
    decidedByDepartmentCode: '11999900100000016A',
    applicationId: 'application',
    createdAt: day(0),
  };
  t.match(permit([], wanted), { ok: false, code: 'grant_required' });
  t.match(permit([grant], wanted), { ok: true, candidates: [{ fields: ['a'] }] });
  t.match(permit([grant], { ...wanted, at: day(15) }), { ok: false, code: 'grant_expired' }, 'the end is exclusive');
  t.match(permit([grant], { ...wanted, at: day(4) }), { ok: false, code: 'grant_required' });
  t.match(permit([{ ...grant, revokedAt: day(9) }], wanted), { ok: false, code: 'grant_revoked' });
  t.match(permit([{ ...grant, level: 'compare' }], wanted), { ok: false, code: 'grant_required' });
  t.match(permit([grant], { ...wanted, fields: ['a', 'b'] }), { ok: false, code: 'grant_required' });
  t.equal(grantState(grant, day(4)), 'upcoming');
  t.equal(grantState(grant, day(5)), 'in_force');
});
