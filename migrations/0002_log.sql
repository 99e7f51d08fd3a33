-- The transparency log over the records, and what else makes them evidence: witnesses, month seals, erasure, release of secrecy.
--
-- A record and its place in log_queue are written by one statement. A sequencer (another role) takes the queue away in batches, numbers
-- it without a gap and extends the tree, all in one transaction guarded by compare-and-swap on log_state.

-- More copies to search by. Rows from before this migration have none; the self-check counts them.
alter table records
  add column level text collate "C",
  add column certificates text[] collate "C",
  add column certificate_types text[] collate "C",
  -- Set for a lookup under secrecy: until then it is in the log and for auditors, but not in the holder's own report.
  add column release_at timestamptz;
-- Null after an erasure, which leaves its own leaf: commitment and row stay.
alter table records alter column body drop not null;
create index records_by_certificate on records using gin (certificates, certificate_types);
-- An auditor who asks for what is rare must not read everything: each of these holds the rare part of its axis only, so that an
-- answered lookup, nearly every record there is, enters none of them. The common part is found by walking back in time.
create index records_by_kind on records (kind, recorded_at, record_id) where kind <> 1;
create index records_by_action on records (action, recorded_at) where action <> 'lookUp';
create index records_by_outcome on records (outcome, recorded_at) where outcome <> 'answered';
create index records_by_code on records (code, recorded_at) where code is not null;
create index records_by_compare on records (recorded_at) where level = 'compare';

create table log_queue (
  record_id uuid primary key,
  lane int not null,
  -- A time beyond every calendar can be read by nobody: an export of its leaf would break off for ever.
  recorded_at timestamptz not null check (recorded_at >= '2000-01-01Z' and recorded_at < '9000-01-01Z'),
  -- A row that no leaf can be made of would stop the log for all behind it.
  kind smallint not null check (kind between 1 and 255),
  commitment bytea not null check (length(commitment) = 32),
  -- Over all of the above, under the hub's keys: whoever has only the service's database account gets no leaf.
  mac bytea not null
);
-- Rows live for a moment: without eager vacuum the queue's head would be a field of dead rows.
alter table log_queue set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
-- Records from before this migration are not queued: the database has no key to make their MAC with. A database that holds some starts
-- anew; where it does not, the self-check names each of them as record_unlogged.

-- Rows of the queue that no key of the hub wrote, put aside so that they hold up nobody. Kept as evidence, and looked at again by every
-- sequencer that takes over: one that lacked a new key puts nothing out of the log for good.
create table log_queue_refused (
  refused_id bigint generated always as identity primary key,
  record_id uuid not null,
  lane int not null,
  recorded_at timestamptz not null,
  kind smallint not null,
  commitment bytea not null,
  mac bytea not null,
  refused_at timestamptz not null
);

-- Leaf by leaf: which record it is of, and the 34 bytes that were hashed.
create table log_leaf (
  leaf_index bigint primary key,
  record_id uuid not null unique,
  lane int not null,
  recorded_at timestamptz not null check (recorded_at >= '2000-01-01Z' and recorded_at < '9000-01-01Z'),
  entry bytea not null check (length(entry) = 34)
);

-- One row per tile; a narrower tile is a prefix of it.
create table log_tile (
  level smallint not null,
  tile_index bigint not null,
  width smallint not null check (width between 1 and 256),
  hashes bytea not null check (length(hashes) = 32 * width),
  primary key (level, tile_index)
);
alter table log_tile alter column hashes set storage external;

-- One row. Never to be changed by hand: who changes it can make the log sign two histories.
create table log_state (
  id int primary key check (id = 1),
  origin text collate "C" not null,
  size bigint not null,
  root bytea not null,
  -- Raised by every sequencer that takes the log over; who finds another epoch than its own has been replaced.
  epoch bigint not null,
  holder text collate "C" not null,
  lease_until timestamptz not null,
  -- The greatest size whose checkpoint may be shown to anybody.
  published_size bigint not null
);

create table log_checkpoint (
  size bigint primary key,
  root bytea not null,
  note text collate "C" not null,
  signed_at timestamptz not null
);

create table log_cosignature (
  size bigint not null,
  name text collate "C" not null,
  key_id bytea not null,
  -- The signature line of the witness, as it stands in the note.
  line text collate "C" not null,
  received_at timestamptz not null,
  primary key (size, name, key_id)
);

-- A month that is over and sealed by a leaf; copies of what the seal's record says.
create table record_months (
  month text collate "C" primary key check (month ~ '^\d{4}-\d{2}$'),
  seal_record_id uuid not null,
  records bigint not null,
  root bytea not null,
  sealed_at timestamptz not null
);

create table erasures (
  erasure_id uuid primary key,
  -- Encrypted: it names the officer who proposed.
  body bytea not null,
  created_at timestamptz not null,
  mac bytea not null
);
create table erasure_approvals (
  erasure_id uuid not null references erasures (erasure_id),
  officer_key bytea not null,
  client_id text collate "C" not null,
  decision text collate "C" not null check (decision in ('approve', 'reject')),
  body bytea not null,
  record_id uuid not null,
  approved_at timestamptz not null,
  mac bytea not null,
  primary key (erasure_id, officer_key)
);
-- Approvals come from different clients, whatever races.
create unique index erasure_approvals_by_client on erasure_approvals (erasure_id, client_id) where decision = 'approve';
create table erasure_executions (
  erasure_id uuid primary key references erasures (erasure_id),
  record_id uuid not null,
  bodies bigint not null,
  executed_at timestamptz not null,
  mac bytea not null
);

-- When the record of a lookup under secrecy shows in its holder's report, if that was changed; the newest row holds.
create table record_releases (
  record_id uuid not null,
  changed_at timestamptz not null,
  release_at timestamptz not null,
  mac bytea not null,
  primary key (record_id, changed_at)
);

-- Which keys of the hub have left their record of coming into use and of being retired.
create table key_events (
  kid text collate "C" not null,
  state text collate "C" not null,
  recorded_at timestamptz not null,
  primary key (kid, state)
);

revoke all on log_queue, log_queue_refused, log_leaf, log_tile, log_state, log_checkpoint, log_cosignature, record_months, erasures, erasure_approvals,
  erasure_executions, record_releases, key_events from public;
grant select on log_queue, log_queue_refused, log_leaf, log_tile, log_state, log_checkpoint, log_cosignature, record_months, erasures, erasure_approvals,
  erasure_executions, record_releases, key_events to certhub_service;
grant insert on log_queue, record_months, erasures, erasure_approvals, record_releases, key_events to certhub_service;
-- The sequencer numbers what others recorded. It cannot add, change or remove a record, nor take back a leaf or a checkpoint.
grant select, delete on log_queue to certhub_sequencer;
grant select, insert, delete on log_queue_refused to certhub_sequencer;
grant select, insert on log_leaf, log_checkpoint, log_cosignature to certhub_sequencer;
grant select, insert, update on log_tile, log_state to certhub_sequencer;
grant select on schema_migrations to certhub_sequencer;
