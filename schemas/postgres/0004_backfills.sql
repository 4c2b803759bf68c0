-- Usage of before the accept window comes in by a backfill. Its events stand on the event log under the backfill's id
-- in the place of the tenant, where nothing counts them, until it is closed: then they are appended for the tenant.
create table backfills (
  id text primary key,
  tenant text not null references tenants (id),
  source text not null,
  from_at timestamptz not null,
  to_at timestamptz not null,
  reason text not null,
  state text not null check (state in ('open', 'closing', 'closed', 'cancelled')),
  -- Where the event log ended when it was closed: what is before is counted. [{partition, offset}]
  cut jsonb,
  -- Events that it has made count; null until it is closed.
  events bigint,
  created_at timestamptz not null,
  ended_at timestamptz,
  check (from_at < to_at),
  check ((cut is not null) = (state in ('closing', 'closed')))
);
create index backfills_tenant on backfills (tenant, id);
create index backfills_closing on backfills (id) where state = 'closing';
