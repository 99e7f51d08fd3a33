/**
 * What the self-check can find. Codes are stable: operators' alarms hang on them. Each has one sentence, which says what is wrong and,
 * where it helps, what that means.
 */
export const findingSentences = {
  // Records against their leaves.
  record_missing: 'The record of this leaf is gone, and no executed erasure covers it.',
  record_moved: 'The record stands under another lane or time than its leaf says.',
  record_twice: 'A second row bears the id of this record.',
  record_unlogged: 'The record has neither a leaf nor a place in the queue.',
  record_late: 'The record waits in the queue longer than a sequencer may take.',
  leaf_differs: 'The leaf does not hold the kind and commitment of its record.',
  body_missing: 'The body is gone, and no executed erasure with two approvals covers it.',
  body_not_erased: 'An executed erasure covers this record, but its body is there.',
  body_unreadable: 'The body was not sealed by this hub for this commitment and month.',
  commitment_wrong: 'The commitment is not over this body and this record id.',
  column_wrong: 'Columns to search by do not say what the body says.',
  // The queue.
  queue_stray: 'The queue names a record that does not exist: the hub queued it, and it is gone.',
  queue_differs: 'The queue does not say what its record says.',
  queue_again: 'The queue names a record that has a leaf already.',
  queue_row_forged: 'A row of the queue was not written by this hub: nobody but the hub may ask for a leaf.',
  time_wrong: 'A leaf or a row of the queue bears a time that no record can have.',
  // The log.
  state_missing: 'There are leaves, but the state of the log is gone.',
  state_wrong: 'The state of the log contradicts what is stored with it.',
  leaf_missing: 'Leaves are missing: indexes have a gap.',
  leaf_twice: 'A record has more than one leaf, or an index more than one record.',
  leaf_beyond: 'There are leaves behind the size of the log.',
  tile_missing: 'A tile of the log is gone.',
  tile_width: 'A tile does not have the width that the size of the log asks for.',
  tile_wrong: 'A tile holds another hash than follows from the leaves.',
  tile_beyond: 'There is a tile that a log of this size does not have.',
  root_wrong: 'The root of the log is not the root of its leaves.',
  checkpoint_malformed:
    'A stored checkpoint is no signed note of this log, or its columns say something else than its note.',
  checkpoint_signature: 'A stored checkpoint is not signed by a log key on file.',
  checkpoint_root: 'A signed checkpoint contradicts the leaves: they were changed after it was signed.',
  checkpoint_beyond: 'A signed checkpoint is larger than the log: the database was put back to an older state.',
  checkpoint_order: 'A checkpoint was stored before a smaller one.',
  published_unknown: 'The published size has no stored checkpoint.',
  published_behind: 'The published size is smaller than that of a checkpoint that could long be shown.',
  cosignature_wrong: 'A stored cosignature is not that of its witness over this checkpoint.',
  cosignature_stray: 'A cosignature belongs to no stored checkpoint.',
  witness_behind: 'No checkpoint of the last hours has the cosignatures that the policy asks for.',
  // Months, erasures, releases.
  month_seal_wrong: 'The seal of a month does not say what its records are.',
  month_copy_wrong: 'The row of a sealed month does not say what its seal says.',
  erasure_wrong: 'A row about an erasure was not written by this hub as it stands, or is gone.',
  release_wrong: 'A row that changes a release date was not written by this hub as it stands, or is gone.',
  key_event_missing: 'The row beside the record of a key event is gone.',
  // Certificates and registry.
  certificate_wrong: 'A row of a certificate was not written by this hub as it stands.',
  directory_wrong: 'The directory of certificates names other rows than there are.',
  status_wrong: 'The published status is not that of the certificate.',
  status_missing: 'The status index of the certificate was never given out.',
  status_stray: 'A status index is given out to no certificate.',
  events_missing: 'The certificate has been through another number of steps than its events tell.',
  steps_unrecorded: 'The certificate has been through another number of steps than its records tell.',
  registry_wrong: 'A row of the registry was not written by this hub as it stands.',
  registry_replayed: 'The records say that this was withdrawn, the registry says that it is in force.',
  registry_behind:
    'The records say that this went further than its row says: a row of earlier was put back, or the row is gone.',
} as const;
export type FindingCode = keyof typeof findingSentences;

/** Where it is. Holds names and numbers of ours, never a person's data. */
export interface Place {
  readonly leaf?: number;
  /** Behind the last one, for a run of leaves. */
  readonly leafEnd?: number;
  readonly record?: string;
  /** As in the log's paths: level/index. */
  readonly tile?: string;
  /** Position of the hash in the tile. */
  readonly hash?: number;
  /** Size of the tree that was signed. */
  readonly checkpoint?: number;
  readonly month?: string;
  readonly table?: string;
  readonly row?: string;
  readonly columns?: readonly string[];
}

export interface Finding {
  readonly code: FindingCode;
  readonly place: Place;
  readonly says: string;
}

/** What a check found; the list makes a finding of it. Detail goes behind the sentence and holds no person's data. */
export interface Found {
  readonly code: FindingCode;
  readonly place: Place;
  readonly detail?: string;
}

/** Names of those columns of which it is true that they differ. */
export const namesOf = (differs: Readonly<Record<string, boolean>>): string[] =>
  Object.keys(differs).filter((name) => differs[name]);

/** Findings as they are collected; counts are complete, the list ends at a limit. Plain JSON: part of the state that is resumed. */
export interface Findings {
  readonly counts: { [code in FindingCode]?: number };
  readonly listed: Finding[];
}

const listedAtMost = 10_000;

export const noFindings = (): Findings => ({ counts: {}, listed: [] });

/** Adds what was found. */
export function addFinding(findings: Findings, { code, place, detail }: Found): void {
  findings.counts[code] = (findings.counts[code] ?? 0) + 1;
  if (findings.listed.length >= listedAtMost) return;
  const sentence = findingSentences[code];
  findings.listed.push({ code, place, says: detail === undefined ? sentence : `${sentence} ${detail}` });
}

/** Takes back what a later check explains better. */
export function dropFinding(findings: Findings, code: FindingCode, isIt: (place: Place) => boolean): void {
  const at = findings.listed.findIndex((each) => each.code === code && isIt(each.place));
  if (at === -1) return;
  findings.listed.splice(at, 1);
  const left = (findings.counts[code] ?? 1) - 1;
  if (left === 0) delete findings.counts[code];
  else findings.counts[code] = left;
}

/** How many findings there are, listed or not. */
export const countFindings = ({ counts }: Findings): number =>
  Object.values(counts).reduce((total, count) => total + count, 0);
