import type { Instant, Interval } from '../../src/time/instant.ts'
import type { EventLog } from '../../src/usage/event-log.ts'
import type { Meter } from '../../src/usage/meter.ts'
import { EVENT_PARTITIONS, TOPIC_EVENTS } from '../../src/usage/topics.ts'
import type { UsageRequest } from '../../src/usage/usage-query.ts'
import { decodePack } from '../support/scripted-log.ts'

/** Usage told by plain JavaScript from the log's bytes, for small sets of events: what every query must equal. */

export interface OracleEvent {
  readonly tenant: string
  readonly source: string
  readonly id: string
  readonly type: string
  readonly subject: string
  readonly time: number
  readonly properties: Readonly<Record<string, string>>
  readonly ingestedAt: number
  readonly partition: number
  readonly offset: number
  readonly index: number
}

export async function readLog(log: EventLog): Promise<readonly OracleEvent[]> {
  const events: OracleEvent[] = []
  const ends = await log.endOffsets(TOPIC_EVENTS)
  for (let partition = 0; partition < EVENT_PARTITIONS; partition++) {
    const end = ends.find((position) => position.partition === partition)?.offset ?? 0
    for (let at = 0; at < end;) {
      for (const record of await log.read(TOPIC_EVENTS, partition, at, 1_000_000)) {
        const pack = decodePack(record.value)
        for (const [index, event] of pack.events.entries()) {
          events.push({ ...event, ingestedAt: pack.ingestedAt, partition, offset: record.offset, index })
        }
        at = record.offset + 1
      }
    }
  }
  return events
}

const HORIZON_MS = 35 * 86_400_000

/** The first copy of each identity counts, unless it is taken back; copies more than 35 days apart are two events. */
function countedEvents(all: readonly OracleEvent[], tenant: string): readonly OracleEvent[] {
  const byIdentity = Map.groupBy(
    all.filter((event) => event.tenant === tenant),
    ({ source, id }) => JSON.stringify([source, id]),
  )
  const canonical: OracleEvent[] = []
  for (const copies of byIdentity.values()) {
    const own: OracleEvent[] = []
    for (const copy of copies.toSorted((a, b) => a.offset - b.offset || a.index - b.index)) {
      if (own.every((first) => Math.abs(first.time - copy.time) > HORIZON_MS)) own.push(copy)
    }
    canonical.push(...own)
  }
  const taken = new Set(
    canonical
      .filter(({ type }) => type === '__void')
      .map(({ properties }) => JSON.stringify([properties['target.source'], properties['target.id']])),
  )
  return canonical.filter(({ source, id }) => !taken.has(JSON.stringify([source, id])))
}

export interface OracleRow {
  readonly start: number
  readonly end: number
  readonly customer?: string
  readonly subject?: string
  readonly group: Readonly<Record<string, string>>
  readonly value: string | null
  readonly events: number
  readonly unusable: number
}

const QUARTER_MS = 900_000

/** Maximal runs of quarter hours that bear the same local label. */
function oracleWindows(
  interval: Interval,
  window: UsageRequest['window'],
  zone: string,
): readonly Interval[] {
  if (window === 'none') return [interval]
  const format = new Intl.DateTimeFormat('en-CA', {
    ...{ timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit' },
    ...{ hourCycle: 'h23', timeZoneName: 'longOffset' },
  })
  const labelOf = (at: number): string => {
    const part = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]))
    const date = `${part['year'] ?? ''}-${part['month'] ?? ''}-${part['day'] ?? ''}`
    if (window === 'hour') return `${date} ${part['hour'] ?? ''} ${part['timeZoneName'] ?? ''}`
    if (window === 'month') return date.slice(0, 7)
    if (window === 'day') return date
    const days = Date.parse(`${date}T00:00:00Z`) / 86_400_000
    return String(Math.floor((days + 3) / 7)) // 1970-01-01 was a Thursday; weeks begin on Monday
  }
  const windows: Interval[] = []
  let start: number = interval.start
  for (let at = Math.ceil((start + 1) / QUARTER_MS) * QUARTER_MS; at < interval.end; at += QUARTER_MS) {
    if (labelOf(at) === labelOf(at - 1)) continue
    windows.push({ start: start as Instant, end: at as Instant })
    start = at
  }
  windows.push({ start: start as Instant, end: interval.end })
  return windows
}

/** A decimal text in billionths; null when it is not one that is read as a value. */
function billionths(text: string | undefined): bigint | null {
  const match = /^(-?)0*(\d{1,29})(?:\.(\d{1,9})0*)?$/.exec(text ?? '')
  if (match === null) return null
  const magnitude = BigInt(match[2] ?? '') * 10n ** 9n + BigInt((match[3] ?? '').padEnd(9, '0'))
  return match[1] === '-' ? -magnitude : magnitude
}

function decimalText(value: bigint, scale: number): string {
  const negative = value < 0n
  const digits = (negative ? -value : value).toString().padStart(scale + 1, '0')
  const text = `${digits.slice(0, -scale)}.${digits.slice(-scale)}`.replace(/\.?0+$/, '')
  return negative && text !== '0' ? `-${text}` : text
}

/** The rows that a query must have, windows without events left out. */
export function oracleUsage(all: readonly OracleEvent[], request: UsageRequest): readonly OracleRow[] {
  const { meter, tenant, subjects, filters, owners, byCustomer = false, bySubject, groupBy } = request
  const dimension = (event: OracleEvent, name: string): string =>
    event.properties[meter.groupBy[name] ?? ''] ?? ''
  const ofMeter = countedEvents(all, tenant).filter(
    (event) =>
      event.type === meter.eventType &&
      (subjects === null || (subjects as readonly string[]).includes(event.subject)) &&
      Object.entries(meter.filters).every(([path, values]) =>
        values.includes(event.properties[path] ?? ''),
      ) &&
      Object.entries(filters).every(([name, values]) => values.includes(dimension(event, name))),
  )
  const spans = (owners ?? [null]).map((owner) => ({
    customer: owner?.customer,
    subject: owner?.subject,
    from: owner?.from ?? -Infinity,
    until: owner?.until ?? Infinity,
  }))
  const rows: OracleRow[] = []
  for (const { start, end } of oracleWindows(request.interval, request.window, request.timezone)) {
    const groups = new Map<
      string,
      { readonly row: object; readonly parts: { event: OracleEvent; from: number; to: number }[] }
    >()
    for (const span of spans) {
      const from = Math.max(start, span.from)
      const to = Math.min(end, span.until)
      if (from >= to) continue
      for (const event of ofMeter) {
        if (span.subject !== undefined && span.subject !== event.subject) continue
        const row = {
          ...(byCustomer ? { customer: span.customer } : {}),
          ...(bySubject ? { subject: event.subject } : {}),
          group: Object.fromEntries(groupBy.map((name) => [name, dimension(event, name)])),
        }
        const key = JSON.stringify(row)
        const group = groups.get(key) ?? { row, parts: [] }
        groups.set(key, group)
        group.parts.push({ event, from, to })
      }
    }
    for (const { row, parts } of groups.values()) {
      const quantity = quantityOf(meter, parts, ofMeter)
      if (quantity !== null)
        rows.push({ start, end, ...(row as { group: Record<string, string> }), ...quantity })
    }
  }
  return rows
}

function quantityOf(
  meter: Meter,
  parts: readonly { readonly event: OracleEvent; readonly from: number; readonly to: number }[],
  ofMeter: readonly OracleEvent[],
): Pick<OracleRow, 'value' | 'events' | 'unusable'> | null {
  const inside = parts
    .filter(({ event, from, to }) => event.time >= from && event.time < to)
    .map(({ event }) => event)
  const textOf = (event: OracleEvent): string => event.properties[meter.valueProperty ?? ''] ?? ''
  const order = (a: OracleEvent, b: OracleEvent): number =>
    a.time - b.time ||
    a.ingestedAt - b.ingestedAt ||
    a.partition - b.partition ||
    a.offset - b.offset ||
    a.index - b.index
  const values = inside
    .toSorted(order)
    .map((event) => billionths(textOf(event)))
    .filter((value) => value !== null)
  const events = inside.length
  const unusable = events - values.length
  const sorted = values.toSorted((a, b) => (a < b ? -1 : 1))
  const total = values.reduce((sum, value) => sum + value, 0n)
  const told = (value: bigint | undefined): string | null =>
    value === undefined ? null : decimalText(value, 9)
  if (meter.aggregation === 'timeWeighted') {
    const area = weighed(meter, parts, ofMeter, order, (event) => billionths(textOf(event)))
    return events === 0 && area === null ? null : { value: decimalText(area ?? 0n, 12), events, unusable }
  }
  if (events === 0) return null
  switch (meter.aggregation) {
    case 'count':
      return { value: String(events), events, unusable: 0 }
    case 'sum':
      return { value: decimalText(total, 9), events, unusable }
    case 'uniqueCount': {
      const texts = inside.map(textOf).filter((text) => text !== '')
      return { value: String(new Set(texts).size), events, unusable: events - texts.length }
    }
    case 'min':
      return { value: told(sorted[0]), events, unusable }
    case 'max':
      return { value: told(sorted.at(-1)), events, unusable }
    case 'latest':
      return { value: told(values.at(-1)), events, unusable }
    case 'avg': {
      if (values.length === 0) return { value: null, events, unusable }
      const of = BigInt(values.length)
      const scaled = (total < 0n ? -total : total) * 1000n
      const rounded = (2n * scaled + of) / (2n * of)
      return { value: decimalText(total < 0n ? -rounded : rounded, 12), events, unusable }
    }
    case 'percentile': {
      const percent = BigInt(Math.round(Number(meter.percentile) * 1000))
      const rank = (percent * BigInt(values.length) + 999n) / 1000n
      return { value: told(sorted[Number(rank < 1n ? 1n : rank) - 1]), events, unusable }
    }
  }
}

/** Level × milliseconds of each part; null when no level is held anywhere in it. */
function weighed(
  meter: Meter,
  parts: readonly { readonly event: OracleEvent; readonly from: number; readonly to: number }[],
  ofMeter: readonly OracleEvent[],
  order: (a: OracleEvent, b: OracleEvent) => number,
  levelOf: (event: OracleEvent) => bigint | null,
): bigint | null {
  const seriesOf = (event: OracleEvent): string =>
    JSON.stringify([
      event.subject,
      ...Object.values(meter.groupBy).map((path) => event.properties[path] ?? ''),
    ])
  let area: bigint | null = null
  for (const { event, from, to } of parts) {
    const level = levelOf(event)
    if (level === null) continue
    const next = ofMeter
      .filter(
        (other) => seriesOf(other) === seriesOf(event) && levelOf(other) !== null && order(other, event) > 0,
      )
      .toSorted(order)[0]
    const heldFrom = Math.max(event.time, from)
    const heldUntil = Math.min(next?.time ?? Infinity, to)
    if (heldFrom < heldUntil) area = (area ?? 0n) + level * BigInt(heldUntil - heldFrom)
  }
  return area
}
