import { hash, type KeyObject } from 'node:crypto';
import { decodeBase64url, isJsonObject, type JsonObject, type JsonValue, parseJsonBytesStrictly } from './encoding.ts';
import { type JwsFault, judgeJws, parseCompactJws } from './jws.ts';
import { type SignatureSuite, signatureSuites } from './suites.ts';

const maxSdJwtCharacters = 4_000_000;
const maxDisclosures = 1_000;
/** Disclosures nest in each other without a JSON text being deep, so the walk has its own limit. */
const maxWalkDepth = 64;

/** SD-JWT VC: these are always in the clear, so that nobody can hide what decides validity. */
const neverDisclosable = new Set(['iss', 'nbf', 'exp', 'cnf', 'vct', 'vct#integrity', 'aka_vcts', 'status', 'iat']);
const reservedNames = new Set(['_sd', '...', '_sd_alg', '__proto__']);

/** Why an SD-JWT was refused. */
export type SdJwtFault =
  | JwsFault
  | 'sd_jwt_shape'
  | 'key_binding_unexpected'
  | 'sd_alg_unknown'
  | 'disclosure_malformed'
  | 'disclosure_repeated'
  | 'disclosure_unreferenced'
  | 'disclosure_kind'
  | 'digest_malformed'
  | 'digest_repeated'
  | 'claim_name_forbidden'
  | 'claim_never_disclosable'
  | 'claim_collision'
  | 'sd_jwt_too_deep';

/** A verified SD-JWT. Success never means completeness: `withheld` digests had no disclosure (decoys included). */
export type VerifiedSdJwt = {
  readonly header: JsonObject;
  /** What the issuer put in the clear, without `_sd` and `_sd_alg`; nested digests are resolved. */
  readonly clear: JsonObject;
  /** The top-level claims that came from disclosures. */
  readonly disclosed: JsonObject;
  readonly withheld: number;
};

/** The text of a disclosure (RFC 9901, 4.2.1): base64url of the JSON array of salt, claim name and value. */
export const encodeDisclosure = (salt: string, name: string, value: unknown): string =>
  Buffer.from(JSON.stringify([salt, name, value]), 'utf8').toString('base64url');

/** The digest of a disclosure: SHA-256 over its base64url text, not over the decoded bytes (RFC 9901, 4.2.3). */
export const disclosureDigest = (disclosure: string): string => hash('sha256', disclosure, 'base64url');

/** A presentation: the issuer's JWT and the chosen disclosures. A string join; the issuer's signature stays. */
export const filterSdJwt = (jwt: string, disclosures: readonly string[]): string =>
  `${jwt}~${disclosures.map((disclosure) => `${disclosure}~`).join('')}`;

/** `sd_hash` (RFC 9901, 4.3.1): SHA-256 over the presentation including its last `~`, base64url. */
export const sdHash = (presentation: string): string => hash('sha256', presentation, 'base64url');

/** A presentation taken apart at `~`; undefined when there is no `~`. `keyBinding` is what follows the last one. */
export function splitSdJwt(text: string): { jwt: string; disclosures: string[]; keyBinding: string } | undefined {
  const parts = text.split('~', maxDisclosures + 2);
  const [jwt = ''] = parts;
  if (parts.length < 2 || parts.length > maxDisclosures + 1 || jwt === '') return undefined;
  return { jwt, disclosures: parts.slice(1, -1), keyBinding: parts.at(-1) ?? '' };
}

/**
 * Verifies an SD-JWT by RFC 9901, 7.1 in the SD-JWT VC profile, without key binding: `typ` dc+sd-jwt, SHA-256
 * digests, every disclosure referenced exactly once, no claim overridden; one disclosure sent twice is refused
 * too. Whether the key belongs to the issuer, and the times, are the caller's to judge (`verdict.ts`).
 */
export function verifySdJwt(
  text: string,
  demands: {
    readonly resolveKey: (header: JsonObject, unverifiedPayload: JsonObject) => KeyObject | undefined;
    /** Accepted suites; all by default. */
    readonly suites?: readonly SignatureSuite[];
  },
): { ok: true; value: VerifiedSdJwt } | { ok: false; reasons: SdJwtFault[] } {
  const parts = text.length <= maxSdJwtCharacters ? splitSdJwt(text) : undefined;
  if (parts === undefined) return { ok: false, reasons: ['sd_jwt_shape'] };
  const jws = parseCompactJws(parts.jwt);
  if (!jws.ok) return { ok: false, reasons: [jws.reason] };
  const suites = demands.suites ?? signatureSuites;
  const reasons: SdJwtFault[] = judgeJws(jws.value, { typ: 'dc+sd-jwt', suites, key: demands.resolveKey });
  if (parts.keyBinding !== '') reasons.push('key_binding_unexpected');
  const walked = resolveDisclosures(jws.value.payload, parts.disclosures);
  reasons.push(...walked.reasons);
  if (reasons.length > 0) return { ok: false, reasons };
  const { clear, disclosed, withheld } = walked;
  return { ok: true, value: { header: jws.value.header, clear, disclosed, withheld } };
}

/** A disclosure as parsed: of a claim (`name`) or of an array element (no name). */
type Disclosure = { readonly name: string | undefined; readonly value: JsonValue };

type Walk = {
  readonly byDigest: ReadonlyMap<string, Disclosure>;
  readonly seen: Set<string>;
  readonly used: Set<string>;
  readonly faults: Set<SdJwtFault>;
  withheld: number;
};

function resolveDisclosures(payload: JsonObject, disclosures: readonly string[]) {
  const byDigest = new Map<string, Disclosure>();
  const walk: Walk = { byDigest, seen: new Set(), used: new Set(), faults: new Set(), withheld: 0 };
  const algorithm = payload['_sd_alg'];
  if (algorithm !== undefined && algorithm !== 'sha-256') walk.faults.add('sd_alg_unknown');
  for (const text of disclosures) {
    const disclosure = parseDisclosure(text);
    const digest = disclosureDigest(text);
    if (disclosure === undefined) walk.faults.add('disclosure_malformed');
    else if (byDigest.has(digest)) walk.faults.add('disclosure_repeated');
    else byDigest.set(digest, disclosure);
  }
  const { _sd_alg: _, ...members } = payload;
  const { clear, disclosed } = resolveObject(walk, members, 0);
  if (walk.used.size < byDigest.size) walk.faults.add('disclosure_unreferenced');
  return { clear, disclosed, withheld: walk.withheld, reasons: [...walk.faults] };
}

function parseDisclosure(text: string): Disclosure | undefined {
  const bytes = decodeBase64url(text);
  const parsed = bytes === undefined ? undefined : parseJsonBytesStrictly(bytes);
  if (parsed?.ok !== true || !Array.isArray(parsed.value)) return undefined;
  const [salt, second, third] = parsed.value;
  if (typeof salt !== 'string' || second === undefined) return undefined;
  if (parsed.value.length === 2) return { name: undefined, value: second };
  if (parsed.value.length !== 3 || typeof second !== 'string' || third === undefined) return undefined;
  return { name: second, value: third };
}

/** The disclosure behind an embedded digest; counts digests that repeat or have none. */
function takeDisclosure(walk: Walk, digest: JsonValue | undefined): Disclosure | undefined {
  if (typeof digest !== 'string') {
    walk.faults.add('digest_malformed');
    return undefined;
  }
  if (walk.seen.has(digest)) {
    walk.faults.add('digest_repeated');
    return undefined;
  }
  walk.seen.add(digest);
  const disclosure = walk.byDigest.get(digest);
  if (disclosure === undefined) walk.withheld++;
  else walk.used.add(digest);
  return disclosure;
}

function resolveObject(walk: Walk, members: JsonObject, depth: number): { clear: JsonObject; disclosed: JsonObject } {
  const clear: JsonObject = {};
  const disclosed: JsonObject = {};
  for (const [name, value] of Object.entries(members)) {
    if (name === '_sd') continue;
    if (reservedNames.has(name)) walk.faults.add('claim_name_forbidden');
    else clear[name] = resolveValue(walk, value, depth + 1);
  }
  const digests = Object.hasOwn(members, '_sd') ? members['_sd'] : [];
  if (!Array.isArray(digests)) {
    walk.faults.add('digest_malformed');
    return { clear, disclosed };
  }
  for (const digest of digests) {
    const disclosure = takeDisclosure(walk, digest);
    if (disclosure === undefined) continue;
    const { name } = disclosure;
    const fault = judgeName(name, depth, (each) => Object.hasOwn(members, each) || Object.hasOwn(disclosed, each));
    if (fault !== undefined) walk.faults.add(fault);
    else if (name !== undefined) disclosed[name] = resolveValue(walk, disclosure.value, depth + 1);
  }
  return { clear, disclosed };
}

/** Whether a disclosure may become a claim of that name at this level. */
function judgeName(
  name: string | undefined,
  depth: number,
  isTaken: (name: string) => boolean,
): SdJwtFault | undefined {
  if (name === undefined) return 'disclosure_kind';
  if (reservedNames.has(name)) return 'claim_name_forbidden';
  if (depth === 0 && neverDisclosable.has(name)) return 'claim_never_disclosable';
  return isTaken(name) ? 'claim_collision' : undefined;
}

function resolveValue(walk: Walk, value: JsonValue, depth: number): JsonValue {
  if (depth > maxWalkDepth) {
    walk.faults.add('sd_jwt_too_deep');
    return null;
  }
  if (Array.isArray(value)) return resolveArray(walk, value, depth);
  if (!isJsonObject(value)) return value;
  const { clear, disclosed } = resolveObject(walk, value, depth);
  return { ...clear, ...disclosed };
}

function resolveArray(walk: Walk, values: readonly JsonValue[], depth: number): JsonValue[] {
  const resolved: JsonValue[] = [];
  for (const value of values) {
    if (!isJsonObject(value) || !Object.hasOwn(value, '...')) {
      resolved.push(resolveValue(walk, value, depth + 1));
      continue;
    }
    if (Object.keys(value).length !== 1) walk.faults.add('digest_malformed');
    const disclosure = takeDisclosure(walk, value['...']);
    // an element without its disclosure disappears (RFC 9901, 7.1, step 3d)
    if (disclosure === undefined) continue;
    if (disclosure.name !== undefined) walk.faults.add('disclosure_kind');
    else resolved.push(resolveValue(walk, disclosure.value, depth + 1));
  }
  return resolved;
}
