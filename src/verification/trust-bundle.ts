import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { decodeBase64, isJsonObject, type JsonObject, type JsonValue, parseJsonStrictly } from './encoding.ts';
import { isCertificateTypeCode, isUscc } from './identifiers.ts';
import { suitesOfKey } from './suites.ts';
import { readX509 } from './x509-read.ts';

export const trustBundleFormat = 'certhub-trust-bundle/1';

export type Bilingual = { readonly zh: string; readonly en: string };
export type HubKeyUse = 'answer' | 'status' | 'token' | 'log';

/**
 * The file that `certhub trust export` writes: everything an outsider needs to verify without the hub. Times are
 * RFC 3339 UTC, ranges half-open (`until` null: open-ended), x509 base64 DER, sha256 lower-case hex over the DER.
 */
export type TrustBundleDocument = {
  readonly format: typeof trustBundleFormat;
  readonly issuer: string;
  readonly createdAt: string;
  readonly roots: readonly string[];
  readonly issuers: readonly {
    readonly department: string;
    readonly name: Bilingual;
    readonly sealX509: readonly {
      readonly sha256: string;
      readonly x509: string;
      readonly from: string;
      readonly until: string | null;
      readonly revokedAt: string | null;
    }[];
  }[];
  readonly types: readonly {
    readonly code: string;
    readonly version: number;
    readonly name: Bilingual;
    readonly allowedIssuers: readonly {
      readonly department: string;
      readonly from: string;
      readonly until: string | null;
    }[];
  }[];
  readonly hubKeys: readonly {
    readonly kid: string;
    readonly use: HubKeyUse;
    readonly jwk: JsonWebKey;
    readonly from: string;
    readonly until: string | null;
  }[];
  readonly statusLists: readonly string[];
};

/** [from, until) in epoch seconds; `until` is Infinity when open-ended. */
export type Period = { readonly from: number; readonly until: number };

/** True when a time is in a period. */
export const isWithin = (period: Period, at: number): boolean => period.from <= at && at < period.until;

export type RegisteredSeal = Period & { readonly sha256: string; readonly revokedAt: number };
export type HubKey = Period & { readonly kid: string; readonly use: HubKeyUse; readonly key: KeyObject };
export type AllowedIssuer = Period & { readonly department: string };

/** A trust bundle as read: what the verifier believes, apart from the status lists, which are signed by themselves. */
export type TrustBundle = {
  readonly issuer: string;
  readonly createdAt: number;
  readonly roots: readonly Buffer[];
  readonly issuers: ReadonlyMap<string, { readonly name: Bilingual; readonly seals: readonly RegisteredSeal[] }>;
  /** By type code; the versions of a type share one list of allowed issuers. */
  readonly types: ReadonlyMap<string, { readonly name: Bilingual; readonly allowedIssuers: readonly AllowedIssuer[] }>;
  readonly hubKeys: readonly HubKey[];
  readonly statusLists: readonly string[];
};

/** Thrown and caught inside this module only, with the JSON pointer of the first fault. */
class BundleFault extends Error {
  readonly pointer: string;
  constructor(pointer: string) {
    super(pointer);
    this.pointer = pointer;
  }
}

/**
 * Reads the text of a trust bundle strictly. The bundle is not signed: where it comes from is what makes it trusted.
 * `pointer` is the JSON pointer of the first thing that is wrong.
 */
export function parseTrustBundle(
  text: string,
): { ok: true; value: TrustBundle } | { ok: false; reason: 'trust_bundle_malformed'; pointer: string } {
  const parsed = parseJsonStrictly(text);
  if (!parsed.ok) return { ok: false, reason: 'trust_bundle_malformed', pointer: '' };
  return readTrustBundle(parsed.value);
}

/** As `parseTrustBundle`, from JSON already parsed. */
export function readTrustBundle(
  document: unknown,
): { ok: true; value: TrustBundle } | { ok: false; reason: 'trust_bundle_malformed'; pointer: string } {
  try {
    return { ok: true, value: readDocument(document as JsonValue) };
  } catch (fault) {
    if (!(fault instanceof BundleFault)) throw fault;
    return { ok: false, reason: 'trust_bundle_malformed', pointer: fault.pointer };
  }
}

function readDocument(document: JsonValue): TrustBundle {
  const names = ['format', 'issuer', 'createdAt', 'roots', 'issuers', 'types', 'hubKeys', 'statusLists'];
  const top = members(document, '', names);
  if (top['format'] !== trustBundleFormat) throw new BundleFault('/format');
  return {
    issuer: text(top['issuer'], '/issuer'),
    createdAt: time(top['createdAt'], '/createdAt'),
    roots: list(top['roots'], '/roots').map((root, index) => x509Of(root, `/roots/${index}`).der),
    issuers: unique(list(top['issuers'], '/issuers').map(readIssuer), '/issuers'),
    types: readTypes(list(top['types'], '/types')),
    hubKeys: list(top['hubKeys'], '/hubKeys').map(readHubKey),
    statusLists: list(top['statusLists'], '/statusLists').map((token, index) => text(token, `/statusLists/${index}`)),
  };
}

function readIssuer(value: JsonValue, index: number) {
  const at = `/issuers/${index}`;
  const { department, name, sealX509 } = members(value, at, ['department', 'name', 'sealX509']);
  const seals = list(sealX509, `${at}/sealX509`).map((seal, each) => readSeal(seal, `${at}/sealX509/${each}`));
  const issuer = { name: bilingual(name, `${at}/name`), seals };
  return [uscc(department, `${at}/department`), issuer] as const;
}

function readSeal(value: JsonValue, at: string): RegisteredSeal {
  const seal = members(value, at, ['sha256', 'x509', 'from', 'until', 'revokedAt']);
  // the fingerprint is derived from the bytes; a bundle that says otherwise is broken or forged
  const { sha256 } = x509Of(seal['x509'], `${at}/x509`);
  if (seal['sha256'] !== sha256) throw new BundleFault(`${at}/sha256`);
  const revokedAt = seal['revokedAt'] === null ? Infinity : time(seal['revokedAt'], `${at}/revokedAt`);
  return { sha256, revokedAt, ...period(seal, at) };
}

function readTypes(values: readonly JsonValue[]): TrustBundle['types'] {
  const types = new Map<string, { name: Bilingual; allowedIssuers: AllowedIssuer[] }>();
  for (const [index, value] of values.entries()) {
    const at = `/types/${index}`;
    const { code, version, name, allowedIssuers } = members(value, at, ['code', 'version', 'name', 'allowedIssuers']);
    if (typeof code !== 'string' || !isCertificateTypeCode(code)) throw new BundleFault(`${at}/code`);
    if (typeof version !== 'number' || !Number.isSafeInteger(version)) throw new BundleFault(`${at}/version`);
    const allowed = list(allowedIssuers, `${at}/allowedIssuers`).map((entry, each) => {
      const where = `${at}/allowedIssuers/${each}`;
      const issuer = members(entry, where, ['department', 'from', 'until']);
      return { department: uscc(issuer['department'], `${where}/department`), ...period(issuer, where) };
    });
    const known = types.get(code)?.allowedIssuers ?? [];
    types.set(code, { name: bilingual(name, `${at}/name`), allowedIssuers: [...known, ...allowed] });
  }
  return types;
}

function readHubKey(value: JsonValue, index: number): HubKey {
  const at = `/hubKeys/${index}`;
  const { kid, use, jwk, from, until } = members(value, at, ['kid', 'use', 'jwk', 'from', 'until']);
  if (use !== 'answer' && use !== 'status' && use !== 'token' && use !== 'log') throw new BundleFault(`${at}/use`);
  return { kid: text(kid, `${at}/kid`), use, key: publicKeyOf(jwk, `${at}/jwk`), ...period({ from, until }, at) };
}

function publicKeyOf(jwk: JsonValue | undefined, at: string): KeyObject {
  // a file that carries a private key is a leak, not a trust bundle
  if (!isJsonObject(jwk) || Object.hasOwn(jwk, 'd') || Object.hasOwn(jwk, 'k')) throw new BundleFault(at);
  try {
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    if (suitesOfKey(key).length > 0) return key;
  } catch {
    // falls through: not a key that node reads
  }
  throw new BundleFault(at);
}

function members(value: JsonValue | undefined, at: string, names: readonly string[]): JsonObject {
  if (!isJsonObject(value)) throw new BundleFault(at);
  for (const name of names) if (!Object.hasOwn(value, name)) throw new BundleFault(`${at}/${name}`);
  for (const name of Object.keys(value)) if (!names.includes(name)) throw new BundleFault(`${at}/${name}`);
  return value;
}

function list(value: JsonValue | undefined, at: string): readonly JsonValue[] {
  if (!Array.isArray(value)) throw new BundleFault(at);
  return value;
}

function text(value: JsonValue | undefined, at: string): string {
  if (typeof value !== 'string' || value === '') throw new BundleFault(at);
  return value;
}

function uscc(value: JsonValue | undefined, at: string): string {
  if (typeof value !== 'string' || !isUscc(value)) throw new BundleFault(at);
  return value;
}

function bilingual(value: JsonValue | undefined, at: string): Bilingual {
  const name = members(value, at, ['zh', 'en']);
  return { zh: text(name['zh'], `${at}/zh`), en: text(name['en'], `${at}/en`) };
}

const timePattern = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?Z$/;

function time(value: JsonValue | undefined, at: string): number {
  const parsed = typeof value === 'string' && timePattern.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(parsed)) throw new BundleFault(at);
  return parsed / 1000;
}

function period(
  value: JsonObject | { from?: JsonValue | undefined; until?: JsonValue | undefined },
  at: string,
): Period {
  const until = value['until'] === null ? Infinity : time(value['until'], `${at}/until`);
  return { from: time(value['from'], `${at}/from`), until };
}

function x509Of(value: JsonValue | undefined, at: string) {
  const der = typeof value === 'string' ? decodeBase64(value) : undefined;
  const x509 = der === undefined ? undefined : readX509(der);
  if (x509 === undefined) throw new BundleFault(at);
  return x509;
}

function unique<T>(entries: readonly (readonly [string, T])[], at: string): ReadonlyMap<string, T> {
  const map = new Map(entries);
  if (map.size < entries.length) throw new BundleFault(at);
  return map;
}

/** Why a department was not entitled to seal. */
export type EntitlementFault =
  | 'issuer_unknown'
  | 'seal_not_registered'
  | 'seal_not_in_force'
  | 'seal_revoked'
  | 'type_unknown'
  | 'issuer_not_allowed';

/**
 * Whether a department was entitled to seal a type with a key at a time (epoch seconds): the seal's X.509 certificate
 * registered for it, in force and not revoked, and the department listed for the type. All faults are listed.
 */
export function entitledIssuer(
  bundle: TrustBundle,
  claim: { readonly leafSha256: string; readonly department: string; readonly typeCode: string; readonly at: number },
): { ok: true; name: Bilingual; typeName: Bilingual } | { ok: false; reasons: EntitlementFault[] } {
  const reasons: EntitlementFault[] = [];
  const issuer = bundle.issuers.get(claim.department);
  const type = bundle.types.get(claim.typeCode);
  const seals = issuer?.seals.filter((seal) => seal.sha256 === claim.leafSha256) ?? [];
  if (issuer === undefined) reasons.push('issuer_unknown');
  else if (seals.length === 0) reasons.push('seal_not_registered');
  else if (!seals.some((seal) => isWithin(seal, claim.at))) reasons.push('seal_not_in_force');
  if (seals.some((seal) => seal.revokedAt <= claim.at)) reasons.push('seal_revoked');
  if (type === undefined) reasons.push('type_unknown');
  else if (!type.allowedIssuers.some((each) => each.department === claim.department && isWithin(each, claim.at))) {
    reasons.push('issuer_not_allowed');
  }
  if (reasons.length > 0 || issuer === undefined || type === undefined) return { ok: false, reasons };
  return { ok: true, name: issuer.name, typeName: type.name };
}
