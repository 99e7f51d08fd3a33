import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { Refusal } from '../errors.ts';
import { spkiSha256 } from '../signing/example-keys.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import { decodeBase64url } from '../verification/encoding.ts';

/** The suites with which a client may sign: one per kind of key, so the key alone decides. */
export type ClientKeySuite = 'ES256' | 'EdDSA';

/** A public key as JWK (RFC 7517), as it came in. */
export interface UnverifiedJwk {
  readonly kty?: unknown;
  readonly crv?: unknown;
  readonly x?: unknown;
  readonly y?: unknown;
  readonly kid?: unknown;
  readonly use?: unknown;
  readonly alg?: unknown;
}

/** A public key as the hub stores and shows it: always with `alg` and `use`. */
export interface PublicJwk {
  kty: 'EC' | 'OKP';
  crv: 'P-256' | 'Ed25519';
  x: string;
  y?: string;
  kid: string;
  use: 'sig';
  alg: ClientKeySuite;
}

/** A checked public key of a client. */
export interface PublicClientKey {
  readonly kid: string;
  readonly jwk: PublicJwk;
  readonly publicKey: KeyObject;
  readonly suite: ClientKeySuite;
  /** SHA-256 of the key's required members (RFC 7638): the same for every spelling of one key. */
  readonly thumbprint: Buffer;
}

/** A key as it stands in the registry. `revokedAt` is final: a revoked key never comes back. */
export interface ClientKey extends PublicClientKey {
  readonly createdAt: Date;
  readonly revokedAt: Date | null;
}

/** A key as the contract words it. */
export interface ClientKeyBody {
  kid: string;
  jwk: PublicJwk;
  createdAt: string;
  revokedAt: string | null;
}

/** The body of an answer about a key. */
export const clientKeyBody = ({ kid, jwk, createdAt, revokedAt }: ClientKey): ClientKeyBody => ({
  kid,
  jwk: { ...jwk },
  createdAt: createdAt.toISOString(),
  revokedAt: revokedAt?.toISOString() ?? null,
});

const kidShape = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$/;
const knownMembers = new Set(['kty', 'crv', 'x', 'y', 'kid', 'use', 'alg', 'key_ops', 'ext']);
/** Private and symmetric members (RFC 7518, 6.2.2, 6.3.2, 6.4; RFC 8037). */
const secretMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

const invalid = (reason: string): Refusal => new Refusal('client_key_invalid', { reason });

/**
 * Reads a public key: P-256 for ES256 or Ed25519 for EdDSA, coordinates in their one canonical spelling, on the curve.
 * Without `kid` the key gets its thumbprint (RFC 7638) as name.
 * @throws Refusal `client_key_invalid` with a reason; `private_key` when secret parts were sent along
 */
export function readPublicJwk(unverified: UnverifiedJwk): PublicClientKey {
  for (const name of Object.keys(unverified)) {
    if (secretMembers.includes(name)) throw invalid('private_key');
    if (!knownMembers.has(name)) throw invalid('unknown_member');
  }
  const { use } = unverified;
  if (use !== undefined && use !== 'sig') throw invalid('use');
  const { required, suite } = readRequiredMembers(unverified);
  if (unverified.alg !== undefined && unverified.alg !== suite) throw invalid('algorithm');
  const thumbprint = createHash('sha256').update(canonicalJson(required)).digest();
  const kid = unverified.kid ?? thumbprint.toString('base64url');
  // a name of dots only would be lost in a path
  if (typeof kid !== 'string' || !kidShape.test(kid)) throw invalid('kid');
  const jwk: PublicJwk = { ...required, kid, use: 'sig', alg: suite };
  return { kid, jwk, publicKey: importKey(required), suite, thumbprint };
}

type RequiredMembers = Pick<PublicJwk, 'kty' | 'crv' | 'x' | 'y'>;

function readRequiredMembers({ kty, crv, x, y }: UnverifiedJwk): { required: RequiredMembers; suite: ClientKeySuite } {
  if (kty === 'EC' && crv === 'P-256') {
    return { required: { kty, crv, x: readCoordinate(x), y: readCoordinate(y) }, suite: 'ES256' };
  }
  if (kty === 'OKP' && crv === 'Ed25519') {
    if (y !== undefined) throw invalid('shape');
    return { required: { kty, crv, x: readCoordinate(x) }, suite: 'EdDSA' };
  }
  throw invalid('kind');
}

function readCoordinate(value: unknown): string {
  if (typeof value !== 'string' || decodeBase64url(value)?.length !== 32) throw invalid('shape');
  return value;
}

function importKey(required: RequiredMembers): KeyObject {
  try {
    return createPublicKey({ key: { ...required }, format: 'jwk' });
  } catch {
    throw invalid('point');
  }
}

/** True for the SHA-256 (lower-case hex) of a SubjectPublicKeyInfo that belongs to a published demo key. */
export type IsExampleKey = (spkiSha256: string) => boolean;

/**
 * Reads a key that is to be registered. Everybody has the private parts of the demo keys, so outside demo mode they are refused.
 * @throws Refusal `client_key_invalid`, with reason `example_key` for a demo key
 */
export function readNewKey(deps: { readonly isExampleKey: IsExampleKey }, unverified: UnverifiedJwk): PublicClientKey {
  const key = readPublicJwk(unverified);
  if (deps.isExampleKey(spkiSha256(key.publicKey))) throw invalid('example_key');
  return key;
}
