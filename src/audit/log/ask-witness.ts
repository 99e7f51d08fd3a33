import { hash } from 'node:crypto';
import { formatAddCheckpoint } from '../../verification/add-checkpoint.ts';
import { decodeSize, parseCheckpoint } from '../../verification/checkpoint.ts';
import { decodeUtf8 } from '../../verification/encoding.ts';
import { openNote, parseNote, parseSignatureLine, type VerifierKey } from '../../verification/signed-note.ts';

/** A witness of a policy that can be asked. */
export interface Witness {
  readonly name: string;
  /** Prefix of its addresses, without `/add-checkpoint`. */
  readonly url: string;
  /** Its cosigning key (type 4). */
  readonly key: VerifierKey;
}

export interface AskWitnessDeps {
  /** The global `fetch` when absent. */
  readonly fetch?: typeof fetch;
  /** Longest wait for a whole answer, its body included. */
  readonly timeoutMs: number;
}

/** What came of asking; never an exception. */
export type WitnessOutcome =
  /** `lines`: signature lines of this witness that verify, each with its newline; `time`: Unix seconds, of the first. */
  | { readonly kind: 'cosigned'; readonly lines: readonly string[]; readonly time: number }
  /** 409: the size that the witness cosigned last (0: none); ask again with a proof from there. */
  | { readonly kind: 'size'; readonly size: number }
  | NoAnswer;

/** Outcomes that teach nothing about the log. */
export type NoAnswer =
  /** 404: it does not witness this log. */
  | { readonly kind: 'unknown_log' }
  /** 400, 403, 413, 429: it does not take this request. */
  | { readonly kind: 'refused'; readonly status: number }
  /** 422: what it cosigned last and this checkpoint are not one history, or the proof is wrong. */
  | { readonly kind: 'inconsistent' }
  /** An answer that the protocol does not have, or one without a cosignature that verifies. */
  | { readonly kind: 'garbage'; readonly status: number }
  /** No answer in time, no connection, or its own failure (5xx). */
  | { readonly kind: 'unreachable'; readonly reason: 'timeout' | 'network' | 'failing' };

/** What a witness remembers of a log. */
export type LastSeen =
  /** `root` is there when the witness showed the checkpoint of this size, with its own and the log's signature (`note`). */
  | { readonly kind: 'seen'; readonly size: number; readonly root?: Buffer; readonly note?: string }
  | { readonly kind: 'never' }
  | NoAnswer;

const maxAnswerBytes = 65_536;

/**
 * Asks a witness to cosign a checkpoint (C2SP tlog-witness, add-checkpoint). Nothing it answers is believed but what verifies
 * under its key; redirects are not followed.
 * @param input.old the size it cosigned last, 0 for none
 * @param input.path the consistency proof from `old` to the checkpoint, empty for 0
 * @param input.note the checkpoint, signed by the log
 */
export async function askWitness(
  deps: AskWitnessDeps,
  input: { readonly witness: Witness; readonly old: number; readonly path: readonly Buffer[]; readonly note: string },
): Promise<WitnessOutcome> {
  const { witness, old, path, note } = input;
  const answer = await call(deps, `${prefixOf(witness)}/add-checkpoint`, {
    method: 'POST',
    body: formatAddCheckpoint({ old, path, note }),
    headers: { 'content-type': 'text/plain; charset=utf-8' },
  });
  if ('kind' in answer) return answer;
  const { status, text, mediaType } = answer;
  if (status === 200) return readCosignatures(witness, note, text);
  if (status === 409) {
    const size = mediaType === 'text/x.tlog.size' && text.endsWith('\n') ? decodeSize(text.slice(0, -1)) : undefined;
    return size === undefined ? { kind: 'garbage', status } : { kind: 'size', size };
  }
  return withoutAnswer(status);
}

/**
 * What a witness cosigned last for a log: from its monitoring address, and, since that may lag by an hour or be missing, by
 * submitting `note` as if it were the first one: a witness that knows the log answers with its size. One that never saw the
 * log cosigns the note, so it has to be one that the hub stored already.
 */
export async function lastSeenBy(
  deps: AskWitnessDeps,
  input: {
    readonly witness: Witness;
    readonly origin: string;
    /** Keys (type 1) that checkpoints of the log may be signed with, retired ones included. */
    readonly logKeys: readonly VerifierKey[];
    /** A stored checkpoint with the log's signature. */
    readonly note?: string;
  },
): Promise<LastSeen> {
  const shown = await lastShownBy(deps, input);
  if (input.note === undefined) return shown;
  const asked = await askWitness(deps, { witness: input.witness, old: 0, path: [], note: input.note });
  // Cosigned although it showed a checkpoint: it forgot, but what it signed once is still true.
  if (asked.kind === 'cosigned') return shown.kind === 'seen' ? shown : { kind: 'never' };
  if (asked.kind !== 'size') return shown.kind === 'seen' && asked.kind !== 'garbage' ? shown : asked;
  if (shown.kind === 'seen' && shown.size >= asked.size) return shown;
  return asked.size === 0 ? { kind: 'never' } : { kind: 'seen', size: asked.size };
}

async function lastShownBy(
  deps: AskWitnessDeps,
  { witness, origin, logKeys }: Parameters<typeof lastSeenBy>[1],
): Promise<LastSeen> {
  const answer = await call(deps, `${prefixOf(witness)}/${hash('sha256', origin, 'hex')}/checkpoint`, {});
  if ('kind' in answer) return answer;
  const { status, text } = answer;
  if (status === 404) return { kind: 'never' };
  if (status !== 200) return withoutAnswer(status);
  const byLog = openNote(text, logKeys);
  const byWitness = openNote(text, [witness.key]);
  const parsed = parseNote(text);
  const checkpoint = parsed.ok ? parseCheckpoint(parsed.value.text) : parsed;
  const good = byLog.ok && byWitness.ok && checkpoint.ok && checkpoint.value.origin === origin;
  if (!good) return { kind: 'garbage', status };
  return { kind: 'seen', size: checkpoint.value.size, root: checkpoint.value.root, note: text };
}

/** Lines of other keys are passed over; a line of the witness's key that does not verify spoils the answer. */
function readCosignatures({ key }: Witness, note: string, text: string): WitnessOutcome {
  const garbage = { kind: 'garbage', status: 200 } as const;
  const parsed = parseNote(note);
  const given = text.endsWith('\n') ? text.slice(0, -1).split('\n') : [];
  if (!parsed.ok || given.length === 0 || given.some((line) => parseSignatureLine(line) === undefined)) return garbage;
  const opened = openNote(`${parsed.value.text}\n${text}`, [key]);
  if (!opened.ok) return garbage;
  const [first] = opened.value.verified;
  if (first?.time === undefined) return garbage;
  return { kind: 'cosigned', lines: opened.value.verified.map(({ line }) => `${line}\n`), time: first.time };
}

const refusals: ReadonlySet<number> = new Set([400, 403, 413, 429]);

function withoutAnswer(status: number): NoAnswer {
  if (status === 404) return { kind: 'unknown_log' };
  if (status === 422) return { kind: 'inconsistent' };
  if (refusals.has(status)) return { kind: 'refused', status };
  return status >= 500 ? { kind: 'unreachable', reason: 'failing' } : { kind: 'garbage', status };
}

const prefixOf = ({ url }: Witness): string => url.replace(/\/+$/, '');

interface Answer {
  readonly status: number;
  readonly mediaType: string;
  readonly text: string;
}

async function call(deps: AskWitnessDeps, url: string, request: RequestInit): Promise<Answer | NoAnswer> {
  // One deadline for all of it: a witness that sends a byte a second must not hold up the log.
  const signal = AbortSignal.timeout(deps.timeoutMs);
  try {
    const response = await (deps.fetch ?? fetch)(url, { ...request, signal, redirect: 'manual' });
    const { status } = response;
    const bytes = await readUpTo(response, maxAnswerBytes);
    const text = bytes === undefined ? undefined : decodeUtf8(bytes);
    if (text === undefined) return { kind: 'garbage', status };
    const mediaType = (response.headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
    return { status, mediaType, text };
  } catch {
    return { kind: 'unreachable', reason: signal.aborted ? 'timeout' : 'network' };
  }
}

/** The body, or undefined when it is longer; the rest is not awaited. */
async function readUpTo(response: Response, limit: number): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const body = response.body as ReadableStream<Uint8Array> | null;
  if (body === null) return Buffer.alloc(0);
  // Leaving the loop cancels the stream, which closes the connection.
  for await (const chunk of body) {
    length += chunk.byteLength;
    if (length > limit) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
