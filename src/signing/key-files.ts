import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isExampleKey } from './example-keys.ts';
import { KeyFileError } from './key-file-error.ts';

/** `production` refuses the published demo keys; `demo` accepts them. */
export type KeyMode = 'demo' | 'production';

/** A keys directory while it is being read. File names are relative to it. */
export interface KeyFiles {
  /** The content of a file as bytes; missing, unreadable and oversized files are named. */
  read(file: string): Buffer;
  readText(file: string): string;
  /** All x509 certificates of a PEM file, in its order. */
  readX509s(file: string): X509Certificate[];
  /** A private key in PEM (PKCS#8). */
  readPrivateKey(file: string): KeyObject;
  /** A 32-byte secret written as 64 hex characters. */
  readSecret(file: string): Buffer;
  /**
   * Call once the fingerprint of what is in private files is known. A demo key is refused in production and
   * needs no secrecy in a demo; any other key must be in files that only their owner can read.
   */
  admit(fingerprint: string, files: readonly string[]): void;
  error(file: string, reason: string, cause?: unknown): KeyFileError;
}

const maxFileBytes = 1_000_000;
const othersMayRead = 0o077;
/** Windows has no such modes. */
const hasModes = process.platform !== 'win32';
const pemX509 = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** Opens a keys directory for reading. Throws KeyFileError, now and later, with the name of the file at fault. */
export function keyFiles(directory: string, mode: KeyMode): KeyFiles {
  const error = (file: string, reason: string, cause?: unknown): KeyFileError =>
    new KeyFileError(join(directory, file), reason, { cause });

  const requirePrivate = (file: string, advice: string): void => {
    if (hasModes && (statSync(join(directory, file)).mode & othersMayRead) !== 0) {
      throw error(file, `can be read or written by other accounts; run: chmod ${advice}`);
    }
  };

  const read = (file: string): Buffer => {
    let bytes: Buffer;
    try {
      bytes = readFileSync(join(directory, file));
    } catch (cause) {
      const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
      if (code === 'ENOENT') throw error(file, 'is missing', cause);
      if (code === 'EACCES') throw error(file, 'cannot be read by this account', cause);
      throw error(file, 'cannot be read', cause);
    }
    if (bytes.length === 0) throw error(file, 'is empty');
    if (bytes.length > maxFileBytes) throw error(file, 'is too large for a key file');
    return bytes;
  };
  const readText = (file: string): string => read(file).toString('utf8');

  return Object.freeze({
    error,
    read,
    readText,
    readX509s(file: string): X509Certificate[] {
      const blocks = readText(file).match(pemX509) ?? [];
      if (blocks.length === 0) throw error(file, 'has no x509 certificate in PEM');
      try {
        return blocks.map((block) => new X509Certificate(block));
      } catch (cause) {
        throw error(file, 'has a damaged x509 certificate', cause);
      }
    },
    readPrivateKey(file: string): KeyObject {
      const pem = read(file);
      try {
        return createPrivateKey({ key: pem, format: 'pem' });
      } catch (cause) {
        throw error(file, 'is damaged: not an unencrypted private key in PEM', cause);
      }
    },
    readSecret(file: string): Buffer {
      const text = readText(file).trim();
      if (!/^[0-9a-f]{64}$/.test(text)) throw error(file, 'is damaged: not 32 bytes in lower-case hex');
      return Buffer.from(text, 'hex');
    },
    admit(fingerprint: string, files: readonly string[]): void {
      if (isExampleKey(fingerprint)) {
        if (mode === 'demo') return;
        throw error(files[0] ?? '.', 'is a published demo key and is refused outside demo mode');
      }
      requirePrivate('.', '700');
      for (const file of files) requirePrivate(file, '600');
    },
  });
}
