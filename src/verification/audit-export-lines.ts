import {
  auditExportFormat,
  type ErasedLeaf,
  type ExportHeader,
  type ExportLeaf,
  type ExportTrailer,
  type OpenedLeaf,
  type RedactedLeaf,
  type ShownField,
} from './audit-export.ts';
import { recordFields } from './commitment.ts';
import { decodeBase64, isJsonObject, type JsonObject } from './encoding.ts';

/** Reading the lines of an export: nothing here is proved, but nothing here has two meanings. */

/** Why a line was refused. */
export type LineFault =
  | 'line_not_json'
  | 'line_spelling'
  | 'line_characters'
  | 'header_shape'
  | 'leaf_shape'
  | 'trailer_shape';

export type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: LineFault };

const refuse = (reason: LineFault) => ({ ok: false, reason }) as const;

/**
 * The value of a line that is spelled as `JSON.stringify` spells it. White space, other escapes, other spellings of a number and
 * names given twice all come out different when the value is written again, so each content has one spelling.
 */
function readLine(line: string): Read<unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
    if (JSON.stringify(value) !== line) return refuse('line_spelling');
  } catch {
    // also a RangeError for thousands of levels
    return refuse('line_not_json');
  }
  // JSON.stringify escapes a surrogate only when its partner is missing, and such a text has no UTF-8 form
  const isLone = line.includes('\\ud') && surrogateEscape.test(line.replaceAll('\\\\', ''));
  return isLone ? refuse('line_characters') : { ok: true, value };
}

const surrogateEscape = /\\ud[89a-f]/;

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const hash256 = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;
const paddedHash = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;
const hex256 = /^[0-9a-f]{64}$/;
const rfc3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?Z$/;
/** No tree needs longer paths: sizes are below 2^53. */
const maxPath = 64;

const isId = (value: unknown): value is string => typeof value === 'string' && value.length === 36 && uuid.test(value);
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isSecret = (value: unknown): value is string =>
  typeof value === 'string' && value.length === 43 && hash256.test(value);
const isHash = (value: unknown): value is string =>
  typeof value === 'string' && value.length === 44 && paddedHash.test(value);
const isPath = (value: unknown): value is string[] =>
  Array.isArray(value) && value.length <= maxPath && value.every(isHash);
const isEntry = (value: unknown): value is string => {
  const bytes = typeof value === 'string' && value.length === 48 ? decodeBase64(value) : undefined;
  return bytes?.length === 34 && bytes[0] === 1 && bytes[1] !== 0;
};
const isKind = (value: unknown): value is number => isCount(value) && value >= 1 && value <= 255;

function hasMembers(value: object, names: readonly string[]): boolean {
  let at = 0;
  for (const name in value) if (name !== names[at++]) return false;
  return at === names.length;
}

const recordsHeader = ['format', 'kind', 'origin', 'size', 'checkpoint', 'recordId', 'createdAt', 'question'];
const rangeHeader = [...recordsHeader.slice(0, 5), 'begin', 'end', 'left', 'right', ...recordsHeader.slice(5)];

/** Reads the first line. */
export function readHeader(line: string): Read<ExportHeader> {
  const read = readLine(line);
  if (!read.ok) return read;
  const { value } = read;
  if (!isJsonObject(value) || value['format'] !== auditExportFormat) return refuse('header_shape');
  const isGood =
    value['kind'] === 'range' ? isRange(value) : value['kind'] === 'records' && hasMembers(value, recordsHeader);
  return isGood && isHeader(value) ? { ok: true, value: value as unknown as ExportHeader } : refuse('header_shape');
}

function isHeader({ origin, size, checkpoint, recordId, createdAt, question }: JsonObject): boolean {
  const texts = typeof origin === 'string' && origin !== '' && typeof checkpoint === 'string';
  return texts && isCount(size) && isId(recordId) && isTime(createdAt) && isJsonObject(question);
}

function isRange(value: JsonObject): boolean {
  const { begin, end, left, right } = value;
  return hasMembers(value, rangeHeader) && isCount(begin) && isCount(end) && isPath(left) && isPath(right);
}

const isTime = (value: unknown): boolean =>
  typeof value === 'string' && rfc3339.test(value) && !Number.isNaN(Date.parse(value));

const members = {
  opened: ['index', 'recordId', 'kind', 'entry', 'state', 'fields', 'hidden'],
  redacted: ['index', 'entry', 'state'],
  erased: ['index', 'recordId', 'entry', 'state', 'erasure'],
};
const membersWithPath = {
  opened: [...members.opened, 'path'],
  redacted: [...members.redacted, 'path'],
  erased: [...members.erased, 'path'],
};

/** Reads the line of a leaf; with a path in exports of records, without one in exports of a range. */
export function readLeaf(line: string, withPath: boolean): Read<ExportLeaf> {
  const read = readLine(line);
  if (!read.ok) return read;
  const { value } = read;
  if (!isJsonObject(value)) return refuse('leaf_shape');
  const { state, index, path } = value;
  if (state !== 'opened' && state !== 'redacted' && state !== 'erased') return refuse('leaf_shape');
  if (!isCount(index) || !hasMembers(value, (withPath ? membersWithPath : members)[state])) return refuse('leaf_shape');
  if (withPath && !isPath(path)) return refuse('leaf_shape');
  const leaf = value as unknown as ExportLeaf;
  return isLeaf(leaf) ? { ok: true, value: leaf } : refuse('leaf_shape');
}

function isLeaf(leaf: ExportLeaf): boolean {
  if (leaf.state === 'opened') return isOpened(leaf);
  return leaf.state === 'redacted' ? isRedacted(leaf) : isErased(leaf);
}
const isRedacted = (leaf: RedactedLeaf): boolean => isEntry(leaf.entry);
const isErased = (leaf: ErasedLeaf): boolean =>
  isId(leaf.recordId) && isEntry(leaf.entry) && (leaf.erasure === null || isId(leaf.erasure));

/** Every field of the schema once, shown or hidden, in the order of the schema. */
function isOpened({ recordId, kind, entry, fields, hidden }: OpenedLeaf): boolean {
  if (!isId(recordId) || !isKind(kind) || !isEntry(entry) || !isJsonObject(fields) || !isJsonObject(hidden))
    return false;
  const shownNames = Object.keys(fields);
  const hiddenNames = Object.keys(hidden);
  let shown = 0;
  let kept = 0;
  for (const name of recordFields) {
    if (shownNames[shown] === name) {
      if (!isShown(fields[name])) return false;
      shown++;
    } else {
      if (hiddenNames[kept] !== name || !isSecret(hidden[name])) return false;
      kept++;
    }
  }
  return shown === shownNames.length && kept === hiddenNames.length;
}

const shownMembers = ['salt', 'canonical'];
const isShown = (field: ShownField | undefined): boolean =>
  isJsonObject(field) &&
  isSecret(field['salt']) &&
  typeof field['canonical'] === 'string' &&
  hasMembers(field, shownMembers);

const trailerMembers = ['end', 'leaves', 'opened', 'redacted', 'erased', 'sha256'];

/** How every last line begins, and no other line. */
export const trailerStart = '{"end":true';

/** Reads the last line. */
export function readTrailer(line: string): Read<ExportTrailer> {
  const read = readLine(line);
  if (!read.ok) return read;
  const { value } = read;
  if (!isJsonObject(value) || !hasMembers(value, trailerMembers)) return refuse('trailer_shape');
  const { end, leaves, opened, redacted, erased, sha256 } = value;
  const good =
    end === true &&
    [leaves, opened, redacted, erased].every(isCount) &&
    typeof sha256 === 'string' &&
    hex256.test(sha256);
  return good ? { ok: true, value: value as unknown as ExportTrailer } : refuse('trailer_shape');
}
