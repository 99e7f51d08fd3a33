import { parseAddCheckpoint } from './add-checkpoint.ts';
import { type Checkpoint, parseCheckpoint } from './checkpoint.ts';
import { decodeUtf8 } from './encoding.ts';
import { emptyRoot, verifyConsistency } from './merkle.ts';
import { openNote, parseNote, type VerifierKey } from './signed-note.ts';

/** A checkpoint that a log handed to a witness, with a good signature of that log. */
export interface Submission {
  readonly checkpoint: Checkpoint;
  /** The signed text with its final newline: what a witness cosigns. */
  readonly text: string;
  /** The log's signature lines that verified, without line ends. */
  readonly logLines: readonly string[];
  readonly old: number;
  readonly path: readonly Buffer[];
}

/** Why a witness does not cosign, with the HTTP status that says so (C2SP tlog-witness). */
export type WitnessRefusal =
  | { readonly status: 400; readonly reason: 'malformed_request' | 'old_size_above_checkpoint' }
  | { readonly status: 403; readonly reason: 'signature_invalid' | 'no_known_signature' }
  | { readonly status: 404; readonly reason: 'unknown_log' }
  /** `size` is what was cosigned last, 0 for nothing. */
  | { readonly status: 409; readonly reason: 'other_size_seen'; readonly size: number }
  | { readonly status: 422; readonly reason: 'inconsistent' };

/**
 * Reads the body of `add-checkpoint` and checks the log's signature. Only a key whose name is the checkpoint's origin
 * counts for it: no log can speak for another.
 */
export function readSubmission(
  logs: readonly VerifierKey[],
  body: Uint8Array,
): { readonly ok: true; readonly value: Submission } | { readonly ok: false; readonly refusal: WitnessRefusal } {
  const malformed = { ok: false, refusal: { status: 400, reason: 'malformed_request' } } as const;
  const request = parseAddCheckpoint(decodeUtf8(body) ?? '');
  if (!request.ok) return malformed;
  const { old, path, note } = request.value;
  const parsed = parseNote(note);
  if (!parsed.ok) return malformed;
  const { text } = parsed.value;
  const checkpoint = parseCheckpoint(text);
  if (!checkpoint.ok) return malformed;
  const { origin, size } = checkpoint.value;
  const keys = logs.filter(({ name, type }) => name === origin && type === 1);
  if (keys.length === 0) return { ok: false, refusal: { status: 404, reason: 'unknown_log' } };
  const opened = openNote(note, keys);
  if (!opened.ok) {
    const reason = opened.reason === 'signature_invalid' ? 'signature_invalid' : 'no_known_signature';
    return { ok: false, refusal: { status: 403, reason } };
  }
  if (old > size) return { ok: false, refusal: { status: 400, reason: 'old_size_above_checkpoint' } };
  const logLines = opened.value.verified.map(({ line }) => line);
  return { ok: true, value: { checkpoint: checkpoint.value, text, logLines, old, path } };
}

/**
 * Decides whether a submission continues the history a witness has seen: undefined when it may be cosigned. Who calls
 * holds `seen` still until the new state is stored.
 * @param seen size and root cosigned last for this origin; undefined when nothing was
 */
export function judgeSubmission(
  seen: { readonly size: number; readonly root: Buffer } | undefined,
  { checkpoint, old, path }: Submission,
): WitnessRefusal | undefined {
  const { size, root } = checkpoint;
  const inconsistent = { status: 422, reason: 'inconsistent' } as const;
  const last = seen?.size ?? 0;
  if (old !== last) return { status: 409, reason: 'other_size_seen', size: last };
  if (size === 0) return path.length === 0 && root.equals(emptyRoot) ? undefined : inconsistent;
  // Every tree continues the empty one; a proof would be about nothing (RFC 6962, 2.1.2).
  if (seen === undefined || last === 0) return path.length === 0 ? undefined : inconsistent;
  const goesOn = verifyConsistency({ from: last, fromRoot: seen.root, to: size, toRoot: root, path: [...path] });
  return goesOn ? undefined : inconsistent;
}
