import { decodeBase64url, isJsonObject, type JsonObject, type JsonValue } from './encoding.ts';
import { isCertificateIdentifier } from './identifiers.ts';
import { verifyCompactJws } from './jws.ts';
import { sdHash } from './sd-jwt.ts';
import { isWithin, type TrustBundle } from './trust-bundle.ts';
import { type CertificateQuestion, type Verdict, verifyCertificate } from './verdict.ts';
import {
  type Reason,
  type ReasonCode,
  reason,
  type VerdictNumber,
  verdictOf,
  worstVerdict,
} from './verdict-reasons.ts';

export const answerTyp = 'certhub-answer+jwt';
const clockSkewSeconds = 60;

/** One certificate of an answer. `sd_hash` is over the SD-JWT as presented; `compare` is yes or no per field. */
export type AnsweredCertificate = {
  readonly certificateIdentifier: string;
  readonly status: string;
  readonly level: string;
  readonly sd_hash?: string;
  readonly compare?: { readonly [field: string]: boolean };
};

/** The payload of an answer: who got what, why and when. `iat` is epoch seconds. */
export type AnswerPayload = {
  readonly iss: string;
  /** Client id of the asker. */
  readonly aud: string;
  /** Record id. */
  readonly jti: string;
  readonly iat: number;
  readonly purpose: JsonObject;
  readonly certificates: readonly AnsweredCertificate[];
  /** Record commitment, 32 bytes as base64url. */
  readonly commitment: string;
};

/** The outcome of verifying an answer; `certificates` has one verdict per SD-JWT that was supplied. */
export type AnswerVerdict = {
  readonly verdict: VerdictNumber;
  readonly reasons: readonly Reason[];
  readonly answer?: AnswerPayload;
  readonly certificates: readonly Verdict[];
  readonly checkedAt: number;
};

/**
 * Verifies an answer of the hub: its signature by an answer key in force when it was made, its form, and every SD-JWT
 * supplied with it, which must be one whose `sd_hash` the answer names and be about the certificate it names there.
 */
export function verifyAnswer(
  question: Omit<CertificateQuestion, 'sdJwt' | 'expectedFields'> & {
    readonly answer: string;
    readonly sdJwts?: readonly string[];
  },
): AnswerVerdict {
  const { answer, trust, at, sdJwts = [] } = question;
  const refuse = (codes: readonly ReasonCode[]): AnswerVerdict => ({
    verdict: verdictOf(codes),
    reasons: codes.map((code) => reason(code)),
    certificates: [],
    checkedAt: at,
  });
  if (answer === '') return refuse(['nothing_given']);
  const read = readAnswer(trust, answer);
  if (!read.ok) return refuse(read.reasons);
  const payload = read.value;
  const reasons: Reason[] = [];
  if (payload.iss !== trust.issuer) reasons.push(reason('answer_issuer'));
  if (payload.iat > (question.now ?? at) + clockSkewSeconds) reasons.push(reason('answer_from_future'));
  const certificates = sdJwts.map((sdJwt) => verifyCertificate({ ...question, sdJwt }));
  reasons.push(...matchCertificates(payload, sdJwts, certificates));
  const own = verdictOf(reasons.map(({ code }) => code));
  const verdict = worstVerdict([own, ...certificates.map((each) => each.verdict)]);
  return { verdict, reasons, answer: payload, certificates, checkedAt: at };
}

function readAnswer(
  trust: TrustBundle,
  answer: string,
): { ok: true; value: AnswerPayload } | { ok: false; reasons: ReasonCode[] } {
  let isKnownLate = false;
  const verified = verifyCompactJws(answer, {
    typ: answerTyp,
    suites: ['ES256', 'EdDSA', 'SM2-SM3'],
    key: ({ kid }, { iat }) => {
      const named = trust.hubKeys.filter((each) => each.use === 'answer' && each.kid === kid);
      const inForce = named.find((each) => typeof iat === 'number' && isWithin(each, iat));
      isKnownLate = named.length > 0 && inForce === undefined;
      return inForce?.key;
    },
  });
  if (!verified.ok) return { ok: false, reasons: isKnownLate ? ['answer_key_not_in_force'] : verified.reasons };
  const payload = verified.payload;
  return isAnswerPayload(payload) ? { ok: true, value: payload } : { ok: false, reasons: ['answer_malformed'] };
}

function isAnswerPayload(payload: JsonObject): payload is JsonObject & AnswerPayload {
  const { iss, aud, jti, iat, purpose, certificates, commitment } = payload;
  const texts = [iss, aud, jti].every((value) => typeof value === 'string' && value !== '');
  const bytes = typeof commitment === 'string' ? decodeBase64url(commitment) : undefined;
  return (
    texts &&
    typeof iat === 'number' &&
    Number.isSafeInteger(iat) &&
    isJsonObject(purpose) &&
    Array.isArray(certificates) &&
    certificates.every(isAnsweredCertificate) &&
    bytes?.length === 32
  );
}

function isAnsweredCertificate(value: JsonValue): boolean {
  if (!isJsonObject(value)) return false;
  const { certificateIdentifier, status, level, sd_hash: hash, compare } = value;
  if (typeof certificateIdentifier !== 'string' || !isCertificateIdentifier(certificateIdentifier)) return false;
  if (typeof status !== 'string' || typeof level !== 'string') return false;
  if (hash !== undefined && (typeof hash !== 'string' || decodeBase64url(hash)?.length !== 32)) return false;
  return (
    compare === undefined ||
    (isJsonObject(compare) && Object.values(compare).every((outcome) => typeof outcome === 'boolean'))
  );
}

/** Whether each SD-JWT is one of the answer, and about the certificate the answer says. */
function matchCertificates(payload: AnswerPayload, sdJwts: readonly string[], verdicts: readonly Verdict[]): Reason[] {
  const reasons: Reason[] = [];
  const supplied = new Set<string>();
  for (const [index, sdJwt] of sdJwts.entries()) {
    const hash = sdHash(sdJwt);
    supplied.add(hash);
    const entry = payload.certificates.find((each) => each.sd_hash === hash);
    const identifier = verdicts[index]?.certificate?.identifier;
    if (entry === undefined) reasons.push(reason('sd_jwt_not_in_answer'));
    else if (identifier !== undefined && identifier !== entry.certificateIdentifier) {
      reasons.push(reason('answer_certificate_differs', entry.certificateIdentifier));
    }
  }
  for (const entry of payload.certificates) {
    if (entry.sd_hash !== undefined && !supplied.has(entry.sd_hash)) {
      reasons.push(reason('sd_jwt_not_supplied', entry.certificateIdentifier));
    }
  }
  return reasons;
}
