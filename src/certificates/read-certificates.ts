import { createHash } from 'node:crypto';
import type { Database, Statement } from '../db/database.ts';
import { Refusal } from '../errors.ts';
import type { Box } from '../signing/data-keys.ts';
import { composeCertificateIdentifier } from '../verification/identifiers.ts';
import { filterSdJwt } from '../verification/sd-jwt.ts';
import { type BoundColumns, openRow, type SealedParts } from './certificate-row.ts';

/** A row of `certificates` as read for an answer: every bound column, and the box to open with `openRow`. */
export interface SealedRow extends BoundColumns {
  readonly box: Buffer;
}

const columns =
  'holder_key, version_id, series, version, identifier, certificate_type_code, type_version, issuing_authority_code, ' +
  'is_first_holder, state, revocation_reason, effective_from, expires_at, status_list, status_index, revision, pushed_at, ' +
  'sealed_at, box';
const sealedStates = `state in ('valid', 'suspended', 'revoked', 'superseded')`;

const byHolder: Statement = {
  name: 'certificates_by_holder',
  text: `select ${columns} from certificates where holder_key = $1 and certificate_type_code = any($2::text[]) and ${sealedStates}`,
};
const byHolders: Statement = {
  name: 'certificates_by_holders',
  text: `select ${columns} from certificates where holder_key = any($1::bytea[]) and certificate_type_code = any($2::text[]) and ${sealedStates}`,
};
const unsealedByHolder: Statement = {
  name: 'unsealed_by_holder',
  text: `select ${columns} from certificates where holder_key = $1 and certificate_type_code = $2 and state in ('pending_review', 'returned', 'approved')`,
};
const directory: Statement = {
  name: 'certificate_directory',
  text: 'select version_id, holder_keys from certificate_versions where series = $1 and version = $2',
};
const byVersionId: Statement = {
  name: 'certificates_by_version_id',
  text: `select ${columns}, (${sealedStates}) as sealed from certificates where holder_key = $1 and version_id = $2`,
};
const versions: Statement = {
  name: 'certificate_versions_of_series',
  text: 'select version, version_id, holder_keys from certificate_versions where series = $1 order by version desc limit 20',
};
const header: Statement = { name: 'seal_header', text: 'select header from seal_headers where sha256 = $1' };

/**
 * The sealed certificates of a holder, of the given types, every version, in no particular order. `holderKeys` are the keys of one
 * holder under every active index generation (`IndexKeys.holderKeys`): one key is one read of one shard.
 * Whether a row is whole shows when `openRow` opens it.
 */
export async function readByHolder(
  db: Pick<Database, 'query'>,
  holderKeys: readonly Buffer[],
  typeCodes: readonly string[],
): Promise<SealedRow[]> {
  const [only, ...others] = holderKeys;
  if (only === undefined || typeCodes.length === 0) return [];
  return others.length === 0
    ? db.query<SealedRow>(byHolder, [only, typeCodes])
    : db.query<SealedRow>(byHolders, [holderKeys, typeCodes]);
}

/**
 * What issuers have pushed about a holder and not sealed yet, of one type, in no particular order. Whether a row is whole shows when
 * `openRow` opens it. `holderKeys` as for `readByHolder`.
 */
export async function readUnsealed(
  db: Pick<Database, 'query'>,
  holderKeys: readonly Buffer[],
  typeCode: string,
): Promise<SealedRow[]> {
  const found = await Promise.all(holderKeys.map((key) => db.query<SealedRow>(unsealedByHolder, [key, typeCode])));
  return found.flat();
}

/**
 * One version of a certificate by its identifier's series and version: its row under the first holder, or nothing when there is
 * none or it is not sealed. Series and version, and with them the identifier, are bound to the row's box.
 * @throws Refusal `stored_data_tampered` when the directory points to a row that is missing or says otherwise.
 */
export async function readByIdentifier(
  db: Pick<Database, 'query'>,
  series: string,
  version: number,
): Promise<SealedRow[]> {
  const [entry] = await db.query<{ version_id: string; holder_keys: Buffer[] }>(directory, [series, version]);
  if (entry === undefined) return [];
  const [row] = await db.query<SealedRow & { sealed: boolean }>(byVersionId, [entry.holder_keys[0], entry.version_id]);
  if (row === undefined || row.series !== series || row.version !== version) throw new Refusal('stored_data_tampered');
  const { sealed, ...bound } = row;
  return sealed ? [bound] : [];
}

/**
 * The identifier of the newest sealed version of a certificate; undefined while none is sealed. The identifier is composed, not read:
 * a row that says otherwise cannot change it.
 * @throws Refusal `stored_data_tampered` when the row that says it is sealed is not as the hub wrote it
 */
export async function newestVersion(
  db: Pick<Database, 'query'>,
  box: Box,
  series: string,
): Promise<string | undefined> {
  const [typeCode, issuerCode, serial] = series.split('.');
  if (typeCode === undefined || issuerCode === undefined || serial === undefined) return undefined;
  const entries = await db.query<{ version: number; version_id: string; holder_keys: Buffer[] }>(versions, [series]);
  for (const { version, version_id, holder_keys } of entries) {
    const [row] = await db.query<SealedRow & { sealed: boolean }>(byVersionId, [holder_keys[0], version_id]);
    if (row?.sealed !== true) continue;
    openRow(box, row);
    return composeCertificateIdentifier({ typeCode, issuerCode, serial, version });
  }
  return undefined;
}

/** Headers by the SHA-256 that was checked; there is one per seal key, and a header never changes. */
const knownHeaders = new Map<string, string>();
const maxKnownHeaders = 10_000;

/**
 * The protected header (base64url) of sealed certificates by its SHA-256 (hex), remembered in the process.
 * @throws Refusal `stored_data_tampered` when it is missing or its hash is another one.
 */
export async function sealHeader(db: Pick<Database, 'query'>, sha256: string): Promise<string> {
  const known = knownHeaders.get(sha256);
  if (known !== undefined) return known;
  const [row] = await db.query<{ header: string }>(header, [Buffer.from(sha256, 'hex')]);
  if (row === undefined || headerSha256(row.header) !== sha256) throw new Refusal('stored_data_tampered');
  if (knownHeaders.size >= maxKnownHeaders) knownHeaders.clear();
  knownHeaders.set(sha256, row.header);
  return row.header;
}

/** SHA-256 (hex) of an encoded protected header. */
export const headerSha256 = (encoded: string): string => createHash('sha256').update(encoded).digest('hex');

/**
 * The sealed certificate with the disclosures of these fields only (invariant 3): a string join, the issuer's signature stays.
 * A field without a disclosure (optional and absent) is left out; everything the certificate has is presented without `fieldNames`.
 */
export function presentSdJwt(encodedHeader: string, sealed: SealedParts, fieldNames?: readonly string[]): string {
  const names = fieldNames ?? Object.keys(sealed.disclosures);
  const disclosures = names.flatMap((name) => {
    const disclosure = Object.hasOwn(sealed.disclosures, name) ? sealed.disclosures[name] : undefined;
    return disclosure === undefined ? [] : [disclosure];
  });
  return filterSdJwt(`${encodedHeader}.${sealed.payload}.${sealed.signature}`, disclosures);
}

/** What a reader is told about a sealed certificate. */
export type CertificateStatus = 'valid' | 'not_yet_valid' | 'expired' | 'suspended' | 'revoked' | 'superseded';

/** The status of a sealed certificate at an instant. What somebody decided goes before what the calendar says. */
export function statusAt(
  row: Pick<BoundColumns, 'state' | 'effective_from' | 'expires_at'>,
  now: Date,
): CertificateStatus {
  switch (row.state) {
    case 'revoked':
    case 'superseded':
    case 'suspended':
      return row.state;
    case 'valid':
      if (row.expires_at !== null && row.expires_at <= now) return 'expired';
      return now < row.effective_from ? 'not_yet_valid' : 'valid';
    default:
      throw new RangeError('a certificate that is not sealed has no status');
  }
}
