import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { KeyFileError } from './key-file-error.ts';
import {
  type SealedDepartment,
  writeAuthority,
  writeHubKey,
  writePrivate,
  writeSeal,
  writeSecret,
} from './key-writing.ts';
import { formatManifest, keyUses, type Manifest, manifestFile, manifestFormat } from './manifest.ts';
import { writeRecordKeys } from './record-keys.ts';

/** What a new set of keys is made for. */
export interface KeySetInput {
  readonly directory: string;
  /** Name of the city in Chinese; the organisation in the hub's own x509 certificates. */
  readonly city: string;
  readonly departments: readonly SealedDepartment[];
  /** Start of validity of all keys. */
  readonly from: Date;
  readonly now: Date;
}

/**
 * Makes a keys directory: authority, hub keys, index and encryption secrets, a seal for each department. Built
 * beside its place and renamed, so that a directory of this name is whole or absent. Throws KeyFileError when the
 * directory exists: keys are never overwritten.
 */
export async function initKeys(input: KeySetInput): Promise<Manifest> {
  const directory = resolve(input.directory);
  if (existsSync(directory)) throw new KeyFileError(directory, 'exists already; keys are never overwritten');
  const partial = `${directory}.${randomBytes(4).toString('hex')}.partial`;
  mkdirSync(dirname(directory), { recursive: true });
  mkdirSync(partial, { mode: 0o700 });
  try {
    const { manifest } = await writeKeySet({ ...input, directory: partial, recordKeys: true });
    renameSync(partial, directory);
    return manifest;
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Writes a set of keys into an existing directory that has none, and tells the fingerprints of all its secrets. Keys of the months'
 * records only where asked for: the demo's records, under published keys, need no destroying.
 */
export async function writeKeySet(
  input: KeySetInput & { readonly recordKeys?: boolean },
): Promise<{ manifest: Manifest; fingerprints: readonly string[] }> {
  const { directory, city, from } = input;
  const authority = await writeAuthority({ directory, city, from });
  const hub = [];
  for (const use of keyUses) {
    hub.push(await writeHubKey({ directory, use, from, city, authority: authority.authority }));
  }
  const index = writeSecret(directory, 'index', 1);
  const encryption = writeSecret(directory, 'encryption', 1);
  const seals = [];
  for (const department of input.departments) {
    const name = department.code;
    seals.push(await writeSeal({ directory, department, authority: authority.authority, from, name }));
  }
  const manifest: Manifest = {
    format: manifestFormat,
    created: input.now.toISOString(),
    keys: hub.map(({ entry }) => entry),
    indexKeys: [index.entry],
    encryptionKeys: [encryption.entry],
    ...(input.recordKeys === true && { recordKeys: writeRecordKeys(directory, [], input.now) }),
    seals: seals.map(({ entry }) => entry),
    roots: [authority.rootFile],
    authority: authority.entry,
  };
  writePrivate(directory, manifestFile, formatManifest(manifest));
  const fingerprints = [authority, ...hub, index, encryption, ...seals].flatMap((written) => written.fingerprints);
  return { manifest, fingerprints };
}
