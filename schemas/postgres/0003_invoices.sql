-- Invoices: what was finalized, under which number, and what became of it.

-- One row a legal entity and kind of document: the lock under which numbers are given, so that they have no gaps (a
-- sequence would have).
create table invoice_counters (
  tenant text not null references tenants (id),
  legal_entity text not null,
  document text not null check (document in ('invoice', 'creditNote')),
  prefix text not null,
  next_number bigint not null check (next_number >= 1),
  last_hash text,
  primary key (tenant, legal_entity, document)
);

-- Counts the changes of a customer's invoices: a close that was computed from an older version is computed again.
create table invoice_ledgers (
  tenant text not null,
  customer text not null,
  version bigint not null check (version >= 0),
  primary key (tenant, customer),
  foreign key (tenant, customer) references customers (tenant, key)
);

-- `document` is the canonical JSON that `hash` covers, as text: jsonb would not keep its bytes. The columns beside it
-- repeat what is searched and summed. `basis` is what is needed to compute the document again at its cut.
create table invoices (
  tenant text not null,
  id text not null,
  legal_entity text not null,
  sequence bigint not null,
  number text not null,
  customer text not null,
  state text not null check (state in ('finalized', 'paid', 'void', 'uncollectible')),
  currency text not null,
  period_start timestamptz not null,
  period_end timestamptz not null,
  issued_at timestamptz not null,
  due_at timestamptz not null,
  subtotal numeric not null,
  tax numeric not null,
  total numeric not null,
  -- Payments and customer credit that settle it; what credit notes take off the amount due; totals of its credit notes.
  amount_paid numeric not null check (amount_paid >= 0),
  amount_credited numeric not null check (amount_credited >= 0),
  credit_noted numeric not null check (credit_noted >= 0),
  -- Of a void one: whether the bill run closes its period anew.
  rebill boolean not null default false,
  hash text not null,
  document text not null,
  basis text not null,
  created_at timestamptz not null default now(),
  primary key (tenant, id),
  unique (tenant, legal_entity, sequence),
  unique (tenant, number),
  check (total = subtotal + tax),
  check (amount_paid + amount_credited <= greatest(total, 0)),
  check (credit_noted <= greatest(total, 0)),
  foreign key (tenant, customer) references customers (tenant, key)
);
-- One invoice a customer and period end; a void one makes room for another.
create unique index invoices_period on invoices (tenant, customer, period_end) where state <> 'void';
create index invoices_latest on invoices (tenant, issued_at desc, id desc);
create index invoices_of_customer on invoices (tenant, customer, issued_at desc, id desc);

create table invoice_lines (
  tenant text not null,
  invoice text not null,
  position integer not null check (position >= 0),
  id text not null,
  kind text not null,
  charge text not null,
  revision integer not null check (revision >= 0),
  subscription text not null,
  plan text not null,
  plan_version integer not null,
  price text not null,
  name text not null,
  meter text,
  meter_revision integer,
  quantity numeric not null,
  amount numeric not null,
  exact_amount numeric not null,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  primary key (tenant, invoice, position),
  unique (tenant, invoice, id),
  foreign key (tenant, invoice) references invoices (tenant, id)
);
create index invoice_lines_charge on invoice_lines (tenant, charge, revision);
create index invoice_lines_service on invoice_lines (tenant, ends_at, invoice, position);

create table credit_notes (
  tenant text not null,
  id text not null,
  legal_entity text not null,
  sequence bigint not null,
  number text not null,
  customer text not null,
  invoice text not null,
  -- The close that made it; null where somebody decided it.
  closes_at timestamptz,
  currency text not null,
  issued_at timestamptz not null,
  total numeric not null check (total >= 0),
  -- What it took off the amount due; the rest went to the customer's credit.
  applied numeric not null check (applied >= 0 and applied <= total),
  hash text not null,
  document text not null,
  created_at timestamptz not null default now(),
  primary key (tenant, id),
  unique (tenant, legal_entity, sequence),
  unique (tenant, number),
  foreign key (tenant, invoice) references invoices (tenant, id)
);
create index credit_notes_latest on credit_notes (tenant, issued_at desc, id desc);
create index credit_notes_of_customer on credit_notes (tenant, customer, issued_at desc, id desc);
create index credit_notes_of_invoice on credit_notes (tenant, invoice);

-- A payment is never changed but for its return, which is told once.
create table invoice_payments (
  tenant text not null,
  id text not null,
  invoice text not null,
  kind text not null check (kind in ('manual', 'balance')),
  amount numeric not null check (amount > 0),
  applied numeric not null check (applied >= 0 and applied <= amount),
  currency text not null,
  received_at timestamptz not null,
  method text,
  reference text,
  note text,
  idempotency_key text,
  returned_at timestamptz,
  return_reason text,
  created_at timestamptz not null default now(),
  primary key (tenant, id),
  foreign key (tenant, invoice) references invoices (tenant, id)
);
create unique index invoice_payments_once on invoice_payments (tenant, invoice, idempotency_key)
  where idempotency_key is not null;
create index invoice_payments_of_invoice on invoice_payments (tenant, invoice, id);

-- One row for every transition, in order; `sequence` orders those of all invoices for whoever tells others of them.
create table invoice_events (
  sequence bigint generated always as identity,
  tenant text not null,
  invoice text not null,
  number integer not null,
  event text not null,
  state text not null,
  at timestamptz not null,
  detail jsonb not null,
  created_at timestamptz not null default now(),
  primary key (tenant, invoice, number),
  foreign key (tenant, invoice) references invoices (tenant, id)
);
create index invoice_events_sequence on invoice_events (sequence);

-- The customer's credit: what it has overpaid or was given back. The balance is the sum.
create table customer_credits (
  sequence bigint generated always as identity primary key,
  tenant text not null,
  customer text not null,
  currency text not null,
  amount numeric not null,
  reason text not null,
  invoice text not null,
  at timestamptz not null,
  foreign key (tenant, customer) references customers (tenant, key)
);
create index customer_credits_customer on customer_credits (tenant, customer, currency);

-- When a customer is to be billed next. A change of its subscriptions or invoices makes the entry stale, in the same
-- transaction; the bill run computes stale entries anew.
create table bill_schedules (
  tenant text not null,
  customer text not null,
  -- Null with a fresh entry: nothing is left to bill.
  next_close timestamptz,
  is_stale boolean not null default true,
  -- Closes that had nothing to bill; a change of the subscriptions lets them be looked at again.
  passed timestamptz[] not null default '{}',
  -- Counts changes, so that an entry that became stale while it was computed stays so.
  revision bigint not null default 1,
  -- Why the bill run could not close, since when, and when it tries again.
  held_kind text,
  held_detail text,
  held_since timestamptz,
  retry_at timestamptz,
  primary key (tenant, customer),
  foreign key (tenant, customer) references customers (tenant, key)
);
create index bill_schedules_stale on bill_schedules (tenant, customer) where is_stale;
create index bill_schedules_next on bill_schedules (next_close) where next_close is not null;

create function reschedule_billing() returns trigger language plpgsql as $$
begin
  insert into bill_schedules (tenant, customer) values (new.tenant, new.customer)
  on conflict (tenant, customer) do update
    set is_stale = true, revision = bill_schedules.revision + 1, retry_at = null,
        passed = case when tg_table_name = 'subscriptions' or tg_op = 'UPDATE' then '{}' else bill_schedules.passed end;
  return new;
end $$;
create trigger subscriptions_reschedule_billing after insert or update on subscriptions
  for each row execute function reschedule_billing();
create trigger invoices_reschedule_billing after insert or update of state on invoices
  for each row execute function reschedule_billing();
create trigger credit_notes_reschedule_billing after insert on credit_notes
  for each row execute function reschedule_billing();

-- A finalized invoice never changes but for its state and what was paid, and nothing of it is ever deleted.
create function refuse_invoice_change() returns trigger language plpgsql as $$
declare
  mutable text[] := array['state', 'amount_paid', 'amount_credited', 'credit_noted', 'rebill'];
begin
  if tg_op = 'UPDATE' and tg_table_name = 'invoices' then
    if to_jsonb(new) - mutable = to_jsonb(old) - mutable then
      return new;
    end if;
  end if;
  raise exception 'a finalized invoice is immutable (% of %)', tg_op, tg_table_name
    using errcode = 'integrity_constraint_violation';
end $$;
create trigger invoices_immutable before update or delete on invoices
  for each row execute function refuse_invoice_change();
create trigger invoice_lines_immutable before update or delete on invoice_lines
  for each row execute function refuse_invoice_change();
create trigger credit_notes_immutable before update or delete on credit_notes
  for each row execute function refuse_invoice_change();
create trigger invoice_events_immutable before update or delete on invoice_events
  for each row execute function refuse_invoice_change();
