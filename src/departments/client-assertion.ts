import type { ClientId } from '../ids.ts';
import type { JsonObject } from '../verification/encoding.ts';
import { judgeJws, parseCompactJws, type UnverifiedJws } from '../verification/jws.ts';
import type { Client } from './client.ts';
import { looksLikeClientId } from './client.ts';
import type { ClientKey } from './client-key.ts';

/** `typ` of a client assertion (RFC 7523, updated by RFC 10070): no other signed message of a client can pass for one. */
export const clientAssertionType = 'client-authentication+jwt';

/** RFC 7521, 4.2: what the assertion is. */
export const clientAssertionKind = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** Longest life of an assertion, and how far clocks may be apart. Seconds. */
export const assertionLimits = { lifetime: 60, skew: 10 } as const;
const maxJtiCharacters = 128;

/** Why an assertion was refused: what the client's developer is told. Everything about names and keys is one reason. */
export type AssertionFault =
  | 'assertion_kind'
  | 'malformed'
  | 'type'
  | 'algorithm'
  | 'key_unknown'
  | 'key_revoked'
  | 'client_disabled'
  | 'issuer'
  | 'subject'
  | 'client_id'
  | 'audience'
  | 'expiry_missing'
  | 'expiry_too_far'
  | 'expired'
  | 'not_yet_valid'
  | 'issued_at'
  | 'jti'
  | 'assertion_replayed';

/** An assertion taken apart, with the client it claims to be from; nothing is verified. */
export interface UnverifiedAssertion {
  readonly jws: UnverifiedJws;
  /** `sub`, when it could be a client's name. */
  readonly claimedClient: ClientId | undefined;
}

/** Takes an assertion apart. What does not depend on any client is judged here. */
export function readAssertion(
  text: string,
): { ok: true; value: UnverifiedAssertion } | { ok: false; reason: AssertionFault } {
  const jws = parseCompactJws(text);
  if (!jws.ok) return { ok: false, reason: 'malformed' };
  const { header, payload } = jws.value;
  if (header['typ'] !== clientAssertionType) return { ok: false, reason: 'type' };
  if (header['alg'] !== 'ES256' && header['alg'] !== 'EdDSA') return { ok: false, reason: 'algorithm' };
  const subject = payload['sub'];
  return { ok: true, value: { jws: jws.value, claimedClient: looksLikeClientId(subject) ? subject : undefined } };
}

/**
 * The key of the client with which the assertion is signed, or undefined: no such client, no such key, another algorithm than the
 * key's, a wrong signature. Without `kid` it is the client's only unrevoked key. Always verifies one signature, with `decoy` when there
 * is no key, so that the time taken does not tell which clients exist.
 */
export function signingKeyOf(
  { jws }: UnverifiedAssertion,
  client: Client | undefined,
  decoy: Pick<ClientKey, 'publicKey' | 'suite'>,
): ClientKey | undefined {
  const kid = jws.header['kid'];
  const named = Object.hasOwn(jws.header, 'kid');
  const active = client?.keys.filter(({ revokedAt }) => revokedAt === null) ?? [];
  const key = named
    ? client?.keys.find((candidate) => candidate.kid === kid)
    : active.length === 1
      ? active[0]
      : undefined;
  const { publicKey, suite } = key ?? decoy;
  const faults = judgeJws(jws, { typ: clientAssertionType, suites: [suite], key: () => publicKey });
  return faults.length === 0 ? key : undefined;
}

/** What a client assertion must say (RFC 7523, 3; RFC 10070). `at` in epoch seconds. */
export interface AssertionDemands {
  readonly clientId: ClientId;
  /** `client_id` of the form, when sent. */
  readonly clientIdParameter: string | undefined;
  /** The hub's issuer, the only audience. */
  readonly issuer: string;
  readonly at: number;
}

/** A verified assertion's name for single use. `expiresAt` in epoch seconds, skew included. */
export interface AssertionUse {
  readonly jti: string;
  readonly expiresAt: number;
}

/** Judges the claims of an assertion whose signature is verified; the first broken rule is the reason. */
export function judgeClaims(
  payload: JsonObject,
  demands: AssertionDemands,
): { ok: true; use: AssertionUse } | { ok: false; reason: AssertionFault } {
  const { clientId, clientIdParameter, issuer, at } = demands;
  const fail = (reason: AssertionFault): { ok: false; reason: AssertionFault } => ({ ok: false, reason });
  if (payload['sub'] !== clientId) return fail('subject');
  if (payload['iss'] !== clientId) return fail('issuer');
  if (clientIdParameter !== undefined && clientIdParameter !== clientId) return fail('client_id');
  // a list, or the URL of the token endpoint, lets one hub's assertion be used at another (CVE-2025-27370)
  if (payload['aud'] !== issuer) return fail('audience');
  const { exp, jti } = payload;
  if (!isInstant(exp)) return fail('expiry_missing');
  const fault = judgeTimes(payload, exp, at);
  if (fault !== undefined) return fail(fault);
  if (typeof jti !== 'string' || jti.length === 0 || jti.length > maxJtiCharacters) return fail('jti');
  return { ok: true, use: { jti, expiresAt: exp + assertionLimits.skew } };
}

/** Short-lived, for now, and not made long before or in the future. */
function judgeTimes({ nbf, iat }: JsonObject, exp: number, at: number): AssertionFault | undefined {
  const { lifetime, skew } = assertionLimits;
  if (exp <= at - skew) return 'expired';
  if (exp > at + lifetime + skew) return 'expiry_too_far';
  if (nbf !== undefined && !(isInstant(nbf) && nbf <= at + skew)) return 'not_yet_valid';
  const isSound = iat === undefined || (isInstant(iat) && iat <= at + skew && iat < exp && exp - iat <= 2 * lifetime);
  return isSound ? undefined : 'issued_at';
}

/** A NumericDate (RFC 7519, 2) that JSON.parse did not turn into Infinity. */
const isInstant = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 && value < 1e11;
