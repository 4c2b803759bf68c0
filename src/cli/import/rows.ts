import { createReadStream } from 'node:fs'
import { parse } from 'csv-parse'
import { CliFailure, fileFailure } from '../failure.ts'
import { printable } from '../output.ts'
import type { Row } from './template.ts'

export interface FileRow extends Row {
  readonly kind: 'row'
  /** Line of the file on which the row ends. */
  readonly line: number
  /** Bytes of the file read so far. */
  readonly bytes: number
}

/** A row that cannot be read. It has a number, so that the numbers of the rows behind it do not depend on it. */
export interface BrokenRow {
  readonly kind: 'broken'
  readonly number: number
  readonly line: number
  readonly bytes: number
  readonly reason: string
}

/** Longest row: what is longer is a quote that was not closed, and would fill the memory. */
const ROW_BYTES_MAX = 1_048_576

interface Place {
  readonly number: number
  readonly line: number
  readonly bytes: number
}

/** Streams the rows of a CSV file with a header. @throws CliFailure when the file cannot be read as CSV at all */
export async function* readCsv(path: string, delimiter: string): AsyncGenerator<FileRow | BrokenRow> {
  const file = createReadStream(path)
  // A row that cannot be read takes a number too: mending it later must not give other rows other ids.
  let numbered = -1 // the header is number 0
  let broken: BrokenRow[] = []
  // The parser runs ahead of us by what its buffer holds: the places of the records in it, oldest first.
  const places: Place[] = []
  const parser = parse({
    bom: true,
    delimiter,
    skip_empty_lines: true,
    relax_column_count: true,
    record_delimiter: ['\r\n', '\n', '\r'],
    max_record_size: ROW_BYTES_MAX,
    skip_records_with_error: true,
    on_record: (cells, { lines, bytes }) => {
      places.push({ number: ++numbered, line: lines, bytes })
      return cells
    },
    on_skip: (error) => {
      if (error === undefined) return undefined
      const line = Number(error['lines'])
      if (error.code === 'CSV_MAX_RECORD_SIZE' || error.code === 'CSV_QUOTE_NOT_CLOSED') {
        parser.destroy(openQuote(path, broken.at(-1)?.line ?? 0, line))
        return undefined
      }
      const reason = printable(error.message).slice(0, 200)
      broken.push({ kind: 'broken', number: ++numbered, line, bytes: Number(error['bytes']), reason })
      return undefined
    },
  })
  file.on('error', (error) => parser.destroy(error))
  file.pipe(parser)
  let columns: ReadonlyMap<string, number> | null = null
  try {
    for await (const cells of parser as AsyncIterable<readonly string[]>) {
      const place = places.shift()
      if (place === undefined) throw new Error('a record without a place')
      if (columns === null) {
        columns = new Map(cells.map((name, i) => [name.trim(), i]))
        continue
      }
      if (broken.length > 0) {
        const before = broken.filter((row) => row.number < place.number)
        broken = broken.filter((row) => row.number > place.number)
        yield* before
      }
      yield rowOf(cells, place, columns)
    }
    yield* broken
  } catch (error) {
    throw fileFailure(path, error)
  } finally {
    file.destroy()
    parser.destroy()
  }
}

function rowOf(
  cells: readonly string[],
  { number, line, bytes }: Place,
  columns: ReadonlyMap<string, number>,
): FileRow | BrokenRow {
  if (cells.length !== columns.size) {
    const reason = `the row has ${cells.length} columns, the header ${columns.size}`
    return { kind: 'broken', number, line, bytes, reason }
  }
  return {
    kind: 'row',
    number,
    line,
    bytes,
    read: (column) => {
      const at = columns.get(column)
      return at === undefined ? undefined : cells[at]?.trim()
    },
  }
}

function openQuote(path: string, after: number, line: number): CliFailure {
  return new CliFailure(
    `${path}: a quote is opened between line ${after + 1} and line ${line} and not closed.`,
    {
      details: ['Mend the file and import it again; what was sent before is not counted twice.'],
    },
  )
}

/** Streams the rows of an NDJSON file; nested members are read by dotted path. @throws CliFailure */
export async function* readNdjson(path: string): AsyncGenerator<FileRow | BrokenRow> {
  let line = 0
  let number = 0
  for await (const { text, bytes, tooLong } of readLines(path)) {
    line++
    if (text.trim() === '' && !tooLong) continue
    number++
    if (tooLong) {
      yield { kind: 'broken', number, line, bytes, reason: `the line is longer than ${ROW_BYTES_MAX} bytes` }
      continue
    }
    const value = parseObject(text)
    if (value === null) yield { kind: 'broken', number, line, bytes, reason: 'the line is not a JSON object' }
    else yield { kind: 'row', number, line, bytes, read: (column) => readPath(value, column) }
  }
}

interface Line {
  readonly text: string
  readonly bytes: number
  readonly tooLong: boolean
}

/** Lines of a file in bounded memory: the rest of a line that is too long is thrown away. */
async function* readLines(path: string): AsyncGenerator<Line> {
  const file = createReadStream(path, { highWaterMark: 262_144 })
  let pending = Buffer.alloc(0)
  let tooLong = false
  let bytes = 0
  const take = (tail: Buffer): Line => {
    const whole = Buffer.concat([pending, tail])
    const long = tooLong || whole.length > ROW_BYTES_MAX
    pending = Buffer.alloc(0)
    tooLong = false
    return { text: long ? '' : whole.toString('utf8').replace(/^\uFEFF/, ''), bytes, tooLong: long }
  }
  try {
    for await (const chunk of file as AsyncIterable<Buffer>) {
      let from = 0
      for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, from)) {
        bytes += at + 1 - from
        yield take(chunk.subarray(from, at))
        from = at + 1
      }
      bytes += chunk.length - from
      if (tooLong || pending.length + chunk.length - from > ROW_BYTES_MAX) {
        tooLong = true
        pending = Buffer.alloc(0)
      } else pending = Buffer.concat([pending, chunk.subarray(from)])
    }
    if (pending.length > 0 || tooLong) yield take(Buffer.alloc(0))
  } catch (error) {
    throw fileFailure(path, error)
  } finally {
    file.destroy()
  }
}

type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown

/** Numbers become their source text: an amount must not pass through a binary fraction. */
const keepDigits: Reviver = (_, value, context) =>
  typeof value === 'number' ? (context.source ?? '') : value

function parseObject(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text, keepDigits as (key: string, value: unknown) => unknown)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : null
  } catch {
    return null // told to the user as a broken row
  }
}

function readPath(value: Readonly<Record<string, unknown>>, path: string): string | undefined {
  let found: unknown = Object.hasOwn(value, path) ? value[path] : undefined
  if (found === undefined) {
    found = value
    for (const part of path.split('.')) {
      if (typeof found !== 'object' || found === null || !Object.hasOwn(found, part)) return undefined
      found = (found as Readonly<Record<string, unknown>>)[part]
    }
  }
  if (found === null || found === undefined) return undefined
  return typeof found === 'string'
    ? found
    : typeof found === 'boolean'
      ? String(found)
      : JSON.stringify(found)
}
