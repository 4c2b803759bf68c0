import { EVENT_LIMITS, type RejectionCode } from './rejection.ts'

/** The attributes that matter here, checked but not yet placed in time. Filled by `readEnvelope`. */
export interface Envelope {
  id: string
  source: string
  type: string
  subject: string
  /** RFC 3339 text, not yet parsed; null where the event has none. */
  time: string | null
  /** The value of `data`: any JSON value; null where the event has none. */
  data: unknown
}

export function emptyEnvelope(): Envelope {
  return { id: '', source: '', type: '', subject: '', time: null, data: null }
}

const EXTENSION_NAME = /^[a-z0-9]+$/
// C0, DEL and C1 controls, which CloudEvents forbids in strings. A control in an identity is a bug or an attack.
const CONTROL = /\p{Cc}/u

/**
 * Checks a CloudEvents 1.0 envelope as it comes out of JSON.parse and copies its attributes into `into`.
 * Null when it is good, else the first fault in the order of REJECTION_CODES. Optional attributes may be null.
 */
export function readEnvelope(event: unknown, into: Envelope): RejectionCode | null {
  into.id = ''
  if (typeof event !== 'object' || event === null || Array.isArray(event)) return 'notAnObject'
  let id, source, type, subject, time, data, specversion, datacontenttype, dataBase64: unknown
  let extensionsAreValid = true
  for (const key in event) {
    const value = (event as Record<string, unknown>)[key]
    switch (key) {
      case 'id':
        id = value
        break
      case 'source':
        source = value
        break
      case 'type':
        type = value
        break
      case 'subject':
        subject = value
        break
      case 'time':
        time = value
        break
      case 'data':
        data = value
        break
      case 'specversion':
        specversion = value
        break
      case 'datacontenttype':
        datacontenttype = value
        break
      case 'data_base64':
        dataBase64 = value
        break
      default:
        if (!EXTENSION_NAME.test(key)) extensionsAreValid = false
    }
  }
  if (typeof id === 'string') into.id = id
  if (!extensionsAreValid) return 'invalidExtension'
  if (specversion !== '1.0') return 'unsupportedSpecVersion'
  if (id === undefined || id === null || id === '') return 'missingId'
  if (!isText(id, EVENT_LIMITS.idCharsMax)) return 'invalidId'
  if (source === undefined || source === null || source === '') return 'missingSource'
  if (!isSource(source)) return 'invalidSource'
  if (type === undefined || type === null || type === '') return 'missingType'
  if (!isText(type, EVENT_LIMITS.typeCharsMax) || type.startsWith('__')) return 'invalidType'
  if (subject === undefined || subject === null || subject === '') return 'missingSubject'
  if (!isText(subject, EVENT_LIMITS.subjectCharsMax)) return 'invalidSubject'
  if (time === undefined || time === null) into.time = null
  else if (typeof time === 'string') into.time = time
  else return 'invalidTime'
  into.data = data ?? null
  into.source = source
  into.type = type
  into.subject = subject
  if (dataBase64 !== undefined && dataBase64 !== null) return 'unsupportedData'
  if (datacontenttype !== undefined && datacontenttype !== null && !isJsonMediaType(datacontenttype)) {
    return 'unsupportedData'
  }
  return null
}

/** Whether a media type says JSON: `application/json`, `text/json`, `application/vnd.x+json`, with or without parameters. */
export function isJsonMediaType(value: unknown): boolean {
  return (
    typeof value === 'string' &&
    (value === 'application/json' || /^\s*[\w.+-]+\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(value))
  )
}

function isText(value: unknown, charsMax: number): value is string {
  return typeof value === 'string' && value.length <= charsMax && !CONTROL.test(value)
}

const PCHAR = `(?:[\\w.~!$&'()*+,;=:@-]|%[\\da-f]{2})`
const AUTHORITY = `(?:(?:[\\w.~!$&'()*+,;=:-]|%[\\da-f]{2})*@)?(?:\\[[\\da-fv:.]+\\]|(?:[\\w.~!$&'()*+,;=-]|%[\\da-f]{2})*)(?::\\d*)?`
/** RFC 3986; the rule about a colon in the first segment of a relative reference is checked apart. */
const URI_REFERENCE = new RegExp(
  `^(?:[a-z][a-z\\d+.-]*:)?(?://${AUTHORITY}(?:/${PCHAR}*)*|/?(?:${PCHAR}+(?:/${PCHAR}*)*)?)(?:\\?(?:${PCHAR}|[/?])*)?(?:#(?:${PCHAR}|[/?])*)?$`,
  'i',
)
const COLON_IN_FIRST_SEGMENT = /^[^/?#]*:/
const SCHEME = /^[a-z][a-z\d+.-]*:/i

/** The source of the event before: batches nearly always come from one. */
let lastGoodSource = '/'

function isSource(value: unknown): value is string {
  if (value === lastGoodSource) return true
  if (typeof value !== 'string' || value.length > EVENT_LIMITS.sourceCharsMax || !isUriReference(value))
    return false
  lastGoodSource = value
  return true
}

export function isUriReference(text: string): boolean {
  return URI_REFERENCE.test(text) && (!COLON_IN_FIRST_SEGMENT.test(text) || SCHEME.test(text))
}
