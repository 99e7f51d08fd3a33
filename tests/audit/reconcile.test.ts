import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { run } from '../../src/cli/audit-reconcile.ts';
import { demoPushes, demoTypes } from '../../src/cli/demo/certificates.ts';
import { demoClientKey } from '../../src/cli/demo/registry.ts';
import { putGrant } from '../support/demo-samples.ts';
import { startHub, type TestHub } from '../support/start-hub.ts';

// what is prepared here takes longer than a test without a plan would wait
t.plan(4);

const clientId = 'school-enrolment';

/** Stands between client and hub, under the hub's own name, and may change what it says. */
let meddle: (path: string, body: string) => { status: number; body: string } | undefined = () => undefined;
let hub: TestHub | undefined;
const proxy = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => void forward().catch(() => response.writeHead(502).end()));
  const forward = async (): Promise<void> => {
    const { method = 'GET', url = '', headers } = request;
    const sent = Buffer.concat(parts);
    const answer = await fetch(`${hub?.url}${url}`, {
      method,
      headers: Object.fromEntries(
        ['authorization', 'content-type'].flatMap((name) =>
          headers[name] === undefined ? [] : [[name, String(headers[name])]],
        ),
      ),
      ...(method === 'POST' && { body: sent }),
    });
    const text = await answer.text();
    const changed = meddle(url, text) ?? { status: answer.status, body: text };
    response.writeHead(changed.status, { 'content-type': answer.headers.get('content-type') ?? '' }).end(changed.body);
  };
});
await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done));
const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;

hub = await startHub(t, { sequence: true, env: { CERTHUB_ISSUER: url } });
t.teardown(() => proxy.close());
const hubUnderTest = hub;
const dir = t.testdir({ answers: {} });
const answersDir = join(dir, 'answers');

const holderOf = (at: number) =>
  demoPushes(24).filter(({ body }) => body.certificateTypeCode === demoTypes.residentIdCard)[at]?.body.holders[0];
const client = hub.client(clientId);
await putGrant(hubUnderTest.client, { clientId, fields: ['name'] });

interface Answer {
  readonly recordId: string;
  readonly answer: string;
}
async function lookUp(at: number): Promise<Answer> {
  const holder = holderOf(at);
  const { status, body } = await client.post('/v1/lookups', {
    purpose: {
      matterCode: 'school-enrolment',
      caseNumber: `CASE-${at}`,
      officer: { id: 'officer-9', name: '经办人乙' },
      legalBasis: 'own_application',
    },
    level: 'fields',
    holder: { type: holder?.type, number: holder?.number },
  });
  if (status !== 200) throw new Error(JSON.stringify(body));
  return body as Answer;
}
const answers: Answer[] = [];
for (let at = 0; at < 5; at++) answers.push(await lookUp(at));
/** An hour later every record should be in the log long since. */
const later = Date.now() + 3_600_000;

async function published(recordId: string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if ((await fetch(`${hub?.url}/log/proof/${recordId}`)).status === 200) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error('never published');
}
await published(answers.at(-1)?.recordId ?? '');

const write = (name: string, text: string): string => {
  const file = join(dir, name);
  writeFileSync(file, text);
  return file;
};
const trust = write('trust.json', JSON.stringify((await hub.anyone.get('/v1/trust-bundle')).body));
const logKey = write('log.key', String((await hub.anyone.get('/log/key')).body));
const key = write('client.jwk', JSON.stringify(demoClientKey(clientId)));

function store(kept: readonly Answer[]): void {
  rmSync(answersDir, { recursive: true });
  mkdirSync(join(answersDir, 'older'), { recursive: true });
  const [first, second, ...rest] = kept;
  if (first !== undefined) write('answers/lookup.json', JSON.stringify(first));
  if (second !== undefined) write('answers/older/one.jws', `${second.answer}\n`);
  // a JWS, a lookup or a matter check a line
  const lines = rest.map(
    (each, at) => [each.answer, JSON.stringify(each), JSON.stringify({ evidence: [each] })][at % 3],
  );
  write('answers/many.ndjson', lines.join('\n'));
}

const argvOf = (id: string): string[] =>
  Object.entries({ answers: answersDir, url, id, key, trust, 'log-key': logKey }).flatMap(([name, value]) => [
    `--${name}`,
    value,
  ]);

async function call(argv: readonly string[], now = later) {
  let [out, err] = ['', ''];
  const io = {
    stdout: { write: (text: string) => (out += text) },
    stderr: { write: (text: string) => (err += text) },
    env: {},
  };
  return { code: await run(argv, io, () => now), out, err };
}

async function reconcile(more: readonly string[] = [], now = later) {
  const { code, out, err } = await call([...argvOf(clientId), '--json', ...more], now);
  const report = out.startsWith('{')
    ? (JSON.parse(out) as {
        faults: { code: string; where: Record<string, unknown> }[];
        facts: { en: string; value: string }[];
      })
    : undefined;
  return { code, err, out, faults: report?.faults.map((each) => each.code) ?? [], report };
}

await t.test('both sides agree', async (t) => {
  store(answers);
  const { code, report, err } = await reconcile();
  t.match({ code, faults: report?.faults }, { code: 0, faults: [] }, err);
  t.match(
    report?.facts.find(({ en }) => en === 'answered lookups of the hub'),
    { value: '5' },
  );
  store([...answers, ...answers.slice(0, 2)]);
  const twice = await reconcile();
  t.equal(twice.code, 0);
  t.match(
    twice.report?.facts.find(({ en }) => en === 'kept more than once'),
    { value: /^2: / },
  );
  const asText = await reconcile(['--from', '2020-01-01T00:00:00Z']);
  t.equal(asText.code, 0);
});

await t.test('own receipts: pages, ranges, one’s own alone', async (t) => {
  const all: Record<string, unknown>[] = [];
  let after: string | undefined;
  do {
    const { status, body } = await client.post('/v1/receipts/searches', {
      limit: 3,
      ...(after !== undefined && { after }),
    });
    t.equal(status, 200);
    const page = body as { items: Record<string, unknown>[]; next?: string };
    t.ok(page.items.length <= 3);
    all.push(...page.items);
    after = page.next;
  } while (after !== undefined);
  const ids = all.map(({ recordId }) => recordId);
  t.equal(new Set(ids).size, ids.length, 'no record twice');
  for (const { recordId } of answers) t.ok(ids.includes(recordId));
  t.same(
    Object.keys(all.at(-1) ?? {}).sort(),
    ['action', 'commitment', 'outcome', 'recordId', 'recordedAt', 'state'],
    'nothing of the content',
  );
  const times = all.map(({ recordedAt }) => String(recordedAt));
  t.same(times, times.toSorted().toReversed());
  const none = await client.post('/v1/receipts/searches', { until: '2020-01-01T00:00:00Z' });
  t.match(none.body, { items: [] });
  const other = await hubUnderTest.client('psb-issuer').post('/v1/receipts/searches', {});
  const theirs = (other.body as { items: { recordId: string }[] }).items.map(({ recordId }) => recordId);
  t.notOk(theirs.some((each) => ids.includes(each)));
  t.equal((await hub?.client('audit-office').post('/v1/receipts/searches', {}))?.status, 403);
  for (const cursor of ['x', `1_${'0'.repeat(36)}`, '9999999999999999_01890000-0000-7000-8000-000000000000']) {
    t.match(await client.post('/v1/receipts/searches', { after: cursor }), {
      status: 400,
      body: { code: 'contract_violation' },
    });
  }
  const searched = all.filter(({ action }) => action === 'searchOwnReceipts');
  t.ok(searched.length > 0, 'the question is recorded like every other');
});

await t.test('what one side lacks', async (t) => {
  const [first, second] = answers;
  if (first === undefined || second === undefined) return;
  store(answers.slice(1));
  t.match((await reconcile()).report?.faults, [{ code: 'no_answer_at_hand', where: { recordId: first.recordId } }]);
  t.match(await reconcile([], Date.now()), { code: 14, faults: [] }, 'an answer may be on its way');
  t.equal((await reconcile(['--until', '2026-01-01T00:00:00Z'])).code, 0, 'outside the time asked for');

  store(answers);
  meddle = (path) => (path.endsWith(first.recordId) ? { status: 404, body: '{"code":"not_found"}' } : undefined);
  t.match(await reconcile(), { code: 17, faults: ['unknown_to_hub'] });
  meddle = (path) => (path.endsWith(first.recordId) ? { status: 404, body: '{"code":"record_unknown"}' } : undefined);
  t.match(await reconcile(), { code: 17, faults: ['unknown_to_hub'] });
  const samePage = { status: 200, body: '{"items":[],"next":"same"}' };
  meddle = (path) => (path.startsWith('/v1/receipts/') ? samePage : undefined);
  t.match(await reconcile(), { code: 2, err: /same page of records again/ });
  meddle = (path) => (path.endsWith(first.recordId) ? { status: 404, body: '{"code":"not_in_log_yet"}' } : undefined);
  t.match(await reconcile(), { code: 17, faults: ['missing_in_log'] });
  t.match(await reconcile([], Date.now()), { code: 14, faults: [] });
  const proof = await (await fetch(`${hub?.url}/log/proof/${second.recordId}`)).text();
  meddle = (path) => (path.endsWith(first.recordId) ? { status: 200, body: proof } : undefined);
  t.match(await reconcile(), { code: 17, faults: ['log_differs'] });
  meddle = (path) => (path.endsWith(first.recordId) ? { status: 200, body: proof.replace('— ', '— x') } : undefined);
  t.match(await reconcile(), { code: 17, faults: ['unknown_log'] });

  const listed =
    (change: (item: Record<string, unknown>) => Record<string, unknown> | undefined) =>
    (path: string, body: string) => {
      if (!path.startsWith('/v1/receipts/')) return undefined;
      const page = JSON.parse(body) as { items: Record<string, unknown>[] };
      const items = page.items
        .map((item) => (item['recordId'] === first.recordId ? change(item) : item))
        .filter((item) => item !== undefined);
      return { status: 200, body: JSON.stringify({ ...page, items }) };
    };
  meddle = listed((item) => ({ ...item, commitment: 'x' }));
  t.match(await reconcile(), { code: 17, faults: ['hub_differs'] });
  meddle = listed((item) => ({ ...item, state: 'tampered' }));
  t.match(await reconcile(), { code: 17, faults: ['hub_tampered'] });
  meddle = (path) => (path.startsWith('/v1/receipts/') ? { status: 403, body: '{"code":"role_required"}' } : undefined);
  t.match(await reconcile(), { code: 2, err: /role_required/ });
  meddle = (path) => (path.startsWith('/v1/receipts/') ? { status: 200, body: '[]' } : undefined);
  t.match(await reconcile(), { code: 2 });
  meddle = () => undefined;
});

await t.test('answers are believed only with the hub’s signature', async (t) => {
  const [first] = answers;
  if (first === undefined) return;
  const parts = first.answer.split('.');
  const claims = JSON.parse(Buffer.from(parts[1] ?? '', 'base64url').toString()) as Record<string, unknown>;
  parts[1] = Buffer.from(JSON.stringify({ ...claims, commitment: Buffer.alloc(32).toString('base64url') })).toString(
    'base64url',
  );
  store(answers);
  write('answers/forged.jws', parts.join('.'));
  t.match(await reconcile(), { code: 17, faults: ['answer_false'] });
  write('answers/forged.jws', 'hello\n{"answer":1}\n');
  t.match(await reconcile(), { code: 17, faults: ['answer_unreadable', 'answer_unreadable'] });
  rmSync(join(answersDir, 'forged.jws'));
  const argv = argvOf('tax-issuer');
  t.match(await call(argv), { code: 2 }, 'the key of another client');
  for (const missing of ['--answers', '--url', '--id', '--key', '--log-key']) {
    const at = argv.indexOf(missing);
    t.match(await call([...argv.slice(0, at), ...argv.slice(at + 2)]), { code: 2 }, missing);
  }
  t.match(await call([...argv, '--from', 'yesterday']), { code: 2 });
  t.match(await call([...argv, '--from', '2026-11-22T00:00:00Z', '--until', '2026-11-22T00:00:00Z']), { code: 2 });
  t.match(await call([...argv.slice(0, 8), '--trust', key, '--log-key', logKey]), { code: 2 });
  t.match(await call(['--help']), { code: 0 });
});
