import { stringify } from 'csv-stringify/sync'
import type { RatedUsageRow } from '../rated-usage.ts'
import { inert } from './csv.ts'

/** Columns in their order; `text` is what somebody typed and a spreadsheet might run. */
export const RATED_USAGE_COLUMNS = [
  ['status', 'value'],
  ['document', 'text'],
  ['documentId', 'text'],
  ['issuedAt', 'value'],
  ['customer', 'text'],
  ['currency', 'text'],
  ['line', 'text'],
  ['kind', 'value'],
  ['subscription', 'text'],
  ['plan', 'text'],
  ['planVersion', 'number'],
  ['price', 'text'],
  ['name', 'text'],
  ['meter', 'text'],
  ['quantity', 'number'],
  ['amount', 'number'],
  ['exactAmount', 'number'],
  ['start', 'value'],
  ['end', 'value'],
] as const satisfies readonly (readonly [keyof RatedUsageRow, 'value' | 'text' | 'number'])[]

const chunkRowsMax = 500

/** RFC 4180 with a header, in chunks. */
export async function* ratedUsageCsv(rows: AsyncIterable<RatedUsageRow>): AsyncGenerator<string> {
  yield csvOf([RATED_USAGE_COLUMNS.map(([name]) => name)])
  for await (const chunk of chunksOf(rows)) {
    yield csvOf(
      chunk.map((row) =>
        RATED_USAGE_COLUMNS.map(([name, kind]) => {
          const value = row[name]
          return kind === 'text' && typeof value === 'string' ? inert(value) : value
        }),
      ),
    )
  }
}

/** One JSON object a line, in chunks. */
export async function* ratedUsageNdjson(rows: AsyncIterable<RatedUsageRow>): AsyncGenerator<string> {
  for await (const chunk of chunksOf(rows)) yield chunk.map((row) => `${JSON.stringify(row)}\n`).join('')
}

function csvOf(rows: readonly (readonly (string | number | null)[])[]): string {
  return stringify(rows as (string | number | null)[][], { record_delimiter: '\r\n' })
}

async function* chunksOf(rows: AsyncIterable<RatedUsageRow>): AsyncGenerator<readonly RatedUsageRow[]> {
  let chunk: RatedUsageRow[] = []
  for await (const row of rows) {
    chunk.push(row)
    if (chunk.length < chunkRowsMax) continue
    yield chunk
    chunk = []
  }
  if (chunk.length > 0) yield chunk
}
