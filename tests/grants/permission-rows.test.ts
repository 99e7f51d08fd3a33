import t from 'tap';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import { run } from '../../src/cli/fsck.ts';
import { permissionChecks } from '../../src/grants/check-permissions.ts';
import { forgetEnded } from '../../src/grants/ticket-store.ts';
import { samples } from '../api/samples.ts';
import { startWorld } from '../api/world.ts';
import { testDatabase } from '../support/database.ts';
import { startHub } from '../support/start-hub.ts';

// Commands refuse a database that does not sync.
const world = await startWorld(t, { database: await testDatabase(t, { fsync: true }) });
const { hub, sql, client } = world;
const ticket = async (): Promise<string> => {
  const { body } = await samples.issueTicket(world);
  return (await expectAnswer<{ ticketId: string }>(client('school-enrolment').post('/v1/tickets', body), 201)).ticketId;
};
const code = async (): Promise<string> => {
  const { body } = await samples.issueHolderCode(world);
  return (await expectAnswer<{ codeId: string }>(client('citizen-portal').post('/v1/holder-codes', body), 201)).codeId;
};
/** Rows and findings of every check, taken page by page. */
async function checked(): Promise<Record<string, { rows: number; wrong: string[] }>> {
  const told: Record<string, { rows: number; wrong: string[] }> = {};
  for (const { name, page } of permissionChecks({ db: hub.db, keys: hub.core.keys })) {
    const sum = { rows: 0, wrong: [] as string[] };
    for (let after: string | null | undefined = null; after !== undefined; ) {
      const found: Awaited<ReturnType<typeof page>> = await page(after);
      sum.rows += found.rows;
      sum.wrong.push(...found.found.map(({ code: what, place }) => `${what} ${place.table ?? ''} ${place.row ?? ''}`));
      ({ after } = found);
    }
    told[name] = sum;
  }
  return told;
}

const [ticketId, otherTicket] = [await ticket(), await ticket()];
const [codeId, otherCode] = [await code(), await code()];

await t.test('the self-check opens every row and says how many', async (t) => {
  t.strictSame(await checked(), {
    tickets: { rows: 2, wrong: [] },
    holder_codes: { rows: 2, wrong: [] },
  });
  const text: string[] = [];
  const exit = await run([], {
    env: {
      DATABASE_URL: hub.database.serviceUrl,
      CERTHUB_MODE: 'demo',
      CERTHUB_ISSUER: 'http://hub.test',
      CERTHUB_KEYS_DIR: 'keys-example',
    },
    stdout: { write: (line) => text.push(line) },
    stderr: { write: (line) => text.push(line) },
  });
  t.match(text.join(''), /2 tickets, 2 one-time codes looked at/, `exit ${exit}`);
});

await t.test('invariant 4: rows that were written past the hub are found', async (t) => {
  const changes: readonly (readonly [table: string, key: string, id: string, changes: readonly string[]])[] = [
    [
      'tickets',
      'ticket_id',
      ticketId,
      [
        'uses = uses + 1',
        `expires_at = 'infinity'`,
        `expires_at = expires_at + interval '1 second'`,
        `client_id = 'housing-allocation'`,
        `ticket_hash = sha256('x')`,
        `box = (select box from tickets where ticket_id = '${otherTicket}')`,
        `box = ''`,
      ],
    ],
    [
      'holder_codes',
      'code_id',
      codeId,
      [
        `expires_at = 'infinity'`,
        `expires_at = expires_at + interval '1 second'`,
        `client_id = 'tax-issuer'`,
        `code_hash = sha256('x')`,
        `box = (select box from holder_codes where code_id = '${otherCode}')`,
        `box = ''`,
      ],
    ],
  ];
  for (const [table, key, id, ways] of changes) {
    await sql(`create table kept_${table} as select * from ${table} where ${key} = $1`, [id]);
    for (const way of ways) {
      await sql(`update ${table} set ${way} where ${key} = $1`, [id]);
      const { [table]: found, ...others } = await checked();
      t.strictSame(found?.wrong, [`registry_wrong ${table} ${id}`], `${table}: ${way}`);
      t.ok(Object.values(others).every(({ wrong }) => wrong.length === 0));
      await sql(`delete from ${table} where ${key} = $1`, [id]);
      await sql(`insert into ${table} select * from kept_${table}`);
    }
  }
  t.ok(Object.values(await checked()).every(({ wrong }) => wrong.length === 0));
});

await t.test('more rows than a page', async (t) => {
  await sql(
    `insert into tickets select gen_random_uuid(), sha256(n::text::bytea), client_id, uses, 0, expires_at, null, box
     from tickets, generate_series(1, 2500) n where ticket_id = $1`,
    [ticketId],
  );
  const { tickets } = await checked();
  t.match([tickets?.rows, tickets?.wrong.length], [2_502, 2_500]);
  await sql('delete from tickets where ticket_id not in ($1, $2)', [ticketId, otherTicket]);
});

await t.test('what has ended is forgotten after thirty days, every hour and at the start', async (t) => {
  const ended = async (days: number): Promise<void> => {
    await sql(`update tickets set expires_at = now() - interval '${days} days' where ticket_id = $1`, [ticketId]);
    await sql(`update holder_codes set expires_at = now() - interval '${days} days' where code_id = $1`, [codeId]);
  };
  const left = async (): Promise<unknown> =>
    (
      await sql(
        'select (select count(*)::int from tickets) as tickets, (select count(*)::int from holder_codes) as codes',
      )
    )[0];
  await ended(29);
  await startHub(t, { database: hub.database, register: false });
  t.match(await left(), { tickets: 2, codes: 2 });
  await ended(31);
  await startHub(t, { database: hub.database, register: false });
  t.match(await left(), { tickets: 1, codes: 1 }, 'under the service’s own role');
  await sql(
    `insert into tickets select gen_random_uuid(), sha256(n::text::bytea), client_id, uses, 0, now() - interval '40 days', null, box
     from tickets, generate_series(1, 4100) n`,
  );
  await forgetEnded(hub.db, new Date());
  t.match(await left(), { tickets: 1, codes: 1 }, 'in more deletes than one');
});
