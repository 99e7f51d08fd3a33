import fc from 'fast-check';
import t from 'tap';
import { catalogued, catalogueOf } from '../../src/catalogue/catalogue.ts';
import { checkMatterDefinition, type MatterBasis } from '../../src/catalogue/check-matter-definition.ts';
import { findCircular, unobtainable } from '../../src/catalogue/circular.ts';
import { judgeConditions } from '../../src/catalogue/judge-conditions.ts';
import { typesNamedIn } from '../../src/catalogue/material-name.ts';
import {
  equalParties,
  type MatterCondition,
  type MatterDefinition,
  type MatterParty,
  type MatterRequirement,
} from '../../src/catalogue/matter.ts';
import { firstUnmet, isMet, monthsBefore } from '../../src/catalogue/matter-conditions.ts';
import { exampleMatterDepartments } from '../../src/catalogue/starter-materials.ts';
import { starterMatters } from '../../src/catalogue/starter-matters.ts';
import { exampleDepartments, starterTypes } from '../../src/catalogue/starter-types.ts';
import type { CertificateTypeCode } from '../../src/ids.ts';
import type { JsonObject } from '../../src/verification/encoding.ts';

const options = { seed: 20_261_122, numRuns: 300 };
const today = '2026-11-22';
const person = { type: '111', number: '99000019900101001X' };
const asked = { day: today, parties: new Map([['guardian', person]]) };
const bilingual = (text: string) => ({ zh: text, en: text });

await t.test('conditions: what a value has to say', async (t) => {
  const cases: [condition: Omit<MatterCondition, 'field'>, met: unknown[], unmet: unknown[]][] = [
    [{ is: 'equal', value: '在读' }, ['在读'], ['在', '', undefined, null, ['在读']]],
    [{ is: 'equal', value: true }, [true], ['true', 1, false]],
    [{ is: 'equal', value: 0 }, [0], ['0', false, '0.00']],
    [{ is: 'equal', monthsBefore: 12 }, ['2025-11-22', '2025-11', '2025'], ['2025-11-21', '2025-10', '2026', 2025]],
    [{ is: 'one_of', value: ['甲', 2] }, ['甲', 2], ['乙', '2', ['甲'], undefined]],
    [{ is: 'at_least', value: 12 }, [12, 12.5, 1e9], [11.99, '12', '12.00', Number.NaN, undefined]],
    [{ is: 'at_most', value: '9.50' }, ['9.50', '0.00', '-3.00'], ['10.00', '9.51', '9.5', 9, '2009']],
    [{ is: 'at_least', value: '90071992547409.93' }, ['90071992547409.93'], ['90071992547409.92']],
    [{ is: 'at_least', value: '2024-02-29' }, ['2024-02-29', '2024-03-01'], ['2024-02-28', '2023-02-29', '2024-03']],
    [{ is: 'at_most', value: '2024-02' }, ['2024-02', '2023-12'], ['2024-03', '2024-01-01', '2024-13']],
    [{ is: 'at_least', monthsBefore: 3 }, ['2026-08-22', '2026-08', '2026'], ['2026-08-21', '2026-07', '2025']],
    [{ is: 'at_most', monthsBefore: 0 }, ['2026-11-22', '2026-11', '2026'], ['2026-11-23', '2026-12', '2027', 3]],
    [
      { is: 'same_as_party', party: 'guardian' },
      [person.number, '99000019900101001x', [{ type: '111', number: 'X' }, person]],
      ['990000199001010010', [{ ...person, type: '414' }], [], [person.number], undefined],
    ],
    [{ is: 'same_as_party', party: 'nobody' }, [], [person.number, undefined, '']],
  ];
  for (const [condition, met, unmet] of cases) {
    const whole = { field: 'f', ...condition };
    for (const value of met) t.ok(isMet(whole, value, asked), `${JSON.stringify(condition)} ${JSON.stringify(value)}`);
    for (const value of unmet)
      t.notOk(isMet(whole, value, asked), `not ${JSON.stringify(condition)} ${JSON.stringify(value)}`);
  }
  const conditions: MatterCondition[] = [
    { field: 'a', is: 'equal', value: 1 },
    { field: 'toString', is: 'equal', value: 2 },
  ];
  t.equal(firstUnmet(conditions, { a: 1 }, asked)?.field, 'toString', 'what an object inherits is no field');
  t.equal(firstUnmet(conditions.slice(0, 1), { a: 1 }, asked), undefined);
});

await t.test('months before a day keep the day, or end with the month', async (t) => {
  t.strictSame(
    [
      monthsBefore('2026-03-31', 1),
      monthsBefore('2024-03-31', 1),
      monthsBefore('2026-01-31', 12),
      monthsBefore('2024-02-29', 12),
      monthsBefore('2026-01-15', -13),
      monthsBefore('0001-01-01', 1_200),
    ],
    ['2026-02-28', '2024-02-29', '2025-01-31', '2023-02-28', '2027-02-15', '0000-01-01'],
  );
  const days = fc.date({ min: new Date('1900-01-01'), max: new Date('2200-12-31'), noInvalidDate: true });
  fc.assert(
    fc.property(days, fc.integer({ min: 0, max: 1_200 }), (date, months) => {
      // Against the calendar of the platform: the last day of the month is day 0 of the next.
      const first = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() - months, 1));
      const last = new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1, 0)).getUTCDate();
      first.setUTCDate(Math.min(date.getUTCDate(), last));
      return monthsBefore(date.toISOString().slice(0, 10), months) === first.toISOString().slice(0, 10);
    }),
    options,
  );
});

const judge = (schema: JsonObject, conditions: readonly Omit<MatterCondition, 'field'>[]) =>
  judgeConditions(
    conditions.map((condition) => ({ field: 'f', ...condition })),
    {
      fields: [{ name: 'f', label: bilingual('f'), schema, class: 'public', required: true }],
      parties: [
        { code: 'applicant', name: bilingual('a'), kind: 'person' },
        { code: 'guardian', name: bilingual('g'), kind: 'person' },
        { code: 'employer', name: bilingual('e'), kind: 'organisation' },
        { code: 'witness', name: bilingual('w'), kind: 'person', distinctFrom: ['applicant'] },
      ],
      today,
    },
  );

await t.test('conditions that can never be met are refused with their place', async (t) => {
  const count = { type: 'integer', minimum: 0, maximum: 24 };
  const word = { type: 'string', enum: ['甲', '乙', '丙'] };
  const text = { type: 'string', maxLength: 50 };
  const day = { type: 'string', format: 'date' };
  const month = { type: 'string', pattern: '^[0-9]{4}-(?:0[1-9]|1[0-2])$', maxLength: 7 };
  const amount = { type: 'string', pattern: '^(?:0|[1-9][0-9]{0,14})\\.[0-9]{2}$', maxLength: 18 };
  const idNumber = { type: 'string', pattern: '^[0-9]{17}[0-9X]$', maxLength: 18 };
  const fine: [schema: JsonObject, conditions: Omit<MatterCondition, 'field'>[]][] = [
    [count, [{ is: 'at_least', value: 24 }]],
    [
      count,
      [
        { is: 'at_least', value: 3 },
        { is: 'at_most', value: 3 },
        { is: 'equal', value: 3 },
      ],
    ],
    [
      word,
      [
        { is: 'one_of', value: ['甲', '乙'] },
        { is: 'one_of', value: ['乙', '丙'] },
      ],
    ],
    [text, [{ is: 'equal', value: 'x' }]],
    [
      day,
      [
        { is: 'at_least', monthsBefore: 12 },
        { is: 'at_most', monthsBefore: 0 },
      ],
    ],
    [
      day,
      [
        { is: 'at_least', value: '2031-01-31' },
        { is: 'at_most', monthsBefore: 1 },
      ],
    ],
    [
      month,
      [
        { is: 'at_most', value: '2026-05' },
        { is: 'at_least', monthsBefore: 6 },
      ],
    ],
    [amount, [{ is: 'at_most', value: '0.00' }]],
    [
      idNumber,
      [
        { is: 'same_as_party', party: 'applicant' },
        { is: 'same_as_party', party: 'guardian' },
      ],
    ],
    [
      idNumber,
      [
        { is: 'same_as_party', party: 'witness' },
        { is: 'same_as_party', party: 'guardian' },
      ],
    ],
    [{ type: 'boolean' }, [{ is: 'equal', value: false }]],
    [{ type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 1 }, [{ is: 'at_least', value: 0.25 }]],
    [
      { type: 'number', minimum: 0, multipleOf: 5 },
      [
        { is: 'at_least', value: 3 },
        { is: 'at_most', value: 7 },
      ],
    ],
  ];
  for (const [schema, conditions] of fine) t.equal(judge(schema, conditions), undefined, JSON.stringify(conditions));
  const bad: [
    schema: JsonObject,
    conditions: Omit<MatterCondition, 'field'>[],
    index: number,
    pointer: string,
    rule: string,
  ][] = [
    [count, [{ is: 'at_least', value: 25 }], 0, '', 'out_of_range'],
    [count, [{ is: 'at_most', value: -1 }], 0, '', 'out_of_range'],
    [count, [{ is: 'equal', value: 25 }], 0, '/value', 'not_of_the_field'],
    [count, [{ is: 'at_least', value: 1.5 }], 0, '/value', 'not_of_the_field'],
    [count, [{ is: 'at_least', value: '12' }], 0, '/value', 'not_of_the_field'],
    [
      count,
      [
        { is: 'equal', value: 1 },
        { is: 'equal', value: 2 },
      ],
      1,
      '',
      'contradiction',
    ],
    [
      count,
      [
        { is: 'at_least', value: 5 },
        { is: 'at_most', value: 4 },
      ],
      1,
      '',
      'contradiction',
    ],
    [count, [{ is: 'at_least', monthsBefore: 1 }], 0, '/monthsBefore', 'not_a_date'],
    [word, [{ is: 'equal', value: '丁' }], 0, '/value', 'not_of_the_field'],
    [word, [{ is: 'one_of', value: ['甲', '丁'] }], 0, '/value/1', 'not_of_the_field'],
    [
      word,
      [
        { is: 'one_of', value: ['甲'] },
        { is: 'equal', value: '乙' },
      ],
      1,
      '',
      'contradiction',
    ],
    [word, [{ is: 'at_least', value: '甲' }], 0, '/is', 'not_ordered'],
    [word, [{ is: 'same_as_party', party: 'applicant' }], 0, '/field', 'no_number'],
    [text, [{ is: 'at_most', value: '2026-01-01' }], 0, '/is', 'not_ordered'],
    [text, [{ is: 'one_of', value: 'x' }], 0, '/value', 'list_missing'],
    [text, [{ is: 'equal', value: ['x'] }], 0, '/value', 'list_not_allowed'],
    [text, [{ is: 'equal' }], 0, '', 'value_or_months'],
    [text, [{ is: 'equal', value: 'x', party: 'applicant' }], 0, '/party', 'party_not_allowed'],
    [text, [{ is: 'same_as_party' }], 0, '', 'party_missing'],
    [text, [{ is: 'same_as_party', party: 'applicant', value: 'x' }], 0, '', 'party_only'],
    [text, [{ is: 'same_as_party', party: 'nobody' }], 0, '/party', 'party_unknown'],
    [text, [{ is: 'one_of', value: ['x'], monthsBefore: 1 }], 0, '/monthsBefore', 'months_not_allowed'],
    [
      idNumber,
      [
        { is: 'same_as_party', party: 'applicant' },
        { is: 'same_as_party', party: 'employer' },
      ],
      1,
      '',
      'contradiction',
    ],
    [
      idNumber,
      [
        { is: 'same_as_party', party: 'applicant' },
        { is: 'same_as_party', party: 'witness' },
      ],
      1,
      '',
      'contradiction',
    ],
    [day, [{ is: 'at_least', value: '2026-02-30' }], 0, '/value', 'not_of_the_field'],
    [day, [{ is: 'at_least', value: '2026-02' }], 0, '/value', 'not_of_the_field'],
    [day, [{ is: 'at_least', value: '2026-01-01', monthsBefore: 1 }], 0, '', 'value_or_months'],
    [
      day,
      [
        { is: 'at_least', monthsBefore: 6 },
        { is: 'at_most', monthsBefore: 7 },
      ],
      1,
      '',
      'contradiction',
    ],
    [
      day,
      [
        { is: 'at_least', monthsBefore: 6 },
        { is: 'at_most', value: '2026-05-21' },
      ],
      1,
      '',
      'contradiction',
    ],
    [
      amount,
      [
        { is: 'at_least', value: '10.00' },
        { is: 'at_most', value: '9.00' },
      ],
      1,
      '',
      'contradiction',
    ],
    [amount, [{ is: 'at_least', value: 10 }], 0, '/value', 'not_of_the_field'],
    [
      { type: 'number', minimum: 0, multipleOf: 5 },
      [
        { is: 'at_least', value: 3 },
        { is: 'at_most', value: 4 },
      ],
      1,
      '',
      'contradiction',
    ],
  ];
  for (const [schema, conditions, index, pointer, rule] of bad) {
    t.strictSame(judge(schema, conditions), { index, pointer, rule }, JSON.stringify(conditions));
  }
});

await t.test('exactly the conditions that some value meets on some day pass, whatever they are', async () => {
  const numbers = fc.array(
    fc.oneof(
      fc.record({ is: fc.constantFrom('equal', 'at_least', 'at_most'), value: fc.integer({ min: -2, max: 14 }) }),
      fc.record({
        is: fc.constant('one_of'),
        value: fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 3 }),
      }),
    ),
    { minLength: 1, maxLength: 4 },
  ) as fc.Arbitrary<Omit<MatterCondition, 'field'>[]>;
  const range = fc.tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 6, max: 12 }));
  fc.assert(
    fc.property(range, numbers, ([minimum, maximum], conditions) => {
      const within = (value: number) => value >= minimum && value <= maximum;
      const fits = (condition: Omit<MatterCondition, 'field'>, value: number): boolean => {
        const bound = condition.value as number;
        if (condition.is === 'one_of') return (condition.value as number[]).includes(value);
        if (condition.is === 'equal') return value === bound;
        return condition.is === 'at_least' ? value >= bound : value <= bound;
      };
      const listed = conditions.filter(({ is }) => is === 'equal' || is === 'one_of');
      const isTyped = listed.every(({ value }) => [value].flat().every((each) => within(each as number)));
      const possible = Array.from({ length: 13 }, (_, value) => value).some(
        (value) => within(value) && conditions.every((condition) => fits(condition, value)),
      );
      const found = judge({ type: 'integer', minimum, maximum }, conditions) === undefined;
      return found === (isTyped && possible);
    }),
    { ...options, numRuns: 500 },
  );
  const monthText = (count: number): string =>
    `${String(Math.floor(count / 12)).padStart(4, '0')}-${String((count % 12) + 1).padStart(2, '0')}`;
  const now = 2026 * 12 + 10;
  const fixed = fc.integer({ min: now - 30, max: now + 30 });
  const months = fc.array(
    fc.oneof(
      fc.record({ is: fc.constantFrom('equal', 'at_least', 'at_most'), at: fixed }),
      fc.record({ is: fc.constantFrom('equal', 'at_least', 'at_most'), before: fc.integer({ min: 0, max: 24 }) }),
    ),
    { minLength: 1, maxLength: 4 },
  ) as fc.Arbitrary<{ is: 'equal' | 'at_least' | 'at_most'; at?: number; before?: number }[]>;
  fc.assert(
    fc.property(months, (conditions) => {
      const month = { type: 'string', pattern: '^[0-9]{4}-(?:0[1-9]|1[0-2])$', maxLength: 7 };
      const possible = Array.from({ length: 70 }, (_, later) => now + later).some((day) =>
        Array.from({ length: 150 }, (_, i) => now - 70 + i).some((value) =>
          conditions.every(({ is, at, before }) => {
            const bound = at ?? day - (before ?? 0);
            if (is === 'equal') return value === bound;
            return is === 'at_least' ? value >= bound : value <= bound;
          }),
        ),
      );
      const given = conditions.map(({ is, at, before }) =>
        at === undefined ? { is, monthsBefore: before ?? 0 } : { is, value: monthText(at) },
      );
      return (judge(month, given) === undefined) === possible;
    }),
    options,
  );
});

const types = starterTypes(exampleDepartments);
const catalogue = catalogueOf(types.map((type) => catalogued({ ...type, version: 1, createdAt: new Date(0) })));
const departments = new Set<string>(Object.values(exampleMatterDepartments));
const basis: MatterBasis = {
  findType: (code) => catalogue.newest(code)?.type,
  typesNamed: typesNamedIn(catalogue.types),
  at: new Date(`${today}T12:00:00Z`),
  isDepartment: (code) => departments.has(code),
  today,
};
const faultOf = (definition: MatterDefinition): unknown => {
  try {
    checkMatterDefinition(definition, basis);
    return undefined;
  } catch (error) {
    const { code, detail } = error as { code: string; detail: Record<string, unknown> };
    return [code, detail['pointer'], ...(detail['rule'] === undefined ? [] : [detail['rule']])];
  }
};
const matters = starterMatters(exampleMatterDepartments);

await t.test('the four starter matters are sound, and none stands in the way of another', async (t) => {
  t.strictSame(
    matters.map(({ matterCode, name }) => `${matterCode} ${name.zh}`),
    [
      'school-enrolment 义务教育入学',
      'affordable-housing 保障性住房申请',
      'household-registration 户口迁入(夫妻投靠)',
      'exit-entry 出入境证件办理',
    ],
  );
  for (const matter of matters) t.equal(faultOf(matter), undefined, matter.matterCode);
  t.equal(unobtainable(matters).size, 0);
  const all = matters.flatMap(({ requirements }) => requirements);
  t.ok(all.some(({ laterDays }) => laterDays !== undefined));
  t.ok(all.some(({ declaration }) => declaration !== undefined));
  t.ok(all.every(({ legalGround }) => legalGround.zh.length > 5));
});

await t.test('the starter matters: nobody is their own child or spouse, and a child is of school age', (t) => {
  const twice = matters.flatMap((definition) => {
    const equal = equalParties(definition, new Map(definition.parties.map(({ code }) => [code, person])));
    return equal === undefined ? [] : [[definition.matterCode, ...equal.map(({ code }) => code)]];
  });
  t.strictSame(twice, [
    ['school-enrolment', 'guardian', 'child'],
    ['household-registration', 'applicant', 'host'],
  ]);
  const lists = matters[0]?.requirements.find(({ code }) => code === 'age')?.alternatives ?? [];
  t.equal(lists.length, 2);
  const ages = {
    '2020-11-23': false,
    '2020-11-22': true,
    '2010-11-22': true,
    '2010-11-21': false,
    '1990-01-01': false,
  };
  for (const { conditions = [] } of lists.flat()) {
    for (const [birthDate, isOfAge] of Object.entries(ages)) {
      t.equal(firstUnmet(conditions, { birthDate }, asked) === undefined, isOfAge, birthDate);
    }
  }
  t.end();
});

await t.test('parties that have to be distinct are, whichever of them says so, and no others', (t) => {
  const codes = ['a', 'b', 'c', 'd'] as const;
  const code = fc.constantFrom(...codes);
  const sketch = fc.record({
    pairs: fc.array(fc.tuple(code, code), { maxLength: 4 }),
    who: fc.tuple(...codes.map(() => fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }))),
  });
  let found = 0;
  fc.assert(
    fc.property(sketch, ({ pairs, who }) => {
      const parties = codes.map((each): MatterParty => {
        const distinctFrom = pairs.filter(([from, to]) => from === each && to !== each).map(([, to]) => to);
        return { code: each, name: bilingual(each), kind: 'person', ...(distinctFrom.length > 0 && { distinctFrom }) };
      });
      const known = codes.flatMap((each, i) => {
        const number = who[i];
        return number === undefined ? [] : [[each, { type: '111', number: String(number) }] as const];
      });
      const holders = new Map<string, { type: string; number: string }>(known);
      const clashes = pairs.filter(
        ([from, to]) => from !== to && holders.get(from)?.number === holders.get(to)?.number,
      );
      const real = clashes.filter(([from]) => holders.has(from)).map((pair) => pair.toSorted().join());
      const equal = equalParties({ parties }, holders)?.map((party) => party.code);
      if (equal !== undefined) found += 1;
      return equal === undefined ? real.length === 0 : real.includes(equal.join());
    }),
    options,
  );
  t.ok(found > 30, String(found));
  t.end();
});

await t.test('definitions that can never be met are refused with their place', async (t) => {
  const [school] = matters;
  const [requirement] = school?.requirements ?? [];
  if (school === undefined || requirement === undefined) throw new Error('no starter matters');
  const code = (text: string) => text as CertificateTypeCode;
  const idCard = code(`${exampleDepartments.publicSecurity}001`);
  const licence = code(`${exampleDepartments.marketRegulation}001`);
  const withMaterial = (material: object): MatterDefinition => ({
    ...school,
    requirements: [{ ...requirement, alternatives: [[{ certificateTypeCode: idCard, ...material }]] }],
  });
  const { alternatives: _none, ...bare } = requirement;
  const at = '/requirements/0/alternatives/0/0';
  const paper = { issuedBy: bilingual('x'), howToObtain: bilingual('x') };
  const onPaper = (zh: string): MatterDefinition => ({
    ...school,
    requirements: [{ ...bare, name: { zh, en: 'x' }, paper }],
  });
  const cases: [definition: MatterDefinition, ...fault: unknown[]][] = [
    [{ ...school, departmentCode: '11999900100000075E' as never }, 'invalid_uscc', '/departmentCode'],
    [{ ...school, departmentCode: '11999900100000104Q' as never }, 'department_unknown', '/departmentCode'],
    [
      { ...school, parties: [...school.parties, ...school.parties.slice(0, 1)] },
      'matter_invalid',
      '/parties/2/code',
      'code_repeated',
    ],
    ...(
      [
        [['guardian', 'nobody'], '/parties/1/distinctFrom/1', 'party_unknown'],
        [['child'], '/parties/1/distinctFrom/0', 'party_itself'],
        [['firm'], '/parties/1/distinctFrom/0', 'party_kind'],
      ] as const
    ).map(([distinctFrom, ...fault]): [MatterDefinition, ...unknown[]] => {
      const [guardian, child] = school.parties;
      const firm = { code: 'firm', name: bilingual('firm'), kind: 'organisation' } as const;
      if (guardian === undefined || child === undefined) throw new Error('no parties');
      return [{ ...school, parties: [guardian, { ...child, distinctFrom }, firm] }, 'matter_invalid', ...fault];
    }),
    [
      { ...school, requirements: [requirement, requirement] },
      'matter_invalid',
      '/requirements/1/code',
      'code_repeated',
    ],
    [{ ...school, requirements: [bare] }, 'matter_invalid', '/requirements/0', 'alternatives_or_paper'],
    [
      { ...school, requirements: [{ ...requirement, paper }] },
      'matter_invalid',
      '/requirements/0',
      'alternatives_or_paper',
    ],
    [
      withMaterial({ certificateTypeCode: '11999900100000016B001' }),
      'invalid_certificate_type_code',
      `${at}/certificateTypeCode`,
    ],
    [
      withMaterial({ certificateTypeCode: `${exampleDepartments.publicSecurity}999` }),
      'matter_invalid',
      `${at}/certificateTypeCode`,
      'type_unknown',
    ],
    [withMaterial({ of: 'nobody' }), 'matter_invalid', `${at}/of`, 'party_unknown'],
    [withMaterial({ certificateTypeCode: licence }), 'matter_invalid', at, 'holder_kind'],
    [withMaterial({ fields: ['name', 'companyName'] }), 'matter_invalid', `${at}/fields/1`, 'field_unknown'],
    [withMaterial({ issuedBy: ['11999900100000016B'] }), 'invalid_uscc', `${at}/issuedBy/0`],
    [withMaterial({ issuedBy: ['11999900100000104Q'] }), 'department_unknown', `${at}/issuedBy/0`],
    [
      withMaterial({ issuedBy: [exampleDepartments.publicSecurity, exampleDepartments.taxation] }),
      'matter_invalid',
      `${at}/issuedBy/1`,
      'issuer_not_allowed',
    ],
    [
      withMaterial({ conditions: [{ field: 'companyName', is: 'equal', value: 'x' }] }),
      'matter_invalid',
      `${at}/conditions/0/field`,
      'field_unknown',
    ],
    [
      withMaterial({ conditions: [{ field: 'sex', is: 'equal', value: '无' }] }),
      'matter_invalid',
      `${at}/conditions/0/value`,
      'not_of_the_field',
    ],
    [
      {
        ...school,
        departmentCode: exampleDepartments.publicSecurity as never,
        produces: [idCard, code(`${exampleDepartments.taxation}999`)],
      },
      'matter_invalid',
      '/produces/1',
      'type_unknown',
    ],
    [{ ...school, produces: [idCard] }, 'matter_invalid', '/produces/0', 'not_an_issuer'],
    [onPaper('居民身份证复印件'), 'matter_invalid', '/requirements/0/paper', 'certificate_exists'],
  ];
  for (const [definition, ...fault] of cases) t.strictSame(faultOf(definition), fault, JSON.stringify(fault));
});

await t.test('paper for what the catalogue has: whatever form is asked for, and nothing but that', async (t) => {
  const idCard = types.find(({ name }) => name.zh === '居民身份证');
  const named = (zh: string, en = 'something else') => basis.typesNamed({ zh, en }).map(({ name }) => name.zh);
  for (const zh of [
    '居民身份证',
    '居民身份证复印件',
    '居民身份证(正反面复印件)',
    ' 居民 身份证件 原件及复印件各1份',
    '居民身份证原件、扫描件',
    '居民身份证副本',
  ]) {
    t.strictSame(named(zh), ['居民身份证'], zh);
  }
  t.strictSame(named('营业执照正本或副本'), ['营业执照']);
  t.strictSame(named('居民户口簿首页和本人页复印件二份'), ['居民户口簿']);
  for (const en of [
    'Resident ID card',
    'Copy of the resident ID card',
    'Original and copy of your resident ID card',
    'Certified photocopy of resident ID-card',
    'resident ID card (copy)',
  ]) {
    t.strictSame(named('某某', en), ['居民身份证'], en);
  }
  t.strictSame(named('居住证复印件'), ['居住证']);
  for (const zh of ['居住证明', '居住证明复印件', '复印件', '原件及复印件', '户口迁移证', '居民身份证办理回执']) {
    t.strictSame(named(zh), [], `${zh} is another thing`);
  }
  t.strictSame(named('某某', 'Copy'), []);
  const retired = typesNamedIn([{ ...(idCard as (typeof types)[number]), note: { state: 'retired' as const } }]);
  t.strictSame(retired({ zh: '居民身份证', en: '' }), [], 'what is retired supplies nothing');
});

/** A matter that demands, one requirement each, lists of types, and issues others at its end. */
const matter = (
  matterCode: string,
  requires: readonly (readonly string[])[],
  produces: readonly string[],
  rest: Partial<MatterRequirement> = {},
): MatterDefinition => ({
  matterCode,
  name: bilingual(matterCode),
  departmentCode: exampleDepartments.taxation as never,
  parties: [{ code: 'applicant', name: bilingual('a'), kind: 'person' }],
  requirements: requires.map((wanted, index) => ({
    code: `r${index}`,
    name: bilingual('r'),
    legalGround: bilingual('law'),
    alternatives: wanted.map((list) =>
      list.split('+').map((type) => ({ certificateTypeCode: type as CertificateTypeCode })),
    ),
    ...rest,
  })),
  produces: produces as CertificateTypeCode[],
});

/** One person does whatever matter is open to them, with what nobody issues in hand, until nothing new comes. */
function isOpenToSomebody(all: readonly MatterDefinition[]): boolean {
  const issued = new Set<string>(all.flatMap(({ produces = [] }) => produces));
  const had = new Set<string>(['A', 'B', 'C', 'D', 'E'].filter((type) => !issued.has(type)));
  const isOpen = ({ alternatives = [] }: MatterRequirement): boolean =>
    alternatives.some((wanted) => wanted.every(({ certificateTypeCode }) => had.has(certificateTypeCode)));
  for (let round = 0; round < all.length; round++) {
    const done = all.filter(({ requirements }) => requirements.every(isOpen));
    for (const type of done.flatMap(({ produces = [] }) => produces)) had.add(type);
  }
  return all.every(({ requirements }) => requirements.every(isOpen));
}

await t.test('circular proofs', async (t) => {
  const found = (registered: MatterDefinition[], definition: MatterDefinition) => {
    const circular = findCircular(registered, definition);
    return circular && [circular.matterCode, circular.requirement, ...circular.certificateTypeCodes];
  };
  t.strictSame(found([], matter('a', [['T']], ['T'])), ['a', 0, 'T'], 'its own product');
  t.equal(found([], matter('a', [['T', 'U']], ['T'])), undefined, 'another alternative is left');
  t.equal(found([], matter('a', [['T']], ['T'], { declaration: bilingual('d') })), undefined, 'a declaration will do');
  t.strictSame(found([], matter('a', [['T']], ['T'], { laterDays: 9 })), ['a', 0, 'T'], 'later is still demanded');
  const a = matter('a', [['T']], ['U']);
  t.equal(found([], a), undefined, 'T is had elsewhere as long as no matter issues it');
  t.strictSame(found([a], matter('b', [['V'], ['U']], ['T'])), ['b', 1, 'U'], 'two that wait for each other');
  t.equal(found([a, matter('c', [['V']], ['U'])], matter('b', [['U']], ['T'])), undefined, 'U comes from c too');
  const chain = [a, matter('b', [['U']], ['V'])];
  t.strictSame(found(chain, matter('c', [['V+X']], ['T'])), ['c', 0, 'V'], 'three in a circle');
  const named = (registered: MatterDefinition[], definition: MatterDefinition) =>
    findCircular(registered, definition)?.matterCodes;
  t.strictSame(named([...chain, matter('z', [['V']], ['Z'])], matter('c', [['V+X']], ['T'])), ['a', 'b', 'c']);
  t.strictSame(named([], matter('a', [['T']], ['T'])), ['a']);
  const long = Array.from({ length: 30 }, (_, i) => matter(`n${i + 10}`, [[`T${i}`]], [`T${i + 1}`]));
  t.equal(named(long, matter('end', [['T30']], ['T0']))?.length, 20, 'the nearest of a long circle');
  t.equal(found(chain, matter('c', [['V'], ['X', 'V']], [])), undefined, 'who issues nothing closes no circle');
  // A way out is taken away: the new version of c no longer issues U, and a and b are stuck.
  const open = [a, matter('b', [['U']], ['T']), matter('c', [['V']], ['U'])];
  t.strictSame(found(open, matter('c', [['V']], [])), ['a', 0, 'T'], 'the circle of others');
  t.equal(found(open, matter('c', [['W']], ['U'])), undefined);
  t.equal(found([matter('a', [['T']], ['T'])], matter('z', [['V']], [])), undefined, 'what was stuck before stays so');

  const typeCode = fc.constantFrom('A', 'B', 'C', 'D', 'E');
  const list = fc.uniqueArray(typeCode, { minLength: 1, maxLength: 2 }).map((codes) => codes.join('+'));
  const definition = fc
    .tuple(
      fc.constantFrom('m1', 'm2', 'm3', 'm4', 'm5'),
      fc.array(fc.array(list, { minLength: 1, maxLength: 2 }), { minLength: 1, maxLength: 2 }),
      fc.uniqueArray(typeCode, { maxLength: 2 }),
    )
    .map(([code, requires, produces]) => matter(code, requires, produces));
  let refused = 0;
  fc.assert(
    fc.property(fc.array(definition, { maxLength: 12 }), (definitions) => {
      const registered = new Map<string, MatterDefinition>();
      for (const next of definitions) {
        const circular = findCircular([...registered.values()], next);
        if (circular === undefined) registered.set(next.matterCode, next);
        else refused += 1;
        if (!isOpenToSomebody([...registered.values()])) return false;
      }
      return true;
    }),
    { ...options, numRuns: 2_000 },
  );
  t.ok(refused > 500, `${refused} refused`);
});
