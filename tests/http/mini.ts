import { generateKeyPairSync } from 'node:crypto';
import { type AddressInfo, connect } from 'node:net';
import { Refusal } from '../../src/errors.ts';
import type { Authenticate } from '../../src/http/bind.ts';
import type { Contract } from '../../src/http/contract.ts';
import type { Handlers } from '../../src/http/handlers.ts';
import { openLog } from '../../src/http/log.ts';
import type { RefusedEvent } from '../../src/http/refuse.ts';
import { buildServer, type Server, type ServerOptions } from '../../src/http/server.ts';
import { bearerToken, openTokens, type TokenSettings, type Tokens } from '../../src/http/tokens.ts';
import type { Caller, Role } from '../../src/ids.ts';
import { parseJsonStrictly } from '../../src/verification/encoding.ts';

/** A test calls more often than a stranger may. */
const unlimited = { max: 1e6, windowMilliseconds: 60_000 };

export const issuer = 'https://hub.example';
export const audience = 'https://hub.example/v1';

const json = (schema: unknown) => ({ 'application/json': { schema } });
const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });
const ok = (schema: unknown, status = '200') => ({ [status]: { description: 'ok', content: json(schema) } });

/** A contract of our own with one operation for every shape that the server must handle. */
export const miniContract = (): Contract => ({
  openapi: '3.1.0',
  info: { title: 'mini', version: '1' },
  paths: {
    '/health/live': { get: { operationId: 'getLiveness', security: [], responses: ok({ type: 'object' }) } },
    '/oauth/token': {
      post: {
        operationId: 'issueToken',
        security: [],
        'x-rate-limited': true,
        requestBody: {
          required: true,
          content: { 'application/x-www-form-urlencoded': { schema: ref('TokenRequest') } },
        },
        responses: ok({ type: 'object' }),
      },
    },
    '/v1/questions': {
      post: {
        operationId: 'ask',
        security: [{ accessToken: [] }],
        'x-roles': ['consumer'],
        'x-recorded': true,
        requestBody: { required: true, content: json(ref('Question')) },
        responses: ok(ref('Reply')),
      },
    },
    '/v1/things': {
      get: {
        operationId: 'listThings',
        security: [{ accessToken: [] }],
        'x-roles': ['issuer', 'auditor'],
        parameters: [{ $ref: '#/components/parameters/Limit' }],
        responses: { ...ok({ type: 'object' }), default: { description: 'problem' } },
      },
      post: {
        operationId: 'addThing',
        security: [{ accessToken: [] }],
        'x-roles': ['issuer'],
        parameters: [
          { name: 'Idempotency-Key', in: 'header', required: true, schema: { type: 'string', minLength: 8 } },
        ],
        requestBody: { required: true, content: json({ type: 'object' }) },
        responses: ok({ type: 'object' }, '201'),
      },
    },
    '/v1/things/{thingId}': {
      get: {
        operationId: 'getThing',
        security: [{ accessToken: [] }],
        'x-roles': ['issuer'],
        parameters: [{ name: 'thingId', in: 'path', required: true, schema: { type: 'integer', minimum: 1 } }],
        responses: ok({ type: 'object' }),
      },
    },
    '/public/list': {
      get: {
        operationId: 'getList',
        security: [],
        'x-rate-limited': true,
        responses: {
          200: { description: 'list', content: { 'application/statuslist+jwt': { schema: { type: 'string' } } } },
        },
      },
    },
  },
  components: {
    securitySchemes: { accessToken: { type: 'http', scheme: 'bearer' }, basic: { type: 'http', scheme: 'basic' } },
    parameters: {
      Limit: { name: 'limit', in: 'query', schema: { type: 'integer', minimum: 1, maximum: 200 } },
    },
    schemas: {
      TokenRequest: {
        type: 'object',
        additionalProperties: false,
        required: ['grant_type'],
        properties: { grant_type: { type: 'string' }, client_id: { type: 'string' } },
      },
      Holder: {
        type: 'object',
        additionalProperties: false,
        required: ['type', 'number'],
        properties: {
          type: { type: 'string', pattern: '^[0-9]{3}$' },
          number: { type: 'string', 'x-identifier': true, maxLength: 40 },
        },
      },
      Question: {
        type: 'object',
        additionalProperties: false,
        required: ['purpose', 'holder'],
        properties: {
          purpose: { type: 'string', minLength: 1, maxLength: 100 },
          holder: ref('Holder'),
          certificateTypeCode: { type: 'string', pattern: '^[0-9A-Z]{21}$' },
          fields: { type: 'object', maxProperties: 5, additionalProperties: { type: 'string' } },
        },
      },
      Reply: {
        type: 'object',
        additionalProperties: false,
        required: ['answer'],
        properties: { answer: { type: 'string' } },
      },
    },
  },
});

export const question = { purpose: 'school enrolment', holder: { type: '111', number: '990000199003074477' } };

/** As `RecordedRefusal` of `audit/record.ts`: its record precedes it. */
export class AlreadyRecorded extends Refusal {
  readonly recorded = true;
}

type LooseHandler = (request: {
  body: unknown;
  query: Record<string, unknown>;
  params: Record<string, unknown>;
  caller: Caller | undefined;
  requestId: string;
}) => Promise<unknown>;

export interface Mini extends Server {
  readonly seen: { operationId: string; body: unknown }[];
  readonly events: RefusedEvent[];
  readonly lines: string[];
  readonly tokens: Tokens;
  readonly tokenSettings: TokenSettings;
  readonly bearer: (role?: Role, clientId?: string) => { authorization: string };
  readonly clock: { now: Date };
  readonly url: string;
  readonly port: number;
}

export interface MiniOptions {
  readonly contract?: Contract;
  /** In place of, or beside, the handlers of the mini contract. */
  readonly handlers?: Readonly<Record<string, LooseHandler>>;
  /** All handlers, for another contract. */
  readonly onlyHandlers?: Readonly<Record<string, LooseHandler>>;
  readonly refused?: (event: RefusedEvent) => Promise<unknown>;
  readonly authenticate?: Authenticate;
  readonly options?: ServerOptions;
  readonly issuer?: string;
  readonly clock?: { now: Date };
}

/** A listening server over the mini contract; the client id names the role: `consumer-1` is a consumer. */
export async function startMini(given: MiniOptions = {}): Promise<Mini> {
  const clock = given.clock ?? { now: new Date('2026-11-22T08:00:00Z') };
  const seen: Mini['seen'] = [];
  const events: RefusedEvent[] = [];
  const lines: string[] = [];
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const publicPem = keys.publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const tokenSettings: TokenSettings = {
    privatePem: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    kid: 'token-1',
    publicPem: (kid) => (kid === 'token-1' ? publicPem : undefined),
    issuer,
    audience,
    ttlSeconds: 600,
    now: () => clock.now,
  };
  const tokens = await openTokens(tokenSettings);
  const contract = given.contract ?? miniContract();
  const answers: Readonly<Record<string, LooseHandler>> = given.onlyHandlers ?? {
    getLiveness: async () => ({ status: 200, body: {} }),
    issueToken: async () => ({ status: 200, body: {} }),
    ask: async () => ({ status: 200, body: { answer: 'signed' } }),
    listThings: async ({ query }) => ({ status: 200, body: { query } }),
    addThing: async () => ({ status: 201, body: {} }),
    getThing: async ({ params }) => ({ status: 200, body: { params } }),
    getList: async () => ({ status: 200, body: 'a.b.c', headers: { 'cache-control': 'public, max-age=5' } }),
    ...given.handlers,
  };
  const handlers = Object.fromEntries(
    Object.entries(answers).map(([operationId, handler]) => [
      operationId,
      (request: Parameters<LooseHandler>[0]) => {
        seen.push({ operationId, body: request.body });
        return handler(request);
      },
    ]),
  ) as unknown as Handlers;
  const server = await buildServer({
    contract,
    issuer: given.issuer ?? issuer,
    handlers,
    authenticate:
      given.authenticate ??
      (async (authorization) => {
        const { clientId, keyId } = await tokens.verify(bearerToken(authorization));
        const role = clientId.split('-')[0] as Role;
        return { clientId, keyId, department: '11999900100000016A', roles: [role] } as unknown as Caller;
      }),
    parseBody: parseJsonStrictly,
    refused: async (event) => {
      events.push(event);
      await given.refused?.(event);
    },
    log: openLog({ level: 'info', write: (line) => lines.push(line) }),
    now: () => clock.now,
    options: { tokenRateLimit: unlimited, publicRateLimit: unlimited, ...given.options },
  });
  await server.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = server.app.server.address() as AddressInfo;
  return {
    ...server,
    seen,
    events,
    lines,
    tokens,
    tokenSettings,
    clock,
    bearer: (role = 'consumer', clientId = `${role}-1`) => ({
      authorization: `Bearer ${tokens.sign({ clientId, keyId: 'key-1' })}`,
    }),
    url: `http://127.0.0.1:${port}`,
    port,
  };
}

/** Sends bytes as they are and returns all that comes back until the peer closes or falls silent. */
export function raw(port: number, bytes: string | Buffer, silenceMilliseconds = 400): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.setTimeout(silenceMilliseconds, () => socket.destroy());
    socket.on('data', (chunk) => {
      received += chunk.toString('utf8');
    });
    socket.on('error', (error) => ((error as NodeJS.ErrnoException).code === 'ECONNRESET' ? undefined : reject(error)));
    socket.on('close', () => resolve(received));
  });
}
