import fc from 'fast-check';
import t from 'tap';
import type { Matter, MatterMaterial, MatterRequirement } from '../../src/catalogue/matter.ts';
import type { CertificateTypeCode, DepartmentCode } from '../../src/ids.ts';
import { findOut } from '../../src/lookup/find-out.ts';
import type { FoundCertificate } from '../../src/lookup/found-certificate.ts';
import {
  type Finding,
  isComplete,
  judgeMaterial,
  type MaterialFinding,
  type OpenReason,
  type ReasonCode,
} from '../../src/lookup/matter-finding.ts';
import { noticeOf } from '../../src/lookup/matter-notice.ts';
import { reasonWords } from '../../src/lookup/matter-words.ts';

const options = { seed: 20_261_122, numRuns: 2_000 };
const bilingual = (text: string) => ({ zh: `${text}（中）`, en: text });
const requirementWith = (rest: Partial<MatterRequirement> = {}): MatterRequirement => ({
  code: 'proof',
  name: bilingual('proof'),
  legalGround: bilingual('ground'),
  ...rest,
});

/** What the world is like for one material; lists name materials by their place in it. */
type World = readonly ('met' | 'no_permission' | 'no_quota' | 'pushed' | 'absent')[];

/** The rule as the contract says it, over whole worlds, knowing nothing of how the hub asks. */
function expected(world: World, lists: readonly (readonly number[])[], { laterDays, declaration }: MatterRequirement) {
  const has = (list: readonly number[], ...states: World[number][]): boolean =>
    list.some((i) => states.includes(world[i] ?? 'absent'));
  const first = lists.findIndex((list) => list.every((i) => world[i] === 'met'));
  if (first >= 0) return { outcome: 'satisfied', alternative: first };
  const hopeful = lists.filter((list) => !has(list, 'absent'));
  if (hopeful.some((list) => has(list, 'no_permission', 'no_quota'))) return { outcome: 'permission_needed' };
  if (hopeful.length > 0) return { outcome: 'pending' };
  if (declaration !== undefined) return { outcome: 'declaration' };
  return laterDays === undefined ? { outcome: 'to_supply' } : { outcome: 'later' };
}

function gatherIn(world: World) {
  const looked: number[] = [];
  const settled: number[] = [];
  const look = (i: number): MaterialFinding => {
    const code: ReasonCode = world[i] === 'met' ? 'in_force' : world[i] === 'no_quota' ? 'quota_used_up' : 'not_found';
    return { reason: { code, certificateTypeCode: String(i) }, recordId: `record-${i}` };
  };
  return {
    looked,
    settled,
    lacking: (i: number) => (world[i] === 'no_permission' ? ({ code: 'permission_missing' } as const) : undefined),
    look: (i: number) => {
      looked.push(i);
      return Promise.resolve(look(i));
    },
    settle: (i: number) => {
      settled.push(i);
      const found = look(i);
      return Promise.resolve(world[i] === 'pushed' ? { ...found, reason: { code: 'not_yet_sealed' as const } } : found);
    },
  };
}

const worlds = fc.record({
  world: fc.array(fc.constantFrom('met', 'met', 'no_permission', 'no_quota', 'pushed', 'absent'), {
    minLength: 5,
    maxLength: 5,
  }) as fc.Arbitrary<World>,
  lists: fc.array(fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 4 }), {
    minLength: 1,
    maxLength: 4,
  }),
  laterDays: fc.option(fc.integer({ min: 1, max: 365 }), { nil: undefined }),
  isDeclarable: fc.boolean(),
});

/** Whether a finding tells what the office has to see to, and what the matter would allow instead, exactly when there is something. */
function isWhatIsOpen({ outcome, atOffice, insteadAllowed }: Finding, requirement: MatterRequirement): boolean {
  const { laterDays, declaration } = requirement;
  const isAtOffice = outcome === 'permission_needed' || outcome === 'pending';
  const isAllowed = laterDays !== undefined || declaration !== undefined;
  if (atOffice.length > 0 !== isAtOffice || (insteadAllowed !== undefined) !== (isAtOffice && isAllowed)) return false;
  if (atOffice.some(({ code }: { code: ReasonCode }) => code === 'not_found' || code === 'in_force')) return false;
  if (insteadAllowed === undefined) return true;
  const { until } = insteadAllowed;
  return insteadAllowed.declaration === declaration && (until === undefined) === (laterDays === undefined);
}

await t.test('alternatives: the outcome is what an independent reading of the contract says', async (t) => {
  const seen = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(worlds, async ({ world, lists, laterDays, isDeclarable }) => {
      const requirement = requirementWith({
        ...(laterDays !== undefined && { laterDays }),
        ...(isDeclarable && { declaration: bilingual('declared') }),
      });
      const finding = await findOut(gatherIn(world), { requirement, lists, date: '2026-11-22' });
      const wanted = expected(world, lists, requirement);
      seen.set(wanted.outcome, (seen.get(wanted.outcome) ?? 0) + 1);
      return (
        finding.outcome === wanted.outcome &&
        finding.alternative === wanted.alternative &&
        isWhatIsOpen(finding, requirement)
      );
    }),
    options,
  );
  t.ok(
    ['satisfied', 'permission_needed', 'pending', 'declaration', 'later', 'to_supply'].every(
      (outcome) => (seen.get(outcome) ?? 0) > 20,
    ),
    JSON.stringify([...seen]),
  );
});

await t.test('minimum disclosure: nothing is asked that can change nothing', async (t) => {
  await fc.assert(
    fc.asyncProperty(worlds, async ({ world, lists }) => {
      const gather = gatherIn(world);
      const finding = await findOut(gather, { requirement: requirementWith(), lists, date: '2026-11-22' });
      const asked = [...gather.looked, ...gather.settled];
      if (asked.some((i) => world[i] === 'no_permission')) return false;
      if (finding.alternative === undefined) {
        // Who is told that something is missing is told all of it.
        return lists.flat().every((i) => world[i] === 'no_permission' || gather.settled.includes(i));
      }
      const useful = lists.slice(0, finding.alternative + 1).flatMap((list) => {
        if (list.some((i) => world[i] === 'no_permission')) return [];
        const end = list.findIndex((i) => world[i] !== 'met');
        return end < 0 ? list : list.slice(0, end + 1);
      });
      return gather.settled.length === 0 && asked.every((i) => useful.includes(i));
    }),
    options,
  );
  t.pass();
});

const day = (text: string): number => Date.parse(`${text}T00:00:00+08:00`) / 1_000;
const certificate = (overrides: Partial<FoundCertificate> & { nbf?: string; exp?: string } = {}): FoundCertificate => {
  const { nbf = '2020-01-01', exp, ...rest } = overrides;
  const payload = { nbf: day(nbf), ...(exp !== undefined && { exp: day(exp) }) };
  return {
    certificateIdentifier: 'c-1',
    certificateTypeCode: 'type',
    certificateTypeName: bilingual('type'),
    issuingAuthorityCode: 'issuer-a',
    status: 'valid',
    level: 'fields',
    grantId: 'grant',
    fields: { months: 20 },
    sdJwt: `header.${Buffer.from(JSON.stringify(payload)).toString('base64url')}.signature~`,
    ...rest,
  };
};
const judged = (
  certificates: readonly FoundCertificate[],
  material: Partial<MatterMaterial> = {},
  on = '2026-11-22',
): string =>
  judgeMaterial(
    { certificateTypeCode: 'type' as CertificateTypeCode, ...material },
    { party: 'applicant', certificates, asked: { day: on, dayStart: day(on), parties: new Map() } },
  ).code;

await t.test(
  'a certificate serves when it is in force on the day, of the right issuer and meets every condition',
  async (t) => {
    const atLeast = (value: number) => ({ conditions: [{ field: 'months', is: 'at_least', value } as const] });
    t.equal(judged([]), 'not_found');
    t.equal(judged([certificate()]), 'in_force');
    t.equal(judged([certificate({ exp: '2026-11-23' })]), 'in_force', 'its last day');
    t.equal(judged([certificate({ exp: '2026-11-22' })]), 'not_in_force', 'the day after its last');
    t.equal(judged([certificate({ nbf: '2026-11-22' })]), 'in_force', 'its first day');
    t.equal(judged([certificate({ nbf: '2026-11-23' })]), 'not_in_force');
    for (const status of ['suspended', 'revoked', 'superseded'] as const) {
      t.equal(judged([certificate({ status })]), 'not_in_force', status);
      t.equal(judged([certificate({ status })], {}, '2025-01-01'), 'not_in_force', `${status}, on any day`);
    }
    const old = certificate({ status: 'expired', exp: '2026-01-01' });
    t.equal(judged([old]), 'not_in_force');
    t.equal(judged([old], {}, '2025-12-31'), 'in_force', 'on a day on which it was');
    t.equal(judged([old], { fields: ['months'] }, '2025-12-31'), 'not_in_force', 'what has to be read cannot be read');
    t.equal(judged([certificate()], atLeast(20)), 'in_force');
    t.equal(judged([certificate()], atLeast(21)), 'condition_not_met');
    t.equal(judged([certificate({ fields: {} })], atLeast(1)), 'condition_not_met', 'an absent field meets nothing');
    const issuedBy = ['issuer-b' as DepartmentCode];
    t.equal(judged([certificate()], { issuedBy }), 'other_issuer');
    t.equal(
      judged([certificate()], { issuedBy: [...issuedBy, 'issuer-a' as DepartmentCode] }),
      'in_force',
      'any of them',
    );
    t.equal(judged([certificate({ issuingAuthorityCode: 'issuer-b' }), certificate()], { issuedBy }), 'in_force');
    t.equal(
      judged([old, certificate({ fields: { months: 1 } })], atLeast(2)),
      'condition_not_met',
      'the nearest is told',
    );
  },
);

await t.test('complete means that the application can be accepted', async (t) => {
  const finding = (outcome: 'satisfied' | 'later' | 'declaration' | 'pending' | 'permission_needed' | 'to_supply') => ({
    requirement: requirementWith(),
    outcome,
    reasons: [],
    recordIds: [],
    missing: [],
    atOffice: [],
  });
  t.ok(isComplete([finding('satisfied'), finding('later'), finding('declaration')]));
  for (const open of ['pending', 'permission_needed', 'to_supply'] as const) {
    t.notOk(isComplete([finding('satisfied'), finding(open)]), open);
  }
});

const matter: Matter = {
  matterCode: 'm',
  name: bilingual('matter'),
  departmentCode: 'dept' as DepartmentCode,
  parties: [{ code: 'applicant', name: bilingual('Applicant'), kind: 'person' }],
  requirements: [],
  version: 1,
  createdAt: new Date(0),
};
const names = {
  department: (code: string) => bilingual(`department ${code}`),
  type: (code: string) => bilingual(`type ${code}`),
  field: (_: string, name: string) => bilingual(`field ${name}`),
};

await t.test('words: every reason has them in both languages, within the bounds of the contract', async (t) => {
  const about = { party: 'applicant', certificateTypeCode: 'T1' };
  const long = 'x'.repeat(500);
  const conditions = [
    { field: 'f', is: 'equal', value: long },
    { field: 'f', is: 'one_of', value: Array.from({ length: 100 }, (_, i) => `${long}${i}`) },
    { field: 'f', is: 'at_least', value: 12 },
    { field: 'f', is: 'at_least', value: '2020-01-01' },
    { field: 'f', is: 'at_most', monthsBefore: 72 },
    { field: 'f', is: 'equal', monthsBefore: 0 },
    { field: 'f', is: 'equal', value: false },
    { field: 'f', is: 'same_as_party', party: 'applicant' },
  ] as const;
  const reasons = [
    ...(
      [
        'in_force',
        'not_found',
        'not_in_force',
        'not_yet_sealed',
        'ticket_needed',
        'quota_used_up',
        'paper_only',
      ] as const
    ).map((code) => ({ code, ...about })),
    { code: 'other_issuer' as const, ...about, issuedBy: Array.from({ length: 50 }, (_, i) => `D${i}`) },
    ...(['grant_required', 'grant_expired', 'grant_suspended', 'grant_revoked'] as const).map((refusal) => ({
      code: 'permission_missing' as const,
      ...about,
      refusal,
    })),
    ...conditions.map((condition) => ({ code: 'condition_not_met' as const, ...about, condition })),
  ];
  const texts = reasons.map((reason) => reasonWords(reason, { matter, names }));
  t.equal(new Set(texts.map(({ zh }) => zh)).size, reasons.length, 'each says something of its own');
  t.equal(new Set(texts.map(({ en }) => en)).size, reasons.length, 'in English too');
  for (const { zh, en } of texts) t.ok(zh.length <= 1_000 && en.length <= 1_000 && !/undefined/.test(zh + en), en);
});

await t.test('notice: nothing for what is not the person’s affair, one line of a case number', async (t) => {
  const open = { requirement: requirementWith(), reasons: [], recordIds: [], missing: [], atOffice: [] };
  const input = {
    matter,
    names,
    issuedBy: 'dept',
    caseNumber: 'CASE\n出具部门：别人',
    recordId: 'r-1',
    today: '2026-11-22',
  };
  t.equal(
    noticeOf({
      ...input,
      findings: [
        { ...open, outcome: 'satisfied' },
        { ...open, outcome: 'pending' },
        { ...open, outcome: 'permission_needed' },
      ],
    }),
    undefined,
  );
  const notice = noticeOf({
    ...input,
    findings: [
      { ...open, outcome: 'pending', atOffice: [{ code: 'not_yet_sealed', certificateTypeCode: 'T1' }] },
      {
        ...open,
        requirement: requirementWith({
          name: bilingual('x\n出具部门：别人'),
          legalGround: bilingual('x\r\n出具部门：别人'),
        }),
        outcome: 'to_supply',
        missing: [[{ code: 'not_found', certificateTypeCode: 'T1', party: 'applicant' }]],
      },
    ],
  });
  t.equal(notice?.items.length, 1);
  t.equal(notice?.openAtOffice.length, 1);
  t.match(notice?.number, /r-1/);
  t.equal(notice?.text.zh.split('\n').filter((line) => line.startsWith('出具部门')).length, 1, 'nobody else signs');
  t.strictSame(notice?.issuedBy, { departmentCode: 'dept', name: bilingual('department dept') });
  t.equal(notice?.competentDepartment, undefined);
  t.notMatch(notice?.text.zh, /事项主管部门/);
  const hall = noticeOf({ ...input, issuedBy: 'hall', findings: [{ ...open, outcome: 'to_supply' }] });
  t.strictSame([hall?.issuedBy.departmentCode, hall?.competentDepartment?.departmentCode], ['hall', 'dept']);
  t.match(hall?.text, {
    zh: /\n出具部门：department hall（中）\n事项主管部门：department dept（中）\n/,
    en: /\nIssued by: department hall\nCompetent for the matter: department dept\n/,
  });
});

await t.test(
  'notice: all that is not satisfied stands in it once, and acceptance is promised only when nothing is open',
  (t) => {
    const outcomes = ['satisfied', 'permission_needed', 'pending', 'later', 'declaration', 'to_supply'] as const;
    const about = { party: 'applicant', certificateTypeCode: 'T1' } as const;
    const findingOf = (outcome: (typeof outcomes)[number], i: number): Finding => ({
      requirement: requirementWith({ code: `r${i}`, name: bilingual(`name ${i}`) }),
      outcome,
      reasons: [],
      recordIds: [],
      missing: ['later', 'declaration', 'to_supply'].includes(outcome) ? [[{ code: 'not_found', ...about }]] : [],
      atOffice:
        outcome === 'pending'
          ? [{ code: 'not_yet_sealed', ...about }]
          : outcome === 'permission_needed'
            ? [{ code: 'permission_missing', ...about }]
            : [],
      ...(outcome === 'later' && { until: '2026-12-05' }),
    });
    /** What stands in a notice that is final, or (false) in one that is not, and never in the other. */
    const phrases: [language: 'zh' | 'en', phrase: RegExp, isFinal: boolean][] = [
      ['zh', /全部内容一次性告知/u, true],
      ['en', /names all of it at once/, true],
      ['zh', /^补正期限：.*即予受理。$/mu, true],
      ['en', /^Time for supply: .*is accepted as soon as/m, true],
      ['zh', /由本机关核验、目前无须您提交的材料/u, false],
      ['en', /Verified by this office/, false],
      ['zh', /^受理：第[二三四]项所列材料尚在核验/mu, false],
      ['en', /^Acceptance: what part [2-4] names is still being verified/m, false],
    ];
    const seen = { none: 0, final: 0, open: 0 };
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...outcomes), { minLength: 1, maxLength: 7 }), (drawn) => {
        const findings = drawn.map(findingOf);
        const input = {
          matter,
          names,
          issuedBy: 'dept',
          caseNumber: 'C',
          recordId: 'r',
          today: '2026-11-22',
          findings,
        };
        const notice = noticeOf(input);
        const isPersonal = drawn.some((outcome) => ['later', 'declaration', 'to_supply'].includes(outcome));
        if (notice === undefined) {
          seen.none += 1;
          return !isPersonal;
        }
        const named = [...notice.items, ...notice.openAtOffice].map(({ requirement }) => requirement).toSorted();
        const all = drawn.flatMap((outcome, i) => (outcome === 'satisfied' ? [] : [`r${i}`]));
        const isFinal = notice.openAtOffice.length === 0;
        seen[isFinal ? 'final' : 'open'] += 1;
        const isNamed = all.every((code) => {
          const { zh, en } = notice.text;
          return [zh, en].every((text) => text.includes(`name ${code.slice(1)}`));
        });
        const isOfItsKind = phrases.every(
          ([language, phrase, of]) => phrase.test(notice.text[language]) === (of === isFinal),
        );
        return isPersonal && named.join() === all.join() && isNamed && isOfItsKind;
      }),
      options,
    );
    t.ok(
      Object.values(seen).every((count) => count > 20),
      JSON.stringify(seen),
    );
    const one = (code: OpenReason['code']): Finding => ({
      ...findingOf('permission_needed', 1),
      atOffice: [{ code, ...about }],
    });
    const codes = ['not_yet_sealed', 'permission_missing', 'ticket_needed', 'quota_used_up'] as const;
    const whys = codes.map((code) => {
      const findings = [findingOf('to_supply', 0), one(code)];
      const input = { matter, names, issuedBy: 'dept', caseNumber: 'C', recordId: 'r', today: '2026-11-22', findings };
      return noticeOf(input)?.openAtOffice[0]?.why;
    });
    t.match(whys[0], { zh: /Applicant（中）的《type T1（中）》：发证部门.*审核、签章/, en: /its issuer/ });
    t.match(whys[1], { zh: /尚无调用该证照的授权/, en: /no permission/ });
    t.equal(new Set(whys.map((why) => why?.zh)).size, codes.length);
    t.end();
  },
);
