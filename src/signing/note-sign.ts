import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { cosignatureBytes, cosignatureMessage } from '../verification/cosignature.ts';
import { decodeBase64, hasLoneSurrogate } from '../verification/encoding.ts';
import { formatVerifierKey, isKeyName, keyIdOf, type NoteKeyType, signatureLine } from '../verification/signed-note.ts';
import { verifySignature } from '../verification/suites.ts';
import { type KeySigner, keySigner } from './signer.ts';

/** A key and the name it signs under. The name is part of the key's identity (signed-note, key ID). */
export interface NoteSigner {
  /** Ed25519 (`suite` EdDSA). */
  readonly signer: KeySigner;
  readonly name: string;
}

/** A key that was read from its private text. The private key stays behind `signer`. */
export interface NoteKey extends NoteSigner {
  readonly type: NoteKeyType;
  readonly keyId: Buffer;
  /** The verifier key to hand out: `name+id+base64(type ‖ public key)`. */
  readonly vkey: string;
}

/** Why a private key's text was refused. */
export type NoteKeyFault = 'malformed_key' | 'malformed_name' | 'unknown_key_type' | 'wrong_key_id';

const prefix = 'PRIVATE+KEY+';
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');
const seedBytes = 32;

/**
 * A whole signed note: the text, an empty line and one signature line of a log key (type 1). The text ends with a
 * newline and has no other control character (C2SP signed-note).
 * @throws RangeError for a text or key that no note can have, Error when the signature does not verify
 */
export function signNote(by: NoteSigner, text: string): string {
  refuseText(text);
  const signature = signed(by, Buffer.from(text, 'utf8'));
  return `${text}\n${lineOf(by, 1, signature)}`;
}

/**
 * One signature line with its newline: a witness's statement (C2SP tlog-cosignature, v1) that at this time the largest
 * consistent tree it has seen is this checkpoint's. Who calls must have checked and stored that.
 * @param checkpointText the checkpoint's lines without signatures, ending with a newline
 * @param unixSeconds whole seconds since 1970
 * @throws RangeError for a text, time or key that no cosignature can have, Error when the signature does not verify
 */
export function cosign(by: NoteSigner, checkpointText: string, unixSeconds: number): string {
  refuseText(checkpointText);
  if (!Number.isSafeInteger(unixSeconds) || unixSeconds < 0) throw new RangeError('not a time in whole seconds');
  const signature = signed(by, cosignatureMessage(unixSeconds, checkpointText));
  return lineOf(by, 4, cosignatureBytes(unixSeconds, signature));
}

/** Makes a key. `text` is the private key in Go's text form: it is for a file that only its owner can read. */
export function newNoteKey(name: string, type: NoteKeyType): { readonly text: string; readonly key: NoteKey } {
  const { privateKey } = generateKeyPairSync('ed25519');
  const text = formatNoteKey({ name, type, privateKey });
  const read = readNoteKey(text);
  if (!read.ok) throw new RangeError(`no note key can have this name: ${read.reason}`);
  return { text, key: read.value };
}

/**
 * A private key as text, with Go's layout (x/mod/sumdb/note): `PRIVATE+KEY+name+id+base64(type ‖ seed)`, no newline.
 * @throws RangeError for a key that is not Ed25519
 */
export function formatNoteKey(input: {
  readonly name: string;
  readonly type: NoteKeyType;
  readonly privateKey: KeyObject;
}): string {
  const { name, type, privateKey } = input;
  if (privateKey.asymmetricKeyType !== 'ed25519') throw new RangeError('not an Ed25519 key');
  const seed = privateKey.export({ type: 'pkcs8', format: 'der' }).subarray(pkcs8Prefix.length);
  const { publicKey } = keySigner({ privateKey, suite: 'EdDSA', kid: name });
  const keyId = keyIdOf({ name, type, publicKey: rawPublicKey(publicKey) });
  return `${prefix}${name}+${keyId.toString('hex')}+${Buffer.concat([Buffer.from([type]), seed]).toString('base64')}`;
}

/**
 * Reads a private key's text; white space around it is ignored. The key has signed and verified once before it is
 * returned, and its id is the one that name, type and key give.
 */
export function readNoteKey(
  given: string,
): { readonly ok: true; readonly value: NoteKey } | { readonly ok: false; readonly reason: NoteKeyFault } {
  const text = given.trim();
  if (!text.startsWith(prefix)) return { ok: false, reason: 'malformed_key' };
  // From the left: base64 may hold a plus sign.
  const [, , name = '', id = '', ...rest] = text.split('+');
  const bytes = decodeBase64(rest.join('+'));
  if (!isKeyName(name)) return { ok: false, reason: 'malformed_name' };
  if (bytes === undefined || bytes.length !== 1 + seedBytes || !/^[0-9a-f]{8}$/.test(id)) {
    return { ok: false, reason: 'malformed_key' };
  }
  const type = bytes[0];
  if (type !== 1 && type !== 4) return { ok: false, reason: 'unknown_key_type' };
  const pkcs8 = Buffer.concat([pkcs8Prefix, bytes.subarray(1)]);
  const privateKey = createPrivateKey({ key: pkcs8, type: 'pkcs8', format: 'der' });
  const signer = keySigner({ privateKey, suite: 'EdDSA', kid: name });
  const publicKey = rawPublicKey(signer.publicKey);
  const vkey = formatVerifierKey({ name, type, publicKey });
  const keyId = keyIdOf({ name, type, publicKey });
  if (keyId.toString('hex') !== id) return { ok: false, reason: 'wrong_key_id' };
  return { ok: true, value: Object.freeze({ name, type, keyId, vkey, signer }) };
}

/** The verifier key that others check this signer's notes (type 1) or cosignatures (type 4) with. */
export const vkeyOf = ({ signer, name }: NoteSigner, type: NoteKeyType): string =>
  formatVerifierKey({ name, type, publicKey: rawPublicKey(signer.publicKey) });

function signed({ signer, name }: NoteSigner, message: Uint8Array): Uint8Array {
  if (!isKeyName(name)) throw new RangeError('no note key can have this name');
  if (signer.suite !== 'EdDSA') throw new RangeError(`key ${name} is not an Ed25519 key`);
  const signature = signer.sign(message);
  // A signature that leaves is final: one made by faulty hardware would be a log's false testimony.
  if (!verifySignature('EdDSA', signer.publicKey, message, signature)) {
    throw new Error(`key ${name} made a signature that does not verify`);
  }
  return signature;
}

function lineOf({ signer, name }: NoteSigner, type: NoteKeyType, signature: Uint8Array): string {
  const keyId = keyIdOf({ name, type, publicKey: rawPublicKey(signer.publicKey) });
  return `${signatureLine({ name, keyId, signature })}\n`;
}

/** An empty text and control characters other than newlines: more than signed-note forbids, which is ASCII's alone. */
function refuseText(text: string): void {
  const sound = text.length > 1 && text.endsWith('\n') && !hasLoneSurrogate(text) && !/[^\P{Cc}\n]/u.test(text);
  if (!sound) throw new RangeError('not the text of a note');
}

function rawPublicKey(publicKey: KeyObject): Buffer {
  const der = publicKey.export({ type: 'spki', format: 'der' });
  if (publicKey.asymmetricKeyType !== 'ed25519') throw new RangeError('not an Ed25519 key');
  return der.subarray(-32);
}
