import type { CustomerKey, MeterKey, QuotaKey, SubjectId, TenantId } from '../../src/id/ids.ts'
import { createKeyring, type Keyring } from '../../src/provision/keyring.ts'
import { createKeyTable, type KeyTable } from '../../src/provision/key-table.ts'
import type { HolderDirectory, MeterDirectory, ProvisionMetrics } from '../../src/provision/ports.ts'
import type { Quota } from '../../src/provision/quota.ts'
import { createQuotas, type Quotas, type QuotasDeps } from '../../src/provision/quotas.ts'
import { type Instant, type Interval, parseInstant } from '../../src/time/instant.ts'
import { createMemoryGateStore, type MemoryGateStore } from './memory-gate-store.ts'

export const TENANT = 'ten_1' as TenantId
export const ACME = 'acme' as CustomerKey
export const TOKENS = 'output-tokens' as QuotaKey

export function at(text: string): Instant {
  const instant = parseInstant(text)
  if (instant === null) throw new Error(`not an instant: ${text}`)
  return instant
}

/** An observed quota of 200,000 output tokens a month: told at 80 %, suspended at 100 %. */
export function aQuota(changes: Partial<Quota> = {}): Omit<Quota, 'version'> {
  return {
    tenant: TENANT,
    key: TOKENS,
    meter: 'output_tokens' as MeterKey,
    unit: 'tokens',
    limit: '200000',
    period: 'month',
    mode: 'observed',
    ladder: [
      { at: '0.8', action: 'notify' },
      { at: '1', action: 'suspend' },
    ],
    onUnavailable: 'closed',
    ...changes,
  }
}

export const SILENT_METRICS: ProvisionMetrics = {
  decided: () => undefined,
  keysHeld: () => undefined,
  applied: () => undefined,
  evaluated: () => undefined,
  noticeFired: () => undefined,
}

/** Bytes from a seed, distinct on every call: all that a test asks of randomness. */
export function randomFrom(seed: number): (count: number) => Uint8Array {
  let state = seed
  return (count) =>
    Uint8Array.from({ length: count }, () => {
      // mulberry32
      state = (state + 0x6d2b79f5) | 0
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
      return (mixed ^ (mixed >>> 14)) & 0xff
    })
}

export interface Gate {
  readonly store: MemoryGateStore
  readonly table: KeyTable
  readonly quotas: Quotas
  readonly keyring: Keyring
  readonly holders: HolderDirectory
  readonly meters: MeterDirectory
  /** The present of everybody, and of one customer on a test clock. */
  now: Instant
  readonly testClocks: Map<string, Instant>
  /** Usage facts: [subject, time, quantity]. */
  readonly usage: [subject: string, time: Instant, quantity: bigint][]
  usageQueries: Interval[]
  /** Milliseconds for rates. */
  monotonicMs: number
}

/** The whole gate on memory stores: customer `acme` with the subjects `a` and `b`, in Berlin's zone or another. */
export function openGate(
  options: {
    readonly now?: string
    readonly timezone?: string
    readonly leased?: NonNullable<QuotasDeps['leased']>
  } = {},
): Gate {
  const store = createMemoryGateStore()
  const gate = {
    store,
    now: at(options.now ?? '2023-11-15T12:00:00Z'),
    testClocks: new Map<string, Instant>(),
    usage: [] as Gate['usage'],
    usageQueries: [] as Interval[],
    monotonicMs: 0,
  }
  const customerOf = (subject: SubjectId): CustomerKey | null =>
    subject === 'a' || subject === 'b' ? ACME : null
  const holders: HolderDirectory = {
    now: (_, holder) => {
      const customer = holder?.kind === 'subject' ? customerOf(holder.id) : (holder?.id ?? null)
      return (customer === null ? undefined : gate.testClocks.get(customer)) ?? gate.now
    },
    customerOf: (_, subject) => customerOf(subject),
    profile: async (_, holder) => {
      const timezone = options.timezone ?? 'UTC'
      if (holder.kind === 'subject') {
        return { customer: customerOf(holder.id), timezone, subjects: [holder.id], billingPeriod: null }
      }
      if (holder.id !== ACME) return null
      return { customer: ACME, timezone, subjects: ['a' as SubjectId, 'b' as SubjectId], billingPeriod: null }
    },
  }
  const table = createKeyTable({ holders, monotonicMs: () => gate.monotonicMs, metrics: SILENT_METRICS })
  const quotas = createQuotas({
    store: store.quotas,
    holders,
    ...(options.leased === undefined ? {} : { leased: options.leased }),
    usage: {
      usageOf: async ({ subjects, interval }) => {
        gate.usageQueries.push(interval)
        return String(
          gate.usage
            .filter(
              ([subject, time]) =>
                subjects.includes(subject as SubjectId) && time >= interval.start && time < interval.end,
            )
            .reduce((sum, [, , quantity]) => sum + quantity, 0n),
        )
      },
    },
    table,
    monotonicMs: () => 0,
    metrics: SILENT_METRICS,
  })
  const keyring = createKeyring({
    store: store.keys,
    holders,
    evaluate: (assignments) => quotas.evaluate(assignments),
    clock: { now: () => gate.now },
    randomBytes: randomFrom(1),
  })
  store.onPublish = (document) => {
    table.apply(document)
  }
  const meters: MeterDirectory = {
    eventTypeOf: (_, meter) => (meter === 'output_tokens' ? 'llm.request' : null),
  }
  return Object.assign(gate, { table, quotas, keyring, holders, meters })
}
