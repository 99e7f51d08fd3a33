import fc from 'fast-check';
import t from 'tap';
import { countIn, type FeedbackCounts } from '../../src/supervision/count-feedback.ts';
import type { FaultKind, Feedback, FeedbackStep, FinalOutcome } from '../../src/supervision/feedback.ts';
import {
  demandSettledAt,
  feedbackSettledAt,
  forgottenFeedback,
  forgottenPaperDemand,
  settledBefore,
} from '../../src/supervision/forgetting.ts';
import {
  isDeviation,
  type Judgement,
  type PaperDemand,
  type PaperDemandReason,
  type PaperDemandState,
  type PaperDemandStep,
  wasContested,
} from '../../src/supervision/paper-demand.ts';
import type { Holder } from '../../src/verification/identifiers.ts';

const options = { seed: 20_261_123, numRuns: 3_000 };
const start = Date.parse('2026-11-23T00:00:00Z');
const canary = 'CANARY';

const time = fc.integer({ min: -40_000, max: 40_000 }).map((minutes) => new Date(start + minutes * 60_000));
const text = fc.nat({ max: 9 }).map((n) => `${canary}${n}`);
const office = fc.constantFrom('11999900100000016A', '11999900100000067J', '119999001000000245');
const holder = text.map((number): Holder => ({ type: '111', number }));
const officer = fc.record({ id: text, name: text });
const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });
/** Without the members that are not there. */
const present = <T extends object>(value: T): T => JSON.parse(JSON.stringify(value), revived) as T;
const revived = (key: string, value: unknown): unknown =>
  key.endsWith('At') || key === 'at' ? new Date(String(value)) : value;

const outcome = fc.constantFrom<FinalOutcome>('corrected', 'issued', 'revoked', 'refused');
const answers = fc.record({
  step: fc.constantFrom('forwarded', 'answered'),
  at: time,
  departmentCode: office,
  clientId: text,
  outcome: maybe(outcome),
  certificateIdentifier: maybe(text),
  reason: maybe(text),
  to: maybe(office),
  dueAt: maybe(time),
});
/** Everything that a report may hold; whatever could name somebody bears the canary, and whatever the schema may grow does too. */
const reports = fc
  .record({
    kind: fc.constantFrom<FaultKind>('missing', 'wrong', 'unreadable'),
    outcome: maybe(outcome),
    dueAt: time,
    createdAt: time,
    departmentCode: office,
    ownerDepartmentCode: office,
    certificateIdentifier: maybe(text),
    holder: maybe(holder),
    fields: maybe(fc.array(text)),
    explanation: text,
    matterCode: maybe(text),
    caseNumber: maybe(text),
    recordId: maybe(text),
    publicReference: maybe(text),
    officer: maybe(officer),
    follows: maybe(text),
    secrecy: maybe(fc.record({ releaseAt: text, legalGround: text })),
    another: maybe(text),
    history: fc.array(answers, { maxLength: 4 }),
  })
  .map(({ outcome: ended, history, ...rest }) =>
    present({
      ...rest,
      feedbackId: '0199a000-0000-7000-8000-000000000000',
      receiptNumber: '20261123-0000001-X',
      clientId: 'school',
      certificateTypeCode: `${canary}-type`,
      state: ended ?? 'open',
      history: [
        { step: 'reported', at: rest.createdAt, departmentCode: rest.departmentCode, clientId: canary },
        ...history,
      ] as FeedbackStep[],
    }),
  ) as fc.Arbitrary<Feedback>;

const demandStates: readonly PaperDemandState[] = [
  'recorded',
  'reported',
  'contested',
  'escalated',
  'withdrawn',
  'maintained',
];
const paperSteps = fc.record({
  step: fc.constantFrom(...demandStates),
  at: time,
  departmentCode: text,
  clientId: text,
  party: maybe(text),
  text: maybe(text),
  officer: maybe(officer),
});
const demands = fc
  .record({
    clientId: fc.constant('desk'),
    reportedBy: fc.constantFrom('office', 'portal'),
    matterCode: text,
    requirement: maybe(text),
    what: maybe(text),
    caseNumber: maybe(text),
    legalBasis: fc.constant('own_application'),
    parties: fc.dictionary(text, holder, { maxKeys: 3 }),
    reason: fc.constantFrom<PaperDemandReason>('other', 'hub_unavailable', 'certificate_missing'),
    explanation: maybe(text),
    judged: fc.record({
      judgement: fc.constantFrom<Judgement>('could_supply', 'outside_matter', 'not_judged', 'could_not_supply'),
      of: fc.array(text),
    }),
    dueAt: maybe(time),
    createdAt: time,
    departmentCode: office,
    another: maybe(text),
    history: fc.array(paperSteps, { minLength: 1, maxLength: 5 }),
  })
  .map((rest) =>
    present({
      ...rest,
      paperDemandId: '0199a000-0000-7000-8000-00000000c0de',
      state: rest.history.at(-1)?.step ?? 'recorded',
      history: rest.history as PaperDemandStep[],
    }),
  ) as fc.Arbitrary<PaperDemand>;

await t.test('nothing of a person, an officer, a certificate or a case is left of what was forgotten', async (t) => {
  let held = 0;
  fc.assert(
    fc.property(reports, demands, time, (report, demand, at) => {
      const kept = JSON.stringify([forgottenFeedback(report, at), forgottenPaperDemand(demand, at)]);
      held += Number(JSON.stringify([report, demand]).includes(canary));
      return !kept.includes(canary);
    }),
    options,
  );
  t.equal(held, options.numRuns, 'of all of them something could have been');
});

await t.test('it counts as before, at every moment', async (t) => {
  fc.assert(
    fc.property(fc.array(reports, { maxLength: 6 }), time, (all, at) => {
      const [before, after] = [new Map<string, FeedbackCounts>(), new Map<string, FeedbackCounts>()];
      for (const report of all) {
        countIn(before, report, at);
        countIn(after, forgottenFeedback(report, at), at);
      }
      return JSON.stringify([...before]) === JSON.stringify([...after]);
    }),
    options,
  );
  fc.assert(
    fc.property(demands, time, (demand, at) => {
      const kept = forgottenPaperDemand(demand, at);
      return (
        wasContested(kept) === wasContested(demand) &&
        isDeviation(kept.judged) === isDeviation(demand.judged) &&
        kept.judged.judgement === demand.judged.judgement &&
        kept.reason === demand.reason &&
        kept.state === demand.state &&
        kept.departmentCode === demand.departmentCode
      );
    }),
    options,
  );
  t.pass('reports and demands');
});

await t.test('open and waited for is never settled; what is settled, is since the last step', async (t) => {
  const seen = new Map<string, number>();
  const waiting = ['open', 'reported', 'contested', 'escalated'];
  fc.assert(
    fc.property(fc.oneof(reports, demands), (any) => {
      const at = 'feedbackId' in any ? feedbackSettledAt(any) : demandSettledAt(any);
      seen.set(any.state, (seen.get(any.state) ?? 0) + 1);
      return waiting.includes(any.state) ? at === undefined : at?.getTime() === any.history.at(-1)?.at.getTime();
    }),
    options,
  );
  t.equal(seen.size, 5 + demandStates.length, 'in every state');
});

await t.test('kept are so many whole months after the one in which it was settled', async (t) => {
  const moment = fc.date({ min: new Date('2001-01-01'), max: new Date('2099-12-31'), noInvalidDate: true });
  const month = (at: Date): number => at.getUTCFullYear() * 12 + at.getUTCMonth();
  let due = 0;
  fc.assert(
    fc.property(moment, moment, fc.integer({ min: 1, max: 400 }), (settled, now, months) => {
      const isDue = settled < settledBefore(now, months);
      due += Number(isDue);
      return isDue === month(now) - month(settled) > months;
    }),
    { ...options, numRuns: 20_000 },
  );
  t.ok(due > 2_000, `${due} due`);
  const last = new Date('2021-03-31T23:59:59.999Z');
  for (const [settled, now, isDue] of [
    ['2020-02-29T23:59:59.999Z', last, true],
    ['2020-03-01T00:00:00.000Z', last, false],
    ['2020-03-31T23:59:59.999Z', new Date(last.getTime() + 1), true],
  ] as const) {
    t.equal(new Date(settled) < settledBefore(now, 12), isDue, settled);
  }
});
