import { CliFailure } from '../failure.ts'
import type { LocatedDocument } from '../document.ts'
import { nearestName } from '../../id/nearest-name.ts'
import { compileTemplate, type Template } from './template.ts'

const TIME_FORMATS = ['rfc3339', 'epochSeconds', 'epochMilliseconds'] as const
type TimeFormat = (typeof TIME_FORMATS)[number]

/** How a row becomes an event: `docs/cli.md`, "Importing files". */
export interface Mapping {
  readonly format: 'csv' | 'ndjson' | null
  readonly delimiter: string
  readonly source: string | null
  readonly type: Template
  readonly subject: Template
  readonly time: Template
  readonly timeFormat: TimeFormat
  /** IANA zone of times that carry none. */
  readonly timezone: string
  /** Null: the row's number. */
  readonly id: Template | null
  readonly data: ReadonlyMap<string, Template>
}

const MEMBERS = [
  'format',
  'delimiter',
  'source',
  'type',
  'subject',
  'time',
  'timeFormat',
  'timezone',
  'id',
  'data',
] as const

/** Checks a mapping; all its faults at once, with line and column. @throws CliFailure */
export function parseMapping({ value: raw, placeOf }: LocatedDocument, path: string): Mapping {
  const faults: string[] = []
  const note = (member: readonly string[], fault: string): void => {
    const place = placeOf(...member)
    faults.push(place === '' ? fault : `${place}: ${fault}`)
  }
  for (const name of Object.keys(raw)) {
    if (!(MEMBERS as readonly string[]).includes(name)) {
      note([name], `unknown member "${name}"; did you mean "${nearestName(name, MEMBERS)}"?`)
    }
  }
  const text = (name: (typeof MEMBERS)[number], preset: string | null): string | null => {
    const value = raw[name]
    if (value === undefined || value === null) return preset
    if (typeof value === 'string' && value !== '') return value
    note([name], `${name} must be text`)
    return preset
  }
  const choice = <T extends string>(name: 'format' | 'timeFormat', choices: readonly T[]): T | null => {
    const value = text(name, null)
    if (value === null) return null
    const found = choices.find((one) => one === value)
    if (found === undefined) note([name], `${name} must be one of ${choices.join(', ')}`)
    return found ?? null
  }
  const template = (name: string, value: string | null): Template => {
    if (value === null) {
      note([name], `${name} is missing: say it as text, or as "{column}"`)
      return compileTemplate('').template
    }
    const compiled = compileTemplate(value)
    if (compiled.fault !== null) note([name], `${name}: ${compiled.fault}`)
    return compiled.template
  }
  const timezone = text('timezone', 'UTC') ?? 'UTC'
  if (!isZone(timezone))
    note(['timezone'], `timezone: there is no zone "${timezone}"; write it like Europe/Berlin`)
  const delimiter = text('delimiter', ',') ?? ','
  if (delimiter.length !== 1) note(['delimiter'], 'delimiter must be one character')
  const id = text('id', null)
  const mapping: Mapping = {
    format: choice('format', ['csv', 'ndjson']),
    delimiter,
    source: text('source', null),
    type: template('type', text('type', null)),
    subject: template('subject', text('subject', null)),
    time: template('time', text('time', null)),
    timeFormat: choice('timeFormat', TIME_FORMATS) ?? 'rfc3339',
    timezone,
    id: id === null ? null : template('id', id),
    data: readData(raw['data'], note),
  }
  if (faults.length > 0) throw new CliFailure(`The mapping ${path} does not fit.`, { details: faults })
  return mapping
}

type Note = (member: readonly string[], fault: string) => void

function readData(raw: unknown, note: Note): ReadonlyMap<string, Template> {
  const data = new Map<string, Template>()
  if (raw === undefined || raw === null) return data
  if (typeof raw !== 'object' || Array.isArray(raw)) {
    note(['data'], 'data must hold a template for each property')
    return data
  }
  for (const [name, value] of Object.entries(raw)) {
    if (typeof value !== 'string') {
      note(['data', name], `data.${name} must be text, such as "{column}"`)
      continue
    }
    const compiled = compileTemplate(value)
    if (compiled.fault !== null) note(['data', name], `data.${name}: ${compiled.fault}`)
    data.set(name, compiled.template)
  }
  return data
}

function isZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone })
    return true
  } catch {
    return false
  }
}
