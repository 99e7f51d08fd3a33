import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { connect, type Database } from '../../src/db/database.ts';
import { type Asked, type QuotaLimit, quotas, type Reserve } from '../../src/grants/quota.ts';
import { type Limits, purgeUsage } from '../../src/grants/usage-store.ts';
import { type GrantId, newId } from '../../src/ids.ts';
import { runSql, testDatabase } from '../support/database.ts';
import { exampleKeys } from '../support/start-hub.ts';

const open = (url: string): Database =>
  connect({ url, max: 4, statementTimeoutMs: 20_000, applicationName: 'test of limits' });
const utcDay = (at: Date): string => at.toISOString().slice(0, 10);
const days = [new Date('2026-11-22T10:00:00Z'), new Date('2026-11-23T00:00:00Z')] as const;
const today = days[0];
const walkers = 8;

const asking = (officer: string, ...holders: readonly string[]): Asked => ({
  officerKey: () => exampleKeys.searchKey('officer', officer),
  holderKeys: async () => holders.map((holder) => exampleKeys.holderKey('111', holder)),
});

interface Both {
  readonly first: Reserve;
  readonly second: Reserve;
  readonly superuserUrl: string;
  readonly one: Database;
  readonly other: Database;
}

/** Two processes' worth of counters on one database. */
async function two(t: Test): Promise<Both> {
  const { serviceUrl, superuserUrl } = await testDatabase(t);
  const [one, other] = [open(serviceUrl), open(serviceUrl)];
  t.teardown(async () => {
    await one.close();
    await other.close();
  });
  return {
    first: quotas({ db: one, day: utcDay }),
    second: quotas({ db: other, day: utcDay }),
    superuserUrl,
    one,
    other,
  };
}

const grantOf = (limits: Partial<Limits>) => ({ grantId: newId<GrantId>(), dailyQuota: 1_000, ...limits });
const taken = (answers: readonly (QuotaLimit | undefined)[]): number =>
  answers.filter((answer) => answer === undefined).length;

interface Step {
  readonly grant: number;
  readonly officer: string;
  readonly holders: readonly string[];
  readonly day: number;
  readonly process: number;
}

/** The rule said a second time, naively, one lookup after another. */
function naively(grants: readonly (Limits & { grantId: string })[]) {
  const used = new Map<string, number>();
  const holdersOf = new Map<string, Set<string>>();
  return ({ grant: index, officer, holders, day }: Step): QuotaLimit | undefined => {
    const grant = grants[index];
    if (grant === undefined) throw new Error('no grant');
    const all = `${grant.grantId} ${day}`;
    const own = `${all} ${officer}`;
    const beyond = (key: string, most = Number.POSITIVE_INFINITY): boolean => (used.get(key) ?? 0) + 1 > most;
    const beyondHolders = (key: string, most = Number.POSITIVE_INFINITY): boolean =>
      new Set([...(holdersOf.get(key) ?? []), ...holders]).size > most;
    if (beyond(all, grant.dailyQuota)) return 'dailyQuota';
    if (beyondHolders(all, grant.dailyHolders)) return 'dailyHolders';
    if (beyond(own, grant.officerDailyQuota)) return 'officerDailyQuota';
    if (beyondHolders(own, grant.officerDailyHolders)) return 'officerDailyHolders';
    for (const key of [all, own]) {
      used.set(key, (used.get(key) ?? 0) + 1);
      holdersOf.set(key, new Set([...(holdersOf.get(key) ?? []), ...holders]));
    }
    return undefined;
  };
}

const few = fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined });
const anyLimits = fc
  .record({
    dailyQuota: fc.integer({ min: 1, max: 14 }),
    dailyHolders: few,
    officerDailyQuota: few,
    officerDailyHolders: few,
  })
  .map(({ dailyQuota, ...rest }) => ({
    dailyQuota,
    ...(JSON.parse(JSON.stringify(rest)) as Omit<Limits, 'dailyQuota'>),
  }));
const anyStep: fc.Arbitrary<Step> = fc.record({
  grant: fc.integer({ min: 0, max: 2 }),
  officer: fc.constantFrom('a', 'b', 'c'),
  holders: fc.array(fc.constantFrom('p', 'q', 'r', 's', 't', 'u', 'v'), { maxLength: 3 }),
  day: fc.integer({ min: 0, max: 1 }),
  process: fc.integer({ min: 0, max: 1 }),
});

await t.test('every answer is that of a naive counter, however lookups are batched', async (t) => {
  const { first, second } = await two(t);
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyLimits, { minLength: 3, maxLength: 3 }),
      fc.array(fc.array(anyStep, { minLength: 1, maxLength: 25 }), { maxLength: 4 }),
      async (limits, batches) => {
        const grants = limits.map((each) => ({ grantId: newId<GrantId>(), ...each }));
        const naive = naively(grants);
        for (const steps of batches) {
          // At once within a process, so that they share batches; which process it is changes from batch to batch.
          const reserve = steps[0]?.process === 0 ? first : second;
          const answers = await Promise.all(
            steps.map(({ grant, officer, holders, day }) =>
              reserve(grants[grant] ?? grantOf({}), asking(officer, ...holders), days[day] ?? today),
            ),
          );
          t.strictSame(answers, steps.map(naive));
        }
      },
    ),
    { seed: 20_261_122, numRuns: 300 },
  );
});

await t.test('more callers than the limit, on two processes at once', async (t) => {
  const { first, second, one, other } = await two(t);
  const processOf = (i: number): Reserve => (i % 2 === 0 ? first : second);
  /** Small batches, many at a time: each walker has a counter of its own and goes through 60 numbers from another beginning. */
  const asOneByOne = async (ask: (i: number) => readonly [ReturnType<typeof grantOf>, Asked]) => {
    const all = Array.from({ length: walkers }, async (_, walker) => {
      const reserve = quotas({ db: walker % 2 === 0 ? one : other, day: utcDay });
      const answers: { holder: number; limit: QuotaLimit | undefined }[] = [];
      for (let step = 0; step < 60; step += 1) {
        const holder = (step + walker * 7) % 60;
        answers.push({ holder, limit: await reserve(...ask(holder), at) });
      }
      return answers;
    });
    return (await Promise.all(all)).flat();
  };
  const at = today;

  await t.test('exactly so many distinct holders are answered, each as often as it likes', async (t) => {
    const grant = grantOf({ dailyHolders: 10, dailyQuota: 10_000 });
    const answers = await asOneByOne((holder) => [grant, asking('a', `holder ${holder}`)]);
    const answered = new Set(answers.filter(({ limit }) => limit === undefined).map(({ holder }) => holder));
    t.equal(answered.size, 10);
    t.equal(
      taken(answers.map(({ limit }) => limit)),
      10 * walkers,
      'who is counted is answered every time, who is not never',
    );
    t.strictSame(new Set(answers.map(({ limit }) => limit)), new Set([undefined, 'dailyHolders']));
  });

  await t.test('lookups: exactly the limit, of an officer and of all', async (t) => {
    const grant = grantOf({ dailyQuota: 50, officerDailyQuota: 20 });
    const answers = await asOneByOne((i) => [grant, asking(`officer ${i % 2}`)]);
    t.equal(taken(answers.map(({ limit }) => limit)), 40, 'two officers with 20 each');
    const others = await Promise.all(
      Array.from({ length: 60 }, (_, i) => processOf(i)(grant, asking(`officer ${i}x`), at)),
    );
    t.equal(taken(others), 10, 'what they were refused was not charged to the others; the grant has 50');
    t.equal(others.filter((limit) => limit === 'dailyQuota').length, 50);
  });

  await t.test('many grants in opposite orders: nobody waits in a circle', async (t) => {
    const grants = Array.from({ length: 40 }, () => grantOf({ dailyHolders: 3, officerDailyHolders: 2 }));
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, round) =>
        Promise.all([
          ...grants.map((grant) => first(grant, asking(`o${round % 3}`, `h${round}`), at)),
          ...grants.toReversed().map((grant) => second(grant, asking(`o${round % 3}`, `h${round}`), at)),
        ]),
      ),
    );
    // Both processes ask for the same ten holders: of each grant three are answered, twice each.
    t.equal(taken(answers.flat()), 40 * 3 * 2);
  });
});

await t.test('an officer who is used up stops nobody else, and the next day starts anew', async (t) => {
  const { first, second } = await two(t);
  const grant = grantOf({ officerDailyHolders: 2, officerDailyQuota: 5, dailyHolders: 4 });
  t.equal(await first(grant, asking('a', '1'), days[0]), undefined);
  t.equal(await second(grant, asking('a', '2'), days[0]), undefined);
  for (let i = 3; i < 20; i += 1) {
    t.equal(await first(grant, asking('a', `${i}`), days[0]), 'officerDailyHolders', 'enumeration ends here');
  }
  t.equal(await first(grant, asking('a', '2'), days[0]), undefined, 'the same holder again never counts twice');
  t.equal(await second(grant, asking('b', '3', '4'), days[0]), undefined, 'two holders of one certificate');
  t.equal(await second(grant, asking('c', '5'), days[0]), 'dailyHolders', 'four in all');
  t.equal(await second(grant, asking('c', '4', '5'), days[0]), 'dailyHolders', 'all of a certificate or nothing');
  t.equal(await second(grant, asking('c', '4', '1'), days[0]), undefined, 'those four anybody may ask about');
  t.equal(await first(grant, asking('a', '1'), days[0]), undefined);
  t.equal(await first(grant, asking('a', '1'), days[0]), undefined);
  t.equal(await first(grant, asking('a', '1'), days[0]), 'officerDailyQuota');
  t.equal(await first(grant, asking('a', '9'), days[1]), undefined, 'the next day');
  t.equal(await second(grant, asking('c', '8'), days[1]), undefined);
});

await t.test('grants without such limits cost one plain statement, those with them one as well', async (t) => {
  const { one, superuserUrl } = await two(t);
  const statements: string[] = [];
  const counted: Database = {
    ...one,
    query: (statement, values) => {
      statements.push(statement.name);
      return one.query(statement, values);
    },
  };
  const reserve = quotas({ db: counted, day: utcDay });
  const unasked: Asked = {
    officerKey: () => t.fail('no officer is needed') as never,
    holderKeys: () => t.fail('no holder is needed') as never,
  };
  const plain = grantOf({ dailyQuota: 30 });
  t.equal(taken(await Promise.all(Array.from({ length: 40 }, () => reserve(plain, unasked, today)))), 30);
  t.strictSame(statements, ['grant_usage_add']);
  t.equal(await reserve(plain, unasked, today), 'dailyQuota');
  statements.length = 0;
  const limited = grantOf({ dailyHolders: 3, officerDailyQuota: 5 });
  await Promise.all(Array.from({ length: 40 }, (_, i) => reserve(limited, asking('a', `${i}`), today)));
  t.strictSame(statements, ['grant_usage_take']);
  const onlyOfficers = grantOf({ officerDailyQuota: 1 });
  const holdersUnread: Asked = { ...asking('a'), holderKeys: unasked.holderKeys };
  t.equal(await reserve(onlyOfficers, holdersUnread, today), undefined, 'nobody is read for a limit of lookups');
  const kept = await runSql(
    superuserUrl,
    `select grant_id, count(*)::int as rows from grant_holder_usage group by grant_id`,
  );
  t.strictSame(kept.rows, [{ grant_id: limited.grantId, rows: 3 }], 'what no limit needs is not kept');
  const relaxed = await runSql(superuserUrl, 'show synchronous_commit');
  t.match(relaxed.rows, [{ synchronous_commit: 'on' }]);
  const setting = { name: 'setting', text: `select current_setting('synchronous_commit') as setting` };
  const rows = await one.query(setting, []);
  t.match(rows, [{ setting: 'on' }], 'the relaxed commit is local to the counter');
});

await t.test('days that are over are forgotten, in small deletes', async (t) => {
  const { first, one, superuserUrl } = await two(t);
  const grant = grantOf({ dailyHolders: 5, officerDailyHolders: 5 });
  for (const at of ['2026-11-19T23:59:00Z', '2026-11-20T00:00:00Z', '2026-11-22T00:00:00Z']) {
    t.equal(await first(grant, asking('a', '1'), new Date(at)), undefined);
  }
  await runSql(
    superuserUrl,
    `insert into grant_holder_usage select '2026-11-01', '${randomUUID()}', '', int4send(n) from generate_series(1, 4500) n`,
  );
  await purgeUsage(one, '2026-11-20');
  for (const table of ['grant_holder_usage', 'grant_officer_usage']) {
    const { rows } = await runSql(
      superuserUrl,
      `select distinct to_char(day, 'YYYY-MM-DD') as day from ${table} order by 1`,
    );
    t.strictSame(rows, [{ day: '2026-11-20' }, { day: '2026-11-22' }], table);
  }
});
