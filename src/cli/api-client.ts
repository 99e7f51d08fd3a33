import { createPrivateKey, type KeyObject, randomUUID, sign } from 'node:crypto';

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed JSON, or text; unchecked. */
  readonly body: unknown;
}

/** A client of the API as an approval system would write one. */
export interface ApiClient {
  readonly clientId: string;
  token(): Promise<string>;
  get(path: string): Promise<Reply>;
  post(path: string, body: unknown, idempotencyKey?: string): Promise<Reply>;
  put(path: string, body: unknown, idempotencyKey?: string): Promise<Reply>;
}

export interface ClientSettings {
  readonly url: string;
  readonly issuer: string;
  readonly clientId: string;
  /** Private JWK; none for a caller without a token. */
  readonly key?: Record<string, string>;
}

export function apiClient({ url, issuer, clientId, key }: ClientSettings): ApiClient {
  let current: Promise<string> | undefined;
  const token = (): Promise<string> => {
    if (key === undefined) throw new Error('this caller has no key');
    current ??= fetchToken({ url, issuer, clientId, key });
    return current;
  };
  const send = async (method: string, path: string, body?: unknown, idempotencyKey?: string): Promise<Reply> => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(key !== undefined && { authorization: `Bearer ${await token()}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(method !== 'GET' && { 'idempotency-key': idempotencyKey ?? randomUUID() }),
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = /[/+]json\b/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  };
  return {
    clientId,
    token,
    get: (path) => send('GET', path),
    post: (path, body, idempotencyKey) => send('POST', path, body, idempotencyKey),
    put: (path, body, idempotencyKey) => send('PUT', path, body, idempotencyKey),
  };
}

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A client assertion (RFC 7523, audience per RFC 10070); `overrides` make it a wrong one. */
export function clientAssertion(
  { issuer, clientId, key }: { issuer: string; clientId: string; key: Record<string, string> },
  overrides: { header?: Record<string, unknown>; claims?: Record<string, unknown>; signer?: KeyObject } = {},
): string {
  const now = Math.floor(Date.now() / 1000);
  const header = { alg: 'ES256', typ: 'client-authentication+jwt', kid: key['kid'], ...overrides.header };
  const claims = {
    iss: clientId,
    sub: clientId,
    aud: issuer,
    iat: now,
    exp: now + 50,
    jti: randomUUID(),
    ...overrides.claims,
  };
  const signed = `${part(header)}.${part(claims)}`;
  const signer = overrides.signer ?? createPrivateKey({ key, format: 'jwk' } as never);
  const signature = sign('sha256', Buffer.from(signed), { key: signer, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}

async function fetchToken(settings: Required<ClientSettings>): Promise<string> {
  const response = await fetch(`${settings.url}/oauth/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: settings.clientId,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: clientAssertion(settings),
    }),
  });
  const body = (await response.json()) as { access_token?: string };
  if (body.access_token === undefined) throw new Error(`no token: ${JSON.stringify(body)}`);
  return body.access_token;
}
