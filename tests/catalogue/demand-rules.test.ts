import fc from 'fast-check';
import t from 'tap';
import { type CertificateType, grantableFields } from '../../src/catalogue/certificate-type.ts';
import {
  answered,
  assigned,
  type Demand,
  formerPromise,
  isLate,
  judgeDemand,
  standingAnswer,
  withdrawn,
} from '../../src/catalogue/demand.ts';
import { type DemandNeed, needOf } from '../../src/catalogue/demand-need.ts';
import {
  candidatesFor,
  indexTypes,
  matchDemand,
  nameKey,
  type WantedCertificate,
} from '../../src/catalogue/match-demand.ts';
import { matterDemands } from '../../src/catalogue/matter-demands.ts';
import { exampleMatterDepartments } from '../../src/catalogue/starter-materials.ts';
import { starterMatters } from '../../src/catalogue/starter-matters.ts';
import { exampleDepartments, starterTypes } from '../../src/catalogue/starter-types.ts';
import { gapsOf } from '../../src/catalogue/supply-gap.ts';
import type { Refusal } from '../../src/errors.ts';
import type { GrantApplication } from '../../src/grants/application.ts';
import { demandPermission } from '../../src/grants/demand-permission.ts';
import { type Grant, permit } from '../../src/grants/grant.ts';
import type { CertificateTypeCode, DepartmentCode, GrantId } from '../../src/ids.ts';

const seed = 20_261_123;
const at = new Date('2026-11-22T08:00:00Z');
const today = '2026-11-22';
const day = 86_400_000;
const later = (days: number): Date => new Date(at.getTime() + days * day);
const named = (zh: string, en = 'name') => ({ zh, en });
const starter: readonly CertificateType[] = starterTypes(exampleDepartments).map((type) => ({
  ...type,
  version: 1,
  createdAt: at,
}));
const [
  some = (() => {
    throw new Error('no starter type');
  })(),
] = starter;

/** Names of few parts, so that equal and similar ones are frequent. */
const anyName = fc
  .tuple(fc.constantFrom('居住', '婚姻登记', '居住登记'), fc.constantFrom('证', '证书', ' 证', '证明'))
  .map(([stem, ending]) => `${stem}${ending}`);
const anyLabel = fc.constantFrom('姓名', '出生日期', '住址', '性别');
const anyType = (code: string): fc.Arbitrary<CertificateType> =>
  fc
    .record({ name: anyName, labels: fc.uniqueArray(anyLabel, { maxLength: 4 }), owner: fc.constantFrom('A', 'B') })
    .map(({ name, labels, owner }) => ({
      ...some,
      certificateTypeCode: code as CertificateTypeCode,
      name: named(name),
      ownerDepartmentCode: owner as DepartmentCode,
      fields: labels.map((label, i) => ({
        name: `field${code}${i}`,
        label: named(label),
        schema: { type: 'string', maxLength: 1 },
        class: 'public',
        required: true,
      })),
    }));
const codes = ['t1', 't2', 't3', 't4', 't5', 't6'];
const anyTypes: fc.Arbitrary<CertificateType[]> = fc
  .tuple(...codes.map((code) => fc.option(anyType(code), { nil: undefined })))
  .map((types) => types.flatMap((type) => type ?? []));
const anyWanted: fc.Arbitrary<WantedCertificate> = fc.record(
  {
    name: anyName.map((zh) => named(zh)),
    certificateTypeCode: fc.constantFrom(...codes),
    fields: fc.uniqueArray(anyLabel, { maxLength: 3 }).map((labels) => labels.map((zh) => ({ name: named(zh) }))),
    issuerDepartmentCode: fc.constantFrom('A', 'B'),
  },
  { requiredKeys: ['name', 'fields'] },
);
const rank = { type_missing: 0, fields_missing: 1, matched: 2 };

await t.test('names: endings, width, case and spaces say nothing; a certificate is not a statement', async (t) => {
  const same: readonly (readonly [string, string])[] = [
    ['结婚证', '结婚证书'],
    ['结婚 证', '结婚证件'],
    ['ＡＢＣ证', 'abc证照'],
    ['不动产权证书', '《不动产权证》'],
    ['无犯罪记录证明', '无犯罪记录证明书'],
    ['出生证明', '出生证明文件'],
    ['营业执照(副本)', '营业执照（副本）'],
  ];
  for (const [one, other] of same) t.equal(nameKey(named(one)), nameKey(named(other)), `${one} = ${other}`);
  const different: readonly (readonly [string, string])[] = [
    ['居住证', '居住证明'],
    ['身份证', '身份'],
    ['结婚证', '离婚证'],
    ['营业执照', '营业许可证'],
    ['证', '证明'],
    ['《》', '（）'],
  ];
  for (const [one, other] of different) t.not(nameKey(named(one)), nameKey(named(other)), `${one} ≠ ${other}`);
});

await t.test('an existing type by its code and only its fields is always matched', async (t) => {
  fc.assert(
    fc.property(
      fc.constantFrom(...starter).chain((type) =>
        fc.record({
          type: fc.constant(type),
          fields: fc.subarray([...grantableFields(type)]),
          byLabel: fc.boolean(),
          name: anyName,
        }),
      ),
      ({ type, fields, byLabel, name }) => {
        const wanted = {
          name: named(name),
          certificateTypeCode: type.certificateTypeCode,
          fields: fields.map((field) =>
            byLabel
              ? { name: named(` ${field.label.zh.normalize('NFKC')} `), fieldName: 'unknown' }
              : { name: named('?'), fieldName: field.name },
          ),
        };
        const match = matchDemand(wanted, indexTypes(starter));
        t.strictSame(
          [match.state, match.type?.certificateTypeCode, match.by, match.fields],
          ['matched', type.certificateTypeCode, 'code', fields.map((field) => field.name)],
        );
      },
    ),
    { seed },
  );
});

await t.test('matching never depends on the order of the catalogue', async (t) => {
  let compared = 0;
  fc.assert(
    fc.property(
      anyTypes.chain((types) => fc.tuple(fc.constant(types), fc.shuffledSubarray(types, { minLength: types.length }))),
      anyWanted,
      ([types, shuffled], wanted) => {
        const [one, other] = [indexTypes(types), indexTypes(shuffled)];
        const [match, again] = [matchDemand(wanted, one), matchDemand(wanted, other)];
        t.strictSame(match, again);
        t.strictSame(candidatesFor(wanted, match, one), candidatesFor(wanted, again, other));
        compared += 1;
      },
    ),
    { seed, numRuns: 300 },
  );
  t.equal(compared, 300);
});

await t.test('publishing more never takes a match away', async (t) => {
  const improved = new Set<string>();
  fc.assert(
    fc.property(anyTypes, anyWanted, (types, wanted) => {
      for (let published = 0; published < types.length; published += 1) {
        const before = matchDemand(wanted, indexTypes(types.slice(0, published)));
        const after = matchDemand(wanted, indexTypes(types.slice(0, published + 1)));
        if (rank[after.state] < rank[before.state]) throw new Error(`${before.state} became ${after.state}`);
        if (rank[after.state] > rank[before.state]) improved.add(`${before.state} → ${after.state}`);
      }
    }),
    { seed, numRuns: 2_000 },
  );
  t.strictSame(
    [...improved].toSorted(),
    ['fields_missing → matched', 'type_missing → fields_missing', 'type_missing → matched'],
    'and each step forward was seen',
  );
});

await t.test('a candidate is never a match: not by name, and not with a code that nobody has', async (t) => {
  let offered = 0;
  fc.assert(
    fc.property(anyTypes, anyWanted, (types, wanted) => {
      const index = indexTypes(types);
      const match = matchDemand(wanted, index);
      const candidates = candidatesFor(wanted, match, index);
      offered += candidates.length;
      const { type, by } = match;
      if (candidates.some(({ certificateTypeCode }) => certificateTypeCode === type?.certificateTypeCode)) {
        throw new Error('the match is offered beside itself');
      }
      if (by === 'code' && type?.certificateTypeCode !== wanted.certificateTypeCode) throw new Error('another code');
      if (by === 'name' && (type === undefined || nameKey(type.name) !== nameKey(wanted.name))) {
        throw new Error('another name');
      }
      if (type === undefined && (match.state !== 'type_missing' || match.fields.some((field) => field !== undefined))) {
        throw new Error('fields of no type');
      }
    }),
    { seed, numRuns: 1_000 },
  );
  t.ok(offered > 100, `${offered} candidates were offered`);
  const index = indexTypes(starter);
  const wanted = { name: named('暂住居住证明', 'Proof of residence'), fields: [] };
  const match = matchDemand(wanted, index);
  t.match(match, { state: 'type_missing' });
  t.match(
    candidatesFor(wanted, match, index).map(({ name }) => name.zh),
    ['居住证'],
    'the likeliest first',
  );
  const unknown = { ...wanted, name: named('居住证'), certificateTypeCode: '11999900100000016A999' };
  t.match(matchDemand(unknown, index), { state: 'type_missing' }, 'a code counts alone');
  t.equal(candidatesFor(unknown, matchDemand(unknown, index), index)[0]?.name.zh, '居住证');
  const strange = { name: named('渔船捕捞许可', 'Fishing'), fields: [] };
  t.strictSame(candidatesFor(strange, matchDemand(strange, index), index), []);
});

await t.test('a retired type meets no demand, and a retired matter asks for nothing', async (t) => {
  const note = { state: 'retired' } as const;
  const wanted = { name: some.name, certificateTypeCode: some.certificateTypeCode, fields: [] };
  t.equal(matchDemand(wanted, indexTypes([some])).state, 'matched');
  t.equal(matchDemand(wanted, indexTypes([{ ...some, note }])).state, 'type_missing');
  t.strictSame(candidatesFor(wanted, matchDemand(wanted, indexTypes([])), indexTypes([{ ...some, note }])), []);
  const [matter] = starterMatters(exampleMatterDepartments).map((each) => ({ ...each, version: 1, createdAt: at }));
  if (matter === undefined) throw new Error('no starter matter');
  t.ok(matterDemands([matter], indexTypes(starter)).length > 0);
  t.strictSame(matterDemands([{ ...matter, note }], indexTypes(starter)), []);
});

await t.test('of two types of one name: more of the fields, then the named issuer, then the lower code', async (t) => {
  const type = (code: string, owner: string, ...labels: string[]): CertificateType => ({
    ...some,
    certificateTypeCode: code as CertificateTypeCode,
    name: named('结婚证'),
    ownerDepartmentCode: owner as DepartmentCode,
    fields: labels.map((label, i) => ({
      ...(some.fields[0] as (typeof some.fields)[number]),
      name: `f${i}`,
      label: named(label),
    })),
  });
  const wanted = { name: named('结婚证书'), fields: [{ name: named('姓名') }], issuerDepartmentCode: 'B' };
  const codeOf = (...types: CertificateType[]) => matchDemand(wanted, indexTypes(types)).type?.certificateTypeCode;
  t.equal(codeOf(type('2', 'B'), type('3', 'A', '姓名'), type('1', 'A')), '3');
  t.equal(codeOf(type('1', 'A', '姓名'), type('2', 'B', '姓名')), '2');
  t.equal(codeOf(type('2', 'A', '姓名'), type('1', 'A', '姓名')), '1');
  const index = indexTypes([type('1', 'A', '姓名'), type('2', 'B', '姓名')]);
  t.match(
    candidatesFor(wanted, matchDemand(wanted, index), index),
    [{ certificateTypeCode: '1' }],
    'the other is offered',
  );
});

await t.test('what registered matters ask for: every type of every matter, all its fields, all matched', async (t) => {
  const matters = starterMatters(exampleMatterDepartments).map((matter) => ({ ...matter, version: 1, createdAt: at }));
  const index = indexTypes(starter);
  const derived = matterDemands(matters, index);
  t.ok(derived.length > matters.length);
  t.equal(new Set(derived.map(({ demandId }) => demandId)).size, derived.length);
  for (const demand of derived) {
    const matter = matters.find(({ matterCode }) => demand.matters[0] === matterCode);
    t.equal(demand.departmentCode, matter?.departmentCode);
    t.equal(judgeDemand(demand, index).state, 'matched', demand.demandId);
    const materials = (matter?.requirements ?? [])
      .flatMap(({ alternatives = [] }) => alternatives.flat())
      .filter(({ certificateTypeCode }) => certificateTypeCode === demand.certificateTypeCode);
    const read = materials.flatMap(({ fields = [], conditions = [] }) => [
      ...fields,
      ...conditions.map(({ field }) => field),
    ]);
    t.strictSame(demand.fields.map(({ fieldName = '' }) => fieldName).toSorted(), [...new Set(read)].toSorted());
  }
  const [first] = derived;
  const without = starter.filter(({ certificateTypeCode }) => certificateTypeCode !== first?.certificateTypeCode);
  t.match(
    matterDemands(matters, indexTypes(without)).map((demand) => judgeDemand(demand, indexTypes(without)).state)[0],
    'type_missing',
  );
});

const declared = (overrides: Partial<Demand> = {}): Demand => ({
  demandId: '1',
  origin: 'declared',
  departmentCode: 'school',
  name: named('缺证'),
  fields: [{ name: named('姓名') }],
  matters: ['m1'],
  clientId: 'c',
  createdAt: at,
  dueAt: later(10),
  history: [{ step: 'declared', at, departmentCode: 'school', clientId: 'c' }],
  ...overrides,
});
const index = indexTypes(starter);
const judged = (demand: Demand) => judgeDemand(demand, index);
const taken = { at, departmentCode: 'x', clientId: 'y', reason: 'r' };
const refusal = (work: () => unknown): unknown => {
  try {
    work();
  } catch (error) {
    return [(error as Refusal).code, (error as Refusal).detail];
  }
  return undefined;
};

await t.test('who should issue, and what an answer does', async (t) => {
  const plain = declared();
  t.equal(judged(plain).responsible, undefined, 'nobody is known');
  const toB = assigned(judged(plain), taken, { issuerDepartmentCode: 'B', dueAt: later(20) });
  t.match(judged(toB), { responsible: 'B', demand: { dueAt: later(20) } });
  const answer = (demand: Demand, given: Parameters<typeof answered>[2]['answer'], by?: string, on = today) =>
    answered(judged(demand), taken, { answer: given, today: on, dueAt: later(30), ...(by !== undefined && { by }) });
  const promised = answer(toB, 'will_supply', '2026-12-01');
  const isClosed = (state: string) => ['demand_closed', { state }];
  t.strictSame(
    refusal(() => answer(promised, 'refused')),
    isClosed('answered'),
    'a promise stands',
  );
  t.equal(answer(promised, 'refused', undefined, '2026-12-02').history.length, 4, 'until its day is over');
  for (const by of ['2026-11-25', '2027-02-01']) {
    const moved = answer(promised, 'will_supply', by);
    t.match(standingAnswer(moved, today), { by }, 'but it may be moved');
    t.equal(formerPromise(moved)?.by, '2026-12-01', 'and what was promised before stays to be seen');
  }
  t.strictSame(
    refusal(() => answer(promised, 'will_supply', '2026-12-01')),
    isClosed('answered'),
    'the same day is nothing new',
  );
  t.equal(formerPromise(promised), undefined);
  const anew = assigned(judged(promised), taken, { issuerDepartmentCode: 'C', dueAt: later(20) });
  t.equal(formerPromise(answer(anew, 'will_supply', '2027-01-01')), undefined, 'a promise of somebody else');
  t.strictSame(
    refusal(() => answer(answer(toB, 'refused'), 'will_supply')),
    isClosed('answered'),
  );
  const disowned = answer(toB, 'not_ours');
  t.match([judged(disowned).responsible, disowned.dueAt], [undefined, later(30)], 'back to the hub');
  const again = assigned(judged(answer(toB, 'refused')), taken, { issuerDepartmentCode: 'B', dueAt: later(40) });
  t.equal(answer(again, 'will_supply', '2026-12-01').history.length, 5, 'assigned anew, it may answer anew');

  const known = { certificateTypeCode: some.certificateTypeCode };
  const fields = [{ name: named('没有的项') }];
  t.equal(judged(declared({ ...known, fields })).responsible, some.ownerDepartmentCode, 'the owner of the type');
  t.equal(judged(declared({ ...known, fields, issuerDepartmentCode: 'B' })).responsible, 'B', 'the one that was named');
  const notOwners = answer(declared({ ...known, fields }), 'not_ours');
  t.equal(judged(notOwners).responsible, undefined, 'not the owner again');

  const there = declared({ ...known, fields: [] });
  t.strictSame(
    refusal(() => answer(there, 'refused')),
    isClosed('matched'),
  );
  const gone = withdrawn(judged(plain), taken);
  t.equal(judged(gone).state, 'withdrawn');
  for (const work of [
    () => withdrawn(judged(gone), taken),
    () => answer(gone, 'refused'),
    () => assigned(judged(gone), taken, { issuerDepartmentCode: 'B', dueAt: at }),
  ]) {
    t.strictSame(refusal(work), isClosed('withdrawn'));
  }
  t.strictSame([isLate(judged(plain), later(9), today), isLate(judged(plain), later(10), today)], [false, true]);
  t.notOk(isLate(judged(promised), later(25), '2026-11-30'), 'not while a promise stands');
  t.ok(isLate(judged(promised), later(25), '2026-12-17'), 'but when its day is over');
  t.notOk(isLate(judged({ ...there, dueAt: at }), later(10), today), 'nor what is matched');
});

await t.test('gaps: the same thing from the same department is one, whoever wants it', async (t) => {
  const gaps = (...demands: Demand[]) => gapsOf(demands.map(judged), { at, today });
  const wanting = (demandId: string, more: Partial<Demand>) => declared({ demandId, ...more });
  const named1 = { name: named('渔船证'), issuerDepartmentCode: 'B' };
  const three = gaps(
    wanting('3', { ...named1, name: named('渔船证书'), departmentCode: 'housing', matters: ['m9'] }),
    wanting('1', named1),
    wanting('2', { ...named1, issuerDepartmentCode: 'C' }),
  );
  t.strictSame(
    three
      .map(({ responsible, wantedBy }) => [responsible, wantedBy.map((each) => each.judged.demand.demandId)])
      .toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1)),
    [
      ['B', ['1', '3']],
      ['C', ['2']],
    ],
  );
  const { certificateTypeCode } = some;
  const fields = [{ name: named('没有的项') }, { name: named('姓名') }, { name: named('另一项'), fieldName: 'other' }];
  const ofFields = gaps(
    wanting('1', { certificateTypeCode, fields }),
    wanting('2', { certificateTypeCode, fields: [{ name: named('其他'), fieldName: 'other' }] }),
  );
  t.match(
    ofFields
      .map(({ missing, field, wantedBy, name }) => [missing, field?.name.zh, wantedBy.length, name.zh])
      .toSorted(([, a], [, b]) => (String(a) < String(b) ? -1 : 1)),
    [
      ['field', '另一项', 2, some.name.zh],
      ['field', '没有的项', 1, some.name.zh],
    ],
  );
  t.strictSame(gaps(wanting('1', { certificateTypeCode, fields: [] })), [], 'what is matched is no gap');
  t.strictSame(gaps(withdrawn(judged(wanting('1', {})), taken)), [], 'nor what is withdrawn');

  const toB = wanting('1', named1);
  const promised = answered(judged(toB), taken, { answer: 'will_supply', by: '2026-12-01', today, dueAt: at });
  const refused = { ...answered(judged(toB), taken, { answer: 'refused', today, dueAt: at }), demandId: '2' };
  const stateOf = (...demands: Demand[]) => gaps(...demands).map(({ state, by }) => [state, by]);
  t.strictSame(stateOf(declared()), [['unassigned', undefined]]);
  t.strictSame(stateOf(toB), [['open', undefined]]);
  t.strictSame(stateOf(promised, refused), [['will_supply', '2026-12-01']]);
  t.strictSame(stateOf(refused), [['refused', undefined]]);
  t.strictSame(stateOf(promised, { ...toB, demandId: '3' }), [['open', undefined]], 'one of them still waits');
});

const need: DemandNeed = {
  demandId: 'd',
  departmentCode: 'school',
  certificateTypeCode: 'T',
  ownerDepartmentCode: 'owner',
  fields: ['a', 'b'],
  matters: ['m1', 'm2'],
};
const grant = (grantId: string, overrides: Partial<Grant> = {}): Grant => ({
  grantId: grantId as GrantId,
  clientId: 'c',
  certificateTypeCode: 'T',
  level: 'fields',
  fields: ['a', 'b', 'c'],
  matters: ['m1', 'm2'],
  legalBases: ['own_application'],
  validFrom: later(-10),
  validUntil: later(100),
  dailyQuota: 1,
  decisionReference: 'r',
  decidedByDepartmentCode: 'owner',
  applicationId: 'a',
  createdAt: at,
  ...overrides,
});
const application = {
  applicationId: 'w',
  certificateTypeCode: 'T',
  state: 'awaiting_owner',
  wanted: { level: 'fields', fields: ['a', 'b'], matters: ['m1', 'm2'], legalBases: [], dailyQuota: 1 },
} as unknown as GrantApplication;
const permission = (grants: Grant[], applications: GrantApplication[] = [], more: Partial<DemandNeed> = {}) =>
  demandPermission({ grants, applications }, { ...need, ...more }, at);

await t.test('permission: granted, in part, expiring, applied for or nothing of it', async (t) => {
  t.strictSame(permission([]), { state: 'not_applied', grantIds: [], fieldsLacking: ['a', 'b'] });
  t.match(permission([], [], { ownerDepartmentCode: 'school' }), { state: 'own_type' });
  t.strictSame(permission([grant('1')]), {
    state: 'granted',
    grantIds: ['1'],
    validUntil: later(100),
    fieldsLacking: [],
  });
  t.match(permission([grant('1', { matters: ['m1'] })]), { state: 'partly_granted', fieldsLacking: ['a', 'b'] });
  t.match(permission([grant('1', { fields: ['a'] }), grant('2', { fields: ['b'] })]), {
    state: 'partly_granted',
    fieldsLacking: ['b'],
  });
  t.match(permission([grant('1', { matters: ['m1'] }), grant('2', { matters: ['m2'], validUntil: later(40) })]), {
    state: 'granted',
    grantIds: ['1', '2'],
    validUntil: later(40),
  });
  const ending = grant('1', { validUntil: later(30) });
  t.match(permission([ending]), { state: 'expiring', validUntil: later(30) });
  const renewal = grant('2', { validFrom: later(30), validUntil: later(400) });
  t.match(permission([renewal, ending]), { state: 'granted', validUntil: later(400), grantIds: ['1', '2'] });
  t.match(permission([ending, grant('2', { validFrom: later(31), validUntil: later(400) })]), { state: 'expiring' });
  const nothing = [
    grant('1', { suspendedAt: at }),
    grant('2', { revokedAt: at }),
    grant('3', { validUntil: at }),
    grant('4', { level: 'compare' }),
    grant('5', { certificateTypeCode: 'U' }),
    grant('6', { matters: ['m3'] }),
    grant('7', { validFrom: later(1) }),
  ];
  t.strictSame(permission(nothing), { state: 'not_applied', grantIds: [], fieldsLacking: ['a', 'b'] });
  t.match(permission([], [application]), { state: 'applied', applicationId: 'w' });
  t.match(permission([ending], [application]), { state: 'expiring', applicationId: 'w' });
  const narrow = { ...application, wanted: { ...application.wanted, fields: ['a'] } };
  t.match(permission([], [narrow]), { state: 'not_applied' });
  t.match(permission([], [{ ...narrow, demandId: 'd' }]), { state: 'applied' });
  t.match(permission([], [{ ...application, certificateTypeCode: 'U', demandId: 'd' }]), { state: 'not_applied' });
});

await t.test(
  'invariant 2: what a demand shows as granted, each of its matters may ask for with one grant',
  async (t) => {
    const anyGrant = fc
      .record({
        fields: fc.subarray(['a', 'b', 'c'], { minLength: 1 }),
        matters: fc.subarray(['m1', 'm2', 'm3'], { minLength: 1 }),
        level: fc.constantFrom('compare' as const, 'fields' as const),
        from: fc.integer({ min: -3, max: 2 }),
        days: fc.integer({ min: 1, max: 5 }),
        suspended: fc.boolean(),
      })
      .map(({ from, days, suspended, ...rest }) => ({
        ...rest,
        validFrom: later(from),
        validUntil: later(from + days),
        ...(suspended && { suspendedAt: at }),
      }));
    const seen = new Set<string>();
    fc.assert(
      fc.property(fc.array(anyGrant, { maxLength: 4 }), (made) => {
        const grants = made.map((each, i) => grant(String(i), each));
        const { fieldsLacking, state, validUntil } = permission(grants);
        seen.add(state);
        const allows = (fields: readonly string[], when: Date): boolean =>
          need.matters.every(
            (matterCode) =>
              permit(grants, {
                certificateTypeCode: 'T',
                level: 'fields',
                fields,
                matterCode,
                legalBasis: 'own_application',
                at: when,
              }).ok,
          );
        if ((fieldsLacking.length === 0) !== allows(need.fields, at))
          throw new Error(`${state}, but not what permit says`);
        if (fieldsLacking.length === 0 && validUntil !== undefined) {
          if (!allows(need.fields, new Date(validUntil.getTime() - 1))) throw new Error('ends before it says');
          if (allows(need.fields, validUntil)) throw new Error('ends after it says');
        }
      }),
      { seed, numRuns: 3_000 },
    );
    t.strictSame([...seen].toSorted(), ['expiring', 'not_applied', 'partly_granted']);
  },
);

await t.test('what can be applied for: the fields that are there, and never nothing', async (t) => {
  const { certificateTypeCode } = some;
  const fields = [{ name: named('姓名') }, { name: named('没有的项') }];
  t.match(needOf(judged(declared({ certificateTypeCode, fields }))), { fields: ['name'] });
  t.match(needOf(judged(declared({ certificateTypeCode, fields: [] }))), { fields: ['certificateIssuedDate'] });
  t.equal(needOf(judged(declared({ certificateTypeCode, fields: fields.slice(1) }))), undefined);
  t.equal(needOf(judged(declared())), undefined);
  t.equal(needOf(judged(withdrawn(judged(declared({ certificateTypeCode, fields })), taken))), undefined);
});
