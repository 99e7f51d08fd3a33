import fc from 'fast-check';
import t from 'tap';
import type { CertificateVersion } from '../../src/certificates/certificate-version.ts';
import type { Caller, ClientId, DepartmentCode, Role } from '../../src/ids.ts';
import { countIn, type FeedbackCounts } from '../../src/supervision/count-feedback.ts';
import {
  answered,
  type FaultKind,
  type Feedback,
  type FeedbackVerdict,
  isOverdue,
  isReceiptNumber,
  judgeVerdict,
  ownerOf,
  receiptNumber,
  sightOf,
} from '../../src/supervision/feedback.ts';
import { usersOf } from '../../src/supervision/list-past-users.ts';
import { bearsOut } from '../../src/supervision/mended.ts';
import { composeCertificateIdentifier, parseCertificateIdentifier } from '../../src/verification/identifiers.ts';

const seed = 20_261_122;
const run = <T extends unknown[]>(property: fc.IProperty<T>, numRuns = 2_000): void =>
  fc.assert(property, { seed, numRuns });

const departments = [
  '11999900100000016A',
  '11999900100000067J',
  '119999001000000245',
  '11999900100000040T',
] as unknown as readonly [DepartmentCode, DepartmentCode, DepartmentCode, DepartmentCode];
const [psb, couples, market] = departments;
const typeCode = `${psb}001`;
const identifierOf = (version: number, issuerCode: string = psb, serial = '1'): string =>
  composeCertificateIdentifier({ typeCode, issuerCode, serial: serial.padStart(20, '0'), version });
const parsed = (text: string) => {
  const read = parseCertificateIdentifier(text);
  if (!read.ok) throw new Error(read.reason);
  return read.value;
};
const start = new Date('2026-11-22T08:00:00Z');
const later = (ms: number): Date => new Date(start.getTime() + ms);
const holder = { type: '111', number: '990000199001010004' } as const;

const newFeedback = (overrides: Partial<Feedback> = {}): Feedback => ({
  feedbackId: '0199a000-0000-7000-8000-000000000000',
  receiptNumber: receiptNumber('2026-11-22', 1),
  clientId: 'school',
  departmentCode: market,
  ownerDepartmentCode: psb,
  kind: 'missing',
  state: 'open',
  createdAt: start,
  dueAt: later(1_000),
  certificateTypeCode: typeCode,
  holder,
  explanation: 'test',
  history: [{ step: 'reported', at: start, departmentCode: market, clientId: 'school' }],
  ...overrides,
});

await t.test('a receipt number has a check character that finds every wrong digit', async (t) => {
  const days = fc.constantFrom('2026-11-22', '2027-01-01', '2031-12-31');
  let [swaps, missed] = [0, 0];
  run(
    fc.property(days, fc.nat({ max: 9_999_999 }), fc.nat({ max: 15 }), fc.nat({ max: 9 }), (on, drawn, at, digit) => {
      const text = receiptNumber(on, drawn);
      const [a = '', b = ''] = text.slice(at);
      if (/\d/.test(a) && /\d/.test(b) && a !== b) {
        swaps += 1;
        missed += Number(isReceiptNumber(`${text.slice(0, at)}${b}${a}${text.slice(at + 2)}`));
      }
      const changed = /\d/.test(a) ? `${text.slice(0, at)}${digit}${text.slice(at + 1)}` : text;
      return isReceiptNumber(text) && (changed === text || !isReceiptNumber(changed));
    }),
    10_000,
  );
  t.ok(missed < swaps / 20, `and all but ${missed} of ${swaps} times that two change places`);
  t.match(receiptNumber('2026-11-22', 471_193), /^20261122-0471193-[0-9A-Z]$/);
  for (const text of ['', '20261122-0471193', 'x', '990000199001010004']) t.notOk(isReceiptNumber(text), text);
});

await t.test('who has to answer follows from identifier and catalogue alone', async (t) => {
  const allowedIssuers = fc.uniqueArray(fc.constantFrom(...departments), { minLength: 1, maxLength: 4 });
  run(
    fc.property(allowedIssuers, fc.constantFrom(...departments), fc.boolean(), (issuers, issuer, isMissing) => {
      const type = {
        ownerDepartmentCode: market,
        allowedIssuers: issuers.map((departmentCode) => ({ departmentCode, until: later(60_000).toISOString() })),
      };
      if (!isMissing) {
        const owner = ownerOf(type, { certificate: parsed(identifierOf(1, issuer)) }, later(999_999));
        // A department that may issue no more still answers for what it issued.
        return owner === (issuers.includes(issuer) ? issuer : market);
      }
      const now = ownerOf(type, {}, start);
      const ended = ownerOf(type, {}, later(60_000));
      const named = ownerOf(type, { issuerDepartmentCode: issuer }, start);
      return named === issuer && now === (issuers.length === 1 ? issuers[0] : market) && ended === market;
    }),
  );
  t.pass('for every type');
});

await t.test('invariant 2: how much of a report somebody sees', async (t) => {
  const roles: readonly Role[] = ['issuer', 'consumer', 'auditor', 'admin', 'portal', 'grantor'];
  run(
    fc.property(
      fc.subarray([...roles]),
      fc.constantFrom('school', 'other'),
      fc.constantFrom(psb, market),
      (own, clientId, department) => {
        const caller: Caller = {
          clientId: clientId as ClientId,
          department,
          roles: own,
          keyId: 'k',
        };
        const sight = sightOf(caller, newFeedback());
        const isParty = clientId === 'school' || (own.includes('issuer') && department === psb);
        if (isParty) return sight === 'full';
        return sight === (own.includes('auditor') || own.includes('admin') ? 'outline' : undefined);
      },
    ),
  );
  t.pass('by role, client and department');
});

const verdicts = fc.record(
  {
    outcome: fc.constantFrom('corrected', 'issued', 'revoked', 'refused', 'forwarded'),
    certificateIdentifier: fc.constantFrom(identifierOf(1), identifierOf(2)),
    departmentCode: fc.constantFrom(...departments),
    reason: fc.constant('test'),
  },
  { requiredKeys: ['outcome', 'reason'] },
) as fc.Arbitrary<FeedbackVerdict>;
const kinds = fc.constantFrom<FaultKind[]>('missing', 'wrong', 'unreadable');

await t.test('however it is answered: one final answer, and no department has a report twice', async (t) => {
  let [ends, passes] = [0, 0];
  run(
    fc.property(kinds, fc.array(verdicts, { maxLength: 12 }), (kind, tried) => {
      let feedback = newFeedback({ kind });
      const owners: string[] = [psb];
      let final = 0;
      for (const [at, verdict] of tried.entries()) {
        if (judgeVerdict(feedback, verdict, [psb, couples, market]) !== undefined) continue;
        const before = feedback;
        const by = {
          at: later(at),
          departmentCode: before.ownerDepartmentCode,
          clientId: 'x',
          nextDueAt: later(9_000),
        };
        feedback = answered(feedback, verdict, by);
        if (verdict.outcome === 'forwarded') owners.push(feedback.ownerDepartmentCode);
        else final += 1;
        if (feedback.history.length !== before.history.length + 1) return false;
      }
      ends += final;
      passes += owners.length - 1;
      const isOnce = new Set(owners).size === owners.length && owners.every((each) => each !== departments[3]);
      return (
        isOnce &&
        final <= 1 &&
        (feedback.state === 'open') === (final === 0) &&
        (kind === 'missing' || owners.length === 1)
      );
    }),
    20_000,
  );
  t.ok(ends > 1_000 && passes > 200, `${ends} answers and ${passes} forwardings among them`);
});

await t.test('each kind of fault has its outcomes, and each outcome its parts', async (t) => {
  const allowed: Record<FaultKind, readonly string[]> = {
    missing: ['issued', 'refused', 'forwarded'],
    wrong: ['corrected', 'revoked', 'refused'],
    unreadable: ['corrected', 'revoked', 'refused'],
  };
  run(
    fc.property(kinds, verdicts, (kind, verdict) => {
      const { outcome, certificateIdentifier, departmentCode } = verdict;
      const isSound =
        allowed[kind].includes(outcome) &&
        (certificateIdentifier !== undefined) === (outcome === 'corrected' || outcome === 'issued') &&
        (departmentCode !== undefined) === (outcome === 'forwarded') &&
        (departmentCode === undefined || departmentCode === couples);
      return isSound === (judgeVerdict(newFeedback({ kind }), verdict, [psb, couples]) === undefined);
    }),
    10_000,
  );
  const closed = judgeVerdict(newFeedback({ state: 'refused' }), { outcome: 'refused', reason: 'x' }, []);
  t.match(closed, { code: 'feedback_closed', detail: { state: 'refused' } });
});

await t.test('a claim is true only of the certificate that mends the fault', async (t) => {
  const states = ['pending_review', 'returned', 'approved', 'valid', 'suspended', 'revoked', 'superseded'] as const;
  const wrong = newFeedback({ kind: 'wrong', certificateIdentifier: identifierOf(2) });
  let isTrue = 0;
  run(
    fc.property(
      fc.constantFrom(...states),
      fc.integer({ min: 1, max: 4 }),
      fc.constantFrom('1', '2'),
      fc.constantFrom(-1, 0, 1),
      fc.constantFrom(holder.number, '990000199001010012'),
      fc.constantFrom(-1, 1),
      (state, version, serial, sealed, number, ends) => {
        const identifier = identifierOf(version, psb, serial);
        const isSealed = !['pending_review', 'returned', 'approved'].includes(state);
        const row = {
          identifier,
          series: parsed(identifier).series,
          version,
          certificate_type_code: typeCode,
          state,
          sealed_at: isSealed ? later(sealed) : null,
          effective_from: later(-1_000),
          expires_at: later(ends),
        };
        const certificate = {
          rows: [row],
          state,
          contents: { metadata: { holders: [{ type: '111', number, name: 'x' }] } },
        } as unknown as CertificateVersion;
        const corrected = state === 'valid' && serial === '1' && version > 2 && sealed > 0;
        const issued = state === 'valid' && number === holder.number && ends > 0;
        const revoked = state === 'revoked' && serial === '1' && version === 2;
        isTrue += Number(corrected) + Number(issued) + Number(revoked);
        return (
          bearsOut('corrected', certificate, wrong, start) === corrected &&
          bearsOut('issued', certificate, newFeedback(), start) === issued &&
          bearsOut('revoked', certificate, wrong, start) === revoked
        );
      },
    ),
    10_000,
  );
  t.ok(isTrue > 500, `${isTrue} true claims among them`);
});

await t.test('counts: every report once for its owner, every step once for who took it', async (t) => {
  run(
    fc.property(fc.array(fc.tuple(kinds, fc.array(verdicts, { maxLength: 4 })), { maxLength: 20 }), (reports) => {
      const tally = new Map<string, FeedbackCounts>();
      const all = reports.map(([kind, tried]) =>
        tried.reduce((feedback, verdict, at) => {
          if (judgeVerdict(feedback, verdict, [psb, couples, market]) !== undefined) return feedback;
          const { ownerDepartmentCode: departmentCode } = feedback;
          // Every other step is late.
          const by = { at: later(at % 2 === 0 ? 2_000 : 500), departmentCode, clientId: 'x', nextDueAt: later(1_000) };
          return answered(feedback, verdict, by);
        }, newFeedback({ kind })),
      );
      for (const feedback of all) countIn(tally, feedback, later(1_000));
      const counted = [...tally.values()];
      const sum = (of: (counts: FeedbackCounts) => number): number => counted.reduce((n, each) => n + of(each), 0);
      const steps = all.flatMap(({ history }) => history.filter(({ step }) => step !== 'reported'));
      return (
        sum(({ open }) => open) === all.filter(({ state }) => state === 'open').length &&
        sum(({ overdue }) => overdue) === all.filter((each) => isOverdue(each, later(1_000))).length &&
        sum(({ inTime, late }) => inTime + late) === steps.length &&
        sum(({ late }) => late) === steps.filter(({ at, dueAt = at }) => at >= dueAt).length &&
        sum(({ forwarded }) => forwarded) === steps.filter(({ step }) => step === 'forwarded').length &&
        sum(({ answered: ended }) => ended.corrected + ended.issued + ended.revoked + ended.refused) ===
          all.filter(({ state }) => state !== 'open').length
      );
    }),
  );
  t.pass('they add up');
});

await t.test('past users: each system and matter once, with its first and last time and all its uses', async (t) => {
  const lookups = fc.array(
    fc.record({
      clientId: fc.constantFrom('a', 'a-b', 'b'),
      departmentCode: fc.constantFrom(psb, market),
      matterCode: fc.constantFrom('m', 'm.1', 'm-1'),
      at: fc.nat({ max: 50 }).map(later),
    }),
    { maxLength: 40 },
  );
  run(
    fc.property(lookups, (all) => {
      const users = usersOf(all);
      const nameOf = (each: { departmentCode: string; clientId: string; matterCode: string }): string =>
        [each.departmentCode, each.clientId, each.matterCode].join(' ');
      const names = users.map(nameOf);
      return (
        new Set(names).size === names.length &&
        names.every((name, i) => i === 0 || (names[i - 1] ?? '') < name) &&
        users.reduce((n, { uses }) => n + uses, 0) === all.length &&
        users.every((user) => {
          const times = all.filter((each) => nameOf(each) === nameOf(user)).map(({ at }) => at.getTime());
          return (
            user.uses === times.length &&
            user.firstAt.getTime() === Math.min(...times) &&
            user.lastAt.getTime() === Math.max(...times)
          );
        })
      );
    }),
  );
  t.pass('in one order');
});
