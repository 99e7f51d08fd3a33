import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { Refusal, type RefusalCode } from '../errors.ts';
import type { Caller } from '../ids.ts';
import { problemOf, refusalOf } from './problem.ts';

/** A refused or failed access to an operation marked `x-recorded`, to be recorded before the problem is sent. */
export interface RefusedEvent {
  readonly operationId: string;
  readonly code: RefusalCode;
  readonly outcome: 'refused' | 'failed';
  readonly caller: Caller | undefined;
  readonly requestId: string;
  readonly receivedAt: Date;
}

export interface FaultDeps {
  readonly issuer: string;
  readonly refused: (event: RefusedEvent) => Promise<unknown>;
  readonly log: Logger;
}

/**
 * Answers whatever was thrown as a problem. On a recorded operation the record comes first, unless the refusal
 * carries `recorded: true` because its record precedes it; without a record the answer is 503 (invariant 1).
 */
export async function answerFault(
  deps: FaultDeps,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { requestId } = request.call;
  const { operation } = request.routeOptions.config;
  const refusal = await recordedOr503(deps, refusalOf(error), request);
  request.call.code = refusal.code;
  const problem = problemOf(
    deps.issuer,
    refusal,
    requestId,
    operation?.body?.mediaType.endsWith('urlencoded') === true,
  );
  if (refusal.code === 'internal_error' || refusal.code === 'stored_data_tampered') {
    const { operationId } = operation ?? {};
    deps.log.error({ err: refusal.cause ?? refusal, requestId, operationId, code: refusal.code }, 'fault');
  }
  // The rest of a body that was refused unread must not be taken for the next request.
  const unread = !request.raw.complete && request.raw.headers['content-length'] !== '0';
  return reply
    .code(problem.status)
    .headers({ ...problem.headers, 'x-request-id': requestId, ...(unread ? { connection: 'close' } : {}) })
    .send(JSON.stringify(problem.body));
}

async function recordedOr503(deps: FaultDeps, refusal: Refusal, request: FastifyRequest): Promise<Refusal> {
  const { operation } = request.routeOptions.config;
  // Beyond its limit a stranger is not heard, so nothing was asked; a record of each would be what the limit is to prevent.
  if (refusal.code === 'rate_limited' && request.call.caller === undefined) return refusal;
  // Its record has just failed: to wait for the same again would only double the caller's wait.
  if (refusal.code === 'record_unavailable') return refusal;
  if (operation?.recorded !== true || (refusal as { recorded?: unknown }).recorded === true) return refusal;
  const { caller, requestId, receivedAt } = request.call;
  const failed =
    ['internal_error', 'stored_data_tampered'].includes(refusal.code) || refusal.code.endsWith('_unavailable');
  try {
    await deps.refused({
      operationId: operation.operationId,
      code: refusal.code,
      outcome: failed ? 'failed' : 'refused',
      caller,
      requestId,
      receivedAt,
    });
    return refusal;
  } catch (cause) {
    deps.log.error({ err: cause, requestId, operationId: operation.operationId }, 'refusal not recorded');
    return new Refusal('record_unavailable', {}, { cause });
  }
}

/** Answers bytes that are no HTTP request, which Fastify never sees, and closes the connection. */
export function answerBadConnection(
  { issuer, requestId }: { readonly issuer: string; readonly requestId: string },
  error: unknown,
  socket: Socket,
): void {
  if (socket.destroyed || !socket.writable || (error as { code?: unknown }).code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const named = refusalOf(error);
  const refusal = named.code === 'internal_error' ? new Refusal('malformed_request') : named;
  const { status, headers, body } = problemOf(issuer, refusal, requestId);
  const text = JSON.stringify(body);
  const lines = Object.entries({ ...headers, 'content-length': Buffer.byteLength(text), connection: 'close' });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${head}\r\n${text}`);
}
