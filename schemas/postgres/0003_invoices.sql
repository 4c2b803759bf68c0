-- Invoices: what was finalized, under which number, and what became of it.

-- One row a legal entity: the lock under which numbers are given, so that they have no gaps (a sequence would have).
create table invoice_counters (
  tenant text not null references tenants (id),
  legal_entity text not null,
  prefix text not null,
  next_number bigint not null check (next_number >= 1),
  last_hash text,
  primary key (tenant, legal_entity)
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
  hash text not null,
  document text not null,
  basis text not null,
  created_at timestamptz not null default now(),
  primary key (tenant, id),
  unique (tenant, legal_entity, sequence),
  unique (tenant, number),
  check (total = subtotal + tax),
  foreign key (tenant, legal_entity) references invoice_counters (tenant, legal_entity),
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

-- A finalized invoice never changes but for its state, and nothing of it is ever deleted.
create function refuse_invoice_change() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' and tg_table_name = 'invoices' then
    if to_jsonb(new) - 'state' = to_jsonb(old) - 'state' then
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
