import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import type { ExportHeader, OpenedLeaf } from './audit-export.ts';
import {
  type ErasureNotShown,
  type Erasures,
  judgeErasures,
  noErasures,
  noteAct,
  noteErased,
} from './audit-export-erasures.ts';
import { type ExportFault, type ExportFinding, finding } from './audit-export-faults.ts';
import { readHeader, readLeaf, readTrailer, trailerStart } from './audit-export-lines.ts';
import { type OpenedLine, scanOpened } from './audit-export-scan.ts';
import { type Checkpoint, parseCheckpoint } from './checkpoint.ts';
import { commitField, commitmentOfFields, recordFields } from './commitment.ts';
import { type JudgedCheckpoint, judgeCheckpoint, type LogPolicy } from './log-policy.ts';
import { feedRange, finishRange, leafHash, type RangeCheck, startRange, verifyInclusion } from './merkle.ts';
import { parseNote } from './signed-note.ts';

/** The kinds of records by their number in the log entry (numbered by `audit`). */
export const exportKinds: { readonly [kind: number]: string } = {
  1: 'access',
  2: 'certificate',
  3: 'registry',
  4: 'audit_read',
  5: 'erasure',
  6: 'month_seal',
  7: 'key_event',
  8: 'release',
};
const erasureKind = 5;
const kindTexts: (string | undefined)[] = Array.from({ length: 256 }, (_, kind) =>
  exportKinds[kind] === undefined ? undefined : JSON.stringify(exportKinds[kind]),
);

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

const maxFindings = 100;
/** No record is as long; a longer line is somebody's attempt to fill the memory. */
const maxLineBytes = 8 * 2 ** 20;
const lineEnd = 0x0a;

type State = {
  readonly policy: LogPolicy;
  readonly findings: ExportFinding[];
  moreFindings: number;
  /** The line being read, from 1. */
  line: number;
  at: 'header' | 'leaves' | 'behind_end' | 'given_up';
  header: ExportHeader | undefined;
  checkpoint: Checkpoint | undefined;
  judged: JudgedCheckpoint | undefined;
  range: RangeCheck | undefined;
  /** Index of the leaf before. */
  previous: number;
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
    findings: [],
    moreFindings: 0,
    line: 1,
    at: 'header',
    header: undefined,
    checkpoint: undefined,
    judged: undefined,
    range: undefined,
    previous: -1,
    counts: { opened: 0, redacted: 0, erased: 0 },
    partlyHidden: { records: 0, fields: 0 },
    erasures: noErasures(),
  };
  const digest = createHash('sha256');
  let parts: Buffer[] = [];
  let held = 0;

  const takeLine = (bytes: Buffer): void => {
    if (state.at === 'behind_end') {
      report(state, 'data_after_end');
      state.at = 'given_up';
    }
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

  return {
    leaves: () => countOf(state),
    feed: (chunk) => {
      const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      let from = 0;
      for (let end = bytes.indexOf(lineEnd); end !== -1; end = bytes.indexOf(lineEnd, from)) {
        const rest = bytes.subarray(from, end + 1);
        from = end + 1;
        if (held === 0) takeLine(rest);
        else takeLine(Buffer.concat([...parts, rest]));
        parts = [];
        held = 0;
      }
      if (from === bytes.length || state.at === 'given_up') return;
      // a copy: who feeds may use its buffer again
      parts.push(Buffer.from(bytes.subarray(from)));
      held += bytes.length - from;
      if (held > maxLineBytes) {
        report(state, 'line_too_long');
        state.at = 'given_up';
        parts = [];
        held = 0;
      }
    },
    end: () => {
      if (state.at !== 'given_up') takeEnd(state, held);
      return reportOf(state);
    },
  };
}

function report(state: State, code: ExportFault, index?: number, detail?: string): void {
  if (state.findings.length < maxFindings) state.findings.push(finding(state.line, code, index, detail));
  else state.moreFindings++;
}

function startsWith(text: Buffer, ascii: string): boolean {
  for (let at = 0; at < ascii.length; at++) if (text[at] !== ascii.charCodeAt(at)) return false;
  return true;
}

const countOf = ({ counts }: State): number => counts.opened + counts.redacted + counts.erased;

function takeHeader(state: State, line: string): void {
  const read = readHeader(line);
  if (!read.ok) {
    // without a header nothing of the rest has a meaning
    report(state, line === '' ? 'header_shape' : read.reason);
    state.at = 'given_up';
    return;
  }
  const header = read.value;
  state.header = header;
  state.at = 'leaves';
  judgeHeader(state, header);
  const { checkpoint } = state;
  if (checkpoint === undefined) return;
  if (checkpoint.origin !== header.origin || checkpoint.size !== header.size) report(state, 'header_differs');
  if (header.kind !== 'range') return;
  const { begin = 0, end = 0, left = [] } = header;
  state.previous = begin - 1;
  state.range = startRange({ begin, end, size: checkpoint.size, left: left.map(bytesOf) });
  if (state.range === undefined || begin === end) report(state, 'range_impossible');
}

function judgeHeader(state: State, header: ExportHeader): void {
  const judged = judgeCheckpoint(state.policy, header.checkpoint);
  if (judged.ok) {
    state.judged = judged.value;
    state.checkpoint = judged.value.checkpoint;
    if (!judged.value.quorum) report(state, 'quorum_not_met');
  } else {
    report(state, judged.reason, undefined, judged.signer);
    // what is in the file can still be compared with what it claims
    state.checkpoint = claimedCheckpoint(header.checkpoint);
  }
}

const bytesOf = (base64: string): Buffer => Buffer.from(base64, 'base64');

function claimedCheckpoint(note: string): Checkpoint | undefined {
  const parsed = parseNote(note);
  const checkpoint = parsed.ok ? parseCheckpoint(parsed.value.text) : undefined;
  return checkpoint?.ok === true ? checkpoint.value : undefined;
}

function takeLeaf(state: State, text: Buffer): void {
  const { header } = state;
  const withPath = header?.kind === 'records';
  const quick = scanOpened(text);
  // of an erasure its content matters too
  if (quick !== undefined && quick.kind !== erasureKind && (quick.path !== undefined) === withPath) {
    takeOpened(state, quick);
    return;
  }
  const read = readLeaf(text.toString('utf8'), withPath);
  if (!read.ok) {
    report(state, read.reason);
    state.range = undefined;
    return;
  }
  const leaf = read.value;
  if (leaf.state === 'opened') {
    takeOpened(state, openedLine(leaf));
    if (leaf.kind === erasureKind) noteAct(state.erasures, leaf);
    return;
  }
  state.counts[leaf.state]++;
  checkPlace(state, leaf.index);
  const entry = bytesOf(leaf.entry);
  if (leaf.state === 'erased') noteErased(state.erasures, leaf, entry[1] ?? 0, state.line);
  checkHash(state, leaf.index, entry, leaf.path?.map(bytesOf));
}

function takeOpened(state: State, line: OpenedLine): void {
  state.counts.opened++;
  if (line.hidden > 0) {
    state.partlyHidden.records++;
    state.partlyHidden.fields += line.hidden;
  }
  checkPlace(state, line.index);
  checkOpened(state, line);
  checkHash(state, line.index, line.entry, line.path);
}

/** What `scanOpened` would say of a line that it left to the thorough reader. */
function openedLine(leaf: OpenedLeaf): OpenedLine {
  const { index, recordId, kind, fields, hidden, path } = leaf;
  const id = Buffer.from(recordId.replaceAll('-', ''), 'hex');
  const commitments = recordFields.map((name) => {
    const shown = fields[name];
    if (shown === undefined) return Buffer.from(hidden[name] ?? '', 'base64url');
    return commitField(id, name, Buffer.from(shown.salt, 'base64url'), shown.canonical);
  });
  return {
    index,
    recordId,
    kind,
    entry: bytesOf(leaf.entry),
    commitment: commitmentOfFields(id, commitments),
    saidKind: fields.kind?.canonical,
    hidden: Object.keys(hidden).length,
    path: path?.map(bytesOf),
  };
}

function checkHash(state: State, index: number, entry: Buffer, path: readonly Buffer[] | undefined): void {
  const { checkpoint } = state;
  const hashed = leafHash(entry);
  if (path === undefined) {
    if (state.range !== undefined && !feedRange(state.range, hashed)) state.range = undefined;
  } else if (checkpoint !== undefined) {
    const { size, root } = checkpoint;
    if (!verifyInclusion({ index, size, leafHash: hashed, path, root })) report(state, 'not_included', index);
  }
}

/** In a range every leaf follows the one before; among records each is behind it. */
function checkPlace(state: State, index: number): void {
  const { previous } = state;
  const { begin, end } = bounds(state);
  if (index < begin || index >= end) report(state, 'leaf_outside', index);
  else {
    const fault = orderFault(state, index);
    state.previous = Math.max(previous, index);
    if (fault === undefined) return;
    report(state, fault, index, fault === 'leaf_missing' ? missing(previous + 1, index) : undefined);
  }
  state.range = undefined;
}

/** The leaves that may be in the file: from `begin` to before `end`. */
function bounds({ header }: State): { begin: number; end: number } {
  const { begin = 0, end = header?.size ?? 0 } = header ?? {};
  return { begin, end };
}

function orderFault({ header, previous }: State, index: number): ExportFault | undefined {
  if (index === previous) return 'leaf_repeated';
  if (index < previous) return 'leaf_order';
  return header?.kind === 'range' && index !== previous + 1 ? 'leaf_missing' : undefined;
}

const missing = (from: number, to: number): string => (to - from === 1 ? `${from}` : `${from}–${to - 1}`);

function checkOpened(state: State, { index, recordId, kind, entry, commitment, saidKind }: OpenedLine): void {
  if (entry[1] !== kind || (saidKind !== undefined && saidKind !== kindTexts[kind]))
    report(state, 'kind_differs', index);
  if (entry.compare(commitment, 0, 32, 2) !== 0) report(state, 'commitment_differs', index);
  const { claimed, others } = state.erasures;
  if (kind !== erasureKind && claimed.size > 0 && claimed.has(recordId)) others.add(recordId);
}

function takeTrailer(state: State, line: string, sha256: string): void {
  if (state.at === 'header') {
    report(state, 'header_shape');
    state.at = 'given_up';
    return;
  }
  checkRange(state);
  const read = readTrailer(line);
  if (!read.ok) report(state, read.reason);
  else {
    const { leaves, opened, redacted, erased } = read.value;
    const { counts } = state;
    const same = opened === counts.opened && redacted === counts.redacted && erased === counts.erased;
    if (!same || leaves !== countOf(state)) report(state, 'counts_differ');
    if (read.value.sha256 !== sha256) report(state, 'file_hash_differs');
  }
  state.at = 'behind_end';
}

/** Every leaf was there once and in order, and together with the proof they are the tree under the checkpoint. */
function checkRange(state: State): void {
  const { header, range, checkpoint } = state;
  if (header?.kind !== 'range' || checkpoint === undefined) return;
  const end = header.end ?? 0;
  if (state.previous + 1 < end) {
    report(state, 'leaves_missing_at_end', undefined, missing(state.previous + 1, end));
    return;
  }
  // undefined: something was found before, which is said already
  if (range === undefined) return;
  const root = finishRange(range, (header.right ?? []).map(bytesOf));
  if (root === undefined) report(state, 'range_impossible');
  else if (!root.equals(checkpoint.root)) report(state, 'range_root_differs');
}

function takeEnd(state: State, held: number): void {
  if (held > 0) report(state, state.at === 'behind_end' ? 'data_after_end' : 'line_unfinished');
  else if (state.at === 'header') report(state, 'file_empty');
  if (state.at === 'leaves') report(state, 'trailer_missing');
}

function reportOf(state: State): ExportReport {
  const { header, judged, counts, partlyHidden } = state;
  const { shown, notShown, wrong } = judgeErasures(state.erasures, exportKinds);
  for (const { line, index, erasure, code } of wrong) {
    state.line = line;
    report(state, code, index, erasure);
  }
  return {
    findings: state.findings,
    moreFindings: state.moreFindings,
    ...(header !== undefined && { header }),
    ...(judged !== undefined && { judged }),
    leaves: countOf(state),
    ...counts,
    partlyHidden,
    erasuresShown: shown,
    erasuresNotShown: notShown,
  };
}
