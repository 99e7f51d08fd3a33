import { attempt, childrenOf, contentOf, type Der, derTags, parseDer, refuseDer, timeOf } from './der.ts';
import { judgeX509Signature, nameOf, readExtension, readSigned, type X509 } from './x509-read.ts';

const maxCrlBytes = 4_194_304;
const maxCrlValues = 1_000_000;
const reasonCodeOid = '2.5.29.21';
/** keyCompromise and cACompromise: whoever has the key can write any signing time. */
const compromiseReasons = new Set([1, 2]);

/** An X.509 CRL as read; its signature is not verified yet. */
export type Crl = {
  readonly tbs: Buffer;
  readonly algorithm: string;
  readonly signature: Buffer;
  readonly issuer: Buffer;
  /** Epoch seconds. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  /** Serial (hex) → revocation time, and whether the key was compromised. */
  readonly revoked: ReadonlyMap<string, { readonly at: number; readonly compromised: boolean }>;
};

/** Reads a complete CRL (RFC 5280, 5.1) with a nextUpdate; undefined when malformed, partial or with unknown critical extensions. */
export function readCrl(bytes: Uint8Array): Crl | undefined {
  return bytes.length > maxCrlBytes ? undefined : attempt(() => readList(parseDer(bytes, maxCrlValues)));
}

function readList(root: Der): Crl {
  const { members, algorithmDer, ...signed } = readSigned(root);
  const [version, innerAlgorithm, issuer, thisUpdate, nextUpdate, ...rest] = members;
  if (version?.raw.toString('hex') !== '020101') return refuseDer();
  if (innerAlgorithm?.raw.equals(algorithmDer) !== true) return refuseDer();
  const entries = rest[0]?.tag === derTags.sequence ? rest.shift()?.children : [];
  checkExtensions(rest);
  return {
    ...signed,
    issuer: nameOf(issuer),
    thisUpdate: timeOf(thisUpdate),
    nextUpdate: timeOf(nextUpdate),
    revoked: new Map(entries?.map(readEntry)),
  };
}

/** A delta or a partial list is marked by a critical extension; neither is understood. */
function checkExtensions(rest: readonly Der[]): void {
  if (rest.length > 1) refuseDer();
  const [list] = rest.flatMap((wrapper) => childrenOf(wrapper, 0xa0, 1, 1));
  if (list?.children.some((entry) => readExtension(entry).critical) === true) refuseDer();
}

function readEntry(entry: Der): [serial: string, revocation: { at: number; compromised: boolean }] {
  const [serial, date, list] = childrenOf(entry, derTags.sequence, 2, 3);
  let compromised = false;
  for (const each of list === undefined ? [] : childrenOf(list, derTags.sequence)) {
    const { oid, critical, value } = readExtension(each);
    if (oid === reasonCodeOid) compromised = compromiseReasons.has(contentOf(value, derTags.enumerated)[0] ?? 0);
    else if (critical) return refuseDer();
  }
  return [contentOf(serial, derTags.integer).toString('hex'), { at: timeOf(date), compromised }];
}

/** Why revocation says no. */
export type RevocationFault = 'x509_revoked' | 'crl_malformed' | 'crl_missing' | 'crl_signature' | 'crl_stale';

/**
 * Judges one X.509 certificate by its issuer's CRL. A revocation counts from its date on, a compromised key for all
 * time. The CRL must be fresh at `now`; a missing, stale or forged one is a refusal, never a pass.
 */
export function judgeRevocation(
  subject: X509,
  issuer: X509,
  input: { readonly crls: readonly (Crl | undefined)[]; readonly at: number; readonly now: number },
): RevocationFault[] {
  const faults = new Set<RevocationFault>();
  if (input.crls.includes(undefined)) faults.add('crl_malformed');
  const ofIssuer = input.crls.filter((crl) => crl !== undefined).filter((crl) => crl.issuer.equals(issuer.subject));
  const signed = ofIssuer.filter(
    (crl) => issuer.keyUsage?.cRLSign === true && judgeX509Signature(crl, issuer.publicKey) === undefined,
  );
  const fresh = signed.filter((crl) => crl.thisUpdate <= input.now && input.now < crl.nextUpdate);
  if (ofIssuer.length === 0) faults.add('crl_missing');
  else if (signed.length === 0) faults.add('crl_signature');
  else if (fresh.length === 0) faults.add('crl_stale');
  for (const crl of signed) {
    const entry = crl.revoked.get(subject.serial);
    if (entry !== undefined && (entry.compromised || entry.at <= input.at)) faults.add('x509_revoked');
  }
  return [...faults];
}
