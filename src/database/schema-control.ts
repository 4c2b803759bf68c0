import type { ColumnType, Generated } from 'kysely'

/** A jsonb column: read parsed, written as JSON text. */
export type JsonColumn<T> = ColumnType<T, string, string>

interface TenantsTable {
  id: string
  name: string
  created_at: Date
}

interface OutboxTable {
  id: ColumnType<number, never, never>
  topic: string
  message: JsonColumn<object>
  created_at: Generated<Date>
}

interface TestClocksTable {
  tenant: string
  id: string
  now: Date
  version: number
  created_at: Date
}

interface MetersTable {
  tenant: string
  key: string
  name: string
  revision: number
  version: number
  created_at: Date
  updated_at: Date
}

interface MeterRevisionsTable {
  tenant: string
  key: string
  revision: number
  definition: JsonColumn<unknown>
  created_at: Date
}

interface CustomersTable {
  tenant: string
  key: string
  name: string
  currency: string
  timezone: string
  billing: JsonColumn<unknown>
  test_clock: string | null
  version: number
  created_at: Date
  updated_at: Date
}

interface CustomerSubjectsTable {
  tenant: string
  subject: string
  customer: string
  valid_from: Date | null
  valid_until: Date | null
}

interface PlansTable {
  tenant: string
  key: string
  created_at: Date
}

interface PlanVersionsTable {
  tenant: string
  key: string
  version: number
  document: JsonColumn<unknown>
  effective_at: Date | null
  existing_subscriptions: string
  created_at: Date
}

interface SubscriptionsTable {
  tenant: string
  id: string
  customer: string
  state: string
  starts_at: Date
  anchor_day: number
  timezone: string
  cancel_at: Date | null
  ended_at: Date | null
  due_at: Date | null
  revision: number
  created_at: Date
  updated_at: Date
}

interface SubscriptionPhasesTable {
  tenant: string
  subscription: string
  starts_at: Date
  plan: string
  plan_version: number
  reason: string
  overrides: JsonColumn<unknown>
  created_at: Date
}

interface SubscriptionPausesTable {
  tenant: string
  subscription: string
  starts_at: Date
  ends_at: Date | null
}

interface SubscriptionEventsTable {
  tenant: string
  subscription: string
  number: number
  event: string
  at: Date
  detail: JsonColumn<object>
  created_at: Generated<Date>
}

interface IdempotencyKeysTable {
  tenant: string
  route: string
  key: string
  fingerprint: string
  attempt: number
  status: number | null
  answer: Buffer | null
  locked_until: Date
  created_at: Date
}

interface EventSchemasTable {
  tenant: string
  type: string
  schema: JsonColumn<unknown>
  revision: number
  version: number
  created_at: Date
  updated_at: Date
}

interface DeadLettersTable {
  tenant: string
  id: string
  code: string
  detail: string
  errors: JsonColumn<unknown>
  event_id: string | null
  source: string | null
  type: string | null
  subject: string | null
  body: Buffer
  is_cut: boolean
  bytes: number
  times: number
  arrived_at: Date
  first_at: Date
  last_at: Date
  claimed_until: Generated<Date | null>
  outcome: Generated<string | null>
  retried_at: Generated<Date | null>
}

interface OtlpMappingsTable {
  tenant: string
  key: string
  mapping: JsonColumn<unknown>
  version: number
  created_at: Date
  updated_at: Date
}

/** The tables of 0001_control.sql, as rows look in this program. */
export interface ControlTables {
  tenants: TenantsTable
  outbox: OutboxTable
  test_clocks: TestClocksTable
  meters: MetersTable
  meter_revisions: MeterRevisionsTable
  customers: CustomersTable
  customer_subjects: CustomerSubjectsTable
  plans: PlansTable
  plan_versions: PlanVersionsTable
  subscriptions: SubscriptionsTable
  subscription_phases: SubscriptionPhasesTable
  subscription_pauses: SubscriptionPausesTable
  subscription_events: SubscriptionEventsTable
  idempotency_keys: IdempotencyKeysTable
  event_schemas: EventSchemasTable
  dead_letters: DeadLettersTable
  otlp_mappings: OtlpMappingsTable
}
