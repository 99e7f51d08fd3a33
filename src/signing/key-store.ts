import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { encodeBase64 } from '../verification/encoding.ts';
import type { SignatureSuite } from '../verification/suites.ts';
import { validateX509Path, type X509PathInput } from '../verification/x509-path.ts';
import { readX509, subjectOids } from '../verification/x509-read.ts';
import {
  type EncryptionKeys,
  encryptionKeys,
  type IndexKeys,
  indexKeys,
  type MonthSecret,
  type NumberedSecret,
} from './data-keys.ts';
import { secretSha256, spkiSha256 } from './example-keys.ts';
import { type KeyFiles, type KeyMode, keyFiles } from './key-files.ts';
import {
  type KeyState,
  type KeyUse,
  type Manifest,
  type ManifestKey,
  type ManifestRecordKey,
  type ManifestSeal,
  type ManifestSecret,
  manifestFile,
  parseManifest,
} from './manifest.ts';
import { readPkcs12 } from './pkcs12.ts';
import { type KeySigner, keySigner } from './signer.ts';

export type { KeyMode, KeyUse };

/** A public key of the hub, active or retired. `from` and `until` are RFC 3339 UTC times, half-open. */
export interface HubKey {
  readonly kid: string;
  readonly use: KeyUse;
  readonly suite: SignatureSuite;
  readonly state: KeyState;
  readonly from: string;
  readonly until: string | null;
  readonly publicKey: KeyObject;
  /** With `kid`, `use: 'sig'` and `alg` (RFC 7517). */
  readonly jwk: JsonWebKey;
  /** Base64 DER, leaf first, without the root; absent for token and log keys. */
  readonly x5c?: readonly string[];
}

/** A department's seal held by this hub. The certificate's dates are for the caller to judge: it knows the time. */
export interface SealSigner extends KeySigner {
  readonly department: string;
  readonly x5c: readonly string[];
  /** DER of the leaf. */
  readonly x509: Buffer;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** All keys of the hub. Private keys stay behind `sign`; nothing here prints them. */
export interface Keys extends IndexKeys, EncryptionKeys {
  readonly token: KeySigner;
  readonly answer: KeySigner;
  readonly status: KeySigner;
  readonly log: KeySigner;
  /** Every hub key on file, active and retired: what a verifier needs. */
  readonly hubKeys: readonly HubKey[];
  /** JWK Set (RFC 7517) of the hub's public keys, of one use or of all. */
  publicJwks(use?: KeyUse): { readonly keys: readonly JsonWebKey[] };
  /** The active token key as PEM. For @fastify/jwt alone, which takes no other form. */
  tokenSecretPem(): { readonly kid: string; readonly privatePem: string; readonly publicPem: string };
  /** The active seal of a department, or undefined. */
  sealSigner(department: string): SealSigner | undefined;
  readonly sealSigners: readonly SealSigner[];
  /** DER of the trusted roots. */
  readonly roots: readonly Buffer[];
  /** The own keys of the months' records, ascending by month; empty when all are derived. Never their content. */
  readonly recordKeys: readonly Omit<ManifestRecordKey, 'file'>[];
}

/**
 * Loads a keys directory: checks the manifest, that private files are private, that every key fits its suite and
 * its x509, and that no published demo key is used in production. Throws KeyFileError naming the file at fault.
 */
export function loadKeys(directory: string, options: { readonly mode: KeyMode }): Keys {
  const files = keyFiles(directory, options.mode);
  const manifest = readManifest(files, directory);
  const roots = manifest.roots.flatMap((file) => loadRoots(files, file));
  const hub = manifest.keys.map((entry) => loadHubKey(files, entry, roots));
  const seals = manifest.seals.filter(({ state }) => state === 'active').map((entry) => loadSeal(files, entry, roots));
  const sealOf = new Map(seals.map((seal) => [seal.department, seal]));
  refuseSharedKeys(files, [...hub.map(({ signer }) => signer), ...seals]);
  const active = (use: KeyUse): (typeof hub)[number] => {
    const found = hub.find(({ key }) => key.use === use && key.state === 'active');
    if (found === undefined) throw files.error(manifestFile, `has no active key with use "${use}"`);
    return found;
  };
  const token = active('token');
  const hubKeys = Object.freeze(hub.map(({ key }) => key));
  return Object.freeze({
    ...indexKeys(loadSecrets(files, manifest.indexKeys)),
    ...encryptionKeys(loadSecrets(files, manifest.encryptionKeys), loadMonthSecrets(files, manifest.recordKeys ?? [])),
    token: token.signer,
    answer: active('answer').signer,
    status: active('status').signer,
    log: active('log').signer,
    hubKeys,
    publicJwks: (use?: KeyUse) => ({
      keys: hubKeys.filter((key) => use === undefined || key.use === use).map(({ jwk }) => jwk),
    }),
    tokenSecretPem: () => ({
      kid: token.key.kid,
      privatePem: token.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      publicPem: token.key.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    }),
    sealSigner: (department: string) => sealOf.get(department),
    sealSigners: Object.freeze(seals),
    roots: Object.freeze(roots),
    recordKeys: Object.freeze(
      (manifest.recordKeys ?? [])
        .map(({ month, kind, state }) => ({ month, kind, state }))
        .toSorted((a, b) => (a.month < b.month ? -1 : a.month > b.month ? 1 : 0)),
    ),
  });
}

/** Reads only the table of contents. Throws KeyFileError. */
export const loadManifest = (directory: string): Manifest => readManifest(keyFiles(directory, 'production'), directory);

const readManifest = (files: KeyFiles, directory: string): Manifest =>
  parseManifest(files.readText(manifestFile), `${directory}/${manifestFile}`);

function loadRoots(files: KeyFiles, file: string): Buffer[] {
  return files.readX509s(file).map((x509) => {
    if (!x509.ca || !x509.checkIssued(x509)) throw files.error(file, 'is not a self-signed root');
    // public, so it needs no secrecy; but a demo root must not be trusted in production
    files.admit(spkiSha256(x509.publicKey), []);
    return x509.raw;
  });
}

/** Public keys travel as JWK, and fast-jwt signs the tokens: that leaves fewer suites than seals have. */
const suitesOfUse: Readonly<Record<KeyUse, readonly SignatureSuite[]>> = {
  token: ['ES256', 'EdDSA'],
  answer: ['ES256', 'EdDSA', 'RS256', 'PS256'],
  status: ['ES256', 'EdDSA', 'RS256', 'PS256'],
  log: ['EdDSA'],
};

function loadHubKey(
  files: KeyFiles,
  entry: ManifestKey,
  roots: readonly Buffer[],
): { key: HubKey; signer: KeySigner; privateKey: KeyObject } {
  const { kid, use, suite, file, x509File, state, from, until } = entry;
  if (!suitesOfUse[use].includes(suite)) {
    throw files.error(manifestFile, `key ${kid}: ${suite} cannot be used for "${use}"`);
  }
  const withX509 = use === 'answer' || use === 'status';
  if (withX509 !== (x509File !== null)) {
    throw files.error(manifestFile, `key ${kid}: use "${use}" ${withX509 ? 'needs an' : 'takes no'} x509File`);
  }
  const privateKey = files.readPrivateKey(file);
  files.admit(spkiSha256(createPublicKey(privateKey)), [file]);
  const chained = withX509 && x509File !== null;
  const x5cMember = chained ? { x5c: chainOf(files, { x509File, privateKey, roots, use }) } : {};
  const signer = signerFrom(files, file, { privateKey, suite, kid, ...x5cMember });
  const { publicKey } = signer;
  const jwk = Object.freeze({ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: suite });
  const key = Object.freeze({ kid, use, suite, state, from, until, publicKey, jwk, ...x5cMember });
  return { key, signer, privateKey };
}

function signerFrom(files: KeyFiles, file: string, input: Parameters<typeof keySigner>[0]): KeySigner {
  try {
    return keySigner(input);
  } catch (cause) {
    throw files.error(file, `cannot sign with ${input.suite}`, cause);
  }
}

/** The chain of a hub key: the leaf is the key's, and the path leads to a trusted root. */
function chainOf(
  files: KeyFiles,
  input: { x509File: string; privateKey: KeyObject; roots: readonly Buffer[]; use: 'answer' | 'status' },
): readonly string[] {
  const { x509File, privateKey, roots, use } = input;
  const x509s = files.readX509s(x509File);
  if (x509s[0]?.checkPrivateKey(privateKey) !== true) {
    throw files.error(x509File, 'does not begin with the x509 of its key');
  }
  const chain = x509s.map(({ raw }) => raw);
  requirePath(files, x509File, { chain, roots, use });
  return Object.freeze(chain.map((x509) => encodeBase64(x509)));
}

/**
 * What verifiers will refuse is refused here, before anything is signed with it. Judged at the leaf's first
 * second: whether it has expired since is for its user to say.
 */
function requirePath(files: KeyFiles, file: string, path: Omit<X509PathInput, 'at'>): void {
  const [leaf] = path.chain;
  const at = leaf === undefined ? undefined : readX509(leaf)?.notBefore;
  const verdict = at === undefined ? undefined : validateX509Path({ ...path, at });
  if (verdict?.ok === true) return;
  throw files.error(
    file,
    `has no sound x509 path to a root of this directory (${(verdict?.reasons ?? ['x509_malformed']).join(', ')})`,
  );
}

const loadSecrets = (files: KeyFiles, entries: readonly ManifestSecret[]): NumberedSecret[] =>
  entries.map(({ number, file, state }) => {
    const secret = files.readSecret(file);
    files.admit(secretSha256(secret), [file]);
    return { number, secret, active: state === 'active' };
  });

/** A destroyed key has no file any more; an active one whose file is missing stops the start. */
const loadMonthSecrets = (files: KeyFiles, entries: readonly ManifestRecordKey[]): MonthSecret[] =>
  entries.map(({ month, kind, file, state }) => {
    if (state === 'destroyed') return { month, kind, secret: undefined };
    const secret = files.readSecret(file);
    files.admit(secretSha256(secret), [file]);
    return { month, kind, secret };
  });

function loadSeal(files: KeyFiles, entry: ManifestSeal, roots: readonly Buffer[]): SealSigner {
  const { department, suite, file, passwordFile } = entry;
  const der = files.read(file);
  const password = files.readText(passwordFile).replace(/\r?\n$/, '');
  let contents: ReturnType<typeof readPkcs12>;
  try {
    contents = readPkcs12({ der, password });
  } catch (cause) {
    throw files.error(file, cause instanceof Error ? cause.message : 'cannot be read', cause);
  }
  const { privateKey, leaf, intermediates, notBefore, notAfter } = contents;
  const x509 = readX509(leaf);
  if (x509 === undefined) throw files.error(file, 'has an x509 that the hub does not read');
  if (x509.subjectAttributes.get(subjectOids.organizationIdentifier) !== department) {
    throw files.error(file, `is not the seal of department ${department}`);
  }
  files.admit(spkiSha256(x509.publicKey), [file, passwordFile]);
  const x5c = Object.freeze([leaf, ...intermediates].map((bytes) => encodeBase64(bytes)));
  requirePath(files, file, { chain: [leaf, ...intermediates], roots, use: 'seal' });
  const kid = `seal-${x509.sha256.slice(0, 16)}`;
  const signer = signerFrom(files, file, { privateKey, suite, kid, x5c });
  return Object.freeze({ ...signer, department, x5c, x509: leaf, notBefore, notAfter });
}

/** A key with two uses or two suites would let one signature be taken for another. */
function refuseSharedKeys(files: KeyFiles, signers: readonly KeySigner[]): void {
  const seen = new Map<string, string>();
  for (const { kid, publicKey } of signers) {
    const fingerprint = spkiSha256(publicKey);
    const other = seen.get(fingerprint);
    if (other !== undefined) throw files.error(manifestFile, `${kid} and ${other} are the same key`);
    seen.set(fingerprint, kid);
  }
}
