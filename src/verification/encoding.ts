/**
 * Strict readers of base64url, base64, hex and JSON. One text has one meaning here: what two parsers could
 * read differently (padding, stray bits, repeated names) is refused, because a signature covers the text.
 */

/** A JSON value as `JSON.parse` makes it. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [name: string]: JsonValue };
export type JsonObject = { [name: string]: JsonValue };

/** Bytes as base64url without padding (RFC 7515, section 2). */
export const encodeBase64url = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');

/** A text as base64url of its UTF-8 bytes. */
export const encodeBase64urlText = (text: string): string => Buffer.from(text, 'utf8').toString('base64url');

/**
 * The bytes of a base64url text, or undefined unless it is the one canonical spelling: no padding, no white
 * space, no `+` or `/`, no stray trailing bits (RFC 4648, section 3.5).
 */
export function decodeBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}

/** The bytes of a padded standard base64 text (x5c members, RFC 7515, 4.1.6), or undefined unless canonical. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

/** Bytes as standard base64 with padding. */
export const encodeBase64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');

/** Bytes as lower-case hex. */
export const encodeHex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');

/** The bytes of a lower-case hex text, or undefined. */
export function decodeHex(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'hex');
  return bytes.toString('hex') === text ? bytes : undefined;
}

/** The text of UTF-8 bytes, or undefined when they are not well-formed UTF-8. A byte order mark is kept. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** True for a JSON object (not null, not an array). */
export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** True when a text has a surrogate without its partner, which has no UTF-8 form. */
export const hasLoneSurrogate = (text: string): boolean => loneSurrogate.test(text);
const loneSurrogate = /[\ud800-\udfff]/u;

/** Why a JSON text was refused. */
export type JsonFault = 'malformed_json' | 'duplicate_key' | 'forbidden_character' | 'too_deep';

/** The deepest nesting of arrays and objects that is read. */
const maxJsonDepth = 32;

/**
 * Reads JSON (RFC 8259) that has only one meaning. Refused: a name repeated in one object (compared after
 * unescaping), the name `__proto__` (every object has it already, so it counts as repeated), NUL and lone
 * surrogates in any spelling, more than 32 levels, numbers that no double holds (`1e400`: it would be read as infinity, which JSON
 * cannot say). Other numbers stay numbers: the schema judges them.
 */
export function parseJsonStrictly(text: string): { ok: true; value: JsonValue } | { ok: false; reason: JsonFault } {
  if (text.includes('\0') || hasLoneSurrogate(text)) return { ok: false, reason: 'forbidden_character' };
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch {
    return { ok: false, reason: 'malformed_json' };
  }
  const fault = findFault(text) ?? (mayOverflow.test(text) && hasInfinity(value) ? 'malformed_json' : undefined);
  return fault === undefined ? { ok: true, value } : { ok: false, reason: fault };
}

/** An exponent or very many digits; a text may have them too. Without either, every number is finite. */
const mayOverflow = /[0-9][eE]|[0-9]{309}/;

/** Whether a number somewhere in a value of bounded depth was too large. */
function hasInfinity(value: JsonValue): boolean {
  if (typeof value === 'number') return !Number.isFinite(value);
  return typeof value === 'object' && value !== null && Object.values(value).some(hasInfinity);
}

/** As `parseJsonStrictly`, from bytes; ill-formed UTF-8 is `forbidden_character`. */
export function parseJsonBytesStrictly(
  bytes: Uint8Array,
): { ok: true; value: JsonValue } | { ok: false; reason: JsonFault } {
  const text = decodeUtf8(bytes);
  return text === undefined ? { ok: false, reason: 'forbidden_character' } : parseJsonStrictly(text);
}

const quote = 0x22;
const colon = 0x3a;
const backslash = 0x5c;

/**
 * One pass over a text that is known to be valid JSON, so that only strings, brackets and colons matter.
 * A string is a name when a colon follows it.
 */
function findFault(text: string): JsonFault | undefined {
  const escapes = text.includes('\\');
  const names: (Set<string> | undefined)[] = [];
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      const start = at + 1;
      at = escapes ? findUnescapedQuote(text, start) : text.indexOf('"', start);
      const fault = judgeString(text, start, at, escapes, names, depth);
      if (fault !== undefined) return fault;
    } else if (code === 0x7b || code === 0x5b) {
      depth++;
      if (depth > maxJsonDepth) return 'too_deep';
      names[depth] = undefined;
    } else if (code === 0x7d || code === 0x5d) depth--;
  }
  return undefined;
}

function findUnescapedQuote(text: string, start: number): number {
  let at = text.indexOf('"', start);
  while (isEscaped(text, at)) at = text.indexOf('"', at + 1);
  return at;
}

/** True when the quote at this place is preceded by an odd number of backslashes. */
function isEscaped(text: string, at: number): boolean {
  let before = at - 1;
  while (text.charCodeAt(before) === backslash) before--;
  return (at - before) % 2 === 0;
}

function judgeString(
  text: string,
  start: number,
  end: number,
  escapes: boolean,
  names: (Set<string> | undefined)[],
  depth: number,
): JsonFault | undefined {
  let content: string | undefined;
  if (escapes) {
    const raw = text.slice(start, end);
    content = raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw;
    if (raw !== content && (content.includes('\0') || hasLoneSurrogate(content))) return 'forbidden_character';
  }
  if (!isFollowedByColon(text, end + 1)) return undefined;
  content ??= text.slice(start, end);
  const seen = names[depth];
  if (content === '__proto__' || seen?.has(content) === true) return 'duplicate_key';
  if (seen === undefined) names[depth] = new Set([content]);
  else seen.add(content);
  return undefined;
}

function isFollowedByColon(text: string, from: number): boolean {
  let at = from;
  let code = text.charCodeAt(at);
  while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) code = text.charCodeAt(++at);
  return code === colon;
}
