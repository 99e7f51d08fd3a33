import { hash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { cosignCheckpoint } from '../../src/audit/log/cosign-checkpoint.ts';
import { logKeys } from '../../src/audit/log/sign-checkpoint.ts';
import type { Witnessed, WitnessStore } from '../../src/audit/log/witness-store.ts';
import { type NoteKey, newNoteKey } from '../../src/signing/note-sign.ts';
import { parseCheckpoint } from '../../src/verification/checkpoint.ts';
import { type LogPolicy, parseLogPolicy } from '../../src/verification/log-policy.ts';
import { parseNote } from '../../src/verification/signed-note.ts';
import { logKeysOfTests, logOrigin } from './log.ts';

export interface TestWitnesses {
  readonly policy: LogPolicy;
  readonly policyText: string;
  /** Reaches the witnesses at `http://<name>.test`. */
  readonly fetch: typeof fetch;
  /** Names of those that do not answer. */
  readonly down: Set<string>;
  /** Names of those without the monitoring endpoint, as in older versions of the specification. */
  readonly mute: Set<string>;
  /** What each saw last. */
  readonly seen: Map<string, Witnessed>;
  /** Every size that each cosigned, in order. */
  readonly cosigned: Map<string, number[]>;
}

/** Witnesses w1 … wn with the hub's own witness code over a memory of their own; `needed` of them make up the quorum. */
export function testWitnesses(
  count: number,
  needed: number,
  at = (name: string) => `http://${name}.test`,
): TestWitnesses {
  const names = Array.from({ length: count }, (_, i) => `w${i + 1}`);
  const keys = new Map<string, NoteKey>(names.map((name) => [name, newNoteKey(`${name}.test/witness`, 4).key]));
  const logs = logKeys(logKeysOfTests, logOrigin);
  const seen = new Map<string, Witnessed>();
  const cosigned = new Map<string, number[]>(names.map((name) => [name, []]));
  const down = new Set<string>();
  const mute = new Set<string>();
  const lines = names.map((name) => `witness ${name} ${keys.get(name)?.vkey} ${at(name)}\n`);
  const policyText = `${lines.join('')}group all-of-them ${needed} ${names.join(' ')}\nquorum all-of-them\n`;
  const policy = parseLogPolicy(policyText);
  if (!policy.ok) throw new Error(policy.reason);

  const queues = new Map<string, Promise<unknown>>();
  const storeOf = (name: string): WitnessStore => ({
    fresh: false,
    origins: () => [],
    last: () => seen.get(name),
    exclusively: (_origin, work) => {
      const next = (queues.get(name) ?? Promise.resolve()).then(() =>
        work(seen.get(name), async (note) => {
          const parsed = parseNote(note);
          const checkpoint = parsed.ok ? parseCheckpoint(parsed.value.text) : parsed;
          if (!checkpoint.ok) throw new Error(checkpoint.reason);
          seen.set(name, { ...checkpoint.value, time: Math.floor(Date.now() / 1000), note });
          cosigned.get(name)?.push(checkpoint.value.size);
        }),
      );
      queues.set(
        name,
        next.catch(() => undefined),
      );
      return next;
    },
    close: async () => undefined,
  });

  const answer = async (name: string, path: string, body: string | undefined): Promise<Response> => {
    const key = keys.get(name);
    if (down.has(name) || key === undefined) throw new TypeError('fetch failed');
    if (body === undefined) {
      const last = seen.get(name);
      if (mute.has(name) || last === undefined || path !== `/${hash('sha256', last.origin, 'hex')}/checkpoint`) {
        return new Response('', { status: 404 });
      }
      return new Response(last.note);
    }
    const deps = { store: storeOf(name), by: key, logs, now: () => new Date() };
    const given = await cosignCheckpoint(deps, Buffer.from(body));
    if (given.kind === 'cosigned') return new Response(given.lines);
    if (given.kind === 'clock_behind') return new Response('', { status: 500 });
    if ('size' in given && typeof given.size === 'number') {
      return new Response(`${given.size}\n`, { status: 409, headers: { 'content-type': 'text/x.tlog.size' } });
    }
    return new Response('', { status: given.status });
  };
  const fetchWitness: typeof fetch = async (input, init) => {
    init?.signal?.throwIfAborted();
    const url = new URL(typeof input === 'string' ? input : 'url' in input ? input.url : input.href);
    const name = url.hostname.split('.')[0] ?? '';
    return answer(name, url.pathname, typeof init?.body === 'string' ? init.body : undefined);
  };
  return { policy: policy.value, policyText, fetch: fetchWitness, down, mute, seen, cosigned };
}

interface Test {
  teardown(clean: () => Promise<unknown>): void;
}

/** One witness w1 behind a real address, for processes of their own. */
export async function servedWitness(t: Test): Promise<TestWitnesses> {
  let witness: TestWitnesses | undefined;
  const server = createServer((request, response) => {
    void (async () => {
      let body = '';
      for await (const chunk of request) body += String(chunk);
      const answer = await witness?.fetch(`http://w1.test${request.url}`, request.method === 'POST' ? { body } : {});
      response.writeHead(answer?.status ?? 500, Object.fromEntries(answer?.headers ?? []));
      response.end(await answer?.text());
    })().catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  witness = testWitnesses(1, 1, () => `http://127.0.0.1:${port}`);
  t.teardown(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return witness;
}
