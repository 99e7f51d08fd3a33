import { constants, deflateSync, inflateSync } from 'node:zlib';
import { decodeBase64url, encodeBase64url, isJsonObject, type JsonObject, type JsonValue } from './encoding.ts';

/** Token Status List (draft-ietf-oauth-status-list), 2 bits an entry. */
export const statusBits = 2;
/** Entries of a list of the hub. */
export const statusListEntries = 2 ** 17;
/** The largest list that is inflated: 2^20 entries of 8 bits; protects from zip bombs. */
const maxListBytes = 2 ** 20;
/** Clocks of two machines may differ by this much. */
const clockSkewSeconds = 60;

/** Values of an entry (section 7.1); 3 is not used by the hub. */
export const statusValues = { valid: 0, invalid: 1, suspended: 2 } as const;

/** A list of statuses, inflated. */
export type StatusList = { readonly bits: 1 | 2 | 4 | 8; readonly bytes: Uint8Array };

/** An empty 2-bit list: every entry is valid, used or not. `entries` is a multiple of 4. */
export const newStatusBytes = (entries: number = statusListEntries): Uint8Array =>
  new Uint8Array(Math.ceil((entries * statusBits) / 8));

/** Sets one entry of a 2-bit list in place (section 4.1: least significant bits first). */
export function setStatus(bytes: Uint8Array, index: number, value: number): void {
  const at = index >>> 2;
  const byte = bytes[at];
  if (!Number.isSafeInteger(index) || index < 0 || byte === undefined)
    throw new RangeError('status index out of range');
  if (!Number.isInteger(value) || value < 0 || value > 3) throw new RangeError('a status has 2 bits');
  const shift = (index & 3) * statusBits;
  bytes[at] = (byte & ~(3 << shift)) | (value << shift);
}

/** The values of a list packed into bytes. */
export function packStatuses(values: readonly number[], bits: 1 | 2 | 4 | 8 = statusBits): Uint8Array {
  const bytes = new Uint8Array(Math.ceil((values.length * bits) / 8));
  for (const [index, value] of values.entries()) {
    const at = Math.floor((index * bits) / 8);
    bytes[at] = (bytes[at] ?? 0) | (value << ((index * bits) % 8));
  }
  return bytes;
}

/** `lst`: ZLIB (RFC 1950) of the bytes at the highest compression, base64url. */
export const encodeStatusList = (bytes: Uint8Array): string =>
  encodeBase64url(deflateSync(bytes, { level: constants.Z_BEST_COMPRESSION }));

/** Inflated lists by their claim: a list is asked about many times while its token is held. */
const inflated = new WeakMap<JsonObject, StatusList>();

/** Reads a `status_list` claim; undefined when malformed or larger than 1 MiB. */
export function decodeStatusList(claim: JsonValue | undefined): StatusList | undefined {
  if (!isJsonObject(claim)) return undefined;
  const known = inflated.get(claim);
  if (known !== undefined) return known;
  const { bits, lst } = claim;
  if ((bits !== 1 && bits !== 2 && bits !== 4 && bits !== 8) || typeof lst !== 'string') return undefined;
  const bytes = inflateList(lst);
  if (bytes === undefined) return undefined;
  const list: StatusList = { bits, bytes };
  inflated.set(claim, list);
  return list;
}

function inflateList(lst: string): Uint8Array | undefined {
  const compressed = decodeBase64url(lst);
  if (compressed === undefined) return undefined;
  try {
    return inflateSync(compressed, { maxOutputLength: maxListBytes });
  } catch {
    return undefined;
  }
}

/** The value at an index, or undefined when the list has no such entry. */
export function readStatus(list: StatusList, index: number): number | undefined {
  if (!Number.isSafeInteger(index) || index < 0) return undefined;
  const perByte = 8 / list.bits;
  const byte = list.bytes[Math.floor(index / perByte)];
  return byte === undefined ? undefined : (byte >>> ((index % perByte) * list.bits)) & (2 ** list.bits - 1);
}

/** A status list token whose claims are in order; times are epoch seconds. */
export type StatusListClaims = {
  readonly uri: string;
  readonly issuedAt: number;
  readonly expiresAt: number | undefined;
  readonly ttlSeconds: number | undefined;
  readonly list: StatusList;
};

/** Why a status list was refused. */
export type StatusListFault =
  | 'status_list_malformed'
  | 'status_list_subject'
  | 'status_list_from_future'
  | 'status_list_expired';

/**
 * Judges the payload of a status list token whose signature is verified (section 8.3): `sub` equals the `uri` the
 * certificate names, `iat` is not in the future and `exp` not past at `now`, `ttl` is positive, the list inflates.
 */
export function readStatusListClaims(
  payload: JsonObject,
  expected: { readonly uri: string; readonly now: number },
): { ok: true; value: StatusListClaims } | { ok: false; reasons: StatusListFault[] } {
  const { sub, iat, exp, ttl } = payload;
  const list = decodeStatusList(payload['status_list']);
  const isWellFormed = isNumber(iat) && isAbsentOr(exp, isNumber) && isAbsentOr(ttl, isPositive);
  if (list === undefined || typeof sub !== 'string' || !isWellFormed)
    return { ok: false, reasons: ['status_list_malformed'] };
  const reasons: StatusListFault[] = [];
  if (sub !== expected.uri) reasons.push('status_list_subject');
  if (iat > expected.now + clockSkewSeconds) reasons.push('status_list_from_future');
  if (exp !== undefined && exp <= expected.now) reasons.push('status_list_expired');
  if (reasons.length > 0) return { ok: false, reasons };
  return { ok: true, value: { uri: sub, issuedAt: iat, expiresAt: exp, ttlSeconds: ttl, list } };
}

const isNumber = (value: JsonValue | undefined): value is number => typeof value === 'number';
const isPositive = (value: JsonValue | undefined): value is number => isNumber(value) && value > 0;
const isAbsentOr = (
  value: JsonValue | undefined,
  judge: (value: JsonValue | undefined) => value is number,
): value is number | undefined => value === undefined || judge(value);
