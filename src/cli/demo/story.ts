import type { ApiClient } from '../api-client.ts'
import type { CliDeps, RunningSystem } from '../deps.ts'
import type { InvoiceView } from '../invoice-text.ts'
import type { Output } from '../output.ts'
import type { Reconciliation } from '../reconcile-text.ts'
import type { DemoMonth } from './months.ts'
import type { TraceScan } from './scan.ts'
import type { Stopwatch } from './stopwatch.ts'

export interface DemoOptions {
  readonly tracePath: string
  /** Null: a temporary directory, removed at the end. */
  readonly dataDirectory: string | null
  /** Where the documents go; null: beside the data. */
  readonly outDirectory: string | null
  readonly keep: boolean
  readonly startSystem: (dataDirectory: string, onProgress: (text: string) => void) => Promise<RunningSystem>
}

export interface DemoResult {
  readonly events: { readonly sent: number; readonly accepted: number; readonly duplicates: number }
  readonly quota: { readonly suspendedAt: string | null; readonly keyStatus: string; readonly code: string }
  readonly invoice: InvoiceView
  readonly invoices: readonly InvoiceView[]
  readonly documents: readonly string[]
  readonly reconcile: Reconciliation
  /** Seconds. */
  readonly timings: Readonly<Record<string, number>>
}

/** What every step of the demo sees. */
export interface Story {
  readonly deps: CliDeps
  readonly output: Output
  readonly watch: Stopwatch
  readonly options: DemoOptions
  readonly scan: TraceScan
  readonly months: readonly DemoMonth[]
  readonly system: RunningSystem
  readonly admin: ApiClient
  readonly outDirectory: string
}
