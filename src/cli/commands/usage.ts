import type { Command } from 'commander'
import { z } from 'zod'
import { readShape } from '../api-client.ts'
import { clientOf, outputOf, type ServerOptions, withServerOptions } from '../context.ts'
import type { CliDeps } from '../deps.ts'
import { wrongUse } from '../failure.ts'
import { collect } from '../flags.ts'
import { grouped, renderTable } from '../output.ts'
import { addUsageRebuildCommand } from './rebuild.ts'

interface UsageOptions extends ServerOptions {
  readonly from?: string
  readonly to?: string
  readonly window?: string
  readonly groupBy?: string
  readonly customer?: string
  readonly subject?: string
  readonly timezone?: string
  readonly filter: readonly string[]
}

const answerShape = z.looseObject({
  data: z.array(
    z.looseObject({
      start: z.string(),
      end: z.string(),
      customer: z.string().nullish(),
      subject: z.string().nullish(),
      group: z.record(z.string(), z.string().nullable()).nullish(),
      value: z.string().nullable(),
    }),
  ),
  asOf: z.looseObject({ freshnessSeconds: z.number().nullish() }).nullish(),
})

export function addUsageCommand(program: Command, deps: CliDeps): void {
  const group = program.command('usage').description('metered usage')
  addUsageRebuildCommand(group, deps)
  withServerOptions(
    group
      .command('query <meter>')
      .description('how much a meter counted, by window, customer, subject or dimension')
      .option('--from <instant>', 'start, RFC 3339, included; with a window the present month where absent')
      .option('--to <instant>', 'end, RFC 3339, not included')
      .option('--window <window>', 'hour, day, week, month or none')
      .option('--group-by <names>', 'dimensions of the meter, comma separated; also customer, subject')
      .option('--customer <key>', 'only this customer')
      .option('--subject <id>', 'only this subject')
      .option('--timezone <zone>', 'zone in which windows are cut, such as Europe/Berlin')
      .option(
        '--filter <name=value>',
        'only events with this value of a dimension; may be given again',
        collect,
        [],
      ),
  ).action(async (meter: string, options: UsageOptions) => {
    const path = `/v1/meters/${encodeURIComponent(meter)}/usage`
    const month = (options.window ?? 'none') === 'none' ? null : presentMonth(new Date())
    const query = {
      from: options.from ?? month?.from,
      to: options.to ?? month?.to,
      window: options.window,
      groupBy: options.groupBy,
      customer: options.customer,
      subject: options.subject,
      timezone: options.timezone,
      ...readFilters(options.filter),
    }
    const answer = await clientOf(deps, options).json('GET', path, undefined, { query })
    outputOf(deps, options).result(answer, () => renderUsage(readShape(answerShape, answer, path)))
  })
}

/** Windows need both ends; who names none most likely means the month that is under way. */
function presentMonth(now: Date): { readonly from: string; readonly to: string } {
  const start = (months: number): string =>
    new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + months, 1)).toISOString()
  return { from: start(0), to: start(1) }
}

function readFilters(filters: readonly string[]): Record<string, string[]> {
  const read: Record<string, string[]> = {}
  for (const filter of filters) {
    const at = filter.indexOf('=')
    if (at < 1) throw wrongUse(`--filter must look like name=value; it is "${filter}".`)
    const name = `filter[${filter.slice(0, at)}]`
    read[name] = [...(read[name] ?? []), filter.slice(at + 1)]
  }
  return read
}

function renderUsage(answer: z.infer<typeof answerShape>): string {
  if (answer.data.length === 0) return 'No usage.'
  const names = [...new Set(answer.data.flatMap((row) => Object.keys(row.group ?? {})))]
  const hasCustomer = answer.data.some((row) => typeof row.customer === 'string')
  const hasSubject = answer.data.some((row) => typeof row.subject === 'string')
  const table = renderTable(
    [
      { header: 'From' },
      { header: 'To' },
      ...(hasCustomer ? [{ header: 'Customer' }] : []),
      ...(hasSubject ? [{ header: 'Subject' }] : []),
      ...names.map((header) => ({ header })),
      { header: 'Value', align: 'right' as const },
    ],
    answer.data.map((row) => [
      row.start,
      row.end,
      ...(hasCustomer ? [row.customer ?? ''] : []),
      ...(hasSubject ? [row.subject ?? ''] : []),
      ...names.map((name) => row.group?.[name] ?? ''),
      row.value === null ? 'none' : grouped(row.value),
    ]),
  )
  const freshness = answer.asOf?.freshnessSeconds
  return typeof freshness === 'number' ? `${table}\n\ncounted up to ${freshness} seconds ago` : table
}
