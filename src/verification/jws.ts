import type { KeyObject } from 'node:crypto';
import { decodeBase64url, isJsonObject, type JsonObject, parseJsonBytesStrictly } from './encoding.ts';
import { isSignatureSuite, type SignatureSuite, verifySignature } from './suites.ts';

/** Longer texts are not looked at. */
const maxJwsCharacters = 2_000_000;

/** A compact JWS taken apart; nothing in it is verified yet. */
export type UnverifiedJws = {
  readonly header: JsonObject;
  readonly payload: JsonObject;
  /** The ASCII bytes the signature covers: header, dot, payload. */
  readonly signingInput: Buffer;
  readonly signature: Buffer;
};

/** Why a JWS was refused. */
export type JwsFault =
  | 'jws_shape'
  | 'jws_header'
  | 'jws_payload'
  | 'jws_critical_header'
  | 'jws_key_in_header'
  | 'jws_type'
  | 'jws_algorithm'
  | 'jws_key_unknown'
  | 'jws_signature';

/** Members that would let a message name its own key. `x5c` is read by callers who validate the path. */
const selfTrustMembers = ['jku', 'x5u', 'jwk'];

/**
 * Takes a compact JWS (RFC 7515) with a JSON object as payload apart. Refuses other shapes, encodings that are
 * not canonical, repeated names in header or payload, `b64`, and every `crit` (no extension is understood).
 */
export function parseCompactJws(text: string): { ok: true; value: UnverifiedJws } | { ok: false; reason: JwsFault } {
  const parts = splitJws(text);
  if (parts === undefined) return { ok: false, reason: 'jws_shape' };
  const header = parseJsonBytesStrictly(parts.header);
  if (!header.ok || !isJsonObject(header.value)) return { ok: false, reason: 'jws_header' };
  if (Object.hasOwn(header.value, 'crit') || Object.hasOwn(header.value, 'b64')) {
    return { ok: false, reason: 'jws_critical_header' };
  }
  const payload = parseJsonBytesStrictly(parts.payload);
  if (!payload.ok || !isJsonObject(payload.value)) return { ok: false, reason: 'jws_payload' };
  const { signingInput, signature } = parts;
  return { ok: true, value: { header: header.value, payload: payload.value, signingInput, signature } };
}

function splitJws(text: string) {
  if (text.length > maxJwsCharacters) return undefined;
  const parts = text.split('.', 4);
  if (parts.length !== 3) return undefined;
  const [header, payload, signature] = parts.map(decodeBase64url);
  if (header === undefined || payload === undefined || signature === undefined) return undefined;
  return { header, payload, signature, signingInput: Buffer.from(text.slice(0, text.lastIndexOf('.')), 'latin1') };
}

/** What a verifier demands of a JWS. */
export type JwsDemands = {
  /** The only accepted `typ`. */
  readonly typ: string;
  /** The accepted suites; the header's `alg` must be one of them. */
  readonly suites: readonly SignatureSuite[];
  /** The key to verify with, from the verifier's own knowledge; undefined when the header names none it knows. */
  readonly key: (header: JsonObject, unverifiedPayload: JsonObject) => KeyObject | undefined;
};

/**
 * Verifies a compact JWS. `jku`, `x5u` and `jwk` are refused rather than ignored: whoever sets them wants them
 * trusted. Times and audience are the caller's to judge. All reasons that could be found are listed.
 */
export function verifyCompactJws(
  text: string,
  demands: JwsDemands,
): { ok: true; header: JsonObject; payload: JsonObject } | { ok: false; reasons: JwsFault[] } {
  const parsed = parseCompactJws(text);
  if (!parsed.ok) return { ok: false, reasons: [parsed.reason] };
  const reasons = judgeJws(parsed.value, demands);
  const { header, payload } = parsed.value;
  return reasons.length === 0 ? { ok: true, header, payload } : { ok: false, reasons };
}

/** The reasons to refuse a JWS already taken apart; empty when it is good. */
export function judgeJws(jws: UnverifiedJws, demands: JwsDemands): JwsFault[] {
  const { header } = jws;
  const reasons: JwsFault[] = [];
  if (selfTrustMembers.some((name) => Object.hasOwn(header, name))) reasons.push('jws_key_in_header');
  if (header['typ'] !== demands.typ) reasons.push('jws_type');
  const alg = header['alg'];
  if (!isSignatureSuite(alg) || !demands.suites.includes(alg)) {
    reasons.push('jws_algorithm');
    return reasons;
  }
  const key = demands.key(header, jws.payload);
  if (key === undefined) reasons.push('jws_key_unknown');
  else if (!verifySignature(alg, key, jws.signingInput, jws.signature)) reasons.push('jws_signature');
  return reasons;
}
