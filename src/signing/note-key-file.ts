import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { NoteKeyType } from '../verification/signed-note.ts';
import { KeyFileError } from './key-file-error.ts';
import { writePrivate } from './key-writing.ts';
import { type NoteKey, newNoteKey, readNoteKey } from './note-sign.ts';

const maxBytes = 1_000;
const othersMayRead = 0o077;

/**
 * Makes a note key and writes it to a new file that only its owner can read.
 * @returns its verifier key
 * @throws KeyFileError when the file exists, RangeError for a name that no note key can have
 */
export function writeNoteKey(file: string, name: string, type: NoteKeyType): string {
  const { text, key } = newNoteKey(name, type);
  if (existsSync(file)) throw new KeyFileError(file, 'exists already; keys are never overwritten');
  writePrivate(dirname(file), basename(file), `${text}\n`);
  return key.vkey;
}

/** Reads a note key of one type. Throws KeyFileError naming the file and the reason, never the key. */
export function loadNoteKey(file: string, type: NoteKeyType): NoteKey {
  let text: string;
  try {
    const { mode, size } = statSync(file);
    if (size > maxBytes) throw new KeyFileError(file, 'is too large for a key file');
    if (process.platform !== 'win32' && (mode & othersMayRead) !== 0) {
      throw new KeyFileError(file, 'can be read or written by other accounts; run: chmod 600');
    }
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    if (cause instanceof KeyFileError) throw cause;
    throw new KeyFileError(file, 'is missing or cannot be read by this account', { cause });
  }
  const read = readNoteKey(text);
  if (!read.ok) throw new KeyFileError(file, `holds no private key in the text form of signed notes (${read.reason})`);
  if (read.value.type !== type) {
    throw new KeyFileError(file, `holds a key of type ${read.value.type}; type ${type} is needed: one key has one use`);
  }
  return read.value;
}
