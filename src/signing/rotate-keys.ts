import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { SignatureSuite } from '../verification/suites.ts';
import { readX509, subjectOids } from '../verification/x509-read.ts';
import { KeyFileError } from './key-file-error.ts';
import { keyFiles } from './key-files.ts';
import { loadManifest } from './key-store.ts';
import { type Authority, writeHubKey, writeSeal, writeSealFiles, writeSecret } from './key-writing.ts';
import { formatManifest, type KeyUse, type Manifest, type ManifestSecret, manifestFile } from './manifest.ts';
import { readPkcs12 } from './pkcs12.ts';
import { overwriteRecordKey, writeRecordKeys } from './record-keys.ts';
import { defaultSuite, keySigner } from './signer.ts';

/** What can be rotated: a hub key by its use, the index secret, the encryption secret, the months' keys of records (by adding more). */
export const rotatableUses = ['answer', 'token', 'status', 'log', 'index', 'encryption', 'records'] as const;
export type RotatableUse = (typeof rotatableUses)[number];

/** What a change did, for the operator: names of keys, never their content. */
export interface KeyChange {
  readonly added: string | undefined;
  readonly retired: string | undefined;
}

/**
 * Adds a new active key and retires the old one, which goes on verifying, opening and finding. A new index
 * generation leaves the old one active, because rows bear it until `certhub rekey` has rewritten them; retire it
 * afterwards. The hub takes a change at its next start. Throws KeyFileError.
 */
export function rotateKeys(input: {
  readonly directory: string;
  readonly use: RotatableUse;
  readonly now: Date;
}): Promise<KeyChange> {
  const { directory, use, now } = input;
  return changeManifest(directory, async (manifest) => {
    switch (use) {
      case 'index': {
        const written = writeSecret(directory, 'index', nextNumber(manifest.indexKeys, directory));
        const indexKeys = [...manifest.indexKeys, written.entry];
        return { manifest: { ...manifest, indexKeys }, added: written.entry.file, retired: undefined };
      }
      case 'encryption': {
        const written = writeSecret(directory, 'encryption', nextNumber(manifest.encryptionKeys, directory));
        const old = manifest.encryptionKeys.map((key) => ({ ...key, state: 'retired' as const }));
        const retired = manifest.encryptionKeys.find(({ state }) => state === 'active')?.file;
        return {
          manifest: { ...manifest, encryptionKeys: [...old, written.entry] },
          added: written.entry.file,
          retired,
        };
      }
      case 'records': {
        const before = manifest.recordKeys ?? [];
        const recordKeys = writeRecordKeys(directory, before, now);
        const added = recordKeys.slice(before.length);
        return {
          manifest: { ...manifest, recordKeys },
          added: `record keys of ${added[0]?.month} to ${added.at(-1)?.month}`,
          retired: undefined,
        };
      }
      default:
        return rotateHubKey(directory, manifest, use, now);
    }
  });
}

async function rotateHubKey(directory: string, manifest: Manifest, use: KeyUse, now: Date): Promise<Changed> {
  const authority = use === 'answer' || use === 'status' ? readAuthority(directory, manifest) : undefined;
  const city = authority === undefined ? '' : organizationOf(authority.x509);
  const written = await writeHubKey({ directory, use, from: now, city, authority });
  const until = now.toISOString();
  const old = manifest.keys.map((key) =>
    key.use === use && key.state === 'active' ? { ...key, state: 'retired' as const, until } : key,
  );
  const retired = manifest.keys.find((key) => key.use === use && key.state === 'active')?.kid;
  return { manifest: { ...manifest, keys: [...old, written.entry] }, added: written.entry.kid, retired };
}

/**
 * Retires an index generation once `certhub rekey` has rewritten every row that bore it. Its file stays: records
 * are never rewritten and are found under it. Throws KeyFileError.
 */
export function retireIndexKey(input: { readonly directory: string; readonly number: number }): Promise<KeyChange> {
  const { directory, number } = input;
  return changeManifest(directory, async (manifest) => {
    const newest = Math.max(...manifest.indexKeys.map((key) => key.number));
    const key = manifest.indexKeys.find((candidate) => candidate.number === number);
    if (key === undefined) throw new KeyFileError(join(directory, manifestFile), `has no index generation ${number}`);
    if (number === newest) {
      throw new KeyFileError(join(directory, manifestFile), `index generation ${number} is the newest; rotate first`);
    }
    const indexKeys = manifest.indexKeys.map((other) =>
      other === key ? { ...key, state: 'retired' as const } : other,
    );
    return { manifest: { ...manifest, indexKeys }, added: undefined, retired: key.file };
  });
}

/**
 * Destroys the keys of one month's records for good: marks them in the manifest, then overwrites and removes their files. A crash in
 * between is finished by calling again. Refuses the month under way and those to come. Throws KeyFileError. Copies of the directory are
 * beyond reach.
 */
export function destroyRecordKeys(input: {
  readonly directory: string;
  readonly month: string;
  readonly kinds: readonly string[];
  readonly now: Date;
}): Promise<KeyChange> {
  const { directory, month, kinds, now } = input;
  return changeManifest(
    directory,
    async (manifest) => {
      const fail = (reason: string): never => {
        throw new KeyFileError(join(directory, manifestFile), reason);
      };
      if (month >= now.toISOString().slice(0, 7)) fail(`${month} is not over: its records are still being written`);
      const meant = (manifest.recordKeys ?? []).filter((key) => key.month === month && kinds.includes(key.kind));
      if (meant.length === 0)
        fail(`has no record key of ${month}: its records are under keys that cannot be destroyed alone`);
      const recordKeys = manifest.recordKeys?.map((key) =>
        meant.includes(key) ? { ...key, state: 'destroyed' as const } : key,
      );
      const files = meant.map(({ file }) => file);
      return { manifest: { ...manifest, recordKeys: recordKeys ?? [] }, added: undefined, retired: files.join(', ') };
    },
    (manifest) => {
      for (const { file, state } of manifest.recordKeys ?? []) {
        if (state === 'destroyed') overwriteRecordKey(directory, file);
      }
    },
  );
}

/**
 * Adds a department's seal and retires the one it had: from a PKCS#12 file of the department's own authority, or
 * issued by the local authority. Throws KeyFileError, Pkcs12Error.
 */
export function addSeal(input: {
  readonly directory: string;
  readonly department: string;
  readonly now: Date;
  readonly source: { readonly pkcs12: Uint8Array; readonly password: string } | { readonly departmentName: string };
}): Promise<KeyChange> {
  const { directory, department, now, source } = input;
  return changeManifest(directory, async (manifest) => {
    const before = manifest.seals.filter((seal) => seal.department === department);
    const name = before.length === 0 ? department : `${department}-${before.length + 1}`;
    const entry =
      'pkcs12' in source
        ? writeSealFiles({ directory, department, name, ...source, suite: sealSuite(source, department, now) })
        : (
            await writeSeal({
              directory,
              department: { code: department, name: source.departmentName },
              authority: readAuthority(directory, manifest),
              from: now,
              name,
            })
          ).entry;
    const seals = manifest.seals.map((seal) =>
      seal.department === department ? { ...seal, state: 'retired' as const } : seal,
    );
    const retired = before.find(({ state }) => state === 'active')?.file;
    return { manifest: { ...manifest, seals: [...seals, entry] }, added: entry.file, retired };
  });
}

function sealSuite(source: { pkcs12: Uint8Array; password: string }, department: string, now: Date): SignatureSuite {
  const { leaf } = readPkcs12({ der: source.pkcs12, password: source.password, at: now });
  const x509 = readX509(leaf);
  if (x509?.subjectAttributes.get(subjectOids.organizationIdentifier) !== department) {
    throw new KeyFileError('the PKCS#12 file', `is not the seal of department ${department}`);
  }
  const suite = defaultSuite(x509.publicKey);
  if (suite === undefined) throw new KeyFileError('the PKCS#12 file', 'has a key of a kind that the hub does not use');
  return suite;
}

type Changed = KeyChange & { readonly manifest: Manifest };

/**
 * Reads, changes and replaces the manifest. The new text is created exclusively and renamed over the old one last:
 * it is lock and commit at once, and a crash before leaves the old set in force.
 */
async function changeManifest(
  directory: string,
  change: (manifest: Manifest) => Promise<Changed>,
  afterwards: (manifest: Manifest) => void = () => undefined,
): Promise<KeyChange> {
  const pending = join(directory, `${manifestFile}.new`);
  let descriptor: number;
  try {
    descriptor = openSync(pending, 'wx', 0o600);
  } catch (cause) {
    const exists = cause instanceof Error && 'code' in cause && cause.code === 'EEXIST';
    const reason = exists ? 'exists: another change is under way, or one crashed; delete it then' : 'cannot be written';
    throw new KeyFileError(pending, reason, { cause });
  }
  try {
    const { manifest, added, retired } = await change(loadManifest(directory));
    writeSync(descriptor, formatManifest(manifest));
    fsyncSync(descriptor);
    renameSync(pending, join(directory, manifestFile));
    afterwards(manifest);
    return { added, retired };
  } catch (error) {
    rmSync(pending, { force: true });
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

function nextNumber(secrets: readonly ManifestSecret[], directory: string): number {
  const next = Math.max(...secrets.map(({ number }) => number)) + 1;
  if (next > 255) throw new KeyFileError(join(directory, manifestFile), 'all 255 key numbers are used');
  return next;
}

function readAuthority(directory: string, manifest: Manifest): Authority {
  const files = keyFiles(directory, 'production');
  const { authority } = manifest;
  if (authority === null) {
    throw files.error(manifestFile, 'has no authority; request the x509 certificate from your certificate authority');
  }
  const privateKey = files.readPrivateKey(authority.file);
  const signer = keySigner({ privateKey, suite: authority.suite, kid: 'authority' });
  const chain = files.readX509s(authority.x509File);
  const [own] = chain;
  if (own === undefined || !own.checkPrivateKey(privateKey)) {
    throw files.error(authority.x509File, 'does not begin with the x509 of the authority key');
  }
  return { signer, x509: own.raw, chain: chain.map(({ raw }) => raw) };
}

const organizationOf = (x509: Uint8Array): string =>
  readX509(x509)?.subjectAttributes.get(subjectOids.organization) ?? '';
