import { parseCheckpoint } from '../verification/checkpoint.ts';
import { type LogPolicy, quorumMet } from '../verification/log-policy.ts';
import { openNote, parseNote, parseSignatureLine, type VerifierKey } from '../verification/signed-note.ts';
import type { Found } from './fsck-findings.ts';
import type { CheckpointRow, CosignatureRow } from './fsck-store.ts';

export interface CheckpointRules {
  readonly origin: string | undefined;
  /** Log keys on file, active and retired, under the log's name. */
  readonly logKeys: readonly VerifierKey[];
  readonly policy: LogPolicy | undefined;
  readonly now: Date;
  /** How far clocks may be apart. */
  readonly clockMs: number;
}

export interface JudgedCheckpoints {
  readonly found: readonly Found[];
  /** Names of the policy's witnesses whose cosignature verified. */
  readonly quorum: boolean;
  /** Cosignatures of keys that no policy names. */
  readonly unchecked: number;
}

/**
 * One stored checkpoint: its note is signed by a log key on file and says what its columns say; each cosignature is that of its witness.
 * Whether its root is the tree's is for who walks the tree.
 */
export function judgeCheckpointRow(
  rules: CheckpointRules,
  { size, root, note, signed_at }: CheckpointRow,
  cosignatures: readonly CosignatureRow[],
): JudgedCheckpoints {
  const place = { checkpoint: size };
  const found: Found[] = [];
  const parsed = parseNote(note);
  const said = parsed.ok ? parseCheckpoint(parsed.value.text) : parsed;
  if (!said.ok || !parsed.ok) {
    found.push({ code: 'checkpoint_malformed', place, detail: said.ok ? '' : said.reason });
  } else {
    const columns = [
      ...(said.value.size === size ? [] : ['size']),
      ...(said.value.root.equals(root) ? [] : ['root']),
      ...(rules.origin === undefined || said.value.origin === rules.origin ? [] : ['origin']),
      // We sign three lines and nothing else.
      ...(parsed.value.text.split('\n').length === 4 && parsed.value.signatures.length === 1 ? [] : ['note']),
    ];
    if (columns.length > 0) found.push({ code: 'checkpoint_malformed', place: { ...place, columns } });
    const opened = openNote(note, rules.logKeys);
    if (!opened.ok) found.push({ code: 'checkpoint_signature', place, detail: opened.reason });
  }
  if (signed_at.getTime() > rules.now.getTime() + rules.clockMs) {
    found.push({
      code: 'checkpoint_order',
      place: { ...place, columns: ['signed_at'] },
      detail: 'It is signed in the future.',
    });
  }
  const text = parsed.ok ? parsed.value.text : undefined;
  const judged = cosignatures.map((row) => judgeCosignature(rules, text, signed_at, row));
  const names = judged.flatMap(({ witness }) => witness ?? []);
  return {
    found: [...found, ...judged.flatMap((each) => each.found)],
    quorum: rules.policy !== undefined && quorumMet(rules.policy, names),
    unchecked: judged.filter(({ isKnown }) => !isKnown).length,
  };
}

interface JudgedCosignature {
  readonly found: readonly Found[];
  readonly witness?: string;
  readonly isKnown: boolean;
}

function judgeCosignature(
  { policy, now, clockMs }: CheckpointRules,
  text: string | undefined,
  signedAt: Date,
  { size, name, key_id, line, received_at }: CosignatureRow,
): JudgedCosignature {
  const place = { checkpoint: size, table: 'log_cosignature', row: name };
  const wrong = (detail: string, isKnown = false): JudgedCosignature => ({
    found: [{ code: 'cosignature_wrong', place, detail }],
    isKnown,
  });
  const parsed = parseSignatureLine(line);
  if (parsed === undefined) return wrong('Its line is none.');
  if (parsed.name !== name || !parsed.keyId.equals(key_id)) return wrong('Its columns name another key than its line.');
  if (parsed.signature.length !== cosignatureLength) return wrong('It has another length.');
  const times = [Number(parsed.signature.readBigUInt64BE(0)) * 1000, received_at.getTime()];
  // Neither before there was a checkpoint nor in the future; clocks of two administrations differ.
  if (times.some((time) => time < signedAt.getTime() - hour || time > now.getTime() + clockMs + hour)) {
    return wrong('Its times cannot be.');
  }
  const witness = policy?.witnesses.find(({ key }) => key.name === name && key.keyId.equals(key_id));
  if (witness === undefined || text === undefined) return { found: [], isKnown: false };
  return openNote(`${text}\n${line}\n`, [witness.key]).ok
    ? { found: [], witness: witness.name, isKnown: true }
    : wrong('It is not the signature of this witness over this checkpoint.', true);
}

/** Time and Ed25519 signature. */
const cosignatureLength = 72;
const hour = 3_600_000;
