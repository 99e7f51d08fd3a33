import { hash } from 'node:crypto';
import { fieldPrefix, recordFields, recordPrefix } from './commitment.ts';

/**
 * The quick way through the line of an opened record: one pass over its bytes, which are hashed where they are read. It knows the one spelling
 * that ordinary records have and says undefined to everything else, which the thorough reader then judges: so it can only be
 * too careful, never too trusting. Half of the work of a check would otherwise be to read JSON and to write it again.
 */

/** What the line of an opened record says, and what follows from it. */
export type OpenedLine = {
  readonly index: number;
  readonly recordId: string;
  readonly kind: number;
  /** The 34 bytes that the line says are in the log. */
  readonly entry: Buffer;
  /** The commitment over what the line shows and hides: 32 bytes. */
  readonly commitment: Buffer;
  /** The canonical text of the field `kind`, where shown. */
  readonly saidKind: string | undefined;
  /** How many fields the line hides. */
  readonly hidden: number;
  /** 32 bytes each; undefined where the line has none. */
  readonly path: readonly Buffer[] | undefined;
};

const idLength = 16;
const fieldIdAt = fieldPrefix.length;
const numberAt = fieldIdAt + idLength;
const saltAt = numberAt + 1;
const lengthAt = saltAt + 32;
const textAt = lengthAt + 4;
const recordIdAt = recordPrefix.length;
const commitmentsAt = recordIdAt + idLength + 1;

// Nothing here yields, so one set of scratch buffers serves all lines.
const maxLine = 65_536;
const field = Buffer.alloc(textAt + maxLine);
fieldPrefix.copy(field, 0);
const record = Buffer.alloc(commitmentsAt + 32 * recordFields.length);
recordPrefix.copy(record, 0);
record[commitmentsAt - 1] = recordFields.length;
/** The first n bytes of the scratch buffer, made once: making a view costs as much as hashing it. */
const views: (Buffer | undefined)[] = [];

const none = 255;
const digitsOf = (alphabet: string): Uint8Array => {
  const table = new Uint8Array(256).fill(none);
  for (let value = 0; value < alphabet.length; value++) table[alphabet.charCodeAt(value)] = value;
  return table;
};
const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const base64 = digitsOf(`${letters}+/`);
const base64url = digitsOf(`${letters}-_`);
/** -1 for none: it stays negative in whichever half of a byte it stands. */
const hex = new Int8Array(256).fill(-1);
for (let value = 0; value < 16; value++) hex['0123456789abcdef'.charCodeAt(value)] = value;

const ascii = (text: string): Buffer => Buffer.from(text, 'latin1');
const start = ascii('{"index":');
const afterIndex = ascii(',"recordId":"');
const afterId = ascii('","kind":');
const afterKind = ascii(',"entry":"');
const afterEntry = ascii('","state":"opened","fields":{');
const beforeHidden = ascii('},"hidden":{');
const beforeCanonical = ascii('","canonical":"');
const beforePath = ascii(',"path":[');
const shownNames = recordFields.map((name) => ascii(`"${name}":{"salt":"`));
const hiddenNames = recordFields.map((name) => ascii(`"${name}":"`));
const kindAt = recordFields.indexOf('kind');

const quote = 0x22;
const comma = 0x2c;
const backslash = 0x5c;
const closingBrace = 0x7d;
const closingBracket = 0x5d;
const dash = 0x2d;
const padding = 0x3d;

// Where the scan stands. -1: this is no such line.
let at = 0;

/** Reads the line (without its line end, well-formed UTF-8) of an opened record; undefined when the thorough reader must judge. */
export function scanOpened(line: Buffer): OpenedLine | undefined {
  if (line.length > maxLine) return undefined;
  at = 0;
  take(line, start);
  const index = takeNumber(line);
  take(line, afterIndex);
  const idAt = at;
  takeId(line);
  take(line, afterId);
  const kind = takeNumber(line);
  take(line, afterKind);
  const entry = Buffer.allocUnsafe(36);
  takeBase64(line, base64, entry, 0, 46);
  // 34 bytes: the 46th digit has four bits of none, and two characters pad
  if (at < 0 || entry[34] !== 0 || line[at] !== padding || line[at + 1] !== padding) return undefined;
  at += 2;
  take(line, afterEntry);
  const { saidKind, hiddenCount } = takeFields(line);
  const path = takeEnd(line);
  if (at !== line.length || index < 0 || kind < 1 || kind > 255 || entry[0] !== 1 || entry[1] === 0) return undefined;
  return {
    index,
    recordId: line.toString('latin1', idAt, idAt + 36),
    kind,
    entry: entry.subarray(0, 34),
    commitment: Buffer.from(hash('sha256', record, 'binary'), 'latin1'),
    saidKind,
    hidden: hiddenCount,
    path,
  };
}

/** Steps over bytes that must stand here. */
function take(line: Buffer, expected: Buffer): void {
  if (at < 0) return;
  for (let i = 0; i < expected.length; i++) {
    if (line[at + i] !== expected[i]) {
      at = -1;
      return;
    }
  }
  at += expected.length;
}

/** True, and behind them, when these bytes stand here. */
function takeIf(line: Buffer, expected: Buffer): boolean {
  for (let i = 0; i < expected.length; i++) if (line[at + i] !== expected[i]) return false;
  at += expected.length;
  return true;
}

/** A whole number as JSON.stringify writes it, of at most 15 digits. */
function takeNumber(line: Buffer): number {
  if (at < 0) return -1;
  const from = at;
  let value = 0;
  for (let digit = (line[at] ?? 0) - 0x30; digit >= 0 && digit <= 9; digit = (line[at] ?? 0) - 0x30) {
    value = value * 10 + digit;
    at++;
  }
  const length = at - from;
  if (length === 0 || length > 15 || (length > 1 && line[from] === 0x30)) at = -1;
  return value;
}

/** The record id, into both scratch buffers. */
function takeId(line: Buffer): void {
  let to = fieldIdAt;
  for (const count of idGroups) {
    if (to > fieldIdAt) takeByte(line, dash);
    if (at < 0) return;
    for (let i = 0; i < count; i += 2) {
      const digits = ((hex[line[at + i] ?? 0] ?? -1) << 4) | (hex[line[at + i + 1] ?? 0] ?? -1);
      if (digits < 0) {
        at = -1;
        return;
      }
      field[to++] = digits;
    }
    at += count;
  }
  field.copy(record, recordIdAt, fieldIdAt, numberAt);
}

/** Hexadecimal digits between the dashes of a UUID. */
const idGroups = [8, 4, 4, 4, 12];

/** `count` digits of base64 into `target` from `to` on; the last may stand for fewer bits, which must be zero: the caller's to see. */
function takeBase64(line: Buffer, table: Uint8Array, target: Buffer, to: number, count: number): void {
  if (at < 0) return;
  let bits = 0;
  let held = 0;
  let bad = 0;
  let out = to;
  for (let i = 0; i < count; i++) {
    const digit = table[line[at + i] ?? 0] ?? none;
    bad |= digit & 0xc0;
    held = ((held << 6) | digit) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      target[out++] = held >> bits;
    }
  }
  // what is left of the last digit
  target[out] = (held << (8 - bits)) & 0xff;
  if (bits === 0) target[out] = 0;
  at = bad === 0 ? at + count : -1;
}

const secret = Buffer.alloc(33);

/** 32 bytes as 43 characters of base64url, into `target`. */
function takeSecret(line: Buffer, target: Buffer, to: number): void {
  takeBase64(line, base64url, secret, 0, 43);
  if (secret[32] !== 0) at = -1;
  secret.copy(target, to, 0, 32);
}

/** The members `fields` and `hidden`: each field of the schema in one of them. Their commitments go into the scratch record. */
function takeFields(line: Buffer): { saidKind: string | undefined; hiddenCount: number } {
  let saidKind: string | undefined;
  let hidden = 0;
  let hiddenCount = 0;
  let isFirst = true;
  for (let number = 0; number < recordFields.length && at >= 0; number++) {
    if (!takeName(line, number, isFirst)) {
      hidden |= 1 << number;
      hiddenCount++;
      continue;
    }
    isFirst = false;
    const length = takeShown(line, number);
    if (number === kindAt && length >= 0) saidKind = field.toString('utf8', textAt, textAt + length);
  }
  take(line, beforeHidden);
  takeHidden(line, hidden);
  return { saidKind, hiddenCount };
}

/** True, and behind it, when this field is the next one shown. */
function takeName(line: Buffer, number: number, isFirst: boolean): boolean {
  const before = at;
  if (!isFirst) {
    if (line[at] !== comma) return false;
    at++;
  }
  if (takeIf(line, shownNames[number] ?? start)) return true;
  at = before;
  return false;
}

/** The commitments of those that were not shown; one bit each. */
function takeHidden(line: Buffer, hidden: number): void {
  let isFirst = true;
  for (let number = 0; number < recordFields.length; number++) {
    if ((hidden & (1 << number)) === 0) continue;
    if (!isFirst) takeByte(line, comma);
    isFirst = false;
    take(line, hiddenNames[number] ?? start);
    takeSecret(line, record, commitmentsAt + 32 * number);
    takeByte(line, quote);
  }
  takeByte(line, closingBrace);
}

function takeByte(line: Buffer, byte: number): void {
  at = at >= 0 && line[at] === byte ? at + 1 : -1;
}

/** Salt and text of a shown field, hashed into the scratch record. Answers the length of the text in bytes. */
function takeShown(line: Buffer, number: number): number {
  takeSecret(line, field, saltAt);
  take(line, beforeCanonical);
  if (at < 0) return -1;
  let to = textAt;
  let from = at;
  for (;;) {
    const byte = line[from++] ?? 0;
    if (byte === quote) break;
    // Canonical JSON inside JSON: quotes and backslashes are escaped, and there is nothing else to escape.
    if (byte === backslash) {
      const escaped = line[from++];
      if (escaped !== quote && escaped !== backslash) {
        at = -1;
        return -1;
      }
      field[to++] = escaped;
    } else if (byte < 0x20) {
      at = -1;
      return -1;
    } else field[to++] = byte;
  }
  at = from;
  takeByte(line, closingBrace);
  const length = to - textAt;
  field[numberAt] = number + 1;
  field[lengthAt] = 0;
  field[lengthAt + 1] = length >> 16;
  field[lengthAt + 2] = (length >> 8) & 0xff;
  field[lengthAt + 3] = length & 0xff;
  const view = views[to] ?? field.subarray(0, to);
  // of the few lengths that most fields have
  if (to < 2048) views[to] = view;
  record.write(hash('sha256', view, 'binary'), commitmentsAt + 32 * number, 32, 'latin1');
  return length;
}

/** The rest of the line: an inclusion path, or nothing, and the closing brace. */
function takeEnd(line: Buffer): Buffer[] | undefined {
  if (at < 0) return undefined;
  if (line[at] === closingBrace) {
    at++;
    return undefined;
  }
  take(line, beforePath);
  const path: Buffer[] = [];
  while (at >= 0 && line[at] !== closingBracket) {
    if (path.length > 0) takeByte(line, comma);
    takeByte(line, quote);
    const bytes = Buffer.allocUnsafe(33);
    takeBase64(line, base64, bytes, 0, 43);
    if (bytes[32] !== 0) at = -1;
    takeByte(line, padding);
    takeByte(line, quote);
    path.push(bytes.subarray(0, 32));
    // longer paths than any tree has are the thorough reader's
    if (path.length > 64) at = -1;
  }
  takeByte(line, closingBracket);
  takeByte(line, closingBrace);
  return path;
}
