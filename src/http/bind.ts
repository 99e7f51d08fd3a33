import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Refusal } from '../errors.ts';
import type { Caller } from '../ids.ts';
import { checkBodyHeaders, type ParseBody, readBody } from './body.ts';
import { isJsonType, type Operation, type RateClass } from './contract.ts';
import type { Traffic } from './drain.ts';
import type { BoundHandler } from './handlers.ts';
import type { OperationRules } from './validate.ts';

/** What an authentication may know of a request before its body is read. */
export interface RequestInfo {
  readonly operationId: string;
  readonly requestId: string;
  readonly receivedAt: Date;
  readonly remoteAddress: string;
}

/** Tells who calls; throws a `Refusal` (`token_missing`, `token_invalid`, `token_expired`, `client_disabled`). */
export type Authenticate = (authorization: string | undefined, info: RequestInfo) => Promise<Caller>;

export interface BindDeps {
  readonly app: FastifyInstance;
  readonly rulesOf: (operation: Operation) => OperationRules;
  readonly handlers: Readonly<Record<string, BoundHandler>>;
  readonly authenticate: Authenticate;
  readonly parseBody: ParseBody;
  readonly traffic: Traffic;
  /** Compare every answer with the contract before it is sent. */
  readonly checkAnswers: boolean;
  readonly rateLimits: Readonly<Record<RateClass, { readonly max: number; readonly timeWindow: number }>>;
}

/**
 * One route per operation: who calls → may they → is the body of a kind we read → body → contract → handler → answer.
 * @throws Error for an operation without handler or a handler without operation
 */
export function bindOperations(deps: BindDeps, operations: readonly Operation[]): void {
  const { app, handlers, rateLimits } = deps;
  const ids = new Set(operations.map(({ operationId }) => operationId));
  const stray = Object.keys(handlers).find((id) => !ids.has(id));
  if (stray !== undefined) throw new Error(`handler ${stray} has no operation in the contract`);
  for (const operation of operations) {
    const handler = handlers[operation.operationId];
    if (handler === undefined) throw new Error(`operation ${operation.operationId} has no handler`);
    const { rateLimit } = operation;
    app.route({
      method: operation.method,
      url: operation.path.replaceAll(':', '::').replace(/\{([^}]+)\}/g, operation.wildcard ? '*' : ':$1'),
      config: { operation },
      // The limit counts first, so that refused requests count too.
      onRequest: [...(rateLimit === undefined ? [] : [app.rateLimit(rateLimits[rateLimit])]), admit(deps, operation)],
      handler: bound(deps, operation, handler),
    });
  }
}

function admit(deps: BindDeps, operation: Operation) {
  // Counts only calls without a good token: a record of each costs a commit, and anybody can make them.
  const strangers = deps.app.createRateLimit(deps.rateLimits.public);
  return async (request: FastifyRequest): Promise<void> => {
    if (Object.values(request.params as object).includes('')) throw new Refusal('not_found');
    if (operation.bearer) {
      await identify(deps, operation, request).catch(async (error: unknown) => {
        if (!(error instanceof Refusal) || !error.code.startsWith('token_')) throw error;
        const count = await strangers(request);
        throw !count.isAllowed && count.isExceeded
          ? new Refusal('rate_limited', { retryAfterSeconds: count.ttlInSeconds })
          : error;
      });
    }
    checkBodyHeaders(operation, request);
  };
}

async function identify({ authenticate }: BindDeps, operation: Operation, request: FastifyRequest): Promise<void> {
  const { call } = request;
  const info = { operationId: operation.operationId, remoteAddress: request.ip, ...call };
  call.caller = await authenticate(request.headers.authorization, info);
  const { roles } = call.caller;
  if (!roles.some((role) => operation.roles.includes(role))) {
    throw new Refusal('role_required', { required: operation.roles });
  }
}

/** A body that took longer than this: its sender may have been shut out meanwhile, and a revocation holds within 1 s. */
const slowBodyMilliseconds = 100;

function bound(deps: BindDeps, operation: Operation, handler: BoundHandler) {
  const { traffic, parseBody, checkAnswers } = deps;
  const rules = deps.rulesOf(operation);
  return (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> =>
    traffic.run(async () => {
      if (operation.bearer && reply.elapsedTime > slowBodyMilliseconds) await identify(deps, operation, request);
      const body = readBody(parseBody, operation, request.body);
      const { query, headers } = request;
      const params = paramsOf(operation, request);
      const checked = rules.checkRequest({ params, query, headers, body });
      const { caller, requestId, receivedAt } = request.call;
      const answer = await handler({ ...checked, caller, requestId, receivedAt, remoteAddress: request.ip });
      const type = answer.contentType ?? operation.answers.get(answer.status)?.keys().next().value ?? '';
      // An answer that the contract does not describe may hold a field nobody granted: better none (fail closed).
      const fault = checkAnswers ? rules.faultOfAnswer(answer.status, type, answer.body) : undefined;
      if (fault !== undefined) throw new Error(`answer of ${operation.operationId}: ${fault}`);
      reply.code(answer.status).headers(answer.headers ?? {});
      if (operation.bearer) reply.header('cache-control', 'no-store');
      if (answer.body === undefined) return reply.send();
      return reply
        .type(withCharset(type))
        .send(isJsonType(type) ? JSON.stringify(answer.body) : payloadOf(request, answer.body));
    });
}

/**
 * A body that is made while it is sent waits for its reader and keeps one piece ahead. If it fails in the middle the connection is
 * cut: the peer sees a broken answer, never one that ends early.
 */
function payloadOf({ call, log, routeOptions }: FastifyRequest, body: unknown): unknown {
  if (typeof body !== 'object' || body === null || !(Symbol.asyncIterator in body)) return body;
  const pieces = Readable.from(body as AsyncIterable<string>, { highWaterMark: 1 });
  pieces.on('error', (err) => {
    const { operationId } = routeOptions.config.operation ?? {};
    log.error({ err, operationId, requestId: call.requestId }, 'answer broke off');
  });
  return pieces;
}

/** Text is UTF-8, and says so. */
const withCharset = (type: string): string => (/^text\/\w+$/.test(type) ? `${type}; charset=utf-8` : type);

/** The router knows what a wildcard took as `*`. */
function paramsOf({ wildcard, parameters }: Operation, { params }: FastifyRequest): unknown {
  const name = parameters.find(({ in: place }) => place === 'path')?.name;
  return wildcard && name !== undefined ? { [name]: (params as Record<string, unknown>)['*'] } : params;
}
