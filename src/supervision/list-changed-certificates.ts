import type { Receipt, Recorder } from '../audit/record.ts';
import { selectCertificatesOf } from '../audit/search/client-certificates.ts';
import { readVersion } from '../certificates/certificate-version.ts';
import { readEvents } from '../certificates/events.ts';
import { newestVersion } from '../certificates/read-certificates.ts';
import { Refusal } from '../errors.ts';
import type { Call } from '../ids.ts';
import { isCertificateIdentifier, parseCertificateIdentifier } from '../verification/identifiers.ts';
import { type AnsweredDeps, answeredLookups } from './answered-lookups.ts';
import type { FeedbackKeys } from './feedback-row.ts';
import { type WithdrawnState, withdrawnState } from './list-past-users.ts';

export interface ChangedCertificatesDeps extends AnsweredDeps {
  readonly keys: AnsweredDeps['keys'] & FeedbackKeys;
  readonly record: Recorder;
}

export interface ChangedCertificatesQuery {
  /** Half-open range of the time of the client's own lookups. */
  readonly from: Date;
  readonly until?: Date;
  /** Only what was withdrawn at or after. */
  readonly changedFrom?: Date;
  /** A certificate identifier: those behind it. */
  readonly after?: string;
  readonly limit?: number;
}

/** A certificate that the client was answered with while it was in force, and that is not any more. */
export interface ChangedCertificate {
  readonly certificateIdentifier: string;
  readonly status: WithdrawnState;
  readonly changedAt: Date;
  /** Whether a later version is sealed. Which one, a lookup says, under a grant. */
  readonly hasNewerVersion: boolean;
  readonly uses: number;
  readonly lastUseAt: Date;
}

export interface ChangedCertificatesPage {
  readonly items: readonly ChangedCertificate[];
  /** Records that say more, but cannot be read: their bodies were erased, or they or their certificate fail their check. */
  readonly erased: number;
  readonly tampered: number;
  readonly next?: string;
  readonly receipt: Receipt;
}

const maxDays = 92;
const dayMs = 86_400_000;
/** Certificates looked through in one call: a page may be shorter than asked for and yet not be the last. */
const mostCertificates = 500;

/**
 * Of the certificates that the calling client was answered with in a time: those that were suspended, revoked or superseded since. Known
 * from its own records alone, so that it learns nothing of a certificate it never saw. Recorded before it is returned (invariant 1).
 * A certificate that fails its check is reported and counted, and keeps back no other.
 * @throws Refusal `range_invalid`, `range_too_long`, `contract_violation` for a cursor that is none, `search_too_broad`,
 *   `record_unavailable`
 */
export async function listChangedCertificates(
  deps: ChangedCertificatesDeps,
  query: ChangedCertificatesQuery,
  { caller, requestId, at }: Call,
): Promise<ChangedCertificatesPage> {
  const span = spanOf(query, at);
  const { clientId, department, keyId } = caller;
  const { after, changedFrom } = query;
  const seen = await selectCertificatesOf(deps.db, { ...span, clientId, after, limit: mostCertificates });
  const { items, looked, erased, tampered } = await changedOf(deps, seen, { ...query, ...span, clientId });
  const receipt = await deps.record({
    kind: 'access',
    action: 'listChangedCertificates',
    outcome: 'answered',
    caller: { clientId, department, keyId },
    certificates: items.map(({ certificateIdentifier }) => certificateIdentifier),
    scope: JSON.parse(JSON.stringify({ ...span, changedFrom, after })),
    requestId,
    at,
  });
  const isMore = looked < seen.length || seen.length === mostCertificates;
  const next = isMore ? seen[looked - 1] : undefined;
  return { items, erased, tampered, receipt, ...(next !== undefined && { next }) };
}

interface Span {
  readonly from: Date;
  readonly until: Date;
}

function spanOf({ from, until: wanted, after }: ChangedCertificatesQuery, at: Date): Span {
  const until = wanted ?? at;
  if (from >= until) throw new Refusal('range_invalid');
  if (until.getTime() - from.getTime() > maxDays * dayMs) throw new Refusal('range_too_long', { maxDays });
  if (after !== undefined && !isCertificateIdentifier(after)) {
    throw new Refusal('contract_violation', { pointer: '/after' });
  }
  return { from, until };
}

/** Goes through the certificates until the page is full; `looked` says how far. */
async function changedOf(
  deps: ChangedCertificatesDeps,
  seen: readonly string[],
  { from, until, clientId, changedFrom, limit = 50 }: ChangedCertificatesQuery & Span & { readonly clientId: string },
) {
  const items: ChangedCertificate[] = [];
  const unreadable = { erased: 0, tampered: 0 };
  let looked = 0;
  for (const certificateIdentifier of seen) {
    if (items.length === limit) break;
    looked += 1;
    const changed = await changeOf(deps, certificateIdentifier);
    if (changed === 'tampered') unreadable.tampered += 1;
    if (typeof changed !== 'object' || (changedFrom !== undefined && changed.changedAt < changedFrom)) continue;
    const found = await answeredLookups(deps, { certificateIdentifier, clientId, from, until });
    unreadable.erased += found.erased;
    unreadable.tampered += found.tampered;
    const [last] = found.lookups;
    if (last !== undefined) items.push({ ...changed, uses: found.lookups.length, lastUseAt: last.at });
  }
  return { items, looked, ...unreadable };
}

/** What became of a certificate version, from its own sound rows; undefined while it was not withdrawn. */
async function changeOf(
  { db, keys, tampered }: ChangedCertificatesDeps,
  certificateIdentifier: string,
): Promise<Omit<ChangedCertificate, 'uses' | 'lastUseAt'> | 'tampered' | undefined> {
  const parsed = parseCertificateIdentifier(certificateIdentifier);
  if (!parsed.ok) return undefined;
  const { series, version } = parsed.value;
  try {
    const { state } = await readVersion(db.kysely, keys.box, parsed.value);
    const status = withdrawnState(state);
    if (status === undefined) return undefined;
    const events = await readEvents(db.kysely, keys.box, series);
    const step = events.findLast((event) => event.version === version && event.state === status);
    // Whatever is withdrawn was withdrawn by a step that is on file.
    if (step === undefined) throw new Refusal('stored_data_tampered');
    const newest = parseCertificateIdentifier((await newestVersion(db, keys.box, series)) ?? '');
    const hasNewerVersion = newest.ok && newest.value.version > version;
    return { certificateIdentifier, status, changedAt: step.at, hasNewerVersion };
  } catch (error) {
    // A row that is gone was taken away: the client was answered with the certificate once.
    const isTampered =
      error instanceof Refusal && (error.code === 'stored_data_tampered' || error.code === 'certificate_unknown');
    if (!isTampered) throw error;
    tampered('certificates', certificateIdentifier);
    return 'tampered';
  }
}
