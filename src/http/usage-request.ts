import { WINDOWS_MAX, windowsOf } from '../aggregate/windows.ts'
import type { CustomerKey, SubjectId } from '../id/ids.ts'
import { isTimeZone } from '../time/calendar.ts'
import { type Instant, instantOf, type Interval, parseInstant } from '../time/instant.ts'
import type { Cut } from '../usage/coordinate.ts'
import type { Meter } from '../usage/meter.ts'
import { EVENT_PARTITIONS } from '../usage/topics.ts'
import { USAGE_WINDOWS, type UsageWindow } from '../usage/usage-query.ts'
import { type Fault, ProblemError } from './problem.ts'

/** A usage query as it came, checked. */
export interface UsageParameters {
  readonly interval: Interval
  readonly window: UsageWindow
  readonly windows: readonly Interval[]
  readonly timezone: string
  readonly groupBy: readonly string[]
  readonly byCustomer: boolean
  readonly bySubject: boolean
  readonly customers: readonly CustomerKey[]
  readonly subjects: readonly SubjectId[] | null
  readonly filters: Readonly<Record<string, readonly string[]>>
  /** Coordinates that the answer must have in it; empty: whatever counts now. */
  readonly receipts: Cut
  readonly format: 'json' | 'csv'
}

const NAMES = [
  ...['from', 'to', 'window', 'timezone', 'groupBy', 'customer', 'subject', 'filter[…]'],
  ...['receipt', 'format'],
]
const VALUES_MAX = 1000
/** The store keeps minutes as seconds in 32 bits; no event is later. */
const TIME_END = instantOf(0xffff_ffff * 1000)

/** Reads the query of `GET /v1/meters/{key}/usage`; finds every fault in one pass. @throws ProblemError */
export function readUsageParameters(
  query: URLSearchParams,
  meter: Meter,
  accept: string | undefined,
): UsageParameters {
  const faults: Fault[] = []
  const fault = (name: string, detail: string): void => {
    faults.push({ pointer: `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`, detail })
  }
  const filters = readFilters(query, meter, fault)
  const window = readWindow(query, fault)
  const interval = readInterval(query, window, fault)
  const timezone = readTimezone(query, fault)
  const names = readGroupBy(query, meter, fault)
  const customers = readTexts(query, 'customer', fault) ?? []
  const subjects = readTexts(query, 'subject', fault)
  const receipts = readReceipts(query, fault)
  const format = readFormat(query, accept, fault)
  const windows = faults.length > 0 ? [] : readWindows(interval, window, timezone, fault)
  if (faults.length > 0) throw refused(faults)
  return {
    interval,
    window,
    windows,
    timezone,
    groupBy: names.filter((name) => name !== 'customer' && name !== 'subject'),
    byCustomer: names.includes('customer'),
    bySubject: names.includes('subject'),
    customers: customers as readonly CustomerKey[],
    subjects: subjects as readonly SubjectId[] | null,
    filters,
    receipts,
    format,
  }
}

type Report = (name: string, detail: string) => void

function refused(errors: readonly Fault[]): ProblemError {
  return new ProblemError({
    status: 400,
    code: 'invalidRequest',
    title: 'The request is not valid',
    detail: errors.map(({ pointer, detail }) => `${pointer.slice(1)} ${detail}`).join('; '),
    errors,
  })
}

/** The one value of a parameter; null when it is absent. */
function one(query: URLSearchParams, name: string, fault: Report): string | null {
  const [value, ...more] = query.getAll(name)
  if (more.length > 0) fault(name, 'is given more than once')
  return value ?? null
}

function readFilters(
  query: URLSearchParams,
  meter: Meter,
  fault: Report,
): Readonly<Record<string, readonly string[]>> {
  const filters = new Map<string, string[]>()
  for (const [name, value] of query) {
    const dimension = /^filter\[(.*)\]$/s.exec(name)?.[1]
    if (dimension === undefined) {
      if (!NAMES.includes(name)) fault(name, `is not a parameter; there are ${NAMES.join(', ')}`)
    } else if (!Object.hasOwn(meter.groupBy, dimension)) {
      fault(name, `is not a dimension of the meter; it has ${dimensionsOf(meter)}`)
    } else {
      const values = filters.get(dimension) ?? []
      values.push(value)
      filters.set(dimension, values)
      if (values.length === VALUES_MAX + 1) fault(name, `has more than ${VALUES_MAX} values`)
    }
  }
  return Object.fromEntries(filters)
}

function dimensionsOf(meter: Meter): string {
  return Object.keys(meter.groupBy).join(', ') || 'none'
}

function readWindow(query: URLSearchParams, fault: Report): UsageWindow {
  const text = one(query, 'window', fault) ?? 'none'
  const window = USAGE_WINDOWS.find((name) => name === text)
  if (window === undefined) fault('window', `must be one of ${USAGE_WINDOWS.join(', ')}`)
  return window ?? 'none'
}

function readInterval(query: URLSearchParams, window: UsageWindow, fault: Report): Interval {
  const read = (name: 'from' | 'to', otherwise: Instant): Instant => {
    const text = one(query, name, fault)
    if (text === null) {
      if (window !== 'none') fault(name, `is missing: windows of a ${window} need both ends`)
      return otherwise
    }
    const instant = parseInstant(text)
    if (instant === null) fault(name, 'must be RFC 3339, like 2026-03-01T00:00:00Z (write "+" as %2B)')
    else if (instant < 0 || instant > TIME_END) fault(name, 'must lie between 1970 and 2106')
    return instant ?? otherwise
  }
  const interval = { start: read('from', instantOf(0)), end: read('to', TIME_END) }
  if (interval.start >= interval.end) fault('to', 'must be later than from')
  return interval
}

function readTimezone(query: URLSearchParams, fault: Report): string {
  const zone = one(query, 'timezone', fault) ?? 'UTC'
  if (!isTimeZone(zone)) fault('timezone', 'is not an IANA time zone such as Europe/Berlin')
  return zone
}

function readGroupBy(query: URLSearchParams, meter: Meter, fault: Report): readonly string[] {
  const names = [
    ...new Set(
      query
        .getAll('groupBy')
        .flatMap((text) => text.split(','))
        .filter((name) => name !== ''),
    ),
  ]
  for (const name of names) {
    if (name === 'customer' || name === 'subject' || Object.hasOwn(meter.groupBy, name)) continue
    fault(
      'groupBy',
      `has "${name}", which is not a dimension of the meter; it has ${dimensionsOf(meter)}, and customer and subject`,
    )
  }
  return names
}

function readTexts(query: URLSearchParams, name: string, fault: Report): readonly string[] | null {
  const values = [...new Set(query.getAll(name))]
  if (values.includes('')) fault(name, 'must not be empty')
  if (values.length > VALUES_MAX) fault(name, `is given more than ${VALUES_MAX} times`)
  return values.length === 0 ? null : values
}

/** `partition:offset`, also with the index that receipts carry; may be given for several partitions. */
function readReceipts(query: URLSearchParams, fault: Report): Cut {
  const ends = new Map<number, number>()
  for (const text of query.getAll('receipt')) {
    const [, partition, offset] = /^(\d{1,3}):(\d{1,13})(?::\d{1,5})?$/.exec(text)?.map(Number) ?? []
    if (partition === undefined || offset === undefined) {
      fault('receipt', 'must be partition:offset, as POST /v1/events?receipts=true answers them')
    } else if (partition >= EVENT_PARTITIONS) {
      fault('receipt', `names partition ${partition}; there are 0 to ${EVENT_PARTITIONS - 1}`)
    } else ends.set(partition, Math.max(ends.get(partition) ?? 0, offset + 1))
  }
  return [...ends].map(([partition, offset]) => ({ partition, offset }))
}

function readFormat(query: URLSearchParams, accept: string | undefined, fault: Report): 'json' | 'csv' {
  const format = one(query, 'format', fault)
  if (format === null) return /^\s*text\/csv\b/i.test(accept ?? '') ? 'csv' : 'json'
  if (format !== 'csv' && format !== 'json') fault('format', 'must be json or csv')
  return format === 'csv' ? 'csv' : 'json'
}

function readWindows(
  interval: Interval,
  window: UsageWindow,
  timezone: string,
  fault: Report,
): readonly Interval[] {
  try {
    return windowsOf(interval, window, timezone)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    fault('window', `cuts the interval into more than ${WINDOWS_MAX} windows: ask for a shorter one`)
    return []
  }
}
