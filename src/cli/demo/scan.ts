import { statSync } from 'node:fs'
import { basename } from 'node:path'
import { progressOf } from '../context.ts'
import type { CliDeps } from '../deps.ts'
import { CliFailure, fileFailure, Interrupted } from '../failure.ts'
import type { Output } from '../output.ts'
import { readTrace, TRACE_COLUMNS } from './trace.ts'

interface MonthTotals {
  rows: number
  outputTokens: bigint
  /** Milliseconds of the latest row. */
  lastMs: number
}

export interface TraceScan {
  readonly rows: number
  /** `2023-11` */
  readonly first: string
  readonly last: string
  readonly byMonth: ReadonlyMap<string, MonthTotals>
}

/** Reads the trace through once before anything is started: its faults, its months, and what must come out. */
export async function scanTrace(deps: CliDeps, output: Output, path: string): Promise<TraceScan> {
  const bytes = sizeOf(path)
  const progress = progressOf(deps, output, `reading ${basename(path)}`, bytes, 'rows')
  const byMonth = new Map<string, MonthTotals>()
  let rows = 0
  try {
    for await (const row of readTrace(path)) {
      if (deps.interrupted.aborted) throw new Interrupted()
      rows++
      const month = byMonth.get(row.month) ?? { rows: 0, outputTokens: 0n, lastMs: 0 }
      month.rows++
      month.outputTokens += BigInt(row.generatedTokens)
      month.lastMs = Math.max(month.lastMs, Date.parse(row.time))
      byMonth.set(row.month, month)
      progress.advance(row.bytes, rows)
    }
  } finally {
    progress.stop()
  }
  const months = [...byMonth.keys()].sort()
  const [first] = months
  const last = months.at(-1)
  if (first === undefined || last === undefined) {
    throw new CliFailure(`${path} has no rows.`, {
      details: [`Expected: ${TRACE_COLUMNS.join(',')} and rows below.`],
    })
  }
  return { rows, first, last, byMonth }
}

function sizeOf(path: string): number {
  try {
    const stat = statSync(path)
    if (!stat.isFile()) throw new CliFailure(`${path} is not a file.`)
    return stat.size
  } catch (error) {
    throw fileFailure(path, error)
  }
}
