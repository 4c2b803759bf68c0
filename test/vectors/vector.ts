import { decimal, parseDecimal, toText } from '../../src/money/decimal.ts'

/** A part of a vector, read without trust: a missing member is undefined, a wrong kind throws with its path. */
export class Field {
  readonly raw: unknown
  readonly path: string

  constructor(raw: unknown, path: string) {
    this.raw = raw
    this.path = path
  }

  at(...keys: readonly (string | number)[]): Field {
    let raw = this.raw
    for (const key of keys) {
      raw =
        typeof raw === 'object' && raw !== null ? (raw as Record<string | number, unknown>)[key] : undefined
    }
    return new Field(raw, [this.path, ...keys].join('.'))
  }

  get exists(): boolean {
    return this.raw !== undefined && this.raw !== null
  }

  /** Text, or a JSON number as its text. */
  text(): string {
    if (typeof this.raw === 'string') return this.raw
    if (typeof this.raw === 'number') return String(this.raw)
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
    if (!Array.isArray(this.raw)) throw new Error(`${this.path} is not a list`)
    return this.raw.map((_, i) => this.at(i))
  }

  listOrNone(): Field[] {
    return this.exists ? this.list() : []
  }

  entries(): [string, Field][] {
    if (typeof this.raw !== 'object' || this.raw === null) throw new Error(`${this.path} is not an object`)
    return Object.keys(this.raw).map((key) => [key, this.at(key)])
  }
}

/** What a mapping answers: two values to compare, or the policy by which ours differs, with what ours is. */
export type Mapped =
  | { readonly kind: 'compare'; readonly expected: unknown; readonly actual: unknown }
  | { readonly kind: 'excluded'; readonly policy: string; readonly ours: unknown }

export type Mapping = (vector: Field) => Mapped

export function compareWith(expected: unknown, actual: unknown): Mapped {
  return { kind: 'compare', expected, actual }
}

export function excludedBy(policy: string, ours: unknown): Mapped {
  return { kind: 'excluded', policy, ours }
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
