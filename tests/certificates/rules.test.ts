import fc from 'fast-check';
import t from 'tap';
import { catalogued } from '../../src/catalogue/catalogue.ts';
import { type CertificateAction, checkMetadata, nextState } from '../../src/certificates/certificate.ts';
import type { CertificateState } from '../../src/certificates/certificate-row.ts';
import { addMonths, dayOf, endOfDay, isCalendarDay, nextDay, startOfDay } from '../../src/certificates/city-day.ts';
import { citizen, idCardPush, refusalOf, typeNamed } from './world.ts';

const options = { seed: 20_261_122, numRuns: 300 };
const zones = [
  'Asia/Shanghai',
  'UTC',
  'America/New_York',
  'Africa/Cairo',
  'Pacific/Apia',
  'America/Havana',
  'Asia/Kathmandu',
];
const day = fc
  .date({ min: new Date('1900-01-01'), max: new Date('2200-12-31'), noInvalidDate: true })
  .map((date) => date.toISOString().slice(0, 10));

await t.test('a day of the city begins when its clocks first show it, and ends when the next begins', async (t) => {
  fc.assert(
    fc.property(day, fc.constantFrom(...zones), (text, zone) => {
      const start = startOfDay(text, zone);
      // A day that a zone skipped altogether (Apia, 2011-12-30) begins and ends at once.
      if (endOfDay(text, zone).getTime() === start.getTime()) return zone === 'Pacific/Apia';
      return dayOf(start, zone) === text && dayOf(new Date(start.getTime() - 1_000), zone) < text;
    }),
    options,
  );
  t.equal(startOfDay('2024-05-20', 'Asia/Shanghai').toISOString(), '2024-05-19T16:00:00.000Z');
  t.equal(endOfDay('2024-12-31', 'Asia/Shanghai').toISOString(), '2024-12-31T16:00:00.000Z');
  t.equal(startOfDay('1990-04-15', 'Asia/Shanghai').toISOString(), '1990-04-14T16:00:00.000Z', 'summer time of 1990');
  t.equal(startOfDay('2024-04-26', 'Africa/Cairo').toISOString(), '2024-04-25T22:00:00.000Z', 'midnight skipped');
  t.equal(nextDay('2024-02-28'), '2024-02-29');
  t.equal(addMonths('2024-01-31', 1), '2024-02-29');
  t.equal(addMonths('2024-05-20', 240), '2044-05-20');
});

await t.test('only days of the calendar are days', async (t) => {
  for (const text of [
    '2023-02-29',
    '2024-13-01',
    '2024-00-10',
    '2024-1-1',
    '0000-01-01',
    '20240101',
    '2024-01-01T00:00',
    '',
  ]) {
    t.notOk(isCalendarDay(text), text);
  }
  fc.assert(
    fc.property(day, (text) => isCalendarDay(text)),
    options,
  );
});

const states: CertificateState[] = [
  'pending_review',
  'returned',
  'approved',
  'valid',
  'suspended',
  'revoked',
  'superseded',
];
const actions: CertificateAction[] = [
  'correct',
  'approve',
  'return',
  'seal',
  'suspend',
  'resume',
  'revoke',
  'supersede',
];
const stateAfter = (state: CertificateState, action: CertificateAction, reviewRequired: boolean): string => {
  try {
    return nextState(state, action, { reviewRequired });
  } catch (error) {
    return (error as { code: string }).code;
  }
};

await t.test('the state machine, whole', async (t) => {
  const allowed: Record<string, string> = {
    'pending_review correct': 'pending_review',
    'returned correct': 'pending_review',
    'pending_review approve': 'approved',
    'pending_review return': 'returned',
    'approved seal': 'valid',
    'valid suspend': 'suspended',
    'suspended resume': 'valid',
    'valid revoke': 'revoked',
    'suspended revoke': 'revoked',
    'valid supersede': 'superseded',
    'suspended supersede': 'superseded',
    'pending_review seal': 'review_required',
    'returned seal': 'review_required',
  };
  for (const state of states) {
    for (const action of actions) {
      t.equal(stateAfter(state, action, true), allowed[`${state} ${action}`] ?? 'wrong_state', `${state} ${action}`);
    }
  }
  t.equal(
    stateAfter('approved', 'correct', false),
    'approved',
    'without a review corrections stay possible until the seal',
  );
});

await t.test('no walk through the states reaches a seal without an approval, or leaves an end', async () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...actions), { maxLength: 30 }), (walk) => {
      let state: CertificateState = 'pending_review';
      let isApproved = false;
      for (const action of walk) {
        const next = stateAfter(state, action, true);
        if (!states.includes(next as CertificateState)) continue;
        if (state === 'revoked' || state === 'superseded') return false;
        if (action === 'approve') isApproved = true;
        if (action === 'correct') isApproved = false;
        if (action === 'seal' && !isApproved) return false;
        state = next as CertificateState;
      }
      return true;
    }),
    options,
  );
});

await t.test('dates: what is accepted is in order and within the type, whatever is thrown at it', async () => {
  const entry = catalogued({ ...typeNamed('居民身份证'), version: 1, createdAt: new Date(0) });
  fc.assert(
    fc.property(day, day, fc.option(day, { nil: undefined }), day, (issued, effective, expiring, today) => {
      const { certificateExpiringDate: _none, ...pushed } = idCardPush(citizen(1));
      const dated = {
        ...pushed,
        certificateIssuedDate: issued,
        certificateEffectiveDate: effective,
        ...(expiring === undefined ? {} : { certificateExpiringDate: expiring }),
      };
      const isSound =
        issued <= today &&
        (expiring === undefined ||
          (effective <= expiring && issued <= expiring && expiring <= addMonths(effective, 240)));
      try {
        checkMetadata(dated, entry, today);
        return isSound;
      } catch (error) {
        const { code } = error as { code?: string };
        return !isSound && (code === 'dates_out_of_order' || code === 'validity_mismatch');
      }
    }),
    options,
  );
});

await t.test('fields: a refusal names the place and never the value', async (t) => {
  const entry = catalogued({ ...typeNamed('居民身份证'), version: 1, createdAt: new Date(0) });
  const secret = 'S3CRET';
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...Object.keys(idCardPush(citizen(1)).fields), 'extra'),
      fc.jsonValue(),
      async (name, value) => {
        const pushed = idCardPush(citizen(1));
        const withValue = { ...pushed, fields: { ...pushed.fields, [name]: [secret, value] } };
        const refusal = await refusalOf((async () => checkMetadata(withValue, entry, '2030-01-01'))());
        return refusal.code !== 'not refused' && !JSON.stringify(refusal).includes(secret);
      },
    ),
    options,
  );
  const proto = { ...idCardPush(citizen(1)), fields: JSON.parse('{"constructor": "x"}') as Record<string, unknown> };
  t.match(await refusalOf((async () => checkMetadata(proto, entry, '2030-01-01'))()), { code: 'field_unknown' });
});
