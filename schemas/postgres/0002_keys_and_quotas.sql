-- The gate: keys, the quotas they carry, and where each holder stands.
-- A holder is a subject, or a customer with all its subjects together.

create table quotas (
  tenant text not null references tenants (id),
  key text not null,
  document jsonb not null,
  version integer not null check (version >= 1),
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (tenant, key)
);

-- The key itself is nowhere: `hash` is its SHA-256. `state` is what is published on key.state.v1; the columns
-- beside it are those that are searched by.
create table api_keys (
  tenant text not null references tenants (id),
  id text not null,
  hash text not null unique,
  customer text,
  subject text,
  holder_kind text check (holder_kind in ('subject', 'customer')),
  holder_id text,
  quotas text[] not null,
  revoked boolean not null,
  version integer not null check (version >= 1),
  state jsonb not null,
  -- Sampled, by the holder's clock; no part of the state, for telling it must not publish anything.
  last_used_at timestamptz,
  created_at timestamptz not null default now(),
  primary key (tenant, id),
  check ((holder_kind is null) = (holder_id is null)),
  foreign key (tenant, customer) references customers (tenant, key)
);
create index api_keys_holder on api_keys (tenant, holder_kind, holder_id);
create index api_keys_customer on api_keys (tenant, customer) where customer is not null;
create index api_keys_subject on api_keys (tenant, subject) where subject is not null;

-- Who holds a quota: from the first key on that carries it. The row is the lock under which its status changes.
create table quota_assignments (
  tenant text not null,
  quota text not null,
  holder_kind text not null check (holder_kind in ('subject', 'customer')),
  holder_id text not null,
  status jsonb,
  created_at timestamptz not null default now(),
  primary key (tenant, quota, holder_kind, holder_id),
  foreign key (tenant, quota) references quotas (tenant, key)
);
create index quota_assignments_holder on quota_assignments (tenant, holder_kind, holder_id);

-- The quota ledger's books at an offset of its command log: a start reads them and the log's tail. They can be lost.
create table quota_ledger_snapshots (
  partition integer primary key,
  log_offset bigint not null,
  now_ms bigint not null,
  hash text not null,
  accounts text not null,
  updated_at timestamptz not null default now()
);

-- Rungs reached and holders let in again. The id is made of what the notice says: it is told once.
create table quota_notices (
  tenant text not null,
  id text not null,
  number bigint generated always as identity,
  quota text not null,
  holder_kind text not null,
  holder_id text not null,
  epoch text not null,
  notice jsonb not null,
  created_at timestamptz not null default now(),
  primary key (tenant, id),
  foreign key (tenant, quota, holder_kind, holder_id)
    references quota_assignments (tenant, quota, holder_kind, holder_id)
);
create index quota_notices_epoch on quota_notices (tenant, quota, holder_kind, holder_id, epoch, number);

-- Units on top of the limit, for one epoch. The id is the client's: a repetition adds nothing.
create table quota_top_ups (
  tenant text not null,
  id text not null,
  quota text not null,
  holder_kind text not null,
  holder_id text not null,
  epoch text not null,
  units numeric not null check (units > 0),
  at timestamptz not null,
  created_at timestamptz not null default now(),
  primary key (tenant, id),
  foreign key (tenant, quota, holder_kind, holder_id)
    references quota_assignments (tenant, quota, holder_kind, holder_id)
);
create index quota_top_ups_epoch on quota_top_ups (tenant, quota, holder_kind, holder_id, epoch);
