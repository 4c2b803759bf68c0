import type { Registry } from 'prom-client'
import { createUsageBySubject } from '../aggregate/usage-by-subject.ts'
import type { Reconciler } from '../aggregate/reconcile.ts'
import type { Config } from '../config.ts'
import { createBillSchedule } from '../database/bill-run.ts'
import { createCreditNoteStore } from '../database/credit-notes.ts'
import type { Database } from '../database/database.ts'
import { createRatedUsageStore } from '../database/invoice-export.ts'
import { createInvoiceStore } from '../database/invoices.ts'
import { createReceivablesStore } from '../database/payments.ts'
import type { Api, Authenticator } from '../http/api.ts'
import { createCreditNoteRoutes } from '../http/credit-notes.ts'
import { createExportRoutes } from '../http/exports.ts'
import { createInvoiceEvidenceRoutes } from '../http/invoice-evidence.ts'
import { createBillRunRoutes } from '../http/invoice-run.ts'
import { createInvoiceRoutes } from '../http/invoices.ts'
import { createPaymentRoutes } from '../http/payments.ts'
import { BILL_RUN_LIMITS, type BillRun, createBillRun } from '../invoice/bill-run.ts'
import { createCrediting } from '../invoice/crediting.ts'
import { createInvoiceEvidence } from '../invoice/evidence.ts'
import { createInvoicing, INVOICING_LIMITS } from '../invoice/invoicing.ts'
import type { ConservationChecks, CustomerTime } from '../invoice/ports.ts'
import { createRatedUsage } from '../invoice/rated-usage.ts'
import { createInvoiceVerifier } from '../invoice/verify.ts'
import { createBillRunMetrics, createInvoiceMetrics } from '../telemetry/invoice.ts'
import type { Clock } from '../time/clock.ts'
import { createBillingDirectory } from './billing-directory.ts'
import { type Control, newId } from './control.ts'
import type { Engines } from './engines.ts'
import { invoiceUsage, type UsageSide } from './event-path.ts'
import { sellerOf } from './seller.ts'

export interface InvoicesOptions {
  readonly engines: Engines
  readonly control: Control
  readonly usage: UsageSide
  readonly reconciler: Pick<Reconciler, 'conservation'>
  readonly config: Config
  readonly clock: Clock
  readonly registry: Registry
  readonly authenticator: Authenticator
  readonly onFault: (what: string, error: unknown) => void
}

export interface Invoices {
  readonly routes: readonly Api[]
  readonly billRun: BillRun
}

/** Events of one line that a Merkle root is made of; a line with more commits to none. */
const COMMITTED_EVENTS_MAX = 250_000

/** Stage 4: invoices, what becomes of them, and the run that closes what is due. */
export function createInvoices(options: InvoicesOptions): Invoices {
  const { engines, control, usage, reconciler, clock, registry, authenticator, onFault } = options
  const database: Database = engines.database
  const store = createInvoiceStore(database)
  const receivables = createReceivablesStore(database)
  const creditNotes = createCreditNoteStore(database)
  const schedule = createBillSchedule(database)
  const commitment = { evidence: usage.reader, leavesMax: COMMITTED_EVENTS_MAX }
  const source = invoiceUsage(usage, engines)
  const checks: ConservationChecks = { run: (tenant, cut) => reconciler.conservation(tenant, cut) }
  const deps = {
    directory: createBillingDirectory({
      customers: control.customers,
      subscriptions: control.subscriptions,
      plans: control.plans,
      meters: {
        get: async (tenant, key) => (await control.meters.get(tenant, key))?.meter ?? null,
        revision: (tenant, key, revision) => control.meters.revision(tenant, key, revision),
      },
    }),
    usage: source,
    time: control.time,
    checks,
    store,
    metrics: createInvoiceMetrics(registry),
    clock,
    seller: sellerOf(options.config.seller),
    limits: INVOICING_LIMITS,
    commitment,
  }
  const invoicing = createInvoicing(deps)
  const nowOf: CustomerTime['nowOf'] = (tenant, customer) => control.time.nowOf(tenant, customer)
  const billRun = createBillRun({
    ...deps,
    invoicing,
    schedule,
    runMetrics: createBillRunMetrics(registry),
    runLimits: BILL_RUN_LIMITS,
    bySubject: createUsageBySubject({
      store: engines.store,
      journal: usage.journal,
      conflicts: usage.conflicts,
    }),
    onFault,
  })
  const routes = [
    createInvoiceRoutes({ authenticator, invoicing, nowOf }),
    createInvoiceEvidenceRoutes({
      authenticator,
      evidence: createInvoiceEvidence({ archive: store, evidence: usage.reader }),
      verifier: createInvoiceVerifier({
        archive: store,
        usage: source,
        commitment,
        journalWaitMs: INVOICING_LIMITS.journalWaitMs,
      }),
    }),
    createPaymentRoutes({
      authenticator,
      store,
      receivables,
      nowOf,
      newPaymentId: () => newId('pay', clock),
    }),
    createCreditNoteRoutes({
      authenticator,
      store,
      creditNotes,
      crediting: createCrediting({ store, receivables }),
      nowOf,
    }),
    createExportRoutes({
      authenticator,
      ratedUsage: createRatedUsage({ ...deps, creditNotes, lines: createRatedUsageStore(database) }),
    }),
    createBillRunRoutes({ authenticator, schedule }),
  ]
  return { routes, billRun }
}
