import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto';
import {
  attempt,
  bitsOf,
  childrenOf,
  contentOf,
  type Der,
  derTags,
  integerOf,
  oidOf,
  parseDer,
  refuseDer,
  timeOf,
} from './der.ts';
import { suitesOfKey, verifySm2Der } from './suites.ts';

/** An X.509 certificate is far smaller; what is larger is not looked at. */
const maxX509Bytes = 16_384;

/** Bits of keyUsage (RFC 5280, 4.2.1.3). */
export type X509KeyUsage = {
  readonly digitalSignature: boolean;
  readonly nonRepudiation: boolean;
  readonly keyCertSign: boolean;
  readonly cRLSign: boolean;
};

/** An X.509 v3 certificate as read; nothing in it is verified. Names are raw DER, to be compared byte by byte. */
export type X509 = {
  readonly der: Buffer;
  /** SHA-256 over the DER, lower-case hex. */
  readonly sha256: string;
  readonly tbs: Buffer;
  /** The AlgorithmIdentifier as hex of its DER. */
  readonly algorithm: string;
  readonly signature: Buffer;
  /** Content of the serial number INTEGER, hex. */
  readonly serial: string;
  readonly issuer: Buffer;
  readonly subject: Buffer;
  /** Epoch seconds, inclusive. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly publicKey: KeyObject;
  readonly isAuthority: boolean;
  readonly pathLength: number | undefined;
  readonly keyUsage: X509KeyUsage | undefined;
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly hasNameConstraints: boolean;
  /** Critical extensions that this reader does not process. */
  readonly unknownCritical: readonly string[];
  /** Attributes of the subject by OID; an attribute that occurs twice is left out. */
  readonly subjectAttributes: ReadonlyMap<string, string>;
};

/** OIDs of the subject attributes the hub reads. */
export const subjectOids = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  organizationIdentifier: '2.5.4.97',
} as const;

const extensionOids = {
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  certificatePolicies: '2.5.29.32',
  extendedKeyUsage: '2.5.29.37',
} as const;

/** Alternative names and policies are not used for any decision here, so that they may be critical. */
const processedExtensions: ReadonlySet<string> = new Set([
  extensionOids.keyUsage,
  extensionOids.subjectAltName,
  extensionOids.basicConstraints,
  extensionOids.certificatePolicies,
  extensionOids.extendedKeyUsage,
]);

/** What an X.509 certificate and a CRL share: signed bytes, algorithm, signature. */
export type SignedDer = { readonly tbs: Buffer; readonly algorithm: string; readonly signature: Buffer };

/** Takes a signed structure apart (RFC 5280, 4.1 and 5.1). Inside `attempt` only. */
export function readSigned(root: Der): SignedDer & { readonly members: readonly Der[]; readonly algorithmDer: Buffer } {
  const [tbs, algorithm, signature] = childrenOf(root, derTags.sequence, 3, 3);
  const members = childrenOf(tbs, derTags.sequence);
  if (tbs === undefined || algorithm === undefined) return refuseDer();
  return {
    tbs: tbs.raw,
    members,
    algorithm: algorithm.raw.toString('hex'),
    algorithmDer: algorithm.raw,
    signature: bitsOf(signature),
  };
}

/** The raw DER of a distinguished name, which must not be empty. Inside `attempt` only. */
export function nameOf(value: Der | undefined): Buffer {
  childrenOf(value, derTags.sequence, 1);
  return value?.raw ?? refuseDer();
}

/** Reading a key is the dearest step (0.5 ms), and the same few authorities come with every certificate. */
const remembered = new Map<string, X509>();
const maxRemembered = 500;

/** Reads one X.509 v3 certificate strictly (RFC 5280, 4.1), or undefined when it is malformed or over 16 KiB. */
export function readX509(bytes: Uint8Array): X509 | undefined {
  if (bytes.length > maxX509Bytes) return undefined;
  const sha256 = hash('sha256', bytes, 'hex');
  const known = remembered.get(sha256);
  if (known !== undefined) return known;
  // a copy: what is remembered must not change with the caller's buffer
  const x509 = attempt(() => readCertificate(parseDer(Buffer.from(bytes)), sha256));
  if (x509 === undefined) return undefined;
  const [oldest] = remembered.keys();
  if (remembered.size >= maxRemembered && oldest !== undefined) remembered.delete(oldest);
  remembered.set(sha256, x509);
  return x509;
}

function readCertificate(root: Der, sha256: string): X509 {
  const { members, algorithmDer, ...signed } = readSigned(root);
  const [version, serial, innerAlgorithm, issuer, validity, subject, spki, ...rest] = members;
  // version [0] EXPLICIT INTEGER 2 is v3; older versions have no constraints and are not accepted
  if (version?.raw.toString('hex') !== 'a003020102') return refuseDer();
  if (innerAlgorithm?.raw.equals(algorithmDer) !== true) return refuseDer();
  const [notBefore, notAfter] = childrenOf(validity, derTags.sequence, 2, 2);
  return {
    ...signed,
    der: root.raw,
    sha256,
    serial: contentOf(serial, derTags.integer).toString('hex'),
    issuer: nameOf(issuer),
    subject: nameOf(subject),
    notBefore: timeOf(notBefore),
    notAfter: timeOf(notAfter),
    publicKey: readPublicKey(spki),
    subjectAttributes: readAttributes(subject),
    ...readExtensions(rest),
  };
}

function readPublicKey(spki: Der | undefined): KeyObject {
  try {
    return createPublicKey({ key: spki?.raw ?? refuseDer(), format: 'der', type: 'spki' });
  } catch {
    return refuseDer();
  }
}

type Extensions = Pick<
  X509,
  'isAuthority' | 'pathLength' | 'keyUsage' | 'extendedKeyUsage' | 'hasNameConstraints' | 'unknownCritical'
>;

/** Reads what follows the public key: only [3] extensions; the unique identifiers [1] and [2] must not be used. */
function readExtensions(rest: readonly Der[]): Extensions {
  if (rest.length > 1) return refuseDer();
  const [wrapper] = rest;
  const [list] = wrapper === undefined ? [] : childrenOf(wrapper, 0xa3, 1, 1);
  const byOid = new Map<string, Der>();
  const unknownCritical: string[] = [];
  for (const entry of list === undefined ? [] : childrenOf(list, derTags.sequence, 1)) {
    const { oid, critical, value } = readExtension(entry);
    if (byOid.has(oid)) return refuseDer();
    byOid.set(oid, value);
    if (critical && !processedExtensions.has(oid)) unknownCritical.push(oid);
  }
  return {
    ...readBasicConstraints(byOid.get(extensionOids.basicConstraints)),
    keyUsage: readKeyUsage(byOid.get(extensionOids.keyUsage)),
    extendedKeyUsage: readExtendedKeyUsage(byOid.get(extensionOids.extendedKeyUsage)),
    hasNameConstraints: byOid.has(extensionOids.nameConstraints),
    unknownCritical,
  };
}

/** One extension (also of a CRL): its OID, whether it is critical, and its value. Inside `attempt` only. */
export function readExtension(entry: Der): { oid: string; critical: boolean; value: Der } {
  const [id, ...parts] = childrenOf(entry, derTags.sequence, 2, 3);
  const critical = parts.length === 2;
  // DEFAULT FALSE is never written in DER, so a BOOLEAN that is there must be true
  if (critical && contentOf(parts[0], derTags.boolean)[0] !== 0xff) return refuseDer();
  return { oid: oidOf(id), critical, value: parseDer(contentOf(parts.at(-1), derTags.octetString)) };
}

function readBasicConstraints(value: Der | undefined): { isAuthority: boolean; pathLength: number | undefined } {
  const [flag, length] = value === undefined ? [] : childrenOf(value, derTags.sequence, 0, 2);
  if (flag === undefined) return { isAuthority: false, pathLength: undefined };
  if (contentOf(flag, derTags.boolean)[0] !== 0xff) return refuseDer();
  return { isAuthority: true, pathLength: length === undefined ? undefined : integerOf(length) };
}

function readKeyUsage(value: Der | undefined): X509KeyUsage | undefined {
  if (value === undefined) return undefined;
  const [unused = 8, first = 0, ...others] = contentOf(value, derTags.bitString);
  if (unused > 7 || others.length > 1) return refuseDer();
  const bit = (index: number): boolean => (first & (0x80 >>> index)) !== 0;
  return { digitalSignature: bit(0), nonRepudiation: bit(1), keyCertSign: bit(5), cRLSign: bit(6) };
}

const readExtendedKeyUsage = (value: Der | undefined): string[] | undefined =>
  value === undefined ? undefined : childrenOf(value, derTags.sequence, 1).map(oidOf);

/** The text attributes of a name. */
function readAttributes(name: Der | undefined): Map<string, string> {
  const attributes = new Map<string, string>();
  const repeated = new Set<string>();
  const pairs = childrenOf(name, derTags.sequence).flatMap((set) => childrenOf(set, derTags.set, 1));
  for (const pair of pairs) {
    const [type, value] = childrenOf(pair, derTags.sequence, 2, 2);
    const oid = oidOf(type);
    const text = readText(value ?? refuseDer());
    if (attributes.has(oid)) repeated.add(oid);
    if (text !== undefined) attributes.set(oid, text);
  }
  for (const oid of repeated) attributes.delete(oid);
  return attributes;
}

/** UTF8String, PrintableString, IA5String, BMPString; other kinds are not read. */
function readText(value: Der): string | undefined {
  if (value.tag === 0x0c) return value.content.toString('utf8');
  if (value.tag === 0x13 || value.tag === 0x16) return value.content.toString('latin1');
  if (value.tag !== 0x1e || value.content.length % 2 !== 0) return undefined;
  return Buffer.from(value.content).swap16().toString('utf16le');
}

/** The keys a signature algorithm takes, and its digest. */
type X509Algorithm = { readonly fits: (key: KeyObject) => boolean; readonly digest: string | null };

const isP384 = (key: KeyObject): boolean =>
  key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'secp384r1';
const isEc = (key: KeyObject): boolean => suitesOfKey(key).includes('ES256') || isP384(key);
const isRsa = (key: KeyObject): boolean => suitesOfKey(key).includes('RS256');
const isEd25519 = (key: KeyObject): boolean => suitesOfKey(key).includes('EdDSA');
const isSm2 = (key: KeyObject): boolean => suitesOfKey(key).includes('SM2-SM3');

/** The allow-list: algorithms by the DER of their identifier, parameters included. */
const algorithms: ReadonlyMap<string, X509Algorithm> = new Map([
  ['300a06082a8648ce3d040302', { fits: isEc, digest: 'sha256' }],
  ['300a06082a8648ce3d040303', { fits: isEc, digest: 'sha384' }],
  ['300506032b6570', { fits: isEd25519, digest: null }],
  ['300d06092a864886f70d01010b0500', { fits: isRsa, digest: 'sha256' }],
  ['300d06092a864886f70d01010c0500', { fits: isRsa, digest: 'sha384' }],
  ['300d06092a864886f70d01010d0500', { fits: isRsa, digest: 'sha512' }],
  ['300a06082a811ccf55018375', { fits: isSm2, digest: 'sm3' }],
  // some authorities write a NULL parameter for SM2 with SM3
  ['300c06082a811ccf550183750500', { fits: isSm2, digest: 'sm3' }],
]);

/**
 * Checks the signature of an X.509 certificate or CRL over its to-be-signed bytes. `x509_algorithm`: not on the
 * allow-list; `x509_key`: the key is of another kind or too weak; `x509_signature`: wrong.
 */
export function judgeX509Signature(
  signed: SignedDer,
  publicKey: KeyObject,
): 'x509_algorithm' | 'x509_key' | 'x509_signature' | undefined {
  const algorithm = algorithms.get(signed.algorithm);
  if (algorithm === undefined) return 'x509_algorithm';
  if (!algorithm.fits(publicKey)) return 'x509_key';
  try {
    const good =
      algorithm.digest === 'sm3'
        ? verifySm2Der(publicKey, signed.tbs, signed.signature)
        : verify(algorithm.digest, signed.tbs, publicKey, signed.signature);
    return good ? undefined : 'x509_signature';
  } catch {
    return 'x509_signature';
  }
}
