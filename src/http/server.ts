import rateLimit from '@fastify/rate-limit';
import fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyRequest, LogController } from 'fastify';
import type { Logger } from 'pino';
import { Refusal } from '../errors.ts';
import { newId } from '../ids.ts';
import { type Authenticate, bindOperations } from './bind.ts';
import { type ParseBody, takeRawBodies } from './body.ts';
import { type OpenCall, openCall } from './call.ts';
import { type Contract, type Operation, operationsOf } from './contract.ts';
import { registerDocs } from './docs.ts';
import { countTraffic, drain } from './drain.ts';
import type { BoundHandler, Handlers } from './handlers.ts';
import { looksPersonal } from './log.ts';
import { answerBadConnection, answerFault, type RefusedEvent } from './refuse.ts';
import { contractRules } from './validate.ts';

export interface RateLimit {
  readonly max: number;
  readonly windowMilliseconds: number;
}

export interface ServerOptions {
  /** Largest body in bytes; 1 MiB when absent. */
  readonly bodyLimit?: number;
  /** Addresses of reverse proxies whose X-Forwarded-For counts; nobody's when absent. */
  readonly trustProxy?: readonly string[];
  /** Token requests per address (IPv6: per /64); 60 a minute when absent. */
  readonly tokenRateLimit?: RateLimit;
  /** Other rate-limited operations per address; 120 a minute when absent. */
  readonly publicRateLimit?: RateLimit;
  /** Reading the transparency log per address, which an auditor copies whole; 6,000 a minute when absent. */
  readonly mirrorRateLimit?: RateLimit;
  /** Whole request, headers included; 30 s when absent. */
  readonly requestTimeoutMilliseconds?: number;
  readonly keepAliveTimeoutMilliseconds?: number;
  /** False only for measuring: every answer is compared with the contract before it leaves. */
  readonly checkAnswers?: boolean;
  /** False leaves out `/docs`. */
  readonly docs?: boolean;
}

const defaults: Required<ServerOptions> = {
  bodyLimit: 1_048_576,
  trustProxy: [],
  tokenRateLimit: { max: 60, windowMilliseconds: 60_000 },
  publicRateLimit: { max: 120, windowMilliseconds: 60_000 },
  mirrorRateLimit: { max: 6_000, windowMilliseconds: 60_000 },
  requestTimeoutMilliseconds: 30_000,
  keepAliveTimeoutMilliseconds: 65_000,
  checkAnswers: true,
  docs: true,
};

export interface ServerParts {
  /** The parsed `openapi/certhub.yaml`. */
  readonly contract: Contract;
  /** Base of all addresses the hub publishes, without a slash at its end. */
  readonly issuer: string;
  readonly handlers: Handlers;
  readonly authenticate: Authenticate;
  readonly parseBody: ParseBody;
  /** Resolves once the event is durable; when it rejects, the caller gets 503 `record_unavailable`. */
  readonly refused: (event: RefusedEvent) => Promise<unknown>;
  readonly log: Logger;
  readonly now: () => Date;
  readonly options?: ServerOptions;
}

export interface Server {
  /** Ready to listen: `app.listen({ host, port })`; in tests also `app.inject(…)`. */
  readonly app: FastifyInstance;
  /** Graceful stop with a hard deadline; true under `cut` when connections had to be cut. */
  readonly drain: (deadlineMilliseconds: number) => Promise<{ readonly cut: boolean }>;
}

/**
 * The HTTP server of a hub. It knows no capability: contract, handlers and the function that tells who calls are
 * handed in. It does not start with a contract that leaves a question of permission open (see `operationsOf`).
 */
export async function buildServer(parts: ServerParts): Promise<Server> {
  const { contract, issuer, authenticate, parseBody, refused, log, now } = parts;
  const options = { ...defaults, ...parts.options };
  const operations = operationsOf(contract);
  const traffic = countTraffic();
  const faultDeps = { issuer, refused, log };

  const app: FastifyInstance = fastify({
    loggerInstance: log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: (raw) => acceptRequestId(raw.headers['x-request-id']) ?? newId(),
    requestIdHeader: false,
    bodyLimit: options.bodyLimit,
    trustProxy: options.trustProxy.length === 0 ? false : [...options.trustProxy],
    exposeHeadRoutes: false,
    return503OnClosing: false,
    requestTimeout: options.requestTimeoutMilliseconds,
    keepAliveTimeout: options.keepAliveTimeoutMilliseconds,
    routerOptions: { maxParamLength: 256, caseSensitive: true, ignoreTrailingSlash: false },
    http: {
      maxHeaderSize: 16_384,
      headersTimeout: Math.min(10_000, options.requestTimeoutMilliseconds),
      connectionsCheckingInterval: Math.min(5_000, options.requestTimeoutMilliseconds),
      insecureHTTPParser: false,
    },
    frameworkErrors: (error, request, reply) => {
      request.call = openCall(request.id, now());
      void answerFault(faultDeps, error, request, reply);
    },
    clientErrorHandler: (error, socket) => answerBadConnection({ issuer, requestId: newId() }, error, socket),
  });

  takeRawBodies(app);
  app.decorateRequest('call', null as unknown as OpenCall);
  app.setErrorHandler((error, request, reply) => answerFault(faultDeps, error, request, reply));
  addHooks(app, { issuer, now, log, traffic });
  await app.register(rateLimit, {
    global: false,
    cache: 10_000,
    errorResponseBuilder: (_request, { ttl }) =>
      new Refusal('rate_limited', { retryAfterSeconds: Math.ceil(ttl / 1000) }),
  });
  bindOperations(
    {
      app,
      rulesOf: contractRules(contract),
      // Each handler is typed by its own operation; the contract's rules make what it is given fit that type.
      handlers: parts.handlers as unknown as Readonly<Record<string, BoundHandler>>,
      authenticate,
      parseBody,
      traffic,
      checkAnswers: options.checkAnswers,
      rateLimits: {
        token: limitOf(options.tokenRateLimit),
        public: limitOf(options.publicRateLimit),
        mirror: limitOf(options.mirrorRateLimit),
      },
    },
    operations,
  );
  if (options.docs) await registerDocs(app, contract);
  const methodsOf = knownPaths(operations);
  app.setNotFoundHandler((request) => {
    const allowed = methodsOf(request.url);
    throw allowed.length === 0 ? new Refusal('not_found') : new Refusal('method_not_allowed', { allowed });
  });
  await app.ready();
  return { app, drain: (deadlineMilliseconds) => drain({ app, traffic }, deadlineMilliseconds) };
}

interface HookDeps {
  readonly issuer: string;
  readonly now: () => Date;
  readonly log: Logger;
  readonly traffic: ReturnType<typeof countTraffic>;
}

function addHooks(app: FastifyInstance, { issuer, now, log, traffic }: HookDeps): void {
  const secure = issuer.startsWith('https:');
  app.addHook('onRequest', (request, reply, done) => {
    request.call = openCall(request.id, now());
    traffic.owe(reply);
    reply.headers({
      'x-request-id': request.id,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
      ...(secure ? { 'strict-transport-security': 'max-age=31536000' } : {}),
    });
    const alive = request.routeOptions.config.operation?.operationId === 'getLiveness';
    done(traffic.draining() && !alive ? new Refusal('shutting_down') : undefined);
  });
  app.addHook('onSend', (_request, reply, _payload, done) => {
    if (traffic.draining()) reply.header('connection', 'close');
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    log.info(lineOf(request, reply.statusCode, reply.elapsedTime), 'answered');
    done();
  });
}

/** The route's pattern and never the address that was asked for, which may hold anything. */
function lineOf(request: FastifyRequest, status: number, milliseconds: number): Record<string, unknown> {
  const { call, routeOptions } = request;
  return {
    method: request.method,
    route: routeOptions.url,
    operationId: routeOptions.config.operation?.operationId,
    status,
    ms: Math.round(milliseconds * 10) / 10,
    requestId: call.requestId,
    clientId: call.caller?.clientId,
    code: call.code,
  };
}

/** A caller's own request id is kept, unless it could carry a personal number into logs and records. */
function acceptRequestId(given: string | string[] | undefined): string | undefined {
  if (typeof given !== 'string' || !/^[A-Za-z0-9-]{1,64}$/.test(given)) return undefined;
  return looksPersonal(given) ? undefined : given;
}

const limitOf = ({ max, windowMilliseconds }: RateLimit): { max: number; timeWindow: number } => ({
  max,
  timeWindow: windowMilliseconds,
});

/** For an address, the methods that the contract has there. */
function knownPaths(operations: readonly Operation[]): (url: string) => readonly string[] {
  const known = operations.map(({ path, method, wildcard }) => {
    const escaped = path.replace(/[.*+?^$()|[\]\\]/g, '\\$&');
    return { method, pattern: new RegExp(`^${escaped.replace(/\{[^}]+\}/g, wildcard ? '.+' : '[^/]+')}$`) };
  });
  return (url) => {
    const path = url.split('?', 1)[0] ?? '';
    return known.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method);
  };
}
