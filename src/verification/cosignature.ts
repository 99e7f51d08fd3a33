/**
 * Cosignatures by witnesses (C2SP tlog-cosignature v1): "as of this time, the largest consistent tree I have seen for this origin
 * has this root". What follows the key id in the signature line is the time as uint64, big-endian, and an Ed25519 signature.
 */

const timeLength = 8;
const signatureLength = 64;

/** What a cosignature signs: a header, the time in Unix seconds, the whole text of the checkpoint. */
export const cosignatureMessage = (time: number, text: string): Buffer =>
  Buffer.from(`cosignature/v1\ntime ${time}\n${text}`, 'utf8');

/** What follows the key id: 72 bytes. `time` in Unix seconds. */
export function cosignatureBytes(time: number, signature: Uint8Array): Buffer {
  const bytes = Buffer.alloc(timeLength + signature.length);
  bytes.writeBigUInt64BE(BigInt(time));
  bytes.set(signature, timeLength);
  return bytes;
}

/** Time (Unix seconds) and signature in what follows the key id; undefined when it has another length or an impossible time. */
export function readCosignature(bytes: Buffer): { readonly time: number; readonly signature: Buffer } | undefined {
  if (bytes.length !== timeLength + signatureLength) return undefined;
  // The format allows times up to 2^63 - 1; none above 2^53 - 1 (in 285 million years) is told here.
  const time = Number(bytes.readBigUInt64BE(0));
  return Number.isSafeInteger(time) ? { time, signature: bytes.subarray(timeLength) } : undefined;
}
