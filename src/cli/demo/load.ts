import type { ApiClient } from '../api-client.ts';
import { type DemoPush, demoPushes } from './certificates.ts';

const reviewer = { id: 'reviewer-11', name: '郑复核' } as const;

/** Pushes, reviews where the type asks for it, and seals one certificate over HTTP. Returns its identifier. */
export async function issue(client: ApiClient, push: DemoPush, key: string): Promise<string> {
  const pushed = await expectAnswer<{ certificateIdentifier: string }>(
    client.post('/v1/certificates', push.body, `${key}-push`),
    201,
  );
  const path = `/v1/certificates/${pushed.certificateIdentifier}`;
  if (push.reviewed) {
    await expectAnswer(
      client.post(`${path}/reviews`, { decision: 'approve', officer: reviewer }, `${key}-review`),
      200,
    );
  }
  await expectAnswer(client.post(`${path}/seals`, {}, `${key}-seal`), 200);
  return pushed.certificateIdentifier;
}

/** The body of an answer with the expected status; anything else is an Error that quotes code and next step. */
export async function expectAnswer<T = Record<string, unknown>>(
  reply: ReturnType<ApiClient['post']>,
  status: number,
): Promise<T> {
  const { status: actual, body } = await reply;
  if (actual === status) return body as T;
  const problem = body as { code?: string; detail?: string; context?: unknown };
  throw new Error(
    `expected ${status}, got ${actual} ${problem.code ?? ''}: ${problem.detail ?? ''} ${JSON.stringify(problem.context ?? {})}`,
  );
}

/** Issues the demo city's certificates, several at a time. Running it again issues nothing twice: every step has a fixed key. */
export async function loadCity(
  clientOf: (clientId: string) => ApiClient,
  count: number,
  { parallel = 8 }: { readonly parallel?: number } = {},
): Promise<void> {
  const pushes = demoPushes(count).entries();
  const worker = async (): Promise<void> => {
    for (const [i, push] of pushes) await issue(clientOf(push.clientId), push, `city-${i}`);
  };
  // The workers share one iterator: each takes the next certificate when it is done with its own.
  await Promise.all(Array.from({ length: parallel }, worker));
}
