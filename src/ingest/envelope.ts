import {
  END,
  isText,
  type JsonTape,
  nextValue,
  NULL,
  OBJECT,
  PLAIN_TEXT,
  STRIDE,
  WIDE_TEXT,
} from './json-tape.ts'
import { isSameText, sameBytes } from './properties.ts'
import { EVENT_LIMITS, RESERVED_SOURCE_PREFIX, type RejectionCode } from './rejection.ts'

/**
 * Where the attributes that matter here stand on the tape: index of the value, -1 where the event has none or has
 * null. Filled by `readEnvelope`; texts are checked, the time is not yet placed.
 */
export interface Envelope {
  id: number
  source: number
  type: number
  subject: number
  time: number
  data: number
}

export function emptyEnvelope(): Envelope {
  return { id: -1, source: -1, type: -1, subject: -1, time: -1, data: -1 }
}

const { attributesMax, idCharsMax, sourceCharsMax, subjectCharsMax, typeCharsMax } = EVENT_LIMITS

const EXTENSION_NAME = /^[a-z0-9]+$/
// C0, DEL and C1 controls, which CloudEvents forbids in strings. A control in an identity is a bug or an attack.
const CONTROL = /\p{Cc}/u

const NAMES = [
  'id',
  'source',
  'type',
  'subject',
  'time',
  'data',
  'specversion',
  'datacontenttype',
  'data_base64',
] as const
const [ID, SOURCE, TYPE, SUBJECT, TIME, DATA, SPECVERSION, DATACONTENTTYPE, DATA_BASE64] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8,
] as const
const NAME_BYTES = NAMES.map((name) => Buffer.from(name))
const EXTENSION = NAMES.length

/** Values of the event being read, by name; and its extensions' keys. Only used within one call. */
const found = new Int32Array(NAMES.length)
const extensionKeys = new Int32Array(attributesMax)

/**
 * Checks the CloudEvents 1.0 envelope that begins at `at` and says where its attributes are. Null when it is good, else
 * the first fault in the order of REJECTION_CODES. Optional attributes may be null.
 */
export function readEnvelope(tape: JsonTape, at: number, into: Envelope): RejectionCode | null {
  const { words } = tape
  into.id = -1
  if (words[at] !== OBJECT) return 'notAnObject'
  for (let i = 0; i < NAMES.length; i++) found[i] = -1
  let attributes = 0
  let extensions = 0
  let hasDuplicate = false
  let extensionsAreValid = true
  for (let keyAt = at + STRIDE; words[keyAt] !== END; keyAt = nextValue(words, keyAt + STRIDE)) {
    const name = nameOf(tape, keyAt)
    attributes++
    if (name !== EXTENSION) {
      if (found[name] !== -1) hasDuplicate = true
      found[name] = keyAt + STRIDE
    } else if (attributes <= attributesMax) {
      if (!EXTENSION_NAME.test(tape.text(keyAt))) extensionsAreValid = false
      for (let i = 0; i < extensions; i++) {
        if (isSameText(tape, extensionKeys[i] as number, keyAt)) hasDuplicate = true
      }
      extensionKeys[extensions++] = keyAt
    }
  }
  // A null is as good as nothing.
  for (let i = 0; i < NAMES.length; i++)
    if (found[i] !== -1 && words[found[i] as number] === NULL) found[i] = -1
  into.id = found[ID] as number
  into.source = found[SOURCE] as number
  into.type = found[TYPE] as number
  into.subject = found[SUBJECT] as number
  into.time = found[TIME] as number
  into.data = found[DATA] as number
  if (attributes > attributesMax) return 'tooManyAttributes'
  if (hasDuplicate) return 'duplicateAttribute'
  if (!extensionsAreValid) return 'invalidExtension'
  if (!holds(tape, found[SPECVERSION] as number, SPEC_VERSION)) return 'unsupportedSpecVersion'
  if (isMissing(tape, into.id)) return 'missingId'
  if (!isCleanText(tape, into.id, idCharsMax)) return 'invalidId'
  if (isMissing(tape, into.source)) return 'missingSource'
  if (!isSource(tape, into.source)) return 'invalidSource'
  if (isMissing(tape, into.type)) return 'missingType'
  if (!isCleanText(tape, into.type, typeCharsMax) || isReservedType(tape, into.type)) return 'invalidType'
  if (isMissing(tape, into.subject)) return 'missingSubject'
  if (!isCleanText(tape, into.subject, subjectCharsMax)) return 'invalidSubject'
  if (found[DATA_BASE64] !== -1) return 'unsupportedData'
  const mediaType = found[DATACONTENTTYPE] as number
  if (mediaType !== -1 && !holds(tape, mediaType, JSON_MEDIA_TYPE)) {
    if (!isText(words[mediaType]) || !isJsonMediaType(tape.text(mediaType))) return 'unsupportedData'
  }
  if (into.data !== -1 && words[into.data] !== OBJECT) return 'unsupportedData'
  if (into.time !== -1 && !isText(words[into.time])) return 'invalidTime'
  return null
}

const SPEC_VERSION = Buffer.from('1.0')
const JSON_MEDIA_TYPE = Buffer.from('application/json')

/** Which attribute a key names: an index of NAMES, or EXTENSION. */
function nameOf(tape: JsonTape, keyAt: number): number {
  const { words, bytes } = tape
  if (words[keyAt] !== PLAIN_TEXT) {
    const index = (NAMES as readonly string[]).indexOf(tape.text(keyAt))
    return index < 0 ? EXTENSION : index
  }
  const start = words[keyAt + 1] as number
  const length = (words[keyAt + 2] as number) - start
  const name = candidate(length, bytes[start] as number, bytes[start + 1] as number)
  return name !== EXTENSION && sameBytes(bytes, start, NAME_BYTES[name] as Buffer, 0, length)
    ? name
    : EXTENSION
}

/** The only name of this length that begins with these bytes. */
function candidate(length: number, first: number, second: number): number {
  switch (length) {
    case 2:
      return ID
    case 4:
      return first === 0x64 ? DATA : second === 0x79 ? TYPE : TIME
    case 6:
      return SOURCE
    case 7:
      return SUBJECT
    case 11:
      return first === 0x73 ? SPECVERSION : DATA_BASE64
    case 15:
      return DATACONTENTTYPE
    default:
      return EXTENSION
  }
}

function holds(tape: JsonTape, at: number, text: Uint8Array): boolean {
  if (at === -1) return false
  const { words, bytes } = tape
  if (words[at] !== PLAIN_TEXT) return isText(words[at]) && tape.text(at) === String.fromCharCode(...text)
  const start = words[at + 1] as number
  return (words[at + 2] as number) - start === text.length && sameBytes(bytes, start, text, 0, text.length)
}

function isMissing(tape: JsonTape, at: number): boolean {
  return at === -1 || (isText(tape.words[at]) && tape.words[at + 1] === tape.words[at + 2])
}

function isCleanText(tape: JsonTape, at: number, charsMax: number): boolean {
  const kind = tape.words[at]
  if (kind === PLAIN_TEXT) return (tape.words[at + 2] as number) - (tape.words[at + 1] as number) <= charsMax
  if (!isText(kind)) return false
  const text = tape.text(at)
  return text.length <= charsMax && !CONTROL.test(text)
}

/** Types that begin with two underscores are ours. */
function isReservedType(tape: JsonTape, at: number): boolean {
  const { words, bytes } = tape
  if (words[at] === PLAIN_TEXT || words[at] === WIDE_TEXT) {
    const start = words[at + 1] as number
    return bytes[start] === 0x5f && bytes[start + 1] === 0x5f
  }
  return tape.text(at).startsWith('__')
}

/** The source of the event before: batches nearly always come from one. */
let lastGoodSource = Buffer.from('/')

function isSource(tape: JsonTape, at: number): boolean {
  if (holds(tape, at, lastGoodSource)) return true
  if (!isText(tape.words[at])) return false
  const text = tape.text(at)
  if (!isEventSource(text)) return false
  lastGoodSource = Buffer.from(text)
  return true
}

/** Whether an event may have this source. */
export function isEventSource(text: string): boolean {
  return (
    text !== '' &&
    text.length <= sourceCharsMax &&
    isUriReference(text) &&
    !text.startsWith(RESERVED_SOURCE_PREFIX)
  )
}

/** Whether a media type says JSON: `application/json`, `text/json`, `application/vnd.x+json`, with or without parameters. */
export function isJsonMediaType(value: unknown): boolean {
  return (
    typeof value === 'string' &&
    (value === 'application/json' || /^\s*[\w.+-]+\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(value))
  )
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

export function isUriReference(text: string): boolean {
  return URI_REFERENCE.test(text) && (!COLON_IN_FIRST_SEGMENT.test(text) || SCHEME.test(text))
}
