import { createHash } from 'node:crypto';
import jwt from '@fastify/jwt';
import fastify, { type FastifyInstance } from 'fastify';
import { Refusal } from '../errors.ts';
import { newId } from '../ids.ts';

/** The hub's token key and what its access tokens say. */
export interface TokenSettings {
  /** Private P-256 key in PKCS#8 PEM, signing new tokens. */
  readonly privatePem: string;
  /** Key id of `privatePem`. */
  readonly kid: string;
  /** Public key in SPKI PEM for a key id that is accepted now; undefined for every other one. */
  readonly publicPem: (kid: string) => string | undefined;
  readonly issuer: string;
  readonly audience: string;
  /** Life of a token in seconds, at most 900. */
  readonly ttlSeconds: number;
  readonly now: () => Date;
}

/** For whom a token is made. */
export interface TokenSubject {
  readonly clientId: string;
  /** The client key that signed the assertion; the token dies with it. */
  readonly keyId: string;
}

/** What a verified token says. Whether client and key are still in force is not its business: ask on every call. */
export interface TokenClaims extends TokenSubject {
  /** `jti` */
  readonly tokenId: string;
  readonly issuedAt: Date;
  readonly expiresAt: Date;
}

export interface Tokens {
  /** An access token (RFC 9068) that lives `ttlSeconds` from now. */
  readonly sign: (subject: TokenSubject) => string;
  /** @throws Refusal `token_invalid`, `token_expired` */
  readonly verify: (token: string) => Promise<TokenClaims>;
}

const maxTokenChars = 2048;
const maxTtlSeconds = 900;
const rememberMilliseconds = 60_000;
const maxRemembered = 10_000;
const requiredClaims = ['iss', 'sub', 'aud', 'client_id', 'client_key', 'iat', 'exp', 'jti'] as const;
// Order n of P-256: of the two signatures (r, s) and (r, n - s) only the one with the low s is made and accepted.
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/**
 * Access tokens on a Fastify instance of their own that never listens: `@fastify/jwt` wants one, and so the functions
 * exist before the server whose handlers and `authenticate` need them.
 * @throws Error for a life that is not a whole number of seconds up to 900, or keys that do not fit
 */
export async function openTokens(settings: TokenSettings): Promise<Tokens> {
  const app = fastify();
  const tokens = await registerTokens(app, settings);
  await app.ready();
  return tokens;
}

/** As `openTokens`, on a given instance that is not ready yet. */
export async function registerTokens(app: FastifyInstance, settings: TokenSettings): Promise<Tokens> {
  const { kid, issuer, audience, ttlSeconds, now, publicPem } = settings;
  if (!Number.isInteger(ttlSeconds) || ttlSeconds < 1 || ttlSeconds > maxTtlSeconds) {
    throw new Error(`access tokens live for 1 to ${maxTtlSeconds} whole seconds`);
  }
  const current = publicPem(kid);
  if (current === undefined) throw new Error('the public half of the token key is not among the accepted keys');
  await app.register(jwt, {
    secret: { private: settings.privatePem, public: current },
    sign: { algorithm: 'ES256', kid, header: { alg: 'ES256', typ: 'at+jwt', kid } },
    verify: {
      algorithms: ['ES256'],
      cache: false,
      checkTyp: 'at+jwt',
      allowedIss: issuer,
      allowedAud: audience,
      requiredClaims: [...requiredClaims],
    },
  });
  const remembered = new Map<string, { readonly claims: TokenClaims; readonly pem: string; readonly until: number }>();

  const sign = ({ clientId, keyId }: TokenSubject): string => {
    const iat = Math.floor(now().getTime() / 1000);
    return withLowS(
      app.jwt.sign({
        iss: issuer,
        sub: clientId,
        aud: audience,
        client_id: clientId,
        client_key: keyId,
        jti: newId(),
        iat,
        exp: iat + ttlSeconds,
      }),
    );
  };

  const verifyOnce = (token: string): { claims: TokenClaims; pem: string } => {
    const pem = publicPem(kidOf(token));
    if (pem === undefined) throw new Refusal('token_invalid');
    const at = now().getTime();
    let payload: unknown;
    try {
      payload = app.jwt.verify(token, { key: pem, clockTimestamp: at });
    } catch (error) {
      const expired = (error as { code?: unknown }).code === 'FAST_JWT_EXPIRED';
      throw new Refusal(expired ? 'token_expired' : 'token_invalid', {}, { cause: error });
    }
    return { claims: readClaims(token, payload, settings, at), pem };
  };

  const verify = async (token: string): Promise<TokenClaims> => {
    checkShape(token);
    const digest = createHash('sha256').update(token).digest('base64url');
    const known = remembered.get(digest);
    // A key that was withdrawn takes the tokens it signed with it, remembered or not.
    if (known !== undefined && now().getTime() < known.until && publicPem(kidOf(token)) === known.pem) {
      return known.claims;
    }
    remembered.delete(digest);
    const { claims, pem } = verifyOnce(token);
    const until = Math.min(now().getTime() + rememberMilliseconds, claims.expiresAt.getTime());
    if (remembered.size >= maxRemembered) remembered.delete(remembered.keys().next().value ?? '');
    remembered.set(digest, { claims, pem, until });
    return claims;
  };

  // Keys that do not belong together are found now and not by the first caller.
  await verify(sign({ clientId: 'start-up-check', keyId: 'start-up-check' }));
  remembered.clear();
  return { sign, verify };
}

/**
 * The token in an Authorization header (RFC 6750 section 2.1).
 * @throws Refusal `token_missing` without the header or with another scheme, `token_invalid` for anything ill-formed
 */
export function bearerToken(authorization: string | undefined): string {
  if (authorization === undefined || !/^bearer(?: |$)/i.test(authorization)) throw new Refusal('token_missing');
  const token = authorization.slice('bearer '.length);
  checkShape(token);
  return token;
}

/** Three canonical base64url parts of bounded length: other spellings of the same bytes are other tokens. */
function checkShape(token: string): void {
  const wellFormed =
    token.length <= maxTokenChars &&
    /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}$/.test(token) &&
    token.split('.').every((part) => Buffer.from(part, 'base64url').toString('base64url') === part) &&
    hasLowS(token);
  if (!wellFormed) throw new Refusal('token_invalid');
}

/** The key id, from a header that is byte for byte the one this hub writes: no `crit`, `jwk`, `jku`, `zip` to ponder. */
function kidOf(token: string): string {
  const part = token.slice(0, token.indexOf('.'));
  const kid = /^\{"alg":"ES256","typ":"at\+jwt","kid":"([A-Za-z0-9._-]{1,100})"\}$/.exec(
    Buffer.from(part, 'base64url').toString('utf8'),
  )?.[1];
  if (kid === undefined) throw new Refusal('token_invalid');
  return kid;
}

function readClaims(token: string, payload: unknown, { issuer, audience }: TokenSettings, at: number): TokenClaims {
  const { iss, sub, aud, iat, exp, jti, client_id: clientId, client_key: keyId } = payload as Record<string, unknown>;
  // What we sign is JSON.stringify's output: a claim given twice or a number out of range does not survive the return.
  const text = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8');
  const known = iss === issuer && aud === audience && sub === clientId && text === JSON.stringify(payload);
  if (!known || !isText(clientId) || !isText(keyId) || !isText(jti) || !isTime(iat) || !isTime(exp)) {
    throw new Refusal('token_invalid');
  }
  checkTimes(iat, exp, at);
  return { clientId, keyId, tokenId: jti, issuedAt: new Date(iat * 1000), expiresAt: new Date(exp * 1000) };
}

function checkTimes(iat: number, exp: number, at: number): void {
  // Another process of this hub may be a little ahead.
  if (exp <= iat || exp - iat > maxTtlSeconds || iat * 1000 > at + 5_000) throw new Refusal('token_invalid');
  if (exp * 1000 <= at) throw new Refusal('token_expired');
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isTime = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;

const scalarS = (token: string): bigint =>
  BigInt(
    `0x${Buffer.from(token.slice(token.lastIndexOf('.') + 1), 'base64url')
      .subarray(32)
      .toString('hex')}`,
  );
const hasLowS = (token: string): boolean => scalarS(token) <= order / 2n;

function withLowS(token: string): string {
  if (hasLowS(token)) return token;
  const end = token.lastIndexOf('.') + 1;
  const signature = Buffer.from(token.slice(end), 'base64url');
  signature.write((order - scalarS(token)).toString(16).padStart(64, '0'), 32, 'hex');
  return token.slice(0, end) + signature.toString('base64url');
}
