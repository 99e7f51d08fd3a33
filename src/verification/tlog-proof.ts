import { decodeHashes, decodeSize } from './checkpoint.ts';
import { decodeBase64, encodeBase64 } from './encoding.ts';
import {
  type JudgedCheckpoint,
  type JudgeFault,
  type Judgement,
  judgeCheckpoint,
  type LogPolicy,
  policyOfKeys,
} from './log-policy.ts';
import { leafHash, verifyInclusion } from './merkle.ts';
import type { Parsed, VerifierKey } from './signed-note.ts';

/** The offline proof of one leaf (C2SP tlog-proof, files `.tlog-proof`): index, inclusion path and the signed checkpoint in one text. */

/** A proof as written in its file. */
export interface LogProof {
  readonly index: number;
  /** 32 bytes each, the leaf's sibling first. */
  readonly path: readonly Buffer[];
  /** The signed checkpoint with all its signatures, as it was served. */
  readonly note: string;
  /** Bytes that travel along and are not authenticated by anything. */
  readonly extra?: Buffer;
}

export type ProofFault = 'malformed_proof' | 'proof_too_long';
export type ProofVerdictFault = ProofFault | JudgeFault | 'quorum_not_met' | 'not_included';

const header = 'c2sp.org/tlog-proof@v1';
const maxPath = 63;
const maxProofLength = 2_000_000;

/** The text of a proof. */
export function formatProof({ index, path, note, extra }: LogProof): string {
  const lines = [header, ...(extra === undefined ? [] : [`extra ${encodeBase64(extra)}`]), `index ${index}`];
  return `${[...lines, ...path.map(encodeBase64)].join('\n')}\n\n${note}`;
}

/** Reads the form of a proof; nothing is verified yet, the note not even parsed. */
export function parseProof(text: string): Parsed<LogProof, ProofFault> {
  if (text.length > maxProofLength) return { ok: false, reason: 'proof_too_long' };
  const separator = text.indexOf('\n\n');
  const [first, ...lines] = text.slice(0, Math.max(separator, 0)).split('\n');
  const extraText = argumentOf('extra', lines[0]);
  if (extraText !== undefined) lines.shift();
  const extra = decodeBase64(extraText ?? '');
  const index = decodeSize(argumentOf('index', lines.shift()) ?? '');
  const path = lines.length > maxPath ? undefined : decodeHashes(lines);
  const isWhole = first === header && extra !== undefined;
  if (!isWhole || index === undefined || path === undefined) return { ok: false, reason: 'malformed_proof' };
  const note = text.slice(separator + 2);
  return { ok: true, value: { index, path, note, ...(extraText === undefined ? {} : { extra }) } };
}

const argumentOf = (keyword: string, line: string | undefined): string | undefined =>
  line?.startsWith(`${keyword} `) === true ? line.slice(keyword.length + 1) : undefined;

/** An entry that is proven to be in a log. */
export interface ProvenEntry extends JudgedCheckpoint {
  readonly index: number;
}

/**
 * Verifies a proof (its text) that `entry` (the 34 bytes of a log entry) is in a log: the checkpoint against the policy, its quorum
 * included, then the inclusion. With keys in place of a policy, signatures of those logs without witnesses are enough.
 */
export function verifyProof(claim: {
  readonly proof: string;
  readonly entry: Uint8Array;
  readonly policy: LogPolicy | readonly VerifierKey[];
}): Judgement<ProvenEntry, ProofVerdictFault> {
  const parsed = parseProof(claim.proof);
  if (!parsed.ok) return parsed;
  const { index, path, note } = parsed.value;
  const policy = 'logs' in claim.policy ? claim.policy : policyOfKeys(claim.policy);
  const judged = judgeCheckpoint(policy, note);
  if (!judged.ok) return judged;
  if (!judged.value.quorum) return { ok: false, reason: 'quorum_not_met' };
  const { size, root } = judged.value.checkpoint;
  if (!verifyInclusion({ index, size, leafHash: leafHash(claim.entry), path, root })) {
    return { ok: false, reason: 'not_included' };
  }
  return { ok: true, value: { ...judged.value, index } };
}
