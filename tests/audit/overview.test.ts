import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import type { Entry } from '../../src/audit/entry.ts';
import type { Receipt } from '../../src/audit/record.ts';
import { type OverviewDeps, overviewRecords } from '../../src/audit/search/overview.ts';
import { shownKey } from '../../src/audit/search/record-filter.ts';
import { searchRecords } from '../../src/audit/search/search-records.ts';
import { unusualRules, usualHolders } from '../../src/audit/search/unusual.ts';
import { exampleDepartments } from '../../src/catalogue/starter-types.ts';
import { startOfDay } from '../../src/certificates/city-day.ts';
import { connect } from '../../src/db/database.ts';
import type { Call, ClientId, DepartmentCode } from '../../src/ids.ts';
import { testDatabase } from '../support/database.ts';
import { recorderAt } from '../support/old-month.ts';
import { exampleKeys as keys, startHub } from '../support/start-hub.ts';

const timeZone = 'Asia/Shanghai';
const departments = Object.values<string>({ ...exampleDepartments });
const hour = 3_600_000;
const dayMs = 24 * hour;
const dayText = (at: number): string => new Date(at).toISOString().slice(0, 10);
/** A Wednesday far enough ahead that a habit before it lies in months that are open for records. */
const wednesday = Array.from({ length: 7 }, (_, i) => Date.parse(dayText(Date.now() + (36 + i) * dayMs))).find(
  (at) => new Date(at).getUTCDay() === 3,
) as number;
/** An hour of a day by the city's clocks; `day` counts from that Wednesday. */
const at = (day: number, clock: number): number => wednesday + day * dayMs + (clock - 8) * hour;

const call: Call = {
  caller: {
    clientId: 'audit-office' as ClientId,
    department: exampleDepartments.publicSecurity as DepartmentCode,
    roles: ['auditor'],
    keyId: 'k1',
  },
  requestId: 'request',
  at: new Date(),
};

interface Access {
  readonly when: number;
  readonly client?: string;
  readonly department?: string;
  readonly officer?: string;
  readonly holder?: string;
  readonly caseNumber?: string;
  readonly outcome?: 'answered' | 'refused';
  readonly kind?: Entry['kind'];
}

const accesses: Access[] = [];
const holders = (count: number, access: Access): void => {
  for (let i = 0; i < count; i++) accesses.push({ ...access, when: access.when + i, holder: `${access.client}-${i}` });
};
for (let day = -14; day < 0; day += 1) holders(25, { client: 'steady-client', when: at(day, 10) });
holders(50, { client: 'steady-client', when: at(0, 9) });
holders(51, { client: 'steady-client', when: at(1, 9) });
holders(50, { client: 'new-client', when: at(0, 9) });
holders(51, { client: 'newer-client', when: at(0, 9) });
for (let day = -8; day < 0; day += 1) holders(15, { client: 'c', officer: 'calm', when: at(day, 11) });
holders(31, { client: 'd', officer: 'calm', when: at(0, 11) });
holders(30, { client: 'e', officer: 'busy', when: at(0, 12) });
for (let i = 0; i < 11; i++)
  accesses.push({ client: 'f', officer: 'owl', holder: 'h', when: at(0, 23) + i * 20 * 60_000 });
for (let i = 0; i < 10; i++) accesses.push({ client: 'f', officer: 'lark', holder: 'h', when: at(1, 6) + i * 60_000 });
for (let i = 0; i < 11; i++) accesses.push({ client: 'f', officer: 'weekender', holder: 'h', when: at(3, 14) + i });
for (const department of departments.slice(0, 5)) accesses.push({ department, holder: 'sought', when: at(1, 15) });
for (const department of departments.slice(0, 4)) accesses.push({ department, holder: 'less', when: at(1, 15) });
for (let i = 0; i < 6; i++) accesses.push({ holder: `member-${i}`, caseNumber: 'CASE-SHARED', when: at(2, 16) });
for (let i = 0; i < 5; i++) accesses.push({ holder: `family-${i}`, caseNumber: 'CASE-FAMILY', when: at(2, 16) });
// The last and the first instant of the city's days.
accesses.push({ when: at(0, 0) - 1, client: 'edge' }, { when: at(0, 0), client: 'edge', outcome: 'refused' });
accesses.push({ when: at(5, 0) - 1, client: 'edge' }, { when: at(5, 0), client: 'edge' });
accesses.push({ when: at(2, 10), kind: 'registry' });

const byText = (a: string, b: string): number => (a < b ? -1 : 1);

const entryOf = (access: Access, number: number): Entry => ({
  kind: access.kind ?? 'access',
  action: 'lookUp',
  outcome: access.outcome ?? 'answered',
  ...(access.outcome === 'refused' && { code: 'grant_required' as const }),
  caller: { clientId: access.client ?? 'x', department: access.department ?? exampleDepartments.taxation },
  officer: { id: access.officer ?? `officer-${number}`, name: '某人' },
  purpose: {
    matterCode: `matter-${number % 70}`,
    caseNumber: access.caseNumber ?? `CASE-${number}`,
    legalBasis: 'statutory_duty',
  },
  ...(access.holder !== undefined && { subjects: [keys.holderKey('999', access.holder)] }),
  scope: { level: 'fields', types: [{ certificateTypeCode: `${exampleDepartments.taxation}001` }] },
  requestId: 'r',
  at: new Date(),
});

const noRecord = (): Promise<Receipt> => Promise.resolve({ recordId: randomUUID() } as unknown as Receipt);

await t.test('counts and findings are those of the records, and each finding leads to its own', async (t) => {
  const { serviceUrl } = await testDatabase(t);
  const db = connect({ url: serviceUrl, max: 4, statementTimeoutMs: 5_000, applicationName: 'test' });
  t.teardown(() => db.close());
  let now = new Date();
  const { record } = recorderAt(db, keys, () => now);
  await Promise.all(
    accesses.map((access, number) => {
      now = new Date(access.when);
      return record(entryOf(access, number));
    }),
  );
  const deps: OverviewDeps = {
    db,
    record: noRecord,
    calendar: { timeZone, startOfDay: (day) => startOfDay(day, timeZone) },
    elapsed: () => performance.now(),
  };
  const query = { reason: 'test', from: dayText(wednesday), until: dayText(wednesday + 5 * dayMs) };
  const overview = await overviewRecords(deps, query, call);

  const inRange = accesses.filter(({ when }) => when >= at(0, 0) && when < at(5, 0));
  t.strictSame(
    overview.days,
    [0, 1, 2, 3, 4].map((day) => {
      const ofDay = inRange.filter(({ when }) => when >= at(day, 0) && when < at(day + 1, 0));
      return {
        day: dayText(wednesday + day * dayMs),
        records: ofDay.length,
        accesses: ofDay.filter(({ kind }) => kind === undefined).length,
        refused: ofDay.filter(({ outcome }) => outcome === 'refused').length,
        failed: 0,
      };
    }),
    'per day of the city',
  );
  const asked = inRange.filter(({ kind }) => kind === undefined);
  const total = ({ items, others }: (typeof overview.rankings)['client']): number =>
    items.reduce((sum, { count }) => sum + count, others);
  for (const name of ['client', 'department', 'matter', 'type', 'outcome'] as const) {
    t.equal(total(overview.rankings[name]), asked.length, `${name}: nothing is lost`);
  }
  t.equal(overview.rankings.matter.items.length, 50, 'lists are bounded');
  t.ok(overview.rankings.matter.others > 0);
  t.strictSame(overview.rankings.code, { items: [{ value: 'grant_required', count: 1 }], others: 0 });
  t.strictSame(
    overview.rankings.client.items.find(({ value }) => value === 'steady-client'),
    { value: 'steady-client', count: 101 },
  );

  const told = overview.unusual.map(({ rule, count, usual, search }) => {
    const { clientId, officerKey, holderKey, caseKey } = search;
    return [rule, clientId ?? officerKey ?? holderKey ?? caseKey, count, usual];
  });
  const officer = (id: string): string => shownKey(keys.searchKey('officer', id));
  const expected = [
    ['many_holders_by_client', 'newer-client', 51, 50],
    ['many_holders_by_client', 'steady-client', 51, 50],
    ['many_holders_by_officer', officer('calm'), 31, 30],
    ['off_hours', 'f', 11, 10],
    ['off_hours', 'f', 11, 10],
    ['holder_asked_by_many_departments', shownKey(keys.holderKey('999', 'sought')), 5, 4],
    ['case_number_across_holders', shownKey(keys.searchKey('case', 'CASE-SHARED')), 6, 5],
  ];
  const sorted = (list: readonly unknown[]): string[] => list.map((each) => JSON.stringify(each)).toSorted(byText);
  t.strictSame(sorted(told), sorted(expected), 'what is beyond the thresholds, and nothing just below them');
  t.equal(overview.moreUnusual, 0);

  const search = { db, keys, record: noRecord, tampered: () => undefined };
  for (const { rule, count, words, search: found } of overview.unusual) {
    const { items } = await searchRecords(search, { reason: 'follow', ...found, limit: 200 }, call);
    const distinct = {
      many_holders_by_client: new Set(items.map(({ holderKeys }) => holderKeys?.[0])).size,
      many_holders_by_officer: new Set(items.map(({ holderKeys }) => holderKeys?.[0])).size,
      off_hours: items.length,
      holder_asked_by_many_departments: new Set(items.map(({ departmentCode }) => departmentCode)).size,
      case_number_across_holders: new Set(items.map(({ holderKeys }) => holderKeys?.[0])).size,
    };
    t.equal(distinct[rule], count, `${rule}: its search finds its records`);
    t.match(words.zh, new RegExp(`${count}[个次]`));
    t.match(words.en, new RegExp(`\\b${count}\\b`));
  }
});

await t.test('a habit is not moved by the day that is looked for', (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat(500), { maxLength: 28 }), fc.nat(1_000_000), (days, outlier) => {
      const usual = usualHolders(days);
      t.ok(usual >= unusualRules.fewHolders && Number.isInteger(usual));
      const active = days.filter((count) => count > 0);
      if (active.length < unusualRules.habitNeeds) t.equal(usual, unusualRules.fewHoldersWithoutHabit);
      else t.ok(usual >= 2 * (active.toSorted((a, b) => a - b)[Math.floor((active.length - 1) / 2)] ?? 0));
      t.equal(usualHolders([...days].reverse()), usual, 'order does not count');
      const level = Array.from({ length: 20 }, () => 30);
      t.equal(usualHolders([...level, outlier]), 60, 'one wild day among twenty changes nothing');
    }),
    { numRuns: 200, seed: 3 },
  );
  t.end();
});

await t.test('over the API: recorded with its reason; a range that is none or too long is refused', async (t) => {
  const hub = await startHub(t);
  const auditor = hub.client('audit-office');
  const overview = (from: unknown, until: unknown) =>
    auditor.post('/v1/audit/overviews', { reason: '月度检查', from, until });
  const today = dayText(Date.now() + 8 * hour);
  const reply = await overview(today, dayText(Date.parse(today) + dayMs));
  t.match(reply, { status: 200, body: { days: [{ day: today, records: Number }], unusual: [], moreUnusual: 0 } });
  const { items } = (
    await auditor.post('/v1/audit/searches', { reason: 'x', action: 'createOverview', outcome: 'answered' })
  ).body as { items: unknown[] };
  t.match(items, [
    {
      recordId: (reply.body as { recordId: string }).recordId,
      kind: 'audit_read',
      reason: '月度检查',
      body: { scope: { from: today } },
    },
  ]);
  t.match(await overview('2026-01-01', '2026-04-03'), { status: 200 });
  for (const [from, until, code] of [
    ['2026-01-01', '2026-04-04', 'range_too_long'],
    ['2026-01-02', '2026-01-01', 'range_invalid'],
    ['2026-01-01', '2026-01-01', 'range_invalid'],
    ['0001-01-01', '0001-01-02', 'range_invalid'],
    ['2026-02-30', '2026-03-01', 'contract_violation'],
    ['2026-01-01T00:00:00Z', '2026-01-02', 'contract_violation'],
    [undefined, '2026-01-02', 'contract_violation'],
  ]) {
    t.match(await overview(from, until), { body: { code } }, `${from} to ${until}`);
  }
  t.equal((await hub.client('hub-admin').post('/v1/audit/overviews', {})).status, 403);
});
