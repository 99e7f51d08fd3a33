import rateLimit from '@fastify/rate-limit';
import fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyReply, LogController } from 'fastify';
import type { Logger } from 'pino';
import { countTraffic, drain } from './drain.ts';

/** What a witness answers, to be sent as it is. */
export interface WitnessAnswer {
  readonly status: number;
  readonly mediaType: 'text/plain; charset=utf-8' | 'text/x.tlog.size';
  readonly text: string;
}

export interface WitnessServerParts {
  /** Judges the raw bytes of a submission; an answer of 200 is durable. Rejects when nothing can be promised. */
  readonly addCheckpoint: (body: Uint8Array) => Promise<WitnessAnswer>;
  /** The note cosigned last for the log with this SHA-256 (lower-case hex) of its name. */
  readonly lastCheckpoint: (originHash: string) => string | undefined;
  readonly log: Logger;
  /** Submissions and readings per address and minute; 3000 when absent: a hub may sign ten checkpoints a second. */
  readonly perMinute?: number;
  /** Whole request, headers included; 10 s when absent. */
  readonly requestTimeoutMilliseconds?: number;
}

export interface WitnessServer {
  readonly app: FastifyInstance;
  /** Finishes what is under way; cuts the rest after the deadline. */
  readonly drain: (deadlineMilliseconds: number) => Promise<{ readonly cut: boolean }>;
}

const maxBodyBytes = 65_536;
const plain = 'text/plain; charset=utf-8';

/**
 * The HTTP server of a witness (C2SP tlog-witness): `POST /add-checkpoint`, `GET /<sha256 of origin>/checkpoint`, and
 * `GET /health/live`. Bodies are taken as bytes and judged by the function handed in.
 */
export async function buildWitnessServer(parts: WitnessServerParts): Promise<WitnessServer> {
  const { log, addCheckpoint, lastCheckpoint } = parts;
  const requestTimeout = parts.requestTimeoutMilliseconds ?? 10_000;
  const traffic = countTraffic();
  const app: FastifyInstance = fastify({
    loggerInstance: log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: maxBodyBytes,
    return503OnClosing: false,
    requestTimeout,
    keepAliveTimeout: 65_000,
    exposeHeadRoutes: false,
    http: {
      maxHeaderSize: 16_384,
      headersTimeout: requestTimeout,
      connectionsCheckingInterval: Math.min(5_000, requestTimeout),
      insecureHTTPParser: false,
    },
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.setErrorHandler((error, _request, reply) => {
    const status = statusOf(error);
    if (status >= 500) log.error(error, 'a request failed');
    return send(reply, { status, mediaType: plain, text: `${words.get(status) ?? 'refused'}\n` });
  });
  app.setNotFoundHandler((_request, reply) => send(reply, { status: 404, mediaType: plain, text: 'not found\n' }));
  app.addHook('onRequest', (_request, reply, done) => {
    traffic.owe(reply);
    reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    done(traffic.draining() ? Object.assign(new Error('shutting down'), { statusCode: 503 }) : undefined);
  });
  app.addHook('onResponse', (request, reply, done) => {
    const { method, routeOptions } = request;
    log.info(
      { method, route: routeOptions.url, status: reply.statusCode, ms: Math.round(reply.elapsedTime) },
      'answered',
    );
    done();
  });
  await app.register(rateLimit, { global: true, cache: 10_000, max: parts.perMinute ?? 3_000, timeWindow: 60_000 });

  app.post('/add-checkpoint', async (request, reply) => {
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    return send(reply, await traffic.run(() => addCheckpoint(body)));
  });
  app.get<{ Params: { originHash: string } }>('/:originHash/checkpoint', async (request, reply) => {
    const note = lastCheckpoint(request.params.originHash);
    if (note === undefined) return send(reply, { status: 404, mediaType: plain, text: 'no checkpoint of this log\n' });
    return send(reply, { status: 200, mediaType: plain, text: note });
  });
  app.get('/health/live', { config: { rateLimit: false } }, async (_request, reply) =>
    send(reply, { status: 200, mediaType: plain, text: 'ok\n' }),
  );
  await app.ready();
  return { app, drain: (deadlineMilliseconds) => drain({ app, traffic }, deadlineMilliseconds) };
}

const words = new Map([
  [413, 'the body is larger than 64 KiB'],
  [429, 'too many requests'],
  [500, 'nothing was cosigned; see the log of this witness'],
  [503, 'shutting down'],
]);

function statusOf(error: unknown): number {
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
  return typeof status === 'number' && status >= 400 && status < 600 ? status : 500;
}

const send = (reply: FastifyReply, { status, mediaType, text }: WitnessAnswer): FastifyReply =>
  reply.code(status).header('content-type', mediaType).send(Buffer.from(text, 'utf8'));
