import { judgeX509Signature, readX509, type X509 } from './x509-read.ts';
import { judgeRevocation, type RevocationFault, readCrl } from './x509-revocation.ts';

const maxChainLength = 4;

/**
 * Extended key usages of the hub's own keys. `id-kp-oauthStatusSigning` has no number yet (status list draft), so
 * both are under a UUID arc (ITU-T X.667) of this project.
 */
export const extendedKeyUsages = {
  status: '2.25.147697405708798868767867059449012471686.1',
  answer: '2.25.147697405708798868767867059449012471686.2',
} as const;

const anyExtendedKeyUsage = '2.5.29.37.0';
/** Purposes that fit a seal: e-mail protection and document signing (RFC 9336) are what authorities write. */
const sealKeyUsages = new Set([anyExtendedKeyUsage, '1.3.6.1.5.5.7.3.4', '1.3.6.1.5.5.7.3.36']);

/** What the leaf's key is to be used for. */
export type X509Use = 'seal' | 'status' | 'answer';

/** Why a path was refused. */
export type X509Fault =
  | 'x509_chain_length'
  | 'x509_malformed'
  | 'x509_root_in_chain'
  | 'x509_leaf_self_signed'
  | 'x509_issuer_mismatch'
  | 'x509_root_unknown'
  | 'x509_algorithm'
  | 'x509_key'
  | 'x509_signature'
  | 'x509_not_yet_valid'
  | 'x509_expired'
  | 'x509_not_authority'
  | 'x509_leaf_is_authority'
  | 'x509_path_length'
  | 'x509_key_usage'
  | 'x509_extended_key_usage'
  | 'x509_critical_extension'
  | 'x509_name_constraints'
  | RevocationFault;

/** A path to judge. */
export type X509PathInput = {
  /** DER, leaf first, without the root. From the message: untrusted. */
  readonly chain: readonly Uint8Array[];
  /** DER of the pinned roots. From the verifier's own store, never from a message. */
  readonly roots: readonly Uint8Array[];
  /** Epoch seconds: when the signature was made. */
  readonly at: number;
  readonly use: X509Use;
  /** DER of the authorities' CRLs; when given, every X.509 certificate of the chain must be covered by a fresh one. */
  readonly crls?: readonly Uint8Array[];
  /** Epoch seconds at which the CRLs must be fresh; `at` by default. */
  readonly crlNow?: number;
};

/**
 * Validates an X.509 path by its own narrow rules (RFC 5280, 6.1, without policies and names): each issuer's name and
 * signature, a pinned root, dates at `at`, authority and path length, key usages, no unknown critical extension, no
 * name constraints, revocation. Lists every reason it finds. The caller still has to check that the signature of the
 * message is the leaf key's.
 */
export function validateX509Path(
  input: X509PathInput,
): { ok: true; leaf: X509; root: X509 } | { ok: false; reasons: X509Fault[] } {
  if (input.chain.length > maxChainLength) return { ok: false, reasons: ['x509_chain_length'] };
  const chain = input.chain.map(readX509).filter((x509) => x509 !== undefined);
  if (chain.length < input.chain.length) return { ok: false, reasons: ['x509_malformed'] };
  const [leaf] = chain;
  const last = chain.at(-1);
  if (leaf === undefined || last === undefined) return { ok: false, reasons: ['x509_chain_length'] };
  const roots = input.roots.map(readX509).filter((x509) => x509 !== undefined);
  const root = findRoot(last, roots);
  const path = root === undefined ? chain : [...chain, root];
  const faults = new Set<X509Fault>(root === undefined ? ['x509_root_unknown'] : []);
  judgeShape(chain, roots, faults);
  judgePath(path, input.at, faults);
  judgeLeaf(leaf, input.use, faults);
  if (input.crls !== undefined) judgePathRevocation(path, input.crls, input, faults);
  if (faults.size > 0 || root === undefined) return { ok: false, reasons: [...faults] };
  return { ok: true, leaf, root };
}

/** Leaf first. Every member, every link, and every authority by its place. */
function judgePath(path: readonly X509[], at: number, faults: Set<X509Fault>): void {
  for (const [index, subject] of path.entries()) {
    judgeMember(subject, at, faults);
    if (index > 0) judgeAuthority(subject, index - 1, faults);
    const issuer = path[index + 1];
    if (issuer !== undefined) judgeLink(subject, issuer, faults);
  }
}

function judgeShape(chain: readonly X509[], roots: readonly X509[], faults: Set<X509Fault>): void {
  for (const [index, x509] of chain.entries()) {
    const isSelfIssued = x509.issuer.equals(x509.subject);
    if (index === 0 && isSelfIssued) faults.add('x509_leaf_self_signed');
    else if (isSelfIssued || roots.some((root) => root.sha256 === x509.sha256)) faults.add('x509_root_in_chain');
  }
}

/** The pinned root that issued the last of the chain. Two roots may share a name while keys change hands. */
function findRoot(last: X509, roots: readonly X509[]): X509 | undefined {
  const named = roots.filter((root) => root.subject.equals(last.issuer));
  return named.find((root) => judgeX509Signature(last, root.publicKey) === undefined) ?? named[0];
}

function judgeMember(x509: X509, at: number, faults: Set<X509Fault>): void {
  if (at < x509.notBefore) faults.add('x509_not_yet_valid');
  if (at > x509.notAfter) faults.add('x509_expired');
  if (x509.unknownCritical.length > 0) faults.add('x509_critical_extension');
  if (x509.hasNameConstraints) faults.add('x509_name_constraints');
}

/** `below` counts the authorities between this one and the leaf; none is self-issued (see `judgeShape`). */
function judgeAuthority(x509: X509, below: number, faults: Set<X509Fault>): void {
  if (!x509.isAuthority) faults.add('x509_not_authority');
  if (x509.pathLength !== undefined && below > x509.pathLength) faults.add('x509_path_length');
  if (x509.keyUsage?.keyCertSign !== true) faults.add('x509_key_usage');
}

function judgeLink(subject: X509, issuer: X509, faults: Set<X509Fault>): void {
  if (!subject.issuer.equals(issuer.subject)) faults.add('x509_issuer_mismatch');
  const fault = judgeX509Signature(subject, issuer.publicKey);
  if (fault !== undefined) faults.add(fault);
}

function judgeLeaf(leaf: X509, use: X509Use, faults: Set<X509Fault>): void {
  if (leaf.isAuthority) faults.add('x509_leaf_is_authority');
  const { keyUsage } = leaf;
  const signs = keyUsage?.digitalSignature === true || (use === 'seal' && keyUsage?.nonRepudiation === true);
  if (!signs) faults.add('x509_key_usage');
  const fits = use === 'seal' ? fitsSeal(leaf) : leaf.extendedKeyUsage?.includes(extendedKeyUsages[use]) === true;
  if (!fits) faults.add('x509_extended_key_usage');
}

/** A key of the hub must never pass for a seal, whatever else it may do. */
function fitsSeal({ extendedKeyUsage }: X509): boolean {
  if (extendedKeyUsage === undefined) return true;
  const isHubKey = Object.values(extendedKeyUsages).some((oid) => extendedKeyUsage.includes(oid));
  return !isHubKey && extendedKeyUsage.some((oid) => sealKeyUsages.has(oid));
}

function judgePathRevocation(
  path: readonly X509[],
  crlBytes: readonly Uint8Array[],
  input: X509PathInput,
  faults: Set<X509Fault>,
): void {
  const crls = crlBytes.map(readCrl);
  for (const [index, subject] of path.entries()) {
    const issuer = path[index + 1];
    if (issuer === undefined) continue;
    const reasons = judgeRevocation(subject, issuer, { crls, at: input.at, now: input.crlNow ?? input.at });
    for (const reason of reasons) faults.add(reason);
  }
}
