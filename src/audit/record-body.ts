import { type RecordValues, recordFields } from '../verification/commitment.ts';
import { isCitizenId } from '../verification/identifiers.ts';
import type { Entry } from './entry.ts';

/** Fields of a record by name, parsed. */
export type RecordBody = Readonly<Record<string, unknown>>;

/** The month of a record, 'YYYY-MM' in UTC: its partition, its key, its seal. */
export const monthOf = (recordedAt: Date): string => recordedAt.toISOString().slice(0, 7);

/** What an entry says, by the fields a record commits to. `recordedAt` is RFC 3339 as `toISOString` writes it. */
export function recordValues(entry: Entry, recordedAt: string): RecordValues {
  const { caller, purpose, officer } = entry;
  return {
    recordedAt,
    kind: entry.kind,
    action: entry.action,
    outcome: entry.code === undefined ? { result: entry.outcome } : { result: entry.outcome, code: entry.code },
    client: caller === undefined ? null : dropAbsent({ ...caller }),
    officer: officer === undefined ? null : { id: officer.id, name: officer.name },
    purpose: purpose === undefined ? null : dropAbsent({ ...purpose }),
    subjects: entry.subjects?.map((key) => key.toString('hex')),
    scope: entry.scope,
    certificates: entry.certificates,
    answerDigest: entry.answerDigest,
    requestId: entry.requestId,
    detail: entry.detail,
  };
}

const dropAbsent = (value: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined));

/**
 * Plaintext of a stored body: version 1 ‖ 32-byte salt ‖ per field, in the order of `recordFields`, a 4-byte big-endian length
 * and its canonical UTF-8. These very bytes were committed to: nothing needs to be canonicalised again to check them.
 */
export function encodeBody(salt: Uint8Array, canonical: readonly string[]): Buffer {
  const parts: Uint8Array[] = [Uint8Array.of(1), salt];
  for (const text of canonical) {
    const field = Buffer.from(text);
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32BE(field.length);
    parts.push(length, field);
  }
  return Buffer.concat(parts);
}

/** Reads what `encodeBody` wrote. Throws RangeError on anything else. */
export function decodeBody(plaintext: Buffer): { salt: Buffer; fields: Buffer[] } {
  if (plaintext[0] !== 1 || plaintext.length < 33) throw new RangeError('not a record body');
  const fields: Buffer[] = [];
  let at = 33;
  while (at < plaintext.length) {
    const length = plaintext.readUInt32BE(at);
    if (at + 4 + length > plaintext.length) throw new RangeError('record body cut short');
    fields.push(plaintext.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  if (fields.length !== recordFields.length) throw new RangeError('record body has another schema');
  return { salt: plaintext.subarray(1, 33), fields };
}

/** The fields by name, for a reader who is entitled to them. */
export function readBody(fields: readonly Buffer[]): RecordBody {
  return Object.fromEntries(recordFields.map((name, i) => [name, JSON.parse(fields[i]?.toString('utf8') ?? 'null')]));
}

/**
 * A matter code as the search column shows it. It is the caller's text: one with an ID number in it stays in the encrypted body
 * alone (invariant 5).
 */
export function matterToSearch(matterCode: string | null): string | null {
  const text = matterCode?.replace(/[._-]/g, '').toUpperCase() ?? '';
  return text.length >= 18 && stretches(text).some(isCitizenId) ? null : matterCode;
}

/** Every stretch of 18 characters. */
const stretches = (text: string): string[] =>
  Array.from({ length: text.length - 17 }, (_, at) => text.slice(at, at + 18));
