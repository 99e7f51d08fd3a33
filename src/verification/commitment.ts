import { createHash, hash } from 'node:crypto';
import { canonicalJson } from './canonical-json.ts';

/**
 * The fields of an audit record, in the order they are committed to. The order and the number of fields are
 * part of every commitment ever made: never change them, add a new record version instead.
 */
export const recordFields = [
  'recordedAt',
  'kind',
  'action',
  'outcome',
  'client',
  'officer',
  'purpose',
  'subjects',
  'scope',
  'certificates',
  'answerDigest',
  'requestId',
  'detail',
] as const;
export type RecordField = (typeof recordFields)[number];

/** The values of a record; a field that is absent or undefined is committed to as `null`. */
export type RecordValues = { readonly [name in RecordField]?: unknown };

/** What a record is bound to. `canonical[i]` is the text of field i that was hashed: store exactly it. */
export type RecordCommitment = {
  /** 32 bytes: the leaf of the log is made from it. */
  readonly commitment: Buffer;
  /** 32 bytes per field, in the order of `recordFields`. */
  readonly fieldCommitments: readonly Buffer[];
  readonly canonical: readonly string[];
};

// Runs once for every record. One-shot hashes of one scratch buffer with text results cost a third of createHash
// (measured, node 20); latin1 is one character per byte. Nothing here yields, so the scratch buffers are never shared by
// two records. 'binary' is node's name for latin1 where it types results.

const idLength = 16;
const saltLength = 32;
const hashLength = 32;
/** What the hashed bytes of a field's and of a record's commitment begin with. */
export const fieldPrefix = Buffer.from('certhub/field/v1', 'latin1');
export const recordPrefix = Buffer.from('certhub/record/v1', 'latin1');
/** What follows the record salt where the salts of its fields are derived. */
const saltsPrefix = Buffer.from('certhub/salts/v1', 'latin1');

const saltAt = fieldPrefix.length + idLength + 1;
const frameAt = saltAt + saltLength;
const bytesAt = frameAt + 4;
const commitmentsAt = recordPrefix.length + idLength + 1;

const field = Buffer.alloc(8192);
fieldPrefix.copy(field, 0);
const record = Buffer.alloc(commitmentsAt + hashLength * recordFields.length);
recordPrefix.copy(record, 0);
record[commitmentsAt - 1] = recordFields.length;
const saltsInput = Buffer.alloc(saltLength + saltsPrefix.length + idLength);
saltsPrefix.copy(saltsInput, saltLength);
/** The salts of the record at hand, in the order of `recordFields`. */
const salts = Buffer.alloc(saltLength * recordFields.length);
/** The first n bytes of `field`, made once: making a view costs as much as hashing it. */
const views: Buffer[] = [];

const nullText = 'null';

/**
 * Commits to a record (transparency-log.md, 6.1): per field c_i = SHA-256("certhub/field/v1" ‖ record id ‖ i as one byte,
 * from 1 ‖ salt_i ‖ length as uint32 BE ‖ canonical UTF-8), and over all SHA-256("certhub/record/v1" ‖ record id ‖ n ‖
 * c_1 … c_n), with the salts of `fieldSalts`. `recordId` is 16 bytes, `salt` 32 random bytes.
 * @throws RangeError for other lengths, TypeError for a value without canonical JSON.
 */
export function commitRecord(recordId: Uint8Array, salt: Uint8Array, values: RecordValues): RecordCommitment {
  const canonical = recordFields.map((name) => {
    const value = values[name];
    return value === undefined || value === null ? nullText : canonicalJson(value);
  });
  return { ...commitCanonical(recordId, salt, canonical), canonical };
}

/**
 * The same over the canonical texts as they are stored, in the order of `recordFields`: what a check of stored records asks.
 * @throws RangeError for other lengths or another number of fields.
 */
export function commitCanonical(
  recordId: Uint8Array,
  salt: Uint8Array,
  canonical: readonly string[],
): Pick<RecordCommitment, 'commitment' | 'fieldCommitments'> {
  if (canonical.length !== recordFields.length) throw new RangeError('a record has another number of fields');
  begin(recordId, salt);
  const digests = canonical.map((text, index) => {
    placeSalt(index);
    return hashField(text);
  });
  return {
    commitment: Buffer.from(hashRecord(digests.join('')), 'hex'),
    fieldCommitments: digests.map((digest) => Buffer.from(digest, 'latin1')),
  };
}

/**
 * The commitment alone, over fields as they lie in storage: per field a 4-byte big-endian length and its canonical UTF-8, one behind
 * the other. For who checks millions of records: less work than `commitCanonical`, and equal to it. 64 hex digits, or undefined
 * when the bytes are not the frames of as many fields as a record has.
 * @throws RangeError for a record id or salt of another length
 */
export function commitFramed(recordId: Uint8Array, salt: Uint8Array, framed: Buffer): string | undefined {
  begin(recordId, salt);
  let digests = '';
  let at = 0;
  for (let index = 0; index < recordFields.length; index++) {
    if (at + 4 > framed.length) return undefined;
    const end = at + 4 + framed.readUInt32BE(at);
    if (end > framed.length) return undefined;
    placeSalt(index);
    digests += hashFramed(framed, at, end);
    at = end;
  }
  return at === framed.length ? hashRecord(digests) : undefined;
}

/**
 * The salts of a record's fields in the order of `recordFields`: SHAKE256(record salt ‖ "certhub/salts/v1" ‖ record id) (FIPS 202,
 * 6.2), cut into 32 bytes each. Each opens its field and no other: a sponge that begins with a secret is a pseudorandom function, so
 * that some of its output says nothing about the rest, and its capacity of 512 bits never leaves it, so that nothing can be extended.
 * KMAC (SP 800-185, 4) rests on the same; it pads its key because that may have any length, while salt, prefix and id have one each
 * and cannot be read in two ways.
 * @throws RangeError for a record id or salt of another length
 */
export function fieldSalts(recordId: Uint8Array, salt: Uint8Array): Buffer[] {
  deriveSalts(recordId, salt);
  return recordFields.map((_, index) => Buffer.from(salts.subarray(index * saltLength, (index + 1) * saltLength)));
}

/** The commitment of one disclosed field, from its own salt and the stored canonical text: 32 bytes. */
export function commitField(recordId: Uint8Array, name: RecordField, salt: Uint8Array, canonical: string): Buffer {
  checkLengths(recordId, salt);
  field.set(recordId, fieldPrefix.length);
  field[saltAt - 1] = recordFields.indexOf(name) + 1;
  field.set(salt, saltAt);
  return Buffer.from(hashField(canonical), 'latin1');
}

/** The commitment of a record from its field commitments, for who holds only some of the fields. */
export function commitmentOfFields(recordId: Uint8Array, fieldCommitments: readonly Uint8Array[]): Buffer {
  if (recordId.length !== idLength || fieldCommitments.length !== recordFields.length) {
    throw new RangeError('a record has 16 bytes of id and one commitment per field');
  }
  const count = Buffer.from([fieldCommitments.length]);
  return Buffer.from(hash('sha256', Buffer.concat([recordPrefix, recordId, count, ...fieldCommitments]), 'hex'), 'hex');
}

/** A field of a record shown to somebody, with what is needed to check it. */
export type DisclosedField = { readonly name: RecordField; readonly salt: Uint8Array; readonly canonical: string };

/**
 * True when the disclosed fields are those the commitment was made over. The other fields stay hidden behind
 * their commitments; that they exist is visible.
 */
export function isDisclosureOf(
  commitment: Uint8Array,
  recordId: Uint8Array,
  fieldCommitments: readonly Uint8Array[],
  disclosed: readonly DisclosedField[],
): boolean {
  if (recordId.length !== idLength || fieldCommitments.length !== recordFields.length) return false;
  if (fieldCommitments.some((each) => each.length !== 32)) return false;
  if (!commitmentOfFields(recordId, fieldCommitments).equals(commitment)) return false;
  return disclosed.every(({ name, salt, canonical }) => {
    const expected = fieldCommitments[recordFields.indexOf(name)];
    return (
      expected !== undefined &&
      salt.length === saltLength &&
      commitField(recordId, name, salt, canonical).equals(expected)
    );
  });
}

/**
 * The 34 bytes of a log entry: version 1, the kind of record (1 to 255, numbered by `audit`), the record's
 * commitment. Nothing else goes into the log (transparency-log.md, 6.1).
 */
export function logEntry(kind: number, commitment: Uint8Array): Buffer {
  if (commitment.length !== 32) throw new RangeError('a commitment is 32 bytes');
  if (!Number.isInteger(kind) || kind < 1 || kind > 255) throw new RangeError('a kind is one byte, not 0');
  const entry = Buffer.allocUnsafe(34);
  entry[0] = 1;
  entry[1] = kind;
  entry.set(commitment, 2);
  return entry;
}

function checkLengths(recordId: Uint8Array, salt: Uint8Array): void {
  if (recordId.length !== idLength || salt.length !== saltLength) {
    throw new RangeError('a record id is 16 bytes and a salt is 32');
  }
}

/** Whose record the scratch buffers are for now. */
function begin(recordId: Uint8Array, salt: Uint8Array): void {
  deriveSalts(recordId, salt);
  field.set(recordId, fieldPrefix.length);
  record.set(recordId, recordPrefix.length);
}

const allSalts = { outputLength: salts.length };

function deriveSalts(recordId: Uint8Array, salt: Uint8Array): void {
  checkLengths(recordId, salt);
  saltsInput.set(salt, 0);
  saltsInput.set(recordId, saltsInput.length - idLength);
  salts.write(createHash('shake256', allSalts).update(saltsInput).digest('binary'), 'latin1');
}

/** Puts number and salt of a field where they are hashed; byte by byte is quicker than a call here and below. */
function placeSalt(index: number): void {
  field[saltAt - 1] = index + 1;
  const from = index * saltLength;
  for (let at = 0; at < saltLength; at++) field[saltAt + at] = salts[from + at] ?? 0;
}

/** The hex commitment of the record that was begun, from the commitments of its fields (latin1). */
function hashRecord(digests: string): string {
  record.write(digests, commitmentsAt, 'latin1');
  return hash('sha256', record, 'hex');
}

/** The digest (latin1) of a field whose number and salt are in their place, from its stored frame. */
function hashFramed(framed: Buffer, begin: number, end: number): string {
  const length = frameAt + end - begin;
  if (length > field.length) {
    return hash('sha256', Buffer.concat([field.subarray(0, frameAt), framed.subarray(begin, end)]), 'binary');
  }
  if (end - begin <= 64) for (let at = begin; at < end; at++) field[frameAt + at - begin] = framed[at] ?? 0;
  else framed.copy(field, frameAt, begin, end);
  return hash('sha256', viewOf(length), 'binary');
}

/** The digest (latin1) of a field whose number and salt are in their place. */
function hashField(canonical: string): string {
  // at most three UTF-8 bytes per UTF-16 unit
  if (canonical.length * 3 <= field.length - bytesAt) {
    const length = field.write(canonical, bytesAt, 'utf8');
    field.writeUInt32BE(length, frameAt);
    return hash('sha256', viewOf(bytesAt + length), 'binary');
  }
  const bytes = Buffer.from(canonical, 'utf8');
  field.writeUInt32BE(bytes.length, frameAt);
  return hash('sha256', Buffer.concat([field.subarray(0, bytesAt), bytes]), 'binary');
}

function viewOf(length: number): Buffer {
  const view = views[length] ?? field.subarray(0, length);
  views[length] = view;
  return view;
}
