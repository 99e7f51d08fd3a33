import { createPrivateKey, createPublicKey, type KeyObject, timingSafeEqual, X509Certificate } from 'node:crypto';
import forge from 'node-forge';
import { pkcs12Mac, pkcs12MacHashes } from './pkcs12-mac.ts';

/** Why a PKCS#12 file cannot be used. Codes are stable; messages never contain the password or file content. */
export type Pkcs12Fault =
  | 'too_large'
  | 'malformed'
  | 'no_integrity'
  | 'too_many_iterations'
  | 'wrong_password'
  | 'no_key'
  | 'several_keys'
  | 'no_x509'
  | 'key_mismatch'
  | 'chain_broken'
  | 'outside_validity';

const words: Readonly<Record<Pkcs12Fault, string>> = {
  too_large: 'the PKCS#12 file is larger than 256 KiB',
  malformed: 'not a readable PKCS#12 file',
  no_integrity: 'the PKCS#12 file has no MAC',
  too_many_iterations: 'the PKCS#12 file asks for more than 5,000,000 key derivation rounds',
  wrong_password: 'wrong password for the PKCS#12 file, or the file was changed',
  no_key: 'the PKCS#12 file has no private key',
  several_keys: 'the PKCS#12 file has more than one private key',
  no_x509: 'the PKCS#12 file has no x509 certificate of its key',
  key_mismatch: 'the private key in the PKCS#12 file does not belong to any of its x509 certificates',
  chain_broken: 'the x509 certificates in the PKCS#12 file do not form one chain from the key up',
  outside_validity: 'the x509 certificate in the PKCS#12 file is not valid at this time',
};

/** A PKCS#12 file that cannot be used, and why. */
export class Pkcs12Error extends Error {
  override readonly name = 'Pkcs12Error';
  readonly code: Pkcs12Fault;
  constructor(code: Pkcs12Fault, options?: ErrorOptions) {
    super(words[code], options);
    this.code = code;
  }
}

/** A private key with its X.509 chain as DER. A self-signed root is left out. */
export interface Pkcs12Contents {
  readonly privateKey: KeyObject;
  readonly leaf: Buffer;
  /** Intermediates, from the leaf's issuer upwards, without the root. */
  readonly intermediates: readonly Buffer[];
  readonly notBefore: Date;
  readonly notAfter: Date;
}

const maxBytes = 256 * 1024;
const maxDepth = 32;
const maxIterations = 5_000_000;
const maxX509s = 10;

const asn1 = forge.asn1;
const toBinary = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const fromBinary = (binary: string): Buffer => Buffer.from(binary, 'latin1');

/**
 * Reads a PKCS#12 file (RFC 7292) with a MAC: one private key (EC, RSA, Ed25519 or SM2) and its chain. Size,
 * depth and derivation rounds are limited before forge works on it; forge only unpacks, `node:crypto` does all
 * mathematics on keys and certificates. With `at`, the leaf must be valid then. Throws Pkcs12Error.
 */
export function readPkcs12(input: {
  readonly der: Uint8Array;
  readonly password: string;
  readonly at?: Date;
}): Pkcs12Contents {
  const pfx = parseLimited(input.der);
  const contents = unpack(pfx, input.password);
  const privateKey = onlyKey(contents.keys);
  const { leaf, intermediates } = chainOf(privateKey, contents.x509s);
  const notBefore = new Date(leaf.validFrom);
  const notAfter = new Date(leaf.validTo);
  if (input.at !== undefined && (input.at < notBefore || input.at > notAfter))
    throw new Pkcs12Error('outside_validity');
  return { privateKey, leaf: leaf.raw, intermediates: intermediates.map(({ raw }) => raw), notBefore, notAfter };
}

function parseLimited(der: Uint8Array): forge.asn1.Asn1 {
  if (der.length > maxBytes) throw new Pkcs12Error('too_large');
  let pfx: forge.asn1.Asn1;
  try {
    pfx = parseDer(toBinary(der));
  } catch (error) {
    throw new Pkcs12Error('malformed', { cause: error });
  }
  if (!isSequence(pfx)) throw new Pkcs12Error('malformed');
  const parts = childrenOf(pfx);
  if (parts.length === 2) throw new Pkcs12Error('no_integrity');
  if (parts.length !== 3) throw new Pkcs12Error('malformed');
  if (demandsTooMuch(pfx, 0)) throw new Pkcs12Error('too_many_iterations');
  return pfx;
}

/** Strict DER, to the last byte; forge itself stops at 256 levels, `demandsTooMuch` at 32. */
const parseDer = (binary: string): forge.asn1.Asn1 => asn1.fromDer(binary, true);

const childrenOf = (node: forge.asn1.Asn1 | undefined): forge.asn1.Asn1[] =>
  Array.isArray(node?.value) ? node.value : [];

const isSequence = (node: forge.asn1.Asn1 | undefined): boolean =>
  node?.tagClass === asn1.Class.UNIVERSAL && node.type === asn1.Type.SEQUENCE && Array.isArray(node.value);

const primitive = (node: forge.asn1.Asn1 | undefined, type: forge.asn1.Type): Buffer | undefined =>
  node?.tagClass === asn1.Class.UNIVERSAL && node.type === type && typeof node.value === 'string'
    ? fromBinary(node.value)
    : undefined;

/**
 * Before decryption the only integers in a PKCS#12 file are versions, key lengths and iteration counts, at any
 * level of OCTET STRING. A larger one is a file made to keep us busy.
 */
function demandsTooMuch(node: forge.asn1.Asn1, depth: number): boolean {
  if (depth > maxDepth) return true;
  if (Array.isArray(node.value)) return node.value.some((child) => demandsTooMuch(child, depth + 1));
  const universal = node.tagClass === asn1.Class.UNIVERSAL;
  if (universal && node.type === asn1.Type.INTEGER) {
    const bytes = fromBinary(node.value);
    return bytes.length < 1 || bytes.length > 4 || bytes.readIntBE(0, bytes.length) > maxIterations;
  }
  if (!universal || node.type !== asn1.Type.OCTETSTRING || node.value.charCodeAt(0) !== 0x30) return false;
  let inner: forge.asn1.Asn1;
  try {
    inner = parseDer(node.value);
  } catch {
    return false;
  }
  // an unencrypted x509 or key inside has large integers of its own, and nothing to derive
  return isContainer(inner) && demandsTooMuch(inner, depth + 1);
}

/** AuthenticatedSafe and SafeContents are sequences of sequences that begin with an object identifier. */
const isContainer = (node: forge.asn1.Asn1): boolean => {
  const children = childrenOf(node);
  return children.length > 0 && children.every((child) => childrenOf(child)[0]?.type === asn1.Type.OID);
};

/** The `macData` of a file, and the content it covers. Throws Pkcs12Error. */
function readMac(safe: forge.asn1.Asn1 | undefined, macData: forge.asn1.Asn1 | undefined) {
  const [digestInfo, saltNode, roundsNode] = childrenOf(macData);
  const [algorithm, digestNode] = childrenOf(digestInfo);
  if (![safe, macData, digestInfo, algorithm].every(isSequence)) throw new Pkcs12Error('malformed');
  const id = primitive(childrenOf(algorithm)[0], asn1.Type.OID)?.toString('latin1') ?? '';
  const hash = Object.entries(pkcs12MacHashes).find(([name]) => asn1.oidToDer(name).getBytes() === id)?.[1];
  const data = primitive(childrenOf(childrenOf(safe)[1])[0], asn1.Type.OCTETSTRING);
  const salt = primitive(saltNode, asn1.Type.OCTETSTRING);
  const expected = primitive(digestNode, asn1.Type.OCTETSTRING);
  const iterations = roundsNode === undefined ? 1 : readCount(primitive(roundsNode, asn1.Type.INTEGER));
  if (hash === undefined || data === undefined || salt === undefined || expected === undefined) {
    throw new Pkcs12Error('malformed');
  }
  return { hash, data, salt, expected, iterations };
}

function readCount(bytes: Buffer | undefined): number {
  const count = bytes === undefined || bytes.length < 1 || bytes.length > 4 ? 0 : bytes.readIntBE(0, bytes.length);
  if (count < 1) throw new Pkcs12Error('malformed');
  return count;
}

/**
 * Checks the MAC with `node:crypto` and returns the file without it, so that forge cannot judge it again.
 * A wrong password and a changed file cannot be told apart.
 */
function withoutMac(pfx: forge.asn1.Asn1, password: string): forge.asn1.Asn1 {
  const [version, safe, macData] = childrenOf(pfx);
  const { expected, ...covered } = readMac(safe, macData);
  const mac = pkcs12Mac({ ...covered, password });
  if (mac.length !== expected.length || !timingSafeEqual(mac, expected)) throw new Pkcs12Error('wrong_password');
  const remaining = [version, safe].filter((part) => part !== undefined);
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SEQUENCE, true, remaining);
}

/** forge takes one spelling of a password: PBES2 wants it in UTF-8, the older schemes in UTF-16 from the text. */
function decrypt(pfx: forge.asn1.Asn1, password: string): forge.pkcs12.Pkcs12Pfx {
  const spellings = new Set([forge.util.encodeUtf8(password), password]);
  let failure: unknown;
  for (const spelling of spellings) {
    try {
      return forge.pkcs12.pkcs12FromAsn1(pfx, true, spelling);
    } catch (error) {
      failure = error;
    }
  }
  throw new Pkcs12Error('malformed', { cause: failure });
}

function unpack(pfx: forge.asn1.Asn1, password: string): { keys: Buffer[]; x509s: Buffer[] } {
  const opened = decrypt(withoutMac(pfx, password), password);
  const keys: Buffer[] = [];
  const x509s: Buffer[] = [];
  for (const bag of opened.safeContents.flatMap(({ safeBags }) => safeBags)) {
    const isKey = bag.type === forge.pki.oids['keyBag'] || bag.type === forge.pki.oids['pkcs8ShroudedKeyBag'];
    // forge turns RSA keys and certificates into its own objects and leaves everything else as asn1
    if (isKey) {
      const info = bag.key ? forge.pki.wrapRsaPrivateKey(forge.pki.privateKeyToAsn1(bag.key)) : bag.asn1;
      keys.push(fromBinary(asn1.toDer(info).getBytes()));
    } else if (bag.type === forge.pki.oids['certBag']) {
      const x509 = bag.cert ? forge.pki.certificateToAsn1(bag.cert) : bag.asn1;
      x509s.push(fromBinary(asn1.toDer(x509).getBytes()));
    }
  }
  return { keys, x509s };
}

function onlyKey(keys: readonly Buffer[]): KeyObject {
  const [key, second] = keys;
  if (key === undefined) throw new Pkcs12Error('no_key');
  if (second !== undefined) throw new Pkcs12Error('several_keys');
  try {
    return createPrivateKey({ key, type: 'pkcs8', format: 'der' });
  } catch (error) {
    throw new Pkcs12Error('malformed', { cause: error });
  }
}

/** Files hold their certificates in any order; the key names the leaf, issuer names lead upwards. */
function chainOf(
  privateKey: KeyObject,
  ders: readonly Buffer[],
): { leaf: X509Certificate; intermediates: X509Certificate[] } {
  if (ders.length === 0) throw new Pkcs12Error('no_x509');
  if (ders.length > maxX509s) throw new Pkcs12Error('chain_broken');
  let x509s: X509Certificate[];
  try {
    x509s = ders.map((der) => new X509Certificate(der));
  } catch (error) {
    throw new Pkcs12Error('malformed', { cause: error });
  }
  const publicKey = createPublicKey(privateKey);
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const leaf = x509s.find((x509) => x509.publicKey.export({ type: 'spki', format: 'der' }).equals(spki));
  if (leaf === undefined) throw new Pkcs12Error('key_mismatch');
  const remaining = new Set(x509s.filter((x509) => x509 !== leaf));
  const intermediates: X509Certificate[] = [];
  let last = leaf;
  while (remaining.size > 0) {
    const child = last;
    const issuer = [...remaining].find((x509) => child.checkIssued(x509));
    if (issuer === undefined) throw new Pkcs12Error('chain_broken');
    remaining.delete(issuer);
    const isRoot = issuer.checkIssued(issuer);
    if (isRoot && remaining.size > 0) throw new Pkcs12Error('chain_broken');
    if (!isRoot) intermediates.push(issuer);
    last = issuer;
  }
  return { leaf, intermediates };
}
