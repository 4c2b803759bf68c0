import { parseDecimal, toText } from '../money/decimal.ts'
import { type JsonObject, member } from './json-reader.ts'

/** One member that two versions of a plan do not share. */
export interface PlanChange {
  readonly kind: 'added' | 'removed' | 'changed'
  /** JSON pointer; prices stand in it by their keys, because their places in the list mean nothing. */
  readonly pointer: string
  /** Absent of what was added. */
  readonly before?: unknown
  /** Absent of what was removed. */
  readonly after?: unknown
}

/** What is different in `after`, member by member. Decimals are compared by value: "20.00" is "20". */
export function planDiff(before: JsonObject, after: JsonObject): PlanChange[] {
  return [...differences('', before, after)]
}

function* differences(pointer: string, before: unknown, after: unknown): Generator<PlanChange> {
  const [a, b] = [membersOf(before), membersOf(after)]
  if (before === undefined || after === undefined) {
    if (after !== undefined) yield { kind: 'added', pointer, after }
    if (before !== undefined) yield { kind: 'removed', pointer, before }
    return
  }
  if (a === null || b === null) {
    if (textOf(before) !== textOf(after)) yield { kind: 'changed', pointer, before, after }
    return
  }
  for (const name of new Set([...a.keys(), ...b.keys()])) {
    yield* differences(member(pointer, name), a.get(name), b.get(name))
  }
}

/** Members of an object, and items of a list by their keys where all have one, else by their places; null of others. */
function membersOf(value: unknown): ReadonlyMap<string, unknown> | null {
  if (typeof value !== 'object' || value === null) return null
  if (!Array.isArray(value)) return new Map(Object.entries(value))
  const keys = value.map((item: unknown) =>
    typeof item === 'object' && item !== null && 'key' in item && typeof item.key === 'string'
      ? item.key
      : null,
  )
  const named = keys.every((key) => key !== null) && new Set(keys).size === keys.length
  return new Map(value.map((item: unknown, i) => [named ? (keys[i] ?? '') : String(i), item]))
}

function textOf(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const parsed = parseDecimal(text)
  return parsed.kind === 'decimal' ? toText(parsed.value) : text
}
