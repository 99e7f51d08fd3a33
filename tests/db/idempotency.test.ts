import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import t from 'tap';
import { connect } from '../../src/db/database.ts';
import { type Box, findReplay, idempotently, purgeIdempotencyKeys } from '../../src/db/idempotent.ts';
import { Refusal } from '../../src/errors.ts';
import { runSql, testDatabase } from '../support/database.ts';

t.setTimeout(60_000);

const key = randomBytes(32);
const box: Box = {
  seal: (plain, boundTo) => {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(boundTo);
    return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  },
  open: (sealed, boundTo) => {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12)).setAAD(boundTo);
    decipher.setAuthTag(sealed.subarray(-16));
    return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
  },
};
const fingerprint = (text: string) => createHash('sha256').update(text).digest();
const request = (name: string, content = 'a', operation = 'push') => ({
  clientId: 'school-enrolment',
  key: name,
  operation,
  fingerprint: fingerprint(content),
  box,
});

await t.test('invariant 8: a key has one effect and one answer', async (t) => {
  const database = await testDatabase(t);
  await runSql(database.ownerUrl, 'create table effects (n int)', 'grant select, insert on effects to certhub_service');
  const open = (max: number) => {
    const db = connect({ url: database.serviceUrl, max, statementTimeoutMs: 5_000, applicationName: 'test' });
    t.teardown(() => db.close());
    return db;
  };
  const db = open(20);
  const effects = async () =>
    (await runSql(database.ownerUrl, 'select count(*)::int as n from effects')).rows as unknown[];
  const work = (answer: unknown) => async (trx: Parameters<Parameters<typeof idempotently>[2]>[0]) => {
    await sql`insert into effects values (1)`.execute(trx);
    await sleep(20);
    return { status: 201, body: answer };
  };

  await t.test('50 duplicates at once over two pools, as of two processes', async (t) => {
    const other = open(20);
    const all = Array.from({ length: 50 }, (_, n) =>
      idempotently(n % 2 === 0 ? db : other, request('k1'), work({ number: n, name: '甲' })),
    );
    const answers = await Promise.all(all);
    t.strictSame(await effects(), [{ n: 1 }]);
    const [first] = answers.filter(({ replayed }) => !replayed);
    t.equal(answers.filter(({ replayed }) => !replayed).length, 1);
    for (const { status, body } of answers) t.strictSame({ status, body }, { status: 201, body: first?.body });
  });

  await t.test('a later retry gets the stored answer, without running anything', async (t) => {
    const again = await idempotently(db, request('k1'), () => t.fail('ran again') as never);
    t.match(again, { status: 201, replayed: true, body: { name: '甲' } });
    t.strictSame(await findReplay(db, request('k1')), again);
    t.equal(await findReplay(db, request('never used')), undefined);
    t.strictSame(await effects(), [{ n: 1 }]);
  });

  await t.test('another request under the same key is refused; another client has its own keys', async (t) => {
    for (const other of [request('k1', 'b'), request('k1', 'a', 'review')]) {
      await t.rejects(idempotently(db, other, work({})), { code: 'idempotency_conflict' });
      await t.rejects(findReplay(db, other), { code: 'idempotency_conflict' });
    }
    t.strictSame(await effects(), [{ n: 1 }]);
    t.match(await idempotently(db, { ...request('k1', 'b'), clientId: 'tax' }, work(null)), {
      replayed: false,
      body: null,
    });
  });

  await t.test('a refusal leaves no key: a corrected retry works', async (t) => {
    const before = await effects();
    const refused = idempotently(db, request('k2', 'wrong'), async (trx) => {
      await sql`insert into effects values (1)`.execute(trx);
      throw new Refusal('field_missing');
    });
    await t.rejects(refused, { code: 'field_missing' });
    t.strictSame(await effects(), before);
    t.match(await idempotently(db, request('k2', 'right'), work('done')), {
      status: 201,
      body: 'done',
      replayed: false,
    });
  });

  await t.test('what goes out first is what is replayed', async (t) => {
    const body = { at: new Date(0), gone: undefined, list: [undefined] };
    const first = await idempotently(db, request('k3'), async () => ({ status: 200, body }));
    const second = await idempotently(db, request('k3'), work({}));
    t.strictSame(first.body, { at: '1970-01-01T00:00:00.000Z', list: [null] });
    t.strictSame(second.body, first.body);
  });

  await t.test('a duplicate whose first is still running after the lock timeout is told so', async (t) => {
    let release = () => undefined as void;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const impatient = connect({
      url: `${database.serviceUrl}&options=-c%20lock_timeout%3D200`,
      max: 1,
      statementTimeoutMs: 5_000,
      applicationName: 'test',
    });
    t.teardown(() => impatient.close());
    const first = idempotently(db, request('k4'), async () => {
      await held;
      return { status: 200, body: 1 };
    });
    await sleep(100);
    await t.rejects(idempotently(impatient, request('k4'), work({})), { code: 'idempotency_in_flight' });
    release();
    t.match(await first, { replayed: false });
    t.match(await idempotently(impatient, request('k4'), work({})), { replayed: true, body: 1 });
  });

  await t.test('invariants 4 and 5: the stored answer is encrypted and bound to its row', async (t) => {
    await idempotently(db, request('k5'), async () => ({ status: 200, body: { name: '王小明' } }));
    const { rows } = await runSql(database.ownerUrl, 'select * from idempotency_keys');
    const all = Buffer.concat(
      rows.flatMap((row: object) => Object.values(row).filter((value) => Buffer.isBuffer(value))),
    );
    t.notOk(all.includes('王小明'));
    t.notOk(JSON.stringify(rows).includes('"k5"'), 'the key itself is not stored');
    await runSql(database.ownerUrl, `update idempotency_keys set status = 201 where status = 200`);
    await t.rejects(idempotently(db, request('k5'), work({})), { code: 'stored_data_tampered' });
  });

  await t.test('keys are forgotten after their time, not before', async (t) => {
    await runSql(database.superuserUrl, 'truncate idempotency_keys');
    for (const name of ['old-1', 'old-2', 'young']) await idempotently(db, request(name), work({}));
    await runSql(
      database.superuserUrl,
      `update idempotency_keys set created_at = now() - interval '8 days' where key_hash <> sha256('young')`,
    );
    t.equal(await purgeIdempotencyKeys(db, new Date(Date.now() - 7 * 86_400_000)), 2);
    t.match(await idempotently(db, request('young'), work({})), { replayed: true });
    t.match(await idempotently(db, request('old-1'), work({})), { replayed: false });
  });
});
