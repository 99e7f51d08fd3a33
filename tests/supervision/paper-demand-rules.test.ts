import fc from 'fast-check';
import t from 'tap';
import type { Matter, MatterRequirement } from '../../src/catalogue/matter.ts';
import type { Refusal } from '../../src/errors.ts';
import type { Caller, Role } from '../../src/ids.ts';
import {
  answered,
  contested,
  isContestable,
  isDeviation,
  isOverdue,
  type Judgement,
  judgeAnswerer,
  judgementFor,
  type PaperDemand,
  type PaperDemandReason,
  type PaperDemandState,
  paperDemandNumber,
} from '../../src/supervision/paper-demand.ts';
import { judgePaperDemand } from '../../src/supervision/paper-demand-judge.ts';
import { missingParty } from '../../src/supervision/paper-demand-parties.ts';
import { isSameDemand, isSameRecord } from '../../src/supervision/paper-demand-repeated.ts';
import { personViewOf, summaryOf, wholeOf } from '../../src/supervision/paper-demand-view.ts';
import { whatIsMeant } from '../../src/supervision/paper-demand-what.ts';
import { judgementText, reasonText } from '../../src/supervision/paper-demand-words.ts';
import type { Holder } from '../../src/verification/identifiers.ts';

const options = { seed: 20_261_123, numRuns: 3_000 };
const at = new Date('2026-11-23T02:00:00Z');
const person = (n: number): Holder => ({ type: '414', number: `E${n}0000000` });
const demandIn = (rest: Partial<PaperDemand> = {}): PaperDemand => ({
  paperDemandId: '0199a000-0000-7000-8000-00000000c0de',
  departmentCode: 'office',
  clientId: 'desk',
  reportedBy: 'office',
  matterCode: 'm',
  requirement: 'proof',
  parties: { guardian: person(1), child: person(2) },
  reason: 'other',
  explanation: 'explained',
  caseNumber: 'CASE-1',
  judged: { judgement: 'could_supply', of: ['guardian'] },
  state: 'recorded',
  createdAt: at,
  history: [
    { step: 'recorded', at, departmentCode: 'office', clientId: 'desk', officer: { id: 'o-1', name: 'Clerk' } },
  ],
  ...rest,
});
const callerOf = (department: string, ...roles: Role[]): Caller =>
  ({ clientId: `${department}-${roles.join('-')}`, department, roles, keyId: 'k' }) as unknown as Caller;

const callers = {
  office: callerOf('office', 'consumer'),
  other: callerOf('other', 'consumer'),
  hub: callerOf('hub', 'admin'),
  ownAdmin: callerOf('office', 'admin'),
  auditor: callerOf('audit', 'auditor'),
  portal: callerOf('portal', 'portal'),
} as const;
type Who = keyof typeof callers;

interface Happens {
  readonly who: Who | 'party';
  readonly outcome: 'withdrawn' | 'maintained';
  /** Whether it happens after every deadline that was set before. */
  readonly isLate: boolean;
}

/** The life of a demand as the contract tells it, written as what may follow what; knows nothing of the code. */
function expectedOf(state: PaperDemandState, round: number, event: Happens, isOverdueNow: boolean) {
  const refused = (code: string) => ({ code });
  if (event.who === 'party') {
    const isIgnored = isOverdueNow && ['reported', 'contested'].includes(state);
    const open = isIgnored || ['recorded 0', 'maintained 1'].includes(`${state} ${round}`);
    return open ? { state: round === 0 ? 'contested' : 'escalated' } : refused('paper_demand_closed');
  }
  if (['other', 'auditor', 'portal'].includes(event.who)) return refused('paper_demand_unknown');
  if (`${state} ${event.who}` === 'escalated ownAdmin') return refused('decider_must_differ');
  const turns = ['escalated hub', 'reported office', 'contested office'];
  return turns.includes(`${state} ${event.who}`) ? { state: event.outcome } : refused('paper_demand_closed');
}

const wait = 1_000_000;
/** The same as the code has it. */
function after(demand: PaperDemand, event: Happens, now: Date): PaperDemand | Refusal {
  try {
    const by = { at: now, departmentCode: 'd', clientId: 'c' };
    const dueAt = new Date(now.getTime() + wait);
    if (event.who === 'party') return contested(demand, { ...by, party: 'guardian', text: 'no' }, dueAt);
    return judgeAnswerer(demand, callers[event.who]) ?? answered(demand, { ...by, step: event.outcome });
  } catch (error) {
    return error as Refusal;
  }
}

await t.test('a demand is contested at most twice, and the office has the first word, the hub the last', async (t) => {
  const event = fc.record({
    who: fc.constantFrom(...(Object.keys(callers) as Who[]), 'party', 'party', 'office', 'hub'),
    outcome: fc.constantFrom('withdrawn', 'maintained', 'maintained'),
    isLate: fc.constantFrom(false, false, true),
  }) as fc.Arbitrary<Happens>;
  const reached = new Map<string, number>();
  let ignored = 0;
  fc.assert(
    fc.property(fc.boolean(), fc.array(event, { maxLength: 14 }), (isReport, events) => {
      const begun = isReport ? 'reported' : 'recorded';
      let demand = demandIn({
        state: begun,
        dueAt: new Date(at.getTime() + wait),
        history: [{ step: begun, at, departmentCode: 'office', clientId: 'desk' }],
      });
      let round = isReport ? 1 : 0;
      let now = at;
      let late = 0;
      for (const each of events) {
        now = new Date(now.getTime() + (each.isLate ? wait : 1));
        late += Number(each.isLate);
        const wanted = expectedOf(demand.state, round, each, late > 0);
        const next = after(demand, each, now);
        const got = 'code' in next ? { code: next.code } : { state: next.state };
        if (JSON.stringify(got) !== JSON.stringify(wanted)) return false;
        if ('code' in next) continue;
        if (each.who === 'party') {
          round += 1;
          late = 0;
          ignored += Number(['reported', 'contested'].includes(demand.state));
        }
        demand = next;
        reached.set(demand.state, (reached.get(demand.state) ?? 0) + 1);
      }
      const objected = demand.history.filter(({ step }) => ['reported', 'contested', 'escalated'].includes(step));
      return objected.length === round && round <= 2;
    }),
    options,
  );
  t.ok(['contested', 'escalated', 'withdrawn', 'maintained'].every((state) => (reached.get(state) ?? 0) > 100));
  t.ok(ignored > 100, `${ignored} were contested again because the office let its deadline pass`);
  t.equal(isContestable(demandIn({ state: 'withdrawn' }), at), false, 'nothing is left to contest');
});

const judgements: readonly Judgement[] = [
  'outside_matter',
  'retained_proof',
  'could_supply',
  'could_supply_with_grant',
  'could_not_supply',
  'not_judged',
];

await t.test('non-disclosure: a party is told what rests on its own certificates alone', async (t) => {
  const codes = ['a', 'b', 'c', 'd'];
  let told = 0;
  let hidden = 0;
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 4, maxLength: 4 }),
      fc.subarray(codes),
      fc.constantFrom(...judgements),
      (who, of, judgement) => {
        const parties = Object.fromEntries(codes.map((code, i) => [code, person(who[i] ?? 0)]));
        const demand = demandIn({ parties, judged: { judgement, of } });
        const isOwn = of.every((code) => parties[code]?.number === person(1).number);
        if (isOwn) told += 1;
        else hidden += 1;
        return judgementFor(demand, person(1)) === (isOwn ? judgement : 'concerns_others');
      },
    ),
    options,
  );
  t.ok(told > 500 && hidden > 500);
});

await t.test(
  'views: the office sees no judgement, a party no words of another, nobody an officer or a number',
  async (t) => {
    const step = (party: string, text: string) =>
      ({ step: 'contested', at, departmentCode: 'p', clientId: 'portal', party, text }) as const;
    const answer = {
      at,
      departmentCode: 'office',
      clientId: 'desk',
      text: 'because',
      officer: { id: 'o-2', name: 'N' },
    };
    const demand = demandIn({
      state: 'maintained',
      history: [
        ...demandIn().history,
        step('guardian', 'words of the guardian'),
        { ...answer, step: 'maintained' },
        { ...step('child', 'words of the child'), step: 'escalated' },
        { ...answer, step: 'maintained', departmentCode: 'hub' },
      ],
    });
    const facts = { at, day: () => '2026-11-23', withJudgement: false };
    const names = { department: () => undefined, matter: () => undefined, day: facts.day, at };
    const views = [
      summaryOf(demand, facts),
      wholeOf(demand, facts),
      personViewOf(demand, person(1), names),
      personViewOf(demand, person(2), names),
    ] as const;
    for (const view of views) t.notMatch(JSON.stringify(view), /o-1|o-2|Clerk|E10000000|E20000000/);
    for (const view of views.slice(0, 2)) t.notMatch(JSON.stringify(view), /judg|supply/);
    t.match(JSON.stringify(views[1]), /words of the guardian.*words of the child/, 'who answers reads what was said');
    t.match(views[2].objections, [{ statement: 'words of the guardian' }]);
    t.match(views[3].objections, [{ statement: 'words of the child' }]);
    t.equal(views[2].objections.length + views[3].objections.length, 2);
    t.match(
      views[2].answers.map(({ by }) => by),
      ['office', 'hub'],
    );
    t.equal(views[2].contestable, false, 'that was the last word');
    t.equal(views[2].judgement.code, 'could_supply');
    t.equal(views[3].judgement.code, 'concerns_others');
  },
);

const bilingual = (text: string) => ({ zh: text, en: text });
const requirement: MatterRequirement = {
  code: 'proof',
  name: bilingual('proof'),
  legalGround: bilingual('law'),
  alternatives: [
    [{ certificateTypeCode: 'T1' as never }],
    [
      {
        certificateTypeCode: 'T2' as never,
        of: 'child',
        conditions: [{ field: 'f', is: 'same_as_party', party: 'guardian' }],
      },
    ],
  ],
};
const matter = {
  matterCode: 'm',
  departmentCode: 'owner',
  parties: ['applicant', 'guardian', 'child'].map((code) => ({ code, name: bilingual(code), kind: 'person' })),
  requirements: [requirement],
} as unknown as Matter;

await t.test('what is judged, and by what', async (t) => {
  const asked: unknown[] = [];
  const judge = async (rest: object, supply: 'permitted' | 'grant_missing' | 'none' | 'unknown' = 'none') => {
    const input = {
      matter,
      requirement,
      mayBeRequired: false,
      parties: {},
      departmentCode: 'office',
      clientIds: ['desk'],
      at,
      ...rest,
    };
    const { judgement } = await judgePaperDemand((question) => {
      asked.push(question);
      return Promise.resolve({ supply, of: [] });
    }, input);
    return judgement;
  };
  t.equal(await judge({ matter: undefined }), 'not_judged');
  t.equal(await judge({ requirement: undefined }), 'outside_matter');
  t.equal(await judge({ requirement: undefined, mayBeRequired: true }), 'not_judged', 'perhaps a requirement');
  const retained = { requirement: { ...requirement, alternatives: undefined, paper: {} } };
  t.equal(await judge(retained), 'retained_proof');
  const retired = { matter: { ...matter, note: { state: 'retired' } } };
  t.equal(await judge(retired), 'outside_matter', 'a retired matter asks for nothing');
  t.equal(await judge({ ...retired, ...retained }), 'outside_matter', 'nor for paper');
  for (const more of [{}, { requirement: undefined }, retained, retired]) {
    t.equal(await judge({ ...more, clientIds: [] }, 'grant_missing'), 'not_judged', 'an office without a part in it');
  }
  t.strictSame(asked, [], 'no certificate is looked at for what does not depend on any');
  t.equal(await judge({ clientIds: [], departmentCode: 'owner' }, 'grant_missing'), 'could_supply_with_grant');
  t.equal(await judge({}, 'permitted'), 'could_supply');
  t.equal(await judge({}, 'grant_missing'), 'could_supply_with_grant');
  t.equal(await judge({}, 'none'), 'could_not_supply');
  t.equal(await judge({}, 'unknown'), 'not_judged');
  t.strictSame(
    judgements.filter((judgement) => isDeviation({ judgement })),
    ['outside_matter', 'could_supply', 'could_supply_with_grant'],
  );
});

await t.test('what is described is the requirement of that name, perhaps one that resembles it, or none', (t) => {
  const named = (code: string, zh: string, en: string): MatterRequirement => ({
    code,
    name: { zh, en },
    legalGround: bilingual('law'),
    alternatives: [],
  });
  const requirements = [
    named('identity', '监护人身份', 'Identity of the guardian'),
    named('vaccination', '预防接种', 'Vaccination'),
    named('stay', '居住证明', 'Residence in the city'),
    named('twin-1', '同名材料', 'Same name'),
    named('twin-2', '同名 材料', 'The other one'),
  ];
  const types = [{ zh: '居民户口簿', en: 'Household register' }];
  const meant = (what: string): string => {
    const found = whatIsMeant(what, { requirements }, types);
    return found.by === 'name' ? found.requirement.code : found.by;
  };
  for (const [what, expected] of [
    ['预防接种', 'vaccination'],
    [' 监护人「身份」', 'identity'],
    ['VACCINATION.', 'vaccination'],
    ['identity of the guardian', 'identity'],
    ['居住证明材料', 'stay'],
    ['同名材料', 'likeness'],
    ['预防接种证', 'likeness'],
    ['孩子的预防接种证复印件', 'likeness'],
    ['身份证复印件', 'likeness'],
    ['a photocopy of the household register', 'likeness'],
    ['户口本', 'likeness'],
    ['无犯罪记录', 'nothing'],
    ['亲子鉴定报告', 'nothing'],
    ['copy', 'nothing'],
    ['a proof of nothing', 'nothing'],
  ] as const) {
    t.equal(meant(what), expected, what);
  }
  t.end();
});

await t.test('the person reads on what it rests that the matter does not ask for it', (t) => {
  const names = { department: () => undefined, matter: () => undefined, day: () => '2026-11-23', at };
  const outside = { judged: { judgement: 'outside_matter', of: [] }, what: 'a letter', requirement: undefined };
  const textFor = (rest: object, n = 1): string =>
    personViewOf(demandIn({ ...outside, ...rest } as object), person(n), names).judgement.text.en;
  const step = {
    step: 'reported',
    at,
    departmentCode: 'p',
    clientId: 'portal',
    party: 'guardian',
    text: 'no',
  } as const;
  t.match(textFor({ reportedBy: 'portal', history: [step] }), /^As you described it/);
  t.match(textFor({ reportedBy: 'portal', history: [step] }, 2), /^As it was described/, 'by another party');
  t.match(textFor({}), /^As it was described/);
  t.match(textFor({ requirement: 'proof' }), /retired/);
  const { reason: _none, ...silent } = demandIn({ reportedBy: 'portal' });
  t.notOk('reason' in personViewOf(silent, person(1), names), 'no sentence about a reason that nobody named');
  t.end();
});

await t.test('when two demands are one', (t) => {
  const is = (other: Partial<PaperDemand>, one: Partial<PaperDemand> = {}) => {
    const pair = [demandIn(one), demandIn(other)] as const;
    return [isSameDemand(...pair), isSameRecord(...pair)];
  };
  const { requirement: _none, ...worded } = demandIn({ what: 'A letter' });
  t.strictSame(is({}), [true, true]);
  t.strictSame(is({ state: 'withdrawn' }), [false, false], 'what was withdrawn can be demanded anew');
  for (const state of ['reported', 'maintained'] as const) t.strictSame(is({ state }), [true, true], state);
  for (const other of [{ departmentCode: 'd' }, { matterCode: 'x' }, { requirement: 'other' }]) {
    t.strictSame(is(other), [false, false], JSON.stringify(Object.keys(other)));
  }
  t.strictSame(is({ caseNumber: 'CASE-2' }), [true, false]);
  t.strictSame(is({ reportedBy: 'portal' }), [true, false]);
  t.strictSame(is({ parties: { guardian: person(1) } }), [true, false], 'somebody was left out');
  t.strictSame(is({ parties: { child: person(2), guardian: person(1) } }), [true, true], 'in any order');
  t.strictSame(is({ parties: { guardian: person(1), child: person(3) } }), [false, false], 'another child');
  const same = (what: string) => isSameDemand(worded, { ...worded, what });
  t.strictSame([same('a  LETTER.'), same('another letter'), isSameDemand(worded, demandIn())], [true, false, false]);
  t.end();
});

await t.test('an office names everybody on whom the certificates depend', (t) => {
  const [one] = [person(1)];
  t.equal(missingParty(matter, requirement, {}), 'applicant');
  t.equal(missingParty(matter, requirement, { applicant: one }), 'child');
  t.equal(missingParty(matter, requirement, { applicant: one, child: one }), 'guardian', 'the one compared with');
  t.equal(missingParty(matter, requirement, { applicant: one, child: one, guardian: one }), undefined);
  t.end();
});

await t.test('deadlines, numbers and words', (t) => {
  const dueAt = new Date(at.getTime() + 1_000);
  for (const state of ['reported', 'contested', 'escalated'] as const) {
    t.notOk(isOverdue({ state, dueAt }, at));
    t.ok(isOverdue({ state, dueAt }, dueAt), `${state}: the deadline itself is late`);
  }
  for (const state of ['recorded', 'withdrawn', 'maintained'] as const) {
    t.notOk(isOverdue({ state, dueAt }, new Date(dueAt.getTime() + 1)), `${state}: nobody waits`);
  }
  t.equal(paperDemandNumber('0199a000-0000-7000-8000-00000000c0de', '2026-11-23'), 'ZZ-20261123-00000000C0DE');
  const reasons: readonly PaperDemandReason[] = [
    'hub_unavailable',
    'certificate_missing',
    'certificate_wrong',
    'certificate_unreadable',
    'person_prefers_paper',
    'other',
  ];
  const own = reasons.map((code) => reasonText(code, 'office'));
  const reported = reasons.map((code) => reasonText(code, 'portal'));
  for (const { zh, en } of own) t.ok(zh.startsWith('办理部门称') && en.startsWith('The office says'), en);
  for (const { zh, en } of reported) {
    t.ok(zh.startsWith('据反映，') && en.startsWith('According to the report, '), 'no words put into its mouth');
  }
  const judged = Object.values(judgementText);
  t.equal(judged.length, judgements.length + 3, 'three for what the matter does not ask for');
  const texts = [...own, ...reported, ...judged];
  t.equal(new Set(texts.flatMap(({ zh, en }) => [zh, en])).size, texts.length * 2, 'each says something of its own');
  for (const { zh, en } of texts) t.ok(/^[A-Z][^\u4e00-\u9fff]*\.$/.test(en) && zh.endsWith('。'), en);
  t.end();
});
