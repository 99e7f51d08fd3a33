import { Refusal } from '../../errors.ts';
import type { IndexKeys } from '../../signing/data-keys.ts';
import {
  checkHolder,
  isCertificateTypeCode,
  isUscc,
  parseCertificateIdentifier,
} from '../../verification/identifiers.ts';
import { type Outcome, type RecordKind, recordKinds } from '../entry.ts';
import type { RecordColumns } from '../record-columns.ts';

/** What an auditor may ask of the records; everything given must fit. Pseudonyms are base64url (23 characters) or hex (34). */
export interface RecordQuestion {
  readonly holder?: { readonly type: string; readonly number: string };
  /** The pseudonym of a holder, as records and overviews show it. */
  readonly holderKey?: string;
  readonly clientId?: string;
  readonly departmentCode?: string;
  readonly officerId?: string;
  readonly officerKey?: string;
  readonly matterCode?: string;
  readonly caseNumber?: string;
  readonly caseKey?: string;
  readonly certificateIdentifier?: string;
  /** With `certificateIdentifier`: every version of that certificate. */
  readonly anyVersion?: boolean;
  readonly certificateTypeCode?: string;
  readonly level?: string;
  readonly outcome?: Outcome;
  readonly code?: string;
  readonly kinds?: readonly RecordKind[];
  readonly action?: string;
  /** Half-open range of the time of recording. */
  readonly from?: Date;
  readonly until?: Date;
}

/** The same as the columns of records can be asked. Lists mean: one of these. */
export interface RecordFilter {
  readonly holderKeys?: readonly Buffer[];
  readonly clientId?: string;
  readonly departmentCode?: string;
  readonly officerKeys?: readonly Buffer[];
  readonly matterCode?: string;
  readonly caseKeys?: readonly Buffer[];
  /** An identifier, or the series of one. */
  readonly certificate?: string;
  readonly certificateTypeCode?: string;
  readonly level?: string;
  readonly outcome?: string;
  readonly code?: string;
  readonly kinds?: readonly number[];
  readonly action?: string;
  readonly from?: Date;
  readonly until?: Date;
}

/** A question made ready: what to ask the table, and what the record of the search says was asked. */
export interface PreparedQuestion {
  readonly filter: RecordFilter;
  /** Every filter that was given. Holder, officer and case stand here as pseudonyms only. */
  readonly asked: Readonly<Record<string, unknown>>;
  /** The holder whom the question is about: the subject of the record of the search. */
  readonly subject?: Buffer;
}

type QuestionKeys = Pick<IndexKeys, 'everyHolderKey' | 'searchKeys'>;

/**
 * Checks a question and turns identifiers into pseudonyms under every key generation on file. `at` is the JSON pointer of the question.
 * @throws Refusal `invalid_id_number`, `invalid_uscc`, `invalid_holder_type`, `invalid_certificate_identifier`,
 *   `invalid_certificate_type_code`, `range_invalid`, or `question_invalid` for a pseudonym that is none
 */
export function prepareQuestion(keys: QuestionKeys, question: RecordQuestion, at = ''): PreparedQuestion {
  const { holderKeys, officerKeys, caseKeys } = pseudonymsOf(keys, question, at);
  const {
    clientId,
    departmentCode,
    matterCode,
    certificateTypeCode,
    level,
    outcome,
    code,
    kinds,
    action,
    from,
    until,
  } = question;
  checkPlain(question, at);
  const same = given({ clientId, departmentCode, matterCode, certificateTypeCode, level, outcome, code, action });
  const certificate = certificateOf(question, at);
  const { certificateIdentifier, anyVersion } = question;
  return {
    filter: {
      ...same,
      ...given({ holderKeys, officerKeys, caseKeys, certificate, from, until }),
      ...(kinds !== undefined && { kinds: kinds.map((kind) => recordKinds[kind]) }),
    },
    asked: {
      ...same,
      ...given({
        holderKey: shown(holderKeys),
        officerKey: shown(officerKeys),
        caseKey: shown(caseKeys),
        certificateIdentifier,
        anyVersion,
        kinds,
        from: from?.toISOString(),
        until: until?.toISOString(),
      }),
    },
    ...(holderKeys?.[0] !== undefined && { subject: holderKeys[0] }),
  };
}

function checkPlain({ departmentCode, certificateTypeCode, from, until }: RecordQuestion, at: string): void {
  if (departmentCode !== undefined && !isUscc(departmentCode)) {
    throw new Refusal('invalid_uscc', { pointer: `${at}/departmentCode` });
  }
  if (certificateTypeCode !== undefined && !isCertificateTypeCode(certificateTypeCode)) {
    throw new Refusal('invalid_certificate_type_code', { pointer: `${at}/certificateTypeCode` });
  }
  if (from !== undefined && until !== undefined && from >= until) throw new Refusal('range_invalid');
}

/** A pseudonym as it is shown and asked for. */
export const shownKey = (key: Uint8Array): string => Buffer.from(key).toString('base64url');

const shown = (keys: readonly Buffer[] | undefined): string | undefined => keys?.[0] && shownKey(keys[0]);

function pseudonymsOf(keys: QuestionKeys, question: RecordQuestion, at: string) {
  const { holder, holderKey, officerId, officerKey, caseNumber, caseKey } = question;
  return {
    holderKeys: either(holder && keysOfHolder(keys, holder, at), holderKey, `${at}/holderKey`),
    officerKeys: either(
      officerId === undefined ? undefined : keys.searchKeys('officer', officerId),
      officerKey,
      `${at}/officerKey`,
    ),
    caseKeys: either(
      caseNumber === undefined ? undefined : keys.searchKeys('case', caseNumber),
      caseKey,
      `${at}/caseKey`,
    ),
  };
}

/** The value itself or its pseudonym; both at once would be two questions. */
function either(
  keys: readonly Buffer[] | undefined,
  pseudonym: string | undefined,
  pointer: string,
): readonly Buffer[] | undefined {
  if (pseudonym === undefined) return keys;
  if (keys !== undefined) throw new Refusal('question_invalid', { pointer, rule: 'asked_twice' });
  return readKey(pseudonym, pointer);
}

function keysOfHolder(
  keys: QuestionKeys,
  holder: { readonly type: string; readonly number: string },
  at: string,
): readonly Buffer[] {
  const checked = checkHolder(holder);
  if (!checked.ok) throw new Refusal(checked.code, { pointer: `${at}/holder/number` });
  return keys.everyHolderKey(checked.holder.type, checked.holder.number);
}

const keyBytes = 17;

function readKey(text: string, pointer: string): readonly Buffer[] {
  for (const encoding of ['base64url', 'hex'] as const) {
    const key = Buffer.from(text, encoding);
    if (key.length === keyBytes && key.toString(encoding) === text) return [key];
  }
  throw new Refusal('question_invalid', { pointer, rule: 'no_pseudonym' });
}

/** The column holds the series beside the identifier. */
function certificateOf({ certificateIdentifier, anyVersion }: RecordQuestion, at: string): string | undefined {
  if (certificateIdentifier === undefined) return undefined;
  const parsed = parseCertificateIdentifier(certificateIdentifier);
  if (!parsed.ok) {
    const pointer = `${at}/certificateIdentifier`;
    throw new Refusal('invalid_certificate_identifier', { pointer, rule: parsed.reason });
  }
  return anyVersion === true ? parsed.value.series : certificateIdentifier;
}

/** Without the members that are undefined. */
function given<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

/** Whether a record with these columns fits: the same rule as the search's, for who reads leaf by leaf. */
export function fitsFilter(filter: RecordFilter, row: RecordColumns): boolean {
  const { holderKeys, officerKeys, caseKeys, certificate, certificateTypeCode, kinds, from, until } = filter;
  return (
    plainAxes.every(([name, column]) => filter[name] === undefined || filter[name] === row[column]) &&
    holds(holderKeys, (keys) => [row.holder_key, ...(row.other_holder_keys ?? [])].some((key) => has(keys, key))) &&
    holds(officerKeys, (keys) => has(keys, row.officer_key)) &&
    holds(caseKeys, (keys) => has(keys, row.case_key)) &&
    holds(certificate, (name) => row.certificates?.includes(name) === true) &&
    holds(certificateTypeCode, (code) => row.certificate_types?.includes(code) === true) &&
    holds(kinds, (numbers) => numbers.includes(row.kind)) &&
    holds(from, (time) => row.recorded_at >= time) &&
    holds(until, (time) => row.recorded_at < time)
  );
}

/** The axes that are one column each, asked by equality. */
export const plainAxes = [
  ['clientId', 'client_id'],
  ['departmentCode', 'department_code'],
  ['matterCode', 'matter_code'],
  ['level', 'level'],
  ['outcome', 'outcome'],
  ['code', 'code'],
  ['action', 'action'],
] as const satisfies readonly (readonly [keyof RecordFilter, keyof RecordColumns])[];

const holds = <T>(wanted: T | undefined, fits: (wanted: T) => boolean): boolean => wanted === undefined || fits(wanted);
const has = (keys: readonly Buffer[], key: Buffer | null): boolean =>
  key !== null && keys.some((each) => each.equals(key));
