/** Number of the row in the file; usable in every template. */
const ROW_NUMBER = '$row'

/** Text with columns in braces: `{user}`, `{region}-{host}`, `{$row}`; `{{` and `}}` are braces. */
export interface Template {
  /** Columns that it reads, without `$row`. */
  readonly columns: readonly string[]
  /** The first column that the row lacks, else the text. */
  readonly fill: (row: Row) => Filled
}

export interface Row {
  /** 1 for the first row. */
  readonly number: number
  /** Undefined where the row has no such column. */
  readonly read: (column: string) => string | undefined
}

export type Filled =
  { readonly kind: 'text'; readonly text: string } | { readonly kind: 'missing'; readonly column: string }

type Part = { readonly text: string } | { readonly column: string }

export function compileTemplate(text: string): {
  readonly template: Template
  readonly fault: string | null
} {
  const parts: Part[] = []
  let fault: string | null = null
  let rest = text
  while (rest !== '') {
    const m = /^(?:[^{}]+|\{\{|\}\}|\{([^{}]+)\})/.exec(rest)
    if (m === null) {
      fault = `a brace stands alone in "${text}"; write {column}, or {{ for a brace`
      break
    }
    const column = m[1]?.trim()
    if (column !== undefined) parts.push({ column })
    else parts.push({ text: m[0] === '{{' ? '{' : m[0] === '}}' ? '}' : m[0] })
    rest = rest.slice(m[0].length)
  }
  const columns = parts.flatMap((part) =>
    'column' in part && part.column !== ROW_NUMBER ? [part.column] : [],
  )
  return { template: { columns, fill: (row) => fill(parts, row) }, fault }
}

function fill(parts: readonly Part[], row: Row): Filled {
  let text = ''
  for (const part of parts) {
    if ('text' in part) {
      text += part.text
      continue
    }
    const value = part.column === ROW_NUMBER ? String(row.number) : row.read(part.column)
    if (value === undefined) return { kind: 'missing', column: part.column }
    text += value
  }
  return { kind: 'text', text }
}
