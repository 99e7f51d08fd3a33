import { Refusal, type RefusalCode } from '../errors.ts';
import type { ProblemWords } from './words.ts';
import { auditWords } from './words-audit.ts';
import { catalogueWords } from './words-catalogue.ts';
import { certificatesWords } from './words-certificates.ts';
import { demandsWords } from './words-demands.ts';
import { erasureWords } from './words-erasure.ts';
import { feedbackWords } from './words-feedback.ts';
import { grantsWords } from './words-grants.ts';
import { holderCodeWords } from './words-holder-codes.ts';
import { mattersWords } from './words-matters.ts';
import { paperDemandsWords } from './words-paper-demands.ts';
import { registryWords } from './words-registry.ts';
import { requestWords } from './words-request.ts';

/** Status and words of every refusal; a code without an entry does not compile. */
export const problems: Readonly<Record<RefusalCode, ProblemWords>> = {
  ...requestWords,
  ...registryWords,
  ...certificatesWords,
  ...grantsWords,
  ...holderCodeWords,
  ...paperDemandsWords,
  ...mattersWords,
  ...demandsWords,
  ...catalogueWords,
  ...auditWords,
  ...erasureWords,
  ...feedbackWords,
};

/** A problem ready to send: RFC 9457, on the token endpoint with the members of RFC 6749 section 5.2. */
export interface Problem {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Readonly<Record<string, unknown>>;
}

/** What happened, as a refusal. Anything without a name becomes `internal_error` and keeps its cause for the log. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  const { code, statusCode } = (error ?? {}) as { code?: unknown; statusCode?: unknown };
  const known = typeof code === 'string' ? frameworkCodes[code] : undefined;
  if (known !== undefined) return new Refusal(known, {}, { cause: error });
  // Other faults that the framework or the parser lays at the caller's door: an aborted or ill-framed request.
  const callers = typeof code === 'string' && /^(FST_|HPE_|ECONN)/.test(code) && isClientStatus(statusCode);
  return new Refusal(callers ? 'malformed_request' : 'internal_error', {}, { cause: error });
}

const isClientStatus = (status: unknown): boolean => typeof status === 'number' && status >= 400 && status < 500;

const frameworkCodes: Readonly<Record<string, RefusalCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_EMPTY_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'malformed_request',
  FST_ERR_BAD_URL: 'malformed_request',
  FST_ERR_MAX_PARAM_LENGTH: 'not_found',
  FST_ERR_NOT_FOUND: 'not_found',
  HPE_HEADER_OVERFLOW: 'header_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
};

/**
 * The answer to a refusal.
 * @param issuer base of the `type` address, without a slash at its end
 * @param oauth on the token endpoint: OAuth error members, and `application/json` as RFC 6749 section 5.2 demands
 */
export function problemOf(issuer: string, refusal: Refusal, requestId: string, oauth = false): Problem {
  const { code, detail } = refusal;
  const { status, title, detail: happened, next } = problems[code];
  const headers: Record<string, string> = {
    'content-type': oauth ? 'application/json; charset=utf-8' : 'application/problem+json; charset=utf-8',
    'cache-control': 'no-store',
  };
  const wait = detail['retryAfterSeconds'] ?? retryAfterSeconds[code];
  if (typeof wait === 'number') headers['retry-after'] = String(Math.max(1, Math.ceil(wait)));
  if (status === 401) headers['www-authenticate'] = challenges[code] ?? challenge('invalid_token');
  if (code === 'method_not_allowed' && Array.isArray(detail['allowed']))
    headers['allow'] = detail['allowed'].join(', ');
  return {
    status,
    headers,
    body: {
      type: `${issuer}/problems/${code}`,
      title: title.en,
      status,
      code,
      detail: happened.en,
      next: next.en,
      zh: { title: title.zh, detail: happened.zh, next: next.zh },
      requestId,
      ...(Object.keys(detail).length > 0 ? { context: detail } : {}),
      ...(oauth ? { error: oauthError(code, status), error_description: `${happened.en} ${next.en}` } : {}),
    },
  };
}

const retryAfterSeconds: Readonly<Partial<Record<RefusalCode, number>>> = {
  rate_limited: 60,
  idempotency_in_flight: 1,
  database_unavailable: 2,
  record_unavailable: 2,
  log_unwitnessed: 60,
  shutting_down: 1,
};

const challenge = (error: string): string => `Bearer realm="certhub", error="${error}"`;
// RFC 6750 section 3.1: a request without any token is told no error code.
const challenges: Readonly<Partial<Record<RefusalCode, string>>> = {
  token_missing: 'Bearer realm="certhub"',
  invalid_client: challenge('invalid_client'),
};

function oauthError(code: RefusalCode, status: number): string {
  if (code === 'unsupported_grant_type') return code;
  if (code === 'client_disabled' || status === 401) return 'invalid_client';
  if (status === 429 || status === 503) return 'temporarily_unavailable';
  return status >= 500 ? 'server_error' : 'invalid_request';
}
