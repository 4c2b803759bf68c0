import type { Rejection } from './answer.ts'
import { isUriReference } from './envelope.ts'
import {
  type ExactJson,
  type ExactObject,
  isExactObject,
  readExactJson,
  writeExactJson,
} from './exact-json.ts'
import { type Refusal, refused } from './refusal.ts'
import { EVENT_LIMITS, REJECTION_DETAILS, type RejectionCode, RESERVED_SOURCE_PREFIX } from './rejection.ts'

/** The identity of an event within its tenant. */
export interface Target {
  readonly source: string
  readonly id: string
}

/** An event that is taken back, and perhaps another that takes its place. */
export interface Correction {
  readonly index: number
  readonly target: Target
  readonly reason: string
  /** A CloudEvent in JSON that says what it replaces; null for a void. */
  readonly replacement: Uint8Array | null
}

export type CorrectionKind = 'void' | 'amend'

export type Corrections =
  | {
      readonly kind: 'corrections'
      readonly corrections: readonly Correction[]
      readonly rejected: readonly Rejection[]
    }
  | Refusal

const { idCharsMax, sourceCharsMax, reasonCharsMax } = EVENT_LIMITS
const CONTROL = /\p{Cc}/u

/** Reads `{events: [{source, id, reason, event?}]}`; `event` for amendments, and only for them. */
export function readCorrections(kind: CorrectionKind, body: Uint8Array, eventsMax: number): Corrections {
  const parsed = readExactJson(body)
  if (parsed.kind === 'refused') return parsed
  const events = isExactObject(parsed.value) ? parsed.value.get('events') : undefined
  if (!Array.isArray(events)) {
    const form = kind === 'void' ? '{source, id, reason}' : '{source, id, reason, event}'
    return refused('malformedCorrections', `The body must be {"events": [${form}, …]}.`)
  }
  const items = events as readonly ExactJson[]
  if (items.length > eventsMax) {
    return refused(
      'tooManyEvents',
      `A request has at most ${eventsMax} events; this one has ${items.length}.`,
    )
  }
  const corrections: Correction[] = []
  const rejected: Rejection[] = []
  for (const [index, item] of items.entries()) {
    const read = readCorrection(kind, item, index)
    if (typeof read !== 'string') corrections.push(read)
    else {
      const id = isExactObject(item) ? item.get('id') : null
      const shown = typeof id === 'string' && id !== '' ? id.slice(0, idCharsMax).toWellFormed() : null
      rejected.push({ index, id: shown, code: read, detail: REJECTION_DETAILS[read] })
    }
  }
  return { kind: 'corrections', corrections, rejected }
}

function readCorrection(kind: CorrectionKind, item: ExactJson, index: number): Correction | RejectionCode {
  if (!isExactObject(item)) return 'notAnObject'
  const source = item.get('source')
  const id = item.get('id')
  const reason = item.get('reason')
  if (!isText(source, sourceCharsMax) || !isUriReference(source)) return 'invalidTarget'
  if (source.startsWith(RESERVED_SOURCE_PREFIX) || !isText(id, idCharsMax)) return 'invalidTarget'
  if (!isText(reason, reasonCharsMax)) return 'invalidReason'
  const target = { source, id }
  if (kind === 'void') return { index, target, reason, replacement: null }
  const event = item.get('event')
  if (!isExactObject(event)) return 'missingReplacement'
  // It would be void as well.
  if (event.get('source') === source && event.get('id') === id) return 'sameIdentity'
  const replacement = Buffer.from(writeReplacement(event, target))
  return { index, target, reason, replacement }
}

/** The event with `replaces` among its data. One that has such a key already is rejected for the duplicate. */
function writeReplacement(event: ExactObject, target: Target): string {
  const data = event.get('data') ?? new Map<string, ExactJson>()
  const members = [...event]
    .filter(([key]) => key !== 'data')
    .map(([key, value]) => `${JSON.stringify(key)}:${writeExactJson(value)}`)
  if (!isExactObject(data)) return `{${[...members, `"data":${writeExactJson(data)}`].join(',')}}`
  const replaces = `"replaces":${JSON.stringify(target)}`
  const written = writeExactJson(data)
  const joined = data.size === 0 ? `{${replaces}}` : `${written.slice(0, -1)},${replaces}}`
  return `{${[...members, `"data":${joined}`].join(',')}}`
}

function isText(value: ExactJson | undefined, charsMax: number): value is string {
  return (
    typeof value === 'string' &&
    value !== '' &&
    value.length <= charsMax &&
    value.isWellFormed() &&
    !CONTROL.test(value)
  )
}
