import { canonicalJson } from './canonical-json.ts';
import {
  type KnownStatus,
  readX5c,
  type StatusFinding,
  type StatusReference,
  statusByList,
  unverifiedLeafKey,
} from './certificate-status.ts';
import { encodeBase64url, type JsonObject } from './encoding.ts';
import { verifySdJwt } from './sd-jwt.ts';
import { readSealedPayload, type SealedCertificatePayload } from './sealed-certificate.ts';
import { type Bilingual, entitledIssuer, type TrustBundle } from './trust-bundle.ts';
import { type Reason, type ReasonCode, reason, type VerdictNumber, verdictOf } from './verdict-reasons.ts';
import { validateX509Path } from './x509-path.ts';
import { subjectOids, type X509 } from './x509-read.ts';

/** The state of a certificate at the time asked about. `invalid`: revoked or superseded, the list does not say which. */
export type JudgedStatus = KnownStatus | 'not_yet_valid' | 'expired' | 'invalid' | 'unknown';

/** What a genuine certificate says. Times are epoch seconds; `validUntil` is exclusive. */
export type JudgedCertificate = {
  readonly identifier: string;
  readonly version: number;
  readonly typeCode: string;
  readonly typeName: Bilingual;
  readonly issuer: string;
  readonly issuerName: Bilingual;
  readonly sealedAt: number;
  /** SHA-256 (hex) of the X.509 certificate that sealed it. */
  readonly sealedBy: string;
  readonly validFrom?: number;
  readonly validUntil?: number;
  readonly status: JudgedStatus;
  readonly disclosed: JsonObject;
  /** Digests without a disclosure: withheld fields and decoys. */
  readonly withheld: number;
};

/** The outcome of a verification: a value that lists every reason, never an exception. */
export type Verdict = {
  readonly verdict: VerdictNumber;
  readonly reasons: readonly Reason[];
  /** Absent unless the certificate is genuine: what is forged is not repeated. */
  readonly certificate?: JudgedCertificate;
  /** Epoch seconds: the time the question is about. */
  readonly checkedAt: number;
  /** Epoch seconds of the status information; null when there was none. */
  readonly statusAsOf: number | null;
};

/** What to verify a certificate with. */
export type CertificateQuestion = {
  readonly sdJwt: string;
  readonly trust: TrustBundle;
  /** Epoch seconds: is it, or was it, good at this time? */
  readonly at: number;
  /** Epoch seconds of a reliable clock, when there is one: decides whether a status list is fresh. */
  readonly now?: number;
  /** The history of the certificate's status, when the verifier has it; undefined when it does not know this one. */
  readonly statusOf?: (reference: StatusReference, identifier: string, at: number) => KnownStatus | undefined;
  /** Values the asker believes; each must be disclosed and equal. */
  readonly expectedFields?: Readonly<Record<string, unknown>>;
};

/**
 * Verifies a sealed certificate: format and signature (RFC 9901), the path of the seal's X.509 certificate at sealing
 * time, the department's entitlement then, the dates and the status at `at`. Whatever the text, the answer is a verdict.
 */
export function verifyCertificate(question: CertificateQuestion): Verdict {
  const { sdJwt, at } = question;
  const refuse = (codes: readonly ReasonCode[]): Verdict => ({
    verdict: verdictOf(codes),
    reasons: codes.map((code) => reason(code)),
    checkedAt: at,
    statusAsOf: null,
  });
  if (sdJwt === '') return refuse(['nothing_given']);
  const format = verifySdJwt(sdJwt, { resolveKey: unverifiedLeafKey });
  if (!format.ok) return refuse(format.reasons);
  const { header, clear, disclosed, withheld } = format.value;
  const payload = readSealedPayload(clear);
  if (!payload.ok) return refuse(payload.reasons);
  const seal = judgeSeal(question.trust, header, payload.value);
  if (!seal.ok) return refuse(seal.reasons);

  const certificate = payload.value;
  const dates = judgeDates(certificate, at);
  const finding = findStatus(question, certificate, seal.root.sha256);
  const reasons = [
    ...[...dates, ...finding.reasons].map((code) => reason(code)),
    ...judgeFields(disclosed, question.expectedFields ?? {}),
  ];
  const verdict = verdictOf(reasons.map(({ code }) => code));
  const outcome = { verdict, reasons, checkedAt: at, statusAsOf: finding.asOf };
  if (verdict === 7) return outcome;
  return {
    ...outcome,
    certificate: {
      identifier: certificate.certificateIdentifier,
      version: Number(certificate.certificateVersion),
      typeCode: certificate.certificateTypeCode,
      typeName: seal.typeName,
      issuer: certificate.issuingAuthorityCode,
      issuerName: seal.name,
      sealedAt: certificate.iat,
      sealedBy: seal.leaf.sha256,
      ...(certificate.nbf === undefined ? {} : { validFrom: certificate.nbf }),
      ...(certificate.exp === undefined ? {} : { validUntil: certificate.exp }),
      status: judgedStatus(finding.status, dates),
      disclosed,
      withheld,
    },
  };
}

/** The path at sealing time, then whether the department was entitled. All reasons of both. */
function judgeSeal(
  trust: TrustBundle,
  header: JsonObject,
  payload: SealedCertificatePayload,
):
  | { ok: true; leaf: X509; root: X509; name: Bilingual; typeName: Bilingual }
  | { ok: false; reasons: readonly ReasonCode[] } {
  const chain = readX5c(header);
  if (chain === undefined) return { ok: false, reasons: ['x5c_missing'] };
  const path = validateX509Path({ chain, roots: trust.roots, at: payload.iat, use: 'seal' });
  if (!path.ok) return path;
  const { leaf, root } = path;
  const reasons: ReasonCode[] = [];
  const thumbprint = header['x5t#S256'];
  if (thumbprint !== undefined && thumbprint !== encodeBase64url(Buffer.from(leaf.sha256, 'hex'))) {
    reasons.push('x5t_mismatch');
  }
  // an authority that does not write the code into its certificates is vouched for by the registration alone
  const subject = leaf.subjectAttributes.get(subjectOids.organizationIdentifier);
  if (subject !== undefined && !subject.endsWith(payload.issuingAuthorityCode)) reasons.push('x509_subject_mismatch');
  const entitled = entitledIssuer(trust, {
    leafSha256: leaf.sha256,
    department: payload.issuingAuthorityCode,
    typeCode: payload.certificateTypeCode,
    at: payload.iat,
  });
  if (!entitled.ok) return { ok: false, reasons: [...reasons, ...entitled.reasons] };
  if (reasons.length > 0) return { ok: false, reasons };
  return { ok: true, leaf, root, name: entitled.name, typeName: entitled.typeName };
}

function judgeDates(payload: SealedCertificatePayload, at: number): ReasonCode[] {
  const reasons: ReasonCode[] = [];
  if (at < payload.iat) reasons.push('not_sealed_yet');
  if (payload.nbf !== undefined && at < payload.nbf) reasons.push('not_yet_valid');
  if (payload.exp !== undefined && at >= payload.exp) reasons.push('expired');
  return reasons;
}

function findStatus(
  question: CertificateQuestion,
  payload: SealedCertificatePayload,
  rootSha256: string,
): StatusFinding {
  const { trust, at, now } = question;
  const reference = payload.status.status_list;
  const known = question.statusOf?.(reference, payload.certificateIdentifier, at);
  if (known === undefined) return statusByList(trust, reference, { at, now, rootSha256 });
  return { status: known, asOf: at, reasons: known === 'valid' ? [] : [known] };
}

/** What the department decided outweighs the calendar, and an end outweighs a beginning. */
function judgedStatus(status: StatusFinding['status'], dates: readonly ReasonCode[]): JudgedStatus {
  if (status === 'revoked' || status === 'superseded' || status === 'invalid') return status;
  if (dates.includes('expired')) return 'expired';
  if (status === 'suspended' || status === 'unknown') return status;
  return dates.length > 0 ? 'not_yet_valid' : status;
}

function judgeFields(disclosed: JsonObject, expected: Readonly<Record<string, unknown>>): Reason[] {
  const reasons: Reason[] = [];
  for (const [name, value] of Object.entries(expected)) {
    if (!Object.hasOwn(disclosed, name)) reasons.push(reason('field_not_disclosed', name));
    else if (!isSameJson(disclosed[name], value)) reasons.push(reason('field_differs', name));
  }
  return reasons;
}

function isSameJson(left: unknown, right: unknown): boolean {
  try {
    return canonicalJson(left) === canonicalJson(right);
  } catch {
    return false;
  }
}
