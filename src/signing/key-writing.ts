import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { SignatureSuite } from '../verification/suites.ts';
import { extendedKeyUsages } from '../verification/x509-path.ts';
import { secretSha256, spkiSha256 } from './example-keys.ts';
import type { KeyUse, ManifestAuthority, ManifestKey, ManifestSeal, ManifestSecret } from './manifest.ts';
import { writePkcs12 } from './pkcs12-write.ts';
import { keySigner } from './signer.ts';
import { issueX509, type X509Issuer, type X509Validity } from './x509-issue.ts';

/** A certificate authority with the chain that its leaves carry: itself and what is above it, without the root. */
export interface Authority extends X509Issuer {
  readonly chain: readonly Uint8Array[];
}

/** A department that gets a seal. */
export interface SealedDepartment {
  readonly code: string;
  readonly name: string;
}

/** Lifetimes in years. A seal outlives no authority above it. */
export const lifetimeYears = { root: 30, intermediate: 25, leaf: 12 } as const;

/** From `from`, for a number of calendar years. */
export function validFor(from: Date, years: number): X509Validity {
  const notAfter = new Date(from);
  notAfter.setUTCFullYear(notAfter.getUTCFullYear() + years);
  return { notBefore: from, notAfter };
}

/** A new private key for a suite. */
export function generateKey(suite: SignatureSuite): KeyObject {
  switch (suite) {
    case 'ES256':
      return generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
    case 'EdDSA':
      return generateKeyPairSync('ed25519').privateKey;
    case 'RS256':
    case 'PS256':
      return generateKeyPairSync('rsa', { modulusLength: 3072 }).privateKey;
    case 'SM2-SM3':
      return generateKeyPairSync('ec', { namedCurve: 'SM2' }).privateKey;
  }
}

/** Writes a new file that only its owner can read; never over an existing one. */
export function writePrivate(directory: string, file: string, content: string | Uint8Array): void {
  const path = join(directory, file);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(path, content, { flag: 'wx', mode: 0o600, flush: true });
}

/** Certificates as PEM text, one block after the other. */
export const x509Pem = (ders: readonly Uint8Array[]): string =>
  ders
    .map((der) =>
      Buffer.from(der)
        .toString('base64')
        .replace(/.{1,64}/g, '$&\n'),
    )
    .map((body) => `-----BEGIN CERTIFICATE-----\n${body}-----END CERTIFICATE-----\n`)
    .join('');

const privatePem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

/** What was written: its entry in the manifest, and the fingerprints of its secrets. */
export interface Written<Entry> {
  readonly entry: Entry;
  readonly fingerprints: readonly string[];
}

/** The suite new hub keys get. Checkpoints are Ed25519 by their format, the rest ES256. */
const suiteOfUse: Readonly<Record<KeyUse, SignatureSuite>> = {
  token: 'ES256',
  answer: 'ES256',
  status: 'ES256',
  log: 'EdDSA',
};

/** Makes a hub key. Keys for answers and status lists get an x509 from the authority. */
export async function writeHubKey(input: {
  readonly directory: string;
  readonly use: KeyUse;
  readonly from: Date;
  readonly city: string;
  readonly authority: Authority | undefined;
}): Promise<Written<ManifestKey>> {
  const { directory, use, from, city, authority } = input;
  const suite = suiteOfUse[use];
  const privateKey = generateKey(suite);
  const publicKey = createPublicKey(privateKey);
  const fingerprint = spkiSha256(publicKey);
  const kid = `${use}-${from.toISOString().slice(0, 10).replaceAll('-', '')}-${fingerprint.slice(0, 8)}`;
  const file = `hub/${kid}.key.pem`;
  let x509File: string | null = null;
  if (use === 'answer' || use === 'status') {
    if (authority === undefined) throw new RangeError(`a key for "${use}" needs an authority`);
    const leaf = await issueX509({
      issuer: authority,
      subject: { organization: city, commonName: hubNames[use] },
      publicKey,
      profile: { kind: 'hub', extendedKeyUsage: extendedKeyUsages[use] },
      validity: validFor(from, lifetimeYears.leaf),
    });
    x509File = `hub/${kid}.x509.pem`;
    writePrivate(directory, x509File, x509Pem([leaf, ...authority.chain]));
  }
  writePrivate(directory, file, privatePem(privateKey));
  const entry = { kid, use, suite, file, x509File, state: 'active', from: from.toISOString(), until: null } as const;
  return { entry, fingerprints: [fingerprint] };
}

const hubNames = { answer: '电子证照共享平台应答签名', status: '电子证照状态列表签名' } as const;

/** Makes a 32-byte secret: an index generation or an encryption key. */
export function writeSecret(directory: string, kind: 'index' | 'encryption', number: number): Written<ManifestSecret> {
  const secret = randomBytes(32);
  const file = `secrets/${kind}-${number}.hex`;
  writePrivate(directory, file, `${secret.toString('hex')}\n`);
  return { entry: { number, file, state: 'active' }, fingerprints: [secretSha256(secret)] };
}

/** Makes a department's seal key and x509 and packs them as PKCS#12 under a random password in a file beside it. */
export async function writeSeal(input: {
  readonly directory: string;
  readonly department: SealedDepartment;
  readonly authority: Authority;
  readonly from: Date;
  /** File name without ending; the USCC for a first seal. */
  readonly name: string;
}): Promise<Written<ManifestSeal>> {
  const { directory, department, authority, from, name } = input;
  const suite = 'ES256';
  const privateKey = generateKey(suite);
  const publicKey = createPublicKey(privateKey);
  const leaf = await issueX509({
    issuer: authority,
    subject: {
      organization: department.name,
      commonName: `${department.name}电子签章`,
      organizationIdentifier: department.code,
    },
    publicKey,
    profile: { kind: 'seal' },
    validity: validFor(from, lifetimeYears.leaf),
  });
  // the password is random, so more derivation rounds would only slow the start of the hub down
  const password = randomBytes(16).toString('hex');
  const pkcs12 = writePkcs12({ privateKey, chain: [leaf, ...authority.chain], password, iterations: 2048 });
  const entry = writeSealFiles({ directory, department: department.code, suite, name, pkcs12, password });
  return { entry, fingerprints: [spkiSha256(publicKey)] };
}

/** Puts a PKCS#12 file and its password in place. */
export function writeSealFiles(input: {
  readonly directory: string;
  readonly department: string;
  readonly suite: SignatureSuite;
  readonly name: string;
  readonly pkcs12: Uint8Array;
  readonly password: string;
}): ManifestSeal {
  const { directory, department, suite, name } = input;
  const file = `seals/${name}.p12`;
  const passwordFile = `seals/${name}.password`;
  writePrivate(directory, file, input.pkcs12);
  writePrivate(directory, passwordFile, `${input.password}\n`);
  return { department, suite, file, passwordFile, state: 'active' };
}

/** Makes the local root and intermediate. The root's key is written for safe keeping; the hub never reads it. */
export async function writeAuthority(input: {
  readonly directory: string;
  readonly city: string;
  readonly from: Date;
}): Promise<Written<ManifestAuthority> & { readonly authority: Authority; readonly rootFile: string }> {
  const { directory, city, from } = input;
  const suite = 'ES256';
  const rootKey = generateKey(suite);
  const root = keySigner({ privateKey: rootKey, suite, kid: 'root' });
  const rootX509 = await issueX509({
    issuer: { selfSigner: root },
    subject: { organization: city, commonName: `${city}电子证照根CA` },
    publicKey: root.publicKey,
    profile: { kind: 'authority', pathLength: 1 },
    validity: validFor(from, lifetimeYears.root),
  });
  const key = generateKey(suite);
  const signer = keySigner({ privateKey: key, suite, kid: 'authority' });
  const x509 = await issueX509({
    issuer: { signer: root, x509: rootX509 },
    subject: { organization: city, commonName: `${city}电子证照签发CA` },
    publicKey: signer.publicKey,
    profile: { kind: 'authority', pathLength: 0 },
    validity: validFor(from, lifetimeYears.intermediate),
  });
  const rootFile = 'roots/root.x509.pem';
  const entry = { suite, file: 'authority/authority.key.pem', x509File: 'authority/authority.x509.pem' } as const;
  writePrivate(directory, rootFile, x509Pem([rootX509]));
  writePrivate(directory, 'authority/root.key.pem', privatePem(rootKey));
  writePrivate(directory, entry.file, privatePem(key));
  writePrivate(directory, entry.x509File, x509Pem([x509]));
  const fingerprints = [spkiSha256(root.publicKey), spkiSha256(signer.publicKey)];
  return { entry, fingerprints, authority: { signer, x509, chain: [x509] }, rootFile };
}
