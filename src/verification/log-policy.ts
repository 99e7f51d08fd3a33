import { type Checkpoint, type CheckpointFault, parseCheckpoint } from './checkpoint.ts';
import { type OpenFault, openNote, parseVerifierKey, type VerifierKey } from './signed-note.ts';

/**
 * Whom to believe (C2SP tlog-policy): the keys of logs, of witnesses, and how many witnesses must have cosigned. A line file:
 * `log <vkey> [url]`, `witness <name> <vkey> [url]`, `group <name> all|any|<k> <members…>`, one `quorum <name>|none`.
 */

/** A witness of a policy. `url` is the submission prefix, where given. */
export interface PolicyWitness {
  readonly name: string;
  readonly key: VerifierKey;
  readonly url?: string;
}

/** At least `needed` of the members, which are witnesses or groups above it in the file. */
export interface PolicyGroup {
  readonly name: string;
  readonly needed: number;
  readonly members: readonly string[];
}

export interface LogPolicy {
  readonly logs: readonly { readonly key: VerifierKey; readonly url?: string }[];
  readonly witnesses: readonly PolicyWitness[];
  /** In the order of the file: members stand above their group. */
  readonly groups: readonly PolicyGroup[];
  /** The name of a witness or group, or undefined for `quorum none`. */
  readonly quorum: string | undefined;
}

/** What is wrong with a policy, and in which line (from 1; 0 for the whole file). */
export type PolicyFault =
  | 'policy_too_long'
  | 'forbidden_character'
  | 'unknown_keyword'
  | 'malformed_line'
  | 'malformed_key'
  | 'key_id_wrong'
  | 'key_type_wrong'
  | 'duplicate_key'
  | 'duplicate_name'
  | 'unknown_name'
  | 'member_twice'
  | 'threshold_out_of_range'
  | 'quorum_missing'
  | 'quorum_twice';

export type PolicyResult =
  | { readonly ok: true; readonly value: LogPolicy }
  | { readonly ok: false; readonly reason: PolicyFault; readonly line: number };

const maxPolicyLength = 1_000_000;
const maxLines = 10_000;

/** Reads a policy file. Control characters other than tab and line end are refused, as the format says: a carriage return too. */
export function parseLogPolicy(text: string): PolicyResult {
  const lines = text.length > maxPolicyLength ? [] : text.split('\n');
  if (lines.length === 0 || lines.length > maxLines) return { ok: false, reason: 'policy_too_long', line: 0 };
  const draft: Draft = { logs: [], witnesses: [], groups: [], names: new Set(), keys: new Set(), used: new Set() };
  for (const [at, line] of lines.entries()) {
    const fault = readLine(draft, line);
    if (fault !== undefined) return { ok: false, reason: fault, line: at + 1 };
  }
  if (draft.quorum === undefined) return { ok: false, reason: 'quorum_missing', line: 0 };
  const { logs, witnesses, groups, quorum } = draft;
  return { ok: true, value: { logs, witnesses, groups, quorum: quorum === 'none' ? undefined : quorum } };
}

interface Draft {
  readonly logs: { readonly key: VerifierKey; readonly url?: string }[];
  readonly witnesses: PolicyWitness[];
  readonly groups: PolicyGroup[];
  readonly names: Set<string>;
  readonly keys: Set<string>;
  /** Names that are members of a group already. */
  readonly used: Set<string>;
  quorum?: string;
}

function readLine(draft: Draft, line: string): PolicyFault | undefined {
  if (/[^\P{Cc}\t\u0080-\u009f]/u.test(line)) return 'forbidden_character';
  const [keyword = '#', ...fields] = line.split(/[ \t]+/).filter((word) => word !== '');
  if (keyword.startsWith('#')) return undefined;
  return readers.get(keyword)?.(draft, fields) ?? (readers.has(keyword) ? undefined : 'unknown_keyword');
}

const readers = new Map([
  ['log', readLog],
  ['witness', readWitness],
  ['group', readGroup],
  ['quorum', readQuorum],
]);

function readLog(draft: Draft, [vkey, url, ...more]: readonly string[]): PolicyFault | undefined {
  if (vkey === undefined || more.length > 0) return 'malformed_line';
  const key = readKey(draft, vkey, 1);
  if (typeof key === 'string') return key;
  draft.logs.push({ key, ...(url === undefined ? {} : { url }) });
  return undefined;
}

function readWitness(draft: Draft, [name, vkey, url, ...more]: readonly string[]): PolicyFault | undefined {
  if (name === undefined || vkey === undefined || more.length > 0) return 'malformed_line';
  const fault = takeName(draft, name);
  if (fault !== undefined) return fault;
  const key = readKey(draft, vkey, 4);
  if (typeof key === 'string') return key;
  draft.witnesses.push({ name, key, ...(url === undefined ? {} : { url }) });
  return undefined;
}

function readGroup(draft: Draft, [name, threshold, ...members]: readonly string[]): PolicyFault | undefined {
  if (name === undefined || threshold === undefined || members.length === 0) return 'malformed_line';
  if (members.some((member) => !draft.names.has(member))) return 'unknown_name';
  // Each name counts in one way only: at most once, in at most one group.
  if (members.some((member, at) => draft.used.has(member) || members.indexOf(member) !== at)) return 'member_twice';
  const fault = takeName(draft, name);
  if (fault !== undefined) return fault;
  const needed = readThreshold(threshold, members.length);
  if (needed < 1 || needed > members.length) return 'threshold_out_of_range';
  for (const member of members) draft.used.add(member);
  draft.groups.push({ name, needed, members });
  return undefined;
}

function readThreshold(text: string, members: number): number {
  if (text === 'all') return members;
  if (text === 'any') return 1;
  return /^[1-9]\d{0,4}$/.test(text) ? Number(text) : 0;
}

function readQuorum(draft: Draft, [name, ...more]: readonly string[]): PolicyFault | undefined {
  if (name === undefined || more.length > 0) return 'malformed_line';
  if (draft.quorum !== undefined) return 'quorum_twice';
  if (name !== 'none' && !draft.names.has(name)) return 'unknown_name';
  draft.quorum = name;
  return undefined;
}

function takeName({ names }: Draft, name: string): PolicyFault | undefined {
  if (name === 'none') return 'malformed_line';
  if (names.has(name)) return 'duplicate_name';
  names.add(name);
  return undefined;
}

function readKey({ keys }: Draft, vkey: string, type: 1 | 4): VerifierKey | PolicyFault {
  const parsed = parseVerifierKey(vkey);
  if (!parsed.ok) return parsed.reason === 'key_type_unknown' ? 'key_type_wrong' : parsed.reason;
  const { value: key } = parsed;
  if (key.type !== type) return 'key_type_wrong';
  // The key itself, whatever its name: one key under two names would count twice, and a log is no witness of itself.
  const raw = key.publicKey.export({ format: 'der', type: 'spki' }).toString('base64');
  if (keys.has(raw)) return 'duplicate_key';
  keys.add(raw);
  return key;
}

/** A policy that believes these logs without any witness. */
export const policyOfKeys = (keys: readonly VerifierKey[]): LogPolicy => ({
  logs: keys.map((key) => ({ key })),
  witnesses: [],
  groups: [],
  quorum: undefined,
});

/** True when the witnesses of these names (as the policy names them) make up the quorum. */
export function quorumMet(policy: LogPolicy, cosignedBy: readonly string[]): boolean {
  if (policy.quorum === undefined) return true;
  const met = new Set(policy.witnesses.map(({ name }) => name).filter((name) => cosignedBy.includes(name)));
  for (const { name, needed, members } of policy.groups) {
    if (members.filter((member) => met.has(member)).length >= needed) met.add(name);
  }
  return met.has(policy.quorum);
}

/** The smallest number of witnesses that can make up the quorum; 0 for `quorum none`. */
export function quorumNeeds(policy: LogPolicy): number {
  if (policy.quorum === undefined) return 0;
  const needs = new Map(policy.witnesses.map(({ name }) => [name, 1]));
  for (const { name, needed, members } of policy.groups) {
    const cheapest = members.map((member) => needs.get(member) ?? 0).sort((one, other) => one - other);
    needs.set(
      name,
      cheapest.slice(0, needed).reduce((total, each) => total + each, 0),
    );
  }
  return needs.get(policy.quorum) ?? 0;
}

/** A checkpoint signed by a log that the policy names. */
export interface JudgedCheckpoint {
  readonly checkpoint: Checkpoint;
  /** The log's key that signed. */
  readonly log: VerifierKey;
  /** Names, as in the policy, of the witnesses whose cosignature verified. */
  readonly cosignedBy: readonly string[];
  /** Their times in Unix seconds, in the same order. */
  readonly cosignedAt: readonly number[];
  readonly quorum: boolean;
}

export type JudgeFault = OpenFault | CheckpointFault | 'unknown_log' | 'origin_wrong';

/** Of a false signature `signer` says under whose name it stands: the witness as the policy names it, or the log. */
export type Judgement<Value, Reason> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly reason: Reason; readonly signer?: string };

/**
 * Judges a signed checkpoint: a log of the policy must have signed it, under its own name as origin, and no signature of a known key may
 * be wrong. Whether enough witnesses cosigned is `quorum`: whoever needs that must ask for it.
 */
export function judgeCheckpoint(policy: LogPolicy, note: string): Judgement<JudgedCheckpoint, JudgeFault> {
  const keys = [...policy.logs.map(({ key }) => key), ...policy.witnesses.map(({ key }) => key)];
  const opened = openNote(note, keys);
  if (!opened.ok) {
    const { reason } = opened;
    if (reason === 'signature_invalid') return { ok: false, reason, ...falseSigner(policy, note) };
    return { ok: false, reason: reason === 'no_known_signature' ? 'unknown_log' : reason };
  }
  const { text, verified } = opened.value;
  const signed = verified.filter(({ key }) => key.type === 1);
  if (signed.length === 0) return { ok: false, reason: 'unknown_log' };
  const parsed = parseCheckpoint(text);
  if (!parsed.ok) return parsed;
  const { value: checkpoint } = parsed;
  const log = signed.find(({ key }) => key.name === checkpoint.origin)?.key;
  if (log === undefined) return { ok: false, reason: 'origin_wrong' };
  const cosigned = policy.witnesses.flatMap(({ name, key }) => {
    const time = verified.find((each) => each.key.text === key.text)?.time;
    return time === undefined ? [] : [{ name, time }];
  });
  const cosignedBy = cosigned.map(({ name }) => name);
  const cosignedAt = cosigned.map(({ time }) => time);
  return { ok: true, value: { checkpoint, log, cosignedBy, cosignedAt, quorum: quorumMet(policy, cosignedBy) } };
}

/** Whose signature on a note is false: the first of the policy. */
function falseSigner({ logs, witnesses }: LogPolicy, note: string): { signer?: string } {
  const signers = [...witnesses, ...logs.map(({ key }) => ({ name: key.name, key }))];
  const found = signers.find(({ key }) => {
    const opened = openNote(note, [key]);
    return !opened.ok && opened.reason === 'signature_invalid';
  });
  return found === undefined ? {} : { signer: found.name };
}
