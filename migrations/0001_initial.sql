-- The spine: registry, catalogue, certificates, grants, records.
--
-- Rules this schema keeps (they make one schema fit one server, replicas and a sharded cluster):
--   * holder_key leads every key of `certificates`; lane leads the key of `records`; everything else is a small reference table
--     or is found by the series of a certificate.
--   * No triggers, rules, sequences as order, or foreign keys into sharded tables.
--   * No column holds an ID number, a name or a field value in clear: holder_key, case_key and officer_key are keyed hashes,
--     `box` and `body` are AES-256-GCM ciphertexts that carry their key id.
--   * Append-only is a matter of roles: certhub_service gets no UPDATE or DELETE on records and certificate_events.

create table registry_versions (
  topic text collate "C" primary key,
  version bigint not null
);
insert into registry_versions (topic, version) values ('departments', 1), ('trust', 1), ('catalogue', 1), ('grants', 1);

create table departments (
  code text collate "C" primary key,
  body bytea not null,
  created_at timestamptz not null,
  mac bytea not null
);

create table clients (
  client_id text collate "C" primary key,
  department_code text collate "C" not null references departments (code),
  body bytea not null,
  disabled_at timestamptz,
  created_at timestamptz not null,
  mac bytea not null
);

create table client_keys (
  client_id text collate "C" not null references clients (client_id),
  kid text collate "C" not null,
  jwk bytea not null,
  -- SHA-256 of the key by RFC 7638: no key ever belongs to two clients, nor comes back once revoked.
  thumbprint bytea not null unique,
  created_at timestamptz not null,
  revoked_at timestamptz,
  mac bytea not null,
  primary key (client_id, kid)
);

-- One row per accepted client assertion until it expires: a second use of the same jti meets the primary key.
create table client_assertions (
  client_id text collate "C" not null,
  jti_hash bytea not null,
  expires_at timestamptz not null,
  primary key (client_id, jti_hash)
);
create index client_assertions_expiry on client_assertions (expires_at);

create table trust_roots (
  sha256 bytea primary key,
  x509 bytea not null,
  valid_from timestamptz not null,
  valid_until timestamptz,
  mac bytea not null
);

create table seal_x509 (
  sha256 bytea primary key,
  department_code text collate "C" not null references departments (code),
  chain bytea[] not null,
  valid_from timestamptz not null,
  valid_until timestamptz,
  revoked_at timestamptz,
  mac bytea not null
);

create table certificate_types (
  code text collate "C" not null,
  version int not null,
  definition bytea not null,
  created_at timestamptz not null,
  mac bytea not null,
  primary key (code, version)
);

create table grants (
  grant_id uuid primary key,
  client_id text collate "C" not null references clients (client_id),
  certificate_type_code text collate "C" not null,
  body bytea not null,
  created_at timestamptz not null,
  revoked_at timestamptz,
  mac bytea not null
);
create index grants_by_client on grants (client_id, grant_id);

-- How often a grant was used on one day of the city's calendar.
create table grant_usage (
  grant_id uuid not null,
  day date not null,
  used bigint not null,
  primary key (grant_id, day)
);

create table status_lists (
  list_id int primary key,
  open boolean not null,
  created_at timestamptz not null
);

-- One row per index ever given out; an index is never used twice.
create table status_entries (
  list_id int not null,
  idx int not null,
  value smallint not null check (value between 0 and 3),
  changed_at timestamptz not null,
  primary key (list_id, idx)
);
create index status_entries_set on status_entries (list_id) where value <> 0;

-- The protected header of sealed certificates, once per seal key.
create table seal_headers (
  sha256 bytea primary key,
  header text collate "C" not null
);

-- Directory: from an identifier (type, issuer, serial = series; version) to the shard keys of its rows.
create table certificate_versions (
  series text collate "C" not null,
  version int not null check (version between 1 and 999),
  version_id uuid not null,
  holder_keys bytea[] not null,
  created_at timestamptz not null,
  primary key (series, version)
);

-- One row per holder of a version: a marriage certificate has two. `box` seals everything personal and binds, as
-- additional authenticated data, every other column listed in certificates/certificate-row.ts.
create table certificates (
  holder_key bytea not null,
  version_id uuid not null,
  series text collate "C" not null,
  version int not null,
  identifier text collate "C" not null,
  certificate_type_code text collate "C" not null,
  type_version int not null,
  issuing_authority_code text collate "C" not null,
  is_first_holder boolean not null,
  state text collate "C" not null check (state in
    ('pending_review', 'returned', 'approved', 'valid', 'suspended', 'revoked', 'superseded')),
  revocation_reason text collate "C" check (revocation_reason in ('cancelled', 'issued_in_error')),
  effective_from timestamptz not null,
  expires_at timestamptz,
  status_list int not null,
  status_index int not null,
  revision int not null,
  box bytea not null,
  pushed_at timestamptz not null,
  sealed_at timestamptz,
  updated_at timestamptz not null,
  primary key (holder_key, version_id)
);
alter table certificates alter column box set storage external;
create index certificates_queue on certificates (issuing_authority_code, version_id)
  where is_first_holder and state in ('pending_review', 'returned', 'approved');

create table certificate_events (
  series text collate "C" not null,
  event_id uuid not null,
  version int not null,
  at timestamptz not null,
  action text collate "C" not null,
  state text collate "C" not null,
  revocation_reason text collate "C",
  client_id text collate "C" not null,
  department_code text collate "C" not null,
  body bytea not null,
  primary key (series, event_id)
);

create table idempotency_keys (
  client_id text collate "C" not null,
  key_hash bytea not null,
  operation text collate "C" not null,
  fingerprint bytea not null,
  status int,
  response bytea,
  created_at timestamptz not null default now(),
  primary key (client_id, key_hash)
);
create index idempotency_keys_age on idempotency_keys (created_at);

-- What happened. body is the canonical record, encrypted; commitment binds it; the other columns are copies to search by.
create table records (
  lane int not null,
  record_id uuid not null,
  recorded_at timestamptz not null,
  kind smallint not null,
  action text collate "C" not null,
  outcome text collate "C" not null,
  code text collate "C",
  client_id text collate "C",
  department_code text collate "C",
  matter_code text collate "C",
  case_key bytea,
  officer_key bytea,
  holder_key bytea,
  other_holder_keys bytea[],
  commitment bytea not null,
  body bytea not null,
  primary key (lane, recorded_at, record_id)
) partition by range (recorded_at);
create index records_by_holder on records (holder_key, recorded_at) where holder_key is not null;
create index records_by_other_holder on records using gin (other_holder_keys) where other_holder_keys is not null;
create index records_by_client on records (client_id, recorded_at);
create index records_by_department on records (department_code, recorded_at);
create index records_by_matter on records (matter_code, recorded_at) where matter_code is not null;
create index records_by_case on records (case_key, recorded_at) where case_key is not null;
create index records_by_officer on records (officer_key, recorded_at) where officer_key is not null;
create index records_by_time on records (recorded_at, record_id);

-- The service may not create tables; this one door lets it open the months ahead, and nothing else. pg_temp stands last: left
-- out it would be searched first, and a caller's own types would run with the owner's rights.
create function ensure_record_partitions(months_ahead int) returns int
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  first_month date := date_trunc('month', (now() at time zone 'UTC'))::date;
  month date;
  made int := 0;
begin
  for i in -1 .. least(greatest(months_ahead, 0), 24) loop
    month := (first_month + make_interval(months => i))::date;
    if to_regclass(format('public.records_%s', to_char(month, 'YYYYMM'))) is null then
      perform pg_advisory_xact_lock(hashtext('certhub.records.partition'));
      execute format(
        'create table if not exists public.records_%s partition of public.records for values from (%L) to (%L)',
        to_char(month, 'YYYYMM'),
        to_char(month, 'YYYY-MM-DD') || ' 00:00:00+00',
        to_char(month + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00');
      made := made + 1;
    end if;
  end loop;
  return made;
end $$;
select ensure_record_partitions(3);

-- Rights. The owner runs migrations only; the hub runs as a member of certhub_service.
revoke all on all tables in schema public from public;
revoke all on function ensure_record_partitions(int) from public;
grant usage on schema public to certhub_service, certhub_sequencer;
grant execute on function ensure_record_partitions(int) to certhub_service;
grant select on all tables in schema public to certhub_service;
grant insert, update on registry_versions, departments, clients, client_keys, trust_roots, seal_x509, certificate_types,
  grants, grant_usage, status_lists, status_entries, certificates to certhub_service;
grant insert, update, delete on client_assertions, idempotency_keys to certhub_service;
-- A correction before the seal may change the holders, and with them the keys of rows and directory entry.
grant delete on certificates to certhub_service;
grant update on certificate_versions to certhub_service;
grant insert on seal_headers, certificate_versions, certificate_events, records to certhub_service;
grant select on records to certhub_sequencer;
