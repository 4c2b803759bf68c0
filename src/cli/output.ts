import type { Writable } from 'node:stream'

/** Where a command writes. Results go to stdout; with `--json` they are JSON and everything else goes to stderr. */
export interface Output {
  readonly json: boolean
  /** The result of the command: `value` as JSON, or `text()` for people. Called once, at the end. */
  result(value: unknown, text: () => string): void
  /** One value of a stream of results: a JSON line, or a line of text. */
  line(value: unknown, text: () => string): void
  /** What happens on the way. */
  note(text: string): void
  /** Goes to stderr in every case. */
  warn(text: string): void
}

export function createOutput(stdout: Writable, stderr: Writable, json: boolean): Output {
  return {
    json,
    result: (value, text) => void stdout.write(json ? `${JSON.stringify(value, null, 2)}\n` : `${text()}\n`),
    line: (value, text) => void stdout.write(json ? `${JSON.stringify(value)}\n` : `${text()}\n`),
    note: (text) => void (json ? stderr : stdout).write(`${text}\n`),
    warn: (text) => void stderr.write(`${text}\n`),
  }
}

export interface Column {
  readonly header: string
  readonly align?: 'left' | 'right'
}

const CONTROL = /\p{Cc}/gu

/** Text from elsewhere, made safe for a terminal: control characters (and so escape sequences) become spaces. */
export function printable(text: string): string {
  return text.replace(CONTROL, ' ')
}

/** A plain table: a header, a rule, rows; cells are padded, never cut. */
export function renderTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => columns.map((_, i) => printable(row[i] ?? '')))
  const widths = columns.map((column, i) =>
    Math.max(column.header.length, ...cells.map((row) => Array.from(row[i] ?? '').length)),
  )
  const renderRow = (row: readonly string[]): string =>
    row
      .map((cell, i) => {
        const padding = ' '.repeat(Math.max(0, (widths[i] ?? 0) - Array.from(cell).length))
        return columns[i]?.align === 'right' ? padding + cell : cell + padding
      })
      .join('  ')
      .trimEnd()
  return [
    renderRow(columns.map((column) => column.header)),
    widths.map((width) => '-'.repeat(width)).join('  '),
    ...cells.map(renderRow),
  ].join('\n')
}

/** `8819` → `8,819`; decimals keep their fraction. */
export function grouped(value: string | number | bigint): string {
  const [whole = '', fraction] = String(value).split('.')
  const separated = whole.replace(/\B(?=(\d{3})+$)/g, ',')
  return fraction === undefined ? separated : `${separated}.${fraction}`
}
