import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { readShape } from '../api-client.ts'
import { apiClientFor, whileRunning } from '../context.ts'
import type { CliDeps, RunningSystem } from '../deps.ts'
import { CliFailure, Interrupted } from '../failure.ts'
import { type InvoiceView, renderInvoice } from '../invoice-text.ts'
import type { Output } from '../output.ts'
import { RECONCILE_PATH, reconcileShape, renderReconciliation } from '../reconcile-text.ts'
import { CUSTOMER } from './catalog.ts'
import { closePeriod, writeDocuments } from './close.ts'
import { sendAndCount } from './count.ts'
import { showGate } from './gate.ts'
import { monthsBetween } from './months.ts'
import { scanTrace } from './scan.ts'
import type { SentSoFar } from './send.ts'
import { advanceClock, setUpTenant } from './set-up.ts'
import { createStopwatch } from './stopwatch.ts'
import type { DemoOptions, DemoResult, Story } from './story.ts'
import { describeTrace, nextSteps } from './tell.ts'

/** The whole main job on real input: see docs/cli.md. The system is stopped and temporary data removed however it ends. */
export async function runDemo(deps: CliDeps, output: Output, options: DemoOptions): Promise<void> {
  const watch = createStopwatch(deps.now)
  const scan = await scanTrace(deps, output, options.tracePath)
  const months = monthsBetween(scan.first, scan.last)
  describeTrace(output, scan, months)
  watch.lap('read')
  const workDirectory = options.dataDirectory ?? mkdtempSync(join(deps.temporaryDirectory, 'tallyman-demo-'))
  const dataDirectory = options.dataDirectory ?? join(workDirectory, 'data')
  let system: RunningSystem | null = null
  try {
    system = await options.startSystem(dataDirectory, (text) => output.warn(`  ${text}`))
    if (deps.interrupted.aborted) throw new Interrupted()
    output.note(`[1/6] engines started in ${watch.lap('engines')} s: ${system.apiUrl}`)
    const story: Story = {
      deps,
      output,
      watch,
      options,
      scan,
      months,
      system,
      admin: apiClientFor(deps, system.apiUrl, adminKeyOf(system)),
      outDirectory:
        options.outDirectory ??
        (options.dataDirectory === null ? workDirectory : join(workDirectory, 'invoices')),
    }
    const result = await tell(story)
    output.result({ ...result, invoices: result.invoices.length > 1 ? result.invoices : undefined }, () =>
      nextSteps(story, result),
    )
    if (!result.reconcile.ok) throw new CliFailure('The reconciliation found a mismatch.')
    if (options.keep) {
      output.warn(
        `The server goes on at ${system.apiUrl}; the administrator's key is in ${join(dataDirectory, 'admin.key')}. Ctrl-C stops it.`,
      )
      await whileRunning(deps, system)
    }
  } finally {
    await system?.stop()
    if (options.dataDirectory === null) rmSync(dataDirectory, { recursive: true, force: true })
  }
}

function adminKeyOf({ adminKey }: RunningSystem): string {
  if (adminKey === null) throw new CliFailure('The system has no administrator.')
  return adminKey
}

async function tell(story: Story): Promise<DemoResult> {
  const { output, watch, scan, months, admin } = story
  const [first] = months
  if (first === undefined) throw new CliFailure('The trace has no month.')
  const tenant = await setUpTenant(admin, first)
  output.note(
    `[2/6] plan, meters, quota, customer ${CUSTOMER} (on a test clock at ${tenant.clockNow}) and two keys in ${watch.lap('setup')} s`,
  )
  const soFar: SentSoFar = { sent: 0, accepted: 0, duplicates: 0, batches: 0, repeatedBatches: 0 }
  const invoices: InvoiceView[] = []
  const documents: string[] = []
  let quota: DemoResult['quota'] | null = null
  let clock = tenant.clockNow
  const advance = async (to: string): Promise<void> => {
    if (Date.parse(to) <= Date.parse(clock)) return
    await advanceClock(admin, tenant.clockId, to)
    clock = to
  }
  for (const month of months) {
    await advance(month.sendAt)
    // Usage of the month's last hour is ahead of that: what lies in the future is refused, so the clock goes on to it.
    await advance(new Date(scan.byMonth.get(month.month)?.lastMs ?? 0).toISOString())
    await sendAndCount(story, tenant, month, soFar)
    const found = await showGate(story, tenant, month, clock)
    if (quota === null || (quota.suspendedAt === null && found.suspendedAt !== null)) quota = found
    await advance(month.closeAt)
    const invoice = await closePeriod(admin, month.end)
    invoices.push(invoice)
    documents.push(...(await writeDocuments(admin, invoice, story.outDirectory)))
    output.note(`[5/6] ${month.month} closed in ${watch.lap('close')} s\n\n${renderInvoice(invoice)}\n`)
  }
  const reconcile = readShape(
    reconcileShape,
    await admin.json('POST', RECONCILE_PATH, {}, { repeatable: true }),
    RECONCILE_PATH,
  )
  output.note(`[6/6] reconciled in ${watch.lap('reconcile')} s\n\n${renderReconciliation(reconcile)}\n`)
  const invoice = invoices.at(-1)
  if (invoice === undefined || quota === null) throw new CliFailure('Nothing was billed.')
  if (soFar.accepted + soFar.duplicates !== soFar.sent) {
    throw new CliFailure(
      `${soFar.sent} events were sent, but ${soFar.accepted} accepted and ${soFar.duplicates} taken for duplicates.`,
    )
  }
  return {
    events: { sent: soFar.sent, accepted: scan.rows, duplicates: soFar.sent - scan.rows },
    quota,
    invoice,
    invoices,
    documents,
    reconcile,
    timings: watch.all(),
  }
}
