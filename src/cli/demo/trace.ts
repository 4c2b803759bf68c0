import { createReadStream } from 'node:fs'
import { type CsvError, parse } from 'csv-parse'
import { parseInstant } from '../../time/instant.ts'
import { CliFailure, fileFailure } from '../failure.ts'
import { printable } from '../output.ts'

/** The columns of a trace, as the Azure LLM inference datasets have them. Others may stand beside them. */
export const TRACE_COLUMNS = ['TIMESTAMP', 'ContextTokens', 'GeneratedTokens'] as const

export interface TraceRow {
  /** 1 for the first row below the header; blank lines are not counted. */
  readonly row: number
  /** RFC 3339, with every digit that the trace has. */
  readonly time: string
  /** `2023-11`, in UTC. */
  readonly month: string
  readonly contextTokens: string
  readonly generatedTokens: string
  /** Bytes of the file read so far. */
  readonly bytes: number
}

const RECORD_BYTES_MAX = 65_536
const TOKENS = /^\d{1,18}$/

interface Parsed {
  readonly record: Readonly<Record<string, string>>
  readonly info: { readonly lines: number; readonly records: number; readonly bytes: number }
}

/**
 * Streams the rows of a trace: CRLF or LF, quotes, blank lines and a byte order mark are fine; a timestamp without
 * a zone is UTC. Stops at the first row that is not well-formed. @throws CliFailure with the line's number
 */
export async function* readTrace(path: string): AsyncGenerator<TraceRow> {
  const file = createReadStream(path)
  const parser = parse({
    bom: true,
    trim: true,
    skip_empty_lines: true,
    info: true,
    record_delimiter: ['\r\n', '\n', '\r'],
    max_record_size: RECORD_BYTES_MAX,
    columns: (header: string[]) => checkHeader(path, header),
  })
  file.on('error', (error) => parser.destroy(error))
  file.pipe(parser)
  try {
    for await (const parsed of parser as AsyncIterable<Parsed>) yield readRow(path, parsed)
  } catch (error) {
    throw isCsvError(error) ? csvFailure(path, error) : fileFailure(path, error)
  } finally {
    file.destroy()
    parser.destroy()
  }
}

function checkHeader(path: string, header: readonly string[]): string[] {
  const missing = TRACE_COLUMNS.filter((column) => !header.includes(column))
  if (missing.length > 0) {
    throw new CliFailure(`${path} is not a trace: line 1 lacks the column ${missing.join(' and ')}.`, {
      details: [
        `Expected: ${TRACE_COLUMNS.join(',')}`,
        `Found:    ${printable(header.join(',')).slice(0, 200)}`,
      ],
    })
  }
  return [...header]
}

function readRow(path: string, { record, info }: Parsed): TraceRow {
  const fault = (column: string, expected: string): CliFailure =>
    new CliFailure(
      `${path}, line ${info.lines}: ${column} must be ${expected}; it is "${printable(record[column] ?? '').slice(0, 60)}".`,
    )
  const { TIMESTAMP = '', ContextTokens = '', GeneratedTokens = '' } = record
  const zoned = /(?:[Zz]|[+-]\d{2}:\d{2})$/.test(TIMESTAMP) ? TIMESTAMP : `${TIMESTAMP}Z`
  const instant = parseInstant(zoned)
  if (instant === null) throw fault('TIMESTAMP', 'a date and time such as 2023-11-16 18:17:03.9799600')
  if (!TOKENS.test(ContextTokens)) throw fault('ContextTokens', 'a whole number of tokens')
  if (!TOKENS.test(GeneratedTokens)) throw fault('GeneratedTokens', 'a whole number of tokens')
  return {
    row: info.records,
    time: `${zoned.slice(0, 10)}T${zoned.slice(11)}`,
    month: new Date(instant).toISOString().slice(0, 7),
    contextTokens: ContextTokens,
    generatedTokens: GeneratedTokens,
    bytes: info.bytes,
  }
}

function isCsvError(error: unknown): error is CsvError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && 'lines' in error
}

function csvFailure(path: string, error: CsvError): CliFailure {
  const line = String(error['lines'])
  switch (error.code) {
    case 'CSV_RECORD_INCONSISTENT_COLUMNS':
    case 'CSV_RECORD_INCONSISTENT_FIELDS_LENGTH':
      return new CliFailure(`${path}, line ${line}: this row has another number of columns than the header.`)
    case 'CSV_QUOTE_NOT_CLOSED':
    case 'CSV_MAX_RECORD_SIZE':
      return new CliFailure(`${path}, line ${line}: a quote is opened and not closed.`)
    default:
      return new CliFailure(`${path}, line ${line}: this row is not well-formed CSV.`, {
        details: [printable(error.message).slice(0, 200)],
      })
  }
}
