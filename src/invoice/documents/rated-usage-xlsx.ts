import writeExcelFile from 'write-excel-file/node'
import type { RatedUsageRow } from '../rated-usage.ts'
import { RATED_USAGE_COLUMNS } from './rated-usage-text.ts'

/** A sheet is held in memory while it is written; a longer export goes out as CSV or NDJSON. */
export const xlsxRowsMax = 100_000

/** Digits that a spreadsheet's number keeps. */
const numberDigitsMax = 15

/** The rows as one sheet; null when there are more than a sheet may have. */
export async function ratedUsageXlsx(rows: AsyncIterable<RatedUsageRow>): Promise<Uint8Array | null> {
  const header = RATED_USAGE_COLUMNS.map(([name]) => ({ value: name, fontWeight: 'bold' as const }))
  const data: Cell[][] = [header]
  for await (const row of rows) {
    if (data.length > xlsxRowsMax) return null
    data.push(RATED_USAGE_COLUMNS.map(([name, kind]) => cellOf(row[name], kind === 'number')))
  }
  return writeExcelFile(data).toBuffer()
}

type Cell =
  | { readonly value: string; readonly fontWeight?: 'bold' }
  | { readonly value: number; readonly type: NumberConstructor }
  | null

/** A text cell never runs as a formula. A number that a double would round stays text. */
function cellOf(value: string | number | null, isNumber: boolean): Cell {
  if (value === null) return null
  if (typeof value === 'number') return { value, type: Number }
  const isExact = isNumber && value.replace(/\D/g, '').length <= numberDigitsMax
  return isExact ? { value: Number(value), type: Number } : { value }
}
