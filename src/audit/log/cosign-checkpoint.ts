import { cosign, type NoteSigner } from '../../signing/note-sign.ts';
import type { VerifierKey } from '../../verification/signed-note.ts';
import { judgeSubmission, readSubmission, type WitnessRefusal } from '../../verification/witness-judgement.ts';
import type { WitnessStore } from './witness-store.ts';

export interface CosignDeps {
  readonly store: WitnessStore;
  /** The witness's own key (type 4). */
  readonly by: NoteSigner;
  /** Keys (type 1) of the logs it witnesses; a key's name is the origin it may sign for. */
  readonly logs: readonly VerifierKey[];
  readonly now: () => Date;
}

/** `lines`: the signature line with its newline, over a state that is on disk. */
export type CosignAnswer =
  | { readonly kind: 'cosigned'; readonly origin: string; readonly size: number; readonly lines: string }
  | ({ readonly kind: 'refused' } & WitnessRefusal)
  /** The clock stands before the last cosignature's time: a statement about that moment would contradict it. */
  | { readonly kind: 'clock_behind' };

/**
 * Answers a submission to a witness (C2SP tlog-witness, add-checkpoint). The cosignature leaves only after check and store,
 * which nothing of the same log can come between. The same size and root again get a fresh time.
 * @throws WitnessStateError when the memory cannot be trusted or kept: nothing is cosigned then
 */
export async function cosignCheckpoint(deps: CosignDeps, body: Uint8Array): Promise<CosignAnswer> {
  const read = readSubmission(deps.logs, body);
  if (!read.ok) return { kind: 'refused', ...read.refusal };
  const submission = read.value;
  const { origin, size } = submission.checkpoint;
  return deps.store.exclusively(origin, async (seen, keep): Promise<CosignAnswer> => {
    const refusal = judgeSubmission(seen, submission);
    if (refusal !== undefined) return { kind: 'refused', ...refusal };
    const time = Math.floor(deps.now().getTime() / 1000);
    if (seen !== undefined && time < seen.time) return { kind: 'clock_behind' };
    const lines = cosign(deps.by, submission.text, time);
    // Published checkpoints are anybody's to submit again: within a second that says nothing new, and costs no write.
    if (seen?.time === time && seen.note.startsWith(`${submission.text}\n`) && seen.note.endsWith(`\n${lines}`)) {
      return { kind: 'cosigned', origin, size, lines };
    }
    const logLines = submission.logLines.map((line) => `${line}\n`).join('');
    await keep(`${submission.text}\n${logLines}${lines}`);
    return { kind: 'cosigned', origin, size, lines };
  });
}
