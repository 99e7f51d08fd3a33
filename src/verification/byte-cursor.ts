/**
 * Stepping through the bytes of a line that has one spelling. Each step either finds what must stand there and goes behind it, or sets
 * `at` to -1, where it stays: who steps looks once, at the end.
 */
export type ByteCursor = { line: Buffer; at: number };

/** Steps over bytes that must stand here. */
export function take(cursor: ByteCursor, expected: Buffer): void {
  if (cursor.at >= 0 && !takeIf(cursor, expected)) cursor.at = -1;
}

/** True, and behind them, when these bytes stand here. */
export function takeIf(cursor: ByteCursor, expected: Buffer): boolean {
  const { line, at } = cursor;
  for (let i = 0; i < expected.length; i++) if (line[at + i] !== expected[i]) return false;
  cursor.at = at + expected.length;
  return true;
}

/** Steps over one byte that must stand here. */
export function takeByte(cursor: ByteCursor, byte: number): void {
  const { line, at } = cursor;
  cursor.at = at >= 0 && line[at] === byte ? at + 1 : -1;
}

/** A whole number as JSON.stringify writes it, of at most 15 digits; -1 when there is none. */
export function takeNumber(cursor: ByteCursor): number {
  const { line, at: from } = cursor;
  if (from < 0) return -1;
  let at = from;
  let value = 0;
  for (let digit = (line[at] ?? 0) - 0x30; digit >= 0 && digit <= 9; digit = (line[at] ?? 0) - 0x30) {
    value = value * 10 + digit;
    at++;
  }
  const length = at - from;
  const isNumber = length > 0 && length <= 15 && (length === 1 || line[from] !== 0x30);
  cursor.at = isNumber ? at : -1;
  return isNumber ? value : -1;
}

/** -1 for no digit: it stays negative in whichever half of a byte it stands. */
const hex = new Int8Array(256).fill(-1);
for (let value = 0; value < 16; value++) hex['0123456789abcdef'.charCodeAt(value)] = value;

const dash = 0x2d;
/** Hexadecimal digits between the dashes of a UUID. */
const uuidGroups = [8, 4, 4, 4, 12];

/** A UUID in lower case: its 16 bytes into `target` from `to` on. */
export function takeUuid(cursor: ByteCursor, target: Buffer, to: number): void {
  const { line } = cursor;
  let out = to;
  for (const count of uuidGroups) {
    if (out > to) takeByte(cursor, dash);
    const { at } = cursor;
    if (at < 0) return;
    for (let i = 0; i < count; i += 2) {
      const byte = ((hex[line[at + i] ?? 0] ?? -1) << 4) | (hex[line[at + i + 1] ?? 0] ?? -1);
      if (byte < 0) {
        cursor.at = -1;
        return;
      }
      target[out++] = byte;
    }
    cursor.at = at + count;
  }
}

const none = 255;
const digitsOf = (alphabet: string): Uint8Array => {
  const table = new Uint8Array(256).fill(none);
  for (let value = 0; value < alphabet.length; value++) table[alphabet.charCodeAt(value)] = value;
  return table;
};
const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
/** Digits of base64 and base64url by their character. */
export const base64 = digitsOf(`${letters}+/`);
export const base64url = digitsOf(`${letters}-_`);

/**
 * `count` digits of base64, without padding, into `target` from `to` on. The bits that the last digit has too many must be zero.
 */
export function takeBase64(cursor: ByteCursor, table: Uint8Array, target: Buffer, to: number, count: number): void {
  const { line, at } = cursor;
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
  const surplus = held & ((1 << bits) - 1);
  cursor.at = bad === 0 && surplus === 0 ? at + count : -1;
}
