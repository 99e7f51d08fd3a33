import type { Generated } from 'kysely';

/**
 * Every table, once. Owners (a test searches each store for tables it does not own):
 * departments/: departments, clients, client_keys, client_assertions, trust_roots, seal_x509 ·
 * catalogue/: certificate_types, certificate_type_drafts, matters, demands ·
 * certificates/: certificates, certificate_versions, certificate_events, seal_headers, status_lists, status_entries ·
 * grants/: grants, grant_usage, grant_officer_usage, grant_holder_usage, grant_applications, tickets, holder_codes ·
 * supervision/: feedback, paper_demands, paper_demand_holders ·
 * audit/: records, log_queue, log_queue_refused, log_leaf, log_tile, log_state, log_checkpoint, log_cosignature, record_months,
 * erasures, erasure_approvals, erasure_executions, record_releases, key_events ·
 * db/: registry_versions, idempotency_keys, schema_migrations.
 */
export interface Tables {
  registry_versions: { topic: string; version: number };
  departments: { code: string; body: Buffer; created_at: Date; mac: Buffer };
  clients: {
    client_id: string;
    department_code: string;
    body: Buffer;
    disabled_at: Date | null;
    created_at: Date;
    mac: Buffer;
  };
  client_keys: {
    client_id: string;
    kid: string;
    jwk: Buffer;
    thumbprint: Buffer;
    created_at: Date;
    revoked_at: Date | null;
    mac: Buffer;
  };
  client_assertions: { client_id: string; jti_hash: Buffer; expires_at: Date };
  trust_roots: { sha256: Buffer; x509: Buffer; valid_from: Date; valid_until: Date | null; mac: Buffer };
  seal_x509: {
    sha256: Buffer;
    department_code: string;
    chain: Buffer[];
    valid_from: Date;
    valid_until: Date | null;
    revoked_at: Date | null;
    mac: Buffer;
  };
  certificate_types: {
    code: string;
    version: number;
    definition: Buffer;
    note: Buffer | null;
    created_at: Date;
    mac: Buffer;
  };
  certificate_type_drafts: {
    draft_id: string;
    code: string;
    state: string;
    body: Buffer;
    saved_at: Date;
    mac: Buffer;
  };
  grants: {
    grant_id: string;
    client_id: string;
    certificate_type_code: string;
    body: Buffer;
    created_at: Date;
    suspended_at: Date | null;
    revoked_at: Date | null;
    mac: Buffer;
  };
  grant_officer_usage: { day: string; grant_id: string; officer_key: Buffer; used: number; holders: number };
  grant_holder_usage: { day: string; grant_id: string; officer_key: Buffer; holder_key: Buffer };
  grant_applications: {
    application_id: string;
    client_id: string;
    owner_department_code: string;
    state: string;
    due_at: Date;
    body: Buffer;
    created_at: Date;
    mac: Buffer;
  };
  tickets: {
    ticket_id: string;
    ticket_hash: Buffer;
    client_id: string;
    uses: number;
    used: number;
    expires_at: Date;
    revoked_at: Date | null;
    box: Buffer;
  };
  holder_codes: {
    code_id: string;
    code_hash: Buffer;
    client_id: string;
    expires_at: Date;
    used_at: Date | null;
    revoked_at: Date | null;
    box: Buffer;
  };
  feedback: {
    feedback_id: string;
    receipt_number: string;
    client_id: string;
    owner_department_code: string;
    kind: string;
    state: string;
    fault_key: Buffer | null;
    follows: string | null;
    due_at: Date;
    created_at: Date;
    settled_at: Date | null;
    forgotten_at: Date | null;
    box: Buffer;
  };
  paper_demands: {
    paper_demand_id: string;
    department_code: string;
    client_id: string;
    matter_code: string | null;
    state: string;
    due_at: Date | null;
    created_at: Date;
    settled_at: Date | null;
    forgotten_at: Date | null;
    box: Buffer;
  };
  paper_demand_holders: { holder_key: Buffer; paper_demand_id: string };
  matters: {
    code: string;
    version: number;
    definition: Buffer;
    note: Buffer | null;
    created_at: Date;
    mac: Buffer;
  };
  demands: { demand_id: string; body: Buffer; created_at: Date; mac: Buffer };
  grant_usage: { grant_id: string; day: string; used: number };
  status_lists: { list_id: number; open: boolean; created_at: Date };
  status_entries: { list_id: number; idx: number; value: number; changed_at: Date };
  seal_headers: { sha256: Buffer; header: string };
  certificate_versions: {
    series: string;
    version: number;
    version_id: string;
    holder_keys: Buffer[];
    created_at: Date;
  };
  certificates: {
    holder_key: Buffer;
    version_id: string;
    series: string;
    version: number;
    identifier: string;
    certificate_type_code: string;
    type_version: number;
    issuing_authority_code: string;
    is_first_holder: boolean;
    state: string;
    revocation_reason: string | null;
    effective_from: Date;
    expires_at: Date | null;
    status_list: number;
    status_index: number;
    revision: number;
    box: Buffer;
    pushed_at: Date;
    sealed_at: Date | null;
    updated_at: Date;
  };
  certificate_events: {
    series: string;
    event_id: string;
    version: number;
    at: Date;
    action: string;
    state: string;
    revocation_reason: string | null;
    client_id: string;
    department_code: string;
    body: Buffer;
  };
  idempotency_keys: {
    client_id: string;
    key_hash: Buffer;
    operation: string;
    fingerprint: Buffer;
    status: number | null;
    response: Buffer | null;
    created_at: Generated<Date>;
  };
  records: {
    lane: number;
    record_id: string;
    recorded_at: Date;
    kind: number;
    action: string;
    outcome: string;
    code: string | null;
    client_id: string | null;
    department_code: string | null;
    matter_code: string | null;
    case_key: Buffer | null;
    officer_key: Buffer | null;
    holder_key: Buffer | null;
    other_holder_keys: Buffer[] | null;
    commitment: Buffer;
    /** Null once erased. */
    body: Buffer | null;
    level: string | null;
    certificates: string[] | null;
    certificate_types: string[] | null;
    release_at: Date | null;
  };
  log_queue: { record_id: string; lane: number; recorded_at: Date; kind: number; commitment: Buffer; mac: Buffer };
  log_queue_refused: {
    refused_id: Generated<number>;
    record_id: string;
    lane: number;
    recorded_at: Date;
    kind: number;
    commitment: Buffer;
    mac: Buffer;
    refused_at: Date;
  };
  log_leaf: { leaf_index: number; record_id: string; lane: number; recorded_at: Date; entry: Buffer };
  log_tile: { level: number; tile_index: number; width: number; hashes: Buffer };
  log_state: {
    id: number;
    origin: string;
    size: number;
    root: Buffer;
    epoch: number;
    holder: string;
    lease_until: Date;
    published_size: number;
  };
  log_checkpoint: { size: number; root: Buffer; note: string; signed_at: Date };
  log_cosignature: { size: number; name: string; key_id: Buffer; line: string; received_at: Date };
  record_months: { month: string; seal_record_id: string; records: number; root: Buffer; sealed_at: Date };
  erasures: { erasure_id: string; body: Buffer; created_at: Date; mac: Buffer };
  erasure_approvals: {
    erasure_id: string;
    officer_key: Buffer;
    client_id: string;
    decision: string;
    body: Buffer;
    record_id: string;
    approved_at: Date;
    mac: Buffer;
  };
  erasure_executions: { erasure_id: string; record_id: string; bodies: number; executed_at: Date; mac: Buffer };
  record_releases: { record_id: string; changed_at: Date; release_at: Date; mac: Buffer };
  key_events: { kid: string; state: string; recorded_at: Date };
  schema_migrations: { id: number; name: string; sha256: string; applied_at: Generated<Date> };
}
