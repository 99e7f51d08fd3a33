import { decodeHashes, decodeSize } from './checkpoint.ts';
import { encodeBase64 } from './encoding.ts';
import type { Parsed } from './signed-note.ts';

/** The body of a witness's `add-checkpoint` (C2SP tlog-witness v1.0.0): old size, consistency proof, signed checkpoint. */

export interface AddCheckpoint {
  /** The size the witness cosigned last, 0 for none. */
  readonly old: number;
  /** The consistency proof from `old` to the checkpoint's size: at most 63 hashes of 32 bytes, none for `old` 0. */
  readonly path: readonly Buffer[];
  /** The signed checkpoint. */
  readonly note: string;
}

export type AddCheckpointFault = 'malformed_request' | 'request_too_long';

const maxPath = 63;
const maxRequestLength = 1_100_000;

/** The text of the body. */
export const formatAddCheckpoint = ({ old, path, note }: AddCheckpoint): string =>
  `${[`old ${old}`, ...path.map(encodeBase64)].join('\n')}\n\n${note}`;

/** Reads the form of a body; the note is not parsed yet. */
export function parseAddCheckpoint(body: string): Parsed<AddCheckpoint, AddCheckpointFault> {
  if (body.length > maxRequestLength) return { ok: false, reason: 'request_too_long' };
  const separator = body.indexOf('\n\n');
  const lines = body.slice(0, Math.max(separator, 0)).split('\n');
  const first = lines.shift() ?? '';
  const old = first.startsWith('old ') ? decodeSize(first.slice('old '.length)) : undefined;
  const path = lines.length > maxPath ? undefined : decodeHashes(lines);
  if (old === undefined || path === undefined) return { ok: false, reason: 'malformed_request' };
  return { ok: true, value: { old, path, note: body.slice(separator + 2) } };
}
