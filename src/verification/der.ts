/** A DER value: `raw` with tag and length, `content` without. `children` is empty for primitive values. */
export type Der = {
  readonly tag: number;
  readonly raw: Buffer;
  readonly content: Buffer;
  readonly children: readonly Der[];
};

/** Universal tags that X.509 uses. */
export const derTags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  enumerated: 0x0a,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Thrown by the readers below; never leaves `attempt`. */
class DerFault extends Error {}

/** Refuses what is being read. */
export function refuseDer(): never {
  throw new DerFault('malformed DER');
}

/** What `read` returns, or undefined when it met malformed DER. */
export function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (fault) {
    if (fault instanceof DerFault) return undefined;
    throw fault;
  }
}

const maxDepth = 16;

/**
 * Reads one DER value (X.690, section 10) that fills the bytes exactly: definite lengths in their shortest form,
 * single-byte tags, at most 16 levels and `maxValues` values, minimal integers, true as 0xff. Bounds what an untrusted
 * file can cost, and leaves one reading of it. Inside `attempt` only.
 */
export function parseDer(bytes: Uint8Array, maxValues = 2_000): Der {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const value = readValue(buffer, 0, { values: maxValues }, 0);
  return value.raw.length === buffer.length ? value : refuseDer();
}

function readValue(bytes: Buffer, start: number, budget: { values: number }, depth: number): Der {
  const tag = bytes[start] ?? refuseDer();
  if ((tag & 0x1f) === 0x1f || depth > maxDepth || --budget.values < 0) return refuseDer();
  const { contentStart, end } = readLength(bytes, start + 1);
  const content = bytes.subarray(contentStart, end);
  if (tag === derTags.boolean) checkBoolean(content);
  if (tag === derTags.integer || tag === derTags.enumerated) checkInteger(content);
  const children: Der[] = [];
  if ((tag & 0x20) !== 0) {
    for (let at = 0; at < content.length; ) {
      const child = readValue(content, at, budget, depth + 1);
      children.push(child);
      at += child.raw.length;
    }
  }
  return { tag, raw: bytes.subarray(start, end), content, children };
}

function readLength(bytes: Buffer, at: number): { contentStart: number; end: number } {
  const first = bytes[at] ?? refuseDer();
  let length = first;
  let contentStart = at + 1;
  if (first >= 0x80) {
    const octets = first & 0x7f;
    if (octets === 0 || octets > 4 || contentStart + octets > bytes.length) return refuseDer();
    length = bytes.readUIntBE(contentStart, octets);
    contentStart += octets;
    const shortest = length < 0x80 ? 0 : Math.ceil(Math.log2(length + 1) / 8);
    if (octets !== shortest) return refuseDer();
  }
  const end = contentStart + length;
  return end > bytes.length ? refuseDer() : { contentStart, end };
}

function checkBoolean(content: Buffer): void {
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) refuseDer();
}

function checkInteger(content: Buffer): void {
  const [first = 0, second] = content;
  if (content.length === 0) refuseDer();
  if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) refuseDer();
}

/** The children of a value that must have this tag and between `min` and `max` children. */
export function childrenOf(value: Der | undefined, tag: number, min = 0, max = Infinity): readonly Der[] {
  if (value?.tag !== tag || value.children.length < min || value.children.length > max) return refuseDer();
  return value.children;
}

/** The content of a value that must have this tag. */
export const contentOf = (value: Der | undefined, tag: number): Buffer =>
  value?.tag === tag ? value.content : refuseDer();

/** The dotted text of an OBJECT IDENTIFIER. Arcs may have any size: 2.25 takes a whole UUID. */
export function oidOf(value: Der | undefined): string {
  const content = contentOf(value, derTags.oid);
  // a last byte that announces another, or an arc that starts with padding, has a second reading
  if (content.length === 0 || content.length > 64 || (content.at(-1) ?? 0x80) >= 0x80) return refuseDer();
  const arcs: bigint[] = [];
  let arc: bigint | undefined;
  for (const byte of content) {
    if (arc === undefined && byte === 0x80) return refuseDer();
    arc = ((arc ?? 0n) << 7n) | BigInt(byte & 0x7f);
    if (byte >= 0x80) continue;
    arcs.push(arc);
    arc = undefined;
  }
  const [head = 0n, ...others] = arcs;
  const root = head < 80n ? head / 40n : 2n;
  return [root, head - 40n * root, ...others].join('.');
}

/** The epoch seconds of a UTCTime or GeneralizedTime in the only form RFC 5280, 4.1.2.5 allows. */
export function timeOf(value: Der | undefined): number {
  const isShort = value?.tag === derTags.utcTime;
  const text = contentOf(value, isShort ? derTags.utcTime : derTags.generalizedTime).toString('latin1');
  const digits = isShort ? (Number(text.slice(0, 2)) >= 50 ? '19' : '20') + text : text;
  const parts = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/.exec(digits) ?? refuseDer();
  const [, year, month, day, hour, minute, second] = parts;
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const time = Date.parse(iso);
  // Date.parse rolls 30 February over to March
  return Number.isNaN(time) || new Date(time).toISOString() !== iso ? refuseDer() : time / 1000;
}

/** A non-negative INTEGER of at most 6 bytes. */
export function integerOf(value: Der | undefined): number {
  const content = contentOf(value, derTags.integer);
  return content.length > 6 || (content[0] ?? 0x80) >= 0x80 ? refuseDer() : content.readUIntBE(0, content.length);
}

/** The bytes of a BIT STRING without unused bits. */
export function bitsOf(value: Der | undefined): Buffer {
  const content = contentOf(value, derTags.bitString);
  return content[0] === 0 ? content.subarray(1) : refuseDer();
}
