import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { createConflictSweeper } from '../src/aggregate/conflicts.ts'
import type { UsageStore } from '../src/aggregate/ports.ts'
import { createUsageBySubject } from '../src/aggregate/usage-by-subject.ts'
import { createUsageReader } from '../src/aggregate/usage-reader.ts'
import { parseChargeTerms } from '../src/catalog/price-parse.ts'
import { createBillSchedule } from '../src/database/bill-run.ts'
import { type Database, openDatabase } from '../src/database/database.ts'
import { createInvoiceStore } from '../src/database/invoices.ts'
import { migrateDatabase } from '../src/database/migrations.ts'
import type { MeterKey, PlanKey, SubjectId, SubscriptionId, TenantId } from '../src/id/ids.ts'
import type { BillablePlan, BillablePrice } from '../src/invoice/billable.ts'
import { BILL_RUN_LIMITS, createBillRun } from '../src/invoice/bill-run.ts'
import { createInvoicing, INVOICING_LIMITS, type InvoicingDeps } from '../src/invoice/invoicing.ts'
import type { Currency } from '../src/money/currency.ts'
import { openUsageStore } from '../src/store/usage-store.ts'
import { createAggregateMetrics } from '../src/telemetry/aggregate.ts'
import { createBillRunMetrics, createInvoiceMetrics } from '../src/telemetry/invoice.ts'
import { createRegistry } from '../src/telemetry/registry.ts'
import { instantOf } from '../src/time/instant.ts'
import { TOPIC_EPOCH } from '../src/usage/topics.ts'
import type { Figure } from './figure.ts'

/**
 * A bill run over subscriptions of five metered prices, ten events each: from what is due in PostgreSQL over their usage in
 * ClickHouse to finalized invoices. Beside it one SQL that only sums the same usage by subject, in the same run.
 * Customers and subscriptions are read from memory here: how the control plane stores them is not measured.
 */
const SIZES = (process.env['BENCH_BILLRUN_SUBSCRIPTIONS'] ?? '1000,10000').split(',').map(Number)
const PRICES = 5
const EVENTS_PER_SUBSCRIPTION = 10
const TENANT = 'ten_bench' as TenantId
const START_MS = Date.UTC(2026, 2, 1)
const END = instantOf(Date.UTC(2026, 3, 1))
const NOW = instantOf(Date.UTC(2026, 3, 2))

export async function run(): Promise<readonly Figure[]> {
  const figures: Figure[] = []
  for (const size of SIZES) figures.push(...(await measure(size)))
  return figures
}

async function measure(size: number): Promise<readonly Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), 'tallyman-bench-'))
  const usage = await openUsageStore({ kind: 'embedded', directory: join(directory, 'clickhouse') })
  const database = await openDatabase({ kind: 'embedded', directory: join(directory, 'postgres') })
  try {
    await migrateDatabase(database)
    await makeUsage(usage, size)
    await makeCustomers(database, size)
    const floorSeconds = await timeOf(() => sumAll(usage))
    const billRun = billRunOver(usage, database)
    let finalized = 0
    const seconds = await timeOf(async () => {
      finalized = (await billRun.runDue(NOW)).finalized
    })
    if (finalized !== size) throw new Error(`${finalized} of ${size} invoices were made`)
    const peakBytes = process.resourceUsage().maxRSS * 1024
    const name = `${size.toLocaleString('en')} subscriptions`
    return [
      { metric: `${name}: bill run`, value: seconds, unit: 's', floor: floorSeconds },
      { metric: `${name}: finalized`, value: size / seconds, unit: 'invoices/s' },
      { metric: `${name}: most memory of the process so far`, value: peakBytes / 1e6, unit: 'MB' },
    ]
  } finally {
    await database.stop()
    await usage.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

function makeUsage(store: UsageStore, size: number): Promise<void> {
  return store.command(
    `INSERT INTO usage_events (tenant, type, ts, subject, source, id, props, tp, kp, ko, ki, ver, ingested_at)
     SETTINGS async_insert = 0, optimize_on_insert = 0
     SELECT 'ten_bench', 'llm.request', fromUnixTimestamp64Milli(toInt64({start:Int64} + (number % 2592000) * 1000), 'UTC') AS ts,
       concat('c', toString(number % {size:UInt64})), '/gateway', concat('e', toString(number)),
       map('m0', toString(number % 500), 'm1', toString(number % 50), 'm2', '1', 'm3', toString(number % 9), 'm4', '12.5'),
       1, 0, number, 0, 18446744073709551615 - number, ts
     FROM numbers({count:UInt64})`,
    { start: START_MS, size, count: size * EVENTS_PER_SUBSCRIPTION },
  )
}

async function sumAll(store: UsageStore): Promise<void> {
  await store.query(
    `SELECT subject, ${Array.from({ length: PRICES }, (_, i) => `sum(toDecimal256OrNull(props['m${i}'], 9)) AS s${i}`).join(', ')}
     FROM usage_events FINAL WHERE tenant = 'ten_bench' AND type = 'llm.request' GROUP BY subject ORDER BY subject`,
  )
}

async function makeCustomers({ db }: Database, size: number): Promise<void> {
  await sql`insert into tenants (id, name, created_at) values (${TENANT}, 'bench', now())`.execute(db)
  await sql`
    insert into customers (tenant, key, name, currency, timezone, billing, version, created_at, updated_at)
    select ${TENANT}, 'c' || n, 'c' || n, 'USD', 'UTC', '{}', 1, now(), now() from generate_series(0, ${size - 1}::int) n`.execute(
    db,
  )
  await sql`insert into bill_schedules (tenant, customer, next_close, is_stale)
    select tenant, key, ${new Date(END)}, false from customers`.execute(db)
}

function billRunOver(store: UsageStore, database: Database): ReturnType<typeof createBillRun> {
  const registry = createRegistry({ version: 'bench', role: 'bench' })
  const metrics = createAggregateMetrics(registry)
  const conflicts = createConflictSweeper({ store, metrics, epoch: TOPIC_EPOCH })
  const cut = [{ partition: 0, offset: 1e12 }]
  const readerDeps = { store, conflicts, journal: { ends: () => cut, freshnessSeconds: () => 0 } }
  const reader = createUsageReader(readerDeps)
  const plan = aPlan()
  const deps: InvoicingDeps = {
    directory: {
      customer: async (tenant, key) => ({
        tenant,
        key,
        billTo: { name: key, addressLines: [], taxId: null, email: null },
        currency: 'USD' as Currency,
        timezone: 'UTC',
        subjects: [{ subject: key as string as SubjectId, from: null, until: null }],
        taxRates: [],
        paymentTermsDays: null,
        purchaseOrder: null,
      }),
      subscriptions: async (_, key) => [
        {
          id: `sub_${key}` as SubscriptionId,
          startsAt: instantOf(START_MS),
          anchorDay: 1,
          timezone: 'UTC',
          phases: [{ start: instantOf(START_MS), end: null, plan }],
        },
      ],
      meter: async (tenant, key) => ({
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
    usage: {
      endOffsets: async () => cut,
      waitForJournal: async () => true,
      usageAtCut: (question) => reader.usageAtCut(question),
    },
    time: { nowOf: async () => NOW },
    checks: { run: async () => [] },
    store: createInvoiceStore(database),
    metrics: createInvoiceMetrics(registry),
    clock: { now: () => instantOf(Date.now()) },
    seller: {
      name: 'Bench',
      addressLines: [],
      taxId: null,
      email: null,
      paymentTermsDays: 14,
      paymentLines: [],
    },
    limits: INVOICING_LIMITS,
  }
  return createBillRun({
    ...deps,
    invoicing: createInvoicing(deps),
    schedule: createBillSchedule(database),
    runMetrics: createBillRunMetrics(registry),
    runLimits: BILL_RUN_LIMITS,
    bySubject: createUsageBySubject(readerDeps),
    onFault: (what, error) => {
      throw new Error(what, { cause: error })
    },
  })
}

function aPlan(): BillablePlan {
  const prices = Array.from({ length: PRICES }, (_, i): BillablePrice => {
    const tiers = [
      { upTo: '1000', unitAmount: '0.01' },
      { upTo: null, unitAmount: '0.004' },
    ]
    const parsed = parseChargeTerms({ price: { model: 'graduated', tiers } })
    if (parsed.kind === 'faulty') throw new Error(JSON.stringify(parsed.faults))
    return {
      key: `p${i}`,
      name: `Price ${i}`,
      meter: `m${i}` as MeterKey,
      payment: 'inArrears',
      terms: parsed.terms,
    }
  })
  return {
    key: 'bench' as PlanKey,
    version: 1,
    name: 'Bench',
    currency: 'USD' as Currency,
    interval: 'month',
    prices,
  }
}

async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return (performance.now() - startedAt) / 1000
}
