import { createHash } from 'node:crypto';
import { type NoteKey, newNoteKey, signNote } from '../../src/signing/note-sign.ts';
import { parseVerifierKey, type VerifierKey } from '../../src/verification/signed-note.ts';

/** A log in memory, written from RFC 6962, 2.1 by recursion, so that it shares nothing with what it tests. */
export interface SmallLog {
  readonly origin: string;
  readonly key: NoteKey;
  readonly verifier: VerifierKey;
  readonly root: (size: number) => Buffer;
  readonly path: (from: number, to: number) => Buffer[];
  /** The signed checkpoint of this size. */
  readonly note: (size: number) => string;
  /** The body of add-checkpoint. */
  readonly body: (old: number, size: number) => string;
}

const sha256 = (...parts: readonly Uint8Array[]): Buffer => {
  const hashed = createHash('sha256');
  for (const part of parts) hashed.update(part);
  return hashed.digest();
};

/** The largest power of two smaller than n. */
const splitOf = (n: number): number => 2 ** Math.ceil(Math.log2(n) - 1);

/** MTH over leaves from `begin` to before `end`; what was hashed once is kept. */
function heads(leaves: readonly Buffer[]) {
  const known = new Map<string, Buffer>();
  const head = (begin: number, end: number): Buffer => {
    const name = `${begin} ${end}`;
    const found = known.get(name) ?? hashOf(begin, end);
    known.set(name, found);
    return found;
  };
  const hashOf = (begin: number, end: number): Buffer => {
    const count = end - begin;
    if (count === 0) return sha256();
    if (count === 1) return sha256(Buffer.of(0), leaves[begin] ?? Buffer.alloc(0));
    const middle = begin + splitOf(count);
    return sha256(Buffer.of(1), head(begin, middle), head(middle, end));
  };
  const proof = (size: number, begin: number, end: number, whole: boolean): Buffer[] => {
    if (size === end - begin) return whole ? [] : [head(begin, end)];
    const split = splitOf(end - begin);
    const middle = begin + split;
    return size <= split
      ? [...proof(size, begin, middle, whole), head(middle, end)]
      : [...proof(size - split, middle, end, false), head(begin, middle)];
  };
  return { head, proof };
}

/** A verifier key that is known to be well formed. */
export function verifierOf(vkey: string): VerifierKey {
  const parsed = parseVerifierKey(vkey);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.value;
}

/** The text of a checkpoint. */
export const checkpointText = (origin: string, size: number | string, root: Uint8Array): string =>
  `${origin}\n${size}\n${Buffer.from(root).toString('base64')}\n`;

/** The body of add-checkpoint, of parts that need not fit each other. */
export const bodyOf = (old: number | string, path: readonly Uint8Array[], note: string): string =>
  [`old ${old}`, ...path.map((hash) => Buffer.from(hash).toString('base64')), '', note].join('\n');

/** A log with these entries; another `history` gives another log of the same name, key and sizes. */
export function smallLog(
  origin: string,
  { history = 'a', key = newNoteKey(origin, 1).key }: { readonly history?: string; readonly key?: NoteKey } = {},
): SmallLog {
  const leaves = Array.from({ length: 300 }, (_, at) => Buffer.from(`${history} ${at}`));
  const { head, proof } = heads(leaves);
  const root = (size: number): Buffer => head(0, size);
  const path = (from: number, to: number): Buffer[] => (from === 0 ? [] : proof(from, 0, to, true));
  const note = (size: number): string => signNote(key, checkpointText(origin, size, root(size)));
  const body = (old: number, size: number): string => bodyOf(old, path(old, size), note(size));
  return { origin, key, verifier: verifierOf(key.vkey), root, path, note, body };
}
