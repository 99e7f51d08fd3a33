import { createPublicKey } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ExampleClient, type ExampleDepartment, fingerprintsFile, spkiSha256 } from './example-keys.ts';
import { writeKeySet } from './init-keys.ts';
import { KeyFileError } from './key-file-error.ts';
import { generateKey, writePrivate } from './key-writing.ts';
import { manifestFile } from './manifest.ts';

/**
 * Makes the published demo set in a directory that holds `departments.json` and `clients.json`: a whole keys
 * directory, a key for each client, and the fingerprints by which a production hub refuses all of them. Throws
 * KeyFileError when the directory has keys already.
 */
export async function makeExampleKeys(input: {
  readonly directory: string;
  readonly city: string;
  readonly from: Date;
  readonly now: Date;
}): Promise<void> {
  const { directory } = input;
  if (existsSync(join(directory, manifestFile))) throw new KeyFileError(directory, 'has keys already');
  const departments = JSON.parse(readFileSync(join(directory, 'departments.json'), 'utf8')) as ExampleDepartment[];
  const clients = JSON.parse(readFileSync(join(directory, 'clients.json'), 'utf8')) as ExampleClient[];
  const sealed = departments
    .filter(({ roles }) => roles.includes('issuer'))
    .map(({ code, name }) => ({ code, name: name.zh }));
  const { fingerprints } = await writeKeySet({ ...input, departments: sealed });
  const ofClients = clients.map(({ clientId, keyFile }) => {
    const key = generateKey('ES256');
    const jwk = { ...key.export({ format: 'jwk' }), kid: `${clientId}-1`, use: 'sig', alg: 'ES256' };
    writePrivate(directory, keyFile, `${JSON.stringify(jwk, null, 2)}\n`);
    return spkiSha256(createPublicKey(key));
  });
  const list = {
    description: 'SHA-256 of every public demo key (SubjectPublicKeyInfo) and demo secret; refused outside demo mode.',
    sha256: [...fingerprints, ...ofClients].toSorted(),
  };
  writePrivate(directory, fingerprintsFile, `${JSON.stringify(list, null, 2)}\n`);
}
