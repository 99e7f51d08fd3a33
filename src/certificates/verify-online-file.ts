import type { Database } from '../db/database.ts';
import { Refusal } from '../errors.ts';
import type { Box } from '../signing/data-keys.ts';
import type { KnownStatus } from '../verification/certificate-status.ts';
import type { ParsedCertificateIdentifier } from '../verification/identifiers.ts';
import { splitSdJwt } from '../verification/sd-jwt.ts';
import type { Verdict } from '../verification/verdict.ts';
import { reason, verdictOf, worstVerdict } from '../verification/verdict-reasons.ts';
import { type CertificateContents, openRow, type SealedParts } from './certificate-row.ts';
import { readEvents } from './events.ts';
import { newestVersion, readByIdentifier, type SealedRow } from './read-certificates.ts';
import { type FiledVerdict, fileReason, fileVerdict, type ToldReason } from './verify-online-words.ts';

export interface FileDeps {
  readonly db: Pick<Database, 'query' | 'kysely'>;
  readonly keys: { readonly box: Box };
}

/** A sealed certificate version as it lies in the hub's files, box opened. */
export interface FiledCertificate {
  readonly row: SealedRow;
  readonly contents: CertificateContents;
  readonly sealed: SealedParts;
}

/** Finds a sealed version by its identifier. Throws `stored_data_tampered` when the row is not as the hub wrote it. */
export async function findOnFile(
  deps: FileDeps,
  identifier: ParsedCertificateIdentifier,
): Promise<FiledCertificate | undefined> {
  const [row] = await readByIdentifier(deps.db, identifier.series, identifier.version);
  if (row === undefined || row.identifier !== identifier.identifier) return undefined;
  const contents = openRow(deps.keys.box, row);
  return contents.sealed === undefined ? undefined : { row, contents, sealed: contents.sealed };
}

/**
 * Whether a presentation is of this very seal: same payload, same signature. Fields may be left out, but none may be added: what
 * an issuer hid behind a digest that looked like a decoy was never shown to the hub.
 */
export function isSealOnFile({ sealed }: FiledCertificate, sdJwt: string): boolean {
  const split = splitSdJwt(sdJwt);
  const [, payload, signature] = split?.jwt.split('.') ?? [];
  const onFile = new Set(Object.values(sealed.disclosures));
  const added = split?.disclosures.some((disclosure) => !onFile.has(disclosure));
  return payload === sealed.payload && signature === sealed.signature && added === false;
}

/**
 * Joins what the files say to the verdict over a genuine certificate that was judged as if its status were valid.
 * `past` is the time asked about, or undefined for now: then the row's own state counts, which its box vouches for.
 */
export async function joinFile(
  deps: FileDeps,
  verdict: Verdict,
  { filed, past }: { readonly filed: FiledCertificate | undefined; readonly past: Date | undefined },
): Promise<FiledVerdict> {
  if (verdict.certificate === undefined) return verdict;
  if (filed === undefined) return fileVerdict('certificate_not_on_file');
  const { row } = filed;
  const status = past === undefined ? asStatus(row.state) : await statusThen(deps, row, past);
  return {
    verdict: worstVerdict([verdict.verdict, verdictOf(status === 'valid' ? [] : [status])]),
    reasons: [...verdict.reasons, ...(await statusReasons(deps, row, status))],
    certificate: verdict.certificate,
  };
}

/** The status, and what more the files know: the newer version, why it was revoked. */
async function statusReasons({ db, keys }: FileDeps, row: SealedRow, status: KnownStatus): Promise<ToldReason[]> {
  const inError = row.state === 'revoked' && row.revocation_reason === 'issued_in_error';
  switch (status) {
    case 'superseded': {
      const newest = await newestVersion(db, keys.box, row.series);
      const isNewer = newest !== undefined && newest !== row.identifier;
      return [reason(status), ...(isNewer ? [fileReason('superseded_by', newest)] : [])];
    }
    case 'revoked':
      return [reason(status), fileReason(inError ? 'revoked_issued_in_error' : 'revoked_cancelled')];
    case 'suspended':
    case 'valid': {
      const own = status === 'valid' ? [] : [reason(status)];
      return inError ? [...own, fileReason('later_revoked_issued_in_error')] : own;
    }
  }
}

const asStatus = (state: string): KnownStatus =>
  state === 'suspended' || state === 'revoked' || state === 'superseded' ? state : 'valid';

/**
 * The state that the last step up to a time left this version in. Before it was sealed the dates say so, not the status.
 * Every step is authenticated; that the last one was not taken away shows when none left the state the row is in.
 */
async function statusThen({ db, keys }: FileDeps, row: SealedRow, past: Date): Promise<KnownStatus> {
  const steps = await readEvents(db.kysely, keys.box, row.series);
  const own = steps.filter(({ version }) => version === row.version);
  if (!own.some(({ state }) => state === row.state)) {
    throw new Refusal('stored_data_tampered', { certificateIdentifier: row.identifier });
  }
  return asStatus(own.findLast(({ at }) => at <= past)?.state ?? 'valid');
}
