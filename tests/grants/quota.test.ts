import t from 'tap';
import { connect } from '../../src/db/database.ts';
import { quotaCounter } from '../../src/grants/quota.ts';
import { type GrantId, newId } from '../../src/ids.ts';
import { runSql, testDatabase } from '../support/database.ts';

const open = (url: string) => connect({ url, max: 4, statementTimeoutMs: 5_000, applicationName: 'test' });
const utcDay = (at: Date): string => at.toISOString().slice(0, 10);

await t.test('a quota is exact over two processes and begins anew the next day', async (t) => {
  const { serviceUrl, superuserUrl } = await testDatabase(t);
  const [one, two] = [open(serviceUrl), open(serviceUrl)];
  t.teardown(async () => {
    await one.close();
    await two.close();
  });
  const counters = [quotaCounter({ db: one, day: utcDay }), quotaCounter({ db: two, day: utcDay })];
  const grant = { grantId: newId<GrantId>(), dailyQuota: 100 };
  const other = { grantId: newId<GrantId>(), dailyQuota: 3 };
  const at = new Date('2026-11-22T10:00:00Z');

  const [first, second] = counters;
  if (first === undefined || second === undefined) throw new Error('two counters');
  const taken = await Promise.all(Array.from({ length: 150 }, (_, i) => (i % 2 === 0 ? first : second)(grant, at)));
  t.equal(taken.filter(Boolean).length, 100, 'of 150 at once exactly 100 pass');
  t.equal(await first(grant, at), false, 'and none afterwards');
  t.equal(await second(grant, new Date('2026-11-23T00:00:00Z')), true, 'until the next day');
  const few = await Promise.all(Array.from({ length: 5 }, () => first(other, at)));
  t.equal(few.filter(Boolean).length, 3, 'each grant has its own');
  const { rows } = await runSql(superuserUrl, 'show synchronous_commit');
  t.match(rows, [{ synchronous_commit: 'on' }], 'the relaxed commit is local to the counter');
});
