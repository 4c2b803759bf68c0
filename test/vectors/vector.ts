import { decimal, parseDecimal, toText } from '../../src/money/decimal.ts'

/**
 * A part of a vector, read without trust: a missing member is undefined, a wrong kind throws with its path. What is read is
 * remembered, so that a member that no mapping looked at is found: ignoring it would prove something else than it says.
 */
export class Field {
  readonly path: string
  readonly #raw: unknown
  readonly #read: Set<string>

  constructor(raw: unknown, path: string, read: Set<string> = new Set<string>()) {
    this.#raw = raw
    this.path = path
    this.#read = read
  }

  /** The value as it stands, all of it read. */
  get raw(): unknown {
    this.#read.add(this.path)
    return this.#raw
  }

  /** The value for a report: it does not count as read. */
  peek(): unknown {
    return this.#raw
  }

  at(...keys: readonly (string | number)[]): Field {
    let raw = this.#raw
    for (const key of keys) {
      raw =
        typeof raw === 'object' && raw !== null ? (raw as Record<string | number, unknown>)[key] : undefined
    }
    return new Field(raw, [this.path, ...keys].join('.'), this.#read)
  }

  get exists(): boolean {
    return this.#raw !== undefined && this.#raw !== null
  }

  /** Text, or a JSON number as its text. */
  text(): string {
    const { raw } = this
    if (typeof raw === 'string') return raw
    if (typeof raw === 'number') return String(raw)
    throw new Error(`${this.path} is not text`)
  }

  textOr<T>(otherwise: T): string | T {
    return this.exists ? this.text() : otherwise
  }

  number(): number {
    const value = Number(this.text())
    if (!Number.isFinite(value)) throw new Error(`${this.path} is not a number`)
    return value
  }

  flag(): boolean {
    return this.raw === true
  }

  list(): Field[] {
    if (!Array.isArray(this.#raw)) throw new Error(`${this.path} is not a list`)
    return this.#raw.map((_, i) => this.at(i))
  }

  listOrNone(): Field[] {
    return this.exists ? this.list() : []
  }

  entries(): [string, Field][] {
    const raw = this.#raw
    if (typeof raw !== 'object' || raw === null) throw new Error(`${this.path} is not an object`)
    return Object.keys(raw).map((key) => [key, this.at(key)])
  }

  get isList(): boolean {
    return Array.isArray(this.#raw)
  }

  get isText(): boolean {
    return typeof this.#raw === 'string'
  }

  /** Where the member says in words what the mapping does, it must say this; any other words are another rule. */
  says(key: string, ...known: readonly string[]): void {
    const field = this.at(key)
    if (field.exists && !known.includes(canonicalText(field.raw).replace(/^"|"$/g, ''))) {
      throw new Error(`${field.path} says ${canonicalText(field.raw)}; known here: ${known.join(' | ')}`)
    }
  }

  /** Members that describe in words, or repeat, what the rest of the vector says. */
  describes(...keys: readonly string[]): void {
    for (const key of keys) this.#read.add(this.at(key).path)
  }

  /** Members below this one that nobody has read. */
  unread(): string[] {
    if (this.#read.has(this.path) || !this.exists) return []
    const raw = this.#raw
    if (typeof raw !== 'object' || raw === null) return [this.path]
    return Object.keys(raw).flatMap((key) => this.at(key).unread())
  }
}

/** What a mapping answers: two values to compare, or the policy by which ours differs, with what ours is. */
export type Mapped =
  | { readonly kind: 'compare'; readonly expected: unknown; readonly actual: unknown }
  | { readonly kind: 'excluded'; readonly policy: string; readonly ours: unknown }

/** Another vector of the same file, for those that take something over from it. */
export type Siblings = (id: string) => Field | undefined

export type Mapping = (vector: Field, siblings: Siblings) => Mapped | Promise<Mapped>

export function compareWith(expected: unknown, actual: unknown): Mapped {
  return { kind: 'compare', expected, actual }
}

export function excludedBy(policy: string, ours: unknown): Mapped {
  return { kind: 'excluded', policy, ours }
}

/**
 * Ours, where a policy makes a part of the vector another value: the rest must be equal all the same.
 * @param ours the values that the policy changes, as we compute them
 */
export function excludedIfElseEqual(
  policy: string,
  expected: unknown,
  actual: unknown,
  ours: unknown,
): Mapped {
  return canonicalText(expected) === canonicalText(actual)
    ? excludedBy(policy, ours)
    : compareWith(expected, actual)
}

/** One text for equal values: decimals in canonical notation, members in order. */
export function canonicalText(value: unknown): string {
  return JSON.stringify(canonical(value))
}

function canonical(value: unknown): unknown {
  if (typeof value === 'bigint' || typeof value === 'number') return canonical(String(value))
  if (typeof value === 'string') {
    const unsigned = value.startsWith('+') ? value.slice(1) : value
    return parseDecimal(unsigned).kind === 'decimal' ? toText(decimal(unsigned)) : value
  }
  if (Array.isArray(value)) return value.map(canonical)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => [key, canonical(member)]),
  )
}
