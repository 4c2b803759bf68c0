-- The control plane: who uses, what is metered, what it costs, who has bought it.
-- Every table of a tenant leads its key with the tenant. Instants are timestamptz; intervals are half-open.

create extension if not exists btree_gist;

create table tenants (
  id text primary key,
  name text not null,
  created_at timestamptz not null
);

-- Numbers every state that is published to other processes: of two states of one thing the higher number wins.
create sequence change_version as bigint;

-- Messages that must reach the log because their transaction was committed.
create table outbox (
  id bigint generated always as identity primary key,
  topic text not null,
  message jsonb not null,
  created_at timestamptz not null default now()
);

create table test_clocks (
  tenant text not null references tenants (id),
  id text not null,
  now timestamptz not null,
  version bigint not null,
  created_at timestamptz not null,
  primary key (tenant, id)
);

create table meters (
  tenant text not null references tenants (id),
  key text not null,
  name text not null,
  revision integer not null check (revision >= 1),
  version bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (tenant, key)
);

-- What is counted, per revision. Never updated: closed invoices point at the revision they were metered with.
create table meter_revisions (
  tenant text not null,
  key text not null,
  revision integer not null,
  definition jsonb not null,
  created_at timestamptz not null,
  primary key (tenant, key, revision),
  foreign key (tenant, key) references meters (tenant, key) deferrable initially deferred
);

create table customers (
  tenant text not null references tenants (id),
  key text not null,
  name text not null,
  currency text not null,
  timezone text not null,
  billing jsonb not null,
  test_clock text,
  version bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (tenant, key),
  foreign key (tenant, test_clock) references test_clocks (tenant, id)
);
create index customers_test_clock on customers (tenant, test_clock) where test_clock is not null;

-- Who pays for a subject, over time. Usage of a time belongs to the customer of that time; a null bound is open.
create table customer_subjects (
  tenant text not null,
  subject text not null,
  customer text not null,
  valid_from timestamptz,
  valid_until timestamptz,
  check (valid_from is null or valid_until is null or valid_from <= valid_until),
  foreign key (tenant, customer) references customers (tenant, key) on delete cascade,
  constraint customer_subjects_one_customer_at_a_time
    exclude using gist (tenant with =, subject with =, tstzrange(valid_from, valid_until) with &&)
);
create index customer_subjects_customer on customer_subjects (tenant, customer);
create unique index customer_subjects_current on customer_subjects (tenant, subject) where valid_until is null;

create table plans (
  tenant text not null references tenants (id),
  key text not null,
  created_at timestamptz not null,
  primary key (tenant, key)
);

-- Never updated: a changed plan is a new version.
create table plan_versions (
  tenant text not null,
  key text not null,
  version integer not null check (version >= 1),
  document jsonb not null,
  effective_at timestamptz,
  existing_subscriptions text not null check (existing_subscriptions in ('grandfather', 'nextRenewal', 'immediate')),
  created_at timestamptz not null,
  primary key (tenant, key, version),
  foreign key (tenant, key) references plans (tenant, key)
);

create table subscriptions (
  tenant text not null,
  id text not null,
  customer text not null,
  state text not null,
  starts_at timestamptz not null,
  anchor_day integer not null check (anchor_day between 1 and 31),
  -- The customer's at the time of subscribing: billing periods keep their boundaries when the customer moves.
  timezone text not null,
  cancel_at timestamptz,
  ended_at timestamptz,
  -- The next instant at which the calendar changes something, by the customer's clock; null when nothing will.
  due_at timestamptz,
  revision integer not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (tenant, id),
  foreign key (tenant, customer) references customers (tenant, key)
);
create index subscriptions_customer on subscriptions (tenant, customer);
create index subscriptions_due on subscriptions (due_at) where due_at is not null;

-- Which plan version is in force from when; the last one that has begun holds.
create table subscription_phases (
  tenant text not null,
  subscription text not null,
  starts_at timestamptz not null,
  plan text not null,
  plan_version integer not null,
  reason text not null check (reason in ('created', 'planVersion', 'change')),
  -- What the customer pays instead of the plan's prices, by price key.
  overrides jsonb not null,
  created_at timestamptz not null,
  primary key (tenant, subscription, starts_at),
  foreign key (tenant, subscription) references subscriptions (tenant, id) on delete cascade,
  foreign key (tenant, plan, plan_version) references plan_versions (tenant, key, version)
);
create index subscription_phases_plan on subscription_phases (tenant, plan, plan_version);

create table subscription_pauses (
  tenant text not null,
  subscription text not null,
  starts_at timestamptz not null,
  ends_at timestamptz,
  primary key (tenant, subscription, starts_at),
  foreign key (tenant, subscription) references subscriptions (tenant, id) on delete cascade,
  check (ends_at is null or ends_at >= starts_at)
);

-- One row for every transition, in order; `at` is when it took effect by the customer's clock.
create table subscription_events (
  tenant text not null,
  subscription text not null,
  number integer not null,
  event text not null,
  at timestamptz not null,
  detail jsonb not null,
  created_at timestamptz not null default now(),
  primary key (tenant, subscription, number),
  foreign key (tenant, subscription) references subscriptions (tenant, id) on delete cascade
);

-- Answers to repeated commands: the same key gets the same answer.
create table idempotency_keys (
  tenant text not null,
  route text not null,
  -- SHA-256 of what the client sent: the key itself is half of what opens the answer.
  key text not null,
  fingerprint text not null,
  -- Counts the requests that have run under the key, one at a time; more than one where a process died with one.
  attempt integer not null check (attempt >= 1),
  -- Null while the request runs, and where it failed by a fault of ours and may run again.
  status integer,
  -- Sealed by the client's keys: it may hold a secret that is shown once.
  answer bytea,
  locked_until timestamptz not null,
  created_at timestamptz not null,
  primary key (tenant, route, key),
  check ((status is null) = (answer is null))
);
create index idempotency_keys_created on idempotency_keys (created_at);

-- What data of an event type must look like: JSON Schema, checked before it is written.
create table event_schemas (
  tenant text not null references tenants (id),
  -- Ordered by bytes, as cursors of the list compare.
  type text not null collate "C",
  schema jsonb not null,
  revision integer not null check (revision >= 1),
  version bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (tenant, type)
);

-- Events that were rejected, with the reason; bounded in age and, per tenant, in bytes.
create table dead_letters (
  tenant text not null references tenants (id),
  -- A hash of the content: an event that is sent again and again is one row.
  id text not null,
  code text not null,
  detail text not null,
  errors jsonb not null,
  -- What the event calls itself, as far as that could be read.
  event_id text,
  source text,
  type text,
  subject text,
  body bytea not null,
  is_cut boolean not null,
  bytes integer not null,
  times bigint not null,
  -- By the customer's clock.
  arrived_at timestamptz not null,
  first_at timestamptz not null,
  last_at timestamptz not null,
  claimed_until timestamptz,
  outcome text check (outcome in ('accepted', 'duplicate')),
  retried_at timestamptz,
  primary key (tenant, id),
  check ((outcome is null) = (retried_at is null))
);
create index dead_letters_first on dead_letters (tenant, first_at, id) include (bytes);

-- How sums of OpenTelemetry metrics become events.
create table otlp_mappings (
  tenant text not null references tenants (id),
  key text not null,
  mapping jsonb not null,
  version bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (tenant, key)
);
