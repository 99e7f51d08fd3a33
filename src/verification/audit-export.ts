import { createHash } from 'node:crypto';
import { fieldSalts, type RecordField, recordFields } from './commitment.ts';
import { encodeBase64, encodeBase64url } from './encoding.ts';

/**
 * The file an auditor takes away: certhub-audit-export/1, lines of JSON (UTF-8, each ending in LF). A header with a checkpoint of the log,
 * one line per leaf by ascending index, a trailer with counts and the SHA-256 of everything before it. Every line is spelled
 * as `JSON.stringify` spells it with the members in the order of the types here: one content, one file.
 */
export const auditExportFormat = 'certhub-audit-export/1';

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

/** `records`: some leaves, each with its own inclusion path. `range`: every leaf from `begin` to before `end`, none left out. */
export type ExportKind = 'records' | 'range';

/** The first line. Hashes of `left` and `right` are standard base64 of 32 bytes: the range proof of `begin` … `end` in `size`. */
export type ExportHeader = {
  readonly format: typeof auditExportFormat;
  readonly kind: ExportKind;
  readonly origin: string;
  /** Leaves under the checkpoint. */
  readonly size: number;
  /** The signed note with the lines of its witnesses. */
  readonly checkpoint: string;
  readonly begin?: number;
  readonly end?: number;
  readonly left?: readonly string[];
  readonly right?: readonly string[];
  /** The record that this export itself left in the log. */
  readonly recordId: string;
  /** RFC 3339, UTC. */
  readonly createdAt: string;
  /** What was asked for, as the hub understood it. */
  readonly question: { readonly [name: string]: unknown };
};

/** A field that is shown: its own salt (base64url, 32 bytes) and the text that was committed to. */
export type ShownField = { readonly salt: string; readonly canonical: string };

/** A record that is shown, in full or in part. Each field of the schema is in `fields` or, as its commitment, in `hidden`. */
export type OpenedLeaf = {
  readonly index: number;
  readonly recordId: string;
  /** The number of the record's kind, as in the log entry. */
  readonly kind: number;
  /** The 34 bytes of the log (standard base64). What is shown must lead to them, so that a fault is found in its line. */
  readonly entry: string;
  readonly state: 'opened';
  readonly fields: { readonly [name in RecordField]?: ShownField };
  /** base64url of c_i. */
  readonly hidden: { readonly [name in RecordField]?: string };
  /** Inclusion path in standard base64, leaf's sibling first; in exports of records only. */
  readonly path?: readonly string[];
};

/** A leaf of which nothing is shown but its 34 bytes (standard base64). */
export type RedactedLeaf = {
  readonly index: number;
  readonly entry: string;
  readonly state: 'redacted';
  readonly path?: readonly string[];
};

/** A leaf whose body is gone. `erasure` is the record that says by what right, if the hub knows one. */
export type ErasedLeaf = {
  readonly index: number;
  readonly recordId: string;
  readonly entry: string;
  readonly state: 'erased';
  readonly erasure: string | null;
  readonly path?: readonly string[];
};

export type ExportLeaf = OpenedLeaf | RedactedLeaf | ErasedLeaf;

/** The last line. `sha256` is lower-case hex over every byte before this line. */
export type ExportTrailer = {
  readonly end: true;
  readonly leaves: number;
  readonly opened: number;
  readonly redacted: number;
  readonly erased: number;
  readonly sha256: string;
};

/** Writes an export line by line; each call returns whole lines, to be sent or stored in that order. */
export type ExportWriter = {
  readonly header: (header: Omit<ExportHeader, 'format'>) => string;
  readonly leaf: (leaf: ExportLeaf) => string;
  readonly trailer: () => string;
};

/**
 * A writer for one export: `header` once, `leaf` by ascending index, `trailer` once. It keeps the counts and the running hash and
 * nothing else, so that an export of any size is streamed.
 */
export function startExport(): ExportWriter {
  const counts = { opened: 0, redacted: 0, erased: 0 };
  const digest = createHash('sha256');
  const line = (text: string): string => {
    digest.update(text, 'utf8');
    return text;
  };
  return {
    header: (header) => line(headerText(header)),
    leaf: (leaf) => {
      counts[leaf.state]++;
      return line(leafText(leaf));
    },
    trailer: () => {
      const leaves = counts.opened + counts.redacted + counts.erased;
      return `${JSON.stringify({ end: true, leaves, ...counts, sha256: digest.digest('hex') } satisfies ExportTrailer)}\n`;
    },
  };
}

// Members are named one by one: the order is part of the format, and nothing else may slip into a file that leaves the house.

function headerText(header: Omit<ExportHeader, 'format'>): string {
  const { kind, origin, size, checkpoint, begin, end, left, right, recordId, createdAt, question } = header;
  const range = kind === 'range' ? { begin, end, left, right } : {};
  return `${JSON.stringify({ format: auditExportFormat, kind, origin, size, checkpoint, ...range, recordId, createdAt, question })}\n`;
}

function leafText(leaf: ExportLeaf): string {
  const path = leaf.path === undefined ? {} : { path: leaf.path };
  if (leaf.state === 'opened') {
    const { index, recordId, kind, entry, state, fields, hidden } = leaf;
    return `${JSON.stringify({ index, recordId, kind, entry, state, fields, hidden, ...path })}\n`;
  }
  if (leaf.state === 'redacted') {
    return `${JSON.stringify({ index: leaf.index, entry: leaf.entry, state: leaf.state, ...path })}\n`;
  }
  const { index, recordId, entry, state, erasure } = leaf;
  return `${JSON.stringify({ index, recordId, entry, state, erasure, ...path })}\n`;
}

/** A record as its keeper holds it: record salt, canonical texts and field commitments in the order of `recordFields`. */
export type WholeRecord = {
  readonly index: number;
  readonly recordId: string;
  /** The 34 bytes in the log. */
  readonly entry: Uint8Array;
  readonly salt: Uint8Array;
  readonly canonical: readonly string[];
  readonly fieldCommitments: readonly Uint8Array[];
  readonly path?: readonly Uint8Array[];
};

/** The leaf of a record of which the fields that `shows` names are shown and the others stay hidden. */
export function openedLeaf(record: WholeRecord, shows: (name: RecordField) => boolean): OpenedLeaf {
  const fields: { [name in RecordField]?: ShownField } = {};
  const hidden: { [name in RecordField]?: string } = {};
  const salts = fieldSalts(Buffer.from(record.recordId.replaceAll('-', ''), 'hex'), record.salt);
  for (const [at, name] of recordFields.entries()) {
    const canonical = record.canonical[at];
    const commitment = record.fieldCommitments[at];
    const salt = salts[at];
    if (canonical === undefined || commitment === undefined || salt === undefined)
      throw new RangeError('a record has another number of fields');
    if (shows(name)) fields[name] = { salt: encodeBase64url(salt), canonical };
    else hidden[name] = encodeBase64url(commitment);
  }
  const { index, recordId, path } = record;
  const kind = record.entry[1] ?? 0;
  const entry = encodeBase64(record.entry);
  return {
    index,
    recordId,
    kind,
    entry,
    state: 'opened',
    fields,
    hidden,
    ...(path && { path: path.map(encodeBase64) }),
  };
}

/** A leaf of which nothing is shown. `entry` is the 34 bytes of the log. */
export const redactedLeaf = (index: number, entry: Uint8Array, path?: readonly Uint8Array[]): RedactedLeaf => ({
  index,
  entry: encodeBase64(entry),
  state: 'redacted',
  ...(path && { path: path.map(encodeBase64) }),
});

/** A leaf whose body is gone; `erasure` is the id of the record of the act that allowed it. */
export const erasedLeaf = (
  leaf: {
    readonly index: number;
    readonly recordId: string;
    readonly entry: Uint8Array;
    readonly erasure: string | null;
  },
  path?: readonly Uint8Array[],
): ErasedLeaf => ({
  index: leaf.index,
  recordId: leaf.recordId,
  entry: encodeBase64(leaf.entry),
  state: 'erased',
  erasure: leaf.erasure,
  ...(path && { path: path.map(encodeBase64) }),
});
