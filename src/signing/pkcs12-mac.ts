import { createHash, createHmac } from 'node:crypto';

/** The hashes a PKCS#12 MAC may use, by object identifier. SHA-1 only to read old files. */
export const pkcs12MacHashes = {
  '1.3.14.3.2.26': 'sha1',
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
} as const;
export type Pkcs12MacHash = (typeof pkcs12MacHashes)[keyof typeof pkcs12MacHashes];

const blockLength = { sha1: 64, sha256: 64, sha384: 128, sha512: 128 } as const;
const macKeyPurpose = 3;

/** The MAC of a PKCS#12 file: HMAC under a key derived from the password by RFC 7292, appendix B.2. */
export function pkcs12Mac(input: {
  readonly hash: Pkcs12MacHash;
  readonly password: string;
  readonly salt: Uint8Array;
  readonly iterations: number;
  readonly data: Uint8Array;
}): Buffer {
  const { hash, password, salt, iterations, data } = input;
  const block = blockLength[hash];
  const fill = (bytes: Uint8Array): Buffer => Buffer.alloc(Math.ceil(bytes.length / block) * block, bytes);
  // the password is UTF-16 here and UTF-8 in PBES2: OpenSSL and the standards say so
  const characters = Buffer.from(`${password}\0`, 'utf16le').swap16();
  let key = createHash(hash)
    .update(Buffer.concat([Buffer.alloc(block, macKeyPurpose), fill(salt), fill(characters)]))
    .digest();
  for (let round = 1; round < iterations; round++) key = createHash(hash).update(key).digest();
  return createHmac(hash, key).update(data).digest();
}
