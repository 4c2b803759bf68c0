import { parseChargeTerms } from '../../src/catalog/price-parse.ts'
import type { CustomerKey, MeterKey, PlanKey, SubjectId, SubscriptionId, TenantId } from '../../src/id/ids.ts'
import type {
  BillableCustomer,
  BillablePlan,
  BillablePrice,
  BillableSubscription,
} from '../../src/invoice/billable.ts'
import type { Seller } from '../../src/invoice/document.ts'
import {
  createInvoicing,
  INVOICING_LIMITS,
  type Invoicing,
  type InvoicingDeps,
} from '../../src/invoice/invoicing.ts'
import type {
  InvoiceMetrics,
  InvoiceStore,
  TaxEngine,
  UsageEvidence,
  UsageSource,
} from '../../src/invoice/ports.ts'
import type { UsageCommitment } from '../../src/invoice/draft.ts'
import type { EventsAtCutRequest } from '../../src/usage/usage-query.ts'
import { memoryStore } from './memory-invoice-store.ts'
import type { Currency } from '../../src/money/currency.ts'
import { type Decimal, ZERO, add, decimal, toText } from '../../src/money/decimal.ts'
import { type Instant, parseInstant } from '../../src/time/instant.ts'
import { contains } from '../../src/time/instant.ts'
import type { Meter } from '../../src/usage/meter.ts'

export const TENANT = 'default' as TenantId
export const ACME = 'acme' as CustomerKey

const SELLER: Seller = {
  name: 'Example Cloud GmbH',
  addressLines: ['Hauptstraße 1', '10115 Berlin', 'Germany'],
  taxId: 'DE123456789',
  email: 'billing@example.com',
  paymentTermsDays: 14,
  paymentLines: ['IBAN DE02 1203 0000 0000 2020 51', 'Please name the invoice number.'],
}

/** Reads `2023-11-01` or RFC 3339. */
export function instant(text: string): Instant {
  const parsed = parseInstant(text.length === 10 ? `${text}T00:00:00Z` : text)
  if (parsed === null) throw new Error(`not an instant: ${text}`)
  return parsed
}

export function aCustomer(over: Partial<BillableCustomer> = {}): BillableCustomer {
  return {
    tenant: TENANT,
    key: ACME,
    billTo: {
      name: 'Acme Corporation',
      addressLines: ['1 Infinite Loop', 'Springfield'],
      taxId: null,
      email: null,
    },
    currency: 'USD' as Currency,
    timezone: 'UTC',
    subjects: [{ subject: 'acme' as SubjectId, from: null, until: null }],
    taxRates: [],
    paymentTermsDays: null,
    purchaseOrder: null,
    ...over,
  }
}

/** A price from its JSON, as it stands in a plan. */
export function aPrice(
  key: string,
  terms: object,
  over: { readonly name?: string; readonly meter?: string; readonly payment?: BillablePrice['payment'] } = {},
): BillablePrice {
  const parsed = parseChargeTerms(terms)
  if (parsed.kind === 'faulty') throw new Error(JSON.stringify(parsed.faults))
  return {
    key,
    name: over.name ?? key,
    meter: over.meter === undefined ? null : (over.meter as MeterKey),
    payment: over.payment ?? 'inArrears',
    terms: parsed.terms,
  }
}

export function aPlan(prices: readonly BillablePrice[], over: Partial<BillablePlan> = {}): BillablePlan {
  return {
    key: 'llm-api' as PlanKey,
    version: 1,
    name: 'LLM API',
    currency: 'USD' as Currency,
    interval: 'month',
    prices,
    ...over,
  }
}

export function aSubscription(
  plan: BillablePlan,
  start: string,
  over: Partial<Omit<BillableSubscription, 'id'>> & { readonly id?: string; readonly end?: string } = {},
): BillableSubscription {
  const { id = 'sub_1', end, ...rest } = over
  return {
    id: id as SubscriptionId,
    startsAt: instant(start),
    anchorDay: 1,
    timezone: 'UTC',
    phases: [{ start: instant(start), end: end === undefined ? null : instant(end), plan }],
    ...rest,
  }
}

/** The plan of the demonstration: a base fee, graduated, volume and package prices. */
export function llmApiPlan(): BillablePlan {
  return aPlan([
    aPrice('base', { price: { model: 'flat', amount: '20.00' } }, { name: 'Base fee' }),
    aPrice(
      'input-tokens',
      {
        price: {
          model: 'graduated',
          tiers: [
            { upTo: '1000000', unitAmount: '0' },
            { upTo: '10000000', unitAmount: '0.0000025' },
            { upTo: null, unitAmount: '0.000002' },
          ],
        },
      },
      { name: 'Input tokens', meter: 'input_tokens' },
    ),
    aPrice(
      'output-tokens',
      {
        price: {
          model: 'volume',
          tiers: [
            { upTo: '100000', unitAmount: '0.000012' },
            { upTo: '1000000', unitAmount: '0.00001' },
            { upTo: null, unitAmount: '0.000008' },
          ],
        },
      },
      { name: 'Output tokens', meter: 'output_tokens' },
    ),
    aPrice(
      'requests',
      { price: { model: 'package', packageSize: '1000', amount: '0.50' } },
      { name: 'Requests', meter: 'requests' },
    ),
  ])
}

/** One event's contribution; its place in the list is its offset on the log's only partition. */
export interface FakeUsage {
  readonly meter: string
  readonly at: string
  readonly quantity: string
  readonly subject?: string
  readonly group?: Readonly<Record<string, string>>
  /** Takes back the event at that offset: it is a void. */
  readonly voids?: number
}

export type FakeUsageSource = UsageSource & UsageEvidence

/** A log of one partition: an event is before a cut when its position is; a void counts from its own position on. */
export function fakeUsage(events: readonly FakeUsage[]): FakeUsageSource {
  const selected = ({
    meter,
    subjects,
    interval,
    cut,
  }: Pick<EventsAtCutRequest, 'meter' | 'subjects' | 'interval' | 'cut'>): (FakeUsage & {
    readonly offset: number
  })[] => {
    const before = events.slice(0, cut[0]?.offset ?? 0)
    const voided = new Set(before.flatMap((event) => event.voids ?? []))
    return before
      .map((event, offset) => ({ ...event, offset }))
      .filter(
        (event) =>
          event.voids === undefined &&
          !voided.has(event.offset) &&
          event.meter === meter.key &&
          (subjects?.includes((event.subject ?? 'acme') as SubjectId) ?? true) &&
          contains(interval, instant(event.at)),
      )
  }
  return {
    endOffsets: () => Promise.resolve([{ partition: 0, offset: events.length }]),
    waitForJournal: () => Promise.resolve(true),
    usageAtCut: (request) => {
      const { groupBy } = request
      const rows = new Map<string, { group: Record<string, string>; value: Decimal; events: number }>()
      if (groupBy.length === 0) rows.set('[]', { group: {}, value: ZERO, events: 0 })
      for (const event of selected(request)) {
        const group = Object.fromEntries(groupBy.map((name) => [name, event.group?.[name] ?? '']))
        const key = JSON.stringify(Object.values(group))
        const row = rows.get(key) ?? { group, value: ZERO, events: 0 }
        rows.set(key, { group, value: add(row.value, decimal(event.quantity)), events: row.events + 1 })
      }
      return Promise.resolve([...rows.values()].map((row) => ({ ...row, value: toText(row.value) })))
    },
    eventsAtCut: (request) => {
      const from = request.after === null ? 0 : Number(request.after)
      const found = selected(request).sort((a, b) => instant(a.at) - instant(b.at) || a.offset - b.offset)
      const page = found.slice(from, from + request.limit)
      return Promise.resolve({
        events: page.map(({ at, meter, quantity, subject, offset }) => ({
          source: 'test',
          id: String(offset),
          type: 'llm.request',
          subject: (subject ?? 'acme') as SubjectId,
          time: instant(at),
          ingestedAt: instant(at),
          properties: { [meter]: quantity },
          coordinate: { epoch: 1, partition: 0, offset, index: 0 },
          value: quantity,
        })),
        next: from + request.limit < found.length ? String(from + request.limit) : null,
      })
    },
  }
}

const NO_METRICS: InvoiceMetrics = { closed: () => undefined, finalized: () => undefined }

export interface FakeBilling {
  readonly customer?: BillableCustomer
  readonly subscriptions?: readonly BillableSubscription[]
  readonly events?: FakeUsage[]
  readonly usage?: UsageSource
  readonly store?: InvoiceStore
  /** The customer's clock. */
  readonly now?: () => string
  readonly failedCheck?: string
  readonly tax?: TaxEngine
  readonly commitment?: UsageCommitment
}

export function fakeInvoicing(given: FakeBilling): Invoicing {
  return createInvoicing(fakeDeps(given))
}

export function fakeDeps(given: FakeBilling): InvoicingDeps {
  const customer = given.customer ?? aCustomer()
  const now = given.now ?? (() => '2023-12-01T01:00:00Z')
  return {
    directory: {
      customer: (tenant, key) =>
        Promise.resolve(tenant === customer.tenant && key === customer.key ? customer : null),
      subscriptions: () => Promise.resolve(given.subscriptions ?? []),
      meter: (tenant, key): Promise<Meter> =>
        Promise.resolve({
          tenant,
          key,
          name: key,
          eventType: 'llm.request',
          aggregation: 'sum',
          valueProperty: key,
          groupBy: {},
          filters: {},
          revision: 1,
        }),
    },
    usage: given.usage ?? fakeUsage(given.events ?? []),
    time: { nowOf: () => Promise.resolve(instant(now())) },
    checks: {
      run: () =>
        Promise.resolve(
          given.failedCheck === undefined
            ? []
            : [{ name: given.failedCheck, ok: false, detail: '1 record too few' }],
        ),
    },
    store: given.store ?? memoryStore(),
    metrics: NO_METRICS,
    clock: { now: () => instant('2023-12-01') },
    seller: SELLER,
    limits: INVOICING_LIMITS,
    ...(given.tax === undefined ? {} : { tax: given.tax }),
    ...(given.commitment === undefined ? {} : { commitment: given.commitment }),
  }
}

/** The trace of the demonstration, in three events. */
export const DEMO_USAGE: FakeUsage[] = [
  { meter: 'input_tokens', at: '2023-11-16T18:17:03Z', quantity: '18059974' },
  { meter: 'output_tokens', at: '2023-11-16T18:17:03Z', quantity: '245896' },
  { meter: 'requests', at: '2023-11-16T18:17:03Z', quantity: '8819' },
]
