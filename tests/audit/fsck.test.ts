import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { noTree, walkTree } from '../../src/audit/fsck/fsck-tree.ts';
import { encodeBody } from '../../src/audit/record-body.ts';
import { run } from '../../src/cli/fsck.ts';
import { commitFramed, commitRecord } from '../../src/verification/commitment.ts';
import { appendLeaf, emptyEdge, leafHash, rootOfEdge } from '../../src/verification/merkle.ts';
import { tileRoot } from '../../src/verification/tiles.ts';
import { runSql, type TestDatabase, testDatabase } from '../support/database.ts';
import { sequencerOn, soon } from '../support/log.ts';
import { fillMonth } from '../support/old-month.ts';
import { exampleKeys } from '../support/start-hub.ts';

const seed = 20_261_122;

await t.test('the quick commitment is the commitment', async (t) => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  const value = fc.oneof(
    fc.constant(null),
    fc.string({ unit: 'grapheme', maxLength: 40 }),
    fc.array(fc.nat()),
    fc.constant('长'.repeat(4_000)),
  );
  const values = fc.record({ action: value, client: value, scope: value, detail: value, requestId: value });
  fc.assert(
    fc.property(bytes(16), bytes(32), values, (id, salt, said) => {
      const { commitment, canonical } = commitRecord(id, salt, said);
      const framed = encodeBody(salt, canonical).subarray(33);
      return commitFramed(id, salt, framed) === commitment.toString('hex');
    }),
    { seed, numRuns: 200 },
  );
  const { canonical } = commitRecord(new Uint8Array(16), new Uint8Array(32), { action: 'x' });
  const framed = encodeBody(new Uint8Array(32), canonical).subarray(33);
  for (const wrong of [
    framed.subarray(1),
    framed.subarray(0, -1),
    Buffer.concat([framed, Buffer.alloc(4)]),
    Buffer.alloc(0),
  ]) {
    t.equal(commitFramed(new Uint8Array(16), new Uint8Array(32), wrong), undefined);
  }
});

await t.test('the walk gives every root and every full tile, also when it was interrupted', async (t) => {
  const tiles = new Map<string, Buffer>();
  const full = ({ level, index, hashes }: { level: number; index: number; hashes: Buffer }) =>
    void tiles.set(`${level}/${index}`, hashes);
  let tree = walkTree(noTree, full);
  const edge = emptyEdge();
  t.same(tree.root(), rootOfEdge(edge));
  const leaves = Array.from({ length: 66_000 }, (_, at) => leafHash(Buffer.from(`leaf ${at}`)));
  for (const [at, leaf] of leaves.entries()) {
    tree.append(leaf);
    appendLeaf(edge, leaf);
    const isSample = at % 997 === 0 || (at + 1) % 256 === 0;
    if (isSample && !tree.root().equals(rootOfEdge(edge))) t.fail(`root of ${at + 1}`);
    if (at % 9_999 === 0) tree = walkTree(JSON.parse(JSON.stringify(tree.save())) as typeof noTree, full);
  }
  t.same(tree.root(), rootOfEdge(edge));
  t.equal(tiles.size, 257 + 1);
  t.same(tiles.get('0/3'), Buffer.concat(leaves.slice(768, 1_024)));
  const level1 = Buffer.concat(
    Array.from({ length: 256 }, (_, at) => tileRoot(tiles.get(`0/${at}`) ?? Buffer.alloc(32))),
  );
  t.same(tiles.get('1/0'), level1);
  t.same(tree.edge(1), tileRoot(tiles.get('0/256') ?? Buffer.alloc(32)));
});

interface Command {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function commandOn(database: TestDatabase) {
  return async (...argv: string[]): Promise<Command> => {
    const [out, err]: [string[], string[]] = [[], []];
    const code = await run(argv, {
      stdout: { write: (text) => out.push(text) },
      stderr: { write: (text) => err.push(text) },
      env: {
        CERTHUB_MODE: 'demo',
        CERTHUB_KEYS_DIR: 'keys-example',
        CERTHUB_ISSUER: 'http://hub.test',
        DATABASE_URL: database.serviceUrl,
      },
    });
    return { code, out: out.join(''), err: err.join('') };
  };
}

async function filled(t: Test): Promise<TestDatabase> {
  // Commands refuse a database that does not sync.
  const database = await testDatabase(t, { fsync: true });
  await fillMonth(database, exampleKeys, { month: '2026-03', count: 600 });
  const sequencer = sequencerOn(t, database);
  await soon(sequencer.settled(), 'everything published');
  await sequencer.stop();
  return database;
}

await t.test('certhub fsck', async (t) => {
  const database = await filled(t);
  const command = commandOn(database);
  const folder = mkdtempSync(join(tmpdir(), 'certhub-fsck-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const state = join(folder, 'state.json');

  await t.test('0: nothing found', async (t) => {
    t.match(await command(), { code: 0, out: /600 leaves[^]*600 looked at, 600 whole[^]*nothing found/ });
    const { code, out } = await command('--json', '--state', state);
    t.equal(code, 0);
    t.match(JSON.parse(out), { finished: true, size: 600, figures: { opened: 600 }, count: 0, findings: [] });
    t.notOk(existsSync(state), 'a state that is used up is removed');
    t.match(await command(), { out: /witnesses: cosignatures not checked: no policy/ });
    t.match(await command('--from', '2026-04'), { code: 0, out: /no record of these months/ });
    t.match(JSON.parse((await command('--json', '--from', '2026-04')).out), { figures: { leaves: 600, records: 0 } });
  });

  await t.test('1: findings', async (t) => {
    const where = `where record_id = (select record_id from log_leaf where leaf_index = 333)`;
    await runSql(database.superuserUrl, `update records set client_id = 'somebody-else' ${where}`);
    t.match(await command(), {
      code: 1,
      out: /1 FINDING\ncolumn_wrong leaf=333 record=[-0-9a-f]{36} columns=client_id: [^]*do not repair anything[^]*不要修复/,
    });
    const { findings, counts } = JSON.parse((await command('--json')).out) as { findings: unknown[]; counts: unknown };
    t.match(findings, [{ code: 'column_wrong', place: { leaf: 333, columns: ['client_id'] }, says: String }]);
    t.same(counts, { column_wrong: 1 });
    t.match(
      await command('--from', '2026-04'),
      { code: 0 },
      'of a month that was not asked for only leaf and tree are checked',
    );
    await runSql(database.superuserUrl, `update records set client_id = 'school-enrolment' ${where}`);
  });

  await t.test('2: wrong usage', async (t) => {
    for (const argv of [
      ['--nonsense'],
      ['--from', '2026-13'],
      ['--from', '2026-05', '--until', '2026-05'],
      ['--late', 'x'],
    ]) {
      t.match(await command(...argv), { code: 2, out: '', err: /certhub fsck: / }, argv.join(' '));
    }
    t.match(await command('--policy', join(folder, 'none')), { code: 2, err: /cannot be read/ });
    for (const content of ['', '{}', '{"format":"certhub-fsck/1","lateMs":1}']) {
      writeFileSync(state, content);
      t.match(await command('--state', state), { code: 2, err: /remove it to begin anew/ });
    }
    rmSync(state);
    t.match(await command('--help'), { code: 0, out: /^certhub fsck/ });
  });

  await t.test('3: could not finish, and goes on where it was', async (t) => {
    t.match(await commandOn({ ...database, serviceUrl: 'postgresql://nobody@127.0.0.1:1/none' })(), { code: 3 });
    // Ctrl-C while it runs.
    const stopped = command('--state', state);
    process.emit('SIGINT');
    const { code, out } = await stopped;
    t.equal(code, 3);
    t.match(out, /STOPPED before the end/);
    t.match(JSON.parse(readFileSync(state, 'utf8')), { format: 'certhub-fsck/1', leaves: 600 });
    t.match(await command('--state', state), { code: 0, out: /600 looked at, 600 whole/ });
  });

  await t.test('the log of another name, and without its keys', async (t) => {
    await runSql(database.superuserUrl, `update log_state set origin = 'other.test/log'`);
    t.match(await command(), { code: 1, out: /state_wrong table=log_state columns=origin/ });
    await runSql(database.superuserUrl, `update log_state set origin = 'hub.test/log'`);
    const note = readFileSync('package.json', 'utf8').slice(0, 40) + randomBytes(4).toString('hex');
    await runSql(
      database.superuserUrl,
      `update log_checkpoint set note = '${note.replaceAll("'", '')}' where size = 600`,
    );
    t.match(await command(), { code: 1, out: /checkpoint_malformed checkpoint=600/ });
  });
});
