import { nearestName } from '../id/nearest-name.ts'
import { type Decimal, isNegative, isZero, parseDecimal, ZERO } from '../money/decimal.ts'
import type { PriceFault, PriceFaultCode } from './price-fault.ts'

/** An object of untrusted JSON. */
export type JsonObject = Readonly<Record<string, unknown>>

/**
 * Reads untrusted JSON and keeps a list of everything that is wrong with it. A reading that fails answers a stand-in, so
 * that one pass finds every fault; whoever reads looks at `faults` before using what was read.
 */
export class JsonReader {
  readonly faults: PriceFault[] = []

  fault(code: PriceFaultCode, pointer: string, detail: string): void {
    this.faults.push({ code, pointer, detail })
  }

  /** An object that has no members but the known ones: a misspelt member would change an amount in silence. */
  object(raw: unknown, pointer: string, known: readonly string[]): JsonObject | null {
    if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
      this.fault('invalidRequest', pointer, `must be an object, is ${kindOf(raw)}`)
      return null
    }
    for (const key of Object.keys(raw)) {
      if (!known.includes(key)) {
        this.fault('invalidRequest', member(pointer, key), unknownMember(key, known))
      }
    }
    return raw as JsonObject
  }

  /** @returns an empty list when it is not a list */
  list(object: JsonObject, key: string, pointer: string): readonly unknown[] {
    const raw = object[key]
    if (Array.isArray(raw)) return raw
    this.fault(
      'invalidRequest',
      member(pointer, key),
      raw === undefined ? 'is missing' : `must be a list, is ${kindOf(raw)}`,
    )
    return []
  }

  text(object: JsonObject, key: string, pointer: string): string {
    const raw = object[key]
    if (typeof raw === 'string') return raw
    this.fault(
      'invalidRequest',
      member(pointer, key),
      raw === undefined ? 'is missing' : `must be text, is ${kindOf(raw)}`,
    )
    return ''
  }

  flag(object: JsonObject, key: string, pointer: string): boolean {
    const raw = object[key]
    if (raw === undefined) return false
    if (typeof raw === 'boolean') return raw
    this.fault('invalidRequest', member(pointer, key), `must be true or false, is ${kindOf(raw)}`)
    return false
  }

  /** A whole number of JSON, 0 when absent: a count of events or digits, never an amount. */
  count(object: JsonObject, key: string, pointer: string): number {
    const raw = object[key]
    if (raw === undefined) return 0
    if (typeof raw === 'number' && Number.isSafeInteger(raw) && raw >= 0) return raw
    this.fault('invalidRequest', member(pointer, key), 'must be a whole number of 0 or more')
    return 0
  }

  /** A decimal of 0 or more; its absence is a fault. */
  decimal(object: JsonObject, key: string, pointer: string): Decimal {
    const raw = object[key]
    if (raw === undefined) {
      this.fault('invalidRequest', member(pointer, key), 'is missing')
      return ZERO
    }
    return this.decimalOf(raw, member(pointer, key))
  }

  /** A decimal of 0 or more, or null when absent. */
  optionalDecimal(object: JsonObject, key: string, pointer: string): Decimal | null {
    const raw = object[key]
    return raw === undefined || raw === null ? null : this.decimalOf(raw, member(pointer, key))
  }

  /** A decimal above 0; its absence is a fault. */
  positiveDecimal(object: JsonObject, key: string, pointer: string): Decimal {
    const faultsBefore = this.faults.length
    const value = this.decimal(object, key, pointer)
    if (isZero(value) && this.faults.length === faultsBefore) {
      this.fault('invalidRequest', member(pointer, key), 'must be above 0')
    }
    return value
  }

  /**
   * A decimal of 0 or more: text, or a whole number of JSON that has kept all its digits. Any other number may have lost
   * some on the way, so that it is refused.
   */
  decimalOf(raw: unknown, pointer: string): Decimal {
    const text = typeof raw === 'number' && Number.isSafeInteger(raw) ? String(raw) : raw
    if (typeof text !== 'string') {
      const why = typeof raw === 'number' ? ': a number that is not whole and safe may have lost digits' : ''
      this.fault(
        'malformedDecimal',
        pointer,
        `must be a decimal in quotes like "12.50", is ${kindOf(raw)}${why}`,
      )
      return ZERO
    }
    const parsed = parseDecimal(text)
    switch (parsed.kind) {
      case 'malformed':
        this.fault('malformedDecimal', pointer, `${quote(text)} is not a decimal like "12.50"`)
        return ZERO
      case 'tooManyDigits':
        this.fault('tooManyDigits', pointer, `has more than ${String(parsed.digitsMax)} digits`)
        return ZERO
      case 'decimal':
        if (!isNegative(parsed.value)) return parsed.value
        this.fault('negativeDecimal', pointer, `${quote(text)} must not be negative`)
        return ZERO
    }
  }
}

/** The pointer of a member, escaped by RFC 6901. */
export function member(pointer: string, key: string | number): string {
  const token = typeof key === 'number' ? String(key) : key.replaceAll('~', '~0').replaceAll('/', '~1')
  return `${pointer}/${token}`
}

function unknownMember(key: string, known: readonly string[]): string {
  if (known.length === 0) return 'is not known here; nothing is'
  return `is not known here; did you mean "${nearestName(key, known)}"? Known are ${known.join(', ')}`
}

function kindOf(raw: unknown): string {
  if (raw === null) return 'null'
  if (Array.isArray(raw)) return 'a list'
  switch (typeof raw) {
    case 'string':
      return 'text'
    case 'number':
      return 'a number'
    case 'boolean':
      return 'true or false'
    default:
      return 'an object'
  }
}

function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
}
