import { Temporal } from 'temporal-polyfill'
import { parseInstant } from '../../time/instant.ts'
import type { EventText } from '../event-batches.ts'
import type { Mapping } from './mapping.ts'
import type { Filled, Row, Template } from './template.ts'

export type RowOutcome =
  | { readonly kind: 'event'; readonly event: EventText }
  | { readonly kind: 'rejected'; readonly reason: string }

/** A row as a CloudEvent, or why not. Properties go out as text, so that every digit arrives. Pure. */
export function eventOfRow(mapping: Mapping, source: string, row: Row): RowOutcome {
  const faults: string[] = []
  const required = (name: string, template: Template): string => {
    const filled = template.fill(row)
    const text = textOf(filled)
    if (filled.kind === 'missing') faults.push(`${name}: there is no ${filled.column}`)
    else if (text === '') faults.push(`${name} is empty`)
    return text
  }
  const id = mapping.id === null ? String(row.number) : required('id', mapping.id)
  const type = required('type', mapping.type)
  const subject = required('subject', mapping.subject)
  const timeText = required('time', mapping.time)
  const time = timeText === '' ? null : readTime(timeText, mapping)
  if (timeText !== '' && time === null) {
    faults.push(`time "${timeText.slice(0, 60)}" is not ${TIME_EXAMPLES[mapping.timeFormat]}`)
  }
  if (faults.length > 0 || time === null) return { kind: 'rejected', reason: faults.join('; ') }
  const data: Record<string, string> = {}
  for (const [name, template] of mapping.data) {
    const text = textOf(template.fill(row))
    if (text !== '') data[name] = text
  }
  return {
    kind: 'event',
    event: JSON.stringify({ specversion: '1.0', source, id, type, subject, time, data }),
  }
}

const TIME_EXAMPLES = {
  rfc3339: 'a date and time such as 2026-03-01T12:00:00Z',
  epochSeconds: 'seconds since 1970',
  epochMilliseconds: 'milliseconds since 1970',
} as const

function textOf(filled: Filled): string {
  return filled.kind === 'text' ? filled.text : ''
}

/** RFC 3339, or null. */
function readTime(text: string, mapping: Mapping): string | null {
  switch (mapping.timeFormat) {
    case 'epochMilliseconds':
      return /^\d{1,15}$/.test(text) ? new Date(Number(text)).toISOString() : null
    case 'epochSeconds': {
      const m = /^(\d{1,12})(?:\.(\d{1,9}))?$/.exec(text)
      if (m === null) return null
      const whole = new Date(Number(m[1]) * 1000).toISOString().slice(0, 19)
      return m[2] === undefined ? `${whole}Z` : `${whole}.${m[2]}Z`
    }
    case 'rfc3339':
      return readCalendarTime(text, mapping.timezone)
  }
}

const ZONED = /(?:[Zz]|[+-]\d{2}:\d{2})$/

function readCalendarTime(text: string, timezone: string): string | null {
  const dated = /^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00` : text
  const separated = `${dated.slice(0, 10)}T${dated.slice(11)}`
  if (ZONED.test(dated)) return parseInstant(separated) === null ? null : separated
  if (parseInstant(`${separated}Z`) === null) return null
  if (timezone === 'UTC') return `${separated}Z`
  // A local time that occurs twice is taken as its first occurrence, one that does not occur as if clocks had not moved.
  return Temporal.PlainDateTime.from(separated).toZonedDateTime(timezone).toInstant().toString()
}
