import { Refusal } from '../errors.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import { readX5c, unverifiedLeafKey } from '../verification/certificate-status.ts';
import {
  decodeBase64url,
  encodeBase64url,
  type JsonObject,
  type JsonValue,
  parseJsonBytesStrictly,
} from '../verification/encoding.ts';
import { parseCompactJws } from '../verification/jws.ts';
import { splitSdJwt, verifySdJwt } from '../verification/sd-jwt.ts';
import { validateX509Path } from '../verification/x509-path.ts';
import { subjectOids, type X509 } from '../verification/x509-read.ts';
import type { SealedParts } from './certificate-row.ts';
import { headerSha256 } from './read-certificates.ts';
import type { ExpectedPayload } from './sealed-claims.ts';

/** Whose seals count, as the registry of departments keeps it fresh. Times are half-open, null is open. */
export interface SealTrust {
  readonly roots: readonly { readonly der: Uint8Array; readonly validFrom: Date; readonly validUntil: Date | null }[];
  /** By the SHA-256 of the leaf, lower-case hex. */
  readonly seals: ReadonlyMap<
    string,
    {
      readonly department: string;
      readonly validFrom: Date;
      readonly validUntil: Date | null;
      readonly revokedAt: Date | null;
    }
  >;
}

/** What a seal must say to be stored. */
export interface SealDemands {
  readonly expected: ExpectedPayload;
  /** Exactly these disclosures. */
  readonly claims: readonly (readonly [name: string, value: unknown])[];
  /** Digests without disclosure at most: one per absent optional field. */
  readonly decoys: number;
  readonly department: string;
  readonly trust: SealTrust;
  /** A seal is not older than the certificate it seals. */
  readonly pushedAt: Date;
  readonly at: Date;
}

/** A verified seal in the parts that are stored, and its protected header (base64url). */
export interface VerifiedSeal {
  readonly parts: SealedParts;
  readonly header: string;
  /** SHA-256 of the leaf, lower-case hex. */
  readonly sealX509: string;
}

/** Clocks of issuers may be that far ahead; a seal made longer ago than a day is not a seal of this moment's data. */
const aheadSeconds = 60;
const maxAgeSeconds = 86_400;
const headerMembers: ReadonlySet<string> = new Set(['alg', 'typ', 'x5c', 'x5t#S256', 'kid']);

/**
 * Verifies a seal strictly, whoever made it: signature (RFC 9901), x509 path to a registered root, leaf registered for the
 * department now, the clear part exactly as expected, exactly the expected disclosures with the pushed values, nothing else.
 * @throws Refusal `sealed_certificate_invalid` with every reason found, `seal_key_missing`, `seal_key_expired`
 */
export function verifySeal(sdJwt: string, demands: SealDemands): VerifiedSeal {
  const format = verifySdJwt(sdJwt, { resolveKey: unverifiedLeafKey });
  if (!format.ok) throw invalid(format.reasons);
  const split = splitSdJwt(sdJwt);
  const jws = split === undefined ? undefined : parseCompactJws(split.jwt);
  if (split === undefined || jws?.ok !== true) throw invalid(['sd_jwt_shape']);
  const { header, clear, withheld } = format.value;
  const leaf = judgeSealKey(header, demands);
  const disclosures = readDisclosures(split.disclosures);
  const reasons = [
    ...judgeHeader(header, leaf),
    ...judgePayload(clear, jws.value.payload, demands),
    ...judgeDisclosures(disclosures, demands),
    ...(withheld > demands.decoys ? ['too_many_digests'] : []),
  ];
  if (reasons.length > 0) throw invalid(reasons);
  const [encodedHeader = '', payload = '', signature = ''] = split.jwt.split('.');
  return {
    header: encodedHeader,
    sealX509: leaf.sha256,
    parts: {
      headerSha256: headerSha256(encodedHeader),
      payload,
      signature,
      disclosures: Object.fromEntries(disclosures.map(({ name, text }) => [name, text])),
    },
  };
}

const invalid = (reasons: readonly string[]): Refusal => new Refusal('sealed_certificate_invalid', { reasons });

function judgeSealKey(header: JsonObject, { department, trust, at }: SealDemands): X509 {
  const chain = readX5c(header);
  if (chain === undefined) throw invalid(['x5c_missing']);
  const roots = trust.roots.filter((root) => isWithin(root.validFrom, root.validUntil, at)).map(({ der }) => der);
  const path = validateX509Path({ chain, roots, at: Math.floor(at.getTime() / 1000), use: 'seal' });
  if (!path.ok) throw path.reasons.every((reason) => reason === 'x509_expired') ? expired() : invalid(path.reasons);
  const { leaf } = path;
  const subject = leaf.subjectAttributes.get(subjectOids.organizationIdentifier);
  if (subject !== undefined && !subject.endsWith(department)) throw invalid(['x509_subject_mismatch']);
  const registered = trust.seals.get(leaf.sha256);
  if (registered === undefined || at < registered.validFrom) throw new Refusal('seal_key_missing');
  if (registered.department !== department) throw invalid(['seal_of_other_department']);
  if (!isWithin(registered.validFrom, earlier(registered.validUntil, registered.revokedAt), at)) throw expired();
  return leaf;
}

const expired = (): Refusal => new Refusal('seal_key_expired');

const isWithin = (from: Date, until: Date | null, at: Date): boolean => from <= at && (until === null || at < until);
const earlier = (a: Date | null, b: Date | null): Date | null => (a === null ? b : b === null || a < b ? a : b);

function judgeHeader(header: JsonObject, leaf: X509): string[] {
  const reasons: string[] = [];
  if (!Object.keys(header).every((name) => headerMembers.has(name))) reasons.push('header_member_unknown');
  const thumbprint = header['x5t#S256'];
  if (thumbprint !== undefined && thumbprint !== encodeBase64url(Buffer.from(leaf.sha256, 'hex'))) {
    reasons.push('x5t_mismatch');
  }
  return reasons;
}

function judgePayload(clear: JsonObject, payload: JsonObject, demands: SealDemands): string[] {
  const reasons: string[] = [];
  const { iat, ...said } = clear;
  for (const name of new Set([...Object.keys(said), ...Object.keys(demands.expected)])) {
    const wanted = (demands.expected as Readonly<Record<string, unknown>>)[name];
    if (wanted === undefined) reasons.push('payload_member_unknown');
    else if (said[name] === undefined) reasons.push(`payload_member_missing:${name}`);
    else if (canonicalJson(said[name]) !== canonicalJson(wanted)) reasons.push(`payload_differs:${name}`);
  }
  const now = demands.at.getTime() / 1000;
  const earliest = Math.max(now - maxAgeSeconds, Math.floor(demands.pushedAt.getTime() / 1000) - aheadSeconds);
  if (typeof iat !== 'number' || !Number.isSafeInteger(iat)) reasons.push('payload_member_missing:iat');
  else if (iat < earliest || iat > now + aheadSeconds) reasons.push('iat_implausible');
  // A fixed order, so that the order of the digests tells nothing about the fields.
  if (!isSorted(payload['_sd'])) reasons.push('digests_unsorted');
  return reasons;
}

function isSorted(digests: JsonValue | undefined): boolean {
  let last = '';
  return (
    Array.isArray(digests) &&
    digests.every((digest) => {
      const isNext = typeof digest === 'string' && last < digest;
      if (isNext) last = digest;
      return isNext;
    })
  );
}

interface Disclosure {
  readonly name: string;
  readonly value: JsonValue;
  readonly text: string;
}

/** The disclosures of a verified SD-JWT with their values as signed: a digest nested in one would show as a difference. */
function readDisclosures(texts: readonly string[]): Disclosure[] {
  return texts.flatMap((text) => {
    const bytes = decodeBase64url(text);
    const parsed = bytes === undefined ? undefined : parseJsonBytesStrictly(bytes);
    if (parsed?.ok !== true || !Array.isArray(parsed.value)) return [];
    const [, name, value] = parsed.value;
    return typeof name === 'string' && value !== undefined ? [{ name, value, text }] : [];
  });
}

const saltPattern = /^[A-Za-z0-9_-]{20,}$/;

function judgeDisclosures(disclosures: readonly Disclosure[], { claims }: SealDemands): string[] {
  const reasons: string[] = [];
  const wanted = new Map(claims);
  const seen = new Set<string>();
  for (const { name, value, text } of disclosures) {
    if (!wanted.has(name)) reasons.push('disclosure_unexpected');
    else if (canonicalJson(value) !== canonicalJson(wanted.get(name))) reasons.push(`disclosure_differs:${name}`);
    // A name that nobody expects is the sender's text, and could be a person's.
    const told = wanted.has(name) ? `:${name}` : '';
    if (seen.has(name)) reasons.push(`disclosure_repeated${told}`);
    seen.add(name);
    if (!saltPattern.test(saltOf(text))) reasons.push(`salt_too_short${told}`);
  }
  for (const name of wanted.keys()) if (!seen.has(name)) reasons.push(`disclosure_missing:${name}`);
  return reasons;
}

const saltOf = (text: string): string =>
  String((JSON.parse(Buffer.from(text, 'base64url').toString()) as unknown[])[0]);
