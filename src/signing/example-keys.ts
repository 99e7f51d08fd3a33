import { createHash, type JsonWebKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isJsonObject } from '../verification/encoding.ts';
import { KeyFileError } from './key-file-error.ts';

/** The demo keys of the repository. The same relative place from `src/signing` and from `dist/signing`. */
export const exampleKeysDirectory: string = fileURLToPath(new URL('../../keys-example/', import.meta.url));

/** The name of the list of public fingerprints inside `keys-example`. */
export const fingerprintsFile = 'fingerprints.json';

/** SHA-256 of the key's SubjectPublicKeyInfo, as lower-case hex. */
export function spkiSha256(publicKey: KeyObject): string {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

/** SHA-256 of a raw secret, as lower-case hex. Only for secrets of full entropy. */
export const secretSha256 = (secret: Uint8Array): string => createHash('sha256').update(secret).digest('hex');

let known: ReadonlySet<string> | undefined;

/**
 * Whether a fingerprint (lower-case hex of `spkiSha256` or `secretSha256`) is one of the published demo keys.
 * Throws KeyFileError when the list is missing: without it nobody can tell, and a demo key must never sign.
 */
export function isExampleKey(fingerprint: string): boolean {
  known ??= readFingerprints(`${exampleKeysDirectory}${fingerprintsFile}`);
  return known.has(fingerprint);
}

function readFingerprints(file: string): ReadonlySet<string> {
  let list: unknown;
  try {
    list = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new KeyFileError(file, 'the list of demo key fingerprints is missing or unreadable', { cause: error });
  }
  const entries = isJsonObject(list) ? list['sha256'] : undefined;
  if (!Array.isArray(entries) || entries.length === 0 || !entries.every((entry) => isFingerprint(entry))) {
    throw new KeyFileError(file, 'the list of demo key fingerprints is damaged');
  }
  return new Set(entries);
}

const isFingerprint = (entry: unknown): entry is string => typeof entry === 'string' && /^[0-9a-f]{64}$/.test(entry);

/** A department of the demo city. */
export interface ExampleDepartment {
  readonly code: string;
  readonly name: { readonly zh: string; readonly en: string };
  /** What it does in the demo: `issuer`, `consumer`, `auditor`, `admin`, `portal`. */
  readonly roles: readonly string[];
}

/** A client of the demo city; `keyFile` is relative to `keys-example`. */
export interface ExampleClient {
  readonly clientId: string;
  readonly department: string;
  readonly roles: readonly string[];
  readonly name: { readonly zh: string; readonly en: string };
  readonly keyFile: string;
}

const readExample = (file: string): unknown => JSON.parse(readFileSync(`${exampleKeysDirectory}${file}`, 'utf8'));

/** The departments of the demo city. */
export const readExampleDepartments = (): readonly ExampleDepartment[] =>
  readExample('departments.json') as ExampleDepartment[];

/** The clients of the demo city. */
export const readExampleClients = (): readonly ExampleClient[] => readExample('clients.json') as ExampleClient[];

/** The private key of a demo client as JWK with `kid`. Throws RangeError for a client the demo does not have. */
export function readExampleClientKey(clientId: string): JsonWebKey & { readonly kid: string } {
  const client = readExampleClients().find((candidate) => candidate.clientId === clientId);
  if (client === undefined) throw new RangeError('no such demo client');
  return readExample(client.keyFile) as JsonWebKey & { kid: string };
}
