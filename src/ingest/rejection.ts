/**
 * Why one event is rejected, in the order in which it is judged: an event with several faults is answered with
 * the first of them in this list. The order is part of the contract.
 */
export const REJECTION_CODES = [
  'notAnObject',
  'invalidTarget',
  'invalidReason',
  'missingReplacement',
  'sameIdentity',
  'tooManyAttributes',
  'duplicateAttribute',
  'invalidExtension',
  'unsupportedSpecVersion',
  'missingId',
  'invalidId',
  'missingSource',
  'invalidSource',
  'missingType',
  'invalidType',
  'missingSubject',
  'invalidSubject',
  'unsupportedData',
  'foreignSource',
  'invalidTime',
  'tooOld',
  'inFuture',
  'outsideBackfill',
  'forbiddenKey',
  'invalidKey',
  'tooDeep',
  'tooManyProperties',
  'duplicateKey',
  'ambiguousKey',
  'unsafeNumber',
  'valueTooLong',
  'invalidText',
  'eventTooLarge',
  'schemaMismatch',
] as const
export type RejectionCode = (typeof REJECTION_CODES)[number]

const ORDER = new Map<RejectionCode, number>(REJECTION_CODES.map((code, i) => [code, i]))

/** Of two faults of one event the one that it is answered with. */
export function firstInOrder(a: RejectionCode, b: RejectionCode): RejectionCode {
  return (ORDER.get(b) ?? 0) < (ORDER.get(a) ?? 0) ? b : a
}

/** Sources of events that Tallyman writes itself; nobody else can take their identities. */
export const RESERVED_SOURCE_PREFIX = 'urn:tallyman:'

/** Of voids: what a tenant takes back is named by the rest of the identity. */
export const VOID_SOURCE = `${RESERVED_SOURCE_PREFIX}void`

/** Bounds of one event; lengths are in UTF-16 code units. */
export const EVENT_LIMITS = {
  /** Members of the event itself. */
  attributesMax: 64,
  idCharsMax: 512,
  sourceCharsMax: 1024,
  typeCharsMax: 255,
  subjectCharsMax: 255,
  depthMax: 8,
  propertiesMax: 64,
  pathCharsMax: 255,
  valueCharsMax: 65_536,
  /** Why an event was taken back. */
  reasonCharsMax: 1000,
  /** As it stands on the log. */
  eventBytesMax: 131_072,
  /** End of the year 2099: what the columns of the store can hold. */
  timeMsMax: Date.UTC(2100, 0, 1) - 1,
  acceptPastMs: 35 * 86_400_000,
  acceptAheadMs: 5 * 60_000,
} as const

const CONTROL = /\p{Cc}/u

/** Whether an event may have this type, for routes that name types. */
export function isEventType(text: string): boolean {
  const { typeCharsMax } = EVENT_LIMITS
  if (text === '' || text.length > typeCharsMax || text.startsWith('__')) return false
  return text.isWellFormed() && !CONTROL.test(text)
}

const L = EVENT_LIMITS

/** What is wrong and what to do, for a person who reads the answer in a log. */
export const REJECTION_DETAILS: Readonly<Record<RejectionCode, string>> = {
  notAnObject: 'An event must be a JSON object.',
  invalidTarget: `"source" and "id" must name the event that is taken back, as it was sent; what Tallyman wrote itself cannot be.`,
  invalidReason: `"reason" must be text of 1 to ${L.reasonCharsMax} characters without control characters.`,
  missingReplacement: '"event" must be the event that takes the place of the other, a CloudEvent.',
  sameIdentity:
    'The event in "event" has the identity of the one that it replaces. Give it an id of its own.',
  tooManyAttributes: `The event has more than ${L.attributesMax} attributes.`,
  duplicateAttribute: 'An attribute of the event stands there twice, perhaps spelled with an escape.',
  invalidExtension:
    'Attribute names are lower-case letters and digits only (CloudEvents 1.0); usage belongs in "data".',
  unsupportedSpecVersion: '"specversion" must be "1.0".',
  missingId: '"id" is missing. It must be unique per source, and the same when the event is sent again.',
  invalidId: `"id" must be text of 1 to ${L.idCharsMax} characters without control characters.`,
  missingSource: '"source" is missing. It names the emitting service, as a URI reference.',
  invalidSource: `"source" must be a URI reference of 1 to ${L.sourceCharsMax} characters, such as "/checkout" or "urn:gateway:eu-1", and must not begin with "${RESERVED_SOURCE_PREFIX}".`,
  foreignSource: '"source" is not the one that the backfill was opened for.',
  missingType: '"type" is missing. Meters select events by it.',
  invalidType: `"type" must be text of 1 to ${L.typeCharsMax} characters without control characters, and must not begin with "__".`,
  missingSubject: '"subject" is missing. It says who used, and so who pays.',
  invalidSubject: `"subject" must be text of 1 to ${L.subjectCharsMax} characters without control characters.`,
  invalidTime:
    '"time" must be RFC 3339 text such as "2026-03-01T12:00:00Z", from 1970 to 2099; left out, it is the time of arrival.',
  tooOld: '"time" is more than 35 days back. Older usage comes in by a backfill: POST /v1/backfills.',
  inFuture: `"time" is more than 5 minutes ahead of the customer's clock.`,
  outsideBackfill:
    '"time" is missing or lies outside of the range, from (included) to to (excluded), that the backfill was opened for.',
  unsupportedData:
    '"data" must be a JSON object (datacontenttype application/json) or absent; "data_base64" is not read.',
  forbiddenKey: 'A key of "data" is "__proto__", "constructor" or "prototype".',
  invalidKey: `A key of "data" is empty, has control characters, or its dotted path is longer than ${L.pathCharsMax} characters.`,
  tooDeep: `"data" is nested deeper than ${L.depthMax} levels.`,
  tooManyProperties: `"data" has more than ${L.propertiesMax} keys.`,
  duplicateKey: 'An object in "data" has a key twice, perhaps spelled with an escape.',
  ambiguousKey: 'Two keys of "data" have the same dotted path, such as {"a.b": 1, "a": {"b": 2}}.',
  unsafeNumber:
    'A number of "data" has more digits than JSON numbers carry safely (15 significant digits, below 2^53). Send it as a string: "12345678901234567890.5".',
  valueTooLong: `A text or array of "data" is longer than ${L.valueCharsMax} characters.`,
  eventTooLarge: `The event takes more than ${L.eventBytesMax} bytes on the log.`,
  schemaMismatch: '"data" is not what the schema of this event type asks for; "errors" says where.',
  invalidText: 'A text holds half of a surrogate pair, which UTF-8 cannot carry.',
}
