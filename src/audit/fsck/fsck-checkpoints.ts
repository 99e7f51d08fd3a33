import { parseCheckpoint } from '../../verification/checkpoint.ts';
import { type LogPolicy, quorumMet } from '../../verification/log-policy.ts';
import { openNote, parseNote, parseSignatureLine, type VerifierKey } from '../../verification/signed-note.ts';
import { type Found, namesOf } from './fsck-findings.ts';
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
  /** Whether the policy's witnesses whose cosignatures verified make up its quorum. */
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
  const parsed = parseNote(note);
  const found = [...judgeNote(rules, { size, root, note }, parsed)];
  if (signed_at.getTime() > rules.now.getTime() + rules.clockMs) {
    const detail = 'It is signed in the future.';
    found.push({ code: 'checkpoint_order', place: { ...place, columns: ['signed_at'] }, detail });
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

/** What the note says, against its columns and the keys on file. */
function judgeNote(
  { origin, logKeys }: CheckpointRules,
  { size, root, note }: Pick<CheckpointRow, 'size' | 'root' | 'note'>,
  parsed: ReturnType<typeof parseNote>,
): Found[] {
  const place = { checkpoint: size };
  if (!parsed.ok) return [{ code: 'checkpoint_malformed', place, detail: parsed.reason }];
  const { text, signatures } = parsed.value;
  const said = parseCheckpoint(text);
  if (!said.ok) return [{ code: 'checkpoint_malformed', place, detail: said.reason }];
  const columns = namesOf({
    size: said.value.size !== size,
    root: !said.value.root.equals(root),
    origin: origin !== undefined && said.value.origin !== origin,
    // We sign three lines and nothing else.
    note: text.split('\n').length !== 4 || signatures.length !== 1,
  });
  const opened = openNote(note, logKeys);
  return [
    ...(columns.length === 0 ? [] : [{ code: 'checkpoint_malformed', place: { ...place, columns } } as const]),
    ...(opened.ok ? [] : [{ code: 'checkpoint_signature', place, detail: opened.reason } as const]),
  ];
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
