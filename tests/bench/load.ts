import { connect, type Socket } from 'node:net';

export interface LoadResult {
  readonly answered: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** Answers whose status was not 200. */
  readonly failed: number;
}

/**
 * Closed-loop load over keep-alive connections: each sends its next request when it has its answer. Raw sockets with requests made
 * before, so that the client takes as little as it can from the machine it shares with the server.
 */
export async function load(
  port: number,
  requests: readonly Buffer[],
  { connections, seconds }: { readonly connections: number; readonly seconds: number },
): Promise<LoadResult> {
  const until = performance.now() + seconds * 1_000;
  const latencies: number[] = [];
  let failed = 0;
  const begun = performance.now();
  const one = (index: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket: Socket = connect(port, '127.0.0.1');
      socket.setNoDelay(true);
      let next = index;
      let sentAt = 0;
      let received = Buffer.alloc(0);
      const send = (): void => {
        const request = requests[next % requests.length];
        next += connections;
        sentAt = performance.now();
        if (request !== undefined) socket.write(request);
      };
      socket.on('connect', send);
      socket.on('error', reject);
      socket.on('close', () => resolve());
      socket.on('data', (chunk) => {
        received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
        const end = received.indexOf('\r\n\r\n');
        if (end < 0) return;
        const head = received.toString('latin1', 0, end);
        const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
        if (received.length < end + 4 + length) return;
        latencies.push(performance.now() - sentAt);
        if (!head.startsWith('HTTP/1.1 200')) failed += 1;
        received = Buffer.alloc(0);
        if (performance.now() >= until) socket.end();
        else send();
      });
    });
  await Promise.all(Array.from({ length: connections }, (_, i) => one(i)));
  const elapsed = (performance.now() - begun) / 1_000;
  latencies.sort((a, b) => a - b);
  const at = (share: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  return { answered: latencies.length, perSecond: latencies.length / elapsed, p50: at(0.5), p99: at(0.99), failed };
}

/** One HTTP/1.1 request as bytes. */
export function httpRequest(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Buffer {
  const text = JSON.stringify(body);
  const lines = [
    `POST ${path} HTTP/1.1`,
    'host: hub.test',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(text)}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${text}`);
}
