import { createHash, randomBytes as systemRandomBytes } from 'node:crypto';
import { encodeBase64url, encodeBase64urlText } from '../verification/encoding.ts';
import { disclosureDigest, encodeDisclosure } from '../verification/sd-jwt.ts';
import type { Signer } from './signer.ts';

/** An issuer-signed JWT in its stored parts; `header` is the same for every certificate of one signer. */
export interface IssuedSdJwt {
  /** Protected header, base64url. */
  readonly header: string;
  /** Clear claims and digests, base64url. */
  readonly payload: string;
  /** Raw signature of the suite, base64url. */
  readonly signature: string;
  /** Claim name → disclosure string. Each contains its value in clear: encrypt before storing. */
  readonly disclosures: ReadonlyMap<string, string>;
}

/** What an SD-JWT is made from. `fields` are claims of the top level, one disclosure each. */
export interface SdJwtInput {
  readonly signer: Signer;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly fields: readonly (readonly [name: string, value: unknown])[];
  /** How many digests without a disclosure to add, so that an absent optional field does not show. */
  readonly decoys: number;
  /** Source of salts and decoys; the system's CSPRNG unless a test replaces it. */
  readonly randomBytes?: (size: number) => Uint8Array;
}

const saltLength = 16;
const neverDisclosable: ReadonlySet<string> = new Set([
  'iss',
  'nbf',
  'exp',
  'iat',
  'cnf',
  'vct',
  'vct#integrity',
  'aka_vcts',
  'status',
  '_sd',
  '_sd_alg',
  '...',
  '__proto__',
]);

/** Inside a value these names would be read as digests by a verifier. */
const hasReservedName = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (Object.hasOwn(value, '_sd') ||
    Object.hasOwn(value, '...') ||
    Object.values(value as Record<string, unknown>).some(hasReservedName));

/** Headers are constant per signer: encoded once, so that issuing costs one JSON text and one signature. */
const headers = new WeakMap<Signer, Map<string, string>>();

/** The protected header (RFC 7515, section 4) as base64url. `withX5c` adds the chain and the leaf's `x5t#S256`. */
export function encodedHeader(signer: Signer, typ: string, withX5c: boolean): string {
  let known = headers.get(signer);
  if (known === undefined) {
    known = new Map();
    headers.set(signer, known);
  }
  const cacheKey = `${withX5c ? 'x5c' : 'kid'} ${typ}`;
  let header = known.get(cacheKey);
  if (header === undefined) {
    header = encodeBase64urlText(JSON.stringify(headerOf(signer, typ, withX5c)));
    known.set(cacheKey, header);
  }
  return header;
}

function headerOf(signer: Signer, typ: string, withX5c: boolean): object {
  if (!withX5c) return { alg: signer.suite, typ, kid: signer.kid };
  const [leaf] = signer.x5c ?? [];
  if (leaf === undefined) throw new Error(`signer ${signer.kid} has no x509 chain`);
  const thumbprint = encodeBase64url(createHash('sha256').update(Buffer.from(leaf, 'base64')).digest());
  return { alg: signer.suite, typ, x5c: signer.x5c, 'x5t#S256': thumbprint };
}

function requireDisclosable(name: string, value: unknown): void {
  if (neverDisclosable.has(name)) throw new RangeError(`claim ${name} is never selectively disclosable`);
  if (value === undefined) throw new RangeError(`claim ${name} has no value`);
  if (hasReservedName(value)) throw new RangeError(`claim ${name} has a member named _sd or ...`);
}

/** Signs `header.payload` and returns the signature as base64url. */
const signParts = async (signer: Signer, header: string, payload: string): Promise<string> =>
  encodeBase64url(await signer.sign(Buffer.from(`${header}.${payload}`, 'ascii')));

/**
 * Issues an SD-JWT (RFC 9901) in the SD-JWT VC profile: `typ` dc+sd-jwt, `x5c` without the root, one
 * disclosure with a 128-bit salt per field, digests and decoys sorted together so that neither order nor
 * number tells which fields are there. Throws RangeError for a field that must stay clear or is given twice.
 */
export async function issueSdJwt(input: SdJwtInput): Promise<IssuedSdJwt> {
  const { signer, payload, fields, decoys } = input;
  const randomBytes = input.randomBytes ?? systemRandomBytes;
  if (!Number.isInteger(decoys) || decoys < 0) throw new RangeError('decoys must be a whole number');
  if (Object.hasOwn(payload, '_sd') || Object.hasOwn(payload, '_sd_alg')) throw new RangeError('_sd is ours to write');

  const disclosures = new Map<string, string>();
  const digests: string[] = [];
  for (const [name, value] of fields) {
    if (disclosures.has(name) || Object.hasOwn(payload, name)) throw new RangeError(`claim ${name} is given twice`);
    requireDisclosable(name, value);
    const disclosure = encodeDisclosure(encodeBase64url(randomBytes(saltLength)), name, value);
    disclosures.set(name, disclosure);
    digests.push(disclosureDigest(disclosure));
  }
  for (let decoy = 0; decoy < decoys; decoy++) {
    digests.push(encodeBase64url(createHash('sha256').update(randomBytes(32)).digest()));
  }
  const selective = digests.length === 0 ? {} : { _sd_alg: 'sha-256', _sd: digests.toSorted() };
  const header = encodedHeader(signer, 'dc+sd-jwt', true);
  const encodedPayload = encodeBase64urlText(JSON.stringify({ ...payload, ...selective }));
  const signature = await signParts(signer, header, encodedPayload);
  return { header, payload: encodedPayload, signature, disclosures };
}

/** A compact JWS to make: an answer, a status list. */
export interface CompactJwsInput {
  readonly signer: Signer;
  readonly typ: string;
  readonly payload: Readonly<Record<string, unknown>>;
  /** Send the x509 chain instead of the `kid`, for readers who hold only the root. */
  readonly includeX5c?: boolean;
}

/** Signs a JSON payload as a compact JWS (RFC 7515, 7.1) under the signer's constant header. */
export async function signCompactJws({ signer, typ, payload, includeX5c = false }: CompactJwsInput): Promise<string> {
  const header = encodedHeader(signer, typ, includeX5c);
  const encodedPayload = encodeBase64urlText(JSON.stringify(payload));
  return `${header}.${encodedPayload}.${await signParts(signer, header, encodedPayload)}`;
}
