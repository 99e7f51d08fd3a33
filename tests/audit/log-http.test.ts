import { randomUUID } from 'node:crypto';
import t from 'tap';
import { lastUsed } from '../../src/audit/log/last-used.ts';
import { openLogTiles } from '../../src/audit/log/log-tiles.ts';
import { proveRecord } from '../../src/audit/log/prove.ts';
import { operationsOf } from '../../src/http/contract.ts';
import { newId } from '../../src/ids.ts';
import { parseCheckpoint } from '../../src/verification/checkpoint.ts';
import { policyOfKeys } from '../../src/verification/log-policy.ts';
import { leafHash } from '../../src/verification/merkle.ts';
import { openNote, parseVerifierKey, type VerifierKey } from '../../src/verification/signed-note.ts';
import { decodeBundle } from '../../src/verification/tiles.ts';
import { verifyProof } from '../../src/verification/tlog-proof.ts';
import { runSql, testDatabase } from '../support/database.ts';
import { enqueue, naiveRoot, sequencerOn, someRecords, soon } from '../support/log.ts';
import { startHub, type TestHub } from '../support/start-hub.ts';

interface Got {
  readonly status: number;
  readonly type: string | null;
  readonly cache: string | null;
  readonly retryAfter: string | null;
  readonly bytes: Buffer;
  readonly text: string;
  readonly code: string | undefined;
}

const asker =
  ({ url }: TestHub) =>
  async (path: string): Promise<Got> => {
    const { status, headers, ...answer } = await fetchWhole(`${url}${path}`);
    const text = answer.bytes.toString('utf8');
    const isProblem = headers.get('content-type')?.includes('problem') === true;
    return {
      status,
      type: headers.get('content-type'),
      cache: headers.get('cache-control'),
      retryAfter: headers.get('retry-after'),
      bytes: answer.bytes,
      text,
      code: isProblem ? (JSON.parse(text) as { code: string }).code : undefined,
    };
  };

async function fetchWhole(url: string): Promise<{ status: number; headers: Headers; bytes: Buffer }> {
  const answer = await fetch(url);
  return { status: answer.status, headers: answer.headers, bytes: Buffer.from(await answer.arrayBuffer()) };
}

const keysOf = (text: string): VerifierKey[] =>
  text
    .trimEnd()
    .split('\n')
    .flatMap((line) => {
      const parsed = parseVerifierKey(line);
      return parsed.ok ? [parsed.value] : [];
    });

/** A recorded question; answers the record. */
async function question({ anyone }: Pick<TestHub, 'anyone'>): Promise<string> {
  const { body } = await anyone.post('/v1/verifications', { sdJwt: 'not-a-certificate' });
  return (body as { recordId: string }).recordId;
}

const immutable = 'public, max-age=31536000, immutable';

await t.test('an auditor copies the log with nothing but GET, and it adds up to the signed root', async (t) => {
  const database = await testDatabase(t);
  const hub = await startHub(t, { database });
  const get = asker(hub);
  t.match(await get('/log/checkpoint'), { status: 404, code: 'not_found', cache: 'no-store' }, 'no sequencer ran yet');
  t.match(await get('/log/tile/0/000.p/1'), { status: 404, code: 'not_found' });
  const early = await question(hub);
  t.match(await get(`/log/proof/${early}`), { status: 404, code: 'not_in_log_yet', retryAfter: '2' });

  const sequencer = sequencerOn(t, database);
  await enqueue(hub.db, someRecords(700));
  await soon(sequencer.settled(), 'the first records');
  const recordId = await question(hub);
  await soon(sequencer.settled(), 'the question');
  const before = await runSql(database.superuserUrl, 'select count(*)::int as count from records');

  const keys = keysOf((await get('/log/key')).text);
  t.strictSame(
    keys.map(({ name, type }) => [name, type]),
    [['hub.test/log', 1]],
  );
  t.match(await get('/log/key'), { status: 200, type: 'text/plain; charset=utf-8', cache: 'public, max-age=300' });
  const head = await get('/log/checkpoint');
  t.match(head, { status: 200, type: 'text/plain; charset=utf-8', cache: 'public, max-age=1' });
  const opened = openNote(head.text, keys);
  const parsed = parseCheckpoint(opened.ok ? opened.value.text : '');
  t.match(parsed, { ok: true, value: { origin: 'hub.test/log' } });
  if (!parsed.ok) return;
  const { size, root } = parsed.value;
  t.ok(size > 700 && size < 768, `${size} records: two full tiles and a partial one`);
  const last = size - 512;

  const entries: Buffer[] = [];
  for (const path of ['000', '001', `002.p/${last}`]) {
    const bundle = await get(`/log/tile/entries/${path}`);
    t.match(bundle, { status: 200, type: 'application/octet-stream', cache: immutable }, path);
    entries.push(...(decodeBundle(bundle.bytes) ?? []));
  }
  t.equal(entries.length, size);
  t.ok(
    entries.every(({ length }) => length === 34),
    'version, kind and commitment: nothing else',
  );
  const hashes = entries.map((entry) => leafHash(entry));
  t.equal(naiveRoot(hashes).toString('hex'), root.toString('hex'), 'the entries make the signed root');
  const tile = await get('/log/tile/0/001');
  t.match(tile, { status: 200, type: 'application/octet-stream', cache: immutable });
  t.ok(tile.bytes.equals(Buffer.concat(hashes.slice(256, 512))));
  for (const width of [1, 100, last]) {
    const partial = await get(`/log/tile/0/002.p/${width}`);
    t.ok(partial.bytes.equals(Buffer.concat(hashes.slice(512, 512 + width))), `the first ${width} of a partial tile`);
  }
  const cut = await get('/log/tile/0/000.p/255');
  t.ok(cut.bytes.equals(Buffer.concat(hashes.slice(0, 255))), 'a partial width of a tile that is full by now');
  const few = await get('/log/tile/entries/000.p/3');
  t.strictSame(decodeBundle(few.bytes), entries.slice(0, 3));
  const above = await get('/log/tile/1/000.p/2');
  const roots = [naiveRoot(hashes.slice(0, 256)), naiveRoot(hashes.slice(256, 512))];
  t.ok(above.bytes.equals(Buffer.concat(roots)), 'the level above holds the roots of full tiles only');
  t.ok((await get('/log/tile/0/001')).bytes.equals(tile.bytes), 'and again, out of memory');

  const nothing = [
    '0/002',
    `0/002.p/${last + 1}`,
    '0/003.p/1',
    '0/x001/000',
    '1/000',
    '1/000.p/3',
    '2/000.p/1',
    '63/000.p/1',
    'entries/003',
    `entries/002.p/${last + 1}`,
    '0',
    '0/',
    'entries',
    '0/0',
    '00/000',
    '64/000',
    '0/000/',
    '0/000.p/0',
    '0/000.p/256',
    '0//000',
    'x/000',
    '0/x009/x007/x199/x254/x740/991',
    'entries/x009/x007/x199/x254/x740/991.p/1',
  ];
  for (const path of nothing) t.match(await get(`/log/tile/${path}`), { status: 404, code: 'not_found' }, path);
  t.match(await get('/log/tile/'), { status: 404, code: 'not_found' });
  for (const path of ['0/%00', '0/000%0A', '0/000%5C', 'entries/0%2B0', '0/%E2%80%94']) {
    t.match(await get(`/log/tile/${path}`), { status: 400, code: 'contract_violation' }, path);
  }
  t.match(await get('/log/tile/0/000?x=1'), { status: 400, code: 'contract_violation' });
  t.equal((await fetch(`${hub.url}/log/tile/0/000`, { method: 'POST' })).status, 405);

  const index = size - 1;
  const proof = await get(`/log/proof/${recordId}`);
  t.match(proof, { status: 200, type: 'text/plain; charset=utf-8', cache: 'public, max-age=60' });
  const entry = entries[index] ?? Buffer.alloc(0);
  t.match(verifyProof({ proof: proof.text, entry, policy: policyOfKeys(keys) }), { ok: true, value: { index } });
  t.equal((await get(`/log/proof/${recordId.toUpperCase()}`)).text, proof.text);
  t.strictSame(verifyProof({ proof: proof.text, entry: entries[0] ?? entry, policy: keys }), {
    ok: false,
    reason: 'not_included',
  });
  t.match(await get(`/log/proof/${randomUUID()}`), { status: 404, code: 'record_unknown' });
  t.match(await get('/log/proof/1'), { status: 400, code: 'contract_violation' });
  t.match((await get(`/log/proof/${early}`)).text, /^c2sp\.org\/tlog-proof@v1\nindex \d+\n/);
  const after = await runSql(database.superuserUrl, 'select count(*)::int as count from records');
  t.strictSame(after.rows, before.rows, 'reading the log leaves no records');
});

await t.test('only what is published is shown: witnesses first, then everybody', async (t) => {
  const database = await testDatabase(t);
  const hub = await startHub(t, { database });
  const sequencer = sequencerOn(t, database);
  await enqueue(hub.db, someRecords(300));
  await soon(sequencer.settled(), 'published');
  const published = await runSql(database.superuserUrl, 'select published_size::int as size from log_state');
  const { size } = published.rows[0] as { size: number };
  const recordId = await question(hub);
  await soon(sequencer.settled(), 'one more');
  await sequencer.stop();
  // As it stands while witnesses are asked: sequenced and signed, the pointer still on the older checkpoint.
  await runSql(database.superuserUrl, `update log_state set published_size = ${size}`);
  const fresh = await startHub(t, { database, register: false });
  const get = asker(fresh);
  t.match((await get('/log/checkpoint')).text, new RegExp(`^hub\\.test/log\\n${size}\\n`));
  const width = size - 256;
  t.equal((await get(`/log/tile/0/001.p/${width}`)).bytes.length, 32 * width);
  t.match(await get(`/log/tile/0/001.p/${width + 1}`), { status: 404, code: 'not_found' }, 'stored, not published');
  t.match(await get(`/log/tile/entries/001.p/${width + 1}`), { status: 404, code: 'not_found' });
  t.match(await get(`/log/proof/${recordId}`), { status: 404, code: 'not_in_log_yet', retryAfter: '2' });
  await runSql(database.superuserUrl, `update log_state set published_size = ${size + 1}`);
  t.equal((await get(`/log/tile/0/001.p/${width + 1}`)).status, 200, 'shown as soon as it is');
  t.match(await get(`/log/proof/${recordId}`), { status: 200 });
});

await t.test('what a database superuser changed is not proven and not shown', async (t) => {
  const database = await testDatabase(t);
  const sequencer = sequencerOn(t, database);
  const { db, ...hub } = await startHub(t, { database });
  await enqueue(db, someRecords(300));
  const recordId = await question(hub);
  await soon(sequencer.settled(), 'published');
  await sequencer.stop();
  t.match(await proveRecord(db, recordId), { state: 'proven' });
  const run = (...statements: string[]) => runSql(database.superuserUrl, statements.join('; '));
  const tables = ['log_leaf', 'log_tile', 'log_checkpoint'];
  await run(...tables.map((table) => `create table kept_${table} as table ${table}`));
  const asked = {
    proof: async (): Promise<unknown> => proveRecord(db, recordId),
    tile: async (): Promise<unknown> => openLogTiles(db).serve({ level: 0, index: 0, width: 256 }),
    bundle: async (): Promise<unknown> => openLogTiles(db).serve({ level: 'entries', index: 0, width: 256 }),
  };
  const flip = (column: string, at: number) => `${column} = set_byte(${column}, ${at}, get_byte(${column}, ${at}) # 1)`;
  const changes: readonly (readonly [keyof typeof asked, string])[] = [
    ['proof', `update log_leaf set ${flip('entry', 9)} where record_id = '${recordId}'`],
    ['proof', `update log_tile set ${flip('hashes', 40)} where level = 0 and tile_index = 1`],
    ['proof', 'update log_tile set width = 1, hashes = substr(hashes, 1, 32) where level = 0 and tile_index = 1'],
    ['proof', 'delete from log_tile where level = 0 and tile_index = 1'],
    ['proof', "update log_checkpoint set note = 'nothing'"],
    ['tile', 'delete from log_tile where level = 0 and tile_index = 0'],
    [
      'tile',
      'update log_tile set width = 255, hashes = substr(hashes, 1, 32 * 255) where level = 0 and tile_index = 0',
    ],
    ['bundle', 'delete from log_leaf where leaf_index = 7'],
  ];
  for (const [what, change] of changes) {
    await run(change);
    await t.rejects(asked[what](), { code: 'stored_data_tampered' }, change);
    await run(...tables.flatMap((table) => [`delete from ${table}`, `insert into ${table} table kept_${table}`]));
  }
  await run('update log_tile set width = 1, hashes = substr(hashes, 1, 32) where level = 0');
  const { status } = await fetch(`${hub.url}/log/proof/${recordId}`);
  t.equal(status, 500, 'and over HTTP');
});

await t.test('an id that nobody knows costs looks by key alone: anybody may ask', async (t) => {
  const database = await testDatabase(t);
  const hub = await startHub(t, { database });
  const queued = await question(hub);
  const asked: string[] = [];
  const db: typeof hub.db = {
    ...hub.db,
    query: (statement, values) => {
      asked.push(statement.name);
      return hub.db.query(statement, values);
    },
  };
  t.strictSame(await proveRecord(db, queued), { state: 'waiting' });
  t.strictSame(await proveRecord(db, newId()), { state: 'unknown' }, 'with the time of now in it');
  await runSql(database.superuserUrl, `delete from log_queue where record_id = '${queued}'`);
  t.strictSame(await proveRecord(db, queued), { state: 'unknown' }, 'a record that was taken off the way to the log');
  t.strictSame([...new Set(asked)], ['log_leaf_of', 'log_queued']);
});

await t.test('a limit that lets an auditor copy the log, and nobody do anything with it', async (t) => {
  const hub = await startHub(t, { env: { CERTHUB_RATE_LIMIT_PER_MINUTE: '2' } });
  const get = asker(hub);
  const codes = new Map<string | undefined, number>();
  for (let call = 0; call < 110; call++) {
    const { code } = await get('/log/tile/0/000');
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  t.strictSame(
    [...codes],
    [
      ['not_found', 100],
      ['rate_limited', 10],
    ],
    '50 times the limit of other questions',
  );
  t.match(await get('/log/tile/0/001'), { status: 429, cache: 'no-store' });
});

await t.test('the contract: a wildcard stands alone at the end of a path, a class of limit is a known one', (t) => {
  const contractWith = (path: string, more: object) => ({
    paths: { [path]: { get: { operationId: 'x', security: [], responses: {}, ...more } } },
  });
  t.match(operationsOf(contractWith('/a/{b}', { 'x-wildcard': true, 'x-rate-limited': 'mirror' })), [
    { wildcard: true, rateLimit: 'mirror' },
  ]);
  t.match(operationsOf(contractWith('/a/{b}', {})), [{ wildcard: false, rateLimit: undefined }]);
  for (const path of ['/a', '/a/{b}/c', '/a/{b}/{c}', '/a{b}', '/a/b{c}']) {
    t.throws(() => operationsOf(contractWith(path, { 'x-wildcard': true })), /x-wildcard/, path);
  }
  t.throws(() => operationsOf(contractWith('/a/{b}', { 'x-wildcard': 'yes' })), /x-wildcard/);
  t.throws(() => operationsOf(contractWith('/a', { 'x-rate-limited': 'much' })), /x-rate-limited/);
  t.end();
});

await t.test('of what is kept in memory, what was not asked for longest goes first', (t) => {
  const kept = lastUsed<number>(2);
  kept.set('a', 1);
  kept.set('b', 2);
  t.equal(kept.get('a'), 1, 'asked for: newer than b');
  kept.set('c', 3);
  t.strictSame([kept.get('a'), kept.get('b'), kept.get('c')], [1, undefined, 3]);
  kept.set('a', 4);
  kept.set('d', 5);
  t.strictSame([kept.get('a'), kept.get('c'), kept.get('d')], [4, undefined, 5], 'set again counts as asked for');
  t.end();
});
