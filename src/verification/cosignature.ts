import { type OpenFault, openNote, type Parsed, type VerifierKey } from './signed-note.ts';

/**
 * Cosignatures by witnesses (C2SP tlog-cosignature v1): "as of this time, the largest consistent tree I have seen for this origin
 * has this root". The payload of the signature line is the time as uint64, big-endian, and an Ed25519 signature.
 */

export { cosignedMessage as cosignatureMessage } from './signed-note.ts';

/** What follows the key id in the signature line of a cosignature: 72 bytes. `time` in Unix seconds. */
export function cosignatureBytes(time: number, signature: Uint8Array): Buffer {
  const bytes = Buffer.alloc(8 + signature.length);
  bytes.writeBigUInt64BE(BigInt(time));
  bytes.set(signature, 8);
  return bytes;
}

/** The time (Unix seconds) at which the witness with this key cosigned the note; `key` is of type 4. */
export function openCosignature(note: string, key: VerifierKey): Parsed<number, OpenFault> {
  const opened = openNote(note, [key]);
  if (!opened.ok) return opened;
  const [{ time } = {}] = opened.value.verified;
  return time === undefined ? { ok: false, reason: 'no_known_signature' } : { ok: true, value: time };
}
