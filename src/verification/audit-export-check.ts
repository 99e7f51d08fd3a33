import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import type { ErasedLeaf, ExportHeader, RedactedLeaf } from './audit-export.ts';
import {
  type ErasureNotShown,
  type Erasures,
  erasureKind,
  judgeErasures,
  noErasures,
  noteAct,
  noteErased,
  noteOther,
} from './audit-export-erasures.ts';
import { type ExportFault, type ExportFinding, finding } from './audit-export-faults.ts';
import { readHeader, readLeaf, readTrailer, trailerStart } from './audit-export-lines.ts';
import { isCommitted, isOneKind, type OpenedLine, openedLine } from './audit-export-opened.ts';
import { finishPlaces, type LeafPlaces, placeLeaf, placeUnknown, startPlaces } from './audit-export-places.ts';
import { scanOpened } from './audit-export-scan.ts';
import { type Checkpoint, claimedCheckpoint } from './checkpoint.ts';
import { addFinding, type Findings, noFindings } from './findings.ts';
import { lineCutter } from './line-cutter.ts';
import { type JudgedCheckpoint, judgeCheckpoint, type LogPolicy } from './log-policy.ts';

/** What was found out about an export. It is good exactly when `findings` is empty. */
export type ExportReport = {
  readonly findings: readonly ExportFinding[];
  /** Findings beyond the first hundred. */
  readonly moreFindings: number;
  /** Absent when the first line could not be read. Only origin, size, begin, end and the checkpoint are proved by signatures. */
  readonly header?: ExportHeader;
  /** Absent unless the checkpoint was signed by a log of the policy. */
  readonly judged?: JudgedCheckpoint;
  readonly leaves: number;
  readonly opened: number;
  readonly redacted: number;
  readonly erased: number;
  /** Opened records of which some fields are hidden, and how many fields of them. */
  readonly partlyHidden: { readonly records: number; readonly fields: number };
  /** Erased leaves whose erasure record is opened in the same file, and its approvals too. */
  readonly erasuresShown: number;
  /** Erased leaves for which that cannot be said, the first hundred of them. */
  readonly erasuresNotShown: readonly ErasureNotShown[];
};

/** An export being checked: its bytes in any pieces, then `end`. Neither throws, whatever the bytes. */
export type ExportCheck = {
  readonly feed: (chunk: Uint8Array) => void;
  readonly end: () => ExportReport;
  /** Leaves read so far, for who shows progress. */
  readonly leaves: () => number;
};

/** No record is as long; a longer line is somebody's attempt to fill the memory. */
const maxLineBytes = 8 * 2 ** 20;

type State = {
  readonly policy: LogPolicy;
  readonly findings: Findings<ExportFinding>;
  /** The line being read, from 1. */
  line: number;
  at: 'header' | 'leaves' | 'behind_end' | 'given_up';
  header: ExportHeader | undefined;
  judged: JudgedCheckpoint | undefined;
  places: LeafPlaces | undefined;
  readonly counts: { opened: number; redacted: number; erased: number };
  readonly partlyHidden: { records: number; fields: number };
  readonly erasures: Erasures;
};

/**
 * Checks an export against a policy while it is read, in constant memory: every line's form, every commitment of what is shown, every leaf's
 * place in the log or the completeness of the range, the checkpoint's signatures, the counts and the hash at the end.
 */
export function startExportCheck(policy: LogPolicy): ExportCheck {
  const state: State = {
    policy,
    findings: noFindings(),
    line: 1,
    at: 'header',
    header: undefined,
    judged: undefined,
    places: undefined,
    counts: { opened: 0, redacted: 0, erased: 0 },
    partlyHidden: { records: 0, fields: 0 },
    erasures: noErasures(),
  };
  const digest = createHash('sha256');
  const takeLine = (bytes: Buffer): void => {
    if (state.at === 'behind_end') giveUp(state, 'data_after_end');
    if (state.at === 'given_up') return;
    const text = bytes.subarray(0, -1);
    if (!isUtf8(text)) report(state, 'line_not_utf8');
    if (startsWith(text, trailerStart)) takeTrailer(state, text.toString('utf8'), digest.digest('hex'));
    else {
      digest.update(bytes);
      if (state.at === 'header') takeHeader(state, text.toString('utf8'));
      else takeLeaf(state, text);
    }
    state.line++;
  };
  const lines = lineCutter({
    maxBytes: maxLineBytes,
    line: takeLine,
    tooLong: () => giveUp(state, state.at === 'behind_end' ? 'data_after_end' : 'line_too_long'),
  });
  return {
    leaves: () => countOf(state),
    feed: lines.feed,
    end: () => {
      takeEnd(state, lines.rest());
      return reportOf(state);
    },
  };
}

function report(state: State, code: ExportFault, index?: number, detail?: string): void {
  addFinding(state.findings, finding(state.line, code, index, detail));
}

/** Reports what makes the rest of the file meaningless, once. */
function giveUp(state: State, code: ExportFault): void {
  if (state.at !== 'given_up') report(state, code);
  state.at = 'given_up';
}

function startsWith(text: Buffer, ascii: string): boolean {
  for (let at = 0; at < ascii.length; at++) if (text[at] !== ascii.charCodeAt(at)) return false;
  return true;
}

const countOf = ({ counts }: State): number => counts.opened + counts.redacted + counts.erased;

function takeHeader(state: State, line: string): void {
  const read = readHeader(line);
  if (!read.ok) {
    giveUp(state, line === '' ? 'header_shape' : read.reason);
    return;
  }
  const header = read.value;
  state.header = header;
  state.at = 'leaves';
  const checkpoint = judgeHeader(state, header);
  const isSame = checkpoint === undefined || (checkpoint.origin === header.origin && checkpoint.size === header.size);
  if (!isSame) report(state, 'header_differs');
  state.places = startPlaces(header, checkpoint, (code, index, detail) => report(state, code, index, detail));
}

/** The checkpoint of the header. One that is not to be believed is reported, but the leaves can still be compared with what it claims. */
function judgeHeader(state: State, { checkpoint: note }: ExportHeader): Checkpoint | undefined {
  const judged = judgeCheckpoint(state.policy, note);
  if (!judged.ok) {
    report(state, judged.reason, undefined, judged.signer);
    return claimedCheckpoint(note);
  }
  state.judged = judged.value;
  if (!judged.value.quorum) report(state, 'quorum_not_met');
  return judged.value.checkpoint;
}

function takeLeaf(state: State, text: Buffer): void {
  const { places, header } = state;
  if (places === undefined) return;
  const withPath = header?.kind === 'records';
  const quick = scanOpened(text);
  // of an erasure its content matters too
  if (quick !== undefined && quick.kind !== erasureKind && (quick.path !== undefined) === withPath) {
    takeOpened(state, places, quick);
    return;
  }
  const read = readLeaf(text.toString('utf8'), withPath);
  if (!read.ok) {
    report(state, read.reason);
    placeUnknown(places);
    return;
  }
  const leaf = read.value;
  if (leaf.state === 'opened') {
    takeOpened(state, places, openedLine(leaf));
    if (leaf.kind === erasureKind) noteAct(state.erasures, leaf);
  } else takeClosed(state, places, leaf);
}

function takeOpened(state: State, places: LeafPlaces, line: OpenedLine): void {
  const { kind, recordId, index, hidden } = line;
  state.counts.opened++;
  if (hidden > 0) {
    state.partlyHidden.records++;
    state.partlyHidden.fields += hidden;
  }
  if (!isOneKind(line)) report(state, 'kind_differs', index);
  if (!isCommitted(line)) report(state, 'commitment_differs', index);
  if (kind !== erasureKind) noteOther(state.erasures, recordId);
  placeLeaf(places, line);
}

function takeClosed(state: State, places: LeafPlaces, leaf: RedactedLeaf | ErasedLeaf): void {
  state.counts[leaf.state]++;
  const entry = Buffer.from(leaf.entry, 'base64');
  if (leaf.state === 'erased') noteErased(state.erasures, leaf, entry[1] ?? 0, state.line);
  placeLeaf(places, { index: leaf.index, entry, path: leaf.path?.map((hashed) => Buffer.from(hashed, 'base64')) });
}

function takeTrailer(state: State, line: string, sha256: string): void {
  const { places, counts } = state;
  if (places === undefined) {
    giveUp(state, 'header_shape');
    return;
  }
  finishPlaces(places);
  const read = readTrailer(line);
  if (!read.ok) report(state, read.reason);
  else {
    const { leaves, opened, redacted, erased } = read.value;
    const isSame = opened === counts.opened && redacted === counts.redacted && erased === counts.erased;
    if (!isSame || leaves !== countOf(state)) report(state, 'counts_differ');
    if (read.value.sha256 !== sha256) report(state, 'file_hash_differs');
  }
  state.at = 'behind_end';
}

/** `rest`: bytes behind the last line end. */
function takeEnd(state: State, rest: number): void {
  if (state.at === 'given_up') return;
  if (rest > 0) report(state, state.at === 'behind_end' ? 'data_after_end' : 'line_unfinished');
  else if (state.at === 'header') report(state, 'file_empty');
  if (state.at === 'leaves') report(state, 'trailer_missing');
}

function reportOf({ header, judged, counts, partlyHidden, erasures, findings }: State): ExportReport {
  const { shown, notShown, wrong } = judgeErasures(erasures);
  for (const { line, index, erasure, code } of wrong) addFinding(findings, finding(line, code, index, erasure));
  return {
    findings: findings.listed,
    moreFindings: findings.more,
    ...(header !== undefined && { header }),
    ...(judged !== undefined && { judged }),
    leaves: counts.opened + counts.redacted + counts.erased,
    ...counts,
    partlyHidden,
    erasuresShown: shown,
    erasuresNotShown: notShown,
  };
}
