import type { IndexKeys } from '../signing/data-keys.ts';
import { parseCertificateIdentifier } from '../verification/identifiers.ts';
import { memberOf, textOf, textsOf } from './body-values.ts';
import { type RecordKind, recordKinds } from './entry.ts';
import { matterToSearch, type RecordBody } from './record-body.ts';
import type { RecordRow } from './store.ts';

/** The columns of a record that are copies of what its body says. */
export type RecordColumns = Omit<RecordRow, 'lane' | 'record_id' | 'commitment' | 'body'>;

/** How a value of the body becomes a search key: one key when writing, every key on file when checking. */
type KeyOf = (axis: 'case' | 'officer', value: string) => Buffer;

/**
 * Copies to search by, from the fields of a record: the one place that says which column says what, for the writer and for every check.
 * Whatever could be personal is a keyed hash or left out.
 */
export function columnsOf(body: RecordBody, keyOf: KeyOf): RecordColumns {
  const [subject, ...others] = textsOf(body['subjects']).map((key) => Buffer.from(key, 'hex'));
  const scope = body['scope'];
  const certificates = textsOf(body['certificates']);
  const caseNumber = textOrNull(memberOf(body['purpose'], 'caseNumber'));
  const officer = textOrNull(memberOf(body['officer'], 'id'));
  const release = textOrNull(memberOf(memberOf(body['detail'], 'secrecy'), 'releaseAt'));
  const series = seriesOf(certificates);
  const types = typesOf(scope, body['detail'], series);
  return {
    recorded_at: new Date(textOf(body['recordedAt']) ?? Number.NaN),
    kind: recordKinds[textOf(body['kind']) as RecordKind],
    action: textOf(body['action']) ?? '',
    outcome: textOf(memberOf(body['outcome'], 'result')) ?? '',
    code: textOrNull(memberOf(body['outcome'], 'code')),
    client_id: textOrNull(memberOf(body['client'], 'clientId')),
    department_code: textOrNull(memberOf(body['client'], 'department')),
    matter_code: matterToSearch(textOrNull(memberOf(body['purpose'], 'matterCode'))),
    case_key: caseNumber === null ? null : keyOf('case', caseNumber),
    officer_key: officer === null ? null : keyOf('officer', officer),
    holder_key: subject ?? null,
    other_holder_keys: others.length === 0 ? null : others,
    level: textOrNull(memberOf(scope, 'level')),
    // By identifier, and by series: a search for every version is one key, not a thousand.
    certificates: certificates.length === 0 ? null : [...certificates, ...series],
    certificate_types: types.length === 0 ? null : types,
    release_at: release === null ? null : new Date(release),
  };
}

/**
 * Names of the columns of a row that do not say what its body says. Rows keep the key generation they were written under, so each keyed
 * column may bear any generation on file.
 */
export function falseColumns(row: RecordRow, body: RecordBody, keys: Pick<IndexKeys, 'searchKeys'>): string[] {
  const columns = columnsOf(body, (axis, value) => {
    const stored = axis === 'case' ? row.case_key : row.officer_key;
    const all = keys.searchKeys(axis, value);
    return all.find((key) => stored !== null && key.equals(stored)) ?? all[0] ?? Buffer.alloc(0);
  });
  return Object.entries(columns).flatMap(([name, value]) =>
    isSame(row[name as keyof RecordColumns], value) ? [] : [name],
  );
}

function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Buffer.isBuffer(a)) return Buffer.isBuffer(b) && a.equals(b);
  if (a instanceof Date) return b instanceof Date && a.getTime() === b.getTime();
  return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((each, at) => isSame(each, b[at]));
}

/** Types named by the question or the change, and those of the certificates that were touched; each once, in that order. */
function typesOf(scope: unknown, detail: unknown, series: readonly string[]): string[] {
  const types = new Set<string>();
  const asked = memberOf(scope, 'types');
  for (const each of Array.isArray(asked) ? asked : []) add(types, memberOf(each, 'certificateTypeCode'));
  add(types, memberOf(detail, 'certificateTypeCode'));
  for (const each of series) types.add(each.slice(0, each.indexOf('.')));
  return [...types];
}

/** type.issuer.serial of each certificate, once; not in its identifier's place, so that each can be told from the other. */
function seriesOf(identifiers: readonly string[]): string[] {
  const series = identifiers.flatMap((identifier) => {
    const parsed = parseCertificateIdentifier(identifier);
    return parsed.ok ? [parsed.value.series] : [];
  });
  return [...new Set(series)];
}

const add = (set: Set<string>, value: unknown): void => {
  if (typeof value === 'string') set.add(value);
};

const textOrNull = (value: unknown): string | null => textOf(value) ?? null;
