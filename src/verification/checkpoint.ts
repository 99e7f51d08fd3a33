import { decodeBase64, encodeBase64 } from './encoding.ts';
import { type Parsed, parseNote } from './signed-note.ts';

/** Checkpoints (C2SP tlog-checkpoint v1.0.0): the text of a note that says how large a log is and what its root is. */

/** The head of a log. */
export interface Checkpoint {
  /** Names the log: its URL prefix without scheme and trailing slash. */
  readonly origin: string;
  readonly size: number;
  /** 32 bytes. */
  readonly root: Buffer;
}

export type CheckpointFault = 'malformed_checkpoint' | 'size_too_large';

/** The text to sign: origin, size, root, one line each. We never write extension lines. */
export const formatCheckpoint = ({ origin, size, root }: Checkpoint): string =>
  `${origin}\n${size}\n${encodeBase64(root)}\n`;

/**
 * Reads the text of a checkpoint note. Extension lines behind the third are allowed by the format and passed over (they are
 * signed like the rest); an empty line is not.
 */
export function parseCheckpoint(text: string): Parsed<Checkpoint, CheckpointFault> {
  const lines = text.split('\n');
  const end = lines.pop();
  const [origin, sizeText, rootText] = lines;
  if (end !== '' || origin === undefined || sizeText === undefined || rootText === undefined || lines.includes('')) {
    return { ok: false, reason: 'malformed_checkpoint' };
  }
  const root = decodeHash(rootText);
  if (root === undefined || !sizeShape.test(sizeText)) return { ok: false, reason: 'malformed_checkpoint' };
  const size = decodeSize(sizeText);
  return size === undefined ? { ok: false, reason: 'size_too_large' } : { ok: true, value: { origin, size, root } };
}

/** What a signed note claims of a log, whoever signed it: nothing is verified. Undefined when it is no checkpoint. */
export function claimedCheckpoint(note: string): Checkpoint | undefined {
  const parsed = parseNote(note);
  const checkpoint = parsed.ok ? parseCheckpoint(parsed.value.text) : undefined;
  return checkpoint?.ok === true ? checkpoint.value : undefined;
}

/** A size or index in decimal without leading zeros, or undefined, also above 2^53 - 1. */
export function decodeSize(text: string): number | undefined {
  if (!sizeShape.test(text)) return undefined;
  const size = Number(text);
  return Number.isSafeInteger(size) ? size : undefined;
}
const sizeShape = /^(?:0|[1-9][0-9]{0,19})$/;

/** A hash of 32 bytes in base64, or undefined. */
export function decodeHash(text: string): Buffer | undefined {
  const bytes = text.length === 44 ? decodeBase64(text) : undefined;
  return bytes?.length === 32 ? bytes : undefined;
}

/** Hashes in base64, one a line; undefined when one is none. */
export function decodeHashes(lines: readonly string[]): Buffer[] | undefined {
  const hashes = lines.map(decodeHash).filter((each) => each !== undefined);
  return hashes.length === lines.length ? hashes : undefined;
}
