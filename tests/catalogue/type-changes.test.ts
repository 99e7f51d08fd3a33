import fc from 'fast-check';
import t from 'tap';
import type { CertificateTypeDefinition, FieldDefinition } from '../../src/catalogue/certificate-type.ts';
import { checkMatterDefinition, type MatterBasis } from '../../src/catalogue/check-matter-definition.ts';
import type { MatterCondition, MatterDefinition } from '../../src/catalogue/matter.ts';
import { exampleMatterDepartments } from '../../src/catalogue/starter-materials.ts';
import { starterMatters } from '../../src/catalogue/starter-matters.ts';
import { exampleDepartments, starterTypes } from '../../src/catalogue/starter-types.ts';
import { grantBreaks, matterBreaks } from '../../src/catalogue/type-breaks.ts';
import { changesBetween } from '../../src/catalogue/type-changes.ts';
import type { CertificateTypeCode, DepartmentCode } from '../../src/ids.ts';
import { canonicalJson } from '../../src/verification/canonical-json.ts';
import type { JsonObject } from '../../src/verification/encoding.ts';

const today = '2026-11-22';
const at = new Date(`${today}T12:00:00Z`);
const police = exampleDepartments.publicSecurity as DepartmentCode;
const code = `${police}900` as CertificateTypeCode;
const bilingual = (text: string) => ({ zh: text, en: text });

const schemas: readonly JsonObject[] = [
  { type: 'integer', minimum: 0, maximum: 10 },
  { type: 'integer', minimum: 5, maximum: 20 },
  { type: 'string', maxLength: 20 },
  { type: 'string', enum: ['a', 'b', 'c'] },
  { type: 'string', enum: ['a', 'd'] },
  { type: 'string', format: 'date' },
  { type: 'string', pattern: '^[0-9]{17}[0-9X]$', maxLength: 18 },
];
const field = fc.record({
  name: fc.constantFrom('one', 'two', 'three', 'four'),
  label: fc.constantFrom('x', 'y').map(bilingual),
  schema: fc.constantFrom(...schemas),
  class: fc.constantFrom('public', 'internal', 'sensitive'),
  required: fc.boolean(),
}) as fc.Arbitrary<FieldDefinition>;
const issuer = fc.record(
  {
    departmentCode: fc.constantFrom(police, exampleDepartments.taxation as DepartmentCode),
    from: fc.constantFrom('2020-01-01T00:00:00Z', '2021-01-01T00:00:00Z'),
  },
  { requiredKeys: ['departmentCode'] },
);
const optional = fc.record(
  {
    category: fc.constantFrom('licence', 'proof'),
    definingAuthorityLevel: fc.constantFrom('national', 'municipal'),
    issuingAuthorityLevel: fc.constantFrom('national', 'municipal'),
    standard: fc.constantFrom('C 0123', 'C 0124'),
    decidedBy: fc.constantFrom('city', 'province'),
  },
  { requiredKeys: [] },
);
const definition: fc.Arbitrary<CertificateTypeDefinition> = fc
  .tuple(
    fc.uniqueArray(field, { selector: ({ name }) => name, minLength: 1, maxLength: 4 }),
    fc.array(issuer, { minLength: 1, maxLength: 3 }),
    fc.record({
      name: fc.record({ zh: fc.constantFrom('甲', '乙'), en: fc.constantFrom('A', 'B') }),
      ownerDepartmentCode: fc.constantFrom(police, exampleDepartments.taxation as DepartmentCode),
      holderKind: fc.constantFrom('person', 'organisation', 'mixed'),
      holderCount: fc.constantFrom({ min: 1, max: 1 }, { min: 1, max: 2 }),
      validity: fc.constantFrom({ kind: 'either' }, { kind: 'limited', maxMonths: 12 }),
      reviewRequired: fc.boolean(),
    }),
    optional,
  )
  .map(
    ([fields, allowedIssuers, rest, more]) =>
      ({ certificateTypeCode: code, fields, allowedIssuers, ...rest, ...more }) as CertificateTypeDefinition,
  );
/** A definition and another that differs in little. */
const pair = fc.tuple(definition, definition, fc.nat(11)).map(([from, other, which]) => {
  const members = Object.keys(other) as (keyof CertificateTypeDefinition)[];
  const member = members[which % members.length] ?? 'fields';
  const to: CertificateTypeDefinition = which === 11 ? other : { ...from, [member]: other[member] };
  return { from, to };
});
const same = (one: unknown, other: unknown): boolean =>
  canonicalJson(one as JsonObject) === canonicalJson(other as JsonObject);

await t.test('what changed: told exactly when the two versions differ', async (t) => {
  let told = 0;
  fc.assert(
    fc.property(pair, ({ from, to }) => {
      const changes = changesBetween(from, to);
      told += changes.length;
      return (
        (changes.length === 0) === same(from, to) &&
        changesBetween(to, from).length === changes.length &&
        changes.every(
          ({ path, from: old = '', to: now = '' }) => path.startsWith('/') && Math.max(old.length, now.length) <= 200,
        )
      );
    }),
    { seed: 20_261_122, numRuns: 2_000 },
  );
  t.ok(told > 2_000, `${told} changes`);

  const [card] = starterTypes(exampleDepartments);
  if (card === undefined) throw new Error('no starter types');
  const fields = card.fields
    .filter(({ name }) => name !== 'ethnicity')
    .map((each) => (each.name === 'address' ? { ...each, class: 'internal' as const } : each));
  const next: CertificateTypeDefinition = {
    ...card,
    name: { ...card.name, en: 'Identity card' },
    fields: [
      ...fields,
      { name: 'photo', label: bilingual('p'), schema: { type: 'boolean' }, class: 'public', required: false },
    ],
    allowedIssuers: [{ departmentCode: police, until: '2030-01-01T00:00:00Z' }],
    decidedBy: 'province',
  };
  t.strictSame(changesBetween(card, next), [
    { what: 'changed', path: '/name/en', from: 'Resident ID card', to: 'Identity card' },
    { what: 'changed', path: '/decidedBy', to: 'province' },
    { what: 'field_removed', path: '/fields/ethnicity', from: '{"maxLength":20,"minLength":1,"type":"string"}' },
    { what: 'field_changed', path: '/fields/address/class', from: 'sensitive', to: 'internal' },
    { what: 'field_added', path: '/fields/photo', to: '{"type":"boolean"}' },
    {
      what: 'issuer_changed',
      path: `/allowedIssuers/${police}`,
      from: '[{}]',
      to: '[{"until":"2030-01-01T00:00:00Z"}]',
    },
  ]);
  t.strictSame(changesBetween(card, { ...card, note: { state: 'retired' } }), [{ what: 'retired', path: '' }]);
  t.strictSame(changesBetween({ ...card, note: { state: 'retired' } }, card), [{ what: 'restored', path: '' }]);
  const turned = { ...card, fields: card.fields.toReversed() };
  t.match(changesBetween(card, turned), [{ what: 'changed', path: '/fields' }], 'the order alone');
});

const condition: fc.Arbitrary<MatterCondition> = fc.oneof(
  fc.record({
    field: fc.constantFrom('one', 'two', 'three', 'four'),
    is: fc.constantFrom('equal', 'at_least', 'at_most'),
    value: fc.constantFrom<string | number>(3, 7, 15, 'a', 'd', '2026-01-01'),
  }),
  fc.record({
    field: fc.constantFrom('one', 'two', 'three', 'four'),
    is: fc.constant('same_as_party' as const),
    party: fc.constant('applicant'),
  }),
) as fc.Arbitrary<MatterCondition>;
const matter: fc.Arbitrary<MatterDefinition> = fc
  .record({
    kind: fc.constantFrom('person', 'organisation'),
    materials: fc.array(
      fc.record(
        {
          certificateTypeCode: fc.constant(code),
          issuedBy: fc.constant([police]),
          fields: fc.subarray(['one', 'two', 'three', 'four', 'certificateNumber'], { minLength: 1 }),
          conditions: fc.array(condition, { minLength: 1, maxLength: 2 }),
        },
        { requiredKeys: ['certificateTypeCode'] },
      ),
      { minLength: 1, maxLength: 3 },
    ),
  })
  .map(({ kind, materials }) => ({
    matterCode: 'm',
    name: bilingual('m'),
    departmentCode: police,
    parties: [{ code: 'applicant', name: bilingual('p'), kind }],
    requirements: materials.map((material, i) => ({
      code: `r${i}`,
      name: bilingual('r'),
      legalGround: bilingual('l'),
      alternatives: [[material]],
    })),
  })) as fc.Arbitrary<MatterDefinition>;

await t.test(
  'a change judged harmless leaves every matter sound and every granted field with the same schema',
  async (t) => {
    const fields = fc.subarray(['one', 'two', 'three', 'four', 'certificateHolders'], { minLength: 1 });
    const basisOf = (type: CertificateTypeDefinition): MatterBasis => ({
      findType: (asked) => (asked === code ? type : undefined),
      typesNamed: () => [],
      at,
      isDepartment: () => true,
      today,
    });
    const isSound = (definition: MatterDefinition, type: CertificateTypeDefinition): boolean => {
      try {
        checkMatterDefinition(definition, basisOf(type));
        return true;
      } catch {
        return false;
      }
    };
    const counts = { harmless: 0, harmful: 0, sound: 0, broken: 0, granted: 0 };
    fc.assert(
      fc.property(pair, fc.array(matter, { minLength: 1, maxLength: 3 }), fields, ({ from, to }, matters, granted) => {
        const before = (asked: string) => (asked === code ? from : undefined);
        const after = (asked: string) => (asked === code ? to : undefined);
        const broken = matterBreaks(matters, { before, after, today, at });
        const grants = grantBreaks(from, to, [{ grantId: 'g', clientId: 'c', fields: granted }]);
        if (broken.length > 0 || grants.length > 0) counts.harmful += 1;
        else counts.harmless += 1;
        const sound = matters.filter((each) => isSound(each, from));
        counts.sound += sound.length;
        counts.broken += broken.length;
        counts.granted += grants.length;
        const isWorse = sound.some((each) => !isSound(each, to));
        if (isWorse !== broken.some(() => isWorse)) return false;
        if (broken.length === 0 && isWorse) return false;
        // The oracle of grants: by hand, from the fields of both.
        const own = (type: CertificateTypeDefinition, name: string) =>
          type.fields.find((each) => each.name === name)?.schema;
        const expected = granted.filter((name) => {
          const [old, next] = [own(from, name), own(to, name)];
          const isStandard = name === 'certificateHolders';
          const isThere = isStandard || old !== undefined;
          const isSame = old === undefined || next === undefined ? old === next : same(old, next);
          return !isSame || (isThere && from.holderKind !== to.holderKind);
        });
        return same(grants, expected.length === 0 ? [] : [{ grantId: 'g', clientId: 'c', fields: expected }]);
      }),
      { seed: 20_261_122, numRuns: 3_000 },
    );
    t.ok(Math.min(...Object.values(counts)) > 100, JSON.stringify(counts));
  },
);

await t.test('breaks: which requirement, by which rule; what was unsound before stands in nobody’s way', async (t) => {
  const types = starterTypes(exampleDepartments);
  const matters = starterMatters(exampleMatterDepartments);
  const find = (list: readonly CertificateTypeDefinition[]) => (asked: string) =>
    list.find(({ certificateTypeCode }) => certificateTypeCode === asked);
  const replaced = (change: (type: CertificateTypeDefinition) => CertificateTypeDefinition, name: string) =>
    types.map((type) => (type.name.zh === name ? change(type) : type));
  const without = (name: string) => (type: CertificateTypeDefinition) => ({
    ...type,
    fields: type.fields.filter((each) => each.name !== name),
  });
  const judge = (after: readonly CertificateTypeDefinition[]) =>
    matterBreaks(matters, { before: find(types), after: find(after), today, at });
  t.strictSame(judge(types), []);
  const broken = judge(replaced(without('relationshipToHead'), '居民户口簿'));
  t.ok(broken.length > 0);
  t.ok(broken.every(({ rule }) => rule === 'field_unknown'));
  t.match(broken, [{ matterCode: 'school-enrolment', pointer: /^\/requirements\/\d\/alternatives\// }]);
  const retired = judge(replaced((type) => ({ ...type, note: { state: 'retired' } }) as never, '居民户口簿'));
  t.ok(
    retired.some(({ pointer }) => pointer.startsWith('/produces/')),
    'what it produces counts as well',
  );
  t.ok(retired.every(({ rule }) => rule === 'type_retired'));
  const [ofOthers] = matters.map((each) => ({
    ...each,
    departmentCode: exampleDepartments.taxation as DepartmentCode,
    produces: [`${police}003` as CertificateTypeCode],
    requirements: [],
  }));
  const retiring = { ...types[2], note: { state: 'retired' } } as CertificateTypeDefinition;
  const hand = (from: CertificateTypeDefinition | undefined, to: CertificateTypeDefinition | undefined) =>
    matterBreaks(ofOthers === undefined ? [] : [ofOthers], { before: () => from, after: () => to, today, at });
  t.strictSame(hand(types[2], retiring), [], 'who may not issue it keeps nobody from retiring it');
  const shared = {
    ...(types[2] as CertificateTypeDefinition),
    allowedIssuers: [{ departmentCode: exampleDepartments.taxation as DepartmentCode }],
  };
  t.strictSame(hand(shared, types[2]), [], 'nor does an issuer keep its owner from taking that away');
  t.match(hand(shared, retiring), [{ pointer: '/produces/0', rule: 'type_retired' }], 'an issuer is asked first');
  const bad = replaced(without('relationshipToHead'), '居民户口簿');
  t.strictSame(matterBreaks(matters, { before: find(bad), after: find(bad), today, at }), []);
});
