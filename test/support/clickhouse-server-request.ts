/** A statement as it came over HTTP, ready for the engine. */
export interface StatementRequest {
  readonly sql: string
  /** Bytes that an INSERT brings along. */
  readonly rows: Buffer | null
  readonly params: Readonly<Record<string, unknown>>
  readonly settings: readonly (readonly [name: string, value: string])[]
  readonly database: string | null
  readonly format: string
  readonly queryId: string
}

/** Parameters of the protocol itself; every other one is a setting, as on a server. */
const PROTOCOL = new Set([
  'query',
  'query_id',
  'database',
  'default_format',
  'session_id',
  'role',
  'user',
  'password',
  // Settings of the HTTP interface, which the engine in a process does not have.
  'enable_http_compression',
  'http_zlib_compression_level',
  'send_progress_in_http_headers',
  'http_headers_progress_interval_ms',
  'wait_end_of_query',
  'cancel_http_readonly_queries_on_client_close',
])

/** A server joins the query of the URL and the body; where the URL has an INSERT, the body is its rows. */
export function parseStatementRequest(url: URL, body: Buffer): StatementRequest {
  const inUrl = url.searchParams.get('query') ?? ''
  const bringsRows = /^\s*INSERT\b/i.test(inUrl) && body.length > 0
  const sql = bringsRows ? inUrl : [inUrl, body.toString('utf8')].filter((part) => part !== '').join('\n')
  const given = [...url.searchParams].filter(([name]) => name.startsWith('param_'))
  return {
    sql,
    rows: bringsRows ? body : null,
    params: Object.fromEntries(
      given.map(([name, text]) => {
        const key = name.slice('param_'.length)
        return [key, parameterValue(declaredType(sql, key), text)]
      }),
    ),
    settings: [...url.searchParams].filter(([name]) => !PROTOCOL.has(name) && !name.startsWith('param_')),
    database: url.searchParams.get('database'),
    format: url.searchParams.get('default_format') ?? 'TabSeparated',
    queryId: url.searchParams.get('query_id') ?? '',
  }
}

/** Statements that a server runs for a GET request, which must not change anything. */
export function isReadOnly(sql: string): boolean {
  return /^[\s(]*(?:SELECT|WITH|SHOW|DESC|DESCRIBE|EXPLAIN|EXISTS)\b/i.test(sql)
}

/** `INSERT INTO t (…) … FORMAT F` reads its rows from a file, which the embedded engine can. */
export function readingRowsFrom(sql: string, path: string): string {
  const rewritten = sql.replace(
    /^(\s*INSERT\s+INTO\s+[\w.`"]+\s*(?:\([^)]*\))?)/i,
    `$1 FROM INFILE '${path}' `,
  )
  if (rewritten === sql) throw new Error(`this statement cannot bring rows: ${sql}`)
  return rewritten
}

function declaredType(sql: string, name: string): string {
  return new RegExp(`\\{\\s*${name}\\s*:\\s*([^}]*)\\}`).exec(sql)?.[1] ?? 'String'
}

/**
 * Texts come escaped as in TabSeparated, arrays and maps as literals. The engine's binding escapes by itself, so
 * it wants the values.
 */
function parameterValue(type: string, text: string): unknown {
  if (/^(?:Array|Map|Tuple)\(/.test(type)) return new Literal(text).whole()
  return text === '\\N' ? null : unescape(text)
}

const ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', b: '\b', f: '\f', 0: '\0' }

function unescape(text: string): string {
  return text.replace(/\\(.)/gs, (_, letter: string) => ESCAPES[letter] ?? letter)
}

/** Reads `['a','b']`, `[1,2]`, `{'k':'v'}`. */
class Literal {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  whole(): unknown {
    const value = this.#value()
    if (this.#at !== this.#text.length) this.#fail()
    return value
  }

  #value(): unknown {
    switch (this.#text[this.#at]) {
      case '[':
        return this.#sequence('[', ']', () => this.#value())
      case '{':
        return new Map(
          this.#sequence('{', '}', () => {
            const key = this.#value()
            this.#take(':')
            return [key, this.#value()] as const
          }),
        )
      case "'":
        return this.#quoted()
      default:
        return this.#number()
    }
  }

  #sequence<T>(open: string, close: string, item: () => T): T[] {
    const items: T[] = []
    this.#take(open)
    while (this.#text[this.#at] !== close) {
      if (items.length > 0) this.#take(',')
      items.push(item())
    }
    this.#take(close)
    return items
  }

  #quoted(): string {
    const match = /'((?:[^'\\]|\\.)*)'/sy
    match.lastIndex = this.#at
    const found = match.exec(this.#text)
    if (found === null) return this.#fail()
    this.#at = match.lastIndex
    return unescape(found[1] ?? '')
  }

  #number(): bigint | number {
    const match = /-?\d+(\.\d+)?/y
    match.lastIndex = this.#at
    const found = match.exec(this.#text)
    if (found === null) return this.#fail()
    this.#at = match.lastIndex
    return found[1] === undefined ? BigInt(found[0]) : Number(found[0])
  }

  #take(expected: string): void {
    if (this.#text[this.#at] !== expected) this.#fail()
    this.#at++
  }

  #fail(): never {
    throw new Error(`the parameter ${this.#text} is no literal at ${this.#at}`)
  }
}
