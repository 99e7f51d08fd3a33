import { hash } from 'node:crypto';
import type { OpenedLine } from './audit-export-opened.ts';
import {
  type ByteCursor,
  base64,
  base64url,
  take,
  takeBase64,
  takeByte,
  takeIf,
  takeNumber,
  takeUuid,
} from './byte-cursor.ts';
import { fieldPrefix, recordFields, recordPrefix } from './commitment.ts';

/**
 * The quick way through the line of an opened record: one pass over its bytes, which are hashed where they are read. It knows the one spelling
 * that ordinary records have and says undefined to everything else, which the thorough reader then judges: so it can only be
 * too careful, never too trusting. Half of the work of a check would otherwise be to read JSON and to write it again.
 */

const idLength = 16;
const hashLength = 32;
const fieldIdAt = fieldPrefix.length;
const numberAt = fieldIdAt + idLength;
const saltAt = numberAt + 1;
const lengthAt = saltAt + hashLength;
const textAt = lengthAt + 4;
const recordIdAt = recordPrefix.length;
const commitmentsAt = recordIdAt + idLength + 1;
const entryLength = 34;

// Nothing here yields, so one cursor and one set of scratch buffers serve all lines.
const maxLine = 65_536;
const cursor: ByteCursor = { line: Buffer.alloc(0), at: 0 };
const field = Buffer.alloc(textAt + maxLine);
fieldPrefix.copy(field, 0);
const record = Buffer.alloc(commitmentsAt + hashLength * recordFields.length);
recordPrefix.copy(record, 0);
record[commitmentsAt - 1] = recordFields.length;
/** The first n bytes of `field`, made once: making a view costs as much as hashing it. */
const views: (Buffer | undefined)[] = [];

const ascii = (text: string): Buffer => Buffer.from(text, 'latin1');
const start = ascii('{"index":');
const afterIndex = ascii(',"recordId":"');
const afterId = ascii('","kind":');
const afterKind = ascii(',"entry":"');
const afterEntry = ascii('=="');
const beforeFields = ascii(',"state":"opened","fields":{');
const beforeHidden = ascii('},"hidden":{');
const beforeCanonical = ascii('","canonical":"');
const beforePath = ascii(',"path":[');
const afterHash = ascii('="');
const shownNames = recordFields.map((name) => ascii(`"${name}":{"salt":"`));
const hiddenNames = recordFields.map((name) => ascii(`"${name}":"`));
const kindAt = recordFields.indexOf('kind');

const quote = 0x22;
const comma = 0x2c;
const backslash = 0x5c;
const closingBrace = 0x7d;
const closingBracket = 0x5d;

/** Reads the line (without its line end, well-formed UTF-8) of an opened record; undefined when the thorough reader must judge. */
export function scanOpened(line: Buffer): OpenedLine | undefined {
  if (line.length > maxLine) return undefined;
  cursor.line = line;
  cursor.at = 0;
  take(cursor, start);
  const index = takeNumber(cursor);
  take(cursor, afterIndex);
  const idAt = cursor.at;
  takeUuid(cursor, field, fieldIdAt);
  field.copy(record, recordIdAt, fieldIdAt, numberAt);
  take(cursor, afterId);
  const kind = takeNumber(cursor);
  take(cursor, afterKind);
  const entry = Buffer.allocUnsafe(entryLength);
  takeBase64(cursor, base64, entry, 0, 46);
  take(cursor, afterEntry);
  take(cursor, beforeFields);
  const { saidKind, hidden } = takeFields();
  const path = takeEnd();
  if (cursor.at !== line.length || kind < 1 || kind > 255 || entry[0] !== 1 || entry[1] === 0) return undefined;
  return {
    index,
    recordId: line.toString('latin1', idAt, idAt + 36),
    kind,
    entry,
    commitment: Buffer.from(hash('sha256', record, 'binary'), 'latin1'),
    saidKind,
    hidden,
    path,
  };
}

/** 32 bytes as 43 characters of base64url, into `target`. */
const takeSecret = (target: Buffer, to: number): void => takeBase64(cursor, base64url, target, to, 43);

/** The members `fields` and `hidden`: each field of the schema in one of them. Their commitments go into the scratch record. */
function takeFields(): { saidKind: string | undefined; hidden: number } {
  let saidKind: string | undefined;
  const hidden: number[] = [];
  let isFirst = true;
  for (let number = 0; number < recordFields.length && cursor.at >= 0; number++) {
    if (!takeName(number, isFirst)) {
      hidden.push(number);
      continue;
    }
    isFirst = false;
    const length = takeShown(number);
    if (number === kindAt && length >= 0) saidKind = field.toString('utf8', textAt, textAt + length);
  }
  take(cursor, beforeHidden);
  takeHidden(hidden);
  return { saidKind, hidden: hidden.length };
}

/** True, and behind it, when this field is the next one shown. */
function takeName(number: number, isFirst: boolean): boolean {
  const { line, at } = cursor;
  if (!isFirst) {
    if (line[at] !== comma) return false;
    cursor.at++;
  }
  if (takeIf(cursor, shownNames[number] ?? start)) return true;
  cursor.at = at;
  return false;
}

/** The commitments of those that were not shown. */
function takeHidden(numbers: readonly number[]): void {
  for (const [at, number] of numbers.entries()) {
    if (at > 0) takeByte(cursor, comma);
    take(cursor, hiddenNames[number] ?? start);
    takeSecret(record, commitmentsAt + hashLength * number);
    takeByte(cursor, quote);
  }
  takeByte(cursor, closingBrace);
}

/** Salt and text of a shown field, hashed into the scratch record. Answers the length of the text in bytes, -1 for none. */
function takeShown(number: number): number {
  takeSecret(field, saltAt);
  take(cursor, beforeCanonical);
  const to = takeText();
  takeByte(cursor, closingBrace);
  if (cursor.at < 0) return -1;
  const length = to - textAt;
  field[numberAt] = number + 1;
  field[lengthAt] = 0;
  field[lengthAt + 1] = length >> 16;
  field[lengthAt + 2] = (length >> 8) & 0xff;
  field[lengthAt + 3] = length & 0xff;
  const view = views[to] ?? field.subarray(0, to);
  // of the few lengths that most fields have
  if (to < 2048) views[to] = view;
  record.write(hash('sha256', view, 'binary'), commitmentsAt + hashLength * number, hashLength, 'latin1');
  return length;
}

/** The rest of a text and its closing quote, unescaped into the scratch field. Answers where it ends there. */
function takeText(): number {
  const { line } = cursor;
  let to = textAt;
  let from = cursor.at;
  if (from < 0) return to;
  for (;;) {
    const byte = line[from++] ?? 0;
    if (byte === quote) break;
    // Canonical JSON inside JSON: quotes and backslashes are escaped, and there is nothing else to escape.
    const escaped = byte === backslash ? line[from++] : undefined;
    if (byte < 0x20 || (byte === backslash && escaped !== quote && escaped !== backslash)) {
      cursor.at = -1;
      return to;
    }
    field[to++] = escaped ?? byte;
  }
  cursor.at = from;
  return to;
}

/** The rest of the line: an inclusion path, or nothing, and the closing brace. */
function takeEnd(): Buffer[] | undefined {
  let path: Buffer[] | undefined;
  if (cursor.line[cursor.at] === comma) {
    take(cursor, beforePath);
    path = takePath();
    takeByte(cursor, closingBracket);
  }
  takeByte(cursor, closingBrace);
  return path;
}

function takePath(): Buffer[] {
  const path: Buffer[] = [];
  while (cursor.at >= 0 && cursor.line[cursor.at] !== closingBracket) {
    if (path.length > 0) takeByte(cursor, comma);
    takeByte(cursor, quote);
    const hashed = Buffer.allocUnsafe(hashLength);
    takeBase64(cursor, base64, hashed, 0, 43);
    take(cursor, afterHash);
    path.push(hashed);
    // longer paths than any tree has are the thorough reader's
    if (path.length > 64) cursor.at = -1;
  }
  return path;
}
