import { hash } from 'node:crypto';

const blockLength = 64;
const digestLength = 32;
const keyLength = 32;
/** Longer lists of parts get bytes of their own. */
const scratchLength = 4_096;

/**
 * HMAC-SHA-256 (RFC 2104) under one key of 32 bytes, over parts of which each is preceded by its length in 4 bytes (big-endian; texts in
 * UTF-8), so that no two lists of parts give the same bytes. The function answers 32 bytes as latin1 text, ready for `Buffer.write`.
 * Runs for every record and every row of the registry: written out over scratch bytes it costs a third of `createHmac` (measured, node 20).
 * @throws RangeError for a key of another length
 */
export function partsMac(key: Uint8Array): (parts: readonly (string | Uint8Array)[]) => string {
  if (key.length !== keyLength) throw new RangeError('a MAC key must have 32 bytes');
  const inner = Buffer.alloc(scratchLength);
  const outer = Buffer.alloc(blockLength + digestLength);
  for (let at = 0; at < blockLength; at++) {
    inner[at] = 0x36 ^ (key[at] ?? 0);
    outer[at] = 0x5c ^ (key[at] ?? 0);
  }
  return (parts) => {
    const most = parts.reduce((sum, part) => sum + 4 + longest(part), blockLength);
    const bytes = most <= scratchLength ? inner : Buffer.concat([inner.subarray(0, blockLength)], most);
    let end = blockLength;
    for (const part of parts) end = writePart(bytes, end, part);
    outer.write(hash('sha256', bytes.subarray(0, end), 'binary'), blockLength, 'latin1');
    return hash('sha256', outer, 'binary');
  };
}

/** At most three UTF-8 bytes per UTF-16 unit. */
const longest = (part: string | Uint8Array): number => (typeof part === 'string' ? 3 * part.length : part.length);

function writePart(bytes: Buffer, at: number, part: string | Uint8Array): number {
  let { length } = part;
  if (typeof part === 'string') length = bytes.write(part, at + 4, 'utf8');
  else bytes.set(part, at + 4);
  bytes.writeUInt32BE(length, at);
  return at + 4 + length;
}
