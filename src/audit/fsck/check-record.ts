import { hash } from 'node:crypto';
import { idBytes } from '../../ids.ts';
import { commitFramed, recordFields } from '../../verification/commitment.ts';
import type { RecordKeys } from '../open-record.ts';
import type { RecordBody } from '../record-body.ts';
import { columnsOf, type RecordColumns } from '../record-columns.ts';

/**
 * The check of `openRecord` for millions of records: the same questions, the same derivation of columns, but it only ever says
 * "whole" or "look closely". Whoever is told to look closely asks `openRecord`, which names what is wrong.
 */

/** A stored record as the check reads it: everything to search by as text made by the database, so that nothing needs parsing. */
export interface CompactRecord {
  readonly record_id: string;
  /** 32 bytes. */
  readonly commitment: Buffer;
  readonly body: Buffer;
  /** See `compactColumns`. */
  readonly copies: string;
  readonly case_key: string | null;
  readonly officer_key: string | null;
}

/** SQL for the columns of `CompactRecord` that are copies, of a records row named `r`. */
export const compactColumns = `concat_ws(E'\\x02', extract(epoch from r.recorded_at), r.kind, r.action, r.outcome,
    coalesce('=' || r.code, ''), coalesce('=' || r.client_id, ''), coalesce('=' || r.department_code, ''),
    coalesce('=' || r.matter_code, ''), coalesce('=' || encode(r.holder_key, 'hex'), ''),
    coalesce('=' || r.other_holder_keys::text, ''), coalesce('=' || r.level, ''), coalesce('=' || r.certificates::text, ''),
    coalesce('=' || r.certificate_types::text, ''), coalesce('=' || extract(epoch from r.release_at), '')) as copies,
  encode(r.case_key, 'hex') as case_key, encode(r.officer_key, 'hex') as officer_key`;

const separator = '\x02';

export interface RecordChecker {
  /** The body of a whole record; undefined: look closely. `requestId` and `answerDigest` are left out. */
  check(row: CompactRecord): RecordBody | undefined;
}

/** Remembers what repeats from record to record: keys of officers, parsed fields. Bounded. */
export function recordChecker(keys: RecordKeys): RecordChecker {
  const parsed = remember<unknown>(4_096, (text) => JSON.parse(text) as unknown);
  const officerKeys = remember(4_096, (id) => hexAll(keys.searchKeys('officer', id)));
  // Nearly every record has a case of its own: remembering them would cost more than it saves.
  const caseKeys = (number: string): string[] => hexAll(keys.searchKeys('case', number));
  let month = { from: 0, until: 0, box: undefined as ReturnType<RecordKeys['recordBox']> | undefined };

  const boxAt = (epoch: number): ReturnType<RecordKeys['recordBox']> => {
    if (month.box !== undefined && epoch >= month.from && epoch < month.until) return month.box;
    const at = new Date(epoch * 1000);
    const from = Date.UTC(at.getUTCFullYear(), at.getUTCMonth()) / 1000;
    const until = Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1) / 1000;
    month = { from, until, box: keys.recordBox(at.toISOString().slice(0, 7)) };
    return month.box as ReturnType<RecordKeys['recordBox']>;
  };

  const openBody = (row: CompactRecord): Buffer | undefined => {
    try {
      return boxAt(Number(row.copies.slice(0, row.copies.indexOf(separator)))).open(row.commitment, row.body);
    } catch {
      return undefined;
    }
  };

  return {
    check: (row) => {
      const plain = openBody(row);
      if (plain?.[0] !== 1 || plain.length < framesAt) return undefined;
      const framed = plain.subarray(framesAt);
      const commitment = commitFramed(idBytes(row.record_id), plain.subarray(1, framesAt), framed);
      if (commitment !== row.commitment.toString('hex')) return undefined;
      const body = readFrames(framed, parsed);
      if (body === undefined) return undefined;
      let caseNumber: string | undefined;
      let officer: string | undefined;
      const columns = columnsOf(body, (axis, value) => {
        if (axis === 'case') caseNumber = value;
        else officer = value;
        return none;
      });
      const isSame =
        row.copies === compactText(columns) &&
        isOneOf(row.case_key, caseNumber, caseKeys) &&
        isOneOf(row.officer_key, officer, officerKeys);
      return isSame ? body : undefined;
    },
  };
}

/** Version and salt come before the fields. */
const framesAt = 33;
const none = Buffer.alloc(0);

const hexAll = (keys: readonly Buffer[]): string[] => keys.map((key) => key.toString('hex'));

function isOneOf(stored: string | null, value: string | undefined, keysOf: (value: string) => string[]): boolean {
  return value === undefined ? stored === null : stored !== null && keysOf(value).includes(stored);
}

/** Fields that are the same in many records; the others differ in each. */
const repeating = new Set(['kind', 'action', 'outcome', 'client', 'officer', 'scope']);
/** No column is made from them. */
const unread = new Set(['answerDigest', 'requestId']);

function readFrames(framed: Buffer, parsed: (text: string) => unknown): RecordBody | undefined {
  const body: Record<string, unknown> = {};
  let at = 0;
  try {
    for (const name of recordFields) {
      const begin = at + 4;
      const end = begin + framed.readUInt32BE(at);
      at = end;
      if (unread.has(name)) continue;
      // Of all JSON with four characters only `null` begins with an n; most fields are it.
      if (end - begin === 4 && framed[begin] === 0x6e) body[name] = null;
      else {
        const text = framed.toString('utf8', begin, end);
        body[name] = repeating.has(name) ? parsed(text) : (JSON.parse(text) as unknown);
      }
    }
    return body;
  } catch {
    return undefined;
  }
}

/** What `compactColumns` reads for these columns. */
function compactText(columns: RecordColumns): string {
  const { other_holder_keys: others, certificates, certificate_types: types, holder_key: holder, release_at } = columns;
  return (
    epochText(columns.recorded_at) +
    separator +
    columns.kind +
    separator +
    columns.action +
    separator +
    columns.outcome +
    textOf(columns.code) +
    textOf(columns.client_id) +
    textOf(columns.department_code) +
    textOf(columns.matter_code) +
    textOf(holder === null ? null : holder.toString('hex')) +
    textOf(others === null ? null : `{${others.map((key) => `"\\\\x${key.toString('hex')}"`).join(',')}}`) +
    textOf(columns.level) +
    textOf(certificates === null ? null : listText(certificates)) +
    textOf(types === null ? null : listText(types)) +
    textOf(release_at === null ? null : epochText(release_at))
  );
}

// A value with the separator in it, or a list whose elements PostgreSQL would quote, is never found equal here: look closely.
const textOf = (value: string | null): string =>
  value === null ? separator : value.includes(separator) ? unequal : `${separator}=${value}`;
const listText = (values: readonly string[]): string =>
  values.every((value) => plainElement.test(value)) ? `{${values.join(',')}}` : separator;
const plainElement = /^[0-9A-Za-z._-]*[0-9][0-9A-Za-z._-]*$/;
const unequal = '\x03';

/** Seconds since 1970 with the six digits that PostgreSQL keeps. */
export function epochText(at: Date): string {
  const ms = at.getTime();
  const seconds = Math.floor(ms / 1000);
  return `${seconds}.${String(ms - seconds * 1000).padStart(3, '0')}000`;
}

/** A function that remembers its answers, at most so many; then it forgets all. Texts are kept by hash when they are long. */
function remember<T>(atMost: number, make: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>();
  return (text) => {
    const key = text.length > 512 ? hash('sha256', text, 'base64') : text;
    const found = known.get(key);
    if (found !== undefined) return found;
    if (known.size >= atMost) known.clear();
    const made = make(text);
    known.set(key, made);
    return made;
  };
}
