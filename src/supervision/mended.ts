import type { Transaction } from 'kysely';
import { type CertificateVersion, readVersion } from '../certificates/certificate-version.ts';
import { statusAt } from '../certificates/read-certificates.ts';
import type { Tables } from '../db/tables.ts';
import { Refusal } from '../errors.ts';
import { type ParsedCertificateIdentifier, parseCertificateIdentifier } from '../verification/identifiers.ts';
import type { Feedback, FeedbackVerdict } from './feedback.ts';
import type { FeedbackKeys } from './feedback-row.ts';

/** What the hub must hold for a claim to be true. */
export const expectedOf = {
  corrected: 'a_later_version_in_force_sealed_after_the_report',
  issued: 'a_valid_certificate_of_this_type_and_holder_sealed_by_your_department',
  revoked: 'the_reported_version_is_revoked',
} as const;
type Claim = keyof typeof expectedOf;

/**
 * Whether what a sound answer claims is so, by the certificates themselves as they are in this transaction. Certificates of other
 * departments are not looked at: a claim about one is false, whether or not there is one.
 * @throws Refusal `feedback_not_mended` (context.expected), `stored_data_tampered`
 */
export async function mustBeMended(
  trx: Transaction<Tables>,
  box: FeedbackKeys['box'],
  feedback: Feedback,
  { verdict, at }: { readonly verdict: FeedbackVerdict; readonly at: Date },
): Promise<void> {
  const { outcome } = verdict;
  if (outcome === 'refused' || outcome === 'forwarded') return;
  const named = outcome === 'revoked' ? feedback.certificateIdentifier : verdict.certificateIdentifier;
  const parsed = parseCertificateIdentifier(named ?? '');
  const isOwn = parsed.ok && parsed.value.issuerCode === feedback.ownerDepartmentCode;
  const found = isOwn ? await versionOf(trx, box, parsed.value) : undefined;
  if (found === undefined || !bearsOut(outcome, found, feedback, at)) {
    throw new Refusal('feedback_not_mended', { expected: expectedOf[outcome] });
  }
}

async function versionOf(
  trx: Transaction<Tables>,
  box: FeedbackKeys['box'],
  identifier: ParsedCertificateIdentifier,
): Promise<CertificateVersion | undefined> {
  try {
    return await readVersion(trx, box, identifier);
  } catch (error) {
    if (error instanceof Refusal && error.code === 'certificate_unknown') return undefined;
    throw error;
  }
}

/** Whether a certificate version bears out the claim about a report. Pure. */
export function bearsOut(
  claim: Claim,
  certificate: Pick<CertificateVersion, 'rows' | 'state' | 'contents'>,
  feedback: Feedback,
  at: Date,
): boolean {
  const { rows, state } = certificate;
  if (claim === 'revoked') return state === 'revoked' && rows[0].identifier === feedback.certificateIdentifier;
  if (state !== 'valid') return false;
  return claim === 'issued' ? isWhatWasMissing(certificate, feedback, at) : isLater(certificate, feedback);
}

type Rows = Pick<CertificateVersion, 'rows' | 'contents'>;

const isWhatWasMissing = (
  { rows: [row], contents }: Rows,
  { certificateTypeCode, holder }: Feedback,
  at: Date,
): boolean =>
  row.certificate_type_code === certificateTypeCode &&
  statusAt(row, at) === 'valid' &&
  contents.metadata.holders.some(({ type, number }) => type === holder?.type && number === holder.number);

function isLater({ rows: [row] }: Rows, { certificateIdentifier = '', createdAt }: Feedback): boolean {
  const reported = parseCertificateIdentifier(certificateIdentifier);
  return (
    reported.ok &&
    row.series === reported.value.series &&
    row.version > reported.value.version &&
    row.sealed_at !== null &&
    row.sealed_at > createdAt
  );
}
