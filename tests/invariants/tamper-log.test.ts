import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import t, { type Test } from 'tap';
import type { Finding, FindingCode, Place } from '../../src/audit/fsck/fsck-findings.ts';
import { personOf } from '../../src/cli/demo/people.ts';
import { runSql } from '../support/database.ts';
import { checkAll, type Evidence, lines, makeEvidence } from '../support/evidence.ts';
import { sequencerOn } from '../support/log.ts';
import { changesOf, type TableShape, tableShape } from '../support/single-byte.ts';
import { wholeRows } from '../support/tampered-rows.ts';
import { byNumber, question } from '../support/workload.ts';

type Row = Readonly<Record<string, unknown>>;

/** Tables that a superuser may change a byte of, and what must be named when he does. */
const tables: Readonly<
  Record<string, { readonly key: readonly string[]; readonly names: (place: Place, row: Row) => boolean }>
> = {
  records: { key: ['record_id'], names: (place, row) => place.record === row['record_id'] },
  log_leaf: {
    key: ['leaf_index'],
    names: (place, row) =>
      place.record === row['record_id'] ||
      place.leaf === Number(row['leaf_index']) ||
      (place.leafEnd !== undefined &&
        Number(row['leaf_index']) >= (place.leaf ?? 0) &&
        Number(row['leaf_index']) < place.leafEnd),
  },
  log_tile: {
    key: ['level', 'tile_index'],
    names: (place, row) => place.tile === `${String(row['level'])}/${String(row['tile_index'])}`,
  },
  log_checkpoint: { key: ['size'], names: (place, row) => place.checkpoint === Number(row['size']) },
  log_cosignature: {
    key: ['size', 'name'],
    names: (place, row) => place.checkpoint === Number(row['size']) || place.table === 'log_cosignature',
  },
  log_queue: { key: ['record_id'], names: (place, row) => place.record === row['record_id'] },
  log_state: {
    key: ['id'],
    names: (place) => place.table === 'log_state' || place.leafEnd !== undefined || place.leaf !== undefined,
  },
  record_months: {
    key: ['month'],
    names: (place, row) => place.record === row['seal_record_id'] || place.month === row['month'],
  },
  erasures: { key: ['erasure_id'], names: (place, row) => place.row === row['erasure_id'] },
  erasure_approvals: { key: ['erasure_id', 'record_id'], names: (place, row) => place.row === row['erasure_id'] },
  erasure_executions: {
    key: ['erasure_id'],
    names: (place, row) => place.row === row['erasure_id'] || place.record === row['record_id'],
  },
  record_releases: {
    key: ['record_id', 'changed_at'],
    names: (place, row) => place.record === row['record_id'] || place.row === row['record_id'],
  },
  key_events: { key: ['kid', 'state'], names: (place, row) => place.row === row['kid'] },
};

/** What says nothing that anybody relies on, and why. Larger changes of these times are found, see below. */
const untold: Readonly<Record<string, string>> = {
  'log_state.epoch': 'a counter: another one only makes the sequencer take over anew',
  'log_state.holder': 'a name for people',
  'log_state.lease_until': 'runs out in seconds',
  'log_checkpoint.signed_at': 'beside the order of sizes the cosignatures say when',
  'log_cosignature.received_at': 'the cosignature says when',
  'record_months.sealed_at': 'the record of the seal says when',
  'key_events.recorded_at': 'the record of the event says when',
  // The order in a list of decisions of the same moment; who decided what is under the MAC.
};

const kept = [...Object.keys(tables), 'certificates', 'certificate_versions', 'certificate_events', 'status_entries'];
const registry = ['grants', 'clients', 'client_keys', 'seal_x509'];

interface World extends Evidence {
  readonly superuser: (...sql: string[]) => Promise<pg.QueryResult>;
  readonly restore: () => Promise<void>;
  readonly find: () => Promise<readonly Finding[]>;
}

async function start(t: Test): Promise<World> {
  const evidence = await makeEvidence(t, 260);
  const { hub, policy } = evidence;
  const superuser = (...sql: string[]) => runSql(hub.database.superuserUrl, ...sql);
  // Some wait for their leaf.
  const school = evidence.clients('school-enrolment');
  for (let n = 0; n < 12; n++) await school.post('/v1/lookups', question(byNumber(personOf(401))));
  await superuser(...[...kept, ...registry].map((table) => `create table kept_${table} as table ${table}`));
  return {
    ...evidence,
    superuser,
    restore: async () => {
      const all = [...kept, ...registry];
      // Rows that others refer to come first and go last.
      await superuser(
        'begin',
        `set local session_replication_role = replica`,
        ...all.flatMap((table) => [`delete from ${table}`, `insert into ${table} select * from kept_${table}`]),
        'commit',
      );
    },
    find: async () => (await checkAll(hub.db, { policy, lateMs: 3_600_000, witnessMs: 0 })).findings.listed,
  };
}

/** Which check found how many changes of what. */
const found = new Map<string, Map<string, number>>();
function note(what: string, codes: readonly string[]): void {
  const known = found.get(what) ?? new Map<string, number>();
  for (const code of codes) known.set(code, (known.get(code) ?? 0) + 1);
  found.set(what, known);
}

const world = await start(t);
const { hub, superuser, restore, find } = world;
/** However slow the machine is. */
const patient = { policy: world.policy, lateMs: 3_600_000 };

await t.test('invariant 6: nothing is found where nobody changed anything', async (t) => {
  t.strictSame(lines(await checkAll(hub.db, patient)), []);
  t.strictSame(lines(await checkAll(hub.db, { ...patient, batch: 256 })), [], 'in small batches');
  const { figures } = await checkAll(hub.db, {
    from: world.oldMonth,
    until: world.oldMonth.replace(/\d$/, (d) => String((Number(d) + 1) % 10)),
  });
  t.match(figures, { records: 40, opened: 39, erased: 1 }, 'one month alone');
});

await t.test('invariant 6: a single byte changed by a superuser is found and named', async (t) => {
  let changes = 0;
  for (const [table, { key, names }] of Object.entries(tables)) {
    const shape = await tableShape(superuser, table);
    const rows = (await superuser(`select * from ${table} order by ${key.join(', ')}`)).rows as Row[];
    for (const group of groupsOf(table, shape, rows, key)) {
      const { made, findings } = await makeAll(group);
      for (const { name, column } of group.filter((each) => !made.includes(each))) {
        t.comment(`${name}: refused by the database`);
        note(`${table}.${column}`, ['(refused by the database)']);
      }
      for (const { name, column, row } of made) {
        const codes = [...new Set(findings.filter(({ place }) => names(place, row)).map(({ code }) => code))];
        t.ok(codes.length > 0, `${name}: ${codes.join(', ') || 'not found'}`);
        note(`${table}.${column}`, codes);
      }
      changes += made.length;
    }
  }
  t.ok(changes > 250, `${changes} changes`);
  t.strictSame(lines(await checkAll(hub.db, patient)), [], 'and put back, nothing is');
});

/** Makes the changes that the database lets a superuser make, looks, and undoes them. */
async function makeAll(group: readonly Change[]): Promise<{ made: Change[]; findings: readonly Finding[] }> {
  const made: Change[] = [];
  for (const change of group) {
    const isMade = await superuser(change.sql).then(
      () => true,
      () => false,
    );
    if (isMade) made.push(change);
  }
  const findings = await find();
  await restore();
  return { made, findings };
}

interface Change {
  readonly name: string;
  readonly column: string;
  readonly sql: string;
  readonly row: Row;
}

/** All changes of a table, in groups that each change a row at most once. */
function groupsOf(table: string, shape: TableShape, rows: readonly Row[], key: readonly string[]): Change[][] {
  const groups: { readonly taken: Set<Row>; readonly changes: Change[] }[] = [];
  let turn = 0;
  for (const { column, type, nullable } of shape) {
    if (`${table}.${column}` in untold) continue;
    for (const [at, change] of changesOf(type, nullable).entries()) {
      // Rows in turn, so that one group holds many changes; the first and the last one too.
      const fit = rows.filter((row) => change.fits(row[column]) && row['record_id'] !== world.erased);
      if (fit.length === 0) continue;
      const start = at === 0 ? 0 : at === 1 ? fit.length - 1 : turn++ * 7;
      const pick = (taken: Set<Row>): Row | undefined =>
        Array.from(fit, (_, more) => fit[(start + more) % fit.length]).find(
          (row) => row !== undefined && !taken.has(row),
        );
      let group = groups.find(({ taken }) => pick(taken) !== undefined);
      if (group === undefined) {
        group = { taken: new Set(), changes: [] };
        groups.push(group);
      }
      const row = pick(group.taken);
      if (row === undefined) continue;
      group.taken.add(row);
      const where = key
        .filter((name) => name !== 'changed_at')
        .map((name) => `${name}::text = '${textOf(row[name])}'`)
        .join(' and ');
      const sql = `update ${table} set ${column} = ${change.sql(column, row[column])} where ${where}`;
      group.changes.push({ name: `${table}.${column}: ${change.name}`, column, sql, row });
    }
  }
  return groups.map(({ changes }) => changes);
}

function textOf(value: unknown): string {
  return String(value).replaceAll("'", "''");
}

await t.test('whole rows deleted, added, exchanged, put back from yesterday', async (t) => {
  for (const [name, { sql, codes }] of Object.entries(wholeRows(world))) {
    await superuser('begin', 'set local session_replication_role = replica', ...[sql].flat(), 'commit');
    const findings = await find();
    await restore();
    const got = [...new Set(findings.map(({ code }) => code))].toSorted();
    t.strictSame(
      got.filter((code) => codes.includes(code)),
      codes.toSorted(),
      `${name}: ${got.join(', ') || 'nothing'}`,
    );
    if (codes.length === 0) t.strictSame(got, [], `${name}: nothing in the database tells`);
    note(name, got);
  }
  t.strictSame(lines(await checkAll(hub.db, patient)), []);
});

await t.test('rows from before a withdrawal, genuine in themselves', async (t) => {
  const { clients, certificates } = world;
  const issuer = clients('psb-issuer');
  await superuser(
    'drop table if exists older',
    `create table older as select * from certificates where identifier = '${certificates.valid}'`,
  );
  const events = 'create table older_events as table certificate_events';
  const statuses = 'create table older_statuses as table status_entries';
  await superuser(events, statuses);
  const body = { action: 'revoke', revocationReason: 'issued_in_error', reason: '信息有误' };
  const reply = await issuer.post(`/v1/certificates/${certificates.valid}/status-changes`, body);
  t.equal(reply.status, 200);
  await world.publish();
  await world.witness();
  await superuser(
    ...[...kept, ...registry].flatMap((table) => [
      `drop table kept_${table}`,
      `create table kept_${table} as table ${table}`,
    ]),
  );
  const back = [
    'delete from certificates c using older o where c.version_id = o.version_id',
    'insert into certificates select * from older',
  ];
  const all = [
    ...back,
    'delete from certificate_events',
    'insert into certificate_events select * from older_events',
    'delete from status_entries',
    'insert into status_entries select * from older_statuses',
  ];
  const expect = async (name: string, sql: readonly string[], codes: readonly FindingCode[]): Promise<void> => {
    await superuser('begin', 'set local session_replication_role = replica', ...sql, 'commit');
    const got = [...new Set((await find()).map(({ code }) => code))].toSorted();
    await restore();
    t.strictSame(got, codes.toSorted(), name);
    note(name, got);
  };
  await expect('an older certificate row', back, ['events_missing', 'status_wrong', 'steps_unrecorded']);
  await expect('an older certificate row, its status and its events', all, ['steps_unrecorded']);

  const { grantId, clientId, kid, sha256 } = world.revoked;
  const alive = {
    grants: [`grant_id = '${grantId}'`, 'revoked_at'],
    clients: [`client_id = '${clientId}'`, 'disabled_at'],
    client_keys: [`client_id = '${clientId}' and kid = '${kid}'`, 'revoked_at'],
    seal_x509: [`encode(sha256, 'hex') = '${sha256}'`, 'revoked_at'],
  } as const;
  for (const [table, [where, column]] of Object.entries(alive)) {
    const row = await oldRow(table, where, column);
    await expect(`${table}: the row from before it was withdrawn`, [row], ['registry_replayed']);
  }
});

/** The row as it was before: what the hub itself would have written, MAC included. */
async function oldRow(table: string, where: string, column: string): Promise<string> {
  const { withdrawnMac } = await import('../support/old-rows.ts');
  const [row] = (await superuser(`select * from ${table} where ${where}`)).rows as Row[];
  const mac = withdrawnMac(table, { ...row, [column]: null });
  return `update ${table} set ${column} = null, mac = '\\x${mac.toString('hex')}' where ${where}`;
}

await t.test('on a hub at work nothing is found', async (t) => {
  const sequencer = sequencerOn(t, hub.database);
  const school = world.clients('school-enrolment');
  let [asking, asked] = [true, 0];
  const load = Promise.all(
    [0, 1, 2, 3].map(async (lane) => {
      while (asking) {
        await school.post('/v1/lookups', question(byNumber(personOf(401 + (lane % 3)))));
        asked += 1;
      }
    }),
  );
  for (let round = 0; round < 6; round++) {
    t.strictSame(
      lines(await checkAll(hub.db, { policy: world.policy, batch: 256, witnessMs: 3_600_000 })),
      [],
      `round ${round}`,
    );
    await sleep(50);
  }
  asking = false;
  await load;
  await sequencer.settled();
  await sequencer.stop();
  t.ok(asked > 20, `${asked} lookups meanwhile`);
  t.strictSame(lines(await checkAll(hub.db, { lateMs: 0 })), [], 'and afterwards');
});

await t.test('what is late, and what witnesses have not seen, is found after its time', async (t) => {
  await world.clients('school-enrolment').post('/v1/lookups', question(byNumber(personOf(401))));
  await sleep(20);
  t.match(lines(await checkAll(hub.db, { lateMs: 0 })), [/^record_late /]);
  const behind = await checkAll(hub.db, { policy: world.policy, witnessMs: 0 });
  t.match(lines(behind), [/^witness_behind /]);
});

await t.test('stopped at any batch, it goes on where it was', async (t) => {
  await superuser(
    `update records set matter_code = 'other' where record_id = (select record_id from log_leaf where leaf_index = 30)`,
  );
  const whole = await checkAll(hub.db, { batch: 256 });
  t.match(lines(whole), [/^column_wrong .*"leaf":30,.*matter_code/]);
  let state: string | undefined;
  for (let runs = 0; runs < 100; runs++) {
    const stopping = new AbortController();
    const progress = (): void => stopping.abort();
    const from = state === undefined ? undefined : (JSON.parse(state) as typeof whole);
    const reached = await checkAll(hub.db, {
      batch: 256,
      progress,
      signal: stopping.signal,
      ...(from !== undefined && { state: from }),
    });
    state = JSON.stringify(reached);
    if (reached.step === 'done') break;
  }
  const { figures, findings, step } = JSON.parse(state ?? '') as typeof whole;
  t.equal(step, 'done');
  t.strictSame({ ...figures, elapsedMs: 0 }, { ...whole.figures, elapsedMs: 0 });
  t.strictSame(findings, whole.findings);
  await restore();
});

const width = Math.max(...Array.from(found.keys(), (name) => name.length));
t.comment(
  [
    'which check found which change',
    ...Array.from(
      found,
      ([name, codes]) =>
        `${name.padEnd(width)}  ${Array.from(codes, ([code, times]) => `${code} ${times}`).join(', ')}`,
    ),
  ].join('\n'),
);
