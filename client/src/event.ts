import { encodeData, type EventData } from './data.ts'
import { type Refusal, refusal } from './refusal.ts'

/** One thing that was used, as the emitting service tells it. */
export interface UsageEventInput {
  /** What happened, such as `llm.request`. Meters select events by it. */
  readonly type: string
  /** Who used. */
  readonly subject: string
  readonly data?: EventData
  /** Unique for the client's `source`. Left out, it is drawn at random; give one to make a job repeatable as a whole. */
  readonly id?: string
  /** When it happened; left out, the moment of the call. Text is RFC 3339. */
  readonly time?: Date | string
}

/** An event as it goes out, the same to the byte at every attempt. */
export interface EncodedEvent {
  readonly id: string
  /** The CloudEvent as JSON in UTF-8. */
  readonly body: Uint8Array
}

export type Encoding =
  | { readonly kind: 'event'; readonly event: EncodedEvent }
  | { readonly kind: 'refused'; readonly id: string | null; readonly refusal: Refusal }

const EVENT_BYTES_MAX = 131_072
const ID_CHARS_MAX = 512
const NAME_CHARS_MAX = 255
const UNCLEAN = /\p{Cc}|[\ud800-\udfff]/u
const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/
const utf8 = new TextEncoder()

export interface EncodeDeps {
  readonly source: string
  readonly nowMs: number
  readonly createId: () => string
}

/** Checks an event by the server's rules, as far as they need no catalogue, and fixes its id and time. */
export function encodeEvent(input: UsageEventInput, deps: EncodeDeps): Encoding {
  if (typeof input !== 'object' || (input as unknown) === null) {
    return refused(null, refusal('notAnObject', 'An event is an object with "type" and "subject".'))
  }
  const id: unknown = input.id ?? deps.createId()
  if (!isName(id, ID_CHARS_MAX)) {
    const detail = `"id" must be text of 1 to ${ID_CHARS_MAX} characters without control characters.`
    return refused(null, refusal('invalidId', detail, '/id'))
  }
  if (!isName(input.type, NAME_CHARS_MAX) || input.type.startsWith('__')) {
    const detail = `"type" must be text of 1 to ${NAME_CHARS_MAX} characters without control characters, and not begin with "__".`
    return refused(id, refusal('invalidType', detail, '/type'))
  }
  if (!isName(input.subject, NAME_CHARS_MAX)) {
    const detail = `"subject" must be text of 1 to ${NAME_CHARS_MAX} characters without control characters.`
    return refused(id, refusal('invalidSubject', detail, '/subject'))
  }
  const time = timeText(input.time ?? new Date(deps.nowMs))
  if (time === null) {
    const detail = '"time" must be a Date or RFC 3339 text such as "2026-03-01T12:00:00Z", from 1970 to 2099.'
    return refused(id, refusal('invalidTime', detail, '/time'))
  }
  const data = input.data === undefined ? null : encodeData(input.data)
  if (data?.kind === 'refused') return refused(id, data.refusal)
  const head = { specversion: '1.0', id, source: deps.source, type: input.type, subject: input.subject, time }
  const envelope = JSON.stringify(head)
  const body = utf8.encode(data === null ? envelope : `${envelope.slice(0, -1)},"data":${data.text}}`)
  if (body.length > EVENT_BYTES_MAX) {
    return refused(id, refusal('eventTooLarge', `The event takes more than ${EVENT_BYTES_MAX} bytes.`))
  }
  return { kind: 'event', event: { id, body } }
}

function refused(id: string | null, why: Refusal): Encoding {
  return { kind: 'refused', id, refusal: why }
}

function isName(value: unknown, charsMax: number): value is string {
  return typeof value === 'string' && value !== '' && value.length <= charsMax && !UNCLEAN.test(value)
}

function timeText(time: unknown): string | null {
  if (typeof time === 'string' && !RFC3339.test(time)) return null
  if (typeof time !== 'string' && !(time instanceof Date)) return null
  const ms = typeof time === 'string' ? Date.parse(time) : time.getTime()
  if (!(ms >= 0 && ms < Date.UTC(2100, 0, 1))) return null
  return typeof time === 'string' ? time : time.toISOString()
}
