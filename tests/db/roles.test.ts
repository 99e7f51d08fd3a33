import t from 'tap';
import { runSql, testDatabase } from '../support/database.ts';

const appendOnly = ['records', 'certificate_events'];

await t.test('invariant 6: append-only means append-only', async (t) => {
  const { serviceUrl, sequencerUrl, ownerUrl } = await testDatabase(t);
  const partition = (
    await runSql(
      ownerUrl,
      `select inhrelid::regclass::text as name from pg_inherits where inhparent = 'records'::regclass limit 1`,
    )
  ).rows[0] as { name: string };
  const tables = [...appendOnly, partition.name];

  for (const [role, url] of Object.entries({ service: serviceUrl, sequencer: sequencerUrl })) {
    await t.test(`the ${role} cannot change, remove or hide what was written`, async (t) => {
      for (const table of tables) {
        const column = table === 'certificate_events' ? 'series' : 'action';
        for (const statement of [
          `update ${table} set ${column} = 'x'`,
          `delete from ${table}`,
          `truncate ${table}`,
          `drop table ${table}`,
          `alter table ${table} disable trigger all`,
          `alter table ${table} owner to certhub_service`,
          `alter table ${table} add column more int`,
          `create rule quiet as on insert to ${table} do instead nothing`,
          `create trigger quiet before insert on ${table} for each row execute function suppress_redundant_updates_trigger()`,
          `create policy quiet on ${table} using (false)`,
          `merge into ${table} using (select 1) as one on true when matched then delete`,
          `select * from ${table} for update`,
        ]) {
          await t.rejects(runSql(url, statement), { code: '42501' }, statement);
        }
        // A grant without any right to grant is a warning in PostgreSQL: what counts is that nothing was given.
        await runSql(
          url,
          `grant update, delete, truncate on ${table} to certhub_service, certhub_sequencer, public`,
        ).catch(() => undefined);
        await t.rejects(runSql(url, `delete from ${table}`), { code: '42501' }, 'a grant to oneself gives nothing');
      }
      for (const statement of [
        'alter table records detach partition ' + partition.name,
        'set session_replication_role = replica',
        'set role certhub_owner',
        'set session authorization certhub_owner',
        'grant certhub_owner to current_user',
        'create table public.mine (n int)',
        'create schema mine',
        'create role mine',
        'alter role certhub_service_login superuser',
        'alter default privileges for role certhub_owner grant delete on tables to certhub_service',
        'drop owned by certhub_owner',
        'reassign owned by certhub_owner to current_user',
        `copy records to program 'true'`,
        `update pg_class set relacl = null where relname = 'records'`,
        'alter database certhub owner to current_user',
      ]) {
        await t.rejects(runSql(url, statement), { code: /^(42501|0LP01|42809|28000)$/ }, statement);
      }
    });
  }

  await t.test('and nobody else has the right: privileges as the catalogue lists them', async (t) => {
    const { rows } = await runSql(
      ownerUrl,
      `select relname, grantee::regrole::text as grantee, privilege_type as privilege
       from pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner)))
       where relname = any($1) and grantee::regrole::text <> 'certhub_owner' order by 1, 2, 3`.replace(
        '$1',
        `'{${tables.join()}}'`,
      ),
    );
    const harmful = (rows as { privilege: string }[]).filter(
      ({ privilege }) => !['INSERT', 'SELECT'].includes(privilege),
    );
    t.strictSame(harmful, []);
    t.ok(
      rows.some(
        (row: { relname: string; grantee: string; privilege: string }) =>
          row.relname === 'records' && row.grantee === 'certhub_service' && row.privilege === 'INSERT',
      ),
    );
    const logins = await runSql(
      ownerUrl,
      `select rolname from pg_roles where rolname like 'certhub%' and (rolsuper or rolcreaterole or rolcreatedb or rolbypassrls or rolreplication)`,
    );
    t.strictSame(logins.rows, []);
    const definer = await runSql(
      ownerUrl,
      `select proname from pg_proc where prosecdef and pronamespace = 'public'::regnamespace
       and (proconfig is null or not exists (select from unnest(proconfig) as setting where setting like 'search_path=%, pg_temp'))`,
    );
    t.strictSame(definer.rows, [], 'functions that run as the owner fix their search path, with pg_temp last');
  });

  await t.test('the log: who answers cannot write it, who writes it cannot take back or record', async (t) => {
    const insertLeaf = `insert into log_leaf values (0, gen_random_uuid(), 1, now(), '\\x00')`;
    const refused: Readonly<Record<string, readonly string[]>> = {
      [serviceUrl]: [
        'update log_queue set kind = 2',
        'delete from log_queue',
        insertLeaf,
        'update log_leaf set lane = 2',
        `insert into log_tile values (0, 0, 1, sha256('x'))`,
        'update log_tile set width = 1',
        `insert into log_state values (1, 'x', 0, '', 0, '', now(), 0)`,
        'update log_state set published_size = 0',
        `insert into log_checkpoint values (0, '', '', now())`,
        `insert into log_cosignature values (0, 'x', '', '', now())`,
      ],
      [sequencerUrl]: [
        'insert into records select * from records',
        'update log_queue set kind = 2',
        `insert into log_queue values (gen_random_uuid(), 1, now(), 1, sha256('x'))`,
        'truncate log_queue',
        'update log_leaf set lane = 2',
        'delete from log_leaf',
        'delete from log_tile',
        'delete from log_state',
        `update log_checkpoint set note = ''`,
        'delete from log_checkpoint',
        `update log_cosignature set line = ''`,
        'delete from log_cosignature',
        'update erasures set mac = body',
        'select * from certificates',
      ],
    };
    for (const [url, statements] of Object.entries(refused)) {
      for (const statement of statements) await t.rejects(runSql(url, statement), { code: '42501' }, statement);
      for (const table of ['log_leaf', 'log_tile', 'log_state', 'log_checkpoint', 'log_cosignature']) {
        await t.rejects(runSql(url, `truncate ${table}`), { code: '42501' }, `truncate ${table}`);
        await t.rejects(runSql(url, `drop table ${table}`), { code: '42501' }, `drop ${table}`);
      }
    }
  });

  await t.test('the service can insert and read them', async (t) => {
    for (const table of appendOnly) {
      const { rows } = await runSql(
        serviceUrl,
        `select has_table_privilege('${table}', 'insert') and has_table_privilege('${table}', 'select') as may`,
      );
      t.strictSame(rows, [{ may: true }], table);
    }
  });
});
