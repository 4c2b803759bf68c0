import type { CustomerKey, MeterKey, SubjectId, TenantId, TestClockId } from '../id/ids.ts'
import type { Clock } from '../time/clock.ts'
import type { Instant } from '../time/instant.ts'
import type { DirectoryChange } from '../usage/directory-change.ts'
import type { Meter } from '../usage/meter.ts'
import type { IngestDirectory } from './ports.ts'

export interface Directory extends IngestDirectory {
  /** Of two changes to one thing the higher version wins; order and repetition do not matter. */
  apply(change: DirectoryChange): void
  metersOf(tenant: TenantId, type: string): readonly Meter[]
  meter(tenant: TenantId, key: MeterKey): Meter | null
  /** Every meter of every tenant. */
  meters(): readonly Meter[]
  /** "Now" for a customer: their test clock, else the clock. */
  nowForCustomer(tenant: TenantId, customer: CustomerKey): Instant
  /** Whether that is a test clock's. */
  isOnTestClock(tenant: TenantId, customer: CustomerKey): boolean
  customerOf(tenant: TenantId, subject: SubjectId): CustomerKey | null
}

interface CustomerEntry {
  readonly version: number
  readonly customer: CustomerKey
  readonly subjects: readonly SubjectId[]
  readonly testClock: TestClockId | null
}

interface TenantState {
  readonly customers: Map<CustomerKey, CustomerEntry>
  /** Claims on a subject; where several customers claim one, the customer that changed last has it. */
  readonly claims: Map<SubjectId, CustomerEntry[]>
  readonly clocks: Map<TestClockId, { readonly version: number; readonly now: Instant }>
  readonly meters: Map<string, { readonly version: number; readonly meter: Meter }>
  readonly metersByType: Map<string, Meter[]>
  customersOnTestClocks: number
}

/** The control plane's state as far as the event path needs it, in memory. Starts empty. */
export function createDirectory(clock: Clock): Directory {
  const tenants = new Map<TenantId, TenantState>()

  function stateOf(tenant: TenantId): TenantState {
    let state = tenants.get(tenant)
    if (state === undefined) {
      state = {
        customers: new Map(),
        claims: new Map(),
        clocks: new Map(),
        meters: new Map(),
        metersByType: new Map(),
        customersOnTestClocks: 0,
      }
      tenants.set(tenant, state)
    }
    return state
  }

  function claimant(tenant: TenantId, subject: SubjectId): CustomerEntry | undefined {
    return tenants.get(tenant)?.claims.get(subject)?.[0]
  }

  function nowOn(tenant: TenantId, testClock: TestClockId | null): Instant {
    if (testClock === null) return clock.now()
    return tenants.get(tenant)?.clocks.get(testClock)?.now ?? clock.now()
  }

  return {
    apply(change) {
      switch (change.kind) {
        case 'meter':
          applyMeter(stateOf(change.meter.tenant), change)
          break
        case 'customer':
          applyCustomer(stateOf(change.tenant), change)
          break
        case 'testClock': {
          const { clocks } = stateOf(change.tenant)
          if ((clocks.get(change.testClock)?.version ?? -1) >= change.version) return
          clocks.set(change.testClock, { version: change.version, now: change.now })
          break
        }
        case 'eventSchema': // kept by event-schemas.ts
        case 'otlpMapping': // kept by otlp-mappings.ts
          break
      }
    },
    hasTestClocks: (tenant) => (tenants.get(tenant)?.customersOnTestClocks ?? 0) > 0,
    nowFor: (tenant, subject) => nowOn(tenant, claimant(tenant, subject)?.testClock ?? null),
    nowForCustomer: (tenant, customer) =>
      nowOn(tenant, tenants.get(tenant)?.customers.get(customer)?.testClock ?? null),
    isOnTestClock: (tenant, customer) =>
      (tenants.get(tenant)?.customers.get(customer)?.testClock ?? null) !== null,
    knows: (tenant, subject) => claimant(tenant, subject) !== undefined,
    isMetered: (tenant, type) => tenants.get(tenant)?.metersByType.has(type) ?? false,
    metersOf: (tenant, type) => tenants.get(tenant)?.metersByType.get(type) ?? [],
    meter: (tenant, key) => tenants.get(tenant)?.meters.get(key)?.meter ?? null,
    meters: () =>
      [...tenants.values()].flatMap((state) => [...state.meters.values()].map((entry) => entry.meter)),
    customerOf: (tenant, subject) => claimant(tenant, subject)?.customer ?? null,
  }
}

function applyMeter(state: TenantState, { version, meter }: DirectoryChange & { kind: 'meter' }): void {
  const before = state.meters.get(meter.key)
  if (before !== undefined && before.version >= version) return
  state.meters.set(meter.key, { version, meter })
  if (before !== undefined) {
    const { eventType } = before.meter
    const rest = (state.metersByType.get(eventType) ?? []).filter((other) => other.key !== meter.key)
    if (rest.length > 0) state.metersByType.set(eventType, rest)
    else state.metersByType.delete(eventType)
  }
  state.metersByType.set(meter.eventType, [...(state.metersByType.get(meter.eventType) ?? []), meter])
}

function applyCustomer(
  state: TenantState,
  { version, customer, subjects, testClock }: DirectoryChange & { kind: 'customer' },
): void {
  const before = state.customers.get(customer)
  if (before !== undefined && before.version >= version) return
  if (before !== undefined) {
    for (const subject of before.subjects) {
      const rest = (state.claims.get(subject) ?? []).filter((entry) => entry !== before)
      if (rest.length > 0) state.claims.set(subject, rest)
      else state.claims.delete(subject)
    }
  }
  const entry: CustomerEntry = { version, customer, subjects: [...new Set(subjects)], testClock }
  state.customers.set(customer, entry)
  for (const subject of entry.subjects) {
    const claims = [...(state.claims.get(subject) ?? []), entry]
    // Not the order of arrival but versions and names decide, so that every replica answers the same.
    claims.sort((a, b) => b.version - a.version || (a.customer < b.customer ? -1 : 1))
    state.claims.set(subject, claims)
  }
  state.customersOnTestClocks += (testClock === null ? 0 : 1) - ((before?.testClock ?? null) === null ? 0 : 1)
}
