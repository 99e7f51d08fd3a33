-- Matters and what they require; grants that are applied for, suspended and counted by officer and holder; tickets of a case.

create table matters (
  code text collate "C" not null,
  version int not null,
  definition bytea not null,
  created_at timestamptz not null,
  mac bytea not null,
  -- As of certificate_types.
  note bytea,
  primary key (code, version)
);
insert into registry_versions (topic, version) values ('matters', 1);

-- A pause, at once and until taken back. Covered by the row's MAC like every other column.
alter table grants add column suspended_at timestamptz;

-- What was taken on one day of the city from a grant that limits holders or officers: by everybody (officer_key empty) and by each
-- officer. The row of everybody is the lock of that grant's day. Day first: old days are deleted.
create table grant_officer_usage (
  day date not null,
  grant_id uuid not null,
  officer_key bytea not null,
  used bigint not null default 0,
  holders bigint not null default 0,
  primary key (day, grant_id, officer_key)
);
-- Whom it was used to ask about, by everybody (officer_key empty) and by each officer; holders above is the number of these rows.
create table grant_holder_usage (
  day date not null,
  grant_id uuid not null,
  officer_key bytea not null,
  holder_key bytea not null,
  primary key (day, grant_id, officer_key, holder_key)
);

-- Takes lookups from such grants, one after another, and answers by place (from 1) which limit each would exceed, null when it was
-- taken. A function because a single statement would count by a snapshot from before it had waited for the lock: here every
-- statement sees what those before it in the queue have committed. Grants are locked in key order, so that callers never deadlock.
create function take_usage(wanted jsonb, places int) returns text[] language plpgsql as $$
declare
  exceeded text[] := array_fill(null::text, array[places]);
  per_grant record;
  lookup record;
  by_officer record;
  total_used bigint;
  total_holders bigint;
  added bigint;
  officer_added bigint;
  verdict text;
begin
  -- Nothing is lost that matters: a lookup is answered only after its record is flushed, and that flush carries this commit too.
  perform set_config('synchronous_commit', 'off', true);
  for per_grant in
    select w.* from jsonb_to_recordset(wanted) as w(day date, grant_id uuid, quota bigint, holder_limit bigint,
      officer_quota bigint, officer_holder_limit bigint, lookups jsonb) order by w.day, w.grant_id
  loop
    insert into grant_officer_usage as u (day, grant_id, officer_key) values (per_grant.day, per_grant.grant_id, '')
      on conflict (day, grant_id, officer_key) do update set used = u.used
      returning u.used, u.holders into total_used, total_holders;
    for lookup in
      select l.* from jsonb_to_recordset(per_grant.lookups) as l(place int, officer_key bytea, holder_keys bytea[])
      order by l.place
    loop
      added := 0;
      officer_added := 0;
      if per_grant.holder_limit is not null then
        select count(distinct k) into added from unnest(lookup.holder_keys) as k where not exists (
          select from grant_holder_usage h where h.day = per_grant.day and h.grant_id = per_grant.grant_id
            and h.officer_key = '' and h.holder_key = k);
      end if;
      select coalesce(max(u.used), 0) as used, coalesce(max(u.holders), 0) as holders into by_officer
        from grant_officer_usage u where u.day = per_grant.day and u.grant_id = per_grant.grant_id
          and u.officer_key = lookup.officer_key;
      if per_grant.officer_holder_limit is not null then
        select count(distinct k) into officer_added from unnest(lookup.holder_keys) as k where not exists (
          select from grant_holder_usage h where h.day = per_grant.day and h.grant_id = per_grant.grant_id
            and h.officer_key = lookup.officer_key and h.holder_key = k);
      end if;
      verdict := case
        when total_used >= per_grant.quota then 'dailyQuota'
        when total_holders + added > per_grant.holder_limit then 'dailyHolders'
        when by_officer.used >= per_grant.officer_quota then 'officerDailyQuota'
        when by_officer.holders + officer_added > per_grant.officer_holder_limit then 'officerDailyHolders'
      end;
      if verdict is not null then
        exceeded[lookup.place] := verdict;
        continue;
      end if;
      total_used := total_used + 1;
      total_holders := total_holders + added;
      if added > 0 or officer_added > 0 then
        insert into grant_holder_usage (day, grant_id, officer_key, holder_key)
          select per_grant.day, per_grant.grant_id, o.officer_key, k from unnest(lookup.holder_keys) as k,
            (values (''::bytea, per_grant.holder_limit), (lookup.officer_key, per_grant.officer_holder_limit)) as o(officer_key, holder_limit)
          where o.holder_limit is not null
          on conflict do nothing;
      end if;
      if lookup.officer_key is not null then
        insert into grant_officer_usage as u (day, grant_id, officer_key, used, holders)
          values (per_grant.day, per_grant.grant_id, lookup.officer_key, 1, officer_added)
          on conflict (day, grant_id, officer_key) do update set used = u.used + 1, holders = u.holders + excluded.holders;
      end if;
    end loop;
    update grant_officer_usage u set used = total_used, holders = total_holders
      where u.day = per_grant.day and u.grant_id = per_grant.grant_id and u.officer_key = '';
  end loop;
  return exceeded;
end $$;

-- An application for a grant with all its decisions in its body; officers stand in the records alone.
create table grant_applications (
  application_id uuid primary key,
  client_id text collate "C" not null references clients (client_id),
  owner_department_code text collate "C" not null,
  state text collate "C" not null,
  due_at timestamptz not null,
  body bytea not null,
  created_at timestamptz not null,
  mac bytea not null
);
create index grant_applications_by_client on grant_applications (client_id, application_id);
create index grant_applications_by_owner on grant_applications (owner_department_code, application_id);

-- The secret itself is never stored, only its hash. The box holds what it was issued for and binds every column but used and revoked_at.
create table tickets (
  ticket_id uuid primary key,
  ticket_hash bytea not null unique,
  client_id text collate "C" not null references clients (client_id),
  uses int not null,
  used int not null default 0 check (used <= uses),
  expires_at timestamptz not null,
  revoked_at timestamptz,
  box bytea not null
);

-- What departments declared that they need, with all that became of it in its body; officers stand in the records alone.
create table demands (
  demand_id uuid primary key,
  body bytea not null,
  created_at timestamptz not null,
  mac bytea not null
);
insert into registry_versions (topic, version) values ('demands', 1);
revoke all on demands from public;
grant select, insert, update on demands to certhub_service;

-- A holder's one-time code: its hash alone. The box holds what it allows and binds every column but used_at and revoked_at.
create table holder_codes (
  code_id uuid primary key,
  code_hash bytea not null unique,
  client_id text collate "C" not null references clients (client_id),
  expires_at timestamptz not null,
  used_at timestamptz,
  revoked_at timestamptz,
  box bytea not null
);
revoke all on holder_codes from public;
grant select, insert, update on holder_codes to certhub_service;
-- What has ended is forgotten after a while: its box holds whom it was for.
grant delete on tickets, holder_codes to certhub_service;

-- Faults of certificates that consumers and portals report, with what became of them. Whom one is about and everything that somebody
-- wrote stands in the box, which binds every other column. fault_key: what is reported, keyed, so that nobody reports it twice.
-- settled_at: since when nobody has to answer any more. Some time after, the report is forgotten: what it counts as stays, and no key.
create table feedback (
  feedback_id uuid primary key,
  receipt_number text collate "C" not null unique,
  client_id text collate "C" not null references clients (client_id),
  owner_department_code text collate "C" not null,
  kind text collate "C" not null,
  state text collate "C" not null,
  fault_key bytea,
  follows uuid,
  due_at timestamptz not null,
  created_at timestamptz not null,
  settled_at timestamptz,
  forgotten_at timestamptz,
  box bytea not null
);
create index feedback_by_client on feedback (client_id, feedback_id);
create index feedback_by_owner on feedback (owner_department_code, feedback_id);
create index feedback_open on feedback (client_id, fault_key) where state = 'open';
create index feedback_due on feedback (due_at) where state = 'open';
create index feedback_by_time on feedback (created_at);
create index feedback_settled on feedback (settled_at) where forgotten_at is null;
create index feedback_followers on feedback (follows) where follows is not null;
revoke all on feedback from public;
grant select, insert, update on feedback to certhub_service;
-- Demands for paper that offices made. The box holds what they say and whom they concern, and binds every column. matter_code is a copy to
-- search by; null where the caller's text could be a person's number. settled_at and forgotten_at as of feedback.
create table paper_demands (
  paper_demand_id uuid primary key,
  department_code text collate "C" not null references departments (code),
  client_id text collate "C" not null references clients (client_id),
  matter_code text collate "C",
  state text collate "C" not null,
  due_at timestamptz,
  created_at timestamptz not null,
  settled_at timestamptz,
  forgotten_at timestamptz,
  box bytea not null
);
create index paper_demands_by_department on paper_demands (department_code, paper_demand_id);
create index paper_demands_by_time on paper_demands (created_at, paper_demand_id);
create index paper_demands_by_deadline on paper_demands (due_at) where due_at is not null;
create index paper_demands_settled on paper_demands (settled_at) where forgotten_at is null;
-- Of whom. Says nothing by itself: a demand is shown to a party that stands in its box.
create table paper_demand_holders (
  holder_key bytea not null,
  paper_demand_id uuid not null,
  primary key (holder_key, paper_demand_id)
);
create index paper_demand_holders_by_demand on paper_demand_holders (paper_demand_id);
revoke all on paper_demands, paper_demand_holders from public;
grant select, insert on paper_demands, paper_demand_holders to certhub_service;
grant update (matter_code, state, due_at, settled_at, forgotten_at, box) on paper_demands to certhub_service;
grant delete on paper_demand_holders to certhub_service;
-- What a version says beside the definition: retired, why, what it asks of clients. Covered by the row's MAC.
alter table certificate_types add column note bytea;
-- What departments prepare. Saving again replaces the open draft; which one was published stays known.
create table certificate_type_drafts (
  draft_id uuid primary key,
  code text collate "C" not null,
  state text collate "C" not null,
  body bytea not null,
  saved_at timestamptz not null,
  mac bytea not null
);
create unique index certificate_type_drafts_open on certificate_type_drafts (code) where state = 'open';
revoke all on certificate_type_drafts from public;
grant select, insert, update on certificate_type_drafts to certhub_service;

revoke all on matters, grant_holder_usage, grant_officer_usage, grant_applications, tickets from public;
grant select on matters, grant_holder_usage, grant_officer_usage, grant_applications, tickets to certhub_service;
grant insert on matters, grant_holder_usage to certhub_service;
-- Usage of days that are over is forgotten: it says who asked about whom.
grant delete on grant_officer_usage, grant_holder_usage to certhub_service;
revoke all on function take_usage(jsonb, int) from public;
grant execute on function take_usage(jsonb, int) to certhub_service;
grant insert, update on grant_applications, grant_officer_usage, tickets to certhub_service;
