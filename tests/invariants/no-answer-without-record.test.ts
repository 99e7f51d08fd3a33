import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import t from 'tap';
import { insertRecords } from '../../src/audit/store.ts';
import type { Reply } from '../../src/cli/api-client.ts';
import { demoTypes } from '../../src/cli/demo/certificates.ts';
import { personOf } from '../../src/cli/demo/people.ts';
import { startEmbedded } from '../../src/db/embedded.ts';
import { checkStore, countRows } from '../support/check-records.ts';
import { runSql } from '../support/database.ts';
import { type FaultyInsert, faultyInsert } from '../support/faulty.ts';
import { exampleKeys, startHub } from '../support/start-hub.ts';
import {
  application,
  byNumber,
  certificateUpTo,
  clientsOf,
  codeOf,
  databaseOf,
  grant,
  note,
  noted,
  permitOf,
  personal,
  proveTold,
  question,
  unavailable,
  until,
  verdictBody,
} from '../support/workload.ts';

type Test = Parameters<typeof startHub>[0];

const permits = [{ certificateTypeCode: demoTypes.residencePermit }];
const isLinux = process.platform === 'linux';

/** A hub whose recorder obeys, with one certificate in it. */
async function startFaulty(t: Test) {
  let faulty: FaultyInsert | undefined;
  const hub = await startHub(t, {
    insertAll: (db) => {
      faulty = faultyInsert((rows) => insertRecords(db, rows));
      return faulty.insertAll;
    },
  });
  if (faulty === undefined) throw new Error('no recorder');
  const clients = clientsOf(hub);
  const person = personOf(310);
  const identifier = await certificateUpTo(clients('psb-issuer'), permitOf(person, 'JZ-310'), 'sealed');
  await grant(clients);
  const known = question(byNumber(person), { types: permits });
  /** Every way to get something out of the hub that is recorded by itself, refusals included. */
  const ways: Readonly<Record<string, () => Promise<Reply>>> = {
    'a lookup': () => clients('school-enrolment').post('/v1/lookups', known),
    'a lookup by identifier': () =>
      clients('school-enrolment').post('/v1/lookups', question({ certificateIdentifier: identifier })),
    'a lookup that is refused': () => clients('approval-hall').post('/v1/lookups', known),
    'a lookup with a wrong number': () =>
      clients('school-enrolment').post(
        '/v1/lookups',
        question({ holder: { type: '111', number: `${person.idNumber.slice(0, 17)}?` } }),
      ),
    'the issuer looking at it': () => clients('psb-issuer').get(`/v1/certificates/${identifier}`),
    'its history': () => clients('psb-issuer').get(`/v1/certificates/${identifier}/history`),
    'an issuer looking at another one’s': () => clients('tax-issuer').get(`/v1/certificates/${identifier}`),
    'a verification': () =>
      hub.anyone.post('/v1/verifications', {
        certificateIdentifier: identifier,
        faceValues: { certificateNumber: 'JZ-310', holderName: person.name },
      }),
    'an auditor’s search': () =>
      clients('audit-office').post('/v1/audit/searches', { reason: '抽查', ...byNumber(person) }),
  };
  for (const clientId of ['school-enrolment', 'approval-hall', 'tax-issuer', 'audit-office'])
    await clients(clientId).token();
  const healthy = new Map<string, number>();
  for (const [way, run] of Object.entries(ways)) healthy.set(way, (await run()).status);
  const records = async (): Promise<number> =>
    ((await runSql(hub.database.superuserUrl, 'select count(*)::int as n from records')).rows[0] as { n: number }).n;
  return { hub, clients, person, identifier, ways, healthy, faulty, records };
}

await t.test('invariant 1: a record that cannot be written, or may have been', async (t) => {
  const { hub, clients, person, ways, healthy, faulty, records } = await startFaulty(t);
  const told = personal([person]);
  for (const fault of ['lost', 'kept'] as const) {
    for (const [way, run] of Object.entries(ways)) {
      const before = await records();
      faulty.set(fault);
      const reply = await run();
      faulty.set('none');
      t.equal(`${reply.status} ${codeOf(reply)}`, '503 record_unavailable', `${way}: ${fault}`);
      t.notMatch(JSON.stringify([reply.body, [...reply.headers]]), told, `${way}: nothing is disclosed`);
      const more = (await records()) - before;
      // What is on record was decided, even if nobody was answered; the failure to tell so is on record as well.
      t.ok(fault === 'kept' ? more >= 1 : more === 0, `${more} more records`);
      t.equal((await run()).status, healthy.get(way), 'and works again at once');
    }
  }
  const audited = await clients('audit-office').post('/v1/audit/searches', { reason: '抽查', limit: 200 });
  t.equal(audited.status, 200);
  t.strictSame(await checkStore(hub.db, exampleKeys), []);
});

await t.test('invariant 1: not a byte leaves before the record is there, and a silent recorder is none', async (t) => {
  const { hub, clients, ways, healthy, faulty } = await startFaulty(t);
  let release: (error?: Error) => void = () => undefined;
  let holding = 0;
  faulty.set(async (rows, insert) => {
    holding += rows.length;
    const error = await new Promise<Error | undefined>((resolve) => {
      release = resolve;
    });
    if (error !== undefined) throw error;
    await insert(rows);
  });
  const { port } = new URL(hub.url);
  const token = await clients('school-enrolment').token();
  const body = JSON.stringify(question(byNumber(personOf(310)), { types: permits }));
  const open = () => {
    const socket = dial(Number(port), '127.0.0.1');
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.write(
      `POST /v1/lookups HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\n` +
        `connection: close\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    return { bytes: () => socket.bytesRead, text: () => text, closed };
  };
  const first = open();
  await until('the record is on its way', async () => holding === 1);
  await sleep(300);
  t.equal(first.bytes(), 0, 'not one byte before the commit');
  release();
  await first.closed;
  t.match(first.text(), /^HTTP\/1\.1 200 /);

  const second = open();
  await until('the next one is on its way', async () => holding === 2);
  await sleep(300);
  t.equal(second.bytes(), 0);
  faulty.set('lost');
  release(Object.assign(new Error('canceling statement due to statement timeout'), { code: '57014' }));
  await second.closed;
  t.match(second.text(), /^HTTP\/1\.1 503 /);
  t.match(second.text(), /record_unavailable/);
  t.notMatch(second.text(), personal([personOf(310)]));
  faulty.set('none');

  await t.test('the table of records locked by somebody: questions and changes end in 503 by themselves', async (t) => {
    const locker = new pg.Client({ connectionString: hub.database.superuserUrl });
    await locker.connect();
    const before = await countRows(hub.db);
    await locker.query('begin; lock table records in access exclusive mode');
    const push = () =>
      clients('psb-issuer').post('/v1/certificates', permitOf(personOf(311), 'JZ-311'), 'while-locked');
    // Two are enough: each waits for the database's own patience.
    const replies = await Promise.all([
      clients('school-enrolment').post('/v1/lookups', question(byNumber(personOf(310)), { types: permits })),
      push(),
    ]);
    for (const reply of replies) {
      t.equal(reply.status, 503);
      t.match(codeOf(reply), unavailable);
      t.notMatch(JSON.stringify(reply.body), personal([personOf(310), personOf(311)]));
    }
    await locker.query('rollback');
    await locker.end();
    t.strictSame(await countRows(hub.db), before, 'a change without its record is none');
    for (const [way, run] of Object.entries(ways)) t.equal((await run()).status, healthy.get(way), way);
    t.equal((await push()).status, 201);
    t.strictSame(await checkStore(hub.db, exampleKeys), []);
  });
});

await t.test(
  'invariant 1: changes that wait for one row hold every connection, and refusals are recorded',
  async (t) => {
    const { hub, clients, ways, records } = await startFaulty(t);
    const refuse = ways['a lookup that is refused'] ?? (() => Promise.reject(new Error('no such way')));
    const ask = ways['a lookup'] ?? refuse;
    const { max } = hub.db.metrics();
    const applications: string[] = [];
    for (let i = 0; i < max; i += 1) applications.push(await application(clients, { dailyQuota: 100 + i }));
    const desk = clients('psb-grants');
    await desk.token();
    const locker = new pg.Client({ connectionString: hub.database.superuserUrl });
    await locker.connect();
    await locker.query(`begin; select * from registry_versions where topic = 'grants' for update`);
    const waiting = `select count(*)::int as n from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`;
    const writers = Promise.all(
      applications.map((id) => desk.post(`/v1/grant-applications/${id}/decisions`, verdictBody())),
    );
    await until('every connection waits for the row', async () => {
      // Not over the locker: within a transaction the view of the others stays as it was.
      const { rows } = await runSql(hub.database.superuserUrl, waiting);
      return (rows[0] as { n: number }).n === max;
    });
    const before = await records();
    const question = ask();
    // Longer than a view is believed without a new look at the database.
    await sleep(1_000);
    for (let turn = 0; turn < 5; turn++) {
      const reply = await refuse();
      t.equal(`${reply.status} ${codeOf(reply)}`, '403 grant_required', 'by what is in force now');
    }
    t.equal((await records()) - before, 5, 'each has its record');
    t.equal(hub.db.metrics().idle, 0, 'and nobody let go meanwhile');
    await locker.query('rollback');
    await locker.end();
    t.strictSame(new Set((await writers).map(({ status }) => status)), new Set([200]), 'the changes go through');
    t.equal((await question).status, 200, 'and so does the question that had to wait for a connection');
    t.strictSame(await checkStore(hub.db, exampleKeys), []);
  },
);

/** A small file system in memory, gone at teardown; a reason instead where it cannot be had. */
async function tinyDisk(t: Test, megabytes: number): Promise<string | { readonly reason: string }> {
  if (!isLinux || process.getuid?.() !== 0) return { reason: 'mounting takes root on Linux' };
  const folder = await mkdtemp(join(tmpdir(), 'certhub-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0755`, 'tmpfs', folder], { stdio: 'pipe' });
  } catch {
    await rm(folder, { recursive: true });
    return { reason: 'mounting is not allowed here' };
  }
  t.teardown(async () => {
    execFileSync('umount', ['-l', folder], { stdio: 'pipe' });
    await rm(folder, { recursive: true, force: true });
  });
  return folder;
}

await t.test('invariant 1: a full disk', async (t) => {
  const disk = await tinyDisk(t, 160);
  if (typeof disk !== 'string') return t.comment(`skipped: ${disk.reason}`);
  const settings = {
    max_wal_size: '32MB',
    min_wal_size: '32MB',
    shared_buffers: '16MB',
    wal_recycle: 'off',
    autovacuum: 'off',
  };
  const server = await startEmbedded({ dataDir: disk, settings, keepUp: true });
  const database = await databaseOf(server);
  await t.test('fills up while lookups are recorded: 503, nothing disclosed, healed once there is space', async (t) => {
    const hub = await startHub(t, { database });
    const clients = clientsOf(hub);
    const school = clients('school-enrolment');
    const person = personOf(312);
    await certificateUpTo(clients('psb-issuer'), permitOf(person, 'JZ-312'), 'sealed');
    await grant(clients);
    const told = noted();
    const purpose = { ...question({}).purpose, note: '备'.repeat(500) };
    const ask = async (): Promise<Reply> => {
      const reply = await school.post('/v1/lookups', question(byNumber(person), { types: permits, purpose }));
      note(told, reply);
      return reply;
    };
    t.equal((await ask()).status, 200);

    const ballast = join(disk, 'ballast');
    const { bavail, bsize } = await statfs(disk);
    // What is left is soon used up by records and their log.
    await writeFile(ballast, Buffer.alloc(Math.max(0, bavail * bsize - 1_500_000), 1)).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    });
    await until('the disk is full', async () => {
      const replies = await Promise.all(Array.from({ length: 16 }, ask));
      // Where sixteen records find no room, a single one may still; full is when none does.
      while (replies.length < 36 && replies.at(-1)?.status === 503) replies.push(await ask());
      return replies.every(({ status }) => status === 503);
    });
    t.ok(told.answered > 1, `${told.answered} answers before it was full`);
    t.equal((await ask()).status, 503, 'and it stays refused while it is full');
    t.strictSame(told.others, []);
    t.ok(told.unavailable.every(({ code }) => unavailable.test(code)));
    t.notMatch(JSON.stringify(told.unavailable), personal([person]));

    await rm(ballast);
    await until('it answers again', async () => (await ask()).status === 200);
    await proveTold(t, told, database);
  });
  await server.stop();
});
