import { request as httpRequest } from 'node:http';
import t from 'tap';
import type { ApiClient, Reply } from '../../src/cli/api-client.ts';
import { demoPushes } from '../../src/cli/demo/certificates.ts';
import { personOf } from '../../src/cli/demo/people.ts';
import { checkStore, countRows } from '../support/check-records.ts';
import { exampleKeys, startHub } from '../support/start-hub.ts';
import {
  added,
  certificateUpTo,
  clientsOf,
  codeOf,
  permitOf,
  reviewer,
  send,
  type WriteRequest,
  writeKinds,
} from '../support/workload.ts';

const comeAgain: ReadonlySet<string> = new Set(['idempotency_in_flight', 'database_unavailable']);
const told = ({ status, body }: Reply) => ({ status, body });

/** Sends a request whole and hangs up before the answer. */
async function sendAndHangUp(url: string, client: ApiClient, write: WriteRequest, key: string): Promise<void> {
  const body = JSON.stringify(write.body);
  const headers = {
    authorization: `Bearer ${await client.token()}`,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'idempotency-key': key,
  };
  await new Promise<void>((resolve) => {
    const sent = httpRequest(`${url}${write.path}`, { method: write.method.toUpperCase(), headers, agent: false });
    sent.on('error', () => undefined);
    sent.on('close', resolve);
    // Flushed to the hub, which may be at any point of its work by now.
    sent.end(body, () => setTimeout(() => sent.destroy(), 1));
  });
}

/** What a push of one holder adds. */
const pushOfOne = {
  idempotency_keys: 1,
  certificates: 1,
  certificate_versions: 1,
  certificate_events: 1,
  status_entries: 1,
  'records of kind 2': 1,
} as const;

type Counts = Readonly<Record<string, number>>;
const sum = (one: Counts, other: Counts): Counts =>
  Object.fromEntries(
    [...new Set([...Object.keys(one), ...Object.keys(other)])].map((name) => [
      name,
      (one[name] ?? 0) + (other[name] ?? 0),
    ]),
  );

await t.test('invariant 8: a write has one effect and one answer, however often and however it is sent', async (t) => {
  const hub = await startHub(t);
  const clients = clientsOf(hub);
  const rows = () => countRows(hub.db);
  const [otherPush] = demoPushes(3).filter(({ clientId }) => clientId === 'market-issuer');
  let n = 5_000;

  for (const kind of writeKinds) {
    await t.test(kind.name, async (t) => {
      const client = clients(kind.clientId);
      const fresh = async () => {
        n += 1;
        return { write: await kind.prepare(clients, n), key: `idempotency-${n}` };
      };

      await t.test('one after the other', async (t) => {
        const { write, key } = await fresh();
        const before = await rows();
        const first = await send(client, write, key);
        t.equal(first.status, kind.status);
        t.strictSame(added(before, await rows()), kind.rows, 'one effect');
        t.strictSame(told(await send(client, write, key)), told(first), 'the same answer');
        const conflict = await send(client, { ...write, body: write.otherBody }, key);
        t.equal(
          `${conflict.status} ${codeOf(conflict)}`,
          '422 idempotency_conflict',
          'another body under the same key',
        );
        const elsewhere = await clients('market-issuer').post('/v1/certificates', otherPush?.body, key);
        t.equal(elsewhere.status, 201, "another client's key is another key");
        t.strictSame(told(await send(client, write, key)), told(first), 'and this one is still the same');
        t.strictSame(added(before, await rows()), sum(kind.rows, pushOfOne), 'one effect each');
      });

      await t.test('twenty at once', async (t) => {
        const { write, key } = await fresh();
        const before = await rows();
        const replies = await Promise.all(Array.from({ length: 20 }, () => send(client, write, key)));
        // A busy hub may ask a duplicate to come again; it tells nobody anything else than the one answer.
        const waited = replies.filter((reply) => comeAgain.has(codeOf(reply) ?? ''));
        const [first, ...others] = replies.filter((reply) => !waited.includes(reply));
        t.equal(first?.status, kind.status);
        for (const other of others) t.strictSame(told(other), first && told(first));
        t.strictSame(added(before, await rows()), kind.rows, 'one effect');
        t.strictSame(told(await send(client, write, key)), first && told(first));
      });

      await t.test('after an answer that got lost on the way', async (t) => {
        const { write, key } = await fresh();
        const before = await rows();
        await sendAndHangUp(hub.url, client, write, key);
        const reply = await send(client, write, key);
        t.equal(reply.status, kind.status);
        t.strictSame(told(await send(client, write, key)), told(reply));
        t.strictSame(added(before, await rows()), kind.rows, 'one effect');
      });
    });
  }
  t.strictSame(await checkStore(hub.db, exampleKeys), []);
});

await t.test('invariant 8: a replay tells what was answered then, whatever has happened since', async (t) => {
  const hub = await startHub(t);
  const psb = clientsOf(hub)('psb-issuer');
  const push = permitOf(personOf(1), 'JZ-1');
  const pushed = await psb.post('/v1/certificates', push, 'story-push');
  const path = `/v1/certificates/${(pushed.body as { certificateIdentifier: string }).certificateIdentifier}`;
  const review = { decision: 'approve', officer: reviewer };
  const approved = await psb.post(`${path}/reviews`, review, 'story-review');
  const sealed = await psb.post(`${path}/seals`, {}, 'story-seal');
  const revoke = { action: 'revoke', revocationReason: 'cancelled', reason: '注销' };
  const revoked = await psb.post(`${path}/status-changes`, revoke, 'story-revoke');
  t.strictSame(
    [pushed, approved, sealed, revoked].map(({ body }) => (body as { state: string }).state),
    ['pending_review', 'approved', 'valid', 'revoked'],
  );
  const before = await countRows(hub.db);
  t.strictSame(told(await psb.post('/v1/certificates', push, 'story-push')), told(pushed));
  t.strictSame(told(await psb.post(`${path}/reviews`, review, 'story-review')), told(approved));
  t.strictSame(told(await psb.post(`${path}/seals`, {}, 'story-seal')), told(sealed));
  t.strictSame(told(await psb.post(`${path}/status-changes`, revoke, 'story-revoke')), told(revoked));
  t.strictSame(await countRows(hub.db), before);

  const elsewhere = await psb.post(`${path}/status-changes`, revoke, 'story-seal');
  t.equal(
    `${elsewhere.status} ${codeOf(elsewhere)}`,
    '422 idempotency_conflict',
    'another operation under the same key',
  );
});

await t.test('invariant 8: what was refused is forgotten, and the key is free for the corrected request', async (t) => {
  const hub = await startHub(t);
  const psb = clientsOf(hub)('psb-issuer');
  const good = permitOf(personOf(2), 'JZ-2');
  const bad = { ...good, fields: { ...good.fields, sex: '不详' } };
  const refused = await psb.post('/v1/certificates', bad, 'corrected-later');
  t.equal(codeOf(refused), 'field_invalid');
  const accepted = await psb.post('/v1/certificates', good, 'corrected-later');
  t.equal(accepted.status, 201);
  t.equal(codeOf(await psb.post('/v1/certificates', bad, 'corrected-later')), 'idempotency_conflict');

  // Refused inside the transaction: the review of a certificate that is approved already.
  const identifier = await certificateUpTo(psb, permitOf(personOf(3), 'JZ-3'), 'approved');
  const review = { decision: 'approve', officer: reviewer };
  const path = `/v1/certificates/${identifier}`;
  t.equal(codeOf(await psb.post(`${path}/reviews`, review, 'used-twice')), 'wrong_state');
  t.equal((await psb.post(`${path}/seals`, {}, 'used-twice')).status, 200);
  t.strictSame(await checkStore(hub.db, exampleKeys), []);
});
