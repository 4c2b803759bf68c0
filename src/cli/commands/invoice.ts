import { writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import { z } from 'zod'
import { type ApiClient, readShape } from '../api-client.ts'
import { clientOf, outputOf, type ServerOptions, withServerOptions } from '../context.ts'
import type { CliDeps } from '../deps.ts'
import { CliFailure, fileFailure, wrongUse } from '../failure.ts'
import { given } from '../flags.ts'
import { explanationText, invoiceShape, renderInvoice } from '../invoice-text.ts'
import { grouped, renderTable } from '../output.ts'

const DOCUMENT_FORMATS = ['html', 'pdf', 'csv'] as const
const EXPORT_FORMATS = ['csv', 'parquet', 'xlsx', 'ndjson'] as const

export function addInvoiceCommand(program: Command, deps: CliDeps): void {
  const group = program.command('invoice').description('invoices: what a period costs and why')
  addDraftAndClose(group, deps)
  addList(group, deps)
  addShow(group, deps)
  addExplain(group, deps)
  addExport(group, deps)
  addVerify(group, deps)
}

function addDraftAndClose(group: Command, deps: CliDeps): void {
  withServerOptions(
    group
      .command('preview')
      .description('what the invoice of the running period would be; nothing is stored')
      .requiredOption('--customer <key>', 'whose')
      .option('--at <instant>', 'RFC 3339 (default: now)'),
  ).action(async (options: ServerOptions & { readonly customer: string; readonly at?: string }) => {
    const body = given({ customer: options.customer, at: options.at })
    const path = '/v1/invoices/preview'
    const answer = await clientOf(deps, options).json('POST', path, body, { repeatable: true })
    outputOf(deps, options).result(answer, () => renderInvoice(readShape(invoiceShape, answer, path)))
  })

  withServerOptions(
    group
      .command('close')
      .description('close a period; one that is closed already comes back as it is')
      .requiredOption('--customer <key>', 'whose')
      .requiredOption('--period-end <instant>', 'end of the period, RFC 3339'),
  ).action(async (options: ServerOptions & { readonly customer: string; readonly periodEnd: string }) => {
    const body = { customer: options.customer, periodEnd: options.periodEnd }
    const path = '/v1/invoices/close'
    const answer = await clientOf(deps, options).json('POST', path, body, { repeatable: true })
    outputOf(deps, options).result(answer, () => renderInvoice(readShape(invoiceShape, answer, path)))
  })
}

const summaryShape = z.looseObject({
  id: z.string(),
  number: z.string().nullish(),
  state: z.string(),
  customer: z.string(),
  currency: z.string(),
  periodStart: z.string(),
  periodEnd: z.string(),
  total: z.string(),
})

function addList(group: Command, deps: CliDeps): void {
  withServerOptions(
    group
      .command('list')
      .description('invoices, newest first')
      .option('--customer <key>', 'only of this customer')
      .option('--state <state>', 'only in this state'),
  ).action(async (options: ServerOptions & { readonly customer?: string; readonly state?: string }) => {
    const path = '/v1/invoices'
    const data = await clientOf(deps, options).list(path, {
      customer: options.customer,
      state: options.state,
    })
    outputOf(deps, options).result({ data }, () => {
      const rows = data.map((item) => readShape(summaryShape, item, path))
      if (rows.length === 0) return 'No invoices.'
      return renderTable(
        [
          { header: 'Number' },
          { header: 'Id' },
          { header: 'State' },
          { header: 'Customer' },
          { header: 'From' },
          { header: 'To' },
          { header: 'Total', align: 'right' },
          { header: '' },
        ],
        rows.map((row) => [
          row.number ?? '',
          row.id,
          row.state,
          row.customer,
          row.periodStart,
          row.periodEnd,
          grouped(row.total),
          row.currency,
        ]),
      )
    })
  })
}

function addShow(group: Command, deps: CliDeps): void {
  withServerOptions(
    group
      .command('show <id>')
      .description('one invoice, on the terminal or as a document')
      .option('--format <format>', `${DOCUMENT_FORMATS.join(', ')}: the document as the customer gets it`)
      .option('--out <file>', 'where the document goes (default: stdout)'),
  ).action(
    async (id: string, options: ServerOptions & { readonly format?: string; readonly out?: string }) => {
      const path = `/v1/invoices/${encodeURIComponent(id)}`
      if (options.format !== undefined) {
        const format = oneOf('--format', options.format, DOCUMENT_FORMATS)
        await deliver(deps, clientOf(deps, options), `${path}.${format}`, {}, options)
        return
      }
      if (options.out !== undefined) throw wrongUse('--out needs --format.')
      const answer = await clientOf(deps, options).json('GET', path)
      outputOf(deps, options).result(answer, () => renderInvoice(readShape(invoiceShape, answer, path)))
    },
  )
}

function addExplain(group: Command, deps: CliDeps): void {
  withServerOptions(
    group
      .command('explain <id> [line]')
      .description(
        'how the amount of a line comes about, down to the quantity; all lines where none is named',
      ),
  ).action(async (id: string, line: string | undefined, options: ServerOptions) => {
    const api = clientOf(deps, options)
    const path = `/v1/invoices/${encodeURIComponent(id)}`
    const lines =
      line === undefined
        ? readShape(invoiceShape, await api.json('GET', path), path).lines.map((one) => one.id)
        : [line]
    const explanations: { readonly line: string; readonly explanation: unknown }[] = []
    for (const one of lines) {
      explanations.push({
        line: one,
        explanation: await api.json('GET', `${path}/lines/${encodeURIComponent(one)}/explanation`),
      })
    }
    outputOf(deps, options).result(
      line === undefined ? { data: explanations } : explanations[0]?.explanation,
      () =>
        explanations
          .map((one) =>
            [one.line, ...explanationText(one.explanation).map((text) => `    ${text}`)].join('\n'),
          )
          .join('\n'),
    )
  })
}

interface ExportOptions extends ServerOptions {
  readonly from: string
  readonly to: string
  readonly format: string
  readonly out?: string
}

function addExport(group: Command, deps: CliDeps): void {
  withServerOptions(
    group
      .command('export')
      .description(
        'rated usage of every customer: a row for each invoice line and each accrual not billed yet',
      )
      .requiredOption('--from <instant>', 'start, RFC 3339, included')
      .requiredOption('--to <instant>', 'end, RFC 3339, not included')
      .option('--format <format>', EXPORT_FORMATS.join(', '), 'csv')
      .option('--out <file>', 'where it goes (default: stdout)'),
  ).action(async (options: ExportOptions) => {
    const format = oneOf('--format', options.format, EXPORT_FORMATS)
    const query = { from: options.from, to: options.to, format }
    await deliver(deps, clientOf(deps, options), '/v1/exports/rated-usage', query, options)
  })
}

const verificationShape = z.looseObject({
  ok: z.boolean(),
  storedHash: z.string(),
  computedHash: z.string(),
  differences: z.array(
    z.looseObject({ pointer: z.string(), stored: z.string().nullable(), computed: z.string().nullable() }),
  ),
})

function addVerify(group: Command, deps: CliDeps): void {
  withServerOptions(
    group
      .command('verify <id>')
      .description('count, rate and add an invoice up again from its events, and compare every byte'),
  ).action(async (id: string, options: ServerOptions) => {
    const path = `/v1/invoices/${encodeURIComponent(id)}/verify`
    const answer = await clientOf(deps, options).json('POST', path, undefined, { repeatable: true })
    const { ok, storedHash, computedHash, differences } = readShape(verificationShape, answer, path)
    outputOf(deps, options).result(answer, () =>
      [
        ok ? `${id} comes out the same.` : `${id} comes out DIFFERENT.`,
        `stored    ${storedHash}`,
        `computed  ${computedHash}`,
        ...differences.map((one) => `${one.pointer}: ${one.stored ?? '-'} is ${one.computed ?? '-'} now`),
      ].join('\n'),
    )
    if (!ok) throw new CliFailure(`The invoice ${id} cannot be reproduced from its events.`)
  })
}

function oneOf<T extends string>(flag: string, value: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value)
  if (found === undefined) throw wrongUse(`${flag} must be one of ${choices.join(', ')}; it is "${value}".`)
  return found
}

/** A document to a file, or to stdout where it is text or stdout is no terminal. */
async function deliver(
  deps: CliDeps,
  api: ApiClient,
  path: string,
  query: Readonly<Record<string, string>>,
  options: ServerOptions & { readonly out?: string },
): Promise<void> {
  const output = outputOf(deps, options)
  const { body, contentType } = await api.bytes(path, query)
  if (options.out !== undefined) {
    const file = options.out
    try {
      writeFileSync(file, body)
    } catch (error) {
      throw fileFailure(file, error)
    }
    output.result({ file, bytes: body.length, contentType }, () => `${file}: ${body.length} bytes`)
    return
  }
  const isText = contentType.startsWith('text/') || contentType.includes('json')
  if (!isText && 'isTTY' in deps.stdout && deps.stdout.isTTY === true) {
    throw new CliFailure('This document is not text; name a file with --out.')
  }
  deps.stdout.write(body)
}
