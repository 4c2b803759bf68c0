/** A part of a list, in the list's own order. */
export interface PageRequest {
  readonly limit: number
  /** The last item of the page before; null begins. */
  readonly after: string | null
}

export interface Page<T> {
  readonly data: readonly T[]
  /** What to ask for next; null when this is the end. */
  readonly next: string | null
}

/** Makes a page of up to `limit + 1` items that were read in order. */
export function pageOf<T>(items: readonly T[], limit: number, nameOf: (item: T) => string): Page<T> {
  const data = items.slice(0, limit)
  const last = data.at(-1)
  return { data, next: items.length > limit && last !== undefined ? nameOf(last) : null }
}
