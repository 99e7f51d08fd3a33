/**
 * Every reason for which certhub refuses a call. The domain throws a code; only `http/problem.ts`
 * knows its HTTP status and its words, and a test keeps this union, that table and the contract equal.
 */
export const refusalCodes = [
  // who is calling
  'invalid_client',
  'invalid_request',
  'unsupported_grant_type',
  'token_missing',
  'token_invalid',
  'token_expired',
  'client_disabled',
  'role_required',
  // what the request looks like
  'malformed_json',
  'duplicate_key',
  'forbidden_character',
  'body_too_large',
  'unsupported_media_type',
  'unsupported_content_encoding',
  'contract_violation',
  'number_for_identifier',
  'purpose_missing',
  'not_found',
  'method_not_allowed',
  'malformed_request',
  'header_too_large',
  'request_timeout',
  'rate_limited',
  // identifiers
  'invalid_id_number',
  'invalid_uscc',
  'invalid_certificate_identifier',
  'invalid_certificate_type_code',
  'invalid_holder_type',
  // idempotency
  'idempotency_key_missing',
  'idempotency_conflict',
  'idempotency_in_flight',
  // registry
  'department_unknown',
  'department_exists',
  'client_unknown',
  'client_exists',
  'client_key_unknown',
  'client_key_invalid',
  'client_key_exists',
  'seal_x509_invalid',
  'seal_x509_exists',
  'seal_x509_unknown',
  'trust_root_invalid',
  'trust_root_exists',
  'certificate_type_exists',
  'certificate_type_invalid',
  'certificate_type_retired',
  'draft_unknown',
  'draft_outdated',
  'draft_unchanged',
  'hub_must_publish',
  'change_breaks',
  'catalogue_invalid',
  // certificates
  'certificate_type_unknown',
  'type_not_allowed',
  'holder_kind_mismatch',
  'holder_count_mismatch',
  'holder_duplicate',
  'field_unknown',
  'field_missing',
  'field_invalid',
  'dates_out_of_order',
  'validity_mismatch',
  'certificate_unknown',
  'certificate_exists',
  'version_outdated',
  'identifier_mismatch',
  'wrong_department',
  'review_required',
  'reason_missing',
  'reviewer_must_differ',
  'revocation_reason_missing',
  'wrong_state',
  'seal_key_missing',
  'seal_key_expired',
  'sealed_certificate_invalid',
  'status_list_unknown',
  // grants and lookups
  'grant_unknown',
  'grant_invalid',
  'grant_required',
  'grant_expired',
  'grant_revoked',
  'secrecy_not_granted',
  'grant_suspended',
  'application_unknown',
  'application_closed',
  'application_exists',
  'decider_must_differ',
  'decision_wider',
  'ticket_required',
  'ticket_unknown',
  'ticket_expired',
  'ticket_used_up',
  'ticket_mismatch',
  'ticket_invalid',
  'statement_invalid',
  'statement_replayed',
  'holder_code_invalid',
  'holder_code_unknown',
  'matter_unknown',
  'matter_exists',
  'matter_invalid',
  'matter_circular',
  'matter_retired',
  'party_missing',
  'parties_equal',
  'demand_unknown',
  'demand_closed',
  'demand_exists',
  'demand_invalid',
  'quota_exceeded',
  'holder_or_identifier_required',
  // faults of certificates
  'feedback_unknown',
  'feedback_invalid',
  'feedback_exists',
  'feedback_closed',
  'feedback_not_mended',
  'certificate_in_force',
  // paper demands
  'requirement_unknown',
  'paper_demand_unknown',
  'paper_demand_exists',
  'paper_demand_closed',
  // erasure of records
  'erasure_unknown',
  'erasure_target_invalid',
  'erasure_closed',
  'approver_must_differ',
  'erasure_not_approved',
  'erasure_not_published',
  'retention_not_over',
  'month_not_sealed',
  // records under secrecy
  'record_unknown',
  'release_invalid',
  // reading the records
  'question_invalid',
  'range_invalid',
  'range_too_long',
  'search_too_broad',
  'export_too_large',
  'log_empty',
  'range_not_covered',
  'not_in_log_yet',
  // what we hold
  'stored_data_tampered',
  // availability
  'database_unavailable',
  'record_unavailable',
  'log_unwitnessed',
  'shutting_down',
  'internal_error',
] as const;

export type RefusalCode = (typeof refusalCodes)[number];

/** What the caller gets beside the code: a JSON pointer, a limit, the grant to apply for. Never a person's data. */
export type RefusalDetail = Readonly<Record<string, unknown>>;

/** A refusal by rule. It carries a code and harmless details, never a message with data of a person. */
export class Refusal extends Error {
  override readonly name: string = 'Refusal';
  readonly code: RefusalCode;
  readonly detail: RefusalDetail;
  constructor(code: RefusalCode, detail: RefusalDetail = {}, options?: ErrorOptions) {
    super(code, options);
    this.code = code;
    this.detail = detail;
  }
}
