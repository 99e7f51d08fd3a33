import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto';
import { cosignatureMessage, readCosignature } from './cosignature.ts';
import { decodeBase64, encodeBase64, encodeHex, hasLoneSurrogate } from './encoding.ts';

/**
 * Signed notes (C2SP signed-note v1.0.0): a text of lines, a blank line, and signature lines `— <name> <base64>`. Known here:
 * Ed25519 (type 0x01) and cosignature/v1 (type 0x04, see `cosignature.ts`); lines of other keys are passed over.
 */

/** What the parsers of the log's formats answer; reasons are lower case with underscores. */
export type Parsed<Value, Reason extends string> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly reason: Reason };

/** 0x01: Ed25519 over the text. 0x04: Ed25519 cosignature with a time. */
export type NoteKeyType = 1 | 4;

/** A key that signatures of notes are checked with. */
export interface VerifierKey {
  readonly name: string;
  /** First 4 bytes of SHA-256(name ‖ 0x0A ‖ type ‖ public key). */
  readonly keyId: Buffer;
  readonly type: NoteKeyType;
  readonly publicKey: KeyObject;
  /** `name+hex of the id+base64(type ‖ public key)`. */
  readonly text: string;
}

/** A signature line as parsed; `signature` is what follows the key id. */
export interface NoteSignature {
  readonly name: string;
  readonly keyId: Buffer;
  readonly signature: Buffer;
  /** The line without its line end. */
  readonly line: string;
}

/** A note whose form is right; nothing is verified yet. */
export interface Note {
  /** The signed text with its final line end. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** A signature that verified; `time` (Unix seconds) only where the key is one of cosignatures. */
export interface VerifiedSignature {
  readonly key: VerifierKey;
  readonly time?: number;
  readonly line: string;
}

/** A note with at least one good signature by a known key, and none that is wrong. */
export interface OpenedNote {
  readonly text: string;
  readonly verified: readonly VerifiedSignature[];
}

export type VerifierKeyFault = 'malformed_key' | 'key_id_wrong' | 'key_type_unknown';
export type NoteFault = 'malformed_note' | 'note_too_long' | 'too_many_signatures';
export type OpenFault = NoteFault | 'signature_invalid' | 'no_known_signature';

const rawKeyLength = 32;
const signatureLength = 64;
const keyIdLength = 4;
// As in Go's x/mod: far above any checkpoint, low enough that a hostile note costs nothing.
const maxNoteLength = 1_000_000;
const maxSignatures = 100;
// DER of a SubjectPublicKeyInfo up to the 32 bytes of the key (RFC 8410).
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');

/** The id of a key: the first 4 bytes of SHA-256(name ‖ 0x0A ‖ type ‖ public key). */
export function keyIdOf(key: { name: string; type: NoteKeyType; publicKey: Uint8Array }): Buffer {
  const bytes = Buffer.concat([Buffer.from(`${key.name}\n`, 'utf8'), Buffer.from([key.type]), key.publicKey]);
  return Buffer.from(hash('sha256', bytes, 'hex').slice(0, 2 * keyIdLength), 'hex');
}

/** The vkey text of a key; `publicKey` is the raw 32 bytes. */
export function formatVerifierKey(key: { name: string; type: NoteKeyType; publicKey: Uint8Array }): string {
  return `${key.name}+${encodeHex(keyIdOf(key))}+${encodeBase64(Buffer.concat([Buffer.from([key.type]), key.publicKey]))}`;
}

/** Reads a vkey. The id must be the one that follows from name and key, and the spelling the only one. */
export function parseVerifierKey(text: string): Parsed<VerifierKey, VerifierKeyFault> {
  const parts = text.length > 1000 ? null : keyShape.exec(text);
  const [, name = '', id, encoded = ''] = parts ?? [];
  const bytes = decodeBase64(encoded) ?? Buffer.alloc(0);
  const [type] = bytes;
  if (!isKeyName(name) || type === undefined) return { ok: false, reason: 'malformed_key' };
  if (type !== 1 && type !== 4) return { ok: false, reason: 'key_type_unknown' };
  const raw = bytes.subarray(1);
  const publicKey = publicKeyOf(raw);
  if (publicKey === undefined) return { ok: false, reason: 'malformed_key' };
  const keyId = keyIdOf({ name, type, publicKey: raw });
  if (encodeHex(keyId) !== id) return { ok: false, reason: 'key_id_wrong' };
  return { ok: true, value: { name, keyId, type, publicKey, text } };
}
// The name ends at the first `+`: base64 may contain more of them.
const keyShape = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/;

/** An Ed25519 key from its 32 bytes, or undefined. */
function publicKeyOf(raw: Uint8Array): KeyObject | undefined {
  if (raw.length !== rawKeyLength) return undefined;
  try {
    return createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}

/** True for a name that a key may have: not empty, no white space, no `+`, no control character. */
export const isKeyName = (name: string): boolean =>
  name !== '' && !/[\s\u0085+]/u.test(name) && !hasControl(name) && !name.includes('\n') && !hasLoneSurrogate(name);

/** One signature line without its line end. `signature` is what follows the id: for a cosignature, time and signature. */
export const signatureLine = (line: { name: string; keyId: Uint8Array; signature: Uint8Array }): string =>
  `— ${line.name} ${encodeBase64(Buffer.concat([line.keyId, line.signature]))}`;

/** Reads the form of a note; the separator is the last blank line. */
export function parseNote(note: string): Parsed<Note, NoteFault> {
  if (note.length > maxNoteLength) return { ok: false, reason: 'note_too_long' };
  const separator = note.lastIndexOf('\n\n');
  if (separator < 1 || !note.endsWith('\n') || hasControl(note) || hasLoneSurrogate(note)) {
    return { ok: false, reason: 'malformed_note' };
  }
  const lines = note
    .slice(separator + 2)
    .split('\n')
    .slice(0, -1);
  if (lines.length > maxSignatures) return { ok: false, reason: 'too_many_signatures' };
  const signatures = lines.map(parseSignatureLine);
  if (signatures.length === 0 || signatures.includes(undefined)) return { ok: false, reason: 'malformed_note' };
  const whole = signatures.filter((each) => each !== undefined);
  return { ok: true, value: { text: note.slice(0, separator + 1), signatures: whole } };
}

/** Reads one signature line without its line end; undefined when its form is wrong. */
export function parseSignatureLine(line: string): NoteSignature | undefined {
  const [dash, name, encoded, ...more] = line.split(' ');
  if (dash !== '—' || name === undefined || encoded === undefined || more.length > 0) return undefined;
  const bytes = decodeBase64(encoded);
  if (!isKeyName(name) || bytes === undefined || bytes.length <= keyIdLength) return undefined;
  return { name, keyId: bytes.subarray(0, keyIdLength), signature: bytes.subarray(keyIdLength), line };
}

/**
 * Verifies a note: every line of a known key (same name and id) must verify, at least one must be there; lines of unknown keys are
 * passed over. A key counts once, with its first line.
 */
export function openNote(note: string, keys: readonly VerifierKey[]): Parsed<OpenedNote, OpenFault> {
  const parsed = parseNote(note);
  if (!parsed.ok) return parsed;
  const { text, signatures } = parsed.value;
  const verified: VerifiedSignature[] = [];
  for (const { name, keyId, signature, line } of signatures) {
    for (const key of keys) {
      if (key.name !== name || !key.keyId.equals(keyId)) continue;
      const good = verifySignature(key, text, signature);
      if (good === undefined) return { ok: false, reason: 'signature_invalid' };
      if (!verified.some((each) => each.key.text === key.text)) verified.push({ key, ...good, line });
    }
  }
  return verified.length === 0 ? { ok: false, reason: 'no_known_signature' } : { ok: true, value: { text, verified } };
}

function verifySignature(key: VerifierKey, text: string, signature: Buffer): { time?: number } | undefined {
  if (key.type === 1) return checks(key, Buffer.from(text, 'utf8'), signature) ? {} : undefined;
  const cosignature = readCosignature(signature);
  if (cosignature === undefined) return undefined;
  const { time } = cosignature;
  return checks(key, cosignatureMessage(time, text), cosignature.signature) ? { time } : undefined;
}

function checks(key: VerifierKey, message: Buffer, signature: Buffer): boolean {
  if (signature.length !== signatureLength) return false;
  try {
    return verify(null, message, key.publicKey, signature);
  } catch {
    return false;
  }
}

/** True for ASCII control characters other than the line end, which a note may not have. */
const hasControl = (text: string): boolean => /[^\P{Cc}\n\u007f-\u009f]/u.test(text);
