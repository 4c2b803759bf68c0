import { grouped, type Output } from '../output.ts'
import { CUSTOMER } from './catalog.ts'
import type { DemoMonth } from './months.ts'
import type { TraceScan } from './scan.ts'
import type { DemoResult, Story } from './story.ts'

export function describeTrace(output: Output, scan: TraceScan, months: readonly DemoMonth[]): void {
  const span = months.length === 1 ? scan.first : `${scan.first} to ${scan.last}, ${months.length} months`
  output.note(`Trace: ${grouped(scan.rows)} rows, ${span}.`)
  if (months.length > 1) {
    output.note(
      'Each of these months is billed: the clock goes from one to the next and every month is closed.',
    )
  }
}

export function nextSteps({ system, options }: Story, result: DemoResult): string {
  return [
    `Total of ${result.invoices.map((invoice) => `${invoice.number ?? invoice.id}: ${invoice.total} ${invoice.currency}`).join(', ')}`,
    ...result.documents.map((path) => `  ${path}`),
    `${result.timings['total'] ?? 0} seconds in all.`,
    '',
    'Where to look next:',
    ...(options.keep
      ? [
          `  ${system.apiUrl}/openapi.json   the API`,
          `  ${system.metricsUrl}/metrics   what Prometheus reads`,
          `  tallyman invoice list --customer ${CUSTOMER} --url ${system.apiUrl}`,
        ]
      : [
          '  tallyman demo --keep            the same, and the server goes on: API, metrics, every command',
          '  tallyman demo --trace YOUR.csv  your own numbers',
          '  tallyman start                  an empty system of your own',
        ]),
  ].join('\n')
}
