import type { Transaction } from 'kysely';
import type { RecordIn } from '../audit/record.ts';
import type { CataloguedType } from '../catalogue/catalogue.ts';
import type { Tables } from '../db/tables.ts';
import { Refusal } from '../errors.ts';
import { type Call, type Caller, newId, type Officer } from '../ids.ts';
import type { Box, IndexKeys } from '../signing/data-keys.ts';
import {
  composeCertificateIdentifier,
  type ParsedCertificateIdentifier,
  parseCertificateIdentifier,
} from '../verification/identifiers.ts';
import {
  type CertificateContents,
  type CertificateMetadata,
  type CertificateState,
  openRow,
  type RevocationReason,
  sealRow,
} from './certificate-row.ts';
import { endOfDay, startOfDay } from './city-day.ts';
import { type EventAction, insertEvent } from './events.ts';
import type { StatusIndex } from './status-index.ts';
import { type FullRow, findVersion, type Handle, insertVersion, replaceVersion } from './store.ts';

/** A certificate version as stored and opened: its rows agree with each other and with its box. */
export interface CertificateVersion {
  /** One row per holder, the first holder's first. */
  readonly rows: readonly [FullRow, ...FullRow[]];
  readonly state: CertificateState;
  readonly contents: CertificateContents;
}

/** Keys that a certificate's rows are written with. */
export interface RowKeys extends Pick<IndexKeys, 'holderKey'> {
  readonly box: Box;
}

/**
 * Reads a path's certificate identifier on behalf of an issuer. Whose certificate it is stands in the identifier, so that
 * others are refused in the same way whether or not it exists.
 * @throws Refusal `invalid_certificate_identifier`, `wrong_department`
 */
export function ownIdentifier(text: string, caller: Caller): ParsedCertificateIdentifier {
  const parsed = checkedIdentifier(text, '/certificateIdentifier');
  if (parsed.issuerCode !== caller.department) throw new Refusal('wrong_department');
  return parsed;
}

/** Reads an identifier. @throws Refusal `invalid_certificate_identifier` with the first rule it breaks */
export function checkedIdentifier(text: string, pointer: string): ParsedCertificateIdentifier {
  const parsed = parseCertificateIdentifier(text);
  if (!parsed.ok) throw new Refusal('invalid_certificate_identifier', { pointer, rule: parsed.reason });
  return parsed.value;
}

/**
 * Reads and opens a certificate version.
 * @throws Refusal `certificate_unknown`, `stored_data_tampered`
 */
export async function readVersion(
  db: Handle,
  box: Box,
  { series, version }: { readonly series: string; readonly version: number },
  options: { readonly lock?: boolean } = {},
): Promise<CertificateVersion> {
  const found = await findVersion(db, series, version, options);
  if (found === undefined) throw new Refusal('certificate_unknown');
  const [first, ...others] = found.rows;
  if (first === undefined || first.series !== series || first.version !== version) {
    throw new Refusal('stored_data_tampered');
  }
  const contents = openRow(box, first);
  const isWhole = [found.holderKeys, contents.metadata.holders].every(({ length }) => length === found.rows.length);
  if (!isWhole || !others.every((row) => agrees(box, row, first, contents))) throw new Refusal('stored_data_tampered');
  // The box was opened with this state bound to it.
  return { rows: [first, ...others], state: first.state as CertificateState, contents };
}

/** Whether the row of another holder says the same as the first holder's. */
const agrees = (box: Box, row: FullRow, first: FullRow, contents: CertificateContents): boolean =>
  row.version_id === first.version_id &&
  row.revision === first.revision &&
  row.state === first.state &&
  JSON.stringify(openRow(box, row)) === JSON.stringify(contents);

/** What a new version is made of. */
export interface Draft {
  readonly series: string;
  readonly version: number;
  readonly entry: CataloguedType;
  readonly metadata: CertificateMetadata;
  readonly state: CertificateState;
  readonly editors: readonly string[];
  readonly at: Date;
}

/** Enters a new version. @throws Refusal `certificate_exists` */
export async function enterVersion(
  trx: Transaction<Tables>,
  { keys, timeZone }: { readonly keys: RowKeys; readonly timeZone: string },
  draft: Draft,
  status: StatusIndex,
): Promise<CertificateVersion> {
  const { series, version, entry, metadata, state, editors, at } = draft;
  const [typeCode = '', issuerCode = '', serial = ''] = series.split('.');
  const contents: CertificateContents = { metadata, editors };
  const shared = {
    version_id: newId(),
    series,
    version,
    identifier: composeCertificateIdentifier({ typeCode, issuerCode, serial, version }),
    certificate_type_code: typeCode,
    type_version: entry.type.version,
    issuing_authority_code: issuerCode,
    state,
    revocation_reason: null,
    ...validityOf(metadata, timeZone),
    status_list: status.list,
    status_index: status.index,
    revision: 1,
    pushed_at: at,
    sealed_at: null,
    updated_at: at,
  };
  const rows = rowsFor(keys, shared, contents);
  if (!(await insertVersion(trx, rows))) throw new Refusal('certificate_exists');
  return { rows, state, contents };
}

const validityOf = (
  { certificateEffectiveDate, certificateExpiringDate }: CertificateMetadata,
  timeZone: string,
): Pick<FullRow, 'effective_from' | 'expires_at'> => ({
  effective_from: startOfDay(certificateEffectiveDate, timeZone),
  expires_at: certificateExpiringDate === undefined ? null : endOfDay(certificateExpiringDate, timeZone),
});

/** One row per holder, each with its own box: the holder key is bound too. */
function rowsFor(
  keys: RowKeys,
  shared: Omit<FullRow, 'holder_key' | 'is_first_holder' | 'box'>,
  contents: CertificateContents,
): [FullRow, ...FullRow[]] {
  const [first, ...others] = contents.metadata.holders.map(({ type, number }, index): FullRow => {
    const row = { ...shared, holder_key: keys.holderKey(type, number), is_first_holder: index === 0 };
    return { ...row, box: sealRow(keys.box, row, contents) };
  });
  if (first === undefined) throw new RangeError('a certificate has a holder');
  return [first, ...others];
}

/** What a step changes; everything else stays. */
export interface Change {
  readonly state: CertificateState;
  readonly revocationReason?: RevocationReason;
  readonly contents?: CertificateContents;
  readonly sealedAt?: Date;
  /** A correction is checked against the type's newest version. */
  readonly typeVersion?: number;
}

/** Writes the next revision of a version that was read under its lock. */
export async function changeVersion(
  trx: Transaction<Tables>,
  { keys, timeZone }: { readonly keys: RowKeys; readonly timeZone: string },
  current: CertificateVersion,
  change: Change & { readonly at: Date },
): Promise<CertificateVersion> {
  const { holder_key: _key, is_first_holder: _first, box: _box, ...before } = current.rows[0];
  const contents = change.contents ?? current.contents;
  const shared = {
    ...before,
    // Kept as sealed, whatever the city's time zone is set to by now.
    ...(contents.metadata === current.contents.metadata ? {} : validityOf(contents.metadata, timeZone)),
    state: change.state,
    type_version: change.typeVersion ?? before.type_version,
    revocation_reason: change.revocationReason ?? before.revocation_reason,
    sealed_at: change.sealedAt ?? before.sealed_at,
    revision: before.revision + 1,
    updated_at: change.at,
  };
  const rows = rowsFor(keys, shared, contents);
  await replaceVersion(trx, current.rows, rows);
  return { rows, state: change.state, contents };
}

/** Who took a step, why, and under which operation of the contract. */
export interface Step {
  readonly operation: string;
  readonly action: EventAction;
  readonly officer?: Officer | undefined;
  readonly reason?: string | undefined;
  /** For the record. JSON without personal data. */
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** Writes a step into the certificate's history and the audit records, in the transaction that takes it. */
export async function noteStep(
  trx: Transaction<Tables>,
  { keys, recordIn }: { readonly keys: Pick<RowKeys, 'box'>; readonly recordIn: RecordIn },
  { call, after, step }: { readonly call: Call; readonly after: CertificateVersion; readonly step: Step },
): Promise<void> {
  const [row] = after.rows;
  const { action, officer, reason, operation } = step;
  await insertEvent(trx, keys.box, {
    call,
    series: row.series,
    event: {
      version: row.version,
      action,
      state: after.state,
      revocationReason: row.revocation_reason as RevocationReason | null,
      ...(officer === undefined ? {} : { officer }),
      ...(reason === undefined ? {} : { reason }),
    },
  });
  const { clientId, department, keyId } = call.caller;
  await recordIn(trx, {
    kind: 'certificate',
    action: operation,
    outcome: 'done',
    caller: { clientId, department, keyId },
    ...(officer === undefined ? {} : { officer }),
    subjects: after.rows.map(({ holder_key }) => holder_key),
    certificates: [row.identifier],
    requestId: call.requestId,
    at: call.at,
    detail: { step: action, state: after.state, ...(reason === undefined ? {} : { reason }), ...step.detail },
  });
}
